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
mod iter;
mod producer;

pub use chunk::{ReadChunk, ReadChunkIntoIter, WriteChunk, WriteChunkUninit};
pub use consumer::Consumer;
pub use iter::{Drain, Iter, TryIter};
pub use producer::Producer;

use super::lane::Lane;
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member, OwnerId};
use crate::time::Deadline;
use core::ptr::null;

/// How long an operation may wait.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    Never,
    ForEver,
    Until(Deadline),
}

/// Where a handle works: the thread that sits, and the process.
#[derive(Debug)]
struct Here {
    /// Only compared: it lives as long as that thread.
    me: *const Member,
    forks: u64,
}

impl Here {
    /// Where the caller is, who has just asked for its member.
    fn now(me: &Member) -> Self {
        Here { me, forks: member::forks() }
    }

    /// Whether that is the calling thread, and `id` its name.
    #[inline(always)]
    fn is(&self, id: OwnerId) -> bool {
        member::is_current(self.me, id)
    }

    /// Sees to it that the calling thread sits in the seat: by `move_to`, if it is another thread of the same process.
    ///
    /// # Errors
    /// `NotOwner` in a forked child; `Stale`; `TooManyMembers`.
    #[cold]
    fn seat<'m>(
        &mut self,
        lane: &Lane,
        id: OwnerId,
        move_to: impl FnOnce(&Member) -> Result<()>,
    ) -> Result<&'m Member> {
        let me: &Member = member::current(lane.address())?;
        if self.forks != member::forks() {
            return Err(ErrorKind::NotOwner.into());
        }
        if me.id() != id {
            self.me = null();
            move_to(me)?;
        }
        self.me = me;
        Ok(me)
    }
}
