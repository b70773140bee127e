//! [`RwLock`]: the robust reader-writer lock with the data that it guards.
#![allow(unsafe_code)]

use super::guard::{self, AcquireError, Holding, Inherited, LockGuard};
use super::raw_rwlock::{Entered, Free, Place};
use crate::error::Result;
use crate::member::{self, Member, OwnerId, Who, view};
use crate::shared::{Plain, Shared, TypeId};
use crate::sync::RawRwLock;
use crate::time::Deadline;
use crate::time::Wait;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::thread::panicking;
use std::vec::Vec;

/// Many readers or one writer, between threads of any processes, around a plain value.
///
/// It must lie in a segment ([`Segment::object`](crate::Segment::object)); elsewhere every operation is
/// `InvalidInput`. All-zero bytes are an unlocked lock around a zero value. 64 bytes and the value.
///
/// *When a reader dies* (a thread or its process, for any reason), its hold is void: nobody is told, and a writer that waits
/// for it goes on within microseconds. *When a writer dies*, the next locker, reader or writer, gets the write lock together
/// with the news: [`RwLockError::OwnerDied`]. It repairs the value, marks it consistent and goes on, a reader by
/// [`RwLockWriteGuard::downgrade`]; in one line with [`RwLock::write_or_repair`] and [`RwLock::read_or_repair`]. If it unlocks
/// without doing so, or dies or panics during the repair, the next locker is told again: the news is never lost. Only
/// [`RwLockOwnerDied::mark_not_recoverable`](crate::sync::Inherited::mark_not_recoverable) makes a lock unusable. *A panic of a
/// writer* counts as a death; one of a reader does not. A writer that dies while it waits has not touched anything, and nobody
/// is told.
///
/// *Preference*: once a writer has come, new readers wait until it has had its turn. Waiting writers and readers are
/// served in the order of their wake-ups; a newcomer may be faster. *Recursion*: a thread that
/// reads may read once more, at any time and without waiting. Writing while the thread reads or writes, and reading while it
/// writes, is `Deadlock`. *Limits*: six readers have a place in the lock. Every other reader, and every reader of a lock that
/// is read much more often than written, keeps its hold in its thread's own slot, which has room for 16 locks;
/// beyond that a read is `TooManyHolds`.
///
/// *Ordering*: an unlock is a release, a lock an acquire. *Threads*: the thread that locks unlocks, in any order. *A leaked
/// guard* stays held as long as the process lives, even after its thread has ended, because references that it gave out may be
/// anywhere in the process. *Fork*: the child does not own what its parent holds; the safe forms of
/// [`process::fork`](crate::process::fork) refuse under a guard. *Signals*: do not lock in a handler. *Cost*: an uncontended
/// read or write makes no system call, except for the first write after a long time of reading, which makes one or two.
///
/// Algorithm: see [`RawRwLock`].
///
/// # Examples
/// ```
/// use interproc::{Segment, sync::RwLock};
///
/// let seg = Segment::anonymous(4096)?;
/// let prices = seg.object("prices", || RwLock::new([10u32, 20, 30]))?;
/// prices.write()?[1] = 25;
/// let (a, b) = (prices.read()?, prices.read()?); // together
/// assert_eq!(a[1] + b[2], 55);
/// # drop((a, b));
/// # Ok::<(), interproc::Error>(())
/// ```
#[repr(C)]
pub struct RwLock<T> {
    raw: RawRwLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through guards, by one writer or by readers; plain values may move between threads,
// and readers share it.
unsafe impl<T: Plain + Send + Sync> Sync for RwLock<T> {}

// SAFETY: repr(C) of atomics and a plain value behind a lock; zero is unlocked; nothing to drop.
unsafe impl<T: Plain + Send + Sync> Shared for RwLock<T> {
    fn shared_id() -> TypeId {
        TypeId::new("RwLock", size_of::<Self>(), align_of::<Self>(), &[TypeId::plain::<T>()])
    }

    unsafe fn write_to(self, place: *mut Self) {
        // SAFETY: inside the place, by the contract. Without the padding behind a small value.
        unsafe {
            (&raw mut (*place).raw).write(self.raw);
            (&raw mut (*place).value).write(self.value);
        }
    }
}

/// The result of locking for reading.
pub type ReadResult<'a, T> = core::result::Result<RwLockReadGuard<'a, T>, RwLockError<'a, T>>;
/// The result of locking for writing.
pub type WriteResult<'a, T> = core::result::Result<RwLockWriteGuard<'a, T>, RwLockError<'a, T>>;

impl<T> RwLock<T> {
    /// An unlocked lock, to be put into a segment.
    pub const fn new(value: T) -> Self {
        RwLock { raw: RawRwLock::new(), value: UnsafeCell::new(value) }
    }

    #[inline(always)]
    fn address(&self) -> *const u8 {
        core::ptr::from_ref(self).cast()
    }
}

impl<T: Plain> RwLock<T> {
    /// Locks for reading, waiting as long as it takes.
    ///
    /// # Errors
    /// [`RwLockError::OwnerDied`], which holds the lock *for writing*; `Deadlock` if the calling thread writes;
    /// `NotRecoverable`; `TooManyHolds`; `InvalidInput` outside a segment; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let total = seg.object("total", || RwLock::new(7u64))?;
    /// // A value left by a dead writer is repaired first: what `read_or_repair` does in one call.
    /// let value = total.read().or_else(|e| e.recover(|v| *v = 0).map(|guard| guard.downgrade()))?;
    /// assert_eq!(*value, 7);
    /// # drop(value);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    // Out of line, the result would go through memory.
    #[inline(always)]
    pub fn read(&self) -> ReadResult<'_, T> {
        self.read_with(Wait::ForEver)
    }

    /// Locks for reading, waiting as long as it takes. If the last writer died, runs `repair` first, under the write
    /// lock; no writer gets in between.
    ///
    /// If `repair` panics, or the process dies in it, the next locker is told of the death again.
    ///
    /// # Errors
    /// As [`RwLock::read`], but never `OwnerDied`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let total = seg.object("total", || RwLock::new(7u64))?;
    /// assert_eq!(*total.read_or_repair(|value| *value = 0)?, 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn read_or_repair(&self, repair: impl FnOnce(&mut T)) -> Result<RwLockReadGuard<'_, T>> {
        self.read().or_else(|e| e.recover(repair).map(RwLockWriteGuard::downgrade))
    }

    /// [`RwLock::try_read`], which first repairs a value left by a dead writer, as [`RwLock::read_or_repair`] does.
    ///
    /// # Errors
    /// As [`RwLock::try_read`], but never `OwnerDied`.
    #[inline]
    pub fn try_read_or_repair(&self, repair: impl FnOnce(&mut T)) -> Result<RwLockReadGuard<'_, T>> {
        self.try_read().or_else(|e| e.recover(repair).map(RwLockWriteGuard::downgrade))
    }

    /// [`RwLock::read_timeout`], which first repairs a value left by a dead writer, as [`RwLock::read_or_repair`] does.
    ///
    /// # Errors
    /// As [`RwLock::read_timeout`], but never `OwnerDied`.
    pub fn read_or_repair_timeout(
        &self,
        timeout: Duration,
        repair: impl FnOnce(&mut T),
    ) -> Result<RwLockReadGuard<'_, T>> {
        self.read_timeout(timeout).or_else(|e| e.recover(repair).map(RwLockWriteGuard::downgrade))
    }

    /// [`RwLock::read_until`], which first repairs a value left by a dead writer, as [`RwLock::read_or_repair`] does.
    ///
    /// # Errors
    /// As [`RwLock::read_until`], but never `OwnerDied`.
    pub fn read_or_repair_until(
        &self,
        deadline: Deadline,
        repair: impl FnOnce(&mut T),
    ) -> Result<RwLockReadGuard<'_, T>> {
        self.read_until(deadline).or_else(|e| e.recover(repair).map(RwLockWriteGuard::downgrade))
    }

    /// Locks for reading if no living thread writes or waits to write. A thread in the middle of a [`RwLock::try_write`] counts
    /// as writing, even if it is about to be refused: of two that try at the same moment, both can be refused.
    ///
    /// # Errors
    /// As [`RwLock::read`], and `WouldBlock`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// let guard = m.write()?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| assert_eq!(m.try_read().unwrap_err().error().kind(), ErrorKind::WouldBlock));
    /// });
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_read(&self) -> ReadResult<'_, T> {
        self.read_with(Wait::Never)
    }

    /// Locks for reading, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`RwLock::read`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// let guard = m.read_timeout(std::time::Duration::from_millis(10))?;
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn read_timeout(&self, timeout: Duration) -> ReadResult<'_, T> {
        self.read_until(Deadline::after(timeout))
    }

    /// Locks for reading, waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`RwLock::read`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// let guard = m.read_until(Deadline::now())?; // free: a deadline in the past does not matter
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn read_until(&self, deadline: Deadline) -> ReadResult<'_, T> {
        self.read_with(Wait::Until(deadline))
    }

    /// Locks for writing, waiting as long as it takes.
    ///
    /// # Errors
    /// [`RwLockError::OwnerDied`], which holds the lock; `Deadlock` if the calling thread reads or writes;
    /// `NotRecoverable`; `InvalidInput` outside a segment; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let total = seg.object("total", || RwLock::new(7u64))?;
    /// *total.write()? += 1;
    /// let reading = total.read()?;
    /// assert_eq!(total.write().unwrap_err().error().kind(), ErrorKind::Deadlock);
    /// # drop(reading);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    // Out of line, the result would go through memory.
    #[inline(always)]
    pub fn write(&self) -> WriteResult<'_, T> {
        self.write_with(Wait::ForEver)
    }

    /// Locks for writing, waiting as long as it takes. If the last writer died, runs `repair` first, under the write
    /// lock.
    ///
    /// If `repair` panics, or the process dies in it, the next locker is told of the death again.
    ///
    /// # Errors
    /// As [`RwLock::write`], but never `OwnerDied`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let total = seg.object("total", || RwLock::new(7u64))?;
    /// *total.write_or_repair(|value| *value = 0)? += 1;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn write_or_repair(&self, repair: impl FnOnce(&mut T)) -> Result<RwLockWriteGuard<'_, T>> {
        self.write().or_else(|e| e.recover(repair))
    }

    /// [`RwLock::try_write`], which first repairs a value left by a dead writer, as [`RwLock::write_or_repair`] does.
    ///
    /// # Errors
    /// As [`RwLock::try_write`], but never `OwnerDied`.
    #[inline]
    pub fn try_write_or_repair(&self, repair: impl FnOnce(&mut T)) -> Result<RwLockWriteGuard<'_, T>> {
        self.try_write().or_else(|e| e.recover(repair))
    }

    /// [`RwLock::write_timeout`], which first repairs a value left by a dead writer, as [`RwLock::write_or_repair`] does.
    ///
    /// # Errors
    /// As [`RwLock::write_timeout`], but never `OwnerDied`.
    pub fn write_or_repair_timeout(
        &self,
        timeout: Duration,
        repair: impl FnOnce(&mut T),
    ) -> Result<RwLockWriteGuard<'_, T>> {
        self.write_timeout(timeout).or_else(|e| e.recover(repair))
    }

    /// [`RwLock::write_until`], which first repairs a value left by a dead writer, as [`RwLock::write_or_repair`] does.
    ///
    /// # Errors
    /// As [`RwLock::write_until`], but never `OwnerDied`.
    pub fn write_or_repair_until(
        &self,
        deadline: Deadline,
        repair: impl FnOnce(&mut T),
    ) -> Result<RwLockWriteGuard<'_, T>> {
        self.write_until(deadline).or_else(|e| e.recover(repair))
    }

    /// Locks for writing if no living thread reads, writes or waits to write. Two that try at the same moment can both be
    /// refused.
    ///
    /// # Errors
    /// As [`RwLock::write`], and `WouldBlock`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// let guard = m.read()?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| assert_eq!(m.try_write().unwrap_err().error().kind(), ErrorKind::WouldBlock));
    /// });
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_write(&self) -> WriteResult<'_, T> {
        self.write_with(Wait::Never)
    }

    /// Locks for writing, waiting at most `timeout`. While it waits, new readers wait too.
    ///
    /// # Errors
    /// As [`RwLock::write`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// *m.write_timeout(std::time::Duration::from_millis(10))? += 1;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn write_timeout(&self, timeout: Duration) -> WriteResult<'_, T> {
        self.write_until(Deadline::after(timeout))
    }

    /// Locks for writing, waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`RwLock::write`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// *m.write_until(Deadline::now())? += 1; // free: a deadline in the past does not matter
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn write_until(&self, deadline: Deadline) -> WriteResult<'_, T> {
        self.write_with(Wait::Until(deadline))
    }

    /// Whether a living thread writes, waits for the readers to leave, or is just trying to write: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// let guard = m.write()?;
    /// assert!(m.is_written() && m.readers()? == 0);
    /// let guard = guard.downgrade();
    /// assert!(!m.is_written() && m.readers()? == 1);
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_written(&self) -> bool {
        member::current(self.address()).is_ok_and(|me| self.raw.writer().is_some_and(|w| me.lives(w)))
    }

    /// How many threads read: a snapshot. See [`RwLock::is_written`].
    ///
    /// # Errors
    /// `InvalidInput` outside a segment; `TooManyMembers`.
    pub fn readers(&self) -> Result<usize> {
        let mut count = 0;
        self.raw.for_each_reader(member::current(self.address())?, |_, _| count += 1);
        Ok(count)
    }

    /// Who holds it: the writer, dead or alive, or the living readers, each once: a snapshot, which may contain a reader on
    /// its way in. A dead writer is named until the next locker has inherited the lock. A writer that waits for
    /// readers holds nothing: see [`RwLock::writer`]. The caller need not be a member of the segment. Not for
    /// signal handlers.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// let guard = m.read()?;
    /// assert_eq!((m.holders()?.len(), m.holders()?[0].pid), (1, std::process::id()));
    /// assert_eq!(m.writer()?, None);
    /// drop(guard);
    /// assert!(m.holders()?.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn holders(&self) -> Result<Vec<Who>> {
        view::all(self.address(), |table, name| self.raw.holders(table, name))
    }

    /// Who writes, or waits for the readers to leave in order to write; dead or alive: a snapshot. The caller need not be a
    /// member of the segment. Not for signal handlers.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// let guard = m.write()?;
    /// assert_eq!(m.writer()?.expect("we").pid, std::process::id());
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn writer(&self) -> Result<Option<Who>> {
        view::who(self.address(), self.raw.writer())
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let it = seg.object("it", || RwLock::new(0u64))?;
    /// let guard = it.read()?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| it.write().map(drop).expect("nobody dies"));
    ///     while it.waiters().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     drop(guard);
    /// });
    /// assert_eq!(it.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(self.address(), size_of::<RawRwLock>())
    }

    #[inline(always)]
    fn read_with(&self, wait: Wait) -> ReadResult<'_, T> {
        let (id, me, name) = member::current_at(self.address())?;
        match self.raw.read_as(id, me, name, wait) {
            Ok(Entered::At(place)) => {
                Ok(RwLockReadGuard { lock: self, by: Holding::begin(me, id), name, place })
            }
            Ok(Entered::OwnerDied) => Err(self.inherited(id, me)),
            Err(error) => Err(RwLockError::Failed(error)),
        }
    }

    #[inline(always)]
    fn write_with(&self, wait: Wait) -> WriteResult<'_, T> {
        let (id, me) = member::current_id(self.address())?;
        let has_gate = match self.raw.write_free(id) {
            Free::Locked => return Ok(self.written(id.unless_panicking(), me)),
            Free::Gate => true,
            Free::Not => false,
        };
        self.write_slow(id, me, wait, has_gate)
    }

    /// Out of line: otherwise the result of the fast path would go through memory, too.
    #[cold]
    fn write_slow(&self, id: OwnerId, me: &Member, wait: Wait, has_gate: bool) -> WriteResult<'_, T> {
        let how = self.raw.write_slow(id, me, wait, has_gate);
        guard::acquired(how, || self.written(id.unless_panicking(), me))
    }

    #[inline(always)]
    fn written(&self, id: OwnerId, me: &Member) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { lock: self, by: Holding::begin(me, id) }
    }

    #[cold]
    fn inherited(&self, id: OwnerId, me: &Member) -> RwLockError<'_, T> {
        RwLockError::OwnerDied(Inherited::of(self.written(id.unless_panicking(), me)))
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("writer", &self.raw.writer()).finish_non_exhaustive()
    }
}

/// The lock, held for reading; dropped, it is released. Not `Send`: the thread that locks unlocks.
///
/// As with [`MutexGuard`](crate::sync::MutexGuard): against a hostile peer, copy the value first and check the copy.
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct RwLockReadGuard<'a, T: Plain> {
    lock: &'a RwLock<T>,
    by: Holding,
    /// The lock's file offset.
    name: u64,
    /// Where the hold is.
    place: Place,
}

// SAFETY: a shared guard gives `&T` only.
unsafe impl<T: Plain + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<T: Plain> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so no protocol-abiding thread writes; any bit pattern is a `T`.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: Plain> Drop for RwLockReadGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(me) = self.by.unflagged() {
            me.guard_ends();
            self.lock.raw.leave(self.place, self.by.owner(), me, self.name);
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The lock, held for writing; dropped, it is released. Not `Send`: the thread that locks unlocks.
///
/// As with [`MutexGuard`](crate::sync::MutexGuard): against a hostile peer, copy the value first and check the copy.
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct RwLockWriteGuard<'a, T: Plain> {
    lock: &'a RwLock<T>,
    by: Holding,
}

// SAFETY: a shared guard gives `&T` only.
unsafe impl<T: Plain + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: Plain> RwLockWriteGuard<'a, T> {
    /// Goes on as a reader. No writer gets in between; other readers may.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::RwLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || RwLock::new(0u64))?;
    /// let mut writing = m.write()?;
    /// *writing += 1;
    /// let reading = writing.downgrade();
    /// assert_eq!(*reading, *m.read()?);
    /// # drop(reading);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let this = ManuallyDrop::new(self);
        let (lock, by) = (this.lock, this.by.plain());
        let (name, place) = match by.holder() {
            Some(me) => {
                let name = me.offset_of(lock.address());
                // Cannot fail: we hold it, and one that is inconsistent is in a `RwLockOwnerDied`.
                (name, lock.raw.downgrade_as(by.owner(), me, name).unwrap_or(0))
            }
            None => (0, 0),
        };
        RwLockReadGuard { lock, by, name, place }
    }
}

impl<T: Plain> LockGuard for RwLockWriteGuard<'_, T> {
    fn holding(&self) -> &Holding {
        &self.by
    }

    fn hand_back(&self, me: &Member) -> Result<()> {
        self.lock.raw.hand_back(me)
    }

    fn make_consistent(&self, me: &Member) -> Result<()> {
        self.lock.raw.mark_consistent(me)
    }

    fn unlock_for_good(&self, me: &Member) -> Result<()> {
        self.lock.raw.unlock(me)
    }
}

impl<T: Plain> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so no protocol-abiding thread writes; any bit pattern is a `T`.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: Plain> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, nobody reads either, and the guard is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: Plain> Drop for RwLockWriteGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.by.unflagged() {
            // Clean: otherwise it would be in a `RwLockOwnerDied`.
            Some(me) if !panicking() => {
                me.guard_ends();
                self.lock.raw.unlock_written(me);
            }
            _ => unlock_in_a_panic(&self.lock.raw, self.by.member(), self.by.owner()),
        }
    }
}

/// The end of a guard in a panic, or in the child of a fork. Takes words by value: see [`OwnerId::unless_panicking`].
#[cold]
fn unlock_in_a_panic(raw: &RawRwLock, me: &Member, owner: OwnerId) {
    if me.id() != owner.plain() {
        return; // the child of a fork: the parent's lock is left alone
    }
    me.guard_ends();
    match owner.is_dropped_by_a_panic() {
        // Cannot fail: we hold it.
        true => _ = raw.hand_back(me),
        false => raw.unlock_written(me),
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Why a [`RwLock`] was not simply acquired.
pub type RwLockError<'a, T> = AcquireError<RwLockWriteGuard<'a, T>>;

/// A [`RwLock`], held for writing, with a value that its last writer may have left half-changed.
///
/// # Examples
/// ```
/// # use interproc::{Segment, sync::{RwLock, RwLockError}};
/// # let seg = Segment::anonymous(4096)?;
/// # let m = seg.object("m", || RwLock::new(0u64))?;
/// let guard = match m.read() {
///     Err(RwLockError::OwnerDied(mut died)) => {
///         *died = 0;
///         died.mark_consistent().downgrade()
///     }
///     other => other?,
/// };
/// # drop(guard);
/// # Ok::<(), interproc::Error>(())
/// ```
pub type RwLockOwnerDied<'a, T> = Inherited<RwLockWriteGuard<'a, T>>;
