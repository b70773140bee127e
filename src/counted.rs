//! [`Counted`] and [`Keep`]: shared ownership, as `Arc`, of a value whose allocation may fail.
#![allow(unsafe_code)]

use crate::error::Result;
use crate::fallible::boxed;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use std::boxed::Box;

#[repr(C)]
struct Allocation<T> {
    head: Head,
    value: T,
}

struct Head {
    count: AtomicUsize,
    free: unsafe fn(NonNull<Head>),
}

/// An owner of a counted value, whatever its type.
pub(crate) struct Keep(NonNull<Head>);

// SAFETY: the value is Send and Sync, by the bound of `Counted::new`; the count is atomic.
unsafe impl Send for Keep {}
// SAFETY: as above.
unsafe impl Sync for Keep {}

impl Keep {
    /// Names it, for [`again`](Self::again).
    pub fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    /// Another owner, unless the last one is gone; `None` also for null.
    ///
    /// # Safety
    /// The value's memory is not freed before this returns.
    pub unsafe fn again(named: *mut c_void) -> Option<Keep> {
        let head = NonNull::new(named.cast::<Head>())?;
        // SAFETY: by the contract.
        let count = unsafe { &head.as_ref().count };
        let more = |count: usize| (1..isize::MAX as usize).contains(&count).then(|| count + 1);
        // Relaxed: as in `clone`.
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Keep(head))
    }
}

impl Clone for Keep {
    fn clone(&self) -> Self {
        // SAFETY: it lives as long as one of its owners.
        let count = unsafe { &self.0.as_ref().count };
        // Relaxed: whoever clones it has it already.
        if count.fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
            std::process::abort(); // as Arc does: so many can only be leaks
        }
        Keep(self.0)
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        // SAFETY: as in `clone`.
        let head = unsafe { self.0.as_ref() };
        // Release, and Acquire in the last: all uses come before its end.
        if head.count.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            let free = head.free;
            // SAFETY: made by `Counted::new` beside this function; no owner is left.
            unsafe { free(self.0) };
        }
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keep")
    }
}

/// An owner of a counted value: as `Arc`, but making one may fail.
pub(crate) struct Counted<T> {
    keep: Keep,
    _value: PhantomData<T>,
}

impl<T: Send + Sync + 'static> Counted<T> {
    pub fn new(value: T) -> Result<Self> {
        unsafe fn free<T>(head: NonNull<Head>) {
            // SAFETY: the head is the first field of what `new` has boxed.
            drop(unsafe { Box::from_raw(head.cast::<Allocation<T>>().as_ptr()) });
        }
        let counted =
            boxed(Allocation { head: Head { count: AtomicUsize::new(1), free: free::<T> }, value })?;
        Ok(Counted { keep: Keep(NonNull::from(Box::leak(counted)).cast()), _value: PhantomData })
    }

    /// An owner without the type.
    pub fn keep(&self) -> Keep {
        self.keep.clone()
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        Counted { keep: self.keep.clone(), _value: PhantomData }
    }
}

impl<T: fmt::Debug> fmt::Debug for Counted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the head is the first field of a counted `T`, which lives as long as its owners.
        unsafe { &self.keep.0.cast::<Allocation<T>>().as_ref().value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_value_ends_with_its_last_owner() {
        let inside = Arc::new(());
        let first = Counted::new(inside.clone()).unwrap();
        let (second, keep) = (first.clone(), first.keep());
        drop(first);
        assert_eq!(Arc::strong_count(&second), 2);
        std::thread::spawn(move || drop(second)).join().unwrap();
        assert_eq!(Arc::strong_count(&inside), 2);
        drop(keep);
        assert_eq!(Arc::strong_count(&inside), 1);
    }
}
