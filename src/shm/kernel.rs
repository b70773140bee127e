//! The few system calls on files that std lacks. The rest of this layer uses std and memmap2.
#![allow(unsafe_code)]

use crate::ErrorKind;
use crate::atomic::AtomicU32;
use crate::sys::call::{checked, retried};
use crate::sys::own::{self, Identity};
use crate::sys::{Watch, Word, file, futex};
use crate::time::Deadline;
use core::ffi::CStr;
use core::time::Duration;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// How much one reservation asks for. The kernel undoes a reservation that a signal interrupts; with small steps a program
/// with a fast timer still makes progress.
const STEP: u64 = 2 << 20;

/// How long an opener waits for a cleaner.
const CLEANER: Duration = Duration::from_secs(1);

/// memfd flag of Linux 6.3: not executable, and sealable. Older kernels return EINVAL.
const MFD_NOEXEC_SEAL: libc::c_uint = 8;

/// The caller's effective user id.
pub(super) fn effective_uid() -> u32 {
    // SAFETY: geteuid cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

/// Marks the file as used by this open file description, as long as it is open. Waits while a cleaner is at work, which is
/// a matter of microseconds, for a second at most.
pub(super) fn lock_shared(fd: BorrowedFd<'_>) -> crate::Result<()> {
    let until = Deadline::after(CLEANER);
    let nobody = AtomicU32::new(0);
    while !file::try_use(fd.as_raw_fd()).map_err(crate::Error::from_errno)? {
        if until.has_passed() {
            let who = "another process keeps the segment's file locked; try again, or find out which one with lslocks";
            return Err(super::fail(ErrorKind::WouldBlock, who));
        }
        // Not a sleep of the C library, which is a cancellation point.
        let nap = Deadline::after(Duration::from_millis(1));
        futex::wait(&[Watch { word: Word::Whole(&nobody), expected: 0 }], Some(nap));
    }
    Ok(())
}

/// Whether the file is a memfd that can still be made smaller, in spite of [`seal_size`].
pub(super) fn may_shrink(fd: BorrowedFd<'_>) -> bool {
    let mut start = [0u8; 7];
    // SAFETY: the path is a C string; so many bytes are writable.
    let read = |link: &CStr| unsafe { libc::readlink(link.as_ptr(), start.as_mut_ptr().cast(), 7) };
    let memfd = own::with_link(fd.as_raw_fd(), read) == 7 && start == *b"/memfd:";
    // SAFETY: fcntl without an argument touches no memory.
    let seals = checked(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) });
    memfd && seals.unwrap_or(0) & libc::F_SEAL_SHRINK == 0
}

/// The largest file that the process may make; `None`: no limit.
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

/// The range of the first bytes at or behind `at` for which the file has pages; everything from `at` on if the file system
/// does not say.
pub(super) fn data(fd: BorrowedFd<'_>, at: u64) -> Option<(u64, u64)> {
    // SAFETY: lseek touches no memory; nobody uses the description's own position.
    let seek =
        |at: u64, whence| checked(|| unsafe { libc::lseek(fd.as_raw_fd(), at as libc::off_t, whence) });
    match seek(at, libc::SEEK_DATA) {
        Ok(from) => {
            let to = seek(from as u64, libc::SEEK_HOLE).map_or(u64::MAX, |to| to as u64);
            // A hole at this very place came in between.
            Some((from as u64, to.max(from as u64 + 1)))
        }
        // Behind the last data, or behind the file's end.
        Err(libc::ENXIO) => None,
        Err(_) => Some((at, u64::MAX)),
    }
}

/// The free and the total bytes of the file's file system; `None` when it has no limit.
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
