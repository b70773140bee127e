//! Semaphores, events and recursive locks beside their peers.

use super::locks::Lock;
use super::machine::now;
use super::sides::{Between, SharedPage};
use super::{Measurement, Sample};
use interproc::sync::{Event, RecursiveMutex, Semaphore};
use interproc::{Object, Segment};
use std::cell::UnsafeCell;
use std::hint::black_box;

/// Times a loop of one operation.
fn each(mut operation: impl FnMut() + 'static) -> Measurement {
    Box::new(move |n| {
        let start = now();
        (0..n).for_each(|_| operation());
        Sample::plain((now() - start) as f64 / n as f64)
    })
}

fn ours<T: interproc::Shared>(make: impl FnOnce() -> T) -> Object<T> {
    Segment::anonymous(4096).expect("segment").object("object", make).expect("object")
}

/// Something of libc in shared memory, with a counter beside it.
struct Page<T> {
    object: UnsafeCell<T>,
    count: UnsafeCell<u64>,
}

// SAFETY: the objects are made for this, and the counter is reached under them.
unsafe impl<T> Sync for Page<T> {}
// SAFETY: shared memory with no tie to a thread.
unsafe impl<T> Send for Page<T> {}

/// A process-shared `sem_t`.
pub struct Sem(SharedPage<Page<libc::sem_t>>);

impl Sem {
    fn with(value: u32) -> Self {
        // SAFETY: zeroed memory, initialised before anybody's use.
        unsafe {
            let page: SharedPage<Page<libc::sem_t>> = SharedPage::zeroed();
            assert_eq!(libc::sem_init(page.object.get(), 1, value), 0);
            Sem(page)
        }
    }
}

impl Lock for Sem {
    const BETWEEN: Between = Between::Processes;
    fn new() -> Self {
        Sem::with(1)
    }
    #[inline(always)]
    fn count(&self, inside: impl FnOnce()) {
        // SAFETY: initialised by `with`; between the two the counter is ours.
        unsafe {
            assert_eq!(libc::sem_wait(black_box(&self.0).object.get()), 0);
            *self.0.count.get() += 1;
            inside();
            libc::sem_post(self.0.object.get());
        }
    }
    fn counted(&self) -> u64 {
        // SAFETY: all sides have ended.
        unsafe { self.0.count.get().read() }
    }
}

interproc::shared! {
    /// A semaphore and what it guards.
    pub struct Guarded {
        semaphore: Semaphore,
        count: std::sync::atomic::AtomicU64,
    }
}

/// Our semaphore as a lock.
pub struct Ours(Object<Guarded>);

impl Lock for Ours {
    const BETWEEN: Between = Between::Processes;
    fn new() -> Self {
        Ours(ours(|| Guarded { semaphore: Semaphore::new(1), count: 0.into() }))
    }
    #[inline(always)]
    fn count(&self, inside: impl FnOnce()) {
        use std::sync::atomic::Ordering::Relaxed;
        let it: &Guarded = black_box(&self.0);
        it.semaphore.acquire().expect("acquire");
        it.count.store(it.count.load(Relaxed) + 1, Relaxed);
        inside();
        it.semaphore.post().expect("post");
    }
    fn counted(&self) -> u64 {
        self.0.count.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// Post and acquire, nobody else about.
pub fn semaphore() -> Measurement {
    let s = ours(|| Semaphore::new(0));
    each(move || {
        let s: &Semaphore = black_box(&s);
        s.post().expect("post");
        s.acquire().expect("acquire");
    })
}

/// The same with `sem_t`.
pub fn sem_t() -> Measurement {
    let s = Sem::with(0);
    // SAFETY: initialised.
    each(move || unsafe {
        let s = black_box(&s.0).object.get();
        libc::sem_post(s);
        libc::sem_wait(s);
    })
}

/// A look at an event that is set, and a wait for it.
pub fn event_that_is_set() -> Measurement {
    let e = ours(Event::new);
    e.set();
    each(move || {
        let e: &Event = black_box(&e);
        assert!(e.is_set());
        e.wait().expect("set");
    })
}

/// Set and clear with nobody waiting.
pub fn event_set_clear() -> Measurement {
    let e = ours(Event::new);
    each(move || {
        let e: &Event = black_box(&e);
        e.set();
        e.clear();
    })
}

/// A recursive robust pthread mutex.
fn pthread_recursive() -> SharedPage<Page<libc::pthread_mutex_t>> {
    // SAFETY: the attributes are initialised before their use, the lock before anybody's.
    unsafe {
        let page: SharedPage<Page<libc::pthread_mutex_t>> = SharedPage::zeroed();
        let mut attr: libc::pthread_mutexattr_t = std::mem::zeroed();
        libc::pthread_mutexattr_init(&mut attr);
        libc::pthread_mutexattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED);
        libc::pthread_mutexattr_setrobust(&mut attr, libc::PTHREAD_MUTEX_ROBUST);
        libc::pthread_mutexattr_settype(&mut attr, libc::PTHREAD_MUTEX_RECURSIVE);
        assert_eq!(libc::pthread_mutex_init(page.object.get(), &attr), 0);
        page
    }
}

/// Lock and unlock of a recursive mutex, at the first level or inside another.
pub fn recursive(nested: bool) -> Measurement {
    let m = ours(|| RecursiveMutex::new(0u64));
    if nested {
        std::mem::forget(m.lock().expect("lock"));
    }
    each(move || {
        let m: &RecursiveMutex<u64> = black_box(&m);
        let guard = m.lock().expect("lock");
        guard.set(guard.get() + 1);
    })
}

/// The same with a pthread mutex.
pub fn recursive_pthread(nested: bool) -> Measurement {
    // Kept: what is held may not be unmapped, as the C library has it in its list.
    let m: &'static _ = Box::leak(Box::new(pthread_recursive()));
    if nested {
        // SAFETY: initialised.
        unsafe { libc::pthread_mutex_lock(m.object.get()) };
    }
    // SAFETY: initialised; the counter is reached under it.
    each(move || unsafe {
        let page: &Page<_> = black_box(m);
        assert_eq!(libc::pthread_mutex_lock(page.object.get()), 0);
        *page.count.get() += 1;
        libc::pthread_mutex_unlock(page.object.get());
    })
}
