//! [`Body`]: what jobs and broadcast messages are.
#![allow(unsafe_code)]

use crate::shared::Plain;
use core::mem::MaybeUninit;
use std::vec::Vec;

/// What the messages of a [`Broadcast`](super::Broadcast) and the jobs of a [`WorkQueue`](super::WorkQueue) are: plain data, or bytes
/// of any length (`[u8]`).
pub trait Body {
    /// One that was received.
    type Owned;

    /// Makes one of `len` bytes, which `copy` writes. `None`: there is no memory for it.
    #[doc(hidden)]
    fn read(len: usize, copy: impl FnOnce(*mut u8, usize)) -> Option<Self::Owned>;

    /// Its bytes.
    #[doc(hidden)]
    fn bytes(&self) -> (*const u8, usize);
}

impl<T: Plain> Body for T {
    type Owned = T;

    #[inline(always)]
    fn read(len: usize, copy: impl FnOnce(*mut u8, usize)) -> Option<T> {
        let mut value = MaybeUninit::<T>::uninit();
        if len < size_of::<T>() {
            // A peer has written another length: any bytes are a `T`.
            value = MaybeUninit::zeroed();
            copy(value.as_mut_ptr().cast(), len);
        } else {
            copy(value.as_mut_ptr().cast(), size_of::<T>());
        }
        // SAFETY: written, or zero; any bytes are a `T`.
        Some(unsafe { value.assume_init() })
    }

    #[inline(always)]
    fn bytes(&self) -> (*const u8, usize) {
        (core::ptr::from_ref(self).cast(), size_of::<T>())
    }
}

impl Body for [u8] {
    type Owned = Vec<u8>;

    fn read(len: usize, copy: impl FnOnce(*mut u8, usize)) -> Option<Vec<u8>> {
        let mut bytes = Vec::<u8>::new();
        bytes.try_reserve_exact(len).ok()?;
        copy(bytes.as_mut_ptr(), len);
        // SAFETY: so many bytes were written.
        unsafe { bytes.set_len(len) };
        Some(bytes)
    }

    #[inline(always)]
    fn bytes(&self) -> (*const u8, usize) {
        (self.as_ptr(), self.len())
    }
}
