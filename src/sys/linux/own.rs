//! [`Own`]: descriptors of ours, in a process whose program may close them.
//!
//! Programs close what they did not open (`closefrom(3)` in a daemon), open other files that get the same numbers, and
//! start with 0, 1 or 2 closed. So ours are at 3 and above, where no program writes its messages, and before each use of a
//! number we check, by device and inode, that it still is what we opened. The check costs one `fstat`; no fast path uses a
//! descriptor.
//!
//! | the number is | what happens |
//! |---|---|
//! | ours | it is used |
//! | closed, or another file's | the file is opened again, if the caller knows how; otherwise nothing is done, and nothing is closed |
//!
//! Between check and use another thread of the program may close the number. Nothing can be done about that, as for any
//! other descriptor. Anonymous inodes (pidfds before Linux 6.9) all have the same inode number: there a stranger's
//! descriptor is told from ours only by what the kernel refuses to do with it.

use super::call::{KeepErrno, checked, retried};
use core::ffi::{CStr, c_int};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, Ordering};

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

impl Identity {
    /// The identity of the file behind a descriptor; `EBADF` when the number is closed.
    pub fn of(fd: c_int) -> Result<Identity, i32> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: writable; filled by the call that succeeds.
        let stat = unsafe {
            checked(|| libc::fstat(fd, stat.as_mut_ptr()))?;
            stat.assume_init()
        };
        Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
    }

    /// Whether the number is a descriptor of this file.
    pub fn is_at(self, fd: c_int) -> bool {
        Identity::of(fd) == Ok(self)
    }
}

/// Closes a number that is known to be ours.
pub fn close(fd: c_int) {
    // SAFETY: ours, as the caller says. A direct call, because the C library's is a cancellation point.
    let _ = checked(|| unsafe { libc::syscall(libc::SYS_close, fd) });
}

/// A close-on-exec copy of a descriptor, with a number of at least `least`.
pub fn copy_above(fd: c_int, least: c_int) -> Result<c_int, i32> {
    // SAFETY: takes integers.
    checked(|| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) }).map_err(|errno| match errno {
        // All numbers from there on are beyond the limit.
        libc::EINVAL => libc::EMFILE,
        errno => errno,
    })
}

/// Moves a new descriptor of ours to a number of at least 3; closes it when there is none left.
pub fn above_stdio(fd: c_int) -> Result<c_int, i32> {
    if fd > 2 {
        return Ok(fd);
    }
    let moved = copy_above(fd, 3);
    close(fd);
    moved
}

/// Opens `path`, close-on-exec, at 3 or above; for a new file, with mode 0600. Blocks on no FIFO and no lease.
pub fn open(path: &CStr, flags: c_int) -> Result<c_int, i32> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    // SAFETY: a C string. A direct call, because the C library's is a cancellation point.
    let call = || unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o600) };
    above_stdio(retried(call)? as c_int)
}

/// A descriptor of ours, as long as the program does not close it.
#[derive(Debug)]
pub struct Own {
    number: AtomicI32,
    /// A number that somebody else closes; -1: none.
    borrowed: c_int,
    identity: Identity,
}

impl Own {
    /// Takes over `fd`, which is open and ours. On an error it is closed.
    pub fn new(fd: c_int) -> Result<Own, i32> {
        let fd = above_stdio(fd)?;
        match Identity::of(fd) {
            Ok(identity) => Ok(Own { number: AtomicI32::new(fd), borrowed: -1, identity }),
            Err(errno) => {
                close(fd);
                Err(errno)
            }
        }
    }

    /// Takes over `fd`, which is at 3 or above and is of this file.
    pub fn known(fd: c_int, identity: Identity) -> Own {
        Own { number: AtomicI32::new(fd), borrowed: -1, identity }
    }

    /// Uses `fd`, which the caller closes.
    pub fn borrowed(fd: c_int) -> Result<Own, i32> {
        Ok(Own { number: AtomicI32::new(fd), borrowed: fd, identity: Identity::of(fd)? })
    }

    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The number, whatever it names by now.
    pub fn number(&self) -> c_int {
        // Relaxed: a number that was replaced meanwhile is closed, and the check finds that.
        self.number.load(Ordering::Relaxed)
    }

    /// The number, if it is still ours.
    pub fn get(&self) -> Option<c_int> {
        let number = self.number();
        self.identity.is_at(number).then_some(number)
    }

    /// The number; if it is lost, that of the descriptor that `again` opens, if it is of the same file.
    ///
    /// # Errors
    /// `EBADF`: it is lost. The kernel's error when it does not let us check.
    pub fn get_or(&self, again: impl FnOnce() -> Result<c_int, i32>) -> Result<c_int, i32> {
        let lost = self.number();
        match Identity::of(lost) {
            Ok(identity) if identity == self.identity => return Ok(lost),
            Ok(_) | Err(libc::EBADF) => {}
            Err(errno) => return Err(errno),
        }
        let fresh = again().map_err(|_| libc::EBADF)?;
        if !self.identity.is_at(fresh) {
            close(fresh);
            return Err(libc::EBADF);
        }
        match self.number.compare_exchange(lost, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(fresh),
            Err(others) => {
                close(fresh);
                Ok(others)
            }
        }
    }

    /// Replaces it by `fresh`, an open descriptor of the same file.
    pub fn replace(&self, fresh: c_int) {
        let old = self.number.swap(fresh, Ordering::Relaxed);
        self.close_if_ours(old);
    }

    fn close_if_ours(&self, number: c_int) {
        if number != self.borrowed && self.identity.is_at(number) {
            close(number);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.close_if_ours(self.number());
    }
}

/// Another descriptor of the file whose shared mapping reaches from `start` to `end`, for when no descriptor is left. It
/// opens the entry in the kernel's list of mappings, which takes a privilege, or else the name in it, if the file still has
/// one. It allocates nothing.
pub fn open_mapped(start: usize, end: usize) -> Result<c_int, i32> {
    let mut link = [0u8; 64];
    let mut out = Text { bytes: &mut link, len: 0 };
    let _ = core::fmt::Write::write_fmt(&mut out, format_args!("/proc/self/map_files/{start:x}-{end:x}\0"));
    let link = CStr::from_bytes_until_nul(&link).map_err(|_| libc::EINVAL)?;
    if let Ok(fd) = open(link, libc::O_RDWR) {
        return Ok(fd);
    }
    let mut path = [0u8; 512];
    let _keep = KeepErrno::new();
    // SAFETY: writable for its length; one byte stays for the NUL.
    let len = unsafe { libc::readlink(link.as_ptr(), path.as_mut_ptr().cast(), path.len() - 1) };
    if len < 0 {
        return Err(KeepErrno::current());
    }
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| libc::EINVAL)?;
    open(path, libc::O_RDWR | libc::O_NOFOLLOW)
}

/// A text in a buffer; a part that does not fit is left out.
struct Text<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(core::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// Another file description of the file behind `fd`; byte locks and the shared lock belong to descriptions.
pub fn open_again(fd: c_int) -> Result<c_int, i32> {
    with_link(fd, |link| open(link, libc::O_RDWR))
}

/// Calls `f` with the path that leads to the file behind `fd`.
pub fn with_link<R>(fd: c_int, f: impl FnOnce(&CStr) -> R) -> R {
    let mut path = [0u8; 32];
    let mut out = Text { bytes: &mut path, len: 0 };
    let _ = core::fmt::Write::write_fmt(&mut out, format_args!("/proc/self/fd/{fd}\0"));
    f(CStr::from_bytes_until_nul(&path).unwrap_or_default())
}

/// The descriptor as std's type, which must not close it.
#[cfg(feature = "std")]
pub fn as_file(fd: c_int) -> core::mem::ManuallyDrop<std::fs::File> {
    // SAFETY: open, as the caller has just checked; the result does not close it.
    core::mem::ManuallyDrop::new(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) })
}
