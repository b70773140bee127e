//! [`End`]: one end of a two-way pipe.

use super::receiver::{Message, Receiver};
use super::rendezvous::{RawEnd, RawRendezvous};
use super::sender::{Reservation, Sender};
use crate::error::Result;
use crate::member::Who;
use crate::process::HandOver;
use crate::queue::Delivery;
use crate::queue::byte_lane::RecvError;
use crate::shm::Segment;
use crate::time::{Deadline, Wait};
use core::ffi::c_int;
use core::time::Duration;
use std::io::IoSlice;
use std::vec::Vec;

/// One end of a two-way pipe: sends to the other end and receives from it.
///
/// Created in pairs by [`pair`](super::pair) and [`Segment::pipe_pair`], or by [`connect`](super::connect) and
/// [`Listener::accept`](super::Listener::accept). What is said of [`Sender`] and [`Receiver`] holds for the two directions of an
/// end. Dropping it closes both. What a half can do and an end has no method for goes by [`halves`](End::halves).
///
/// *Threads*: one at a time has it. It may move to another thread, whose first operation moves the seats. Until then the thread
/// that used it last must live, or the other end may see its death as the end. *Fork*: a child's copy is refused
/// ([`ErrorKind::NotOwner`](crate::ErrorKind::NotOwner)), and dropping it does nothing. To give an end to a child, use
/// [`Builder::fork_giving`](crate::process::Builder::fork_giving).
///
/// # Examples
/// ```
/// use interproc::{pipe, process::Builder};
///
/// let (mut ours, theirs) = pipe::pair(1 << 12, 100)?;
/// let child = Builder::new().fork_giving(theirs, |mut end| {
///     let question = end.recv().unwrap();
///     end.send(&[question.len() as u8]).unwrap();
/// })?;
/// ours.send(b"how long is this?")?;
/// assert_eq!(ours.recv()?, [17]);
/// assert_eq!(ours.recv().unwrap_err().kind(), interproc::ErrorKind::Closed); // the child has ended
/// child.join()?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Debug)]
pub struct End {
    /// Closed first: once the other end sees the end of what was sent, it cannot send any more, either.
    receiver: Receiver,
    sender: Sender,
}

impl End {
    pub(super) fn new(raw: RawEnd, rendezvous: RawRendezvous, segment: &Segment) -> Result<Self> {
        Ok(End {
            sender: Sender::new(raw.producer, rendezvous, segment.clone())?,
            receiver: Receiver::new(raw.consumer, rendezvous, segment.clone())?,
        })
    }

    pub(super) fn of(sender: Sender, receiver: Receiver) -> Self {
        End { receiver, sender }
    }

    /// For those who wait for it beside others.
    pub(crate) fn both(&self) -> (&Sender, &Receiver) {
        (&self.sender, &self.receiver)
    }

    /// Moves both halves to the calling thread.
    #[inline(always)]
    fn come(&mut self) -> Result<()> {
        let id = self.sender.endpoint.me()?.id();
        if id != self.receiver.endpoint.seat.raw.holder() {
            self.receiver.endpoint.me().map(drop)
        } else {
            Ok(())
        }
    }

    /// The two halves: one can send while the other waits.
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// let (to, from) = a.halves();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         let ping = b.recv().unwrap();
    ///         b.send(&ping).unwrap(); // the other end sends back what it gets
    ///     });
    ///     to.send(b"ping").unwrap();
    ///     assert_eq!(from.recv().unwrap(), b"ping");
    /// });
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn halves(&mut self) -> (&mut Sender, &mut Receiver) {
        (&mut self.sender, &mut self.receiver)
    }

    /// Splits it into two halves for two threads. Each closes its own direction.
    ///
    /// # Examples
    /// ```
    /// let (mut a, b) = interproc::pipe::pair(1 << 12, 100)?;
    /// let (mut to, mut from) = b.split();
    /// a.send(b"ping")?;
    /// std::thread::scope(|s| {
    ///     s.spawn(move || to.send(&from.recv().unwrap()).unwrap()).join().unwrap();
    /// });
    /// assert_eq!(a.recv()?, b"ping");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// The holder of the other end, dead or alive: a snapshot. `None` when it has closed. As it describes itself: see [`Who`](crate::Who).
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`](crate::ErrorKind::NotOwner) when the end is not the caller's.
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert_eq!(a.peer()?.expect("this thread").pid, std::process::id());
    /// b.close()?;
    /// assert!(a.peer()?.is_none());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peer(&mut self) -> Result<Option<Who>> {
        self.come()?;
        self.sender.peer()
    }

    /// The longest message that goes as a whole, in bytes: see [`Sender::longest`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert_eq!(a.longest(), 100);
    /// assert_eq!(a.try_send(&[7; 101]).unwrap_err().kind(), interproc::ErrorKind::TooLarge);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn longest(&self) -> usize {
        self.sender.longest()
    }

    /// The size of the ring of each direction, in bytes.
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert_eq!(a.capacity(), 1 << 12);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.sender.capacity()
    }

    /// Whether sending is over: the pipe was closed, or the other end was found dead.
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert!(!a.is_closed());
    /// drop(b);
    /// assert!(a.is_closed());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Closes both directions: the other end gets what was sent, then `Closed`. Dropping does the same.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`](crate::ErrorKind::NotOwner) in a forked child, whose copy is not the end.
    ///
    /// # Examples
    /// ```
    /// let (a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.close()?;
    /// assert!(b.recv().is_err() && b.send(b"?").is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(self) -> Result<()> {
        let End { sender, receiver } = self;
        let received = receiver.close();
        sender.close().and(received)
    }

    /// In a child of a `fork` that was not made by this library: takes the end that its parent hands over with
    /// [`hand_over`](Self::hand_over). Before that the child's copy is refused.
    ///
    /// # Errors
    /// [`ErrorKind::Stale`](crate::ErrorKind::Stale) when the parent, or the thread that had it, is dead or has closed it, or
    /// somebody else took it; [`ErrorKind::TooManyMembers`](crate::ErrorKind::TooManyMembers).
    ///
    /// # Safety notes
    /// None, but only one process may go on with an end. Two that do send nonsense to the other end.
    ///
    /// # Examples
    /// ```
    /// let (mut ours, mut theirs) = interproc::pipe::pair(1 << 12, 100)?;
    /// // SAFETY: the child ends by _exit.
    /// match unsafe { libc::fork() } {
    ///     0 => {
    ///         assert!(theirs.send(b"?").is_err()); // it is still the parent's
    ///         let told = theirs.adopt().and_then(|()| theirs.send(b"here"));
    ///         unsafe { libc::_exit(told.is_err() as i32) }
    ///     }
    ///     child => {
    ///         theirs.hand_over(child)?;
    ///         assert_eq!(ours.recv()?, b"here");
    /// #       unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    ///     }
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn adopt(&mut self) -> Result<()> {
        self.claim()
    }

    /// In the parent, after a `fork` that was not made by this library: waits until `child` has [adopted](Self::adopt) the end or
    /// has ended. Call it before you wait for anything at the other end: until the child has adopted the end, the parent's own
    /// life keeps it open.
    ///
    /// It checks every 10 ms whether the child still lives.
    ///
    /// # Errors
    /// [`ErrorKind::NoChild`](crate::ErrorKind::NoChild): the child ended without adopting the end, or is no child of this
    /// process; then the end is closed. [`ErrorKind::NotOwner`](crate::ErrorKind::NotOwner) in a forked child, for its parent's
    /// end.
    ///
    /// # Examples
    /// ```
    /// let (mut ours, mut theirs) = interproc::pipe::pair(1 << 12, 100)?;
    /// // SAFETY: the child ends by _exit.
    /// match unsafe { libc::fork() } {
    ///     0 => {
    ///         let told = theirs.adopt().and_then(|()| theirs.send(b"here"));
    ///         unsafe { libc::_exit(told.is_err() as i32) }
    ///     }
    ///     child => {
    ///         theirs.hand_over(child)?;
    ///         assert_eq!(ours.recv()?, b"here");
    /// #       unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    ///     }
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn hand_over(mut self, child: c_int) -> Result<()> {
        self.sender.endpoint.seat.await_adoption(child)?;
        self.receiver.endpoint.seat.await_adoption(child)
    }

    /// Sends a message of any length, waiting for room as long as it takes: [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send(b"one")?;
    /// assert_eq!(b.recv()?, b"one");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.come()?;
        self.sender.send(message)
    }

    /// Sends a message if there is room now: [`Sender::try_send`].
    ///
    /// # Errors
    /// As [`Sender::try_send`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, _b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.try_send(b"one")?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        self.come()?;
        self.sender.try_send(message)
    }

    /// Sends a message, waiting at most `timeout` for room.
    ///
    /// # Errors
    /// As [`Sender::send_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, _b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send_timeout(b"one", std::time::Duration::from_millis(5))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<()> {
        self.come()?;
        self.sender.send_timeout(message, timeout)
    }

    /// Sends a message, waiting until `deadline` at the latest for room.
    ///
    /// # Errors
    /// As [`Sender::send_until`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, _b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send_until(b"one", interproc::Deadline::now())?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn send_until(&mut self, message: &[u8], deadline: Deadline) -> Result<()> {
        self.come()?;
        self.sender.send_until(message, deadline)
    }

    /// Sends the slices as one message.
    ///
    /// # Errors
    /// As [`Sender::send`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send_vectored(&[std::io::IoSlice::new(b"one "), std::io::IoSlice::new(b"message")])?;
    /// assert_eq!(b.recv()?, b"one message");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn send_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.come()?;
        self.sender.send_vectored(parts)
    }

    /// Sends `size` bytes of `buffer`, from `offset` on, as one message.
    ///
    /// # Errors
    /// As [`Sender::send_bytes`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send_bytes(b"0123456789", 3, 4)?;
    /// assert_eq!(b.recv()?, b"3456");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn send_bytes(&mut self, buffer: &[u8], offset: usize, size: usize) -> Result<()> {
        self.come()?;
        self.sender.send_bytes(buffer, offset, size)
    }

    /// Reserves room for a message of `len` bytes, to be written in place: [`Sender::reserve`].
    ///
    /// # Errors
    /// As [`Sender::reserve`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// let mut place = a.reserve(2)?;
    /// place.copy_from_slice(b"ok");
    /// place.commit()?;
    /// assert_eq!(b.recv()?, b"ok");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<Reservation<'_>> {
        self.come()?;
        self.sender.reserve(len)
    }

    /// As [`reserve`](Self::reserve), if there is room now.
    ///
    /// # Errors
    /// As [`Sender::try_reserve`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, _b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.try_reserve(2)?.commit_len(0)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_reserve(&mut self, len: usize) -> Result<Reservation<'_>> {
        self.come()?;
        self.sender.try_reserve(len)
    }

    /// Receives a message, waiting for it as long as it takes: [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send(b"one")?;
    /// assert_eq!(b.recv()?, b"one");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv(&mut self) -> Result<Vec<u8>> {
        self.come()?;
        self.receiver.recv()
    }

    /// Receives a message if there is one now.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    ///
    /// # Examples
    /// ```
    /// # let (_a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert_eq!(b.try_recv().unwrap_err().kind(), interproc::ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<Vec<u8>> {
        self.come()?;
        self.receiver.try_recv()
    }

    /// Receives a message, waiting at most `timeout` for it.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let (_a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert!(b.recv_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>> {
        self.come()?;
        self.receiver.recv_timeout(timeout)
    }

    /// Receives a message, waiting until `deadline` at the latest for it.
    ///
    /// # Errors
    /// As [`Receiver::recv_until`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send(b"one")?;
    /// assert_eq!(b.recv_until(interproc::Deadline::now())?, b"one");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv_until(&mut self, deadline: Deadline) -> Result<Vec<u8>> {
        self.come()?;
        self.receiver.recv_until(deadline)
    }

    /// Receives a message into a buffer and returns its length: [`Receiver::recv_into`].
    ///
    /// # Errors
    /// As [`Receiver::recv_into`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send(b"one")?;
    /// assert_eq!(b.recv_into(&mut [0; 8])?, 3);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv_into(&mut self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
        self.come()?;
        self.receiver.recv_into(into)
    }

    /// As [`recv_into`](Self::recv_into), if there is a message now.
    ///
    /// # Errors
    /// As [`Receiver::try_recv_into`].
    ///
    /// # Examples
    /// ```
    /// # let (_a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert!(b.try_recv_into(&mut [0; 8]).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_recv_into(&mut self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
        self.come()?;
        self.receiver.try_recv_into(into)
    }

    /// Receives a message into a buffer, waiting as long as `wait` says: its length, and whether it is delivered again.
    ///
    /// # Errors
    /// As [`Receiver::recv_into_delivery`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send(b"one")?;
    /// let got = b.recv_into_delivery(&mut [0; 8], interproc::Wait::ForEver)?;
    /// assert_eq!((got.value, got.redelivered), (3, false));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv_into_delivery(
        &mut self,
        into: &mut [u8],
        wait: Wait,
    ) -> core::result::Result<Delivery<usize>, RecvError> {
        self.come()?;
        self.receiver.recv_into_delivery(into, wait)
    }

    /// As [`recv_into`](Self::recv_into), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_into_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send(b"one")?;
    /// assert_eq!(b.recv_into_timeout(&mut [0; 8], std::time::Duration::from_millis(1))?, 3);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv_into_timeout(
        &mut self,
        into: &mut [u8],
        timeout: Duration,
    ) -> core::result::Result<usize, RecvError> {
        self.come()?;
        self.receiver.recv_into_timeout(into, timeout)
    }

    /// Borrows the next message, to be read in place: [`Receiver::borrow`].
    ///
    /// # Errors
    /// As [`Receiver::borrow`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// a.send(b"one")?;
    /// assert_eq!(&*b.borrow()?, b"one");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn borrow(&mut self) -> Result<Message<'_>> {
        self.come()?;
        self.receiver.borrow()
    }

    /// As [`borrow`](Self::borrow), if there is a message now.
    ///
    /// # Errors
    /// As [`Receiver::try_borrow`].
    ///
    /// # Examples
    /// ```
    /// # let (_a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert!(b.try_borrow().is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_borrow(&mut self) -> Result<Message<'_>> {
        self.come()?;
        self.receiver.try_borrow()
    }

    /// As [`borrow`](Self::borrow), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::borrow_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let (_a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert!(b.borrow_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<Message<'_>> {
        self.come()?;
        self.receiver.borrow_timeout(timeout)
    }

    /// Whether there is a message or the end: [`Receiver::poll`].
    ///
    /// # Errors
    /// As [`Receiver::poll`].
    ///
    /// # Examples
    /// ```
    /// # let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// assert!(!b.poll(std::time::Duration::ZERO)?);
    /// a.send(b"one")?;
    /// assert!(b.poll(std::time::Duration::ZERO)?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn poll(&mut self, timeout: Duration) -> Result<bool> {
        self.come()?;
        self.receiver.poll(timeout)
    }
}

impl HandOver for Sender {
    fn claim(&mut self) -> Result<()> {
        self.endpoint.seat.adopt()
    }
    fn given(mut self) {
        self.endpoint.seat.give();
    }
}

impl HandOver for Receiver {
    fn claim(&mut self) -> Result<()> {
        self.endpoint.seat.adopt()
    }
    fn given(mut self) {
        self.endpoint.seat.give();
    }
}

impl HandOver for End {
    fn claim(&mut self) -> Result<()> {
        // This half first, as in closing: if the child dies in between, the other end cannot send once it sees the end.
        self.receiver.claim()?;
        self.sender.claim()
    }
    fn given(self) {
        self.sender.given();
        self.receiver.given();
    }
}
