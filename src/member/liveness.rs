//! Whether an owner lives, for callers that do not sleep on it for long.
//!
//! The second channel finds deaths that the kernel does not report, and a sleeper asks it when the net ends its sleep. A caller
//! that only tries, that waits for less than the net again and again, or that queries an object's state, would never get there.
//! So every question whether an owner lives ([`Member::lives`]) remembers when this process last asked about that owner. *A
//! caller that asks about the same living owner again after the net asks the second channel*, and again after the next net.
//! The first question only notes the time, so a lock that is merely busy costs no system calls.
//!
//! | what | where | written by |
//! |---|---|---|
//! | when this process last asked about a slot's member, and about which generation | the process's pair of the slot (`Domain`), private | any thread of the process; a lost note means one question more, or one a net later |
//! | the time of the last look at the clock, and how many questions may use it | the member | the thread itself |
//!
//! *Cost.* Two loads and a store of private memory, if the owner lives; nothing if nobody is in the way. The clock is the coarse
//! one (no system call, 6 ns). It is read at every fourth question, and at every question once its time has moved
//! between two. So tries in a tight loop pay a quarter of a clock reading, and tries 20 ms apart see the true time (at most three
//! of them see an old one, once, when the pace changes).
//!
//! *A process dies as one.* A thread that finds a member's process gone marks all its members, so a lock with a hundred dead
//! readers does not take a hundred questions.
//!
//! Rejected: reading the clock at each question (6 ns on top of 12); counting refusals without a clock (a caller that tries every
//! 20 ms and one in a tight loop differ by six orders of magnitude); remembering one owner per member (an object with
//! several owners in the way would make it forget).

use super::{Life, Member, OwnerId};
#[cfg(not(interproc_loom))]
use core::cell::Cell;

#[cfg(not(interproc_loom))]
/// This many questions after a look at the clock reuse its time, if it stood still.
const STALE: u32 = 3;
/// The shortest time between two questions to the second channel about one owner, in ms. It is less than the net by about what
/// the coarse clock and tries 20 ms apart add, so that the total stays below 100.
#[cfg(not(interproc_loom))]
const APART_MS: u32 = 40;

/// The time, as a member's questions see it.
#[cfg(not(interproc_loom))]
#[derive(Debug)]
pub(super) struct Glance {
    /// How many questions may pass before the next look at the clock.
    left: Cell<u32>,
    now: Cell<u32>,
}

#[cfg(not(interproc_loom))]
impl Glance {
    pub(super) const fn new() -> Self {
        Glance { left: Cell::new(0), now: Cell::new(0) }
    }

    /// In ms since an arbitrary time. It wraps after 49 days: then one question comes a net too late or too early.
    #[inline]
    fn now(&self) -> u32 {
        match self.left.get() {
            0 => self.look(),
            left => {
                self.left.set(left - 1);
                self.now.get()
            }
        }
    }

    #[cold]
    fn look(&self) -> u32 {
        let now = (crate::clock::coarse_ns() / 1_000_000) as u32;
        self.left.set(if now == self.now.replace(now) { STALE } else { 0 });
        now
    }
}

impl Member {
    /// Whether `id` lives: one load, and if it does, two more of private memory. For callers that are refused because of it, or
    /// that query an object's state; see the module.
    #[inline]
    pub(crate) fn lives(&self, id: OwnerId) -> bool {
        self.table().life(id) != Life::Dead && !self.is_found_dead(id)
    }

    #[cfg(interproc_loom)]
    fn is_found_dead(&self, _: OwnerId) -> bool {
        // The finder marks it: to the others that looks like the kernel's mark, which every model includes.
        false
    }

    #[cfg(not(interproc_loom))]
    #[inline]
    fn is_found_dead(&self, id: OwnerId) -> bool {
        let now = self.glance.now();
        let seen = self.domain().note(id).load(core::sync::atomic::Ordering::Relaxed);
        let waits = (seen >> 32) as u32 == id.generation() && now.wrapping_sub(seen as u32) < APART_MS;
        !waits && self.ask(id, seen, now)
    }

    /// Notes the question. Unless it is the first about this owner, asks the second channel.
    #[cfg(not(interproc_loom))]
    #[cold]
    fn ask(&self, id: OwnerId, seen: u64, now: u32) -> bool {
        let note = u64::from(id.generation()) << 32 | u64::from(now);
        // Only one thread of the process asks.
        let mine = self.domain().note(id).compare_exchange(
            seen,
            note,
            core::sync::atomic::Ordering::Relaxed,
            core::sync::atomic::Ordering::Relaxed,
        );
        if mine.is_err() || (seen >> 32) as u32 != id.generation() || id == self.id {
            return false;
        }
        self.verify(id);
        self.table().life(id) == Life::Dead
    }
}
