//! The producer of a lane.

use super::seat::Found;
use super::{FINAL, Lane, POSITION, PROPOSED};
use crate::atomic::{Ordering, fence};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Retries, Table};
use crate::time::Deadline;

/// How many bytes are prefetched for writing at a time, and how far ahead of the writing.
const STRIDE: usize = 512;
/// Units of a cache line or more are not prefetched.
const LINE: usize = 64;

/// The producer's seat and what its holder remembers. It is not shared: one handle, one thread at a time.
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawProducer {
    lane: Lane,
    id: OwnerId,
    /// The next unit to write.
    tail: u64,
    /// Up to where it can go without further checks: there is room, the ring does not end, and nothing is to be prefetched.
    soft: u64,
    /// A [`STRIDE`] in units; endless where nothing is prefetched.
    stride: u64,
    /// From here on `tail` is published at once. 0 when it always is.
    due: u64,
    /// The position of the ring's first unit in this lap. It moves when the producer goes on beyond the ring's end.
    lap: u64,
    /// Units between publications.
    every: u64,
    /// Up to where the consumer has been told. Meaningless when it is told every time.
    published: u64,
    /// Up to where there is room: the capacity beyond what the consumer had freed when we last looked.
    limit: u64,
    /// To tell wait sets.
    table: Table,
}

impl RawProducer {
    /// Takes the producer's seat. What a dead holder had not published is gone.
    ///
    /// # Errors
    /// `WouldBlock` while a live thread holds it; `Corrupt` for impossible counts.
    pub fn take(lane: Lane, me: &Member) -> Result<Self> {
        let header = lane.header();
        let _: Found = lane.sit(me, &header.common.not_empty, || header.producer.take(me))?;
        let seated = Self::seated(lane, me);
        if seated.is_err() {
            header.producer.leave(me.id());
        }
        seated
    }

    /// The producer for a member that already holds the seat.
    ///
    /// # Errors
    /// `Corrupt` for impossible counts.
    pub(crate) fn seated(lane: Lane, me: &Member) -> Result<Self> {
        Self::held(lane, me, me.id())
    }

    /// The producer for a thread that may take the seat over from `holder`, by [`move_to`](Self::move_to).
    ///
    /// # Errors
    /// `Corrupt` for impossible counts.
    pub(crate) fn held(lane: Lane, me: &Member, holder: OwnerId) -> Result<Self> {
        let header = lane.header();
        let (head, tail) = (header.head.load(Ordering::Acquire), header.tail.load(Ordering::Acquire));
        if lane.are_impossible(head, tail) {
            return Err(ErrorKind::Corrupt.into());
        }
        let lap = tail.wrapping_sub(tail % lane.capacity());
        let limit = head.wrapping_add(lane.capacity());
        let stride = if lane.unit() < LINE { (STRIDE / lane.unit()) as u64 } else { u64::MAX };
        Ok(RawProducer {
            lane,
            id: holder,
            tail,
            soft: tail,
            stride,
            due: 0,
            lap,
            every: 1,
            published: tail,
            limit,
            table: *me.table(),
        })
    }

    /// The lane.
    #[inline(always)]
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The holder of the seat according to this handle.
    #[inline(always)]
    pub fn holder(&self) -> OwnerId {
        self.id
    }

    /// Moves the seat to the calling thread, of the same process.
    ///
    /// # Errors
    /// `Stale` if the thread that held the seat died and another producer has taken over; on a lane that hangs up, if it died.
    #[cold]
    pub fn move_to(&mut self, me: &Member) -> Result<()> {
        self.lane.may_move(me, self.id)?;
        let header = self.lane.header();
        self.lane.sit(me, &header.common.not_empty, || header.producer.move_to(self.id, me))?;
        self.id = me.id();
        Ok(())
    }

    /// Publishes only after this many units; at least 1. See [`RawProducer::flush`].
    pub fn publish_every(&mut self, units: u64) {
        let published = self.tail.wrapping_sub(self.unpublished());
        self.every = units.max(1);
        self.told(published);
    }

    /// Notes up to where the consumer has been told.
    #[inline(always)]
    fn told(&mut self, published: u64) {
        if self.every != 1 || published != self.tail {
            self.published = published;
            self.due = published.wrapping_add(self.every);
        } else {
            self.due = 0;
        }
    }

    /// Where the next unit goes.
    #[inline(always)]
    pub fn index(&self) -> u64 {
        let index = self.tail.wrapping_sub(self.lap);
        if index == self.lane.capacity() { 0 } else { index }
    }

    /// Lets `f` write the next unit, which is known to be free.
    #[inline(always)]
    pub fn fill(&mut self, f: impl FnOnce(*mut u8)) {
        debug_assert!(self.known_room() > 0);
        self.lane.fill(self.index(), f);
    }

    /// Units written and not yet published.
    #[inline(always)]
    pub fn unpublished(&self) -> u64 {
        if self.due == 0 { 0 } else { self.tail.wrapping_sub(self.published) }
    }

    /// How many free units the producer knows of: there may be more.
    #[inline(always)]
    pub fn known_room(&self) -> u64 {
        self.limit.wrapping_sub(self.tail)
    }

    /// Whether `units` are free, as far as is known or else by another look.
    ///
    /// # Errors
    /// `Corrupt` when the consumer's count is impossible.
    #[inline(always)]
    pub fn has_room(&mut self, units: u64) -> Result<bool> {
        if self.known_room() >= units { Ok(true) } else { self.look(units) }
    }

    /// Whether one unit is free, as far as is known or by a glance. If so, its index is [`RawProducer::next`]. Also false when
    /// the consumer's count is impossible.
    #[inline(always)]
    pub fn is_ready(&mut self) -> bool {
        self.tail != self.soft || self.goes_on()
    }

    /// Whether the ring is full and the lane open, the consumer knows of everything, and its death is no end. The peak is noted then.
    #[inline]
    #[doc(hidden)]
    pub fn is_plainly_full(&self) -> bool {
        let header = self.lane.header();
        // The mark of a close comes before the close: without it this is a try from before the close.
        let open = !header.common.not_empty.is_careful() && !self.lane.hangs_up();
        let open = open || crate::mutant!("refusal-beside-a-close");
        let full = self.tail.wrapping_sub(header.head.load(Ordering::Acquire)) == self.lane.capacity();
        let plainly = full && open && (self.unpublished() == 0 || crate::mutant!("refusal-untold"));
        if plainly {
            header.peak.note_alone(self.lane.capacity());
        }
        plainly
    }

    /// Apart: a push must be small enough to become part of its caller. As a call, it would get a large message by its address, and
    /// wait for the stores that made it.
    #[inline(never)]
    fn goes_on(&mut self) -> bool {
        let free = self.tail != self.limit || self.glance();
        if free {
            self.turn();
        }
        free
    }

    #[inline(always)]
    fn glance(&mut self) -> bool {
        let lane = self.lane;
        let header = lane.header();
        let head = header.head.load(Ordering::Acquire); // L2
        let used = self.tail.wrapping_sub(head);
        let free = used < self.lane.capacity();
        if free {
            self.limit = head.wrapping_add(self.lane.capacity());
            header.peak.note_alone(used);
        }
        free
    }

    /// Makes sure that the next unit, which is known to be free, lies in this lap, and prefetches what comes soon.
    #[inline(always)]
    fn turn(&mut self) {
        let capacity = self.lane.capacity();
        if self.tail.wrapping_sub(self.lap) == capacity {
            self.lap = self.tail;
        }
        let index = self.tail.wrapping_sub(self.lap);
        let straight = self.known_room().min(capacity - index);
        let run = straight.min(self.stride);
        self.soft = self.tail.wrapping_add(run);
        // Only what is known to be free: the rest is still being read.
        self.lane.fetch(index + run, (straight - run).min(self.stride));
    }

    /// The index of the next unit, after [`is_ready`](Self::is_ready) said yes.
    #[inline(always)]
    pub fn next(&self) -> u64 {
        self.next_at(self.tail)
    }

    /// The position of the next unit. Keeping it saves loads after the unit is written.
    #[inline(always)]
    pub fn position(&self) -> u64 {
        self.tail
    }

    /// As [`RawProducer::next`], by the [position](Self::position).
    #[inline(always)]
    pub fn next_at(&self, position: u64) -> u64 {
        position.wrapping_sub(self.lap)
    }

    /// As [`RawProducer::advance`] by one, after [`is_ready`](Self::is_ready) said yes.
    ///
    /// # Errors
    /// `Closed`, as of [`RawProducer::flush`].
    #[inline(always)]
    pub fn advance_one(&mut self) -> Result<()> {
        self.advance_from(self.tail)
    }

    /// As [`RawProducer::advance_one`], by the [position](Self::position).
    ///
    /// # Errors
    /// As [`RawProducer::advance_one`].
    #[inline(always)]
    pub fn advance_from(&mut self, position: u64) -> Result<()> {
        debug_assert_eq!(position, self.tail);
        self.tail = position.wrapping_add(1);
        match self.due {
            0 => self.publish(position, true),
            due if self.tail >= due => self.publish_several(position),
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn look(&mut self, units: u64) -> Result<bool> {
        let lane = self.lane;
        let header = lane.header();
        let head = header.head.load(Ordering::Acquire); // L2
        let used = self.tail.wrapping_sub(head);
        if used > self.lane.capacity() {
            return Err(ErrorKind::Corrupt.into());
        }
        self.limit = head.wrapping_add(self.lane.capacity());
        self.turn();
        header.peak.note_alone(used);
        Ok(self.known_room() >= units)
    }

    /// Waits until `units`, at most the capacity, are free. First publishes what was written.
    ///
    /// # Errors
    /// `Closed`, `TimedOut`, `Corrupt`.
    #[cold]
    pub fn wait_for_room(&mut self, me: &Member, units: u64, deadline: Option<Deadline>) -> Result<()> {
        self.flush()?;
        let lane = self.lane;
        let header = lane.header();
        lane.wait(me, deadline, &header.common.not_full, &header.consumer, || self.look_for(me, units))
    }

    /// Whether `units` are free, and the lane is still open.
    ///
    /// # Errors
    /// `Closed`; `Corrupt`.
    #[cold]
    pub fn look_for(&mut self, me: &Member, units: u64) -> Result<bool> {
        if self.lane.is_closed() || self.lane.is_hung_up(me, &self.lane.header().consumer) {
            return Err(ErrorKind::Closed.into());
        }
        self.look(units)
    }

    /// Moves past the next `units`, which are written. Publishes them when it is time to.
    ///
    /// # Errors
    /// `Closed`, as of [`RawProducer::flush`].
    #[inline(always)]
    pub fn advance(&mut self, units: u64) -> Result<()> {
        debug_assert!(units <= self.known_room());
        let before = self.tail;
        self.tail = before.wrapping_add(units);
        if self.tail.wrapping_sub(self.lap) > self.lane.capacity() {
            self.lap = self.lap.wrapping_add(self.lane.capacity());
        }
        if units > self.soft.wrapping_sub(before) {
            self.soft = self.tail;
            if self.tail != self.limit {
                self.turn();
            }
        }
        if self.tail >= self.due { self.publish(before, self.due == 0) } else { Ok(()) }
    }

    /// Publishes what was written and not yet published. Happens by itself before a wait and when a handle is dropped.
    ///
    /// # Errors
    /// `Closed`: the rest is lost, as nobody will read it.
    #[inline]
    pub fn flush(&mut self) -> Result<()> {
        if self.unpublished() == 0 { Ok(()) } else { self.publish_several(self.published) }
    }

    #[inline(never)]
    fn publish_several(&mut self, before: u64) -> Result<()> {
        self.publish(before, false)
    }

    /// Publishes everything written. `before` is the old end of what was written, if all of that was published. `always`: the
    /// setting is to publish every unit at once.
    #[inline(always)]
    fn publish(&mut self, before: u64, always: bool) -> Result<()> {
        let lane = self.lane;
        let header = lane.header();
        if header.common.not_empty.is_careful() {
            return self.publish_carefully(before);
        }
        crate::crash_window!("L-a: written, not published");
        let order =
            if crate::mutant!("lane-relaxed-publish") { Ordering::Relaxed } else { Ordering::Release };
        header.tail.store(self.tail, order); // L1
        crate::crash_window!("L-b: published, not woken");
        if header.common.not_empty.is_watched() {
            return self.tell(before);
        }
        if !always {
            self.told(self.tail);
        }
        Ok(())
    }

    /// Up to where the consumer had been told before what was written behind `before`.
    fn told_before(&self, before: u64) -> u64 {
        if self.due == 0 { before } else { self.published }
    }

    /// The consumer may sleep, or the lane was closed meanwhile.
    #[cold]
    fn tell(&mut self, before: u64) -> Result<()> {
        let before = self.told_before(before);
        self.told(self.tail);
        if self.lane.header().common.not_empty.watched(&self.table, || 1) {
            self.settle(before)
        } else {
            Ok(())
        }
    }

    /// The lane may be closed, or fences are needed.
    #[cold]
    fn publish_carefully(&mut self, before: u64) -> Result<()> {
        let before = self.told_before(before);
        if self.lane.is_closed() {
            return self.refused(before);
        }
        let lane = self.lane;
        let header = lane.header();
        header.tail.store(self.tail, Ordering::Release); // L1
        self.told(self.tail);
        fence(Ordering::SeqCst);
        if header.common.not_empty.watched(&self.table, || 1) { self.settle(before) } else { Ok(()) }
    }

    /// The lane was closed before the publication: takes back what was written.
    #[cold]
    fn refused(&mut self, before: u64) -> Result<()> {
        self.back_to(before);
        Err(ErrorKind::Closed.into())
    }

    fn back_to(&mut self, position: u64) {
        self.tail = position;
        self.lap = position.wrapping_sub(position % self.lane.capacity());
        self.soft = position;
        // A scribbled head may have shown us more room than a whole ring from here: assume nothing.
        self.limit = position;
        self.told(position);
    }

    /// The lane was closed meanwhile: finds out whether what was published from `before` on got in.
    #[cold]
    fn settle(&mut self, before: u64) -> Result<()> {
        let seal = &self.lane.header().seal;
        // Orders the publication before the look at the seal; pairs with the consumer's heavy fence between its proposal and
        // its look.
        fence(Ordering::SeqCst);
        let mut seen = seal.load(Ordering::Acquire);
        let mut retries = Retries::new();
        loop {
            if seen & FINAL != 0 {
                // The end is at or behind what we had published before: nobody reads what came after.
                let got_in = before & POSITION != seen & POSITION || crate::mutant!("lane-refusal-untold");
                if got_in {
                    return Ok(());
                }
                self.lane.header().tail.store(before, Ordering::Release);
                self.back_to(before);
                return Err(ErrorKind::Closed.into());
            }
            if seen & PROPOSED == 0 || crate::mutant!("lane-proposal-not-withdrawn") || !retries.again() {
                return Ok(()); // a consumer that proposes the end from now on sees what we published
            }
            match seal.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// Closes: nothing more comes, what is there can still be read.
    ///
    /// # Errors
    /// `Closed` if it was closed before the rest was published.
    pub fn close(&mut self, me: &Member) -> Result<()> {
        let flushed = self.flush();
        self.lane.close(me);
        flushed
    }

    /// Publishes the rest and leaves the seat.
    pub fn leave(&mut self) {
        let _ = self.flush();
        self.lane.leave(&self.lane.header().producer, self.id);
    }
}
