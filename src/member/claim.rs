//! Taking, confirming and leaving a slot: the transitions of the slot word.
//!
//! | label | transition | edge |
//! |---|---|---|
//! | K1 | free, dead, or abandoned claim → claimed (generation + 1) | AcqRel: after the former member's last write, before our description |
//! | K2 | claimed → live, once the node is linked | Release: whoever reads our id reads our description |
//! | K4 | the fence after K2 → an Acquire load of an id in any object, then of its slot | an id that can be read belongs to a slot that is not read as of before K2 |
//! | K3 | live → free, once the node is unlinked | Release: after our last use |
//!
//! | window | the process dies | what the others see | who repairs |
//! |---|---|---|---|
//! | SL-a | between K1 and K2 | a claim by its process seat; the kernel marks nothing, as no tid is in the word | the next search: the seat's byte lock is free, so the claim is abandoned |
//! | SL-b | after K2 | a live slot | the kernel marks it |
//! | SL-c | unlinked, before K3 | a live slot that the kernel will not mark; it owns nothing | the next process to take its seat, or the net |
//! | SL-d | left (K3) or buried, the sleepers not woken | a slot that nobody needs to watch | the net; for a buried slot, its next claim |
//!
//! Why the claim names the *seat* and not the tid: two processes in different PID namespaces can have equal tids. If a claimant
//! died with its node linked while another member owned the slot, the kernel would mark the other's word. With the
//! byte lock, a claim is taken over only after its process is gone for good (files are closed after the robust lists are
//! walked), so the two never overlap.
//!
//! The futex half does not name the generation. A sleeper that has looked at a slot may queue on it only after the member died
//! and the slot went to a thread with the same tid (of another namespace, or a reused tid); it then sleeps on the next member.
//! The net ends that sleep; no more is promised.

#[cfg(not(interproc_loom))]
use super::Life;
use super::OwnerId;
use super::table::{DEAD, Table, is_live, slot_value};
use crate::atomic::{Ordering, fence};
use crate::error::Result;
use crate::format::SLOT_CLAIMED;
use crate::sys::{FUTEX_OWNER_DIED, FUTEX_WAITERS, Word, futex};

/// Not a seat: byte locks do not work here.
#[cfg(not(interproc_loom))]
pub const NO_SEAT: u16 = u16::MAX;

const fn claimed_by(seat: u16) -> u32 {
    FUTEX_WAITERS | SLOT_CLAIMED | seat as u32
}

/// What a thread that joins or leaves does apart from the slot word; in the product a [`Domain`](super::Domain) does it. The
/// order of the steps is defined here, so that the models run it.
#[doc(hidden)]
pub trait Joiner {
    /// Whether a claim by this seat was left behind by a process that is gone.
    fn abandoned(&self, seat: u16) -> bool;
    /// Prepares the node's memory. The slot is claimed.
    ///
    /// # Errors
    /// The claim is given up.
    fn map(&self) -> Result<()>;
    /// Describes the new member.
    fn describe(&self, generation: u32);
    /// Links the slot's node into the calling thread's robust list.
    fn link(&self);
    /// Takes it out again.
    fn unlink(&self);
}

impl Table {
    /// Makes the calling thread, `tid` of the process at `seat`, the member of slot `index`, if nobody can be using that slot.
    /// Returns the generation.
    ///
    /// # Errors
    /// Those of [`Joiner::map`].
    #[doc(hidden)]
    pub fn join(&self, index: u32, seat: u16, tid: u32, joiner: &impl Joiner) -> Result<Option<u32>> {
        if crate::mutant!("link-before-claim") {
            joiner.link();
        }
        let Some(generation) = self.claim(index, seat, |of| joiner.abandoned(of)) else { return Ok(None) };
        crate::crash_window!("SL-a: claimed, not confirmed");
        if let Err(e) = joiner.map() {
            self.bury(index, seat, |_| false);
            return Err(e);
        }
        if !crate::mutant!("confirm-before-describe") {
            joiner.describe(generation);
        }
        let late = crate::mutant!("confirm-before-link");
        let early = crate::mutant!("link-before-claim");
        if !late && !early {
            joiner.link();
        }
        if !self.confirm(index, generation, seat, tid) {
            joiner.unlink();
            return Ok(None);
        }
        crate::crash_window!("SL-b: confirmed");
        if crate::mutant!("confirm-before-describe") {
            joiner.describe(generation);
        }
        if crate::mutant!("confirm-before-link") {
            joiner.link();
        }
        Ok(Some(generation))
    }

    /// Ends the calling thread's membership.
    #[doc(hidden)]
    pub fn part(&self, index: u32, generation: u32, tid: u32, joiner: &impl Joiner) {
        if crate::mutant!("leave-before-unlink") {
            self.leave(index, generation, tid);
        }
        self.end_well(OwnerId::new(index as u16, generation));
        joiner.unlink();
        crate::crash_window!("SL-c: unlinked, not left");
        self.leave(index, generation, tid);
    }

    /// Claims slot `index` for a process seat if nobody can be using it, and returns the new generation.
    /// `abandoned` says whether a claim by that seat was left behind by a process that is gone.
    pub fn claim(&self, index: u32, seat: u16, abandoned: impl Fn(u16) -> bool) -> Option<u32> {
        let slot = self.slot(index)?;
        let relaxed = crate::mutant!("claim-relaxed");
        let mut word = slot.load(if relaxed { Ordering::Relaxed } else { Ordering::Acquire });
        #[cfg(not(interproc_loom))]
        if word as u32 == DEAD {
            // While its process may still write, the objects that it held must be able to find out who it was.
            if self.life(OwnerId::new(index as u16, (word >> 32) as u32)) != Life::Dead {
                return None;
            }
            word = slot.load(Ordering::Acquire);
        }
        #[cfg(interproc_loom)]
        let _ = &mut word;
        let (generation, low) = ((word >> 32) as u32, word as u32);
        let free = low == 0
            || low & FUTEX_OWNER_DIED != 0
            || (low & SLOT_CLAIMED != 0
                && !is_live(low)
                && (abandoned(low as u16) || crate::mutant!("claim-takes-live-claim")));
        // The last value is not a generation: a process marks a slot with it while one of its threads is joining.
        if !free || generation >= u32::MAX - 1 {
            return None; // in use, or retired: generations never wrap
        }
        if low != 0 && !crate::mutant!("reclaim-no-wake") {
            // Threads that still sleep on the dead generation look again before the slot stands for somebody else.
            futex::wake(Word::Low(slot), u32::MAX);
        }
        let next = if crate::mutant!("claim-no-generation") { generation.max(1) } else { generation + 1 };
        let claimed = slot_value(next, claimed_by(seat));
        // K1
        let order = if relaxed { Ordering::Relaxed } else { Ordering::AcqRel };
        slot.compare_exchange(word, claimed, order, Ordering::Relaxed).ok()?;
        Some(next)
    }

    /// Makes a claim live. The node must be linked.
    pub fn confirm(&self, index: u32, generation: u32, seat: u16, tid: u32) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        let claimed = slot_value(generation, claimed_by(seat));
        let live = slot_value(generation, FUTEX_WAITERS | tid);
        // K2
        let confirmed = slot.compare_exchange(claimed, live, Ordering::Release, Ordering::Relaxed).is_ok();
        // K4: a thread that reads our id in any object (Acquire) reads our slot as live or later. One fence here replaces a
        // Release in every operation that writes an id.
        if !crate::mutant!("confirm-no-fence") {
            fence(Ordering::Release);
        }
        if confirmed {
            self.tell_of_newcomer();
        }
        confirmed
    }

    /// Gives a live slot back. The node must be unlinked. What the member still owned counts as owned by a dead member.
    pub fn leave(&self, index: u32, generation: u32, tid: u32) {
        let Some(slot) = self.slot(index) else { return };
        let live = slot_value(generation, FUTEX_WAITERS | tid);
        // K3
        let release = if crate::mutant!("leave-relaxed") { Ordering::Relaxed } else { Ordering::Release };
        let _ = slot.compare_exchange(live, slot_value(generation, 0), release, Ordering::Relaxed);
        if !crate::mutant!("leave-no-wake") {
            futex::wake(Word::Low(slot), u32::MAX);
        }
    }

    /// The process seat belongs to a new process from now on. Returns its name (low half: the index; high half: the low half of
    /// its incarnation). The caller holds the seat's byte lock.
    #[doc(hidden)]
    pub fn sit_down(&self, seat: u16) -> Option<u64> {
        let page = self.description(seat.into())?;
        let incarnation = page.seat_incarnation.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        Some(u64::from(seat) | incarnation << 32)
    }

    /// Clears what former processes at our seat left in the slots. `ours` is the name that [`Table::sit_down`] returned.
    #[doc(hidden)]
    pub fn bury_former(&self, ours: u64) {
        let seat = ours as u16;
        for index in 0..self.count() {
            self.bury(index, seat, |generation| {
                if crate::mutant!("bury-forgets-members") {
                    return false;
                }
                let Some(page) = self.description(index) else { return false };
                let sat = page.member_seat.load(Ordering::Acquire);
                page.described.load(Ordering::Acquire) == u64::from(generation)
                    && sat as u16 == seat
                    && sat != ours
            });
        }
    }

    /// Whether the process with this name is known to be gone: its seat is free or belongs to another process.
    #[doc(hidden)]
    pub fn has_lost_its_seat(&self, sat: u64, nobody_sits_at: impl Fn(u16) -> bool) -> bool {
        let Some(holder) = self.description((sat as u16).into()) else { return false };
        let incarnation = holder.seat_incarnation.load(Ordering::Acquire) as u32;
        (incarnation != (sat >> 32) as u32 && !crate::mutant!("seat-no-incarnation"))
            || nobody_sits_at(sat as u16)
    }

    /// Clears what a former process of this seat left in slot `index`. The caller holds the seat's byte lock, so that process is
    /// gone. `its_member` says whether the slot's live generation belonged to it.
    pub fn bury(&self, index: u32, seat: u16, its_member: impl Fn(u32) -> bool) {
        let Some(slot) = self.slot(index) else { return };
        let word = slot.load(Ordering::Acquire);
        let (generation, low) = ((word >> 32) as u32, word as u32);
        let its_claim = low == claimed_by(seat)
            || (crate::mutant!("bury-any-claim") && low & SLOT_CLAIMED != 0 && !is_live(low));
        if its_claim || (is_live(low) && (its_member(generation) || crate::mutant!("bury-live"))) {
            let dead = slot_value(generation, DEAD);
            if slot.compare_exchange(word, dead, Ordering::AcqRel, Ordering::Relaxed).is_ok()
                && !crate::mutant!("bury-no-wake")
            {
                futex::wake(Word::Low(slot), u32::MAX);
            }
        }
    }
}
