//! Messages that are copied in and out, several at a time.

use super::copied::{pop_one, push_one};
use super::{interproc_queue_t, me};
use crate::ffi::arguments::output;
use crate::ffi::error::report;
use crate::ffi::handle::find;
use crate::ffi::invalid;
use crate::ffi::time::timed;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn push_batch(
    handle: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    wait: Wait,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|queue| unsafe {
        let pushed = output(pushed, "pushed")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let me = me(queue)?;
        let element = |i: usize| elements.cast::<u8>().add(i * queue.ring().element());
        let mut done = 0;
        while done < count {
            match push_one(queue, me, element(done), wait) {
                Ok(()) => done += 1,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        pushed.set(done);
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn pop_batch(
    handle: *const interproc_queue_t,
    max: usize,
    wait: Wait,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|queue| unsafe {
        let popped = output(popped, "popped")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let me = me(queue)?;
        let element = |i: usize| elements.cast::<u8>().add(i * queue.ring().element());
        let mut done = 0;
        while done < max {
            // Only the first is waited for.
            let one = match done {
                0 => pop_one(queue, me, element(done), wait),
                _ => pop_one(queue, me, element(done), Wait::Never),
            };
            match one {
                Ok(again) => {
                    if !redelivered.is_null() {
                        redelivered.add(done).write(again);
                    }
                    done += 1;
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        popped.set(done);
        Ok(())
    }))
}

/// Pushes the `count` messages of the array `elements` in order, waiting for room as long as it takes. Others' messages
/// may come between. Says how many went in: fewer than `count` only when the queue was closed meanwhile.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_queue_push(), and none went in.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_push_batch(
    queue: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(queue, elements, count, Wait::ForEver, pushed) }
}

/// As interproc_queue_push_batch(), for as many messages as there is room; never waits.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_queue_trypush(), and none went in.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_trypush_batch(
    queue: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(queue, elements, count, Wait::Never, pushed) }
}

/// As interproc_queue_push_batch(), waiting until `abstime` at the latest. Says how many went in until then.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_queue_timedpush(), and none went in.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedpush_batch(
    queue: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    abstime: *const timespec,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push_batch(queue, elements, count, wait, pushed)) }
}

/// Waits for a message, then takes as many as there are, at most `max`, into the array `elements`. Says how many.
///
/// `redelivered` may be NULL, or an array of `max` flags: see interproc_queue_pop().
///
/// @return 0: at least one came out (or max is 0). Otherwise as interproc_queue_pop().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_pop_batch(
    queue: *const interproc_queue_t,
    max: usize,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(queue, max, Wait::ForEver, elements, popped, redelivered) }
}

/// As interproc_queue_pop_batch(); never waits.
///
/// @return 0: at least one came out (or max is 0). Otherwise as interproc_queue_trypop().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_trypop_batch(
    queue: *const interproc_queue_t,
    max: usize,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(queue, max, Wait::Never, elements, popped, redelivered) }
}

/// As interproc_queue_pop_batch(), waiting for the first message until `abstime` at the latest.
///
/// @return 0: at least one came out (or max is 0). Otherwise as interproc_queue_timedpop().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedpop_batch(
    queue: *const interproc_queue_t,
    max: usize,
    abstime: *const timespec,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| pop_batch(queue, max, wait, elements, popped, redelivered)) }
}
