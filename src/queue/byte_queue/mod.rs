//! The queue of messages of any length.
//!
//! | file | idea |
//! |---|---|
//! | `word` | control words and positions: pure functions |
//! | `place` | the ring's bytes |
//! | `raw` | the algorithm's rules, and the operations |
//! | `walk` | claims, and how the dead are passed |
//! | `sleep` | waiting |
//! | `handle`, `pushing`, `popping`, `guard` | the Rust types on top |
//! | `by_place` | claims by the place of their message, for C |
//! | `view` | the state from copied bytes, for `inspect` |

#[cfg(all(feature = "std", not(interproc_loom)))]
mod by_place;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod guard;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod handle;
mod place;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod popping;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod pushing;
mod raw;
mod sleep;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;
mod walk;
mod word;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use guard::{Message, Reservation};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use handle::ByteQueue;
pub use place::ByteRing;
#[cfg(not(interproc_loom))]
pub use place::byte_ring_size;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use popping::{Drain, Iter, TryIter};
pub use raw::{Claim, Popped, RawByteQueue};
