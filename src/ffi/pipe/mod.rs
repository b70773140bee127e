//! Pipes.

mod child;
mod copied;
mod descriptors;
mod end;
mod handle;
mod in_place;
mod listener;
mod make;

use handle::{Ends, interproc_pipe_entry_t, receiver, sender};
pub(super) use handle::{interproc_listener_t, interproc_pipe_t};
