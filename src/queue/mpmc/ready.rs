//! Whether a try would be refused now, for those who wait for several things: looks that change nothing.

use super::RawQueue;
use super::scan::Hands;
use crate::atomic::Ordering;
use crate::member::Member;
use crate::queue::event_count::EventCount;
use crate::queue::not_yet::NotYet;
use crate::queue::position::{self as pos, EMPTY, FULL, Role, SEALED, SKIP};

/// What a cell means to whoever comes to it.
enum Here {
    /// A try would not be refused.
    Ready,
    /// The answer lies behind it.
    Past,
    /// The same, and it is a message in somebody's hands, before which a hint cannot move on.
    Kept,
    /// A try would be refused.
    Blocked,
    /// The same, because of somebody alive.
    Held,
}

impl RawQueue {
    /// Consumers asleep.
    pub(crate) fn poppers(&self) -> &EventCount {
        &self.ring.header().common.not_empty
    }

    /// Producers asleep.
    pub(crate) fn pushers(&self) -> &EventCount {
        &self.ring.header().common.not_full
    }

    /// Whether a pop would not be refused with "empty": there is a message, or it would tell of the end.
    pub(crate) fn can_pop(&self, me: &Member) -> Result<(), NotYet> {
        // Before the look, as a pop does.
        let closed = self.is_closed();
        self.walk(me, self.ring.header().head.load(Ordering::Acquire), |ahead, state, hands| {
            match (ahead, state, hands) {
                (0, FULL, Hands::Nobody | Hands::Dead(_)) | (0, SEALED, _) => Here::Ready,
                (0, EMPTY, Hands::Nobody | Hands::Dead(Role::Reader)) if closed => Here::Ready,
                (0, FULL | SKIP, Hands::Live(Role::Reader)) => Here::Kept,
                // Done, or a gap.
                (1.., ..) | (0, SKIP, Hands::Nobody | Hands::Dead(_)) => Here::Past,
                (0, EMPTY, Hands::Dead(Role::Writer)) => Here::Past,
                (.., Hands::Live(_)) => Here::Held,
                _ => Here::Blocked,
            }
        })
    }

    /// Whether a push would not be refused with "full".
    pub(crate) fn can_push(&self, me: &Member) -> Result<(), NotYet> {
        if self.is_closed() {
            return Ok(());
        }
        self.walk(me, self.ring.header().tail.load(Ordering::Acquire), |ahead, state, hands| {
            match (ahead, state, hands) {
                (0, EMPTY, Hands::Nobody | Hands::Dead(Role::Reader)) | (_, SEALED, _) => Here::Ready,
                (-1, EMPTY, Hands::Dead(Role::Writer)) | (-1, SKIP, Hands::Nobody | Hands::Dead(_)) => {
                    Here::Ready
                }
                // Claimed, perhaps done by now; or a gap, which the consumers pass.
                (1.., ..) | (0, FULL | SKIP, _) => Here::Past,
                (0, EMPTY, Hands::Live(Role::Writer) | Hands::Dead(Role::Writer)) => Here::Past,
                (.., Hands::Live(_)) => Here::Held,
                _ => Here::Blocked,
            }
        })
    }

    /// Goes from a hint from cell to cell until one has an answer. If none has, a try is worth it: it moves the hint.
    fn walk(&self, me: &Member, hint: u64, look: impl Fn(i64, u64, Hands) -> Here) -> Result<(), NotYet> {
        let capacity = self.ring.capacity();
        let mut position = if pos::index(hint) < capacity { hint } else { pos::position(pos::lap(hint), 0) };
        let (mut steps, mut kept) = (self.steps(), false);
        while steps.next() {
            // A cell that changes has an owner that tells.
            let Some((at, state, hands)) = self.read_cell(me, pos::index(position)) else {
                return Err(NotYet::held(true));
            };
            match look(pos::laps_ahead(at, pos::lap(position)), state, hands) {
                Here::Ready => return Ok(()),
                here @ (Here::Past | Here::Kept) => {
                    kept |= matches!(here, Here::Kept);
                    position = pos::next(position, capacity);
                }
                here @ (Here::Blocked | Here::Held) => {
                    return Err(NotYet::held(kept || matches!(here, Here::Held)));
                }
            }
        }
        if kept { Err(NotYet::held(true)) } else { Ok(()) }
    }
}
