//! Waiting for several things at once: [`WaitSet`].
//!
//! | file | idea |
//! |---|---|
//! | `set` | [`WaitSet`] and its [`Source`]s |
//! | `when` | the methods of the objects that make a source |
//! | `source` | one thing to wait for, in a segment: how to look at it, and how it is told of the set |
//! | `raw` | look, spin, announce, look again, sleep |
//! | `pollable` | [`Pollable`]: a set as a descriptor |
//! | `poller` | epoll, for descriptors and for other event loops |
//! | `helper` | the thread that sleeps on memory words for those who sleep in epoll |
//!
//! Where a set sleeps and how it is woken, with what happens when somebody dies, is on the page of the doors
//! (`src/member/doors.rs`).

#[cfg(all(feature = "std", not(interproc_loom)))]
mod helper;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod pollable;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod poller;
mod raw;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod set;
mod source;
#[cfg(all(feature = "std", not(interproc_loom)))]
mod when;

#[cfg(all(feature = "std", not(interproc_loom)))]
pub use pollable::Pollable;
#[cfg(interproc_loom)]
#[doc(hidden)]
pub use raw::{Entry, wait_for_any};
#[cfg(all(feature = "std", not(interproc_loom)))]
pub use set::{Key, Mechanism, Source, WaitSet};
#[cfg(interproc_loom)]
#[doc(hidden)]
pub use source::Wanted;
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use source::Wanted;
#[cfg(all(feature = "std", any(feature = "c-abi", test), not(interproc_loom), not(doctest)))]
pub(crate) use when::{reading, writing, writing_bytes};
