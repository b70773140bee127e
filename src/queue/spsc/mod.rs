//! Spsc: messages of one size from one producer to one consumer, in any processes. The fastest channel.
//!
//! [`Producer`] and [`Consumer`] are the two seats of a [`Lane`](super::Lane), typed. How the lane works, what each death leaves,
//! and what was rejected: see there.
//!
//! **A seat belongs to a thread**, because the kernel reports the deaths of threads. A handle may move to another thread of the
//! process: its first operation there moves the seat (one compare-and-swap). If the thread that had the seat has ended meanwhile
//! *and* somebody else has taken over, that operation fails with `Stale`. In a forked child the parent's handle is refused with
//! `NotOwner`, and dropping it does nothing. Each operation checks that it runs in the right thread and process, by three loads
//! of the thread's own and one of a word that a fork wipes.
//!
//! After MCRingBuffer (Lee, Bell, Srinivasan, IPDPS 2010) and rtrb, whose chunks these are.

mod chunk;
mod consumer;
mod endpoint;
mod iter;
mod producer;

pub use chunk::{ReadChunk, ReadChunkIntoIter, WriteChunk, WriteChunkUninit};
pub use consumer::Consumer;
pub(crate) use endpoint::{Reader, Writer};
pub use iter::{Drain, Iter, TryIter};
pub use producer::Producer;
