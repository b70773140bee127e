//! The real kernel. Nothing here changes `errno`: a C caller's value survives every call.
#![allow(unsafe_code)]

pub mod call;
pub mod clock;
pub mod dying;
pub mod file;
#[cfg(feature = "std")]
pub mod fork;
#[cfg(feature = "std")]
pub mod fork_gate;
pub mod futex;
pub mod memory;
pub mod own;
#[cfg(feature = "std")]
pub mod parent_death;
#[cfg(feature = "std")]
pub mod pidfd;
#[cfg(feature = "std")]
pub mod poll;
pub mod robust;
#[cfg(feature = "std")]
pub mod settings;
#[cfg(feature = "std")]
pub mod socket;
pub mod task;
#[cfg(feature = "std")]
pub mod vfork;

mod barrier;
pub use barrier::{membarrier, register_membarrier};
