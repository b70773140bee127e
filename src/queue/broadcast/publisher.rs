//! [`RawPublisher`]: the only publisher of a broadcast, as long as it lives: it keeps the lock between messages. See [`RawBroadcast`].
//!
//! It need not keep its pending pointer at the bell: who sleeps for a message watches the slot of the lock's holder, which changes
//! only by a take of the lock that tells all of them.
#![allow(unsafe_code)]

use super::raw::{Locked, MOST, RawBroadcast};
use crate::atomic::Ordering;
use crate::error::{ErrorKind, Result};
use crate::member::{Member, Table};
use crate::time::Wait;

/// The only publisher, and what it remembers. It belongs to the thread that became it.
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawPublisher {
    broadcast: RawBroadcast,
    /// The position of the next message, and its slot.
    tail: u64,
    at: u32,
    /// Up to where it can go without further checks.
    soft: u64,
    /// To tell wait sets.
    table: Table,
}

impl RawPublisher {
    /// Waits until nobody else publishes.
    ///
    /// # Errors
    /// `WouldBlock`, `TimedOut`; `Deadlock` if the calling thread is it already, or has reserved a message; `Corrupt`.
    pub fn new(broadcast: RawBroadcast, me: &Member, wait: Wait) -> Result<Self> {
        let header = broadcast.place().header();
        let locked = broadcast.lock(me, wait)?;
        let (tail, at) = (header.tail.load(Ordering::Relaxed), header.desk.at.load(Ordering::Relaxed));
        if at >= broadcast.place().geometry().capacity || tail > MOST {
            return Err(ErrorKind::Corrupt.into());
        }
        // Who sleeps must watch this thread.
        let pending = me.pend();
        header.common.not_empty.wake(me.table(), || u32::MAX);
        me.unpend(pending);
        header.desk.kept.store(1, Ordering::Relaxed);
        core::mem::forget(locked);
        Ok(RawPublisher { broadcast, tail, at, soft: 0, table: *me.table() })
    }

    /// The broadcast.
    #[inline(always)]
    pub fn broadcast(&self) -> &RawBroadcast {
        &self.broadcast
    }

    /// The slot of the next message, if it is known that there is room for it.
    #[inline(always)]
    pub fn next(&self) -> Option<u32> {
        (self.tail < self.soft).then_some(self.at)
    }

    /// Makes room, waiting for subscribers as `wait` says. `me` is the thread that became it.
    ///
    /// # Errors
    /// `Closed`; `Full`, `TimedOut`; `Deadlock`, when the slowest subscriber is the caller's own; `Corrupt`.
    #[cold]
    pub fn make_room(&mut self, me: &Member, wait: Wait) -> Result<()> {
        let desk = &self.broadcast.place().header().desk;
        let mut waited = false;
        loop {
            desk.at.store(self.at, Ordering::Relaxed);
            let locked = core::mem::ManuallyDrop::new(Locked { broadcast: &self.broadcast, me });
            if locked.goes_on(wait, waited)? {
                self.soft = desk.soft.load(Ordering::Relaxed);
                return Ok(());
            }
            let pending = me.pend();
            let room = self.broadcast.wait_for_room(me, wait.deadline(), &mut waited);
            me.unpend(pending);
            room?;
        }
    }

    /// Publishes the message that was written to the [next](Self::next) slot. Returns its position.
    #[inline(always)]
    pub fn publish(&mut self, len: usize) -> u64 {
        let (place, position) = (self.broadcast.place(), self.tail);
        let header = place.header();
        let careful = header.common.not_empty.is_careful();
        place.set_len(self.at, len);
        self.tail = position + 1;
        self.at = if self.at + 1 == place.geometry().capacity { 0 } else { self.at + 1 };
        crate::crash_window!("B-a: written, not counted");
        header.tail.store(self.tail, Ordering::Release); // B1
        crate::crash_window!("B-b/B-c: counted, nobody told");
        self.broadcast.tell(&self.table, careful);
        position
    }

    /// Closes the broadcast.
    pub fn close(&mut self, me: &Member) {
        let pending = me.pend();
        core::mem::ManuallyDrop::new(Locked { broadcast: &self.broadcast, me }).close();
        self.soft = 0;
        me.unpend(pending);
    }

    /// Others may publish again.
    pub fn leave(&mut self, me: &Member) {
        let header = self.broadcast.place().header();
        header.desk.at.store(self.at, Ordering::Relaxed);
        // Relaxed: the unlock carries it. What is claimed and has room stays so.
        header.desk.soft.store(self.soft, Ordering::Relaxed);
        header.desk.kept.store(0, Ordering::Relaxed);
        let _ = header.lock.unlock_keeping_news(me);
    }
}
