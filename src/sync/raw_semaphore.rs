//! [`RawSemaphore`]: the counting semaphore under [`Semaphore`](crate::sync::Semaphore) and the C semaphore. Most users never
//! need it: use [`Semaphore`](crate::sync::Semaphore).
//!
//! **Promise.** As many acquires succeed as were posted (and were there at the beginning), whatever dies. A poster that
//! is killed has posted or has not; if it has, a sleeper comes. It has no owner: what a dead thread had acquired and not
//! posted is gone, as with every counting semaphore (a `BoundedSemaphore` gives it back). Uncontended: one
//! compare-and-swap each way.
//!
//! | part of the word | meaning |
//! |---|---|
//! | low half | the value: how many acquires are available |
//! | high half, `FLAGS` | 0: nobody sleeps. 1: one may sleep. 2, 3: more may. If not 0, a post goes through the kernel |
//! | high half, the rest | epoch: how often the flags were cleared for all |
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | P1 | post, Release (or the kernel's own change of the word, a full fence) | acquire, CAS Acquire | what was done before the post; other acquires in between are read-modify-writes and pass it on |
//!
//! **Posting.** A post that finds a flag adds to the low half and wakes in *one step of the kernel*
//! (`futex::change_and_wake`), and a sleeper watches the low half. So at no moment is a permit there without somebody
//! having been told, and a killed poster needs no successor. For the same reason a post needs neither the thread's
//! membership nor its robust list nor its thread-local storage: it is async-signal-safe, and works in threads that are not
//! members and cannot be. It is also the poster's last access: the thread that acquires may destroy the semaphore at once.
//!
//! **The flags** are therefore cleared by those who acquire. A sleeper that announced itself first (0 → 1), and finds
//! the high half as it left it, is the only one: it clears the flag in the same compare-and-swap with which it takes
//! the permit. Otherwise (others came, or a killed sleeper left its flag) some of those who acquire under a flag ask the kernel
//! whether anybody sleeps (*tidy*). If not, the flags go back to 0 and the epoch advances by one, in one step with waking all:
//! a thread that fell asleep in between looks again, and one about to sleep watches the high half, too. Two that do this at once
//! leave a flag too many, never one too few.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | SM-a | an acquirer, announced, about to sleep or asleep | a flag without a sleeper | one of the next acquirers (tidy) | until then a spare system call per post |
//! | SM-b | a sleeper that was woken, before it takes what it was woken for | a value above 0, others asleep | all: its pending pointer is at the bell | nothing |
//! | SM-c | an acquirer after its CAS | a value that is lower by one, perhaps flags too many | nobody: it has no owner. The flags as SM-a | what it acquired |
//!
//! A poster has no window, except between the steps of a large `post`: more than 2047 at once, while somebody sleeps, are
//! posted in several steps.
//!
//! Rejected: post as compare-and-swap, then wake, with the pending pointer at the bell in between, the usual way here (the
//! wake-up call is half a microsecond cheaper, but a handler would have to find the segment's bell and the thread's robust
//! list, and where there is no list a kill could strand a sleeper); flags cleared by the poster that wakes nobody (it
//! would write to what may be destroyed by then); a count of sleepers (a killed one would stay in it for ever); post by
//! `fetch_add` (one instruction less, but it learns of sleepers only afterwards).
//!
//! After glibc's `sem_waitcommon.c` for the packed word; `FUTEX_WAKE_OP` is Jelínek's (2005).

use super::high;
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, Retries, Spin, Updated, update};
use crate::sys::{Change, Watch, Woken, Word, futex};
use crate::time::Deadline;

/// One announcement, in the high half.
const FIRST: u64 = 1 << 32;
/// The flags, in the high half.
const FLAGS: u64 = 3 << 32;
/// One in this many acquires under a flag tidies.
const TIDY_EVERY: u64 = if cfg!(interproc_loom) { 1 } else { 16 };

#[inline]
const fn value(word: u64) -> u32 {
    word as u32
}

/// The counting semaphore. 16 bytes; all-zero has the value 0. To wait on it, a thread must be a member of the segment
/// in which it lies; to post, or to take what is there, it need not be. Most users never need it: see
/// [`Semaphore`](crate::sync::Semaphore).
#[repr(C)]
#[derive(Debug)]
pub struct RawSemaphore {
    /// Value and flags; nobody owns it, so a death leaves nothing to repair.
    word: AtomicU64,
    /// Counts acquires under a flag: a hint when to tidy.
    flagged: AtomicU64,
}

impl RawSemaphore {
    /// The largest value, that of `sem_t`.
    pub const MAX: u32 = i32::MAX as u32;

    /// A semaphore with this value, at most [`RawSemaphore::MAX`].
    #[cfg(not(interproc_loom))]
    pub const fn new(value: u32) -> Self {
        assert!(value <= Self::MAX, "a semaphore's value is at most i32::MAX");
        RawSemaphore { word: AtomicU64::new(value as u64), flagged: AtomicU64::new(0) }
    }

    /// A semaphore with this value.
    #[cfg(interproc_loom)]
    pub fn new(value: u32) -> Self {
        RawSemaphore { word: AtomicU64::new(value.into()), flagged: AtomicU64::new(0) }
    }

    /// The value: a snapshot.
    #[inline]
    pub fn value(&self) -> u32 {
        // Relaxed: a snapshot.
        value(self.word.load(Ordering::Relaxed))
    }

    /// Adds `n` and wakes as many sleepers. Async-signal-safe.
    ///
    /// # Errors
    /// `Overflow` if the value would exceed [`RawSemaphore::MAX`]; nothing is changed (but with other posters at the same
    /// limit, and sleepers, a part may have been posted).
    #[inline]
    pub fn post(&self, n: u32) -> Result<()> {
        // Relaxed: the CAS decides.
        let word = self.word.load(Ordering::Relaxed);
        if word & FLAGS == 0 && n <= Self::MAX.saturating_sub(value(word)) {
            // P1
            let posted = word + u64::from(n);
            let order = if crate::mutant!("post-relaxed") { Ordering::Relaxed } else { Ordering::Release };
            if self.word.compare_exchange(word, posted, order, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        self.post_slow(n)
    }

    #[cold]
    fn post_slow(&self, mut left: u32) -> Result<()> {
        let mut retries = Retries::new();
        while left > 0 {
            let word = self.word.load(Ordering::Relaxed);
            if left > Self::MAX.saturating_sub(value(word)) {
                return Err(ErrorKind::Overflow.into());
            }
            if word & FLAGS == 0 && retries.again() {
                let posted = word + u64::from(left);
                // P1
                if self.word.compare_exchange(word, posted, Ordering::Release, Ordering::Relaxed).is_ok() {
                    return Ok(());
                }
                continue;
            }
            let step = left.min(Change::MOST);
            left -= step;
            self.post_and_wake(step);
        }
        Ok(())
    }

    /// P1: in one step, which is the last access.
    fn post_and_wake(&self, n: u32) {
        let low = Word::Low(&self.word);
        if crate::mutant!("post-no-wake") {
            self.word.fetch_add(n.into(), Ordering::Release);
            return;
        }
        if crate::mutant!("post-in-two-steps") {
            self.word.fetch_add(n.into(), Ordering::Release);
            futex::wake(low, n);
            return;
        }
        futex::change_and_wake(Change::Add(n), low, low, n);
    }

    /// Acquires one if there is one. Async-signal-safe.
    ///
    /// # Errors
    /// `WouldBlock`.
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        if self.take() { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    #[inline(always)]
    fn take(&self) -> bool {
        // Relaxed: the CAS decides.
        let mut word = self.word.load(Ordering::Relaxed);
        let mut retries = Retries::new();
        while value(word) > 0 && retries.again() {
            // P1
            match self.word.compare_exchange(word, word - 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    if word & FLAGS != 0 {
                        self.taken_under_flags();
                    }
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    /// Under a flag somebody may sleep, or no longer does: looks from time to time.
    #[cold]
    fn taken_under_flags(&self) {
        crate::crash_window!("SM-c: acquired");
        // Relaxed, and counts may be lost: a hint.
        let n = self.flagged.load(Ordering::Relaxed).wrapping_add(1);
        self.flagged.store(n, Ordering::Relaxed);
        if n.is_multiple_of(TIDY_EVERY) {
            self.tidy();
        }
    }

    /// Clears the flags if nobody sleeps.
    fn tidy(&self) {
        let low = Word::Low(&self.word);
        if futex::count(low) > 0 {
            return;
        }
        let word = self.word.load(Ordering::Relaxed);
        let flags = high(word & FLAGS);
        if flags == 0 {
            return;
        }
        if crate::mutant!("tidy-no-wake") {
            let _ = self.word.compare_exchange(word, word & !FLAGS, Ordering::Relaxed, Ordering::Relaxed);
            return;
        }
        // To the next epoch's 0. A thread that fell asleep since the count is woken in the same step.
        futex::change_and_wake(Change::Add(4 - flags), Word::High(&self.word), low, u32::MAX);
    }

    /// Acquires one, waiting until `deadline` if one is given.
    ///
    /// # Errors
    /// `TimedOut`.
    #[inline]
    pub fn acquire(&self, me: &Member, deadline: Option<Deadline>) -> Result<()> {
        if self.take() { Ok(()) } else { self.wait(me, deadline) }
    }

    #[cold]
    fn wait(&self, me: &Member, deadline: Option<Deadline>) -> Result<()> {
        // SM-b: from here on our death rings the bell.
        let pending = (!crate::mutant!("acquire-no-bell")).then(|| me.pend());
        let result = self.contend(me, deadline);
        if let Some(pending) = pending {
            me.unpend(pending);
        }
        result
    }

    fn contend(&self, me: &Member, deadline: Option<Deadline>) -> Result<()> {
        let mut spin = Spin::new(me.spinning());
        // The high half as our announcement left it, if it was the first: while it stands, ours is the only one.
        let mut alone = None;
        let mut retries = Retries::new();
        while retries.again_until(deadline) {
            let mut word = self.word.load(Ordering::Relaxed);
            let is_alone = alone == Some(high(word));
            if value(word) > 0 {
                let left = word - 1 - if is_alone { FIRST } else { 0 };
                // P1
                if self.word.compare_exchange(word, left, Ordering::Acquire, Ordering::Relaxed).is_err() {
                    continue;
                }
                spin.done();
                if left & FLAGS != 0 {
                    self.taken_under_flags();
                }
                return Ok(());
            }
            if spin.again() {
                continue;
            }
            if !is_alone && word & FLAGS != FLAGS {
                let announced = word | if word & FLAGS == 0 { FIRST } else { FLAGS };
                // Relaxed: only this word is read after it.
                if self.word.compare_exchange(word, announced, Ordering::Relaxed, Ordering::Relaxed).is_err()
                {
                    continue;
                }
                alone = (word & FLAGS == 0).then_some(high(announced));
                word = announced;
            }
            spin.failed();
            crate::crash_window!("SM-a: announced");
            let watches = [
                Watch { word: Word::Low(&self.word), expected: 0 },
                Watch { word: Word::High(&self.word), expected: high(word) },
            ];
            let watches = if crate::mutant!("flags-not-watched") { &watches[..1] } else { &watches[..] };
            let woken = me.sleep(watches, None, true, deadline);
            crate::crash_window!("SM-b: woken");
            if woken == Woken::TimedOut {
                break;
            }
        }
        // No post's wake-up was consumed.
        self.take_back(alone);
        Err(ErrorKind::TimedOut.into())
    }

    /// For a wait set: announces a sleeper. What to sleep on: both halves while they are these; `None` if there is something to
    /// acquire. After the sleep comes [`pass_on`](Self::pass_on).
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn announce(&self) -> Option<[u32; 2]> {
        let word = self.word.load(Ordering::Acquire);
        // All flags: no acquirer takes itself for the only sleeper. Relaxed: only this word is read after it.
        let announced = update(&self.word, word, (Ordering::Relaxed, Ordering::Relaxed), |word| {
            (value(word) == 0 && word & FLAGS != FLAGS).then_some(word | FLAGS)
        });
        match announced {
            Updated::From(word) => Some([0, high(word | FLAGS)]),
            Updated::Kept(word) => (value(word) == 0).then_some([0, high(word)]),
            // It moves without us: nobody sleeps on a value that it does not have.
            Updated::GaveUp(word) => Some([0, !high(word)]),
        }
    }

    /// As that says.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn watches(&self, [low, high]: [u32; 2]) -> [Watch<'_>; 2] {
        [
            Watch { word: Word::Low(&self.word), expected: low },
            Watch { word: Word::High(&self.word), expected: high },
        ]
    }

    /// A post wakes as many sleepers as it adds. A set is one of them and acquires nothing: it wakes another one in its place.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn pass_on(&self) {
        if self.value() > 0 && !crate::mutant!("set-keeps-a-post") {
            futex::wake(Word::Low(&self.word), 1);
        }
    }

    /// Clears the caller's own flag, if it is the only one.
    fn take_back(&self, alone: Option<u32>) {
        let word = self.word.load(Ordering::Relaxed);
        let _ = update(&self.word, word, (Ordering::Relaxed, Ordering::Relaxed), |word| {
            // Wrapping: a peer may have written anything.
            (alone == Some(high(word))).then(|| word.wrapping_sub(FIRST))
        });
    }
}
