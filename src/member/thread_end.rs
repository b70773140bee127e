//! The end of a thread, not of one that a bare system call ends.
//!
//! Its slots are left to the kernel, which marks them: its death. But a slot with [guards](super::Member::guard_begins), which
//! the thread can only have leaked, becomes the process's ([`Domain::keep`](super::Domain::keep)), as references to what it
//! holds may be anywhere in the process. The destructor of a thread-specific value does this, in the last round of such
//! destructors, so that guards in thread-locals are dropped before.
#![allow(unsafe_code)]

use super::attachment::Lock;
use super::local::{LOCAL, Local, Record, records};
use crate::error::{Error, Result};
use crate::sys::call::KeepErrno;
use crate::sys::task;
use core::sync::atomic::{AtomicU32, Ordering};

/// The key of the value whose destructor runs when a thread ends, plus one; 0: not made yet. (A thread-local destructor would not
/// do: the C library ends the process if it has no memory to register one, and it would run before those of guards.)
static END_KEY: AtomicU32 = AtomicU32::new(0);
/// How many slots of ended threads belong to the process.
pub(super) static KEPT: AtomicU32 = AtomicU32::new(0);

/// The calling thread ends in good order: see [`Member::end_well`](super::Member::end_well).
pub(crate) fn end_well() {
    let _ = LOCAL.try_with(|local| records(local).for_each(|r| r.member.end_well()));
}

/// How often the destructors of thread-specific values run at the end of a thread: at least by POSIX, exactly in glibc and
/// musl. The last round comes after all others.
const LAST_ROUND: usize = 4;

/// Makes the key once, before the process's lock is taken.
pub(super) fn make_end_key() -> Result<()> {
    if END_KEY.load(Ordering::Acquire) != 0 {
        return Ok(());
    }
    pin();
    let mut key = 0;
    // SAFETY: `key` is writable, and the destructor stays mapped.
    let errno = unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ends)) };
    if errno != 0 {
        return Err(Error::from_errno(errno));
    }
    if END_KEY.compare_exchange(0, key + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        // SAFETY: made above, and used by nobody.
        unsafe { libc::pthread_key_delete(key) };
        return Ok(());
    }
    extern "C" fn process_ends() {
        end_well();
    }
    // For the thread whose exit ends the process. If this fails, its end counts as a death, which wakes some threads needlessly.
    // SAFETY: the function stays, as the library does, and takes nothing.
    unsafe { libc::atexit(process_ends) };
    Ok(())
}

/// Keeps the library that contains this code mapped: closing a plugin must not take the destructor away from threads that still
/// run.
fn pin() {
    use core::ffi::{c_char, c_int, c_void};
    // SAFETY: the function that has this name, with its signature; none if the pointer is NULL. All-zero is a valid `Dl_info`;
    // the name is a C string if the call says so. The handle is not closed.
    unsafe {
        // By name: in a static program there is no such function, and nothing to pin, and the linker would warn about a direct
        // reference.
        let dlopen = libc::dlsym(libc::RTLD_DEFAULT, c"dlopen".as_ptr());
        let dlopen: Option<unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void> =
            core::mem::transmute(dlopen);
        let Some(dlopen) = dlopen else { return };
        let mut info: libc::Dl_info = core::mem::zeroed();
        if libc::dladdr(thread_ends as *const c_void, &raw mut info) != 0 && !info.dli_fname.is_null() {
            // For a program this is an error: it stays mapped anyway.
            dlopen(info.dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

/// Arranges for [`thread_ends`] to be called for this thread.
pub(super) fn look_at_thread_end() -> Result<()> {
    let key = END_KEY.load(Ordering::Acquire).wrapping_sub(1);
    // SAFETY: the key was made by `attach`, which every mapping has come through.
    unsafe {
        if libc::pthread_getspecific(key).is_null() {
            let errno = libc::pthread_setspecific(key, core::ptr::without_provenance(1));
            if errno != 0 {
                return Err(Error::from_errno(errno));
            }
        }
    }
    Ok(())
}

/// At the end of a thread: it ends in good order, and what its leaked guards hold stays held as long as the process lives.
unsafe extern "C" fn thread_ends(round: *mut core::ffi::c_void) {
    if round.addr() < LAST_ROUND {
        let next = core::ptr::without_provenance(round.addr() + 1);
        let key = END_KEY.load(Ordering::Acquire).wrapping_sub(1);
        // SAFETY: the key is there as long as the process.
        if unsafe { libc::pthread_setspecific(key, next) } == 0 {
            return;
        }
    }
    end_well();
    if !LOCAL.try_with(|local| records_with_guards(local).next().is_some()).unwrap_or(false) {
        return;
    }
    let _errno = KeepErrno::new();
    let _quiet = task::SignalsBlocked::new();
    let _lock = Lock::take();
    let _ = LOCAL.try_with(|local| {
        for record in records_with_guards(local) {
            // SAFETY: a home stays until its last member is gone; the member is this thread's, which ends.
            unsafe { (*record.home).domain.keep(&record.member) };
            KEPT.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// The calling thread's records whose member has guards.
fn records_with_guards(local: &Local) -> impl Iterator<Item = &'static Record> {
    records(local).filter(|r| r.member.guards.get() != 0)
}

/// Whether the calling thread has guards, or a thread that has ended leaked some.
pub(crate) fn has_guards() -> bool {
    KEPT.load(Ordering::Relaxed) != 0
        || LOCAL.try_with(|local| records_with_guards(local).next().is_some()).unwrap_or(false)
}
