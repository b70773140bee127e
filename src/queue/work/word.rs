//! Control words of a work queue's nodes: pure functions.
//!
//! `owner id:48 | times given back:12 | state:4`. Only the holder of the queue's lock writes them.

use crate::member::OwnerId;

/// Free: the word of zeroed memory.
pub(super) const FREE: u64 = 0;
/// Holds a job that waits for a worker.
pub(super) const READY: u64 = 1;
/// Holds a job whose time has not come.
pub(super) const DELAYED: u64 = 2;
/// Holds a job that was given back too often.
pub(super) const DEAD: u64 = 3;
/// Its owner writes a job into it.
pub(super) const FILLING: u64 = 4;
/// Its owner works on its job.
pub(super) const LEASED: u64 = 5;
const STATE: u64 = 15;
const BACK_SHIFT: u32 = 4;
const OWNER_SHIFT: u32 = 16;

/// The most times that a job can be given back.
pub(super) const MOST_BACK: u32 = (1 << 12) - 1;

/// A word without an owner.
#[inline(always)]
pub(super) const fn idle(state: u64, back: u32) -> u64 {
    (back as u64) << BACK_SHIFT | state
}

/// A word with an owner.
#[inline(always)]
pub(super) const fn owned(state: u64, id: OwnerId, back: u32) -> u64 {
    id.bits() << OWNER_SHIFT | idle(state, back)
}

#[inline(always)]
pub(super) const fn state(word: u64) -> u64 {
    word & STATE
}

/// How often its job was given back.
#[inline(always)]
pub(super) const fn back(word: u64) -> u32 {
    (word >> BACK_SHIFT) as u32 & MOST_BACK
}

/// The owner, if its state has one. `None` in a scribbled word: then nobody alive owns it.
#[inline(always)]
pub(super) fn owner(word: u64) -> Option<OwnerId> {
    match state(word) {
        FILLING | LEASED => OwnerId::of(word >> OWNER_SHIFT),
        _ => None,
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_written() {
        let id = OwnerId::new(u16::MAX, u32::MAX);
        for times in [0, 1, MOST_BACK] {
            for of in [FILLING, LEASED] {
                let word = owned(of, id, times);
                assert_eq!((state(word), back(word), owner(word)), (of, times, Some(id)));
            }
            for of in [FREE, READY, DELAYED, DEAD] {
                let word = idle(of, times);
                assert_eq!((state(word), back(word), owner(word)), (of, times, None));
            }
        }
        assert_eq!(idle(FREE, 0), 0);
    }
}
