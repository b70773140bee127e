//! The queue's handle.

use crate::error::Result;
use crate::ffi::handle::Marked;
use crate::member::{self, Member};
use crate::queue::RawQueue;

/// A bounded first-in-first-out queue between any processes: many producers, many consumers, messages of a fixed size.
///
/// This is a local handle from interproc_segment_queue(); the queue itself lies in the segment. The handle need not be
/// freed, may be copied, and may be used by any thread and by forked children while the segment is open.
///
///     interproc_queue_t jobs;
///     job_t job = {42};
///     int rc = interproc_segment_queue(&segment, "jobs", sizeof job, 1024, &jobs);
///     if (rc == 0)
///         rc = interproc_queue_push(&jobs, &job);
///
/// A death never blocks the others: what a producer had not finished is dropped, what it had pushed is delivered, and
/// what a consumer was reading is delivered again, flagged `redelivered`. Pop is at-most-once: a message that a
/// consumer had taken is lost with it. Sleepers are told of a death at once, not by polling.
///
/// A pop sees everything that happened before the push of its message. The messages of one producer come out in its
/// order. A push or pop that need not wait makes no system call.
///
/// Large messages are written and read in place: interproc_queue_reserve_until(), interproc_queue_borrow_until(). A
/// call that only the caller itself could end, because it holds the cell, returns EDEADLK instead of waiting.
#[repr(C)]
pub struct interproc_queue_t {
    /// Private. Zero when it is no queue.
    pub private_: [u64; 8],
}

// SAFETY: an array of words.
unsafe impl Marked for interproc_queue_t {
    type Object = RawQueue;
    const MARK: [u8; 8] = *b"ipqueue\0";
    const NAME: &'static str = "queue";
}

#[inline(always)]
pub(super) fn me<'a>(queue: &RawQueue) -> Result<&'a Member> {
    member::current(queue.ring().address())
}
