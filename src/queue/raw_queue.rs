//! [`RawQueue`]: the bounded MPMC ring under [`Queue`](crate::queue::Queue) and the C queue.
//!
//! **Promise.** Messages come out in the order of their positions, each producer's in the order of its pushes.
//! A push that returned success is delivered, exactly once but for a consumer's death; a push whose caller died is
//! delivered at most once. No death blocks, loses room or wakes nobody.
//!
//! The cells are the truth; head and tail are hints that may lag and never exceed it. A cell has two words:
//!
//! | word | meaning |
//! |---|---|
//! | control | idle `lap, state`, or owned by a writer or a reader: the claim is one compare-and-swap from the exact idle value |
//! | sequence | the last idle value that an owner has written: **the commit point**. The owner stores it, then the same value in the control word |
//!
//! | an owner died; role, sequence word | meaning | what the next one does |
//! |---|---|---|
//! | writer, EMPTY at lap L | nothing was published | consumer at L: moves the cell to L+1 and goes on; producer at L: passes; producer at L+1: writes there |
//! | writer, FULL at L | published, not yet visible | consumer at L: takes it as new |
//! | reader, FULL at L | being read | consumer at L: takes it, marked redelivered |
//! | reader, EMPTY at L+1 | consumed | anybody: makes the cell idle |
//!
//! Because ids are never given out twice, replacing a dead owner's word is free of ABA; because an idle word holds
//! 40 bits of lap, so is a claim.
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
//! | Q-a | a producer, claimed, not committed | a writer's cell, EMPTY | by its slot's mark who waits for it; by the bell all who sleep | the unacknowledged message |
//! | Q-b | a producer, committed, not released | a writer's cell, FULL | as Q-a | nothing: it is delivered |
//! | Q-c | a producer, released, not woken | a message, consumers asleep | the bell | nothing |
//! | Q-d | a consumer, claimed, not committed | a reader's cell, FULL | as Q-a | nothing: redelivered, and said so |
//! | Q-e | a consumer, committed, not released | a reader's cell, EMPTY at the next lap | as Q-a | the message it had taken (at-most-once by nature) |
//! | Q-f | a consumer, released, not woken | room, producers asleep | the bell | as Q-e |
//! | Q-g | anybody before a hint store | a hint that lags | nobody: the next operation steps over it | nothing |
//! | Q-h | a closer that has marked the counts, not closed | an open queue with slower publishers | nobody need | the close, which never returned |
//! | Q-i | a closer, closed, not woken | a closed queue; others asleep | the bell; who was about to sleep watches the closed word | nothing |
//!
//! A death that the kernel does not report (see `member::domain`) rings no bell: whoever sleeps *on an owner*
//! finds it by the net; idle sleepers in the windows Q-c, Q-f and Q-h are woken by the next operation only.
//!
//! **Close** is a word, so that producers stop at once, and a seal, so that the end is exact: the first consumer
//! that finds it closed and an empty cell at its position replaces EMPTY by SEALED with one compare-and-swap. No
//! producer can pass a sealed cell, so nothing can come after an end that was reported.
//!
//! A *live stopped* writer blocks the consumers behind it, a live stopped reader the producers one lap later
//! ([`RawQueue::blocker`] names them).
//!
//! After Vyukov's bounded MPMC queue. Rejected: one word for lap and owner (no room for a 32-bit generation); an
//! owner word beside a sequence that must be verified after the claim (a wrong claim has to be undone, and while
//! it stands it can make a producer leave a gap that no consumer can tell from the end).

use super::event_count::EventCount;
use super::position::{self as pos, Ctl, EMPTY, FULL, LAP, Role, SEALED, SKIP, idle, owned};
use super::ring::{CLOSED, Ring};
use crate::atomic::{Ordering, spin_loop};
use crate::error::{Error, ErrorKind, Result};
use crate::member::{Life, Member, OwnerId};
use crate::sync::Spin;
use crate::sys::{Watch, Woken, Word};
use crate::time::Deadline;

/// The ring. All operations take the calling thread's member of the segment that the ring lies in.
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawQueue {
    pub(super) ring: Ring,
}

/// Why an operation cannot be done now.
pub(super) enum Refused {
    /// Full or empty: what the cell that says so looked like.
    NotNow(Seen),
    /// The scan gave up: contention beyond reason, or scribbled hints. Treated as "not now", under the net.
    Lost,
    /// Closed, and for a consumer drained.
    Closed,
}

/// A cell that refused, and the live owner that stands in the way there, if any.
pub(super) struct Seen {
    index: u32,
    word: u64,
    obstacle: Option<OwnerId>,
}

/// What a scan found at a position.
pub(super) enum Found {
    /// The cell is ours, claimed for this position.
    Mine { redelivered: bool },
    /// Go on at this position; `passed` is the live reader whose cell was passed over.
    GoTo { position: u64, passed: Option<OwnerId> },
    /// The cell changed under us: look again.
    Again,
    /// Not now, or closed.
    Refused(Refused),
}

/// A claimed cell.
pub(super) struct Claim {
    pub(super) position: u64,
    pub(super) redelivered: bool,
    /// Where the scan began, if everything from there to the position is done: then the hint may move.
    pub(super) hint: Option<u64>,
    /// Whether its publication has to be careful.
    pub(super) careful: bool,
}

/// An owned cell, read consistently.
pub(super) struct OwnedCell {
    pub(super) role: Role,
    pub(super) dead: bool,
    pub(super) owner: Option<OwnerId>,
    pub(super) sequence: u64,
}

impl RawQueue {
    /// The queue on a ring.
    pub fn new(ring: Ring) -> Self {
        RawQueue { ring }
    }

    /// The ring.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The most messages it holds.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.ring.capacity()
    }

    /// Runs one scan from a hint until `look` has an answer. Bounded: a hint or cell that somebody scribbled
    /// cannot keep it busy for ever, it then answers "not now".
    pub(super) fn scan(
        &self,
        hint: u64,
        careful: bool,
        mut look: impl FnMut(u64) -> Found,
    ) -> core::result::Result<Claim, Refused> {
        let capacity = self.ring.capacity();
        let mut position = if pos::index(hint) < capacity { hint } else { pos::position(pos::lap(hint), 0) };
        let mut from = Some(hint);
        let mut over = None;
        let mut backoff = 1;
        for _ in 0..u64::from(capacity) * 4 + 4096 {
            match look(position) {
                Found::Mine { redelivered } => {
                    return Ok(Claim { position, redelivered, hint: from, careful });
                }
                Found::GoTo { position: to, passed } => {
                    position = to;
                    if passed.is_some() {
                        from = None;
                        over = passed;
                    }
                }
                Found::Again => {
                    // Back-off on every lost claim, the first included: it keeps the line with the winner.
                    for _ in 0..backoff {
                        spin_loop();
                    }
                    backoff = (backoff * 2).min(16);
                }
                Found::Refused(Refused::NotNow(seen)) => {
                    // A reader that was passed over stands in the way, too: its message comes back if it dies.
                    let over = over.filter(|_| !crate::mutant!("passed-reader-forgotten"));
                    return Err(Refused::NotNow(Seen { obstacle: seen.obstacle.or(over), ..seen }));
                }
                Found::Refused(refused) => return Err(refused),
            }
        }
        Err(Refused::Lost)
    }

    /// Reads an owned cell: control, sequence, control again. The sequence only grows, so if the same owner word
    /// stands before and after, the owner holds the cell at that sequence or a later one.
    pub(super) fn read_owned(&self, me: &Member, index: u32, word: u64) -> Option<OwnedCell> {
        let Ctl::Owned { owner, role } = Ctl::read(word) else { return None };
        let dead = owner.is_none_or(|o| me.table().life(o) == Life::Dead);
        let sequence = self.ring.seq(index).load(Ordering::Acquire); // Q4
        let again = self.ring.ctl(index).load(Ordering::Acquire);
        (again == word).then_some(OwnedCell { role, dead, owner, sequence })
    }

    /// Replaces a dead owner's word. Free of ABA: a dead id never comes back.
    pub(super) fn replace(&self, index: u32, word: u64, with: u64) -> bool {
        self.ring.ctl(index).compare_exchange(word, with, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Ends an ownership: the commit, then the release, then the wake-up.
    #[inline(always)]
    fn finish(&self, index: u32, to: u64, side: &EventCount, careful: bool) {
        self.ring.seq(index).store(to, Ordering::Release); // Q4
        crate::crash_window!("Q-b/Q-e: committed, not released");
        if crate::mutant!("relaxed-release") {
            self.ring.ctl(index).store(to, Ordering::Relaxed);
        } else {
            self.ring.ctl(index).store(to, Ordering::Release); // Q1, Q2
        }
        crate::crash_window!("Q-c/Q-f: released, not woken");
        side.published(careful, || self.set_free(index, to));
    }

    /// How many sleepers the cell that now holds the idle word `to` is worth: itself and the cells behind it that
    /// were ready before it; all, once the queue is closed, as the end must reach everybody.
    #[cold]
    fn set_free(&self, index: u32, to: u64) -> u32 {
        if self.is_closed() {
            return u32::MAX;
        }
        let (lap, state) = pos::split(to);
        let mut position = pos::position(lap, index);
        let mut free = 1;
        while free < self.capacity() && !crate::mutant!("wake-only-one") {
            position = pos::next(position, self.capacity());
            if self.ring.ctl(pos::index(position)).load(Ordering::Acquire) != idle(position, state) {
                break;
            }
            free += 1;
        }
        free
    }

    /// The waiting form of an operation: spin, announce, look again, sleep.
    pub(super) fn wait<'a, R>(
        &'a self,
        me: &Member,
        deadline: Option<Deadline>,
        side: &'a EventCount,
        mut attempt: impl FnMut() -> core::result::Result<R, Refused>,
    ) -> Result<R> {
        let pending = me.pend();
        let mut spin = Spin::new(me.spinning());
        // The caller has just looked: first a pause, then another look.
        let mut slept = false;
        let result = loop {
            if slept || spin.again() {
                slept = false;
                match attempt() {
                    Ok(done) => {
                        spin.done();
                        break Ok(done);
                    }
                    Err(Refused::Closed) => break Err(ErrorKind::Closed.into()),
                    Err(_) => continue,
                }
            }
            spin.failed();
            let (watch, sure) = side.announce(me.table());
            // Read before the look: a close that comes after it, whatever becomes of the closer, changes the word.
            let closed = self.ring.header().closed.load(Ordering::Acquire);
            let closed =
                Watch { word: Word::High(&self.ring.header().closed), expected: (closed >> 32) as u32 };
            let (seen, sure) = match attempt() {
                Ok(done) => break Ok(done),
                Err(Refused::Closed) => break Err(ErrorKind::Closed.into()),
                Err(Refused::NotNow(seen)) => (Some(seen), sure),
                Err(Refused::Lost) => (None, false),
            };
            let mut watches = [watch, closed, watch];
            let mut n = 1 + usize::from(!crate::mutant!("no-closed-watch"));
            if let Some(seen) = seen.as_ref().filter(|_| !crate::mutant!("no-cell-watch")) {
                let word = Word::Low(self.ring.ctl(seen.index));
                watches[n] = Watch { word, expected: seen.word as u32 };
                n += 1;
            }
            let obstacle = seen.and_then(|s| s.obstacle);
            crate::crash_window!("E1: about to sleep");
            if me.sleep(&watches[..n], obstacle, sure, deadline) == Woken::TimedOut {
                break Err(Error::from(ErrorKind::TimedOut));
            }
            slept = true;
        };
        me.unpend(pending);
        result
    }

    /// From now on publishers use full fences: for a participant, or a whole segment, without membarrier.
    pub fn use_strong_fences(&self) {
        self.ring.header().not_empty.use_strong_fences();
        self.ring.header().not_full.use_strong_fences();
    }

    /// How many messages are in it: a snapshot, exact when nobody is at work. A cell that a producer claimed and died in
    /// holds no message and is no room either, until a consumer has passed it.
    pub fn len(&self) -> u32 {
        let (head, tail) = self.bounds();
        pos::distance(head, tail, self.capacity())
    }

    /// Whether it is empty: a snapshot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is full: a snapshot.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// The hints, moved on over what lagging ones have missed.
    fn bounds(&self) -> (u64, u64) {
        let advance = |mut position: u64, done: &dyn Fn(i64, u64) -> bool| {
            let capacity = self.ring.capacity();
            if pos::index(position) >= capacity {
                position = pos::position(pos::lap(position), 0);
            }
            for _ in 0..capacity {
                let index = pos::index(position);
                let word = match Ctl::read(self.ring.ctl(index).load(Ordering::Acquire)) {
                    Ctl::Idle { lap, state } => (lap, state),
                    Ctl::Owned { .. } => pos::split(self.ring.seq(index).load(Ordering::Acquire)),
                };
                if !done(pos::laps_ahead(word.0, pos::lap(position)), word.1) {
                    break;
                }
                position = pos::next(position, capacity);
            }
            position
        };
        let head = advance(self.ring.header().head.load(Ordering::Acquire), &|ahead, _| ahead > 0);
        let tail = advance(self.ring.header().tail.load(Ordering::Acquire), &|ahead, state| {
            ahead > 0 || (ahead == 0 && (state == FULL || state == SKIP))
        });
        (head, tail)
    }

    /// Closes: producers are refused from now on, consumers drain what is there.
    pub fn close(&self, me: &Member) {
        let pending = me.pend();
        let header = self.ring.header();
        // Marked first: a publisher that is careful in an open queue is only slower.
        header.not_empty.mark_closed();
        header.not_full.mark_closed();
        crate::crash_window!("Q-h: marked, not closed");
        // Whoever is about to sleep watches this word.
        header.closed.store(CLOSED, Ordering::SeqCst);
        crate::crash_window!("Q-i: closed, not woken");
        if !crate::mutant!("close-no-wake") {
            header.not_empty.wake(|| u32::MAX);
            header.not_full.wake(|| u32::MAX);
        }
        me.unpend(pending);
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.ring.header().closed.load(Ordering::Acquire) == CLOSED
    }

    /// Who, alive and inside an operation, stands between the consumers and the next message, or between the
    /// producers and the next free cell: a snapshot, to find out whom a stopped process blocks.
    pub fn blocker(&self, me: &Member) -> Option<OwnerId> {
        let (head, tail) = self.bounds();
        [head, tail].into_iter().find_map(|position| {
            let index = pos::index(position);
            let word = self.ring.ctl(index).load(Ordering::Acquire);
            let cell = self.read_owned(me, index, word)?;
            cell.owner.filter(|_| !cell.dead)
        })
    }

    /// Pushes the element that `fill` writes, if there is room now.
    ///
    /// # Errors
    /// `Full`, `Closed`; then `fill` was not called.
    #[inline]
    pub fn try_push_with(&self, me: &Member, fill: impl FnOnce(*mut u8)) -> Result<()> {
        let pending = me.pend();
        if let Some(position) = self.claim_push_at_hint(me) {
            self.publish(position, Some(position), false, fill);
            me.unpend(pending);
            return Ok(());
        }
        let result = self.try_push_slow(me, fill);
        me.unpend(pending);
        result
    }

    #[cold]
    fn try_push_slow(&self, me: &Member, fill: impl FnOnce(*mut u8)) -> Result<()> {
        match self.claim_push(me) {
            Ok(claim) => {
                self.publish(claim.position, claim.hint, claim.careful, fill);
                Ok(())
            }
            Err(Refused::Closed) => Err(ErrorKind::Closed.into()),
            Err(_) => Err(ErrorKind::Full.into()),
        }
    }

    /// Pushes the element that `fill` writes, waiting for room until `deadline` if one is given.
    ///
    /// # Errors
    /// `Closed`, `TimedOut`; then `fill` was not called.
    #[inline]
    pub fn push_with(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        fill: impl FnOnce(*mut u8),
    ) -> Result<()> {
        let pending = me.pend();
        if let Some(position) = self.claim_push_at_hint(me) {
            self.publish(position, Some(position), false, fill);
            me.unpend(pending);
            return Ok(());
        }
        let result = self.push_slow(me, deadline, fill);
        me.unpend(pending);
        result
    }

    #[cold]
    fn push_slow(&self, me: &Member, deadline: Option<Deadline>, fill: impl FnOnce(*mut u8)) -> Result<()> {
        let claim = match self.claim_push(me) {
            Ok(claim) => claim,
            Err(Refused::Closed) => return Err(ErrorKind::Closed.into()),
            Err(_) => self.wait_push(me, deadline)?,
        };
        self.publish(claim.position, claim.hint, claim.careful, fill);
        Ok(())
    }

    #[cold]
    fn wait_push(&self, me: &Member, deadline: Option<Deadline>) -> Result<Claim> {
        self.wait(me, deadline, &self.ring.header().not_full, || self.claim_push(me))
    }

    /// Pops an element through `drain`, if there is one now. The flag says that a consumer died reading it.
    ///
    /// # Errors
    /// `Empty`, `Closed`; then `drain` was not called.
    #[inline]
    pub fn try_pop_with<R>(&self, me: &Member, drain: impl FnOnce(*const u8) -> R) -> Result<(R, bool)> {
        let pending = me.pend();
        if let Some(position) = self.claim_pop_at_hint(me) {
            let value = self.consume(position, Some(position), false, drain);
            me.unpend(pending);
            return Ok((value, false));
        }
        let result = self.try_pop_slow(me, drain);
        me.unpend(pending);
        result
    }

    #[cold]
    fn try_pop_slow<R>(&self, me: &Member, drain: impl FnOnce(*const u8) -> R) -> Result<(R, bool)> {
        match self.claim_pop(me) {
            Ok(claim) => {
                Ok((self.consume(claim.position, claim.hint, claim.careful, drain), claim.redelivered))
            }
            Err(Refused::Closed) => Err(ErrorKind::Closed.into()),
            Err(_) => Err(ErrorKind::Empty.into()),
        }
    }

    /// Pops an element through `drain`, waiting for one until `deadline` if one is given.
    ///
    /// # Errors
    /// `Closed` when closed and drained, `TimedOut`; then `drain` was not called.
    #[inline]
    pub fn pop_with<R>(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        drain: impl FnOnce(*const u8) -> R,
    ) -> Result<(R, bool)> {
        let pending = me.pend();
        if let Some(position) = self.claim_pop_at_hint(me) {
            let value = self.consume(position, Some(position), false, drain);
            me.unpend(pending);
            return Ok((value, false));
        }
        let result = self.pop_slow(me, deadline, drain);
        me.unpend(pending);
        result
    }

    #[cold]
    fn pop_slow<R>(
        &self,
        me: &Member,
        deadline: Option<Deadline>,
        drain: impl FnOnce(*const u8) -> R,
    ) -> Result<(R, bool)> {
        let claim = match self.claim_pop(me) {
            Ok(claim) => claim,
            Err(Refused::Closed) => return Err(ErrorKind::Closed.into()),
            Err(_) => self.wait_pop(me, deadline)?,
        };
        Ok((self.consume(claim.position, claim.hint, claim.careful, drain), claim.redelivered))
    }

    #[cold]
    fn wait_pop(&self, me: &Member, deadline: Option<Deadline>) -> Result<Claim> {
        self.wait(me, deadline, &self.ring.header().not_empty, || self.claim_pop(me))
    }

    /// Fills a claimed cell and publishes it. `hint` is where the scan began, if the hint may move.
    #[inline(always)]
    fn publish(&self, position: u64, hint: Option<u64>, careful: bool, fill: impl FnOnce(*mut u8)) {
        let index = pos::index(position);
        crate::crash_window!("Q-a: claimed, not committed");
        self.ring.fill(index, fill);
        let header = self.ring.header();
        self.finish(index, idle(position, FULL), &header.not_empty, careful);
        // Relaxed load: only to keep a slower producer from moving the hint back. Q-g.
        if Some(header.tail.load(Ordering::Relaxed)) == hint {
            header.tail.store(pos::next(position, self.ring.capacity()), Ordering::Release); // Q3
        }
    }

    /// Empties a claimed cell and gives it to the next lap. `hint` as above.
    #[inline(always)]
    fn consume<R>(
        &self,
        position: u64,
        hint: Option<u64>,
        careful: bool,
        drain: impl FnOnce(*const u8) -> R,
    ) -> R {
        let index = pos::index(position);
        crate::crash_window!("Q-d: claimed, not committed");
        let value = self.ring.drain(index, drain);
        let header = self.ring.header();
        self.finish(index, idle(position.wrapping_add(LAP), EMPTY), &header.not_full, careful);
        if Some(header.head.load(Ordering::Relaxed)) == hint {
            header.head.store(pos::next(position, self.ring.capacity()), Ordering::Release); // Q3
        }
        if careful && self.is_closed() {
            // Others may wait for this pop to end, to find the end of the queue.
            header.not_empty.wake(|| u32::MAX);
        }
        value
    }

    /// The short way to a cell: nobody need be careful, and the hint is right. What comes after a `None` begins anew.
    #[inline(always)]
    fn claim_push_at_hint(&self, me: &Member) -> Option<u64> {
        let header = self.ring.header();
        let careful = header.not_empty.is_careful();
        let hint = header.tail.load(Ordering::Acquire); // Q3
        let index = pos::index(hint);
        if careful || index >= self.ring.capacity() {
            return None;
        }
        let (from, to) = (idle(hint, EMPTY), owned(me.id(), Role::Writer));
        // No look before: the former reader has the line, and a look would fetch it twice, once to read and once
        // to own. Q2: after the former reader.
        let claimed =
            self.ring.ctl(index).compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok();
        claimed.then_some(hint)
    }

    /// The same for a message.
    #[inline(always)]
    fn claim_pop_at_hint(&self, me: &Member) -> Option<u64> {
        let header = self.ring.header();
        let careful = header.not_full.is_careful();
        let hint = header.head.load(Ordering::Acquire); // Q3
        let index = pos::index(hint);
        if careful || index >= self.ring.capacity() {
            return None;
        }
        let (from, to) = (idle(hint, FULL), owned(me.id(), Role::Reader));
        // The look is at the sequence, not at the word of the exchange: a load next to a locked operation on the
        // same word waits for the store buffer. Relaxed: the exchange decides. Q1: after the writer's payload.
        let claimed = self.ring.seq(index).load(Ordering::Relaxed) == from
            && self.ring.ctl(index).compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok();
        claimed.then_some(hint)
    }

    #[inline]
    pub(super) fn claim_push(&self, me: &Member) -> core::result::Result<Claim, Refused> {
        let header = self.ring.header();
        let careful = header.not_empty.is_careful();
        // A push that races with the close may still get in; the seal makes the end exact.
        if careful && self.is_closed() {
            return Err(Refused::Closed);
        }
        let hint = header.tail.load(Ordering::Acquire); // Q3
        self.scan(hint, careful, |position| self.look_to_push(me, position))
    }

    #[inline]
    pub(super) fn claim_pop(&self, me: &Member) -> core::result::Result<Claim, Refused> {
        let careful = self.ring.header().not_full.is_careful();
        let hint = self.ring.header().head.load(Ordering::Acquire); // Q3
        self.scan(hint, careful, |position| self.look_to_pop(me, position))
    }

    /// One look at the cell of a position that a producer would like.
    #[cold]
    fn look_to_push(&self, me: &Member, position: u64) -> Found {
        let capacity = self.ring.capacity();
        let (lap, index) = (pos::lap(position), pos::index(position));
        let word = self.ring.ctl(index).load(Ordering::Acquire);
        let go_to = |position| Found::GoTo { position, passed: None };
        let refused = |obstacle| Found::Refused(Refused::NotNow(Seen { index, word, obstacle }));
        let next_of = |lap| go_to(pos::next(pos::position(lap, index), capacity));
        let mine = owned(me.id(), Role::Writer);
        match Ctl::read(word) {
            Ctl::Idle { lap: at, state } => match (pos::laps_ahead(at, lap), state) {
                (0, EMPTY) => {
                    if self.replace(index, word, mine) {
                        Found::Mine { redelivered: false }
                    } else {
                        Found::Again
                    }
                }
                (_, SEALED) => Found::Refused(Refused::Closed),
                (-1, FULL) => refused(None),
                (-1, SKIP) => self.write_over(index, word, mine, position),
                // A lap behind the truth, or scribbled: begin where the cell is.
                (..=-1, _) => go_to(pos::position(at, index)),
                // Taken at this lap, or the hint lags by laps.
                (_, EMPTY) => next_of(at.wrapping_sub(1)),
                _ => next_of(at),
            },
            Ctl::Owned { .. } => {
                let Some(cell) = self.read_owned(me, index, word) else { return Found::Again };
                let (at, state) = pos::split(cell.sequence);
                match (pos::laps_ahead(at, lap), cell.role, state, cell.dead) {
                    // Taken at this lap: by a writer at work, or dead (a gap that the consumers pass), or read already.
                    (0, Role::Writer, ..) | (0, Role::Reader, FULL | SKIP, _) => next_of(at),
                    // Freed by a reader that is about to let go, or died before it could.
                    (0, Role::Reader, _, true) => self.write_over(index, word, mine, position),
                    (0, Role::Reader, _, false) => refused(cell.owner),
                    // A dead writer's cell of the last lap: nothing was published, so it is free.
                    (-1, Role::Writer, EMPTY, true) | (-1, _, SKIP, true) => {
                        self.write_over(index, word, mine, position)
                    }
                    // A message of the last lap, unread or being read (or to be redelivered).
                    (-1, _, _, true) => refused(None),
                    (-1, _, _, false) => refused(cell.owner),
                    (..=-1, ..) => go_to(pos::position(at, index)),
                    (_, Role::Reader, EMPTY, _) => next_of(at.wrapping_sub(1)),
                    _ => next_of(at),
                }
            }
        }
    }

    /// Takes a cell that is free but does not say so, as the writer of this position. Dying right after the exchange leaves
    /// a dead writer at whatever the sequence said before, hence a free cell still.
    fn write_over(&self, index: u32, word: u64, mine: u64, position: u64) -> Found {
        if !self.replace(index, word, mine) {
            return Found::Again;
        }
        self.ring.seq(index).store(idle(position, EMPTY), Ordering::Release);
        Found::Mine { redelivered: false }
    }

    /// One look at the cell of a position that a consumer would like.
    #[cold]
    fn look_to_pop(&self, me: &Member, position: u64) -> Found {
        let capacity = self.ring.capacity();
        let (lap, index) = (pos::lap(position), pos::index(position));
        let word = self.ring.ctl(index).load(Ordering::Acquire);
        let go_to = |position| Found::GoTo { position, passed: None };
        let refused = |obstacle| Found::Refused(Refused::NotNow(Seen { index, word, obstacle }));
        let next_of = |lap| go_to(pos::next(pos::position(lap, index), capacity));
        let mine = owned(me.id(), Role::Reader);
        match Ctl::read(word) {
            Ctl::Idle { lap: at, state } => match (pos::laps_ahead(at, lap), state) {
                (0, FULL) => {
                    if self.replace(index, word, mine) {
                        Found::Mine { redelivered: false }
                    } else {
                        Found::Again
                    }
                }
                (0, SKIP) => self.free(me, index, word, position),
                (0, EMPTY) if self.is_closed() => {
                    // The end becomes exact: no producer passes a sealed cell.
                    if self.replace(index, word, idle(position, SEALED)) {
                        Found::Refused(Refused::Closed)
                    } else {
                        Found::Again
                    }
                }
                (0, EMPTY) => refused(None),
                (0, _) => Found::Refused(Refused::Closed),
                // Beyond the truth (scribbled): begin where the cell is.
                (..=-1, _) => go_to(pos::position(at, index)),
                // Read already, perhaps laps ago.
                _ => next_of(at.wrapping_sub(1)),
            },
            Ctl::Owned { .. } => {
                let Some(cell) = self.read_owned(me, index, word) else { return Found::Again };
                let (at, state) = pos::split(cell.sequence);
                match (pos::laps_ahead(at, lap), cell.role, state, cell.dead) {
                    (0, Role::Writer, EMPTY, true) => self.pass_gap(me, index, word, position),
                    (0, _, SKIP, true) => self.free(me, index, word, position),
                    // Committed by a writer that died, or being read by a reader that died.
                    (0, role, FULL, true) => {
                        if self.replace(index, word, mine) {
                            Found::Mine {
                                redelivered: role == Role::Reader && !crate::mutant!("redelivery-untold"),
                            }
                        } else {
                            Found::Again
                        }
                    }
                    // Somebody is reading it: the next one is ours.
                    (0, Role::Reader, FULL | SKIP, false) => {
                        Found::GoTo { position: pos::next(position, capacity), passed: cell.owner }
                    }
                    // Being written, or this lap's writer has not come: nothing to read yet.
                    (0, Role::Writer, _, false) => refused(cell.owner),
                    // Freed for this lap by a reader that is about to let go, or died: nothing to read yet.
                    (0, Role::Reader, _, true) => {
                        self.replace(index, word, cell.sequence);
                        Found::Again
                    }
                    (0, Role::Reader, _, false) => refused(cell.owner),
                    // Round the whole ring: all that is left is being read.
                    (-1, Role::Reader, FULL | SKIP, false) => refused(cell.owner),
                    (..=-1, ..) => go_to(pos::position(at, index)),
                    _ => next_of(at.wrapping_sub(1)),
                }
            }
        }
    }

    /// Frees a passed-over cell.
    fn free(&self, me: &Member, index: u32, word: u64, position: u64) -> Found {
        if !self.replace(index, word, owned(me.id(), Role::Reader)) {
            return Found::Again;
        }
        self.make_room(index, position)
    }

    /// Moves the cell of a writer that died before its commit to the next lap. First as its writer, who commits that
    /// nothing is in it: a death before leaves a dead writer again. Then as the reader of that nothing: a death leaves
    /// a cell to be freed, or a freed one. (A dead writer at the *next* lap would be a gap there, and cost its room
    /// until the consumers come round.)
    fn pass_gap(&self, me: &Member, index: u32, word: u64, position: u64) -> Found {
        if crate::mutant!("gap-not-passed") {
            return Found::Refused(Refused::NotNow(Seen { index, word, obstacle: None }));
        }
        if !self.replace(index, word, owned(me.id(), Role::Writer)) {
            return Found::Again;
        }
        if !crate::mutant!("gap-left-behind") {
            self.ring.seq(index).store(idle(position, SKIP), Ordering::Release); // Q4
            self.ring.ctl(index).store(owned(me.id(), Role::Reader), Ordering::Release);
        }
        self.make_room(index, position)
    }

    /// Gives an owned cell without a message to the next lap's producers, one of whom may sleep for it. The consumers
    /// that slept because of it may find any number of messages behind it.
    fn make_room(&self, index: u32, position: u64) -> Found {
        let header = self.ring.header();
        let to = idle(position.wrapping_add(LAP), EMPTY);
        self.finish(index, to, &header.not_full, header.not_full.is_careful());
        header.not_empty.wake(|| u32::MAX);
        Found::GoTo { position: pos::next(position, self.ring.capacity()), passed: None }
    }
}
