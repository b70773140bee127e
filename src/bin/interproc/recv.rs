//! `interproc recv`: writes what is sent through a named ring to the standard output.
//!
//! Messages are written from where they lie in the ring, several short ones in one system call, and released when they are
//! written: the messages of a receiver that is killed go to another one.

use crate::cli::ReceiveOptions;
use crate::stream::{Channel, INCOMPLETE, Lines, NAP, News, PIECE, Stream, failed, progress};
use indicatif::ProgressBar;
use interproc::ErrorKind;
use interproc::queue::{ByteMessage, Slow};
use interproc::{Deadline, Wait};
use rustix::io::{Errno, writev};
use std::io::{IoSlice, IsTerminal, stdout};
use std::process::ExitCode;

/// How many messages are written at a time: so many may come again after a death.
const BATCH: usize = 16;

/// Why receiving stopped.
enum Stop {
    Library(interproc::Error),
    Output(Errno),
}

impl From<interproc::Error> for Stop {
    fn from(error: interproc::Error) -> Stop {
        Stop::Library(error)
    }
}

/// Receives until all senders have ended. The exit code is 1 if something is missing or may have been written twice.
pub fn run(options: &ReceiveOptions) -> ExitCode {
    let bar = progress(!stdout().is_terminal());
    let received = match (options.work, options.all) {
        (true, _) => receive_lines(options, &bar),
        (_, true) => receive_news(options, &bar),
        _ => receive(options, &bar),
    };
    bar.finish_and_clear();
    match received {
        Ok(code) => code,
        Err(Stop::Output(error)) => ExitCode::from(crate::streams::lost(&error.into())),
        Err(Stop::Library(error)) => failed(error),
    }
}

fn receive(options: &ReceiveOptions, bar: &ProgressBar) -> Result<ExitCode, Stop> {
    let stream: Stream = open(options)?;
    let mut again = 0;
    loop {
        match stream.ring.borrow_timeout(NAP) {
            Ok(first) => {
                let delivered = deliver(&stream, first, bar)?;
                again += delivered.again;
                if !delivered.looks {
                    continue;
                }
            }
            Err(e) if e.kind() == ErrorKind::TimedOut => {}
            Err(e) if e.kind() == ErrorKind::Closed => break,
            Err(e) => return Err(e.into()),
        }
        if stream.is_over()? {
            break;
        }
    }
    Ok(ended(stream.missing()?, again))
}

/// The stream; a new one if that of the name is over.
fn open<C: Channel>(options: &ReceiveOptions) -> Result<Stream<C>, Stop> {
    loop {
        let stream = Stream::open(&options.name, options.capacity)?;
        if !stream.was_over()? {
            return Ok(stream);
        }
    }
}

/// Says what is missing or may have come twice.
fn ended((came, missing): (u64, u64), again: u64) -> ExitCode {
    let report_error = crate::display::report_error;
    if missing > 0 {
        report_error(&format!("{missing} of {came} senders ended before the end of their input"));
    }
    if again > 0 {
        report_error(&format!(
            "{again} pieces may have been written twice: a receiver was killed while it wrote them"
        ));
    }
    ExitCode::from(if missing + again > 0 { INCOMPLETE } else { 0 })
}

/// Line by line: one that was written is done, one whose receiver dies before that goes to another.
fn receive_lines(options: &ReceiveOptions, bar: &ProgressBar) -> Result<ExitCode, Stop> {
    let stream: Stream<Lines> = open(options)?;
    let mut again = 0;
    loop {
        match stream.ring.take_timeout(NAP) {
            Ok(line) => {
                again += u64::from(line.deliveries() > 1 && !line.is_empty());
                if let Err((error, _)) = write_all(&mut [IoSlice::new(&line)]) {
                    return Err(Stop::Output(error)); // it is given back
                }
                let written = line.done()?;
                bar.inc(written.len() as u64);
                if !written.is_empty() {
                    continue;
                }
            }
            Err(e) if e.kind() == ErrorKind::TimedOut => {}
            Err(e) if e.kind() == ErrorKind::Closed => break,
            Err(e) => return Err(e.into()),
        }
        if stream.is_over()? {
            break;
        }
    }
    Ok(ended(stream.missing()?, again))
}

/// Every line from now on: whoever else receives gets them, too.
fn receive_news(options: &ReceiveOptions, bar: &ProgressBar) -> Result<ExitCode, Stop> {
    let stream: Stream<News> = open(options)?;
    let mut mine = stream.ring.subscribe(Slow::Waits)?;
    loop {
        match mine.borrow(Wait::Until(Deadline::after(NAP))) {
            Ok(line) => {
                if let Err((error, _)) = write_all(&mut [IoSlice::new(&line)]) {
                    return Err(Stop::Output(error));
                }
                bar.inc(line.len() as u64);
                if !line.is_empty() {
                    continue;
                }
            }
            Err(e) if e.kind() == ErrorKind::TimedOut => {}
            Err(e) if e.kind() == ErrorKind::Closed => break,
            Err(e) => return Err(e.into()),
        }
        // Then it is closed, and what is there comes before the end.
        stream.is_over()?;
    }
    Ok(ended(stream.missing()?, 0))
}

/// What was written.
struct Delivered {
    /// How many messages may already have been written by another receiver.
    again: u64,
    /// Whether a sender reported its end.
    looks: bool,
}

/// Writes a message and those that are already there behind it.
fn deliver<'s>(stream: &'s Stream, first: ByteMessage<'s>, bar: &ProgressBar) -> Result<Delivered, Stop> {
    let mut bytes = first.len();
    let mut batch = vec![first];
    while batch.len() < BATCH && bytes < PIECE / 4 {
        // If the error is more than an empty ring, the next call returns it again.
        let Ok(message) = stream.ring.try_borrow() else { break };
        bytes += message.len();
        batch.push(message);
    }
    let again = batch.iter().filter(|m| m.is_redelivered() && !m.is_empty()).count() as u64;
    let looks = batch.iter().any(|message| message.is_empty());
    let mut slices: Vec<_> = batch.iter().map(|message| IoSlice::new(message)).collect();
    if let Err((error, rest)) = write_all(&mut slices) {
        // Messages that were not begun go to other receivers.
        let mut from = batch.len();
        let mut kept = 0;
        while from > 0 && kept + batch[from - 1].len() <= rest {
            from -= 1;
            kept += batch[from].len();
        }
        for message in batch.drain(from..) {
            let _ = message.put_back();
        }
        return Err(Stop::Output(error));
    }
    bar.inc(bytes as u64);
    Ok(Delivered { again, looks })
}

/// Writes everything; on an error, returns how much is left.
fn write_all(mut slices: &mut [IoSlice<'_>]) -> Result<(), (Errno, usize)> {
    let output = stdout();
    loop {
        IoSlice::advance_slices(&mut slices, 0); // skips empty ones
        if slices.is_empty() {
            return Ok(());
        }
        match writev(&output, slices) {
            Ok(n) => IoSlice::advance_slices(&mut slices, n),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut ready = [rustix::event::PollFd::new(&output, rustix::event::PollFlags::OUT)];
                let _ = rustix::event::poll(&mut ready, None);
            }
            Err(error) => return Err((error, slices.iter().map(|s| s.len()).sum())),
        }
    }
}
