//! `interproc inspect NAME`: the objects of a segment with their states, and its members.

use crate::display::{
    self, MemberJson, Problem, ThreadJson, clean, full_name, open, report_error, table, thread_text,
    wait_text,
};
use interproc::inspect::{Holder, ObjectState, View};
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    stale: bool,
    objects: Vec<ObjectJson>,
    members: Vec<MemberJson>,
    /// What is wrong with the directory.
    damage: Option<String>,
}

#[derive(Serialize)]
struct ObjectJson {
    name: String,
    #[serde(rename = "type")]
    type_name: Option<&'static str>,
    type_id: u64,
    offset: u64,
    size: u64,
    state: Option<&'static str>,
    holders: Vec<Part>,
    waiters: u32,
    facts: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Part {
    part: &'static str,
    #[serde(flatten)]
    who: ThreadJson,
}

impl From<&ObjectState> for ObjectJson {
    fn from(object: &ObjectState) -> Self {
        let part = |holder: &Holder| Part { part: holder.part, who: (&holder.who).into() };
        ObjectJson {
            name: object.info.name.clone(),
            type_name: object.type_name,
            type_id: object.info.type_id,
            offset: object.info.offset,
            size: object.info.size,
            state: object.state,
            holders: object.holders.iter().map(part).collect(),
            waiters: object.waiters,
            facts: object.facts.iter().map(|&(name, value)| (name.replace(' ', "_"), value)).collect(),
        }
    }
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
        display::print_json(&Report {
            name: &name,
            stale,
            objects: view.objects.iter().map(ObjectJson::from).collect(),
            members: view.members.iter().map(MemberJson::from).collect(),
            damage: view.damage.as_ref().map(ToString::to_string),
        });
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

fn show(view: &View, stale: bool) {
    let mut objects = table(&["OBJECT", "TYPE", "BYTES", "STATE", "WAITERS", "BY", "MORE"]);
    for object in &view.objects {
        let part = |holder: &Holder| match holder.part {
            "holds" => thread_text(&holder.who),
            part => format!("{part}: {}", thread_text(&holder.who)),
        };
        let state = match (object.type_name, object.state) {
            (_, Some(state)) => state,
            (Some(_), None) => "damaged",
            (None, None) => "",
        };
        let more = object.facts.iter().map(|(name, value)| format!("{name} {value}"));
        objects.add_row([
            clean(&object.info.name),
            object.type_name.unwrap_or("bytes").into(),
            object.info.size.to_string(),
            state.into(),
            object.waiters.to_string(),
            object.holders.iter().map(part).collect::<Vec<_>>().join("; "),
            more.collect::<Vec<_>>().join(", "),
        ]);
    }
    let mut members = table(&["PID", "TID", "NAME", "STATE", "WAITS FOR", "HELD BY"]);
    for member in &view.members {
        let who = &member.who;
        let known = |id: u32| if who.pid == 0 { "?".into() } else { id.to_string() };
        let state = match (who.alive, who.state) {
            (false, _) => "dead".into(),
            (true, Some('T')) => "T (stopped)".into(),
            (true, Some('t')) => "t (traced)".into(),
            (true, Some(letter)) => letter.to_string(),
            (true, None) => "alive".into(),
        };
        members.add_row([
            known(who.pid),
            known(who.tid),
            clean(who.name().unwrap_or_default()),
            state,
            member.waits.as_ref().map(wait_text).unwrap_or_default(),
            member.waits.as_ref().and_then(|waits| waits.on.as_ref()).map(thread_text).unwrap_or_default(),
        ]);
    }
    let mut text = if view.objects.is_empty() { "no objects\n".into() } else { display::lines(&objects) };
    text += "\n";
    text += &if view.members.is_empty() { "no members\n".into() } else { display::lines(&members) };
    if stale {
        text += "\nstale: no process has it open\n";
    }
    display::print(&text);
}
