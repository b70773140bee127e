//! The clock of processes' start times, and clocks that the program names.

/// A clock's time in nanoseconds, if there is such a clock.
#[cfg(feature = "std")]
pub fn ns_of(clock: libc::clockid_t) -> Option<i128> {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is writable; the kernel checks the clock.
    let found = super::call::checked(|| unsafe { libc::clock_gettime(clock, &mut ts) }).is_ok();
    found.then(|| i128::from(ts.tv_sec) * 1_000_000_000 + i128::from(ts.tv_nsec))
}

/// `CLOCK_BOOTTIME` in nanoseconds: what start times in /proc count.
#[cfg(feature = "std")]
pub fn since_boot_ns() -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is writable; the clock exists since Linux 2.6.39, and without it the time stays 0.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}
