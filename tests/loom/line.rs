//! What the models of the queue and of the byte queue have in common: messages that are numbers, those who die over them,
//! and the models that say the same of both.
//!
//! A victim notes the step at which it commits, so that each death is known to have come before or after it, and the models
//! can say exactly what must follow.

use crate::support::Place;
use interproc::ErrorKind;
use interproc::raw::member::Member;
use interproc::sys::model::{Death, Outcome, Thread, next_step, settle, until_asleep};
use std::cell::Cell;
use std::rc::Rc;

/// What a taker gets: a number, and whether it was redelivered.
pub type Got = Result<(u64, bool), ErrorKind>;

/// A queue of numbers.
pub trait Line: Copy + 'static {
    /// How many it has room for, if it is as small as can be.
    const LEAST: usize;
    /// How many steps the commit of a push comes after the next one, once the number is written.
    const LAG: usize;
    /// One with room for so many, [`Self::LEAST`] or more.
    fn of(capacity: usize) -> Self;
    /// Waits for room; `writing` runs with the place in hand.
    fn push(&self, me: &Member, value: u64, writing: impl FnOnce()) -> Result<(), ErrorKind>;
    /// Waits for a number, if it may; `reading` runs with it in hand.
    fn pop(&self, me: &Member, wait: bool, reading: impl FnOnce()) -> Got;
    fn close(&self, me: &Member);
    fn is_closed(&self) -> bool;
    /// Whether no room is in use.
    fn is_vacant(&self) -> bool;
}

pub fn put(q: &impl Line, me: &Member, value: u64) -> Result<(), ErrorKind> {
    q.push(me, value, || ())
}

/// Runs `between` in the middle of a push, when the place is claimed.
pub fn put_slowly(q: &impl Line, me: &Member, value: u64, between: impl FnOnce()) {
    q.push(me, value, between).expect("open");
}

pub fn take(q: &impl Line, me: &Member) -> Got {
    q.pop(me, true, || ())
}

pub fn try_take(q: &impl Line, me: &Member) -> Got {
    q.pop(me, false, || ())
}

/// Takes what is left.
pub fn drain(q: &impl Line, me: &Member) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| try_take(q, me).ok()).collect()
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
    /// It died before it had claimed a place, or right after that.
    Early,
    /// It died with a claimed place.
    Claimed,
    /// It died after its commit.
    Committed,
}

impl Fate {
    pub fn is_done(self) -> bool {
        matches!(self, Fate::Finished | Fate::Committed)
    }
}

impl<T: 'static> Victim<T> {
    /// Does `op`, which notes in the cell at which step it commits.
    pub fn new(
        place: &Place,
        death: Death,
        op: impl FnOnce(&Member, &Cell<Option<usize>>) -> T + 'static,
    ) -> Self {
        let commit = Rc::new(Cell::new(None));
        let note = commit.clone();
        Victim { thread: place.thread(death, move |me| op(me, &note)), death, commit }
    }

    pub fn join(self) -> Fate {
        match (self.thread.join(), self.death.at, self.commit.get()) {
            (Outcome::Finished(_), ..) => Fate::Finished,
            (Outcome::Died, Some(at), Some(commit)) if at > commit => Fate::Committed,
            (Outcome::Died, _, Some(_)) => Fate::Claimed,
            (Outcome::Died, ..) => Fate::Early,
        }
    }
}

pub fn pushes<Q: Line>(place: &Place, death: Death, q: Q, value: u64) -> Victim<()> {
    Victim::new(place, death, move |me, commit| {
        q.push(me, value, || commit.set(Some(next_step() + Q::LAG))).expect("open");
    })
}

pub fn pops<Q: Line>(place: &Place, death: Death, q: Q) -> Victim<(u64, bool)> {
    Victim::new(place, death, move |me, commit| {
        q.pop(me, true, || commit.set(Some(next_step()))).expect("open")
    })
}

/// Two takers, asleep; the caller sees to it that there is nothing to take.
pub fn two_sleepers(place: &Place, q: impl Line) -> [Thread<Got>; 2] {
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

// ---- models --------------------------------------------------------------------------------------------------

pub fn for_a_message<Q: Line>() {
    let place = Place::new(2);
    let q = Q::of(Q::LEAST);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 1).expect("open"));
    let me = place.member();
    assert_eq!(take(&q, &me), Ok((1, false)));
    producer.join();
    assert_eq!(try_take(&q, &me), Err(ErrorKind::Empty));
}

/// A full one. The numbers that are in it.
fn full<Q: Line>(me: &Member) -> (Q, Vec<u64>) {
    let q = Q::of(Q::LEAST);
    let values: Vec<u64> = (1..=Q::LEAST as u64).collect();
    values.iter().for_each(|&value| put(&q, me, value).expect("open"));
    (q, values)
}

fn sure(values: &[u64]) -> Vec<(u64, bool)> {
    values.iter().map(|&value| (value, false)).collect()
}

pub fn for_room<Q: Line>() {
    let place = Place::new(2);
    let me = place.member();
    let (q, mut values) = full::<Q>(&me);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 9).expect("open"));
    assert_eq!(take(&q, &me), Ok((1, false)));
    producer.join();
    values.push(9);
    assert_eq!(drain(&q, &me), sure(&values[1..]));
}

pub fn two_consumers<Q: Line>() {
    let place = Place::new(3);
    let q = Q::of(2);
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

/// A message that was committed reaches a consumer without anybody's help; else there is nothing, and no harm.
pub fn dying_producer<Q: Line>(death: Death) {
    let place = Place::new(3);
    let q = Q::of(Q::LEAST);
    let me = place.member();
    let victim = pushes(&place, death, q, 1);
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    let expected = if victim.join().is_done() {
        1
    } else {
        settle();
        put(&q, &me, 2).expect("open");
        2
    };
    assert_eq!(consumer.join(), Outcome::Finished(Ok((expected, false))));
    assert_eq!(drain(&q, &me), []);
    assert!(q.is_vacant());
}

/// Who waits for room gets it when the message was consumed; else the message is there for somebody else.
pub fn dying_reader<Q: Line>(death: Death) {
    let place = Place::new(3);
    let me = place.member();
    let (q, mut values) = full::<Q>(&me);
    let victim = pops(&place, death, q);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 9).expect("open"));
    if !victim.join().is_done() {
        settle();
        assert_eq!(try_take(&q, &me).map(|(n, _)| n), Ok(1));
    }
    producer.join();
    values.push(9);
    assert_eq!(drain(&q, &me), sure(&values[1..]));
}

/// Another comes while the victim reads: it gets that message if the victim dies, and is told.
pub fn dying_consumer<Q: Line>(death: Death) {
    let place = Place::new(3);
    let q = Q::of(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let (commit, other) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    let victim = {
        let (commit, other, place) = (commit.clone(), other.clone(), place.clone());
        place.clone().thread(death, move |me| {
            let reading = || {
                other.set(Some(place.thread(Death::NEVER, move |me| take(&q, me))));
                commit.set(next_step());
            };
            q.pop(me, true, reading).expect("open")
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

/// A message is kept in hand while those behind it come and go: whoever walks past it notes how far, and dies anywhere, and
/// the next one goes by that note, beside a producer.
pub fn kept_in_hand<Q: Line>(death: Death) {
    let place = Place::new(5);
    let q = Q::of(4);
    let (holder, me) = (place.member(), place.member());
    (1..=3).for_each(|value| put(&q, &me, value).expect("open"));
    let keeping = || {
        assert_eq!(take(&q, &me), Ok((2, false)));
        let fate = pops(&place, death, q).join();
        let left = (!fate.is_done()).then(|| try_take(&q, &me).expect("it comes again").0);
        assert!(left.is_none_or(|left| left == 3));
        assert_eq!(try_take(&q, &me), Err(ErrorKind::Empty));
        let taker = place.thread(Death::NEVER, move |me| take(&q, me));
        put(&q, &me, 4).expect("room");
        assert_eq!(taker.join(), Outcome::Finished(Ok((4, false))));
    };
    q.pop(&holder, false, keeping).expect("the first");
    put(&q, &me, 5).expect("room");
    assert_eq!(drain(&q, &me), [(5, false)]);
}

/// Two consumers come upon what a dead one had.
pub fn dead_consumer<Q: Line>(death: Death) {
    let place = Place::new(3);
    let q = Q::of(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let fate = pops(&place, death, q).join();
    if fate.is_done() {
        put(&q, &me, 3).expect("open");
    }
    let other = place.thread(Death::NEVER, move |me| take(&q, me).expect("open"));
    let mine = take(&q, &me).expect("open");
    let mut got = [mine, other.join().finished().expect("it lives")];
    got.sort_unstable();
    let expected =
        if fate.is_done() { [(2, false), (3, false)] } else { [(1, fate == Fate::Claimed), (2, false)] };
    if fate == Fate::Early {
        got[0].1 = false; // it may have claimed the message and died on the way
    }
    assert_eq!(got, expected);
    assert_eq!(drain(&q, &me), []);
}

/// A push that raced with the close is delivered if it succeeded, and the end comes after it.
pub fn closing<Q: Line>() {
    let place = Place::new(3);
    let q = Q::of(Q::LEAST);
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
pub fn end_of_nothing<Q: Line>() {
    let place = Place::new(3);
    let q = Q::of(Q::LEAST);
    let takers = two_sleepers(&place, q);
    q.close(&place.member());
    assert_eq!(results(Some(takers)), [Err(ErrorKind::Closed); 2]);
}

/// A push that is under way when the close comes, and two who wait for it.
pub fn last_message<Q: Line>() {
    let place = Place::new(4);
    let q = Q::of(Q::LEAST);
    let (slow, closer) = (place.member(), place.member());
    let mut takers = None;
    put_slowly(&q, &slow, 1, || {
        q.close(&closer);
        takers = Some(two_sleepers(&place, q));
    });
    assert_eq!(results(takers), [Ok((1, false)), Err(ErrorKind::Closed)]);
}

/// The last message of a full ring is read by someone who began before the close, and another waits for the end.
pub fn end_behind_a_reader<Q: Line>() {
    let place = Place::new(4);
    let (slow, me) = (place.member(), place.member());
    let (q, values) = full::<Q>(&me);
    let mut taker = None;
    let reading = || {
        for &value in &values[1..] {
            assert_eq!(try_take(&q, &me), Ok((value, false)));
        }
        q.close(&me);
        taker = Some(place.thread(Death::NEVER, move |me| take(&q, me)));
        until_asleep(1);
    };
    assert_eq!(q.pop(&slow, false, reading), Ok((1, false)));
    assert_eq!(taker.expect("started").join(), Outcome::Finished(Err(ErrorKind::Closed)));
}

/// A close that was begun is seen by all, or by none.
pub fn dying_closer<Q: Line>(death: Death) {
    let place = Place::new(3);
    let q = Q::of(Q::LEAST);
    let me = place.member();
    let victim = place.thread(death, move |me| q.close(me));
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    let end = victim.join();
    let expected = if q.is_closed() {
        Err(ErrorKind::Closed)
    } else {
        assert_eq!(end, Outcome::Died);
        settle();
        put(&q, &me, 1).expect("open");
        Ok((1, false))
    };
    assert_eq!(consumer.join(), Outcome::Finished(expected));
}
