//! The state of a byte lane, read from copied bytes (see `crate::view`).

use super::{UNIT, units_for};
use crate::queue::lane::{Header, lane};
use crate::view::{Look, State};
use core::mem::offset_of;

/// The state of a byte lane.
pub(crate) fn byte_lane(look: &Look<'_>) -> Option<State> {
    let [bytes, longest] = look.params;
    let unit = UNIT as u64;
    let capacity = bytes / unit;
    let least = units_for(0, usize::try_from(longest).ok()?)? as u64;
    let (state, depth, peak) = lane(look, unit, capacity)?;
    if least > capacity || look.word(offset_of!(Header, limit) as u64)? != longest {
        return None;
    }
    let asleep = |at: usize| look.waiters(at as u64..at as u64 + 4);
    let facts = state
        .fact("depth in bytes", depth * unit)
        .fact("peak in bytes", peak * unit)
        .fact("capacity in bytes", bytes)
        .fact("longest message", longest)
        .fact("consumers asleep", asleep(offset_of!(Header, not_empty)))
        .fact("producers asleep", asleep(offset_of!(Header, not_full)));
    Some(facts)
}
