//! The three forms of a call that waits: `push`, `trypush`, `timedpush`.

use super::time::deadline;
use crate::error::Result;
use crate::time::{Deadline, Wait};
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

    /// The same in Rust's words.
    ///
    /// # Safety
    /// As [`deadline`](Self::deadline).
    #[inline(always)]
    unsafe fn wait(self) -> Result<Wait> {
        if Self::NEVER {
            return Ok(Wait::Never);
        }
        // SAFETY: by the contract.
        unsafe { self.deadline() }.map(Wait::from)
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
