//! Its end, and what there is to see of it.

use super::{interproc_byte_queue_t, me};
use crate::ffi::channel::interproc_channel_info_t;
use crate::ffi::error::report;
use crate::ffi::handle::{ask, find};
use crate::ffi::who::{self, interproc_who_t};
use crate::queue::RawByteQueue;
use core::ffi::c_int;

/// Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): pushes and
/// reservations are refused from now on, pops take what is there and then return EPIPE. All waiters are told. What is
/// reserved already may be committed, and the consumers wait for it. Closing again is no error.
///
/// EPIPE also while messages are borrowed: nobody waits for one to be put back; if one is, the next caller to ask for
/// it gets it. Only while they leave no room for another one, a try returns EAGAIN, and a wait goes on until one is
/// given back, or returns EDEADLK if the caller has the first of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_close(queue: *const interproc_byte_queue_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| me(queue).map(|me| queue.close(me))))
}

/// How many messages are in it, borrowed ones included: a snapshot. Counts them one by one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_len(
    queue: *const interproc_byte_queue_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, len, RawByteQueue::len) }
}

/// How full it is and whether it is closed: a snapshot, in bytes. The capacity is what was asked for, rounded up, and
/// at least twice the longest message. Room is reclaimed in order, up to the oldest message that is unread or borrowed,
/// so a long message may find no room before the queue is full. `peak` is the most unread bytes seen: sampled by
/// producers when they have come round the ring and look for room, and by this call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_info(
    queue: *const interproc_byte_queue_t,
    info: *mut interproc_channel_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        ask(queue, info, |queue| interproc_channel_info_t {
            capacity: queue.capacity(),
            used: queue.len_bytes(),
            peak: queue.peak(),
            longest: queue.ring().longest(),
            is_empty: queue.is_empty(),
            is_full: queue.is_full(),
            is_closed: queue.is_closed(),
            ..Default::default()
        })
    }
}

/// The living thread that the others wait for: the producer of the record that is in the consumers' way, else the
/// holder of the record whose room comes next. A snapshot. A process that is *stopped* (SIGSTOP, a debugger), or that
/// keeps a reservation, shows up here.
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

/// How many living threads are asleep for a message and how many for room: a snapshot; threads that still spin are not
/// counted.
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
