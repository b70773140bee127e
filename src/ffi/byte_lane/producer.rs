//! The producer: messages in, copied or written where they lie.

use super::interproc_byte_producer_t;
use crate::ffi::arguments::{bytes, output, parts};
use crate::ffi::error::report;
use crate::ffi::handle::{find_mut, take};
use crate::ffi::time::timed;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use core::iter::once;
use libc::{iovec, timespec};

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn send(
    handle: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract.
    report(
        unsafe { find_mut(handle) }
            .and_then(|producer| unsafe { producer.push(once(bytes(message, len, "message")?), wait) }),
    )
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn send_vectored(
    handle: *mut interproc_byte_producer_t,
    list: *const iovec,
    count: usize,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract.
    report(
        unsafe { find_mut(handle) }
            .and_then(|producer| unsafe { producer.push(parts(list, count, "parts")?, wait) }),
    )
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn reserve(
    handle: *mut interproc_byte_producer_t,
    len: usize,
    wait: Wait,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(handle) }.and_then(|producer| unsafe {
        let place = output(place, "place")?;
        place.set(producer.reserve(len, wait)?.as_ptr().cast());
        Ok(())
    }))
}

/// Copies the message of `len` bytes at `message` into the queue, waiting for room as long as it takes. An interrupting signal
/// handler runs, and the waiting goes on. An empty message is one, too.
///
/// @return 0; EMSGSIZE: longer than the longest message of the queue; EPIPE: the queue is closed; it was not sent, nor what
/// was not published yet; EPERM: the handle is a parent process's; ESTALE: the thread that used the handle last died, and
/// another producer has taken over; EBADMSG: somebody wrote over the queue; EINVAL: a NULL, no producer, or its segment is
/// closed; EUSERS: every member slot of the segment is held by a living thread; ENOTSUP: the kernel or sandbox lacks robust
/// lists.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_send(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(producer, message, len, Wait::ForEver) }
}

/// Copies a message into the queue if there is room; never waits.
///
/// @return As interproc_byte_producer_send(), and EAGAIN: there is no room.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_trysend(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(producer, message, len, Wait::Never) }
}

/// Copies a message into the queue, waiting for room until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it is still sent if there is room.
///
/// @return As interproc_byte_producer_send(), and ETIMEDOUT: no room in time. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_timedsend(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| send(producer, message, len, wait)) }
}

/// Sends one message whose parts lie in `count` places, waiting for room as long as it takes.
///
/// @return As interproc_byte_producer_send().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_send_vectored(
    producer: *mut interproc_byte_producer_t,
    parts: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send_vectored(producer, parts, count, Wait::ForEver) }
}

/// Sends one message whose parts lie in `count` places, if there is room; never waits.
///
/// @return As interproc_byte_producer_trysend().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_trysend_vectored(
    producer: *mut interproc_byte_producer_t,
    parts: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send_vectored(producer, parts, count, Wait::Never) }
}

/// Sends one message whose parts lie in `count` places, waiting for room until `abstime` at the latest.
///
/// @return As interproc_byte_producer_timedsend().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_timedsend_vectored(
    producer: *mut interproc_byte_producer_t,
    parts: *const iovec,
    count: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| send_vectored(producer, parts, count, wait)) }
}

/// Reserves room for a message of at most `len` bytes, to be written at `*place`, waiting as long as it takes. It is sent by
/// interproc_byte_producer_commit(), given back by interproc_byte_producer_abort(), or by the next reserve or send. What is
/// in it at first is left over from older messages. A forked child must not write there.
///
/// @return As interproc_byte_producer_send().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_reserve(
    producer: *mut interproc_byte_producer_t,
    len: usize,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(producer, len, Wait::ForEver, place) }
}

/// Reserves room for a message if there is any; never waits.
///
/// @return As interproc_byte_producer_reserve(), and EAGAIN: there is no room.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_tryreserve(
    producer: *mut interproc_byte_producer_t,
    len: usize,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(producer, len, Wait::Never, place) }
}

/// Reserves room for a message, waiting until `abstime` at the latest.
///
/// @return As interproc_byte_producer_reserve(), and ETIMEDOUT: no room in time. EINVAL also for a bad abstime.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_timedreserve(
    producer: *mut interproc_byte_producer_t,
    len: usize,
    abstime: *const timespec,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| reserve(producer, len, wait, place)) }
}

/// Sends the first `len` bytes of what was reserved.
///
/// @return 0; EINVAL also when nothing is reserved, or less; then nothing is reserved any more. EPIPE, EPERM, ESTALE, EUSERS,
/// ENOTSUP: as interproc_byte_producer_send(); it was not sent.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
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
/// @return 0; EINVAL: a NULL, or no producer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_abort(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.map(|producer| producer.abort()))
}

/// Publishes by itself only when so many bytes (headers included) have gathered, instead of with every message: for many short
/// ones. Until then the consumer sees nothing, and as much can be lost by a death. A wait for room, EAGAIN for want of it,
/// interproc_byte_producer_flush(), _close() and _leave() publish, too. What has gathered is published now.
///
/// @return As interproc_byte_producer_flush().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_publish_every(
    producer: *mut interproc_byte_producer_t,
    bytes: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| producer.publish_every(bytes)))
}

/// Publishes what was sent and not published.
///
/// @return 0; EPIPE: the queue is closed; it is lost, as nobody will read it; EPERM, ESTALE, EINVAL, EUSERS, ENOTSUP: as
/// interproc_byte_producer_send().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_flush(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| producer.flush()))
}

/// Closes the queue itself, for good: what was sent can still be received, then the consumer gets EPIPE.
///
/// @return As interproc_byte_producer_flush(). EPIPE if it was closed before what was not published yet.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_close(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|producer| producer.close()))
}

/// Publishes what was sent, gives back what was reserved, and leaves the seat. The queue and its messages stay. The handle is
/// none any more, whatever is returned.
///
/// @return 0; EPERM: the handle is a parent process's, whose seat is untouched; ESTALE: another producer has taken over; EINVAL:
/// a NULL, or no producer; EUSERS, ENOTSUP: the seat is free when the thread that used the handle last ends.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_leave(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(producer) }.and_then(|mut side| {
        let mine = side.me().map(drop);
        side.leave();
        mine
    }))
}
