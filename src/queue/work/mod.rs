//! The work queue: jobs that are leased, done, given back, retried.

mod books;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod handle;
mod heap;
mod layout;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod options;
mod raw;
#[cfg(any(feature = "std", interproc_loom))]
pub(crate) mod ready;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;
mod word;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use handle::{Lease, Letter, WorkQueue};
pub use layout::{Geometry, WorkOrder, WorkPlace};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use options::WorkOptions;
pub use raw::{DeadLetter, Job, Leased, RawWorkQueue, Reserved};
