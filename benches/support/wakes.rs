//! Hand-overs that sleep: our blocking push and pop against a bare futex.

use super::machine::{busy_wait, now};
use super::queues::there_and_back;
use super::sides::{Between, Lap, Line, SharedPage, processes};
use super::{Measurement, Sample, median};
use interproc::Segment;
use interproc::queue::Queue;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Something to be handed over, one way for each of two sides.
pub trait Baton: Sync {
    /// A new one.
    fn new() -> Self;
    /// Hands `i` to a side.
    fn give(&self, to: usize, i: u64);
    /// Sleeps until `i` comes.
    fn await_it(&self, side: usize, i: u64);
}

/// Two of our queues.
pub struct Ours([Queue<u64>; 2]);

impl Baton for Ours {
    fn new() -> Self {
        let segment = Segment::anonymous(1 << 12).expect("segment");
        Ours(["there", "back"].map(|name| segment.queue(name, 16).expect("queue")))
    }
    fn give(&self, to: usize, i: u64) {
        self.0[to].push(i).expect("push");
    }
    fn await_it(&self, side: usize, i: u64) {
        assert_eq!(self.0[side].pop().expect("pop"), i);
    }
}

/// Two words that are slept on.
pub struct Futex(SharedPage<[Line<AtomicU32>; 2]>);

impl Futex {
    fn call(word: &AtomicU32, operation: i32, value: u32) {
        let no_time = std::ptr::null::<libc::timespec>();
        // SAFETY: the word is alive; there is no time.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, no_time) };
    }
}

impl Baton for Futex {
    fn new() -> Self {
        // SAFETY: atomics; zero is valid.
        Futex(unsafe { SharedPage::zeroed() })
    }
    fn give(&self, to: usize, i: u64) {
        let word = &self.0[to].0;
        word.store(i as u32, Ordering::Release);
        Self::call(word, libc::FUTEX_WAKE, 1);
    }
    fn await_it(&self, side: usize, i: u64) {
        let word = &self.0[side].0;
        loop {
            let seen = word.load(Ordering::Acquire);
            if seen == i as u32 {
                return;
            }
            Self::call(word, libc::FUTEX_WAIT, seen);
        }
    }
}

/// A ping-pong without a pause: whoever spins before it sleeps meets its partner awake.
pub fn tight<B: Baton>(processors: &'static [usize]) -> Measurement {
    Box::new(move |n| {
        let baton = B::new();
        let (give, take) = (|to, i| baton.give(to, i), |side, i| baton.await_it(side, i));
        there_and_back(Between::Processes, processors, n, give, take)
    })
}

/// Longer than anybody spins.
const PAUSE_NS: u64 = 100_000;

/// One hand-over in a while to a side that is asleep by then: from just before it to the sleeper's return. The
/// median of `n`.
pub fn asleep<B: Baton>(processors: &'static [usize]) -> Measurement {
    Box::new(move |n| {
        let n = n.clamp(8, MOST as u64);
        let baton = B::new();
        // SAFETY: atomics; zero is valid.
        let times: SharedPage<[[AtomicU64; 2]; MOST]> = unsafe { SharedPage::zeroed() };
        processes(processors, |side, _| {
            for i in 1..=n {
                let stamp = |which: usize| times[i as usize - 1][which].store(now(), Ordering::Relaxed);
                if side == 0 {
                    busy_wait(PAUSE_NS);
                    stamp(0);
                    baton.give(1, i);
                    // Answered, so that the next one finds the other side asleep again.
                    baton.await_it(0, i);
                } else {
                    baton.await_it(1, i);
                    stamp(1);
                    baton.give(0, i);
                }
            }
            Lap::of(|| (n, 0))
        });
        let latency = |t: &[AtomicU64; 2]| {
            let [from, to] = t.each_ref().map(|t| t.load(Ordering::Relaxed));
            (to - from) as f64
        };
        Sample::plain(median(times[..n as usize].iter().map(latency).collect()))
    })
}

/// The most hand-overs of one round.
const MOST: usize = 4096;
