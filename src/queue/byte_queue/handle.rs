//! [`ByteQueue`]: the handle of a byte ring in a segment.
#![allow(unsafe_code)]

use super::guard::{Message, Reservation};
use super::raw::{Limit, Popped, RawByteQueue};
use crate::error::{Error, ErrorKind, Result};
use crate::member::{self, Member, Who};
use crate::queue::Delivery;
use crate::time::Deadline;
use core::any::Any;
use core::fmt;
use core::time::Duration;
use std::io::IoSlice;
use std::sync::Arc;
use std::vec::Vec;

/// A bounded first-in-first-out queue of messages of any length between any processes: many producers, many consumers.
///
/// Made or found by [`Segment::byte_queue`](crate::Segment::byte_queue). The handle is cheap to clone and may be used by
/// any thread; a forked child may go on using it.
///
/// A message is copied in and out ([`push`](Self::push), [`pop`](Self::pop), [`pop_into`](Self::pop_into)), or written and
/// read where it lies, without a copy ([`reserve`](Self::reserve), [`receive`](Self::receive)).
///
/// *Room*: a message takes its length, rounded up to granules of 64 bytes (larger ones where messages may
/// be longer than about 500 KB or the queue than 1 GiB), and lies in one piece: at the end of the ring some granules may
/// stay unused. Messages of one small size are cheaper in a [`Queue`](crate::queue::Queue). While the longest messages
/// wait for room, shorter ones may pass.
///
/// *When somebody dies* inside an operation, nobody else is held up: what a producer had not finished is dropped and its
/// room is free, what it had pushed is delivered, what a consumer was reading is delivered again and flagged. A
/// message that a consumer had popped when it died is gone with it. Sleepers are woken by the kernel's notice, not
/// by polling.
///
/// *Ordering*: a pop sees everything that happened before the push of its message. Messages come out in the order in
/// which their room was claimed, each producer's in the order of its pushes. `len`, `is_empty`, `is_full` and the byte
/// counts are snapshots. *Signals*: not to be used in a handler. *Cost*: a push or pop without waiting makes no system
/// call and allocates nothing (but the `Vec` of [`pop`](Self::pop)).
///
/// A live but *stopped* process in the middle of an operation, or a reservation that is not finished, holds up the
/// others behind it: [`ByteQueue::blocker`] names it.
///
/// Algorithm: see [`RawByteQueue`].
///
/// # Examples
/// ```
/// use interproc::Segment;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let log = seg.byte_queue("log", 16 << 10, 1024)?; // 16 KiB of messages of up to 1 KiB
/// log.push(b"hello")?;
/// log.push(b"a longer one")?;
/// log.close()?;
/// assert_eq!(log.pop()?, b"hello");
/// assert_eq!(&*log.receive()?, b"a longer one");
/// assert!(log.pop().is_err()); // closed and drained
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone)]
pub struct ByteQueue {
    raw: RawByteQueue,
    /// Keeps the segment mapped.
    _segment: Arc<dyn Any + Send + Sync>,
}

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
    /// A handle on a ring in a segment that `segment` keeps mapped.
    pub(crate) fn from_raw(raw: RawByteQueue, segment: Arc<dyn Any + Send + Sync>) -> Self {
        ByteQueue { raw, _segment: segment }
    }

    #[inline(always)]
    fn me(&self) -> Result<&Member> {
        member::current(self.raw.ring().address())
    }

    #[inline(always)]
    fn push_by(&self, message: &[u8], limit: Limit) -> Result<()> {
        // SAFETY: the record is ours and has room for the message.
        let fill = |p: *mut u8| unsafe { p.copy_from_nonoverlapping(message.as_ptr(), message.len()) };
        self.raw.push_with(self.me()?, message.len(), limit, fill)
    }

    fn push_vectored_by(&self, parts: &[IoSlice<'_>], limit: Limit) -> Result<()> {
        let len = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.len()));
        let fill = |mut p: *mut u8| {
            for part in parts {
                // SAFETY: the record is ours and has room for all parts.
                unsafe {
                    p.copy_from_nonoverlapping(part.as_ptr(), part.len());
                    p = p.add(part.len());
                }
            }
        };
        self.raw.push_with(self.me()?, len.ok_or(ErrorKind::TooLarge)?, limit, fill)
    }

    fn reserve_by(&self, len: usize, limit: Limit) -> Result<Reservation<'_>> {
        let me = self.me()?;
        let claim = self.raw.reserve(me, len, limit)?;
        Ok(Reservation::new(&self.raw, me, claim, len))
    }

    fn receive_by(&self, limit: Limit) -> Result<Message<'_>> {
        let me = self.me()?;
        let claim = self.raw.receive(me, limit)?;
        Ok(Message::new(&self.raw, me, claim))
    }

    fn pop_by(&self, limit: Limit) -> Result<Delivery<Vec<u8>>> {
        // SAFETY: the record is ours while it is copied.
        let copy = |place, len| unsafe { bytes(place, len) }.to_vec();
        match self.raw.pop_with(self.me()?, usize::MAX, limit, copy)? {
            Popped::Taken(value, redelivered) => Ok(Delivery { value, redelivered }),
            Popped::TooLong(_) => Err(ErrorKind::Corrupt.into()),
        }
    }

    fn pop_value_by(&self, limit: Limit) -> Result<Vec<u8>> {
        Ok(self.pop_by(limit)?.value)
    }

    fn pop_into_by(&self, into: &mut [u8], limit: Limit) -> core::result::Result<usize, PopIntoError> {
        let max = into.len();
        let copy = |place, len| {
            // SAFETY: the record is ours while it is copied.
            into[..len].copy_from_slice(unsafe { bytes(place, len) });
            len
        };
        match self.raw.pop_with(self.me()?, max, limit, copy)? {
            Popped::Taken(len, _) => Ok(len),
            Popped::TooLong(needed) => {
                Err(PopIntoError { error: ErrorKind::TooLarge.into(), needed: Some(needed) })
            }
        }
    }

    /// Copies a message in, waiting as long as it takes.
    ///
    /// # Errors
    /// `TooLarge`: longer than [`max_message`](Self::max_message). `Closed`. `Deadlock`: the calling thread itself holds the message or reservation whose room is needed. `TooManyMembers`. `Corrupt`: somebody wrote over the ring.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push(&self, message: &[u8]) -> Result<()> {
        self.push_by(message, Limit::ForEver)
    }

    /// Copies a message in, if that is possible now; never waits.
    ///
    /// # Errors
    /// As [`push`](Self::push), and `Full`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.try_push(b"hello")?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_push(&self, message: &[u8]) -> Result<()> {
        self.push_by(message, Limit::Never)
    }

    /// Copies a message in, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`push`](Self::push), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push_timeout(b"hello", std::time::Duration::from_secs(1))?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_timeout(&self, message: &[u8], timeout: Duration) -> Result<()> {
        self.push_by(message, Limit::Until(Deadline::after(timeout)))
    }

    /// Copies a message in, waiting until `deadline` at the latest. One in the past: what can be done now is done.
    ///
    /// # Errors
    /// As [`push`](Self::push), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push_until(b"hello", interproc::Deadline::now())?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_until(&self, message: &[u8], deadline: Deadline) -> Result<()> {
        self.push_by(message, Limit::Until(deadline))
    }

    /// Copies one message in that lies in several parts, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// use std::io::IoSlice;
    /// let (head, body) = (7u32.to_le_bytes(), *b"body");
    /// q.push_vectored(&[IoSlice::new(&head), IoSlice::new(&body)])?;
    /// assert_eq!(q.pop()?, b"\x07\0\0\0body");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_vectored(&self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.push_vectored_by(parts, Limit::ForEver)
    }

    /// Copies one message in that lies in several parts, if that is possible now; never waits.
    ///
    /// # Errors
    /// As [`push_vectored`](Self::push_vectored), and `Full`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// use std::io::IoSlice;
    /// let (head, body) = (7u32.to_le_bytes(), *b"body");
    /// q.try_push_vectored(&[IoSlice::new(&head), IoSlice::new(&body)])?;
    /// assert_eq!(q.pop()?, b"\x07\0\0\0body");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_push_vectored(&self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.push_vectored_by(parts, Limit::Never)
    }

    /// Copies one message in that lies in several parts, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`push_vectored`](Self::push_vectored), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// use std::io::IoSlice;
    /// let (head, body) = (7u32.to_le_bytes(), *b"body");
    /// q.push_vectored_timeout(&[IoSlice::new(&head), IoSlice::new(&body)], std::time::Duration::from_secs(1))?;
    /// assert_eq!(q.pop()?, b"\x07\0\0\0body");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_vectored_timeout(&self, parts: &[IoSlice<'_>], timeout: Duration) -> Result<()> {
        self.push_vectored_by(parts, Limit::Until(Deadline::after(timeout)))
    }

    /// Copies one message in that lies in several parts, waiting until `deadline` at the latest. One in the past: what can be done now is done.
    ///
    /// # Errors
    /// As [`push_vectored`](Self::push_vectored), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// use std::io::IoSlice;
    /// let (head, body) = (7u32.to_le_bytes(), *b"body");
    /// q.push_vectored_until(&[IoSlice::new(&head), IoSlice::new(&body)], interproc::Deadline::now())?;
    /// assert_eq!(q.pop()?, b"\x07\0\0\0body");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn push_vectored_until(&self, parts: &[IoSlice<'_>], deadline: Deadline) -> Result<()> {
        self.push_vectored_by(parts, Limit::Until(deadline))
    }

    /// Claims room for a message of up to `len` bytes, to be written where it will be read, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// let mut room = q.reserve(5)?;
    /// room.copy_from_slice(b"hello");
    /// room.commit()?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve(&self, len: usize) -> Result<Reservation<'_>> {
        self.reserve_by(len, Limit::ForEver)
    }

    /// Claims room for a message of up to `len` bytes, to be written where it will be read, if that is possible now; never waits.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve), and `Full`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// let mut room = q.try_reserve(5)?;
    /// room.copy_from_slice(b"hello");
    /// room.commit()?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_reserve(&self, len: usize) -> Result<Reservation<'_>> {
        self.reserve_by(len, Limit::Never)
    }

    /// Claims room for a message of up to `len` bytes, to be written where it will be read, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// let mut room = q.reserve_timeout(5, std::time::Duration::from_secs(1))?;
    /// room.copy_from_slice(b"hello");
    /// room.commit()?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_timeout(&self, len: usize, timeout: Duration) -> Result<Reservation<'_>> {
        self.reserve_by(len, Limit::Until(Deadline::after(timeout)))
    }

    /// Claims room for a message of up to `len` bytes, to be written where it will be read, waiting until `deadline` at the latest. One in the past: what can be done now is done.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// let mut room = q.reserve_until(5, interproc::Deadline::now())?;
    /// room.copy_from_slice(b"hello");
    /// room.commit()?;
    /// assert_eq!(q.pop()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_until(&self, len: usize, deadline: Deadline) -> Result<Reservation<'_>> {
        self.reserve_by(len, Limit::Until(deadline))
    }

    /// Takes the first message out, waiting as long as it takes.
    ///
    /// # Errors
    /// `Closed` when closed and drained. `Deadlock`: what is first is a reservation of the calling thread. `TooManyMembers`. `Corrupt`: somebody wrote over the ring.
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
        self.pop_value_by(Limit::ForEver)
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
        self.pop_value_by(Limit::Never)
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
        self.pop_value_by(Limit::Until(Deadline::after(timeout)))
    }

    /// Takes the first message out, waiting until `deadline` at the latest. One in the past: what can be done now is done.
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
        self.pop_value_by(Limit::Until(deadline))
    }

    /// As [`pop`](Self::pop), and says whether an earlier consumer died with the message or put it back, waiting as long as it takes.
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
        self.pop_by(Limit::ForEver)
    }

    /// As [`pop`](Self::pop), and says whether an earlier consumer died with the message or put it back, if that is possible now; never waits.
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
        self.pop_by(Limit::Never)
    }

    /// As [`pop`](Self::pop), and says whether an earlier consumer died with the message or put it back, waiting at most `timeout`.
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
        self.pop_by(Limit::Until(Deadline::after(timeout)))
    }

    /// As [`pop`](Self::pop), and says whether an earlier consumer died with the message or put it back, waiting until `deadline` at the latest. One in the past: what can be done now is done.
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
        self.pop_by(Limit::Until(deadline))
    }

    /// Takes the first message out into a buffer; says how long it is, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`pop`](Self::pop); and `TooLarge`: the buffer is too small. Then the message stays first, and the error says [how long it is](PopIntoError::needed).
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
    pub fn pop_into(&self, into: &mut [u8]) -> core::result::Result<usize, PopIntoError> {
        self.pop_into_by(into, Limit::ForEver)
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
    pub fn try_pop_into(&self, into: &mut [u8]) -> core::result::Result<usize, PopIntoError> {
        self.pop_into_by(into, Limit::Never)
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
    ) -> core::result::Result<usize, PopIntoError> {
        self.pop_into_by(into, Limit::Until(Deadline::after(timeout)))
    }

    /// Takes the first message out into a buffer; says how long it is, waiting until `deadline` at the latest. One in the past: what can be done now is done.
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
    ) -> core::result::Result<usize, PopIntoError> {
        self.pop_into_by(into, Limit::Until(deadline))
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
    /// assert_eq!(&*q.receive()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn receive(&self) -> Result<Message<'_>> {
        self.receive_by(Limit::ForEver)
    }

    /// Claims the first message, to be read where it lies, if that is possible now; never waits.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(&*q.try_receive()?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_receive(&self) -> Result<Message<'_>> {
        self.receive_by(Limit::Never)
    }

    /// Claims the first message, to be read where it lies, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(&*q.receive_timeout(std::time::Duration::from_secs(1))?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Message<'_>> {
        self.receive_by(Limit::Until(Deadline::after(timeout)))
    }

    /// Claims the first message, to be read where it lies, waiting until `deadline` at the latest. One in the past: what can be done now is done.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.push(b"hello")?;
    /// assert_eq!(&*q.receive_until(interproc::Deadline::now())?, b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn receive_until(&self, deadline: Deadline) -> Result<Message<'_>> {
        self.receive_by(Limit::Until(deadline))
    }

    /// The messages as they come, until the queue is closed and drained. Waits for each as long as it takes. Ends at any
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
    pub fn iter(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        core::iter::from_fn(|| self.pop().ok())
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
    pub fn try_iter(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        core::iter::from_fn(|| self.try_pop().ok())
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
    pub fn drain(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.try_iter().take(self.len())
    }

    /// How many messages are in it, those that are being read included: a snapshot. Counts them one by one.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there is no message in it: a snapshot.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether not even the shortest message has room: a snapshot. A longer one may have none before.
    pub fn is_full(&self) -> bool {
        self.raw.is_full()
    }

    /// How many bytes of the capacity are not free: a snapshot. Room becomes free in order, behind the oldest message that
    /// is unread or being read.
    pub fn used_bytes(&self) -> usize {
        self.raw.used_bytes()
    }

    /// The most bytes that were seen to be unread: a sample, taken by producers whenever they have come round the ring and
    /// look for room (which costs the others nothing), and now.
    pub fn peak_bytes(&self) -> usize {
        self.raw.peak_bytes()
    }

    /// The bytes of its messages: what was asked for, rounded up, and at least twice the longest message.
    pub fn capacity(&self) -> usize {
        self.raw.capacity()
    }

    /// The bytes of the longest message.
    pub fn max_message(&self) -> usize {
        self.raw.ring().max_message()
    }

    /// Closes it for good: pushes and reservations are refused from now on, pops take what is there and then end with
    /// `Closed`. A push that races with the close either gets in, and is then delivered, or is refused; what is reserved
    /// already may be committed, and the consumers wait for it. A message that somebody reads in place does not hold up
    /// the end: if that reader dies or puts it back, it can be taken even so. Idempotent.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// q.close()?;
    /// assert!(q.is_closed() && q.push(b"late").is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.raw.close(self.me()?);
        Ok(())
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Who, alive, the others are waiting for: the producer of the record that is in the consumers' way, else whoever holds
    /// the record whose room comes next. A snapshot.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// assert!(q.blocker()?.is_none());
    /// let room = q.reserve(10)?;
    /// assert_eq!(q.blocker()?.expect("somebody").pid, std::process::id());
    /// # drop(room);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn blocker(&self) -> Result<Option<Who>> {
        let me = self.me()?;
        Ok(self.raw.blocker(me).map(|id| me.domain().who(id)))
    }

    /// How many living threads are asleep for a message: a snapshot. Those that still spin are not counted.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment: never.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 64)?;
    /// assert_eq!((q.waiting_consumers()?, q.waiting_producers()?), (0, 0));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiting_consumers(&self) -> Result<u32> {
        self.raw.waiting_consumers()
    }

    /// How many living threads are asleep for room: a snapshot, as [`waiting_consumers`](Self::waiting_consumers).
    ///
    /// # Errors
    /// `InvalidInput` outside a segment: never.
    ///
    /// # Examples
    /// See [`waiting_consumers`](Self::waiting_consumers).
    pub fn waiting_producers(&self) -> Result<u32> {
        self.raw.waiting_producers()
    }
}

impl fmt::Debug for ByteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteQueue")
            .field("len", &self.raw.len())
            .field("used_bytes", &self.raw.used_bytes())
            .field("capacity", &self.raw.capacity())
            .field("closed", &self.raw.is_closed())
            .finish_non_exhaustive()
    }
}

/// Why nothing was popped into a buffer.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.byte_queue("q", 1024, 64)?;
/// q.push(b"hello")?;
/// let mut buffer = [0; 3];
/// let too_small = q.pop_into(&mut buffer).unwrap_err();
/// assert_eq!(too_small.needed(), Some(5));
/// assert_eq!(q.pop()?, b"hello"); // still there
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Debug)]
pub struct PopIntoError {
    error: Error,
    needed: Option<usize>,
}

impl PopIntoError {
    /// Why.
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The plain error.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The length of the message that did not fit, if that is why.
    pub fn needed(&self) -> Option<usize> {
        self.needed
    }
}

impl From<Error> for PopIntoError {
    fn from(error: Error) -> Self {
        PopIntoError { error, needed: None }
    }
}

impl From<PopIntoError> for Error {
    fn from(e: PopIntoError) -> Error {
        e.error
    }
}

impl fmt::Display for PopIntoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.needed {
            Some(needed) => write!(f, "the buffer is too small for the message, which has {needed} bytes"),
            None => fmt::Display::fmt(&self.error, f),
        }
    }
}

impl core::error::Error for PopIntoError {}
