//! The state of a byte lane, read from copied bytes (see `crate::decode`).

use super::{UNIT, units_for};
use crate::decode::{ObjectBytes, State};
use crate::queue::head::Head;
use crate::queue::lane::view::COMMON;
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
    let facts = lane
        .state(object)
        .fact("depth in bytes", lane.depth * unit)
        .fact("peak in bytes", lane.peak * unit)
        .fact("capacity in bytes", bytes)
        .fact("longest message", longest);
    Some(Head::with_sleepers(facts, object, COMMON))
}
