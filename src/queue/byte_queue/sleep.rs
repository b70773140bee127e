//! Waiting at the byte ring: the queue's way (see `event_count`), and what in-place access asks for on top.
//!
//! While a thread writes or reads *in place*, user code runs, so its death rings no bell: it is told only to whoever
//! sleeps on its slot. Therefore:
//!
//! - Whoever takes a message in place wakes a sleeping consumer, if there is one, to watch its life from then on: the
//!   message comes back if it dies.
//! - A consumer that has slept on somebody's life and leaves (with a message, or out of time) wakes another one in
//!   its place.
//! - A commit counts *all* messages behind it, also those that another record in the making is in front of
//!   ([`RawByteQueue::set_free`]): so that another one comes to watch that record.
//! - Freed room wakes all producers: each needs as many granules as its message, and one that has not enough yet must
//!   not swallow the news for one that has.

use super::raw::{RawByteQueue, Refused};
use crate::atomic::Ordering;
use crate::error::{ErrorKind, Result};
use crate::member::{Member, Owners, Spin};
use crate::queue::event_count::EventCount;
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
            Side::Consumer => &self.ring.header().not_empty,
            Side::Producer => &self.ring.header().not_full,
        }
    }

    /// The waiting form of an operation: spin, announce, look again, sleep. The caller has just looked, and its pending
    /// pointer is at the bell.
    #[cold]
    pub(super) fn wait<R>(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        side: Side,
        mut attempt: impl FnMut(Option<&mut Owners>) -> core::result::Result<R, Refused>,
    ) -> Result<R> {
        let count = self.count(side);
        let mut spin = Spin::new(me.spinning());
        let mut owners = Owners::new();
        // Whether the last sleep was on somebody's life.
        let mut watched = false;
        let mut slept = false;
        let result = loop {
            if slept || spin.again() {
                slept = false;
                match attempt(None) {
                    Ok(done) => {
                        spin.done();
                        break Ok(done);
                    }
                    Err(Refused::Closed) => break Err(ErrorKind::Closed.into()),
                    Err(Refused::Broken) => break Err(ErrorKind::Corrupt.into()),
                    Err(_) => continue,
                }
            }
            spin.failed();
            let (watch, sure) = count.announce(me.table());
            // Read before the look: a close that comes after it, whatever becomes of the closer, changes the word.
            let closed = self.ring.header().closed.load(Ordering::Acquire);
            let closed =
                Watch { word: Word::High(&self.ring.header().closed), expected: (closed >> 32) as u32 };
            owners.clear();
            let (seen, sure) = match attempt(Some(&mut owners)) {
                Ok(done) => break Ok(done),
                Err(Refused::Closed) => break Err(ErrorKind::Closed.into()),
                Err(Refused::Broken) => break Err(ErrorKind::Corrupt.into()),
                Err(Refused::NotNow(seen)) => (Some(seen), sure),
                Err(Refused::Lost) => (None, false),
            };
            let mut watches = [watch, closed, watch];
            let mut n = 1 + usize::from(!crate::mutant!("byte-no-closed-watch"));
            if let Some(seen) = seen.as_ref().filter(|_| !crate::mutant!("byte-no-cell-watch")) {
                let word = Word::Low(self.ring.ctl(seen.index));
                watches[n] = Watch { word, expected: seen.word as u32 };
                n += 1;
            }
            let obstacle = seen.and_then(|s| s.obstacle);
            if obstacle == Some(me.id()) {
                // Our own record is in front, and only we can end it.
                break Err(ErrorKind::Deadlock.into());
            }
            if let Some(owner) = obstacle {
                owners.push(owner);
            }
            watched = !owners.as_slice().is_empty();
            crate::crash_window!("B-s: about to sleep");
            let woken = match owners.as_slice() {
                [] | [_] if !owners.beyond() => me.sleep(&watches[..n], owners.only(), sure, deadline),
                _ => me.sleep_on_many(&watches[..n], &owners, obstacle, (0, 1), deadline),
            };
            if woken == Woken::TimedOut {
                break Err(ErrorKind::TimedOut.into());
            }
            slept = true;
        };
        if watched && side == Side::Consumer && !crate::mutant!("byte-watch-not-passed-on") {
            count.wake(|| 1);
        }
        result
    }
}
