//! `interproc ps NAME`: the threads that use a segment, with what they use, hold and wait for.

use crate::display::{
    self, MemberJson, Problem, clean, full_name, open, report_error, table, thread_text, wait_text,
};
use indicatif::{BinaryBytes, HumanDuration};
use interproc::inspect::{Holder, MemberInfo, ObjectState, View};
use interproc::process::Details;
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::Duration;

/// How many of the objects that a thread holds are named in the table.
const NAMED: usize = 4;

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    stale: bool,
    members: Vec<Row>,
    /// What is wrong with the directory.
    damage: Option<String>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    who: MemberJson,
    /// Whether it is in another PID namespace; its ids are those of that namespace.
    elsewhere: bool,
    /// Null, as the next three, for dead threads and for those in another PID namespace.
    cpu_ms: Option<u64>,
    /// Its process's.
    resident_bytes: Option<u64>,
    age_seconds: Option<u64>,
    /// How many threads its process has.
    threads: Option<u32>,
    holds: Vec<Held>,
}

#[derive(Serialize)]
struct Held {
    object: String,
    /// How: `holds`, `reads`, `has a seat`, `blocks`.
    part: &'static str,
}

/// Whether it is known to be in another PID namespace, where its ids mean something else.
fn is_elsewhere(member: &MemberInfo) -> bool {
    let ours = std::fs::metadata("/proc/self/ns/pid").map(|namespace| namespace.ino());
    member.who.pid_namespace != 0 && ours.is_ok_and(|ours| ours != member.who.pid_namespace)
}

/// The objects that a member holds, as far as their types are known.
fn held<'v>(view: &'v View, member: &MemberInfo) -> Vec<(&'v ObjectState, &'v Holder)> {
    let parts =
        view.objects.iter().flat_map(|object| object.holders.iter().map(move |holder| (object, holder)));
    parts.filter(|(_, holder)| holder.who.id == member.who.id).collect()
}

/// Prints them. The exit code is 2 if the segment cannot be read, or not to the end.
pub fn run(name: &str, json: bool) -> ExitCode {
    let name = full_name(name);
    let seen = open(&name).and_then(|look| Ok((look.view()?, !look.is_in_use()?)));
    let (view, stale) = match seen {
        Ok(seen) => seen,
        Err(error) => {
            report_error(&format!("{name}: {}", Problem::new(&name, &error).error));
            return ExitCode::from(2);
        }
    };
    if json {
        let members = view.members.iter().map(|member| row(&view, member)).collect();
        let damage = view.damage.as_ref().map(ToString::to_string);
        display::print_json(&Report { name: &name, stale, members, damage });
    } else {
        show(&view, stale);
    }
    match &view.damage {
        None => ExitCode::SUCCESS,
        Some(damage) => {
            report_error(&format!("{name}: {damage}"));
            ExitCode::from(2)
        }
    }
}

fn row(view: &View, member: &MemberInfo) -> Row {
    let details = Details::of_thread(&member.who).ok();
    let details = details.as_ref();
    let held = held(view, member);
    Row {
        who: member.into(),
        elsewhere: is_elsewhere(member),
        cpu_ms: details.and_then(|d| u64::try_from(d.cpu_time.as_millis()).ok()),
        resident_bytes: details.map(|d| d.memory),
        age_seconds: details.map(|d| d.age.as_secs()),
        threads: details.map(|d| d.threads),
        holds: held
            .into_iter()
            .map(|(object, holder)| Held { object: object.info.name.clone(), part: holder.part })
            .collect(),
    }
}

fn show(view: &View, stale: bool) {
    let mut rows =
        table(&["PID", "TID", "NAME", "STATE", "CPU", "MEMORY", "AGE", "HOLDS", "WAITS FOR", "HELD BY"]);
    for member in &view.members {
        let who = &member.who;
        let details = Details::of_thread(who).ok();
        let known = |id: u32| if who.pid == 0 { "?".into() } else { id.to_string() };
        let told = |text: fn(&Details) -> String| details.as_ref().map_or_else(|| "-".into(), text);
        rows.add_row([
            known(who.pid),
            known(who.tid),
            clean(who.name().unwrap_or_default()),
            state(member),
            told(|d| clock(d.cpu_time)),
            told(|d| BinaryBytes(d.memory).to_string()),
            told(|d| HumanDuration(d.age).to_string()),
            holds(&held(view, member)),
            member.waits.as_ref().map(wait_text).unwrap_or_default(),
            member.waits.as_ref().and_then(|waits| waits.on.as_ref()).map(thread_text).unwrap_or_default(),
        ]);
    }
    let mut text = if view.members.is_empty() { "no members\n".into() } else { display::lines(&rows) };
    if stale {
        text += "\nstale: no process has it open\n";
    }
    display::print(&text);
}

/// The letter that ps shows, or why there is none.
fn state(member: &MemberInfo) -> String {
    match (member.who.alive, is_elsewhere(member), member.who.state) {
        (true, true, _) => "alive, in another PID namespace".into(),
        (false, true, _) => "dead, in another PID namespace".into(),
        (false, false, _) => "dead".into(),
        (true, false, Some(letter)) => letter.to_string(),
        (true, false, None) => "alive".into(),
    }
}

/// The first few objects, by name.
fn holds(held: &[(&ObjectState, &Holder)]) -> String {
    let one = |(object, holder): &(&ObjectState, &Holder)| match holder.part {
        "holds" => clean(&object.info.name),
        part => format!("{part}: {}", clean(&object.info.name)),
    };
    let mut names: Vec<String> = held.iter().map(one).collect();
    // Several permits of one semaphore.
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

/// Minutes, seconds and hundredths.
fn clock(time: Duration) -> String {
    let hundredths = time.as_millis() / 10;
    format!("{}:{:02}.{:02}", hundredths / 6000, hundredths / 100 % 60, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_shown_as_a_clock() {
        let shown = [0, 12_345, 60_000, 6_000_009].map(|ms| clock(Duration::from_millis(ms)));
        assert_eq!(shown, ["0:00.00", "0:12.34", "1:00.00", "100:00.00"]);
    }
}
