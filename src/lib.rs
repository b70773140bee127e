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
pub(crate) use mark::crash_window;
pub(crate) use mutant;

pub mod atomic;
mod error;
pub mod format;
mod mark;
pub mod member;
pub mod queue;
pub mod sync;
pub mod sys;
mod time;

pub use error::{Error, ErrorKind, Result};
pub use time::Deadline;
