//! The same function on several sides: processes or threads, each pinned to its processor, started together.

use super::machine::{now, pin};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The most sides.
const SIDES: usize = 16;

/// Memory that forked children share, with one object in it.
pub struct SharedPage<T: 'static>(&'static T);

impl<T> SharedPage<T> {
    /// Zeroed memory.
    ///
    /// # Safety
    /// All-zero bytes are a valid `T`, and several processes may use it.
    pub unsafe fn zeroed() -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, used through the object only; the rest is the caller's promise.
        unsafe {
            let p = libc::mmap(std::ptr::null_mut(), size_of::<T>(), protection, flags, -1, 0);
            assert_ne!(p, libc::MAP_FAILED, "mmap");
            SharedPage(&*p.cast())
        }
    }
}

impl<T> Deref for SharedPage<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0
    }
}

impl<T> Drop for SharedPage<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `zeroed`; every borrow goes through `self`, so there is none left.
        unsafe { libc::munmap(std::ptr::from_ref(self.0).cast_mut().cast(), size_of::<T>()) };
    }
}

/// A value alone on its cache lines.
#[derive(Default)]
#[repr(align(128))]
pub struct Line<T>(pub T);

/// What one side did, and when.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// When it began.
    pub from: u64,
    /// When it ended.
    pub to: u64,
    /// Operations that it did.
    pub count: u64,
    /// What the measurement wants to check: a sum, say.
    pub check: u64,
}

impl Lap {
    /// Times `f`, which returns the count and the check.
    pub fn of(f: impl FnOnce() -> (u64, u64)) -> Self {
        let from = now();
        let (count, check) = f();
        Lap { from, to: now(), count, check }
    }

    /// Nanoseconds for each of `n` operations.
    pub fn ns_each(self, n: u64) -> f64 {
        (self.to - self.from) as f64 / n as f64
    }
}

/// What the sides share while they run. Zero is its beginning.
pub struct Stage {
    ready: Line<AtomicU32>,
    over: Line<AtomicU32>,
    laps: [Line<[AtomicU64; 4]>; SIDES],
}

impl Stage {
    fn new() -> SharedPage<Stage> {
        // SAFETY: atomics only; zero is valid.
        unsafe { SharedPage::zeroed() }
    }

    /// Whether somebody has called [`Stage::end`].
    #[inline(always)]
    pub fn is_over(&self) -> bool {
        self.over.0.load(Ordering::Relaxed) != 0
    }

    /// Asks all sides to end.
    pub fn end(&self) {
        self.over.0.store(1, Ordering::Relaxed);
    }

    fn play(&self, side: usize, processors: &[usize], f: &impl Fn(usize, &Stage) -> Lap) {
        pin(processors[side]);
        self.ready.0.fetch_add(1, Ordering::SeqCst);
        while self.ready.0.load(Ordering::SeqCst) < processors.len() as u32 {
            std::thread::yield_now();
        }
        let lap = f(side, self);
        for (place, value) in self.laps[side].0.iter().zip([lap.from, lap.to, lap.count, lap.check]) {
            place.store(value, Ordering::SeqCst);
        }
    }

    fn laps(&self, sides: usize) -> Vec<Lap> {
        let read = |line: &Line<[AtomicU64; 4]>| {
            let [from, to, count, check] = line.0.each_ref().map(|v| v.load(Ordering::SeqCst));
            Lap { from, to, count, check }
        };
        self.laps[..sides].iter().map(read).collect()
    }
}

/// Runs `f(side)` in a process for each entry of `processors`.
pub fn processes(processors: &[usize], f: impl Fn(usize, &Stage) -> Lap) -> Vec<Lap> {
    assert!(processors.len() <= SIDES);
    let stage = Stage::new();
    let start = |side| {
        let (stage, f) = (&*stage, &f);
        let run = move || {
            // SAFETY: takes an integer. A side that hangs ends, and the bench with it.
            unsafe { libc::alarm(60) };
            stage.play(side, processors, f);
        };
        interproc::process::fork(run).expect("fork")
    };
    let children: Vec<_> = (0..processors.len()).map(start).collect();
    for (side, child) in children.into_iter().enumerate() {
        let status = child.join().expect("join");
        assert!(status.success(), "side {side}: {status:?}");
    }
    stage.laps(processors.len())
}

/// Runs `f(side)` in a thread for each entry of `processors`.
pub fn threads(processors: &[usize], f: impl Fn(usize, &Stage) -> Lap + Sync) -> Vec<Lap> {
    assert!(processors.len() <= SIDES);
    let stage = Stage::new();
    std::thread::scope(|scope| {
        let start = |side| {
            let (stage, f) = (&*stage, &f);
            scope.spawn(move || stage.play(side, processors, f))
        };
        let threads: Vec<_> = (0..processors.len()).map(start).collect();
        // A scope ends before its threads have: the next fork would find them.
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    stage.laps(processors.len())
}

/// Processes or threads: where a lock or queue can be used.
#[derive(Clone, Copy, Debug)]
pub enum Between {
    /// Forked children.
    Processes,
    /// Threads of this process.
    Threads,
}

impl Between {
    /// Runs the sides.
    pub fn run(self, processors: &[usize], f: impl Fn(usize, &Stage) -> Lap + Sync) -> Vec<Lap> {
        match self {
            Between::Processes => processes(processors, f),
            Between::Threads => threads(processors, f),
        }
    }
}

/// From the first side's begin to the last one's end.
pub fn elapsed(laps: &[Lap]) -> u64 {
    let from = laps.iter().map(|l| l.from).min().expect("sides");
    let to = laps.iter().map(|l| l.to).max().expect("sides");
    to - from
}
