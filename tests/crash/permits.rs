//! Scenarios of the semaphore with robust permits.
//!
//! A semaphore of two permits, and under each a word that says who is in: never more than two, and after any death all
//! permits can be had, the news with them.

use crate::engine::board::{CURTAIN, KILLED};
use crate::engine::{Case, Check, Cut, Death, End, Enter, First, Part, Scenario, Until, os};
use crate::ensure;
use interproc::sync::{BoundedSemaphore, Permit};
use interproc::{ErrorKind, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// On the board: how many permits the victim surely holds, between the return of an acquire and the call of the release.
const HELD: usize = 0;
/// How many helpers were told of a death.
const TOLD: usize = 1;
/// How many permits are out, by the helpers' count.
const OUT: usize = 2;

const PERMITS: u32 = 2;

struct World {
    permits: BoundedSemaphore,
    other: BoundedSemaphore,
}

impl World {
    fn fresh() -> World {
        let segment = Segment::options().size(1 << 16).max_members(32).anonymous().expect("segment");
        World {
            permits: segment.bounded_semaphore("permits", PERMITS as usize).expect("semaphore"),
            other: segment.bounded_semaphore("other", PERMITS as usize).expect("semaphore"),
        }
    }

    /// Registers the caller and runs the code of the usual paths once, on another semaphore.
    fn warm_up(&self) {
        drop(self.other.acquire());
        drop(self.other.acquire_many_timeout(PERMITS, Duration::ZERO));
        let _all = self.other.try_acquire_many(PERMITS);
        drop(self.other.acquire_timeout(Duration::ZERO));
    }

    /// Acquires, looks whether too many are out, gives back.
    fn survive(&self, part: &Part, count: u32) -> Check {
        let permit = self.permits.acquire_many(count).map_err(|e| format!("acquire: {e:?}"))?;
        part.recovered();
        self.inside(part, &permit)?;
        permit.release().map_err(|e| format!("release: {e:?}"))
    }

    fn inside(&self, part: &Part, permit: &Permit) -> Check {
        if permit.owner_died() {
            part.told();
            part.fact(TOLD).fetch_add(1, SeqCst);
        }
        let count = u64::from(permit.count());
        let out = part.fact(OUT).fetch_add(count, SeqCst) + count;
        part.fact(OUT).fetch_sub(count, SeqCst);
        ensure!(out <= u64::from(PERMITS), "{out} permits are out");
        Ok(())
    }

    /// What every scenario ends with: all permits can be had, once, with the news if the victim held one.
    fn aftermath(&self, part: &Part) -> Check {
        self.survive(part, PERMITS)?;
        let (held, told) = (part.fact(HELD).load(SeqCst), part.fact(TOLD).load(SeqCst));
        ensure!(told > 0 || held == 0, "the victim died holding a permit and nobody was told");
        let all = self.permits.try_acquire_many(PERMITS).map_err(|e| format!("all: {e:?}"))?;
        ensure!(!all.owner_died(), "told of a death again");
        let more = self.permits.try_acquire().map(|_| ()).map_err(|e| e.kind());
        ensure!(more == Err(ErrorKind::WouldBlock), "there is one too many: {more:?}");
        all.release().map_err(|e| format!("release: {e:?}"))?;
        ensure!(self.permits.available() == Ok(PERMITS), "{:?} of 2 are there", self.permits.available());
        Ok(())
    }
}

/// The victim's use of a permit. Gives up if it must.
fn use_it(permit: interproc::Result<Permit<'_>>, cut: &Cut) {
    if let Ok(permit) = permit {
        cut.part.fact(HELD).store(permit.count().into(), SeqCst);
        if permit.owner_died() {
            cut.part.fact(TOLD).store(1, SeqCst);
        }
        cut.part.fact(HELD).store(0, SeqCst);
        drop(permit);
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

fn acquire_release(w: &World, cut: &Cut) {
    stepped(|w, cut| use_it(w.permits.acquire(), cut))(w, cut);
}

fn acquire_both(w: &World, cut: &Cut) {
    stepped(|w, cut| use_it(w.permits.acquire_many(2), cut))(w, cut);
}

/// Holds both already; the operation is the release.
fn release_both(w: &World, cut: &Cut) {
    w.warm_up();
    let both = w.permits.try_acquire_many(2).expect("free");
    cut.part.fact(HELD).store(2, SeqCst);
    cut.start();
    cut.part.fact(HELD).store(0, SeqCst);
    drop(both);
    cut.end();
}

/// Holds both, one by one.
fn release_each(w: &World, cut: &Cut) {
    w.warm_up();
    let both = [w.permits.acquire().expect("free"), w.permits.acquire().expect("free")];
    cut.part.fact(HELD).store(2, SeqCst);
    cut.start();
    cut.part.fact(HELD).store(0, SeqCst);
    drop(both);
    cut.end();
}

/// Gives back what another thread of the process has acquired, which lives.
fn release_anothers(w: &World, cut: &Cut) {
    w.warm_up();
    let both = w.permits.try_acquire_many(2).expect("free");
    std::thread::scope(|s| {
        s.spawn(move || {
            w.warm_up();
            let both = both;
            cut.start();
            drop(both);
            cut.end();
        });
    });
}

fn waiter(count: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        w.survive(part, count)
    }
}

/// A process that holds both permits until this cue and lives on until all is over.
fn holder(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        let both = w.permits.try_acquire_many(2).map_err(|e| format!("{e:?}"))?;
        part.ready();
        part.await_cue(cue);
        drop(both);
        part.await_cue(CURTAIN);
        Ok(())
    }
}

/// A process that holds both permits until its cue and dies with them.
fn doomed(w: &World, part: &Part) -> Check {
    std::mem::forget(w.permits.try_acquire_many(2));
    part.ready();
    part.await_cue(1);
    os::die()
}

fn case(operation: &'static str, scenario: &str) -> Case<World> {
    Case::new("Permits", operation, scenario, World::fresh)
}

fn waiters(mut case: Case<World>, counts: &[u32], when: Enter) -> Case<World> {
    for &count in counts {
        case = case.helper(when, Until::Asleep, End::Alone, waiter(count));
    }
    case
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let verify = World::aftermath;
    let held = |operation, name: &str| {
        case(operation, name).helper(Enter::Before, Until::Ready, End::AfterVerifier, holder(1))
    };
    let heir = |operation, name: &str| {
        case(operation, name).helper(Enter::Before, Until::Ready, End::Dies, doomed).role("sleeping heir")
    };
    let timed = |wait| stepped(move |w: &World, cut: &Cut| use_it(w.permits.acquire_timeout(wait), cut));
    let stale_net = |l: &mut crate::engine::Limits| l.net_when_told = true;
    let mut all = vec![
        case("acquire+release", "free").victim(acquire_release).verify(verify),
        case("acquire_many+release", "free").victim(acquire_both).verify(verify),
        case("try_acquire_many+release", "free")
            .victim(stepped(|w, cut| use_it(w.permits.try_acquire_many(2), cut)))
            .verify(verify),
        case("try_acquire_many", "one is free")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, |w: &World, part| {
                let one = w.permits.acquire().map_err(|e| format!("{e:?}"))?;
                part.ready();
                part.await_cue(KILLED);
                drop(one);
                Ok(())
            })
            .victim(stepped(|w, cut| use_it(w.permits.try_acquire_many(2), cut)))
            .verify(verify),
        case("timed acquire", "held for longer")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, holder(KILLED))
            .victim(timed(Duration::from_millis(20)))
            .verify(verify),
        case("release", "nobody waits").role("holder").victim(release_both).verify(verify),
        // A holder, and those who wait: one at the front, others behind.
        waiters(case("release", "a waiter"), &[1], Enter::AtStart)
            .role("holder")
            .victim(release_each)
            .verify(verify),
        waiters(case("release", "a waiter for both"), &[2], Enter::AtStart)
            .role("holder")
            .victim(release_each)
            .verify(verify),
        waiters(case("release", "three waiters"), &[1, 2, 1], Enter::AtStart)
            .role("holder")
            .victim(release_each)
            .verify(verify),
        waiters(case("release of both", "three waiters"), &[1, 2, 1], Enter::AtStart)
            .role("holder")
            .victim(release_both)
            .verify(verify),
        waiters(case("release", "stopped, two come"), &[1, 2], Enter::AtKill)
            .role("holder")
            .victim(release_each)
            .verify(verify),
        waiters(case("release of another thread's", "two waiters"), &[1, 2], Enter::AtStart)
            .role("releaser")
            .limits(stale_net)
            .victim(release_anothers)
            .verify(verify),
        // The victim waits itself.
        held("acquire+release", "behind a holder")
            .role("front waiter")
            .victim(acquire_release)
            .verify(verify),
        waiters(held("acquire+release", "behind a holder, before a waiter"), &[1], Enter::WhenAsleep)
            .role("front waiter")
            .victim(acquire_release)
            .verify(verify),
        waiters(
            held("acquire_many+release", "behind a holder, before two waiters"),
            &[1, 2],
            Enter::WhenAsleep,
        )
        .role("front waiter")
        .victim(acquire_both)
        .verify(verify),
        waiters(held("acquire+release", "behind a holder and a waiter"), &[2], Enter::AtStart)
            .role("waiter behind")
            .victim(acquire_release)
            .verify(verify),
        waiters(held("timed acquire", "held, then released, before a waiter"), &[1], Enter::WhenAsleep)
            .role("front waiter")
            .victim(timed(Duration::from_secs(60)))
            .verify(verify),
        heir("acquire+release", "behind a holder who dies").victim(acquire_release).verify(verify),
        waiters(
            heir("acquire+release", "behind a holder who dies, before a waiter"),
            &[2],
            Enter::WhenAsleep,
        )
        .victim(acquire_release)
        .verify(verify),
        waiters(heir("acquire_many+release", "behind a holder who dies, and a waiter"), &[1], Enter::AtStart)
            .victim(acquire_both)
            .verify(verify),
    ];
    all.extend(two_deaths());
    all.extend(unreported());
    all
}

fn two_deaths() -> Vec<Box<dyn Scenario>> {
    let thin = |l: &mut crate::engine::Limits| l.thin_above = 300;
    let wants = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.part.ready();
        cut.start();
        w.survive(&cut.part, 1).expect("a permit");
        cut.end();
    };
    vec![
        case("acquire_many+release", "two deaths: a holder, then the heir")
            .role("holder, then heir")
            .limits(thin)
            .first(acquire_both)
            .victim(acquire_both)
            .verify(World::aftermath),
        case("release", "one about to sleep")
            .role("holder")
            .limits(|l| (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::Alone), 24, 300))
            .first(wants)
            .victim(release_both)
            .verify(World::aftermath),
    ]
}

/// Other ends than SIGKILL, which the kernel reports or not: then the net of 50 ms finds them.
fn unreported() -> Vec<Box<dyn Scenario>> {
    let second_thread = |w: &World, cut: &Cut| {
        std::thread::scope(|s| {
            s.spawn(|| release_each(w, cut));
        });
    };
    let case = |name: &str, death| {
        waiters(case("release", name), &[2], Enter::AtStart)
            .role("holder")
            .limits(|l| (l.death, l.late_ns, l.lives_at_end) = (death, 120_000_000, false))
    };
    vec![
        case("a waiter; by exec in a second thread", Death::Exec)
            .victim(second_thread)
            .verify(World::aftermath),
        case("a waiter; its memory reaped first", Death::Reaped)
            .victim(release_each)
            .verify(World::aftermath),
    ]
}
