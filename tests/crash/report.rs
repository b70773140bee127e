//! The kill table, for people and for the documentation.

use crate::engine::sweep::Row;
use crate::engine::windows::Windows;
use std::collections::BTreeMap;

/// Points and failures of all rows.
pub fn totals(rows: &[Row]) -> (usize, usize) {
    (rows.iter().map(|r| r.points).sum(), rows.iter().map(|r| r.failures.len()).sum())
}

fn cells(row: &Row) -> [String; 10] {
    let t = &row.title;
    let count = |n: u64| if n == 0 { String::new() } else { n.to_string() };
    [
        t.object.into(),
        t.operation.into(),
        t.scenario.clone(),
        t.role.into(),
        row.points.to_string(),
        count(row.asleep as u64),
        row.failures.len().to_string() + if row.given_up { " (gave up)" } else { "" },
        if row.worst_ns == 0 { String::new() } else { (row.worst_ns / 1000).to_string() },
        count(row.redelivered),
        count(row.lost),
    ]
}

const HEAD: [&str; 10] = [
    "object",
    "operation",
    "scenario",
    "killed",
    "points",
    "asleep",
    "failures",
    "worst recovery, us",
    "redelivered",
    "taken along",
];

/// The first lines of a table in Markdown, whose rows come one by one.
pub fn head() -> String {
    let rule = |c: usize| if c < 4 { "---" } else { "---:" };
    let rules = (0..HEAD.len()).map(rule).collect::<Vec<_>>().join("|");
    format!("| {} |\n|{rules}|", HEAD.join(" | "))
}

/// A row of it.
pub fn line(row: &Row) -> String {
    format!("| {} |", cells(row).join(" | "))
}

/// The table with aligned columns.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(String::from)];
    lines.extend(rows.iter().map(cells));
    let width: Vec<usize> =
        (0..HEAD.len()).map(|c| lines.iter().map(|l| l[c].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for line in &lines {
        let padded = line.iter().enumerate().map(|(c, cell)| match c {
            0..=3 => format!("{cell:<w$}", w = width[c]),
            _ => format!("{cell:>w$}", w = width[c]),
        });
        out += padded.collect::<Vec<_>>().join("  ").trim_end();
        out += "\n";
    }
    out
}

/// The named windows with the kills that fell into each; and how many were never hit.
pub fn windows(rows: &[Row], windows: &Windows, markdown: bool) -> (String, usize) {
    let mut hits: BTreeMap<&str, usize> = windows.names().iter().map(|n| (n.as_str(), 0)).collect();
    for (index, count) in rows.iter().flat_map(|r| &r.windows) {
        *hits.entry(&windows.names()[*index]).or_default() += count;
    }
    let (mut out, mut missed) = (String::new(), 0);
    if markdown {
        out += "| crash window | kills in it |\n|---|---:|\n";
    }
    for (name, count) in hits {
        missed += usize::from(count == 0);
        out += &match markdown {
            true => format!("| {name} | {count} |\n"),
            false => {
                format!("  {name:<40} {}\n", if count == 0 { "NOT HIT".into() } else { count.to_string() })
            }
        };
    }
    (out, missed)
}

/// Each failed point in words.
pub fn failures(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows.iter().filter(|r| !r.failures.is_empty()) {
        out += &format!("FAILED {}\n", row.title);
        for (kill, text) in row.failures.iter().take(12) {
            let two = kill.first.events > 0;
            let first = if two { format!("first death {}, ", kill.first.events) } else { String::new() };
            out += &format!("  {first}event {}: {text}\n", kill.victim.events);
        }
        if row.failures.len() > 12 {
            out += &format!("  and {} more\n", row.failures.len() - 12);
        }
    }
    out
}
