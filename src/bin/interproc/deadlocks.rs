//! `interproc deadlocks NAME`: threads that wait for each other in a cycle.

use crate::display::{self, MemberJson, Problem, full_name, open, report_error, thread_text, wait_text};
use interproc::inspect::{Deadlock, MemberInfo};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    /// Each member waits for the next one, and the last for the first.
    deadlocks: Vec<Vec<MemberJson>>,
}

/// Searches for them. The exit code is 0 if there are none, 1 if there is one, 2 if the segment cannot be read.
pub fn run(name: &str, json: bool) -> ExitCode {
    let name = full_name(name);
    let found = match open(&name).and_then(|look| look.deadlocks()) {
        Ok(found) => found,
        Err(error) => {
            report_error(&format!("{name}: {}", Problem::new(&name, &error).error));
            return ExitCode::from(2);
        }
    };
    if json {
        let cycle = |found: &Deadlock| found.members.iter().map(MemberJson::from).collect();
        display::print_json(&Report { name: &name, deadlocks: found.iter().map(cycle).collect() });
    } else if found.is_empty() {
        display::print("no deadlock\n");
    } else {
        display::print(found.iter().map(told).collect::<Vec<_>>().join("\n"));
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(deadlock: &Deadlock) -> String {
    let line = |member: &MemberInfo| {
        let wait = member.waits.as_ref().map(|waits| {
            let on = waits.on.as_ref().map(|on| format!(", held by {}", thread_text(on))).unwrap_or_default();
            format!(" waits for {}{on}", wait_text(waits))
        });
        format!("  {}{}\n", thread_text(&member.who), wait.unwrap_or_default())
    };
    let head = match deadlock.members.len() {
        1 => "deadlock of 1, which waits for itself:\n".into(),
        n => format!("deadlock of {n}:\n"),
    };
    head + &deadlock.members.iter().map(line).collect::<String>()
}
