//! The queue of messages of any length.

use super::error::{fail, report};
use super::time::deadline;
use super::who::{self, interproc_who_t};
use super::{call, invalid, output};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member};
use crate::queue::{Limit, Popped, RawByteQueue};
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::copy_nonoverlapping;
use libc::{iovec, timespec};

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

/// What is in a handle.
#[repr(C)]
struct Handle {
    mark: u64,
    raw: MaybeUninit<RawByteQueue>,
}

const MARK: u64 = u64::from_le_bytes(*b"ipbytes\0");

const _: () = {
    assert!(size_of::<Handle>() <= size_of::<interproc_byte_queue_t>());
    assert!(align_of::<Handle>() <= align_of::<interproc_byte_queue_t>());
};

impl interproc_byte_queue_t {
    pub(super) fn new(raw: RawByteQueue) -> Self {
        let mut handle = interproc_byte_queue_t { private_: [0; 8] };
        // SAFETY: it fits, as asserted above.
        unsafe {
            (&raw mut handle).cast::<Handle>().write(Handle { mark: MARK, raw: MaybeUninit::new(raw) })
        };
        handle
    }
}

/// The queue behind a handle.
///
/// # Safety
/// NULL, or a handle that was filled by this library or is zero.
#[inline(always)]
unsafe fn find<'a>(queue: *const interproc_byte_queue_t) -> Result<&'a RawByteQueue> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { queue.cast::<Handle>().as_ref() } {
        // SAFETY: the mark stands beside a queue.
        Some(handle) if handle.mark == MARK => Ok(unsafe { handle.raw.assume_init_ref() }),
        _ => Err(invalid("queue is NULL, or no byte queue")),
    }
}

#[inline(always)]
fn me<'a>(queue: &RawByteQueue) -> Result<&'a Member> {
    member::current(queue.ring().address())
}

/// # Safety
/// NULL or a timespec.
unsafe fn until(abstime: *const timespec) -> Result<Limit> {
    // SAFETY: by the contract.
    unsafe { deadline(abstime) }.map(Limit::Until)
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn push(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    length: usize,
    limit: Result<Limit>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| {
        if message.is_null() && length != 0 {
            return Err(invalid("message is NULL"));
        }
        // SAFETY: the record has room for the message, which has `length` bytes by the contract.
        let fill = |room: *mut u8| unsafe { copy_nonoverlapping(message.cast(), room, length) };
        queue.push_with(me(queue)?, length, limit?, |room| {
            if length != 0 {
                fill(room)
            }
        })
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn push_vectored(
    queue: *const interproc_byte_queue_t,
    parts: *const iovec,
    count: usize,
    limit: Result<Limit>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| {
        if parts.is_null() && count != 0 {
            return Err(invalid("parts is NULL"));
        }
        // SAFETY: `count` parts, by the contract.
        let parts = if count == 0 { &[] } else { unsafe { core::slice::from_raw_parts(parts, count) } };
        if parts.iter().any(|part| part.iov_base.is_null() && part.iov_len != 0) {
            return Err(invalid("a part is NULL"));
        }
        let length = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.iov_len));
        let fill = |mut room: *mut u8| {
            for part in parts.iter().filter(|part| part.iov_len != 0) {
                // SAFETY: the record has room for the sum of the parts, and each has its bytes by the contract.
                unsafe {
                    copy_nonoverlapping(part.iov_base.cast(), room, part.iov_len);
                    room = room.add(part.iov_len);
                }
            }
        };
        queue.push_with(me(queue)?, length.ok_or(ErrorKind::TooLarge)?, limit?, fill)
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn pop(
    queue: *const interproc_byte_queue_t,
    limit: Result<Limit>,
    buffer: *mut c_void,
    size: usize,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    let popped = unsafe { find(queue) }.and_then(|queue| {
        if (buffer.is_null() && size != 0) || length.is_null() {
            return Err(invalid("buffer or length is NULL"));
        }
        let drain = |message: *const u8, length: usize| {
            if length != 0 {
                // SAFETY: at most `size` bytes, which the buffer has by the contract.
                unsafe { copy_nonoverlapping(message, buffer.cast(), length) };
            }
            length
        };
        queue.pop_with(me(queue)?, size, limit?, drain)
    });
    match popped {
        Ok(Popped::Taken(len, again)) => {
            // SAFETY: not NULL by the check; writable by the contract.
            unsafe {
                length.write(len);
                if !redelivered.is_null() {
                    redelivered.write(again);
                }
            }
            0
        }
        Ok(Popped::TooLong(needed)) => {
            // SAFETY: as above.
            unsafe { length.write(needed) };
            fail(ErrorKind::TooLarge.into())
        }
        Err(error) => fail(error),
    }
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn reserve(
    queue: *const interproc_byte_queue_t,
    length: usize,
    limit: Result<Limit>,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| {
        // SAFETY: by the contract.
        let room = unsafe { output(room, "room") }?;
        let claim = queue.reserve(me(queue)?, length, limit?)?;
        room.set(queue.room(&claim).0.cast());
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn receive(
    queue: *const interproc_byte_queue_t,
    limit: Result<Limit>,
    message: *mut *const c_void,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| {
        // SAFETY: by the contract.
        let (message, length) = unsafe { (output(message, "message")?, output(length, "length")?) };
        let claim = queue.receive(me(queue)?, limit?)?;
        let (place, len) = queue.message(&claim);
        message.set(place.cast_const().cast());
        length.set(len);
        if !redelivered.is_null() {
            // SAFETY: writable by the contract.
            unsafe { redelivered.write(claim.redelivered()) };
        }
        Ok(())
    }))
}

/// Ends what the calling thread has reserved or received.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn end(
    queue: *const interproc_byte_queue_t,
    end: impl FnOnce(&RawByteQueue, &Member) -> Result<()>,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| end(queue, me(queue)?)))
}

/// Asks something of a queue that needs no member of the segment.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn ask<T>(
    queue: *const interproc_byte_queue_t,
    out: *mut T,
    answer: impl FnOnce(&RawByteQueue) -> T,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find(queue) }.and_then(|queue| {
        // SAFETY: by the contract.
        unsafe { output(out, "the place for the answer") }.map(|out| out.set(answer(queue)))
    }))
}

/// Copies a message of `length` bytes in, waiting for room as long as it takes. An interrupting signal handler runs, and the
/// waiting goes on. `message` may be NULL if `length` is 0.
///
/// @return 0; EMSGSIZE: longer than the queue's messages may be; EPIPE: the queue is closed; EDEADLK: the calling thread itself
/// holds the message or reservation whose room is needed; EINVAL: a NULL, no queue, or its segment is closed; EUSERS: every
/// member slot of the segment is held by a living thread; ENOTSUP: the kernel or sandbox lacks robust lists; EBADMSG: somebody
/// wrote over the queue.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_push(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, message, length, Ok(Limit::ForEver)) }
}

/// As interproc_byte_queue_push() if there is room; never waits.
///
/// @return As interproc_byte_queue_push(), and EAGAIN: there is no room for it.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_trypush(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, message, length, Ok(Limit::Never)) }
}

/// As interproc_byte_queue_push(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it still pushes if there is room.
///
/// @return As interproc_byte_queue_push(), and ETIMEDOUT: no room in time. EINVAL also when abstime is NULL or its nanoseconds
/// are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedpush(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
    length: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, message, length, until(abstime)) }
}

/// Copies one message in that lies in `count` parts, as writev() would; see interproc_byte_queue_push().
///
///     struct iovec parts[2] = {{&head, sizeof head}, {body, length}};
///     rc = interproc_byte_queue_push_vectored(&log, parts, 2);
///
/// @return As interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_push_vectored(
    queue: *const interproc_byte_queue_t,
    parts: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_vectored(queue, parts, count, Ok(Limit::ForEver)) }
}

/// As interproc_byte_queue_push_vectored() if there is room; never waits.
///
/// @return As interproc_byte_queue_trypush().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_trypush_vectored(
    queue: *const interproc_byte_queue_t,
    parts: *const iovec,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_vectored(queue, parts, count, Ok(Limit::Never)) }
}

/// As interproc_byte_queue_push_vectored(), waiting until `abstime` at the latest.
///
/// @return As interproc_byte_queue_timedpush().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedpush_vectored(
    queue: *const interproc_byte_queue_t,
    parts: *const iovec,
    count: usize,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_vectored(queue, parts, count, until(abstime)) }
}

/// Takes the first message out and copies it into `buffer`, which has `size` bytes, waiting for one as long as it takes. `length`
/// becomes the message's length.
///
/// `redelivered` may be NULL. It is set to true when an earlier consumer died with this message, or put it back; otherwise to
/// false.
///
/// @return 0; EMSGSIZE: the buffer is too small: the message stays first, and `length` says how long it is; EPIPE: the queue is
/// closed and drained; EDEADLK: what is first is a reservation of the calling thread; EINVAL, EUSERS, ENOTSUP, EBADMSG: as
/// interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_pop(
    queue: *const interproc_byte_queue_t,
    buffer: *mut c_void,
    size: usize,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, Ok(Limit::ForEver), buffer, size, length, redelivered) }
}

/// As interproc_byte_queue_pop() if there is a message; never waits.
///
/// @return As interproc_byte_queue_pop(), and EAGAIN: there is none.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_trypop(
    queue: *const interproc_byte_queue_t,
    buffer: *mut c_void,
    size: usize,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, Ok(Limit::Never), buffer, size, length, redelivered) }
}

/// As interproc_byte_queue_pop(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it still pops what is there.
///
/// @return As interproc_byte_queue_pop(), and ETIMEDOUT: no message in time. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedpop(
    queue: *const interproc_byte_queue_t,
    abstime: *const timespec,
    buffer: *mut c_void,
    size: usize,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, until(abstime), buffer, size, length, redelivered) }
}

/// Claims room for a message of up to `length` bytes, waiting for it as long as it takes: to be written at `room`, and then
/// given to interproc_byte_queue_commit() or interproc_byte_queue_abort() by the same thread. Until then the consumers wait
/// behind it. If the thread dies before, it comes to nothing, and its room is free again.
///
/// @return As interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_reserve(
    queue: *const interproc_byte_queue_t,
    length: usize,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(queue, length, Ok(Limit::ForEver), room) }
}

/// As interproc_byte_queue_reserve() if there is room; never waits.
///
/// @return As interproc_byte_queue_trypush().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_tryreserve(
    queue: *const interproc_byte_queue_t,
    length: usize,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(queue, length, Ok(Limit::Never), room) }
}

/// As interproc_byte_queue_reserve(), waiting until `abstime` at the latest.
///
/// @return As interproc_byte_queue_timedpush().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedreserve(
    queue: *const interproc_byte_queue_t,
    length: usize,
    abstime: *const timespec,
    room: *mut *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { reserve(queue, length, until(abstime), room) }
}

/// Publishes the first `length` bytes of what the calling thread has reserved at `room`, as one message.
///
/// @return 0; EMSGSIZE: more than was reserved (it stays reserved); EPERM: the calling thread has nothing reserved there; EINVAL:
/// no queue, or no place of a message in it; EUSERS, ENOTSUP: as interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_commit(
    queue: *const interproc_byte_queue_t,
    room: *mut c_void,
    length: usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.commit_at(me, room.cast(), length)) }
}

/// Gives up what the calling thread has reserved at `room`: no message comes of it, and the room is free.
///
/// @return As interproc_byte_queue_commit().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_abort(
    queue: *const interproc_byte_queue_t,
    room: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.abort_at(me, room.cast())) }
}

/// Claims the first message, waiting for one as long as it takes, to be read where it lies: `length` bytes at `message`, until
/// the same thread gives it to interproc_byte_queue_release() or interproc_byte_queue_requeue(). The other consumers go on
/// behind it. If the thread dies before, the next consumer gets it, flagged.
///
/// `redelivered` may be NULL: see interproc_byte_queue_pop().
///
/// @return As interproc_byte_queue_pop(), but for EMSGSIZE.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_receive(
    queue: *const interproc_byte_queue_t,
    message: *mut *const c_void,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(queue, Ok(Limit::ForEver), message, length, redelivered) }
}

/// As interproc_byte_queue_receive() if there is a message; never waits.
///
/// @return As interproc_byte_queue_receive(), and EAGAIN: there is none.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_tryreceive(
    queue: *const interproc_byte_queue_t,
    message: *mut *const c_void,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(queue, Ok(Limit::Never), message, length, redelivered) }
}

/// As interproc_byte_queue_receive(), waiting until `abstime` at the latest.
///
/// @return As interproc_byte_queue_receive(), and ETIMEDOUT: no message in time. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_timedreceive(
    queue: *const interproc_byte_queue_t,
    abstime: *const timespec,
    message: *mut *const c_void,
    length: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { receive(queue, until(abstime), message, length, redelivered) }
}

/// Ends the reading of the message that the calling thread has received at `message`: it is done, and its room is free.
///
/// @return 0; EPERM: the calling thread has received nothing there; EINVAL: no queue, or no place of a message in it; EUSERS,
/// ENOTSUP: as interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_release(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.release_at(me, message.cast())) }
}

/// Puts the message that the calling thread has received at `message` back where it was: the next consumer gets it, flagged.
///
/// @return As interproc_byte_queue_release().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_requeue(
    queue: *const interproc_byte_queue_t,
    message: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { end(queue, |queue, me| queue.put_back_at(me, message.cast())) }
}

/// Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): pushes and reservations
/// are refused from now on, pops take what is there and then return EPIPE. Everybody who waits is told. What is reserved
/// already may be committed, and the consumers wait for it. Closing again is no error.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_close(queue: *const interproc_byte_queue_t) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        end(queue, |queue, me| {
            queue.close(me);
            Ok(())
        })
    }
}

/// Whether the queue was closed by interproc_byte_queue_close().
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_is_closed(
    queue: *const interproc_byte_queue_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_closed, RawByteQueue::is_closed) }
}

/// How many messages are in it, those that are being read included: a snapshot. Counts them one by one.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_len(
    queue: *const interproc_byte_queue_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, len, RawByteQueue::len) }
}

/// Whether there is no message in it: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_is_empty(
    queue: *const interproc_byte_queue_t,
    is_empty: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_empty, RawByteQueue::is_empty) }
}

/// Whether not even the shortest message has room: a snapshot. A longer one may have none before.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_is_full(
    queue: *const interproc_byte_queue_t,
    is_full: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_full, RawByteQueue::is_full) }
}

/// How many bytes of the capacity are not free: a snapshot. Room becomes free in order, behind the oldest message that is unread
/// or being read.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_len_bytes(
    queue: *const interproc_byte_queue_t,
    len_bytes: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, len_bytes, RawByteQueue::len_bytes) }
}

/// The most bytes that were seen to be unread: a sample, taken by producers whenever they have come round the ring and look
/// for room, and now.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_peak(
    queue: *const interproc_byte_queue_t,
    peak: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, peak, RawByteQueue::peak) }
}

/// The bytes of its messages: what was asked for, rounded up, and at least twice the longest message.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_capacity(
    queue: *const interproc_byte_queue_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, capacity, RawByteQueue::capacity) }
}

/// The bytes of the longest message.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_longest(
    queue: *const interproc_byte_queue_t,
    longest: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, longest, |queue| queue.ring().longest()) }
}

/// Who, alive, the others wait for: the producer of the record that is in the consumers' way, else whoever holds the record
/// whose room comes next. A snapshot. A process that is *stopped* (SIGSTOP, a debugger), or that keeps a reservation,
/// shows up here.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_byte_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_blocker(
    queue: *const interproc_byte_queue_t,
    blocker: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(blocker, || {
            let queue = find(queue)?;
            let me = me(queue)?;
            Ok(queue.blocker(me).map(|id| me.domain().who(id)))
        })
    }
}

/// How many living threads are asleep for a message and how many for room: a snapshot; who still spins is not counted.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_queue_waiters(
    queue: *const interproc_byte_queue_t,
    consumers: *mut u32,
    producers: *mut u32,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let queue = find(queue)?;
        let (consumers, producers) = (output(consumers, "consumers")?, output(producers, "producers")?);
        let (for_a_message, for_room) = (queue.waiting_consumers()?, queue.waiting_producers()?);
        consumers.set(for_a_message);
        producers.set(for_room);
        Ok(())
    })
}
