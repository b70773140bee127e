//! The standard streams as this process got them, and writing to them.
//!
//! Whoever starts the tool decides what it begins with. Streams may be closed: Rust's runtime hides that, as it opens
//! /dev/null in their place, where an input is empty and an output is lost without a word. SIGCHLD may be ignored: then the
//! kernel tells nobody how children end. So both are seen to before the runtime begins.
#![allow(unsafe_code)]

use std::fmt;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// As the shell has it for a program that was killed by SIGPIPE: nobody reads the output.
pub const BROKEN_PIPE: u8 = 128 + 13;
/// The output cannot be written, or a stream is missing.
const LOST: u8 = 2;

/// The input and the output: whether they were closed.
static CLOSED: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

#[used]
// SAFETY: the list of functions that run before `main`, of this type.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for (descriptor, closed) in CLOSED.iter().enumerate() {
        // SAFETY: asks about a number.
        closed.store(unsafe { libc::fcntl(descriptor as i32, libc::F_GETFD) } < 0, Relaxed);
    }
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Ends this process if a stream is missing that it needs.
pub fn need(input: bool, output: bool) {
    for (needed, stream, name) in [(input, 0, "input"), (output, 1, "output")] {
        if needed && CLOSED[stream].load(Relaxed) {
            crate::sight::complain(&format!("the standard {name} is closed"));
            exit(LOST.into());
        }
    }
}

/// Prints a text. If that fails this process ends, and says why unless nobody reads it.
pub fn print(text: impl fmt::Display) {
    let mut output = stdout().lock();
    if let Err(error) = write!(output, "{text}").and_then(|()| output.flush()) {
        drop(output);
        exit(lost(&error).into());
    }
}

/// What becomes of a failure to write the output: says so, and gives the exit code.
pub fn lost(error: &io::Error) -> u8 {
    if error.kind() == ErrorKind::BrokenPipe {
        return BROKEN_PIPE;
    }
    crate::sight::complain(&format!("the output: {error}"));
    LOST
}

/// Writes to the standard error. Whom should a failure be told to?
pub fn tell(text: &str) {
    let _ = stderr().lock().write_all(text.as_bytes());
}

/// As `println!`, which panics when it cannot.
macro_rules! say {
    () => { $crate::streams::print("\n") };
    ($($text:tt)*) => { $crate::streams::print(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use say;
