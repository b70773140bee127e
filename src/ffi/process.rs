//! Child processes.

use super::segment::interproc_segment_t;
use super::time::deadline;
use super::{call, input, invalid, output, text};
use crate::error::{ErrorKind, Result};
use crate::process::{Builder, Child, ExitStatus, wait_all, wait_all_until, wait_any, wait_any_until};
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

/// A daemon child: it ends, at once and by SIGKILL, when this process ends, however that happens, and also when this
/// process becomes another program. Not when the thread ends that started it. Costs this process two descriptors.
pub const INTERPROC_PROCESS_DAEMON: u32 = 1;
/// As INTERPROC_PROCESS_DAEMON, for the child and all that it starts: it leads a process group, which is ended as a
/// whole. Also what is left of the group when the child has ended and its handle is closed.
pub const INTERPROC_PROCESS_DAEMON_GROUP: u32 = 2;
/// The child leads a process group of its own.
pub const INTERPROC_PROCESS_GROUP: u32 = 4;
/// The child leads a session of its own, and in it a process group.
pub const INTERPROC_PROCESS_SESSION: u32 = 8;
/// `nice` counts.
pub const INTERPROC_PROCESS_NICE: u32 = 16;
/// `umask` counts.
pub const INTERPROC_PROCESS_UMASK: u32 = 32;
/// A program gets none of this process's descriptors but 0, 1, 2 and those in `descriptors`.
pub const INTERPROC_PROCESS_CLOSE_OTHERS: u32 = 64;

/// A resource limit of a child: see setrlimit(2).
#[repr(C)]
pub struct interproc_process_limit_t {
    /// RLIMIT_NOFILE and the like.
    pub resource: i32,
    /// Zero.
    pub reserved: i32,
    /// What the kernel goes by; UINT64_MAX for no limit.
    pub soft: u64,
    /// Up to which the child may raise it.
    pub hard: u64,
}

/// A descriptor that a child gets.
#[repr(C)]
pub struct interproc_process_descriptor_t {
    /// This process's descriptor; -1: /dev/null.
    pub from: i32,
    /// The child's number of it. For forked children only 0, 1 and 2.
    pub to: i32,
}

/// A segment that a program gets; see interproc_segment_inherited().
#[repr(C)]
pub struct interproc_process_segment_t {
    /// By what the program asks for it.
    pub key: *const c_char,
    /// An open segment, which need have no name.
    pub segment: *const interproc_segment_t,
}

/// What a child shall be like. Start from INTERPROC_PROCESS_OPTIONS_INIT and set what differs: all zero is a child like
/// its parent.
///
///     interproc_process_options_t options = INTERPROC_PROCESS_OPTIONS_INIT;
///     options.flags = INTERPROC_PROCESS_DAEMON | INTERPROC_PROCESS_NICE;
///     options.nice = 10;
#[repr(C)]
pub struct interproc_process_options_t {
    /// INTERPROC_PROCESS_DAEMON and the like, or-ed together.
    pub flags: u32,
    /// The nice value, with INTERPROC_PROCESS_NICE.
    pub nice: i32,
    /// The mode bits that its files are made without, with INTERPROC_PROCESS_UMASK.
    pub umask: u32,
    /// Zero.
    pub reserved0: u32,
    /// What ps shows: of a forked child the first 15 bytes; of a program its argv[0]. NULL: that of the parent, or
    /// argv[0] as given.
    pub name: *const c_char,
    /// The working directory; NULL: that of the parent.
    pub directory: *const c_char,
    /// The processors that it may run on, by bit: 1 is the first one. 0: those of the parent.
    pub processors: u64,
    /// `limit_count` limits.
    pub limits: *const interproc_process_limit_t,
    /// How many.
    pub limit_count: usize,
    /// `descriptor_count` descriptors.
    pub descriptors: *const interproc_process_descriptor_t,
    /// How many.
    pub descriptor_count: usize,
    /// `segment_count` segments, for programs; a forked child has all that its parent has open.
    pub segments: *const interproc_process_segment_t,
    /// How many.
    pub segment_count: usize,
    /// Zero.
    pub reserved: [u64; 2],
}

/// What a child has used, from its start to its end, and those of its children that it had waited for.
#[repr(C)]
pub struct interproc_usage_t {
    /// Nanoseconds of processor time in its own code.
    pub user_ns: u64,
    /// Nanoseconds of processor time in the kernel.
    pub system_ns: u64,
    /// The most memory that it had in RAM at a time, in bytes.
    pub peak_memory: u64,
    /// Page faults without and with reading from a disk.
    pub page_faults: u64,
    /// Page faults that read from a disk.
    pub major_page_faults: u64,
    /// Zero.
    pub reserved: [u64; 3],
}

/// A handle for a new child.
pub(super) fn handle_of(child: Child) -> interproc_process_t {
    interproc_process_t { private_: Box::into_raw(Box::new(child)).cast(), reserved: 0 }
}

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
        handle.set(handle_of(child));
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

/// Sends any signal to the child; 0 sends none. One that has ended already is no error.
///
/// @return As interproc_process_terminate(); EINVAL also when there is no such signal.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_signal(
    process: *const interproc_process_t,
    signal: c_int,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { child(process) }?.send_signal(signal))
}

/// Sends a signal to all processes of the group that the child leads.
///
/// @return 0; ENOENT: it leads no group; ECHILD: it was joined or reaped, so its number may name another group; EPERM;
/// EINVAL.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_signal_group(
    process: *const interproc_process_t,
    signal: c_int,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { child(process) }?.signal_group(signal))
}

/// Asks the child to end (SIGTERM), gives it `grace_ns` nanoseconds to do so, then ends it (SIGKILL), and joins it. `end`
/// may be NULL.
///
/// @return As interproc_process_join().
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_terminate_within(
    process: *const interproc_process_t,
    grace_ns: u64,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        give(child(process)?.terminate_within(core::time::Duration::from_nanos(grace_ns))?, end);
        Ok(())
    })
}

/// What the child is doing, as ps shows it: R runs, S sleeps, D waits for a device, T stopped, t traced, Z ended and not
/// joined; - when it was joined.
///
/// @return 0; ENOTSUP: /proc is missing or shows another PID namespace; EINVAL: a NULL, or closed.
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_state(
    process: *const interproc_process_t,
    state: *mut c_char,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let state = output(state, "state")?;
        state.set(child(process)?.state()?.letter() as c_char);
        Ok(())
    })
}

/// What the child has used, once it was joined.
///
/// @return 0; EBUSY: it was not joined; EINVAL: a NULL, or closed.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_usage(
    process: *const interproc_process_t,
    usage: *mut interproc_usage_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let out = output(usage, "usage")?;
        let usage = child(process)?.usage().ok_or(ErrorKind::WouldBlock)?;
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

/// The children behind a list of handles.
///
/// # Safety
/// NULL, or `count` pointers as for `child`.
unsafe fn children<'a>(
    processes: *const *const interproc_process_t,
    count: usize,
) -> Result<std::vec::Vec<&'a Child>> {
    // SAFETY: by the contract.
    unsafe {
        if count > 0 {
            input(processes, "processes")?;
        }
        (0..count).map(|n| child(*processes.add(n))).collect()
    }
}

/// Waits until one of `count` children has ended: which one (its place in the list, from 0), and how. Joined ones count as
/// ended: leave them out. `end` may be NULL; `abstime` is an absolute time on CLOCK_MONOTONIC, NULL for as long as it takes.
///
/// @return 0; ETIMEDOUT: all still run; ECHILD: one was reaped by other code; EPERM: one is this process's parent's; EINVAL: a
/// NULL, closed, or count is 0.
///
/// Thread-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_wait_any(
    processes: *const *const interproc_process_t,
    count: usize,
    abstime: *const libc::timespec,
    index: *mut usize,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let index = output(index, "index")?;
        let children = children(processes, count)?;
        let (place, status) = match abstime.is_null() {
            true => wait_any(&children)?,
            false => wait_any_until(&children, deadline(abstime)?)?,
        };
        index.set(place);
        give(status, end);
        Ok(())
    })
}

/// Waits until all of `count` children have ended, with one time limit for all; `ends` has room for `count` results in
/// the same order, or is NULL. `abstime` is an absolute time on CLOCK_MONOTONIC, NULL for as long as it takes.
///
/// @return 0; ETIMEDOUT: one still runs, and none was told; otherwise as interproc_process_wait_any().
///
/// Thread-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_wait_all(
    processes: *const *const interproc_process_t,
    count: usize,
    abstime: *const libc::timespec,
    ends: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let children = children(processes, count)?;
        let all = match abstime.is_null() {
            true => wait_all(&children)?,
            false => wait_all_until(&children, deadline(abstime)?)?,
        };
        if !ends.is_null() {
            all.into_iter().enumerate().for_each(|(n, status)| ends.add(n).write(status.into()));
        }
        Ok(())
    })
}

/// Reaps the ended children among those whose handles were closed while they ran, and says how many; `count` may be NULL.
/// Never waits, and never takes a child that somebody still has a handle of or that other code started.
///
/// @return 0.
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_reap(count: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let reaped = crate::process::reap();
        if !count.is_null() {
            count.write(reaped);
        }
        Ok(())
    })
}

/// Whether the orphans among this process's descendants come to it instead of to init, from now on.
///
/// @return 0; EINVAL and the like in sandboxes that forbid it.
///
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn interproc_adopt_orphans(adopt: bool) -> c_int {
    call(|| crate::process::adopt_orphans(adopt))
}

/// Reaps the ended children of this process that nobody in it has a pidfd of: its adopted orphans. Left alone are the
/// `except_count` process ids in `except`: children that other code of this process waits for by number. Says how many;
/// `count` may be NULL. Never waits.
///
/// @return 0; ENOTSUP: /proc is missing or shows another PID namespace; EINVAL: except is NULL with a count.
///
/// Thread-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_reap_orphans(
    except: *const i32,
    except_count: usize,
    count: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        if except_count > 0 {
            input(except, "except")?;
        }
        let except: std::vec::Vec<u32> = (0..except_count).map(|n| *except.add(n) as u32).collect();
        let reaped = crate::process::reap_orphans(&except)?.len();
        if !count.is_null() {
            count.write(reaped);
        }
        Ok(())
    })
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

/// As interproc_process_close(), and a daemon child then no longer ends with this process.
///
/// @return As interproc_process_close().
///
/// Not to be called while another thread uses the handle; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_detach(process: *mut interproc_process_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        child(process)?;
        let made = core::mem::replace(&mut (*process).private_, null_mut());
        // Made by this library, not yet closed, and used by nobody else.
        Box::from_raw(made.cast::<Child>()).detach();
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
