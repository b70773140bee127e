//! `interproc`, the command-line tool of the crate: `interproc demo` shows what it does.
//!
//! | file | what it does |
//! |---|---|
//! | `cli` | the command line |
//! | `demo` | runs the parts, one after the other, and draws the summary |
//! | `shop` | part a: the ticket shop; `books`: its audit |
//! | `count` | part b: the word count; `office`: what its workers share and do; `words`: counting in one process |
//! | `latency` | part c: the measurements; `chart`: drawing them |
//! | `crew` | starting children that never outlive us |
//! | `run` | commands for the lines of the input, in parallel |
//! | `report` | findings, verdicts, progress |
#![deny(unsafe_code)]

mod books;
mod chart;
mod cli;
mod count;
mod crew;
mod demo;
mod latency;
mod office;
mod report;
mod run;
mod shop;
mod words;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::Cli::parse().command {
        cli::Command::Demo(options) => demo::run(&options),
        cli::Command::Run(options) => run::run(&options),
    }
}
