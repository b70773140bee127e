//! [`RawQueue`] under all interleavings, with producers, consumers and closers killed at every step.
//!
//! A victim notes the step at which it commits (its next one when it has filled or drained the cell), so that each
//! death is known to have come before or after it, and the models can say exactly what must follow.

use crate::runner::Model;
use crate::support::{Place, leak};
use interproc::ErrorKind;
use interproc::member::Member;
use interproc::queue::{RawQueue, Ring};
use interproc::sync::{Acquired, RawMutex};
use interproc::sys::model::{
    Bounds, Death, Outcome, Thread, check, for_every_death, next_step, settle, until_asleep,
};
use std::cell::Cell;
use std::rc::Rc;

pub const MODELS: &[Model] = &[
    Model {
        name: "queue: a consumer sleeps for a message",
        run: || check(Bounds::default(), for_a_message),
        catches: &["publish-no-wake", "relaxed-release"],
    },
    Model {
        name: "queue: a producer sleeps for room",
        run: || check(Bounds::default(), for_room),
        catches: &["publish-no-wake", "relaxed-release"],
    },
    Model {
        name: "queue: two messages go through two cells",
        run: || check(Bounds::default(), through),
        catches: &["publish-no-wake", "relaxed-release"],
    },
    Model {
        name: "queue: two producers race for cells",
        run: || check(Bounds::default(), two_producers),
        catches: &[],
    },
    Model {
        name: "queue: two consumers race for messages",
        run: || check(Bounds::default(), two_consumers),
        catches: &[],
    },
    Model {
        name: "queue: what is published out of order reaches both who wait",
        run: || check(Bounds::default(), out_of_order),
        catches: &["publish-no-wake", "wake-only-one"],
    },
    Model {
        name: "queue: a producer dies, its consumer gets the message or the next one",
        run: || for_every_death(Bounds::default(), false, dying_producer),
        catches: &["no-cell-watch"],
    },
    Model {
        name: "queue: a producer is dead, and two meet at what it left",
        run: || for_every_death(Bounds::default(), false, dead_producer),
        catches: &["gap-not-passed"],
    },
    Model {
        name: "queue: a consumer dies, its producer gets room",
        run: || for_every_death(Bounds::default(), false, dying_reader),
        catches: &["no-cell-watch"],
    },
    Model {
        name: "queue: a consumer dies, another gets its message and is told",
        run: || for_every_death(Bounds::default(), false, dying_consumer),
        catches: &["redelivery-untold", "passed-reader-forgotten"],
    },
    Model {
        name: "queue: a consumer is dead, and two meet at what it left",
        run: || for_every_death(Bounds::default(), false, dead_consumer),
        catches: &["redelivery-untold"],
    },
    Model {
        name: "queue: what was pushed before the end comes before the end",
        run: || check(Bounds::default(), closing),
        catches: &[],
    },
    Model {
        name: "queue: the end wakes all who wait",
        run: || check(Bounds::default(), end_of_nothing),
        catches: &["close-no-wake"],
    },
    Model {
        name: "queue: the last message and the end reach two who wait",
        run: || check(Bounds::default(), last_message),
        catches: &[],
    },
    Model {
        name: "queue: a closer dies, and it is closed or not",
        run: || for_every_death(Bounds::default(), false, dying_closer),
        catches: &["no-closed-watch"],
    },
    Model {
        name: "queue: a bell reaches the one whom it concerns",
        run: || for_every_death(Bounds::default(), false, two_queues),
        catches: &["bell-not-passed-on"],
    },
    Model {
        name: "queue: one sleeper hears of two deaths, another waits for a message",
        // Three preemptions find no more and take 40 s.
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, two_deaths),
        catches: &["bell-not-last"],
    },
];

pub fn queue(capacity: usize) -> RawQueue {
    RawQueue::new(Ring::leak(capacity))
}

pub type Got = Result<(u64, bool), ErrorKind>;

#[allow(unsafe_code)]
pub fn put(queue: &RawQueue, me: &Member, value: u64) -> Result<(), ErrorKind> {
    // SAFETY: a modelled cell holds a u64.
    queue.push_with(me, None, |p| unsafe { p.cast::<u64>().write(value) }).map_err(|e| e.kind())
}

#[allow(unsafe_code)]
pub fn take(queue: &RawQueue, me: &Member) -> Got {
    // SAFETY: a modelled cell holds a u64.
    queue.pop_with(me, None, |p| unsafe { p.cast::<u64>().read() }).map_err(|e| e.kind())
}

#[allow(unsafe_code)]
pub fn try_take(queue: &RawQueue, me: &Member) -> Got {
    // SAFETY: a modelled cell holds a u64.
    queue.try_pop_with(me, |p| unsafe { p.cast::<u64>().read() }).map_err(|e| e.kind())
}

/// Takes what is left.
pub fn drain(queue: &RawQueue, me: &Member) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| try_take(queue, me).ok()).collect()
}

/// A thread that may die in one operation, and the step at which that commits.
pub struct Victim<T> {
    pub thread: Thread<T>,
    pub death: Death,
    pub commit: Rc<Cell<Option<usize>>>,
}

/// What a victim got done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Finished,
    /// It died before it had claimed a cell, or right after that.
    Early,
    /// It died with a claimed cell.
    Claimed,
    /// It died after its commit.
    Committed,
}

impl Victim<()> {
    /// Pushes.
    #[allow(unsafe_code)]
    fn push(place: &Place, death: Death, q: RawQueue, value: u64) -> Self {
        let commit = Rc::new(Cell::new(None));
        let note = commit.clone();
        let thread = place.thread(death, move |me| {
            q.push_with(me, None, |p| {
                note.set(Some(next_step()));
                // SAFETY: a modelled cell holds a u64.
                unsafe { p.cast::<u64>().write(value) }
            })
            .expect("open")
        });
        Victim { thread, death, commit }
    }
}

impl Victim<(u64, bool)> {
    /// Pops.
    #[allow(unsafe_code)]
    fn pop(place: &Place, death: Death, q: RawQueue) -> Self {
        let commit = Rc::new(Cell::new(None));
        let note = commit.clone();
        let thread = place.thread(death, move |me| {
            q.pop_with(me, None, |p| {
                note.set(Some(next_step()));
                // SAFETY: a modelled cell holds a u64.
                unsafe { p.cast::<u64>().read() }
            })
            .expect("open")
        });
        Victim { thread, death, commit }
    }
}

impl<T> Victim<T> {
    pub fn join(self) -> Fate {
        match (self.thread.join(), self.death.at, self.commit.get()) {
            (Outcome::Finished(_), ..) => Fate::Finished,
            (Outcome::Died, Some(at), Some(commit)) if at > commit => Fate::Committed,
            (Outcome::Died, _, Some(_)) => Fate::Claimed,
            (Outcome::Died, ..) => Fate::Early,
        }
    }
}

fn for_a_message() {
    let place = Place::new(2);
    let q = queue(1);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 1).expect("open"));
    let me = place.member();
    assert_eq!(take(&q, &me), Ok((1, false)));
    producer.join();
    assert_eq!(try_take(&q, &me), Err(ErrorKind::Empty));
}

fn for_room() {
    let place = Place::new(2);
    let q = queue(1);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 2).expect("open"));
    assert_eq!(take(&q, &me), Ok((1, false)));
    producer.join();
    assert_eq!(drain(&q, &me), [(2, false)]);
}

fn through() {
    let place = Place::new(2);
    let q = queue(2);
    let producer = place.thread(Death::NEVER, move |me| {
        put(&q, me, 1).expect("open");
        put(&q, me, 2).expect("open");
    });
    let me = place.member();
    assert_eq!(take(&q, &me), Ok((1, false)));
    assert_eq!(take(&q, &me), Ok((2, false)));
    producer.join();
    assert_eq!(try_take(&q, &me), Err(ErrorKind::Empty));
}

fn two_producers() {
    let place = Place::new(3);
    let q = queue(2);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 1).expect("open"));
    let me = place.member();
    put(&q, &me, 2).expect("open");
    producer.join();
    let mut got = drain(&q, &me);
    got.sort_unstable();
    assert_eq!(got, [(1, false), (2, false)]);
}

fn two_consumers() {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me).expect("open"));
    let mine = take(&q, &me).expect("open");
    let his = consumer.join().finished().expect("it lives");
    let mut got = [mine, his];
    got.sort_unstable();
    assert_eq!(got, [(1, false), (2, false)]);
}

/// Runs `between` in the middle of a push, when the cell is claimed.
#[allow(unsafe_code)]
fn put_slowly(queue: &RawQueue, me: &Member, value: u64, between: impl FnOnce()) {
    let fill = |p: *mut u8| {
        between();
        // SAFETY: a modelled cell holds a u64.
        unsafe { p.cast::<u64>().write(value) }
    };
    queue.push_with(me, None, fill).expect("open");
}

/// Two takers, asleep; the caller sees to it that there is nothing to take.
pub fn two_sleepers(place: &Place, q: RawQueue) -> [Thread<Got>; 2] {
    let takers = [(); 2].map(|()| place.thread(Death::NEVER, move |me| take(&q, me)));
    until_asleep(2);
    takers
}

/// What two takers got, the messages first.
pub fn results(takers: Option<[Thread<Got>; 2]>) -> [Got; 2] {
    let mut got = takers.expect("started").map(|taker| taker.join().finished().expect("it lives"));
    got.sort_unstable_by_key(|got| (got.is_err(), got.ok()));
    got
}

/// The second message is published before the first, which two wait for; both are taken.
fn out_of_order() {
    let place = Place::new(4);
    let q = queue(2);
    let (slow, fast) = (place.member(), place.member());
    let mut takers = None;
    put_slowly(&q, &slow, 1, || {
        put(&q, &fast, 2).expect("open");
        takers = Some(two_sleepers(&place, q));
    });
    assert_eq!(results(takers), [Ok((1, false)), Ok((2, false))]);
}

/// A message that was committed reaches a consumer without anybody's help; else there is nothing, and no harm.
fn dying_producer(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    let victim = Victim::push(&place, death, q, 1);
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    let expected = match victim.join() {
        Fate::Finished | Fate::Committed => 1,
        Fate::Early | Fate::Claimed => {
            settle();
            put(&q, &me, 2).expect("open");
            2
        }
    };
    assert_eq!(consumer.join(), Outcome::Finished(Ok((expected, false))));
    assert_eq!(drain(&q, &me), []);
}

/// A producer and a consumer come upon a dead producer's cell.
fn dead_producer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    let fate = Victim::push(&place, death, q, 1).join();
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 2).expect("open"));
    let first = take(&q, &me).expect("open");
    producer.join();
    let got: Vec<_> = [first].into_iter().chain(drain(&q, &me)).collect();
    match fate {
        Fate::Finished | Fate::Committed => assert_eq!(got, [(1, false), (2, false)]),
        Fate::Early | Fate::Claimed => assert_eq!(got, [(2, false)]),
    }
}

/// Who waits for room gets it when the message was consumed; else the message is there for somebody else.
fn dying_reader(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let victim = Victim::pop(&place, death, q);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 2).expect("open"));
    let fate = victim.join();
    if matches!(fate, Fate::Early | Fate::Claimed) {
        settle();
        assert_eq!(try_take(&q, &me).map(|(n, _)| n), Ok(1));
    }
    producer.join();
    assert_eq!(drain(&q, &me), [(2, false)]);
}

/// Another comes while the victim reads: it gets that message if the victim dies, and is told.
#[allow(unsafe_code)]
fn dying_consumer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let (commit, other) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    let victim = {
        let (commit, other, place) = (commit.clone(), other.clone(), place.clone());
        place.clone().thread(death, move |me| {
            q.pop_with(me, None, |p| {
                other.set(Some(place.thread(Death::NEVER, move |me| take(&q, me))));
                commit.set(next_step());
                // SAFETY: a modelled cell holds a u64.
                unsafe { p.cast::<u64>().read() }
            })
            .expect("open")
        })
    };
    let end = victim.join();
    match other.take() {
        Some(other) if end == Outcome::Died && death.at == Some(commit.get()) => {
            assert_eq!(other.join(), Outcome::Finished(Ok((1, true))));
        }
        Some(other) => {
            settle();
            put(&q, &me, 2).expect("open");
            assert_eq!(other.join(), Outcome::Finished(Ok((2, false))));
        }
        None => assert_eq!(drain(&q, &me).len(), 1),
    }
}

/// Two consumers come upon a dead consumer's cell.
fn dead_consumer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let fate = Victim::pop(&place, death, q).join();
    let consumed = matches!(fate, Fate::Finished | Fate::Committed);
    if consumed {
        put(&q, &me, 3).expect("open");
    }
    let other = place.thread(Death::NEVER, move |me| take(&q, me).expect("open"));
    let mine = take(&q, &me).expect("open");
    let mut got = [mine, other.join().finished().expect("it lives")];
    got.sort_unstable();
    let expected = if consumed { [(2, false), (3, false)] } else { [(1, fate == Fate::Claimed), (2, false)] };
    if fate == Fate::Early {
        got[0].1 = false; // it may have claimed the cell and died on the way
    }
    assert_eq!(got, expected);
    assert_eq!(drain(&q, &me), []);
}

/// A push that raced with the close is delivered if it succeeded, and the end comes after it.
fn closing() {
    let place = Place::new(3);
    let q = queue(1);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 1));
    let closer = place.thread(Death::NEVER, move |me| q.close(me));
    let me = place.member();
    let pushed = producer.join().finished().expect("it lives");
    closer.join();
    let got = take(&q, &me);
    match pushed {
        Ok(()) => assert_eq!((got, take(&q, &me)), (Ok((1, false)), Err(ErrorKind::Closed))),
        Err(kind) => assert_eq!((kind, got), (ErrorKind::Closed, Err(ErrorKind::Closed))),
    }
    assert_eq!(put(&q, &me, 2), Err(ErrorKind::Closed));
}

/// Two wait for nothing.
fn end_of_nothing() {
    let place = Place::new(3);
    let q = queue(1);
    let takers = two_sleepers(&place, q);
    q.close(&place.member());
    assert_eq!(results(Some(takers)), [Err(ErrorKind::Closed); 2]);
}

/// A push that is under way when the close comes, and two who wait for it.
fn last_message() {
    let place = Place::new(4);
    let q = queue(1);
    let (slow, closer) = (place.member(), place.member());
    let mut takers = None;
    put_slowly(&q, &slow, 1, || {
        q.close(&closer);
        takers = Some(two_sleepers(&place, q));
    });
    assert_eq!(results(takers), [Ok((1, false)), Err(ErrorKind::Closed)]);
}

/// A close that was begun is seen by all, or by none.
fn dying_closer(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    let victim = place.thread(death, move |me| q.close(me));
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    let end = victim.join();
    if !q.is_closed() {
        assert_eq!(end, Outcome::Died);
        settle();
        put(&q, &me, 1).expect("open");
        assert_eq!(consumer.join(), Outcome::Finished(Ok((1, false))));
    } else {
        assert_eq!(consumer.join(), Outcome::Finished(Err(ErrorKind::Closed)));
    }
}

/// Two queues in one segment: the bell for one is heard by who sleeps at the other, and passed on.
fn two_queues(death: Death) {
    let place = Place::new(4);
    let (mine, other) = (queue(1), queue(1));
    let me = place.member();
    let bystander = place.thread(Death::NEVER, move |me| take(&mine, me));
    until_asleep(1);
    let consumer = place.thread(Death::NEVER, move |me| take(&other, me));
    until_asleep(2);
    let victim = Victim::push(&place, death, other, 1);
    if matches!(victim.join(), Fate::Early | Fate::Claimed) {
        settle();
        put(&other, &me, 1).expect("open");
    }
    assert_eq!(consumer.join(), Outcome::Finished(Ok((1, false))));
    settle();
    put(&mine, &me, 2).expect("open");
    assert_eq!(bystander.join(), Outcome::Finished(Ok((2, false))));
}

/// The first in the bell's queue sleeps for a lock, too, whose owner dies at the same time: it is told of one death.
fn two_deaths(death: Death) {
    let place = Place::new(4);
    let q = queue(1);
    let lock = leak(RawMutex::new());
    let owner = Member::modelled(place.table, place.join());
    let _ = lock.lock(&owner, None).expect("free");
    let heir = place.thread(Death::NEVER, |me| lock.lock(me, None).expect("to be inherited"));
    until_asleep(1);
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    until_asleep(2);
    let victim = Victim::push(&place, death, q, 1);
    place.table.found_dead(owner.id());
    if matches!(victim.join(), Fate::Early | Fate::Claimed) {
        settle();
        put(&q, &owner, 1).expect("open");
    }
    assert_eq!(consumer.join(), Outcome::Finished(Ok((1, false))));
    settle();
    assert_eq!(heir.join(), Outcome::Finished(Acquired::OwnerDied));
}
