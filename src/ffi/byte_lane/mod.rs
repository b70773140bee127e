//! The byte lane.

mod consumer;
mod handle;
mod producer;
mod view;

pub(super) use handle::{interproc_byte_consumer_t, interproc_byte_producer_t};
