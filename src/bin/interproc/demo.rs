//! The demo: runs its parts one after the other and prints the summary.

use crate::cli::{Options, Part};
use crate::report::{Failure, Verdict, time};
use crate::{children, count, latency, shop};
use std::process::ExitCode;

/// Runs the chosen parts. The exit code is 1 if anything is wrong.
pub fn run(options: &Options) -> ExitCode {
    type Runner = fn(&Options) -> Result<Verdict, Failure>;
    let parts: [(Part, &str, Runner); 3] = [
        (Part::A, shop::NAME, shop::run),
        (Part::B, count::NAME, count::run),
        (Part::C, latency::NAME, latency::run),
    ];
    let begun = children::now();
    let mut verdicts = Vec::new();
    for (part, name, run) in parts {
        if options.wants(part) {
            crate::streams::say!("━━ {name} {}\n", "━".repeat(84_usize.saturating_sub(name.len() - 6)));
            let verdict = run(options).unwrap_or_else(|failure| Verdict::of_failure(name, &failure));
            verdict.print();
            crate::streams::say!();
            verdicts.push(verdict);
        }
    }
    summarise(&verdicts, children::now() - begun);
    exit_code(&verdicts)
}

fn exit_code(verdicts: &[Verdict]) -> ExitCode {
    if all_right(verdicts) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn all_right(verdicts: &[Verdict]) -> bool {
    !verdicts.is_empty() && verdicts.iter().all(Verdict::is_right)
}

fn summarise(verdicts: &[Verdict], took: u64) {
    let line = |verdict: &Verdict| {
        let mark = if verdict.is_right() { "RIGHT" } else { "WRONG" };
        format!(" {mark}  {:19} {} ", verdict.part, verdict.summary)
    };
    let lines: Vec<String> = verdicts.iter().map(line).collect();
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    crate::streams::say!("┏{}┓", "━".repeat(width));
    for line in lines {
        crate::streams::say!("┃{line:width$}┃");
    }
    crate::streams::say!("┗{}┛", "━".repeat(width));
    let end = if all_right(verdicts) { "Everything is right" } else { "SOMETHING IS WRONG" };
    crate::streams::say!("{end}, after {}. No file, shared memory or process is left.", time(took));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Finding;

    #[test]
    fn one_wrong_part_makes_the_exit_code_1() {
        let part = |ok| Verdict { part: "x", findings: vec![Finding::new(ok, "")], summary: String::new() };
        assert!(all_right(&[part(true), part(true)]));
        assert!(!all_right(&[part(true), part(false)]));
        assert!(!all_right(&[]));
        let failed = Verdict::of_failure("x", &"no memory".into());
        assert_eq!(exit_code(&[part(true), failed]), ExitCode::FAILURE);
    }
}
