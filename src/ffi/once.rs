//! One-time initialisation.

use super::arguments::output;
use super::error::{fail, report};
use super::invalid;
use super::placed;
use super::time::timed;
use super::who::{self, interproc_who_t};
use crate::error::{ErrorKind, Result};
use crate::member::{self, Member, view};
use crate::sync::{Begun, RawOnce};
use crate::time::Wait;
use core::ffi::{c_int, c_void};
use libc::timespec;

/// One-time initialisation among threads of any processes.
///
/// It lies in a segment, alone or as a member of a structure of yours. All-zero bytes are not done. A Rust program sees
/// it as a `sync::Once`.
///
///     static int set_up(void *argument, bool is_retry)
///     {
///         config_t *config = argument;
///         if (is_retry)                              // somebody was killed in here, or failed
///             memset(config, 0, sizeof *config);
///         return read_config(config);                // not 0: the next caller runs it
///     }
///     ...
///     int rc = interproc_once_call(&shared->once, set_up, &shared->config);
///
/// When the thread that does the job dies, a waiter takes it over within microseconds, and is told. Once it is done, a
/// call is one load.
#[repr(C)]
pub struct interproc_once_t {
    /// Private.
    pub private_: [u64; 3],
}

const _: () = {
    assert!(size_of::<interproc_once_t>() == size_of::<RawOnce>());
    assert!(align_of::<interproc_once_t>() == align_of::<RawOnce>());
};

/// The job that runs once. A result other than 0 means that it failed. `is_retry`: an earlier run began, and died or
/// failed.
pub type interproc_once_job_t =
    Option<unsafe extern "C-unwind" fn(argument: *mut c_void, is_retry: bool) -> c_int>;

/// The job is done: nothing to do.
pub const INTERPROC_ONCE_DONE: c_int = 0;
/// The job is the caller's, and nobody has begun it before.
pub const INTERPROC_ONCE_FIRST: c_int = 1;
/// The job is the caller's; an earlier caller began it and died or gave up.
pub const INTERPROC_ONCE_RETRY: c_int = 2;

/// The once at an address.
///
/// # Safety
/// An address in an attached segment is a once's.
#[inline(always)]
unsafe fn at<'a>(once: *const interproc_once_t) -> Result<&'a RawOnce> {
    // SAFETY: by the contract.
    unsafe { placed::open(once.cast()) }.ok_or_else(placed::nothing_there)
}

fn me<'a>(raw: &RawOnce) -> Result<&'a Member> {
    member::current(core::ptr::from_ref(raw).cast())
}

/// Makes it not done. Needed only for memory in a segment that held something else before. Nobody else may use the
/// memory meanwhile, which need not be in a segment yet (see interproc_semaphore_init()).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_once_init(once: *mut interproc_once_t) -> c_int {
    // SAFETY: by C's contract the memory is a once's and unused.
    unsafe { placed::make(once.cast(), RawOnce::new()) }
}

/// The job is given up if it is left by unwinding.
struct Job<'a>(&'a RawOnce, &'a Member);

impl Drop for Job<'_> {
    fn drop(&mut self) {
        let _ = self.0.abandon(self.1);
    }
}

/// # Safety
/// By C's contract of the functions below.
#[cold]
unsafe fn call_slow(
    raw: &RawOnce,
    wait: Wait,
    job: interproc_once_job_t,
    argument: *mut c_void,
) -> core::result::Result<(), c_int> {
    let Some(run) = job else { return Err(fail(invalid("job is NULL"))) };
    let failed = |error| fail(error);
    let me = me(raw).map_err(failed)?;
    let retry = match raw.begin(me, wait.deadline()).map_err(failed)? {
        Begun::Done => return Ok(()),
        begun => begun == Begun::Again,
    };
    let mine = Job(raw, me);
    // SAFETY: by C's contract the job may be called with this argument.
    let result = unsafe { run(argument, retry) };
    if result != 0 {
        return Err(result);
    }
    core::mem::forget(mine);
    raw.done(me).map_err(failed)
}

/// # Safety
/// By C's contract of the functions below.
#[inline]
unsafe fn call(
    once: *mut interproc_once_t,
    job: interproc_once_job_t,
    argument: *mut c_void,
    wait: Wait,
) -> c_int {
    // SAFETY: by the contract.
    match unsafe { at(once) } {
        Ok(raw) if raw.is_done() => 0,
        // SAFETY: by the contract.
        Ok(raw) => unsafe { call_slow(raw, wait, job, argument) }.err().unwrap_or(0),
        Err(error) => fail(error),
    }
}

/// Runs the job if it has not been done, or waits for the thread that does it.
///
/// The job may end by a C++ exception or by cancellation, where it is compiled to unwind: then the next caller runs it.
/// It must not end by longjmp(), and not in a forked child.
///
/// @return 0: it is done, now or earlier.
/// What the job returned, if that is not 0: then the next caller runs it.
/// EDEADLK: called from inside the job.
///
/// The job may be a cancellation point.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn interproc_once_call(
    once: *mut interproc_once_t,
    job: interproc_once_job_t,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: by C's contract.
    unsafe { call(once, job, argument, Wait::ForEver) }
}

/// As interproc_once_call(), but waits for another thread until `abstime`: then ETIMEDOUT, and the job was not run.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn interproc_once_call_until(
    once: *mut interproc_once_t,
    job: interproc_once_job_t,
    argument: *mut c_void,
    abstime: *const timespec,
) -> c_int {
    // SAFETY: by C's contract abstime is NULL or a timespec.
    unsafe { timed(abstime, |wait| call(once, job, argument, wait)) }
}

/// The same without a callback: waits until it is done or the caller's to do. After INTERPROC_ONCE_FIRST and
/// INTERPROC_ONCE_RETRY the caller does the job, and calls interproc_once_finish() or interproc_once_abandon().
///
/// @return 0; EDEADLK: the caller is already running the job.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_once_begin(once: *mut interproc_once_t, begun: *mut c_int) -> c_int {
    // SAFETY: by C's contract begun is NULL or writable, and once NULL or a once.
    report(unsafe { output(begun, "begun") }.and_then(|begun| {
        // SAFETY: as above.
        let raw = unsafe { at(once) }?;
        let found = if raw.is_done() { Begun::Done } else { raw.begin(me(raw)?, None)? };
        begun.set(match found {
            Begun::Done => INTERPROC_ONCE_DONE,
            Begun::First => INTERPROC_ONCE_FIRST,
            Begun::Again => INTERPROC_ONCE_RETRY,
        });
        Ok(())
    }))
}

/// Says that the caller has done the job.
///
/// @return 0; EPERM: it was not the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_once_finish(once: *mut interproc_once_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { at(once) }.and_then(|raw| raw.done(me(raw)?)))
}

/// Gives the job up: the next caller runs it.
///
/// @return 0; EPERM: it was not the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_once_abandon(once: *mut interproc_once_t) -> c_int {
    // SAFETY: by C's contract.
    report(unsafe { at(once) }.and_then(|raw| raw.abandon(me(raw)?)))
}

/// Tells whether it is done.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_once_is_done(once: *const interproc_once_t, is_done: *mut bool) -> c_int {
    // SAFETY: by C's contract it is a once, and is_done is NULL or writable.
    match unsafe { placed::open(once.cast::<RawOnce>()) } {
        Some(raw) if !is_done.is_null() => {
            // SAFETY: as above.
            unsafe { is_done.write(raw.is_done()) };
            0
        }
        _ => ErrorKind::InvalidInput.errno(),
    }
}

/// Which thread runs the job, dead or alive: a snapshot. One that died in it is named until the next has begun. The
/// caller need not be a member of the segment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_once_holder(
    once: *const interproc_once_t,
    holder: *mut interproc_who_t,
) -> c_int {
    // SAFETY: by C's contract it is one, and holder NULL or writable.
    unsafe {
        who::holder(holder, || {
            let raw = who::looked_up(once.cast::<RawOnce>())?;
            view::who(once.cast(), raw.owner())
        })
    }
}
