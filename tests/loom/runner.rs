//! Runs each model in a process of its own: right code must pass, and each seeded mutant must be caught.
//!
//! A lost wake-up is a loom deadlock, which aborts: hence the processes. `loom [NAME…]` runs the models whose names
//! contain a NAME, each with the mutants that it must catch; `loom --table [NAME…]` tries every model with every
//! mutant and prints the table of `main.rs`.

use interproc::sys::model::Report;
use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// A model and what it must catch.
pub struct Model {
    /// The sentence that it checks.
    pub name: &'static str,
    /// Runs it; panics or aborts when the sentence is false.
    pub run: fn() -> Report,
    /// The seeded mutants that make it false.
    pub catches: &'static [&'static str],
}

/// The chosen mutant, for the toys of this test.
pub fn mutant(name: &str) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var("INTERPROC_MUTANT").ok()).as_deref() == Some(name)
}

/// How a model ended.
enum Verdict {
    Passed(String),
    Caught(String),
    TimedOut,
}

const LIMIT: Duration = Duration::from_secs(600);

pub fn main(groups: &[&[Model]]) -> ExitCode {
    let models: Vec<&Model> = groups.iter().copied().flatten().collect();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(name) = args.iter().position(|a| a == "--one").map(|i| &args[i + 1]) {
        return one(models.iter().find(|m| m.name == name).expect("a model"));
    }
    let words: Vec<&String> = args.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted = |m: &&Model| words.is_empty() || words.iter().any(|w| m.name.contains(w.as_str()));
    let chosen: Vec<&Model> = models.into_iter().filter(wanted).collect();
    if chosen.is_empty() {
        eprintln!("no model has {words:?} in its name");
        return ExitCode::FAILURE;
    }
    if args.iter().any(|a| a == "--table") { table(&chosen) } else { check(&chosen) }
}

fn one(model: &Model) -> ExitCode {
    let report = (model.run)();
    println!(
        "{} executions, {} deaths, {:.2} s",
        report.executions,
        report.deaths,
        report.time.as_secs_f64()
    );
    ExitCode::SUCCESS
}

fn check(models: &[&Model]) -> ExitCode {
    let mut failures = 0;
    let mut say = |ok: bool, line: String| {
        println!("{} {line}", if ok { "ok    " } else { "FAILED" });
        failures += u32::from(!ok);
    };
    for model in models {
        match run(model, None) {
            Verdict::Passed(report) => say(true, format!("{}: {report}", model.name)),
            Verdict::Caught(why) => say(false, format!("{}: {why}", model.name)),
            Verdict::TimedOut => say(false, format!("{}: not finished in {LIMIT:?}", model.name)),
        }
        for mutant in model.catches {
            let (ok, how) = match run(model, Some(mutant)) {
                Verdict::Passed(report) => (false, format!("NOT caught ({report})")),
                Verdict::Caught(why) => (true, format!("caught: {why}")),
                Verdict::TimedOut => (false, "neither caught nor finished".into()),
            };
            say(ok, format!("    with {mutant}: {how}"));
        }
    }
    println!("{failures} failures");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every model with every mutant that any of the chosen models must catch.
fn table(models: &[&Model]) -> ExitCode {
    let mut mutants: Vec<&str> = models.iter().flat_map(|m| m.catches).copied().collect();
    mutants.sort_unstable();
    mutants.dedup();
    println!("| mutant | caught by | passed by |\n|---|---|---|");
    let mut escaped = false;
    for mutant in mutants {
        let (mut by, mut not_by) = (Vec::new(), Vec::new());
        for model in models {
            match run(model, Some(mutant)) {
                Verdict::Caught(_) => by.push(model.name),
                Verdict::Passed(_) => not_by.push(model.name),
                Verdict::TimedOut => not_by.push("(a model that did not finish)"),
            }
        }
        escaped |= by.is_empty();
        println!("| {mutant} | {} | {} |", by.join("; "), not_by.len());
    }
    if escaped { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(model: &Model, mutant: Option<&str>) -> Verdict {
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.args(["--one", model.name]).env_remove("INTERPROC_MUTANT").env("RUST_BACKTRACE", "0");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
    if let Some(mutant) = mutant {
        command.env("INTERPROC_MUTANT", mutant);
    }
    let mut child = command.spawn().expect("a child of our own");
    let mut err = child.stderr.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = err.read_to_string(&mut text);
        text
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("our child") {
            break status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            return Verdict::TimedOut;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let errors = reader.join().expect("the reader");
    if status.success() {
        let mut text = String::new();
        let _ = child.stdout.take().expect("piped").read_to_string(&mut text);
        return Verdict::Passed(text.trim().into());
    }
    Verdict::Caught(format!("{} ({:.2} s)", reason(&errors), start.elapsed().as_secs_f64()))
}

/// The line after the first panic's header.
fn reason(errors: &str) -> String {
    let mut lines = errors.lines().skip_while(|l| !l.contains("panicked at")).skip(1);
    let line = lines.next().unwrap_or("no panic message").trim();
    let short = line.split("; threads").next().unwrap_or(line);
    short.chars().take(90).collect()
}
