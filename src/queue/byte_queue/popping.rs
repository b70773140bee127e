//! Out of the byte queue.
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
        // The room first: without it the message stays where it is.
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
        let max = into.len();
        let copy = |place, len| {
            // SAFETY: the record is ours while it is copied.
            into[..len].copy_from_slice(unsafe { bytes(place, len) });
            len
        };
        match self.raw.pop_with(self.me()?, max, wait, copy)? {
            Popped::Taken(len, _) => Ok(len),
            Popped::TooLong(needed) => Err(RecvError::too_small(needed, max)),
        }
    }

    /// Takes the first message out, waiting as long as it takes.
    ///
    /// # Errors
    /// `Closed` when closed and drained. `Deadlock`: what is first is a reservation of the calling thread.
    /// `TooManyMembers`. `Corrupt`: somebody wrote over the ring.
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

    /// Takes the first message out, if that is possible now; never waits.
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

    /// Takes the first message out, waiting at most `timeout`.
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

    /// Takes the first message out, waiting until `deadline` at the latest. One in the past: what can be done
    /// now is done.
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

    /// As [`pop`](Self::pop), and says whether an earlier consumer died with the message or put it back,
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

    /// As [`pop`](Self::pop), and says whether an earlier consumer died with the message or put it back, if
    /// that is possible now; never waits.
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

    /// As [`pop`](Self::pop), and says whether an earlier consumer died with the message or put it back,
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

    /// As [`pop`](Self::pop), and says whether an earlier consumer died with the message or put it back,
    /// waiting until `deadline` at the latest. One in the past: what can be done now is done.
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

    /// Takes the first message out into a buffer; says how long it is, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`pop`](Self::pop); and `TooLarge`: the buffer is too small. Then the message stays first, and the
    /// error says [how long it is](RecvError::needed).
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

    /// Takes the first message out into a buffer; says how long it is, if that is possible now; never waits.
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

    /// Takes the first message out into a buffer; says how long it is, waiting at most `timeout`.
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

    /// Takes the first message out into a buffer; says how long it is, waiting until `deadline` at the
    /// latest. One in the past: what can be done now is done.
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

    /// Claims the first message, to be read where it lies, waiting as long as it takes.
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

    /// Claims the first message, to be read where it lies, if that is possible now; never waits.
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

    /// Claims the first message, to be read where it lies, waiting at most `timeout`.
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

    /// Claims the first message, to be read where it lies, waiting until `deadline` at the latest. One in the
    /// past: what can be done now is done.
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

    /// The messages as they come, until the queue is closed and drained. Waits for each as long as it takes.
    /// Ends at any
    /// other error, too.
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

    /// The messages that are there, until there is none. Never waits; may go on for ever while others push.
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

    /// Takes out what is there now: as many messages as there are at the call, or fewer if others take some.
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
