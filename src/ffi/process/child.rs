//! One child, from its start to its end.

use super::{interproc_exit_t, interproc_process_entry_t, interproc_process_t, interproc_usage_t};
use crate::error::ErrorKind;
use crate::ffi::arguments::{answer, output, tell, text};
use crate::ffi::handle::{boxed, open};
use crate::ffi::time::until;
use crate::ffi::{call, call_out, invalid};
use crate::process::Builder;
use crate::time::Wait;
use core::ffi::{c_char, c_int, c_void};

/// Starts a child process that runs `entry(argument)` and ends by _exit() with its result. `name` is what ps shows (the
/// first 15 bytes); NULL inherits the parent's.
///
/// The child has a copy of the memory, of the calling thread only, and all open descriptors. Segments stay open and
/// shared, and their objects may be used at once; mutexes that the parent holds are not the child's. No exit handler
/// runs and stdio is not flushed: call fflush(stdout) before the fork, and in `entry` before it returns. An exception
/// or a cancellation that leaves `entry` ends the child by SIGABRT.
///
/// In a child of a threaded parent, POSIX allows only async-signal-safe functions, for a lock that another thread held
/// at that moment stays locked there. The functions of this library for mutexes and queues may be used. Best fork
/// before starting threads. This is a fork(): never use the library in a vfork() child or one with CLONE_VM.
///
/// @return 0; EAGAIN, ENOMEM, EMFILE, ENFILE: a limit of the system; ENOTSUP: no pidfd (before Linux 5.4, or a
/// sandbox); EINVAL: process or entry is NULL; ECHILD: killed and reaped by other code before it began. After an error
/// there is no child, and entry has not run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_fork(
    process: *mut interproc_process_t,
    name: *const c_char,
    entry: interproc_process_entry_t,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    call_out(|deferred| unsafe {
        let process = output(process, "process")?;
        let entry = entry.ok_or_else(|| invalid("entry is NULL"))?;
        let mut builder = Builder::new();
        if !name.is_null() {
            builder = builder.name(text(name, "name")?);
        }
        let started = || {
            builder.fork_unchecked(|| {
                deferred.lift();
                entry(argument)
            })
        };
        process.set(boxed(started)?);
        Ok(())
    })
}

/// The child's process id. After its join the number may name another process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_pid(process: *const interproc_process_t, pid: *mut i32) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(pid, "pid", || Ok(open(process)?.pid() as i32)) }
}

/// Waits until the child has ended, reaps it, and says how it ended. `end` may be NULL. The handle still has to be
/// closed.
///
/// @return 0; ECHILD: ended, and its status was taken by other code or lost because SIGCHLD is ignored; EPERM: the
/// child is not this process's but its parent's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_join(
    process: *const interproc_process_t,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        tell(end, open(process)?.join()?.into());
        Ok(())
    })
}

/// As interproc_process_join(), until `abstime`: then ETIMEDOUT, and the child still runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_join_until(
    process: *const interproc_process_t,
    abstime: *const libc::timespec,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        tell(
            end,
            match until(abstime)? {
                Wait::Until(deadline) => open(process)?.join_until(deadline),
                _ => open(process)?.join(),
            }?
            .into(),
        );
        Ok(())
    })
}

/// Whether the child has not ended yet. A zombie is not alive; a stopped process is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_is_alive(
    process: *const interproc_process_t,
    is_alive: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(is_alive, "is_alive", || Ok(open(process)?.is_alive())) }
}

/// Asks the child to end: SIGTERM, which it may handle or ignore. If it has ended, nothing happens.
///
/// @return 0; EPERM: not this process's child, or it has changed its user.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_terminate(process: *const interproc_process_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { open(process) }?.terminate())
}

/// Kills the child: SIGKILL. If it has ended, nothing happens.
///
/// @return As interproc_process_terminate().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_kill(process: *const interproc_process_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { open(process) }?.kill())
}

/// Sends any signal to the child; 0 sends none. If it has ended, nothing happens.
///
/// @return As interproc_process_terminate(); EINVAL also when there is no such signal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_signal(
    process: *const interproc_process_t,
    signal: c_int,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { open(process) }?.send_signal(signal))
}

/// Sends a signal to all processes of the group that the child leads.
///
/// @return 0; ESRCH: it leads no group; ECHILD: it was joined or reaped, so its number may name another group; EPERM;
/// EINVAL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_signal_group(
    process: *const interproc_process_t,
    signal: c_int,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { open(process) }?.signal_group(signal))
}

/// Asks the child to end (SIGTERM), kills it (SIGKILL) if it still runs at `abstime`, and joins it. `end` may be NULL.
///
/// @return As interproc_process_join_until(), but never ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_terminate_until(
    process: *const interproc_process_t,
    abstime: *const libc::timespec,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let child = open(process)?;
        let status = match until(abstime)? {
            Wait::Until(deadline) => child.terminate_until(deadline)?,
            _ => child.terminate().and_then(|()| child.join())?,
        };
        tell(end, status.into());
        Ok(())
    })
}

/// What the child is doing, as ps shows it: R runs, S sleeps, D waits for a device, T stopped, t traced, Z ended and
/// not joined; - when it was joined.
///
/// @return 0; ENOTSUP: /proc is missing or shows another PID namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_state(
    process: *const interproc_process_t,
    state: *mut c_char,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(state, "state", || Ok(open(process)?.state()?.letter() as c_char)) }
}

/// What the child has used, once it was joined.
///
/// @return 0; EBUSY: it was not joined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_usage(
    process: *const interproc_process_t,
    usage: *mut interproc_usage_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let out = output(usage, "usage")?;
        let usage = open(process)?.usage().ok_or(ErrorKind::WouldBlock)?;
        out.set(interproc_usage_t {
            user_ns: usage.user_time.as_nanos() as u64,
            system_ns: usage.system_time.as_nanos() as u64,
            peak_memory: usage.peak_memory,
            page_faults: usage.page_faults,
            major_page_faults: usage.major_page_faults,
            reserved: [0; 3],
        });
        Ok(())
    })
}
