//! fork, and ending a process.

use super::call::checked;
use core::ffi::{CStr, c_int};

/// libc's fork: 0 in the child, the child's id in the parent.
///
/// # Safety
/// The child has one thread. It must not return into frames that belong to the parent, nor rely on locks that
/// other threads of the parent may have held.
pub unsafe fn fork() -> Result<c_int, i32> {
    // SAFETY: by the contract.
    checked(|| unsafe { libc::fork() })
}

/// Names the calling thread; in a new child, the process. The kernel keeps 15 bytes.
pub fn set_name(name: &CStr) {
    // SAFETY: a C string that outlives the call.
    let _ = checked(|| unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) });
}

/// Ends the process now: no exit handlers, no flushing, no destructors.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: always sound; the call does not return.
    unsafe { libc::_exit(c_int::from(code)) }
}
