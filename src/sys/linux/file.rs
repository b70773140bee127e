//! Byte locks on the segment's file: the second channel that reports whether a process lives.
//!
//! An open-file-description lock is held as long as the description is open: the kernel drops it when the process dies from
//! any cause, at exec (close-on-exec) and already in a zombie, and it is visible across PID namespaces. The kernel closes
//! files after it walks the robust lists, so a free byte also means that the walk for that process is done.
//!
//! **A process that may only read the file** can lock it as well: a description open for reading can take read locks on any
//! byte. So none of our calls ever waits or fails because of a read lock:
//!
//! | byte | held by | checked by | a stranger's read lock on it |
//! |---|---|---|---|
//! | a seat's | its process, for writing | asking for a read lock without taking it ([`byte_is_locked`]), which conflicts only with write locks | the seat cannot be taken; a process that finds no other seat goes without |
//! | [`IN_USE`] | each attached process, for reading | a cleaner's write lock | the segment looks used |

use super::call::retried;

fn flock(kind: libc::c_int, byte: u64, len: u64) -> libc::flock {
    // SAFETY: all-zero is a valid `struct flock`; l_pid must be 0 for these locks.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = byte as libc::off_t;
    lock.l_len = len as libc::off_t;
    lock
}

/// The byte that attached processes lock for reading: beyond the seats, and beyond the end of any file.
pub const IN_USE: u64 = 1 << 60;

fn try_lock(fd: libc::c_int, kind: libc::c_int, byte: u64) -> Result<bool, i32> {
    let lock = flock(kind, byte, 1);
    // SAFETY: `lock` outlives the call.
    match retried(|| unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) }) {
        Ok(_) => Ok(true),
        Err(libc::EAGAIN | libc::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether a lock of this kind would be refused now; locks nothing.
fn is_refused(fd: libc::c_int, kind: libc::c_int, byte: u64, len: u64) -> Result<bool, i32> {
    let mut lock = flock(kind, byte, len);
    // SAFETY: `lock` is writable and outlives the call.
    retried(|| unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut lock) })?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// Locks one byte for this open file description; `Ok(false)` when another one has it.
pub fn try_lock_byte(fd: libc::c_int, byte: u64) -> Result<bool, i32> {
    try_lock(fd, libc::F_WRLCK, byte)
}

/// Whether another open file description has the byte locked for writing. The descriptor may be read-only.
pub fn byte_is_locked(fd: libc::c_int, byte: u64) -> Result<bool, i32> {
    any_byte_is_locked(fd, byte, 1)
}

/// Whether another open file description has any of `len` bytes locked for writing.
pub fn any_byte_is_locked(fd: libc::c_int, byte: u64, len: u64) -> Result<bool, i32> {
    is_refused(fd, libc::F_RDLCK, byte, len)
}

/// Marks the file as used by this open file description, as long as it is open. False only while a cleaner is at work, or
/// while a process that may write keeps the byte locked.
pub fn try_use(fd: libc::c_int) -> Result<bool, i32> {
    or_flock(try_lock(fd, libc::F_RDLCK, IN_USE), fd, libc::LOCK_SH)
}

/// Locks the file for a cleaner if nobody uses it. The descriptor is open for writing.
pub fn try_clean(fd: libc::c_int) -> Result<bool, i32> {
    or_flock(try_lock(fd, libc::F_WRLCK, IN_USE), fd, libc::LOCK_EX)
}

/// Whether any other open file description uses or cleans the file. The descriptor may be read-only.
pub fn is_used(fd: libc::c_int) -> Result<bool, i32> {
    let free = or_flock(is_refused(fd, libc::F_WRLCK, IN_USE, 1).map(|used| !used), fd, libc::LOCK_EX)?;
    // SAFETY: takes integers. Releases the whole-file lock, taken where the kernel has no others.
    let _ = retried(|| unsafe { libc::flock(fd, libc::LOCK_UN) });
    Ok(!free)
}

/// Where the kernel has no byte locks of this kind, uses a lock of the whole file.
fn or_flock(result: Result<bool, i32>, fd: libc::c_int, kind: libc::c_int) -> Result<bool, i32> {
    let Err(libc::EINVAL | libc::ENOSYS) = result else { return result };
    // SAFETY: takes integers.
    match retried(|| unsafe { libc::flock(fd, kind | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(libc::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}
