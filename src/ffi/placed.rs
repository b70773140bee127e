//! Objects that C places itself, anywhere in a segment: the locks.

use super::error::fail;
use crate::error::{ErrorKind, Result};
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
