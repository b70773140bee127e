//! [`ByteQueue`]: the handle of a byte ring in a segment.

use super::raw::RawByteQueue;
use crate::counted::Keep;
use crate::error::Result;
use crate::member::{self, Member, Who};
use core::fmt;

/// A bounded first-in-first-out queue of messages of any length between any processes: many producers, many consumers.
///
/// Created or found by [`Segment::byte_queue`](crate::Segment::byte_queue). The handle is cheap to clone. Any thread may use
/// it, and a forked child may go on using it.
///
/// Messages are copied in and out ([`push`](Self::push), [`pop`](Self::pop), [`pop_into`](Self::pop_into)), or written and read
/// in place, without a copy ([`reserve`](Self::reserve), [`borrow`](Self::borrow)).
///
/// *Room*: a message takes its length, rounded up to granules of 64 bytes (larger ones where messages may be longer than
/// about 500 KB or the queue than 1 GiB). It is contiguous, so at the end of the ring some granules may stay unused. Messages
/// of one small size are cheaper in a [`Queue`](crate::queue::Queue). Shorter messages may pass while a long one waits for
/// room.
///
/// *If a thread dies* inside an operation, nobody else is held up. An unfinished push is dropped and its room is free, a
/// finished one is delivered, and a message that a consumer was reading is delivered again, flagged. Pop is at-most-once: a
/// message that a consumer had popped when it died is lost with it. The kernel reports the death and wakes sleepers; nobody
/// polls.
///
/// *Ordering*: a pop sees everything that happened before the push of its message. Messages come out in the order in which
/// their room was claimed, each producer's in the order of its pushes. `len`, `is_empty`, `is_full` and the byte counts are
/// snapshots. *Signals*: not to be used in a handler. *Cost*: a push or pop without waiting makes no system call and allocates
/// nothing (except the `Vec` of [`pop`](Self::pop)).
///
/// A live but *stopped* process in the middle of an operation, or an unfinished reservation, blocks the others behind it:
/// [`ByteQueue::blocker`] names it.
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
/// assert_eq!(&*log.borrow()?, b"a longer one");
/// assert!(log.pop().is_err()); // closed and drained
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone)]
pub struct ByteQueue {
    pub(super) raw: RawByteQueue,
    /// Keeps the segment mapped.
    segment: Keep,
}

impl ByteQueue {
    /// A handle on a ring in a segment that `segment` keeps mapped.
    pub(crate) fn from_raw(raw: RawByteQueue, segment: Keep) -> Self {
        ByteQueue { raw, segment }
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (RawByteQueue, Keep) {
        (self.raw, self.segment.clone())
    }

    #[inline(always)]
    pub(super) fn me(&self) -> Result<&Member> {
        member::current(self.raw.ring().address())
    }

    /// How many messages are in the queue, including borrowed ones: a snapshot. Counts them one by one.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// q.push(b"one")?;
    /// q.push(b"")?; // an empty message is one, too
    /// assert_eq!(q.len(), 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there is no message in it: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// assert!(q.is_empty());
    /// q.push(b"one")?;
    /// assert!(!q.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether even the shortest message has no room: a snapshot. A longer one may find none earlier.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// while q.try_push(b"one").is_ok() {}
    /// assert!(q.is_full());
    /// q.pop()?;
    /// assert!(!q.is_full());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.raw.is_full()
    }

    /// How many bytes of the capacity are in use: a snapshot. Room becomes free in order, behind the oldest message that is
    /// unread or being read.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// q.push(&[7; 10])?;
    /// assert_eq!(q.len_bytes(), 64); // in granules
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn len_bytes(&self) -> usize {
        self.raw.len_bytes()
    }

    /// The most unread bytes ever seen: a statistic. Producers sample it whenever they have gone round the ring and look for
    /// room, which costs the others nothing; so does this call.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// q.push(&[7; 100])?;
    /// assert_eq!(q.peak(), 128);
    /// while q.try_push(&[7; 100]).is_ok() {}
    /// while q.try_pop().is_ok() {}
    /// assert_eq!((q.len_bytes(), q.peak()), (0, 1024)); // it ran out of room: a larger capacity would help
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peak(&self) -> usize {
        self.raw.peak()
    }

    /// The capacity in bytes: as requested, rounded up, and at least twice the longest message.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// assert_eq!(q.capacity(), 1024);
    /// assert_eq!(seg.byte_queue("small", 1, 100)?.capacity(), 2 * 128);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.raw.capacity()
    }

    /// The longest message, in bytes.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// assert_eq!(q.longest(), 100);
    /// assert_eq!(q.push(&[7; 101]).unwrap_err().kind(), interproc::ErrorKind::TooLarge);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn longest(&self) -> usize {
        self.raw.ring().longest()
    }

    /// Closes it for good: pushes and reservations fail from now on, pops take what is there and then fail with `Closed`. A push
    /// that races with the close either succeeds, and is then delivered, or fails. What is already reserved may be committed,
    /// and the consumers wait for it. A borrowed message does not delay the end; if its reader dies or puts it back, it can
    /// still be popped. Idempotent.
    ///
    /// Only while borrowed messages leave no room for another one, there is no place to mark the end: then a try fails with
    /// `Empty`, and a wait goes on until a message is released or put back, or fails with `Deadlock` if the caller holds the
    /// first of them.
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
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// q.push(b"the last one")?;
    /// q.close()?;
    /// assert!(q.is_closed());
    /// assert_eq!(q.pop()?, b"the last one"); // what is there can still be popped
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// The live thread that the others wait for, if any: the producer of the record that blocks the consumers, else the owner
    /// of the record whose room comes next. A snapshot.
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

    /// How many live threads sleep for a message: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` if the segment was closed.
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

    /// How many live threads sleep for room: a snapshot, as [`waiting_consumers`](Self::waiting_consumers).
    ///
    /// # Errors
    /// `InvalidInput` if the segment was closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.byte_queue("q", 1024, 100)?;
    /// while q.try_push(&[7; 100]).is_ok() {}
    /// std::thread::scope(|s| {
    ///     s.spawn(|| q.push(&[8; 100]).expect("it is not closed"));
    ///     while q.waiting_producers().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     q.pop().expect("a message");
    /// });
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiting_producers(&self) -> Result<u32> {
        self.raw.waiting_producers()
    }
}

impl fmt::Debug for ByteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteQueue")
            .field("len", &self.raw.len())
            .field("len_bytes", &self.raw.len_bytes())
            .field("capacity", &self.raw.capacity())
            .field("closed", &self.raw.is_closed())
            .finish_non_exhaustive()
    }
}
