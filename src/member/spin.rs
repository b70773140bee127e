//! [`Spin`]: how long to look again before sleeping.
//!
//! A wake-up across processors costs 10 to 50 µs, a cache line about 0.1 µs. An active peer is worth waiting for,
//! an absent one is not. Each member has a [`Habit`]: a budget that grows when spinning has paid off and halves when it
//! has not. At zero the member sleeps at once, and tries spinning again after a number of sleeps that doubles as long as that
//! fails. So two peers that share a processor, where neither can answer while the other spins, soon stop trying. (Only for locks
//! each wait begins with a moment of it: [`Spin::at_a_lock`].)
//!
//! Budgets are in nanoseconds, as a `PAUSE` takes 10 ns on one machine and 60 on another.
//!
//! Rejected: no spinning if the caller may run on one processor only. That says nothing about its peer: two processes that are
//! pinned to a processor each would never spin. Also rejected: giving the processor away (`sched_yield`) before a sleep. Two
//! peers that share a processor with nobody else then answer each other in 2 µs instead of 4.5 under a real-time class, but in
//! 15 instead of 6 under the ordinary one, and beside one busy process in 1,800 instead of 10 (Linux 6.18): a thread that
//! yields there gives up its whole slice.

use crate::atomic::spin_loop;
use core::cell::Cell;

/// The longest spinning before a sleep. It must outlast a peer's wake-up, or two that sleep in turns would never meet awake.
const MOST: u32 = 40_000;
/// The budget of a new member.
const FRESH: u32 = 2_000;
/// The least before a sleep on a lock, whatever the habit says: see [`Spin::at_a_lock`].
const AT_A_LOCK: u32 = 2_000;
/// A budget below this counts as none.
const LEAST: u32 = 250;
/// The longest single back-off.
const LONGEST_STEP: u32 = 80;
/// The number of sleeps without spinning before it is tried again: at first, and at most. Exponents of two.
const PATIENCE: (u32, u32) = (6, 12);

/// What a member has learned about spinning.
#[derive(Debug)]
pub(crate) struct Habit {
    /// Nanoseconds.
    budget: Cell<u32>,
    /// Sleeps since the budget became zero; nonzero while spinning is tried again.
    slept: Cell<u32>,
    /// Spinning is tried again after two to the power of this many sleeps.
    patience: Cell<u32>,
}

impl Habit {
    /// A new member's.
    pub(crate) const fn new() -> Self {
        Habit { budget: Cell::new(FRESH), slept: Cell::new(0), patience: Cell::new(PATIENCE.0) }
    }

    /// Spinning has paid off. A member that has given it up may have found what it waited for at once, or at a lock, where all spin:
    /// that says nothing, and its sleeps are counted on.
    fn paid(&self) {
        if self.budget.get() == 0 {
            return;
        }
        self.budget.set((self.budget.get() * 2).min(MOST));
        self.slept.set(0);
        self.patience.set(PATIENCE.0);
    }

    /// It has not.
    fn failed(&self) {
        let (slept, patience) = (self.slept.get(), self.patience.get());
        if self.budget.get() / 2 >= LEAST && slept == 0 {
            self.budget.set(self.budget.get() / 2);
        } else if slept >> patience == 0 {
            self.budget.set(0);
            self.slept.set(slept + 1);
        } else {
            // Try again, with all there is, once.
            self.budget.set(MOST);
            self.slept.set(1);
            self.patience.set((patience + 1).min(PATIENCE.1));
        }
    }
}

/// One wait's spinning.
pub(crate) struct Spin<'m> {
    habit: &'m Habit,
    left: u32,
    step: u32,
    pause: u32,
    slept: bool,
}

impl<'m> Spin<'m> {
    /// Starts a wait.
    #[inline]
    pub(crate) fn new(habit: &'m Habit) -> Self {
        let pause = pause::ns();
        Spin { habit, left: habit.budget.get(), step: pause, pause, slept: false }
    }

    /// Starts a wait for a lock. Its holder is expected to release it soon, so every member spins for a moment, as in most
    /// locks. A member that had learned not to spin found a busy lock held at nearly every look, and starved: of eight
    /// contenders on two processors, 100 ns or 1 µs inside and as long outside, the worst had 0.02 to 0.2 of a fair share in every
    /// third run, and has 0.7 to 0.9 since; as many sections are done. The price: 2 µs for each sleep where the holder cannot run
    /// meanwhile, as on one processor.
    #[inline]
    pub(crate) fn at_a_lock(habit: &'m Habit) -> Self {
        let spin = Spin::new(habit);
        Spin { left: spin.left.max(AT_A_LOCK), ..spin }
    }

    /// Backs off once, a little longer each time. False when the budget is used up.
    #[inline]
    pub(crate) fn again(&mut self) -> bool {
        if self.left < self.step {
            return false;
        }
        self.left -= self.step;
        let mut done = 0;
        while done < self.step {
            spin_loop();
            done += self.pause;
        }
        self.step = (self.step * 2).min(LONGEST_STEP.max(self.pause));
        true
    }

    /// A look has taken about so long, in nanoseconds: those who look at many things spin no longer than others.
    pub(crate) fn charge(&mut self, ns: u32) {
        self.left = self.left.saturating_sub(ns);
    }

    /// What the caller waited for has come.
    #[inline]
    pub(crate) fn done(self) {
        if !self.slept {
            self.habit.paid();
        }
    }

    /// It has not: a sleep follows. After it comes another look, without spinning.
    #[cold]
    pub(crate) fn failed(&mut self) {
        self.habit.failed();
        self.left = 0;
        self.slept = true;
    }
}

/// How long a `PAUSE` takes, in nanoseconds.
#[cfg(not(interproc_loom))]
mod pause {
    use super::spin_loop;
    use crate::time::Deadline;
    use core::sync::atomic::{AtomicU32, Ordering};

    /// Until it is measured: the value of a slow machine, so that nobody spins for long.
    static PAUSE: AtomicU32 = AtomicU32::new(60);

    #[inline]
    pub(super) fn ns() -> u32 {
        // Relaxed: a number.
        PAUSE.load(Ordering::Relaxed)
    }

    /// Measures it, in 1 to 5 µs.
    pub(in super::super) fn measure() {
        const SAMPLE: u64 = 32;
        let one = || {
            let start = Deadline::now().as_monotonic_ns();
            (0..SAMPLE).for_each(|_| spin_loop());
            (Deadline::now().as_monotonic_ns() - start) / SAMPLE
        };
        // The least of a few: an interrupted run measures too much.
        let ns = (0..3).map(|_| one()).min().unwrap_or(0).clamp(1, 1000);
        PAUSE.store(ns as u32, Ordering::Relaxed);
    }
}

/// Models do not spin: they try all interleavings anyway.
#[cfg(interproc_loom)]
mod pause {
    pub(super) fn ns() -> u32 {
        super::MOST
    }
}

#[cfg(not(interproc_loom))]
pub(super) use pause::measure as measure_pause;

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    fn spun(mut spin: Spin<'_>) -> u32 {
        let before = spin.left;
        while spin.again() {}
        before - spin.left
    }

    fn given_up() -> Habit {
        let habit = Habit::new();
        while habit.budget.get() > 0 {
            Spin::new(&habit).failed();
        }
        habit
    }

    #[test]
    fn who_has_given_up_spins_at_locks_only() {
        let habit = given_up();
        assert_eq!(spun(Spin::new(&habit)), 0);
        let at_a_lock = spun(Spin::at_a_lock(&habit));
        assert!(AT_A_LOCK - LONGEST_STEP.max(1000) <= at_a_lock && at_a_lock <= AT_A_LOCK, "{at_a_lock} ns");
    }

    #[test]
    fn who_has_given_up_tries_again_after_many_sleeps_whatever_it_finds_at_locks() {
        let habit = given_up();
        for _ in 0..1 << PATIENCE.0 {
            assert_eq!(habit.budget.get(), 0);
            Spin::at_a_lock(&habit).done();
            Spin::new(&habit).failed();
        }
        assert_eq!(habit.budget.get(), MOST);
        Spin::new(&habit).done();
        assert_eq!((habit.budget.get(), habit.patience.get()), (MOST, PATIENCE.0));
    }
}
