//! Messages that are longer than a pipe's [`longest`](super::Sender::longest): they come in pieces.
//!
//! A piece is published as a message is, under a kind of its own (see `src/queue/byte_lane/raw.rs`); the first one begins with the length
//! of the whole. Only one sender sends, so nothing comes between the pieces of a message. The receiver takes each out of the ring as it comes, so
//! there is room for the next, and keeps them until it has all.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | P-e | a sender between two pieces | a message without its end, a dead peer | the receiver, by its slot, at once: [`CutShort`](ErrorKind::CutShort), then `Closed` | that message |
//! | P-f | a receiver that has some of the pieces | a dead peer | the sender, at its next piece: `Closed` | that message |
//!
//! What a receiver has of a message is kept with it (`Receiver::pieces`): a call whose time is over goes on there next time, a
//! [`Reader`](super::Reader) goes on after a call that copies, and such a call after a reader. A record of which a reader has read some bytes is
//! marked in the ring, so that nothing need be asked where messages are whole.
//!
//! A sender that gives up between two pieces, as its time is over, does nothing more: whatever it sends next is a message or a
//! first piece, and so tells the receiver to drop what it has.
//!
//! **Hostile bytes.** The length in the first piece is believed only as far as bytes come: memory grows with them. A piece has at least one byte,
//! and a call with a time limit looks at it after each piece; one that does not wait takes at most what a ring holds.
//!
//! A message in pieces costs one copy more than one that fits: out of the ring, and, for a caller's buffer, once more. Rejected: to copy
//! into the buffer at once (a call that ends early would have to give back what it put there).
#![allow(unsafe_code)]

#[cfg(feature = "tokio")]
use super::end::End;
use super::receiver::Receiver;
use super::sender::{Sender, refusal};
use crate::error::{Error, ErrorKind, Result, format};
use crate::fallible;
use crate::queue::byte_lane::{Found, LENGTH, Piece, RecvError, UNIT};
use crate::queue::push_error::with_lengths;
use crate::sys::socket::Received;
use crate::time::Wait;
use core::ptr::NonNull;
use std::vec::Vec;

/// A message that is not whole yet, or was read in part: see [`Receiver::pieces`].
pub(super) struct Pieces {
    /// How much of it is still to be delivered, if its sender is right.
    pub(super) len: usize,
    /// What was taken of that.
    pub(super) bytes: Vec<u8>,
    /// Where the next record begins, unless another message has come since. None before the first piece is taken.
    pub(super) position: Option<u64>,
    /// How many bytes of the next record, which is [begun](Piece::Begun), were delivered.
    pub(super) begun: usize,
}

impl Pieces {
    pub(super) fn new(len: usize) -> Pieces {
        Pieces { len, bytes: Vec::new(), position: None, begun: 0 }
    }
}

/// Pipes for shorter messages than that send no pieces: the first one has the length, and something of the message.
const SHORTEST: usize = 2 * LENGTH;

/// How many bytes a piece has at most. So many that there are a few in the ring, and one end writes while the other reads.
fn longest_piece(longest: usize, capacity: usize) -> usize {
    longest.min((capacity / 4).saturating_sub(UNIT)).max(SHORTEST)
}

impl Sender {
    /// Sends a message of `len` bytes, which are more than go as a whole, waiting for each piece's room.
    ///
    /// # Errors
    /// `TooLarge` where the message would have to go at once, or no piece holds a length.
    #[cold]
    #[inline(never)]
    pub(super) fn send_in_pieces<'p>(
        &mut self,
        len: usize,
        parts: impl Iterator<Item = &'p [u8]>,
        wait: Wait,
    ) -> Result<()> {
        if wait == Wait::Never || self.longest() < SHORTEST {
            self.endpoint.me_and_peer(refusal)?;
            return Err(with_lengths(ErrorKind::TooLarge.into(), len, self.longest()));
        }
        let mut rest = Rest { part: &[], parts };
        let mut sent = 0;
        while sent < len {
            self.send_piece(&mut rest, &mut sent, len, wait)?;
        }
        Ok(())
    }

    /// Goes on with a message of any length of which so many bytes were `sent`, as far as there is room now.
    ///
    /// # Errors
    /// `Full`: there is more to be sent. As [`send`](Self::send).
    #[cfg(feature = "tokio")]
    pub(crate) fn try_send_on(&mut self, message: &[u8], sent: &mut usize) -> Result<()> {
        if message.len() <= self.longest() || self.longest() < SHORTEST {
            return self.try_send(message);
        }
        let mut rest = Rest { part: &message[*sent..], parts: core::iter::empty() };
        while *sent < message.len() {
            self.send_piece(&mut rest, sent, message.len(), Wait::Never)?;
        }
        Ok(())
    }

    /// Sends the next piece of a message of `len` bytes.
    fn send_piece<'p>(
        &mut self,
        rest: &mut Rest<'p, impl Iterator<Item = &'p [u8]>>,
        sent: &mut usize,
        len: usize,
        wait: Wait,
    ) -> Result<()> {
        let (piece, head) = if *sent == 0 { (Piece::First, LENGTH) } else { (Piece::More, 0) };
        let bytes = (longest_piece(self.longest(), self.capacity()) - head).min(len - *sent);
        let given_up = |error: Error| match *sent {
            0 => error,
            _ => error.with_detail(format_args!("{sent} of {len} bytes were sent, and the message given up")),
        };
        let me = self.endpoint.me_and_peer(refusal).map_err(given_up)?;
        let place = self.endpoint.seat.reserve_as(me, head + bytes, wait).map_err(given_up)?;
        // SAFETY: as many bytes are reserved, and only we write there.
        unsafe {
            if head > 0 {
                place.cast::<[u8; LENGTH]>().write((len as u64).to_le_bytes());
            }
            rest.copy(place.add(head), bytes);
        }
        self.endpoint.seat.raw.commit_piece(head + bytes, piece).map_err(given_up)?;
        *sent += bytes;
        if *sent < len {
            crate::crash_window!("P-e: a piece is sent, and not the last one");
        }
        Ok(())
    }
}

/// What is left of a message's parts.
struct Rest<'p, I> {
    part: &'p [u8],
    parts: I,
}

impl<'p, I: Iterator<Item = &'p [u8]>> Rest<'p, I> {
    /// Copies the next `len` bytes, of which there are as many.
    ///
    /// # Safety
    /// `to` is writable for `len` bytes.
    unsafe fn copy(&mut self, mut to: NonNull<u8>, mut len: usize) {
        while len > 0 {
            if self.part.is_empty() {
                let Some(next) = self.parts.next() else { return };
                self.part = next;
                continue;
            }
            let (now, later) = self.part.split_at(len.min(self.part.len()));
            // SAFETY: no more than `len` bytes in all.
            unsafe {
                to.copy_from_nonoverlapping(NonNull::from(now).cast(), now.len());
                to = to.add(now.len());
            }
            (self.part, len) = (later, len - now.len());
        }
    }
}

/// How long a call goes on taking pieces.
struct Patience {
    wait: Wait,
    /// Bytes that one that does not wait still takes.
    most: usize,
}

impl Patience {
    fn took(&mut self, bytes: usize) -> Result<()> {
        self.most = self.most.saturating_sub(bytes);
        match self.wait {
            Wait::Never if self.most == 0 => Err(ErrorKind::Empty.into()),
            Wait::Until(deadline) if deadline.has_passed() => Err(ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "tokio")]
impl End {
    /// As [`Sender::try_send_on`].
    ///
    /// # Errors
    /// As [`Sender::try_send_on`].
    pub(crate) fn try_send_on(&mut self, message: &[u8], sent: &mut usize) -> Result<()> {
        self.halves().0.try_send_on(message, sent)
    }
}

impl Receiver {
    /// No whole message was found: `why`. If that is because the next one comes in pieces, or not alone, how long it is.
    ///
    /// # Errors
    /// Why not; `CutShort` where a message will not get its end.
    #[cold]
    fn coming(&mut self, mut why: Error, wait: Wait) -> Result<Coming> {
        loop {
            if why.kind() != ErrorKind::TooLarge {
                return Err(self.end(why));
            }
            let (found, piece) = self.endpoint.seat.raw.next_piece()?;
            self.settle(piece);
            let goes_on = self.is_in_the_middle();
            match (&self.pieces, piece) {
                (_, Piece::Accompanied) => {
                    self.endpoint.seat.raw.put_back();
                    return Ok(Coming::Accompanied(found.len - LENGTH));
                }
                (_, Piece::First) => {
                    let len =
                        usize::try_from(number_of(found)).ok().filter(|&len| len <= isize::MAX as usize);
                    self.endpoint.seat.raw.put_back();
                    let len = len.ok_or(ErrorKind::Corrupt)?;
                    self.pieces = Some(fallible::boxed(Pieces::new(len))?);
                    return Ok(Coming::Pieces(len));
                }
                (Some(pieces), Piece::More | Piece::Begun) if goes_on => {
                    self.endpoint.seat.raw.put_back();
                    return Ok(Coming::Pieces(pieces.len));
                }
                // Of a message that was skipped, or whose beginning was dropped with a reader.
                _ => self.endpoint.seat.raw.release(),
            }
            match self.find_slowly(wait) {
                Ok((found, redelivered)) => return Ok(Coming::Whole(found, redelivered)),
                Err(error) => why = error,
            }
        }
    }

    /// Takes the next piece of the message that is [coming](Self::coming). Whether it was the last one.
    ///
    /// # Errors
    /// `TimedOut`, `Empty` after it was taken: the call has taken enough.
    fn take_piece(&mut self, patience: &mut Patience) -> Result<bool> {
        let (Found { bytes, len }, piece) = self.endpoint.seat.raw.next_piece()?;
        let pieces = self.pieces.as_mut().ok_or(ErrorKind::Corrupt)?;
        let skip = match piece {
            Piece::First => LENGTH,
            Piece::More => 0,
            Piece::Begun => pieces.begun.min(len),
            Piece::Accompanied => return Err(ErrorKind::Corrupt.into()), // it has changed under our eyes
        };
        let (new, at) = (len - skip, pieces.bytes.len());
        if new > pieces.len - at || new == 0 && piece == Piece::More {
            return Err(ErrorKind::Corrupt.into());
        }
        // It is not released yet: without memory it stays. (Twice what has come: the length is the sender's word.)
        if pieces.bytes.capacity() - at < new {
            let more = (pieces.len - at).min(new.max(at));
            pieces.bytes.try_reserve_exact(more).map_err(|_| Error::no_memory())?;
        }
        // SAFETY: the piece lies in the ring, which is ours by the seat, and there is room for it behind what has come.
        unsafe {
            let from = bytes.as_ptr().add(skip);
            from.copy_to_nonoverlapping(pieces.bytes.as_mut_ptr().add(at), new);
            pieces.bytes.set_len(at + new);
        }
        let over = pieces.bytes.len() == pieces.len;
        crate::crash_window!("P-f: some pieces of a message are taken");
        self.endpoint.seat.raw.release();
        (pieces.position, pieces.begun) = (Some(self.endpoint.seat.raw.position()), 0);
        if !over {
            patience.took(len)?;
        }
        Ok(over)
    }

    /// As [`find`](Self::find), not as a part of the caller.
    #[cold]
    #[inline(never)]
    pub(super) fn find_slowly(&mut self, wait: Wait) -> Result<(Found, bool)> {
        self.find(wait)
    }

    /// Whether a message was taken or read in part, and the next record goes on with it.
    pub(super) fn is_in_the_middle(&self) -> bool {
        let position = self.pieces.as_ref().and_then(|pieces| pieces.position);
        position == Some(self.endpoint.seat.raw.position())
    }

    /// The next record was looked at, so what fills the ring's end before it was passed: a message that it goes on with goes on here.
    fn settle(&mut self, next: Piece) {
        let raw = &self.endpoint.seat.raw;
        if let (Piece::More | Piece::Begun, Some(pieces)) = (next, &mut self.pieces)
            && pieces.position.is_some_and(|position| raw.follows(position))
        {
            pieces.position = Some(raw.position());
        }
    }

    /// The next record is a piece, and stays.
    pub(super) fn has_seen_piece(&mut self) {
        if let Ok((_, piece)) = self.endpoint.seat.raw.next_piece() {
            self.endpoint.seat.raw.put_back();
            self.settle(piece);
        }
    }

    /// `why` nothing comes: in the middle of a message, its end is missing. Told once.
    pub(super) fn end(&mut self, why: Error) -> Error {
        if why.kind() != ErrorKind::Closed || !self.is_in_the_middle() || crate::mutant!("pipe-cut-untold") {
            return why;
        }
        let come = self.pieces.take().map_or((0, 0), |pieces| (pieces.bytes.len(), pieces.len));
        Error::from(ErrorKind::CutShort).with_detail(format!("{} of {} bytes had come", come.0, come.1))
    }

    /// A reader ends that has read `at` bytes of the next record of `len` bytes, if it is `begun`, and misses so many of its message.
    pub(super) fn leaves_reader(&mut self, at: usize, len: usize, begun: bool, missing: usize) {
        self.pieces = None;
        // In another thread it is moved here first; where that fails, so does everything after it.
        if missing == 0 || self.endpoint.me().is_err() {
            return;
        }
        let Ok(mut pieces) = fallible::boxed(Pieces::new(missing)) else { return };
        pieces.position = Some(self.endpoint.seat.raw.position());
        if begun && len > 0 {
            self.endpoint.seat.raw.leave_begun(len);
            pieces.begun = at;
        }
        self.pieces = Some(pieces);
    }

    /// Why nothing can be read in place.
    #[cold]
    pub(super) fn nothing_whole(&mut self, why: Error) -> Error {
        match why.kind() {
            ErrorKind::TooLarge => {
                self.has_seen_piece();
                why.with_detail(
                    "it comes in pieces, or with a descriptor: receive it by a call that copies it out",
                )
            }
            _ => self.end(why),
        }
    }

    /// No whole message was found: `why`. Waits for the next one, however it comes. `size`: one that is longer stays.
    ///
    /// # Errors
    /// As [`coming`](Self::coming).
    #[cold]
    pub(super) fn come(&mut self, mut why: Error, size: Option<usize>, wait: Wait) -> Result<Come> {
        let mut patience = Patience { wait, most: self.capacity() };
        loop {
            let coming = self.coming(why, wait)?;
            match (coming, size) {
                (Coming::Whole(found, redelivered), _) => return Ok(Come::Whole(found, redelivered)),
                (Coming::Accompanied(len) | Coming::Pieces(len), Some(size)) if len > size => {
                    return Ok(Come::TooLong(len));
                }
                (Coming::Accompanied(_), _) => {
                    let (bytes, fd) = self.take_accompanied()?;
                    return Ok(Come::Bytes(bytes, fd));
                }
                (Coming::Pieces(_), _) => {}
            }
            if self.take_piece(&mut patience)? {
                let bytes = self.pieces.take().map(|pieces| pieces.bytes).unwrap_or_default();
                return Ok(Come::Bytes(bytes, None));
            }
            match self.find_slowly(wait) {
                Ok((found, redelivered)) => return Ok(Come::Whole(found, redelivered)),
                Err(error) => why = error,
            }
        }
    }

    /// Skips the next message, if there is one now, of any length, however it comes. Whether there was one. It may be one that is not
    /// whole yet.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    ///
    /// # Examples
    /// ```
    /// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 1000)?;
    /// to.send(&[7; 500])?;
    /// to.send(b"short")?;
    /// let mut buffer = [0; 100];
    /// assert_eq!(from.recv_into(&mut buffer).unwrap_err().needed(), Some(500));
    /// assert!(from.skip()?);
    /// assert_eq!(from.recv_into(&mut buffer)?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn skip(&mut self) -> Result<bool> {
        let why = match self.find_slowly(Wait::Never) {
            Ok(_) => return self.release().map(|()| true),
            Err(why) => why,
        };
        // Records of one that was skipped before are passed by. Those of this one will be, by whatever comes next.
        match self.coming(why, Wait::Never) {
            Ok(Coming::Accompanied(_)) => {
                let (found, _) = self.endpoint.seat.raw.next_piece()?;
                self.drop_descriptor(number_of(found));
                self.release()?;
            }
            Ok(_) => {
                self.endpoint
                    .seat
                    .raw
                    .next_piece()
                    .map(drop)
                    .or_else(|_| self.find_slowly(Wait::Never).map(drop))?;
                self.release()?;
                self.pieces = None;
            }
            Err(error) if error.kind() == ErrorKind::Empty => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Receives a message of at most `most` bytes, waiting for it as long as it takes: for senders that are not trusted with this process's
    /// memory. A longer one stays: [`skip`](Self::skip) passes it by.
    ///
    /// # Errors
    /// As [`recv_into`](Self::recv_into).
    ///
    /// # Examples
    /// ```
    /// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 1000)?;
    /// to.send(&[7; 500])?;
    /// assert_eq!(from.recv_at_most(100).unwrap_err().needed(), Some(500));
    /// assert_eq!(from.recv_at_most(500)?.len(), 500);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_at_most(&mut self, most: usize) -> core::result::Result<Vec<u8>, RecvError> {
        let come = match self.find_slowly(Wait::ForEver) {
            Ok((found, redelivered)) => Come::Whole(found, redelivered),
            Err(why) => self.come(why, Some(most), Wait::ForEver)?,
        };
        match come {
            Come::Whole(found, _) if found.len <= most => Ok(self.copied(found)?),
            Come::Whole(Found { len, .. }, _) | Come::TooLong(len) => Err(RecvError::too_small(len, most)),
            Come::Bytes(bytes, _) => Ok(bytes),
        }
    }

    /// No whole message was found: `why`. As `vec_by`.
    #[cold]
    pub(super) fn vec_in_pieces(&mut self, why: Error, wait: Wait) -> Result<Vec<u8>> {
        self.accompanied_in_pieces(why, wait).map(|(bytes, _)| bytes)
    }

    /// As [`vec_in_pieces`](Self::vec_in_pieces), with the descriptor.
    #[cold]
    pub(super) fn accompanied_in_pieces(
        &mut self,
        why: Error,
        wait: Wait,
    ) -> Result<(Vec<u8>, Option<Received>)> {
        match self.come(why, None, wait)? {
            Come::Whole(found, _) => Ok((self.copied(found)?, None)),
            Come::Bytes(bytes, fd) => Ok((bytes, fd)),
            Come::TooLong(_) => Err(ErrorKind::Corrupt.into()),
        }
    }

    /// As [`vec_in_pieces`](Self::vec_in_pieces), for `recv_raw`.
    ///
    /// # Safety
    /// `into` is writable for `size` bytes.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn raw_in_pieces(
        &mut self,
        why: Error,
        into: *mut u8,
        size: usize,
        wait: Wait,
    ) -> Result<(usize, bool)> {
        // SAFETY: by the contract.
        let (len, redelivered, _) = unsafe { self.accompanied_raw_in_pieces(why, into, size, wait) }?;
        Ok((len, redelivered))
    }

    /// As above, with the descriptor.
    ///
    /// # Safety
    /// As above.
    #[cold]
    pub(super) unsafe fn accompanied_raw_in_pieces(
        &mut self,
        why: Error,
        into: *mut u8,
        size: usize,
        wait: Wait,
    ) -> Result<(usize, bool, Option<Received>)> {
        match self.come(why, Some(size), wait)? {
            Come::Whole(found, redelivered) => {
                // SAFETY: by the contract.
                unsafe { self.copy_out(found, into, size) };
                Ok((found.len, redelivered, None))
            }
            Come::Bytes(bytes, fd) => {
                // Not longer than `size`: `come` has looked. Once more, as the ring's bytes may have changed meanwhile.
                let len = bytes.len().min(size);
                // SAFETY: by the contract.
                unsafe { bytes.as_ptr().copy_to_nonoverlapping(into, len) };
                Ok((len, false, fd))
            }
            Come::TooLong(len) => Ok((len, false, None)),
        }
    }
}

/// How the next message is about to come: so long.
enum Coming {
    Whole(Found, bool),
    Pieces(usize),
    Accompanied(usize),
}

/// How the next message has come.
pub(super) enum Come {
    /// It lies in the ring, as most do; and whether it may have been read before.
    Whole(Found, bool),
    /// It was taken out, with its descriptor.
    Bytes(Vec<u8>, Option<Received>),
    /// It is so long, and was not taken.
    TooLong(usize),
}

/// The number with which a record begins that has one.
pub(super) fn number_of(found: Found) -> u64 {
    debug_assert!(found.len >= LENGTH);
    // SAFETY: it has as many bytes, in the ring that is ours by the seat.
    u64::from_le_bytes(unsafe { found.bytes.cast().read_unaligned() })
}
