//! Many messages in one call.
#![allow(unsafe_code)]

use super::Queue;
use crate::error::Result;
use crate::queue::BatchError;
use crate::shared::Plain;

impl<T: Plain> Queue<T> {
    /// Pushes all of `values` in order, waiting for room as long as it takes. Messages of others may come between them.
    ///
    /// # Errors
    /// `Closed`; the error says how many were pushed before.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// q.push_batch(&[1, 2, 3])?;
    /// assert_eq!(q.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_batch(&self, values: &[T]) -> core::result::Result<(), BatchError> {
        let fail = |pushed, error| BatchError { pushed, error };
        let me = self.me().map_err(|e| fail(0, e))?;
        for (pushed, value) in values.iter().enumerate() {
            // SAFETY: as in `try_push`.
            let fill = |p: *mut u8| unsafe { p.cast::<T>().write_unaligned(*value) };
            self.raw.push_with(me, None, fill).map_err(|e| fail(pushed, e))?;
        }
        Ok(())
    }

    /// Pushes as many of `values` as there is room for now. Returns how many.
    ///
    /// # Errors
    /// `Full` or `Closed` if none was pushed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 2)?;
    /// assert_eq!(q.try_push_batch(&[1, 2, 3])?, 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_push_batch(&self, values: &[T]) -> Result<usize> {
        let (me, mut steps) = (self.me()?, self.raw.steps());
        for (pushed, value) in values.iter().enumerate() {
            // SAFETY: as in `try_push`.
            let fill = |p: *mut u8| unsafe { p.cast::<T>().write_unaligned(*value) };
            match self.raw.try_push_within(me, Some(&mut steps), fill) {
                Ok(()) => {}
                Err(error) if pushed == 0 => return Err(error),
                Err(_) => return Ok(pushed),
            }
        }
        Ok(values.len())
    }

    /// Waits for a message, then pops as many as there are, at most `into.len()`. Returns how many. (It may stop earlier in a queue
    /// of which more than four messages are borrowed for long: the search behind them is bounded.)
    ///
    /// # Errors
    /// As [`Queue::pop`], if none was popped.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// q.push_batch(&[1, 2, 3])?;
    /// let mut got = [0; 8];
    /// assert_eq!(q.pop_batch(&mut got)?, 3);
    /// assert_eq!(&got[..3], &[1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_batch(&self, into: &mut [T]) -> Result<usize> {
        let Some(first) = into.first_mut() else { return Ok(0) };
        *first = self.pop()?;
        Ok(1 + self.try_pop_batch(&mut into[1..]).unwrap_or(0))
    }

    /// Pops as many messages as there are now, at most `into.len()`. Returns how many. (It may stop earlier, as
    /// [`pop_batch`](Queue::pop_batch).)
    ///
    /// # Errors
    /// `Empty` or `Closed` if none was popped.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// q.push_batch(&[1, 2, 3])?;
    /// let mut got = [0; 2];
    /// assert_eq!(q.try_pop_batch(&mut got)?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_pop_batch(&self, into: &mut [T]) -> Result<usize> {
        let (me, mut steps) = (self.me()?, self.raw.steps());
        for (popped, place) in into.iter_mut().enumerate() {
            match self.raw.try_pop_within(me, Some(&mut steps), Self::take) {
                Ok((value, _)) => *place = value,
                Err(error) if popped == 0 => return Err(error),
                Err(_) => return Ok(popped),
            }
        }
        Ok(into.len())
    }
}
