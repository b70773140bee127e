//! Child processes.

use super::time::deadline;
use super::{call, input, invalid, output, text};
use crate::error::{ErrorKind, Result};
use crate::process::{Builder, Child, ExitStatus};
use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;
use std::boxed::Box;
use std::os::fd::{AsFd, AsRawFd};

/// A child process, as its parent sees it. It is known by a pidfd: a signal never reaches another process that got the
/// same number, and no SIGCHLD handler, helper thread or polling is involved.
///
/// This is a local handle. interproc_process_close() frees it. A plain copy of the structure is the same handle:
/// close only one of them.
///
///     static int buyer(void *shop) { return buy((shop_t *)shop) ? 0 : 1; }
///
///     interproc_process_t child;
///     interproc_exit_t end;
///     int rc = interproc_process_fork(&child, "buyer", buyer, shop);
///     if (rc == 0) {
///         rc = interproc_process_join(&child, &end);
///         interproc_process_close(&child);
///     }
///
/// Several threads may join one child: each of them gets the result, and later joins get it again. A child of this
/// process cannot use its parent's handles: EPERM.
#[repr(C)]
pub struct interproc_process_t {
    /// Not for use. NULL when closed.
    pub private_: *mut c_void,
    /// Not for use. Zero.
    pub reserved: u64,
}

/// How a child ended.
#[repr(C)]
pub struct interproc_exit_t {
    /// The exit code, 0 to 255; -1 when a signal ended the child.
    pub code: i32,
    /// The signal that ended the child; 0 when it exited.
    pub signal: i32,
    /// The status word of waitpid(2), for WCOREDUMP() and the like.
    pub wait_status: i32,
    /// Zero.
    pub reserved: i32,
}

impl From<ExitStatus> for interproc_exit_t {
    fn from(status: ExitStatus) -> Self {
        interproc_exit_t {
            code: status.code().unwrap_or(-1),
            signal: status.signal().unwrap_or(0),
            wait_status: status.wait_status(),
            reserved: 0,
        }
    }
}

/// What a child runs. Its result is the exit code: 0 to 255, any other value becomes 255.
pub type interproc_process_entry_t = Option<unsafe extern "C-unwind" fn(argument: *mut c_void) -> c_int>;

/// The child behind a handle.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero, and that nobody closes meanwhile.
unsafe fn child<'a>(process: *const interproc_process_t) -> Result<&'a Child> {
    // SAFETY: by the contract.
    let handle = unsafe { input(process, "process") }?;
    // SAFETY: made by `interproc_process_fork` and not yet closed.
    unsafe { handle.private_.cast::<Child>().as_ref() }.ok_or_else(|| invalid("the handle is closed"))
}

/// Gives the status to the caller, who may not want it.
///
/// # Safety
/// `end` is NULL or writable.
unsafe fn give(status: ExitStatus, end: *mut interproc_exit_t) {
    if !end.is_null() {
        // SAFETY: by the contract.
        unsafe { end.write(status.into()) };
    }
}

/// Starts a child process that runs `entry(argument)` and ends by _exit() with its result. `name` is what ps shows (the
/// first 15 bytes); NULL: that of the parent.
///
/// The child has a copy of the memory, of the calling thread only, and all open descriptors. Segments stay open and
/// shared, and their objects may be used at once; mutexes that the parent holds are not the child's. No exit handler
/// runs and stdio is not flushed: call fflush(stdout) before the fork, and in `entry` before it returns.
///
/// In a child of a threaded parent, POSIX allows only async-signal-safe functions, for a lock that another thread
/// held at that moment stays locked there. The functions of this library for mutexes and queues may be used. Best
/// fork before starting threads. This is a fork(): never use the library in a vfork() child or one with CLONE_VM.
///
/// @return 0; EAGAIN, ENOMEM, EMFILE, ENFILE: a limit of the system; ENOTSUP: no pidfd (before Linux 5.4, or a
/// sandbox); EINVAL: process or entry is NULL; ECHILD: killed and reaped by other code before it began. After an
/// error there is no child, and entry has not run.
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_fork(
    process: *mut interproc_process_t,
    name: *const c_char,
    entry: interproc_process_entry_t,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let handle = output(process, "process")?;
        let entry = entry.ok_or_else(|| invalid("entry is NULL"))?;
        let mut builder = Builder::new();
        if !name.is_null() {
            builder = builder.name(text(name, "name")?);
        }
        let child = builder.fork_fn(entry, argument)?;
        handle.set(interproc_process_t { private_: Box::into_raw(Box::new(child)).cast(), reserved: 0 });
        Ok(())
    })
}

/// The child's process id. After its join the number may name another process.
///
/// @return 0; EINVAL: a NULL, or closed.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_pid(process: *const interproc_process_t, pid: *mut i32) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let pid = output(pid, "pid")?;
        pid.set(child(process)?.pid() as i32);
        Ok(())
    })
}

/// Waits until the child has ended, reaps it, and says how it ended. `end` may be NULL.
///
/// The handle still has to be closed.
///
/// @return 0; ECHILD: ended, and its status was taken by other code or lost because SIGCHLD is ignored; EPERM: the
/// child is not this process's but its parent's; EINVAL: process is NULL or closed.
///
/// Thread-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_join(
    process: *const interproc_process_t,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        give(child(process)?.join()?, end);
        Ok(())
    })
}

/// As interproc_process_join() if the child has ended; never waits.
///
/// @return As interproc_process_join(), and EBUSY: the child still runs.
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_tryjoin(
    process: *const interproc_process_t,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        give(child(process)?.try_join()?.ok_or(ErrorKind::WouldBlock)?, end);
        Ok(())
    })
}

/// As interproc_process_join(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after().
///
/// @return As interproc_process_join(), and ETIMEDOUT: the child still runs. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_timedjoin(
    process: *const interproc_process_t,
    abstime: *const libc::timespec,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let until = deadline(abstime)?;
        give(child(process)?.join_until(until)?, end);
        Ok(())
    })
}

/// Whether the child has not ended yet. A zombie is not alive; a stopped process is.
///
/// @return 0; EINVAL: a NULL, or closed.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_is_alive(
    process: *const interproc_process_t,
    is_alive: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let is_alive = output(is_alive, "is_alive")?;
        is_alive.set(child(process)?.is_alive());
        Ok(())
    })
}

/// Asks the child to end: SIGTERM, which it may handle or ignore. One that has ended already is no error.
///
/// @return 0; EPERM: not this process's child, or it has changed its user; EINVAL: NULL or closed.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_terminate(process: *const interproc_process_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { child(process) }?.terminate())
}

/// Ends the child for certain: SIGKILL. One that has ended already is no error.
///
/// @return As interproc_process_terminate().
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_kill(process: *const interproc_process_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { child(process) }?.kill())
}

/// The child's pidfd, which polls readable when the child has ended. It stays the handle's: do not close it. It is
/// close-on-exec.
///
/// @return 0; EINVAL: a NULL, or closed.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_fd(process: *const interproc_process_t, fd: *mut c_int) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let fd = output(fd, "fd")?;
        fd.set(child(process)?.as_fd().as_raw_fd());
        Ok(())
    })
}

/// Frees the handle. A child that runs goes on running; it stays ours to reap, and every later fork, join or close of
/// a child by this process reaps it when it has ended.
///
/// @return 0; EINVAL: NULL, or closed already.
///
/// Not to be called while another thread uses the handle; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_close(process: *mut interproc_process_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        child(process)?;
        let made = core::mem::replace(&mut (*process).private_, null_mut());
        // Made by `interproc_process_fork`, not yet closed, and used by nobody else.
        drop(Box::from_raw(made.cast::<Child>()));
        Ok(())
    })
}
