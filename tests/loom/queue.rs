//! [`RawQueue`] under all interleavings, with producers, consumers and closers killed at every step.
//!
//! A victim notes the step at which it commits: its next one when it has filled or drained the cell. The models that fit the
//! byte queue, too, are in `line`.

use crate::line::{self, Got, Line, drain, pushes, put, put_slowly, results, take, try_take, two_sleepers};
use crate::runner::Model;
use crate::support::{Place, Puppet, leak};
use interproc::ErrorKind;
use interproc::raw::member::Member;
use interproc::raw::queue::{RawQueue, Ring};
use interproc::raw::sync::{Acquired, RawMutex};
use interproc::sys::model::{
    Bounds, Death, Outcome, check, for_every_death, in_window, settle, until_asleep,
};
use std::cell::RefCell;
use std::rc::Rc;

pub const MODELS: &[Model] = &[
    Model {
        name: "queue: a consumer sleeps for a message",
        run: || check(Bounds::default(), line::for_a_message::<RawQueue>),
        catches: &["publish-no-wake", "relaxed-release"],
    },
    Model {
        name: "queue: a producer sleeps for room",
        run: || check(Bounds::default(), line::for_room::<RawQueue>),
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
        run: || check(Bounds::default(), line::two_consumers::<RawQueue>),
        catches: &[],
    },
    Model {
        name: "queue: what is published out of order reaches both who wait",
        run: || check(Bounds::default(), out_of_order),
        catches: &["publish-no-wake", "wake-only-one"],
    },
    Model {
        name: "queue: a producer dies, its consumer gets the message or the next one",
        run: || for_every_death(Bounds::default(), false, line::dying_producer::<RawQueue>),
        catches: &["no-cell-watch"],
    },
    Model {
        name: "queue: a producer is dead, and two meet at what it left",
        run: || for_every_death(Bounds::default(), false, dead_producer),
        catches: &["gap-not-passed"],
    },
    Model {
        name: "queue: a consumer dies, its producer gets room",
        run: || for_every_death(Bounds::default(), false, line::dying_reader::<RawQueue>),
        catches: &["no-cell-watch"],
    },
    Model {
        name: "queue: a consumer dies, another gets its message and is told",
        run: || for_every_death(Bounds::default(), false, line::dying_consumer::<RawQueue>),
        catches: &["redelivery-untold", "passed-reader-forgotten"],
    },
    Model {
        name: "queue: one keeps a message, another dies walking past it, and no other message is passed over",
        run: || {
            for_every_death(
                Bounds { preemptions: 2, ..Bounds::default() },
                false,
                line::kept_in_hand::<RawQueue>,
            )
        },
        catches: &["skip-too-far"],
    },
    Model {
        name: "queue: a consumer is dead, and two meet at what it left",
        run: || for_every_death(Bounds::default(), false, line::dead_consumer::<RawQueue>),
        catches: &["redelivery-untold"],
    },
    Model {
        name: "queue: what was pushed before the end comes before the end",
        run: || check(Bounds::default(), line::closing::<RawQueue>),
        catches: &[],
    },
    Model {
        name: "queue: the end wakes all who wait",
        run: || check(Bounds::default(), line::end_of_nothing::<RawQueue>),
        catches: &["close-no-wake"],
    },
    Model {
        name: "queue: the last message and the end reach two who wait",
        run: || check(Bounds::default(), line::last_message::<RawQueue>),
        catches: &[],
    },
    Model {
        name: "queue: a closer dies, and it is closed or not",
        run: || for_every_death(Bounds::default(), false, line::dying_closer::<RawQueue>),
        catches: &["no-closed-watch"],
    },
    Model {
        name: "queue: the end reaches who waits behind a reader that began before the close",
        run: || check(Bounds::default(), line::end_behind_a_reader::<RawQueue>),
        catches: &["end-behind-a-reader-untold"],
    },
    Model {
        name: "queue: a producer takes a dead one's cell of the lap before, and two wait for what is behind it",
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, written_over),
        catches: &["write-over-untold"],
    },
    Model {
        name: "queue: a producer takes a dead one's cell of the lap before, and another one waits for the next cell",
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, written_over_beside_a_producer),
        catches: &["write-over-producers-untold"],
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

impl Line for RawQueue {
    const LEAST: usize = 1;
    const LAG: usize = 0;

    fn of(capacity: usize) -> Self {
        queue(capacity)
    }

    #[allow(unsafe_code)]
    fn push(&self, me: &Member, value: u64, writing: impl FnOnce()) -> Result<(), ErrorKind> {
        let fill = |p: *mut u8| {
            writing();
            // SAFETY: a modelled cell holds a u64.
            unsafe { p.cast::<u64>().write(value) }
        };
        self.push_with(me, None, fill).map_err(|e| e.kind())
    }

    #[allow(unsafe_code)]
    fn pop(&self, me: &Member, wait: bool, reading: impl FnOnce()) -> Got {
        let drain = |p: *const u8| {
            reading();
            // SAFETY: a modelled cell holds a u64.
            unsafe { p.cast::<u64>().read() }
        };
        let popped = if wait { self.pop_with(me, None, drain) } else { self.try_pop_with(me, drain) };
        popped.map_err(|e| e.kind())
    }

    fn close(&self, me: &Member) {
        RawQueue::close(self, me);
    }

    fn is_closed(&self) -> bool {
        RawQueue::is_closed(self)
    }

    fn is_vacant(&self) -> bool {
        self.is_empty()
    }
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

/// A producer and a consumer come upon a dead producer's cell.
fn dead_producer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    let fate = pushes(&place, death, q, 1).join();
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 2).expect("open"));
    let first = take(&q, &me).expect("open");
    producer.join();
    let got: Vec<_> = [first].into_iter().chain(drain(&q, &me)).collect();
    let expected: &[_] = if fate.is_done() { &[(1, false), (2, false)] } else { &[(2, false)] };
    assert_eq!(got, expected);
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
    let victim = pushes(&place, death, other, 1);
    if !victim.join().is_done() {
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
    let victim = pushes(&place, death, q, 1);
    place.table.found_dead(owner.id());
    if !victim.join().is_done() {
        settle();
        put(&q, &owner, 1).expect("open");
    }
    assert_eq!(consumer.join(), Outcome::Finished(Ok((1, false))));
    settle();
    assert_eq!(heir.join(), Outcome::Finished(Acquired::OwnerDied));
}

/// A producer that had reserved the first cell of a full ring is dead. Another one takes that cell for the next lap, and two
/// consumers come before it says so.
fn written_over() {
    let place = Place::new(5);
    let q = queue(3);
    let (dead, me) = (Puppet::new(&place), place.member());
    q.reserve(&dead.member, None).expect("room");
    put(&q, &me, 2).expect("room");
    put(&q, &me, 3).expect("room");
    dead.kill();
    let takers = Rc::new(RefCell::new(None));
    let (note, there) = (takers.clone(), place.clone());
    in_window("Q-w", move || *note.borrow_mut() = Some(two_sleepers(&there, q)));
    put(&q, &me, 4).expect("open");
    assert_eq!(results(takers.take()), [Ok((2, false)), Ok((3, false))]);
    assert_eq!(drain(&q, &me), [(4, false)]);
}

/// Two that had reserved the cells of a ring are dead. A producer takes the first one for the next lap, and another producer comes
/// before it says so.
fn written_over_beside_a_producer() {
    let place = Place::new(5);
    let q = queue(2);
    let (first, second, me) = (Puppet::new(&place), Puppet::new(&place), place.member());
    q.reserve(&first.member, None).expect("room");
    q.reserve(&second.member, None).expect("room");
    first.kill();
    second.kill();
    let producer = Rc::new(RefCell::new(None));
    let (note, there) = (producer.clone(), place.clone());
    in_window("Q-w", move || {
        *note.borrow_mut() = Some(there.thread(Death::NEVER, move |me| put(&q, me, 2)));
        until_asleep(1);
    });
    put(&q, &me, 1).expect("open");
    let producer = producer.take().expect("somebody came by");
    assert_eq!(producer.join(), Outcome::Finished(Ok(())));
    assert_eq!(drain(&q, &me), [(1, false), (2, false)]);
}
