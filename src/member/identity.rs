//! Who a member is, for people: process, thread, and the namespace in which these ids mean something.

use super::{OwnerId, Table};
use core::sync::atomic::{Ordering, fence};

/// A member as it described itself when it joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The process id, in its PID namespace.
    pub pid: u32,
    /// The thread id, in its PID namespace.
    pub tid: u32,
    /// The PID namespace's inode number, 0 if unknown.
    pub pid_namespace: u64,
    /// The thread's start time in clock ticks since boot, 0 if unknown: with the ids it names a thread for good.
    pub start_time: u64,
    /// The time namespace of the start time.
    pub(crate) time_namespace: u64,
    /// The process seat: its index in the low half, its incarnation in the high half.
    pub(crate) seat: u64,
}

impl Table {
    /// Reads a member's description; `None` if the slot has moved on, or is changing right now.
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
        describes_it(Ordering::Relaxed).then_some(identity)
    }
}
