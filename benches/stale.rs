//! How often a contended lock whose holder is killed is found by the net alone, because every sleeper watches an earlier
//! holder (window C6 of `RawMutex`), and how fairly many contenders share it.
//!
//! `cargo bench --bench stale -- CONTENDERS SECONDS INSIDE_NS [OUTSIDE_NS [DIES_EVERY]]`. Contenders are processes; one in
//! `DIES_EVERY` turns kills itself with the lock held, and is replaced when the next holder was told. Says how long the heirs took to be told.
#![allow(unsafe_code)]

#[allow(dead_code)]
mod support;

use interproc::sync::{LockError, Mutex};
use interproc::{Deadline, Segment};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use support::sides::SharedPage;

/// What all contenders write.
#[repr(C)]
struct Tally {
    over: AtomicU64,
    turns: [AtomicU64; 64],
    /// Heirs told within a millisecond, 5, 20, 40, and later. The net is at 50, counted from the falling asleep.
    told: [AtomicU64; 5],
    worst: AtomicU64,
    deaths: AtomicU64,
}

impl Tally {
    /// Whether all deaths were told of.
    fn all_told(&self) -> bool {
        self.told.iter().map(|t| t.load(Relaxed)).sum::<u64>() == self.deaths.load(Relaxed)
    }
}

const MS: u64 = 1_000_000;
const STEPS: [u64; 4] = [MS, 5 * MS, 20 * MS, 40 * MS];

fn now() -> u64 {
    Deadline::now().as_monotonic_ns()
}

/// Short ones busily, long ones asleep.
fn pass(ns: u64) {
    if ns >= 50_000 {
        return std::thread::sleep(std::time::Duration::from_nanos(ns));
    }
    let end = now() + ns;
    while ns > 0 && now() < end {
        std::hint::spin_loop();
    }
}

/// A small generator: the numbers need not be good.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn contend(lock: &Mutex<u64>, tally: &Tally, me: usize, mut seed: u64, [inside, outside, dies]: [u64; 3]) {
    while tally.over.load(Relaxed) == 0 {
        let mut died_at = match lock.lock() {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => {
                let took = now().saturating_sub(*died);
                let step = STEPS.iter().position(|&s| took < s).unwrap_or(STEPS.len());
                tally.told[step].fetch_add(1, Relaxed);
                tally.worst.fetch_max(took, Relaxed);
                died.mark_consistent()
            }
            Err(LockError::Failed(e)) => panic!("{e}"),
        };
        pass(inside);
        if dies > 0 && next(&mut seed) % dies == 0 {
            tally.deaths.fetch_add(1, Relaxed);
            *died_at = now();
            // SAFETY: takes integers.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
        drop(died_at);
        tally.turns[me].fetch_add(1, Relaxed);
        pass(outside);
    }
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let [n, seconds, inside, ref rest @ ..] = numbers[..] else {
        return println!("CONTENDERS SECONDS INSIDE_NS [OUTSIDE_NS [DIES_EVERY]]");
    };
    let load = [inside, rest.first().copied().unwrap_or(inside), rest.get(1).copied().unwrap_or(0)];
    let n = n.min(64) as usize;
    let seg = Segment::anonymous(4096).expect("segment");
    let lock = seg.object("lock", || Mutex::new(0u64)).expect("mutex");
    // SAFETY: atomics; zero is valid.
    let tally: SharedPage<Tally> = unsafe { SharedPage::zeroed() };
    let mut seed = now() | 1;
    let mut start = |me: usize| {
        let seed = next(&mut seed) | 1;
        // SAFETY: this program has one thread.
        match unsafe { libc::fork() } {
            0 => {
                contend(&lock, &tally, me, seed, load);
                // SAFETY: ends the child.
                unsafe { libc::_exit(0) }
            }
            pid => pid,
        }
    };
    let mut pids: Vec<_> = (0..n).map(&mut start).collect();
    let end = now() + seconds * 1000 * MS;
    loop {
        // SAFETY: waits for a child of ours.
        let gone = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
        if gone < 0 {
            break;
        } else if gone > 0 && tally.over.load(Relaxed) == 0 {
            // A newcomer would find the dead one by a look. Two nets: all may have died.
            let until = now() + 100 * MS;
            while !tally.all_told() && now() < until {
                std::thread::sleep(std::time::Duration::from_micros(100));
            }
            let me = pids.iter().position(|&p| p == gone).expect("ours");
            pids[me] = start(me);
        } else if gone == 0 {
            if now() > end {
                tally.over.store(1, Relaxed);
            }
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }
    let turns: Vec<u64> = tally.turns[..n].iter().map(|t| t.load(Relaxed)).collect();
    let (total, least) = (turns.iter().sum::<u64>(), turns.iter().min().copied().unwrap_or(0));
    let told: Vec<u64> = tally.told.iter().map(|t| t.load(Relaxed)).collect();
    println!(
        "{n} contenders, {} ns in, {} ns out: {} turns/ms, least share {:.2}; told within 1, 5, 20, 40 ms, later: {told:?}, worst {:.1} ms",
        load[0],
        load[1],
        total / (seconds * 1000),
        least as f64 * n as f64 / total.max(1) as f64,
        tally.worst.load(Relaxed) as f64 / 1e6,
    );
}
