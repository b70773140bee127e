//! The arithmetic of rounds: what a barrier's word, a seat's marks and the note of an end say, also when numbers wrap.

pub(in crate::sync) const BROKEN: u64 = 1 << 63;
pub(super) const SLEEPERS: u64 = 1 << 62;
const GENERATION_BITS: u32 = 30;
pub(super) const GENERATION: u64 = ((1 << GENERATION_BITS) - 1) << 32;

const ARRIVED: u64 = 1 << 63;
const TAG_SHIFT: u32 = 48;
const TAG_MASK: u64 = 0x7fff;

pub(in crate::sync) const fn generation(word: u64) -> u64 {
    (word & GENERATION) >> 32
}

/// The upper bits of the seat of a party that has come to this round.
pub(in crate::sync) const fn arrived_in(generation: u64) -> u64 {
    ARRIVED | (generation & TAG_MASK) << TAG_SHIFT
}

/// The upper bits of a seat.
pub(in crate::sync) const fn marks(seat: u64) -> u64 {
    seat >> TAG_SHIFT << TAG_SHIFT
}

/// The number of resets before this.
pub(super) const fn resets(word: u64) -> u32 {
    word as u32
}

const fn next_generation(word: u64) -> u64 {
    (generation(word) + 1) << 32 & GENERATION
}

/// The word of the next round, after one that passed.
pub(super) const fn passed(word: u64) -> u64 {
    next_generation(word) | resets(word) as u64
}

/// The word of the next round, after a reset.
pub(super) const fn reopened(word: u64) -> u64 {
    next_generation(word) | resets(word).wrapping_add(1) as u64
}

/// The rounds that had passed before this one, counted as the generation is.
pub(super) const fn passes(generation: u64, resets: u32) -> u64 {
    generation.wrapping_sub(resets as u64) & GENERATION >> 32
}

/// The note of an end in `Head::more`: this reset ended this round.
pub(super) const fn end(resets: u32, generation: u64) -> u64 {
    (resets as u64) << 32 | generation
}

/// Whether note `a` is older than note `b`: of an earlier reset, or of the same one when it was tried again in a later round.
pub(super) const fn is_older(a: u64, b: u64) -> bool {
    let resets = ((a >> 32) as u32).wrapping_sub((b >> 32) as u32) as i32;
    // Of 30 bits, as signed numbers.
    let rounds = (a as u32).wrapping_sub(b as u32) << (32 - GENERATION_BITS);
    resets < 0 || resets == 0 && (rounds as i32) < 0
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn of_two_notes_the_later_one_stays_also_where_numbers_wrap() {
        assert!(is_older(end(3, 900), end(4, 5)) && !is_older(end(4, 5), end(3, 900)));
        assert!(is_older(end(4, 5), end(4, 6)) && !is_older(end(4, 5), end(4, 5)));
        assert!(is_older(end(u32::MAX, 7), end(0, 7)) && !is_older(end(0, 7), end(u32::MAX, 7)));
        let last = generation(GENERATION);
        assert!(is_older(end(4, last), end(4, 0)) && !is_older(end(4, 0), end(4, last)));
    }

    #[test]
    fn rounds_that_have_passed_are_told_from_those_that_a_reset_ended_also_where_numbers_wrap() {
        let count = |word| passes(generation(word), resets(word));
        for word in [0, 5 << 32 | 3, GENERATION | 9, GENERATION | u64::from(u32::MAX)] {
            assert_eq!(count(reopened(word)), count(word));
            assert_eq!(count(passed(word)), (count(word) + 1) & GENERATION >> 32);
        }
    }

    #[test]
    fn generations_wrap() {
        let last = GENERATION | u64::from(u32::MAX);
        assert_eq!((generation(passed(last)), resets(passed(last))), (0, u32::MAX));
        assert_eq!((generation(reopened(last)), resets(reopened(last))), (0, 0));
    }
}
