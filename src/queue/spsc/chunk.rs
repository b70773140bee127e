//! Several slots at a time, written or read in place.
//!
//! The slots lie in shared memory and belong to the thread that has the seat, until the commit or release. A process that breaks
//! the rules could write there meanwhile; whatever it writes is some `T` ([`Plain`]), and the slices never leave the ring.
#![allow(unsafe_code)]

use super::{Consumer, Producer};
use crate::error::{ErrorKind, Result};
use crate::member::{GuardMark, Unwinding};
use crate::shared::Plain;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice::{from_raw_parts, from_raw_parts_mut};

/// Guards stay in the thread that has the seat.
type InThisThread = PhantomData<*const ()>;

/// Free slots, to be written in place: see [`Producer::reserve`]. Dropped without a commit, they are aborted: nothing has
/// happened.
///
/// *If the producer dies* with a chunk, nothing of it was pushed: its slots are free for the next producer. *Fork*: in the child
/// a commit of its parent's chunk is refused with `NotOwner`, and nothing is pushed; dropping it does nothing. The slots are
/// the parent's: the child must not write there.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
/// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
/// let mut chunk = p.reserve(4)?;
/// chunk.as_mut_slices().0.copy_from_slice(&[1, 2, 3, 4]); // the ring does not end in it
/// chunk.commit(3)?;
/// drop(p.reserve(4)?); // nothing has happened
/// assert_eq!(c.drain().collect::<Vec<_>>(), [1, 2, 3]);
/// # Ok::<(), interproc::Error>(())
/// ```
/// After an unchecked fork (the safe forms refuse to fork while a chunk exists), the chunk is still the parent's:
/// ```
/// use interproc::{ErrorKind, Segment, process};
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let mut p = seg.spsc_producer::<u64>("q", 8)?;
/// let mut chunk = Some(p.reserve(4)?);
/// // SAFETY: the child writes nothing in the chunk.
/// let child = unsafe {
///     process::fork_unchecked(|| {
///         let refused = chunk.take().unwrap().commit_all().unwrap_err();
///         assert_eq!(refused.kind(), ErrorKind::NotOwner);
///     })
/// }?;
/// assert!(child.join()?.success());
/// chunk.take().unwrap().fill_from_iter([1, 2])?; // the parent goes on
/// assert_eq!(p.len(), 2);
/// # Ok::<(), interproc::Error>(())
/// ```
#[must_use = "nothing is pushed without a commit"]
pub struct WriteChunk<'a, T: Plain> {
    producer: &'a mut Producer<T>,
    slots: [(NonNull<T>, usize); 2],
    _guard: GuardMark,
    _here: InThisThread,
}

impl<'a, T: Plain> WriteChunk<'a, T> {
    #[inline(always)]
    pub(super) fn new(producer: &'a mut Producer<T>, count: usize) -> Self {
        let slots = producer.seat.slots(count).map(|(index, n)| (producer.slot(index), n));
        let guard = GuardMark::at(producer.seat.raw.lane().address());
        WriteChunk { producer, slots, _guard: guard, _here: PhantomData }
    }

    /// The slots, in order. The second slice is empty unless the ring ends in between. They hold what was there before.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[0; 6])?;
    /// c.drain().count();
    /// let mut chunk = p.reserve(4)?; // slots 6, 7, and then 0, 1
    /// let (a, b) = chunk.as_mut_slices();
    /// assert_eq!((a.len(), b.len()), (2, 2));
    /// for (number, slot) in (1..).zip(a.iter_mut().chain(b)) {
    ///     *slot = number;
    /// }
    /// chunk.commit_all()?;
    /// assert_eq!(c.drain().collect::<Vec<_>>(), [1, 2, 3, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn as_mut_slices(&mut self) -> (&mut [T], &mut [T]) {
        let [(a, n), (b, m)] = self.slots;
        // SAFETY: slots of the ring that are free and ours as long as we borrow the producer; two pieces that do not overlap,
        // aligned; mapped memory, whose bytes are always some `T`.
        unsafe { (from_raw_parts_mut(a.as_ptr(), n), from_raw_parts_mut(b.as_ptr(), m)) }
    }

    /// The number of slots.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// assert_eq!(p.reserve(5)?.len(), 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.slots[0].1 + self.slots[1].1
    }

    /// Whether there are none.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// assert!(p.reserve(0)?.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pushes the first `count` of them, published as one.
    ///
    /// # Errors
    /// `TooLarge` for more than were reserved; `Closed`; `NotOwner` in the child of a fork. None is pushed then.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// let mut chunk = p.reserve(4)?;
    /// chunk.as_mut_slices().0[0] = 7;
    /// chunk.commit(1)?; // three were not needed
    /// assert!(p.reserve(4)?.commit(5).is_err());
    /// assert_eq!(p.len(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline(always)]
    pub fn commit(self, count: usize) -> Result<()> {
        if count > self.len() {
            return Err(ErrorKind::TooLarge.into());
        }
        if count == 0 {
            return Ok(());
        }
        let seat = &mut self.producer.seat;
        seat.here()?; // not in the child of a fork
        seat.raw.advance(count as u64)
    }

    /// Pushes all of them, published as one.
    ///
    /// # Errors
    /// As [`WriteChunk::commit`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// let mut chunk = p.reserve(2)?;
    /// chunk.as_mut_slices().0.fill(7);
    /// chunk.commit_all()?;
    /// assert_eq!(p.len(), 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline(always)]
    pub fn commit_all(self) -> Result<()> {
        let all = self.len();
        self.commit(all)
    }

    /// Fills slots from an iterator as far as it goes, and pushes those. Returns how many.
    ///
    /// # Errors
    /// As [`WriteChunk::commit`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// assert_eq!(p.reserve(4)?.fill_from_iter([1, 2, 3])?, 3); // three are pushed
    /// assert_eq!(p.reserve(4)?.fill_from_iter(4..)?, 4); // as many as there is room for
    /// assert_eq!(p.len(), 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn fill_from_iter(self, values: impl IntoIterator<Item = T>) -> Result<usize> {
        WriteChunkUninit(self).fill_from_iter(values)
    }
}

/// Free slots whose contents are not to be read: see [`Producer::reserve_uninit`]. Dropped without a commit, they are aborted:
/// nothing has happened.
///
/// *If the producer dies* with it, and after a *fork*: as [`WriteChunk`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
/// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
/// let mut chunk = p.reserve_uninit(2)?;
/// for slot in chunk.as_mut_slices().0 {
///     slot.write(7);
/// }
/// // SAFETY: both slots were written.
/// unsafe { chunk.commit_all() }?;
/// assert_eq!(c.drain().collect::<Vec<_>>(), [7, 7]);
/// # Ok::<(), interproc::Error>(())
/// ```
#[must_use = "nothing is pushed without a commit"]
pub struct WriteChunkUninit<'a, T: Plain>(WriteChunk<'a, T>);

impl<'a, T: Plain> WriteChunkUninit<'a, T> {
    #[inline(always)]
    pub(super) fn new(producer: &'a mut Producer<T>, count: usize) -> Self {
        WriteChunkUninit(WriteChunk::new(producer, count))
    }

    /// The slots, in order. The second slice is empty unless the ring ends in between.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// let mut chunk = p.reserve_uninit(4)?;
    /// let (a, b) = chunk.as_mut_slices();
    /// assert_eq!((a.len(), b.len()), (4, 0));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline(always)]
    pub fn as_mut_slices(&mut self) -> (&mut [MaybeUninit<T>], &mut [MaybeUninit<T>]) {
        let [(a, n), (b, m)] = self.0.slots;
        // SAFETY: as in `WriteChunk::as_mut_slices`.
        unsafe { (from_raw_parts_mut(a.as_ptr().cast(), n), from_raw_parts_mut(b.as_ptr().cast(), m)) }
    }

    /// The number of slots.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// assert_eq!(p.reserve_uninit(5)?.len(), 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// assert!(p.reserve_uninit(0)?.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pushes the first `count` of them, published as one.
    ///
    /// # Errors
    /// `TooLarge` for more than were reserved; `Closed`; `NotOwner` in the child of a fork. None is pushed then.
    ///
    /// # Safety
    /// Nothing uninitialised was written to them.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// let mut chunk = p.reserve_uninit(4)?;
    /// chunk.as_mut_slices().0[0].write(7);
    /// // SAFETY: the first one was written, the others are left as they were.
    /// unsafe { chunk.commit(1) }?;
    /// assert_eq!(p.len(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub unsafe fn commit(self, count: usize) -> Result<()> {
        self.0.commit(count)
    }

    /// Pushes all of them, published as one.
    ///
    /// # Errors
    /// As [`WriteChunkUninit::commit`].
    ///
    /// # Safety
    /// As [`WriteChunkUninit::commit`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// let mut chunk = p.reserve_uninit(2)?;
    /// for slot in chunk.as_mut_slices().0 {
    ///     slot.write(7);
    /// }
    /// // SAFETY: both were written.
    /// unsafe { chunk.commit_all() }?;
    /// assert_eq!(p.len(), 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub unsafe fn commit_all(self) -> Result<()> {
        self.0.commit_all()
    }

    /// Fills slots from an iterator as far as it goes, and pushes those. Returns how many.
    ///
    /// # Errors
    /// As [`WriteChunkUninit::commit`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// assert_eq!(p.reserve_uninit(4)?.fill_from_iter([1, 2, 3])?, 3); // no `unsafe` for this
    /// assert_eq!(p.len(), 3);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn fill_from_iter(mut self, values: impl IntoIterator<Item = T>) -> Result<usize> {
        let mut count = 0;
        let (a, b) = self.as_mut_slices();
        let mut values = values.into_iter();
        // The slot first: take a value only if there is a slot for it.
        for slot in a.iter_mut().chain(b) {
            let Some(value) = values.next() else { break };
            slot.write(value);
            count += 1;
        }
        self.0.commit(count).map(|()| count)
    }
}

/// Borrowed messages, to be read in place: see [`Consumer::borrow`]. Dropped without a release, also by a panic, none is taken. If
/// the panic drops the consumer, too, they are flagged as after its death.
///
/// *If the consumer dies* with a chunk, all of it is delivered again to the next consumer, flagged
/// ([`redelivered`](Self::redelivered)). *Fork*: in the child a release of its parent's chunk takes nothing (`NotOwner`): the
/// messages stay the parent's. What the child reads there may have been overwritten.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
/// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
/// p.push_batch(&[1, 2, 3])?;
/// let chunk = c.borrow(2)?;
/// assert_eq!(chunk.as_slices().0, [1, 2]);
/// chunk.release(1)?; // the first one is taken
/// assert_eq!(c.borrow(2)?.as_slices().0, [2, 3]); // dropped: none is
/// assert_eq!(c.pop()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "no message is taken without a release"]
pub struct ReadChunk<'a, T: Plain> {
    consumer: &'a mut Consumer<T>,
    slots: [(NonNull<T>, usize); 2],
    _guard: GuardMark,
    _here: InThisThread,
}

impl<'a, T: Plain> ReadChunk<'a, T> {
    #[inline(always)]
    pub(super) fn new(consumer: &'a mut Consumer<T>, count: usize) -> Self {
        let slots = consumer.seat.slots(count).map(|(index, n)| (consumer.slot(index), n));
        let guard = GuardMark::at(consumer.seat.raw.lane().address());
        ReadChunk { consumer, slots, _guard: guard, _here: PhantomData }
    }

    /// The messages, in order. The second slice is empty unless the ring ends in between.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[0; 6])?;
    /// c.drain().count();
    /// p.push_batch(&[1, 2, 3, 4])?; // into slots 6, 7, and then 0, 1
    /// let chunk = c.borrow(4)?;
    /// assert_eq!(chunk.as_slices(), (&[1, 2][..], &[3, 4][..]));
    /// chunk.release_all();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn as_slices(&self) -> (&[T], &[T]) {
        let [(a, n), (b, m)] = self.slots;
        // SAFETY: slots of the ring that are published and ours as long as we borrow the consumer; aligned; any bytes are
        // a `T`.
        unsafe { (from_raw_parts(a.as_ptr(), n), from_raw_parts(b.as_ptr(), m)) }
    }

    /// The number of messages.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// assert_eq!(c.borrow(2)?.len(), 2);
    /// p.close()?;
    /// assert_eq!(c.borrow(8)?.len(), 3); // closed: no more will come
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.slots[0].1 + self.slots[1].1
    }

    /// Whether there are none.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// assert!(c.borrow(0)?.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them, the first ones, may have been read by a consumer that died or panicked.
    ///
    /// # Examples
    /// ```
    /// use interproc::{Segment, process};
    ///
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// let child = process::fork(|| {
    ///     let mut c = seg.spsc_consumer::<u64>("q", 8).unwrap();
    ///     let _chunk = c.borrow(2).unwrap();
    ///     std::process::abort(); // with two of them borrowed
    /// })?;
    /// child.join()?;
    /// let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// let chunk = c.borrow(3)?;
    /// assert_eq!((chunk.len(), chunk.redelivered()), (3, 2));
    /// chunk.release_all();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn redelivered(&self) -> usize {
        self.consumer.seat.raw.suspects().min(self.len() as u64) as usize
    }

    /// Takes the first `count` of them, freed as one; the rest stays.
    ///
    /// # Errors
    /// `TooLarge` for more than were borrowed; `NotOwner` in the child of a fork. None is taken then.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// assert!(c.borrow(3)?.release(4).is_err()); // none is taken
    /// c.borrow(3)?.release(2)?;
    /// assert_eq!(c.pop()?, 3); // it stayed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn release(self, count: usize) -> Result<()> {
        if count > self.len() {
            return Err(ErrorKind::TooLarge.into());
        }
        let seat = &mut self.consumer.seat;
        seat.here()?; // not in the child of a fork
        if count != 0 {
            seat.raw.advance(count as u64);
        }
        seat.raw.has_read();
        Ok(())
    }

    /// Takes all of them, freed as one; none in the child of a fork.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
    /// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
    /// p.push_batch(&[1, 2, 3])?;
    /// let chunk = c.borrow(3)?;
    /// let sum: u64 = chunk.as_slices().0.iter().sum();
    /// chunk.release_all();
    /// assert_eq!((sum, c.len()), (6, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn release_all(self) {
        let all = self.len();
        // It fails in the child of a fork only.
        let _ = self.release(all);
    }
}

impl<'a, T: Plain> IntoIterator for ReadChunk<'a, T> {
    type Item = T;
    type IntoIter = ReadChunkIntoIter<'a, T>;

    /// By value. When the iterator is dropped, the messages that it has yielded are taken, freed as one.
    fn into_iter(self) -> ReadChunkIntoIter<'a, T> {
        ReadChunkIntoIter { chunk: Some(self), next: 0, unwinding: Unwinding::begin() }
    }
}

/// The messages of a chunk by value. When it is dropped, those that it has yielded are taken, freed as one. None is taken in the
/// child of a fork, or if a panic drops it. If the consumer dies first, all of the chunk is delivered again, as with
/// [`ReadChunk`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.spsc_producer::<u64>("q", 8)?;
/// # let mut c = seg.spsc_consumer::<u64>("q", 8)?;
/// p.push_batch(&[1, 2, 3])?;
/// assert_eq!(c.borrow(3)?.into_iter().take(2).sum::<u64>(), 3);
/// assert_eq!(c.pop()?, 3); // it was not given out
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReadChunkIntoIter<'a, T: Plain> {
    /// Until the drop.
    chunk: Option<ReadChunk<'a, T>>,
    next: usize,
    unwinding: Unwinding,
}

impl<T: Plain> Iterator for ReadChunkIntoIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let (a, b) = self.chunk.as_ref()?.as_slices();
        let value = a.get(self.next).or_else(|| b.get(self.next - a.len())).copied()?;
        self.next += 1;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.chunk.as_ref().map_or(0, ReadChunk::len) - self.next;
        (left, Some(left))
    }
}

impl<T: Plain> ExactSizeIterator for ReadChunkIntoIter<'_, T> {}

impl<T: Plain> Drop for ReadChunkIntoIter<'_, T> {
    fn drop(&mut self) {
        // Dropped by a panic: even the yielded ones come again.
        if let Some(chunk) = self.chunk.take()
            && !self.unwinding.interrupts()
        {
            let _ = chunk.release(self.next); // as in `release_all`
        }
    }
}

macro_rules! debug_by_length {
    ($($name:ident)*) => {
        $(impl<T: Plain> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("len", &self.len()).finish_non_exhaustive()
            }
        })*
    };
}

debug_by_length!(WriteChunk WriteChunkUninit ReadChunk ReadChunkIntoIter);
