//! [`Steps`]: how far one operation may walk through a ring.
//!
//! Whoever writes over a ring can put any number of cells in the way, so every walk has an end. An honest ring needs no more than
//! a lap. What an operation may take, it may take *in all*: a batch, or a push that looks for the oldest message several times,
//! would otherwise walk a whole ring again for each message.

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
