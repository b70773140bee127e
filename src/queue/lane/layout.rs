//! The layout of the lane in shared memory.
//!
//! ```text
//! 0     geometry, closed word, event counts, seal, seats   read by both sides, seldom written
//! 128   tail, peak                                         written by the producer
//! 256   head, step, suspect                                written by the consumer
//! 384   units
//! ```
//!
//! A *unit* is what a position counts: an element, or eight bytes of a message of any length. Units lie close together, so
//! neighbours form a slice.
#![allow(unsafe_code)]

use super::seat::Seat;
use crate::atomic::AtomicU64;
use crate::queue::head::{Head, Peak};

/// The header of a lane in shared memory. All-zero (apart from the geometry) is an empty, open lane with both seats vacant.
#[repr(C, align(64))]
#[derive(Debug)]
pub(in crate::queue) struct Header {
    /// The size of a unit in bytes; written once, copied and checked at attach.
    pub(in crate::queue) unit: AtomicU64,
    /// The number of units; as above.
    pub(in crate::queue) capacity: AtomicU64,
    /// A value for those who attach: a byte lane's longest message. As above.
    pub(in crate::queue) limit: AtomicU64,
    pub(in crate::queue) common: Head,
    /// Where the end is, once it is closed: see `consumer`.
    pub(in crate::queue) seal: AtomicU64,
    /// Who may write. The seats are here, and not beside the counts, because nobody writes them while messages flow: a pipe's
    /// sender loads its peer's seat before every message.
    pub(in crate::queue) producer: Seat,
    /// Who may read.
    pub(in crate::queue) consumer: Seat,
    /// Of a pipe's lane: by what number a program may take the producer's seat, and the consumer's, from whoever holds it.
    #[cfg(not(interproc_loom))]
    pub(in crate::queue) gifts: [AtomicU64; 2],
    #[cfg(not(interproc_loom))]
    _line1: [u64; 5],
    #[cfg(interproc_loom)]
    _line1: [u64; 7],
    /// How many units were ever published.
    pub(in crate::queue) tail: AtomicU64,
    /// The most units that the producer has seen in it when it looked for room.
    pub(in crate::queue) peak: Peak,
    _line2: [u64; 14],
    /// How many units were ever freed.
    pub(in crate::queue) head: AtomicU64,
    /// The most units that the consumer may have read and not freed.
    pub(in crate::queue) step: AtomicU64,
    /// Units before this position may have been read by a consumer that died. Behind the head if there are none.
    pub(in crate::queue) suspect: AtomicU64,
    _line3: [u64; 13],
}

#[cfg(not(interproc_loom))]
mod imp {
    use super::{Header, fetch_to_write};
    use crate::atomic::Ordering;
    use crate::error::{ErrorKind, Result};
    use core::mem::offset_of;
    use core::ptr::NonNull;

    const UNITS_OFF: usize = 384;
    const _: () = assert!(size_of::<Header>() == UNITS_OFF);
    const _: () = assert!(offset_of!(Header, common) == 24 && offset_of!(Header, seal) == 48);
    const _: () = assert!(offset_of!(Header, producer) == 56 && offset_of!(Header, consumer) == 64);
    const _: () = assert!(offset_of!(Header, tail) == 128 && offset_of!(Header, peak) == 136);
    const _: () = assert!(offset_of!(Header, head) == 256 && offset_of!(Header, step) == 264);
    /// Positions are compared by their difference.
    const MAX_UNITS: usize = 1 << 40;

    /// Where a lane is mapped, with its checked geometry, which is never read again from shared memory.
    #[derive(Clone, Copy, Debug)]
    pub struct Lane {
        header: NonNull<Header>,
        units: NonNull<u8>,
        unit: usize,
        capacity: u64,
        limit: u64,
        hangs_up: bool,
    }

    // SAFETY: an address; whoever made it answers for the mapping. All access is through atomics, or to units that belong
    // to the accessing thread by its seat.
    unsafe impl Send for Lane {}
    // SAFETY: as above.
    unsafe impl Sync for Lane {}

    /// The size of a lane of this shape in bytes; `None` for an impossible shape.
    pub fn lane_size(unit: usize, capacity: usize) -> Option<usize> {
        if unit == 0 || capacity == 0 || capacity > MAX_UNITS {
            return None;
        }
        unit.checked_mul(capacity)?.checked_add(UNITS_OFF).filter(|&n| n <= isize::MAX as usize)
    }

    impl Lane {
        /// The alignment of a lane's first byte, and of its first unit.
        pub const ALIGN: usize = align_of::<Header>();

        /// Makes an empty lane in zeroed memory.
        ///
        /// # Errors
        /// `InvalidInput` for an impossible shape or too few bytes.
        ///
        /// # Safety
        /// `memory` is aligned to [`Lane::ALIGN`], `len` bytes long, zeroed, in a segment, and nobody uses it yet.
        pub unsafe fn make(
            memory: NonNull<u8>,
            len: usize,
            unit: usize,
            capacity: usize,
            limit: u64,
        ) -> Result<()> {
            if lane_size(unit, capacity).is_none_or(|need| need > len) {
                return Err(ErrorKind::InvalidInput.into());
            }
            // SAFETY: aligned and large enough.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            header.unit.store(unit as u64, Ordering::Relaxed);
            header.limit.store(limit, Ordering::Relaxed);
            header.capacity.store(capacity as u64, Ordering::Release);
            Ok(())
        }

        /// The lane in `memory`. Its geometry is copied and checked against `len`.
        ///
        /// # Errors
        /// `Corrupt` when the geometry is impossible.
        ///
        /// # Safety
        /// `memory` is aligned to [`Lane::ALIGN`] and `len` bytes long, and stays mapped, readable and writable as
        /// long as the lane or a copy is used.
        pub unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Self> {
            if len < UNITS_OFF {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: aligned and large enough for the header.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            let capacity = header.capacity.load(Ordering::Acquire);
            let unit = header.unit.load(Ordering::Relaxed) as usize;
            let limit = header.limit.load(Ordering::Relaxed);
            if lane_size(unit, capacity as usize).is_none_or(|need| need > len) {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: in bounds by the check.
            let units = unsafe { memory.add(UNITS_OFF) };
            Ok(Lane { header: memory.cast(), units, unit, capacity, limit, hangs_up: false })
        }

        /// Its address.
        #[inline(always)]
        pub fn address(&self) -> *const u8 {
            self.header.as_ptr().cast()
        }

        /// The size of a unit in bytes.
        #[inline(always)]
        pub fn unit(&self) -> usize {
            self.unit
        }

        /// The number of units.
        #[inline(always)]
        pub fn capacity(&self) -> u64 {
            self.capacity
        }

        /// The value that its maker left for those who attach.
        #[inline(always)]
        pub fn limit(&self) -> u64 {
            self.limit
        }

        /// The same lane, for users to whom the peer's death is the end.
        pub fn hanging_up(self) -> Self {
            Lane { hangs_up: true, ..self }
        }

        /// Whether a peer's death is the end.
        #[inline(always)]
        pub fn hangs_up(&self) -> bool {
            self.hangs_up
        }

        #[inline(always)]
        pub(in crate::queue) fn header(&self) -> &Header {
            // SAFETY: mapped by the contract of `attach`; only atomics inside.
            unsafe { self.header.as_ref() }
        }

        /// The address of the unit at an index below the capacity; its neighbours up to the end lie behind it. A peer that breaks
        /// the protocol can write anything there, so it is raw memory here.
        #[inline(always)]
        pub(crate) fn bytes(&self, index: u64) -> NonNull<u8> {
            debug_assert!(index < self.capacity);
            // SAFETY: in bounds, as the index is below the capacity.
            unsafe { self.units.add(index as usize * self.unit) }
        }

        /// The address of the first unit.
        #[cfg(feature = "std")]
        #[inline(always)]
        pub(in crate::queue) fn first(&self) -> NonNull<u8> {
            self.units
        }

        /// Prefetches units from an index on, or the first of them, for writing.
        #[inline(always)]
        pub(in crate::queue) fn fetch(&self, index: u64, units: u64) {
            let from = self.units.as_ptr().wrapping_add(index as usize * self.unit);
            fetch_to_write(from, (units as usize).wrapping_mul(self.unit));
        }

        /// Lets `f` write a unit that is the caller's by its seat.
        #[inline(always)]
        pub(in crate::queue) fn fill(&self, index: u64, f: impl FnOnce(*mut u8)) {
            f(self.bytes(index).as_ptr());
        }

        /// Lets `f` read a unit that is the caller's by its seat.
        #[inline(always)]
        pub(in crate::queue) fn drain<R>(&self, index: u64, f: impl FnOnce(*const u8) -> R) -> R {
            f(self.bytes(index).as_ptr())
        }
    }
}

#[cfg(interproc_loom)]
mod imp {
    use super::super::seat::Seat;
    use super::Header;
    use crate::atomic::AtomicU64;
    use crate::queue::head::{Head, Peak};
    use loom::cell::UnsafeCell;

    /// A modelled lane of 8-byte units, leaked for one model execution.
    #[derive(Clone, Copy)]
    pub struct Lane {
        header: &'static Header,
        units: &'static [UnsafeCell<u64>],
        hangs_up: bool,
    }

    // SAFETY: loom checks every access to the units; the rest is atomics.
    unsafe impl Send for Lane {}
    // SAFETY: as above.
    unsafe impl Sync for Lane {}

    impl Lane {
        /// An empty lane.
        pub fn leak(capacity: usize) -> Self {
            let header = Header {
                unit: AtomicU64::new(8),
                capacity: AtomicU64::new(capacity as u64),
                limit: AtomicU64::new(0),
                common: Head::new(),
                seal: AtomicU64::new(0),
                _line1: [0; 7],
                tail: AtomicU64::new(0),
                producer: Seat::new(),
                peak: Peak::new(),
                _line2: [0; 14],
                head: AtomicU64::new(0),
                consumer: Seat::new(),
                step: AtomicU64::new(0),
                suspect: AtomicU64::new(0),
                _line3: [0; 13],
            };
            let units = (0..capacity).map(|_| UnsafeCell::new(0)).collect();
            Lane { header: Box::leak(Box::new(header)), units: Box::leak(units), hangs_up: false }
        }

        /// The same lane, for users to whom the peer's death is the end.
        pub fn hanging_up(self) -> Self {
            Lane { hangs_up: true, ..self }
        }

        /// Whether a peer's death is the end.
        pub fn hangs_up(&self) -> bool {
            self.hangs_up
        }

        /// Bytes of a unit.
        pub fn unit(&self) -> usize {
            8
        }

        /// Units.
        pub fn capacity(&self) -> u64 {
            self.units.len() as u64
        }

        pub(in crate::queue) fn header(&self) -> &Header {
            self.header
        }

        pub(in crate::queue) fn fetch(&self, _: u64, _: u64) {}

        pub(in crate::queue) fn fill(&self, index: u64, f: impl FnOnce(*mut u8)) {
            self.units[index as usize].with_mut(|p| f(p.cast()));
        }

        pub(in crate::queue) fn drain<R>(&self, index: u64, f: impl FnOnce(*const u8) -> R) -> R {
            self.units[index as usize].with(|p| f(p.cast()))
        }
    }
}

/// Prefetches bytes, or the first of them, for writing. It is a hint that touches nothing, so any address will do. (The
/// compiler's own intrinsic fetches for reading, without a target feature; then each line travels twice.)
#[cfg(not(interproc_loom))]
#[inline(always)]
pub(in crate::queue) fn fetch_to_write(from: *const u8, bytes: usize) {
    /// A cache line.
    const LINE: usize = 64;
    /// The most that is fetched at a time.
    const MOST: usize = 1024;
    for at in (0..bytes.min(MOST)).step_by(LINE) {
        let line = from.addr().wrapping_add(at);
        // SAFETY: a prefetch has no effect that the program sees, and no address faults.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        unsafe {
            core::arch::asm!("prefetchw [{}]", in(reg) line, options(nomem, nostack, preserves_flags));
        }
        // SAFETY: as above.
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        unsafe {
            core::arch::asm!("prfm pstl1keep, [{}]", in(reg) line, options(nomem, nostack, preserves_flags));
        }
        let _ = line;
    }
}

pub use imp::Lane;
#[cfg(not(interproc_loom))]
pub use imp::lane_size;
