//! Orphans: descendants of this process whose parents have ended.

use super::handle;
use super::status::ExitStatus;
use crate::fallible;
use crate::sys::{pidfd, settings, task};
use crate::{Error, ErrorKind, Result};
use std::vec::Vec;

/// Makes this process adopt the orphans among its descendants instead of init: when one of its descendants ends, that
/// process's children become this one's. They keep their pids, and this process must reap them ([`reap_orphans`]) and end
/// them if it wants them ended.
///
/// It holds for the whole process until it ends or passes `false`. Children do not inherit it.
///
/// # Errors
/// None since Linux 3.4, unless a sandbox forbids it.
///
/// # Examples
/// ```
/// use interproc::process::{self, Process, adopt_orphans, reap_orphans};
/// adopt_orphans(true)?;
/// let middle = process::fork(|| drop(process::fork(|| 7)))?; // it leaves its child behind
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

/// Reaps the ended children of this process that nothing in it waits for, and returns their pids and how they ended. It
/// never waits.
///
/// It leaves alone the children of which this process has a pidfd (those with a [`Child`](super::Child) handle, dropped
/// children that the library remembers, and other code's that uses pidfds), and those in `except`. Put into `except` the
/// children that *other code in this process* started and waits for by number, such as `std::process`: the kernel does not
/// tell an adopted child from one's own.
///
/// It needs /proc, and looks through this process's descriptors if there is an ended child.
///
/// # Errors
/// [`ErrorKind::Unsupported`]: /proc is missing or shows another PID namespace.
pub fn reap_orphans(except: &[u32]) -> Result<Vec<(u32, ExitStatus)>> {
    let (mut reaped, mut held) = (Vec::new(), None::<Vec<u32>>);
    let children = handle::children_of(std::process::id())?;
    // Reserved now, because a child that is reaped must be reported.
    fallible::reserve(&mut reaped, children.len())?;
    for pid in children {
        if except.contains(&pid) || !pidfd::number_has_ended(pid as i32).map_err(Error::from_errno)? {
            continue;
        }
        // Looked up after the child was seen to have ended: code that makes a pidfd for it later does not know it as a
        // running child.
        let held = match &mut held {
            Some(held) => held,
            None => held.insert(held_by_fd()?),
        };
        if held.contains(&pid) {
            continue;
        }
        match pidfd::collect_number(pid as i32) {
            Ok(Some(ended)) => reaped.push((pid, ExitStatus::new(ended.status))),
            // Reaped by somebody else just now.
            Ok(None) | Err(libc::ECHILD) => {}
            Err(errno) => return Err(Error::from_errno(errno)),
        }
    }
    Ok(reaped)
}

/// The pids of the processes of which this process has pidfds.
fn held_by_fd() -> Result<Vec<u32>> {
    let (mut held, mut kept) = (Vec::new(), Ok(()));
    let looked = task::any_number_in(c"/proc/self/fdinfo", |fd| {
        if let Some(pid) = task::pid_behind(fd) {
            kept = fallible::push(&mut held, pid);
        }
        kept.is_err()
    });
    looked.map_err(|errno| match errno {
        libc::ENOENT => Error::from(ErrorKind::Unsupported).with_detail("/proc/self/fdinfo"),
        errno => Error::from_errno(errno).with_detail("/proc/self/fdinfo"),
    })?;
    kept.map(|()| held)
}
