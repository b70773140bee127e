//! [`Queue`]: messages of one size, from many to many.
//!
//! | file | idea |
//! |---|---|
//! | `layout` | the bytes |
//! | `raw` | the algorithm: its rules, push and pop, waiting, closing |
//! | `scan` | one look at a cell, and all that is done for the dead |
//! | `in_place` | claims that outlive a call: reserve, receive |
//! | `displace` | the push that displaces the oldest |
//! | `depth` | how much is in it, and who is in the way |
//! | `handle`, `guard`, `batch`, `iter` | the Rust types on top |
//! | `view` | the state from copied bytes, for `inspect` |

#[cfg(all(feature = "std", not(interproc_loom)))]
mod batch;
mod depth;
mod displace;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod guard;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod handle;
mod in_place;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod iter;
mod layout;
mod raw;
mod scan;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use guard::{Message, Reservation};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use handle::{Delivery, Queue};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use iter::{Drain, Iter, TryIter};
pub use layout::Ring;
#[cfg(not(interproc_loom))]
pub use layout::ring_size;
pub use raw::RawQueue;
