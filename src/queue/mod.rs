//! Queues in shared memory that survive the death of anyone.

pub(crate) mod byte_queue;
mod event_count;
mod position;
#[cfg(all(feature = "std", not(interproc_loom)))]
#[allow(clippy::module_inception)]
mod queue;
mod raw_queue;
mod ring;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(not(interproc_loom))]
pub use byte_queue::byte_ring_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use byte_queue::{ByteQueue, Message as ByteMessage, PopIntoError, Reservation as ByteReservation};
pub use byte_queue::{ByteRing, Claim as ByteClaim, Limit, Popped, RawByteQueue};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use queue::{BatchError, Delivery, PushError, Queue};
pub use raw_queue::RawQueue;
pub use ring::Ring;
#[cfg(not(interproc_loom))]
pub use ring::ring_size;
