//! Spsc: messages of one size from one producer to one consumer, in any processes. The fastest way from here to there.
//!
//! [`Producer`] and [`Consumer`] are the two seats of a [`Lane`](super::Lane), typed. How it works, which deaths leave what,
//! and what was rejected: see there. Here is what a handle adds: it knows which thread sits in its seat.
//!
//! **A seat belongs to a thread**, because it is threads that the kernel reports dead. A handle may be moved to another
//! thread of the process: its first operation there moves the seat (one compare-and-swap). If the thread that sat there
//! has ended meanwhile *and* somebody else has taken over, it gets `Stale`. In a forked child the parent's handle is refused with
//! `NotOwner` and dropping it does nothing. Each operation makes sure that it is in the right thread and process: three
//! loads of the thread's own, and one of a word that a fork wipes.
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
