//! The findings of a part, its verdict, and progress while it works.

use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::{IsTerminal, stderr};

/// An error that ends a part early.
pub type Failure = Box<dyn std::error::Error>;

/// One thing that was checked.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Whether it is as it must be.
    pub ok: bool,
    /// What was found, in words.
    pub text: String,
}

impl Finding {
    /// A check and its words.
    pub fn new(ok: bool, text: impl Into<String>) -> Self {
        Finding { ok, text: text.into() }
    }
}

/// The findings of a part.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The part's letter and name.
    pub part: &'static str,
    /// All that was checked.
    pub findings: Vec<Finding>,
    /// A few words for the summary.
    pub summary: String,
}

impl Verdict {
    /// The verdict on a part that could not be finished.
    pub fn of_failure(part: &'static str, failure: &Failure) -> Self {
        let text = format!("could not be finished: {failure}");
        Verdict { part, findings: vec![Finding::new(false, text.clone())], summary: text }
    }

    /// Right only if something was checked and everything is right.
    pub fn is_right(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(|finding| finding.ok)
    }

    /// Prints what was checked, and the verdict.
    pub fn print(&self) {
        crate::streams::say!();
        for finding in &self.findings {
            crate::streams::say!("    {} {}", if finding.ok { "ok   " } else { "WRONG" }, finding.text);
        }
        crate::streams::say!(
            "  Verdict ({}): {}",
            self.part,
            if self.is_right() { "RIGHT" } else { "WRONG" }
        );
    }
}

/// A bar on a terminal; elsewhere a line at each quarter.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    done: Cell<u64>,
}

impl Progress {
    /// Begins at nothing of `total`.
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            // Drawn by this thread only, because a process that forks should have no other.
            let bar = ProgressBar::new(total).with_message(what);
            let style =
                ProgressStyle::with_template("  {msg:14} {wide_bar:.green} {pos:>5}/{len} {elapsed:>4}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Progress { bar, what, total, done: Cell::new(0) }
    }

    /// Sets how much is done.
    pub fn set(&self, done: u64) {
        let before = self.done.replace(done);
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.total > 0 && quarter(done, self.total) > quarter(before, self.total) => {
                let quarters = quarter(done, self.total);
                crate::streams::tell(&format!("  {}: {} %\n", self.what, 25 * quarters));
            }
            None => {}
        }
    }

    /// Prints a line without disturbing the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| crate::streams::say!("{line}")),
            None => crate::streams::say!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn quarter(done: u64, total: u64) -> u64 {
    4 * done.min(total) / total
}

/// 1234567 as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in a fitting unit.
pub fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..100_000 => format!("{:.1} µs", ns as f64 / 1e3),
        100_000..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

/// `one thing`, `2 things`.
pub fn plural(count: u64, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{} {thing}s", grouped(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_finding_makes_the_verdict_wrong() {
        let with = |oks: &[bool]| Verdict {
            part: "x",
            findings: oks.iter().map(|&ok| Finding::new(ok, "")).collect(),
            summary: String::new(),
        };
        assert!(with(&[true, true]).is_right());
        assert!(!with(&[true, false]).is_right());
        assert!(!with(&[]).is_right(), "nothing checked is not right");
    }

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [90, 1_500, 250_000, 3_200_000, 2_500_000_000].map(time),
            ["90 ns", "1.5 µs", "250 µs", "3.2 ms", "2.50 s"]
        );
        assert_eq!([plural(1, "buyer"), plural(2, "buyer")], ["1 buyer", "2 buyers"]);
    }
}
