//! The layout of a latest value in shared memory.
//!
//! ```text
//! 0     geometry                                           written once
//! 128   current version and slot, who waits for a newer    written by writers, read by all
//! 256   the writers' lock
//! 384   announcements of readers, 8 bytes each
//! ...   slots, `stride` bytes each: stamp, value
//! ```
#![allow(unsafe_code)]

use super::super::event_count::EventCount;
use crate::atomic::AtomicU64;
use crate::sync::RawMutex;

/// The most announcements.
#[cfg(not(interproc_loom))]
const MAX_READERS: usize = 250;

/// The header of a latest value in shared memory. All-zero (apart from the geometry) is version 0 in slot 0, of zeros.
#[repr(C, align(64))]
#[derive(Debug)]
pub(in crate::queue) struct Header {
    /// The size of the value in bytes; written once, copied and checked at attach.
    pub(in crate::queue) element: AtomicU64,
    /// The number of announcements; as above. There are two more slots.
    pub(in crate::queue) readers: AtomicU64,
    /// Bytes from slot to slot; as above.
    pub(in crate::queue) stride: AtomicU64,
    _line0: [u64; 13],
    /// `version:56 | slot:8`. Written by the holder of the lock; a death before this store leaves the old one.
    pub(in crate::queue) current: AtomicU64,
    /// Threads that wait for a newer version.
    pub(in crate::queue) changed: EventCount,
    _line1: [u64; 14],
    /// One writer at a time.
    pub(in crate::queue) lock: RawMutex,
    _line2: [u64; 14],
}

#[cfg(not(interproc_loom))]
mod imp {
    use super::{Header, MAX_READERS};
    use crate::atomic::{AtomicU64, Ordering};
    use crate::error::{ErrorKind, Result};
    use core::ptr::NonNull;

    pub(in crate::queue) const CELLS_OFF: usize = 384;
    const _: () = assert!(size_of::<Header>() == CELLS_OFF);
    /// The largest value.
    const MAX_ELEMENT: usize = 1 << 32;

    /// Where a latest value is mapped, with its checked geometry, which is never read again from shared memory.
    ///
    /// # Examples
    /// See [`RawLatest`](crate::queue::RawLatest).
    #[derive(Clone, Copy, Debug)]
    pub struct LatestPlace {
        header: NonNull<Header>,
        slots: NonNull<u8>,
        stride: usize,
        element: usize,
        readers: u32,
    }

    // SAFETY: an address; whoever made it answers for the mapping. All access is through atomics.
    unsafe impl Send for LatestPlace {}
    // SAFETY: as above.
    unsafe impl Sync for LatestPlace {}

    pub(in crate::queue) const fn stride_of(element: usize) -> usize {
        (8 + element.next_multiple_of(8)).next_multiple_of(64)
    }

    const fn slots_off(readers: usize) -> usize {
        CELLS_OFF + (8 * readers).next_multiple_of(128)
    }

    /// The size of a latest value of this shape in bytes; `None` for an impossible shape.
    ///
    /// # Examples
    /// ```
    /// use interproc::raw::queue::latest_size;
    ///
    /// let (four, eight) = (latest_size(100, 4).expect("possible"), latest_size(100, 8).expect("possible"));
    /// assert!(four < eight); // a slot for each reader that announces itself
    /// assert_eq!(latest_size(0, 4), None);
    /// ```
    pub fn latest_size(element: usize, readers: usize) -> Option<usize> {
        if element == 0 || element > MAX_ELEMENT || readers > MAX_READERS {
            return None;
        }
        stride_of(element).checked_mul(readers + 2)?.checked_add(slots_off(readers))
    }

    impl LatestPlace {
        /// The alignment of the first byte.
        pub const ALIGN: usize = align_of::<Header>();

        /// Makes one in zeroed memory, with this as version 0.
        ///
        /// # Errors
        /// `InvalidInput` for an impossible shape or too few bytes.
        ///
        /// # Safety
        /// `memory` is aligned to [`LatestPlace::ALIGN`], `len` bytes long, zeroed, in a segment, and nobody uses it yet.
        /// `initial` is NULL, for zeros, or has `element` bytes.
        pub unsafe fn make(
            memory: NonNull<u8>,
            len: usize,
            element: usize,
            readers: usize,
            initial: *const u8,
        ) -> Result<()> {
            if latest_size(element, readers).is_none_or(|need| need > len) {
                return Err(ErrorKind::InvalidInput.into());
            }
            if !initial.is_null() {
                // SAFETY: the first slot's value, in bounds; nobody else uses it.
                unsafe {
                    memory.add(slots_off(readers) + 8).as_ptr().copy_from_nonoverlapping(initial, element)
                };
            }
            // SAFETY: aligned and large enough.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            header.readers.store(readers as u64, Ordering::Relaxed);
            header.stride.store(stride_of(element) as u64, Ordering::Relaxed);
            header.element.store(element as u64, Ordering::Release);
            Ok(())
        }

        /// The one that lies in `memory`. Its geometry is copied and checked against `len`.
        ///
        /// # Errors
        /// `Corrupt` when the geometry is impossible.
        ///
        /// # Safety
        /// `memory` is aligned to [`LatestPlace::ALIGN`] and `len` bytes long, and stays mapped, readable and writable as
        /// long as the place or a copy is used.
        pub unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Self> {
            if len < CELLS_OFF {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: aligned and large enough for the header.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            let element = header.element.load(Ordering::Acquire) as usize;
            let readers = header.readers.load(Ordering::Relaxed) as usize;
            let stride = header.stride.load(Ordering::Relaxed) as usize;
            let fits = latest_size(element, readers).is_some_and(|need| need <= len);
            if !fits || stride != stride_of(element) {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: in bounds by the check.
            let slots = unsafe { memory.add(slots_off(readers)) };
            Ok(LatestPlace { header: memory.cast(), slots, stride, element, readers: readers as u32 })
        }

        /// Where it lies.
        #[inline(always)]
        pub fn address(&self) -> *const u8 {
            self.header.as_ptr().cast()
        }

        /// Bytes that it takes.
        pub fn size(&self) -> usize {
            slots_off(self.readers as usize) + self.stride * self.slots() as usize
        }

        /// Bytes of the value.
        #[inline(always)]
        pub fn element(&self) -> usize {
            self.element
        }

        /// Announcements.
        #[inline]
        pub fn readers(&self) -> u32 {
            self.readers
        }

        /// Slots.
        #[inline(always)]
        pub(in crate::queue) fn slots(&self) -> u32 {
            self.readers + 2
        }

        #[inline(always)]
        pub(in crate::queue) fn header(&self) -> &Header {
            // SAFETY: mapped by the contract of `attach`; only atomics inside.
            unsafe { self.header.as_ref() }
        }

        #[inline(always)]
        pub(in crate::queue) fn cell(&self, index: u32) -> &AtomicU64 {
            assert!(index < self.readers);
            // SAFETY: in bounds, aligned.
            unsafe { self.header.cast::<u8>().add(CELLS_OFF + 8 * index as usize).cast().as_ref() }
        }

        /// A slot's words: its stamp, and behind it its value.
        #[inline(always)]
        pub(in crate::queue) fn word(&self, slot: u32, at: usize) -> &AtomicU64 {
            debug_assert!(slot < self.slots() && 8 * at < self.stride);
            // SAFETY: callers pass a slot that there is and a word of it: in bounds; 8-aligned, as are slots and stride.
            unsafe { self.slots.add(slot as usize * self.stride + 8 * at).cast().as_ref() }
        }
    }
}

#[cfg(interproc_loom)]
mod imp {
    use super::super::super::event_count::EventCount;
    use super::Header;
    use crate::atomic::AtomicU64;
    use crate::sync::RawMutex;

    /// A modelled place of values of two words, leaked for the length of one model execution.
    #[derive(Clone, Copy)]
    pub struct LatestPlace {
        header: &'static Header,
        cells: &'static [AtomicU64],
        slots: &'static [[AtomicU64; 3]],
    }

    impl LatestPlace {
        /// Zeros, with so many announcements.
        pub fn leak(readers: usize) -> Self {
            let word = || AtomicU64::new(0);
            let header = Header {
                element: AtomicU64::new(16),
                readers: AtomicU64::new(readers as u64),
                stride: AtomicU64::new(64),
                _line0: [0; 13],
                current: word(),
                changed: EventCount::new(),
                _line1: [0; 14],
                lock: RawMutex::new(),
                _line2: [0; 14],
            };
            LatestPlace {
                header: Box::leak(Box::new(header)),
                cells: Box::leak((0..readers).map(|_| word()).collect()),
                slots: Box::leak((0..readers + 2).map(|_| [word(), word(), word()]).collect()),
            }
        }

        /// Bytes of the value.
        pub fn element(&self) -> usize {
            16
        }

        /// Announcements.
        pub fn readers(&self) -> u32 {
            self.cells.len() as u32
        }

        pub(in crate::queue) fn slots(&self) -> u32 {
            self.slots.len() as u32
        }

        pub(in crate::queue) fn header(&self) -> &Header {
            self.header
        }

        pub(in crate::queue) fn cell(&self, index: u32) -> &AtomicU64 {
            &self.cells[index as usize]
        }

        pub(in crate::queue) fn word(&self, slot: u32, at: usize) -> &AtomicU64 {
            &self.slots[slot as usize][at]
        }
    }
}

pub use imp::LatestPlace;
#[cfg(not(interproc_loom))]
pub use imp::latest_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(in crate::queue) use imp::{CELLS_OFF, stride_of};
