//! AWAITED: a lock under which somebody may wait for a condition. [`RawCondvar`](crate::sync::RawCondvar) explains what it is
//! for; the tables of [`RawMutex`] have the word `last` and its windows.

use super::{AWAITED, Acquired, DIRTY, NOT_RECOVERABLE, RawMutex, WAITERS};
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Retries};
use crate::sys::{Word, futex};

/// One in the turns of `last`.
const TURN: u64 = 1 << 48;
/// A holder asks the kernel whether anybody still waits once in this many turns.
const TURNS_TO_ASK: u64 = if cfg!(interproc_loom) { 2 } else { 32 };

impl RawMutex {
    /// Whether somebody may wait for a condition under this lock. For the holder, true stays true until it unlocks.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        // Relaxed: only the holder changes it.
        self.word.load(Ordering::Relaxed) & AWAITED != 0
    }

    /// Whether the holder inherited the lock and has not marked it consistent.
    #[inline]
    pub(crate) fn is_dirty(&self) -> bool {
        self.word.load(Ordering::Relaxed) & DIRTY != 0
    }

    /// The caller, which holds the lock, is about to wait for a condition.
    pub(crate) fn set_awaited(&self, me: &Member) {
        if !self.is_awaited() {
            self.sign(me.id().bits());
            // Relaxed: the unlock publishes it.
            self.word.fetch_or(AWAITED, Ordering::Relaxed);
            me.has_awaited();
        }
    }

    /// The word that says who took the lock last, to watch its upper half. Only while somebody may wait.
    #[inline]
    pub(crate) fn last(&self) -> &AtomicU64 {
        &self.last
    }

    /// The word on whose upper half lockers sleep.
    #[inline]
    pub(crate) fn word(&self) -> &AtomicU64 {
        &self.word
    }

    /// Unlocks for a wait. The caller holds the lock, clean, and its pending pointer is at the bell.
    pub(crate) fn unlock_to_wait(&self, me: &Member) {
        me.gives_awaited();
        self.release(me, 0);
    }

    /// Locks after a wait, without a time limit. The caller's pending pointer is at the bell, and stays there if the lock is
    /// awaited. `others`: more threads may sleep for the lock without having announced it.
    pub(crate) fn lock_again(&self, me: &Member, others: bool) -> Result<Acquired> {
        self.contend(me, me.id().bits() | if others { WAITERS } else { 0 }, None, 0)
    }

    /// Locks, without a time limit. Takes over even a lock that nobody repaired, as if its owner had died now. For a thread that
    /// gave the lock back for a wait and whose callers go on to use what it guards.
    #[cold]
    pub(crate) fn lock_even_unrecoverable(&self, me: &Member) -> Result<Acquired> {
        let inherited = me.id().bits() | DIRTY;
        let mut retries = Retries::new();
        while retries.again() {
            match self.lock(me, None) {
                Err(e) if e.kind() == ErrorKind::NotRecoverable => {}
                other => return other,
            }
            let word = self.word.load(Ordering::Relaxed);
            // Whatever else is in the word: a peer that breaks the rules may have set it. M1, from the thread that gave it up.
            if word & NOT_RECOVERABLE != 0
                && self.word.compare_exchange(word, inherited, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return Ok(Acquired::OwnerDied);
            }
        }
        // A peer keeps overwriting it. The callers go on in any case: better with the lock in their name.
        self.word.store(inherited, Ordering::SeqCst);
        Ok(Acquired::OwnerDied)
    }

    /// To be called after taking the lock over from `word`: what the new holder owes to those who wait for a condition.
    #[inline]
    pub(super) fn took(&self, me: &Member, word: u64) {
        if word & AWAITED != 0 {
            me.has_awaited();
            crate::crash_window!("MX-g: taken, not signed");
            if !crate::mutant!("holder-unsigned") {
                self.sign(me.id().bits());
            }
        }
    }

    /// Writes the id (or 0) into `last`. For the holder.
    pub(super) fn sign(&self, id: u64) {
        // Relaxed: only holders write it. Release: a name becomes visible with AWAITED.
        let turn = self.last.load(Ordering::Relaxed).wrapping_add(TURN) & !OwnerId::MASK;
        self.last.store(turn | id, Ordering::Release);
    }

    /// From time to time the holder asks the kernel whether anybody still waits for a condition. If not, the lock becomes an
    /// ordinary one again.
    pub(super) fn ask_who_waits(&self, me: &Member) {
        if !(self.last.load(Ordering::Relaxed) / TURN).is_multiple_of(TURNS_TO_ASK) {
            return;
        }
        // From here on nobody falls asleep: a thread about to expects another value, and one that looks now finds no name.
        self.sign(0);
        crate::crash_window!("MX-h: asking who waits");
        if futex::count(Word::High(&self.last)) == 0 || crate::mutant!("awaited-uncounted") {
            self.word.fetch_and(!AWAITED, Ordering::Relaxed);
        } else {
            self.sign(me.id().bits());
        }
    }
}
