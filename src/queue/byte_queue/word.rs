//! Control words and positions of the byte ring: pure functions.
//!
//! A position counts granules, `lap:40 | index:24` as in [`position`](crate::queue::position). A control word is either
//! **idle**, `lap:40 | lap's bits 8..16:8 | 0:1 | granules:13 | state:2`, or **owned**, `owner id:48 | OWNED | READER |
//! granules:14`. The lap's second byte stands twice, so that the lower half, on which threads sleep, differs from
//! what the same cell held up to 65,535 laps ago.

use crate::member::OwnerId;
use crate::queue::position::{self as pos, Role};

/// Never used: the word of zeroed memory.
pub(super) const EMPTY: u64 = 0;
/// A message.
pub(super) const FULL: u64 = 1;
/// Read, aborted, or padding at the end of the ring: free, once everything before it is free.
pub(super) const FREED: u64 = 2;
/// The end: the queue is closed and everything before this position was taken.
pub(super) const SEALED: u64 = 3;
const STATE_MASK: u64 = 3;

/// The most granules of a record.
pub(super) const MOST_GRANULES: u32 = (1 << 13) - 1;

const OWNED: u64 = 1 << 15;
const READER: u64 = 1 << 14;
const OWNED_GRANULES: u64 = READER - 1;
const ID_SHIFT: u32 = 16;
const GRANULES_SHIFT: u32 = 2;
const LAP_SHIFT: u32 = 24;

/// The idle word of a position's lap.
#[inline(always)]
pub(super) const fn idle(position: u64, granules: u32, state: u64) -> u64 {
    let lap = pos::lap(position);
    lap << LAP_SHIFT | (lap >> 8 & 0xff) << 16 | (granules as u64) << GRANULES_SHIFT | state
}

/// An owned word.
#[inline(always)]
pub(super) const fn owned(id: OwnerId, role: Role, granules: u32) -> u64 {
    let role = match role {
        Role::Writer => OWNED,
        Role::Reader => OWNED | READER,
    };
    id.bits() << ID_SHIFT | role | granules as u64
}

/// A control word, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ctl {
    Idle {
        lap: u64,
        granules: u32,
        state: u64,
    },
    /// The id is `None` in a scribbled word: then nobody alive owns it.
    Owned {
        owner: Option<OwnerId>,
        role: Role,
        granules: u32,
    },
}

impl Ctl {
    #[inline]
    pub(super) const fn read(word: u64) -> Ctl {
        if word & OWNED == 0 {
            let granules = (word >> GRANULES_SHIFT) as u32 & MOST_GRANULES;
            return Ctl::Idle { lap: word >> LAP_SHIFT, granules, state: word & STATE_MASK };
        }
        let role = if word & READER == 0 { Role::Writer } else { Role::Reader };
        Ctl::Owned { owner: OwnerId::of(word >> ID_SHIFT), role, granules: (word & OWNED_GRANULES) as u32 }
    }
}

/// Whether the word at a boundary says that the next record begins there: it is idle, and of an older lap or never used.
#[inline(always)]
pub(super) const fn is_unclaimed(word: u64, position: u64) -> bool {
    word & OWNED == 0
        && (word & STATE_MASK == EMPTY || pos::laps_ahead(word >> LAP_SHIFT, pos::lap(position)) < 0)
}

/// The granules of the message that the word at a boundary tells of, if it does.
#[inline(always)]
pub(super) const fn full_of(word: u64, position: u64) -> Option<u32> {
    let granules = (word >> GRANULES_SHIFT) as u32 & MOST_GRANULES;
    if granules != 0 && word == idle(position, granules, FULL) { Some(granules) } else { None }
}

/// The position behind this many granules, which do not go beyond the lap's end.
#[inline(always)]
pub(super) const fn after(position: u64, granules: u32, capacity: u32) -> u64 {
    if pos::index(position) + granules < capacity {
        position + granules as u64
    } else {
        pos::position(pos::lap(position).wrapping_add(1) & ((1 << 40) - 1), 0)
    }
}

/// How many granules `a` is ahead of `b`; clamped to about three laps.
#[inline(always)]
pub(super) fn ahead(a: u64, b: u64, capacity: u32) -> i64 {
    let laps = pos::laps_ahead(pos::lap(a), pos::lap(b)).clamp(-3, 3);
    laps * i64::from(capacity) + i64::from(pos::index(a)) - i64::from(pos::index(b))
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_written() {
        let id = OwnerId::new(u16::MAX, u32::MAX);
        for role in [Role::Writer, Role::Reader] {
            for granules in [1, MOST_GRANULES] {
                let read = Ctl::read(owned(id, role, granules));
                assert_eq!(read, Ctl::Owned { owner: Some(id), role, granules });
            }
        }
        for lap in [0, 1, 255, 256, 65_535, 65_536, (1 << 40) - 1] {
            let read = Ctl::read(idle(pos::position(lap, 77), MOST_GRANULES, FREED));
            assert_eq!(read, Ctl::Idle { lap, granules: MOST_GRANULES, state: FREED });
        }
    }

    #[test]
    fn a_word_tells_of_its_own_lap_only() {
        let at = |lap| pos::position(lap, 7);
        for lap in [1, 256, 65_536, (1 << 40) - 1] {
            for state in [FULL, FREED, SEALED] {
                let word = idle(at(lap), 3, state);
                assert_eq!(full_of(word, at(lap)), (state == FULL).then_some(3));
                assert_eq!(full_of(word, at(lap - 1)), None);
                assert_eq!(full_of(word, at((lap + 1) & ((1 << 40) - 1))), None);
                assert!(is_unclaimed(word, at((lap + 1) & ((1 << 40) - 1))));
                assert!(!is_unclaimed(word, at(lap)) && !is_unclaimed(word, at(lap - 1)));
            }
        }
        assert!(is_unclaimed(0, at(0)) && is_unclaimed(0, at(5)));
        for role in [Role::Writer, Role::Reader] {
            let word = owned(OwnerId::new(1, 2), role, 3);
            assert!(!is_unclaimed(word, at(9)) && full_of(word, at(9)).is_none());
        }
        assert_eq!(full_of(idle(at(9), 0, FULL), at(9)), None);
    }

    #[test]
    fn zeroed_memory_is_a_cell_that_was_never_used() {
        assert_eq!(Ctl::read(0), Ctl::Idle { lap: 0, granules: 0, state: EMPTY });
    }

    #[test]
    fn the_half_that_threads_sleep_on_tells_laps_apart() {
        let low = |lap| idle(pos::position(lap, 0), 3, FREED) as u32;
        assert!((1..65_536).all(|laps| low(9) != low(9 + laps)));
        // And an owned word from any idle one: bit 15.
        assert_ne!(owned(OwnerId::new(0, 0), Role::Writer, 0) as u32 & 1 << 15, 0);
        assert_eq!(idle(u64::MAX, MOST_GRANULES, SEALED) & 1 << 15, 0);
    }

    #[test]
    fn positions_step_to_the_end_of_the_lap_and_over_the_last_lap() {
        assert_eq!(after(pos::position(5, 2), 3, 8), pos::position(5, 5));
        assert_eq!(after(pos::position(5, 5), 3, 8), pos::position(6, 0));
        let last = pos::position((1 << 40) - 1, 6);
        assert_eq!(after(last, 2, 8), 0);
        assert_eq!(ahead(0, last, 8), 2);
        assert_eq!(ahead(last, 0, 8), -2);
        assert_eq!(ahead(pos::position(9, 1), pos::position(8, 6), 8), 3);
    }
}
