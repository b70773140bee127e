//! [`Head`]: what every queue that can be closed has in its header: the closed word, and the sleepers of both sides.
//!
//! **Closing.** The closer first marks both event counts and then sets the closed word. From the mark on, publishers take
//! the careful path: in an open queue that is only slower. So the fast path tests one bit of a word that it reads anyway.
//!
//! With several consumers, one of them may wait for the end of the queue behind another's read, which began long before the close.
//! So whoever ends a read looks for the *mark* on the way, and tells the others. Between the mark and the closed word such a queue
//! passes the heavy fence ([`Head::fence_off_readers`]): a reader finds the mark, or whoever looks after the close finds the end of
//! the read. (Otherwise the reader's load of the count could come before the mark while the store that ends its read is still in
//! its store buffer.)
//!
//! A sleeper must not miss a close, even if the closer dies before it wakes anybody. Either the mark changes the count that
//! the sleeper watches, or the count was marked before; then the sleeper also watches the closed word, which it read before
//! its look ([`Head::closed_watch`]).
//!
//! The windows between mark, close and wake-up have a name in each queue's own table.

use super::event_count::EventCount;
use crate::atomic::{AtomicU64, Ordering};
use crate::member::{Member, Table};
use crate::sys::{Watch, Word};

/// In the closed word: closed, for good.
const CLOSED: u64 = 1 << 63;

/// The closed word and the two event counts. Zero is valid: open, nobody sleeps.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Head {
    /// 0 open; [`CLOSED`] for good.
    closed: AtomicU64,
    /// Consumers asleep.
    pub(super) not_empty: EventCount,
    /// Producers asleep.
    pub(super) not_full: EventCount,
}

const _: () = assert!(cfg!(interproc_loom) || size_of::<Head>() == 24);

impl Head {
    #[cfg(interproc_loom)]
    pub(super) fn new() -> Self {
        Head { closed: AtomicU64::new(0), not_empty: EventCount::new(), not_full: EventCount::new() }
    }

    /// Whether it is closed.
    #[inline(always)]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) == CLOSED
    }

    /// From now on publishers use full fences: for a participant, or a whole segment, without membarrier.
    pub(super) fn use_strong_fences(&self) {
        self.not_empty.use_strong_fences();
        self.not_full.use_strong_fences();
    }

    /// Closes. `marked` and `closed` name the queue's crash windows: before the closed word is set, and before the sleepers
    /// are woken.
    #[inline(always)]
    pub(super) fn close(&self, me: &Member, marked: impl FnOnce(), closed: impl FnOnce()) {
        let pending = me.pend();
        self.not_empty.mark_closed();
        self.not_full.mark_closed();
        marked();
        self.closed.store(CLOSED, Ordering::SeqCst);
        closed();
        if !crate::mutant!("close-no-wake") {
            self.wake_all(me.table());
        }
        me.unpend(pending);
    }

    /// For a queue of several consumers, between the mark and the closed word.
    pub(super) fn fence_off_readers(me: &Member) {
        // Where there is no heavy fence: whoever waits for the end of a read sleeps on its reader, and so under the net.
        let _ = me.table().sleeper_fence();
    }

    /// Makes every sleeper look again.
    pub(super) fn wake_all(&self, table: &Table) {
        self.not_empty.wake(table, || u32::MAX);
        self.not_full.wake(table, || u32::MAX);
    }

    /// What a sleeper must watch beside its own announcement so that it does not miss a close. To be read before the look.
    #[inline]
    pub(super) fn closed_watch(&self, announced: &Watch<'_>) -> Option<Watch<'_>> {
        let marked = EventCount::was_marked(announced) && !crate::mutant!("no-closed-watch");
        marked.then(|| {
            let closed = self.closed.load(Ordering::Acquire);
            Watch { word: Word::High(&self.closed), expected: (closed >> 32) as u32 }
        })
    }

    /// Open again and nobody asleep: for an object that nobody else uses.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn renew(&self) {
        // Relaxed: whoever else gets to see it comes after us.
        self.closed.store(0, Ordering::Relaxed);
        self.not_empty.renew();
        self.not_full.renew();
    }
}

/// The largest depth that was seen: a statistic. Relaxed throughout.
#[repr(transparent)]
#[derive(Debug)]
pub(super) struct Peak(AtomicU64);

impl Peak {
    #[cfg(interproc_loom)]
    pub(super) fn new() -> Self {
        Peak(AtomicU64::new(0))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes a depth, where others may do so at the same time.
    pub(super) fn note(&self, depth: u64) {
        if self.get() < depth {
            self.0.fetch_max(depth, Ordering::Relaxed);
        }
    }

    /// Notes a depth, where only the caller does.
    #[inline(always)]
    pub(super) fn note_alone(&self, depth: u64) {
        if self.get() < depth {
            self.0.store(depth, Ordering::Relaxed);
        }
    }

    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn renew(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What `inspect` and the handles tell of a head.
#[cfg(all(feature = "std", not(interproc_loom)))]
mod view {
    use super::{CLOSED, Head};
    use crate::decode::{ObjectBytes, State};
    use crate::error::Result;
    use crate::member::view::waiters;
    use crate::queue::event_count::EventCount;
    use core::mem::offset_of;

    impl Head {
        /// How many living threads sleep for a message. The address of the head is looked up before anything is read there:
        /// a handle may outlive its segment.
        pub(in crate::queue) fn consumers_asleep(head: *const u8) -> Result<u32> {
            waiters(head.wrapping_add(offset_of!(Head, not_empty)), size_of::<EventCount>())
        }

        /// How many living threads sleep for room.
        pub(in crate::queue) fn producers_asleep(head: *const u8) -> Result<u32> {
            waiters(head.wrapping_add(offset_of!(Head, not_full)), size_of::<EventCount>())
        }

        /// Whether the queue is closed whose head lies at this offset.
        pub(in crate::queue) fn is_closed_in(object: &ObjectBytes<'_>, at: u64) -> Option<bool> {
            Some(object.word(at.checked_add(offset_of!(Head, closed) as u64)?)? == CLOSED)
        }

        /// Adds to a state who sleeps.
        pub(in crate::queue) fn with_sleepers(state: State, object: &ObjectBytes<'_>, at: usize) -> State {
            let asleep = |count: usize| object.waiters((at + count) as u64..(at + count) as u64 + 4);
            state
                .fact("consumers asleep", asleep(offset_of!(Head, not_empty)))
                .fact("producers asleep", asleep(offset_of!(Head, not_full)))
        }

        /// A state in a word or two.
        pub(in crate::queue) fn state_of(is_closed: bool, is_empty: bool, is_full: bool) -> State {
            State::new(match () {
                () if is_closed && is_empty => "closed and drained",
                () if is_closed => "closed",
                () if is_empty => "empty",
                () if is_full => "full",
                () => "open",
            })
        }
    }
}
