//! [`Queue`]: the typed handle of a ring in a segment.
#![allow(unsafe_code)]

use super::RawQueue;
use crate::counted::Keep;
use crate::error::Result;
use crate::member::{self, Member, Who};
use crate::queue::{Delivery, PushError};
use crate::shared::Plain;
use crate::time::Deadline;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

/// A bounded first-in-first-out queue between any processes: many producers, many consumers.
///
/// Created or found by [`Segment::queue`](crate::Segment::queue). The handle is cheap to clone. Any thread may use it, and a
/// forked child may go on using it.
///
/// *If a thread dies* inside an operation, nobody else is held up. An unfinished push is dropped, a finished one is delivered,
/// and a message that a consumer was reading is delivered again, flagged ([`Delivery::redelivered`]). Pop is at-most-once: a
/// message that a consumer had taken when it died is lost with it. The kernel reports the death and wakes sleepers; nobody
/// polls.
///
/// *Ordering*: a pop sees everything that happened before the push of its message. Messages of one producer come
/// out in the order of its pushes. `len`, `is_empty` and `is_full` are snapshots. *Signals*: not to be used in a handler.
/// *Cost*: a push or pop without waiting is one atomic read-modify-write and no system call.
///
/// A live but *stopped* process in the middle of an operation can block the others behind it: [`Queue::blocker`] names it. A
/// call that waits for a cell that the caller itself owns ([`Reservation`](super::Reservation),
/// [`Message`](super::Message)) fails with `Deadlock` instead of waiting for ever.
///
/// | you want | use |
/// |---|---|
/// | to copy messages in and out | [`push`](Self::push), [`pop`](Self::pop), their `try_`, `_timeout` and `_until` forms, batches |
/// | to write and read large messages in place | [`reserve`](Self::reserve), [`borrow`](Self::borrow) |
/// | to keep the newest messages at the cost of the oldest | [`force_push`](Self::force_push) |
/// | a loop | [`iter`](Self::iter), [`try_iter`](Self::try_iter), [`drain`](Self::drain) |
/// | only the newest value, for many readers | [`Latest`](crate::queue::Latest) |
///
/// Algorithm: see [`RawQueue`].
///
/// # Examples
/// ```
/// use interproc::Segment;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let jobs = seg.queue::<u64>("jobs", 64)?;
/// jobs.push(7)?;
/// jobs.close();
/// assert_eq!(jobs.pop()?, 7);
/// assert!(jobs.pop().is_err()); // closed and drained
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Queue<T> {
    pub(super) raw: RawQueue,
    /// Keeps the segment mapped.
    segment: Keep,
    _value: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { raw: self.raw, segment: self.segment.clone(), _value: PhantomData }
    }
}

impl<T: Plain> Queue<T> {
    /// A handle on a ring in a segment that `segment` keeps mapped. `None` if its elements are not `T`s.
    pub(crate) fn from_raw(raw: RawQueue, segment: Keep) -> Option<Self> {
        (raw.ring().element() == size_of::<T>()).then_some(Queue { raw, segment, _value: PhantomData })
    }

    #[inline(always)]
    pub(super) fn me(&self) -> Result<&Member> {
        member::current(self.raw.ring().address())
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (RawQueue, Keep) {
        (self.raw, self.segment.clone())
    }

    /// Pushes, waiting for room as long as it takes.
    ///
    /// # Errors
    /// `Closed`; `TooManyMembers`. The error returns the value.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push(&self, value: T) -> core::result::Result<(), PushError<T>> {
        self.push_by(value, None)
    }

    /// Pushes if there is room now.
    ///
    /// # Errors
    /// As [`Queue::push`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// q.try_push(1)?;
    /// assert_eq!(q.try_push(2).unwrap_err().into_value(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_push(&self, value: T) -> core::result::Result<(), PushError<T>> {
        // SAFETY: the payload holds `size_of::<T>()` bytes and the cell is ours.
        let fill = |p: *mut u8| unsafe { p.cast::<T>().write_unaligned(value) };
        let pushed = self.me().and_then(|me| self.raw.try_push_with(me, fill));
        pushed.map_err(|error| PushError { value, error })
    }

    /// Pushes, waiting at most `timeout` for room.
    ///
    /// # Errors
    /// As [`Queue::push`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// q.push_timeout(1, std::time::Duration::from_millis(1))?;
    /// assert!(q.push_timeout(2, std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_timeout(&self, value: T, timeout: Duration) -> core::result::Result<(), PushError<T>> {
        self.push_until(value, Deadline::after(timeout))
    }

    /// Pushes, waiting until `deadline` at the latest for room.
    ///
    /// # Errors
    /// As [`Queue::push`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// q.push_until(1, interproc::Deadline::now())?; // there is room: no waiting
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_until(&self, value: T, deadline: Deadline) -> core::result::Result<(), PushError<T>> {
        self.push_by(value, Some(deadline))
    }

    #[inline(always)]
    fn push_by(&self, value: T, deadline: Option<Deadline>) -> core::result::Result<(), PushError<T>> {
        // SAFETY: as in `try_push`.
        let fill = |p: *mut u8| unsafe { p.cast::<T>().write_unaligned(value) };
        let pushed = self.me().and_then(|me| self.raw.push_with(me, deadline, fill));
        pushed.map_err(|error| PushError { value, error })
    }

    /// Pushes without waiting for room: if there is none, the oldest message is displaced and returned. Exactly one message is
    /// replaced, and the order of the others is kept. For data of which you would rather lose the oldest than wait: the latest
    /// readings, log lines, positions.
    ///
    /// A message that a live consumer has borrowed, or a cell that a live producer has reserved, is never taken away. If that
    /// is the oldest one, the push fails after a few looks, about a microsecond ([`Queue::blocker`] names the thread).
    ///
    /// *If the caller dies in it*, the oldest message is still there or is displaced; the new one is there or not.
    /// *Ordering, signals*: as [`Queue::push`].
    ///
    /// Algorithm: see `displace.rs`; the name and the meaning are crossbeam's (`ArrayQueue::force_push`).
    ///
    /// # Errors
    /// `Closed`; `Full` as described above; `TooManyMembers`. The error returns the value.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let last_two = seg.queue::<u64>("q", 2)?;
    /// assert_eq!(last_two.force_push(1)?, None);
    /// assert_eq!(last_two.force_push(2)?, None);
    /// assert_eq!(last_two.force_push(3)?, Some(1));
    /// assert_eq!(last_two.drain().collect::<Vec<_>>(), [2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn force_push(&self, value: T) -> core::result::Result<Option<T>, PushError<T>> {
        // SAFETY: as in `try_push`.
        let fill = |p: *mut u8| unsafe { p.cast::<T>().write_unaligned(value) };
        let pushed = self.me().and_then(|me| self.raw.force_push_with(me, Self::take, fill));
        pushed.map_err(|error| PushError { value, error })
    }

    /// Pops, waiting for a message as long as it takes.
    ///
    /// # Errors
    /// `Closed` when the queue is closed and drained; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// assert_eq!(q.pop()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop(&self) -> Result<T> {
        Ok(self.pop_by(None)?.value)
    }

    /// As [`Queue::pop`], and tells whether the message is delivered again.
    ///
    /// # Errors
    /// As [`Queue::pop`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// let got = q.pop_delivery()?;
    /// assert_eq!((got.value, got.redelivered), (5, false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop_delivery(&self) -> Result<Delivery<T>> {
        self.pop_by(None)
    }

    /// Pops if there is a message now.
    ///
    /// # Errors
    /// `Empty`, or `Closed` when closed and drained.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// assert_eq!(q.try_pop().unwrap_err().kind(), interproc::ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_pop(&self) -> Result<T> {
        Ok(self.try_pop_delivery()?.value)
    }

    /// As [`Queue::try_pop`], and tells whether the message is delivered again.
    ///
    /// # Errors
    /// As [`Queue::try_pop`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// assert_eq!(q.try_pop_delivery()?.value, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_pop_delivery(&self) -> Result<Delivery<T>> {
        let (value, redelivered) = self.raw.try_pop_with(self.me()?, Self::take)?;
        Ok(Delivery { value, redelivered })
    }

    /// Pops, waiting at most `timeout` for a message.
    ///
    /// # Errors
    /// As [`Queue::pop`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// assert!(q.pop_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_timeout(&self, timeout: Duration) -> Result<T> {
        self.pop_until(Deadline::after(timeout))
    }

    /// Pops, waiting until `deadline` at the latest for a message.
    ///
    /// # Errors
    /// As [`Queue::pop`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// assert_eq!(q.pop_until(interproc::Deadline::now())?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_until(&self, deadline: Deadline) -> Result<T> {
        Ok(self.pop_by(Some(deadline))?.value)
    }

    /// As [`Queue::pop_delivery`], waiting at most `timeout` for a message.
    ///
    /// # Errors
    /// As [`Queue::pop_delivery`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// assert!(q.pop_delivery_timeout(std::time::Duration::from_millis(1)).is_err());
    /// q.push(5)?;
    /// assert_eq!(q.pop_delivery_timeout(std::time::Duration::from_secs(1))?.value, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_delivery_timeout(&self, timeout: Duration) -> Result<Delivery<T>> {
        self.pop_delivery_until(Deadline::after(timeout))
    }

    /// As [`Queue::pop_delivery`], waiting until `deadline` at the latest for a message.
    ///
    /// # Errors
    /// As [`Queue::pop_delivery`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// assert_eq!(q.pop_delivery_until(interproc::Deadline::now())?.value, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_delivery_until(&self, deadline: Deadline) -> Result<Delivery<T>> {
        self.pop_by(Some(deadline))
    }

    #[inline(always)]
    fn pop_by(&self, deadline: Option<Deadline>) -> Result<Delivery<T>> {
        let (value, redelivered) = self.raw.pop_with(self.me()?, deadline, Self::take)?;
        Ok(Delivery { value, redelivered })
    }

    #[inline(always)]
    pub(super) fn take(p: *const u8) -> T {
        // SAFETY: the payload holds `size_of::<T>()` bytes and the cell is ours; any bit pattern is a `T`.
        unsafe { p.cast::<T>().read_unaligned() }
    }

    /// How many messages are in the queue, including borrowed ones and reserved places: a snapshot, exact when nobody is at
    /// work.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// let message = q.borrow()?;
    /// assert_eq!(q.len(), 1); // it is borrowed
    /// drop(message);
    /// assert_eq!(q.len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.raw.len() as usize
    }

    /// Whether it is empty: a snapshot. It does not foresee a message that is pushed or put back right afterwards.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// assert!(q.is_empty());
    /// q.push(5)?;
    /// assert!(!q.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether it is full: a snapshot. A push may find no room earlier: the cell of a dead producer is free only after the
    /// consumers have passed it.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push_batch(&[5, 6])?;
    /// assert!(q.is_full() && q.try_push(7).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.raw.is_full()
    }

    /// The most messages it holds.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// assert_eq!(q.capacity(), 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.raw.capacity() as usize
    }

    /// The most messages ever seen in it: a statistic, and a lower bound. It never misses that the queue was full. Below that,
    /// only slow-path pushes (others at work, somebody asleep) sample the depth, as sampling would cost the fast path a third
    /// of its speed. This call samples it, too.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// assert_eq!(q.try_push_batch(&[1, 2, 3])?, 2); // full
    /// assert_eq!(q.drain().count(), 2);
    /// assert_eq!((q.len(), q.peak()), (0, 2));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peak(&self) -> usize {
        self.raw.peak() as usize
    }

    /// Closes it for good: pushes fail from now on, pops take what is there and then fail with `Closed`. A push that races with
    /// the close either succeeds, and is then delivered, or fails. Idempotent.
    ///
    /// The end is marked at the first free cell. So consumers see it even while messages are borrowed
    /// ([`Message`](super::Message)): nobody waits for one to come back. If one does (it is put back, or its holder dies), the
    /// next caller gets it, and then the end. Only while *every* cell is borrowed there is no cell to mark: then a try fails
    /// with `Empty`, and a wait goes on until a message is released or put back, or fails with `Deadlock` if the caller holds
    /// the first of them.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// q.close()?;
    /// assert!(q.is_closed() && q.push(1).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.raw.close(self.me()?);
        Ok(())
    }

    /// Whether it was closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// q.push(5)?;
    /// q.close()?;
    /// assert!(q.is_closed());
    /// assert_eq!(q.pop()?, 5); // what is there can still be popped
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// The live thread inside an operation that the others wait for, if any: a snapshot. A process that is stopped (SIGSTOP, a
    /// debugger) in the middle of an operation shows up here.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// assert!(q.blocker()?.is_none());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn blocker(&self) -> Result<Option<Who>> {
        let me = self.me()?;
        Ok(self.raw.blocker(me).map(|id| me.domain().who(id)))
    }

    /// How many live threads sleep for a message: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` if the segment was closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// assert_eq!((q.waiting_consumers()?, q.waiting_producers()?), (0, 0));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiting_consumers(&self) -> Result<u32> {
        self.raw.waiting_consumers()
    }

    /// How many live threads sleep for room: a snapshot, as [`waiting_consumers`](Self::waiting_consumers).
    ///
    /// # Errors
    /// `InvalidInput` if the segment was closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 1)?;
    /// q.push(1)?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| q.push(2).expect("it is not closed"));
    ///     while q.waiting_producers().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     assert_eq!(q.pop().expect("a message"), 1);
    /// });
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiting_producers(&self) -> Result<u32> {
        self.raw.waiting_producers()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.raw.len())
            .field("capacity", &self.raw.capacity())
            .field("closed", &self.raw.is_closed())
            .finish_non_exhaustive()
    }
}
