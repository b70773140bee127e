//! What ps shows of a process or thread: [`Details`] and [`State`], read from /proc.

use crate::member::Who;
use crate::sys::{clock, task};
use crate::{Error, ErrorKind, Result};
use core::fmt;
use core::time::Duration;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::string::String;

/// What ps shows of a process or of one of its threads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its state.
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
    /// Processor time so far, in user and kernel mode.
    pub cpu_time: Duration,
    /// How long ago it started.
    pub age: Duration,
    /// Its resident memory in bytes.
    pub memory: u64,
}

impl Details {
    /// What ps shows of a thread that uses a segment: state, processor time and age are the thread's, the rest is its
    /// process's. It never returns the details of a later thread with the same id.
    ///
    /// # Errors
    /// [`ErrorKind::NoProcess`]: the thread has ended, or has left no start time to recognise it by.
    /// [`ErrorKind::Unsupported`]: it is in another PID namespace, where its ids mean something else; no /proc.
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
        // One file of one thread: it need not be read twice.
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
    /// R: runs, or is ready to run.
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
    /// I: an idle kernel thread.
    Idle,
    /// Any other.
    Other(char),
    /// It was reaped, so ps does not show it.
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

/// A stat file of /proc, parsed.
pub(super) struct Stat {
    pub details: Details,
    /// In clock ticks since boot.
    pub start_time: u64,
}

impl Stat {
    pub fn read(pid: u32) -> Result<Stat> {
        Stat::of(pid, None)
    }

    /// The stat file of a process, or of one of its threads.
    fn of(pid: u32, thread: Option<u32>) -> Result<Stat> {
        check_proc()?;
        let mut text = task::text::<1024>();
        let text = task::read_stat(pid, thread, &mut text).map_err(|errno| match errno {
            libc::ENOENT | libc::ESRCH => ErrorKind::NoProcess.into(),
            errno => Error::from_errno(errno).with_detail("/proc/PID/stat"),
        })?;
        Stat::parse(text)
    }

    /// `pid (name) state ppid …`; the name may hold anything, even parentheses and bytes that are not UTF-8.
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

/// Checks that /proc uses the same process ids as this process.
pub(super) fn check_proc() -> Result<()> {
    if task::proc_names(std::process::id())
        .map_err(|errno| Error::from_errno(errno).with_detail("/proc/self"))?
    {
        return Ok(());
    }
    Err(Error::from(ErrorKind::Unsupported).with_detail("/proc is missing or shows another PID namespace"))
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
