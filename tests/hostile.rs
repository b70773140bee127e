//! A peer in another process that writes over a segment *while* calls run: every call comes back, and in time.
//!
//! A try call takes at most 10 ms of the processor's time, a timed one at most 50 ms more than its limit, in rings of the
//! largest size, whatever is written and whenever; one that has to go through a ring of fixed cells, which takes two million
//! looks at the most, 30 ms more for each time. (Time alone cannot tell such a walk from one without its bound: with the scan's
//! bound taken out, half a second passed in three of three runs, the long form failed.) What a call answers does not matter here, only that it does. Times are
//! those of the calling thread on the processor; that a call sleeps no longer than it should is watched by a clock with a
//! limit of many seconds, so that a busy machine fails nothing.
//!
//! | file | what |
//! |---|---|
//! | `meter` | how calls are measured and watched |
//! | `peer` | the process that scribbles, and the values that it writes |
//! | `subjects` | the objects, one row each with all its operations: **a new object is one row more** |
//! | `aimed` | a few words, found by reading the code, that once made a call endless or slow |
//! | `files` | locks on the segment's file, sizes that lie, files with holes |
//!
//! Each row runs for half a second; `INTERPROC_HOSTILE_SECONDS=20 cargo test --release --test hostile` gives each 20 s
//! and larger rings. `INTERPROC_HOSTILE_SEED` repeats a run as far as two processes can be repeated.

#[macro_use]
mod support;
#[path = "support/kit.rs"]
mod kit;

#[path = "hostile/aimed.rs"]
mod aimed;
#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/meter.rs"]
mod meter;
#[path = "hostile/peer.rs"]
mod peer;
#[path = "hostile/subjects.rs"]
mod subjects;

use std::time::Duration;

/// How long each row is scribbled on.
fn seconds() -> f64 {
    std::env::var("INTERPROC_HOSTILE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0.5)
}

/// Whether this is the long form, with the largest rings.
fn in_full() -> bool {
    seconds() > 5.0
}

/// Cells of the rings: the most that there can be, or a sixteenth.
fn cells() -> usize {
    if in_full() { 1 << 24 } else { 1 << 20 }
}

fn seed() -> u64 {
    std::env::var("INTERPROC_HOSTILE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed)
}

fn main() {
    // The sum of all rows, with room for slow ones.
    let time = Duration::from_secs_f64(60.0 + 4.0 * seconds());
    support::run_within(
        time,
        tests![
            aimed::a_wait_with_a_recursive_lock_ends_when_its_lock_is_marked_unusable_and_more,
            aimed::a_writer_becomes_a_reader_though_every_place_is_said_to_be_taken,
            aimed::a_reader_of_a_latest_value_gives_up_soon_when_nothing_fits,
            aimed::hints_that_lag_a_lap_cost_one_walk_and_are_mended,
            aimed::a_head_that_lies_costs_a_byte_queue_one_walk,
            aimed::lengths_and_places_that_lie_are_refused_and_nothing_beyond_is_touched,
            aimed::nobody_is_moved_out_of_the_segment_by_a_notification,
            aimed::a_word_that_changes_all_the_time_keeps_nobody_beyond_a_deadline,
            aimed::doors_and_masks_that_lie_wake_a_set_for_nothing_and_no_more,
            subjects::mutexes,
            subjects::recursive_mutexes_and_conditions,
            subjects::reader_writer_locks,
            subjects::semaphores,
            subjects::bounded_semaphores,
            subjects::barriers,
            subjects::events,
            subjects::once,
            subjects::queues,
            subjects::work_queues,
            subjects::work_queues_of_any_order,
            subjects::broadcasts,
            subjects::queues_of_large_elements,
            subjects::byte_queues,
            subjects::latest_values,
            subjects::lanes,
            subjects::byte_lanes,
            subjects::pipes,
            subjects::listeners,
            subjects::pipes_that_are_handed_over,
            subjects::wait_sets,
            subjects::wait_sets_in_epoll,
            subjects::directories,
            files::who_may_only_read_keeps_nobody_from_opening_and_attaching,
            files::who_may_only_read_does_not_hide_a_death,
            files::who_may_write_keeps_an_opener_for_a_moment_only,
            files::a_memfd_whose_size_stays_open_is_refused,
            files::a_look_at_a_large_sparse_file_costs_what_the_file_uses,
            files::a_look_at_a_file_full_of_lies_ends_soon,
        ],
    )
}
