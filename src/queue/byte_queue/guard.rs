//! [`Reservation`] and [`Message`]: a message, written or read where it lies.
#![allow(unsafe_code)]

use super::raw::{Claim, RawByteQueue};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Unwinding};
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// A claimed record and the thread that holds it.
struct Held<'a> {
    queue: &'a RawByteQueue,
    /// The claiming thread's member. In the child of a fork its memory is wiped.
    me: *const Member,
    owner: OwnerId,
    /// `None` when it has been ended.
    claim: Option<Claim>,
    _not_send: PhantomData<*const ()>,
}

impl<'a> Held<'a> {
    fn new(queue: &'a RawByteQueue, me: &Member, claim: Claim) -> Self {
        me.guard_begins();
        Held { queue, me, owner: me.id(), claim: Some(claim), _not_send: PhantomData }
    }

    /// Ends the claim; in the child of a fork, where the parent's record is left alone, `NotOwner`.
    fn end(&mut self, end: impl FnOnce(&RawByteQueue, &Member, Claim) -> Result<()>) -> Result<()> {
        // SAFETY: the guard does not leave its thread and keeps the segment attached, so the member stays; a forked
        // child has a wiped copy of its memory, all zero, which is a `Member` that has no id.
        let me = unsafe { &*self.me };
        let claim = self.claim.take().filter(|_| me.id() == self.owner).ok_or(ErrorKind::NotOwner)?;
        me.guard_ends();
        end(self.queue, me, claim)
    }

    /// The claim, which is there until the guard is used up.
    fn claim(&self) -> &Claim {
        self.claim.as_ref().expect("a guard that was ended is gone")
    }
}

/// Room for a message, claimed: written where it will be read, then [committed](Reservation::commit). Dropped, or when its
/// thread dies, it comes to nothing and its room is free again.
///
/// *The consumers wait for it*: messages that were claimed later, by anybody, are delivered after this one, so a
/// reservation that is kept (or leaked) holds them up. Do what takes long before it. Not `Send`: the thread that
/// reserves commits. In the child of a fork the parent's reservation is refused, and its drop does nothing.
///
/// The bytes are at first what older messages left there. They are aligned to 64. A peer that breaks the protocol could
/// change them at any time.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// let log = seg.byte_queue("log", 4096, 512)?;
/// let mut room = log.reserve(100)?; // at most 100 bytes
/// room[..5].copy_from_slice(b"hello");
/// room.commit_len(5)?; // it became 5
/// assert_eq!(log.pop()?, b"hello");
/// # Ok::<(), interproc::Error>(())
/// ```
#[must_use = "a reservation that is dropped comes to nothing"]
pub struct Reservation<'a> {
    held: Held<'a>,
    place: *mut u8,
    len: usize,
}

impl<'a> Reservation<'a> {
    pub(super) fn new(queue: &'a RawByteQueue, me: &Member, claim: Claim, len: usize) -> Self {
        let (place, room) = queue.room(&claim);
        Reservation { held: Held::new(queue, me, claim), place, len: len.min(room) }
    }

    /// Publishes all of it as one message.
    ///
    /// # Errors
    /// `NotOwner` in the child of a fork.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let log = seg.byte_queue("log", 4096, 512)?;
    /// let mut room = log.reserve(3)?;
    /// room.copy_from_slice(b"abc");
    /// room.commit()?;
    /// assert_eq!(log.pop()?, b"abc");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn commit(self) -> Result<()> {
        let len = self.len;
        self.commit_len(len)
    }

    /// Publishes the first `len` bytes as one message.
    ///
    /// # Errors
    /// `TooLarge` for more than was reserved: it is aborted. `NotOwner` in the child of a fork.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let log = seg.byte_queue("log", 4096, 512)?;
    /// use std::io::Write;
    ///
    /// let mut room = log.reserve(100)?;
    /// let mut rest = &mut room[..];
    /// write!(rest, "{} and {}", 1, 2).expect("100 bytes are enough");
    /// let len = 100 - rest.len();
    /// room.commit_len(len)?;
    /// assert_eq!(log.pop()?, b"1 and 2");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn commit_len(mut self, len: usize) -> Result<()> {
        if len > self.len {
            return Err(ErrorKind::TooLarge.into());
        }
        self.held.end(|queue, me, claim| queue.commit(me, claim, len))
    }

    /// Gives it up, as dropping it does.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let log = seg.byte_queue("log", 4096, 512)?;
    /// log.reserve(100)?.abort();
    /// assert!(log.is_empty() && log.len_bytes() == 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn abort(self) {}
}

impl Deref for Reservation<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the record is ours until the guard is gone, `len` bytes are inside it, and bytes are always
        // initialised in shared memory.
        unsafe { core::slice::from_raw_parts(self.place, self.len) }
    }
}

impl DerefMut for Reservation<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.place, self.len) }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.held.claim.is_some() {
            let _ = self.held.end(RawByteQueue::abort);
        }
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A message, read where it lies. Dropped, it is done: its room is free. If its thread dies before, or drops it by a panic,
/// the next consumer gets it, marked redelivered.
///
/// The other consumers step over it and take what is behind it, and are told the end of a closed queue in spite of it, unless all
/// room is in somebody's hands ([`ByteQueue::close`](super::ByteQueue::close)); the producers need its room one lap later. Not `Send`: the
/// thread that receives releases. In the child of a fork its drop does nothing.
///
/// Its bytes are aligned to 64. A peer that breaks the protocol could change them: that is a wrong byte, never an invalid
/// one. Against a hostile peer copy them first ([`ByteQueue::pop`](super::ByteQueue::pop)) and check the copy.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// let log = seg.byte_queue("log", 4096, 512)?;
/// log.push(b"one line")?;
/// let line = log.borrow()?; // no copy
/// assert!(line.starts_with(b"one"));
/// assert!(!line.is_redelivered());
/// drop(line); // done
/// assert!(log.is_empty());
/// # Ok::<(), interproc::Error>(())
/// ```
#[must_use = "a message that is dropped is done"]
pub struct Message<'a> {
    held: Held<'a>,
    unwinding: Unwinding,
    place: *const u8,
    len: usize,
}

impl<'a> Message<'a> {
    pub(super) fn new(queue: &'a RawByteQueue, me: &Member, claim: Claim) -> Self {
        let (place, len) = queue.message(&claim);
        Message { held: Held::new(queue, me, claim), unwinding: Unwinding::begin(), place, len }
    }

    /// Whether an earlier consumer died with this message, panicked, or put it back.
    ///
    /// # Examples
    /// ```
    /// use interproc::{Segment, process};
    ///
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let log = seg.byte_queue("log", 4096, 512)?;
    /// log.push(b"one line")?;
    /// let child = process::fork(|| {
    ///     let _line = log.borrow().unwrap();
    ///     std::process::abort(); // with it in its hands
    /// })?;
    /// child.join()?;
    /// let line = log.borrow()?;
    /// assert!(&*line == b"one line" && line.is_redelivered());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_redelivered(&self) -> bool {
        self.held.claim().redelivered()
    }

    /// Puts it back where it was: the next consumer gets it, marked redelivered.
    ///
    /// # Errors
    /// `NotOwner` in the child of a fork.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let log = seg.byte_queue("log", 4096, 512)?;
    /// log.push(b"first")?;
    /// log.push(b"second")?;
    /// log.borrow()?.put_back()?;
    /// let again = log.borrow()?;
    /// assert!(&*again == b"first" && again.is_redelivered());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn put_back(mut self) -> Result<()> {
        self.held.end(RawByteQueue::put_back)
    }
}

impl Deref for Message<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the record is ours until the guard is gone, so no protocol-abiding thread writes; `len` bytes are inside
        // it, and bytes are always initialised in shared memory.
        unsafe { core::slice::from_raw_parts(self.place, self.len) }
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        if self.held.claim.is_some() {
            let _ = match self.unwinding.interrupts() {
                true => self.held.end(RawByteQueue::put_back),
                false => self.held.end(RawByteQueue::release),
            };
        }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("len", &self.len)
            .field("redelivered", &self.is_redelivered())
            .finish_non_exhaustive()
    }
}
