//! Scenarios of the semaphore and of the event.
//!
//! Semaphore: what was posted is taken or still there; whoever sleeps while something is there is an error. Event: a set
//! is there or not; if it is, nobody sleeps.

use crate::engine::{Case, Check, Cut, End, Enter, Part, Scenario, Until, os};
use crate::ensure;
use interproc::sync::{Event, Semaphore};
use interproc::{Object, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// On the board: how many the victim has begun to post, and has posted.
const BEGUN: usize = 0;
const POSTED: usize = 1;
/// How many the victim has begun to take, and has taken.
const WANTED: usize = 2;
const TAKEN: usize = 3;
/// By helper: when it had what it wanted.
const AT: usize = 8;

pub(crate) struct World {
    _segment: Segment,
    semaphore: Object<Semaphore>,
    event: Object<Event>,
    /// To warm up on.
    other: (Object<Semaphore>, Object<Event>),
}

impl World {
    fn with(value: u32) -> World {
        let options = Segment::options().size(4096).max_members(10).max_objects(8);
        let segment = options.anonymous().expect("a segment");
        let semaphore = |name, n| segment.object(name, || Semaphore::new(n)).expect("room");
        let event = |name| segment.object(name, Event::new).expect("room");
        World {
            semaphore: semaphore("semaphore", value),
            event: event("event"),
            other: (semaphore("other", 0), event("other event")),
            _segment: segment,
        }
    }

    fn empty() -> World {
        World::with(0)
    }

    fn one() -> World {
        World::with(1)
    }

    /// Registers the caller and runs the code of the usual paths once.
    fn warm_up(&self) {
        let (semaphore, event) = &self.other;
        drop(semaphore.acquire_timeout(Duration::from_nanos(1)));
        drop(semaphore.post());
        drop(semaphore.try_acquire());
        drop(event.wait_timeout(Duration::from_nanos(1)));
        event.set();
        event.clear();
    }
}

fn helpers_over(part: &Part, n: usize) -> usize {
    (0..n).filter(|&i| part.is_over(i)).count()
}

/// Says when each helper had what it was promised.
fn serve(part: &Part, n: usize) {
    part.ready();
    for i in 0..n {
        let at = part.fact(AT + i).load(SeqCst);
        if at != 0 {
            part.served(i, at);
        }
    }
    part.recovered();
}

/// What becomes of it with `n` sleepers: those for whom something is there come by themselves, the others by us.
fn balance(start: u32, n: usize) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        let until = os::now() + 1_500_000_000;
        while w.semaphore.value() > 0 && helpers_over(part, n) < n {
            ensure!(os::now() < until, "asleep beside a value of {}", w.semaphore.value());
            os::yield_now();
        }
        serve(part, n);
        let mut posted = 0;
        while helpers_over(part, n) < n {
            let over = helpers_over(part, n);
            ensure!(w.semaphore.post().is_ok(), "post failed");
            posted += 1;
            let until = os::now() + 1_500_000_000;
            while helpers_over(part, n) == over {
                ensure!(os::now() < until, "the verifier's post woke nobody");
                os::yield_now();
            }
        }
        let fact = |i: usize| part.fact(i).load(SeqCst) as i64;
        // Those who never came in have taken nothing.
        let taken = (0..n).filter(|&i| fact(AT + i) != 0).count() as i64;
        let sum = i64::from(w.semaphore.value()) + taken - posted - i64::from(start);
        let least = fact(POSTED) - fact(WANTED);
        let most = fact(BEGUN) - fact(TAKEN);
        ensure!((least..=most).contains(&sum), "{sum} instead of {least}..={most}");
        // And it works.
        let before = w.semaphore.value();
        ensure!(w.semaphore.post_many(2).is_ok() && w.semaphore.try_acquire().is_ok(), "it does not work");
        ensure!(w.semaphore.acquire_timeout(Duration::ZERO).is_ok(), "it does not work");
        ensure!(w.semaphore.value() == before, "it does not count");
        Ok(())
    }
}

fn sleeper(index: usize) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        ensure!(w.semaphore.acquire().is_ok(), "acquire failed");
        part.fact(AT + index).store(os::now(), SeqCst);
        Ok(())
    }
}

fn post(n: u32) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        cut.part.fact(BEGUN).store(n.into(), SeqCst);
        let posted = w.semaphore.post_many(n);
        cut.part.fact(POSTED).store(n.into(), SeqCst);
        cut.end();
        posted.expect("far from its limit");
    }
}

fn acquire(wait: Option<Duration>) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        cut.part.fact(WANTED).store(1, SeqCst);
        let got = match wait {
            None => w.semaphore.acquire(),
            Some(wait) => w.semaphore.acquire_timeout(wait),
        };
        match got {
            Ok(()) => cut.part.fact(TAKEN).store(1, SeqCst),
            Err(_) => cut.part.fact(WANTED).store(0, SeqCst),
        }
        cut.end();
    }
}

/// Takes and gives back, as one does with a lock.
fn use_it(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    cut.part.fact(WANTED).store(1, SeqCst);
    w.semaphore.acquire().expect("acquire");
    cut.part.fact(TAKEN).store(1, SeqCst);
    cut.part.fact(BEGUN).store(1, SeqCst);
    w.semaphore.post().expect("post");
    cut.part.fact(POSTED).store(1, SeqCst);
    cut.end();
}

/// Posts one when the victim sleeps, or is dead.
fn poster(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(1);
    ensure!(w.semaphore.post().is_ok(), "post failed");
    Ok(())
}

fn case(operation: &'static str, scenario: &str, make: fn() -> World) -> Case<World> {
    Case::new("Semaphore", operation, scenario, make)
}

fn sleepers(mut case: Case<World>, n: usize, when: Enter) -> Case<World> {
    for index in 0..n {
        case = case.helper(when, Until::Asleep, End::AfterVerifier, sleeper(index));
    }
    case
}

fn semaphores() -> Vec<Box<dyn Scenario>> {
    let posts = |name: &str, n, when, posted| {
        sleepers(case("post", name, World::empty), n, when)
            .role("poster")
            .victim(post(posted))
            .verify(balance(0, n))
    };
    // The poster is the last helper; its post is of the beginning, as far as the books are concerned.
    let woken = |name: &str, n| {
        let case = case("acquire", name, World::empty).role("sleeper");
        sleepers(case, n, Enter::WhenAsleep)
            .helper(Enter::Before, Until::Ready, End::Alone, poster)
            .victim(acquire(None))
            .verify(balance(1, n))
    };
    vec![
        case("post", "nobody waits", World::empty).role("poster").victim(post(1)).verify(balance(0, 0)),
        posts("a sleeper", 1, Enter::AtStart, 1),
        posts("two sleepers", 2, Enter::AtStart, 1),
        posts("two at once, three sleepers", 3, Enter::AtStart, 2),
        posts("two at once, a sleeper", 1, Enter::AtStart, 2),
        posts("stopped, two come", 2, Enter::AtKill, 1),
        case("acquire", "free", World::one).victim(acquire(None)).verify(balance(1, 0)),
        case("timed acquire", "nothing comes", World::empty)
            .role("sleeper")
            .victim(acquire(Some(Duration::from_millis(5))))
            .verify(balance(0, 0)),
        case("acquire+post", "free", World::one).victim(use_it).verify(balance(1, 0)),
        sleepers(case("acquire+post", "stopped, two come", World::one), 2, Enter::AtKill)
            .victim(use_it)
            .verify(balance(1, 2)),
        woken("asleep, then a post", 0),
        woken("asleep, before a sleeper, then a post", 1),
        woken("asleep, before two sleepers, then a post", 2),
    ]
}

fn waiter(index: usize) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        ensure!(w.event.wait().is_ok(), "wait failed");
        part.fact(AT + index).store(os::now(), SeqCst);
        Ok(())
    }
}

/// Once it is set, all go; if the victim has not come to it, we set it. A set that was cleared again let go whoever slept.
fn all_go(n: usize, pulse: bool) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        let was_set = part.fact(POSTED).load(SeqCst) != 0;
        let due = || w.event.is_set() || (pulse && was_set);
        ensure!(pulse || !was_set || w.event.is_set(), "a set that came back is not there");
        let until = os::now() + 1_500_000_000;
        while due() && helpers_over(part, n) < n {
            ensure!(os::now() < until, "asleep beside a set event");
            os::yield_now();
        }
        serve(part, n);
        w.event.set();
        let until = os::now() + 1_500_000_000;
        while helpers_over(part, n) < n {
            ensure!(os::now() < until, "the verifier's set woke not all");
            os::yield_now();
        }
        ensure!(w.event.is_set() && w.event.wait_timeout(Duration::ZERO).is_ok(), "it is not set");
        w.event.clear();
        ensure!(!w.event.is_set() && w.event.wait_timeout(Duration::ZERO).is_err(), "it is not cleared");
        Ok(())
    }
}

fn set(pulse: bool) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        w.event.set();
        cut.part.fact(POSTED).store(1, SeqCst);
        if pulse {
            w.event.clear();
        }
        cut.end();
    }
}

fn wait(time: Option<Duration>) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        let _ = match time {
            None => w.event.wait(),
            Some(time) => w.event.wait_timeout(time),
        };
        cut.end();
    }
}

fn setter(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(1);
    w.event.set();
    Ok(())
}

fn events() -> Vec<Box<dyn Scenario>> {
    let case = |operation, scenario: &str| Case::new("Event", operation, scenario, World::empty);
    let waiters = |mut case: Case<World>, n: usize, when| {
        for index in 0..n {
            case = case.helper(when, Until::Asleep, End::AfterVerifier, waiter(index));
        }
        case
    };
    let sets = |name: &str, n, when| {
        waiters(case("set", name), n, when).role("setter").victim(set(false)).verify(all_go(n, false))
    };
    let woken = |name: &str, n| {
        waiters(case("wait", name).role("sleeper"), n, Enter::WhenAsleep)
            .helper(Enter::Before, Until::Ready, End::Alone, setter)
            .victim(wait(None))
            .verify(all_go(n, false))
    };
    vec![
        sets("nobody waits", 0, Enter::AtStart),
        sets("a sleeper", 1, Enter::AtStart),
        sets("three sleepers", 3, Enter::AtStart),
        sets("stopped, two come", 2, Enter::AtKill),
        waiters(case("set+clear", "two sleepers"), 2, Enter::AtStart)
            .role("setter")
            .victim(set(true))
            .verify(all_go(2, true)),
        case("timed wait", "nothing comes")
            .role("sleeper")
            .victim(wait(Some(Duration::from_millis(5))))
            .verify(all_go(0, true)),
        woken("asleep, then a set", 0),
        woken("asleep, before two sleepers, then a set", 2),
    ]
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    [semaphores(), events()].into_iter().flatten().collect()
}
