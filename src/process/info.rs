//! Processes of the machine: who they are, what they do, whether they live.

use super::held::Held;
use crate::heap;
use crate::member::Who;
use crate::sys::{clock, pidfd, task};
use crate::{Deadline, Error, ErrorKind, Result};
use core::fmt;
use core::time::Duration;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::string::String;
use std::vec::Vec;

/// A process, held fast: not its number, which the kernel gives to another process some time after its end.
///
/// It need be no child of ours. Its end can be waited for (the descriptor polls readable then), but who ends how is
/// told to the parent alone. Equal when they are the same process.
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
    fd: Held,
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

    /// The parent of the calling process, or who has adopted it; `None` when that is outside of its PID namespace.
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
                // It died meanwhile: who is it now?
                _ => {}
            }
        }
    }

    /// The process that has this number now.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`]: nobody has it. As [`current`](Self::current).
    pub fn open(pid: u32) -> Result<Process> {
        let number = i32::try_from(pid).ok().filter(|n| *n > 0).ok_or(ErrorKind::NoProcess)?;
        let fd = pidfd::open(number).map_err(open_error)?;
        // Read by number: right if the process is still unreaped after that.
        let stat = Stat::read(pid)?;
        if !holds_its_number(fd.as_fd()) {
            return Err(ErrorKind::NoProcess.into());
        }
        Ok(Process { pid, start_time: stat.start_time, fd: Held::new(pid, fd)? })
    }

    /// The process that has this number now, if it began at `start_time` (see [`start_time`](Self::start_time)): the
    /// one that somebody else has met and named by both.
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
    /// assert!(Process::find(note.0, note.1).is_err()); // whoever has the number now
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn find(pid: u32, start_time: u64) -> Result<Process> {
        let process = Process::open(pid)?;
        if process.start_time != start_time {
            return Err(Error::from(ErrorKind::NoProcess).with_detail("another process has its number now"));
        }
        Ok(process)
    }

    /// The processes whose parent this one is now.
    ///
    /// # Errors
    /// As [`current`](Self::current). Who ends meanwhile is left out.
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
                Ok(child) => heap::push(&mut children, child)?,
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

    /// When it began, in clock ticks (usually hundredths of a second) since the machine was started.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Whether it has not ended yet. A zombie is not alive; a stopped process is.
    pub fn is_alive(&self) -> bool {
        // Who cannot ask does not know of an end.
        let ended = |fd| pidfd::wait_ended(fd, Some(Deadline::from_monotonic_ns(0)));
        !self.fd.get().is_ok_and(|fd| ended(fd).unwrap_or(false))
    }

    /// Waits until it has ended. How it ended is told to its parent alone.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: only what `poll(2)` can say.
    pub fn wait(&self) -> Result<()> {
        pidfd::wait_ended(self.fd.get()?, None).map_err(Error::from_errno).map(drop)
    }

    /// Waits until it has ended, at most for `timeout`; whether it has.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: only what `poll(2)` can say.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_until(Deadline::after(timeout))
    }

    /// Waits until it has ended, at most until `deadline`; whether it has.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: only what `poll(2)` can say.
    pub fn wait_until(&self, deadline: Deadline) -> Result<bool> {
        pidfd::wait_ended(self.fd.get()?, Some(deadline)).map_err(Error::from_errno)
    }

    /// Sends a signal to this very process; 0 sends none.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`]: it was reaped. [`ErrorKind::NotPermitted`]: it is somebody else's.
    /// [`ErrorKind::InvalidInput`]: no such signal.
    pub fn send_signal(&self, signal: i32) -> Result<()> {
        pidfd::send(self.fd.get()?, signal).map_err(|errno| match errno {
            libc::ESRCH => ErrorKind::NoProcess.into(),
            errno => Error::from_errno(errno),
        })
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

/// What ps shows of a process, or of one of its threads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// Its name: at most 15 bytes.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Its parent's number; 0 when that is outside of the PID namespace.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// How many threads it has.
    pub threads: u32,
    /// Its nice value.
    pub nice: i32,
    /// Processor time so far, its own and the kernel's.
    pub cpu_time: Duration,
    /// How long ago it began.
    pub age: Duration,
    /// Memory that it has in RAM, in bytes.
    pub memory: u64,
}

impl Details {
    /// What ps shows of a thread that uses a segment: state, processor time and age are its own, the rest is its
    /// process's.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`]: it has ended, or has left no start time by which to know it. Never what belongs to a later
    /// thread with its number. [`ErrorKind::Unsupported`]: it is of another PID namespace, where its ids mean something
    /// else; no /proc.
    ///
    /// # Examples
    /// ```
    /// use interproc::{Segment, process::Details, sync::Mutex};
    /// let seg = Segment::anonymous(4096)?;
    /// let lock = seg.object("lock", || Mutex::new(0u64))?;
    /// let _guard = lock.lock()?;
    /// let holder = lock.holder()?.expect("we hold it");
    /// let details = Details::of_thread(&holder)?;
    /// println!("{} has used {:?} and {} bytes", details.name, details.cpu_time, details.memory);
    /// # assert!(details.memory > 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn of_thread(who: &Who) -> Result<Details> {
        if who.pid_namespace == 0 || who.pid_namespace != task::pid_namespace() {
            return Err(Error::from(ErrorKind::Unsupported).with_detail("a thread of another PID namespace"));
        }
        // One file of one thread: no need to look twice.
        let stat = Stat::of(who.pid, Some(who.tid))?;
        if !who.alive || stat.start_time != who.start_time {
            return Err(ErrorKind::NoProcess.into());
        }
        Ok(stat.details)
    }
}

/// What a process is doing: the letter that ps shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// R: runs, or could.
    Running,
    /// S: waits for something.
    Sleeping,
    /// D: waits for a device, and cannot be interrupted.
    DiskSleep,
    /// T: was stopped by a signal.
    Stopped,
    /// t: was stopped by a debugger.
    Traced,
    /// Z: has ended, and its parent has not reaped it.
    Zombie,
    /// I: a thread of the kernel without work.
    Idle,
    /// Any other.
    Other(char),
    /// It was reaped: ps does not show it.
    Gone,
}

impl State {
    fn new(letter: char) -> Self {
        match letter {
            'R' => State::Running,
            'S' => State::Sleeping,
            'D' => State::DiskSleep,
            'T' => State::Stopped,
            't' => State::Traced,
            'Z' => State::Zombie,
            'I' => State::Idle,
            other => State::Other(other),
        }
    }

    /// The letter; `-` for a process that is gone.
    pub fn letter(self) -> char {
        match self {
            State::Running => 'R',
            State::Sleeping => 'S',
            State::DiskSleep => 'D',
            State::Stopped => 'T',
            State::Traced => 't',
            State::Zombie => 'Z',
            State::Idle => 'I',
            State::Other(letter) => letter,
            State::Gone => '-',
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.letter(), f)
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

/// Whether the process was not reaped yet, so that its number names it.
fn holds_its_number(fd: BorrowedFd<'_>) -> bool {
    !matches!(pidfd::send(fd, 0), Err(libc::ESRCH))
}

fn open_error(errno: i32) -> Error {
    match errno {
        // EINVAL: the number of a thread that is not its process's first.
        libc::ESRCH | libc::EINVAL => ErrorKind::NoProcess.into(),
        libc::ENOSYS | libc::EPERM => Error::from(ErrorKind::Unsupported).with_detail("pidfd_open"),
        errno => Error::from_errno(errno),
    }
}

struct Stat {
    details: Details,
    start_time: u64,
}

impl Stat {
    fn read(pid: u32) -> Result<Stat> {
        Stat::of(pid, None)
    }

    /// Of a process, or of one of its threads.
    fn of(pid: u32, thread: Option<u32>) -> Result<Stat> {
        check_proc()?;
        let mut text = task::text::<1024>();
        let text = task::read_stat(pid, thread, &mut text).map_err(|errno| match errno {
            libc::ENOENT | libc::ESRCH => ErrorKind::NoProcess.into(),
            errno => Error::from_errno(errno).with_detail("/proc/PID/stat"),
        })?;
        Stat::parse(text)
    }

    /// `pid (name) state ppid …`; the name may hold anything, parentheses and what is no UTF-8, too.
    fn parse(text: &[u8]) -> Result<Stat> {
        let name = || {
            let (start, end) =
                (text.iter().position(|&b| b == b'(')?, text.iter().rposition(|&b| b == b')')?);
            Some((text.get(start + 1..end)?, str::from_utf8(&text[end + 1..]).ok()?))
        };
        let strange = || Error::from(ErrorKind::Unsupported).with_detail("/proc/PID/stat is not as expected");
        let (name, rest) = name().ok_or_else(strange)?;
        let name = crate::error::written(format_args!("{}", OsStr::from_bytes(name).display()))?;
        Stat::of_fields(name, rest).ok_or_else(strange)
    }

    fn of_fields(name: String, rest: &str) -> Option<Stat> {
        // By the numbers of proc_pid_stat(5).
        let field = |n: usize| rest.split_ascii_whitespace().nth(n - 3);
        let number = |n| field(n)?.parse::<i64>().ok();
        let time =
            |ticks: u64| Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / task::ticks_per_second()));
        let start_time = number(22)? as u64;
        let now = Duration::from_nanos(clock::since_boot_ns());
        let details = Details {
            name,
            state: State::new(field(3)?.chars().next()?),
            parent: number(4)? as u32,
            group: number(5)? as u32,
            session: number(6)? as u32,
            nice: number(19)? as i32,
            threads: number(20)? as u32,
            cpu_time: time((number(14)? + number(15)?) as u64),
            age: now.saturating_sub(time(start_time)),
            memory: number(24)? as u64 * crate::sys::memory::page_size() as u64,
        };
        Some(Stat { details, start_time })
    }
}

/// Whether /proc names processes as this one does.
fn check_proc() -> Result<()> {
    if task::proc_names(std::process::id())
        .map_err(|errno| Error::from_errno(errno).with_detail("/proc/self"))?
    {
        return Ok(());
    }
    Err(Error::from(ErrorKind::Unsupported).with_detail("/proc is missing or shows another PID namespace"))
}

/// The numbers of the children of a process.
pub(super) fn children_of(pid: u32) -> Result<Vec<u32>> {
    check_proc()?;
    let (mut children, mut kept) = (Vec::new(), Ok(()));
    let keep = |child| {
        if kept.is_ok() {
            kept = heap::push(&mut children, child);
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
            Ok(stat) if stat.details.parent == pid => heap::push(&mut children, number),
            Err(error) if error.kind() != ErrorKind::NoProcess => Err(error),
            _ => Ok(()), // another one's, or gone
        };
        kept.is_err()
    });
    looked.map_err(Error::from_errno)?;
    kept.map(|()| children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = b"42 (a) R (b) S 1 2 3 4 5 6 7 8 9 10 100 50 13 14 15 5 2 18 777 19 3 20";
        let stat = Stat::parse(text).expect("parsed");
        assert_eq!((stat.details.name.as_str(), stat.details.state), ("a) R (b", State::Sleeping));
        assert_eq!((stat.details.parent, stat.details.group, stat.details.session), (1, 2, 3));
        assert_eq!((stat.details.nice, stat.details.threads, stat.start_time), (5, 2, 777));
        assert_eq!(stat.details.memory, 3 * crate::sys::memory::page_size() as u64);
    }
}
