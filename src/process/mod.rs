//! Child processes, from fork to reaping; daemons; other processes on the machine.
//!
//! A child is forked to run a closure or a C function, or spawned as a program. It is held by a pidfd from its first moment
//! and never left as a zombie. There is no helper thread, no SIGCHLD handler and no polling loop.
//!
//! | you want | use |
//! |---|---|
//! | a child that runs a closure | [`fork`], [`Builder::fork`] |
//! | a child that gets the end of a pipe | [`Builder::fork_giving`], [`HandOver`] |
//! | a child that runs a program | [`Builder::spawn`], [`Program`] |
//! | to wait for it, ask about it, signal it, end it | [`Child`] |
//! | to wait for several | [`wait_any`], [`wait_all`] |
//! | a child that dies with this process (Python's `daemon=True`) | [`Builder::dies_with_parent`], [`Builder::group_dies_with_parent`] |
//! | a service that outlives this process | [`Daemon`] |
//! | to reap the children that your descendants leave behind | [`adopt_orphans`], [`reap_orphans`] |
//! | to hold, watch and describe any process | [`Process`] |
//!
//! ```
//! use interproc::process::Builder;
//! use std::time::Duration;
//!
//! let child = Builder::new().name("worker").fork(|| 7)?;
//! let status = child.join_timeout(Duration::from_secs(10))?;
//! assert_eq!(status.code(), Some(7));
//! # Ok::<(), interproc::Error>(())
//! ```
//!
//! # How the child ends
//! By `_exit`, with the code that the closure's [`Outcome`] gives. It never returns into the caller's code. A panic in the
//! closure is printed by the panic hook and becomes exit code 101 (with `panic = "abort"`: SIGABRT). The closure's locals
//! are dropped as usual. What belongs to the parent is left alone: no exit handlers, no destructors of thread-locals, no
//! flushing. Rust's stdout writes whole lines by itself but keeps an unfinished line in a buffer; the fork copies the
//! *parent's* unfinished line, which would appear twice if the child flushed it. So a child that uses `print!` without a
//! line end flushes by itself, and C code calls `fflush`.
//!
//! # What the child inherits
//! A copy of the memory, the calling thread only, all open descriptors, the signal mask and handlers, the working
//! directory, limits and namespaces. Shared mappings stay shared. The parent's [`Child`] handles, and the library's other
//! handles that belong to one process, fail there.
//!
//! # Forking a program with several threads
//! Only the forking thread exists in the child. **A lock that another thread held at that moment stays locked in the child
//! for ever.** libc repairs its own locks (malloc, stdio); Rust's standard library does not repair those of stdout, stderr
//! and the environment; nobody repairs those of other libraries. So such a child can *hang* where it takes such a lock,
//! even in `println!` or in a panic's message. Worse, *the stacks of the other threads are free memory in the child*:
//! whatever lies there and is reached from elsewhere (a value being handed over in a channel, a scoped thread's borrow) is
//! overwritten by the next thread that the child starts.
//!
//! So the safe forms **refuse to fork beside other threads**, with [`ErrorKind::NotAlone`](crate::ErrorKind::NotAlone); a
//! thread that has been joined does not count. [`fork_unchecked`], [`Builder::fork_unchecked`] and their like do not ask,
//! and are `unsafe`. C code has no such rule: after a fork in a threaded program POSIX allows only async-signal-safe
//! functions. Two orders are safe: fork the workers first and start threads afterwards; or use only system calls, shared
//! memory and this library's objects in the child. Nothing in this module takes a lock that a fork could copy.
//!
//! # Forking under a guard
//! A guard of this library gives out references into shared memory. In a child they would point to the same bytes, which
//! the parent goes on using under its lock: two `&mut` in two processes. A check at each access would miss a reference
//! taken before the fork. So the safe forms also refuse, with `NotAlone`, while the calling thread has a guard of a mutex,
//! a reader-writer lock or a message in place, or has leaked one. The handles themselves (objects, queues, pipes, permits)
//! may be inherited. Through an unchecked form, or libc's `fork`, a guard may come into a child: dropping it there does
//! nothing, and it must not be dereferenced.
//!
//! # vfork and CLONE_VM
//! A child that shares its parent's *memory* (by vfork, or by clone with `CLONE_VM` and without `CLONE_THREAD`) must not
//! use this library, not even to drop its handles. It would act as its parent, and nothing here can tell them apart.
//!
//! # Bound children
//! A bound child dies with its parent: the kernel kills it when it closes the dead parent's descriptors. The parent holds
//! both ends of a pipe, each set to send SIGKILL to the child when something happens to the pipe (`F_SETOWN`, `F_SETSIG`).
//! Unlike `PR_SET_PDEATHSIG` this follows the process and not the thread that forked, leaves no moment uncovered (a parent
//! killed at any instruction of the start leaves no child: swept), survives every exec, and can bind a whole group. A child
//! cannot block it.
//!
//! Not covered: a child of the parent that other code made by a raw `clone` without exec has copies of the pipe, and the
//! bound children live as long as it does. (After libc's `fork` a fork handler closes the copies.) A parent that closes
//! descriptors which are not its own kills its bound children, so call `closefrom(3)` before you start them. The first
//! process of a new PID namespace, which that signal does not reach, is bound by `PR_SET_PDEATHSIG`: it dies already with
//! the thread that started it.
//!
//! # Limits
//! Each [`Child`] holds one descriptor until it is dropped, a bound child three. A start with settings needs three more for
//! a moment. In the first process of a new PID namespace, which cannot name its parent, the child gives up a start that the
//! parent does not finish within 10 s: it exits with code 101.
#![allow(unsafe_code)]

mod builder;
mod child;
mod creator;
mod daemon;
mod details;
mod dropped;
mod hand_over;
mod handle;
mod limit;
mod orphans;
mod own_pidfd;
mod program;
mod setup;
mod start;
mod status;
mod stdio;
mod wait;

pub use builder::Builder;
pub use child::Child;
pub use daemon::{Daemon, Ready};
pub use details::{Details, State};
pub use hand_over::HandOver;
pub use handle::Process;
pub use limit::Limit;
pub use orphans::{adopt_orphans, reap_orphans};
pub(crate) use program::inherited_segment_of_c;
pub use program::{Program, inherited_segment};
pub(crate) use program::{inherited, inherited_descriptor, variable, variable_of_c};
pub use status::{ExitStatus, Outcome, PANICKED, Usage};
pub use stdio::Stdio;
pub use wait::{wait_all, wait_all_timeout, wait_all_until, wait_any, wait_any_timeout, wait_any_until};

/// Starts a child that runs `f`: [`Builder::fork`] with no settings. It refuses to fork beside other threads and under a
/// guard; [`fork_unchecked`] does not.
///
/// # Errors
/// As [`Builder::fork`].
///
/// # Examples
/// ```
/// let child = interproc::process::fork(|| println!("hello from {}", std::process::id()))?;
/// assert!(child.join()?.success());
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn fork<F, R>(f: F) -> crate::Result<Child>
where
    F: FnOnce() -> R,
    R: Outcome,
{
    Builder::new().fork(f)
}

/// Starts a child that runs `f`, whatever other threads there are: [`Builder::fork_unchecked`] with no settings.
///
/// # Errors
/// As [`Builder::fork_unchecked`].
///
/// # Safety
/// That of [`Builder::fork_unchecked`].
///
/// # Examples
/// ```
/// let thread = std::thread::spawn(|| std::thread::park());
/// // SAFETY: the child uses nothing that the other thread has.
/// let child = unsafe { interproc::process::fork_unchecked(|| 7) }?;
/// assert_eq!(child.join()?.code(), Some(7));
/// # thread.thread().unpark();
/// # Ok::<(), interproc::Error>(())
/// ```
pub unsafe fn fork_unchecked<F, R>(f: F) -> crate::Result<Child>
where
    F: FnOnce() -> R,
    R: Outcome,
{
    // SAFETY: by the contract.
    unsafe { Builder::new().fork_unchecked(f) }
}

/// Reaps the children that have ended, among those whose [`Child`] was dropped while they ran, and returns how many. It
/// never waits, and never takes a child that has a handle or that other code started.
///
/// Forks, joins and drops do this too. Call it if your program drops running children and then does none of these for long.
///
/// # Examples
/// ```
/// use interproc::process;
/// drop(process::fork(|| ())?); // it goes on, and is ours to reap
/// assert!(process::reap() <= 1); // 0 if it still runs or was reaped by the drop
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn reap() -> usize {
    dropped::reap()
}
