//! [`Reserved`] and [`Borrowed`]: a message that is written or read where it lies, in any queue, lane or pipe.
//!
//! The guard gives out references into the ring. How it ends is its channel's business: [`Writing`], [`Reading`].
#![allow(unsafe_code)]

use crate::error::{Error, ErrorKind, Result};
use crate::member::Unwinding;
use crate::shared::Plain;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use std::vec::Vec;

/// How a channel ends a reservation. Each is called once, in the thread that reserved.
pub trait Writing {
    /// Makes the first `len` bytes a message.
    ///
    /// # Errors
    /// Then there is no message, and the place is free again.
    fn commit(self, len: usize) -> Result<()>;
    /// Gives the place back.
    fn abort(self);
}

/// How a channel ends a borrowed message. Each is called once, in the thread that borrowed.
pub trait Reading {
    /// The message is done.
    fn release(self);
    /// A panic took the message from its reader: as if the reader had died.
    fn give_up(self);
    /// The message goes back to its place.
    ///
    /// # Errors
    /// `NotOwner` in a forked child.
    fn put_back(self) -> Result<()>;
}

/// The place of a message to come, written through [`DerefMut`]. [`commit`](Self::commit) makes it a message. Dropped without
/// a commit, also by a panic, it is aborted: the place is free again.
///
/// It holds what an earlier message left there, or zeros. It belongs to the thread that reserved it and is not `Send`. If that
/// thread dies, the place is free again. A forked child's copy does nothing; do not write through it.
///
/// The place is the writer's alone as long as all members keep to the protocol. Whoever maps the segment and does not can
/// change any byte of it at any time.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let log = seg.byte_queue("log", 4096, 512)?;
/// let mut room = log.reserve(100)?; // at most 100 bytes
/// room[..5].copy_from_slice(b"hello");
/// room.commit_len(5)?; // it became 5
/// assert_eq!(log.pop()?, b"hello");
/// # Ok::<(), interproc::Error>(())
/// ```
#[must_use = "a reservation that is dropped is aborted"]
pub struct Reserved<H: Writing, V: ?Sized> {
    hold: ManuallyDrop<H>,
    /// Not `Send`.
    place: NonNull<V>,
}

impl<H: Writing, V: ?Sized> Reserved<H, V> {
    /// A guard of a place that the calling thread owns until `hold` is ended. Any bytes are a `V`.
    #[inline(always)]
    pub(super) fn new(hold: H, place: NonNull<V>) -> Self {
        Reserved { hold: ManuallyDrop::new(hold), place }
    }

    #[inline(always)]
    fn end(self) -> H {
        let mut ended = ManuallyDrop::new(self);
        // SAFETY: once, as the guard is not dropped.
        unsafe { ManuallyDrop::take(&mut ended.hold) }
    }

    /// Makes all of it a message. A consumer that sees the message sees everything that happened before the commit.
    ///
    /// # Errors
    /// `NotOwner` in a forked child; then nothing happens. In a lane or pipe `Closed`: it was not pushed. (A queue that was
    /// closed after the reservation still takes and delivers it.)
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// let mut place = q.reserve()?;
    /// *place = 5;
    /// place.commit()?;
    /// assert_eq!(q.pop()?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn commit(self) -> Result<()> {
        let len = size_of_val(&*self);
        self.end().commit(len)
    }

    /// Gives it back, as dropping it does.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let log = seg.byte_queue("log", 4096, 512)?;
    /// log.reserve(100)?.abort();
    /// assert!(log.is_empty() && log.len_bytes() == 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn abort(self) {}
}

impl<H: Writing> Reserved<H, [u8]> {
    /// Makes the first `len` bytes a message.
    ///
    /// # Errors
    /// `TooLarge` for more than was reserved: it is aborted. Else as [`commit`](Self::commit).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let log = seg.byte_queue("log", 4096, 512)?;
    /// use std::io::Write;
    ///
    /// let mut room = log.reserve(100)?;
    /// let mut rest = &mut room[..];
    /// write!(rest, "{} and {}", 1, 2).expect("100 bytes are enough");
    /// let len = 100 - rest.len();
    /// room.commit_len(len)?;
    /// assert_eq!(log.pop()?, b"1 and 2");
    /// assert!(log.reserve(10)?.commit_len(11).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn commit_len(self, len: usize) -> Result<()> {
        if len > self.place.len() {
            return Err(ErrorKind::TooLarge.into());
        }
        self.end().commit(len)
    }
}

impl<H: Writing, V: ?Sized> Deref for Reserved<H, V> {
    type Target = V;
    #[inline(always)]
    fn deref(&self) -> &V {
        // SAFETY: in the ring, and this thread's until the guard is gone; aligned; any bytes are a `V`, and in shared memory
        // they are always initialised.
        unsafe { self.place.as_ref() }
    }
}

impl<H: Writing, V: ?Sized> DerefMut for Reserved<H, V> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut V {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { self.place.as_mut() }
    }
}

impl<H: Writing, V: ?Sized> Drop for Reserved<H, V> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: once, as it is dropped.
        unsafe { ManuallyDrop::take(&mut self.hold) }.abort();
    }
}

impl<H: Writing, V: ?Sized> fmt::Debug for Reserved<H, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("bytes", &size_of_val(&**self)).finish_non_exhaustive()
    }
}

/// A borrowed message, read through [`Deref`]. Dropped, it is released and its place is free. Dropped *by a panic* it is not: as
/// with a death it is delivered again, flagged [`is_redelivered`](Self::is_redelivered).
///
/// It belongs to the thread that borrowed it and is not `Send`. If that thread dies, the message is delivered again. A forked
/// child's copy does nothing.
///
/// As long as all members keep to the protocol, nobody changes the message meanwhile. A peer that does not could: any bytes
/// are a valid value, but copy a message first and check the copy if you do not trust its sender.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let log = seg.byte_queue("log", 4096, 512)?;
/// log.push(b"one line")?;
/// let line = log.borrow()?; // no copy
/// assert!(line.starts_with(b"one") && !line.is_redelivered());
/// drop(line); // released
/// assert!(log.is_empty());
/// # Ok::<(), interproc::Error>(())
/// ```
#[must_use = "a message that is dropped is done"]
pub struct Borrowed<H: Reading, V: ?Sized> {
    hold: ManuallyDrop<H>,
    /// Not `Send`.
    place: NonNull<V>,
    redelivered: bool,
    unwinding: Unwinding,
}

impl<H: Reading, V: ?Sized> Borrowed<H, V> {
    /// A guard of a message that the calling thread owns until `hold` is ended. Any bytes are a `V`.
    #[inline(always)]
    pub(super) fn new(hold: H, place: NonNull<V>, redelivered: bool) -> Self {
        let unwinding = Unwinding::begin();
        Borrowed { hold: ManuallyDrop::new(hold), place, redelivered, unwinding }
    }

    /// Whether another consumer may have borrowed it before: it died, panicked or (in a queue) put it back. It may have done part
    /// of the work.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, process};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// let child = process::fork(|| {
    ///     let _message = q.borrow().unwrap();
    ///     std::process::abort(); // with the message borrowed
    /// })?;
    /// child.join()?;
    /// assert!(q.borrow()?.is_redelivered());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_redelivered(&self) -> bool {
        self.redelivered
    }

    /// Puts it back at its old place: it is the next message again. In a queue the next consumer gets it, before all that came
    /// later, flagged [`is_redelivered`](Self::is_redelivered); in a lane or pipe, which have one consumer, it is not flagged.
    ///
    /// # Errors
    /// `NotOwner` in a forked child; then nothing happens.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push_batch(&[5, 6])?;
    /// q.borrow()?.put_back()?;
    /// let again = q.borrow()?;
    /// assert_eq!((*again, again.is_redelivered()), (5, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_back(self) -> Result<()> {
        let mut ended = ManuallyDrop::new(self);
        // SAFETY: once, as the guard is not dropped.
        unsafe { ManuallyDrop::take(&mut ended.hold) }.put_back()
    }
}

impl<H: Reading, T: Plain> Borrowed<H, T> {
    /// Copies it out; it is done.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// assert_eq!(q.borrow()?.take(), 5);
    /// assert!(q.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take(self) -> T {
        *self
    }
}

impl<H: Reading> Borrowed<H, [u8]> {
    /// A copy. Without memory for one the message is put back.
    pub(super) fn into_vec(self) -> Result<Vec<u8>> {
        let mut copy = Vec::new();
        if copy.try_reserve_exact(self.len()).is_err() {
            self.put_back()?;
            return Err(Error::no_memory());
        }
        copy.extend_from_slice(&self);
        Ok(copy)
    }
}

impl<H: Reading, V: ?Sized> Deref for Borrowed<H, V> {
    type Target = V;
    #[inline(always)]
    fn deref(&self) -> &V {
        // SAFETY: in the ring, and this thread's until the guard is gone, so nobody who keeps to the protocol writes there;
        // aligned; any bytes are a `V`, and in shared memory they are always initialised.
        unsafe { self.place.as_ref() }
    }
}

impl<H: Reading, V: ?Sized> Drop for Borrowed<H, V> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: once, as it is dropped.
        let hold = unsafe { ManuallyDrop::take(&mut self.hold) };
        if self.unwinding.interrupts() { hold.give_up() } else { hold.release() }
    }
}

impl<H: Reading, V: ?Sized> fmt::Debug for Borrowed<H, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("bytes", &size_of_val(&**self))
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}
