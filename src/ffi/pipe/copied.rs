//! Messages that are copied in and out.

use super::{interproc_pipe_t, receiver, sender};
use crate::error::format;
use crate::error::{Error, ErrorKind};
use crate::ffi::arguments::{bytes, output, parts, tell};
use crate::ffi::error::report;
use crate::ffi::invalid;
use crate::ffi::time::{timed, until};
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::{iovec, timespec};

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn send(pipe: *const interproc_pipe_t, message: *const c_void, len: usize, wait: Wait) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { sender(pipe) }.and_then(|sender| {
        // SAFETY: by the contract.
        sender.send_by(unsafe { bytes(message, len, "message") }?, wait)
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn recv(
    pipe: *const interproc_pipe_t,
    wait: Wait,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        if len.is_null() || buffer.is_null() && size > 0 {
            return Err(invalid("buffer or len is NULL"));
        }
        let (length, again) = receiver.recv_raw(buffer.cast(), size, wait)?;
        len.write(length);
        if length > size {
            let detail = format!("the message has {length} bytes, the buffer {size}");
            return Err(Error::from(ErrorKind::TooLarge).with_detail(detail));
        }
        tell(redelivered, again);
        Ok(())
    }))
}

/// Sends the `len` bytes at `message` as one message, waiting for room. NULL with 0 is an empty one. One that is longer than
/// interproc_pipe_longest() goes in pieces as the other end takes them.
///
/// @return 0; EPIPE: the other end is closed or dead; EINVAL also for an end that only receives. After an error the message was not
/// sent. (EMSGSIZE only in a pipe for messages of less than sixteen bytes, which sends no pieces.)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_send(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(pipe, message, len, Wait::ForEver) }
}

/// As interproc_pipe_send(), but never waits: EAGAIN when the pipe is full; EMSGSIZE for a message that is longer than
/// interproc_pipe_longest().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_trysend(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(pipe, message, len, Wait::Never) }
}

/// As interproc_pipe_send(), until `abstime`: then ETIMEDOUT. What has gone of a message in pieces is dropped by the receiver when the
/// next one comes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedsend(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    len: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| send(pipe, message, len, wait)) }
}

/// Sends the `count` parts at `parts` as one message (struct iovec of <sys/uio.h>), waiting for room until `abstime`.
///
/// @return As interproc_pipe_timedsend().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_send_vectored_until(
    pipe: *const interproc_pipe_t,
    parts: *const iovec,
    count: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { sender(pipe) }.and_then(|sender| unsafe {
        let parts = self::parts(parts, count, "parts")?;
        sender.send_parts(parts, until(abstime)?)
    }))
}

/// Receives a message into `buffer` of `size` bytes, waiting for it. `*len` becomes its length.
///
/// `redelivered` may be NULL. It becomes true when the thread that had this end before may have read the message and
/// died before it had taken it; otherwise false.
///
/// @return 0; EPIPE: the other end is closed or dead, and everything was received; ECONNRESET, once: it died or closed in the middle
/// of a message that came in pieces; EMSGSIZE: the message is longer than
/// the buffer: `len` is set, too, and the message stays the next one; EINVAL also for an end that only sends, or
/// while a message is borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_recv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(pipe, Wait::ForEver, buffer, size, len, redelivered) }
}

/// Skips the next message, of any length, if there is one now: `*skipped`. For one that is longer than the buffer, as a sender may
/// send any length.
///
/// @return 0; EPIPE, ECONNRESET as interproc_pipe_recv(); EINVAL: skipped is NULL, an end that only sends, a message is borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_skip(pipe: *const interproc_pipe_t, skipped: *mut bool) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        let skipped = output(skipped, "skipped")?;
        skipped.set(receiver.skip()?);
        Ok(())
    }))
}

/// As interproc_pipe_recv(), but never waits: EAGAIN when there is no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_tryrecv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(pipe, Wait::Never, buffer, size, len, redelivered) }
}

/// As interproc_pipe_recv(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedrecv(
    pipe: *const interproc_pipe_t,
    abstime: *const timespec,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| recv(pipe, wait, buffer, size, len, redelivered)) }
}
