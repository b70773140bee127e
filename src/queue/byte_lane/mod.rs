//! The byte lane: messages of any length from one producer to one consumer.
//!
//! [`raw::queue::byte_lane`](crate::raw::queue::byte_lane) is the framing, on top of the lane's two counts. [`ByteProducer`]
//! and [`ByteConsumer`] are the handles, created or found by [`Segment::byte_producer`](crate::Segment::byte_producer) and
//! [`Segment::byte_consumer`](crate::Segment::byte_consumer).

#[cfg(feature = "std")]
mod consumer;
#[cfg(feature = "std")]
mod endpoint;
#[cfg(feature = "std")]
mod producer;
pub(crate) mod raw;
#[cfg(feature = "std")]
pub(crate) mod view;

#[cfg(feature = "std")]
pub use super::RecvError;
#[cfg(feature = "std")]
pub(crate) use consumer::InSeat as InConsumer;
#[cfg(feature = "std")]
pub use consumer::{ByteConsumer, ByteDrain, ByteIter, ByteMessage, ByteTryIter};
#[cfg(feature = "std")]
pub(crate) use producer::InSeat as InProducer;
#[cfg(feature = "std")]
pub use producer::{ByteProducer, ByteReservation};
pub(crate) use raw::{Found, RawByteConsumer, RawByteProducer, UNIT, units_for};
#[cfg(feature = "std")]
pub(crate) use raw::{LENGTH, Piece, units_of};
