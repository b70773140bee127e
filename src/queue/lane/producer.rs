//! The writing side of a lane.

use super::seat::Found;
use super::{FINAL, Lane, POSITION, PROPOSED};
use crate::atomic::{Ordering, fence};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::time::Deadline;

/// The producer's seat and what its holder remembers. Not shared: one handle, one thread at a time.
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawProducer {
    lane: Lane,
    id: OwnerId,
    /// The next unit to write, and its place.
    tail: u64,
    index: u64,
    /// Up to where the consumer has been told.
    published: u64,
    /// Up to where the consumer has freed, when we looked last.
    head: u64,
    /// Units between publications.
    every: u64,
}

impl RawProducer {
    /// Takes the producer's seat. What a dead holder had not published is gone.
    ///
    /// # Errors
    /// `WouldBlock` while somebody alive sits there; `Corrupt` for impossible counts.
    pub fn take(lane: Lane, me: &Member) -> Result<Self> {
        let header = lane.header();
        let _: Found = lane.sit(me, &header.not_empty, || header.producer.take(me))?;
        let (head, tail) = (header.head.load(Ordering::Acquire), header.tail.load(Ordering::Acquire));
        if tail.wrapping_sub(head) > lane.capacity() {
            header.producer.leave(me.id());
            return Err(ErrorKind::Corrupt.into());
        }
        let index = tail % lane.capacity();
        Ok(RawProducer { lane, id: me.id(), tail, index, published: tail, head, every: 1 })
    }

    /// The producer that `id` is already, by the word of its seat.
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
        let index = tail % lane.capacity();
        Ok(RawProducer { lane, id, tail, index, published: tail, head, every: 1 })
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
    /// `Stale` if the thread that held the seat died and another producer has taken over.
    #[cold]
    pub fn move_to(&mut self, me: &Member) -> Result<()> {
        let header = self.lane.header();
        self.lane.sit(me, &header.not_empty, || header.producer.move_to(self.id, me))?;
        self.id = me.id();
        Ok(())
    }

    /// Publishes by itself every so many units; at least 1. See [`RawProducer::flush`].
    pub fn publish_every(&mut self, units: u64) {
        self.every = units.max(1);
    }

    /// Where the next unit goes.
    #[inline(always)]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Units written and not yet published.
    #[inline(always)]
    pub fn unpublished(&self) -> u64 {
        self.tail.wrapping_sub(self.published)
    }

    /// How many units are free as far as the producer knows: there may be more.
    #[inline(always)]
    pub fn known_room(&self) -> u64 {
        self.lane.capacity().wrapping_sub(self.tail.wrapping_sub(self.head))
    }

    /// Whether `units` are free, by what is known or else by another look.
    ///
    /// # Errors
    /// `Corrupt` when the consumer's count is impossible.
    #[inline(always)]
    pub fn has_room(&mut self, units: u64) -> Result<bool> {
        if self.known_room() >= units { Ok(true) } else { self.look(units) }
    }

    #[inline(never)]
    fn look(&mut self, units: u64) -> Result<bool> {
        let header = self.lane.header();
        let head = header.head.load(Ordering::Acquire); // L2
        let used = self.tail.wrapping_sub(head);
        if used > self.lane.capacity() {
            return Err(ErrorKind::Corrupt.into());
        }
        self.head = head;
        // Relaxed: for people.
        if used > header.peak.load(Ordering::Relaxed) {
            header.peak.store(used, Ordering::Relaxed);
        }
        Ok(self.lane.capacity() - used >= units)
    }

    /// Waits until `units`, at most the capacity, are free. What was written is published first.
    ///
    /// # Errors
    /// `Closed`, `TimedOut`, `Corrupt`.
    #[cold]
    pub fn wait_for_room(&mut self, me: &Member, units: u64, deadline: Option<Deadline>) -> Result<()> {
        self.flush()?;
        let lane = self.lane;
        let header = lane.header();
        lane.wait(me, deadline, &header.not_full, &header.consumer, || self.look_for(me, units))
    }

    /// Whether `units` are free, and somebody may read them.
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

    /// Says that the next `units` are written. Publishes them when it is time to.
    ///
    /// # Errors
    /// `Closed`, as of [`RawProducer::flush`].
    #[inline(always)]
    pub fn advance(&mut self, units: u64) -> Result<()> {
        debug_assert!(units <= self.known_room());
        self.tail = self.tail.wrapping_add(units);
        self.index += units;
        if self.index >= self.lane.capacity() {
            self.index -= self.lane.capacity();
        }
        if self.unpublished() >= self.every { self.publish() } else { Ok(()) }
    }

    /// Publishes what was written and not published. On drop of a handle, and before it waits, this happens by itself.
    ///
    /// # Errors
    /// `Closed`: what was not published is lost, as nobody will read it.
    #[inline]
    pub fn flush(&mut self) -> Result<()> {
        if self.unpublished() == 0 { Ok(()) } else { self.publish() }
    }

    #[inline(always)]
    fn publish(&mut self) -> Result<()> {
        let header = self.lane.header();
        let careful = header.not_empty.is_careful();
        if careful && self.lane.is_closed() {
            return self.refused();
        }
        crate::crash_window!("L-a: written, not published");
        let order =
            if crate::mutant!("lane-relaxed-publish") { Ordering::Relaxed } else { Ordering::Release };
        header.tail.store(self.tail, order); // L1
        crate::crash_window!("L-b: published, not woken");
        let before = self.published;
        self.published = self.tail;
        if header.not_empty.published(careful, || 1) { self.settle(before) } else { Ok(()) }
    }

    /// The lane was closed before the publication: it takes back what it wrote.
    #[cold]
    fn refused(&mut self) -> Result<()> {
        self.back_to(self.published);
        Err(ErrorKind::Closed.into())
    }

    fn back_to(&mut self, position: u64) {
        self.tail = position;
        self.published = position;
        self.index = position % self.lane.capacity();
    }

    /// The lane was closed meanwhile: did what was published from `before` on get in?
    #[cold]
    fn settle(&mut self, before: u64) -> Result<()> {
        let seal = &self.lane.header().seal;
        // The publication before the look at the seal; the consumer's heavy fence between its proposal and its look.
        fence(Ordering::SeqCst);
        let mut seen = seal.load(Ordering::Acquire);
        loop {
            if seen & FINAL != 0 {
                // At or behind what we had published before: nobody reads what came after.
                let got_in = before & POSITION != seen & POSITION || crate::mutant!("lane-refusal-untold");
                if got_in {
                    return Ok(());
                }
                self.lane.header().tail.store(before, Ordering::Release);
                self.back_to(before);
                return Err(ErrorKind::Closed.into());
            }
            if seen & PROPOSED == 0 || crate::mutant!("lane-proposal-not-withdrawn") {
                return Ok(()); // whoever proposes the end from now on sees what we published
            }
            match seal.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// Closes: nothing comes any more, what is there can be read.
    ///
    /// # Errors
    /// `Closed` if it was closed before what was not published yet.
    pub fn close(&mut self, me: &Member) -> Result<()> {
        let flushed = self.flush();
        self.lane.close(me);
        flushed
    }

    /// Publishes the rest and leaves the seat.
    pub fn leave(&mut self) {
        let _ = self.flush();
        crate::crash_window!("L-i: about to leave");
        self.lane.header().producer.leave(self.id);
    }
}
