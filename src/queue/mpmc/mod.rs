//! [`Queue`]: messages of one size, many producers, many consumers.
//!
//! | file | idea |
//! |---|---|
//! | `layout` | the bytes |
//! | `raw` | the algorithm: its rules, push and pop, waiting, closing |
//! | `scan` | what a scan finds at a cell, and all repairs after deaths |
//! | `in_place` | claims that outlive a call: reserve, borrow |
//! | `displace` | the push that displaces the oldest message |
//! | `depth` | how full it is, and who is in the way |
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
#[cfg(any(feature = "std", interproc_loom))]
mod ready;
mod scan;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) mod view;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use guard::{Message, Reservation};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use handle::Queue;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use iter::{Drain, Iter, TryIter};
pub use layout::Ring;
#[cfg(not(interproc_loom))]
pub use layout::ring_size;
pub use raw::RawQueue;
