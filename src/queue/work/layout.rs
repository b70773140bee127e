//! The layout of a work queue in shared memory.
//!
//! ```text
//! 0     geometry                                        written once
//! 128   the lock and three conditions
//! 256   the ledger                                      written by whoever holds the lock, made anew after its death
//! 384   the owners that a sleeper watches
//! 896   nodes, 128 bytes each
//! then  the order of the ready ones, of those that came back, and of the delayed ones: 4 bytes for each node
//! then  the payloads, `stride` bytes each
//! ```
#![allow(unsafe_code)]

use super::books::Ledger;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::member::Watchers;
use crate::sync::RawMutex;
use crate::sync::raw_condvar::RawCondvar;

/// The longest reason of a failure.
pub(super) const REASON: usize = 64;

/// Which job comes next.
///
/// # Examples
/// ```
/// use interproc::queue::WorkOrder;
/// assert_eq!(WorkOrder::default(), WorkOrder::Fifo);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkOrder {
    /// The oldest.
    #[default]
    Fifo,
    /// The youngest.
    Lifo,
    /// The one with the lowest priority number, as in Python; among equals the oldest.
    Priority,
}

/// What a work queue is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Jobs that it has room for.
    pub capacity: u32,
    /// Bytes of the longest job.
    pub longest: u32,
    /// Which job comes next.
    pub order: WorkOrder,
    /// A job that was delivered so often and not done is a dead letter. 0: never.
    pub max_deliveries: u16,
    /// How long a lease lasts, in ms. 0: as long as its holder lives.
    pub lease_ms: u32,
}

/// The header of a work queue in shared memory. All-zero (apart from the geometry) is an empty, open queue; but its ledger must be
/// made once.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Header {
    /// [`Geometry`] in two words; written once, copied and checked at attach.
    pub(super) geometry: [AtomicU64; 2],
    _line0: [u64; 14],
    /// Over everything but the geometry and the payloads.
    pub(super) lock: RawMutex,
    /// A job is ready, or none will come.
    pub(super) ready: RawCondvar,
    /// A node is free.
    pub(super) room: RawCondvar,
    /// Nothing is unfinished.
    pub(super) over: RawCondvar,
    /// 1: closed, for good.
    pub(super) closed: AtomicU64,
    /// Wait sets that wait for a job.
    pub(super) takers: Watchers,
    /// Wait sets that wait for room.
    pub(super) putters: Watchers,
    _line1: [u64; 6],
    pub(super) ledger: Ledger,
    _line2: [u64; 9],
    /// The members that the watcher watches, each at its slot modulo the length. See `Books::watch`.
    pub(super) watched: [AtomicU64; WATCHED],
}

/// How many owners are watched at a time.
pub(super) const WATCHED: usize = 64;

/// A node. All-zero is free.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Node {
    /// See [`word`](super::word). The truth about the node: everything else follows from it.
    pub(super) word: AtomicU64,
    /// The job's number: counted up, never given twice.
    pub(super) id: AtomicU64,
    /// The job's priority, an `i64`.
    pub(super) priority: AtomicU64,
    /// Of a delayed job: when its time comes; of a leased one: when the lease ends. Nanoseconds on the monotonic clock.
    pub(super) due: AtomicU64,
    /// Bytes of the job.
    pub(super) len: AtomicU32,
    /// The next node in its list; behind the last one [`NIL`].
    pub(super) next: AtomicU32,
    /// The one before it, among the nodes with an owner.
    pub(super) prev: AtomicU32,
    /// Bytes of the reason.
    pub(super) reason_len: AtomicU32,
    /// Why it failed last.
    pub(super) reason: [AtomicU64; REASON / 8],
    _rest: [u64; 2],
}

/// No node.
pub(super) const NIL: u32 = u32::MAX;

impl Geometry {
    /// As the directory and the header keep it.
    #[cfg(not(interproc_loom))]
    pub fn words(&self) -> [u64; 2] {
        let order = self.order as u64;
        [
            u64::from(self.longest) << 32 | u64::from(self.lease_ms),
            u64::from(self.capacity) << 32 | u64::from(self.max_deliveries) << 8 | order,
        ]
    }

    #[cfg(not(interproc_loom))]
    pub(super) fn of(words: [u64; 2]) -> Option<Geometry> {
        let order = match words[1] & 0xff {
            0 => WorkOrder::Fifo,
            1 => WorkOrder::Lifo,
            2 => WorkOrder::Priority,
            _ => return None,
        };
        Some(Geometry {
            capacity: (words[1] >> 32) as u32,
            longest: (words[0] >> 32) as u32,
            order,
            max_deliveries: (words[1] >> 8) as u16,
            lease_ms: words[0] as u32,
        })
    }
}

#[cfg(not(interproc_loom))]
mod imp {
    use super::{Geometry, Header, NIL, Node};
    use crate::atomic::{AtomicU32, Ordering};
    use crate::error::{ErrorKind, Result};
    use core::ptr::NonNull;

    pub(in crate::queue::work) const NODES_OFF: usize = 896;
    const _: () = assert!(size_of::<Header>() == NODES_OFF && size_of::<Node>() == 128);
    const _: () = assert!(core::mem::offset_of!(Header, lock) == 128);
    const _: () = assert!(core::mem::offset_of!(Header, ledger) == 256);
    const _: () = assert!(core::mem::offset_of!(Header, watched) == 384);
    const MOST: u32 = 1 << 24;
    const MOST_DELIVERIES: u16 = crate::queue::work::word::MOST_BACK as u16;

    impl Geometry {
        fn is_possible(&self) -> bool {
            (1..=MOST).contains(&self.capacity) && self.longest > 0 && self.max_deliveries <= MOST_DELIVERIES
        }

        #[inline(always)]
        fn stride(&self) -> usize {
            (self.longest as usize).next_multiple_of(64)
        }

        #[inline(always)]
        fn order_off(&self) -> usize {
            NODES_OFF + self.capacity as usize * size_of::<Node>()
        }

        #[inline(always)]
        fn payload_off(&self) -> usize {
            (self.order_off() + 12 * self.capacity as usize).next_multiple_of(64)
        }

        /// The bytes that it takes; `None` if it is impossible.
        pub fn size(&self) -> Option<usize> {
            let payload = self.stride().checked_mul(self.capacity as usize)?;
            let size = self.payload_off().checked_add(payload).filter(|&n| n <= isize::MAX as usize)?;
            self.is_possible().then_some(size)
        }
    }

    /// Where a work queue is mapped, with its checked geometry, which is never read again from shared memory.
    #[derive(Clone, Copy, Debug)]
    pub struct WorkPlace {
        header: NonNull<Header>,
        geometry: Geometry,
    }

    // SAFETY: an address; whoever made it answers for the mapping. All access is through atomics, or to a payload that the
    // accessing thread owns.
    unsafe impl Send for WorkPlace {}
    // SAFETY: as above.
    unsafe impl Sync for WorkPlace {}

    impl WorkPlace {
        /// The alignment of its first byte.
        pub const ALIGN: usize = align_of::<Header>();

        /// Makes an empty one in zeroed memory.
        ///
        /// # Errors
        /// `InvalidInput` for an impossible geometry or too few bytes.
        ///
        /// # Safety
        /// `memory` is aligned to [`WorkPlace::ALIGN`], `len` bytes long, zeroed, in a segment, and nobody uses it yet.
        pub unsafe fn make(memory: NonNull<u8>, len: usize, geometry: Geometry) -> Result<()> {
            if geometry.size().is_none_or(|need| need > len) {
                return Err(ErrorKind::InvalidInput.into());
            }
            let place = WorkPlace { header: memory.cast(), geometry };
            place.header().ledger.begin();
            // Free nodes are linked from the first to the last; all else is zero already.
            for index in 0..geometry.capacity {
                let next = if index + 1 < geometry.capacity { index + 1 } else { NIL };
                if let Some(node) = place.node(index) {
                    node.next.store(next, Ordering::Relaxed);
                }
            }
            let words = geometry.words();
            place.header().geometry[0].store(words[0], Ordering::Relaxed);
            place.header().geometry[1].store(words[1], Ordering::Release);
            Ok(())
        }

        /// The one in `memory`. Its geometry is copied and checked against `len`.
        ///
        /// # Errors
        /// `Corrupt` when the geometry is impossible.
        ///
        /// # Safety
        /// `memory` is aligned to [`WorkPlace::ALIGN`] and `len` bytes long, and stays mapped, readable and writable as long as
        /// the place or a copy is used.
        pub unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Self> {
            if len < NODES_OFF {
                return Err(ErrorKind::Corrupt.into());
            }
            // SAFETY: aligned and large enough for the header.
            let header = unsafe { memory.cast::<Header>().as_ref() };
            let words = [1, 0].map(|at| header.geometry[at].load(Ordering::Acquire));
            let geometry = Geometry::of([words[1], words[0]])
                .filter(|g| g.size().is_some_and(|need| need <= len))
                .ok_or(ErrorKind::Corrupt)?;
            Ok(WorkPlace { header: memory.cast(), geometry })
        }

        /// Its address.
        #[inline(always)]
        pub fn address(&self) -> *const u8 {
            self.header.as_ptr().cast()
        }

        /// What it was made with.
        #[inline(always)]
        pub fn geometry(&self) -> &Geometry {
            &self.geometry
        }

        #[inline(always)]
        pub(in crate::queue::work) fn header(&self) -> &Header {
            // SAFETY: mapped by the contract of `attach`; only atomics inside.
            unsafe { self.header.as_ref() }
        }

        /// A node, if there is one of this number.
        #[inline(always)]
        pub(in crate::queue::work) fn node(&self, index: u32) -> Option<&Node> {
            // SAFETY: in bounds by the check; aligned, as the header is, and both sizes are multiples of that.
            (index < self.geometry.capacity).then(|| unsafe {
                self.header.cast::<u8>().add(NODES_OFF).cast::<Node>().add(index as usize).as_ref()
            })
        }

        /// The order of the ready nodes, of those that came back, and of the delayed ones.
        #[inline(always)]
        pub(in crate::queue::work) fn orders(&self) -> [&[AtomicU32]; 3] {
            let capacity = self.geometry.capacity as usize;
            // SAFETY: three lists of so many words, in bounds by the geometry's size, aligned to 4; only atomics.
            unsafe {
                let first = self.header.cast::<u8>().add(self.geometry.order_off()).cast::<AtomicU32>();
                [first, first.add(capacity), first.add(2 * capacity)]
                    .map(|at| core::slice::from_raw_parts(at.as_ptr(), capacity))
            }
        }

        /// A node's payload: `longest` bytes. A peer that breaks the protocol can write anything there, so it is raw memory here.
        #[inline(always)]
        fn payload(&self, index: u32) -> *mut u8 {
            debug_assert!(index < self.geometry.capacity);
            let at = self.geometry.payload_off() + index as usize * self.geometry.stride();
            // SAFETY: callers pass the number of a node: in bounds.
            unsafe { self.header.cast::<u8>().as_ptr().add(at) }
        }

        #[inline(always)]
        pub(in crate::queue::work) fn fill(&self, index: u32, f: impl FnOnce(*mut u8)) {
            f(self.payload(index));
        }

        #[inline(always)]
        pub(in crate::queue::work) fn drain<R>(&self, index: u32, f: impl FnOnce(*const u8) -> R) -> R {
            f(self.payload(index))
        }
    }
}

#[cfg(interproc_loom)]
mod imp {
    use super::{Geometry, Header, Ledger, NIL, Node, REASON, WATCHED};
    use crate::atomic::{AtomicU32, AtomicU64};
    use crate::sync::RawMutex;
    use crate::sync::raw_condvar::RawCondvar;
    use loom::cell::UnsafeCell;
    use std::boxed::Box;
    use std::vec::Vec;

    /// A modelled queue of 8-byte jobs, leaked for one model execution.
    #[derive(Clone, Copy)]
    pub struct WorkPlace {
        header: &'static Header,
        nodes: &'static [Node],
        orders: [&'static [AtomicU32]; 3],
        payloads: &'static [UnsafeCell<u64>],
        geometry: Geometry,
    }

    // SAFETY: loom checks every access to the payloads; the rest is atomics.
    unsafe impl Send for WorkPlace {}
    // SAFETY: as above.
    unsafe impl Sync for WorkPlace {}

    fn words<const N: usize>() -> [AtomicU64; N] {
        core::array::from_fn(|_| AtomicU64::new(0))
    }

    fn leak<T>(count: u32, each: impl Fn(u32) -> T) -> &'static [T] {
        Box::leak((0..count).map(each).collect::<Vec<T>>().into_boxed_slice())
    }

    impl WorkPlace {
        /// An empty one.
        pub fn leak(geometry: Geometry) -> Self {
            let header = Header {
                geometry: words(),
                _line0: [0; 14],
                lock: RawMutex::new(),
                ready: RawCondvar::new(),
                room: RawCondvar::new(),
                over: RawCondvar::new(),
                closed: AtomicU64::new(0),
                takers: crate::member::Watchers::new(),
                putters: crate::member::Watchers::new(),
                _line1: [0; 6],
                ledger: Ledger::new(),
                _line2: [0; 9],
                watched: core::array::from_fn::<_, WATCHED, _>(|_| AtomicU64::new(0)),
            };
            let node = |index| Node {
                word: AtomicU64::new(0),
                id: AtomicU64::new(0),
                priority: AtomicU64::new(0),
                due: AtomicU64::new(0),
                len: AtomicU32::new(0),
                next: AtomicU32::new(if index + 1 < geometry.capacity { index + 1 } else { NIL }),
                prev: AtomicU32::new(0),
                reason_len: AtomicU32::new(0),
                reason: words::<{ REASON / 8 }>(),
                _rest: [0; 2],
            };
            header.ledger.begin();
            WorkPlace {
                header: Box::leak(Box::new(header)),
                nodes: leak(geometry.capacity, node),
                orders: [(); 3].map(|()| leak(geometry.capacity, |_| AtomicU32::new(0))),
                payloads: leak(geometry.capacity, |_| UnsafeCell::new(0)),
                geometry,
            }
        }

        /// What it was made with.
        pub fn geometry(&self) -> &Geometry {
            &self.geometry
        }

        pub(in crate::queue::work) fn header(&self) -> &Header {
            self.header
        }

        pub(in crate::queue::work) fn node(&self, index: u32) -> Option<&Node> {
            self.nodes.get(index as usize)
        }

        pub(in crate::queue::work) fn orders(&self) -> [&[AtomicU32]; 3] {
            self.orders
        }

        pub(in crate::queue::work) fn fill(&self, index: u32, f: impl FnOnce(*mut u8)) {
            self.payloads[index as usize].with_mut(|p| f(p.cast()));
        }

        pub(in crate::queue::work) fn drain<R>(&self, index: u32, f: impl FnOnce(*const u8) -> R) -> R {
            self.payloads[index as usize].with(|p| f(p.cast()))
        }
    }
}

#[cfg(all(feature = "std", not(interproc_loom)))]
pub(super) use imp::NODES_OFF;
pub use imp::WorkPlace;
