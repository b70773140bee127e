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
//! **Threat model.** A peer that may write a segment may write anything into it, at any time. What is read from
//! shared memory is copied, checked, then used; where things are is known from a private copy of the header that
//! was checked at opening. The limit: whoever may write a *named* segment may also truncate its file, and then a
//! later access is a SIGBUS. Anonymous segments are sealed against that.

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
pub(crate) use directory::Shape;
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
