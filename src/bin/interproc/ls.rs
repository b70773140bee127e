//! `interproc ls`: all segments, at a glance.

use crate::sight::{self, DIRECTORY, Problem, clean, complain, open, table};
use indicatif::{BinaryBytes, HumanDuration};
use interproc::ErrorKind;
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A segment.
#[derive(Serialize)]
struct Row {
    name: String,
    /// Of the file.
    bytes: u64,
    /// Of the objects' part.
    payload_bytes: u64,
    owner: u32,
    mode: u32,
    /// Threads that use it now.
    alive: usize,
    /// Threads that ended while they used it, by any cause, and whose place nobody has taken since.
    dead: usize,
    max_members: u32,
    /// Whether no process has it open.
    stale: bool,
    /// Since the Unix epoch.
    created_ms: u64,
    age_seconds: u64,
}

#[derive(Serialize)]
struct Listing {
    segments: Vec<Row>,
    problems: Vec<Problem>,
    /// Files that are no segments.
    foreign: Vec<String>,
}

/// Lists them. The exit code is 2 if the directory cannot be read.
pub fn run(json: bool) -> ExitCode {
    let names = match std::fs::read_dir(DIRECTORY) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name()),
        Err(error) => {
            complain(&format!("{DIRECTORY}: {error}"));
            return ExitCode::from(2);
        }
    };
    let mut listing = Listing { segments: Vec::new(), problems: Vec::new(), foreign: Vec::new() };
    let mut names: Vec<_> = names.collect();
    names.sort();
    for file in names {
        let Some(file) = file.to_str() else {
            listing.foreign.push(file.to_string_lossy().into_owned());
            continue;
        };
        let name = format!("/{file}");
        match row(&name) {
            Ok(row) => listing.segments.push(row),
            Err(error) => match error.kind() {
                // Gone meanwhile.
                ErrorKind::NotFound => {}
                ErrorKind::Foreign | ErrorKind::NotRegular | ErrorKind::BadName => listing.foreign.push(name),
                _ => listing.problems.push(Problem::new(&name, &error)),
            },
        }
    }
    if json {
        sight::print_json(&listing);
    } else {
        show(&listing);
    }
    ExitCode::SUCCESS
}

fn row(name: &str) -> interproc::Result<Row> {
    let look = open(name)?;
    let (metadata, members) = (look.metadata()?, look.members()?);
    let alive = members.iter().filter(|member| member.who.alive).count();
    let created = look.created();
    let since = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or(Duration::ZERO);
    Ok(Row {
        name: name.into(),
        bytes: metadata.size(),
        payload_bytes: look.len() as u64,
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
        alive,
        dead: members.len() - alive,
        max_members: look.header().max_members,
        stale: !look.is_in_use()?,
        created_ms: u64::try_from(since(UNIX_EPOCH, created).as_millis()).unwrap_or(u64::MAX),
        age_seconds: since(created, SystemTime::now()).as_secs(),
    })
}

fn show(listing: &Listing) {
    let mut rows = table(&["NAME", "SIZE", "OWNER", "MODE", "ALIVE", "DEAD", "STATE", "AGE"]);
    for row in &listing.segments {
        rows.add_row([
            clean(&row.name),
            BinaryBytes(row.payload_bytes).to_string(),
            user(row.owner),
            format!("{:04o}", row.mode),
            row.alive.to_string(),
            row.dead.to_string(),
            if row.stale { "stale" } else { "in use" }.into(),
            HumanDuration(Duration::from_secs(row.age_seconds)).to_string(),
        ]);
    }
    if listing.segments.is_empty() {
        sight::print("no segments\n");
    } else {
        sight::print(sight::lines(&rows));
    }
    for Problem { name, error } in &listing.problems {
        complain(&format!("{name}: {error}"));
    }
    if !listing.foreign.is_empty() {
        complain(&format!("not of interproc: {}", listing.foreign.join(" ")));
    }
}

/// A user's name, or the number where it has none here.
fn user(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| clean(name))
    });
    name.unwrap_or_else(|| uid.to_string())
}
