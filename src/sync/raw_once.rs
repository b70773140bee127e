//! [`RawOnce`]: one-time initialisation under [`Once`](crate::sync::Once), [`OnceLock`](crate::sync::OnceLock) and the C
//! once. Most users never need it: use [`Once`](crate::sync::Once) or [`OnceLock`](crate::sync::OnceLock).
//!
//! **Promise.** One initialiser at a time, until one has finished; from then on none, and everybody sees what it
//! did, for one load. If an initialiser dies or gives up, the job goes to the next, who is told (`Begun::Again`) if
//! anybody had begun.
//!
//! It is a [`RawMutex`], held while the initialiser runs, and beside it the *state*, written only by the holder:
//!
//! | state | meaning |
//! |---|---|
//! | 0 | nobody has begun |
//! | `BEGUN` | somebody has begun, and is at work, or has died or given up |
//! | `DONE` | done, for good |
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | I1 | done, store Release | the first look, load Acquire | what the initialiser did |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | ON-a | an initialiser before it has begun | a dead id in the lock, state 0 | as MX-a of `RawMutex` | nothing; the next is the first |
//! | ON-b | an initialiser at work | a dead id in the lock, `BEGUN` | as MX-a | nothing; the next does it again and is told |
//! | ON-c | an initialiser after the store of `DONE`, or a thread that came too late, holding the lock | a dead id in the lock, `DONE` | waiting threads, as MX-a; all others look at the state only | nothing |
//!
//! Rejected: state and owner in one word (a second robust lock that would need its own proof).

use crate::atomic::{AtomicU64, Ordering};
use crate::error::Result;
use crate::member::Member;
use crate::sync::{Acquired, RawMutex};
use crate::time::Deadline;

pub(super) const BEGUN: u64 = 1;
pub(super) const DONE: u64 = 2;

/// What a caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Begun {
    /// Nothing: it is done.
    Done,
    /// The job, which nobody has begun before. Call [`RawOnce::done`] or [`RawOnce::abandon`] afterwards.
    First,
    /// The job, which somebody has begun before and died or given up. Call [`RawOnce::done`] or [`RawOnce::abandon`] afterwards.
    Again,
}

/// One-time initialisation. 24 bytes; all-zero is not done. It must lie in a segment of which all callers that find it not done
/// are members. Most users never need it: see [`Once`](crate::sync::Once).
#[repr(C)]
#[derive(Debug)]
pub struct RawOnce {
    lock: RawMutex,
    /// Written by the lock's holder. After a death it says how far the dead holder had come.
    state: AtomicU64,
}

#[allow(clippy::new_without_default)]
impl RawOnce {
    /// Not done.
    #[cfg(not(interproc_loom))]
    pub const fn new() -> Self {
        RawOnce { lock: RawMutex::new(), state: AtomicU64::new(0) }
    }

    /// Not done.
    #[cfg(interproc_loom)]
    pub fn new() -> Self {
        RawOnce { lock: RawMutex::new(), state: AtomicU64::new(0) }
    }

    /// Whether it is done: one load.
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE // I1
    }

    /// Waits until it is done or the job is the caller's, until `deadline` if one is given.
    ///
    /// # Errors
    /// `Deadlock` if the caller has the job already; `TimedOut`.
    pub fn begin(&self, me: &Member, deadline: Option<Deadline>) -> Result<Begun> {
        if self.is_done() {
            return Ok(Begun::Done);
        }
        let how = self.lock.lock(me, deadline)?;
        self.entered(me, how)
    }

    /// As [`RawOnce::begin`], without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if another thread has the job; `Deadlock`.
    pub fn try_begin(&self, me: &Member) -> Result<Begun> {
        if self.is_done() {
            return Ok(Begun::Done);
        }
        let how = self.lock.try_lock(me)?;
        self.entered(me, how)
    }

    fn entered(&self, me: &Member, how: Acquired) -> Result<Begun> {
        crate::crash_window!("ON-a: the lock is ours");
        if how == Acquired::OwnerDied {
            // Nothing to repair: the state says it all.
            self.lock.mark_consistent(me)?;
        }
        // Relaxed: under the lock.
        match self.state.load(Ordering::Relaxed) {
            DONE => {
                crate::crash_window!("ON-c: it was done meanwhile");
                self.lock.unlock(me)?;
                Ok(Begun::Done)
            }
            before => {
                if !crate::mutant!("retry-untold") {
                    self.state.store(BEGUN, Ordering::Relaxed);
                }
                crate::crash_window!("ON-b: begun");
                Ok(if before == BEGUN { Begun::Again } else { Begun::First })
            }
        }
    }

    /// The caller has done the job.
    ///
    /// # Errors
    /// `NotOwner` if the job was not the caller's.
    pub fn done(&self, me: &Member) -> Result<()> {
        if !self.lock.is_held_by(me) {
            return Err(crate::error::ErrorKind::NotOwner.into());
        }
        let order = if crate::mutant!("done-relaxed") { Ordering::Relaxed } else { Ordering::Release };
        self.state.store(DONE, order); // I1
        crate::crash_window!("ON-c: done, not unlocked");
        self.lock.unlock(me)
    }

    /// The caller gives up: the job goes to the next caller.
    ///
    /// # Errors
    /// `NotOwner` if the job was not the caller's.
    pub fn abandon(&self, me: &Member) -> Result<()> {
        self.lock.unlock(me)
    }

    /// Who has the job, dead or alive: a snapshot.
    pub fn owner(&self) -> Option<crate::member::OwnerId> {
        self.lock.owner()
    }
}
