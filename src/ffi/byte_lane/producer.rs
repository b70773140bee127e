//! The producer: messages in, copied or written in place.

use super::interproc_byte_producer_t;
use crate::ffi::arguments::{bytes, output, parts};
use crate::ffi::error::report;
use crate::ffi::handle::{find_mut, take};
use crate::ffi::time::{timed, until};
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use core::iter::once;
use libc::{iovec, timespec};

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn push(
    handle: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(handle) }.and_then(|producer| {
        // SAFETY: by the contract.
        producer.push(once(unsafe { bytes(message, len, "message") }?), wait)
    }))
}

/// Copies the message of `len` bytes at `message` into the queue, waiting for room. A message may be empty.
///
/// @return 0; EMSGSIZE: longer than the longest message of the queue; EPIPE: the queue is closed; it was not pushed,
/// nor what was not published yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_push(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(producer, message, len, Wait::ForEver) }
}

/// As interproc_byte_producer_push(), but never waits: EAGAIN when there is no room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_trypush(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(producer, message, len, Wait::Never) }
}

/// As interproc_byte_producer_push(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_timedpush(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push(producer, message, len, wait)) }
}

/// Pushes one message whose parts lie in `count` places, as writev(2) would, waiting for room until `abstime`.
///
/// @return As interproc_byte_producer_timedpush().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_push_vectored_until(
    producer: *mut interproc_byte_producer_t,
    parts: *const iovec,
    count: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| unsafe {
        let parts = self::parts(parts, count, "parts")?;
        producer.push(parts, until(abstime)?)
    }))
}

/// Reserves room for a message of at most `len` bytes, to be written at `*place`, waiting for it until `abstime`. It is
/// pushed by interproc_byte_producer_commit(), given back by interproc_byte_producer_abort(), or by the next reserve or
/// push. At first it contains what is left over from older messages. A forked child must not write there.
///
/// @return As interproc_byte_producer_timedpush().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_reserve_until(
    producer: *mut interproc_byte_producer_t,
    len: usize,
    abstime: *const timespec,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| unsafe {
        let place = output(place, "place")?;
        place.set(producer.reserve(len, until(abstime)?)?.as_ptr().cast());
        Ok(())
    }))
}

/// Pushes the first `len` bytes of what was reserved.
///
/// @return 0; EMSGSIZE: more than was reserved, which it still is; EINVAL: nothing is reserved; EPIPE: the queue is
/// closed, and it was not pushed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_commit(
    producer: *mut interproc_byte_producer_t,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| producer.commit(len)))
}

/// Gives back what was reserved: nothing has happened.
///
/// @return 0; EINVAL: nothing is reserved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_abort(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| producer.abort()))
}

/// Publishes only once this many bytes (headers included) are pending, instead of with every message: for many short
/// ones. Until then the consumer sees nothing, and as much can be lost by a death. A wait for room, EAGAIN for want of
/// it, interproc_byte_producer_flush(), _close() and _leave() publish, too. What is pending is published now.
///
/// @return As interproc_byte_producer_flush().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_publish_every(
    producer: *mut interproc_byte_producer_t,
    bytes: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| producer.publish_every(bytes)))
}

/// Publishes what was pushed and not published.
///
/// @return 0; EPIPE: the queue is closed, and it is lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_flush(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| producer.flush()))
}

/// Closes the queue itself, for good: what was pushed can still be read, then the consumer gets EPIPE.
///
/// @return As interproc_byte_producer_flush(). EPIPE if it was closed before what was not published yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_close(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| producer.close()))
}

/// Publishes what was pushed, gives back what was reserved, and leaves the seat. The queue and its messages stay. The
/// handle is cleared in any case.
///
/// @return 0; EPERM: the handle is a parent process's, whose seat is untouched; EUSERS, ENOTSUP: the seat is free when
/// the thread that used the handle last ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_leave(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(producer) }.and_then(|mut side| {
        let mine = side.me().map(drop);
        side.leave();
        mine
    }))
}
