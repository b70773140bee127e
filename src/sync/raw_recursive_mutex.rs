//! [`RawRecursiveMutex`]: the robust lock that its holder may take again. Most users never need it: use
//! [`RecursiveMutex`](crate::sync::RecursiveMutex).
//!
//! **Promise.** That of [`RawMutex`], on which it is built, and: the holder may lock it again, at most
//! [`RawRecursiveMutex::DEEPEST`] times in all, and it is free after as many unlocks. A dead holder's depth dies with it:
//! the next holder is told, and begins at one. A second level costs no read-modify-write.
//!
//! Beside the lock is the *hold*: `owner id + depth << 48`. Only the holder writes it, with plain stores. Anybody may
//! read it to ask "is it me": it names the reader only if the reader wrote it, as ids are never reused
//! and the holder removes its name before it unlocks.
//!
//! | hold | meaning |
//! |---|---|
//! | 0 | nobody holds it, or its holder has not written its hold yet |
//! | `id + n << 48` | held n times by `id` |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | RM-a | the holder, at any depth, or before it wrote its hold, or after it cleared it | a dead id in the lock, and some hold | as MX-a of `RawMutex`, by the lock alone; the next holder writes its own hold | nothing; the next holder is told |
//!
//! Everything else is the lock's: see the windows of [`RawMutex`].
//!
//! Rejected: reading the lock's own word to find out who holds it (a load beside a locked operation on the same word waits for
//! it); the depth in the lock's word (each level would be a read-modify-write).

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

/// The recursive robust lock. 24 bytes; all-zero is unlocked. It must lie in a segment of which the callers are members. Most
/// users never need it: see [`RecursiveMutex`](crate::sync::RecursiveMutex).
#[repr(C)]
#[derive(Debug)]
pub struct RawRecursiveMutex {
    lock: RawMutex,
    /// The holder's id and depth. After a death: the dead holder's, or 0; the lock alone decides.
    hold: AtomicU64,
}

#[allow(clippy::new_without_default)]
impl RawRecursiveMutex {
    /// How many times it can be held at once.
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
        // Relaxed: it names us only if we wrote it, and the lock orders what it guards.
        let hold = self.hold.load(Ordering::Relaxed);
        (hold & OwnerId::MASK == id.bits()).then_some(hold)
    }

    /// Locks once more, for the holder.
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

    /// Locks, or locks once more, waiting until `deadline` if one is given.
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

    /// The first attempt to lock: succeeds if the lock is free, or the caller's.
    #[inline(always)]
    pub(crate) fn lock_free(&self, id: OwnerId) -> bool {
        match self.hold_of(id) {
            Some(hold) => self.deeper(hold).is_ok(),
            None => self.lock.lock_free(id) && self.first(id, Ok(Acquired::Clean)).is_ok(),
        }
    }

    /// Unlocks once what the caller holds. False if the lock below has flags and is no longer held at any depth: then the caller
    /// must unlock it, through [`RawRecursiveMutex::lock_below`].
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

    /// Unlocks once. The last unlock frees it; a lock that was inherited and not marked consistent then becomes unusable.
    ///
    /// # Errors
    /// `NotOwner`, also for one unlock too many; nothing is changed.
    #[inline]
    pub fn unlock(&self, me: &Member) -> Result<()> {
        self.unlock_as(me.id(), me)
    }

    /// [`RawRecursiveMutex::unlock`] for a caller that has its id at hand.
    #[inline(always)]
    fn unlock_as(&self, id: OwnerId, me: &Member) -> Result<()> {
        if self.leave_level(id)? { self.lock.unlock(me) } else { Ok(()) }
    }

    /// Removes one level. True if it was the last: then the lock below must still be unlocked.
    #[inline(always)]
    fn leave_level(&self, id: OwnerId) -> Result<bool> {
        match self.hold_of(id) {
            Some(hold) if depth(hold) > 1 => {
                self.hold.store(hold - LEVEL, Ordering::Relaxed);
                Ok(false)
            }
            Some(_) => {
                // While the lock is still held: after that only the next holder may write it.
                self.hold.store(0, Ordering::Relaxed);
                crate::crash_window!("RM-a: no hold any more");
                Ok(true)
            }
            None => Err(ErrorKind::NotOwner.into()),
        }
    }

    /// [`RawRecursiveMutex::unlock`], but a lock that was inherited and not marked consistent goes to the next holder with the
    /// news.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    #[inline]
    pub fn unlock_keeping_news(&self, me: &Member) -> Result<()> {
        if self.leave_level(me.id())? { self.lock.unlock_keeping_news(me) } else { Ok(()) }
    }

    /// Unlocks once, as if the caller had died: once the lock is free, the next holder is told.
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

    /// Declares the data whole again. For the holder of a lock acquired as [`Acquired::OwnerDied`], at any depth.
    ///
    /// # Errors
    /// `NotOwner` if the caller does not hold it, `InvalidInput` if it is not inconsistent.
    pub fn mark_consistent(&self, me: &Member) -> Result<()> {
        self.lock.mark_consistent(me)
    }

    /// How many times the calling member holds it.
    pub fn depth(&self, me: &Member) -> u32 {
        self.hold_of(me.id()).map_or(0, depth)
    }

    /// The lock below, for objects that wait for it or release it as a whole. Set the depth to 0 before you unlock it there,
    /// and set the depth after you lock it there.
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
