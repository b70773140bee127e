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
use crate::member::{Retries, Table, Watchers};
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
/// Somebody may sleep on the count itself since `SLEEPERS` was set: not only wait sets, which sleep at their doors.
const ON_IT: u32 = 1 << 26;
const SEQUENCE: u32 = ON_IT - 1;

/// What an announcement has come to.
enum Enlisted {
    /// The count is never still; publishers may not see it.
    Unseen(u32),
    /// The value written; the fence is passed.
    Fenced(u32),
    /// The value written; the heavy fence is needed.
    Unfenced(u32),
}

/// What a wait set's announcement has left in a count, and whether every publisher sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Armed(Option<u32>, bool);

impl Armed {
    /// Whether a publisher is sure to tell the set. If not, the net must bound its sleep.
    pub(crate) fn is_sure(self) -> bool {
        self.1
    }
}

/// One side's sleepers. Zero is valid: nobody sleeps.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct EventCount {
    count: AtomicU32,
    /// Wait sets that watch it. Whoever adds itself announces itself afterwards, so publishers need not look here before they find
    /// that somebody may sleep.
    watchers: Watchers,
}

impl EventCount {
    #[cfg(interproc_loom)]
    pub(super) fn new() -> Self {
        EventCount { count: AtomicU32::new(0), watchers: Watchers::new() }
    }

    /// From now on publishers use full fences here.
    pub(super) fn use_strong_fences(&self) {
        self.count.fetch_or(STRONG, Ordering::SeqCst);
    }

    /// From now on publishers are careful here: the queue is closed.
    pub(super) fn mark_closed(&self) {
        self.count.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// Resets it for an object that starts anew while nobody uses it.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn renew(&self) {
        self.count.fetch_and(STRONG | SEQUENCE, Ordering::AcqRel);
    }

    /// Announces that the caller is about to sleep, and passes the heavy fence. The caller must look once more afterwards.
    /// The flag says whether every publisher is sure to see the announcement; if not, the net must bound the sleep.
    pub(super) fn announce(&self, table: &Table) -> (Watch<'_>, bool) {
        let watch = |expected| Watch { word: Word::Whole(&self.count), expected };
        match self.enlist() {
            Enlisted::Unseen(seen) => (watch(seen), false),
            Enlisted::Fenced(mine) => (watch(mine), true),
            Enlisted::Unfenced(mine) => {
                let sure = crate::mutant!("no-membarrier") || table.sleeper_fence();
                (watch(self.fenced(mine, sure)), sure)
            }
        }
    }

    /// The announcement, and the fence if that needs no system call.
    fn enlist(&self) -> Enlisted {
        let mut seen = self.count.load(Ordering::Relaxed);
        let mut retries = Retries::new();
        let mine = loop {
            let kept = if seen & SLEEPERS != 0 { seen & FENCED } else { 0 };
            let mine = seen & (STRONG | CLOSED) | seen.wrapping_add(1) & SEQUENCE | SLEEPERS | ON_IT | kept;
            // AcqRel, with the fence that follows: the announcement comes before the look. Acquire also for what was
            // published before the fence that `FENCED` stands for.
            match self.count.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break mine,
                Err(now) => seen = now,
            }
            if !retries.again() {
                // Nobody sees it, so the net must bound this sleep, if there is one.
                return Enlisted::Unseen(seen);
            }
        };
        if mine & (STRONG | FENCED) == 0 {
            return Enlisted::Unfenced(mine);
        }
        fence(Ordering::SeqCst);
        Enlisted::Fenced(mine)
    }

    /// After an announcement that needed the heavy fence. `sure`: it has reached every publisher. Returns the value to sleep on.
    fn fenced(&self, mine: u32, sure: bool) -> u32 {
        if !sure {
            // This changes the value, so the caller looks again at once; publishers are warned by then.
            self.use_strong_fences();
        } else if self
            .count
            // Only over our own value: after a waker's, the bits may belong to another sleeper and be set after our fence.
            .compare_exchange(mine, mine | FENCED, Ordering::Release, Ordering::Relaxed)
            .is_ok()
        {
            return mine | FENCED;
        }
        mine
    }

    /// For a wait set: announces that whoever sleeps at `door` must be told. `armed` is what the last call for this door noted; where
    /// that still stands there is nothing to do. If it returns true the caller passes the heavy fence and calls
    /// [`arm_fenced`](Self::arm_fenced). Then it looks once more. The caller has looked at the door before.
    pub(crate) fn arm(&self, door: u32, armed: &mut Armed) -> bool {
        let seen = self.count.load(Ordering::Acquire);
        if self.stands(seen, door, *armed) && !armed.1 && seen & STRONG != 0 {
            // The heavy fence did not reach everybody. By now they pass full fences, and so do we.
            fence(Ordering::SeqCst);
            armed.1 = true;
            return false;
        }
        if self.stands(seen, door, *armed) || crate::mutant!("set-announces-once") && armed.0.is_some() {
            return false;
        }
        self.watchers.add(door);
        crate::crash_window!("WS-a: a door noted, not announced");
        // Pairs with the fence in `wake`: of the two, a waker finds the door, or we find the count moved.
        fence(Ordering::SeqCst);
        let mut seen = self.count.load(Ordering::Acquire);
        let mut retries = Retries::new();
        // It stays as it is where it stands, so that sets do not disturb each other. A waker that is about to find nobody for the second
        // time would clear the bits: it must not.
        let lonely = if crate::mutant!("set-stays-lonely") { 0 } else { LONELY };
        while seen & SLEEPERS == 0 || seen & lonely != 0 {
            let kept = if seen & SLEEPERS != 0 { !LONELY } else { STRONG | CLOSED | SEQUENCE };
            let mine = seen & kept | SLEEPERS;
            match self.count.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => seen = mine,
                Err(now) => seen = now,
            }
            if !retries.again() {
                *armed = Armed::default();
                return false;
            }
        }
        fence(Ordering::SeqCst);
        let sure = seen & (FENCED | STRONG) != 0;
        *armed = Armed(Some(seen), sure);
        !sure
    }

    /// Nobody has moved the count since the set announced itself, so no waker has cleared the bits. One that had moved it before may
    /// have told the door since.
    fn stands(&self, seen: u32, door: u32, armed: Armed) -> bool {
        let same = armed.0.is_some_and(|value| (value ^ seen) & SEQUENCE == 0);
        same && seen & SLEEPERS != 0 && seen & (FENCED | STRONG) != 0 && self.watchers.has(door)
    }

    /// Whether nothing was published since the set [announced](Self::arm) itself and looked, as far as no publisher has died.
    #[inline]
    pub(crate) fn is_quiet(&self, door: u32, armed: Armed) -> bool {
        self.stands(self.count.load(Ordering::Acquire), door, armed)
    }

    /// After [`arm`](Self::arm) and the heavy fence; `sure` as in [`fenced`](Self::fenced).
    pub(crate) fn arm_fenced(&self, armed: &mut Armed, sure: bool) {
        if let Armed(Some(mine), false) = *armed {
            *armed = Armed(Some(self.fenced(mine, sure)), sure);
        }
    }

    /// Whether publishers must be careful: use full fences, or check whether the queue is closed. Read it before the
    /// claim: a load behind a locked operation waits.
    #[inline(always)]
    pub(super) fn is_careful(&self) -> bool {
        // Relaxed: the bits are sticky; until they are seen, whoever depends on them sleeps under the net.
        self.count.load(Ordering::Relaxed) & (STRONG | CLOSED) != 0
    }

    /// After publishing: wakes as many sleepers as `how_many` says, if there are any. Returns whether the count is marked: the queue
    /// is closed, or is being closed.
    #[inline(always)]
    pub(super) fn published(&self, careful: bool, table: &Table, how_many: impl FnOnce() -> u32) -> bool {
        if careful {
            fence(Ordering::SeqCst)
        } else {
            light_fence()
        }
        // Relaxed: the fences order it. One test for both bits.
        let seen = self.count.load(Ordering::Relaxed);
        if seen & (SLEEPERS | CLOSED) == 0 {
            return false;
        }
        if seen & SLEEPERS != 0 {
            self.wake(table, how_many);
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
        self.count.load(Ordering::Relaxed) & (SLEEPERS | CLOSED) != 0
    }

    /// As [`EventCount::is_watched`], and also true where full fences are needed: for publishers that have nothing to check
    /// before they publish. Then pass a full fence and call [`EventCount::watched`].
    #[inline(always)]
    pub(super) fn is_watched_or_strong(&self) -> bool {
        light_fence();
        // Relaxed: the fences order it; see `is_careful`.
        self.count.load(Ordering::Relaxed) & (SLEEPERS | CLOSED | STRONG) != 0
    }

    /// Wakes as many sleepers as `how_many` says, if there are any. Returns whether the object is closed.
    pub(super) fn watched(&self, table: &Table, how_many: impl FnOnce() -> u32) -> bool {
        // Relaxed: the fences order it.
        let seen = self.count.load(Ordering::Relaxed);
        if seen & SLEEPERS != 0 {
            self.wake(table, how_many);
        }
        seen & CLOSED != 0
    }

    /// Advances the sequence and returns the new value.
    fn bump(&self) -> u32 {
        let mut seen = self.count.load(Ordering::Relaxed);
        let mut retries = Retries::new();
        loop {
            let moved = seen & !SEQUENCE | seen.wrapping_add(1) & SEQUENCE;
            // AcqRel: a sleeper that announces itself over this value sees everything before it.
            match self.count.compare_exchange(seen, moved, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return moved,
                Err(now) if !retries.again() => return now, // others advance it
                Err(now) => seen = now,
            }
        }
    }

    /// Makes everybody who is about to sleep look again, wakes up to `how_many` sleepers, and tells the wait sets that watch.
    #[cold]
    pub(super) fn wake(&self, table: &Table, how_many: impl FnOnce() -> u32) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) & SLEEPERS == 0 || crate::mutant!("publish-no-wake") {
            return;
        }
        let n = how_many();
        let moved = self.bump();
        // Of this and a set that adds its door, and then looks at the count, one sees the other.
        fence(Ordering::SeqCst);
        self.watchers.ring(table);
        let woken = if moved & ON_IT == 0 { 0 } else { futex::wake(Word::Whole(&self.count), n) };
        if woken < n {
            let nobody = moved & !(SLEEPERS | FENCED | LONELY | ON_IT);
            let lonely = if moved & LONELY == 0 { moved | LONELY } else { nobody };
            let _ = self.count.compare_exchange(moved, lonely, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}
