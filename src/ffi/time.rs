//! Deadlines: `struct timespec` on `CLOCK_MONOTONIC`.

use super::arguments::output;
use super::error::report;
use super::invalid;
use crate::error::Result;
use crate::time::Deadline;
use core::ffi::c_int;
use core::time::Duration;
use libc::timespec;

const NS: u64 = 1_000_000_000;

/// The deadline that the caller passed.
///
/// # Safety
/// NULL, or a valid pointer to a timespec.
#[inline]
pub(super) unsafe fn deadline(abstime: *const timespec) -> Result<Deadline> {
    // SAFETY: by the contract.
    let time = unsafe { abstime.as_ref() }.filter(|time| (time.tv_nsec as u64) < NS);
    let Some(time) = time else {
        return Err(invalid("abstime is NULL, or its nanoseconds are out of range"));
    };
    let nanoseconds = time.tv_nsec as u64;
    // Before the start of the clock is the past; beyond its range is the end of time.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Ok(Deadline::from_monotonic_ns(seconds.saturating_mul(NS).saturating_add(nanoseconds)))
}

/// Computes the time `nanoseconds` from now on CLOCK_MONOTONIC, for the functions that take a deadline.
///
///     struct timespec until;
///     interproc_deadline_after(5000000, &until);             // 5 ms from now
///     int rc = interproc_mutex_timedlock(&shop->lock, &until);
///
/// A deadline is a point in time: it stays the same through any number of waits, and no step of the wall clock
/// moves it. 0 gives the current time.
///
/// @return 0; EINVAL: deadline is NULL.
///
/// Thread-safe, fork-safe and async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_deadline_after(nanoseconds: u64, deadline: *mut timespec) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { output(deadline, "deadline") }.map(|deadline| {
        let ns = Deadline::after(Duration::from_nanos(nanoseconds)).as_monotonic_ns();
        // u64 nanoseconds are 584 years: the seconds always fit.
        deadline.set(timespec { tv_sec: (ns / NS) as _, tv_nsec: (ns % NS) as _ });
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tv_sec: i64, tv_nsec: i64) -> Option<u64> {
        let time = timespec { tv_sec, tv_nsec };
        // SAFETY: a valid timespec.
        unsafe { deadline(&raw const time) }.ok().map(Deadline::as_monotonic_ns)
    }

    #[test]
    fn a_timespec_outside_its_range_is_invalid_and_one_outside_ours_is_cut() {
        assert_eq!(parse(1, 5), Some(NS + 5));
        assert_eq!(parse(0, NS as i64 - 1), Some(NS - 1));
        assert_eq!((parse(0, NS as i64), parse(0, -1)), (None, None));
        assert_eq!(parse(-5, 0), Some(0));
        assert_eq!(parse(i64::MAX, 999_999_999), Some(u64::MAX));
    }
}
