//! [`Program`]: a program to start, with its arguments, environment and descriptors.
#![allow(unsafe_code)]

use super::setup::{Failure, Setup, Step, c_string, c_string_of};
use crate::counted::Counted;
use crate::error::written;
use crate::fallible;
use crate::shm::Segment;
use crate::sys::{own, settings, task};
use crate::{Error, ErrorKind, Result};
use core::ffi::c_char;
use core::fmt;
use core::iter::repeat_n;
use core::ptr::null;
use std::boxed::Box;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::string::String;
use std::vec::Vec;

/// A program with its arguments, environment and descriptors, for [`Builder::spawn`](super::Builder::spawn).
///
/// The program's file is found as a shell finds it: a name with a slash is a path, any other name is looked up in this
/// process's `PATH`. The environment is this process's at the start, with the changes made here.
///
/// That environment is read through `std::env`, whose lock keeps others from changing it meanwhile; but std aborts the
/// process when there is no memory for its copy, while everything else here returns an error. To be safe from that, give a
/// path and set the whole environment after [`env_clear`](Self::env_clear).
///
/// **Descriptors.** The program gets those that [`descriptor`](Self::descriptor) names, and this process's descriptors that
/// are not close-on-exec, unless [`close_others`](Self::close_others) is set. (Rust's standard library and this library
/// open everything close-on-exec.)
///
/// # Examples
/// ```
/// use interproc::process::{Builder, Program};
/// let program = Program::new("sh").args(["-c", "test \"$WHO\" = me"]).env("WHO", "me");
/// assert!(Builder::new().spawn(program)?.join()?.success());
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Debug)]
pub struct Program {
    file: OsString,
    arguments: Vec<OsString>,
    clear: bool,
    /// The changes to the environment: each variable once, with its last change. `None`: removed.
    environment: Vec<(OsString, Option<OsString>)>,
    /// The whole environment, passed on as it is.
    verbatim: Option<Vec<CString>>,
    /// The directories in which the program is looked up, if not this process's `PATH`.
    path: Option<OsString>,
    descriptors: Vec<(Counted<OwnedFd>, Place)>,
    close_others: bool,
    /// A bad setting, or one for which there was no memory: the start reports it.
    problem: Option<Error>,
}

/// Where a descriptor goes.
#[derive(Debug)]
enum Place {
    Number(RawFd),
    /// Any number; this variable holds it, and this text behind it.
    Variable(OsString, OsString),
}

/// With a segment's key behind it: the environment variable that holds the number of its descriptor.
const PREFIX: &str = "INTERPROC_SEGMENT_";
const DEFAULT_PATH: &str = "/bin:/usr/bin";

impl Program {
    /// A program by its name or path, without arguments.
    pub fn new(file: impl AsRef<OsStr>) -> Self {
        let mut problem = None;
        let file = fallible::os_text(file.as_ref()).unwrap_or_else(|error| {
            problem = Some(error);
            OsString::new()
        });
        Program {
            file,
            arguments: Vec::new(),
            clear: false,
            environment: Vec::new(),
            verbatim: None,
            path: None,
            descriptors: Vec::new(),
            close_others: false,
            problem,
        }
    }

    fn note(&mut self, done: Result<()>) {
        if let Err(error) = done {
            self.problem.get_or_insert(error);
        }
    }

    /// For C: the environment as a list, and the directories in which the program is looked up.
    pub(crate) fn verbatim<'a>(
        mut self,
        environment: impl Iterator<Item = &'a OsStr>,
        path: Option<&OsStr>,
    ) -> Result<Self> {
        let mut list = Vec::new();
        for variable in environment {
            fallible::push(&mut list, c_string(variable.as_bytes(), "a variable")?)?;
        }
        self.verbatim = Some(list);
        self.path = Some(fallible::os_text(path.unwrap_or(DEFAULT_PATH.as_ref()))?);
        Ok(self)
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        let done =
            fallible::os_text(argument.as_ref()).and_then(|copy| fallible::push(&mut self.arguments, copy));
        self.note(done);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Program::arg)
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let done = fallible::os_text(value.as_ref()).and_then(|value| self.change(key.as_ref(), Some(value)));
        self.note(done);
        self
    }

    fn change(&mut self, key: &OsStr, value: Option<OsString>) -> Result<()> {
        match self.environment.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => fallible::push(&mut self.environment, (fallible::os_text(key)?, value))?,
        }
        Ok(())
    }

    /// Removes a variable from the environment.
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        let done = self.change(key.as_ref(), None);
        self.note(done);
        self
    }

    /// Starts from an empty environment; variables set here stay.
    pub fn env_clear(mut self) -> Self {
        self.clear = true;
        self.environment.retain(|(_, value)| value.is_some());
        self
    }

    /// Gives the program a copy of `fd` under this number, whatever the number is in this process.
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
    /// drop(program); // it holds a copy of the write end
    /// assert_eq!(std::io::read_to_string(read)?, "seven\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn descriptor(mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Self {
        let done = Counted::new(fd.into())
            .and_then(|fd| fallible::push(&mut self.descriptors, (fd, Place::Number(number))));
        self.note(done);
        self
    }

    /// Closes this process's descriptors from 3 on in the program, even those that other code forgot to mark close-on-exec.
    pub fn close_others(mut self) -> Self {
        self.close_others = true;
        self
    }

    /// Gives the program a segment, which need not have a name. There, [`inherited_segment`] opens it by `key`.
    ///
    /// # Errors
    /// Those of opening its file once more (no /proc, no descriptor left).
    pub fn segment(self, key: &str, segment: &Segment) -> Result<Self> {
        self.object(&[PREFIX, key], segment, "")
    }

    /// Gives the program a segment, and what is told of something in it: under a variable with this name, for [`inherited`].
    pub(crate) fn object(mut self, variable: &[&str], segment: &Segment, told: &str) -> Result<Self> {
        // Another file description: what this process holds through its own must end with this process.
        let file = own::open_again(segment.file()?).map_err(Error::from_errno)?;
        // SAFETY: just opened.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        self.push(variable, file, told)?;
        Ok(self)
    }

    /// Gives the program a descriptor, for [`inherited_descriptor`].
    pub(crate) fn descriptor_at(mut self, variable: &[&str], fd: OwnedFd) -> Result<Self> {
        self.push(variable, fd, "")?;
        Ok(self)
    }

    fn push(&mut self, variable: &[&str], file: OwnedFd, told: &str) -> Result<()> {
        if variable.iter().any(|part| part.contains(['=', '\0'])) {
            return Err(Error::from(ErrorKind::InvalidInput).with_detail("a key has no `=` and no NUL"));
        }
        let mut name = OsString::new();
        for part in variable {
            name = fallible::os_text_of(&[&name, part.as_ref()])?;
        }
        let place = Place::Variable(name, fallible::os_text(told.as_ref())?);
        fallible::push(&mut self.descriptors, (Counted::new(file)?, place))
    }

    /// Its file's name.
    pub(super) fn name(&self) -> Result<Box<str>> {
        let path = std::path::Path::new(&self.file);
        match path.file_name().unwrap_or(&self.file).to_str() {
            Some(name) => fallible::text(name),
            // Not UTF-8: the part that can be shown.
            None => written(format_args!("{self}")).map(String::into_boxed_str),
        }
    }

    /// Everything that exec needs; the descriptors go into `setup`.
    pub(super) fn prepare(&self, name: Option<&str>, setup: &mut Setup) -> Result<Image> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        setup.close_others = self.close_others;
        let mut more = Vec::new();
        let taken = |number| {
            self.descriptors.iter().any(|(_, place)| matches!(place, Place::Number(n) if *n == number))
        };
        let passed_on = self.passed_on()?;
        let mut free = (3..).filter(|number| !taken(*number) && !passed_on.contains(number));
        for (fd, place) in &self.descriptors {
            let number = match place {
                Place::Number(number) => *number,
                Place::Variable(key, told) => {
                    let number = free.next().unwrap_or(RawFd::MAX);
                    let mut digits = [0; 10];
                    let value = task::decimal(number as u32, &mut digits);
                    let variable = [key.as_bytes(), b"=", value, told.as_bytes()];
                    fallible::push(&mut more, c_string_of(&variable, "a key")?)?;
                    number
                }
            };
            if number < 0 {
                return Err(Error::from(ErrorKind::InvalidInput)
                    .with_detail("the number for a descriptor is negative"));
            }
            setup.descriptors.retain(|&(_, to)| to != number);
            fallible::push(&mut setup.descriptors, (fd.as_raw_fd(), number))?;
        }
        let text = |text: &OsStr| c_string(text.as_bytes(), "an argument");
        let mut arguments = Vec::new();
        fallible::reserve(&mut arguments, self.arguments.len() + 1)?;
        arguments.push(name.map_or_else(|| text(&self.file), |name| text(name.as_ref()))?);
        for argument in &self.arguments {
            arguments.push(text(argument)?);
        }
        Image::new(self.candidates()?, arguments, self.variables(more)?)
    }

    /// The files to try, in order.
    fn candidates(&self) -> Result<Vec<CString>> {
        let (file, what) = (self.file.as_bytes(), "a program's name");
        let mut candidates = Vec::new();
        if file.contains(&b'/') || file.is_empty() {
            fallible::push(&mut candidates, c_string(file, what)?)?;
            return Ok(candidates);
        }
        let inherited = if self.path.is_none() { std::env::var_os("PATH") } else { None };
        let path = self.path.as_deref().or(inherited.as_deref()).unwrap_or(DEFAULT_PATH.as_ref());
        for directory in path.as_bytes().split(|&byte| byte == b':') {
            let slash: &[u8] = if directory.is_empty() || directory.ends_with(b"/") { b"" } else { b"/" };
            fallible::push(&mut candidates, c_string_of(&[directory, slash, file], what)?)?;
        }
        Ok(candidates)
    }

    /// The numbers that variables of this process's environment name, which its own parent has given it: they may mean the same in
    /// the program.
    fn passed_on(&self) -> Result<Vec<RawFd>> {
        let mut numbers = Vec::new();
        let mut note = |variable: &[u8]| {
            let value = variable.splitn(2, |&byte| byte == b'=').nth(1).unwrap_or_default();
            let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
            match core::str::from_utf8(&value[..digits]).map(str::parse) {
                Ok(Ok(number)) if variable.starts_with(b"INTERPROC_") => fallible::push(&mut numbers, number),
                _ => Ok(()),
            }
        };
        match &self.verbatim {
            Some(list) => list.iter().try_for_each(|variable| note(variable.to_bytes()))?,
            None if self.clear => {}
            None => {
                for (key, value) in std::env::vars_os() {
                    if key.as_bytes().starts_with(b"INTERPROC_") {
                        note(fallible::os_text_of(&[&key, "=".as_ref(), &value])?.as_bytes())?;
                    }
                }
            }
        }
        Ok(numbers)
    }

    /// The environment as `KEY=value`, with `more` variables.
    fn variables(&self, mut more: Vec<CString>) -> Result<Vec<CString>> {
        let key_of = |variable: &CStr| {
            let bytes = variable.to_bytes();
            let end = bytes.iter().skip(1).position(|&byte| byte == b'=').map_or(bytes.len(), |at| at + 1);
            fallible::os_text(OsStr::from_bytes(&bytes[..end]))
        };
        let mut given = Vec::new();
        for variable in &more {
            fallible::push(&mut given, key_of(variable)?)?;
        }
        if let Some(list) = &self.verbatim {
            for variable in list {
                let key = key_of(variable)?;
                if !given.contains(&key) {
                    fallible::push(&mut more, c_string(variable.to_bytes(), "a variable")?)?;
                }
            }
            return Ok(more);
        }
        for (key, value) in &self.environment {
            if key.is_empty() || key.as_bytes()[1..].contains(&b'=') {
                return Err(Error::from(ErrorKind::InvalidInput)
                    .with_detail("a variable's name is empty or has a `=`"));
            }
            if let (Some(value), false) = (value, given.contains(key)) {
                fallible::push(
                    &mut more,
                    c_string_of(&[key.as_bytes(), b"=", value.as_bytes()], "a variable")?,
                )?;
            }
        }
        if !self.clear {
            // Through std, whose lock excludes changes meanwhile. It aborts without memory: see the type.
            for (key, value) in std::env::vars_os() {
                let is_said = given.contains(&key) || self.environment.iter().any(|(said, _)| *said == key);
                if !is_said {
                    let parts = [key.as_bytes(), b"=", value.as_bytes()];
                    fallible::push(&mut more, c_string_of(&parts, "a variable")?)?;
                }
            }
        }
        Ok(more)
    }
}

impl AsRef<Program> for Program {
    fn as_ref(&self) -> &Program {
        self
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())
    }
}

/// The arguments of exec.
pub(super) struct Image {
    candidates: Vec<CString>,
    /// Null-terminated pointers into the strings below.
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    _strings: [Vec<CString>; 2],
}

impl Image {
    fn new(candidates: Vec<CString>, arguments: Vec<CString>, variables: Vec<CString>) -> Result<Self> {
        let list = |strings: &[CString]| {
            let mut list = fallible::collected(repeat_n(null(), strings.len() + 1))?;
            list.iter_mut().zip(strings).for_each(|(place, string)| *place = string.as_ptr());
            Ok::<_, Error>(list)
        };
        Ok(Image {
            arguments: list(&arguments)?,
            environment: list(&variables)?,
            candidates,
            _strings: [arguments, variables],
        })
    }

    /// Becomes the program; if it returns, it says why not. Makes only system calls.
    pub(super) fn become_it(&self) -> Failure {
        let mut errno = libc::ENOENT;
        for path in &self.candidates {
            // SAFETY: null-terminated lists of C strings that live as long as this.
            match unsafe { settings::exec(path, self.arguments.as_ptr(), self.environment.as_ptr()) } {
                libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG => {}
                // A later directory may have one that may be executed.
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
    inherited(variable([PREFIX, key])?).map(|(segment, _)| segment)
}

/// For C, under C's own rule: nobody changes the environment meanwhile.
pub(crate) fn inherited_segment_of_c(key: &str) -> Result<Segment> {
    inherited(variable_of_c([PREFIX, key])?).map(|(segment, _)| segment)
}

/// The variable of this name.
pub(crate) fn variable(name: [&str; 2]) -> Result<Option<OsString>> {
    // Through std, as in `Program::variables`: it copies a few digits.
    Ok(std::env::var_os(fallible::os_text_of(&name.map(OsStr::new))?))
}

/// As [`variable`], for C.
pub(crate) fn variable_of_c(name: [&str; 2]) -> Result<Option<OsString>> {
    let variable = c_string_of(&name.map(str::as_bytes), "a key")?;
    // SAFETY: C strings, which by C's contract stay valid until the environment changes.
    let text = unsafe {
        let text = libc::getenv(variable.as_ptr());
        (!text.is_null()).then(|| CStr::from_ptr(text))
    };
    text.map(|text| fallible::os_text(OsStr::from_bytes(text.to_bytes()))).transpose()
}

/// What the parent has given to this program by [`Program::object`]: the segment, and what is told of it.
pub(crate) fn inherited(variable: Option<OsString>) -> Result<(Segment, String)> {
    let text = variable.as_deref().and_then(OsStr::to_str).unwrap_or_default();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let Some(fd) = inherited_descriptor(&text[..digits])? else {
        return Err(Error::from(ErrorKind::NotFound).with_detail(
            "the parent has given nothing with this key: see Program::segment, Builder::spawn_giving",
        ));
    };
    let told = fallible::text(&text[digits..])?.into_string();
    Ok((Segment::from_fd(fd)?, told))
}

/// A copy of the descriptor with this number, so that the number stays valid for another call.
pub(crate) fn inherited_descriptor(number: &str) -> Result<Option<OwnedFd>> {
    let Ok(number) = number.parse::<RawFd>() else { return Ok(None) };
    if number < 0 {
        return Ok(None);
    }
    let copy = own::copy_above(number, 3).map_err(Error::from_errno)?;
    // SAFETY: just made.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(copy) }))
}
