//! The layout of a pipe, or of a rendezvous with many pipes, in shared memory.
//!
//! ```text
//! 0     geometry                                     written once
//! 128   listener; room; the calls, a bit per slot     read by all, seldom written
//! 384   slots, each of one or two byte lanes
//! ```
#![allow(unsafe_code)]

use crate::atomic::AtomicU64;
use crate::member::Watchers;

/// Words of calls, with a bit for each slot.
pub(super) const CALL_WORDS: usize = 16;
/// The most slots.
#[cfg(not(interproc_loom))]
pub(super) const MAX_SLOTS: usize = 64 * CALL_WORDS;

/// The header in shared memory. All-zero (apart from the geometry): all slots free, nobody listens.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Head {
    /// The number of slots; written once, copied and checked at attach, as are the next three.
    pub(super) slots: AtomicU64,
    /// Lanes of a slot: 1 or 2.
    pub(super) lanes: AtomicU64,
    /// The units of a lane.
    pub(super) units: AtomicU64,
    /// The longest message.
    pub(super) longest: AtomicU64,
    _line1: [u64; 12],
    /// The listener: an owner's id, or 0.
    pub(super) listener: AtomicU64,
    /// Changes whenever an end or the listener has left: those who wait for a slot look again.
    pub(super) room: AtomicU64,
    /// Where the search for a slot starts.
    pub(super) rotation: AtomicU64,
    /// Wait sets that wait for a call.
    pub(super) watchers: Watchers,
    _rest: u32,
    _line2: [u64; 12],
    /// A bit for each slot: a client has called and is not answered yet.
    pub(super) calls: [AtomicU64; CALL_WORDS],
}

#[cfg(not(interproc_loom))]
mod imp {
    use super::{Head, MAX_SLOTS};
    use crate::atomic::{AtomicU64, Ordering};
    use crate::error::{ErrorKind, Result};
    use crate::queue::byte_lane::{UNIT, units_for};
    use crate::queue::{Lane, lane_size};
    use core::ptr::NonNull;

    pub(in crate::pipe) const SLOTS_OFF: usize = 384;
    const _: () = assert!(size_of::<Head>() == SLOTS_OFF);
    const ALIGN: usize = 128;

    /// The shape of a pipe or rendezvous.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in crate::pipe) struct Geometry {
        pub(in crate::pipe) slots: usize,
        pub(in crate::pipe) lanes: usize,
        pub(in crate::pipe) units: usize,
        pub(in crate::pipe) longest: usize,
    }

    impl Geometry {
        /// Slots for at least this many bytes each way; `None` if that is impossible.
        pub(in crate::pipe) fn new(slots: usize, lanes: usize, bytes: usize, longest: usize) -> Option<Self> {
            let units = units_for(bytes, longest)?;
            let geometry = Geometry { slots, lanes, units, longest };
            geometry.size().map(|_| geometry)
        }

        pub(in crate::pipe) fn lane_stride(&self) -> Option<usize> {
            lane_size(UNIT, self.units)?.checked_next_multiple_of(ALIGN)
        }

        /// The total size in bytes; `None` for an impossible shape.
        pub(in crate::pipe) fn size(&self) -> Option<usize> {
            let possible = (1..=MAX_SLOTS).contains(&self.slots)
                && (1..=2).contains(&self.lanes)
                && units_for(0, self.longest).is_some_and(|least| least <= self.units);
            let lanes = self.slots.checked_mul(self.lanes).filter(|_| possible)?;
            let bytes = self.lane_stride()?.checked_mul(lanes)?.checked_add(SLOTS_OFF)?;
            (bytes <= isize::MAX as usize).then_some(bytes)
        }

        /// The parameters of its directory entry.
        pub(in crate::pipe) fn params(&self) -> [u64; 2] {
            [(self.units * UNIT) as u64, (self.slots as u64) << 32 | self.longest as u64]
        }
    }

    /// Where it is mapped, with its checked geometry, which is never read again from shared memory.
    #[derive(Clone, Copy, Debug)]
    pub struct Place {
        head: NonNull<Head>,
        geometry: Geometry,
        stride: usize,
    }

    // SAFETY: an address; whoever made it answers for the mapping. All access is through atomics and lanes.
    unsafe impl Send for Place {}
    // SAFETY: as above.
    unsafe impl Sync for Place {}

    impl Place {
        /// The alignment of its first byte.
        pub(in crate::pipe) const ALIGN: usize = ALIGN;

        /// Makes it in zeroed memory.
        ///
        /// # Errors
        /// `InvalidInput` for an impossible shape or too few bytes.
        ///
        /// # Safety
        /// `memory` is aligned to [`Place::ALIGN`], `len` bytes long, zeroed, in a segment, and nobody uses it yet.
        pub(in crate::pipe) unsafe fn make(
            memory: NonNull<u8>,
            len: usize,
            geometry: Geometry,
        ) -> Result<()> {
            let need = geometry.size().filter(|&need| need <= len);
            let (Some(_), Some(stride)) = (need, geometry.lane_stride()) else {
                return Err(ErrorKind::InvalidInput.into());
            };
            for lane in 0..geometry.slots * geometry.lanes {
                // SAFETY: in bounds by the check; aligned, as offset and stride are multiples of 128.
                unsafe {
                    let at = memory.add(SLOTS_OFF + lane * stride);
                    Lane::make(at, stride, UNIT, geometry.units, geometry.longest as u64)?;
                }
            }
            // SAFETY: aligned and large enough.
            let head = unsafe { memory.cast::<Head>().as_ref() };
            head.lanes.store(geometry.lanes as u64, Ordering::Relaxed);
            head.units.store(geometry.units as u64, Ordering::Relaxed);
            head.longest.store(geometry.longest as u64, Ordering::Relaxed);
            head.slots.store(geometry.slots as u64, Ordering::Release);
            Ok(())
        }

        /// The one in `memory`. Its geometry is copied and checked against `len`.
        ///
        /// # Errors
        /// `Corrupt` when the geometry is impossible.
        ///
        /// # Safety
        /// `memory` is aligned to [`Place::ALIGN`] and `len` bytes long, and stays mapped, readable and writable as
        /// long as the place or a copy is used.
        pub(in crate::pipe) unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Self> {
            if len < SLOTS_OFF {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: aligned and large enough for the head.
            let head = unsafe { memory.cast::<Head>().as_ref() };
            let slots = head.slots.load(Ordering::Acquire) as usize;
            let word = |word: &AtomicU64| word.load(Ordering::Relaxed) as usize;
            let geometry = Geometry {
                slots,
                lanes: word(&head.lanes),
                units: word(&head.units),
                longest: word(&head.longest),
            };
            let need = geometry.size().filter(|&need| need <= len);
            let (Some(_), Some(stride)) = (need, geometry.lane_stride()) else {
                return Err(ErrorKind::Corrupt.into());
            };
            Ok(Place { head: memory.cast(), geometry, stride })
        }

        /// Its address.
        #[inline(always)]
        pub(crate) fn address(&self) -> *const u8 {
            self.head.as_ptr().cast()
        }

        pub(in crate::pipe) fn geometry(&self) -> Geometry {
            self.geometry
        }

        /// Slots.
        pub fn slots(&self) -> usize {
            self.geometry.slots
        }

        /// Lanes of a slot.
        pub fn lanes(&self) -> usize {
            self.geometry.lanes
        }

        pub(in crate::pipe) fn head(&self) -> &Head {
            // SAFETY: mapped by the contract of `attach`; only atomics inside.
            unsafe { self.head.as_ref() }
        }

        /// Which of all slots' lanes this one is, which is one of them.
        pub(in crate::pipe) fn index_of(&self, lane: &Lane) -> Option<usize> {
            let first = self.address().addr() + SLOTS_OFF;
            lane.address().addr().checked_sub(first).map(|offset| offset / self.stride)
        }

        /// A lane of a slot.
        ///
        /// # Errors
        /// `Corrupt` when the lane's own geometry differs.
        pub(in crate::pipe) fn lane(&self, slot: usize, lane: usize) -> Result<Lane> {
            debug_assert!(slot < self.geometry.slots && lane < self.geometry.lanes);
            let at = SLOTS_OFF + (slot * self.geometry.lanes + lane) * self.stride;
            // SAFETY: in bounds and aligned by the geometry; mapped by the contract of `attach`.
            let lane = unsafe { Lane::attach(self.head.cast::<u8>().add(at), self.stride) }?;
            let (units, longest) = (self.geometry.units as u64, self.geometry.longest as u64);
            if (lane.unit(), lane.capacity(), lane.limit()) != (UNIT, units, longest) {
                return Err(ErrorKind::Corrupt.into());
            }
            Ok(lane.hanging_up())
        }
    }
}

#[cfg(interproc_loom)]
mod imp {
    use super::{CALL_WORDS, Head};
    use crate::atomic::AtomicU64;
    use crate::error::Result;
    use crate::queue::Lane;

    /// A modelled place, leaked for one model execution.
    #[derive(Clone, Copy)]
    pub struct Place {
        head: &'static Head,
        slots: &'static [[Lane; 2]],
        lanes: usize,
    }

    impl Place {
        /// Slots of lanes with so many units.
        pub fn leak(slots: usize, lanes: usize, units: usize) -> Self {
            let word = || AtomicU64::new(0);
            let head = Head {
                slots: AtomicU64::new(slots as u64),
                lanes: word(),
                units: word(),
                longest: word(),
                _line1: [0; 12],
                listener: word(),
                room: word(),
                rotation: word(),
                watchers: crate::member::Watchers::new(),
                _rest: 0,
                _line2: [0; 12],
                calls: [(); CALL_WORDS].map(|()| word()),
            };
            let slots = (0..slots).map(|_| [(); 2].map(|()| Lane::leak(units).hanging_up())).collect();
            Place { head: Box::leak(Box::new(head)), slots: Box::leak(slots), lanes }
        }

        /// Slots.
        pub fn slots(&self) -> usize {
            self.slots.len()
        }

        /// Lanes of a slot.
        pub fn lanes(&self) -> usize {
            self.lanes
        }

        pub(in crate::pipe) fn head(&self) -> &'static Head {
            self.head
        }

        pub(in crate::pipe) fn lane(&self, slot: usize, lane: usize) -> Result<Lane> {
            Ok(self.slots[slot][lane])
        }
    }
}

pub use imp::Place;
#[cfg(not(interproc_loom))]
pub(super) use imp::{Geometry, SLOTS_OFF};
