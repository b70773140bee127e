//! The recursive robust mutex.

use super::error::report;
use super::placed::{self, acquired};
use super::time::timed;
use super::who::{self, interproc_who_t};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, view};
use crate::sync::RawRecursiveMutex;
use core::ffi::c_int;
use libc::timespec;

/// A robust mutex that its holder may lock again: as interproc_mutex_t, and it is free after as many unlocks as locks.
///
/// It lies in a segment, alone or as a member of a structure of yours. All-zero bytes are an unlocked one. A Rust
/// program sees it as a `sync::RecursiveMutex` whose value is the bytes behind it.
///
///     static int withdraw(account_t *account, long cents)       // also called by transfer(), which locks, too
///     {
///         int rc = interproc_recursive_mutex_lock(&account->lock);
///         if (rc == EOWNERDEAD)
///             rc = repair(account) ? interproc_recursive_mutex_consistent(&account->lock) : EIO;
///         if (rc != 0)
///             return rc;
///         account->cents -= cents;
///         return interproc_recursive_mutex_unlock(&account->lock);
///     }
///
/// When a holder dies, at whatever depth, the next locker gets the lock at depth one and is told by EOWNERDEAD.
#[repr(C)]
pub struct interproc_recursive_mutex_t {
    /// Private.
    pub private_: [u64; 3],
}

const _: () = {
    assert!(size_of::<interproc_recursive_mutex_t>() == size_of::<RawRecursiveMutex>());
    assert!(align_of::<interproc_recursive_mutex_t>() == align_of::<RawRecursiveMutex>());
};

/// The calling thread's member and the mutex. NULL lies in no segment, so it needs no check of its own.
///
/// # Safety
/// An address in an attached segment is that of a mutex.
#[inline(always)]
pub(super) unsafe fn find<'a>(
    mutex: *const interproc_recursive_mutex_t,
) -> Result<(&'a Member, &'a RawRecursiveMutex)> {
    // SAFETY: by the contract.
    unsafe { placed::find(mutex.cast()) }
}

/// Makes an unlocked mutex; see interproc_mutex_init().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_recursive_mutex_init(mutex: *mut interproc_recursive_mutex_t) -> c_int {
    // SAFETY: by C's contract the memory is a mutex's and unused.
    report(
        unsafe { find(mutex) }
            .map(|_| unsafe { mutex.cast::<RawRecursiveMutex>().write(RawRecursiveMutex::new()) }),
    )
}

/// Ends the use of a mutex before its memory is used for something else; see interproc_mutex_destroy().
///
/// @return 0; EBUSY: another living thread holds it, and nothing was changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_recursive_mutex_destroy(mutex: *mut interproc_recursive_mutex_t) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    report(unsafe { find(mutex) }.and_then(|(me, raw)| {
        let other = raw.owner().filter(|&owner| owner != me.id());
        if other.is_some_and(|owner| me.lives(owner)) {
            return Err(ErrorKind::WouldBlock.into());
        }
        // SAFETY: by C's contract nobody uses it any more.
        unsafe { mutex.cast::<RawRecursiveMutex>().write(RawRecursiveMutex::new()) };
        Ok(())
    }))
}

/// Locks, or once more if the calling thread holds it; waits as long as it takes.
///
/// @return 0: the calling thread holds it, once more.
/// EOWNERDEAD: the calling thread holds it, once, and its last owner died holding it. Repair the data, call
/// interproc_recursive_mutex_consistent(), go on.
/// ENOTRECOVERABLE: a lock got with EOWNERDEAD was unlocked without interproc_recursive_mutex_consistent().
/// EOVERFLOW: the calling thread holds it 65535 times already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_recursive_mutex_lock(mutex: *mut interproc_recursive_mutex_t) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    acquired(unsafe { find(mutex) }.and_then(|(me, raw)| raw.lock(me, None)))
}

/// As interproc_recursive_mutex_lock(), but never waits: EBUSY when another living thread holds it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_recursive_mutex_trylock(mutex: *mut interproc_recursive_mutex_t) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    acquired(unsafe { find(mutex) }.and_then(|(me, raw)| raw.try_lock(me)))
}

/// As interproc_recursive_mutex_lock(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_recursive_mutex_timedlock(
    mutex: *mut interproc_recursive_mutex_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract it is a mutex, and abstime is NULL or a timespec.
    unsafe {
        timed(abstime, |wait| acquired(find(mutex).and_then(|(me, raw)| raw.lock(me, wait.deadline()))))
    }
}

/// Unlocks once; the last one frees it. If it was got with EOWNERDEAD and not marked consistent, it then becomes
/// unusable: everybody gets ENOTRECOVERABLE from then on.
///
/// @return 0; EPERM: the calling thread does not hold it: also one unlock too many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_recursive_mutex_unlock(mutex: *mut interproc_recursive_mutex_t) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    report(unsafe { find(mutex) }.and_then(|(me, raw)| raw.unlock(me)))
}

/// Says that the data is whole again. For a holder that got the lock with EOWNERDEAD, at any depth.
///
/// @return 0; EPERM: the calling thread does not hold it; EINVAL also when it was not got with EOWNERDEAD, or marked
/// already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_recursive_mutex_consistent(
    mutex: *mut interproc_recursive_mutex_t,
) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    report(unsafe { find(mutex) }.and_then(|(me, raw)| raw.mark_consistent(me)))
}

/// Who holds it, dead or alive: a snapshot. A dead holder is named until the next locker has inherited it. The caller
/// need not be a member of the segment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_recursive_mutex_holder(
    mutex: *const interproc_recursive_mutex_t,
    holder: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract it is one, and holder NULL or writable.
    unsafe {
        who::holder(holder, || {
            let raw = who::looked_up(mutex.cast::<RawRecursiveMutex>())?;
            view::who(mutex.cast(), raw.owner())
        })
    }
}
