//! One producer, one consumer: ours between processes, rtrb between threads, and the least that such a ring can be.

use super::queues::{message, number, there_and_back};
use super::sides::{Between, Lap, Line, SharedPage, elapsed};
use super::{Measurement, Sample};
use interproc::queue::spsc::{Consumer, Producer};
use interproc::{Plain, Segment};
use std::cell::UnsafeCell;
use std::hint::{black_box, spin_loop};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 1024;
/// Messages of a batch.
const BATCH: usize = 16;

/// A ring of messages of `W` words between two sides, which each takes its end of.
pub trait Link<const W: usize>: Sync {
    /// Where its users run.
    const BETWEEN: Between;
    /// One side's end.
    type Sends;
    /// The other's.
    type Receives;
    /// Two empty ones.
    fn two() -> [Self; 2]
    where
        Self: Sized;
    /// Called once, by the side that sends.
    fn sends(&self) -> Self::Sends;
    /// Called once, by the side that receives.
    fn receives(&self) -> Self::Receives;
    /// False when it is full.
    fn offer(end: &mut Self::Sends, message: [u64; W]) -> bool;
    /// `None` when it is empty.
    fn take(end: &mut Self::Receives) -> Option<[u64; W]>;
    /// Sends what is left.
    fn flush(_: &mut Self::Sends) {}
}

/// This crate's.
pub struct Ours(Segment, &'static str);

impl Ours {
    fn both() -> [Self; 2] {
        let segment = Segment::anonymous(1 << 22).expect("segment");
        ["one", "two"].map(|name| Ours(segment.clone(), name))
    }
}

impl<const W: usize> Link<W> for Ours
where
    [u64; W]: Plain,
{
    const BETWEEN: Between = Between::Processes;
    type Sends = Producer<[u64; W]>;
    type Receives = Consumer<[u64; W]>;
    fn two() -> [Self; 2] {
        Ours::both()
    }
    fn sends(&self) -> Self::Sends {
        self.0.spsc_producer(self.1, CAPACITY).expect("a seat")
    }
    fn receives(&self) -> Self::Receives {
        self.0.spsc_consumer(self.1, CAPACITY).expect("a seat")
    }
    #[inline(always)]
    fn offer(end: &mut Self::Sends, message: [u64; W]) -> bool {
        end.try_push(message).is_ok()
    }
    #[inline(always)]
    fn take(end: &mut Self::Receives) -> Option<[u64; W]> {
        end.try_pop().ok()
    }
}

/// This crate's, publishing and freeing every [`BATCH`].
pub struct OursSeldom(Ours);

impl<const W: usize> Link<W> for OursSeldom
where
    [u64; W]: Plain,
{
    const BETWEEN: Between = Between::Processes;
    type Sends = Producer<[u64; W]>;
    type Receives = Consumer<[u64; W]>;
    fn two() -> [Self; 2] {
        Ours::both().map(OursSeldom)
    }
    fn sends(&self) -> Self::Sends {
        let mut end = Link::<W>::sends(&self.0);
        end.publish_every(BATCH);
        end
    }
    fn receives(&self) -> Self::Receives {
        let mut end = Link::<W>::receives(&self.0);
        end.free_every(BATCH).expect("seated");
        end
    }
    #[inline(always)]
    fn offer(end: &mut Self::Sends, message: [u64; W]) -> bool {
        end.try_push(message).is_ok()
    }
    #[inline(always)]
    fn take(end: &mut Self::Receives) -> Option<[u64; W]> {
        end.try_pop().ok()
    }
    fn flush(end: &mut Self::Sends) {
        end.flush().expect("open");
    }
}

type RtrbEnds<const W: usize> = (Option<rtrb::Producer<[u64; W]>>, Option<rtrb::Consumer<[u64; W]>>);

/// rtrb's: the ends wait for the threads that take them.
pub struct Rtrb<const W: usize>(Mutex<RtrbEnds<W>>);

impl<const W: usize> Link<W> for Rtrb<W> {
    const BETWEEN: Between = Between::Threads;
    type Sends = rtrb::Producer<[u64; W]>;
    type Receives = rtrb::Consumer<[u64; W]>;
    fn two() -> [Self; 2] {
        [(); 2].map(|()| {
            let (sends, receives) = rtrb::RingBuffer::new(CAPACITY);
            Rtrb(Mutex::new((Some(sends), Some(receives))))
        })
    }
    fn sends(&self) -> Self::Sends {
        self.0.lock().expect("no panic").0.take().expect("called once")
    }
    fn receives(&self) -> Self::Receives {
        self.0.lock().expect("no panic").1.take().expect("called once")
    }
    #[inline(always)]
    fn offer(end: &mut Self::Sends, message: [u64; W]) -> bool {
        end.push(message).is_ok()
    }
    #[inline(always)]
    fn take(end: &mut Self::Receives) -> Option<[u64; W]> {
        end.pop().ok()
    }
}

/// The least that such a ring can be: no sleepers, no deaths, no end. Publishes and frees every [`BATCH`].
pub struct Least<const W: usize>(SharedPage<LeastRing<W>>);

struct LeastRing<const W: usize> {
    tail: Line<AtomicU64>,
    head: Line<AtomicU64>,
    slots: [UnsafeCell<[u64; W]>; CAPACITY],
}

/// An end of it: the ring, its own position and place, what it has told and what it knows of the other one.
pub struct LeastEnd<const W: usize> {
    ring: *const LeastRing<W>,
    at: u64,
    told: u64,
    known: u64,
}

// SAFETY: a slot is one side's at a time.
unsafe impl<const W: usize> Sync for Least<W> {}

impl<const W: usize> Least<W> {
    fn end(&self) -> LeastEnd<W> {
        LeastEnd { ring: &raw const *self.0, at: 0, told: 0, known: 0 }
    }
}

impl<const W: usize> Link<W> for Least<W> {
    const BETWEEN: Between = Between::Processes;
    type Sends = LeastEnd<W>;
    type Receives = LeastEnd<W>;
    fn two() -> [Self; 2] {
        // SAFETY: atomics and integers; zero is valid.
        [(); 2].map(|()| Least(unsafe { SharedPage::zeroed() }))
    }
    fn sends(&self) -> LeastEnd<W> {
        self.end()
    }
    fn receives(&self) -> LeastEnd<W> {
        self.end()
    }
    #[inline(always)]
    fn offer(end: &mut LeastEnd<W>, message: [u64; W]) -> bool {
        // SAFETY: mapped as long as the link.
        let ring = unsafe { &*end.ring };
        if end.at - end.known == CAPACITY as u64 {
            end.known = ring.head.0.load(Ordering::Acquire);
            if end.at - end.known == CAPACITY as u64 {
                Least::flush(end);
                return false;
            }
        }
        // SAFETY: free by the counts.
        unsafe { ring.slots[end.at as usize % CAPACITY].get().write(message) };
        end.at += 1;
        if end.at - end.told >= BATCH as u64 {
            Least::flush(end);
        }
        true
    }
    #[inline(always)]
    fn take(end: &mut LeastEnd<W>) -> Option<[u64; W]> {
        // SAFETY: mapped as long as the link.
        let ring = unsafe { &*end.ring };
        if end.at == end.known {
            end.known = ring.tail.0.load(Ordering::Acquire);
            if end.at == end.known {
                if end.told != end.at {
                    end.told = end.at;
                    ring.head.0.store(end.at, Ordering::Release);
                }
                return None;
            }
        }
        // SAFETY: published by the counts.
        let message = unsafe { ring.slots[end.at as usize % CAPACITY].get().read() };
        end.at += 1;
        if end.at - end.told >= BATCH as u64 {
            end.told = end.at;
            ring.head.0.store(end.at, Ordering::Release);
        }
        Some(message)
    }
    #[inline(always)]
    fn flush(end: &mut LeastEnd<W>) {
        end.told = end.at;
        // SAFETY: mapped as long as the link.
        unsafe { &*end.ring }.tail.0.store(end.at, Ordering::Release);
    }
}

/// Push and pop, one thread.
pub fn push_pop<const W: usize, L: Link<W> + 'static>() -> Measurement
where
    L::Sends: 'static,
    L::Receives: 'static,
{
    let [link, _] = L::two();
    let (mut sends, mut receives) = (link.sends(), link.receives());
    Box::new(move |n| {
        let _ = &link;
        let lap = Lap::of(|| {
            for i in 0..n {
                assert!(L::offer(black_box(&mut sends), message(i)));
                assert!(L::take(black_box(&mut receives)).map(number) == Some(i));
            }
            (n, 0)
        });
        Sample::plain(lap.ns_each(n))
    })
}

/// Messages from one side to the other. Each must arrive once, and in order.
pub fn stream<const W: usize, L: Link<W> + 'static>() -> Measurement {
    Box::new(|n| {
        let [link, _] = L::two();
        let laps = L::BETWEEN.run(&[0, 1], |side, _| {
            if side == 0 {
                let mut end = link.sends();
                Lap::of(|| {
                    for i in 0..n {
                        while !L::offer(&mut end, message(i)) {
                            spin_loop();
                        }
                    }
                    L::flush(&mut end);
                    (0, 0)
                })
            } else {
                let mut end = link.receives();
                Lap::of(|| {
                    for i in 0..n {
                        let got = loop {
                            match L::take(&mut end) {
                                Some(message) => break number(message),
                                None => spin_loop(),
                            }
                        };
                        assert!(got == i, "{got} instead of {i}");
                    }
                    (n, 0)
                })
            }
        });
        Sample::plain(elapsed(&laps) as f64 / n as f64)
    })
}

/// The same by our batches.
pub fn batches<const W: usize>() -> Measurement
where
    [u64; W]: Plain,
{
    Box::new(|n| {
        let n = n.next_multiple_of(BATCH as u64);
        let [link, _] = Ours::both();
        let laps = Between::Processes.run(&[0, 1], |side, _| {
            if side == 0 {
                let mut end: Producer<[u64; W]> = link.0.spsc_producer("one", CAPACITY).expect("a seat");
                Lap::of(|| {
                    for i in (0..n).step_by(BATCH) {
                        let batch: [[u64; W]; BATCH] = std::array::from_fn(|k| message(i + k as u64));
                        let mut sent = 0;
                        while sent < BATCH {
                            match end.try_push_batch(&batch[sent..]) {
                                Ok(some) => sent += some,
                                Err(_) => spin_loop(),
                            }
                        }
                    }
                    (0, 0)
                })
            } else {
                let mut end: Consumer<[u64; W]> = link.0.spsc_consumer("one", CAPACITY).expect("a seat");
                Lap::of(|| {
                    let mut into = [[0; W]; BATCH];
                    let mut next = 0;
                    while next < n {
                        let Ok(count) = end.try_pop_batch(&mut into) else {
                            spin_loop();
                            continue;
                        };
                        for &got in &into[..count] {
                            assert!(number(got) == next, "out of order");
                            next += 1;
                        }
                    }
                    (n, 0)
                })
            }
        });
        Sample::plain(elapsed(&laps) as f64 / n as f64)
    })
}

/// The same by our chunks, written and read where they lie.
pub fn chunks<const W: usize>() -> Measurement
where
    [u64; W]: Plain,
{
    Box::new(|n| {
        let n = n.next_multiple_of(BATCH as u64);
        let [link, _] = Ours::both();
        let laps = Between::Processes.run(&[0, 1], |side, _| {
            if side == 0 {
                let mut end: Producer<[u64; W]> = link.0.spsc_producer("one", CAPACITY).expect("a seat");
                Lap::of(|| {
                    for i in (0..n).step_by(BATCH) {
                        let mut chunk = loop {
                            match end.try_reserve(BATCH) {
                                Ok(chunk) => break chunk,
                                Err(_) => spin_loop(),
                            }
                        };
                        let (a, b) = chunk.as_mut_slices();
                        let rest = i + a.len() as u64;
                        a.iter_mut().zip(i..).for_each(|(slot, i)| *slot = message(i));
                        b.iter_mut().zip(rest..).for_each(|(slot, i)| *slot = message(i));
                        chunk.commit_all().expect("open");
                    }
                    (0, 0)
                })
            } else {
                let mut end: Consumer<[u64; W]> = link.0.spsc_consumer("one", CAPACITY).expect("a seat");
                Lap::of(|| {
                    for i in (0..n).step_by(BATCH) {
                        let chunk = loop {
                            match end.try_borrow(BATCH) {
                                Ok(chunk) => break chunk,
                                Err(_) => spin_loop(),
                            }
                        };
                        let (a, b) = chunk.as_slices();
                        let right = |piece: &[[u64; W]], i: u64| {
                            piece.iter().zip(i..).all(|(&slot, i)| number(slot) == i)
                        };
                        assert!(right(a, i) && right(b, i + a.len() as u64), "out of order");
                        chunk.release_all();
                    }
                    (n, 0)
                })
            }
        });
        Sample::plain(elapsed(&laps) as f64 / n as f64)
    })
}

/// A ping-pong through two of them, spinning.
pub fn ping_pong<const W: usize, L: Link<W> + 'static>() -> Measurement {
    Box::new(|n| {
        let links = L::two();
        // Each side takes its ends at its first turn.
        struct Ends<S, R>(UnsafeCell<[(Option<S>, Option<R>); 2]>);
        // SAFETY: each side uses its own pair only.
        unsafe impl<S, R> Sync for Ends<S, R> {}
        impl<S, R> Ends<S, R> {
            fn of(&self, side: usize) -> *mut (Option<S>, Option<R>) {
                // SAFETY: in bounds.
                unsafe { self.0.get().cast::<(Option<S>, Option<R>)>().add(side) }
            }
        }
        let ends: Ends<L::Sends, L::Receives> = Ends(UnsafeCell::new([(None, None), (None, None)]));
        let send = |to: usize, i| {
            // SAFETY: the caller's side is the other one; see above.
            let (end, _) = unsafe { &mut *ends.of(1 - to) };
            assert!(L::offer(end.get_or_insert_with(|| links[to].sends()), message(i)));
        };
        let receive = |side: usize, i| {
            // SAFETY: as above.
            let (_, end) = unsafe { &mut *ends.of(side) };
            let end = end.get_or_insert_with(|| links[side].receives());
            loop {
                match L::take(end) {
                    Some(message) => return assert_eq!(number(message), i),
                    None => spin_loop(),
                }
            }
        };
        there_and_back(L::BETWEEN, &[0, 1], n, send, receive)
    })
}
