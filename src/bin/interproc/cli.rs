//! The command line.

use crate::stream::{CAPACITY, LEAST};
use clap::{Parser, Subcommand, ValueEnum, value_parser};
use std::path::PathBuf;

/// Locks, queues and processes in shared memory that survive kill -9.
#[derive(Parser)]
#[command(version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the tool can do.
#[derive(Subcommand)]
pub enum Command {
    /// Show processes that share work, are killed in the middle of it, and lose nothing.
    ///
    /// Part a: a ticket shop, first without a lock, then with one. Part b: a word count whose workers are killed.
    /// Part c: how long messages and locks take between processes. The exit code is 0 if all results are right,
    /// 1 if anything is wrong, 2 for a mistake in the arguments. No file and no process is left behind.
    Demo(Options),
    /// List the segments in /dev/shm: size, owner, mode, threads alive and dead, in use or stale, age
    ///
    /// It only reads, and disturbs nobody. Files that are unreadable or damaged are named on stderr, and the others are
    /// listed. Dead threads are those that have ended, from whatever cause, and whose slot no other thread has taken since.
    /// A segment is stale if no process has it open; it may still hold data that somebody wants.
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the objects of a segment with their types and states, and the threads that use it.
    ///
    /// It only reads, and disturbs nobody. Each line is read at one moment; two lines need not be of the same moment. The
    /// exit code is 2 if the segment cannot be read or is damaged.
    Inspect {
        /// The segment's name; its slash may be left out
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the threads that use a segment, as ps does, with what they hold and what they wait for.
    ///
    /// It only reads, and disturbs nobody. State, processor time and age are the thread's; the memory is its process's
    /// resident memory. Dead threads have no such figures, nor have threads in another PID namespace, whose ids are those
    /// of that namespace. What a thread holds is known for objects of known types. The exit code is 2 if the segment cannot
    /// be read or is damaged.
    Ps {
        /// The segment's name; its slash may be left out
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Find threads, of any processes, that wait for each other in a cycle.
    ///
    /// It only reads, and disturbs nobody. A cycle is checked again for up to a second before it is reported. The exit code
    /// is 0 if there is none, 1 if there is one, 2 if the segment cannot be read.
    Deadlocks {
        /// The segment's name; its slash may be left out
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a command for each line of the standard input, several at a time.
    ///
    /// {} in the command stands for the line; without it the line is the last argument. Each command's output is printed
    /// whole and in the order of the input. The exit code is the worst of theirs: 128 plus the signal's number for a
    /// command that was killed, 127 for one that was not found, 126 for one that cannot be run; 2 if the input or an output
    /// is missing or fails, and 141 if nobody reads the output. However this process ends, the commands end with it.
    Run(RunOptions),
    /// Send the standard input through a named ring in memory, to any receiver there.
    ///
    /// Each line goes whole to one receiver, and lines of two senders never mix; a last line without a newline gets one.
    /// With --raw the input goes in pieces as it comes, at full speed, and one sender's pieces reach one receiver in order.
    /// Any number of senders (128 at a time) and receivers can use the same name; the first one makes the ring. When the
    /// ring is full the sender waits for a receiver. The exit code is 0 when all of the input is in the ring, where it
    /// waits for a receiver; 2 if that failed. A sender that is killed harms nobody: only what it had read and not sent is
    /// lost, and the receivers report it. With --work each line, of at most 4096 bytes, is a job for a
    /// receiver with --work; with --all every receiver with --all gets it, from when it joined.
    Send(SendOptions),
    /// Write to the standard output what is sent through a named ring.
    ///
    /// It waits for the first sender. It ends when at least one sender has come, all senders have ended, from whatever
    /// cause, and everything they sent is received; then the name is removed as well. The exit code is 0 if everything came
    /// exactly once; 1 if a sender was killed or failed before the end of its input, or a receiver was killed while it
    /// wrote some messages, which then come again, to another receiver; 2 if something failed; 141 if nobody reads the
    /// output. With --work a line stays in the queue until it is written: `interproc inspect` shows who works on how many. With
    /// --all every receiver gets every line from when it joined; a receiver that is killed is waited for no more.
    Recv(ReceiveOptions),
}

/// The options of `send`.
#[derive(clap::Args, Clone)]
pub struct SendOptions {
    /// The ring's name; its slash may be left out
    pub name: String,
    /// Send any bytes as they come, whatever the lines
    #[arg(long, conflicts_with_all = ["work", "all"])]
    pub raw: bool,
    /// Send lines as jobs, each kept until a receiver has written it
    #[arg(long, conflicts_with = "all")]
    pub work: bool,
    /// Send each line to all receivers, and wait for those that are slow
    #[arg(long)]
    pub all: bool,
    /// Bytes of the ring; only the process that makes the ring uses it
    #[arg(long, value_name = "BYTES", default_value_t = CAPACITY, value_parser = value_parser!(u64).range(LEAST..=1 << 36))]
    pub capacity: u64,
}

/// The options of `recv`.
#[derive(clap::Args, Clone)]
pub struct ReceiveOptions {
    /// The ring's name; its slash may be left out
    pub name: String,
    /// Receive lines that were sent with --work
    #[arg(long, conflicts_with = "all")]
    pub work: bool,
    /// Receive all lines that are sent with --all from now on
    #[arg(long)]
    pub all: bool,
    /// Bytes of the ring; only the process that makes the ring uses it
    #[arg(long, value_name = "BYTES", default_value_t = CAPACITY, value_parser = value_parser!(u64).range(LEAST..=1 << 36))]
    pub capacity: u64,
}

/// The options of `run`.
#[derive(clap::Args, Clone)]
pub struct RunOptions {
    /// How many to run at a time; 0: one for each processor
    #[arg(short, long, default_value_t = 0, value_parser = value_parser!(u32).range(0..=10_000))]
    pub jobs: u32,
    /// Lines end with a NUL instead of a newline, as those of `find -print0`
    #[arg(short = '0', long)]
    pub null: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<std::ffi::OsString>,
}

/// The options of the demo.
#[derive(clap::Args, Clone)]
pub struct Options {
    /// Run only this part (may be given several times)
    #[arg(long, value_enum)]
    pub part: Vec<Part>,
    /// A shorter run
    #[arg(long)]
    pub quick: bool,
    /// Part a: tickets on sale
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(10..=4096))]
    pub tickets: u32,
    /// Part a: buyer processes; up to three of them are killed, one always survives
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(2..=32))]
    pub buyers: u32,
    /// Part b: the text to count [default: a text that comes with the tool, many times over]
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Part b: worker processes
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=32))]
    pub workers: u32,
    /// Part b: how many workers are killed meanwhile (each is replaced) [default: 12, with --quick 4]
    #[arg(long, value_parser = value_parser!(u32).range(0..=1000))]
    pub kills: Option<u32>,
    /// The seed of the plan who is killed when; the same seed gives the same plan
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// A part of the demo.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// The ticket shop
    A,
    /// The word count
    B,
    /// The latencies
    C,
}

impl Options {
    /// Whether this part was asked for.
    pub fn wants(&self, part: Part) -> bool {
        self.part.is_empty() || self.part.contains(&part)
    }

    /// How many workers are killed.
    pub fn kills(&self) -> u32 {
        self.kills.unwrap_or(if self.quick { 4 } else { 12 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn all_parts_run_unless_some_are_named() {
        let parse = |args: &[&str]| {
            let Command::Demo(options) = Cli::try_parse_from(args).unwrap().command else {
                panic!("no demo")
            };
            [Part::A, Part::B, Part::C].map(|part| options.wants(part))
        };
        assert_eq!(parse(&["interproc", "demo"]), [true; 3]);
        assert_eq!(parse(&["interproc", "demo", "--part", "b", "--part", "c"]), [false, true, true]);
    }
}
