//! [`Room`]: how large a segment must be.

use super::broadcast::AskedBroadcast;
use super::cells::AskedCells;
use super::directory::{Described, Element};
use super::lane::AskedLane;
use super::latest::AskedLatest;
use super::options::Options;
use super::placed::Placed;
use super::queue::{AskedByteQueue, AskedQueue};
use super::work::AskedWorkQueue;
use super::{fail, segment::Segment};
use crate::error::{ErrorKind, Result};
use crate::format::{Kind, OBJECT_ALIGN};
use crate::queue::broadcast::BroadcastGeometry;
use crate::queue::work::Geometry;
use crate::queue::{BroadcastOptions, WorkOptions};
use crate::shared::{Plain, Shared};
use std::string::String;
use std::{format, vec::Vec};

/// Computes how large a segment must be for the objects that it will hold, before it exists. Add each object with the
/// parameters that it will be made with; then all of them fit, in whatever order they are made.
///
/// # Examples
/// ```
/// use interproc::{Room, sync::Mutex};
///
/// let room = Room::new().object::<Mutex<u64>>().queue::<[u8; 48]>(1024).barrier(4);
/// let seg = room.options()?.anonymous()?;
/// seg.barrier("steps", 4)?;
/// seg.queue::<[u8; 48]>("jobs", 1024)?;
/// seg.object_zeroed::<Mutex<u64>>("total")?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it only adds up"]
pub struct Room {
    bytes: usize,
    objects: usize,
    impossible: Vec<String>,
}

impl Room {
    /// Room for no object.
    /// # Examples
    /// ```
    /// # use interproc::Room;
    /// assert_eq!(Room::new().size()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn new() -> Room {
        Room::default()
    }

    /// Adds an object of this size and alignment; `None` stands for an impossible one.
    pub(crate) fn add(mut self, size: Option<usize>, align: usize, what: impl FnOnce() -> String) -> Room {
        // Nobody knows which object will be made before it: that one ends on a cache line, and the gap is less than this
        // object's alignment.
        let cost = |size: usize| {
            let gap = align.saturating_sub(OBJECT_ALIGN as usize);
            size.checked_next_multiple_of(OBJECT_ALIGN as usize)?.checked_add(gap)?.checked_add(self.bytes)
        };
        match size.filter(|&size| size > 0).and_then(cost) {
            Some(bytes) => (self.bytes, self.objects) = (bytes, self.objects + 1),
            None => self.impossible.push(what()),
        }
        self
    }

    /// Adds what is [placed](Placed).
    pub(crate) fn placed<P: Placed>(self, asked: &P) -> Room {
        let what = || format!("{}", Described { kind: asked.kind() as u32, params: asked.params() });
        self.add(asked.size(), P::ALIGN, what)
    }

    /// Adds an object: see [`Segment::object`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, sync::Mutex};
    /// assert_eq!(Room::new().object::<Mutex<u64>>().object::<Mutex<u64>>().size()?, 128); // each on lines of its own
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn object<T: Shared>(self) -> Room {
        self.bytes(size_of::<T>(), align_of::<T>())
    }

    /// Adds a slice: see [`Segment::slice`].
    /// # Examples
    /// ```
    /// # use core::sync::atomic::AtomicU64;
    /// # use interproc::Room;
    /// assert_eq!(Room::new().slice::<AtomicU64>(1000).size()?, 8000);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn slice<T: Shared>(self, len: usize) -> Room {
        self.add(len.checked_mul(size_of::<T>()), align_of::<T>(), || format!("a slice of {len}"))
    }

    /// Adds an untyped object: see [`Segment::bytes`].
    /// # Examples
    /// ```
    /// # use interproc::Room;
    /// assert_eq!(Room::new().bytes(100, 1).size()?, 128);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn bytes(self, len: usize, align: usize) -> Room {
        let size = align.is_power_of_two().then_some(len);
        self.add(size, align, || format!("an object of {len} bytes aligned to {align}"))
    }

    /// Adds a queue: see [`Segment::queue`].
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Room, Segment};
    /// let size = Room::new().queue::<u64>(1024).size()?;
    /// Segment::anonymous(size)?.queue::<u64>("jobs", 1024)?;
    /// assert_eq!(Room::new().queue::<u64>(0).size().unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn queue<T: Plain>(self, capacity: usize) -> Room {
        self.queue_of(size_of::<T>(), capacity)
    }

    pub(crate) fn queue_of(self, element: usize, capacity: usize) -> Room {
        self.placed(&AskedQueue { element: Element::bytes(element), capacity })
    }

    /// Adds a queue for messages of any length: see [`Segment::byte_queue`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().byte_queue(16 << 10, 1000).size()?;
    /// Segment::anonymous(size)?.byte_queue("log", 16 << 10, 1000)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_queue(self, capacity: usize, longest: usize) -> Room {
        self.placed(&AskedByteQueue { capacity, longest })
    }

    /// Adds a work queue: see [`Segment::work_queue`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment, queue::WorkOptions};
    /// let size = Room::new().work_queue::<u64>(WorkOptions::new(100)).size()?;
    /// Segment::anonymous(size)?.work_queue::<u64>("jobs", WorkOptions::new(100))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn work_queue<T: Plain>(self, options: WorkOptions) -> Room {
        self.byte_work_queue(size_of::<T>(), options)
    }

    /// Adds a work queue of jobs of any length: see [`Segment::byte_work_queue`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment, queue::WorkOptions};
    /// let size = Room::new().byte_work_queue(1000, WorkOptions::new(20)).size()?;
    /// Segment::anonymous(size)?.byte_work_queue("jobs", 1000, WorkOptions::new(20))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_work_queue(self, longest: usize, options: WorkOptions) -> Room {
        self.work_queue_of(options.geometry(longest))
    }

    pub(crate) fn work_queue_of(self, geometry: Geometry) -> Room {
        self.placed(&AskedWorkQueue { type_id: 0, geometry })
    }

    /// Adds a broadcast: see [`Segment::broadcast`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment, queue::BroadcastOptions};
    /// let size = Room::new().broadcast::<u64>(BroadcastOptions::new(16)).size()?;
    /// Segment::anonymous(size)?.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn broadcast<T: Plain>(self, options: BroadcastOptions) -> Room {
        self.broadcast_of(options.geometry(size_of::<T>(), true))
    }

    /// Adds a broadcast of messages of any length: see [`Segment::byte_broadcast`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment, queue::BroadcastOptions};
    /// let size = Room::new().byte_broadcast(100, BroadcastOptions::new(16)).size()?;
    /// Segment::anonymous(size)?.byte_broadcast("news", 100, BroadcastOptions::new(16))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_broadcast(self, longest: usize, options: BroadcastOptions) -> Room {
        self.broadcast_of(options.geometry(longest, false))
    }

    pub(crate) fn broadcast_of(self, geometry: BroadcastGeometry) -> Room {
        self.placed(&AskedBroadcast { type_id: 0, geometry })
    }

    /// Adds an Spsc queue: see [`Segment::spsc_producer`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().spsc::<u64>(256).size()?;
    /// Segment::anonymous(size)?.spsc_producer::<u64>("samples", 256)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spsc<T: Plain>(self, capacity: usize) -> Room {
        self.spsc_of(size_of::<T>(), capacity)
    }

    pub(crate) fn spsc_of(self, element: usize, capacity: usize) -> Room {
        self.placed(&AskedLane::of_elements(Element::bytes(element), capacity))
    }

    /// Adds a byte lane: see [`Segment::byte_producer`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().byte_lane(4096, 1024).size()?;
    /// Segment::anonymous(size)?.byte_producer("lines", 4096, 1024)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_lane(self, capacity_bytes: usize, longest: usize) -> Room {
        self.placed(&AskedLane::of_bytes(capacity_bytes, longest))
    }

    /// Adds a semaphore: see [`Segment::bounded_semaphore`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().bounded_semaphore(5).size()?;
    /// Segment::anonymous(size)?.bounded_semaphore("lines", 5)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn bounded_semaphore(self, permits: usize) -> Room {
        self.placed(&AskedCells { kind: Kind::BoundedSemaphore, count: permits })
    }

    /// Adds a barrier: see [`Segment::barrier`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().barrier(4).size()?;
    /// Segment::anonymous(size)?.barrier("steps", 4)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn barrier(self, parties: usize) -> Room {
        self.placed(&AskedCells { kind: Kind::Barrier, count: parties })
    }

    /// Adds a latest value: see [`Segment::latest_for`]; [`Segment::latest`] has announcements for 4 readers.
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().latest::<[f64; 3]>(4).size()?;
    /// Segment::anonymous(size)?.latest("position", [0.0; 3])?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn latest<T: Plain>(self, readers: usize) -> Room {
        self.latest_of(size_of::<T>(), readers)
    }

    pub(crate) fn latest_of(self, element: usize, readers: usize) -> Room {
        self.placed(&AskedLatest::new(Element::bytes(element), readers))
    }

    /// The bytes that the objects need: the least [`Options::size`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`]: one of the objects is impossible; the error names it.
    /// # Examples
    /// ```
    /// # use interproc::Room;
    /// let e = Room::new().barrier(0).size().unwrap_err();
    /// assert!(e.to_string().contains("a Barrier of 0 parties"));
    /// ```
    pub fn size(&self) -> Result<usize> {
        match self.impossible.first() {
            None => Ok(self.bytes),
            Some(what) => Err(fail(ErrorKind::InvalidInput, what.clone())),
        }
    }

    /// The number of objects: the least [`Options::max_objects`].
    /// # Examples
    /// ```
    /// # use interproc::Room;
    /// assert_eq!(Room::new().barrier(2).barrier(3).objects(), 2);
    /// ```
    pub fn objects(&self) -> usize {
        self.objects
    }

    /// Options of a segment with this much room, and with more directory entries than usual if it needs them.
    ///
    /// # Errors
    /// As [`size`](Self::size). Creating the segment fails if nothing was added.
    /// # Examples
    /// ```
    /// # use interproc::{Room, sync::Event};
    /// let seg = (0..100).fold(Room::new(), |room, _| room.object::<Event>()).options()?.anonymous()?;
    /// assert_eq!(seg.max_objects(), 100);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn options(&self) -> Result<Options> {
        let usual = Segment::options();
        let objects = u32::try_from(self.objects).unwrap_or(u32::MAX).max(usual.objects());
        Ok(usual.size(self.size()?).max_objects(objects))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C, align(4096))]
    struct Page([core::sync::atomic::AtomicU8; 4096]);
    #[allow(unsafe_code)]
    // SAFETY: repr(C) around atomics; no padding.
    unsafe impl Shared for Page {}

    #[test]
    fn what_was_added_fits_in_any_order_and_little_is_wasted() {
        use crate::sync::Mutex;
        type Make = fn(&Segment, usize) -> Result<()>;
        let makes: [Make; 5] = [
            |seg, i| seg.object_zeroed::<Mutex<u8>>(&format!("m{i}")).map(drop),
            |seg, i| seg.object_zeroed::<Page>(&format!("p{i}")).map(drop),
            |seg, i| seg.queue::<[u8; 5]>(&format!("q{i}"), 77).map(drop),
            |seg, i| seg.barrier(&format!("b{i}"), 3).map(drop),
            |seg, i| seg.pipe_pair(&format!("t{i}"), 1000, 100).map(drop),
        ];
        for first in 0..makes.len() {
            let room = Room::new().object::<Mutex<u8>>().object::<Page>().queue::<[u8; 5]>(77).barrier(3);
            let room = room.pipe(1000, 100);
            let seg = room.options().and_then(|options| options.anonymous()).expect("a segment");
            assert!(seg.len() - room.size().unwrap() < 4096);
            for turn in 0..makes.len() {
                let which = (first + turn) % makes.len();
                makes[which](&seg, which).expect("there is room");
            }
        }
    }

    #[test]
    fn what_is_aligned_to_two_cache_lines_fits_behind_one() {
        use crate::sync::Mutex;
        let first = Room::new().object::<Mutex<u8>>().pipe(1000, 100);
        // The segment is full to its last byte.
        let rest = 4096 - first.size().expect("a size") % 4096;
        let room = first.bytes(rest, 1);
        let seg = room.options().and_then(|options| options.anonymous()).expect("a segment");
        assert_eq!(seg.len(), room.size().expect("a size"));
        seg.object_zeroed::<Mutex<u8>>("lock").expect("room");
        seg.pipe_pair("talk", 1000, 100).expect("room");
        seg.bytes("rest", rest, 1).expect("room");
    }

    #[test]
    fn what_is_impossible_is_named_and_nothing_overflows() {
        for (room, named) in [
            (Room::new().queue::<u64>(usize::MAX), "a Queue of 8-byte elements"),
            (Room::new().bytes(usize::MAX, 1).bytes(1, 1), "bytes aligned to 1"),
            (Room::new().bytes(1, 3), "aligned to 3"),
            (Room::new().bytes(usize::MAX / 2, 64).bytes(usize::MAX / 2, 64).bytes(64, 64), "aligned to 64"),
            (Room::new().slice::<Page>(usize::MAX), "a slice"),
            (Room::new().byte_queue(usize::MAX, 1), "a ByteQueue"),
            (Room::new().byte_lane(usize::MAX, 1), "a byte lane"),
            (Room::new().latest::<u8>(1000), "a Latest of"),
            (Room::new().listener(0, 1, 1), "0 pipes"),
        ] {
            let e = room.size().expect_err(named);
            assert_eq!(e.kind(), ErrorKind::InvalidInput);
            assert!(std::string::ToString::to_string(&e).contains(named), "{e}");
        }
    }
}
