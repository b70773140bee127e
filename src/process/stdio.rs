//! [`Stdio`]: a standard stream of a child.

use crate::counted::Counted;
use std::os::fd::OwnedFd;

/// A standard stream of a child. By default a child has its parent's.
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
pub struct Stdio(pub(super) Source);

#[derive(Clone, Debug)]
pub(super) enum Source {
    Null,
    Fd(Counted<OwnedFd>),
    NoMemory,
}

impl Stdio {
    /// `/dev/null`.
    pub fn null() -> Self {
        Stdio(Source::Null)
    }
}

/// From a file, the end of a pipe or a socket: the child gets a copy. The builder keeps it open until it is dropped, so
/// drop the builder before you wait for the end of a pipe that the child writes to.
impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(fd: T) -> Self {
        Stdio(Counted::new(fd.into()).map_or(Source::NoMemory, Source::Fd))
    }
}
