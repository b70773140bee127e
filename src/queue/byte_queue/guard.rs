//! [`Reservation`] and [`Message`]: a message that is written or read in place.
#![allow(unsafe_code)]

use super::raw::{Claim, RawByteQueue};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::queue::guard::{Borrowed, Reading, Reserved, Writing};
use core::ptr::NonNull;

/// Reserved room for a message, written in place, then [committed](Reserved::commit). Dropped, or if its thread dies, it is
/// aborted: its room is free again.
///
/// *The consumers wait for it*: messages that were claimed later, by anybody, are delivered after this one. A reservation that
/// is kept, or leaked, holds them up. So do the long work first. In the child of a fork the parent's reservation is refused,
/// and dropping it does nothing.
///
/// The bytes are aligned to 64. What else holds for reservations: see [`Reserved`].
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

/// A borrowed message, read in place. Dropped, it is released: it is done and its room is free. If its thread dies, or drops it
/// by a panic, the next consumer gets it, flagged redelivered.
///
/// Meanwhile the other consumers step over it to the messages behind it, and see the end of a closed queue, unless borrowed
/// messages take up all room ([`ByteQueue::close`](super::ByteQueue::close)). Producers wait for its room one lap later.
///
/// Its bytes are aligned to 64. Against a hostile peer copy them first ([`ByteQueue::pop`](super::ByteQueue::pop)) and check
/// the copy. What else holds for borrowed messages: see [`Borrowed`].
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
