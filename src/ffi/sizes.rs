//! Sizes, for bindings of other languages.

use super::arguments::{output, text};
use super::*;
use crate::error::ErrorKind;
use core::ffi::c_char;

/// A type's name, size and alignment.
type Row = (&'static str, usize, usize);

macro_rules! rows {
    ($($module:ident::$name:ident,)*) => {
        &[$((stringify!($name), size_of::<$module::$name>(), align_of::<$module::$name>()),)*]
    };
}

/// Every structure of the header.
const ROWS: &[Row] = rows![
    barrier::interproc_barrier_t,
    bounded_semaphore::interproc_bounded_semaphore_t,
    barrier::interproc_barrier_info_t,
    bounded_semaphore::interproc_bounded_semaphore_info_t,
    channel::interproc_channel_info_t,
    broadcast::interproc_broadcast_info_t,
    broadcast::interproc_broadcast_options_t,
    broadcast::interproc_broadcast_t,
    broadcast::interproc_publisher_t,
    broadcast::interproc_subscriber_info_t,
    broadcast::interproc_subscriber_t,
    byte_lane::interproc_byte_consumer_t,
    byte_lane::interproc_byte_producer_t,
    byte_queue::interproc_byte_queue_t,
    condvar::interproc_cond_t,
    start::interproc_daemon_options_t,
    event::interproc_event_t,
    process::interproc_exit_t,
    latest::interproc_latest_t,
    pipe::interproc_listener_t,
    mutex::interproc_mutex_t,
    once::interproc_once_t,
    bounded_semaphore::interproc_permit_t,
    pipe::interproc_pipe_t,
    process::interproc_process_descriptor_t,
    process_ref::interproc_process_details_t,
    process::interproc_process_limit_t,
    process::interproc_process_options_t,
    process_ref::interproc_process_ref_t,
    process::interproc_process_segment_t,
    process::interproc_process_t,
    queue::interproc_queue_t,
    start::interproc_ready_t,
    recursive_mutex::interproc_recursive_mutex_t,
    rwlock::interproc_rwlock_t,
    segment::interproc_segment_info_t,
    segment::interproc_segment_options_t,
    segment::interproc_segment_t,
    semaphore::interproc_semaphore_t,
    spsc::interproc_spsc_consumer_t,
    spsc::interproc_spsc_producer_t,
    spsc::interproc_spsc_slots_t,
    process::interproc_usage_t,
    waitset::interproc_waitset_ready_t,
    waitset::interproc_waitset_t,
    who::interproc_who_t,
    work_queue::interproc_dead_letter_t,
    work_queue::interproc_job_t,
    work_queue::interproc_work_queue_info_t,
    work_queue::interproc_work_queue_options_t,
    work_queue::interproc_work_queue_t,
];

/// The size and alignment of a structure of this header, by its name, such as "interproc_mutex_t": for bindings that do
/// not read the header. They are part of the binary interface: a program may also know them.
///
/// @return 0; EINVAL also when there is no such structure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_size_of(
    name: *const c_char,
    size: *mut usize,
    alignment: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let (size, alignment) = (output(size, "size")?, output(alignment, "alignment")?);
        let asked = text(name, "name")?;
        let row = ROWS.iter().find(|row| row.0 == asked);
        let row = row.ok_or_else(|| Error::from(ErrorKind::InvalidInput).with_detail(asked))?;
        size.set(row.1);
        alignment.set(row.2);
        Ok(())
    })
}
