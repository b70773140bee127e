//! Locks in shared memory that survive the death of anyone.

mod raw_mutex;
mod spin;

pub use raw_mutex::{Acquired, RawMutex};
pub(crate) use spin::Spin;
