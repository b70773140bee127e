//! [`PipeEndpoint`]: what the sender and the receiver have in common: an endpoint that closes its lane when it leaves.

use super::rendezvous::RawRendezvous;
use crate::counted::Keep;
use crate::error::{ErrorKind, Result};
use crate::member::{Life, Member};
use crate::queue::Lane;
use crate::queue::endpoint::{Endpoint, Side};
use crate::shm::Segment;

/// A seat of a pipe's lane, as a pipe's sender or receiver has it.
#[derive(Debug)]
pub(super) struct PipeEndpoint<S: Side> {
    pub(super) seat: Endpoint<S>,
    /// Told when the endpoint has left: others may wait for the slot.
    rendezvous: RawRendezvous,
    /// Keeps the mapping.
    segment: Segment,
}

impl<S: Side> PipeEndpoint<S> {
    /// The calling thread has just taken the seat.
    pub(super) fn new(raw: S, rendezvous: RawRendezvous, segment: Segment) -> Self {
        PipeEndpoint { seat: Endpoint::new(raw), rendezvous, segment }
    }

    /// The calling thread, which has the seat: see [`Endpoint::me`].
    #[inline(always)]
    pub(super) fn me<'a>(&mut self) -> Result<&'a Member> {
        self.seat.me()
    }

    /// As [`PipeEndpoint::me`], if the peer lives: two more loads, of words that nobody writes. The peer is looked up anew each
    /// time, as the end may have gone to a child or to another thread while its former holder lives on.
    ///
    /// # Errors
    /// `Closed` if it is dead; then the lane is closed, too.
    #[inline(always)]
    pub(super) fn me_and_peer<'a>(
        &mut self,
        closed: impl Fn(&mut S, &Member) -> Result<()>,
    ) -> Result<&'a Member> {
        let me = self.me()?;
        let dead = self.seat.peer().is_some_and(|id| me.table().life(id) == Life::Dead);
        if dead && !crate::mutant!("pipe-dead-peer") {
            closed(&mut self.seat.raw, me)?;
        }
        Ok(me)
    }

    /// Where it lies.
    pub(super) fn place(&self) -> (&RawRendezvous, &Segment) {
        (&self.rendezvous, &self.segment)
    }

    /// For those who wait for it beside others.
    pub(super) fn watched(&self) -> (Lane, Keep) {
        (*self.seat.lane(), self.segment.keep())
    }

    /// Closes the lane and leaves the seat.
    pub(super) fn close(&mut self) -> Result<()> {
        if self.seat.give() {
            return Ok(());
        }
        let me = match self.me() {
            // The thread that had it ended: the other end has seen the end, or will.
            Err(error) if error.kind() == ErrorKind::Stale => return Ok(()),
            me => me?,
        };
        if !self.seat.holds_seat() {
            return Ok(());
        }
        let flushed = self.seat.raw.close(me);
        crate::crash_window!("P-c: closed, still seated");
        let pending = me.pend();
        self.seat.raw.leave(me);
        self.rendezvous.make_room();
        me.unpend(pending);
        flushed
    }
}

impl<S: Side> Drop for PipeEndpoint<S> {
    fn drop(&mut self) {
        // If this fails the endpoint is not ours any more, or is a forked child's copy.
        let _ = self.close();
    }
}
