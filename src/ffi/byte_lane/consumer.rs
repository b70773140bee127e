//! The consumer: messages out, copied or read where they lie.

use super::interproc_byte_consumer_t;
use crate::ffi::arguments::{output, tell};
use crate::ffi::error::report;
use crate::ffi::handle::{find_mut, take};
use crate::ffi::invalid;
use crate::ffi::time::timed;
use crate::queue::byte_lane::RecvError;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn receive(
    handle: *mut interproc_byte_consumer_t,
    wait: Wait,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(handle) }.and_then(|consumer| unsafe {
        let (message, len) = (output(message, "message")?, output(len, "len")?);
        let (found, again) = consumer.borrow(wait)?;
        message.set(found.bytes.as_ptr().cast());
        len.set(found.len);
        tell(redelivered, again);
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn recv_into(
    handle: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    wait: Wait,
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

/// Waits for the next message as long as it takes, and says where it lies and how long it is. It stays there until
/// interproc_byte_consumer_release(); without that it is the next one again. A signal handler that interrupts runs, and the
/// waiting goes on.
///
/// `redelivered` may be NULL. It is set to true when a consumer died that may have read this message, otherwise to false.
///
/// @return 0; EPIPE: closed and drained; EBADMSG: a header or a count that cannot be: somebody wrote over the queue; EPERM: the
/// handle is a parent process's; ESTALE: the thread that used the handle last died, and another consumer has taken over;
/// EINVAL: a NULL, no consumer, or its segment is closed; EUSERS, ENOTSUP: as interproc_byte_producer_send().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_receive(
    consumer: *mut interproc_byte_consumer_t,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(consumer, Wait::ForEver, message, len, redelivered) }
}

/// Gives the next message if there is one; never waits.
///
/// @return As interproc_byte_consumer_receive(), and EAGAIN: there is none.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_tryreceive(
    consumer: *mut interproc_byte_consumer_t,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(consumer, Wait::Never, message, len, redelivered) }
}

/// Waits for the next message until `abstime` at the latest.
///
/// @return As interproc_byte_consumer_receive(), and ETIMEDOUT: none in time. EINVAL also for a bad abstime.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_timedreceive(
    consumer: *mut interproc_byte_consumer_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| receive(consumer, wait, message, len, redelivered)) }
}

/// Ends the message that was received last: its room is free. Without one it does nothing.
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS, ENOTSUP: as interproc_byte_consumer_receive().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_release(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| consumer.release()))
}

/// Copies the next message to `buffer`, which has room for `size` bytes, waiting for one as long as it takes; and says how
/// long it is.
///
/// `redelivered` may be NULL; see interproc_byte_consumer_receive().
///
/// @return As interproc_byte_consumer_receive(), and EMSGSIZE: the message is longer than `size`. Then `len` is set, too, and
/// the message stays where it is.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_recv_into(
    consumer: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv_into(consumer, buffer, size, Wait::ForEver, len, redelivered) }
}

/// Copies the next message to `buffer` if there is one; never waits.
///
/// @return As interproc_byte_consumer_recv_into(), and EAGAIN: there is none.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_tryrecv_into(
    consumer: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv_into(consumer, buffer, size, Wait::Never, len, redelivered) }
}

/// Copies the next message to `buffer`, waiting for one until `abstime` at the latest.
///
/// @return As interproc_byte_consumer_recv_into(), and ETIMEDOUT: none in time. EINVAL also for a bad abstime.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_timedrecv_into(
    consumer: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    abstime: *const timespec,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| recv_into(consumer, buffer, size, wait, len, redelivered)) }
}

/// Frees by itself only when so many bytes (headers included) were read, instead of with every message: for many short ones.
/// Until then the producer has less room, and as much may be read again, and is flagged, after a death. A wait, EAGAIN for
/// want of a message, interproc_byte_consumer_flush() and _leave() free, too. At most the capacity.
///
/// @return As interproc_byte_consumer_release().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_free_every(
    consumer: *mut interproc_byte_consumer_t,
    bytes: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| consumer.free_every(bytes)))
}

/// Frees what was read and not freed.
///
/// @return As interproc_byte_consumer_release().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_flush(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| consumer.flush()))
}

/// Closes the queue itself, for good: the producer is refused from now on, what is there can be received. A message that is
/// being published meanwhile is either received or refused.
///
/// @return As interproc_byte_consumer_release().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_close(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|consumer| consumer.close()))
}

/// Frees what was read and leaves the seat. What was not read stays in the queue. The handle is none any more, whatever is
/// returned.
///
/// @return As interproc_byte_producer_leave().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_leave(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(consumer) }.and_then(|mut side| {
        let mine = side.me().map(drop);
        side.leave();
        mine
    }))
}
