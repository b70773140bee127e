//! Pipes.

mod child;
mod copied;
mod end;
mod handle;
mod in_place;
mod listener;
mod make;

use handle::{Ends, interproc_listener_t, interproc_pipe_entry_t, interproc_pipe_t, receiver, sender};
