//! `interproc`, the command-line tool of the crate: `ls`, `inspect`, `ps` and `deadlocks` look at live segments, `demo` shows
//! what the crate does.
//!
//! | file | what it does |
//! |---|---|
//! | `cli` | the command line |
//! | `ls`, `inspect`, `ps`, `deadlocks` | looking at segments; `sight`: what they share |
//! | `demo` | runs the parts, one after the other, and draws the summary |
//! | `shop` | part a: the ticket shop; `books`: its audit |
//! | `count` | part b: the word count; `office`: what its workers share and do; `words`: counting in one process |
//! | `latency` | part c: the measurements; `chart`: drawing them |
//! | `crew` | starting children that never outlive us |
//! | `run` | commands for the lines of the input, in parallel |
//! | `send`, `recv` | bytes from process to process through a named ring; `stream`: the ring and its books |
//! | `streams` | the standard streams as they were found, and writing to them |
//! | `report` | findings, verdicts, progress |
#![deny(unsafe_code)]

mod books;
mod chart;
mod cli;
mod count;
mod crew;
mod deadlocks;
mod demo;
mod inspect;
mod latency;
mod ls;
mod office;
mod ps;
mod recv;
mod report;
mod run;
mod send;
mod shop;
mod sight;
mod stream;
mod streams;
mod words;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match cli::Cli::try_parse() {
        Ok(cli) => cli.command,
        // Also the help, which is no mistake and goes to the output.
        Err(told) => {
            streams::need(false, !told.use_stderr());
            return match told.print() {
                Err(error) if !told.use_stderr() => ExitCode::from(streams::lost(&error)),
                _ => ExitCode::from(told.exit_code() as u8),
            };
        }
    };
    let is_send = matches!(command, cli::Command::Send(_));
    streams::need(is_send || matches!(command, cli::Command::Run(_)), !is_send);
    match command {
        cli::Command::Demo(options) => demo::run(&options),
        cli::Command::Ls { json } => ls::run(json),
        cli::Command::Inspect { name, json } => inspect::run(&name, json),
        cli::Command::Ps { name, json } => ps::run(&name, json),
        cli::Command::Deadlocks { name, json } => deadlocks::run(&name, json),
        cli::Command::Recv(options) => recv::run(&options),
        cli::Command::Run(options) => run::run(&options),
        cli::Command::Send(options) => send::run(&options),
    }
}
