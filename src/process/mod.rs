//! Child processes, from fork to reaping; daemons; processes of the machine.
//!
//! A child is forked with a closure or a C function, or spawned as a program. It is known by a pidfd from its first
//! moment, and leaves no zombie. No helper thread, no SIGCHLD handler, no polling loop.
//!
//! | you want | it is |
//! |---|---|
//! | a child that runs a closure | [`fork`], [`Builder::fork`] |
//! | a child that gets the end of a pipe | [`Builder::fork_with`], [`HandOver`] |
//! | a child that runs a program | [`Builder::spawn`], [`Program`] |
//! | to wait, ask, signal, end | [`Child`] |
//! | to wait for several | [`wait_any`], [`wait_all`] |
//! | a child that cannot outlive this process | [`Builder::daemon`], [`Builder::daemon_group`] |
//! | a service that outlives it | [`Daemon`] |
//! | the children of descendants that have ended | [`adopt_orphans`], [`reap_orphans`] |
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
//! By `_exit`, with the code that the closure's [`Outcome`] gives. It never comes back into the caller's code, and
//! a panic in the closure is printed by the panic hook and becomes exit code 101 (with `panic = "abort"`: SIGABRT).
//! The locals of the closure are dropped as usual. What belongs to the parent is left alone: no exit handlers, no
//! destructors of thread-locals, no flushing. Rust's stdout writes whole lines by itself; a part of a line is kept
//! in a buffer, and what is in it may be the *parent's*, copied by the fork, which would appear twice if the child
//! flushed it. So a child that uses `print!` without a line end flushes by itself, and C code calls `fflush`.
//!
//! # What the child inherits
//! A copy of the memory, the calling thread only, all open descriptors, the signal mask and handlers, the working
//! directory, limits and namespaces. Shared mappings stay shared. A parent's [`Child`] handles and the library's
//! other process-bound handles are refused there.
//!
//! # Forking a program with several threads
//! Only the forking thread exists in the child. **A lock that another thread held at that moment stays locked in the
//! child for ever.** libc repairs its own (malloc, stdio), Rust's standard library does not repair stdout's,
//! stderr's or the environment's, and nobody repairs those of other libraries. So such a child can *hang* where it
//! would take such a lock, also in `println!` or in the message of a panic. Worse, *the stacks of the other threads are
//! free memory in the child*: what lies there and is reached from elsewhere (a value being handed over in a channel, a scoped
//! thread's borrow) is overwritten by the next thread that the child starts. So the safe forms **refuse beside other threads**,
//! with [`ErrorKind::NotAlone`](crate::ErrorKind::NotAlone); a thread that has been joined is none. [`fork_unchecked`],
//! [`Builder::fork_unchecked`] and their like do not ask, and are `unsafe`. C code knows no such rule: what POSIX allows
//! after fork in a threaded program is the async-signal-safe functions. The good orders are: fork the workers first and start
//! threads then; or keep to system calls, shared memory and this library's objects in the child. Nothing of this module takes
//! a lock that a fork could copy.
//!
//! # Forking under a guard
//! A guard of this library gives out references into shared memory. In a child they would point to the same bytes, which
//! the parent goes on using under its lock: two `&mut` in two processes. A check at each access would not see a reference
//! that was taken before the fork. So the safe forms refuse, with `NotAlone` too, while the calling thread has a guard of a
//! mutex, a reader-writer lock or a message in place, or has leaked one. The handles themselves (objects, queues, pipes,
//! permits) may be inherited. Through an unchecked form, or libc's `fork`, a guard may come into a child: there its drop
//! does nothing, and it must not be dereferenced.
//!
//! # vfork and CLONE_VM
//! A child that shares its parent's *memory* must not use this library, not even to drop its handles: by vfork,
//! or by clone with `CLONE_VM` without `CLONE_THREAD`. It would act as its parent, and nothing here can tell.
//!
//! # Daemon children
//! What ends a daemon child is the kernel, when it closes the descriptors of its dead parent: both ends of a pipe, each
//! set to send SIGKILL to the child when something happens to the pipe (`F_SETOWN`, `F_SETSIG`). Unlike
//! `PR_SET_PDEATHSIG` this follows the process and not the thread that forked, leaves no moment uncovered (a parent
//! killed at any instruction of the start leaves no child: swept), survives every exec, and can be tied to a group. A
//! child cannot block it.
//!
//! Not covered: a child of the parent that foreign code made by a raw `clone` without exec has copies of the pipe, and
//! the daemon children live as long as that one does. (After libc's `fork` a fork handler closes the copies.) A parent that
//! closes descriptors which are not its own ends its daemon children: so do not start them before `closefrom(3)`. The first process of a new PID namespace, which the
//! signal does not reach, is tied by `PR_SET_PDEATHSIG`: it ends already with the thread that started it.
//!
//! # Limits
//! Each [`Child`] holds one descriptor until it is dropped, a daemon child three. A start with settings needs three more
//! for a moment. In the first process of a new PID namespace, which cannot name its parent, a start that the parent does
//! not finish within 10 s is given up by the child: it exits with code 101.
#![allow(unsafe_code)]

mod builder;
mod child;
mod creator;
mod daemon;
mod hand_over;
mod held;
mod info;
mod limit;
mod orphans;
mod program;
mod setup;
mod start;
mod status;
mod stdio;
mod subreaper;
mod wait;

pub use builder::Builder;
pub use child::Child;
pub use daemon::{Daemon, Ready};
pub use hand_over::HandOver;
pub use info::{Details, Process, State};
pub use limit::Limit;
pub(crate) use program::inherited_segment_of_c;
pub use program::{Program, inherited_segment};
pub use status::{ExitStatus, Outcome, PANICKED, Usage};
pub use stdio::Stdio;
pub use subreaper::{adopt_orphans, reap_orphans};
pub use wait::{wait_all, wait_all_timeout, wait_all_until, wait_any, wait_any_timeout, wait_any_until};

/// Starts a child that runs `f`: [`Builder::fork`] with nothing set. Refused beside other threads and under a guard:
/// [`fork_unchecked`] is not.
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

/// Starts a child that runs `f`, whatever other threads there are: [`Builder::fork_unchecked`] with nothing set.
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

/// Reaps the ended children among those whose [`Child`] was dropped while they ran; says how many. Never waits, and
/// never takes a child that somebody still holds a handle of or that other code started.
///
/// Forks, joins and drops do this too; a program that drops running children and then does none of these for long
/// can call it.
///
/// # Examples
/// ```
/// use interproc::process;
/// drop(process::fork(|| ())?); // goes on, and is ours to reap
/// assert!(process::reap() <= 1); // 0 if it still runs or was reaped by the drop
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn reap() -> usize {
    orphans::reap()
}
