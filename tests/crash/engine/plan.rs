//! Which points of an operation are tried.

use super::trace::Stand;
use std::collections::HashMap;

/// How densely to sweep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Density {
    /// Every instruction.
    Full,
    /// About this many points of a scenario: the windows' first instructions, the sleeps, an even spread.
    Few(usize),
}

/// The events to kill at, ascending, given the stands of a whole run and those that begin a named window.
pub fn events(stands: &[Stand], begins_window: &[bool], density: Density, thin_above: usize) -> Vec<u32> {
    let all = 0..stands.len() as u32;
    match density {
        Density::Full if stands.len() <= thin_above => all.collect(),
        Density::Full => thin(stands, begins_window),
        Density::Few(count) => {
            let stride = (stands.len() / count.max(1)).max(1);
            // Not from 0: with a stride the first point would always be the dullest one.
            let even = |i: usize| i % stride == stride / 2;
            let chosen = all.filter(|&e| {
                let i = e as usize;
                even(i) || stands[i].asleep || (i > 0 && stands[i - 1].asleep) || i + 1 == stands.len()
            });
            let mut chosen: Vec<u32> = chosen.collect();
            let windows = (0..stands.len()).filter(|&i| begins_window[i]).take(count);
            chosen.extend(windows.map(|i| i as u32));
            chosen.sort_unstable();
            chosen.dedup();
            chosen
        }
    }
}

/// Of an instruction that recurs (a spin loop, a string instruction) the first three, the last three and every
/// sixteenth occurrence.
fn thin(stands: &[Stand], begins_window: &[bool]) -> Vec<u32> {
    let mut total: HashMap<usize, usize> = HashMap::new();
    stands.iter().for_each(|s| *total.entry(s.pc).or_default() += 1);
    let mut seen: HashMap<usize, usize> = HashMap::new();
    let mut chosen = Vec::new();
    for (i, stand) in stands.iter().enumerate() {
        let n = seen.entry(stand.pc).or_default();
        *n += 1;
        let left = total[&stand.pc] - *n;
        if *n <= 3 || left < 3 || *n % 16 == 0 || stand.asleep || begins_window[i] {
            chosen.push(i as u32);
        }
    }
    chosen
}

/// `count` values spread over `0..len`, both ends included.
pub fn spread(len: usize, count: usize) -> Vec<u32> {
    let count = count.min(len).max(1);
    let mut list: Vec<u32> =
        (0..count).map(|i| (i * (len - 1)).checked_div(count - 1).unwrap_or(0) as u32).collect();
    list.dedup();
    list
}
