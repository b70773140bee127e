//! An end: what there is to see of it, and how it ends.

use super::{Ends, interproc_pipe_t, receiver};
use crate::ffi::arguments::output;
use crate::ffi::error::report;
use crate::ffi::handle::{close, open_mut};
use crate::ffi::time::until;
use crate::ffi::who::{self, interproc_who_t};
use crate::ffi::{call, invalid};
use crate::pipe::{Receiver, Sender};
use core::ffi::c_int;
use libc::timespec;

/// A direction of a pipe, for interproc_pipe_shutdown(): what this end sends.
pub const INTERPROC_PIPE_SEND: u32 = 1;
/// What this end receives.
pub const INTERPROC_PIPE_RECV: u32 = 2;

/// Waits until `abstime` for a message or the end: `*is_ready` becomes whether a receive would not wait. EINVAL also
/// while a message is borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_poll(
    pipe: *const interproc_pipe_t,
    abstime: *const timespec,
    is_ready: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        let is_ready = output(is_ready, "is_ready")?;
        is_ready.set(receiver.poll_by(until(abstime)?)?);
        Ok(())
    }))
}

/// Who has the other end, dead or alive; nobody when it was closed. A snapshot.
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

/// The longest message that goes as a whole, in bytes: one that can be sent without waiting, and written and read in place.
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
/// @return 0; EINVAL: closed already; EPERM: a forked child's copy, which is freed.
///
/// Not while another thread uses the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_close(pipe: *mut interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let Ends { sender, receiver, .. } = close(pipe)?;
        let received = receiver.map_or(Ok(()), Receiver::close);
        sender.map_or(Ok(()), Sender::close).and(received)
    })
}

/// Closes one direction, or both: INTERPROC_PIPE_SEND: nothing more is sent by this end (the other one sees the end
/// after what was sent); INTERPROC_PIPE_RECV: it receives nothing more (sends to it return EPIPE). `how` has one or
/// both of them.
///
/// @return 0; EINVAL also when that direction is closed or not this end's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_shutdown(pipe: *const interproc_pipe_t, how: u32) -> c_int {
    call(|| {
        if how == 0 || how & !(INTERPROC_PIPE_SEND | INTERPROC_PIPE_RECV) != 0 {
            return Err(invalid("how is INTERPROC_PIPE_SEND, INTERPROC_PIPE_RECV or both"));
        }
        // SAFETY: by C's contract.
        let ends = unsafe { open_mut(pipe) }?;
        if how & INTERPROC_PIPE_SEND != 0 {
            ends.reserved = None;
            ends.sender.take().ok_or_else(|| invalid("this end does not send"))?.close()?;
        }
        if how & INTERPROC_PIPE_RECV != 0 {
            ends.held = false;
            ends.receiver.take().ok_or_else(|| invalid("this end does not receive"))?.close()?;
        }
        Ok(())
    })
}
