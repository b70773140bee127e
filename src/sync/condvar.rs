//! [`Condvar`]: the condition variable for [`Mutex`](crate::sync::Mutex) and
//! [`RecursiveMutex`](crate::sync::RecursiveMutex).
#![allow(unsafe_code)]

use crate::error::{Error, ErrorKind, Result};
use crate::member::{self, Member, view};
use crate::shared::{Plain, Shared};
use crate::sync::{LockError, MutexGuard, RawCondvar, RecursiveLockError, RecursiveMutexGuard};
use crate::time::Deadline;
use core::fmt;
use core::time::Duration;

/// The result of a wait: the lock again, or an error.
type Locked<G> = core::result::Result<G, <G as CondvarGuard>::Error>;
/// The result of a wait with a time limit.
type LockedInTime<G> = core::result::Result<(G, WaitTimeoutResult), <G as CondvarGuard>::Error>;

/// A lock under which a thread can wait for a condition: [`MutexGuard`] and [`RecursiveMutexGuard`].
///
/// # Examples
/// ```
/// use interproc::sync::{Condvar, CondvarGuard};
///
/// fn wait_twice<G: CondvarGuard>(changed: &Condvar, guard: G) -> Result<G, G::Error> {
///     changed.wait(changed.wait(guard)?)
/// }
/// ```
pub trait CondvarGuard: Sized + sealed::Wait {
    /// What a condition looks at: the value of a [`Mutex`](crate::sync::Mutex); the guard of a
    /// [`RecursiveMutex`](crate::sync::RecursiveMutex), which gives a [`Cell`](core::cell::Cell).
    type Target;
    /// Why the lock was not simply acquired again.
    type Error: From<Error>;

    #[doc(hidden)]
    fn target(&mut self) -> &mut Self::Target;

    /// Waits; `here` is the caller's member of the condition variable's segment. Returns whether the deadline passed.
    #[doc(hidden)]
    fn wait_at(
        self,
        raw: &RawCondvar,
        here: &Member,
        deadline: Option<Deadline>,
    ) -> core::result::Result<(Self, bool), Self::Error>;
}

mod sealed {
    pub trait Wait {}
    impl<T: crate::shared::Plain> Wait for super::MutexGuard<'_, T> {}
    impl<T: crate::shared::Plain> Wait for super::RecursiveMutexGuard<'_, T> {}
}

impl<'a, T: Plain> CondvarGuard for MutexGuard<'a, T> {
    type Target = T;
    type Error = LockError<'a, T>;

    fn target(&mut self) -> &mut T {
        self
    }

    fn wait_at(
        self,
        raw: &RawCondvar,
        here: &Member,
        deadline: Option<Deadline>,
    ) -> core::result::Result<(Self, bool), LockError<'a, T>> {
        let (mutex, me) = self.into_parts();
        let lock = &mutex.raw;
        let me = me.ok_or(Error::from(ErrorKind::NotOwner))?;
        let waited = if core::ptr::eq(here, me) {
            raw.wait(me, lock, deadline)
        } else {
            Err(ErrorKind::InvalidInput.into())
        };
        match waited {
            Ok(waited) => Ok((mutex.acquired(me, Ok(waited.how))?, waited.timed_out)),
            Err(error) => {
                if lock.is_held_by(me) {
                    // As if the guard had been dropped.
                    let _ = lock.unlock_keeping_news(me);
                }
                Err(LockError::Failed(error))
            }
        }
    }
}

impl<'a, T: Plain> CondvarGuard for RecursiveMutexGuard<'a, T> {
    type Target = Self;
    type Error = RecursiveLockError<'a, T>;

    fn target(&mut self) -> &mut Self {
        self
    }

    fn wait_at(
        self,
        raw: &RawCondvar,
        here: &Member,
        deadline: Option<Deadline>,
    ) -> core::result::Result<(Self, bool), RecursiveLockError<'a, T>> {
        let (mutex, me) = self.into_parts();
        let me = me.ok_or(Error::from(ErrorKind::NotOwner))?;
        let waited = if core::ptr::eq(here, me) {
            raw.wait_recursive(me, &mutex.raw, deadline)
        } else {
            Err(ErrorKind::InvalidInput.into())
        };
        match waited {
            Ok(waited) => Ok((mutex.acquired(me.id(), me, Ok(waited.how))?, waited.timed_out)),
            Err(error) => {
                // As if the guard had been dropped: one level, if any is left.
                let _ = mutex.raw.unlock_keeping_news(me);
                Err(RecursiveLockError::Failed(error))
            }
        }
    }
}

/// A condition variable: lets a thread wait, under a [`Mutex`](crate::sync::Mutex) or a
/// [`RecursiveMutex`](crate::sync::RecursiveMutex), until another thread of any process makes a condition true and notifies it.
///
/// It must lie in the same segment as the mutex, and all concurrent waiters must name the same mutex. All-zero bytes are an
/// idle one. 16 bytes.
///
/// A wait may end without a notification: after a signal handler has run, when somebody in the segment is killed, or by a race.
/// So check the condition in a loop, or use [`Condvar::wait_while`], which does. If there is no condition to check, use
/// [`Condvar::notifications`]. A thread or process that ends in good order wakes nobody.
///
/// To look at something else from time to time, as a language binding looks at its signals, wait in slices: no notification that
/// is sent with the lock held is lost between two slices, as the waiter holds the lock then.
///
/// *When somebody dies*: a killed waiter takes no notification along. A notifier that is killed between its change and its
/// notification, with the lock held, leaves nobody asleep: all waiters wake, and the wait of the first to get the lock returns
/// the news, [`LockError::OwnerDied`]. A notifier that is killed between its unlock and the notification also wakes those who
/// are asleep; for a guarantee, notify before unlocking (see [`RawCondvar`], window CV-g). A death that the kernel does not
/// report (exec in a second thread) is passed on by the next locker.
///
/// *A recursive mutex* is released completely, whatever its depth, and taken again at the same depth. That holds also if it
/// comes from the dead: the dead owner's depth is void, as the waiter's other guards rely on their own. So the value may change
/// under those guards during a wait. A waiter with other guards never gets `NotRecoverable`: it gets the lock that nobody
/// repaired once more, with the news.
///
/// *Ordering*: that of the mutex. *Threads*: any. *Fork*: a parent's guard is refused in the child (`NotOwner`).
/// *Signals*: do not use it in a handler. *Cost*: a notification with nobody waiting is one load.
///
/// Algorithm: see [`RawCondvar`].
///
/// # Examples
/// ```
/// use interproc::{Segment, sync::{Condvar, Mutex}};
///
/// let seg = Segment::anonymous(4096)?;
/// let left = seg.object("left", || Mutex::new(0u32))?;
/// let arrived = seg.object("arrived", Condvar::new)?;
///
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         *left.lock().unwrap() += 3;
///         arrived.notify_one().unwrap();
///     });
///     let mut left = arrived.wait_while(left.lock().unwrap(), |left| *left == 0).unwrap();
///     *left -= 1;
/// });
/// assert_eq!(*left.lock()?, 2);
/// # Ok::<(), interproc::Error>(())
/// ```
/// Under a recursive mutex:
/// ```
/// use interproc::{Segment, sync::{Condvar, RecursiveMutex}};
///
/// let seg = Segment::anonymous(4096)?;
/// let left = seg.object("left", || RecursiveMutex::new(0u32))?;
/// let arrived = seg.object("arrived", Condvar::new)?;
///
/// std::thread::scope(|s| {
///     let outer = left.lock().unwrap();
///     s.spawn(|| {
///         left.lock().unwrap().set(3); // the wait below lets it in
///         arrived.notify_one().unwrap();
///     });
///     let inner = arrived.wait_while(left.lock().unwrap(), |left| left.get() == 0).unwrap();
///     assert_eq!(left.depth(), Ok(2));
///     outer.set(inner.get() - 1);
/// });
/// assert_eq!(left.lock()?.get(), 2);
/// # Ok::<(), interproc::Error>(())
/// ```
#[repr(transparent)]
pub struct Condvar {
    raw: RawCondvar,
}

// SAFETY: repr(C) of two atomics; zero is idle; nothing to drop.
unsafe impl Shared for Condvar {}

/// Whether a wait ended by its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the deadline passed before a notification came. The condition may be true nevertheless: check it.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let (guard, result) =
    ///     changed.wait_while_timeout(m.lock()?, std::time::Duration::from_millis(1), |m| *m == 0)?;
    /// assert!(result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// One that nobody waits for, to be put into a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Condvar};
    /// # let seg = Segment::anonymous(4096)?;
    /// let changed = seg.object("changed", Condvar::new)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub const fn new() -> Self {
        Condvar { raw: RawCondvar::new() }
    }

    /// Unlocks, waits for a notification, and locks again.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`]: holds the lock again, whose last owner died: repair the value, mark it consistent, go on.
    /// `NotRecoverable`: nobody repaired it. `InvalidInput`: outside a segment, or in another one than the mutex, or
    /// somebody waits here with another mutex. `NotOwner`: the guard belongs to a forked child's parent. After a plain
    /// error the lock is no longer held.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let ready = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let mut guard = ready.lock()?;
    /// while *guard == 0 {
    ///     guard = changed.wait(guard).or_else(|e| e.recover(|value| *value = 0))?;
    /// }
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait<G: CondvarGuard>(&self, guard: G) -> Locked<G> {
        self.wait_raw(guard, None).map(|(guard, _)| guard)
    }

    /// [`Condvar::wait`] as long as `condition` returns true; checks it first before any wait.
    ///
    /// # Errors
    /// As [`Condvar::wait`]; `OwnerDied` is returned without checking the condition again.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let ready = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let guard = changed.wait_while(ready.lock()?, |ready| *ready == 0)?;
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_while<G: CondvarGuard>(
        &self,
        mut guard: G,
        mut condition: impl FnMut(&mut G::Target) -> bool,
    ) -> Locked<G> {
        while condition(guard.target()) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// [`Condvar::wait`], for at most `timeout`. Taking the lock again is not limited.
    ///
    /// # Errors
    /// As [`Condvar::wait`]. A time-out is not an error.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let (guard, result) = changed.wait_timeout(m.lock()?, std::time::Duration::from_millis(1))?;
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_timeout<G: CondvarGuard>(&self, guard: G, timeout: Duration) -> LockedInTime<G> {
        self.wait_until(guard, Deadline::after(timeout))
    }

    /// [`Condvar::wait`], until `deadline` at the latest. With a deadline in the past it releases the lock, so that others may
    /// take it, and locks again.
    ///
    /// # Errors
    /// As [`Condvar::wait`]. A time-out is not an error.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let (guard, result) = changed.wait_until(m.lock()?, Deadline::now())?;
    /// assert!(result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_until<G: CondvarGuard>(&self, guard: G, deadline: Deadline) -> LockedInTime<G> {
        self.wait_raw(guard, Some(deadline))
    }

    /// [`Condvar::wait_while`], for at most `timeout`.
    ///
    /// # Errors
    /// As [`Condvar::wait_while`]. A time-out is not an error: the result says so, and the condition was still true.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let second = std::time::Duration::from_secs(1);
    /// let (guard, result) = changed.wait_while_timeout(m.lock()?, second, |m| *m == 0)?;
    /// assert!(!result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_while_timeout<G: CondvarGuard>(
        &self,
        guard: G,
        timeout: Duration,
        condition: impl FnMut(&mut G::Target) -> bool,
    ) -> LockedInTime<G> {
        self.wait_while_until(guard, Deadline::after(timeout), condition)
    }

    /// [`Condvar::wait_while`], until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Condvar::wait_while`]. A time-out is not an error: the result says so, and the condition was still true.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let (guard, result) = changed.wait_while_until(m.lock()?, Deadline::now(), |m| *m == 0)?;
    /// assert!(result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_while_until<G: CondvarGuard>(
        &self,
        mut guard: G,
        deadline: Deadline,
        mut condition: impl FnMut(&mut G::Target) -> bool,
    ) -> LockedInTime<G> {
        let mut result = WaitTimeoutResult(false);
        loop {
            if !condition(guard.target()) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if result.timed_out() {
                return Ok((guard, result));
            }
            (guard, result) = self.wait_until(guard, deadline)?;
        }
    }

    /// Wakes one waiter, if there is any. Best called with the lock held.
    ///
    /// # Errors
    /// Only if somebody waits: `InvalidInput` outside a segment, `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let mut guard = m.lock()?;
    /// *guard += 1;
    /// changed.notify_one()?;
    /// drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn notify_one(&self) -> Result<()> {
        if self.raw.may_have_waiters() { self.notify(RawCondvar::notify_one) } else { Ok(()) }
    }

    /// Wakes all waiters: one now, each of the others when the lock is available to it. Best called with the lock held.
    ///
    /// # Errors
    /// As [`Condvar::notify_one`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// *m.lock()? = 2;
    /// changed.notify_all()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn notify_all(&self) -> Result<()> {
        if self.raw.may_have_waiters() { self.notify(RawCondvar::notify_all) } else { Ok(()) }
    }

    /// How many notifications, to one or to all, were sent while somebody waited; the number wraps after 2³¹ − 1. Read it with
    /// the lock held before and after a wait, or after several slices: equal numbers mean that there was none. The number does
    /// not say for whom a notification was: if one of several waiters is notified, another one that wakes at that time sees the
    /// new number, too.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # use std::time::Duration;
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let interrupted = || true;
    /// let mut guard = m.lock()?;
    /// let before = changed.notifications();
    /// while changed.notifications() == before {
    ///     guard = changed.wait_timeout(guard, Duration::from_millis(10))?.0;
    ///     if interrupted() {
    ///         break;
    ///     }
    /// }
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn notifications(&self) -> u32 {
        self.raw.notifications()
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted.
    /// A notified thread counts until the lock is available to it.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| drop(changed.wait_while(m.lock().unwrap(), |m| *m == 0).unwrap()));
    ///     while changed.waiters().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     *m.lock().expect("nobody dies") = 1;
    ///     changed.notify_all().expect("in a segment");
    /// });
    /// assert_eq!(changed.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(core::ptr::from_ref(self).cast(), size_of::<RawCondvar>())
    }

    #[cold]
    fn notify(&self, how: impl FnOnce(&RawCondvar, &member::Member)) -> Result<()> {
        how(&self.raw, member::current(core::ptr::from_ref(self).cast())?);
        Ok(())
    }

    fn wait_raw<G: CondvarGuard>(&self, guard: G, deadline: Option<Deadline>) -> LockedInTime<G> {
        let here = member::current(core::ptr::from_ref(self).cast())?;
        let (guard, timed_out) = guard.wait_at(&self.raw, here, deadline)?;
        Ok((guard, WaitTimeoutResult(timed_out)))
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
