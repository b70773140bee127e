//! The thread's robust list. We join the C library's list and never replace it.
//!
//! The C library owns the list head. Its nodes are doubly linked (`prev` one word before `next`), and the futex word lies
//! at `next + futex_offset`. glibc on x86-64 uses -32, musl -28: the offset is read, never assumed. *Crash order*: the
//! kernel walks `head.next` when the thread dies, so every store here leaves a list that can be walked (a node's `next` is
//! set before the node is reachable).
//!
//! | window | the thread dies here | what follows |
//! |---|---|---|
//! | R1 | node filled, not reachable | the kernel does not mark the word; the caller's claim is unconfirmed and can be reclaimed |
//! | R2 | node reachable | the kernel marks the word if it holds our thread id |
//! | R3 | unlinked | as R1 |
//! | R4 | pending set | the kernel wakes one sleeper on the bell |

use super::call::{KeepErrno, checked};
use core::sync::atomic::{Ordering, compiler_fence};

/// The kernel's view of the head (`struct robust_list_head`).
#[repr(C)]
pub struct Head {
    next: *mut u8,
    futex_offset: isize,
    pending: *mut u8,
}

/// One thread's list. Only that thread may use it.
#[derive(Clone, Copy, Debug)]
pub struct RobustList {
    head: *mut Head,
}

/// A bell, as the pending pointer names it.
#[derive(Clone, Copy, Debug)]
pub struct BellNode(*mut u8);

/// The pending pointer as it was found.
#[must_use]
pub struct Pending(*mut u8);

impl Pending {
    /// As it is outside of the C library's own operations.
    pub const NONE: Pending = Pending(core::ptr::null_mut());
}

impl RobustList {
    /// The calling thread's list. `remembered` is the head that this thread had before a raw clone: the child has the
    /// memory but not the registration. `None` where there is no robust list at all.
    pub fn current(remembered: Option<RobustList>) -> Option<RobustList> {
        if let Some(list) = Self::registered() {
            return Some(list);
        }
        if let Some(list) = remembered {
            // After a raw clone the head is this thread's own memory, and its entries are the parent's. Empty it, as the C
            // library's fork does, and register it.
            // SAFETY: the head lies in this thread's control block, which the clone copied.
            unsafe {
                let head = list.head;
                (&raw mut (*head).pending).write_volatile(core::ptr::null_mut());
                (&raw mut (*head).next).write_volatile(head.cast());
                let size = size_of::<Head>();
                checked(|| libc::syscall(libc::SYS_set_robust_list, head, size)).ok()?;
            }
            return Some(list);
        }
        // musl registers its head at the thread's first robust lock.
        touch_robust_mutex();
        Self::registered()
    }

    fn registered() -> Option<RobustList> {
        let mut head: *mut Head = core::ptr::null_mut();
        let mut size = 0usize;
        // SAFETY: both outputs are writable.
        let got =
            checked(|| unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut size) });
        (got.is_ok() && !head.is_null() && size == size_of::<Head>()).then_some(RobustList { head })
    }

    /// The bytes from a futex word to its node's `next` pointer.
    pub fn node_distance(self) -> isize {
        // SAFETY: the head is this thread's own and valid while the thread runs.
        unsafe { -(*self.head).futex_offset }
    }

    /// Links the node that belongs to `word`.
    ///
    /// # Safety
    /// The node's two pointers (at `word + node_distance() - 8` and `+ 0`) lie in private writable memory that
    /// stays until the node is unlinked or the thread is gone, and are not linked. The caller is the list's
    /// thread, with signals blocked.
    pub unsafe fn link(self, word: *mut u8) {
        // SAFETY: by the contract; foreign nodes are the C library's and have `prev` before `next`. Unaligned:
        // musl's offset puts our node at 4 modulo 8.
        unsafe {
            let node = word.offset(self.node_distance());
            let head_node: *mut u8 = self.head.cast();
            let first = (&raw const (*self.head).next).read_volatile();
            node.cast::<*mut u8>().write_unaligned(first);
            node.sub(8).cast::<*mut u8>().write_unaligned(head_node);
            let first_node = untagged(first);
            if first_node != head_node {
                first_node.sub(8).cast::<*mut u8>().write_unaligned(node);
            }
            compiler_fence(Ordering::SeqCst); // R1: the node is whole before it can be reached
            (&raw mut (*self.head).next).write_volatile(node);
            compiler_fence(Ordering::SeqCst); // R2
        }
    }

    /// Unlinks the node that belongs to `word`.
    ///
    /// # Safety
    /// It was linked by this thread and not unlinked since. Signals are blocked.
    pub unsafe fn unlink(self, word: *mut u8) {
        // SAFETY: by the contract both neighbours are nodes of this thread's list or its head.
        unsafe {
            let node = word.offset(self.node_distance());
            let head_node: *mut u8 = self.head.cast();
            let next = node.cast::<*mut u8>().read_unaligned();
            let prev = node.sub(8).cast::<*mut u8>().read_unaligned();
            let next_node = untagged(next);
            if next_node != head_node {
                next_node.sub(8).cast::<*mut u8>().write_unaligned(prev);
            }
            compiler_fence(Ordering::SeqCst);
            untagged(prev).cast::<*mut u8>().write_unaligned(next); // R3: no longer reachable
            compiler_fence(Ordering::SeqCst);
        }
    }

    /// The node of a bell. Computed once, because `pend` is on the path of every queue operation.
    pub fn node_of(self, bell: *const u32) -> BellNode {
        // SAFETY: the head is this thread's own.
        BellNode(bell.cast::<u8>().cast_mut().wrapping_offset(-unsafe { (*self.head).futex_offset }))
    }

    /// Points the pending pointer at a bell, a word that is always 0: if the thread dies now, the kernel wakes one sleeper
    /// on it. [`RobustList::unpend`] undoes it; no user code may run in between.
    #[inline(always)]
    pub fn pend(self, bell: BellNode) -> Pending {
        // SAFETY: the head is this thread's own; pending is used by nobody else while we are inside a call.
        unsafe {
            let old = (&raw const (*self.head).pending).read();
            (&raw mut (*self.head).pending).write_volatile(bell.0); // R4
            compiler_fence(Ordering::SeqCst);
            Pending(old)
        }
    }

    /// Clears the pending pointer if it is still at this bell, before the bell's memory may go.
    pub fn forget(self, bell: BellNode) {
        // SAFETY: as in `pend`.
        if unsafe { (&raw const (*self.head).pending).read() } == bell.0 {
            self.unpend(Pending::NONE);
        }
    }

    /// Restores the pending pointer as it was found.
    #[inline(always)]
    pub fn unpend(self, old: Pending) {
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as in `pend`.
        unsafe { (&raw mut (*self.head).pending).write_volatile(old.0) }
    }
}

/// Clears the tag bit by which a list marks priority-inheriting entries.
fn untagged(pointer: *mut u8) -> *mut u8 {
    pointer.map_addr(|a| a & !1)
}

/// Locks and unlocks a private robust pthread mutex, which makes a lazy C library register its head.
fn touch_robust_mutex() {
    let _keep = KeepErrno::new();
    // SAFETY: both objects are initialised by their init calls before any use, on this thread's stack.
    unsafe {
        let mut attr: libc::pthread_mutexattr_t = core::mem::zeroed();
        let mut mutex: libc::pthread_mutex_t = core::mem::zeroed();
        if libc::pthread_mutexattr_init(&raw mut attr) != 0 {
            return;
        }
        libc::pthread_mutexattr_setrobust(&raw mut attr, libc::PTHREAD_MUTEX_ROBUST);
        if libc::pthread_mutex_init(&raw mut mutex, &raw const attr) == 0 {
            if libc::pthread_mutex_lock(&raw mut mutex) == 0 {
                libc::pthread_mutex_unlock(&raw mut mutex);
            }
            libc::pthread_mutex_destroy(&raw mut mutex);
        }
        libc::pthread_mutexattr_destroy(&raw mut attr);
    }
}
