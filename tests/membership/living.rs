//! Who is alive is never taken for dead, whatever the second channel shows. The net asks it every 50 ms, so a wait of
//! 200 ms gives it three chances to be wrong.

use super::*;
use crate::kit::{Bare, await_sleep, await_word, board, die, fork, fork_in_new_pid_namespace, raise};
use std::sync::atomic::Ordering;
use std::time::Duration;

const FOUR_NETS: Duration = Duration::from_millis(200);

#[track_caller]
fn waits(m: &Mutex<u64>) {
    assert_eq!(got(m.lock_timeout(FOUR_NETS)), Got::Failed(ErrorKind::TimedOut));
}

pub fn a_stopped_owner_is_waited_for() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let owner = fork(|| {
        let mut value = m.lock().expect("lock");
        // SAFETY: stops this process.
        unsafe { libc::raise(libc::SIGSTOP) };
        *value = 7;
    });
    owner.wait_stopped();
    waits(&m);
    owner.signal(libc::SIGCONT);
    assert_eq!(*m.lock().expect("lock"), 7);
    owner.join();
}

/// A stop takes a sleeper out of the kernel's queues, where the one wake-up for a message or of a death would reach the oldest
/// first.
pub fn a_stopped_sleeper_takes_no_wake_up_from_the_others() {
    let seg = kit::segment();
    let (m, words) = (mutex(&seg), board());
    let q = seg.queue::<u64>("queue", 4).expect("queue");
    let told = seg.object("told", Condvar::new).expect("condvar");
    let pop = || {
        fork(|| {
            q.pop().expect("pop");
            raise(&words[0]);
        })
    };
    let stopped = pop();
    await_sleep(&stopped);
    stopped.signal(libc::SIGSTOP);
    stopped.wait_stopped();
    let other = pop();
    await_sleep(&other);
    q.push(7).expect("push");
    other.join();
    stopped.signal(libc::SIGCONT);
    q.push(8).expect("push");
    stopped.join();

    // The bell of one that dies with the lock, and may owe a notification.
    let wait = || fork(|| drop(told.wait(m.lock().expect("lock"))));
    let stopped = wait();
    await_sleep(&stopped);
    stopped.signal(libc::SIGSTOP);
    stopped.wait_stopped();
    let other = wait();
    await_sleep(&other);
    let victim = fork(|| {
        std::mem::forget(m.lock().expect("lock"));
        raise(&words[1]);
        die();
    });
    await_word(&words[1], 1);
    other.join();
    stopped.signal(libc::SIGCONT);
    stopped.join();
    victim.finish();
}

/// Gives the calling process a /proc of its own PID namespace.
fn mount_own_proc() {
    let none = std::ptr::null();
    // SAFETY: C strings; the mounts are in a namespace of this process alone.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
        let private = libc::MS_REC | libc::MS_PRIVATE;
        assert_eq!(libc::mount(none, c"/".as_ptr(), none, private, none.cast()), 0);
        assert_eq!(libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, none.cast()), 0);
    }
}

/// In a new PID namespace an owner and a waiter; one of them sees its own /proc, the other that of the outer
/// namespace, where the same numbers name other processes.
fn with_different_procs(own_for_owner: bool) {
    let seg = kit::segment();
    let (m, words) = (mutex(&seg), board());
    fork_in_new_pid_namespace(0, || {
        let owner = fork(|| {
            if own_for_owner {
                mount_own_proc();
            }
            let _guard = m.lock().expect("lock");
            raise(&words[0]);
            await_word(&words[1], 1);
        });
        let waiter = fork(|| {
            if !own_for_owner {
                mount_own_proc();
            }
            await_word(&words[0], 1);
            waits(&m);
            raise(&words[1]);
            assert_eq!(got(m.lock()), Got::Clean);
        });
        waiter.join();
        owner.join();
    })
    .join();
}

pub fn an_owner_whose_proc_shows_other_processes_is_waited_for() {
    with_different_procs(false);
}

pub fn a_waiter_whose_proc_shows_other_processes_waits() {
    with_different_procs(true);
}

pub fn an_owner_with_another_boot_time_is_waited_for() {
    const CLONE_NEWTIME: i32 = 0x80;
    let seg = kit::segment();
    let (m, words) = (mutex(&seg), board());
    let owner = fork(|| {
        // SAFETY: takes flags.
        if unsafe { libc::unshare(CLONE_NEWTIME) } != 0 {
            println!("no time namespaces here: nothing tested");
            words[2].store(1, Ordering::SeqCst);
            raise(&words[0]);
            return;
        }
        std::fs::write("/proc/self/timens_offsets", "boottime 100000 0\n").expect("offsets");
        fork(|| {
            let _guard = m.lock().expect("lock");
            raise(&words[0]);
            await_word(&words[1], 1);
        })
        .join();
    });
    await_word(&words[0], 1);
    if words[2].load(Ordering::SeqCst) == 0 {
        waits(&m);
    }
    raise(&words[1]);
    owner.join();
    assert_eq!(got(m.lock()), Got::Clean);
}

pub fn a_parent_is_not_buried_by_a_child_without_privileges() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let bare = Bare::new(&seg);
    let guard = m.lock().expect("lock");
    fork(|| {
        // SAFETY: takes ids. The segment's mode is 0600, its owner root: it cannot be opened again.
        unsafe {
            assert_eq!(libc::setresgid(65534, 65534, 65534), 0);
            assert_eq!(libc::setresuid(65534, 65534, 65534), 0);
        }
        assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::WouldBlock));
        assert_ne!(bare.member().id(), kit::raw(&m).owner().expect("held"));
        waits(&m);
    })
    .join();
    assert!(bare.lives(bare.member().id()), "the parent was marked dead");
    // A third process sees the parent alive, too.
    fork(|| waits(&m)).join();
    drop(guard);
    assert_eq!(got(m.lock()), Got::Clean);
}
