//! Many messages in one call.
#![allow(unsafe_code)]

use super::Queue;
use crate::error::Result;
use crate::queue::{BatchDelivery, BatchError};
use crate::shared::Plain;
use crate::time::Wait;

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
        Ok(self.pop_batch_delivery(into, Wait::ForEver)?.count)
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
        Ok(self.pop_batch_delivery(into, Wait::Never)?.count)
    }

    /// [`pop_batch`](Queue::pop_batch) that waits for the first message as long as `wait` says, and tells how many messages are
    /// delivered again.
    ///
    /// # Errors
    /// As [`Queue::pop`], and `Empty` or `TimedOut`, if none was popped.
    ///
    /// # Examples
    /// ```
    /// use interproc::Wait;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let q = seg.queue::<u64>("q", 8)?;
    /// q.push_batch(&[1, 2])?;
    /// q.borrow()?.put_back(); // the 1: read, and put back
    /// let batch = q.pop_batch_delivery(&mut [0; 8], Wait::Never)?;
    /// assert_eq!((batch.count, batch.redelivered), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_batch_delivery(&self, into: &mut [T], wait: Wait) -> Result<BatchDelivery> {
        let mut got = BatchDelivery { count: 0, redelivered: 0 };
        if into.is_empty() && !matches!(wait, Wait::Never) {
            return Ok(got);
        }
        let (me, mut steps) = (self.me()?, self.raw.steps());
        let mut rest = into.iter_mut();
        if !matches!(wait, Wait::Never)
            && let Some(first) = rest.next()
        {
            let (value, redelivered) = self.raw.pop_with(me, wait.deadline(), Self::take)?;
            *first = value;
            got = BatchDelivery { count: 1, redelivered: redelivered.into() };
        }
        for place in rest {
            match self.raw.try_pop_within(me, Some(&mut steps), Self::take) {
                Ok((value, redelivered)) => {
                    *place = value;
                    got.count += 1;
                    got.redelivered += usize::from(redelivered);
                }
                Err(error) if got.count == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(got)
    }
}
