//! Messages that are copied in and out.

use super::{interproc_pipe_t, receiver, sender};
use crate::error::format;
use crate::error::{Error, ErrorKind};
use crate::ffi::arguments::{bytes, parts};
use crate::ffi::error::{fail, report};
use crate::ffi::invalid;
use crate::ffi::time::timed;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::{iovec, timespec};

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn send(pipe: *const interproc_pipe_t, message: *const c_void, size: usize, wait: Wait) -> c_int {
    // SAFETY: by the contract.
    report(
        unsafe { sender(pipe) }
            .and_then(|sender| unsafe { sender.send_by(bytes(message, size, "message")?, wait) }),
    )
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn recv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    received: *mut usize,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract.
    let got = unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        if received.is_null() || buffer.is_null() && size > 0 {
            return Err(invalid("buffer or received is NULL"));
        }
        let len = receiver.recv_raw(buffer.cast(), size, wait)?;
        received.write(len);
        Ok(len)
    });
    match got {
        Ok(len) if len <= size => 0,
        Ok(len) => fail(
            Error::from(ErrorKind::TooLarge)
                .with_detail(format!("the message has {len} bytes, the buffer {size}")),
        ),
        Err(error) => fail(error),
    }
}

/// Sends the `size` bytes at `message` as one message, waiting for room as long as it takes. NULL with 0 is an empty one.
///
/// @return 0; EPIPE: the other end is closed or dead; EMSGSIZE: longer than the pipe's longest; EINVAL: a NULL, a closed
/// handle, or an end that only receives; EPERM: a forked child's copy; ESTALE: the thread that had the end died, and its
/// seat is gone; EBADMSG: somebody wrote over the pipe; EUSERS. The message was not sent then.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_send(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(pipe, message, size, Wait::ForEver) }
}

/// As interproc_pipe_send() if there is room; never waits.
///
/// @return As interproc_pipe_send(), and EAGAIN: the pipe is full.
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_trysend(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(pipe, message, size, Wait::Never) }
}

/// As interproc_pipe_send(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC.
///
/// @return As interproc_pipe_send(), and ETIMEDOUT.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedsend(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    size: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| send(pipe, message, size, wait)) }
}

/// Sends the `count` pieces at `pieces` as one message (struct iovec of <sys/uio.h>), waiting as long as it takes.
///
/// @return As interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_send_vectored(
    pipe: *const interproc_pipe_t,
    pieces: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(
        unsafe { sender(pipe) }
            .and_then(|sender| unsafe { sender.send_parts(parts(pieces, count, "pieces")?, Wait::ForEver) }),
    )
}

/// Receives a message into `buffer` of `size` bytes and says its length, waiting for it as long as it takes.
///
/// When the message is longer than the buffer, the call returns EMSGSIZE and `received` is set to its length, the one
/// output of this library that an error writes; the message stays the next one.
///
/// @return 0; EPIPE: the end: the other end is closed or dead, and all was received; EMSGSIZE; EINVAL: a NULL, a closed
/// handle, an end that only sends, or a message received in place that was not released; EPERM, ESTALE, EBADMSG, EUSERS:
/// as interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_recv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    received: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(pipe, buffer, size, received, Wait::ForEver) }
}

/// As interproc_pipe_recv() if there is a message; never waits.
///
/// @return As interproc_pipe_recv(), and EAGAIN: there is none.
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_tryrecv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    received: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv(pipe, buffer, size, received, Wait::Never) }
}

/// As interproc_pipe_recv(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC.
///
/// @return As interproc_pipe_recv(), and ETIMEDOUT.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedrecv(
    pipe: *const interproc_pipe_t,
    buffer: *mut c_void,
    size: usize,
    abstime: *const timespec,
    received: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| recv(pipe, buffer, size, received, wait)) }
}
