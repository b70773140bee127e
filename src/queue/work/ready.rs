//! Whether a try would be refused now, for those who wait for several things.
//!
//! A wait set adds itself to the [watchers](Watchers) and looks with the lock held. Whoever changes something does so with the lock
//! held, and looks for watchers afterwards: so one of the two sees the other, without a fence.
//!
//! Who dies with the lock held is heard as by those who wait for a condition under it (see [`RawCondvar`](crate::sync::RawCondvar)):
//! the set marks the lock AWAITED, and sleeps on the word that says who took it last, so that it stays so.

use super::raw::{Locked, RawWorkQueue, now_ns};
use crate::error::ErrorKind;
use crate::member::{Member, Watchers};
use crate::queue::not_yet::NotYet;
use crate::sys::{Watch, Word};
use crate::time::Wait;

/// How long a lock is left to its holder before the next look: as long as a try has waited for it by then.
const LOCKED_NS: u64 = 50_000_000;

impl RawWorkQueue {
    /// Wait sets that wait for a job.
    pub(crate) fn takers(&self) -> &Watchers {
        &self.place().header().takers
    }

    /// Wait sets that wait for room.
    pub(crate) fn putters(&self) -> &Watchers {
        &self.place().header().putters
    }

    /// Whether a take would not be refused with "empty", as far as is known without the lock.
    pub(crate) fn can_take_at_a_glance(&self) -> bool {
        let [ready, late, leased, _] = self.counts();
        ready != 0 || self.is_closed() && late + leased == 0
    }

    /// Whether a put would not be refused with "full", as far as is known without the lock.
    pub(crate) fn can_put_at_a_glance(&self) -> bool {
        self.is_closed() || self.has_free()
    }

    /// Whether a take would not be refused with "empty". What the dead had, and what has come due, is given back.
    pub(crate) fn can_take(&self, me: &Member) -> Result<(), NotYet> {
        if self.can_take_at_a_glance() {
            return Ok(());
        }
        let Some(locked) = self.lock_to_look(me)? else { return Ok(()) };
        match locked.next_ready() {
            Ok(Err(due)) => Err(self.not_yet(me, locked, due)),
            // What cannot be said is told by a take.
            _ => Ok(()),
        }
    }

    /// Whether a put would not be refused with "full".
    pub(crate) fn can_put(&self, me: &Member) -> Result<(), NotYet> {
        match self.lock_to_look(me)? {
            Some(locked) if !locked.has_room() => Err(self.not_yet(me, locked, None)),
            _ => Ok(()),
        }
    }

    /// The lock; `None`: a take or a put tells why not.
    fn lock_to_look<'a>(&'a self, me: &'a Member) -> Result<Option<Locked<'a>>, NotYet> {
        match self.lock(me, Wait::Never) {
            Ok(locked) => Ok(Some(locked)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let due = now_ns().saturating_add(LOCKED_NS);
                Err(NotYet { due: Some(due), held: false })
            }
            Err(_) => Ok(None),
        }
    }

    /// Unlocks, as for a wait. From now on the death of whoever has the lock is heard by the bell.
    fn not_yet(&self, me: &Member, locked: Locked<'_>, due: Option<u64>) -> NotYet {
        let lock = &self.place().header().lock;
        let not_yet = NotYet { due, held: locked.has_owners() };
        if crate::mutant!("work-set-unawaited") || lock.is_dirty() {
            return not_yet;
        }
        let pending = me.pend();
        lock.set_awaited(me);
        core::mem::forget(locked);
        lock.unlock_to_wait(me);
        me.unpend(pending);
        not_yet
    }

    /// The word on which a set sleeps beside its door: as long as somebody does, the lock stays AWAITED. Its value is of no interest.
    /// Whoever takes the lock and changes something tells the door; whoever dies first is known to the set, or has come meanwhile.
    pub(crate) fn watch(&self) -> Watch<'_> {
        let word = Word::High(self.place().header().lock.last());
        Watch { word, expected: word.load() }
    }
}
