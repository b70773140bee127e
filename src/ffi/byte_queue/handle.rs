//! What C has the queue by.

use crate::error::Result;
use crate::ffi::handle::Marked;
use crate::member::{self, Member};
use crate::queue::RawByteQueue;

/// A bounded first-in-first-out queue of messages of any length between any processes: many producers, many consumers.
///
/// This is a local handle, obtained by interproc_segment_byte_queue(); the queue itself lies in the segment. The handle need
/// not be freed, may be copied, and may be used by any thread and by forked children. The segment must stay open as
/// long as it is used.
///
///     interproc_byte_queue_t log;
///     int rc = interproc_segment_byte_queue(&segment, "log", 1 << 20, 4096, &log);
///     if (rc == 0)
///         rc = interproc_byte_queue_push(&log, "hello", 5);
///
/// Messages are copied in and out, or written and read where they lie:
///
///     void *room;
///     rc = interproc_byte_queue_reserve(&log, 4096, &room);
///     if (rc == 0) {
///         size_t length = render(room, 4096);
///         rc = interproc_byte_queue_commit(&log, room, length);
///     }
///
///     const void *message;
///     size_t length;
///     rc = interproc_byte_queue_receive(&log, &message, &length, NULL);
///     if (rc == 0) {
///         fwrite(message, 1, length, stdout);
///         rc = interproc_byte_queue_release(&log, message);
///     }
///
/// A message takes its length, rounded up to 64 bytes (more where messages may be longer than about 500 KB or
/// the queue than 1 GiB). Where it lies it is aligned to 64.
///
/// When somebody dies inside an operation, or with a message reserved or received, nobody else is held up: what a producer
/// had not finished is dropped and its room is free, what it had pushed is delivered, what a consumer was reading
/// is delivered again and flagged (`redelivered`). A message that was popped is gone with who popped it. Sleepers are
/// told at once, not by polling.
///
/// A pop sees everything that happened before the push of its message. Messages come out in the order in which their
/// room was claimed, each producer's in the order of its pushes. A push or pop that need not wait makes no system call.
///
/// What is reserved or received belongs to the calling *thread*: another thread, or a child, is refused with EPERM.
#[repr(C)]
pub struct interproc_byte_queue_t {
    /// Not for use. Zero when it is no queue.
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
