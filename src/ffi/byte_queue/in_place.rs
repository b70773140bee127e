//! Messages that are written and read where they lie.

use super::{interproc_byte_queue_t, me};
use crate::error::Result;
use crate::ffi::arguments::{output, tell};
use crate::ffi::error::report;
use crate::ffi::handle::find;
use crate::ffi::time::timed;
use crate::member::Member;
use crate::queue::RawByteQueue;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn reserve(
    queue: *const interproc_byte_queue_t,
    length: usize,
    wait: Wait,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let room = output(room, "room")?;
        let claim = queue.reserve(me(queue)?, length, wait)?;
        room.set(queue.room(&claim).0.cast());
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn receive(
    queue: *const interproc_byte_queue_t,
    wait: Wait,
    message: *mut *const c_void,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let (message, length) = (output(message, "message")?, output(length, "length")?);
        let claim = queue.borrow(me(queue)?, wait)?;
        let (place, len) = queue.message(&claim);
        message.set(place.cast_const().cast());
        length.set(len);
        tell(redelivered, claim.redelivered());
        Ok(())
    }))
}

/// Ends what the calling thread has reserved or received.
///
/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn end(
    queue: *const interproc_byte_queue_t,
    end: impl FnOnce(&RawByteQueue, &Member) -> Result<()>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| end(queue, me(queue)?)))
}

/// Claims room for a message of up to `length` bytes, waiting for it as long as it takes: to be written at `room`, and then
/// given to interproc_byte_queue_commit() or interproc_byte_queue_abort() by the same thread. Until then the consumers wait
/// behind it. If the thread dies before, it comes to nothing, and its room is free again.
///
/// @return As interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_reserve(
    queue: *const interproc_byte_queue_t,
    length: usize,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(queue, length, Wait::ForEver, room) }
}

/// As interproc_byte_queue_reserve() if there is room; never waits.
///
/// @return As interproc_byte_queue_trypush().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_tryreserve(
    queue: *const interproc_byte_queue_t,
    length: usize,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(queue, length, Wait::Never, room) }
}

/// As interproc_byte_queue_reserve(), waiting until `abstime` at the latest.
///
/// @return As interproc_byte_queue_timedpush().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedreserve(
    queue: *const interproc_byte_queue_t,
    length: usize,
    abstime: *const timespec,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| reserve(queue, length, wait, room)) }
}

/// Publishes the first `length` bytes of what the calling thread has reserved at `room`, as one message.
///
/// @return 0; EMSGSIZE: more than was reserved (it stays reserved); EPERM: the calling thread has nothing reserved there; EINVAL:
/// no queue, or no place of a message in it; EUSERS, ENOTSUP: as interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_commit(
    queue: *const interproc_byte_queue_t,
    room: *mut c_void,
    length: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.commit_at(me, room.cast(), length)) }
}

/// Gives up what the calling thread has reserved at `room`: no message comes of it, and the room is free.
///
/// @return As interproc_byte_queue_commit().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_abort(
    queue: *const interproc_byte_queue_t,
    room: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.abort_at(me, room.cast())) }
}

/// Claims the first message, waiting for one as long as it takes, to be read where it lies: `length` bytes at `message`, until
/// the same thread gives it to interproc_byte_queue_release() or interproc_byte_queue_put_back(). The other consumers go on
/// behind it. If the thread dies before, the next consumer gets it, flagged.
///
/// `redelivered` may be NULL: see interproc_byte_queue_pop().
///
/// @return As interproc_byte_queue_pop(), but for EMSGSIZE.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_receive(
    queue: *const interproc_byte_queue_t,
    message: *mut *const c_void,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(queue, Wait::ForEver, message, length, redelivered) }
}

/// As interproc_byte_queue_receive() if there is a message; never waits.
///
/// @return As interproc_byte_queue_receive(), and EAGAIN: there is none.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_tryreceive(
    queue: *const interproc_byte_queue_t,
    message: *mut *const c_void,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(queue, Wait::Never, message, length, redelivered) }
}

/// As interproc_byte_queue_receive(), waiting until `abstime` at the latest.
///
/// @return As interproc_byte_queue_receive(), and ETIMEDOUT: no message in time. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedreceive(
    queue: *const interproc_byte_queue_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| receive(queue, wait, message, length, redelivered)) }
}

/// Ends the reading of the message that the calling thread has received at `message`: it is done, and its room is free.
///
/// @return 0; EPERM: the calling thread has received nothing there; EINVAL: no queue, or no place of a message in it; EUSERS,
/// ENOTSUP: as interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_release(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.release_at(me, message.cast())) }
}

/// Puts the message that the calling thread has received at `message` back where it was: the next consumer gets it, flagged.
///
/// @return As interproc_byte_queue_release().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_put_back(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.put_back_at(me, message.cast())) }
}
