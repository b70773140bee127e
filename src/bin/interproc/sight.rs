//! What `ls`, `inspect`, `ps` and `deadlocks` share: finding segments, opening them for looking, and showing what was seen.
//!
//! Names, thread names and all else that comes from a segment or another process is untrusted: it is shown without its
//! control characters, which could do anything to a terminal.

use comfy_table::{Table, presets};
use interproc::ErrorKind;
use interproc::Segment;
use interproc::member::Who;
use interproc::shm::{MemberInfo, Snapshot, Waits};
use serde::Serialize;
use std::fs::symlink_metadata;
use std::io::{ErrorKind as Io, Write, stderr, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where named segments live.
pub const DIRECTORY: &str = "/dev/shm";

/// Opens a segment for looking, whoever it belongs to: what is read is checked, and nothing is believed.
pub fn open(name: &str) -> interproc::Result<Snapshot> {
    let file = Path::new(DIRECTORY).join(name.trim_start_matches('/'));
    let options = match symlink_metadata(file) {
        Ok(metadata) => Segment::options().trust_owner(metadata.uid()),
        Err(_) => Segment::options(),
    };
    options.open_read_only(name)
}

/// A name as users may give it: the slash can be left out.
pub fn full_name(name: &str) -> String {
    if name.starts_with('/') { name.into() } else { format!("/{name}") }
}

/// Something that comes from elsewhere, fit for a terminal.
pub fn clean(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Prints a text; the tool ends quietly if nobody reads it.
pub fn print(text: &str) {
    write(&mut stdout().lock(), text);
}

/// A line about something that is wrong.
pub fn complain(what: &str) {
    write(&mut stderr().lock(), &format!("interproc: {}\n", clean(what)));
}

fn write(to: &mut impl Write, text: &str) {
    if let Err(error) = to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        std::process::exit(if error.kind() == Io::BrokenPipe { 0 } else { 2 });
    }
}

/// A value as JSON, on lines of its own.
pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&(text + "\n")),
        Err(error) => complain(&error.to_string()),
    }
}

/// An empty table with these headings.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table
}

/// A table's lines, without the blanks at their ends.
pub fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// What an error says, in one line.
#[derive(Serialize)]
pub struct Problem {
    pub name: String,
    pub error: String,
}

impl Problem {
    pub fn new(name: &str, error: &interproc::Error) -> Self {
        // Advice for those who wanted to use it is none for those who look.
        let error = match error.kind() {
            ErrorKind::PermissionDenied => "permission denied".into(),
            ErrorKind::NotFound => "no segment has this name".into(),
            _ => error.to_string(),
        };
        Problem { name: name.into(), error }
    }
}

/// A thread, for JSON.
#[derive(Serialize)]
pub struct Person {
    pid: u32,
    tid: u32,
    name: Option<String>,
    alive: bool,
    state: Option<char>,
    pid_namespace: u64,
}

impl From<&Who> for Person {
    fn from(who: &Who) -> Self {
        let Who { pid, tid, alive, state, pid_namespace, .. } = *who;
        Person { pid, tid, name: who.name().map(str::to_owned), alive, state, pid_namespace }
    }
}

/// A member, for JSON.
#[derive(Serialize)]
pub struct Guest {
    #[serde(flatten)]
    who: Person,
    waits_for: Option<Wait>,
}

#[derive(Serialize)]
struct Wait {
    object: Option<String>,
    offset: u64,
    on: Option<Person>,
}

impl From<&MemberInfo> for Guest {
    fn from(member: &MemberInfo) -> Self {
        let wait = |waits: &Waits| Wait {
            object: waits.object.clone(),
            offset: waits.offset,
            on: waits.on.as_ref().map(Person::from),
        };
        Guest { who: (&member.who).into(), waits_for: member.waits.as_ref().map(wait) }
    }
}

/// What the members sleep on, in words: `"jobs"`, and for what lies inside a structure `"shop"+64`.
pub fn place(waits: &Waits) -> String {
    match &waits.object {
        Some(object) if waits.offset == 0 => clean(object),
        Some(object) => format!("{}+{}", clean(object), waits.offset),
        None => format!("byte {}", waits.offset),
    }
}

/// A thread in words, shorter than its `Display`: `12.13 (name)`.
pub fn person(who: &Who) -> String {
    if who.pid == 0 {
        return "somebody long dead".into();
    }
    let ids = if who.pid == who.tid { who.pid.to_string() } else { format!("{}.{}", who.pid, who.tid) };
    let name = who.name().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
    ids + &name + if who.alive { "" } else { ", dead" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{9b}d"), "a\\u{1b}[2Jb\\nc\\u{9b}d");
        assert_eq!(clean("Käse 1"), "Käse 1");
    }

    #[test]
    fn the_slash_of_a_name_may_be_left_out() {
        assert_eq!((full_name("a"), full_name("/a")), ("/a".into(), "/a".into()));
    }
}
