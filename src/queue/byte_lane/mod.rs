//! The byte lane: messages of any length from one producer to one consumer.

mod raw;

pub use raw::{Found, RawByteConsumer, RawByteProducer, UNIT, units_for};
