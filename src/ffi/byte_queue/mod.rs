//! The queue of messages of any length.

mod copied;
mod handle;
mod in_place;
mod state;

pub(super) use handle::interproc_byte_queue_t;
use handle::me;
