//! [`RawBroadcast`]: the broadcast under [`Broadcast`](crate::queue::Broadcast) and the C one.
//!
//! **Promise.** Every subscriber gets every message from where it joined, in one order, once, whoever publishes. One that *waits*
//! misses none: publishers wait for it, until it dies or leaves. One that *lags* never holds anybody up: what it was too slow for is
//! overwritten, and it is told how many messages that were. No message is torn. A death costs the message whose publication had not
//! returned, and nothing else.
//!
//! A ring of slots. A publisher, alone under a robust lock, writes the slot behind the last message and counts it: the store of `tail`
//! is **the commit point**. What else publishers keep (the desk) follows from the rest, and the heir of the lock makes it anew.
//!
//! A subscriber has a *seat* with its cursor: it reads up to the tail that it saw last, and loads the tail's line only when it has read
//! all of that. Who waits says where it is by one store to its own line. Publishers look at the cursors only where the slowest one
//! was a ring before: at the *limit*.
//!
//! *Claims.* Publishers take the ring in blocks, of an eighth of it and at most 64 messages: before they write the first one they store
//! the block's end in `claim`. Who lags copies first, and then checks that its slot is not in a claimed block of the next lap. So a slot
//! needs no stamp, and such a check touches a line that seldom changes.
//!
//! *Joining* needs no lock, or a publisher that keeps the lock would keep everybody out. The joiner fills its seat, counts up `joins`,
//! passes a fence and then looks at `claim`, before which it must not begin (less the capacity). A publisher stores `claim`, passes a
//! fence and then looks at `joins`. One of the two sees the other: the publisher finds the seat before it goes on, or the joiner begins
//! behind what that block overwrites. A publisher that finds a seat too far behind has met a joiner between its two looks: it moves that
//! cursor by a compare-and-swap, as the joiner does, so that one of them decides where the joiner begins.
//!
//! A publisher may *keep* the lock between messages ([`RawPublisher`](super::publisher)): then nothing on its way is a
//! read-modify-write, and its stores wait for no line that subscribers read.
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | B1 | `tail`, Release | a subscriber's look at it, Acquire | the messages before it |
//! | B2 | publisher: `claim`, fence, the messages (those of another publisher in the same block by B4, which reaches the subscriber as processors are multi-copy atomic) | subscriber: the message, fence Acquire, `claim` | that the message may be a newer one: then the claim has come to it |
//! | B3 | a cursor, Release | a publisher's look at it, Acquire | the end of the read |
//! | B4 | unlock, Release | lock, Acquire | the desk |
//! | B5 | joiner: the seat, `joins`, fence, `claim` | publisher: `claim`, fence, `joins`, the seats | one of the two sees the other |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | B-a | a publisher with the lock, writing | a dead id in the lock; no message | the next publisher, as C1 of `RawMutex` | the message |
//! | B-b | a publisher with the lock, the message counted | the message; a dead id in the lock | as B-a; sleeping subscribers by the bell | nothing |
//! | B-c | a publisher, nobody told | the message, subscribers asleep | the bell; a thread about to sleep watches the tail | nothing |
//! | B-d | a subscriber, a message read, its cursor not moved | a seat of a dead member | the publisher that comes to the limit, by its slot's mark | nothing |
//! | B-e | a subscriber, its cursor moved, nobody told | room, publishers asleep | the publisher watches cursor and slot | nothing |
//! | B-f | who joins, the seat taken and not yet filled | a seat of a dead member, with the cursor of its last holder | as B-d | the subscription |
//! | B-g | who leaves, the seat vacant, nobody told | a vacant seat, publishers asleep | as B-e | nothing |
//! | B-h | a closer with the lock, marked, not closed | an open broadcast with slower publishers | no action needed | the close, which never returned |
//! | B-i | a closer, closed, nobody told | a closed one; others asleep | the bell; a thread about to sleep watches the closed word | nothing |
//! | B-j | a publisher with the lock, a block claimed | who lags has less to be behind | as B-a | nothing |
//! | B-s | a sleeper | nothing | no action needed | nothing |
//!
//! **The end** is exact, as a close has the lock: no message comes after it.
//!
//! **Stopped processes.** One that is stopped with the lock stops other publishers, as with any lock; a try waits for at most 50 ms. A
//! stopped subscriber that waits stops publishers a ring later; one that lags stops nobody.
//!
//! Rejected: a claim by fetch-and-add for each publisher (a dead one leaves a hole in the ring that all subscribers must agree to skip,
//! while others have published behind it); subscribers that count down a counter in each slot (a read-modify-write for each of them
//! on a line that all share; the dead must be found in every slot); a queue for each subscriber (each message is written as often as
//! there are subscribers, and late ones get nothing of what was before); a stamp in each slot, at which subscribers look for the next
//! message (one line a message instead of two when both are at it, but then they take the line away in which the publisher writes:
//! 76 ns a message between processors instead of 30, and 32 bytes a slot instead of 8).
//!
//! After the LMAX Disruptor (gating sequences), Aeron (copied, then checked; loss is told) and seqlocks.
#![allow(unsafe_code)]

use super::layout::{BroadcastPlace, Place};
use super::subscriber::RawSubscriber;
use crate::atomic::{Ordering, fence};
use crate::error::{Error, ErrorKind, Result};
use crate::member::{Member, OwnerId, Retries, Table};
use crate::queue::locking::lock_patiently;
use crate::queue::wait::{Waiter, Watches, wait};
use crate::sync::Acquired;
use crate::sys::{Watch, Woken, Word};
use crate::time::{Deadline, Wait};
use core::time::Duration;

/// No position is that large.
pub(super) const MOST: u64 = 1 << 61;
/// How long a thread that waits for its own subscriber waits before that is a deadlock.
const OWN: Duration = Duration::from_millis(if cfg!(interproc_loom) { 0 } else { 50 });

/// The broadcast in a place. All operations take the calling thread's member of the segment that the place lies in.
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawBroadcast {
    place: BroadcastPlace,
}

/// The slot of a message to come: its number and the message's position.
#[derive(Clone, Copy, Debug)]
#[must_use = "the lock is held until the slot is committed or aborted, or its thread dies"]
pub struct Slot {
    at: u32,
    position: u64,
}

impl Slot {
    /// Its number.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn at(&self) -> u32 {
        self.at
    }
}

/// Where a subscriber begins.
///
/// # Examples
/// ```
/// use interproc::queue::Since;
/// assert_eq!(Since::default(), Since::Now);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Since {
    /// With the next message.
    #[default]
    Now,
    /// With the last so many, or as many as are kept.
    Last(u64),
}

/// What publishers do about a subscriber that is slow.
///
/// # Examples
/// ```
/// use interproc::queue::Slow;
/// assert_ne!(Slow::Waits, Slow::Lags);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slow {
    /// They wait for it: it misses nothing.
    Waits,
    /// They go on: it is told how many messages it has missed.
    Lags,
}

/// The lock, held.
pub(super) struct Locked<'a> {
    pub(super) broadcast: &'a RawBroadcast,
    pub(super) me: &'a Member,
}

impl Drop for Locked<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let lock = &self.broadcast.place.header().lock;
        if !lock.unlock_if_plain(self.me) {
            // If it could not be mended, the next one tries.
            let _ = lock.unlock_keeping_news(self.me);
        }
    }
}

impl RawBroadcast {
    /// The broadcast in this place.
    pub fn new(place: BroadcastPlace) -> Self {
        RawBroadcast { place }
    }

    /// Where it lies.
    #[inline(always)]
    pub fn place(&self) -> &BroadcastPlace {
        &self.place
    }

    #[inline(always)]
    pub(super) fn capacity(&self) -> u64 {
        u64::from(self.place.geometry().capacity)
    }

    /// From now on publishers and subscribers use full fences: for a participant, or a whole segment, without membarrier.
    pub fn use_strong_fences(&self) {
        self.place.header().common.use_strong_fences();
    }

    pub(super) fn lock<'a>(&'a self, me: &'a Member, wait: Wait) -> Result<Locked<'a>> {
        if self.place.header().lock.lock_if_free(me) {
            return Ok(Locked { broadcast: self, me });
        }
        let header = self.place.header();
        // Relaxed: a hint. Who keeps it is not waited for longer than the caller says.
        let how = match (header.desk.kept.load(Ordering::Relaxed) == 1, wait) {
            (true, Wait::Never) => header.lock.try_lock(me),
            (true, _) => header.lock.lock(me, wait.deadline()),
            (false, _) => lock_patiently(&header.lock, me, wait),
        }?;
        let locked = Locked { broadcast: self, me };
        if how == Acquired::OwnerDied {
            locked.mend()?;
        }
        Ok(locked)
    }

    /// Publishes a message of `len` bytes, waiting for subscribers as `wait` says. Returns its position: messages are counted from 0.
    ///
    /// # Errors
    /// `TooLarge`; `Closed`; `Full`, `TimedOut`; `WouldBlock` while another thread keeps the lock; `Deadlock` when the calling thread is
    /// itself the subscriber that is waited for.
    ///
    /// # Safety
    /// `from` has `len` initialised bytes; as many as all messages have if that is fixed.
    #[inline]
    pub unsafe fn publish(&self, me: &Member, from: *const u8, len: usize, wait: Wait) -> Result<u64> {
        let pending = me.pend();
        // SAFETY: by the contract.
        let result = unsafe { self.publish_pended(me, from, len, wait) };
        me.unpend(pending);
        result
    }

    /// # Safety
    /// As [`publish`](Self::publish).
    #[inline(always)]
    unsafe fn publish_pended(&self, me: &Member, from: *const u8, len: usize, wait: Wait) -> Result<u64> {
        if len > self.place.geometry().longest as usize {
            return Err(ErrorKind::TooLarge.into());
        }
        let header = self.place.header();
        let careful = header.common.not_empty.is_careful();
        if header.lock.lock_if_free(me) {
            let locked = Locked { broadcast: self, me };
            let slot = Slot {
                at: header.desk.at.load(Ordering::Relaxed),
                position: header.tail.load(Ordering::Relaxed),
            };
            let soft = header.desk.soft.load(Ordering::Relaxed);
            if slot.position < soft && slot.at < self.place.geometry().capacity {
                // SAFETY: by the contract, and the slot is ours.
                unsafe { self.place.copy_in(slot.at, from, len) };
                locked.count(slot, len);
                drop(locked);
                self.tell(me.table(), careful);
                return Ok(slot.position);
            }
        }
        // SAFETY: by the contract.
        unsafe { self.publish_late(me, from, len, wait, careful) }
    }

    /// The same with what is not done for every message. It never gets the message in registers: see `RawQueue::publish_late`.
    ///
    /// # Safety
    /// As [`publish`](Self::publish).
    #[cold]
    #[inline(never)]
    unsafe fn publish_late(
        &self,
        me: &Member,
        from: *const u8,
        len: usize,
        wait: Wait,
        careful: bool,
    ) -> Result<u64> {
        let (locked, slot) = self.next_slot(me, wait)?;
        // SAFETY: by the contract, and the slot is ours.
        unsafe { self.place.copy_in(slot.at, from, len) };
        locked.count(slot, len);
        drop(locked);
        self.tell(me.table(), careful);
        Ok(slot.position)
    }

    /// The lock, and the slot of the next message.
    fn next_slot<'a>(&'a self, me: &'a Member, wait: Wait) -> Result<(Locked<'a>, Slot)> {
        let mut locked = self.lock(me, wait)?;
        let header = self.place.header();
        // Relaxed: B4.
        if header.tail.load(Ordering::Relaxed) >= header.desk.soft.load(Ordering::Relaxed) {
            locked = self.make_room(locked, wait)?;
        }
        let slot = Slot {
            at: header.desk.at.load(Ordering::Relaxed),
            position: header.tail.load(Ordering::Relaxed),
        };
        if slot.at >= self.place.geometry().capacity || slot.position > MOST {
            return Err(ErrorKind::Corrupt.into());
        }
        Ok((locked, slot))
    }

    /// Claims a block, looks at the subscribers, and waits for them if need be.
    #[cold]
    #[inline(never)]
    fn make_room<'a>(&'a self, mut locked: Locked<'a>, wait: Wait) -> Result<Locked<'a>> {
        let (me, mut waited) = (locked.me, false);
        loop {
            if locked.goes_on(wait, waited)? {
                return Ok(locked);
            }
            drop(locked);
            self.wait_for_room(me, wait.deadline(), &mut waited)?;
            locked = self.lock(me, wait)?;
        }
    }

    /// Waits for room, once more if others took it. The caller's pending pointer is at the bell.
    pub(super) fn wait_for_room(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        waited: &mut bool,
    ) -> Result<()> {
        // A look that succeeds asks no clock.
        if core::mem::replace(waited, true) && deadline.is_some_and(Deadline::has_passed) {
            return Err(ErrorKind::TimedOut.into());
        }
        let header = self.place.header();
        let mut full = Full { broadcast: self, me, slowest: None, own_until: None };
        wait(me, deadline, &header.common.not_full, Some(&header.common), &mut full)
    }

    /// Subscribers asleep.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn subscribers_asleep(&self) -> &crate::queue::event_count::EventCount {
        &self.place.header().common.not_empty
    }

    /// Whether whoever sits there would get a message, or be told of the end. Changes nothing.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn can_receive(&self, seat: u32) -> bool {
        // Before the look, as a receive does.
        let closed = self.is_closed();
        let cursor = self.place.seat(seat).map_or(0, |seat| seat.cursor.load(Ordering::Acquire));
        closed || self.published().min(MOST) > cursor
    }

    /// Subscribers are told that there is a message.
    #[inline(always)]
    pub(super) fn tell(&self, table: &Table, careful: bool) {
        self.place.header().common.not_empty.published(careful, table, || u32::MAX);
    }

    /// Reserves the slot of the next message, to be written in place. Until it is committed or aborted nobody else publishes.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn reserve(&self, me: &Member, wait: Wait) -> Result<Slot> {
        let pending = me.pend();
        let reserved = self.next_slot(me, wait).map(|(locked, slot)| {
            let desk = &self.place.header().desk;
            desk.reserved.store(1, Ordering::Relaxed);
            desk.kept.store(1, Ordering::Relaxed);
            core::mem::forget(locked);
            slot
        });
        me.unpend(pending);
        reserved
    }

    /// Publishes the first `len` bytes of a reserved slot. Returns the message's position.
    ///
    /// # Errors
    /// `NotOwner` when the caller has reserved nothing; `TooLarge`: the slot stays reserved.
    pub fn commit(&self, me: &Member, len: usize) -> Result<u64> {
        if len > self.place.geometry().longest as usize {
            return Err(ErrorKind::TooLarge.into());
        }
        let pending = me.pend();
        let position = self.reserved(me).map(|(locked, slot)| {
            let careful = self.place.header().common.not_empty.is_careful();
            locked.count(slot, len);
            drop(locked);
            self.tell(me.table(), careful);
            slot.position
        });
        me.unpend(pending);
        position
    }

    /// Gives a reserved slot back: there is no message.
    ///
    /// # Errors
    /// `NotOwner` when the caller has reserved nothing.
    pub fn abort(&self, me: &Member) -> Result<()> {
        self.reserved(me).map(drop)
    }

    /// The calling thread's reserved slot, which is not reserved any more.
    fn reserved<'a>(&'a self, me: &'a Member) -> Result<(Locked<'a>, Slot)> {
        let header = self.place.header();
        let desk = &header.desk;
        if !header.lock.is_held_by(me) || desk.reserved.load(Ordering::Relaxed) != 1 {
            return Err(ErrorKind::NotOwner.into());
        }
        desk.reserved.store(0, Ordering::Relaxed);
        desk.kept.store(0, Ordering::Relaxed);
        let locked = Locked { broadcast: self, me };
        let (at, position) = (desk.at.load(Ordering::Relaxed), header.tail.load(Ordering::Relaxed));
        if at >= self.place.geometry().capacity || position > MOST {
            return Err(ErrorKind::Corrupt.into());
        }
        Ok((locked, Slot { at, position }))
    }

    /// Joins.
    ///
    /// # Errors
    /// `WouldBlock` when all seats are taken by living threads.
    pub fn subscribe(&self, me: &Member, slow: Slow, since: Since) -> Result<RawSubscriber> {
        let header = self.place.header();
        let waits = slow == Slow::Waits;
        // Where it begins, by what is published and claimed now.
        let begin = || {
            let (tail, claim) = (header.tail.load(Ordering::Acquire), header.claim.load(Ordering::Acquire));
            match since {
                Since::Now => tail,
                Since::Last(n) => tail.saturating_sub(n).max(claim.saturating_sub(self.capacity())).min(tail),
            }
        };
        for index in 0..self.place.geometry().subscribers {
            let Some(seat) = self.place.seat(index) else { continue };
            if seat.holder.take(me).is_err() {
                continue;
            }
            // Its last holder may have been waited for.
            seat.waits.store(0, Ordering::Release);
            crate::crash_window!("B-f: a seat taken, not filled");
            header.seated.fetch_max(index + 1, Ordering::AcqRel);
            seat.missed.store(0, Ordering::Relaxed);
            let first = begin();
            seat.cursor.store(first, Ordering::Relaxed);
            seat.waits.store(waits.into(), Ordering::Release);
            if !crate::mutant!("broadcast-joins-unseen") {
                header.joins.fetch_add(1, Ordering::AcqRel);
            }
            fence(Ordering::SeqCst); // B5
            // A publisher that found the seat too far behind has moved it.
            let cursor = begin();
            let settled = seat.cursor.compare_exchange(first, cursor, Ordering::AcqRel, Ordering::Acquire);
            let cursor = settled.map_or_else(|moved| moved, |_| cursor);
            if cursor > MOST {
                seat.holder.leave(me.id());
                return Err(ErrorKind::Corrupt.into());
            }
            let subscriber = RawSubscriber::seated(*self, me, index, cursor, slow);
            // A publisher may have seen the seat with another cursor.
            subscriber.tell();
            return Ok(subscriber);
        }
        Err(Error::from(ErrorKind::WouldBlock))
    }

    /// Closes: nothing is published any more; what is there can be received.
    ///
    /// # Errors
    /// `WouldBlock`, `TimedOut` while another thread keeps the lock; `Deadlock` when the calling thread has reserved a slot.
    pub fn close(&self, me: &Member, wait: Wait) -> Result<()> {
        let pending = me.pend();
        let closed = self.lock(me, wait).map(|locked| {
            locked.close();
        });
        me.unpend(pending);
        closed
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.place.header().common.is_closed()
    }

    /// How many messages were ever published: a snapshot.
    #[inline]
    pub fn published(&self) -> u64 {
        self.place.header().tail.load(Ordering::Acquire)
    }

    /// How many subscribers wait, and how many lag: a snapshot.
    pub fn subscribers(&self, me: &Member) -> (usize, usize) {
        let mut count = (0, 0);
        for seat in (0..self.place.geometry().subscribers).filter_map(|index| self.place.seat(index)) {
            if seat.holder.living(me).is_some() {
                let waits = seat.waits.load(Ordering::Relaxed) == 1;
                *(if waits { &mut count.0 } else { &mut count.1 }) += 1;
            }
        }
        count
    }

    /// Who is waited for and lives: its seat, its id and its cursor.
    fn awaited<'a>(&'a self, me: &'a Member, tail: u64) -> impl Iterator<Item = (u32, OwnerId, u64)> + 'a {
        let header = self.place.header();
        let seated = header.seated.load(Ordering::Acquire).min(self.place.geometry().subscribers);
        (0..seated).filter_map(move |index| {
            let seat = self.place.seat(index)?;
            let id = seat.holder.holder()?;
            if seat.waits.load(Ordering::Acquire) != 1 || id != me.id() && !me.lives(id) {
                return None;
            }
            let cursor = seat.cursor.load(Ordering::Acquire); // B3
            // Anything else is of one that joins at this moment, or was written over.
            let behind = tail.checked_sub(cursor);
            behind.is_some_and(|behind| behind <= self.capacity()).then_some((index, id, cursor))
        })
    }
}

impl Locked<'_> {
    /// The message in this slot is published.
    #[inline(always)]
    fn count(&self, slot: Slot, len: usize) {
        let (place, header) = (&self.broadcast.place, self.broadcast.place.header());
        place.set_len(slot.at, len);
        crate::crash_window!("B-a: written, not counted");
        let order = if crate::mutant!("broadcast-relaxed") { Ordering::Relaxed } else { Ordering::Release };
        header.tail.store(slot.position + 1, order); // B1
        crate::crash_window!("B-b: counted, the desk not in order");
        let next = slot.at + 1;
        header.desk.at.store(if next == place.geometry().capacity { 0 } else { next }, Ordering::Relaxed);
        crate::crash_window!("B-c: in order, nobody told");
    }

    /// Nothing is published any more.
    pub(super) fn close(&self) {
        let header = self.broadcast.place.header();
        // The next publisher comes to look.
        header.desk.soft.store(0, Ordering::Relaxed);
        header.common.close(
            self.me,
            || crate::crash_window!("B-h: marked, not closed"),
            || crate::crash_window!("B-i: closed, nobody told"),
        );
    }

    /// Whether the next message can be written: claims its block, and looks at the subscribers if need be. False: wait for room. A
    /// caller that may wait does so, once, as long as there is little room: see [`Full`].
    ///
    /// # Errors
    /// `Closed`; `Full` for a caller that may not wait.
    pub(super) fn goes_on(&self, wait: Wait, waited: bool) -> Result<bool> {
        let (broadcast, header) = (self.broadcast, self.broadcast.place.header());
        if broadcast.is_closed() {
            return Err(ErrorKind::Closed.into());
        }
        let (desk, position) = (&header.desk, header.tail.load(Ordering::Relaxed));
        let block = broadcast.place.geometry().block();
        if position > MOST {
            return Err(ErrorKind::Corrupt.into());
        }
        let mut claim = header.claim.load(Ordering::Relaxed);
        if position >= claim || claim - position > block {
            claim = position + block;
            if !crate::mutant!("broadcast-unclaimed") {
                header.claim.store(claim, Ordering::Relaxed);
            }
        }
        crate::crash_window!("B-j: claimed");
        fence(Ordering::SeqCst); // B2, B5
        let joins = header.joins.load(Ordering::Acquire);
        let mut limit = desk.limit.load(Ordering::Relaxed);
        // Near an old limit there may be room by now.
        let is_near = |limit: u64| limit.saturating_sub(position) < if waited { 1 } else { block };
        if is_near(limit) || joins != desk.joins.load(Ordering::Relaxed) {
            limit = self.limit(position);
            desk.limit.store(limit, Ordering::Relaxed);
            desk.joins.store(joins, Ordering::Relaxed);
        }
        desk.soft.store(claim.min(limit), Ordering::Relaxed);
        broadcast.place.fetch(desk.at.load(Ordering::Relaxed).min(broadcast.place.geometry().capacity - 1));
        match position < limit {
            true => Ok(wait == Wait::Never || !is_near(limit)),
            false if wait == Wait::Never => Err(ErrorKind::Full.into()),
            false => Ok(false),
        }
    }

    /// Up to where there is room.
    fn limit(&self, position: u64) -> u64 {
        let (broadcast, header) = (self.broadcast, self.broadcast.place.header());
        let seated = header.seated.load(Ordering::Acquire).min(broadcast.place.geometry().subscribers);
        let seats = (0..seated).filter_map(|index| broadcast.place.seat(index));
        let slowest = seats.filter_map(|seat| self.cursor_of(seat, position)).min();
        slowest.unwrap_or(position) + broadcast.capacity()
    }

    /// Where the holder of this seat is, if it is waited for. The seat of a dead one becomes vacant.
    fn cursor_of(&self, seat: &Place, position: u64) -> Option<u64> {
        let mut retries = Retries::new();
        while let Some(id) = seat.holder.holder()
            && seat.waits.load(Ordering::Acquire) == 1
        {
            let lives = id == self.me.id() || self.me.lives(id);
            if !lives && seat.holder.leave(id) {
                return None;
            }
            // A thread that goes on with the seat of a dead one has it.
            if lives || !retries.again() {
                return Some(self.settled(seat, position));
            }
        }
        None
    }

    /// The cursor in this seat. One that is too far behind is of a holder that joins at this moment, and has not begun: then it begins
    /// here. (It might otherwise begin where nobody has looked for it.)
    fn settled(&self, seat: &Place, position: u64) -> u64 {
        let fits = |cursor| {
            let behind = position.checked_sub(cursor);
            behind.is_some_and(|behind| behind <= self.broadcast.capacity())
        };
        let cursor = seat.cursor.load(Ordering::Acquire); // B3
        if fits(cursor) {
            return cursor;
        }
        if crate::mutant!("broadcast-joiner-unsettled") {
            return position;
        }
        match seat.cursor.compare_exchange(cursor, position, Ordering::AcqRel, Ordering::Acquire) {
            Err(now) if fits(now) => now,
            _ => position,
        }
    }

    /// Makes the desk anew.
    #[cold]
    fn mend(&self) -> Result<()> {
        let (broadcast, header) = (self.broadcast, self.broadcast.place.header());
        let (desk, tail) = (&header.desk, header.tail.load(Ordering::Acquire));
        if tail > MOST {
            return Err(ErrorKind::Corrupt.into());
        }
        if !crate::mutant!("broadcast-desk-kept") {
            desk.at.store((tail % broadcast.capacity()) as u32, Ordering::Relaxed);
        }
        // The next one looks at everything.
        desk.soft.store(0, Ordering::Relaxed);
        desk.limit.store(0, Ordering::Relaxed);
        desk.reserved.store(0, Ordering::Relaxed);
        desk.kept.store(0, Ordering::Relaxed);
        header.lock.mark_consistent(self.me)
    }
}

/// A publisher that waits for the slowest subscriber. As long as it spins it waits for room for a block: beside a subscriber that is
/// slower, it would otherwise look at it for each message (30 ns a message between processors, instead of 8).
struct Full<'a> {
    broadcast: &'a RawBroadcast,
    me: &'a Member,
    /// Its seat, id and cursor.
    slowest: Option<(u32, OwnerId, u64)>,
    /// The slowest one is the caller's own. By then another thread would have gone on with it.
    own_until: Option<Deadline>,
}

impl Waiter for Full<'_> {
    type Done = ();

    fn look(&mut self, announced: bool) -> Result<Option<()>> {
        let wanted = if announced { 1 } else { self.broadcast.place.geometry().block() };
        if self.broadcast.is_closed() {
            return Err(ErrorKind::Closed.into());
        }
        let tail = self.broadcast.published();
        self.slowest = self.broadcast.awaited(self.me, tail).min_by_key(|&(.., cursor)| cursor);
        let Some((_, id, cursor)) = self.slowest else { return Ok(Some(())) };
        let behind = tail.saturating_sub(cursor);
        if id != self.me.id() {
            self.own_until = None;
            return Ok((behind + wanted <= self.broadcast.capacity()).then_some(()));
        }
        if behind < self.broadcast.capacity() {
            return Ok(Some(()));
        }
        // Only the caller itself could go on; or a thread that it has handed the subscriber to, and that has not used it yet.
        let until = *self.own_until.get_or_insert_with(|| Deadline::after(OWN));
        if until.has_passed() { Err(ErrorKind::Deadlock.into()) } else { Ok(None) }
    }

    fn sleep(&mut self, watches: Watches<'_>, deadline: Option<Deadline>) -> Woken {
        let seat = self.slowest.and_then(|(index, ..)| self.broadcast.place.seat(index));
        let cursor = seat
            .zip(self.slowest)
            .map(|(seat, (.., cursor))| Watch { word: Word::Low(&seat.cursor), expected: cursor as u32 });
        let watches = watches.with(cursor);
        let obstacle = self.slowest.map(|(_, id, _)| id);
        let obstacle = obstacle.filter(|_| !crate::mutant!("broadcast-subscriber-unwatched"));
        crate::crash_window!("B-s: about to sleep");
        let until = Deadline::earlier(deadline, self.own_until);
        let woken = self.me.sleep(watches.as_slice(), obstacle, watches.sure, until);
        let own = self.own_until.is_some() && !deadline.is_some_and(Deadline::has_passed);
        if own && woken == Woken::TimedOut { Woken::Changed } else { woken }
    }
}
