//! Joins: plain, tried, timed, concurrent, disturbed, robbed.

use super::*;
use crate::support::{eventually, has_zombie, readable_within, state};
use interproc::process::ExitStatus;
use interproc::{Deadline, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use std::time::Instant;

fn end(child: &Child) -> ExitStatus {
    child.kill().expect("kill");
    child.join_timeout(LONG).expect("join")
}

pub fn a_join_that_times_out_does_so_in_time_and_leaves_the_child_running() {
    let child = sleeper();
    for timeout in [Duration::ZERO, Duration::from_micros(1), Duration::from_millis(30)] {
        let started = Instant::now();
        assert_eq!(child.join_timeout(timeout).expect_err("alive").kind(), ErrorKind::TimedOut);
        let took = started.elapsed();
        assert!(took >= timeout && took < timeout + Duration::from_secs(2), "{timeout:?}: {took:?}");
    }
    assert!(child.is_alive());
    assert_eq!(end(&child).signal(), Some(libc::SIGKILL));
    let brief = process::fork(|| 1).expect("fork");
    assert_eq!(brief.join_timeout(Duration::MAX).expect("join").code(), Some(1));
}

pub fn a_deadline_in_the_past_still_gets_an_ended_child() {
    let past = Deadline::from_monotonic_ns(1);
    let child = sleeper();
    assert_eq!(child.join_until(past).expect_err("alive").kind(), ErrorKind::TimedOut);
    child.kill().expect("kill");
    assert!(eventually(LONG, has_zombie));
    assert_eq!(child.join_until(past).expect("join").signal(), Some(libc::SIGKILL));
}

pub fn try_join_says_none_until_the_child_has_ended() {
    let child = sleeper();
    assert_eq!(child.try_join().expect("try_join"), None);
    child.kill().expect("kill");
    assert!(eventually(LONG, || child.try_join().expect("try_join").is_some()));
    assert_eq!(child.try_join().expect("try_join").and_then(ExitStatus::signal), Some(libc::SIGKILL));
}

pub fn the_status_is_kept_for_every_later_join() {
    let child = process::fork(|| 17).expect("fork");
    for _ in 0..3 {
        assert_eq!(child.join().expect("join").code(), Some(17));
        assert_eq!(child.try_join().expect("try_join").and_then(ExitStatus::code), Some(17));
        assert_eq!(child.join_timeout(Duration::ZERO).expect("join_timeout").code(), Some(17));
    }
}

pub fn every_thread_that_joins_gets_the_status() {
    for _ in 0..50 {
        let child = sleeper();
        std::thread::scope(|scope| {
            let join = |n| if n % 2 == 0 { child.join() } else { child.join_timeout(LONG) };
            let joiners: Vec<_> = (0..6).map(|n| scope.spawn(move || join(n))).collect();
            child.kill().expect("kill");
            for joiner in joiners {
                let status = joiner.join().expect("a joiner").expect("join");
                assert_eq!(status.signal(), Some(libc::SIGKILL));
            }
        });
    }
}

extern "C" fn count(_: i32) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}
static HANDLED: AtomicU32 = AtomicU32::new(0);

/// A handler for SIGALRM that interrupts system calls, and an alarm every millisecond until [`quiet`].
pub fn storm(microseconds: i64) {
    let tick = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: tick, it_value: tick };
    // SAFETY: a valid action without SA_RESTART, and a valid timer.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()), 0);
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()), 0);
    }
}

pub fn a_signal_handler_running_during_a_join_does_not_disturb_it() {
    let child = process::fork(|| std::thread::sleep(Duration::from_millis(200))).expect("fork");
    let forever = sleeper();
    storm(1000);
    assert!(child.join().expect("join").success());
    let started = Instant::now();
    let timeout = Duration::from_millis(100);
    assert_eq!(forever.join_timeout(timeout).expect_err("alive").kind(), ErrorKind::TimedOut);
    assert!(started.elapsed() >= timeout && started.elapsed() < timeout * 10, "{:?}", started.elapsed());
    // Starting under the same fire.
    for n in 0..20 {
        assert_eq!(process::fork(|| n).expect("fork").join().expect("join").code(), Some(n));
    }
    storm(0);
    assert!(HANDLED.load(Ordering::Relaxed) > 50);
    end(&forever);
}

pub fn errno_is_left_alone() {
    // SAFETY: the thread's own errno.
    let errno = || unsafe { &mut *libc::__errno_location() };
    let child = sleeper();
    *errno() = 77;
    let _ = child.join_timeout(Duration::from_millis(1));
    let _ = child.try_join();
    let _ = child.is_alive();
    let _ = process::reap();
    assert_eq!(*errno(), 77);
    let status = end(&child);
    let second = process::fork(|| *errno() - 70).expect("fork");
    assert_eq!(second.join().expect("join").code(), Some(7), "and so the child sees it");
    foreign_wait(-1);
    *errno() = 77;
    assert_eq!(child.join().expect("join"), status);
    child.kill().expect("ESRCH inside");
    drop((child, second));
    assert_eq!(*errno(), 77);
}

pub fn the_descriptor_polls_readable_when_the_child_has_ended() {
    let child = sleeper();
    let fd = child.as_fd().as_raw_fd();
    assert!(!readable_within(fd, Duration::from_millis(20)));
    child.kill().expect("kill");
    assert!(readable_within(fd, LONG));
    // SAFETY: takes integers.
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) } & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    end(&child);
}

fn assert_lost(child: &Child) {
    for _ in 0..2 {
        assert_eq!(child.join().expect_err("lost").kind(), ErrorKind::NoChild);
        assert_eq!(child.try_join().expect_err("lost").kind(), ErrorKind::NoChild);
        assert_eq!(child.join_timeout(LONG).expect_err("lost").kind(), ErrorKind::NoChild);
    }
    assert!(!child.is_alive());
    child.kill().expect("it has ended");
}

pub fn a_child_reaped_by_foreign_code_is_an_error_and_not_a_hang() {
    let child = process::fork(|| 4).expect("fork");
    assert_eq!(foreign_wait(child.pid() as i32), 4 << 8);
    assert_lost(&child);
    drop(child);
    assert_eq!(process::reap(), 0);
}

pub fn a_child_reaped_by_foreign_code_during_a_join_is_not_a_hang() {
    for _ in 0..50 {
        let child = sleeper();
        let pid = child.pid();
        std::thread::scope(|scope| {
            let thief = scope.spawn(move || foreign_wait(pid as i32));
            let joiner = scope.spawn(|| child.join());
            child.kill().expect("kill");
            let (stolen, joined) = (thief.join().expect("thief"), joiner.join().expect("joiner"));
            match joined {
                Ok(status) => assert_eq!((status.signal(), stolen), (Some(libc::SIGKILL), -1)),
                Err(e) => assert_eq!((e.kind(), stolen), (ErrorKind::NoChild, libc::SIGKILL)),
            }
        });
    }
}

pub fn with_sigchld_ignored_every_start_works_and_a_join_says_that_the_status_is_lost() {
    // SAFETY: takes integers.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let child = sleeper();
    assert!(child.is_alive());
    assert_eq!(child.try_join().expect("try_join"), None);
    assert_eq!(child.join_timeout(Duration::from_millis(5)).expect_err("alive").kind(), ErrorKind::TimedOut);
    child.kill().expect("kill");
    assert_lost(&child);
    // Children that end at once: the kernel reaps them, if it can, before the parent has looked.
    for _ in 0..300 {
        let child = process::fork(|| ()).expect("fork");
        assert_eq!(child.join().expect_err("lost").kind(), ErrorKind::NoChild);
    }
}

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writable.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

pub fn a_child_held_by_a_tracer_is_waited_for_without_spinning() {
    let traced = shared_word();
    let child = sleeper();
    let pid = child.pid();
    let tracer = process::fork(|| {
        // SAFETY: takes integers.
        let attached = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) } == 0;
        traced.store(if attached { 1 } else { 2 }, Ordering::Release);
        while traced.load(Ordering::Acquire) != 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        foreign_wait(pid as i32)
    })
    .expect("fork");
    assert!(eventually(LONG, || traced.load(Ordering::Acquire) != 0));
    if traced.load(Ordering::Acquire) == 2 {
        eprintln!("skipped: tracing is not permitted");
        end(&tracer);
        end(&child);
        return;
    }
    child.kill().expect("kill");
    assert!(eventually(LONG, || state(pid) == Some('Z')));
    let before = processor_time();
    assert!(!child.is_alive());
    assert_eq!(child.try_join().expect("try_join"), None, "its tracer must see the end first");
    let timeout = Duration::from_millis(300);
    assert_eq!(child.join_timeout(timeout).expect_err("held").kind(), ErrorKind::TimedOut);
    assert!(processor_time() - before < timeout / 4, "it spun: {:?}", processor_time() - before);
    std::thread::scope(|scope| {
        let joiner = scope.spawn(|| child.join());
        std::thread::sleep(Duration::from_millis(30));
        traced.store(3, Ordering::Release);
        assert_eq!(joiner.join().expect("joiner").expect("join").signal(), Some(libc::SIGKILL));
    });
    tracer.join().expect("join");
}
