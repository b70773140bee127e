//! [`Event`]: a flag to wait for.

use crate::error::Result;
use crate::member::{self, view};
use crate::shared::Shared;
use crate::sync::RawEvent;
use crate::time::Deadline;
use core::fmt;
use core::time::Duration;

/// A flag between threads of any processes: waiting threads go on when it is set.
///
/// It must lie in a segment ([`Segment::object`](crate::Segment::object)); elsewhere waiting is `InvalidInput`.
/// All-zero bytes are an event that is not set. 16 bytes.
///
/// A set releases all threads that wait at that moment, even if it is cleared right afterwards.
///
/// *When somebody dies*: nobody owns an event. A killed setter has set it and woken all, or has done nothing; a
/// killed waiter leaves nothing behind.
///
/// *Ordering*: a set is a release, also if the event is already set; `wait`, `is_set` and `clear` are acquires. *Threads*,
/// *fork*: no restrictions. *Signals*: [`set`](Self::set), [`clear`](Self::clear) and [`is_set`](Self::is_set)
/// are async-signal-safe, in threads that never used the segment, too. *Cost*: `is_set`, and `wait` when it is set,
/// are one load; `set` and `clear` with nobody asleep are one compare-and-swap; no system call.
///
/// Algorithm: see [`RawEvent`].
///
/// # Examples
/// ```
/// use interproc::{Segment, process, sync::Event};
///
/// let seg = Segment::anonymous(4096)?;
/// let go = seg.object("go", Event::new)?;
/// let child = process::fork(|| go.wait().unwrap())?;
/// go.set();
/// child.join()?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[repr(transparent)]
pub struct Event {
    raw: RawEvent,
}

#[allow(unsafe_code)]
// SAFETY: transparent around two atomics; any bytes are a count and a flag; zero is not set; nothing to drop.
unsafe impl Shared for Event {}

impl Default for Event {
    fn default() -> Self {
        Event::new()
    }
}

impl Event {
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn raw(&self) -> &RawEvent {
        &self.raw
    }

    /// An event that is not set, to be put into a segment.
    pub const fn new() -> Self {
        Event { raw: RawEvent::new() }
    }

    /// Whether it is set, without waiting. Async-signal-safe.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Event};
    /// # let seg = Segment::anonymous(4096)?;
    /// assert!(!seg.object("stop", Event::new)?.is_set());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn is_set(&self) -> bool {
        self.raw.is_set()
    }

    /// Sets it and releases all who wait. Async-signal-safe; in any thread of any process that has the segment mapped.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Event};
    /// # let seg = Segment::anonymous(4096)?;
    /// let stop = seg.object("stop", Event::new)?;
    /// stop.set();
    /// stop.wait()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn set(&self) {
        self.raw.set();
    }

    /// Clears it: later callers wait. Async-signal-safe.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Event};
    /// # let seg = Segment::anonymous(4096)?;
    /// let stop = seg.object("stop", Event::new)?;
    /// stop.set();
    /// stop.clear();
    /// assert!(!stop.is_set());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn clear(&self) {
        self.raw.clear();
    }

    /// How many times it has been set, not counting sets that found it set; the number wraps after 2³¹ − 1.
    ///
    /// For waiting in slices for an event that is set and cleared at once: that releases a wait, but a thread between two waits
    /// sees it only by a changed number. Async-signal-safe.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Event};
    /// # use std::time::Duration;
    /// # let seg = Segment::anonymous(4096)?;
    /// let tick = seg.object("tick", Event::new)?;
    /// let before = tick.sets();
    /// # tick.set();
    /// # tick.clear();
    /// while tick.sets() == before && tick.wait_timeout(Duration::from_millis(50)).is_err() {
    ///     // look at something else
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn sets(&self) -> u32 {
        self.raw.sets()
    }

    #[cold]
    fn wait_slow(&self, deadline: Option<Deadline>) -> Result<()> {
        self.raw.wait(member::current(core::ptr::from_ref(self).cast())?, deadline)
    }

    /// Waits until it is set, as long as it takes.
    ///
    /// # Errors
    /// If it has to wait: `InvalidInput` outside a segment, `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Event};
    /// # let seg = Segment::anonymous(4096)?;
    /// let go = seg.object("go", Event::new)?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| go.set());
    ///     go.wait()
    /// })?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn wait(&self) -> Result<()> {
        if self.is_set() { Ok(()) } else { self.wait_slow(None) }
    }

    /// Waits until it is set, at most `timeout`.
    ///
    /// # Errors
    /// As [`Event::wait`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::Event};
    /// # use std::time::Duration;
    /// # let seg = Segment::anonymous(4096)?;
    /// let go = seg.object("go", Event::new)?;
    /// let error = go.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        if self.is_set() { Ok(()) } else { self.wait_slow(Some(Deadline::after(timeout))) }
    }

    /// Waits until it is set, or until `deadline`.
    ///
    /// # Errors
    /// As [`Event::wait`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::Event};
    /// # let seg = Segment::anonymous(4096)?;
    /// let go = seg.object("go", Event::new)?;
    /// go.set();
    /// go.wait_until(Deadline::now())?; // it is set: a deadline in the past does not matter
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_until(&self, deadline: Deadline) -> Result<()> {
        if self.is_set() { Ok(()) } else { self.wait_slow(Some(deadline)) }
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Event};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let it = seg.object("it", Event::new)?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| it.wait().expect("in a segment"));
    ///     while it.waiters().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     it.set();
    /// });
    /// assert_eq!(it.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(core::ptr::from_ref(self).cast(), size_of::<RawEvent>())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish()
    }
}
