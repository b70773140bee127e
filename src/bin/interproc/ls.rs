//! `interproc ls`: all segments at a glance.

use crate::display::{self, DIRECTORY, Problem, clean, open, report_error, table};
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
    /// The file's size.
    bytes: u64,
    /// The size of the part that holds the objects.
    payload_bytes: u64,
    owner: u32,
    mode: u32,
    /// Threads that use it now.
    alive: usize,
    /// Threads that have ended, from whatever cause, and whose slot nobody has taken since.
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
    /// Files that are not segments.
    foreign: Vec<String>,
}

/// Lists the segments. The exit code is 2 if the directory cannot be read.
pub fn run(json: bool) -> ExitCode {
    let names = match std::fs::read_dir(DIRECTORY) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name()),
        Err(error) => {
            report_error(&format!("{DIRECTORY}: {error}"));
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
                // Removed meanwhile.
                ErrorKind::NotFound => {}
                ErrorKind::Foreign | ErrorKind::NotRegular | ErrorKind::BadName => listing.foreign.push(name),
                _ => listing.problems.push(Problem::new(&name, &error)),
            },
        }
    }
    if json {
        display::print_json(&listing);
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
        display::print("no segments\n");
    } else {
        display::print(display::lines(&rows));
    }
    for Problem { name, error } in &listing.problems {
        report_error(&format!("{name}: {error}"));
    }
    if !listing.foreign.is_empty() {
        report_error(&format!("not of interproc: {}", listing.foreign.join(" ")));
    }
}

/// A user's name, or the number if it has none here.
fn user(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| clean(name))
    });
    name.unwrap_or_else(|| uid.to_string())
}
