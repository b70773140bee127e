//! The command line of the sweep.

use crate::engine::case::Title;
use crate::engine::plan::Density;
use crate::engine::point::Lab;
use crate::engine::sweep::{Row, Settings, sweep};
use crate::engine::trace::PARK;
use crate::engine::windows::Windows;
use crate::engine::{Scenario, os};
use crate::mutants::{self, Mutant};
use crate::{
    barrier, broadcast, byte_lane, channel, condvar, family, join, kept, lane, latest, lock, permits, pipe,
    recursive, report, rwlock, semaphore, toys, wait_set, work,
};
use lexopt::prelude::*;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::rc::Rc;

const HELP: &str = "\
Kills a process after k instructions of an operation and asks the survivors.

  --full             every instruction of every scenario; the kill table
  --scenario TEXT    only scenarios whose title contains TEXT (repeatable; any may match)
  --row TITLE        only scenarios of this title, which may do without who is killed (repeatable)
  --mutant NAME      put this fault into the library: the sweep must fail (repeatable)
  --mutants          all faults in turn
  --markdown         print the tables for the documentation
  --list             print the titles
  --jobs N           points at a time (default: the processors, at most 4)
  --points N         points of a scenario when not --full (default 8)
  --max-failures N   give up on a scenario after N failures (default 20)
  --no-toys          leave out the engine's checks of itself
  --toys             sweep the toys of these checks instead of the library
";

#[derive(Default)]
struct Arguments {
    full: bool,
    markdown: bool,
    list: bool,
    no_toys: bool,
    toys: bool,
    scenarios: Vec<String>,
    rows: Vec<String>,
    mutants: Vec<&'static Mutant>,
    jobs: Option<usize>,
    points: Option<usize>,
    max_failures: Option<usize>,
}

fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("full") => arguments.full = true,
            Long("markdown") => arguments.markdown = true,
            Long("list") => arguments.list = true,
            Long("toys") => (arguments.toys, arguments.no_toys) = (true, true),
            Long("no-toys") => arguments.no_toys = true,
            Long("scenario") => arguments.scenarios.push(parser.value()?.string()?.to_lowercase()),
            Long("row") => arguments.rows.push(parser.value()?.string()?),
            Long("mutants") => arguments.mutants.extend(mutants::ALL),
            Long("mutant") => {
                let name = parser.value()?.string()?;
                let found = mutants::ALL.iter().find(|m| m.name == name);
                arguments.mutants.push(found.ok_or(format!("no such mutant: {name}"))?);
            }
            Long("jobs") => arguments.jobs = Some(parser.value()?.parse()?),
            Long("points") => arguments.points = Some(parser.value()?.parse()?),
            Long("max-failures") => arguments.max_failures = Some(parser.value()?.parse()?),
            Short('h') | Long("help") => return Ok(None),
            // What cargo or its users pass to every test program.
            Long("nocapture" | "quiet" | "test-threads") | Short('q') => drop(parser.optional_value()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(arguments))
}

fn scenarios() -> Vec<Box<dyn Scenario>> {
    [
        family::all(),
        join::all(),
        kept::all(),
        latest::all(),
        lane::all(),
        lock::all(),
        barrier::all(),
        byte_lane::all(),
        channel::all(),
        condvar::all(),
        permits::all(),
        pipe::all(),
        recursive::all(),
        rwlock::all(),
        semaphore::all(),
        wait_set::all(),
        work::all(),
        broadcast::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| *argument == *PARK.to_string_lossy()) {
        loop {
            std::thread::park(); // a victim that became another program
        }
    }
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let mut all = if arguments.toys { toys::all() } else { scenarios() };
    if !arguments.mutants.is_empty() {
        return mutants::run(&arguments.mutants, &all);
    }
    let some = !(arguments.scenarios.is_empty() && arguments.rows.is_empty());
    let wanted = |title: &Title| {
        let text = title.to_string().to_lowercase();
        arguments.scenarios.iter().any(|s| text.contains(s)) || arguments.rows.iter().any(|row| title.is(row))
    };
    all.retain(|s| !some || wanted(s.title()));
    if arguments.list {
        all.iter().for_each(|s| println!("{}", s.title()));
        return ExitCode::SUCCESS;
    }
    let processors = os::processors();
    let settings = Settings {
        density: if arguments.full { Density::Full } else { Density::Few(arguments.points.unwrap_or(8)) },
        jobs: arguments.jobs.unwrap_or(processors.len().min(4)).max(1),
        max_failures: arguments.max_failures.unwrap_or(20),
        silence_ns: 90_000_000_000,
    };
    let lab = Lab::new(processors[0], Rc::new(Windows::of_this_program()));
    if !arguments.no_toys && !self_checks(settings, &lab) {
        return ExitCode::FAILURE;
    }
    join::name_this_run();
    let rows = sweep_all(&all, settings, &lab, arguments.markdown);
    join::clean_up();
    let (points, failed) = report::totals(&rows);
    let (windows, missed) = report::windows(&rows, &lab.windows, arguments.markdown);
    let complete = arguments.full && !some;
    if arguments.full || arguments.markdown || failed > 0 {
        if !arguments.markdown {
            println!("\n{}", report::table(&rows));
        }
        println!("\ncrash windows and the kills that fell into them:\n{windows}");
    }
    print!("{}", report::failures(&rows));
    if complete && missed > 0 {
        println!("crash windows never hit: {missed}");
    }
    println!("kill points: {points}, failures: {failed}");
    if failed == 0 && !(complete && missed > 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The engine must find what is broken, and nothing where nothing is.
fn self_checks(settings: Settings, lab: &Lab) -> bool {
    let full = Settings { density: Density::Full, ..settings };
    let one = Settings { max_failures: 1, ..full };
    let check = |sentence: &str, ok: bool, row: &Row| {
        println!("test {sentence} ... {}", if ok { "ok" } else { "FAILED" });
        if !ok {
            println!(
                "{}{}",
                report::table(std::slice::from_ref(row)),
                report::failures(std::slice::from_ref(row))
            );
        }
        ok
    };
    let deaf = sweep(&*toys::test_and_set(), one, lab, |_, _| {});
    let forgetful = sweep(&*toys::forgetful(), one, lab, |_, _| {});
    let robust = sweep(&*toys::robust_mutex(), full, lab, |_, _| {});
    let slept = sweep(&*toys::robust_mutex_contended(), full, lab, |_, _| {});
    let whole = |row: &Row| row.points > row.length;
    check("the sweep finds a lock that does not recover", !deaf.failures.is_empty(), &deaf)
        & check("the sweep finds a lost wake-up", !forgetful.failures.is_empty(), &forgetful)
        & check(
            "the sweep finds nothing in an uncontended robust mutex",
            robust.failures.is_empty() && whole(&robust),
            &robust,
        )
        & check("the sweep kills sleepers and goes on after their wake-up", slept.asleep > 0, &slept)
}

/// Says each row as soon as it is done: a sweep that is broken off has said what it has found. As a table in Markdown, or in words.
fn sweep_all(all: &[Box<dyn Scenario>], settings: Settings, lab: &Lab, markdown: bool) -> Vec<Row> {
    let started = os::now();
    let terminal = std::io::stderr().is_terminal();
    let (mut said, mut before) = (started, 0);
    let mut rows: Vec<Row> = Vec::new();
    for (index, scenario) in all.iter().enumerate() {
        let row = sweep(&**scenario, settings, lab, |points, planned| {
            let now = os::now();
            if now - said < if terminal { 200_000_000 } else { 5_000_000_000 } {
                return;
            }
            said = now;
            let done = before + points;
            let rate = done as f64 * 1e9 / (now - started) as f64;
            // The scenarios to come are taken to be as long as those so far.
            let share = (index as f64 + points as f64 / planned as f64) / all.len() as f64;
            let eta = (now - started) as f64 / 1e9 * (1.0 - share) / share;
            let text = format!(
                "{done} points, {rate:.0} points/s, about {eta:.0} s left: {} {}, {}",
                scenario.title().object,
                scenario.title().operation,
                scenario.title().scenario
            );
            eprint!("{}{text}{}", if terminal { "\r\x1b[K" } else { "" }, if terminal { "" } else { "\n" });
            let _ = std::io::stderr().flush();
        });
        if terminal {
            eprint!("\r\x1b[K");
        }
        before += row.points;
        let verdict =
            if row.failures.is_empty() { "ok".into() } else { format!("FAILED at {}", row.failures.len()) };
        match markdown {
            true if index == 0 => println!("{}\n{}", report::head(), report::line(&row)),
            true => println!("{}", report::line(&row)),
            false => println!("{}: {} points of {} events ... {verdict}", row.title, row.points, row.length),
        }
        rows.push(row);
    }
    rows
}
