//! Jobs that are leased and done.

use super::machine::{now, pin};
use super::sides::{Lap, SharedPage, processes};
use super::{Measurement, Sample, median};
use interproc::Segment;
use interproc::Wait;
use interproc::process::fork;
use interproc::queue::{Job, WorkOptions, WorkOrder, WorkQueue};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn queue(options: WorkOptions, capacity: usize) -> WorkQueue<u64> {
    let segment = Segment::anonymous((capacity * 256 + (1 << 16)).next_multiple_of(4096)).expect("segment");
    segment.work_queue("jobs", options).expect("queue")
}

fn put(jobs: &WorkQueue<u64>, n: u64, priority: u64) {
    let job = Job { priority: (priority % 1_000) as i64, not_before: None };
    jobs.put_with(n, job, Wait::Never).expect("room");
}

/// Put, take and done, one thread, beside so many jobs that wait.
pub fn cycle(order: WorkOrder, waiting: u64) -> Measurement {
    let jobs = queue(WorkOptions::new(waiting as usize + 1).order(order), waiting as usize + 1);
    let mut dice = 0x9e37_79b9_7f4a_7c15u64;
    let mut roll = move || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice
    };
    (0..waiting).for_each(|n| put(&jobs, n, roll()));
    Box::new(move |n| {
        let lap = Lap::of(|| {
            for i in 0..n {
                put(black_box(&jobs), i, roll());
                jobs.try_take().expect("a job").done().expect("its own");
            }
            (n, 0)
        });
        assert_eq!(jobs.unfinished() as u64, waiting);
        Sample::plain(lap.ns_each(n))
    })
}

/// A producer and a worker in processes; all jobs are done in the end.
pub fn stream() -> Measurement {
    Box::new(|n| {
        let jobs = queue(WorkOptions::new(1024), 1024);
        let laps = processes(&[0, 1], |side, _| {
            Lap::of(|| {
                if side == 0 {
                    (0..n).for_each(|i| _ = jobs.put(i).expect("open"));
                    jobs.join().expect("a member");
                    jobs.close().expect("a member");
                    return (n, 0);
                }
                let mut sum = 0u64;
                while let Ok(job) = jobs.take() {
                    sum = sum.wrapping_add(job.done().expect("its own"));
                }
                assert_eq!(sum, (0..n).sum::<u64>());
                (n, 0)
            })
        });
        Sample::plain(laps[0].ns_each(n))
    })
}

/// The same with Python's JoinableQueue.
const PYTHON: &str = "
import multiprocessing as m, sys, time
def work(q):
    while q.get() is not None:
        q.task_done()
    q.task_done()
q, n = m.JoinableQueue(1024), int(sys.argv[1])
p = m.get_context('fork').Process(target=work, args=(q,))
p.start()
t = time.perf_counter()
for i in range(n):
    q.put(i)
q.join()
t = time.perf_counter() - t
q.put(None)
p.join()
print(t * 1e9 / n)
";

pub fn python() -> Measurement {
    Box::new(|n| {
        let python = Command::new("python3")
            .args(["-c", PYTHON, &n.clamp(1, 20_000).to_string()])
            .stdin(Stdio::null())
            .output()
            .expect("python");
        let text = String::from_utf8(python.stdout).expect("text");
        Sample::plain(text.trim().parse().expect("nanoseconds"))
    })
}

/// From the SIGKILL of a worker to its job in another one's hands, which sleeps. Median of at most 32 deaths.
pub fn handed_on() -> Measurement {
    Box::new(|n| {
        let one = |_| {
            let jobs = queue(WorkOptions::new(4), 4);
            jobs.put(1).expect("room");
            // SAFETY: atomics; zero is valid.
            let (held, told): (SharedPage<AtomicU64>, SharedPage<AtomicU64>) =
                unsafe { (SharedPage::zeroed(), SharedPage::zeroed()) };
            let holds = || {
                pin(1);
                let _job = jobs.take().expect("a job");
                held.store(1, Ordering::Release);
                loop {
                    // SAFETY: no arguments.
                    unsafe { libc::pause() };
                }
            };
            let holder = fork::<_, ()>(holds).expect("fork");
            while held.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
            let waits = || {
                pin(0);
                // SAFETY: takes an integer.
                unsafe { libc::alarm(60) };
                let job = jobs.take().expect("comes back");
                told.store(now(), Ordering::Release);
                assert_eq!(job.deliveries(), 2);
                job.done().expect("its own");
            };
            let waiter = fork(waits).expect("fork");
            std::thread::sleep(Duration::from_millis(3));
            let killed = now();
            holder.kill().expect("kill");
            assert!(waiter.join().expect("join").success());
            holder.join().expect("join");
            (told.load(Ordering::Acquire) - killed) as f64
        };
        Sample::plain(median((0..n.clamp(1, 32)).map(one).collect()))
    })
}
