//! [`RawSource`]: one thing to wait for, in a segment.
//!
//! Queues and all that has an event count, work queues and listeners tell the door of the set ([`Watchers`](crate::member)). Events and
//! semaphores are set and posted by threads that are members of nothing, in one step of the kernel: a set sleeps on their own words.

use crate::member::Member;
use crate::pipe::rendezvous::RawRendezvous;
use crate::queue::broadcast::RawBroadcast;
use crate::queue::byte_queue::RawByteQueue;
use crate::queue::event_count::{Armed, EventCount};
use crate::queue::lane::Lane;
use crate::queue::latest::RawLatest;
use crate::queue::mpmc::RawQueue;
use crate::queue::not_yet::NotYet;
use crate::queue::work::RawWorkQueue;
use crate::raw::sync::{RawBoundedSemaphore, RawEvent, RawSemaphore};
use crate::sys::Watch;
use crate::time::Deadline;

/// What no count of sets, value of a semaphore or epoch of its flags is, as long as somebody may sleep there.
const NEVER: u32 = u32::MAX;

/// What is waited for.
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
#[doc(hidden)]
#[allow(missing_docs, reason = "for the set above and for models")]
pub enum Wanted<'a> {
    Pop(RawQueue),
    Push(RawQueue),
    PopBytes(RawByteQueue),
    PushBytes(RawByteQueue, usize),
    Read(Lane),
    /// So many units; whether in one piece.
    Write(Lane, u64, bool),
    Take(RawWorkQueue),
    Put(RawWorkQueue),
    /// By whoever sits there.
    Receive(RawBroadcast, u32),
    /// Than this version.
    Newer(RawLatest, u64),
    Accept(RawRendezvous),
    Set(&'a RawEvent),
    Posted(&'a RawSemaphore),
    Permit(RawBoundedSemaphore),
}

/// A thing to wait for, and what the set knows of it.
#[cfg_attr(not(interproc_loom), derive(Debug))]
#[doc(hidden)]
pub struct RawSource<'a> {
    pub(super) wanted: Wanted<'a>,
    armed: Armed,
    /// What is expected of words that are slept on.
    expected: [u32; 2],
    /// What the last look said that found nothing.
    pub(super) not_yet: NotYet,
}

impl<'a> RawSource<'a> {
    /// Nothing is known yet.
    pub fn new(wanted: Wanted<'a>) -> Self {
        RawSource { wanted, armed: Armed::default(), expected: [0; 2], not_yet: NotYet::default() }
    }

    /// The object's own count of those who sleep for it.
    #[inline(always)]
    fn count(&self) -> Option<&EventCount> {
        Some(match &self.wanted {
            Wanted::Pop(queue) => queue.poppers(),
            Wanted::Push(queue) => queue.pushers(),
            Wanted::PopBytes(queue) => queue.poppers(),
            Wanted::PushBytes(queue, _) => queue.pushers(),
            Wanted::Read(lane) => lane.readers(),
            Wanted::Write(lane, ..) => lane.writers(),
            Wanted::Receive(broadcast, _) => broadcast.subscribers_asleep(),
            Wanted::Newer(latest, _) => latest.waiters(),
            _ => return None,
        })
    }

    /// Whether nothing has happened since the last announcement, after which it was not ready, as far as nobody has died.
    #[inline]
    pub(super) fn is_quiet(&self, door: u32) -> bool {
        self.count().is_some_and(|count| count.is_quiet(door, self.armed))
    }

    /// Whether a try would not be refused with "not now". `fully`: also where that takes a lock.
    pub(super) fn look(&mut self, me: &Member, fully: bool) -> bool {
        let is_due = || self.not_yet.due.is_some_and(|due| Deadline::from_monotonic_ns(due).has_passed());
        // A look that says no more than that nothing is there; then the death of nobody matters, or of somebody.
        let plain = |found: bool, held| if found { Ok(()) } else { Err(NotYet::held(held)) };
        let found = match &self.wanted {
            Wanted::Take(queue) if fully || is_due() => queue.can_take(me),
            Wanted::Put(queue) if fully => queue.can_put(me),
            // What was found with the lock held stays.
            Wanted::Take(queue) => return queue.can_take_at_a_glance(),
            Wanted::Put(queue) => return queue.can_put_at_a_glance(),
            Wanted::Pop(queue) => queue.can_pop(me),
            Wanted::Push(queue) => queue.can_push(me),
            Wanted::PopBytes(queue) => queue.can_pop(me),
            Wanted::PushBytes(queue, len) => queue.can_push(me, *len),
            Wanted::Read(lane) => plain(lane.can_pop(me), lane.hangs_up()),
            Wanted::Write(lane, units, whole) => plain(lane.can_push(me, *units, *whole), lane.hangs_up()),
            Wanted::Receive(broadcast, seat) => plain(broadcast.can_receive(*seat), false),
            Wanted::Newer(latest, than) => plain(latest.version() > *than, false),
            Wanted::Accept(rendezvous) => plain(rendezvous.can_accept(), false),
            Wanted::Set(event) => plain(event.is_set(), false),
            Wanted::Posted(semaphore) => plain(semaphore.value() > 0, false),
            Wanted::Permit(semaphore) => plain(semaphore.can_acquire(me), true),
        };
        self.not_yet = found.err().unwrap_or_default();
        found.is_ok()
    }

    /// Announces that whoever sleeps at `door` is to be told. Whether the heavy fence is needed, and then
    /// [`announced`](Self::announced).
    pub(super) fn announce(&mut self, door: u32) -> bool {
        let mut armed = self.armed;
        let fence = self.count().map(|count| count.arm(door, &mut armed));
        if let Some(fence) = fence {
            self.armed = armed;
            return fence;
        }
        match &self.wanted {
            Wanted::Take(queue) => queue.takers().add(door),
            Wanted::Put(queue) => queue.putters().add(door),
            Wanted::Accept(rendezvous) => rendezvous.watch(door),
            // Without an announcement nobody wakes us: no sleep on what it may be by then.
            Wanted::Set(event) => self.expected[0] = event.announce().unwrap_or(NEVER),
            Wanted::Posted(semaphore) => {
                let never = if crate::mutant!("set-sleeps-unannounced") { 0 } else { NEVER };
                self.expected = semaphore.announce().unwrap_or([never; 2]);
            }
            Wanted::Permit(semaphore) => self.expected[0] = semaphore.announce(),
            _ => {}
        }
        false
    }

    /// The heavy fence is passed; `sure`: it reached every publisher.
    pub(super) fn announced(&mut self, sure: bool) {
        let mut armed = self.armed;
        if let Some(count) = self.count() {
            count.arm_fenced(&mut armed, sure);
        }
        self.armed = armed;
    }

    /// Whether a sleep needs no more for it than the door.
    pub(super) fn is_plain(&self) -> bool {
        self.count().is_some()
    }

    /// Whether every publisher is sure to tell.
    pub(super) fn is_sure(&self) -> bool {
        self.count().is_none() || self.armed.is_sure()
    }

    /// The words to sleep on beside the door, and whether a value other than the expected one is news. (If not, it is enough to be seen
    /// sleeping there.)
    pub(super) fn watches(&self) -> impl Iterator<Item = (Watch<'_>, bool)> {
        let news = |watch| Some((watch, true));
        let [first, second] = match &self.wanted {
            Wanted::Take(queue) | Wanted::Put(queue) => [Some((queue.watch(), false)), None],
            Wanted::Set(event) => [news(event.watch(self.expected[0])), None],
            Wanted::Posted(semaphore) => semaphore.watches(self.expected).map(news),
            Wanted::Permit(semaphore) => [news(semaphore.watch(self.expected[0])), None],
            _ => [None, None],
        };
        [first, second].into_iter().flatten()
    }

    /// After a sleep: whatever wake-up was taken is given to others.
    pub(super) fn slept(&self) {
        if let Wanted::Posted(semaphore) = &self.wanted {
            semaphore.pass_on();
        }
    }
}
