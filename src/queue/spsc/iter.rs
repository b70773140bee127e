//! Loops over the messages of a [`Consumer`].

use super::Consumer;
use crate::error::Result;
use crate::queue::iter::{self, Popping};
use crate::shared::Plain;

/// Messages as they come, until the queue is closed and drained: see [`Consumer::iter`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
/// # let mut c = seg.spsc_consumer::<u64>("q", 4)?;
/// p.push_batch(&[1, 2, 3])?;
/// p.close()?;
/// for number in &mut c {
///     assert!(number <= 3);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Iter<'a, T> = iter::Iter<&'a mut Consumer<T>>;

/// Messages as long as there are any: see [`Consumer::try_iter`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
/// # let mut c = seg.spsc_consumer::<u64>("q", 4)?;
/// p.push_batch(&[1, 2, 3])?;
/// let mut numbers = c.try_iter();
/// assert_eq!(numbers.next(), Some(1));
/// drop(numbers);
/// assert_eq!(c.pop()?, 2); // what it did not yield is still there
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type TryIter<'a, T> = iter::TryIter<&'a mut Consumer<T>>;

/// The messages that were there: see [`Consumer::drain`].
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let mut p = seg.spsc_producer::<u64>("q", 4)?;
/// # let mut c = seg.spsc_consumer::<u64>("q", 4)?;
/// p.push_batch(&[1, 2, 3])?;
/// let numbers = c.drain();
/// assert_eq!(numbers.size_hint(), (0, Some(3)));
/// assert_eq!(numbers.sum::<u64>(), 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Drain<'a, T> = iter::Drain<&'a mut Consumer<T>>;

impl<T: Plain> Popping for &mut Consumer<T> {
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
        self.len().saturating_sub(self.seat.raw.unfreed() as usize) as u64
    }
}

impl<'a, T: Plain> IntoIterator for &'a mut Consumer<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
