//! The state of a byte lane, read from copied bytes (see `crate::view`).

use super::{UNIT, units_for};
use crate::member::OwnerId;
use crate::queue::CLOSED;
use crate::queue::lane::Header;
use crate::queue::lane_size;
use crate::view::{Look, State};
use core::mem::offset_of;

/// The state of a byte lane.
pub(crate) fn byte_lane(look: &Look<'_>) -> Option<State> {
    let [bytes, longest] = look.params;
    let header = |at: usize| look.word(at as u64);
    let capacity = bytes / UNIT as u64;
    let fits = lane_size(UNIT, usize::try_from(capacity).ok()?).is_some_and(|n| n as u64 <= look.size);
    let least = units_for(0, usize::try_from(longest).ok()?)? as u64;
    let geometry = [
        header(offset_of!(Header, unit))?,
        header(offset_of!(Header, capacity))?,
        header(offset_of!(Header, limit))?,
    ];
    if !fits || least > capacity || geometry != [UNIT as u64, capacity, longest] {
        return None;
    }
    let closed = header(offset_of!(Header, closed))? == CLOSED;
    let (head, tail) = (header(offset_of!(Header, head))?, header(offset_of!(Header, tail))?);
    let depth = tail.wrapping_sub(head);
    if depth > capacity {
        return None;
    }
    let asleep = |at: usize| look.waiters(at as u64..at as u64 + 4);
    let text = match depth {
        0 if closed => "closed and drained",
        _ if closed => "closed",
        0 => "empty",
        _ => "open",
    };
    let seat = |at: usize| header(at).map(OwnerId::of);
    let part = |id: Option<OwnerId>, does, did| {
        if id.is_some_and(|id| look.lives(id)) { does } else { did }
    };
    let producer = seat(offset_of!(Header, producer))?;
    let consumer = seat(offset_of!(Header, consumer))?;
    let state = State::new(text)
        .with(producer, part(producer, "produces", "produced"))
        .with(consumer, part(consumer, "consumes", "consumed"))
        .fact("depth in bytes", depth * UNIT as u64)
        .fact("peak in bytes", header(offset_of!(Header, peak))?.min(capacity) * UNIT as u64)
        .fact("capacity in bytes", bytes)
        .fact("longest message", longest)
        .fact("consumers asleep", asleep(offset_of!(Header, not_empty)))
        .fact("producers asleep", asleep(offset_of!(Header, not_full)));
    Some(state)
}
