//! Work queues in a segment.
#![allow(unsafe_code)]

use super::directory::Element;
use super::placed::Placed;
use super::segment::Segment;
use crate::error::Result;
use crate::format::Kind;
use crate::queue::work::{Geometry, RawWorkQueue, WorkPlace};
use crate::queue::{WorkOptions, WorkQueue};
use crate::shared::Plain;
use core::ptr::NonNull;

/// A [`WorkQueue`] that is asked for.
pub(super) struct AskedWorkQueue {
    pub(super) type_id: u64,
    pub(super) geometry: Geometry,
}

impl Placed for AskedWorkQueue {
    type Handle = RawWorkQueue;
    const ALIGN: usize = WorkPlace::ALIGN;

    fn limits(&self) -> &'static str {
        "from 1 to 2^24 jobs of 1 to 2^32 - 1 bytes, and up to 4095 deliveries"
    }

    fn kind(&self) -> Kind {
        Kind::WorkQueue
    }

    fn type_id(&self) -> u64 {
        self.type_id
    }

    fn params(&self) -> [u64; 2] {
        self.geometry.words()
    }

    fn size(&self) -> Option<usize> {
        self.geometry.size()
    }

    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()> {
        // SAFETY: by the contract.
        unsafe { WorkPlace::make(place, size, self.geometry) }
    }

    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<RawWorkQueue> {
        // SAFETY: by the contract.
        unsafe { WorkPlace::attach(place, size) }.map(RawWorkQueue::new)
    }

    fn agrees_with(&self, queue: &RawWorkQueue) -> bool {
        *queue.place().geometry() == self.geometry
    }
}

impl Segment {
    /// Finds the work queue of this name for jobs of type `T`, or makes it: see [`WorkQueue`].
    ///
    /// # Errors
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) when the name belongs to something else, or to a work queue of other jobs or
    /// options; [`InvalidInput`](crate::ErrorKind::InvalidInput) for impossible options; else as [`object`](Self::object).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let jobs = seg.work_queue::<u64>("jobs", WorkOptions::new(100))?;
    /// jobs.put(7)?;
    /// assert_eq!(jobs.take()?.done()?, 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn work_queue<T: Plain>(&self, name: &str, options: WorkOptions) -> Result<WorkQueue<T>> {
        let type_id = Element::of::<T>().id.bits();
        let raw = self.raw_work_queue(name, type_id, options.geometry(size_of::<T>()))?;
        Ok(WorkQueue::from_raw(raw, self.keep()))
    }

    /// Finds the work queue of this name for jobs of up to `longest` bytes, or makes it.
    ///
    /// # Errors
    /// As [`work_queue`](Self::work_queue).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let jobs = seg.byte_work_queue("jobs", 1000, WorkOptions::new(20))?;
    /// jobs.put(b"resize cat.png".as_slice())?;
    /// assert_eq!(jobs.take()?.done()?, b"resize cat.png");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_work_queue(
        &self,
        name: &str,
        longest: usize,
        options: WorkOptions,
    ) -> Result<WorkQueue<[u8]>> {
        Ok(WorkQueue::from_raw(self.raw_work_queue(name, 0, options.geometry(longest))?, self.keep()))
    }

    /// Both of them for C.
    pub(crate) fn raw_work_queue(
        &self,
        name: &str,
        type_id: u64,
        geometry: Geometry,
    ) -> Result<RawWorkQueue> {
        self.find_or_make(name, &AskedWorkQueue { type_id, geometry })
    }
}
