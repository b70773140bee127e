//! The producer: messages in, copied one by one or in batches, or written in place.

use super::{Held, interproc_spsc_producer_t, interproc_spsc_slots_t, lend};
use crate::ffi::arguments::{copy, output};
use crate::ffi::error::report;
use crate::ffi::handle::{find_mut, take};
use crate::ffi::invalid;
use crate::ffi::time::{FOR_EVER, NEVER, TIMED, timed, until};
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use core::ptr::copy_nonoverlapping;
use libc::timespec;

/// # Safety
/// By C's contract of the functions below.
#[inline(always)]
unsafe fn push<const FORM: u8>(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
    wait: Wait,
) -> c_int {
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

/// Copies the message at `element` into the queue, waiting for room.
///
/// @return 0; EPIPE: the queue is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_push(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push::<FOR_EVER>(producer, element, Wait::ForEver) }
}

/// As interproc_spsc_producer_push(), but never waits: EAGAIN when the queue is full.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_trypush(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { push::<NEVER>(producer, element, Wait::Never) }
}

/// As interproc_spsc_producer_push(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_timedpush(
    producer: *mut interproc_spsc_producer_t,
    element: *const c_void,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| push::<TIMED>(producer, element, wait)) }
}

/// Pushes the `count` messages of the array `elements` in order, waiting for room until `abstime`; each run that finds
/// room is published as one. `*pushed` becomes the number that went in: fewer than `count` when the time is over or the
/// queue was closed meanwhile.
///
/// @return 0: at least one went in (or count is 0). Otherwise as interproc_spsc_producer_timedpush(), and none went in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_push_batch_until(
    producer: *mut interproc_spsc_producer_t,
    elements: *const c_void,
    count: usize,
    abstime: *const timespec,
    pushed: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, .. }| unsafe {
        let (pushed, wait) = (output(pushed, "pushed")?, until(abstime)?);
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let unit = seat.raw.lane().unit();
        let mut done = 0;
        while done < count {
            let run = seat.ready(wait).and_then(|()| seat.up_to(count - done)).and_then(|run| {
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

/// Waits until `abstime` for `count` free slots and says where they are, to be written in place. Nothing is pushed
/// before interproc_spsc_producer_commit(); without it nothing has happened.
///
///     interproc_spsc_slots_t slots;
///     if (interproc_spsc_producer_reserve_until(&samples, 64, NULL, &slots) == 0) {
///         fill(slots.first, slots.first_count);
///         fill(slots.second, slots.second_count);
///         interproc_spsc_producer_commit(&samples, 64);
///     }
///
/// @return As interproc_spsc_producer_timedpush(); EINVAL also for more than the capacity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_reserve_until(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
    abstime: *const timespec,
    slots: *mut interproc_spsc_slots_t,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, lent }| unsafe {
        let slots = output(slots, "slots")?;
        seat.ready_for(count, until(abstime)?)?;
        *lent = Some(count);
        slots.set(lend(seat.raw.lane(), seat.slots(count)));
        Ok(())
    }))
}

/// Pushes the first `count` of the slots that were reserved last, as one, and ends the reservation.
///
/// @return 0; EPIPE: the queue is closed, none is pushed; EMSGSIZE: more than were reserved, which they still are;
/// EINVAL: none are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_commit(
    producer: *mut interproc_spsc_producer_t,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|held| {
        held.end(count)?;
        held.seat.here()?;
        if count == 0 { Ok(()) } else { held.seat.raw.advance(count as u64) }
    }))
}

/// Publishes once every `messages` messages; 1, the least, is the default. What is not published is not seen by the
/// consumer, and lost if this producer dies. It is published at the latest before a push waits or finds the queue full,
/// by interproc_spsc_producer_flush(), and by interproc_spsc_producer_leave().
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
/// @return 0; EPIPE: the queue is closed, and it is lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_flush(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, .. }| seat.flush()))
}

/// Closes the queue itself for good: the consumer takes what is there and is then told EPIPE. Closing again is no
/// error.
///
/// @return 0; EPIPE: the consumer had closed it before what was not published yet, which is lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_close(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(producer) }.and_then(|Held { seat, .. }| {
        let me = seat.seated()?;
        seat.raw.close(me)
    }))
}

/// Publishes the rest and leaves the seat to the next producer; the queue stays open. The handle is cleared in any
/// case.
///
/// @return As interproc_spsc_producer_flush().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_leave(producer: *mut interproc_spsc_producer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(producer) }.and_then(|mut held| held.seat.flush()))
}
