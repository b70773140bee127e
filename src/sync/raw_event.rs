//! [`RawEvent`]: the event under [`Event`](crate::sync::Event) and the C event. Most users never need it: use
//! [`Event`](crate::sync::Event).
//!
//! **Promise.** A set releases everybody who waits at that moment, even if it is cleared at once, and everybody who comes
//! until it is cleared, whatever dies. Nobody owns an event, so a death leaves nothing to repair.
//!
//! | word | meaning |
//! |---|---|
//! | low half | counts: odd = set. `set` makes it odd, `clear` the next even number |
//! | `SLEEPERS`, the highest bit | somebody may sleep since the last clear: a set goes through the kernel |
//!
//! A waiter goes on as soon as the low half differs from what it was when the waiter came, so it misses no set, however short.
//! (Except while exactly 2³¹ sets and clears go by during its sleep.)
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | V1 | set, CAS Release (or the kernel's own change of the word, a full fence), **also if it is already set** | wait and `is_set`, load Acquire | what was done before the set |
//! | V1 | the same | clear, CAS AcqRel | the same: a thread that clears and then looks sees what was done before every set that this clear has undone |
//!
//! Because of the second row, a set that finds the event set is still a read-modify-write. A mere load could read a value from
//! before a clear, and the clearing thread would then not see what the setter had to say: both would go on as if nothing
//! had happened (litmus SB).
//!
//! A set that finds `SLEEPERS` sets the bit and wakes all in **one step of the kernel** (`futex::change_and_wake`). So a
//! killed setter has done both or neither, and set needs neither membership nor robust list nor thread-local storage:
//! it is async-signal-safe. Clear removes `SLEEPERS`: all sleepers were woken by the set, and a thread about to sleep
//! finds the low half changed.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | EV-a | a waiter, announced, about to sleep | a flag without sleepers | no action needed; the next set wakes nobody, the next clear removes the flag | one spare system call |
//! | EV-b | a waiter that was woken | nothing | no action needed: all were woken | nothing |
//!
//! A setter and a clearer have no window: each is one step.
//!
//! Rejected: compare-and-swap, then wake-all, with a flag by which the woken threads finish what a killed setter left
//! (see `RawSemaphore`).

use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, Retries, Spin, Updated, update};
use crate::sys::{Change, Watch, Woken, Word, futex};
use crate::time::Deadline;

const SET_BIT: u32 = 0;
pub(super) const SET: u64 = 1 << SET_BIT;
const SLEEPERS: u64 = 1 << 63;

#[inline]
const fn count(word: u64) -> u32 {
    word as u32
}

/// The event. 16 bytes; all-zero is not set. To wait for it, a thread must be a member of the segment in which it lies; for
/// everything else it need not be. Most users never need it: see [`Event`](crate::sync::Event).
#[repr(C)]
#[derive(Debug)]
pub struct RawEvent {
    /// Count and flag.
    word: AtomicU64,
    /// Zero.
    reserved: AtomicU64,
}

#[allow(clippy::new_without_default)]
impl RawEvent {
    /// An event that is not set.
    #[cfg(not(interproc_loom))]
    pub const fn new() -> Self {
        RawEvent { word: AtomicU64::new(0), reserved: AtomicU64::new(0) }
    }

    /// An event that is not set.
    #[cfg(interproc_loom)]
    pub fn new() -> Self {
        RawEvent { word: AtomicU64::new(0), reserved: AtomicU64::new(0) }
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.word.load(Ordering::Acquire) & SET != 0 // V1
    }

    /// How many times it has been set, modulo 2³¹. Async-signal-safe.
    #[inline]
    pub fn sets(&self) -> u32 {
        let count = count(self.word.load(Ordering::Acquire)); // V1
        ((count >> 1) + (count & 1)) & (u32::MAX >> 1)
    }

    /// Sets it and releases all who wait. Async-signal-safe.
    #[inline]
    pub fn set(&self) {
        // Relaxed: the CAS decides.
        let word = self.word.load(Ordering::Relaxed);
        let order = if crate::mutant!("set-relaxed") { Ordering::Relaxed } else { Ordering::Release };
        if crate::mutant!("set-again-only-looks") && word & SET != 0 {
            return;
        }
        if word & SLEEPERS != 0
            // V1
            || self.word.compare_exchange(word, word | SET, order, Ordering::Relaxed).is_err()
        {
            self.set_slow();
        }
    }

    #[cold]
    fn set_slow(&self) {
        let mut retries = Retries::new();
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if word & SLEEPERS != 0 && word & SET == 0 || !retries.again() {
                return self.set_and_wake();
            }
            // V1: an exchange even if nothing changes.
            if self.word.compare_exchange(word, word | SET, Ordering::Release, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// V1: in one step.
    fn set_and_wake(&self) {
        let low = Word::Low(&self.word);
        if crate::mutant!("set-no-wake") {
            self.word.fetch_or(SET, Ordering::Release);
            return;
        }
        if crate::mutant!("set-in-two-steps") {
            self.word.fetch_or(SET, Ordering::Release);
            futex::wake(low, u32::MAX);
            return;
        }
        let n = if crate::mutant!("set-wakes-one") { 1 } else { u32::MAX };
        futex::change_and_wake(Change::Set(SET_BIT), low, low, n);
    }

    /// For a wait set: announces a sleeper. What to sleep on: the low half while it is this; `None` if it is set.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn announce(&self) -> Option<u32> {
        let word = self.word.load(Ordering::Acquire);
        // Relaxed: only the word itself is read after it.
        let announced = update(&self.word, word, (Ordering::Relaxed, Ordering::Relaxed), |word| {
            (word & (SET | SLEEPERS) == 0).then_some(word | SLEEPERS)
        });
        match announced {
            Updated::From(word) | Updated::Kept(word) if word & SET == 0 => Some(count(word)),
            Updated::From(_) | Updated::Kept(_) => None,
            // It moves without us: nobody sleeps on a value that it does not have.
            Updated::GaveUp(word) => Some(!count(word)),
        }
    }

    /// As that says.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn watch(&self, expected: u32) -> Watch<'_> {
        Watch { word: Word::Low(&self.word), expected }
    }

    /// Clears it. Async-signal-safe.
    #[inline]
    pub fn clear(&self) {
        let mut word = self.word.load(Ordering::Acquire);
        let mut retries = Retries::new();
        while word & SET != 0 {
            if !retries.again() {
                self.word.fetch_and(!SET, Ordering::AcqRel); // V1
                return;
            }
            // Without SLEEPERS: all were woken.
            let next = u64::from(count(word).wrapping_add(1));
            // V1
            match self.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Waits until it is set, or `deadline` if one is given.
    ///
    /// # Errors
    /// `TimedOut`.
    #[inline]
    pub fn wait(&self, me: &Member, deadline: Option<Deadline>) -> Result<()> {
        if self.is_set() { Ok(()) } else { self.wait_slow(me, deadline) }
    }

    #[cold]
    fn wait_slow(&self, me: &Member, deadline: Option<Deadline>) -> Result<()> {
        // Not for this wait's own sake: any sleeper in a segment may be woken by its bell, and must pass that on.
        let pending = me.pend();
        let result = self.wait_for_change(me, deadline);
        me.unpend(pending);
        result
    }

    fn wait_for_change(&self, me: &Member, deadline: Option<Deadline>) -> Result<()> {
        let came = count(self.word.load(Ordering::Acquire));
        if u64::from(came) & SET != 0 {
            return Ok(());
        }
        let mut spin = Spin::new(me.spinning());
        let mut retries = Retries::new();
        while retries.again_until(deadline) {
            let word = self.word.load(Ordering::Acquire); // V1
            if count(word) != came {
                spin.done();
                return Ok(());
            }
            if spin.again() {
                continue;
            }
            let announced = word | SLEEPERS;
            // Relaxed: only the word itself is read after it.
            if word != announced
                && self.word.compare_exchange(word, announced, Ordering::Relaxed, Ordering::Relaxed).is_err()
            {
                continue;
            }
            spin.failed();
            crate::crash_window!("EV-a: about to sleep");
            let watch = Watch { word: Word::Low(&self.word), expected: came };
            if me.sleep(&[watch], None, true, deadline) == Woken::TimedOut {
                break;
            }
            crate::crash_window!("EV-b: woken");
        }
        Err(ErrorKind::TimedOut.into())
    }
}
