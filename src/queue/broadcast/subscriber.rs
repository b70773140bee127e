//! [`RawSubscriber`]: a seat at a broadcast, and where its holder is. See [`RawBroadcast`].
#![allow(unsafe_code)]

use super::layout::Place;
use super::raw::{MOST, RawBroadcast, Slow};
use crate::atomic::{Ordering, fence};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Owners, Table};
use crate::queue::wait::{Waiter, Watches, wait as wait_for};
use crate::sys::{Watch, Woken, Word};
use crate::time::{Deadline, Wait};

/// How often one call begins anew after it was overtaken.
const TRIES: u32 = 8;
/// Who sleeps on an owner asks about all of them itself.
const ALONE: (u32, u32) = (0, 1);

/// A subscriber. It is not shared: one handle, one thread at a time.
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawSubscriber {
    broadcast: RawBroadcast,
    id: OwnerId,
    /// The seat's number.
    seat: u32,
    waits: bool,
    /// The next message is borrowed.
    borrowed: bool,
    /// The slot of the next message, and its position.
    at: u32,
    cursor: u64,
    /// How many messages were published when it looked last.
    known: u64,
    /// Messages missed since the last one received, and ever.
    untold: u64,
    missed: u64,
    /// To tell wait sets.
    table: Table,
}

impl RawSubscriber {
    pub(super) fn seated(broadcast: RawBroadcast, me: &Member, seat: u32, cursor: u64, slow: Slow) -> Self {
        let (waits, at) = (slow == Slow::Waits, (cursor % broadcast.capacity()) as u32);
        RawSubscriber {
            broadcast,
            id: me.id(),
            table: *me.table(),
            seat,
            waits,
            borrowed: false,
            at,
            cursor,
            known: cursor,
            untold: 0,
            missed: 0,
        }
    }

    /// The number of its seat.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn seat(&self) -> u32 {
        self.seat
    }

    /// The broadcast.
    #[inline(always)]
    pub fn broadcast(&self) -> &RawBroadcast {
        &self.broadcast
    }

    /// The holder of the seat according to this handle.
    #[inline(always)]
    pub fn holder(&self) -> OwnerId {
        self.id
    }

    /// What publishers do when it is slow.
    pub fn slow(&self) -> Slow {
        if self.waits { Slow::Waits } else { Slow::Lags }
    }

    /// The position of the next message that it reads.
    pub fn position(&self) -> u64 {
        self.cursor
    }

    /// How many messages it has missed since it joined.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// How many it has missed since this was asked last.
    #[inline]
    pub fn take_missed(&mut self) -> u64 {
        core::mem::take(&mut self.untold)
    }

    /// How many messages are published that it has not read: a snapshot.
    pub fn lag(&self) -> u64 {
        self.broadcast.published().saturating_sub(self.cursor)
    }

    #[inline(always)]
    pub(super) fn place(&self) -> &Place {
        // The seat was there when it was taken.
        self.broadcast.place().seat(self.seat).unwrap_or_else(|| unreachable!())
    }

    /// Whether there is a message, as far as is known or by a look.
    #[inline(always)]
    fn has_next(&mut self) -> bool {
        if self.known <= self.cursor {
            self.known = self.broadcast.published().min(MOST); // B1
        }
        self.known > self.cursor
    }

    /// Whether the message of the cursor stands: no publisher has begun to write over it.
    #[inline(always)]
    fn stands(&self) -> bool {
        let claim = self.broadcast.place().header().claim.load(Ordering::Relaxed);
        claim.saturating_sub(self.cursor) <= self.broadcast.capacity()
            || crate::mutant!("broadcast-unchecked")
    }

    /// Receives the next message by `read`, which gets its slot and its length, if there is one now. `None`: there is none, or
    /// publishers were too fast all the time.
    ///
    /// # Errors
    /// Those of `read`: the message stays the next one.
    #[inline(always)]
    pub fn try_next<R>(&mut self, mut read: impl FnMut(&Self, u32, usize) -> Result<R>) -> Result<Option<R>> {
        if !self.has_next() {
            return Ok(None);
        }
        if self.waits {
            let value = read(self, self.at, self.broadcast.place().len(self.at))?;
            self.advance();
            return Ok(Some(value));
        }
        self.try_next_checked(read)
    }

    #[inline(always)]
    fn try_next_checked<R>(
        &mut self,
        mut read: impl FnMut(&Self, u32, usize) -> Result<R>,
    ) -> Result<Option<R>> {
        for round in 0..TRIES {
            let value = read(self, self.at, self.broadcast.place().len(self.at));
            fence(Ordering::Acquire); // B2
            if self.stands() {
                let value = value?;
                self.advance();
                return Ok(Some(value));
            }
            self.skip(round);
            if !self.has_next() {
                break;
            }
        }
        Ok(None)
    }

    /// Borrows the next message, if there is one now: its slot and length. It stays until [`advance`](Self::advance).
    ///
    /// # Errors
    /// `InvalidInput` for one that lags: it must copy.
    pub fn try_borrow(&mut self) -> Result<Option<(u32, usize)>> {
        if !self.waits {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.borrowed = self.has_next();
        Ok(self.borrowed.then(|| (self.at, self.broadcast.place().len(self.at))))
    }

    /// Whether a message is borrowed.
    pub fn has_borrowed(&self) -> bool {
        self.borrowed
    }

    /// Moves past a message that was read.
    #[inline(always)]
    pub fn advance(&mut self) {
        self.borrowed = false;
        crate::crash_window!("B-d: read, the cursor not moved");
        self.cursor += 1;
        self.at = if self.at + 1 == self.broadcast.place().geometry().capacity { 0 } else { self.at + 1 };
        self.place().cursor.store(self.cursor, Ordering::Release); // B3
        crate::crash_window!("B-e: the cursor moved, nobody told");
        if self.waits && self.broadcast.place().header().common.not_full.is_watched_or_strong() {
            self.tell();
        }
    }

    /// Publishers may sleep, or it is closed, or fences are needed.
    #[cold]
    pub(super) fn tell(&self) {
        fence(Ordering::SeqCst);
        self.broadcast.place().header().common.not_full.watched(&self.table, || u32::MAX);
    }

    /// Publishers have overtaken it: goes on with what will stay for a moment, and if that was in vain, for a longer one.
    #[cold]
    fn skip(&mut self, round: u32) {
        let capacity = self.broadcast.capacity();
        let claim = self.broadcast.place().header().claim.load(Ordering::Acquire);
        self.known = self.broadcast.published().min(MOST);
        // An eighth of the ring ahead of the publishers, and more.
        let ahead = capacity / 8 * u64::from(1 + round) + u64::from(round);
        let to = claim.saturating_sub(capacity).saturating_add(ahead).min(self.known).max(self.cursor + 1);
        let missed = to - self.cursor;
        (self.cursor, self.at) = (to, (to % capacity) as u32);
        self.untold = self.untold.saturating_add(missed);
        self.missed = self.missed.saturating_add(missed);
        let place = self.place();
        place.cursor.store(to, Ordering::Release);
        place.missed.store(self.missed, Ordering::Relaxed);
    }

    /// Receives the next message by `read`, waiting for one as `wait` says.
    ///
    /// # Errors
    /// `Empty`, `TimedOut`; `Closed` when closed and all is received; those of `read`.
    #[inline(always)]
    pub fn next<R>(
        &mut self,
        me: &Member,
        wait: Wait,
        mut read: impl FnMut(&Self, u32, usize) -> Result<R>,
    ) -> Result<R> {
        let mut tries = 0;
        loop {
            if let Some(value) = self.try_next(&mut read)? {
                return Ok(value);
            }
            self.again(me, wait, &mut tries)?;
        }
    }

    /// After a look that found nothing: waits for a message as `wait` says. One that lags may have been overtaken at each look.
    ///
    /// # Errors
    /// As [`await_next`](Self::await_next).
    #[cold]
    pub fn again(&self, me: &Member, wait: Wait, tries: &mut u32) -> Result<()> {
        *tries = tries.saturating_add(1);
        match wait {
            Wait::Never if *tries > 2 => return Err(ErrorKind::Empty.into()),
            // A look that succeeds asks no clock.
            Wait::Until(deadline) if *tries > 2 && deadline.has_passed() => {
                return Err(ErrorKind::TimedOut.into());
            }
            _ => {}
        }
        self.await_next(me, wait)
    }

    /// Waits as `wait` says until there is a message.
    ///
    /// # Errors
    /// `Empty`, `TimedOut`; `Closed` when closed and all is received.
    #[cold]
    pub fn await_next(&self, me: &Member, wait: Wait) -> Result<()> {
        let common = &self.broadcast.place().header().common;
        let mut awaiting =
            Awaiting { subscriber: self, me, seen: 0, publisher: None, ends: wait != Wait::ForEver };
        if wait == Wait::Never {
            // One may have come meanwhile.
            return awaiting.look(false)?.ok_or_else(|| ErrorKind::Empty.into());
        }
        let pending = me.pend();
        let result = wait_for(me, wait.deadline(), &common.not_empty, Some(common), &mut awaiting);
        me.unpend(pending);
        result
    }

    /// Moves the seat to the calling thread, of the same process.
    ///
    /// # Errors
    /// `Stale` if the thread that held it died, and the seat was given up.
    #[cold]
    pub fn move_to(&mut self, me: &Member) -> Result<()> {
        self.place().holder.move_to(self.id, me)?;
        self.id = me.id();
        // A publisher may watch the former thread.
        self.tell();
        Ok(())
    }

    /// Leaves the seat.
    pub fn leave(&mut self) {
        // Whoever takes the seat next is not waited for before it says so.
        if self.place().holder.holder() == Some(self.id) {
            self.place().waits.store(0, Ordering::Relaxed);
        }
        self.place().holder.leave(self.id);
        crate::crash_window!("B-g: left, nobody told");
        if self.waits {
            self.tell();
        }
    }
}

/// A subscriber that waits for a message.
struct Awaiting<'a> {
    subscriber: &'a RawSubscriber,
    me: &'a Member,
    /// How many messages the last look found published.
    seen: u64,
    /// The living holder of the lock before that look: it may be one that publishes without a word to the bell.
    publisher: Option<OwnerId>,
    /// The wait ends by itself.
    ends: bool,
}

impl Waiter for Awaiting<'_> {
    type Done = ();

    fn look(&mut self, announced: bool) -> Result<Option<()>> {
        let broadcast = &self.subscriber.broadcast;
        // Before the look: whoever takes the lock to keep it after this tells us.
        let holder = broadcast.place().header().lock.owner().filter(|_| announced);
        if announced {
            self.publisher = holder.filter(|&id| id != self.me.id() && self.me.lives(id));
            if crate::mutant!("broadcast-publisher-unwatched") {
                self.publisher = None;
            }
        }
        // Before the look, so that it sees what was published before the close.
        let closed = broadcast.is_closed();
        self.seen = broadcast.published();
        match self.seen.min(MOST) > self.subscriber.cursor {
            true => Ok(Some(())),
            false if closed => Err(ErrorKind::Closed.into()),
            // Nobody else publishes, or closes.
            false if !self.ends && holder == Some(self.me.id()) => Err(ErrorKind::Deadlock.into()),
            false => Ok(None),
        }
    }

    fn sleep(&mut self, watches: Watches<'_>, deadline: Option<Deadline>) -> Woken {
        // A publisher that dies before it wakes anybody has changed this word.
        let word = Word::Low(&self.subscriber.broadcast.place().header().tail);
        let tail = Watch { word, expected: self.seen as u32 };
        let watches = watches.with(Some(tail));
        crate::crash_window!("B-s: about to sleep");
        let Some(publisher) = self.publisher else {
            return self.me.sleep(watches.as_slice(), None, watches.sure, deadline);
        };
        let mut owners = Owners::new();
        owners.push(publisher);
        if watches.sure {
            owners.are_idle();
        }
        self.me.sleep_on_many(watches.as_slice(), &owners, None, ALONE, deadline)
    }
}
