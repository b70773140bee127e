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
//! A sender that gives up between two pieces, as its time is over, does nothing more: whatever it sends next is a message or a
//! first piece, and so tells the receiver to drop what it has.
//!
//! **Hostile bytes.** The length in the first piece is believed only as far as bytes come: memory grows with them. A piece has at least one byte,
//! and a call with a time limit looks at it after each piece; one that does not wait takes at most what a ring holds.
//!
//! A message in pieces costs one copy more than one that fits: out of the ring, and, for a caller's buffer, once more. Rejected: to copy
//! into the buffer at once (a call that ends early would have to give back what it put there).
#![allow(unsafe_code)]

use super::receiver::Receiver;
use super::sender::{Sender, refusal};
use crate::error::{Error, ErrorKind, Result, format};
use crate::queue::byte_lane::{Found, LENGTH, Piece, UNIT};
use crate::time::Wait;
use core::ptr::NonNull;
use std::os::fd::OwnedFd;
use std::vec::Vec;

/// What has come of a message.
pub(super) struct Pieces {
    /// How long it is, if its sender is right.
    len: usize,
    bytes: Vec<u8>,
    /// Where the lane's next record begins, unless another message has come since.
    position: u64,
}

/// How many bytes a piece has at most. So many that there are a few in the ring, and one end writes while the other reads.
fn piece(longest: usize, capacity: usize) -> usize {
    longest.min((capacity / 4).saturating_sub(UNIT)).max(LENGTH)
}

impl Sender {
    /// Sends a message for which the pipe's messages are `too_short`, waiting for each piece's room.
    ///
    /// # Errors
    /// That one, where the message would have to go at once, or no piece holds a length.
    #[cold]
    pub(super) fn send_in_pieces<'p>(
        &mut self,
        too_short: Error,
        parts: impl Iterator<Item = &'p [u8]> + Clone,
        wait: Wait,
    ) -> Result<()> {
        if wait == Wait::Never || self.longest() < LENGTH {
            return Err(too_short);
        }
        let len = parts.clone().fold(0usize, |len, part| len.saturating_add(part.len()));
        let most = piece(self.longest(), self.capacity());
        let mut rest = Rest { part: &[], parts };
        let (mut sent, mut first) = (0, true);
        while sent < len {
            let head = if first { LENGTH } else { 0 };
            let bytes = (most - head).min(len - sent);
            let given_up = |error: Error| match sent {
                0 => error,
                _ => error
                    .with_detail(format_args!("{sent} of {len} bytes were sent, and the message given up")),
            };
            let me = self.endpoint.me_and_peer(refusal).map_err(given_up)?;
            let place = self.endpoint.seat.reserve_as(me, head + bytes, wait).map_err(given_up)?;
            // SAFETY: as many bytes are reserved, and only we write there.
            unsafe {
                if first {
                    place.cast::<[u8; LENGTH]>().write((len as u64).to_le_bytes());
                }
                rest.copy(place.add(head), bytes);
            }
            let piece = if first { Piece::First } else { Piece::More };
            self.endpoint.seat.raw.commit_piece(head + bytes, piece).map_err(given_up)?;
            (sent, first) = (sent + bytes, false);
            if sent < len {
                crate::crash_window!("P-e: a piece is sent, and not the last one");
            }
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

impl Receiver {
    /// No whole message was found: `why`. If that is because the next one comes in pieces, or not alone, how long it is.
    ///
    /// # Errors
    /// Why not; `CutShort` where a message will not get its end.
    #[cold]
    fn coming(&mut self, why: Error) -> Result<(usize, Piece)> {
        if why.kind() != ErrorKind::TooLarge {
            return Err(self.end(why));
        }
        let (found, piece) = self.endpoint.seat.raw.next_piece()?;
        self.endpoint.seat.raw.put_back();
        let len = match piece {
            Piece::Accompanied => found.len - LENGTH,
            Piece::More => self.pieces.as_ref().map(|pieces| pieces.len).ok_or(ErrorKind::Corrupt)?,
            Piece::First => {
                let len = usize::try_from(number_of(found)).ok().filter(|&len| len <= isize::MAX as usize);
                let len = len.ok_or(ErrorKind::Corrupt)?;
                self.pieces = Some(Pieces { len, bytes: Vec::new(), position: 0 });
                len
            }
        };
        Ok((len, piece))
    }

    /// Takes the next piece of the message that is [coming](Self::coming). Whether it was the last one.
    ///
    /// # Errors
    /// `WouldBlock` and the like after it was taken: the call has taken enough.
    fn take_piece(&mut self, patience: &mut Patience) -> Result<bool> {
        let (Found { bytes, len }, piece) = self.endpoint.seat.raw.next_piece()?;
        let pieces = self.pieces.as_mut().ok_or(ErrorKind::Corrupt)?;
        let first = piece == Piece::First;
        let skip = if first { LENGTH } else { 0 };
        let (new, at) = (len - skip, pieces.bytes.len());
        if new > pieces.len - at || new == 0 && !first || piece == Piece::Accompanied {
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
        pieces.position = self.endpoint.seat.raw.seat().position();
        if !over {
            patience.took(len)?;
        }
        Ok(over)
    }

    /// Whether pieces of a message were taken, and not all.
    pub(super) fn is_in_the_middle(&mut self) -> bool {
        let position = self.endpoint.seat.raw.seat().position();
        self.pieces.as_ref().is_some_and(|pieces| pieces.position == position)
    }

    /// `why` nothing comes: in the middle of a message, its end is missing. Told once.
    fn end(&mut self, why: Error) -> Error {
        if why.kind() != ErrorKind::Closed || !self.is_in_the_middle() || crate::mutant!("pipe-cut-untold") {
            return why;
        }
        let come = self.pieces.take().map_or((0, 0), |pieces| (pieces.bytes.len(), pieces.len));
        Error::from(ErrorKind::CutShort).with_detail(format!("{} of {} bytes had come", come.0, come.1))
    }

    /// Why nothing can be read in place.
    #[cold]
    pub(super) fn nothing_whole(&mut self, why: Error) -> Error {
        match why.kind() {
            ErrorKind::TooLarge => {
                why.with_detail("it came in pieces: receive it by a call that copies it out")
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
            let (len, piece) = self.coming(why)?;
            if size.is_some_and(|size| len > size) {
                return Ok(Come::TooLong(len));
            }
            if piece == Piece::Accompanied {
                let (bytes, fd) = self.take_accompanied()?;
                return Ok(Come::Bytes(bytes, fd));
            }
            if self.take_piece(&mut patience)? {
                let bytes = self.pieces.take().map(|pieces| pieces.bytes).unwrap_or_default();
                return Ok(Come::Bytes(bytes, None));
            }
            match self.find(wait) {
                Ok((found, redelivered)) => return Ok(Come::Whole(found, redelivered)),
                Err(error) => why = error,
            }
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
    ) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        match self.come(why, None, wait)? {
            Come::Whole(found, _) => Ok((self.copied(found)?, None)),
            Come::Bytes(bytes, fd) => Ok((bytes, fd)),
            Come::TooLong(_) => Err(ErrorKind::Corrupt.into()),
        }
    }

    /// As [`vec_in_pieces`](Self::vec_in_pieces), for `recv_raw`, and with the descriptor.
    ///
    /// # Safety
    /// `into` is writable for `size` bytes.
    #[cold]
    pub(super) unsafe fn raw_in_pieces(
        &mut self,
        why: Error,
        into: *mut u8,
        size: usize,
        wait: Wait,
    ) -> Result<(usize, bool, Option<OwnedFd>)> {
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

/// How the next message has come.
pub(super) enum Come {
    /// It lies in the ring, as most do; and whether it may have been read before.
    Whole(Found, bool),
    /// It was taken out, with its descriptor.
    Bytes(Vec<u8>, Option<OwnedFd>),
    /// It is so long, and was not taken.
    TooLong(usize),
}

/// The number with which a record begins that has one.
pub(super) fn number_of(found: Found) -> u64 {
    debug_assert!(found.len >= LENGTH);
    // SAFETY: it has as many bytes, in the ring that is ours by the seat.
    u64::from_le_bytes(unsafe { found.bytes.cast().read_unaligned() })
}
