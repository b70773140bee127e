//! Allocations that fail with an error: std's types abort the program instead.
#![allow(unsafe_code)]

use crate::error::{Error, Result, written};
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use std::boxed::Box;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::string::String;
use std::vec::Vec;

/// As `Box::new`.
pub(crate) fn boxed<T>(value: T) -> Result<Box<T>> {
    Ok(Room::new()?.fill(value))
}

/// Memory for a value that does not exist yet, for a value that must not be made in vain.
pub(crate) struct Room<T>(NonNull<T>);

impl<T> Room<T> {
    pub fn new() -> Result<Self> {
        const { assert!(size_of::<T>() != 0) };
        // SAFETY: the layout has bytes.
        let place = unsafe { std::alloc::alloc(Layout::new::<T>()) };
        NonNull::new(place.cast()).map(Room).ok_or_else(Error::no_memory)
    }

    pub fn fill(self, value: T) -> Box<T> {
        let place = self.0;
        core::mem::forget(self);
        // SAFETY: allocated by `new` with the layout of a box's, and filled here.
        unsafe {
            place.write(value);
            Box::from_raw(place.as_ptr())
        }
    }
}

impl<T> Drop for Room<T> {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`, and given to nobody.
        unsafe { std::alloc::dealloc(self.0.as_ptr().cast(), Layout::new::<T>()) };
    }
}

/// Room for `more` elements.
pub(crate) fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    list.try_reserve_exact(more).map_err(|_| Error::no_memory())
}

/// As `Vec::push`.
pub(crate) fn push<T>(list: &mut Vec<T>, element: T) -> Result<()> {
    list.try_reserve(1).map_err(|_| Error::no_memory())?;
    list.push(element);
    Ok(())
}

/// As `collect`.
pub(crate) fn collected<T>(elements: impl IntoIterator<Item = T>) -> Result<Vec<T>> {
    all(elements.into_iter().map(Ok))
}

/// As `collect` into a result: all of them, or the first error.
pub(crate) fn all<T>(elements: impl IntoIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let (mut elements, mut list) = (elements.into_iter(), Vec::new());
    reserve(&mut list, elements.size_hint().0)?;
    elements.try_for_each(|element| push(&mut list, element?))?;
    Ok(list)
}

/// A copy.
pub(crate) fn text(of: &str) -> Result<Box<str>> {
    // Of exact capacity: boxing it moves nothing.
    written(format_args!("{of}")).map(String::into_boxed_str)
}

/// A copy.
pub(crate) fn os_text(of: &OsStr) -> Result<OsString> {
    os_text_of(&[of])
}

/// A copy of several parts.
pub(crate) fn os_text_of(parts: &[&OsStr]) -> Result<OsString> {
    let mut copy = Vec::new();
    reserve(&mut copy, parts.iter().map(|part| part.len()).sum())?;
    parts.iter().for_each(|part| copy.extend_from_slice(part.as_bytes()));
    Ok(OsString::from_vec(copy))
}

#[repr(C)]
struct Counted<T> {
    head: Head,
    value: T,
}

struct Head {
    count: AtomicUsize,
    free: unsafe fn(NonNull<Head>),
}

/// One of the owners of something, whatever it is.
pub(crate) struct Keep(NonNull<Head>);

// SAFETY: what is kept is Send and Sync, by the bound of `Shared::new`; the count is atomic.
unsafe impl Send for Keep {}
// SAFETY: as above.
unsafe impl Sync for Keep {}

impl Clone for Keep {
    fn clone(&self) -> Self {
        // SAFETY: alive as long as one of its owners.
        let count = unsafe { &self.0.as_ref().count };
        // Relaxed: who clones has it already.
        if count.fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
            std::process::abort(); // as Arc does: so many can only be leaked
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
            // SAFETY: made by `Shared::new` beside this function; no owner is left.
            unsafe { free(self.0) };
        }
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keep")
    }
}

/// One of the owners of a value. As `Arc`, but that making one may fail.
pub(crate) struct Shared<T> {
    keep: Keep,
    _value: PhantomData<T>,
}

impl<T: Send + Sync + 'static> Shared<T> {
    pub fn new(value: T) -> Result<Self> {
        unsafe fn free<T>(head: NonNull<Head>) {
            // SAFETY: the head is the first field of what `new` has boxed.
            drop(unsafe { Box::from_raw(head.cast::<Counted<T>>().as_ptr()) });
        }
        let counted = boxed(Counted { head: Head { count: AtomicUsize::new(1), free: free::<T> }, value })?;
        Ok(Shared { keep: Keep(NonNull::from(Box::leak(counted)).cast()), _value: PhantomData })
    }

    /// An owner that does not say of what.
    pub fn keep(&self) -> Keep {
        self.keep.clone()
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared { keep: self.keep.clone(), _value: PhantomData }
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the head is the first field of a counted `T`, which lives as long as its owners.
        unsafe { &self.keep.0.cast::<Counted<T>>().as_ref().value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_value_ends_with_its_last_owner() {
        let inside = Arc::new(());
        let first = Shared::new(inside.clone()).unwrap();
        let (second, keep) = (first.clone(), first.keep());
        drop(first);
        assert_eq!(Arc::strong_count(&second), 2);
        std::thread::spawn(move || drop(second)).join().unwrap();
        assert_eq!(Arc::strong_count(&inside), 2);
        drop(keep);
        assert_eq!(Arc::strong_count(&inside), 1);
    }
}
