//! Large messages where they lie, the push that displaces, and the latest value.

use super::queues::{Ours, there_and_back};
use super::sides::{Between, Lap, SharedPage, elapsed};
use super::{Measurement, Sample};
use crossbeam_queue::ArrayQueue;
use interproc::Segment;
use interproc::queue::{Latest, Queue};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The words of 1 MiB.
const LARGE: usize = 1 << 17;
type Frame = [u64; LARGE];

fn frames() -> [Queue<Frame>; 2] {
    let segment = Segment::anonymous(5 << 20).expect("segment");
    ["one", "two"].map(|name| segment.queue(name, 2).expect("queue"))
}

/// 1 MiB there and back, written and read where it lies: its first and last word, or all of it.
pub fn hand_over(touched: bool) -> Measurement {
    Box::new(move |n| {
        let queues = frames();
        let send = |to: usize, i| {
            let mut frame = queues[to].try_reserve().expect("room");
            if touched {
                frame.fill(i);
            } else {
                (frame[0], frame[LARGE - 1]) = (i, i);
            }
            frame.commit().expect("ours");
        };
        let receive = |side: usize, i| {
            loop {
                let Ok(frame) = queues[side].try_borrow() else {
                    spin_loop();
                    continue;
                };
                if touched {
                    assert!(frame.iter().all(|&word| word == i));
                }
                return assert!(frame[0] == i && frame[LARGE - 1] == i);
            }
        };
        there_and_back(Between::Processes, &[0, 1], n, send, receive)
    })
}

/// The same with a message of 8 bytes.
pub fn hand_over_small() -> Measurement {
    Box::new(move |n| {
        let segment = Segment::anonymous(1 << 16).expect("segment");
        let queues: [Queue<u64>; 2] = ["one", "two"].map(|name| segment.queue(name, 2).expect("queue"));
        let send = |to: usize, i| {
            let mut place = queues[to].try_reserve().expect("room");
            *place = i;
            place.commit().expect("ours");
        };
        let receive = |side: usize, i| {
            loop {
                let Ok(message) = queues[side].try_borrow() else {
                    spin_loop();
                    continue;
                };
                return assert!(*message == i);
            }
        };
        there_and_back(Between::Processes, &[0, 1], n, send, receive)
    })
}

/// All of 1 MiB there and back, made outside and copied in and out.
pub fn copied() -> Measurement {
    Box::new(move |n| {
        let queues = frames();
        let send = |to: usize, i| {
            let mut frame = vec![i; LARGE];
            black_box(&mut frame);
            let frame: &Frame = frame.as_slice().try_into().expect("so many words");
            queues[to].try_push_batch(std::slice::from_ref(frame)).expect("room");
        };
        let receive = |side: usize, i| {
            let mut frame = vec![[0; LARGE]; 1];
            while queues[side].try_pop_batch(&mut frame).is_err() {
                spin_loop();
            }
            assert!(frame[0].iter().all(|&word| word == i));
        };
        there_and_back(Between::Processes, &[0, 1], n, send, receive)
    })
}

/// A push into a full queue, which displaces.
pub fn forced() -> Measurement {
    let segment = Segment::anonymous(1 << 16).expect("segment");
    let queue: Ours<1> = segment.queue("queue", 64).expect("queue");
    Box::new(move |n| {
        let lap = Lap::of(|| {
            (0..n).for_each(|i| _ = black_box(queue.force_push([i]).expect("nobody else")));
            (n, 0)
        });
        Sample::plain(lap.ns_each(n))
    })
}

/// crossbeam's.
pub fn forced_array() -> Measurement {
    let queue = ArrayQueue::new(64);
    Box::new(move |n| {
        let lap = Lap::of(|| {
            (0..n).for_each(|i| _ = black_box(queue.force_push([i])));
            (n, 0)
        });
        Sample::plain(lap.ns_each(n))
    })
}

const WORDS: usize = 8;
type Value = [u64; WORDS];

/// The newest of something.
pub trait Newest: Sync {
    /// One, with zeros.
    fn new() -> Self;
    /// The value.
    fn read(&self) -> Value;
    /// Another value.
    fn write(&self, value: Value);
}

impl Newest for Latest<Value> {
    fn new() -> Self {
        Segment::anonymous(1 << 16).expect("segment").latest("latest", [0; WORDS]).expect("latest")
    }
    #[inline(always)]
    fn read(&self) -> Value {
        self.get().expect("sound")
    }
    fn write(&self, value: Value) {
        self.set(value).expect("set");
    }
}

/// A number that is odd while the value is written, and the value: for one writer.
pub struct Seqlock(SharedPage<(AtomicU64, [AtomicU64; WORDS])>);

impl Newest for Seqlock {
    fn new() -> Self {
        // SAFETY: atomics; zero is valid.
        Seqlock(unsafe { SharedPage::zeroed() })
    }
    #[inline(always)]
    fn read(&self) -> Value {
        let (number, words) = &*self.0;
        loop {
            let before = number.load(Ordering::Acquire);
            let value = std::array::from_fn(|i| words[i].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before & 1 == 0 && number.load(Ordering::Relaxed) == before {
                return value;
            }
            spin_loop();
        }
    }
    fn write(&self, value: Value) {
        let (number, words) = &*self.0;
        let before = number.load(Ordering::Relaxed);
        number.store(before + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        words.iter().zip(value).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        number.store(before + 2, Ordering::Release);
    }
}

/// Reads of 64 bytes that nobody sets.
pub fn reading<N: Newest + 'static>() -> Measurement {
    let newest = N::new();
    newest.write([1; WORDS]);
    Box::new(move |n| {
        let lap = Lap::of(|| {
            (0..n).for_each(|_| assert!(black_box(&newest).read()[WORDS - 1] == 1));
            (n, 0)
        });
        Sample::plain(lap.ns_each(n))
    })
}

/// Reads of 64 bytes in one process while another one sets all the time.
pub fn reading_beside_a_writer<N: Newest + 'static>(processors: &'static [usize]) -> Measurement {
    Box::new(move |n| {
        let newest = N::new();
        // SAFETY: an atomic; zero is valid.
        let over: SharedPage<AtomicU64> = unsafe { SharedPage::zeroed() };
        let laps = Between::Processes.run(processors, |side, _| {
            if side == 1 {
                let mut i = 0;
                while over.load(Ordering::Relaxed) == 0 {
                    i += 1;
                    newest.write([i; WORDS]);
                }
                return Lap::of(|| (0, 0));
            }
            let lap = Lap::of(|| {
                for _ in 0..n {
                    let value = newest.read();
                    assert!(value == [value[0]; WORDS], "torn");
                }
                (n, 0)
            });
            over.store(1, Ordering::Relaxed);
            lap
        });
        Sample::plain(elapsed(&laps[..1]) as f64 / n as f64)
    })
}

/// Sets of 64 bytes that nobody reads.
pub fn setting<N: Newest + 'static>() -> Measurement {
    let newest = N::new();
    Box::new(move |n| {
        let lap = Lap::of(|| {
            (0..n).for_each(|i| black_box(&newest).write([i; WORDS]));
            (n, 0)
        });
        Sample::plain(lap.ns_each(n))
    })
}
