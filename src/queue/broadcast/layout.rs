//! The layout of a broadcast in shared memory.
//!
//! ```text
//! 0     geometry, closed word, event counts, joins          read by all, seldom written
//! 128   the publishers' lock, and what its holder keeps     written by publishers
//! 256   tail                                                written by publishers, read by all
//! 384   claim                                               written by publishers once a block, read by those who lag
//! 512   seats of subscribers, 64 bytes each                 each written by its subscriber
//! then  slots, `stride` bytes each: the length, if it may differ, and the message
//! ```
#![allow(unsafe_code)]

use crate::atomic::{AtomicU32, AtomicU64};
use crate::queue::head::Head;
use crate::queue::lane::seat::Seat;
use crate::sync::RawMutex;

/// The header of a broadcast in shared memory. All-zero (apart from the geometry) is an empty, open one without subscribers.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Header {
    /// [`BroadcastGeometry`] in two words; written once, copied and checked at attach.
    pub(super) geometry: [AtomicU64; 2],
    pub(super) common: Head,
    /// How often somebody joined.
    pub(super) joins: AtomicU64,
    /// No seat from here on was ever taken.
    pub(super) seated: AtomicU32,
    _line0: [u32; 19],
    /// One publisher at a time.
    pub(super) lock: RawMutex,
    pub(super) desk: Desk,
    _line1: [u64; 9],
    /// How many messages were ever published; the next one's position. **The commit point.**
    pub(super) tail: AtomicU64,
    _line2: [u64; 15],
    /// No message from here on was begun. What is older by the capacity may be overwritten at any moment.
    pub(super) claim: AtomicU64,
    _line3: [u64; 15],
}

/// What publishers keep under their lock. It follows from the rest of the header, and is made anew by the heir of the lock.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Desk {
    /// Up to where messages can be written without further checks.
    pub(super) soft: AtomicU64,
    /// Up to where there was room when somebody looked at the subscribers.
    pub(super) limit: AtomicU64,
    /// How often somebody had joined by then.
    pub(super) joins: AtomicU64,
    /// The slot of the next message.
    pub(super) at: AtomicU32,
    /// 1: it is reserved.
    pub(super) reserved: AtomicU32,
    /// 1: the holder of the lock keeps it, for as long as it likes.
    pub(super) kept: AtomicU64,
}

/// A subscriber's seat. All-zero is vacant.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Place {
    pub(super) holder: Seat,
    /// The position of the next message that it reads.
    pub(super) cursor: AtomicU64,
    /// 1: publishers wait for it.
    pub(super) waits: AtomicU64,
    /// How many messages it has missed: a statistic.
    pub(super) missed: AtomicU64,
    _rest: [u64; 4],
}

/// What a broadcast is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastGeometry {
    /// Messages that it keeps.
    pub capacity: u32,
    /// Bytes of the longest message.
    pub longest: u32,
    /// The most subscribers.
    pub subscribers: u32,
    /// Whether all messages have that length.
    pub fixed: bool,
}

impl BroadcastGeometry {
    /// How many messages publishers claim at a time. Those who lag have so many fewer to be behind.
    #[inline(always)]
    pub(super) fn block(&self) -> u64 {
        u64::from(self.capacity / 8).clamp(1, 64)
    }
}

impl BroadcastGeometry {
    /// As the directory and the header keep it.
    #[cfg(not(interproc_loom))]
    pub fn words(&self) -> [u64; 2] {
        let subscribers = u64::from(self.subscribers) | u64::from(self.fixed) << 32;
        [u64::from(self.longest) << 32 | u64::from(self.capacity), subscribers]
    }

    #[cfg(not(interproc_loom))]
    pub(super) fn of(words: [u64; 2]) -> Option<BroadcastGeometry> {
        let fixed = match words[1] >> 32 {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (capacity, longest) = (words[0] as u32, (words[0] >> 32) as u32);
        Some(BroadcastGeometry { capacity, longest, subscribers: words[1] as u32, fixed })
    }
}

#[cfg(not(interproc_loom))]
mod imp {
    use super::{BroadcastGeometry, Header, Place};
    use crate::atomic::{AtomicU64, Ordering};
    use crate::error::{ErrorKind, Result};
    use crate::queue::lane::fetch_to_write;
    use core::ptr::NonNull;

    pub(in crate::queue::broadcast) const SEATS_OFF: usize = 512;
    const _: () = assert!(size_of::<Header>() == SEATS_OFF && size_of::<Place>() == 64);
    const _: () = assert!(core::mem::offset_of!(Header, common) == 16);
    const _: () = assert!(core::mem::offset_of!(Header, joins) == 40);
    const _: () =
        assert!(core::mem::offset_of!(Header, lock) == 128 && core::mem::offset_of!(Header, desk) == 144);
    const _: () =
        assert!(core::mem::offset_of!(Header, tail) == 256 && core::mem::offset_of!(Header, claim) == 384);
    /// Positions are compared by their difference.
    const MOST: u32 = 1 << 30;
    const MOST_SUBSCRIBERS: u32 = 4096;

    impl BroadcastGeometry {
        fn is_possible(&self) -> bool {
            (2..=MOST).contains(&self.capacity)
                && self.longest > 0
                && (1..=MOST_SUBSCRIBERS).contains(&self.subscribers)
        }

        /// Bytes of a slot before its message.
        #[inline(always)]
        fn body_off(&self) -> usize {
            if self.fixed { 0 } else { 8 }
        }

        pub(in crate::queue::broadcast) fn stride(&self) -> usize {
            self.body_off() + (self.longest as usize).next_multiple_of(8)
        }

        pub(in crate::queue::broadcast) fn slots_off(&self) -> usize {
            SEATS_OFF + self.subscribers as usize * size_of::<Place>()
        }

        /// The bytes that it takes; `None` if it is impossible.
        pub fn size(&self) -> Option<usize> {
            let slots = self.stride().checked_mul(self.capacity as usize)?;
            let size = self.slots_off().checked_add(slots).filter(|&n| n <= isize::MAX as usize)?;
            self.is_possible().then_some(size)
        }
    }

    /// Where a broadcast is mapped, with its checked geometry, which is never read again from shared memory.
    #[derive(Clone, Copy, Debug)]
    pub struct BroadcastPlace {
        header: NonNull<Header>,
        slots: NonNull<u8>,
        stride: usize,
        geometry: BroadcastGeometry,
    }

    // SAFETY: an address; whoever made it answers for the mapping. All access is through atomics, or to a body that the accessing
    // thread may use by its seat or lock.
    unsafe impl Send for BroadcastPlace {}
    // SAFETY: as above.
    unsafe impl Sync for BroadcastPlace {}

    impl BroadcastPlace {
        /// The alignment of its first byte.
        pub const ALIGN: usize = align_of::<Header>();

        /// Makes an empty one in zeroed memory.
        ///
        /// # Errors
        /// `InvalidInput` for an impossible geometry or too few bytes.
        ///
        /// # Safety
        /// `memory` is aligned to [`BroadcastPlace::ALIGN`], `len` bytes long, zeroed, in a segment, and nobody uses it yet.
        pub unsafe fn make(memory: NonNull<u8>, len: usize, geometry: BroadcastGeometry) -> Result<()> {
            if geometry.size().is_none_or(|need| need > len) {
                return Err(ErrorKind::InvalidInput.into());
            }
            // SAFETY: aligned and large enough.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            let words = geometry.words();
            header.geometry[1].store(words[1], Ordering::Relaxed);
            header.geometry[0].store(words[0], Ordering::Release);
            Ok(())
        }

        /// The one in `memory`. Its geometry is copied and checked against `len`.
        ///
        /// # Errors
        /// `Corrupt` when the geometry is impossible.
        ///
        /// # Safety
        /// `memory` is aligned to [`BroadcastPlace::ALIGN`] and `len` bytes long, and stays mapped, readable and writable as long
        /// as the place or a copy is used.
        pub unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Self> {
            if len < SEATS_OFF {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: aligned and large enough for the header.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            let words = [0, 1].map(|at| header.geometry[at].load(Ordering::Acquire));
            let geometry = BroadcastGeometry::of(words)
                .filter(|g| g.size().is_some_and(|need| need <= len))
                .ok_or(ErrorKind::Corrupt)?;
            // SAFETY: in bounds by the check.
            let slots = unsafe { memory.add(geometry.slots_off()) };
            Ok(BroadcastPlace { header: memory.cast(), slots, stride: geometry.stride(), geometry })
        }

        /// Its address.
        #[inline(always)]
        pub fn address(&self) -> *const u8 {
            self.header.as_ptr().cast()
        }

        /// What it was made with.
        #[inline(always)]
        pub fn geometry(&self) -> &BroadcastGeometry {
            &self.geometry
        }

        /// Whether this member publishes.
        pub(in crate::queue::broadcast) fn is_locked_by(&self, me: &crate::member::Member) -> bool {
            self.header().lock.is_held_by(me)
        }

        #[inline(always)]
        pub(in crate::queue::broadcast) fn header(&self) -> &Header {
            // SAFETY: mapped by the contract of `attach`; only atomics inside.
            unsafe { self.header.as_ref() }
        }

        /// A seat, if there is one of this number.
        #[inline(always)]
        pub(in crate::queue::broadcast) fn seat(&self, index: u32) -> Option<&Place> {
            // SAFETY: in bounds by the check; aligned, as the header is, and both sizes are multiples of that.
            (index < self.geometry.subscribers).then(|| unsafe {
                self.header.cast::<u8>().add(SEATS_OFF).cast::<Place>().add(index as usize).as_ref()
            })
        }

        #[inline(always)]
        fn slot(&self, index: u32) -> NonNull<u8> {
            assert!(index < self.geometry.capacity);
            // SAFETY: in bounds by the check.
            unsafe { self.slots.add(index as usize * self.stride) }
        }

        /// Prefetches what comes from a slot on, for writing.
        #[inline(always)]
        pub(in crate::queue::broadcast) fn fetch(&self, index: u32) {
            const AHEAD: usize = 512;
            if self.stride < 64 {
                let left = (self.geometry.capacity - index) as usize * self.stride;
                fetch_to_write(self.slot(index).as_ptr(), left.min(AHEAD));
            }
        }

        /// The length of what is in a slot, as its publisher noted it: at most the longest.
        #[inline(always)]
        pub(in crate::queue::broadcast) fn len(&self, index: u32) -> usize {
            let longest = self.geometry.longest as usize;
            // SAFETY: the first word of a slot; aligned to 8, as the slots are.
            let noted = || unsafe { self.slot(index).cast::<AtomicU64>().as_ref() }.load(Ordering::Relaxed);
            if self.geometry.fixed { longest } else { noted().min(longest as u64) as usize }
        }

        #[inline(always)]
        pub(in crate::queue::broadcast) fn set_len(&self, index: u32, len: usize) {
            if !self.geometry.fixed {
                // SAFETY: as above.
                unsafe { self.slot(index).cast::<AtomicU64>().as_ref() }.store(len as u64, Ordering::Relaxed);
            }
        }

        /// The message of a slot: `longest` bytes, aligned to 8, and to more as the size of a slot is. A peer that breaks the protocol
        /// can write anything there, so it is raw memory here.
        #[inline(always)]
        pub(crate) fn body(&self, index: u32) -> NonNull<u8> {
            // SAFETY: in bounds, as a slot has a body of so many bytes.
            unsafe { self.slot(index).add(self.geometry.body_off()) }
        }

        #[inline(always)]
        fn word(&self, index: u32, at: usize) -> &AtomicU64 {
            debug_assert!(self.geometry.body_off() + 8 * at < self.stride);
            // SAFETY: callers pass a word of the body: in bounds, as the stride is a multiple of 8; aligned.
            unsafe { self.body(index).cast::<AtomicU64>().add(at).as_ref() }
        }

        /// Copies a message into a slot, word by word: others may read there meanwhile, and throw away what they read.
        ///
        /// # Safety
        /// `from` has `len` initialised bytes, at most the longest.
        #[inline(always)]
        pub unsafe fn copy_in(&self, index: u32, from: *const u8, len: usize) {
            debug_assert!(len <= self.geometry.longest as usize);
            let (words, rest) = (len / 8, len % 8);
            // Relaxed: ordered by B1, B2 and B3.
            for at in 0..words {
                // SAFETY: by the contract.
                let word = unsafe { from.cast::<u64>().add(at).read_unaligned() };
                self.word(index, at).store(word, Ordering::Relaxed);
            }
            if rest > 0 {
                let mut word = [0; 8];
                // SAFETY: by the contract.
                unsafe { word.as_mut_ptr().copy_from_nonoverlapping(from.add(8 * words), rest) };
                self.word(index, words).store(u64::from_ne_bytes(word), Ordering::Relaxed);
            }
        }

        /// Copies a message out of a slot, word by word.
        ///
        /// # Safety
        /// `into` is writable for `len` bytes, at most the longest.
        #[inline(always)]
        pub unsafe fn copy_out(&self, index: u32, into: *mut u8, len: usize) {
            debug_assert!(len <= self.geometry.longest as usize);
            let (words, rest) = (len / 8, len % 8);
            for at in 0..words {
                let word = self.word(index, at).load(Ordering::Relaxed);
                // SAFETY: by the contract.
                unsafe { into.cast::<u64>().add(at).write_unaligned(word) };
            }
            if rest > 0 {
                let word = self.word(index, words).load(Ordering::Relaxed).to_ne_bytes();
                // SAFETY: by the contract.
                unsafe { into.add(8 * words).copy_from_nonoverlapping(word.as_ptr(), rest) };
            }
        }
    }
}

#[cfg(interproc_loom)]
mod imp {
    use super::{BroadcastGeometry, Desk, Header, Place};
    use crate::atomic::{AtomicU32, AtomicU64, Ordering};
    use crate::queue::head::Head;
    use crate::queue::lane::seat::Seat;
    use crate::sync::RawMutex;
    use std::boxed::Box;
    use std::vec::Vec;

    /// A modelled broadcast of 8-byte messages, leaked for one model execution.
    #[derive(Clone, Copy)]
    pub struct BroadcastPlace {
        header: &'static Header,
        seats: &'static [Place],
        slots: &'static [AtomicU64],
        geometry: BroadcastGeometry,
    }

    fn word() -> AtomicU64 {
        AtomicU64::new(0)
    }

    fn leak<T>(count: u32, each: impl Fn(u32) -> T) -> &'static [T] {
        Box::leak((0..count).map(each).collect::<Vec<T>>().into_boxed_slice())
    }

    impl BroadcastPlace {
        /// An empty one.
        pub fn leak(capacity: u32, subscribers: u32) -> Self {
            let number = || AtomicU32::new(0);
            let header = Header {
                geometry: [word(), word()],
                common: Head::new(),
                joins: word(),
                seated: number(),
                _line0: [0; 19],
                lock: RawMutex::new(),
                desk: Desk {
                    soft: word(),
                    limit: word(),
                    joins: word(),
                    at: number(),
                    reserved: number(),
                    kept: word(),
                },
                _line1: [0; 9],
                tail: word(),
                _line2: [0; 15],
                claim: word(),
                _line3: [0; 15],
            };
            let seat = |_| Place {
                holder: Seat::new(),
                cursor: word(),
                waits: word(),
                missed: word(),
                _rest: [0; 4],
            };
            BroadcastPlace {
                header: Box::leak(Box::new(header)),
                seats: leak(subscribers, seat),
                slots: leak(capacity, |_| word()),
                geometry: BroadcastGeometry { capacity, longest: 8, subscribers, fixed: true },
            }
        }

        /// What it was made with.
        pub fn geometry(&self) -> &BroadcastGeometry {
            &self.geometry
        }

        pub(in crate::queue::broadcast) fn header(&self) -> &Header {
            self.header
        }

        pub(in crate::queue::broadcast) fn seat(&self, index: u32) -> Option<&Place> {
            self.seats.get(index as usize)
        }

        pub(in crate::queue::broadcast) fn fetch(&self, _: u32) {}

        pub(in crate::queue::broadcast) fn len(&self, _: u32) -> usize {
            8
        }

        pub(in crate::queue::broadcast) fn set_len(&self, _: u32, _: usize) {}

        /// # Safety
        /// As the real one; `len` is 8.
        pub unsafe fn copy_in(&self, index: u32, from: *const u8, _: usize) {
            // SAFETY: by the contract.
            let value = unsafe { from.cast::<u64>().read_unaligned() };
            self.slots[index as usize].store(value, Ordering::Relaxed);
        }

        /// # Safety
        /// As the real one; `len` is 8.
        pub unsafe fn copy_out(&self, index: u32, into: *mut u8, _: usize) {
            let value = self.slots[index as usize].load(Ordering::Relaxed);
            // SAFETY: by the contract.
            unsafe { into.cast::<u64>().write_unaligned(value) };
        }
    }
}

pub use imp::BroadcastPlace;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(super) use imp::SEATS_OFF;
