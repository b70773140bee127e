//! An end: what there is to see of it, and how it ends.

use super::{Ends, interproc_pipe_t, receiver};
use crate::ffi::arguments::output;
use crate::ffi::error::report;
use crate::ffi::handle::{close, open_mut};
use crate::ffi::time::deadline;
use crate::ffi::who::{self, interproc_who_t};
use crate::ffi::{call, invalid};
use crate::pipe::{Receiver, Sender};
use core::ffi::c_int;
use libc::timespec;

/// Whether a receive would not wait, that is whether there is a message or the end; waits until `abstime` for that (a
/// time in the past: just looks).
///
/// @return 0; EINVAL, EPERM, ESTALE, EBADMSG, EUSERS: as interproc_pipe_recv().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_poll(
    pipe: *const interproc_pipe_t,
    abstime: *const timespec,
    is_ready: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        let is_ready = output(is_ready, "is_ready")?;
        is_ready.set(receiver.poll_until(deadline(abstime)?)?);
        Ok(())
    }))
}

/// Who has the other end, dead or alive; `pid` 0 when it was closed. A snapshot.
///
/// @return 0; EINVAL, EPERM, ESTALE, EUSERS: as interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_peer(
    pipe: *const interproc_pipe_t,
    peer: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(peer, || {
            let ends = open_mut(pipe)?;
            match (&mut ends.sender, &mut ends.receiver) {
                (Some(sender), _) => sender.peer(),
                (_, Some(receiver)) => receiver.peer(),
                _ => Ok(None),
            }
        })
    }
}

/// The longest message, in bytes.
///
/// @return 0; EINVAL: a NULL, or closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_longest(pipe: *const interproc_pipe_t, longest: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { open_mut(pipe) }.and_then(|ends| {
        // SAFETY: by C's contract.
        let longest = unsafe { output(longest, "longest") }?;
        let receiver = ends.receiver.as_ref().map(Receiver::longest);
        longest.set(ends.sender.as_ref().map(Sender::longest).or(receiver).unwrap_or(0));
        Ok(())
    }))
}

/// Closes the end and frees the handle. The other end gets what was sent, and then EPIPE.
///
/// @return 0; EINVAL: NULL, or closed already; EPERM: a forked child's copy, which is freed.
///
/// Not to be called while another thread uses the end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_close(pipe: *mut interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let Ends { sender, receiver, .. } = close(pipe)?;
        let received = receiver.map_or(Ok(()), Receiver::close);
        sender.map_or(Ok(()), Sender::close).and(received)
    })
}

/// Closes one direction: nothing more is sent by this end (the other one sees the end after what was sent), or it receives
/// nothing more (sends to it return EPIPE). The other direction goes on.
///
/// @return 0; EINVAL: a NULL, a closed handle, or that direction is closed or not this end's; EPERM: a forked child's copy.
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_shutdown(
    pipe: *const interproc_pipe_t,
    sending: bool,
    receiving: bool,
) -> c_int {
    call(|| {
        // SAFETY: by C's contract.
        let ends = unsafe { open_mut(pipe) }?;
        if sending {
            ends.reserved = None;
            ends.sender.take().ok_or_else(|| invalid("this end does not send"))?.close()?;
        }
        if receiving {
            ends.held = false;
            ends.receiver.take().ok_or_else(|| invalid("this end does not receive"))?.close()?;
        }
        Ok(())
    })
}
