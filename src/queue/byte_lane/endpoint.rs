//! The two endpoints of a byte lane: under the Rust handles, under those of C, and under the halves of a pipe.
#![allow(unsafe_code)]

use super::{Found, RawByteConsumer, RawByteProducer, UNIT};
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{Error, ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::queue::Lane;
use crate::queue::endpoint::{Endpoint, Holder, Side};
use crate::queue::push_error::with_lengths;
use crate::time::Wait;
use core::ptr::NonNull;

/// A side of a byte lane is the side of the lane under it.
macro_rules! by_its_seat {
    ($($name:ident)*) => {
        $(impl Holder for $name {
            #[inline(always)]
            fn address(&self) -> *const u8 {
                Holder::address(&self.seat)
            }
            fn word(&self) -> &AtomicU64 {
                Holder::word(&self.seat)
            }
            #[inline(always)]
            fn holder(&self) -> OwnerId {
                Holder::holder(&self.seat)
            }
            fn move_to(&mut self, me: &Member) -> Result<()> {
                Holder::move_to(&mut self.seat, me)
            }
            fn leave(&mut self, me: &Member) {
                Holder::leave(&mut self.seat, me);
            }
        }

        impl Side for $name {
            #[inline(always)]
            fn lane(&self) -> &Lane {
                Side::lane(&self.seat)
            }
            #[inline(always)]
            fn peer(&self) -> Option<OwnerId> {
                Side::peer(&self.seat)
            }
            fn close(&mut self, me: &Member) -> Result<()> {
                Side::close(&mut self.seat, me)
            }
        })*
    };
}

by_its_seat!(RawByteProducer RawByteConsumer);

/// A side of a lane whose units are bytes of messages.
pub(crate) trait ByteSide: Side {}
impl ByteSide for RawByteProducer {}
impl ByteSide for RawByteConsumer {}

impl<S: ByteSide> Endpoint<S> {
    /// The longest message, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.lane().limit() as usize
    }

    /// Bytes of the ring.
    pub(crate) fn capacity(&self) -> usize {
        bytes(self.lane().capacity())
    }

    /// Bytes in use.
    pub(crate) fn len_bytes(&self) -> usize {
        bytes(self.lane().len())
    }

    /// The most bytes that were in use.
    pub(crate) fn peak(&self) -> usize {
        bytes(self.lane().peak())
    }
}

fn bytes(units: u64) -> usize {
    units as usize * UNIT
}

#[cold]
fn nothing_is(what: &str) -> Error {
    Error::from(ErrorKind::InvalidInput).with_detail(format_args!("nothing is {what}"))
}

/// As many units as hold these bytes.
fn units(bytes: usize) -> u64 {
    bytes.div_ceil(UNIT) as u64
}

impl Endpoint<RawByteProducer> {
    /// Reserves the place of the next message, of `len` bytes.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, len: usize, wait: Wait) -> Result<NonNull<u8>> {
        let me = self.me()?;
        self.reserve_as(me, len, wait)
    }

    /// [`reserve`](Self::reserve) for the thread that has the seat.
    #[inline(always)]
    pub(crate) fn reserve_as(&mut self, me: &Member, len: usize, wait: Wait) -> Result<NonNull<u8>> {
        match self.raw.has_room(len) {
            Ok(true) => Ok(self.raw.space(len)),
            Ok(false) => self.reserve_later(me, len, wait),
            Err(error) => Err(with_lengths(error, len, self.longest())),
        }
    }

    #[cold]
    fn reserve_later(&mut self, me: &Member, len: usize, wait: Wait) -> Result<NonNull<u8>> {
        if !matches!(wait, Wait::Never) {
            self.raw.wait_for_room(me, len, wait.deadline())?;
        } else if !self.raw.look_for_room(me, len)? {
            return Err(ErrorKind::Full.into());
        }
        Ok(self.raw.space(len))
    }

    /// Pushes the first `len` bytes of what was reserved last.
    ///
    /// # Errors
    /// `InvalidInput` if nothing is reserved; as [`RawByteProducer::commit`].
    #[inline(always)]
    pub(crate) fn commit(&mut self, len: usize) -> Result<()> {
        self.me()?;
        if !self.raw.is_reserved() {
            return Err(nothing_is("reserved"));
        }
        self.raw.commit(len)
    }

    /// Gives back what was reserved.
    ///
    /// # Errors
    /// `InvalidInput` if nothing is.
    pub(crate) fn abort(&mut self) -> Result<()> {
        self.me()?;
        if !self.raw.is_reserved() {
            return Err(nothing_is("reserved"));
        }
        self.raw.abort();
        Ok(())
    }

    /// Gives back what a guard has reserved, also in the child of a fork.
    pub(crate) fn give_back(&mut self) {
        self.raw.abort();
    }

    /// Copies a message in, made of these parts.
    #[inline(always)]
    pub(crate) fn push<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p [u8]> + Clone,
        wait: Wait,
    ) -> Result<()> {
        let me = self.me()?;
        self.push_as(me, parts, wait)
    }

    /// [`push`](Self::push) for the thread that has the seat.
    #[inline(always)]
    pub(crate) fn push_as<'p>(
        &mut self,
        me: &Member,
        parts: impl Iterator<Item = &'p [u8]> + Clone,
        wait: Wait,
    ) -> Result<()> {
        let len = parts.clone().fold(0usize, |len, part| len.saturating_add(part.len()));
        let mut to = self.reserve_as(me, len, wait)?;
        for part in parts {
            // SAFETY: together the parts are as long as what was reserved, and only we write there.
            unsafe {
                to.copy_from_nonoverlapping(NonNull::from(part).cast(), part.len());
                to = to.add(part.len());
            }
        }
        self.raw.commit(len)
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.me()?;
        self.raw.seat().flush()
    }

    pub(crate) fn publish_every(&mut self, bytes: usize) -> Result<()> {
        self.flush()?;
        self.raw.seat().publish_every(units(bytes));
        Ok(())
    }
}

impl Endpoint<RawByteConsumer> {
    /// Borrows the next message. The flag says whether it may have been read before. It stays the next one until it is released.
    #[inline(always)]
    pub(crate) fn borrow(&mut self, wait: Wait) -> Result<(Found, bool)> {
        let me = self.me()?;
        match self.raw.next()? {
            Some(found) => Ok((found, self.raw.is_redelivered())),
            None => self.borrow_later(me, wait),
        }
    }

    #[cold]
    fn borrow_later(&mut self, me: &Member, wait: Wait) -> Result<(Found, bool)> {
        loop {
            if !matches!(wait, Wait::Never) {
                self.raw.wait(me, wait.deadline())?;
            } else if !self.raw.look(me)? {
                return Err(ErrorKind::Empty.into());
            }
            if let Some(found) = self.raw.next()? {
                return Ok((found, self.raw.is_redelivered()));
            }
        }
    }

    /// Ends the message that was found last.
    ///
    /// # Errors
    /// `InvalidInput` if there is none.
    #[inline(always)]
    pub(crate) fn release(&mut self) -> Result<()> {
        self.me()?;
        if !self.raw.is_borrowed() {
            return Err(nothing_is("borrowed"));
        }
        self.raw.release();
        Ok(())
    }

    /// Ends the message that a guard has borrowed.
    #[inline(always)]
    pub(crate) fn end(&mut self) -> Result<()> {
        self.me()?;
        self.raw.release();
        Ok(())
    }

    /// Leaves the message that was found last, as a reader's death does.
    pub(crate) fn give_up(&mut self) -> Result<()> {
        self.me()?;
        self.raw.give_up();
        Ok(())
    }

    /// Leaves the message that was found last: it is the next one again.
    pub(crate) fn put_back(&mut self) -> Result<()> {
        self.me()?;
        self.raw.put_back();
        Ok(())
    }

    /// Copies a message out. Returns its length, and whether it is delivered again. A message that does not fit stays.
    ///
    /// # Safety
    /// `into` is writable for `size` bytes.
    #[inline(always)]
    pub(crate) unsafe fn pop_into(
        &mut self,
        into: *mut u8,
        size: usize,
        wait: Wait,
    ) -> Result<(usize, bool)> {
        let (Found { bytes, len }, redelivered) = self.borrow(wait)?;
        if len <= size {
            // SAFETY: `len` bytes in the ring that our seat gives us; by the contract as many to write to.
            unsafe { bytes.as_ptr().copy_to_nonoverlapping(into, len) };
            self.raw.release();
        }
        Ok((len, redelivered))
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.me()?;
        self.raw.seat().flush();
        Ok(())
    }

    pub(crate) fn free_every(&mut self, bytes: usize) -> Result<()> {
        self.me()?;
        self.raw.seat().free_every(units(bytes));
        Ok(())
    }

    /// The position up to which the producer has published.
    pub(crate) fn published(&self) -> u64 {
        self.lane().header().tail.load(Ordering::Acquire)
    }

    /// Whether the consumer has reached that position.
    pub(crate) fn is_at(&mut self, position: u64) -> bool {
        // Relaxed: we alone write it.
        let freed = self.lane().header().head.load(Ordering::Relaxed);
        freed.wrapping_add(self.raw.seat().unfreed()).wrapping_sub(position) <= self.lane().capacity()
    }
}
