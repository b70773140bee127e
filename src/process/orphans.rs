//! Children whose handle was dropped while they ran. They stay ours to reap.
//!
//! A stack of pidfds: push by one compare-exchange, taken whole by one swap. No lock, because a fork by another
//! thread could copy a held lock into the child for ever. Such a fork while a thread has the stack taken costs the
//! child nothing but the memory of the list. In a child the entries are its parent's, by their mark, and they go.
#![allow(unsafe_code)]

use super::creator::Creator;
use super::held::Held;
use crate::heap;
use crate::sys::lifeline::Lifeline;
use crate::sys::pidfd;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::boxed::Box;

struct Orphan {
    fd: Held,
    /// Of a daemon child: it still ends with this process.
    line: Option<Lifeline>,
    creator: Option<Creator>,
    next: *mut Orphan,
}

static TOP: AtomicPtr<Orphan> = AtomicPtr::new(ptr::null_mut());

/// Keeps a running child in mind.
pub fn adopt(fd: Held, line: Option<Lifeline>) {
    let creator = Creator::current().ok();
    // Without memory it is nobody's to reap: a zombie from its end until ours.
    if let Ok(orphan) = heap::boxed(Orphan { fd, line, creator, next: ptr::null_mut() }) {
        push(orphan);
    }
}

fn push(orphan: Box<Orphan>) {
    let node = Box::into_raw(orphan);
    let mut top = TOP.load(Ordering::Relaxed); // Relaxed: only compared; R1 publishes the node.
    loop {
        // SAFETY: the node is ours until the exchange succeeds.
        unsafe { (*node).next = top };
        // R1: release, pairs with the swap in `reap`.
        match TOP.compare_exchange_weak(top, node, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => top = now,
        }
    }
}

/// Reaps those that have ended; says how many. One relaxed load when there are none.
pub fn reap() -> usize {
    // Relaxed: who misses a new entry leaves it to the next call.
    if TOP.load(Ordering::Relaxed).is_null() {
        return 0;
    }
    let mut reaped = 0;
    // R1: acquire, sees the nodes. The whole stack is taken, so there is no ABA.
    let mut at = TOP.swap(ptr::null_mut(), Ordering::Acquire);
    while !at.is_null() {
        // SAFETY: every node came from Box::into_raw, and the swap gave the stack to this thread alone.
        let mut orphan = unsafe { Box::from_raw(at) };
        at = orphan.next;
        if !orphan.creator.is_some_and(Creator::is_me) {
            // A child of our parent. The numbers of its line may name anything here.
            core::mem::forget(orphan.line.take());
            continue;
        }
        match orphan.fd.get().map_or(Err(libc::EBADF), pidfd::collect) {
            Ok(None) => push(orphan),
            Ok(Some(_)) => reaped += 1,
            // Reaped elsewhere; or the program has closed the descriptor, and it cannot be told from others any more.
            Err(_) => {}
        }
    }
    reaped
}
