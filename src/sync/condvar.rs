//! [`Condvar`]: the condition variable for [`Mutex`](crate::sync::Mutex).
#![allow(unsafe_code)]

use crate::error::{Error, ErrorKind, Result};
use crate::member::{self, view};
use crate::shared::{Plain, Shared};
use crate::sync::{LockError, MutexGuard, RawCondvar};
use crate::time::Deadline;
use core::fmt;
use core::time::Duration;

/// What a wait gives: the lock again, or why not simply.
type Locked<'a, T> = core::result::Result<MutexGuard<'a, T>, LockError<'a, T>>;
/// What a wait with a limit gives.
type LockedInTime<'a, T> = core::result::Result<(MutexGuard<'a, T>, WaitTimeoutResult), LockError<'a, T>>;

/// Waiting, under a [`Mutex`](crate::sync::Mutex), until another thread of any process makes a condition true and says so.
///
/// It must lie in the same segment as the mutex, and all who wait at one time name the same mutex. All-zero bytes are an
/// idle one. 16 bytes.
///
/// A wait may end without a notification: when a signal handler has run, when somebody in the segment dies, or by a race. So look at the
/// condition in a loop, or use [`Condvar::wait_while`], which does.
///
/// *When somebody dies*: a killed waiter takes no notification along; a notifier that is killed between its change and its
/// notification, lock held, has not left anybody asleep: all waiters wake, and the first gets the lock with the news,
/// [`LockError::OwnerDied`], out of its wait. Killed between its unlock and the notification, too, it wakes those who are asleep;
/// notify before you unlock if nothing at all may depend on luck (see [`RawCondvar`], window D8). A death that the
/// kernel does not report (exec in a second thread) is passed on by the next locker.
///
/// *Ordering*: that of the mutex. *Threads*: any. *Fork*: a parent's guard is refused in the child (`NotOwner`).
/// *Signals*: not to be used in a handler. *Cost*: a notification with nobody waiting is one load.
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
#[repr(transparent)]
pub struct Condvar {
    raw: RawCondvar,
}

// SAFETY: repr(C) of two atomics; zero is idle; nothing to drop.
unsafe impl Shared for Condvar {
    const TYPE_ID: u32 = u32::from_le_bytes(*b"Cond");
}

/// Whether a wait ended by its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the deadline passed before a notification came. The condition may be true all the same: look.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(0u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let (guard, result) =
    ///     changed.wait_while_for(m.lock()?, std::time::Duration::from_millis(1), |m| *m == 0)?;
    /// assert!(result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// One with nobody waiting, to be put into a segment.
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
    /// [`LockError::OwnerDied`]: it holds the lock again, whose last owner died: repair the value, mark it consistent, go on.
    /// `NotRecoverable`: nobody repaired it. `InvalidInput`: outside a segment, or in another one than the mutex, or
    /// somebody waits here with another mutex. `NotOwner`: the guard is that of a forked child's parent. With a plain
    /// error the lock is not held any more.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let ready = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let mut guard = ready.lock()?;
    /// while *guard == 0 {
    ///     guard = changed.wait(guard).unwrap_or_else(|e| e.recover(|value| *value = 0));
    /// }
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait<'a, T: Plain>(&self, guard: MutexGuard<'a, T>) -> Locked<'a, T> {
        self.wait_raw(guard, None).map(|(guard, _)| guard)
    }

    /// [`Condvar::wait`] as long as `condition` gives true, at first before any wait.
    ///
    /// # Errors
    /// As [`Condvar::wait`]; `OwnerDied` comes without another look at the condition.
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
    pub fn wait_while<'a, T: Plain>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Locked<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// [`Condvar::wait`], for at most `timeout`. Taking the lock again is not limited.
    ///
    /// # Errors
    /// As [`Condvar::wait`]. A time-out is none.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let (guard, result) = changed.wait_for(m.lock()?, std::time::Duration::from_millis(1))?;
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_for<'a, T: Plain>(&self, guard: MutexGuard<'a, T>, timeout: Duration) -> LockedInTime<'a, T> {
        self.wait_until(guard, Deadline::after(timeout))
    }

    /// [`Condvar::wait`], until `deadline` at the latest. One in the past gives the lock to whoever wants it, and takes it again.
    ///
    /// # Errors
    /// As [`Condvar::wait`]. A time-out is none.
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
    pub fn wait_until<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> LockedInTime<'a, T> {
        self.wait_raw(guard, Some(deadline))
    }

    /// [`Condvar::wait_while`], for at most `timeout`.
    ///
    /// # Errors
    /// As [`Condvar::wait_while`]. A time-out is none: the result tells, and the condition was still true.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::{Condvar, Mutex}};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let m = seg.object("m", || Mutex::new(1u32))?;
    /// # let changed = seg.object("changed", Condvar::new)?;
    /// let second = std::time::Duration::from_secs(1);
    /// let (guard, result) = changed.wait_while_for(m.lock()?, second, |m| *m == 0)?;
    /// assert!(!result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_while_for<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockedInTime<'a, T> {
        self.wait_while_until(guard, Deadline::after(timeout), condition)
    }

    /// [`Condvar::wait_while`], until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Condvar::wait_while`]. A time-out is none: the result tells, and the condition was still true.
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
    pub fn wait_while_until<'a, T: Plain>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Deadline,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockedInTime<'a, T> {
        let mut result = WaitTimeoutResult(false);
        loop {
            if !condition(&mut guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if result.timed_out() {
                return Ok((guard, result));
            }
            (guard, result) = self.wait_until(guard, deadline)?;
        }
    }

    /// Wakes one of those who wait, if anybody does. Best called with the lock held.
    ///
    /// # Errors
    /// Only with somebody waiting: `InvalidInput` outside a segment, `TooManyMembers`.
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

    /// Wakes all who wait: one now, each of the others when it can have the lock. Best called with the lock held.
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

    /// How many living threads are asleep for it: a snapshot. Those that still spin are not counted.
    /// One that is notified counts until it can have the lock.
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

    fn wait_raw<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Deadline>,
    ) -> LockedInTime<'a, T> {
        let here = member::current(core::ptr::from_ref(self).cast())?;
        let (mutex, lock, me) = guard.into_parts();
        let me = me.ok_or(Error::from(ErrorKind::NotOwner))?;
        let waited = if core::ptr::eq(here, me) {
            self.raw.wait(me, lock, deadline)
        } else {
            Err(ErrorKind::InvalidInput.into())
        };
        match waited {
            Ok(waited) => {
                let guard = mutex.acquired(me, Ok(waited.how))?;
                Ok((guard, WaitTimeoutResult(waited.timed_out)))
            }
            Err(error) => {
                if lock.is_held_by(me) {
                    // As if the guard had been dropped.
                    let _ = lock.unlock(me);
                }
                Err(LockError::Failed(error))
            }
        }
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
