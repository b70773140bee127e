//! [`EventCount`]: how a sleeper and a publisher agree, without a fence on the publisher's side.
//!
//! Bit 31 says that somebody may sleep; the rest is a sequence number. A sleeper announces itself (it bumps the sequence and
//! sets the bit), passes the heavy fence, looks at the object once more and sleeps on the value that it wrote. A publisher
//! publishes, passes the light fence and tests the bit.
//!
//! A death rings the segment's bell, but only those who already sleep hear a bell. So *whatever must make a sleeper look again
//! must change a value that it watches*; otherwise it falls asleep after the news. Beside the bell a sleeper watches three
//! values: the count, the cell that refused it (any claim changes its word) and, if that cell was owned, the owner's slot (the
//! owner's death changes it).
//!
//! | window | who dies | a sleeper already asleep | a sleeper between its look and its sleep |
//! |---|---|---|---|
//! | E1 | another sleeper, after its announcement | one spare wake-up call | the same |
//! | E2 | a publisher, claimed, not published | the bell | the cell's word or the owner's slot has changed |
//! | E3 | a publisher, published, not woken | the bell | the cell's word has changed |
//! | E4 | a woken sleeper, before it acts | the bell | the cell's word has changed |
//!
//! One wake-up can be worth several messages. While a cell is being written, it blocks everybody; others publish behind it, and
//! the sleepers that they wake find it in the way and sleep again. So a waker counts what its own publication has made
//! available.
//!
//! A waker bumps the sequence before it wakes. It clears the bit only if its call found nobody left for the second time in a
//! row (`LONELY`; an announcement in between starts the count anew) and the value is still the one that it wrote. Once would
//! be correct, but two threads that sleep in turns often wake a peer that is not asleep yet, and then the next announcement
//! would need the heavy fence again.
//!
//! Rejected: publishers that also test the bit before they publish, and bump the sequence (2 ns on every operation, for what
//! the sleeper can see by itself).
//!
//! The heavy fence costs a system call, and on a busy machine an interrupt of every other processor. Whoever has passed it
//! notes that (`FENCED`, if the value is still its own). As long as the bits stand, that is until a waker finds nobody left,
//! further sleepers do without it: every publisher whose look came before that fence had published by then, and whoever reads
//! the bit with acquire sees its message; every other publisher sees the bit and passes a full fence before it decides whom to
//! wake.
//!
//! `tests/store_buffer.rs` checks the asymmetric fence. On aarch64 the publisher's store-release followed by a load of another
//! word may be reordered just as on x86-64 (litmus test SB). The sleeper's membarrier makes every other core execute a
//! `dmb ish` either between the two or after both; the sleeper's own fence pairs with that.

use crate::atomic::{AtomicU32, Ordering, fence, light_fence};
use crate::member::Retries;
use crate::member::Table;
use crate::sys::{Watch, Word, futex};

/// Somebody may sleep.
const SLEEPERS: u32 = 1 << 31;
/// Publishers must use full fences: some participant cannot use membarrier. Never cleared.
const STRONG: u32 = 1 << 30;
/// A sleeper has passed the heavy fence since `SLEEPERS` was set.
const FENCED: u32 = 1 << 29;
/// A waker has found nobody, and nobody has announced itself since then.
const LONELY: u32 = 1 << 28;
/// The queue is closed: publishers take the careful path. Never cleared.
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

    /// Resets it for an object that starts anew while nobody uses it.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn renew(&self) {
        self.0.fetch_and(STRONG | SEQUENCE, Ordering::AcqRel);
    }

    /// Announces that the caller is about to sleep, and passes the heavy fence. The caller must look once more afterwards.
    /// The flag says whether every publisher is sure to see the announcement; if not, the net must bound the sleep.
    pub(super) fn announce(&self, table: &Table) -> (Watch<'_>, bool) {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mut retries = Retries::new();
        let mine = loop {
            let fenced = if seen & SLEEPERS != 0 { seen & FENCED } else { 0 };
            let mine = seen & (STRONG | CLOSED) | seen.wrapping_add(1) & SEQUENCE | SLEEPERS | fenced;
            // AcqRel, with the fence that follows: the announcement comes before the look. Acquire also for what was
            // published before the fence that `FENCED` stands for.
            match self.0.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break mine,
                Err(now) => seen = now,
            }
            if !retries.again() {
                // Nobody sees it, so the net must bound this sleep, if there is one.
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
            // This changes the value, so the caller looks again at once; publishers are warned by then.
            self.use_strong_fences();
        } else if self
            .0
            // Only over our own value: after a waker's, the bits may belong to another sleeper and be set after our fence.
            .compare_exchange(mine, mine | FENCED, Ordering::Release, Ordering::Relaxed)
            .is_ok()
        {
            expected = mine | FENCED;
        }
        (Watch { word: Word::Whole(&self.0), expected }, sure)
    }

    /// Whether publishers must be careful: use full fences, or check whether the queue is closed. Read it before the
    /// claim: a load behind a locked operation waits.
    #[inline(always)]
    pub(super) fn is_careful(&self) -> bool {
        // Relaxed: the bits are sticky; until they are seen, whoever depends on them sleeps under the net.
        self.0.load(Ordering::Relaxed) & (STRONG | CLOSED) != 0
    }

    /// After publishing: wakes as many sleepers as `how_many` says, if there are any. Returns whether the count is marked: the queue
    /// is closed, or is being closed.
    #[inline(always)]
    pub(super) fn published(&self, careful: bool, how_many: impl FnOnce() -> u32) -> bool {
        if careful {
            fence(Ordering::SeqCst)
        } else {
            light_fence()
        }
        // Relaxed: the fences order it. One test for both bits.
        let seen = self.0.load(Ordering::Relaxed);
        if seen & (SLEEPERS | CLOSED) == 0 {
            return false;
        }
        if seen & SLEEPERS != 0 {
            self.wake(how_many);
        }
        seen & CLOSED != 0
    }

    /// Whether a closer had already marked the count when this watch was made: then the close need not change it again.
    pub(super) fn was_marked(watch: &Watch<'_>) -> bool {
        watch.expected & CLOSED != 0
    }

    /// After publishing; passes the light fence. Whether somebody may sleep or the object is closed: then call
    /// [`EventCount::watched`].
    #[inline(always)]
    pub(super) fn is_watched(&self) -> bool {
        light_fence();
        // Relaxed: the fences order it.
        self.0.load(Ordering::Relaxed) & (SLEEPERS | CLOSED) != 0
    }

    /// As [`EventCount::is_watched`], and also true where full fences are needed: for publishers that have nothing to check
    /// before they publish. Then pass a full fence and call [`EventCount::watched`].
    #[inline(always)]
    pub(super) fn is_watched_or_strong(&self) -> bool {
        light_fence();
        // Relaxed: the fences order it; see `is_careful`.
        self.0.load(Ordering::Relaxed) & (SLEEPERS | CLOSED | STRONG) != 0
    }

    /// Wakes as many sleepers as `how_many` says, if there are any. Returns whether the object is closed.
    pub(super) fn watched(&self, how_many: impl FnOnce() -> u32) -> bool {
        // Relaxed: the fences order it.
        let seen = self.0.load(Ordering::Relaxed);
        if seen & SLEEPERS != 0 {
            self.wake(how_many);
        }
        seen & CLOSED != 0
    }

    /// Advances the sequence and returns the new value.
    fn bump(&self) -> u32 {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mut retries = Retries::new();
        loop {
            let moved = seen & !SEQUENCE | seen.wrapping_add(1) & SEQUENCE;
            // AcqRel: a sleeper that announces itself over this value sees everything before it.
            match self.0.compare_exchange(seen, moved, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return moved,
                Err(now) if !retries.again() => return now, // others advance it
                Err(now) => seen = now,
            }
        }
    }

    /// Makes everybody who is about to sleep look again, and wakes up to `how_many` sleepers.
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
