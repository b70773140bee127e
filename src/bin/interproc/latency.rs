//! Part c: how long messages and locks take between processes.
//!
//! Every measurement runs in two processes, each on a processor of its own where there are two. All clocks are
//! CLOCK_MONOTONIC, which is the same for all processes; reading it (some 20 to 40 ns) is part of the figures.

use crate::chart::Row;
use crate::children::{Children, now, pin_to, spin_for, start, two_processors};
use crate::cli::Options;
use crate::report::{Failure, Finding, Progress, Verdict, time};
use hdrhistogram::Histogram;
use interproc::queue::Queue;
use interproc::sync::{LockError, Mutex};
use interproc::{Error, ErrorKind, Result, Segment};
use std::time::Duration;

/// The part's name.
pub const NAME: &str = "c, the latencies";
/// If no sample comes for so long, something is wrong.
const SILENCE: Duration = Duration::from_secs(20);
/// On a busy machine a measurement takes fewer samples rather than longer.
const LONGEST: Duration = Duration::from_millis(1_000);
/// Long enough for the peer to be asleep and its processor idle.
const NAP: Duration = Duration::from_micros(500);
/// Not a sequence number.
const STOP: u64 = u64::MAX;

/// Nanoseconds.
pub type Samples = Histogram<u64>;

/// Runs the part.
pub fn run(options: &Options) -> std::result::Result<Verdict, Failure> {
    let cores = two_processors();
    let (rounds, naps, deaths) = if options.quick { (5_000, 100, 10) } else { (50_000, 1_000, 100) };
    crate::streams::say!("How long do messages and locks take from one process to another?");
    if cores[0] == cores[1] {
        crate::streams::say!(
            "There is only one processor (number {}); both processes share it, and polling is left out.",
            cores[0]
        );
    } else {
        crate::streams::say!("One process is pinned to processor {}, the other to {}.", cores[0], cores[1]);
    }
    let progress = Progress::new("measuring", 5);
    let mut rows = Vec::new();
    if cores[0] != cores[1] {
        let samples = ping_pong(cores, rounds, poll)?;
        rows.push(Row::new("queue, polling", "half of a ping-pong; both sides use try_pop", samples));
    }
    progress.set(1);
    let samples = ping_pong(cores, rounds, Queue::pop)?;
    rows.push(Row::new(
        "queue, pop",
        "the same with pop, which spins for a short while before it sleeps",
        samples,
    ));
    progress.set(2);
    let samples = wake_up(cores, naps)?;
    rows.push(Row::new(
        "queue, asleep",
        "from before the push to after the pop of a process that slept",
        samples,
    ));
    progress.set(3);
    rows.push(Row::new(
        "lock, handed over",
        "from before the unlock to the next holder, which waited",
        hand_over(cores)?,
    ));
    progress.set(4);
    let samples = inherit(cores, deaths)?;
    rows.push(Row::new(
        "lock, holder killed",
        "from before kill -9 to the next holder, which slept",
        samples,
    ));
    progress.set(5);
    drop(progress);
    crate::chart::draw(&rows);
    Ok(Verdict { part: NAME, findings: rows.iter().map(check).collect(), summary: summary(&rows) })
}

/// Checks that a measurement is plausible.
fn check(row: &Row) -> Finding {
    let (count, median) = (row.samples.len(), row.samples.value_at_quantile(0.5));
    let plausible = count > 0 && median > 0 && median < 1_000_000_000;
    Finding::new(plausible, format!("{}: {count} samples, median {}", row.name, time(median)))
}

fn summary(rows: &[Row]) -> String {
    let median = |name| {
        let row = rows.iter().find(|row: &&Row| row.name.starts_with(name))?;
        Some(time(row.samples.value_at_quantile(0.5)))
    };
    let message = median("queue, polling").or_else(|| median("queue, pop")).unwrap_or_default();
    let death = median("lock, holder killed").unwrap_or_default();
    format!("medians: a message {message}, the lock of a killed holder {death}")
}

/// Pops without ever sleeping. On a busy machine the peer may be waiting for our processor, so once in about 50 µs this
/// yields.
fn poll(queue: &Queue<u64>) -> Result<u64> {
    loop {
        for _ in 0..2_000 {
            match queue.try_pop() {
                Err(error) if error.kind() == ErrorKind::Empty => std::hint::spin_loop(),
                popped => return popped,
            }
        }
        std::thread::yield_now();
    }
}

/// The peer answers each message with its complement, so that a lost, doubled or stale one is noticed.
fn ping_pong(
    cores: [usize; 2],
    rounds: u64,
    pop: impl Fn(&Queue<u64>) -> Result<u64>,
) -> std::result::Result<Samples, Failure> {
    let segment = Segment::anonymous(1 << 18)?;
    let (there, back) = (segment.queue::<u64>("there", 64)?, segment.queue::<u64>("back", 64)?);
    let results = segment.queue::<u64>("results", 1024)?;
    let mut children = Children::default();
    children.add(start("pong", || -> Result<()> {
        pin_to(cores[1]);
        loop {
            match pop(&there)? {
                STOP => return Ok(()),
                number => back.push(!number)?,
            }
        }
    })?);
    children.add(start("ping", || -> Result<()> {
        pin_to(cores[0]);
        let mut taken = Vec::with_capacity(rounds as usize);
        let end = now() + LONGEST.as_nanos() as u64;
        for number in 0..rounds {
            let begun = now();
            if begun > end {
                break;
            }
            there.push(number)?;
            let answer = pop(&back)?;
            taken.push((now() - begun) / 2);
            if answer != !number {
                return Err(Error::from(ErrorKind::Corrupt).with_detail("a wrong answer in the ping-pong"));
            }
        }
        there.push(STOP)?;
        // The first tenth warms up.
        results.push_batch(&taken[taken.len() / 10..]).map_err(|e| e.error)?;
        results.close()
    })?);
    collect(&results, children)
}

/// Each message is the time at which it was sent.
fn wake_up(cores: [usize; 2], rounds: u64) -> std::result::Result<Samples, Failure> {
    let segment = Segment::anonymous(1 << 18)?;
    let (letters, results) = (segment.queue::<u64>("letters", 64)?, segment.queue::<u64>("results", 1024)?);
    let mut children = Children::default();
    children.add(start("sleeper", || -> Result<()> {
        pin_to(cores[1]);
        let mut taken = Vec::with_capacity(rounds as usize);
        loop {
            match letters.pop()? {
                STOP => break,
                sent => taken.push(now() - sent),
            }
        }
        results.push_batch(&taken).map_err(|e| e.error)?;
        results.close()
    })?);
    children.add(start("waker", || -> Result<()> {
        pin_to(cores[0]);
        let end = now() + LONGEST.as_nanos() as u64;
        for _ in 0..rounds {
            if now() > end {
                break;
            }
            std::thread::sleep(NAP);
            letters.push(now())?;
        }
        Ok(letters.push(STOP)?)
    })?);
    collect(&results, children)
}

/// Two processes take turns at a lock that both want. A sample is an unlock for which the other was already waiting.
fn hand_over(cores: [usize; 2]) -> std::result::Result<Samples, Failure> {
    const FOR: Duration = Duration::from_millis(300);
    let segment = Segment::anonymous(1 << 18)?;
    // Who held it last, and when it released it.
    let lock = segment.object("lock", || Mutex::new([0u64; 2]))?;
    let results = segment.queue::<u64>("results", 1024)?;
    let end = now() + FOR.as_nanos() as u64;
    let mut children = Children::default();
    for me in [1, 2] {
        children.add(start("locker", || -> Result<()> {
            pin_to(cores[me as usize - 1]);
            let mut taken = Vec::with_capacity(1 << 16);
            while now() < end {
                let begun = now();
                let mut last = lock.lock()?;
                let got = now();
                if last[0] == 3 - me && begun < last[1] && taken.len() < taken.capacity() {
                    taken.push(got - last[1]);
                }
                spin_for(1_000);
                *last = [me, now()];
                drop(last);
                spin_for(500);
            }
            results.push_batch(&taken).map_err(|e| e.error)?;
            // One less to wait for.
            Ok(results.push(STOP)?)
        })?);
    }
    let mut samples = histogram()?;
    let mut at_work = children.len();
    while at_work > 0 {
        match results.pop_timeout(SILENCE)? {
            STOP => at_work -= 1,
            sample => samples.saturating_record(sample),
        }
    }
    finish(&children)?;
    Ok(samples)
}

/// A holder is killed while another process sleeps at its lock.
fn inherit(cores: [usize; 2], deaths: u64) -> std::result::Result<Samples, Failure> {
    let segment = Segment::anonymous(1 << 18)?;
    let lock = segment.object("lock", || Mutex::new(0u64))?;
    let (held, go) = (segment.queue::<u64>("held", 4)?, segment.queue::<u64>("go", 4)?);
    let (never, inherited) = (segment.queue::<u64>("never", 1)?, segment.queue::<u64>("inherited", 4)?);
    let mut children = Children::default();
    children.add(start("heir", || -> Result<()> {
        pin_to(cores[1]);
        while go.pop()? != STOP {
            match lock.lock() {
                Err(LockError::OwnerDied(died)) => {
                    let at = now();
                    drop(died.mark_consistent());
                    inherited.push(at)?;
                }
                other => {
                    drop(other?);
                    return Err(
                        Error::from(ErrorKind::Corrupt).with_detail("the lock came from a living holder")
                    );
                }
            }
        }
        Ok(())
    })?);
    let mut samples = histogram()?;
    let end = now() + LONGEST.as_nanos() as u64;
    for number in 0..deaths {
        if now() > end {
            break;
        }
        let mut one = Children::default();
        one.add(start("holder", || -> Result<()> {
            pin_to(cores[0]);
            let guard = lock.lock()?;
            held.push(number)?;
            never.pop()?;
            drop(guard);
            Ok(())
        })?);
        held.pop_timeout(SILENCE)?;
        go.push(number)?;
        std::thread::sleep(2 * NAP);
        let killed = now();
        one.get(0).kill()?;
        samples.saturating_record(inherited.pop_timeout(SILENCE)?.saturating_sub(killed));
    }
    go.push(STOP)?;
    finish(&children)?;
    Ok(samples)
}

fn histogram() -> std::result::Result<Samples, Failure> {
    Ok(Histogram::new_with_bounds(1, 10_000_000_000, 3)?)
}

fn collect(results: &Queue<u64>, children: Children) -> std::result::Result<Samples, Failure> {
    let mut samples = histogram()?;
    loop {
        match results.pop_timeout(SILENCE) {
            Ok(sample) => samples.saturating_record(sample),
            Err(end) if end.kind() == ErrorKind::Closed => break,
            Err(error) => return Err(error.into()),
        }
    }
    finish(&children)?;
    Ok(samples)
}

fn finish(children: &Children) -> std::result::Result<(), Failure> {
    for child in 0..children.len() {
        let end = children.get(child).join_timeout(SILENCE)?;
        if !end.success() {
            return Err(format!("a measuring process ended with {end}").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(samples: &[u64]) -> Row {
        let mut histogram = histogram().unwrap();
        samples.iter().for_each(|&sample| histogram.saturating_record(sample));
        Row::new("row", "", histogram)
    }

    #[test]
    fn a_measurement_without_samples_or_with_absurd_ones_is_wrong() {
        assert!(check(&row(&[100, 200, 300])).ok);
        assert!(!check(&row(&[])).ok);
        assert!(!check(&row(&[5_000_000_000; 3])).ok);
    }
}
