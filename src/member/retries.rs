//! [`Retries`]: a bound on loops that retry because a word changed between the look and the exchange.
//!
//! Among participants that keep the rules, each failed round is somebody else's progress, so a loop ends soon. A peer that
//! writes a word all the time lets nobody proceed; so every retry loop counts its rounds, and none runs for ever. A try
//! gives up ("not now"), a wait with a time limit looks at the clock, and what must be done is done without an exchange.

use crate::atomic::{AtomicU64, Ordering};
use crate::time::Deadline;

/// The failed rounds of one loop.
pub(crate) struct Retries(u32);

impl Retries {
    /// This many are no longer contention: about 2 ms, in which thousands of threads would have got their turn.
    const MOST: u32 = 1 << 13;
    /// A wait looks at the clock once in this many rounds.
    const CLOCK: u32 = 1 << 6;

    #[inline]
    pub(crate) const fn new() -> Self {
        Retries(0)
    }

    /// Counts a round. False if it is time to give up.
    #[inline]
    pub(crate) fn again(&mut self) -> bool {
        self.0 += 1;
        self.0 < Self::MOST
    }

    /// Counts a round of a wait. False if the deadline has passed, as far as the clock was asked.
    #[inline]
    pub(crate) fn again_until(&mut self, deadline: Option<Deadline>) -> bool {
        self.0 = self.0.wrapping_add(1);
        !self.0.is_multiple_of(Self::CLOCK) || deadline.is_none_or(|deadline| !deadline.has_passed())
    }
}

/// How an [`update`] ended, with the value that it last saw.
pub(crate) enum Updated {
    /// The word was changed, from this value.
    From(u64),
    /// `to` left the word alone at this value.
    Kept(u64),
    /// The word changed under every try. To be treated as "it moves without us".
    GaveUp(u64),
}

/// Changes `word` to what `to` makes of its value, by compare-and-swap, until it succeeds or `to` answers `None`; a bounded
/// number of times. `seen` is the value as the caller saw it. The two orderings are those of success and failure.
#[inline]
pub(crate) fn update(
    word: &AtomicU64,
    mut seen: u64,
    (success, failure): (Ordering, Ordering),
    to: impl Fn(u64) -> Option<u64>,
) -> Updated {
    let mut retries = Retries::new();
    loop {
        let Some(new) = to(seen) else { return Updated::Kept(seen) };
        match word.compare_exchange(seen, new, success, failure) {
            Ok(_) => return Updated::From(seen),
            Err(now) => seen = now,
        }
        if !retries.again() {
            return Updated::GaveUp(seen);
        }
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_loop_ends_and_a_wait_ends_at_its_deadline() {
        let mut retries = Retries::new();
        assert!((0..100).all(|_| retries.again()));
        assert!((0..Retries::MOST).any(|_| !retries.again()));
        let mut retries = Retries::new();
        assert!((0..1000).all(|_| retries.again_until(None)));
        assert!((0..Retries::CLOCK).any(|_| !retries.again_until(Some(Deadline::from_monotonic_ns(1)))));
    }

    #[test]
    fn an_update_changes_leaves_alone_or_gives_up() {
        let relaxed = (Ordering::Relaxed, Ordering::Relaxed);
        let word = AtomicU64::new(1);
        assert!(matches!(update(&word, 0, relaxed, |seen| Some(seen + 1)), Updated::From(1)));
        assert!(matches!(update(&word, 0, relaxed, |seen| (seen != 2).then_some(9)), Updated::Kept(2)));
        let moves = |seen| {
            word.fetch_add(1, Ordering::Relaxed);
            Some(seen)
        };
        assert!(matches!(update(&word, 0, relaxed, moves), Updated::GaveUp(_)));
    }
}
