//! [`Child`]: a child process, as its parent sees it.
#![allow(unsafe_code)]

use super::creator::Creator;
use super::details::State;
use super::dropped;
use super::handle::{signal_if_alive, state};
use super::own_pidfd::OwnPidfd;
use super::status::{ExitStatus, Usage};
use crate::counted::Counted;
use crate::sys::parent_death::ParentDeath;
use crate::sys::pidfd::{self, Notices};
use crate::{Deadline, Error, ErrorKind, Result};
use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::boxed::Box;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A child process: wait for it, signal it, ask about it.
///
/// Every method takes `&self`. Several threads may wait for one child, and each gets the status, which is kept for later
/// joins. Signals go through the pidfd, so never to another process that got the same number.
///
/// **Dropping the handle.** A child that has ended is reaped at once. A running child goes on running and stays ours to
/// reap: every later fork, join or drop of a child by this process, and [`reap`](super::reap), reaps it if it has ended.
/// Until then an ended child is a zombie, never longer; when this process ends, init takes over. (Blocking in `drop` could
/// hang, killing there would lose work silently, and reaping by a helper thread or a SIGCHLD handler would take a resource
/// of the whole process behind its back.)
///
/// **After a fork**, the child's copy of this handle fails with [`ErrorKind::NotOwner`], and dropping it only closes the
/// descriptor.
///
/// **Reaped elsewhere** (by a `waitpid` in other code, or because SIGCHLD is ignored), the status is lost, and joins fail
/// with [`ErrorKind::NoChild`] as soon as the child has ended.
///
/// The descriptor ([`AsFd`]) is close-on-exec and polls readable when the child has ended.
///
/// # Examples
/// ```
/// use interproc::{ErrorKind, process};
/// use std::time::Duration;
///
/// let child = process::fork(|| loop { std::thread::park() })?;
/// assert!(child.is_alive());
/// assert_eq!(child.try_join()?, None);
/// assert_eq!(child.join_timeout(Duration::from_millis(1)).unwrap_err().kind(), ErrorKind::TimedOut);
/// child.kill()?;
/// assert_eq!(child.join()?.signal(), Some(9)); // SIGKILL
/// assert!(!child.is_alive());
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Child {
    pid: u32,
    creator: Creator,
    /// Moved out only by `drop`.
    fd: ManuallyDrop<OwnPidfd>,
    /// Of a bound child. Moved out only by `drop`.
    tie: ManuallyDrop<Option<ParentDeath>>,
    name: Option<Counted<Box<str>>>,
    /// Locked during `waitid(WNOHANG)` and never while asleep: of two joining threads one takes the status from the kernel,
    /// and the other finds it here.
    end: Mutex<End>,
    /// How many threads sleep in `waitid`. The one that gets the status stores it in `end` before it leaves.
    asleep: AtomicU32,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Unknown,
    Known(ExitStatus, Usage),
    /// Reaped elsewhere.
    Lost,
}

impl Child {
    pub(super) fn new(
        pid: u32,
        fd: OwnPidfd,
        creator: Creator,
        tie: Option<ParentDeath>,
        name: Option<Counted<Box<str>>>,
    ) -> Self {
        let (fd, tie) = (ManuallyDrop::new(fd), ManuallyDrop::new(tie));
        Child { pid, creator, fd, tie, name, end: Mutex::new(End::Unknown), asleep: AtomicU32::new(0) }
    }

    /// The process id in this process's PID namespace. After the join the number may name another process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The name that it was given, or its program's.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|name| &***name)
    }

    /// What the child is doing now, as ps shows it. A joined child is [`State::Gone`].
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: /proc is not there or shows another PID namespace.
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{self, State};
    /// let child = process::fork(|| loop { std::thread::park() })?;
    /// child.send_signal(19)?; // SIGSTOP
    /// while child.state()? != State::Stopped { std::thread::yield_now() }
    /// assert_eq!(child.state()?.letter(), 'T');
    /// child.kill()?;
    /// child.join()?;
    /// assert_eq!(child.state()?, State::Gone);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn state(&self) -> Result<State> {
        state(self.pid, self.fd.get()?)
    }

    /// What the child used, and those of its children that it waited for. Known once the child is joined.
    ///
    /// # Examples
    /// ```
    /// let child = interproc::process::fork(|| std::hint::black_box(vec![1u8; 8 << 20]).len() as u8)?;
    /// assert!(child.usage().is_none());
    /// child.join()?;
    /// let usage = child.usage().unwrap();
    /// assert!(usage.peak_memory >= 8 << 20 && usage.page_faults > 100);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn usage(&self) -> Option<Usage> {
        self.check_owner().ok()?;
        match *self.end() {
            End::Known(_, usage) => Some(usage),
            _ => None,
        }
    }

    /// Waits until the child has ended.
    ///
    /// # Errors
    /// [`ErrorKind::NoChild`]: it ended and was reaped elsewhere. [`ErrorKind::NotOwner`]: the handle belongs to the
    /// process that this one was forked from.
    pub fn join(&self) -> Result<ExitStatus> {
        self.wait(None)
    }

    /// The status if the child has ended; never waits.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn try_join(&self) -> Result<Option<ExitStatus>> {
        self.check_owner()?;
        let status = self.collect()?;
        if status.is_some() {
            dropped::reap();
        }
        Ok(status)
    }

    /// Waits at most for `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and as [`join`](Self::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<ExitStatus> {
        self.wait(Some(Deadline::after(timeout)))
    }

    /// Waits until `deadline` at most. With a deadline in the past it returns the status if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and as [`join`](Self::join).
    pub fn join_until(&self, deadline: Deadline) -> Result<ExitStatus> {
        self.wait(Some(deadline))
    }

    /// Whether the child has not ended yet. A zombie is not alive; a stopped process is. Any process may ask.
    pub fn is_alive(&self) -> bool {
        let now = Deadline::from_monotonic_ns(0);
        // If we cannot ask, we know of no end.
        !self.fd.get().is_ok_and(|fd| pidfd::wait_ended(fd, Some(now)).unwrap_or(false))
    }

    /// Asks the child to end: SIGTERM, which it may handle or ignore. If it has ended, nothing happens.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`]; [`ErrorKind::NotPermitted`] when the child has changed its user.
    pub fn terminate(&self) -> Result<()> {
        self.send_signal(libc::SIGTERM)
    }

    /// Kills the child: SIGKILL. If it has ended, nothing happens.
    ///
    /// # Errors
    /// As [`terminate`](Self::terminate).
    pub fn kill(&self) -> Result<()> {
        self.send_signal(libc::SIGKILL)
    }

    /// Asks the child to end, kills it if it still runs after `grace`, and joins it. A stopped child does not hear the
    /// request.
    ///
    /// # Errors
    /// As [`join`](Self::join) and [`terminate`](Self::terminate).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// let polite = interproc::process::fork(|| loop { std::thread::park() })?;
    /// assert_eq!(polite.terminate_timeout(Duration::from_secs(5))?.signal(), Some(15)); // SIGTERM was enough
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn terminate_timeout(&self, grace: Duration) -> Result<ExitStatus> {
        self.terminate_until(Deadline::after(grace))
    }

    /// As [`terminate_timeout`](Self::terminate_timeout), with the time at which the child is killed.
    ///
    /// # Errors
    /// As [`terminate_timeout`](Self::terminate_timeout).
    pub fn terminate_until(&self, deadline: Deadline) -> Result<ExitStatus> {
        self.terminate()?;
        match self.join_until(deadline) {
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                self.kill()?;
                self.join()
            }
            other => other,
        }
    }

    /// Sends any signal, by its number; 0 sends none. If the child has ended, nothing happens.
    ///
    /// # Errors
    /// As [`terminate`](Self::terminate); [`ErrorKind::InvalidInput`]: no such signal.
    pub fn send_signal(&self, signal: i32) -> Result<()> {
        self.check_owner()?;
        signal_if_alive(self.fd.get()?, signal)
    }

    /// Sends a signal to all processes of the group that the child leads (see
    /// [`Builder::process_group`](super::Builder::process_group)). A group is known by the child's number alone, so this
    /// works only until the child is joined: afterwards the number may name another group.
    ///
    /// # Errors
    /// [`ErrorKind::NoChild`]: the child was joined, or reaped elsewhere. [`ErrorKind::NoProcess`]: it leads no group. And
    /// as [`send_signal`](Self::send_signal).
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{Builder, Program};
    /// let shell = Builder::new().process_group(0).spawn(Program::new("sh").args(["-c", "sleep 100 & wait"]))?;
    /// shell.signal_group(9)?; // the sleep as well
    /// assert_eq!(shell.join()?.signal(), Some(9));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn signal_group(&self, signal: i32) -> Result<()> {
        self.check_owner()?;
        // Locked: nobody joins it meanwhile, so its number stays its own.
        let end = self.end();
        if !matches!(*end, End::Unknown) || pidfd::is_our_child(self.fd.get()?).is_err() {
            return Err(Error::from(ErrorKind::NoChild)
                .with_detail("the child was reaped: its number may name another group"));
        }
        match pidfd::send_to_group(self.pid as i32, signal) {
            Ok(()) => Ok(()),
            Err(libc::ESRCH) => Err(Error::from(ErrorKind::NoProcess)
                .with_detail("the child leads no process group; see Builder::process_group")),
            Err(errno) => Err(Error::from_errno(errno)),
        }
    }

    /// Lets the child go: as dropping the handle, but a bound child then outlives this process.
    ///
    /// # Examples
    /// ```
    /// let (read, write) = std::io::pipe()?;
    /// let middle = interproc::process::fork(|| {
    ///     let child = interproc::process::Builder::new().dies_with_parent().stdin(read).spawn(
    ///         interproc::process::Program::new("cat")).unwrap();
    ///     child.detach(); // it outlives the middle process and ends with its input
    /// })?;
    /// assert!(middle.join()?.success());
    /// drop(write);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detach(self) {
        if let (true, Some(tie)) = (self.creator.is_me(), self.tie.as_ref()) {
            tie.cut();
        }
    }

    /// Its descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::DescriptorClosed`].
    pub(crate) fn pidfd(&self) -> Result<BorrowedFd<'_>> {
        self.fd.get()
    }

    pub(super) fn wait(&self, deadline: Option<Deadline>) -> Result<ExitStatus> {
        self.check_owner()?;
        if deadline.is_none() {
            let status = self.wait_for_ever()?;
            dropped::reap();
            return Ok(status);
        }
        if !pidfd::wait_ended(self.fd.get()?, deadline).map_err(Error::from_errno)? {
            return Err(ErrorKind::TimedOut.into());
        }
        let status = match self.collect()? {
            Some(status) => status,
            None => self.wait_for_tracer(deadline)?,
        };
        dropped::reap();
        Ok(status)
    }

    /// One system call, where the timed forms need two.
    fn wait_for_ever(&self) -> Result<ExitStatus> {
        if let Some(status) = self.known()? {
            return Ok(status);
        }
        let fd = self.fd.get()?;
        self.asleep.fetch_add(1, Ordering::Relaxed); // Relaxed: J1 orders what matters.
        let ended = pidfd::await_and_collect(fd);
        if let Ok(Some(ended)) = ended {
            *self.end() = End::Known(ExitStatus::new(ended.status), Usage::new(&ended.usage));
        }
        // J1: release, pairs with the load in `collect`: a thread that sees the lower count sees the status.
        self.asleep.fetch_sub(1, Ordering::Release);
        match ended {
            Ok(_) | Err(libc::ECHILD) => {}
            Err(errno) => return Err(Error::from_errno(errno)),
        }
        self.collect()?.ok_or_else(|| ErrorKind::NoChild.into())
    }

    /// The status, if it is stored here.
    fn known(&self) -> Result<Option<ExitStatus>> {
        match *self.end() {
            End::Known(status, _) => Ok(Some(status)),
            End::Unknown => Ok(None),
            End::Lost => Err(lost()),
        }
    }

    /// The child has ended, but its tracer, another process, must see its end first.
    #[cold]
    fn wait_for_tracer(&self, deadline: Option<Deadline>) -> Result<ExitStatus> {
        let notices = Notices::of([self.fd.get()?]).map_err(Error::from_errno)?;
        while notices.next(deadline).map_err(Error::from_errno)? {
            if let Some(status) = self.collect()? {
                return Ok(status);
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// The status, from here or from the kernel; `None` while there is none.
    pub(super) fn collect(&self) -> Result<Option<ExitStatus>> {
        loop {
            let mut end = self.end();
            if let End::Unknown = *end {
                match pidfd::collect(self.fd.get()?) {
                    Ok(None) => return Ok(None),
                    Ok(Some(ended)) => {
                        *end = End::Known(ExitStatus::new(ended.status), Usage::new(&ended.usage));
                    }
                    // J1: perhaps a thread in `wait_for_ever` has it and waits for the lock to store it here. The others
                    // that sleep there leave soon, because the child was reaped.
                    Err(libc::ECHILD) if self.asleep.load(Ordering::Acquire) > 0 => {
                        drop(end);
                        std::thread::yield_now();
                        continue;
                    }
                    Err(libc::ECHILD) => *end = End::Lost,
                    Err(errno) => return Err(Error::from_errno(errno)),
                }
            }
            return match *end {
                End::Known(status, _) => Ok(Some(status)),
                _ => Err(lost()),
            };
        }
    }

    fn end(&self) -> MutexGuard<'_, End> {
        // Nothing panics under it.
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comes before anything else, the lock included: a fork by another thread may have copied the lock while it was held.
    pub(super) fn check_owner(&self) -> Result<()> {
        if self.creator.is_me() {
            return Ok(());
        }
        Err(Error::from(ErrorKind::NotOwner)
            .with_detail("it is a child of the process that this one was forked from"))
    }
}

fn lost() -> Error {
    Error::from(ErrorKind::NoChild)
        .with_detail("other code reaped the child, or SIGCHLD is ignored: its status is lost")
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: the fields are not used after this.
        let (fd, tie) = unsafe { (ManuallyDrop::take(&mut self.fd), ManuallyDrop::take(&mut self.tie)) };
        if !self.creator.is_me() {
            // The fork closed the tie's descriptors; their numbers may name anything here.
            core::mem::forget(tie);
            return;
        }
        let end = *self.end.get_mut().unwrap_or_else(PoisonError::into_inner);
        if matches!(end, End::Unknown) && matches!(fd.get().map(pidfd::collect), Ok(Ok(None))) {
            dropped::keep(fd, tie);
        }
        dropped::reap();
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.for_program()
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Child");
        out.field("pid", &self.pid);
        if self.creator.is_me() {
            out.field("end", &*self.end());
        }
        out.finish_non_exhaustive()
    }
}
