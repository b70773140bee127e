//! Allocations that fail with an error: std's types abort the program instead.
#![allow(unsafe_code)]

use crate::error::{Error, Result, written};
use core::alloc::Layout;
use core::ptr::NonNull;
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
