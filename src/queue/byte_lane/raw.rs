//! Messages of any length in a lane: framing, by nobody's leave but the seats'.
//!
//! A unit is eight bytes. A message is one unit of header, `length:32 | kind:32`, and its bytes in the units behind it, in
//! one piece: what would cross the end of the ring begins anew at its start, behind a *pad* that fills the rest. Pad and
//! message are published as one. A message takes at most half the ring, so that both always fit.
//!
//! Headers are copied, checked against what is published and only then used.
#![allow(unsafe_code)]

use crate::error::{ErrorKind, Result};
use crate::member::Member;
use crate::queue::{Lane, RawConsumer, RawProducer};
use crate::time::Deadline;
use core::ptr::NonNull;

/// Bytes of a unit.
pub const UNIT: usize = 8;
/// A header's kind: a message.
const MESSAGE: u64 = 1;
/// The rest of the ring's end.
const PAD: u64 = 2;

/// The units of a message with its header.
const fn units_of(len: usize) -> u64 {
    1 + len.div_ceil(UNIT) as u64
}

/// The units of a ring of at least so many bytes for messages of at most `longest`; `None` if that cannot be.
pub const fn units_for(bytes: usize, longest: usize) -> Option<usize> {
    if longest > u32::MAX as usize {
        return None;
    }
    let (units, twice) = (bytes.div_ceil(UNIT), units_of(longest) as usize * 2);
    Some(if units < twice { twice } else { units })
}

/// The producer of a byte lane.
#[derive(Debug)]
pub struct RawByteProducer {
    seat: RawProducer,
    /// What [`RawByteProducer::space`] gave out: units of pad before the message, and the message's most bytes.
    pad: u64,
    reserved: usize,
}

impl RawByteProducer {
    /// The producer that sits in `seat`, of a lane of [`UNIT`]s.
    ///
    /// # Errors
    /// `Corrupt` if the lane's longest message does not fit in it.
    pub fn new(seat: RawProducer) -> Result<Self> {
        check(seat.lane())?;
        Ok(RawByteProducer { seat, pad: 0, reserved: 0 })
    }

    /// Its seat.
    #[inline(always)]
    pub fn seat(&mut self) -> &mut RawProducer {
        &mut self.seat
    }

    /// The lane.
    #[inline(always)]
    pub fn lane(&self) -> &Lane {
        self.seat.lane()
    }

    /// The longest message, in bytes.
    #[inline(always)]
    pub fn longest(&self) -> usize {
        self.seat.lane().limit() as usize
    }

    #[inline(always)]
    fn pad_before(&self, units: u64) -> u64 {
        let to_end = self.seat.lane().capacity() - self.seat.index();
        if units > to_end { to_end } else { 0 }
    }

    #[inline(always)]
    fn needs(&self, len: usize) -> Result<u64> {
        if len > self.longest() {
            return Err(ErrorKind::TooLarge.into());
        }
        let units = units_of(len);
        Ok(self.pad_before(units) + units)
    }

    /// Whether there is room for a message of `len` bytes.
    ///
    /// # Errors
    /// `TooLarge`, `Corrupt`.
    #[inline]
    pub fn has_room(&mut self, len: usize) -> Result<bool> {
        let needs = self.needs(len)?;
        self.seat.has_room(needs)
    }

    /// Waits for it.
    ///
    /// # Errors
    /// `TooLarge`, `Closed`, `TimedOut`, `Corrupt`.
    #[cold]
    pub fn wait_for_room(&mut self, me: &Member, len: usize, deadline: Option<Deadline>) -> Result<()> {
        let needs = self.needs(len)?;
        self.seat.wait_for_room(me, needs, deadline)
    }

    /// The place of the next message, of `len` bytes for which there [is room](Self::has_room). Nobody else reads or writes
    /// there until [`commit`](Self::commit); without a commit nothing has happened.
    #[inline(always)]
    pub fn space(&mut self, len: usize) -> NonNull<u8> {
        self.pad = self.pad_before(units_of(len));
        self.reserved = len;
        let header = if self.pad == 0 { self.seat.index() } else { 0 };
        // The message begins one unit behind its header. SAFETY: in bounds, as header and message lie below the end.
        unsafe { self.lane().bytes(header).add(UNIT) }
    }

    /// Sends the first `len` bytes of the space that was given out.
    ///
    /// # Errors
    /// `Closed`: it was not sent.
    #[inline(always)]
    pub fn commit(&mut self, len: usize) -> Result<()> {
        let len = len.min(core::mem::take(&mut self.reserved));
        let pad = core::mem::take(&mut self.pad);
        let mut at = self.seat.index();
        if pad != 0 {
            self.header(at, PAD);
            at = 0;
        }
        self.header(at, MESSAGE | (len as u64) << 32);
        self.seat.advance(pad + units_of(len))
    }

    #[inline(always)]
    fn header(&self, index: u64, word: u64) {
        self.lane().fill(index, |p| {
            // SAFETY: a unit of eight aligned bytes that our seat gives us.
            unsafe { p.cast::<u64>().write(word) }
        });
    }
}

/// The consumer of a byte lane.
#[derive(Debug)]
pub struct RawByteConsumer {
    seat: RawConsumer,
    /// The units of the message that was found last.
    current: u64,
}

/// A message in its place.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Its bytes.
    pub bytes: NonNull<u8>,
    /// How many.
    pub len: usize,
}

impl RawByteConsumer {
    /// The consumer that sits in `seat`, of a lane of [`UNIT`]s.
    ///
    /// # Errors
    /// `Corrupt` if the lane's longest message does not fit in it.
    pub fn new(seat: RawConsumer) -> Result<Self> {
        check(seat.lane())?;
        Ok(RawByteConsumer { seat, current: 0 })
    }

    /// Its seat.
    #[inline(always)]
    pub fn seat(&mut self) -> &mut RawConsumer {
        &mut self.seat
    }

    /// The lane.
    #[inline(always)]
    pub fn lane(&self) -> &Lane {
        self.seat.lane()
    }

    /// The longest message, in bytes.
    pub fn longest(&self) -> usize {
        self.seat.lane().limit() as usize
    }

    /// The next message, if there is one. Nobody writes there until it is [released](Self::release).
    ///
    /// # Errors
    /// `Corrupt` for a header that cannot be.
    #[inline]
    pub fn next(&mut self) -> Result<Option<Found>> {
        // At most a pad and what is behind it.
        for _ in 0..2 {
            if !self.seat.has(1)? {
                return Ok(None);
            }
            let index = self.seat.index();
            // SAFETY: a unit of eight aligned bytes that our seat gives us; volatile, as a peer may break the rules.
            let word = self.lane().drain(index, |p| unsafe { p.cast::<u64>().read_volatile() });
            let to_end = self.lane().capacity() - index;
            if word == PAD {
                if to_end > self.seat.known() {
                    return Err(ErrorKind::Corrupt.into());
                }
                self.seat.advance(to_end);
                continue;
            }
            let len = (word >> 32) as usize;
            let units = units_of(len);
            if word as u32 as u64 != MESSAGE
                || len > self.longest()
                || units > to_end
                || units > self.seat.known()
            {
                return Err(ErrorKind::Corrupt.into());
            }
            self.current = units;
            // SAFETY: in bounds, as the message ends below the end.
            return Ok(Some(Found { bytes: unsafe { self.lane().bytes(index).add(UNIT) }, len }));
        }
        Ok(None)
    }

    /// Waits until something was published: then look for the [next](Self::next) one.
    ///
    /// # Errors
    /// `Closed` when closed and drained, `TimedOut`, `Corrupt`.
    #[cold]
    pub fn wait(&mut self, me: &Member, deadline: Option<Deadline>) -> Result<()> {
        self.seat.wait_for(me, 1, deadline)
    }

    /// Whether the next message may have been read before, by a consumer that died.
    #[inline]
    pub fn is_redelivered(&self) -> bool {
        self.seat.is_redelivered()
    }

    /// Ends the message that was found last: its place may be written to.
    #[inline(always)]
    pub fn release(&mut self) {
        self.seat.advance(core::mem::take(&mut self.current));
    }
}

fn check(lane: &Lane) -> Result<()> {
    let longest = usize::try_from(lane.limit()).unwrap_or(usize::MAX);
    let fits =
        lane.unit() == UNIT && units_for(0, longest).is_some_and(|least| least as u64 <= lane.capacity());
    if fits { Ok(()) } else { Err(ErrorKind::Corrupt.into()) }
}
