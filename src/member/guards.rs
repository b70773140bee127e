//! [`GuardMark`]: counts a guard that gives out references into a segment as one of its thread. [`Unwinding`]: what a panic makes
//! of a guard's end.
#![allow(unsafe_code)]

use super::{Member, OwnerId, current};
use core::cell::Cell;
use core::ptr::null;
use std::thread::panicking;

/// One of the calling thread's guards, from [`GuardMark::at`] until it is dropped or [ended](GuardMark::end). For guards that do
/// not know their member. If the thread ends first, the guard was leaked, and the thread's slot becomes the process's.
#[derive(Debug)]
pub(crate) struct GuardMark {
    /// Null once it has ended, or if there is no member.
    me: Cell<*const Member>,
    owner: OwnerId,
}

impl GuardMark {
    /// A guard in the segment around `address`, which stays attached as long as the guard's borrow. The guard does not leave its
    /// thread.
    #[inline(always)]
    pub(crate) fn at(address: *const u8) -> GuardMark {
        match current(address) {
            Ok(me) => {
                me.guard_begins();
                GuardMark { me: Cell::new(me), owner: me.id() }
            }
            // Without a member it can hold nothing.
            Err(_) => GuardMark { me: Cell::new(null()), owner: OwnerId::new(0, 0) },
        }
    }

    /// The guard's references are gone.
    #[inline(always)]
    pub(crate) fn end(&self) {
        // SAFETY: by the contract of `at` the member stays; a forked child has a wiped copy of its memory, all zero, which is a
        // `Member` that has no id.
        if let Some(me) = unsafe { self.me.replace(null()).as_ref() }
            && me.id() == self.owner
        {
            me.guard_ends();
        }
    }
}

impl Drop for GuardMark {
    #[inline(always)]
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether its thread was panicking when a guard began. A panic that drops a guard counts as a death. But a guard that began
/// while its thread was already panicking, in a destructor, is not interrupted by that panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unwinding(bool);

impl Unwinding {
    /// A guard begins.
    #[inline(always)]
    pub(crate) fn begin() -> Unwinding {
        Unwinding(panicking())
    }

    /// Whether a panic is what drops the guard, which is being dropped now.
    #[inline(always)]
    pub(crate) fn interrupts(self) -> bool {
        panicking() && !self.0
    }
}
