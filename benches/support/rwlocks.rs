//! Reader-writer locks: each guards a number, and what was read must be what was written.

use super::sides::{Between, Lap, Line, SharedPage};
use super::{Measurement, Sample};
use interproc::sync::RwLock;
use interproc::{Object, Segment};
use std::cell::UnsafeCell;
use std::hint::black_box;

/// A reader-writer lock around a number.
pub trait ReaderWriter: Sync {
    /// Where its users run.
    const BETWEEN: Between;
    /// A new one around 0.
    fn new() -> Self;
    /// Locks for reading, reads, unlocks.
    fn get(&self) -> u64;
    /// Locks for writing, adds one, unlocks.
    fn add(&self);
}

/// This crate's.
pub struct Ours(Object<RwLock<u64>>);

impl ReaderWriter for Ours {
    const BETWEEN: Between = Between::Processes;
    fn new() -> Self {
        let segment = Segment::anonymous(4096).expect("segment");
        Ours(segment.object("lock", || RwLock::new(0)).expect("object"))
    }
    #[inline(always)]
    fn get(&self) -> u64 {
        let lock: &RwLock<u64> = &self.0;
        *black_box(lock).read().expect("read")
    }
    #[inline(always)]
    fn add(&self) {
        let lock: &RwLock<u64> = &self.0;
        *black_box(lock).write().expect("write") += 1;
    }
}

/// This crate's in a segment with full fences only: never biased.
pub struct OursUnbiased(Object<RwLock<u64>>);

impl ReaderWriter for OursUnbiased {
    const BETWEEN: Between = Between::Processes;
    fn new() -> Self {
        let segment = Segment::options().size(4096).strong_fences(true).anonymous().expect("segment");
        OursUnbiased(segment.object("lock", || RwLock::new(0)).expect("object"))
    }
    #[inline(always)]
    fn get(&self) -> u64 {
        let lock: &RwLock<u64> = &self.0;
        *black_box(lock).read().expect("read")
    }
    #[inline(always)]
    fn add(&self) {
        let lock: &RwLock<u64> = &self.0;
        *black_box(lock).write().expect("write") += 1;
    }
}

/// A pthread reader-writer lock, process-shared.
pub struct Pthread(SharedPage<Line<Guarded>>);

struct Guarded {
    lock: UnsafeCell<libc::pthread_rwlock_t>,
    value: UnsafeCell<u64>,
}

// SAFETY: the lock is made for this, and the number is reached under it.
unsafe impl Sync for Guarded {}
// SAFETY: shared memory of atomics and plain data, with no tie to a thread.
unsafe impl Send for Guarded {}

impl ReaderWriter for Pthread {
    const BETWEEN: Between = Between::Processes;
    fn new() -> Self {
        // SAFETY: the attributes are initialised before their use, the lock before anybody's.
        unsafe {
            let page: SharedPage<Line<Guarded>> = SharedPage::zeroed();
            let mut attr: libc::pthread_rwlockattr_t = std::mem::zeroed();
            libc::pthread_rwlockattr_init(&mut attr);
            libc::pthread_rwlockattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED);
            assert_eq!(libc::pthread_rwlock_init(page.0.lock.get(), &attr), 0);
            Pthread(page)
        }
    }
    #[inline(always)]
    fn get(&self) -> u64 {
        let inner = &black_box(&self.0).0;
        // SAFETY: initialised by `new`; read while held.
        unsafe {
            assert_eq!(libc::pthread_rwlock_rdlock(inner.lock.get()), 0);
            let value = *inner.value.get();
            libc::pthread_rwlock_unlock(inner.lock.get());
            value
        }
    }
    #[inline(always)]
    fn add(&self) {
        let inner = &black_box(&self.0).0;
        // SAFETY: initialised by `new`; written while held.
        unsafe {
            assert_eq!(libc::pthread_rwlock_wrlock(inner.lock.get()), 0);
            *inner.value.get() += 1;
            libc::pthread_rwlock_unlock(inner.lock.get());
        }
    }
}

/// `parking_lot`'s.
pub struct ParkingLot(Line<parking_lot::RwLock<u64>>);

impl ReaderWriter for ParkingLot {
    const BETWEEN: Between = Between::Threads;
    fn new() -> Self {
        ParkingLot(Line::default())
    }
    #[inline(always)]
    fn get(&self) -> u64 {
        *black_box(&self.0).0.read()
    }
    #[inline(always)]
    fn add(&self) {
        *black_box(&self.0).0.write() += 1;
    }
}

/// Read and unlock, nobody else about.
pub fn reading<L: ReaderWriter + 'static>() -> Measurement {
    let lock = L::new();
    lock.add();
    Box::new(move |n| {
        let lap = Lap::of(|| ((0..n).map(|_| lock.get()).sum(), 0));
        assert_eq!(lap.count, n);
        Sample::plain(lap.ns_each(n))
    })
}

/// Write and unlock, nobody else about.
pub fn writing<L: ReaderWriter + 'static>() -> Measurement {
    let lock = L::new();
    let mut expected = 0;
    Box::new(move |n| {
        let lap = Lap::of(|| {
            (0..n).for_each(|_| lock.add());
            (n, 0)
        });
        expected += n;
        assert_eq!(lock.get(), expected);
        Sample::plain(lap.ns_each(n))
    })
}

/// Two readers at once, one on each processor; for each read of either, the time of both.
pub fn reading_together<L: ReaderWriter + 'static>() -> Measurement {
    Box::new(|n| {
        let lock = L::new();
        lock.add();
        // Enough to meet, however the sides are started.
        let each = (n / 2).max(500_000);
        let laps = L::BETWEEN.run(&[0, 1], |_, _| {
            black_box(lock.get()); // becomes a member
            Lap::of(|| ((0..each).map(|_| black_box(lock.get())).sum(), 0))
        });
        assert!(laps.iter().all(|l| l.count == each));
        // Not from the first one's begin: on a busy machine the other may come late.
        let longest = laps.iter().map(|l| l.to - l.from).max().expect("sides");
        Sample::plain(longest as f64 / (2 * each) as f64)
    })
}
