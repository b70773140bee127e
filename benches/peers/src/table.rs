//! What is asked for, and what came out.

use crate::Measurement;
use std::time::Duration;

/// What is asked of the first of a row, ours.
#[derive(Clone, Copy)]
pub enum Asked {
    /// So many times the rate of each of the others.
    Rate(f64),
    /// So many times their time, at most.
    Time(f64),
}

/// Of whom it is asked. The others stand beside them for comparison.
const PEERS: [&str; 2] = ["iceoryx2", "Aeron IPC"];

/// What is compared.
pub struct Row {
    pub name: &'static str,
    pub asked: Asked,
    /// Ours first.
    pub sides: Vec<(&'static str, Measurement)>,
}

/// The middle, the least and the most.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    [(values[(n - 1) / 2] + values[n / 2]) / 2.0, values[0], values[n - 1]]
}

fn figure(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn show([middle, least, most]: [f64; 3]) -> String {
    format!("{} [{}..{}]", figure(middle), figure(least), figure(most))
}

pub fn head(rounds: usize) {
    println!("`benches/peers/run`; {rounds} rounds, all in turns: middle [least..most]\n");
    println!("| what | whose | | ours / theirs | asked | reached |");
    println!("|---|---|---:|---:|---|---|");
}

impl Row {
    /// Nanoseconds of each side, round by round.
    pub fn measure(&mut self, rounds: usize, round: Duration) -> Vec<Vec<f64>> {
        let pilots = self.sides.iter_mut().map(|(_, side)| side(20_000));
        let counts: Vec<u64> = pilots.map(|ns| ((round.as_nanos() as f64 / ns) as u64).max(20_000)).collect();
        let turn = |_| self.sides.iter_mut().zip(&counts).map(|((_, side), &n)| side(n)).collect();
        (0..rounds).map(turn).collect()
    }

    /// Ratios of rates and of times, as it is asked for.
    pub fn print(&self, rounds: &[Vec<f64>], others: f64) {
        println!("| {} (others used {others:.0} %) | | | | | |", self.name);
        for (i, (name, _)) in self.sides.iter().enumerate() {
            let [ns, ours] = [i, 0].map(|i| rounds.iter().map(move |round| round[i]));
            let (value, ratio, asked, reached);
            match self.asked {
                Asked::Rate(least) => {
                    value = format!("{} M/s", show(spread(ns.clone().map(|ns| 1e3 / ns))));
                    ratio = spread(ours.zip(ns).map(|(ours, ns)| ns / ours));
                    (asked, reached) = (format!("≥ {least}"), ratio[0] >= least);
                }
                Asked::Time(most) => {
                    value = format!("{} ns", show(spread(ns.clone())));
                    ratio = spread(ours.zip(ns).map(|(ours, ns)| ours / ns));
                    (asked, reached) = (format!("≤ {most}"), ratio[0] <= most);
                }
            }
            let compared = match () {
                () if i == 0 => "| | |".into(),
                () if !PEERS.contains(name) => format!("{} | | |", show(ratio)),
                () => format!("{} | {asked} | {} |", show(ratio), if reached { "yes" } else { "**no**" }),
            };
            println!("| | {name} | {value} | {compared}");
        }
    }
}
