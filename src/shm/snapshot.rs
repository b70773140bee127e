//! [`Snapshot`]: a segment opened for inspection only.

use super::directory::{self, Found};
use super::file::{self, Checked};
use super::name::Name;
use super::{fail, kernel};
use crate::error::{Error, ErrorKind, Result, format};
use crate::fallible;
use crate::format::{ENTRY_SIZE, Fixed};
use crate::sys;
use crate::sys::own::{self, Own};
use core::fmt;
use core::mem::ManuallyDrop;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::string::String;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::vec::Vec;

/// A segment opened for inspection. It is never a member, does not keep anyone from unlinking the segment, and leaves no
/// trace.
///
/// It reads the file instead of mapping it, so not even a truncation can harm the reader. What a call returns was true at
/// some moment during the call. [`inspect`](crate::inspect) has what it says of objects and members.
///
/// # Examples
/// ```
/// use core::sync::atomic::AtomicU32;
/// use interproc::Segment;
///
/// let name = format!("/interproc-doc-snapshot-{}", std::process::id());
/// let seg = Segment::create(&name, 4096)?;
/// seg.object("tickets", || AtomicU32::new(3))?;
///
/// let look = Segment::open_read_only(&name)?;
/// let objects = look.objects()?;
/// assert_eq!((objects[0].name.as_str(), objects[0].size), ("tickets", 4));
/// assert_eq!(look.read("tickets")?, 3u32.to_le_bytes());
/// assert!(look.is_in_use()?);
/// Segment::unlink(&name)?;
/// assert!(look.is_retired()?);
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Debug)]
pub struct Snapshot {
    file: Own,
    pub(crate) fixed: Fixed,
    name: Name,
}

/// One object of a segment, as its directory describes it. Displayed as `"name": description`.
///
/// # Examples
/// ```
/// # use core::sync::atomic::AtomicU32;
/// # use interproc::Segment;
/// let name = format!("/interproc-doc-info-{}", std::process::id());
/// let seg = Segment::create(&name, 4096)?;
/// seg.object("tickets", || AtomicU32::new(3))?;
/// let objects = Segment::open_read_only(&name)?.objects()?;
/// assert!(objects[0].to_string().starts_with("\"tickets\": an Object of 4 bytes aligned to 4, type 0x"));
/// Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// Its [`Kind`](crate::format::Kind) as a number; a later build may have others.
    pub kind: u32,
    /// The bits of its [`TypeId`](crate::TypeId), or of its elements' (a queue, an Spsc, a latest value); 0 for untyped
    /// ones and where the kind is enough.
    pub type_id: u64,
    /// Its offset in the file.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its alignment.
    pub align: u64,
    /// The parameters of its kind; for a queue, element size and capacity.
    pub params: [u64; 2],
}

impl fmt::Display for ObjectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ObjectInfo { kind, type_id, size, align, params, .. } = *self;
        write!(f, "{:?}: {}", self.name, directory::Shape { kind, type_id, size, align, params })
    }
}

impl ObjectInfo {
    fn of(found: &Found) -> Result<Self> {
        let directory::Shape { kind, type_id, size, align, params } = found.shape;
        Ok(ObjectInfo { name: found.name()?, kind, type_id, offset: found.offset, size, align, params })
    }
}

/// Zeros that are not touched.
#[allow(unsafe_code)]
fn zeroed(len: usize) -> Result<Vec<u8>> {
    let layout = std::alloc::Layout::array::<u8>(len).map_err(|_| Error::no_memory())?;
    if len == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout is not empty.
    let bytes = unsafe { std::alloc::alloc_zeroed(layout) };
    if bytes.is_null() {
        return Err(Error::no_memory());
    }
    // SAFETY: allocated just now by the global allocator with this layout, all initialised.
    Ok(unsafe { Vec::from_raw_parts(bytes, len, len) })
}

impl Snapshot {
    pub(super) fn new(checked: Checked, name: Name) -> Result<Self> {
        let file = Own::new(checked.file.into_raw_fd()).map_err(Error::from_errno)?;
        Ok(Snapshot { file, fixed: checked.fixed, name })
    }

    /// Its file, opened again by name if the program has closed the descriptor.
    pub(crate) fn file(&self) -> Result<ManuallyDrop<File>> {
        let again = || own::open(self.name.path(), libc::O_RDONLY | libc::O_NOFOLLOW);
        self.file.get_or(again).map(own::as_file).map_err(Error::no_descriptor)
    }

    /// The segment's name.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-sname-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert_eq!(Segment::open_read_only(&name)?.name(), name);
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The size of the payload in bytes.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-slen-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert_eq!(Segment::open_read_only(&name)?.len(), 4096);
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[allow(clippy::len_without_is_empty, reason = "a segment has at least one page")]
    pub fn len(&self) -> usize {
        self.fixed.payload_len as usize
    }

    /// The fixed header: version, limits, layout, creator.
    /// # Examples
    /// ```
    /// # use interproc::{Segment, raw::format};
    /// let name = std::format!("/interproc-doc-sfixed-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// let look = Segment::open_read_only(&name)?;
    /// assert_eq!(look.header().version, format::VERSION);
    /// assert_eq!(look.header().creator_pid, std::process::id());
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn header(&self) -> &Fixed {
        &self.fixed
    }

    /// When the segment was created, by the creator's wall clock.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-screated-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert!(Segment::open_read_only(&name)?.created() <= std::time::SystemTime::now());
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn created(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.fixed.created_ns)
    }

    /// Whether the name has been removed since.
    ///
    /// # Errors
    /// Those of reading the file.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-sretired-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// let look = Segment::open_read_only(&name)?;
    /// assert!(!look.is_retired()?);
    /// Segment::unlink(&name)?;
    /// assert!(look.is_retired()?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_retired(&self) -> Result<bool> {
        let file = self.file()?;
        Ok(file.metadata()?.nlink() == 0 || file::is_retired(&file)?)
    }

    /// Whether any process is attached. (Anyone who may read the segment's file can make it look so, by a lock on it.)
    ///
    /// # Errors
    /// Those of asking for the file's locks.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-suse-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// let look = Segment::open_read_only(&name)?;
    /// assert!(look.is_in_use()?);
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_in_use(&self) -> Result<bool> {
        sys::file::is_used(self.file()?.as_raw_fd()).map_err(Error::from_errno)
    }

    /// The metadata of the segment's file: its owner, mode and size.
    ///
    /// # Errors
    /// Those of `fstat`: none are known.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// # use std::os::unix::fs::PermissionsExt;
    /// let name = format!("/interproc-doc-smeta-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// let metadata = Segment::open_read_only(&name)?.metadata()?;
    /// assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn metadata(&self) -> Result<Metadata> {
        Ok(self.file()?.metadata()?)
    }

    /// All objects in the directory.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when an entry fails its checks; [`ErrorKind::Truncated`].
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-sobjects-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert!(Segment::open_read_only(&name)?.objects()?.is_empty());
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn objects(&self) -> Result<Vec<ObjectInfo>> {
        match self.directory()? {
            (objects, None) => Ok(objects),
            (_, Some(damage)) => Err(damage),
        }
    }

    /// The objects up to the first entry that fails its checks, and its error.
    ///
    /// # Errors
    /// No memory, which is not damage.
    pub(crate) fn directory(&self) -> Result<(Vec<ObjectInfo>, Option<Error>)> {
        let mut objects = Vec::new();
        match self.read_directory(&mut objects) {
            Err(error) if error.errno() == libc::ENOMEM => Err(error),
            read => Ok((objects, read.err())),
        }
    }

    fn read_directory(&self, objects: &mut Vec<ObjectInfo>) -> Result<()> {
        let bytes = self.bytes(self.fixed.dir_off, self.fixed.max_objects as usize * ENTRY_SIZE)?;
        directory::list(&bytes, &self.fixed)
            .try_for_each(|found| fallible::push(objects, ObjectInfo::of(&found?)?))
    }

    /// A copy of an object's bytes. While others write, parts of it may be of different moments.
    ///
    /// It takes as much memory as the object takes in the file: pages that were never written are not read, and their zeros
    /// take no memory until they are touched.
    ///
    /// # Errors
    /// [`ErrorKind::NoObject`], and those of [`objects`](Self::objects); `Resource` for more bytes than the address space
    /// has room for.
    /// # Examples
    /// ```
    /// # use core::sync::atomic::AtomicU16;
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-sread-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// seg.object("port", || AtomicU16::new(80))?;
    /// assert_eq!(Segment::open_read_only(&name)?.read("port")?, [80, 0]);
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn read(&self, object: &str) -> Result<Vec<u8>> {
        let objects = self.objects()?;
        let info = objects.iter().find(|o| o.name == object);
        let info = info.ok_or_else(|| fail(ErrorKind::NoObject, format!("{object:?} in {}", self.name())))?;
        self.bytes(info.offset, info.size as usize)
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        // Checked first: a header may claim terabytes.
        let file = self.file()?;
        super::header::check_length(self.name(), &self.fixed, file.metadata()?.size())?;
        let mut bytes = zeroed(len)?;
        let end = offset.checked_add(len as u64).ok_or(ErrorKind::Corrupt)?;
        let mut at = offset;
        // Only the data: a file may be all holes.
        while let Some((from, to)) = kernel::data(file.as_fd(), at).filter(|&(from, _)| from < end) {
            let to = to.min(end);
            self.read_at(&mut bytes[(from - offset) as usize..(to - offset) as usize], from)?;
            at = to;
        }
        // A part that was cut off meanwhile looked like a hole.
        super::header::check_length(self.name(), &self.fixed, file.metadata()?.size())?;
        Ok(bytes)
    }

    /// Copies bytes of the file.
    pub(crate) fn read_at(&self, into: &mut [u8], offset: u64) -> Result<()> {
        self.file()?.read_exact_at(into, offset).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => fail(ErrorKind::Truncated, self.name()),
            _ => e.into(),
        })
    }

    /// Copies an aligned word of the file.
    pub(crate) fn word(&self, offset: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read_at(&mut bytes, offset)?;
        Ok(u64::from_le_bytes(bytes))
    }
}
