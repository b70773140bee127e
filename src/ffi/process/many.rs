//! Several children at a time, and those that nobody has a handle of.

use super::{interproc_exit_t, interproc_process_t};
use crate::error::Result;
use crate::fallible;
use crate::ffi::arguments::{list, output, tell};
use crate::ffi::call;
use crate::ffi::handle::open;
use crate::ffi::time::until;
use crate::process::{self, Child, wait_all, wait_all_until, wait_any, wait_any_until};
use crate::time::Wait;
use core::ffi::c_int;
use std::vec::Vec;

/// The children behind a list of handles.
///
/// # Safety
/// NULL, or `count` pointers as for [`open`].
unsafe fn children<'a>(processes: *const *const interproc_process_t, count: usize) -> Result<Vec<&'a Child>> {
    // SAFETY: by the contract.
    let handles = unsafe { list(processes, count, "processes") }?;
    let mut children = Vec::new();
    fallible::reserve(&mut children, handles.len())?;
    for &handle in handles {
        // SAFETY: by the contract.
        children.push(unsafe { open(handle) }?);
    }
    Ok(children)
}

/// Waits until `abstime` for the end of one of `count` children: `*index` becomes its place in the list, from 0, `*end`
/// how it ended. Joined ones count as ended: leave them out. `end` may be NULL.
///
/// @return 0; ETIMEDOUT: all still run; ECHILD: one was reaped by other code; EPERM: one is this process's parent's;
/// EINVAL also when count is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_wait_any(
    processes: *const *const interproc_process_t,
    count: usize,
    abstime: *const libc::timespec,
    index: *mut usize,
    end: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let index = output(index, "index")?;
        let children = children(processes, count)?;
        let (place, status) = match until(abstime)? {
            Wait::Until(deadline) => wait_any_until(&children, deadline)?,
            _ => wait_any(&children)?,
        };
        index.set(place);
        tell(end, status.into());
        Ok(())
    })
}

/// Waits until `abstime` for the end of all of `count` children; `ends` has room for `count` results in the same order,
/// or is NULL.
///
/// @return 0; ETIMEDOUT: one still runs, and none was told; otherwise as interproc_process_wait_any().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_wait_all(
    processes: *const *const interproc_process_t,
    count: usize,
    abstime: *const libc::timespec,
    ends: *mut interproc_exit_t,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let children = children(processes, count)?;
        let all = match until(abstime)? {
            Wait::Until(deadline) => wait_all_until(&children, deadline)?,
            _ => wait_all(&children)?,
        };
        if !ends.is_null() {
            all.into_iter().enumerate().for_each(|(n, status)| ends.add(n).write(status.into()));
        }
        Ok(())
    })
}

/// Reaps the ended children among those whose handles were closed while they ran, and says how many; `count` may be
/// NULL. Never waits, and never takes a child that somebody still has a handle of or that other code started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_process_reap(count: *mut usize) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        tell(count, process::reap());
        Ok(())
    })
}

/// Sets whether orphaned descendants of this process become its children, instead of init's, from now on.
///
/// @return 0; EINVAL and the like in sandboxes that forbid it.
#[unsafe(no_mangle)]
pub extern "C" fn interproc_adopt_orphans(adopt: bool) -> c_int {
    call(|| process::adopt_orphans(adopt))
}

/// Reaps the ended children of this process that nobody in it has a pidfd of: its adopted orphans. Skips the
/// `except_count` process ids in `except`: children that other code of this process waits for by pid. `*count` becomes
/// the number reaped; `count` may be NULL. Never waits.
///
/// @return 0; ENOTSUP: /proc is missing or shows another PID namespace; EINVAL: except is NULL with a count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interproc_reap_orphans(
    except: *const i32,
    except_count: usize,
    count: *mut usize,
) -> c_int {
    // SAFETY: by C's contract.
    call(|| unsafe {
        let except =
            fallible::collected(list(except, except_count, "except")?.iter().map(|&pid| pid as u32))?;
        tell(count, process::reap_orphans(&except)?.len());
        Ok(())
    })
}
