//! Waiting for several things at once.

mod handle;
mod sources;
mod wait;

pub(super) use handle::{interproc_waitset_ready_t, interproc_waitset_t};
