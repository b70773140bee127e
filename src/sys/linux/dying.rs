//! Whether a dying process can still write to shared memory.
//!
//! The kernel ends a process thread by thread: each thread stops when it next leaves the kernel, and the kernel marks its
//! robust list then. So when one thread's mark is seen, another thread may still be in a `read` into the shared bytes. That
//! thread is *doomed*: a SIGKILL is pending for it (whatever the cause: a fatal signal, an exit of the process, an exec by
//! another thread; the kernel sets it for all threads before the first one goes), and it is not yet exiting (`PF_EXITING`).
//! Once it is exiting, it writes no more. In a process that lives on after one of its threads has ended, no thread is
//! doomed.
//!
//! The question takes ids of the caller's own PID namespace and a /proc that shows it. Without them the answer is no: there
//! a thread's own mark must be enough. A process at its limit of descriptors cannot ask either, but waits a little.

use super::call::{KeepErrno, checked, retried};
use super::task::{self, decimal};
use crate::time::Deadline;
use core::ffi::{CStr, c_int};
use core::sync::atomic::{AtomicU64, Ordering};

/// The flag of a thread on its way out (`PF_EXITING`).
const EXITING: u64 = 4;
const KILLED: u64 = 1 << (libc::SIGKILL - 1);
/// Fields of a stat file, counted from the one after the name.
const FLAGS: usize = 6;
const PENDING: usize = 28;
/// The link count of a directory with a single thread's entry.
const ONE_THREAD: u64 = 3;
/// The longest sleep for a dying process. When its last thread goes, the kernel ends the sleep.
const NAP_NS: u64 = 5_000_000;
/// A caller that cannot ask waits so often, 50 ms in all: a thread that ends in a process that lives on looks the same.
const BLIND_NAPS: u32 = 50;
const BLIND_NAP_NS: libc::c_long = 1_000_000;

/// In the lower half the PID namespace that /proc shows, if it is the caller's own, else 0; in the upper half the process
/// that asked.
static SHOWN: AtomicU64 = AtomicU64::new(0);

/// The PID namespace that /proc shows, if it is the caller's own, else 0. It is determined once a process (three system
/// calls and a longer text), when a thread joins a segment, so that no heir waits for it.
pub fn shown_namespace() -> u64 {
    let pid = task::pid();
    let seen = SHOWN.load(Ordering::Relaxed);
    if (seen >> 32) as u32 == pid {
        return seen & u64::from(u32::MAX);
    }
    let shown = matches!(task::proc_shows_own_namespace(), Ok(true));
    let namespace = if shown { task::pid_namespace() } else { 0 };
    let namespace = u32::try_from(namespace).unwrap_or(0);
    SHOWN.store(u64::from(pid) << 32 | u64::from(namespace), Ordering::Relaxed);
    namespace.into()
}

/// For a forked child, which may be in another namespace and have its parent's number there.
pub fn forget_namespace() {
    SHOWN.store(0, Ordering::Relaxed);
}

/// Whether any thread of process `pid` in this PID namespace, except the dead thread `tid`, is [doomed](self).
#[cold]
pub fn can_still_write(pid: u32, tid: u32, namespace: u64) -> bool {
    let _errno = KeepErrno::new();
    // In our own process: if the others were doomed, so would be the caller.
    if pid == 0 || pid == task::pid() || namespace == 0 || namespace != shown_namespace() {
        return false;
    }
    let path = Path::of(pid);
    // The leader is listed longest: if it is alone, it is the dead one itself.
    match links(path.text()) {
        None => return false, // gone for good, or hidden from us
        Some(ONE_THREAD) if tid == pid => return false,
        Some(_) => {}
    }
    let mut thread = path;
    match task::any_number_in(path.text(), |name| name != tid && is_doomed(thread.of_thread(name))) {
        Err(libc::EMFILE | libc::ENFILE) => {
            let_it_end(&path);
            false
        }
        doomed => doomed.unwrap_or(false),
    }
}

/// For a caller without a free descriptor: gives a process that may be dying the time that it usually needs.
#[cold]
fn let_it_end(path: &Path) {
    for _ in 0..BLIND_NAPS {
        if links(path.text()).is_none() {
            return;
        }
        let nap = libc::timespec { tv_sec: 0, tv_nsec: BLIND_NAP_NS };
        // SAFETY: a valid time; the remaining time is not asked for.
        let _ = checked(|| unsafe {
            libc::syscall(libc::SYS_nanosleep, &raw const nap, core::ptr::null_mut::<libc::timespec>())
        });
    }
}

/// Sleeps until the process has ended, or for at most 5 ms.
#[cold]
pub fn await_end(pid: u32, deadline: Option<Deadline>) {
    let _errno = KeepErrno::new();
    let left = deadline.map_or(NAP_NS, |d| {
        d.as_monotonic_ns().saturating_sub(Deadline::now().as_monotonic_ns()).min(NAP_NS)
    });
    let time = libc::timespec { tv_sec: 0, tv_nsec: left as libc::c_long };
    // SAFETY: takes two integers.
    let fd = retried(|| unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) });
    let mut poll = libc::pollfd { fd: fd.unwrap_or(-1) as c_int, events: libc::POLLIN, revents: 0 };
    // Without a descriptor (no such call, or the process is gone) this only sleeps.
    let nap = libc::timespec { tv_sec: 0, tv_nsec: (left / 10) as libc::c_long };
    let time = if fd.is_ok() { time } else { nap };
    // SAFETY: one entry and a time, both valid for the call; no signal mask.
    let _ = checked(|| unsafe {
        libc::syscall(
            libc::SYS_ppoll,
            &raw mut poll,
            1usize,
            &raw const time,
            core::ptr::null::<u8>(),
            8usize,
        )
    });
    if let Ok(fd) = fd {
        // SAFETY: the descriptor is ours.
        let _ = checked(|| unsafe { libc::syscall(libc::SYS_close, fd) });
    }
}

fn is_doomed(stat: &CStr) -> bool {
    let mut text = task::text::<1024>();
    // A thread that is gone is not doomed.
    let Ok(text) = task::read_start(stat, &mut text) else { return false };
    let field = |nth| task::stat_field(text, nth).and_then(task::number).unwrap_or(0);
    field(FLAGS) & EXITING == 0 && field(PENDING) & KILLED != 0
}

/// The links of a directory.
fn links(path: &CStr) -> Option<u64> {
    // SAFETY: all-zero is a valid `struct stat`, and the path is a C string.
    unsafe {
        let mut st: libc::stat = core::mem::zeroed();
        checked(|| libc::stat(path.as_ptr(), &raw mut st)).ok()?;
        Some(st.st_nlink as u64)
    }
}

/// "/proc/PID/task", and on to a thread's stat file.
#[derive(Clone, Copy)]
struct Path {
    bytes: [u8; 64],
    /// Where the name of the directory ends.
    end: usize,
}

impl Path {
    fn of(pid: u32) -> Path {
        let mut path = Path { bytes: [0; 64], end: 0 };
        path.put(b"/proc/");
        path.put(decimal(pid, &mut [0; 10]));
        path.put(b"/task");
        path
    }

    fn put(&mut self, bytes: &[u8]) {
        // 64 bytes hold two numbers and what is between them.
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }

    fn of_thread(&mut self, tid: u32) -> &CStr {
        let end = self.end;
        self.bytes[end..].fill(0);
        self.put(b"/");
        self.put(decimal(tid, &mut [0; 10]));
        self.put(b"/stat");
        self.end = end;
        self.text()
    }
}

/// Whether no other thread of the calling process can run the program's code; exiting threads do not count. `None` where
/// the kernel does not say.
#[cfg(feature = "std")]
pub fn runs_alone() -> Option<bool> {
    let _errno = KeepErrno::new();
    match links(c"/proc/self/task") {
        Some(ONE_THREAD) => return Some(true),
        Some(_) => {}
        // Without /proc: leaving the thread group is refused beside other threads, and does nothing where there are none.
        // SAFETY: takes an integer.
        None => match checked(|| unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_THREAD) }) {
            Ok(_) => return Some(true),
            Err(libc::EINVAL) => return Some(false),
            Err(_) => return None,
        },
    }
    // A joined thread may still be listed for a moment.
    let mut path = Path { bytes: [0; 64], end: 0 };
    path.put(b"/proc/self/task");
    let mut running = 0;
    let others = task::any_number_in(c"/proc/self/task", |tid| {
        let mut text = task::text::<1024>();
        let flags = task::read_start(path.of_thread(tid), &mut text)
            .and_then(|text| task::number(task::stat_field(text, FLAGS)?));
        running += u32::from(flags.is_ok_and(|flags| flags & EXITING == 0));
        running > 1 // the caller is one
    });
    others.ok().map(|others| !others)
}
