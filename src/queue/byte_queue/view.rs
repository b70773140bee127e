//! The state of a byte queue, decoded from copied bytes (see `crate::decode`).

use super::layout::{CELL_BYTES, CELLS_OFF, Geometry, Header, byte_ring_size};
use super::raw::RawByteQueue;
use super::word::{Ctl, EMPTY, FREED, FULL, after, ahead};
use crate::decode::{ObjectBytes, State};
use crate::error::Result;
use crate::queue::head::Head;
use crate::queue::position::{self as pos, Role};
use core::mem::offset_of;

const COMMON: usize = offset_of!(Header, common);
/// How many records are visited at most; beyond that the numbers are not exact.
const MOST_RECORDS: u32 = 1 << 16;

/// The state of a byte ring.
pub(crate) fn byte_queue(object: &ObjectBytes<'_>) -> Option<State> {
    let [capacity, longest] = object.params;
    let (wish, most) = (usize::try_from(capacity).ok()?, usize::try_from(longest).ok()?);
    let header = |at: usize| object.word(at as u64);
    let ring = Geometry::of(wish, most)?;
    let fits = byte_ring_size(wish, most).is_some_and(|need| need as u64 <= object.size);
    let geometry = [
        header(offset_of!(Header, capacity))?,
        header(offset_of!(Header, longest))?,
        header(offset_of!(Header, granules))?,
        header(offset_of!(Header, granule))?,
    ];
    if !fits || geometry != [capacity, longest, u64::from(ring.granules), 1 << ring.shift] {
        return None;
    }
    let words = Words { object, granules: ring.granules, head: header(offset_of!(Header, head))? };
    let closed = Head::is_closed_in(object, COMMON as u64)?;
    let (mut messages, mut blocker) = (0u64, None);
    let read = words.start(header(offset_of!(Header, read))?);
    words.walk(read, |word| match *word {
        Ctl::Idle { state: FULL, .. } => messages += 1,
        Ctl::Owned { role: Role::Reader, .. } => messages += 1,
        // The first record that is being written blocks the consumers, unless there is a message before it.
        Ctl::Owned { owner, .. } if messages == 0 => blocker = blocker.or(owner),
        _ => {}
    })?;
    let mut used_from = None;
    let head = words.start(words.head);
    let mut freed = head;
    words.walk(head, |word| match *word {
        Ctl::Idle { state: FREED, granules, .. } if used_from.is_none() => {
            freed = after(freed, granules, ring.granules);
        }
        Ctl::Owned { owner, .. } if used_from.is_none() => used_from = Some(owner),
        _ if used_from.is_none() => used_from = Some(None),
        _ => {}
    })?;
    let tail = words.walk(words.start(header(offset_of!(Header, tail))?), |_| ())?;
    let used = ahead(tail, freed, ring.granules).clamp(0, i64::from(ring.granules)) as u64;
    let unread = ahead(tail, read, ring.granules).clamp(0, i64::from(ring.granules)) as u64;
    let peak = header(offset_of!(Header, peak))?.clamp(unread, u64::from(ring.granules));
    let blocker = blocker.or(used_from.flatten()).filter(|&id| object.lives(id));
    let state = Head::state_of(closed, messages == 0, used == u64::from(ring.granules))
        .with(blocker, "blocks")
        .fact("depth", messages)
        .fact("depth in bytes", used << ring.shift)
        .fact("capacity in bytes", u64::from(ring.granules) << ring.shift)
        .fact("peak in bytes", peak << ring.shift)
        .fact("longest message", longest);
    Some(Head::with_sleepers(state, object, COMMON))
}

struct Words<'a> {
    object: &'a ObjectBytes<'a>,
    granules: u32,
    head: u64,
}

impl Words<'_> {
    fn start(&self, hint: u64) -> u64 {
        if pos::index(hint) < self.granules { hint } else { pos::position(pos::lap(hint), 0) }
    }

    /// Goes from record to record, as `RawByteQueue::survey` does. Returns where it ends.
    fn walk(&self, from: u64, mut each: impl FnMut(&Ctl)) -> Option<u64> {
        let mut position = from;
        for _ in 0..(self.granules * 2 + 2).min(MOST_RECORDS) {
            let index = pos::index(position);
            let ctl = Ctl::read(self.object.word(CELLS_OFF as u64 + u64::from(index) * CELL_BYTES as u64)?);
            let granules = match ctl {
                Ctl::Idle { lap, granules, state } => {
                    let ahead = pos::laps_ahead(lap, pos::lap(position));
                    if state == EMPTY || ahead < 0 {
                        break;
                    }
                    if ahead > 0 {
                        // The hint lags by a lap.
                        position = self.start(self.head);
                        continue;
                    }
                    granules
                }
                Ctl::Owned { granules, .. } => {
                    match ahead(position, self.start(self.head), self.granules) {
                        ..=-1 => {
                            position = self.start(self.head);
                            continue;
                        }
                        // A record of the lap before: we are all round.
                        d if d >= i64::from(self.granules) => break,
                        _ => granules,
                    }
                }
            };
            if granules == 0 || granules > self.granules - index {
                break;
            }
            each(&ctl);
            position = after(position, granules, self.granules);
        }
        Some(position)
    }
}

impl RawByteQueue {
    /// How many threads sleep for a message.
    pub(crate) fn waiting_consumers(&self) -> Result<u32> {
        Head::consumers_asleep(self.ring().address().wrapping_add(COMMON))
    }

    /// How many threads sleep for room.
    pub(crate) fn waiting_producers(&self) -> Result<u32> {
        Head::producers_asleep(self.ring().address().wrapping_add(COMMON))
    }
}
