//! Which points of an operation are tried.

use super::trace::Stand;
use bytemuck::{Pod, Zeroable};
use std::collections::HashMap;

/// Of an instruction in a long loop, about so many occurrences are kill points.
const SPREAD: usize = 32;

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

/// Of an instruction that recurs (a spin loop, a string instruction) the first three and the last three occurrences and every
/// sixteenth between them; of more than [`SPREAD`] of those, as many, spread over the whole. (A wait that spins until it sleeps
/// is 100,000 instructions of a few dozen.)
fn thin(stands: &[Stand], begins_window: &[bool]) -> Vec<u32> {
    let mut total: HashMap<usize, usize> = HashMap::new();
    stands.iter().for_each(|s| *total.entry(s.pc).or_default() += 1);
    let mut seen: HashMap<usize, usize> = HashMap::new();
    let mut chosen = Vec::new();
    for (i, stand) in stands.iter().enumerate() {
        let n = seen.entry(stand.pc).or_default();
        *n += 1;
        let total = total[&stand.pc];
        let left = total - *n;
        if *n <= 3
            || left < 3
            || n.is_multiple_of((total / SPREAD).max(16))
            || stand.asleep
            || begins_window[i]
        {
            chosen.push(i as u32);
        }
    }
    chosen
}

/// How to come to a point: a leap, then steps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Aim {
    /// Where to leap; 0 for no leap.
    pub pc: u64,
    /// To which passage there, from 1.
    pub nth: u32,
    /// Steps from there.
    pub steps: u32,
    /// Which event of the measured run it is, for people.
    pub events: u32,
    /// The crash window at the end of the leap: number + 1, or 0.
    pub window: u32,
    /// Not 0: the window is a guess. The operation waits for others, so the next time the same passage may be another one.
    pub guessed: u64,
}

impl Aim {
    /// Step by step to the operation's end.
    pub const END: Aim = Aim { pc: 0, nth: 0, steps: u32::MAX, events: u32::MAX, window: 0, guessed: 0 };
}

/// The cheapest way to every event of a measured run. `window` tells the one that begins at an address.
pub fn aims(stands: &[Stand], window: impl Fn(usize) -> Option<usize>) -> Vec<Aim> {
    // A leap costs about as much as a few steps, and as many stops as it passes its goal.
    const LEAP: usize = 12;
    let guessed = u64::from(stands.iter().any(|s| s.asleep));
    let mut passages: HashMap<usize, u32> = HashMap::new();
    let mut inside = 0;
    // The best place to step from, and what it cost to come there.
    let (mut best, mut cost) = (Aim::default(), 0);
    let mut aims = Vec::with_capacity(stands.len());
    for (i, stand) in stands.iter().enumerate() {
        cost += usize::from(i > 0);
        best.steps += u32::from(i > 0);
        if !stand.asleep {
            inside = window(stand.pc).map_or(inside, |w| w as u32 + 1);
            let nth = passages.entry(stand.pc).or_default();
            *nth += 1;
            let leap = LEAP + 2 * *nth as usize;
            if leap < cost {
                cost = leap;
                best = Aim { pc: stand.pc as u64, nth: *nth, window: inside, guessed, ..Aim::default() };
            }
        }
        aims.push(Aim { events: i as u32, ..best });
    }
    aims
}

/// `count` values spread over `0..len`, both ends included.
pub fn spread(len: usize, count: usize) -> Vec<u32> {
    let count = count.min(len).max(1);
    let mut list: Vec<u32> =
        (0..count).map(|i| (i * (len - 1)).checked_div(count - 1).unwrap_or(0) as u32).collect();
    list.dedup();
    list
}
