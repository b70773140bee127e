//! [`Once`] and [`OnceLock`]: initialisation that happens once across all processes.
#![allow(unsafe_code)]

use crate::error::Result;
use crate::member::{self, Member, Who, view};
use crate::shared::{Plain, Shared, TypeId};
use crate::sync::{Begun, RawOnce};
use crate::time::Deadline;
use core::cell::UnsafeCell;
use core::fmt;
use core::time::Duration;

/// What an initialiser learns about earlier attempts.
#[derive(Clone, Copy, Debug)]
pub struct OnceState {
    retry: bool,
}

impl OnceState {
    /// Whether an earlier initialiser began and then died, panicked or failed: it may have left something half-made.
    pub fn is_retry(&self) -> bool {
        self.retry
    }
}

/// One-time initialisation among threads of any processes.
///
/// It must lie in a segment ([`Segment::object`](crate::Segment::object)); elsewhere a call before it is done is
/// `InvalidInput`. All-zero bytes are not done. 24 bytes.
///
/// *When the initialiser dies*, panics or fails, the next caller does the job; a waiting one starts within
/// microseconds. It is told ([`OnceState::is_retry`]).
///
/// *Ordering*: all who find it done see what the initialiser did. *Threads*: a call from inside the initialiser is
/// `Deadlock`. *Fork*: a child of the initialiser is not the initialiser. *Signals*: do not use it in a handler, except
/// [`is_done`](Self::is_done). *Cost*: once it is done, one load.
///
/// Algorithm: see [`RawOnce`].
///
/// # Examples
/// ```
/// use interproc::{Segment, sync::Once};
///
/// let seg = Segment::anonymous(4096)?;
/// let once = seg.object("once", Once::new)?;
/// let mut runs = 0;
/// for _ in 0..3 {
///     once.call(|_| runs += 1)?;
/// }
/// assert_eq!(runs, 1);
/// # Ok::<(), interproc::Error>(())
/// ```
#[repr(transparent)]
pub struct Once {
    raw: RawOnce,
}

// SAFETY: transparent around atomics; any bytes are valid; zero is not done; nothing to drop.
unsafe impl Shared for Once {}

/// When dropped, the job goes to the next caller, unless it is done.
struct Job<'a> {
    raw: &'a RawOnce,
    me: &'a Member,
    owner: member::OwnerId,
}

impl Job<'_> {
    fn done(self) -> Result<()> {
        let result = self.raw.done(self.me);
        core::mem::forget(self);
        result
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        // In the child of a fork the parent's member is wiped: the job is the parent's.
        if self.me.id() == self.owner {
            let _ = self.raw.abandon(self.me);
        }
    }
}

fn begin(raw: &RawOnce, deadline: Option<Deadline>) -> Result<Option<(Job<'_>, OnceState)>> {
    let me = member::current(core::ptr::from_ref(raw).cast())?;
    let job = |retry| Some((Job { raw, me, owner: me.id() }, OnceState { retry }));
    Ok(match raw.begin(me, deadline)? {
        Begun::Done => None,
        Begun::First => job(false),
        Begun::Again => job(true),
    })
}

/// Turns a job that cannot fail into one that may.
fn done(job: impl FnOnce(OnceState)) -> impl FnOnce(OnceState) -> Result<()> {
    |state| {
        job(state);
        Ok(())
    }
}

impl Default for Once {
    fn default() -> Self {
        Once::new()
    }
}

impl Once {
    /// Not done, to be put into a segment.
    pub const fn new() -> Self {
        Once { raw: RawOnce::new() }
    }

    /// Whether it is done. Async-signal-safe.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Once};
    /// # let seg = Segment::anonymous(4096)?;
    /// let once = seg.object("once", Once::new)?;
    /// assert!(!once.is_done());
    /// once.call(|_| ())?;
    /// assert!(once.is_done());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn is_done(&self) -> bool {
        self.raw.is_done()
    }

    /// Who runs the initialiser, dead or alive: a snapshot. A dead initialiser is named until the next has begun. The caller need
    /// not be a member of the segment. Not for signal handlers.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Once};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let once = seg.object("once", Once::new)?;
    /// assert_eq!(once.holder()?, None);
    /// once.call(|_| assert_eq!(once.holder().unwrap().expect("we").pid, std::process::id()))?;
    /// assert_eq!(once.holder()?, None);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn holder(&self) -> Result<Option<Who>> {
        view::who(core::ptr::from_ref(self).cast(), self.raw.owner())
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Once};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let once = seg.object("once", Once::new)?;
    /// assert_eq!(once.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(core::ptr::from_ref(self).cast(), size_of::<RawOnce>())
    }

    /// Runs `job` if it has not been done, or waits for the thread that runs it. If `job` panics, the next caller runs it.
    ///
    /// # Errors
    /// `Deadlock` from inside the job; `InvalidInput` outside a segment; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Once};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let once = seg.object("once", Once::new)?;
    /// once.call(|state| {
    ///     if state.is_retry() {
    ///         // somebody died in here: make anew what may be half-made
    ///     }
    /// })?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn call(&self, job: impl FnOnce(OnceState)) -> Result<()> {
        if self.is_done() { Ok(()) } else { self.run(None, done(job)) }
    }

    /// [`Once::call`] with a job that may fail: then the next caller runs it.
    ///
    /// # Errors
    /// As [`Once::call`], and those of the job.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::Once};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let once = seg.object("once", Once::new)?;
    /// assert!(once.try_call(|_| Err(ErrorKind::NoSpace.into())).is_err());
    /// once.try_call(|state| Ok(assert!(state.is_retry())))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_call(&self, job: impl FnOnce(OnceState) -> Result<()>) -> Result<()> {
        if self.is_done() { Ok(()) } else { self.run(None, job) }
    }

    /// [`Once::call`], but waits for another thread at most `timeout`.
    ///
    /// # Errors
    /// As [`Once::call`], and `TimedOut`: then the job was not run.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::Once};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let once = seg.object("once", Once::new)?;
    /// once.call_timeout(std::time::Duration::from_millis(5), |_| ())?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn call_timeout(&self, timeout: Duration, job: impl FnOnce(OnceState)) -> Result<()> {
        self.call_until(Deadline::after(timeout), job)
    }

    /// [`Once::call`], but waits for another thread until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Once::call_timeout`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::Once};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let once = seg.object("once", Once::new)?;
    /// once.call_until(Deadline::now(), |_| ())?; // nobody is at it: a deadline in the past does not matter
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn call_until(&self, deadline: Deadline, job: impl FnOnce(OnceState)) -> Result<()> {
        if self.is_done() { Ok(()) } else { self.run(Some(deadline), done(job)) }
    }

    #[cold]
    fn run(&self, deadline: Option<Deadline>, job: impl FnOnce(OnceState) -> Result<()>) -> Result<()> {
        let Some((mine, state)) = begin(&self.raw, deadline)? else { return Ok(()) };
        job(state)?;
        mine.done()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}

/// A plain value that is made once among threads of any processes, and then never changes.
///
/// It must lie in a segment; all-zero bytes have no value yet. 24 bytes and the value. For deaths, threads, forks and signals see
/// [`Once`]: a value is there completely or not at all, and if its maker dies the next caller makes it.
///
/// Its references point to memory that a peer which breaks the protocol could change; any bit pattern is a valid value.
///
/// # Examples
/// ```
/// use interproc::{Segment, sync::OnceLock};
///
/// let seg = Segment::anonymous(4096)?;
/// let started = seg.object("started", OnceLock::<u64>::new)?;
/// assert_eq!(started.get(), None);
/// assert_eq!(*started.get_or_init(|| 7)?, 7);
/// assert_eq!(*started.get_or_init(|| 8)?, 7);
/// # Ok::<(), interproc::Error>(())
/// ```
#[repr(C)]
pub struct OnceLock<T> {
    raw: RawOnce,
    value: UnsafeCell<T>,
}

// SAFETY: the value is written by one initialiser before it is done, and only read after it.
unsafe impl<T: Plain + Send + Sync> Sync for OnceLock<T> {}

// SAFETY: repr(C) of atomics and a plain value; zero has no value; nothing to drop.
unsafe impl<T: Plain + Send + Sync> Shared for OnceLock<T> {
    fn shared_id() -> TypeId {
        TypeId::new("OnceLock", size_of::<Self>(), align_of::<Self>(), &[TypeId::plain::<T>()])
    }

    unsafe fn write_to(self, place: *mut Self) {
        // SAFETY: inside the place, by the contract. Without the padding behind a small value.
        unsafe {
            (&raw mut (*place).raw).write(self.raw);
            (&raw mut (*place).value).write(self.value);
        }
    }
}

impl<T: Plain> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T: Plain> OnceLock<T> {
    /// Without a value, to be put into a segment.
    pub const fn new() -> Self {
        // SAFETY: zero bytes are a `T`: `Plain`.
        OnceLock { raw: RawOnce::new(), value: UnsafeCell::new(unsafe { core::mem::zeroed() }) }
    }

    /// The value, if there is one. Async-signal-safe.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::OnceLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// assert_eq!(seg.object("value", OnceLock::<u64>::new)?.get(), None);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: it is done: no protocol-abiding thread writes to it; any bit pattern is a `T`.
        self.raw.is_done().then(|| unsafe { &*self.value.get() })
    }

    /// Who makes the value, dead or alive: a snapshot. A dead maker is named until the next has begun. The caller need not be a
    /// member of the segment. Not for signal handlers.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::OnceLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let once = seg.object("once", OnceLock::<u64>::new)?;
    /// assert_eq!(once.holder()?, None);
    /// once.get_or_init(|| u64::from(once.holder().unwrap().expect("we").pid))?;
    /// assert_eq!(once.get(), Some(&u64::from(std::process::id())));
    /// assert_eq!(once.holder()?, None);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn holder(&self) -> Result<Option<Who>> {
        view::who(core::ptr::from_ref(self).cast(), self.raw.owner())
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted.
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::OnceLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let once = seg.object("once", OnceLock::<u64>::new)?;
    /// assert_eq!(once.waiters()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(core::ptr::from_ref(self).cast(), size_of::<RawOnce>())
    }

    /// The value; made now by `make` if there is none. Waits while another thread makes it.
    ///
    /// # Errors
    /// `Deadlock` from inside `make`; `InvalidInput` outside a segment; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::OnceLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let value = seg.object("value", OnceLock::<u64>::new)?;
    /// assert_eq!(*value.get_or_init(|| 5)?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> Result<&T> {
        self.get_or_try_init(|| Ok(make()))
    }

    /// [`OnceLock::get_or_init`] with a function that may fail: then the next caller makes the value.
    ///
    /// # Errors
    /// As [`OnceLock::get_or_init`], and those of `make`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, sync::OnceLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let value = seg.object("value", OnceLock::<u64>::new)?;
    /// assert!(value.get_or_try_init(|| Err(ErrorKind::NotFound.into())).is_err());
    /// assert_eq!(*value.get_or_try_init(|| Ok(5))?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn get_or_try_init(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.make(None, make),
        }
    }

    /// [`OnceLock::get_or_init`], but waits for another thread at most `timeout`.
    ///
    /// # Errors
    /// As [`OnceLock::get_or_init`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::OnceLock};
    /// # use std::time::Duration;
    /// # let seg = Segment::anonymous(4096)?;
    /// # let value = seg.object("value", OnceLock::<u64>::new)?;
    /// assert_eq!(*value.get_or_init_timeout(Duration::from_secs(1), || 5)?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn get_or_init_timeout(&self, timeout: Duration, make: impl FnOnce() -> T) -> Result<&T> {
        self.get_or_init_until(Deadline::after(timeout), make)
    }

    /// [`OnceLock::get_or_init`], but waits for another thread until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`OnceLock::get_or_init`], and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, sync::OnceLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let value = seg.object("value", OnceLock::<u64>::new)?;
    /// assert_eq!(*value.get_or_init_until(Deadline::now(), || 5)?, 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn get_or_init_until(&self, deadline: Deadline, make: impl FnOnce() -> T) -> Result<&T> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.make(Some(deadline), || Ok(make())),
        }
    }

    /// Sets the value if there is none. Returns whether there was none.
    ///
    /// # Errors
    /// As [`OnceLock::get_or_init`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, sync::OnceLock};
    /// # let seg = Segment::anonymous(4096)?;
    /// # let value = seg.object("value", OnceLock::<u64>::new)?;
    /// assert!(value.set(5)?);
    /// assert!(!value.set(6)?);
    /// assert_eq!(value.get(), Some(&5));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn set(&self, value: T) -> Result<bool> {
        let mut was_empty = false;
        self.get_or_init(|| {
            was_empty = true;
            value
        })?;
        Ok(was_empty)
    }

    #[cold]
    fn make(&self, deadline: Option<Deadline>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        if let Some((mine, _)) = begin(&self.raw, deadline)? {
            let value = make()?;
            // SAFETY: only we have the job, and nobody reads before it is done.
            unsafe { self.value.get().write(value) };
            mine.done()?;
        }
        // SAFETY: as in `get`.
        Ok(unsafe { &*self.value.get() })
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}
