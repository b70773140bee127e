//! [`EventCount`]: how a sleeper and a publisher agree without a fence on the publisher's side.
//!
//! Bit 31 says that somebody may sleep, the rest is a sequence. A sleeper announces itself (bumps the sequence,
//! sets the bit), passes the heavy fence, looks at the object once more and sleeps on the value it wrote. A
//! publisher publishes, passes the light fence and looks at the bit.
//!
//! | window | who dies | what follows |
//! |---|---|---|
//! | E1 | a sleeper, after its announcement | one spare wake-up call |
//! | E2 | a publisher, published but not woken | its pending pointer rings the segment's bell: all look again |
//! | E3 | a woken sleeper, before it acts | as E2 |
//!
//! A waker clears the bit only if the call found nobody left and the value is still the one it read: a sleeper that
//! announced itself in between has changed it, one that is not asleep yet will find it changed.
//!
//! The asymmetric fence is checked in `tests/store_buffer.rs`. On aarch64 the publisher's store-release followed by
//! a load of another word may be reordered just as on x86-64 (litmus SB); the sleeper's membarrier makes every
//! other core pass a `dmb ish` between the two or after both, which is what its own fence pairs with.

use crate::atomic::{AtomicU32, Ordering};
use crate::sys::{Watch, Word, futex};

const SLEEPERS: u32 = 1 << 31;

/// One side's sleepers. Zero is valid: nobody sleeps.
#[repr(transparent)]
#[derive(Debug)]
pub(super) struct EventCount(AtomicU32);

impl EventCount {
    #[cfg(interproc_loom)]
    pub(super) fn new() -> Self {
        EventCount(AtomicU32::new(0))
    }

    /// Says that the caller is about to sleep. To be followed by the heavy fence and another look.
    pub(super) fn announce(&self) -> Watch<'_> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let mine = seen.wrapping_add(1) | SLEEPERS;
            // SeqCst with the fence that follows: the announcement comes before the look.
            match self.0.compare_exchange(seen, mine, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return Watch { word: Word::Whole(&self.0), expected: mine },
                Err(now) => seen = now,
            }
        }
    }

    /// Whether somebody may sleep. The caller has passed the light fence since it published.
    #[inline(always)]
    pub(super) fn has_sleepers(&self) -> bool {
        // Relaxed: the fences order it.
        self.0.load(Ordering::Relaxed) & SLEEPERS != 0
    }

    /// Wakes up to `n` sleepers.
    #[cold]
    pub(super) fn wake(&self, n: u32) {
        let seen = self.0.load(Ordering::Relaxed);
        if seen & SLEEPERS == 0 {
            return;
        }
        let woken = if crate::mutant!("publish-no-wake") { n } else { futex::wake(Word::Whole(&self.0), n) };
        if woken < n {
            let _ = self.0.compare_exchange(seen, seen & !SLEEPERS, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Wakes all, to look at something that changed for good.
    pub(super) fn wake_all(&self) {
        futex::wake(Word::Whole(&self.0), u32::MAX);
    }
}
