//! [`Creator`]: which process a handle belongs to.
//!
//! A process id is not enough: a child in a new PID namespace can have its parent's number. So each process has a mark, in
//! a page that the kernel wipes in every forked child, raw clones included. A child that needs a mark takes the next number
//! of a counter that it inherited by the ordinary copy. So it never repeats an ancestor's mark, and no other foreign marks
//! can be in its memory.
#![allow(unsafe_code)]

use crate::sys::memory;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The page, null before the first use. Never unmapped.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(core::ptr::null_mut());
/// The last mark that was given in this process or an ancestor.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The mark of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creator(u64);

impl Creator {
    /// The calling process. Fails only when the page cannot be made.
    pub fn current() -> Result<Creator, i32> {
        let word = page()?;
        let mark = word.load(Ordering::Relaxed); // Relaxed: the number alone matters; it publishes nothing.
        if mark != 0 {
            return Ok(Creator(mark));
        }
        let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        match word.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(Creator(new)),
            Err(other) => Ok(Creator(other)),
        }
    }

    /// Whether the calling process is the one with this mark.
    pub fn is_me(self) -> bool {
        // This mark was made, so the page exists.
        page().is_ok_and(|word| word.load(Ordering::Relaxed) == self.0)
    }
}

fn page() -> Result<&'static AtomicU64, i32> {
    let mut at = PAGE.load(Ordering::Acquire);
    if at.is_null() {
        let len = memory::page_size();
        let new = memory::wiped_on_fork(len)?;
        at = new.as_ptr().cast();
        if let Err(winner) =
            PAGE.compare_exchange(core::ptr::null_mut(), at, Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: our page was never published.
            unsafe { memory::unmap(new, len) };
            at = winner;
        }
    }
    // SAFETY: a published page is mapped for good, zero-filled and aligned; only atomic accesses touch it.
    Ok(unsafe { &*at })
}
