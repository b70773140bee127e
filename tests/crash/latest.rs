//! Scenarios of the latest value.
//!
//! What is read is whole and the newest; what was set is there; who waits for a newer value does not sleep beside one; and
//! all slots and announcements can be used again.

use crate::engine::board::FIRST;
use crate::engine::{Case, Check, Cut, End, Enter, First, Part, Scenario, Until, os};
use crate::ensure;
use interproc::Segment;
use interproc::queue::Latest;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

type Value = [u64; 4];
const ANNOUNCEMENTS: usize = 2;

/// On the board: the version that the victim's last set came back with.
const SET: usize = 0;
/// By helper: when it was told of a newer value, or had set its own.
const AT: usize = 8;
/// The first version that is newer than what the world begins with.
const NEW: u64 = 2;

struct World {
    _segment: Segment,
    latest: Latest<Value>,
    other: Latest<Value>,
}

fn value(version: u64) -> Value {
    [version; 4]
}

impl World {
    fn new() -> World {
        let options = Segment::options().size(8192).max_members(12).max_objects(4);
        let segment = options.anonymous().expect("a segment");
        let latest = |name| segment.latest_for(name, value(0), ANNOUNCEMENTS).expect("room");
        let world = World { latest: latest("latest"), other: latest("other"), _segment: segment };
        world.latest.set(value(1)).expect("set");
        world
    }

    fn warm_up(&self) {
        for version in 1..=4 {
            drop(self.other.set(value(version)));
            drop(self.other.get());
            drop(self.other.get_announced());
        }
        drop(self.other.wait_newer_timeout(u64::MAX, Duration::from_nanos(1)));
    }

    /// A value and its version, whole.
    fn read(&self) -> Result<u64, String> {
        let read = self.latest.get_versioned().map_err(|e| format!("get: {e:?}"))?;
        ensure!(read.value == value(read.version), "version {} is {:?}", read.version, read.value);
        let again = self.latest.get_announced().map_err(|e| format!("get_announced: {e:?}"))?;
        ensure!(again.value == read.value, "one read gives {:?}, another {:?}", read.value, again.value);
        Ok(read.version)
    }

    fn set_next(&self) -> Result<u64, String> {
        let version = self.latest.version() + 1;
        let made = self.latest.try_set(value(version)).map_err(|e| format!("try_set: {e:?}"))?;
        ensure!(made == version, "version {made} instead of {version}");
        Ok(made)
    }
}

fn set(w: &World, cut: &Cut) {
    if let Ok(version) = w.latest.set(value(w.latest.version() + 1)) {
        cut.part.fact(SET).store(version, SeqCst);
    }
}

fn get(w: &World, _: &Cut) {
    let _ = w.latest.get();
}

fn get_announced(w: &World, _: &Cut) {
    let _ = w.latest.get_announced();
}

fn wait_newer(w: &World, _: &Cut) {
    let _ = w.latest.wait_newer(NEW - 1);
}

fn on_stage(op: fn(&World, &Cut)) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        op(w, cut);
        cut.end();
    }
}

fn waiter(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    wait_and_note(w, part)
}

fn wait_and_note(w: &World, part: &Part) -> Check {
    let newer = w.latest.wait_newer(NEW - 1).map_err(|e| format!("wait_newer: {e:?}"))?;
    ensure!(newer.version >= NEW && newer.value == value(newer.version), "{newer:?}");
    part.fact(AT + part.index).store(os::now(), SeqCst);
    Ok(())
}

/// Sets the next value when it may; who comes meanwhile to nobody's harm sets the same one again.
fn writer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    // The victim has set one more, or not: its number is known only under the lock, so every word says who wrote it.
    let set = w.latest.set_timeout([u64::MAX; 4], Duration::from_secs(2));
    ensure!(set.is_ok(), "{set:?}");
    part.fact(AT + part.index).store(os::now(), SeqCst);
    Ok(())
}

/// Sets the next value on its cue.
fn setter(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(1);
    w.set_next().map(drop)
}

/// Helpers `0..n`, and perhaps a bystander, wait for a newer value.
fn verify(n: usize, bystander: bool, writers: usize) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        let waiters = || (0..n).chain(bystander.then_some(FIRST));
        let asleep = || waiters().filter(|&i| !part.is_over(i)).count();
        let until = os::now() + 1_500_000_000;
        while asleep() > 0 && w.latest.version() >= NEW {
            ensure!(os::now() < until, "asleep beside a newer value");
            os::yield_now();
        }
        while (0..writers).any(|i| !part.is_over(n + i)) {
            ensure!(os::now() < until, "a writer waits for the dead");
            os::yield_now();
        }
        part.ready();
        for i in waiters().chain(n..n + writers) {
            let at = part.fact(AT + i).load(SeqCst);
            if at != 0 {
                part.served(i, at);
            }
        }
        let acknowledged = part.fact(SET).load(SeqCst);
        if writers == 0 {
            let version = w.read()?;
            ensure!(version >= acknowledged.max(1), "version {version}, but {acknowledged} was set");
        }
        w.set_next()?;
        part.recovered();
        let until = os::now() + 1_500_000_000;
        while asleep() > 0 {
            ensure!(os::now() < until, "the verifier's set woke nobody");
            os::yield_now();
        }
        // Every slot and every announcement.
        for _ in 0..3 * (ANNOUNCEMENTS + 2) {
            let version = w.set_next()?;
            ensure!(w.read()? == version, "version {version} was set");
        }
        Ok(())
    }
}

fn case(operation: &'static str, scenario: &str) -> Case<World> {
    Case::new("Latest", operation, scenario, World::new)
}

fn waiters(mut case: Case<World>, n: usize, when: Enter) -> Case<World> {
    for _ in 0..n {
        case = case.helper(when, Until::Asleep, End::AfterVerifier, waiter);
    }
    case
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let sets = |case: Case<World>| case.role("writer").victim(on_stage(set));
    let two = |operation, name: &str, first: fn(&World, &Cut), second: fn(&World, &Cut)| {
        case(operation, name)
            .limits(|l| (l.thin_above, l.first_deaths) = (300, 16))
            .first(on_stage(first))
            .role("both")
            .victim(on_stage(second))
            .verify(verify(0, false, 0))
    };
    let about_to_sleep = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.part.ready();
        cut.start();
        wait_and_note(w, &cut.part).expect("told");
        cut.end();
    };
    vec![
        sets(case("set", "nobody waits")).verify(verify(0, false, 0)),
        sets(waiters(case("set", "one waits for it"), 1, Enter::Before)).verify(verify(1, false, 0)),
        sets(waiters(case("set", "two wait for it"), 2, Enter::Before)).verify(verify(2, false, 0)),
        sets(case("set", "stopped, another writer comes").helper(
            Enter::AtKill,
            Until::Asleep,
            End::Alone,
            writer,
        ))
        .verify(verify(0, false, 1)),
        case("set", "one about to wait for it")
            .limits(|l| {
                (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 24, 300);
            })
            .first(about_to_sleep)
            .role("writer")
            .victim(on_stage(set))
            .verify(verify(0, true, 0)),
        case("get", "nobody sets").role("reader").victim(on_stage(get)).verify(verify(0, false, 0)),
        case("get, announced", "nobody sets")
            .role("reader")
            .victim(on_stage(get_announced))
            .verify(verify(0, false, 0)),
        waiters(case("wait_newer", "told, before another"), 1, Enter::WhenAsleep)
            .helper(Enter::Before, Until::Ready, End::Alone, setter)
            .role("waiter")
            .victim(on_stage(wait_newer))
            .verify(verify(1, false, 0)),
        two("set", "two deaths: set, then set", set, set),
        two("set", "two deaths: get, announced, then set", get_announced, set),
        two("get, announced", "two deaths: set, then get, announced", set, get_announced),
    ]
}
