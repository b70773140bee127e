//! Scenarios of the work queue.
//!
//! Jobs are known by their numbers. Whatever dies, a job whose put has returned is done in the end, once as far as those who say
//! "done" can tell, and its delivery says how often it was delivered before; workers that sleep get what is there without anybody's
//! help; and all room can be had.

use crate::engine::board::{CURTAIN, FIRST};
use crate::engine::{Case, Check, Cut, End, Enter, First, Part, Scenario, Until};
use crate::ensure;
use interproc::queue::{Job, WorkOptions, WorkOrder, WorkQueue};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// On the board, by jobs: bit v says that the victim's put of job v has returned,
const PUT: usize = 0;
/// that the victim had it in its hands, and was about to say "done",
const HAD: usize = 1;
const DOING: usize = 2;
/// that somebody's "done" has returned.
const OVER: usize = 3;
/// Those that became dead letters, or were dropped.
const DEAD: usize = 4;
/// What a delivery was wrong about: 1 came again as if for the first time, 2 was done twice.
const WRONG: usize = 5;

const ROOM: usize = 3;

struct World {
    jobs: WorkQueue<u64>,
    other: WorkQueue<u64>,
    /// Its jobs are written without the lock.
    long: WorkQueue<[u64; 200]>,
    there: u64,
}

fn note(part: &Part, fact: usize, job: u64) {
    part.fact(fact).fetch_or(1 << job, SeqCst);
}

fn noted(part: &Part, fact: usize) -> u64 {
    part.fact(fact).load(SeqCst)
}

impl World {
    /// With these jobs in it.
    fn with(options: WorkOptions, jobs: &[u64]) -> World {
        let segment = Segment::options().size(1 << 16).max_members(32).anonymous().expect("segment");
        let world = World {
            jobs: segment.work_queue("jobs", options).expect("queue"),
            other: segment.work_queue("other", options).expect("queue"),
            long: segment.work_queue("long", options).expect("queue"),
            there: jobs.iter().map(|job| 1 << job).sum(),
        };
        jobs.iter().for_each(|&job| drop(world.put(job)));
        world
    }

    fn put(&self, job: u64) -> interproc::Result<u64> {
        self.jobs.put_with(job, Job { priority: job as i64, not_before: None }, Wait::Never)
    }

    /// Registers the caller and runs the code of the usual paths once, on another queue.
    fn warm_up(&self) {
        let _ = self.other.try_put(1);
        let _ = self.other.put_with(2, Job { priority: 1, not_before: Some(Deadline::now()) }, Wait::Never);
        drop(self.other.try_take().map(|job| job.done()));
        drop(self.other.try_take().map(|job| job.fail("no")));
        drop(self.other.try_take().map(|job| job.done()));
        let _ = self.other.take_until(Deadline::now());
        let _ = self.other.join_until(Deadline::now());
        for letter in self.other.dead_letters().expect("memory") {
            let _ = self.other.discard(&letter);
        }
    }

    /// Takes a job and does it.
    fn work(&self, part: &Part, wait: Wait) -> Result<u64, ErrorKind> {
        let job = self.jobs.take_by(wait).map_err(|e| e.kind())?;
        let (value, again) = (*job, job.deliveries() > 1);
        if noted(part, HAD) >> value & 1 == 1 && !again {
            note(part, WRONG, 1);
        }
        job.done().map_err(|e| e.kind())?;
        if noted(part, OVER) >> value & 1 == 1 && value < 50 {
            note(part, WRONG, 2);
        }
        note(part, OVER, value);
        Ok(value)
    }

    /// Those who sleep have what is there, by themselves.
    fn settles(&self, part: &Part, workers: usize) -> Check {
        let begin = Instant::now();
        loop {
            let [ready, delayed, ..] = self.jobs.survey();
            let ready = ready + delayed; // until now
            let asleep = (0..workers).filter(|&index| !part.is_over(index)).count();
            if ready == 0 || asleep == 0 {
                part.recovered();
                return Ok(());
            }
            ensure!(
                begin.elapsed() < Duration::from_secs(1),
                "{ready} jobs lie there, {asleep} workers sleep"
            );
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// What every scenario ends with. `workers` wait for one job each, as the first helpers.
    fn aftermath(&self, part: &Part, workers: usize) -> Check {
        self.settles(part, workers)?;
        // Those that still wait get a job each.
        let mut job = 40;
        while let Some(index) = (0..workers).find(|&index| !part.is_over(index)) {
            self.put(job).map_err(|e| format!("put for a worker: {e:?}"))?;
            job += 1;
            let begin = Instant::now();
            while !part.is_over(index) && self.jobs.survey()[0] > 0 {
                ensure!(begin.elapsed() < Duration::from_secs(1), "a worker sleeps beside a job");
                std::thread::sleep(Duration::from_micros(100));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        loop {
            match self.work(part, Wait::Never) {
                Ok(_) => {}
                Err(ErrorKind::Empty | ErrorKind::Closed) => break,
                Err(kind) => return Err(format!("take: {kind:?}")),
            }
        }
        part.recovered();
        let (dead, wrong) = (noted(part, DEAD), noted(part, WRONG));
        ensure!(wrong & 2 == 0, "a job came again as if for the first time");
        ensure!(wrong & 4 == 0, "a job that was done came again");
        let (put, over, doing) = (noted(part, PUT) | self.there, noted(part, OVER), noted(part, DOING));
        let letters = self.jobs.dead_letters().map_err(|e| format!("{e:?}"))?;
        let dead = letters.iter().fold(dead, |dead, letter| dead | 1 << letter.body);
        let lost = put & !over & !doing & !dead;
        ensure!(lost == 0, "lost: {lost:#b} of {put:#b}, done {over:#b}");
        for letter in letters {
            ensure!(letter.deliveries() == 1, "a dead letter that was not delivered: {letter:?}");
            self.jobs.discard(&letter).map_err(|e| format!("{e:?}"))?;
        }
        self.jobs.join_until(Deadline::now()).map_err(|e| format!("join: {e:?}"))?;
        ensure!(self.jobs.survey() == [0; 5], "left: {:?}", self.jobs.survey());
        if self.jobs.is_closed() {
            ensure!(self.put(1).map_err(|e| e.kind()) == Err(ErrorKind::Closed), "put after the close");
            return Ok(());
        }
        for job in 50..50 + ROOM as u64 {
            self.put(job).map_err(|e| format!("room for {job}: {e:?}"))?;
        }
        ensure!(self.put(60).map_err(|e| e.kind()) == Err(ErrorKind::Full), "too much room");
        let mut came = Vec::new();
        while let Ok(value) = self.work(part, Wait::Never) {
            came.push(value);
        }
        ensure!(came.len() == ROOM, "came: {came:?}");
        Ok(())
    }
}

fn stepped(body: impl Fn(&World, &Cut) + 'static) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        body(w, cut);
        cut.end();
    }
}

/// The victim puts job 1.
fn puts(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        if w.put(1).is_ok() {
            note(&cut.part, PUT, 1);
        }
    })(w, cut);
}

/// A job that is written without the lock.
fn puts_a_long_one(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        if w.long.try_put([1; 200]).is_ok() {
            note(&cut.part, PUT, 1);
        }
    })(w, cut);
}

/// It is there if its put has returned, and whole; and all room can be had.
fn long_ones_are_whole(w: &World, part: &Part) -> Check {
    let mut count = 0;
    while let Ok(job) = w.long.try_take() {
        ensure!(*job == [1; 200], "it is torn");
        job.done().map_err(|e| format!("{e:?}"))?;
        count += 1;
    }
    ensure!(count == 1 || count == 0 && noted(part, PUT) == 0, "{count} jobs");
    for n in 0..ROOM {
        w.long.try_put([2; 200]).map_err(|e| format!("room for {n}: {e:?}"))?;
    }
    ensure!(
        w.long.try_put([2; 200]).is_err() && w.long.survey() == [ROOM, 0, 0, 0, 0],
        "{:?}",
        w.long.survey()
    );
    part.recovered();
    Ok(())
}

/// It waits for room first.
fn puts_into_full(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        let job = Job { priority: 1, not_before: None };
        if w.jobs.put_with(1, job, Wait::ForEver).is_ok() {
            note(&cut.part, PUT, 1);
        }
    })(w, cut);
}

fn puts_delayed(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        let job = Job { priority: 1, not_before: Some(Deadline::now()) };
        if w.jobs.put_with(1, job, Wait::Never).is_ok() {
            note(&cut.part, PUT, 1);
        }
    })(w, cut);
}

fn takes_and_does(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        let Ok(job) = w.jobs.take() else { return };
        let value = *job;
        note(&cut.part, HAD, value);
        note(&cut.part, DOING, value);
        if job.done().is_ok() {
            note(&cut.part, OVER, value);
        }
    })(w, cut);
}

fn takes_and_fails(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        let Ok(job) = w.jobs.take() else { return };
        note(&cut.part, HAD, *job);
        drop(job.fail("it would not open"));
    })(w, cut);
}

/// A job that is given back too often: as often as it takes.
fn makes_a_dead_letter(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        let Ok(job) = w.jobs.take() else { return };
        let value = *job;
        note(&cut.part, HAD, value);
        note(&cut.part, DEAD, value);
        drop(job);
    })(w, cut);
}

fn ends_a_dead_letter(again: bool) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        drop(w.jobs.try_take().expect("a job"));
        let letters = w.jobs.dead_letters().expect("memory");
        note(&cut.part, DEAD, letters[0].body);
        cut.start();
        let _ = if again { w.jobs.retry(&letters[0]) } else { w.jobs.discard(&letters[0]) };
        cut.end();
    }
}

fn closes(w: &World, cut: &Cut) {
    stepped(|w, _| drop(w.jobs.close()))(w, cut);
}

fn joins(w: &World, cut: &Cut) {
    stepped(|w, _| drop(w.jobs.join()))(w, cut);
}

/// A worker that waits for one job, or for the end.
fn worker(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    match w.work(part, Wait::ForEver) {
        Ok(_) | Err(ErrorKind::Closed) => Ok(()),
        Err(kind) => Err(format!("take: {kind:?}")),
    }
}

/// One that waits for the end of all jobs.
fn joiner(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    w.jobs.join().map_err(|e| format!("join: {e:?}"))
}

/// One that waits for room.
fn producer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    let job = Job { priority: 30, not_before: None };
    match w.jobs.put_with(30, job, Wait::ForEver) {
        Ok(_) => note(part, PUT, 30),
        Err(e) if e.kind() == ErrorKind::Closed => {}
        Err(e) => return Err(format!("put: {e:?}")),
    }
    Ok(())
}

/// One that puts jobs when the victim first sleeps, and stays.
fn feeds_with(jobs: &'static [u64]) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        part.await_cue(1);
        for &job in jobs {
            w.put(job).map_err(|e| format!("put: {e:?}"))?;
            note(part, PUT, job);
        }
        part.await_cue(CURTAIN);
        Ok(())
    }
}

/// The second helper has put its jobs, if it came in.
fn fed(part: &Part, jobs: &[u64]) {
    let all = jobs.iter().fold(0, |all, job| all | 1 << job);
    let begin = Instant::now();
    while noted(part, PUT) & all != all && !part.is_over(1) && begin.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Whoever has a part at this seat must come to its end by itself.
fn comes_to_its_end(part: &Part, seat: usize, otherwise: &str) -> Check {
    let begin = Instant::now();
    while !part.is_over(seat) {
        ensure!(begin.elapsed() < Duration::from_secs(1), "{otherwise}");
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

fn case(operation: &'static str, scenario: &str, options: WorkOptions, jobs: &'static [u64]) -> Case<World> {
    Case::new("WorkQueue", operation, scenario, move || World::with(options, jobs))
        .limits(|l| l.thin_above = 1500)
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let fifo = WorkOptions::new(ROOM);
    let priority = fifo.order(WorkOrder::Priority);
    let lifo = fifo.order(WorkOrder::Lifo);
    let once = fifo.max_deliveries(1);
    let verify = |workers| move |w: &World, part: &Part| w.aftermath(part, workers);
    let asleep = |case: Case<World>, n: usize| {
        (0..n).fold(case, |case, _| case.helper(Enter::AtStart, Until::Asleep, End::AfterVerifier, worker))
    };
    let joined = |case: Case<World>| case.helper(Enter::AtStart, Until::Asleep, End::AfterVerifier, joiner);
    let thin = |l: &mut crate::engine::Limits| l.thin_above = 300;
    vec![
        case("put", "part full", fifo, &[10]).role("producer").victim(puts).verify(verify(0)),
        case("put", "by priority, part full", priority, &[10, 11])
            .role("producer")
            .victim(puts)
            .verify(verify(0)),
        case("put", "a long one", fifo, &[])
            .role("producer")
            .victim(puts_a_long_one)
            .verify(long_ones_are_whole),
        asleep(case("put", "a worker asleep", fifo, &[]), 1).role("producer").victim(puts).verify(verify(1)),
        asleep(case("put", "two workers asleep", lifo, &[]), 2)
            .role("producer")
            .victim(puts)
            .verify(verify(2)),
        case("put", "full, then room", fifo, &[10, 11, 12])
            .role("producer")
            .helper(Enter::WhenAsleep, Until::Over, End::Alone, |w: &World, part| {
                w.work(part, Wait::Never).map(drop).map_err(|kind| format!("take: {kind:?}"))
            })
            .victim(puts_into_full)
            .verify(verify(0)),
        asleep(case("put_with", "delayed, a worker asleep", fifo, &[]), 1)
            .role("producer")
            .victim(puts_delayed)
            .verify(verify(1)),
        case("take+done", "part full", fifo, &[10, 11])
            .role("worker")
            .victim(takes_and_does)
            .verify(verify(0)),
        case("take+done", "by priority, full", priority, &[12, 10, 11])
            .role("worker")
            .victim(takes_and_does)
            .verify(verify(0)),
        joined(case("take+done", "one joins", fifo, &[10]))
            .role("worker")
            .victim(takes_and_does)
            .verify(verify(0)),
        case("take+done", "full, a producer asleep", fifo, &[10, 11, 12])
            .role("worker")
            .helper(Enter::AtStart, Until::Asleep, End::AfterVerifier, producer)
            .victim(takes_and_does)
            .verify(|w: &World, part: &Part| {
                while w.work(part, Wait::Never).is_ok() {}
                comes_to_its_end(part, 0, "the producer sleeps beside room")?;
                w.aftermath(part, 0)
            }),
        asleep(case("take+done", "the last one, a worker asleep", fifo, &[]), 1)
            .helper(Enter::WhenAsleep, Until::Ready, End::AfterVerifier, feeds_with(&[20, 21]))
            .role("worker behind")
            .victim(takes_and_does)
            .verify(|w: &World, part: &Part| {
                fed(part, &[20, 21]);
                w.aftermath(part, 1)
            }),
        case("take+done", "empty, before a worker, then fed", fifo, &[])
            .helper(Enter::WhenAsleep, Until::Asleep, End::AfterVerifier, worker)
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, feeds_with(&[20]))
            .role("front worker")
            .victim(takes_and_does)
            .verify(|w: &World, part: &Part| {
                fed(part, &[20]);
                w.aftermath(part, 1)
            }),
        case("take+fail", "part full", fifo, &[10, 11])
            .role("worker")
            .victim(takes_and_fails)
            .verify(verify(0)),
        case("take+drop", "the last delivery", once, &[10])
            .role("worker")
            .victim(makes_a_dead_letter)
            .verify(verify(0)),
        joined(case("take+drop", "the last delivery, one joins", once, &[10]))
            .role("worker")
            .victim(makes_a_dead_letter)
            .verify(verify(0)),
        case("retry", "a dead letter", once, &[10])
            .role("operator")
            .victim(ends_a_dead_letter(true))
            .verify(verify(0)),
        case("discard", "a dead letter", once, &[10])
            .role("operator")
            .victim(ends_a_dead_letter(false))
            .verify(verify(0)),
        asleep(case("close", "two workers asleep", fifo, &[]), 2).role("closer").victim(closes).verify(
            |w: &World, part: &Part| {
                if !w.jobs.is_closed() {
                    w.jobs.close().map_err(|e| format!("close: {e:?}"))?;
                }
                w.aftermath(part, 0)
            },
        ),
        case("join", "a job is worked on", fifo, &[10])
            .helper(Enter::Before, Until::Ready, End::Alone, |w: &World, part| {
                let job = w.jobs.try_take().map_err(|e| format!("{e:?}"))?;
                part.ready();
                part.await_cue(1);
                let value = *job;
                job.done().map_err(|e| format!("{e:?}"))?;
                note(part, OVER, value);
                Ok(())
            })
            .victim(joins)
            .verify(verify(0)),
        case("put", "two deaths: take, then put", fifo, &[10, 11])
            .role("producer, heir of a worker")
            .limits(thin)
            .first(takes_and_does)
            .victim(puts)
            .verify(verify(0)),
        case("take+done", "two deaths: put, then take", priority, &[10, 11])
            .role("worker, heir of a producer")
            .limits(thin)
            .first(puts)
            .victim(takes_and_does)
            .verify(verify(0)),
        case("put", "one about to wait for a job", fifo, &[])
            .role("producer")
            .limits(|l| {
                (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 24, 300)
            })
            .first(|w: &World, cut: &Cut| {
                w.warm_up();
                cut.part.ready();
                cut.start();
                let _ = w.work(&cut.part, Wait::ForEver);
                cut.end();
            })
            .victim(puts)
            .verify(|w: &World, part: &Part| {
                // The bystander takes the victim's job, or this one.
                w.put(41).map_err(|e| format!("put: {e:?}"))?;
                comes_to_its_end(part, FIRST, "a worker sleeps beside a job")?;
                w.aftermath(part, 0)
            }),
    ]
}
