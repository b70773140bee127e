//! Messages that are copied in and out.

use super::{interproc_byte_queue_t, me};
use crate::error::ErrorKind;
use crate::ffi::arguments::{bytes, parts, tell};
use crate::ffi::error::report;
use crate::ffi::handle::find;
use crate::ffi::invalid;
use crate::ffi::time::timed;
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
    length: usize,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract; the record has room for the message.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let message = bytes(message, length, "message")?;
        queue.push_with(me(queue)?, length, wait, |room| {
            copy_nonoverlapping(message.as_ptr(), room, length);
        })
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn push_vectored(
    queue: *const interproc_byte_queue_t,
    list: *const iovec,
    count: usize,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract; the record has room for the sum of the parts.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let parts = parts(list, count, "parts")?;
        let length = parts.clone().try_fold(0usize, |sum, part| sum.checked_add(part.len()));
        queue.push_with(me(queue)?, length.ok_or(ErrorKind::TooLarge)?, wait, |mut room| {
            for part in parts {
                copy_nonoverlapping(part.as_ptr(), room, part.len());
                room = room.add(part.len());
            }
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
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract; what is copied has at most `size` bytes.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        if (buffer.is_null() && size != 0) || length.is_null() {
            return Err(invalid("buffer or length is NULL"));
        }
        let drain = |message: *const u8, length: usize| {
            if length != 0 {
                copy_nonoverlapping(message, buffer.cast(), length);
            }
            length
        };
        match queue.pop_with(me(queue)?, size, wait, drain)? {
            Popped::Taken(len, again) => {
                length.write(len);
                tell(redelivered, again);
                Ok(())
            }
            Popped::TooLong(needed) => {
                length.write(needed);
                Err(ErrorKind::TooLarge.into())
            }
        }
    }))
}

/// Copies a message of `length` bytes in, waiting for room as long as it takes. An interrupting signal handler runs, and the
/// waiting goes on. `message` may be NULL if `length` is 0.
///
/// @return 0; EMSGSIZE: longer than the queue's messages may be; EPIPE: the queue is closed; EDEADLK: the calling thread itself
/// holds the message or reservation whose room is needed; EINVAL: a NULL, no queue, or its segment is closed; EUSERS: every
/// member slot of the segment is held by a living thread; ENOTSUP: the kernel or sandbox lacks robust lists; EBADMSG: somebody
/// wrote over the queue.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_push(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, message, length, Wait::ForEver) }
}

/// As interproc_byte_queue_push() if there is room; never waits.
///
/// @return As interproc_byte_queue_push(), and EAGAIN: there is no room for it.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_trypush(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, message, length, Wait::Never) }
}

/// As interproc_byte_queue_push(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it still pushes if there is room.
///
/// @return As interproc_byte_queue_push(), and ETIMEDOUT: no room in time. EINVAL also when abstime is NULL or its nanoseconds
/// are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedpush(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    length: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push(queue, message, length, wait)) }
}

/// Copies one message in that lies in `count` parts, as writev() would; see interproc_byte_queue_push().
///
///     struct iovec parts[2] = {{&head, sizeof head}, {body, length}};
///     rc = interproc_byte_queue_push_vectored(&log, parts, 2);
///
/// @return As interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_push_vectored(
    queue: *const interproc_byte_queue_t,
    parts: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_vectored(queue, parts, count, Wait::ForEver) }
}

/// As interproc_byte_queue_push_vectored() if there is room; never waits.
///
/// @return As interproc_byte_queue_trypush().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_trypush_vectored(
    queue: *const interproc_byte_queue_t,
    parts: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_vectored(queue, parts, count, Wait::Never) }
}

/// As interproc_byte_queue_push_vectored(), waiting until `abstime` at the latest.
///
/// @return As interproc_byte_queue_timedpush().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedpush_vectored(
    queue: *const interproc_byte_queue_t,
    parts: *const iovec,
    count: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push_vectored(queue, parts, count, wait)) }
}

/// Takes the first message out and copies it into `buffer`, which has `size` bytes, waiting for one as long as it takes. `length`
/// becomes the message's length.
///
/// `redelivered` may be NULL. It is set to true when an earlier consumer died with this message, or put it back; otherwise to
/// false.
///
/// @return 0; EMSGSIZE: the buffer is too small: the message stays first, and `length` says how long it is; EPIPE: the queue is
/// closed and drained; EDEADLK: what is first is a reservation of the calling thread; EINVAL, EUSERS, ENOTSUP, EBADMSG: as
/// interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_pop(
    queue: *const interproc_byte_queue_t,
    buffer: *mut c_void,
    size: usize,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, Wait::ForEver, buffer, size, length, redelivered) }
}

/// As interproc_byte_queue_pop() if there is a message; never waits.
///
/// @return As interproc_byte_queue_pop(), and EAGAIN: there is none.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_trypop(
    queue: *const interproc_byte_queue_t,
    buffer: *mut c_void,
    size: usize,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, Wait::Never, buffer, size, length, redelivered) }
}

/// As interproc_byte_queue_pop(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it still pops what is there.
///
/// @return As interproc_byte_queue_pop(), and ETIMEDOUT: no message in time. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedpop(
    queue: *const interproc_byte_queue_t,
    buffer: *mut c_void,
    size: usize,
    abstime: *const timespec,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| pop(queue, wait, buffer, size, length, redelivered)) }
}
