//! `interproc deadlocks NAME`: who waits for each other in a circle.

use crate::sight::{self, Guest, Problem, complain, full_name, open, person, place};
use interproc::inspect::{Deadlock, MemberInfo};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    /// Each member's wait is on the next one, the last one's on the first.
    deadlocks: Vec<Vec<Guest>>,
}

/// Searches. The exit code is 0 if there is none, 1 if there is one, 2 if it cannot be told.
pub fn run(name: &str, json: bool) -> ExitCode {
    let name = full_name(name);
    let found = match open(&name).and_then(|look| look.deadlocks()) {
        Ok(found) => found,
        Err(error) => {
            complain(&format!("{name}: {}", Problem::new(&name, &error).error));
            return ExitCode::from(2);
        }
    };
    if json {
        let cycle = |found: &Deadlock| found.members.iter().map(Guest::from).collect();
        sight::print_json(&Report { name: &name, deadlocks: found.iter().map(cycle).collect() });
    } else if found.is_empty() {
        sight::print("no deadlock\n");
    } else {
        sight::print(found.iter().map(told).collect::<Vec<_>>().join("\n"));
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(deadlock: &Deadlock) -> String {
    let line = |member: &MemberInfo| {
        let wait = member.waits.as_ref().map(|waits| {
            let on = waits.on.as_ref().map(|on| format!(", held by {}", person(on))).unwrap_or_default();
            format!(" waits for {}{on}", place(waits))
        });
        format!("  {}{}\n", person(&member.who), wait.unwrap_or_default())
    };
    let head = match deadlock.members.len() {
        1 => "deadlock of 1, which waits for itself:\n".into(),
        n => format!("deadlock of {n}:\n"),
    };
    head + &deadlock.members.iter().map(line).collect::<String>()
}
