//! The C interface: thin functions over the Rust one. Nothing in the crate imports this module.
//!
//! The doc comments here are written for C: `include/interproc.h` is made of them by cbindgen (`tests/c_abi.rs` compares
//! the two, `INTERPROC_BLESS=1` writes the header anew). What holds for all functions is said once, at the top of the
//! header (`include/cbindgen.toml`); what holds for a family, in the comment of its type; a function's comment has what is
//! its own.
//!
//! **A body is written once.** It takes a [`Wait`](crate::Wait), and the exported forms are two lines: `push` waits for
//! ever, `trypush` never, `timedpush` by [`time::timed`]. Seldom-used calls, and all that work in place, have one form,
//! `_until`. Only what is counted in instructions (a queue's and a lane's `push` and `pop`, mutex, rwlock, event,
//! semaphore) is inlined into each form. Each function checks its pointers, calls, and turns the result into a positive
//! errno value.
//!
//! **Names**: `interproc_` + the Rust type in snake case + `_` + the Rust method, so that one grep finds both ends. What a
//! queue, a lane, permits, a barrier or a segment can tell by a few loads is one structure and one `_info` function a type.
//!
//! `errno` is left alone. The kernel layer (`sys`) restores it after each call; what goes through the standard library
//! (segments, processes) runs under [`call`], which restores it as a whole.
//!
//! **Cancellation.** No function is a cancellation point. The waits are direct system calls, which are none; what takes a
//! lock of the process's defers cancellation with the signals (`SignalsBlocked`); the rest runs under [`call`].
//!
//! **Unwinding.** A panic in here would be a bug of ours: `extern "C"` makes it an abort, which is a death, and peers
//! recover from deaths. What calls back is `extern "C-unwind"`: an exception or a cancellation passes through it. That is
//! why the installed library is built to unwind (`profile.dist` in Cargo.toml has what its size is made of).
#![allow(unsafe_code, non_camel_case_types)]

mod arguments;
mod barrier;
mod bounded_semaphore;
mod broadcast;
mod byte_lane;
mod byte_queue;
mod channel;
mod condvar;
mod error;
mod event;
mod handle;
mod latest;
mod lease;
mod mutex;
mod once;
mod pipe;
mod placed;
mod process;
mod process_ref;
mod queue;
mod recursive_mutex;
mod room;
mod rwlock;
mod segment;
mod semaphore;
mod sizes;
mod spsc;
mod start;
mod time;
mod waitset;
mod who;
mod work_queue;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::call::KeepErrno;
use crate::sys::task::CancelDeferred;
use core::ffi::c_int;
use error::report;

/// Runs the body of a function that may go through the standard library, whose calls set `errno` and are cancellation
/// points.
fn call(body: impl FnOnce() -> Result<()>) -> c_int {
    call_out(|_| body())
}

/// As [`call`], for a function that runs code of the program's in a child: the child lifts what it is given first.
fn call_out(body: impl FnOnce(&CancelDeferred) -> Result<()>) -> c_int {
    let mut body = Some(body);
    guarded(&mut |deferred| body.take().map_or(Ok(()), |body| body(deferred)))
}

/// What is around every such body, once for all of them: these calls are not counted in instructions.
#[inline(never)]
fn guarded(body: &mut dyn FnMut(&CancelDeferred) -> Result<()>) -> c_int {
    let _errno = KeepErrno::new();
    let deferred = CancelDeferred::new();
    report(body(&deferred))
}

/// The error for a NULL or invalid argument.
#[cold]
fn invalid(what: &str) -> Error {
    Error::from(ErrorKind::InvalidInput).with_detail(what)
}
