//! `interproc run`: runs a command for each line of the input, several at a time.
//!
//! Each child writes into files in memory, and its output is printed whole and in the order of the input. The children lead
//! process groups that the kernel kills when this process ends, however that happens.

use crate::cli::RunOptions;
use crate::display::{brief, report_error};
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
/// Stands for the line in the command.
const PLACE: &[u8] = b"{}";
/// How many outputs may wait for an earlier one, in addition to those of the running children.
const WAITING: usize = 256;

/// A child that has ended, or that could not be started.
struct Done {
    line: OsString,
    end: Result<ExitStatus, interproc::Error>,
    output: [Vec<u8>; 2],
}

/// What was started and what was printed.
#[derive(Default)]
struct Tally {
    /// The next line's number.
    started: usize,
    /// The next output's number.
    printed: usize,
    /// Ended before their turn.
    waiting: BTreeMap<usize, Done>,
    running: usize,
    failed: usize,
    killed: usize,
    worst: u8,
}

struct Run<'a> {
    options: &'a RunOptions,
    input: Mutex<Stdin>,
    tally: Mutex<Tally>,
    room: Condvar,
    progress: ProgressBar,
}

/// Runs the commands; returns the worst exit code.
pub fn run(options: &RunOptions) -> ExitCode {
    let progress = ProgressBar::new_spinner(); // on the standard error, and only if that is a terminal
    progress.enable_steady_tick(Duration::from_millis(200));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        progress.set_style(style);
    }
    let run = Run {
        options,
        input: Mutex::new(io::stdin()),
        tally: Mutex::default(),
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
    let tally = run.tally();
    if tally.failed > 0 {
        let (failed, all, killed) = (tally.failed, tally.printed, tally.killed);
        report_error(&format!("{failed} of {all} failed, {killed} of them killed"));
    }
    ExitCode::from(tally.worst)
}

impl Run<'_> {
    /// Runs a child for each line, one after the other.
    fn work(&self) {
        while let Some((number, line)) = self.next() {
            let done = self.execute(line);
            self.hand_in(number, done);
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next line and its number; waits while too much output waits for an earlier one.
    fn next(&self) -> Option<(usize, OsString)> {
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let mut input = input.lock();
        drop(
            self.room
                .wait_while(self.tally(), |tally| tally.waiting.len() >= WAITING)
                .unwrap_or_else(PoisonError::into_inner),
        );
        let end = if self.options.null { 0 } else { b'\n' };
        let mut line = Vec::new();
        while line.is_empty() {
            match input.read_until(end, &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    report_error(&format!("the input: {error}"));
                    std::process::exit(FAILED.into());
                }
            }
            if line.last() == Some(&end) {
                line.pop();
            }
        }
        let mut tally = self.tally();
        tally.started += 1;
        tally.running += 1;
        self.show(&tally);
        Some((tally.started - 1, OsString::from_vec(line)))
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

    /// Prints the outputs that are next in order, as far as they are there.
    fn hand_in(&self, number: usize, done: Done) {
        let mut tally = self.tally();
        tally.running -= 1;
        tally.waiting.insert(number, done);
        let next = tally.printed;
        if number == next {
            self.progress.suspend(|| {
                while let Some(done) = {
                    let at = tally.printed;
                    tally.waiting.remove(&at)
                } {
                    tally.printed += 1;
                    tally.close(&done);
                }
            });
            self.room.notify_all();
        }
        self.show(&tally);
    }

    fn show(&self, tally: &Tally) {
        let ended = tally.started - tally.running;
        self.progress
            .set_message(format!("{ended} done, {} running, {} failed", tally.running, tally.failed));
    }
}

impl Tally {
    /// Prints one output and records how the child ended.
    fn close(&mut self, done: &Done) {
        let written = io::stdout().write_all(&done.output[0]).and_then(|()| io::stdout().flush());
        if let Err(e) = written {
            stop(&e);
        }
        // The children's output, not ours, so it must not get lost.
        if let Err(e) = io::stderr().write_all(&done.output[1]) {
            stop(&e);
        }
        let (code, how) = match &done.end {
            Ok(status) if status.success() => return,
            Ok(status) => {
                let signal = status.signal();
                self.killed += usize::from(signal.is_some());
                // As a shell reports it.
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

/// Ends this process, and with it all children: their output cannot be written.
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
    fn every_place_is_filled_and_the_line_itself_is_not_searched() {
        let filled = |word: &str, line: &str| fill(word.as_ref(), line.as_ref()).into_string().unwrap();
        assert_eq!(filled("a{}b{}", "x"), "axbx");
        assert_eq!(filled("{{}}", "{}"), "{{}}");
        assert_eq!(filled("none", "x"), "none");
    }
}
