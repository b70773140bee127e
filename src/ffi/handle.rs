//! Handles: what C has a library's object by. Zero is the handle of nothing.

use super::arguments::{input, output};
use super::error::report;
use super::invalid;
use crate::error::format;
use crate::error::{Error, Result};
use crate::heap::Room;
use core::ffi::{c_int, c_void};
use core::mem::{MaybeUninit, replace};
use core::ptr::null_mut;
use std::boxed::Box;

/// A handle with the object inside, beside a mark that tells whether it is one. It need not be freed.
///
/// # Safety
/// A `repr(C)` array of words.
pub(super) unsafe trait Marked: Sized {
    /// What is inside.
    type Object: 'static;
    const MARK: [u8; 8];
    /// What the C functions call it.
    const NAME: &'static str;
}

/// What is in a [`Marked`] handle.
#[repr(C)]
struct Inside<T> {
    mark: u64,
    object: MaybeUninit<T>,
}

/// A handle of an object.
pub(super) fn marked<H: Marked>(object: H::Object) -> H {
    const {
        assert!(size_of::<Inside<H::Object>>() <= size_of::<H>());
        assert!(align_of::<Inside<H::Object>>() <= align_of::<H>());
    }
    let mut handle = MaybeUninit::<H>::zeroed();
    let inside = Inside { mark: u64::from_le_bytes(H::MARK), object: MaybeUninit::new(object) };
    // SAFETY: it fits, as asserted; any words are a handle.
    unsafe {
        handle.as_mut_ptr().cast::<Inside<H::Object>>().write(inside);
        handle.assume_init()
    }
}

/// What is behind a handle.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero.
#[inline(always)]
pub(super) unsafe fn find<'a, H: Marked>(handle: *const H) -> Result<&'a H::Object> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { handle.cast::<Inside<H::Object>>().as_ref() } {
        // SAFETY: the mark stands beside an object.
        Some(inside) if inside.mark == u64::from_le_bytes(H::MARK) => unsafe {
            Ok(inside.object.assume_init_ref())
        },
        _ => Err(refuse(H::NAME)),
    }
}

/// What is behind a handle, for one thread at a time.
///
/// # Safety
/// As [`find`], and nobody else uses it.
#[inline(always)]
pub(super) unsafe fn find_mut<'a, H: Marked>(handle: *mut H) -> Result<&'a mut H::Object> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { handle.cast::<Inside<H::Object>>().as_mut() } {
        // SAFETY: the mark stands beside an object.
        Some(inside) if inside.mark == u64::from_le_bytes(H::MARK) => unsafe {
            Ok(inside.object.assume_init_mut())
        },
        _ => Err(refuse(H::NAME)),
    }
}

/// Takes the object out: the handle is none any more.
///
/// # Safety
/// As [`find_mut`].
pub(super) unsafe fn take<H: Marked>(handle: *mut H) -> Result<H::Object> {
    // SAFETY: by the contract.
    let object: *const H::Object = unsafe { find_mut(handle) }?;
    // SAFETY: it is one, and after this it is none: the object is read once.
    unsafe {
        handle.cast::<u64>().write(0);
        Ok(object.read())
    }
}

#[cold]
#[inline(never)]
fn refuse(name: &str) -> Error {
    invalid(&format!("{name} is NULL, or no {name}"))
}

/// Asks something of an object that needs no member of the segment.
///
/// # Safety
/// As [`find`]; `out` is NULL or writable.
pub(super) unsafe fn ask<H: Marked, T>(
    handle: *const H,
    out: *mut T,
    answer: impl FnOnce(&H::Object) -> T,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(handle) }.and_then(|object| {
        // SAFETY: by the contract.
        unsafe { output(out, "the place for the answer") }.map(|out| out.set(answer(object)))
    }))
}

/// A handle that points to its object, until it is closed.
///
/// # Safety
/// `repr(C)`; the pointer is the first field, and all the rest may be zero.
pub(super) unsafe trait Boxed: Sized {
    /// What it points to.
    type Object: 'static;
    /// What the C functions call it.
    const NAME: &'static str;
    /// What a closed one is refused with.
    const CLOSED: &'static str;
}

/// The memory of a handle's object.
pub(super) struct Handle<H: Boxed>(Room<H::Object>);

impl<H: Boxed> Handle<H> {
    pub(super) fn room() -> Result<Self> {
        Room::new().map(Handle)
    }

    /// The handle of an object.
    pub(super) fn fill(self, object: impl Into<H::Object>) -> H {
        let object = self.0.fill(object.into());
        let mut handle = MaybeUninit::<H>::zeroed();
        // SAFETY: the pointer is the first field, and the rest may be zero.
        unsafe {
            handle.as_mut_ptr().cast::<*mut c_void>().write(Box::into_raw(object).cast());
            handle.assume_init()
        }
    }
}

/// A handle of an object that `make` makes: its memory is there before, so that nothing is made in vain.
pub(super) fn boxed<H: Boxed, T: Into<H::Object>>(make: impl FnOnce() -> Result<T>) -> Result<H> {
    let room = Handle::room()?;
    Ok(room.fill(make()?))
}

/// What a handle points to.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero, and that nobody closes meanwhile.
pub(super) unsafe fn open<'a, H: Boxed>(handle: *const H) -> Result<&'a H::Object> {
    // SAFETY: by the contract.
    let pointer = unsafe { input(handle.cast::<*mut H::Object>(), H::NAME) }?;
    // SAFETY: made by `boxed` and not yet closed.
    unsafe { pointer.as_ref() }.ok_or_else(|| invalid(H::CLOSED))
}

/// What a handle points to, for one thread at a time.
///
/// # Safety
/// As [`open`], and nobody else uses it.
#[inline(always)]
pub(super) unsafe fn open_mut<'a, H: Boxed>(handle: *const H) -> Result<&'a mut H::Object> {
    // SAFETY: by the contract.
    let pointer = unsafe { input(handle.cast::<*mut H::Object>(), H::NAME) }?;
    // SAFETY: made by `boxed` and not yet closed.
    unsafe { pointer.as_mut() }.ok_or_else(|| invalid(H::CLOSED))
}

/// Takes the object back: the handle is closed.
///
/// # Safety
/// As [`open_mut`].
pub(super) unsafe fn close<H: Boxed>(handle: *mut H) -> Result<H::Object> {
    // SAFETY: by the contract.
    unsafe {
        open_mut(handle)?;
        // Made by `boxed`, not yet closed, and used by nobody else.
        Ok(*Box::from_raw(replace(&mut *handle.cast::<*mut H::Object>(), null_mut())))
    }
}
