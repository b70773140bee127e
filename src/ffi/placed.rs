//! Objects that C places itself, anywhere in a segment.
//!
//! They have no handle that could end, so each call asks whether the address lies in a segment that the process has open. For
//! a lock the look-up of the thread's member answers that. Counters and flags need no member and may be used in a signal
//! handler: for them [`open`] does.

use super::error::fail;
use super::invalid;
use crate::error::{Error, ErrorKind, Result};
use crate::member::{self, Member};
use crate::sync::Acquired;
use core::ffi::c_int;

/// The object at an address that was found in a segment.
///
/// # Safety
/// The address lies in an attached segment, and is that of a `T`, which has only atomics inside.
#[inline(always)]
pub(super) unsafe fn at<'a, T>(address: *const T) -> Result<&'a T> {
    if !address.is_aligned() {
        return Err(ErrorKind::InvalidInput.into());
    }
    // SAFETY: mapped by the contract, aligned by the check.
    Ok(unsafe { &*address })
}

/// The object at an address; `None` if it is NULL, misaligned or in no attached segment. A few loads more than nothing,
/// and async-signal-safe.
///
/// # Safety
/// An address in an attached segment is that of a `T`, which has only atomics inside.
#[inline(always)]
pub(super) unsafe fn open<'a, T>(address: *const T) -> Option<&'a T> {
    let is_open = address.is_aligned() && member::is_attached(address.cast());
    // SAFETY: mapped and aligned by the check; the rest by the contract.
    is_open.then(|| unsafe { &*address })
}

/// The body of every `interproc_<type>_init` of such an object: in whatever memory, as it may become the first value of
/// an object in a segment.
///
/// # Safety
/// NULL, misaligned, or memory for a `T` that nobody uses.
pub(super) unsafe fn make<T>(address: *mut T, object: T) -> c_int {
    if address.is_null() || !address.is_aligned() {
        return fail(invalid("NULL or misaligned"));
    }
    // SAFETY: by the contract and the check.
    unsafe { address.write(object) };
    0
}

/// The body of every `interproc_<type>_destroy` of such an object.
///
/// # Safety
/// An address in an attached segment is that of a `T` that nobody uses any more.
pub(super) unsafe fn unmake<T>(address: *mut T, object: T) -> c_int {
    // SAFETY: by the contract.
    match unsafe { open(address) } {
        Some(_) => {
            // SAFETY: as above; mapped and aligned.
            unsafe { address.write(object) };
            0
        }
        None => fail(nothing_there()),
    }
}

/// The error for an address where [`open`] finds nothing.
#[cold]
pub(super) fn nothing_there() -> Error {
    invalid("NULL, misaligned, or in no segment that this process has open")
}

/// The calling thread's member and the object. NULL lies in no segment, so it needs no check of its own.
///
/// # Safety
/// An address in an attached segment is that of a `T`, which has only atomics inside.
#[inline(always)]
pub(super) unsafe fn find<'a, T>(address: *const T) -> Result<(&'a Member, &'a T)> {
    let me = member::current(address.cast())?;
    // SAFETY: in a mapped segment by the look-up; the rest by the contract.
    Ok((me, unsafe { at(address) }?))
}

/// What a lock that may have been its dead owner's returns.
#[inline(always)]
pub(super) fn acquired(result: Result<Acquired>) -> c_int {
    match result {
        Ok(Acquired::Clean) => 0,
        Ok(Acquired::OwnerDied) => fail(ErrorKind::OwnerDied.into()),
        Err(error) => fail(error),
    }
}
