//! Part b: the shared memory and the workers. See [`count`](crate::count) for the rules.

use crate::words::{Counts, cut, lower, word_at, words};
use bytemuck::{Pod, Zeroable};
use interproc::queue::Queue;
use interproc::{ErrorKind, Object, Result, Segment};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// The least bytes of a chunk, but for the last.
const CHUNK: usize = 64 * 1024;
/// The most words in a chunk: the last word may reach beyond `CHUNK`, the others have a separator each.
const WORDS: usize = CHUNK / 2 + 2;
/// How many chunks can be handed out at a time.
pub const SLOTS: usize = 32;
/// The most workers, as the command line knows.
const MAX_WORKERS: usize = 32;

/// A piece of work.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Chunk {
    /// From 1.
    number: u64,
    begin: u64,
    end: u64,
    /// The slot for its result.
    pub slot: u64,
}

interproc::shared! {
    /// The words of a chunk.
    struct Slot {
        /// The number of the chunk whose result is complete here.
        committed: AtomicU64,
        distinct: AtomicU64,
        /// In the low half the place of the word's first occurrence in the chunk; in the high half how often it occurs.
        entries: [AtomicU64; WORDS],
    }
}

interproc::shared! {
    /// What the supervisor reads when a worker has died.
    struct Board {
        /// The chunk that each worker holds, 0 for none.
        holding: [AtomicU64; MAX_WORKERS],
        /// Pops that got a chunk that a killed worker had begun to take.
        redelivered: AtomicU32,
    }
}

/// What the supervisor and its workers share.
pub struct Work<'t> {
    text: &'t str,
    board: Object<Board>,
    slots: Vec<Object<Slot>>,
    segment: Segment,
}

/// Workers send hints: the number of a slot that they committed, or this when they end.
pub const FINISHED: u64 = u64::MAX;

/// Cuts a text into chunks.
pub fn chunks(text: &str) -> Vec<Chunk> {
    let mut begin = 0;
    let chunk = |(index, end): (usize, usize)| {
        let chunk = Chunk { number: index as u64 + 1, begin, end: end as u64, slot: 0 };
        begin = chunk.end;
        chunk
    };
    cut(text, CHUNK).into_iter().enumerate().map(chunk).collect()
}

impl<'t> Work<'t> {
    /// The work on this text, in a segment of its own.
    pub fn new(text: &'t str) -> Result<Self> {
        // Room for the slots, the queues and their alignment.
        let size = SLOTS * (size_of::<Slot>() + 64) + (1 << 18);
        let segment = Segment::options().size(size).max_objects(SLOTS as u32 + 64).anonymous()?;
        let new_slot = || Slot {
            committed: AtomicU64::new(0),
            distinct: AtomicU64::new(0),
            entries: [const { AtomicU64::new(0) }; WORDS],
        };
        let slots = (0..SLOTS).map(|number| segment.object(&format!("slot {number}"), new_slot));
        let slots = slots.collect::<Result<_>>()?;
        let new_board =
            || Board { holding: [const { AtomicU64::new(0) }; MAX_WORKERS], redelivered: AtomicU32::new(0) };
        Ok(Work { text, board: segment.object("board", new_board)?, slots, segment })
    }

    /// The queues of a round: chunks to count, and hints to results.
    pub fn queues(&self, round: u64) -> Result<(Queue<Chunk>, Queue<u64>)> {
        // The first has room for as many chunks as there are slots, so a push never waits; so has the other, with more room
        // for the workers that end.
        let jobs = self.segment.queue(&format!("jobs {round}"), SLOTS)?;
        Ok((jobs, self.segment.queue(&format!("hints {round}"), 4 * SLOTS)?))
    }

    /// Whether a worker has a chunk in hand at this moment.
    pub fn has_in_hand(&self, worker: usize) -> bool {
        self.board.holding[worker].load(Relaxed) != 0
    }

    /// Whether a dead worker had a chunk in hand; makes its place ready for another worker.
    pub fn died_holding(&self, worker: usize) -> bool {
        // Relaxed: the join has ordered it.
        self.board.holding[worker].swap(0, Relaxed) != 0
    }

    /// How many pops got a chunk that a killed worker had begun to take.
    pub fn redelivered(&self) -> u64 {
        self.board.redelivered.load(Relaxed).into()
    }

    /// A worker: counts chunks until the queue is closed.
    pub fn worker(&self, me: usize, jobs: &Queue<Chunk>, hints: &Queue<u64>) -> Result<()> {
        loop {
            let job = match jobs.pop_delivery() {
                Ok(job) => job,
                Err(end) if end.kind() == ErrorKind::Closed => break,
                Err(error) => return Err(error),
            };
            // Relaxed: read after this process has ended.
            self.board.redelivered.fetch_add(job.redelivered.into(), Relaxed);
            let chunk = job.value;
            self.board.holding[me].store(chunk.number, Relaxed);
            let text = &self.text[chunk.begin as usize..chunk.end as usize];
            self.fill(&self.slots[chunk.slot as usize], text, chunk.number);
            self.board.holding[me].store(0, Relaxed);
            hints.push(chunk.slot)?;
        }
        Ok(hints.push(FINISHED)?)
    }

    fn fill(&self, slot: &Slot, text: &str, number: u64) {
        let mut seen: HashMap<Box<str>, (u32, u32)> = HashMap::new();
        let mut buffer = String::new();
        words(text, |place, word| {
            let key = lower(word, &mut buffer);
            match seen.get_mut(key) {
                Some((_, times)) => *times += 1,
                None => drop(seen.insert(key.into(), (place as u32, 1))),
            }
        });
        // Relaxed: the commit publishes them.
        for (entry, (place, times)) in slot.entries.iter().zip(seen.values()) {
            entry.store(u64::from(*place) | u64::from(*times) << 32, Relaxed);
        }
        slot.distinct.store(seen.len() as u64, Relaxed);
        // The one store that commits the result. Release: a reader that sees it sees the entries.
        slot.committed.store(number, Release);
    }

    /// Adds a slot's result if it is this chunk's and complete.
    pub fn add(&self, chunk: &Chunk, counts: &mut Counts) -> bool {
        let slot = &self.slots[chunk.slot as usize];
        if slot.committed.load(Acquire) != chunk.number {
            return false;
        }
        let text = &self.text[chunk.begin as usize..chunk.end as usize];
        for entry in slot.entries.iter().take(slot.distinct.load(Relaxed) as usize) {
            let entry = entry.load(Relaxed);
            counts.add(word_at(text, entry as u32 as usize).unwrap_or_default(), entry >> 32);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::TEXT;

    #[test]
    fn the_chunks_cover_the_text_without_gap_or_overlap() {
        let text = TEXT.repeat(20);
        let chunks = chunks(&text);
        assert!(chunks.len() > 2);
        assert_eq!((chunks[0].begin, chunks[chunks.len() - 1].end), (0, text.len() as u64));
        assert!(
            chunks
                .windows(2)
                .all(|pair| pair[0].end == pair[1].begin && pair[0].number + 1 == pair[1].number)
        );
    }
}
