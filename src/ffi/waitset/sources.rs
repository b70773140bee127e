//! What a set can wait for.

use super::handle::{INTERPROC_READABLE, INTERPROC_WRITABLE, Kind, interproc_waitset_t};
use crate::error::{Error, Result};
use crate::ffi::arguments::tell;
use crate::ffi::bounded_semaphore::interproc_bounded_semaphore_t;
use crate::ffi::broadcast::interproc_subscriber_t;
use crate::ffi::byte_lane::{interproc_byte_consumer_t, interproc_byte_producer_t};
use crate::ffi::byte_queue::interproc_byte_queue_t;
use crate::ffi::event::interproc_event_t;
use crate::ffi::handle::{find, open, open_mut};
use crate::ffi::latest::interproc_latest_t;
use crate::ffi::pipe::{interproc_listener_t, interproc_pipe_t};
use crate::ffi::placed;
use crate::ffi::process::interproc_process_t;
use crate::ffi::process_ref::interproc_process_ref_t;
use crate::ffi::queue::interproc_queue_t;
use crate::ffi::semaphore::interproc_semaphore_t;
use crate::ffi::spsc::{interproc_spsc_consumer_t, interproc_spsc_producer_t};
use crate::ffi::time::until;
use crate::ffi::work_queue::interproc_work_queue_t;
use crate::ffi::{call, invalid};
use crate::sync::{RawEvent, RawSemaphore};
use crate::time::Deadline;
use crate::waitset::{Source, Wanted, reading, writing, writing_bytes};
use core::ffi::{c_int, c_void};
use core::time::Duration;
use libc::timespec;
use std::os::fd::BorrowedFd;

/// Adds what `find` finds.
///
/// # Safety
/// By C's contract of the functions below.
unsafe fn add(
    set: *const interproc_waitset_t,
    kind: Kind,
    data: *mut c_void,
    key: *mut u64,
    find: impl FnOnce() -> Result<Source<'static>>,
) -> c_int {
    // SAFETY: by the contract.
    call(|| unsafe {
        let set = open_mut(set)?;
        tell(key, set.add(find()?, kind, data)?);
        Ok(())
    })
}

fn is_writable(events: u32) -> Result<bool> {
    match events {
        INTERPROC_READABLE => Ok(false),
        INTERPROC_WRITABLE => Ok(true),
        _ => Err(invalid("events is INTERPROC_READABLE or INTERPROC_WRITABLE")),
    }
}

/// Adds a queue: INTERPROC_READABLE: there is a message, or it is closed; INTERPROC_WRITABLE: there is room for one, or it
/// is closed. `data` comes back in interproc_waitset_ready_t. `key` may be NULL; it becomes the source's name in the set.
/// A queue may be there twice, for both.
///
/// @return 0; EINVAL also for other `events`; ENOSPC: the sources lie in more than 32 segments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_queue(
    set: *const interproc_waitset_t,
    queue: *const interproc_queue_t,
    events: u32,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let queue = *find(queue)?;
            let wanted = if is_writable(events)? { Wanted::Push(queue) } else { Wanted::Pop(queue) };
            Ok(Source::object(wanted, queue.ring().address(), None))
        })
    }
}

/// Adds a queue of messages of any length. INTERPROC_WRITABLE: there is room for the longest one.
///
/// @return As interproc_waitset_add_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_byte_queue(
    set: *const interproc_waitset_t,
    queue: *const interproc_byte_queue_t,
    events: u32,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let queue = *find(queue)?;
            let wanted = match is_writable(events)? {
                true => Wanted::PushBytes(queue, queue.ring().longest()),
                false => Wanted::PopBytes(queue),
            };
            Ok(Source::object(wanted, queue.ring().address(), None))
        })
    }
}

/// Adds a producer: there is room for a message, or the queue is closed.
///
/// @return As interproc_waitset_add_queue(); EPERM also for a parent process's seat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_spsc_producer(
    set: *const interproc_waitset_t,
    producer: *const interproc_spsc_producer_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let seat = &find(producer)?.seat;
            seat.is_of_this_process()?;
            Ok(writing(*seat.lane(), None))
        })
    }
}

/// Adds a consumer: there is a message, or the queue is closed. Messages that were popped and are not given back to the
/// producer yet count, until a try has failed.
///
/// @return As interproc_waitset_add_spsc_producer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_spsc_consumer(
    set: *const interproc_waitset_t,
    consumer: *const interproc_spsc_consumer_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let seat = &find(consumer)?.seat;
            seat.is_of_this_process()?;
            Ok(reading(*seat.lane(), None))
        })
    }
}

/// Adds a producer: there is room for the longest message, or the queue is closed.
///
/// @return As interproc_waitset_add_spsc_producer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_byte_producer(
    set: *const interproc_waitset_t,
    producer: *const interproc_byte_producer_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let seat = find(producer)?;
            seat.is_of_this_process()?;
            Ok(writing_bytes(*seat.lane(), None))
        })
    }
}

/// Adds a consumer: there is a message, or the queue is closed.
///
/// @return As interproc_waitset_add_spsc_producer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_byte_consumer(
    set: *const interproc_waitset_t,
    consumer: *const interproc_byte_consumer_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let seat = find(consumer)?;
            seat.is_of_this_process()?;
            Ok(reading(*seat.lane(), None))
        })
    }
}

/// Adds an end of a pipe, two-way or one-way: INTERPROC_READABLE: there is a message; INTERPROC_WRITABLE: there is room for
/// the longest one; or, in both cases, the other end is closed or dead. Take it out before the end is closed.
///
/// @return As interproc_waitset_add_queue(); EINVAL also for an end that only sends or only receives, if that is the other
/// way; EPERM also for a parent process's end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_pipe(
    set: *const interproc_waitset_t,
    pipe: *const interproc_pipe_t,
    events: u32,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let ends = open(pipe)?;
            if is_writable(events)? {
                let sender = ends.sender.as_ref().ok_or_else(|| invalid("this end does not send"))?;
                sender.is_of_this_process()?;
                return Ok(sender.when_writable());
            }
            let receiver = ends.receiver.as_ref().ok_or_else(|| invalid("this end does not receive"))?;
            receiver.is_of_this_process()?;
            Ok(receiver.when_readable())
        })
    }
}

/// Adds a listener: a client has connected and can be accepted. Take it out before the listener is closed.
///
/// @return As interproc_waitset_add_queue(); EPERM also for a parent process's listener.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_listener(
    set: *const interproc_waitset_t,
    listener: *const interproc_listener_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let listener = open(listener)?;
            listener.is_of_this_process()?;
            Ok(listener.when_readable())
        })
    }
}

/// Adds a work queue: INTERPROC_READABLE: a job can be taken, or none will come; delayed jobs whose time comes, and jobs of
/// the dead, count. INTERPROC_WRITABLE: there is room for a job, or it is closed.
///
/// @return As interproc_waitset_add_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_work_queue(
    set: *const interproc_waitset_t,
    queue: *const interproc_work_queue_t,
    events: u32,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let queue = *find(queue)?;
            let wanted = if is_writable(events)? { Wanted::Put(queue) } else { Wanted::Take(queue) };
            Ok(Source::object(wanted, queue.place().address(), None))
        })
    }
}

/// Adds a subscriber of a broadcast: there is a message that it has not received, or the broadcast is closed.
///
/// @return As interproc_waitset_add_spsc_producer().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_subscriber(
    set: *const interproc_waitset_t,
    subscriber: *const interproc_subscriber_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let seat = find(subscriber)?;
            seat.is_of_this_process()?;
            let broadcast = *seat.raw.broadcast();
            let wanted = Wanted::Receive(broadcast, seat.raw.seat());
            Ok(Source::object(wanted, broadcast.place().address(), None))
        })
    }
}

/// Adds a latest value: there is one newer than version `seen`. After it was told, the next report is of a value that is
/// newer still.
///
/// @return As interproc_waitset_add_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_latest(
    set: *const interproc_waitset_t,
    latest: *const interproc_latest_t,
    seen: u64,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Newer, data, key, || {
            let latest = *find(latest)?;
            Ok(Source::object(Wanted::Newer(latest, seen), latest.place().address(), None))
        })
    }
}

/// Adds an event: it is set.
///
/// @return As interproc_waitset_add_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_event(
    set: *const interproc_waitset_t,
    event: *const interproc_event_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract; the set keeps it mapped.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let raw: &RawEvent = placed::open(event.cast()).ok_or_else(placed::nothing_there)?;
            Ok(Source::object(Wanted::Set(raw), event.cast(), None))
        })
    }
}

/// Adds a semaphore: its value is above 0.
///
/// @return As interproc_waitset_add_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_semaphore(
    set: *const interproc_waitset_t,
    semaphore: *const interproc_semaphore_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract; the set keeps it mapped.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let raw: &RawSemaphore = placed::open(semaphore.cast()).ok_or_else(placed::nothing_there)?;
            Ok(Source::object(Wanted::Posted(raw), semaphore.cast(), None))
        })
    }
}

/// Adds a semaphore with robust permits: there is one to be had, also one of a dead holder.
///
/// @return As interproc_waitset_add_queue().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_bounded_semaphore(
    set: *const interproc_waitset_t,
    semaphore: *const interproc_bounded_semaphore_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Object, data, key, || {
            let raw = *find(semaphore)?;
            Ok(Source::object(Wanted::Permit(raw), raw.cells().address(), None))
        })
    }
}

/// Adds a child: it has ended, and can be joined. It is told again and again until it is taken out, which must come before
/// its handle is closed. Such a set sleeps in epoll.
///
/// @return 0; EBADF: the program has closed its descriptor behind the library's back; EMFILE and other limits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_process(
    set: *const interproc_waitset_t,
    process: *const interproc_process_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { add(set, Kind::Descriptor, data, key, || Ok(Source::ended(open(process)?.pidfd()))) }
}

/// Adds any process: it has ended. Otherwise as interproc_waitset_add_process().
///
/// @return As interproc_waitset_add_process().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_process_ref(
    set: *const interproc_waitset_t,
    process: *const interproc_process_ref_t,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { add(set, Kind::Descriptor, data, key, || Ok(Source::ended(open(process)?.pidfd()))) }
}

/// Adds a descriptor of the program's: INTERPROC_READABLE: it can be read, or has ended, or has an error;
/// INTERPROC_WRITABLE: it can be written, or has an error. Take it out before it is closed. Such a set sleeps in epoll.
///
/// @return 0; EINVAL also for other `events`, and for a regular file, which is always ready; EBADF: it is not open; EMFILE
/// and other limits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_fd(
    set: *const interproc_waitset_t,
    fd: c_int,
    events: u32,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract it is open until it is taken out; if it is not, epoll says so.
    unsafe {
        add(set, Kind::Descriptor, data, key, || {
            let is_writable = is_writable(events)?;
            if fd < 0 {
                return Err(Error::from_errno(libc::EBADF));
            }
            Ok(Source::descriptor(BorrowedFd::borrow_raw(fd), is_writable))
        })
    }
}

/// Adds a time, on CLOCK_MONOTONIC as an `abstime`: `first` has come. It is told once, and then every `period_ns`, if that
/// is not 0. NULL for `first` is a period from now. Times that were missed are told as one.
///
///     rc = interproc_waitset_add_timer(&set, NULL, 100000000, "tick", NULL);      // ten times a second
///
///     interproc_deadline_after(5000000000, &until);
///     rc = interproc_waitset_add_timer(&set, &until, 0, "give up", &give_up);     // once, in five seconds
///
/// @return 0; EINVAL also for a time that no `abstime` may be, and for neither a time nor a period.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_waitset_add_timer(
    set: *const interproc_waitset_t,
    first: *const timespec,
    period_ns: u64,
    data: *mut c_void,
    key: *mut u64,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        add(set, Kind::Time, data, key, || {
            let period = (period_ns != 0).then(|| Duration::from_nanos(period_ns));
            let first = until(first)?.deadline().or_else(|| period.map(Deadline::after));
            let first = first.ok_or_else(|| invalid("there is neither a time nor a period"))?;
            Ok(Source::times(first, period))
        })
    }
}
