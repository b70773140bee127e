//! The queue of messages of any length.
//!
//! | file | idea |
//! |---|---|
//! | `word` | control words and positions: pure functions |
//! | `layout` | the ring's bytes |
//! | `raw` | the rules of the algorithm, and the operations |
//! | `scan` | claims, and how dead owners are passed |
//! | `wait` | waiting |
//! | `handle`, `pushing`, `popping`, `guard` | the Rust types on top |
//! | `by_address` | claims known by the address of their message, for C |
//! | `view` | the state from copied bytes, for `inspect` |

#[cfg(all(feature = "std", not(interproc_loom)))]
mod by_address;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod guard;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod handle;
mod layout;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod popping;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod pushing;
mod raw;
#[cfg(any(feature = "std", interproc_loom))]
mod ready;
mod scan;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;
mod wait;
mod word;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use guard::{Message, Reservation};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use handle::ByteQueue;
pub use layout::ByteRing;
#[cfg(not(interproc_loom))]
pub use layout::byte_ring_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use popping::{Drain, Iter, TryIter};
pub use raw::{Claim, Popped, RawByteQueue};
