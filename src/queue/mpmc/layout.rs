//! The layout of the ring in shared memory.
//!
//! ```text
//! 0     geometry, closed flag, event counts      read by all, seldom written
//! 128   tail hint, peak                          written by producers
//! 256   head hint, skips                         written by consumers
//! 384   cells, `stride` bytes each: control word, sequence word, payload
//! ```
#![allow(unsafe_code)]

use crate::atomic::AtomicU64;
use crate::queue::head::{Head, Peak};
use crate::queue::skips::Skips;

/// The header of a ring in shared memory. All-zero (apart from the geometry) is an empty, open queue.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Header {
    /// Bytes of an element; written once, copied and checked at attach.
    pub(super) element: AtomicU64,
    /// Cells; as above.
    pub(super) capacity: AtomicU64,
    /// Bytes from cell to cell; as above.
    pub(super) stride: AtomicU64,
    pub(super) common: Head,
    _line1: [u64; 10],
    /// A hint: no unclaimed position precedes it. May lag after a death; never exceeds the truth.
    pub(super) tail: AtomicU64,
    /// The most messages that were seen in it.
    pub(super) peak: Peak,
    _line2: [u64; 14],
    /// A hint: no unread message precedes it. As above.
    pub(super) head: AtomicU64,
    /// What scans may skip.
    pub(super) skips: Skips,
    _line3: [u64; 7],
}

#[cfg(not(interproc_loom))]
mod place {
    use super::Header;
    use crate::atomic::{AtomicU64, Ordering};
    use crate::error::{ErrorKind, Result};
    use crate::queue::position::MAX_CAPACITY;
    use core::mem::offset_of;
    use core::ptr::NonNull;

    pub(in crate::queue::mpmc) const CELLS_OFF: usize = 384;
    const PAYLOAD_OFF: usize = 16;
    const _: () = assert!(size_of::<Header>() == CELLS_OFF);
    const _: () = assert!(offset_of!(Header, common) == 24);
    const _: () = assert!(offset_of!(Header, tail) == 128 && offset_of!(Header, peak) == 136);
    const _: () = assert!(offset_of!(Header, head) == 256 && offset_of!(Header, skips) == 264);

    /// Where a ring is mapped, with its checked geometry, which is never read again from shared memory.
    ///
    /// # Examples
    /// See [`RawQueue`](crate::queue::RawQueue).
    #[derive(Clone, Copy, Debug)]
    pub struct Ring {
        header: NonNull<Header>,
        cells: NonNull<u8>,
        stride: usize,
        element: usize,
        capacity: u32,
    }

    // SAFETY: an address; whoever made it answers for the mapping. All access is through atomics, or to a cell that the
    // accessing thread owns.
    unsafe impl Send for Ring {}
    // SAFETY: as above.
    unsafe impl Sync for Ring {}

    pub(in crate::queue::mpmc) const fn stride_of(element: usize) -> usize {
        (PAYLOAD_OFF + element).next_multiple_of(16)
    }

    /// The size of a ring of this shape in bytes; `None` for an impossible shape.
    ///
    /// # Examples
    /// ```
    /// use interproc::raw::queue::ring_size;
    ///
    /// assert!(ring_size(8, 1024).expect("possible") >= 8 * 1024);
    /// assert_eq!(ring_size(0, 1024), None); // a message has at least one byte
    /// ```
    pub fn ring_size(element: usize, capacity: usize) -> Option<usize> {
        if element == 0
            || element > isize::MAX as usize / 2
            || capacity == 0
            || capacity > MAX_CAPACITY as usize
        {
            return None;
        }
        stride_of(element).checked_mul(capacity)?.checked_add(CELLS_OFF).filter(|&n| n <= isize::MAX as usize)
    }

    impl Ring {
        /// The alignment of a ring's first byte.
        pub const ALIGN: usize = align_of::<Header>();

        /// Makes an empty ring in zeroed memory.
        ///
        /// # Errors
        /// `InvalidInput` for an impossible shape or too few bytes.
        ///
        /// # Safety
        /// `memory` is aligned to [`Ring::ALIGN`], `len` bytes long, zeroed, in a segment, and nobody uses it yet.
        pub unsafe fn make(memory: NonNull<u8>, len: usize, element: usize, capacity: usize) -> Result<()> {
            if ring_size(element, capacity).is_none_or(|need| need > len) {
                return Err(ErrorKind::InvalidInput.into());
            }
            // SAFETY: aligned and large enough.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            header.element.store(element as u64, Ordering::Relaxed);
            header.stride.store(stride_of(element) as u64, Ordering::Relaxed);
            header.capacity.store(capacity as u64, Ordering::Release);
            Ok(())
        }

        /// The ring in `memory`. Its geometry is copied and checked against `len`.
        ///
        /// # Errors
        /// `Corrupt` when the geometry is impossible.
        ///
        /// # Safety
        /// `memory` is aligned to [`Ring::ALIGN`] and `len` bytes long, and stays mapped, readable and writable as
        /// long as the ring or a copy is used.
        pub unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Self> {
            if len < CELLS_OFF {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: aligned and large enough for the header.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            let capacity = header.capacity.load(Ordering::Acquire) as usize;
            let element = header.element.load(Ordering::Relaxed) as usize;
            let stride = header.stride.load(Ordering::Relaxed) as usize;
            let fits = ring_size(element, capacity).is_some_and(|need| need <= len);
            if !fits || stride != stride_of(element) {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: in bounds by the check.
            let cells = unsafe { memory.add(CELLS_OFF) };
            Ok(Ring { header: memory.cast(), cells, stride, element, capacity: capacity as u32 })
        }

        /// Its address.
        #[inline(always)]
        pub fn address(&self) -> *const u8 {
            self.header.as_ptr().cast()
        }

        /// The size of an element in bytes.
        #[inline]
        pub fn element(&self) -> usize {
            self.element
        }

        /// The number of cells.
        #[inline]
        pub fn capacity(&self) -> u32 {
            self.capacity
        }

        #[inline(always)]
        pub(in crate::queue::mpmc) fn header(&self) -> &Header {
            // SAFETY: mapped by the contract of `attach`; only atomics inside.
            unsafe { self.header.as_ref() }
        }

        #[inline(always)]
        fn word(&self, index: u32, at: usize) -> &AtomicU64 {
            debug_assert!(index < self.capacity);
            // SAFETY: callers pass an index below the capacity, so the cell is in bounds; 8-aligned, as the
            // cells' start and stride are multiples of 16.
            unsafe { self.cells.add(index as usize * self.stride + at).cast().as_ref() }
        }

        #[inline(always)]
        pub(in crate::queue::mpmc) fn ctl(&self, index: u32) -> &AtomicU64 {
            self.word(index, 0)
        }

        #[inline(always)]
        pub(in crate::queue::mpmc) fn seq(&self, index: u32) -> &AtomicU64 {
            self.word(index, 8)
        }

        /// The payload of a cell: aligned to 16.
        #[inline(always)]
        pub(crate) fn payload(&self, index: u32) -> NonNull<u8> {
            debug_assert!(index < self.capacity);
            // SAFETY: in bounds as for `word`.
            unsafe { self.cells.add(index as usize * self.stride + PAYLOAD_OFF) }
        }

        /// The cell whose payload starts there.
        #[cfg(feature = "std")]
        pub(crate) fn index_of(&self, payload: *const u8) -> Option<u32> {
            let at = payload.addr().checked_sub(self.cells.addr().get() + PAYLOAD_OFF)?;
            let index = at / self.stride;
            (at.is_multiple_of(self.stride) && index < self.capacity as usize).then_some(index as u32)
        }

        /// Lets `f` write the payload of a cell that the caller owns. A peer that breaks the protocol can write anything there,
        /// so it is raw memory here, and the reader must accept any bytes.
        #[inline(always)]
        pub(in crate::queue::mpmc) fn fill(&self, index: u32, f: impl FnOnce(*mut u8)) {
            f(self.payload(index).as_ptr());
        }

        /// Lets `f` read the payload of a cell that the caller owns.
        #[inline(always)]
        pub(in crate::queue::mpmc) fn drain<R>(&self, index: u32, f: impl FnOnce(*const u8) -> R) -> R {
            f(self.payload(index).as_ptr())
        }
    }
}

#[cfg(interproc_loom)]
mod place {
    use super::Header;
    use crate::atomic::AtomicU64;
    use crate::queue::head::{Head, Peak};
    use crate::queue::skips::Skips;
    use loom::cell::UnsafeCell;

    struct Cell {
        ctl: AtomicU64,
        seq: AtomicU64,
        payload: UnsafeCell<u64>,
    }

    /// A modelled ring of 8-byte elements, leaked for one model execution.
    #[derive(Clone, Copy)]
    pub struct Ring {
        header: &'static Header,
        cells: &'static [Cell],
    }

    // SAFETY: loom checks every access to the payload cells; the rest is atomics.
    unsafe impl Send for Ring {}
    // SAFETY: as above.
    unsafe impl Sync for Ring {}

    impl Ring {
        /// An empty ring.
        pub fn leak(capacity: usize) -> Self {
            let header = Header {
                element: AtomicU64::new(8),
                capacity: AtomicU64::new(capacity as u64),
                stride: AtomicU64::new(32),
                common: Head::new(),
                _line1: [0; 10],
                tail: AtomicU64::new(0),
                peak: Peak::new(),
                _line2: [0; 14],
                head: AtomicU64::new(0),
                skips: Skips::new(),
                _line3: [0; 7],
            };
            let cell =
                |_| Cell { ctl: AtomicU64::new(0), seq: AtomicU64::new(0), payload: UnsafeCell::new(0) };
            Ring { header: Box::leak(Box::new(header)), cells: Box::leak((0..capacity).map(cell).collect()) }
        }

        /// Bytes of an element.
        pub fn element(&self) -> usize {
            8
        }

        /// Cells.
        pub fn capacity(&self) -> u32 {
            self.cells.len() as u32
        }

        pub(in crate::queue::mpmc) fn header(&self) -> &Header {
            self.header
        }

        pub(in crate::queue::mpmc) fn ctl(&self, index: u32) -> &AtomicU64 {
            &self.cells[index as usize].ctl
        }

        pub(in crate::queue::mpmc) fn seq(&self, index: u32) -> &AtomicU64 {
            &self.cells[index as usize].seq
        }

        pub(in crate::queue::mpmc) fn fill(&self, index: u32, f: impl FnOnce(*mut u8)) {
            self.cells[index as usize].payload.with_mut(|p| f(p.cast()));
        }

        pub(in crate::queue::mpmc) fn drain<R>(&self, index: u32, f: impl FnOnce(*const u8) -> R) -> R {
            self.cells[index as usize].payload.with(|p| f(p.cast()))
        }
    }
}

pub use place::Ring;
#[cfg(not(interproc_loom))]
pub use place::ring_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(super) use place::{CELLS_OFF, stride_of};
