//! [`Cells`]: a word, a lock and a number of cells, chosen at run time, in shared memory: the place of a
//! [`RawBoundedSemaphore`](super::RawBoundedSemaphore) or a [`RawBarrier`](super::RawBarrier).
//!
//! ```text
//! 0     number of cells, the object's word, its lock, four more words of its own
//! 64    cells of 8 bytes
//! ```
#![allow(unsafe_code)]

use super::RawMutex;
use crate::atomic::AtomicU64;

/// What precedes the cells. All-zero (except the count) is an idle object.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Head {
    /// The number of cells; written once, copied and checked at attach.
    pub(super) count: AtomicU64,
    /// The object's own.
    pub(super) word: AtomicU64,
    /// The object's own.
    pub(super) lock: RawMutex,
    /// The object's own.
    pub(super) more: [AtomicU64; 4],
}

/// A full fence between a sequentially consistent read-modify-write and a sequentially consistent load. In the product
/// nothing is needed: all four accesses of the two sides are in the one total order of such accesses. loom orders only
/// fences.
#[inline(always)]
pub(super) fn fence_behind_rmw() {
    #[cfg(interproc_loom)]
    if !crate::mutant!("row-no-fence") {
        crate::atomic::fence(crate::atomic::Ordering::SeqCst);
    }
}

#[cfg(not(interproc_loom))]
mod place {
    use super::Head;
    use crate::atomic::{AtomicU64, Ordering};
    use crate::error::{ErrorKind, Result};
    use core::ptr::NonNull;

    pub(in crate::sync) const CELLS_OFF: usize = 64;
    const _: () = assert!(size_of::<Head>() == CELLS_OFF);

    /// The largest number of cells.
    pub const MAX_CELLS: usize = 1 << 20;

    /// Where cells are mapped, with their number as it was checked: never read again from shared memory.
    #[derive(Clone, Copy, Debug)]
    pub struct Cells {
        head: NonNull<Head>,
        count: u32,
    }

    // SAFETY: a place; its creator answers for the mapping. All access is through atomics.
    unsafe impl Send for Cells {}
    // SAFETY: as above.
    unsafe impl Sync for Cells {}

    /// The bytes that this many cells need; `None` if the number is not possible.
    pub fn cells_size(count: usize) -> Option<usize> {
        (1..=MAX_CELLS).contains(&count).then(|| CELLS_OFF + 8 * count)
    }

    impl Cells {
        /// The alignment of the first byte.
        pub const ALIGN: usize = align_of::<Head>();

        /// Makes idle cells in zeroed memory.
        ///
        /// # Errors
        /// `InvalidInput` for an impossible number of cells or too few bytes.
        ///
        /// # Safety
        /// `memory` is aligned to [`Cells::ALIGN`], `len` bytes long, zeroed, in a segment, and nobody uses it yet.
        pub unsafe fn make(memory: NonNull<u8>, len: usize, count: usize) -> Result<()> {
            if cells_size(count).is_none_or(|need| need > len) {
                return Err(ErrorKind::InvalidInput.into());
            }
            // SAFETY: aligned and large enough.
            unsafe { memory.cast::<Head>().as_ref() }.count.store(count as u64, Ordering::Release);
            Ok(())
        }

        /// The cells that lie in `memory`. Their number is copied and checked against `len`.
        ///
        /// # Errors
        /// `Corrupt` if the number is impossible.
        ///
        /// # Safety
        /// `memory` is aligned to [`Cells::ALIGN`] and `len` bytes long, and stays mapped, readable and writable as
        /// long as the row or a copy is used.
        pub unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Self> {
            if len < CELLS_OFF {
                return Err(ErrorKind::Corrupt.into());
            }
            let head = memory.cast::<Head>();
            // SAFETY: aligned and large enough for the head.
            let count = unsafe { head.as_ref() }.count.load(Ordering::Acquire) as usize;
            if cells_size(count).is_none_or(|need| need > len) {
                return Err(ErrorKind::Corrupt.into());
            }
            Ok(Cells { head, count: count as u32 })
        }

        /// Where they are mapped.
        #[inline(always)]
        pub fn address(&self) -> *const u8 {
            self.head.as_ptr().cast()
        }

        /// The size in bytes.
        pub fn size(&self) -> usize {
            CELLS_OFF + 8 * self.count as usize
        }

        /// Cells.
        #[inline(always)]
        pub fn count(&self) -> u32 {
            self.count
        }

        #[inline(always)]
        pub(in crate::sync) fn head(&self) -> &Head {
            // SAFETY: mapped by the contract of `attach`; only atomics inside.
            unsafe { self.head.as_ref() }
        }

        #[inline(always)]
        pub(in crate::sync) fn cell(&self, index: u32) -> Option<&AtomicU64> {
            // SAFETY: below the count, so in bounds by the check of `attach`; 8-aligned.
            (index < self.count).then(|| unsafe {
                self.head.byte_add(CELLS_OFF).cast::<AtomicU64>().add(index as usize).as_ref()
            })
        }
    }
}

#[cfg(interproc_loom)]
mod place {
    use super::Head;
    use crate::atomic::AtomicU64;
    use crate::sync::RawMutex;

    /// Modelled cells, leaked for the length of one model execution.
    #[derive(Clone, Copy)]
    pub struct Cells {
        head: &'static Head,
        cells: &'static [AtomicU64],
    }

    impl Cells {
        /// Idle cells.
        pub fn leak(count: usize) -> Self {
            let head = Head {
                count: AtomicU64::new(count as u64),
                word: AtomicU64::new(0),
                lock: RawMutex::new(),
                more: std::array::from_fn(|_| AtomicU64::new(0)),
            };
            let cells = (0..count).map(|_| AtomicU64::new(0)).collect();
            Cells { head: Box::leak(Box::new(head)), cells: Box::leak(cells) }
        }

        /// Cells.
        pub fn count(&self) -> u32 {
            self.cells.len() as u32
        }

        pub(in crate::sync) fn head(&self) -> &'static Head {
            self.head
        }

        pub(in crate::sync) fn cell(&self, index: u32) -> Option<&'static AtomicU64> {
            self.cells.get(index as usize)
        }
    }
}

#[cfg(all(feature = "std", not(interproc_loom)))]
pub(super) use place::CELLS_OFF;
pub use place::Cells;
#[cfg(not(interproc_loom))]
pub use place::cells_size;

impl Cells {
    /// The cell at which a member begins to look: each its own, as long as there are enough.
    #[inline(always)]
    pub(super) fn start(&self, slot: u32) -> u32 {
        if slot < self.count() {
            return slot;
        }
        // Spread by multiplication (Knuth's constant), scaled without a division.
        ((u64::from(slot.wrapping_mul(0x9e37_79b1)) * u64::from(self.count())) >> 32) as u32
    }

    /// All cells once, beginning with `start`, with their indices.
    pub(super) fn from(&self, start: u32) -> impl Iterator<Item = (u32, &AtomicU64)> {
        let indices = (start..self.count()).chain(0..start.min(self.count()));
        indices.filter_map(|index| Some((index, self.cell(index)?)))
    }
}
