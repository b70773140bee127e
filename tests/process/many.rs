//! Many children, several at once; and processes that are no children.

use super::*;
use crate::support::{children, eventually, has_zombie, open_descriptors};
use interproc::process::{
    Builder, Process, Program, State, wait_all, wait_all_timeout, wait_any, wait_any_timeout,
};
use interproc::{Deadline, ErrorKind};
use std::sync::atomic::Ordering;

pub fn ten_thousand_children_leave_no_zombie_and_no_descriptor() {
    let before = open_descriptors();
    for n in 0..9_500u32 {
        let child = Builder::new();
        let child = if n % 16 == 0 { child.dies_with_parent() } else { child };
        let child = child.fork(move || n as u8).expect("fork");
        match n % 3 {
            0 => drop(child), // reaped by a later call
            1 => assert_eq!(child.join().expect("join").code(), Some(i32::from(n as u8))),
            _ => assert_eq!(wait_any(&[child]).expect("wait_any").1.code(), Some(i32::from(n as u8))),
        }
    }
    for _ in 0..500 {
        let child = Builder::new().spawn(Program::new("true")).expect("spawn");
        assert!(child.join().expect("join").success());
    }
    assert!(eventually(LONG, || process::reap() == 0 && children(std::process::id()).is_empty()));
    assert!(!has_zombie());
    assert_eq!(open_descriptors(), before);
}

pub fn the_first_to_end_is_the_one_that_wait_any_gives() {
    let crowd: Vec<Child> = (0..50).map(|_| sleeper()).collect();
    let error = wait_any_timeout(&crowd, Duration::from_millis(5)).expect_err("all run");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let mut left: Vec<&Child> = crowd.iter().collect();
    for n in [31, 0, 40, 7] {
        left[n].kill().expect("kill");
        let (place, status) = wait_any(&left).expect("wait_any");
        assert_eq!((place, status.signal()), (n, Some(libc::SIGKILL)));
        left.remove(place);
    }
    let past = Deadline::from_monotonic_ns(1);
    assert_eq!(process::wait_any_until(&left, past).expect_err("alive").kind(), ErrorKind::TimedOut);
    assert_eq!(wait_any::<Child>(&[]).expect_err("none").kind(), ErrorKind::InvalidInput);
    crowd.iter().for_each(|child| child.kill().expect("kill"));
    assert_eq!(wait_all(&crowd).expect("wait_all").len(), 50);
    assert_eq!(wait_any(&crowd).expect("again").0, 0);
}

pub fn all_have_one_deadline() {
    let crowd: Vec<Child> =
        (0..20).map(|n| if n % 2 == 0 { sleeper() } else { process::fork(|| 5).expect("fork") }).collect();
    let started = std::time::Instant::now();
    let error = wait_all_timeout(&crowd, Duration::from_millis(30)).expect_err("half of them sleep");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(5), "each had the time for itself");
    crowd.iter().for_each(|child| child.kill().expect("kill"));
    let all = wait_all(&crowd).expect("wait_all");
    assert!(all.iter().step_by(2).all(|s| s.signal() == Some(libc::SIGKILL)));
    // One that foreign code has reaped is told, and the others are joined all the same.
    let crowd: Vec<Child> = (0..3).map(|n| process::fork(move || n).expect("fork")).collect();
    foreign_wait(crowd[1].pid() as i32);
    assert_eq!(wait_all_timeout(&crowd, LONG).expect_err("robbed").kind(), ErrorKind::NoChild);
    assert_eq!(crowd[2].try_join().expect("try_join").and_then(|s| s.code()), Some(2));
    assert_eq!(wait_any(&crowd[1..]).expect_err("robbed").kind(), ErrorKind::NoChild);
}

pub fn threads_may_wait_for_any_of_the_same_children() {
    for _ in 0..20 {
        let crowd: Vec<Child> = (0..5).map(|_| sleeper()).collect();
        std::thread::scope(|scope| {
            let waiters: Vec<_> =
                (0..4).map(|_| scope.spawn(|| wait_any(&crowd).map(|(place, _)| place))).collect();
            crowd[3].kill().expect("kill");
            for waiter in waiters {
                assert_eq!(waiter.join().expect("a waiter").expect("wait_any"), 3);
            }
        });
        crowd.iter().for_each(|child| child.kill().expect("kill"));
        wait_all_timeout(&crowd, LONG).expect("wait_all");
    }
}

pub fn a_deaf_child_is_terminated_after_its_grace_and_a_polite_one_before() {
    let ready = shared_word();
    let deaf = process::fork(|| {
        // SAFETY: takes integers.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        ready.store(1, Ordering::Release);
        pause_for_ever()
    });
    let deaf = deaf.expect("fork");
    assert!(eventually(LONG, || ready.load(Ordering::Acquire) == 1));
    let status = deaf.terminate_timeout(Duration::from_millis(20)).expect("terminated");
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    let polite = sleeper().terminate_timeout(LONG).expect("terminated");
    assert_eq!(polite.signal(), Some(libc::SIGTERM));
    let child = sleeper();
    child.send_signal(libc::SIGUSR1).expect("signal");
    assert_eq!(child.join_timeout(LONG).expect("join").signal(), Some(libc::SIGUSR1));
    assert_eq!(sleeper().send_signal(1000).expect_err("no signal").kind(), ErrorKind::InvalidInput);
    children(std::process::id()).into_iter().for_each(|left| send(left, libc::SIGKILL));
    assert!(eventually(LONG, || {
        process::reap();
        children(std::process::id()).is_empty()
    }));
}

pub fn a_group_hears_a_signal_and_only_while_its_number_is_its_own() {
    let tree = Program::new("sh").args(["-c", "sleep 1000 & sleep 1000 & wait"]);
    let shell = Builder::new().process_group(0).spawn(tree).expect("spawn");
    assert!(eventually(LONG, || children(shell.pid()).len() == 2));
    shell.signal_group(libc::SIGKILL).expect("signal");
    assert_eq!(shell.join_timeout(LONG).expect("join").signal(), Some(libc::SIGKILL));
    assert_eq!(shell.signal_group(libc::SIGKILL).expect_err("joined").kind(), ErrorKind::NoChild);
    let plain = sleeper();
    assert_eq!(plain.signal_group(libc::SIGKILL).expect_err("leads none").kind(), ErrorKind::NoProcess);
    plain.kill().expect("kill");
    plain.join().expect("join");
}

pub fn a_child_shows_its_state_and_its_usage() {
    let child = sleeper();
    let sees = |state| eventually(LONG, || child.state().expect("state") == state);
    assert!(sees(State::Sleeping));
    child.send_signal(libc::SIGSTOP).expect("signal");
    assert!(sees(State::Stopped));
    assert!(child.usage().is_none());
    child.kill().expect("kill");
    assert!(sees(State::Zombie));
    child.join().expect("join");
    assert!(sees(State::Gone));
    assert_eq!(child.state().expect("state").letter(), '-');
    let busy = process::fork(|| {
        let until = std::time::Instant::now() + Duration::from_millis(60);
        while std::time::Instant::now() < until {
            std::hint::black_box(vec![1u8; 1 << 20]);
        }
    });
    let busy = busy.expect("fork");
    busy.join().expect("join");
    let usage = busy.usage().expect("joined");
    assert!(usage.user_time + usage.system_time > Duration::ZERO, "{usage:?}");
    assert!(usage.peak_memory > 1 << 20, "{usage:?}");
}

pub fn a_process_is_known_by_its_number_and_its_start_and_nobody_else_is_taken_for_it() {
    let child = sleeper();
    let met = Process::open(child.pid()).expect("open");
    assert!(met.is_alive() && Process::find(met.pid(), met.start_time()).is_ok());
    assert_eq!(
        Process::find(met.pid(), met.start_time() + 1).expect_err("another").kind(),
        ErrorKind::NoProcess
    );
    let details = met.details().expect("details");
    assert_eq!(details.parent, std::process::id());
    let early = met.wait_until(Deadline::after(Duration::from_millis(2)));
    assert_eq!(early.expect_err("it lives").kind(), ErrorKind::TimedOut);
    met.send_signal(libc::SIGKILL).expect("signal");
    met.wait_until(Deadline::after(LONG)).expect("its end");
    assert_eq!((met.is_alive(), met.state().expect("state")), (false, State::Zombie));
    child.join().expect("join");
    assert_eq!(met.details().expect_err("reaped").kind(), ErrorKind::NoProcess);
    met.send_signal(libc::SIGKILL).expect("nothing happens");
    child.send_signal(libc::SIGKILL).expect("nothing happens");
    assert_eq!(Process::open(met.pid()).expect_err("nobody").kind(), ErrorKind::NoProcess);
    for nobody in [0, u32::MAX, i32::MAX as u32] {
        assert_eq!(Process::open(nobody).expect_err("nobody").kind(), ErrorKind::NoProcess);
    }
}

pub fn a_parent_is_seen_to_end() {
    // SAFETY: takes integers. The orphan comes to us.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    let (seen, left) = (shared_word(), shared_word());
    let middle = process::fork(|| {
        let _ = process::fork(|| {
            let parent = Process::parent().expect("open").expect("inside");
            seen.store(1, Ordering::Release);
            let ended = parent.wait_until(Deadline::after(LONG)).is_ok();
            left.store(if ended && !parent.is_alive() { 1 } else { 2 }, Ordering::Release);
        });
        pause_for_ever()
    });
    let middle = middle.expect("fork");
    assert!(eventually(LONG, || seen.load(Ordering::Acquire) == 1));
    middle.kill().expect("kill");
    assert!(eventually(LONG, || left.load(Ordering::Acquire) != 0));
    assert_eq!(left.load(Ordering::Acquire), 1);
    middle.join().expect("join");
    assert_eq!(foreign_wait(-1), 0);
    let me = Process::current().expect("open");
    assert_eq!(me.children().expect("children"), []);
    let child = sleeper();
    assert_eq!(me.children().expect("children"), [Process::open(child.pid()).expect("open")]);
    child.kill().expect("kill");
    child.join().expect("join");
}
