//! The standard streams: whether they were closed at the start, and writing to them.
//!
//! The tool inherits its streams and signals. Streams may be closed: Rust's runtime hides that by opening /dev/null in
//! their place, so that an input is empty and an output is silently lost. SIGCHLD may be ignored: then the kernel reports
//! no child's end. So both are handled before the runtime starts.
#![allow(unsafe_code)]

use std::fmt;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Nobody reads the output: the code that a shell gives a program killed by SIGPIPE.
pub const BROKEN_PIPE: u8 = 128 + 13;
/// The output cannot be written, or a stream is missing.
const LOST: u8 = 2;

/// Whether the input and the output were closed at the start.
static CLOSED: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

#[used]
// SAFETY: the list of functions that run before `main`, of this type.
#[unsafe(link_section = ".init_array")]
static CHECK: extern "C" fn() = check;

extern "C" fn check() {
    for (descriptor, closed) in CLOSED.iter().enumerate() {
        // SAFETY: takes integers.
        closed.store(unsafe { libc::fcntl(descriptor as i32, libc::F_GETFD) } < 0, Relaxed);
    }
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Ends this process if a stream that it needs is closed.
pub fn need(input: bool, output: bool) {
    for (needed, stream, name) in [(input, 0, "input"), (output, 1, "output")] {
        if needed && CLOSED[stream].load(Relaxed) {
            crate::display::report_error(&format!("the standard {name} is closed"));
            exit(LOST.into());
        }
    }
}

/// Prints a text. If that fails, this process ends and reports why, unless nobody reads the output.
pub fn print(text: impl fmt::Display) {
    let mut output = stdout().lock();
    if let Err(error) = write!(output, "{text}").and_then(|()| output.flush()) {
        drop(output);
        exit(lost(&error).into());
    }
}

/// Reports a failure to write the output, and returns the exit code.
pub fn lost(error: &io::Error) -> u8 {
    if error.kind() == ErrorKind::BrokenPipe {
        return BROKEN_PIPE;
    }
    crate::display::report_error(&format!("the output: {error}"));
    LOST
}

/// Writes to the standard error. A failure cannot be reported anywhere.
pub fn tell(text: &str) {
    let _ = stderr().lock().write_all(text.as_bytes());
}

/// As `println!`, but does not panic when it cannot print.
macro_rules! say {
    () => { $crate::streams::print("\n") };
    ($($text:tt)*) => { $crate::streams::print(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use say;
