//! The state of a byte lane, decoded from copied bytes (see `crate::view`).

use super::{UNIT, units_for};
use crate::queue::head::Head;
use crate::queue::lane::{Header, lane};
use core::mem::offset_of;

/// The state of a byte lane.
pub(crate) fn byte_lane(object: &ObjectBytes<'_>) -> Option<State> {
    let [bytes, longest] = object.params;
    let unit = UNIT as u64;
    let capacity = bytes / unit;
    let least = units_for(0, usize::try_from(longest).ok()?)? as u64;
    let lane = lane(object, 0, unit, capacity)?;
    if least > capacity || object.word(offset_of!(Header, limit) as u64)? != longest {
        return None;
    }
    let state = state
        .fact("depth in bytes", depth * unit)
        .fact("peak in bytes", peak * unit)
        .fact("capacity in bytes", bytes)
        .fact("longest message", longest);
    Some(Head::with_sleepers(state, look, offset_of!(Header, common)))
}
