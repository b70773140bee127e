//! `interproc send`: sends the standard input through a named ring, to any receiver there.
//!
//! Raw pieces are read directly into the ring: one system call for each and no copy of ours. Room is reserved only when
//! there is something to read, because whatever others send later is delivered after it.

use crate::cli::SendOptions;
use crate::stream::{Channel, Lines, News, PIECE, Stream, failed, progress};
use indicatif::ProgressBar;
use interproc::queue::ByteQueue;
use interproc::{ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionread, read};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Sends all of the input. The exit code is 0 if all of it is in the ring.
pub fn run(options: &SendOptions) -> ExitCode {
    let bar = progress(true);
    let sent = match (options.work, options.all) {
        (true, _) => send_lines::<Lines>(options, &bar),
        (_, true) => send_lines::<News>(options, &bar),
        _ => send(options, &bar),
    };
    bar.finish_and_clear();
    match sent {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}

fn send(options: &SendOptions, bar: &ProgressBar) -> Result<()> {
    loop {
        let stream = Stream::<ByteQueue>::open(&options.name, options.capacity)?;
        if let Some(permit) = stream.come()? {
            if options.raw {
                pieces(&stream, bar)?
            } else {
                lines(&stream, bar)?
            }
            return stream.end(permit);
        }
    }
}

/// A job for each line, or news for all.
fn send_lines<C: Channel>(options: &SendOptions, bar: &ProgressBar) -> Result<()> {
    loop {
        let stream = Stream::<C>::open(&options.name, options.capacity)?;
        if let Some(permit) = stream.come()? {
            lines(&stream, bar)?;
            return stream.end(permit);
        }
    }
}

/// A message for each line.
fn lines<C: Channel>(stream: &Stream<C>, bar: &ProgressBar) -> Result<()> {
    let longest = stream.ring.longest();
    let input = File::from(stdin().as_fd().try_clone_to_owned()?);
    let mut input = BufReader::with_capacity(PIECE, input);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut input).take(longest as u64 + 1).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            line.push(b'\n'); // the last line, or one that is too long
        }
        if line.len() > longest {
            let why = format!("a line is longer than {longest} bytes; --raw takes any input");
            return Err(interproc::Error::from(ErrorKind::TooLarge).with_detail(why));
        }
        stream.ring.put(&line)?;
        bar.inc(line.len() as u64);
    }
}

/// A message for each piece, as the input comes.
fn pieces(stream: &Stream, bar: &ProgressBar) -> Result<()> {
    let input = stdin();
    let mut unknown = vec![0; PIECE];
    loop {
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        // How much there is, because a reservation keeps its room until it ends. 0 at the end, which needs no room, or if
        // unknown.
        let there = ioctl_fionread(&input).unwrap_or(0).min(PIECE as u64) as usize;
        let came = if there == 0 {
            let came = read(&input, &mut unknown[..]);
            match came {
                Ok(n) if n > 0 => stream.ring.push(&unknown[..n])?,
                _ => {}
            }
            came
        } else {
            let mut place = stream.ring.reserve(there)?;
            let came = read(&input, &mut place[..]);
            match came {
                Ok(n) if n > 0 => place.commit_len(n)?,
                _ => place.abort(),
            }
            came
        };
        match came {
            Ok(0) => return Ok(()),
            Ok(n) => bar.inc(n as u64),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
    }
}
