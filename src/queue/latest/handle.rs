//! [`Latest`], the typed handle of a latest value in a segment.
#![allow(unsafe_code)]

use super::RawLatest;
use crate::counted::Keep;
use crate::error::Result;
use crate::member::{self, Member, Who, view};
use crate::shared::Plain;
use crate::time::Deadline;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::time::Duration;

/// A value of which only the newest counts, between any processes: a state, a position, a configuration, a frame. Writers never
/// wait for readers, and readers wait for nobody.
///
/// Created or found by [`Segment::latest`](crate::Segment::latest). The handle is cheap to clone. Any thread may use it, and a
/// forked child may go on using it.
///
/// *A read* is two loads and a copy, without a read-modify-write or a system call, and needs no member slot of the segment. It
/// never returns a half-set value, and it is *wait-free*: a reader that writers have overtaken twice (each time by a whole round
/// of sets during one copy) announces itself, and writers then avoid what it reads. There are four announcements, or as many as
/// [`Segment::latest_for`](crate::Segment::latest_for) was given; a reader beyond that retries (lock-free: it is overtaken only
/// while others set). *A set* is a lock, a copy and a full fence; writers wait for each other.
///
/// *If a thread dies*: a writer in mid-set costs the value that it was setting, and the next writer goes on; a reader costs
/// nothing. Threads that wait for a newer value are woken if there is one. *A process that is stopped* in the middle of a set
/// delays other writers ([`Latest::writer`] names it), never readers; a stopped reader delays nobody.
///
/// *Ordering*: whoever reads a value, or sees its version, sees everything that happened before it was set. The versions that one
/// thread sees never go back. *Signals*: not to be used in a handler. *Size*: there are two more slots than announcements; each
/// takes the value and 8 bytes, rounded up to 64.
///
/// Algorithm: see [`RawLatest`].
///
/// # Examples
/// ```
/// use interproc::Segment;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let position = seg.latest("position", [0.0f64; 3])?;
/// position.set([1.0, 2.0, 3.0])?;
/// position.set([1.5, 2.0, 3.0])?;
/// assert_eq!(position.get()?, [1.5, 2.0, 3.0]);
/// assert_eq!(position.version(), 2);
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Latest<T> {
    raw: RawLatest,
    /// Keeps the segment mapped.
    segment: Keep,
    _value: PhantomData<fn(T) -> T>,
}

/// A value and its version.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// let limit = seg.latest("limit", 100u32)?;
/// let first = limit.get_versioned()?;
/// limit.set(70)?;
/// let next = limit.wait_newer(first.version)?;
/// assert_eq!((first.value, next.value, next.version), (100, 70, 1));
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The number of sets up to this one: 0 for the initial value.
    pub version: u64,
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Latest { raw: self.raw, segment: self.segment.clone(), _value: PhantomData }
    }
}

impl<T: Plain> Latest<T> {
    /// A handle on a place in a segment that `segment` keeps mapped. `None` if its values are not `T`s.
    pub(crate) fn from_raw(raw: RawLatest, segment: Keep) -> Option<Self> {
        (raw.place().element() == size_of::<T>()).then_some(Latest { raw, segment, _value: PhantomData })
    }

    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (RawLatest, Keep) {
        (self.raw, self.segment.clone())
    }

    #[inline(always)]
    fn me(&self) -> Result<&Member> {
        member::current(self.raw.place().address())
    }

    /// The newest value.
    ///
    /// # Errors
    /// `Corrupt` if a peer breaks the protocol and scribbles; never otherwise.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.latest("limit", 100u32)?.get()?, 100);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn get(&self) -> Result<T> {
        Ok(self.get_versioned()?.value)
    }

    /// The newest value and its version.
    ///
    /// # Errors
    /// As [`Latest::get`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// limit.set(70)?;
    /// let now = limit.get_versioned()?;
    /// assert_eq!((now.value, now.version), (70, 1));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn get_versioned(&self) -> Result<Versioned<T>> {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: `size_of::<T>()` writable bytes, as the place has.
        let version = unsafe { self.raw.load(value.as_mut_ptr().cast(), size_of::<T>(), || self.me()) }?;
        // SAFETY: all of its bytes were written, and any are a `T`.
        Ok(Versioned { value: unsafe { value.assume_init() }, version })
    }

    /// Reads as a reader does that was overtaken twice: for tests of that path.
    ///
    /// # Errors
    /// As [`Latest::get`]; `WouldBlock` when no announcement is free.
    #[doc(hidden)]
    pub fn get_announced(&self) -> Result<Versioned<T>> {
        let mut value = MaybeUninit::<T>::uninit();
        let into = value.as_mut_ptr().cast();
        // SAFETY: as in `get_versioned`.
        let version = unsafe { self.raw.load_announced(self.me()?, into, size_of::<T>()) };
        let version = version.ok_or(crate::error::ErrorKind::WouldBlock)?;
        // SAFETY: as in `get_versioned`.
        Ok(Versioned { value: unsafe { value.assume_init() }, version })
    }

    /// How often it was set. One load, cheaper than a read.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// assert_eq!(limit.version(), 0);
    /// assert_eq!(limit.set(70)?, 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn version(&self) -> u64 {
        self.raw.version()
    }

    /// Waits for a value newer than version `seen`, as long as it takes, and returns the newest. Those in between are skipped.
    ///
    /// # Errors
    /// `TooManyMembers`; as [`Latest::get`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| limit.set(70).unwrap());
    ///     let newer = limit.wait_newer(0).unwrap();
    ///     assert_eq!((newer.value, newer.version), (70, 1));
    /// });
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_newer(&self, seen: u64) -> Result<Versioned<T>> {
        self.raw.wait_newer(self.me()?, seen, None)?;
        self.get_versioned()
    }

    /// As [`Latest::wait_newer`], at most `timeout`.
    ///
    /// # Errors
    /// As [`Latest::wait_newer`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// assert!(limit.wait_newer_timeout(0, Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_newer_timeout(&self, seen: u64, timeout: Duration) -> Result<Versioned<T>> {
        self.wait_newer_until(seen, Deadline::after(timeout))
    }

    /// As [`Latest::wait_newer`], until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Latest::wait_newer_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// limit.set(70)?;
    /// assert_eq!(limit.wait_newer_until(0, interproc::Deadline::now())?.value, 70); // it is there: no waiting
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_newer_until(&self, seen: u64, deadline: Deadline) -> Result<Versioned<T>> {
        self.raw.wait_newer(self.me()?, seen, Some(deadline))?;
        self.get_versioned()
    }

    /// The writer at work, dead or alive: a snapshot. Helps to find a process that was stopped in the middle of a set.
    ///
    /// # Errors
    /// `InvalidInput` when the segment is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.latest("limit", 100u32)?.writer()?, None);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn writer(&self) -> Result<Option<Who>> {
        let me = self.me()?;
        Ok(self.raw.writer().map(|id| me.domain().who(id)))
    }

    /// How many live threads sleep for a newer value, or to set it: a snapshot.
    ///
    /// # Errors
    /// `InvalidInput` when the segment is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.latest("limit", 100u32)?.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(self.raw.place().address(), self.raw.place().size())
    }
}

impl<T: Plain> Latest<T> {
    /// Sets the value, waiting for another writer as long as it takes. Returns its version.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// assert_eq!(limit.set(70)?, 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn set(&self, value: T) -> Result<u64> {
        self.set_ref(&value)
    }

    /// As [`Latest::set`], for a large value.
    ///
    /// # Errors
    /// As [`Latest::set`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let frame = vec![[9u8; 4096]];
    /// let latest = seg.latest("frame", [0u8; 4096])?;
    /// latest.set_ref(&frame[0])?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn set_ref(&self, value: &T) -> Result<u64> {
        self.set_by(value, None)
    }

    /// Sets the value if no other writer is at work. Returns its version.
    ///
    /// # Errors
    /// `WouldBlock`; as [`Latest::set`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// assert_eq!(limit.try_set(70)?, 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_set(&self, value: T) -> Result<u64> {
        // SAFETY: `size_of::<T>()` initialised bytes, as the place has.
        unsafe { self.raw.try_store(self.me()?, (&raw const value).cast(), size_of::<T>()) }
    }

    /// Sets the value, waiting for another writer at most `timeout`. Returns its version.
    ///
    /// # Errors
    /// `TimedOut`; as [`Latest::set`].
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// assert_eq!(limit.set_timeout(70, Duration::from_millis(1))?, 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn set_timeout(&self, value: T, timeout: Duration) -> Result<u64> {
        self.set_until(value, Deadline::after(timeout))
    }

    /// Sets the value, waiting for another writer until `deadline` at the latest. Returns its version.
    ///
    /// # Errors
    /// As [`Latest::set_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// assert_eq!(limit.set_until(70, interproc::Deadline::now())?, 1); // no other writer: no waiting
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn set_until(&self, value: T, deadline: Deadline) -> Result<u64> {
        self.set_by(&value, Some(deadline))
    }

    #[inline(always)]
    fn set_by(&self, value: &T, deadline: Option<Deadline>) -> Result<u64> {
        // SAFETY: as in `try_set`.
        unsafe { self.raw.store(self.me()?, core::ptr::from_ref(value).cast(), size_of::<T>(), deadline) }
    }
}

impl<T> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").field("version", &self.raw.version()).finish_non_exhaustive()
    }
}
