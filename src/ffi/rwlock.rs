//! The robust reader-writer lock.

use super::error::report;
use super::placed::{acquired, at};
use super::time::{FOR_EVER, NEVER, TIMED, timed};
use super::who::{self, interproc_who_t};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member, OwnerId, view};
use crate::sync::{Entered, RawRwLock};
use crate::time::Wait;
use core::ffi::c_int;
use libc::timespec;

/// A robust reader-writer lock: many readers or one writer, threads of any processes, which survives the death of any.
///
/// It lies in a segment, alone or as a member of a structure of yours (see interproc_segment_object()). All-zero bytes
/// are an unlocked lock, so one in a new object needs no initialisation. A Rust program sees it as a `sync::RwLock`
/// whose value is the bytes behind it, or as a `raw::sync::RawRwLock`. Place it at a multiple of 64 if you can.
///
/// When a reader dies, its hold is gone and nobody is told. When a writer dies (the thread or its process, by any
/// cause, at any instruction) the next one, reader or writer, gets the lock *for writing* within microseconds and is
/// told by EOWNERDEAD: it repairs the data, says so by interproc_rwlock_consistent(), and goes on; a reader by
/// interproc_rwlock_downgrade() or as the writer that it is.
///
///     int rc = interproc_rwlock_rdlock(&prices->lock);
///     if (rc == EOWNERDEAD) {
///         repair(prices);
///         rc = interproc_rwlock_consistent(&prices->lock);
///         if (rc == 0)
///             rc = interproc_rwlock_downgrade(&prices->lock);
///     }
///     if (rc == 0) {
///         use(prices);
///         interproc_rwlock_unlock(&prices->lock);
///     }
///
/// Once a writer waits, new readers wait behind it. A thread that reads may lock for reading again at any time without
/// waiting, and unlocks as often. The thread that locks is the one that unlocks, in any order. A forked child owns
/// nothing that its parent holds. Reading or writing while nobody is in the way makes no system call, but for the first
/// write after a long time of reading.
#[repr(C)]
pub struct interproc_rwlock_t {
    /// Private.
    pub private_: [u64; 8],
}

const _: () = {
    assert!(size_of::<interproc_rwlock_t>() == size_of::<RawRwLock>());
    assert!(align_of::<interproc_rwlock_t>() == align_of::<RawRwLock>());
};

/// The calling thread's member and the lock at an address. NULL lies in no segment, so it needs no check of its own.
///
/// # Safety
/// An address in an attached segment is that of a reader-writer lock.
#[inline(always)]
unsafe fn find<'a>(lock: *const interproc_rwlock_t) -> Result<(OwnerId, &'a Member, u64, &'a RawRwLock)> {
    let (id, me, name) = member::current_at(lock.cast())?;
    // SAFETY: in a mapped segment by the look-up; the rest by the contract.
    Ok((id, me, name, unsafe { at(lock.cast()) }?))
}

/// # Safety
/// As [`find`].
#[inline(always)]
unsafe fn read<const FORM: u8>(lock: *const interproc_rwlock_t, wait: Wait) -> c_int {
    // SAFETY: by the contract.
    acquired(
        unsafe { find(lock) }
            .and_then(|(id, me, name, raw)| raw.read_as(id, me, name, wait).map(Entered::told)),
    )
}

/// # Safety
/// As [`find`].
#[inline(always)]
unsafe fn write<const FORM: u8>(lock: *const interproc_rwlock_t, wait: Wait) -> c_int {
    // SAFETY: by the contract.
    acquired(unsafe { find(lock) }.and_then(|(id, me, _, raw)| raw.write_as(id, me, wait)))
}

/// Makes an unlocked lock. Needed only for memory in a segment that held something else before: zeroed memory is an
/// unlocked lock already. Nobody else may use the memory meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_init(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract the memory is a lock's and unused.
    report(unsafe { find(rwlock) }.map(|_| unsafe { rwlock.cast::<RawRwLock>().write(RawRwLock::new()) }))
}

/// Ends the use of a lock before its memory is used for something else. The caller holds it for writing, or nobody
/// holds it; nobody waits for it or will lock it again. What others did with it before is over: a thread whose unlock
/// let you write does not touch it any more. The memory is left as an unlocked lock. A lock needs no destroying before
/// its segment is closed or unlinked.
///
/// @return 0; EBUSY: a living thread reads it, or another one writes, and nothing was changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_destroy(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract it is a reader-writer lock.
    report(unsafe { find(rwlock) }.and_then(|(id, me, _, raw)| {
        let other = raw.writer().filter(|&writer| writer != id);
        let mut used = other.is_some_and(|writer| me.lives(writer));
        raw.for_each_reader(me, |_, _| used = true);
        if used {
            return Err(ErrorKind::WouldBlock.into());
        }
        // SAFETY: by C's contract nobody uses it any more.
        unsafe { rwlock.cast::<RawRwLock>().write(RawRwLock::new()) };
        Ok(())
    }))
}

/// Locks for reading, waiting as long as it takes.
///
/// @return 0: the calling thread reads.
/// EOWNERDEAD: the calling thread *writes*: the last writer died. Repair the data, call interproc_rwlock_consistent(),
/// then interproc_rwlock_downgrade() or interproc_rwlock_unlock().
/// ENOTRECOVERABLE: a lock got with EOWNERDEAD was unlocked without interproc_rwlock_consistent(); it is unusable until
/// interproc_rwlock_init().
/// EDEADLK: the calling thread writes it.
/// ENOLCK: six other readers are there, and the calling thread reads 16 other such locks; or it reads this one 32,767
/// times.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_rdlock(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract it is a reader-writer lock.
    unsafe { read::<FOR_EVER>(rwlock, Wait::ForEver) }
}

/// As interproc_rwlock_rdlock(), but never waits: EBUSY when another living thread writes, or waits or tries to. A
/// thread in the middle of interproc_rwlock_trywrlock() counts as a writer, even if it is about to be refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_tryrdlock(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract it is a reader-writer lock.
    unsafe { read::<NEVER>(rwlock, Wait::Never) }
}

/// As interproc_rwlock_rdlock(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_timedrdlock(
    rwlock: *mut interproc_rwlock_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract abstime is NULL or a timespec, and the other a reader-writer lock.
    unsafe { timed(abstime, |wait| read::<TIMED>(rwlock, wait)) }
}

/// Locks for writing, waiting as long as it takes.
///
/// @return 0: the calling thread writes.
/// EOWNERDEAD: the calling thread writes, and the last writer died. Repair the data, call
/// interproc_rwlock_consistent(), go on.
/// ENOTRECOVERABLE: a lock got with EOWNERDEAD was unlocked without interproc_rwlock_consistent(); it is unusable until
/// interproc_rwlock_init().
/// EDEADLK: the calling thread reads or writes it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_wrlock(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract it is a reader-writer lock.
    unsafe { write::<FOR_EVER>(rwlock, Wait::ForEver) }
}

/// As interproc_rwlock_wrlock(), but never waits: EBUSY when another living thread reads or writes, or waits to write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_trywrlock(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract it is a reader-writer lock.
    unsafe { write::<NEVER>(rwlock, Wait::Never) }
}

/// As interproc_rwlock_wrlock(), until `abstime`: then ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_timedwrlock(
    rwlock: *mut interproc_rwlock_t,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract abstime is NULL or a timespec, and the other a reader-writer lock.
    unsafe { timed(abstime, |wait| write::<TIMED>(rwlock, wait)) }
}

/// Unlocks once, whichever way the calling thread holds it. If it was got with EOWNERDEAD and not marked consistent, it
/// becomes unusable: everybody, waiters included, gets ENOTRECOVERABLE from then on.
///
/// Once it is released, the memory is neither read nor written: the next writer may destroy it.
///
/// @return 0; EPERM: the calling thread does not hold it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_unlock(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract it is a reader-writer lock.
    report(unsafe { find(rwlock) }.and_then(|(id, me, name, raw)| raw.unlock_as(id, me, name)))
}

/// Turns the calling thread's write lock into a read lock. No writer comes in between; other readers may.
///
/// @return 0; EPERM: the calling thread does not write; EINVAL also when it was got with EOWNERDEAD and not marked
/// consistent: nothing was changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_downgrade(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract it is a reader-writer lock.
    report(unsafe { find(rwlock) }.and_then(|(id, me, name, raw)| raw.downgrade_as(id, me, name).map(drop)))
}

/// Says that the data is whole again. For a thread that got the lock with EOWNERDEAD.
///
/// @return 0; EPERM: the calling thread does not write; EINVAL also when it was not got with EOWNERDEAD, or marked
/// already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_consistent(rwlock: *mut interproc_rwlock_t) -> c_int {
    // SAFETY: by C's contract it is a reader-writer lock.
    report(unsafe { find(rwlock) }.and_then(|(_, me, _, raw)| raw.mark_consistent(me)))
}

/// Who holds it: the writer, dead or alive, or the living readers, each once: a snapshot, in which a reader that is on
/// its way in may be seen. A dead writer is named until the next one has inherited the lock. A writer that waits for
/// readers holds nothing: see interproc_rwlock_writer(). The caller need not be a member of the segment.
///
///     interproc_who_t by[8];
///     size_t found;
///     if (interproc_rwlock_holders(&prices->lock, by, 8, &found) == 0)
///         for (size_t i = 0; i < found && i < 8; i++)
///             printf("held by %d.%d %s\n", by[i].pid, by[i].tid, by[i].name);
///
/// Fills in at most `room` of them; `*found` becomes the number that there are. With no room `holders` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_holders(
    lock: *const interproc_rwlock_t,
    holders: *mut interproc_who_t,
    room: usize,
    found: *mut usize,
) -> c_int {
    // SAFETY: by C's contract it is a lock, and the places are NULL or writable.
    unsafe {
        who::holders(holders, room, found, || {
            let raw = who::looked_up(lock.cast::<RawRwLock>())?;
            view::all(lock.cast(), |table, name| raw.holders(table, name))
        })
    }
}

/// The thread that writes, or is waiting for readers to finish so that it can write, dead or alive: a snapshot. A dead
/// one is named until the next has the lock. The caller need not be a member of the segment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_rwlock_writer(
    lock: *const interproc_rwlock_t,
    writer: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract it is one, and writer NULL or writable.
    unsafe {
        who::holder(writer, || {
            let raw = who::looked_up(lock.cast::<RawRwLock>())?;
            view::who(lock.cast(), raw.writer())
        })
    }
}
