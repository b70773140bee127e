//! [`Reservation`] and [`Message`]: a queue's messages, written and read in place.

use super::{Queue, RawQueue};
use crate::error::Result;
use crate::member::Member;
use crate::queue::guard::{Borrowed, Reading, Reserved, Writing};
use crate::shared::Plain;
use crate::time::Deadline;
use core::ptr::NonNull;
use core::time::Duration;

impl<T: Plain> Queue<T> {
    /// Reserves the place of the next message, waiting for room as long as it takes. The message is written in place, without
    /// a copy.
    ///
    /// # Errors
    /// `Closed`; `Deadlock` when the caller itself owns the place; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let frames = seg.queue::<[u8; 64 * 1024]>("frames", 4)?;
    /// let mut frame = frames.reserve()?;
    /// frame[..5].copy_from_slice(b"hello"); // in the segment itself
    /// frame.commit()?;
    ///
    /// let frame = frames.borrow()?; // the very same bytes
    /// assert_eq!(&frame[..5], b"hello");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn reserve(&self) -> Result<Reservation<'_, T>> {
        let me = self.me()?;
        let index = self.raw.reserve(me, None)?;
        Ok(self.reservation(me, index))
    }

    /// As [`Queue::reserve`] if there is room now.
    ///
    /// # Errors
    /// As [`Queue::reserve`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// let place = q.try_reserve()?;
    /// assert!(q.try_reserve().is_err());
    /// drop(place); // aborted: the place is free again
    /// assert!(q.is_empty() && q.try_reserve().is_ok());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_reserve(&self) -> Result<Reservation<'_, T>> {
        let me = self.me()?;
        let index = self.raw.try_reserve(me)?;
        Ok(self.reservation(me, index))
    }

    /// As [`Queue::reserve`], waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::reserve`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// *q.reserve_timeout(Duration::from_millis(1))? = 5; // dropped without a commit
    /// assert!(q.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_timeout(&self, timeout: Duration) -> Result<Reservation<'_, T>> {
        self.reserve_until(Deadline::after(timeout))
    }

    /// As [`Queue::reserve`], waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Queue::reserve_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// q.reserve_until(interproc::Deadline::now())?.commit()?; // there is room: no waiting
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_until(&self, deadline: Deadline) -> Result<Reservation<'_, T>> {
        let me = self.me()?;
        let index = self.raw.reserve(me, Some(deadline))?;
        Ok(self.reservation(me, index))
    }

    /// Borrows the next message, waiting for one as long as it takes. It is read in place, without a copy.
    ///
    /// # Errors
    /// `Closed` when the queue is closed and drained; `Deadlock` when the next message is the caller's own reservation;
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let jobs = seg.queue::<[u64; 32]>("jobs", 4)?;
    /// jobs.push([7; 32])?;
    /// let job = jobs.borrow()?;
    /// assert_eq!((job[31], job.is_redelivered()), (7, false));
    /// drop(job); // done
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn borrow(&self) -> Result<Message<'_, T>> {
        let me = self.me()?;
        let got = self.raw.borrow(me, None)?;
        Ok(self.message(me, got))
    }

    /// As [`Queue::borrow`] if there is a message now.
    ///
    /// # Errors
    /// `Empty`, or `Closed` when closed and drained; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// assert_eq!(q.try_borrow().unwrap_err().kind(), interproc::ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_borrow(&self) -> Result<Message<'_, T>> {
        let me = self.me()?;
        let got = self.raw.try_borrow(me)?;
        Ok(self.message(me, got))
    }

    /// As [`Queue::borrow`], waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::borrow`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// assert!(q.borrow_timeout(Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow_timeout(&self, timeout: Duration) -> Result<Message<'_, T>> {
        self.borrow_until(Deadline::after(timeout))
    }

    /// As [`Queue::borrow`], waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Queue::borrow_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// q.push(5)?;
    /// assert_eq!(*q.borrow_until(interproc::Deadline::now())?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn borrow_until(&self, deadline: Deadline) -> Result<Message<'_, T>> {
        let me = self.me()?;
        let got = self.raw.borrow(me, Some(deadline))?;
        Ok(self.message(me, got))
    }

    #[inline(always)]
    fn reservation(&self, me: &Member, index: u32) -> Reservation<'_, T> {
        me.guard_begins();
        Reserved::new(Cell { queue: self, index }, self.place(index))
    }

    #[inline(always)]
    fn message(&self, me: &Member, (index, redelivered): (u32, bool)) -> Message<'_, T> {
        me.guard_begins();
        Borrowed::new(Cell { queue: self, index }, self.place(index), redelivered)
    }

    #[inline(always)]
    fn place(&self, index: u32) -> NonNull<T> {
        const { assert!(align_of::<T>() <= 16, "a message lies at a multiple of 16: copy this type in and out") };
        self.raw.ring().payload(index).cast()
    }
}

/// The reserved place of a message, written through `DerefMut`. [`commit`](Reserved::commit) makes it a message. Dropped without
/// a commit, also by a panic, it is free again.
///
/// It keeps the reservation's place in the order: *messages behind it wait for it*. So do the long work first, then reserve,
/// write and commit. If its thread *dies*, the place is free again and the messages behind it are delivered. Leaked by a
/// thread that ends normally, it stays claimed as long as the process lives.
///
/// What else holds for reservations: see [`Reserved`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let frames = seg.queue::<[u8; 1000]>("frames", 2)?;
/// let mut frame = frames.reserve()?;
/// frame.fill(7); // in the segment itself
/// frame.commit()?;
/// drop(frames.reserve()?); // aborted
/// assert_eq!(frames.pop()?, [7; 1000]);
/// assert!(frames.is_empty());
/// # Ok::<(), interproc::Error>(())
/// ```
pub type Reservation<'a, T> = Reserved<Cell<'a, T>, T>;

/// A borrowed message, read through `Deref`. Dropped, it is released: it is done and its place is free. Dropped *by a panic* it is
/// not: as after a death, another consumer gets it.
///
/// Meanwhile other consumers take the messages behind it, and see the end of a closed queue, unless every cell is borrowed: see
/// [`Queue::close`]. Producers wait for its place one lap later. If its thread *dies*, another consumer gets the message at its
/// old place in the order, flagged [`is_redelivered`](Borrowed::is_redelivered).
///
/// What else holds for borrowed messages: see [`Borrowed`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let frames = seg.queue::<[u8; 1000]>("frames", 2)?;
/// frames.push([7; 1000])?;
/// let frame = frames.borrow()?; // no copy
/// assert!(frame.iter().all(|&byte| byte == 7) && !frame.is_redelivered());
/// drop(frame); // released: its place is free
/// assert!(frames.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Message<'a, T> = Borrowed<Cell<'a, T>, T>;

/// The cell of a guard.
#[derive(Debug)]
pub struct Cell<'a, T: Plain> {
    queue: &'a Queue<T>,
    index: u32,
}

impl<T: Plain> Cell<'_, T> {
    #[inline(always)]
    fn end(self, how: impl FnOnce(&RawQueue, &Member, u32) -> Result<()>) -> Result<()> {
        let me = self.queue.me()?;
        // This fails for a guard of another process, and for one that was ended behind its back.
        how(&self.queue.raw, me, self.index)?;
        me.guard_ends();
        Ok(())
    }
}

impl<T: Plain> Writing for Cell<'_, T> {
    #[inline(always)]
    fn commit(self, _: usize) -> Result<()> {
        self.end(RawQueue::commit)
    }
    fn abort(self) {
        let _ = self.end(RawQueue::abort);
    }
}

impl<T: Plain> Reading for Cell<'_, T> {
    #[inline(always)]
    fn release(self) {
        let _ = self.end(RawQueue::release);
    }
    fn give_up(self) {
        let _ = self.end(RawQueue::put_back);
    }
    fn put_back(self) -> Result<()> {
        self.end(RawQueue::put_back)
    }
}
