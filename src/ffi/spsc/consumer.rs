//! The consumer: messages out, copied one by one or in batches, or read in place.

use super::{Held, interproc_spsc_consumer_t, interproc_spsc_slots_t, lend};
use crate::ffi::arguments::{copy, output, tell};
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
unsafe fn pop<const FORM: u8>(
    consumer: *mut interproc_spsc_consumer_t,
    wait: Wait,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by the contract; the slot is ours by the seat and published, and as large as the message.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, .. }| unsafe {
        if element.is_null() {
            return Err(invalid("element is NULL"));
        }
        seat.ready(wait)?;
        let lane = seat.raw.lane();
        copy(lane.bytes(seat.raw.next()).as_ptr(), element.cast(), lane.unit());
        tell(redelivered, seat.raw.is_redelivered());
        seat.raw.advance_one();
        Ok(())
    }))
}

/// Takes the next message out and copies it to `element`, waiting for one.
///
/// `redelivered` may be NULL. It becomes true when a consumer that died may have read this message before, otherwise
/// false.
///
/// @return 0; EPIPE: the queue is closed and drained.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_pop(
    consumer: *mut interproc_spsc_consumer_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop::<FOR_EVER>(consumer, Wait::ForEver, element, redelivered) }
}

/// As interproc_spsc_consumer_pop(), but never waits: EAGAIN when the queue is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_trypop(
    consumer: *mut interproc_spsc_consumer_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop::<NEVER>(consumer, Wait::Never, element, redelivered) }
}

/// As interproc_spsc_consumer_pop(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_timedpop(
    consumer: *mut interproc_spsc_consumer_t,
    abstime: *const timespec,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| pop::<TIMED>(consumer, wait, element, redelivered)) }
}

/// Waits for a message until `abstime`, then takes as many as there are, at most `room`, into the array `elements`.
/// `*popped` becomes the number. They are freed as one. `redelivered` may be NULL; it becomes the number of them, the
/// first ones, that a consumer that died may have read before.
///
/// @return 0: at least one came (or room is 0). Otherwise as interproc_spsc_consumer_timedpop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_pop_batch_until(
    consumer: *mut interproc_spsc_consumer_t,
    abstime: *const timespec,
    elements: *mut c_void,
    room: usize,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, .. }| unsafe {
        let (popped, wait) = (output(popped, "popped")?, until(abstime)?);
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let (mut run, mut again) = (0, 0);
        if room > 0 {
            let unit = seat.raw.lane().unit();
            seat.ready(wait)?;
            run = seat.up_to(room)?;
            again = seat.raw.suspects().min(run as u64) as usize;
            let told = seat.raw.reads(run as u64);
            let mut to = elements.cast::<u8>();
            for (index, n) in seat.slots(run).into_iter().filter(|piece| piece.1 > 0) {
                copy_nonoverlapping(seat.raw.lane().bytes(index).as_ptr(), to, n * unit);
                to = to.add(n * unit);
            }
            seat.raw.advance(run as u64);
            if told {
                seat.raw.has_read();
            }
        }
        tell(redelivered, again);
        popped.set(run);
        Ok(())
    }))
}

/// Waits until `abstime` for `count` messages and says where they are, to be read in place; fewer when the queue is
/// closed. None is taken before interproc_spsc_consumer_release(). `redelivered` is as of
/// interproc_spsc_consumer_pop_batch_until().
///
/// @return As interproc_spsc_consumer_timedpop(); EINVAL also for more than the capacity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_borrow_until(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    abstime: *const timespec,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, lent }| unsafe {
        let slots = output(slots, "slots")?;
        seat.ready_for(count, until(abstime)?)?;
        let count = count.min(seat.raw.known() as usize);
        seat.raw.reads(count as u64);
        *lent = Some(count);
        tell(redelivered, seat.raw.suspects().min(count as u64) as usize);
        slots.set(lend(seat.raw.lane(), seat.slots(count)));
        Ok(())
    }))
}

/// Takes the first `count` of the messages that were borrowed last, as one, and ends the borrow; the rest stays.
///
/// @return 0; EMSGSIZE: more than were borrowed, which they still are; EINVAL: none are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_release(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|held| {
        held.end(count)?;
        held.seat.here()?;
        if count != 0 {
            held.seat.raw.advance(count as u64);
        }
        held.seat.raw.has_read();
        Ok(())
    }))
}

/// Frees once every `messages` messages; 1, the least, is the default. What is popped and not freed takes up room, and
/// if this consumer dies, the next one reads it again, flagged. It is freed at the latest before a pop waits or finds
/// nothing, by interproc_spsc_consumer_flush(), and by interproc_spsc_consumer_leave().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_free_every(
    consumer: *mut interproc_spsc_consumer_t,
    messages: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, .. }| {
        seat.here()?;
        seat.raw.free_every(messages as u64);
        Ok(())
    }))
}

/// Frees what was popped and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_flush(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, .. }| seat.flush()))
}

/// Closes the queue itself for good: the producer is refused from now on, what it has published can be popped. A push
/// at the same time either gets in, and is then delivered, or is refused. Closing again is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_close(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, .. }| {
        let me = seat.seated()?;
        seat.raw.close(me);
        Ok(())
    }))
}

/// Frees the rest and leaves the seat to the next consumer; the queue stays open. The handle is cleared in any case.
///
/// @return As interproc_spsc_consumer_flush().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_leave(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(consumer) }.and_then(|mut held| held.seat.flush()))
}
