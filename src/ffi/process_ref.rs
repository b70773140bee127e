//! Processes that need be no children.

use super::arguments::{answer, output};
use super::call;
use super::handle::{Boxed, boxed, close, open};
use super::lease::Pool;
use super::time::until;
use crate::error::{ErrorKind, Result};
use crate::process::Process;
use crate::time::Wait;
use core::ffi::{c_char, c_int, c_void};
use std::os::fd::AsRawFd;

/// A handle to any process (by pidfd, not by its pid): the kernel gives the pid to another process some time after this
/// one has ended. It need not be a child.
///
/// This is a local handle. interproc_process_ref_close() frees it. A plain copy of the structure is the same handle:
/// close only one of them.
///
///     interproc_process_ref_t server;
///     int rc = interproc_process_ref_find(&server, note->pid, note->start_time);
///     if (rc == ESRCH)
///         puts("it has ended; another process may have its number");
#[repr(C)]
pub struct interproc_process_ref_t {
    /// Private. NULL when closed.
    pub private_: *mut c_void,
    /// Private.
    pub reserved: u64,
}

/// What ps shows of a process.
#[repr(C)]
pub struct interproc_process_details_t {
    /// Its pid in this process's PID namespace.
    pub pid: i32,
    /// Its parent's; 0 when that is outside of the PID namespace.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// How many threads it has.
    pub threads: u32,
    /// Its nice value.
    pub nice: i32,
    /// Its start time in clock ticks since boot: together with the pid it identifies the process for good.
    pub start_time: u64,
    /// How many nanoseconds ago it began.
    pub age_ns: u64,
    /// Nanoseconds of processor time so far, its own and the kernel's.
    pub cpu_ns: u64,
    /// Memory that it has in RAM, in bytes.
    pub memory: u64,
    /// What it is doing, as ps shows it: R runs, S sleeps, D waits for a device, T stopped, t traced, Z ended and not
    /// joined.
    pub state: c_char,
    /// Its name, NUL-terminated.
    pub name: [c_char; 16],
    /// Zero.
    pub reserved: [c_char; 7],
}

// SAFETY: a pointer and a word.
unsafe impl Boxed for interproc_process_ref_t {
    type Object = Process;
    const NAME: &'static str = "process";
    const CLOSED: &'static str = "the handle is closed";
    fn pool() -> &'static Pool {
        static POOL: Pool = Pool::new();
        &POOL
    }
}

/// Fills a handle.
///
/// # Safety
/// NULL, or writable.
unsafe fn start(handle: *mut interproc_process_ref_t, open: impl FnOnce() -> Result<Process>) -> c_int {
    // SAFETY: by the contract.
    unsafe { answer(handle, "process", || boxed(open)) }
}

/// Opens the process that has this pid now; 0: the calling one.
///
/// @return 0; ESRCH: nobody has it; ENOTSUP: no pidfds (before Linux 5.4, or a sandbox), no /proc or one of another PID
/// namespace; EMFILE, ENFILE: no descriptor left; EINVAL: process is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_open(
    process: *mut interproc_process_ref_t,
    pid: i32,
) -> c_int {
    let open = || match u32::try_from(pid) {
        Ok(0) => Process::current(),
        Ok(pid) => Process::open(pid),
        Err(_) => Err(ErrorKind::NoProcess.into()),
    };
    // SAFETY: by C's contract.
    unsafe { start(process, open) }
}

/// Opens the process that has this pid if it began at `start_time`: one that was noted earlier by both (see
/// interproc_process_ref_details()).
///
/// @return As interproc_process_ref_open(); ESRCH also when another process has the pid now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_find(
    process: *mut interproc_process_ref_t,
    pid: i32,
    start_time: u64,
) -> c_int {
    let find = || Process::find(u32::try_from(pid).map_err(|_| ErrorKind::NoProcess)?, start_time);
    // SAFETY: by C's contract.
    unsafe { start(process, find) }
}

/// Opens the parent of the calling process, or the process that has adopted it.
///
/// @return As interproc_process_ref_open(); ESRCH: it is outside of this process's PID namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_parent(process: *mut interproc_process_ref_t) -> c_int {
    // SAFETY: by C's contract.
    unsafe { start(process, || Process::parent()?.ok_or(ErrorKind::NoProcess.into())) }
}

/// Whether it has not ended yet. A zombie is not alive; a stopped process is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_is_alive(
    process: *const interproc_process_ref_t,
    is_alive: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(is_alive, "is_alive", || Ok(open(process)?.is_alive())) }
}

/// Waits until `abstime` for its end. Only its parent learns how it ended.
///
/// @return 0; ETIMEDOUT: it still runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_wait_until(
    process: *const interproc_process_ref_t,
    abstime: *const libc::timespec,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        match until(abstime)? {
            Wait::Until(deadline) => open(process)?.wait_until(deadline),
            _ => open(process)?.wait(),
        }
    })
}

/// Sends a signal to this very process; 0 sends none. If it has ended, nothing happens.
///
/// @return 0; EPERM: not permitted, it is another user's; EINVAL also when there is no such signal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_signal(
    process: *const interproc_process_ref_t,
    signal: c_int,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { open(process)?.send_signal(signal) })
}

/// What ps shows of it.
///
/// @return 0; ESRCH: it was reaped; ENOTSUP: as interproc_process_ref_open().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_details(
    process: *const interproc_process_ref_t,
    details: *mut interproc_process_details_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let out = output(details, "details")?;
        let process = open(process)?;
        let details = process.details()?;
        let mut name = [0; 16];
        name.iter_mut().zip(details.name.bytes().take(15)).for_each(|(to, from)| *to = from as c_char);
        out.set(interproc_process_details_t {
            pid: process.pid() as i32,
            parent: details.parent as i32,
            group: details.group as i32,
            session: details.session as i32,
            threads: details.threads,
            nice: details.nice,
            start_time: process.start_time(),
            age_ns: details.age.as_nanos() as u64,
            cpu_ns: details.cpu_time.as_nanos() as u64,
            memory: details.memory,
            state: details.state.letter() as c_char,
            name,
            reserved: [0; 7],
        });
        Ok(())
    })
}

/// The pids of the processes whose parent it is now: at most `room` of them into `pids`, which may be NULL when `room`
/// is 0; `*found` becomes the number that there are. They are only numbers: open them, and ask for their parent, before
/// you rely on them.
///
/// @return 0; ESRCH: it was reaped; ENOTSUP: as interproc_process_ref_open().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_children(
    process: *const interproc_process_ref_t,
    pids: *mut i32,
    room: usize,
    found: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let found = output(found, "found")?;
        if room > 0 {
            output(pids, "pids")?;
        }
        let children = open(process)?.children()?;
        for (n, child) in children.iter().take(room).enumerate() {
            pids.add(n).write(child.pid() as i32);
        }
        found.set(children.len());
        Ok(())
    })
}

/// Its pidfd, which polls readable when it has ended. It stays the handle's: do not close it. It is close-on-exec.
///
/// @return 0; EBADF: the program has closed it behind the library's back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_fd(
    process: *const interproc_process_ref_t,
    fd: *mut c_int,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(fd, "fd", || Ok(open(process)?.pidfd()?.as_raw_fd())) }
}

/// Frees the handle.
///
/// @return 0; EINVAL: closed already.
///
/// Not while another thread uses the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_ref_close(process: *mut interproc_process_ref_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { close(process) }.map(drop))
}
