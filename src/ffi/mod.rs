//! The C interface: thin functions over the Rust one. Nothing in the crate imports this module.
//!
//! The doc comments here are written for C: `include/interproc.h` is made of them by cbindgen (`tests/c_abi.rs`
//! compares the two, `INTERPROC_BLESS=1` writes the header anew). Each function checks its pointers, calls, and
//! turns the result into a positive errno value; outputs come last and are written only on success.
//!
//! `errno` is left alone. The kernel layer (`sys`) restores it after each call; what goes through the standard
//! library (segments, processes) runs under [`call`], which restores it as a whole.
//!
//! A panic in here would be a bug of ours: `extern "C"` makes it an abort, which is a death, and peers recover
//! from deaths.
#![allow(unsafe_code, non_camel_case_types)]

mod barrier;
mod bounded_semaphore;
mod byte_lane;
mod byte_queue;
mod condvar;
mod error;
mod event;
mod latest;
mod mutex;
mod once;
mod pipe;
mod process;
mod process_ref;
mod queue;
mod queue_in_place;
mod recursive_mutex;
mod rwlock;
mod segment;
mod semaphore;
mod spsc;
mod start;
mod time;
mod who;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::call::KeepErrno;
use core::ffi::{CStr, c_char, c_int};
use error::report;

/// Runs the body of a function that may go through the standard library.
fn call(body: impl FnOnce() -> Result<()>) -> c_int {
    let _errno = KeepErrno::new();
    report(body())
}

/// What a NULL or otherwise impossible argument is answered with.
#[cold]
fn invalid(what: &str) -> Error {
    Error::from(ErrorKind::InvalidInput).with_detail(what)
}

/// An object that the caller passed by pointer.
///
/// # Safety
/// NULL, or a valid pointer to a `T` that nobody changes meanwhile.
unsafe fn input<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: by the contract.
    unsafe { pointer.as_ref() }.ok_or_else(|| invalid(&std::format!("{name} is NULL")))
}

/// A place for an output.
///
/// # Safety
/// NULL, or writable for a `T`; what lies there need not be initialised.
unsafe fn output<'a, T>(pointer: *mut T, name: &str) -> Result<Output<'a, T>> {
    if pointer.is_null() {
        return Err(invalid(&std::format!("{name} is NULL")));
    }
    Ok(Output(pointer, core::marker::PhantomData))
}

/// A checked place for an output.
struct Output<'a, T>(*mut T, core::marker::PhantomData<&'a mut T>);

impl<T> Output<'_, T> {
    fn set(self, value: T) {
        // SAFETY: by the contract of `output`.
        unsafe { self.0.write(value) }
    }
}

/// A C string that the caller passed.
///
/// # Safety
/// NULL, or a NUL-terminated string that nobody changes meanwhile.
unsafe fn text<'a>(string: *const c_char, name: &str) -> Result<&'a str> {
    if string.is_null() {
        return Err(invalid(&std::format!("{name} is NULL")));
    }
    // SAFETY: by the contract.
    unsafe { CStr::from_ptr(string) }.to_str().map_err(|_| invalid(&std::format!("{name} is not UTF-8")))
}
