//! The event.
//!
//! As for the semaphore: what needs no waiting needs no member and keeps no error.

use super::error::{fail, report};
use super::placed;
use super::time::timed;
use crate::error::{ErrorKind, Result};
use crate::member;
use crate::sync::RawEvent;
use crate::time::Wait;
use core::ffi::c_int;
use libc::timespec;

/// An event: a flag to wait for.
///
/// It lies in a segment, alone or as a member of a structure of yours. All-zero bytes are an event that is not set. A
/// Rust program sees it as a `sync::Event`.
///
///     rc = interproc_segment_object(&seg, "stop", sizeof *stop, 8, (void **)&stop);
///     ...
///     interproc_event_set(stop);                     // in one process, or in a signal handler
///     rc = interproc_event_wait(stop);               // in others: it releases all
///
/// A set releases all waiting threads, even if it is cleared right after it. Nobody owns an event: a setter that is
/// killed has set it and woken all, or has done nothing. With nobody asleep no operation makes a system call.
#[repr(C)]
pub struct interproc_event_t {
    /// Private.
    pub private_: [u64; 2],
}

const _: () = {
    assert!(size_of::<interproc_event_t>() == size_of::<RawEvent>());
    assert!(align_of::<interproc_event_t>() == align_of::<RawEvent>());
};

/// The event at an address.
///
/// # Safety
/// An address in an attached segment is an event's.
#[inline(always)]
unsafe fn at<'a>(event: *const interproc_event_t) -> Option<&'a RawEvent> {
    // SAFETY: by the contract.
    unsafe { placed::open(event.cast()) }
}

/// Makes an event that is not set. Needed only for memory in a segment that held something else before. Nobody else may
/// use the memory meanwhile, which need not be in a segment yet (see interproc_semaphore_init()).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_event_init(event: *mut interproc_event_t) -> c_int {
    // SAFETY: by C's contract the memory is an event's and unused.
    unsafe { placed::make(event.cast(), RawEvent::new()) }
}

/// Ends the use of an event before its memory is used for something else. Nobody waits for it or will use it again. The
/// memory is left as an event that is not set. An event needs no destroying before its segment is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_event_destroy(event: *mut interproc_event_t) -> c_int {
    // SAFETY: by C's contract nobody uses it any more.
    unsafe { placed::unmake(event.cast(), RawEvent::new()) }
}

/// Sets it, and releases all waiting threads.
///
/// Async-signal-safe, as interproc_semaphore_post().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_event_set(event: *mut interproc_event_t) -> c_int {
    // SAFETY: by C's contract it is an event.
    let Some(raw) = (unsafe { at(event) }) else { return ErrorKind::InvalidInput.errno() };
    raw.set();
    0
}

/// Clears it: later callers wait.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_event_clear(event: *mut interproc_event_t) -> c_int {
    // SAFETY: by C's contract it is an event.
    let Some(raw) = (unsafe { at(event) }) else { return ErrorKind::InvalidInput.errno() };
    raw.clear();
    0
}

/// Tells whether it is set: a snapshot.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_event_is_set(event: *const interproc_event_t, is_set: *mut bool) -> c_int {
    // SAFETY: by C's contract it is an event, and is_set is NULL or writable.
    match unsafe { at(event) } {
        Some(raw) if !is_set.is_null() => {
            // SAFETY: as above.
            unsafe { is_set.write(raw.is_set()) };
            0
        }
        _ => ErrorKind::InvalidInput.errno(),
    }
}

/// How many times it has been set, not counting those that found it set: a number that wraps after 2147483647.
///
/// For a wait in slices on an event that is set and cleared at once: a wait ends by that, but a thread between two
/// waits sees it by the number only.
///
///     uint32_t before, now;
///     interproc_event_sets(tick, &before);
///     do {
///         interproc_deadline_after(50000000, &slice);
///         rc = interproc_event_timedwait(tick, &slice);
///         interproc_event_sets(tick, &now);
///     } while (rc == ETIMEDOUT && now == before && !interrupted());
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_event_sets(event: *const interproc_event_t, sets: *mut u32) -> c_int {
    // SAFETY: by C's contract it is an event, and sets is NULL or writable.
    match unsafe { at(event) } {
        Some(raw) if !sets.is_null() => {
            // SAFETY: as above.
            unsafe { sets.write(raw.sets()) };
            0
        }
        _ => ErrorKind::InvalidInput.errno(),
    }
}

/// # Safety
/// An address in an attached segment is an event's.
#[inline(always)]
unsafe fn wait(event: *mut interproc_event_t, wait: Wait) -> c_int {
    // SAFETY: by the contract.
    match unsafe { at(event) } {
        Some(raw) if raw.is_set() => 0,
        Some(raw) => report(wait_slow(raw, wait)),
        None => fail(placed::nothing_there()),
    }
}

#[cold]
fn wait_slow(raw: &RawEvent, wait: Wait) -> Result<()> {
    raw.wait(member::current(core::ptr::from_ref(raw).cast())?, wait.deadline())
}

/// Waits until it is set, as long as it takes. EUSERS and ENOTSUP only if it has to wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_event_wait(event: *mut interproc_event_t) -> c_int {
    // SAFETY: by C's contract.
    unsafe { wait(event, Wait::ForEver) }
}

/// As interproc_event_wait(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_event_timedwait(
    event: *mut interproc_event_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract abstime is NULL or a timespec.
    unsafe { timed(abstime, |until| wait(event, until)) }
}
