//! The consumer: messages out, copied one by one or in batches, or read where they lie.

use super::{Held, interproc_spsc_consumer_t, interproc_spsc_slots_t, lend};
use crate::ffi::arguments::{copy, output, tell};
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
unsafe fn pop(
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

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn pop_batch(
    consumer: *mut interproc_spsc_consumer_t,
    max: usize,
    wait: Wait,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, .. }| unsafe {
        let popped = output(popped, "popped")?;
        if elements.is_null() {
            return Err(invalid("elements is NULL"));
        }
        let (mut run, mut again) = (0, 0);
        if max > 0 {
            let unit = seat.raw.lane().unit();
            seat.ready(wait)?;
            run = seat.there_up_to(max)?;
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

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn read_chunk(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    wait: Wait,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by the contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, lent }| unsafe {
        let slots = output(slots, "slots")?;
        seat.ready_for(count, wait)?;
        let count = count.min(seat.raw.known() as usize);
        seat.raw.reads(count as u64);
        *lent = count;
        tell(redelivered, seat.raw.suspects().min(count as u64) as usize);
        slots.set(lend(seat.raw.lane(), seat.slots(count)));
        Ok(())
    }))
}

/// Takes the next message out and copies it to `element`, waiting for one as long as it takes.
///
/// `redelivered` may be NULL. It is set to true when a consumer that died may have read this message before, otherwise to false.
///
/// @return 0; EPIPE: the queue is closed and drained; EPERM, ESTALE, EINVAL, EUSERS, EBADMSG: as interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_pop(
    consumer: *mut interproc_spsc_consumer_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(consumer, Wait::ForEver, element, redelivered) }
}

/// As interproc_spsc_consumer_pop() if there is a message; never waits.
///
/// @return As interproc_spsc_consumer_pop(), and EAGAIN: the queue is empty.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_trypop(
    consumer: *mut interproc_spsc_consumer_t,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop(consumer, Wait::Never, element, redelivered) }
}

/// As interproc_spsc_consumer_pop(), waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it still pops what is there.
///
/// @return As interproc_spsc_consumer_pop(), and ETIMEDOUT: no message in time. EINVAL also when abstime is NULL or its nanoseconds
/// are not in 0..999999999.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_timedpop(
    consumer: *mut interproc_spsc_consumer_t,
    abstime: *const timespec,
    element: *mut c_void,
    redelivered: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| pop(consumer, wait, element, redelivered)) }
}

/// Waits for a message, then takes as many as there are, at most `max`, into the array `elements`; `popped` says how many. They are
/// freed as one. `redelivered` may be NULL; it says how many of them, the first ones, a consumer that died may have read before.
///
/// @return 0: at least one came (or max is 0). Otherwise as interproc_spsc_consumer_pop().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_pop_batch(
    consumer: *mut interproc_spsc_consumer_t,
    max: usize,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(consumer, max, Wait::ForEver, elements, popped, redelivered) }
}

/// As interproc_spsc_consumer_pop_batch(), for what is there now; never waits.
///
/// @return 0: at least one came (or max is 0). Otherwise as interproc_spsc_consumer_trypop().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_trypop_batch(
    consumer: *mut interproc_spsc_consumer_t,
    max: usize,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { pop_batch(consumer, max, Wait::Never, elements, popped, redelivered) }
}

/// As interproc_spsc_consumer_pop_batch(), waiting until `abstime` at the latest.
///
/// @return 0: at least one came (or max is 0). Otherwise as interproc_spsc_consumer_timedpop().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_timedpop_batch(
    consumer: *mut interproc_spsc_consumer_t,
    max: usize,
    abstime: *const timespec,
    elements: *mut c_void,
    popped: *mut usize,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| pop_batch(consumer, max, wait, elements, popped, redelivered)) }
}

/// Waits until there are `count` messages and says where they are, to be read in place; fewer when the queue is closed. None is taken
/// before interproc_spsc_consumer_commit(). `redelivered` is as of interproc_spsc_consumer_pop_batch().
///
/// @return As interproc_spsc_consumer_pop(); EINVAL also for more than the capacity.
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_read_chunk(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { read_chunk(consumer, count, Wait::ForEver, slots, redelivered) }
}

/// As interproc_spsc_consumer_read_chunk(), if so many messages are there now.
///
/// @return As interproc_spsc_consumer_read_chunk(), and EAGAIN: fewer are there.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_tryread_chunk(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { read_chunk(consumer, count, Wait::Never, slots, redelivered) }
}

/// As interproc_spsc_consumer_read_chunk(), waiting until `abstime` at the latest.
///
/// @return As interproc_spsc_consumer_read_chunk(), and ETIMEDOUT: fewer are there in time. EINVAL also for abstime as
/// interproc_spsc_consumer_timedpop().
///
/// One thread at a time; fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_timedread_chunk(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
    abstime: *const timespec,
    slots: *mut interproc_spsc_slots_t,
    redelivered: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| read_chunk(consumer, count, wait, slots, redelivered)) }
}

/// Takes the first `count` of the messages that were lent last, as one; the rest stays.
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS: as interproc_spsc_producer_push(); EINVAL also for more than were lent.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_commit(
    consumer: *mut interproc_spsc_consumer_t,
    count: usize,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, lent }| {
        if count > core::mem::take(lent) {
            return Err(invalid("more than were lent"));
        }
        seat.here()?;
        if count != 0 {
            seat.raw.advance(count as u64);
        }
        seat.raw.has_read();
        Ok(())
    }))
}

/// Frees by itself every `messages` only, at least 1, which is what a consumer begins with. What is popped and not freed takes up room,
/// and if this consumer dies it is read again by the next one, flagged. It is freed at the latest before a pop waits or finds
/// nothing, by interproc_spsc_consumer_flush(), and by interproc_spsc_consumer_leave().
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS: as interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers.
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
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS: as interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_flush(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, .. }| seat.flush()))
}

/// Closes the queue itself for good: the producer is refused from now on, what it has published can be popped. A push at the same
/// time either gets in, and is then delivered, or is refused. Closing again is no error.
///
/// @return 0; EPERM, ESTALE, EINVAL, EUSERS: as interproc_spsc_producer_push().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_close(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { find_mut(consumer) }.and_then(|Held { seat, .. }| {
        let me = seat.seated()?;
        seat.raw.close(me);
        Ok(())
    }))
}

/// Frees the rest and leaves the seat to the next consumer; the queue stays open. The handle is zero afterwards, whatever is
/// returned.
///
/// @return As interproc_spsc_consumer_flush().
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_leave(consumer: *mut interproc_spsc_consumer_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { take(consumer) }.and_then(|mut held| held.seat.flush()))
}
