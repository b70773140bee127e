//! The byte lane.

use super::error::report;
use super::segment::{self, interproc_segment_t};
use super::time::deadline;
use super::who::{self, interproc_who_t};
use super::{call, invalid, output, text};
use crate::error::{ErrorKind, Result};
use crate::member::view;
use crate::queue::byte_lane::{Patience, RawByteConsumer, RawByteProducer, RecvError, Seated};
use core::ffi::{c_char, c_int, c_void};
use core::iter::once;
use core::mem::MaybeUninit;
use core::slice;
use libc::{iovec, timespec};

/// The one producer of a queue of messages of any length, from this process to whoever is its consumer.
///
/// This is a local handle, obtained by interproc_segment_byte_producer(); the queue itself lies in the segment. **It
/// holds the producer's seat**: nobody else gets one until interproc_byte_producer_leave() or the death of the thread that
/// used it last. It must not be copied, and only one thread at a time may use it; another thread of the process may go on
/// with it. The segment must stay open as long as it is used.
///
///     interproc_byte_producer_t lines;
///     int rc = interproc_segment_byte_producer(&segment, "lines", 1 << 20, 4096, &lines);
///     if (rc == 0)
///         rc = interproc_byte_producer_send(&lines, "hello", 5);
///     void *place;                                            // or written where it is read:
///     if (rc == 0 && (rc = interproc_byte_producer_reserve(&lines, 4096, &place)) == 0) {
///         ssize_t n = read(0, place, 4096);
///         rc = n > 0 ? interproc_byte_producer_commit(&lines, n) : interproc_byte_producer_abort(&lines);
///     }
///
/// A message takes its length, rounded up to 8 bytes, and 8 more. It lies in one piece; at the end of the ring some room
/// may be left out for that.
///
/// When the producer dies, what it had not committed, or not published, is gone as if it had never been; all the rest
/// is received, and the next producer takes the seat over. When the consumer dies, its messages stay.
///
/// Who receives a message sees everything that happened before it was published. A message costs one store to shared
/// memory beside the copy, and no system call unless somebody sleeps. A forked child that uses its copy gets EPERM.
#[repr(C)]
pub struct interproc_byte_producer_t {
    /// Not for use. Zero when it is no producer.
    pub private_: [u64; 24],
}

/// The one consumer of a queue of messages of any length.
///
/// This is a local handle, obtained by interproc_segment_byte_consumer(). **It holds the consumer's seat**: nobody else
/// gets one until interproc_byte_consumer_leave() or the death of the thread that used it last. It must not be copied, and
/// only one thread at a time may use it; another thread of the process may go on with it. The segment must stay open as
/// long as it is used.
///
///     interproc_byte_consumer_t lines;
///     const void *line;
///     size_t len;
///     int rc = interproc_segment_byte_consumer(&segment, "lines", 1 << 20, 4096, &lines);
///     while (rc == 0 && (rc = interproc_byte_consumer_receive(&lines, &line, &len, NULL)) == 0) {
///         fwrite(line, 1, len, stdout);                       // read where it lies
///         rc = interproc_byte_consumer_release(&lines);
///     }                                                       // EPIPE: closed and drained
///
/// Messages come in the order in which they were sent, each once. When the consumer dies, the next one takes the seat over
/// and begins with what was not freed: what the dead may have read is flagged (`redelivered`), with the usual settings at
/// most one message. When the producer dies, what it had published is received, and a consumer that waits goes on
/// waiting for the next producer.
///
/// Headers are checked: whatever a peer writes, no byte outside of the ring is touched. But a peer that breaks the
/// protocol can change a message while it is read in place: copy out what you do not trust, then look at it. A forked
/// child that uses its copy gets EPERM.
#[repr(C)]
pub struct interproc_byte_consumer_t {
    /// Not for use. Zero when it is no consumer.
    pub private_: [u64; 24],
}

/// What is in a handle.
#[repr(C)]
struct ByteHandle<S> {
    mark: u64,
    side: MaybeUninit<Seated<S>>,
}

type Producer = ByteHandle<RawByteProducer>;
type Consumer = ByteHandle<RawByteConsumer>;

const PRODUCES: u64 = u64::from_le_bytes(*b"ipbyteP\0");
const CONSUMES: u64 = u64::from_le_bytes(*b"ipbyteC\0");

const _: () = {
    assert!(size_of::<Producer>() <= size_of::<interproc_byte_producer_t>());
    assert!(align_of::<Producer>() <= align_of::<interproc_byte_producer_t>());
    assert!(size_of::<Consumer>() <= size_of::<interproc_byte_consumer_t>());
    assert!(align_of::<Consumer>() <= align_of::<interproc_byte_consumer_t>());
};

/// # Safety
/// NULL, or a handle that was filled by this library or is zero, which no other thread uses meanwhile.
#[inline(always)]
unsafe fn producer<'a>(handle: *mut interproc_byte_producer_t) -> Result<&'a mut Seated<RawByteProducer>> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { handle.cast::<Producer>().as_mut() } {
        // SAFETY: the mark stands beside a producer.
        Some(handle) if handle.mark == PRODUCES => Ok(unsafe { handle.side.assume_init_mut() }),
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}

/// # Safety
/// As [`producer`].
#[inline(always)]
unsafe fn consumer<'a>(handle: *mut interproc_byte_consumer_t) -> Result<&'a mut Seated<RawByteConsumer>> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { handle.cast::<Consumer>().as_mut() } {
        // SAFETY: the mark stands beside a consumer.
        Some(handle) if handle.mark == CONSUMES => Ok(unsafe { handle.side.assume_init_mut() }),
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}

/// # Safety
/// NULL or a timespec.
unsafe fn until(abstime: *const timespec) -> Result<Patience> {
    // SAFETY: by the contract.
    unsafe { deadline(abstime) }.map(Patience::Until)
}

/// Finds the queue `name` for messages of any length up to `longest` bytes from one producer to one consumer, or makes it,
/// and takes the producer's seat. The ring has at least `capacity` bytes, and room for two of the longest messages. A Rust
/// program reaches the same one by `Segment::byte_producer`.
///
/// @return As interproc_segment_object(); EBUSY: somebody who lives holds the seat, perhaps the caller; EEXIST also for
/// another capacity or longest message; EINVAL also for a longest message of 4 GiB or more.
///
/// Thread-safe, fork-safe and safe against death; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_byte_producer(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    producer: *mut interproc_byte_producer_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let handle = output(producer.cast::<Producer>(), "producer")?;
        let raw = segment::open(segment)?.raw_byte_producer(text(name, "name")?, capacity, longest)?;
        handle.set(ByteHandle { mark: PRODUCES, side: MaybeUninit::new(Seated::new(raw)) });
        Ok(())
    })
}

/// Finds the queue `name`, as interproc_segment_byte_producer() does, or makes it, and takes the consumer's seat.
///
/// @return As interproc_segment_byte_producer().
///
/// Thread-safe, fork-safe and safe against death; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_segment_byte_consumer(
    segment: *const interproc_segment_t,
    name: *const c_char,
    capacity: usize,
    longest: usize,
    consumer: *mut interproc_byte_consumer_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let handle = output(consumer.cast::<Consumer>(), "consumer")?;
        let raw = segment::open(segment)?.raw_byte_consumer(text(name, "name")?, capacity, longest)?;
        handle.set(ByteHandle { mark: CONSUMES, side: MaybeUninit::new(Seated::new(raw)) });
        Ok(())
    })
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn send(
    handle: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
    patience: Result<Patience>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { self::producer(handle) }.and_then(|producer| {
        let message = match message.is_null() {
            true if len > 0 => return Err(invalid("message is NULL")),
            true => &[],
            // SAFETY: by the contract.
            false => unsafe { slice::from_raw_parts(message.cast::<u8>(), len) },
        };
        producer.send(once(message), patience?)
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn send_vectored(
    handle: *mut interproc_byte_producer_t,
    parts: *const iovec,
    count: usize,
    patience: Result<Patience>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { self::producer(handle) }.and_then(|producer| {
        if parts.is_null() && count > 0 {
            return Err(invalid("parts is NULL"));
        }
        // SAFETY: by the contract; each part is NULL and empty, or its bytes.
        let parts = if count == 0 { &[] } else { unsafe { slice::from_raw_parts(parts, count) } };
        if parts.iter().any(|part| part.iov_base.is_null() && part.iov_len > 0) {
            return Err(invalid("a part is NULL"));
        }
        let parts = parts.iter().filter(|part| part.iov_len > 0);
        // SAFETY: as above.
        let bytes = |part: &iovec| unsafe { slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) };
        producer.send(parts.map(bytes), patience?)
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn reserve(
    handle: *mut interproc_byte_producer_t,
    len: usize,
    patience: Result<Patience>,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { self::producer(handle) }.and_then(|producer| {
        // SAFETY: by the contract.
        let place = unsafe { output(place, "place") }?;
        place.set(producer.reserve(len, patience?)?.as_ptr().cast());
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn receive(
    handle: *mut interproc_byte_consumer_t,
    patience: Result<Patience>,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { self::consumer(handle) }.and_then(|consumer| unsafe {
        let (message, len) = (output(message, "message")?, output(len, "len")?);
        let (found, again) = consumer.receive(patience?)?;
        message.set(found.bytes.as_ptr().cast());
        len.set(found.len);
        if !redelivered.is_null() {
            redelivered.write(again);
        }
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn recv_into(
    handle: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    patience: Result<Patience>,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { self::consumer(handle) }.and_then(|consumer| unsafe {
        let len = output(len, "len")?;
        if buffer.is_null() && size > 0 {
            return Err(invalid("buffer is NULL"));
        }
        let (length, again) = consumer.receive_into(buffer.cast(), size, patience?)?;
        len.set(length);
        if length > size {
            return Err(RecvError::too_small(length, size).into());
        }
        if !redelivered.is_null() {
            redelivered.write(again);
        }
        Ok(())
    }))
}

/// Asks something that needs no member of the segment.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn ask<S, T>(
    side: Result<&mut Seated<S>>,
    out: *mut T,
    answer: impl FnOnce(&Seated<S>) -> T,
) -> c_int {
    report(side.and_then(|side| {
        // SAFETY: by the contract.
        unsafe { output(out, "the place for the answer") }.map(|out| out.set(answer(side)))
    }))
}

/// Copies the message of `len` bytes at `message` into the queue, waiting for room as long as it takes. An interrupting signal
/// handler runs, and the waiting goes on. An empty message is one, too.
///
/// @return 0; EMSGSIZE: longer than the longest message of the queue; EPIPE: the queue is closed; it was not sent, nor what
/// was not published yet; EPERM: the handle is a parent process's; ESTALE: the thread that used the handle last died, and
/// another producer has taken over; EBADMSG: somebody wrote over the queue; EINVAL: a NULL, no producer, or its segment is
/// closed; EUSERS: every member slot of the segment is held by a living thread; ENOTSUP: the kernel or sandbox lacks robust
/// lists.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_send(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(producer, message, len, Ok(Patience::ForEver)) }
}

/// Copies a message into the queue if there is room; never waits.
///
/// @return As interproc_byte_producer_send(), and EAGAIN: there is no room.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_trysend(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(producer, message, len, Ok(Patience::Never)) }
}

/// Copies a message into the queue, waiting for room until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it is still sent if there is room.
///
/// @return As interproc_byte_producer_send(), and ETIMEDOUT: no room in time. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_timedsend(
    producer: *mut interproc_byte_producer_t,
    message: *const c_void,
    len: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send(producer, message, len, until(abstime)) }
}

/// Sends one message whose parts lie in `count` places, waiting for room as long as it takes.
///
/// @return As interproc_byte_producer_send().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_send_vectored(
    producer: *mut interproc_byte_producer_t,
    parts: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send_vectored(producer, parts, count, Ok(Patience::ForEver)) }
}

/// Sends one message whose parts lie in `count` places, if there is room; never waits.
///
/// @return As interproc_byte_producer_trysend().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_trysend_vectored(
    producer: *mut interproc_byte_producer_t,
    parts: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send_vectored(producer, parts, count, Ok(Patience::Never)) }
}

/// Sends one message whose parts lie in `count` places, waiting for room until `abstime` at the latest.
///
/// @return As interproc_byte_producer_timedsend().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_timedsend_vectored(
    producer: *mut interproc_byte_producer_t,
    parts: *const iovec,
    count: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { send_vectored(producer, parts, count, until(abstime)) }
}

/// Reserves room for a message of at most `len` bytes, to be written at `*place`, waiting as long as it takes. It is sent by
/// interproc_byte_producer_commit(), given back by interproc_byte_producer_abort(), or by the next reserve or send. What is
/// in it at first is left over from older messages. A forked child must not write there.
///
/// @return As interproc_byte_producer_send().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_reserve(
    producer: *mut interproc_byte_producer_t,
    len: usize,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(producer, len, Ok(Patience::ForEver), place) }
}

/// Reserves room for a message if there is any; never waits.
///
/// @return As interproc_byte_producer_reserve(), and EAGAIN: there is no room.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_tryreserve(
    producer: *mut interproc_byte_producer_t,
    len: usize,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(producer, len, Ok(Patience::Never), place) }
}

/// Reserves room for a message, waiting until `abstime` at the latest.
///
/// @return As interproc_byte_producer_reserve(), and ETIMEDOUT: no room in time. EINVAL also for a bad abstime.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_timedreserve(
    producer: *mut interproc_byte_producer_t,
    len: usize,
    abstime: *const timespec,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(producer, len, until(abstime), place) }
}

/// Sends the first `len` bytes of what was reserved.
///
/// @return 0; EINVAL also when nothing is reserved, or less; then nothing is reserved any more. EPIPE, EPERM, ESTALE, EUSERS,
/// ENOTSUP: as interproc_byte_producer_send(); it was not sent.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_commit(
    producer: *mut interproc_byte_producer_t,
    len: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::producer(producer) }.and_then(|producer| producer.commit(len)))
}

/// Gives back what was reserved: nothing has happened.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_abort(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::producer(producer) }.map(|producer| producer.abort()))
}

/// Publishes by itself only when so many bytes (headers included) have gathered, instead of with every message: for many short
/// ones. Until then the consumer sees nothing, and as much can be lost by a death. A wait for room, EAGAIN for want of it,
/// interproc_byte_producer_flush(), _close() and _leave() publish, too. What has gathered is published now.
///
/// @return As interproc_byte_producer_flush().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_publish_every(
    producer: *mut interproc_byte_producer_t,
    bytes: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::producer(producer) }.and_then(|producer| producer.publish_every(bytes)))
}

/// Publishes what was sent and not published.
///
/// @return 0; EPIPE: the queue is closed; it is lost, as nobody will read it; EPERM, ESTALE, EINVAL, EUSERS, ENOTSUP: as
/// interproc_byte_producer_send().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_flush(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::producer(producer) }.and_then(|producer| producer.flush()))
}

/// Closes the queue itself, for good: what was sent can still be received, then the consumer gets EPIPE.
///
/// @return As interproc_byte_producer_flush(). EPIPE if it was closed before what was not published yet.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_close(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::producer(producer) }.and_then(|producer| producer.close()))
}

/// Publishes what was sent, gives back what was reserved, and leaves the seat. The queue and its messages stay. The handle is
/// none any more, whatever is returned.
///
/// @return 0; EPERM: the handle is a parent process's, whose seat is untouched; ESTALE: another producer has taken over; EINVAL:
/// a NULL, or no producer; EUSERS, ENOTSUP: the seat is free when the thread that used the handle last ends.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_leave(producer: *mut interproc_byte_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::producer(producer) }.and_then(|side| {
        let mine = side.me().map(drop);
        side.leave();
        // SAFETY: it was one; now it is none.
        unsafe { (&raw mut (*producer.cast::<Producer>()).mark).write(0) };
        mine
    }))
}

/// Waits for the next message as long as it takes, and says where it lies and how long it is. It stays there until
/// interproc_byte_consumer_release(); without that it is the next one again. A signal handler that interrupts runs, and the
/// waiting goes on.
///
/// `redelivered` may be NULL. It is set to true when a consumer died that may have read this message, otherwise to false.
///
/// @return 0; EPIPE: closed and drained; EBADMSG: a header or a count that cannot be: somebody wrote over the queue; EPERM: the
/// handle is a parent process's; ESTALE: the thread that used the handle last died, and another consumer has taken over;
/// EINVAL: a NULL, no consumer, or its segment is closed; EUSERS, ENOTSUP: as interproc_byte_producer_send().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_receive(
    consumer: *mut interproc_byte_consumer_t,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(consumer, Ok(Patience::ForEver), message, len, redelivered) }
}

/// Gives the next message if there is one; never waits.
///
/// @return As interproc_byte_consumer_receive(), and EAGAIN: there is none.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_tryreceive(
    consumer: *mut interproc_byte_consumer_t,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(consumer, Ok(Patience::Never), message, len, redelivered) }
}

/// Waits for the next message until `abstime` at the latest.
///
/// @return As interproc_byte_consumer_receive(), and ETIMEDOUT: none in time. EINVAL also for a bad abstime.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_timedreceive(
    consumer: *mut interproc_byte_consumer_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(consumer, until(abstime), message, len, redelivered) }
}

/// Ends the message that was received last: its room is free. Without one it does nothing.
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS, ENOTSUP: as interproc_byte_consumer_receive().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_release(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::consumer(consumer) }.and_then(|consumer| consumer.release()))
}

/// Copies the next message to `buffer`, which has room for `size` bytes, waiting for one as long as it takes; and says how
/// long it is.
///
/// `redelivered` may be NULL; see interproc_byte_consumer_receive().
///
/// @return As interproc_byte_consumer_receive(), and EMSGSIZE: the message is longer than `size`. Then `len` is set, too, and
/// the message stays where it is.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_recv_into(
    consumer: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv_into(consumer, buffer, size, Ok(Patience::ForEver), len, redelivered) }
}

/// Copies the next message to `buffer` if there is one; never waits.
///
/// @return As interproc_byte_consumer_recv_into(), and EAGAIN: there is none.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_tryrecv_into(
    consumer: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv_into(consumer, buffer, size, Ok(Patience::Never), len, redelivered) }
}

/// Copies the next message to `buffer`, waiting for one until `abstime` at the latest.
///
/// @return As interproc_byte_consumer_recv_into(), and ETIMEDOUT: none in time. EINVAL also for a bad abstime.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_timedrecv_into(
    consumer: *mut interproc_byte_consumer_t,
    buffer: *mut c_void,
    size: usize,
    abstime: *const timespec,
    len: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { recv_into(consumer, buffer, size, until(abstime), len, redelivered) }
}

/// Frees by itself only when so many bytes (headers included) were read, instead of with every message: for many short ones.
/// Until then the producer has less room, and as much may be read again, and is flagged, after a death. A wait, EAGAIN for
/// want of a message, interproc_byte_consumer_flush() and _leave() free, too. At most the capacity.
///
/// @return As interproc_byte_consumer_release().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_free_every(
    consumer: *mut interproc_byte_consumer_t,
    bytes: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::consumer(consumer) }.and_then(|consumer| consumer.free_every(bytes)))
}

/// Frees what was read and not freed.
///
/// @return As interproc_byte_consumer_release().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_flush(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::consumer(consumer) }.and_then(|consumer| consumer.flush()))
}

/// Closes the queue itself, for good: the producer is refused from now on, what is there can be received. A message that is
/// being published meanwhile is either received or refused.
///
/// @return As interproc_byte_consumer_release().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_close(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::consumer(consumer) }.and_then(|consumer| consumer.close()))
}

/// Frees what was read and leaves the seat. What was not read stays in the queue. The handle is none any more, whatever is
/// returned.
///
/// @return As interproc_byte_producer_leave().
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_leave(consumer: *mut interproc_byte_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::consumer(consumer) }.and_then(|side| {
        let mine = side.me().map(drop);
        side.leave();
        // SAFETY: it was one; now it is none.
        unsafe { (&raw mut (*consumer.cast::<Consumer>()).mark).write(0) };
        mine
    }))
}

/// Whether the queue was closed, by either side.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_is_closed(
    producer: *mut interproc_byte_producer_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::producer(producer), is_closed, |side| side.lane().is_closed()) }
}

/// The ring's bytes, headers included: at least what was asked for, and twice what the longest message takes.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_capacity(
    producer: *mut interproc_byte_producer_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::producer(producer), capacity, |side| side.capacity()) }
}

/// The longest message, in bytes.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_longest(
    producer: *mut interproc_byte_producer_t,
    longest: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::producer(producer), longest, |side| side.longest()) }
}

/// The bytes in use, headers and pads included: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_len_bytes(
    producer: *mut interproc_byte_producer_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::producer(producer), len, |side| side.len_bytes()) }
}

/// The most bytes in use that the producer has seen when it looked how much the consumer has freed, which it does only when
/// it seems to run out of room.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_peak(
    producer: *mut interproc_byte_producer_t,
    peak: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::producer(producer), peak, |side| side.peak()) }
}

/// Who holds the consumer's seat, dead or alive: a snapshot. Nobody while it is vacant.
///
/// @return 0; EINVAL: a NULL, no producer, or its segment is closed.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_partner(
    producer: *mut interproc_byte_producer_t,
    partner: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(partner, || {
            let side = self::producer(producer)?;
            view::who(side.lane().address(), side.partner())
        })
    }
}

/// Whether the queue was closed, by either side.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_is_closed(
    consumer: *mut interproc_byte_consumer_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::consumer(consumer), is_closed, |side| side.lane().is_closed()) }
}

/// The ring's bytes, headers included: at least what was asked for, and twice what the longest message takes.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_capacity(
    consumer: *mut interproc_byte_consumer_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::consumer(consumer), capacity, |side| side.capacity()) }
}

/// The longest message, in bytes.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_longest(
    consumer: *mut interproc_byte_consumer_t,
    longest: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::consumer(consumer), longest, |side| side.longest()) }
}

/// The bytes in use, headers and pads included: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_len_bytes(
    consumer: *mut interproc_byte_consumer_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::consumer(consumer), len, |side| side.len_bytes()) }
}

/// The most bytes in use that the producer has seen when it looked how much the consumer has freed, which it does only when
/// it seems to run out of room.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_peak(
    consumer: *mut interproc_byte_consumer_t,
    peak: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(self::consumer(consumer), peak, |side| side.peak()) }
}

/// Who holds the producer's seat, dead or alive: a snapshot. Nobody while it is vacant.
///
/// @return 0; EINVAL: a NULL, no consumer, or its segment is closed.
///
/// Thread-safe (one thread at a time with this handle); not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_partner(
    consumer: *mut interproc_byte_consumer_t,
    partner: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(partner, || {
            let side = self::consumer(consumer)?;
            view::who(side.lane().address(), side.partner())
        })
    }
}
