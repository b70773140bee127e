//! Locks, queues and processes in named shared memory that survive `kill -9` of any participant.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
compile_error!("interproc is for 64-bit little-endian Linux");

/// Whether a seeded fault is switched on: never in the product.
macro_rules! mutant {
    ($name:literal) => {
        false
    };
}
/// Names a crash window for the sweep: nothing in the product.
macro_rules! crash_window {
    ($name:literal) => {};
}
pub(crate) use {crash_window, mutant};

pub mod atomic;
mod error;
pub mod format;
pub mod member;
pub mod queue;
mod shared;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod shm;
pub mod sync;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub mod process;
pub mod sys;
mod time;

pub use error::{Error, ErrorKind, Result};
pub use shared::{Plain, Shared};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use shm::{Object, Options, Segment};
pub use time::Deadline;
