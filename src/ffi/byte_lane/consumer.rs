//! The consumer: messages out, copied or read in place.

use super::interproc_byte_consumer_t;
use crate::ffi::arguments::{output, tell};
use crate::ffi::error::report;
use crate::ffi::handle::{find_mut, take};
use crate::ffi::invalid;
use crate::ffi::time::{timed, until};
use crate::queue::byte_lane::RecvError;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn pop(
    handle: *mut interproc_byte_consumer_t,
    wait: Wait,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(handle) }.and_then(|consumer| unsafe {
        let len = output(len, "len")?;
        if buffer.is_null() && size > 0 {
            return Err(invalid("buffer is NULL"));
        }
        let (length, again) = consumer.pop_into(buffer.cast(), size, wait)?;
        len.set(length);
        if length > size {
            return Err(RecvError::too_small(length, size).into());
        }
        tell(redelivered, again);
        Ok(())
    }))
}

/// Borrows the next message, waiting for one until `abstime`, and says where it lies and how long it is. It stays there
/// until interproc_byte_consumer_release(). Until then another borrow finds the same message again, and a pop takes it,
/// which ends the borrow.
///
/// `redelivered` may be NULL. It becomes true when a consumer that died may have read this message, otherwise false.
///
/// @return 0; ETIMEDOUT; EPIPE: closed and drained.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_borrow_until(
    consumer: *mut interproc_byte_consumer_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| unsafe {
        let (message, len) = (output(message, "message")?, output(len, "len")?);
        let (found, again) = consumer.borrow(until(abstime)?)?;
        message.set(found.bytes.as_ptr().cast());
        len.set(found.len);
        tell(redelivered, again);
        Ok(())
    }))
}

/// Ends the message that was borrowed last: its room is free.
///
/// @return 0; EINVAL: none is borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_release(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| consumer.release()))
}

/// Copies the next message to `buffer`, which has room for `size` bytes, waiting for one. `*len` becomes its length.
///
/// `redelivered` may be NULL; see interproc_byte_consumer_borrow_until().
///
/// @return 0; EPIPE: closed and drained; EMSGSIZE: the message is longer than `size`: `len` is set, too, and the
/// message stays the next one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_pop(
    consumer: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(consumer, Wait::ForEver, buffer, size, len, redelivered) }
}

/// As interproc_byte_consumer_pop(), but never waits: EAGAIN when there is no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_trypop(
    consumer: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(consumer, Wait::Never, buffer, size, len, redelivered) }
}

/// As interproc_byte_consumer_pop(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_timedpop(
    consumer: *mut interproc_byte_consumer_t,
    abstime: *const timespec,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| pop(consumer, wait, buffer, size, len, redelivered)) }
}

/// Frees only once this many bytes (headers included) have been read, instead of with every message: for many short
/// ones. Until then the producer has less room, and as much may be read again, flagged, after a death. A wait, EAGAIN
/// for want of a message, interproc_byte_consumer_flush() and _leave() free, too. At most the capacity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_free_every(
    consumer: *mut interproc_byte_consumer_t,
    bytes: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| consumer.free_every(bytes)))
}

/// Frees what was read and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_flush(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| consumer.flush()))
}

/// Closes the queue itself, for good: the producer is refused from now on, what is there can be read. A message that is
/// being published meanwhile is either read or refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_close(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| consumer.close()))
}

/// Frees what was read and leaves the seat. What was not read stays in the queue. The handle is cleared in any case.
///
/// @return As interproc_byte_producer_leave().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_leave(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(consumer) }.and_then(|mut side| {
        let mine = side.me().map(drop);
        side.leave();
        mine
    }))
}
