//! [`Semaphore`]: a number of permits that anybody may post and anybody may acquire.

use crate::error::Result;
use crate::member::{self, view};
use crate::shared::Shared;
use crate::sync::RawSemaphore;
use crate::time::Deadline;
use core::fmt;
use core::time::Duration;

/// A counting semaphore between threads of any processes.
///
/// It must lie in a segment ([`Segment::object`](crate::Segment::object)); elsewhere waiting is `InvalidInput`.
/// All-zero bytes are a semaphore with the value 0. 16 bytes.
///
/// *When somebody dies*: it has no owner, so what a thread had acquired and not posted when it died is gone (if that
/// must come back, use a `BoundedSemaphore`, or a [`Mutex`](crate::sync::Mutex)). Nothing else is lost: a killed poster
/// has posted and woken, or has not posted; a killed sleeper leaves the permit to the others, at once.
///
/// *Ordering*: a post is a release, an acquire an acquire. *Threads*: any thread may post what any other has acquired. *Fork*:
/// nothing belongs to anybody; a child goes on like its parent. *Signals*: [`post`](Self::post),
/// [`post_many`](Self::post_many), [`try_acquire`](Self::try_acquire) and [`value`](Self::value) are async-signal-safe,
/// in threads that never used the segment, too; a handler may run in the middle of any operation of this crate. *Cost*:
/// uncontended one compare-and-swap each way, no system call.
///
/// Algorithm: see [`RawSemaphore`].
///
/// # Examples
/// ```
/// use interproc::{Segment, process, sync::Semaphore};
///
/// let seg = Segment::anonymous(4096)?;
/// let ready = seg.object("ready", || Semaphore::new(0))?;
/// let child = process::fork(|| ready.post().unwrap())?;
/// ready.acquire()?; // waits for the child
/// child.join()?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[repr(transparent)]
pub struct Semaphore {
    raw: RawSemaphore,
}

#[allow(unsafe_code)]
// SAFETY: transparent around two atomics; any bytes are a value and a flag; zero is a semaphore; nothing to drop.
unsafe impl Shared for Semaphore {}

impl Semaphore {
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn raw(&self) -> &RawSemaphore {
        &self.raw
    }

    /// The largest value.
    pub const MAX: u32 = RawSemaphore::MAX;

    /// A semaphore with this value, to be put into a segment.
    ///
    /// # Panics
    /// If the value is more than [`Semaphore::MAX`].
    pub const fn new(value: u32) -> Self {
        Semaphore { raw: RawSemaphore::new(value) }
    }

    #[cold]
    fn wait(&self, deadline: Option<Deadline>) -> Result<()> {
        self.raw.acquire(member::current(core::ptr::from_ref(self).cast())?, deadline)
    }

    #[inline(always)]
    fn take_or_wait(&self, deadline: impl FnOnce() -> Option<Deadline>) -> Result<()> {
        match self.raw.try_acquire() {
            Ok(()) => Ok(()),
            Err(_) => self.wait(deadline()),
        }
    }

    /// Acquires one, waiting as long as it takes.
    ///
    /// # Errors
    /// If it has to wait: `InvalidInput` outside a segment, `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Semaphore};
    /// # let seg = Segment::anonymous(4096)?;
    /// let slots = seg.object("slots", || Semaphore::new(2))?;
    /// slots.acquire()?;
    /// assert_eq!(slots.value(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn acquire(&self) -> Result<()> {
        self.take_or_wait(|| None)
    }

    /// Acquires one if there is one. Async-signal-safe.
    ///
    /// # Errors
    /// `WouldBlock`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::Semaphore};
    /// # let seg = Segment::anonymous(4096)?;
    /// let slots = seg.object("slots", || Semaphore::new(1))?;
    /// slots.try_acquire()?;
    /// assert_eq!(slots.try_acquire().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        self.raw.try_acquire()
    }

    /// Acquires one, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::Semaphore};
    /// # use std::time::Duration;
    /// # let seg = Segment::anonymous(4096)?;
    /// let slots = seg.object("slots", || Semaphore::new(0))?;
    /// let error = slots.acquire_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<()> {
        self.take_or_wait(|| Some(Deadline::after(timeout)))
    }

    /// Acquires one, waiting until `deadline` at the latest. An available one is acquired whatever the deadline.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::Semaphore};
    /// # let seg = Segment::anonymous(4096)?;
    /// let slots = seg.object("slots", || Semaphore::new(1))?;
    /// slots.acquire_until(Deadline::now())?; // there is one: a deadline in the past does not matter
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn acquire_until(&self, deadline: Deadline) -> Result<()> {
        self.take_or_wait(|| Some(deadline))
    }

    /// Adds one and wakes a sleeper. Async-signal-safe; in any thread of any process that has the segment mapped.
    ///
    /// # Errors
    /// `Overflow` at [`Semaphore::MAX`]; nothing is changed.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Semaphore};
    /// # let seg = Segment::anonymous(4096)?;
    /// let slots = seg.object("slots", || Semaphore::new(0))?;
    /// slots.post()?;
    /// slots.acquire()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn post(&self) -> Result<()> {
        self.raw.post(1)
    }

    /// Adds `n` and wakes as many sleepers. Async-signal-safe. While somebody sleeps it posts in steps of at most 2047;
    /// a thread that dies in between has posted a part.
    ///
    /// # Errors
    /// `Overflow` if the value would exceed [`Semaphore::MAX`]; nothing is changed.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::Semaphore};
    /// # let seg = Segment::anonymous(4096)?;
    /// let slots = seg.object("slots", || Semaphore::new(1))?;
    /// slots.post_many(3)?;
    /// assert_eq!(slots.value(), 4);
    /// assert_eq!(slots.post_many(Semaphore::MAX).unwrap_err().kind(), ErrorKind::Overflow);
    /// assert_eq!(slots.value(), 4);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn post_many(&self, n: u32) -> Result<()> {
        self.raw.post(n)
    }

    /// How many can be acquired: a snapshot. Async-signal-safe.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Semaphore};
    /// # let seg = Segment::anonymous(4096)?;
    /// assert_eq!(seg.object("slots", || Semaphore::new(7))?.value(), 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn value(&self) -> u32 {
        self.raw.value()
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Semaphore};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let it = seg.object("it", || Semaphore::new(0))?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| it.acquire().expect("in a segment"));
    ///     while it.waiters().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     it.post().expect("no overflow");
    /// });
    /// assert_eq!(it.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(core::ptr::from_ref(self).cast(), size_of::<RawSemaphore>())
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("value", &self.value()).finish()
    }
}
