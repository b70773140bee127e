//! How much is in a queue, how much there was at most, and who is in the way: snapshots.

use super::RawQueue;
use crate::atomic::Ordering;
use crate::member::{Member, OwnerId};
use crate::queue::position::{self as pos, Ctl, FULL, SKIP};

impl RawQueue {
    /// How many messages are in it: a snapshot, exact when nobody is at work. A cell that a producer claimed and died in
    /// holds no message and is no room either, until a consumer has passed it.
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

    /// The hints, moved on over what lagging ones have missed.
    fn bounds(&self) -> (u64, u64) {
        let advance = |mut position: u64, done: &dyn Fn(i64, u64) -> bool| {
            let capacity = self.ring.capacity();
            if pos::index(position) >= capacity {
                position = pos::position(pos::lap(position), 0);
            }
            for _ in 0..capacity {
                let index = pos::index(position);
                let word = match Ctl::read(self.ring.ctl(index).load(Ordering::Acquire)) {
                    Ctl::Idle { lap, state } => (lap, state),
                    Ctl::Owned { .. } => pos::split(self.ring.seq(index).load(Ordering::Acquire)),
                };
                if !done(pos::laps_ahead(word.0, pos::lap(position)), word.1) {
                    break;
                }
                position = pos::next(position, capacity);
            }
            position
        };
        let head = advance(self.ring.header().head.load(Ordering::Acquire), &|ahead, _| ahead > 0);
        let tail = advance(self.ring.header().tail.load(Ordering::Acquire), &|ahead, state| {
            ahead > 0 || (ahead == 0 && (state == FULL || state == SKIP))
        });
        (head, tail)
    }

    /// Who, alive and inside an operation, stands between the consumers and the next message, or between the
    /// producers and the next free cell: a snapshot, to find out whom a stopped process blocks.
    pub fn blocker(&self, me: &Member) -> Option<OwnerId> {
        let (head, tail) = self.bounds();
        [head, tail].into_iter().find_map(|position| {
            let index = pos::index(position);
            let word = self.ring.ctl(index).load(Ordering::Acquire);
            let cell = self.read_owned(me, index, word)?;
            cell.owner.filter(|_| !cell.dead)
        })
    }

    /// The most messages that were seen in it: a lower bound of the truth. Producers look whenever there is no room, and when they do not come
    /// the short way; this call looks, too.
    pub fn peak(&self) -> u32 {
        // Relaxed: a statistic.
        let seen = self.ring.header().peak.load(Ordering::Relaxed).min(u64::from(self.capacity())) as u32;
        seen.max(self.len())
    }

    /// A producer that has claimed this position, and did not come the short way, looks how deep the queue is.
    ///
    /// Not in the short way: a branch there took a third from a stream of small messages, whether it looked every 256th or
    /// every 4,096th time, or once in so many laps.
    #[cold]
    pub(super) fn note_depth(&self, position: u64) {
        if cfg!(interproc_loom) {
            return;
        }
        // Relaxed: an old head makes it no deeper than the queue would be with that head.
        let head = self.ring.header().head.load(Ordering::Relaxed);
        let tail = pos::next(position, self.capacity());
        self.note_peak(pos::distance(head, tail, self.capacity()));
    }

    /// A producer has found no room.
    #[cold]
    pub(super) fn note_full(&self) {
        if !cfg!(interproc_loom) {
            self.note_peak(self.capacity());
        }
    }

    fn note_peak(&self, depth: u32) {
        let peak = &self.ring.header().peak;
        if peak.load(Ordering::Relaxed) < u64::from(depth) {
            peak.fetch_max(depth.into(), Ordering::Relaxed);
        }
    }
}
