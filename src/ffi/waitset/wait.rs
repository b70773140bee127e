//! Waiting.

use super::handle::{interproc_waitset_ready_t, interproc_waitset_t};
use crate::ffi::arguments::output;
use crate::ffi::handle::open_mut;
use crate::ffi::time::timed;
use crate::ffi::{call, invalid};
use crate::time::Wait;
use core::ffi::c_int;
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
unsafe fn wait(
    set: *const interproc_waitset_t,
    wait: Wait,
    results: *mut interproc_waitset_ready_t,
    capacity: usize,
    count: *mut usize,
) -> c_int {
    // SAFETY: by the contract; no more are told than there is room for.
    call(|| unsafe {
        let (set, count) = (open_mut(set)?, output(count, "count")?);
        output(results, "results")?;
        if capacity == 0 {
            return Err(invalid("capacity is 0"));
        }
        count.set(set.wait(wait, capacity, |at, ready| results.add(at).write(ready))?);
        Ok(())
    })
}

/// Waits until a source is ready, as long as it takes. `*count` becomes how many are, at most `capacity`, which is at least
/// 1, and `results` become these, in no certain order. If more are ready, the others come next time, before these come
/// again.
///
/// @return 0; EINVAL also when the set is empty, or only has times that were told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_wait(
    set: *const interproc_waitset_t,
    results: *mut interproc_waitset_ready_t,
    capacity: usize,
    count: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { wait(set, Wait::ForEver, results, capacity, count) }
}

/// As interproc_waitset_wait(), but never waits: EAGAIN when nothing is ready, also in an empty set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_trywait(
    set: *const interproc_waitset_t,
    results: *mut interproc_waitset_ready_t,
    capacity: usize,
    count: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { wait(set, Wait::Never, results, capacity, count) }
}

/// As interproc_waitset_wait(), until `abstime`: then ETIMEDOUT. With a time limit an empty set is no error: it sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_timedwait(
    set: *const interproc_waitset_t,
    abstime: *const timespec,
    results: *mut interproc_waitset_ready_t,
    capacity: usize,
    count: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |until| wait(set, until, results, capacity, count)) }
}
