//! Who a member is: its process, its thread, and the namespace in which these ids are valid. For people, and for the second
//! channel.

use super::{OwnerId, Table};
use crate::atomic::{Ordering, fence};
#[cfg(not(interproc_loom))]
use crate::sys::task;

/// A member as it described itself when it joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(interproc_loom), non_exhaustive)]
pub struct Identity {
    /// The process id, in its PID namespace.
    pub pid: u32,
    /// The thread id, in its PID namespace.
    pub tid: u32,
    /// The PID namespace's inode number, 0 if unknown.
    pub pid_namespace: u64,
    /// The thread's start time in clock ticks since boot, 0 if unknown: together with the ids it names a thread uniquely.
    pub start_time: u64,
    /// The time namespace of the start time.
    pub(crate) time_namespace: u64,
    /// The process seat: its index in the low half, its incarnation in the high half.
    pub(crate) seat: u64,
}

#[cfg(interproc_loom)]
impl Identity {
    /// All of whose words follow from one number, and the name of its process.
    pub fn modelled(number: u32, seat: u64) -> Self {
        let n = u64::from(number);
        let (pid, tid) = (number, number);
        Identity { pid, tid, pid_namespace: n, start_time: n, time_namespace: n, seat }
    }

    /// The name of its process.
    pub fn seat(&self) -> u64 {
        self.seat
    }
}

#[cfg(not(interproc_loom))]
impl Identity {
    /// Whether the ids mean the same to the caller as to the member.
    pub(crate) fn is_of_our_namespace(&self) -> bool {
        self.pid_namespace != 0 && self.pid_namespace == task::pid_namespace()
    }

    /// Whether the thread itself is known to be gone, judged by ids that are valid in both namespaces. False unless certain.
    pub(crate) fn thread_is_gone(&self) -> bool {
        if !self.is_of_our_namespace() {
            return false;
        }
        match task::exists(self.pid, self.tid) {
            Some(false) => true,
            None => false,
            // A thread has this id. Is it a later one?
            Some(true) => {
                task::start_time(self.pid, self.tid).is_ok_and(|now| !self.may_have_started_at(now))
            }
        }
    }

    /// Whether a thread with the member's ids that started at this time may be the member. False only if certain.
    pub(crate) fn may_have_started_at(&self, start_time: u64) -> bool {
        self.start_time == 0 || self.time_namespace != task::time_namespace() || self.start_time == start_time
    }
}

impl Table {
    /// Describes the member of slot `index`, which the caller has claimed as `generation`.
    #[doc(hidden)]
    pub fn describe(&self, index: u32, generation: u32, who: &Identity) {
        let Some(page) = self.description(index) else { return };
        // A sequence lock: while the words change, nothing counts as described.
        page.described.store(0, Ordering::Relaxed);
        if !crate::mutant!("describe-no-fence") {
            fence(Ordering::Release);
        }
        page.member_seat.store(who.seat, Ordering::Relaxed);
        page.pid_namespace.store(who.pid_namespace, Ordering::Relaxed);
        page.pid_tid.store(u64::from(who.pid) << 32 | u64::from(who.tid), Ordering::Relaxed);
        page.start_time.store(who.start_time, Ordering::Relaxed);
        page.time_namespace.store(who.time_namespace, Ordering::Relaxed);
        #[cfg(not(interproc_loom))]
        {
            page.waits_for.store(0, Ordering::Relaxed);
            page.waits_on.store(0, Ordering::Relaxed);
            page.wanted.store(0, Ordering::Relaxed);
            // Pairs with `Table::use_strong_fences`: either it sees this slot's word, or we see its flag.
            fence(Ordering::SeqCst);
            if self.strong_fences() {
                self.warn(index);
            }
            page.waits_changed.store(0, Ordering::Relaxed);
            // What the slot's last member held for reading. Visible to all who see the slot live (K2).
            page.holds.words.iter().for_each(|hold| hold.store(0, Ordering::Relaxed));
        }
        page.described.store(generation.into(), Ordering::Release);
    }

    /// From now on the live member of slot `index` is the process itself and none of its threads: what it holds stays held as
    /// long as the process lives. Called by the member's thread, which the kernel can still mark: after a death in here nobody
    /// needs the description.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(super) fn describe_process(&self, index: u32, generation: u32, pid: u32, start_time: u64) {
        let Some(page) = self.description(index) else { return };
        // As in `describe`.
        page.described.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        page.pid_tid.store(u64::from(pid) << 32 | u64::from(pid), Ordering::Relaxed);
        page.start_time.store(start_time, Ordering::Relaxed);
        page.described.store(generation.into(), Ordering::Release);
    }

    /// Reads a member's description; `None` if the slot belongs to a later member, or is changing right now.
    pub fn identity(&self, id: OwnerId) -> Option<Identity> {
        let page = self.description(id.slot())?;
        let describes_it = |order| page.described.load(order) == u64::from(id.generation());
        if !describes_it(Ordering::Acquire) {
            return None;
        }
        let pid_tid = page.pid_tid.load(Ordering::Relaxed);
        let identity = Identity {
            pid: (pid_tid >> 32) as u32,
            tid: pid_tid as u32,
            pid_namespace: page.pid_namespace.load(Ordering::Relaxed),
            start_time: page.start_time.load(Ordering::Relaxed),
            time_namespace: page.time_namespace.load(Ordering::Relaxed),
            seat: page.member_seat.load(Ordering::Relaxed),
        };
        // A sequence lock: the description is written between two stores of `described`.
        fence(Ordering::Acquire);
        (describes_it(Ordering::Relaxed) || crate::mutant!("identity-looks-once")).then_some(identity)
    }
}
