//! Taking, confirming and leaving a slot: the transitions of the slot word.
//!
//! | label | transition | edge |
//! |---|---|---|
//! | K1 | free, dead, or abandoned claim → claimed (generation + 1) | AcqRel: after the former member's last write, before our description |
//! | K2 | claimed → live, once the node is linked | Release: whoever reads our id reads our description |
//! | K4 | the fence behind K2 → an Acquire load of an id in any object, then of its slot | an id that can be read belongs to a slot that is not read as of before K2 |
//! | K3 | live → free, once the node is unlinked | Release: after our last use |
//!
//! | window | the process dies | what the others see | who repairs |
//! |---|---|---|---|
//! | W1 | between K1 and K2 | a claim by its process seat; the kernel marks nothing, as no tid is in the word | the next search: the seat's byte lock is free, so the claim is abandoned |
//! | W2 | after K2 | a live slot | the kernel marks it |
//! | W3 | unlinked, before K3 | a live slot that the kernel will not mark; it owns nothing | the next taker of its seat, or the net |
//!
//! Why the claim holds the *seat* and not the tid: two processes in different PID namespaces can have equal
//! tids. A claimant whose node is linked while another one owns the slot would, dying, have the kernel mark the
//! other's word. With the byte lock a claim is taken over only after its process is gone for good (files are
//! closed after the robust lists are walked), so the two never overlap.

use super::table::{DEAD, Table, is_live, slot_value};
use crate::atomic::{Ordering, fence};
use crate::format::SLOT_CLAIMED;
use crate::sys::{FUTEX_OWNER_DIED, FUTEX_WAITERS, Word, futex};

/// Not a seat: byte locks do not work here.
#[cfg(not(interproc_loom))]
pub const NO_SEAT: u16 = u16::MAX;

const fn claimed_by(seat: u16) -> u32 {
    FUTEX_WAITERS | SLOT_CLAIMED | seat as u32
}

impl Table {
    /// Claims slot `index` for a process seat if nobody can be using it; the new generation.
    /// `abandoned` says whether a claim by that seat was left by a process that is gone.
    pub fn claim(&self, index: u32, seat: u16, abandoned: impl Fn(u16) -> bool) -> Option<u32> {
        let slot = self.slot(index)?;
        let word = slot.load(Ordering::Acquire);
        let (generation, low) = ((word >> 32) as u32, word as u32);
        let free = low == 0
            || low & FUTEX_OWNER_DIED != 0
            || (low & SLOT_CLAIMED != 0 && !is_live(low) && abandoned(low as u16));
        // The last value is no generation: a process marks a slot with it that one of its threads is joining.
        if !free || generation >= u32::MAX - 1 {
            return None; // in use, or retired: generations never wrap
        }
        if low != 0 && !crate::mutant!("reclaim-no-wake") {
            // Whoever still sleeps on the dead generation looks again before the slot means somebody else.
            futex::wake(Word::Low(slot), u32::MAX);
        }
        let claimed = slot_value(generation + 1, claimed_by(seat));
        // K1
        slot.compare_exchange(word, claimed, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(generation + 1)
    }

    /// Makes a claim live. The node must be linked.
    pub fn confirm(&self, index: u32, generation: u32, seat: u16, tid: u32) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        let claimed = slot_value(generation, claimed_by(seat));
        let live = slot_value(generation, FUTEX_WAITERS | tid);
        // K2
        let confirmed = slot.compare_exchange(claimed, live, Ordering::Release, Ordering::Relaxed).is_ok();
        // K4: whoever reads our id in any object (Acquire) reads our slot as live or later. Once here, instead of a
        // Release in every operation that writes an id.
        fence(Ordering::Release);
        confirmed
    }

    /// Gives a live slot back. The node must be unlinked. What the member still owned is found ownerless.
    pub fn leave(&self, index: u32, generation: u32, tid: u32) {
        let Some(slot) = self.slot(index) else { return };
        let live = slot_value(generation, FUTEX_WAITERS | tid);
        // K3
        let _ = slot.compare_exchange(live, slot_value(generation, 0), Ordering::Release, Ordering::Relaxed);
        futex::wake(Word::Low(slot), u32::MAX);
    }

    /// Clears what a former process of this seat left in slot `index`. The caller holds the seat's byte lock,
    /// so that process is gone. `its_member` says whether the slot's live generation belonged to it.
    pub fn bury(&self, index: u32, seat: u16, its_member: impl Fn(u32) -> bool) {
        let Some(slot) = self.slot(index) else { return };
        let word = slot.load(Ordering::Acquire);
        let (generation, low) = ((word >> 32) as u32, word as u32);
        if low == claimed_by(seat) || (is_live(low) && its_member(generation)) {
            let dead = slot_value(generation, DEAD);
            if slot.compare_exchange(word, dead, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                futex::wake(Word::Low(slot), u32::MAX);
            }
        }
    }
}
