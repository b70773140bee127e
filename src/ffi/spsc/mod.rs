//! The queue from one producer to one consumer.

mod consumer;
mod handle;
mod producer;
mod view;

use handle::{Held, lend};
pub(super) use handle::{interproc_spsc_consumer_t, interproc_spsc_producer_t, interproc_spsc_slots_t};
