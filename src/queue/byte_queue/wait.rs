//! Waiting at the byte ring: as at other queues (see `event_count`), with four additions for in-place access.
//!
//! While a thread writes or reads *in place*, user code runs, so its death rings no bell: only threads that sleep on its slot are
//! told. Therefore:
//!
//! - Whoever borrows a message wakes a sleeping consumer, if there is one, which then watches the borrower's life: the message
//!   comes back if the borrower dies.
//! - A consumer that has slept on somebody's life and leaves (with a message, or after a time-out) wakes another one in its place.
//! - A commit counts *all* messages behind it, also those behind another unfinished record ([`RawByteQueue::set_free`]), so that
//!   another consumer comes to watch that record.
//! - Freed room wakes all producers: each needs as many granules as its message, and one that does not have enough yet must not
//!   swallow the wake-up of one that has.

use super::raw::{Claim, RawByteQueue, Refused, Seen};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, Owners};
use crate::queue::event_count::EventCount;
use crate::queue::steps::Patience;
use crate::queue::wait::{Waiter, Watches, wait};
use crate::sys::{Watch, Woken, Word};
use crate::time::Deadline;

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Consumer,
    Producer,
}

impl RawByteQueue {
    pub(super) fn count(&self, side: Side) -> &EventCount {
        match side {
            Side::Consumer => &self.ring.header().common.not_empty,
            Side::Producer => &self.ring.header().common.not_full,
        }
    }

    /// The waiting form of a claim. The caller has just looked, and its pending pointer is at the bell.
    #[cold]
    pub(super) fn wait(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        side: Side,
        attempt: impl FnMut(u32, Option<&mut Owners>) -> core::result::Result<Claim, Refused>,
    ) -> Result<Claim> {
        let count = self.count(side);
        let (owners, patience) = (Owners::new(), Patience::new());
        let mut waiting = Waiting { queue: self, me, attempt, patience, owners, seen: None, watched: false };
        let claim = wait(me, deadline, count, Some(&self.ring.header().common), &mut waiting);
        if waiting.watched && side == Side::Consumer && !crate::mutant!("byte-watch-not-passed-on") {
            count.wake(me.table(), || 1);
        }
        claim
    }
}

/// A thread that waits for a claim.
struct Waiting<'a, F> {
    queue: &'a RawByteQueue,
    me: &'a Member,
    attempt: F,
    patience: Patience,
    /// Live readers whose records the last look stepped over, and who stands in the way.
    owners: Owners,
    /// What refused the last look. `None` if its walk gave up.
    seen: Option<Seen>,
    /// Whether the last sleep was on somebody's life.
    watched: bool,
}

impl<F> Waiter for Waiting<'_, F>
where
    F: FnMut(u32, Option<&mut Owners>) -> core::result::Result<Claim, Refused>,
{
    type Done = Claim;

    fn look(&mut self, announced: bool) -> Result<Option<Claim>> {
        self.owners.clear();
        let found = (self.attempt)(self.patience.times(), announced.then_some(&mut self.owners));
        self.patience.after(matches!(found, Err(Refused::Lost)));
        self.seen = match found {
            Ok(claim) => return Ok(Some(claim)),
            Err(Refused::Closed) => return Err(ErrorKind::Closed.into()),
            Err(Refused::Broken) => return Err(ErrorKind::Corrupt.into()),
            // Our own record is in the way, and only we can end it.
            Err(Refused::NotNow(seen)) if seen.obstacle == Some(self.me.id()) => {
                return Err(ErrorKind::Deadlock.into());
            }
            Err(Refused::NotNow(seen)) => Some(seen),
            Err(Refused::Lost) => None,
        };
        Ok(None)
    }

    fn sleep(&mut self, watches: Watches<'_>, deadline: Option<Deadline>) -> Woken {
        // Any claim of the record that refused us changes its word.
        let cell = self.seen.as_ref().filter(|_| !crate::mutant!("byte-no-cell-watch")).map(|seen| Watch {
            word: Word::Low(self.queue.ring.ctl(seen.index)),
            expected: seen.word as u32,
        });
        let watches = watches.with(cell);
        let sure = watches.sure && self.seen.is_some();
        let obstacle = self.seen.as_ref().and_then(|seen| seen.obstacle);
        if let Some(owner) = obstacle {
            self.owners.push(owner);
        }
        let (owners, words) = (&self.owners, watches.as_slice());
        self.watched = !owners.as_slice().is_empty();
        crate::crash_window!("BQ-s: about to sleep");
        match owners.as_slice() {
            [] | [_] if !owners.beyond() => self.me.sleep(words, owners.only(), sure, deadline),
            _ => self.me.sleep_on_many(words, owners, obstacle, (0, 1), deadline),
        }
    }
}
