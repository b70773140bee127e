//! The robust mutex.

use super::error::{fail, report};
use super::placed::{self, acquired, at};
use super::time::timed;
use super::who::{self, interproc_who_t};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member, view};
use crate::sync::{Acquired, RawMutex};
use core::ffi::c_int;
use libc::timespec;

/// A robust mutex: mutual exclusion between threads of any processes, which survives the death of its holder.
///
/// It lies in a segment, alone or as a member of a structure of yours (see interproc_segment_object()). All-zero bytes
/// are an unlocked mutex, so one in a new object needs no initialisation. A Rust program sees it as a `sync::Mutex`
/// whose value is the bytes behind it, or as a `raw::sync::RawMutex`.
///
/// When a holder dies (the thread or its process, by any cause, at any instruction) the next locker gets the lock
/// within microseconds and is told by EOWNERDEAD: it holds the lock, repairs the data, says so by
/// interproc_mutex_consistent(), and goes on.
///
///     int rc = interproc_mutex_lock(&shop->lock);
///     if (rc == EOWNERDEAD) {
///         repair(shop);
///         rc = interproc_mutex_consistent(&shop->lock);
///     }
///     if (rc == 0) {
///         shop->tickets--;
///         interproc_mutex_unlock(&shop->lock);
///     }
///
/// The thread that locks is the one that unlocks. A forked child owns nothing that its parent holds. Locking and
/// unlocking while nobody else wants the lock makes no system call.
#[repr(C)]
pub struct interproc_mutex_t {
    /// Private.
    pub private_: [u64; 2],
}

const _: () = {
    assert!(size_of::<interproc_mutex_t>() == size_of::<RawMutex>());
    assert!(align_of::<interproc_mutex_t>() == align_of::<RawMutex>());
};

/// The calling thread's member and the mutex. NULL lies in no segment, so it needs no check of its own.
///
/// # Safety
/// An address in an attached segment is that of a mutex.
#[inline(always)]
pub(super) unsafe fn find<'a>(mutex: *const interproc_mutex_t) -> Result<(&'a Member, &'a RawMutex)> {
    // SAFETY: by the contract.
    unsafe { placed::find(mutex.cast()) }
}

/// Makes an unlocked mutex. Needed only for memory in a segment that held something else before: zeroed memory is an
/// unlocked mutex already. Nobody else may use the memory meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_mutex_init(mutex: *mut interproc_mutex_t) -> c_int {
    // SAFETY: by C's contract the memory is a mutex's and unused.
    report(unsafe { find(mutex) }.map(|_| unsafe { mutex.cast::<RawMutex>().write(RawMutex::new()) }))
}

/// Ends the use of a mutex before its memory is used for something else. The caller holds it, or nobody does; nobody
/// waits for it or will lock it again. What others did with it before is over: a thread whose unlock let you lock it
/// does not touch it any more. The memory is left as an unlocked mutex. A mutex needs no destroying before its segment
/// is closed or unlinked.
///
/// @return 0; EBUSY: another living thread holds it, and nothing was changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_mutex_destroy(mutex: *mut interproc_mutex_t) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    report(unsafe { find(mutex) }.and_then(|(me, raw)| {
        let other = raw.owner().filter(|&owner| owner != me.id());
        if other.is_some_and(|owner| me.lives(owner)) {
            return Err(ErrorKind::WouldBlock.into());
        }
        // SAFETY: by C's contract nobody uses it any more.
        unsafe { mutex.cast::<RawMutex>().write(RawMutex::new()) };
        Ok(())
    }))
}

/// Locks, waiting as long as it takes.
///
/// @return 0: the calling thread holds it.
/// EOWNERDEAD: the calling thread holds it, and its last owner died holding it. Repair the data, call
/// interproc_mutex_consistent(), go on.
/// ENOTRECOVERABLE: a lock got with EOWNERDEAD was unlocked without interproc_mutex_consistent(); it is unusable until
/// interproc_mutex_init().
/// EDEADLK: the calling thread holds it already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_mutex_lock(mutex: *mut interproc_mutex_t) -> c_int {
    let (id, me) = match member::current_id(mutex.cast()) {
        Ok(found) => found,
        Err(error) => return fail(error),
    };
    // SAFETY: by C's contract it is a mutex.
    acquired(
        unsafe { at(mutex.cast::<RawMutex>()) }
            .and_then(|raw| if raw.lock_free(id) { Ok(Acquired::Clean) } else { raw.lock_slow(me, None) }),
    )
}

/// As interproc_mutex_lock(), but never waits: EBUSY when another living thread holds it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_mutex_trylock(mutex: *mut interproc_mutex_t) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    acquired(unsafe { find(mutex) }.and_then(|(me, raw)| raw.try_lock(me)))
}

/// As interproc_mutex_lock(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_mutex_timedlock(
    mutex: *mut interproc_mutex_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract it is a mutex, and abstime is NULL or a timespec.
    unsafe {
        timed(abstime, |wait| acquired(find(mutex).and_then(|(me, raw)| raw.lock(me, wait.deadline()))))
    }
}

/// Unlocks. If it was got with EOWNERDEAD and not marked consistent, it becomes unusable: everybody, waiters included,
/// gets ENOTRECOVERABLE from then on.
///
/// Once it is released, the memory is neither read nor written: the next locker may destroy it.
///
/// @return 0; EPERM: the calling thread does not hold it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_mutex_unlock(mutex: *mut interproc_mutex_t) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    report(unsafe { find(mutex) }.and_then(|(me, raw)| raw.unlock(me)))
}

/// Says that the data is whole again. For a holder that got the lock with EOWNERDEAD.
///
/// @return 0; EPERM: the calling thread does not hold it; EINVAL also when it was not got with EOWNERDEAD, or marked
/// already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_mutex_consistent(mutex: *mut interproc_mutex_t) -> c_int {
    // SAFETY: by C's contract it is a mutex.
    report(unsafe { find(mutex) }.and_then(|(me, raw)| raw.mark_consistent(me)))
}

/// Who holds it, dead or alive: a snapshot. A dead holder is named until the next locker has inherited it. The caller
/// need not be a member of the segment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_mutex_holder(
    mutex: *const interproc_mutex_t,
    holder: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract it is a mutex, and holder NULL or writable. Whether it lies in a segment is asked first.
    unsafe {
        who::holder(holder, || {
            view::who(mutex.cast(), None)?;
            view::who(mutex.cast(), at(mutex.cast::<RawMutex>())?.owner())
        })
    }
}
