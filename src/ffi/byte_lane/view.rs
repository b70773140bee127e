//! What there is to see of the queue, from either seat.

use super::{interproc_byte_consumer_t, interproc_byte_producer_t};
use crate::ffi::channel::{interproc_channel_info_t, of_lane};
use crate::ffi::handle::{ask, find};
use crate::ffi::who::{self, interproc_who_t};
use crate::member::view;
use crate::queue::Lane;
use core::ffi::c_int;

fn info(lane: &Lane) -> interproc_channel_info_t {
    of_lane(lane, lane.unit(), lane.limit() as usize)
}

/// How many bytes of the ring are in use, headers and pads included, and the like: a snapshot. The capacity is at least
/// what was asked for, and twice what the longest message takes. `peak` is what the producer has seen when it looked
/// how much the consumer has freed, which it does only when it seems to run out of room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_info(
    producer: *const interproc_byte_producer_t,
    info: *mut interproc_channel_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(producer, info, |side| self::info(side.lane())) }
}

/// Who has the consumer's seat, dead or alive: a snapshot. Nobody while it is vacant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_producer_peer(
    producer: *const interproc_byte_producer_t,
    peer: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(peer, || {
            let side = find(producer)?;
            view::who(side.lane().address(), side.peer())
        })
    }
}

/// As interproc_byte_producer_info().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_info(
    consumer: *const interproc_byte_consumer_t,
    info: *mut interproc_channel_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(consumer, info, |side| self::info(side.lane())) }
}

/// Who has the producer's seat, dead or alive: a snapshot. Nobody while it is vacant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_byte_consumer_peer(
    consumer: *const interproc_byte_consumer_t,
    peer: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(peer, || {
            let side = find(consumer)?;
            view::who(side.lane().address(), side.peer())
        })
    }
}
