//! Loops over the messages of a [`Queue`].

use super::Queue;
use crate::error::Result;
use crate::queue::iter::{self, Popping};
use crate::shared::Plain;

impl<T: Plain> Queue<T> {
    /// Pops one message after the other, waiting for each, until the queue is closed and drained.
    ///
    /// Every message goes to one consumer: two loops share the messages. They come out in order, each producer's in the order
    /// of its pushes; a message that a dead consumer had borrowed comes again.
    ///
    /// The loop also ends if the thread cannot become a member of the segment: [`Queue::pop`] tells these ends apart. A popped
    /// message is gone even if the loop ends by `break`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// q.push_batch(&[1, 2, 3])?;
    /// q.close()?;
    /// assert_eq!(q.iter().sum::<u64>(), 6);
    /// for number in &q {
    ///     unreachable!("{number}: it is closed and drained");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        iter::Iter(self)
    }

    /// Pops messages as long as there are any; never waits. It may go on for as long as producers keep pushing;
    /// [`Queue::drain`] does not.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// q.push_batch(&[1, 2, 3])?;
    /// assert_eq!(q.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// assert_eq!(q.try_iter().next(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        iter::TryIter(self)
    }

    /// Pops at most as many messages as are in the queue now; never waits. So it ends, however many are pushed meanwhile.
    /// Messages that the loop does not reach stay in the queue.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// q.push_batch(&[1, 2, 3])?;
    /// for number in q.drain() {
    ///     q.push(10 * number)?; // these are for the next one
    /// }
    /// assert_eq!(q.drain().collect::<Vec<_>>(), [10, 20, 30]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&self) -> Drain<'_, T> {
        iter::Drain::new(self)
    }
}

/// Messages until the end: see [`Queue::iter`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.queue::<u64>("q", 8)?;
/// q.push_batch(&[1, 2, 3])?;
/// q.close()?;
/// let mut numbers = q.iter();
/// assert_eq!(numbers.next(), Some(1));
/// assert_eq!(q.iter().collect::<Vec<_>>(), [2, 3]); // each message goes to one loop
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Iter<'a, T> = iter::Iter<&'a Queue<T>>;

impl<'a, T: Plain> IntoIterator for &'a Queue<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Messages that are there: see [`Queue::try_iter`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.queue::<u64>("q", 8)?;
/// q.push_batch(&[1, 2])?;
/// let mut numbers = q.try_iter();
/// assert_eq!((numbers.next(), numbers.next(), numbers.next()), (Some(1), Some(2), None));
/// q.push(3)?;
/// assert_eq!(numbers.next(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type TryIter<'a, T> = iter::TryIter<&'a Queue<T>>;

/// Messages that were there: see [`Queue::drain`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.queue::<u64>("q", 8)?;
/// q.push_batch(&[1, 2])?;
/// let numbers = q.drain();
/// q.push(3)?; // not of this round
/// assert_eq!(numbers.size_hint(), (0, Some(2)));
/// assert_eq!(numbers.collect::<Vec<_>>(), [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Drain<'a, T> = iter::Drain<&'a Queue<T>>;

impl<T: Plain> Popping for &Queue<T> {
    type Item = T;
    #[inline]
    fn pop_next(&mut self) -> Result<T> {
        self.pop()
    }
    #[inline]
    fn try_pop_next(&mut self) -> Result<T> {
        self.try_pop()
    }
    fn there(&self) -> u64 {
        self.len() as u64
    }
}
