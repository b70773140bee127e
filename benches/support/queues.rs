//! Messages: ours between processes, crossbeam's between threads, and the bare cache line below both.

use super::sides::{Between, Lap, Line, SharedPage, elapsed};
use super::{Measurement, Sample};
use crossbeam_queue::ArrayQueue;
use interproc::queue::Queue;
use interproc::{Plain, Segment};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 1024;
/// Ends a stream.
const STOP: u64 = u64::MAX;
/// Rounds of a ping-pong before the clock starts: members are registered then, and pages are there.
const WARM: u64 = 32;

/// A bounded queue of messages of `W` words.
pub trait Ring<const W: usize>: Sync {
    /// Where its users run.
    const BETWEEN: Between;
    /// Two empty ones, in one place.
    fn two() -> [Self; 2]
    where
        Self: Sized;
    /// An empty one.
    fn new() -> Self
    where
        Self: Sized,
    {
        let [one, _] = Self::two();
        one
    }
    /// False when it is full.
    fn offer(&self, message: [u64; W]) -> bool;
    /// `None` when it is empty.
    fn take(&self) -> Option<[u64; W]>;
}

/// This crate's.
pub type Ours<const W: usize> = Queue<[u64; W]>;
/// crossbeam's.
pub type Array<const W: usize> = ArrayQueue<[u64; W]>;

impl<const W: usize> Ring<W> for Ours<W>
where
    [u64; W]: Plain,
{
    const BETWEEN: Between = Between::Processes;
    fn two() -> [Self; 2] {
        let segment = Segment::anonymous(1 << 19).expect("segment");
        ["one", "two"].map(|name| segment.queue(name, CAPACITY).expect("queue"))
    }
    #[inline(always)]
    fn offer(&self, message: [u64; W]) -> bool {
        self.try_push(message).is_ok()
    }
    #[inline(always)]
    fn take(&self) -> Option<[u64; W]> {
        self.try_pop().ok()
    }
}

impl<const W: usize> Ring<W> for Array<W> {
    const BETWEEN: Between = Between::Threads;
    fn two() -> [Self; 2] {
        [ArrayQueue::new(CAPACITY), ArrayQueue::new(CAPACITY)]
    }
    #[inline(always)]
    fn offer(&self, message: [u64; W]) -> bool {
        self.push(message).is_ok()
    }
    #[inline(always)]
    fn take(&self) -> Option<[u64; W]> {
        self.pop()
    }
}

/// A number, in every word.
#[inline(always)]
pub fn message<const W: usize>(number: u64) -> [u64; W] {
    [number; W]
}

/// Every word is looked at: a compiler that sees all of a ring moves only what somebody looks at.
#[inline(always)]
pub fn number<const W: usize>(message: [u64; W]) -> u64 {
    let torn = message.iter().fold(0, |torn, word| torn | word ^ message[0]);
    assert!(torn == 0, "a torn message");
    message[0]
}

/// Push and pop, one thread.
pub fn push_pop<const W: usize, Q: Ring<W> + 'static>() -> Measurement {
    let queue = Q::new();
    Box::new(move |n| {
        let lap = Lap::of(|| {
            for i in 0..n {
                assert!(black_box(&queue).offer(message(i)));
                assert!(queue.take().map(number) == Some(i));
            }
            (n, 0)
        });
        Sample::plain(lap.ns_each(n))
    })
}

/// What to do between two tries: `PAUSE`; and where sides share a processor, give it away now and then.
struct Relax {
    crowded: bool,
    tries: u32,
}

impl Relax {
    #[inline(always)]
    fn relax(&mut self) {
        self.tries = self.tries.wrapping_add(1);
        if self.crowded && self.tries.is_multiple_of(64) {
            std::thread::yield_now();
        } else {
            spin_loop();
        }
    }
}

/// Messages from producers, in the first half of `processors`, to as many consumers. Each must arrive once, and
/// in its producer's order.
pub fn stream<const W: usize, Q: Ring<W> + 'static>(processors: &'static [usize]) -> Measurement {
    let pairs = processors.len() / 2;
    Box::new(move |n| {
        let queue = Q::new();
        let share = (n / pairs as u64).max(1);
        let produce = |side: u64| {
            let mut relax = Relax { crowded: pairs > 1, tries: 0 };
            for i in (0..share).map(|i| i << 2 | side).chain([STOP]) {
                while !queue.offer(message(i)) {
                    relax.relax();
                }
            }
            (0, 0)
        };
        let consume = || {
            let mut relax = Relax { crowded: pairs > 1, tries: 0 };
            let (mut next, mut count, mut sum) = ([0; 4], 0, 0);
            loop {
                let Some(i) = queue.take().map(number) else {
                    relax.relax();
                    continue;
                };
                if i == STOP {
                    return (count, sum);
                }
                let next = &mut next[(i & 3) as usize];
                assert!(*next <= i, "out of order");
                *next = i + 1;
                count += 1;
                sum += i;
            }
        };
        let laps = Q::BETWEEN.run(processors, |side, _| {
            Lap::of(|| if side < pairs { produce(side as u64) } else { consume() })
        });
        let count: u64 = laps.iter().map(|l| l.count).sum();
        let sum: u64 = laps.iter().map(|l| l.check).sum();
        let sent: u64 = (0..pairs as u64).map(|p| share * (share - 1) * 2 + share * p).sum();
        assert_eq!((count, sum), (share * pairs as u64, sent), "lost or doubled");
        Sample::plain(elapsed(&laps) as f64 / count as f64)
    })
}

/// There and back `n` times between two sides, half of it counted. `send(to, i)`, `receive(side, i)` until `i` comes.
pub fn there_and_back(
    between: Between,
    processors: &[usize],
    n: u64,
    send: impl Fn(usize, u64) + Sync,
    receive: impl Fn(usize, u64) + Sync,
) -> Sample {
    let round = |side: usize, i: u64| {
        if side == 0 {
            send(1, i);
            receive(0, i);
        } else {
            receive(1, i);
            send(0, i);
        }
    };
    let laps = between.run(processors, |side, _| {
        (1..=WARM).for_each(|i| round(side, i));
        Lap::of(|| {
            (WARM + 1..=WARM + n).for_each(|i| round(side, i));
            (n, 0)
        })
    });
    Sample::plain(laps[0].ns_each(n) / 2.0)
}

/// A ping-pong through two queues, spinning.
pub fn ping_pong<const W: usize, Q: Ring<W> + 'static>() -> Measurement {
    Box::new(|n| {
        let queues = Q::two();
        let send = |to: usize, i| assert!(queues[to].offer(message(i)));
        let receive = |side: usize, i| {
            loop {
                match queues[side].take() {
                    Some(message) => return assert_eq!(number(message), i),
                    None => spin_loop(),
                }
            }
        };
        there_and_back(Q::BETWEEN, &[0, 1], n, send, receive)
    })
}

/// The same through two cache lines: what the machine allows.
pub fn cache_line() -> Measurement {
    Box::new(|n| {
        // SAFETY: atomics; zero is valid.
        let lines: SharedPage<[Line<AtomicU64>; 2]> = unsafe { SharedPage::zeroed() };
        let send = |to: usize, i| lines[to].0.store(i, Ordering::Release);
        let receive = |side: usize, i| {
            while lines[side].0.load(Ordering::Acquire) != i {
                spin_loop();
            }
        };
        there_and_back(Between::Processes, &[0, 1], n, send, receive)
    })
}
