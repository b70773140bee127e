//! [`ByteConsumer`]: the consumer of a byte lane.
#![allow(unsafe_code)]

use super::{Found, RawByteConsumer, RecvError};
use crate::counted::Keep;
use crate::error::Result;
use crate::member::{GuardMark, Who, view};
use crate::queue::endpoint::Endpoint;
use crate::queue::guard::{Borrowed, Reading};
use crate::queue::iter::{self, Popping};
use crate::queue::{Delivery, Lane};
use crate::time::{Deadline, Wait};
use core::fmt;
use core::ptr::NonNull;
use core::time::Duration;
use std::vec::Vec;

/// The one consumer of a queue of messages of any length, from whoever is its [`ByteProducer`](super::ByteProducer).
///
/// Created or found by [`Segment::byte_consumer`](crate::Segment::byte_consumer). It holds the consumer's *seat*: while it and
/// the thread that uses it live, nobody else gets one. It may move to another thread of the process, at the cost of one
/// compare-and-swap at its next use there. Dropped, it leaves the seat; unread messages stay in the queue.
///
/// *A message* is read in place ([`borrow`](Self::borrow)) or copied out ([`pop_into`](Self::pop_into),
/// [`pop`](Self::pop)). Messages come in the order in which they were pushed, each once.
///
/// *If the consumer dies*, nothing is lost: the next one takes over the seat and begins with what was not freed. A message that
/// the dead consumer may have read is flagged ([`ByteMessage::is_redelivered`](Borrowed::is_redelivered)). By default that is
/// at most one message, the one that was being read. *If the producer dies*, what it had published is delivered; a waiting
/// consumer goes on waiting, for the next producer.
///
/// *Ordering*: the reader of a message sees everything that happened before it was published. *Fork*: the seat is the parent's;
/// in a child every operation fails with `NotOwner`, and dropping the copy does nothing. *Signals*: not to be used in a
/// handler; signals do not end a wait. *Cost*: one release store a message, no read-modify-write, no system call unless
/// somebody sleeps.
///
/// *Trust*: headers are checked, so whatever a peer writes, no byte outside of the ring is touched; impossible headers are
/// `Corrupt`. But a peer that breaks the protocol can change a message while it is read in place. If you do not trust a peer,
/// copy its messages out first, then look at the copy.
///
/// # Examples
/// ```
/// use interproc::Segment;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let mut producer = seg.byte_producer("lines", 4096, 1024)?;
/// let mut consumer = seg.byte_consumer("lines", 4096, 1024)?;
/// producer.push(b"one")?;
/// producer.push(b"two")?;
/// producer.close()?;
/// {
///     let message = consumer.borrow()?; // in place
///     assert_eq!(&*message, b"one");
/// } // now its room is free
/// assert_eq!(consumer.iter().collect::<Vec<_>>(), [b"two"]);
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct ByteConsumer {
    side: Endpoint<RawByteConsumer>,
    /// Keeps the segment mapped.
    segment: Keep,
}

impl ByteConsumer {
    /// A handle on a seat in a segment that `segment` keeps mapped.
    pub(crate) fn from_raw(raw: RawByteConsumer, segment: Keep) -> Self {
        ByteConsumer { side: Endpoint::new(raw), segment }
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (Lane, Keep) {
        (*self.side.lane(), self.segment.clone())
    }

    /// Borrows the next message, to be read in place, waiting for one as long as it takes. Its room is free once it is dropped.
    ///
    /// # Errors
    /// `Closed` when closed and drained; `NotOwner` in a forked child; `Stale` if the thread that held the seat died and
    /// another consumer has taken over; `Corrupt` for an impossible header or count; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"hello")?;
    /// let message = c.borrow()?;
    /// assert!(message.starts_with(b"he") && !message.is_redelivered());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn borrow(&mut self) -> Result<ByteMessage<'_>> {
        self.borrow_by(Wait::ForEver)
    }

    /// [`borrow`](Self::borrow), if there is a message now.
    ///
    /// # Errors
    /// `Empty`; as [`borrow`](Self::borrow).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert_eq!(c.try_borrow().unwrap_err().kind(), interproc::ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_borrow(&mut self) -> Result<ByteMessage<'_>> {
        self.borrow_by(Wait::Never)
    }

    /// [`borrow`](Self::borrow), waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; as [`borrow`](Self::borrow).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// let nothing = c.borrow_timeout(std::time::Duration::from_millis(1));
    /// assert_eq!(nothing.unwrap_err().kind(), interproc::ErrorKind::TimedOut);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<ByteMessage<'_>> {
        self.borrow_until(Deadline::after(timeout))
    }

    /// [`borrow`](Self::borrow), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut`; as [`borrow`](Self::borrow).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"")?;
    /// assert!(c.borrow_until(interproc::Deadline::now())?.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow_until(&mut self, deadline: Deadline) -> Result<ByteMessage<'_>> {
        self.borrow_by(Wait::Until(deadline))
    }

    #[inline(always)]
    fn borrow_by(&mut self, wait: Wait) -> Result<ByteMessage<'_>> {
        let found = self.side.borrow(wait)?;
        Ok(InSeat::guard(&mut self.side, found))
    }

    /// Copies the next message into `buffer`, waiting for one as long as it takes. Returns its length.
    ///
    /// # Errors
    /// `TooLarge` if it is longer than `buffer`: [`RecvError::needed`] says how long it is, and it stays in the queue. Else
    /// as [`borrow`](Self::borrow).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"a long message")?;
    /// let e = c.pop_into(&mut [0; 4]).unwrap_err();
    /// let mut buffer = vec![0; e.needed().unwrap()];
    /// assert_eq!(c.pop_into(&mut buffer)?, 14);
    /// assert_eq!(buffer, b"a long message");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn pop_into(&mut self, buffer: &mut [u8]) -> core::result::Result<usize, RecvError> {
        self.pop_into_by(buffer, Wait::ForEver)
    }

    /// [`pop_into`](Self::pop_into), if there is a message now.
    ///
    /// # Errors
    /// `Empty`; as [`pop_into`](Self::pop_into).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert_eq!(c.try_pop_into(&mut [0; 9]).unwrap_err().kind(), interproc::ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_pop_into(&mut self, buffer: &mut [u8]) -> core::result::Result<usize, RecvError> {
        self.pop_into_by(buffer, Wait::Never)
    }

    /// [`pop_into`](Self::pop_into), waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; as [`pop_into`](Self::pop_into).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert!(c.pop_into_timeout(&mut [0; 9], std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_into_timeout(
        &mut self,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> core::result::Result<usize, RecvError> {
        self.pop_into_until(buffer, Deadline::after(timeout))
    }

    /// [`pop_into`](Self::pop_into), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut`; as [`pop_into`](Self::pop_into).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert!(c.pop_into_until(&mut [0; 9], interproc::Deadline::now()).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_into_until(
        &mut self,
        buffer: &mut [u8],
        deadline: Deadline,
    ) -> core::result::Result<usize, RecvError> {
        self.pop_into_by(buffer, Wait::Until(deadline))
    }

    /// Pops the next message into a buffer, waiting as long as `wait` says: its length, and whether it is delivered again.
    ///
    /// # Errors
    /// As [`pop_into`](Self::pop_into), and `Empty` or `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// use interproc::Wait;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"hello")?;
    /// let got = c.pop_into_delivery(&mut [0; 64], Wait::Never)?;
    /// assert_eq!((got.value, got.redelivered), (5, false));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline(always)]
    pub fn pop_into_delivery(
        &mut self,
        buffer: &mut [u8],
        wait: Wait,
    ) -> core::result::Result<Delivery<usize>, RecvError> {
        // SAFETY: the buffer has this size.
        let (value, redelivered) = unsafe { self.side.pop_into(buffer.as_mut_ptr(), buffer.len(), wait) }?;
        if value > buffer.len() {
            return Err(RecvError::too_small(value, buffer.len()));
        }
        Ok(Delivery { value, redelivered })
    }

    #[inline(always)]
    fn pop_into_by(&mut self, buffer: &mut [u8], wait: Wait) -> core::result::Result<usize, RecvError> {
        Ok(self.pop_into_delivery(buffer, wait)?.value)
    }

    /// The next message, copied, waiting for one as long as it takes.
    ///
    /// # Errors
    /// As [`borrow`](Self::borrow).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"hello")?;
    /// assert_eq!(c.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop(&mut self) -> Result<Vec<u8>> {
        self.borrow()?.into_vec()
    }

    /// The next message, copied, if there is one now.
    ///
    /// # Errors
    /// As [`try_borrow`](Self::try_borrow).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert_eq!(c.try_pop().unwrap_err().kind(), interproc::ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_pop(&mut self) -> Result<Vec<u8>> {
        self.try_borrow()?.into_vec()
    }

    /// [`pop`](Self::pop), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`borrow_timeout`](Self::borrow_timeout).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert!(c.pop_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>> {
        self.borrow_timeout(timeout)?.into_vec()
    }

    /// [`pop`](Self::pop), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`borrow_until`](Self::borrow_until).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert!(c.pop_until(interproc::Deadline::now()).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_until(&mut self, deadline: Deadline) -> Result<Vec<u8>> {
        self.borrow_until(deadline)?.into_vec()
    }

    /// Pops message after message, waiting for each, until the queue is closed and drained. Any other error ends the loop, too;
    /// then [`borrow`](Self::borrow) says which.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"one")?;
    /// p.close()?;
    /// for message in c.iter() {
    ///     assert_eq!(message, b"one");
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn iter(&mut self) -> ByteIter<'_> {
        iter::Iter(self)
    }

    /// Pops messages as long as there are any. Beside a fast producer it may go on for ever.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"one")?;
    /// assert_eq!(c.try_iter().count(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_iter(&mut self) -> ByteTryIter<'_> {
        iter::TryIter(self)
    }

    /// Pops the messages that are there now, and none that comes later. Those that the loop does not reach stay.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// p.push(b"one")?;
    /// let mut drain = c.drain();
    /// p.push(b"two")?;
    /// assert_eq!(drain.next().as_deref(), Some(&b"one"[..]));
    /// assert_eq!(drain.next(), None);
    /// assert_eq!(c.drain().count(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn drain(&mut self) -> ByteDrain<'_> {
        iter::Drain::new(self)
    }

    /// Frees only after this many bytes (headers included) were read, instead of with every message. Then the cache line that
    /// both sides read moves less often, which helps with many short messages. Until then the producer has less room, and
    /// after a death as much may be delivered again, flagged. A wait, a failed attempt, [`flush`](Self::flush) and the drop
    /// free, too. At most the capacity.
    ///
    /// # Errors
    /// `NotOwner`, `Stale`, `TooManyMembers`, as [`borrow`](Self::borrow).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// c.free_every(1024)?;
    /// p.push(b"first")?;
    /// drop(c.borrow()?);
    /// assert_eq!(c.len_bytes(), 16); // read, not freed yet
    /// c.flush()?;
    /// assert_eq!(c.len_bytes(), 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn free_every(&mut self, bytes: usize) -> Result<()> {
        self.side.free_every(bytes)
    }

    /// Frees what was read and not yet freed.
    ///
    /// # Errors
    /// As [`free_every`](Self::free_every).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// seg.byte_consumer("b", 4096, 1024)?.flush()?; // nothing to do
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn flush(&mut self) -> Result<()> {
        self.side.flush()
    }

    /// Closes the queue for good: pushes fail from now on, what is there can still be read. A push that races with the close
    /// either succeeds, and is then delivered, or fails.
    ///
    /// # Errors
    /// As [`free_every`](Self::free_every).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let (mut p, mut c) = (seg.byte_producer("b", 4096, 1024)?, seg.byte_consumer("b", 4096, 1024)?);
    /// c.close()?;
    /// assert_eq!(p.push(b"hello").unwrap_err().kind(), interproc::ErrorKind::Closed);
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
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// p.push(b"hello")?;
    /// p.close()?;
    /// assert!(c.is_closed());
    /// assert_eq!(c.pop()?, b"hello"); // what is there can still be popped
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.side.lane().is_closed()
    }

    /// The size of the ring in bytes, headers included: see [`ByteProducer::capacity`](super::ByteProducer::capacity).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let c = seg.byte_consumer("b", 4096, 1024)?;
    /// assert_eq!(c.capacity(), 4096);
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
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// let mut buffer = vec![0; c.longest()]; // any message fits
    /// # drop(c.try_pop_into(&mut buffer));
    /// assert_eq!(buffer.len(), 1024);
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
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// p.push(b"five!")?;
    /// assert_eq!(c.len_bytes(), 8 + 8);
    /// drop(c.borrow()?);
    /// assert_eq!(c.len_bytes(), 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn len_bytes(&self) -> usize {
        self.side.len_bytes()
    }

    /// Whether there is nothing in it: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert!(seg.byte_consumer("b", 4096, 1024)?.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.side.lane().is_empty()
    }

    /// The most bytes in use that the producer has seen: see [`ByteProducer::peak`](super::ByteProducer::peak).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.byte_producer("b", 4096, 1024)?;
    /// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
    /// while p.try_push(&[7; 1000]).is_ok() {}
    /// while c.try_pop().is_ok() {}
    /// assert!(c.peak() > 3000 && c.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peak(&self) -> usize {
        self.side.peak()
    }

    /// The holder of the producer's seat, dead or alive: a snapshot. `None` while the seat is vacant.
    ///
    /// # Errors
    /// `InvalidInput` when the segment is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert!(seg.byte_consumer("b", 4096, 1024)?.peer()?.is_none());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peer(&self) -> Result<Option<Who>> {
        view::who(self.side.lane().address(), self.side.peer())
    }
}

impl fmt::Debug for ByteConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteConsumer")
            .field("len_bytes", &self.len_bytes())
            .field("capacity", &self.capacity())
            .field("longest", &self.longest())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// A borrowed message, read in the ring. Dropped, it is released: it is done and its room is free. Dropped *by a panic* it is not:
/// as after a death it is the next message again, flagged [`is_redelivered`](Borrowed::is_redelivered).
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.byte_producer("b", 4096, 1024)?;
/// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
/// p.push(b"one line")?;
/// let line = c.borrow()?; // no copy
/// assert!(line.starts_with(b"one") && !line.is_redelivered());
/// drop(line); // done
/// assert!(c.is_empty());
/// # Ok::<(), interproc::Error>(())
/// ```
pub type ByteMessage<'a> = Borrowed<InSeat<'a>, [u8]>;

/// The message of a guard, borrowed by the holder of the consumer's seat.
#[derive(Debug)]
pub struct InSeat<'a> {
    side: &'a mut Endpoint<RawByteConsumer>,
    _guard: GuardMark,
}

impl<'a> InSeat<'a> {
    /// A guard of the message that the consumer has found.
    #[inline(always)]
    pub(crate) fn guard(
        side: &'a mut Endpoint<RawByteConsumer>,
        (found, redelivered): (Found, bool),
    ) -> ByteMessage<'a> {
        let guard = GuardMark::at(side.lane().address());
        let place = NonNull::slice_from_raw_parts(found.bytes, found.len);
        Borrowed::new(InSeat { side, _guard: guard }, place, redelivered)
    }
}

impl Reading for InSeat<'_> {
    #[inline]
    fn release(self) {
        let _ = self.side.end();
    }
    fn give_up(self) {
        let _ = self.side.give_up();
    }
    fn put_back(self) -> Result<()> {
        self.side.put_back()
    }
}

/// Messages until the end: see [`ByteConsumer::iter`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.byte_producer("b", 4096, 1024)?;
/// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
/// p.push(b"one")?;
/// p.push(b"another")?;
/// p.close()?;
/// assert_eq!(c.iter().map(|line| line.len()).sum::<usize>(), 10);
/// # Ok::<(), interproc::Error>(())
/// ```
pub type ByteIter<'a> = iter::Iter<&'a mut ByteConsumer>;

/// Messages that are there: see [`ByteConsumer::try_iter`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.byte_producer("b", 4096, 1024)?;
/// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
/// p.push(b"one")?;
/// let mut lines = c.try_iter();
/// assert_eq!(lines.next().as_deref(), Some(&b"one"[..]));
/// assert_eq!(lines.next(), None);
/// # Ok::<(), interproc::Error>(())
/// ```
pub type ByteTryIter<'a> = iter::TryIter<&'a mut ByteConsumer>;

/// Messages that were there: see [`ByteConsumer::drain`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.byte_producer("b", 4096, 1024)?;
/// # let mut c = seg.byte_consumer("b", 4096, 1024)?;
/// p.push(b"one")?;
/// let lines = c.drain();
/// p.push(b"another")?; // not of this round
/// assert_eq!(lines.count(), 1);
/// assert_eq!(c.pop()?, b"another");
/// # Ok::<(), interproc::Error>(())
/// ```
pub type ByteDrain<'a> = iter::Drain<&'a mut ByteConsumer>;

impl Popping for &mut ByteConsumer {
    type Item = Vec<u8>;
    fn pop_next(&mut self) -> Result<Vec<u8>> {
        self.pop()
    }
    fn try_pop_next(&mut self) -> Result<Vec<u8>> {
        self.try_pop()
    }
    /// Up to where the producer has published: the messages are not counted.
    fn there(&self) -> u64 {
        self.side.published()
    }
    fn is_left(&mut self, end: &mut u64) -> bool {
        !self.side.is_at(*end)
    }
    fn most_left(_: u64) -> Option<usize> {
        None
    }
}

impl<'a> IntoIterator for &'a mut ByteConsumer {
    type Item = Vec<u8>;
    type IntoIter = ByteIter<'a>;
    fn into_iter(self) -> ByteIter<'a> {
        self.iter()
    }
}
