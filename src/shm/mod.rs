//! Named memory that processes share: a segment, with a directory of typed objects. A process asks for an object by name,
//! and finds it or makes it; the same objects outlive any process that uses them.
//!
//! | file | what it knows |
//! |---|---|
//! | `name` | the rules for names |
//! | `header` | the layout: planned at creation, checked at opening |
//! | `file` | creating, publishing, opening and unlinking the file; which files are refused |
//! | `directory` | finding and making objects, crash-safe, over untrusted bytes |
//! | `placed` | the one way in which an object with parameters is found or made |
//! | `object`; `queue`, `latest`, `cells`, `lane`, `spsc`, `byte_lane` | the objects: typed ones, and those with parameters |
//! | `attach` | the calls into the member layer |
//! | `segment`, `options`, `room`, `snapshot` | the interface |
//!
//! # Trust
//!
//! **A peer that may write to a segment** may write anything into it, at any time. So whatever is read from shared memory
//! is copied, checked, and only then used; where things lie is known from a private copy of the header that was checked at
//! opening.
//!
//! | such a peer can | it cannot |
//! |---|---|
//! | give any object any value, lose and invent messages, let two threads into one lock | make a call read or write outside of the segment's memory, or pass an address outside of it to the kernel |
//! | make a call fail, or make it wait until its time limit as if somebody held what it waits for | make a call that does not wait take more than milliseconds (a call that asks about a whole object, such as a semaphore of a million permits: more than one pass over it), or make a timed call miss its limit |
//! | pretend to be any process: [`Who`](crate::Who) reports what was written there | |
//! | lock the file to keep others from opening the segment: each gets an error after a second | |
//!
//! *It can break a Rust reference.* A lock's guard gives out `&T` and `&mut T` to memory that the peer can change
//! meanwhile. So do messages that are read or written in place ([`Queue::borrow`](crate::queue::Queue::borrow),
//! [`ByteQueue::borrow`](crate::queue::ByteQueue::borrow), chunks, reservations) and [`Object`]s of types other than
//! atomics. A value can change between check and use, and to the compiler that is undefined behaviour. Between processes
//! that do not trust each other, use the calls that copy, and check the copy:
//!
//! | call | copies |
//! |---|---|
//! | [`Queue::pop`](crate::queue::Queue::pop), [`spsc::Consumer::pop`](crate::queue::spsc::Consumer::pop) and their other forms | an element |
//! | [`ByteQueue::pop_into`](crate::queue::ByteQueue::pop_into), [`ByteConsumer::pop_into`](crate::queue::byte_lane::ByteConsumer::pop_into), [`End::recv_into`](crate::pipe::End::recv_into) | bytes, never more than fit |
//! | [`Latest::get`](crate::queue::Latest::get) | a whole value, word by word |
//! | [`Snapshot::read`] | an object, without a mapping |
//! | atomics in an [`Object`] | a word |
//!
//! *It can take the memory away.* A peer that may write to a *named* segment may also truncate its file. A later access is
//! then a SIGBUS. And when a thread dies that is a member, the kernel's walk of its robust list ends at the lost page, so
//! `pthread` robust mutexes that it had locked *before* it joined the segment, wherever they are, are not reported as
//! abandoned. Anonymous segments are sealed against truncation, and a memfd that cannot be sealed is refused.
//!
//! **A process that may only read** a segment's file can harm nobody's work: it cannot keep anyone from opening, attaching
//! or locking. With read locks on the file it can make a segment look used ([`Segment::is_stale`]), and take seats from
//! processes that come later, whose deaths are then found by their threads' ids alone (`member::domain`).
//!
//! To know who a peer is, ask the kernel: `SO_PEERCRED` of the socket over which you pass the segment's descriptor, or
//! start the process yourself.

mod attach;
mod broadcast;
mod byte_lane;
mod cells;
mod directory;
mod file;
mod header;
mod kernel;
mod lane;
mod latest;
mod name;
mod object;
mod options;
mod placed;
mod queue;
mod room;
mod segment;
mod snapshot;
mod spsc;
mod work;

pub(crate) use directory::Element;
pub use object::Object;
pub use options::Options;
pub(crate) use placed::Placed;
pub use room::Room;
pub use segment::Segment;
pub use snapshot::{ObjectInfo, Snapshot};

use crate::error::{Error, ErrorKind};

/// An error of this kind, with a sentence of detail.
#[cold]
fn fail(kind: ErrorKind, detail: impl core::fmt::Display) -> Error {
    Error::from(kind).with_detail(detail)
}
