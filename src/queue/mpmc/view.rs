//! The state of a queue, decoded from copied bytes (see `crate::decode`).

use super::RawQueue;
use super::layout::{CELLS_OFF, Header, ring_size, stride_of};
use crate::decode::{ObjectBytes, State};
use crate::error::Result;
use crate::member::OwnerId;
use crate::queue::head::Head;
use crate::queue::position::{self as pos, Ctl};
use core::mem::offset_of;

const COMMON: usize = offset_of!(Header, common);
/// How far a hint may lag before the depth is no longer exact. It lags by as many cells as threads are at work.
const CATCH_UP: u32 = 4096;

/// The state of a ring.
pub(crate) fn queue(object: &ObjectBytes<'_>) -> Option<State> {
    let [element, capacity] = object.params;
    let header = |at: usize| object.word(at as u64);
    let fits = ring_size(usize::try_from(element).ok()?, usize::try_from(capacity).ok()?)
        .is_some_and(|need| need as u64 <= object.size);
    if !fits {
        return None;
    }
    // Of a possible element: no overflow.
    let stride = stride_of(element as usize) as u64;
    let geometry = [
        header(offset_of!(Header, element))?,
        header(offset_of!(Header, capacity))?,
        header(offset_of!(Header, stride))?,
    ];
    if geometry != [element, capacity, stride] {
        return None;
    }
    let cells = Cells { object, stride, capacity: capacity as u32 };
    let closed = Head::is_closed_in(object, COMMON as u64)?;
    let head = cells.caught_up(header(offset_of!(Header, head))?, pos::past_done)?;
    let tail = cells.caught_up(header(offset_of!(Header, tail))?, pos::past_claimed)?;
    let depth = pos::distance(head, tail, cells.capacity);
    let blocker = [head, tail].into_iter().find_map(|position| cells.owner(position));
    let state = Head::state_of(closed, depth == 0, depth == cells.capacity)
        .with(blocker, "blocks")
        .fact("depth", depth)
        .fact("peak", header(offset_of!(Header, peak))?.min(capacity).max(depth.into()))
        .fact("capacity", capacity)
        .fact("element bytes", element);
    Some(Head::with_sleepers(state, object, COMMON))
}

struct Cells<'a> {
    object: &'a ObjectBytes<'a>,
    stride: u64,
    capacity: u32,
}

impl Cells<'_> {
    /// Control and sequence word of a cell.
    fn cell(&self, index: u32) -> Option<(u64, u64)> {
        let at = CELLS_OFF as u64 + u64::from(index) * self.stride;
        Some((self.object.word(at)?, self.object.word(at + 8)?))
    }

    /// A hint, advanced over what it has missed, as in `RawQueue::bounds`.
    fn caught_up(&self, hint: u64, past: fn(u64, (u64, u64), u32) -> Option<u64>) -> Option<u64> {
        let word = |index| {
            let (control, sequence) = self.cell(index)?;
            Some(match Ctl::read(control) {
                Ctl::Idle { lap, state } => (lap, state),
                Ctl::Owned { .. } => pos::split(sequence),
            })
        };
        pos::catch_up(hint, self.capacity, (self.capacity * 2 + 1).min(CATCH_UP), word, past)
    }

    /// The live owner of the cell at a position.
    fn owner(&self, position: u64) -> Option<OwnerId> {
        let (control, _) = self.cell(pos::index(position))?;
        let Ctl::Owned { owner, .. } = Ctl::read(control) else { return None };
        owner.filter(|&id| self.object.lives(id))
    }
}

impl RawQueue {
    /// How many threads sleep for a message.
    pub(crate) fn waiting_consumers(&self) -> Result<u32> {
        Head::consumers_asleep(self.ring().address().wrapping_add(COMMON))
    }

    /// How many threads sleep for room.
    pub(crate) fn waiting_producers(&self) -> Result<u32> {
        Head::producers_asleep(self.ring().address().wrapping_add(COMMON))
    }
}
