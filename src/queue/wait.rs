//! The waiting form of an operation: spin, announce, look again, sleep.
//!
//! The order is what makes it safe. The caller has just looked, so first it pauses. When spinning has not helped it announces
//! itself ([`EventCount`]), looks once more and sleeps on words that it read before that look: whatever happens after it
//! changes one of them. What these words are beside the count and the closed word is the object's own business
//! ([`Waiter::sleep`]), as is the name of its crash window there.

use super::event_count::EventCount;
use super::head::Head;
use crate::error::{ErrorKind, Result};
use crate::member::Member;
use crate::member::Spin;
use crate::sys::{Watch, Woken};
use crate::time::Deadline;

/// What a sleeper watches: the event count and, if need be, the closed word and one word more.
pub(super) struct Watches<'a> {
    list: [Watch<'a>; 3],
    len: usize,
    /// Whether every publisher is sure to see the announcement. If not, the net must be under the sleep.
    pub(super) sure: bool,
}

impl<'a> Watches<'a> {
    fn new((first, sure): (Watch<'a>, bool)) -> Self {
        Watches { list: [first; 3], len: 1, sure }
    }

    /// These and one more, if there is one. An object adds one at most.
    pub(super) fn with(mut self, watch: Option<Watch<'a>>) -> Self {
        if let Some(watch) = watch {
            self.list[self.len] = watch;
            self.len += 1;
        }
        self
    }

    pub(super) fn as_slice(&self) -> &[Watch<'a>] {
        &self.list[..self.len]
    }
}

/// One who waits, and what it has seen.
pub(super) trait Waiter {
    type Done;

    /// Looks, and remembers what is in the way. `announced` is false while it only spins: then no sleep follows.
    fn look(&mut self, announced: bool) -> Result<Option<Self::Done>>;

    /// Sleeps on these words and on what the last look found in the way.
    fn sleep(&mut self, watches: Watches<'_>, deadline: Option<Deadline>) -> Woken;
}

/// Waits until a look succeeds. The caller has just looked, and its pending pointer is at the bell. `head` is for an object
/// that can be closed.
///
/// # Errors
/// `TimedOut`; those of a look.
#[inline(always)]
pub(super) fn wait<W: Waiter>(
    me: &Member,
    deadline: Option<Deadline>,
    count: &EventCount,
    head: Option<&Head>,
    waiter: &mut W,
) -> Result<W::Done> {
    let mut spin = Spin::new(me.spinning());
    let mut slept = false;
    loop {
        if slept || spin.again() {
            slept = false;
            if let Some(done) = waiter.look(false)? {
                spin.done();
                return Ok(done);
            }
            continue;
        }
        spin.failed();
        let watches = Watches::new(count.announce(me.table()));
        // Before the look: a close that comes after it changes a word that we watch.
        let closed = head.and_then(|head| head.closed_watch(&watches.list[0]));
        let watches = watches.with(closed);
        if let Some(done) = waiter.look(true)? {
            return Ok(done);
        }
        if waiter.sleep(watches, deadline) == Woken::TimedOut {
            return Err(ErrorKind::TimedOut.into());
        }
        slept = true;
    }
}
