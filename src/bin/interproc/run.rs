//! `interproc run`: a command for each line of the input, several at a time.
//!
//! Each child writes into files in memory, and what it wrote comes out whole and in the order of the input. The
//! children lead groups of their own that end with this process, whatever ends it.

use crate::cli::RunOptions;
use crate::sight::{brief, complain};
use indicatif::{ProgressBar, ProgressStyle};
use interproc::process::{Builder, ExitStatus, Program, Stdio};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, Stdin, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The exit code when the input cannot be read.
const FAILED: u8 = 2;
/// What stands for the line in the command.
const PLACE: &[u8] = b"{}";
/// How many outputs may wait for an earlier one, besides those of the running children.
const WAITING: usize = 256;

/// A child that has ended, or that could not be started.
struct Done {
    line: OsString,
    end: Result<ExitStatus, interproc::Error>,
    output: [Vec<u8>; 2],
}

/// What has come in, and what has gone out.
#[derive(Default)]
struct Books {
    /// The next line's number.
    started: usize,
    /// The next output's.
    printed: usize,
    /// Ended, and before their turn.
    waiting: BTreeMap<usize, Done>,
    running: usize,
    failed: usize,
    killed: usize,
    worst: u8,
}

struct Run<'a> {
    options: &'a RunOptions,
    input: Mutex<Stdin>,
    books: Mutex<Books>,
    room: Condvar,
    progress: ProgressBar,
}

/// Runs it; the worst exit code of all.
pub fn run(options: &RunOptions) -> ExitCode {
    let progress = ProgressBar::new_spinner(); // on the standard error, and only if that is a terminal
    progress.enable_steady_tick(Duration::from_millis(200));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        progress.set_style(style);
    }
    let run = Run {
        options,
        input: Mutex::new(io::stdin()),
        books: Mutex::default(),
        room: Condvar::new(),
        progress,
    };
    let jobs = match options.jobs {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs as usize,
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| run.work());
        }
    });
    run.progress.finish_and_clear();
    let books = run.books();
    if books.failed > 0 {
        let (failed, all, killed) = (books.failed, books.printed, books.killed);
        complain(&format!("{failed} of {all} failed, {killed} of them killed"));
    }
    ExitCode::from(books.worst)
}

impl Run<'_> {
    /// One place for a child: line after line.
    fn work(&self) {
        while let Some((number, line)) = self.next() {
            let done = self.execute(line);
            self.hand_in(number, done);
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next line and its number; waits while too much output waits for an earlier one.
    fn next(&self) -> Option<(usize, OsString)> {
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let mut input = input.lock();
        drop(
            self.room
                .wait_while(self.books(), |books| books.waiting.len() >= WAITING)
                .unwrap_or_else(PoisonError::into_inner),
        );
        let end = if self.options.null { 0 } else { b'\n' };
        let mut line = Vec::new();
        while line.is_empty() {
            match input.read_until(end, &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    complain(&format!("the input: {error}"));
                    std::process::exit(FAILED.into());
                }
            }
            if line.last() == Some(&end) {
                line.pop();
            }
        }
        let mut books = self.books();
        books.started += 1;
        books.running += 1;
        self.show(&books);
        Some((books.started - 1, OsString::from_vec(line)))
    }

    fn execute(&self, line: OsString) -> Done {
        let mut output = [Vec::new(), Vec::new()];
        let end = self.execute_into(&line, &mut output);
        Done { line, end, output }
    }

    fn execute_into(&self, line: &OsStr, output: &mut [Vec<u8>; 2]) -> interproc::Result<ExitStatus> {
        let files = [memory_file()?, memory_file()?];
        let child = {
            let [out, err] = [files[0].try_clone()?, files[1].try_clone()?];
            let builder =
                Builder::new().stdin(Stdio::null()).stdout(out).stderr(err).group_dies_with_parent();
            builder.spawn(command(&self.options.command, line))?
        };
        let status = child.join()?;
        for (mut file, into) in files.into_iter().zip(output) {
            file.rewind()?;
            file.read_to_end(into)?;
        }
        Ok(status)
    }

    /// Prints what is next in order, as far as it is there.
    fn hand_in(&self, number: usize, done: Done) {
        let mut books = self.books();
        books.running -= 1;
        books.waiting.insert(number, done);
        let next = books.printed;
        if number == next {
            self.progress.suspend(|| {
                while let Some(done) = {
                    let at = books.printed;
                    books.waiting.remove(&at)
                } {
                    books.printed += 1;
                    books.close(&done);
                }
            });
            self.room.notify_all();
        }
        self.show(&books);
    }

    fn show(&self, books: &Books) {
        let ended = books.started - books.running;
        self.progress
            .set_message(format!("{ended} done, {} running, {} failed", books.running, books.failed));
    }
}

impl Books {
    /// Prints one, and enters how it ended.
    fn close(&mut self, done: &Done) {
        let written = io::stdout().write_all(&done.output[0]).and_then(|()| io::stdout().flush());
        if let Err(e) = written {
            stop(&e);
        }
        // It is theirs, not ours: lost, it is lost output.
        if let Err(e) = io::stderr().write_all(&done.output[1]) {
            stop(&e);
        }
        let (code, how) = match &done.end {
            Ok(status) if status.success() => return,
            Ok(status) => {
                let signal = status.signal();
                self.killed += usize::from(signal.is_some());
                // As a shell says it.
                let code = signal.map_or(status.code().unwrap_or(1), |signal| 128 + signal);
                (code, status.to_string())
            }
            Err(e) => (if e.kind() == interproc::ErrorKind::NoFile { 127 } else { 126 }, e.to_string()),
        };
        self.failed += 1;
        self.worst = self.worst.max(u8::try_from(code).unwrap_or(u8::MAX));
        crate::streams::tell(&format!(
            "interproc: {}: {}\n",
            brief(&done.line.to_string_lossy()),
            brief(&how)
        ));
    }
}

/// Ends this process, and with it all children: what they write cannot be written.
fn stop(why: &io::Error) -> ! {
    std::process::exit(crate::streams::lost(why).into())
}

fn memory_file() -> interproc::Result<File> {
    let file = rustix::fs::memfd_create("output", rustix::fs::MemfdFlags::CLOEXEC);
    Ok(File::from(file.map_err(io::Error::from)?))
}

/// The command with the line in place of each `{}`, or as its last argument if there is none.
fn command(words: &[OsString], line: &OsStr) -> Program {
    let has_place = |word: &OsString| word.as_bytes().windows(2).any(|w| w == PLACE);
    let mut filled = words.iter().map(|word| fill(word, line));
    let program = Program::new(filled.next().unwrap_or_default()).args(filled);
    if words.iter().any(has_place) { program } else { program.arg(line) }
}

fn fill(word: &OsStr, line: &OsStr) -> OsString {
    let (mut out, mut rest) = (Vec::new(), word.as_bytes());
    while let Some(at) = rest.windows(2).position(|w| w == PLACE) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(line.as_bytes());
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled_and_the_line_itself_is_not_looked_at() {
        let filled = |word: &str, line: &str| fill(word.as_ref(), line.as_ref()).into_string().unwrap();
        assert_eq!(filled("a{}b{}", "x"), "axbx");
        assert_eq!(filled("{{}}", "{}"), "{{}}");
        assert_eq!(filled("none", "x"), "none");
    }
}
