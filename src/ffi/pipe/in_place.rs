//! Messages that are written and read in place.

use super::{interproc_pipe_t, receiver, sender};
use crate::error::ErrorKind;
use crate::ffi::arguments::{output, tell};
use crate::ffi::error::report;
use crate::ffi::handle::open_mut;
use crate::ffi::invalid;
use crate::ffi::time::until;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// Reserves room for a message of `len` bytes, to be written at `*place` and sent by interproc_pipe_commit(), waiting
/// for it until `abstime`. Nobody sees it before. Any other call that sends by this end, or closes it, aborts the
/// reservation.
///
/// @return As interproc_pipe_timedsend().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_reserve_until(
    pipe: *const interproc_pipe_t,
    len: usize,
    abstime: *const timespec,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { sender(pipe) }.and_then(|sender| unsafe {
        let place = output(place, "place")?;
        place.set(sender.place(len, until(abstime)?)?.as_ptr().cast());
        open_mut(pipe)?.reserved = Some(len);
        Ok(())
    }))
}

/// Sends the first `len` bytes of what was reserved.
///
/// @return 0; EPIPE: it was not sent; EMSGSIZE: more than was reserved, which it still is; EINVAL: nothing is reserved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_commit(pipe: *const interproc_pipe_t, len: usize) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { open_mut(pipe) }.and_then(|ends| {
        let (Some(most), Some(sender)) = (ends.reserved, ends.sender.as_mut()) else {
            return Err(invalid("nothing is reserved"));
        };
        if len > most {
            return Err(ErrorKind::TooLarge.into());
        }
        ends.reserved = None;
        sender.commit(len)
    }))
}

/// Gives back what was reserved: nothing has happened.
///
/// @return 0; EINVAL: nothing is reserved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_abort(pipe: *const interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    report(
        unsafe { open_mut(pipe) }
            .and_then(|ends| ends.reserved.take().map(drop).ok_or_else(|| invalid("nothing is reserved"))),
    )
}

/// Borrows the next message in place, waiting for it until `abstime`. End it by interproc_pipe_release(); until then
/// every receive, borrow or poll by this end returns EINVAL. `redelivered` is as of interproc_pipe_recv().
///
/// A sender that breaks the protocol could change the bytes meanwhile: copy out what you do not trust, then look at it.
///
/// @return As interproc_pipe_timedrecv(); EMSGSIZE: the message comes in pieces, so it lies nowhere as a whole: it stays, for
/// interproc_pipe_recv().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_borrow_until(
    pipe: *const interproc_pipe_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        let (message, len) = (output(message, "message")?, output(len, "len")?);
        let (found, again) = receiver.find_whole(until(abstime)?)?;
        message.set(found.bytes.as_ptr().cast_const().cast());
        len.set(found.len);
        tell(redelivered, again);
        open_mut(pipe)?.held = true;
        Ok(())
    }))
}

/// Ends the message that was borrowed: its place may be written to.
///
/// @return 0; EINVAL: none is borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_release(pipe: *const interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { open_mut(pipe) }.and_then(|ends| {
        let held = core::mem::replace(&mut ends.held, false);
        match ends.receiver.as_mut().filter(|_| held) {
            Some(receiver) => receiver.release(),
            None => Err(invalid("no message is borrowed")),
        }
    }))
}
