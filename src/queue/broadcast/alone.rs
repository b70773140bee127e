//! [`Publisher`], the only publisher of a broadcast.
#![allow(unsafe_code)]

use super::publisher::RawPublisher;
use super::raw::RawBroadcast;
use crate::error::{ErrorKind, Result};
use crate::member::{self, GuardMark, Here, Member};
use crate::queue::body::Body;
use crate::queue::guard::{Reserved, Writing};
use crate::shared::Plain;
use crate::time::{Deadline, Wait};
use core::borrow::Borrow;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

/// The only publisher, and where its thread is: for Rust and C. It does nothing when it is dropped.
pub(crate) struct Alone {
    raw: RawPublisher,
    here: Here,
    /// The next message's slot was asked for.
    reserved: bool,
}

impl Alone {
    /// The calling thread becomes it.
    ///
    /// # Errors
    /// As [`RawPublisher::new`].
    pub(crate) fn new(broadcast: RawBroadcast, me: &Member, wait: Wait) -> Result<Self> {
        Ok(Alone { raw: RawPublisher::new(broadcast, me, wait)?, here: Here::now(), reserved: false })
    }

    #[inline(always)]
    pub(crate) fn broadcast(&self) -> &RawBroadcast {
        self.raw.broadcast()
    }

    /// The thread that became it, if it is the calling one.
    ///
    /// # Errors
    /// `NotOwner`, also in a forked child.
    fn me<'a>(&mut self) -> Result<&'a Member> {
        let me: &Member = member::current(self.broadcast().place().address())?;
        if !self.broadcast().place().is_locked_by(me) {
            return Err(ErrorKind::NotOwner.into());
        }
        self.here = Here::now();
        Ok(me)
    }

    /// The slot of the next message, to be committed, waiting for room as `wait` says.
    ///
    /// # Errors
    /// As [`RawPublisher::make_room`]; `NotOwner`.
    pub(crate) fn reserve(&mut self, wait: Wait) -> Result<u32> {
        let at = self.slot(wait)?;
        self.reserved = true;
        Ok(at)
    }

    #[inline(always)]
    fn slot(&mut self, wait: Wait) -> Result<u32> {
        match self.raw.next() {
            Some(at) if self.here.is_now() => Ok(at),
            _ => self.make_room(wait),
        }
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, wait: Wait) -> Result<u32> {
        let me = self.me()?;
        if self.raw.next().is_none() {
            self.raw.make_room(me, wait)?;
        }
        self.raw.next().ok_or_else(|| ErrorKind::Corrupt.into())
    }

    /// Publishes a message.
    ///
    /// # Errors
    /// `TooLarge`; as [`reserve`](Self::reserve).
    ///
    /// # Safety
    /// `from` has `len` initialised bytes.
    #[inline(always)]
    pub(crate) unsafe fn publish(&mut self, from: *const u8, len: usize, wait: Wait) -> Result<u64> {
        if len > self.broadcast().place().geometry().longest as usize {
            return Err(ErrorKind::TooLarge.into());
        }
        let at = self.slot(wait)?;
        // SAFETY: by the contract; not longer than the longest; the slot is ours.
        unsafe { self.broadcast().place().copy_in(at, from, len) };
        self.reserved = false;
        Ok(self.raw.publish(len))
    }

    /// Publishes what was written to the reserved slot, `len` bytes, not more than the longest.
    ///
    /// # Errors
    /// `InvalidInput` if none is reserved; `Closed`; `NotOwner`.
    pub(crate) fn commit(&mut self, len: usize) -> Result<u64> {
        if !self.here.is_now() {
            self.me()?;
        }
        if !core::mem::take(&mut self.reserved) {
            return Err(ErrorKind::InvalidInput.into());
        }
        if self.raw.next().is_none() {
            return Err(ErrorKind::Closed.into());
        }
        Ok(self.raw.publish(len))
    }

    /// Closes the broadcast.
    ///
    /// # Errors
    /// `NotOwner`.
    pub(crate) fn close(&mut self) -> Result<()> {
        let me = self.me()?;
        self.raw.close(me);
        Ok(())
    }

    /// Others may publish again.
    ///
    /// # Errors
    /// `NotOwner`.
    pub(crate) fn leave(&mut self) -> Result<()> {
        let me = self.me()?;
        self.raw.leave(me);
        Ok(())
    }
}

/// The only publisher of a [`Broadcast`](super::Broadcast), from [`Broadcast::publisher`](super::Broadcast::publisher): as long as it
/// lives others wait, and it publishes in three quarters of the time, and between processors in a fourth, as no lock is taken for a message.
///
/// It is a guard of the thread that became it, and not `Send`. If that thread dies, others go on at once. In a forked child it refuses
/// everything with `NotOwner`, and dropping it does nothing.
///
/// # Examples
/// ```
/// use interproc::{ErrorKind, Segment, Wait};
/// use interproc::queue::{BroadcastOptions, Slow};
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
/// let mut one = numbers.subscribe(Slow::Waits)?;
/// let mut publisher = numbers.publisher(Wait::ForEver)?;
/// publisher.publish(7)?;
/// assert_eq!(one.recv()?, 7);
/// assert_eq!(numbers.publish(8).unwrap_err().kind(), ErrorKind::Deadlock); // this thread is it already
/// drop(publisher);
/// numbers.publish(8)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[must_use = "others publish again once it is dropped"]
pub struct Publisher<'b, T: Body + ?Sized> {
    alone: Alone,
    _guard: GuardMark,
    /// Not `Send`.
    _broadcast: PhantomData<(&'b T, *const ())>,
}

impl<'b, T: Body + ?Sized> Publisher<'b, T> {
    pub(super) fn new(alone: Alone) -> Self {
        let guard = GuardMark::at(alone.broadcast().place().address());
        Publisher { alone, _guard: guard, _broadcast: PhantomData }
    }

    /// Publishes a message, waiting for slow subscribers as long as it takes. Returns its number.
    ///
    /// # Errors
    /// `Closed`; `TooLarge`; `Deadlock` when the slowest subscriber is the calling thread's own; `NotOwner` in a forked child.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut publisher = numbers.publisher(Wait::ForEver)?;
    /// assert_eq!(publisher.publish(7)?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn publish(&mut self, message: impl Borrow<T>) -> Result<u64> {
        self.publish_by(message, Wait::ForEver)
    }

    /// Publishes a message if no subscriber must be waited for.
    ///
    /// # Errors
    /// `Full`; as [`publish`](Self::publish).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut publisher = numbers.publisher(Wait::ForEver)?;
    /// assert_eq!(publisher.try_publish(7)?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_publish(&mut self, message: impl Borrow<T>) -> Result<u64> {
        self.publish_by(message, Wait::Never)
    }

    /// Publishes a message, waiting for subscribers at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; as [`publish`](Self::publish).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut publisher = numbers.publisher(Wait::ForEver)?;
    /// publisher.publish_timeout(7, std::time::Duration::from_millis(1))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn publish_timeout(&mut self, message: impl Borrow<T>, timeout: Duration) -> Result<u64> {
        self.publish_by(message, Wait::Until(Deadline::after(timeout)))
    }

    /// Publishes a message, waiting for subscribers as `wait` says.
    ///
    /// # Errors
    /// `Full`, `TimedOut`; as [`publish`](Self::publish).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut publisher = numbers.publisher(Wait::ForEver)?;
    /// publisher.publish_by(7, Wait::Never)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline(always)]
    pub fn publish_by(&mut self, message: impl Borrow<T>, wait: Wait) -> Result<u64> {
        let (bytes, len) = message.borrow().bytes();
        // SAFETY: a borrowed message.
        unsafe { self.alone.publish(bytes, len, wait) }
    }

    /// Closes the broadcast: see [`Broadcast::close`](super::Broadcast::close).
    ///
    /// # Errors
    /// `NotOwner` in a forked child.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, Wait, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut publisher = numbers.publisher(Wait::ForEver)?;
    /// publisher.close()?;
    /// assert_eq!(publisher.publish(7).unwrap_err().kind(), ErrorKind::Closed);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(&mut self) -> Result<()> {
        self.alone.close()
    }
}

impl<T: Body + ?Sized> Drop for Publisher<'_, T> {
    fn drop(&mut self) {
        // Fails in a forked child, where it is the parent's.
        let _ = self.alone.leave();
    }
}

impl<T: Body + ?Sized> fmt::Debug for Publisher<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Publisher({} published)", self.alone.broadcast().published())
    }
}

/// The place of a message to come: see [`Publisher::reserve`].
pub type AlonePublication<'p, V> = Reserved<AloneHold<'p>, V>;

impl Publisher<'_, [u8]> {
    /// Reserves the place of a message of at most `len` bytes, to be written where subscribers will read it.
    ///
    /// # Errors
    /// `TooLarge`; as [`publish_by`](Self::publish_by).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let news = seg.byte_broadcast("news", 100, BroadcastOptions::new(16))?;
    /// let mut publisher = news.publisher(Wait::ForEver)?;
    /// let mut place = publisher.reserve(100, Wait::ForEver)?;
    /// place[..4].copy_from_slice(b"rain");
    /// place.commit_len(4)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve(&mut self, len: usize, wait: Wait) -> Result<AlonePublication<'_, [u8]>> {
        if len > self.alone.broadcast().place().geometry().longest as usize {
            return Err(ErrorKind::TooLarge.into());
        }
        let at = self.alone.reserve(wait)?;
        let place = self.alone.broadcast().place().body(at);
        Ok(Reserved::new(AloneHold::new(&mut self.alone), NonNull::slice_from_raw_parts(place, len)))
    }
}

impl<T: Plain> Publisher<'_, T> {
    /// Reserves the place of a message, to be written where subscribers will read it.
    ///
    /// # Errors
    /// As [`publish_by`](Self::publish_by).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// let pictures = seg.broadcast::<[u8; 1000]>("pictures", BroadcastOptions::new(16))?;
    /// let mut publisher = pictures.publisher(Wait::ForEver)?;
    /// let mut place = publisher.reserve_one(Wait::ForEver)?;
    /// place[500] = 7;
    /// place.commit()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_one(&mut self, wait: Wait) -> Result<AlonePublication<'_, T>> {
        const { assert!(align_of::<T>() <= 64, "messages in place are aligned to 64 bytes at most") };
        let at = self.alone.reserve(wait)?;
        let place = self.alone.broadcast().place().body(at).cast();
        Ok(Reserved::new(AloneHold::new(&mut self.alone), place))
    }
}

/// A reserved place of the only publisher.
pub struct AloneHold<'p> {
    alone: &'p mut Alone,
    _guard: GuardMark,
}

impl<'p> AloneHold<'p> {
    fn new(alone: &'p mut Alone) -> Self {
        let guard = GuardMark::at(alone.broadcast().place().address());
        AloneHold { alone, _guard: guard }
    }
}

impl Writing for AloneHold<'_> {
    fn commit(self, len: usize) -> Result<()> {
        self.alone.commit(len).map(drop)
    }

    fn abort(self) {
        self.alone.reserved = false;
    }
}
