//! The two endpoints of an Spsc queue, whatever is in its slots: for Rust and C.

use crate::error::{ErrorKind, Result};
use crate::member::Member;
use crate::queue::endpoint::{Endpoint, Side};
use crate::queue::lane::{Lane, RawConsumer, RawProducer};
use crate::time::{Deadline, Wait};

/// The producer's seat.
pub(crate) type Writer = Endpoint<RawProducer>;
/// The consumer's seat.
pub(crate) type Reader = Endpoint<RawConsumer>;

impl Writer {
    /// Takes the seat.
    ///
    /// # Errors
    /// `WouldBlock` while somebody alive sits there; `Corrupt`.
    pub(crate) fn take(lane: Lane, me: &Member) -> Result<Self> {
        Ok(Endpoint::new(RawProducer::take(lane, me)?))
    }
}

impl Reader {
    /// Takes the seat.
    ///
    /// # Errors
    /// `WouldBlock` while somebody alive sits there; `Corrupt`.
    pub(crate) fn take(lane: Lane, me: &Member) -> Result<Self> {
        Ok(Endpoint::new(RawConsumer::take(lane, me)?))
    }
}

/// A side of a lane by units: free ones for the producer, published ones for the consumer.
pub(crate) trait Units: Side {
    /// What a try says when there are too few.
    const TOO_FEW: ErrorKind;
    /// Where the next unit is.
    fn index(&self) -> u64;
    /// Whether there is one, and its place is known.
    fn is_ready(&mut self) -> bool;
    /// Whether there is none, for no other reason than that the other side is not that far: the lane is open, no death would be its
    /// end, and nothing is left to be told.
    fn is_plainly_short(&self) -> bool;
    /// How many there are as far as this side knows.
    fn known(&self) -> u64;
    /// Whether there are so many, by another look if need be.
    fn has(&mut self, units: u64) -> Result<bool>;
    /// As [`Units::has`] for a side that has found too few: the end is told.
    fn look_for(&mut self, me: &Member, units: u64) -> Result<bool>;
    /// Waits for so many.
    fn wait_for(&mut self, me: &Member, units: u64, deadline: Option<Deadline>) -> Result<()>;
    /// How many the other side has not been told of.
    fn untold(&self) -> u64;
    /// Tells it.
    fn tell(&mut self) -> Result<()>;
}

impl Units for RawProducer {
    const TOO_FEW: ErrorKind = ErrorKind::Full;
    #[inline(always)]
    fn index(&self) -> u64 {
        RawProducer::index(self)
    }
    #[inline(always)]
    fn is_ready(&mut self) -> bool {
        RawProducer::is_ready(self)
    }
    #[inline(always)]
    fn is_plainly_short(&self) -> bool {
        RawProducer::is_plainly_full(self)
    }
    #[inline(always)]
    fn known(&self) -> u64 {
        self.known_room()
    }
    #[inline(always)]
    fn has(&mut self, units: u64) -> Result<bool> {
        self.has_room(units)
    }
    fn look_for(&mut self, me: &Member, units: u64) -> Result<bool> {
        RawProducer::look_for(self, me, units)
    }
    fn wait_for(&mut self, me: &Member, units: u64, deadline: Option<Deadline>) -> Result<()> {
        self.wait_for_room(me, units, deadline)
    }
    #[inline(always)]
    fn untold(&self) -> u64 {
        self.unpublished()
    }
    #[inline]
    fn tell(&mut self) -> Result<()> {
        self.flush()
    }
}

impl Units for RawConsumer {
    const TOO_FEW: ErrorKind = ErrorKind::Empty;
    #[inline(always)]
    fn index(&self) -> u64 {
        RawConsumer::index(self)
    }
    #[inline(always)]
    fn is_ready(&mut self) -> bool {
        RawConsumer::is_ready(self)
    }
    #[inline(always)]
    fn is_plainly_short(&self) -> bool {
        RawConsumer::is_plainly_empty(self)
    }
    #[inline(always)]
    fn known(&self) -> u64 {
        RawConsumer::known(self)
    }
    #[inline(always)]
    fn has(&mut self, units: u64) -> Result<bool> {
        RawConsumer::has(self, units)
    }
    fn look_for(&mut self, me: &Member, units: u64) -> Result<bool> {
        RawConsumer::look_for(self, me, units)
    }
    fn wait_for(&mut self, me: &Member, units: u64, deadline: Option<Deadline>) -> Result<()> {
        RawConsumer::wait_for(self, me, units, deadline)
    }
    #[inline(always)]
    fn untold(&self) -> u64 {
        self.unfreed()
    }
    #[inline]
    fn tell(&mut self) -> Result<()> {
        self.flush();
        Ok(())
    }
}

impl<S: Units> Endpoint<S> {
    /// The calling thread has the seat, and there is a unit.
    ///
    /// # Errors
    /// As `make_ready`.
    #[inline(always)]
    pub(crate) fn ready(&mut self, wait: Wait) -> Result<()> {
        if self.is_here() && self.raw.is_ready() { Ok(()) } else { self.make_one_ready(wait) }
    }

    /// As [`Self::ready`], for so many units.
    ///
    /// # Errors
    /// `InvalidInput` for more than the capacity; as `make_ready`.
    #[inline(always)]
    pub(crate) fn ready_for(&mut self, units: usize, wait: Wait) -> Result<()> {
        let units = units as u64;
        if units > self.lane().capacity() {
            return Err(ErrorKind::InvalidInput.into());
        }
        if self.is_here() && self.raw.known() >= units { Ok(()) } else { self.make_ready(units, wait) }
    }

    #[inline(never)]
    fn make_one_ready(&mut self, wait: Wait) -> Result<()> {
        // For those who try again and again. (The models of `tests/loom/lane.rs` try in this order.)
        if matches!(wait, Wait::Never) && self.is_here() && self.raw.is_plainly_short() {
            return Err(S::TOO_FEW.into());
        }
        self.make_ready(1, wait)?;
        // There is one: this makes its place known.
        if self.raw.is_ready() { Ok(()) } else { Err(ErrorKind::Corrupt.into()) }
    }

    /// Sees to both.
    ///
    /// # Errors
    /// `Full` or `Empty`, `TimedOut`, `Closed`, `Corrupt`; as [`Self::seated`].
    #[cold]
    fn make_ready(&mut self, units: u64, wait: Wait) -> Result<()> {
        let me = self.seated()?;
        let deadline = match wait {
            Wait::Never => {
                // What the other side has not been told of, it cannot work on.
                self.raw.tell()?;
                let there = self.raw.look_for(me, units)?;
                return if there { Ok(()) } else { Err(S::TOO_FEW.into()) };
            }
            Wait::ForEver => None,
            Wait::Until(deadline) => Some(deadline),
        };
        if self.raw.has(units)? {
            return Ok(());
        }
        self.raw.wait_for(me, units, deadline)
    }

    /// Tells the other side what it has not been told of.
    ///
    /// # Errors
    /// `Closed`; as [`Self::seated`].
    #[inline]
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.raw.untold() == 0 {
            return Ok(());
        }
        self.here()?;
        self.raw.tell()
    }

    /// The places of the next `count` units, which are known to be there: up to the ring's end, and from its start.
    #[inline(always)]
    pub(crate) fn slots(&self, count: usize) -> [(u64, usize); 2] {
        let index = self.raw.index();
        let first = count.min((self.lane().capacity() - index) as usize);
        [(index, first), (0, count - first)]
    }

    /// How many of `most` units are there, by another look if need be.
    ///
    /// # Errors
    /// `Corrupt`.
    #[inline]
    pub(crate) fn up_to(&mut self, most: usize) -> Result<usize> {
        self.raw.has(most as u64)?;
        Ok(most.min(self.raw.known() as usize))
    }
}
