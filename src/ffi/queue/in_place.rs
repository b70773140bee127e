//! Messages where they lie, the push that displaces, and the peak.

use super::{interproc_queue_t, me};
use crate::error::Result;
use crate::ffi::arguments::{copy, output, tell};
use crate::ffi::error::report;
use crate::ffi::handle::{ask, find};
use crate::ffi::invalid;
use crate::ffi::time::timed;
use crate::member::Member;
use crate::queue::RawQueue;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn reserve(handle: *const interproc_queue_t, wait: Wait, cell: *mut *mut c_void) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|queue| unsafe {
        let cell = output(cell, "cell")?;
        let me = me(queue)?;
        let index = match wait {
            Wait::Never => queue.try_reserve(me),
            _ => queue.reserve(me, wait.deadline()),
        }?;
        cell.set(queue.ring().payload(index).as_ptr().cast());
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn receive(
    handle: *const interproc_queue_t,
    wait: Wait,
    cell: *mut *const c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|queue| unsafe {
        let cell = output(cell, "cell")?;
        let me = me(queue)?;
        let (index, again) = match wait {
            Wait::Never => queue.try_borrow(me),
            _ => queue.borrow(me, wait.deadline()),
        }?;
        cell.set(queue.ring().payload(index).as_ptr().cast());
        tell(redelivered, again);
        Ok(())
    }))
}

/// Does something with a cell that the caller owns.
///
/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn give_back(
    handle: *const interproc_queue_t,
    cell: *const c_void,
    how: impl FnOnce(&RawQueue, &Member, u32) -> Result<()>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|queue| {
        let index =
            queue.ring().index_of(cell.cast()).ok_or_else(|| invalid("cell is no cell of this queue"))?;
        how(queue, me(queue)?, index)
    }))
}

/// Claims the place of the next message, waiting for room as long as it takes: to write the message where it will be read,
/// without a copy. `*cell` is where it goes: as many bytes as an element has, aligned to 16, with an earlier message
/// or zeros in it. Then interproc_queue_commit() or interproc_queue_abort().
///
///     frame_t *frame;
///     int rc = interproc_queue_reserve(&frames, (void **)&frame);
///     if (rc == 0) {
///         draw(frame);                                   // in the segment itself
///         rc = interproc_queue_commit(&frames, frame);
///     }
///
/// The place belongs to the calling thread. Its turn in the order is that of the reservation, and *messages behind it
/// wait for it*: so write, commit, and do the long work before. When the thread dies, the place is room again and the messages
/// behind it go on.
///
/// @return 0; EPIPE: the queue is closed; EDEADLK: the caller itself has the place in its hands; EINVAL: a NULL, no
/// queue, or its segment is closed; EUSERS: every member slot of the segment is held by a living thread; ENOTSUP: the
/// kernel or sandbox lacks robust lists.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_reserve(
    queue: *const interproc_queue_t,
    cell: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(queue, Wait::ForEver, cell) }
}

/// As interproc_queue_reserve() if there is room; never waits.
///
/// @return As interproc_queue_reserve(), and EAGAIN: the queue is full.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_tryreserve(
    queue: *const interproc_queue_t,
    cell: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(queue, Wait::Never, cell) }
}

/// As interproc_queue_reserve(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after().
///
/// @return As interproc_queue_reserve(), and ETIMEDOUT: no room in time. EINVAL also when abstime is NULL or its nanoseconds
/// are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedreserve(
    queue: *const interproc_queue_t,
    abstime: *const timespec,
    cell: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| reserve(queue, wait, cell)) }
}

/// Makes a reserved cell a message. A consumer that sees it sees all that happened before. A queue that was closed after the
/// reservation takes and delivers it still.
///
/// @return 0; EPERM: the calling thread has not reserved this cell (or a forked child has its parent's); EINVAL: no
/// cell of this queue, and as interproc_queue_reserve().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_commit(
    queue: *const interproc_queue_t,
    cell: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { give_back(queue, cell, |queue, me, index| queue.commit(me, index)) }
}

/// Gives a reserved cell back without a message: it is room again.
///
/// @return As interproc_queue_commit().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_abort(
    queue: *const interproc_queue_t,
    cell: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { give_back(queue, cell, |queue, me, index| queue.abort(me, index)) }
}

/// Takes the oldest message into the caller's hands, waiting for one as long as it takes: to read it where it lies, without a
/// copy. `*cell` is where it is. Then interproc_queue_release() or interproc_queue_put_back().
///
///     const frame_t *frame;
///     int rc = interproc_queue_receive(&frames, (const void **)&frame, NULL);
///     if (rc == 0) {
///         show(frame);
///         rc = interproc_queue_release(&frames, frame);
///     }
///
/// The message belongs to the calling thread. Others take the messages behind it meanwhile; producers need its place one lap
/// later and wait for it then. When the thread dies, the message goes to another consumer, at its old place in the order.
///
/// `redelivered` may be NULL. It is set to true when another consumer had the message in its hands and died, or put it
/// back: it may have done part of the work; otherwise to false.
///
/// @return 0; EPIPE: the queue is closed and drained; EDEADLK: the next message is the caller's own reservation; EINVAL,
/// EUSERS, ENOTSUP: as interproc_queue_reserve().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_receive(
    queue: *const interproc_queue_t,
    cell: *mut *const c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(queue, Wait::ForEver, cell, redelivered) }
}

/// As interproc_queue_receive() if there is a message; never waits.
///
/// @return As interproc_queue_receive(), and EAGAIN: the queue is empty.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_tryreceive(
    queue: *const interproc_queue_t,
    cell: *mut *const c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(queue, Wait::Never, cell, redelivered) }
}

/// As interproc_queue_receive(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after().
///
/// @return As interproc_queue_receive(), and ETIMEDOUT: no message in time. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedreceive(
    queue: *const interproc_queue_t,
    abstime: *const timespec,
    cell: *mut *const c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| receive(queue, wait, cell, redelivered)) }
}

/// Ends what interproc_queue_receive() began: the message is done, its place is room.
///
/// @return 0; EPERM: the calling thread has not received this cell's message (or a forked child has its parent's);
/// EINVAL: no cell of this queue, and as interproc_queue_reserve().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_release(
    queue: *const interproc_queue_t,
    cell: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { give_back(queue, cell, |queue, me, index| queue.release(me, index)) }
}

/// Puts a received message back at its old place: the next consumer gets it, before all that came later, with `redelivered`
/// true.
///
/// @return As interproc_queue_release().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_put_back(
    queue: *const interproc_queue_t,
    cell: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { give_back(queue, cell, |queue, me, index| queue.put_back(me, index)) }
}

/// Copies the message at `element` into the queue without waiting for room. If there is none, the oldest message makes
/// way and is copied to `displaced`, and `*was_displaced` is true; otherwise it is false. Exactly one goes for one that comes, and
/// nobody's order changes. Each of `displaced` and `was_displaced` may be NULL; `displaced` and `element` do not overlap.
///
/// A message that a living consumer has in its hands, or a cell that a living producer has reserved, is never taken
/// away: if that is the oldest, it is EAGAIN after a few looks, about a microsecond (interproc_queue_blocker() says who it
/// is). When the caller dies in it, the oldest message is still there, or gone as it would have been.
///
/// @return 0; EPIPE: the queue is closed; EAGAIN: as said above; EINVAL, EUSERS, ENOTSUP: as interproc_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
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

/// The most messages that were seen in it since it was made: a statistic, and a lower bound of the truth. That it was full is never
/// missed; below that, producers look only when they do not come the short way (others at work, somebody asleep). This call
/// looks, too.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_peak(queue: *const interproc_queue_t, peak: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, peak, |queue| queue.peak() as usize) }
}
