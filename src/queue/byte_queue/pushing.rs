//! Writing to the byte queue.
#![allow(unsafe_code)]

use super::guard::{Record, Reservation};
use super::handle::ByteQueue;
use crate::error::{ErrorKind, Result};
use crate::queue::push_error::with_lengths;
use crate::time::Deadline;
use crate::time::Wait;
use core::time::Duration;
use std::io::IoSlice;

impl ByteQueue {
    #[inline(always)]
    fn push_by(&self, message: &[u8], wait: Wait) -> Result<()> {
        // SAFETY: the record is ours and has room for the message.
        let fill = |p: *mut u8| unsafe { p.copy_from_nonoverlapping(message.as_ptr(), message.len()) };
        let pushed = self.raw.push_with(self.me()?, message.len(), wait, fill);
        pushed.map_err(|e| with_lengths(e, message.len(), self.longest()))
    }

    fn push_vectored_by(&self, parts: &[IoSlice<'_>], wait: Wait) -> Result<()> {
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
        let len = len.ok_or(ErrorKind::TooLarge)?;
        self.raw.push_with(self.me()?, len, wait, fill).map_err(|e| with_lengths(e, len, self.longest()))
    }

    fn reserve_by(&self, len: usize, wait: Wait) -> Result<Reservation<'_>> {
        let me = self.me()?;
        let claim = self.raw.reserve(me, len, wait).map_err(|e| with_lengths(e, len, self.longest()))?;
        Ok(Record::reserved(&self.raw, me, claim, len))
    }

    /// Copies a message in, waiting as long as it takes.
    ///
    /// # Errors
    /// `TooLarge`: longer than [`longest`](Self::longest). `Closed`. `Deadlock`: the calling thread itself holds the message
    /// or reservation whose room is needed. `TooManyMembers`. `Corrupt`: somebody overwrote the ring.
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
        self.push_by(message, Wait::ForEver)
    }

    /// Copies a message in, if there is room now; never waits.
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
        self.push_by(message, Wait::Never)
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
        self.push_by(message, Wait::Until(Deadline::after(timeout)))
    }

    /// Copies a message in, waiting until `deadline` at the latest. If it has passed, the call does what it can do now.
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
        self.push_by(message, Wait::Until(deadline))
    }

    /// Copies in one message that is in several parts, waiting as long as it takes.
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
        self.push_vectored_by(parts, Wait::ForEver)
    }

    /// Copies in one message that is in several parts, if there is room now; never waits.
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
        self.push_vectored_by(parts, Wait::Never)
    }

    /// Copies in one message that is in several parts, waiting at most `timeout`.
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
        self.push_vectored_by(parts, Wait::Until(Deadline::after(timeout)))
    }

    /// Copies in one message that is in several parts, waiting until `deadline` at the latest. If it has
    /// passed, the call does what it can do now.
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
        self.push_vectored_by(parts, Wait::Until(deadline))
    }

    /// Reserves room for a message of up to `len` bytes, to be written in place, waiting as long
    /// as it takes.
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
        self.reserve_by(len, Wait::ForEver)
    }

    /// Reserves room for a message of up to `len` bytes, to be written in place, if there is
    /// room now; never waits.
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
        self.reserve_by(len, Wait::Never)
    }

    /// Reserves room for a message of up to `len` bytes, to be written in place, waiting at most
    /// `timeout`.
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
        self.reserve_by(len, Wait::Until(Deadline::after(timeout)))
    }

    /// Reserves room for a message of up to `len` bytes, to be written in place, waiting until
    /// `deadline` at the latest. If it has passed, the call does what it can do now.
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
        self.reserve_by(len, Wait::Until(deadline))
    }
}
