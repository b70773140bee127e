//! [`Sampler`]: picks one operation in 64, on average.

use core::cell::Cell;

/// A member's sampler.
#[derive(Debug)]
pub(crate) struct Sampler(Cell<u32>);

impl Sampler {
    pub(crate) const fn new() -> Self {
        Sampler(Cell::new(1))
    }

    /// Whether this operation is picked. A linear congruential generator (Numerical Recipes), so that no pattern of use falls
    /// into step with it.
    #[inline(always)]
    pub(crate) fn hit(&self) -> bool {
        let next = self.0.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0.set(next);
        cfg!(not(interproc_loom)) && next >> 26 == 0
    }
}
