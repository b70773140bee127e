//! Hand-overs under a lock: our condition variable against pthread's, both with their robust mutex.

use super::sides::{Line, SharedPage};
use super::wakes::Baton;
use interproc::sync::{Condvar, Mutex};
use interproc::{Object, Segment};
use std::cell::UnsafeCell;

/// A condition for each side, and what was handed to each.
pub struct Ours {
    handed: Object<Mutex<[u64; 2]>>,
    came: [Object<Condvar>; 2],
}

impl Baton for Ours {
    fn new() -> Self {
        let segment = Segment::anonymous(1 << 12).expect("segment");
        Ours {
            handed: segment.object("handed", || Mutex::new([0; 2])).expect("mutex"),
            came: ["there", "back"].map(|name| segment.object(name, Condvar::new).expect("condvar")),
        }
    }
    fn give(&self, to: usize, i: u64) {
        self.handed.lock().expect("lock")[to] = i;
        self.came[to].notify_one().expect("notify");
    }
    fn await_it(&self, side: usize, i: u64) {
        let guard = self.handed.lock().expect("lock");
        drop(self.came[side].wait_while(guard, |handed| handed[side] != i).expect("wait"));
    }
}

/// The same with pthread.
pub struct Pthread(SharedPage<Line<Pair>>);

struct Pair {
    lock: UnsafeCell<libc::pthread_mutex_t>,
    came: [UnsafeCell<libc::pthread_cond_t>; 2],
    handed: UnsafeCell<[u64; 2]>,
}

// SAFETY: lock and conditions are made for this, and the rest is reached under the lock.
unsafe impl Sync for Pair {}
// SAFETY: shared memory with no tie to a thread.
unsafe impl Send for Pair {}

impl Baton for Pthread {
    fn new() -> Self {
        // SAFETY: the attributes are initialised before their use, the objects before anybody's.
        unsafe {
            let page: SharedPage<Line<Pair>> = SharedPage::zeroed();
            let mut attr: libc::pthread_mutexattr_t = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut attr);
            libc::pthread_mutexattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(&mut attr, libc::PTHREAD_MUTEX_ROBUST);
            assert_eq!(libc::pthread_mutex_init(page.0.lock.get(), &attr), 0);
            let mut attr: libc::pthread_condattr_t = std::mem::zeroed();
            libc::pthread_condattr_init(&mut attr);
            libc::pthread_condattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED);
            for came in &page.0.came {
                assert_eq!(libc::pthread_cond_init(came.get(), &attr), 0);
            }
            Pthread(page)
        }
    }
    fn give(&self, to: usize, i: u64) {
        let pair = &self.0.0;
        // SAFETY: initialised by `new`; the array is written under the lock.
        unsafe {
            assert_eq!(libc::pthread_mutex_lock(pair.lock.get()), 0);
            (*pair.handed.get())[to] = i;
            libc::pthread_mutex_unlock(pair.lock.get());
            libc::pthread_cond_signal(pair.came[to].get());
        }
    }
    fn await_it(&self, side: usize, i: u64) {
        let pair = &self.0.0;
        // SAFETY: as above.
        unsafe {
            assert_eq!(libc::pthread_mutex_lock(pair.lock.get()), 0);
            while (*pair.handed.get())[side] != i {
                libc::pthread_cond_wait(pair.came[side].get(), pair.lock.get());
            }
            libc::pthread_mutex_unlock(pair.lock.get());
        }
    }
}
