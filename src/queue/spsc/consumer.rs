//! [`Consumer`]: the typed consumer.
#![allow(unsafe_code)]

use super::{Drain, Iter, ReadChunk, Reader, TryIter};
use crate::counted::Keep;
use crate::error::{ErrorKind, Result};
use crate::member::{Member, Who, view};
use crate::queue::iter;
use crate::queue::lane::Lane;
use crate::queue::{BatchDelivery, Delivery};
use crate::shared::Plain;
use crate::time::Deadline;
use crate::time::Wait;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{NonNull, copy_nonoverlapping};
use core::time::Duration;

/// The one consumer of an Spsc queue: pops messages of type `T`, which the one [`Producer`](super::Producer) pushes.
///
/// Taken by [`Segment::spsc_consumer`](crate::Segment::spsc_consumer). There is one at a time: while it lives, others get
/// `WouldBlock`. Dropped, it frees what it has popped, and leaves the seat to the next one.
///
/// *If a thread dies* (or its process, at any instruction): what this consumer had not freed is delivered again to the next one,
/// and the messages that it may have read are flagged ([`Delivery::redelivered`]). So delivery is at-least-once for one
/// message, or for as many as [`free_every`](Self::free_every) or a chunk says. A producer's death loses nothing that was
/// published. A waiting pop gets that at once, and then goes on waiting, for the next producer; [`peer`](Self::peer) tells who
/// is there.
///
/// *Ordering, threads, fork, signals*: as for the producer. *Cost*: a pop without waiting is one store beside the
/// message; no read-modify-write, no fence, no system call. Wait-free.
///
/// # Examples
/// ```
/// use interproc::{ErrorKind, Segment};
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let mut letters = seg.spsc_producer::<u8>("letters", 8)?;
/// letters.push_batch(b"abc")?;
/// letters.close()?;
/// let mut reader = seg.spsc_consumer::<u8>("letters", 8)?;
/// assert_eq!(reader.pop()?, b'a');
/// let mut rest = [0; 8];
/// assert_eq!(reader.pop_batch(&mut rest)?, 2);
/// assert_eq!(reader.pop().unwrap_err().kind(), ErrorKind::Closed); // closed and drained
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer<T> {
    pub(super) seat: Reader,
    /// Keeps the segment mapped.
    segment: Keep,
    _value: PhantomData<fn() -> T>,
}

impl<T: Plain> Consumer<T> {
    /// Takes the seat of a lane of `T`s in a segment that `segment` keeps mapped.
    ///
    /// # Errors
    /// Those of `RawConsumer::take`.
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
        Ok(Consumer { seat: Reader::take(lane, me)?, segment, _value: PhantomData })
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

    /// Takes the next message, which is known to exist.
    #[inline(always)]
    fn take_one(&mut self) -> T {
        // SAFETY: the slot is ours by the seat, and published. Any bytes are a `T`.
        let value = unsafe { self.slot(self.seat.raw.next()).read() };
        self.seat.raw.advance_one();
        value
    }

    #[inline(always)]
    fn pop_by(&mut self, wait: Wait) -> Result<T> {
        self.seat.ready(wait)?;
        Ok(self.take_one())
    }

    #[inline(always)]
    fn pop_delivery_by(&mut self, wait: Wait) -> Result<Delivery<T>> {
        self.seat.ready(wait)?;
        let redelivered = self.seat.raw.is_redelivered();
        Ok(Delivery { value: self.take_one(), redelivered })
    }

    /// Pops, waiting for a message as long as it takes.
    ///
    /// # Errors
    /// `Closed` when closed and drained; `NotOwner` in a forked child; `Stale`; `TooManyMembers`; `Corrupt`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 2)?;
    /// p.push(1)?;
    /// assert_eq!(c.pop()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop(&mut self) -> Result<T> {
        self.pop_by(Wait::ForEver)
    }

    /// Pops if there is a message now.
    ///
    /// # Errors
    /// As [`Consumer::pop`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::ErrorKind;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 2)?;
    /// assert_eq!(c.try_pop().unwrap_err().kind(), ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_pop(&mut self) -> Result<T> {
        self.pop_by(Wait::Never)
    }

    /// Pops, waiting at most `timeout` for a message.
    ///
    /// # Errors
    /// As [`Consumer::pop`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 2)?;
    /// assert!(c.pop_timeout(Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T> {
        self.pop_until(Deadline::after(timeout))
    }

    /// Pops, waiting until `deadline` at the latest for a message.
    ///
    /// # Errors
    /// As [`Consumer::pop_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 2)?;
    /// p.push(1)?;
    /// assert_eq!(c.pop_until(interproc::Deadline::now())?, 1); // there is one: no waiting
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_until(&mut self, deadline: Deadline) -> Result<T> {
        self.pop_by(Wait::Until(deadline))
    }

    /// Pops, waiting as long as it takes, and tells whether the message is delivered again: an earlier consumer may have read it.
    ///
    /// # Errors
    /// As [`Consumer::pop`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 2)?;
    /// p.push(1)?;
    /// let letter = c.pop_delivery()?;
    /// assert!(letter.value == 1 && !letter.redelivered);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop_delivery(&mut self) -> Result<Delivery<T>> {
        self.pop_delivery_by(Wait::ForEver)
    }

    /// As [`pop_delivery`](Self::pop_delivery), if there is a message now.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push(1)?;
    /// assert!(!c.try_pop_delivery()?.redelivered);
    /// assert!(c.try_pop_delivery().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_pop_delivery(&mut self) -> Result<Delivery<T>> {
        self.pop_delivery_by(Wait::Never)
    }

    /// As [`pop_delivery`](Self::pop_delivery), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Consumer::pop_until`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// assert!(c.pop_delivery_timeout(std::time::Duration::from_millis(1)).is_err());
    /// p.push(1)?;
    /// assert_eq!(c.pop_delivery_timeout(std::time::Duration::from_millis(1))?.value, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_delivery_timeout(&mut self, timeout: Duration) -> Result<Delivery<T>> {
        self.pop_delivery_until(Deadline::after(timeout))
    }

    /// As [`pop_delivery`](Self::pop_delivery), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Consumer::pop_until`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push(1)?;
    /// assert_eq!(c.pop_delivery_until(interproc::Deadline::now())?.value, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_delivery_until(&mut self, deadline: Deadline) -> Result<Delivery<T>> {
        self.pop_delivery_by(Wait::Until(deadline))
    }

    /// Looks at the next message in place, without taking it, if there is one now.
    ///
    /// It lies in shared memory. The producer does not touch it. A process that breaks the rules could, but whatever it writes is
    /// some `T`.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 2)?;
    /// p.push(1)?;
    /// assert_eq!(c.peek()?, &1);
    /// assert_eq!(c.pop()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&mut self) -> Result<&T> {
        self.seat.ready(Wait::Never)?;
        // SAFETY: published, not freed as long as the reference to us lasts, aligned; any bytes are a `T`.
        Ok(unsafe { self.slot(self.seat.raw.index()).as_ref() })
    }

    /// Waits for a message, then pops as many as there are, at most `into.len()`. Returns how many. They are copied in one or two
    /// pieces and freed as one.
    ///
    /// # Errors
    /// As [`Consumer::pop`], if none was popped.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// let mut got = [0; 8];
    /// assert_eq!(c.pop_batch(&mut got)?, 3);
    /// assert_eq!(&got[..3], &[1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_batch(&mut self, into: &mut [T]) -> Result<usize> {
        Ok(self.pop_batch_delivery(into, Wait::ForEver)?.count)
    }

    /// As [`pop_batch`](Self::pop_batch), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Consumer::pop_until`], if none was popped.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2])?;
    /// assert_eq!(c.pop_batch_timeout(&mut [0; 4], std::time::Duration::from_millis(1))?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_batch_timeout(&mut self, into: &mut [T], timeout: Duration) -> Result<usize> {
        self.pop_batch_until(into, Deadline::after(timeout))
    }

    /// As [`pop_batch`](Self::pop_batch), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Consumer::pop_until`], if none was popped.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2])?;
    /// assert_eq!(c.pop_batch_until(&mut [0; 4], interproc::Deadline::now())?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_batch_until(&mut self, into: &mut [T], deadline: Deadline) -> Result<usize> {
        Ok(self.pop_batch_delivery(into, Wait::Until(deadline))?.count)
    }

    /// Pops as many messages as there are now, at most `into.len()`. Returns how many.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`], if none was popped.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// assert_eq!(c.try_pop_batch(&mut [0; 2])?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_pop_batch(&mut self, into: &mut [T]) -> Result<usize> {
        Ok(self.pop_batch_delivery(into, Wait::Never)?.count)
    }

    /// [`pop_batch`](Self::pop_batch) that waits for the first message as long as `wait` says, and tells how many messages are
    /// delivered again: the first ones.
    ///
    /// # Errors
    /// As [`Consumer::pop`], and `Empty` or `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// use interproc::Wait;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// let batch = c.pop_batch_delivery(&mut [0; 8], Wait::ForEver)?;
    /// assert_eq!((batch.count, batch.redelivered), (3, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_batch_delivery(&mut self, into: &mut [T], wait: Wait) -> Result<BatchDelivery> {
        if into.is_empty() {
            return Ok(BatchDelivery { count: 0, redelivered: 0 });
        }
        self.seat.ready(wait)?;
        let count = self.seat.up_to(into.len())?;
        let suspects = self.seat.raw.suspects();
        let told = self.seat.raw.reads(count as u64);
        let mut to = into.as_mut_ptr();
        for (index, n) in self.seat.slots(count).into_iter().filter(|piece| piece.1 > 0) {
            // SAFETY: `n` slots that are ours by the seat and published; the rest of `into` is as long.
            unsafe {
                copy_nonoverlapping(self.slot(index).as_ptr(), to, n);
                to = to.add(n);
            }
        }
        self.seat.raw.advance(count as u64);
        if told {
            self.seat.raw.has_read();
        }
        Ok(BatchDelivery { count, redelivered: suspects.min(count as u64) as usize })
    }

    /// Waits until there are `count` messages and borrows them, to be read in place; fewer when the queue is closed. None is taken
    /// before a [`release`](ReadChunk::release).
    ///
    /// # Errors
    /// `InvalidInput` for more than the capacity; as [`Consumer::pop`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// let chunk = c.borrow(3)?;
    /// let (a, b) = chunk.as_slices(); // two, as the ring may end in between
    /// assert_eq!([a, b].concat(), [1, 2, 3]);
    /// chunk.release(2)?;
    /// assert_eq!(c.pop()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn borrow(&mut self, count: usize) -> Result<ReadChunk<'_, T>> {
        self.chunk(count, Wait::ForEver).map(|n| ReadChunk::new(self, n))
    }

    /// As [`borrow`](Self::borrow), if there are that many now.
    ///
    /// # Errors
    /// As [`Consumer::borrow`], and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// assert!(c.try_borrow(4).is_err());
    /// let sum: u64 = c.try_borrow(c.len())?.into_iter().sum();
    /// assert_eq!((sum, c.len()), (6, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_borrow(&mut self, count: usize) -> Result<ReadChunk<'_, T>> {
        self.chunk(count, Wait::Never).map(|n| ReadChunk::new(self, n))
    }

    /// As [`borrow`](Self::borrow), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Consumer::borrow`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push(1)?;
    /// assert!(c.borrow_timeout(2, std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn borrow_timeout(&mut self, count: usize, timeout: Duration) -> Result<ReadChunk<'_, T>> {
        self.borrow_until(count, Deadline::after(timeout))
    }

    /// As [`borrow`](Self::borrow), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Consumer::borrow`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push(1)?;
    /// assert!(c.borrow_until(2, interproc::Deadline::now()).is_err());
    /// p.push(2)?;
    /// assert_eq!(c.borrow_until(2, interproc::Deadline::now())?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn borrow_until(&mut self, count: usize, deadline: Deadline) -> Result<ReadChunk<'_, T>> {
        self.chunk(count, Wait::Until(deadline)).map(|n| ReadChunk::new(self, n))
    }

    #[inline(always)]
    fn chunk(&mut self, count: usize, wait: Wait) -> Result<usize> {
        self.seat.ready_for(count, wait)?;
        let count = count.min(self.seat.raw.known() as usize);
        self.seat.raw.reads(count as u64);
        Ok(count)
    }

    /// Pops message after message, waiting for each, until the queue is closed and drained (or a pop fails).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// p.close()?;
    /// assert_eq!(c.iter().sum::<u64>(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_, T> {
        iter::Iter(self)
    }

    /// Pops messages as long as there are any. Beside a fast producer it may go on for ever.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// assert_eq!(c.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        iter::TryIter(self)
    }

    /// Pops the messages that are there at the time of the call, and no more. Dropped early, it leaves the rest.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// assert_eq!(c.drain().count(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&mut self) -> Drain<'_, T> {
        iter::Drain::new(self)
    }

    /// Frees only after this many messages, at least 1, which is the default. Then the cache line that tells the producer moves
    /// between the processors less often. Messages that are popped and not freed take up room, and if this consumer dies they are
    /// delivered again, flagged. They are freed at the latest before a pop waits or finds nothing, by [`flush`](Self::flush),
    /// and when the handle is dropped. More than the capacity counts as the capacity.
    ///
    /// # Errors
    /// `NotOwner`, `Stale`, `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 2)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 2)?;
    /// c.free_every(2)?;
    /// p.push_batch(&[1, 2])?;
    /// c.pop()?;
    /// assert!(p.try_push(3).is_err());
    /// c.flush()?;
    /// p.try_push(3)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn free_every(&mut self, messages: usize) -> Result<()> {
        self.seat.seated()?;
        self.seat.raw.free_every(messages as u64);
        Ok(())
    }

    /// Frees what was popped and not yet freed.
    ///
    /// # Errors
    /// `NotOwner`, `Stale`, `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 4)?;
    /// c.free_every(4)?;
    /// p.push_batch(&[1, 2, 3, 4])?;
    /// c.pop()?;
    /// assert!(p.try_push(5).is_err()); // the first one's room is not free yet
    /// c.flush()?;
    /// p.try_push(5)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn flush(&mut self) -> Result<()> {
        self.seat.flush()
    }

    /// Closes the queue for good: pushes fail from now on. What was published can still be popped, here or by the next consumer. A
    /// push that races with the close either succeeds, and is then delivered, or fails. Idempotent.
    ///
    /// # Errors
    /// `NotOwner`, `Stale`, `TooManyMembers`: nothing is changed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push(1)?;
    /// c.close()?;
    /// assert!(p.push(2).is_err());
    /// assert_eq!(c.pop()?, 1);
    /// assert!(c.pop().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self) -> Result<()> {
        let me = self.seat.seated()?;
        self.seat.raw.close(me);
        Ok(())
    }

    /// Frees the rest and leaves the seat to the next consumer, as dropping the handle does, but reports errors. The queue stays
    /// open.
    ///
    /// # Errors
    /// As [`Consumer::flush`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push(1)?;
    /// c.leave()?;
    /// let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// assert_eq!(c.pop()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn leave(mut self) -> Result<()> {
        self.flush()
    }
}

impl<T> Consumer<T> {
    /// How many messages are in the queue, published and not freed: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// # let c = seg.spsc_consumer::<u64>("q", 4)?;
    /// p.push_batch(&[1, 2])?;
    /// assert_eq!(c.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.seat.raw.lane().len() as usize
    }

    /// Whether there is nothing to pop: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 4)?;
    /// p.push(1)?;
    /// assert!(!c.is_empty());
    /// c.pop()?;
    /// assert!(c.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() <= self.seat.raw.unfreed() as usize
    }

    /// Whether the producer would find no room: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// # let c = seg.spsc_consumer::<u64>("q", 4)?;
    /// p.push_batch(&[1, 2, 3, 4])?;
    /// assert!(c.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// The most messages it holds.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let c = seg.spsc_consumer::<u64>("q", 4)?;
    /// assert_eq!(c.capacity(), 4);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.seat.raw.lane().capacity() as usize
    }

    /// The most messages ever seen in it, as [`Producer::peak`](super::Producer::peak).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 4)?;
    /// assert_eq!(p.try_push_batch(&[1, 2, 3, 4, 5])?, 4); // the producer ran out of room
    /// c.drain().count();
    /// assert_eq!((c.len(), c.peak()), (0, 4));
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
    /// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
    /// # let c = seg.spsc_consumer::<u64>("q", 4)?;
    /// p.push(1)?;
    /// p.close()?;
    /// assert!(c.is_closed() && !c.is_empty()); // what is there can still be popped
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.seat.raw.lane().is_closed()
    }

    /// The holder of the producer's seat, dead or alive; `None` while the seat is vacant.
    ///
    /// # Errors
    /// `InvalidInput` if the segment was closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let c = seg.spsc_consumer::<u64>("q", 8)?;
    /// assert!(c.peer()?.is_none());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn peer(&self) -> Result<Option<Who>> {
        let lane = self.seat.raw.lane();
        view::who(lane.address(), lane.producer())
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
