//! Messages that are written and read in place: cells that a thread owns from one call to another.
//!
//! The cell is claimed as by a plain push or pop and given back by a call of its own: [`commit`](RawQueue::commit),
//! [`abort`](RawQueue::abort), [`release`](RawQueue::release), [`put_back`](RawQueue::put_back). The tables of [`RawQueue`] apply;
//! the difference is that the caller's own code runs while it owns the cell.
//!
//! Nothing needs to be remembered between the calls: the sequence word of an owned cell holds its position's lap, and nobody else
//! changes either word while the owner lives.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | R-a | a producer with a reservation | as Q-a | as Q-a | the unacknowledged message |
//! | R-b | a producer in the middle of an abort | a writer's or reader's cell, SKIP | the bell | nothing: the cell is free |
//! | R-d | a consumer with a borrowed message | as Q-d | as Q-d | nothing: delivered again, flagged |
//! | R-e | a consumer in the middle of putting back | a reader's cell, FULL | the bell | nothing: as R-d |
//!
//! Commit, release and the wake-ups behind them are those of a plain push and pop: Q-b, Q-c, Q-e, Q-f.
//!
//! *The pending pointer stays at the bell* from the claim on, as it does for a lock under which somebody waits for a condition
//! (`Member::rest`). Sleepers that came before the claim watch nobody, as nobody was in their way. Yet the message that a dead
//! consumer had borrowed is theirs, and so is what lies behind a dead producer's cell if the thread that watched that producer
//! has given up. The cost is a spare wake-up at the thread's end. The C library's own robust mutexes, used in between, set
//! pending to NULL, and a cell in another segment moves it to that segment's bell. Then such a sleeper is woken by the next
//! operation on the queue; whoever came after the claim watches the owner in any case.
//!
//! A reservation in front of other messages blocks all consumers, a borrowed message the producers one lap later:
//! [`RawQueue::blocker`] names the owner.
//!
//! An abort frees the cell itself instead of leaving SKIP to the consumers: first as its writer, which commits that nothing is in
//! it, then as the reader of that nothing. *So the cell is at its next lap in front of unread messages*, as is one that is read
//! behind a borrowed message. Consumers conclude no more from it than it tells ("what a cell tells about the others" in
//! [`RawQueue`]), and whoever commits in front of it counts the messages behind it. Producers reach it when everything before it
//! is done, and only then is it room: the queue is first-in-first-out with a hole in it. A message that is put back keeps its
//! place in front of all later ones; the mark AGAIN beside FULL tells it from a new one, so that only the careful path finds it
//! and can flag it.
//!
//! Rejected: the position in the caller's handle (in C it would have to be carried along with the cell's address, and it is
//! checked anyway); pending at NULL while the caller's code runs (caught by the model "in place: whoever dies with a message in
//! its hands, one who slept before is told").

use super::RawQueue;
use super::scan::{Claim, Found, Refused};
use crate::atomic::Ordering;
use crate::error::{ErrorKind, Result};
use crate::member::Member;
use crate::queue::position::{self as pos, AGAIN, EMPTY, FULL, LAP, Role, SKIP, idle, owned};
use crate::queue::skips::Used;
use crate::time::Deadline;

impl RawQueue {
    /// Claims the next cell, to be written in place, if there is room now. Returns its index.
    ///
    /// # Errors
    /// `Full`, `Closed`.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn try_reserve(&self, me: &Member) -> Result<u32> {
        self.begin(
            me,
            || {
                self.claim_push_at_hint(me).map_or_else(
                    || self.claim_push(me).map_err(|refused| self.refused_push(&refused)),
                    |position| Ok(at_hint(position)),
                )
            },
            |claim| self.reserved(claim),
        )
    }

    /// Claims the next cell, to be written in place, waiting for room until `deadline` if one is given. Returns its index.
    ///
    /// # Errors
    /// `Closed`, `TimedOut`, `Deadlock` when the caller itself owns the cell.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn reserve(&self, me: &Member, deadline: Option<Deadline>) -> Result<u32> {
        let claim = || match self.claim_push_at_hint(me) {
            Some(position) => Ok(at_hint(position)),
            None => match self.claim_push(me) {
                Ok(claim) => Ok(claim),
                Err(Refused::Closed) => Err(ErrorKind::Closed.into()),
                Err(_) => self.wait_push(me, deadline),
            },
        };
        self.begin(me, claim, |claim| self.reserved(claim))
    }

    /// Borrows the next message, to be read in place, if there is one now. Returns its cell, and whether it is delivered
    /// again.
    ///
    /// # Errors
    /// `Empty`, `Closed`.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn try_borrow(&self, me: &Member) -> Result<(u32, bool)> {
        let claim = || match self.claim_pop_at_hint(me) {
            Some(position) => Ok(at_hint(position)),
            None => self.claim_pop(me).map_err(|refused| match refused {
                Refused::Closed => ErrorKind::Closed.into(),
                _ => ErrorKind::Empty.into(),
            }),
        };
        self.begin(me, claim, borrowed)
    }

    /// Borrows the next message, to be read in place, waiting for one until `deadline` if one is given. Returns its cell, and
    /// whether it is delivered again.
    ///
    /// # Errors
    /// `Closed` when closed and drained, `TimedOut`, `Deadlock` as for a reservation.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn borrow(&self, me: &Member, deadline: Option<Deadline>) -> Result<(u32, bool)> {
        let claim = || match self.claim_pop_at_hint(me) {
            Some(position) => Ok(at_hint(position)),
            None => match self.claim_pop(me) {
                Ok(claim) => Ok(claim),
                Err(Refused::Closed) => Err(ErrorKind::Closed.into()),
                Err(_) => self.wait_pop(me, deadline),
            },
        };
        self.begin(me, claim, borrowed)
    }

    /// Runs a claim. If it succeeds, the pending pointer stays at the bell.
    #[inline(always)]
    fn begin<R>(
        &self,
        me: &Member,
        claim: impl FnOnce() -> Result<Claim>,
        with: impl FnOnce(&Claim) -> R,
    ) -> Result<R> {
        let pending = me.pend();
        let claimed = claim();
        if claimed.is_err() || crate::mutant!("in-place-no-rest") {
            me.unpend(pending);
        }
        claimed.map(|claim| with(&claim))
    }

    /// The hint moves at once: no unclaimed position precedes the next one.
    #[inline(always)]
    fn reserved(&self, claim: &Claim) -> u32 {
        crate::crash_window!("R-a: reserved");
        let header = self.ring.header();
        if Some(header.tail.load(Ordering::Relaxed)) == claim.hint {
            header.tail.store(pos::next(claim.position, self.ring.capacity()), Ordering::Release); // Q3
        }
        pos::index(claim.position)
    }

    /// Publishes what was written into a reserved cell.
    ///
    /// # Errors
    /// `NotOwner` if the calling thread has not reserved this cell: nothing is changed.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn commit(&self, me: &Member, index: u32) -> Result<()> {
        let position = self.mine(me, index, Role::Writer)?;
        let pending = me.pend();
        let side = &self.ring.header().common.not_empty;
        self.finish(me, index, idle(position, FULL), side, side.is_careful());
        me.unpend(pending);
        Ok(())
    }

    /// Aborts a reservation: there is no message.
    ///
    /// # Errors
    /// `NotOwner` if the calling thread has not reserved this cell: nothing is changed.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[cold]
    pub fn abort(&self, me: &Member, index: u32) -> Result<()> {
        let position = self.mine(me, index, Role::Writer)?;
        let pending = me.pend();
        self.ring.seq(index).store(idle(position, SKIP), Ordering::Release); // Q4
        crate::crash_window!("R-b: nothing is committed");
        self.ring.ctl(index).store(owned(me.id(), Role::Reader), Ordering::Release);
        if crate::mutant!("abort-no-wake") {
            self.ring.seq(index).store(idle(position.wrapping_add(LAP), EMPTY), Ordering::Release);
            self.ring.ctl(index).store(idle(position.wrapping_add(LAP), EMPTY), Ordering::Release);
        } else {
            let Found::GoTo { .. } = self.make_room(me, index, position) else { unreachable!() };
        }
        me.unpend(pending);
        Ok(())
    }

    /// Releases a borrowed message: it is done.
    ///
    /// # Errors
    /// `NotOwner` if the calling thread has not borrowed this cell's message: nothing is changed.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[inline]
    pub fn release(&self, me: &Member, index: u32) -> Result<()> {
        let position = self.mine(me, index, Role::Reader)?;
        let pending = me.pend();
        let header = self.ring.header();
        self.done_with(me, position, Some(position), header.common.not_full.is_careful());
        if let Some(cells) = header.skips.from(position, self.capacity(), &mut Used::default()) {
            // The hint stood before it. Q3: whoever wrote the note has seen all of it done.
            let (next, far) =
                (pos::next(position, self.capacity()), pos::beyond(position, cells, self.capacity()));
            let _ = header.head.compare_exchange(next, far, Ordering::Release, Ordering::Relaxed);
        }
        me.unpend(pending);
        Ok(())
    }

    /// Puts a borrowed message back at its old place: the next consumer gets it, flagged.
    ///
    /// # Errors
    /// `NotOwner` if the calling thread has not borrowed this cell's message: nothing is changed.
    ///
    /// # Examples
    /// See [`RawQueue`].
    #[cold]
    pub fn put_back(&self, me: &Member, index: u32) -> Result<()> {
        let position = self.mine(me, index, Role::Reader)?;
        let pending = me.pend();
        crate::crash_window!("R-e: about to be put back");
        let side = &self.ring.header().common.not_empty;
        self.finish(me, index, idle(position, FULL) | AGAIN, side, side.is_careful());
        me.unpend(pending);
        Ok(())
    }

    /// The position for which the calling thread owns this cell, in this role.
    #[inline(always)]
    fn mine(&self, me: &Member, index: u32, role: Role) -> Result<u64> {
        if index >= self.ring.capacity() {
            return Err(ErrorKind::InvalidInput.into());
        }
        // Relaxed: a word that names us is ours, and nobody else changes it or the sequence.
        if self.ring.ctl(index).load(Ordering::Relaxed) != owned(me.id(), role) {
            return Err(ErrorKind::NotOwner.into());
        }
        let (lap, _) = pos::split(self.ring.seq(index).load(Ordering::Relaxed));
        Ok(pos::position(lap, index))
    }

    /// Lets `f` write the payload of a cell that the caller has reserved.
    ///
    /// # Examples
    /// See [`RawQueue`].
    pub fn write_in<R>(&self, index: u32, f: impl FnOnce(*mut u8) -> R) -> R {
        assert!(index < self.ring.capacity());
        let mut result = None;
        self.ring.fill(index, |p| result = Some(f(p)));
        result.expect("filled")
    }

    /// Lets `f` read the payload of a cell whose message the caller has borrowed.
    ///
    /// # Examples
    /// See [`RawQueue`].
    pub fn read_in<R>(&self, index: u32, f: impl FnOnce(*const u8) -> R) -> R {
        assert!(index < self.ring.capacity());
        self.ring.drain(index, f)
    }
}

/// The claim of the fast path.
#[inline(always)]
fn at_hint(position: u64) -> Claim {
    Claim { position, again: false, hint: Some(position), careful: false }
}

#[inline(always)]
fn borrowed(claim: &Claim) -> (u32, bool) {
    crate::crash_window!("R-d: borrowed");
    (pos::index(claim.position), claim.again)
}
