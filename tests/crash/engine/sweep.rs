//! Sweeping a scenario: its points are dealt out in batches to worker processes, one a processor.
//!
//! A worker lives for one batch, so that what the library keeps in a process (mappings, robust lists) never
//! piles up, and a worker that hangs costs one point.

use super::board;
use super::case::{First, Scenario, Title};
use super::os::{self, Child};
use super::plan::{self, Aim, Density};
use super::point::{Kill, Lab, Outcome, Verdict};
use super::trace::Stand;
use bytemuck::{Pod, Zeroable};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;

/// How to sweep.
#[derive(Clone, Copy)]
pub struct Settings {
    /// How densely.
    pub density: Density,
    /// Workers at a time.
    pub jobs: usize,
    /// Give up on a scenario after so many failures.
    pub max_failures: usize,
    /// How long a worker may be silent.
    pub silence_ns: u64,
}

/// A row of the kill table.
pub struct Row {
    /// What was swept.
    pub title: Title,
    /// Points tried.
    pub points: usize,
    /// Of them, killed asleep in the kernel.
    pub asleep: usize,
    /// What failed, in words, with the point.
    pub failures: Vec<(Kill, String)>,
    /// The slowest recovery.
    pub worst_ns: u64,
    /// Messages delivered again and flagged, over all points.
    pub redelivered: u64,
    /// Messages that a dead reader took along, where that is allowed.
    pub lost: u64,
    /// Kills by the number of the crash window they fell into.
    pub windows: BTreeMap<usize, usize>,
    /// The operation's length in events.
    pub length: usize,
    /// Given up after too many failures.
    pub given_up: bool,
}

/// One outcome on its way through the pipe.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Record {
    kill: Kill,
    recovery_ns: u64,
    pc: u64,
    redelivered: u32,
    lost: u32,
    /// 0 none, else index + 1.
    window: u32,
    /// Bit 0 finished, bit 1 asleep, bit 2 broken, bit 3 void.
    flags: u32,
    text: [u8; 240],
}

fn record(kill: Kill, outcome: &Outcome) -> Record {
    let mut r = Record::zeroed();
    r.kill = kill;
    (r.recovery_ns, r.pc) = (outcome.recovery_ns, outcome.pc as u64);
    (r.redelivered, r.lost) = (outcome.redelivered, outcome.lost);
    r.window = outcome.window.map_or(0, |w| w as u32 + 1);
    r.flags = u32::from(outcome.finished) | u32::from(outcome.asleep) << 1;
    let text = match &outcome.verdict {
        Verdict::Kept => return r,
        Verdict::Void => {
            r.flags |= 8;
            return r;
        }
        Verdict::Late => format!("late: the survivors were served after {} us", outcome.recovery_ns / 1000),
        Verdict::Broken(text) => text.clone(),
    };
    r.flags |= 4;
    let n = text.len().min(r.text.len() - 1);
    r.text[..n].copy_from_slice(&text.as_bytes()[..n]);
    r
}

struct Worker {
    child: Child,
    pipe: PipeReader,
    left: VecDeque<Kill>,
    heard: u64,
}

fn worker(lab: &Lab, processor: usize, body: impl FnOnce(&Lab, &mut PipeWriter)) -> (Child, PipeReader) {
    let (pipe, mut out) = std::io::pipe().expect("a pipe");
    let child = os::fork(|| {
        let lab = Lab::new(processor, lab.windows.clone());
        os::pin(0, &lab.here);
        body(&lab, &mut out);
        0
    });
    (child, pipe)
}

const VOID: &str = "the story took another turn";

/// A measured run: the stands of the first victim, if there is one, and of the victim.
struct Run {
    first: Vec<Stand>,
    victim: Vec<Stand>,
}

/// Measures the run of a scenario up to its end: of `times` runs the one of middle length.
fn measure(scenario: &dyn Scenario, first: Aim, lab: &Lab, settings: Settings) -> Result<Run, String> {
    let times = if settings.density == Density::Full || first == Aim::END { 3 } else { 1 };
    let (child, mut pipe) = worker(lab, lab.everywhere[0], |lab, out| {
        let mut runs: Vec<Run> = Vec::new();
        let mut trouble = String::new();
        for _ in 0..times {
            let mut run = Run { first: Vec::new(), victim: Vec::new() };
            let mut go = || {
                run.first.clear();
                run.victim.clear();
                lab.run(scenario, Kill { first, victim: Aim::END }, |seat, stand| match seat {
                    board::FIRST => run.first.push(stand),
                    _ => run.victim.push(stand),
                })
            };
            let mut outcome = go();
            for _ in 0..3 {
                if outcome.verdict == Verdict::Void {
                    outcome = go();
                }
            }
            match outcome.verdict {
                _ if outcome.finished => runs.push(run),
                Verdict::Broken(text) => trouble = text,
                Verdict::Void => trouble = VOID.into(),
                _ => {}
            }
        }
        runs.sort_by_key(|run| (run.first.len(), run.victim.len()));
        let _ = match runs.get(runs.len() / 2) {
            Some(run) => [&run.first, &run.victim].iter().try_for_each(|stands| {
                let packed = stands.iter().map(|s| s.pc as u64 | u64::from(s.asleep) << 63);
                let words: Vec<u64> = [stands.len() as u64].into_iter().chain(packed).collect();
                out.write_all(bytemuck::cast_slice(&words))
            }),
            None => out.write_all(&[0; 16]).and_then(|()| out.write_all(trouble.as_bytes())),
        };
    });
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while os::poll(&[pipe.as_raw_fd()], settings.silence_ns) {
        match pipe.read(&mut chunk) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&chunk[..n]),
            _ => break,
        }
    }
    child.finish();
    let mut rest = &*bytes;
    let mut word = || {
        let (word, tail) = rest.split_first_chunk::<8>()?;
        rest = tail;
        Some(u64::from_le_bytes(*word))
    };
    let mut stands = || {
        let unpack = |w: u64| Stand { pc: (w & !(1 << 63)) as usize, asleep: w >> 63 == 1 };
        let n = word()?;
        (0..n).map(|_| word().map(unpack)).collect::<Option<Vec<Stand>>>()
    };
    let (Some(first), Some(victim)) = (stands(), stands()) else { return Err("the first run hung".into()) };
    if victim.is_empty() {
        return Err(String::from_utf8_lossy(rest).into_owned());
    }
    Ok(Run { first, victim })
}

/// The points of a scenario, after a run or two without any kill.
fn plan(
    scenario: &dyn Scenario,
    settings: Settings,
    lab: &Lab,
    length: &mut usize,
) -> Result<VecDeque<Kill>, String> {
    let limits = scenario.limits();
    let run = |first| measure(scenario, first, lab, settings);
    let begins = |stand: &Stand| !stand.asleep && lab.windows.at(stand.pc).is_some();
    let firsts = if scenario.has_first() {
        let stands = run(Aim::END)?.first;
        let mut all = plan::aims(&stands, |pc| lab.windows.at(pc));
        let goes_on = matches!(limits.first, First::GoesOn(_));
        if goes_on {
            // On the doorstep of its sleep.
            const DOORSTEP: usize = 240;
            all.truncate(stands.iter().position(|s| s.asleep).unwrap_or(all.len()));
            all.drain(..all.len().saturating_sub(DOORSTEP));
        }
        let full = settings.density == Density::Full;
        let mut chosen = Vec::new();
        if full && !goes_on {
            // A death is of interest in the windows, however long the way to them.
            let mut seen = BTreeSet::new();
            let mut is_new = |stand: &Stand| begins(stand) && seen.insert(stand.pc);
            chosen.extend((0..stands.len() as u32).filter(|&i| is_new(&stands[i as usize])));
        }
        let others = if full { limits.first_deaths.saturating_sub(chosen.len()).max(3) } else { 3 };
        chosen.extend(plan::spread(all.len(), others));
        chosen.sort_unstable();
        chosen.dedup();
        chosen.into_iter().map(|i| all[i as usize]).collect()
    } else {
        vec![Aim::default()]
    };
    let mut kills = VecDeque::new();
    for first in firsts {
        // What the second victim has to do depends on where the first one died.
        let stands = match run(first) {
            Ok(run) => run.victim,
            Err(text) if text == VOID => continue,
            Err(text) => return Err(text),
        };
        *length = stands.len().saturating_sub(1).max(*length);
        let begins: Vec<bool> = stands.iter().map(begins).collect();
        let events = plan::events(&stands, &begins, settings.density, limits.thin_above);
        let aims = plan::aims(&stands, |pc| lab.windows.at(pc));
        kills.extend(events.iter().map(|&e| Kill { first, victim: aims[e as usize] }));
    }
    if kills.is_empty() { Err("no point can be brought about".into()) } else { Ok(kills) }
}

/// Sweeps one scenario. `progress` hears of every point.
pub fn sweep(
    scenario: &dyn Scenario,
    settings: Settings,
    lab: &Lab,
    mut progress: impl FnMut(usize, usize),
) -> Row {
    let mut row = Row {
        title: scenario.title().clone(),
        points: 0,
        asleep: 0,
        failures: Vec::new(),
        worst_ns: 0,
        redelivered: 0,
        lost: 0,
        windows: BTreeMap::new(),
        length: 0,
        given_up: false,
    };
    let mut waiting = match plan(scenario, settings, lab, &mut row.length) {
        Ok(kills) => kills,
        Err(text) => {
            row.failures.push((Kill::default(), format!("no complete run: {text}")));
            return row;
        }
    };
    let planned = waiting.len();
    let mut last: BTreeMap<u32, Kill> = waiting.iter().map(|&kill| (kill.first.events, kill)).collect();
    let mut workers: Vec<Option<Worker>> = (0..settings.jobs).map(|_| None).collect();
    let mut over = BTreeSet::new();
    loop {
        row.given_up = row.failures.len() >= settings.max_failures;
        if row.given_up {
            workers.drain(..).flatten().for_each(|w| {
                w.child.finish();
            });
            return row;
        }
        for (i, slot) in workers.iter_mut().enumerate() {
            if slot.is_none() && !waiting.is_empty() {
                let size = (waiting.len() / settings.jobs).clamp(1, 64);
                let batch: VecDeque<Kill> = waiting.drain(..size).collect();
                *slot = Some(start(scenario, lab, lab.everywhere[i % lab.everywhere.len()], batch));
            }
        }
        let fds: Vec<i32> = workers.iter().flatten().map(|w| w.pipe.as_raw_fd()).collect();
        if fds.is_empty() {
            // Some run may be longer than the one that was measured: on until the end is seen.
            if settings.density == Density::Full {
                extend(&mut waiting, &mut last, &over, row.length);
            }
            if waiting.is_empty() {
                return row;
            }
            continue;
        }
        os::poll(&fds, 200_000_000);
        for slot in &mut workers {
            let Some(worker) = slot else { continue };
            let silent = os::now() - worker.heard > settings.silence_ns;
            if !silent && !os::poll(&[worker.pipe.as_raw_fd()], 0) {
                continue;
            }
            let mut record = Record::zeroed();
            if !silent && worker.pipe.read_exact(bytemuck::bytes_of_mut(&mut record)).is_ok() {
                worker.left.pop_front();
                worker.heard = os::now();
                row.note(&record, &mut over, lab);
                progress(row.points, planned);
                continue;
            }
            let mut worker = slot.take().expect("matched above");
            worker.child.finish();
            if let Some(kill) = worker.left.pop_front() {
                let why = if silent { "hung" } else { "died" };
                row.failures.push((kill, format!("the engine's worker {why}")));
                waiting.extend(worker.left);
            }
        }
    }
}

/// Adds points behind the last ones, where no run has come to its end yet.
fn extend(waiting: &mut VecDeque<Kill>, last: &mut BTreeMap<u32, Kill>, over: &BTreeSet<u32>, length: usize) {
    for (_, kill) in last.iter_mut().filter(|(first, _)| !over.contains(first)) {
        if kill.victim.events < length as u32 * 2 + 512 {
            waiting.extend((0..32).map(|_| {
                kill.victim.events += 1;
                kill.victim.steps += 1;
                *kill
            }));
        }
    }
}

fn start(scenario: &dyn Scenario, lab: &Lab, processor: usize, batch: VecDeque<Kill>) -> Worker {
    let (child, pipe) = worker(lab, processor, |lab, out| {
        for &kill in &batch {
            let mut outcome = lab.run(scenario, kill, |_, _| {});
            // A slow machine is not a finding: late means late three times in a row.
            for _ in 0..2 {
                if matches!(outcome.verdict, Verdict::Late | Verdict::Void) {
                    outcome = lab.run(scenario, kill, |_, _| {});
                }
            }
            if out.write_all(bytemuck::bytes_of(&record(kill, &outcome))).is_err() {
                return;
            }
        }
    });
    Worker { child, pipe, left: batch, heard: os::now() }
}

impl Row {
    fn note(&mut self, record: &Record, over: &mut BTreeSet<u32>, lab: &Lab) {
        let kill = record.kill;
        if record.flags & 8 != 0 {
            return;
        }
        // "Killed right after the operation" is one point, however often a shorter run leads to it.
        if record.flags & 1 == 0 || over.insert(kill.first.events) {
            self.points += 1;
            self.asleep += (record.flags >> 1 & 1) as usize;
            if record.window > 0 {
                *self.windows.entry(record.window as usize - 1).or_default() += 1;
            }
        }
        self.worst_ns = self.worst_ns.max(record.recovery_ns);
        self.redelivered += u64::from(record.redelivered);
        self.lost += u64::from(record.lost);
        if record.flags & 4 != 0 {
            let text = record.text.iter().take_while(|&&b| b != 0).copied().collect::<Vec<_>>();
            let text = String::from_utf8_lossy(&text);
            let window = (record.window as usize).checked_sub(1).map_or("none", |w| &lab.windows.names()[w]);
            let address = (record.pc as usize).wrapping_sub(lab.windows.base());
            self.failures.push((kill, format!("{text} (window: {window}; address {address:#x})")));
        }
    }
}
