//! What the guards of all locks have in common: the locking thread ([`Holding`]), a lock that was inherited from the dead
//! ([`Inherited`]), and what a failed or inherited lock gives instead of a guard ([`AcquireError`]).
#![allow(unsafe_code)]

use crate::error::{Error, ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::sync::Acquired;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

/// The locking thread, as its guard remembers it. Neither `Send` nor `Sync`: the thread that locks unlocks.
#[derive(Clone, Copy)]
pub struct Holding {
    /// The locking thread's member. In the child of a fork its memory is wiped.
    me: *const Member,
    /// Its id, perhaps flagged: see [`OwnerId::flagged`] and [`OwnerId::unless_panicking`].
    owner: OwnerId,
}

impl Holding {
    /// A guard begins.
    #[inline(always)]
    pub(super) fn begin(me: &Member, owner: OwnerId) -> Holding {
        me.guard_begins();
        Holding { me, owner }
    }

    #[inline(always)]
    pub(super) fn owner(&self) -> OwnerId {
        self.owner
    }

    /// The locking thread's member, or in the child of a fork a `Member` that has no id.
    #[inline(always)]
    pub(super) fn member(&self) -> &Member {
        // SAFETY: the guard does not leave its thread and keeps the segment attached, so the member stays; a forked child has a
        // wiped copy of its memory, all zero, which is a `Member` that has no id.
        unsafe { &*self.me }
    }

    /// The locking thread's member; `None` in the child of a fork, where the parent's lock is left alone.
    #[inline(always)]
    pub(super) fn holder(&self) -> Option<&Member> {
        let me = self.member();
        (me.id() == self.owner.plain()).then_some(me)
    }

    /// As [`Holding::holder`], and `None` also if the id is flagged.
    #[inline(always)]
    pub(super) fn unflagged(&self) -> Option<&Member> {
        let me = self.member();
        (me.id() == self.owner).then_some(me)
    }

    /// The same, for a guard that takes over from this one: without flags.
    pub(super) fn plain(self) -> Holding {
        Holding { owner: self.owner.plain(), ..self }
    }

    /// The guard ends, its lock stays held: as [`Holding::holder`], for as long as `lock` is borrowed.
    pub(super) fn end<L>(self, _lock: &L) -> Option<&Member> {
        // SAFETY: as in `member`: the lock's borrow keeps the segment attached, and the caller does not leave its thread.
        let me = unsafe { &*self.me };
        (me.id() == self.owner.plain()).then_some(me).inspect(|me| me.guard_ends())
    }
}

/// A guard of a lock that can be inherited from the dead. It cannot be named, and so not be implemented, outside.
pub trait LockGuard: Deref {
    #[doc(hidden)]
    fn holding(&self) -> &Holding;
    #[doc(hidden)]
    fn hand_back(&self, me: &Member) -> Result<()>;
    #[doc(hidden)]
    fn make_consistent(&self, me: &Member) -> Result<()>;
    #[doc(hidden)]
    fn unlock_for_good(&self, me: &Member) -> Result<()>;
}

/// The guard, or the error, that came of acquiring a lock.
pub(super) fn acquired<G: LockGuard>(
    how: Result<Acquired>,
    guard: impl FnOnce() -> G,
) -> core::result::Result<G, AcquireError<G>> {
    match how {
        Ok(Acquired::Clean) => Ok(guard()),
        Ok(Acquired::OwnerDied) => Err(AcquireError::OwnerDied(Inherited::of(guard()))),
        Err(error) => Err(AcquireError::Failed(error)),
    }
}

/// Why a lock was not simply acquired: [`LockError`](crate::sync::LockError),
/// [`RecursiveLockError`](crate::sync::RecursiveLockError), [`RwLockError`](crate::sync::RwLockError).
///
/// It carries the guard, so it does not outlive the lock, as `Box<dyn Error>` and `anyhow` require. The plain [`Error`] does;
/// [`lock_or_repair`](crate::sync::Mutex::lock_or_repair) returns it, too.
///
/// # Examples
/// ```
/// use interproc::{Error, Segment, sync::Mutex};
///
/// fn add() -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
///     let count = Segment::anonymous(4096)?.object("count", || Mutex::new(0u64))?;
///     *count.lock_or_repair(|count| *count = 0)? += 1;
///     Ok(*count.lock().map_err(Error::from)?)
/// }
/// assert_eq!(add().unwrap(), 1);
/// ```
pub enum AcquireError<G: LockGuard> {
    /// The lock was acquired, from a dead owner. A reader-writer lock is then held for writing, even if it was wanted for
    /// reading.
    OwnerDied(Inherited<G>),
    /// The lock was not acquired.
    Failed(Error),
}

impl<G: LockGuard + DerefMut> AcquireError<G>
where
    G::Target: Sized,
{
    /// Repairs what the dead owner left, and goes on with the lock held (a reader-writer lock: for writing). If `repair`
    /// panics, the next locker is told of the death again.
    ///
    /// # Errors
    /// That of [`AcquireError::Failed`]: the lock was not acquired, and nothing was repaired.
    pub fn recover(self, repair: impl FnOnce(&mut G::Target)) -> Result<G> {
        match self {
            AcquireError::OwnerDied(mut died) => {
                repair(&mut died);
                Ok(died.mark_consistent())
            }
            AcquireError::Failed(error) => Err(error),
        }
    }
}

impl<G: LockGuard> AcquireError<G> {
    /// The plain error. From [`AcquireError::OwnerDied`] this releases the lock, and the next locker is told again.
    pub fn error(self) -> Error {
        self.into()
    }
}

impl<G: LockGuard> From<Error> for AcquireError<G> {
    fn from(error: Error) -> Self {
        AcquireError::Failed(error)
    }
}

impl<G: LockGuard> From<AcquireError<G>> for Error {
    fn from(e: AcquireError<G>) -> Error {
        match e {
            AcquireError::OwnerDied(_) => ErrorKind::OwnerDied.into(),
            AcquireError::Failed(error) => error,
        }
    }
}

crate::error::into_io! { [G: LockGuard] AcquireError<G> }

impl<G: LockGuard> fmt::Debug for AcquireError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<G: LockGuard> fmt::Display for AcquireError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::OwnerDied(_) => f.write_str(ErrorKind::OwnerDied.text()),
            AcquireError::Failed(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl<G: LockGuard> core::error::Error for AcquireError<G> {}

/// The lock, held, with a value that its last owner may have left half-changed: [`OwnerDied`](crate::sync::OwnerDied),
/// [`RecursiveOwnerDied`](crate::sync::RecursiveOwnerDied), [`RwLockOwnerDied`](crate::sync::RwLockOwnerDied).
///
/// Dropping it without [`Inherited::mark_consistent`] releases the lock as it was acquired: the next locker (of a
/// reader-writer lock: the next reader or writer; of a recursive one: when its last guard is gone) is told.
pub struct Inherited<G: LockGuard> {
    /// Not dropped as a guard: it need not know that its lock is dirty.
    guard: ManuallyDrop<G>,
}

impl<G: LockGuard> Drop for Inherited<G> {
    fn drop(&mut self) {
        if let Some(me) = self.guard.holding().holder() {
            me.guard_ends();
            // Cannot fail: we hold it, unless it was given up.
            let _ = self.guard.hand_back(me);
        }
    }
}

impl<G: LockGuard> Inherited<G> {
    pub(super) fn of(guard: G) -> Inherited<G> {
        Inherited { guard: ManuallyDrop::new(guard) }
    }

    pub(super) fn guard(&self) -> &G {
        &self.guard
    }

    /// Declares the value whole again.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{LockError, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u64))?;
    /// let guard = match m.lock() {
    ///     Err(LockError::OwnerDied(mut died)) => {
    ///         *died = 0;
    ///         died.mark_consistent()
    ///     }
    ///     other => other?,
    /// };
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn mark_consistent(self) -> G {
        let mut this = ManuallyDrop::new(self);
        if let Some(me) = this.guard.holding().holder() {
            // Cannot fail: we hold it, and it is dirty.
            let _ = this.guard.make_consistent(me);
        }
        // SAFETY: `this` is not dropped, so the guard moves out once.
        unsafe { ManuallyDrop::take(&mut this.guard) }
    }
}

impl<G: LockGuard + DerefMut> Inherited<G> {
    /// Gives the lock up for good: it is released, and from now on everybody gets `NotRecoverable`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::{LockError, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m: &'static _ = Box::leak(Box::new(seg.object("m", || Mutex::new(0u64))?));
    /// # let _ = std::thread::spawn(|| { let _guard = m.lock(); panic!("half done") }).join();
    /// if let Err(LockError::OwnerDied(died)) = m.lock() {
    ///     died.mark_not_recoverable(); // nobody could repair this
    /// }
    /// assert_eq!(m.lock().unwrap_err().error().kind(), ErrorKind::NotRecoverable);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn mark_not_recoverable(self) {
        if let Some(me) = self.guard.holding().holder() {
            // Cannot fail: we hold it, and it is dirty. What is dropped next holds nothing any more.
            let _ = self.guard.unlock_for_good(me);
        }
    }
}

impl<G: LockGuard> Deref for Inherited<G> {
    type Target = G::Target;
    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: LockGuard + DerefMut> DerefMut for Inherited<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}
