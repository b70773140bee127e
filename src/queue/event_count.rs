//! [`EventCount`]: how a sleeper and a publisher agree without a fence on the publisher's side.
//!
//! Bit 31 says that somebody may sleep, the rest is a sequence. A sleeper announces itself (bumps the sequence,
//! sets the bit), passes the heavy fence, looks at the object once more and sleeps on the value it wrote. A
//! publisher publishes, passes the light fence and looks at the bit.
//!
//! A death rings the segment's bell, but a bell is heard only by those who sleep already: *whatever a sleeper
//! should look at again must change a value that it watches*, or it falls asleep after the news. So a sleeper watches
//! three values beside the bell: the count, the cell that refused it (any claim changes its word) and, if that cell
//! was owned, the owner's slot (its death changes it).
//!
//! | window | who dies | a sleeper asleep already | a sleeper between its look and its sleep |
//! |---|---|---|---|
//! | E1 | another sleeper, after its announcement | one spare wake-up call | the same |
//! | E2 | a publisher, claimed, not published | the bell | the cell's word or the owner's slot has changed |
//! | E3 | a publisher, published, not woken | the bell | the cell's word has changed |
//! | E4 | a woken sleeper, before it acts | the bell | the cell's word has changed |
//!
//! One wake-up can be worth several messages: a cell that others have published behind, while it was still being
//! written, is in everybody's way, and whoever their wake-ups reached went back to sleep. So a waker counts what its
//! own publication has set free.
//!
//! A waker bumps the sequence before it wakes, and clears the bit only if the call found nobody left, for the second
//! time in a row (`LONELY`; an announcement between the two starts anew), and the value is still the one it wrote. Once
//! would do, but two that sleep in turns often wake a peer that is not asleep yet: then the next announcement would
//! need the heavy fence again.
//!
//! Rejected: publishers that look at the bit before they publish, too, and bump the sequence (2 ns on every
//! operation, for what the sleeper can see by itself).
//!
//! The heavy fence costs a system call, on a busy machine an interrupt of every other processor. Whoever has passed it
//! says so (`FENCED`, if the value is still its own), and as long as the bits stand, that is until a waker finds nobody
//! left, sleepers that announce themselves do without: every publisher whose look came before that fence had
//! published by then, and who reads the bit with acquire sees it; every other publisher sees the bit and passes a
//! full fence before it decides whom to wake.
//!
//! The asymmetric fence is checked in `tests/store_buffer.rs`. On aarch64 the publisher's store-release followed by
//! a load of another word may be reordered just as on x86-64 (litmus SB); the sleeper's membarrier makes every
//! other core pass a `dmb ish` between the two or after both, which is what its own fence pairs with.

use crate::atomic::{AtomicU32, Ordering, fence, light_fence};
use crate::member::{Retries, Table};
use crate::sys::{Watch, Word, futex};

/// Somebody may sleep.
const SLEEPERS: u32 = 1 << 31;
/// Publishers must use full fences: some participant cannot use membarrier. Never cleared.
const STRONG: u32 = 1 << 30;
/// A sleeper has passed the heavy fence since `SLEEPERS` was set.
const FENCED: u32 = 1 << 29;
/// A waker has found nobody, and nobody has announced itself since.
const LONELY: u32 = 1 << 28;
/// The queue is closed: publishers take the careful way. Never cleared.
const CLOSED: u32 = 1 << 27;
const SEQUENCE: u32 = CLOSED - 1;

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

    /// From now on publishers are careful here: the queue is closed.
    pub(super) fn mark_closed(&self) {
        self.0.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// Of an object that is begun anew, while nobody uses it.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn renew(&self) {
        self.0.fetch_and(STRONG | SEQUENCE, Ordering::AcqRel);
    }

    /// Says that the caller is about to sleep, and passes the heavy fence: to be followed by another look. Also
    /// says whether every publisher is sure to see it; if not, the sleep must be bounded by the net.
    pub(super) fn announce(&self, table: &Table) -> (Watch<'_>, bool) {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mut retries = Retries::new();
        let mine = loop {
            let fenced = if seen & SLEEPERS != 0 { seen & FENCED } else { 0 };
            let mine = seen & (STRONG | CLOSED) | seen.wrapping_add(1) & SEQUENCE | SLEEPERS | fenced;
            // AcqRel, and the fence that follows: the announcement comes before the look. Acquire also for what was
            // published before the fence that `FENCED` tells of.
            match self.0.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break mine,
                Err(now) => seen = now,
            }
            if !retries.again() {
                // Nobody is told, so the net is under this sleep, if it comes to one.
                return (Watch { word: Word::Whole(&self.0), expected: seen }, false);
            }
        };
        if mine & (STRONG | FENCED) != 0 {
            fence(Ordering::SeqCst);
            return (Watch { word: Word::Whole(&self.0), expected: mine }, true);
        }
        let sure = crate::mutant!("no-membarrier") || table.sleeper_fence();
        let mut expected = mine;
        if !sure {
            // The value moves, so the caller will look again at once, and find publishers warned.
            self.use_strong_fences();
        } else if self
            .0
            // Only over our own value: after a waker's the bits may be another sleeper's, set after our fence.
            .compare_exchange(mine, mine | FENCED, Ordering::Release, Ordering::Relaxed)
            .is_ok()
        {
            expected = mine | FENCED;
        }
        (Watch { word: Word::Whole(&self.0), expected }, sure)
    }

    /// Whether publishers must be careful: use full fences, or look whether the queue is closed. To be read before the
    /// claim: a load behind a locked operation waits.
    #[inline(always)]
    pub(super) fn is_careful(&self) -> bool {
        // Relaxed: sticky; until it is seen, whoever depends on it keeps to the net.
        self.0.load(Ordering::Relaxed) & (STRONG | CLOSED) != 0
    }

    /// After publishing: wakes sleepers if there are any, as many as `how_many` says. Says whether the queue is closed.
    #[inline(always)]
    pub(super) fn published(&self, careful: bool, how_many: impl FnOnce() -> u32) -> bool {
        if careful {
            fence(Ordering::SeqCst)
        } else {
            light_fence()
        }
        // Relaxed: the fences order it.
        let seen = self.0.load(Ordering::Relaxed);
        if seen & SLEEPERS != 0 {
            self.wake(how_many);
        }
        seen & CLOSED != 0
    }

    /// Whether a closer had marked the count when this watch was made: then it need not change once more when the closer
    /// closes.
    pub(super) fn was_marked(watch: &Watch<'_>) -> bool {
        watch.expected & CLOSED != 0
    }

    /// After publishing and a light fence, here: whether somebody may sleep, or it is closed. Then [`EventCount::watched`].
    #[inline(always)]
    pub(super) fn is_watched(&self) -> bool {
        light_fence();
        // Relaxed: the fences order it.
        self.0.load(Ordering::Relaxed) & (SLEEPERS | CLOSED) != 0
    }

    /// As [`EventCount::is_watched`], and true as well where full fences are needed: for who has nothing to ask before it
    /// publishes. Then a full fence and [`EventCount::watched`].
    #[inline(always)]
    pub(super) fn is_watched_or_strong(&self) -> bool {
        light_fence();
        // Relaxed: the fences order it; see `is_careful`.
        self.0.load(Ordering::Relaxed) & (SLEEPERS | CLOSED | STRONG) != 0
    }

    /// Wakes sleepers if there are any, as many as `how_many` says. Says whether it is closed.
    pub(super) fn watched(&self, how_many: impl FnOnce() -> u32) -> bool {
        // Relaxed: the fences order it.
        let seen = self.0.load(Ordering::Relaxed);
        if seen & SLEEPERS != 0 {
            self.wake(how_many);
        }
        seen & CLOSED != 0
    }

    /// Moves the sequence on; the new value.
    fn bump(&self) -> u32 {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mut retries = Retries::new();
        loop {
            let moved = seen & !SEQUENCE | seen.wrapping_add(1) & SEQUENCE;
            // AcqRel: a sleeper that announces itself over this value sees what came before.
            match self.0.compare_exchange(seen, moved, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return moved,
                Err(now) if !retries.again() => return now, // it moves without us
                Err(now) => seen = now,
            }
        }
    }

    /// Has everybody who is about to sleep look again, and wakes up to `how_many` sleepers.
    #[cold]
    pub(super) fn wake(&self, how_many: impl FnOnce() -> u32) {
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) & SLEEPERS == 0 || crate::mutant!("publish-no-wake") {
            return;
        }
        let n = how_many();
        let moved = self.bump();
        if futex::wake(Word::Whole(&self.0), n) < n {
            let lonely =
                if moved & LONELY == 0 { moved | LONELY } else { moved & !(SLEEPERS | FENCED | LONELY) };
            let _ = self.0.compare_exchange(moved, lonely, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}
