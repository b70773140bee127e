//! Byte locks on the segment's file: the second channel by which a process's life is known.
//!
//! An open-file-description lock is held as long as the description is open: the kernel drops it when the
//! process dies by any cause, at exec (close-on-exec) and in a zombie, and it is seen across PID namespaces.
//! Files are closed after the robust lists are walked, so a free byte also means that no walk of that process
//! is still to come.
//!
//! **Who may only read the file** can lock it, too: a description that is open for reading takes read locks, of any byte.
//! So nobody of ours ever waits, or is refused, because of a read lock:
//!
//! | byte | who has it | asked by | a stranger's read lock there |
//! |---|---|---|---|
//! | a seat's | its process, write | a read lock that is not taken ([`byte_is_locked`]): it meets write locks only | nobody can sit there; whoever finds no other seat goes without |
//! | [`IN_USE`] | each process that is attached, read | a cleaner's write lock | makes the segment look used |

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

/// The byte that is locked for reading by whoever is attached: beyond the seats, and beyond any file.
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

/// Whether a lock of this kind is refused now; nothing is locked.
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

/// Whether another open file description holds the byte. The descriptor may be for reading only.
pub fn byte_is_locked(fd: libc::c_int, byte: u64) -> Result<bool, i32> {
    any_byte_is_locked(fd, byte, 1)
}

/// Whether another open file description holds any of `len` bytes.
pub fn any_byte_is_locked(fd: libc::c_int, byte: u64, len: u64) -> Result<bool, i32> {
    is_refused(fd, libc::F_RDLCK, byte, len)
}

/// Says that this open file description uses the file, for as long as it is open. False only while a cleaner is at work,
/// or while somebody who may write keeps it locked.
pub fn try_use(fd: libc::c_int) -> Result<bool, i32> {
    or_flock(try_lock(fd, libc::F_RDLCK, IN_USE), fd, libc::LOCK_SH)
}

/// Takes the file for a cleaner, if nobody uses it. The descriptor is open for writing.
pub fn try_clean(fd: libc::c_int) -> Result<bool, i32> {
    or_flock(try_lock(fd, libc::F_WRLCK, IN_USE), fd, libc::LOCK_EX)
}

/// Whether any other open file description uses the file, or cleans it. The descriptor may be for reading only.
pub fn is_used(fd: libc::c_int) -> Result<bool, i32> {
    let free = or_flock(is_refused(fd, libc::F_WRLCK, IN_USE, 1).map(|used| !used), fd, libc::LOCK_EX)?;
    // SAFETY: takes integers. What is given back is the lock that was taken where there are no others.
    let _ = retried(|| unsafe { libc::flock(fd, libc::LOCK_UN) });
    Ok(!free)
}

/// Where the kernel has no such locks, those of the whole file.
fn or_flock(result: Result<bool, i32>, fd: libc::c_int, kind: libc::c_int) -> Result<bool, i32> {
    let Err(libc::EINVAL | libc::ENOSYS) = result else { return result };
    // SAFETY: takes integers.
    match retried(|| unsafe { libc::flock(fd, kind | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(libc::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}
