//! Byte locks on the segment's file: the second channel by which a process's life is known.
//!
//! An open-file-description lock is held as long as the description is open: the kernel drops it when the
//! process dies by any cause, at exec (close-on-exec) and in a zombie, and it is seen across PID namespaces.
//! Files are closed after the robust lists are walked, so a free byte also means that no walk of that process
//! is still to come.

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

/// Locks one byte for this open file description; `Ok(false)` when another one has it.
pub fn try_lock_byte(fd: libc::c_int, byte: u64) -> Result<bool, i32> {
    let lock = flock(libc::F_WRLCK, byte, 1);
    // SAFETY: `lock` outlives the call.
    match retried(|| unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) }) {
        Ok(_) => Ok(true),
        Err(libc::EAGAIN | libc::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether another open file description holds the byte. The descriptor may be for reading only.
pub fn byte_is_locked(fd: libc::c_int, byte: u64) -> Result<bool, i32> {
    any_byte_is_locked(fd, byte, 1)
}

/// Whether another open file description holds any of `len` bytes.
pub fn any_byte_is_locked(fd: libc::c_int, byte: u64, len: u64) -> Result<bool, i32> {
    let mut lock = flock(libc::F_WRLCK, byte, len);
    // SAFETY: `lock` is writable and outlives the call.
    retried(|| unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut lock) })?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// The shared lock of the whole file, if nobody has the exclusive one.
#[cfg(feature = "std")]
pub fn lock_shared(fd: libc::c_int) -> Result<(), i32> {
    // SAFETY: flock touches no memory.
    retried(|| unsafe { libc::flock(fd, libc::LOCK_SH | libc::LOCK_NB) }).map(drop)
}
