//! What a caller passes by pointer, and where it wants its answers.

use super::{call, invalid};
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use core::ffi::{CStr, c_char, c_int, c_void};
use core::marker::PhantomData;
use core::ptr::copy_nonoverlapping;
use core::slice;
use libc::iovec;

/// The error for a pointer that must not be NULL.
#[cold]
#[inline(never)]
fn null(name: &str) -> Error {
    invalid(&format!("{name} is NULL"))
}

/// An object that the caller passed by pointer.
///
/// # Safety
/// NULL, or a valid pointer to a `T` that nobody changes meanwhile.
pub(super) unsafe fn input<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: by the contract.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// A list that the caller passed by pointer and length. An empty one may be NULL.
///
/// # Safety
/// `pointer` is NULL, or `count` readable elements that nobody changes meanwhile.
#[inline]
pub(super) unsafe fn list<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: by the contract.
    unsafe { input(pointer, name) }?;
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(ErrorKind::TooLarge.into());
    }
    // SAFETY: by the contract; not larger than memory can be.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}

/// A message that the caller passed.
///
/// # Safety
/// NULL, or readable for `size` bytes that nobody changes meanwhile.
#[inline]
pub(super) unsafe fn bytes<'a>(message: *const c_void, size: usize, name: &str) -> Result<&'a [u8]> {
    // SAFETY: by the contract.
    unsafe { list(message.cast(), size, name) }
}

/// The parts of a message, in order.
///
/// # Safety
/// NULL, or `count` parts, each of which is NULL or has its bytes, and that nobody changes meanwhile.
pub(super) unsafe fn parts<'a>(
    parts: *const iovec,
    count: usize,
    name: &str,
) -> Result<impl Iterator<Item = &'a [u8]> + Clone> {
    // SAFETY: by the contract.
    let part = |part: &iovec| unsafe { bytes(part.iov_base, part.iov_len, "a part") };
    // SAFETY: by the contract.
    let parts = unsafe { list(parts, count, name) }?;
    parts.iter().try_for_each(|p| part(p).map(drop))?;
    Ok(parts.iter().map(move |p| part(p).unwrap_or_default()))
}

/// A C string that the caller passed.
///
/// # Safety
/// NULL, or a NUL-terminated string that nobody changes meanwhile.
pub(super) unsafe fn text<'a>(string: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: by the contract.
    unsafe { input(string, name) }?;
    // SAFETY: by the contract.
    unsafe { CStr::from_ptr(string) }.to_str().map_err(|_| invalid(&format!("{name} is not UTF-8")))
}

/// A place for an output.
///
/// # Safety
/// NULL, or writable for a `T`; what lies there need not be initialised.
pub(super) unsafe fn output<'a, T>(pointer: *mut T, name: &str) -> Result<Output<'a, T>> {
    if pointer.is_null() {
        return Err(null(name));
    }
    Ok(Output(pointer, PhantomData))
}

/// A checked place for an output.
pub(super) struct Output<'a, T>(*mut T, PhantomData<&'a mut T>);

impl<T> Output<'_, T> {
    pub(super) fn set(self, value: T) {
        // SAFETY: by the contract of `output`.
        unsafe { self.0.write(value) }
    }
}

/// An output that the caller may not want.
///
/// # Safety
/// As [`output`].
#[inline(always)]
pub(super) unsafe fn tell<T>(pointer: *mut T, value: T) {
    if !pointer.is_null() {
        // SAFETY: by the contract.
        unsafe { pointer.write(value) }
    }
}

/// The body of a function that gives one thing and may go through the standard library.
///
/// # Safety
/// As [`output`].
pub(super) unsafe fn answer<T>(pointer: *mut T, name: &str, find: impl FnOnce() -> Result<T>) -> c_int {
    call(|| {
        // SAFETY: by the contract.
        let place = unsafe { output(pointer, name) }?;
        place.set(find()?);
        Ok(())
    })
}

/// Copies a message. Small ones of the usual sizes without a call: memcpy for a size that is not known here costs
/// as much as the rest of a push.
///
/// # Safety
/// As for `copy_nonoverlapping`.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, size: usize) {
    // SAFETY: by the contract.
    unsafe {
        match size {
            8 => copy_nonoverlapping(from, to, 8),
            16 => copy_nonoverlapping(from, to, 16),
            size => copy_nonoverlapping(from, to, size),
        }
    }
}
