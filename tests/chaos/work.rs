//! The work queue: two producers and three workers are killed at random. One worker gives every eighth job back.
//!
//! The promises are those of the queue's rounds, and more: no job is lost. What may be missing in the books is only what a dead worker
//! had said "done" of and not entered.

use super::books::{self, Wrong, shared, torment};
use super::{Dice, PATIENCE, Totals, priority, slay};
use interproc::process::{self, Child};
use interproc::queue::{WorkOptions, WorkQueue};
use interproc::{ErrorKind, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const PRODUCERS: usize = 2;
const LANES: usize = 5;

type Jobs = WorkQueue<[u64; 4]>;
pub type Books = books::Books<PRODUCERS, { LANES - PRODUCERS }, { 1 << 18 }>;

pub fn open() -> &'static Books {
    // SAFETY: only atomics.
    unsafe { shared() }
}

/// What the process in this lane does, from wherever the last one was killed.
fn work(jobs: &Jobs, lane: usize, books: &Books) {
    priority(0);
    if lane < PRODUCERS { produce(jobs, lane, books) } else { consume(jobs, lane - PRODUCERS, books) }
}

fn produce(jobs: &Jobs, lane: usize, books: &Books) {
    while let Some(numbers) = books.next(lane, |_| 1) {
        let n = numbers.start;
        match jobs.put([lane as u64, n, lane as u64 ^ n, !n]) {
            Ok(_) => books.acknowledged(lane, numbers),
            Err(_) => books.say(Wrong::Failed),
        }
    }
}

fn consume(jobs: &Jobs, worker: usize, books: &Books) {
    for round in 0u64.. {
        let job = match jobs.take() {
            Ok(job) => job,
            Err(e) if e.kind() == ErrorKind::Closed => return,
            Err(_) => return books.say(Wrong::Failed),
        };
        let [lane, n, sum, not_n] = *job;
        if sum != lane ^ n || not_n != !n {
            return books.say(Wrong::Torn);
        }
        let which = books.sees(worker, lane, n, Some(job.deliveries() > 1));
        if worker == 0 && round.is_multiple_of(8) {
            drop(job);
        } else if job.done().is_err() {
            return books.say(Wrong::Failed);
        } else if let Some(which) = which {
            books.delivers(which, false);
        }
    }
}

/// One round; what was wrong, in words.
pub fn round(
    books: &'static Books,
    dice: &mut Dice,
    time: Duration,
    totals: &mut Totals,
) -> Result<(), String> {
    books.wipe();
    let segment = Segment::options().size(1 << 14).max_members(24).anonymous().map_err(|e| format!("{e}"))?;
    let jobs: &Jobs = &segment.work_queue("jobs", WorkOptions::new(6)).map_err(|e| format!("{e}"))?;
    let start = |lane: usize| process::fork(|| work(jobs, lane, books)).map_err(|e| format!("{e}"));
    let mut lanes: Vec<Child> = (0..LANES).map(start).collect::<Result<_, _>>()?;
    let mut in_hands = 0;
    let moves = || (!books.is_wrong()).then(|| books.moves());
    let dies = |lane: usize| in_hands += u64::from(lane >= PRODUCERS);
    torment(&mut lanes, dice, time, totals, start, dies, moves).map_err(|e| format!("{e}: {jobs:?}"))?;
    books.stop.store(true, SeqCst);
    for lane in &lanes[..PRODUCERS] {
        lane.join_timeout(PATIENCE)
            .map_err(|e| format!("a producer does not come to its end: {e:?}; {jobs:?}"))?;
    }
    // All is done, whoever is killed meanwhile: what was put is not lost.
    for (lane, child) in lanes.iter_mut().enumerate().skip(PRODUCERS) {
        slay(child)?;
        in_hands += 1;
        *child = start(lane)?;
    }
    jobs.join_timeout(PATIENCE).map_err(|e| format!("not all is done: {e}; {jobs:?}"))?;
    jobs.close().map_err(|e| format!("{e}"))?;
    for lane in &lanes[PRODUCERS..] {
        lane.join_timeout(PATIENCE)
            .map_err(|e| format!("a worker does not come to its end: {e:?}; {jobs:?}"))?;
    }
    books.balance(in_hands, 0, totals).map_err(|e| format!("work queue: {e}"))?;
    if jobs.survey() != [0; 5] {
        return Err(format!("work queue: left: {:?}", jobs.survey()));
    }
    Ok(())
}
