//! The books of a round in which messages go from producers to consumers, who are killed at random: what was tried, what was
//! acknowledged, what came. And the killing.

use super::{Dice, PATIENCE, Totals, signal, slay};
use interproc::process::Child;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Zeroed memory that forked children share, and that is never unmapped.
///
/// # Safety
/// Zero bytes are a `T`, and all access is atomic.
pub unsafe fn shared<T: Sync>() -> &'static T {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping of the right size, never unmapped; the caller answers for the rest.
    unsafe {
        let p = libc::mmap(std::ptr::null_mut(), size_of::<T>(), access, flags, -1, 0);
        assert_ne!(p, libc::MAP_FAILED, "room for the books");
        &*p.cast::<T>()
    }
}

/// What can be wrong.
#[derive(Clone, Copy)]
pub enum Wrong {
    Torn,
    Disorder,
    Twice,
    GivenUp,
    Failed,
    TwoInside,
    Untold,
}

/// And how it is said.
const WRONGS: [(Wrong, &str); 7] = [
    (Wrong::Torn, "a message was torn"),
    (Wrong::Disorder, "a message was out of order"),
    (Wrong::Twice, "a message was delivered twice, and nobody was told"),
    (Wrong::GivenUp, "a message that was given up came out"),
    (Wrong::Failed, "an operation failed that must not"),
    (Wrong::TwoInside, "two in the critical section"),
    (Wrong::Untold, "half-changed data, and nobody was told"),
];

/// Memory that all processes share, apart from the segment under test. `MOST` messages of a producer in one round.
pub struct Books<const PRODUCERS: usize, const CONSUMERS: usize, const MOST: usize> {
    pub stop: AtomicBool,
    wrong: AtomicU32,
    /// By producer: the last number that it has tried.
    tried: [AtomicU64; PRODUCERS],
    acknowledged: [[AtomicU8; MOST]; PRODUCERS],
    delivered: [[AtomicU8; MOST]; PRODUCERS],
    /// By consumer and producer: the last number seen that was not redelivered.
    seen: [[AtomicU64; PRODUCERS]; CONSUMERS],
    /// How many were delivered in this round, and redelivered.
    moves: AtomicU64,
    redelivered: AtomicU64,
}

impl<const PRODUCERS: usize, const CONSUMERS: usize, const MOST: usize> Books<PRODUCERS, CONSUMERS, MOST> {
    /// Clean pages for the next round.
    pub fn wipe(&self) {
        self.stop.store(false, SeqCst);
        for producer in 0..PRODUCERS {
            for n in 0..=self.tried[producer].swap(0, SeqCst) as usize {
                self.acknowledged[producer][n].store(0, SeqCst);
                self.delivered[producer][n].store(0, SeqCst);
            }
        }
        let sums = [&self.moves, &self.redelivered];
        self.seen.iter().flatten().chain(sums).for_each(|n| n.store(0, SeqCst));
    }

    pub fn say(&self, wrong: Wrong) {
        self.wrong.fetch_or(1 << wrong as u32, SeqCst);
    }

    pub fn is_wrong(&self) -> bool {
        self.wrong.load(SeqCst) != 0
    }

    pub fn moves(&self) -> u64 {
        self.moves.load(SeqCst)
    }

    /// The next numbers of a producer, which tries them now, and goes on where the last one was killed. `None` when the books
    /// are full, or the round is over.
    pub fn next(&self, producer: usize, count: impl FnOnce(u64) -> u64) -> Option<Range<u64>> {
        let first = self.tried[producer].load(SeqCst) + 1;
        let numbers = first..first + count(first);
        if self.stop.load(SeqCst) || numbers.end as usize >= MOST {
            return None;
        }
        self.tried[producer].store(numbers.end - 1, SeqCst);
        Some(numbers)
    }

    pub fn acknowledged(&self, producer: usize, numbers: Range<u64>) {
        numbers.for_each(|n| self.acknowledged[producer][n as usize].store(1, SeqCst));
    }

    /// The last number of a producer that this consumer has seen, of those that came for the first time.
    pub fn seen(&self, consumer: usize, producer: usize) -> u64 {
        self.seen[consumer][producer].load(SeqCst)
    }

    /// Whether the last message of a producer that was acknowledged was delivered.
    pub fn has_last(&self, producer: usize) -> bool {
        let mut numbers = (1..=self.tried[producer].load(SeqCst) as usize).rev();
        let last = numbers.find(|&n| self.acknowledged[producer][n].load(SeqCst) == 1);
        last.is_none_or(|n| self.delivered[producer][n].load(SeqCst) > 0)
    }

    /// A consumer has this whole message in its hands, if there is such a one. `None`: nobody knows whether it comes again.
    pub fn sees(
        &self,
        consumer: usize,
        producer: u64,
        n: u64,
        again: Option<bool>,
    ) -> Option<(usize, usize)> {
        if producer as usize >= PRODUCERS || n == 0 || n as usize >= MOST {
            self.say(Wrong::Torn);
            return None;
        }
        match again {
            Some(true) => _ = self.redelivered.fetch_add(1, SeqCst),
            Some(false) if self.seen[consumer][producer as usize].swap(n, SeqCst) >= n => {
                self.say(Wrong::Disorder);
            }
            _ => {}
        }
        Some((producer as usize, n as usize))
    }

    /// It was delivered; more than once only if that is said of it.
    pub fn delivers(&self, (producer, n): (usize, usize), again: bool) {
        self.moves.fetch_add(1, SeqCst);
        if self.delivered[producer][n].fetch_add(1, SeqCst) > 0 && !again {
            self.say(Wrong::Twice);
        }
    }

    /// Compares what was pushed with what came out. The dead had so many `in_hands` at most; so many are `left`.
    pub fn balance(&self, in_hands: u64, left: u64, totals: &mut Totals) -> Result<(), String> {
        let wrong = self.wrong.load(SeqCst);
        let said: Vec<&str> = WRONGS.iter().filter(|w| wrong >> w.0 as u32 & 1 == 1).map(|w| w.1).collect();
        if !said.is_empty() {
            return Err(said.join("; "));
        }
        let mut missing = 0;
        for producer in 0..PRODUCERS {
            for n in 1..=self.tried[producer].load(SeqCst) as usize {
                let delivered = self.delivered[producer][n].load(SeqCst) > 0;
                missing += u64::from(!delivered && self.acknowledged[producer][n].load(SeqCst) == 1);
                totals.messages += u64::from(delivered);
            }
        }
        let missing = missing.saturating_sub(left);
        totals.rounds += 1;
        totals.taken_along += missing;
        totals.told += self.redelivered.load(SeqCst);
        if missing > in_hands {
            return Err(format!(
                "{missing} acknowledged messages are gone; dead consumers held at most {in_hands}"
            ));
        }
        Ok(())
    }
}

/// The children of a round, or of a pair. Those that hang are not left behind.
pub struct Lanes(pub Vec<Child>);

impl Drop for Lanes {
    fn drop(&mut self) {
        // Most have ended and were reaped.
        self.0.iter().for_each(|child| drop(slay(child)));
    }
}

/// Kills one of the children, or stops it for a while, again and again, and starts another one in its place. `dies` hears of
/// each that is killed. Ends when the time is over, or when `moves`, which counts what is done, has none to count: something is
/// wrong.
pub fn torment(
    children: &mut [Child],
    dice: &mut Dice,
    time: Duration,
    totals: &mut Totals,
    mut start: impl FnMut(usize) -> Result<Child, String>,
    mut dies: impl FnMut(usize),
    moves: impl Fn() -> Option<u64>,
) -> Result<(), String> {
    let end = Instant::now() + time;
    let mut mark = (Instant::now(), 0);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_micros(dice.roll(600)));
        let one = dice.roll(children.len() as u64) as usize;
        if dice.roll(8) == 0 {
            // Stopped: it may delay the others, and then goes on, or dies.
            signal(&children[one], libc::SIGSTOP);
            std::thread::sleep(Duration::from_micros(dice.roll(3_000)));
            totals.stops += 1;
            if dice.roll(2) == 0 {
                signal(&children[one], libc::SIGCONT);
                continue;
            }
        }
        slay(&children[one])?;
        totals.kills += 1;
        dies(one);
        children[one] = start(one)?;
        match moves() {
            None => return Ok(()),
            Some(done) if done != mark.1 => mark = (Instant::now(), done),
            Some(_) if mark.0.elapsed() > PATIENCE => return Err("nobody moves any more".into()),
            Some(_) => {}
        }
    }
    Ok(())
}
