//! The consumer of a lane.

use super::seat::Found;
use super::{FINAL, Lane, POSITION, PROPOSED};
use crate::atomic::{Ordering, fence, spin_loop};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Retries, Table};
use crate::time::Deadline;
use core::time::Duration;

/// Longer than a store stays in its processor's store buffer.
const STORE_BUFFER: Duration = Duration::from_micros(200);

/// The consumer's seat and what its holder remembers. It is not shared: one handle, one thread at a time.
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawConsumer {
    lane: Lane,
    id: OwnerId,
    /// The next unit to read.
    head: u64,
    /// Up to where it can go without further checks: there are units, and the ring does not end.
    soft: u64,
    /// From here on `head` is freed at once. 0 when it always is.
    due: u64,
    /// The position of the ring's first unit in this lap. It moves when the consumer goes on beyond the ring's end.
    lap: u64,
    /// Up to where the producer has been told. Meaningless when it is told every time.
    freed: u64,
    /// Up to where the producer had published when we last looked.
    tail: u64,
    /// Units between frees.
    every: u64,
    /// Units that are being read as one.
    reading: u64,
    /// Units before this position may have been read by a consumer that died or panicked over them.
    suspect: u64,
    /// The most units that can be there: the capacity. 0 when the end is final where we stand: whatever `tail` says, a
    /// producer is about to take it back.
    most: u64,
    /// To tell wait sets.
    table: Table,
}

impl RawConsumer {
    /// Takes the consumer's seat. What a dead holder had not freed is delivered again.
    ///
    /// # Errors
    /// `WouldBlock` while a live thread holds it; `Corrupt` for impossible counts.
    pub fn take(lane: Lane, me: &Member) -> Result<Self> {
        let header = lane.header();
        let found = lane.sit(me, &header.common.not_full, || header.consumer.take(me))?;
        let head = header.head.load(Ordering::Acquire);
        let tail = header.tail.load(Ordering::Acquire);
        let there = tail.wrapping_sub(head);
        if lane.are_impossible(head, tail) {
            header.consumer.leave(me.id());
            return Err(ErrorKind::Corrupt.into());
        }
        // A note of an earlier holder that died, or left, before it had read that far.
        let noted = header.suspect.load(Ordering::Relaxed).wrapping_sub(head);
        let noted = if noted <= there { noted } else { 0 };
        let suspects = match found {
            Found::Vacant => noted,
            Found::Abandoned => {
                noted.max(header.step.load(Ordering::Relaxed).clamp(1, lane.capacity()).min(there))
            }
        };
        let suspect = head.wrapping_add(suspects);
        if !crate::mutant!("lane-suspects-forgotten") {
            header.suspect.store(suspect, Ordering::Relaxed);
        }
        crate::crash_window!("L-j: seated, its step not its own");
        // Release: after the note, also in the machine code.
        header.step.store(1, Ordering::Release);
        Ok(Self::new(lane, me, head, tail, suspect))
    }

    /// The consumer for a member that already holds the seat, in a lane from which nobody has read.
    ///
    /// # Errors
    /// `Corrupt` for impossible counts.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn seated(lane: Lane, me: &Member) -> Result<Self> {
        let header = lane.header();
        let (head, tail) = (header.head.load(Ordering::Acquire), header.tail.load(Ordering::Acquire));
        if lane.are_impossible(head, tail) {
            return Err(ErrorKind::Corrupt.into());
        }
        header.step.store(1, Ordering::Release);
        Ok(Self::new(lane, me, head, tail, head))
    }

    /// The consumer for a thread that may take the seat over from `holder`, by [`move_to`](Self::move_to), which has nothing in hand.
    ///
    /// # Errors
    /// `Corrupt` for impossible counts.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn held(lane: Lane, me: &Member, holder: OwnerId) -> Result<Self> {
        let header = lane.header();
        let (head, tail) = (header.head.load(Ordering::Acquire), header.tail.load(Ordering::Acquire));
        if lane.are_impossible(head, tail) {
            return Err(ErrorKind::Corrupt.into());
        }
        let suspect = header.suspect.load(Ordering::Relaxed);
        Ok(RawConsumer { id: holder, ..Self::new(lane, me, head, tail, suspect) })
    }

    fn new(lane: Lane, me: &Member, head: u64, tail: u64, suspect: u64) -> Self {
        let lap = head.wrapping_sub(head % lane.capacity());
        let ended = lane.header().seal.load(Ordering::Acquire) == head & POSITION | FINAL;
        let (tail, most) = if ended { (head, 0) } else { (tail, lane.capacity()) };
        RawConsumer {
            lane,
            id: me.id(),
            table: *me.table(),
            head,
            soft: head,
            due: 0,
            lap,
            freed: head,
            tail,
            every: 1,
            reading: 0,
            suspect,
            most,
        }
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
    /// `Stale` if the thread that held the seat died and another consumer has taken over; on a lane that hangs up, if it died.
    #[cold]
    pub fn move_to(&mut self, me: &Member) -> Result<()> {
        self.lane.may_move(me, self.id)?;
        let header = self.lane.header();
        self.lane.sit(me, &header.common.not_full, || header.consumer.move_to(self.id, me))?;
        self.id = me.id();
        Ok(())
    }

    /// Frees only after this many units; at least 1, at most the capacity. If the consumer dies, as many may be delivered again,
    /// flagged. See [`RawConsumer::flush`].
    pub fn free_every(&mut self, units: u64) {
        let units = units.clamp(1, self.lane.capacity());
        // What was read under the old setting may also be unfreed at our death.
        self.flush();
        // Relaxed: read by the thread that takes the seat after our death.
        self.lane.header().step.store(units, Ordering::Relaxed);
        self.every = units;
        self.told();
    }

    /// Notes that the producer has been told of everything read.
    #[inline(always)]
    fn told(&mut self) {
        if self.every != 1 {
            self.freed = self.head;
            self.due = self.head.wrapping_add(self.every);
        } else {
            self.due = 0;
        }
    }

    /// As [`RawConsumer::free_every`] for messages of several units: as many units may be delivered again.
    pub fn may_lose_track_of(&mut self, units: u64) {
        self.lane.header().step.store(units.clamp(1, self.lane.capacity()), Ordering::Relaxed);
    }

    /// Declares that the next `units`, of those that are known, are about to be read as one: if the consumer dies before it frees
    /// them, they are flagged redelivered. Ends with [`has_read`](Self::has_read). False if the step already covers them.
    #[inline]
    pub fn reads(&mut self, units: u64) -> bool {
        self.reading = units;
        let most = self.unfreed() + units.min(self.known());
        let more = most > self.every;
        if more {
            // Release: before the reading, also in the machine code. Read by the thread that takes the seat after our death.
            self.lane.header().step.store(most, Ordering::Release);
        }
        more
    }

    /// Ends what [`RawConsumer::reads`] began, after the [advance](Self::advance).
    #[inline]
    pub fn has_read(&mut self) {
        self.reading = 0;
        // Release: after the head.
        self.lane.header().step.store(self.every, Ordering::Release);
    }

    /// Where the next unit is.
    #[inline(always)]
    pub fn index(&self) -> u64 {
        let index = self.head.wrapping_sub(self.lap);
        if index == self.lane.capacity() { 0 } else { index }
    }

    /// Lets `f` read the next unit, which is known to exist.
    #[inline(always)]
    pub fn drain<R>(&self, f: impl FnOnce(*const u8) -> R) -> R {
        debug_assert!(self.known() > 0);
        self.lane.drain(self.index(), f)
    }

    /// The position of the next unit.
    #[inline(always)]
    pub fn position(&self) -> u64 {
        self.head
    }

    /// How many units the consumer knows of: there may be more.
    #[inline(always)]
    pub fn known(&self) -> u64 {
        self.tail.wrapping_sub(self.head)
    }

    /// Units read and not yet freed.
    #[inline(always)]
    pub fn unfreed(&self) -> u64 {
        if self.due == 0 { 0 } else { self.head.wrapping_sub(self.freed) }
    }

    /// Whether the next unit may have been read before, by a consumer that died.
    #[inline(always)]
    pub fn is_redelivered(&self) -> bool {
        self.suspect.wrapping_sub(self.head).wrapping_sub(1) < self.lane.capacity()
            && !crate::mutant!("lane-redelivery-untold")
    }

    /// How many units from here on may have been read before.
    pub fn suspects(&self) -> u64 {
        if self.is_redelivered() { self.suspect.wrapping_sub(self.head) } else { 0 }
    }

    /// Notes that the next `units`, which are known, were partly read and given up: for the next reader, in this seat or
    /// another, they are flagged.
    #[cold]
    pub fn suspect(&mut self, units: u64) {
        self.flush();
        if self.suspects() < units {
            self.suspect = self.head.wrapping_add(units);
            // Relaxed: read by whoever takes the seat, which passes it on (L3).
            self.lane.header().suspect.store(self.suspect, Ordering::Relaxed);
        }
    }

    /// Whether there are `units`, as far as is known or else by another look.
    ///
    /// # Errors
    /// `Corrupt` when the producer's count is impossible.
    #[inline(always)]
    pub fn has(&mut self, units: u64) -> Result<bool> {
        if self.known() >= units { Ok(true) } else { self.look(units) }
    }

    /// Whether there is one unit, as far as is known or by a glance. If so, its index is [`RawConsumer::next`]. Also false when
    /// the producer's count is impossible.
    #[inline(always)]
    pub fn is_ready(&mut self) -> bool {
        self.head != self.soft || self.goes_on()
    }

    /// Whether the lane is empty and open, the producer knows of everything, and its death is no end.
    #[inline]
    #[doc(hidden)]
    pub fn is_plainly_empty(&self) -> bool {
        let header = self.lane.header();
        // The mark of a close comes before the close: without it this is a try from before the close.
        let open = !header.common.not_empty.is_careful() && !self.lane.hangs_up();
        let open = open || crate::mutant!("refusal-beside-a-close");
        open && (self.unfreed() == 0 || crate::mutant!("refusal-untold"))
            && header.tail.load(Ordering::Acquire) == self.head
    }

    #[inline(always)]
    fn goes_on(&mut self) -> bool {
        let there = self.head != self.tail || self.glance();
        if there {
            self.turn();
        }
        there
    }

    #[inline(always)]
    fn glance(&mut self) -> bool {
        let tail = self.lane.header().tail.load(Ordering::Acquire); // L1
        let there = tail.wrapping_sub(self.head).wrapping_sub(1) < self.most;
        if there {
            self.tail = tail;
        }
        there
    }

    /// Makes sure that the next unit, which is known to exist, lies in this lap.
    #[inline(always)]
    fn turn(&mut self) {
        let capacity = self.lane.capacity();
        if self.head.wrapping_sub(self.lap) == capacity {
            self.lap = self.head;
        }
        let straight = capacity - self.head.wrapping_sub(self.lap);
        self.soft = self.head.wrapping_add(self.known().min(straight));
    }

    /// The index of the next unit, after [`is_ready`](Self::is_ready) said yes.
    #[inline(always)]
    pub fn next(&self) -> u64 {
        self.head.wrapping_sub(self.lap)
    }

    /// As [`RawConsumer::advance`] by one, after [`is_ready`](Self::is_ready) said yes.
    #[inline(always)]
    pub fn advance_one(&mut self) {
        self.head = self.head.wrapping_add(1);
        match self.due {
            0 => self.free(true),
            due if self.head >= due => self.free_several(),
            _ => {}
        }
    }

    #[inline(never)]
    fn look(&mut self, units: u64) -> Result<bool> {
        let tail = self.lane.header().tail.load(Ordering::Acquire); // L1
        let there = tail.wrapping_sub(self.head);
        // The producer must not overwrite what we have not freed, either.
        if there > self.lane.capacity() - self.unfreed() {
            return Err(ErrorKind::Corrupt.into());
        }
        if self.most == 0 {
            return Ok(false);
        }
        self.tail = tail;
        self.turn();
        Ok(there >= units)
    }

    /// Whether there are `units`. Fewer are enough if no more will come.
    ///
    /// # Errors
    /// `Closed` when closed and drained; `Corrupt`.
    #[cold]
    pub fn look_for(&mut self, me: &Member, units: u64) -> Result<bool> {
        let hung_up = self.lane.is_hung_up(me, &self.lane.header().producer);
        // Once more when the end was withdrawn, as a message got in. More often only if somebody scribbles.
        for _ in 0..2 {
            // Before the look, so that it sees what a producer published before it closed.
            let closed = self.lane.is_closed();
            if self.look(units)? {
                return Ok(true);
            }
            if !closed {
                return Ok(false);
            }
            if self.known() > 0 {
                return Ok(true);
            }
            if hung_up && crate::mutant!("lane-hang-up-unsealed") || self.seal(me) {
                return Err(ErrorKind::Closed.into());
            }
        }
        Ok(false)
    }

    /// Tries to make this position the end: see the module's page. If it fails, look again.
    #[cold]
    fn seal(&mut self, me: &Member) -> bool {
        if self.most == 0 {
            return true;
        }
        let header = self.lane.header();
        let here = self.head & POSITION;
        let mut seen = header.seal.load(Ordering::Acquire);
        let proposal = here | PROPOSED;
        let mut retries = Retries::new();
        while let Err(now) = header.seal.compare_exchange(seen, proposal, Ordering::AcqRel, Ordering::Acquire)
        {
            seen = now;
            if !retries.again() {
                return false;
            }
        }
        crate::crash_window!("L-h: the end proposed, not final");
        if !me.table().sleeper_fence() {
            // From its next publication on, the publisher passes its own fences: in a closed lane it always does. A
            // publication that is under way issued its store before its look, and a processor holds that back for less than this.
            let until = Deadline::after(STORE_BUFFER);
            while !until.has_passed() {
                spin_loop();
            }
        }
        fence(Ordering::SeqCst);
        if header.tail.load(Ordering::Acquire) != self.head && !crate::mutant!("lane-seal-no-look") {
            let _ = header.seal.compare_exchange(proposal, 0, Ordering::AcqRel, Ordering::Relaxed);
            return false;
        }
        let made = header.seal.compare_exchange(proposal, here | FINAL, Ordering::AcqRel, Ordering::Acquire);
        if made.is_ok() {
            self.most = 0;
        }
        made.is_ok()
    }

    /// Waits until there are `units`, at most the capacity. First frees what was read.
    ///
    /// # Errors
    /// `Closed` when closed and drained, `TimedOut`, `Corrupt`.
    #[cold]
    pub fn wait_for(&mut self, me: &Member, units: u64, deadline: Option<Deadline>) -> Result<()> {
        self.flush();
        let lane = self.lane;
        let header = lane.header();
        lane.wait(me, deadline, &header.common.not_empty, &header.producer, || self.look_for(me, units))
    }

    /// Moves past the next `units`, which are read. Frees them when it is time to.
    #[inline(always)]
    pub fn advance(&mut self, units: u64) {
        debug_assert!(units <= self.known());
        self.head = self.head.wrapping_add(units);
        if self.head.wrapping_sub(self.lap) > self.lane.capacity() {
            self.lap = self.lap.wrapping_add(self.lane.capacity());
        }
        // Single units check anew.
        self.soft = self.head;
        if self.head >= self.due {
            self.free(self.due == 0);
        }
    }

    /// Frees what was read and not yet freed. Happens by itself before a wait and when a handle is dropped.
    #[inline]
    pub fn flush(&mut self) {
        if self.unfreed() != 0 {
            self.free_several();
        }
    }

    #[inline(never)]
    fn free_several(&mut self) {
        self.free(false);
    }

    /// Frees everything read. `always`: the setting is to free every unit at once.
    #[inline(always)]
    fn free(&mut self, always: bool) {
        let lane = self.lane;
        let header = lane.header();
        crate::crash_window!("L-c: read, not freed");
        let order = if crate::mutant!("lane-relaxed-free") { Ordering::Relaxed } else { Ordering::Release };
        header.head.store(self.head, order); // L2
        if !always {
            self.told();
        }
        crate::crash_window!("L-d: freed, not woken");
        // Nobody refuses what is freed, so nothing is checked before.
        if header.common.not_full.is_watched_or_strong() {
            self.tell();
        }
    }

    /// The producer may sleep, or the lane is closed, or fences are needed.
    #[cold]
    fn tell(&self) {
        fence(Ordering::SeqCst);
        self.lane.header().common.not_full.watched(&self.table, || 1);
    }

    /// Closes: the producer is refused from now on, what is there can still be read.
    pub fn close(&mut self, me: &Member) {
        self.lane.close(me);
    }

    /// Frees the rest and leaves the seat.
    pub fn leave(&mut self) {
        self.flush();
        // A panic that also drops the consumer counts as its death.
        #[cfg(all(feature = "std", not(interproc_loom)))]
        if self.reading != 0 && std::thread::panicking() {
            self.suspect(self.reading.min(self.known()));
        }
        self.lane.leave(&self.lane.header().consumer, self.id);
    }
}
