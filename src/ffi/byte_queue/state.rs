//! Its end, and what there is to see of it.

use super::{interproc_byte_queue_t, me};
use crate::ffi::error::report;
use crate::ffi::handle::{ask, find};
use crate::ffi::who::{self, interproc_who_t};
use crate::queue::RawByteQueue;
use core::ffi::c_int;

/// Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): pushes and reservations
/// are refused from now on, pops take what is there and then return EPIPE. Everybody who waits is told. What is reserved
/// already may be committed, and the consumers wait for it. Closing again is no error.
///
/// EPIPE also while messages are in somebody's hands (interproc_byte_queue_receive()): nobody waits for one to come back; if one
/// does, whoever asks again gets it. Only while they leave no room for another one a try is EAGAIN, and a wait goes on until one
/// is given back, or is EDEADLK if the caller has the first of them.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_close(queue: *const interproc_byte_queue_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| me(queue).map(|me| queue.close(me))))
}

/// Whether the queue was closed by interproc_byte_queue_close().
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_is_closed(
    queue: *const interproc_byte_queue_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_closed, RawByteQueue::is_closed) }
}

/// How many messages are in it, those that are being read included: a snapshot. Counts them one by one.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_len(
    queue: *const interproc_byte_queue_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, len, RawByteQueue::len) }
}

/// Whether there is no message in it: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_is_empty(
    queue: *const interproc_byte_queue_t,
    is_empty: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_empty, RawByteQueue::is_empty) }
}

/// Whether not even the shortest message has room: a snapshot. A longer one may have none before.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_is_full(
    queue: *const interproc_byte_queue_t,
    is_full: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_full, RawByteQueue::is_full) }
}

/// How many bytes of the capacity are not free: a snapshot. Room becomes free in order, behind the oldest message that is unread
/// or being read.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_len_bytes(
    queue: *const interproc_byte_queue_t,
    len_bytes: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, len_bytes, RawByteQueue::len_bytes) }
}

/// The most bytes that were seen to be unread: a sample, taken by producers whenever they have come round the ring and look
/// for room, and now.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_peak(
    queue: *const interproc_byte_queue_t,
    peak: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, peak, RawByteQueue::peak) }
}

/// The bytes of its messages: what was asked for, rounded up, and at least twice the longest message.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_capacity(
    queue: *const interproc_byte_queue_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, capacity, RawByteQueue::capacity) }
}

/// The bytes of the longest message.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_longest(
    queue: *const interproc_byte_queue_t,
    longest: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, longest, |queue| queue.ring().longest()) }
}

/// Who, alive, the others wait for: the producer of the record that is in the consumers' way, else whoever holds the record
/// whose room comes next. A snapshot. A process that is *stopped* (SIGSTOP, a debugger), or that keeps a reservation,
/// shows up here.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_blocker(
    queue: *const interproc_byte_queue_t,
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
pub unsafe extern "C" fn interproc_byte_queue_waiters(
    queue: *const interproc_byte_queue_t,
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
