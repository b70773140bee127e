//! [`Deadline`]: a point on the monotonic clock, the only way to say "until" here.

use crate::sys;
use core::time::Duration;

/// An absolute time on `CLOCK_MONOTONIC`, in nanoseconds.
///
/// A deadline is computed once and holds through retries, and no step of the wall clock moves it. The clock
/// does not count while the machine is suspended. A deadline in the past makes a waiting operation behave
/// like its `try_` form, except that it reports a time-out.
///
/// # Examples
/// ```
/// use interproc::Deadline;
/// use std::time::Duration;
/// let d = Deadline::after(Duration::from_millis(5));
/// assert!(!d.has_passed());
/// assert!(d.remaining() <= Duration::from_millis(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    ns: u64,
}

impl Deadline {
    /// The current time.
    #[inline]
    pub fn now() -> Self {
        Deadline { ns: sys::clock::monotonic_ns() }
    }

    /// The time `duration` from now; a sum beyond the clock's range is the end of time.
    #[inline]
    pub fn after(duration: Duration) -> Self {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Deadline { ns: Self::now().ns.saturating_add(ns) }
    }

    /// From nanoseconds on `CLOCK_MONOTONIC`.
    #[inline]
    pub const fn from_monotonic_ns(ns: u64) -> Self {
        Deadline { ns }
    }

    /// Nanoseconds on `CLOCK_MONOTONIC`.
    #[inline]
    pub const fn as_monotonic_ns(self) -> u64 {
        self.ns
    }

    /// Whether this point is now or in the past.
    #[inline]
    pub fn has_passed(self) -> bool {
        Self::now() >= self
    }

    /// The time left, zero when it has passed.
    #[inline]
    pub fn remaining(self) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(Self::now().ns))
    }

    /// The earlier of two optional deadlines, `None` meaning for ever.
    #[inline]
    pub(crate) fn earlier(a: Option<Deadline>, b: Option<Deadline>) -> Option<Deadline> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
