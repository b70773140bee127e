//! Processes by descriptor: a pidfd names one process for good, while a number may be reused.
//!
//! | call | contract |
//! |---|---|
//! | [`open`] | a close-on-exec descriptor for the process that has this number now; `ESRCH` when there is none |
//! | [`wait_ended`] | sleeps until the process has ended (all its threads), or the deadline; never reaps |
//! | [`collect`] | takes the status of an ended child, once; `Ok(None)` while there is none; `ECHILD` when it is not our child or was reaped elsewhere |
//! | [`Notices::next`] | sleeps until the kernel reports something new about the child to its parent |
//! | [`send`] | sends a signal to that very process; `ESRCH` once it was reaped |

use super::call::{checked, retried};
use super::own;
use crate::time::Deadline;
use core::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

/// How a child ended, as the status word of `waitpid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatus(pub c_int);

/// Makes a `Result` of a raw system call's return.
fn call(f: impl FnMut() -> libc::c_long) -> Result<c_int, i32> {
    retried(f).map(|n| n as c_int)
}

/// Takes over a descriptor that a system call has just made.
pub(super) fn owned(fd: c_int) -> OwnedFd {
    // SAFETY: the kernel has just handed out this number to the caller, so nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A descriptor for the process `pid`, close-on-exec.
pub fn open(pid: c_int) -> Result<OwnedFd, i32> {
    // SAFETY: pidfd_open takes two integers.
    call(|| unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).and_then(own::above_stdio).map(owned)
}

/// Another descriptor for the process `pid`, to compare with one that was lost. It works only where the kernel tells
/// processes' descriptors apart (Linux 6.9): elsewhere a reused number would pass for the same process.
pub fn open_again(pid: c_int) -> Result<c_int, i32> {
    const PID_FS: u64 = 0x5049_4446;
    let fd = open(pid)?;
    // SAFETY: all-zero is a valid `struct statfs`, which the call fills.
    let kind = unsafe {
        let mut fs: libc::statfs = core::mem::zeroed();
        checked(|| libc::fstatfs(fd.as_raw_fd(), &raw mut fs))?;
        fs.f_type as u64
    };
    if kind == PID_FS { Ok(fd.into_raw_fd()) } else { Err(libc::EBADF) }
}

/// Sends `signal` to the process.
pub fn send(fd: BorrowedFd<'_>, signal: c_int) -> Result<(), i32> {
    let (fd, info) = (fd.as_raw_fd(), core::ptr::null::<libc::siginfo_t>());
    // SAFETY: a null siginfo asks the kernel to fill in what kill(2) would.
    call(|| unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) }).map(drop)
}

/// `options`: WNOHANG, WNOWAIT.
fn wait(which: Which<'_>, options: c_int) -> Result<Option<Ended>, i32> {
    let (kind, id) = match which {
        Which::Fd(fd) => (libc::P_PIDFD, fd.as_raw_fd()),
        Which::Number(pid) => (libc::P_PID, pid),
    };
    // SAFETY: all-zero is a valid siginfo_t and a valid rusage; the kernel writes each whole or not at all; the pid and
    // status fields are the ones that a SIGCHLD siginfo has, zero when there is no status.
    unsafe {
        let mut info: libc::siginfo_t = core::mem::zeroed();
        let mut usage: libc::rusage = core::mem::zeroed();
        let options = libc::WEXITED | options;
        // libc's wrapper does not return the usage.
        call(|| libc::syscall(libc::SYS_waitid, kind, id, &raw mut info, options, &raw mut usage))?;
        if info.si_pid() == 0 {
            return Ok(None);
        }
        let status = info.si_status();
        let status = WaitStatus(match info.si_code {
            libc::CLD_EXITED => (status & 0xff) << 8,
            libc::CLD_DUMPED => status | CORE_DUMPED,
            _ => status,
        });
        Ok(Some(Ended { status, usage }))
    }
}

/// Sends a signal to a process group; `ESRCH` when there is none with this number.
pub fn send_to_group(group: c_int, signal: c_int) -> Result<(), i32> {
    if group <= 1 {
        return Err(libc::ESRCH); // 0 and -1 have other meanings
    }
    // SAFETY: takes integers.
    checked(|| unsafe { libc::kill(-group, signal) }).map(drop)
}

/// A child by descriptor, or by a number that is known to be a child's.
#[derive(Clone, Copy)]
enum Which<'a> {
    Fd(BorrowedFd<'a>),
    Number(c_int),
}

/// How a child ended, and what it used.
#[derive(Clone, Copy)]
pub struct Ended {
    /// How it ended.
    pub status: WaitStatus,
    /// What it used, and those of its children that it waited for.
    pub usage: libc::rusage,
}

/// The bit of a wait status that says that a core was dumped.
const CORE_DUMPED: c_int = 0x80;

/// Takes the status of the ended child, which is then no zombie any more. Never sleeps.
pub fn collect(fd: BorrowedFd<'_>) -> Result<Option<Ended>, i32> {
    wait(Which::Fd(fd), libc::WNOHANG)
}

/// As [`collect`], but sleeps until the child has ended. Of several threads one gets the status, the others `ECHILD`.
pub fn await_and_collect(fd: BorrowedFd<'_>) -> Result<Option<Ended>, i32> {
    wait(Which::Fd(fd), 0)
}

/// As [`collect`], for a child without a descriptor. The number must be that of an unreaped child.
pub fn collect_number(pid: c_int) -> Result<Option<Ended>, i32> {
    wait(Which::Number(pid), libc::WNOHANG)
}

/// Whether this is the number of a child of ours that has ended and that nobody has reaped.
pub fn number_has_ended(pid: c_int) -> Result<bool, i32> {
    match wait(Which::Number(pid), libc::WNOHANG | libc::WNOWAIT) {
        Ok(ended) => Ok(ended.is_some()),
        Err(libc::ECHILD) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Checks that the process is a child of ours that nobody has reaped; `ECHILD`: it is not.
pub fn is_our_child(fd: BorrowedFd<'_>) -> Result<(), i32> {
    wait(Which::Fd(fd), libc::WNOHANG | libc::WNOWAIT).map(drop)
}

/// One `ppoll` over `fds` until the deadline; `Ok(false)` when it has passed and none was ready.
pub fn poll(fds: &mut [libc::pollfd], deadline: Option<Deadline>) -> Result<bool, i32> {
    loop {
        let left = deadline.map(|d| {
            let left = d.remaining();
            // A deadline at the end of time has more seconds than the kernel accepts on some ABIs.
            let seconds = left.as_secs().min(i32::MAX as u64);
            libc::timespec { tv_sec: seconds as _, tv_nsec: left.subsec_nanos() as _ }
        });
        let left = left.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: the array is writable for its length; the time, if any, outlives the call.
        let ready = checked(|| unsafe {
            libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, left, core::ptr::null())
        });
        match ready {
            // A signal handler ran: sleep on for the time that is left.
            Err(libc::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(0) if deadline.is_some_and(|d| !d.has_passed()) => {}
            Ok(n) => return Ok(n > 0),
        }
    }
}

/// A poll entry that waits until the descriptor is readable.
pub fn readable(fd: BorrowedFd<'_>) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Sleeps until the process has ended; `Ok(false)` when the deadline passed first.
pub fn wait_ended(fd: BorrowedFd<'_>, deadline: Option<Deadline>) -> Result<bool, i32> {
    poll(&mut [readable(fd)], deadline)
}

/// Edge-triggered notices about children. A child that has ended while *another* process traces it stays
/// readable but cannot be collected before that tracer has seen it: level-triggered polling would spin.
pub struct Notices(OwnedFd);

impl Notices {
    /// Starts to listen; a child that has already ended gives the first notice.
    #[cold]
    pub fn of<'a>(children: impl IntoIterator<Item = BorrowedFd<'a>>) -> Result<Self, i32> {
        // SAFETY: takes one flag.
        let epoll = owned(checked(|| unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?);
        for child in children {
            let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
            let (set, fd) = (epoll.as_raw_fd(), child.as_raw_fd());
            // SAFETY: both descriptors are open and the event outlives the call.
            match checked(|| unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &raw mut event) }) {
                Ok(_) | Err(libc::EEXIST) => {} // the same child twice
                Err(errno) => return Err(errno),
            }
        }
        Ok(Notices(epoll))
    }

    /// Sleeps until the next notice; `Ok(false)` when the deadline passed first.
    pub fn next(&self, deadline: Option<Deadline>) -> Result<bool, i32> {
        if !poll(&mut [readable(self.0.as_fd())], deadline)? {
            return Ok(false);
        }
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let fd = self.0.as_raw_fd();
        // SAFETY: one event fits; the zero time-out never sleeps. It consumes the notice, so that the next poll sleeps.
        retried(|| unsafe { libc::epoll_wait(fd, &raw mut event, 1, 0) }).map(|_| true)
    }
}
