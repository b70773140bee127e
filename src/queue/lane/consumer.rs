//! The reading side of a lane.

use super::seat::Found;
use super::{FINAL, Lane, POSITION, PROPOSED};
use crate::atomic::Ordering;
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::time::Deadline;

/// The consumer's seat and what its holder remembers. Not shared: one handle, one thread at a time.
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawConsumer {
    lane: Lane,
    id: OwnerId,
    /// The next unit to read, and its place.
    head: u64,
    index: u64,
    /// Up to where the producer has been told.
    freed: u64,
    /// Up to where the producer has published, when we looked last.
    tail: u64,
    /// Units between frees.
    every: u64,
    /// Before it, units may have been read by a consumer that died.
    suspect: u64,
    /// The end was made final where we stand. Whatever `tail` says, a producer is about to take it back.
    ended: bool,
}

impl RawConsumer {
    /// Takes the consumer's seat. What a dead holder had not freed is read again.
    ///
    /// # Errors
    /// `WouldBlock` while somebody alive sits there; `Corrupt` for impossible counts.
    pub fn take(lane: Lane, me: &Member) -> Result<Self> {
        let header = lane.header();
        let found = lane.sit(me, &header.not_full, || header.consumer.take(me))?;
        let head = header.head.load(Ordering::Acquire);
        let tail = header.tail.load(Ordering::Acquire);
        let there = tail.wrapping_sub(head);
        if there > lane.capacity() {
            header.consumer.leave(me.id());
            return Err(ErrorKind::Corrupt.into());
        }
        let suspects = match found {
            Found::Vacant => 0,
            Found::Abandoned => header.step.load(Ordering::Relaxed).clamp(1, lane.capacity()).min(there),
        };
        let suspect = head.wrapping_add(suspects);
        let index = head % lane.capacity();
        let ended = header.seal.load(Ordering::Acquire) == head & POSITION | FINAL;
        let tail = if ended { head } else { tail };
        let mut consumer =
            RawConsumer { lane, id: me.id(), head, index, freed: head, tail, every: 1, suspect, ended };
        consumer.free_every(1);
        Ok(consumer)
    }

    /// The consumer that `id` is already, by the word of its seat, in a lane that nobody has read from.
    ///
    /// # Errors
    /// `Corrupt` for impossible counts.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn seated(lane: Lane, id: OwnerId) -> Result<Self> {
        let header = lane.header();
        let (head, tail) = (header.head.load(Ordering::Acquire), header.tail.load(Ordering::Acquire));
        if tail.wrapping_sub(head) > lane.capacity() {
            return Err(ErrorKind::Corrupt.into());
        }
        let index = head % lane.capacity();
        let (freed, suspect) = (head, head);
        let mut consumer =
            RawConsumer { lane, id, head, index, freed, tail, every: 1, suspect, ended: false };
        consumer.free_every(1);
        Ok(consumer)
    }

    /// The lane.
    #[inline(always)]
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Who holds the seat by this handle.
    #[inline(always)]
    pub fn holder(&self) -> OwnerId {
        self.id
    }

    /// Goes on in the calling thread, of the same process.
    ///
    /// # Errors
    /// `Stale` if the thread that held the seat died and another consumer has taken over.
    #[cold]
    pub fn move_to(&mut self, me: &Member) -> Result<()> {
        let header = self.lane.header();
        self.lane.sit(me, &header.not_full, || header.consumer.move_to(self.id, me))?;
        self.id = me.id();
        Ok(())
    }

    /// Frees by itself every so many units; at least 1, at most the capacity. As many may be read again, and are told as
    /// redelivered, when the consumer dies. See [`RawConsumer::flush`].
    pub fn free_every(&mut self, units: u64) {
        let units = units.clamp(1, self.lane.capacity());
        // What was taken by the old measure may die with us, too.
        self.flush();
        // Relaxed: read by whoever takes the seat after our death.
        self.lane.header().step.store(units, Ordering::Relaxed);
        self.every = units;
    }

    /// As [`RawConsumer::free_every`] for messages of several units: as many units may be read again.
    pub fn may_lose_track_of(&mut self, units: u64) {
        self.lane.header().step.store(units.clamp(1, self.lane.capacity()), Ordering::Relaxed);
    }

    /// Where the next unit is.
    #[inline(always)]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many units there are as far as the consumer knows: there may be more.
    #[inline(always)]
    pub fn known(&self) -> u64 {
        self.tail.wrapping_sub(self.head)
    }

    /// Units read and not yet freed.
    #[inline(always)]
    pub fn unfreed(&self) -> u64 {
        self.head.wrapping_sub(self.freed)
    }

    /// Whether the next unit may have been read before, by a consumer that died.
    #[inline(always)]
    pub fn is_redelivered(&self) -> bool {
        self.suspect.wrapping_sub(self.head).wrapping_sub(1) < self.lane.capacity()
    }

    /// Whether there are `units`, by what is known or else by another look.
    ///
    /// # Errors
    /// `Corrupt` when the producer's count is impossible.
    #[inline(always)]
    pub fn has(&mut self, units: u64) -> Result<bool> {
        if self.known() >= units { Ok(true) } else { self.look(units) }
    }

    #[inline(never)]
    fn look(&mut self, units: u64) -> Result<bool> {
        let tail = self.lane.header().tail.load(Ordering::Acquire); // L1
        let there = tail.wrapping_sub(self.head);
        // What we have not freed is not the producer's to write over, either.
        if there > self.lane.capacity() - self.unfreed() {
            return Err(ErrorKind::Corrupt.into());
        }
        if self.ended {
            return Ok(false);
        }
        self.tail = tail;
        Ok(there >= units)
    }

    /// Whether there are `units`; fewer do, if no more will come.
    ///
    /// # Errors
    /// `Closed` when closed and drained; `Corrupt`.
    #[cold]
    pub fn look_for(&mut self, me: &Member, units: u64) -> Result<bool> {
        // Before the look: what a producer published before it closed is seen.
        let hung_up = self.lane.is_hung_up(me, &self.lane.header().producer);
        let closed = self.lane.is_closed();
        if self.look(units)? {
            return Ok(true);
        }
        match closed {
            false => Ok(false),
            true if self.known() > 0 => Ok(true),
            // The dead publish nothing any more, and nobody sits down in a closed lane to be heard.
            true if hung_up => Err(ErrorKind::Closed.into()),
            true if self.seal(me) => Err(ErrorKind::Closed.into()),
            true => Ok(false),
        }
    }

    /// Tries to make this the end: see the module's page. False: look again.
    #[cold]
    fn seal(&mut self, me: &Member) -> bool {
        if self.ended {
            return true;
        }
        let header = self.lane.header();
        let here = self.head & POSITION;
        let mut seen = header.seal.load(Ordering::Acquire);
        let proposal = here | PROPOSED;
        while let Err(now) = header.seal.compare_exchange(seen, proposal, Ordering::AcqRel, Ordering::Acquire)
        {
            seen = now;
        }
        crate::crash_window!("L-h: the end proposed, not final");
        if !crate::mutant!("lane-seal-no-fence") {
            // Whoever cannot pass it has made all publishers of the segment use fences of their own.
            me.table().sleeper_fence();
        }
        crate::atomic::fence(Ordering::SeqCst);
        if header.tail.load(Ordering::Acquire) != self.head && !crate::mutant!("lane-seal-no-look") {
            let _ = header.seal.compare_exchange(proposal, 0, Ordering::AcqRel, Ordering::Relaxed);
            return false;
        }
        let made = header.seal.compare_exchange(proposal, here | FINAL, Ordering::AcqRel, Ordering::Relaxed);
        self.ended = made.is_ok();
        self.ended
    }

    /// Waits until there are `units`, at most the capacity. What was read is freed first.
    ///
    /// # Errors
    /// `Closed` when closed and drained, `TimedOut`, `Corrupt`.
    #[cold]
    pub fn wait_for(&mut self, me: &Member, units: u64, deadline: Option<Deadline>) -> Result<()> {
        self.flush();
        let lane = self.lane;
        let header = lane.header();
        lane.wait(me, deadline, &header.not_empty, &header.producer, || self.look_for(me, units))
    }

    /// Says that the next `units` are read. Frees them when it is time to.
    #[inline(always)]
    pub fn advance(&mut self, units: u64) {
        debug_assert!(units <= self.known());
        self.head = self.head.wrapping_add(units);
        self.index += units;
        if self.index >= self.lane.capacity() {
            self.index -= self.lane.capacity();
        }
        if self.unfreed() >= self.every {
            self.free();
        }
    }

    /// Frees what was read and not freed. On drop of a handle, and before it waits, this happens by itself.
    #[inline]
    pub fn flush(&mut self) {
        if self.unfreed() != 0 {
            self.free();
        }
    }

    #[inline(always)]
    fn free(&mut self) {
        let header = self.lane.header();
        let careful = header.not_full.is_careful();
        crate::crash_window!("L-c: read, not freed");
        let order = if crate::mutant!("lane-relaxed-free") { Ordering::Relaxed } else { Ordering::Release };
        header.head.store(self.head, order); // L2
        self.freed = self.head;
        crate::crash_window!("L-d: freed, not woken");
        header.not_full.published(careful, || 1);
    }

    /// Closes: the producer is refused from now on, what is there can be read.
    pub fn close(&mut self, me: &Member) {
        self.lane.close(me);
    }

    /// Frees the rest and leaves the seat.
    pub fn leave(&mut self) {
        self.flush();
        crate::crash_window!("L-i: about to leave");
        self.lane.header().consumer.leave(self.id);
    }
}
