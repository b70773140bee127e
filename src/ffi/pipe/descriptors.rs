//! Messages with descriptors.

use super::make::make;
use super::{interproc_pipe_t, receiver, sender};
use crate::error::format;
use crate::error::{Error, ErrorKind};
use crate::ffi::arguments::{bytes, output};
use crate::ffi::error::report;
use crate::ffi::invalid;
use crate::ffi::time::until;
use crate::pipe;
use core::ffi::{c_int, c_void};
use libc::timespec;
use std::os::fd::IntoRawFd;

/// As interproc_pipe_pair(), for a pipe through which descriptors can go, too: interproc_pipe_send_fd_until(). It has a pair of
/// sockets beside it: two descriptors more. What else goes through it costs the same.
///
/// @return As interproc_pipe_pair().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_pair_with_fds(
    capacity: usize,
    longest: usize,
    a: *mut interproc_pipe_t,
    b: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { make((a, "a"), (b, "b"), || pipe::pair_with_descriptors(capacity, longest)) }
}

/// As interproc_pipe_one_way(), for a pipe through which descriptors can go, too.
///
/// @return As interproc_pipe_one_way().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_one_way_with_fds(
    capacity: usize,
    longest: usize,
    to: *mut interproc_pipe_t,
    from: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { make((to, "to"), (from, "from"), || pipe::one_way_with_descriptors(capacity, longest)) }
}

/// Sends a message with a copy of the descriptor `fd`, waiting for room until `abstime`. `fd` may be closed as soon as this
/// returns. If the message is received by another call than interproc_pipe_recv_fd_until(), the copy is closed.
///
/// @return As interproc_pipe_timedsend(); EMSGSIZE: longer than interproc_pipe_longest() less eight: it does not go in pieces; ENOTSUP:
/// the pipe was not made for descriptors; EAGAIN: too many descriptors are on their way between processes; EINVAL also: `fd` is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_send_fd_until(
    pipe: *const interproc_pipe_t,
    message: *const c_void,
    len: usize,
    fd: c_int,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { sender(pipe) }.and_then(|sender| unsafe {
        sender.send_accompanied(bytes(message, len, "message")?, fd, until(abstime)?)
    }))
}

/// Receives a message into `buffer` of `size` bytes, waiting for it until `abstime`, and the descriptor that came with it: `*fd`, which is
/// the caller's then and close-on-exec; -1 if none did.
///
/// @return As interproc_pipe_timedrecv(); EAGAIN: this process has no room for the descriptor; the message and the descriptor stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_recv_fd_until(
    pipe: *const interproc_pipe_t,
    abstime: *const timespec,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    fd: *mut c_int,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        if buffer.is_null() && size > 0 {
            return Err(invalid("buffer is NULL"));
        }
        let (len, fd) = (output(len, "len")?, output(fd, "fd")?);
        let (length, came) = receiver.recv_accompanied_raw(buffer.cast(), size, until(abstime)?)?;
        len.set(length);
        if length > size {
            let detail = format!("the message has {length} bytes, the buffer {size}");
            return Err(Error::from(ErrorKind::TooLarge).with_detail(detail));
        }
        fd.set(came.map_or(-1, |came| came.into_owned().into_raw_fd()));
        Ok(())
    }))
}
