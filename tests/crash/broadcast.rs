//! Scenarios of the broadcast.
//!
//! Messages are known by their numbers. Whatever dies, every living subscriber that is waited for gets every message whose publication
//! has returned, in one order, each once, and others are neither kept waiting for the dead nor left asleep beside a message or room.

use crate::engine::board::{CURTAIN, FIRST};
use crate::engine::{Case, Check, Cut, End, Enter, First, Limits, Part, Scenario, Until};
use crate::ensure;
use interproc::queue::{Broadcast, BroadcastOptions, Since, Slow};
use interproc::{ErrorKind, Segment, Wait};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// On the board: bit v says that the publication of v has returned.
const OUT: usize = 0;
/// What the first helper that subscribes has received, as bits, and the same of the second.
const GOT: usize = 1;

const CAPACITY: usize = 4;

struct World {
    news: Broadcast<u64>,
    other: Broadcast<u64>,
}

fn note(part: &Part, fact: usize, value: u64) {
    part.fact(fact).fetch_or(1 << value, SeqCst);
}

impl World {
    fn new(published: u64) -> World {
        let segment = Segment::options().size(1 << 16).max_members(32).anonymous().expect("segment");
        let make = |name| {
            segment.broadcast(name, BroadcastOptions::new(CAPACITY).subscribers(5)).expect("broadcast")
        };
        let world = World { news: make("news"), other: make("other") };
        (0..published).for_each(|n| _ = world.news.publish(40 + n).expect("nobody is waited for"));
        world
    }

    /// Registers the caller and runs the code of the usual paths once, on another one.
    fn warm_up(&self) {
        let mut one = self.other.subscribe(Slow::Waits).expect("a seat");
        let _ = self.other.try_publish(1);
        let _ = one.try_recv();
        let _ = one.recv_timeout(Duration::ZERO);
        drop(self.other.publisher(Wait::Never).map(|mut publisher| publisher.try_publish(2)));
        drop(self.other.reserve_one(Wait::Never));
        let _ = one.try_recv();
        drop(one);
        drop(self.other.subscribe_since(Slow::Lags, Since::Last(2)));
    }

    /// What every scenario ends with: others publish and receive, nobody is waited for who is dead, all seats can be had.
    fn aftermath(&self, part: &Part) -> Check {
        let mut one = self.news.subscribe(Slow::Waits).map_err(|e| format!("subscribe: {e:?}"))?;
        if self.news.is_closed() {
            ensure!(self.news.try_publish(60).map_err(|e| e.kind()) == Err(ErrorKind::Closed), "open");
            ensure!(one.try_recv().map_err(|e| e.kind()) == Err(ErrorKind::Closed), "no end");
            part.recovered();
            return Ok(());
        }
        for value in 50..50 + 3 * CAPACITY as u64 {
            self.news.try_publish(value).map_err(|e| format!("publish {value}: {e:?}"))?;
            part.recovered();
            let got = one.try_recv().map_err(|e| format!("receive {value}: {e:?}"))?;
            ensure!(got == value, "received {got} instead of {value}");
        }
        drop(one);
        let living = self.news.subscribers().map_err(|e| format!("{e:?}"))?;
        let rest: Result<Vec<_>, _> = (living..5).map(|_| self.news.subscribe(Slow::Lags)).collect();
        ensure!(rest.is_ok() && self.news.subscribe(Slow::Lags).is_err(), "seats: {living} live, {rest:?}");
        Ok(())
    }

    /// Each that has returned reached the helpers that subscribe, which sleep, without anybody's help.
    fn reached(&self, part: &Part, helpers: usize) -> Check {
        let begin = Instant::now();
        loop {
            let out = part.fact(OUT).load(SeqCst);
            let missing = (0..helpers).find(|&nth| out & !part.fact(GOT + nth).load(SeqCst) != 0);
            let Some(nth) = missing else {
                part.recovered();
                return Ok(());
            };
            let got = part.fact(GOT + nth).load(SeqCst);
            ensure!(
                begin.elapsed() < Duration::from_secs(1),
                "subscriber {nth} sleeps: {got:#b} of {out:#b}"
            );
            std::thread::sleep(Duration::from_micros(100));
        }
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

/// The victim publishes 1.
fn publishes(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        if w.news.publish(1).is_ok() {
            note(&cut.part, OUT, 1);
        }
    })(w, cut);
}

/// It is the only publisher: 1 and 2.
fn publishes_alone(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        let Ok(mut publisher) = w.news.publisher(Wait::ForEver) else { return };
        for value in [1, 2] {
            if publisher.publish(value).is_ok() {
                note(&cut.part, OUT, value);
            }
        }
    })(w, cut);
}

fn publishes_in_place(w: &World, cut: &Cut) {
    stepped(|w, cut| {
        let Ok(mut place) = w.news.reserve_one(Wait::ForEver) else { return };
        *place = 1;
        if place.commit().is_ok() {
            note(&cut.part, OUT, 1);
        }
    })(w, cut);
}

fn joins(slow: Slow, since: Since) -> impl Fn(&World, &Cut) {
    stepped(move |w, _| drop(w.news.subscribe_since(slow, since).map(std::mem::forget)))
}

/// It subscribes before the cut, and has a message to read.
fn reads(slow: Slow) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        let mut mine = w.news.subscribe_since(slow, Since::Last(2)).expect("a seat");
        cut.start();
        let _ = mine.try_recv();
        let _ = mine.try_recv();
        cut.end();
        std::mem::forget(mine);
    }
}

fn leaves(w: &World, cut: &Cut) {
    w.warm_up();
    let mine = w.news.subscribe_since(Slow::Waits, Since::Last(2)).expect("a seat");
    cut.start();
    drop(mine);
    cut.end();
}

/// It fills the ring before the cut, and one who waits for room sleeps; then it reads one.
fn gives_room(w: &World, cut: &Cut) {
    w.warm_up();
    let mut mine = w.news.subscribe(Slow::Waits).expect("a seat");
    while w.news.try_publish(9).is_ok() {}
    cut.start();
    let _ = mine.try_recv();
    cut.end();
    std::mem::forget(mine);
}

/// It waits for a message first.
fn waits_for_one(w: &World, cut: &Cut) {
    w.warm_up();
    let mut mine = w.news.subscribe(Slow::Waits).expect("a seat");
    cut.start();
    let _ = mine.recv();
    cut.end();
    std::mem::forget(mine);
}

fn closes(w: &World, cut: &Cut) {
    stepped(|w, _| drop(w.news.close()))(w, cut);
}

/// The nth helper that subscribes and sleeps for what comes.
fn listens(nth: usize) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        let mut mine = w.news.subscribe(Slow::Waits).map_err(|e| format!("{e:?}"))?;
        part.ready();
        let mut last = 0;
        loop {
            match mine.recv() {
                Ok(value) if value < 40 => {
                    ensure!(value > last || value == 30, "{value} after {last}");
                    last = value;
                    note(part, GOT + nth, value);
                }
                Ok(_) => {}
                Err(e) => {
                    ensure!(e.kind() == ErrorKind::Closed, "{e:?}");
                    return Ok(());
                }
            }
        }
    }
}

/// It fills the ring first, and reads when the victim sleeps behind it.
fn is_slow(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut mine = w.news.subscribe(Slow::Waits).map_err(|e| format!("{e:?}"))?;
    while w.news.try_publish(45).is_ok() {}
    part.ready();
    part.await_cue(1);
    loop {
        match mine.recv() {
            Ok(value) => note(part, GOT, value),
            Err(e) if e.kind() == ErrorKind::Closed => return Ok(()),
            Err(e) => return Err(format!("receive: {e:?}")),
        }
    }
}

/// One that waits for room behind the victim.
fn wants_room(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    w.news.publish(30).map(drop).map_err(|e| format!("publish: {e:?}"))
}

/// One that publishes when the victim first sleeps, and stays.
fn feeds(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(1);
    w.news.publish(20).map_err(|e| format!("publish: {e:?}"))?;
    note(part, OUT, 20);
    part.await_cue(CURTAIN);
    Ok(())
}

fn case(operation: &'static str, scenario: &str, published: u64) -> Case<World> {
    Case::new("Broadcast", operation, scenario, move || World::new(published)).limits(|l| l.thin_above = 1500)
}

fn asleep(case: Case<World>, n: usize) -> Case<World> {
    (0..n)
        .fold(case, |case, nth| case.helper(Enter::AtStart, Until::Asleep, End::AfterVerifier, listens(nth)))
}

/// The end: whoever sleeps hears of it.
fn ends(w: &World) -> Check {
    w.news.close().map_err(|e| format!("close: {e:?}"))
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let alone = |w: &World, part: &Part| w.aftermath(part);
    let heard = |n: usize| {
        move |w: &World, part: &Part| {
            w.reached(part, n)?;
            // They still get what comes.
            w.news.publish(30).map_err(|e| format!("publish: {e:?}"))?;
            note(part, OUT, 30);
            w.reached(part, n)?;
            ends(w)?;
            w.aftermath(part)
        }
    };
    let thin = |l: &mut Limits| l.thin_above = 300;
    // It does not live on as a subscriber.
    let dies = |l: &mut Limits| l.lives_at_end = false;
    vec![
        case("publish", "nobody listens", 3).role("publisher").victim(publishes).verify(alone),
        asleep(case("publish", "a subscriber asleep", 0), 1)
            .role("publisher")
            .victim(publishes)
            .verify(heard(1)),
        asleep(case("publish", "two subscribers asleep", 3), 2)
            .role("publisher")
            .victim(publishes)
            .verify(heard(2)),
        case("publish", "full, then room", 0)
            .role("publisher")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, is_slow)
            .victim(publishes)
            .verify(heard(1)),
        asleep(case("publisher+publish twice", "a subscriber asleep", 3), 1)
            .role("only publisher")
            .victim(publishes_alone)
            .verify(heard(1)),
        asleep(case("publisher+publish twice", "two subscribers asleep", 0), 2)
            .role("only publisher")
            .victim(publishes_alone)
            .verify(heard(2)),
        case("publisher+publish twice", "nobody listens", 2)
            .role("only publisher")
            .victim(publishes_alone)
            .verify(alone),
        asleep(case("reserve+commit", "a subscriber asleep", 0), 1)
            .role("publisher")
            .victim(publishes_in_place)
            .verify(heard(1)),
        case("subscribe", "to be waited for", 2)
            .role("joiner")
            .limits(dies)
            .victim(joins(Slow::Waits, Since::Now))
            .verify(alone),
        case("subscribe", "to be waited for, since the last ones", 7)
            .role("joiner")
            .limits(dies)
            .victim(joins(Slow::Waits, Since::Last(9)))
            .verify(alone),
        case("subscribe", "to lag", 2)
            .role("joiner")
            .limits(dies)
            .victim(joins(Slow::Lags, Since::Last(1)))
            .verify(alone),
        case("recv twice", "is waited for", 3)
            .role("subscriber")
            .limits(dies)
            .victim(reads(Slow::Waits))
            .verify(alone),
        case("recv twice", "lags", 3).role("subscriber").limits(dies).victim(reads(Slow::Lags)).verify(alone),
        case("drop", "two messages unread", 3).role("subscriber").victim(leaves).verify(alone),
        case("recv", "full, a publisher asleep", 0)
            .role("subscriber")
            .helper(Enter::AtStart, Until::Asleep, End::Alone, wants_room)
            .limits(dies)
            .victim(gives_room)
            .verify(alone),
        case("recv", "waits, then fed", 0)
            .role("subscriber")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, feeds)
            .limits(dies)
            .victim(waits_for_one)
            .verify(|w: &World, part: &Part| {
                let begin = Instant::now();
                while part.fact(OUT).load(SeqCst) == 0 {
                    ensure!(begin.elapsed() < Duration::from_secs(1), "the helper does not publish");
                    std::thread::sleep(Duration::from_micros(100));
                }
                w.aftermath(part)
            }),
        asleep(case("close", "two subscribers asleep", 2), 2).role("closer").victim(closes).verify(
            |w: &World, part: &Part| {
                if !w.news.is_closed() {
                    ends(w)?;
                }
                w.aftermath(part)
            },
        ),
        asleep(case("publish", "two deaths: alone, then another", 3), 1)
            .role("publisher, heir of the only one")
            .limits(thin)
            // What it publishes nobody has subscribed to yet.
            .first(stepped(|w, _| {
                let Ok(mut publisher) = w.news.publisher(Wait::ForEver) else { return };
                let _ = publisher.publish(41).and_then(|_| publisher.publish(42));
            }))
            .victim(|w: &World, cut: &Cut| {
                stepped(|w, cut| {
                    if w.news.publish(3).is_ok() {
                        note(&cut.part, OUT, 3);
                    }
                })(w, cut);
            })
            .verify(heard(1)),
        case("publish", "two deaths: a subscriber, then its publisher", 2)
            .role("publisher")
            .limits(thin)
            .first(joins(Slow::Waits, Since::Last(9)))
            .victim(publishes_alone)
            .verify(alone),
        case("publish", "one about to wait for a message", 0)
            .role("publisher")
            .limits(|l| {
                (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 24, 300)
            })
            .first(|w: &World, cut: &Cut| {
                w.warm_up();
                let mut mine = w.news.subscribe(Slow::Waits).expect("a seat");
                cut.part.ready();
                cut.start();
                let _ = mine.recv();
                cut.end();
            })
            .victim(publishes_alone)
            .verify(|w: &World, part: &Part| {
                w.news.publish(30).map_err(|e| format!("publish: {e:?}"))?;
                let begin = Instant::now();
                while !part.is_over(FIRST) {
                    ensure!(begin.elapsed() < Duration::from_secs(1), "it sleeps beside a message");
                    std::thread::sleep(Duration::from_micros(100));
                }
                w.aftermath(part)
            }),
    ]
}
