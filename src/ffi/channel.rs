//! What there is to see of a queue or a lane, in one form for all of them.

use crate::queue::Lane;

/// How full a queue is, and whether it is closed: a snapshot of a few loads. Counted in messages for interproc_queue_t
/// and spsc; in bytes, headers included, for byte queues and byte lanes.
///
///     interproc_channel_info_t info;
///     if (interproc_queue_info(&jobs, &info) == 0)
///         printf("%zu of %zu, at most %zu\n", info.used, info.capacity, info.peak);
#[repr(C)]
#[derive(Default)]
pub struct interproc_channel_info_t {
    /// The most that it holds.
    pub capacity: usize,
    /// How much of that is not free.
    pub used: usize,
    /// The most that was seen used since it was made: a statistic, and a lower bound.
    pub peak: usize,
    /// The bytes of its longest message: of each, where all have one size.
    pub longest: usize,
    /// Whether there is no message in it.
    pub is_empty: bool,
    /// Whether not even the shortest message has room.
    pub is_full: bool,
    /// Whether it was closed, by any side.
    pub is_closed: bool,
    /// Zero.
    pub reserved: [u8; 5],
    /// Zero.
    pub reserved1: [u64; 3],
}

const _: () = assert!(size_of::<interproc_channel_info_t>() == 64);

/// Of a lane that is counted in `each` per unit.
pub(super) fn of_lane(lane: &Lane, each: usize, longest: usize) -> interproc_channel_info_t {
    interproc_channel_info_t {
        capacity: lane.capacity() as usize * each,
        used: lane.len() as usize * each,
        peak: lane.peak() as usize * each,
        longest,
        is_empty: lane.is_empty(),
        is_full: lane.len() == lane.capacity(),
        is_closed: lane.is_closed(),
        ..Default::default()
    }
}
