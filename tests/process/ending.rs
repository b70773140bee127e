//! How a child ends, by itself or by a signal.

use super::*;
use crate::support::{eventually, has_zombie, state};
use std::io::Read;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::atomic::Ordering;

/// What a child that runs `body` prints to stderr, and its exit code.
fn stderr_of(body: impl FnOnce()) -> (String, Option<i32>) {
    let (mut read, write) = std::io::pipe().expect("pipe");
    let write = write.into_raw_fd();
    let child = process::fork(|| {
        // SAFETY: takes open descriptors.
        unsafe { libc::dup2(write, 2) };
        body()
    });
    // SAFETY: ours, and not used again.
    drop(unsafe { std::fs::File::from_raw_fd(write) });
    let code = child.expect("fork").join_timeout(LONG).expect("join").code();
    let mut text = String::new();
    read.read_to_string(&mut text).expect("read");
    (text, code)
}

pub fn a_panic_is_printed_and_becomes_exit_code_101() {
    let (text, code) = stderr_of(|| panic!("the tickets are gone"));
    assert_eq!(code, Some(i32::from(process::PANICKED)));
    assert!(text.contains("the tickets are gone"), "{text}");
    let (_, code) = stderr_of(|| std::panic::panic_any(7));
    assert_eq!(code, Some(101));
}

pub fn a_child_never_runs_the_frames_of_its_parent() {
    struct Count(&'static AtomicU32);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = shared_word();
    let exits = shared_word();
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the payload's destructor");
        }
    }
    for body in [|| (), || panic!("expected"), || std::panic::panic_any(Bomb)] {
        let frame = Count(drops);
        let child = process::fork(body).expect("fork");
        exits.fetch_add(1, Ordering::Relaxed); // The child must not come here.
        child.join_timeout(LONG).expect("join");
        drop(frame);
    }
    assert_eq!((drops.load(Ordering::Relaxed), exits.load(Ordering::Relaxed)), (3, 3));

    // What the closure owns is dropped in both: the child's copy and the parent's.
    let owned = Count(drops);
    process::fork(move || drop(owned)).expect("fork").join_timeout(LONG).expect("join");
    assert_eq!(drops.load(Ordering::Relaxed), 5);
}

pub fn a_signal_is_reported_with_its_number() {
    // SAFETY: takes integers: no core files from this test.
    unsafe {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
    }
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV, libc::SIGABRT, libc::SIGRTMIN() + 1] {
        let child = process::fork(|| {
            // SAFETY: takes integers; the default action, not what Rust's runtime set.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            send(std::process::id(), signal);
            pause_for_ever()
        });
        let status = child.expect("fork").join_timeout(LONG).expect("join");
        assert_eq!((status.signal(), status.code()), (Some(signal), None), "{status}");
        assert!(!status.success() && !status.core_dumped());
        let std: std::process::ExitStatus = status.into();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&std), Some(signal));
    }
}

pub fn terminate_can_be_handled_and_kill_cannot() {
    let plain = sleeper();
    plain.terminate().expect("terminate");
    assert_eq!(plain.join_timeout(LONG).expect("join").signal(), Some(libc::SIGTERM));

    let ready = shared_word();
    let deaf = process::fork(|| {
        // SAFETY: takes integers.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        ready.store(1, Ordering::Release);
        pause_for_ever()
    })
    .expect("fork");
    assert!(eventually(LONG, || ready.load(Ordering::Acquire) == 1));
    deaf.terminate().expect("terminate");
    deaf.join_timeout(Duration::from_millis(50)).expect_err("it is deaf");
    assert!(deaf.is_alive());
    deaf.kill().expect("kill");
    assert_eq!(deaf.join_timeout(LONG).expect("join").signal(), Some(libc::SIGKILL));
    assert!(!deaf.is_alive());
}

pub fn a_stopped_child_is_alive_and_can_be_killed() {
    let child = sleeper();
    send(child.pid(), libc::SIGSTOP);
    assert!(eventually(LONG, || state(child.pid()) == Some('T')));
    assert!(child.is_alive());
    assert_eq!(child.try_join().expect("try_join"), None, "stopped is not ended");
    child.kill().expect("kill");
    assert_eq!(child.join_timeout(LONG).expect("join").signal(), Some(libc::SIGKILL));
}

pub fn signals_to_an_ended_child_are_no_error_and_reach_nobody_else() {
    let child = process::fork(|| 3).expect("fork");
    assert!(eventually(LONG, has_zombie));
    assert!(!child.is_alive(), "a zombie is not alive");
    child.kill().expect("to a zombie");
    assert_eq!(child.join().expect("join").code(), Some(3));
    child.kill().expect("to a joined child");
    child.terminate().expect("to a joined child");

    // A stranger gets the child's number: root may say which number the kernel hands out next.
    let last = format!("{}", child.pid() - 1);
    for _ in 0..20 {
        if std::fs::write("/proc/sys/kernel/ns_last_pid", &last).is_err() {
            eprintln!("skipped the reused number: not permitted to choose it");
            return;
        }
        let stranger = foreign_fork(|| pause_for_ever());
        let reused = stranger as u32 == child.pid();
        if reused {
            child.kill().expect("to nobody");
            assert!(!child.is_alive());
            assert_eq!(child.join().expect("join").code(), Some(3));
            let mut status = 0;
            // SAFETY: the status is writable.
            assert_eq!(unsafe { libc::waitpid(stranger, &raw mut status, libc::WNOHANG) }, 0, "killed");
        }
        send(stranger as u32, libc::SIGTERM);
        assert_eq!(foreign_wait(stranger), libc::SIGTERM, "the stranger was hit by another signal");
        if reused {
            return;
        }
    }
    eprintln!("skipped the reused number: others took it");
}
