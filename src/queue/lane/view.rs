//! The state of a lane, read from copied bytes (see `crate::decode`).

use super::layout::Header;
use super::{FINAL, POSITION, lane_size};
use crate::decode::{ObjectBytes, State};
use crate::member::OwnerId;
use crate::queue::head::Head;
use core::mem::offset_of;

pub(in crate::queue) const COMMON: usize = offset_of!(Header, common);

/// The state of a lane whose units are elements.
pub(crate) fn spsc(object: &ObjectBytes<'_>) -> Option<State> {
    let [element, capacity] = object.params;
    let lane = lane(object, 0, element, capacity)?;
    let facts = lane
        .state(object)
        .fact("depth", lane.depth)
        .fact("capacity", capacity)
        .fact("peak", lane.peak)
        .fact("element bytes", element);
    Some(Head::with_sleepers(facts, object, COMMON))
}

/// What the header of a lane says.
pub(crate) struct LaneState {
    /// The seats' holders, dead or alive.
    pub producer: Option<OwnerId>,
    pub consumer: Option<OwnerId>,
    /// Units in it, and the most that were.
    pub depth: u64,
    pub peak: u64,
    pub is_closed: bool,
    is_full: bool,
}

/// The lane at an offset in the object; `None` if it is not one of `capacity` units of `unit` bytes.
pub(crate) fn lane(object: &ObjectBytes<'_>, at: u64, unit: u64, capacity: u64) -> Option<LaneState> {
    let header = |field: usize| object.word(at.checked_add(field as u64)?);
    let size = lane_size(usize::try_from(unit).ok()?, usize::try_from(capacity).ok()?)?;
    let fits = at.checked_add(size as u64)? <= object.size;
    let geometry = [header(offset_of!(Header, unit))?, header(offset_of!(Header, capacity))?];
    if !fits || geometry != [unit, capacity] {
        return None;
    }
    let is_closed = Head::is_closed_in(object, at.checked_add(COMMON as u64)?)?;
    let head = header(offset_of!(Header, head))?;
    // After the head: never less than it. Both may have moved on in between, so there may seem to be more than fit.
    let published = header(offset_of!(Header, tail))?.wrapping_sub(head);
    if (published as i64) < 0 {
        return None;
    }
    // What was published behind the end is nobody's.
    let is_end = header(offset_of!(Header, seal))? == head & POSITION | FINAL;
    let depth = if is_end { 0 } else { published.min(capacity) };
    Some(LaneState {
        producer: OwnerId::of(header(offset_of!(Header, producer))?),
        consumer: OwnerId::of(header(offset_of!(Header, consumer))?),
        depth,
        peak: header(offset_of!(Header, peak))?.min(capacity).max(depth),
        is_closed,
        is_full: depth == capacity,
    })
}

impl LaneState {
    /// With the seats' holders.
    pub(crate) fn state(&self, object: &ObjectBytes<'_>) -> State {
        let part = |holder: Option<OwnerId>, does, did| {
            if holder.is_some_and(|id| object.lives(id)) { does } else { did }
        };
        Head::state_of(self.is_closed, self.depth == 0, self.is_full)
            .with(self.producer, part(self.producer, "produces", "produced"))
            .with(self.consumer, part(self.consumer, "consumes", "consumed"))
    }
}
