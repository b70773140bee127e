//! Readiness of descriptors: epoll, and the two descriptors that wake it, an eventfd and a timerfd. All are close-on-exec, and number
//! 3 or above.

use super::call::{checked, retried};
use super::own::{Own, above_stdio};
use crate::time::Deadline;
use core::ffi::c_int;

/// What is reported, and under which number.
pub type Event = libc::epoll_event;

fn own(fd: Result<c_int, i32>) -> Result<Own, i32> {
    fd.and_then(above_stdio).and_then(Own::new)
}

/// A new epoll.
pub fn epoll() -> Result<Own, i32> {
    // SAFETY: takes an integer.
    own(checked(|| unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }))
}

/// A new eventfd, which no call blocks on.
pub fn event() -> Result<Own, i32> {
    // SAFETY: takes integers.
    own(checked(|| unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }))
}

/// A new timer on the monotonic clock.
pub fn timer() -> Result<Own, i32> {
    // SAFETY: takes integers.
    own(checked(|| unsafe {
        libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK)
    }))
}

/// Adds a descriptor to an epoll, level-triggered.
pub fn add(epoll: c_int, fd: c_int, events: u32, number: u64) -> Result<(), i32> {
    let mut event = Event { events, u64: number };
    // SAFETY: the event outlives the call; wrong descriptors are an error.
    checked(|| unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(drop)
}

/// Takes it out again.
pub fn remove(epoll: c_int, fd: c_int) -> Result<(), i32> {
    let nothing = core::ptr::null_mut();
    // SAFETY: as above.
    checked(|| unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, nothing) }).map(drop)
}

/// What is ready now: so many of the first events are set.
pub fn ready(epoll: c_int, events: &mut [Event]) -> Result<usize, i32> {
    // SAFETY: as many events as it is told. It returns at once. A direct call, because the C library's is a cancellation point.
    retried(|| unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait,
            epoll,
            events.as_mut_ptr(),
            events.len() as c_int,
            0,
            core::ptr::null::<libc::sigset_t>(),
            8,
        )
    })
    .map(|n| n as usize)
}

/// Sleeps until a descriptor is readable, the deadline, or a signal.
pub fn await_readable(fd: c_int, deadline: Option<Deadline>) -> Result<(), i32> {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let time = deadline.map(|deadline| {
        let left = deadline.remaining();
        libc::timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos() as _ }
    });
    let time = time.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: one descriptor, and a time that outlives the call. A direct call, as above.
    let slept = checked(|| unsafe {
        libc::syscall(libc::SYS_ppoll, &raw mut poll, 1, time, core::ptr::null::<libc::sigset_t>(), 8)
    });
    match slept {
        Ok(_) | Err(libc::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Makes an eventfd readable.
pub fn signal(event: c_int) {
    let one = 1u64;
    // SAFETY: eight bytes. It fails only if it is readable already.
    let _ = checked(|| unsafe { libc::syscall(libc::SYS_write, event, &raw const one, 8) });
}

/// Makes an eventfd not readable. How often it was signalled since the last time.
pub fn calm(fd: c_int) -> u64 {
    let mut count = 0u64;
    // SAFETY: eight bytes. It fails if it is not readable.
    let _ = checked(|| unsafe { libc::syscall(libc::SYS_read, fd, &raw mut count, 8) });
    count
}

/// Sets a timer; `None` stops it.
pub fn set(timer: c_int, at: Option<Deadline>) {
    // All zero would stop it.
    let ns = at.map_or(0, |at| at.as_monotonic_ns().max(1));
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let value = libc::timespec { tv_sec: (ns / 1_000_000_000) as _, tv_nsec: (ns % 1_000_000_000) as _ };
    let spec = libc::itimerspec { it_interval: zero, it_value: value };
    // SAFETY: the times outlive the call.
    let _ = checked(|| unsafe {
        libc::timerfd_settime(timer, libc::TFD_TIMER_ABSTIME, &raw const spec, core::ptr::null_mut())
    });
}
