//! [`Segment`]: shared memory, mapped and attached.
#![allow(unsafe_code)]

use super::attach::Attached;
use super::directory::{Directory, Element, Shape};
use super::header::CHANGING_OFF;
use super::name::Name;
use super::object::Object;
use super::options::Options;
use super::snapshot::Snapshot;
use super::{fail, file};
use crate::atomic::Ordering::Relaxed;
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Changing, Fixed, Kind};
use crate::heap::{self, Keep};
use crate::queue::{ByteQueue, ByteRing, RawByteQueue, byte_ring_size};
use crate::queue::{Latest, LatestPlace, Queue, RawLatest, RawQueue, Ring, latest_size, ring_size};
use crate::shared::{Plain, Shared, TypeId};
use crate::sync::{Barrier, BoundedSemaphore, Cells, RawBarrier, RawBoundedSemaphore, cells_size};
use crate::sys::own::{self, Own};
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU8;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// Shared memory with a directory of typed, named objects. Clones share one mapping; it is unmapped when the
/// last clone and the last object handle are gone. Closing never removes the name.
///
/// A process may open a segment several times. What is held in it (a lock, a seat, a message in hands) is the *thread's*,
/// whichever of the mappings it came by: a thread that has locked a mutex and locks it once more by another mapping is told
/// `Deadlock`, and a recursive mutex counts it.
///
/// # Examples
/// ```
/// use core::sync::atomic::{AtomicU32, Ordering};
/// use interproc::Segment;
///
/// let name = format!("/interproc-doc-segment-{}", std::process::id());
/// let seg = Segment::options().size(1 << 16).open_or_create(&name)?;
/// let left = seg.object("tickets", || AtomicU32::new(3))?; // any process that asks gets the same one
/// left.fetch_sub(1, Ordering::Relaxed);
///
/// let other = Segment::open(&name)?; // as another process would
/// assert_eq!(other.find::<AtomicU32>("tickets")?.load(Ordering::Relaxed), 2);
/// Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone)]
pub struct Segment {
    inner: heap::Shared<Inner>,
}

/// Dropped in this order: detached before it is unmapped.
struct Inner {
    attached: Attached,
    map: MmapRaw,
    /// Our copy, checked when the file was opened. The one in shared memory is not read again.
    fixed: Fixed,
    /// Kept for [`Segment::as_fd`]; the mapping is from its description, and so keeps the shared lock as well. Not the
    /// description that holds the process's seat.
    file: Own,
    name: Option<Name>,
}

impl Segment {
    /// How to create or open a segment, with every option.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::options().size(4096).max_members(4).anonymous()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn options() -> Options {
        Options::new()
    }

    /// Creates a named segment with a payload of `size` bytes; see [`Options::create`].
    ///
    /// # Errors
    /// Those of [`Options::create`].
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-new-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn create(name: &str, size: usize) -> Result<Segment> {
        Self::options().size(size).create(name)
    }

    /// Opens an existing segment; see [`Options::open`].
    ///
    /// # Errors
    /// Those of [`Options::open`].
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// assert_eq!(Segment::open("/interproc-doc-none").unwrap_err().kind(), ErrorKind::NotFound);
    /// assert_eq!(Segment::open("no slash").unwrap_err().kind(), ErrorKind::BadName);
    /// ```
    pub fn open(name: &str) -> Result<Segment> {
        Self::options().open(name)
    }

    /// Creates a segment without a name; see [`Options::anonymous`].
    ///
    /// # Errors
    /// Those of [`Options::anonymous`].
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn anonymous(size: usize) -> Result<Segment> {
        Self::options().size(size).anonymous()
    }

    /// Attaches the segment behind a descriptor; see [`Options::from_fd`].
    ///
    /// # Errors
    /// Those of [`Options::from_fd`].
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// let again = Segment::from_fd(seg.as_fd().try_clone_to_owned().unwrap())?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn from_fd(fd: OwnedFd) -> Result<Segment> {
        Self::options().from_fd(fd)
    }

    /// Opens a segment for looking only; see [`Snapshot`].
    ///
    /// # Errors
    /// Those of [`Options::open_read_only`].
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-look-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert!(Segment::open_read_only(&name)?.objects()?.is_empty());
    /// Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn open_read_only(name: &str) -> Result<Snapshot> {
        Self::options().open_read_only(name)
    }

    /// Removes the name. Whoever is attached stays so, and the memory is freed when the last one is gone; a new
    /// segment may take the name at once.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::BadName`], [`ErrorKind::PermissionDenied`].
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let name = format!("/interproc-doc-unlink-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// Segment::unlink(&name)?;
    /// assert!(seg.is_retired());
    /// assert_eq!(Segment::unlink(&name).unwrap_err().kind(), ErrorKind::NotFound);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn unlink(name: &str) -> Result<()> {
        file::unlink(&Name::new(name)?)
    }

    /// Whether no process is attached to the segment. It may hold data that somebody will come back for: nothing
    /// is ever removed for being stale alone. (Who may read the segment's file can make it look used, by a lock on it, but not
    /// unused.)
    ///
    /// # Errors
    /// Those of [`Options::open_read_only`].
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-stale-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert!(!Segment::is_stale(&name)?);
    /// drop(seg);
    /// assert!(Segment::is_stale(&name)?);
    /// Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_stale(name: &str) -> Result<bool> {
        file::is_stale(&Name::new(name)?, None)
    }

    /// Removes the name if no process is attached, and says whether it did. Nobody can attach between the look
    /// and the removal.
    ///
    /// # Errors
    /// Those of [`Options::open`] and [`unlink`](Self::unlink).
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-sweep-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert!(!Segment::unlink_if_stale(&name)?);
    /// drop(seg);
    /// assert!(Segment::unlink_if_stale(&name)?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn unlink_if_stale(name: &str) -> Result<bool> {
        file::unlink_if_stale(&Name::new(name)?, None)
    }

    /// Maps and attaches a checked, locked file.
    pub(super) fn attach(file: File, fixed: Fixed, name: Option<Name>) -> Result<Segment> {
        let file = Own::new(file.into_raw_fd()).map_err(Error::from_errno)?;
        let map = MmapOptions::new().len(fixed.total_len as usize).map_raw(file.number())?;
        let base = NonNull::new(map.as_mut_ptr()).ok_or(ErrorKind::Resource)?;
        // SAFETY: `Inner` drops the attachment before the mapping, which covers `total_len` bytes of the file;
        // the header passed its checks.
        let attached = unsafe { Attached::new(file.number(), base, &fixed) }?;
        heap::Shared::new(Inner { attached, map, fixed, file, name }).map(|inner| Segment { inner })
    }

    /// A descriptor of its file.
    ///
    /// # Errors
    /// [`ErrorKind::DescriptorClosed`].
    pub(crate) fn file(&self) -> Result<RawFd> {
        let inner = &self.inner;
        let start = inner.map.as_mut_ptr().addr();
        let again = || own::open_mapped(start, start + inner.fixed.total_len as usize);
        inner.file.get_or(again).map_err(Error::no_descriptor)
    }

    pub(super) fn use_strong_fences(&self) {
        self.inner.attached.use_strong_fences();
    }

    /// What keeps it mapped.
    pub(super) fn keep(&self) -> Keep {
        self.inner.keep()
    }

    /// Whether publishers are to use full fences.
    pub(super) fn has_strong_fences(&self) -> bool {
        // Relaxed: sticky; until it is seen, whoever depends on it keeps to the net.
        self.changing().strong_fences.load(Relaxed) != 0
    }

    fn base(&self) -> NonNull<u8> {
        // A mapping is never at null; `attach` has looked.
        NonNull::new(self.inner.map.as_mut_ptr()).expect("a mapping is never at null")
    }

    fn changing(&self) -> &Changing {
        // SAFETY: page 0 is mapped as long as `self`, the words are aligned and only accessed as atomics.
        unsafe { self.base().add(CHANGING_OFF).cast::<Changing>().as_ref() }
    }

    fn directory(&self) -> Directory<'_> {
        // SAFETY: mapped as long as `self`; `fixed` was checked.
        unsafe { Directory::new(self.base(), self.changing(), &self.inner.fixed) }
    }

    /// The name it was created or opened by; `None` for an anonymous segment or one from a descriptor.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// assert_eq!(Segment::anonymous(4096)?.name(), None);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_ref().map(Name::as_str)
    }

    /// The payload's bytes.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// assert_eq!(Segment::anonymous(5000)?.len(), 8192);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[allow(clippy::len_without_is_empty, reason = "a segment has at least one page")]
    pub fn len(&self) -> usize {
        self.inner.fixed.payload_len as usize
    }

    /// How many threads may use it at a time.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// assert_eq!(Segment::anonymous(4096)?.max_members(), 64);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn max_members(&self) -> u32 {
        self.inner.fixed.max_members
    }

    /// How many objects its directory has room for.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// assert_eq!(Segment::anonymous(4096)?.max_objects(), 64);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn max_objects(&self) -> u32 {
        self.inner.fixed.max_objects
    }

    /// Whether the name was removed: a newcomer does not find this segment any more.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-retired-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert!(!seg.is_retired());
    /// Segment::unlink(&name)?;
    /// assert!(seg.is_retired());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_retired(&self) -> bool {
        // Relaxed: a hint, it orders nothing.
        self.changing().retired.load(Relaxed) != 0
    }

    /// The descriptor of the segment's file, to be sent to another process, which gives it to
    /// [`Options::from_fd`]. Its number is 3 or above.
    ///
    /// If the program has closed it behind the library's back, the file is opened again as long as it has a name; of a
    /// segment without one this is then the old number, whatever it names by now.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// let to_send = seg.as_fd().try_clone_to_owned().unwrap();
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        let number = self.file().unwrap_or(self.inner.file.number());
        // SAFETY: open as long as `self`, unless the program closes it.
        unsafe { BorrowedFd::borrow_raw(number) }
    }

    /// Finds the object of this name and type, or makes it with the value of `init`. When several processes come
    /// at once, all get the same object; `init` may then have been called for nothing. Which one's value it has,
    /// [`Object::is_new`] tells.
    ///
    /// The value is moved to its place: for megabytes there are [`object_zeroed`](Self::object_zeroed) and
    /// [`slice`](Self::slice).
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to an object of another kind, [type](TypeId), size or alignment;
    /// [`ErrorKind::SegmentFull`]; [`ErrorKind::InvalidInput`] for a bad name or an object without bytes;
    /// [`ErrorKind::Corrupt`] when the directory fails its checks; [`ErrorKind::TooManyMembers`].
    /// # Examples
    /// ```
    /// use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    /// use interproc::{ErrorKind, Segment};
    ///
    /// let seg = Segment::anonymous(4096)?;
    /// let tickets = seg.object("tickets", || AtomicU32::new(3))?;
    /// assert!(tickets.is_new());
    /// let found = seg.object("tickets", || AtomicU32::new(99))?;
    /// assert_eq!((found.load(Ordering::Relaxed), found.is_new()), (3, false));
    ///
    /// let e = seg.object("tickets", || AtomicU64::new(0)).unwrap_err();
    /// assert_eq!(e.kind(), ErrorKind::TypeMismatch);
    /// assert!(e.to_string().contains("\"tickets\" is an Object of 4 bytes aligned to 4, type 0x"));
    /// assert!(e.to_string().contains("; you asked for an Object of 8"));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn object<T: Shared>(&self, name: &str, init: impl FnOnce() -> T) -> Result<Object<T>> {
        let shape = Self::shape_of::<T>();
        let (place, is_new) = match self.lookup(name, &shape)? {
            Some(place) => (place, false),
            None => {
                // Before the lock: it is the user's code.
                let value = init();
                // SAFETY: the place is aligned and large enough for T by its shape; nobody else refers to it yet.
                self.find_or_place(name, &shape, |place| unsafe { value.write_to(place.cast().as_ptr()) })?
            }
        };
        // SAFETY: the shape was compared with T's; the directory checked the place.
        Ok(unsafe { Object::new(place.cast(), self.clone(), is_new) })
    }

    /// Finds the object of this name and type, or makes it of zeros, in its place: an unlocked mutex around 0, a counter at
    /// 0. It may be of any size: nothing of it goes over the stack.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Mutex};
    /// const WORDS: usize = 1 << 20;
    /// let seg = Segment::anonymous(8 * WORDS + 64)?;
    /// let table = seg.object_zeroed::<Mutex<[u64; WORDS]>>("table")?;
    /// assert!(table.is_new());
    /// table.lock()?[WORDS - 1] = 7;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn object_zeroed<T: Shared>(&self, name: &str) -> Result<Object<T>> {
        let (place, is_new) = self.find_or_place(name, &Self::shape_of::<T>(), |_| {})?;
        // SAFETY: as in `object`; zeros are a `Shared`.
        Ok(unsafe { Object::new(place.cast(), self.clone(), is_new) })
    }

    /// Finds the slice of this name of `len` elements, or makes it of zeros, in its place. It is the same object as an array
    /// of that length.
    ///
    /// # Errors
    /// As [`object`](Self::object); [`ErrorKind::InvalidInput`] also for no element.
    /// # Examples
    /// ```
    /// # use core::sync::atomic::{AtomicU64, Ordering};
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(1 << 20)?;
    /// let pixels = 100 * 100; // known at run time only
    /// let image = seg.slice::<AtomicU64>("image", pixels)?;
    /// image[pixels - 1].store(7, Ordering::Relaxed);
    /// assert_eq!(seg.find_slice::<AtomicU64>("image")?.len(), pixels);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn slice<T: Shared>(&self, name: &str, len: usize) -> Result<Object<[T]>> {
        let (place, is_new) = self.find_or_place(name, &Self::shape_of_many::<T>(len)?, |_| {})?;
        let place = NonNull::slice_from_raw_parts(place.cast(), len);
        // SAFETY: as in `object_zeroed`, for `len` of them.
        Ok(unsafe { Object::new(place, self.clone(), is_new) })
    }

    /// Finds the slice or array of this name, of whatever length.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    /// # Examples
    /// ```
    /// # use core::sync::atomic::AtomicU32;
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// seg.object("four", || [const { AtomicU32::new(0) }; 4])?;
    /// assert_eq!(seg.find_slice::<AtomicU32>("four")?.len(), 4);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn find_slice<T: Shared>(&self, name: &str) -> Result<Object<[T]>> {
        let found = self.directory().look(name)?.ok_or_else(|| self.missing(name))?;
        // Any length, but one that the bytes are a whole number of.
        let len = found.size as usize / size_of::<T>().max(1);
        let shape = Self::shape_of_many::<T>(len)?;
        let place = self.lookup(name, &shape)?.ok_or_else(|| self.missing(name))?;
        let place = NonNull::slice_from_raw_parts(place.cast(), len);
        // SAFETY: as in `slice`.
        Ok(unsafe { Object::new(place, self.clone(), false) })
    }

    /// Finds the object of bytes of this name, size and alignment, or makes it of zeros: what C's
    /// `interproc_segment_object` makes and finds. It is found as bytes only; see
    /// [`object_of_bytes`](Self::object_of_bytes).
    ///
    /// # Errors
    /// As [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use core::sync::atomic::{AtomicU8, Ordering};
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(4096)?;
    /// let flags = seg.bytes("flags", 100, 1)?;
    /// flags[99].store(1, Ordering::Relaxed);
    /// assert_eq!(seg.find_bytes("flags")?.len(), 100);
    /// let e = seg.find::<[AtomicU8; 100]>("flags").unwrap_err();
    /// assert_eq!(e.kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn bytes(&self, name: &str, len: usize, align: usize) -> Result<Object<[AtomicU8]>> {
        let (place, is_new) = self.find_or_place(name, &Shape::object(TypeId::BYTES, len, align), |_| {})?;
        let place = NonNull::slice_from_raw_parts(place.cast(), len);
        // SAFETY: of so many bytes, by its shape; any are valid.
        Ok(unsafe { Object::new(place, self.clone(), is_new) })
    }

    /// Finds the object of bytes of this name, of whatever size and alignment.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// seg.bytes("flags", 100, 1)?;
    /// assert!(!seg.find_bytes("flags")?.is_new());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn find_bytes(&self, name: &str) -> Result<Object<[AtomicU8]>> {
        let found = self.directory().look(name)?.ok_or_else(|| self.missing(name))?;
        let shape = Shape { size: found.size, align: found.align, ..Shape::object(TypeId::BYTES, 0, 0) };
        let place = self.lookup(name, &shape)?.ok_or_else(|| self.missing(name))?;
        let place = NonNull::slice_from_raw_parts(place.cast(), found.size as usize);
        // SAFETY: as in `bytes`.
        Ok(unsafe { Object::new(place, self.clone(), false) })
    }

    /// Finds the object of bytes of this name, or makes it of zeros, and takes it for a `T`: how a Rust program shares a
    /// structure with a C program that gave no id. (One that gives the id of `T` shares it by [`object`](Self::object).)
    ///
    /// # Errors
    /// As [`object`](Self::object).
    ///
    /// # Safety
    /// Whoever else uses the object takes it for a `T`, too, or for what has `T`'s layout and is used the same way.
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Mutex};
    /// let seg = Segment::anonymous(4096)?;
    /// // As C's interproc_segment_object(&segment, "counter", 24, 8, &counter).
    /// seg.bytes("counter", 24, 8)?;
    /// // SAFETY: in C it is `struct { interproc_mutex_t lock; uint64_t value; }`.
    /// let counter = unsafe { seg.object_of_bytes::<Mutex<u64>>("counter") }?;
    /// *counter.lock()? += 1;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub unsafe fn object_of_bytes<T: Shared>(&self, name: &str) -> Result<Object<T>> {
        let (place, is_new) = self.find_or_place(name, &Self::shape_as::<T>(TypeId::BYTES), |_| {})?;
        // SAFETY: of T's size and alignment; it is used as a T, by the contract.
        Ok(unsafe { Object::new(place.cast(), self.clone(), is_new) })
    }

    /// Finds the object of this name and type.
    ///
    /// # Errors
    /// [`ErrorKind::NoObject`], and those of [`object`](Self::object) but for `SegmentFull`.
    /// # Examples
    /// ```
    /// # use core::sync::atomic::AtomicU32;
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(4096)?;
    /// assert_eq!(seg.find::<AtomicU32>("nothing").unwrap_err().kind(), ErrorKind::NoObject);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn find<T: Shared>(&self, name: &str) -> Result<Object<T>> {
        let place = self.lookup(name, &Self::shape_of::<T>())?.ok_or_else(|| self.missing(name))?;
        // SAFETY: as in `object`.
        Ok(unsafe { Object::new(place.cast(), self.clone(), false) })
    }

    /// Finds or makes the queue of this name for messages of type `T`, with room for `capacity` of them.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to a queue of another element
    /// [type](TypeId::plain) or capacity; [`ErrorKind::InvalidInput`] for no capacity or one beyond 2^24, or for messages of
    /// no bytes; else as [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let jobs = seg.queue::<[u8; 16]>("jobs", 1024)?;
    /// let same = seg.queue::<[u8; 16]>("jobs", 1024)?;
    /// let e = seg.queue::<[u8; 24]>("jobs", 1024).unwrap_err();
    /// assert_eq!(e.kind(), ErrorKind::TypeMismatch);
    /// assert!(e.to_string().contains("\"jobs\" is a Queue of 16-byte elements x 1024"));
    /// assert!(e.to_string().contains("you asked for a Queue of 24-byte elements x 1024"));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn queue<T: Plain>(&self, name: &str, capacity: usize) -> Result<Queue<T>> {
        self.queue_as(name, Element::of::<T>(), capacity)
    }

    /// Finds the queue of bytes of this name, or makes it, and takes each message for a `T`: what C's
    /// `interproc_segment_queue` makes and finds, which names no type. It is found by its bytes only, and safely: any bytes
    /// are a `T`. (A C program that gives the id of `T`, by `interproc_segment_queue_as`, shares what
    /// [`queue`](Self::queue) finds.)
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// // As C's interproc_segment_queue(&segment, "jobs", 8, 64, &jobs).
    /// let jobs = seg.queue_of_bytes::<u64>("jobs", 64)?;
    /// jobs.push(1)?;
    /// assert_eq!(seg.queue_of_bytes::<[u32; 2]>("jobs", 64)?.pop()?, [1, 0]);
    /// assert_eq!(seg.queue::<u64>("jobs", 64).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn queue_of_bytes<T: Plain>(&self, name: &str, capacity: usize) -> Result<Queue<T>> {
        self.queue_as(name, Element::bytes(size_of::<T>()), capacity)
    }

    fn queue_as<T: Plain>(&self, name: &str, element: Element, capacity: usize) -> Result<Queue<T>> {
        let raw = self.raw_queue(name, element, capacity)?;
        let keep = self.keep();
        Queue::from_raw(raw, keep).ok_or_else(|| fail(ErrorKind::Corrupt, format!("queue {name:?}")))
    }

    /// Finds or makes the queue of this name for messages of any length up to `longest` bytes, with `capacity` bytes for
    /// them (each message rounded up to 64; and at least two of the longest).
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to a queue of another capacity or longest
    /// message; [`ErrorKind::InvalidInput`] for a number that is 0 or beyond 2^60; else as [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let log = seg.byte_queue("log", 16 << 10, 1000)?;
    /// let same = seg.byte_queue("log", 16 << 10, 1000)?;
    /// log.push(b"of any length")?;
    /// assert_eq!(same.pop()?, b"of any length");
    /// assert_eq!(seg.byte_queue("log", 16 << 10, 2000).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn byte_queue(&self, name: &str, capacity: usize, longest: usize) -> Result<ByteQueue> {
        let raw = self.raw_byte_queue(name, capacity, longest)?;
        Ok(ByteQueue::from_raw(raw, self.keep()))
    }

    /// Finds or makes the semaphore of this name with so many robust permits.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to a semaphore of another number of permits;
    /// [`ErrorKind::InvalidInput`] for no permit or more than 2^20; else as [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let lines = seg.bounded_semaphore("lines", 5)?;
    /// let same = seg.bounded_semaphore("lines", 5)?;
    /// let permit = lines.acquire()?;
    /// assert_eq!(same.available()?, 4);
    /// assert_eq!(seg.bounded_semaphore("lines", 6).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # drop(permit);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn bounded_semaphore(&self, name: &str, permits: usize) -> Result<BoundedSemaphore> {
        let raw = self.raw_bounded_semaphore(name, permits)?;
        Ok(BoundedSemaphore::from_raw(raw, self.keep()))
    }

    /// Finds or makes the barrier of this name for so many parties.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to a barrier of another number of parties;
    /// [`ErrorKind::InvalidInput`] for no party or more than 2^20; else as [`object`](Self::object).
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let steps = seg.barrier("steps", 4)?;
    /// assert_eq!(seg.barrier("steps", 4)?.parties(), 4);
    /// assert_eq!(seg.barrier("steps", 5).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn barrier(&self, name: &str, parties: usize) -> Result<Barrier> {
        let raw = self.raw_barrier(name, parties)?;
        Ok(Barrier::from_raw(raw, self.keep()))
    }

    /// Finds the latest value of this name, or makes it with this first value (version 0), and with announcements for
    /// four readers at a time: see [`Latest`].
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] when the name belongs to something else, or to a value of another
    /// [type](TypeId::plain) or with another number of announcements; [`ErrorKind::SegmentFull`]; [`ErrorKind::InvalidInput`] for a bad name or a value of no bytes.
    ///
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// limit.set(70)?;
    /// assert_eq!(seg.latest("limit", 100u32)?.get()?, 70); // it was there
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn latest<T: Plain>(&self, name: &str, initial: T) -> Result<Latest<T>> {
        self.latest_for(name, initial, 4)
    }

    /// As [`latest`](Self::latest), with announcements for `readers` at a time, at most 250: so many readers that were overtaken twice
    /// can read wait-free at the same time. Each costs a slot.
    ///
    /// # Errors
    /// As [`latest`](Self::latest); [`ErrorKind::InvalidInput`] also for more than 250 readers.
    ///
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest_for("limit", 100u32, 16)?;
    /// assert_eq!(limit.get()?, 100);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn latest_for<T: Plain>(&self, name: &str, initial: T, readers: usize) -> Result<Latest<T>> {
        self.latest_as(name, Element::of::<T>(), initial, readers)
    }

    /// As [`latest_for`](Self::latest_for) of bytes, which are taken for a `T`: what C's `interproc_segment_latest_as` makes
    /// and finds (for 4 readers: `interproc_segment_latest`), which names no type. It is found by its bytes only; see
    /// [`queue_of_bytes`](Self::queue_of_bytes).
    ///
    /// # Errors
    /// As [`latest_for`](Self::latest_for).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// // As C's interproc_segment_latest(&segment, "limit", 4, &initial, &limit).
    /// let limit = seg.latest_of_bytes("limit", 100u32, 4)?;
    /// assert_eq!(limit.get()?, 100);
    /// assert_eq!(seg.latest("limit", 100u32).unwrap_err().kind(), ErrorKind::TypeMismatch);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn latest_of_bytes<T: Plain>(&self, name: &str, initial: T, readers: usize) -> Result<Latest<T>> {
        self.latest_as(name, Element::bytes(size_of::<T>()), initial, readers)
    }

    fn latest_as<T: Plain>(
        &self,
        name: &str,
        element: Element,
        initial: T,
        readers: usize,
    ) -> Result<Latest<T>> {
        // SAFETY: a value of so many initialised bytes.
        let raw = unsafe { self.raw_latest(name, element, readers, (&raw const initial).cast()) }?;
        let keep = self.keep();
        Latest::from_raw(raw, keep).ok_or_else(|| fail(ErrorKind::Corrupt, format!("latest value {name:?}")))
    }

    /// [`latest_for`](Self::latest_for) for C.
    ///
    /// # Safety
    /// `initial` is NULL, for zeros, or has `size` bytes.
    pub(crate) unsafe fn raw_latest(
        &self,
        name: &str,
        Element { id, size: element }: Element,
        readers: usize,
        initial: *const u8,
    ) -> Result<RawLatest> {
        let size = latest_size(element, readers).ok_or_else(|| {
            let asked = format!("a latest value of {element} bytes for {readers} readers");
            fail(ErrorKind::InvalidInput, asked + ": from 1 to 2^32 bytes, and up to 250 readers")
        })?;
        let shape = Shape {
            kind: Kind::Latest as u32,
            type_id: id.bits(),
            size: size as u64,
            align: LatestPlace::ALIGN as u64,
            params: [element as u64, readers as u64],
        };
        let place = self.place(name, &shape, |place| {
            // SAFETY: the place is aligned, zeroed and as long as asked; nobody else refers to it yet; `initial` by the contract.
            let made = unsafe { LatestPlace::make(place, size, element, readers, initial) };
            debug_assert!(made.is_ok(), "the shape was checked");
        })?;
        // SAFETY: checked by the directory; every user of the place keeps the mapping.
        let place = unsafe { LatestPlace::attach(place, size) }?;
        if (place.element(), place.readers() as usize) != (element, readers) {
            // The place's own header disagrees with the directory.
            return Err(fail(ErrorKind::Corrupt, format!("latest value {name:?}")));
        }
        let latest = RawLatest::new(place);
        if self.changing().strong_fences.load(Relaxed) != 0 {
            latest.use_strong_fences();
        }
        Ok(latest)
    }

    /// [`bounded_semaphore`](Self::bounded_semaphore) for C.
    pub(crate) fn raw_bounded_semaphore(&self, name: &str, permits: usize) -> Result<RawBoundedSemaphore> {
        self.cells(name, Kind::BoundedSemaphore, permits).map(RawBoundedSemaphore::new)
    }

    /// [`barrier`](Self::barrier) for C.
    pub(crate) fn raw_barrier(&self, name: &str, parties: usize) -> Result<RawBarrier> {
        self.cells(name, Kind::Barrier, parties).map(RawBarrier::new)
    }

    fn cells(&self, name: &str, kind: Kind, count: usize) -> Result<Cells> {
        let size = cells_size(count)
            .ok_or_else(|| fail(ErrorKind::InvalidInput, format!("a {kind:?} of {count}: from 1 to 2^20")))?;
        let shape = Shape {
            kind: kind as u32,
            type_id: 0,
            size: size as u64,
            align: Cells::ALIGN as u64,
            params: [count as u64, 0],
        };
        let place = self.place(name, &shape, |place| {
            // SAFETY: the place is aligned, zeroed and as long as asked; nobody else refers to it yet.
            let made = unsafe { Cells::make(place, size, count) };
            debug_assert!(made.is_ok(), "the shape was checked");
        })?;
        // SAFETY: checked by the directory; every user of the row keeps the mapping.
        let row = unsafe { Cells::attach(place, size) }?;
        if row.count() as usize != count {
            // The row's own head disagrees with the directory.
            return Err(fail(ErrorKind::Corrupt, format!("{kind:?} {name:?}")));
        }
        Ok(row)
    }

    /// Finds or makes an object by its id, size and alignment, as C does; whether it made it. A new one has the bytes at
    /// `initial`, or zeros.
    ///
    /// # Safety
    /// `initial` is NULL or has `size` bytes.
    pub(crate) unsafe fn raw_object(
        &self,
        name: &str,
        (id, size, align): (TypeId, usize, usize),
        initial: *const u8,
    ) -> Result<(NonNull<u8>, bool)> {
        self.find_or_place(name, &Shape::object(id, size, align), |place| {
            if !initial.is_null() {
                // SAFETY: the place has as many bytes, and nobody else refers to it yet.
                unsafe { place.as_ptr().copy_from_nonoverlapping(initial, size) };
            }
        })
    }

    /// Finds an object by its id, size and alignment, as C does.
    pub(crate) fn raw_find(
        &self,
        name: &str,
        (id, size, align): (TypeId, usize, usize),
    ) -> Result<NonNull<u8>> {
        let place = self.lookup(name, &Shape::object(id, size, align))?;
        place.ok_or_else(|| self.missing(name))
    }

    #[cold]
    fn missing(&self, name: &str) -> crate::Error {
        fail(ErrorKind::NoObject, format!("{name:?} in {self:?}"))
    }

    /// [`queue`](Self::queue) for C.
    pub(crate) fn raw_queue(
        &self,
        name: &str,
        Element { id, size: element }: Element,
        capacity: usize,
    ) -> Result<RawQueue> {
        let size = ring_size(element, capacity).ok_or_else(|| {
            let asked = format!("a queue of {element}-byte elements x {capacity}");
            fail(ErrorKind::InvalidInput, asked + ": from 1 byte and from 1 to 2^24 elements")
        })?;
        let shape = Shape {
            kind: Kind::Queue as u32,
            type_id: id.bits(),
            size: size as u64,
            align: Ring::ALIGN as u64,
            params: [element as u64, capacity as u64],
        };
        let place = self.place(name, &shape, |place| {
            // SAFETY: the place is aligned, zeroed and as long as asked; nobody else refers to it yet.
            let made = unsafe { Ring::make(place, size, element, capacity) };
            debug_assert!(made.is_ok(), "the shape was checked");
        })?;
        // SAFETY: checked by the directory; every user of the ring keeps the mapping.
        let ring = unsafe { Ring::attach(place, size) }?;
        if (ring.element(), ring.capacity() as usize) != (element, capacity) {
            // The ring's own header disagrees with the directory.
            return Err(fail(ErrorKind::Corrupt, format!("queue {name:?}")));
        }
        let queue = RawQueue::new(ring);
        if self.changing().strong_fences.load(Relaxed) != 0 {
            queue.use_strong_fences();
        }
        Ok(queue)
    }

    /// [`byte_queue`](Self::byte_queue) for C.
    pub(crate) fn raw_byte_queue(&self, name: &str, capacity: usize, longest: usize) -> Result<RawByteQueue> {
        let size = byte_ring_size(capacity, longest).ok_or_else(|| {
            let asked = format!("a byte queue of {capacity} bytes for messages of up to {longest}");
            fail(ErrorKind::InvalidInput, asked + ": both from 1 to 2^60")
        })?;
        let shape = Shape {
            kind: Kind::ByteQueue as u32,
            type_id: 0,
            size: size as u64,
            align: ByteRing::ALIGN as u64,
            params: [capacity as u64, longest as u64],
        };
        let place = self.place(name, &shape, |place| {
            // SAFETY: the place is aligned, zeroed and as long as asked; nobody else refers to it yet.
            let made = unsafe { ByteRing::make(place, size, capacity, longest) };
            debug_assert!(made.is_ok(), "the shape was checked");
        })?;
        // SAFETY: checked by the directory; every user of the ring keeps the mapping.
        let ring = unsafe { ByteRing::attach(place, size) }?;
        if ring.shape() != (capacity, longest) {
            // The ring's own header disagrees with the directory.
            return Err(fail(ErrorKind::Corrupt, format!("byte queue {name:?}")));
        }
        let queue = RawByteQueue::new(ring);
        if self.changing().strong_fences.load(Relaxed) != 0 {
            queue.use_strong_fences();
        }
        Ok(queue)
    }

    fn shape_of<T: Shared>() -> Shape {
        Self::shape_as::<T>(T::shared_id())
    }

    fn shape_as<T: Shared>(id: TypeId) -> Shape {
        const { assert!(!core::mem::needs_drop::<T>(), "an object in shared memory is never dropped") };
        Shape::object(id, size_of::<T>(), align_of::<T>())
    }

    /// The shape of so many `T`, one after the other.
    fn shape_of_many<T: Shared>(len: usize) -> Result<Shape> {
        let size = len.checked_mul(size_of::<T>()).filter(|&size| isize::try_from(size).is_ok());
        let size = size.ok_or_else(|| {
            fail(ErrorKind::InvalidInput, format!("{len} elements of {} bytes", size_of::<T>()))
        })?;
        Ok(Shape { size: size as u64, ..Self::shape_as::<T>(TypeId::array::<T>(len)) })
    }

    /// Finds an object of this shape. Takes no lock.
    pub(crate) fn lookup(&self, name: &str, shape: &Shape) -> Result<Option<NonNull<u8>>> {
        self.directory().find(name, shape)
    }

    /// Finds an object of this kind and type, whatever its parameters; where it is, and its bytes.
    pub(crate) fn lookup_like(
        &self,
        name: &str,
        kind: Kind,
        type_id: u64,
    ) -> Result<Option<(NonNull<u8>, usize)>> {
        self.directory().find_like(name, kind, type_id)
    }

    /// Finds an object of this shape, or makes it: `init` completes its first value in zeroed memory. It runs
    /// under the directory's lock; it neither panics nor comes back to this segment.
    pub(crate) fn place(
        &self,
        name: &str,
        shape: &Shape,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<NonNull<u8>> {
        self.find_or_place(name, shape, init).map(|(place, _)| place)
    }

    /// [`place`](Self::place), and whether it made it.
    fn find_or_place(
        &self,
        name: &str,
        shape: &Shape,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<(NonNull<u8>, bool)> {
        if let Some(found) = self.lookup(name, shape)? {
            return Ok((found, false));
        }
        self.inner.attached.locked(self.changing(), || self.directory().find_or_make(name, shape, init))?
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        Segment::as_fd(self)
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({}, {} bytes)", self.name().unwrap_or("anonymous"), self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const SHAPE: Shape = Shape::object(TypeId::BYTES, 4, 4);

    #[test]
    fn makers_come_one_after_the_other() {
        let seg = Segment::anonymous(4096).unwrap();
        let done = AtomicBool::new(false);
        let (inside, wait) = channel();
        std::thread::scope(|s| {
            s.spawn(|| {
                let first = seg.place("first", &SHAPE, |_| {
                    inside.send(()).unwrap();
                    // Time for the other one to go wrong.
                    std::thread::sleep(Duration::from_millis(30));
                    done.store(true, Relaxed);
                });
                first.unwrap();
            });
            wait.recv().unwrap();
            seg.place("second", &SHAPE, |_| ()).unwrap();
            assert!(done.load(Relaxed), "the second maker did not wait for the first");
        });
        assert_ne!(seg.lookup("first", &SHAPE), seg.lookup("second", &SHAPE));
    }

    #[test]
    fn a_maker_that_dies_in_the_middle_hinders_nobody() {
        let seg = Segment::anonymous(4096).unwrap();
        for dead in ["dead 1", "dead 2"] {
            let (inside, wait) = channel();
            let mine = seg.clone();
            // Not joined: it ends behind the library's back, as by a kill of it alone.
            std::thread::spawn(move || {
                let _ = mine.place(dead, &SHAPE, |place| {
                    // SAFETY: the place is four bytes of ours.
                    unsafe { place.cast::<u32>().write(u32::MAX) };
                    inside.send(()).unwrap();
                    // SAFETY: ends this thread; what it borrows is leaked with its stack.
                    unsafe { libc::syscall(libc::SYS_exit, 0) };
                });
            });
            wait.recv().unwrap();
            for alive in ["alive 1", "alive 2"] {
                seg.place(&std::format!("{alive} after {dead}"), &SHAPE, |place| {
                    // SAFETY: the place is four bytes of ours, zeroed.
                    assert_eq!(unsafe { place.cast::<u32>().read() }, 0);
                })
                .unwrap();
            }
            assert_eq!(seg.find_bytes(dead).unwrap_err().kind(), ErrorKind::NoObject);
        }
    }
}
