//! `interproc`, the crate's command-line tool: `ls`, `inspect`, `ps` and `deadlocks` inspect live segments, `demo` shows
//! what the crate does, and `run`, `send` and `recv` use it.
//!
//! | file | what it does |
//! |---|---|
//! | `cli` | the command line |
//! | `ls`, `inspect`, `ps`, `deadlocks` | the commands that inspect segments; `display`: what they share |
//! | `demo` | runs the parts, one after the other, and draws the summary |
//! | `shop` | part a: the ticket shop; `ledger`: its ledger and the audit |
//! | `count` | part b: the word count; `workers`: what its workers share and do; `words`: counting in one process |
//! | `latency` | part c: the measurements; `chart`: drawing them |
//! | `children` | starting children that never outlive this process |
//! | `run` | runs a command for each input line, in parallel |
//! | `send`, `recv` | bytes from process to process through a named ring; `stream`: the ring and the tally of its senders |
//! | `streams` | the standard streams: whether they were closed, and writing to them |
//! | `report` | findings, verdicts, progress |
#![deny(unsafe_code)]

mod chart;
mod children;
mod cli;
mod count;
mod deadlocks;
mod demo;
mod display;
mod inspect;
mod latency;
mod ledger;
mod ls;
mod ps;
mod recv;
mod report;
mod run;
mod send;
mod shop;
mod stream;
mod streams;
mod words;
mod workers;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match cli::Cli::try_parse() {
        Ok(cli) => cli.command,
        // Help is not a mistake and goes to the standard output.
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
