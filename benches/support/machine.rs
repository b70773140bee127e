//! The machine: one bench at a time on it, pinning, time, and whether anybody else was at work.

use std::fs::{self, File};
use std::hint::{black_box, spin_loop};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// While it lives, no other bench that asks for it runs. The lock file is named by `BENCHLOCK`, or lies in the
/// directory for temporary files.
pub struct Alone {
    _file: File,
}

impl Alone {
    /// Waits for the other benches to finish.
    pub fn take() -> Self {
        let path = std::env::var_os("BENCHLOCK")
            .map_or_else(|| std::env::temp_dir().join("interproc-bench.lock"), PathBuf::from);
        let file =
            File::options().create(true).truncate(false).write(true).open(path).expect("the lock file");
        // SAFETY: takes integers; the descriptor is open.
        let locked = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) };
        assert_eq!(locked, 0, "flock");
        Alone { _file: file }
    }
}

/// Puts the calling thread on one processor.
pub fn pin(processor: usize) {
    // SAFETY: all-zero is a valid set; the kernel checks the processor.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0, "pin to processor {processor}");
    }
}

/// Runs the calling thread under the ordinary class, whatever the benches run under: where more threads than processors want to
/// run, a real-time class gives the processor away every 100 ms only.
pub fn share_fairly() {
    // SAFETY: takes integers and a pointer to one that lives.
    let result =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &libc::sched_param { sched_priority: 0 }) };
    assert_eq!(result, 0, "the ordinary class");
}

/// Monotonic nanoseconds, the same in all processes.
#[inline]
pub fn now() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the output is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// Waits without giving the processor away.
pub fn busy_wait(nanoseconds: u64) {
    let until = now() + nanoseconds;
    while now() < until {
        spin_loop();
    }
}

/// Private work: a chain of multiplications. Never inlined: the code that is calibrated is the code that is used.
#[inline(never)]
pub fn work(steps: u64) {
    let mut x = steps | 1;
    for _ in 0..steps {
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// How many steps of [`work`] take 100 ns here. Measured once.
pub fn steps_of_100_ns() -> u64 {
    static STEPS: OnceLock<u64> = OnceLock::new();
    *STEPS.get_or_init(|| {
        let one = || {
            let start = now();
            for _ in 0..2000 {
                work(100);
            }
            (now() - start) as f64 / 200_000.0
        };
        let fastest = (0..15).map(|_| one()).fold(f64::MAX, f64::min);
        (100.0 / fastest).round().max(1.0) as u64
    })
}

/// Watches who uses the processors.
pub struct Meter {
    started: Instant,
    all: f64,
    own: f64,
}

impl Meter {
    /// From now.
    pub fn start() -> Self {
        Meter { started: Instant::now(), all: busy_seconds(), own: own_seconds() }
    }

    /// How much of one processor others have used since, in percent. Good for half a second and more.
    pub fn others(&self) -> f64 {
        let others = (busy_seconds() - self.all) - (own_seconds() - self.own);
        (others / self.started.elapsed().as_secs_f64() * 100.0).max(0.0)
    }
}

/// Seconds that all processors together were busy.
fn busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user nice system (idle iowait) irq softirq
    [0, 1, 2, 5, 6].iter().filter_map(|&i| ticks.get(i)).sum::<f64>() / 100.0
}

/// Seconds that this process and its reaped children were busy.
fn own_seconds() -> f64 {
    let of = |who| {
        // SAFETY: all-zero is a valid rusage; the output is writable.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(who, &mut usage);
            usage
        };
        let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}

/// Waits until nobody else has been runnable for a moment, for at most `patience`.
pub fn wait_for_quiet(patience: Duration) {
    let until = Instant::now() + patience;
    let mut quiet = 0;
    while quiet < 4 && Instant::now() < until {
        let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let runnable = text.split(['/', ' ']).nth(3).and_then(|n| n.parse().ok()).unwrap_or(1);
        quiet = if runnable <= 1 { quiet + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(25));
    }
}
