//! A push that displaces the oldest message when there is no room.
//!
//! A producer that finds no room stands at the first unclaimed position, and the cell there holds the message of one lap before:
//! *the oldest message of all*, as every cell in front of it has moved on to this lap. The producer reads that message as a
//! consumer would, commits that it is consumed, and becomes the cell's writer without releasing it: one message goes and one
//! comes, and nobody can come between. If it freed the cell and then pushed, another producer could take the room, and a
//! second message would have to go.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | F-a | it has claimed the oldest message | a reader's cell, FULL | the bell | nothing: delivered again, flagged |
//! | F-b | the oldest message is consumed, the cell still a reader's | a reader's cell, EMPTY at the next lap | the bell | that message, which was to go |
//! | F-c | it is the cell's writer | as Q-a | as Q-a | that message, and the unacknowledged one |
//!
//! A cell that a live thread reads or writes is never taken from it: then the push fails after a few looks, which is long enough
//! for a plain pop to finish. `RawQueue::blocker` names that thread.
//!
//! Rejected: displacing the next message behind one that is being read (its cell is not the first free one: messages pushed
//! later, even by the same producer, would overtake a message written there).

use super::RawQueue;
use super::scan::{Claim, Found, Refused, Seen};
use crate::atomic::{Ordering, spin_loop};
use crate::error::Result;
use crate::member::Member;
use crate::queue::position::{self as pos, Ctl, EMPTY, FULL, Role, idle, owned};
use crate::queue::steps::Steps;

/// How often it looks again at the oldest cell while a live thread owns it, and the pauses in between.
const LOOKS: u32 = if cfg!(interproc_loom) { 1 } else { 64 };
const PAUSES: u32 = 16;
/// How often it searches for the oldest cell.
const TRIES: u32 = if cfg!(interproc_loom) { 2 } else { 4 };

impl RawQueue {
    /// Pushes the element that `fill` writes. If there is no room, the oldest message is displaced: it goes through `drain`.
    /// Never waits.
    ///
    /// # Errors
    /// `Closed`; `Full` when a live thread owns the oldest cell. Then neither closure was called.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn force_push_with<R>(
        &self,
        me: &Member,
        drain: impl FnOnce(*const u8) -> R,
        fill: impl FnOnce(*mut u8),
    ) -> Result<Option<R>> {
        let pending = me.pend();
        let result = match self.claim_push_at_hint(me) {
            Some(position) => {
                self.publish(me, position, Some(position), false, fill);
                Ok(None)
            }
            None => self.force_push_slow(me, drain, fill),
        };
        me.unpend(pending);
        result
    }

    #[cold]
    fn force_push_slow<R>(
        &self,
        me: &Member,
        drain: impl FnOnce(*const u8) -> R,
        fill: impl FnOnce(*mut u8),
    ) -> Result<Option<R>> {
        let (mut tries, mut steps) = (TRIES, self.steps());
        let Claim { position, again, hint, careful } = loop {
            tries -= 1;
            match self.claim_by_force(me, &mut steps) {
                Ok(claim) => break claim,
                Err(Refused::NotNow(seen)) if tries > 0 && self.changes(&seen) => {}
                Err(refused) => return Err(self.refused_push(&refused)),
            }
        };
        let displaced = again.then(|| self.displace(me, position, drain));
        self.publish(me, position, hint, careful, fill);
        if again && !crate::mutant!("force-untold") {
            // The cells behind it may be free: given up, or read behind a borrowed message. Producers that sleep before the cell
            // of the oldest message can have them now.
            let not_full = &self.ring.header().common.not_full;
            not_full.published(not_full.is_careful(), me.table(), || self.ready_behind(me, position, false));
        }
        Ok(displaced)
    }

    /// Whether the cell that was in the way changes soon.
    fn changes(&self, seen: &Seen) -> bool {
        (0..LOOKS).any(|_| {
            (0..PAUSES).for_each(|_| spin_loop());
            self.ring.ctl(seen.index).load(Ordering::Acquire) != seen.word
        })
    }

    fn claim_by_force(&self, me: &Member, steps: &mut Steps) -> core::result::Result<Claim, Refused> {
        let header = self.ring.header();
        let careful = header.common.not_empty.is_careful();
        if careful && self.is_closed() {
            return Err(Refused::Closed);
        }
        self.scan(&header.tail, careful, steps, |position| self.look_to_force(me, position))
    }

    /// As [`RawQueue::look_to_push`], but also claims a message of the lap before that no live thread owns.
    fn look_to_force(&self, me: &Member, position: u64) -> Found {
        let (lap, index) = (pos::lap(position), pos::index(position));
        let word = self.ring.ctl(index).load(Ordering::Acquire);
        let (at, state) = match Ctl::read(word) {
            Ctl::Idle { lap, state } => (lap, state),
            Ctl::Owned { .. } => match self.read_owned(me, index, word) {
                None => return Found::Again,
                Some(cell) if cell.dead => pos::split(cell.sequence),
                Some(_) => return self.look_to_push(me, position),
            },
        };
        if (pos::laps_ahead(at, lap), state) != (-1, FULL) {
            return self.look_to_push(me, position);
        }
        if self.replace(index, word, owned(me.id(), Role::Reader)) {
            self.note_full();
            Found::Mine { again: true }
        } else {
            Found::Again
        }
    }

    /// Takes the oldest message out of a cell that the caller has claimed as its reader, and becomes the cell's writer for this
    /// position.
    fn displace<R>(&self, me: &Member, position: u64, drain: impl FnOnce(*const u8) -> R) -> R {
        let index = pos::index(position);
        crate::crash_window!("F-a: the oldest is claimed, not consumed");
        let value = self.ring.drain(index, drain);
        if !crate::mutant!("force-not-consumed") {
            self.ring.seq(index).store(idle(position, EMPTY), Ordering::Release); // Q4
        }
        crate::crash_window!("F-b: the oldest is consumed");
        self.ring.ctl(index).store(owned(me.id(), Role::Writer), Ordering::Release);
        crate::crash_window!("F-c: the cell is the new one's");
        value
    }
}
