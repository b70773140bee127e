//! The wait set under all interleavings, with publishers and owners of sets killed at every step.

use crate::line::{drain, pushes, put, take, try_take};
use crate::runner::Model;
use crate::support::{Place, leak};
use interproc::Wait;
use interproc::raw::member::Member;
use interproc::raw::pipe::{self, RawRendezvous};
use interproc::raw::queue::{
    Geometry, Job, Lane, RawProducer, RawQueue, RawWorkQueue, Ring, WorkOrder, WorkPlace,
};
use interproc::raw::sync::{RawEvent, RawSemaphore};
use interproc::sys::model::{
    Bounds, Death, Outcome, catch_up, check, for_every_death, settle, until_asleep, until_asleep_or_gone,
};
use interproc::waitset::{Entry, Wanted, wait_for_any};
use std::cell::Cell;
use std::rc::Rc;

pub const MODELS: &[Model] = &[
    Model {
        name: "wait set: a message reaches a set of two queues",
        run: || check(two(), one_of_two),
        catches: &["publish-no-wake", "door-no-wake", "door-not-moved", "set-door-not-noted"],
    },
    Model {
        name: "wait set: it hears again after it was woken",
        run: || check(two(), again),
        catches: &["set-announces-once", "set-no-second-look", "set-never-asks"],
    },
    Model {
        name: "wait set: it hears again when nobody was there for a while",
        run: || check(two(), after_a_while),
        catches: &["set-stays-lonely"],
    },
    Model {
        name: "wait set: two sets at one door hear both, and one who pops gets the message",
        run: || check(two(), beside_others),
        catches: &["door-wakes-one"],
    },
    Model {
        name: "wait set: a publisher may die anywhere, a set hears of what is there",
        run: || for_every_death(two(), false, publisher),
        catches: &["set-others-unwatched"],
    },
    Model {
        name: "wait set: a bell that reaches a set reaches the one whom it concerns",
        run: || for_every_death(Bounds { preemptions: 1, ..Bounds::default() }, false, bell),
        catches: &["set-bell-not-passed-on"],
    },
    Model {
        name: "wait set: the owner of a set may die anywhere, and takes no message's wake-up along",
        run: || for_every_death(Bounds { preemptions: 1, ..Bounds::default() }, false, owner),
        catches: &[],
    },
    Model {
        name: "wait set: a post that woke a set reaches who acquires",
        run: || for_every_death(Bounds { preemptions: 1, ..Bounds::default() }, false, post),
        catches: &["set-keeps-a-post"],
    },
    Model {
        name: "wait set: a post that somebody else takes hides the next one from no set",
        run: || check(Bounds { preemptions: 4, ..Bounds::default() }, post_taken),
        catches: &["set-sleeps-unannounced"],
    },
    Model {
        name: "wait set: a call reaches a set of the listener",
        run: || check(two(), call),
        catches: &["pipe-call-sets-untold"],
    },
    Model {
        name: "wait set: a producer of jobs may die anywhere, a set hears of what is there",
        run: || for_every_death(Bounds { preemptions: 1, ..Bounds::default() }, false, job),
        catches: &["work-sets-untold", "work-set-unawaited"],
    },
    Model {
        name: "wait set: an event reaches a set",
        run: || check(two(), event),
        catches: &["set-no-wake"],
    },
    Model {
        name: "wait set: the only producer of a lane may die anywhere, a set hears of what is there",
        run: || for_every_death(two(), false, lane),
        catches: &["set-others-unwatched"],
    },
];

fn two() -> Bounds {
    Bounds { preemptions: 2, ..Bounds::default() }
}

fn queue(capacity: usize) -> RawQueue {
    RawQueue::new(Ring::leak(capacity))
}

/// Waits for any of these queues. Which of them are ready.
fn any(me: &Member, door: u32, queues: &[RawQueue]) -> Vec<bool> {
    let mut entries: Vec<_> = queues.iter().map(|&q| Entry::new(Wanted::Pop(q), 0)).collect();
    let found = wait_for_any(me, door, &mut entries, Wait::ForEver).expect("no limit of time");
    let ready: Vec<bool> = entries.iter().map(|entry| entry.ready).collect();
    assert_eq!(found, ready.iter().filter(|&&ready| ready).count());
    ready
}

fn one_of_two() {
    let place = Place::new(2);
    let (a, b) = (queue(1), queue(1));
    let pushes = place.thread(Death::NEVER, move |me| put(&b, me, 7).expect("open"));
    let me = place.member();
    assert_eq!(any(&me, 0, &[a, b]), [false, true]);
    assert_eq!(try_take(&b, &me).map(|got| got.0), Ok(7));
    pushes.join();
}

/// The same set waits twice.
fn again() {
    let place = Place::new(2);
    let q = queue(1);
    let pushes = place.thread(Death::NEVER, move |me| {
        put(&q, me, 1).expect("open");
        put(&q, me, 2).expect("open"); // when there is room
    });
    let me = place.member();
    let mut entries = [Entry::new(Wanted::Pop(q), 0)];
    for value in 1..=2 {
        assert_eq!(wait_for_any(&me, 0, &mut entries, Wait::ForEver).expect("no limit of time"), 1);
        assert_eq!(try_take(&q, &me).map(|got| got.0), Ok(value));
    }
    pushes.join();
}

/// The second message finds nobody, and its publisher is about to say so.
fn after_a_while() {
    let place = Place::new(2);
    let q = queue(3);
    let pushes = place.thread(Death::NEVER, move |me| {
        (1..=3).for_each(|value| put(&q, me, value).expect("room"));
    });
    let me = place.member();
    let mut entries = [Entry::new(Wanted::Pop(q), 0)];
    let mut next = 1;
    while next <= 3 {
        assert_eq!(wait_for_any(&me, 0, &mut entries, Wait::ForEver).expect("no limit of time"), 1);
        while let Ok((value, _)) = try_take(&q, &me) {
            assert_eq!(value, next);
            next += 1;
        }
    }
    pushes.join();
}

fn beside_others() {
    let place = Place::new(4);
    let q = queue(2);
    let set = || place.thread(Death::NEVER, move |me| any(me, 0, &[q]));
    let sets = [set(), set()];
    until_asleep(2);
    let pops = place.thread(Death::NEVER, move |me| take(&q, me));
    until_asleep(3);
    let me = place.member();
    // One for the popper, one for the sets to see.
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    assert!(matches!(pops.join(), Outcome::Finished(_)));
    for set in sets {
        assert_eq!(set.join(), Outcome::Finished(vec![true]));
    }
}

/// As [`any`], and notes that it is over.
fn any_noted(me: &Member, door: u32, queues: &[RawQueue], over: &Cell<bool>) -> Vec<bool> {
    let ready = any(me, door, queues);
    over.set(true);
    ready
}

fn publisher(death: Death) {
    let place = Place::new(3);
    let (q, over) = (queue(2), Rc::new(Cell::new(false)));
    let noted = over.clone();
    let waits = place.thread(Death::NEVER, move |me| any_noted(me, 0, &[q], &noted));
    let pushes = place.thread(death, move |me| put(&q, me, 1));
    let first = pushes.join();
    settle();
    until_asleep_or_gone(2);
    catch_up();
    let me = place.member();
    // What is there is heard of without anybody's help.
    assert!(over.get() || drain(&q, &me).is_empty(), "a set sleeps beside a message");
    if first == Outcome::Died && !over.get() {
        put(&q, &me, 2).expect("open");
    }
    assert_eq!(waits.join(), Outcome::Finished(vec![true]));
}

/// A set waits for another queue than a popper, and the bell reaches the set alone.
fn bell(death: Death) {
    let place = Place::new(4);
    let (a, b) = (queue(1), queue(1));
    let hears = place.thread(Death::NEVER, move |me| any(me, 0, &[b]));
    until_asleep(1);
    let pops = place.thread(Death::NEVER, move |me| take(&a, me));
    until_asleep(2);
    let fate = pushes(&place, death, a, 1).join();
    let me = place.member();
    if !fate.is_done() {
        settle();
        put(&a, &me, 2).expect("open");
    }
    assert!(matches!(pops.join(), Outcome::Finished(Ok(_))));
    settle();
    put(&b, &me, 3).expect("open");
    assert_eq!(hears.join(), Outcome::Finished(vec![true]));
}

/// The set is asleep or dead, and the popper is asleep. One message.
fn owner(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let waits = place.thread(death, move |me| any(me, 0, &[q]));
    until_asleep_or_gone(1);
    let pops = place.thread(Death::NEVER, move |me| take(&q, me));
    until_asleep_or_gone(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    assert!(matches!(pops.join(), Outcome::Finished(Ok((1, false)))));
    put(&q, &me, 2).expect("open");
    let _ = waits.join();
}

fn post(death: Death) {
    let place = Place::new(3);
    let semaphore = leak(RawSemaphore::new(0));
    let waits = place.thread(death, move |me| {
        let mut entries = [Entry::new(Wanted::Posted(semaphore), 0)];
        wait_for_any(me, 0, &mut entries, Wait::ForEver).expect("no limit of time")
    });
    let acquires = place.thread(Death::NEVER, move |me| semaphore.acquire(me, None).map_err(|e| e.kind()));
    until_asleep_or_gone(2);
    semaphore.post(1).expect("far from the limit");
    assert_eq!(acquires.join(), Outcome::Finished(Ok(())));
    semaphore.post(1).expect("far from the limit");
    let _ = waits.join();
}

fn post_taken() {
    let place = Place::new(2);
    let semaphore = leak(RawSemaphore::new(0));
    let posts = place.thread(Death::NEVER, move |_| {
        semaphore.post(1).expect("far from the limit");
        let _ = semaphore.try_acquire();
        semaphore.post(1).expect("far from the limit");
    });
    let me = place.member();
    let mut entries = [Entry::new(Wanted::Posted(semaphore), 0)];
    assert_eq!(wait_for_any(&me, 0, &mut entries, Wait::ForEver).expect("no limit of time"), 1);
    posts.join();
}

fn call() {
    let place = Place::new(2);
    let meeting = leak(RawRendezvous::new(pipe::Place::leak(1, 2, 4)));
    let me = place.member();
    meeting.listen(&me).expect("nobody listens");
    let calls = place.thread(Death::NEVER, move |me| meeting.try_connect(me).map(drop).is_ok());
    let mut entries = [Entry::new(Wanted::Accept(*meeting), 0)];
    assert_eq!(wait_for_any(&me, 0, &mut entries, Wait::ForEver).expect("no limit of time"), 1);
    meeting.try_accept(&me).map(drop).expect("a call");
    assert_eq!(calls.join(), Outcome::Finished(true));
}

fn job(death: Death) {
    let place = Place::new(3);
    let geometry =
        Geometry { capacity: 2, longest: 8, order: WorkOrder::Fifo, max_deliveries: 0, lease_ms: 0 };
    let (q, over) = (RawWorkQueue::new(WorkPlace::leak(geometry)), Rc::new(Cell::new(false)));
    let noted = over.clone();
    let put = move |me: &Member, value| {
        q.put_with(me, 8, Job::default(), Wait::Never, |p| put_at(p, value)).expect("room")
    };
    let waits = place.thread(Death::NEVER, move |me| {
        let mut entries = [Entry::new(Wanted::Take(q), 0)];
        let found = wait_for_any(me, 0, &mut entries, Wait::ForEver).expect("no limit of time");
        noted.set(true);
        found
    });
    until_asleep(1);
    let puts = place.thread(death, move |me| put(me, 1));
    puts.join();
    settle();
    until_asleep_or_gone(2);
    catch_up();
    assert!(over.get() || q.survey()[0] == 0, "a set sleeps beside a job");
    if !over.get() {
        put(&place.member(), 2);
    }
    assert_eq!(waits.join(), Outcome::Finished(1));
}

fn event() {
    let place = Place::new(2);
    let (event, q) = (leak(RawEvent::new()), queue(1));
    let sets = place.thread(Death::NEVER, move |_| event.set());
    let me = place.member();
    let mut entries = [Entry::new(Wanted::Pop(q), 0), Entry::new(Wanted::Set(event), 0)];
    assert_eq!(wait_for_any(&me, 0, &mut entries, Wait::ForEver).expect("no limit of time"), 1);
    assert!(entries[1].ready);
    sets.join();
}

fn lane(death: Death) {
    let place = Place::new(3);
    let (lane, over) = (Lane::leak(2), Rc::new(Cell::new(false)));
    let noted = over.clone();
    let waits = place.thread(Death::NEVER, move |me| {
        let mut entries = [Entry::new(Wanted::Read(lane), 0)];
        let found = wait_for_any(me, 0, &mut entries, Wait::ForEver).expect("no limit of time");
        noted.set(true);
        found
    });
    let produces = place.thread(death, move |me| {
        let mut producer = RawProducer::take(lane, me).expect("vacant");
        producer.has_room(1).expect("sound");
        producer.fill(|p| put_at(p, 1));
        producer.advance(1).expect("open");
    });
    let end = produces.join();
    settle();
    until_asleep_or_gone(2);
    catch_up();
    assert!(over.get() || lane.is_empty(), "a set sleeps beside a message");
    if end == Outcome::Died && lane.is_empty() {
        let me = place.member();
        let mut producer = RawProducer::take(lane, &me).expect("dead");
        producer.has_room(1).expect("sound");
        producer.fill(|p| put_at(p, 2));
        producer.advance(1).expect("open");
    }
    assert_eq!(waits.join(), Outcome::Finished(1));
}

#[allow(unsafe_code)]
fn put_at(place: *mut u8, value: u64) {
    // SAFETY: a modelled unit is a u64.
    unsafe { place.cast::<u64>().write(value) }
}
