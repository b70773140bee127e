//! The layout of the byte ring in shared memory.
//!
//! ```text
//! 0     geometry, closed flag, event counts        read by all, seldom written
//! 128   tail hint                                  written by producers
//! 256   read hint, skips                           written by consumers
//! 384   head, peak                                 written by producers that need room
//! 512   for each granule: control word, length of the message
//! then  the granules, `granule` bytes each
//! ```
#![allow(unsafe_code)]

use crate::atomic::AtomicU64;
use crate::queue::head::{Head, Peak};
use crate::queue::skips::Skips;

/// The header of a byte ring in shared memory. All-zero (apart from the geometry) is an empty, open queue.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Header {
    /// The requested capacity in bytes; written once, copied and checked at attach.
    pub(super) capacity: AtomicU64,
    /// The length of the longest message; as above.
    pub(super) longest: AtomicU64,
    /// The number of granules; as above.
    pub(super) granules: AtomicU64,
    /// The size of a granule in bytes; as above.
    pub(super) granule: AtomicU64,
    pub(super) common: Head,
    _line1: [u64; 9],
    /// A hint: no unclaimed boundary precedes it. May lag; never exceeds the truth.
    pub(super) tail: AtomicU64,
    _line2: [u64; 15],
    /// A hint: no unread message precedes it. As above.
    pub(super) read: AtomicU64,
    /// What walks may skip.
    pub(super) skips: Skips,
    _line3: [u64; 7],
    /// A boundary that only freed records precede. Moved forward only, by compare-and-swap, by producers that are about to
    /// claim what lies before it for the next lap. May lag; never exceeds the truth.
    pub(super) head: AtomicU64,
    /// The most granules between the readers and a claim.
    pub(super) peak: Peak,
    _line4: [u64; 14],
}

#[cfg(not(interproc_loom))]
mod imp {
    use super::Header;
    use crate::atomic::{AtomicU64, Ordering};
    use crate::error::{ErrorKind, Result};
    use crate::queue::byte_queue::word::MOST_GRANULES;
    use crate::queue::position::MAX_CAPACITY;
    use core::mem::offset_of;
    use core::ptr::NonNull;

    pub(in crate::queue::byte_queue) const CELLS_OFF: usize = 512;
    /// A control word and a length.
    pub(in crate::queue::byte_queue) const CELL_BYTES: usize = 16;
    const SMALLEST_GRANULE: usize = 64;
    const _: () = assert!(size_of::<Header>() == CELLS_OFF);
    const _: () = assert!(offset_of!(Header, common) == 32);
    const _: () = assert!(offset_of!(Header, tail) == 128 && offset_of!(Header, read) == 256);
    const _: () = assert!(offset_of!(Header, skips) == 264);
    const _: () = assert!(offset_of!(Header, head) == 384 && offset_of!(Header, peak) == 392);

    /// How a ring is divided.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in crate::queue::byte_queue) struct Geometry {
        /// The bytes of a granule are two to the power of this.
        pub(in crate::queue::byte_queue) shift: u32,
        pub(in crate::queue::byte_queue) granules: u32,
        pub(in crate::queue::byte_queue) longest: usize,
        capacity: usize,
    }

    impl Geometry {
        /// The geometry for these requests; `None` if they are impossible.
        pub(in crate::queue::byte_queue) fn of(capacity: usize, longest: usize) -> Option<Geometry> {
            const LIMIT: usize = isize::MAX as usize / 8;
            if capacity == 0 || longest == 0 || capacity > LIMIT || longest > LIMIT {
                return None;
            }
            let mut granule = SMALLEST_GRANULE;
            while longest.div_ceil(granule) > MOST_GRANULES as usize
                || capacity.div_ceil(granule) > MAX_CAPACITY as usize
            {
                granule *= 2;
            }
            // Two of the longest messages: then one fits into an empty ring, wherever its head is.
            let granules = capacity.div_ceil(granule).max(2 * longest.div_ceil(granule)) as u32;
            Some(Geometry { shift: granule.trailing_zeros(), granules, longest, capacity })
        }

        fn payload_off(&self) -> usize {
            (CELLS_OFF + self.granules as usize * CELL_BYTES).next_multiple_of(SMALLEST_GRANULE)
        }

        fn size(&self) -> Option<usize> {
            let payload = (self.granules as usize).checked_shl(self.shift)?;
            self.payload_off().checked_add(payload).filter(|&n| n <= isize::MAX as usize)
        }
    }

    /// The size of a byte queue of this shape in bytes; `None` for an impossible shape.
    ///
    /// # Examples
    /// ```
    /// use interproc::raw::queue::byte_ring_size;
    ///
    /// assert!(byte_ring_size(1 << 16, 1000).expect("possible") > 1 << 16);
    /// assert_eq!(byte_ring_size(1 << 16, usize::MAX), None);
    /// ```
    pub fn byte_ring_size(capacity: usize, longest: usize) -> Option<usize> {
        Geometry::of(capacity, longest)?.size()
    }

    /// Where a byte ring is mapped, with its checked geometry, which is never read again from shared memory.
    ///
    /// # Examples
    /// See [`RawByteQueue`](crate::queue::RawByteQueue).
    #[derive(Clone, Copy, Debug)]
    pub struct ByteRing {
        header: NonNull<Header>,
        payload: NonNull<u8>,
        geometry: Geometry,
    }

    // SAFETY: an address; whoever made it answers for the mapping. All access is through atomics, or to a record that the
    // accessing thread owns.
    unsafe impl Send for ByteRing {}
    // SAFETY: as above.
    unsafe impl Sync for ByteRing {}

    impl ByteRing {
        /// The alignment of a ring's first byte.
        pub const ALIGN: usize = align_of::<Header>();

        /// Makes an empty ring in zeroed memory.
        ///
        /// # Errors
        /// `InvalidInput` for an impossible shape or too few bytes.
        ///
        /// # Safety
        /// `memory` is aligned to [`ByteRing::ALIGN`], `len` bytes long, zeroed, in a segment, and nobody uses it yet.
        pub unsafe fn make(memory: NonNull<u8>, len: usize, capacity: usize, longest: usize) -> Result<()> {
            let geometry = Geometry::of(capacity, longest)
                .filter(|g| g.size().is_some_and(|need| need <= len))
                .ok_or(ErrorKind::InvalidInput)?;
            // SAFETY: aligned and large enough.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            header.capacity.store(capacity as u64, Ordering::Relaxed);
            header.longest.store(longest as u64, Ordering::Relaxed);
            header.granule.store(1 << geometry.shift, Ordering::Relaxed);
            header.granules.store(u64::from(geometry.granules), Ordering::Release);
            Ok(())
        }

        /// The ring in `memory`. Its geometry is copied and checked against `len`.
        ///
        /// # Errors
        /// `Corrupt` when the geometry is impossible.
        ///
        /// # Safety
        /// `memory` is aligned to [`ByteRing::ALIGN`] and `len` bytes long, and stays mapped, readable and writable as
        /// long as the ring or a copy is used.
        pub unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Self> {
            if len < CELLS_OFF {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: aligned and large enough for the header.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            let granules = header.granules.load(Ordering::Acquire);
            let granule = header.granule.load(Ordering::Relaxed);
            let capacity = header.capacity.load(Ordering::Relaxed) as usize;
            let longest = header.longest.load(Ordering::Relaxed) as usize;
            let geometry = Geometry::of(capacity, longest)
                .filter(|g| g.size().is_some_and(|need| need <= len))
                .filter(|g| (u64::from(g.granules), 1 << g.shift) == (granules, granule))
                .ok_or(ErrorKind::Corrupt)?;
            // SAFETY: in bounds by the check.
            let payload = unsafe { memory.add(geometry.payload_off()) };
            Ok(ByteRing { header: memory.cast(), payload, geometry })
        }

        /// Its address.
        #[inline(always)]
        pub fn address(&self) -> *const u8 {
            self.header.as_ptr().cast()
        }

        /// The requested capacity, and the length of the longest message.
        pub fn shape(&self) -> (usize, usize) {
            (self.geometry.capacity, self.geometry.longest)
        }

        /// The number of granules.
        #[inline(always)]
        pub fn granules(&self) -> u32 {
            self.geometry.granules
        }

        /// The size of a granule in bytes.
        #[inline(always)]
        pub fn granule(&self) -> usize {
            1 << self.geometry.shift
        }

        /// The length of the longest message.
        #[inline(always)]
        pub fn longest(&self) -> usize {
            self.geometry.longest
        }

        /// How many granules a message of `len` bytes takes, if it is not too long.
        #[inline(always)]
        pub(in crate::queue::byte_queue) fn granules_for(&self, len: usize) -> u32 {
            (((len + self.granule() - 1) >> self.geometry.shift) as u32).max(1)
        }

        #[inline(always)]
        pub(in crate::queue::byte_queue) fn header(&self) -> &Header {
            // SAFETY: mapped by the contract of `attach`; only atomics inside.
            unsafe { self.header.as_ref() }
        }

        #[inline(always)]
        pub(in crate::queue::byte_queue) fn ctl(&self, index: u32) -> &AtomicU64 {
            self.word(index, 0)
        }

        /// The length of the message that begins in this granule. Whoever owns its record writes and reads it.
        #[inline(always)]
        pub(in crate::queue::byte_queue) fn len(&self, index: u32) -> &AtomicU64 {
            self.word(index, 8)
        }

        #[inline(always)]
        fn word(&self, index: u32, at: usize) -> &AtomicU64 {
            debug_assert!(index < self.granules());
            // SAFETY: callers pass an index below the number of granules, so the word is in bounds; 8-aligned.
            unsafe {
                self.header.cast::<u8>().add(CELLS_OFF + index as usize * CELL_BYTES + at).cast().as_ref()
            }
        }

        /// The record of this many granules at an index, both checked to lie inside the ring. A peer that breaks the protocol can
        /// write anything there, so it is raw memory here.
        #[inline(always)]
        pub(in crate::queue::byte_queue) fn record(&self, index: u32, granules: u32) -> *mut u8 {
            debug_assert!(index + granules <= self.granules());
            // SAFETY: in bounds by the contract.
            unsafe { self.payload.as_ptr().add((index as usize) << self.geometry.shift) }
        }

        /// The index of the record whose message would begin at `message`.
        #[cfg(feature = "std")]
        pub(in crate::queue::byte_queue) fn index_of(&self, message: *const u8) -> Option<u32> {
            let at = message.addr().checked_sub(self.payload.as_ptr().addr())?;
            let index = u32::try_from(at >> self.geometry.shift).ok()?;
            (at.is_multiple_of(self.granule()) && index < self.granules()).then_some(index)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn two_of_the_longest_messages_fit_whatever_was_asked() {
            let g = Geometry::of(1, 1000).unwrap();
            assert_eq!((g.shift, g.granules), (6, 2 * 16));
            let g = Geometry::of(1 << 20, 1000).unwrap();
            assert_eq!((g.shift, g.granules), (6, 1 << 14));
        }

        #[test]
        fn granules_grow_with_the_longest_message_and_with_the_ring() {
            let g = Geometry::of(1, 1 << 20).unwrap();
            assert_eq!(g.shift, 8);
            assert!(((1usize << 20) + 8).div_ceil(1 << g.shift) <= MOST_GRANULES as usize);
            let g = Geometry::of(8 << 30, 64).unwrap();
            assert_eq!((g.shift, g.granules), (9, 1 << 24));
        }

        #[test]
        fn impossible_shapes_are_refused() {
            for (capacity, longest) in [(0, 1), (1, 0), (usize::MAX, 1), (1, usize::MAX)] {
                assert_eq!(byte_ring_size(capacity, longest), None);
            }
        }
    }
}

#[cfg(interproc_loom)]
mod imp {
    use super::{Head, Header, Peak, Skips};
    use crate::atomic::AtomicU64;
    use std::cell::UnsafeCell;

    /// The bytes of a modelled granule.
    const GRANULE: usize = 16;

    /// A modelled byte ring, leaked for the length of one model execution.
    #[derive(Clone, Copy)]
    pub struct ByteRing {
        header: &'static Header,
        cells: &'static [AtomicU64],
        lens: &'static [AtomicU64],
        /// What loom watches, a mark for each granule.
        marks: &'static [loom::cell::UnsafeCell<()>],
        bytes: &'static UnsafeCell<Vec<u64>>,
        longest: usize,
    }

    // SAFETY: loom checks every access to the payload by its marks; the rest is atomics.
    unsafe impl Send for ByteRing {}
    // SAFETY: as above.
    unsafe impl Sync for ByteRing {}

    impl ByteRing {
        /// An empty ring of `granules` for messages of up to half of them.
        pub fn leak(granules: usize) -> Self {
            let header = Header {
                capacity: AtomicU64::new(0),
                longest: AtomicU64::new(0),
                granules: AtomicU64::new(0),
                granule: AtomicU64::new(0),
                common: Head::new(),
                _line1: [0; 9],
                tail: AtomicU64::new(0),
                _line2: [0; 15],
                read: AtomicU64::new(0),
                skips: Skips::new(),
                _line3: [0; 7],
                head: AtomicU64::new(0),
                peak: Peak::new(),
                _line4: [0; 14],
            };
            ByteRing {
                header: Box::leak(Box::new(header)),
                cells: Box::leak((0..granules).map(|_| AtomicU64::new(0)).collect()),
                lens: Box::leak((0..granules).map(|_| AtomicU64::new(0)).collect()),
                marks: Box::leak((0..granules).map(|_| loom::cell::UnsafeCell::new(())).collect()),
                bytes: Box::leak(Box::new(UnsafeCell::new(vec![0; granules * GRANULE / 8]))),
                longest: (granules / 2).max(1) * GRANULE,
            }
        }

        /// Its address.
        pub fn address(&self) -> *const u8 {
            (&raw const *self.header).cast()
        }

        /// Granules.
        pub fn granules(&self) -> u32 {
            self.cells.len() as u32
        }

        /// Bytes of a granule.
        pub fn granule(&self) -> usize {
            GRANULE
        }

        /// The bytes of the longest message.
        pub fn longest(&self) -> usize {
            self.longest
        }

        pub(in crate::queue::byte_queue) fn granules_for(&self, len: usize) -> u32 {
            len.div_ceil(GRANULE).max(1) as u32
        }

        pub(in crate::queue::byte_queue) fn header(&self) -> &Header {
            self.header
        }

        pub(in crate::queue::byte_queue) fn ctl(&self, index: u32) -> &AtomicU64 {
            &self.cells[index as usize]
        }

        pub(in crate::queue::byte_queue) fn len(&self, index: u32) -> &AtomicU64 {
            &self.lens[index as usize]
        }

        /// As in the product; loom is told of a write to all of it: both sides own a record alone.
        pub(in crate::queue::byte_queue) fn record(&self, index: u32, granules: u32) -> *mut u8 {
            for mark in &self.marks[index as usize..(index + granules) as usize] {
                mark.with_mut(|_| ());
            }
            // SAFETY: in bounds; who may use it is what the model finds out.
            unsafe { (*self.bytes.get()).as_mut_ptr().add(index as usize * GRANULE / 8).cast() }
        }
    }
}

pub use imp::ByteRing;
#[cfg(not(interproc_loom))]
pub use imp::byte_ring_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(super) use imp::{CELL_BYTES, CELLS_OFF, Geometry};
