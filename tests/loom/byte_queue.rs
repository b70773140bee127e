//! [`RawByteQueue`] under all interleavings, with producers, consumers and closers killed at every step.
//!
//! A modelled granule has 16 bytes: a message of 8 bytes takes one, of 9 to 24 bytes two. Its first 8 bytes are its
//! number. The models that fit the queue, too, are in `line`.

use crate::line::{
    self, Got, Line, Victim, drain, pushes, put, put_slowly, results, take, try_take, two_sleepers,
};
use crate::runner::Model;
use crate::support::{Place, Puppet};
use interproc::Wait;
use interproc::raw::member::Member;
use interproc::raw::queue::{ByteRing, Popped, RawByteQueue};
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
        run: || check(Bounds::default(), line::for_a_message::<RawByteQueue>),
        catches: &["publish-no-wake", "byte-relaxed-release"],
    },
    Model {
        name: "byte queue: a producer sleeps for room",
        run: || check(Bounds::default(), line::for_room::<RawByteQueue>),
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
        run: || check(Bounds::default(), line::two_consumers::<RawByteQueue>),
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
        name: "byte queue: a full ring moves on while two producers come, and no record lies over another",
        run: || check(Bounds { preemptions: 3, ..Bounds::default() }, full_ring_moves_on),
        catches: &["byte-lap-looked-once"],
    },
    Model {
        name: "byte queue: a reader has the same granules again a lap later, and a slow producer leaves them to it",
        run: || check(Bounds { preemptions: 3, ..Bounds::default() }, reader_again),
        catches: &["byte-round-replaced"],
    },
    Model {
        name: "byte queue: a producer dies, its consumer gets the message or the next one",
        run: || for_every_death(Bounds::default(), false, line::dying_producer::<RawByteQueue>),
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
        run: || for_every_death(Bounds::default(), false, line::dying_reader::<RawByteQueue>),
        catches: &["byte-no-cell-watch"],
    },
    Model {
        name: "byte queue: a consumer dies, another gets its message and is told",
        run: || for_every_death(Bounds::default(), false, line::dying_consumer::<RawByteQueue>),
        catches: &["byte-redelivery-untold", "byte-passed-reader-forgotten"],
    },
    Model {
        name: "byte queue: one keeps a message, another dies walking past it, and no other message is passed over",
        run: || {
            for_every_death(
                Bounds { preemptions: 2, ..Bounds::default() },
                false,
                line::kept_in_hand::<RawByteQueue>,
            )
        },
        catches: &["skip-too-far"],
    },
    Model {
        name: "byte queue: a consumer is dead, and two meet at what it left",
        run: || for_every_death(Bounds::default(), false, line::dead_consumer::<RawByteQueue>),
        catches: &["byte-redelivery-untold"],
    },
    Model {
        name: "byte queue: who reads in place dies, and one who slept before gets the message",
        run: || for_every_death(Bounds::default(), false, dying_in_place),
        catches: &["byte-borrow-untold"],
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
        catches: &["byte-put-back-no-wake", "byte-redelivery-untold"],
    },
    Model {
        name: "byte queue: what was pushed before the end comes before the end",
        run: || check(Bounds::default(), line::closing::<RawByteQueue>),
        catches: &[],
    },
    Model {
        name: "byte queue: the end wakes all who wait",
        run: || check(Bounds::default(), line::end_of_nothing::<RawByteQueue>),
        catches: &["close-no-wake"],
    },
    Model {
        name: "byte queue: the last message and the end reach two who wait",
        run: || check(Bounds::default(), line::last_message::<RawByteQueue>),
        catches: &[],
    },
    Model {
        name: "byte queue: a closer dies, and it is closed or not",
        run: || for_every_death(Bounds::default(), false, line::dying_closer::<RawByteQueue>),
        catches: &["no-closed-watch"],
    },
    Model {
        name: "byte queue: the end reaches who waits behind a reader that began before the close",
        run: || check(Bounds::default(), line::end_behind_a_reader::<RawByteQueue>),
        catches: &["end-behind-a-reader-untold"],
    },
    Model {
        name: "byte queue: a close beside a reader, and one who waits for the end",
        run: || check(Bounds { preemptions: 3, ..Bounds::default() }, close_beside_a_reader),
        catches: &["end-behind-a-reader-untold"],
    },
];

const SMALL: usize = 8;
const LARGE: usize = 24;

fn queue(granules: usize) -> RawByteQueue {
    RawByteQueue::new(ByteRing::leak(granules))
}

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

impl Line for RawByteQueue {
    const LEAST: usize = 2;
    /// The next step writes the length.
    const LAG: usize = 1;

    fn of(capacity: usize) -> Self {
        queue(capacity)
    }

    fn push(&self, me: &Member, value: u64, writing: impl FnOnce()) -> Result<(), ErrorKind> {
        let fill = |p| {
            writing();
            write(p, value);
        };
        self.push_with(me, SMALL, Wait::ForEver, fill).map_err(|e| e.kind())
    }

    fn pop(&self, me: &Member, wait: bool, reading: impl FnOnce()) -> Got {
        take_by(self, me, if wait { Wait::ForEver } else { Wait::Never }, reading)
    }

    fn close(&self, me: &Member) {
        RawByteQueue::close(self, me);
    }

    fn is_closed(&self) -> bool {
        RawByteQueue::is_closed(self)
    }

    fn is_vacant(&self) -> bool {
        self.len_bytes() == 0
    }
}

fn put_by(q: &RawByteQueue, me: &Member, value: u64, len: usize, limit: Wait) -> Result<(), ErrorKind> {
    q.push_with(me, len, limit, |p| write(p, value)).map_err(|e| e.kind())
}

#[allow(unsafe_code)]
fn take_by(q: &RawByteQueue, me: &Member, limit: Wait, reading: impl FnOnce()) -> Got {
    let drain = |p: *const u8, _| {
        reading();
        // SAFETY: a modelled message has at least 8 bytes, aligned.
        unsafe { p.cast::<u64>().read() }
    };
    match q.pop_with(me, LARGE, limit, drain) {
        Ok(Popped::Taken(value, redelivered)) => Ok((value, redelivered)),
        Ok(Popped::TooLong(len)) => panic!("{len} bytes"),
        Err(e) => Err(e.kind()),
    }
}

/// A victim that pushes a large one.
fn pushes_large(place: &Place, death: Death, q: RawByteQueue, value: u64) -> Victim<()> {
    Victim::new(place, death, move |me, commit| {
        let fill = |p| {
            commit.set(Some(next_step() + RawByteQueue::LAG));
            write(p, value);
        };
        q.push_with(me, LARGE, Wait::ForEver, fill).expect("open");
    })
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

/// The large one does not fit at the end of four granules.
fn round() {
    let place = Place::new(2);
    let me = place.member();
    let q = queue_from(4, 2, &me);
    let producer = place.thread(Death::NEVER, move |me| {
        put(&q, me, 1).expect("open");
        put_by(&q, me, 2, LARGE, Wait::ForEver).expect("open");
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
        place.thread(Death::NEVER, move |me| put_by(&q, me, 1, LARGE, Wait::ForEver).expect("open"));
    put(&q, &me, 2).expect("open");
    producer.join();
    let mut got = drain(&q, &me);
    got.sort_unstable();
    assert_eq!(got, [(1, false), (2, false)]);
    assert_eq!(q.len_bytes(), 0);
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
        place.thread(Death::NEVER, move |me| put_by(&q, me, 4, LARGE, Wait::ForEver).expect("open"));
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
    let large = place.thread(Death::NEVER, move |me| put_by(&q, me, 5, LARGE, Wait::ForEver).expect("open"));
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
    let victim = pushes(&place, death, q, 3);
    let fate = victim.join();
    got.extend(consumer.join().finished().expect("it lives"));
    got.extend(drain(&q, &me));
    got.sort_unstable();
    let expected: &[_] = if fate.is_done() { &[1, 2, 3] } else { &[1, 2] };
    assert_eq!(got.iter().map(|&(n, _)| n).collect::<Vec<_>>(), expected);
    settle();
    put_by(&q, &me, 4, SMALL, Wait::Never).expect("room");
    put_by(&q, &me, 5, SMALL, Wait::Never).expect("room");
    assert_eq!(drain(&q, &me), [(4, false), (5, false)]);
}

/// The first record is in hand, so the ring is full, though all behind it is read. It is given back, and a large message pushed,
/// while another pushes a small one: who has seen the word of the record in hand must not take it for one of the next lap.
fn full_ring_moves_on() {
    let place = Place::new(2);
    let me = place.member();
    let q = queue(4);
    for len in [SMALL, LARGE, SMALL] {
        put_by(&q, &me, 0, len, Wait::Never).expect("room");
    }
    let first = q.borrow(&me, Wait::Never).expect("a message");
    drain(&q, &me);
    let small = place.thread(Death::NEVER, move |me| put_by(&q, me, 3, SMALL, Wait::Never).is_ok());
    q.release(&me, first).expect("in hand");
    let large = put_by(&q, &me, 4, LARGE, Wait::Never).is_ok();
    let small = small.join().finished().expect("it lives");
    let mut got: Vec<_> = drain(&q, &me).into_iter().map(|(n, _)| n).collect();
    got.sort_unstable();
    let expected: Vec<_> = [(3, small), (4, large)].into_iter().filter(|e| e.1).map(|e| e.0).collect();
    assert_eq!(got, expected);
    // No room is lost, and no message is behind what nobody comes by.
    for value in 5..=8 {
        put_by(&q, &me, value, SMALL, Wait::Never).expect("room");
        assert_eq!(drain(&q, &me), [(value, false)]);
    }
}

/// One reads and frees, and reads what was written into the same granules a lap later; a slow producer has looked before.
fn reader_again() {
    let place = Place::new(3);
    let (me, writer) = (place.member(), place.member());
    let q = queue(2);
    put(&q, &me, 1).expect("room");
    put(&q, &me, 2).expect("room");
    let first = q.borrow(&me, Wait::Never).expect("a message");
    drain(&q, &me); // behind it, so the ring is full yet
    let slow = place.thread(Death::NEVER, move |me| put_by(&q, me, 3, SMALL, Wait::Never).is_ok());
    q.release(&me, first).expect("in hand");
    let pushed = put_by(&q, &writer, 4, SMALL, Wait::Never).is_ok();
    let mut got = vec![];
    if let Ok(claim) = q.borrow(&me, Wait::Never) {
        got.push(read(q.message(&claim).0));
        q.release(&me, claim).expect("still in hand");
    }
    let slow = slow.join().finished().expect("it lives");
    got.extend(drain(&q, &me).into_iter().map(|(n, _)| n));
    got.sort_unstable();
    let expected: Vec<_> = [(3, slow), (4, pushed)].into_iter().filter(|e| e.1).map(|e| e.0).collect();
    assert_eq!(got, expected);
}

/// The victim fills the lap's rest first; another pushes at the same time.
fn dying_over_the_end(death: Death) {
    let place = Place::new(3);
    let me = place.member();
    let q = queue_from(4, 3, &me);
    let victim = pushes_large(&place, death, q, 1);
    put(&q, &me, 2).expect("open");
    let fate = victim.join();
    let mut got = drain(&q, &me);
    got.sort_unstable();
    let expected: &[_] = if fate.is_done() { &[(1, false), (2, false)] } else { &[(2, false)] };
    assert_eq!(got, expected);
    settle();
    // No room is lost.
    for value in 3..=5 {
        put_by(&q, &me, value, LARGE, Wait::Never).expect("room");
        assert_eq!(drain(&q, &me), [(value, false)]);
    }
    assert_eq!(q.len_bytes(), 0);
}

/// A producer and a consumer come upon a dead producer's record.
fn dead_producer(death: Death) {
    let place = Place::new(3);
    let q = queue(4);
    let me = place.member();
    let fate = pushes_large(&place, death, q, 1).join();
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
    let fate = pushes_large(&place, death, q, 1).join();
    if fate.is_done() {
        assert_eq!(take(&q, &me), Ok((1, false)));
    }
    let other = place.thread(Death::NEVER, move |me| put_by(&q, me, 2, LARGE, Wait::Never));
    put_by(&q, &me, 3, LARGE, Wait::Never).expect("room");
    assert_eq!(other.join(), Outcome::Finished(Ok(())));
    let mut got = drain(&q, &me);
    got.sort_unstable();
    assert_eq!(got, [(2, false), (3, false)]);
}

/// Two sleep when there is nothing. The first is told of a message, takes it in place and dies over it, with nothing
/// pending: user code. The other one gets it, or what else is left.
fn dying_in_place(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    let victim = place.thread(death, move |me| {
        let claim = q.borrow(me, Wait::ForEver).expect("open");
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

/// A consumer passes two who read in place, and sleeps on both their lives; the first dies.
fn two_in_place() {
    let place = Place::new(3);
    let q = queue(4);
    let (first, second) = (Puppet::new(&place), place.member());
    put(&q, &second, 1).expect("open");
    put(&q, &second, 2).expect("open");
    let claims = [&first.member, &second].map(|me| q.borrow(me, Wait::Never).expect("a message"));
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
    let _claim = q.reserve(&slow.member, SMALL, Wait::Never).expect("room");
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
    let [one, _two] = [&first, &second.member].map(|me| q.reserve(me, SMALL, Wait::Never).expect("room"));
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
    let soon = Wait::Until(Deadline::from_monotonic_ns(1000));
    let hasty = place.thread(Death::NEVER, move |me| take_by(&q, me, soon, || ()));
    until_asleep(1);
    let patient = place.thread(Death::NEVER, move |me| take(&q, me));
    until_asleep(2);
    allow_timeouts(1);
    let _claim = q.reserve(&slow.member, SMALL, Wait::Never).expect("room");
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
    let claim = q.reserve(&slow, SMALL, Wait::Never).expect("room");
    put(&q, &fast, 1).expect("open");
    put(&q, &fast, 2).expect("open");
    let takers = two_sleepers(&place, q);
    q.abort(&slow, claim).expect("ours");
    assert_eq!(results(Some(takers)), [Ok((1, false)), Ok((2, false))]);
}

/// Another waits while the victim has the message, and gets it after it: it is told so.
fn put_back(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let held = Rc::new(Cell::new(false));
    let note = held.clone();
    let victim = place.thread(death, move |me| {
        let claim = q.borrow(me, Wait::Never).map_err(|e| e.kind())?;
        note.set(true);
        q.put_back(me, claim).map_err(|e| e.kind())
    });
    let other = place.thread(Death::NEVER, move |me| take(&q, me));
    let end = victim.join();
    let (value, redelivered) = other.join().finished().expect("it lives").expect("open");
    assert_eq!(value, 1);
    match end {
        Outcome::Finished(Ok(())) => assert!(redelivered, "it was put back"),
        // The other was faster.
        Outcome::Finished(Err(kind)) => assert_eq!((kind, redelivered), (ErrorKind::Empty, false)),
        Outcome::Died if held.get() => assert!(redelivered, "it was in the victim's hands"),
        // It may have claimed the message and died on the way.
        Outcome::Died => {}
    }
    assert_eq!(drain(&q, &me), []);
    assert!(q.is_vacant());
}

fn close_beside_a_reader() {
    let place = Place::new(4);
    let me = place.member();
    let q = queue(2);
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let reader = place.thread(Death::NEVER, move |me| try_take(&q, me));
    q.close(&me);
    let mut got = vec![];
    while let Ok(message) = take(&q, &me) {
        got.push(message);
    }
    got.extend(reader.join().finished().expect("it lives"));
    got.sort_unstable();
    assert_eq!(got, [(1, false), (2, false)]);
}
