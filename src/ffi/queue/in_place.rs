//! Messages in place, and the push that displaces.

use super::{interproc_queue_t, me};
use crate::error::Result;
use crate::ffi::arguments::{copy, output, tell};
use crate::ffi::error::report;
use crate::ffi::handle::find;
use crate::ffi::invalid;
use crate::ffi::time::until;
use crate::member::Member;
use crate::queue::RawQueue;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// Does something with a cell that the caller owns.
///
/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn give_back(
    handle: *const interproc_queue_t,
    cell: *const c_void,
    how: fn(&RawQueue, &Member, u32) -> Result<()>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|queue| {
        let index = queue.ring().index_of(cell.cast());
        how(queue, me(queue)?, index.ok_or_else(|| invalid("cell does not belong to this queue"))?)
    }))
}

/// Reserves the place of the next message, waiting for room until `abstime`: to write the message where it will be
/// read, without a copy. `*cell` becomes the place: as many bytes as an element has, aligned to 16, with an earlier
/// message or zeros in it. End the reservation by interproc_queue_commit() or interproc_queue_abort().
///
///     frame_t *frame;
///     int rc = interproc_queue_reserve_until(&frames, NULL, (void **)&frame);
///     if (rc == 0) {
///         draw(frame);                                   // in the segment itself
///         rc = interproc_queue_commit(&frames, frame);
///     }
///
/// The place belongs to the calling thread. Its position in the queue is fixed now, and *messages behind it wait for
/// it*: do the long work before the reservation. If the thread dies, its place is discarded and the messages behind it
/// go on.
///
/// @return 0; ETIMEDOUT; EPIPE: the queue is closed; EDEADLK: the caller itself holds the place that is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_reserve_until(
    queue: *const interproc_queue_t,
    abstime: *const timespec,
    cell: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let (cell, wait, me) = (output(cell, "cell")?, until(abstime)?, me(queue)?);
        let index = queue.reserve(me, wait.deadline())?;
        cell.set(queue.ring().payload(index).as_ptr().cast());
        Ok(())
    }))
}

/// Makes a reserved cell a message. A consumer that sees it sees everything that happened before. A queue that was
/// closed after the reservation still takes and delivers it.
///
/// @return 0; EPERM: the calling thread has not reserved this cell; EINVAL: not a cell of this queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_commit(
    queue: *const interproc_queue_t,
    cell: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { give_back(queue, cell, RawQueue::commit) }
}

/// Gives a reserved cell back without a message: its room is free again.
///
/// @return As interproc_queue_commit().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_abort(
    queue: *const interproc_queue_t,
    cell: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { give_back(queue, cell, RawQueue::abort) }
}

/// Borrows the oldest message, waiting for one until `abstime`: to read it where it lies, without a copy. `*cell`
/// becomes its place. End it by interproc_queue_release() or interproc_queue_put_back().
///
///     const frame_t *frame;
///     int rc = interproc_queue_borrow_until(&frames, NULL, (const void **)&frame, NULL);
///     if (rc == 0) {
///         show(frame);
///         rc = interproc_queue_release(&frames, frame);
///     }
///
/// The message belongs to the calling thread. Others take the messages behind it meanwhile; producers need its place
/// one lap later and wait for it then. If the thread dies, the message goes to another consumer, at its old place in
/// the order.
///
/// `redelivered` may be NULL. It becomes true when another consumer had borrowed the message and died, or put it back:
/// it may have done part of the work; otherwise false.
///
/// @return 0; ETIMEDOUT; EPIPE: the queue is closed and drained; EDEADLK: the head of the queue is the caller's own
/// reservation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_borrow_until(
    queue: *const interproc_queue_t,
    abstime: *const timespec,
    cell: *mut *const c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let (cell, wait, me) = (output(cell, "cell")?, until(abstime)?, me(queue)?);
        let (index, again) = queue.borrow(me, wait.deadline())?;
        cell.set(queue.ring().payload(index).as_ptr().cast());
        tell(redelivered, again);
        Ok(())
    }))
}

/// Ends a borrow: the message is done, its room is free.
///
/// @return 0; EPERM: the calling thread has not borrowed this cell's message; EINVAL: not a cell of this queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_release(
    queue: *const interproc_queue_t,
    cell: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { give_back(queue, cell, RawQueue::release) }
}

/// Puts a borrowed message back at its old place: the next consumer gets it, before all that came later, with
/// `redelivered` true.
///
/// @return As interproc_queue_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_put_back(
    queue: *const interproc_queue_t,
    cell: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { give_back(queue, cell, RawQueue::put_back) }
}

/// Copies the message at `element` into the queue without waiting for room. If there is none, the oldest message is
/// removed and copied to `displaced`, and `*was_displaced` becomes true; otherwise false. Exactly one message is
/// replaced; order is kept. Each of `displaced` and `was_displaced` may be NULL; `displaced` and `element` do not
/// overlap.
///
/// A message that a living consumer has borrowed, or a cell that a living producer has reserved, is never displaced: if
/// that is the oldest, the call returns EAGAIN after a few looks, about a microsecond (interproc_queue_blocker() says
/// who it is). If the caller dies in it, the oldest message is still there, or gone as it would have been.
///
/// @return 0; EPIPE: the queue is closed; EAGAIN: see above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_force_push(
    queue: *const interproc_queue_t,
    element: *const c_void,
    displaced: *mut c_void,
    was_displaced: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        let size = queue.ring().element();
        let drain = |cell: *const u8| {
            if !displaced.is_null() {
                copy(cell, displaced.cast(), size);
            }
        };
        let fill = |cell: *mut u8| copy(element.cast(), cell, size);
        let old = queue.force_push_with(me(queue)?, drain, fill)?;
        tell(was_displaced, old.is_some());
        Ok(())
    }))
}
