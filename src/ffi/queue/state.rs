//! Its end, and what there is to see of it.

use super::{interproc_queue_t, me};
use crate::ffi::channel::interproc_channel_info_t;
use crate::ffi::error::report;
use crate::ffi::handle::{ask, find};
use crate::ffi::who::{self, interproc_who_t};
use core::ffi::c_int;

/// Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): pushes are
/// refused from now on, pops take what is there and then return EPIPE. All waiters are told. A push at the same time
/// either gets in, and is then delivered, or is refused. Closing again is no error.
///
/// EPIPE also while messages are borrowed: nobody waits for one to be put back; if one is, the next caller to ask for
/// it gets it. Only while *every* place is borrowed or reserved, a try returns EAGAIN, and a wait goes on until one is
/// given back, or returns EDEADLK if the caller has the first of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_close(queue: *const interproc_queue_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| me(queue).map(|me| queue.close(me))))
}

/// How full it is and whether it is closed: a snapshot, counted in messages. `peak` is a lower bound: that the queue
/// was full is never missed; below that, only slow-path pushes sample the depth (others at work, a thread asleep), and
/// this call does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_info(
    queue: *const interproc_queue_t,
    info: *mut interproc_channel_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        ask(queue, info, |queue| interproc_channel_info_t {
            capacity: queue.capacity() as usize,
            used: queue.len() as usize,
            peak: queue.peak() as usize,
            longest: queue.ring().element(),
            is_empty: queue.is_empty(),
            is_full: queue.is_full(),
            is_closed: queue.is_closed(),
            ..Default::default()
        })
    }
}

/// The living thread in the middle of an operation that the others wait for: a snapshot. A process that is *stopped*
/// (SIGSTOP, a debugger) there holds up those behind it, and shows up here.
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

/// How many living threads are asleep for a message and how many for room: a snapshot; threads that still spin are not
/// counted.
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
