//! What there is to see of the queue, from either seat.

use super::{interproc_byte_consumer_t, interproc_byte_producer_t};
use crate::ffi::handle::{ask, find};
use crate::ffi::who::{self, interproc_who_t};
use crate::member::view;
use core::ffi::c_int;

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
    unsafe { ask(producer, is_closed, |side| side.lane().is_closed()) }
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
    unsafe { ask(producer, capacity, |side| side.capacity()) }
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
    unsafe { ask(producer, longest, |side| side.longest()) }
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
    unsafe { ask(producer, len, |side| side.len_bytes()) }
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
    unsafe { ask(producer, peak, |side| side.peak()) }
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
            let side = find(producer)?;
            view::who(side.lane().address(), side.peer())
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
    unsafe { ask(consumer, is_closed, |side| side.lane().is_closed()) }
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
    unsafe { ask(consumer, capacity, |side| side.capacity()) }
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
    unsafe { ask(consumer, longest, |side| side.longest()) }
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
    unsafe { ask(consumer, len, |side| side.len_bytes()) }
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
    unsafe { ask(consumer, peak, |side| side.peak()) }
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
            let side = find(consumer)?;
            view::who(side.lane().address(), side.peer())
        })
    }
}
