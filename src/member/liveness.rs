//! Whether an owner lives, asked by somebody who does not sleep on it for long.
//!
//! A death that the kernel does not report is found by the second channel, and a sleeper asks that when the net ends its sleep.
//! Who only tries, waits for less than the net again and again, or asks after an object's state, never gets there. So
//! every question whether an owner lives ([`Member::lives`]) remembers when this process has asked about that owner
//! before: *who asks about the same living owner again after the net asks the second channel*, and then again after the
//! next net. The first question only notes the time, so that a lock that is merely busy costs nobody a system call.
//!
//! | what | where | written by |
//! |---|---|---|
//! | when this process last asked about a slot's member, and about which generation | the process's pair of the slot (`Domain`), private | any thread of the process; a lost note is a question more, or one a net later |
//! | the time of the last look at the clock, and how many questions may use it | the member | the thread itself |
//!
//! *What it costs.* Two loads and a store of private memory, if the owner lives; nothing, if nobody is in the way. The clock
//! is the coarse one (no system call, 6 ns); it is looked at with every fourth question, and with every one as
//! soon as its time has moved between two: so tries in a tight loop pay for a quarter of a look, and tries 20 ms apart
//! see the time as it is (at most three of them see an old one, once, when the pace changes).
//!
//! *A process dies as one.* Who finds a member's process gone marks all its members, so that a lock with a hundred dead
//! readers need not be asked about a hundred times.
//!
//! Rejected: a look at the clock with each question (6 ns on 12); a count of refusals without a clock (somebody who tries
//! every 20 ms and somebody in a tight loop differ by six orders of magnitude); a memory of one owner in each member (an
//! object with several owners in the way would make it forget).

use super::{Life, Member, OwnerId};
#[cfg(not(interproc_loom))]
use core::cell::Cell;

#[cfg(not(interproc_loom))]
/// So many questions after a look at the clock use its time, if it stood still.
const STALE: u32 = 3;
/// The least time between two questions to the second channel about one owner, in ms. Less than the net, by about what the
/// coarse clock and tries 20 ms apart add to it, so that all in all it is below 100.
#[cfg(not(interproc_loom))]
const APART_MS: u32 = 40;

/// The time as a member's questions see it.
#[cfg(not(interproc_loom))]
#[derive(Debug)]
pub(super) struct Glance {
    /// How many questions may go by before the next look at the clock.
    left: Cell<u32>,
    now: Cell<u32>,
}

#[cfg(not(interproc_loom))]
impl Glance {
    pub(super) const fn new() -> Self {
        Glance { left: Cell::new(0), now: Cell::new(0) }
    }

    /// In ms, from no particular time on. It comes round after 49 days: then a question is asked a net late, or early.
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
        let now = (crate::sys::clock::coarse_ns() / 1_000_000) as u32;
        self.left.set(if now == self.now.replace(now) { STALE } else { 0 });
        now
    }
}

impl Member {
    /// Whether `id` lives: one load, and if it does, two more of private memory. For whoever is refused because of it, or
    /// asks after an object's state; see the module.
    #[inline]
    pub(crate) fn lives(&self, id: OwnerId) -> bool {
        self.table().life(id) != Life::Dead && !self.is_found_dead(id)
    }

    #[cfg(interproc_loom)]
    fn is_found_dead(&self, _: OwnerId) -> bool {
        // Whoever finds it marks it: to the others that is the kernel's mark, with which every model is run.
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

    /// Notes the question; unless it is the first one about this owner, puts it to the second channel.
    #[cfg(not(interproc_loom))]
    #[cold]
    fn ask(&self, id: OwnerId, seen: u64, now: u32) -> bool {
        let note = u64::from(id.generation()) << 32 | u64::from(now);
        // One thread of the process asks.
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
