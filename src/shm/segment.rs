//! [`Segment`]: shared memory, mapped and attached. Its objects are found and made in `object`, `queue`, `latest`, `cells`,
//! `spsc` and `byte_lane`.
#![allow(unsafe_code)]

use super::attach::Attached;
use super::directory::{Directory, Shape};
use super::file;
use super::header::CHANGING_OFF;
use super::name::Name;
use super::options::Options;
use super::snapshot::Snapshot;
use crate::atomic::Ordering::Relaxed;
use crate::counted::{Counted, Keep};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Changing, Fixed};
use crate::sys::own::{self, Own};
use core::fmt;
use core::ptr::NonNull;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// Shared memory with a directory of typed, named objects. Clones share one mapping, which is unmapped when the last clone
/// and the last object handle are dropped. Dropping never removes the name.
///
/// A process may open a segment several times. Whatever is held in it (a lock, a seat, a borrowed message) belongs to the
/// *thread*, whichever mapping it was taken through: a thread that locks a mutex again through another mapping gets
/// `Deadlock`, and a recursive mutex counts the second lock.
///
/// # Examples
/// ```
/// use core::sync::atomic::{AtomicU32, Ordering};
/// use interproc::Segment;
///
/// let name = format!("/interproc-doc-segment-{}", std::process::id());
/// let seg = Segment::options().size(1 << 16).open_or_create(&name)?;
/// let left = seg.object("tickets", || AtomicU32::new(3))?; // every process that asks gets the same one
/// left.fetch_sub(1, Ordering::Relaxed);
///
/// let other = Segment::open(&name)?; // as another process would
/// assert_eq!(other.find::<AtomicU32>("tickets")?.load(Ordering::Relaxed), 2);
/// Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone)]
pub struct Segment {
    inner: Counted<Inner>,
}

/// Dropped in this order: detached before it is unmapped.
struct Inner {
    attached: Attached,
    map: MmapRaw,
    /// Our copy, checked when the file was opened. The original in shared memory is not read again.
    fixed: Fixed,
    /// Kept for [`Segment::as_fd`]. The mapping belongs to the same file description, so it keeps the shared lock as well.
    /// The process's seat is held by another description.
    file: Own,
    name: Option<Name>,
}

impl Segment {
    /// All options for creating or opening a segment.
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

    /// Opens a segment for inspection only; see [`Snapshot`].
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

    /// Removes the name. Attached processes keep the memory, which is freed when the last one detaches; a new segment may
    /// take the name at once.
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

    /// Whether no process is attached to the segment. A stale segment may still hold data that somebody wants, so none is
    /// ever removed for being stale alone. (Anyone who may read the segment's file can make it look used, by a lock on it,
    /// but never unused.)
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

    /// Removes the name if no process is attached, and returns whether it did. Nobody can attach between the check and the
    /// removal.
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
        let inner = Counted::new(Inner { attached, map, fixed, file, name })?;
        inner.attached.is_kept_by(&inner.keep());
        Ok(Segment { inner })
    }

    /// The descriptor of its file.
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
    pub(crate) fn keep(&self) -> Keep {
        self.inner.keep()
    }

    /// Whether publishers must use full fences.
    pub(super) fn has_strong_fences(&self) -> bool {
        // Relaxed: it never goes back, and until we see it, sleepers that depend on it rely on the net.
        self.changing().strong_fences.load(Relaxed) != 0
    }

    fn base(&self) -> NonNull<u8> {
        // A mapping is never at null; `attach` has looked.
        NonNull::new(self.inner.map.as_mut_ptr()).expect("a mapping is never at null")
    }

    /// How many bytes behind the segment's start an address lies, which does.
    pub(crate) fn offset_of(&self, address: *const u8) -> u64 {
        (address.addr() - self.base().addr().get()) as u64
    }

    fn changing(&self) -> &Changing {
        // SAFETY: page 0 is mapped as long as `self`, the words are aligned and only accessed as atomics.
        unsafe { self.base().add(CHANGING_OFF).cast::<Changing>().as_ref() }
    }

    pub(super) fn directory(&self) -> Directory<'_> {
        // SAFETY: mapped as long as `self`; `fixed` was checked.
        unsafe { Directory::new(self.base(), self.changing(), &self.inner.fixed) }
    }

    /// The name it was created or opened by; `None` for an anonymous segment and for one from a descriptor.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// assert_eq!(Segment::anonymous(4096)?.name(), None);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_ref().map(Name::as_str)
    }

    /// The size of the payload in bytes.
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

    /// How many threads can use it at the same time.
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

    /// Whether the name was removed, so that nobody else finds this segment.
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
        // Relaxed: a hint; it orders nothing.
        self.changing().retired.load(Relaxed) != 0
    }

    /// The descriptor of the segment's file. Send it to another process, which passes it to [`Options::from_fd`]. Its
    /// number is 3 or above.
    ///
    /// If the program has closed it behind the library's back, a segment with a name opens its file again; one without a
    /// name returns the old number, which may belong to another file by now.
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

    /// Finds an object of this shape, without a lock.
    pub(crate) fn lookup(&self, name: &str, shape: &Shape) -> Result<Option<NonNull<u8>>> {
        self.directory().find(name, shape)
    }

    /// Finds an object of this shape, or makes it: `init` completes its first value in zeroed memory. `init` runs under the
    /// directory's lock, so it must not panic or use this segment.
    pub(crate) fn place(
        &self,
        name: &str,
        shape: &Shape,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<NonNull<u8>> {
        self.find_or_place(name, shape, init).map(|(place, _)| place)
    }

    /// [`place`](Self::place), and whether it made the object.
    pub(super) fn find_or_place(
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
    use crate::shared::TypeId;
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
