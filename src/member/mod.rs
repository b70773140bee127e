//! Membership: the mechanism under everything. Most users never need this module; the objects use it by themselves.
//!
//! A thread that uses a segment is a *member* of it. It holds a slot of the segment's [`Table`], and the slot's futex word is
//! linked into the thread's kernel robust list for as long as the thread lives. When the thread dies, the kernel marks the word
//! and wakes a sleeper. Objects name their owner by [`OwnerId`]; whether that owner lives is one load.
//!
//! A death is *settled* by the first thread that looks: as long as another thread of the dead process can still write
//! (`sys::dying`), the owner counts as alive. For a single-threaded process that check is one system call (a `stat` in /proc);
//! only processes with more threads cost more. In another PID namespace, or without /proc, the kernel's mark alone counts.
//!
//! | file | idea |
//! |---|---|
//! | `id` | the owner's name |
//! | `table` | slots, life and death |
//! | `claim` | taking, confirming and leaving a slot |
//! | `domain` | one process in one segment: its seat, its slots, the second channel for deaths |
//! | `identity` | what a member says about itself: process, thread, namespace |
//! | `liveness` | whether an owner lives, for callers that do not sleep |
//! | `sleep` | the one sleep, and what a death requires of a sleeper |
//! | `doors` | where the owner of a wait set sleeps, and how it is told |
//! | `spin` | how long to look again before a sleep |
//! | `retries` | the bound on retry loops |
//! | `handoff` | telling an owner that somebody waits for what it holds |
//! | `sampler` | picks one operation in 64 |
//! | `view` | who holds something and how many wait: diagnostic only |
//! | `attachment` | mappings and domains of this process (needs `std`) |
//! | `local` | from an address to the calling thread's member (needs `std`) |
//! | `guards`, `thread_end` | leaked guards outlive their thread (needs `std`) |

#[cfg(all(feature = "std", not(interproc_loom)))]
mod attachment;
mod claim;
mod doors;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod guards;
mod handoff;
mod id;
mod identity;
mod liveness;
mod retries;
mod sampler;
mod sleep;
mod spin;
mod table;
#[cfg(not(interproc_loom))]
pub(crate) mod view;

#[cfg(not(interproc_loom))]
mod domain;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod local;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod thread_end;

pub use claim::Joiner;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use claim::NO_SEAT;
pub(crate) use doors::{Naps, Post, Watchers, sleep_at_doors};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use guards::{GuardMark, Unwinding};
pub use id::OwnerId;
pub use identity::Identity;
pub(crate) use retries::{Retries, Updated, update};
pub(crate) use sleep::Owners;
pub(crate) use spin::Spin;
pub(crate) use table::Life;
pub use table::Table;
pub(crate) use table::is_live;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use attachment::{Attachment, attach};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use attachment::{is_attached, keep_of};
#[cfg(not(interproc_loom))]
pub use domain::Domain;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use local::{Here, current, current_at, current_id, forks};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use thread_end::{end_well, has_guards};
#[cfg(not(interproc_loom))]
pub(crate) use view::Who;

#[cfg(interproc_loom)]
use crate::sys::model as robust;
#[cfg(not(interproc_loom))]
use crate::sys::robust;

use crate::time::Deadline;
use core::cell::Cell;
use robust::{BellNode, Pending, RobustList};
use sampler::Sampler;
use spin::Habit;

/// The net: the longest sleep on an owner before the second channel is asked whether it lives.
pub(crate) use crate::sys::futex::NET_NS;

/// The calling thread as a member of one segment. Only that thread may use it.
#[derive(Debug)]
pub struct Member {
    id: OwnerId,
    table: Table,
    robust: RobustList,
    bell: BellNode,
    spinning: Habit,
    uses: Cell<u16>,
    /// How many locks it holds under which somebody may wait for a condition.
    awaited: Cell<u32>,
    /// Its end must ring the bell.
    seated: Cell<bool>,
    /// How many Rust guards of this thread give access to memory of the segment.
    #[cfg(not(interproc_loom))]
    guards: Cell<u32>,
    reading: Sampler,
    #[cfg(not(interproc_loom))]
    glance: liveness::Glance,
    #[cfg(not(interproc_loom))]
    wanted: [*const crate::atomic::AtomicU64; 2],
    #[cfg(interproc_loom)]
    wanted: [&'static crate::atomic::AtomicU64; 2],
    #[cfg(not(interproc_loom))]
    domain: *const Domain,
}

impl Member {
    /// The member's id.
    #[inline]
    pub fn id(&self) -> OwnerId {
        self.id
    }

    /// The segment's table.
    #[inline]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// From here to [`Member::unpend`], the thread's death wakes a sleeper of the segment, which wakes all the others. No user
    /// code may run in between.
    #[inline(always)]
    pub(crate) fn pend(&self) -> Pending {
        self.robust.pend(self.bell)
    }

    /// Ends what [`Member::pend`] began: leaves the pending pointer as it was found, NULL or at the bell.
    #[inline(always)]
    pub(crate) fn unpend(&self, old: Pending) {
        self.robust.unpend(old);
    }

    /// As [`Member::pend`], but the pending pointer *rests* at the bell until the thread leaves the segment, since every
    /// operation leaves it as it was found. For the holder of a lock under which somebody waits for a condition. The C library's
    /// own robust mutexes set it to NULL.
    #[inline]
    pub(crate) fn rest(&self) {
        let _ = self.pend();
    }

    /// The thread has a seat, and its end, however it comes, must ring the bell: wait sets cannot watch the slot of each peer. (It does
    /// not if the thread rests at another segment's bell afterwards, or uses a robust mutex of the C library.)
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn is_seated(&self) {
        self.seated.set(true);
        self.rest();
    }

    /// The thread has taken a lock under which somebody may wait for a condition.
    pub(crate) fn has_awaited(&self) {
        self.awaited.set(self.awaited.get().saturating_add(1));
        self.table.go_on(self.id);
    }

    /// It gives such a lock back.
    pub(crate) fn gives_awaited(&self) {
        self.awaited.set(self.awaited.get().saturating_sub(1));
    }

    /// The thread is about to end in good order. It owes no more notifications, so its end need not wake threads that wait for a
    /// condition. If it ends with a lock under which others wait, that is a death, and this does nothing.
    ///
    /// If the thread goes on to use the segment, in a destructor that runs later, and is killed then after an unlock, those that
    /// it did not notify get no help (window CV-g of [`RawCondvar`](crate::sync::RawCondvar)).
    #[cold]
    pub fn end_well(&self) {
        if self.awaited.get() == 0 || crate::mutant!("ends-well-with-a-lock") {
            if !self.seated.get() && !crate::mutant!("ends-well-with-a-bell") {
                self.robust.forget(self.bell);
            }
            self.table.end_well(self.id);
        }
    }

    /// Sets the pending pointer again after a signal handler may have used it.
    #[cold]
    pub(crate) fn pend_again(&self) {
        // The value found is what the handler left (NULL), not the one to restore later.
        let _ = self.pend();
    }

    #[inline]
    pub(crate) fn spinning(&self) -> &Habit {
        &self.spinning
    }

    /// A word that names one use of something by this member: its id, and above it a number that repeats after 65,536 uses.
    #[inline(always)]
    pub(crate) fn new_use(&self) -> u64 {
        let n = self.uses.get();
        self.uses.set(n.wrapping_add(1));
        self.id.bits() | u64::from(n) << 48
    }

    /// A guard begins that gives out references into the segment. If the thread ends before the guard does, what the guard holds
    /// stays held as long as the process lives, as the references may be anywhere in it.
    #[inline(always)]
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn guard_begins(&self) {
        self.guards.set(self.guards.get().wrapping_add(1));
    }

    /// Such a guard ends.
    #[inline(always)]
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn guard_ends(&self) {
        self.guards.set(self.guards.get().wrapping_sub(1));
    }

    #[inline(always)]
    pub(crate) fn reading(&self) -> &Sampler {
        &self.reading
    }

    /// The calling thread's read holds.
    #[inline(always)]
    pub(crate) fn holds(&self) -> Option<&crate::format::Holds> {
        self.table.holds(self.id.slot())
    }

    /// Asks the second channel about an owner whose death the kernel has not reported, and marks it if it is dead.
    #[cold]
    pub(crate) fn verify(&self, id: OwnerId) {
        #[cfg(not(interproc_loom))]
        self.domain().mark_if_dead(id);
        #[cfg(interproc_loom)]
        if let Life::Live(word) = self.table.life(id)
            && crate::sys::model::is_gone(word & crate::sys::FUTEX_TID_MASK)
        {
            self.table.mark_dead(id);
        }
    }

    /// The end of the net, counted from now.
    pub(crate) fn net() -> Deadline {
        Deadline::from_monotonic_ns(Deadline::now().as_monotonic_ns().saturating_add(NET_NS))
    }

    /// The address `distance` bytes (two's complement) behind `from`, if it lies in the same mapping: for a distance that a
    /// peer may have written. Where only a [`Domain`] of the caller's own knows the segment, the end of the mapping is not
    /// known, and the answer is `None`.
    #[cfg_attr(not(feature = "std"), allow(unused_variables))]
    pub(crate) fn beside(&self, from: *const u8, distance: u64) -> Option<*const u8> {
        #[cfg(interproc_loom)]
        return Some(from.wrapping_offset(distance as isize));
        #[cfg(all(feature = "std", not(interproc_loom)))]
        return attachment::beside(from, distance);
        #[cfg(not(any(feature = "std", interproc_loom)))]
        None
    }

    /// The file offset of an address in the segment; 0 if it is not known.
    #[cfg(interproc_loom)]
    pub(crate) fn offset_of(&self, address: *const u8) -> u64 {
        address.addr() as u64
    }

    /// The file offset of an address in the segment; 0 if it is not known.
    #[cfg(not(interproc_loom))]
    pub(crate) fn offset_of(&self, address: *const u8) -> u64 {
        #[cfg(feature = "std")]
        if let Some(offset) = attachment::offset_of(address) {
            return offset as u64;
        }
        // A domain of the caller's own maps its segment in one piece.
        address.addr().saturating_sub(self.table().address().addr()) as u64
    }
}

#[cfg(interproc_loom)]
impl Member {
    /// A modelled member of a slot that the model has confirmed.
    pub fn modelled(table: Table, id: OwnerId) -> Self {
        let robust = RobustList::current();
        Member {
            id,
            table,
            robust,
            bell: robust.node_of(table.bell()),
            spinning: Habit::new(),
            uses: Cell::new(0),
            awaited: Cell::new(0),
            seated: Cell::new(false),
            reading: Sampler::new(),
            wanted: table.wanted(id.slot()).expect("in the table"),
        }
    }

    /// What others want from this member.
    pub(crate) fn wanted(&self) -> &crate::atomic::AtomicU64 {
        self.wanted[0]
    }

    /// How often it has answered.
    pub(crate) fn answers(&self) -> &crate::atomic::AtomicU64 {
        self.wanted[1]
    }
}
