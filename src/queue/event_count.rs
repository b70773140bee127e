//! [`EventCount`]: how a sleeper and a publisher agree without a fence on the publisher's side.
//!
//! Bit 31 says that somebody may sleep, the rest is a sequence. A sleeper announces itself (bumps the sequence,
//! sets the bit), passes the heavy fence, looks at the object once more and sleeps on the value it wrote. A
//! publisher publishes, passes the light fence and looks at the bit.
//!
//! A death rings the segment's bell, but a bell is heard only by those who sleep already: *whatever a sleeper
//! should look at again must change a value that it watches*, or it falls asleep after the news. Hence the
//! publisher looks at the bit twice. Before it publishes, its claim visible already, it *stirs*: where the bit is
//! set it bumps the sequence, so that a sleeper that has looked and not yet fallen asleep looks again. A sleeper that
//! announces itself later finds the claim in its way and watches the publisher's slot, which its death changes.
//!
//! | window | who dies | a sleeper asleep already | a sleeper between its look and its sleep |
//! |---|---|---|---|
//! | E1 | another sleeper, after its announcement | one spare wake-up call | the same |
//! | E2 | a publisher, claimed, before it stirs | the bell | it looked before the claim: nothing has changed; after: it watches the slot |
//! | E3 | a publisher, published but not woken | the bell | stirred, or it watches the slot |
//! | E4 | a woken sleeper, before it acts | the bell | the waker bumped the sequence before the wake-up |
//!
//! A waker clears the bit only if the call found nobody left and the value is still the one it wrote.
//!
//! The asymmetric fence is checked in `tests/store_buffer.rs`. On aarch64 the publisher's store-release followed by
//! a load of another word may be reordered just as on x86-64 (litmus SB); the sleeper's membarrier makes every
//! other core pass a `dmb ish` between the two or after both, which is what its own fence pairs with.

use crate::atomic::{AtomicU32, Ordering, fence, light_fence};
use crate::member::Table;
use crate::sys::{Watch, Word, futex};

/// Somebody may sleep.
const SLEEPERS: u32 = 1 << 31;
/// Publishers must use full fences: some participant cannot use membarrier. Never cleared.
const STRONG: u32 = 1 << 30;
const SEQUENCE: u32 = STRONG - 1;

/// One side's sleepers. Zero is valid: nobody sleeps.
#[repr(transparent)]
#[derive(Debug)]
pub(super) struct EventCount(AtomicU32);

impl EventCount {
    #[cfg(interproc_loom)]
    pub(super) fn new() -> Self {
        EventCount(AtomicU32::new(0))
    }

    /// From now on publishers use full fences here.
    pub(super) fn use_strong_fences(&self) {
        self.0.fetch_or(STRONG, Ordering::SeqCst);
    }

    /// Says that the caller is about to sleep, and passes the heavy fence: to be followed by another look. Also
    /// says whether every publisher is sure to see it; if not, the sleep must be bounded by the net.
    pub(super) fn announce(&self, table: &Table) -> (Watch<'_>, bool) {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mine = loop {
            let mine = seen & STRONG | seen.wrapping_add(1) & SEQUENCE | SLEEPERS;
            // AcqRel, and the fence that follows: the announcement comes before the look.
            match self.0.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break mine,
                Err(now) => seen = now,
            }
        };
        let sure = if mine & STRONG != 0 {
            fence(Ordering::SeqCst);
            true
        } else {
            crate::mutant!("no-membarrier") || table.sleeper_fence()
        };
        if !sure {
            // The value moves, so the caller will look again at once, and find publishers warned.
            self.use_strong_fences();
        }
        (Watch { word: Word::Whole(&self.0), expected: mine }, sure)
    }

    /// Publishes by `publish`, between the claim and the wake-up of at most `n` sleepers.
    #[inline(always)]
    pub(super) fn publish(&self, n: u32, publish: impl Fn()) {
        light_fence();
        // Relaxed: the fences order both looks.
        if self.0.load(Ordering::Relaxed) & (SLEEPERS | STRONG) != 0 {
            self.stir();
            publish();
            return self.wake(n);
        }
        publish();
        light_fence();
        if self.0.load(Ordering::Relaxed) & SLEEPERS != 0 {
            self.wake(n);
        }
    }

    /// Before publishing: whoever is about to fall asleep looks again.
    #[cold]
    fn stir(&self) {
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) & SLEEPERS != 0 && !crate::mutant!("no-stir") {
            self.bump();
        }
    }

    /// Moves the sequence on; the new value.
    fn bump(&self) -> u32 {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let moved = seen & !SEQUENCE | seen.wrapping_add(1) & SEQUENCE;
            // AcqRel: a sleeper that announces itself over this value sees what came before.
            match self.0.compare_exchange(seen, moved, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return moved,
                Err(now) => seen = now,
            }
        }
    }

    /// Has everybody who is about to sleep look again, and wakes up to `n` sleepers.
    #[cold]
    pub(super) fn wake(&self, n: u32) {
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) & SLEEPERS == 0 || crate::mutant!("publish-no-wake") {
            return;
        }
        let moved = self.bump();
        if futex::wake(Word::Whole(&self.0), n) < n {
            let _ = self.0.compare_exchange(moved, moved & !SLEEPERS, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}
