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
//! There are four notes, each for any message. A new note takes the place of one that the scan has passed without using it: its
//! message is no longer borrowed, as the scan would have come by. So up to four messages can be borrowed for long, wherever they
//! lie, and a scan jumps over everything behind each of them. (Notes that had their place by their position did not do: two
//! messages with one place took it from each other at every scan, and in a byte queue of equal records all had the same.) Of more
//! than four, some cost a walk.
//!
//! Somebody who scribbles here can hide messages, as with the hints; the length is checked against the ring.

use crate::atomic::{AtomicU64, Ordering};

/// A shorter walk is not worth a note.
pub(super) const WORTH: u32 = if cfg!(interproc_loom) { 1 } else { 16 };
/// In a model one is enough to be taken away.
const NOTES: usize = if cfg!(interproc_loom) { 1 } else { 4 };
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

    /// How far everything is done from the borrowed message at `from` on: less than `capacity`. The note is `used`.
    #[inline]
    pub(super) fn from(&self, from: u64, capacity: u32, used: &mut Used) -> Option<u32> {
        for (n, note) in self.0.iter().enumerate() {
            // The position first: whoever sees it sees its writer's "none" in the length, or a later one.
            if note.from.load(Ordering::Acquire) != from {
                continue;
            }
            // Acquire: after the looks of the thread that walked there.
            let length = note.length.load(Ordering::Acquire);
            let cells = (length & LENGTH_MASK) as u32 + u32::from(crate::mutant!("skip-too-far"));
            if length != 0 && length >> LENGTH_BITS == tag(from) && cells < capacity {
                used.0 |= 1 << n;
                return Some(cells);
            }
        }
        None
    }

    /// Notes what the caller has seen: from the borrowed message at `from`, everything before the position `cells` further on
    /// is done. `used` are the notes that its scan has used or made so far.
    #[cold]
    pub(super) fn set(&self, from: u64, cells: u32, used: &mut Used) {
        let length = tag(from) << LENGTH_BITS | u64::from(cells) & LENGTH_MASK;
        for (n, note) in self.0.iter().enumerate() {
            // Acquire: the position is read after the length that belongs to it.
            let seen = note.length.load(Ordering::Acquire);
            if note.from.load(Ordering::Acquire) == from && seen != 0 && seen >> LENGTH_BITS == tag(from) {
                // Longer or, from a slower thread, shorter: both are true. If it belongs to another message by now, that stays.
                let _ = note.length.compare_exchange(seen, length, Ordering::Release, Ordering::Relaxed);
                used.0 |= 1 << n;
                return;
            }
        }
        let n = self.victim(from, used);
        used.0 |= 1 << n;
        let note = &self.0[n];
        note.length.store(0, Ordering::Release);
        note.from.store(from, Ordering::Release);
        let _ = note.length.compare_exchange(0, length, Ordering::Release, Ordering::Relaxed);
    }

    /// The note that is the smallest loss: none; one in front of `from` that the scan came by and did not use; the shortest.
    fn victim(&self, from: u64, used: &Used) -> usize {
        let loss = |n: usize| {
            // Relaxed: a wrong choice only costs a walk.
            let (at, length) =
                (self.0[n].from.load(Ordering::Relaxed), self.0[n].length.load(Ordering::Relaxed));
            let passed = (at.wrapping_sub(from) as i64) < 0 && used.0 & 1 << n == 0;
            if passed { 0 } else { length & LENGTH_MASK }
        };
        (0..NOTES).min_by_key(|&n| loss(n)).unwrap_or(0)
    }
}

/// The notes that a scan has used or made, a bit for each.
#[derive(Debug, Default)]
pub(super) struct Used(u8);

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
    pub(super) fn end(self, skips: &Skips, used: &mut Used, cells: impl FnOnce(u64) -> u32) {
        if self.steps >= WORTH {
            skips.set(self.from, cells(self.from), used);
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

    fn from(skips: &Skips, from: u64, capacity: u32) -> Option<u32> {
        skips.from(from, capacity, &mut Used::default())
    }

    #[test]
    fn a_note_is_of_its_own_message_only() {
        for at in [0, 5, u64::MAX - 3, 1 << 40, 7 << 24] {
            let skips = none();
            assert_eq!(from(&skips, at, 1000), None);
            skips.set(at, 900, &mut Used::default());
            assert_eq!(from(&skips, at, 1000), Some(900));
            assert_eq!(from(&skips, at, 900), None, "beyond the ring");
            assert_eq!(from(&skips, at ^ 1 << 40, 1000), None, "an equal tag");
            assert_eq!(from(&skips, at ^ 4, 1000), None, "another message");
            skips.set(at, 950, &mut Used::default());
            assert_eq!(from(&skips, at, 1000), Some(950));
            assert_eq!(skips.0.iter().filter(|note| note.length.load(Ordering::Relaxed) != 0).count(), 1);
        }
    }

    #[test]
    fn a_length_beside_another_position_is_none() {
        let skips = none();
        skips.set(4, 10, &mut Used::default());
        // As left by one that died between its stores.
        skips.0[0].from.store(8, Ordering::Relaxed);
        assert_eq!(from(&skips, 8, 100), None);
        assert_eq!(from(&skips, 4, 100), None);
    }

    /// Scans as a ring's consumers do: over messages that are borrowed, with so many that are done behind each. Returns the
    /// positions that it looked at.
    fn scan(skips: &Skips, borrowed: &[u64], front: u64) -> u64 {
        let (mut position, mut looks) = (borrowed[0], 0);
        let (mut walk, mut used) = (None, Used::default());
        let end = |walk: &mut Option<Walk>, used: &mut Used, position: u64| {
            if let Some(walk) = walk.take() {
                walk.end(skips, used, |from| (position - from) as u32);
            }
        };
        while position < front {
            looks += 1;
            if borrowed.contains(&position) {
                let next = skips
                    .from(position, 1 << 24, &mut used)
                    .map_or(position + 1, |n| position + u64::from(n));
                end(&mut walk, &mut used, position);
                walk = Some(Walk::behind(position));
                position = next;
            } else {
                walk.iter_mut().for_each(Walk::step);
                position += 1;
            }
        }
        end(&mut walk, &mut used, position);
        looks
    }

    #[test]
    fn four_messages_that_are_borrowed_for_long_have_a_note_each_wherever_they_lie() {
        // All of one residue, as in a byte queue of equal records.
        let mut borrowed = vec![4000, 8000, 12_000, 16_000];
        let skips = none();
        scan(&skips, &borrowed, 20_000);
        for front in [20_001, 20_002, 20_003, 30_000] {
            let looks = scan(&skips, &borrowed, front);
            assert!(looks <= 8 + front.saturating_sub(20_003), "{looks} looks, front {front}");
        }
        // One is given back, another one comes: it has the place of the first, at the second scan at the latest.
        borrowed.remove(1);
        borrowed.push(40_000);
        scan(&skips, &borrowed, 50_000);
        let looks = scan(&skips, &borrowed, 50_000);
        assert!(looks <= 8, "{looks} looks");
    }

    #[test]
    fn of_five_the_longest_ways_are_kept() {
        let (borrowed, skips) = ([1000, 5000, 5100, 9000, 13_000], none());
        scan(&skips, &borrowed, 20_000);
        let looks = scan(&skips, &borrowed, 20_000);
        assert!(looks <= 5 + 110, "{looks} looks");
    }
}
