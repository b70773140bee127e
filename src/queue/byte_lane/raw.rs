//! Messages of any length in a lane: the framing. The holders of the lane's seats need no further synchronisation.
//!
//! A unit is eight bytes. A message is one unit of header, `length:32 | kind:32`, and its bytes in the units behind it. It is
//! contiguous: if it would cross the end of the ring, a *pad* fills the rest and the message begins at the ring's start. Pad and
//! message are published as one. A message takes at most half the ring, so that both always fit. A pad is shorter than the
//! message behind it, so there is never one at the ring's start, nor one without a message.
//!
//! | position | what is there |
//! |---|---|
//! | `head`, `tail` | the start of a record: both move by whole records, so whoever takes over a seat stands on one |
//! | behind `tail` | what was reserved: the producer's alone; a death leaves it unpublished |
//! | from `head` on | what is read in place, released or not, until it is freed |
//!
//! | window | who dies | what the others see | lost |
//! |---|---|---|---|
//! | BL-a | a producer, reserved, perhaps written, not committed | nothing: the next producer begins there | that message |
//! | BL-b | a producer, pad and header written, not published | the same | the same, and what was not published before |
//! | BL-c | a consumer, a message found or being read, not released | the message; for the next consumer it is flagged redelivered | nothing |
//!
//! What comes before and after are the lane's windows.
//!
//! A consumer that dies has read nothing that begins behind `head` plus its step, as it frees as soon as it has passed that
//! much. So the lane's flag works for messages of any length.
//!
//! **Hostile bytes.** A header is copied, checked against what is published, and only then used. Where we write follows from our
//! own count and the geometry that was checked at attach, whatever `head` says. A peer may scribble on the bytes of a message
//! while they are read: copy the message first if you do not trust it.
//!
//! **Pieces.** In a lane that [hangs up](Lane::hanging_up), a pipe's, a longer message comes as several records: a *first* one, whose first
//! eight bytes are the message's length, and *more*. Each is published like a message. For a reader of whole messages the next one is then
//! too large; [`next_piece`](RawByteConsumer::next_piece) reads them. Put together they are in `src/pipe/pieces.rs`. A message that comes with a
//! descriptor is a record of a kind of its own, too (`src/pipe/descriptors.rs`).
//!
//! Rejected: a length word beside the ring (a second cache line for each message); messages that wrap around the end (no slice);
//! a commit word in each header (the seat serialises, and `tail` is the commit).
#![allow(unsafe_code)]

use crate::error::{Error, ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::queue::{Lane, RawConsumer, RawProducer};
use crate::time::Deadline;
use core::ptr::NonNull;

/// Bytes of a unit.
pub const UNIT: usize = 8;
/// Kind in a header: a message.
const MESSAGE: u64 = 1;
/// Kind in a header: the unused rest at the ring's end.
const PAD: u64 = 2;
/// A record that is not a whole message alone. Its kind in the header is the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Of a message, the first piece. It begins with the message's length.
    First = 3,
    /// A later one.
    More = 4,
    /// A message with a descriptor. It begins with that one's number.
    Accompanied = 5,
    /// Any record of which some bytes were read as a stream. Its consumer has made this of it, and knows how many.
    Begun = 6,
}

/// Bytes of the number with which a record begins that is not [`Piece::More`].
pub(crate) const LENGTH: usize = 8;

/// The units of a message with its header.
pub(crate) const fn units_of(len: usize) -> u64 {
    1 + len.div_ceil(UNIT) as u64
}

/// The units of a ring of at least `bytes` bytes for messages of at most `longest` bytes; `None` if that is impossible.
///
/// # Examples
/// ```
/// use interproc::raw::queue::byte_lane::{UNIT, units_for};
///
/// assert_eq!(units_for(1 << 12, 100), Some((1 << 12) / UNIT));
/// assert_eq!(units_for(0, 100), Some(2 * (1 + 13))); // two of the longest messages, with their headers
/// assert_eq!(units_for(0, 1 << 32), None);
/// ```
pub const fn units_for(bytes: usize, longest: usize) -> Option<usize> {
    if longest > u32::MAX as usize {
        return None;
    }
    let (units, twice) = (bytes.div_ceil(UNIT), units_of(longest) as usize * 2);
    Some(if units < twice { twice } else { units })
}

/// The producer of a byte lane.
///
/// # Examples
/// ```
/// use interproc::raw::member::{Domain, Table};
/// use interproc::raw::queue::byte_lane::{RawByteConsumer, RawByteProducer, UNIT, units_for};
/// use interproc::raw::queue::{Lane, RawConsumer, RawProducer};
/// # use core::ptr::{NonNull, null_mut};
/// # const PAGE: usize = 4096;
/// # let fd = unsafe { libc::memfd_create(c"raw".as_ptr(), libc::MFD_CLOEXEC) };
/// # assert_eq!(unsafe { libc::ftruncate(fd, 8 * PAGE as i64) }, 0);
/// # let access = libc::PROT_READ | libc::PROT_WRITE;
/// # let base = unsafe { libc::mmap(null_mut(), 8 * PAGE, access, libc::MAP_SHARED, fd, 0) };
/// # assert_ne!(base, libc::MAP_FAILED);
/// # let base = NonNull::new(base.cast::<u8>()).expect("mapped");
///
/// // A file of 8 zeroed pages is mapped at `base`: a header, two members, then the lane's memory.
/// // SAFETY: the file and its mapping stay to the end, and nobody else has them.
/// let (domain, lane) = unsafe {
///     let memory = base.add(3 * PAGE);
///     let units = units_for(1 << 12, 100).expect("possible");
///     Lane::make(memory, 5 * PAGE, UNIT, units, 100)?; // by one process
///     let lane = Lane::attach(memory, 5 * PAGE)?; // by all
///     (Domain::new(Table::new(base, PAGE, PAGE, 2), fd)?, lane)
/// };
/// // SAFETY: the thread registers once, and gives its membership back before the domain ends.
/// let me = unsafe { domain.register(None) }?;
/// let mut producer = RawByteProducer::new(RawProducer::take(lane, &me)?)?;
/// let mut consumer = RawByteConsumer::new(RawConsumer::take(lane, &me)?)?;
/// if producer.has_room(5)? {
///     // SAFETY: 5 bytes were asked for.
///     unsafe { producer.space(5).copy_from(NonNull::from(b"hello").cast(), 5) };
///     producer.commit(5)?;
/// }
/// let found = consumer.next()?.expect("a message");
/// // SAFETY: it lies there until the release.
/// assert_eq!(unsafe { core::slice::from_raw_parts(found.bytes.as_ptr(), found.len) }, b"hello");
/// consumer.release();
/// // SAFETY: it is not used afterwards.
/// unsafe { domain.unregister(&me) };
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Debug)]
pub struct RawByteProducer {
    pub(super) seat: RawProducer,
    /// What [`RawByteProducer::space`] reserved: units of pad before the message, and the message's maximum length.
    pad: u64,
    reserved: Option<usize>,
}

impl RawByteProducer {
    /// The producer with this seat, of a lane of [`UNIT`]s.
    ///
    /// # Errors
    /// `Corrupt` if the lane has no room for its longest message.
    pub fn new(seat: RawProducer) -> Result<Self> {
        check(seat.lane())?;
        Ok(RawByteProducer { seat, pad: 0, reserved: None })
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

    /// The holder of the seat according to this handle.
    #[inline(always)]
    pub fn holder(&self) -> OwnerId {
        self.seat.holder()
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

    /// As [`has_room`](Self::has_room) for a producer that has found none: publishes what was written, and reports a close.
    ///
    /// # Errors
    /// `TooLarge`, `Closed`, `Corrupt`.
    #[cold]
    pub fn look_for_room(&mut self, me: &Member, len: usize) -> Result<bool> {
        let needs = self.needs(len)?;
        self.seat.flush()?;
        self.seat.look_for(me, needs)
    }

    /// Reserves the place of the next message of `len` bytes, for which there [is room](Self::has_room). Nobody else reads or
    /// writes there until [`commit`](Self::commit); without a commit nothing has happened.
    #[inline(always)]
    pub fn space(&mut self, len: usize) -> NonNull<u8> {
        debug_assert!(self.needs(len).is_ok_and(|needs| needs <= self.seat.known_room()));
        self.pad = self.pad_before(units_of(len));
        self.reserved = Some(len);
        let header = if self.pad == 0 { self.seat.index() } else { 0 };
        crate::crash_window!("BL-a: reserved, not committed");
        // The message begins one unit behind its header. SAFETY: in bounds, as header and message lie below the end.
        unsafe { self.lane().bytes(header).add(UNIT) }
    }

    /// Pushes the first `len` bytes of the reserved space.
    ///
    /// # Errors
    /// `Closed`: it was not pushed, nor was what had not been published before. `InvalidInput` if nothing is reserved.
    /// `TooLarge` for more than was reserved: the reservation stays.
    #[inline(always)]
    pub fn commit(&mut self, len: usize) -> Result<()> {
        self.commit_as(len, MESSAGE)
    }

    /// As [`commit`](Self::commit), for another record than a message.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn commit_piece(&mut self, len: usize, piece: Piece) -> Result<()> {
        self.commit_as(len, piece as u64)
    }

    #[inline(always)]
    fn commit_as(&mut self, len: usize, kind: u64) -> Result<()> {
        match self.reserved {
            None => return Err(ErrorKind::InvalidInput.into()),
            Some(most) if len > most => return Err(ErrorKind::TooLarge.into()),
            Some(_) => self.reserved = None,
        }
        let pad = self.pad;
        let mut at = self.seat.index();
        if pad != 0 {
            self.header(at, PAD);
            at = 0;
            if crate::mutant!("byte-lane-pad-alone") {
                self.seat.advance(pad)?;
                self.header(at, kind | (len as u64) << 32);
                return self.seat.advance(units_of(len));
            }
        }
        self.header(at, kind | (len as u64) << 32);
        crate::crash_window!("BL-b: headers written, not published");
        self.seat.advance(pad + units_of(len))
    }

    /// Whether something was reserved and is neither committed nor aborted.
    #[inline]
    pub fn is_reserved(&self) -> bool {
        self.reserved.is_some()
    }

    /// Gives the reserved space back: nothing has happened.
    pub fn abort(&mut self) {
        self.reserved = None;
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
///
/// # Examples
/// See [`RawByteProducer`].
#[derive(Debug)]
pub struct RawByteConsumer {
    pub(super) seat: RawConsumer,
    /// The units of the message that was found last.
    current: u64,
}

/// A message in the ring.
///
/// # Examples
/// See [`RawByteProducer`].
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Its bytes.
    pub bytes: NonNull<u8>,
    /// How many.
    pub len: usize,
}

impl RawByteConsumer {
    /// The consumer with this seat, of a lane of [`UNIT`]s.
    ///
    /// # Errors
    /// `Corrupt` if the lane has no room for its longest message.
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

    /// The holder of the seat according to this handle.
    #[inline(always)]
    pub fn holder(&self) -> OwnerId {
        self.seat.holder()
    }

    /// The longest message, in bytes.
    pub fn longest(&self) -> usize {
        self.seat.lane().limit() as usize
    }

    /// The next message, if there is one. Nobody writes there until it is [released](Self::release).
    ///
    /// # Errors
    /// `Corrupt` for an impossible header. `TooLarge`: the next message came in pieces, as a pipe's may.
    #[inline(always)]
    #[allow(clippy::should_implement_trait, reason = "it is not taken until it is released")]
    pub fn next(&mut self) -> Result<Option<Found>> {
        loop {
            if !self.seat.has(1)? {
                return Ok(None);
            }
            let index = self.seat.index();
            // SAFETY: a unit of eight aligned bytes that our seat gives us; volatile, as a peer may break the rules.
            let word = self.lane().drain(index, |p| unsafe { p.cast::<u64>().read_volatile() });
            let to_end = self.lane().capacity() - index;
            if word == PAD {
                // Published together with the message behind it. So there is at most one.
                if index == 0 || to_end >= self.seat.known() {
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
                return Err(self.not_whole(word));
            }
            self.current = units;
            if crate::mutant!("byte-lane-freed-early") {
                self.release();
            }
            crate::crash_window!("BL-c: found, not released");
            // SAFETY: in bounds, as the message ends below the end.
            return Ok(Some(Found { bytes: unsafe { self.lane().bytes(index).add(UNIT) }, len }));
        }
    }

    /// Why what begins with this header is no message.
    #[cold]
    fn not_whole(&self, word: u64) -> Error {
        match self.piece(word) {
            Some(_) => ErrorKind::TooLarge.into(),
            None => ErrorKind::Corrupt.into(),
        }
    }

    /// The length of the piece with this header.
    fn piece(&self, word: u64) -> Option<(usize, Piece)> {
        let (len, kind) = ((word >> 32) as usize, word as u32);
        let pieces = [Piece::First, Piece::More, Piece::Accompanied, Piece::Begun];
        let piece = pieces.into_iter().find(|&p| p as u32 == kind)?;
        let units = units_of(len);
        let fits = len <= self.longest()
            && units <= self.lane().capacity() - self.seat.index()
            && units <= self.seat.known()
            && (len >= LENGTH || matches!(piece, Piece::More | Piece::Begun));
        (fits && self.lane().hangs_up()).then_some((len, piece))
    }

    /// The next record that is a piece, after [`next`](Self::next) has found that there is one. It stays
    /// until it is [released](Self::release).
    ///
    /// # Errors
    /// `Corrupt` for an impossible header.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn next_piece(&mut self) -> Result<(Found, Piece)> {
        let index = self.seat.index();
        // SAFETY: as in `next`.
        let word = self.lane().drain(index, |p| unsafe { p.cast::<u64>().read_volatile() });
        let (len, piece) = self.piece(word).ok_or(ErrorKind::Corrupt)?;
        self.current = units_of(len);
        // SAFETY: in bounds, as the piece ends below the end.
        Ok((Found { bytes: unsafe { self.lane().bytes(index).add(UNIT) }, len }, piece))
    }

    /// Leaves the record that was found last for a consumer that knows that some of its bytes were read: it is [`Piece::Begun`].
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn leave_begun(&mut self, len: usize) {
        self.current = 0;
        self.lane().fill(self.seat.index(), |p| {
            // SAFETY: a unit of eight aligned bytes of a record that is ours by the seat until it is released.
            unsafe { p.cast::<u64>().write_volatile(Piece::Begun as u64 | (len as u64) << 32) }
        });
    }

    /// Where the next record begins, or what fills the ring's end before it.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn position(&self) -> u64 {
        self.seat.position()
    }

    /// Whether the next record, if there is one, is the next one behind `position`: at the ring's end a pad may lie between.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn follows(&self, position: u64) -> bool {
        let (capacity, here) = (self.lane().capacity(), self.seat.position());
        here == position || self.seat.index() == 0 && here.wrapping_sub(position) < capacity
    }

    /// Whether there is a message, for a consumer that has found none: frees what was read, and reports the end.
    ///
    /// # Errors
    /// `Closed` when closed and drained; `Corrupt`.
    #[cold]
    pub fn look(&mut self, me: &Member) -> Result<bool> {
        self.seat.flush();
        self.seat.look_for(me, 1)
    }

    /// Waits until something is published. Then look for the [next](Self::next) message.
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
        self.seat.is_redelivered() && !crate::mutant!("byte-lane-redelivery-untold")
    }

    /// Leaves the message that was found last: it is the next one again, not flagged.
    pub fn put_back(&mut self) {
        self.current = 0;
    }

    /// Leaves the message that was found last as a dead consumer would: it is the next one again, flagged.
    #[cold]
    pub fn give_up(&mut self) {
        self.seat.suspect(core::mem::take(&mut self.current));
    }

    /// Whether a message was found and is not ended yet.
    #[inline]
    pub fn is_borrowed(&self) -> bool {
        self.current != 0
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
