//! What becomes of handles that are none: over every function of the header, so that a new one is not forgotten.

use super::{Installed, root, run, work};
use std::fmt::Write;
use std::fs;

/// What C has an object by, and what the C program calls it.
const HANDLES: &[(&str, &str)] = &[
    ("segment", "SEGMENT"),
    ("queue", "QUEUE"),
    ("byte_queue", "BYTE_QUEUE"),
    ("work_queue", "WORK_QUEUE"),
    ("broadcast", "BROADCAST"),
    ("subscriber", "SUBSCRIBER"),
    ("publisher", "PUBLISHER"),
    ("latest", "LATEST"),
    ("barrier", "BARRIER"),
    ("bounded_semaphore", "BOUNDED_SEMAPHORE"),
    ("spsc_producer", "SPSC_PRODUCER"),
    ("spsc_consumer", "SPSC_CONSUMER"),
    ("byte_producer", "BYTE_PRODUCER"),
    ("byte_consumer", "BYTE_CONSUMER"),
    ("pipe", "PIPE"),
    ("listener", "LISTENER"),
    ("process", "PROCESS"),
    ("process_ref", "PROCESS_REF"),
    ("waitset", "WAITSET"),
    ("ready", "READY"),
    ("mutex", "PLACED"),
    ("recursive_mutex", "PLACED"),
    ("cond", "PLACED"),
    ("semaphore", "PLACED"),
    ("event", "PLACED"),
    ("once", "PLACED"),
    ("rwlock", "PLACED"),
];

/// Structures that functions fill or read, and that are no handles.
const PLAIN: &[&str] = &[
    "timespec",
    "iovec",
    "who_t",
    "exit_t",
    "usage_t",
    "permit_t",
    "barrier_turn_t",
    "spsc_slots_t",
    "channel_info_t",
    "bounded_semaphore_info_t",
    "barrier_info_t",
    "segment_info_t",
    "process_details_t",
    "process_options_t",
    "segment_options_t",
    "daemon_options_t",
    "work_queue_options_t",
    "work_queue_info_t",
    "job_t",
    "dead_letter_t",
    "broadcast_options_t",
    "broadcast_info_t",
    "subscriber_info_t",
    "waitset_ready_t",
];

/// Functions beside `interproc_segment_*` that fill a handle.
const MAKERS: &[&str] = &[
    "interproc_pipe_pair",
    "interproc_pipe_one_way",
    "interproc_pipe_pair_with_fds",
    "interproc_pipe_one_way_with_fds",
    "interproc_pipe_connect",
    "interproc_pipe_connect_until",
    "interproc_pipe_fork",
    "interproc_pipe_spawn",
    "interproc_pipe_inherited",
    "interproc_listener_accept",
    "interproc_listener_accept_until",
    "interproc_listener_bind",
    "interproc_process_fork",
    "interproc_process_fork_with",
    "interproc_process_spawn",
    "interproc_process_ref_open",
    "interproc_process_ref_find",
    "interproc_process_ref_parent",
    "interproc_waitset_create",
];

/// Functions that write to memory that need not be in a segment.
const NOT_ASKED: &[&str] = &["interproc_semaphore_init", "interproc_event_init", "interproc_once_init"];

struct Function {
    name: String,
    parameters: Vec<Parameter>,
}

struct Parameter {
    /// As declared, without its name.
    text: String,
    name: String,
}

impl Parameter {
    /// The kind of a handle that it points to.
    fn kind(&self) -> Option<&'static str> {
        let of = self.text.split("struct interproc_").nth(1)?;
        let name = of.split("_t ").next()?;
        HANDLES.iter().find(|h| h.0 == name).map(|h| h.1)
    }

    fn is_const(&self) -> bool {
        self.text.starts_with("const")
    }
}

/// The declarations of the header.
fn functions() -> Vec<Function> {
    let header = fs::read_to_string(root().join("include/interproc.h")).expect("the header");
    let mut code = String::new();
    let mut rest = &*header;
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        rest = comment.split_once("*/").expect("its end").1;
    }
    code += rest;
    let lines: String = code.lines().filter(|l| !l.starts_with('#')).fold(String::new(), |t, l| t + l + "\n");
    let mut found = Vec::new();
    for declaration in lines.split(';') {
        let Some((head, parameters)) = declaration.split_once('(') else { continue };
        let (Some(name), false) = (head.rsplit([' ', '*', '\n']).next(), head.contains("typedef")) else {
            continue;
        };
        if !name.starts_with("interproc_") {
            continue;
        }
        let parameters = parameters.trim_end().trim_end_matches(')');
        let parameters = parameters.split(',').map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
        let parameters = parameters.filter(|p| p != "void").map(|p| {
            let at = p.rfind([' ', '*']).expect("a type and a name") + 1;
            Parameter { text: p[..at].to_owned(), name: p[at..].to_owned() }
        });
        found.push(Function { name: name.to_owned(), parameters: parameters.collect() });
    }
    found
}

/// Whether a function is given this handle, rather than to fill it.
fn is_given(function: &Function, parameter: &Parameter) -> bool {
    let Some(kind) = parameter.kind() else { return false };
    let name = &*function.name;
    let ends = ["_close", "_detach", "_leave", "_hand_over", "waitset_destroy"]
        .iter()
        .any(|end| name.ends_with(end));
    // The seats change with each call, so they are const nowhere.
    let is_seats =
        ["_PRODUCER", "_CONSUMER", "SUBSCRIBER", "PUBLISHER"].iter().any(|seat| kind.contains(seat));
    let is_its_own = name.starts_with(&format!("interproc_{}_", kind.to_lowercase()));
    parameter.is_const()
        || kind == "PLACED"
        || kind == "READY"
        || (is_seats && is_its_own)
        || (ends && !name.starts_with("interproc_segment_") | name.ends_with("segment_close"))
        || (matches!(name, "interproc_pipe_fork" | "interproc_pipe_spawn") && parameter.name == "end")
}

/// What a parameter gets that is not the handle in question.
fn other(parameter: &Parameter) -> String {
    match &*parameter.text {
        t if t.contains("timespec") && parameter.is_const() => "&past".into(),
        "const char *" => "\"n\"".into(),
        t if !t.contains("struct") && (t.contains("_entry_t") || t.contains("_job_t")) => {
            let name = t.trim().trim_start_matches("interproc_");
            let name = name.trim_end_matches("_t").trim_end_matches("_entry").trim_end_matches("_job");
            format!("{name}_entry")
        }
        _ if parameter.kind() == Some("PLACED") => "another_placed".into(),
        _ if parameter.kind() == Some("WAITSET") => "&another_set".into(),
        t if t.contains('*') => "(void *)junk".into(),
        _ => "1".into(),
    }
}

/// The calls, in C.
fn cases() -> String {
    let mut calls = String::new();
    let mut table = String::from("const struct test_case cases[] = {\n");
    for function in functions() {
        for (at, parameter) in function.parameters.iter().enumerate() {
            let about =
                parameter.text.split("struct ").nth(1).map(|t| t.split(' ').next().unwrap_or_default());
            let about = about.map(|t| t.trim_start_matches("interproc_"));
            let Some(kind) = parameter.kind() else {
                assert!(
                    about.is_none_or(|t| PLAIN.contains(&t)),
                    "{}: a handle of a new kind? {}",
                    function.name,
                    parameter.text
                );
                continue;
            };
            if !is_given(&function, parameter) {
                let makes =
                    function.name.starts_with("interproc_segment_") || MAKERS.contains(&&*function.name);
                assert!(makes, "{}: is {} given to it, or filled by it?", function.name, parameter.name);
                continue;
            }
            let kind = if NOT_ASKED.contains(&&*function.name) { "UNASKED" } else { kind };
            let is_list = parameter.text.ends_with("*const *");
            let arguments: Vec<String> = function
                .parameters
                .iter()
                .enumerate()
                .map(|(i, p)| match i == at {
                    true if is_list => "list".into(),
                    true => "handle".into(),
                    false => other(p),
                })
                .collect();
            let call = format!("call_{}", calls.lines().count());
            let list = if is_list { "const void *list_[1] = {handle}; void *list = list_; " } else { "" };
            let (name, arguments) = (&function.name, arguments.join(", "));
            writeln!(calls, "static int {call}(void *handle) {{ {list}return {name}({arguments}); }}")
                .expect("text");
            writeln!(table, "    {{\"{name}({})\", {kind}, {call}}},", parameter.name).expect("text");
        }
    }
    calls + &table + "};\nconst int case_count = sizeof cases / sizeof *cases;\n"
}

pub(crate) fn a_handle_that_is_closed_or_zero_is_refused_by_every_function_and_nothing_is_touched() {
    let cases = cases();
    assert!(cases.lines().count() > 400, "{cases}");
    let (frame, source) = (root().join("tests/c/handles.c"), work().join("handles.c"));
    let text = fs::read_to_string(frame)
        .expect("the frame")
        .replace("\"check.h\"", &format!("\"{}\"", root().join("tests/c/check.h").display()));
    fs::create_dir_all(work()).expect("a directory");
    fs::write(&source, text + "\n" + &cases).expect("a file");
    print!("{}", run(&mut Installed::get().compile(source.to_str().expect("UTF-8"))));
}
