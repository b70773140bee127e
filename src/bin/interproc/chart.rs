//! The measurements as a table with histograms.

use crate::latency::Samples;
use crate::report::time;

/// A measurement.
pub struct Row {
    /// A few words.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// The results.
    pub samples: Samples,
}

impl Row {
    /// A named measurement.
    pub fn new(name: &'static str, what: &'static str, samples: Samples) -> Self {
        Row { name, what, samples }
    }
}

/// How many columns of the picture stand for a factor of ten.
const PER_DECADE: f64 = 6.0;
const DECADES: usize = 4;
/// The picture's left edge, in nanoseconds.
const FROM: f64 = 100.0;
const COLUMNS: usize = PER_DECADE as usize * DECADES + 1;

/// Prints the table.
pub fn draw(rows: &[Row]) {
    crate::streams::say!(
        "  {:20} {:>9} {:>9} {:>9}   0.1 µs   1    10    100  1 ms",
        "",
        "p50",
        "p99",
        "max"
    );
    crate::streams::say!("  {:20} {:>9} {:>9} {:>9}   ├─────┼─────┼─────┼─────┤", "", "", "", "");
    for row in rows {
        let at = |quantile| time(row.samples.value_at_quantile(quantile));
        let (p50, p99, max) = (at(0.5), at(0.99), time(row.samples.max()));
        crate::streams::say!("  {:20} {p50:>9} {p99:>9} {max:>9}   {}", row.name, picture(&row.samples));
    }
    crate::streams::say!("\n  The picture shows where the samples lie. What is measured:");
    for row in rows {
        crate::streams::say!("    {:20} {} ({} samples)", row.name, row.what, row.samples.len());
    }
}

/// Where the samples lie on a logarithmic scale; the height of a column is their share, compared with the fullest.
fn picture(samples: &Samples) -> String {
    let mut columns = [0u64; COLUMNS];
    for value in samples.iter_recorded() {
        columns[column(value.value_iterated_to())] += value.count_at_value();
    }
    let most = columns.iter().max().copied().unwrap_or(0).max(1);
    let bar = |&count: &u64| match count {
        0 => ' ',
        _ => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((8 * count).div_ceil(most) - 1) as usize],
    };
    let picture: String = columns.iter().map(bar).collect();
    picture.trim_end().to_string()
}

/// The column of a value; values beyond the edges go to the edges.
fn column(ns: u64) -> usize {
    let place = (ns as f64 / FROM).max(1.0).log10() * PER_DECADE;
    (place.round() as usize).min(COLUMNS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_lie_under_their_marks() {
        let places = [1, 100, 1_000, 10_000, 100_000, 1_000_000, u64::MAX].map(column);
        assert_eq!(places, [0, 0, 6, 12, 18, 24, 24]);
    }

    #[test]
    fn the_fullest_column_is_the_highest_and_no_sample_is_invisible() {
        let mut samples = Samples::new(3).unwrap();
        samples.record_n(1_000, 1_000).unwrap();
        samples.record(100_000).unwrap();
        assert_eq!(picture(&samples), "      █           ▁");
    }
}
