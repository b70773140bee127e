//! Pipes by a name: who listens there, and who connects.

use super::{interproc_listener_t, interproc_pipe_t};
use crate::ffi::arguments::{answer, text};
use crate::ffi::call;
use crate::ffi::handle::{Boxed, boxed, close, open, open_mut};
use crate::ffi::lease::Pool;
use crate::ffi::segment::interproc_segment_t;
use crate::ffi::time::timed;
use crate::pipe::{self, Listener};
use crate::time::Wait;
use core::ffi::{c_char, c_int};
use libc::timespec;

// SAFETY: a pointer and a word.
unsafe impl Boxed for interproc_listener_t {
    type Object = Listener;
    const NAME: &'static str = "listener";
    const CLOSED: &'static str = "the listener is closed";
    fn pool() -> &'static Pool {
        static POOL: Pool = Pool::new();
        &POOL
    }
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn connect(
    segment: *const interproc_segment_t,
    name: *const c_char,
    end: *mut interproc_pipe_t,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract.
    unsafe { answer(end, "end", || boxed(|| pipe::connect_by(open(segment)?, text(name, "name")?, wait))) }
}

/// Connects a pipe to the listener at `name` in the segment, and gives this end of it; waits for a free pipe. It does
/// not wait for a listener, nor for being accepted: what is sent before stays in the pipe.
///
/// @return 0; ECONNREFUSED: nobody listens there, also while it waits; EEXIST: the name belongs to something else.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_connect(
    segment: *const interproc_segment_t,
    name: *const c_char,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { connect(segment, name, end, Wait::ForEver) }
}

/// As interproc_pipe_connect(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_connect_until(
    segment: *const interproc_segment_t,
    name: *const c_char,
    abstime: *const timespec,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| connect(segment, name, end, wait)) }
}

/// Listens at `name` in the segment, found or made with `pipes` pipes (1 to 1024), each of which has room for
/// `capacity` bytes each way and for messages of at most `longest` bytes: see interproc_pipe_pair(). A Rust program
/// connects by `pipe::connect`.
///
/// @return As interproc_segment_object(); EBUSY: a living thread listens there; EEXIST also for other numbers; EINVAL
/// also for a number out of range.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_bind(
    segment: *const interproc_segment_t,
    name: *const c_char,
    pipes: usize,
    capacity: usize,
    longest: usize,
    listener: *mut interproc_listener_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(listener, "listener", || {
            let (segment, name) = (open(segment)?, text(name, "name")?);
            boxed(|| Listener::bind(segment, name, pipes, capacity, longest))
        })
    }
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn accept(listener: *const interproc_listener_t, end: *mut interproc_pipe_t, wait: Wait) -> c_int {
    // SAFETY: by the contract.
    unsafe { answer(end, "end", || boxed(|| open_mut(listener)?.accept_by(wait))) }
}

/// Gives this end of the next pipe that a client has connected; waits for one. A client that closed or died before is
/// accepted, too: what it had sent is there, and then EPIPE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_accept(
    listener: *const interproc_listener_t,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { accept(listener, end, Wait::ForEver) }
}

/// As interproc_listener_accept(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_accept_until(
    listener: *const interproc_listener_t,
    abstime: *const timespec,
    end: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| accept(listener, end, wait)) }
}

/// How many clients have connected and were not accepted yet: a snapshot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_pending(
    listener: *const interproc_listener_t,
    pending: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(pending, "pending", || Ok(open_mut(listener)?.pending())) }
}

/// Ends listening and frees the handle: clients that were not accepted see the end of their pipes.
///
/// @return 0; EINVAL: closed already; EPERM: a forked child's copy, which is freed; ESTALE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_listener_close(listener: *mut interproc_listener_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { close(listener)?.close() })
}
