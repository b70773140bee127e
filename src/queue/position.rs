//! Positions and cell words of the ring: pure functions.
//!
//! A *position* is `lap:40 | index:24`: it counts every message ever pushed, without a division. Arithmetic wraps at 2^40 laps;
//! laps are compared by their wrapped difference.
//!
//! A cell's control word is either **idle**, `lap:40 | 0:21 | again:1 | state:2`, with the lap in the same bits as in a position,
//! or **owned**, `owner id:48 | role and OWNED in bits 14 and 15 of the low 16`.

use crate::member::OwnerId;

/// The most cells of a ring: the index's 24 bits.
#[cfg(not(interproc_loom))]
pub(super) const MAX_CAPACITY: u32 = 1 << 24;
const INDEX_BITS: u32 = 24;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
/// One lap further, in a position.
pub(super) const LAP: u64 = 1 << INDEX_BITS;

/// Empty: free for this lap's writer.
pub(super) const EMPTY: u64 = 0;
/// Holds a message.
pub(super) const FULL: u64 = 1;
/// Skipped: the reservation was aborted. To be freed as if it had been read.
pub(super) const SKIP: u64 = 2;
/// The end: the queue is closed and everything before this position was taken.
pub(super) const SEALED: u64 = 3;
const STATE_MASK: u64 = 3;
/// Beside FULL in an idle word: a consumer borrowed the message and put it back.
pub(super) const AGAIN: u64 = 1 << 2;

const OWNED: u64 = 1 << 15;
const READER: u64 = 1 << 14;
const ID_SHIFT: u32 = 16;

#[inline(always)]
pub(super) const fn lap(position: u64) -> u64 {
    position >> INDEX_BITS
}

#[inline(always)]
pub(super) const fn index(position: u64) -> u32 {
    (position & INDEX_MASK) as u32
}

#[inline(always)]
pub(super) const fn position(lap: u64, index: u32) -> u64 {
    lap << INDEX_BITS | index as u64
}

/// The position after this one in a ring of `capacity` cells.
#[inline(always)]
pub(super) const fn next(position: u64, capacity: u32) -> u64 {
    if index(position) + 1 < capacity { position + 1 } else { (position & !INDEX_MASK).wrapping_add(LAP) }
}

/// The position this many cells further on, at most a lap.
#[inline(always)]
pub(super) const fn beyond(position: u64, cells: u32, capacity: u32) -> u64 {
    let index = index(position) + cells;
    let lap = position & !INDEX_MASK;
    if index < capacity { lap | index as u64 } else { lap.wrapping_add(LAP) | (index - capacity) as u64 }
}

/// How many laps `a` is ahead of `b`, wrapping.
#[inline(always)]
pub(super) const fn laps_ahead(a: u64, b: u64) -> i64 {
    (a.wrapping_sub(b) << INDEX_BITS) as i64 >> INDEX_BITS
}

/// How many cells lie between two positions of a ring with `capacity` cells: never more than that.
pub(super) fn distance(head: u64, tail: u64, capacity: u32) -> u32 {
    let laps = laps_ahead(lap(tail), lap(head)).clamp(0, 2);
    let cells = laps * i64::from(capacity) + i64::from(index(tail)) - i64::from(index(head));
    cells.clamp(0, i64::from(capacity)) as u32
}

/// Where a consumer goes next when the cell at `position` says another lap and state: everything before that place is *done*.
/// `None` if the cell has not left the lap of `position`: then it is this cell that says whether there is a message.
///
/// Why so far and no further: see "what a cell tells about the others" in [`RawQueue`](crate::queue::RawQueue).
#[inline]
pub(super) fn past_done(position: u64, (at, state): (u64, u64), capacity: u32) -> Option<u64> {
    let laps = laps_ahead(at, lap(position));
    if laps <= 0 {
        return None;
    }
    let told = if state != EMPTY || crate::mutant!("lap-too-far") { 1 } else { 2 };
    let done = if laps > told { at.wrapping_sub(told as u64) } else { lap(position) };
    Some(next(self::position(done, index(position)), capacity))
}

/// The same for a producer: the next position when this one is already *claimed*, perhaps laps ago.
#[inline]
pub(super) fn past_claimed(position: u64, (at, state): (u64, u64), capacity: u32) -> Option<u64> {
    let laps = laps_ahead(at, lap(position));
    if laps < 0 || laps == 0 && state != FULL && state != SKIP {
        return None;
    }
    let claimed = if state == EMPTY { at.wrapping_sub(1) } else { at };
    Some(next(self::position(claimed, index(position)), capacity))
}

/// Advances a hint over what it has missed. `word` tells what a cell says, `past` is one of the two functions above. Takes at
/// most `steps` steps; two laps of them always suffice.
pub(super) fn catch_up(
    hint: u64,
    capacity: u32,
    steps: u32,
    word: impl Fn(u32) -> Option<(u64, u64)>,
    past: fn(u64, (u64, u64), u32) -> Option<u64>,
) -> Option<u64> {
    let mut position = if index(hint) < capacity { hint } else { self::position(lap(hint), 0) };
    for _ in 0..steps {
        let Some(next) = past(position, word(index(position))?, capacity) else { break };
        position = next;
    }
    Some(position)
}

/// The idle word of a position's lap.
#[inline(always)]
pub(super) const fn idle(position: u64, state: u64) -> u64 {
    position & !INDEX_MASK | state
}

/// An owned word.
#[inline(always)]
pub(super) const fn owned(id: OwnerId, role: Role) -> u64 {
    id.bits() << ID_SHIFT
        | match role {
            Role::Writer => OWNED,
            Role::Reader => OWNED | READER,
        }
}

/// What an owner does with a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

/// A control word, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ctl {
    Idle {
        lap: u64,
        state: u64,
    },
    /// The id is `None` in a scribbled word: then nobody alive owns it.
    Owned {
        owner: Option<OwnerId>,
        role: Role,
    },
}

impl Ctl {
    #[inline]
    pub(super) fn read(word: u64) -> Ctl {
        if word & OWNED == 0 {
            let (lap, state) = split(word);
            return Ctl::Idle { lap, state };
        }
        let role = if word & READER == 0 { Role::Writer } else { Role::Reader };
        Ctl::Owned { owner: OwnerId::of(word >> ID_SHIFT), role }
    }
}

/// Lap and state of an idle word.
#[inline]
pub(super) const fn split(word: u64) -> (u64, u64) {
    (word >> INDEX_BITS, word & STATE_MASK)
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn positions_walk_the_ring_and_wrap_after_the_last_lap() {
        assert_eq!(next(position(5, 2), 4), position(5, 3));
        assert_eq!(next(position(5, 3), 4), position(6, 0));
        let last = position((1 << 40) - 1, 3);
        assert_eq!(next(last, 4), 0);
        assert_eq!(laps_ahead(lap(next(last, 4)), lap(last)), 1);
        assert_eq!(laps_ahead(lap(last), 0), -1);
    }

    #[test]
    fn a_free_cell_vouches_for_the_messages_of_two_laps_before_only() {
        // Whoever looks at lap 5 and finds the cell free at lap 6 knows of this one cell.
        assert_eq!(past_done(position(5, 1), (6, EMPTY), 4), Some(position(5, 2)));
        assert_eq!(past_done(position(5, 1), (7, EMPTY), 4), Some(position(5, 2)));
        assert_eq!(past_done(position(5, 1), (9, EMPTY), 4), Some(position(7, 2)));
        // Claimed at lap 9: all of lap 8 up to here is done.
        assert_eq!(past_done(position(5, 3), (9, FULL), 4), Some(position(9, 0)));
        assert_eq!(past_done(position(5, 1), (6, FULL), 4), Some(position(5, 2)));
        for state in [EMPTY, FULL, SKIP, SEALED] {
            assert_eq!(past_done(position(5, 1), (5, state), 4), None);
            assert_eq!(past_done(position(5, 1), (4, state), 4), None);
        }
        let last = (1 << 40) - 1;
        assert_eq!(past_done(position(last, 1), (1, EMPTY), 4), Some(position(last, 2)), "laps wrap");
    }

    #[test]
    fn a_cell_tells_a_producer_how_far_positions_are_claimed() {
        assert_eq!(past_claimed(position(5, 1), (5, EMPTY), 4), None);
        assert_eq!(past_claimed(position(5, 1), (4, FULL), 4), None);
        assert_eq!(past_claimed(position(5, 1), (5, FULL), 4), Some(position(5, 2)));
        assert_eq!(past_claimed(position(5, 1), (6, EMPTY), 4), Some(position(5, 2)));
        assert_eq!(past_claimed(position(5, 1), (9, EMPTY), 4), Some(position(8, 2)));
        assert_eq!(past_claimed(position(5, 3), (9, FULL), 4), Some(position(10, 0)));
    }

    #[test]
    fn words_read_back_as_written() {
        let id = OwnerId::new(63, 9);
        assert_eq!(Ctl::read(owned(id, Role::Reader)), Ctl::Owned { owner: Some(id), role: Role::Reader });
        assert_eq!(Ctl::read(owned(id, Role::Writer)), Ctl::Owned { owner: Some(id), role: Role::Writer });
        assert_eq!(Ctl::read(idle(position(7, 5), SKIP)), Ctl::Idle { lap: 7, state: SKIP });
        assert_eq!(
            Ctl::read(idle(position((1 << 40) - 1, 0), SEALED)),
            Ctl::Idle { lap: (1 << 40) - 1, state: SEALED }
        );
    }
}
