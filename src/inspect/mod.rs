//! What can be seen of a segment from outside: its objects with their states, its members and what they wait for,
//! deadlocks. The tool `interproc` shows it.
//!
//! Everything here works on a [`Snapshot`](crate::shm::Snapshot), which reads the segment's file: it costs the segment's
//! users nothing, and whoever looks need not be a member.
//!
//! | file | what it knows |
//! |---|---|
//! | `view` | [`View`]: objects and members with their states |
//! | `members` | the member slots, read from the file |
//! | `decoders` | which function decodes the state of which type |
//! | `deadlock` | cycles of waiting |

mod deadlock;
mod decoders;
mod members;
mod view;

pub use deadlock::Deadlock;
pub use members::{MemberInfo, Waits};
pub use view::{Holder, ObjectState, View};
