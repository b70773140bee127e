//! The settings that a new process applies to itself, between fork or vfork and its own code. Only system calls.

use super::call::{checked, retried};
use core::ffi::{CStr, c_char, c_int};
use std::os::fd::RawFd;

/// Becomes the leader of a new session and of a new process group.
pub fn new_session() -> Result<(), i32> {
    // SAFETY: takes nothing.
    checked(|| unsafe { libc::setsid() }).map(drop)
}

/// Joins the process group `group` of its session; 0: makes one of its own.
pub fn join_group(group: c_int) -> Result<(), i32> {
    // SAFETY: takes integers.
    checked(|| unsafe { libc::setpgid(0, group) }).map(drop)
}

/// Sets the nice value, -20 to 19.
pub fn set_nice(nice: c_int) -> Result<(), i32> {
    // SAFETY: takes integers. Direct: musl's wrapper is the same, its type of the first argument is not.
    checked(|| unsafe { libc::syscall(libc::SYS_setpriority, 0, 0, nice) }).map(drop)
}

/// Sets the processors that it may run on, as bits.
pub fn set_processors(bits: &[u64]) -> Result<(), i32> {
    let (at, len) = (bits.as_ptr(), size_of_val(bits));
    // SAFETY: the bits are readable.
    checked(|| unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, len, at) }).map(drop)
}

/// Sets a resource limit.
pub fn set_limit(resource: c_int, soft: u64, hard: u64) -> Result<(), i32> {
    let new = [soft, hard];
    // SAFETY: two 64-bit numbers are what prlimit64 reads; no old limit is wanted.
    let call =
        || unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, new.as_ptr(), core::ptr::null::<u64>()) };
    checked(call).map(drop)
}

/// The working directory.
pub fn change_directory(path: &CStr) -> Result<(), i32> {
    // SAFETY: a C string.
    checked(|| unsafe { libc::chdir(path.as_ptr()) }).map(drop)
}

/// The mode bits that files are made without.
pub fn set_umask(mask: u32) {
    // SAFETY: takes an integer, cannot fail.
    unsafe { libc::umask(mask as libc::mode_t) };
}

/// Has every descriptor from `first` on closed by exec.
pub fn close_at_exec(first: RawFd) -> Result<(), i32> {
    const CLOSE_RANGE_CLOEXEC: c_int = 4;
    // SAFETY: takes integers.
    let range = || unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    match checked(range) {
        Ok(_) => Ok(()),
        // Before Linux 5.11 (5.9 knows the call but not the flag).
        Err(libc::ENOSYS | libc::EINVAL | libc::EPERM) => one_by_one(first),
        Err(errno) => Err(errno),
    }
}

#[cold]
fn one_by_one(first: RawFd) -> Result<(), i32> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writable.
    checked(|| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    for fd in first..RawFd::try_from(limit.rlim_cur.min(1 << 20)).unwrap_or(1 << 20) {
        // SAFETY: takes integers; a number that is not open is an error without effect.
        let _ = checked(|| unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) });
    }
    Ok(())
}

/// Makes `number` a copy of `fd` that exec does not close.
pub fn place(fd: RawFd, number: RawFd) -> Result<(), i32> {
    // SAFETY: takes integers. They differ: the copy has a higher number than all places.
    retried(|| unsafe { libc::syscall(libc::SYS_dup3, fd, number, 0) }).map(drop)
}

/// Closes a copy that [`copy_above`] has made.
pub fn close_copy(fd: RawFd) {
    // SAFETY: ours.
    let _ = checked(|| unsafe { libc::syscall(libc::SYS_close, fd) });
}

/// Becomes the program `path`; if it returns, it says why not.
///
/// # Safety
/// Both lists are null-terminated and hold C strings.
pub unsafe fn exec(path: &CStr, arguments: *const *const c_char, environment: *const *const c_char) -> i32 {
    // SAFETY: by the contract.
    match checked(|| unsafe { libc::execve(path.as_ptr(), arguments, environment) }) {
        Err(errno) => errno,
        Ok(_) => libc::EIO,
    }
}

/// Sets whether the process adopts the orphans among its descendants.
pub fn subreaper(on: bool) -> Result<(), i32> {
    // SAFETY: takes integers.
    checked(|| unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, c_int::from(on), 0, 0, 0) }).map(drop)
}

/// Has the kernel kill the process when the thread that forked it ends.
pub fn end_with_parent_thread() -> Result<(), i32> {
    // SAFETY: takes integers.
    checked(|| unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
}
