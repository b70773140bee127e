//! The bounded queue.

mod batch;
mod copied;
mod handle;
mod in_place;
mod state;

pub(super) use handle::interproc_queue_t;
use handle::me;
