//! [`ByteProducer`]: the producer of a byte lane.

use super::RawByteProducer;
use crate::counted::Keep;
use crate::error::Result;
use crate::member::{GuardMark, Who, view};
use crate::queue::Lane;
use crate::queue::endpoint::Endpoint;
use crate::queue::guard::{Reserved, Writing};
use crate::time::{Deadline, Wait};
use core::fmt;
use core::iter::once;
use core::ptr::NonNull;
use core::time::Duration;
use std::io::IoSlice;

/// The one producer of a queue of messages of any length, from this process to whoever is its
/// [`ByteConsumer`](super::ByteConsumer).
///
/// Created or found by [`Segment::byte_producer`](crate::Segment::byte_producer). It holds the producer's *seat*: while it and
/// the thread that uses it live, nobody else gets one. It may move to another thread of the process, at the cost of one
/// compare-and-swap at its next use there. Dropped, it publishes the rest and leaves the seat; the queue and its messages
/// stay.
///
/// *A message* is written in place ([`reserve`](Self::reserve)) or copied in ([`push`](Self::push)). It takes its length,
/// rounded up to 8 bytes, and 8 more. It is contiguous, so some room at the end of the ring may stay unused. The longest
/// message is fixed when the queue is created, and takes at most half of the ring.
///
/// *If the producer dies*, what it had not committed or not published is gone as if it had never been; everything else is
/// delivered. The consumer goes on waiting, and the next producer takes over the seat. *If the consumer dies*, its messages
/// stay. A producer that waits for room learns of the death at once, and waits for the next consumer.
///
/// *Ordering*: the reader of a message sees everything that happened before it was published. *Fork*: the seat is the parent's;
/// in a child every operation fails with `NotOwner`, and dropping the copy does nothing (a child must not write into its
/// parent's reservation, which is the same memory). *Signals*: not to be used in a handler; signals do not end a wait.
/// *Cost*: one release store a message, no read-modify-write, no system call unless somebody sleeps.
///
/// Algorithm: a lane with cached indices (Lee, Bell and Srinivasan's MCRingBuffer; rtrb), headers in the ring, and a pad
/// where a message would cross the end (as in Aeron's and the Linux kernel's BPF ring buffers).
///
/// # Examples
/// ```
/// use interproc::Segment;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let mut producer = seg.byte_producer("lines", 4096, 1024)?;
/// let mut consumer = seg.byte_consumer("lines", 4096, 1024)?; // in another process, say
///
/// producer.push(b"one line")?;
/// let mut place = producer.reserve(100)?; // written in place
/// place[..7].copy_from_slice(b"another");
/// place.commit_len(7)?;
///
/// assert_eq!(&*consumer.borrow()?, b"one line");
/// assert_eq!(&*consumer.borrow()?, b"another");
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct ByteProducer {
    side: Endpoint<RawByteProducer>,
    /// Keeps the segment mapped.
    segment: Keep,
}

impl ByteProducer {
    /// A handle on a seat in a segment that `segment` keeps mapped.
    pub(crate) fn from_raw(raw: RawByteProducer, segment: Keep) -> Self {
        ByteProducer { side: Endpoint::new(raw), segment }
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (Lane, Keep) {
        (*self.side.lane(), self.segment.clone())
    }

    /// Reserves room for a message of at most `len` bytes, to be written in place, waiting as long as it takes. A message may be
    /// empty.
    ///
    /// # Errors
    /// `TooLarge` for more than [`longest`](Self::longest); `Closed`; `NotOwner` in a forked child; `Stale` if the thread
    /// that held the seat died and another producer has taken over; `Corrupt` when the consumer's count is impossible;
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// let mut place = p.reserve(4)?;
    /// place.copy_from_slice(b"ping");
    /// place.commit()?;
    /// drop(p.reserve(1000)?); // aborted: nothing has happened
    /// assert_eq!(c.pop()?, b"ping");
    /// assert!(p.try_reserve(1025).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<ByteReservation<'_>> {
        self.reserve_by(len, Wait::ForEver)
    }

    /// [`reserve`](Self::reserve), if there is room now.
    ///
    /// # Errors
    /// `Full`; as [`reserve`](Self::reserve).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 64, 24)?;
    /// p.try_reserve(24)?.commit()?;
    /// p.try_reserve(24)?.commit()?;
    /// assert_eq!(p.try_reserve(1).unwrap_err().kind(), interproc::ErrorKind::Full);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_reserve(&mut self, len: usize) -> Result<ByteReservation<'_>> {
        self.reserve_by(len, Wait::Never)
    }

    /// [`reserve`](Self::reserve), waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; as [`reserve`](Self::reserve).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// p.reserve_timeout(10, std::time::Duration::from_millis(1))?.commit()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_timeout(&mut self, len: usize, timeout: Duration) -> Result<ByteReservation<'_>> {
        self.reserve_until(len, Deadline::after(timeout))
    }

    /// [`reserve`](Self::reserve), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut`; as [`reserve`](Self::reserve).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// p.reserve_until(10, interproc::Deadline::now())?.commit()?; // there is room: no waiting
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_until(&mut self, len: usize, deadline: Deadline) -> Result<ByteReservation<'_>> {
        self.reserve_by(len, Wait::Until(deadline))
    }

    #[inline(always)]
    fn reserve_by(&mut self, len: usize, wait: Wait) -> Result<ByteReservation<'_>> {
        let bytes = self.side.reserve(len, wait)?;
        Ok(InSeat::guard(&mut self.side, bytes, len))
    }

    /// Copies a message in, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve): the message was not pushed. With [`publish_every`](Self::publish_every), `Closed` may also
    /// come at a later call; then everything that was not published is lost.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"hello")?;
    /// assert_eq!(&*c.borrow()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn push(&mut self, message: &[u8]) -> Result<()> {
        self.side.push(once(message), Wait::ForEver)
    }

    /// [`push`](Self::push), if there is room now.
    ///
    /// # Errors
    /// `Full`; as [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// while p.try_push(b"again").is_ok() {}
    /// assert_eq!(p.try_push(b"again").unwrap_err().kind(), interproc::ErrorKind::Full);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_push(&mut self, message: &[u8]) -> Result<()> {
        self.side.push(once(message), Wait::Never)
    }

    /// [`push`](Self::push), waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; as [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 64, 24)?;
    /// # let timeout = std::time::Duration::from_millis(1);
    /// p.push_timeout(&[1; 24], timeout)?;
    /// p.push_timeout(&[2; 24], timeout)?;
    /// assert_eq!(p.push_timeout(&[3; 24], timeout).unwrap_err().kind(), interproc::ErrorKind::TimedOut);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<()> {
        self.push_until(message, Deadline::after(timeout))
    }

    /// [`push`](Self::push), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut`; as [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// p.push_until(b"now or never", interproc::Deadline::now())?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_until(&mut self, message: &[u8], deadline: Deadline) -> Result<()> {
        self.side.push(once(message), Wait::Until(deadline))
    }

    /// [`push`](Self::push) of one message that is in several parts.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// use std::io::IoSlice;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push_vectored(&[IoSlice::new(b"head, "), IoSlice::new(b"body")])?;
    /// assert_eq!(&*c.borrow()?, b"head, body");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.push_parts(parts, Wait::ForEver)
    }

    /// [`push_vectored`](Self::push_vectored), if there is room now.
    ///
    /// # Errors
    /// `Full`; as [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # use std::io::IoSlice;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// p.try_push_vectored(&[IoSlice::new(b"head, "), IoSlice::new(b"body")])?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_push_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.push_parts(parts, Wait::Never)
    }

    /// [`push_vectored`](Self::push_vectored), waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; as [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # use std::io::IoSlice;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// p.push_vectored_timeout(&[IoSlice::new(b"a"), IoSlice::new(b"b")], std::time::Duration::from_millis(1))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_vectored_timeout(&mut self, parts: &[IoSlice<'_>], timeout: Duration) -> Result<()> {
        self.push_vectored_until(parts, Deadline::after(timeout))
    }

    /// [`push_vectored`](Self::push_vectored), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut`; as [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # use std::io::IoSlice;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// p.push_vectored_until(&[IoSlice::new(b"a"), IoSlice::new(b"b")], interproc::Deadline::now())?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_vectored_until(&mut self, parts: &[IoSlice<'_>], deadline: Deadline) -> Result<()> {
        self.push_parts(parts, Wait::Until(deadline))
    }

    fn push_parts(&mut self, parts: &[IoSlice<'_>], wait: Wait) -> Result<()> {
        self.side.push(parts.iter().map(|part| &**part), wait)
    }

    /// Publishes only after this many bytes (headers included) have gathered, instead of with every message. Then the cache line
    /// that both sides read moves less often, which helps with many short messages. Until then the consumer sees nothing, and a
    /// death can lose as much. A wait for room, a failed attempt (`Full`), [`flush`](Self::flush), `close` and the drop
    /// publish, too. What has gathered so far is published now.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.publish_every(1024)?;
    /// p.push(b"first")?;
    /// assert!(c.try_borrow().is_err());
    /// p.flush()?;
    /// assert_eq!(&*c.try_borrow()?, b"first");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn publish_every(&mut self, bytes: usize) -> Result<()> {
        self.side.publish_every(bytes)
    }

    /// Publishes what was committed and not yet published.
    ///
    /// # Errors
    /// `Closed`: that is lost, as nobody will read it; `NotOwner`, `Stale`, `TooManyMembers`, as [`reserve`](Self::reserve).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// seg.byte_producer("b", 4096, 1024)?.flush()?; // nothing to do
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn flush(&mut self) -> Result<()> {
        self.side.flush()
    }

    /// Closes the queue for good: the consumer gets what was pushed, then `Closed`.
    ///
    /// # Errors
    /// `Closed` if it was closed before the rest was published; as [`flush`](Self::flush).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"the last")?;
    /// p.close()?;
    /// assert!(p.is_closed() && p.push(b"too late").is_err());
    /// assert_eq!(&*c.borrow()?, b"the last");
    /// assert_eq!(c.borrow().unwrap_err().kind(), interproc::ErrorKind::Closed);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(&mut self) -> Result<()> {
        self.side.close()
    }

    /// Whether it was closed, by either side.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let p = seg.byte_producer("b", 4096, 1024)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert!(!p.is_closed());
    /// c.close()?;
    /// assert!(p.is_closed());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.side.lane().is_closed()
    }

    /// The size of the ring in bytes, headers included. At least what was requested, and twice what the longest message takes.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.byte_producer("b", 100, 1000)?.capacity(), 2 * (8 + 1000));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.side.capacity()
    }

    /// The longest message, in bytes.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// assert_eq!(p.longest(), 1024);
    /// assert_eq!(p.push(&[7; 1025]).unwrap_err().kind(), interproc::ErrorKind::TooLarge);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn longest(&self) -> usize {
        self.side.longest()
    }

    /// The bytes in use: published and not freed, headers and pads included. A snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// p.push(b"five!")?;
    /// assert_eq!(p.len_bytes(), 8 + 8);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn len_bytes(&self) -> usize {
        self.side.len_bytes()
    }

    /// The most bytes in use that the producer has seen: helps to choose a capacity. The producer samples it when it checks how
    /// much the consumer has freed, which it does only when it seems to run out of room.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// while p.try_push(&[7; 1000]).is_ok() {}
    /// while c.try_pop().is_ok() {}
    /// assert!(p.peak() > 3000 && p.len_bytes() == 0); // it ran out of room: a larger capacity would help
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peak(&self) -> usize {
        self.side.peak()
    }

    /// The holder of the consumer's seat, dead or alive: a snapshot. `None` while the seat is vacant.
    ///
    /// # Errors
    /// `InvalidInput` when the segment is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let p = seg.byte_producer("b", 4096, 1024)?;
    /// assert!(p.peer()?.is_none());
    /// let c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert_eq!(p.peer()?.map(|who| who.pid), Some(std::process::id()));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peer(&self) -> Result<Option<Who>> {
        view::who(self.side.lane().address(), self.side.peer())
    }
}

impl fmt::Debug for ByteProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteProducer")
            .field("len_bytes", &self.len_bytes())
            .field("capacity", &self.capacity())
            .field("longest", &self.longest())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Reserved room for a message in the ring: write it here, then [`commit`](Reserved::commit). Dropped, it is aborted: nothing has
/// happened. At first it holds what older messages left there.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.byte_producer("b", 4096, 1024)?;
/// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
/// let mut place = p.reserve(100)?; // at most 100 bytes
/// place[..5].copy_from_slice(b"hello");
/// place.commit_len(5)?; // it became 5
/// drop(p.reserve(100)?); // nothing has happened
/// assert_eq!(c.pop()?, b"hello");
/// assert!(c.is_empty());
/// # Ok::<(), interproc::Error>(())
/// ```
pub type ByteReservation<'a> = Reserved<InSeat<'a>, [u8]>;

/// The place of a guard, reserved by the holder of the producer's seat.
#[derive(Debug)]
pub struct InSeat<'a> {
    side: &'a mut Endpoint<RawByteProducer>,
    _guard: GuardMark,
}

impl<'a> InSeat<'a> {
    /// A guard of what the producer has just reserved.
    #[inline(always)]
    pub(crate) fn guard(
        side: &'a mut Endpoint<RawByteProducer>,
        bytes: NonNull<u8>,
        len: usize,
    ) -> ByteReservation<'a> {
        let guard = GuardMark::at(side.lane().address());
        let place = NonNull::slice_from_raw_parts(bytes, len);
        Reserved::new(InSeat { side, _guard: guard }, place)
    }
}

impl Writing for InSeat<'_> {
    #[inline]
    fn commit(self, len: usize) -> Result<()> {
        self.side.commit(len)
    }
    #[inline]
    fn abort(self) {
        self.side.give_back();
    }
}
