//! [`Sender`]: the sending half of an end.

use super::endpoint::PipeEndpoint;
use super::rendezvous::RawRendezvous;
use crate::counted::{Counted, Keep};
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use crate::member::{Member, Who};
use crate::queue::byte_lane::{ByteReservation, InProducer, RawByteProducer};
use crate::queue::{Lane, RawProducer};
use crate::shm::Segment;
use crate::sys::own::Own;
use crate::time::{Deadline, Wait};
use core::fmt;
use core::ptr::NonNull;
use core::time::Duration;
use std::io::IoSlice;

/// The sending half of a pipe: the sender of a one-way pipe, or one half of an [`End`](super::End).
///
/// A message has any number of bytes, 0 included, and arrives as it was sent, whole or not at all. Up to [`longest`](Self::longest) bytes
/// are published by one store. A longer one goes in pieces, through a ring of any size, as the other end takes them; if the sender dies between two, the
/// receiver is told that it was cut short. One thread at a time has the half; it may move to another, see the [module](super).
///
/// *If the receiver closes or dies*, sends fail with [`ErrorKind::Closed`] from then on. What the pipe still held is lost with
/// the receiver; a message whose send failed was not delivered. *If the sender dies*, what it had sent is delivered, an
/// unfinished message is not, and then the receiver sees the end.
///
/// *Ordering*: whoever receives a message sees everything that happened before its send. *Cost*: copying, and one store to
/// publish; no read-modify-write, no system call unless the receiver sleeps. *Signals*: not to be used in a handler; signals do
/// not end a wait. *Fork*: a child's copy is refused ([`ErrorKind::NotOwner`]) and does nothing when dropped, unless it was handed
/// over.
///
/// # Examples
/// ```
/// let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
/// to.send(b"hello")?;
/// drop(to);
/// assert_eq!(from.recv()?, b"hello");
/// assert!(from.recv().is_err()); // the end
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Sender {
    pub(super) endpoint: PipeEndpoint<RawByteProducer>,
    /// Through which descriptors go.
    pub(super) channel: Option<Counted<Own>>,
}

/// `Closed`, if nobody receives any more.
pub(super) fn refusal(raw: &mut RawByteProducer, me: &Member) -> Result<()> {
    raw.seat().look_for(me, 1).map(drop)
}

impl Sender {
    pub(super) fn new(raw: RawProducer, rendezvous: RawRendezvous, segment: Segment) -> Result<Self> {
        let endpoint = PipeEndpoint::new(RawByteProducer::new(raw)?, rendezvous, segment);
        Ok(Sender { endpoint, channel: None })
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

    /// Reserves the place of a message of `len` bytes.
    #[inline(always)]
    pub(crate) fn place(&mut self, len: usize, wait: Wait) -> Result<NonNull<u8>> {
        let me = self.endpoint.me_and_peer(refusal)?;
        self.endpoint.seat.reserve_as(me, len, wait)
    }

    /// Sends the first `len` bytes of the reserved place.
    #[inline(always)]
    pub(crate) fn commit(&mut self, len: usize) -> Result<()> {
        self.endpoint.seat.commit(len)
    }

    #[inline(always)]
    pub(crate) fn send_parts<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p [u8]> + Clone,
        wait: Wait,
    ) -> Result<()> {
        let len = parts.clone().fold(0usize, |len, part| len.saturating_add(part.len()));
        if len > self.longest() {
            return self.send_in_pieces(len, parts, wait);
        }
        let me = self.endpoint.me_and_peer(refusal)?;
        self.endpoint.seat.push_as(me, parts, wait)
    }

    #[inline(always)]
    pub(crate) fn send_by(&mut self, message: &[u8], wait: Wait) -> Result<()> {
        self.send_parts(core::iter::once(message), wait)
    }

    pub(crate) fn reserve_by(&mut self, len: usize, wait: Wait) -> Result<Reservation<'_>> {
        let bytes = self.place(len, wait)?;
        Ok(InProducer::guard(&mut self.endpoint.seat, bytes, len))
    }

    /// Sends a message of any length, waiting for room as long as it takes. A long one waits for the receiver: a thread that has both
    /// ends, or two that send to each other and both wait, wait for ever.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`]: the receiver has closed or died. ([`ErrorKind::TooLarge`] only in a pipe for messages of less than sixteen
    /// bytes, which sends no pieces.) [`ErrorKind::NotOwner`] in a forked child; [`ErrorKind::Stale`] when the thread that had
    /// the half died and its seat is gone; [`ErrorKind::Corrupt`]; [`ErrorKind::TooManyMembers`]. Then the message was not sent.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send(b"one")?;
    /// assert_eq!(from.recv()?, b"one");
    /// std::thread::scope(|s| {
    ///     s.spawn(|| to.send(&vec![7; 100_000]).unwrap()); // in pieces
    ///     assert_eq!(from.recv().unwrap().len(), 100_000);
    /// });
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.send_by(message, Wait::ForEver)
    }

    /// Sends a message if there is room now. It goes as a whole or not at all.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::Full`]; [`ErrorKind::TooLarge`]: longer than [`longest`](Self::longest).
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(0, 8)?; // the smallest room
    /// while to.try_send(b"12345678").is_ok() {}
    /// from.recv()?;
    /// to.try_send(b"12345678")?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        self.send_by(message, Wait::Never)
    }

    /// Sends a message, waiting at most `timeout` for room.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::TimedOut`]: it was not sent. What has gone of one in pieces is dropped by the receiver when the
    /// next message comes (unless it reads a stream: that may have got it). Only waits are limited: while there is room a long one goes on.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, _from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send_timeout(b"one", std::time::Duration::from_millis(5))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<()> {
        self.send_by(message, Wait::after(timeout))
    }

    /// Sends a message, waiting until `deadline` at the latest for room.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// # let (mut to, _from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send_until(b"one", interproc::Deadline::now())?; // there is room
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn send_until(&mut self, message: &[u8], deadline: Deadline) -> Result<()> {
        self.send_by(message, Wait::Until(deadline))
    }

    /// Sends the slices as one message.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Examples
    /// ```
    /// # use std::io::IoSlice;
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send_vectored(&[IoSlice::new(b"head "), IoSlice::new(b"and body")])?;
    /// assert_eq!(from.recv()?, b"head and body");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn send_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.send_parts(parts.iter().map(|part| &**part), Wait::ForEver)
    }

    /// Sends `size` bytes of `buffer`, from `offset` on, as one message, as Python's `send_bytes`.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::InvalidInput`] when the buffer does not have these bytes.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.send_bytes(b"0123456789", 3, 4)?;
    /// assert_eq!(from.recv()?, b"3456");
    /// assert!(to.send_bytes(b"0123456789", 3, 8).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn send_bytes(&mut self, buffer: &[u8], offset: usize, size: usize) -> Result<()> {
        let range = offset..offset.saturating_add(size);
        let Some(part) = buffer.get(range.clone()) else {
            let detail = format!("bytes {range:?} of a buffer of {}", buffer.len());
            return Err(Error::from(ErrorKind::InvalidInput).with_detail(detail));
        };
        self.send(part)
    }

    /// Reserves room for a message of `len` bytes, to be written in place, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::TooLarge`]: more than [`longest`](Self::longest).
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// let mut place = to.reserve(5)?;
    /// place.copy_from_slice(b"hello");
    /// place.commit()?;
    /// drop(to.reserve(7)?); // nothing was sent
    /// to.send(b"!")?;
    /// assert_eq!((from.recv()?, from.recv()?), (b"hello".to_vec(), b"!".to_vec()));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve(&mut self, len: usize) -> Result<Reservation<'_>> {
        self.reserve_by(len, Wait::ForEver)
    }

    /// As [`reserve`](Self::reserve), if there is room now.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    ///
    /// # Examples
    /// ```
    /// # let (mut to, _from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.try_reserve(5)?.commit_len(0)?; // an empty message
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_reserve(&mut self, len: usize) -> Result<Reservation<'_>> {
        self.reserve_by(len, Wait::Never)
    }

    /// As [`reserve`](Self::reserve), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// # Examples
    /// ```
    /// # let (mut to, _from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.reserve_timeout(5, std::time::Duration::from_millis(5))?.commit()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_timeout(&mut self, len: usize, timeout: Duration) -> Result<Reservation<'_>> {
        self.reserve_by(len, Wait::after(timeout))
    }

    /// As [`reserve`](Self::reserve), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`send_until`](Self::send_until).
    ///
    /// # Examples
    /// ```
    /// # let (mut to, _from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.reserve_until(5, interproc::Deadline::now())?.commit()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_until(&mut self, len: usize, deadline: Deadline) -> Result<Reservation<'_>> {
        self.reserve_by(len, Wait::Until(deadline))
    }

    /// The longest message that goes as a whole, in bytes: one that can be sent without waiting, and written and read in place.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert_eq!(to.longest(), 100);
    /// assert_eq!(to.try_send(&[7; 101]).unwrap_err().kind(), interproc::ErrorKind::TooLarge);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn longest(&self) -> usize {
        self.endpoint.seat.longest()
    }

    /// The size of the ring in bytes, the eight bytes of each message's header included.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert_eq!(to.capacity(), 1 << 12);
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
    /// assert_eq!(to.len_bytes(), 8 + 8); // a header, and the message rounded up
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn len_bytes(&self) -> usize {
        self.endpoint.seat.len_bytes()
    }

    /// Whether the pipe was closed, by either side, or the receiver was found dead.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert!(!to.is_closed());
    /// drop(from);
    /// assert!(to.is_closed());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.endpoint.seat.lane().is_closed()
    }

    /// The receiver, dead or alive: a snapshot. `None` when it has closed and left. As it describes itself: see [`Who`](crate::Who).
    ///
    /// # Errors
    /// As [`send`](Self::send), when the half is not the caller's.
    ///
    /// # Examples
    /// ```
    /// # let (mut to, _from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// assert_eq!(to.peer()?.expect("this thread").pid, std::process::id());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peer(&mut self) -> Result<Option<Who>> {
        let me = self.endpoint.me()?;
        Ok(self.endpoint.seat.peer().map(|id| me.domain().who(id)))
    }

    /// Closes: the receiver gets what was sent, and then the end. Dropping does the same, but reports no errors.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`] in a forked child, whose copy is not the half.
    ///
    /// # Examples
    /// ```
    /// # let (to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// to.close()?;
    /// assert_eq!(from.recv().unwrap_err().kind(), interproc::ErrorKind::Closed);
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
    ///         let sent = to.adopt().and_then(|()| to.send(b"here"));
    ///         unsafe { libc::_exit(sent.is_err() as i32) }
    ///     }
    ///     child => {
    ///         to.hand_over(child)?;
    ///         assert_eq!(from.recv()?, b"here");
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
    ///         let sent = to.adopt().and_then(|()| to.send(b"here"));
    ///         unsafe { libc::_exit(sent.is_err() as i32) }
    ///     }
    ///     child => {
    ///         to.hand_over(child)?;
    ///         assert_eq!(from.recv()?, b"here");
    /// #       unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    ///     }
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn hand_over(mut self, child: core::ffi::c_int) -> Result<()> {
        self.endpoint.seat.await_adoption(child)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len_bytes", &self.len_bytes())
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Reserved room for a message, written in place. Nobody sees the message before it is committed. Dropped, or if its thread dies,
/// the reservation is aborted. At first it holds what older messages left there.
///
/// # Examples
/// ```
/// # let (mut to, mut from) = interproc::pipe::one_way(1 << 12, 100)?;
/// let mut place = to.reserve(100)?; // at most 100 bytes
/// place[..5].copy_from_slice(b"hello");
/// place.commit_len(5)?; // it became 5
/// drop(to.reserve(100)?); // it was never there
/// assert_eq!(from.recv()?, b"hello");
/// assert_eq!(from.len_bytes(), 0);
/// # Ok::<(), interproc::Error>(())
/// ```
pub type Reservation<'a> = ByteReservation<'a>;
