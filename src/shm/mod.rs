//! Segments: named or anonymous shared memory with a directory of typed objects.
//!
//! | file | what it knows |
//! |---|---|
//! | `name` | the rules of names |
//! | `header` | the layout: planned at creation, checked at opening |
//! | `file` | creating, publishing, opening, unlinking; which files are refused |
//! | `directory` | finding and making objects, crash-safe, over untrusted bytes |
//! | `members` | the member slots as somebody sees them who is none |
//! | `decode` | which type's state is read by which function |
//! | `inspect`, `deadlock` | what there is to see: objects, members, cycles of waiting |
//! | `attach` | where the member layer is called |
//! | `lane`; `spsc`, `byte_lane` | finding and making lanes, and taking a seat; their two families |
//! | `segment`, `options`, `room`, `object`, `snapshot` | the interface |
//!
//! # Who is trusted with what
//!
//! **Who may write a segment** may write anything into it, at any time. What is read from shared memory is copied,
//! checked, then used; where things are is known from a private copy of the header that was checked at opening.
//!
//! | it may | it may not |
//! |---|---|
//! | make any value anything, lose and invent messages, let two into one lock | lead a call outside of the segment's memory, or to a system call with an address outside |
//! | make a call fail, or wait as if somebody had what it waits for, to the end of its time limit | make a call that does not wait take more than milliseconds (an object that is asked about as a whole, like a semaphore of a million permits: than one look at all of it), or a timed one miss its limit |
//! | say that it is any process: what [`Who`](crate::member::Who) tells is what was written there | |
//! | keep others from opening the segment, by locks on its file: each gets an error after a second | |
//!
//! *It can break a Rust reference.* A guard of a lock gives `&T` and `&mut T` to memory that it can change meanwhile, and so
//! do messages that are read or written in place ([`Queue::borrow`](crate::queue::Queue::borrow),
//! [`ByteQueue::borrow`](crate::queue::ByteQueue::borrow), chunks, reservations) and [`Object`]s of other types than
//! atomics: a value can change between the check and the use, and for the compiler that is undefined behaviour. Between
//! processes that do not trust each other use what copies out, and check the copy:
//!
//! | copies out | |
//! |---|---|
//! | [`Queue::pop`](crate::queue::Queue::pop), [`spsc::Consumer::pop`](crate::queue::spsc::Consumer::pop) and their other forms | an element |
//! | [`ByteQueue::pop_into`](crate::queue::ByteQueue::pop_into), [`ByteConsumer::pop_into`](crate::queue::byte_lane::ByteConsumer::pop_into), [`End::recv_into`](crate::pipe::End::recv_into) | bytes, never more than fit |
//! | [`Latest::get`](crate::queue::Latest::get) | a whole value, word by word |
//! | [`Snapshot::read`] | an object, without a mapping |
//! | atomics in an [`Object`] | a word |
//!
//! *It can take the memory away.* Whoever may write a *named* segment may also truncate its file; then a later access is a
//! SIGBUS, and if a thread dies that is a member, the kernel's walk of its robust list ends at the lost page: `pthread`
//! robust mutexes that it had locked *before* it joined the segment, wherever they are, are then not reported as its. Anonymous
//! segments are sealed against that, and a memfd that cannot be sealed is refused.
//!
//! **Who may only read** a segment's file costs nobody anything: it keeps no one from opening, attaching, locking. By read locks
//! on the file it can make a segment look used ([`Segment::is_stale`]), and take seats from processes that come later, whose
//! deaths are then found by their threads' ids alone (`member::domain`).
//!
//! To know who a peer is, ask the kernel: `SO_PEERCRED` of a socket over which the segment's descriptor is passed, or a
//! process that one has started oneself.

mod attach;
mod byte_lane;
mod deadlock;
mod decode;
mod directory;
mod file;
mod header;
mod inspect;
mod kernel;
mod lane;
mod members;
mod name;
mod object;
mod options;
mod room;
mod segment;
mod snapshot;
mod spsc;

pub use deadlock::Deadlock;
pub(crate) use directory::{Element, Shape};
pub use inspect::{Holder, ObjectState, View};
pub use members::{MemberInfo, Waits};
pub use object::Object;
pub use options::Options;
pub use room::Room;
pub use segment::Segment;
pub use snapshot::{ObjectInfo, Snapshot};

use crate::error::{Error, ErrorKind};

/// An error of `kind` with a sentence of detail.
#[cold]
fn fail(kind: ErrorKind, detail: impl core::fmt::Display) -> Error {
    Error::from(kind).with_detail(detail)
}
