//! Queues in shared memory that survive the death of anyone.

#[cfg(not(interproc_loom))]
pub mod byte_lane;
mod event_count;
mod lane;
mod position;
#[cfg(all(feature = "std", not(interproc_loom)))]
#[allow(clippy::module_inception)]
mod queue;
mod raw_queue;
mod ring;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(not(interproc_loom))]
pub use lane::lane_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use lane::lane_view;
pub use lane::{Lane, RawConsumer, RawProducer};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use queue::{BatchError, Delivery, PushError, Queue};
pub use raw_queue::RawQueue;
pub use ring::Ring;
#[cfg(not(interproc_loom))]
pub use ring::ring_size;
