//! Queues in shared memory that survive the death of anyone.
//!
//! | wanted | type |
//! |---|---|
//! | messages of one size, many producers and consumers | [`Queue`]; in place by [`Reservation`] and [`Message`] |
//! | only the newest value | [`Latest`] |

#[cfg(all(feature = "std", not(interproc_loom)))]
mod batch;
#[cfg(not(interproc_loom))]
pub mod byte_lane;
pub(crate) mod byte_queue;
mod depth;
mod event_count;
mod forced;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod guard;
mod in_place;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod iter;
pub(crate) mod lane;
mod latest;
mod look;
mod position;
#[cfg(all(feature = "std", not(interproc_loom)))]
#[allow(clippy::module_inception)]
mod queue;
mod raw_queue;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod recv_error;
mod ring;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod spsc;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use batch::BatchError;
#[cfg(not(interproc_loom))]
pub use byte_queue::byte_ring_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use byte_queue::{ByteQueue, Message as ByteMessage, Reservation as ByteReservation};
pub use byte_queue::{ByteRing, Claim as ByteClaim, Limit, Popped, RawByteQueue};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use guard::{Message, Reservation};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use iter::{Drain, Iter, TryIter};
#[cfg(not(interproc_loom))]
pub use lane::lane_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use lane::lane_view;
pub use lane::{Lane, RawConsumer, RawProducer};
#[cfg(not(interproc_loom))]
pub use latest::latest_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use latest::view as latest_view;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use latest::{Latest, Versioned};
pub use latest::{LatestPlace, RawLatest};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use queue::{Delivery, PushError, Queue};
pub use raw_queue::RawQueue;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use recv_error::RecvError;
pub use ring::Ring;
#[cfg(not(interproc_loom))]
pub use ring::ring_size;
