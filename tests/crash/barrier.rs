//! Scenarios of the barrier.
//!
//! Whatever a party dies in: those who wait in the same round all pass or are all told, nobody hangs, and after a reset
//! the barrier works.

use crate::engine::{Case, Check, Cut, Death, End, Enter, Part, Scenario, Until};
use crate::ensure;
use interproc::sync::{Barrier, BarrierTurn};
use interproc::{Deadline, ErrorKind, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// On the board: how many survivors passed the round, and how many were told that it is broken.
const PASSED: usize = 0;
const TOLD: usize = 1;
/// How many survivors led it.
const LED: usize = 2;
/// 1 once the victim had a seat for sure: its death concerns the others.
const SEATED: usize = 3;
/// 1 once the victim has passed the round, 2 once it was refused.
const VICTIM: usize = 4;
/// 1 once the victim has come to its operation's end.
const OVER: usize = 5;

struct World {
    barrier: Barrier,
    other: Barrier,
    pair: Barrier,
}

impl World {
    fn of(parties: usize) -> World {
        let segment = Segment::options().size(1 << 16).max_members(32).anonymous().expect("segment");
        World {
            barrier: segment.barrier("barrier", parties).expect("barrier"),
            other: segment.barrier("other", 1).expect("barrier"),
            pair: segment.barrier("pair", 2).expect("barrier"),
        }
    }

    /// Registers the caller and runs the code of the usual paths once, on other barriers.
    fn warm_up(&self) {
        let _ = self.other.wait();
        self.other.leave().expect("member");
        let _ = self.pair.wait_timeout(Duration::ZERO);
        self.pair.reset().expect("member");
        self.pair.leave().expect("member");
    }

    /// Takes a seat, as one that has been here before.
    fn be_seated(&self) {
        let _ = self.barrier.wait_timeout(Duration::ZERO);
        self.barrier.reset().expect("member");
    }

    /// One survivor's wait.
    fn party(&self, part: &Part) -> Check {
        let waited = self.barrier.wait();
        part.recovered();
        match waited {
            Ok(round) => {
                part.fact(PASSED).fetch_add(1, SeqCst);
                part.fact(LED).fetch_add(round.is_leader().into(), SeqCst);
            }
            Err(e) => {
                ensure!(e.kind() == ErrorKind::Broken, "wait: {e:?}");
                part.told();
                part.fact(TOLD).fetch_add(1, SeqCst);
            }
        }
        // Its seat is for the verifier's parties.
        self.barrier.leave().map_err(|e| format!("leave: {e:?}"))
    }
}

/// What every scenario ends with: a reset mends it. One that never came is waited for, rightly: then it is aborted.
fn aftermath(helpers: usize) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        let seated = part.fact(SEATED).load(SeqCst) != 0 || part.fact(VICTIM).load(SeqCst) != 0;
        if seated {
            // All who wait must come to an end by themselves.
            let mut patience = 4_000;
            while (0..helpers).any(|n| !part.is_over(n)) && patience > 0 {
                std::thread::sleep(Duration::from_micros(500));
                patience -= 1;
            }
        }
        w.barrier.abort().map_err(|e| format!("abort: {e:?}"))?;
        let (passed, told) = (part.fact(PASSED).load(SeqCst), part.fact(TOLD).load(SeqCst));
        if seated {
            ensure!(passed == 0 || told == 0, "{passed} passed, {told} were told that it is broken");
        }
        ensure!(part.fact(LED).load(SeqCst) <= 1, "two leaders");
        ensure!(w.barrier.is_broken() == Ok(true), "it was aborted");
        let late = w.barrier.wait().map(|_| ()).map_err(|e| e.kind());
        ensure!(late == Err(ErrorKind::Broken), "a wait at a broken barrier: {late:?}");
        w.barrier.reset().map_err(|e| format!("reset: {e:?}"))?;
        ensure!(w.barrier.n_waiting() == Ok(0), "somebody waits");
        let late = w.barrier.wait_timeout(Duration::ZERO).map(|_| ()).map_err(|e| e.kind());
        let alone = if w.barrier.parties() == 1 { Ok(()) } else { Err(ErrorKind::TimedOut) };
        ensure!(late == alone, "a wait after a reset: {late:?}");
        part.recovered();
        Ok(())
    }
}

fn party(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    w.party(part)
}

/// A party that has a seat already, and waits.
fn seated(w: &World, cut: &Cut) {
    w.warm_up();
    w.be_seated();
    cut.part.fact(SEATED).store(1, SeqCst);
    cut.start();
    let passed = w.barrier.wait().is_ok();
    cut.part.fact(VICTIM).store(if passed { 1 } else { 2 }, SeqCst);
    cut.end();
}

/// One that comes for the first time.
fn newcomer(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    let passed = w.barrier.wait().is_ok();
    cut.part.fact(VICTIM).store(if passed { 1 } else { 2 }, SeqCst);
    cut.end();
}

/// Has a seat, and runs out of time.
fn timed(w: &World, cut: &Cut) {
    w.warm_up();
    w.be_seated();
    cut.part.fact(SEATED).store(1, SeqCst);
    cut.start();
    let _ = w.barrier.wait_timeout(Duration::from_millis(20));
    cut.end();
}

/// Has a seat, and waits in slices.
fn sliced(w: &World, cut: &Cut) {
    w.warm_up();
    w.be_seated();
    cut.part.fact(SEATED).store(1, SeqCst);
    cut.start();
    let mut turn = BarrierTurn::new();
    // One slice that is over at once, if it must wait, and one that is long enough.
    let mut end = w.barrier.wait_slice(&mut turn, Deadline::from_monotonic_ns(0));
    if turn.has_come() {
        end = w.barrier.wait_slice(&mut turn, Deadline::after(Duration::from_secs(60)));
    }
    let passed = end.is_ok();
    cut.part.fact(VICTIM).store(if passed { 1 } else { 2 }, SeqCst);
    cut.end();
}

/// Works between two rounds, and comes.
fn computing(w: &World, cut: &Cut) {
    w.warm_up();
    w.be_seated();
    cut.part.fact(SEATED).store(1, SeqCst);
    cut.start();
    for n in 0..40u64 {
        cut.part.fact(8).store(n, SeqCst);
    }
    cut.end();
}

fn over(operation: impl Fn(&World) + 'static) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        operation(w);
        cut.part.fact(OVER).store(1, SeqCst);
        cut.end();
    }
}

fn case(operation: &'static str, scenario: &str, parties: usize) -> Case<World> {
    Case::new("Barrier", operation, scenario, move || World::of(parties)).role("party")
}

fn waiting(mut case: Case<World>, n: usize, when: Enter) -> Case<World> {
    for _ in 0..n {
        case = case.helper(when, Until::Asleep, End::AfterVerifier, party);
    }
    case
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let mut all = vec![
        case("wait", "alone", 1).victim(newcomer).verify(aftermath(0)),
        // The last to come: the leader.
        waiting(case("wait", "seated, another waits", 2), 1, Enter::AtStart)
            .role("leader")
            .victim(seated)
            .verify(aftermath(1)),
        waiting(case("wait", "seated, three others wait", 4), 3, Enter::AtStart)
            .role("leader")
            .victim(seated)
            .verify(aftermath(3)),
        waiting(case("wait", "for the first time, two others wait", 3), 2, Enter::AtStart)
            .role("leader")
            .victim(newcomer)
            .verify(aftermath(2)),
        waiting(
            waiting(case("wait", "for the first time, one waits, then a third comes", 3), 1, Enter::AtStart),
            1,
            Enter::WhenAsleep,
        )
        .role("newcomer")
        .victim(newcomer)
        .verify(aftermath(2)),
        // It waits, and the others come.
        waiting(case("wait", "then the others come", 3), 2, Enter::WhenAsleep)
            .role("sleeper")
            .victim(seated)
            .verify(aftermath(2)),
        waiting(case("wait", "for the first time, then the others come", 3), 2, Enter::WhenAsleep)
            .role("sleeper")
            .victim(newcomer)
            .verify(aftermath(2)),
        waiting(case("computing", "two others wait", 3), 2, Enter::AtStart)
            .role("computing party")
            .limits(|l| l.lives_at_end = false)
            .victim(computing)
            .verify(aftermath(2)),
        waiting(case("timed wait", "stopped, the other comes", 2), 1, Enter::AtKill)
            .limits(|l| l.lives_at_end = false)
            .victim(timed)
            .verify(aftermath(1)),
        waiting(case("timed wait", "longer than it has time, another waits", 3), 1, Enter::AtStart)
            .victim(timed)
            .verify(aftermath(1)),
        waiting(case("wait in slices", "the last to come, another waits", 2), 1, Enter::AtStart)
            .role("leader")
            .victim(sliced)
            .verify(aftermath(1)),
        waiting(case("wait in slices", "then the others come", 3), 2, Enter::WhenAsleep)
            .role("sleeper")
            .victim(sliced)
            .verify(aftermath(2)),
        waiting(case("abort", "two wait", 3), 2, Enter::AtStart)
            .role("aborter")
            .victim(over(|w| w.barrier.abort().expect("member")))
            .verify(aftermath(2)),
        waiting(case("reset", "two wait", 3), 2, Enter::AtStart)
            .role("resetter")
            .victim(over(|w| w.barrier.reset().expect("member")))
            .verify(aftermath(2)),
        waiting(case("leave", "two wait", 3), 2, Enter::AtStart)
            .role("leaver")
            .limits(|l| l.lives_at_end = false)
            .victim(|w: &World, cut: &Cut| {
                w.warm_up();
                w.be_seated();
                cut.start();
                w.barrier.leave().expect("member");
                cut.end();
            })
            .verify(aftermath(2)),
    ];
    let unreported = |name: &str, death| {
        waiting(case("computing", name, 3), 2, Enter::AtStart)
            .role("computing party")
            .limits(|l| (l.death, l.late_ns, l.lives_at_end) = (death, 120_000_000, false))
    };
    all.push(
        unreported("two others wait; by exec in a second thread", Death::Exec)
            .victim(|w: &World, cut: &Cut| {
                std::thread::scope(|s| {
                    s.spawn(|| computing(w, cut));
                });
            })
            .verify(aftermath(2)),
    );
    all.push(
        unreported("two others wait; its memory reaped first", Death::Reaped)
            .victim(computing)
            .verify(aftermath(2)),
    );
    all
}
