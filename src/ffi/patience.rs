//! The three forms of a call that waits: `push`, `trypush`, `timedpush`.

use super::time::deadline;
use crate::error::Result;
use crate::queue::{Limit, byte_lane, spsc};
use crate::sync;
use crate::time::Deadline;
use libc::timespec;

/// How long a call may wait. A type for each form, so that the compiler makes each function of one piece.
pub(super) trait Patience: Copy {
    /// It does not wait at all.
    const NEVER: bool = false;

    /// Until when; `None` for as long as it takes.
    ///
    /// # Safety
    /// A timespec or NULL in it.
    #[inline(always)]
    unsafe fn deadline(self) -> Result<Option<Deadline>> {
        Ok(None)
    }

    /// The same in the words of a layer below.
    ///
    /// # Safety
    /// As [`deadline`](Self::deadline).
    #[inline(always)]
    unsafe fn limit<W: Words>(self) -> Result<W> {
        // SAFETY: by the contract.
        Ok(match unsafe { self.deadline() }? {
            Some(deadline) => W::UNTIL(deadline),
            None if Self::NEVER => W::NEVER,
            None => W::FOR_EVER,
        })
    }
}

/// `push`: as long as it takes.
#[derive(Clone, Copy)]
pub(super) struct ForEver;
/// `trypush`: not at all.
#[derive(Clone, Copy)]
pub(super) struct Never;
/// `timedpush`: until then.
#[derive(Clone, Copy)]
pub(super) struct Until(pub(super) *const timespec);

impl Patience for ForEver {}

impl Patience for Never {
    const NEVER: bool = true;
}

impl Patience for Until {
    #[inline(always)]
    unsafe fn deadline(self) -> Result<Option<Deadline>> {
        // SAFETY: by the contract.
        unsafe { deadline(self.0) }.map(Some)
    }
}

/// A layer's words for it.
pub(super) trait Words {
    const NEVER: Self;
    const FOR_EVER: Self;
    const UNTIL: fn(Deadline) -> Self;
}

macro_rules! words {
    ($($layer:ty),*) => {
        $(impl Words for $layer {
            const NEVER: Self = Self::Never;
            const FOR_EVER: Self = Self::ForEver;
            const UNTIL: fn(Deadline) -> Self = Self::Until;
        })*
    };
}
words!(spsc::Wait, byte_lane::Patience, Limit);

impl Words for sync::Patience {
    const NEVER: Self = Self::None;
    const FOR_EVER: Self = Self::Until(None);
    const UNTIL: fn(Deadline) -> Self = |deadline| Self::Until(Some(deadline));
}
