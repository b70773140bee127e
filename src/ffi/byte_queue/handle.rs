//! The queue's handle.

use crate::error::Result;
use crate::ffi::handle::Marked;
use crate::member::{self, Member};
use crate::queue::RawByteQueue;

/// A bounded first-in-first-out queue of messages of any length between any processes: many producers, many consumers.
///
/// This is a local handle from interproc_segment_byte_queue(); the queue itself lies in the segment. The handle need
/// not be freed, may be copied, and may be used by any thread and by forked children while the segment is open.
///
///     interproc_byte_queue_t log;
///     int rc = interproc_segment_byte_queue(&segment, "log", 1 << 20, 4096, &log);
///     if (rc == 0)
///         rc = interproc_byte_queue_push(&log, "hello", 5);
///
/// Messages are copied in and out, or written and read in place:
///
///     void *room;
///     rc = interproc_byte_queue_reserve_until(&log, 4096, NULL, &room);
///     if (rc == 0) {
///         size_t len = render(room, 4096);
///         rc = interproc_byte_queue_commit(&log, room, len);
///     }
///
///     const void *message;
///     size_t len;
///     rc = interproc_byte_queue_borrow_until(&log, NULL, &message, &len, NULL);
///     if (rc == 0) {
///         fwrite(message, 1, len, stdout);
///         rc = interproc_byte_queue_release(&log, message);
///     }
///
/// A message takes its length, rounded up to 64 bytes (more where messages may be longer than about 500 KB or the queue
/// than 1 GiB). In place it is aligned to 64.
///
/// A death never blocks the others: what a producer had not finished is discarded and its room reclaimed, what it had
/// pushed is delivered, what a consumer was reading is delivered again, flagged `redelivered`. A message that was
/// popped is lost with its consumer. Sleepers are told at once, not by polling.
///
/// A pop sees everything that happened before the push of its message. Messages come out in the order in which their
/// room was claimed, each producer's in the order of its pushes. A push or pop that need not wait makes no system call.
///
/// What is reserved or borrowed belongs to the calling *thread*: another thread, or a child, is refused with EPERM.
/// EBADMSG from any function: somebody wrote over the queue.
#[repr(C)]
pub struct interproc_byte_queue_t {
    /// Private. Zero when it is no queue.
    pub private_: [u64; 8],
}

// SAFETY: an array of words.
unsafe impl Marked for interproc_byte_queue_t {
    type Object = RawByteQueue;
    const MARK: [u8; 8] = *b"ipbytes\0";
    const NAME: &'static str = "queue";
}

#[inline(always)]
pub(super) fn me<'a>(queue: &RawByteQueue) -> Result<&'a Member> {
    member::current(queue.ring().address())
}
