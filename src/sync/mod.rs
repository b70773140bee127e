//! Locks in shared memory that survive the death of anyone.

#[cfg(all(feature = "std", not(interproc_loom)))]
mod barrier;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod bounded_semaphore;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod mutex;
mod raw_barrier;
mod raw_bounded_semaphore;
mod raw_mutex;
mod row;
mod spin;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use barrier::{Barrier, BarrierWaitResult};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use bounded_semaphore::{BoundedSemaphore, Permit};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use mutex::{LockError, Mutex, MutexGuard, OwnerDied};
pub use raw_barrier::RawBarrier;
pub use raw_bounded_semaphore::{RawBoundedSemaphore, RawPermit};
pub use raw_mutex::{Acquired, RawMutex};
pub use row::Row;
#[cfg(not(interproc_loom))]
pub use row::row_size;
#[cfg(not(interproc_loom))]
pub(crate) use spin::measure_pause;
pub(crate) use spin::{Habit, Spin};
