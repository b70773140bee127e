//! The seats of the handles, whatever is in the slots: for Rust and C.

use crate::error::{ErrorKind, Result};
use crate::member::{self, Here, Member, OwnerId};
use crate::queue::lane::{Lane, RawConsumer, RawProducer};
use crate::time::Wait;

/// Sees to it that the calling thread, of the process where there had been so many forks, sits in the seat: by `move_to`, if
/// it is another one than `id`'s.
#[cold]
fn sit<'m>(
    lane: &Lane,
    forks: u64,
    id: OwnerId,
    move_to: impl FnOnce(&Member) -> Result<()>,
) -> Result<&'m Member> {
    let me: &Member = member::current(lane.address())?;
    if forks != member::forks() {
        return Err(ErrorKind::NotOwner.into());
    }
    if me.id() != id {
        move_to(me)?;
    }
    Ok(me)
}

macro_rules! seat {
    ($(#[$doc:meta])* $name:ident of $raw:ident, $there:literal: $known:ident, $has:ident, $wait_for:ident, $none:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name {
            pub(crate) raw: $raw,
            here: Here,
            forks: u64,
        }

        impl $name {
            /// Takes it.
            ///
            /// # Errors
            /// `WouldBlock` while somebody alive sits there; `Corrupt`.
            pub(crate) fn take(lane: Lane, me: &Member) -> Result<Self> {
                Ok($name { raw: $raw::take(lane, me)?, here: Here::now(), forks: member::forks() })
            }

            /// The calling thread sits in it.
            #[inline(always)]
            pub(crate) fn is_here(&self) -> bool {
                self.here.is_now()
            }

            /// Sees to it that the calling thread sits in it.
            ///
            /// # Errors
            /// `NotOwner` in a forked child; `Stale`; `TooManyMembers`.
            #[cold]
            pub(crate) fn seated<'m>(&mut self) -> Result<&'m Member> {
                let (lane, id) = (*self.raw.lane(), self.raw.holder());
                self.here = Here::NOWHERE;
                let me = sit(&lane, self.forks, id, |me| self.raw.move_to(me))?;
                self.here = Here::now();
                Ok(me)
            }

            /// The calling thread sits in it, and there is
            #[doc = $there]
            ///
            /// # Errors
            /// As [`Self::make_ready`].
            #[inline(always)]
            pub(crate) fn ready(&mut self, wait: Wait) -> Result<()> {
                if self.is_here() && self.raw.is_ready() { Ok(()) } else { self.make_one_ready(wait) }
            }

            /// As [`Self::ready`], for `units` of them.
            ///
            /// # Errors
            /// `InvalidInput` for more than the capacity; as [`Self::make_ready`].
            #[inline(always)]
            pub(crate) fn ready_for(&mut self, units: usize, wait: Wait) -> Result<()> {
                let units = units as u64;
                if units > self.raw.lane().capacity() {
                    return Err(ErrorKind::InvalidInput.into());
                }
                if self.is_here() && self.raw.$known() >= units { Ok(()) } else { self.make_ready(units, wait) }
            }

            /// As [`Self::ready`], the long way.
            #[inline(never)]
            fn make_one_ready(&mut self, wait: Wait) -> Result<()> {
                self.make_ready(1, wait)?;
                // It is: this sees to its place.
                if self.raw.is_ready() { Ok(()) } else { Err(ErrorKind::Corrupt.into()) }
            }

            /// Sees to both.
            ///
            /// # Errors
            /// `Full` or `Empty`, `TimedOut`, `Closed`, `Corrupt`; as [`Self::seated`].
            #[cold]
            fn make_ready(&mut self, units: u64, wait: Wait) -> Result<()> {
                let me = self.seated()?;
                let deadline = match wait {
                    Wait::Never => {
                        // What the other side has not been told of, it cannot work on.
                        self.raw.flush().into_result()?;
                        let there = self.raw.look_for(me, units)?;
                        return if there { Ok(()) } else { Err(ErrorKind::$none.into()) };
                    }
                    Wait::ForEver => None,
                    Wait::Until(deadline) => Some(deadline),
                };
                if self.raw.$has(units)? {
                    return Ok(());
                }
                self.raw.$wait_for(me, units, deadline)
            }

            /// Tells the other side of what it has not been told of.
            ///
            /// # Errors
            /// `Closed`; as [`Self::seated`].
            #[inline]
            pub(crate) fn flush(&mut self) -> Result<()> {
                if self.raw.untold() == 0 {
                    return Ok(());
                }
                self.here()?;
                self.raw.flush().into_result()
            }

            /// As [`Self::seated`], at the cost of a look where that is so already.
            ///
            /// # Errors
            /// As [`Self::seated`].
            #[inline(always)]
            pub(crate) fn here(&mut self) -> Result<()> {
                if self.is_here() { Ok(()) } else { self.seated().map(drop) }
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // What fails is not ours any more.
                if self.seated().is_ok() {
                    self.raw.leave();
                }
            }
        }
    };
}

seat! {
    /// The producer's seat, held by a handle.
    Writer of RawProducer, "room for one.": known_room, has_room, wait_for_room, Full
}

seat! {
    /// The consumer's seat, held by a handle.
    Reader of RawConsumer, "a unit.": known, has, wait_for, Empty
}

/// So that both sides read alike.
trait IntoResult {
    fn into_result(self) -> Result<()>;
}

impl IntoResult for () {
    #[inline(always)]
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl IntoResult for Result<()> {
    #[inline(always)]
    fn into_result(self) -> Result<()> {
        self
    }
}

impl RawProducer {
    fn untold(&self) -> u64 {
        self.unpublished()
    }
}

impl RawConsumer {
    fn untold(&self) -> u64 {
        self.unfreed()
    }
}

impl Writer {
    /// The places of the next `count` slots, which are known to be free, in two pieces.
    #[inline(always)]
    pub(crate) fn slots(&self, count: usize) -> [(u64, usize); 2] {
        pieces(self.raw.index(), self.raw.lane().capacity(), count)
    }

    /// How many of `most` slots are free, by another look if need be.
    ///
    /// # Errors
    /// `Corrupt`.
    #[inline]
    pub(crate) fn room_up_to(&mut self, most: usize) -> Result<usize> {
        self.raw.has_room(most as u64)?;
        Ok(most.min(self.raw.known_room() as usize))
    }
}

impl Reader {
    /// The places of the next `count` units, which are known to be there, in two pieces.
    #[inline(always)]
    pub(crate) fn slots(&self, count: usize) -> [(u64, usize); 2] {
        pieces(self.raw.index(), self.raw.lane().capacity(), count)
    }

    /// How many of `most` units are there, by another look if need be.
    ///
    /// # Errors
    /// `Corrupt`.
    #[inline]
    pub(crate) fn there_up_to(&mut self, most: usize) -> Result<usize> {
        self.raw.has(most as u64)?;
        Ok(most.min(self.raw.known() as usize))
    }
}

/// Where so many slots from an index on are, and how many of them: up to the ring's end, and from its start.
#[inline(always)]
fn pieces(index: u64, capacity: u64, count: usize) -> [(u64, usize); 2] {
    let first = count.min((capacity - index) as usize);
    [(index, first), (0, count - first)]
}
