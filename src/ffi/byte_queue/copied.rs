//! Messages that are copied in and out.

use super::{interproc_byte_queue_t, me};
use crate::error::ErrorKind;
use crate::ffi::arguments::{bytes, parts, tell};
use crate::ffi::error::report;
use crate::ffi::handle::find;
use crate::ffi::invalid;
use crate::ffi::time::{timed, until};
use crate::queue::Popped;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use core::ptr::copy_nonoverlapping;
use libc::{iovec, timespec};

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn push(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    len: usize,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract; the record has room for the message.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let message = bytes(message, len, "message")?;
        queue.push_with(me(queue)?, len, wait, |room| {
            copy_nonoverlapping(message.as_ptr(), room, len);
        })
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn pop(
    queue: *const interproc_byte_queue_t,
    wait: Wait,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract; what is copied has at most `size` bytes.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        if (buffer.is_null() && size != 0) || len.is_null() {
            return Err(invalid("buffer or len is NULL"));
        }
        let drain = |message: *const u8, len: usize| {
            if len != 0 {
                copy_nonoverlapping(message, buffer.cast(), len);
            }
            len
        };
        match queue.pop_with(me(queue)?, size, wait, drain)? {
            Popped::Taken(length, again) => {
                len.write(length);
                tell(redelivered, again);
                Ok(())
            }
            Popped::TooLong(needed) => {
                len.write(needed);
                Err(ErrorKind::TooLarge.into())
            }
        }
    }))
}

/// Copies a message of `len` bytes in, waiting for room. `message` may be NULL if `len` is 0.
///
/// @return 0; EMSGSIZE: longer than the queue's messages may be; EPIPE: the queue is closed; EDEADLK: the calling
/// thread itself holds the message or reservation whose room is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_push(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, message, len, Wait::ForEver) }
}

/// As interproc_byte_queue_push(), but never waits: EAGAIN when there is no room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_trypush(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, message, len, Wait::Never) }
}

/// As interproc_byte_queue_push(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedpush(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    len: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push(queue, message, len, wait)) }
}

/// Copies one message in that lies in `count` parts, as writev(2) would, waiting for room until `abstime`.
///
///     struct iovec parts[2] = {{&head, sizeof head}, {body, len}};
///     rc = interproc_byte_queue_push_vectored_until(&log, parts, 2, NULL);
///
/// @return As interproc_byte_queue_timedpush().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_push_vectored_until(
    queue: *const interproc_byte_queue_t,
    parts: *const iovec,
    count: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract; the record has room for the sum of the parts.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let parts = self::parts(parts, count, "parts")?;
        let len = parts.clone().try_fold(0usize, |sum, part| sum.checked_add(part.len()));
        queue.push_with(me(queue)?, len.ok_or(ErrorKind::TooLarge)?, until(abstime)?, |mut room| {
            for part in parts {
                copy_nonoverlapping(part.as_ptr(), room, part.len());
                room = room.add(part.len());
            }
        })
    }))
}

/// Takes the first message out and copies it into `buffer`, which has `size` bytes, waiting for one. `*len` becomes the
/// message's length.
///
/// `redelivered` may be NULL. It becomes true when an earlier consumer died with this message, or put it back;
/// otherwise false.
///
/// @return 0; EMSGSIZE: the buffer is too small: the message stays first, and `len` says how long it is; EPIPE: the
/// queue is closed and drained; EDEADLK: the head of the queue is the caller's own reservation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_pop(
    queue: *const interproc_byte_queue_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, Wait::ForEver, buffer, size, len, redelivered) }
}

/// As interproc_byte_queue_pop(), but never waits: EAGAIN when there is no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_trypop(
    queue: *const interproc_byte_queue_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, Wait::Never, buffer, size, len, redelivered) }
}

/// As interproc_byte_queue_pop(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedpop(
    queue: *const interproc_byte_queue_t,
    abstime: *const timespec,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| pop(queue, wait, buffer, size, len, redelivered)) }
}
