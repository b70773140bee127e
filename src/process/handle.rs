//! [`Process`]: any process on the machine, by pidfd.

use super::details::{Details, Stat, State, check_proc};
use super::own_pidfd::OwnPidfd;
use crate::fallible;
use crate::sys::{pidfd, task};
use crate::{Deadline, Error, ErrorKind, Result};
use core::fmt;
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd};
use std::vec::Vec;

/// A process, which need not be a child of this one. It is held by a pidfd: not by its number, which the kernel gives to
/// another process at some time after its end.
///
/// You can wait for its end (the descriptor polls readable then); only its parent learns how it ended. Two handles are
/// equal when they are of the same process.
///
/// # Examples
/// ```
/// use interproc::process::Process;
/// let me = Process::current()?;
/// assert_eq!(me.pid(), std::process::id());
/// assert_eq!(Process::open(me.pid())?, me);
/// assert!(me.is_alive());
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct Process {
    pid: u32,
    /// In clock ticks since boot.
    start_time: u64,
    fd: OwnPidfd,
}

impl Process {
    /// The calling process.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: no pidfds, no /proc, or one of another PID namespace. [`ErrorKind::Resource`]: no
    /// descriptor left.
    pub fn current() -> Result<Process> {
        Process::open(std::process::id())
    }

    /// The parent of the calling process, or the process that has adopted it; `None` when that is outside of the caller's
    /// PID namespace.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{self, Process};
    /// let me = std::process::id();
    /// let child = process::fork(move || {
    ///     let parent = Process::parent().unwrap().unwrap();
    ///     (parent.pid() == me && parent.is_alive()) as u8
    /// })?;
    /// assert_eq!(child.join()?.code(), Some(1));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn parent() -> Result<Option<Process>> {
        loop {
            let pid = std::os::unix::process::parent_id();
            if pid == 0 {
                return Ok(None);
            }
            match Process::open(pid) {
                // It lived while it was our parent: the number was its own.
                Ok(parent) if std::os::unix::process::parent_id() == pid => return Ok(Some(parent)),
                Err(e) if e.kind() != ErrorKind::NoProcess => return Err(e),
                // It died meanwhile: ask again who the parent is.
                _ => {}
            }
        }
    }

    /// The process that has this number now.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`]: there is none. As [`current`](Self::current).
    pub fn open(pid: u32) -> Result<Process> {
        let number = i32::try_from(pid).ok().filter(|n| *n > 0).ok_or(ErrorKind::NoProcess)?;
        let fd = pidfd::open(number).map_err(open_error)?;
        // Read by number, which is right if the process is still unreaped afterwards.
        let stat = Stat::read(pid)?;
        if !holds_its_number(fd.as_fd()) {
            return Err(ErrorKind::NoProcess.into());
        }
        Ok(Process { pid, start_time: stat.start_time, fd: OwnPidfd::new(pid, fd)? })
    }

    /// The process that has this number now, if it started at `start_time` (see [`start_time`](Self::start_time)). The two
    /// together name one process for good, so one program can tell another which process it means.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`]: it has ended, even if another one has its number now. As [`current`](Self::current).
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{self, Process};
    /// let child = process::fork(|| loop { std::thread::park() })?;
    /// let note = { let met = Process::open(child.pid())?; (met.pid(), met.start_time()) };
    /// assert!(Process::find(note.0, note.1)?.is_alive());
    /// child.kill()?;
    /// child.join()?;
    /// assert!(Process::find(note.0, note.1).is_err()); // even if another process has the number now
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn find(pid: u32, start_time: u64) -> Result<Process> {
        let process = Process::open(pid)?;
        if process.start_time != start_time {
            return Err(Error::from(ErrorKind::NoProcess).with_detail("another process has its number now"));
        }
        Ok(process)
    }

    /// The children that this process has now. A child that ends meanwhile is left out.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{self, Process};
    /// let child = process::fork(|| loop { std::thread::park() })?;
    /// let mine = Process::current()?.children()?;
    /// assert!(mine.iter().any(|c| c.pid() == child.pid()));
    /// child.kill()?;
    /// child.join()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn children(&self) -> Result<Vec<Process>> {
        let mut children = Vec::new();
        for pid in children_of(self.pid)? {
            match Process::open(pid) {
                Ok(child) => fallible::push(&mut children, child)?,
                Err(e) if e.kind() == ErrorKind::NoProcess => {}
                Err(e) => return Err(e),
            }
        }
        if !holds_its_number(self.fd.get()?) {
            return Err(ErrorKind::NoProcess.into());
        }
        Ok(children)
    }

    /// Its number, in this process's PID namespace.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it started, in clock ticks (usually hundredths of a second) since boot.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Whether it has not ended yet. A zombie is not alive; a stopped process is.
    pub fn is_alive(&self) -> bool {
        // If we cannot ask, we know of no end.
        let ended = |fd| pidfd::wait_ended(fd, Some(Deadline::from_monotonic_ns(0)));
        !self.fd.get().is_ok_and(|fd| ended(fd).unwrap_or(false))
    }

    /// Waits until it has ended. Only its parent learns how it ended.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: only what `poll(2)` can say.
    pub fn wait(&self) -> Result<()> {
        pidfd::wait_ended(self.fd.get()?, None).map_err(Error::from_errno).map(drop)
    }

    /// Waits until it has ended, at most for `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]: it still runs. [`ErrorKind::System`]: only what `poll(2)` can say.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        self.wait_until(Deadline::after(timeout))
    }

    /// Waits until it has ended, at most until `deadline`.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    pub fn wait_until(&self, deadline: Deadline) -> Result<()> {
        let ended = pidfd::wait_ended(self.fd.get()?, Some(deadline)).map_err(Error::from_errno)?;
        if ended { Ok(()) } else { Err(ErrorKind::TimedOut.into()) }
    }

    /// Sends a signal to this very process; 0 sends none. If it has ended, nothing happens, whether or not its parent has
    /// reaped it: [`is_alive`](Self::is_alive) tells.
    ///
    /// # Errors
    /// [`ErrorKind::NotPermitted`]: it belongs to another user. [`ErrorKind::InvalidInput`]: no such signal.
    pub fn send_signal(&self, signal: i32) -> Result<()> {
        signal_if_alive(self.fd.get()?, signal)
    }

    /// What it is doing now, as ps shows it.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    pub fn state(&self) -> Result<State> {
        state(self.pid, self.fd.get()?)
    }

    /// What ps shows of it.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`]: it was reaped. As [`current`](Self::current).
    ///
    /// # Examples
    /// ```
    /// let me = interproc::process::Process::current()?.details()?;
    /// assert!(me.memory > 0 && me.threads >= 1);
    /// println!("{} {} {:?}", me.name, me.state, me.cpu_time);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn details(&self) -> Result<Details> {
        let stat = Stat::read(self.pid)?;
        if !holds_its_number(self.fd.get()?) {
            return Err(ErrorKind::NoProcess.into());
        }
        Ok(stat.details)
    }
}

impl Process {
    /// Its descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::DescriptorClosed`].
    pub(crate) fn pidfd(&self) -> Result<BorrowedFd<'_>> {
        self.fd.get()
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.for_program()
    }
}

impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        (self.pid, self.start_time) == (other.pid, other.start_time)
    }
}

impl Eq for Process {}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.pid)
            .field("start_time", &self.start_time)
            .finish_non_exhaustive()
    }
}

/// The state of the process behind `fd`, whose number is or was `pid`.
pub(super) fn state(pid: u32, fd: BorrowedFd<'_>) -> Result<State> {
    let stat = Stat::read(pid);
    if !holds_its_number(fd) {
        return Ok(State::Gone);
    }
    stat.map(|stat| stat.details.state)
}

/// Sends a signal; a process that has ended gets none, and that is no error.
pub(super) fn signal_if_alive(fd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    match pidfd::send(fd, signal) {
        Ok(()) | Err(libc::ESRCH) => Ok(()),
        Err(errno) => Err(Error::from_errno(errno)),
    }
}

/// Whether the process is not reaped yet, so that its number still names it.
fn holds_its_number(fd: BorrowedFd<'_>) -> bool {
    !matches!(pidfd::send(fd, 0), Err(libc::ESRCH))
}

fn open_error(errno: i32) -> Error {
    match errno {
        // EINVAL: the id of a thread that is not the first of its process.
        libc::ESRCH | libc::EINVAL => ErrorKind::NoProcess.into(),
        libc::ENOSYS | libc::EPERM => Error::from(ErrorKind::Unsupported).with_detail("pidfd_open"),
        errno => Error::from_errno(errno),
    }
}

/// The numbers of the children of a process.
pub(super) fn children_of(pid: u32) -> Result<Vec<u32>> {
    check_proc()?;
    let (mut children, mut kept) = (Vec::new(), Ok(()));
    let keep = |child| {
        if kept.is_ok() {
            kept = fallible::push(&mut children, child);
        }
    };
    let told = task::each_child(pid, keep).map_err(|errno| match errno {
        libc::ENOENT | libc::ESRCH => ErrorKind::NoProcess.into(),
        errno => Error::from_errno(errno).with_detail("/proc/PID/task"),
    })?;
    kept?;
    if told { Ok(children) } else { by_looking_at_all(pid) }
}

#[cold]
fn by_looking_at_all(pid: u32) -> Result<Vec<u32>> {
    let (mut children, mut kept) = (Vec::new(), Ok(()));
    let looked = task::any_number_in(c"/proc", |number| {
        kept = match Stat::read(number) {
            Ok(stat) if stat.details.parent == pid => fallible::push(&mut children, number),
            Err(error) if error.kind() != ErrorKind::NoProcess => Err(error),
            _ => Ok(()), // another process's child, or gone
        };
        kept.is_err()
    });
    looked.map_err(Error::from_errno)?;
    kept.map(|()| children)
}
