//! A lane, read from copied bytes (see `crate::view`).

use super::place::Header;
use crate::queue::ring::CLOSED;
use core::mem::offset_of;

/// What a lane says.
pub(crate) struct Seen {
    /// The words of the producer's and the consumer's seat.
    pub seats: [u64; 2],
    /// Units in it.
    pub units: u64,
    pub closed: bool,
}

/// The lane whose header begins at `at`.
pub(crate) fn lane_view(at: u64, word: impl Fn(u64) -> Option<u64>) -> Option<Seen> {
    let word = |field: usize| word(at.checked_add(field as u64)?);
    let seats = [word(offset_of!(Header, producer))?, word(offset_of!(Header, consumer))?];
    let units = word(offset_of!(Header, tail))?.wrapping_sub(word(offset_of!(Header, head))?);
    Some(Seen { seats, units, closed: word(offset_of!(Header, closed))? == CLOSED })
}
