//! Its end, and what there is to see of it.

use super::{interproc_queue_t, me};
use crate::ffi::error::report;
use crate::ffi::handle::{ask, find};
use crate::ffi::who::{self, interproc_who_t};
use crate::queue::RawQueue;
use core::ffi::c_int;

/// Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): pushes are
/// refused from now on, pops take what is there and then return EPIPE. Everybody who waits is told. A push at the same
/// time either gets in, and is then delivered, or is refused. Closing again is no error.
///
/// EPIPE also while messages are in somebody's hands (interproc_queue_receive()): nobody waits for one to come back; if one does,
/// whoever asks again gets it. Only while *every* place is in somebody's hands a try is EAGAIN, and a wait goes on until one is
/// given back, or is EDEADLK if the caller has the first of them.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_close(queue: *const interproc_queue_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| me(queue).map(|me| queue.close(me))))
}

/// Whether the queue was closed by interproc_queue_close().
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_is_closed(
    queue: *const interproc_queue_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_closed, RawQueue::is_closed) }
}

/// How many messages are in it: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_len(queue: *const interproc_queue_t, len: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, len, |queue| queue.len() as usize) }
}

/// Whether it is empty: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_is_empty(
    queue: *const interproc_queue_t,
    is_empty: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_empty, RawQueue::is_empty) }
}

/// Whether it is full: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_is_full(
    queue: *const interproc_queue_t,
    is_full: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_full, RawQueue::is_full) }
}

/// The most messages that it holds.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_capacity(
    queue: *const interproc_queue_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, capacity, |queue| queue.capacity() as usize) }
}

/// Who, alive and in the middle of an operation, the others wait for: a snapshot. A process that is *stopped* (SIGSTOP,
/// a debugger) there holds up those behind it, and shows up here.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_blocker(
    queue: *const interproc_queue_t,
    blocker: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(blocker, || {
            let queue = find(queue)?;
            let me = me(queue)?;
            Ok(queue.blocker(me).map(|id| me.domain().who(id)))
        })
    }
}

/// How many living threads are asleep for a message and how many for room: a snapshot; who still spins is not counted.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_waiters(
    queue: *const interproc_queue_t,
    consumers: *mut u32,
    producers: *mut u32,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::both_waiters(consumers, producers, || {
            let queue = find(queue)?;
            Ok((queue.waiting_consumers()?, queue.waiting_producers()?))
        })
    }
}
