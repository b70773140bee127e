//! How full a queue is, how full it has been, and who is in the way: snapshots.

use super::RawQueue;
use crate::atomic::Ordering;
use crate::member::{Member, OwnerId};
use crate::queue::position::{self as pos, Ctl};

/// How far a hint may lag before the depth is no longer exact. It lags by as many cells as threads are at work.
const CATCH_UP: u32 = 1 << 18;

impl RawQueue {
    /// How many cells are in use, from the oldest that is not done to the newest: a snapshot, exact when nobody is at work. A
    /// cell whose producer died before its commit counts until a consumer has passed it; an aborted one until everything
    /// before it is done.
    pub fn len(&self) -> u32 {
        let (head, tail) = self.bounds();
        pos::distance(head, tail, self.capacity())
    }

    /// Whether it is empty: a snapshot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is full: a snapshot.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// The hints, advanced over what they have missed.
    fn bounds(&self) -> (u64, u64) {
        let header = self.ring.header();
        (
            self.caught_up(header.head.load(Ordering::Acquire), pos::past_done),
            self.caught_up(header.tail.load(Ordering::Acquire), pos::past_claimed),
        )
    }

    fn caught_up(&self, hint: u64, past: fn(u64, (u64, u64), u32) -> Option<u64>) -> u64 {
        let word = |index| {
            Some(match Ctl::read(self.ring.ctl(index).load(Ordering::Acquire)) {
                Ctl::Idle { lap, state } => (lap, state),
                Ctl::Owned { .. } => pos::split(self.ring.seq(index).load(Ordering::Acquire)),
            })
        };
        pos::catch_up(hint, self.capacity(), (self.capacity() * 2 + 1).min(CATCH_UP), word, past)
            .unwrap_or(hint)
    }

    /// The live thread that stands between the consumers and the next message, or between the producers and the next free
    /// cell: a snapshot, to find a stopped process that blocks others.
    pub fn blocker(&self, me: &Member) -> Option<OwnerId> {
        let (head, tail) = self.bounds();
        [head, tail].into_iter().find_map(|position| {
            let index = pos::index(position);
            let word = self.ring.ctl(index).load(Ordering::Acquire);
            let cell = self.read_owned(me, index, word)?;
            cell.owner.filter(|_| !cell.dead)
        })
    }

    /// The most messages ever seen in it: a lower bound. Pushes that find no room and other slow-path pushes sample the depth;
    /// so does this call.
    pub fn peak(&self) -> u32 {
        let seen = self.ring.header().peak.get().min(u64::from(self.capacity())) as u32;
        seen.max(self.len())
    }

    /// Samples the depth after a slow-path push has claimed this position.
    ///
    /// Not on the fast path: a branch there cost a third of the speed of a stream of small messages, whether it sampled every
    /// 256th or every 4,096th push, or once in several laps.
    #[cold]
    pub(super) fn note_depth(&self, position: u64) {
        if cfg!(interproc_loom) {
            return;
        }
        // Relaxed: an old hint makes the queue look deeper than it is, so a new maximum is checked again.
        let tail = pos::next(position, self.capacity());
        let depth = |head| pos::distance(head, tail, self.capacity());
        let header = self.ring.header();
        if u64::from(depth(header.head.load(Ordering::Relaxed))) > header.peak.get() {
            header
                .peak
                .note(depth(self.caught_up(header.head.load(Ordering::Acquire), pos::past_done)).into());
        }
    }

    /// Notes that a producer has found no room.
    #[cold]
    pub(super) fn note_full(&self) {
        if !cfg!(interproc_loom) {
            self.ring.header().peak.note(self.capacity().into());
        }
    }
}
