//! [`RecursiveMutex`]: the robust lock that its holder may take again, with the data that it guards.
#![allow(unsafe_code)]

use super::guard::{self, AcquireError, Holding, Inherited, LockGuard};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member, OwnerId, Who, view};
use crate::shared::{Plain, Shared, TypeId};
use crate::sync::{Acquired, RawRecursiveMutex};
use crate::time::Deadline;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::time::Duration;
use std::thread::panicking;

/// Mutual exclusion between threads of any processes, around a plain value; the holder may lock it again.
///
/// It must lie in a segment ([`Segment::object`](crate::Segment::object)); elsewhere every operation is
/// `InvalidInput`. All-zero bytes are an unlocked mutex around a zero value. 24 bytes and the value.
///
/// As one thread can have several guards, a guard gives a [`Cell`], not a `&mut`.
///
/// *When a holder dies*, at any depth, the next locker gets the lock within microseconds, at depth one, together with the news:
/// [`RecursiveLockError::OwnerDied`]. It repairs the value, marks it consistent and goes on; in one line with
/// [`RecursiveMutex::lock_or_repair`]. If its last guard is dropped without that, or it dies or panics during the repair, the
/// next locker is told again: the news is never lost. Only
/// [`RecursiveOwnerDied::mark_not_recoverable`](crate::sync::Inherited::mark_not_recoverable) makes a lock unusable. *A panic
/// under a guard*, at any depth, counts as a death.
///
/// *Ordering*: the last unlock is a release, the first lock an acquire. *Threads*: the thread that locks unlocks; guards
/// may be dropped in any order. *A leaked guard* stays held as long as the process lives, even
/// after its thread has ended, because references that it gave out may be anywhere in the process. *Fork*: the child does not own
/// what its parent holds; the safe forms of [`process::fork`](crate::process::fork) refuse under a guard.
/// *Signals*: do not lock in a handler. *Cost*: uncontended two compare-and-swaps for the first level, two plain
/// stores for each further one, no system call.
///
/// Algorithm: see [`RawRecursiveMutex`].
///
/// # Examples
/// ```
/// use interproc::{Segment, sync::RecursiveMutex};
///
/// let seg = Segment::anonymous(4096)?;
/// let left = seg.object("left", || RecursiveMutex::new(3u32))?;
/// let outer = left.lock()?;
/// {
///     let inner = left.lock()?; // a function that locks, too
///     inner.set(inner.get() - 1);
/// }
/// assert_eq!(outer.get(), 2);
/// # drop(outer);
/// # Ok::<(), interproc::Error>(())
/// ```
#[repr(C)]
pub struct RecursiveMutex<T> {
    pub(super) raw: RawRecursiveMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through guards, of one thread at a time, and these cannot leave it; plain values
// may move between threads.
unsafe impl<T: Plain + Send> Sync for RecursiveMutex<T> {}

// SAFETY: repr(C) of atomics and a plain value behind a lock; zero is unlocked; nothing to drop.
unsafe impl<T: Plain + Send> Shared for RecursiveMutex<T> {
    fn shared_id() -> TypeId {
        TypeId::new("RecursiveMutex", size_of::<Self>(), align_of::<Self>(), &[TypeId::plain::<T>()])
    }

    unsafe fn write_to(self, place: *mut Self) {
        // SAFETY: inside the place, by the contract. Without the padding behind a small value.
        unsafe {
            (&raw mut (*place).raw).write(self.raw);
            (&raw mut (*place).value).write(self.value);
        }
    }
}

type Locked<'a, T> = core::result::Result<RecursiveMutexGuard<'a, T>, RecursiveLockError<'a, T>>;

impl<T> RecursiveMutex<T> {
    /// How many times it can be held at once.
    pub const DEEPEST: u32 = RawRecursiveMutex::DEEPEST;

    /// An unlocked mutex, to be put into a segment.
    pub const fn new(value: T) -> Self {
        RecursiveMutex { raw: RawRecursiveMutex::new(), value: UnsafeCell::new(value) }
    }

    #[inline(always)]
    fn address(&self) -> *const u8 {
        core::ptr::from_ref(self).cast()
    }
}

impl<T: Plain> RecursiveMutex<T> {
    /// Locks, waiting as long as it takes; at once if the calling thread holds it.
    ///
    /// # Errors
    /// [`RecursiveLockError::OwnerDied`], which holds the lock; `Overflow` at [`RecursiveMutex::DEEPEST`]; `NotRecoverable`;
    /// `InvalidInput` outside a segment; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let total = seg.object("total", || RecursiveMutex::new(0u64))?;
    /// // A value left by the dead is repaired first: what `lock_or_repair` does in one call.
    /// let value = total.lock().or_else(|e| e.recover(|v| v.set(0)))?;
    /// value.set(value.get() + 1);
    /// # drop(value);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    // Out of line, the result would go through memory.
    #[inline(always)]
    pub fn lock(&self) -> Locked<'_, T> {
        let (id, me) = member::current_id(self.address())?;
        if self.raw.lock_free(id) {
            return Ok(self.guard(me, id));
        }
        self.acquired(id, me, self.raw.lock_slow(me, None))
    }

    /// Locks, waiting as long as it takes. If the last holder died, runs `repair` first, under the lock.
    ///
    /// If `repair` panics, or the process dies in it, the next locker is told of the death again.
    ///
    /// # Errors
    /// As [`RecursiveMutex::lock`], but never `OwnerDied`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let total = seg.object("total", || RecursiveMutex::new(0u64))?;
    /// let value = total.lock_or_repair(|value| value.set(0))?;
    /// value.set(value.get() + 1);
    /// # drop(value);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn lock_or_repair(&self, repair: impl FnOnce(&Cell<T>)) -> Result<RecursiveMutexGuard<'_, T>> {
        self.lock().or_else(|e| e.recover(repair))
    }

    /// [`RecursiveMutex::try_lock`], which first repairs a value left by the dead, as
    /// [`RecursiveMutex::lock_or_repair`] does.
    ///
    /// # Errors
    /// As [`RecursiveMutex::try_lock`], but never `OwnerDied`.
    #[inline]
    pub fn try_lock_or_repair(&self, repair: impl FnOnce(&Cell<T>)) -> Result<RecursiveMutexGuard<'_, T>> {
        self.try_lock().or_else(|e| e.recover(repair))
    }

    /// [`RecursiveMutex::lock_timeout`], which first repairs a value left by the dead, as
    /// [`RecursiveMutex::lock_or_repair`] does.
    ///
    /// # Errors
    /// As [`RecursiveMutex::lock_timeout`], but never `OwnerDied`.
    pub fn lock_or_repair_timeout(
        &self,
        timeout: Duration,
        repair: impl FnOnce(&Cell<T>),
    ) -> Result<RecursiveMutexGuard<'_, T>> {
        self.lock_timeout(timeout).or_else(|e| e.recover(repair))
    }

    /// [`RecursiveMutex::lock_until`], which first repairs a value left by the dead, as
    /// [`RecursiveMutex::lock_or_repair`] does.
    ///
    /// # Errors
    /// As [`RecursiveMutex::lock_until`], but never `OwnerDied`.
    pub fn lock_or_repair_until(
        &self,
        deadline: Deadline,
        repair: impl FnOnce(&Cell<T>),
    ) -> Result<RecursiveMutexGuard<'_, T>> {
        self.lock_until(deadline).or_else(|e| e.recover(repair))
    }

    /// Locks if no other living thread holds it.
    ///
    /// # Errors
    /// As [`RecursiveMutex::lock`], and `WouldBlock`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RecursiveMutex::new(0u64))?;
    /// let outer = m.lock()?;
    /// let inner = m.try_lock()?;
    /// # drop((outer, inner));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Locked<'_, T> {
        let me = member::current(self.address())?;
        self.acquired(me.id(), me, self.raw.try_lock(me))
    }

    /// Locks, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`RecursiveMutex::lock`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RecursiveMutex::new(0u64))?;
    /// let guard = m.lock_timeout(std::time::Duration::from_millis(10))?;
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Locked<'_, T> {
        self.lock_until(Deadline::after(timeout))
    }

    /// Locks, waiting until `deadline` at the latest. A lock that is available at once is taken whatever the deadline.
    ///
    /// # Errors
    /// As [`RecursiveMutex::lock`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RecursiveMutex::new(0u64))?;
    /// let guard = m.lock_until(Deadline::now())?;
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn lock_until(&self, deadline: Deadline) -> Locked<'_, T> {
        let me = member::current(self.address())?;
        self.acquired(me.id(), me, self.raw.lock(me, Some(deadline)))
    }

    /// How many times the calling thread holds it.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RecursiveMutex::new(0u64))?;
    /// let guards = (m.lock()?, m.lock()?);
    /// assert_eq!(m.depth()?, 2);
    /// drop(guards);
    /// assert_eq!(m.depth()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn depth(&self) -> Result<u32> {
        Ok(self.raw.depth(member::current(self.address())?))
    }

    /// Whether anybody, dead or alive, holds it: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RecursiveMutex::new(0u64))?;
    /// let guard = m.lock()?;
    /// assert!(m.is_locked());
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }

    /// Who holds it, dead or alive: a snapshot. A dead holder is named until the next locker has inherited the lock. The caller
    /// need not be a member of the segment. Not for signal handlers.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RecursiveMutex::new(0u64))?;
    /// let guard = m.lock()?;
    /// assert_eq!(m.holder()?.expect("somebody").pid, std::process::id());
    /// drop(guard);
    /// assert_eq!(m.holder()?, None);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn holder(&self) -> Result<Option<Who>> {
        view::who(self.address(), self.raw.owner())
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RecursiveMutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let it = seg.object("it", || RecursiveMutex::new(0u64))?;
    /// let guard = it.lock()?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| it.lock().map(drop).expect("nobody dies"));
    ///     while it.waiters().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     drop(guard);
    /// });
    /// assert_eq!(it.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(self.address(), size_of::<RawRecursiveMutex>())
    }

    #[inline(always)]
    fn guard<'a>(&'a self, me: &Member, id: OwnerId) -> RecursiveMutexGuard<'a, T> {
        RecursiveMutexGuard { mutex: self, by: Holding::begin(me, id.unless_panicking()) }
    }

    /// The result for a lock that was not simply free.
    #[cold]
    pub(super) fn acquired(&self, id: OwnerId, me: &Member, how: Result<Acquired>) -> Locked<'_, T> {
        guard::acquired(how, || self.guard(me, id))
    }
}

impl<T> fmt::Debug for RecursiveMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecursiveMutex").field("owner", &self.raw.owner()).finish_non_exhaustive()
    }
}

/// One level of the lock; dropped, it is given back. Neither `Send` nor `Sync`.
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct RecursiveMutexGuard<'a, T: Plain> {
    mutex: &'a RecursiveMutex<T>,
    by: Holding,
}

impl<'a, T: Plain> RecursiveMutexGuard<'a, T> {
    /// The mutex, and the locking thread's member, unless a forked child asks. The guard's level stays as it is.
    pub(super) fn into_parts(self) -> (&'a RecursiveMutex<T>, Option<&'a Member>) {
        let this = ManuallyDrop::new(self);
        (this.mutex, this.by.end(this.mutex))
    }
}

impl<T: Plain> LockGuard for RecursiveMutexGuard<'_, T> {
    fn holding(&self) -> &Holding {
        &self.by
    }

    fn hand_back(&self, me: &Member) -> Result<()> {
        self.mutex.raw.hand_back(me)
    }

    fn make_consistent(&self, me: &Member) -> Result<()> {
        self.mutex.raw.mark_consistent(me)
    }

    fn unlock_for_good(&self, me: &Member) -> Result<()> {
        self.mutex.raw.unlock(me)
    }
}

impl<T: Plain> Deref for RecursiveMutexGuard<'_, T> {
    type Target = Cell<T>;
    #[inline]
    fn deref(&self) -> &Cell<T> {
        // SAFETY: the lock is held, so no protocol-abiding thread but this one reaches the value, and this one only
        // through such cells, which neither leave it nor outlive their guard. A cell has the layout of its value, and
        // any bit pattern is a `T`.
        unsafe { &*self.mutex.value.get().cast::<Cell<T>>() }
    }
}

impl<T: Plain> Drop for RecursiveMutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(me) = self.by.holder() {
            me.guard_ends();
            if panicking() {
                unlock_in_a_panic(&self.mutex.raw, me, self.by.owner());
            } else if !self.mutex.raw.unlock_free(self.by.owner().plain(), me) {
                unlock_below(&self.mutex.raw, me);
            }
        }
    }
}

/// The end of the last guard of a lock with flags.
#[cold]
fn unlock_below(raw: &RawRecursiveMutex, me: &Member) {
    // Cannot fail: the caller holds it.
    let _ = raw.lock_below().unlock_keeping_news(me);
}

/// The end of a guard in a panic. Takes words by value: see [`OwnerId::unless_panicking`].
#[cold]
fn unlock_in_a_panic(raw: &RawRecursiveMutex, me: &Member, owner: OwnerId) {
    // Cannot fail: the caller holds it.
    let _ = match owner.is_dropped_by_a_panic() {
        true => raw.hand_back(me),
        false => raw.unlock_keeping_news(me),
    };
}

impl<T: Plain + fmt::Debug> fmt::Debug for RecursiveMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

/// Why a [`RecursiveMutex`] was not simply acquired.
pub type RecursiveLockError<'a, T> = AcquireError<RecursiveMutexGuard<'a, T>>;

impl<'a, T: Plain> RecursiveLockError<'a, T> {
    /// Repairs what the dead owner left, and goes on with the lock held. If `repair` panics, the next locker is told of the
    /// death again.
    ///
    /// # Errors
    /// That of [`RecursiveLockError::Failed`]: the lock was not acquired, and nothing was repaired.
    pub fn recover(self, repair: impl FnOnce(&Cell<T>)) -> Result<RecursiveMutexGuard<'a, T>> {
        match self {
            RecursiveLockError::OwnerDied(died) => {
                repair(&died);
                Ok(died.mark_consistent())
            }
            RecursiveLockError::Failed(error) => Err(error),
        }
    }
}

/// A [`RecursiveMutex`], held, with a value that its last owner may have left half-changed.
///
/// # Examples
/// ```
/// # use interproc::{Segment, sync::{RecursiveLockError, RecursiveMutex}};
/// # let seg = Segment::anonymous(4096)?;
/// # let m = seg.object("m", || RecursiveMutex::new(0u64))?;
/// let guard = match m.lock() {
///     Err(RecursiveLockError::OwnerDied(died)) => {
///         died.set(0);
///         died.mark_consistent()
///     }
///     other => other?,
/// };
/// # drop(guard);
/// # Ok::<(), interproc::Error>(())
/// ```
pub type RecursiveOwnerDied<'a, T> = Inherited<RecursiveMutexGuard<'a, T>>;

impl<T: Plain> RecursiveOwnerDied<'_, T> {
    /// Gives the lock up for good: it is released, and from now on everybody gets `NotRecoverable`.
    ///
    /// # Errors
    /// `Deadlock` when the thread has locked it once more and still holds that: then only this level is released, and the
    /// next locker is told.
    pub fn mark_not_recoverable(self) -> Result<()> {
        let raw = &self.guard().mutex.raw;
        match self.guard().by.holder() {
            Some(me) if raw.depth(me) > 1 => Err(ErrorKind::Deadlock.into()),
            // We hold it, and it is dirty. What is dropped next holds nothing any more.
            Some(me) => raw.unlock(me),
            None => Ok(()),
        }
    }
}
