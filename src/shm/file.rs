//! The segment's file: complete before it gets a name, fully checked before it is mapped.
//!
//! | step of creating | a crash after it leaves |
//! |---|---|
//! | F1 nameless file (`O_TMPFILE`) | nothing: the kernel frees it |
//! | F2 size, reservation, header, mode, shared lock | nothing |
//! | F3 name (`linkat`) | a complete segment |
//!
//! | step of opening | why |
//! |---|---|
//! | O1 open without `O_CREAT`, following no link, blocking on nothing | links and FIFOs planted in a world-writable directory; `fs.protected_regular` |
//! | O2 type, owner, header | see [`super::header`] |
//! | O3 read lock of the byte that says "in use" | a cleaner's write lock is granted exactly when nobody has it; a process that may only read the file cannot refuse it (see `sys::file`), and one that may write can for at most a second |
//! | O4 link count, retired flag, length, all under the lock | between O1 and O3 a cleaner with the write lock may have removed the name: look it up again |
//!
//! `unlink` removes the name first and then sets the retired flag. In the other order a process killed in between would
//! leave a name that every open refuses. In this order a crash in between only costs the attached processes the hint.

#![allow(unsafe_code)]

use super::header::{self, FIXED_LEN, RETIRED_OFF, STRONG_FENCES_OFF, TOUCHED_END_OFF};
use super::name::{DIRECTORY, Name};
use super::{fail, kernel};
use crate::error::{Error, ErrorKind, Result, format};
use crate::format::Fixed;
use crate::sys;
use crate::sys::memory::page_size;
use crate::sys::own;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

/// How often a name is looked up while others remove it and make it again.
const LOOKUPS: usize = 64;

/// A file that has passed every check, under the shared lock.
#[derive(Debug)]
pub(super) struct Checked {
    pub file: File,
    pub fixed: Fixed,
}

/// How an existing file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// The error for a failed call on a segment's file; `label` names the file.
fn at(label: &str, errno: i32) -> Error {
    match errno {
        libc::ENOENT => fail(ErrorKind::NotFound, label),
        errno => Error::from_errno(errno).with_detail(label),
    }
}

fn io_at(label: &str) -> impl Fn(io::Error) -> Error + '_ {
    move |e| at(label, e.raw_os_error().unwrap_or(libc::EIO))
}

/// F1: a nameless file in the directory of segments.
pub(super) fn nameless() -> Result<File> {
    own::open(c"/dev/shm", libc::O_RDWR | libc::O_TMPFILE).map(file_of).map_err(|errno| {
        let why = format!("cannot make a file in {DIRECTORY}");
        match errno {
            libc::ENOENT | libc::ENOTDIR => {
                fail(ErrorKind::Unsupported, format!("{why}: there is no {DIRECTORY}; mount a tmpfs there"))
            }
            libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL => fail(
                ErrorKind::Unsupported,
                format!("{why}: its file system has no O_TMPFILE; mount a tmpfs there"),
            ),
            errno => at(&why, errno),
        }
    })
}

/// The nameless file of an anonymous segment.
pub(super) fn anonymous() -> Result<File> {
    kernel::memfd().map(File::from).map_err(|errno| Error::from_errno(errno).with_detail("memfd_create"))
}

/// F2: gives the file its size, its pages, its header and its mode, and locks it.
pub(super) fn fill(file: &File, fixed: &Fixed, mode: u32, sparse: bool, strong_fences: bool) -> Result<()> {
    let reserved = if sparse { fixed.payload_off } else { fixed.total_len };
    if let Some((free, _)) = kernel::space(file.as_fd()) {
        // Checked first, so that a hopeless request does not fill the file system for a moment.
        if free < reserved {
            return Err(no_space(file, fixed, reserved));
        }
    }
    // Without this check the kernel would send SIGXFSZ.
    if let Some(largest) = kernel::largest_file().filter(|&largest| largest < fixed.total_len) {
        let what = format!("RLIMIT_FSIZE allows {largest} bytes of the file's {}", fixed.total_len);
        return Err(at(&what, libc::EFBIG));
    }
    file.set_len(fixed.total_len).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOSPC | libc::EFBIG) => no_space(file, fixed, reserved),
        _ => e.into(),
    })?;
    kernel::reserve(file.as_fd(), reserved).map_err(|errno| match errno {
        libc::ENOSPC => no_space(file, fixed, reserved),
        libc::EOPNOTSUPP => fail(
            ErrorKind::Unsupported,
            format!("the file system of {DIRECTORY} cannot reserve pages; use the sparse option"),
        ),
        errno => at("reserving the segment's pages", errno),
    })?;
    file.write_all_at(&fixed.payload_off.to_le_bytes(), TOUCHED_END_OFF)?;
    file.write_all_at(&u32::from(strong_fences).to_le_bytes(), STRONG_FENCES_OFF)?;
    file.write_all_at(bytemuck::bytes_of(fixed), 0)?;
    // The umask applies to the mode at open, but not to this.
    file.set_permissions(Permissions::from_mode(mode))?;
    // Before it has a name, so that it never looks stale.
    kernel::lock_shared(file.as_fd())
}

fn no_space(file: &File, fixed: &Fixed, needed: u64) -> Error {
    let asked = format!("{needed} bytes are needed for a payload of {}", fixed.payload_len);
    let room = match kernel::space(file.as_fd()) {
        Some((free, all)) => {
            format!(
                "{DIRECTORY} has {free} bytes free of {all}; Docker's default is 64 MiB, see its --shm-size"
            )
        }
        None => format!("the memory limit was reached"),
    };
    fail(ErrorKind::NoSpace, format!("{asked}; {room}"))
}

/// F3: publishes the file under its name.
pub(super) fn publish(fd: RawFd, name: &Name) -> Result<()> {
    kernel::link(fd, name.path()).map_err(|errno| at(name.as_str(), errno))
}

/// A descriptor just opened, as std's type.
fn file_of(fd: RawFd) -> File {
    // SAFETY: new, and owned by nobody else.
    File::from(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// O1: opens what the name points to.
fn look_up(name: &Name, access: Access) -> Result<File> {
    let mode = if access == Access::Write { libc::O_RDWR } else { libc::O_RDONLY };
    own::open(name.path(), mode | libc::O_NOFOLLOW).map(file_of).map_err(|errno| match errno {
        libc::ELOOP => fail(ErrorKind::NotRegular, format!("{} is a symbolic link", name.as_str())),
        libc::EISDIR => fail(ErrorKind::NotRegular, format!("{} is a directory", name.as_str())),
        libc::ENXIO | libc::ENODEV => {
            fail(ErrorKind::NotRegular, format!("{} is a socket or device", name.as_str()))
        }
        errno => at(name.as_str(), errno),
    })
}

/// O2: type, owner and header.
fn check(file: &File, label: &str, trusted: Option<u32>) -> Result<Fixed> {
    let meta = file.metadata().map_err(io_at(label))?;
    if !meta.file_type().is_file() {
        return Err(fail(ErrorKind::NotRegular, format!("{label} is not a regular file")));
    }
    let (owner, us) = (meta.uid(), kernel::effective_uid());
    if owner != us && owner != 0 && trusted != Some(owner) {
        let uids = format!("{label} belongs to user {owner}; we are user {us}");
        return Err(fail(ErrorKind::UntrustedOwner, uids));
    }
    let mut start = [0u8; FIXED_LEN];
    let mut have = 0;
    while have < start.len() {
        match file.read_at(&mut start[have..], have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(io_at(label)(e)),
        }
    }
    header::check(label, &start[..have], meta.size(), page_size() as u64)
}

/// Whether `unlink` has set the retired flag.
pub(super) fn is_retired(file: &File) -> Result<bool> {
    let mut word = [0u8; 4];
    file.read_exact_at(&mut word, RETIRED_OFF)?;
    Ok(u32::from_le_bytes(word) != 0)
}

/// Opens a segment's file by name: O1 to O4.
pub(super) fn open(name: &Name, trusted: Option<u32>) -> Result<Checked> {
    let label = name.as_str();
    for _ in 0..LOOKUPS {
        let file = look_up(name, Access::Write)?;
        let fixed = check(&file, label, trusted)?;
        kernel::lock_shared(file.as_fd())?;
        // O4. An open that passes this check counts as one before any later unlink.
        let meta = file.metadata().map_err(io_at(label))?;
        header::check_length(label, &fixed, meta.size())?;
        if meta.nlink() > 0 && !is_retired(&file)? {
            return Ok(Checked { file, fixed });
        }
    }
    let what = format!(
        "{label} was unlinked during each of {LOOKUPS} attempts, or has a second link that survived an unlink; try again or unlink it"
    );
    Err(fail(ErrorKind::WouldBlock, what))
}

/// Opens a segment's file for inspection: no lock, no trace.
pub(super) fn open_to_read(name: &Name, trusted: Option<u32>) -> Result<Checked> {
    let file = look_up(name, Access::Read)?;
    let fixed = check(&file, name.as_str(), trusted)?;
    Ok(Checked { file, fixed })
}

/// Checks a descriptor that came from elsewhere, under a file description of our own: byte locks and the shared lock belong
/// to descriptions, and the sender's must not count as ours.
pub(super) fn adopt(fd: OwnedFd, trusted: Option<u32>) -> Result<Checked> {
    let label = "the descriptor";
    if !kernel::is_read_write(fd.as_fd()).map_err(|errno| at(label, errno))? {
        return Err(fail(ErrorKind::ReadOnly, "the descriptor is not open for reading and writing"));
    }
    let theirs = File::from(fd);
    check(&theirs, label, trusted)?;
    let file = again(theirs.as_raw_fd())?;
    // A memfd whose maker did not seal its size is sealed here. A named file cannot be sealed, which is its known limit.
    let _ = kernel::seal_size(file.as_fd());
    if kernel::may_shrink(file.as_fd()) {
        let why =
            "the memfd's maker has forbidden sealing its size, so it could take the memory away at any time";
        return Err(fail(ErrorKind::PermissionDenied, why));
    }
    kernel::lock_shared(file.as_fd())?;
    let fixed = check(&file, label, trusted)?;
    Ok(Checked { file, fixed })
}

/// The same file under a new open file description.
pub(super) fn again(fd: RawFd) -> Result<File> {
    own::open_again(fd).map(file_of).map_err(|errno| match errno {
        // Sharing the old description instead would give two processes one seat.
        libc::ENOENT => fail(ErrorKind::Unsupported, "reopening the descriptor needs /proc"),
        errno => Error::from_errno(errno),
    })
}

/// Removes the name and tells the attached processes.
pub(super) fn unlink(name: &Name) -> Result<()> {
    // Removes whatever has the name, as `shm_unlink` does, because unlinking is the advice for a damaged segment. Only one
    // of our segments gets the flag.
    let segment = look_up(name, Access::Write).ok().filter(|f| check(f, name.as_str(), None).is_ok());
    remove(name)?;
    if let Some(file) = segment {
        retire(&file);
    }
    Ok(())
}

fn remove(name: &Name) -> Result<()> {
    kernel::remove(name.path()).map_err(|errno| match errno {
        libc::EISDIR => fail(ErrorKind::NotRegular, format!("{} is a directory", name.as_str())),
        // The directory is sticky, like /tmp.
        libc::EPERM | libc::EACCES => fail(
            ErrorKind::PermissionDenied,
            format!("only its owner and the owner of {DIRECTORY} may remove {}", name.as_str()),
        ),
        errno => at(name.as_str(), errno),
    })
}

/// Sets the retired flag, unless another link keeps the file in use. If that fails, only the hint is lost.
fn retire(file: &File) {
    if file.metadata().is_ok_and(|meta| meta.nlink() == 0) {
        let _ = file.write_all_at(&1u32.to_le_bytes(), RETIRED_OFF);
    }
}

/// Whether no process is attached.
pub(super) fn is_stale(name: &Name, trusted: Option<u32>) -> Result<bool> {
    let found = open_to_read(name, trusted)?;
    sys::file::is_used(found.file.as_raw_fd()).map(|used| !used).map_err(|errno| at(name.as_str(), errno))
}

/// Removes the name if no process is attached, and returns whether it did. Nobody can attach in between: an open that waits
/// for the lock finds the name removed.
pub(super) fn unlink_if_stale(name: &Name, trusted: Option<u32>) -> Result<bool> {
    let file = look_up(name, Access::Write)?;
    check(&file, name.as_str(), trusted)?;
    if !sys::file::try_clean(file.as_raw_fd()).map_err(|errno| at(name.as_str(), errno))? {
        return Ok(false);
    }
    // The name may have moved to another file before we had this file's lock.
    let named = kernel::named(name.path()).map_err(|errno| at(name.as_str(), errno))?;
    if !named.is_at(file.as_raw_fd()) {
        return Ok(false);
    }
    remove(name)?;
    retire(&file);
    Ok(true)
}
