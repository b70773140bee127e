//! The semaphore with robust permits.

use super::arguments::output;
use super::error::{fail, report};
use super::handle::{Marked, find};
use super::invalid;
use super::time::timed;
use super::who::{self, interproc_who_t};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member, view};
use crate::sync::{RawBoundedSemaphore, RawPermit};
use crate::time::Wait;
use core::ffi::c_int;
use libc::timespec;

/// A number of permits between threads of any processes. Whoever holds one can be killed, and nothing is lost.
///
/// This is a local handle, obtained by interproc_segment_bounded_semaphore(); the semaphore itself lies in the segment. The
/// handle need not be freed, may be copied, and may be used by any thread and by forked children. The segment must stay
/// open as long as it is used.
///
///     interproc_bounded_semaphore_t lines;
///     interproc_permit_t line;
///     int rc = interproc_segment_bounded_semaphore(&segment, "telephone lines", 3, &lines);
///     if (rc == 0)
///         rc = interproc_bounded_semaphore_acquire(&lines, &line);
///     if (rc == EOWNERDEAD) {                 // we have it; whoever had it was killed with it
///         hang_up(&line);
///         rc = 0;
///     }
///     if (rc == 0) {
///         talk();
///         interproc_bounded_semaphore_release(&lines, &line);
///     }
///
/// When a holder dies (the thread or its process, by any cause, at any instruction) its permits go to the next ones that
/// want them, within microseconds if somebody waits, and they are told by EOWNERDEAD. Up to 120 holders are watched
/// without any polling; with more, a death is found within 50 ms.
///
/// Who gets a permit sees what its last holder did. Those who wait are served one after the other, but a newcomer may be
/// faster. Acquiring and releasing while permits are free makes no system call.
#[repr(C)]
pub struct interproc_bounded_semaphore_t {
    /// Not for use. Zero when it is no semaphore.
    pub private_: [u64; 8],
}

/// A permit, or several that were acquired together: what to give back.
///
/// It belongs to the thread that acquired it: with that thread's death it goes to somebody else. Another thread of the
/// process may release it as long as the first one lives, or become its owner by interproc_bounded_semaphore_adopt(). A
/// forked child does not own what its parent holds. Releasing it clears it; zero is no permit.
#[repr(C)]
pub struct interproc_permit_t {
    /// Not for use. Zero when it is no permit.
    pub private_: [u64; 4],
}

/// What is in a permit.
#[repr(C)]
#[derive(Clone, Copy)]
struct Held {
    value: u64,
    first: u32,
    count: u32,
    forks: u64,
}

const _: () = {
    assert!(size_of::<Held>() <= size_of::<interproc_permit_t>());
    assert!(align_of::<Held>() <= align_of::<interproc_permit_t>());
};

// SAFETY: an array of words.
unsafe impl Marked for interproc_bounded_semaphore_t {
    type Object = RawBoundedSemaphore;
    const MARK: [u8; 8] = *b"ippermit";
    const NAME: &'static str = "semaphore";
}

/// The semaphore behind a handle, and the calling thread's member.
///
/// # Safety
/// As [`find`].
#[inline(always)]
unsafe fn enter<'a>(
    semaphore: *const interproc_bounded_semaphore_t,
) -> Result<(&'a RawBoundedSemaphore, &'a Member)> {
    // SAFETY: by the contract.
    let raw = unsafe { find(semaphore) }?;
    Ok((raw, member::current(raw.row().address())?))
}

/// # Safety
/// By C's contract of the functions below.
#[inline(never)]
unsafe fn acquire(
    semaphore: *const interproc_bounded_semaphore_t,
    count: Option<u32>,
    wait: Wait,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by the contract.
    let result = unsafe { enter(semaphore) }.and_then(|(raw, me)| {
        if permit.is_null() {
            return Err(invalid("permit is NULL"));
        }
        let got = match (count, wait) {
            (None, Wait::Never) => raw.try_acquire(me),
            (None, _) => raw.acquire(me, wait.deadline()),
            (Some(count), Wait::Never) => raw.try_acquire_many(me, count),
            (Some(count), _) => raw.acquire_many(me, count, wait.deadline()),
        }?;
        let held = Held { value: got.value, first: got.first, count: got.count, forks: member::forks() };
        // SAFETY: not NULL; large enough, by the contract.
        unsafe { permit.cast::<Held>().write(held) };
        Ok(got.owner_died)
    });
    match result {
        Ok(false) => 0,
        Ok(true) => fail(ErrorKind::OwnerDied.into()),
        Err(error) => fail(error),
    }
}

/// The permit in a handle, if it is this process's; the caller has asked for its member before.
///
/// # Safety
/// NULL, or a permit that was filled by this library or is zero.
#[inline(always)]
unsafe fn held(permit: *const interproc_permit_t, me: &Member) -> Result<RawPermit> {
    // SAFETY: by the contract.
    let Some(&held) = (unsafe { permit.cast::<Held>().as_ref() }) else {
        return Err(invalid("permit is NULL"));
    };
    let raw = RawPermit { value: held.value, first: held.first, count: held.count, owner_died: false };
    if raw.owner() != Some(me.id()) && held.forks != member::forks() {
        return Err(ErrorKind::NotOwner.into());
    }
    Ok(raw)
}

/// Acquires a permit, waiting as long as it takes. An interrupting signal handler runs, and the waiting goes on.
///
/// @return 0: the calling thread has it, in `permit`.
/// EOWNERDEAD: the calling thread has it, and its last holder died with it. Put in order what it stands for, and go on;
/// there is nothing to mark.
/// EINVAL: a NULL, no semaphore, or its segment is closed.
/// EUSERS: every member slot of the segment is held by a living thread (see max_members).
/// ENOTSUP: the kernel or sandbox lacks robust lists.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_acquire(
    semaphore: *const interproc_bounded_semaphore_t,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { acquire(semaphore, None, Wait::ForEver, permit) }
}

/// Acquires a permit if one is free, or its holder dead; never waits. It looks at one permit after the other, once: beside
/// others that release and acquire at the same moment it can be refused though there was a free one all the time.
///
/// @return As interproc_bounded_semaphore_acquire(), and EBUSY: all were seen held by living threads.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_tryacquire(
    semaphore: *const interproc_bounded_semaphore_t,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { acquire(semaphore, None, Wait::Never, permit) }
}

/// Acquires a permit, waiting until `abstime` at the latest: an absolute time on CLOCK_MONOTONIC, see
/// interproc_deadline_after(). With a time in the past it still takes one that it can have at once.
///
/// @return As interproc_bounded_semaphore_acquire(), and ETIMEDOUT: not got in time. EINVAL also when abstime is NULL or
/// its nanoseconds are not in 0..999999999; then nothing was tried.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_timedacquire(
    semaphore: *const interproc_bounded_semaphore_t,
    abstime: *const timespec,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| acquire(semaphore, None, wait, permit)) }
}

/// Acquires `count` permits as one, waiting as long as it takes. It keeps what it has got while it waits for the rest, and
/// only one at a time does so: two that want several cannot wait for each other. A thread that holds a permit and
/// waits for more can.
///
/// @return As interproc_bounded_semaphore_acquire(). EOWNERDEAD: the last holder of one of them died with it. EINVAL also
/// when count is 0 or more than there are.
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_acquire_many(
    semaphore: *const interproc_bounded_semaphore_t,
    count: u32,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { acquire(semaphore, Some(count), Wait::ForEver, permit) }
}

/// Acquires `count` permits as one if so many are free: all or nothing; never waits. It takes one after the other, and
/// gives them back if they are too few: two that try at the same moment can both fail, also if one wants a single permit.
///
/// @return As interproc_bounded_semaphore_acquire_many(), and EBUSY: not so many are free.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_tryacquire_many(
    semaphore: *const interproc_bounded_semaphore_t,
    count: u32,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { acquire(semaphore, Some(count), Wait::Never, permit) }
}

/// Acquires `count` permits as one, waiting until `abstime` at the latest. If it does not get all, it gives back what it
/// has got.
///
/// @return As interproc_bounded_semaphore_acquire_many(), and ETIMEDOUT: not got in time. EINVAL also for abstime as
/// interproc_bounded_semaphore_timedacquire().
///
/// Thread-safe and fork-safe; not for signal handlers; not a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_timedacquire_many(
    semaphore: *const interproc_bounded_semaphore_t,
    count: u32,
    abstime: *const timespec,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| acquire(semaphore, Some(count), wait, permit)) }
}

/// Gives a permit back, all of it, and clears it. If it fails, nothing is changed.
///
/// @return 0; EPERM: it was given back before (a copy of it was, or it is zero), belongs to another semaphore, or to the
/// parent process; ESTALE: the thread that acquired it is dead, and it goes to whoever takes it over; EINVAL: a
/// NULL, no semaphore, or its segment is closed; EUSERS, ENOTSUP: as interproc_bounded_semaphore_acquire().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_release(
    semaphore: *const interproc_bounded_semaphore_t,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(semaphore) }.and_then(|(raw, me)| unsafe {
        raw.release(me, &held(permit, me)?)?;
        permit.write(interproc_permit_t { private_: [0; 4] });
        Ok(())
    }))
}

/// Makes the calling thread the owner of a permit that another thread of the process has acquired: from now on its life
/// counts. Copies of the permit from before are void.
///
/// @return As interproc_bounded_semaphore_release().
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_adopt(
    semaphore: *const interproc_bounded_semaphore_t,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(semaphore) }.and_then(|(raw, me)| unsafe {
        let new = raw.adopt(me, &held(permit, me)?)?;
        (*permit.cast::<Held>()).value = new.value;
        Ok(())
    }))
}

/// How many permits there are.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_bounded_semaphore_acquire().
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_permits(
    semaphore: *const interproc_bounded_semaphore_t,
    permits: *mut u32,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(semaphore) }.and_then(|(raw, _)| {
        // SAFETY: by C's contract.
        unsafe { output(permits, "permits") }.map(|permits| permits.set(raw.permits()))
    }))
}

/// How many permits could be had now, those of dead holders among them: a snapshot. Those that somebody has got who waits
/// for more are not counted. One is looked at after the other: beside others that release and acquire it can be a number
/// that there never was.
///
/// @return 0; EINVAL, EUSERS, ENOTSUP: as interproc_bounded_semaphore_acquire().
///
/// Thread-safe and fork-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_available(
    semaphore: *const interproc_bounded_semaphore_t,
    available: *mut u32,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(semaphore) }.and_then(|(raw, me)| {
        // SAFETY: by C's contract.
        unsafe { output(available, "available") }.map(|available| available.set(raw.available(me)))
    }))
}

/// Who holds permits, dead or alive, each thread once: a snapshot. The dead are named until somebody has taken over what they
/// held. Fills in at most `room` of them; `found` tells how many there are. With no room `holders` may be NULL. The caller
/// need not be a member of the segment.
///
/// @return 0; EINVAL: a NULL, no semaphore, or its segment is closed.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_holders(
    semaphore: *const interproc_bounded_semaphore_t,
    holders: *mut interproc_who_t,
    room: usize,
    found: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe {
        who::holders(holders, room, found, || {
            let raw = find(semaphore)?;
            view::all(raw.row().address(), |_, _| Ok(raw.holders()))
        })
    }
}

/// How many living threads are asleep for it: a snapshot; who still spins is not counted. The caller need not be a member
/// of the segment.
///
/// @return 0; EINVAL: a NULL, or no semaphore, or its segment is closed.
///
/// Thread-safe and fork-safe; not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_waiters(
    semaphore: *const interproc_bounded_semaphore_t,
    waiters: *mut u32,
) -> c_int {
    // SAFETY: by C's contract waiters is NULL or writable. The object itself is not read.
    unsafe {
        who::waiters(waiters, || {
            find(semaphore).and_then(|raw| view::waiters(raw.row().address(), raw.row().size()))
        })
    }
}
