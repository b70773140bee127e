//! A program to be started.
#![allow(unsafe_code)]

use super::setup::{Failure, Setup, Step, c_string};
use crate::shm::Segment;
use crate::sys::{own, settings};
use crate::{Error, ErrorKind, Result};
use core::ffi::c_char;
use core::fmt;
use core::ptr::null;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::format;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

/// A program with its arguments, environment and descriptors, for [`Builder::spawn`](super::Builder::spawn).
///
/// The program's file is found as a shell does it: with a slash in it the name is a path, otherwise it is looked for in
/// this process's `PATH`. The environment is this process's, as it is at the start, with the changes made here.
///
/// **Descriptors.** The program gets this process's descriptors that are not close-on-exec (everything that Rust's
/// standard library and this library open is), unless [`close_others`](Self::close_others) keeps them from it, and
/// those that [`descriptor`](Self::descriptor) names.
///
/// # Examples
/// ```
/// use interproc::process::{Builder, Program};
/// let program = Program::new("sh").args(["-c", "test \"$WHO\" = me"]).env("WHO", "me");
/// assert!(Builder::new().spawn(program)?.join()?.success());
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Program {
    file: OsString,
    arguments: Vec<OsString>,
    clear: bool,
    /// `None`: removed.
    environment: BTreeMap<OsString, Option<OsString>>,
    descriptors: Vec<(Arc<OwnedFd>, Place)>,
    close_others: bool,
}

/// Where a descriptor goes.
#[derive(Clone, Debug)]
enum Place {
    Number(RawFd),
    /// Anywhere; this variable says where.
    Variable(OsString),
}

/// Before the key of a segment: the name of the environment variable that holds its descriptor's number.
const PREFIX: &str = "INTERPROC_SEGMENT_";

impl Program {
    /// A program by its name or path, without arguments.
    pub fn new(file: impl Into<OsString>) -> Self {
        Program {
            file: file.into(),
            arguments: Vec::new(),
            clear: false,
            environment: BTreeMap::new(),
            descriptors: Vec::new(),
            close_others: false,
        }
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(key.into(), Some(value.into()));
        self
    }

    /// Removes a variable from the environment.
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Self {
        self.environment.insert(key.into(), None);
        self
    }

    /// Starts from an empty environment; what is set here stays.
    pub fn env_clear(mut self) -> Self {
        self.clear = true;
        self.environment.retain(|_, value| value.is_some());
        self
    }

    /// Gives the program a copy of `fd` with this number, whatever has the number in this process.
    ///
    /// # Errors
    /// None here; a negative number makes the start fail with [`ErrorKind::InvalidInput`].
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{Builder, Program};
    /// let (read, write) = std::io::pipe()?;
    /// let program = Program::new("sh").args(["-c", "echo seven >&7"]).descriptor(7, write);
    /// assert!(Builder::new().spawn(&program)?.join()?.success());
    /// drop(program); // it holds a copy of the writing end
    /// assert_eq!(std::io::read_to_string(read)?, "seven\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn descriptor(mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Self {
        self.descriptors.push((Arc::new(fd.into()), Place::Number(number)));
        self
    }

    /// Keeps this process's descriptors from 3 on from the program, also those that foreign code forgot to mark
    /// close-on-exec.
    pub fn close_others(mut self) -> Self {
        self.close_others = true;
        self
    }

    /// Gives the program a segment, which need have no name. There, [`inherited_segment`] opens it by `key`.
    ///
    /// # Errors
    /// When its file cannot be opened once more (no /proc, no descriptor left).
    pub fn segment(mut self, key: &str, segment: &Segment) -> Result<Self> {
        // Another description: what this process holds by its own must end with this process.
        let file = own::open_again(segment.file()?).map_err(Error::from_errno)?;
        // SAFETY: just opened.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        self.descriptors.push((Arc::new(file), Place::Variable(format!("{PREFIX}{key}").into())));
        Ok(self)
    }

    /// Its file's name.
    pub(super) fn name(&self) -> String {
        let path = std::path::Path::new(&self.file);
        path.file_name().unwrap_or(&self.file).to_string_lossy().into_owned()
    }

    /// Everything that exec wants; the descriptors go into `setup`.
    pub(super) fn prepare(&self, name: Option<&str>, setup: &mut Setup) -> Result<Image> {
        setup.close_others = self.close_others;
        let mut variables = BTreeMap::new();
        let taken = |number| {
            self.descriptors.iter().any(|(_, place)| matches!(place, Place::Number(n) if *n == number))
        };
        let mut free = (3..).filter(|&number| !taken(number));
        for (fd, place) in &self.descriptors {
            let number = match place {
                Place::Number(number) => *number,
                Place::Variable(key) => {
                    let number = free.next().unwrap_or(RawFd::MAX);
                    variables.insert(key.clone(), Some(OsString::from(format!("{number}"))));
                    number
                }
            };
            if number < 0 {
                return Err(Error::from(ErrorKind::InvalidInput).with_detail("a negative descriptor number"));
            }
            setup.descriptors.retain(|&(_, to)| to != number);
            setup.descriptors.push((fd.as_raw_fd(), number));
        }
        let text = |text: &OsStr| c_string(text.as_bytes(), "an argument");
        let first = name.map_or_else(|| text(&self.file), |name| text(name.as_ref()))?;
        let arguments: Result<Vec<CString>> =
            core::iter::once(Ok(first)).chain(self.arguments.iter().map(|a| text(a))).collect();
        Ok(Image::new(self.candidates()?, arguments?, self.variables(variables)?))
    }

    /// The files to try, in order.
    fn candidates(&self) -> Result<Vec<CString>> {
        let file = self.file.as_bytes();
        if file.contains(&b'/') || file.is_empty() {
            return Ok(Vec::from([c_string(file, "a program's name")?]));
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
        let in_directory = |directory: std::path::PathBuf| {
            c_string(directory.join(&self.file).into_os_string().into_vec(), "a program's name")
        };
        std::env::split_paths(&path).map(in_directory).collect()
    }

    /// The environment as `KEY=value`.
    fn variables(&self, more: BTreeMap<OsString, Option<OsString>>) -> Result<Vec<CString>> {
        let mut all: BTreeMap<OsString, OsString> = BTreeMap::new();
        if !self.clear {
            all.extend(std::env::vars_os());
        }
        for (key, value) in self.environment.iter().chain(&more) {
            if key.is_empty() || key.as_bytes()[1..].contains(&b'=') {
                return Err(Error::from(ErrorKind::InvalidInput).with_detail("no name of a variable"));
            }
            match value {
                Some(value) => drop(all.insert(key.clone(), value.clone())),
                None => drop(all.remove(key)),
            }
        }
        let join = |(key, value): (OsString, OsString)| {
            let mut text = key.into_vec();
            text.push(b'=');
            text.extend(value.as_bytes());
            c_string(text, "a variable")
        };
        all.into_iter().map(join).collect()
    }
}

impl AsRef<Program> for Program {
    fn as_ref(&self) -> &Program {
        self
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.to_string_lossy())
    }
}

/// What exec takes.
pub(super) struct Image {
    candidates: Vec<CString>,
    /// Null-terminated pointers into the strings below.
    arguments: Box<[*const c_char]>,
    environment: Box<[*const c_char]>,
    _strings: [Vec<CString>; 2],
}

impl Image {
    pub(super) fn new(candidates: Vec<CString>, arguments: Vec<CString>, variables: Vec<CString>) -> Self {
        let list = |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).chain([null()]).collect();
        Image {
            candidates,
            arguments: list(&arguments),
            environment: list(&variables),
            _strings: [arguments, variables],
        }
    }

    /// Becomes the program; returns only to say why not. Only system calls.
    pub(super) fn become_it(&self) -> Failure {
        let mut errno = libc::ENOENT;
        for path in &self.candidates {
            // SAFETY: null-terminated lists of C strings that live as long as this.
            match unsafe { settings::exec(path, self.arguments.as_ptr(), self.environment.as_ptr()) } {
                libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG => {}
                // Perhaps a later directory has one that may be executed.
                libc::EACCES => errno = libc::EACCES,
                other => {
                    errno = other;
                    break;
                }
            }
        }
        Failure::new(Step::Exec, errno)
    }
}

/// Opens a segment that the parent has given to this program by [`Program::segment`].
///
/// # Errors
/// [`ErrorKind::NotFound`]: the parent gave none with this key. Those of
/// [`Segment::from_fd`](crate::Segment::from_fd).
///
/// # Examples
/// ```
/// use core::sync::atomic::{AtomicU32, Ordering};
/// use interproc::Segment;
/// use interproc::process::{Builder, Program, inherited_segment};
///
/// if std::env::args().any(|a| a == "child") {
///     let left = inherited_segment("shop")?.find::<AtomicU32>("tickets")?;
///     std::process::exit(left.load(Ordering::Relaxed) as i32);
/// }
/// let shop = Segment::anonymous(1 << 16)?;
/// shop.object("tickets", || AtomicU32::new(3))?;
/// let itself = Program::new(std::env::current_exe()?).arg("child").segment("shop", &shop)?;
/// assert_eq!(Builder::new().spawn(itself)?.join()?.code(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn inherited_segment(key: &str) -> Result<Segment> {
    let number = std::env::var(format!("{PREFIX}{key}")).ok().and_then(|text| text.parse::<RawFd>().ok());
    let Some(number) = number.filter(|number| *number >= 0) else {
        return Err(Error::from(ErrorKind::NotFound).with_detail("the parent gave no segment with this key"));
    };
    // A copy: the number stays what the variable says.
    let copy = settings::copy_above(number, 3).map_err(Error::from_errno)?;
    // SAFETY: just made.
    Segment::from_fd(unsafe { OwnedFd::from_raw_fd(copy) })
}
