//! [`RecvError`]: a failed attempt to copy out a message of any length.

use crate::error::format;
use crate::error::{Error, ErrorKind, into_io};
use core::fmt;

/// Why a message was not copied out. Nothing is lost.
///
/// # Examples
/// ```
/// # let seg = interproc::Segment::anonymous(1 << 16)?;
/// # let q = seg.byte_queue("q", 1024, 64)?;
/// q.push(b"hello")?;
/// let mut buffer = [0; 3];
/// let too_small = q.pop_into(&mut buffer).unwrap_err();
/// assert_eq!(too_small.needed(), Some(5));
/// assert_eq!(q.pop()?, b"hello"); // still there
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecvError {
    error: Error,
    needed: Option<usize>,
}

impl RecvError {
    pub(crate) fn too_small(needed: usize, buffer: usize) -> Self {
        let detail = format!("the message has {needed} bytes, the buffer {buffer}; it was not taken");
        RecvError { error: Error::from(ErrorKind::TooLarge).with_detail(detail), needed: Some(needed) }
    }

    /// How long the message is, if it did not fit ([`ErrorKind::TooLarge`]). It is still the next one.
    pub fn needed(&self) -> Option<usize> {
        self.needed
    }

    /// Why it failed.
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The plain error.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl From<Error> for RecvError {
    fn from(error: Error) -> Self {
        RecvError { error, needed: None }
    }
}

impl From<RecvError> for Error {
    fn from(e: RecvError) -> Error {
        e.error
    }
}

into_io! { [] RecvError }

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl core::error::Error for RecvError {}
