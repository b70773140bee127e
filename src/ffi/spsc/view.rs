//! What there is to see of the queue, from either seat.

use super::{interproc_spsc_consumer_t, interproc_spsc_producer_t};
use crate::ffi::handle::{ask, find};
use crate::ffi::who::{self, interproc_who_t};
use crate::member::view;
use core::ffi::c_int;

/// How many messages are published and not freed: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_len(
    producer: *const interproc_spsc_producer_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(producer, len, |held| held.seat.raw.lane().len() as usize) }
}

/// The most messages that it holds.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_capacity(
    producer: *const interproc_spsc_producer_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(producer, capacity, |held| held.seat.raw.lane().capacity() as usize) }
}

/// The most messages that were seen in it: by a producer, whenever it ran out of room that it knew of, and now.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_peak(
    producer: *const interproc_spsc_producer_t,
    peak: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(producer, peak, |held| held.seat.raw.lane().peak() as usize) }
}

/// Whether it was closed, by either side.
///
/// @return 0; EINVAL: a NULL, or no producer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_is_closed(
    producer: *const interproc_spsc_producer_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(producer, is_closed, |held| held.seat.raw.lane().is_closed()) }
}

/// Who sits in the consumer's seat, dead or alive.
///
/// @return 0; EINVAL: a NULL, no producer, or its segment is closed.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_partner(
    producer: *const interproc_spsc_producer_t,
    partner: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(partner, || {
            let lane = find(producer)?.seat.raw.lane();
            view::who(lane.address(), lane.consumer())
        })
    }
}

/// How many messages are published and not freed: a snapshot.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_len(
    consumer: *const interproc_spsc_consumer_t,
    len: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(consumer, len, |held| held.seat.raw.lane().len() as usize) }
}

/// The most messages that it holds.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_capacity(
    consumer: *const interproc_spsc_consumer_t,
    capacity: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(consumer, capacity, |held| held.seat.raw.lane().capacity() as usize) }
}

/// The most messages that were seen in it: by a producer, whenever it ran out of room that it knew of, and now.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_peak(
    consumer: *const interproc_spsc_consumer_t,
    peak: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(consumer, peak, |held| held.seat.raw.lane().peak() as usize) }
}

/// Whether it was closed, by either side.
///
/// @return 0; EINVAL: a NULL, or no consumer.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_is_closed(
    consumer: *const interproc_spsc_consumer_t,
    is_closed: *mut bool,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(consumer, is_closed, |held| held.seat.raw.lane().is_closed()) }
}

/// Who sits in the producer's seat, dead or alive.
///
/// @return 0; EINVAL: a NULL, no consumer, or its segment is closed.
///
/// One thread at a time; fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_partner(
    consumer: *const interproc_spsc_consumer_t,
    partner: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(partner, || {
            let lane = find(consumer)?.seat.raw.lane();
            view::who(lane.address(), lane.producer())
        })
    }
}
