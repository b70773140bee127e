//! [`Skips`]: how far a scan may jump behind a message that somebody keeps borrowed.
//!
//! A borrowed message comes back if its consumer dies, so the ring's hint stays in front of it, and every pop begins there.
//! Without notes, each pop would walk over everything that was read behind it: after a million pops, over a million cells. So
//! whoever has walked far from such a message notes how far, and the next scan jumps there.
//!
//! A note says: *everything between this borrowed message's position and that one is done*. What is done stays done, and a
//! position never comes again (40 bits of laps). So a note that was true once is true for good, and a lost note only costs a
//! walk.
//!
//! A note has two words, which are not written in one step. To replace a note, a thread first zeroes the old length and then
//! writes the new one only over the zero; and the length carries the low 40 bits of the position that it belongs to. So a
//! thread that dies or stops between the words leaves a useless note. A length beside another position is believed only if a
//! thread stood still for a multiple of 65,536 laps between two of its steps, and then went on between two steps of another's,
//! or found the very length that it had read before.
//!
//! There is one note for each of a few neighbouring positions, so several borrowed messages have a note each. Somebody who
//! scribbles here can hide messages, as with the hints; the length is checked against the ring.

use crate::atomic::{AtomicU64, Ordering};

/// A shorter walk is not worth a note.
pub(super) const WORTH: u32 = if cfg!(interproc_loom) { 1 } else { 16 };
const NOTES: usize = 4;
const LENGTH_BITS: u32 = 24;
const LENGTH_MASK: u64 = (1 << LENGTH_BITS) - 1;

/// The notes of a ring, in the consumers' cache line. All-zero: none.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Skips([Note; NOTES]);

#[repr(C)]
#[derive(Debug)]
struct Note {
    /// The position of the borrowed message.
    from: AtomicU64,
    /// How far it is from there to the first position that may not be done; the upper bits say whose length this is. 0: none.
    length: AtomicU64,
}

impl Skips {
    #[cfg(interproc_loom)]
    pub(super) fn new() -> Self {
        Skips(std::array::from_fn(|_| Note { from: AtomicU64::new(0), length: AtomicU64::new(0) }))
    }

    #[inline]
    fn note(&self, from: u64) -> &Note {
        &self.0[from as usize % NOTES]
    }

    /// How far everything is done from the borrowed message at `from` on: less than `capacity`.
    #[inline]
    pub(super) fn from(&self, from: u64, capacity: u32) -> Option<u32> {
        let note = self.note(from);
        // The position first: whoever sees it sees its writer's "none" in the length, or a later one.
        let same = note.from.load(Ordering::Acquire) == from;
        // Acquire: after the looks of the thread that walked there.
        let length = note.length.load(Ordering::Acquire);
        let same = same && length >> LENGTH_BITS == tag(from);
        let cells = (length & LENGTH_MASK) as u32 + u32::from(crate::mutant!("skip-too-far"));
        (same && length != 0 && cells < capacity).then_some(cells)
    }

    /// Notes what the caller has seen: from the borrowed message at `from`, everything before the position `cells` further on
    /// is done.
    #[cold]
    pub(super) fn set(&self, from: u64, cells: u32) {
        let note = self.note(from);
        let length = tag(from) << LENGTH_BITS | u64::from(cells) & LENGTH_MASK;
        // Acquire: the position is read after the length that belongs to it.
        let seen = note.length.load(Ordering::Acquire);
        if note.from.load(Ordering::Acquire) == from && seen != 0 && seen >> LENGTH_BITS == tag(from) {
            // Longer or, from a slower thread, shorter: both are true. If it belongs to another message by now, that stays.
            let _ = note.length.compare_exchange(seen, length, Ordering::Release, Ordering::Relaxed);
            return;
        }
        note.length.store(0, Ordering::Release);
        note.from.store(from, Ordering::Release);
        let _ = note.length.compare_exchange(0, length, Ordering::Release, Ordering::Relaxed);
    }
}

/// The lower 40 bits of a position.
const fn tag(position: u64) -> u64 {
    position & (u64::MAX >> LENGTH_BITS)
}

/// A walk behind a borrowed message.
pub(super) struct Walk {
    from: u64,
    steps: u32,
}

impl Walk {
    /// Starts behind the message at `from`.
    #[inline]
    pub(super) fn behind(from: u64) -> Walk {
        Walk { from, steps: 0 }
    }

    /// Steps over one position that is done.
    #[inline]
    pub(super) fn step(&mut self) {
        self.steps += 1;
    }

    /// Ends the walk; `cells` tells the distance from the message. A long walk is noted.
    #[inline]
    pub(super) fn end(self, skips: &Skips, cells: impl FnOnce(u64) -> u32) {
        if self.steps >= WORTH {
            skips.set(self.from, cells(self.from));
        }
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    fn none() -> Skips {
        // SAFETY: all-zero atomics.
        #[allow(unsafe_code)]
        unsafe {
            core::mem::zeroed()
        }
    }

    #[test]
    fn a_note_is_of_its_own_message_only() {
        let skips = none();
        for from in [0, 5, u64::MAX - 3, 1 << 40, 7 << 24] {
            assert_eq!(skips.from(from, 1000), None);
            skips.set(from, 900);
            assert_eq!(skips.from(from, 1000), Some(900));
            assert_eq!(skips.from(from, 900), None, "beyond the ring");
            assert_eq!(skips.from(from ^ 1 << 40, 1000), None, "an equal tag");
            assert_eq!(skips.from(from ^ 4, 1000), None, "the same note");
        }
    }

    #[test]
    fn a_length_beside_another_position_is_none() {
        let skips = none();
        skips.set(4, 10);
        // As left by one that died between its stores.
        skips.note(8).from.store(8, Ordering::Relaxed);
        assert_eq!(skips.from(8, 100), None);
        assert_eq!(skips.from(4, 100), None);
    }
}
