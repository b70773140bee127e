//! [`RawQueue`] under all interleavings, with producers, consumers and closers killed at every step.

use crate::runner::Model;
use crate::support::Place;
use interproc::ErrorKind;
use interproc::member::Member;
use interproc::queue::{RawQueue, Ring};
use interproc::sys::model::{Bounds, Death, Outcome, check, for_every_death};

pub const MODELS: &[Model] = &[
    Model {
        name: "queue: two messages go through one cell",
        run: || check(Bounds::default(), || through(1, 2)),
        catches: &["publish-no-wake", "relaxed-release"],
    },
    Model {
        name: "queue: two messages go through two cells",
        run: || check(Bounds::default(), || through(2, 2)),
        catches: &["publish-no-wake", "relaxed-release"],
    },
    Model {
        name: "queue: two producers and one consumer",
        run: || check(Bounds::default(), two_producers),
        catches: &["publish-no-wake"],
    },
    Model {
        name: "queue: one producer and two consumers",
        run: || check(Bounds::default(), two_consumers),
        catches: &["publish-no-wake"],
    },
    Model {
        name: "queue: who is woken too early does not keep the wake-up",
        run: || check(Bounds::default(), out_of_order),
        catches: &[],
    },
    Model {
        name: "queue: a producer may die anywhere",
        run: || for_every_death(Bounds::default(), false, dying_producer),
        catches: &["no-cell-watch", "gap-not-passed"],
    },
    Model {
        name: "queue: a producer may die anywhere before another",
        run: || for_every_death(Bounds::default(), false, dying_first_producer),
        catches: &["gap-not-passed", "no-owner-watch"],
    },
    Model {
        name: "queue: a consumer may die anywhere, with another after it",
        run: || for_every_death(Bounds::default(), false, dying_consumer),
        catches: &["redelivery-untold"],
    },
    Model {
        name: "queue: a consumer may die anywhere, with a producer waiting for room",
        run: || for_every_death(Bounds::default(), false, dying_reader),
        catches: &["no-cell-watch"],
    },
    Model {
        name: "queue: what was pushed before the end comes before the end",
        run: || check(Bounds::default(), closing),
        catches: &["close-no-wake"],
    },
    Model {
        name: "queue: both consumers learn of the end",
        run: || check(Bounds::default(), closing_for_two),
        catches: &["close-no-wake"],
    },
    Model {
        name: "queue: a closer may die anywhere",
        run: || for_every_death(Bounds::default(), false, dying_closer),
        catches: &[],
    },
    Model {
        name: "queue: a bell reaches the one whom it concerns",
        run: || for_every_death(Bounds::default(), false, two_queues),
        catches: &["bell-not-passed-on"],
    },
];

fn queue(capacity: usize) -> RawQueue {
    RawQueue::new(Ring::leak(capacity))
}

#[allow(unsafe_code)]
fn put(queue: &RawQueue, me: &Member, value: u64) -> Result<(), ErrorKind> {
    // SAFETY: a modelled cell holds a u64.
    queue.push_with(me, None, |p| unsafe { p.cast::<u64>().write(value) }).map_err(|e| e.kind())
}

#[allow(unsafe_code)]
fn take(queue: &RawQueue, me: &Member) -> Result<(u64, bool), ErrorKind> {
    // SAFETY: a modelled cell holds a u64.
    queue.pop_with(me, None, |p| unsafe { p.cast::<u64>().read() }).map_err(|e| e.kind())
}

#[allow(unsafe_code)]
fn try_take(queue: &RawQueue, me: &Member) -> Result<(u64, bool), ErrorKind> {
    // SAFETY: a modelled cell holds a u64.
    queue.try_pop_with(me, |p| unsafe { p.cast::<u64>().read() }).map_err(|e| e.kind())
}

/// Takes what is left.
fn drain(queue: &RawQueue, me: &Member) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| try_take(queue, me).ok()).collect()
}

fn through(capacity: usize, messages: u64) {
    let place = Place::new(2);
    let q = queue(capacity);
    let producer = place.thread(Death::NEVER, move |me| {
        for n in 1..=messages {
            put(&q, me, n).expect("open");
        }
    });
    let me = place.member();
    for n in 1..=messages {
        assert_eq!(take(&q, &me), Ok((n, false)));
    }
    producer.join();
    assert_eq!(try_take(&q, &me), Err(ErrorKind::Empty));
}

fn two_producers() {
    let place = Place::new(3);
    let q = queue(1);
    let producers: Vec<_> =
        (1..=2).map(|n| place.thread(Death::NEVER, move |me| put(&q, me, n).expect("open"))).collect();
    let me = place.member();
    let mut got = [take(&q, &me), take(&q, &me)].map(|r| r.expect("open").0);
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
    for producer in producers {
        producer.join();
    }
}

fn two_consumers() {
    let place = Place::new(3);
    let q = queue(2);
    let consumers: Vec<_> =
        (0..2).map(|_| place.thread(Death::NEVER, move |me| take(&q, me).expect("open").0)).collect();
    let me = place.member();
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let mut got: Vec<_> = consumers.into_iter().map(|c| c.join().finished()).collect();
    got.sort_unstable();
    assert_eq!(got, [Some(1), Some(2)]);
}

/// What the victim pushed is there, or is not; the consumer gets it, or what is pushed later.
fn dying_producer(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let victim = place.thread(death, move |me| put(&q, me, 1).expect("open"));
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me).expect("open"));
    let end = victim.join();
    let me = place.member();
    if end == Outcome::Died && q.is_empty() {
        // Taken, or never published: then the consumer may still wait, and another may push.
        put(&q, &me, 2).expect("open");
        let got = consumer.join().finished().expect("it lives");
        let left = drain(&q, &me);
        match got {
            (1, false) => assert_eq!(left, [(2, false)]),
            (2, false) => assert_eq!(left, []),
            other => panic!("{other:?}"),
        }
    } else {
        // It is there: nobody needs to help.
        assert_eq!(consumer.join(), Outcome::Finished((1, false)));
        assert_eq!(drain(&q, &me), []);
    }
}

/// A gap that a dead producer leaves holds nobody up.
fn dying_first_producer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let victim = place.thread(death, move |me| put(&q, me, 1).expect("open"));
    let other = place.thread(Death::NEVER, move |me| put(&q, me, 2).expect("open"));
    let me = place.member();
    let first = take(&q, &me).expect("open");
    other.join();
    let end = victim.join();
    let mut got: Vec<_> = [first].into_iter().chain(drain(&q, &me)).collect();
    got.sort_unstable();
    match (got.as_slice(), end) {
        ([(1, false), (2, false)], _) | ([(2, false)], Outcome::Died) => {}
        other => panic!("{other:?}"),
    }
}

/// The victim takes, or dies; what it had taken and not finished is told to be redelivered.
fn dying_consumer(death: Death) {
    let place = Place::new(3);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let victim = place.thread(death, move |me| take(&q, me).expect("open"));
    let other = place.thread(Death::NEVER, move |me| take(&q, me).expect("open"));
    put(&q, &me, 2).expect("open");
    let end = victim.join();
    if end == Outcome::Died && q.is_empty() {
        put(&q, &me, 3).expect("open");
    }
    let got = other.join().finished().expect("it lives");
    let left = drain(&q, &me);
    match end {
        Outcome::Finished(his) => {
            let mut both = [his, got];
            both.sort_unstable();
            assert_eq!((both, left.len()), ([(1, false), (2, false)], 0));
        }
        Outcome::Died => {
            // At most the one that it had, and each once; only a first copy may be missing its flag.
            let mut all: Vec<_> = [got].into_iter().chain(left).map(|(n, _)| n).collect();
            all.sort_unstable();
            all.retain(|&n| n != 3);
            assert!(all.len() >= 1 && all.windows(2).all(|w| w[0] < w[1]), "{all:?}");
        }
    }
}

/// A full queue whose reader dies makes room.
fn dying_reader(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let victim = place.thread(death, move |me| take(&q, me).expect("open"));
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 2).expect("open"));
    let end = victim.join();
    let mut got = Vec::new();
    if end == Outcome::Died {
        // Not taken, or half taken: then there is no room, and it is for us to take it.
        if let Ok(first) = try_take(&q, &me) {
            got.push(first);
        }
    }
    producer.join();
    got.extend(drain(&q, &me));
    match end {
        Outcome::Finished(his) => assert_eq!((his, got.as_slice()), ((1, false), [(2, false)].as_slice())),
        Outcome::Died => assert!(matches!(got.as_slice(), [(1, _), (2, false)] | [(2, false)]), "{got:?}"),
    }
}

/// A push that raced with the close is delivered if it succeeded, and the end comes after it.
fn closing() {
    let place = Place::new(3);
    let q = queue(1);
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 1));
    let consumer = place.thread(Death::NEVER, move |me| {
        let first = take(&q, me);
        if first.is_ok() {
            assert_eq!(take(&q, me), Err(ErrorKind::Closed));
        }
        first
    });
    q.close(&place.member());
    let pushed = producer.join().finished().expect("it lives");
    let got = consumer.join().finished().expect("it lives");
    match pushed {
        Ok(()) => assert_eq!(got, Ok((1, false))),
        Err(kind) => assert_eq!((kind, got), (ErrorKind::Closed, Err(ErrorKind::Closed))),
    }
}

/// The last message and the end, for two who wait.
fn closing_for_two() {
    let place = Place::new(3);
    let q = queue(1);
    let consumers: Vec<_> = (0..2).map(|_| place.thread(Death::NEVER, move |me| take(&q, me))).collect();
    let me = place.member();
    put(&q, &me, 1).expect("open");
    q.close(&me);
    let mut got: Vec<_> = consumers.into_iter().map(|c| c.join().finished().expect("it lives")).collect();
    got.sort_unstable_by_key(Result::is_err);
    assert_eq!(got, [Ok((1, false)), Err(ErrorKind::Closed)]);
}

/// A close that was begun is seen by all, or by none.
fn dying_closer(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let victim = place.thread(death, move |me| q.close(me));
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    let me = place.member();
    if victim.join() == Outcome::Died && !q.is_closed() {
        put(&q, &me, 1).expect("open");
        assert_eq!(consumer.join(), Outcome::Finished(Ok((1, false))));
    } else {
        assert_eq!(consumer.join(), Outcome::Finished(Err(ErrorKind::Closed)));
    }
}

/// Two queues in one segment: the bell for one is heard by who sleeps at the other, and passed on.
fn two_queues(death: Death) {
    let place = Place::new(3);
    let (mine, other) = (queue(1), queue(1));
    let bystander = place.thread(Death::NEVER, move |me| take(&mine, me).expect("open"));
    let victim = place.thread(death, move |me| put(&other, me, 1).expect("open"));
    let me = place.member();
    // Whoever pushes, it must come to us.
    let helper = place.join();
    let _ = helper;
    let end = victim.join();
    if end == Outcome::Died && other.is_empty() {
        put(&other, &me, 1).expect("open");
    }
    assert_eq!(take(&other, &me), Ok((1, false)));
    put(&mine, &me, 2).expect("open");
    bystander.join();
}

/// The second message is published before the first; both are taken.
fn out_of_order() {
    let place = Place::new(4);
    let q = queue(2);
    let (slow, fast) = (place.member(), place.member());
    let mut consumers = Vec::new();
    #[allow(unsafe_code)]
    // SAFETY: a modelled cell holds a u64.
    q.push_with(&slow, None, |p| unsafe {
        for _ in 0..2 {
            consumers.push(place.thread(Death::NEVER, move |me| take(&q, me).expect("open").0));
        }
        put(&q, &fast, 2).expect("open");
        p.cast::<u64>().write(1);
    })
    .expect("open");
    let mut got: Vec<_> = consumers.into_iter().map(|c| c.join().finished()).collect();
    got.sort_unstable();
    assert_eq!(got, [Some(1), Some(2)]);
}
