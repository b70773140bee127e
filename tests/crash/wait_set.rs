//! Scenarios of the wait set.
//!
//! A set does not sleep beside what it waits for, whoever dies and wherever the set is: also in front of its sleep, stopped. It takes no
//! message's wake-up from who sleeps in the object itself.

use crate::engine::board::FIRST;
use crate::engine::{Case, Check, Cut, End, Enter, First, Part, Scenario, Until, os};
use crate::ensure;
use interproc::queue::{ByteQueue, Queue, WorkOptions, WorkQueue};
use interproc::waitset::WaitSet;
use interproc::{Deadline, Segment};
use std::sync::atomic::Ordering::SeqCst;

/// By helper: when it was told, or had its message.
const AT: usize = 8;
/// The victim's operations that have returned.
const DONE: usize = 0;

struct World {
    _segment: Segment,
    queue: Queue<u64>,
    bytes: ByteQueue,
    jobs: WorkQueue<u64>,
    other: Queue<u64>,
}

impl World {
    fn new() -> World {
        let options = Segment::options().size(1 << 15).max_members(12).max_objects(8);
        let segment = options.anonymous().expect("a segment");
        World {
            queue: segment.queue("queue", 4).expect("room"),
            bytes: segment.byte_queue("bytes", 512, 64).expect("room"),
            jobs: segment.work_queue("jobs", WorkOptions::new(4)).expect("room"),
            other: segment.queue("other", 4).expect("room"),
            _segment: segment,
        }
    }

    fn set(&self) -> WaitSet<'static> {
        let mut set = WaitSet::new();
        set.add(self.queue.when_readable()).expect("room");
        set.add(self.bytes.when_readable()).expect("room");
        set.add(self.jobs.when_readable()).expect("room");
        set
    }

    /// Registers the caller, and runs the code of the usual paths once, on another queue.
    fn warm_up(&self) -> WaitSet<'static> {
        let mut other = WaitSet::new();
        other.add(self.other.when_readable()).expect("room");
        let _ = other.wait_until(Deadline::now());
        self.other.try_push(1).expect("room");
        let _ = other.wait();
        self.other.try_pop().expect("a message");
        self.set()
    }

    /// How much is there.
    fn there(&self) -> usize {
        self.queue.len() + self.bytes.len() + self.jobs.survey()[0]
    }

    fn drain(&self) -> usize {
        let mut n = 0;
        while self.queue.try_pop().is_ok() || self.bytes.try_pop().is_ok() {
            n += 1;
        }
        while let Ok(job) = self.jobs.try_take() {
            job.done().expect("ours");
            n += 1;
        }
        n
    }
}

fn push(w: &World) {
    drop(w.queue.push(1));
}

fn push_bytes(w: &World) {
    drop(w.bytes.push(b"one"));
}

fn put(w: &World) {
    drop(w.jobs.put(1));
}

fn on_stage(op: fn(&World)) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        op(w);
        cut.part.fact(DONE).store(1, SeqCst);
        cut.end();
    }
}

fn note_time(part: &Part) {
    part.fact(AT + part.index).store(os::now(), SeqCst);
}

/// Waits until something is there, and leaves it there.
fn watcher(w: &World, part: &Part) -> Check {
    let mut set = w.warm_up();
    part.ready();
    watch(&mut set, part)
}

fn watch(set: &mut WaitSet<'_>, part: &Part) -> Check {
    let ready = set.wait().map_err(|e| format!("wait: {e:?}"))?;
    ensure!(!ready.is_empty(), "nothing is ready");
    note_time(part);
    Ok(())
}

fn popper(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    w.queue.pop().map_err(|e| format!("pop: {e:?}"))?;
    note_time(part);
    Ok(())
}

/// Pushes on its cue: one for the popper, and one to be seen.
fn pusher(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(1);
    (3..5).try_for_each(|value| w.queue.try_push(value)).map_err(|e| format!("push: {e:?}"))
}

/// Helpers `0..sets`, and perhaps a bystander, are sets; `poppers` helpers behind them pop. A kind of message that was pushed last: all
/// hear of it.
fn verify(sets: usize, bystander: bool, poppers: usize) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        let watchers = || (0..sets).chain(bystander.then_some(FIRST));
        let asleep = || watchers().chain(sets..sets + poppers).filter(|&i| !part.is_over(i)).count();
        let until = os::now() + 1_500_000_000;
        while asleep() > 0 && w.there() > 0 {
            ensure!(os::now() < until, "asleep beside what is there");
            os::yield_now();
        }
        part.ready();
        for i in watchers().chain(sets..sets + poppers) {
            let at = part.fact(AT + i).load(SeqCst);
            if at != 0 {
                part.served(i, at);
            }
        }
        if part.fact(DONE).load(SeqCst) == 1 && poppers == 0 {
            ensure!(w.there() > 0, "what was pushed is not there");
        }
        // One for each popper, and one to be seen.
        for value in 0..poppers as u64 + 1 {
            w.queue.try_push(value).map_err(|e| format!("push: {e:?}"))?;
        }
        part.recovered();
        let until = os::now() + 1_500_000_000;
        while asleep() > 0 {
            ensure!(os::now() < until, "the verifier's push woke not all");
            os::yield_now();
        }
        ensure!(w.drain() > 0, "a set has taken a message");
        let mut set = w.set();
        ensure!(set.try_wait().is_ok_and(|ready| ready.is_empty()), "ready beside nothing");
        put(w);
        ensure!(set.wait().is_ok_and(|ready| ready.len() == 1), "a job");
        Ok(())
    }
}

fn case(operation: &'static str, scenario: &str) -> Case<World> {
    Case::new("WaitSet", operation, scenario, World::new)
}

fn helpers(mut case: Case<World>, n: usize, body: fn(&World, &Part) -> Check) -> Case<World> {
    for _ in 0..n {
        case = case.helper(Enter::Before, Until::Asleep, End::AfterVerifier, body);
    }
    case
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let about_to_sleep = |w: &World, cut: &Cut| {
        let mut set = w.warm_up();
        cut.part.ready();
        cut.start();
        watch(&mut set, &cut.part).expect("told");
        cut.end();
    };
    let beside_a_stopped_set = |operation, op: fn(&World)| {
        case(operation, "a set about to sleep")
            .limits(|l| {
                (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 24, 300);
            })
            .first(about_to_sleep)
            .role("producer")
            .victim(on_stage(op))
            .verify(verify(0, true, 0))
    };
    let one = |operation, op: fn(&World)| {
        helpers(case(operation, "a set asleep"), 1, watcher)
            .role("producer")
            .victim(on_stage(op))
            .verify(verify(1, false, 0))
    };
    vec![
        one("push", push),
        one("push of bytes", push_bytes),
        one("put", put),
        helpers(helpers(case("push", "two sets and a popper asleep"), 2, watcher), 1, popper)
            .role("producer")
            .victim(on_stage(push))
            .verify(verify(2, false, 1)),
        beside_a_stopped_set("push", push),
        beside_a_stopped_set("push of bytes", push_bytes),
        beside_a_stopped_set("put", put),
        helpers(helpers(case("wait", "told, beside a set and a popper"), 1, watcher), 1, popper)
            .helper(Enter::Before, Until::Ready, End::Alone, pusher)
            .role("owner of a set")
            .victim(|w: &World, cut: &Cut| {
                let mut set = w.warm_up();
                cut.start();
                let _ = set.wait();
                cut.end();
            })
            .verify(verify(1, false, 1)),
    ]
}
