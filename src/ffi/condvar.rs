//! The condition variable.

use super::arguments::output;
use super::error::report;
use super::invalid;
use super::mutex::{self, interproc_mutex_t};
use super::placed;
use super::recursive_mutex::{self, interproc_recursive_mutex_t};
use super::time::{timed, until};
use crate::error::{ErrorKind, Result};
use crate::member::Member;
use crate::sync::{Acquired, RawCondvar, Waited};
use crate::time::Wait;
use core::ffi::c_int;
use libc::timespec;

/// A condition variable: waiting, under a mutex, until another thread of any process makes a condition true and says
/// so.
///
/// It lies in the same segment as the mutex (see interproc_segment_object()), and all who wait at one time name the
/// same mutex. All-zero bytes are one that nobody waits for, so one in a new object needs no initialisation.
///
///     int rc = interproc_mutex_lock(&shop->lock);
///     while ((rc == 0 || rc == EOWNERDEAD)) {
///         if (rc == EOWNERDEAD) {
///             repair(shop);
///             interproc_mutex_consistent(&shop->lock);
///         }
///         if (shop->tickets > 0)
///             break;
///         rc = interproc_cond_wait(&shop->arrived, &shop->lock);
///     }
///
/// With a recursive mutex: interproc_cond_wait_recursive(). A wait may end without a signal, with 0 as POSIX has it:
/// when a signal handler has run, when somebody in the segment is killed, or by a race. So look at the condition in a
/// loop. Without a condition to look at, interproc_cond_signals() tells the one from the other. A thread or process
/// that ends in good order wakes nobody.
///
/// To look at something else now and then, as a language binding at its signals, wait in slices. No signal that is sent
/// with the mutex held is lost between two of them, as the waiter holds it, too:
///
///     uint32_t before, now;
///     interproc_cond_signals(&shop->arrived, &before);
///     do {
///         if (interrupted())
///             break;
///         interproc_deadline_after(50000000, &slice);
///         rc = interproc_cond_timedwait(&shop->arrived, &shop->lock, &slice);
///         interproc_cond_signals(&shop->arrived, &now);
///     } while ((rc == 0 || rc == ETIMEDOUT) && now == before);     // or: while the condition is false
///     signalled = now != before;                                   // what the binding's own wait returns
///
/// When somebody dies: a killed waiter takes no signal along. A thread that is killed between its change and its
/// signal, lock held, leaves nobody asleep: all waiters wake, and the first gets the lock by EOWNERDEAD from its wait.
/// One that is killed after it has unlocked and before it has signalled wakes those that are asleep: for a guarantee,
/// signal before you unlock.
#[repr(C)]
pub struct interproc_cond_t {
    /// Private.
    pub private_: [u64; 2],
}

const _: () = {
    assert!(size_of::<interproc_cond_t>() == size_of::<RawCondvar>());
    assert!(align_of::<interproc_cond_t>() == align_of::<RawCondvar>());
};

/// The calling thread's member and the condition variable. NULL lies in no segment, so it needs no check of its own.
///
/// # Safety
/// An address in an attached segment is that of a condition variable.
unsafe fn find<'a>(cond: *const interproc_cond_t) -> Result<(&'a Member, &'a RawCondvar)> {
    // SAFETY: by the contract.
    unsafe { placed::find(cond.cast()) }
}

/// The member of both; NULL lies in no segment.
fn both<'a>(here: &Member, me: &'a Member) -> Result<&'a Member> {
    if core::ptr::eq(here, me) {
        Ok(me)
    } else {
        Err(invalid("the condition variable and the mutex are in different segments"))
    }
}

fn answer(waited: Result<Waited>) -> Result<()> {
    let waited = waited?;
    match waited.how {
        Acquired::OwnerDied => Err(ErrorKind::OwnerDied.into()),
        Acquired::Clean if waited.timed_out => Err(ErrorKind::TimedOut.into()),
        Acquired::Clean => Ok(()),
    }
}

/// # Safety
/// As C's callers promise: a condition variable and a mutex.
unsafe fn wait(cond: *mut interproc_cond_t, mutex: *mut interproc_mutex_t, until: Wait) -> Result<()> {
    // SAFETY: by the contract.
    let ((here, cond), (me, lock)) = unsafe { (find(cond)?, mutex::find(mutex)?) };
    answer(cond.wait(both(here, me)?, lock, until.deadline()))
}

/// # Safety
/// As [`wait`].
unsafe fn wait_recursive(
    cond: *mut interproc_cond_t,
    mutex: *mut interproc_recursive_mutex_t,
    until: Wait,
) -> Result<()> {
    // SAFETY: by the contract.
    let ((here, cond), (me, lock)) = unsafe { (find(cond)?, recursive_mutex::find(mutex)?) };
    answer(cond.wait_recursive(both(here, me)?, lock, until.deadline()))
}

/// Makes a condition variable that nobody waits for. Needed only for memory in a segment that held something else
/// before. Nobody else may use the memory meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_cond_init(cond: *mut interproc_cond_t) -> c_int {
    // SAFETY: by C's contract the memory is a condition variable's and unused.
    report(unsafe { find(cond) }.map(|_| unsafe { cond.cast::<RawCondvar>().write(RawCondvar::new()) }))
}

/// Ends the use of a condition variable before its memory is used for something else: nobody waits and nobody will wait
/// or signal again. The memory is left as one that nobody waits for. It needs no destroying before its segment is
/// closed.
///
/// @return 0; EBUSY: somebody is asleep here, and nothing was changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_cond_destroy(cond: *mut interproc_cond_t) -> c_int {
    // SAFETY: by C's contract it is a condition variable.
    report(unsafe { find(cond) }.and_then(|(_, raw)| {
        if raw.may_have_waiters() && raw.sleepers() > 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        // SAFETY: by C's contract nobody uses it any more.
        unsafe { cond.cast::<RawCondvar>().write(RawCondvar::new()) };
        Ok(())
    }))
}

/// Unlocks the mutex, which the calling thread holds, waits for a signal, and locks it again. Unlocking and falling
/// asleep are one step: no signal that is sent under the lock afterwards is missed.
///
/// @return 0: the mutex is held again. Look at the condition, which may be false.
/// EOWNERDEAD: it is held again, and its last owner died holding it: repair the data, call
/// interproc_mutex_consistent(), look at the condition. Also at once, without a wait, when the lock was got with
/// EOWNERDEAD and is not marked consistent.
/// ENOTRECOVERABLE: the mutex became unusable; it is not held.
/// EPERM: the calling thread did not hold the mutex. EINVAL also when they lie in two segments, or somebody waits with
/// another mutex; the mutex is held as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_cond_wait(
    cond: *mut interproc_cond_t,
    mutex: *mut interproc_mutex_t,
) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { wait(cond, mutex, Wait::ForEver) })
}

/// As interproc_cond_wait(), until `abstime`: then ETIMEDOUT, and the mutex is held. Locking the mutex again is not
/// limited. A time in the past unlocks and locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_cond_timedwait(
    cond: *mut interproc_cond_t,
    mutex: *mut interproc_mutex_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract; abstime is NULL or a timespec.
    unsafe { timed(abstime, |until| report(wait(cond, mutex, until))) }
}

/// As interproc_cond_timedwait(), with a recursive mutex: unlocks it completely, however often the calling thread holds
/// it, and locks it again as often. So functions further up the stack that hold it, too, may find the data changed.
///
///     interproc_recursive_mutex_lock(&account->lock);       // its caller may hold it, too
///     while (account->cents < cents && rc == 0)
///         rc = interproc_cond_wait_recursive(&account->paid_in, &account->lock, NULL);
///
/// @return As interproc_cond_timedwait(). EOWNERDEAD: it is held as often as before, and the last owner, whatever its
/// depth was, died holding it; call interproc_recursive_mutex_consistent(). ENOTRECOVERABLE only to one that held it
/// once; to one that held it twice or more EOWNERDEAD, and the mutex is held: the caller's callers count on it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_cond_wait_recursive(
    cond: *mut interproc_cond_t,
    mutex: *mut interproc_recursive_mutex_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract; abstime is NULL or a timespec.
    report(unsafe { until(abstime).and_then(|wait| wait_recursive(cond, mutex, wait)) })
}

/// Wakes one of the waiters, if there are any. Best called with the mutex held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_cond_signal(cond: *mut interproc_cond_t) -> c_int {
    // SAFETY: by C's contract it is a condition variable.
    report(unsafe { find(cond) }.map(|(me, raw)| raw.notify_one(me)))
}

/// Wakes all waiters: one now, each of the others when it can have the mutex. Best called with the mutex held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_cond_broadcast(cond: *mut interproc_cond_t) -> c_int {
    // SAFETY: by C's contract it is a condition variable.
    report(unsafe { find(cond) }.map(|(me, raw)| raw.notify_all(me)))
}

/// How many times it was signalled, to one or to all, while somebody waited: a number that wraps after 2147483647.
/// Taken with the mutex held before a wait and after it, or after several in slices, equal numbers say that nobody has
/// signalled meanwhile: the wait ended without. The number does not say for whom a signal was: another waiter that
/// wakes at the same time sees it change, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_cond_signals(cond: *const interproc_cond_t, signals: *mut u32) -> c_int {
    // SAFETY: by C's contract it is a condition variable, and signals is NULL or writable.
    report(unsafe { find(cond) }.and_then(|(_, raw)| {
        // SAFETY: as above.
        unsafe { output(signals, "signals") }.map(|signals| signals.set(raw.notifications()))
    }))
}
