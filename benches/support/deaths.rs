//! From the SIGKILL of a holder to the next owner.

use super::locks::Robust;
use super::machine::{now, pin};
use super::sides::SharedPage;
use super::{Measurement, Sample, median};
use interproc::process::{Child, fork};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn wait_until_asleep(child: &Child) {
    // Sleeping in the kernel: state S of a process that cannot be waiting for anything else.
    let path = format!("/proc/{}/stat", child.pid());
    loop {
        std::thread::sleep(Duration::from_millis(1));
        let stat = std::fs::read_to_string(&path).expect("the child's state");
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')) {
            return;
        }
    }
}

/// Forks a holder on processor 1, with so many threads, and returns when it holds the lock and sleeps.
fn holder<L: Robust>(lock: &L, threads: usize) -> Child {
    // SAFETY: an atomic; zero is valid.
    let held: SharedPage<AtomicU64> = unsafe { SharedPage::zeroed() };
    let hold = || {
        pin(1);
        // SAFETY: takes an integer.
        unsafe { libc::alarm(60) };
        for _ in 1..threads {
            std::thread::spawn(std::thread::park);
        }
        lock.hold();
        held.store(1, Ordering::Release);
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    };
    let child = fork::<_, ()>(hold).expect("fork");
    while held.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    wait_until_asleep(&child);
    child
}

fn reap(child: &Child) {
    child.join().expect("join");
}

/// A waiter on processor 0 is blocked; it is told. The holder's process has so many threads. Median of at most 32 deaths.
pub fn waiter_inherits<L: Robust, const THREADS: usize>() -> Measurement {
    Box::new(|n| {
        let one = |_| {
            let lock = L::new();
            // SAFETY: an atomic; zero is valid.
            let told: SharedPage<AtomicU64> = unsafe { SharedPage::zeroed() };
            let holder = holder(&lock, THREADS);
            let wait = || {
                pin(0);
                // SAFETY: takes an integer.
                unsafe { libc::alarm(60) };
                told.store(lock.inherit(), Ordering::Release);
            };
            let waiter = fork(wait).expect("fork");
            wait_until_asleep(&waiter);
            let killed = now();
            holder.kill().expect("kill");
            assert!(waiter.join().expect("join").success());
            reap(&holder);
            (told.load(Ordering::Acquire) - killed) as f64
        };
        Sample::plain(median((0..n.clamp(1, 32)).map(one).collect()))
    })
}

/// Nobody waits; the killer locks at once. Median of at most 32 deaths.
pub fn killer_inherits<L: Robust>() -> Measurement {
    Box::new(|n| {
        let one = |_| {
            let lock = L::new();
            let holder = holder(&lock, 1);
            let killed = now();
            holder.kill().expect("kill");
            let took = (lock.inherit() - killed) as f64;
            reap(&holder);
            took
        };
        Sample::plain(median((0..n.clamp(1, 32)).map(one).collect()))
    })
}
