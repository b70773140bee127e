//! [`Receiver`]: the receiving half of an end.
#![allow(unsafe_code)]

use super::endpoint::PipeEndpoint;
use super::pieces::Pieces;
use super::rendezvous::RawRendezvous;
use crate::counted::{Counted, Keep};
use crate::error::{Error, ErrorKind, Result};
use crate::member::Who;
use crate::queue::byte_lane::{ByteMessage, Found, InConsumer, RawByteConsumer, RecvError};
use crate::queue::{Delivery, Lane, RawConsumer};
use crate::shm::Segment;
use crate::sys::own::Own;
use crate::time::{Deadline, Wait};
use core::fmt;
use core::time::Duration;
use std::boxed::Box;
use std::vec::Vec;

/// The receiving half of a pipe: the receiver of a one-way pipe, or one half of an [`End`](super::End).
///
/// *If the sender closes or dies*, what it had sent can still be received; after that every receive fails with
/// [`ErrorKind::Closed`]: the end. If it dies in the middle of a message that goes in pieces, that is told first, once
/// ([`ErrorKind::CutShort`]). The receiver learns it at once, even asleep; a death that the kernel does not report (see
/// [`member`](crate::member)), within 50 ms. *If the receiver dies*, sends fail, and unread messages are lost.
///
/// Ordering, cost, threads, forks and signals: as [`Sender`](super::Sender).
///
/// # Examples
/// ```
/// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
/// to.send(b"hello")?;
/// let mut buffer = [0; 100];
/// let len = from.recv_into(&mut buffer)?;
/// assert_eq!(&buffer[..len], b"hello");
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Receiver {
    pub(super) endpoint: PipeEndpoint<RawByteConsumer>,
    /// What was taken, or read as a stream, of a message that is not whole yet; or was given up by its sender.
    pub(super) pieces: Option<Box<Pieces>>,
    /// Through which descriptors come.
    pub(super) channel: Option<Counted<Own>>,
}

/// A copy of a record that was found last, without the first `skip` bytes, of which it has as many.
#[inline(always)]
pub(super) fn bytes_of(found: Found, skip: usize) -> Result<Vec<u8>> {
    let len = found.len - skip;
    let mut message = Vec::new();
    message.try_reserve_exact(len).map_err(|_| Error::no_memory())?;
    // SAFETY: as many bytes in the ring that are ours by the seat, as many in the vector.
    unsafe {
        found.bytes.as_ptr().add(skip).copy_to_nonoverlapping(message.as_mut_ptr(), len);
        message.set_len(len);
    }
    Ok(message)
}

impl Receiver {
    pub(super) fn new(raw: RawConsumer, rendezvous: RawRendezvous, segment: Segment) -> Result<Self> {
        let endpoint = PipeEndpoint::new(RawByteConsumer::new(raw)?, rendezvous, segment);
        Ok(Receiver { endpoint, pieces: None, channel: None })
    }

    /// Whether it is of the calling process.
    #[cfg(any(feature = "c-abi", test))]
    pub(crate) fn is_of_this_process(&self) -> Result<()> {
        self.endpoint.seat.is_of_this_process()
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (Lane, Keep) {
        self.endpoint.watched()
    }

    /// Finds the next message, and says whether it may have been read before. It stays the next one until it is released.
    #[inline(always)]
    pub(crate) fn find(&mut self, wait: Wait) -> Result<(Found, bool)> {
        self.endpoint.seat.borrow(wait)
    }

    /// As [`find`](Self::find), to be read in place.
    #[inline(always)]
    pub(crate) fn find_whole(&mut self, wait: Wait) -> Result<(Found, bool)> {
        self.find(wait).map_err(|why| self.nothing_whole(why))
    }

    /// Ends the message that was found last.
    #[inline(always)]
    pub(crate) fn release(&mut self) -> Result<()> {
        self.endpoint.seat.release()
    }

    /// Copies the next message out. Returns its length, and whether it may have been read before. A message that does not fit
    /// stays.
    ///
    /// # Safety
    /// `into` is writable for `size` bytes.
    #[inline(always)]
    pub(crate) unsafe fn recv_raw(
        &mut self,
        into: *mut u8,
        size: usize,
        wait: Wait,
    ) -> Result<(usize, bool)> {
        match self.find(wait) {
            Ok((found, redelivered)) => {
                // SAFETY: by the contract.
                unsafe { self.copy_out(found, into, size) };
                Ok((found.len, redelivered))
            }
            // SAFETY: by the contract.
            Err(why) => unsafe { self.raw_in_pieces(why, into, size, wait) },
        }
    }

    /// Copies the message out and ends it, if it fits.
    ///
    /// # Safety
    /// `into` is writable for `size` bytes.
    #[inline(always)]
    pub(super) unsafe fn copy_out(&mut self, found: Found, into: *mut u8, size: usize) {
        let Found { bytes, len } = found;
        if len <= size {
            // SAFETY: `len` bytes in the ring that are ours by the seat; by the contract as many to write to.
            unsafe { bytes.as_ptr().copy_to_nonoverlapping(into, len) };
            crate::crash_window!("P-d: copied out, not released");
            self.endpoint.seat.raw.release();
        }
    }

    #[inline(always)]
    fn copy_by(&mut self, into: &mut [u8], wait: Wait) -> core::result::Result<usize, RecvError> {
        Ok(self.recv_into_delivery(into, wait)?.value)
    }

    #[inline(always)]
    fn vec_by(&mut self, wait: Wait) -> Result<Vec<u8>> {
        match self.find(wait) {
            Ok((found, _)) => self.copied(found),
            Err(why) => self.vec_in_pieces(why, wait),
        }
    }

    /// Copies the message out and ends it.
    #[inline(always)]
    pub(super) fn copied(&mut self, found: Found) -> Result<Vec<u8>> {
        // Not released yet: without memory the message stays in the pipe.
        let message = bytes_of(found, 0)?;
        self.endpoint.seat.raw.release();
        Ok(message)
    }

    fn message_by(&mut self, wait: Wait) -> Result<Message<'_>> {
        let found = self.find_whole(wait)?;
        Ok(InConsumer::guard(&mut self.endpoint.seat, found))
    }

    pub(crate) fn poll_by(&mut self, wait: Wait) -> Result<bool> {
        match self.find(wait) {
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::Closed => Ok(true),
                ErrorKind::TooLarge => {
                    self.has_seen_piece();
                    Ok(true)
                }
                ErrorKind::Empty | ErrorKind::TimedOut => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Receives a message, waiting for it as long as it takes. Memory for it grows with what comes.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`]: the end. [`ErrorKind::CutShort`]: the end, in the middle of a message. [`ErrorKind::NotOwner`] in a forked child; [`ErrorKind::Stale`] when the thread that
    /// had the half died and its seat is gone; [`ErrorKind::Corrupt`]; [`ErrorKind::TooManyMembers`].
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"one")?;
    /// assert_eq!(from.recv()?, b"one");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv(&mut self) -> Result<Vec<u8>> {
        self.vec_by(Wait::ForEver)
    }

    /// Receives a message if there is one now. Of one in pieces it takes those that are there, and the next call goes on.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::Empty`].
    ///
    /// # Examples
    /// ```
    /// # let (_to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert_eq!(from.try_recv().unwrap_err().kind(), interproc::ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<Vec<u8>> {
        self.vec_by(Wait::Never)
    }

    /// Receives a message, waiting at most `timeout` for it. When the time is over in the middle of one in pieces, what has come of it
    /// is kept, and the next call goes on.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// # let (_to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert!(from.recv_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>> {
        self.vec_by(Wait::after(timeout))
    }

    /// Receives a message, waiting until `deadline` at the latest for it.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"one")?;
    /// assert_eq!(from.recv_until(interproc::Deadline::now())?, b"one"); // it is there
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_until(&mut self, deadline: Deadline) -> Result<Vec<u8>> {
        self.vec_by(Wait::Until(deadline))
    }

    /// Receives a message into a buffer, waiting for it as long as it takes. Returns its length.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TooLarge`] if it does not fit: [`RecvError::needed`] says how long it
    /// is, and it stays the next one. (What its sender says: do not let one that you do not trust size your memory.)
    /// [`skip`](Self::skip) passes it by.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"hello")?;
    /// let mut small = [0; 3];
    /// let e = from.recv_into(&mut small).unwrap_err();
    /// let mut buffer = vec![0; e.needed().expect("too small")];
    /// assert_eq!(from.recv_into(&mut buffer)?, 5);
    /// assert_eq!(buffer, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv_into(&mut self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
        self.copy_by(into, Wait::ForEver)
    }

    /// As [`recv_into`](Self::recv_into), if there is a message now.
    ///
    /// # Errors
    /// As [`recv_into`](Self::recv_into), and [`ErrorKind::Empty`].
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// # to.send(b"hello")?;
    /// assert_eq!(from.try_recv_into(&mut [0; 100])?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_recv_into(&mut self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
        self.copy_by(into, Wait::Never)
    }

    /// As [`recv_into`](Self::recv_into), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_into`](Self::recv_into), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// # to.send(b"hello")?;
    /// assert_eq!(from.recv_into_timeout(&mut [0; 100], std::time::Duration::from_millis(1))?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_into_timeout(
        &mut self,
        into: &mut [u8],
        timeout: Duration,
    ) -> core::result::Result<usize, RecvError> {
        self.copy_by(into, Wait::after(timeout))
    }

    /// As [`recv_into`](Self::recv_into), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`recv_into`](Self::recv_into), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// # to.send(b"hello")?;
    /// assert_eq!(from.recv_into_until(&mut [0; 100], interproc::Deadline::now())?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_into_until(
        &mut self,
        into: &mut [u8],
        deadline: Deadline,
    ) -> core::result::Result<usize, RecvError> {
        self.copy_by(into, Wait::Until(deadline))
    }

    /// Receives a message into a buffer, waiting as long as `wait` says: its length, and whether it is delivered again, because
    /// a panic dropped it while it was read in place, or the thread that had this end before died over it.
    ///
    /// # Errors
    /// As [`recv_into`](Self::recv_into), and [`ErrorKind::Empty`] or [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// use interproc::Wait;
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"hello")?;
    /// let got = from.recv_into_delivery(&mut [0; 100], Wait::ForEver)?;
    /// assert_eq!((got.value, got.redelivered), (5, false));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline(always)]
    pub fn recv_into_delivery(
        &mut self,
        into: &mut [u8],
        wait: Wait,
    ) -> core::result::Result<Delivery<usize>, RecvError> {
        // SAFETY: the slice.
        let (value, redelivered) = unsafe { self.recv_raw(into.as_mut_ptr(), into.len(), wait) }?;
        if value > into.len() {
            return Err(RecvError::too_small(value, into.len()));
        }
        Ok(Delivery { value, redelivered })
    }

    /// Borrows the next message, to be read in place, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TooLarge`]: it comes in pieces, so it lies nowhere as a whole; it stays.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"hello")?;
    /// assert_eq!(from.borrow()?.len(), 5); // read, and gone
    /// assert!(from.try_borrow().is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow(&mut self) -> Result<Message<'_>> {
        self.message_by(Wait::ForEver)
    }

    /// As [`borrow`](Self::borrow), if there is a message now.
    ///
    /// # Errors
    /// As [`borrow`](Self::borrow), and [`ErrorKind::Empty`].
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// # to.send(b"hello")?;
    /// from.try_borrow()?.put_back()?; // a look at it
    /// assert_eq!(from.recv()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_borrow(&mut self) -> Result<Message<'_>> {
        self.message_by(Wait::Never)
    }

    /// As [`borrow`](Self::borrow), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// # to.send(b"hello")?;
    /// assert_eq!(&*from.borrow_timeout(std::time::Duration::from_millis(1))?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<Message<'_>> {
        self.message_by(Wait::after(timeout))
    }

    /// As [`borrow`](Self::borrow), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`recv_until`](Self::recv_until).
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// # to.send(b"hello")?;
    /// assert_eq!(&*from.borrow_until(interproc::Deadline::now())?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow_until(&mut self, deadline: Deadline) -> Result<Message<'_>> {
        self.message_by(Wait::Until(deadline))
    }

    /// Whether there is a message, a piece of one, or the end. Waits at most `timeout` for that. A receive then returns at once, but for
    /// a message of which only some pieces are there: [`try_recv`](Self::try_recv) does.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), but for `Closed`.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert!(!from.poll(Duration::ZERO)?);
    /// to.send(b"one")?;
    /// assert!(from.poll(Duration::from_secs(1))?);
    /// from.recv()?;
    /// drop(to);
    /// assert!(from.poll(Duration::from_secs(1))?); // the end
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn poll(&mut self, timeout: Duration) -> Result<bool> {
        self.poll_by(if timeout.is_zero() { Wait::Never } else { Wait::after(timeout) })
    }

    /// As [`poll`](Self::poll), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    ///
    /// # Examples
    /// ```
    /// # let (_to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert!(!from.poll_until(interproc::Deadline::now())?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn poll_until(&mut self, deadline: Deadline) -> Result<bool> {
        self.poll_by(Wait::Until(deadline))
    }

    /// The longest message that comes as a whole, in bytes: see [`Sender::longest`](super::Sender::longest).
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// let mut buffer = vec![0; from.longest()];
    /// to.send(&[7; 100])?;
    /// assert_eq!(from.recv_into(&mut buffer)?, 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn longest(&self) -> usize {
        self.endpoint.seat.longest()
    }

    /// The size of the ring in bytes, the eight bytes of each message's header included.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert_eq!(from.capacity(), 1 << 12);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.endpoint.seat.capacity()
    }

    /// The bytes of the ring that are in use: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"five!")?;
    /// assert_eq!(from.len_bytes(), 8 + 8); // a header, and the message rounded up
    /// from.recv()?;
    /// assert_eq!(from.len_bytes(), 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn len_bytes(&self) -> usize {
        self.endpoint.seat.len_bytes()
    }

    /// Whether the pipe was closed, by either side, or the sender was found dead. What was sent can still be received.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"the last one")?;
    /// to.close()?;
    /// assert!(from.is_closed());
    /// assert_eq!(from.recv()?, b"the last one");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.endpoint.seat.lane().is_closed()
    }

    /// The sender, dead or alive: a snapshot. `None` when it has closed and left. As it describes itself: see [`Who`](crate::Who).
    ///
    /// # Errors
    /// As [`recv`](Self::recv), when the half is not the caller's.
    ///
    /// # Examples
    /// ```
    /// # let (_to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert_eq!(from.peer()?.expect("this thread").pid, std::process::id());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peer(&mut self) -> Result<Option<Who>> {
        let me = self.endpoint.me()?;
        Ok(self.endpoint.seat.peer().map(|id| me.domain().who(id)))
    }

    /// Closes: sends fail from now on. Dropping does the same, but reports no errors.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`] in a forked child, whose copy is not the half.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// from.close()?;
    /// assert_eq!(to.send(b"?").unwrap_err().kind(), interproc::ErrorKind::Closed);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(mut self) -> Result<()> {
        self.endpoint.close()
    }

    /// In a child of a `fork` that was not made by this library: takes the half that its parent hands over: see
    /// [`End::adopt`](super::End::adopt).
    ///
    /// # Errors
    /// As [`End::adopt`](super::End::adopt).
    ///
    /// # Examples
    /// ```
    /// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// // SAFETY: the child ends by _exit.
    /// match unsafe { libc::fork() } {
    ///     0 => {
    ///         let got = from.adopt().and_then(|()| from.recv());
    ///         unsafe { libc::_exit(got.is_err() as i32) }
    ///     }
    ///     child => {
    ///         from.hand_over(child)?;
    ///         to.send(b"for the child")?; // from now on its end is the child's
    /// #       unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    ///     }
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn adopt(&mut self) -> Result<()> {
        self.endpoint.seat.adopt()
    }

    /// In the parent, after a `fork` that was not made by this library: see [`End::hand_over`](super::End::hand_over).
    ///
    /// # Errors
    /// As [`End::hand_over`](super::End::hand_over).
    ///
    /// # Examples
    /// ```
    /// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// // SAFETY: the child ends by _exit.
    /// match unsafe { libc::fork() } {
    ///     0 => {
    ///         let got = from.adopt().and_then(|()| from.recv());
    ///         unsafe { libc::_exit(got.is_err() as i32) }
    ///     }
    ///     child => {
    ///         from.hand_over(child)?;
    ///         to.send(b"for the child")?; // from now on its end is the child's
    /// #       unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    ///     }
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn hand_over(mut self, child: core::ffi::c_int) -> Result<()> {
        self.endpoint.seat.await_adoption(child)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len_bytes", &self.len_bytes())
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// A borrowed message, read in shared memory. Dropped, it is released: it is done and its room is free. Dropped *by a panic* it is
/// the next message again, flagged [`is_redelivered`](ByteMessage::is_redelivered).
///
/// A sender that breaks the rules could change the bytes while they are read: copy them first if you do not trust it.
///
/// # Examples
/// ```
/// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
/// to.send(b"one line")?;
/// let line = from.borrow()?; // no copy
/// assert!(line.starts_with(b"one"));
/// drop(line); // done
/// assert_eq!(from.len_bytes(), 0);
/// # Ok::<(), interproc::Error>(())
/// ```
pub type Message<'a> = ByteMessage<'a>;
