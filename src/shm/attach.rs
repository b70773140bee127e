//! The calls into the member layer: attaching a mapping, and the directory's lock.
#![allow(unsafe_code)]

use super::{fail, file, kernel};
use crate::counted::Keep;
use crate::error::{ErrorKind, Result};
use crate::format::{Changing, Fixed};
use crate::member::{self, Attachment, Member};
use crate::sync::{Acquired, RawMutex};
use core::ptr::NonNull;
use std::os::fd::{AsFd, RawFd};

const _: () = {
    assert!(size_of::<RawMutex>() == core::mem::size_of_val(&[0u64; 2]));
    assert!(align_of::<RawMutex>() <= align_of::<u64>());
};

/// The process's attachment to one mapping of a segment.
#[derive(Debug)]
pub(super) struct Attached(Attachment);

impl Attached {
    /// # Safety
    /// `base` is the start of a mapping of `fixed.total_len` bytes of the file `fd` that outlives the attachment; `fixed`
    /// has passed the checks of [`super::header`].
    pub unsafe fn new(fd: RawFd, base: NonNull<u8>, fixed: &Fixed) -> Result<Attached> {
        // A file description of its own: the one that holds the process's seat must never be sent to anyone.
        let own = file::again(fd)?;
        kernel::lock_shared(own.as_fd())?;
        // SAFETY: as the caller promises; `own` is the same file, locked, opened for this.
        unsafe { member::attach(own.into(), base, fixed) }.map(Attached)
    }

    /// `keep` keeps the mapping.
    pub fn is_kept_by(&self, keep: &Keep) {
        self.0.is_kept_by(keep);
    }

    /// Makes all publishers of the segment use full fences from now on.
    pub fn use_strong_fences(&self) {
        self.0.use_strong_fences();
    }

    /// Runs `f` under the directory's lock.
    pub fn locked<R>(&self, changing: &Changing, f: impl FnOnce() -> R) -> Result<R> {
        let me = self.0.member()?;
        // SAFETY: two words of a mapped header, aligned, made for exactly this type and used as nothing else.
        let lock = unsafe { &*(&raw const changing.directory_lock).cast::<RawMutex>() };
        let acquired = lock.lock(me, None).map_err(|e| match e.kind() {
            // This layer always marks the lock consistent, so this state is damage.
            ErrorKind::NotRecoverable => fail(ErrorKind::Corrupt, "somebody wrote over the directory's lock"),
            _ => e,
        })?;
        let unlock = Unlock(lock, me);
        if acquired == Acquired::OwnerDied {
            // There is nothing to repair: an object that a dead maker did not publish does not count (D1 to D4).
            lock.mark_consistent(me)?;
        }
        let result = f();
        drop(unlock);
        Ok(result)
    }
}

struct Unlock<'a>(&'a RawMutex, &'a Member);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        // It fails only if a peer wrote over the word; then there is nothing of ours to release.
        let _ = self.0.unlock(self.1);
    }
}
