//! Child processes.

mod child;
mod close;
mod handle;
mod many;

pub(super) use handle::*;
