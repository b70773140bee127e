//! A child that shares its parent's memory until it becomes another program. It starts as fast from a large parent as from
//! a small one.
//!
//! It works as `posix_spawn` does: `clone(CLONE_VM | CLONE_VFORK)` on a separate stack, while the calling thread sleeps in
//! the kernel. `CLONE_PIDFD` returns the descriptor in the same step, so no number is ever looked up. libc's state stays
//! right because the child does not use it: it makes only system calls, shares its parent's memory, and has the sleeping
//! thread's thread-local storage.
//!
//! | what could go wrong in shared memory | why it does not |
//! |---|---|
//! | a signal handler runs in the child and changes the parent's memory | all signals are blocked from before the clone until no handler is left |
//! | a pending cancellation of the thread acts in the child | it is deferred together with the signals |
//! | the child changes `errno` | the caller's value is restored |
//! | the parent is killed meanwhile | the memory lives as long as one of the two; the child goes on |
//! | other threads of the parent run on | the child reads only what the calling thread prepared for it |
//!
//! Rejected: `clone3` by inline assembly for `CLONE_CLEAR_SIGHAND` (saves 64 system calls of 0.1 µs, next to an exec of
//! half a millisecond; needs assembly for each architecture). `posix_spawn` itself: no pidfd, no limits, no working
//! directory before glibc 2.29, no report of the step that failed.

use super::call::{KeepErrno, checked};
use super::fork::exit_now;
use super::memory;
use super::own;
use super::own::copy_above;
use super::pidfd::owned;
use super::task::SignalsBlocked;
use core::ffi::{c_int, c_void};
use std::os::fd::OwnedFd;

/// Enough for the child's few frames; the lowest page faults.
const STACK: usize = 64 << 10;

struct Job<'a> {
    body: &'a mut dyn FnMut(),
    mask: *const libc::sigset_t,
}

/// Runs `body`, which ends in exec, in a new child that shares this memory; returns when the child has called exec or has
/// ended. If `body` returns, the child exits with code 127.
///
/// # Safety
/// `body` makes only system calls: no allocation, no lock, no panic, and nothing of this library that is not made for it.
pub unsafe fn vfork(body: &mut dyn FnMut()) -> Result<(c_int, OwnedFd), i32> {
    let _errno = KeepErrno::new();
    let stack = memory::stack(STACK)?;
    let signals = SignalsBlocked::new();
    let mut job = Job { body, mask: signals.before() };
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the stack and the job outlive the child's use of them, for the parent sleeps until its exec or end;
    // the stack's top is aligned; the descriptor is written where it says.
    let pid = unsafe {
        let top = stack.as_ptr().add(STACK).cast();
        let pid = checked(|| libc::clone(child, top, flags, (&raw mut job).cast(), &raw mut pidfd));
        memory::unmap(stack, STACK);
        pid
    };
    drop(signals);
    pid.map(|pid| {
        // If there is no free number above, it stays where it is, because the child already runs.
        let above = if pidfd < 3 { copy_above(pidfd, 3) } else { Err(0) };
        let moved = above.inspect(|_| own::close(pidfd));
        (pid, owned(moved.unwrap_or(pidfd)))
    })
}

extern "C" fn child(job: *mut c_void) -> c_int {
    // SAFETY: the job of the sleeping parent.
    let job = unsafe { &mut *job.cast::<Job>() };
    reset_handlers();
    // SAFETY: a valid set. No handler is left.
    let _ = checked(|| unsafe { libc::sigprocmask(libc::SIG_SETMASK, job.mask, core::ptr::null_mut()) });
    (job.body)();
    exit_now(127)
}

/// The kernel's `struct sigaction`, which differs from libc's.
#[repr(C)]
#[derive(Clone, Copy)]
struct Action {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Resets each signal with a handler to its default action, as exec would; ignored signals stay ignored, except SIGPIPE,
/// which Rust's runtime ignores unasked. By direct system calls, because libc hides the two signals that it uses itself;
/// those are ignored meanwhile, because another thread may just be sending them.
fn reset_handlers() {
    let action = |signal: c_int, new: *const Action, old: *mut Action| {
        // SAFETY: the structures outlive the call.
        checked(|| unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, 8usize) })
    };
    for signal in 1..=64 {
        let mut now = Action { handler: 0, flags: 0, restorer: 0, mask: 0 };
        if action(signal, core::ptr::null(), &raw mut now).is_err() || now.handler == libc::SIG_DFL {
            continue;
        }
        if now.handler == libc::SIG_IGN && signal != libc::SIGPIPE {
            continue;
        }
        let handler = if matches!(signal, 32 | 33) { libc::SIG_IGN } else { libc::SIG_DFL };
        let new = Action { handler, flags: 0, restorer: 0, mask: 0 };
        let _ = action(signal, &raw const new, core::ptr::null_mut());
    }
}
