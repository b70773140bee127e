//! What `ls`, `inspect`, `ps` and `deadlocks` share: opening segments for inspection, and printing tables, JSON and errors.
//!
//! Names and everything else that comes from a segment or another process are untrusted. Control characters, which could do
//! anything to a terminal, and invisible characters are printed as their numbers.

use comfy_table::{Table, presets};
use interproc::inspect::{MemberInfo, Waits};
use interproc::shm::Snapshot;
use interproc::{ErrorKind, Segment, Who};
use serde::Serialize;
use std::fs::symlink_metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where named segments live.
pub const DIRECTORY: &str = "/dev/shm";

/// Opens a segment for inspection, whoever owns it: everything that is read is checked.
pub fn open(name: &str) -> interproc::Result<Snapshot> {
    let file = Path::new(DIRECTORY).join(name.trim_start_matches('/'));
    let options = match symlink_metadata(file) {
        Ok(metadata) => Segment::options().trust_owner(metadata.uid()),
        Err(_) => Segment::options(),
    };
    options.open_read_only(name)
}

/// The full name; users may leave the slash out.
pub fn full_name(name: &str) -> String {
    if name.starts_with('/') { name.into() } else { format!("/{name}") }
}

/// Untrusted text made safe for a terminal: characters that control it, turn the direction of text or are invisible become
/// their numbers.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_seen(c) { out.push(c) } else { out.extend(c.escape_default()) }
    }
    out
}

/// Whether a character is visible and does nothing else.
fn is_seen(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // Characters that are ignored where they are unknown, and that the standard library takes for printable: fillers,
    // joiners, selectors.
    let is_ignorable = matches!(
        c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    );
    // The standard library escapes control and format characters (those of direction included), separators and unassigned
    // ones; marks only where no character precedes them.
    !is_ignorable && ['a', c].iter().collect::<String>().escape_debug().count() == 2
}

/// How many characters of an untrusted text are shown in one line.
const SHOWN: usize = 200;

/// [`clean`], and cut if it is long.
pub fn brief(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => clean(text),
        Some((cut, _)) => format!("{}… ({} bytes)", clean(&text[..cut]), text.len()),
    }
}

pub use crate::streams::print;

/// Prints a line on stderr about something that is wrong.
pub fn report_error(what: &str) {
    crate::streams::tell(&format!("interproc: {}\n", clean(what)));
}

/// Prints a value as JSON. Invisible characters become their numbers, as JSON writes them.
pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(as_numbers(&text) + "\n"),
        Err(error) => {
            report_error(&error.to_string());
            std::process::exit(2);
        }
    }
}

/// Outside of strings JSON has only visible characters and line feeds.
fn as_numbers(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => out.push(c),
            c if is_seen(c) => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}")),
        }
    }
    out
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

/// A table's lines, without trailing blanks.
pub fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// An error about a segment, in one line.
#[derive(Serialize)]
pub struct Problem {
    pub name: String,
    pub error: String,
}

impl Problem {
    pub fn new(name: &str, error: &interproc::Error) -> Self {
        // The error's own advice is for those who want to use the segment.
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
pub struct ThreadJson {
    pid: u32,
    tid: u32,
    name: Option<String>,
    alive: bool,
    state: Option<char>,
    pid_namespace: u64,
}

impl From<&Who> for ThreadJson {
    fn from(who: &Who) -> Self {
        let Who { pid, tid, alive, state, pid_namespace, .. } = *who;
        ThreadJson { pid, tid, name: who.name().map(str::to_owned), alive, state, pid_namespace }
    }
}

/// A member, for JSON.
#[derive(Serialize)]
pub struct MemberJson {
    #[serde(flatten)]
    who: ThreadJson,
    waits_for: Option<Wait>,
}

#[derive(Serialize)]
struct Wait {
    object: Option<String>,
    offset: u64,
    on: Option<ThreadJson>,
}

impl From<&MemberInfo> for MemberJson {
    fn from(member: &MemberInfo) -> Self {
        let wait = |waits: &Waits| Wait {
            object: waits.object.clone(),
            offset: waits.offset,
            on: waits.on.as_ref().map(ThreadJson::from),
        };
        MemberJson { who: (&member.who).into(), waits_for: member.waits.as_ref().map(wait) }
    }
}

/// The word that a member sleeps on: `jobs`, or `shop+64` inside of a structure.
pub fn wait_text(waits: &Waits) -> String {
    match &waits.object {
        Some(object) if waits.offset == 0 => clean(object),
        Some(object) => format!("{}+{}", clean(object), waits.offset),
        None => format!("byte {}", waits.offset),
    }
}

/// A thread, shorter than its `Display`: `12.13 (name)`.
pub fn thread_text(who: &Who) -> String {
    if who.pid == 0 {
        return "a thread long dead".into();
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
    fn what_does_not_show_is_shown_by_its_number() {
        for c in
            "\u{ad}\u{200b}\u{200e}\u{202e}\u{2066}\u{2069}\u{feff}\u{2028}\u{3164}\u{fe0f}\u{e0041}\u{a0}"
                .chars()
        {
            assert_eq!(clean(&format!("a{c}b")), format!("a\\u{{{:x}}}b", c as u32));
            let json = as_numbers(&serde_json::to_string(&format!("a{c}b")).unwrap());
            assert!(
                json.is_ascii() && serde_json::from_str::<String>(&json).unwrap() == format!("a{c}b"),
                "{json}"
            );
        }
        let shown = "\"it's\" a\\b, Ka\u{308}se, नमस्ते, 名前, שלום, 🦀";
        assert_eq!(clean(shown), shown);
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(brief(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(brief(&"ä".repeat(1000)), "ä".repeat(200) + "… (2000 bytes)");
    }

    #[test]
    fn the_slash_of_a_name_may_be_left_out() {
        assert_eq!((full_name("a"), full_name("/a")), ("/a".into(), "/a".into()));
    }
}
