//! Locks and other synchronisation in shared memory that survive the death of any participant.
//!
//! Most users need the types without `Raw` in their names. The raw types are the algorithms: they take the calling member
//! explicitly and are public for programs without `std`. Their pages say, window by window, what happens when somebody dies in
//! them.

#[cfg(all(feature = "std", not(interproc_loom)))]
mod barrier;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod bounded_semaphore;
mod cells;
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
mod raw_barrier;
mod raw_bounded_semaphore;
mod raw_condvar;
mod raw_event;
mod raw_mutex;
mod raw_once;
mod raw_recursive_mutex;
mod raw_rwlock;
mod raw_semaphore;
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
pub use cells::Cells;
#[cfg(not(interproc_loom))]
pub use cells::cells_size;
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
pub use raw_barrier::{BarrierTurn, RawBarrier};
pub use raw_bounded_semaphore::{RawBoundedSemaphore, RawPermit};
pub use raw_condvar::{RawCondvar, Waited};
pub use raw_event::RawEvent;
pub use raw_mutex::{Acquired, RawMutex};
pub use raw_once::{Begun, RawOnce};
pub use raw_recursive_mutex::RawRecursiveMutex;
#[cfg(all(feature = "std", not(interproc_loom), not(doctest)))]
pub(crate) use raw_rwlock::Entered;
pub use raw_rwlock::RawRwLock;
pub use raw_semaphore::RawSemaphore;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use recursive_mutex::{RecursiveLockError, RecursiveMutex, RecursiveMutexGuard, RecursiveOwnerDied};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use rwlock::{
    ReadResult, RwLock, RwLockError, RwLockOwnerDied, RwLockReadGuard, RwLockWriteGuard, WriteResult,
};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use semaphore::Semaphore;

/// The upper half of a word, as the kernel sees it as a futex.
#[inline]
const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}
