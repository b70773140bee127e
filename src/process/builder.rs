//! [`Builder`]: the settings of a new child.

use super::limit::Limit;
use super::setup::{Group, NAME_LEN, Setup, c_string};
use super::stdio::{Source, Stdio};
use crate::counted::Counted;
use crate::fallible;
use crate::{Error, ErrorKind, Result};
use core::iter::repeat_n;
use std::boxed::Box;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::vec::Vec;

/// Starts children with settings, whether they run a closure ([`fork`](Self::fork)) or a program ([`spawn`](Self::spawn)).
///
/// The child applies all settings to itself before its own code runs. If one cannot be applied, there is no child, and the
/// error says which step failed.
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
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) name: Option<Counted<Box<str>>>,
    nice: Option<i32>,
    processors: Option<Vec<usize>>,
    limits: Vec<(Limit, u64, u64)>,
    directory: Option<Counted<CString>>,
    umask: Option<u32>,
    stdio: [Option<Stdio>; 3],
    group: Group,
    pub(super) bond: Bond,
    /// A bad setting, or one for which there was no memory: the start reports it.
    problem: Option<Error>,
}

/// What dies with the parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bond {
    #[default]
    Free,
    Process,
    Group,
}

impl Builder {
    /// No settings: a child like its parent.
    pub fn new() -> Self {
        Builder::default()
    }

    /// The name that ps shows. Of a forked child's name the kernel keeps 15 bytes; a longer one is cut at a character. A
    /// program appears under its file's name in `ps -e` and gets this name as its `argv[0]`, which `ps -f` shows. A NUL in
    /// the name makes the start fail with [`ErrorKind::InvalidInput`].
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = self.kept(fallible::text(name.as_ref()).and_then(Counted::new));
        self
    }

    /// The setting, or nothing if there is something wrong with it.
    fn kept<T>(&mut self, setting: Result<T>) -> Option<T> {
        setting.map_err(|error| self.problem.get_or_insert(error)).ok()
    }

    /// The nice value: -20 (most favoured) to 19. Lowering it takes a privilege: [`ErrorKind::PermissionDenied`].
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
    ///     Err(e) => println!("we may not use processor 0: {e}"),
    /// }
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn processors(mut self, processors: impl IntoIterator<Item = usize>) -> Self {
        self.processors = self.kept(fallible::collected(processors));
        self
    }

    /// A resource limit: the soft one, which the kernel enforces, and the hard one, up to which the child may raise it;
    /// `u64::MAX` for none.
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{Builder, Limit};
    /// let child = Builder::new().limit(Limit::OpenFiles, 0, 0).fork(|| std::fs::File::open("/").is_err() as u8)?;
    /// assert_eq!(child.join()?.code(), Some(1));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn limit(mut self, limit: Limit, soft: u64, hard: u64) -> Self {
        let pushed = fallible::push(&mut self.limits, (limit, soft, hard));
        self.kept(pushed);
        self
    }

    /// The working directory.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = self
            .kept(c_string(path.as_ref().as_os_str().as_encoded_bytes(), "a path").and_then(Counted::new));
        self
    }

    /// The umask: the mode bits that the child's new files never get.
    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = Some(mask & 0o777);
        self
    }

    /// The child's standard input.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdio[0] = Some(stdin.into());
        self
    }

    /// The child's standard output.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdio[1] = Some(stdout.into());
        self
    }

    /// The child's standard error.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stdio[2] = Some(stderr.into());
        self
    }

    /// The child leads a new session, without a terminal, and a new process group in it.
    pub fn new_session(mut self) -> Self {
        self.group = Group::NewSession;
        self
    }

    /// The child joins this process group of its session; 0: it leads a new one, which
    /// [`Child::signal_group`](super::Child::signal_group) reaches.
    pub fn process_group(mut self, group: i32) -> Self {
        self.group = Group::Joined(group);
        self
    }

    /// A bound child: the kernel kills it (SIGKILL) at once when this process ends, whether by a normal exit, by a crash or
    /// by SIGKILL, and also when this process becomes another program (exec). The end of the *thread* that started it does
    /// not matter. Python calls it `daemon=True`; a service that outlives its starter is a [`Daemon`](super::Daemon).
    ///
    /// The child cannot block it, forget it or lose it by exec; the [module](super) says how it works. It costs this
    /// process two descriptors until the child's handle is dropped and the child has ended. It does not reach the child's
    /// own children: [`group_dies_with_parent`](Self::group_dies_with_parent) does.
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{self, Builder};
    /// let (read, write) = std::io::pipe()?;
    /// let middle = process::fork(|| {
    ///     let _ = Builder::new().dies_with_parent().stdout(write.try_clone().unwrap()).fork(|| loop { std::thread::park() });
    ///     std::process::abort() // however it ends
    /// })?;
    /// middle.join()?;
    /// drop(write);
    /// assert_eq!(std::io::read_to_string(read)?, ""); // the end of the pipe: its last writer is gone as well
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dies_with_parent(mut self) -> Self {
        self.bond = Bond::Process;
        self
    }

    /// As [`dies_with_parent`](Self::dies_with_parent), for the child and all processes that it starts: the child leads a
    /// process group (its new session's if [`new_session`](Self::new_session) is set), and the kernel kills the whole
    /// group. A process that leaves the group, by `setpgid` or `setsid`, is out of reach. Whatever is left of the group is
    /// also killed when the child has ended and its handle is dropped.
    pub fn group_dies_with_parent(mut self) -> Self {
        self.bond = Bond::Group;
        self
    }

    /// The name that was set.
    pub(super) fn name_given(&self) -> Option<&str> {
        self.name.as_ref().map(|name| &***name)
    }

    /// What the child applies, and a file that must stay open until it has.
    pub(super) fn prepare(&self) -> Result<(Setup, Option<File>)> {
        let mut setup = Setup {
            group: self.group,
            nice: self.nice,
            umask: self.umask,
            name: self.short_name()?,
            is_bound: self.bond != Bond::Free,
            whole_group: self.bond == Bond::Group,
            ..Setup::default()
        };
        if setup.whole_group && setup.group == Group::Inherited {
            setup.group = Group::Joined(0);
        }
        if setup.whole_group && !matches!(setup.group, Group::Joined(0) | Group::NewSession) {
            return Err(invalid(
                "group_dies_with_parent needs a group that the child leads: process_group(0) or new_session()",
            ));
        }
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        if let Some(processors) = &self.processors {
            let mut bits =
                fallible::collected(repeat_n(0u64, processors.iter().max().map_or(1, |max| max / 64 + 1)))?;
            processors.iter().for_each(|n| bits[n / 64] |= 1 << (n % 64));
            setup.processors = Some(bits);
        }
        setup.limits =
            fallible::collected(self.limits.iter().map(|&(limit, soft, hard)| (limit.number(), soft, hard)))?;
        setup.directory = self.directory.clone();
        fallible::reserve(&mut setup.descriptors, self.stdio.len())?;
        let mut null = None;
        for (to, stdio) in self.stdio.iter().enumerate() {
            let from = match stdio {
                None => continue,
                Some(Stdio(Source::NoMemory)) => return Err(Error::no_memory()),
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
        setup.copies = fallible::collected(repeat_n(-1, setup.descriptors.len()))?;
        Ok((setup, null))
    }

    fn short_name(&self) -> Result<Option<[u8; NAME_LEN]>> {
        let Some(name) = self.name_given() else { return Ok(None) };
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
