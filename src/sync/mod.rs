//! Locks in shared memory that survive the death of anyone.

#[cfg(all(feature = "std", not(interproc_loom)))]
mod mutex;
mod raw_mutex;
mod raw_rwlock;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod rwlock;
mod spin;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use mutex::{LockError, Mutex, MutexGuard, OwnerDied};
pub use raw_mutex::{Acquired, RawMutex};
pub use raw_rwlock::RawRwLock;
pub(crate) use raw_rwlock::Sampler;
#[cfg(all(feature = "std", not(interproc_loom), not(doctest)))]
pub(crate) use raw_rwlock::{Entered, Patience};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use rwlock::{
    ReadResult, RwLock, RwLockError, RwLockOwnerDied, RwLockReadGuard, RwLockWriteGuard, WriteResult,
};
#[cfg(not(interproc_loom))]
pub(crate) use spin::measure_pause;
pub(crate) use spin::{Habit, Spin};
