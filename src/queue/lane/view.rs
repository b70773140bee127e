//! The state of a lane, decoded from copied bytes (see `crate::view`).

use super::layout::Header;
use super::{FINAL, POSITION, lane_size};
use crate::decode::{ObjectBytes, State};
use crate::member::OwnerId;
use crate::queue::head::Head;
use crate::view::{Look, State};
use core::mem::offset_of;

pub(in crate::queue) const COMMON: usize = offset_of!(Header, common);

/// The state of a lane whose units are elements.
pub(crate) fn spsc(look: &Look<'_>) -> Option<State> {
    let [element, capacity] = look.params;
    let (state, depth, peak) = lane(look, element, capacity)?;
    let state = state
        .fact("depth", depth)
        .fact("capacity", capacity)
        .fact("peak", peak)
        .fact("element bytes", element);
    Some(Head::with_sleepers(state, look, COMMON))
}

/// What any lane says: the holders of its seats, how many units are in it, and its peak.
pub(crate) fn lane(look: &Look<'_>, unit: u64, capacity: u64) -> Option<(State, u64, u64)> {
    let header = |at: usize| look.word(at as u64);
    let fits = lane_size(usize::try_from(unit).ok()?, usize::try_from(capacity).ok()?)
        .is_some_and(|need| need as u64 <= look.size);
    let geometry = [header(offset_of!(Header, unit))?, header(offset_of!(Header, capacity))?];
    if !fits || geometry != [unit, capacity] {
        return None;
    }
    let closed = Head::is_closed_in(look, COMMON)?;
    let head = header(offset_of!(Header, head))?;
    // Loaded after the head.
    let published = header(offset_of!(Header, tail))?.wrapping_sub(head);
    if (published as i64) < 0 {
        return None;
    }
    let depth = if is_end(header(offset_of!(Header, seal))?, head) { 0 } else { published };
    let peak = header(offset_of!(Header, peak))?.min(capacity).max(depth);
    let seat = |at: usize, does, did| {
        let holder = header(at).map(OwnerId::of)?;
        Some((holder, if holder.is_some_and(|id| look.lives(id)) { does } else { did }))
    };
    let (producer, produces) = seat(offset_of!(Header, producer), "produces", "produced")?;
    let (consumer, consumes) = seat(offset_of!(Header, consumer), "consumes", "consumed")?;
    let state = Head::state_of(closed, depth == 0, depth == capacity);
    Some((state.with(producer, produces).with(consumer, consumes), depth, peak))
}

/// Whether the lane ends where the consumer is: what was published behind that was refused.
fn is_end(seal: u64, head: u64) -> bool {
    seal == head & POSITION | FINAL
}

/// What a lane says.
pub(crate) struct Seen {
    /// The words of the two seats, the producer's first.
    pub seats: [u64; 2],
    /// The units in it.
    pub units: u64,
    pub closed: bool,
}

/// The lane whose header begins at `at`.
pub(crate) fn lane_view(at: u64, word: impl Fn(u64) -> Option<u64>) -> Option<Seen> {
    let closed = Head::says_closed(at.checked_add(COMMON as u64)?, &word)?;
    let word = |field: usize| word(at.checked_add(field as u64)?);
    let seats = [word(offset_of!(Header, producer))?, word(offset_of!(Header, consumer))?];
    let head = word(offset_of!(Header, head))?;
    // Loaded after the head.
    let published = word(offset_of!(Header, tail))?.wrapping_sub(head);
    let units = if is_end(word(offset_of!(Header, seal))?, head) { 0 } else { published };
    Some(Seen { seats, units, closed })
}
