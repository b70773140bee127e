//! How large a segment must be.

use super::arguments::output;
use super::broadcast::{self, interproc_broadcast_options_t};
use super::work_queue::{geometry, interproc_work_queue_options_t};
use super::{call, invalid};
use crate::error::Result;
use crate::shm::Room;
use core::ffi::c_int;

/// Adds to `*total` what a room takes.
///
/// # Safety
/// NULL, or a valid number.
unsafe fn add(total: *mut usize, room: Room) -> Result<()> {
    // SAFETY: by the contract.
    let (place, before) = unsafe { (output(total, "total")?, total.read()) };
    let all = before.checked_add(room.size()?).ok_or_else(|| invalid("total is too large"))?;
    place.set(all);
    Ok(())
}

/// Adds to `*total` the bytes that a segment needs for an object of this size and alignment:
/// interproc_segment_object(). Begin with 0: the sum is what a segment of all these objects, in any order, must have as
/// its size.
///
///     size_t total = 0;
///     rc = interproc_room_object(sizeof(shop_t), 8, &total);
///     if (rc == 0)
///         rc = interproc_room_queue(48, 1024, &total);
///     if (rc == 0)
///         rc = interproc_segment_create(&segment, "/shop", total, 0600);
///
/// @return 0; EINVAL: the object is impossible, or no segment can be so large. So it is for all interproc_room_
/// functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_object(size: usize, alignment: usize, total: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().bytes(size, alignment)) })
}

/// Adds to `*total` the bytes that a segment needs for a queue: interproc_segment_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_queue(
    element_size: usize,
    capacity: usize,
    total: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().queue_of(element_size, capacity)) })
}

/// Adds to `*total` the bytes that a segment needs for a queue of messages of any length:
/// interproc_segment_byte_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_byte_queue(
    capacity: usize,
    longest: usize,
    total: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().byte_queue(capacity, longest)) })
}

/// Adds to `*total` the bytes that a segment needs for a work queue: interproc_segment_work_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_work_queue(
    options: *const interproc_work_queue_options_t,
    total: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().work_queue_of(geometry(options)?.1)) })
}

/// Adds to `*total` the bytes that a segment needs for a broadcast: interproc_segment_broadcast().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_broadcast(
    options: *const interproc_broadcast_options_t,
    total: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().broadcast_of(broadcast::geometry(options)?.1)) })
}

/// Adds to `*total` the bytes that a segment needs for a queue from one to one: interproc_segment_spsc_producer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_spsc(
    element_size: usize,
    capacity: usize,
    total: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().spsc_of(element_size, capacity)) })
}

/// Adds to `*total` the bytes that a segment needs for a byte lane: interproc_segment_byte_producer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_byte_lane(
    capacity: usize,
    longest: usize,
    total: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().byte_lane(capacity, longest)) })
}

/// Adds to `*total` the bytes that a segment needs for a semaphore of permits: interproc_segment_bounded_semaphore().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_bounded_semaphore(permits: usize, total: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().bounded_semaphore(permits)) })
}

/// Adds to `*total` the bytes that a segment needs for a barrier: interproc_segment_barrier().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_barrier(parties: usize, total: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().barrier(parties)) })
}

/// Adds to `*total` the bytes that a segment needs for a latest value: interproc_segment_latest().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_latest(
    element_size: usize,
    readers: usize,
    total: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().latest_of(element_size, readers)) })
}

/// Adds to `*total` the bytes that a segment needs for a pipe, with one way or two: interproc_segment_pipe_pair().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_pipe(capacity: usize, longest: usize, total: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().pipe(capacity, longest)) })
}

/// Adds to `*total` the bytes that a segment needs for a listener and its pipes: interproc_listener_bind().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_room_listener(
    pipes: usize,
    capacity: usize,
    longest: usize,
    total: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe { add(total, Room::new().listener(pipes, capacity, longest)) })
}
