//! [`Latest`]: only the newest value, for any number of readers.
#![cfg_attr(not(interproc_loom), allow(unsafe_code))]

mod place;
#[allow(unsafe_code)]
mod raw;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

pub use place::LatestPlace;
#[cfg(not(interproc_loom))]
pub use place::latest_size;
pub use raw::RawLatest;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use handle::{Latest, Versioned};

#[cfg(all(feature = "std", not(interproc_loom)))]
mod handle;
