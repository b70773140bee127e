//! A publisher and a subscriber in two processes, whosever they are, and the two ways in which they are timed.

use crate::Measurement;
use crate::sides::{Lap, SharedPage, Stage, processes};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Messages that a slow subscriber may be behind by, where it can be said in messages.
pub const CAPACITY: usize = 1024;

/// Publish-subscribe of messages of `W` words between two sides, of which each publishes for the other one.
pub trait Way<const W: usize> {
    /// What a side holds.
    type Ends<'a>
    where
        Self: 'a;

    /// Made before the sides are born.
    fn new() -> Self;

    /// In a side's process: its ends, once the other side's are there, so that nothing is published to nobody.
    fn ends(&self, side: usize) -> Self::Ends<'_>;

    /// Publishes a message, waiting for a slow subscriber: nothing may be lost.
    fn publish(ends: &mut Self::Ends<'_>, message: &[u64; W]);

    /// Waits until messages have come, and hands `each` all that one call of the library gives.
    fn receive(ends: &mut Self::Ends<'_>, each: impl FnMut(&[u64; W]));
}

/// A name that nothing else has. Called before the sides are born, which have it then.
pub fn unique(what: &str) -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("{what}-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed))
}

/// What is published: one buffer, whose ends say its number. It is copied whole, as nobody knows what is in it.
struct Stamped<const W: usize>([u64; W]);

impl<const W: usize> Stamped<W> {
    fn new() -> Self {
        Stamped([0x5a; W])
    }

    #[inline(always)]
    fn number(&mut self, number: u64) -> &[u64; W] {
        (self.0[0], self.0[W - 1]) = (number, number);
        black_box(&self.0)
    }
}

#[inline(always)]
fn check<const W: usize>(message: &[u64; W], number: u64) {
    let message = black_box(message);
    assert!(message[0] == number && message[W - 1] == number, "{message:?} instead of {number}");
}

/// So many messages that Aeron's log, 48 MiB with a header of 32 bytes for each, is there before anything is timed. The same for all.
const fn warm_up(words: usize) -> u64 {
    (50 << 20) / (32 + 8 * words).next_multiple_of(32) as u64
}

/// Two sides, each with its ends, begin when both have them.
fn two<const W: usize, P: Way<W>>(f: impl Fn(usize, &mut P::Ends<'_>, &Stage) -> Lap) -> Vec<Lap> {
    let way = P::new();
    // SAFETY: an atomic; zero is valid.
    let ready: SharedPage<AtomicU32> = unsafe { SharedPage::zeroed() };
    processes(&[0, 1], |side, stage| {
        let mut ends = way.ends(side);
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        f(side, &mut ends, stage)
    })
}

/// Messages as fast as they go: nanoseconds for each, at the subscriber, which checks that each comes once and in order.
pub fn stream<const W: usize, P: Way<W>>() -> Measurement {
    Box::new(|n| {
        let laps = two::<W, P>(|side, ends, stage| {
            let warm = warm_up(W);
            if side == 0 {
                let mut message = Stamped::new();
                (0..warm + n).for_each(|i| P::publish(ends, message.number(i)));
                wait_for_the_end(stage); // what is published lives no longer than its publisher
                return Lap::of(|| (n, 0));
            }
            let mut next = 0;
            let mut until = |ends: &mut P::Ends<'_>, end| {
                while next < end {
                    P::receive(ends, |message| {
                        check(message, next);
                        next += 1;
                    });
                }
                next
            };
            // Many may come in one call, so the first part may end late.
            let began = until(ends, warm);
            let lap = Lap::of(|| (until(ends, warm + n) - began, 0));
            stage.end();
            assert_eq!(next, warm + n, "all of them, and no more");
            lap
        });
        laps[1].ns_each(laps[1].count)
    })
}

fn wait_for_the_end(stage: &Stage) {
    while !stage.is_over() {
        std::thread::yield_now();
    }
}

/// Half of the way there and back.
pub fn ping_pong<const W: usize, P: Way<W>>() -> Measurement {
    Box::new(|n| {
        let laps = two::<W, P>(|side, ends, stage| {
            let mut message = Stamped::new();
            let warm = 20_000;
            let mut pass = |i| {
                if side == 0 {
                    P::publish(ends, message.number(i));
                }
                let mut came = 0;
                P::receive(ends, |message| {
                    check(message, i);
                    came += 1;
                });
                assert_eq!(came, 1, "messages {i}");
                if side == 1 {
                    P::publish(ends, message.number(i));
                }
            };
            (0..warm).for_each(&mut pass);
            let lap = Lap::of(|| {
                (warm..warm + n).for_each(&mut pass);
                (n, 0)
            });
            if side == 0 {
                stage.end();
            }
            wait_for_the_end(stage);
            lap
        });
        laps[0].ns_each(n) / 2.0
    })
}
