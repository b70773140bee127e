//! Waiting for several children at once.

use super::child::Child;
use super::dropped;
use super::status::ExitStatus;
use crate::fallible;
use crate::sys::pidfd;
use crate::{Deadline, Error, ErrorKind, Result};
use core::borrow::Borrow;
use core::time::Duration;
use std::os::fd::AsFd;
use std::vec::Vec;

/// Waits until one of the children has ended, and returns its index in the list and how it ended. Of several it returns the
/// first in the list. A child that was joined before counts as ended, so leave out those that you are done with.
///
/// It is one `poll` over all: no signal handler, no thread, no other children.
///
/// # Errors
/// [`ErrorKind::InvalidInput`]: the list is empty, so the wait would never end. [`ErrorKind::NoChild`]: one of them was
/// reaped elsewhere; its [`join`](Child::join) says the same. [`ErrorKind::NotOwner`]: one is a child of the process that
/// this one was forked from.
///
/// # Examples
/// ```
/// use interproc::process;
/// let slow = process::fork(|| loop { std::thread::park() })?;
/// let fast = process::fork(|| 3)?;
/// let (place, status) = process::wait_any(&[&slow, &fast])?;
/// assert_eq!((place, status.code()), (1, Some(3)));
/// slow.kill()?;
/// slow.join()?;
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn wait_any<C: Borrow<Child>>(children: &[C]) -> Result<(usize, ExitStatus)> {
    any(children, None)
}

/// As [`wait_any`], at most for `timeout`.
///
/// # Errors
/// [`ErrorKind::TimedOut`]: all still run. As [`wait_any`].
pub fn wait_any_timeout<C: Borrow<Child>>(children: &[C], timeout: Duration) -> Result<(usize, ExitStatus)> {
    any(children, Some(Deadline::after(timeout)))
}

/// As [`wait_any`], until `deadline` at most. A deadline in the past only checks.
///
/// # Errors
/// As [`wait_any_timeout`].
pub fn wait_any_until<C: Borrow<Child>>(children: &[C], deadline: Deadline) -> Result<(usize, ExitStatus)> {
    any(children, Some(deadline))
}

/// Waits until all have ended, and returns how, in the order of the list.
///
/// # Errors
/// Those of [`Child::join`], for the first in the list that fails; all have ended then as well.
///
/// # Examples
/// ```
/// use interproc::process;
/// let crew: Vec<_> = (0..3).map(|n| process::fork(move || n)).collect::<Result<_, _>>()?;
/// let codes: Vec<_> = process::wait_all(&crew)?.into_iter().map(|s| s.code()).collect();
/// assert_eq!(codes, [Some(0), Some(1), Some(2)]);
/// # Ok::<(), interproc::Error>(())
/// ```
pub fn wait_all<C: Borrow<Child>>(children: &[C]) -> Result<Vec<ExitStatus>> {
    all(children, None)
}

/// As [`wait_all`], at most for `timeout`, which holds for all together.
///
/// # Errors
/// [`ErrorKind::TimedOut`]: at least one still runs; those that have ended can be joined one by one. As [`wait_all`].
pub fn wait_all_timeout<C: Borrow<Child>>(children: &[C], timeout: Duration) -> Result<Vec<ExitStatus>> {
    all(children, Some(Deadline::after(timeout)))
}

/// As [`wait_all`], until `deadline` at most.
///
/// # Errors
/// As [`wait_all_timeout`].
pub fn wait_all_until<C: Borrow<Child>>(children: &[C], deadline: Deadline) -> Result<Vec<ExitStatus>> {
    all(children, Some(deadline))
}

fn any<C: Borrow<Child>>(children: &[C], deadline: Option<Deadline>) -> Result<(usize, ExitStatus)> {
    if children.is_empty() {
        return Err(Error::from(ErrorKind::InvalidInput).with_detail("the list of children is empty"));
    }
    children.iter().try_for_each(|child| child.borrow().check_owner())?;
    let mut fds = Vec::new();
    fallible::reserve(&mut fds, children.len())?;
    for child in children {
        fds.push(pidfd::readable(child.borrow().pidfd()?));
    }
    while pidfd::poll(&mut fds, deadline).map_err(Error::from_errno)? {
        for (place, child) in children.iter().enumerate() {
            if fds[place].revents == 0 {
                continue;
            }
            if let Some(status) = child.borrow().collect()? {
                dropped::reap();
                return Ok((place, status));
            }
            // Its tracer must see its end first.
            return any_beside_tracers(children, deadline);
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// A child has ended and is held by its tracer, so `poll` would return at once, again and again.
#[cold]
fn any_beside_tracers<C: Borrow<Child>>(
    children: &[C],
    deadline: Option<Deadline>,
) -> Result<(usize, ExitStatus)> {
    children.iter().try_for_each(|child| child.borrow().pidfd().map(drop))?;
    let notices =
        pidfd::Notices::of(children.iter().map(|child| child.borrow().as_fd())).map_err(Error::from_errno)?;
    while notices.next(deadline).map_err(Error::from_errno)? {
        for (place, child) in children.iter().enumerate() {
            if let Some(status) = child.borrow().collect()? {
                dropped::reap();
                return Ok((place, status));
            }
        }
    }
    Err(ErrorKind::TimedOut.into())
}

fn all<C: Borrow<Child>>(children: &[C], deadline: Option<Deadline>) -> Result<Vec<ExitStatus>> {
    // One after the other: a child that has ended meanwhile is not waited for again.
    let mut ends = Vec::new();
    fallible::reserve(&mut ends, children.len())?;
    let mut first = None;
    for child in children {
        match child.borrow().wait(deadline) {
            Ok(status) => ends.push(status),
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.map_or(Ok(ends), Err)
}
