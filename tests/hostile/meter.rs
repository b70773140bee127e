//! How calls are measured, and how one that does not come back is found.

use interproc::Deadline;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a try call may take of the processor.
pub const TRY: Duration = Duration::from_millis(10);
/// The limit of the timed calls.
pub const LIMIT: Duration = Duration::from_millis(2);
/// What a timed call may take of the processor beyond its limit.
pub const BEYOND: Duration = Duration::from_millis(50);
/// One call of a kind may take longer, and no more than twice as long: a virtual machine that does not run counts as time on the
/// processor (11 ms of a call without a loop). A lie that costs too much is told again and again.
const LATE: u32 = 1;
const FAR: u32 = 2;
/// On the clock: a call that takes so long does not come back.
const FOR_EVER: Duration = Duration::from_secs(15);

/// The call that runs now, for the watchdog.
static NOW: Mutex<Option<(&'static str, Instant)>> = Mutex::new(None);

/// The calling thread's time on the processor.
pub fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Measures the calls of one thread.
pub struct Meter {
    /// The longest of each call.
    worst: BTreeMap<&'static str, Duration>,
    /// How many of each took too long.
    late: BTreeMap<&'static str, u32>,
    calls: u64,
}

impl Meter {
    /// Starts the watchdog, too. To be made after the forks.
    pub fn new() -> Meter {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(200));
                let now = NOW.lock().ok().and_then(|now| *now);
                if let Some((what, since)) = now.filter(|(_, since)| since.elapsed() > FOR_EVER) {
                    eprintln!("{what} has not come back for {:?}", since.elapsed());
                    std::process::abort();
                }
            }
        });
        Meter { worst: BTreeMap::new(), late: BTreeMap::new(), calls: 0 }
    }

    fn run<R>(&mut self, what: &'static str, most: Duration, call: impl FnOnce() -> R) -> R {
        *NOW.lock().expect("nobody panics with it") = Some((what, Instant::now()));
        let before = processor_time();
        let result = call();
        let took = processor_time() - before;
        *NOW.lock().expect("nobody panics with it") = None;
        self.calls += 1;
        let worst = self.worst.entry(what).or_default();
        *worst = took.max(*worst);
        if took > most {
            let late = self.late.entry(what).or_default();
            *late += 1;
            assert!(
                *late <= LATE && took <= FAR * most,
                "{what} took {took:?} of the processor, call {}; late calls of this kind: {late}",
                self.calls
            );
        }
        result
    }

    /// A call that never waits.
    pub fn now<R>(&mut self, what: &'static str, call: impl FnOnce() -> R) -> R {
        self.run(what, TRY, call)
    }

    /// A call that waits until a deadline.
    pub fn timed<R>(&mut self, what: &'static str, call: impl FnOnce(Deadline) -> R) -> R {
        let deadline = Deadline::after(LIMIT);
        self.run(what, LIMIT + BEYOND, || call(deadline))
    }

    /// A call that looks at `share` of a millisecond's worth of memory: so long and 10 ms.
    pub fn linear<R>(&mut self, what: &'static str, share: u32, call: impl FnOnce() -> R) -> R {
        self.run(what, TRY + Duration::from_millis(share.into()), call)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        println!("{} calls; the longest of each:", self.calls);
        for (what, took) in &self.worst {
            println!("  {took:>12?} {what}");
        }
    }
}
