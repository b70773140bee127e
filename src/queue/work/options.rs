//! [`WorkOptions`]: what a work queue is made with.

use super::layout::{Geometry, WorkOrder};
use core::time::Duration;

/// What a work queue is made with. Whoever finds it must ask for the same.
///
/// # Examples
/// ```
/// use interproc::Segment;
/// use interproc::queue::{WorkOptions, WorkOrder};
/// use std::time::Duration;
///
/// let options = WorkOptions::new(1000)
///     .order(WorkOrder::Priority)
///     .max_deliveries(5)
///     .lease(Duration::from_secs(60));
/// let seg = Segment::anonymous(1 << 20)?;
/// let jobs = seg.work_queue::<[u8; 32]>("jobs", options)?;
/// assert_eq!(jobs.capacity(), 1000);
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkOptions {
    capacity: usize,
    order: WorkOrder,
    max_deliveries: u16,
    lease_ms: u32,
}

impl WorkOptions {
    /// Room for so many jobs, 1 to 2^24: the oldest first, delivered until they are done, leased as long as the worker lives.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{WorkOptions, WorkOrder}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let options = WorkOptions::new(4);
    /// let jobs = seg.work_queue::<u64>("jobs", options)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn new(capacity: usize) -> Self {
        WorkOptions { capacity, order: WorkOrder::Fifo, max_deliveries: 0, lease_ms: 0 }
    }

    /// Which job comes next.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{WorkOptions, WorkOrder}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let options = WorkOptions::new(4).order(WorkOrder::Lifo);
    /// let jobs = seg.work_queue::<u64>("jobs", options)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn order(mut self, order: WorkOrder) -> Self {
        self.order = order;
        self
    }

    /// A job that was delivered so often (1 to 4095) and not done is a dead letter. 0: it is delivered until it is done.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{WorkOptions, WorkOrder}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let options = WorkOptions::new(4).max_deliveries(3);
    /// let jobs = seg.work_queue::<u64>("jobs", options)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn max_deliveries(mut self, most: u16) -> Self {
        self.max_deliveries = most;
        self
    }

    /// A job that is not done after so long goes back, though its worker lives: in ms, at most 49 days. Zero: leases have no end.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{WorkOptions, WorkOrder}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let options = WorkOptions::new(4).lease(std::time::Duration::from_secs(30));
    /// let jobs = seg.work_queue::<u64>("jobs", options)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease_ms = u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        self
    }

    /// For jobs of up to so many bytes. What is too large is impossible, and refused as that.
    pub(crate) fn geometry(self, longest: usize) -> Geometry {
        Geometry {
            capacity: u32::try_from(self.capacity).unwrap_or(0),
            longest: u32::try_from(longest).unwrap_or(0),
            order: self.order,
            max_deliveries: self.max_deliveries,
            lease_ms: self.lease_ms,
        }
    }
}
