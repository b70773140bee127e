//! [`Deadline`], a point on the monotonic clock, and [`Wait`], how long a call may wait.

use crate::clock;
use core::time::Duration;

/// An absolute time on `CLOCK_MONOTONIC`, in nanoseconds.
///
/// A deadline is computed once and holds through retries; a step of the wall clock does not move it. The clock stands still
/// while the machine is suspended. With a deadline in the past a waiting operation behaves as its `try_` form, except that
/// it reports a time-out, or `Deadlock` where only the caller itself could have ended the wait.
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
        Deadline { ns: clock::monotonic_ns() }
    }

    /// The time `duration` from now, or the last time that the clock can show.
    #[inline]
    pub fn after(duration: Duration) -> Self {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Deadline { ns: Self::now().ns.saturating_add(ns) }
    }

    /// The deadline that is as far from now as `time` is by the wall clock. Setting the wall clock later does not move it.
    ///
    /// # Examples
    /// ```
    /// use interproc::Deadline;
    /// use std::time::{Duration, SystemTime};
    /// let d = Deadline::at_system_time(SystemTime::now() + Duration::from_secs(3));
    /// assert!(d.remaining() > Duration::from_secs(2));
    /// ```
    #[cfg(feature = "std")]
    pub fn at_system_time(time: std::time::SystemTime) -> Self {
        match time.duration_since(std::time::SystemTime::now()) {
            Ok(ahead) => Self::after(ahead),
            Err(past) => Self::before(past.duration()),
        }
    }

    #[cfg(feature = "std")]
    fn before(duration: Duration) -> Self {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Deadline { ns: Self::now().ns.saturating_sub(ns) }
    }

    /// The deadline at this many nanoseconds on `CLOCK_MONOTONIC`.
    #[inline]
    pub const fn from_monotonic_ns(ns: u64) -> Self {
        Deadline { ns }
    }

    /// The deadline in nanoseconds on `CLOCK_MONOTONIC`.
    #[inline]
    pub const fn as_monotonic_ns(self) -> u64 {
        self.ns
    }

    /// Whether this point is now or in the past.
    #[inline]
    pub fn has_passed(self) -> bool {
        Self::now() >= self
    }

    /// The time left; zero once it has passed.
    #[inline]
    pub fn remaining(self) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(Self::now().ns))
    }

    /// The earlier of two optional deadlines; `None` means no limit.
    #[inline]
    pub(crate) fn earlier(a: Option<Deadline>, b: Option<Deadline>) -> Option<Deadline> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// The time this long from now, as [`Deadline::after`], so that a time-out can be passed wherever a deadline is taken.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 14)?;
/// # let queue = seg.queue::<u64>("queue", 4)?;
/// use interproc::ErrorKind;
/// use std::time::Duration;
/// let error = queue.pop_until(Duration::from_millis(5).into()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// # Ok::<(), interproc::Error>(())
/// ```
impl From<Duration> for Deadline {
    fn from(duration: Duration) -> Self {
        Self::after(duration)
    }
}

/// The same point in time, because an [`Instant`](std::time::Instant) is on the same clock.
///
/// # Examples
/// ```
/// use interproc::Deadline;
/// use std::time::{Duration, Instant};
/// let deadline = Deadline::from(Instant::now() + Duration::from_secs(1));
/// assert!(!deadline.has_passed());
/// ```
#[cfg(feature = "std")]
impl From<std::time::Instant> for Deadline {
    fn from(instant: std::time::Instant) -> Self {
        let now = std::time::Instant::now();
        match instant.checked_duration_since(now) {
            Some(ahead) => Self::after(ahead),
            None => Self::before(now.saturating_duration_since(instant)),
        }
    }
}

/// How long a call may wait.
///
/// # Examples
/// ```
/// use interproc::{Deadline, Wait};
/// use std::time::Duration;
/// let soon = Deadline::after(Duration::from_millis(5));
/// assert_eq!(Wait::from(Some(soon)), Wait::Until(soon));
/// assert_eq!(Wait::from(None), Wait::ForEver);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: if it cannot be done now, the call fails.
    Never,
    /// As long as it takes.
    ForEver,
    /// Until this deadline.
    Until(Deadline),
}

impl Wait {
    /// Until so long from now.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[inline]
    pub(crate) fn after(duration: Duration) -> Self {
        Wait::Until(Deadline::after(duration))
    }

    /// When the waiting ends, if there is a limit. (`Never` does not wait, so it has none.)
    #[inline]
    pub(crate) fn deadline(self) -> Option<Deadline> {
        if let Wait::Until(deadline) = self { Some(deadline) } else { None }
    }
}

/// `None`: as long as it takes.
impl From<Option<Deadline>> for Wait {
    #[inline]
    fn from(deadline: Option<Deadline>) -> Self {
        deadline.map_or(Wait::ForEver, Wait::Until)
    }
}

#[cfg(all(test, feature = "std", not(interproc_loom)))]
mod tests {
    use super::*;
    use std::format;
    use std::path::{Path, PathBuf};
    use std::string::String;
    use std::time::{Instant, SystemTime};
    use std::vec::Vec;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_deadline_is_made_from_other_kinds_of_time() {
        let about = |deadline: Deadline| {
            let left = deadline.remaining();
            assert!(left > HOUR - Duration::from_secs(60) && left <= HOUR, "{left:?}");
        };
        about(HOUR.into());
        about(Deadline::after(HOUR));
        about((Instant::now() + HOUR).into());
        about(Deadline::at_system_time(SystemTime::now() + HOUR));
        for past in [
            Duration::ZERO.into(),
            Instant::now().into(),
            Deadline::from(Instant::now().checked_sub(Duration::from_millis(1)).expect("after boot")),
            Deadline::at_system_time(SystemTime::UNIX_EPOCH),
            Deadline::from_monotonic_ns(0),
        ] {
            assert!(past.has_passed() && past.remaining().is_zero());
        }
        let end = Deadline::from_monotonic_ns(u64::MAX);
        assert_eq!((Deadline::after(Duration::MAX), Deadline::from(Duration::MAX)), (end, end));
    }

    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).expect("the source").map(|e| e.expect("an entry").path()) {
            match entry.is_dir() {
                true => sources(&entry, found),
                false => found.push(entry),
            }
        }
    }

    #[test]
    fn every_form_with_a_deadline_has_one_with_a_time_out() {
        let (mut files, mut forms) = (Vec::new(), 0);
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let declared = text.split("pub fn ").skip(1);
            let name =
                |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(String::from);
            let names: Vec<_> = declared.filter_map(name).collect();
            for form in names.iter().filter_map(|name| name.strip_suffix("_until")) {
                // `poll` and the like take a time-out as they are.
                let timed = format!("{form}_timeout");
                let plain = text.contains(&format!("pub fn {form}(&mut self, timeout: Duration)"));
                assert!(plain || names.contains(&timed), "{form} in {}", file.display());
                forms += 1;
            }
        }
        assert!(forms > 30, "{forms}");
    }
}
