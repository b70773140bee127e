//! What there is to see of the queue, from either seat.

use super::{interproc_spsc_consumer_t, interproc_spsc_producer_t};
use crate::ffi::channel::{interproc_channel_info_t, of_lane};
use crate::ffi::handle::{ask, find};
use crate::ffi::who::{self, interproc_who_t};
use crate::member::view;
use crate::queue::Lane;
use core::ffi::c_int;

fn info(lane: &Lane) -> interproc_channel_info_t {
    of_lane(lane, 1, lane.unit())
}

/// How many messages are published and not freed, and the like: a snapshot. `peak` is sampled when the producer rereads
/// the consumer's position, and by this call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_info(
    producer: *const interproc_spsc_producer_t,
    info: *mut interproc_channel_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(producer, info, |held| self::info(held.seat.raw.lane())) }
}

/// Who has the consumer's seat, dead or alive: a snapshot. Nobody while it is vacant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_producer_peer(
    producer: *const interproc_spsc_producer_t,
    peer: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(peer, || {
            let lane = find(producer)?.seat.raw.lane();
            view::who(lane.address(), lane.consumer())
        })
    }
}

/// As interproc_spsc_producer_info().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_info(
    consumer: *const interproc_spsc_consumer_t,
    info: *mut interproc_channel_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { ask(consumer, info, |held| self::info(held.seat.raw.lane())) }
}

/// Who has the producer's seat, dead or alive: a snapshot. Nobody while it is vacant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_spsc_consumer_peer(
    consumer: *const interproc_spsc_consumer_t,
    peer: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holder(peer, || {
            let lane = find(consumer)?.seat.raw.lane();
            view::who(lane.address(), lane.producer())
        })
    }
}
