//! Messages that are copied in and out, one by one.

use super::{interproc_queue_t, me};
use crate::error::Result;
use crate::ffi::arguments::{copy, tell};
use crate::ffi::error::report;
use crate::ffi::handle::find;
use crate::ffi::invalid;
use crate::ffi::time::{FOR_EVER, NEVER, REST, TIMED, timed};
use crate::member::Member;
use crate::queue::RawQueue;
use crate::queue::steps::Steps;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// One message in.
///
/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
pub(super) unsafe fn push_one<const FORM: u8>(
    queue: &RawQueue,
    me: &Member,
    element: *const u8,
    wait: Wait,
) -> Result<()> {
    let size = queue.ring().element();
    // SAFETY: the cell is ours and has `size` bytes, as has the caller's message.
    let fill = move |cell: *mut u8| unsafe { copy(element, cell, size) };
    match FORM {
        NEVER => queue.try_push_with(me, fill),
        FOR_EVER => queue.push_with(me, None, fill),
        _ => queue.push_with(me, wait.deadline(), fill),
    }
}

/// One message out; whether it was redelivered. `steps` are a batch's.
///
/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
pub(super) unsafe fn pop_one<const FORM: u8>(
    queue: &RawQueue,
    me: &Member,
    element: *mut u8,
    wait: Wait,
    steps: Option<&mut Steps>,
) -> Result<bool> {
    let size = queue.ring().element();
    // SAFETY: as in `push_one`.
    let drain = move |cell: *const u8| unsafe { copy(cell, element, size) };
    let ((), redelivered) = match FORM {
        NEVER | REST => queue.try_pop_within(me, steps, drain),
        FOR_EVER => queue.pop_with(me, None, drain),
        _ => queue.pop_with(me, wait.deadline(), drain),
    }?;
    Ok(redelivered)
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn push<const FORM: u8>(
    handle: *const interproc_queue_t,
    element: *const c_void,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|queue| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        push_one::<FORM>(queue, me(queue)?, element.cast(), wait)
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn pop<const FORM: u8>(
    handle: *const interproc_queue_t,
    wait: Wait,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|queue| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        let again = pop_one::<FORM>(queue, me(queue)?, element.cast(), wait, None)?;
        tell(redelivered, again);
        Ok(())
    }))
}

/// Copies the message at `element` into the queue, waiting for room.
///
/// @return 0; EPIPE: the queue is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_push(
    queue: *const interproc_queue_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push::<FOR_EVER>(queue, element, Wait::ForEver) }
}

/// As interproc_queue_push(), but never waits: EAGAIN when the queue is full.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_trypush(
    queue: *const interproc_queue_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push::<NEVER>(queue, element, Wait::Never) }
}

/// As interproc_queue_push(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedpush(
    queue: *const interproc_queue_t,
    element: *const c_void,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push::<TIMED>(queue, element, wait)) }
}

/// Takes the oldest message out and copies it to `element`, waiting for one.
///
/// `redelivered` may be NULL. It becomes true when an earlier consumer died while it popped this message: its call
/// never returned, so the message was not processed; otherwise false.
///
/// @return 0; EPIPE: the queue is closed and drained.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_pop(
    queue: *const interproc_queue_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop::<FOR_EVER>(queue, Wait::ForEver, element, redelivered) }
}

/// As interproc_queue_pop(), but never waits: EAGAIN when the queue is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_trypop(
    queue: *const interproc_queue_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop::<NEVER>(queue, Wait::Never, element, redelivered) }
}

/// As interproc_queue_pop(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedpop(
    queue: *const interproc_queue_t,
    abstime: *const timespec,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| pop::<TIMED>(queue, wait, element, redelivered)) }
}
