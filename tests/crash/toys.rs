//! Locks whose fate is known: they prove that the engine finds what it must find, and only that.

use crate::engine::{Case, End, Enter, Part, Scenario, Until, os};
use crate::ensure;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// A lock that knows nothing of death: a word, 0 or 1. It lies in memory that is shared by fork.
#[derive(Default)]
struct TestAndSet {
    word: AtomicU32,
    data: [AtomicU64; 2],
}

/// All of them.
pub fn all() -> Vec<Box<dyn Scenario>> {
    vec![test_and_set(), forgetful(), robust_mutex(), robust_mutex_contended()]
}

/// The test-and-set lock, its holder killed. The sweep must find failures.
pub fn test_and_set() -> Box<dyn Scenario> {
    Case::new("toy", "test-and-set lock", "uncontended", || {
        let lock = os::shared::<TestAndSet>();
        lock.word.store(0, SeqCst);
        lock
    })
    .role("holder")
    .limits(|l| l.patience_ns = 100_000_000)
    .victim(|lock, cut| {
        cut.start();
        while lock.word.swap(1, SeqCst) != 0 {
            spin_loop();
        }
        lock.data[0].fetch_add(1, SeqCst);
        lock.data[1].fetch_add(1, SeqCst);
        lock.word.store(0, SeqCst);
        cut.end();
    })
    .verify(|lock, part| {
        while lock.word.swap(1, SeqCst) != 0 {
            spin_loop();
        }
        part.recovered();
        lock.word.store(0, SeqCst);
        Ok(())
    })
}

/// A lock with sleepers that forgets them when its holder dies between the store and the wake-up.
pub fn forgetful() -> Box<dyn Scenario> {
    fn lock(word: &AtomicU32) {
        while word.swap(1, SeqCst) != 0 {
            os::futex_wait(word, 1, os::now() + 5_000_000_000);
        }
    }
    Case::new("toy", "futex lock without a bell", "a sleeper", || {
        let word = os::shared::<AtomicU32>();
        word.store(0, SeqCst);
        word
    })
    .role("holder")
    .limits(|l| l.patience_ns = 100_000_000)
    .victim(|word, cut| {
        lock(word);
        cut.start();
        os::futex_set(word, 0);
        cut.end();
    })
    .helper(Enter::AtStart, Until::Asleep, End::Alone, |word, part| {
        part.ready();
        lock(word);
        part.recovered();
        Ok(())
    })
    .verify(|_, _| Ok(()))
}

struct Robust {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    data: [AtomicU64; 2],
}

impl Robust {
    fn fresh() -> &'static Robust {
        let robust = os::shared::<Robust>();
        // SAFETY: both objects are initialised before use; the mutex lies in shared memory that stays.
        unsafe {
            let mut attr: libc::pthread_mutexattr_t = std::mem::zeroed();
            libc::pthread_mutexattr_init(&raw mut attr);
            libc::pthread_mutexattr_setpshared(&raw mut attr, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(&raw mut attr, libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutex_init(robust.mutex.get(), &raw const attr);
        }
        robust
    }

    fn lock(&self) -> i32 {
        // SAFETY: initialised by `fresh`.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) }
    }

    fn unlock(&self) -> i32 {
        // SAFETY: initialised by `fresh`.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) }
    }

    fn check(&self, part: &Part) -> Result<(), String> {
        for round in 0..2 {
            match self.lock() {
                0 => {}
                libc::EOWNERDEAD => {
                    self.data[0].store(self.data[1].load(SeqCst), SeqCst);
                    // SAFETY: locked by this thread, its last owner died.
                    unsafe { libc::pthread_mutex_consistent(self.mutex.get()) };
                }
                other => return Err(format!("lock {round} gave {other}")),
            }
            part.recovered();
            ensure!(self.data[0].load(SeqCst) == self.data[1].load(SeqCst), "the data are torn");
            ensure!(self.unlock() == 0, "unlock failed");
        }
        Ok(())
    }
}

/// The C library's robust mutex, uncontended. The sweep must find nothing.
pub fn robust_mutex() -> Box<dyn Scenario> {
    Case::new("toy", "pthread robust lock+unlock", "uncontended", Robust::fresh)
        .victim(|robust, cut| {
            let other = Robust::fresh();
            other.lock();
            other.unlock();
            cut.start();
            robust.lock();
            robust.data[0].fetch_add(1, SeqCst);
            robust.data[1].fetch_add(1, SeqCst);
            robust.unlock();
            cut.end();
        })
        .verify(|robust, part| robust.check(part))
}

/// The C library's robust mutex: the victim sleeps behind a holder, wakes, locks, unlocks. Shows the events
/// "asleep" and "woken"; another C library may fail at other points, so nothing is asserted about it.
pub fn robust_mutex_contended() -> Box<dyn Scenario> {
    Case::new("toy", "pthread robust lock+unlock", "behind a holder, before a sleeper", Robust::fresh)
        .helper(Enter::Before, Until::Ready, End::Alone, |robust, part| {
            robust.lock();
            part.ready();
            part.await_cue(1);
            robust.unlock();
            Ok(())
        })
        .helper(Enter::AtStart, Until::Asleep, End::Alone, |robust, part| {
            part.ready();
            robust.check(part)
        })
        .limits(|l| l.patience_ns = 100_000_000)
        .victim(|robust, cut| {
            let other = Robust::fresh();
            other.lock();
            other.unlock();
            cut.start();
            robust.lock();
            robust.unlock();
            cut.end();
        })
        .verify(|robust, part| robust.check(part))
}
