//! Queues in shared memory that survive the death of anyone.

mod event_count;
mod position;
mod raw_queue;
mod ring;

pub use raw_queue::RawQueue;
pub use ring::Ring;
#[cfg(not(interproc_loom))]
pub use ring::ring_size;
