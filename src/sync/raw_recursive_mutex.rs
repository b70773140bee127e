//! [`RawRecursiveMutex`]: the robust lock that its holder may take again.
//!
//! **Promise.** That of [`RawMutex`], which it is built on, and: the holder may lock it again, at most
//! [`RawRecursiveMutex::DEEPEST`] times in all, and it is free after as many unlocks. A dead holder's depth dies with it:
//! the next one is told, and begins at one. A second level costs no read-modify-write.
//!
//! Beside the lock stands the *hold*: `owner id + depth << 48`. It is written by the holder alone, with plain stores, and
//! read by anybody who asks "is it me": it names the reader only if the reader wrote it, as ids are never given out
//! twice and the holder takes its name out before it unlocks.
//!
//! | hold | meaning |
//! |---|---|
//! | 0 | nobody holds it, or its holder has not said so yet |
//! | `id + n << 48` | held n times by `id` |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | RM-a | the holder, at any depth, or before it wrote its hold, or after it took it back | a dead id in the lock, and some hold | as MX-a of `RawMutex`, by the lock alone; the next holder writes its own hold | nothing; the next is told |
//!
//! All else is the lock's: see the windows of [`RawMutex`].
//!
//! Rejected: asking the lock's own word who holds it (a load beside a locked operation on the same word waits for it);
//! the depth in the lock's word (each level would be a read-modify-write).

use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::sync::{Acquired, RawMutex};
use crate::time::Deadline;

const LEVEL: u64 = 1 << 48;

#[inline(always)]
pub(super) const fn depth(hold: u64) -> u32 {
    (hold >> 48) as u32
}

/// The recursive robust lock. 24 bytes; all-zero is unlocked. Must lie in a segment of which the callers are members.
#[repr(C)]
#[derive(Debug)]
pub struct RawRecursiveMutex {
    lock: RawMutex,
    /// The holder's id and depth. After a death: the dead one's, or nothing; the lock alone decides.
    hold: AtomicU64,
}

#[allow(clippy::new_without_default)]
impl RawRecursiveMutex {
    /// How often it can be held at a time.
    pub const DEEPEST: u32 = u16::MAX as u32;

    /// An unlocked mutex.
    #[cfg(not(interproc_loom))]
    pub const fn new() -> Self {
        RawRecursiveMutex { lock: RawMutex::new(), hold: AtomicU64::new(0) }
    }

    /// An unlocked mutex.
    #[cfg(interproc_loom)]
    pub fn new() -> Self {
        RawRecursiveMutex { lock: RawMutex::new(), hold: AtomicU64::new(0) }
    }

    /// The hold, if it is this owner's.
    #[inline(always)]
    fn hold_of(&self, id: OwnerId) -> Option<u64> {
        // Relaxed: it is ours only if we wrote it, and the lock orders what it guards.
        let hold = self.hold.load(Ordering::Relaxed);
        (hold & OwnerId::MASK == id.bits()).then_some(hold)
    }

    /// Once more, for who holds it.
    #[inline(always)]
    fn deeper(&self, hold: u64) -> Result<Acquired> {
        if depth(hold) == Self::DEEPEST {
            return Err(ErrorKind::Overflow.into());
        }
        self.hold.store(hold + LEVEL, Ordering::Relaxed);
        Ok(Acquired::Clean)
    }

    #[inline(always)]
    fn first(&self, id: OwnerId, how: Result<Acquired>) -> Result<Acquired> {
        if how.is_ok() {
            crate::crash_window!("RM-a: locked, no hold yet");
            let before = if crate::mutant!("depth-inherited") {
                self.hold.load(Ordering::Relaxed) & !OwnerId::MASK
            } else {
                0
            };
            self.hold.store(before + id.bits() + LEVEL, Ordering::Relaxed);
        }
        how
    }

    /// Locks, or once more, waiting until `deadline` if one is given.
    ///
    /// # Errors
    /// `Overflow` at the deepest level; `NotRecoverable`, `TimedOut`.
    #[inline]
    pub fn lock(&self, me: &Member, deadline: Option<Deadline>) -> Result<Acquired> {
        if self.lock_free(me.id()) { Ok(Acquired::Clean) } else { self.lock_slow(me, deadline) }
    }

    /// [`RawRecursiveMutex::lock`] after [`RawRecursiveMutex::lock_free`] has failed.
    #[cold]
    pub(crate) fn lock_slow(&self, me: &Member, deadline: Option<Deadline>) -> Result<Acquired> {
        match self.hold_of(me.id()) {
            Some(hold) => self.deeper(hold),
            None => self.first(me.id(), self.lock.lock_slow(me, deadline)),
        }
    }

    /// The first try of a lock: whether it was free, or the caller's.
    #[inline(always)]
    pub(crate) fn lock_free(&self, id: OwnerId) -> bool {
        match self.hold_of(id) {
            Some(hold) => self.deeper(hold).is_ok(),
            None => self.lock.lock_free(id) && self.first(id, Ok(Acquired::Clean)).is_ok(),
        }
    }

    /// Unlocks once what the caller holds. False if the lock below, no longer held at any depth, is still to be unlocked, as it
    /// has flags: by [`RawRecursiveMutex::lock_below`].
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[inline(always)]
    pub(crate) fn unlock_free(&self, id: OwnerId, me: &Member) -> bool {
        !matches!(self.leave_level(id), Ok(true)) || self.lock.unlock_if_plain(me)
    }

    /// Locks if it is free, its owner is dead, or the caller holds it.
    ///
    /// # Errors
    /// `WouldBlock`, `Overflow`, `NotRecoverable`.
    #[inline]
    pub fn try_lock(&self, me: &Member) -> Result<Acquired> {
        match self.hold_of(me.id()) {
            Some(hold) => self.deeper(hold),
            None => self.first(me.id(), self.lock.try_lock(me)),
        }
    }

    /// Unlocks once. The last one frees it; a lock that was inherited and not marked consistent then becomes unusable.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed: also for one unlock too many.
    #[inline]
    pub fn unlock(&self, me: &Member) -> Result<()> {
        self.unlock_as(me.id(), me)
    }

    /// [`RawRecursiveMutex::unlock`] for a caller that has its id at hand.
    #[inline(always)]
    fn unlock_as(&self, id: OwnerId, me: &Member) -> Result<()> {
        if self.leave_level(id)? { self.lock.unlock(me) } else { Ok(()) }
    }

    /// One level less. Whether it was the last: then the lock below is still to be unlocked.
    #[inline(always)]
    fn leave_level(&self, id: OwnerId) -> Result<bool> {
        match self.hold_of(id) {
            Some(hold) if depth(hold) > 1 => {
                self.hold.store(hold - LEVEL, Ordering::Relaxed);
                Ok(false)
            }
            Some(_) => {
                // Before the lock is free: then it is the next one's to write.
                self.hold.store(0, Ordering::Relaxed);
                crate::crash_window!("RM-a: no hold any more");
                Ok(true)
            }
            None => Err(ErrorKind::NotOwner.into()),
        }
    }

    /// [`RawRecursiveMutex::unlock`], but a lock that was inherited and not marked consistent goes to the next one with the
    /// news.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    #[inline]
    pub fn unlock_keeping_news(&self, me: &Member) -> Result<()> {
        if self.leave_level(me.id())? { self.lock.unlock_keeping_news(me) } else { Ok(()) }
    }

    /// Unlocks once, as if the caller had died: when it is free the next one is told.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    #[cold]
    pub fn hand_back(&self, me: &Member) -> Result<()> {
        if self.leave_level(me.id())? {
            return self.lock.hand_back(me);
        }
        self.lock.spoil(me);
        Ok(())
    }

    /// Says that the data is whole again. For the holder of a lock acquired as [`Acquired::OwnerDied`], at any depth.
    ///
    /// # Errors
    /// `NotOwner` when the caller does not hold it, `InvalidInput` when it is not inconsistent.
    pub fn mark_consistent(&self, me: &Member) -> Result<()> {
        self.lock.mark_consistent(me)
    }

    /// How often the calling member holds it.
    pub fn depth(&self, me: &Member) -> u32 {
        self.hold_of(me.id()).map_or(0, depth)
    }

    /// The lock below, for objects that wait for it or give it away as a whole. Whoever unlocks it there has set the
    /// depth to 0 before, and whoever locks it there sets the depth after.
    pub fn lock_below(&self) -> &RawMutex {
        &self.lock
    }

    /// Sets the depth, at most [`RawRecursiveMutex::DEEPEST`], for the holder of [`lock_below`](Self::lock_below).
    pub fn set_depth(&self, me: &Member, depth: u32) {
        debug_assert!(depth <= Self::DEEPEST);
        let hold = if depth == 0 { 0 } else { me.id().bits() + u64::from(depth) * LEVEL };
        self.hold.store(hold, Ordering::Relaxed);
    }

    /// Whether anybody, dead or alive, holds it: a snapshot.
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }

    /// Who holds it, dead or alive: a snapshot.
    pub fn owner(&self) -> Option<OwnerId> {
        self.lock.owner()
    }
}
