//! [`Mutex`]: the robust lock with the data that it guards.
#![allow(unsafe_code)]

use super::guard::{self, AcquireError, Holding, Inherited, LockGuard};
use crate::error::Result;
use crate::member::{self, Member, OwnerId, Who, view};
use crate::shared::{Plain, Shared, TypeId};
use crate::sync::{Acquired, RawMutex};
use crate::time::Deadline;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::thread::panicking;

/// Mutual exclusion between threads of any processes, around a plain value.
///
/// It must lie in a segment ([`Segment::object`](crate::Segment::object)); elsewhere every operation is
/// `InvalidInput`. All-zero bytes are an unlocked mutex around a zero value. 16 bytes and the value.
///
/// *When a holder dies* (a thread or its process, for any reason), the next locker gets the lock within microseconds
/// together with the news: [`LockError::OwnerDied`]. It repairs the value, marks it consistent and goes on; in one line
/// with [`Mutex::lock_or_repair`]. If it unlocks without doing so, or dies or panics during the repair, the next locker is told
/// again: the news is never lost. Only [`OwnerDied::mark_not_recoverable`](crate::sync::Inherited::mark_not_recoverable) makes a
/// lock unusable. *A panic under a guard* counts as a death: the next locker is told.
///
/// *Ordering*: an unlock is a release, a lock an acquire. *Threads*: the thread that locks unlocks; it is the same owner
/// through every mapping of the segment. *A leaked guard* stays held as long as the process lives, even after its thread has
/// ended, because references that it gave out may be anywhere in the process. *Fork*: the child does not own what its parent
/// holds; the safe forms of [`process::fork`](crate::process::fork) refuse under a guard. *Signals*: do not lock in a handler.
/// *Cost*: uncontended one compare-and-swap and one store, no system call.
///
/// Algorithm: see [`RawMutex`].
///
/// # Examples
/// ```
/// use interproc::{Segment, sync::Mutex};
///
/// let seg = Segment::anonymous(4096)?;
/// let left = seg.object("left", || Mutex::new(3u32))?;
/// // If the last holder died half-way, this count is not to be trusted any more.
/// *left.lock_or_repair(|left| *left = 3)? -= 1;
/// assert_eq!(*left.lock()?, 2);
/// # Ok::<(), interproc::Error>(())
/// ```
#[repr(C)]
pub struct Mutex<T> {
    pub(super) raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, one at a time; plain values may move between threads.
unsafe impl<T: Plain + Send> Sync for Mutex<T> {}

// SAFETY: repr(C) of two atomics and a plain value behind a lock; zero is unlocked; nothing to drop.
unsafe impl<T: Plain + Send> Shared for Mutex<T> {
    fn shared_id() -> TypeId {
        TypeId::new("Mutex", size_of::<Self>(), align_of::<Self>(), &[TypeId::plain::<T>()])
    }

    unsafe fn write_to(self, place: *mut Self) {
        // SAFETY: inside the place, by the contract. Without the padding behind a small value.
        unsafe {
            (&raw mut (*place).raw).write(self.raw);
            (&raw mut (*place).value).write(self.value);
        }
    }
}

impl<T> Mutex<T> {
    /// An unlocked mutex, to be put into a segment.
    pub const fn new(value: T) -> Self {
        Mutex { raw: RawMutex::new(), value: UnsafeCell::new(value) }
    }

    #[inline(always)]
    fn address(&self) -> *const u8 {
        core::ptr::from_ref(self).cast()
    }
}

impl<T: Plain> Mutex<T> {
    /// Locks, waiting as long as it takes.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], which holds the lock; `Deadlock` if the calling thread holds it already;
    /// `NotRecoverable`; `InvalidInput` outside a segment; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Mutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let total = seg.object("total", || Mutex::new(0u64))?;
    /// // A value left by the dead is repaired first: what `lock_or_repair` does in one call.
    /// let mut value = total.lock().or_else(|e| e.recover(|v| *v = 0))?;
    /// *value += 1;
    /// # drop(value);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    // Out of line, the result would go through memory.
    #[inline(always)]
    pub fn lock(&self) -> core::result::Result<MutexGuard<'_, T>, LockError<'_, T>> {
        let (id, me) = member::current_id(self.address())?;
        if self.raw.lock_free(id) {
            return Ok(self.guard(me, id.unless_panicking()));
        }
        self.acquired(me, self.raw.lock_slow(me, None))
    }

    /// Locks, waiting as long as it takes. If the last holder died, runs `repair` first, under the lock.
    ///
    /// If `repair` panics, or the process dies in it, the next locker is told of the death again.
    ///
    /// # Errors
    /// As [`Mutex::lock`], but never `OwnerDied`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Mutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let total = seg.object("total", || Mutex::new(0u64))?;
    /// *total.lock_or_repair(|value| *value = 0)? += 1;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn lock_or_repair(&self, repair: impl FnOnce(&mut T)) -> Result<MutexGuard<'_, T>> {
        self.lock().or_else(|e| e.recover(repair))
    }

    /// [`Mutex::try_lock`], which first repairs a value left by the dead, as [`Mutex::lock_or_repair`] does.
    ///
    /// # Errors
    /// As [`Mutex::try_lock`], but never `OwnerDied`.
    #[inline]
    pub fn try_lock_or_repair(&self, repair: impl FnOnce(&mut T)) -> Result<MutexGuard<'_, T>> {
        self.try_lock().or_else(|e| e.recover(repair))
    }

    /// [`Mutex::lock_timeout`], which first repairs a value left by the dead, as [`Mutex::lock_or_repair`] does.
    ///
    /// # Errors
    /// As [`Mutex::lock_timeout`], but never `OwnerDied`.
    pub fn lock_or_repair_timeout(
        &self,
        timeout: Duration,
        repair: impl FnOnce(&mut T),
    ) -> Result<MutexGuard<'_, T>> {
        self.lock_timeout(timeout).or_else(|e| e.recover(repair))
    }

    /// [`Mutex::lock_until`], which first repairs a value left by the dead, as [`Mutex::lock_or_repair`] does.
    ///
    /// # Errors
    /// As [`Mutex::lock_until`], but never `OwnerDied`.
    pub fn lock_or_repair_until(
        &self,
        deadline: Deadline,
        repair: impl FnOnce(&mut T),
    ) -> Result<MutexGuard<'_, T>> {
        self.lock_until(deadline).or_else(|e| e.recover(repair))
    }

    /// Locks if no living thread holds it.
    ///
    /// # Errors
    /// As [`Mutex::lock`], and `WouldBlock`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::{LockError, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u64))?;
    /// let guard = m.try_lock()?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| assert_eq!(m.try_lock().unwrap_err().error().kind(), ErrorKind::WouldBlock));
    /// });
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self) -> core::result::Result<MutexGuard<'_, T>, LockError<'_, T>> {
        let (id, me) = member::current_id(self.address())?;
        if self.raw.lock_free(id) {
            return Ok(self.guard(me, id.unless_panicking()));
        }
        self.acquired(me, self.raw.try_lock(me))
    }

    /// Locks, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Mutex::lock`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Mutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u64))?;
    /// let guard = m.lock_timeout(std::time::Duration::from_millis(10))?;
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> core::result::Result<MutexGuard<'_, T>, LockError<'_, T>> {
        self.lock_until(Deadline::after(timeout))
    }

    /// Locks, waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Mutex::lock`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::Mutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u64))?;
    /// let guard = m.lock_until(Deadline::now())?; // free: a deadline in the past does not matter
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn lock_until(
        &self,
        deadline: Deadline,
    ) -> core::result::Result<MutexGuard<'_, T>, LockError<'_, T>> {
        let (id, me) = member::current_id(self.address())?;
        if self.raw.lock_free(id) {
            return Ok(self.guard(me, id.unless_panicking()));
        }
        self.acquired(me, self.raw.lock_slow(me, Some(deadline)))
    }

    /// Whether anybody, dead or alive, holds it: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Mutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u64))?;
    /// let guard = m.lock()?;
    /// assert!(m.is_locked());
    /// drop(guard);
    /// assert!(!m.is_locked());
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
    /// # use interproc::{Segment, sync::Mutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u64))?;
    /// let guard = m.lock()?;
    /// let who = m.holder()?.expect("somebody holds it");
    /// assert!(who.alive && who.pid == std::process::id());
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
    /// # use interproc::{Segment, sync::Mutex};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u64))?;
    /// let guard = m.lock()?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| m.lock().map(drop).expect("nobody dies"));
    ///     while m.waiters().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     drop(guard);
    /// });
    /// assert_eq!(m.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(self.address(), size_of::<RawMutex>())
    }

    #[inline(always)]
    fn guard(&self, me: &Member, owner: OwnerId) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, by: Holding::begin(me, owner) }
    }

    /// The result for a lock that was not simply free.
    #[cold]
    pub(super) fn acquired(
        &self,
        me: &Member,
        how: Result<Acquired>,
    ) -> core::result::Result<MutexGuard<'_, T>, LockError<'_, T>> {
        guard::acquired(how, || self.guard(me, me.id().flagged().unless_panicking()))
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("owner", &self.raw.owner()).finish_non_exhaustive()
    }
}

/// The lock, held; dropped, it is released. Not `Send`: the thread that locks unlocks.
///
/// Its references point to memory that a peer which breaks the protocol could change. Any bit pattern is a valid
/// value, so that gives a wrong number, never an invalid one. Against a hostile peer, copy the value first ([`Copy`])
/// and check the copy.
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct MutexGuard<'a, T: Plain> {
    mutex: &'a Mutex<T>,
    /// The id is flagged if there may be flags in the lock's word.
    by: Holding,
}

// SAFETY: a shared guard gives `&T` only.
unsafe impl<T: Plain + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: Plain> MutexGuard<'a, T> {
    /// Takes the guard apart for a wait: the mutex, and the holder. The lock stays held.
    pub(super) fn into_parts(self) -> (&'a Mutex<T>, Option<&'a Member>) {
        let this = ManuallyDrop::new(self);
        (this.mutex, this.by.end(this.mutex))
    }
}

impl<T: Plain> LockGuard for MutexGuard<'_, T> {
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

/// The end of a guard whose lock was not simply free, or which a panic ends. Takes words by value: see
/// [`OwnerId::unless_panicking`].
#[cold]
fn unlock(raw: &RawMutex, me: &Member, owner: OwnerId) {
    if me.id() != owner.plain() {
        return; // the child of a fork: the parent's lock is left alone
    }
    me.guard_ends();
    // Cannot fail: we hold it.
    let _ = match owner.is_dropped_by_a_panic() {
        true => raw.hand_back(me),
        false => raw.unlock_keeping_news(me),
    };
}

impl<T: Plain> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so no protocol-abiding thread writes; any bit pattern is a `T`.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: Plain> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: Plain> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.by.unflagged() {
            // The lock was free, without any flag.
            Some(me) if !panicking() => {
                me.guard_ends();
                self.mutex.raw.unlock_held(me);
            }
            _ => unlock(&self.mutex.raw, self.by.member(), self.by.owner()),
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Why a [`Mutex`] was not simply acquired.
pub type LockError<'a, T> = AcquireError<MutexGuard<'a, T>>;

/// A [`Mutex`], held, with a value that its last owner may have left half-changed.
pub type OwnerDied<'a, T> = Inherited<MutexGuard<'a, T>>;
