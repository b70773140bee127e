//! [`RawByteQueue`] under all interleavings, with producers, consumers and closers killed at every step.
//!
//! A modelled granule has 16 bytes: a message of 8 bytes takes one, of 9 to 24 bytes two. Its first 8 bytes are its
//! number. Victims note the step at which they commit, as in `queue`.

use crate::runner::Model;
use crate::support::Place;
use interproc::member::{Member, OwnerId};
use interproc::queue::{ByteRing, Limit, Popped, RawByteQueue};
use interproc::sys::model::{
    Bounds, Death, Outcome, Thread, allow_timeouts, check, for_every_death, next_step, pause, settle,
    until_asleep, until_asleep_or_gone,
};
use interproc::{Deadline, ErrorKind};
use std::cell::Cell;
use std::rc::Rc;

pub const MODELS: &[Model] = &[
    Model {
        name: "byte queue: a consumer sleeps for a message",
        run: || check(Bounds::default(), for_a_message),
        catches: &["publish-no-wake", "byte-relaxed-release"],
    },
    Model {
        name: "byte queue: a producer sleeps for room",
        run: || check(Bounds::default(), for_room),
        catches: &["publish-no-wake", "byte-relaxed-release"],
    },
    Model {
        name: "byte queue: messages go round the ring, one of them over its end",
        // Three preemptions find no more and take three minutes.
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, round),
        catches: &["publish-no-wake", "byte-relaxed-release"],
    },
    Model {
        name: "byte queue: two producers race, one of them over the end",
        run: || check(Bounds::default(), two_producers),
        catches: &[],
    },
    Model {
        name: "byte queue: two consumers race for messages",
        run: || check(Bounds::default(), two_consumers),
        catches: &[],
    },
    Model {
        name: "byte queue: a large message waits for the room of two",
        run: || check(Bounds { preemptions: 1, ..Bounds::default() }, large_and_two_readers),
        catches: &["publish-no-wake"],
    },
    Model {
        name: "byte queue: room for a small one reaches it past a large one that waits",
        run: || check(Bounds::default(), large_and_small),
        catches: &["byte-one-producer-woken"],
    },
    Model {
        name: "byte queue: what is published out of order reaches both who wait",
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, out_of_order),
        catches: &["publish-no-wake", "byte-wake-only-one"],
    },
    Model {
        name: "byte queue: a walk that began a lap ago finds its way",
        run: || for_every_death(Bounds::default(), false, stale_walk),
        catches: &["byte-lap-unchecked"],
    },
    Model {
        name: "byte queue: a producer dies, its consumer gets the message or the next one",
        run: || for_every_death(Bounds::default(), false, dying_producer),
        catches: &["byte-no-cell-watch"],
    },
    Model {
        name: "byte queue: a producer dies at the ring's end, with the next one behind it",
        run: || for_every_death(Bounds::default(), false, dying_over_the_end),
        catches: &[],
    },
    Model {
        name: "byte queue: a producer is dead, and two meet at what it left",
        run: || for_every_death(Bounds::default(), false, dead_producer),
        catches: &["byte-gap-not-passed"],
    },
    Model {
        name: "byte queue: a producer is dead in a full ring, and another gets its room",
        run: || for_every_death(Bounds::default(), false, dead_producers_room),
        catches: &["byte-gap-not-passed"],
    },
    Model {
        name: "byte queue: a consumer dies, its producer gets room",
        run: || for_every_death(Bounds::default(), false, dying_reader),
        catches: &["byte-no-cell-watch"],
    },
    Model {
        name: "byte queue: a consumer dies, another gets its message and is told",
        run: || for_every_death(Bounds::default(), false, dying_consumer),
        catches: &["byte-redelivery-untold", "byte-passed-reader-forgotten"],
    },
    Model {
        name: "byte queue: a consumer is dead, and two meet at what it left",
        run: || for_every_death(Bounds::default(), false, dead_consumer),
        catches: &["byte-redelivery-untold"],
    },
    Model {
        name: "byte queue: who reads in place dies, and one who slept before gets the message",
        run: || for_every_death(Bounds::default(), false, dying_in_place),
        catches: &["byte-receive-untold"],
    },
    Model {
        name: "byte queue: two read in place, and the first of them dies",
        run: || check(Bounds::default(), two_in_place),
        catches: &["byte-passed-reader-forgotten", "byte-last-passed-only"],
    },
    Model {
        name: "byte queue: who has reserved dies, and the message behind reaches who waits",
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, dying_reserver),
        catches: &["byte-gap-not-passed"],
    },
    Model {
        name: "byte queue: two have reserved, one commits and the other dies, and the message behind arrives",
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, two_reservations),
        catches: &["byte-wake-only-one"],
    },
    Model {
        name: "byte queue: who watched a reserver runs out of time, another is told of its death",
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, watch_passed_on),
        catches: &["byte-watch-not-passed-on"],
    },
    Model {
        name: "byte queue: a reservation is given up, and the message behind reaches who waits",
        run: || check(Bounds::default(), given_up),
        catches: &["byte-abort-no-wake"],
    },
    Model {
        name: "byte queue: a message that is put back reaches who waits, and says so",
        run: || for_every_death(Bounds::default(), false, put_back),
        catches: &["byte-put-back-no-wake"],
    },
    Model {
        name: "byte queue: what was pushed before the end comes before the end",
        run: || check(Bounds::default(), closing),
        catches: &[],
    },
    Model {
        name: "byte queue: the end wakes all who wait",
        run: || check(Bounds::default(), end_of_nothing),
        catches: &["byte-close-no-wake"],
    },
    Model {
        name: "byte queue: the last message and the end reach two who wait",
        run: || check(Bounds::default(), last_message),
        catches: &[],
    },
    Model {
        name: "byte queue: a closer dies, and it is closed or not",
        run: || for_every_death(Bounds::default(), false, dying_closer),
        catches: &["byte-no-closed-watch"],
    },
];

const SMALL: usize = 8;
const LARGE: usize = 24;

fn queue(granules: usize) -> RawByteQueue {
    RawByteQueue::new(ByteRing::leak(granules))
}

type Got = Result<(u64, bool), ErrorKind>;

#[allow(unsafe_code)]
fn write(place: *mut u8, value: u64) {
    // SAFETY: a modelled message has at least 8 bytes, aligned.
    unsafe { place.cast::<u64>().write(value) }
}

#[allow(unsafe_code)]
fn read(place: *const u8) -> u64 {
    // SAFETY: as above.
    unsafe { place.cast::<u64>().read() }
}

fn put_by(q: &RawByteQueue, me: &Member, value: u64, len: usize, limit: Limit) -> Result<(), ErrorKind> {
    q.push_with(me, len, limit, |p| write(p, value)).map_err(|e| e.kind())
}

fn put(q: &RawByteQueue, me: &Member, value: u64) -> Result<(), ErrorKind> {
    put_by(q, me, value, SMALL, Limit::ForEver)
}

fn take_by(q: &RawByteQueue, me: &Member, limit: Limit) -> Got {
    match q.pop_with(me, LARGE, limit, |p, _| read(p)) {
        Ok(Popped::Taken(value, redelivered)) => Ok((value, redelivered)),
        Ok(Popped::TooLong(len)) => panic!("{len} bytes"),
        Err(e) => Err(e.kind()),
    }
}

fn take(q: &RawByteQueue, me: &Member) -> Got {
    take_by(q, me, Limit::ForEver)
}

fn try_take(q: &RawByteQueue, me: &Member) -> Got {
    take_by(q, me, Limit::Never)
}

/// Takes what is left.
fn drain(q: &RawByteQueue, me: &Member) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| try_take(q, me).ok()).collect()
}

/// A queue of `granules` that has been used: its next record begins at granule `at`.
fn queue_from(granules: usize, at: usize, me: &Member) -> RawByteQueue {
    let q = queue(granules);
    for _ in 0..at {
        put(&q, me, 0).expect("open");
        take(&q, me).expect("a message");
    }
    q
}

/// A thread that may die in one operation, and the step at which that commits.
struct Victim<T> {
    thread: Thread<T>,
    death: Death,
    commit: Rc<Cell<Option<usize>>>,
}

/// What a victim got done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Finished,
    /// It died before it had claimed a record, or right after that.
    Early,
    /// It died with a claimed record.
    Claimed,
    /// It died after its commit.
    Committed,
}

impl Fate {
    fn is_done(self) -> bool {
        matches!(self, Fate::Finished | Fate::Committed)
    }
}

impl Victim<()> {
    /// Pushes.
    fn push(place: &Place, death: Death, q: RawByteQueue, value: u64, len: usize) -> Self {
        let commit = Rc::new(Cell::new(None));
        let note = commit.clone();
        let thread = place.thread(death, move |me| {
            let fill = |p| {
                // The next step writes the length.
                note.set(Some(next_step() + 1));
                write(p, value);
            };
            q.push_with(me, len, Limit::ForEver, fill).expect("open")
        });
        Victim { thread, death, commit }
    }

    /// Pops.
    fn pop(place: &Place, death: Death, q: RawByteQueue) -> Self {
        let commit = Rc::new(Cell::new(None));
        let note = commit.clone();
        let thread = place.thread(death, move |me| {
            let drain = |p, _| {
                note.set(Some(next_step()));
                read(p);
            };
            q.pop_with(me, LARGE, Limit::ForEver, drain).expect("open");
        });
        Victim { thread, death, commit }
    }

    fn join(self) -> Fate {
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
    let q = queue(2);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 1).expect("open"));
    let me = place.member();
    assert_eq!(take(&q, &me), Ok((1, false)));
    producer.join();
    assert_eq!(try_take(&q, &me), Err(ErrorKind::Empty));
}

fn for_room() {
    let place = Place::new(2);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 3).expect("open"));
    assert_eq!(take(&q, &me), Ok((1, false)));
    producer.join();
    assert_eq!(drain(&q, &me), [(2, false), (3, false)]);
}

/// The large one does not fit at the end of four granules.
fn round() {
    let place = Place::new(2);
    let me = place.member();
    let q = queue_from(4, 2, &me);
    let producer = place.thread(Death::NEVER, move |me| {
        put(&q, me, 1).expect("open");
        put_by(&q, me, 2, LARGE, Limit::ForEver).expect("open");
        put(&q, me, 3).expect("open");
    });
    assert_eq!(take(&q, &me), Ok((1, false)));
    assert_eq!(take(&q, &me), Ok((2, false)));
    assert_eq!(take(&q, &me), Ok((3, false)));
    producer.join();
    assert_eq!(try_take(&q, &me), Err(ErrorKind::Empty));
    assert_eq!((q.len(), q.len_bytes()), (0, 0));
}

fn two_producers() {
    let place = Place::new(3);
    let me = place.member();
    let q = queue_from(4, 3, &me);
    let producer =
        place.thread(Death::NEVER, move |me| put_by(&q, me, 1, LARGE, Limit::ForEver).expect("open"));
    put(&q, &me, 2).expect("open");
    producer.join();
    let mut got = drain(&q, &me);
    got.sort_unstable();
    assert_eq!(got, [(1, false), (2, false)]);
    assert_eq!(q.len_bytes(), 0);
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

/// Two read one message each, in any order; the large one needs both freed.
fn large_and_two_readers() {
    let place = Place::new(4);
    let me = place.member();
    let q = queue(4);
    for value in 0..4 {
        put(&q, &me, value).expect("open");
    }
    let producer =
        place.thread(Death::NEVER, move |me| put_by(&q, me, 4, LARGE, Limit::ForEver).expect("open"));
    until_asleep(1);
    let other = place.thread(Death::NEVER, move |me| take(&q, me).expect("open"));
    let mine = take(&q, &me).expect("open");
    let mut got = vec![mine, other.join().finished().expect("it lives")];
    producer.join();
    got.sort_unstable();
    got.extend(drain(&q, &me));
    assert_eq!(got, [0, 1, 2, 3, 4].map(|n| (n, false)));
}

/// One granule becomes free: too little for the first in the kernel's queue.
fn large_and_small() {
    let place = Place::new(3);
    let me = place.member();
    let q = queue(4);
    for value in 0..4 {
        put(&q, &me, value).expect("open");
    }
    let large = place.thread(Death::NEVER, move |me| put_by(&q, me, 5, LARGE, Limit::ForEver).expect("open"));
    until_asleep(1);
    let small = place.thread(Death::NEVER, move |me| put(&q, me, 4).expect("open"));
    until_asleep(2);
    assert_eq!(take(&q, &me), Ok((0, false)));
    small.join();
    settle();
    for value in 1..4 {
        assert_eq!(take(&q, &me), Ok((value, false)));
    }
    large.join();
    assert_eq!(drain(&q, &me), [(4, false), (5, false)]);
}

/// Runs `between` while a record is reserved.
fn put_slowly(q: &RawByteQueue, me: &Member, value: u64, between: impl FnOnce()) {
    let claim = q.reserve(me, SMALL, Limit::ForEver).expect("open");
    between();
    write(q.room(&claim).0, value);
    q.commit(me, claim, SMALL).expect("ours");
}

/// Two takers, asleep; the caller sees to it that there is nothing to take.
fn two_sleepers(place: &Place, q: RawByteQueue) -> [Thread<Got>; 2] {
    let takers = [(); 2].map(|()| place.thread(Death::NEVER, move |me| take(&q, me)));
    until_asleep(2);
    takers
}

/// What two takers got, the messages first.
fn results(takers: Option<[Thread<Got>; 2]>) -> [Got; 2] {
    let mut got = takers.expect("started").map(|taker| taker.join().finished().expect("it lives"));
    got.sort_unstable_by_key(|got| (got.is_err(), got.ok()));
    got
}

/// Two sleep. The second message is published before the first, and the one who is told sleeps on; both are taken.
fn out_of_order() {
    let place = Place::new(4);
    let q = queue(4);
    let (slow, fast) = (place.member(), place.member());
    let takers = two_sleepers(&place, q);
    put_slowly(&q, &slow, 1, || put(&q, &fast, 2).expect("open"));
    assert_eq!(results(Some(takers)), [Ok((1, false)), Ok((2, false))]);
}

/// A consumer that has read the hint comes to its word when a producer of the next lap owns it, or has died in it.
fn stale_walk(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    let consumer = place.thread(Death::NEVER, move |me| try_take(&q, me));
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let mut got = vec![];
    got.extend(try_take(&q, &me));
    got.extend(try_take(&q, &me));
    let victim = Victim::push(&place, death, q, 3, SMALL);
    let fate = victim.join();
    got.extend(consumer.join().finished().expect("it lives"));
    got.extend(drain(&q, &me));
    got.sort_unstable();
    let expected: &[_] = if fate.is_done() { &[1, 2, 3] } else { &[1, 2] };
    assert_eq!(got.iter().map(|&(n, _)| n).collect::<Vec<_>>(), expected);
    settle();
    put_by(&q, &me, 4, SMALL, Limit::Never).expect("room");
    put_by(&q, &me, 5, SMALL, Limit::Never).expect("room");
    assert_eq!(drain(&q, &me), [(4, false), (5, false)]);
}

/// A message that was committed reaches a consumer without anybody's help; else there is nothing, and no harm.
fn dying_producer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    let victim = Victim::push(&place, death, q, 1, SMALL);
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
    assert_eq!(q.len_bytes(), 0);
}

/// The victim fills the lap's rest first; another pushes at the same time.
fn dying_over_the_end(death: Death) {
    let place = Place::new(3);
    let me = place.member();
    let q = queue_from(4, 3, &me);
    let victim = Victim::push(&place, death, q, 1, LARGE);
    put(&q, &me, 2).expect("open");
    let fate = victim.join();
    let mut got = drain(&q, &me);
    got.sort_unstable();
    let expected: &[_] = if fate.is_done() { &[(1, false), (2, false)] } else { &[(2, false)] };
    assert_eq!(got, expected);
    settle();
    // No room is lost.
    for value in 3..=5 {
        put_by(&q, &me, value, LARGE, Limit::Never).expect("room");
        assert_eq!(drain(&q, &me), [(value, false)]);
    }
    assert_eq!(q.len_bytes(), 0);
}

/// A producer and a consumer come upon a dead producer's record.
fn dead_producer(death: Death) {
    let place = Place::new(3);
    let q = queue(4);
    let me = place.member();
    let fate = Victim::push(&place, death, q, 1, LARGE).join();
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 2).expect("open"));
    let first = take(&q, &me).expect("open");
    producer.join();
    let got: Vec<_> = [first].into_iter().chain(drain(&q, &me)).collect();
    let expected: &[_] = if fate.is_done() { &[(1, false), (2, false)] } else { &[(2, false)] };
    assert_eq!(got, expected);
}

/// Nobody reads: two producers come upon the dead one's record, and one of them needs its room.
fn dead_producers_room(death: Death) {
    let place = Place::new(4);
    let q = queue(4);
    let me = place.member();
    let fate = Victim::push(&place, death, q, 1, LARGE).join();
    if fate.is_done() {
        assert_eq!(take(&q, &me), Ok((1, false)));
    }
    let other = place.thread(Death::NEVER, move |me| put_by(&q, me, 2, LARGE, Limit::Never));
    put_by(&q, &me, 3, LARGE, Limit::Never).expect("room");
    assert_eq!(other.join(), Outcome::Finished(Ok(())));
    let mut got = drain(&q, &me);
    got.sort_unstable();
    assert_eq!(got, [(2, false), (3, false)]);
}

/// Who waits for room gets it when the message was consumed; else the message is there for somebody else.
fn dying_reader(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let victim = Victim::pop(&place, death, q);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 3).expect("open"));
    if !victim.join().is_done() {
        settle();
        assert_eq!(try_take(&q, &me).map(|(n, _)| n), Ok(1));
    }
    producer.join();
    assert_eq!(drain(&q, &me), [(2, false), (3, false)]);
}

/// Another comes while the victim reads: it gets that message if the victim dies, and is told.
fn dying_consumer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let (commit, other) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    let victim = {
        let (commit, other, place) = (commit.clone(), other.clone(), place.clone());
        place.clone().thread(death, move |me| {
            let drain = |p, _| {
                other.set(Some(place.thread(Death::NEVER, move |me| take(&q, me))));
                commit.set(next_step());
                read(p);
            };
            q.pop_with(me, LARGE, Limit::ForEver, drain).expect("open");
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

/// Two consumers come upon a dead consumer's record.
fn dead_consumer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let fate = Victim::pop(&place, death, q).join();
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
        got[0].1 = false; // it may have claimed the record and died on the way
    }
    assert_eq!(got, expected);
    assert_eq!(drain(&q, &me), []);
}

/// Two sleep when there is nothing. The first is told of a message, takes it in place and dies over it, with nothing
/// pending: user code. The other one gets it, or what else is left.
fn dying_in_place(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    let victim = place.thread(death, move |me| {
        let claim = q.receive(me, Limit::ForEver).expect("open");
        pause();
        q.release(me, claim).expect("ours");
    });
    until_asleep_or_gone(1);
    let sleeper = place.thread(Death::NEVER, move |me| take(&q, me));
    until_asleep_or_gone(2);
    put(&q, &me, 1).expect("open");
    victim.join();
    reaches(&q, &me, sleeper);
}

/// The sleeper gets a message; only if there is none now, another one is put.
fn reaches(q: &RawByteQueue, me: &Member, sleeper: Thread<Got>) {
    settle();
    if q.is_empty() {
        put(q, me, 9).expect("open");
    }
    sleeper.join().finished().expect("it lives").expect("open");
}

/// Somebody of whom the main thread plays the part, until it is killed.
struct Puppet {
    place: Place,
    id: OwnerId,
    member: Member,
}

impl Puppet {
    fn new(place: &Place) -> Self {
        let id = place.join();
        Puppet { place: place.clone(), id, member: Member::modelled(place.table, id) }
    }

    fn kill(self) {
        self.place.thread_of(self.id, Death::AT_ONCE, |_| ()).join();
    }
}

/// A consumer passes two who read in place, and sleeps on both their lives; the first dies.
fn two_in_place() {
    let place = Place::new(3);
    let q = queue(4);
    let (first, second) = (Puppet::new(&place), place.member());
    put(&q, &second, 1).expect("open");
    put(&q, &second, 2).expect("open");
    let claims = [&first.member, &second].map(|me| q.receive(me, Limit::Never).expect("a message"));
    let sleeper = place.thread(Death::NEVER, move |me| take(&q, me));
    first.kill();
    assert_eq!(sleeper.join(), Outcome::Finished(Ok((1, true))));
    drop(claims);
}

/// Two messages stand behind the reservation, and two wait for them.
fn dying_reserver() {
    let place = Place::new(4);
    let q = queue(4);
    let (slow, fast) = (Puppet::new(&place), place.member());
    let _claim = q.reserve(&slow.member, SMALL, Limit::Never).expect("room");
    put(&q, &fast, 1).expect("open");
    put(&q, &fast, 2).expect("open");
    let takers = [(); 2].map(|()| place.thread(Death::NEVER, move |me| take(&q, me)));
    slow.kill();
    assert_eq!(results(Some(takers)), [Ok((1, false)), Ok((2, false))]);
}

/// Two sleep; then come two reservations and a message behind them, and one of the two is told. It gets the first
/// record, so the other one must have come to watch the second.
fn two_reservations() {
    let place = Place::new(5);
    let q = queue(4);
    let (first, second, third) = (place.member(), Puppet::new(&place), place.member());
    let takers = two_sleepers(&place, q);
    let [one, _two] = [&first, &second.member].map(|me| q.reserve(me, SMALL, Limit::Never).expect("room"));
    put(&q, &third, 3).expect("open");
    write(q.room(&one).0, 1);
    q.commit(&first, one, SMALL).expect("ours");
    second.kill();
    assert_eq!(results(Some(takers)), [Ok((1, false)), Ok((3, false))]);
}

/// Two sleep; then come a reservation and a message behind it. One is told, and has not the time to wait.
fn watch_passed_on() {
    let place = Place::new(4);
    let q = queue(4);
    let (slow, fast) = (Puppet::new(&place), place.member());
    let soon = Limit::Until(Deadline::from_monotonic_ns(1000));
    let hasty = place.thread(Death::NEVER, move |me| take_by(&q, me, soon));
    until_asleep(1);
    let patient = place.thread(Death::NEVER, move |me| take(&q, me));
    until_asleep(2);
    allow_timeouts(1);
    let _claim = q.reserve(&slow.member, SMALL, Limit::Never).expect("room");
    put(&q, &fast, 1).expect("open");
    assert_eq!(hasty.join(), Outcome::Finished(Err(ErrorKind::TimedOut)));
    slow.kill();
    assert_eq!(patient.join(), Outcome::Finished(Ok((1, false))));
}

/// The record in front is given up while two messages stand behind it, and two wait.
fn given_up() {
    let place = Place::new(4);
    let q = queue(4);
    let (slow, fast) = (place.member(), place.member());
    let claim = q.reserve(&slow, SMALL, Limit::Never).expect("room");
    put(&q, &fast, 1).expect("open");
    put(&q, &fast, 2).expect("open");
    let takers = two_sleepers(&place, q);
    q.abort(&slow, claim).expect("ours");
    assert_eq!(results(Some(takers)), [Ok((1, false)), Ok((2, false))]);
}

/// Another waits while the victim has the message.
fn put_back(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let victim = place.thread(death, move |me| {
        if let Ok(claim) = q.receive(me, Limit::Never) {
            q.put_back(me, claim).expect("ours");
        }
    });
    let other = place.thread(Death::NEVER, move |me| take(&q, me));
    let end = victim.join();
    let (value, redelivered) = other.join().finished().expect("it lives").expect("open");
    assert_eq!(value, 1);
    let _ = (redelivered, end);
    assert_eq!(drain(&q, &me), []);
}

/// A push that raced with the close is delivered if it succeeded, and the end comes after it.
fn closing() {
    let place = Place::new(3);
    let q = queue(2);
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
    let q = queue(2);
    let takers = two_sleepers(&place, q);
    q.close(&place.member());
    assert_eq!(results(Some(takers)), [Err(ErrorKind::Closed); 2]);
}

/// A push that is under way when the close comes, and two who wait for it.
fn last_message() {
    let place = Place::new(4);
    let q = queue(2);
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
    let q = queue(2);
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
