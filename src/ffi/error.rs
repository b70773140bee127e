//! Errno values, their texts, and the thread's last error in full.

use crate::error::{Error, ErrorKind, Result};
use core::cell::{Cell, RefCell};
use core::ffi::{CStr, c_char, c_int};
use core::fmt::Write;

/// The result of a function as its errno value; an error is kept for [`interproc_last_error_message`].
#[inline]
pub(super) fn report(result: Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => fail(error),
    }
}

/// Keeps an error for [`interproc_last_error_message`]; its errno value.
#[cold]
pub(super) fn fail(error: Error) -> c_int {
    let errno = error.errno();
    LAST.with(|last| {
        // In a signal handler that interrupts this very function, or the next, it is not kept.
        if let Ok(mut last) = last.try_borrow_mut() {
            last.kind = Some((error.kind(), errno));
            last.detail_len = cut(error.detail(), DETAIL);
            let len = last.detail_len;
            last.detail[..len].copy_from_slice(&error.detail().as_bytes()[..len]);
        }
    });
    errno
}

/// How many bytes of an error's detail are kept, and how long its whole text may be.
const DETAIL: usize = 600;
const TEXT: usize = 1024;

/// Words of the thread's own, without a heap and without a destructor: what a thread keeps of an error must not cost
/// memory that there may be none of (the C library ends the process if it cannot note a destructor down).
struct Last {
    kind: Option<(ErrorKind, c_int)>,
    detail: [u8; DETAIL],
    detail_len: usize,
    /// What the caller was given a pointer to.
    text: [u8; TEXT],
}

/// The length of as much of `text` as fits, whole characters.
fn cut(text: &str, room: usize) -> usize {
    (0..=text.len().min(room)).rev().find(|&len| text.is_char_boundary(len)).unwrap_or(0)
}

std::thread_local! {
    static LAST: RefCell<Last> =
        const { RefCell::new(Last { kind: None, detail: [0; DETAIL], detail_len: 0, text: [0; TEXT] }) };
    /// The C library's text for an errno value that is none of ours.
    static FOREIGN: Cell<[c_char; 128]> = const { Cell::new([0; 128]) };
}

const TEXTS: Texts = Texts::of(ErrorKind::ALL);
static TEXT_BYTES: [u8; TEXTS.len] = TEXTS.cut();

/// One C string per errno value; kinds that share an errno value share the string.
struct Texts {
    bytes: [u8; 8192],
    len: usize,
    /// Errno value, and where its string starts.
    starts: [(c_int, usize); 64],
    count: usize,
}

impl Texts {
    const fn of(kinds: &[ErrorKind]) -> Texts {
        let mut texts = Texts { bytes: [0; 8192], len: 0, starts: [(0, 0); 64], count: 0 };
        let mut i = 0;
        while i < kinds.len() {
            if texts.find(kinds[i].errno()).is_none() {
                texts.starts[texts.count] = (kinds[i].errno(), texts.len);
                texts.count += 1;
                texts.push(kinds[i].text());
                let mut j = i + 1;
                while j < kinds.len() {
                    if kinds[j].errno() == kinds[i].errno() {
                        texts.push("; or: ");
                        texts.push(kinds[j].text());
                    }
                    j += 1;
                }
                texts.push("\0");
            }
            i += 1;
        }
        texts
    }

    const fn push(&mut self, text: &str) {
        let mut i = 0;
        while i < text.len() {
            self.bytes[self.len] = text.as_bytes()[i];
            self.len += 1;
            i += 1;
        }
    }

    const fn find(&self, errno: c_int) -> Option<usize> {
        let mut i = 0;
        while i < self.count {
            if self.starts[i].0 == errno {
                return Some(self.starts[i].1);
            }
            i += 1;
        }
        None
    }

    const fn cut<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        let mut i = 0;
        while i < N {
            out[i] = self.bytes[i];
            i += 1;
        }
        out
    }
}

/// Explains an errno value that a function of this library returned: what happened and what to do.
///
/// When several causes share a value, the text names them all; interproc_last_error_message() knows which it was. For
/// values that this library has no text of its own for, it is the C library's text.
///
/// The string is never NULL and need not be freed. It is constant, except for values that the library does not know:
/// then it is valid until the thread's next call with such a value.
#[unsafe(no_mangle)]
pub extern "C" fn interproc_strerror(error: c_int) -> *const c_char {
    if error == 0 {
        return c"success".as_ptr();
    }
    if let Some(start) = TEXTS.find(error) {
        return (&raw const TEXT_BYTES[start]).cast();
    }
    foreign_c(error)
}

/// The C library's text for an errno value, in the thread's buffer for that.
fn foreign_c(error: c_int) -> *const c_char {
    FOREIGN.with(|cell| {
        let buffer = cell.as_ptr().cast::<c_char>();
        // SAFETY: the buffer has 128 bytes and is this thread's. The call ends it with a NUL, also when it is
        // too short, and returns its errors.
        match unsafe { libc::strerror_r(error, buffer, 128) } {
            0 | libc::EINVAL | libc::ERANGE => buffer.cast_const(),
            _ => c"unknown error".as_ptr(),
        }
    })
}

fn foreign<'a>(error: c_int) -> &'a str {
    // SAFETY: a C string of the thread's, which nobody changes while the line is written.
    unsafe { CStr::from_ptr(foreign_c(error)) }.to_str().unwrap_or("unknown error")
}

/// What exactly went wrong in the thread's last failed call of this library, in one line: the text of the error and,
/// where there is more to tell, the details: the file, the two sizes, the argument that is NULL. Functions marked
/// async-signal-safe keep no error.
///
/// Calls that succeed do not change it, so ask right after a call that returned an error. An empty string if no call of
/// the thread has failed. The string need not be freed; it is valid until the thread calls this function again, or
/// ends. Allocates nothing.
#[unsafe(no_mangle)]
pub extern "C" fn interproc_last_error_message() -> *const c_char {
    LAST.with(|last| {
        let Ok(mut last) = last.try_borrow_mut() else { return c"".as_ptr() };
        let Some((kind, errno)) = last.kind else { return c"".as_ptr() };
        let Last { detail, detail_len, text, .. } = &mut *last;
        let detail = core::str::from_utf8(&detail[..*detail_len]).unwrap_or_default();
        let mut out = Line { text, len: 0 };
        // What does not fit is left out.
        let _ = out.write_str(kind.text());
        if !detail.is_empty() {
            let _ = write!(out, " ({detail})");
        }
        if errno != kind.errno() {
            let _ = out.write_str(": ");
            let _ = out.write_str(foreign(errno));
        }
        out.text[out.len] = 0;
        out.text.as_ptr().cast()
    })
}

/// A C string in the making: no NUL but at its end.
struct Line<'a> {
    text: &'a mut [u8; TEXT],
    len: usize,
}

impl Write for Line<'_> {
    fn write_str(&mut self, part: &str) -> core::fmt::Result {
        let part = part.split('\0').next().unwrap_or_default();
        let len = cut(part, TEXT - 1 - self.len);
        self.text[self.len..][..len].copy_from_slice(&part.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

/// The version of the library that is linked, such as "0.1.0"; that of the header is INTERPROC_VERSION. Constant.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub extern "C" fn interproc_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => unreachable!(),
        };
    VERSION.as_ptr()
}

/// The version of the library that is linked as a number, to be compared with INTERPROC_VERSION_NUMBER, that of the
/// header.
///
/// Async-signal-safe.
#[unsafe(no_mangle)]
pub extern "C" fn interproc_version_number() -> u32 {
    const fn part(text: &str) -> u32 {
        let (mut number, mut at) = (0, 0);
        while at < text.len() {
            number = number * 10 + (text.as_bytes()[at] - b'0') as u32;
            at += 1;
        }
        assert!(number < 1000);
        number
    }
    const NUMBER: u32 = part(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
        + part(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
        + part(env!("CARGO_PKG_VERSION_PATCH"));
    NUMBER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(error: c_int) -> &'static str {
        // SAFETY: a C string; these are constant.
        unsafe { CStr::from_ptr(interproc_strerror(error)) }.to_str().unwrap()
    }

    #[test]
    fn every_kind_is_named_in_the_text_of_its_errno_value() {
        for kind in ErrorKind::ALL {
            assert!(text_of(kind.errno()).contains(kind.text()), "{kind:?}: {}", text_of(kind.errno()));
        }
        assert_eq!(text_of(libc::ETIMEDOUT), ErrorKind::TimedOut.text());
    }

    #[test]
    fn foreign_values_get_the_text_of_the_c_library() {
        assert_eq!(text_of(libc::ENOTTY), "Inappropriate ioctl for device");
        assert!(text_of(99_999).contains("99999"));
        assert_eq!(text_of(0), "success");
    }
}
