//! The counting semaphore.
//!
//! Posting, and taking what is there, need no member: they only check that a segment is there, and keep no error for
//! `interproc_last_error_message`, as that is not async-signal-safe.

use super::error::{fail, report};
use super::invalid;
use super::placed;
use super::time::timed;
use crate::error::{ErrorKind, Result};
use crate::member;
use crate::sync::RawSemaphore;
use crate::time::Wait;
use core::ffi::c_int;
use libc::timespec;

/// A counting semaphore: a number that anybody may raise and that nobody can lower below zero without waiting.
///
/// It lies in a segment, alone or as a member of a structure of yours. All-zero bytes are a semaphore with the value 0.
/// A Rust program sees it as a `sync::Semaphore`.
///
///     rc = interproc_segment_object(&seg, "ready", sizeof *ready, 8, (void **)&ready);
///     ...
///     interproc_semaphore_post(ready);               // in one process, or in a signal handler
///     rc = interproc_semaphore_acquire(ready);       // in another
///
/// It has no owner: what a thread has acquired and not posted when it dies is lost. Nothing else is: a post by a killed
/// thread has happened together with its wake-up, or not at all; the wake-up of a killed sleeper goes to another one at
/// once. With nobody asleep every operation is one compare-and-swap and no system call.
#[repr(C)]
pub struct interproc_semaphore_t {
    /// Private.
    pub private_: [u64; 2],
}

const _: () = {
    assert!(size_of::<interproc_semaphore_t>() == size_of::<RawSemaphore>());
    assert!(align_of::<interproc_semaphore_t>() == align_of::<RawSemaphore>());
};

/// The semaphore at an address.
///
/// # Safety
/// An address in an attached segment is a semaphore's.
#[inline(always)]
unsafe fn at<'a>(semaphore: *const interproc_semaphore_t) -> Option<&'a RawSemaphore> {
    // SAFETY: by the contract.
    unsafe { placed::open(semaphore.cast()) }
}

/// The error's value, and nothing else: for what may be called in a signal handler.
#[inline(always)]
fn quietly(result: Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.errno(),
    }
}

/// Makes a semaphore with this value. Needed only for a value other than 0, or for memory that held something else
/// before. Nobody else may use the memory meanwhile. It need not be in a segment yet: what is made in a structure of
/// the program's own may be the first value of an object, see interproc_segment_object_as().
///
/// @return 0; EINVAL also for a value above 2147483647.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_semaphore_init(
    semaphore: *mut interproc_semaphore_t,
    value: u32,
) -> c_int {
    if value > RawSemaphore::MAX {
        return fail(invalid("value is out of range"));
    }
    // SAFETY: by C's contract the memory is a semaphore's and unused.
    unsafe { placed::make(semaphore.cast(), RawSemaphore::new(value)) }
}

/// Ends the use of a semaphore before its memory is used for something else. Nobody waits on it or will use it again.
/// The memory is left as a semaphore with the value 0. A semaphore needs no destroying before its segment is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_semaphore_destroy(semaphore: *mut interproc_semaphore_t) -> c_int {
    // SAFETY: by C's contract nobody uses it any more.
    unsafe { placed::unmake(semaphore.cast(), RawSemaphore::new(0)) }
}

/// Adds one, and wakes a thread that waits.
///
/// @return 0; EOVERFLOW: the value is 2147483647, and nothing was changed.
///
/// Async-signal-safe, in any thread: one that never used the segment does not become a member of it. A handler may run
/// in the middle of any function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_semaphore_post(semaphore: *mut interproc_semaphore_t) -> c_int {
    // SAFETY: by C's contract it is a semaphore.
    match unsafe { at(semaphore) } {
        Some(raw) => quietly(raw.post(1)),
        None => ErrorKind::InvalidInput.errno(),
    }
}

/// Adds n, and wakes as many threads that wait. While somebody sleeps it is done in steps of at most 2047: a thread
/// that is killed in it has posted some of them.
///
/// @return 0; EOVERFLOW: the value would exceed 2147483647, and nothing was changed.
///
/// Async-signal-safe, as interproc_semaphore_post().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_semaphore_post_many(
    semaphore: *mut interproc_semaphore_t,
    n: u32,
) -> c_int {
    // SAFETY: by C's contract it is a semaphore.
    match unsafe { at(semaphore) } {
        Some(raw) => quietly(raw.post(n)),
        None => ErrorKind::InvalidInput.errno(),
    }
}

/// # Safety
/// An address in an attached segment is a semaphore's.
#[inline(always)]
unsafe fn acquire(semaphore: *mut interproc_semaphore_t, wait: Wait) -> c_int {
    // SAFETY: by the contract.
    match unsafe { at(semaphore) } {
        Some(raw) if raw.try_acquire().is_ok() => 0,
        Some(raw) => acquire_slow(raw, wait),
        None => fail(placed::nothing_there()),
    }
}

#[cold]
fn acquire_slow(raw: &RawSemaphore, wait: Wait) -> c_int {
    let me = member::current(core::ptr::from_ref(raw).cast());
    report(me.and_then(|me| raw.acquire(me, wait.deadline())))
}

/// Takes one, waiting as long as it takes. EUSERS and ENOTSUP only if it has to wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_semaphore_acquire(semaphore: *mut interproc_semaphore_t) -> c_int {
    // SAFETY: by C's contract.
    unsafe { acquire(semaphore, Wait::ForEver) }
}

/// As interproc_semaphore_acquire(), but never waits: EBUSY when the value is 0.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_semaphore_tryacquire(semaphore: *mut interproc_semaphore_t) -> c_int {
    // SAFETY: by C's contract it is a semaphore.
    match unsafe { at(semaphore) } {
        Some(raw) => quietly(raw.try_acquire()),
        None => ErrorKind::InvalidInput.errno(),
    }
}

/// As interproc_semaphore_acquire(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_semaphore_timedacquire(
    semaphore: *mut interproc_semaphore_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract abstime is NULL or a timespec.
    unsafe { timed(abstime, |wait| acquire(semaphore, wait)) }
}

/// Tells the value: a snapshot.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_semaphore_value(
    semaphore: *const interproc_semaphore_t,
    value: *mut u32,
) -> c_int {
    // SAFETY: by C's contract it is a semaphore, and value is NULL or writable.
    match unsafe { at(semaphore) } {
        Some(raw) if !value.is_null() => {
            // SAFETY: as above.
            unsafe { value.write(raw.value()) };
            0
        }
        _ => ErrorKind::InvalidInput.errno(),
    }
}
