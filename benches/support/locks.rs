//! Mutual exclusion: each lock guards a counter, and the counter must come out right.

use super::machine::{now, share_fairly, steps_of_100_ns, work};
use super::sides::{Between, Lap, Line, SharedPage, elapsed};
use super::{Measurement, Sample};
use interproc::sync::{LockError, Mutex};
use interproc::{Object, Segment};
use std::cell::UnsafeCell;
use std::hint::black_box;

/// A lock around a counter.
pub trait Lock: Sync {
    /// Where its contenders run.
    const BETWEEN: Between;
    /// A new one.
    fn new() -> Self;
    /// Locks, counts one, does `inside`, unlocks.
    fn count(&self, inside: impl FnOnce());
    /// The counter, when all is over.
    fn counted(&self) -> u64;
}

/// A lock that tells of its dead holder.
pub trait Robust: Lock {
    /// Locks and keeps it.
    fn hold(&self);
    /// Locks, which must report a death; repairs and unlocks. Says when the lock was acquired.
    fn inherit(&self) -> u64;
}

/// This crate's.
pub struct Ours(Object<Mutex<u64>>);

impl Lock for Ours {
    const BETWEEN: Between = Between::Processes;
    fn new() -> Self {
        let segment = Segment::anonymous(4096).expect("segment");
        Ours(segment.object("lock", || Mutex::new(0)).expect("object"))
    }
    #[inline(always)]
    fn count(&self, inside: impl FnOnce()) {
        // The lock's address, as the peers have it: a loop looks the handle up once.
        let lock: &Mutex<u64> = &self.0;
        let mut count = black_box(lock).lock().expect("lock");
        *count += 1;
        inside();
    }
    fn counted(&self) -> u64 {
        *self.0.lock().expect("lock")
    }
}

impl Robust for Ours {
    fn hold(&self) {
        std::mem::forget(self.0.lock().expect("lock"));
    }
    fn inherit(&self) -> u64 {
        let result = self.0.lock();
        let at = now();
        match result {
            Err(LockError::OwnerDied(died)) => drop(died.mark_consistent()),
            _ => panic!("no death was reported"),
        }
        at
    }
}

/// A pthread mutex, process-shared and robust.
pub struct Pthread(SharedPage<Line<Guarded>>);

/// Beside each other, as ours are.
struct Guarded {
    lock: UnsafeCell<libc::pthread_mutex_t>,
    count: UnsafeCell<u64>,
}

// SAFETY: the lock is made for this, and the counter is reached under it.
unsafe impl Sync for Guarded {}
// SAFETY: shared memory of atomics and plain data, with no tie to a thread.
unsafe impl Send for Guarded {}

impl Pthread {
    fn lock(&self) -> i32 {
        // SAFETY: initialised by `new`.
        unsafe { libc::pthread_mutex_lock(black_box(&self.0).0.lock.get()) }
    }

    fn unlock(&self) {
        // SAFETY: initialised by `new`; the caller holds it.
        unsafe { libc::pthread_mutex_unlock(self.0.0.lock.get()) };
    }
}

impl Lock for Pthread {
    const BETWEEN: Between = Between::Processes;
    fn new() -> Self {
        // SAFETY: the attributes are initialised before their use, the lock before anybody's.
        unsafe {
            let page: SharedPage<Line<Guarded>> = SharedPage::zeroed();
            let mut attr: libc::pthread_mutexattr_t = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut attr);
            libc::pthread_mutexattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(&mut attr, libc::PTHREAD_MUTEX_ROBUST);
            assert_eq!(libc::pthread_mutex_init(page.0.lock.get(), &attr), 0);
            Pthread(page)
        }
    }
    #[inline(always)]
    fn count(&self, inside: impl FnOnce()) {
        assert_eq!(self.lock(), 0);
        // SAFETY: the lock is held.
        unsafe { *self.0.0.count.get() += 1 };
        inside();
        self.unlock();
    }
    fn counted(&self) -> u64 {
        // SAFETY: all sides have ended.
        unsafe { self.0.0.count.get().read() }
    }
}

impl Robust for Pthread {
    fn hold(&self) {
        assert_eq!(self.lock(), 0);
    }
    fn inherit(&self) -> u64 {
        let result = self.lock();
        let at = now();
        assert_eq!(result, libc::EOWNERDEAD, "no death was reported");
        // SAFETY: initialised by `new`, and held.
        assert_eq!(unsafe { libc::pthread_mutex_consistent(self.0.0.lock.get()) }, 0);
        self.unlock();
        at
    }
}

/// `parking_lot`'s.
pub struct ParkingLot(Line<parking_lot::Mutex<u64>>);

impl Lock for ParkingLot {
    const BETWEEN: Between = Between::Threads;
    fn new() -> Self {
        ParkingLot(Line::default())
    }
    #[inline(always)]
    fn count(&self, inside: impl FnOnce()) {
        let mut count = black_box(&self.0).0.lock();
        *count += 1;
        inside();
    }
    fn counted(&self) -> u64 {
        *self.0.0.lock()
    }
}

/// The standard library's.
pub struct Std(Line<std::sync::Mutex<u64>>);

impl Lock for Std {
    const BETWEEN: Between = Between::Threads;
    fn new() -> Self {
        Std(Line::default())
    }
    #[inline(always)]
    fn count(&self, inside: impl FnOnce()) {
        let mut count = black_box(&self.0).0.lock().expect("lock");
        *count += 1;
        inside();
    }
    fn counted(&self) -> u64 {
        *self.0.0.lock().expect("lock")
    }
}

/// Lock and unlock, nobody else about.
pub fn uncontended<L: Lock + 'static>() -> Measurement {
    alone(L::new())
}

/// [`uncontended`] for a lock that is there already.
pub fn alone<L: Lock + 'static>(lock: L) -> Measurement {
    let mut expected = 0;
    Box::new(move |n| {
        let lap = Lap::of(|| {
            (0..n).for_each(|_| lock.count(|| ()));
            (n, 0)
        });
        expected += n;
        assert_eq!(lock.counted(), expected);
        Sample::plain(lap.ns_each(n))
    })
}

/// What contenders do beside locking.
#[derive(Clone, Copy, Debug)]
pub enum Section {
    /// Nothing: who has the lock keeps it.
    Empty,
    /// 100 ns inside and 100 ns outside.
    Work,
}

/// Contended by one side on each of `processors`. The first that has done its share ends the race. More than two sides take turns
/// on the processors, a few milliseconds each: they run under the ordinary class, and six times as long.
pub fn contended<L: Lock + 'static>(processors: &'static [usize], section: Section) -> Measurement {
    let steps = match section {
        Section::Empty => 0,
        Section::Work => steps_of_100_ns(),
    };
    Box::new(move |n| {
        let lock = L::new();
        let sides = processors.len() as u64;
        let crowd = sides > 2;
        let n = if crowd { n * 6 } else { n };
        let share = (n / sides).max(1);
        let laps = L::BETWEEN.run(processors, |_, stage| {
            if crowd {
                share_fairly();
            }
            Lap::of(|| {
                let mut done = 0;
                while done < share && !stage.is_over() {
                    lock.count(|| work(steps));
                    work(steps);
                    done += 1;
                }
                stage.end();
                (done, 0)
            })
        });
        let total: u64 = laps.iter().map(|l| l.count).sum();
        assert_eq!(lock.counted(), total, "it did not exclude");
        let least = laps.iter().map(|l| l.count).min().expect("sides");
        let fairness = (least * sides) as f64 / total as f64;
        Sample { ns: elapsed(&laps) as f64 / total as f64, fairness: Some(fairness) }
    })
}
