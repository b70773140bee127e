//! Whether a try would be refused now, for those who wait for several things: looks that change nothing.

use super::raw::RawByteQueue;
use super::scan::At;
use super::wait::Side;
use super::word::{FREED, FULL, ahead};
use crate::member::Member;
use crate::queue::event_count::EventCount;
use crate::queue::not_yet::NotYet;
use crate::queue::position::{self as pos, Role};

impl RawByteQueue {
    /// Consumers asleep.
    pub(crate) fn poppers(&self) -> &EventCount {
        self.count(Side::Consumer)
    }

    /// Producers asleep.
    pub(crate) fn pushers(&self) -> &EventCount {
        self.count(Side::Producer)
    }

    /// Whether a pop would not be refused with "empty": there is a message, or it would tell of the end.
    pub(crate) fn can_pop(&self, me: &Member) -> Result<(), NotYet> {
        // Before the look, as a pop does.
        let closed = self.is_closed();
        // What lies behind the last record, if nothing before it has the answer.
        let (mut ready, mut held) = (None, false);
        let end = self.survey(self.read_hint(), |at| {
            ready = match *at {
                At::Idle { state, .. } => (state == FULL).then_some(true),
                At::Owned { owner, role, .. } => {
                    let lives = owner.is_some_and(|o| me.lives(o));
                    held |= lives;
                    match (role, lives) {
                        (Role::Writer, true) => Some(false),
                        (Role::Reader, false) => Some(true),
                        _ => None,
                    }
                }
                _ => None,
            };
            ready.is_none()
        });
        let ready = ready.unwrap_or_else(|| match self.look(end).1 {
            At::Unclaimed => closed,
            At::Sealed | At::Broken => true,
            _ => false,
        });
        if ready { Ok(()) } else { Err(NotYet::held(held)) }
    }

    /// Whether a push of `len` bytes would not be refused with "full".
    pub(crate) fn can_push(&self, me: &Member, len: usize) -> Result<(), NotYet> {
        // One that is too long is refused for that.
        if self.is_closed() || len > self.ring.longest() {
            return Ok(());
        }
        let capacity = self.ring.granules();
        let granules = self.ring.granules_for(len);
        let mut held = false;
        let head = self.survey(self.head(), |at| match *at {
            At::Idle { state, .. } => state == FREED,
            At::Owned { owner, role, .. } => {
                let lives = owner.is_some_and(|o| me.lives(o));
                held |= lives;
                role == Role::Writer && !lives
            }
            _ => false,
        });
        let tail = self.survey(self.tail_hint(), |_| true);
        let rest = capacity - pos::index(tail);
        let need = if granules <= rest { granules } else { rest + granules };
        let fits = ahead(tail, head, capacity).max(0) + i64::from(need) <= i64::from(capacity);
        if fits { Ok(()) } else { Err(NotYet::held(held)) }
    }
}
