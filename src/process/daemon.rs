//! [`Daemon`]: a process that outlives its starter, its session and its terminal.
#![allow(unsafe_code)]

use super::setup::c_string;
use super::start::{be_alone, start_error};
use super::status::{Outcome, PANICKED};
use crate::counted::Counted;
use crate::sys::call::retried;
use crate::sys::own::{self, Own};
use crate::sys::{fork, fork_gate, pidfd, settings, task};
use crate::{Deadline, Error, ErrorKind, Result};
use core::time::Duration;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Starts a system daemon: a process in a session of its own, without a terminal, whose parent is init. It outlives this
/// process. (A child that dies with its parent is a [bound child](super::Builder::dies_with_parent).)
///
/// The steps, in this order: fork; a new session in the child; fork again, so that the daemon leads no session and can
/// never get a terminal; then the umask, the pidfile, the working directory, the standard streams to `/dev/null`, and the
/// closure. The starter waits until the daemon says that it is ready, or fails.
///
/// The daemon keeps the starter's signal mask and handlers. Other descriptors stay open.
///
/// # Examples
/// ```
/// use interproc::process::{Daemon, Process};
/// let pidfile = std::env::temp_dir().join(format!("interproc-doc-{}.pid", std::process::id()));
/// let daemon = Daemon::new().pidfile(&pidfile).umask(0o027);
///
/// let pid = daemon.start(|ready| {
///     // A server binds its socket here, and only then says:
///     ready.now();
///     std::thread::park(); // serves
/// })?;
/// assert_eq!(std::fs::read_to_string(&pidfile)?.trim(), pid.to_string());
///
/// // The pidfile is locked, so there is only one such daemon.
/// let second = daemon.start(|ready| ready.now()).unwrap_err();
/// assert_eq!(second.kind(), interproc::ErrorKind::Exists);
///
/// Process::open(pid)?.send_signal(15)?; // SIGTERM
/// std::fs::remove_file(&pidfile)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Daemon {
    /// `None`: `/`.
    directory: Option<Counted<CString>>,
    umask: u32,
    keep_stdio: bool,
    pidfile: Option<Counted<CString>>,
    ready_timeout: Option<Duration>,
    /// A bad setting, or one for which there was no memory: the start reports it.
    problem: Option<Error>,
}

/// How a daemon tells its starter that it is ready.
#[derive(Debug)]
pub struct Ready {
    write: Own,
    /// Kept open, so that telling a starter that is gone raises no SIGPIPE.
    read: Own,
}

impl Ready {
    /// Tells the starter that the daemon is ready: [`Daemon::start`] returns there.
    pub fn now(self) {
        self.tell(Report { what: READY, value: std::process::id() });
    }

    /// Tells the starter that the daemon failed: [`Daemon::start`] returns an error with this errno value there. End the
    /// daemon then.
    pub fn failed(self, errno: i32) {
        self.tell(Report { what: FAILED, value: errno as u32 });
    }

    fn tell(self, report: Report) {
        // There is room in the pipe. If the starter has given up waiting, the daemon need not end. If the program has
        // closed the descriptors, the starter waits for its time limit or for the daemon's end.
        if let (Some(write), Some(_)) = (self.write.get(), self.read.get()) {
            let _ = own::as_file(write).write_all(&report.to_bytes());
        }
    }
}

const READY: u32 = 1;
const FAILED: u32 = 2;
/// Another process has the pidfile locked.
const TAKEN: u32 = 3;
const STEP_DIRECTORY: u32 = 4;
const STEP_STDIO: u32 = 5;
const STEP_PIDFILE: u32 = 6;
const STEP_FORK: u32 = 7;

#[derive(Clone, Copy)]
struct Report {
    what: u32,
    value: u32,
}

impl Report {
    fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.what) << 32 | u64::from(self.value)).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        let word = u64::from_le_bytes(bytes);
        Report { what: (word >> 32) as u32, value: word as u32 }
    }
}

impl Default for Daemon {
    fn default() -> Self {
        Daemon::new()
    }
}

impl Daemon {
    /// A daemon in `/`, with umask 022, standard streams on `/dev/null` and no pidfile; the starter waits without a time
    /// limit.
    pub fn new() -> Self {
        Daemon {
            directory: None,
            umask: 0o022,
            keep_stdio: false,
            pidfile: None,
            ready_timeout: None,
            problem: None,
        }
    }

    /// The working directory.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = self.kept(path_of(path.as_ref()));
        self
    }

    /// The umask: the mode bits that its new files never get.
    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = mask & 0o777;
        self
    }

    /// Keeps the starter's standard streams.
    pub fn keep_stdio(mut self) -> Self {
        self.keep_stdio = true;
        self
    }

    /// A file that holds the daemon's process id, and that the daemon keeps locked (`flock`) as long as it lives. So there
    /// is only one such daemon at a time, and a file that a killed daemon left is no obstacle. The file is not removed at
    /// the end: the lock counts, not the file. A relative path starts at the starter's working directory.
    pub fn pidfile(mut self, path: impl AsRef<Path>) -> Self {
        self.pidfile = self.kept(path_of(path.as_ref()));
        self
    }

    /// The setting, or nothing if there is something wrong with it.
    fn kept<T>(&mut self, setting: Result<T>) -> Option<T> {
        setting.map_err(|error| self.problem.get_or_insert(error)).ok()
    }

    /// How long the starter waits for the daemon to be ready; then it kills the daemon.
    pub fn ready_timeout(mut self, timeout: Duration) -> Self {
        self.ready_timeout = Some(timeout);
        self
    }

    /// Starts the daemon and returns its process id when it is ready. `body` says so through its argument; if it returns
    /// without doing so, the daemon has failed. The rules of a forked child hold for `body`: see the [module](super).
    ///
    /// # Errors
    /// [`ErrorKind::NotAlone`]: this process has other threads, or the calling thread has a guard: see the [module](super).
    /// [`ErrorKind::Exists`]: another process has the pidfile locked. [`ErrorKind::TimedOut`]: the daemon was not ready in
    /// time, and was killed. [`ErrorKind::NoChild`]: it ended before it was ready. The error given to [`Ready::failed`].
    /// [`ErrorKind::NoFile`], [`ErrorKind::PermissionDenied`]: its directory or files. [`ErrorKind::Resource`]. After any
    /// error there is no daemon.
    pub fn start<F, R>(&self, body: F) -> Result<u32>
    where
        F: FnOnce(Ready) -> R,
        R: Outcome,
    {
        be_alone()?;
        // SAFETY: there is no other thread, and no guard.
        unsafe { self.start_unchecked(body) }
    }

    /// As [`start`](Self::start), beside other threads and under guards.
    ///
    /// # Errors
    /// As [`start`](Self::start), but never `NotAlone`.
    ///
    /// # Safety
    /// That of [`Builder::fork_unchecked`](super::Builder::fork_unchecked), for the daemon.
    pub unsafe fn start_unchecked<F, R>(&self, body: F) -> Result<u32>
    where
        F: FnOnce(Ready) -> R,
        R: Outcome,
    {
        let mut body = Some(body);
        self.run(&mut |ready| body.take().map_or(PANICKED, |body| body(ready).exit_code()))
    }

    fn run(&self, body: &mut dyn FnMut(Ready) -> u8) -> Result<u32> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let directory = self.directory.as_ref().map_or(c"/", |path| path.as_c_str());
        let (read, write) = fork_gate::pipe().map_err(start_error)?;
        let until = self.ready_timeout.map(Deadline::after);
        // The middle process ends at once and is joined here; from then on the daemon's parent is init.
        let number = read.as_raw_fd();
        let middle = move || {
            // This process's copies; the frame that owns the starter's never runs here.
            let (Ok(write), Ok(read)) = (Own::new(write.into_raw_fd()), Own::new(number)) else {
                fork::exit_now(1);
            };
            let mut ready = Some(Ready { write, read });
            let mut fail = |what, errno: i32| -> ! {
                ready.take().expect("told once").tell(Report { what, value: errno as u32 });
                fork::exit_now(1)
            };
            // SAFETY: the only thread; the child's branch ends in _exit.
            match unsafe { fork::fork() } {
                Err(errno) => fail(STEP_FORK, errno),
                Ok(0) => {}
                Ok(_) => fork::exit_now(0),
            }
            settings::set_umask(self.umask);
            // Before the directory changes: a relative path starts at the starter's.
            let lock = match self.pidfile.as_deref().map(|path| lock_pidfile(path)) {
                None => None,
                Some(Ok(file)) => Some(file),
                Some(Err(NoPidfile::Taken)) => fail(TAKEN, libc::EEXIST),
                Some(Err(NoPidfile::Errno(errno))) => fail(STEP_PIDFILE, errno),
            };
            if let Err(errno) = settings::change_directory(directory) {
                fail(STEP_DIRECTORY, errno);
            }
            if let (false, Err(errno)) = (self.keep_stdio, null_stdio()) {
                fail(STEP_STDIO, errno);
            }
            let ready = ready.take().expect("told once");
            let code = catch_unwind(AssertUnwindSafe(|| body(ready))).unwrap_or_else(|payload| {
                core::mem::forget(payload);
                PANICKED
            });
            drop(lock);
            fork::exit_now(code)
        };
        // SAFETY: by the contract of `start_unchecked`; the middle process itself makes system calls only.
        let middle = unsafe { super::Builder::new().new_session().fork_unchecked(middle) }?;
        let told = self.await_report(&read, until);
        if told.is_err() {
            // It may be stuck. Its group has the number of the middle process, which is not reaped yet.
            let _ = middle.signal_group(libc::SIGKILL);
        }
        let _ = middle.join();
        told
    }

    fn await_report(&self, read: &OwnedFd, until: Option<Deadline>) -> Result<u32> {
        let mut fds = [pidfd::readable(read.as_fd())];
        if !pidfd::poll(&mut fds, until).map_err(Error::from_errno)? {
            return Err(Error::from(ErrorKind::TimedOut)
                .with_detail("the daemon was not ready in time, and was killed"));
        }
        let mut bytes = [0; 8];
        let mut pipe = File::from(read.try_clone()?);
        match pipe.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.raw_os_error().is_some() => return Err(error.into()),
            Err(_) => {
                return Err(
                    Error::from(ErrorKind::NoChild).with_detail("the daemon ended before it was ready")
                );
            }
        }
        let Report { what, value } = Report::from_bytes(bytes);
        let step = match what {
            READY => return Ok(value),
            TAKEN => {
                let path = self.pidfile.as_ref().map_or(&[][..], |path| path.to_bytes());
                let path = OsStr::from_bytes(path).display();
                return Err(Error::from(ErrorKind::Exists)
                    .with_detail(format_args!("another process has the pidfile {path} locked")));
            }
            FAILED => "the daemon reported that it failed",
            STEP_DIRECTORY => "entering its working directory",
            STEP_STDIO => "opening /dev/null",
            STEP_PIDFILE => "writing the pidfile",
            _ => "forking",
        };
        let error = match value as i32 {
            libc::ENOENT => Error::from(ErrorKind::NoFile),
            errno => Error::from_errno(errno),
        };
        Err(error.with_detail(step))
    }
}

/// Why there is no pidfile.
enum NoPidfile {
    Taken,
    Errno(i32),
}

impl From<std::io::Error> for NoPidfile {
    fn from(error: std::io::Error) -> Self {
        NoPidfile::Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

fn path_of(path: &Path) -> Result<Counted<CString>> {
    c_string(path.as_os_str().as_encoded_bytes(), "a path").and_then(Counted::new)
}

/// Locks the file first, then writes it: a number read while the file is locked is the holder's.
fn lock_pidfile(path: &CStr) -> core::result::Result<File, NoPidfile> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: a C string.
    let fd = retried(|| unsafe { libc::open(path.as_ptr(), flags, 0o644) }).map_err(NoPidfile::Errno)?;
    // The standard streams take their numbers afterwards, and the lock would end with its descriptor.
    let fd = own::above_stdio(fd).map_err(NoPidfile::Errno)?;
    // SAFETY: just opened.
    let mut file = unsafe { File::from_raw_fd(fd) };
    // SAFETY: takes integers.
    match retried(|| unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => {}
        Err(libc::EWOULDBLOCK) => return Err(NoPidfile::Taken),
        Err(errno) => return Err(NoPidfile::Errno(errno)),
    }
    file.set_len(0)?;
    file.rewind()?;
    let (mut digits, mut line) = ([0; 10], [b'\n'; 11]);
    let digits = task::decimal(std::process::id(), &mut digits);
    line[..digits.len()].copy_from_slice(digits);
    file.write_all(&line[..=digits.len()])?;
    Ok(file)
}

fn null_stdio() -> core::result::Result<(), i32> {
    let null = File::options().read(true).write(true).open("/dev/null");
    let null: OwnedFd = null.map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))?.into();
    let copy = own::copy_above(null.as_raw_fd(), 3)?;
    (0..3).try_for_each(|fd: RawFd| settings::place(copy, fd))?;
    settings::close_copy(copy);
    if null.as_raw_fd() < 3 {
        core::mem::forget(null);
    }
    Ok(())
}
