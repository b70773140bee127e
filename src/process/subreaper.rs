//! Orphans: descendants of this process whose parents have ended.

use super::info;
use super::status::ExitStatus;
use crate::heap;
use crate::sys::{pidfd, settings, task};
use crate::{Error, ErrorKind, Result};
use std::vec::Vec;

/// From now on the orphans among this process's descendants come to it, not to init: when a process ends, its children
/// become this one's, with their pids, and are this one's to reap ([`reap_orphans`]). To end them is its own affair too.
///
/// It holds for the process, all its threads, until it ends or says `false`. Children do not inherit it.
///
/// # Errors
/// None on any kernel since 3.4, but for sandboxes that forbid it.
///
/// # Examples
/// ```
/// use interproc::process::{self, Process, adopt_orphans, reap_orphans};
/// adopt_orphans(true)?;
/// let middle = process::fork(|| drop(process::fork(|| 7)))?; // leaves its child behind
/// middle.join()?;
/// let orphans = loop {
///     let found = reap_orphans(&[])?;
///     if !found.is_empty() { break found }
///     std::thread::yield_now();
/// };
/// assert_eq!(orphans[0].1.code(), Some(7));
/// adopt_orphans(false)?;
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn adopt_orphans(adopt: bool) -> Result<()> {
    settings::subreaper(adopt).map_err(Error::from_errno)
}

/// Reaps the ended children of this process that nobody in it waits for: their pids, and how they ended. Never waits.
///
/// Left alone are those that somebody holds a pidfd of (all [`Child`](super::Child) handles of this process, dropped
/// children that the library still has in mind, and foreign code that uses pidfds), and those in `except`: the
/// children that *other code of this process* has started and waits for by number, such as `std::process`, for the
/// kernel does not tell an adopted child from one's own.
///
/// Needs /proc, and looks through this process's descriptors when there is an ended child.
///
/// # Errors
/// [`ErrorKind::Unsupported`]: /proc is missing or shows another PID namespace.
pub fn reap_orphans(except: &[u32]) -> Result<Vec<(u32, ExitStatus)>> {
    let (mut reaped, mut held) = (Vec::new(), None::<Vec<u32>>);
    let children = info::children_of(std::process::id())?;
    // Now, as nobody could be told of a child that is gone.
    heap::reserve(&mut reaped, children.len())?;
    for pid in children {
        if except.contains(&pid) || !pidfd::number_has_ended(pid as i32).map_err(Error::from_errno)? {
            continue;
        }
        // Looked up after the child was seen to have ended: a pidfd that is made for it later is made by somebody who
        // does not know it as a running child.
        let held = match &mut held {
            Some(held) => held,
            None => held.insert(held_by_fd()?),
        };
        if held.contains(&pid) {
            continue;
        }
        match pidfd::collect_number(pid as i32) {
            Ok(Some(ended)) => reaped.push((pid, ExitStatus::new(ended.status))),
            // Reaped by somebody else in this moment.
            Ok(None) | Err(libc::ECHILD) => {}
            Err(errno) => return Err(Error::from_errno(errno)),
        }
    }
    Ok(reaped)
}

/// The pids of the processes that this process has pidfds of.
fn held_by_fd() -> Result<Vec<u32>> {
    let (mut held, mut kept) = (Vec::new(), Ok(()));
    let looked = task::any_number_in(c"/proc/self/fdinfo", |fd| {
        if let Some(pid) = task::pid_behind(fd) {
            kept = heap::push(&mut held, pid);
        }
        kept.is_err()
    });
    looked.map_err(|errno| match errno {
        libc::ENOENT => Error::from(ErrorKind::Unsupported).with_detail("/proc/self/fdinfo"),
        errno => Error::from_errno(errno).with_detail("/proc/self/fdinfo"),
    })?;
    kept.map(|()| held)
}
