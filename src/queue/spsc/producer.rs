//! [`Producer`]: the typed producer.
#![allow(unsafe_code)]

use super::{WriteChunk, WriteChunkUninit, Writer};
use crate::counted::Keep;
use crate::error::{ErrorKind, Result};
use crate::member::{Member, Who, view};
use crate::queue::lane::Lane;
use crate::queue::{BatchError, PushError};
use crate::shared::Plain;
use crate::time::Deadline;
use crate::time::Wait;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{NonNull, copy_nonoverlapping};
use core::time::Duration;

type Pushed<T> = core::result::Result<(), PushError<T>>;

/// The one producer of an Spsc queue: pushes messages of type `T` for the one [`Consumer`](super::Consumer).
///
/// Taken by [`Segment::spsc_producer`](crate::Segment::spsc_producer). There is one at a time: while it lives, others get
/// `WouldBlock`. Dropped, it publishes the rest, and leaves the seat to the next one.
///
/// *If a thread dies* (or its process, at any instruction): what this producer had published is delivered, what it had not (see
/// [`publish_every`](Self::publish_every)) is lost; the next producer continues behind it. A consumer's death costs the producer
/// nothing: unread messages wait for the next consumer. A push that waits for room gets what the dead consumer had freed at
/// once, and then goes on waiting, for the next consumer; [`peer`](Self::peer) tells who is there. (If a death is to be the
/// end, use a [pipe](crate::pipe).)
///
/// *Ordering*: a pop sees everything that happened before the push of its message. Messages come out in order. *Threads*: the
/// handle may move to another thread, and its first use there moves the seat; `Stale` if its former thread had ended and another
/// producer has taken over since. *Fork*: the child is refused with `NotOwner` and cannot harm the parent's queue with its
/// copy. *Signals*: not to be used in a handler. *Cost*: a push without waiting is one store beside the message; no
/// read-modify-write, no fence, no system call. Wait-free.
///
/// # Examples
/// ```
/// use interproc::{Segment, process};
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let mut orders = seg.spsc_consumer::<[u32; 2]>("orders", 64)?;
/// let waiter = process::fork(|| {
///     let mut orders = seg.spsc_producer::<[u32; 2]>("orders", 64).unwrap();
///     for table in 1..=3 {
///         orders.push([table, 7]).unwrap();
///     }
///     orders.close().unwrap();
/// })?;
/// let tables: Vec<u32> = orders.iter().map(|[table, _]| table).collect();
/// assert_eq!(tables, [1, 2, 3]);
/// # drop(waiter.join()?);
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Producer<T> {
    pub(super) seat: Writer,
    /// Keeps the segment mapped.
    segment: Keep,
    _value: PhantomData<fn(T)>,
}

impl<T: Plain> Producer<T> {
    /// Takes the seat of a lane of `T`s in a segment that `segment` keeps mapped.
    ///
    /// # Errors
    /// Those of `RawProducer::take`.
    pub(crate) fn take(lane: Lane, me: &Member, segment: Keep) -> Result<Self> {
        const {
            assert!(
                size_of::<T>() > 0 && align_of::<T>() <= Lane::ALIGN,
                "1 byte at least, aligned to 64 at most"
            )
        };
        if lane.unit() != size_of::<T>() {
            return Err(ErrorKind::Corrupt.into());
        }
        Ok(Producer { seat: Writer::take(lane, me)?, segment, _value: PhantomData })
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (Lane, Keep) {
        (*self.seat.lane(), self.segment.clone())
    }

    /// The slot at an index of the ring.
    #[inline(always)]
    pub(super) fn slot(&self, index: u64) -> NonNull<T> {
        debug_assert!(index < self.seat.raw.lane().capacity());
        // SAFETY: in bounds, as a unit is a `T` and the index below the capacity.
        unsafe { self.seat.raw.lane().first().cast::<T>().add(index as usize) }
    }

    #[inline(always)]
    fn push_by(&mut self, value: T, wait: Wait) -> Pushed<T> {
        if let Err(error) = self.seat.ready(wait) {
            return Err(PushError { value, error });
        }
        let position = self.seat.raw.position();
        // SAFETY: the slot is ours by the seat, and known to be free.
        unsafe { self.slot(self.seat.raw.next_at(position)).write(value) };
        match self.seat.raw.advance_from(position) {
            Ok(()) => Ok(()),
            Err(error) => Err(PushError { value, error }),
        }
    }

    /// Pushes, waiting for room as long as it takes.
    ///
    /// # Errors
    /// `Closed`; `NotOwner` in a forked child; `Stale`; `TooManyMembers`; `Corrupt`. The error returns the value.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// p.push(1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn push(&mut self, value: T) -> Pushed<T> {
        self.push_by(value, Wait::ForEver)
    }

    /// Pushes if there is room now.
    ///
    /// # Errors
    /// As [`Producer::push`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 1)?;
    /// p.try_push(1)?;
    /// assert_eq!(p.try_push(2).unwrap_err().into_value(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_push(&mut self, value: T) -> Pushed<T> {
        self.push_by(value, Wait::Never)
    }

    /// Pushes, waiting at most `timeout` for room.
    ///
    /// # Errors
    /// As [`Producer::push`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 1)?;
    /// p.push_timeout(1, Duration::from_millis(1))?;
    /// assert!(p.push_timeout(2, Duration::from_millis(1)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_timeout(&mut self, value: T, timeout: Duration) -> Pushed<T> {
        self.push_until(value, Deadline::after(timeout))
    }

    /// Pushes, waiting until `deadline` at the latest for room.
    ///
    /// # Errors
    /// As [`Producer::push_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 1)?;
    /// p.push_until(1, interproc::Deadline::now())?; // there is room: no waiting
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_until(&mut self, value: T, deadline: Deadline) -> Pushed<T> {
        self.push_by(value, Wait::Until(deadline))
    }

    /// Pushes all of `values` in order, waiting for room as long as it takes. Each run that finds room is copied in one or two
    /// pieces and published as one.
    ///
    /// # Errors
    /// As [`Producer::push`]; the error says how many were pushed before.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// assert_eq!(p.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_batch(&mut self, values: &[T]) -> core::result::Result<(), BatchError> {
        self.push_batch_by(values, Wait::ForEver).map(drop)
    }

    /// As [`push_batch`](Self::push_batch), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Producer::push_batch`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// let e = p.push_batch_timeout(&[1, 2, 3], std::time::Duration::from_millis(1)).unwrap_err();
    /// assert_eq!((e.pushed, e.error.kind()), (2, interproc::ErrorKind::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_batch_timeout(
        &mut self,
        values: &[T],
        timeout: Duration,
    ) -> core::result::Result<(), BatchError> {
        self.push_batch_until(values, Deadline::after(timeout))
    }

    /// As [`push_batch`](Self::push_batch), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Producer::push_batch`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// let e = p.push_batch_until(&[1, 2, 3], interproc::Deadline::now()).unwrap_err();
    /// assert_eq!((e.pushed, e.error.kind()), (2, interproc::ErrorKind::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_batch_until(
        &mut self,
        values: &[T],
        deadline: Deadline,
    ) -> core::result::Result<(), BatchError> {
        self.push_batch_by(values, Wait::Until(deadline)).map(drop)
    }

    /// Pushes as many of `values` as there is room for, published as one. Returns how many.
    ///
    /// # Errors
    /// As [`Producer::try_push`], if none was pushed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// assert_eq!(p.try_push_batch(&[1, 2, 3])?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_push_batch(&mut self, values: &[T]) -> Result<usize> {
        match self.push_batch_by(values, Wait::Never) {
            Err(e) if e.pushed == 0 => Err(e.error),
            Err(e) => Ok(e.pushed),
            Ok(all) => Ok(all),
        }
    }

    fn push_batch_by(&mut self, values: &[T], wait: Wait) -> core::result::Result<usize, BatchError> {
        let mut pushed = 0;
        while pushed < values.len() {
            let run = self.push_run(&values[pushed..], wait);
            pushed += run.map_err(|error| BatchError { pushed, error })?;
        }
        Ok(pushed)
    }

    /// Pushes as many as there is room for, at least one.
    fn push_run(&mut self, values: &[T], wait: Wait) -> Result<usize> {
        self.seat.ready(wait)?;
        let count = self.seat.up_to(values.len())?;
        let mut from = values.as_ptr();
        for (index, n) in self.seat.slots(count).into_iter().filter(|piece| piece.1 > 0) {
            // SAFETY: `n` slots that are ours by the seat and known to be free; as many values are left.
            unsafe {
                copy_nonoverlapping(from, self.slot(index).as_ptr(), n);
                from = from.add(n);
            }
        }
        self.seat.raw.advance(count as u64)?;
        Ok(count)
    }

    /// Waits until `count` slots are free and reserves them, to be written in place. They hold what was there before. Nothing is
    /// pushed before a [`commit`](WriteChunk::commit). (A producer that waits for *n* slots and a consumer that waits for *m*
    /// messages can wait for each other if *n* + *m* exceeds the capacity + 1.)
    ///
    /// # Errors
    /// `InvalidInput` for more than the capacity; as [`Producer::push`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let mut samples = seg.spsc_producer::<f32>("samples", 1024)?;
    /// let mut chunk = samples.reserve(256)?;
    /// let (a, b) = chunk.as_mut_slices(); // two, as the ring may end in between
    /// a.fill(0.5);
    /// b.fill(0.5);
    /// chunk.commit_all()?;
    /// assert_eq!(samples.len(), 256);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn reserve(&mut self, count: usize) -> Result<WriteChunk<'_, T>> {
        self.chunk(count, Wait::ForEver).map(|n| WriteChunk::new(self, n))
    }

    /// As [`reserve`](Self::reserve), if that many are free now.
    ///
    /// # Errors
    /// As [`Producer::reserve`], and `Full`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// p.push(1)?;
    /// assert!(p.try_reserve(4).is_err());
    /// assert_eq!(p.try_reserve(3)?.fill_from_iter(2..)?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_reserve(&mut self, count: usize) -> Result<WriteChunk<'_, T>> {
        self.chunk(count, Wait::Never).map(|n| WriteChunk::new(self, n))
    }

    /// As [`reserve`](Self::reserve), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Producer::reserve`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// p.reserve_timeout(2, std::time::Duration::from_millis(1))?.commit(1)?;
    /// assert!(p.reserve_timeout(2, std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve_timeout(&mut self, count: usize, timeout: Duration) -> Result<WriteChunk<'_, T>> {
        self.reserve_until(count, Deadline::after(timeout))
    }

    /// As [`reserve`](Self::reserve), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Producer::reserve`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// p.reserve_until(4, interproc::Deadline::now())?.commit(1)?;
    /// assert!(p.reserve_until(4, interproc::Deadline::now()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve_until(&mut self, count: usize, deadline: Deadline) -> Result<WriteChunk<'_, T>> {
        self.chunk(count, Wait::Until(deadline)).map(|n| WriteChunk::new(self, n))
    }

    /// As [`reserve`](Self::reserve), for slots whose old contents are not to be read.
    ///
    /// # Errors
    /// As [`Producer::reserve`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// assert_eq!(p.reserve_uninit(8)?.fill_from_iter([1, 2, 3])?, 3);
    /// assert_eq!(p.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn reserve_uninit(&mut self, count: usize) -> Result<WriteChunkUninit<'_, T>> {
        self.chunk(count, Wait::ForEver).map(|n| WriteChunkUninit::new(self, n))
    }

    /// As [`reserve_uninit`](Self::reserve_uninit), if that many are free now.
    ///
    /// # Errors
    /// As [`Producer::try_reserve`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// assert_eq!(p.try_reserve_uninit(2)?.fill_from_iter(0..)?, 2);
    /// assert!(p.try_reserve_uninit(1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_reserve_uninit(&mut self, count: usize) -> Result<WriteChunkUninit<'_, T>> {
        self.chunk(count, Wait::Never).map(|n| WriteChunkUninit::new(self, n))
    }

    #[inline(always)]
    fn chunk(&mut self, count: usize, wait: Wait) -> Result<usize> {
        self.seat.ready_for(count, wait).map(|()| count)
    }

    /// Publishes only after this many messages, at least 1, which is the default. Then the cache line that tells the consumer
    /// moves between the processors less often. The consumer does not see unpublished messages, and they are lost if this
    /// producer dies. They are published at the latest before a push waits or finds the queue full, by [`flush`](Self::flush),
    /// and when the handle is dropped. A closed queue refuses unpublished messages, and the push that would have published
    /// them fails. A push that fails while it waits has published the rest before, if that was possible.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 64)?;
    /// p.publish_every(16);
    /// p.push(1)?;
    /// assert_eq!((p.len(), p.unpublished()), (0, 1));
    /// p.flush()?;
    /// assert_eq!((p.len(), p.unpublished()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_every(&mut self, messages: usize) {
        self.seat.raw.publish_every(messages as u64);
    }

    /// How many messages are pushed but not yet published.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// p.publish_every(3);
    /// p.push(1)?;
    /// p.push(2)?;
    /// assert_eq!((p.unpublished(), p.len()), (2, 0));
    /// p.push(3)?;
    /// assert_eq!((p.unpublished(), p.len()), (0, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unpublished(&self) -> usize {
        self.seat.raw.unpublished() as usize
    }

    /// Publishes what was pushed and not yet published.
    ///
    /// # Errors
    /// `Closed`: the rest is lost; as [`Producer::push`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// p.publish_every(3);
    /// p.push(1)?;
    /// p.flush()?; // now the consumer sees it
    /// assert_eq!((p.unpublished(), p.len()), (0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn flush(&mut self) -> Result<()> {
        self.seat.flush()
    }

    /// Closes the queue for good: the consumer gets what is there, then `Closed`. Idempotent.
    ///
    /// # Errors
    /// `Closed` if the consumer had closed it before the rest was published: that is lost. `NotOwner`, `Stale`,
    /// `TooManyMembers`: nothing is changed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// p.push(1)?;
    /// p.close()?;
    /// assert!(p.is_closed() && p.push(2).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self) -> Result<()> {
        let me = self.seat.seated()?;
        self.seat.raw.close(me)
    }

    /// Publishes the rest and leaves the seat to the next producer, as dropping the handle does, but reports errors. The queue
    /// stays open.
    ///
    /// # Errors
    /// As [`Producer::flush`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.publish_every(8);
    /// p.push(1)?;
    /// p.leave()?;
    /// assert_eq!(c.pop()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn leave(mut self) -> Result<()> {
        self.flush()
    }
}

impl<T> Producer<T> {
    /// How many messages are in the queue, published and not freed: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// p.push_batch(&[1, 2])?;
    /// assert_eq!(p.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.seat.raw.lane().len() as usize
    }

    /// Whether there is none: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// assert!(p.is_empty());
    /// p.push(1)?;
    /// assert!(!p.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// p.push_batch(&[1, 2, 3, 4])?;
    /// assert!(p.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.len() + self.seat.raw.unpublished() as usize >= self.capacity()
    }

    /// The most messages it holds.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let p = seg.spsc_producer::<u64>("q", 4)?;
    /// assert_eq!(p.capacity(), 4);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.seat.raw.lane().capacity() as usize
    }

    /// The most messages ever seen in it: helps to choose a capacity; if it is near the capacity, a larger one would help. A
    /// producer samples it whenever it has used up the room that it knew of; so does this call.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 4)?;
    /// assert_eq!(p.try_push_batch(&[1, 2, 3, 4, 5])?, 4); // it ran out of room
    /// c.drain().count();
    /// assert_eq!((p.len(), p.peak()), (0, 4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peak(&self) -> usize {
        self.seat.raw.lane().peak() as usize
    }

    /// Whether it was closed, by either side.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let p = seg.spsc_producer::<u64>("q", 4)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 4)?;
    /// assert!(!p.is_closed());
    /// c.close()?;
    /// assert!(p.is_closed());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.seat.raw.lane().is_closed()
    }

    /// The holder of the consumer's seat, dead or alive; `None` while the seat is vacant.
    ///
    /// # Errors
    /// `InvalidInput` if the segment was closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let p = seg.spsc_producer::<u64>("q", 8)?;
    /// assert!(p.peer()?.is_none());
    /// let c = seg.spsc_consumer::<u64>("q", 8)?;
    /// let consumer = p.peer()?.expect("somebody");
    /// assert!(consumer.alive && consumer.pid == std::process::id());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peer(&self) -> Result<Option<Who>> {
        let lane = self.seat.raw.lane();
        view::who(lane.address(), lane.consumer())
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
