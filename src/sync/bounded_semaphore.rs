//! [`BoundedSemaphore`]: the handle of a number of robust permits in a segment.
#![allow(unsafe_code)]

use super::{RawBoundedSemaphore, RawPermit};
use crate::counted::Keep;
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member, Unwinding, Who, view};
use crate::time::Deadline;
use core::fmt;
use core::mem::forget;
use core::time::Duration;
use std::vec::Vec;

/// A number of permits between threads of any processes. A holder can be killed, and nothing is lost.
///
/// Made or found by [`Segment::bounded_semaphore`](crate::Segment::bounded_semaphore), which sets the number of permits. The
/// handle is cheap to clone and may be used by any thread; a forked child may go on using it. The semaphore has 64 bytes, and 8
/// for each permit.
///
/// *When a holder dies* (a thread or its process, for any reason), its permits go to the next acquirers, within
/// microseconds if somebody waits, and these are told: [`Permit::owner_died`]. So it suits a number of *things* that can each
/// be left in disorder: connections, licences, devices, slots of a cache. For events that nobody owns, use `Semaphore`.
/// *A panic that drops a permit* counts as a death, and a failed `acquire_many` leaves the news of a death to the next holder.
/// Up to 120 holders are watched without any polling; with more, a death is found within 50 ms.
///
/// *Bounded*: a permit is given back once. Giving it back again (in C, or with [`RawBoundedSemaphore`]; a [`Permit`] cannot) is
/// an error and changes nothing.
///
/// *Ordering*: giving back is a release, acquiring an acquire: a new holder sees what the last holder did. Waiting threads
/// are served one after the other, but a newcomer may be faster. *Fork*: the child does not own what its parent holds; a
/// permit that it inherits does nothing. *Signals*: do not use it in a handler; signals do not end a wait. *Cost*:
/// uncontended one compare-and-swap each way, no system call.
///
/// Algorithm: see [`RawBoundedSemaphore`].
///
/// # Examples
/// ```
/// use interproc::Segment;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let lines = seg.bounded_semaphore("telephone lines", 3)?;
/// let one = lines.acquire()?;
/// if one.owner_died() {
///     // Whoever had this line was killed with the receiver in his hand: hang up first.
/// }
/// assert_eq!(lines.available()?, 2);
/// let rest = lines.try_acquire_many(2)?;
/// assert!(lines.try_acquire().is_err());
/// drop((one, rest));
/// assert_eq!(lines.available()?, 3);
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore {
    raw: RawBoundedSemaphore,
    /// Keeps the segment mapped.
    segment: Keep,
}

impl BoundedSemaphore {
    /// A handle on cells in a segment that `segment` keeps mapped.
    pub(crate) fn from_raw(raw: RawBoundedSemaphore, segment: Keep) -> Self {
        BoundedSemaphore { raw, segment }
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (RawBoundedSemaphore, Keep) {
        (self.raw, self.segment.clone())
    }

    #[inline(always)]
    fn me(&self) -> Result<&Member> {
        member::current(self.raw.cells().address())
    }

    #[inline(always)]
    fn permit(&self, raw: RawPermit) -> Permit<'_> {
        Permit { semaphore: self, raw, forks: member::forks(), unwinding: Unwinding::begin() }
    }

    /// Acquires a permit, waiting as long as it takes.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 2)?;
    /// let permit = s.acquire()?;
    /// assert!(!permit.owner_died());
    /// # drop(permit);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn acquire(&self) -> Result<Permit<'_>> {
        Ok(self.permit(self.raw.acquire(self.me()?, None)?))
    }

    /// Acquires a permit if one is free or its holder is dead. It looks at each permit once: while others release and acquire, it
    /// can be refused although one was free all the time.
    ///
    /// # Errors
    /// `WouldBlock`; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::ErrorKind;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 1)?;
    /// let permit = s.try_acquire()?;
    /// assert_eq!(s.try_acquire().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # drop(permit);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>> {
        Ok(self.permit(self.raw.try_acquire(self.me()?)?))
    }

    /// Acquires a permit, waiting at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::ErrorKind;
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 1)?;
    /// let permit = s.acquire_timeout(Duration::from_millis(5))?;
    /// assert_eq!(s.acquire_timeout(Duration::from_millis(5)).unwrap_err().kind(), ErrorKind::TimedOut);
    /// # drop(permit);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>> {
        self.acquire_until(Deadline::after(timeout))
    }

    /// Acquires a permit, waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`BoundedSemaphore::acquire_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 1)?;
    /// let permit = s.acquire_until(interproc::Deadline::now())?; // free: a deadline in the past does not matter
    /// # drop(permit);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn acquire_until(&self, deadline: Deadline) -> Result<Permit<'_>> {
        Ok(self.permit(self.raw.acquire(self.me()?, Some(deadline))?))
    }

    /// Acquires `count` permits, waiting as long as it takes. It keeps those that it has while it waits for the rest. Only one
    /// thread at a time does so: two threads that want several cannot deadlock. A thread that already holds a permit and waits
    /// for more can.
    ///
    /// # Errors
    /// `InvalidInput` for none, or more than there are; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 5)?;
    /// let three = s.acquire_many(3)?;
    /// assert_eq!((three.count(), s.available()?), (3, 2));
    /// # drop(three);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn acquire_many(&self, count: u32) -> Result<Permit<'_>> {
        Ok(self.permit(self.raw.acquire_many(self.me()?, count, None)?))
    }

    /// Acquires `count` permits if that many are free: all or nothing. It takes one after the other, and gives them back if there
    /// are too few: two threads that try at the same moment can both fail, even if one of them wants a single permit.
    ///
    /// # Errors
    /// `WouldBlock`; as [`BoundedSemaphore::acquire_many`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 5)?;
    /// let three = s.try_acquire_many(3)?;
    /// assert!(s.try_acquire_many(3).is_err());
    /// assert_eq!(s.available()?, 2);
    /// # drop(three);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_acquire_many(&self, count: u32) -> Result<Permit<'_>> {
        Ok(self.permit(self.raw.try_acquire_many(self.me()?, count)?))
    }

    /// Acquires `count` permits, waiting at most `timeout`. If it does not get all, it gives back those that it has.
    ///
    /// # Errors
    /// `TimedOut`; as [`BoundedSemaphore::acquire_many`].
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 5)?;
    /// let three = s.acquire_many_timeout(3, Duration::from_millis(5))?;
    /// assert!(s.acquire_many_timeout(3, Duration::from_millis(5)).is_err());
    /// assert_eq!(s.available()?, 2);
    /// # drop(three);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn acquire_many_timeout(&self, count: u32, timeout: Duration) -> Result<Permit<'_>> {
        self.acquire_many_until(count, Deadline::after(timeout))
    }

    /// Acquires `count` permits, waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`BoundedSemaphore::acquire_many_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 5)?;
    /// let all = s.acquire_many_until(5, interproc::Deadline::now())?;
    /// # drop(all);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn acquire_many_until(&self, count: u32, deadline: Deadline) -> Result<Permit<'_>> {
        Ok(self.permit(self.raw.acquire_many(self.me()?, count, Some(deadline))?))
    }

    /// How many permits there are.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.bounded_semaphore("s", 5)?.permits(), 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn permits(&self) -> u32 {
        self.raw.permits()
    }

    /// How many permits are available now: a snapshot. Permits held by a thread that waits for more are not counted. It looks at
    /// one after the other: while others release and acquire, the number may be one that was never true.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.bounded_semaphore("s", 5)?.available()?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn available(&self) -> Result<u32> {
        Ok(self.raw.available(self.me()?))
    }

    /// Who holds permits, dead or alive, each thread once: a snapshot. Dead holders are named until somebody has taken over their
    /// permits. The caller need not be a member of the segment.
    ///
    /// # Errors
    /// `InvalidInput` if the segment is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 5)?;
    /// let two = s.acquire_many(2)?;
    /// let holders = s.holders()?;
    /// assert_eq!((holders.len(), holders[0].pid), (1, std::process::id()));
    /// # drop(two);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn holders(&self) -> Result<Vec<Who>> {
        view::all(self.raw.cells().address(), |_, _| Ok(self.raw.holders()))
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 1)?;
    /// let permit = s.acquire()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| drop(s.acquire().expect("a permit")));
    ///     while s.waiters().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     drop(permit);
    /// });
    /// assert_eq!(s.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(self.raw.cells().address(), self.raw.cells().size())
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSemaphore").field("permits", &self.permits()).finish_non_exhaustive()
    }
}

/// A permit, or several that were acquired together. Dropping it gives it back.
///
/// It belongs to the *thread* that acquired it: when that thread dies, it goes to somebody else. It may be moved to another
/// thread and given back there as long as the first one lives; to keep it, the other thread must [adopt](Permit::adopt) it.
#[must_use = "the permit is given back at once if it is not kept"]
pub struct Permit<'a> {
    semaphore: &'a BoundedSemaphore,
    raw: RawPermit,
    /// The process in which it was acquired.
    forks: u64,
    unwinding: Unwinding,
}

impl Permit<'_> {
    /// Whether the last holder died holding it (for several permits: the last holder of one of them). What it stands for may be
    /// in disorder. Reported once.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, process};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let lines = seg.bounded_semaphore("lines", 1)?;
    /// let child = process::fork(|| {
    ///     std::mem::forget(lines.acquire().unwrap());
    ///     std::process::abort();
    /// })?;
    /// child.join()?;
    /// assert!(lines.acquire()?.owner_died());
    /// assert!(!lines.acquire()?.owner_died());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn owner_died(&self) -> bool {
        self.raw.owner_died
    }

    /// How many permits it stands for.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.bounded_semaphore("s", 5)?.acquire_many(2)?.count(), 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn count(&self) -> u32 {
        self.raw.count
    }

    /// Gives it back, as dropping it does, and reports errors.
    ///
    /// # Errors
    /// `Stale` if the thread that acquired it died: it now belongs to somebody else. `NotOwner` in a forked child.
    ///
    /// # Examples
    /// ```
    /// # use interproc::ErrorKind;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 1)?;
    /// s.acquire()?.release()?;
    /// std::thread::scope(|scope| {
    ///     let thread = scope.spawn(|| s.acquire().unwrap());
    ///     let permit = thread.join().unwrap();
    ///     // Give the kernel time to see the thread off.
    ///     std::thread::sleep(std::time::Duration::from_millis(50));
    ///     assert_eq!(permit.release().unwrap_err().kind(), ErrorKind::Stale);
    /// });
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn release(self) -> Result<()> {
        let result = self.give_back();
        forget(self);
        result
    }

    /// Makes the calling thread its owner.
    ///
    /// # Errors
    /// `Stale` if the thread that acquired it died; `NotOwner` in a forked child. The permit is gone then.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let s = seg.bounded_semaphore("s", 1)?;
    /// let permit = s.acquire()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let permit = permit.adopt().unwrap(); // from now on this thread's life counts
    ///         drop(permit);
    ///     });
    /// });
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn adopt(self) -> Result<Self> {
        let me = self.member()?;
        let adopted = self.semaphore.raw.adopt(me, &self.raw);
        let (semaphore, forks, unwinding) = (self.semaphore, self.forks, self.unwinding);
        forget(self);
        Ok(Permit { semaphore, raw: adopted?, forks, unwinding })
    }

    /// The calling thread's member, if the permit belongs to this process.
    #[inline(always)]
    fn member(&self) -> Result<&Member> {
        // First, as it notices a fork.
        let me = self.semaphore.me()?;
        // If this thread acquired it, so did this process.
        if self.raw.owner() != Some(me.id()) && self.forks != member::forks() {
            return Err(ErrorKind::NotOwner.into());
        }
        Ok(me)
    }

    #[inline(always)]
    fn give_back(&self) -> Result<()> {
        let me = self.member()?;
        if self.unwinding.interrupts() {
            return self.semaphore.raw.hand_back(me, &self.raw);
        }
        self.semaphore.raw.release(me, &self.raw)
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // If this fails, it is no longer ours.
        let _ = self.give_back();
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RawPermit { count, owner_died, .. } = self.raw;
        f.debug_struct("Permit")
            .field("count", &count)
            .field("owner_died", &owner_died)
            .finish_non_exhaustive()
    }
}
