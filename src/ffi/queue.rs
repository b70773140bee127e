//! The bounded queue.

use super::error::report;
use super::time::deadline;
use super::who::{self, interproc_who_t};
use super::{call, invalid, output};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member};
use crate::queue::RawQueue;
use crate::time::Deadline;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::copy_nonoverlapping;
use libc::timespec;

/// A bounded first-in-first-out queue between any processes: many producers, many consumers, messages of a fixed size.
///
/// This is a local handle, obtained by interproc_segment_queue(); the queue itself lies in the segment. The handle need
/// not be freed, may be copied, and may be used by any thread and by forked children. The segment must stay open as
/// long as it is used.
///
///     interproc_queue_t jobs;
///     job_t job = {42};
///     int rc = interproc_segment_queue(&segment, "jobs", sizeof job, 1024, &jobs);
///     if (rc == 0)
///         rc = interproc_queue_push(&jobs, &job);
///
/// When somebody dies inside an operation, nobody else is held up: what a producer had not finished is dropped, what it
/// had pushed is delivered, what a consumer was reading is delivered again and flagged (`redelivered`). A message
/// that a consumer had taken when it died is gone with it. Sleepers are told at once, not by polling.
///
/// A pop sees everything that happened before the push of its message. Messages of one producer come out in its
/// order. A push or pop that need not wait makes no system call.
///
/// Large messages are written and read where they lie: interproc_queue_reserve(), interproc_queue_receive(). A call that
/// could only be served by the caller itself, who has the cell in its hands, returns EDEADLK instead of waiting.
#[repr(C)]
pub struct interproc_queue_t {
    /// Not for use. Zero when it is no queue.
    pub private_: [u64; 8],
}

/// What is in a handle.
#[repr(C)]
struct Handle {
    mark: u64,
    raw: MaybeUninit<RawQueue>,
}

const MARK: u64 = u64::from_le_bytes(*b"ipqueue\0");

const _: () = {
    assert!(size_of::<Handle>() <= size_of::<interproc_queue_t>());
    assert!(align_of::<Handle>() <= align_of::<interproc_queue_t>());
};

impl interproc_queue_t {
    pub(super) fn new(raw: RawQueue) -> Self {
        let mut handle = interproc_queue_t { private_: [0; 8] };
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
pub(super) unsafe fn queue<'a>(queue: *const interproc_queue_t) -> Result<&'a RawQueue> {
    // SAFETY: by the contract; a handle is large enough and aligned.
    match unsafe { queue.cast::<Handle>().as_ref() } {
        // SAFETY: the mark stands beside a queue.
        Some(handle) if handle.mark == MARK => Ok(unsafe { handle.raw.assume_init_ref() }),
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}

#[inline(always)]
pub(super) fn me<'a>(queue: &RawQueue) -> Result<&'a Member> {
    member::current(queue.ring().address())
}

/// Copies a message. Small ones of the usual sizes without a call: memcpy for a size that is not known here costs
/// as much as the rest of a push.
///
/// # Safety
/// As for `copy_nonoverlapping`.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, size: usize) {
    // SAFETY: by the contract.
    unsafe {
        match size {
            8 => copy_nonoverlapping(from, to, 8),
            16 => copy_nonoverlapping(from, to, 16),
            size => copy_nonoverlapping(from, to, size),
        }
    }
}

/// How long an operation may wait. A type for each, so that the compiler makes each function of one piece.
pub(super) trait Wait: Copy {
    /// It does not wait at all.
    const NEVER: bool = false;

    /// # Safety
    /// A timespec or NULL in it.
    unsafe fn limit(self) -> Result<Option<Deadline>> {
        Ok(None)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Never;
#[derive(Clone, Copy)]
pub(super) struct ForEver;
#[derive(Clone, Copy)]
pub(super) struct Until(pub(super) *const timespec);
/// In a batch: kept apart from the single forms, which are the fast ones.
#[derive(Clone, Copy)]
struct Batch<W>(W);

impl Wait for Never {
    const NEVER: bool = true;
}

impl Wait for ForEver {}

impl Wait for Until {
    unsafe fn limit(self) -> Result<Option<Deadline>> {
        // SAFETY: by the contract.
        unsafe { deadline(self.0) }.map(Some)
    }
}

impl<W: Wait> Wait for Batch<W> {
    const NEVER: bool = W::NEVER;
    unsafe fn limit(self) -> Result<Option<Deadline>> {
        // SAFETY: by the contract.
        unsafe { self.0.limit() }
    }
}

/// One message in.
///
/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn push_one<W: Wait>(queue: &RawQueue, me: &Member, element: *const u8, wait: W) -> Result<()> {
    let size = queue.ring().element();
    // SAFETY: the cell is ours and has `size` bytes, as has the caller's message.
    let fill = move |cell: *mut u8| unsafe { copy(element, cell, size) };
    if W::NEVER {
        return queue.try_push_with(me, fill);
    }
    // SAFETY: by the contract.
    queue.push_with(me, unsafe { wait.limit() }?, fill)
}

/// One message out; whether it was redelivered.
///
/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn pop_one<W: Wait>(queue: &RawQueue, me: &Member, element: *mut u8, wait: W) -> Result<bool> {
    let size = queue.ring().element();
    // SAFETY: as in `push_one`.
    let drain = move |cell: *const u8| unsafe { copy(cell, element, size) };
    let ((), redelivered) = if W::NEVER {
        queue.try_pop_with(me, drain)?
    } else {
        // SAFETY: by the contract.
        queue.pop_with(me, unsafe { wait.limit() }?, drain)?
    };
    Ok(redelivered)
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn push<W: Wait>(handle: *const interproc_queue_t, element: *const c_void, wait: W) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { queue(handle) }.and_then(|queue| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        push_one(queue, me(queue)?, element.cast(), wait)
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn pop<W: Wait>(
    handle: *const interproc_queue_t,
    wait: W,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { queue(handle) }.and_then(|queue| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        let again = pop_one(queue, me(queue)?, element.cast(), wait)?;
        if !redelivered.is_null() {
            redelivered.write(again);
        }
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn push_batch<W: Wait>(
    handle: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    wait: W,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { queue(handle) }.and_then(|queue| unsafe {
        let pushed = output(pushed, "pushed")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let me = me(queue)?;
        wait.limit()?;
        let element = |i: usize| elements.cast::<u8>().add(i * queue.ring().element());
        let mut done = 0;
        while done < count {
            match push_one(queue, me, element(done), Batch(wait)) {
                Ok(()) => done += 1,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        pushed.set(done);
        Ok(())
    }))
}

/// # Safety
/// By C's contract of the functions below.
unsafe fn pop_batch<W: Wait>(
    handle: *const interproc_queue_t,
    max: usize,
    wait: W,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { queue(handle) }.and_then(|queue| unsafe {
        let popped = output(popped, "popped")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let me = me(queue)?;
        wait.limit()?;
        let element = |i: usize| elements.cast::<u8>().add(i * queue.ring().element());
        let mut done = 0;
        while done < max {
            // Only the first is waited for.
            let one = match done {
                0 => pop_one(queue, me, element(done), Batch(wait)),
                _ => pop_one(queue, me, element(done), Batch(Never)),
            };
            match one {
                Ok(again) => {
                    if !redelivered.is_null() {
                        redelivered.add(done).write(again);
                    }
                    done += 1;
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        popped.set(done);
        Ok(())
    }))
}

/// Asks something of a queue that needs no member of the segment.
///
/// # Safety
/// By C's contract of the functions below.
pub(super) unsafe fn ask<T>(
    handle: *const interproc_queue_t,
    out: *mut T,
    answer: impl FnOnce(&RawQueue) -> T,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { queue(handle) }.and_then(|queue| {
        // SAFETY: by the contract.
        unsafe { output(out, "the place for the answer") }.map(|out| out.set(answer(queue)))
    }))
}

/// Copies the message at `element` into the queue, waiting for room as long as it takes. An interrupting signal handler
/// runs, and the waiting goes on.
///
/// @return 0; EPIPE: the queue is closed; EINVAL: a NULL, no queue, or its segment is closed; EUSERS: every member slot
/// of the segment is held by a living thread; ENOTSUP: the kernel or sandbox lacks robust lists.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_push(
    queue: *const interproc_queue_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, element, ForEver) }
}

/// Copies the message at `element` into the queue if there is room; never waits.
///
/// @return As interproc_queue_push(), and EAGAIN: the queue is full.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_trypush(
    queue: *const interproc_queue_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, element, Never) }
}

/// Copies the message at `element` into the queue, waiting for room until `abstime` at the latest: an absolute time
/// on CLOCK_MONOTONIC, see interproc_deadline_after(). With a time in the past it still pushes if there is room.
///
/// @return As interproc_queue_push(), and ETIMEDOUT: no room in time. EINVAL also when abstime is NULL or its nanoseconds
/// are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedpush(
    queue: *const interproc_queue_t,
    element: *const c_void,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(queue, element, Until(abstime)) }
}

/// Takes the oldest message out and copies it to `element`, waiting for one as long as it takes.
///
/// `redelivered` may be NULL. It is set to true when an earlier consumer died in the middle of popping this message:
/// its call never returned, so the message was not processed; otherwise to false.
///
/// @return 0; EPIPE: the queue is closed and drained; EINVAL, EUSERS, ENOTSUP: as interproc_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_pop(
    queue: *const interproc_queue_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, ForEver, element, redelivered) }
}

/// As interproc_queue_pop() if there is a message; never waits.
///
/// @return As interproc_queue_pop(), and EAGAIN: the queue is empty.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_trypop(
    queue: *const interproc_queue_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, Never, element, redelivered) }
}

/// As interproc_queue_pop(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it still pops what is there.
///
/// @return As interproc_queue_pop(), and ETIMEDOUT: no message in time. EINVAL also when abstime is NULL or its
/// nanoseconds are not in 0..999999999.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedpop(
    queue: *const interproc_queue_t,
    abstime: *const timespec,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(queue, Until(abstime), element, redelivered) }
}

/// Pushes the `count` messages of the array `elements` in order, waiting for room as long as it takes. Others' messages
/// may come between. Says how many went in: fewer than `count` only when the queue was closed meanwhile.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_queue_push(), and none went in.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_push_batch(
    queue: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(queue, elements, count, ForEver, pushed) }
}

/// As interproc_queue_push_batch(), for as many messages as there is room; never waits.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_queue_trypush(), and none went in.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_trypush_batch(
    queue: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(queue, elements, count, Never, pushed) }
}

/// As interproc_queue_push_batch(), waiting until `abstime` at the latest. Says how many went in until then.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_queue_timedpush(), and none went in.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedpush_batch(
    queue: *const interproc_queue_t,
    elements: *const c_void,
    count: usize,
    abstime: *const timespec,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(queue, elements, count, Until(abstime), pushed) }
}

/// Waits for a message, then takes as many as there are, at most `max`, into the array `elements`. Says how many.
///
/// `redelivered` may be NULL, or an array of `max` flags: see interproc_queue_pop().
///
/// @return 0: at least one came out (or max is 0). Otherwise as interproc_queue_pop().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_pop_batch(
    queue: *const interproc_queue_t,
    max: usize,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(queue, max, ForEver, elements, popped, redelivered) }
}

/// As interproc_queue_pop_batch(); never waits.
///
/// @return 0: at least one came out (or max is 0). Otherwise as interproc_queue_trypop().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_trypop_batch(
    queue: *const interproc_queue_t,
    max: usize,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(queue, max, Never, elements, popped, redelivered) }
}

/// As interproc_queue_pop_batch(), waiting for the first message until `abstime` at the latest.
///
/// @return 0: at least one came out (or max is 0). Otherwise as interproc_queue_timedpop().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_timedpop_batch(
    queue: *const interproc_queue_t,
    max: usize,
    abstime: *const timespec,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(queue, max, Until(abstime), elements, popped, redelivered) }
}

/// Closes the queue itself, for everybody and for good (not just this handle, which needs no closing): pushes are
/// refused from now on, pops take what is there and then return EPIPE. Everybody who waits is told. A push at the same
/// time either gets in, and is then delivered, or is refused. Closing again is no error.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_close(queue: *const interproc_queue_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { self::queue(queue) }.and_then(|queue| {
        queue.close(me(queue)?);
        Ok(())
    }))
}

/// Whether the queue was closed by interproc_queue_close().
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_is_closed(
    queue: *const interproc_queue_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_closed, RawQueue::is_closed) }
}

/// How many messages are in it: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_len(queue: *const interproc_queue_t, len: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, len, |queue| queue.len() as usize) }
}

/// Whether it is empty: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_is_empty(
    queue: *const interproc_queue_t,
    is_empty: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_empty, RawQueue::is_empty) }
}

/// Whether it is full: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_is_full(
    queue: *const interproc_queue_t,
    is_full: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, is_full, RawQueue::is_full) }
}

/// The most messages that it holds.
///
/// @return 0; EINVAL: a NULL, or no queue.
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_capacity(
    queue: *const interproc_queue_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(queue, capacity, |queue| queue.capacity() as usize) }
}

/// Who, alive and in the middle of an operation, the others wait for: a snapshot. A process that is *stopped* (SIGSTOP,
/// a debugger) there holds up those behind it, and shows up here.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_queue_push().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_queue_blocker(
    queue: *const interproc_queue_t,
    blocker: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(blocker, || {
            let queue = self::queue(queue)?;
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
pub unsafe extern "C" fn interproc_queue_waiters(
    queue: *const interproc_queue_t,
    consumers: *mut u32,
    producers: *mut u32,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let queue = self::queue(queue)?;
        let (consumers, producers) = (output(consumers, "consumers")?, output(producers, "producers")?);
        let (for_a_message, for_room) = (queue.waiting_consumers()?, queue.waiting_producers()?);
        consumers.set(for_a_message);
        producers.set(for_room);
        Ok(())
    })
}
