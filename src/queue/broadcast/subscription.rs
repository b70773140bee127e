//! [`Subscriber`], the handle of a seat at a broadcast.
#![allow(unsafe_code)]

use super::raw::Slow;
use super::subscriber::RawSubscriber;
use crate::atomic::AtomicU64;
use crate::counted::Keep;
use crate::error::{Error, ErrorKind, Result};
use crate::member::{GuardMark, Member, OwnerId};
use crate::queue::body::Body;
use crate::queue::endpoint::{Endpoint, Holder};
use crate::queue::guard::{Borrowed, Reading};
use crate::queue::recv_error::RecvError;
use crate::shared::Plain;
use crate::time::{Deadline, Wait};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

/// A seat, and the thread that has it: for Rust and C.
pub(crate) type Subscription = Endpoint<RawSubscriber>;

impl Holder for RawSubscriber {
    fn address(&self) -> *const u8 {
        self.broadcast().place().address()
    }
    fn word(&self) -> &AtomicU64 {
        self.place().holder.word()
    }
    fn holder(&self) -> OwnerId {
        RawSubscriber::holder(self)
    }
    fn move_to(&mut self, me: &Member) -> Result<()> {
        RawSubscriber::move_to(self, me)
    }
    fn leave(&mut self, _: &Member) {
        RawSubscriber::leave(self);
    }
}

impl Subscription {
    /// Receives the next message by `read`, waiting for one as `wait` says.
    ///
    /// # Errors
    /// Those of [`RawSubscriber::next`] and of [`Endpoint::me`].
    #[inline(always)]
    pub(crate) fn next<R>(
        &mut self,
        wait: Wait,
        mut read: impl FnMut(&RawSubscriber, u32, usize) -> Result<R>,
    ) -> Result<R> {
        if self.is_here()
            && let Some(value) = self.raw.try_next(&mut read)?
        {
            return Ok(value);
        }
        let me = self.seated()?;
        self.raw.next(me, wait, read)
    }

    /// Copies the next message into a buffer: its length. One that is longer than the buffer stays the next one.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Safety
    /// The buffer has `size` bytes.
    pub(crate) unsafe fn recv_into(
        &mut self,
        buffer: *mut u8,
        size: usize,
        wait: Wait,
    ) -> core::result::Result<usize, RecvError> {
        let mut needed = 0;
        let got = self.next(wait, |raw, at, len| {
            needed = len;
            if len > size {
                return Err(ErrorKind::TooLarge.into());
            }
            // SAFETY: by the contract.
            unsafe { raw.broadcast().place().copy_out(at, buffer, len) };
            Ok(len)
        });
        match got {
            Err(error) if error.kind() == ErrorKind::TooLarge => Err(RecvError::too_small(needed, size)),
            got => got.map_err(RecvError::from),
        }
    }

    /// Borrows the next message in place, waiting for one as `wait` says: where it is, and its length.
    ///
    /// # Errors
    /// `InvalidInput` for one that lags; as [`next`](Self::next).
    pub(crate) fn borrow(&mut self, wait: Wait) -> Result<(NonNull<u8>, usize)> {
        let me = self.seated()?;
        let mut tries = 0;
        loop {
            if let Some((at, len)) = self.raw.try_borrow()? {
                return Ok((self.raw.broadcast().place().body(at), len));
            }
            self.raw.again(me, wait, &mut tries)?;
        }
    }

    /// Ends a borrow.
    ///
    /// # Errors
    /// `InvalidInput` when none is borrowed; those of [`Endpoint::me`].
    pub(crate) fn release(&mut self) -> Result<()> {
        self.here()?;
        if !self.raw.has_borrowed() {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.raw.advance();
        Ok(())
    }
}

/// A message, and how many the subscriber has missed just before it.
///
/// # Examples
/// ```
/// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
/// # let seg = Segment::anonymous(1 << 16)?;
/// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(2))?;
/// let mut lazy = numbers.subscribe(Slow::Lags)?;
/// (0..10).try_for_each(|n| numbers.publish(n).map(drop))?;
/// let news = lazy.recv_news(Wait::Never)?;
/// assert_eq!(news.value, news.missed); // it missed 0 to value - 1
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct News<T> {
    /// The message.
    pub value: T,
    /// How many were overwritten, or about to be, before this subscriber came to them, since the one that it received before.
    pub missed: u64,
}

/// A subscriber of a [`Broadcast`](super::Broadcast). Dropped, it leaves, and nobody waits for it any more.
///
/// It belongs to the thread that uses it: its death is the subscriber's. It may move to another thread of the process, at the cost of
/// one compare-and-swap at its next use there. Until that it is the former thread's: if that has ended, it may have been given up
/// (`Stale`). In a forked
/// child every operation is `NotOwner`, and dropping it does nothing.
///
/// # Examples
/// ```
/// use interproc::Segment;
/// use interproc::queue::{BroadcastOptions, Slow};
/// use std::time::Duration;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
/// let mut one = numbers.subscribe(Slow::Waits)?;
/// std::thread::scope(|s| {
///     s.spawn(|| numbers.publish(7));
///     assert_eq!(one.recv(), Ok(7)); // waits for it
/// });
/// assert!(one.recv_timeout(Duration::from_millis(1)).is_err());
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Subscriber<T: ?Sized> {
    side: Subscription,
    /// Keeps the segment mapped.
    segment: Keep,
    _messages: PhantomData<fn(&T)>,
}

/// A message that is read in place: see [`Subscriber::borrow`]. Dropped, it is received.
pub type Received<'s, V> = Borrowed<InSeat<'s>, V>;

impl<T: Body + ?Sized> Subscriber<T> {
    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (&RawSubscriber, Keep) {
        (&self.side.raw, self.segment.clone())
    }

    pub(super) fn new(side: Subscription, segment: Keep) -> Self {
        Subscriber { side, segment, _messages: PhantomData }
    }

    /// Receives the next message, waiting for one as long as it takes.
    ///
    /// # Errors
    /// `Closed` when it is closed and all is received; `NotOwner` in a forked child; `Stale` if the thread that had it has ended and it
    /// was given up; `Corrupt`; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut one = numbers.subscribe(Slow::Waits)?;
    /// numbers.publish(7)?;
    /// assert_eq!(one.recv()?, 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv(&mut self) -> Result<T::Owned> {
        self.recv_by(Wait::ForEver)
    }

    /// Receives the next message, if there is one now.
    ///
    /// # Errors
    /// `Empty`; as [`recv`](Self::recv).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut one = numbers.subscribe(Slow::Waits)?;
    /// assert_eq!(one.try_recv().unwrap_err().kind(), ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<T::Owned> {
        self.recv_by(Wait::Never)
    }

    /// Receives the next message, waiting for one at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; as [`recv`](Self::recv).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::{BroadcastOptions, Slow}};
    /// # use std::time::Duration;
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut one = numbers.subscribe(Slow::Lags)?;
    /// assert_eq!(one.recv_timeout(Duration::from_millis(1)).unwrap_err().kind(), ErrorKind::TimedOut);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T::Owned> {
        self.recv_by(Wait::Until(Deadline::after(timeout)))
    }

    /// Receives the next message, waiting for one as `wait` says.
    ///
    /// # Errors
    /// `Empty`, `TimedOut`; as [`recv`](Self::recv).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut one = numbers.subscribe(Slow::Waits)?;
    /// numbers.publish(7)?;
    /// assert_eq!(one.recv_by(Wait::Never)?, 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn recv_by(&mut self, wait: Wait) -> Result<T::Owned> {
        let value = self.next(wait)?;
        self.side.raw.take_missed();
        Ok(value)
    }

    #[inline(always)]
    fn next(&mut self, wait: Wait) -> Result<T::Owned> {
        self.side.next(wait, |raw, at, len| {
            // SAFETY: `read` gives a place for so many bytes, which are not more than `len`.
            let copy = |to: *mut u8, len| unsafe { raw.broadcast().place().copy_out(at, to, len) };
            T::read(len, copy).ok_or_else(Error::no_memory)
        })
    }

    /// Receives the next message as [`recv_by`](Self::recv_by) does, and says how many were missed before it.
    ///
    /// # Errors
    /// As [`recv_by`](Self::recv_by).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut one = numbers.subscribe(Slow::Lags)?;
    /// numbers.publish(7)?;
    /// let news = one.recv_news(Wait::ForEver)?;
    /// assert_eq!((news.value, news.missed), (7, 0));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_news(&mut self, wait: Wait) -> Result<News<T::Owned>> {
        let value = self.next(wait)?;
        Ok(News { value, missed: self.side.raw.take_missed() })
    }

    /// Receives message after message, until the broadcast is closed and all is received, or something fails.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut one = numbers.subscribe(Slow::Waits)?;
    /// numbers.publish(7)?;
    /// numbers.publish(8)?;
    /// numbers.close()?;
    /// assert_eq!(one.iter().sum::<u64>(), 15);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn iter(&mut self) -> impl Iterator<Item = T::Owned> + '_ {
        core::iter::from_fn(|| self.recv().ok())
    }

    /// How many messages are published that it has not received: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let one = numbers.subscribe(Slow::Waits)?;
    /// numbers.publish(7)?;
    /// assert_eq!(one.lag(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn lag(&self) -> u64 {
        self.side.raw.lag()
    }

    /// How many messages it has missed since it joined.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// assert_eq!(numbers.subscribe(Slow::Lags)?.missed(), 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn missed(&self) -> u64 {
        self.side.raw.missed()
    }

    /// The number of the next message that it receives, if it is not too slow for it.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// numbers.publish(7)?;
    /// assert_eq!(numbers.subscribe(Slow::Lags)?.position(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn position(&self) -> u64 {
        self.side.raw.position()
    }

    /// What publishers do when it is slow.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// assert_eq!(numbers.subscribe(Slow::Lags)?.slow(), Slow::Lags);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn slow(&self) -> Slow {
        self.side.raw.slow()
    }
}

impl Subscriber<[u8]> {
    /// Copies the next message into `buffer`, waiting for one as `wait` says. Returns its length.
    ///
    /// # Errors
    /// `TooLarge` if it is longer than `buffer`: [`RecvError::needed`] says how long it is, and it stays the next one. Else as
    /// [`recv_by`](Self::recv_by).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let news = seg.byte_broadcast("news", 100, BroadcastOptions::new(16))?;
    /// let mut one = news.subscribe(Slow::Waits)?;
    /// news.publish(b"rain".as_slice())?;
    /// assert_eq!(one.recv_into(&mut [0; 2], Wait::Never).unwrap_err().needed(), Some(4));
    /// assert_eq!(one.recv_into(&mut [0; 100], Wait::Never)?, 4);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn recv_into(&mut self, buffer: &mut [u8], wait: Wait) -> core::result::Result<usize, RecvError> {
        // SAFETY: the buffer has this size.
        let len = unsafe { self.side.recv_into(buffer.as_mut_ptr(), buffer.len(), wait) }?;
        self.side.raw.take_missed();
        Ok(len)
    }

    /// Borrows the next message, to be read in place, waiting for one as `wait` says. It is received once it is dropped.
    ///
    /// # Errors
    /// `InvalidInput` for a subscriber that [lags](Slow::Lags): its messages may be overwritten meanwhile, so it must copy. Else as
    /// [`recv_by`](Self::recv_by).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let news = seg.byte_broadcast("news", 100, BroadcastOptions::new(16))?;
    /// let mut one = news.subscribe(Slow::Waits)?;
    /// news.publish(b"rain".as_slice())?;
    /// assert!(one.borrow(Wait::Never)?.starts_with(b"ra"));
    /// assert_eq!(one.lag(), 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow(&mut self, wait: Wait) -> Result<Received<'_, [u8]>> {
        let (place, len) = self.side.borrow(wait)?;
        let place = NonNull::slice_from_raw_parts(place, len);
        Ok(Borrowed::new(InSeat::new(&mut self.side), place, false))
    }
}

impl<T: Plain> Subscriber<T> {
    /// Borrows the next message, to be read in place, waiting for one as `wait` says. It is received once it is dropped.
    ///
    /// # Errors
    /// `InvalidInput` for a subscriber that [lags](Slow::Lags): its messages may be overwritten meanwhile, so it must copy. Else as
    /// [`recv_by`](Self::recv_by).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// let pictures = seg.broadcast::<[u8; 1000]>("pictures", BroadcastOptions::new(16))?;
    /// let mut one = pictures.subscribe(Slow::Waits)?;
    /// pictures.publish([5; 1000])?;
    /// assert_eq!(one.borrow_one(Wait::Never)?[999], 5);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn borrow_one(&mut self, wait: Wait) -> Result<Received<'_, T>> {
        const { assert!(align_of::<T>() <= 64, "messages in place are aligned to 64 bytes at most") };
        let (place, _) = self.side.borrow(wait)?;
        Ok(Borrowed::new(InSeat::new(&mut self.side), place.cast(), false))
    }
}

/// A borrowed message's seat.
pub struct InSeat<'s> {
    side: &'s mut Subscription,
    _guard: GuardMark,
}

impl<'s> InSeat<'s> {
    fn new(side: &'s mut Subscription) -> Self {
        let guard = GuardMark::at(side.raw.broadcast().place().address());
        InSeat { side, _guard: guard }
    }
}

impl Reading for InSeat<'_> {
    fn release(self) {
        // Fails in a forked child, where it is the parent's.
        let _ = self.side.release();
    }

    /// The subscriber begins with it again.
    fn give_up(self) {}

    fn put_back(self) -> Result<()> {
        self.side.here()
    }
}

impl<T: Body + ?Sized> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Subscriber(next is {}, {} to be read, {} missed)",
            self.position(),
            self.lag(),
            self.missed()
        )
    }
}
