//! The C library's robust mutexes and ours in one list.

use super::*;
use crate::kit::{Random, board, fork, walk_robust_list};
use std::cell::UnsafeCell;
use std::mem::forget;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs `body` in a thread that ends by a bare system call: a death to all that it holds. (To a guard that it leaks its
/// orderly end is none.)
fn in_a_thread_that_vanishes<F: FnOnce() + Send>(body: F) {
    extern "C" fn run<F: FnOnce()>(body: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: the starter's, which waits.
        if let Some(body) = unsafe { (*body.cast::<Option<F>>()).take() } {
            body();
        }
        // SAFETY: ends this thread only.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        std::ptr::null_mut()
    }
    let mut body = Some(body);
    // SAFETY: the body outlives the thread, which is joined. Not a thread of std: those may not end so.
    unsafe {
        let mut thread = std::mem::zeroed();
        let created =
            libc::pthread_create(&raw mut thread, std::ptr::null(), run::<F>, (&raw mut body).cast());
        assert_eq!(created, 0);
        assert_eq!(libc::pthread_join(thread, std::ptr::null_mut()), 0);
    }
}

/// A robust mutex of the C library.
pub struct Robust(Box<UnsafeCell<libc::pthread_mutex_t>>);

// SAFETY: a mutex is made for several threads; its address does not change.
unsafe impl Send for Robust {}
// SAFETY: as above.
unsafe impl Sync for Robust {}

impl Drop for Robust {
    /// One that this thread has inherited is in its robust list, from where it must go before its memory does.
    fn drop(&mut self) {
        // SAFETY: initialised; both calls refuse a mutex that this thread does not hold.
        unsafe {
            libc::pthread_mutex_consistent(self.0.get());
            libc::pthread_mutex_unlock(self.0.get());
        }
    }
}

impl Robust {
    pub fn new() -> Robust {
        // SAFETY: initialised by the call; boxed before its first use.
        unsafe {
            let mutex = Robust(Box::new(UnsafeCell::new(std::mem::zeroed())));
            init(mutex.0.get());
            mutex
        }
    }

    pub fn lock(&self) -> i32 {
        // SAFETY: initialised.
        unsafe { libc::pthread_mutex_lock(self.0.get()) }
    }

    /// What a try says; if it locks, unlocked again: a mutex must not be freed while it is in the list of its holder.
    pub fn verdict(&self) -> i32 {
        let m = self.0.get();
        // SAFETY: initialised; marked and unlocked only if this thread holds it now.
        unsafe {
            let verdict = libc::pthread_mutex_trylock(m);
            if verdict == libc::EOWNERDEAD {
                libc::pthread_mutex_consistent(m);
            }
            if verdict == libc::EOWNERDEAD || verdict == 0 {
                libc::pthread_mutex_unlock(m);
            }
            verdict
        }
    }
}

/// # Safety
/// `mutex` is writable and nobody uses it yet.
unsafe fn init(mutex: *mut libc::pthread_mutex_t) {
    // SAFETY: by the contract; the attributes are initialised first.
    unsafe {
        let mut attributes: libc::pthread_mutexattr_t = std::mem::zeroed();
        libc::pthread_mutexattr_init(&raw mut attributes);
        libc::pthread_mutexattr_setrobust(&raw mut attributes, libc::PTHREAD_MUTEX_ROBUST);
        libc::pthread_mutexattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED);
        assert_eq!(libc::pthread_mutex_init(mutex, &raw const attributes), 0);
    }
}

const EACH: usize = 4;

struct Locks<'a> {
    theirs: *mut libc::pthread_mutex_t,
    ours: &'a [Object<Mutex<u64>>],
    recursive: &'a [Object<RecursiveMutex<u64>>],
    rwlocks: &'a [Object<RwLock<u64>>],
    /// Four bits of each kind: theirs, ours, recursive, held for writing, held for reading.
    held: &'a AtomicU64,
}

/// A lock held one way or the other.
enum Hold<'a> {
    Write(RwLockWriteGuard<'a, u64>),
    /// Once or several times.
    Read(Vec<RwLockReadGuard<'a, u64>>),
}

// SAFETY: the mutexes are in shared memory that stays, and made for several threads.
unsafe impl Sync for Locks<'_> {}

impl Locks<'_> {
    fn theirs(&self, n: usize) -> *mut libc::pthread_mutex_t {
        // SAFETY: there are `EACH`.
        unsafe { self.theirs.add(n) }
    }

    /// Locks and unlocks at random; at the end some of each kind are held, and `held` says which.
    fn wander(&self, random: &mut Random) {
        let mut held = 0u64;
        let mut guards: [Option<MutexGuard<'_, u64>>; EACH] = Default::default();
        let mut levels: [Vec<RecursiveMutexGuard<'_, u64>>; EACH] = Default::default();
        let mut holds: [Option<Hold<'_>>; EACH] = Default::default();
        for _ in 0..random.below(240) {
            let n = random.below(EACH as u64) as usize;
            match random.below(33) {
                // Joining and leaving a segment in between: our node goes from the middle of the list.
                0 => {
                    let passing = Segment::options().size(4096).max_members(2).anonymous().expect("segment");
                    drop(mutex(&passing).lock().expect("lock"));
                }
                1..=8 => {
                    let m = self.theirs(n);
                    // SAFETY: initialised; unlocked only when this thread holds it.
                    unsafe {
                        if held & 1 << n == 0 {
                            assert_eq!(libc::pthread_mutex_lock(m), 0);
                        } else {
                            assert_eq!(libc::pthread_mutex_unlock(m), 0);
                        }
                    }
                    held ^= 1 << n;
                }
                9..=16 => {
                    let levels = &mut levels[n];
                    if random.below(2) == 0 || levels.is_empty() {
                        levels.push(self.recursive[n].lock().expect("free or ours"));
                    } else {
                        // Any of them.
                        drop(levels.swap_remove(random.below(levels.len() as u64) as usize));
                    }
                    held = held & !(1 << (2 * EACH + n)) | u64::from(!levels.is_empty()) << (2 * EACH + n);
                }
                17..=24 => {
                    let lock = &self.rwlocks[n];
                    holds[n] = match (holds[n].take(), random.below(3)) {
                        (None, 0) => Some(Hold::Write(lock.write().expect("write"))),
                        (None, _) => Some(Hold::Read(vec![lock.read().expect("read")])),
                        (Some(Hold::Write(guard)), 0) => Some(Hold::Read(vec![guard.downgrade()])),
                        (Some(Hold::Read(mut guards)), 0) => {
                            guards.push(lock.read().expect("once more"));
                            Some(Hold::Read(guards))
                        }
                        (Some(Hold::Read(mut guards)), 1) if guards.len() > 1 => {
                            drop(guards.remove(0));
                            Some(Hold::Read(guards))
                        }
                        (Some(_), _) => None,
                    };
                    // Also when one of several reads of this thread has ended.
                    let reads = usize::from(matches!(holds[n], Some(Hold::Read(_))));
                    assert_eq!(lock.readers().expect("a member"), reads, "rwlock {n}");
                    held &= !(1 << (3 * EACH + n) | 1 << (4 * EACH + n));
                    held |= match holds[n] {
                        Some(Hold::Write(_)) => 1 << (3 * EACH + n),
                        Some(Hold::Read(_)) => 1 << (4 * EACH + n),
                        None => 0,
                    };
                }
                _ => {
                    guards[n] = match guards[n].take() {
                        None => Some(self.ours[n].lock().expect("lock")),
                        Some(guard) => {
                            drop(guard);
                            None
                        }
                    };
                    held ^= 1 << (EACH + n);
                }
            }
            walk_robust_list();
        }
        guards.into_iter().for_each(forget);
        levels.into_iter().for_each(forget);
        holds.into_iter().for_each(forget);
        self.held.store(held, Ordering::SeqCst);
    }

    fn judge(&self, round: u64) {
        let held = self.held.load(Ordering::SeqCst);
        for n in 0..EACH {
            let expected = if held & 1 << n != 0 { libc::EOWNERDEAD } else { 0 };
            // SAFETY: initialised; held after either answer.
            unsafe {
                assert_eq!(libc::pthread_mutex_lock(self.theirs(n)), expected, "round {round}, theirs {n}");
                if expected != 0 {
                    libc::pthread_mutex_consistent(self.theirs(n));
                }
                libc::pthread_mutex_unlock(self.theirs(n));
            }
            let expected = |kind: usize| {
                if held & 1 << (kind * EACH + n) != 0 { Got::OwnerDied } else { Got::Clean }
            };
            assert_eq!(got(self.ours[n].lock()), expected(1), "round {round}, ours {n}");
            let said = match self.recursive[n].lock() {
                Ok(_) => Got::Clean,
                Err(RecursiveLockError::OwnerDied(died)) => {
                    drop(died.mark_consistent());
                    Got::OwnerDied
                }
                Err(RecursiveLockError::Failed(error)) => Got::Failed(error.kind()),
            };
            assert_eq!(said, expected(2), "round {round}, recursive {n}");
            let rwlock = &self.rwlocks[n];
            // A dead reader is no news; a dead writer is, whoever comes.
            let said = if round.is_multiple_of(3) {
                rwlock.try_read().map(drop)
            } else {
                rwlock.try_write().map(drop)
            };
            let said = match said {
                Ok(()) => Got::Clean,
                Err(RwLockError::OwnerDied(died)) => {
                    drop(died.mark_consistent());
                    Got::OwnerDied
                }
                Err(RwLockError::Failed(error)) => Got::Failed(error.kind()),
            };
            assert_eq!(said, expected(3), "round {round}, rwlock {n}, held {held:b}");
            assert_eq!(rwlock.readers().expect("a member"), 0, "round {round}, rwlock {n}");
        }
    }
}

pub fn robust_mutexes_of_both_kinds_are_inherited_in_any_order() {
    // Two segments: two of our nodes among theirs.
    let segments = [kit::segment(), kit::segment()];
    let name = |n| format!("lock {n}");
    let make = |n: usize| segments[n % 2].object(&name(n), || Mutex::new(0u64)).expect("mutex");
    let ours: Vec<_> = (0..EACH).map(make).collect();
    let name = |n| format!("recursive {n}");
    let make = |n: usize| segments[n % 2].object(&name(n), || RecursiveMutex::new(0u64)).expect("mutex");
    let recursive: Vec<_> = (0..EACH).map(make).collect();
    let name = |n| format!("rwlock {n}");
    let make = |n: usize| segments[n % 2].object(&name(n), || RwLock::new(0u64)).expect("rwlock");
    let rwlocks: Vec<_> = (0..EACH).map(make).collect();
    let words = board();
    // SAFETY: the board is shared, zeroed and large enough.
    let theirs = unsafe {
        let theirs = words.as_ptr().add(64).cast_mut().cast::<libc::pthread_mutex_t>();
        (0..EACH).for_each(|n| init(theirs.add(n)));
        theirs
    };
    let locks = Locks { theirs, ours: &ours, recursive: &recursive, rwlocks: &rwlocks, held: &words[0] };
    let mut random = Random(0xfeed);
    for round in 0..240 {
        let mut seed = Random(random.next() | 1);
        if round % 2 == 0 {
            in_a_thread_that_vanishes(|| locks.wander(&mut seed));
        } else {
            fork(|| {
                locks.wander(&mut seed);
                if seed.below(2) == 0 {
                    kit::die();
                }
            })
            .finish_any();
        }
        locks.judge(round);
    }
}
