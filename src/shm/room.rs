//! [`Room`]: how large a segment must be.

use super::options::Options;
use super::{fail, segment::Segment};
use crate::error::{ErrorKind, Result};
use crate::format::OBJECT_ALIGN;
use crate::pipe::room_of;
use crate::queue::byte_lane::{UNIT, units_for};
use crate::queue::{byte_ring_size, lane_size, latest_size, ring_size};
use crate::shared::{Plain, Shared};
use crate::sync::cells_size;
use std::string::String;
use std::{format, vec::Vec};

/// How large a segment must be for what is to lie in it, known before there is one. Each object is added with the
/// parameters that it will be made with; they fit in whatever order they are made then.
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
    /// For nothing.
    /// # Examples
    /// ```
    /// # use interproc::Room;
    /// assert_eq!(Room::new().size()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn new() -> Room {
        Room::default()
    }

    /// And for one more, of such a size and alignment; `None` stands for something impossible.
    pub(crate) fn add(mut self, size: Option<usize>, align: usize, what: impl FnOnce() -> String) -> Room {
        // Where the one before ends is not known: at a cache line, and up to an alignment's length before the place.
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

    /// For an object: see [`Segment::object`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, sync::Mutex};
    /// assert_eq!(Room::new().object::<Mutex<u64>>().object::<Mutex<u64>>().size()?, 128); // each on lines of its own
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn object<T: Shared>(self) -> Room {
        self.bytes(size_of::<T>(), align_of::<T>())
    }

    /// For a slice: see [`Segment::slice`].
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

    /// For bytes: see [`Segment::bytes`].
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

    /// For a queue: see [`Segment::queue`].
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
        self.add(ring_size(element, capacity), 64, || {
            format!("a queue of {element}-byte elements x {capacity}")
        })
    }

    /// For a queue of bytes: see [`Segment::byte_queue`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().byte_queue(16 << 10, 1000).size()?;
    /// Segment::anonymous(size)?.byte_queue("log", 16 << 10, 1000)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_queue(self, capacity: usize, longest: usize) -> Room {
        let what = || format!("a byte queue of {capacity} bytes for messages of up to {longest}");
        self.add(byte_ring_size(capacity, longest), 64, what)
    }

    /// For an Spsc queue: see [`Segment::spsc_producer`].
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
        self.add(lane_size(element, capacity), 64, || {
            format!("an spsc of {element}-byte elements x {capacity}")
        })
    }

    /// For a byte lane: see [`Segment::byte_producer`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().byte_lane(4096, 1024).size()?;
    /// Segment::anonymous(size)?.byte_producer("lines", 4096, 1024)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_lane(self, capacity_bytes: usize, longest: usize) -> Room {
        let size = units_for(capacity_bytes, longest).and_then(|units| lane_size(UNIT, units));
        self.add(size, 64, || format!("a byte lane of {capacity_bytes} bytes, messages up to {longest}"))
    }

    /// For a semaphore: see [`Segment::bounded_semaphore`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().bounded_semaphore(5).size()?;
    /// Segment::anonymous(size)?.bounded_semaphore("lines", 5)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn bounded_semaphore(self, permits: usize) -> Room {
        self.add(cells_size(permits), 64, || format!("a semaphore of {permits} permits"))
    }

    /// For a barrier: see [`Segment::barrier`].
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().barrier(4).size()?;
    /// Segment::anonymous(size)?.barrier("steps", 4)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn barrier(self, parties: usize) -> Room {
        self.add(cells_size(parties), 64, || format!("a barrier of {parties} parties"))
    }

    /// For a latest value: see [`Segment::latest_for`]; [`Segment::latest`] is for 4 readers.
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
        let what = || format!("a latest value of {element} bytes for {readers} readers");
        self.add(latest_size(element, readers), 64, what)
    }

    /// For a pipe with two ways: see [`Segment::pipe_pair`]. One with one way takes less.
    /// # Examples
    /// ```
    /// # use interproc::{Room, Segment};
    /// let size = Room::new().pipe(4096, 256).size()?;
    /// Segment::anonymous(size)?.pipe_pair("talk", 4096, 256)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn pipe(self, capacity: usize, longest: usize) -> Room {
        self.listener(1, capacity, longest)
    }

    /// For a listener and its pipes: see [`pipe::Listener::bind`](crate::pipe::Listener::bind).
    /// # Examples
    /// ```
    /// # use interproc::{Room, pipe::Listener};
    /// let seg = Room::new().listener(8, 4096, 256).options()?.anonymous()?;
    /// let door = Listener::bind(&seg, "door", 8, 4096, 256)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn listener(self, pipes: usize, capacity: usize, longest: usize) -> Room {
        let what = || format!("{pipes} pipes of {capacity} bytes for messages to {longest}");
        self.add(room_of(pipes, capacity, longest), 64, what)
    }

    /// The bytes: what [`Options::size`] is to be at least.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`]: one of them is impossible; the error names it.
    /// # Examples
    /// ```
    /// # use interproc::Room;
    /// let e = Room::new().barrier(0).size().unwrap_err();
    /// assert!(e.to_string().contains("a barrier of 0 parties"));
    /// ```
    pub fn size(&self) -> Result<usize> {
        match self.impossible.first() {
            None => Ok(self.bytes),
            Some(what) => Err(fail(ErrorKind::InvalidInput, what.clone())),
        }
    }

    /// The objects: what [`Options::max_objects`] is to be at least.
    /// # Examples
    /// ```
    /// # use interproc::Room;
    /// assert_eq!(Room::new().barrier(2).barrier(3).objects(), 2);
    /// ```
    pub fn objects(&self) -> usize {
        self.objects
    }

    /// Options of a segment with so much room, and with as many directory entries, if the usual ones are too few.
    ///
    /// # Errors
    /// As [`size`](Self::size), and for nothing at all.
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
    fn what_is_impossible_is_named_and_nothing_overflows() {
        for (room, named) in [
            (Room::new().queue::<u64>(usize::MAX), "a queue of 8-byte elements"),
            (Room::new().bytes(usize::MAX, 1).bytes(1, 1), "bytes aligned to 1"),
            (Room::new().bytes(1, 3), "aligned to 3"),
            (Room::new().bytes(usize::MAX / 2, 64).bytes(usize::MAX / 2, 64).bytes(64, 64), "aligned to 64"),
            (Room::new().slice::<Page>(usize::MAX), "a slice"),
            (Room::new().byte_queue(usize::MAX, 1), "a byte queue"),
            (Room::new().byte_lane(usize::MAX, 1), "a byte lane"),
            (Room::new().latest::<u8>(1000), "a latest value"),
            (Room::new().listener(0, 1, 1), "0 pipes"),
        ] {
            let e = room.size().expect_err(named);
            assert_eq!(e.kind(), ErrorKind::InvalidInput);
            assert!(std::string::ToString::to_string(&e).contains(named), "{e}");
        }
    }
}
