//! Bounded semaphores and barriers in a segment: both lie in a row of cells whose number is chosen at run time.
#![allow(unsafe_code)]

use super::placed::Placed;
use super::segment::Segment;
use crate::error::Result;
use crate::format::Kind;
use crate::sync::{Barrier, BoundedSemaphore, Cells, RawBarrier, RawBoundedSemaphore, cells_size};
use core::ptr::NonNull;

/// A row of cells that is asked for: one a permit, or one a party.
pub(super) struct AskedCells {
    pub(super) kind: Kind,
    pub(super) count: usize,
}

impl Placed for AskedCells {
    type Handle = Cells;
    const ALIGN: usize = Cells::ALIGN;

    fn limits(&self) -> &'static str {
        "from 1 to 2^20"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn params(&self) -> [u64; 2] {
        [self.count as u64, 0]
    }

    fn size(&self) -> Option<usize> {
        cells_size(self.count)
    }

    unsafe fn make(&self, place: NonNull<u8>, size: usize) -> Result<()> {
        // SAFETY: by the contract.
        unsafe { Cells::make(place, size, self.count) }
    }

    unsafe fn attach(place: NonNull<u8>, size: usize) -> Result<Cells> {
        // SAFETY: by the contract.
        unsafe { Cells::attach(place, size) }
    }

    fn agrees_with(&self, cells: &Cells) -> bool {
        cells.count() as usize == self.count
    }
}

impl Segment {
    /// Finds the semaphore of this name with so many robust permits, or makes it.
    ///
    /// # Errors
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) when the name belongs to something else, or to a semaphore of
    /// another number of permits; [`InvalidInput`](crate::ErrorKind::InvalidInput) for 0 permits or more than 2^20; else as
    /// [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let lines = seg.bounded_semaphore("lines", 5)?;
    /// let same = seg.bounded_semaphore("lines", 5)?;
    /// let permit = lines.acquire()?;
    /// assert_eq!(same.available()?, 4);
    /// assert_eq!(seg.bounded_semaphore("lines", 6).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # drop(permit);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn bounded_semaphore(&self, name: &str, permits: usize) -> Result<BoundedSemaphore> {
        let raw = self.raw_bounded_semaphore(name, permits)?;
        Ok(BoundedSemaphore::from_raw(raw, self.keep()))
    }

    /// [`bounded_semaphore`](Self::bounded_semaphore) for C.
    pub(crate) fn raw_bounded_semaphore(&self, name: &str, permits: usize) -> Result<RawBoundedSemaphore> {
        let asked = AskedCells { kind: Kind::BoundedSemaphore, count: permits };
        self.find_or_make(name, &asked).map(RawBoundedSemaphore::new)
    }

    /// Finds the barrier of this name for so many parties, or makes it.
    ///
    /// # Errors
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) when the name belongs to something else, or to a barrier of another
    /// number of parties; [`InvalidInput`](crate::ErrorKind::InvalidInput) for 0 parties or more than 2^20; else as
    /// [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let steps = seg.barrier("steps", 4)?;
    /// assert_eq!(seg.barrier("steps", 4)?.parties(), 4);
    /// assert_eq!(seg.barrier("steps", 5).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn barrier(&self, name: &str, parties: usize) -> Result<Barrier> {
        let raw = self.raw_barrier(name, parties)?;
        Ok(Barrier::from_raw(raw, self.keep()))
    }

    /// [`barrier`](Self::barrier) for C.
    pub(crate) fn raw_barrier(&self, name: &str, parties: usize) -> Result<RawBarrier> {
        self.find_or_make(name, &AskedCells { kind: Kind::Barrier, count: parties }).map(RawBarrier::new)
    }
}
