//! [`Pollable`]: a set whose descriptor is there, by a shared reference.
#![allow(unsafe_code)]

use super::set::WaitSet;
use crate::counted::Counted;
use crate::sys::own::Own;
use core::fmt;
use core::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A [`WaitSet`] with its [descriptor](WaitSet::descriptor): for what takes an [`AsFd`] or [`AsRawFd`] and keeps it, as `AsyncFd`
/// and other reactors do. Made by [`WaitSet::into_pollable`]; in all else it is the set.
///
/// The descriptor is readable when something is ready, and misses nothing once [`try_wait`](WaitSet::try_wait) has returned nothing:
/// call it until it does, then wait for the descriptor. That holds for edge-triggered waits, too.
///
/// *Threads, fork, signals, deaths*: as [`WaitSet`].
///
/// # Examples
/// ```
/// use interproc::{Segment, waitset::{Source, WaitSet}};
/// use std::os::fd::AsFd;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let queue = seg.queue::<u32>("q", 1)?;
/// let mut set = WaitSet::new().into_pollable()?;
/// let key = set.add(queue.when_readable())?;
/// assert!(set.try_wait()?.is_empty()); // from now on it misses nothing
///
/// queue.push(1)?; // by any process
/// let mut others = WaitSet::new(); // or any reactor
/// others.add(Source::readable(&set))?;
/// others.wait()?;
/// drop(others);
/// assert_eq!(set.try_wait()?, [key]);
/// # let _ = set.as_fd();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pollable<'a> {
    pub(super) set: WaitSet<'a>,
    /// Kept open also if the program puts another set in the place of this one.
    pub(super) epoll: Counted<Own>,
}

impl<'a> Pollable<'a> {
    /// The set. Its descriptor stays as long as it lives.
    ///
    /// # Examples
    /// ```
    /// # use interproc::waitset::{Mechanism, WaitSet};
    /// let set = WaitSet::new().into_pollable()?.into_set();
    /// assert_eq!(set.mechanism(), Mechanism::Epoll);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn into_set(self) -> WaitSet<'a> {
        self.set
    }
}

impl AsFd for Pollable<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: open as long as `self`, unless the program closes what is not its own.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}

impl AsRawFd for Pollable<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.number()
    }
}

impl<'a> Deref for Pollable<'a> {
    type Target = WaitSet<'a>;

    fn deref(&self) -> &WaitSet<'a> {
        &self.set
    }
}

impl<'a> DerefMut for Pollable<'a> {
    fn deref_mut(&mut self) -> &mut WaitSet<'a> {
        &mut self.set
    }
}

impl fmt::Debug for Pollable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pollable(descriptor {}, {:?})", self.as_raw_fd(), self.set)
    }
}
