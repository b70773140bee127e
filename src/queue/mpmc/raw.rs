//! [`RawQueue`]: the bounded MPMC ring under [`Queue`](crate::queue::Queue) and the C queue.
//!
//! **Promise.** Messages come out in the order of their positions, each producer's in the order of its pushes. A push that
//! returned success is delivered exactly once, unless a consumer dies. A push whose caller died is delivered at most once. A
//! death never blocks others, leaks capacity or loses a wake-up.
//!
//! The cells are the truth; head and tail are hints that may lag and never exceed it. A cell has two words:
//!
//! | word | meaning |
//! |---|---|
//! | control | idle `lap, state`, or owned by a writer or a reader: the claim is one compare-and-swap from the exact idle value |
//! | sequence | the last idle value that an owner has written: **the commit point**. The owner stores it first, then the same value in the control word |
//!
//! | an owner died; role, sequence word | meaning | what the next thread does |
//! |---|---|---|
//! | writer, EMPTY at lap L | nothing was published | consumer at L: moves the cell to L+1 and goes on; producer at L: passes; producer at L+1: writes there |
//! | writer, FULL at L | published, not yet visible | consumer at L: takes it as new |
//! | reader, FULL at L | being read | consumer at L: takes it, marked redelivered |
//! | reader, EMPTY at L+1 | consumed | anybody: makes the cell idle |
//!
//! **What a cell tells about the others.** Positions are claimed in order, and a position is claimed for the next lap only when
//! it is *done* in this one: consumed or aborted. So if `lap L, index i` is claimed, everything up to it is claimed, and
//! everything up to `L-1, i` is done. A cell that is free at lap L was claimed at L-1, so it vouches for everything up to
//! `L-2, i`, and for itself. *For no more*: an aborted cell, and one that is consumed behind a borrowed message, goes on to its
//! next lap in front of unread messages, and may do so again before they are read. A scan that concludes more skips them.
//!
//! Ids are never given out twice, so replacing a dead owner's word is free of ABA. An idle word holds 40 bits of lap, so a
//! claim is free of ABA, too.
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | Q1 | writer's control store, Release | reader's claim, Acquire | the payload |
//! | Q2 | reader's control store, Release | writer's claim, Acquire | the end of the read |
//! | Q3 | hint store, Release | hint load, Acquire | the cells before the hint, so that a scan never starts beyond what it can see |
//! | Q4 | sequence store, Release | a survivor's load, Acquire | the payload, when the control store never came |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | Q-a | a producer, claimed, not committed | a writer's cell, EMPTY | whoever waits for it, by its slot's mark; all sleepers, by the bell | the unacknowledged message |
//! | Q-b | a producer, committed, not released | a writer's cell, FULL | as Q-a | nothing: it is delivered |
//! | Q-c | a producer, released, not woken | a message, consumers asleep | the bell | nothing |
//! | Q-d | a consumer, claimed, not committed | a reader's cell, FULL | as Q-a | nothing: delivered again, flagged |
//! | Q-e | a consumer, committed, not released | a reader's cell, EMPTY at the next lap | as Q-a | the message that it had taken (pop is at-most-once) |
//! | Q-f | a consumer, released, not woken | room, producers asleep | the bell | as Q-e |
//! | Q-g | anybody before a hint store | a hint that lags | no action needed: the next operation steps over it | nothing |
//! | Q-h | a closer that has marked the counts, not closed | an open queue with slower publishers | no action needed | the close, which never returned |
//! | Q-i | a closer, closed, not woken | a closed queue; others asleep | the bell; a thread about to sleep watches the closed word | nothing |
//! | Q-s | a sleeper, announced | nothing | no action needed | nothing |
//! | Q-w | a producer that takes a dead one's cell of the lap before, its sequence not yet its own | a writer of the lap before, dead | as Q-a | nothing |
//!
//! A death that the kernel does not report (see `member::domain`) rings no bell. Whoever sleeps *on an owner* finds it by the
//! net; idle sleepers in the windows Q-c, Q-f and Q-h are woken by the next operation only.
//!
//! **Close** is a word, so that producers stop at once, and a seal, so that the end is exact: the first consumer that finds the
//! queue closed and an empty cell at its position replaces EMPTY by SEALED with one compare-and-swap. No producer can pass a
//! sealed cell, so nothing can follow a reported end.
//!
//! `scan` has the looks that this takes. Messages written and read in place: `in_place`. Pushes that displace the oldest
//! message: `displace`.
//!
//! A *live but stopped* writer blocks the consumers behind it, a live stopped reader the producers one lap later
//! ([`RawQueue::blocker`] names them).
//!
//! After Vyukov's bounded MPMC queue. Rejected: one word for lap and owner (no room for a 32-bit generation); an owner word
//! beside a sequence that must be verified after the claim (a wrong claim has to be undone, and while it stands it can make a
//! producer leave a gap that no consumer can tell from the end).

use super::layout::Ring;
use super::scan::{Behind, Claim, Refused, Seen};
use crate::atomic::Ordering;
use crate::error::{Error, ErrorKind, Result};
use crate::member::Member;
use crate::queue::event_count::EventCount;
use crate::queue::head::Head;
use crate::queue::position::{self as pos, EMPTY, FULL, LAP, Role, idle, owned};
use crate::queue::steps::{Patience, Steps};
use crate::queue::wait::{Waiter, Watches, wait};
use crate::sys::{Watch, Woken, Word};
use crate::time::Deadline;

/// How many cells a waker examines to learn how many sleepers to wake.
const COUNTED: u32 = 1 << 12;

/// The queue on a ring. All operations take the calling thread's member of the segment that the ring lies in.
///
/// # Examples
/// ```
/// use interproc::raw::member::{Domain, Table};
/// use interproc::raw::queue::{RawQueue, Ring};
/// # use core::ptr::{NonNull, null_mut};
/// # const PAGE: usize = 4096;
/// # let fd = unsafe { libc::memfd_create(c"raw".as_ptr(), libc::MFD_CLOEXEC) };
/// # assert_eq!(unsafe { libc::ftruncate(fd, 8 * PAGE as i64) }, 0);
/// # let access = libc::PROT_READ | libc::PROT_WRITE;
/// # let base = unsafe { libc::mmap(null_mut(), 8 * PAGE, access, libc::MAP_SHARED, fd, 0) };
/// # assert_ne!(base, libc::MAP_FAILED);
/// # let base = NonNull::new(base.cast::<u8>()).expect("mapped");
///
/// // A file of 8 zeroed pages is mapped at `base`: a header, two members, then the ring's memory.
/// // SAFETY: the file and its mapping stay to the end, and nobody else has them.
/// let (domain, ring) = unsafe {
///     let memory = base.add(3 * PAGE);
///     Ring::make(memory, 5 * PAGE, 8, 16)?; // by one process
///     let ring = Ring::attach(memory, 5 * PAGE)?; // by all
///     (Domain::new(Table::new(base, PAGE, PAGE, 2), fd)?, ring)
/// };
/// // SAFETY: the thread registers once, and gives its membership back before the domain ends.
/// let me = unsafe { domain.register(None) }?;
/// let queue = RawQueue::new(ring);
/// // SAFETY: a cell has the 8 bytes of an element.
/// queue.push_with(&me, None, |cell| unsafe { cell.cast::<u64>().write_unaligned(42) })?;
/// // SAFETY: as above.
/// let (number, redelivered) =
///     queue.try_pop_with(&me, |cell| unsafe { cell.cast::<u64>().read_unaligned() })?;
/// assert_eq!((number, redelivered), (42, false));
///
/// let cell = queue.reserve(&me, None)?; // written in place
/// // SAFETY: as above.
/// queue.write_in(cell, |cell| unsafe { cell.cast::<u64>().write_unaligned(43) });
/// queue.commit(&me, cell)?;
/// let (cell, _) = queue.try_borrow(&me)?;
/// // SAFETY: as above.
/// assert_eq!(queue.read_in(cell, |cell| unsafe { cell.cast::<u64>().read_unaligned() }), 43);
/// queue.put_back(&me, cell)?;
/// let (cell, redelivered) = queue.borrow(&me, None)?;
/// assert!(redelivered);
/// queue.release(&me, cell)?;
/// let cell = queue.try_reserve(&me)?;
/// queue.abort(&me, cell)?; // there is no message
/// assert!(queue.is_empty());
///
/// for number in 0..100u64 {
///     // SAFETY: as above. The oldest message is displaced.
///     queue.force_push_with(&me, drop, |cell| unsafe { cell.cast::<u64>().write_unaligned(number) })?;
/// }
/// assert!(queue.is_full() && queue.peak() == 16);
/// queue.close(&me);
/// // SAFETY: it is not used afterwards.
/// unsafe { domain.unregister(&me) };
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawQueue {
    pub(super) ring: Ring,
}

impl RawQueue {
    /// The queue on a ring.
    pub fn new(ring: Ring) -> Self {
        RawQueue { ring }
    }

    /// The ring.
    #[inline]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The most messages it holds.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.ring.capacity()
    }

    /// Ends an ownership: commit, release, wake-up. Returns whether the side is marked as closed.
    #[inline(always)]
    pub(super) fn finish(&self, me: &Member, index: u32, to: u64, side: &EventCount, careful: bool) -> bool {
        self.ring.seq(index).store(to, Ordering::Release); // Q4
        crate::crash_window!("Q-b/Q-e: committed, not released");
        if crate::mutant!("relaxed-release") {
            self.ring.ctl(index).store(to, Ordering::Relaxed);
        } else {
            self.ring.ctl(index).store(to, Ordering::Release); // Q1, Q2
        }
        crate::crash_window!("Q-c/Q-f: released, not woken");
        side.published(careful, me.table(), || self.set_free(me, index, to))
    }

    /// How many sleepers to wake for the cell that now holds the idle word `to`: one for it, and one for each cell behind it
    /// that was ready before it, up to the next one that blocks, whose owner wakes for the rest. All, once the queue is
    /// closed, as the end must reach everybody.
    #[cold]
    fn set_free(&self, me: &Member, index: u32, to: u64) -> u32 {
        if self.is_closed() {
            return u32::MAX;
        }
        let (lap, state) = pos::split(to);
        self.ready_behind(me, pos::position(lap, index), state == FULL).saturating_add(1)
    }

    /// How many cells behind a position are ready, for consumers or for producers, up to the next one that blocks.
    #[cold]
    pub(super) fn ready_behind(&self, me: &Member, mut position: u64, for_consumers: bool) -> u32 {
        let mut free = 0;
        for step in 1..self.capacity() {
            if step == COUNTED {
                return u32::MAX; // more than can be asleep
            }
            position = pos::next(position, self.capacity());
            let behind = if for_consumers {
                self.seen_by_consumers(me, position)
            } else {
                self.seen_by_producers(me, position)
            };
            match behind {
                Behind::Ready if crate::mutant!("wake-only-one") => break,
                Behind::Ready => free += 1,
                Behind::Past if crate::mutant!("hole-ends-count") => break,
                Behind::Past => {}
                Behind::InTheWay => break,
            }
        }
        free
    }

    /// The waiting form of a claim.
    fn wait(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        side: &EventCount,
        attempt: impl FnMut(&mut Steps) -> core::result::Result<Claim, Refused>,
    ) -> Result<Claim> {
        let pending = me.pend();
        let mut waiting = Waiting { queue: self, me, attempt, patience: Patience::new(), seen: None };
        let claim = wait(me, deadline, side, Some(&self.ring.header().common), &mut waiting);
        me.unpend(pending);
        claim
    }

    /// From now on publishers use full fences: for a participant, or a whole segment, without membarrier.
    pub fn use_strong_fences(&self) {
        self.ring.header().common.use_strong_fences();
    }

    /// Closes: producers are refused from now on, consumers drain what is there.
    ///
    /// # Examples
    /// See [`RawQueue`].
    pub fn close(&self, me: &Member) {
        self.ring.header().common.close(
            me,
            || {
                Head::fence_off_readers(me);
                crate::crash_window!("Q-h: marked, not closed");
            },
            || crate::crash_window!("Q-i: closed, not woken"),
        );
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.ring.header().common.is_closed()
    }

    /// Pushes the element that `fill` writes, if there is room now.
    ///
    /// # Errors
    /// `Full`, `Closed`; then `fill` was not called.
    #[inline]
    pub fn try_push_with(&self, me: &Member, fill: impl FnOnce(*mut u8)) -> Result<()> {
        self.try_push_within(me, None, fill)
    }

    /// As [`RawQueue::try_push_with`], for one message of a batch, whose steps are counted together.
    #[inline(always)]
    pub(crate) fn try_push_within(
        &self,
        me: &Member,
        steps: Option<&mut Steps>,
        fill: impl FnOnce(*mut u8),
    ) -> Result<()> {
        let pending = me.pend();
        if let Some(position) = self.claim_push_at_hint(me) {
            self.publish(me, position, Some(position), false, fill);
            me.unpend(pending);
            return Ok(());
        }
        let result = self.try_to_claim_push(me, steps).map(|claim| self.publish_late(me, &claim, fill));
        me.unpend(pending);
        result
    }

    /// The rest of a try, off the fast path. It never sees the message: see [`RawQueue::publish_late`].
    #[cold]
    #[inline(never)]
    fn try_to_claim_push(&self, me: &Member, steps: Option<&mut Steps>) -> Result<Claim> {
        self.claim_push_within(me, steps.unwrap_or(&mut self.steps()))
            .map_err(|refused| self.refused_push(&refused))
    }

    /// Publishes by a claim that was not made at the hint. It is part of its caller, as the fast path is: a message that went to a
    /// function of its own would have its place in memory, and the fast path would wait for the stores that made it.
    #[inline(always)]
    fn publish_late(&self, me: &Member, claim: &Claim, fill: impl FnOnce(*mut u8)) {
        self.publish(me, claim.position, claim.hint, claim.careful, fill);
        self.note_depth(claim.position);
    }

    /// The error of a push that does not wait.
    #[cold]
    pub(super) fn refused_push(&self, refused: &Refused) -> Error {
        if matches!(refused, Refused::Closed) {
            return ErrorKind::Closed.into();
        }
        self.note_full();
        ErrorKind::Full.into()
    }

    /// Pushes the element that `fill` writes, waiting for room until `deadline` if one is given.
    ///
    /// # Errors
    /// `Closed`, `TimedOut`, `Deadlock` when the caller itself owns the cell; then `fill` was not called.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn push_with(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        fill: impl FnOnce(*mut u8),
    ) -> Result<()> {
        let pending = me.pend();
        if let Some(position) = self.claim_push_at_hint(me) {
            self.publish(me, position, Some(position), false, fill);
            me.unpend(pending);
            return Ok(());
        }
        let result = self.claim_push_by(me, deadline).map(|claim| self.publish_late(me, &claim, fill));
        me.unpend(pending);
        result
    }

    #[cold]
    #[inline(never)]
    fn claim_push_by(&self, me: &Member, deadline: Option<Deadline>) -> Result<Claim> {
        match self.claim_push(me) {
            Ok(claim) => Ok(claim),
            Err(Refused::Closed) => Err(ErrorKind::Closed.into()),
            Err(_) => self.wait_push(me, deadline),
        }
    }

    #[cold]
    pub(super) fn wait_push(&self, me: &Member, deadline: Option<Deadline>) -> Result<Claim> {
        self.note_full();
        let side = &self.ring.header().common.not_full;
        self.wait(me, deadline, side, |steps| self.claim_push_within(me, steps))
    }

    /// Pops an element through `drain`, if there is one now. The flag says that it is delivered again.
    ///
    /// # Errors
    /// `Empty`, `Closed`; then `drain` was not called.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn try_pop_with<R>(&self, me: &Member, drain: impl FnOnce(*const u8) -> R) -> Result<(R, bool)> {
        self.try_pop_within(me, None, drain)
    }

    /// As [`RawQueue::try_pop_with`], for one message of a batch, whose steps are counted together.
    #[inline(always)]
    pub(crate) fn try_pop_within<R>(
        &self,
        me: &Member,
        steps: Option<&mut Steps>,
        drain: impl FnOnce(*const u8) -> R,
    ) -> Result<(R, bool)> {
        let pending = me.pend();
        if let Some(position) = self.claim_pop_at_hint(me) {
            let value = self.consume(me, position, Some(position), false, drain);
            me.unpend(pending);
            return Ok((value, false));
        }
        let result = self.try_to_claim_pop(me, steps).map(|claim| self.consume_late(me, &claim, drain));
        me.unpend(pending);
        result
    }

    #[cold]
    #[inline(never)]
    fn try_to_claim_pop(&self, me: &Member, steps: Option<&mut Steps>) -> Result<Claim> {
        match self.claim_pop_within(me, steps.unwrap_or(&mut self.steps())) {
            Ok(claim) => Ok(claim),
            Err(Refused::Closed) => Err(ErrorKind::Closed.into()),
            Err(_) => Err(ErrorKind::Empty.into()),
        }
    }

    #[inline(always)]
    fn consume_late<R>(&self, me: &Member, claim: &Claim, drain: impl FnOnce(*const u8) -> R) -> (R, bool) {
        (self.consume(me, claim.position, claim.hint, claim.careful, drain), claim.again)
    }

    /// Pops an element through `drain`, waiting for one until `deadline` if one is given.
    ///
    /// # Errors
    /// `Closed` when closed and drained, `TimedOut`, `Deadlock` as for a push; then `drain` was not called.
    #[inline]
    pub fn pop_with<R>(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        drain: impl FnOnce(*const u8) -> R,
    ) -> Result<(R, bool)> {
        let pending = me.pend();
        if let Some(position) = self.claim_pop_at_hint(me) {
            let value = self.consume(me, position, Some(position), false, drain);
            me.unpend(pending);
            return Ok((value, false));
        }
        let result = self.claim_pop_by(me, deadline).map(|claim| self.consume_late(me, &claim, drain));
        me.unpend(pending);
        result
    }

    #[cold]
    #[inline(never)]
    fn claim_pop_by(&self, me: &Member, deadline: Option<Deadline>) -> Result<Claim> {
        match self.claim_pop(me) {
            Ok(claim) => Ok(claim),
            Err(Refused::Closed) => Err(ErrorKind::Closed.into()),
            Err(_) => self.wait_pop(me, deadline),
        }
    }

    #[cold]
    pub(super) fn wait_pop(&self, me: &Member, deadline: Option<Deadline>) -> Result<Claim> {
        let side = &self.ring.header().common.not_empty;
        self.wait(me, deadline, side, |steps| self.claim_pop_within(me, steps))
    }

    /// Fills a claimed cell and publishes it. `hint` is where the scan started, if the hint may move.
    #[inline(always)]
    pub(super) fn publish(
        &self,
        me: &Member,
        position: u64,
        hint: Option<u64>,
        careful: bool,
        fill: impl FnOnce(*mut u8),
    ) {
        let index = pos::index(position);
        crate::crash_window!("Q-a: claimed, not committed");
        self.ring.fill(index, fill);
        let header = self.ring.header();
        self.finish(me, index, idle(position, FULL), &header.common.not_empty, careful);
        // Relaxed load: it only keeps a slower producer from moving the hint back. Q-g.
        if Some(header.tail.load(Ordering::Relaxed)) == hint {
            header.tail.store(pos::next(position, self.ring.capacity()), Ordering::Release); // Q3
        }
    }

    /// Empties a claimed cell and gives it to the next lap. `hint` as above.
    #[inline(always)]
    fn consume<R>(
        &self,
        me: &Member,
        position: u64,
        hint: Option<u64>,
        careful: bool,
        drain: impl FnOnce(*const u8) -> R,
    ) -> R {
        let index = pos::index(position);
        crate::crash_window!("Q-d: claimed, not committed");
        let value = self.ring.drain(index, drain);
        self.done_with(me, position, hint, careful);
        value
    }

    /// Gives a claimed cell whose message is done to the next lap. `hint` as above.
    #[inline(always)]
    pub(super) fn done_with(&self, me: &Member, position: u64, hint: Option<u64>, careful: bool) {
        let header = self.ring.header();
        let to = idle(position.wrapping_add(LAP), EMPTY);
        let marked = self.finish(me, pos::index(position), to, &header.common.not_full, careful);
        if Some(header.head.load(Ordering::Relaxed)) == hint {
            header.head.store(pos::next(position, self.ring.capacity()), Ordering::Release); // Q3
        }
        if marked && !crate::mutant!("end-behind-a-reader-untold") {
            // Others may wait for this pop to finish before they can find the end of the queue.
            header.common.not_empty.wake(me.table(), || u32::MAX);
        }
    }

    /// The fast path to a cell: nobody needs to be careful, and the hint is right. On `None` the caller starts anew.
    #[inline(always)]
    pub(super) fn claim_push_at_hint(&self, me: &Member) -> Option<u64> {
        let header = self.ring.header();
        let careful = header.common.not_empty.is_careful();
        let hint = header.tail.load(Ordering::Acquire); // Q3
        let index = pos::index(hint);
        if careful || index >= self.ring.capacity() {
            return None;
        }
        let (from, to) = (idle(hint, EMPTY), owned(me.id(), Role::Writer));
        // No load first: the former reader's core has the line, and a load would fetch it twice, once to read and once
        // to own. Q2: after the former reader.
        let claimed =
            self.ring.ctl(index).compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok();
        claimed.then_some(hint)
    }

    /// The fast path to a message.
    #[inline(always)]
    pub(super) fn claim_pop_at_hint(&self, me: &Member) -> Option<u64> {
        let header = self.ring.header();
        let careful = header.common.not_full.is_careful();
        let hint = header.head.load(Ordering::Acquire); // Q3
        let index = pos::index(hint);
        if careful || index >= self.ring.capacity() {
            return None;
        }
        let (from, to) = (idle(hint, FULL), owned(me.id(), Role::Reader));
        // This loads the sequence, not the word of the exchange: a load next to a locked operation on the same word
        // waits for the store buffer. Relaxed: the exchange decides. Q1: after the writer's payload.
        let claimed = self.ring.seq(index).load(Ordering::Relaxed) == from
            && self.ring.ctl(index).compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok();
        claimed.then_some(hint)
    }
}

/// A thread that waits for a claim.
struct Waiting<'a, F> {
    queue: &'a RawQueue,
    me: &'a Member,
    attempt: F,
    patience: Patience,
    /// What refused the last look. `None` if its scan gave up.
    seen: Option<Seen>,
}

impl<F: FnMut(&mut Steps) -> core::result::Result<Claim, Refused>> Waiter for Waiting<'_, F> {
    type Done = Claim;

    fn look(&mut self, _: bool) -> Result<Option<Claim>> {
        let mut steps = self.queue.steps_times(self.patience.times());
        let found = (self.attempt)(&mut steps);
        self.patience.after(matches!(found, Err(Refused::Lost)));
        self.seen = match found {
            Ok(claim) => return Ok(Some(claim)),
            Err(Refused::Closed) => return Err(ErrorKind::Closed.into()),
            // The caller itself owns what it waits for: only it can give that back.
            Err(Refused::NotNow(seen)) if seen.is_owned_by(self.me.id()) => {
                return Err(ErrorKind::Deadlock.into());
            }
            Err(Refused::NotNow(seen)) => Some(seen),
            Err(Refused::Lost) => None,
        };
        Ok(None)
    }

    fn sleep(&mut self, watches: Watches<'_>, deadline: Option<Deadline>) -> Woken {
        // Any claim of the cell that refused us changes its word.
        let cell = self.seen.as_ref().filter(|_| !crate::mutant!("no-cell-watch")).map(|seen| Watch {
            word: Word::Low(self.queue.ring.ctl(seen.index)),
            expected: seen.word as u32,
        });
        let watches = watches.with(cell);
        let sure = watches.sure && self.seen.is_some();
        let obstacle = self.seen.as_ref().and_then(|seen| seen.obstacle);
        crate::crash_window!("Q-s: about to sleep");
        self.me.sleep(watches.as_slice(), obstacle, sure, deadline)
    }
}
