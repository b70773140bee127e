//! Messages that are written and read where they lie.

use super::{interproc_pipe_t, receiver, sender};
use crate::ffi::arguments::output;
use crate::ffi::error::report;
use crate::ffi::handle::open_mut;
use crate::ffi::invalid;
use crate::ffi::time::timed;
use crate::queue::byte_lane::Found;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn reserve(pipe: *const interproc_pipe_t, size: usize, place: *mut *mut c_void, wait: Wait) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { sender(pipe) }.and_then(|sender| unsafe {
        let place = output(place, "place")?;
        place.set(sender.place(size, wait)?.as_ptr().cast());
        open_mut(pipe)?.reserved = Some(size);
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn receive(
    pipe: *const interproc_pipe_t,
    message: *mut *const c_void,
    size: *mut usize,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { receiver(pipe) }.and_then(|receiver| unsafe {
        let (message, size) = (output(message, "message")?, output(size, "size")?);
        let Found { bytes, len } = receiver.find(wait)?;
        message.set(bytes.as_ptr().cast_const().cast());
        size.set(len);
        open_mut(pipe)?.held = true;
        Ok(())
    }))
}

/// Gives room for a message of `size` bytes, to be written in place and sent by interproc_pipe_commit(); waits for it as
/// long as it takes. Until then nobody sees it; any other call that sends by this end, or closes it, forgets it.
///
/// @return As interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_reserve(
    pipe: *const interproc_pipe_t,
    size: usize,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(pipe, size, place, Wait::ForEver) }
}

/// As interproc_pipe_reserve() if there is room; never waits.
///
/// @return As interproc_pipe_trysend().
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_tryreserve(
    pipe: *const interproc_pipe_t,
    size: usize,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(pipe, size, place, Wait::Never) }
}

/// As interproc_pipe_reserve(), waiting until `abstime` at the latest.
///
/// @return As interproc_pipe_timedsend().
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedreserve(
    pipe: *const interproc_pipe_t,
    size: usize,
    abstime: *const timespec,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| reserve(pipe, size, place, wait)) }
}

/// Sends the first `size` bytes of the room that interproc_pipe_reserve() gave.
///
/// @return 0; EPIPE: it was not sent; EINVAL: none was reserved, or less; else as interproc_pipe_send().
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_commit(pipe: *const interproc_pipe_t, size: usize) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { open_mut(pipe) }.and_then(|ends| {
        let reserved = ends.reserved.take().filter(|&most| size <= most);
        let (Some(_), Some(sender)) = (reserved, ends.sender.as_mut()) else {
            return Err(invalid("no room was reserved, or less"));
        };
        sender.commit(size)
    }))
}

/// Gives the next message in its place, not copied; waits for it as long as it takes. It is to be released by
/// interproc_pipe_release(); until then this end receives nothing else.
///
/// A sender that breaks the rules could change the bytes meanwhile: who does not trust it copies them first.
///
/// @return As interproc_pipe_recv(), without EMSGSIZE.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_receive(
    pipe: *const interproc_pipe_t,
    message: *mut *const c_void,
    size: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(pipe, message, size, Wait::ForEver) }
}

/// As interproc_pipe_receive() if there is a message; never waits.
///
/// @return As interproc_pipe_tryrecv(), without EMSGSIZE.
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_tryreceive(
    pipe: *const interproc_pipe_t,
    message: *mut *const c_void,
    size: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(pipe, message, size, Wait::Never) }
}

/// As interproc_pipe_receive(), waiting until `abstime` at the latest.
///
/// @return As interproc_pipe_timedrecv(), without EMSGSIZE.
///
/// One thread at a time for each end; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_timedreceive(
    pipe: *const interproc_pipe_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    size: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| receive(pipe, message, size, wait)) }
}

/// Ends the message that interproc_pipe_receive() gave: its place may be written to.
///
/// @return 0; EINVAL: there is none; else as interproc_pipe_recv().
///
/// One thread at a time for each end; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_release(pipe: *const interproc_pipe_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { open_mut(pipe) }.and_then(|ends| {
        let held = core::mem::replace(&mut ends.held, false);
        match ends.receiver.as_mut().filter(|_| held) {
            Some(receiver) => receiver.release(),
            None => Err(invalid("no message was received in place")),
        }
    }))
}
