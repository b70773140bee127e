//! [`Broadcast`], the handle of a broadcast in a segment: to publish, and to subscribe.
#![allow(unsafe_code)]

use super::alone::{Alone, Publisher};
use super::raw::{RawBroadcast, Since, Slow};
use super::subscription::{Subscriber, Subscription};
use crate::counted::Keep;
use crate::error::{ErrorKind, Result};
use crate::member::{self, GuardMark, Member};
use crate::queue::body::Body;
use crate::queue::guard::{Reserved, Writing};
use crate::shared::Plain;
use crate::time::{Deadline, Wait};
use core::borrow::Borrow;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

/// Messages that every subscriber gets, from any number of publishers, between any processes.
///
/// Created or found by [`Segment::broadcast`](crate::Segment::broadcast), or
/// [`byte_broadcast`](crate::Segment::byte_broadcast) for messages of any length. The handle is cheap to clone, any thread may publish
/// by it, and a forked child may go on using it.
///
/// *A subscriber* ([`subscribe`](Self::subscribe)) gets every message from where it joined: with the next one, or with the
/// [last few](Since::Last). Publishers [wait](Slow::Waits) for it, until it dies or is dropped; or it [lags](Slow::Lags): then it holds
/// nobody up, and is told how many messages it has missed. All get the messages in the same order.
///
/// *If a publisher dies* in a call, the message is published or it is not, and others go on. *If a subscriber dies*, nobody waits for
/// it any more, at once. See [`RawBroadcast`] for each window.
///
/// *Ordering*: whoever receives a message sees everything that happened before it was published. *Cost*: one lock a message, no
/// system call unless somebody sleeps; a subscriber reads one cache line a message of up to 48 bytes, and writes its own. *Signals*: not
/// to be used in a handler. A *stopped* publisher can stop the others, a stopped subscriber those who wait for it.
///
/// # Examples
/// ```
/// use interproc::Segment;
/// use interproc::queue::{BroadcastOptions, Slow};
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let news = seg.byte_broadcast("news", 100, BroadcastOptions::new(16))?;
/// let mut careful = news.subscribe(Slow::Waits)?;
/// let mut lazy = news.subscribe(Slow::Lags)?;
/// news.publish(b"rain".as_slice())?;
/// news.publish(b"sun".as_slice())?;
/// news.close()?;
/// assert_eq!(careful.iter().collect::<Vec<_>>(), [b"rain".to_vec(), b"sun".to_vec()]);
/// assert_eq!((lazy.recv()?, lazy.missed()), (b"rain".to_vec(), 0));
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Broadcast<T: ?Sized> {
    raw: RawBroadcast,
    /// Keeps the segment mapped.
    segment: Keep,
    _messages: PhantomData<fn(&T)>,
}

/// The place of a message to come: see [`Broadcast::reserve`].
pub type Publication<'b, V> = Reserved<Hold<'b>, V>;

impl<T: ?Sized> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Broadcast { raw: self.raw, segment: self.segment.clone(), _messages: PhantomData }
    }
}

impl<T: Body + ?Sized> Broadcast<T> {
    pub(crate) fn from_raw(raw: RawBroadcast, segment: Keep) -> Self {
        Broadcast { raw, segment, _messages: PhantomData }
    }

    #[inline(always)]
    fn me(&self) -> Result<&Member> {
        member::current(self.raw.place().address())
    }

    /// Publishes a message, waiting for slow subscribers as long as it takes. Returns its number: messages are counted from 0.
    ///
    /// # Errors
    /// `Closed`; `TooLarge`; `Deadlock` when the slowest subscriber is the calling thread's own (after 50 ms, as another thread may be about
    /// to go on with it), or when this thread is the [only publisher](Self::publisher) or has reserved a message; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// assert_eq!(numbers.publish(7)?, 0); // nobody listens
    /// let mut one = numbers.subscribe(Slow::Waits)?;
    /// assert_eq!(numbers.publish(8)?, 1);
    /// assert_eq!(one.recv()?, 8);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn publish(&self, message: impl Borrow<T>) -> Result<u64> {
        self.publish_by(message, Wait::ForEver)
    }

    /// Publishes a message if no subscriber must be waited for.
    ///
    /// # Errors
    /// `Full`; `WouldBlock` while another thread is the only publisher, has reserved a message, or (after 50 ms) is stopped in a call; as
    /// [`publish`](Self::publish).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(2))?;
    /// let slow = numbers.subscribe(Slow::Waits)?;
    /// numbers.try_publish(1)?;
    /// numbers.try_publish(2)?;
    /// assert_eq!(numbers.try_publish(3).unwrap_err().kind(), ErrorKind::Full);
    /// drop(slow);
    /// numbers.try_publish(3)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn try_publish(&self, message: impl Borrow<T>) -> Result<u64> {
        self.publish_by(message, Wait::Never)
    }

    /// Publishes a message, waiting for subscribers at most `timeout`.
    ///
    /// # Errors
    /// `TimedOut`; as [`publish`](Self::publish).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # use std::time::Duration;
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(2))?;
    /// numbers.publish_timeout(1, Duration::from_millis(1))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn publish_timeout(&self, message: impl Borrow<T>, timeout: Duration) -> Result<u64> {
        self.publish_by(message, Wait::Until(Deadline::after(timeout)))
    }

    /// Publishes a message, waiting for subscribers as `wait` says.
    ///
    /// # Errors
    /// `Full`, `TimedOut`; as [`publish`](Self::publish).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(2))?;
    /// numbers.publish_by(1, Wait::Until(Deadline::now()))?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    #[inline]
    pub fn publish_by(&self, message: impl Borrow<T>, wait: Wait) -> Result<u64> {
        let (bytes, len) = message.borrow().bytes();
        // SAFETY: a borrowed message.
        unsafe { self.raw.publish(self.me()?, bytes, len, wait) }
    }

    /// Makes the calling thread the only publisher as long as the guard lives, waiting for others as `wait` says: see [`Publisher`].
    ///
    /// # Errors
    /// `WouldBlock`, `TimedOut` while another thread publishes; `Deadlock` if the calling thread is the only publisher already;
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(1024))?;
    /// let mut one = numbers.subscribe(Slow::Waits)?;
    /// let mut publisher = numbers.publisher(Wait::ForEver)?;
    /// (0..1000).try_for_each(|n| publisher.publish(n).map(drop))?;
    /// drop(publisher);
    /// assert_eq!(one.lag(), 1000);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn publisher(&self, wait: Wait) -> Result<Publisher<'_, T>> {
        Ok(Publisher::new(Alone::new(self.raw, self.me()?, wait)?))
    }

    /// Subscribes: from the next message on. Waits for nobody.
    ///
    /// # Errors
    /// `WouldBlock` when there are as many subscribers as there may be; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(2))?;
    /// let mut lazy = numbers.subscribe(Slow::Lags)?;
    /// (0..10).try_for_each(|n| numbers.publish(n).map(drop))?; // waits for nobody
    /// let first = lazy.recv()?;
    /// assert_eq!(lazy.missed(), first); // it is told what it was too slow for
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn subscribe(&self, slow: Slow) -> Result<Subscriber<T>> {
        self.subscribe_since(slow, Since::Now)
    }

    /// Subscribes from `since` on. Of the oldest messages up to 64 and an eighth of all may be about to be overwritten: they are not
    /// there any more.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Since, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// (0..10).try_for_each(|n| numbers.publish(n).map(drop))?;
    /// let mut late = numbers.subscribe_since(Slow::Waits, Since::Last(3))?;
    /// assert_eq!((late.lag(), late.recv()?), (3, 7));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn subscribe_since(&self, slow: Slow, since: Since) -> Result<Subscriber<T>> {
        let raw = self.raw.subscribe(self.me()?, slow, since)?;
        Ok(Subscriber::new(Subscription::new(raw), self.segment.clone()))
    }

    /// Closes it: nothing is published any more, and subscribers are told once they have received everything. Closing again is no
    /// error. Waits for another thread that is its [only publisher](Self::publisher).
    ///
    /// # Errors
    /// `Deadlock` when the calling thread has reserved a message; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let mut one = numbers.subscribe(Slow::Waits)?;
    /// numbers.publish(7)?;
    /// numbers.close()?;
    /// assert_eq!(numbers.publish(8).unwrap_err().kind(), ErrorKind::Closed);
    /// assert_eq!(one.recv()?, 7);
    /// assert_eq!(one.recv().unwrap_err().kind(), ErrorKind::Closed);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.raw.close(self.me()?, Wait::ForEver)
    }

    /// Whether it was closed.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// assert!(!numbers.is_closed());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// How many messages are kept.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?.capacity(), 16);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.raw.place().geometry().capacity as usize
    }

    /// How many messages were ever published: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// numbers.publish(5)?;
    /// assert_eq!(numbers.published(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn published(&self) -> u64 {
        self.raw.published()
    }

    /// How many living subscribers there are: a snapshot.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let numbers = seg.broadcast::<u64>("numbers", BroadcastOptions::new(16))?;
    /// let (one, two) = (numbers.subscribe(Slow::Waits)?, numbers.subscribe(Slow::Lags)?);
    /// assert_eq!(numbers.subscribers()?, 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn subscribers(&self) -> Result<usize> {
        let (wait, lag) = self.raw.subscribers(self.me()?);
        Ok(wait + lag)
    }

    fn reserve_place(&self, wait: Wait) -> Result<(Hold<'_>, NonNull<u8>)> {
        let slot = self.raw.reserve(self.me()?, wait)?;
        let guard = GuardMark::at(self.raw.place().address());
        Ok((Hold { broadcast: &self.raw, _guard: guard }, self.raw.place().body(slot.at())))
    }
}

impl Broadcast<[u8]> {
    /// Reserves the place of a message of at most `len` bytes, to be written where subscribers will read it. Until it is committed or
    /// dropped nobody else publishes.
    ///
    /// # Errors
    /// `TooLarge`; as [`publish_by`](Self::publish_by).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let news = seg.byte_broadcast("news", 100, BroadcastOptions::new(16))?;
    /// let mut one = news.subscribe(Slow::Waits)?;
    /// let mut place = news.reserve(100, Wait::ForEver)?;
    /// place[..4].copy_from_slice(b"rain");
    /// place.commit_len(4)?;
    /// assert_eq!(&*one.borrow(Wait::Never)?, b"rain");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve(&self, len: usize, wait: Wait) -> Result<Publication<'_, [u8]>> {
        if len > self.longest() {
            return Err(ErrorKind::TooLarge.into());
        }
        let (hold, place) = self.reserve_place(wait)?;
        Ok(Reserved::new(hold, NonNull::slice_from_raw_parts(place, len)))
    }

    /// Bytes of the longest message.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::BroadcastOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.byte_broadcast("news", 100, BroadcastOptions::new(16))?.longest(), 100);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn longest(&self) -> usize {
        self.raw.place().geometry().longest as usize
    }
}

impl<T: Plain> Broadcast<T> {
    /// Reserves the place of a message, to be written where subscribers will read it. Until it is committed or dropped nobody else
    /// publishes.
    ///
    /// # Errors
    /// As [`publish_by`](Self::publish_by).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{BroadcastOptions, Slow}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let pictures = seg.broadcast::<[u8; 1000]>("pictures", BroadcastOptions::new(16))?;
    /// let mut one = pictures.subscribe(Slow::Waits)?;
    /// let mut place = pictures.reserve_one(Wait::ForEver)?;
    /// place[500] = 7;
    /// place.commit()?;
    /// assert_eq!(one.borrow_one(Wait::Never)?[500], 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reserve_one(&self, wait: Wait) -> Result<Publication<'_, T>> {
        const { assert!(align_of::<T>() <= 64, "messages in place are aligned to 64 bytes at most") };
        let (hold, place) = self.reserve_place(wait)?;
        Ok(Reserved::new(hold, place.cast()))
    }
}

/// A reserved place, whose lock the calling thread has.
pub struct Hold<'b> {
    broadcast: &'b RawBroadcast,
    _guard: GuardMark,
}

impl Writing for Hold<'_> {
    fn commit(self, len: usize) -> Result<()> {
        let me = member::current(self.broadcast.place().address())?;
        self.broadcast.commit(me, len).map(drop)
    }

    fn abort(self) {
        // In a forked child it is the parent's.
        if let Ok(me) = member::current(self.broadcast.place().address()) {
            let _ = self.broadcast.abort(me);
        }
    }
}

impl<T: Body + ?Sized> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = if self.is_closed() { ", closed" } else { "" };
        write!(f, "Broadcast({} published, {} kept{closed})", self.published(), self.capacity())
    }
}
