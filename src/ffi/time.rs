//! Deadlines: `struct timespec` on `CLOCK_MONOTONIC`.
//!
//! | abstime | every function with a deadline |
//! |---|---|
//! | NULL | no time limit |
//! | nanoseconds not in 0..999999999 | EINVAL, nothing is done |
//! | in the past, zero, negative seconds | does what needs no waiting, else ETIMEDOUT |
//! | from 1,000,000,000 s on, below the clock's range | EINVAL, nothing is done: it is of another clock |
//! | from 18,446,744,073 s on, where the clock's range ends | for ever |
//!
//! A time of CLOCK_REALTIME falls into the last row but one: 1,000,000,000 s are 31 years since boot, and September 2001. It
//! would wait for ever otherwise, without a word. The bound is a constant, so no clock is read to check it.

use super::arguments::output;
use super::error::{fail, report};
use super::invalid;
use crate::error::{Error, Result};
use crate::sys;
use crate::time::{Deadline, Wait};
use core::ffi::c_int;
use core::time::Duration;
use libc::timespec;

const NS: u64 = 1_000_000_000;
/// No deadline of this clock, in seconds: later ones are taken for another clock's.
const TOO_FAR: u64 = 1_000_000_000;
/// From here on it is for ever.
const END: u64 = u64::MAX / NS;

/// The deadline that the caller passed.
///
/// # Safety
/// NULL, or a valid pointer to a timespec.
#[inline]
unsafe fn deadline(abstime: *const timespec) -> Result<Deadline> {
    // SAFETY: by the contract.
    let time = unsafe { abstime.as_ref() }.filter(|time| (time.tv_nsec as u64) < NS);
    let Some(time) = time else {
        return Err(invalid("the nanoseconds of abstime are out of range"));
    };
    let nanoseconds = time.tv_nsec as u64;
    // Before the start of the clock is the past; beyond its range is the end of time.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    if (TOO_FAR..END).contains(&seconds) {
        return Err(of_another_clock());
    }
    Ok(Deadline::from_monotonic_ns(seconds.saturating_mul(NS).saturating_add(nanoseconds)))
}

/// How long the caller lets a call wait: NULL is no time limit.
///
/// # Safety
/// NULL, or a valid pointer to a timespec.
#[inline]
pub(super) unsafe fn until(abstime: *const timespec) -> Result<Wait> {
    if abstime.is_null() {
        return Ok(Wait::ForEver);
    }
    // SAFETY: by the contract.
    unsafe { deadline(abstime) }.map(Wait::Until)
}

/// The forms of a call whose fast path is counted in instructions, as a constant of its body: each form, and each
/// batch, is an instance of its own then. A body that several forms share is not inlined into them, which costs 17 to
/// 27 instructions.
pub(super) const FOR_EVER: u8 = 0;
pub(super) const NEVER: u8 = 1;
pub(super) const TIMED: u8 = 2;
pub(super) const BATCH: u8 = 3;
/// What a batch takes behind its first message: it does not wait for that.
pub(super) const REST: u8 = 4;

/// What a `timed` form does: the body, which returns an errno value, with the time limit.
///
/// # Safety
/// As [`until`].
#[inline]
pub(super) unsafe fn timed(abstime: *const timespec, body: impl FnOnce(Wait) -> c_int) -> c_int {
    // SAFETY: by the contract.
    match unsafe { until(abstime) } {
        Ok(wait) => body(wait),
        Err(error) => fail(error),
    }
}

#[cold]
fn of_another_clock() -> Error {
    invalid(
        "abstime is 31 years after boot or more: is it a time of CLOCK_REALTIME? Deadlines are on CLOCK_MONOTONIC; \
         interproc_deadline_from() makes one of it",
    )
}

/// A deadline in C's form. What no function would take is the end of time.
fn in_c(ns: u64) -> timespec {
    let ns = if ns / NS >= TOO_FAR { u64::MAX } else { ns };
    // u64 nanoseconds are 584 years: the seconds always fit.
    timespec { tv_sec: (ns / NS) as _, tv_nsec: (ns % NS) as _ }
}

/// Computes the time `nanoseconds` from now on CLOCK_MONOTONIC, for the functions that take a deadline.
///
///     struct timespec until;
///     interproc_deadline_after(5000000, &until);             // 5 ms from now
///     int rc = interproc_mutex_timedlock(&shop->lock, &until);
///
/// A deadline is a point in time: it stays the same through any number of waits, and no step of the wall clock moves
/// it. 0 gives the current time; more than 31 years give the end of time, for ever.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_deadline_after(nanoseconds: u64, deadline: *mut timespec) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { output(deadline, "deadline") }.map(|deadline| {
        deadline.set(in_c(Deadline::after(Duration::from_nanos(nanoseconds)).as_monotonic_ns()));
    }))
}

/// Makes a deadline of a time on another clock: a `clockid_t`, such as CLOCK_REALTIME or CLOCK_BOOTTIME.
///
///     struct timespec noon, until;                           // what pthread_cond_timedwait() took
///     interproc_deadline_from(CLOCK_REALTIME, &noon, &until);
///     int rc = interproc_cond_timedwait(&shop->arrived, &shop->lock, &until);
///
/// It keeps the remaining time measured on that clock: it is as far from now as `abstime` is by that clock. If that
/// clock is set later, the deadline stays. A time in the past gives one in the past; a time on CLOCK_MONOTONIC gives
/// itself; more than 31 years after boot give the end of time.
///
/// @return 0; EINVAL also when there is no such clock, abstime is NULL or its nanoseconds are not in 0..999999999.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_deadline_from(
    clock: c_int,
    abstime: *const timespec,
    deadline: *mut timespec,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { output(deadline, "deadline") }.and_then(|deadline| {
        // SAFETY: by C's contract NULL or a timespec.
        let time = unsafe { abstime.as_ref() }.filter(|time| (time.tv_nsec as u64) < NS);
        let time = time.ok_or_else(|| invalid("abstime is NULL, or its nanoseconds are out of range"))?;
        let ns = if clock == libc::CLOCK_MONOTONIC {
            nanoseconds(time)
        } else {
            let now = sys::clock::ns_of(clock).ok_or_else(|| invalid("there is no such clock"))?;
            nanoseconds(time) - now + i128::from(Deadline::now().as_monotonic_ns())
        };
        deadline.set(in_c(ns.clamp(0, u64::MAX.into()) as u64));
        Ok(())
    }))
}

fn nanoseconds(time: &timespec) -> i128 {
    i128::from(time.tv_sec) * i128::from(NS) + i128::from(time.tv_nsec)
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
        assert_eq!((parse(-5, 0), parse(i64::MIN, 7)), (Some(0), Some(7)));
        assert_eq!(parse(i64::MAX, 999_999_999), Some(u64::MAX));
    }

    #[test]
    fn a_time_that_only_another_clock_has_is_invalid() {
        let (first, last) = (TOO_FAR as i64, END as i64 - 1);
        assert_eq!(parse(first - 1, 999_999_999), Some(TOO_FAR * NS - 1));
        assert_eq!((parse(first, 0), parse(1_800_000_000, 0), parse(last, 999_999_999)), (None, None, None));
        assert_eq!(parse(last + 1, 0), Some(END * NS));
    }

    #[test]
    fn what_we_give_out_is_taken() {
        for ns in [0, 1, TOO_FAR * NS - 1, TOO_FAR * NS, 9_223_372_036 * NS, u64::MAX] {
            let time = in_c(ns);
            let taken = parse(time.tv_sec, time.tv_nsec);
            assert_eq!(taken, Some(if ns < TOO_FAR * NS { ns } else { u64::MAX }));
        }
    }
}
