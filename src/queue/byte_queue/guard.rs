//! [`Reservation`] and [`Message`]: a message, written or read where it lies.
#![allow(unsafe_code)]

use super::raw::{Claim, RawByteQueue};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::queue::guard::{Borrowed, Reading, Reserved, Writing};
use core::ptr::NonNull;

/// Room for a message, claimed: written where it will be read, then [committed](Reserved::commit). Dropped, or when its
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
pub type Reservation<'a> = Reserved<Record<'a>, [u8]>;

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
pub type Message<'a> = Borrowed<Record<'a>, [u8]>;

/// The claimed record of a guard, and the thread that holds it.
#[derive(Debug)]
pub struct Record<'a> {
    queue: &'a RawByteQueue,
    /// The claiming thread's member. In the child of a fork its memory is wiped.
    me: *const Member,
    owner: OwnerId,
    claim: Claim,
}

impl<'a> Record<'a> {
    fn new(queue: &'a RawByteQueue, me: &Member, claim: Claim) -> Self {
        me.guard_begins();
        Record { queue, me, owner: me.id(), claim }
    }

    /// A guard of room for `len` bytes.
    pub(super) fn reserved(
        queue: &'a RawByteQueue,
        me: &Member,
        claim: Claim,
        len: usize,
    ) -> Reservation<'a> {
        let (place, room) = queue.room(&claim);
        Reserved::new(Record::new(queue, me, claim), bytes(place, len.min(room)))
    }

    /// A guard of a message.
    pub(super) fn borrowed(queue: &'a RawByteQueue, me: &Member, claim: Claim) -> Message<'a> {
        let (place, len) = queue.message(&claim);
        let redelivered = claim.redelivered();
        Borrowed::new(Record::new(queue, me, claim), bytes(place, len), redelivered)
    }

    /// Ends the claim; in the child of a fork, where the parent's record is left alone, `NotOwner`.
    fn end(self, how: impl FnOnce(&RawByteQueue, &Member, Claim) -> Result<()>) -> Result<()> {
        // SAFETY: the guard does not leave its thread and keeps the segment attached, so the member stays; a forked
        // child has a wiped copy of its memory, all zero, which is a `Member` that has no id.
        let me = unsafe { &*self.me };
        if me.id() != self.owner {
            return Err(ErrorKind::NotOwner.into());
        }
        me.guard_ends();
        how(self.queue, me, self.claim)
    }
}

/// `len` bytes of a ring.
fn bytes(place: *mut u8, len: usize) -> NonNull<[u8]> {
    // SAFETY: a place in a mapped ring is not null.
    NonNull::slice_from_raw_parts(unsafe { NonNull::new_unchecked(place) }, len)
}

impl Writing for Record<'_> {
    fn commit(self, len: usize) -> Result<()> {
        self.end(|queue, me, claim| queue.commit(me, claim, len))
    }
    fn abort(self) {
        let _ = self.end(RawByteQueue::abort);
    }
}

impl Reading for Record<'_> {
    fn release(self) {
        let _ = self.end(RawByteQueue::release);
    }
    fn give_up(self) {
        let _ = self.end(RawByteQueue::put_back);
    }
    fn put_back(self) -> Result<()> {
        self.end(RawByteQueue::put_back)
    }
}
