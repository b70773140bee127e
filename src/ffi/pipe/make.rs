//! Making pipes, and finding those that lie in a segment.

use super::{Ends, interproc_pipe_t};
use crate::error::Result;
use crate::ffi::arguments::{output, text};
use crate::ffi::call;
use crate::ffi::handle::{boxed, open};
use crate::ffi::segment::interproc_segment_t;
use crate::pipe;
use core::ffi::{c_char, c_int};

/// Makes two ends.
///
/// # Safety
/// NULL, or writable.
pub(super) unsafe fn make<A: Into<Ends>, B: Into<Ends>>(
    (a, a_name): (*mut interproc_pipe_t, &str),
    (b, b_name): (*mut interproc_pipe_t, &str),
    make: impl FnOnce() -> Result<(A, B)>,
) -> c_int {
    // SAFETY: by the contract.
    call(|| unsafe {
        let places = (output(a, a_name)?, output(b, b_name)?);
        let mut other = None;
        let one = boxed(|| {
            let (a, b) = make()?;
            other = Some(boxed(|| Ok(b))?);
            Ok(a)
        })?;
        places.0.set(one);
        if let Some(other) = other {
            places.1.set(other);
        }
        Ok(())
    })
}

/// Makes a two-way pipe and gives both its ends. Each direction has room for at least `capacity` bytes, eight for each
/// message's header included, and for two messages of `longest` bytes, the longest that goes as a whole.
///
/// It lies in an anonymous segment of its own, for threads of this process and for children that are given an end; up
/// to 32 threads can use it at a time. Both ends are the calling thread's.
///
/// @return 0; EINVAL also for a size out of range; ENOSPC, EMFILE and other limits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_pair(
    capacity: usize,
    longest: usize,
    one: *mut interproc_pipe_t,
    other: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { make((one, "one"), (other, "other"), || pipe::pair(capacity, longest)) }
}

/// Makes a one-way pipe: what is sent into `sender` comes out of `receiver`. Otherwise as interproc_pipe_pair().
///
/// @return As interproc_pipe_pair().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_pipe_one_way(
    capacity: usize,
    longest: usize,
    sender: *mut interproc_pipe_t,
    receiver: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { make((sender, "sender"), (receiver, "receiver"), || pipe::one_way(capacity, longest)) }
}

/// Both ends of the two-way pipe `name` in a segment, found or made: see interproc_pipe_pair(). A pipe whose ends were
/// all closed, or whose holders are dead, is empty and open again. A Rust program reaches it by `Segment::pipe_pair`.
///
/// @return As interproc_segment_object(); EBUSY: a living thread has an end of it; EEXIST also for other sizes; EINVAL
/// also for a size out of range.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_pipe_pair(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    one: *mut interproc_pipe_t,
    other: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        make((one, "one"), (other, "other"), || {
            open(segment)?.pipe_pair(text(name, "name")?, capacity, longest)
        })
    }
}

/// Both ends of the one-way pipe `name` in a segment, found or made. Otherwise as interproc_segment_pipe_pair().
///
/// @return As interproc_segment_pipe_pair().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_pipe_one_way(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    sender: *mut interproc_pipe_t,
    receiver: *mut interproc_pipe_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        make((sender, "sender"), (receiver, "receiver"), || {
            open(segment)?.pipe_one_way(text(name, "name")?, capacity, longest)
        })
    }
}
