//! [`Steps`]: how far one operation may walk through a ring.
//!
//! Whoever writes over a ring can put any number of cells in the way, so every walk has an end. In an honest ring it is the end
//! only where more than three quarters of a million cells that are done lie behind messages that are borrowed for long, more of
//! them than there are notes ([`Skips`](super::skips)). A try then finds nothing; a call that waits goes further each time
//! ([`Patience`]).
//!
//! What an operation may take, it may take *in all*: a batch, or a push that looks for the oldest message several times, would
//! otherwise walk a whole ring again for each message. So a batch may end early behind more long-borrowed messages than notes.

/// The looks at cells that an operation may still take.
#[derive(Debug)]
pub(crate) struct Steps {
    taken: u64,
    /// The taken ones that belong to walks which are over.
    before: u64,
    most: u64,
}

/// So many steps of each walk are not counted: a batch may be longer than a ring, and each of its messages takes a few.
pub(super) const NEAR: u64 = 64;

impl Steps {
    /// At most `most`.
    #[inline]
    pub(super) fn new(most: u64) -> Self {
        Steps { taken: 0, before: 0, most }
    }

    /// Begins a walk.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.before += self.in_this_walk().saturating_sub(NEAR);
        self.taken = self.before;
    }

    /// Takes one, if any are left.
    #[inline(always)]
    pub(super) fn next(&mut self) -> bool {
        self.taken += 1;
        self.taken <= self.most || self.in_this_walk() <= NEAR
    }

    /// How many this walk has taken.
    #[inline(always)]
    pub(super) fn in_this_walk(&self) -> u64 {
        self.taken - self.before
    }
}

/// How far the next walk of a call that waits may go: twice as far each time that one has come to its end without an answer.
#[derive(Debug)]
pub(super) struct Patience(u32);

impl Patience {
    /// More than this is two laps of the largest ring.
    const MOST: u32 = 1 << 11;

    pub(super) fn new() -> Self {
        Patience(1)
    }

    pub(super) fn times(&self) -> u32 {
        self.0
    }

    /// After a walk; `lost`: it had no answer.
    pub(super) fn after(&mut self, lost: bool) {
        self.0 = if lost { (self.0 * 2).min(Self::MOST) } else { 1 };
    }
}
