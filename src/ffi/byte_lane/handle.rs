//! The handles of the two seats, and how C takes them.

use crate::ffi::arguments::{answer, text};
use crate::ffi::handle::{Marked, taken_in};
use crate::ffi::segment::interproc_segment_t;
use crate::queue::byte_lane::{RawByteConsumer, RawByteProducer};
use crate::queue::endpoint::Endpoint;
use core::ffi::{c_char, c_int};

/// The one producer of a queue of messages of any length, from this process to its consumer in any other.
///
/// This is a local handle from interproc_segment_byte_producer(); the queue itself lies in the segment. It is the
/// producer's *seat*: nobody else gets one until interproc_byte_producer_leave() or the death of the thread that used
/// it last. Do not copy it. Another thread of the process may go on with it. The segment must stay open as long as it
/// is used.
///
///     interproc_byte_producer_t lines;
///     int rc = interproc_segment_byte_producer(&segment, "lines", 1 << 20, 4096, &lines);
///     if (rc == 0)
///         rc = interproc_byte_producer_push(&lines, "hello", 5);
///     void *place;                                            // or written where it is read:
///     if (rc == 0 && (rc = interproc_byte_producer_reserve_until(&lines, 4096, NULL, &place)) == 0) {
///         ssize_t n = read(0, place, 4096);
///         rc = n > 0 ? interproc_byte_producer_commit(&lines, n) : interproc_byte_producer_abort(&lines);
///     }
///
/// A message takes its length, rounded up to 8 bytes, and 8 more. It lies in one piece; at the end of the ring some
/// room may be left out for that.
///
/// When the producer dies, what it had not committed, or not published, is discarded; all the rest can be read, and the
/// next producer takes the seat over. When the consumer dies, its messages stay.
///
/// The reader of a message sees everything that happened before it was published. A message costs one store to shared
/// memory beside the copy, and no system call unless somebody sleeps.
///
/// **All functions of either seat**: one thread at a time with a handle. EPERM: the handle is a parent process's;
/// ESTALE: the thread that used the handle last has died, and somebody else has taken over; EBADMSG: somebody wrote
/// over the queue.
#[repr(C)]
pub struct interproc_byte_producer_t {
    /// Private. Zero when it is no producer.
    pub private_: [u64; 32],
}

/// The one consumer of a queue of messages of any length: see interproc_byte_producer_t, whose rules are its, too.
///
///     interproc_byte_consumer_t lines;
///     const void *line;
///     size_t len;
///     int rc = interproc_segment_byte_consumer(&segment, "lines", 1 << 20, 4096, &lines);
///     while (rc == 0 && (rc = interproc_byte_consumer_borrow_until(&lines, NULL, &line, &len, NULL)) == 0) {
///         fwrite(line, 1, len, stdout);                       // read where it lies
///         rc = interproc_byte_consumer_release(&lines);
///     }                                                       // EPIPE: closed and drained
///
/// Messages come in the order in which they were pushed, each once. When the consumer dies, the next one takes the seat
/// over and begins with what was not freed: what the dead one may have read is flagged (`redelivered`), with the
/// default settings at most one message. When the producer dies, what it had published can be read, and a consumer that
/// waits goes on waiting for the next producer.
///
/// Headers are checked: whatever a peer writes, no byte outside of the ring is touched. But a peer that breaks the
/// protocol can change a message while it is read in place: copy out what you do not trust, then look at it.
#[repr(C)]
pub struct interproc_byte_consumer_t {
    /// Private. Zero when it is no consumer.
    pub private_: [u64; 32],
}

// SAFETY: an array of words.
unsafe impl Marked for interproc_byte_producer_t {
    type Object = Endpoint<RawByteProducer>;
    const MARK: [u8; 8] = *b"ipbyteP\0";
    const NAME: &'static str = "producer";
}

// SAFETY: as above.
unsafe impl Marked for interproc_byte_consumer_t {
    type Object = Endpoint<RawByteConsumer>;
    const MARK: [u8; 8] = *b"ipbyteC\0";
    const NAME: &'static str = "consumer";
}

/// Finds the queue `name` for messages of any length up to `longest` bytes from one producer to one consumer, or makes
/// it, and takes the producer's seat. The ring has at least `capacity` bytes, and room for two of the longest messages.
/// A Rust program reaches the same one by `Segment::byte_producer`.
///
/// @return As interproc_segment_object(); EBUSY: a living thread has the seat, perhaps the caller; EEXIST also for
/// another capacity or longest message; EINVAL also for a longest message of 4 GiB or more.
///
/// Safe against death.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_byte_producer(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    producer: *mut interproc_byte_producer_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(producer, "producer", || {
            let name = text(name, "name")?;
            taken_in(segment, |s| s.raw_byte_producer(name, capacity, longest).map(Endpoint::new))
        })
    }
}

/// Finds the queue `name`, as interproc_segment_byte_producer() does, or makes it, and takes the consumer's seat.
///
/// @return As interproc_segment_byte_producer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_byte_consumer(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    consumer: *mut interproc_byte_consumer_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        answer(consumer, "consumer", || {
            let name = text(name, "name")?;
            taken_in(segment, |s| s.raw_byte_consumer(name, capacity, longest).map(Endpoint::new))
        })
    }
}
