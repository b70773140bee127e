//! What a child shall be like.

use super::limit::Limit;
use super::setup::{Group, NAME_LEN, Setup, c_string};
use super::stdio::{Source, Stdio};
use crate::heap::{self, Shared};
use crate::{Error, ErrorKind, Result};
use core::iter::repeat_n;
use std::boxed::Box;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::vec::Vec;

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
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) name: Option<Shared<Box<str>>>,
    nice: Option<i32>,
    processors: Option<Vec<usize>>,
    limits: Vec<(Limit, u64, u64)>,
    directory: Option<Shared<CString>>,
    umask: Option<u32>,
    stdio: [Option<Stdio>; 3],
    group: Group,
    pub(super) bond: Bond,
    /// What is wrong with a setting, or that there was no memory for it: the start says so.
    problem: Option<Error>,
}

/// Whether the child ends with its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bond {
    #[default]
    Free,
    Process,
    Group,
}

impl Builder {
    /// A child like its parent.
    pub fn new() -> Self {
        Builder::default()
    }

    /// The name that ps shows. Of a forked child the kernel keeps 15 bytes; what is longer is cut at a character. A
    /// program is shown by its file's name in `ps -e` and gets this one as its `argv[0]`, which `ps -f` shows. A NUL
    /// in it makes the start fail with [`ErrorKind::InvalidInput`].
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = self.kept(heap::text(name.as_ref()).and_then(Shared::new));
        self
    }

    /// A setting; nothing if there is something wrong with it.
    fn kept<T>(&mut self, setting: Result<T>) -> Option<T> {
        setting.map_err(|error| self.problem.get_or_insert(error)).ok()
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
        self.processors = self.kept(heap::collected(processors));
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
        let pushed = heap::push(&mut self.limits, (limit, soft, hard));
        self.kept(pushed);
        self
    }

    /// The working directory.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory =
            self.kept(c_string(path.as_ref().as_os_str().as_encoded_bytes(), "a path").and_then(Shared::new));
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
    /// [`Child::signal_group`](super::Child::signal_group) reaches.
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

    /// The name that the child is to have.
    pub(super) fn name_given(&self) -> Option<&str> {
        self.name.as_ref().map(|name| &***name)
    }

    /// What the child applies, and the descriptors that must stay open until it has.
    pub(super) fn prepare(&self) -> Result<(Setup, Option<File>)> {
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
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        if let Some(processors) = &self.processors {
            let mut bits =
                heap::collected(repeat_n(0u64, processors.iter().max().map_or(1, |max| max / 64 + 1)))?;
            processors.iter().for_each(|n| bits[n / 64] |= 1 << (n % 64));
            setup.processors = Some(bits);
        }
        setup.limits =
            heap::collected(self.limits.iter().map(|&(limit, soft, hard)| (limit.number(), soft, hard)))?;
        setup.directory = self.directory.clone();
        heap::reserve(&mut setup.descriptors, self.stdio.len())?;
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
        setup.copies = heap::collected(repeat_n(-1, setup.descriptors.len()))?;
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
