//! Part b: what lies in shared memory, and the workers. See [`count`](crate::count) for the rules.

use crate::words::{Counts, cut, lower, word_at, words};
use bytemuck::{Pod, Zeroable};
use interproc::queue::Queue;
use interproc::{ErrorKind, Object, Result, Segment};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// The least bytes of a chunk, but for the last.
const CHUNK: usize = 64 * 1024;
/// The most words in a chunk: the last one may reach beyond `CHUNK`, the others have a separator each.
const WORDS: usize = CHUNK / 2 + 2;
/// Chunks that can be out at a time.
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
    /// Where its result is to be put.
    pub slot: u64,
}

interproc::shared! {
    /// What a chunk's words are.
    struct Slot {
        /// The number of the chunk whose result is complete here.
        committed: AtomicU64,
        distinct: AtomicU64,
        /// The place of the word's first occurrence in the chunk, in the low half; how often it occurs.
        entries: [AtomicU64; WORDS],
    }
}

interproc::shared! {
    /// What the supervisor reads when a worker is dead.
    struct Board {
        /// The chunk that each worker holds, 0 for none.
        holding: [AtomicU64; MAX_WORKERS],
        /// Pops that got what a killed worker had begun to take.
        redelivered: AtomicU32,
    }
}

/// Shared between the supervisor and its workers.
pub struct Office<'t> {
    text: &'t str,
    board: Object<Board>,
    slots: Vec<Object<Slot>>,
    segment: Segment,
}

/// What a worker tells: a slot that it has committed, or this.
pub const GONE_HOME: u64 = u64::MAX;

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

impl<'t> Office<'t> {
    /// An office for this text, in a segment of its own.
    pub fn new(text: &'t str) -> Result<Self> {
        // Room for the slots, the queues and what aligns them.
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
        Ok(Office { text, board: segment.object("board", new_board)?, slots, segment })
    }

    /// The queues of a shift: chunks to count, and hints where the results are.
    pub fn queues(&self, shift: u64) -> Result<(Queue<Chunk>, Queue<u64>)> {
        // The first is as long as there are slots, so that a push never waits; so is the other, with room for those
        // who go home.
        let jobs = self.segment.queue(&format!("jobs {shift}"), SLOTS)?;
        Ok((jobs, self.segment.queue(&format!("hints {shift}"), 4 * SLOTS)?))
    }

    /// Whether a worker has a chunk in hand, at this moment.
    pub fn has_in_hand(&self, worker: usize) -> bool {
        self.board.holding[worker].load(Relaxed) != 0
    }

    /// Whether a dead worker had a chunk in hand; its place is then ready for another one.
    pub fn died_holding(&self, worker: usize) -> bool {
        // Relaxed: waiting for the process's end has ordered it.
        self.board.holding[worker].swap(0, Relaxed) != 0
    }

    /// How many pops got what a killed worker had begun to take.
    pub fn redelivered(&self) -> u64 {
        self.board.redelivered.load(Relaxed).into()
    }

    /// A worker's life.
    pub fn worker(&self, me: usize, jobs: &Queue<Chunk>, hints: &Queue<u64>) -> Result<()> {
        loop {
            let job = match jobs.pop_delivery() {
                Ok(job) => job,
                Err(end) if end.kind() == ErrorKind::Closed => break,
                Err(error) => return Err(error),
            };
            // Relaxed: read when this process has ended.
            self.board.redelivered.fetch_add(job.redelivered.into(), Relaxed);
            let chunk = job.value;
            self.board.holding[me].store(chunk.number, Relaxed);
            let text = &self.text[chunk.begin as usize..chunk.end as usize];
            self.fill(&self.slots[chunk.slot as usize], text, chunk.number);
            self.board.holding[me].store(0, Relaxed);
            hints.push(chunk.slot)?;
        }
        Ok(hints.push(GONE_HOME)?)
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
        // The one store that makes it count. Release: whoever sees it sees the entries.
        slot.committed.store(number, Release);
    }

    /// Adds a slot's result if it is this chunk's, complete.
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
