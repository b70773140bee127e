//! [`RawWorkQueue`] under all interleavings, with producers and workers killed at every step.

use crate::runner::Model;
use crate::support::Place;
use interproc::raw::member::Member;
use interproc::raw::queue::{Geometry, Job, Leased, RawWorkQueue, WorkOrder, WorkPlace};
use interproc::sys::model::{
    Bounds, Death, Outcome, catch_up, check, for_every_death, pause, settle, until_asleep,
    until_asleep_or_gone,
};
use interproc::{ErrorKind, Wait};

pub const MODELS: &[Model] = &[
    Model {
        name: "work: a job reaches a worker that waits, and its end one that joins",
        run: || check(two(), || through(Death::NEVER)),
        catches: &["notify-no-wake"],
    },
    Model {
        name: "work: a producer may die anywhere, and the next one's job arrives",
        run: || for_every_death(two(), false, producer),
        catches: &[],
    },
    Model {
        name: "work: a worker may die anywhere, one that joins notices and gives the job back",
        run: || for_every_death(two(), false, worker),
        catches: &["work-owner-unwatched"],
    },
    Model {
        name: "work: whoever watched goes, a worker may die anywhere with a job, another watches",
        run: || for_every_death(Bounds { preemptions: 1, ..Bounds::default() }, false, watcher),
        catches: &["work-watch-dropped"],
    },
    Model {
        name: "work: who has reserved may die anywhere, and its room is free",
        run: || for_every_death(two(), false, reserver),
        catches: &[],
    },
    Model {
        name: "work: who closes may die anywhere, workers hear of the end",
        run: || for_every_death(two(), false, closer),
        catches: &[],
    },
];

fn two() -> Bounds {
    Bounds { preemptions: 2, ..Bounds::default() }
}

fn queue(capacity: u32) -> RawWorkQueue {
    let (longest, order) = (8, WorkOrder::Fifo);
    RawWorkQueue::new(WorkPlace::leak(Geometry { capacity, longest, order, max_deliveries: 0, lease_ms: 0 }))
}

#[allow(unsafe_code)]
fn put(q: &RawWorkQueue, me: &Member, value: u64, wait: Wait) -> Result<u64, ErrorKind> {
    // SAFETY: a modelled job is a u64.
    q.put_with(me, 8, Job::default(), wait, |p| unsafe { p.cast::<u64>().write(value) }).map_err(|e| e.kind())
}

#[allow(unsafe_code)]
fn take(q: &RawWorkQueue, me: &Member, wait: Wait) -> Result<(u64, Leased), ErrorKind> {
    let leased = q.take(me, wait).map_err(|e| e.kind())?;
    // SAFETY: a modelled job is a u64.
    let value = q.read(&leased, |p, _| unsafe { p.cast::<u64>().read() });
    Ok((value, leased))
}

fn done(q: &RawWorkQueue, me: &Member, leased: Leased) {
    q.done(me, leased).expect("its own");
}

/// Works off what is there. Returns the jobs.
fn rest(q: &RawWorkQueue, me: &Member) -> Vec<u64> {
    let mut all = Vec::new();
    while let Ok((value, leased)) = take(q, me, Wait::Never) {
        done(q, me, leased);
        all.push(value);
    }
    all
}

fn through(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let works = place.thread(death, move |me| {
        let (value, leased) = take(&q, me, Wait::ForEver).expect("open");
        done(&q, me, leased);
        value
    });
    let me = place.member();
    put(&q, &me, 1, Wait::Never).expect("room");
    q.join(&me, Wait::ForEver).expect("a member");
    assert_eq!(works.join(), Outcome::Finished(1));
    assert_eq!(q.counts(), [0; 4]);
}

fn producer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let works = place.thread(Death::NEVER, move |me| {
        let (value, leased) = take(&q, me, Wait::ForEver).expect("open");
        done(&q, me, leased);
        value
    });
    until_asleep(1);
    let puts = place.thread(death, move |me| put(&q, me, 1, Wait::Never).expect("room"));
    let first = puts.join();
    settle();
    // What is there reaches the worker without anybody's help.
    until_asleep_or_gone(2);
    catch_up();
    assert_eq!(q.survey()[0], 0, "a worker sleeps beside a job");
    let me = place.member();
    put(&q, &me, 2, Wait::Never).expect("room");
    let got = match works.join() {
        Outcome::Finished(value) => value,
        end => panic!("{end:?}"),
    };
    let mut all = [vec![got], rest(&q, &me)].concat();
    all.sort_unstable();
    assert!(all == [1, 2] || first == Outcome::Died && all == [2], "{all:?}");
    assert_eq!(q.counts(), [0; 4]);
}

/// The joiner sleeps before the worker has the job, and nobody else looks. The worker's pending pointer is elsewhere.
fn worker(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    put(&q, &me, 1, Wait::Never).expect("room");
    let joins = place.thread(Death::NEVER, move |me| q.join(me, Wait::ForEver).map_err(|e| e.kind()));
    until_asleep(1);
    let works = place.thread(death, move |me| {
        let (_, leased) = take(&q, me, Wait::Never).expect("a job");
        me.end_well();
        pause();
        done(&q, me, leased);
    });
    let end = works.join();
    settle();
    catch_up();
    if end == Outcome::Died && q.survey() != [0; 5] {
        until_asleep(1);
        catch_up();
        assert_eq!(q.survey(), [1, 0, 0, 0, 0], "it is there again");
    }
    rest(&q, &me);
    assert_eq!(joins.join(), Outcome::Finished(Ok(())));
}

/// A worker sleeps elsewhere with a job. The caller may be the first to sleep here, so that it watches the worker; then it goes, and
/// the one that joins must watch.
fn watcher(death: Death) {
    let place = Place::new(3);
    let (q, other) = (queue(2), queue(1));
    let me = place.member();
    put(&q, &me, 1, Wait::Never).expect("room");
    let works = place.thread(death, move |me| {
        let (_, leased) = take(&q, me, Wait::Never).expect("a job");
        let (_, nothing) = take(&other, me, Wait::ForEver).expect("open");
        done(&other, me, nothing);
        done(&q, me, leased);
    });
    until_asleep_or_gone(1);
    let joins = place.thread(Death::NEVER, move |me| {
        put(&q, me, 2, Wait::Never).expect("room");
        q.join(me, Wait::ForEver).map_err(|e| e.kind())
    });
    let (_, leased) = take(&q, &me, Wait::ForEver).expect("open");
    done(&q, &me, leased);
    put(&other, &me, 3, Wait::Never).expect("room");
    works.join();
    settle();
    until_asleep_or_gone(2);
    catch_up();
    assert_eq!(q.survey()[2], 0, "a job is in a dead worker's hands");
    rest(&q, &me);
    assert_eq!(joins.join(), Outcome::Finished(Ok(())));
}

fn reserver(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let reserves = place.thread(death, move |me| {
        let Ok(reserved) = q.reserve(me, 8, Wait::Never) else { return false };
        me.end_well();
        pause();
        q.abort(me, reserved).expect("its own");
        true
    });
    let puts = place.thread(Death::NEVER, move |me| put(&q, me, 2, Wait::ForEver));
    reserves.join();
    settle();
    assert_eq!(puts.join().finished().expect("it lives").map(drop), Ok(()));
    let me = place.member();
    assert_eq!(rest(&q, &me), [2]);
}

fn closer(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let works = place.thread(Death::NEVER, move |me| take(&q, me, Wait::ForEver).map(drop));
    let closes = place.thread(death, move |me| q.close(me).expect("a member"));
    closes.join();
    settle();
    if !q.is_closed() {
        let me = place.member();
        q.close(&me).expect("a member");
    }
    assert_eq!(works.join(), Outcome::Finished(Err(ErrorKind::Closed)));
}
