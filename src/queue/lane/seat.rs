//! [`Seat`]: one side of a lane, held by one thread at a time.
//!
//! The word is the holder's id, or 0. Ids are never given out twice. So replacing a dead holder's id is free of ABA, and a handle
//! that finds its own id there knows no one else has held the seat meanwhile.

use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};

/// How often to retry a seat that changes meanwhile.
const TRIES: u32 = 64;

/// A seat in shared memory. Zero is vacant.
#[repr(transparent)]
#[derive(Debug)]
pub(in crate::queue) struct Seat(AtomicU64);

/// The state in which a seat was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queue) enum Found {
    /// Vacant.
    Vacant,
    /// Its last holder died.
    Abandoned,
}

impl Seat {
    #[cfg(interproc_loom)]
    pub(in crate::queue) fn new() -> Self {
        Seat(AtomicU64::new(0))
    }

    /// Takes it, if it is vacant or its holder is dead.
    ///
    /// # Errors
    /// `WouldBlock` while a live thread holds it, the caller included.
    pub(in crate::queue) fn take(&self, me: &Member) -> Result<Found> {
        let mut seen = self.0.load(Ordering::Acquire);
        // After a lost race there is a live holder, or one that died at once. More rounds only if somebody scribbles.
        for _ in 0..TRIES {
            if let Some(holder) = OwnerId::of(seen) {
                if holder != me.id() {
                    // Nobody sleeps on it, so only we ask the second channel.
                    me.verify(holder);
                }
                if me.lives(holder) {
                    return Err(ErrorKind::WouldBlock.into());
                }
            }
            if crate::mutant!("lane-seat-taken-twice") {
                self.0.store(me.id().bits(), Ordering::Release);
                return Ok(if seen == 0 { Found::Vacant } else { Found::Abandoned });
            }
            // Acquire: after everything that the last holder did.
            match self.0.compare_exchange(seen, me.id().bits(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(if seen == 0 { Found::Vacant } else { Found::Abandoned }),
                Err(now) => seen = now,
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Moves it from another thread of the process to the calling one.
    ///
    /// # Errors
    /// `Stale` if `from` no longer holds it: it died, and somebody has taken over.
    pub(in crate::queue) fn move_to(&self, from: OwnerId, me: &Member) -> Result<()> {
        let moved = self.0.compare_exchange(from.bits(), me.id().bits(), Ordering::AcqRel, Ordering::Relaxed);
        moved.map(drop).map_err(|_| ErrorKind::Stale.into())
    }

    /// Leaves it, if `id` still holds it.
    pub(in crate::queue) fn leave(&self, id: OwnerId) -> bool {
        self.0.compare_exchange(id.bits(), 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The word: a pipe takes its seats together.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(in crate::queue) fn word(&self) -> &AtomicU64 {
        &self.0
    }

    /// The holder, dead or alive.
    pub(in crate::queue) fn holder(&self) -> Option<OwnerId> {
        OwnerId::of(self.0.load(Ordering::Acquire))
    }

    /// The holder, if it lives.
    pub(in crate::queue) fn living(&self, me: &Member) -> Option<OwnerId> {
        self.holder().filter(|&id| me.lives(id))
    }
}
