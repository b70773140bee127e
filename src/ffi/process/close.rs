//! The handle itself: its descriptor, and its end.

use super::interproc_process_t;
use crate::ffi::arguments::answer;
use crate::ffi::call;
use crate::ffi::handle::{close, open};
use crate::process::Child;
use core::ffi::c_int;
use std::os::fd::AsRawFd;

/// The child's pidfd, which polls readable when the child has ended. It stays the handle's: do not close it. It is
/// close-on-exec.
///
/// @return 0; EBADF: the program has closed it behind the library's back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_fd(process: *const interproc_process_t, fd: *mut c_int) -> c_int {
    // SAFETY: by C's contract.
    unsafe { answer(fd, "fd", || Ok(open(process)?.pidfd()?.as_raw_fd())) }
}

/// As interproc_process_close(), and a bound child then no longer ends with this process.
///
/// @return As interproc_process_close().
///
/// Not while another thread uses the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_detach(process: *mut interproc_process_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { close(process) }.map(Child::detach))
}

/// Frees the handle. A child that runs goes on running; this library still reaps it: every later fork, join or close of
/// a child by this process does, once it has ended.
///
/// @return 0; EINVAL: closed already.
///
/// Not while another thread uses the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_close(process: *mut interproc_process_t) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { close(process) }.map(drop))
}
