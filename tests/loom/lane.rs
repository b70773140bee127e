//! [`Lane`] under all interleavings, with holders of either seat killed at every step.

use crate::runner::Model;
use crate::support::{Place, leak};
use interproc::ErrorKind;
use interproc::raw::member::Member;
use interproc::raw::queue::{Lane, RawConsumer, RawProducer};
use interproc::raw::sync::{Acquired, RawMutex};
use interproc::sys::model::{Bounds, Death, Outcome, check, for_every_death, settle, until_asleep};

pub const MODELS: &[Model] = &[
    Model {
        name: "lane: a consumer sleeps for a message",
        run: || check(Bounds::default(), for_a_message),
        catches: &["publish-no-wake", "lane-relaxed-publish"],
    },
    Model {
        name: "lane: a producer sleeps for room",
        run: || check(Bounds::default(), for_room),
        catches: &["publish-no-wake", "lane-relaxed-free"],
    },
    Model {
        name: "lane: three messages go through two slots",
        run: || check(Bounds::default(), through),
        catches: &["lane-relaxed-publish", "lane-relaxed-free"],
    },
    Model {
        name: "lane: two race for a seat, whose holder is dead or gone",
        run: || check(Bounds::default(), race_for_a_seat),
        catches: &["lane-seat-taken-twice"],
    },
    Model {
        name: "lane: a producer dies, its consumer gets what it published, then the next one's",
        run: || for_every_death(Bounds::default(), false, dying_producer),
        catches: &["lane-peer-not-watched"],
    },
    Model {
        name: "lane: a producer sits down beside a sleeping consumer and dies, and so another one",
        run: || for_every_death(Bounds::default(), false, newcomer),
        catches: &["lane-peer-not-told"],
    },
    Model {
        name: "lane: a producer that moves to another thread may die anywhere",
        run: || for_every_death(Bounds::default(), false, moving),
        catches: &["lane-peer-not-told"],
    },
    Model {
        name: "lane: a consumer dies, its producer gets room, or the next one its message",
        run: || for_every_death(Bounds::default(), false, dying_consumer),
        catches: &["lane-peer-not-watched", "lane-redelivery-untold"],
    },
    Model {
        name: "lane: what a dead consumer read stays suspect, whoever dies over it",
        run: || for_every_death(Bounds::default(), false, suspects),
        catches: &["lane-suspects-forgotten", "lane-redelivery-untold"],
    },
    Model {
        name: "lane: what was pushed before the end comes before the end",
        run: || check(Bounds::default(), closing),
        catches: &["lane-seal-no-look", "lane-refusal-untold", "lane-proposal-not-withdrawn"],
    },
    Model {
        name: "lane: a quick refusal of a consumer is true, and no end",
        run: || check(Bounds::default(), quickly_empty),
        catches: &["refusal-beside-a-close"],
    },
    Model {
        name: "lane: a quick refusal of a producer is true, and no end",
        run: || check(Bounds::default(), quickly_full),
        catches: &["refusal-beside-a-close"],
    },
    Model {
        name: "lane: a consumer that is refused quickly leaves no room untold",
        run: || check(Bounds::default(), refused_and_told_of_room),
        catches: &["refusal-untold"],
    },
    Model {
        name: "lane: a producer that is refused quickly leaves no message untold",
        run: || check(Bounds::default(), refused_and_told_of_messages),
        catches: &["refusal-untold"],
    },
    Model {
        name: "lane: a producer dies at the end, its message is before it or nowhere",
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, dying_at_the_end),
        catches: &[],
    },
    Model {
        name: "lane: a consumer dies at the end, the next one finds the same end",
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, dying_closer),
        catches: &["lane-seal-no-look"],
    },
    Model {
        name: "lane: the end wakes a consumer",
        run: || for_every_death(Bounds::default(), false, end_of_nothing),
        catches: &["close-no-wake"],
    },
    Model {
        name: "lane: the end wakes a producer",
        run: || for_every_death(Bounds::default(), false, end_of_room),
        catches: &["close-no-wake"],
    },
    Model {
        name: "lane: hanging up, the producer's death is the end, after what it published",
        run: || for_every_death(Bounds::default(), false, hanging_up),
        catches: &["lane-hang-up-unseen", "lane-peer-not-watched"],
    },
    Model {
        name: "lane: hanging up, who waits for a lock of the dead producer takes no wake-up of its consumer along",
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, both_wake_ups),
        catches: &["bell-hides-a-slot"],
    },
    Model {
        name: "lane: hanging up, the consumer's death is the end",
        run: || for_every_death(Bounds::default(), false, hanging_up_on_a_producer),
        catches: &["lane-hang-up-unseen", "lane-peer-not-watched"],
    },
    Model {
        name: "lane: hanging up, who has sat down in a dead one's place is heard or refused",
        run: || check(Bounds::default(), hang_up_and_newcomer),
        catches: &["lane-hang-up-unsealed"],
    },
];

fn producer(lane: Lane, me: &Member) -> RawProducer {
    RawProducer::take(lane, me).expect("vacant or abandoned")
}

fn consumer(lane: Lane, me: &Member) -> RawConsumer {
    RawConsumer::take(lane, me).expect("vacant or abandoned")
}

type Pushed = Result<(), ErrorKind>;
type Got = Result<(u64, bool), ErrorKind>;

#[allow(unsafe_code)]
fn put(p: &mut RawProducer, me: &Member, value: u64) -> Pushed {
    let mut push = || {
        if !p.has_room(1)? {
            p.wait_for_room(me, 1, None)?;
        }
        // SAFETY: a modelled unit is a u64.
        p.fill(|slot| unsafe { slot.cast::<u64>().write(value) });
        p.advance(1)
    };
    push().map_err(|e: interproc::Error| e.kind())
}

#[allow(unsafe_code)]
fn read(c: &mut RawConsumer) -> (u64, bool) {
    let told = c.is_redelivered();
    // SAFETY: a modelled unit is a u64.
    let value = c.drain(|slot| unsafe { slot.cast::<u64>().read() });
    c.advance(1);
    (value, told)
}

fn get(c: &mut RawConsumer, me: &Member) -> Got {
    let mut ready = || if c.has(1)? { Ok(()) } else { c.wait_for(me, 1, None) };
    ready().map_err(|e: interproc::Error| e.kind())?;
    Ok(read(c))
}

/// What is there now; `Ok(None)` for nothing yet.
fn try_get(c: &mut RawConsumer, me: &Member) -> Result<Option<(u64, bool)>, ErrorKind> {
    let there = c.look_for(me, 1).map_err(|e| e.kind())?;
    Ok(there.then(|| read(c)))
}

/// A try as the handles make it (`make_one_ready` in src/queue/spsc/endpoint.rs): a quick refusal first.
fn try_get_quickly(c: &mut RawConsumer, me: &Member) -> Result<Option<(u64, bool)>, ErrorKind> {
    if c.is_ready() {
        return Ok(Some(read(c)));
    }
    if c.is_plainly_empty() {
        return Ok(None);
    }
    c.flush();
    try_get(c, me)
}

/// The same for a message. False: there is no room.
#[allow(unsafe_code)]
fn try_put_quickly(p: &mut RawProducer, me: &Member, value: u64) -> Result<bool, ErrorKind> {
    let mut push = || {
        if !p.is_ready() {
            if p.is_plainly_full() {
                return Ok(false);
            }
            p.flush()?;
            if !p.look_for(me, 1)? {
                return Ok(false);
            }
        }
        // SAFETY: a modelled unit is a u64.
        p.fill(|slot| unsafe { slot.cast::<u64>().write(value) });
        p.advance(1).map(|()| true)
    };
    push().map_err(|e: interproc::Error| e.kind())
}

/// Takes what is left, to the end.
fn rest(c: &mut RawConsumer, me: &Member) -> Vec<u64> {
    let mut got = Vec::new();
    loop {
        match get(c, me) {
            Ok((value, _)) => got.push(value),
            Err(kind) => {
                assert_eq!(kind, ErrorKind::Closed);
                assert_eq!(try_get(c, me), Err(ErrorKind::Closed), "an end is an end");
                assert!(c.lane().is_empty());
                return got;
            }
        }
    }
}

fn for_a_message() {
    let place = Place::new(2);
    let lane = Lane::leak(1);
    let pushes = place.thread(Death::NEVER, move |me| put(&mut producer(lane, me), me, 1));
    let me = place.member();
    let mut c = consumer(lane, &me);
    assert_eq!(get(&mut c, &me), Ok((1, false)));
    assert_eq!(pushes.join(), Outcome::Finished(Ok(())));
    assert_eq!(try_get(&mut c, &me), Ok(None));
}

fn for_room() {
    let place = Place::new(2);
    let lane = Lane::leak(1);
    let me = place.member();
    let mut c = consumer(lane, &me);
    let pushes = place.thread(Death::NEVER, move |me| {
        let mut p = producer(lane, me);
        put(&mut p, me, 1).expect("open");
        put(&mut p, me, 2).expect("open");
    });
    assert_eq!(get(&mut c, &me), Ok((1, false)));
    pushes.join();
    assert_eq!(get(&mut c, &me), Ok((2, false)));
}

/// With publications and frees of two at a time where it comes to that.
fn through() {
    let place = Place::new(2);
    let lane = Lane::leak(2);
    let pushes = place.thread(Death::NEVER, move |me| {
        let mut p = producer(lane, me);
        p.publish_every(2);
        (1..=3).for_each(|n| put(&mut p, me, n).expect("open"));
        p.leave();
    });
    let me = place.member();
    let mut c = consumer(lane, &me);
    c.free_every(2);
    for n in 1..=3 {
        assert_eq!(get(&mut c, &me), Ok((n, false)));
    }
    pushes.join();
    c.leave();
    assert!(lane.is_empty() && lane.producer().is_none() && lane.consumer().is_none());
}

fn race_for_a_seat() {
    let place = Place::new(3);
    let lane = Lane::leak(3);
    let dead = place.member();
    put(&mut producer(lane, &dead), &dead, 1).expect("open");
    place.table.found_dead(dead.id());
    fn wins(lane: Lane, me: &Member) -> usize {
        match RawProducer::take(lane, me) {
            Ok(mut p) => {
                put(&mut p, me, 2).expect("open");
                1
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                0
            }
        }
    }
    let other = place.thread(Death::NEVER, move |me| wins(lane, me));
    let me = place.member();
    let mine = wins(lane, &me);
    // Both, if the other one has come to its end by then; else one.
    let wins = mine + other.join().finished().expect("it lives");
    assert!(wins > 0);
    let mut c = consumer(lane, &me);
    assert_eq!(get(&mut c, &me), Ok((1, false)));
    (0..wins).for_each(|_| assert_eq!(get(&mut c, &me), Ok((2, false))));
    assert_eq!(try_get(&mut c, &me), Ok(None));
}

/// What was published reaches a consumer without anybody's help; else it goes on sleeping, and gets the next one's.
fn dying_producer(death: Death) {
    let place = Place::new(3);
    let lane = Lane::leak(2);
    let me = place.member();
    let victim = place.thread(death, move |me| put(&mut producer(lane, me), me, 1).expect("open"));
    let gets = place.thread(Death::NEVER, move |me| get(&mut consumer(lane, me), me));
    let end = victim.join();
    let expected = if lane.counts().0 == 1 {
        1
    } else {
        assert_eq!(end, Outcome::Died);
        settle();
        put(&mut producer(lane, &me), &me, 2).expect("open");
        2
    };
    assert_eq!(gets.join(), Outcome::Finished(Ok((expected, false))));
}

/// The consumer sleeps before anybody has sat down.
fn newcomer(death: Death) {
    let place = Place::new(3);
    let lane = Lane::leak(2);
    let me = place.member();
    let gets = place.thread(Death::NEVER, move |me| get(&mut consumer(lane, me), me));
    until_asleep(1);
    let victim = place.thread(death, move |me| put(&mut producer(lane, me), me, 1).expect("open"));
    victim.join();
    let expected = if lane.counts().0 == 1 {
        1
    } else {
        settle();
        put(&mut producer(lane, &me), &me, 2).expect("open");
        2
    };
    assert_eq!(gets.join(), Outcome::Finished(Ok((expected, false))));
}

/// The consumer sleeps beside the first thread, the second one publishes.
fn moving(death: Death) {
    let place = Place::new(4);
    let lane = Lane::leak(2);
    let (first, me) = (place.member(), place.member());
    let mut p = producer(lane, &first);
    let gets = place.thread(Death::NEVER, move |me| get(&mut consumer(lane, me), me));
    until_asleep(1);
    let victim = place.thread(death, move |me| {
        p.move_to(me).expect("still ours");
        put(&mut p, me, 1).expect("open");
    });
    let end = victim.join();
    let expected = if lane.counts().0 == 1 {
        1
    } else {
        assert_eq!(end, Outcome::Died);
        settle();
        // The first thread lives: the seat is its as long as it was not moved.
        place.table.found_dead(first.id());
        put(&mut producer(lane, &me), &me, 2).expect("open");
        2
    };
    assert_eq!(gets.join(), Outcome::Finished(Ok((expected, false))));
}

/// Who waits for room gets it when the message was freed; else the message is there for somebody else.
fn dying_consumer(death: Death) {
    let place = Place::new(4);
    let lane = Lane::leak(1);
    let (me, filler) = (place.member(), place.member());
    put(&mut producer(lane, &filler), &filler, 1).expect("open");
    place.table.found_dead(filler.id());
    let victim = place.thread(death, move |me| get(&mut consumer(lane, me), me));
    let pushes = place.thread(Death::NEVER, move |me| put(&mut producer(lane, me), me, 2));
    let end = victim.join();
    if lane.counts().1 == 0 {
        assert_eq!(end, Outcome::Died);
        settle();
        let (seated, mut c) = (lane.consumer().is_some(), consumer(lane, &me));
        assert_eq!(get(&mut c, &me), Ok((1, seated)), "it may have been read");
        assert_eq!(pushes.join(), Outcome::Finished(Ok(())));
        assert_eq!(get(&mut c, &me), Ok((2, false)));
        return;
    }
    assert_eq!(pushes.join(), Outcome::Finished(Ok(())));
    if let Ok(mut c) = RawConsumer::take(lane, &me) {
        assert_eq!(get(&mut c, &me), Ok((2, true)), "he died in the seat");
    }
}

/// A consumer has read two of three and not freed them when it dies; another one sits down, takes one and dies, or leaves.
fn suspects(death: Death) {
    let place = Place::new(4);
    let lane = Lane::leak(3);
    let (me, dead) = (place.member(), place.member());
    let mut p = producer(lane, &me);
    (1..=3).for_each(|n| put(&mut p, &me, n).expect("open"));
    let mut first = consumer(lane, &dead);
    first.free_every(2);
    assert_eq!(first.suspects(), 0);
    assert!(first.has(2).expect("sound"));
    first.drain(|_| ());
    place.table.found_dead(dead.id());
    let victim = place.thread(death, move |me| {
        let mut c = consumer(lane, me);
        assert_eq!(c.suspects(), 2);
        assert_eq!(get(&mut c, me), Ok((1, true)));
        c.leave();
    });
    victim.join();
    let freed = lane.counts().1;
    let mut c = consumer(lane, &me);
    for n in freed + 1..=3 {
        // The second may have died over its first; the third message nobody has read, unless it freed the first and sat.
        assert_eq!(get(&mut c, &me), Ok((n, n <= 2)));
    }
}

/// A push that raced with the consumer's close is delivered if it succeeded, and the end comes after it.
fn closing() {
    let place = Place::new(2);
    let lane = Lane::leak(2);
    let pushes = place.thread(Death::NEVER, move |me| {
        let mut p = producer(lane, me);
        let first = put(&mut p, me, 1);
        (first, put(&mut p, me, 2))
    });
    let me = place.member();
    let mut c = consumer(lane, &me);
    c.close(&me);
    let got = rest(&mut c, &me);
    let (first, second) = pushes.join().finished().expect("it lives");
    let pushed: Vec<u64> = [(first, 1), (second, 2)].iter().filter(|(r, _)| r.is_ok()).map(|p| p.1).collect();
    assert_eq!(got, pushed);
    assert_eq!(rest(&mut c, &me), []);
}

fn quickly_empty() {
    let place = Place::new(2);
    let lane = Lane::leak(1);
    let pushes = place.thread(Death::NEVER, move |me| {
        let mut p = producer(lane, me);
        put(&mut p, me, 1).expect("room");
        p.close(me).expect("nobody else closes");
    });
    let me = place.member();
    let mut c = consumer(lane, &me);
    let mut got = Vec::new();
    for _ in 0..2 {
        match try_get_quickly(&mut c, &me) {
            Ok(message) => got.extend(message),
            Err(kind) => assert_eq!((kind, got.len()), (ErrorKind::Closed, 1)),
        }
    }
    pushes.join();
    // Now that the close is known, no refusal says that something may come.
    if got.is_empty() {
        got.extend(try_get_quickly(&mut c, &me).expect("before the end"));
    }
    assert_eq!(got, [(1, false)]);
    assert_eq!(try_get_quickly(&mut c, &me), Err(ErrorKind::Closed));
}

fn quickly_full() {
    let place = Place::new(2);
    let lane = Lane::leak(1);
    let gets = place.thread(Death::NEVER, move |me| {
        let mut c = consumer(lane, me);
        let got = try_get_quickly(&mut c, me).expect("open");
        c.close(me);
        c.leave();
        got
    });
    let me = place.member();
    let mut p = producer(lane, &me);
    let mut went = Vec::new();
    for value in 1..=2 {
        match try_put_quickly(&mut p, &me, value) {
            Ok(true) => went.push((value, false)),
            Ok(false) => assert_eq!(value, 2, "there was room for the first"),
            Err(kind) => assert_eq!(kind, ErrorKind::Closed),
        }
    }
    let got = gets.join().finished().expect("it lives");
    // Now that the close is known, no refusal says that there may be room.
    assert_eq!(try_put_quickly(&mut p, &me, 3), Err(ErrorKind::Closed));
    let left = rest(&mut consumer(lane, &me), &me).into_iter().map(|value| (value, false));
    assert_eq!(got.into_iter().chain(left).collect::<Vec<_>>(), went);
}

/// A producer sleeps for two units. Its consumer has read two and freed none, and tries to read on.
fn refused_and_told_of_room() {
    let place = Place::new(2);
    let lane = Lane::leak(3);
    let me = place.member();
    let mut c = consumer(lane, &me);
    c.free_every(3);
    let waits = place.thread(Death::NEVER, move |me| {
        let mut p = producer(lane, me);
        (1..=2).for_each(|n| put(&mut p, me, n).expect("room"));
        p.wait_for_room(me, 2, None).map_err(|e| e.kind())
    });
    for n in 1..=2 {
        assert_eq!(get(&mut c, &me), Ok((n, false)));
    }
    assert_eq!(try_get_quickly(&mut c, &me), Ok(None));
    assert_eq!(waits.join(), Outcome::Finished(Ok(())));
}

/// A consumer sleeps for a message. Its producer has filled the ring, published nothing, and tries to write on.
fn refused_and_told_of_messages() {
    let place = Place::new(2);
    let lane = Lane::leak(1);
    let gets = place.thread(Death::NEVER, move |me| get(&mut consumer(lane, me), me));
    let me = place.member();
    let mut p = producer(lane, &me);
    p.publish_every(2);
    assert_eq!(try_put_quickly(&mut p, &me, 1), Ok(true));
    let _ = try_put_quickly(&mut p, &me, 2);
    assert_eq!(gets.join(), Outcome::Finished(Ok((1, false))));
}

/// The same with a producer that dies: the next one is refused, and so is what the dead one could not take back.
fn dying_at_the_end(death: Death) {
    let place = Place::new(3);
    let lane = Lane::leak(2);
    let victim = place.thread(death, move |me| put(&mut producer(lane, me), me, 1));
    let me = place.member();
    let mut c = consumer(lane, &me);
    c.close(&me);
    let mut got = rest(&mut c, &me);
    let end = victim.join();
    settle();
    got.extend(rest(&mut c, &me));
    match end {
        Outcome::Finished(Ok(())) => assert_eq!(got, [1]),
        Outcome::Finished(Err(kind)) => assert_eq!((kind, got.len()), (ErrorKind::Closed, 0)),
        Outcome::Died => assert!(got.len() <= 1),
    }
    c.leave();
    let next = place.member();
    if let Ok(mut p) = RawProducer::take(lane, &next) {
        assert_eq!(put(&mut p, &next, 2), Err(ErrorKind::Closed));
    }
    assert_eq!(rest(&mut consumer(lane, &next), &next), []);
}

/// The consumer closes and looks for the end, and dies; the next one must come to the same end.
fn dying_closer(death: Death) {
    let place = Place::new(3);
    let lane = Lane::leak(2);
    let victim = place.thread(death, move |me| {
        let mut c = consumer(lane, me);
        c.close(me);
        rest(&mut c, me)
    });
    let pushes = place.thread(Death::NEVER, move |me| put(&mut producer(lane, me), me, 1));
    let end = victim.join();
    let pushed = pushes.join().finished().expect("it lives");
    settle();
    let (_, freed) = lane.counts();
    let me = place.member();
    let mut left = Vec::new();
    if let Ok(mut c) = RawConsumer::take(lane, &me) {
        c.close(&me); // if the victim had not come so far
        left = rest(&mut c, &me);
    }
    let taken = end.finished().map_or(freed as usize, |got| got.len());
    assert_eq!(taken + left.len(), usize::from(pushed.is_ok()), "{pushed:?}: {taken} taken, {left:?} left");
}

fn end_of_nothing(death: Death) {
    let place = Place::new(3);
    let lane = Lane::leak(1);
    let victim = place.thread(death, move |me| producer(lane, me).close(me).expect("nothing to lose"));
    let gets = place.thread(Death::NEVER, move |me| get(&mut consumer(lane, me), me));
    victim.join();
    if !lane.is_closed() {
        settle();
        let me = place.member();
        producer(lane, &me).close(&me).expect("nothing to lose");
    }
    assert_eq!(gets.join(), Outcome::Finished(Err(ErrorKind::Closed)));
}

fn end_of_room(death: Death) {
    let place = Place::new(4);
    let lane = Lane::leak(1);
    let filler = place.member();
    put(&mut producer(lane, &filler), &filler, 1).expect("open");
    place.table.found_dead(filler.id());
    let victim = place.thread(death, move |me| consumer(lane, me).close(me));
    let pushes = place.thread(Death::NEVER, move |me| put(&mut producer(lane, me), me, 2));
    victim.join();
    if !lane.is_closed() {
        settle();
        let me = place.member();
        consumer(lane, &me).close(&me);
    }
    assert_eq!(pushes.join(), Outcome::Finished(Err(ErrorKind::Closed)));
}

/// Everything that was published, then the end; nobody comes to its help.
fn hanging_up(death: Death) {
    let place = Place::new(2);
    let lane = Lane::leak(2).hanging_up();
    let (me, seat) = (place.member(), place.join());
    let mut c = consumer(lane, &me);
    let mut p = producer(lane, &Member::modelled(place.table, seat));
    let victim = place.thread_of(seat, death, move |me| {
        put(&mut p, me, 1).expect("the consumer lives");
        p.close(me).expect("nothing to lose");
    });
    let got = rest(&mut c, &me);
    victim.join();
    assert_eq!(got.len() as u64, lane.counts().0);
}

/// The kernel wakes one sleeper on the dead producer's slot, and one on the bell: both times it is the one that waits for the lock.
fn both_wake_ups(death: Death) {
    let place = Place::new(3);
    let lane = Lane::leak(1).hanging_up();
    let [lock, other] = [(); 2].map(|()| leak(RawMutex::new()));
    let seat = place.join();
    let producing = Member::modelled(place.table, seat);
    let mut p = producer(lane, &producing);
    for lock in [lock, other] {
        assert_eq!(lock.lock(&producing, None).expect("free"), Acquired::Clean);
    }
    let waits = place.thread(Death::NEVER, move |me| lock.lock(me, None).map(drop).map_err(|e| e.kind()));
    until_asleep(1);
    let gets = place.thread(Death::NEVER, move |me| get(&mut consumer(lane, me), me));
    until_asleep(2);
    let victim = place.thread_of(seat, death, move |me| {
        other.hand_back(me).expect("its own");
        lock.unlock(me).expect("its own");
        p.close(me).expect("nothing to lose");
    });
    victim.join();
    assert_eq!(gets.join(), Outcome::Finished(Err(ErrorKind::Closed)));
    assert_eq!(waits.join(), Outcome::Finished(Ok(())));
}

fn hanging_up_on_a_producer(death: Death) {
    let place = Place::new(2);
    let lane = Lane::leak(1).hanging_up();
    let (me, seat) = (place.member(), place.join());
    let mut p = producer(lane, &me);
    put(&mut p, &me, 1).expect("room");
    let mut c = consumer(lane, &Member::modelled(place.table, seat));
    let victim = place.thread_of(seat, death, move |me| {
        let got = get(&mut c, me);
        c.close(me);
        got
    });
    while put(&mut p, &me, 2).is_ok() {}
    victim.join();
}

/// A consumer finds its producer dead and calls that the end; another one has just sat down in its place.
fn hang_up_and_newcomer() {
    let place = Place::new(3);
    let lane = Lane::leak(2).hanging_up();
    let (me, dead) = (place.member(), place.member());
    let _ = producer(lane, &dead);
    place.table.found_dead(dead.id());
    let pushes = place.thread(Death::NEVER, move |me| put(&mut producer(lane, me), me, 1));
    let mut c = consumer(lane, &me);
    let first = try_get(&mut c, &me);
    let pushed = pushes.join().finished().expect("it lives");
    let got = match first {
        // It had sat down before we looked: then it is an open lane.
        Ok(None) => try_get(&mut c, &me),
        Err(kind) => {
            assert_eq!(kind, ErrorKind::Closed);
            assert_eq!(try_get(&mut c, &me), Err(kind), "an end is an end");
            Ok(None)
        }
        got => got,
    };
    assert_eq!(got, Ok(pushed.ok().map(|()| (1, false))));
}
