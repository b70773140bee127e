//! The producer: messages in, copied one by one or in batches, or written where they lie.

use super::{Held, interproc_spsc_producer_t, interproc_spsc_slots_t, lend};
use crate::ffi::arguments::{copy, output};
use crate::ffi::error::report;
use crate::ffi::handle::{find_mut, take};
use crate::ffi::invalid;
use crate::ffi::time::timed;
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use core::ptr::copy_nonoverlapping;
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn push(producer: *mut interproc_spsc_producer_t, element: *const c_void, wait: Wait) -> c_int {
    // SAFETY: by the contract; the slot is ours by the seat, known to be free, and as large as the message.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, .. }| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        seat.ready(wait)?;
        let lane = seat.raw.lane();
        copy(element.cast(), lane.bytes(seat.raw.next()).as_ptr(), lane.unit());
        seat.raw.advance_one()
    }))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn push_batch(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    wait: Wait,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, .. }| unsafe {
        let pushed = output(pushed, "pushed")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let (wait, unit) = (wait, seat.raw.lane().unit());
        let mut done = 0;
        while done < count {
            let run = seat.ready(wait).and_then(|()| seat.room_up_to(count - done)).and_then(|run| {
                let mut from = elements.cast::<u8>().add(done * unit);
                for (index, n) in seat.slots(run).into_iter().filter(|piece| piece.1 > 0) {
                    copy_nonoverlapping(from, seat.raw.lane().bytes(index).as_ptr(), n * unit);
                    from = from.add(n * unit);
                }
                seat.raw.advance(run as u64).map(|()| run)
            });
            match run {
                Ok(run) => done += run,
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
#[inline(never)]
unsafe fn write_chunk(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    wait: Wait,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, lent }| unsafe {
        let slots = output(slots, "slots")?;
        seat.ready_for(count, wait)?;
        *lent = count;
        slots.set(lend(seat.raw.lane(), seat.slots(count)));
        Ok(())
    }))
}

/// Copies the message at `element` into the queue, waiting for room as long as it takes. An interrupting signal handler runs, and
/// the waiting goes on.
///
/// @return 0; EPIPE: the queue is closed; EPERM: the seat is the parent process's; ESTALE: the thread that used the handle last has
/// died, and another producer has taken over; EINVAL: a NULL, no producer, or its segment is closed; EUSERS: every member slot
/// of the segment is held by a living thread; EBADMSG: somebody has written over the queue.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_push(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(producer, element, Wait::ForEver) }
}

/// Copies the message at `element` into the queue if there is room; never waits.
///
/// @return As interproc_spsc_producer_push(), and EAGAIN: the queue is full.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_trypush(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push(producer, element, Wait::Never) }
}

/// Copies the message at `element` into the queue, waiting for room until `abstime` at the latest: an absolute time on
/// CLOCK_MONOTONIC, see interproc_deadline_after(). With a time in the past it still pushes if there is room.
///
/// @return As interproc_spsc_producer_push(), and ETIMEDOUT: no room in time. EINVAL also when abstime is NULL or its nanoseconds
/// are not in 0..999999999.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_timedpush(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push(producer, element, wait)) }
}

/// Pushes the `count` messages of the array `elements` in order, waiting for room as long as it takes; each run that finds room is
/// published as one. Says how many went in: fewer than `count` only when the queue was closed meanwhile.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_spsc_producer_push(), and none went in.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_push_batch(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(producer, elements, count, Wait::ForEver, pushed) }
}

/// As interproc_spsc_producer_push_batch(), for as many messages as there is room; never waits.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_spsc_producer_trypush(), and none went in.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_trypush_batch(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push_batch(producer, elements, count, Wait::Never, pushed) }
}

/// As interproc_spsc_producer_push_batch(), waiting until `abstime` at the latest. Says how many went in until then.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_spsc_producer_timedpush(), and none went in.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_timedpush_batch(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    abstime: *const timespec,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push_batch(producer, elements, count, wait, pushed)) }
}

/// Waits until `count` slots are free and says where they are, to be written in place. Nothing is pushed before
/// interproc_spsc_producer_commit(), and without it nothing has happened.
///
///     interproc_spsc_slots_t slots;
///     if (interproc_spsc_producer_write_chunk(&samples, 64, &slots) == 0) {
///         fill(slots.first, slots.first_count);
///         fill(slots.second, slots.second_count);
///         interproc_spsc_producer_commit(&samples, 64);
///     }
///
/// @return As interproc_spsc_producer_push(); EINVAL also for more than the capacity.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_write_chunk(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { write_chunk(producer, count, Wait::ForEver, slots) }
}

/// As interproc_spsc_producer_write_chunk(), if so many slots are free now.
///
/// @return As interproc_spsc_producer_write_chunk(), and EAGAIN: fewer are free.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_trywrite_chunk(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { write_chunk(producer, count, Wait::Never, slots) }
}

/// As interproc_spsc_producer_write_chunk(), waiting until `abstime` at the latest.
///
/// @return As interproc_spsc_producer_write_chunk(), and ETIMEDOUT: fewer are free in time. EINVAL also for abstime as
/// interproc_spsc_producer_timedpush().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_timedwrite_chunk(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    abstime: *const timespec,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| write_chunk(producer, count, wait, slots)) }
}

/// Pushes the first `count` of the slots that were lent last, as one.
///
/// @return As interproc_spsc_producer_push(); EINVAL also for more than were lent. EPIPE: none is pushed.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_commit(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, lent }| {
        if count > core::mem::take(lent) {
            return Err(invalid("more than were lent"));
        }
        seat.here()?;
        if count == 0 { Ok(()) } else { seat.raw.advance(count as u64) }
    }))
}

/// Publishes by itself every `messages` only, at least 1, which is what a producer begins with. What is not published is not seen by
/// the consumer, and lost if this producer dies; it is published at the latest before a push waits or finds the queue full, by
/// interproc_spsc_producer_flush(), and by interproc_spsc_producer_leave().
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_publish_every(
    producer: *mut interproc_spsc_producer_t,
    messages: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.map(|Held { seat, .. }| seat.raw.publish_every(messages as u64)))
}

/// Publishes what was pushed and not published.
///
/// @return As interproc_spsc_producer_push(). EPIPE: it is lost.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_flush(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, .. }| seat.flush()))
}

/// Closes the queue itself for good: the consumer takes what is there and is then told EPIPE. Closing again is no error.
///
/// @return 0; EPIPE: the consumer had closed it before what was not published yet, which is lost; EPERM, ESTALE, EINVAL, EUSERS: as
/// interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_close(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, .. }| {
        let me = seat.seated()?;
        seat.raw.close(me)
    }))
}

/// Publishes the rest and leaves the seat to the next producer; the queue stays open. The handle is zero afterwards, whatever is
/// returned.
///
/// @return As interproc_spsc_producer_flush().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_leave(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(producer) }.and_then(|mut held| held.seat.flush()))
}
