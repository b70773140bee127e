//! [`Memory`]: memory for a value, asked for before there is the value. std's `Box::new` aborts the program where there is none.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::boxed::Box;

/// Memory for a value that does not exist yet, for a value that must not be made in vain.
pub(crate) struct Memory<T>(NonNull<T>);

impl<T> Memory<T> {
    /// `None`: there is no memory.
    pub fn new() -> Option<Self> {
        const { assert!(size_of::<T>() != 0) };
        // SAFETY: the layout has bytes.
        let place = unsafe { std::alloc::alloc(Layout::new::<T>()) };
        NonNull::new(place.cast()).map(Memory)
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

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`, and given to nobody.
        unsafe { std::alloc::dealloc(self.0.as_ptr().cast(), Layout::new::<T>()) };
    }
}
