//! How a child ended ([`ExitStatus`]), what it used ([`Usage`]), and what its closure may return ([`Outcome`]).

use crate::sys::pidfd::WaitStatus;
use core::fmt;
use core::time::Duration;
use std::eprintln;

/// How a child ended: by an exit code or by a signal.
///
/// # Examples
/// ```
/// use interproc::process;
/// let status = process::fork(|| 3)?.join()?;
/// assert_eq!(status.code(), Some(3));
/// assert_eq!(status.signal(), None);
/// assert!(!status.success());
/// assert_eq!(status.to_string(), "exit code 3");
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitStatus {
    /// As waitpid gives it.
    raw: i32,
}

impl ExitStatus {
    pub(super) fn new(WaitStatus(raw): WaitStatus) -> Self {
        ExitStatus { raw }
    }

    /// The exit code, or `None` when a signal ended the child.
    pub fn code(self) -> Option<i32> {
        libc::WIFEXITED(self.raw).then(|| libc::WEXITSTATUS(self.raw))
    }

    /// The signal that ended the child, or `None` when it exited.
    pub fn signal(self) -> Option<i32> {
        libc::WIFSIGNALED(self.raw).then(|| libc::WTERMSIG(self.raw))
    }

    /// Whether the signal also wrote a core dump.
    pub fn core_dumped(self) -> bool {
        libc::WIFSIGNALED(self.raw) && libc::WCOREDUMP(self.raw)
    }

    /// Whether the exit code is 0.
    pub fn success(self) -> bool {
        self.code() == Some(0)
    }

    /// The status word of `waitpid`, for C's `WIFEXITED` and the like.
    pub fn wait_status(self) -> i32 {
        self.raw
    }
}

impl From<ExitStatus> for std::process::ExitStatus {
    fn from(status: ExitStatus) -> Self {
        std::os::unix::process::ExitStatusExt::from_raw(status.raw)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code() {
            return write!(f, "exit code {code}");
        }
        let signal = libc::WTERMSIG(self.raw);
        match signal_name(signal) {
            Some(name) => write!(f, "killed by signal {signal} ({name})")?,
            None => write!(f, "killed by signal {signal}")?,
        }
        if self.core_dumped() { f.write_str(", core dumped") } else { Ok(()) }
    }
}

impl fmt::Debug for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitStatus({self})")
    }
}

/// The signals that end a process by default.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        libc::SIGIO => "SIGIO",
        libc::SIGPWR => "SIGPWR",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

/// The resources that a process used, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Processor time in its own code.
    pub user_time: Duration,
    /// Processor time in the kernel on its behalf.
    pub system_time: Duration,
    /// Its peak resident memory in bytes. A forked child starts with its parent's.
    pub peak_memory: u64,
    /// Page faults that read nothing from a disk.
    pub page_faults: u64,
    /// Page faults that read from a disk.
    pub major_page_faults: u64,
    /// How often it gave up the processor to wait.
    pub waits: u64,
    /// How often the processor was taken from it.
    pub preemptions: u64,
}

impl Usage {
    pub(super) fn new(raw: &libc::rusage) -> Self {
        let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
        Usage {
            user_time: time(raw.ru_utime),
            system_time: time(raw.ru_stime),
            peak_memory: raw.ru_maxrss as u64 * 1024,
            page_faults: raw.ru_minflt as u64,
            major_page_faults: raw.ru_majflt as u64,
            waits: raw.ru_nvcsw as u64,
            preemptions: raw.ru_nivcsw as u64,
        }
    }
}

/// What a child's closure may return: the exit code in some form.
///
/// | value | exit code |
/// |---|---|
/// | `()` | 0 |
/// | `u8` | itself |
/// | `i32` | itself in 0..=255, otherwise 255, because the kernel would cut 256 down to 0, a success |
/// | `Ok(value)` | that of the value |
/// | `Err(error)` | 1, after printing the error to stderr |
/// | a panic | 101 ([`PANICKED`]), after the panic hook has printed it |
///
/// # Examples
/// ```
/// use interproc::process;
/// let status = process::fork(|| -> Result<(), String> { Err("no such file".into()) })?.join()?;
/// assert_eq!(status.code(), Some(1)); // stderr has: Error: "no such file"
/// # Ok::<(), interproc::Error>(())
/// ```
pub trait Outcome {
    /// The exit code; runs in the child.
    fn exit_code(self) -> u8;
}

/// The exit code of a child whose closure panicked.
pub const PANICKED: u8 = 101;

impl Outcome for () {
    fn exit_code(self) -> u8 {
        0
    }
}

impl Outcome for u8 {
    fn exit_code(self) -> u8 {
        self
    }
}

impl Outcome for i32 {
    fn exit_code(self) -> u8 {
        u8::try_from(self).unwrap_or(u8::MAX)
    }
}

impl<T: Outcome, E: fmt::Debug> Outcome for Result<T, E> {
    fn exit_code(self) -> u8 {
        match self {
            Ok(value) => value.exit_code(),
            Err(error) => {
                eprintln!("Error: {error:?}");
                1
            }
        }
    }
}

/// Names the type `!`, which cannot be written directly yet, so that a closure may also never return. Not reachable from
/// outside.
pub trait Returns {
    /// `T` of `fn() -> T`.
    type Value;
}

impl<T> Returns for fn() -> T {
    type Value = T;
}

impl Outcome for <fn() -> ! as Returns>::Value {
    fn exit_code(self) -> u8 {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_never_becomes_a_success_by_being_cut_to_a_byte() {
        for code in [256, 512, -1, -256, i32::MIN, i32::MAX] {
            assert_eq!(code.exit_code(), 255, "{code}");
        }
        assert_eq!((0i32.exit_code(), 7i32.exit_code(), 255i32.exit_code()), (0, 7, 255));
    }

    #[test]
    fn a_status_says_in_words_how_the_child_ended() {
        let text = |raw| ExitStatus { raw }.to_string();
        assert_eq!(text(42 << 8), "exit code 42");
        assert_eq!(text(9), "killed by signal 9 (SIGKILL)");
        assert_eq!(text(11 | 0x80), "killed by signal 11 (SIGSEGV), core dumped");
        assert_eq!(text(40), "killed by signal 40");
    }
}
