//! [`Options`]: how a segment is created or opened.

use super::name::Name;
use super::segment::Segment;
use super::snapshot::Snapshot;
use super::{fail, file, header, kernel};
use crate::error::format;
use crate::error::{ErrorKind, Result};
use crate::format::{COMPAT_SPARSE, Fixed};
use crate::sys::{memory, task};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

/// How often `open_or_create` alternates between opening and creating while others remove the name and make it again.
const TURNS: usize = 64;

/// Options of a segment; made by [`Segment::options`].
///
/// `size`, `max_members`, `max_objects`, `mode` and `sparse` apply to a new segment. An existing one keeps its own, but
/// opening one that is smaller than `size` fails.
///
/// # Examples
/// ```
/// use interproc::Segment;
/// let name = format!("/interproc-doc-options-{}", std::process::id());
/// let seg = Segment::options().size(1 << 16).max_members(8).mode(0o660).open_or_create(&name)?;
/// assert_eq!(seg.len(), 1 << 16);
/// Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until a segment is created or opened with them"]
pub struct Options {
    size: usize,
    max_members: u32,
    max_objects: u32,
    mode: u32,
    trusted: Option<u32>,
    sparse: bool,
    strong_fences: bool,
}

impl Default for Options {
    /// As [`Segment::options`].
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    pub(super) const fn new() -> Self {
        Options {
            size: 0,
            max_members: 64,
            max_objects: 64,
            mode: 0o600,
            trusted: None,
            sparse: false,
            strong_fences: false,
        }
    }

    /// The size of the payload, which holds the user's objects; rounded up to whole pages. Needed for creating.
    ///
    /// Each object takes its size rounded up to a cache line. Header, directory and member slots come on top.
    /// [`Room`](crate::Room) computes the size that given objects need.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// assert_eq!(Segment::options().size(100_000).anonymous()?.len(), 102_400);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn size(self, bytes: usize) -> Self {
        Options { size: bytes, ..self }
    }

    /// How many threads, of all processes together, can use the segment's objects at the same time: 64 unless set, at most
    /// 16,384. Each costs one page.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::options().size(4096).max_members(1000).anonymous()?;
    /// assert_eq!(seg.max_members(), 1000);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn max_members(self, members: u32) -> Self {
        Options { max_members: members, ..self }
    }

    /// How many objects the directory has room for: 64 unless set, at most 65,536. Each costs 128 bytes.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::options().size(4096).max_objects(2).anonymous()?;
    /// assert_eq!(seg.max_objects(), 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn max_objects(self, objects: u32) -> Self {
        Options { max_objects: objects, ..self }
    }

    pub(super) const fn objects(&self) -> u32 {
        self.max_objects
    }

    /// The permission bits of a new named segment: 0600 unless set. The umask does not apply. Using a segment takes both
    /// read and write permission.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-mode-{}", std::process::id());
    /// let seg = Segment::options().size(4096).mode(0o666).create(&name)?;
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn mode(self, mode: u32) -> Self {
        Options { mode, ..self }
    }

    /// Also opens segments of this user. Otherwise only our own and root's are opened, because the owner of a segment can
    /// read and change everything in it.
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let other_service = 1234;
    /// let e = Segment::options().trust_owner(other_service).open("/interproc-doc-none").unwrap_err();
    /// assert_eq!(e.kind(), ErrorKind::NotFound);
    /// ```
    pub const fn trust_owner(self, uid: u32) -> Self {
        Options { trusted: Some(uid), ..self }
    }

    /// Does not reserve the payload's pages at creation. Then a large segment costs only the pages that are used, but if
    /// memory runs out later, an access is a SIGBUS instead of an error from `create`.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::options().size(1 << 30).sparse(true).anonymous()?;
    /// assert_eq!(seg.len(), 1 << 30);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn sparse(self, sparse: bool) -> Self {
        Options { sparse, ..self }
    }

    /// Makes all participants use full fences, instead of letting sleepers interrupt running processors with `membarrier`.
    /// This is for isolated cores. It slows down each uncontended operation and cannot be undone.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::options().size(4096).strong_fences(true).anonymous()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn strong_fences(self, strong: bool) -> Self {
        Options { strong_fences: strong, ..self }
    }

    /// Creates a named segment.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when the name is taken; [`ErrorKind::BadName`]; [`ErrorKind::NoSpace`];
    /// [`ErrorKind::InvalidInput`] for an option out of range; [`ErrorKind::Unsupported`] where `/dev/shm` is missing.
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment};
    /// let name = format!("/interproc-doc-create-{}", std::process::id());
    /// let seg = Segment::options().size(4096).create(&name)?;
    /// assert_eq!(Segment::options().size(4096).create(&name).unwrap_err().kind(), ErrorKind::Exists);
    /// Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn create(&self, name: &str) -> Result<Segment> {
        let name = Name::new(name)?;
        let fixed = self.plan()?;
        let file = self.filled(file::nameless()?, &fixed)?;
        let segment = Segment::attach(file, fixed, Some(name.clone()))?;
        file::publish(segment.file()?, &name)?;
        Ok(segment)
    }

    /// Opens an existing segment.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::BadName`]; [`ErrorKind::PermissionDenied`]; [`ErrorKind::UntrustedOwner`];
    /// [`ErrorKind::NotRegular`] for links, directories and the like; [`ErrorKind::Foreign`],
    /// [`ErrorKind::VersionMismatch`], [`ErrorKind::Truncated`] and [`ErrorKind::Corrupt`] for a file that is not a
    /// complete segment of this format; [`ErrorKind::TypeMismatch`] when it is smaller than `size`;
    /// [`ErrorKind::TooManyMembers`] when as many processes are attached as it has slots.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-open-{}", std::process::id());
    /// let made = Segment::create(&name, 4096)?;
    /// let opened = Segment::options().open(&name)?;
    /// assert_eq!(opened.len(), made.len());
    /// Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn open(&self, name: &str) -> Result<Segment> {
        self.open_named(&Name::new(name)?)
    }

    fn open_named(&self, name: &Name) -> Result<Segment> {
        let checked = file::open(name, self.trusted)?;
        self.existing(checked, Some(name.clone()))
    }

    /// Opens the segment, or creates it if there is none. When several processes call this at the same time, one creates
    /// the segment and the others open it.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and [`create`](Self::create), but for [`ErrorKind::NotFound`] and
    /// [`ErrorKind::Exists`]. [`ErrorKind::WouldBlock`] when others remove the name and make it again faster than it can be
    /// opened.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-ooc-{}", std::process::id());
    /// let first = Segment::options().size(4096).open_or_create(&name)?;
    /// let second = Segment::options().size(4096).open_or_create(&name)?;
    /// Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn open_or_create(&self, name: &str) -> Result<Segment> {
        let checked = Name::new(name)?;
        // So that impossible options fail even when there is a segment to open.
        self.plan()?;
        for _ in 0..TURNS {
            // Open first: in a sticky directory even a harmless O_CREAT is refused for another user's file.
            match self.open_named(&checked) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                result => return result,
            }
            match self.create(name) {
                Err(e) if e.kind() == ErrorKind::Exists => {}
                result => return result,
            }
        }
        Err(fail(
            ErrorKind::WouldBlock,
            format!("{name} was removed and made again {TURNS} times meanwhile; try again"),
        ))
    }

    /// Creates a segment without a name, for forked children and for processes to which you send its descriptor. Its size
    /// is sealed, so no peer can truncate it.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let seg = Segment::options().size(4096).anonymous()?;
    /// assert_eq!(seg.name(), None);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn anonymous(&self) -> Result<Segment> {
        let fixed = self.plan()?;
        let file = self.filled(file::anonymous()?, &fixed)?;
        kernel::seal_size(std::os::fd::AsFd::as_fd(&file)).map_err(crate::Error::from_errno)?;
        Segment::attach(file, fixed, None)
    }

    /// Attaches the segment behind a descriptor that was inherited or received, for example through a socket. The file is
    /// opened again through `/proc`, and the descriptor is closed.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`ErrorKind::ReadOnly`] for a descriptor not open for reading and writing,
    /// [`ErrorKind::Unsupported`] without `/proc`.
    /// # Examples
    /// ```
    /// use interproc::Segment;
    /// let seg = Segment::anonymous(4096)?;
    /// let sent = seg.as_fd().try_clone_to_owned().unwrap(); // through a socket, say
    /// let received = Segment::options().from_fd(sent)?;
    /// assert_eq!(received.len(), seg.len());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[allow(clippy::wrong_self_convention, reason = "options configure a constructor")]
    pub fn from_fd(&self, fd: OwnedFd) -> Result<Segment> {
        self.existing(file::adopt(fd, self.trusted)?, None)
    }

    /// Opens a segment for inspection only; see [`Snapshot`].
    ///
    /// # Errors
    /// As [`open`](Self::open); read permission is enough.
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-ro-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert_eq!(Segment::options().open_read_only(&name)?.len(), 4096);
    /// Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn open_read_only(&self, name: &str) -> Result<Snapshot> {
        let name = Name::new(name)?;
        Snapshot::new(file::open_to_read(&name, self.trusted)?, name)
    }

    fn existing(&self, checked: file::Checked, name: Option<Name>) -> Result<Segment> {
        let len = checked.fixed.payload_len;
        if len < self.size as u64 {
            let label = name.as_ref().map_or("the segment", Name::as_str);
            let sizes = format!("{label} has a payload of {len} bytes; you asked for {}", self.size);
            return Err(fail(ErrorKind::TypeMismatch, sizes));
        }
        let segment = Segment::attach(checked.file, checked.fixed, name)?;
        if self.strong_fences {
            segment.use_strong_fences();
        }
        Ok(segment)
    }

    fn plan(&self) -> Result<Fixed> {
        if self.mode & !0o777 != 0 {
            return Err(fail(
                ErrorKind::InvalidInput,
                format!("mode {:#o} has bits that are not permissions: use 0 to 0o777", self.mode),
            ));
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        header::plan(&header::Plan {
            page: memory::page_size() as u64,
            size: self.size,
            max_members: self.max_members,
            max_objects: self.max_objects,
            features_compat: if self.sparse { COMPAT_SPARSE } else { 0 },
            created_ns: since_epoch.as_nanos() as u64,
            creator_pid: task::pid(),
            creator_uid: kernel::effective_uid(),
        })
    }

    fn filled(&self, file: File, fixed: &Fixed) -> Result<File> {
        file::fill(&file, fixed, self.mode, self.sparse, self.strong_fences)?;
        Ok(file)
    }
}
