//! Messages that are written and read in place.

use super::{interproc_byte_queue_t, me};
use crate::error::Result;
use crate::ffi::arguments::{output, tell};
use crate::ffi::error::report;
use crate::ffi::handle::find;
use crate::ffi::time::until;
use crate::member::Member;
use crate::queue::RawByteQueue;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// Ends what the calling thread has reserved or borrowed.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn end(
    queue: *const interproc_byte_queue_t,
    end: impl FnOnce(&RawByteQueue, &Member) -> Result<()>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| end(queue, me(queue)?)))
}

/// Reserves room for a message of up to `len` bytes, waiting for it until `abstime`: to be written at `*room`, and then
/// given to interproc_byte_queue_commit() or interproc_byte_queue_abort() by the same thread. Until then the consumers
/// wait behind it. If the thread dies before, it is discarded and its room reclaimed.
///
/// @return As interproc_byte_queue_timedpush().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_reserve_until(
    queue: *const interproc_byte_queue_t,
    len: usize,
    abstime: *const timespec,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let room = output(room, "room")?;
        let claim = queue.reserve(me(queue)?, len, until(abstime)?)?;
        room.set(queue.room(&claim).0.cast());
        Ok(())
    }))
}

/// Publishes the first `len` bytes of what the calling thread has reserved at `room`, as one message.
///
/// @return 0; EMSGSIZE: more than was reserved (it stays reserved); EPERM: the calling thread has nothing reserved
/// there; EINVAL: not the place of a message in this queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_commit(
    queue: *const interproc_byte_queue_t,
    room: *mut c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.commit_at(me, room.cast(), len)) }
}

/// Gives back what the calling thread has reserved at `room`: no message is published, and its room is free.
///
/// @return As interproc_byte_queue_commit().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_abort(
    queue: *const interproc_byte_queue_t,
    room: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.abort_at(me, room.cast())) }
}

/// Borrows the first message, waiting for one until `abstime`, to be read in place: `*len` bytes at `*message`, until
/// the same thread gives it to interproc_byte_queue_release() or interproc_byte_queue_put_back(). The other consumers
/// go on behind it. If the thread dies before, the next consumer gets it, flagged.
///
/// `redelivered` may be NULL: see interproc_byte_queue_pop().
///
/// @return As interproc_byte_queue_timedpop(), without EMSGSIZE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_borrow_until(
    queue: *const interproc_byte_queue_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let (message, len) = (output(message, "message")?, output(len, "len")?);
        let claim = queue.borrow(me(queue)?, until(abstime)?)?;
        let (place, length) = queue.message(&claim);
        message.set(place.cast_const().cast());
        len.set(length);
        tell(redelivered, claim.redelivered());
        Ok(())
    }))
}

/// Ends the borrow of the message at `message`: it is done, and its room is free.
///
/// @return 0; EPERM: the calling thread has borrowed nothing there; EINVAL: not the place of a message in this queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_release(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.release_at(me, message.cast())) }
}

/// Puts the message that the calling thread has borrowed at `message` back where it was: the next consumer gets it,
/// flagged.
///
/// @return As interproc_byte_queue_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_put_back(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.put_back_at(me, message.cast())) }
}
