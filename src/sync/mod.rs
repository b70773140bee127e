//! Locks and other synchronisation in shared memory that survive the death of any participant.
//!
//! Each type stands on an algorithm in [`raw::sync`](crate::raw::sync), whose page says, window by window, what happens when
//! somebody dies in it.

#[cfg(all(feature = "std", not(interproc_loom)))]
mod barrier;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod bounded_semaphore;
pub(crate) mod cells;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod condvar;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod event;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod guard;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod mutex;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod once;
pub(crate) mod raw_barrier;
pub(crate) mod raw_bounded_semaphore;
pub(crate) mod raw_condvar;
pub(crate) mod raw_event;
pub(crate) mod raw_mutex;
pub(crate) mod raw_once;
pub(crate) mod raw_recursive_mutex;
pub(crate) mod raw_rwlock;
pub(crate) mod raw_semaphore;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod recursive_mutex;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod rwlock;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod semaphore;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use barrier::{Barrier, BarrierWaitResult};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use bounded_semaphore::{BoundedSemaphore, Permit};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use condvar::{Condvar, CondvarGuard, WaitTimeoutResult};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use event::Event;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use guard::{AcquireError, Inherited};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use mutex::{LockError, Mutex, MutexGuard, OwnerDied};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use once::{Once, OnceLock, OnceState};
pub use raw_barrier::BarrierTurn;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use recursive_mutex::{RecursiveLockError, RecursiveMutex, RecursiveMutexGuard, RecursiveOwnerDied};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use rwlock::{
    ReadResult, RwLock, RwLockError, RwLockOwnerDied, RwLockReadGuard, RwLockWriteGuard, WriteResult,
};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use semaphore::Semaphore;

// Public in `raw::sync`.
pub(crate) use raw_mutex::{Acquired, RawMutex};
pub(crate) use raw_recursive_mutex::RawRecursiveMutex;
#[cfg(all(feature = "std", not(interproc_loom), not(doctest)))]
pub(crate) use raw_rwlock::Entered;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use {
    cells::{Cells, cells_size},
    raw_barrier::RawBarrier,
    raw_bounded_semaphore::{RawBoundedSemaphore, RawPermit},
    raw_condvar::{RawCondvar, Waited},
    raw_event::RawEvent,
    raw_once::{Begun, RawOnce},
    raw_rwlock::RawRwLock,
    raw_semaphore::RawSemaphore,
};

/// The upper half of a word, as the kernel sees it as a futex.
#[inline]
const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}
