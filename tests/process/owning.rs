//! Whose child it is, who reaps it, and what is left behind: nothing.

use super::*;
use crate::support::{children, eventually, has_zombie, open_descriptors, state};
use interproc::sync::{Mutex, RecursiveMutex, RwLock};
use interproc::{ErrorKind, Segment};
use std::cell::Cell;
#[cfg(feature = "c-abi")]
use std::ffi::c_void;
use std::sync::atomic::Ordering;

pub fn five_hundred_children_leave_no_zombie_and_no_descriptor() {
    let before = open_descriptors();
    for round in 0..10 {
        let crowd: Vec<Child> = (0..50).map(|n| process::fork(|| n).expect("fork")).collect();
        for (n, child) in crowd.iter().enumerate() {
            match round % 3 {
                0 => assert_eq!(child.join().expect("join").code(), Some(n as i32)),
                1 => assert_eq!(child.join_timeout(LONG).expect("join").code(), Some(n as i32)),
                _ => assert!(eventually(LONG, || child.try_join().expect("try_join").is_some())),
            }
        }
    }
    assert!(children(std::process::id()).is_empty());
    assert_eq!(open_descriptors(), before);
}

pub fn dropping_an_ended_child_reaps_it() {
    let before = open_descriptors();
    let child = process::fork(|| 0).expect("fork");
    assert!(eventually(LONG, has_zombie));
    drop(child);
    assert!(!has_zombie());
    assert_eq!(open_descriptors(), before);
    assert_eq!(process::reap(), 0, "nothing was left to reap");
}

/// A joined child, for the test below to drop.
static ENDED: std::sync::Mutex<Option<Child>> = std::sync::Mutex::new(None);

pub fn a_running_child_dropped_goes_on_and_is_reaped_by_the_next_call() {
    let before = open_descriptors();
    let other = sleeper();
    // What a call returns is held until it is known what the call itself did.
    let calls: [fn(&Child) -> Option<Child>; 6] = [
        |_| (process::reap() == 1).then(sleeper),
        |_| Some(sleeper()),
        |other| {
            other.kill().expect("kill");
            other.join().expect("join");
            None
        },
        |other| other.join_timeout(LONG).map(|_| None).expect("join"),
        |other| other.try_join().map(|_| None).expect("try_join"),
        |_| {
            drop(ENDED.lock().expect("lock").take());
            None
        },
    ];
    let ended = process::fork(|| ()).expect("fork");
    ended.join().expect("join");
    *ENDED.lock().expect("lock") = Some(ended);
    for call in calls {
        let go = shared_word();
        let child = process::fork(|| {
            while go.load(Ordering::Acquire) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        })
        .expect("fork");
        let pid = child.pid();
        drop(child);
        assert_eq!(process::reap(), 0);
        assert!(matches!(state(pid), Some('S' | 'R' | 'D')), "it goes on");
        go.store(1, Ordering::Release);
        assert!(eventually(LONG, || state(pid) == Some('Z')));
        let made = call(&other);
        assert!(!children(std::process::id()).contains(&pid), "still a zombie");
        if let Some(child) = made {
            child.kill().expect("kill");
            child.join_timeout(LONG).expect("join");
        }
    }
    drop(other);
    assert!(children(std::process::id()).is_empty());
    assert_eq!(open_descriptors(), before);
}

pub fn reaping_takes_no_child_that_others_wait_for() {
    let held = process::fork(|| 6).expect("fork");
    let foreign = foreign_fork(|| 5);
    for pid in [held.pid(), foreign as u32] {
        assert!(eventually(LONG, || state(pid) == Some('Z')));
    }
    assert_eq!(process::reap(), 0);
    let dropped = sleeper();
    dropped.kill().expect("kill");
    drop(dropped);
    assert!(eventually(LONG, || {
        process::reap();
        children(std::process::id()).len() == 2
    }));
    assert_eq!(foreign_wait(foreign), 5 << 8);
    assert_eq!(held.join().expect("join").code(), Some(6));
}

/// What each method says about a handle that was inherited, as bits of an exit code.
fn refusals(handle: &Child) -> u8 {
    let refused = |e: Option<interproc::Error>| e.is_some_and(|e| e.kind() == ErrorKind::NotOwner);
    u8::from(refused(handle.join().err()))
        | u8::from(refused(handle.try_join().err())) << 1
        | u8::from(refused(handle.join_timeout(LONG).err())) << 2
        | u8::from(refused(handle.terminate().err())) << 3
        | u8::from(refused(handle.kill().err())) << 4
        | u8::from(handle.is_alive()) << 5
}

pub fn a_childs_copy_of_its_parents_handle_is_refused_and_harmless() {
    let child = std::sync::Arc::new(sleeper());
    let orphan = sleeper();
    let orphan_pid = orphan.pid();
    drop(orphan);
    let copy = child.clone();
    let second = process::fork(move || {
        let before = refusals(&copy);
        // This process has children of its own now, and is as much a stranger to its parent's as before.
        assert!(process::fork(|| ()).expect("fork").join().expect("join").success());
        let bits = before & refusals(&copy);
        println!("{copy:?}");
        if let Ok(child) = std::sync::Arc::try_unwrap(copy) {
            drop(child);
        }
        // The parent's orphans are not this process's to reap either.
        if process::reap() == 0 { bits } else { 0 }
    });
    assert_eq!(second.expect("fork").join_timeout(LONG).expect("join").code(), Some(0b11_1111));
    // A fork that this library does not see is told apart too.
    let foreign = foreign_fork(|| i32::from(refusals(&child)));
    assert_eq!(foreign_wait(foreign), 0b11_1111 << 8);

    assert!(child.is_alive());
    child.kill().expect("kill");
    assert_eq!(child.join_timeout(LONG).expect("join").signal(), Some(libc::SIGKILL));
    assert_eq!(state(orphan_pid), Some('S'), "the child touched its parent's orphan");
    send(orphan_pid, libc::SIGKILL);
    assert!(eventually(LONG, || process::reap() == 1));
}

pub fn equal_process_ids_in_two_namespaces_are_not_confused() {
    // SAFETY: takes integers.
    let new_namespace = || unsafe { libc::unshare(libc::CLONE_NEWPID) } == 0;
    if !new_namespace() {
        eprintln!("skipped: namespaces are not permitted");
        return;
    }
    let first = process::fork(|| {
        // Process 1 of its namespace, with a child; and then process 1 of another one, with the same memory.
        let child = sleeper();
        assert_eq!((std::process::id(), new_namespace()), (1, true));
        let second = foreign_fork(|| match std::process::id() {
            1 => i32::from(refusals(&child)),
            _ => 0,
        });
        let status = foreign_wait(second);
        child.kill().expect("kill");
        child.join().expect("join");
        status >> 8
    });
    assert_eq!(first.expect("fork").join_timeout(LONG).expect("join").code(), Some(0b11_1111));
}

pub fn a_forked_process_has_children_of_its_own() {
    fn tower(floors: i32) -> i32 {
        if floors == 0 {
            return 0;
        }
        drop(process::fork(|| ())); // An orphan on each floor.
        let above = process::fork(|| tower(floors - 1)).expect("fork");
        1 + above.join_timeout(LONG).expect("join").code().expect("a code")
    }
    assert_eq!(process::fork(|| tower(5)).expect("fork").join().expect("join").code(), Some(5));
}

pub fn threads_may_fork_drop_and_reap_at_once() {
    let before = open_descriptors();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..40u8 {
                    // SAFETY: the child does nothing.
                    let child = unsafe { process::fork_unchecked(|| n) }.expect("fork");
                    match n % 3 {
                        0 => drop(child),
                        1 => assert_eq!(child.join().expect("join").code(), Some(i32::from(n))),
                        _ => drop((child, process::reap())),
                    }
                }
            });
        }
    });
    assert!(eventually(LONG, || {
        process::reap();
        children(std::process::id()).is_empty()
    }));
    assert_eq!(open_descriptors(), before);
}

#[cfg(feature = "c-abi")]
unsafe extern "C" {
    fn interproc_mutex_unlock(mutex: *const c_void) -> i32;
    fn interproc_recursive_mutex_unlock(mutex: *const c_void) -> i32;
    fn interproc_rwlock_unlock(rwlock: *const c_void) -> i32;
}

/// An unlock without a guard, as C does it.
#[cfg(feature = "c-abi")]
fn unlock<T>(by: unsafe extern "C" fn(*const c_void) -> i32, lock: &T) -> i32 {
    // SAFETY: each is called on its own lock, which C's type is the first part of.
    unsafe { by(std::ptr::from_ref(lock).cast()) }
}

/// Whether somebody else has it.
fn is_others<T, E>(got: Result<T, E>, error: fn(E) -> interproc::Error) -> bool {
    got.err().is_some_and(|e| error(e).kind() == ErrorKind::WouldBlock)
}

/// A way to fork: runs the body in a child, and says whether that ended well.
type Way = fn(&dyn Fn()) -> bool;

/// Forks with a guard of each kind held.
fn no_guard_of_the_parent_works_in_the_child(fork: Way) {
    let seg = Segment::anonymous(1 << 16).expect("segment");
    let mutex = seg.object("mutex", || Mutex::new(0u64)).expect("object");
    let recursive = seg.object("recursive", || RecursiveMutex::new(0u64)).expect("object");
    let [read, written] =
        ["read", "written"].map(|name| seg.object(name, || RwLock::new(0u64)).expect("object"));
    let permits = seg.bounded_semaphore("permits", 3).expect("semaphore");
    let alone = seg.barrier("alone", 1).expect("barrier");

    // In cells: the child takes its copies out, and the parent's stay.
    let held = Cell::new(Some(mutex.lock().expect("lock")));
    let inner = Cell::new(Some(recursive.lock().expect("lock")));
    let outer = Cell::new(Some(recursive.lock().expect("lock")));
    let reading = Cell::new(Some(read.read().expect("read")));
    let writing = Cell::new(Some(written.write().expect("write")));
    let one = Cell::new(Some(permits.acquire().expect("acquire")));
    let two = Cell::new(Some(permits.acquire_many(2).expect("acquire")));
    assert!(alone.wait().expect("wait").is_leader());
    let seat = || alone.seats().expect("seats").iter().map(|(who, _)| who.pid).collect::<Vec<_>>();
    let me = std::process::id();
    assert_eq!(seat(), [me]);

    let all_are_the_parents = || {
        #[cfg(feature = "c-abi")]
        {
            assert_eq!(unlock(interproc_mutex_unlock, &*mutex), libc::EPERM);
            assert_eq!(unlock(interproc_recursive_mutex_unlock, &*recursive), libc::EPERM);
            for lock in [&read, &written] {
                assert_eq!(unlock(interproc_rwlock_unlock, &**lock), libc::EPERM);
            }
        }
        assert!(is_others(mutex.try_lock(), |e| e.error()) && mutex.is_locked());
        assert!(is_others(recursive.try_lock(), |e| e.error()) && recursive.is_locked());
        assert!(is_others(read.try_write(), |e| e.error()));
        assert!(is_others(written.try_read(), |e| e.error()) && written.is_written());
        assert!(is_others(permits.try_acquire(), |e| e));
        alone.leave().expect("nobody's seat");
        assert_eq!((seat(), alone.is_broken().expect("is_broken")), (vec![me], false));
    };
    // Before the child has done anything with the segment, and when it is a member of its own.
    for member_first in [false, true] {
        let child = || {
            if member_first {
                all_are_the_parents();
            }
            drop((held.take(), outer.take(), inner.take(), reading.take(), writing.take(), two.take()));
            let refused = one.take().expect("its copy").release();
            assert_eq!(refused.map_err(|e| e.kind()), Err(ErrorKind::NotOwner));
            all_are_the_parents();
        };
        assert!(fork(&child), "the child failed");
    }

    // The parent has them all, and its seat; nobody has died.
    assert!(matches!(mutex.try_lock().map_err(|e| e.error().kind()), Err(ErrorKind::Deadlock)));
    assert_eq!(recursive.depth().expect("depth"), 2);
    assert_eq!((read.readers().expect("readers"), written.is_written()), (1, true));
    assert_eq!(permits.available().expect("available"), 0);
    assert_eq!(seat(), [me]);
    assert!(alone.wait().expect("wait").is_leader());
    let (mut guard, mut writer) = (held.take().expect("held"), writing.take().expect("held"));
    *guard += 1;
    *writer += 1;
    drop((guard, writer, outer.take(), inner.take(), reading.take()));
    one.take().expect("held").release().expect("its own");
    two.take().expect("held").release().expect("its own");
    assert_eq!((*mutex.try_lock().expect("free"), *written.try_read().expect("free")), (1, 1));
    drop((recursive.try_lock().expect("free"), read.try_write().expect("free")));
    assert!(!permits.try_acquire_many(3).expect("all").owner_died());
    alone.leave().expect("leave");
    assert!(seat().is_empty());
}

/// By this library, and by a call that it does not see.
const WAYS: [Way; 2] = [
    |body| {
        // SAFETY: the child drops the guards that it has copies of, and uses nothing of other threads.
        let child = unsafe { process::fork_unchecked(body) }.expect("fork");
        child.join_timeout(LONG).expect("join").success()
    },
    |body| {
        let whole = || i32::from(std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err());
        foreign_wait(foreign_fork(whole)) == 0
    },
];

pub fn the_parents_guards_are_dead_in_the_child() {
    WAYS.iter().for_each(|&fork| no_guard_of_the_parent_works_in_the_child(fork));
}

pub fn the_parents_guards_are_dead_in_the_child_of_a_threaded_parent() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    let seg = Segment::anonymous(1 << 16).expect("segment");
    let lock = seg.object("lock", || Mutex::new(0u64)).expect("object");
    let begun = std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        // One that locks, one whose threads come and go.
        scope.spawn(|| {
            begun.wait();
            while !stop.load(Ordering::Acquire) {
                *lock.lock().expect("nobody dies") += 1;
            }
        });
        scope.spawn(|| {
            begun.wait();
            while !stop.load(Ordering::Acquire) {
                std::thread::scope(|s| drop(s.spawn(|| *lock.lock().expect("nobody dies") += 1)));
            }
        });
        begun.wait();
        for _ in 0..10 {
            WAYS.iter().for_each(|&fork| no_guard_of_the_parent_works_in_the_child(fork));
        }
        // A thread that is not the first one has guards, too.
        std::thread::scope(|s| {
            s.spawn(|| WAYS.iter().for_each(|&fork| no_guard_of_the_parent_works_in_the_child(fork)));
        });
        stop.store(true, Ordering::Release);
    });
}
