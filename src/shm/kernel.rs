//! The few kernel calls on files that std does not offer. All else of this layer is std or memmap2.
#![allow(unsafe_code)]

use crate::sys::call::{checked, retried};
use crate::sys::own::{self, Identity};
use core::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// How much one reservation asks for. The kernel undoes a reservation that a signal interrupts: with small steps
/// a program with a fast timer still gets ahead.
const STEP: u64 = 2 << 20;

/// memfd flag of Linux 6.3: not executable, and sealable. Older kernels say EINVAL.
const MFD_NOEXEC_SEAL: libc::c_uint = 8;

/// The caller's effective user id.
pub(super) fn effective_uid() -> u32 {
    // SAFETY: geteuid cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

/// Waits for the shared lock of the whole file. Held until the open file description is closed.
pub(super) fn lock_shared(fd: BorrowedFd<'_>) -> Result<(), i32> {
    // SAFETY: flock touches no memory.
    retried(|| unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_SH) }).map(drop)
}

/// Takes the exclusive lock of the whole file if nobody holds any; says whether it did.
pub(super) fn try_lock_exclusive(fd: BorrowedFd<'_>) -> Result<bool, i32> {
    // SAFETY: as above.
    match retried(|| unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(libc::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Gives the lock of the whole file back.
pub(super) fn unlock(fd: BorrowedFd<'_>) {
    // SAFETY: as above.
    let _ = checked(|| unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_UN) });
}

/// How large the process may make a file; `None`: as large as it wants.
pub(super) fn largest_file() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writable.
    checked(|| unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) }).ok()?;
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Reserves the file's pages from its start to `end`.
pub(super) fn reserve(fd: BorrowedFd<'_>, end: u64) -> Result<(), i32> {
    let mut at = 0;
    while at < end {
        let len = STEP.min(end - at);
        // SAFETY: fallocate touches no memory of ours.
        retried(|| unsafe { libc::fallocate(fd.as_raw_fd(), 0, at as libc::off_t, len as libc::off_t) })?;
        at += len;
    }
    Ok(())
}

/// The free and the total bytes of the file system that the file is on; `None` when it has no limit.
pub(super) fn space(fd: BorrowedFd<'_>) -> Option<(u64, u64)> {
    // SAFETY: all-zero is a valid `struct statfs`, which the call fills.
    let fs = unsafe {
        let mut fs: libc::statfs = core::mem::zeroed();
        checked(|| libc::fstatfs(fd.as_raw_fd(), &raw mut fs)).ok()?;
        fs
    };
    let block = fs.f_bsize as u64;
    (fs.f_blocks != 0).then(|| (fs.f_bavail * block, fs.f_blocks * block))
}

/// Gives the nameless file a name. EEXIST when it is taken.
pub(super) fn link(fd: RawFd, to: &CStr) -> Result<(), i32> {
    let here = libc::AT_FDCWD;
    own::with_link(fd, |from| {
        // SAFETY: both paths are C strings that outlive the call.
        checked(|| unsafe { libc::linkat(here, from.as_ptr(), here, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) })
            .map(drop)
    })
}

/// Removes a name.
pub(super) fn remove(path: &CStr) -> Result<(), i32> {
    // SAFETY: a C string.
    checked(|| unsafe { libc::unlink(path.as_ptr()) }).map(drop)
}

/// The file that has this name; of a symbolic link, the link.
pub(super) fn named(path: &CStr) -> Result<Identity, i32> {
    // SAFETY: all-zero is a valid `struct stat`, and the path is a C string.
    let stat = unsafe {
        let mut stat: libc::stat = core::mem::zeroed();
        checked(|| libc::lstat(path.as_ptr(), &raw mut stat))?;
        stat
    };
    Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
}

/// A nameless file in memory that can be sealed.
pub(super) fn memfd() -> Result<OwnedFd, i32> {
    let make = |flags| {
        // SAFETY: the name is a C string; on success the descriptor is new and ours.
        checked(|| unsafe { libc::memfd_create(c"interproc".as_ptr(), flags) })
            .and_then(own::above_stdio)
            .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
    };
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    match make(flags | MFD_NOEXEC_SEAL) {
        Err(libc::EINVAL) => make(flags),
        result => result,
    }
}

/// Seals the file's size for good, its list of seals included.
pub(super) fn seal_size(fd: BorrowedFd<'_>) -> Result<(), i32> {
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: fcntl with an integer argument touches no memory.
    checked(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) }).map(drop)
}

/// Whether the descriptor is open for reading and writing.
pub(super) fn is_read_write(fd: BorrowedFd<'_>) -> Result<bool, i32> {
    // SAFETY: fcntl without an argument touches no memory.
    checked(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })
        .map(|flags| flags & libc::O_ACCMODE == libc::O_RDWR && flags & libc::O_PATH == 0)
}
