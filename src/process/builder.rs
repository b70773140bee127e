//! Starting a child.
#![allow(unsafe_code)]

use super::child::Child;
use super::creator::Creator;
use super::hand_over::HandOver;
use super::orphans;
use super::program::Program;
use super::setup::{Failure, Group, NAME_LEN, Setup, Step, c_string};
use super::status::{Outcome, PANICKED};
use crate::sys::gate::{self, Gate};
use crate::sys::lifeline::Lifeline;
use crate::sys::{fork, pidfd, task, vfork};
use crate::{Error, ErrorKind, Result};
use core::cell::RefCell;
use core::ffi::{c_int, c_void};
use std::boxed::Box;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::vec::Vec;
use std::{format, vec};

/// What a new child shall be like, whether it runs a closure ([`fork`](Self::fork)) or a program
/// ([`spawn`](Self::spawn)).
///
/// The child sets all of it for itself, before its own code runs; if something cannot be set, there is no child, and
/// the error says which step failed.
///
/// # Examples
/// ```
/// use interproc::process::Builder;
/// let child = Builder::new().name("counter").nice(5).fork(|| {
///     let name = std::fs::read_to_string("/proc/self/comm").unwrap();
///     assert_eq!(name.trim(), "counter");
/// })?;
/// assert!(child.join()?.success());
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Box<str>>,
    nice: Option<i32>,
    processors: Option<Vec<usize>>,
    limits: Vec<(Limit, u64, u64)>,
    directory: Option<Box<Path>>,
    umask: Option<u32>,
    stdio: [Option<Stdio>; 3],
    group: Group,
    bond: Bond,
}

/// Whether the child ends with its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Bond {
    #[default]
    Free,
    Process,
    Group,
}

/// What a standard stream of a child is. Without one: that of the parent.
///
/// # Examples
/// ```
/// use interproc::process::{Builder, Program, Stdio};
/// use std::io::Read;
/// let (mut read, write) = std::io::pipe()?;
/// let child = Builder::new().stdin(Stdio::null()).stdout(write).spawn(Program::new("echo").arg("hello"))?;
/// let mut said = String::new();
/// read.read_to_string(&mut said)?;
/// assert_eq!((child.join()?.code(), said.as_str()), (Some(0), "hello\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stdio(Source);

#[derive(Clone, Debug)]
enum Source {
    Null,
    Fd(Arc<OwnedFd>),
}

impl Stdio {
    /// `/dev/null`.
    pub fn null() -> Self {
        Stdio(Source::Null)
    }
}

/// A file, the end of a pipe, a socket: the child gets a copy. The builder keeps it open until it is dropped, so drop
/// the builder before waiting for the end of a pipe that the child writes to.
impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(fd: T) -> Self {
        Stdio(Source::Fd(Arc::new(fd.into())))
    }
}

/// A limit that the kernel sets to a process: `setrlimit(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of address space.
    AddressSpace,
    /// Seconds of processor time.
    Cpu,
    /// Bytes of a core dump.
    Core,
    /// Bytes of data segment.
    Data,
    /// Bytes of a file that it writes.
    FileSize,
    /// Bytes of locked memory.
    LockedMemory,
    /// Open descriptors: one more than the highest number.
    OpenFiles,
    /// Processes and threads of its user. Root is not bound by it.
    Processes,
    /// Bytes of the stack.
    Stack,
    /// Any other, by its number in `sys/resource.h`.
    Number(i32),
}

impl Limit {
    fn number(self) -> i32 {
        match self {
            Limit::AddressSpace => libc::RLIMIT_AS as i32,
            Limit::Cpu => libc::RLIMIT_CPU as i32,
            Limit::Core => libc::RLIMIT_CORE as i32,
            Limit::Data => libc::RLIMIT_DATA as i32,
            Limit::FileSize => libc::RLIMIT_FSIZE as i32,
            Limit::LockedMemory => libc::RLIMIT_MEMLOCK as i32,
            Limit::OpenFiles => libc::RLIMIT_NOFILE as i32,
            Limit::Processes => libc::RLIMIT_NPROC as i32,
            Limit::Stack => libc::RLIMIT_STACK as i32,
            Limit::Number(number) => number,
        }
    }
}

impl Builder {
    /// A child like its parent.
    pub fn new() -> Self {
        Builder::default()
    }

    /// The name that ps shows. Of a forked child the kernel keeps 15 bytes; what is longer is cut at a character. A
    /// program is shown by its file's name in `ps -e` and gets this one as its `argv[0]`, which `ps -f` shows. A NUL
    /// in it makes the start fail with [`ErrorKind::InvalidInput`].
    pub fn name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The nice value: -20 (first in line) to 19. To lower it takes a privilege: [`ErrorKind::PermissionDenied`].
    pub fn nice(mut self, nice: i32) -> Self {
        self.nice = Some(nice);
        self
    }

    /// The processors, by number from 0, that the child may run on.
    ///
    /// # Examples
    /// ```
    /// use interproc::process::Builder;
    /// let child = Builder::new().processors([0]).fork(|| {
    ///     std::fs::read_to_string("/proc/thread-self/status").unwrap().contains("Cpus_allowed_list:\t0\n") as u8
    /// });
    /// match child {
    ///     Ok(child) => assert_eq!(child.join()?.code(), Some(1)),
    ///     Err(e) => println!("processor 0 is not for us: {e}"),
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn processors(mut self, processors: impl IntoIterator<Item = usize>) -> Self {
        self.processors = Some(processors.into_iter().collect());
        self
    }

    /// A resource limit, both the soft one (which the kernel goes by) and the hard one (up to which the child may
    /// raise it); `u64::MAX` for none.
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{Builder, Limit};
    /// let child = Builder::new().limit(Limit::OpenFiles, 0, 0).fork(|| std::fs::File::open("/").is_err() as u8)?;
    /// assert_eq!(child.join()?.code(), Some(1));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn limit(mut self, limit: Limit, soft: u64, hard: u64) -> Self {
        self.limits.push((limit, soft, hard));
        self
    }

    /// The working directory.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = Some(path.as_ref().into());
        self
    }

    /// The mode bits that the child's new files are made without.
    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = Some(mask & 0o777);
        self
    }

    /// What the child reads from.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdio[0] = Some(stdin.into());
        self
    }

    /// Where the child's output goes.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdio[1] = Some(stdout.into());
        self
    }

    /// Where the child's complaints go.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stdio[2] = Some(stderr.into());
        self
    }

    /// The child leads a session of its own, without a terminal, and in it a process group.
    pub fn new_session(mut self) -> Self {
        self.group = Group::NewSession;
        self
    }

    /// The child joins this process group of its session; 0: it leads one of its own, which
    /// [`Child::signal_group`] reaches.
    pub fn process_group(mut self, group: i32) -> Self {
        self.group = Group::Joined(group);
        self
    }

    /// A daemon child: it ends, at once and by SIGKILL, when this process ends: by its normal exit, by a crash, by
    /// SIGKILL; also when it becomes another program (exec). Not when the *thread* ends that started it.
    ///
    /// The kernel does it, not the child, which can neither block nor forget it, nor lose it by exec; see the module
    /// page for how. It costs this process two descriptors until the child's handle is dropped and the child has
    /// ended. It does not reach the child's own children: [`daemon_group`](Self::daemon_group) does.
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{self, Builder};
    /// let (read, write) = std::io::pipe()?;
    /// let middle = process::fork(|| {
    ///     let _ = Builder::new().daemon().stdout(write.try_clone().unwrap()).fork(|| loop { std::thread::park() });
    ///     std::process::abort() // whatever ends it
    /// })?;
    /// middle.join()?;
    /// drop(write);
    /// assert_eq!(std::io::read_to_string(read)?, ""); // the end of the pipe: its last writer is gone, too
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn daemon(mut self) -> Self {
        self.bond = Bond::Process;
        self
    }

    /// As [`daemon`](Self::daemon), for the child and all processes that it starts: it leads a process group (its own
    /// session's if [`new_session`](Self::new_session) says so), and the whole group is ended. Out of reach is who
    /// leaves the group by `setpgid` or `setsid`. The rest of the group is also ended when the child has ended and its
    /// handle is dropped.
    pub fn daemon_group(mut self) -> Self {
        self.bond = Bond::Group;
        self
    }

    /// Starts a child that runs `f` and ends with its [`Outcome`]. See the [module](super) for what `f` may do.
    ///
    /// `f` need be neither `Send` nor `'static`: the child works on its own copy of the memory and of this thread.
    /// What `f` owns is dropped twice, once in each process.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`]: no process, memory or descriptor left. [`ErrorKind::Unsupported`]: no pidfd (before
    /// Linux 5.4, or a sandbox). [`ErrorKind::NoChild`]: killed and reaped elsewhere before it began. Those of the
    /// settings: [`ErrorKind::InvalidInput`], [`ErrorKind::PermissionDenied`], [`ErrorKind::NoFile`]. After any error
    /// there is no child, and `f` has not run.
    ///
    /// # Examples
    /// ```
    /// let numbers = vec![1, 2, 3]; // the child has its own copy
    /// let child = interproc::process::Builder::new().fork(|| numbers.iter().sum::<i32>())?;
    /// assert_eq!(child.join()?.code(), Some(6));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn fork<F, R>(&self, f: F) -> Result<Child>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        let mut f = Some(f);
        self.start(None, &mut || f.take().map_or(PANICKED, |f| f().exit_code()))
    }

    /// As [`fork`](Self::fork), and gives the child something that is its parent's: the end of a pipe.
    ///
    /// The child takes it before `f` runs, and until it has, the parent holds it: this call returns when the child has it,
    /// or is dead. So whoever has the other end of the pipe is told when the child dies, at whatever instruction, and is
    /// not told of an end before.
    ///
    /// # Errors
    /// As [`fork`](Self::fork). [`ErrorKind::NoChild`] also when the child was killed before it had taken it. Then there is
    /// no child, and what was to be given is dropped: an end is closed. What taking it says:
    /// [`ErrorKind::TooManyMembers`].
    ///
    /// # Examples
    /// ```
    /// use interproc::{pipe, process::Builder};
    /// let (mut to, from) = pipe::one_way(1 << 12, 100)?;
    /// let child = Builder::new().fork_with(from, |mut from| from.recv().unwrap().len() as i32)?;
    /// to.send(b"four")?;
    /// assert_eq!(child.join()?.code(), Some(4));
    /// assert_eq!(to.send(b"?").unwrap_err().kind(), interproc::ErrorKind::Closed);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn fork_with<H, F, R>(&self, gift: H, f: F) -> Result<Child>
    where
        H: HandOver,
        F: FnOnce(H) -> R,
        R: Outcome,
    {
        let (gift, mut f) = (RefCell::new(Some(gift)), Some(f));
        let started =
            self.start(Some(&mut || gift.borrow_mut().claim()), &mut || match (f.take(), gift.take()) {
                (Some(f), Some(gift)) => f(gift).exit_code(),
                _ => PANICKED,
            });
        match started {
            Ok(child) => {
                gift.into_inner().given();
                Ok(child)
            }
            Err(error) => Err(error),
        }
    }

    /// As [`fork`](Self::fork), for a C function and its argument. The exit code follows the same rule as `i32`.
    ///
    /// # Safety
    /// Calling `entry(arg)` must be sound in the child: `arg` points into memory that the child has a copy of or
    /// shares. An exception of another language that leaves `entry` ends the child by an abort.
    ///
    /// # Examples
    /// ```
    /// use core::ffi::{c_int, c_void};
    /// extern "C-unwind" fn twice(arg: *mut c_void) -> c_int {
    ///     2 * unsafe { *arg.cast::<c_int>() }
    /// }
    /// let mut n = 21;
    /// // SAFETY: the child has its own copy of `n`.
    /// let child = unsafe { interproc::process::Builder::new().fork_fn(twice, (&raw mut n).cast()) }?;
    /// assert_eq!(child.join()?.code(), Some(42));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub unsafe fn fork_fn(
        &self,
        entry: unsafe extern "C-unwind" fn(*mut c_void) -> c_int,
        arg: *mut c_void,
    ) -> Result<Child> {
        // SAFETY: by the contract.
        self.start(None, &mut || unsafe { entry(arg) }.exit_code())
    }

    fn start(&self, claim: Option<Claim<'_>>, body: &mut dyn FnMut() -> u8) -> Result<Child> {
        orphans::reap();
        let (mut setup, _open) = self.prepare()?;
        let creator = Creator::current().map_err(Error::from_errno)?;
        let line = self.line()?;
        let gate = Gate::new().map_err(start_error)?;
        // A child that the line does not reach is not let pass before it is tied by other means.
        let ask = setup.can_fail() || claim.is_some() || setup.daemon && task::children_may_be_first();
        let report = match ask {
            true => Some(gate::pipe().map_err(start_error)?),
            false => None,
        };
        // SAFETY: the child's branch never returns: `run` ends in _exit and lets no panic out. Which locks the
        // body may rely on is the caller's side of the contract, stated in the module.
        let pid = match unsafe { fork::fork() }.map_err(start_error)? {
            0 => run(gate, report.map(|(_, write)| write), &mut setup, claim, body),
            pid => pid,
        };
        let report = report.map(|(read, _)| read);
        let mut failure = None;
        let fd = gate.admit(pid, |fd| {
            if let Some(report) = report {
                failure = read_report(report, fd)?;
                if failure.is_some() {
                    return Err(libc::ECANCELED);
                }
            }
            let Some(line) = &line else { return Ok(()) };
            if crate::mutant!("line-after-start") {
                return Ok(());
            }
            line.bind(setup.bound(pid))?;
            // Still ours, so the number has named it when the kernel looked.
            if pidfd::is_our_child(fd.as_fd()) { Ok(()) } else { Err(libc::ECHILD) }
        });
        if let (true, Some(line)) = (crate::mutant!("line-after-start"), &line) {
            let _ = line.bind(setup.bound(pid));
        }
        match (fd, failure) {
            (Ok(fd), _) => Ok(Child::new(pid as u32, fd, creator, line, self.name.clone())),
            (Err(_), Some(failure)) => Err(failure.error("")),
            (Err(errno), None) => Err(start_error(errno)),
        }
    }

    /// Starts a child that runs a program. See [`Program`] for its arguments, environment and descriptors.
    ///
    /// The child shares this process's memory until it has become the program, so that a large process starts it as
    /// fast as a small one; the calling thread sleeps meanwhile, a fraction of a millisecond. Threads may run on: the
    /// child takes no lock.
    ///
    /// The program gets the signal mask of the calling thread; handled signals get their default action, ignored ones
    /// stay ignored, but for SIGPIPE, which gets its default action, because Rust's runtime ignores it unasked.
    ///
    /// # Errors
    /// [`ErrorKind::NoFile`]: no such program, interpreter or directory. [`ErrorKind::PermissionDenied`]: it may not be
    /// executed. [`ErrorKind::Resource`]: no process, memory or descriptor left. [`ErrorKind::InvalidInput`]: a NUL in
    /// an argument. [`ErrorKind::System`]: whatever else exec says, such as `ENOEXEC`. After any error there is no child.
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{Builder, Program};
    /// let child = Builder::new().spawn(Program::new("sh").args(["-c", "exit 7"]))?;
    /// assert_eq!(child.join()?.code(), Some(7));
    ///
    /// let error = Builder::new().spawn(&Program::new("/no/such/program")).unwrap_err();
    /// assert_eq!(error.kind(), interproc::ErrorKind::NoFile);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spawn(&self, program: impl AsRef<Program>) -> Result<Child> {
        orphans::reap();
        let program = program.as_ref();
        let (mut setup, _open) = self.prepare()?;
        setup.name = None;
        let image = program.prepare(self.name.as_deref(), &mut setup)?;
        setup.copies = vec![-1; setup.descriptors.len()];
        let creator = Creator::current().map_err(Error::from_errno)?;
        let line = self.line()?;
        let mut failure = Failure::default();
        // SAFETY: `apply` and `become_it` make system calls only, on what was prepared here.
        let started = unsafe {
            vfork::vfork(&mut || {
                failure = match setup.apply(line.as_ref()) {
                    Ok(()) => image.become_it(),
                    Err(failed) => failed,
                };
            })
        };
        let (pid, fd) = started.map_err(start_error)?;
        // The child wrote it while this thread slept.
        let failure = Failure::from_bytes(core::hint::black_box(failure).to_bytes());
        if let Some(failure) = failure {
            let _ = pidfd::wait_ended(fd.as_fd(), None);
            let _ = pidfd::collect(fd.as_fd());
            return Err(failure.error(&format!(" {program}")));
        }
        let name = self.name.clone().or_else(|| Some(program.name().into()));
        Ok(Child::new(pid as u32, fd, creator, line, name))
    }

    fn line(&self) -> Result<Option<Lifeline>> {
        match self.bond {
            Bond::Free => Ok(None),
            _ => Lifeline::new().map(Some).map_err(start_error),
        }
    }

    /// What the child applies, and the descriptors that must stay open until it has.
    fn prepare(&self) -> Result<(Setup, Option<File>)> {
        let mut setup = Setup {
            group: self.group,
            nice: self.nice,
            umask: self.umask,
            name: self.short_name()?,
            daemon: self.bond != Bond::Free,
            whole_group: self.bond == Bond::Group,
            ..Setup::default()
        };
        if setup.whole_group && setup.group == Group::Inherited {
            setup.group = Group::Joined(0);
        }
        if setup.whole_group && !matches!(setup.group, Group::Joined(0) | Group::NewSession) {
            return Err(invalid("a daemon group is one that the child leads"));
        }
        if let Some(processors) = &self.processors {
            let mut bits = vec![0u64; processors.iter().max().map_or(1, |max| max / 64 + 1)];
            processors.iter().for_each(|n| bits[n / 64] |= 1 << (n % 64));
            setup.processors = Some(bits);
        }
        setup.limits = self.limits.iter().map(|&(limit, soft, hard)| (limit.number(), soft, hard)).collect();
        if let Some(path) = &self.directory {
            setup.directory = Some(c_string(path.as_os_str().as_encoded_bytes(), "a path")?);
        }
        let mut null = None;
        for (to, stdio) in self.stdio.iter().enumerate() {
            let from = match stdio {
                None => continue,
                Some(Stdio(Source::Fd(fd))) => fd.as_raw_fd(),
                Some(Stdio(Source::Null)) => match &null {
                    Some(file) => file_number(file),
                    None => {
                        let file = File::options().read(true).write(true).open("/dev/null")?;
                        file_number(null.insert(file))
                    }
                },
            };
            setup.descriptors.push((from, to as RawFd));
        }
        setup.copies = vec![-1; setup.descriptors.len()];
        Ok((setup, null))
    }

    fn short_name(&self) -> Result<Option<[u8; NAME_LEN]>> {
        let Some(name) = &self.name else { return Ok(None) };
        if name.contains('\0') {
            return Err(invalid("a process name must not contain NUL"));
        }
        let mut end = name.len().min(NAME_LEN - 1);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let mut short = [0; NAME_LEN];
        short[..end].copy_from_slice(&name.as_bytes()[..end]);
        Ok(Some(short))
    }
}

fn file_number(file: &File) -> RawFd {
    file.as_fd().as_raw_fd()
}

fn invalid(what: &str) -> Error {
    Error::from(ErrorKind::InvalidInput).with_detail(what)
}

/// What the child says of its setting up; `Err(ECHILD)` when it was killed before it said anything.
fn read_report(report: OwnedFd, child: &OwnedFd) -> core::result::Result<Option<Failure>, i32> {
    let mut fds = [pidfd::readable(report.as_fd()), pidfd::readable(child.as_fd())];
    pidfd::poll(&mut fds, None)?;
    let mut bytes = [0; 8];
    if fds[0].revents & libc::POLLIN == 0 || File::from(report).read_exact(&mut bytes).is_err() {
        return Err(libc::ECHILD);
    }
    Ok(Failure::from_bytes(bytes))
}

/// In the child, what its parent gives becomes its own.
type Claim<'a> = &'a mut dyn FnMut() -> Result<()>;

/// The child, from its first instruction to its last.
fn run(
    mut gate: Gate,
    report: Option<OwnedFd>,
    setup: &mut Setup,
    claim: Option<Claim<'_>>,
    body: &mut dyn FnMut() -> u8,
) -> ! {
    if report.is_some() && gate.look_up().is_err() {
        fork::exit_now(PANICKED);
    }
    let mut applied = if setup.is_nothing() { Ok(()) } else { setup.apply(None) };
    if let (Ok(()), Some(claim)) = (applied, claim) {
        applied = claim().map_err(|error| Failure::new(Step::Claim, error.errno()));
    }
    if let Some(report) = report {
        let bytes = applied.err().unwrap_or_default().to_bytes();
        // A report that nobody reads: the parent is gone, and so says the gate.
        let _ = File::from(report).write_all(&bytes);
    }
    if applied.is_err() || !gate.pass() {
        fork::exit_now(PANICKED);
    }
    // Nothing of ours is used after a panic, so there is nothing that it could leave half done.
    let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // The hook has printed it. A payload whose destructor panics must not unwind from here.
        core::mem::forget(payload);
        PANICKED
    });
    fork::exit_now(code)
}

pub(super) fn start_error(errno: i32) -> Error {
    match errno {
        // EPERM: older seccomp filters answer so for calls that they do not know.
        libc::ENOSYS | libc::EPERM => Error::from(ErrorKind::Unsupported).with_detail("pidfd_open"),
        libc::ECHILD => Error::from(ErrorKind::NoChild)
            .with_detail("killed from outside and reaped elsewhere before its code began"),
        errno => Error::from_errno(errno),
    }
}
