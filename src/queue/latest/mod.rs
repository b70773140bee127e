//! [`Latest`]: only the newest value, for any number of readers.
//!
//! | file | idea |
//! |---|---|
//! | `raw` | the algorithm |
//! | `layout` | the bytes |
//! | `handle` | the typed handle |
//! | `view` | what `inspect` shows |

#[cfg(all(feature = "std", not(interproc_loom)))]
mod handle;
mod layout;
mod raw;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use handle::{Latest, Versioned};
pub use layout::LatestPlace;
#[cfg(not(interproc_loom))]
pub use layout::latest_size;
pub use raw::RawLatest;
