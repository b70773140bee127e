//! Messages that are copied in and out, several at a time.

use super::copied::{pop_one, push_one};
use super::{interproc_queue_t, me};
use crate::ffi::arguments::{output, tell};
use crate::ffi::error::report;
use crate::ffi::handle::find;
use crate::ffi::invalid;
use crate::ffi::time::{BATCH, REST, until};
use core::ffi::{c_int, c_void};
use libc::timespec;

/// Pushes the `count` messages of the array `elements` in order, waiting for room until `abstime`. Other producers'
/// messages may come between. `*pushed` becomes the number that went in: fewer than `count` when the time is over or
/// the queue was closed meanwhile.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_queue_timedpush(), and none went in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_push_batch_until(
    queue: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    abstime: *const timespec,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let pushed = output(pushed, "pushed")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let (me, wait) = (me(queue)?, until(abstime)?);
        let element = |i: usize| elements.cast::<u8>().add(i * queue.ring().element());
        let mut done = 0;
        while done < count {
            match push_one::<BATCH>(queue, me, element(done), wait) {
                Ok(()) => done += 1,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        pushed.set(done);
        Ok(())
    }))
}

/// Waits for a message until `abstime`, then takes as many as there are, at most `room`, into the array `elements`.
/// `*popped` becomes the number.
///
/// `redelivered` may be NULL. It becomes the number of them that are redelivered: see interproc_queue_pop().
///
/// @return 0: at least one came out (or room is 0). Otherwise as interproc_queue_timedpop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_pop_batch_until(
    queue: *const interproc_queue_t,
    abstime: *const timespec,
    elements: *mut c_void,
    room: usize,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find(queue) }.and_then(|queue| unsafe {
        let popped = output(popped, "popped")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let (me, wait) = (me(queue)?, until(abstime)?);
        let element = |i: usize| elements.cast::<u8>().add(i * queue.ring().element());
        let (mut done, mut again, mut steps) = (0, 0, queue.steps());
        while done < room {
            // Only the first is waited for.
            let one = match done {
                0 => pop_one::<BATCH>(queue, me, element(done), wait, None),
                _ => pop_one::<REST>(queue, me, element(done), wait, Some(&mut steps)),
            };
            match one {
                Ok(redelivered) => again += usize::from(redelivered),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            done += 1;
        }
        tell(redelivered, again);
        popped.set(done);
        Ok(())
    }))
}
