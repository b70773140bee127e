//! [`Spin`]: how long to look again before sleeping.
//!
//! A wake-up across processors costs 10 µs and more, a cache line about 0.1 µs: an active partner is worth waiting
//! for, an absent one is not. Each member keeps a budget of `PAUSE`s that grows when spinning has paid and halves
//! when it has not; at zero it is tried again now and then. With one processor to run on nobody can answer
//! while we spin, so the budget is zero.

use crate::atomic::spin_loop;
use crate::member::Member;
#[cfg(not(interproc_loom))]
use crate::sys::task;

/// `PAUSE`s at most before a sleep: some 10 µs where a `PAUSE` takes 40 ns.
const MOST: u32 = 256;
/// The budget of a new member, and of a renewed try.
const FRESH: u32 = 96;
/// Sleeps without any spinning before it is tried again.
const PATIENCE: u32 = 32;
/// The longest single back-off, in `PAUSE`s.
const LONGEST_STEP: u32 = 8;

const BUDGET: u32 = 0xffff;
const FAILURE: u32 = 0x1_0000;

/// One wait's spinning.
pub(crate) struct Spin<'m> {
    member: &'m Member,
    left: u32,
    step: u32,
}

impl<'m> Spin<'m> {
    /// A new member's budget.
    #[cfg(not(interproc_loom))]
    pub(crate) fn initial() -> u32 {
        if task::allowed_processors() > 1 { FRESH } else { 0 }
    }

    /// Starts a wait.
    #[inline]
    pub(crate) fn new(member: &'m Member) -> Self {
        Spin { member, left: member.spin().get() & BUDGET, step: 1 }
    }

    /// Backs off once, a little longer each time. False when the budget is used up.
    #[inline]
    pub(crate) fn again(&mut self) -> bool {
        if self.left < self.step {
            return false;
        }
        self.left -= self.step;
        for _ in 0..self.step {
            spin_loop();
        }
        self.step = (self.step * 2).min(LONGEST_STEP);
        true
    }

    /// What was waited for came while spinning.
    #[inline]
    pub(crate) fn paid(self) {
        let budget = self.member.spin().get() & BUDGET;
        self.member.spin().set((budget + budget / 4 + 1).min(MOST));
    }

    /// It did not: a sleep follows. Starts the next round, which has nothing left to spin.
    #[cold]
    pub(crate) fn failed(&mut self) {
        let state = self.member.spin().get();
        let mut next = (state & !BUDGET).wrapping_add(FAILURE) | (state & BUDGET) / 2;
        #[cfg(not(interproc_loom))]
        if next / FAILURE >= PATIENCE {
            next = Self::initial();
        }
        #[cfg(interproc_loom)]
        let _ = (FRESH, PATIENCE, &mut next);
        self.member.spin().set(next);
        self.left = 0;
    }
}
