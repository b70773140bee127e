//! The monotonic clock, below everything that knows of time. In a model run it stands still until the model moves it.

#[cfg(not(interproc_loom))]
mod imp {
    #![allow(unsafe_code)]

    /// `CLOCK_MONOTONIC` in nanoseconds. In the vDSO: no system call.
    #[inline]
    pub fn monotonic_ns() -> u64 {
        ns(libc::CLOCK_MONOTONIC)
    }

    /// `CLOCK_MONOTONIC_COARSE` in nanoseconds: at most a few ms behind, at a quarter of the cost.
    #[inline]
    pub fn coarse_ns() -> u64 {
        ns(libc::CLOCK_MONOTONIC_COARSE)
    }

    #[inline]
    fn ns(clock: libc::clockid_t) -> u64 {
        let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `ts` is writable. Both clocks exist since Linux 2.6.32; without the coarse one the time stays 0.
        unsafe { libc::clock_gettime(clock, &mut ts) };
        ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
    }
}

#[cfg(interproc_loom)]
mod imp {
    use core::cell::Cell;

    std::thread_local! {
        // All threads of an execution are one thread of the system.
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    /// Nanoseconds since the start of the execution.
    pub fn monotonic_ns() -> u64 {
        NOW.get()
    }

    /// For the model: an execution begins.
    pub fn start() {
        NOW.set(0);
    }

    /// For the model: it is so late, at least.
    pub fn pass(until: u64) {
        NOW.set(NOW.get().max(until));
    }
}

pub use imp::*;
