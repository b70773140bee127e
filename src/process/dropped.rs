//! Children whose handles were dropped while they ran. They stay ours to reap.
//!
//! They are a stack of pidfds: one compare-exchange pushes, one swap takes the whole stack. There is no lock, because a
//! fork by another thread could copy it into the child while it is held, for ever. If such a fork happens while a thread
//! has taken the stack, the child only loses the memory of the list. In a child the entries' marks say that they are its
//! parent's, and they are thrown away.
#![allow(unsafe_code)]

use super::creator::Creator;
use super::own_pidfd::OwnPidfd;
use crate::fallible;
use crate::sys::parent_death::ParentDeath;
use crate::sys::pidfd;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::boxed::Box;

struct Dropped {
    fd: OwnPidfd,
    /// Of a bound child: it still ends with this process.
    tie: Option<ParentDeath>,
    creator: Option<Creator>,
    next: *mut Dropped,
}

static TOP: AtomicPtr<Dropped> = AtomicPtr::new(ptr::null_mut());

/// Remembers a running child.
pub fn keep(fd: OwnPidfd, tie: Option<ParentDeath>) {
    let creator = Creator::current().ok();
    // Without memory nobody reaps it: it is a zombie from its end until ours.
    if let Ok(child) = fallible::boxed(Dropped { fd, tie, creator, next: ptr::null_mut() }) {
        push(child);
    }
}

fn push(child: Box<Dropped>) {
    let node = Box::into_raw(child);
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

/// Reaps those that have ended and returns how many. With an empty stack it is one relaxed load.
pub fn reap() -> usize {
    // Relaxed: if we miss a new entry, the next call finds it.
    if TOP.load(Ordering::Relaxed).is_null() {
        return 0;
    }
    let mut reaped = 0;
    // R1: acquire, sees the nodes. The whole stack is taken, so there is no ABA.
    let mut at = TOP.swap(ptr::null_mut(), Ordering::Acquire);
    while !at.is_null() {
        // SAFETY: every node came from Box::into_raw, and the swap gave the stack to this thread alone.
        let mut child = unsafe { Box::from_raw(at) };
        at = child.next;
        if !child.creator.is_some_and(Creator::is_me) {
            // A child of our parent. The numbers of its tie may name anything here.
            core::mem::forget(child.tie.take());
            continue;
        }
        match child.fd.get().map_or(Err(libc::EBADF), pidfd::collect) {
            Ok(None) => push(child),
            Ok(Some(_)) => reaped += 1,
            // Reaped elsewhere; or the program has closed the descriptor, and the child cannot be recognised any more.
            Err(_) => {}
        }
    }
    reaped
}
