//! [`Error`], the only error type, and the only error table: a row for each kind, with its errno value and text.
//!
//! An error is two words (with std): kind and errno in one, and the address of the detail. So a result with a number in it is
//! returned in registers. And where a compiler keeps a result of a large message in pieces, cut where the fields of the error begin and end, the
//! pieces are words. (With the kind as a byte of its own, and a detail of two words, a message of 64 bytes was moved in pieces of one
//! to eight bytes: a queue's push and pop took 6 ns more, and a try that finds nothing 10 ns more.)

#[cfg(feature = "std")]
use crate::memory::Memory;
use core::fmt;
use core::num::NonZeroU64;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $errno:ident, $text:literal;)*) => {
        /// What went wrong. Each kind maps to one positive errno value for C ([`ErrorKind::errno`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[$doc])* $name,)* }

        impl ErrorKind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name,)*];

            /// The errno value that the C interface returns for this kind.
            pub const fn errno(self) -> i32 {
                match self { $(ErrorKind::$name => libc::$errno,)* }
            }

            /// A sentence: what happened and what to do.
            pub const fn text(self) -> &'static str {
                match self { $(ErrorKind::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// The last owner died while holding the lock; the caller holds it now.
    OwnerDied = EOWNERDEAD, "the last owner died while holding the lock; you hold it now: repair the data and mark it consistent";
    /// The lock was given up as not recoverable (in C: released without being marked consistent).
    NotRecoverable = ENOTRECOVERABLE, "the lock was marked as not recoverable, or in C released without being marked consistent; it stays unusable: make a new one";
    /// The caller already owns the lock.
    Deadlock = EDEADLK, "the calling thread itself holds what it would wait for, so the wait would never end; release it first";
    /// The caller does not own what it tried to release or use.
    NotOwner = EPERM, "the calling thread does not own this: it did not acquire it, or it belongs to another thread or to the parent process";
    /// A fork beside other threads, or under a guard.
    NotAlone = EBUSY, "a safe fork needs a process with one thread that holds no guard: fork before starting threads and after dropping guards, or use the unchecked form";
    /// A try operation on a lock found it taken.
    WouldBlock = EBUSY, "the object is in use; try again or wait for it";
    /// A try operation found a queue full.
    Full = EAGAIN, "the queue or pipe is full; try again after a message is taken out, or use the waiting form";
    /// A try operation found a queue empty.
    Empty = EAGAIN, "the queue or pipe is empty; try again after a message is put in, or use the waiting form";
    /// No such program, directory or file.
    NoFile = ENOENT, "no such program, directory or file; check the path, and PATH for a name without a slash";
    /// No such process.
    NoProcess = ESRCH, "no such process: it has ended, or another process has its number now";
    /// The deadline passed first.
    TimedOut = ETIMEDOUT, "the deadline passed before the operation could complete";
    /// The barrier is broken.
    Broken = ECANCELED, "the barrier is broken: a party died, timed out or gave up; reset it and let all parties arrive again";
    /// A counter is at its largest value.
    Overflow = EOVERFLOW, "the counter is at its limit: 2147483647 for a semaphore, 65535 for the depth of a recursive mutex";
    /// Closed for pushing, or closed and drained for popping; a pipe's other end is closed or dead.
    Closed = EPIPE, "the queue is closed, or the pipe's other end is closed or dead; to a receiver: any queued messages have been received, and nothing more will come";
    /// The other end of a pipe died or closed in the middle of a message.
    CutShort = ECONNRESET, "the pipe's other end died or closed in the middle of a message; what had come of it is dropped, and nothing more will come";
    /// An argument is out of its range, nothing is reserved or borrowed, or an address is not in a segment that this process
    /// has open.
    InvalidInput = EINVAL, "an argument is invalid, nothing is reserved or borrowed, or the object is not in a segment that this process has open";
    /// The handle's seat was lost because the thread that held it died.
    Stale = ESTALE, "the thread that held this handle died; open a new handle";
    /// Every member slot is taken by a live thread.
    TooManyMembers = EUSERS, "every member slot of the segment is held by a live thread; create it with a larger max_members";
    /// The kernel or sandbox lacks something that is needed.
    Unsupported = ENOTSUP, "the kernel, the C library or a sandbox lacks something that is needed here (for example a robust futex list)";
    /// Names are `/name`: one leading slash, no other, 2 to 250 bytes, no NUL.
    BadName = EINVAL, "a segment name is one slash followed by 1 to 249 bytes without slash or NUL, and neither \"/.\" nor \"/..\"";
    /// No such segment.
    NotFound = ENOENT, "no segment has this name; create it, or use open_or_create";
    /// The name is taken.
    Exists = EEXIST, "the name is taken; open it, unlink it, or use open_or_create";
    /// The file is not a segment.
    Foreign = EPROTO, "this is not an interproc segment (wrong magic); another program uses the name";
    /// Another format version or an unknown feature.
    VersionMismatch = EPROTONOSUPPORT, "the segment has another format version, or needs a feature that this build lacks; use one version of interproc everywhere";
    /// The file is shorter than its header says.
    Truncated = ENODATA, "the segment's file is shorter than its header says, so somebody truncated it; unlink it and create it again";
    /// The header or directory fails its checks.
    Corrupt = EBADMSG, "the segment's header, directory or object failed its checks, so somebody wrote over it; unlink the segment and create it again";
    /// Not a regular file, or a symbolic link.
    NotRegular = ELOOP, "the name is a symbolic link or not a regular file, so it is refused; remove it or use another name";
    /// Owned by neither this user nor root.
    UntrustedOwner = EACCES, "the segment belongs to another user, who could change it at will; to accept that user set trust_owner in the options";
    /// The mode bits forbid it.
    PermissionDenied = EACCES, "the mode of the file or of its directory denies it; run as its owner, or create it with a wider mode";
    /// The system does not permit it to this process.
    NotPermitted = EPERM, "the system does not permit this to the calling process: it takes the same user, a privilege, or a sandbox that allows the call";
    /// No room in the file system.
    NoSpace = ENOSPC, "shared memory has no room for a segment of this size (containers often give /dev/shm only 64 MiB); enlarge it or ask for less";
    /// No room inside the segment.
    SegmentFull = ENOMEM, "the segment has no room left for this object, or its directory is full; create it larger";
    /// An object of this name has another type or shape.
    TypeMismatch = EEXIST, "an object of this name exists with another type, size, alignment or parameter; ask for the same, or use another name";
    /// The object was opened read-only.
    ReadOnly = EROFS, "the segment was opened read-only; open it for writing to use its objects";
    /// No object of this name.
    NoObject = ENOENT, "the segment has no object of this name; make it first";
    /// It is not a child of this process, or other code has reaped it.
    NoChild = ECHILD, "no such child: it is not this process's, or it has ended and other code has reaped it";
    /// The thread holds as many read locks as it can.
    TooManyHolds = ENOLCK, "the thread holds as many read locks as it has room for; release one first";
    /// A limit of the system (descriptors, processes, memory).
    Resource = EAGAIN, "a limit of the system was reached (processes, descriptors or memory); raise it or use less";
    /// Nobody listens.
    Refused = ECONNREFUSED, "nobody listens there: the listener has ended, or has not started yet; try again later";
    /// The message does not fit, or more was to be committed or released than was reserved or borrowed.
    TooLarge = EMSGSIZE, "the message is longer than the queue or pipe was created for, or than the buffer for it; or more was to be committed or released than was reserved or borrowed";
    /// The program has closed a descriptor of the library.
    DescriptorClosed = EBADF, "the program has closed a descriptor that this library opened, and it cannot be opened again; close only what you opened";
    /// Another error from the kernel; its errno value is kept.
    System = EIO, "the kernel refused a call";
}

/// An error: its kind, its errno value, and often a sentence of detail.
///
/// # Examples
/// ```
/// use interproc::{Error, ErrorKind};
/// let e = Error::from(ErrorKind::TimedOut);
/// assert_eq!(e.kind(), ErrorKind::TimedOut);
/// assert_eq!(e.errno(), 110); // ETIMEDOUT on Linux
/// assert!(e.to_string().contains("deadline"));
/// ```
#[derive(PartialEq, Eq)]
pub struct Error {
    code: Code,
    #[cfg(feature = "std")]
    detail: Option<std::boxed::Box<std::boxed::Box<str>>>,
}

const _: () = assert!(size_of::<Result<u64>>() == 16 || cfg!(not(feature = "std")));

/// A kind, in the upper half, and an errno value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Code(NonZeroU64);

impl Code {
    const fn new(kind: ErrorKind, errno: i32) -> Code {
        // One more, so that it is not zero.
        match NonZeroU64::new((kind as u64 + 1) << 32 | errno as u32 as u64) {
            Some(code) => Code(code),
            None => unreachable!(),
        }
    }

    const fn kind(self) -> ErrorKind {
        ErrorKind::ALL[(self.0.get() >> 32) as usize - 1]
    }

    const fn errno(self) -> i32 {
        self.0.get() as i32
    }
}

/// Shorthand for a result with [`Error`].
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// What went wrong.
    #[inline]
    pub const fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// The positive errno value that the C interface returns for it.
    #[inline]
    pub const fn errno(&self) -> i32 {
        self.code.errno()
    }

    /// An error for a raw errno value of a kernel call, sorted into the kinds that users act on.
    pub fn from_errno(errno: i32) -> Self {
        let kind = match errno {
            libc::EPERM => ErrorKind::NotPermitted,
            libc::EACCES => ErrorKind::PermissionDenied,
            libc::ENOENT => ErrorKind::NoFile,
            libc::EEXIST => ErrorKind::Exists,
            libc::ENOSPC => ErrorKind::NoSpace,
            libc::EINVAL => ErrorKind::InvalidInput,
            libc::ECHILD => ErrorKind::NoChild,
            libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM => ErrorKind::Resource,
            libc::ENOSYS | libc::EOPNOTSUPP => ErrorKind::Unsupported,
            libc::ETIMEDOUT => ErrorKind::TimedOut,
            _ => ErrorKind::System,
        };
        Error { code: Code::new(kind, errno), ..Error::from(kind) }
    }

    /// A descriptor of ours cannot be used; `errno` is what checking it returned.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[cold]
    pub(crate) fn no_descriptor(errno: i32) -> Self {
        if errno == libc::EBADF { ErrorKind::DescriptorClosed.into() } else { Error::from_errno(errno) }
    }

    /// An allocation has failed.
    #[cfg(feature = "std")]
    #[cfg_attr(interproc_loom, allow(dead_code))]
    #[cold]
    pub(crate) fn no_memory() -> Self {
        Error::from_errno(libc::ENOMEM)
    }

    /// Adds a sentence with what the kind alone cannot say: the file, the two sizes, the version. Without memory for it the
    /// error has no detail.
    #[cfg(feature = "std")]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        let text = written(format_args!("{detail}")).unwrap_or_default();
        let memory = if text.is_empty() { None } else { Memory::new() };
        // Of exact capacity: boxing it moves nothing.
        self.detail = memory.map(|memory| memory.fill(text.into_boxed_str()));
        self
    }

    /// What [`Error::with_detail`] has added.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn detail(&self) -> &str {
        self.detail.as_deref().map_or("", |detail| detail)
    }
}

impl Clone for Error {
    fn clone(&self) -> Self {
        let copy = Error { code: self.code, ..Error::from(self.kind()) };
        #[cfg(feature = "std")]
        if let Some(detail) = &self.detail {
            return copy.with_detail(detail);
        }
        copy
    }
}

/// As std's `format!`, but empty when there is no memory for the text, so that running out of memory is an error and not an
/// abort.
#[cfg(feature = "std")]
#[cfg_attr(interproc_loom, allow(unused_macros))]
macro_rules! format_or_empty {
    ($($text:tt)*) => { $crate::error::written(::core::format_args!($($text)*)).unwrap_or_default() };
}
#[cfg(feature = "std")]
#[cfg_attr(interproc_loom, allow(unused_imports))]
pub(crate) use format_or_empty as format;

/// A text in a string of exactly its size.
#[cfg(feature = "std")]
pub(crate) fn written(text: fmt::Arguments<'_>) -> Result<std::string::String> {
    use fmt::Write;
    struct Length(usize);
    impl Write for Length {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 += part.len();
            Ok(())
        }
    }
    /// Writes only as much as fits.
    struct Within(std::string::String);
    impl Write for Within {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            if part.len() > self.0.capacity() - self.0.len() {
                return Err(fmt::Error);
            }
            self.0.push_str(part);
            Ok(())
        }
    }
    let (mut length, mut within) = (Length(0), Within(std::string::String::new()));
    let known = length.write_fmt(text).is_ok() && within.0.try_reserve_exact(length.0).is_ok();
    if known && within.write_fmt(text).is_ok() { Ok(within.0) } else { Err(Error::no_memory()) }
}

impl From<ErrorKind> for Error {
    #[inline]
    fn from(kind: ErrorKind) -> Self {
        Error {
            code: Code::new(kind, kind.errno()),
            #[cfg(feature = "std")]
            detail: None,
        }
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        if let Some(ours) = e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return ours.clone();
        }
        if e.kind() == std::io::ErrorKind::OutOfMemory {
            return Error::no_memory(); // also where one of std's own lists could not grow
        }
        Error::from_errno(e.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Its kind is that of the errno value. The error itself is inside, and `Error::from` takes it out.
#[cfg(feature = "std")]
impl From<Error> for std::io::Error {
    fn from(e: Error) -> Self {
        std::io::Error::new(std::io::Error::from_raw_os_error(e.errno()).kind(), e)
    }
}

/// Makes a type that converts into an [`Error`] convert into a `std::io::Error` as well.
#[cfg(all(feature = "std", not(interproc_loom)))]
macro_rules! into_io {
    ($([$($params:tt)*] $type:ty)*) => {
        $(
            impl<$($params)*> From<$type> for std::io::Error {
                fn from(e: $type) -> Self {
                    Error::from(e).into()
                }
            }
        )*
    };
}
#[cfg(all(feature = "std", not(interproc_loom)))]
pub(crate) use into_io;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().text())?;
        #[cfg(feature = "std")]
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        if self.errno() == self.kind().errno() {
            return Ok(());
        }
        #[cfg(feature = "std")]
        return write!(f, ": {}", std::io::Error::from_raw_os_error(self.errno()));
        #[cfg(not(feature = "std"))]
        write!(f, " [errno {}]", self.errno())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind())
    }
}

impl core::error::Error for Error {}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_positive_errno_and_a_sentence() {
        for &kind in ErrorKind::ALL {
            assert!(kind.errno() > 0, "{kind:?}");
            assert!(kind.text().len() > 20, "{kind:?}");
        }
    }

    #[test]
    fn an_error_goes_through_io_and_through_boxes_and_comes_out_whole() {
        // What `anyhow`, `Box<dyn Error>` and threads ask for.
        fn is_passed_on<E: core::error::Error + Send + Sync + 'static>() {}
        is_passed_on::<Error>();
        #[cfg(feature = "std")]
        {
            is_passed_on::<crate::queue::PushError<u64>>();
            is_passed_on::<crate::queue::RecvError>();
            is_passed_on::<crate::queue::BatchError>();
            let e = Error::from(ErrorKind::TimedOut).with_detail("while trying it");
            let io = std::io::Error::from(e.clone());
            assert_eq!(io.kind(), std::io::ErrorKind::TimedOut);
            assert!(std::string::ToString::to_string(&io).contains("while trying it"));
            assert_eq!(Error::from(io), e);
            assert_eq!(Error::from(std::io::Error::from_raw_os_error(libc::EMFILE)).errno(), libc::EMFILE);
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn every_error_of_the_library_is_an_io_error_by_a_question_mark() {
        use crate::queue::{BatchError, PushError, RecvError};
        use crate::sync::{LockError, RecursiveLockError, RwLockError};
        fn goes_on<E: core::error::Error + Into<Error> + Into<std::io::Error>>() {}
        goes_on::<Error>();
        goes_on::<PushError<u64>>();
        goes_on::<BatchError>();
        goes_on::<RecvError>();
        goes_on::<LockError<'_, u64>>();
        goes_on::<RecursiveLockError<'_, u64>>();
        goes_on::<RwLockError<'_, u64>>();
        let e =
            BatchError { pushed: 3, error: Error::from(ErrorKind::TimedOut).with_detail("while trying it") };
        let io = std::io::Error::from(e);
        assert_eq!(io.kind(), std::io::ErrorKind::TimedOut);
        assert!(std::string::ToString::to_string(&io).contains("while trying it"));
        assert_eq!(
            std::io::Error::from(LockError::<u64>::from(Error::from(ErrorKind::OwnerDied)))
                .get_ref()
                .map(std::string::ToString::to_string)
                .as_deref(),
            Some(ErrorKind::OwnerDied.text())
        );
    }

    #[test]
    fn a_raw_errno_is_not_taken_for_news_of_a_segment_or_a_lock() {
        for (errno, kind) in [(libc::ENOENT, ErrorKind::NoFile), (libc::EPERM, ErrorKind::NotPermitted)] {
            let e = Error::from_errno(errno);
            assert_eq!((e.kind(), e.errno()), (kind, errno));
            assert!(!e.to_string().contains("segment") && !e.to_string().contains("thread"), "{e}");
        }
    }

    #[test]
    fn a_raw_errno_survives_the_sorting_into_kinds() {
        let e = Error::from_errno(libc::EMFILE);
        assert_eq!((e.kind(), e.errno()), (ErrorKind::Resource, libc::EMFILE));
        assert!(e.to_string().ends_with("24)"), "{e}");
    }
}
