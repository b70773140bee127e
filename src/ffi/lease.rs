//! Until when a handle is good.
//!
//! A handle names a *lease* and a serial number. While the lease has this number, the handle is good. Closing the object
//! moves the number, and all handles that name it, copies included, are refused from then on. Numbers are never given twice
//! and leases are never freed, so it is safe to ask at any time, whatever has become of the segment, of its address, or of
//! the memory of the handle's object. It costs a load and a comparison.
//!
//! | object | its lease ends by |
//! |---|---|
//! | a segment; a process; a pipe's end; a listener; a wait set | its own close |
//! | a queue, a latest value, a barrier, a bounded semaphore | the close of the segment handle that it was found by, whose lease it names |
//! | a seat of a lane | its own leave, or the close of the segment, which ends the leases below its own |
//!
//! An odd number is a lease in use, an even one a free lease. All of it is the process's own memory: a forked child has
//! copies, and what it closes stays good in its parent. No lock is held anywhere in here, so a fork at any moment leaves the
//! child no lock that is never released; at worst it does not reuse the leases that were being passed around.

use crate::error::Result;
use crate::fallible;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::boxed::Box;

/// See the module.
#[derive(Debug)]
pub(super) struct Lease {
    serial: AtomicU64,
    /// The next free one in its pool; of a seat's lease the next one below the same segment's, for good.
    next: AtomicPtr<Lease>,
    /// The leases below it.
    below: AtomicPtr<Lease>,
}

/// A lease under one of its numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    lease: NonNull<Lease>,
    serial: u64,
}

impl Lease {
    pub(super) const fn new() -> Lease {
        Lease {
            serial: AtomicU64::new(0),
            next: AtomicPtr::new(null_mut()),
            below: AtomicPtr::new(null_mut()),
        }
    }

    /// Begins a term of a free lease that is in the caller's hands.
    pub(super) fn begin(&'static self) -> Term {
        // Relaxed: another thread gets the handle by the program's own means.
        let serial = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        debug_assert!(serial % 2 == 1);
        Term { lease: NonNull::from(self), serial }
    }

    /// The term that it is in.
    pub(super) fn current(&'static self) -> Term {
        Term { lease: NonNull::from(self), serial: self.serial.load(Ordering::Relaxed) }
    }

    /// Whether it has this number. Of two threads, one of which closes, the program must keep the order; so Relaxed.
    #[inline(always)]
    pub(super) fn is(&self, serial: u64) -> bool {
        self.serial.load(Ordering::Relaxed) == serial
    }

    /// Ends the term with this number; false if another one has.
    pub(super) fn end(&self, serial: u64) -> bool {
        self.serial.compare_exchange(serial, serial + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A term below this one: it ends with it at the latest.
    pub(super) fn begin_below(&self) -> Result<Term> {
        for lease in self.all_below() {
            let serial = lease.serial.load(Ordering::Relaxed);
            let free = serial % 2 == 0;
            let taken =
                |s| lease.serial.compare_exchange(s, s + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if free && taken(serial) {
                return Ok(Term { lease: NonNull::from(lease), serial: serial + 1 });
            }
        }
        let lease: &'static Lease = Box::leak(fallible::boxed(Lease::new())?);
        let term = lease.begin();
        push(&self.below, lease, lease);
        Ok(term)
    }

    /// Ends all terms below this one.
    pub(super) fn end_below(&self) {
        for lease in self.all_below() {
            let serial = lease.serial.load(Ordering::Relaxed);
            if serial % 2 == 1 {
                lease.end(serial);
            }
        }
    }

    fn all_below(&self) -> impl Iterator<Item = &'static Lease> {
        let mut next = self.below.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: leases are never freed; `next` was written before it was put in the list.
            let lease = unsafe { next.as_ref() }?;
            next = lease.next.load(Ordering::Relaxed);
            Some(lease)
        })
    }
}

impl Term {
    #[inline(always)]
    pub(super) fn is_good(&self) -> bool {
        self.lease().is(self.serial)
    }

    /// Ends it; false if it has ended.
    pub(super) fn end(&self) -> bool {
        self.lease().end(self.serial)
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    #[inline(always)]
    fn lease(&self) -> &'static Lease {
        // SAFETY: leases are never freed.
        unsafe { self.lease.as_ref() }
    }
}

/// Puts a chain of leases in front of a list.
fn push(list: &AtomicPtr<Lease>, first: &'static Lease, last: &'static Lease) {
    let mut head = list.load(Ordering::Relaxed);
    loop {
        last.next.store(head, Ordering::Relaxed);
        let new = core::ptr::from_ref(first).cast_mut();
        match list.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => head = now,
        }
    }
}

/// Free leases of one type of handle.
pub(super) struct Pool(AtomicPtr<Lease>);

impl Pool {
    pub(super) const fn new() -> Pool {
        Pool(AtomicPtr::new(null_mut()))
    }

    /// A free lease, if there is one. The whole list is taken and its rest put back: taking the first one alone could
    /// meet one that was taken and given back meanwhile, with another one behind it. Whoever comes in between makes a
    /// new one.
    pub(super) fn take(&self) -> Option<&'static Lease> {
        // Acquire: what its last user has left behind.
        let first = self.0.swap(null_mut(), Ordering::Acquire);
        // SAFETY: leases are never freed; so below.
        let first = unsafe { first.as_ref() }?;
        let rest = first.next.load(Ordering::Relaxed);
        let put_back =
            |rest| self.0.compare_exchange(null_mut(), rest, Ordering::Release, Ordering::Relaxed).is_ok();
        // SAFETY: as above.
        let Some(rest) = (unsafe { rest.as_ref() }) else { return Some(first) };
        if !put_back(core::ptr::from_ref(rest).cast_mut()) {
            let mut last = rest;
            // SAFETY: as above.
            while let Some(next) = unsafe { last.next.load(Ordering::Relaxed).as_ref() } {
                last = next;
            }
            push(&self.0, rest, last);
        }
        Some(first)
    }

    /// Gives back one whose term has ended.
    pub(super) fn give(&self, lease: &'static Lease) {
        push(&self.0, lease, lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> &'static Lease {
        Box::leak(Box::new(Lease::new()))
    }

    #[test]
    fn a_term_ends_once_and_no_later_one_is_mistaken_for_it() {
        let lease = fresh();
        let first = lease.begin();
        assert!(first.is_good() && first.end());
        let second = lease.begin();
        assert!(second.is_good() && !first.is_good());
        assert!(!first.end(), "ended before");
        assert!(second.is_good());
    }

    #[test]
    fn the_end_of_a_term_ends_those_below_it_and_they_are_used_again() {
        let lease = fresh();
        let (one, other) = (lease.begin_below().unwrap(), lease.begin_below().unwrap());
        assert!(one.end() && other.is_good());
        let again = lease.begin_below().unwrap();
        assert_eq!(again.lease, one.lease, "reused");
        lease.end_below();
        assert!(!one.is_good() && !other.is_good() && !again.is_good());
        lease.end_below();
        let third = lease.begin_below().unwrap();
        assert!(third.is_good());
    }

    #[test]
    fn no_lease_is_given_to_two() {
        static POOL: Pool = Pool::new();
        let made = AtomicU64::new(0);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    let mut held = std::vec::Vec::new();
                    for round in 0..20_000 {
                        let lease = POOL.take().unwrap_or_else(|| {
                            made.fetch_add(1, Ordering::Relaxed);
                            fresh()
                        });
                        // Odd now, and nobody else has made it so.
                        let term = lease.begin();
                        assert!(term.serial() % 2 == 1 && term.is_good());
                        held.push((lease, term));
                        if round % 3 == 0 || held.len() > 8 {
                            for (lease, term) in held.drain(..) {
                                assert!(term.end(), "nobody else has ended it");
                                POOL.give(lease);
                            }
                        }
                    }
                });
            }
        });
        assert!(made.load(Ordering::Relaxed) < 40_000, "they are used again");
    }
}
