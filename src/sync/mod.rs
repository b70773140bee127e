//! Locks in shared memory that survive the death of anyone.

#[cfg(all(feature = "std", not(interproc_loom)))]
mod condvar;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod mutex;
mod raw_condvar;
mod raw_mutex;
mod spin;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use condvar::{Condvar, WaitTimeoutResult};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use mutex::{LockError, Mutex, MutexGuard, OwnerDied};
pub use raw_condvar::{RawCondvar, Waited};
pub use raw_mutex::{Acquired, RawMutex};
#[cfg(not(interproc_loom))]
pub(crate) use spin::measure_pause;
pub(crate) use spin::{Habit, Spin};
