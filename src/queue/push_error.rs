//! Failed pushes: [`PushError`] for one message, [`BatchError`] for several.

use crate::error::format;
use crate::error::{Error, ErrorKind, into_io};
use core::fmt;

/// Adds the length of the message and the longest one possible to an error that says `TooLarge`.
#[cold]
pub(crate) fn with_lengths(error: Error, len: usize, longest: usize) -> Error {
    if error.kind() != ErrorKind::TooLarge {
        return error;
    }
    error.with_detail(format!("{len} bytes; the longest message has {longest}"))
}

/// A failed push. It returns the value.
pub struct PushError<T> {
    pub(super) value: T,
    pub(super) error: Error,
}

impl<T> PushError<T> {
    #[cfg(feature = "tokio")]
    pub(crate) fn new(value: T, error: Error) -> Self {
        PushError { value, error }
    }

    /// The value that was not pushed.
    pub fn into_value(self) -> T {
        self.value
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

impl<T> From<PushError<T>> for Error {
    fn from(e: PushError<T>) -> Error {
        e.error
    }
}

into_io! { [T] PushError<T> }

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<T> core::error::Error for PushError<T> {}

/// A batch of which not all messages were pushed. Converted to [`Error`] or `std::io::Error` it keeps the reason only.
#[derive(Debug)]
pub struct BatchError {
    /// How many messages were pushed.
    pub pushed: usize,
    /// Why the next one was not.
    pub error: Error,
}

impl From<BatchError> for Error {
    fn from(e: BatchError) -> Error {
        e.error
    }
}

into_io! { [] BatchError }

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pushed, then: {}", self.pushed, self.error)
    }
}

impl core::error::Error for BatchError {}
