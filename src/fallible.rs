//! Allocations that fail with an error: std's types abort the program instead.

use crate::error::{Error, Result, written};
use crate::memory::Memory;
use std::boxed::Box;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::string::String;
use std::vec::Vec;

/// As `Box::new`.
pub(crate) fn boxed<T>(value: T) -> Result<Box<T>> {
    Ok(Memory::new().ok_or_else(Error::no_memory)?.fill(value))
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
