//! [`Lost`]: rounds of a retry loop that were lost because a word changed between the look and the exchange.
//!
//! Among participants that keep to the rules each such round is somebody else's progress, so a loop ends soon. A peer that
//! writes a word all the time lets nobody get on: so every retry loop counts, and none goes on for ever. A try gives up
//! ("not now"), a wait with a time limit looks at the clock, and what must be done is done without an exchange.

use crate::time::Deadline;

/// The lost rounds of one loop.
pub(crate) struct Lost(u32);

impl Lost {
    /// So many are no contention any more: 2 ms or so, where thousands of threads would have got on.
    const MOST: u32 = 1 << 13;
    /// Every how many rounds a wait looks at the clock.
    const CLOCK: u32 = 1 << 6;

    pub(crate) const fn new() -> Self {
        Lost(0)
    }

    /// Counts one. False if it is time to give up.
    #[inline]
    pub(crate) fn again(&mut self) -> bool {
        self.0 += 1;
        self.0 < Self::MOST
    }

    /// Counts one, of a wait. False if its deadline has passed, as far as that was asked.
    #[inline]
    pub(crate) fn again_until(&mut self, deadline: Option<Deadline>) -> bool {
        self.0 = self.0.wrapping_add(1);
        !self.0.is_multiple_of(Self::CLOCK) || deadline.is_none_or(|deadline| !deadline.has_passed())
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_loop_ends_and_a_wait_ends_at_its_deadline() {
        let mut lost = Lost::new();
        assert!((0..100).all(|_| lost.again()));
        assert!((0..Lost::MOST).any(|_| !lost.again()));
        let mut lost = Lost::new();
        assert!((0..1000).all(|_| lost.again_until(None)));
        assert!((0..Lost::CLOCK).any(|_| !lost.again_until(Some(Deadline::from_monotonic_ns(1)))));
    }
}
