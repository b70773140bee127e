//! Reading from the byte queue.
#![allow(unsafe_code)]

use super::guard::{Message, Record};
use super::handle::ByteQueue;
use super::raw::Popped;
use crate::error::{Error, Result};
use crate::queue::iter::{self, Popping};
use crate::queue::{Delivery, RecvError};
use crate::time::Deadline;
use crate::time::Wait;
use core::cell::Cell;
use core::time::Duration;
use std::vec::Vec;

/// The bytes of a message that a pop may copy.
///
/// # Safety
/// `len` bytes at `place`, in a record that the caller owns.
#[inline(always)]
unsafe fn bytes<'a>(place: *const u8, len: usize) -> &'a [u8] {
    // SAFETY: by the contract; bytes are always initialised in shared memory.
    unsafe { core::slice::from_raw_parts(place, len) }
}

impl ByteQueue {
    fn borrow_by(&self, wait: Wait) -> Result<Message<'_>> {
        let me = self.me()?;
        let claim = self.raw.borrow(me, wait)?;
        Ok(Record::borrowed(&self.raw, me, claim))
    }

    fn pop_by(&self, wait: Wait) -> Result<Delivery<Vec<u8>>> {
        let list = Cell::new(Vec::new());
        // Memory first: without it the message stays in the queue.
        let fits = |len| {
            let mut room = list.take();
            let fits = room.try_reserve_exact(len).is_ok();
            list.set(room);
            fits
        };
        let copy = |place, len| {
            let mut copy = list.take();
            // SAFETY: the record is ours while it is copied.
            copy.extend_from_slice(unsafe { bytes(place, len) });
            copy
        };
        match self.raw.pop_fitting(self.me()?, fits, wait, copy)? {
            Popped::Taken(value, redelivered) => Ok(Delivery { value, redelivered }),
            Popped::TooLong(_) => Err(Error::no_memory()),
        }
    }

    fn pop_value_by(&self, wait: Wait) -> Result<Vec<u8>> {
        Ok(self.pop_by(wait)?.value)
    }

    fn pop_into_by(&self, into: &mut [u8], wait: Wait) -> core::result::Result<usize, RecvError> {
        Ok(self.pop_into_delivery(into, wait)?.value)
    }

    /// Pops the first message, waiting as long as it takes.
    ///
    /// # Errors
    /// `Closed` when closed and drained. `Deadlock`: the first record is a reservation of the calling thread.
    /// `TooManyMembers`. `Corrupt`: somebody overwrote the ring.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop(&self) -> Result<Vec<u8>> {
        self.pop_value_by(Wait::ForEver)
    }

    /// Pops the first message, if there is one now; never waits.
    ///
    /// # Errors
    /// As [`pop`](Self::pop), and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(q.try_pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_pop(&self) -> Result<Vec<u8>> {
        self.pop_value_by(Wait::Never)
    }

    /// Pops the first message, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`pop`](Self::pop), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(q.pop_timeout(std::time::Duration::from_secs(1))?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_timeout(&self, timeout: Duration) -> Result<Vec<u8>> {
        self.pop_value_by(Wait::Until(Deadline::after(timeout)))
    }

    /// Pops the first message, waiting until `deadline` at the latest. If it has passed, the call does what
    /// it can do now.
    ///
    /// # Errors
    /// As [`pop`](Self::pop), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(q.pop_until(interproc::Deadline::now())?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_until(&self, deadline: Deadline) -> Result<Vec<u8>> {
        self.pop_value_by(Wait::Until(deadline))
    }

    /// As [`pop`](Self::pop), and tells whether the message is delivered again,
    /// waiting as long as it takes.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// let got = q.pop_delivery()?;
    /// assert!(got.value == b"hello" && !got.redelivered);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_delivery(&self) -> Result<Delivery<Vec<u8>>> {
        self.pop_by(Wait::ForEver)
    }

    /// As [`pop`](Self::pop), and tells whether the message is delivered again, if there is one now; never waits.
    ///
    /// # Errors
    /// As [`pop_delivery`](Self::pop_delivery), and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// let got = q.try_pop_delivery()?;
    /// assert!(got.value == b"hello" && !got.redelivered);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_pop_delivery(&self) -> Result<Delivery<Vec<u8>>> {
        self.pop_by(Wait::Never)
    }

    /// As [`pop`](Self::pop), and tells whether the message is delivered again,
    /// waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`pop_delivery`](Self::pop_delivery), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// let got = q.pop_delivery_timeout(std::time::Duration::from_secs(1))?;
    /// assert!(got.value == b"hello" && !got.redelivered);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_delivery_timeout(&self, timeout: Duration) -> Result<Delivery<Vec<u8>>> {
        self.pop_by(Wait::Until(Deadline::after(timeout)))
    }

    /// As [`pop`](Self::pop), and tells whether the message is delivered again,
    /// waiting until `deadline` at the latest. If it has passed, the call does what it can do now.
    ///
    /// # Errors
    /// As [`pop_delivery`](Self::pop_delivery), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// let got = q.pop_delivery_until(interproc::Deadline::now())?;
    /// assert!(got.value == b"hello" && !got.redelivered);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_delivery_until(&self, deadline: Deadline) -> Result<Delivery<Vec<u8>>> {
        self.pop_by(Wait::Until(deadline))
    }

    /// Pops the first message into a buffer and returns its length, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`pop`](Self::pop); and `TooLarge`: the buffer is too small. The message stays the first one, and
    /// the error says [how long it is](RecvError::needed).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// let mut buffer = [0; 64];
    /// let len = q.pop_into(&mut buffer)?;
    /// assert_eq!(&buffer[..len], b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_into(&self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
        self.pop_into_by(into, Wait::ForEver)
    }

    /// Pops the first message into a buffer and returns its length, if there is one now; never waits.
    ///
    /// # Errors
    /// As [`pop_into`](Self::pop_into), and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// let mut buffer = [0; 64];
    /// let len = q.try_pop_into(&mut buffer)?;
    /// assert_eq!(&buffer[..len], b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_pop_into(&self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
        self.pop_into_by(into, Wait::Never)
    }

    /// Pops the first message into a buffer and returns its length, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`pop_into`](Self::pop_into), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// let mut buffer = [0; 64];
    /// let len = q.pop_into_timeout(&mut buffer, std::time::Duration::from_secs(1))?;
    /// assert_eq!(&buffer[..len], b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_into_timeout(
        &self,
        into: &mut [u8],
        timeout: Duration,
    ) -> core::result::Result<usize, RecvError> {
        self.pop_into_by(into, Wait::Until(Deadline::after(timeout)))
    }

    /// Pops the first message into a buffer and returns its length, waiting until `deadline` at the
    /// latest. If it has passed, the call does what it can do now.
    ///
    /// # Errors
    /// As [`pop_into`](Self::pop_into), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// let mut buffer = [0; 64];
    /// let len = q.pop_into_until(&mut buffer, interproc::Deadline::now())?;
    /// assert_eq!(&buffer[..len], b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_into_until(
        &self,
        into: &mut [u8],
        deadline: Deadline,
    ) -> core::result::Result<usize, RecvError> {
        self.pop_into_by(into, Wait::Until(deadline))
    }

    /// Pops the first message into a buffer, waiting as long as `wait` says: its length, and whether it is delivered again.
    ///
    /// # Errors
    /// As [`pop_into`](Self::pop_into), and `Empty` or `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// use interproc::Wait;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// q.borrow()?.put_back();
    /// let got = q.pop_into_delivery(&mut [0; 64], Wait::Never)?;
    /// assert_eq!((got.value, got.redelivered), (5, true));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_into_delivery(
        &self,
        into: &mut [u8],
        wait: Wait,
    ) -> core::result::Result<Delivery<usize>, RecvError> {
        let max = into.len();
        let copy = |place, len| {
            // SAFETY: the record is ours while it is copied.
            into[..len].copy_from_slice(unsafe { bytes(place, len) });
            len
        };
        match self.raw.pop_with(self.me()?, max, wait, copy)? {
            Popped::Taken(value, redelivered) => Ok(Delivery { value, redelivered }),
            Popped::TooLong(needed) => Err(RecvError::too_small(needed, max)),
        }
    }

    /// Borrows the first message, to be read in place, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(&*q.borrow()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow(&self) -> Result<Message<'_>> {
        self.borrow_by(Wait::ForEver)
    }

    /// Borrows the first message, to be read in place, if there is one now; never waits.
    ///
    /// # Errors
    /// As [`borrow`](Self::borrow), and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(&*q.try_borrow()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_borrow(&self) -> Result<Message<'_>> {
        self.borrow_by(Wait::Never)
    }

    /// Borrows the first message, to be read in place, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`borrow`](Self::borrow), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(&*q.borrow_timeout(std::time::Duration::from_secs(1))?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow_timeout(&self, timeout: Duration) -> Result<Message<'_>> {
        self.borrow_by(Wait::Until(Deadline::after(timeout)))
    }

    /// Borrows the first message, to be read in place, waiting until `deadline` at the latest. If it has
    /// passed, the call does what it can do now.
    ///
    /// # Errors
    /// As [`borrow`](Self::borrow), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(&*q.borrow_until(interproc::Deadline::now())?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow_until(&self, deadline: Deadline) -> Result<Message<'_>> {
        self.borrow_by(Wait::Until(deadline))
    }

    /// Pops messages as they come, until the queue is closed and drained. Waits for each as long as it takes. Any other error
    /// ends the loop, too.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"a")?;
    /// q.push(b"b")?;
    /// q.close()?;
    /// assert_eq!(q.iter().collect::<Vec<_>>(), [b"a", b"b"]);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn iter(&self) -> Iter<'_> {
        iter::Iter(self)
    }

    /// Pops messages as long as there are any. Never waits; may go on for ever while others push.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"a")?;
    /// assert_eq!(q.try_iter().count(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_iter(&self) -> TryIter<'_> {
        iter::TryIter(self)
    }

    /// Pops as many messages as are in the queue at the call, or fewer if others take some.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"a")?;
    /// q.push(b"b")?;
    /// assert_eq!(q.drain().collect::<Vec<_>>(), [b"a", b"b"]);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn drain(&self) -> Drain<'_> {
        iter::Drain::new(self)
    }
}

/// Messages until the end: see [`ByteQueue::iter`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.byte_queue("q", 1024, 64)?;
/// q.push(b"a")?;
/// q.close()?;
/// for message in &q {
///     assert_eq!(message, b"a");
/// }
/// # Ok::<(), interproc::Error>(())
/// ```
pub type Iter<'a> = iter::Iter<&'a ByteQueue>;

/// Messages that are there: see [`ByteQueue::try_iter`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.byte_queue("q", 1024, 64)?;
/// let mut messages = q.try_iter();
/// assert_eq!(messages.next(), None);
/// q.push(b"a")?;
/// assert_eq!(messages.next().as_deref(), Some(&b"a"[..]));
/// # Ok::<(), interproc::Error>(())
/// ```
pub type TryIter<'a> = iter::TryIter<&'a ByteQueue>;

/// Messages that were there: see [`ByteQueue::drain`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.byte_queue("q", 1024, 64)?;
/// q.push(b"a")?;
/// let messages = q.drain();
/// q.push(b"b")?; // not of this round
/// assert_eq!(messages.count(), 1);
/// # Ok::<(), interproc::Error>(())
/// ```
pub type Drain<'a> = iter::Drain<&'a ByteQueue>;

impl Popping for &ByteQueue {
    type Item = Vec<u8>;
    fn pop_next(&mut self) -> Result<Vec<u8>> {
        self.pop()
    }
    fn try_pop_next(&mut self) -> Result<Vec<u8>> {
        self.try_pop()
    }
    fn there(&self) -> u64 {
        self.len() as u64
    }
}

impl<'a> IntoIterator for &'a ByteQueue {
    type Item = Vec<u8>;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
