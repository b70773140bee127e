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

/// A number of permits between threads of any processes. A holder may be killed, and nothing is lost.
///
/// This is a local handle from interproc_segment_bounded_semaphore(); the semaphore itself lies in the segment. The
/// handle need not be freed, may be copied, and may be used by any thread and by forked children while the segment is
/// open.
///
///     interproc_bounded_semaphore_t lines;
///     interproc_permit_t line;
///     int rc = interproc_segment_bounded_semaphore(&segment, "telephone lines", 3, &lines);
///     if (rc == 0)
///         rc = interproc_bounded_semaphore_acquire(&lines, &line);
///     if (rc == EOWNERDEAD) {                 // we have it; its holder was killed
///         hang_up(&line);
///         rc = 0;
///     }
///     if (rc == 0) {
///         talk();
///         interproc_bounded_semaphore_release(&lines, &line);
///     }
///
/// When a holder dies (the thread or its process, by any cause, at any instruction) its permits go to the next callers
/// that ask, within microseconds if somebody waits, and they are told by EOWNERDEAD. Up to 120 holders are watched
/// without any polling; with more, a death is found within 50 ms.
///
/// The new holder of a permit sees what its last holder did. Waiters are served one after the other, but a newcomer may
/// be faster. Acquiring and releasing while permits are free makes no system call.
#[repr(C)]
pub struct interproc_bounded_semaphore_t {
    /// Private. Zero when it is no semaphore.
    pub private_: [u64; 8],
}

/// A permit, or several that were acquired together and are released as one.
///
/// It belongs to the thread that acquired it: with that thread's death it goes to somebody else. Another thread of the
/// process may release it as long as the first one lives, or become its owner by interproc_bounded_semaphore_adopt(). A
/// forked child does not own what its parent holds. Releasing it clears it; zero is no permit.
#[repr(C)]
pub struct interproc_permit_t {
    /// Private. Zero when it is no permit.
    pub private_: [u64; 4],
}

/// The state of a semaphore: a snapshot.
#[repr(C)]
pub struct interproc_bounded_semaphore_info_t {
    /// How many permits there are.
    pub permits: u32,
    /// How many are available now, those of dead holders included. Those that a thread keeps while it waits for more
    /// are not counted. Permits are looked at one after the other: while others acquire and release, the number may
    /// match no single moment.
    pub available: u32,
    /// How many living threads are asleep for it; threads that still spin are not counted.
    pub waiters: u32,
    /// Zero.
    pub reserved: [u32; 5],
}

const _: () = assert!(size_of::<interproc_bounded_semaphore_info_t>() == 32);

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
    Ok((raw, member::current(raw.cells().address())?))
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

/// Acquires a permit, waiting as long as it takes.
///
/// @return 0: the calling thread has it, in `permit`.
/// EOWNERDEAD: the calling thread has it, and its last holder died with it. Put in order what it stands for, and go on;
/// there is nothing to mark.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_acquire(
    semaphore: *const interproc_bounded_semaphore_t,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { acquire(semaphore, None, Wait::ForEver, permit) }
}

/// As interproc_bounded_semaphore_acquire(), but never waits: EBUSY when all were seen held by living threads. It looks
/// at each permit once, one after the other, so it can fail spuriously while others acquire and release.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_tryacquire(
    semaphore: *const interproc_bounded_semaphore_t,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { acquire(semaphore, None, Wait::Never, permit) }
}

/// As interproc_bounded_semaphore_acquire(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_timedacquire(
    semaphore: *const interproc_bounded_semaphore_t,
    abstime: *const timespec,
    permit: *mut interproc_permit_t,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { timed(abstime, |wait| acquire(semaphore, None, wait, permit)) }
}

/// Acquires `count` permits as one, waiting until `abstime`: all or nothing. While it waits it keeps those that it
/// already has; only one caller at a time does so, so two callers that want several never wait for each other. (A
/// thread that holds a permit already and waits for more can still cause a deadlock.) If the time runs out, it gives
/// back what it has. So two callers that do not wait (a time in the past) can both fail, even if one wants a single
/// permit.
///
/// @return As interproc_bounded_semaphore_timedacquire(). EOWNERDEAD: the last holder of one of them died with it.
/// EINVAL also when count is 0 or more than there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_acquire_many_until(
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
/// @return 0; EPERM: it was given back before (a copy of it was, or it is zero), belongs to another semaphore, or to
/// the parent process; ESTALE: the thread that acquired it is dead, and somebody else gets it.
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

/// Makes the calling thread the owner of a permit that another thread of the process has acquired: from now on it is
/// the caller's death that gives the permit to somebody else. Older copies of the permit are void.
///
/// @return As interproc_bounded_semaphore_release().
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

/// How many permits there are, and how many are free: a snapshot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_bounded_semaphore_info(
    semaphore: *const interproc_bounded_semaphore_t,
    info: *mut interproc_bounded_semaphore_info_t,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { enter(semaphore) }.and_then(|(raw, me)| {
        let waiters = view::waiters(raw.cells().address(), raw.cells().size())?;
        let (permits, available) = (raw.permits(), raw.available(me));
        // SAFETY: by C's contract.
        let info = unsafe { output(info, "info") }?;
        info.set(interproc_bounded_semaphore_info_t { permits, available, waiters, reserved: [0; 5] });
        Ok(())
    }))
}

/// Who holds permits, dead or alive, each thread once: a snapshot. The dead are named until somebody has taken over
/// what they held. Fills in at most `room` of them; `*found` becomes the number that there are. With no room `holders`
/// may be NULL. The caller need not be a member of the segment.
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
            view::all(raw.cells().address(), |_, _| Ok(raw.holders()))
        })
    }
}
