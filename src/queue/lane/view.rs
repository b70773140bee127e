//! The state of a lane, read from copied bytes (see `crate::view`).

use super::place::Header;
use super::{FINAL, POSITION, lane_size};
use crate::member::OwnerId;
use crate::queue::CLOSED;
use crate::view::{Look, State};
use core::mem::offset_of;

/// The state of a lane whose units are elements.
pub(crate) fn spsc(look: &Look<'_>) -> Option<State> {
    let [element, capacity] = look.params;
    let (state, depth, peak) = lane(look, element, capacity)?;
    let asleep = |at: usize| look.waiters(at as u64..at as u64 + 4);
    let facts = state
        .fact("depth", depth)
        .fact("capacity", capacity)
        .fact("peak", peak)
        .fact("element bytes", element)
        .fact("consumers asleep", asleep(offset_of!(Header, not_empty)))
        .fact("producers asleep", asleep(offset_of!(Header, not_full)));
    Some(facts)
}

/// What any lane says: who sits where, how many units are in it, and how many were at the most.
pub(crate) fn lane(look: &Look<'_>, unit: u64, capacity: u64) -> Option<(State, u64, u64)> {
    let header = |at: usize| look.word(at as u64);
    let fits = lane_size(usize::try_from(unit).ok()?, usize::try_from(capacity).ok()?)
        .is_some_and(|need| need as u64 <= look.size);
    let geometry = [header(offset_of!(Header, unit))?, header(offset_of!(Header, capacity))?];
    if !fits || geometry != [unit, capacity] {
        return None;
    }
    let closed = header(offset_of!(Header, closed))? == CLOSED;
    let head = header(offset_of!(Header, head))?;
    // After the head.
    let published = header(offset_of!(Header, tail))?.wrapping_sub(head);
    if published > capacity {
        return None;
    }
    let depth = if is_end(header(offset_of!(Header, seal))?, head) { 0 } else { published };
    let peak = header(offset_of!(Header, peak))?.min(capacity).max(depth);
    let text = match depth {
        _ if closed && depth == 0 => "closed and drained",
        _ if closed => "closed",
        0 => "empty",
        n if n == capacity => "full",
        _ => "open",
    };
    let seat = |at: usize, does, did| {
        let holder = header(at).map(OwnerId::of)?;
        Some((holder, if holder.is_some_and(|id| look.lives(id)) { does } else { did }))
    };
    let (producer, produces) = seat(offset_of!(Header, producer), "produces", "produced")?;
    let (consumer, consumes) = seat(offset_of!(Header, consumer), "consumes", "consumed")?;
    let state = State::new(text).with(producer, produces).with(consumer, consumes);
    Some((state, depth, peak))
}

/// Whether the lane ends where the consumer is: what was published behind is nobody's.
fn is_end(seal: u64, head: u64) -> bool {
    seal == head & POSITION | FINAL
}

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
    let head = word(offset_of!(Header, head))?;
    // After the head.
    let published = word(offset_of!(Header, tail))?.wrapping_sub(head);
    let units = if is_end(word(offset_of!(Header, seal))?, head) { 0 } else { published };
    Some(Seen { seats, units, closed: word(offset_of!(Header, closed))? == CLOSED })
}
