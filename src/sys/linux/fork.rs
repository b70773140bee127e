//! fork, and the gate behind which the child waits until the parent holds its pidfd.
//!
//! Why libc's `fork` and then `pidfd_open`, and not `clone3(CLONE_PIDFD)`: only libc's fork runs the atfork
//! handlers, frees malloc's and stdio's locks, renews the cached thread id and registers the robust list of the
//! child. A raw clone leaves libc believing that it is still the parent.
//!
//! Between the two calls the number could only name another process if the child had died *and* been reaped by
//! foreign code (a `waitpid(-1)`, an ignored SIGCHLD). The child cannot die of itself there: it waits at the gate.
//! If something kills it there, `admit` sees that the descriptor names no child of ours and refuses.
//!
//! | what happens at the gate | what the child does |
//! |---|---|
//! | the parent holds the pidfd and writes one byte | passes |
//! | the parent fails (no descriptor left) | killed and reaped; its code never ran |
//! | the parent dies | its pidfd becomes readable: exits, its code never runs |
//! | another thread of the parent calls exec | the pipe is closed by it: exits, its code never runs |

use super::call::{checked, retried};
use super::pidfd::{self, owned, poll, readable};
use core::ffi::{CStr, c_int};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Made before the fork; each side consumes its copy.
pub struct Gate {
    read: OwnedFd,
    write: OwnedFd,
    /// The parent, watched by the child: a sibling forked at the same time by another thread keeps a copy of
    /// `write` open, so that the end of the pipe alone would not tell that the parent is dead.
    parent: OwnedFd,
}

impl Gate {
    /// A closed gate in front of a child of the calling process.
    pub fn new() -> Result<Self, i32> {
        // SAFETY: getpid cannot fail.
        let parent = pidfd::open(unsafe { libc::getpid() })?;
        let mut ends = [0; 2];
        // SAFETY: two descriptors fit.
        checked(|| unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
        Ok(Gate { read: owned(ends[0]), write: owned(ends[1]), parent })
    }

    /// The child's side: waits for the parent. False when the parent gave up, died or called exec. Only system
    /// calls, and no descriptor of the gate is left open.
    pub fn pass(self) -> bool {
        let Gate { read, write, parent } = self;
        drop(write);
        let mut fds = [readable(read.as_fd()), readable(parent.as_fd())];
        // Only a byte makes the pipe readable; its end is POLLHUP alone.
        poll(&mut fds, None).is_ok() && fds[0].revents & libc::POLLIN != 0
    }

    /// The parent's side: takes the child's pidfd and lets it pass. On an error the child is gone, and reaped
    /// unless foreign code did that (`ECHILD`).
    pub fn admit(self, child: c_int) -> Result<OwnedFd, i32> {
        match pidfd::open(child) {
            Ok(fd) if pidfd::is_our_child(fd.as_fd()) => {
                let write = self.write.as_raw_fd();
                // SAFETY: one readable byte. No SIGPIPE: our own copy of the reading end is still open.
                retried(|| unsafe { libc::write(write, c"g".as_ptr().cast(), 1) as i64 })?;
                Ok(fd)
            }
            // Killed from outside while it waited, and reaped by somebody else: the number is no longer ours.
            Ok(_) | Err(libc::ESRCH) => Err(libc::ECHILD),
            Err(errno) => {
                // SAFETY: the child waits at the gate, unreaped, so the number still names it.
                let _ = checked(|| unsafe { libc::kill(child, libc::SIGKILL) });
                // SAFETY: a null status is allowed.
                let _ = retried(|| unsafe { libc::waitpid(child, core::ptr::null_mut(), 0) });
                Err(errno)
            }
        }
    }
}

/// libc's fork: 0 in the child, the child's id in the parent.
///
/// # Safety
/// The child has one thread. It must not return into frames that belong to the parent, nor rely on locks that
/// other threads of the parent may have held.
pub unsafe fn fork() -> Result<c_int, i32> {
    // SAFETY: by the contract.
    checked(|| unsafe { libc::fork() })
}

/// Names the calling thread; in a new child, the process. The kernel keeps 15 bytes.
pub fn set_name(name: &CStr) {
    // SAFETY: a C string that outlives the call.
    let _ = checked(|| unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) });
}

/// Ends the process now: no exit handlers, no flushing, no destructors.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: always sound; the call does not return.
    unsafe { libc::_exit(c_int::from(code)) }
}
