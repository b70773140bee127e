//! [`RawBroadcast`] under all interleavings, with publishers and subscribers killed at every step.

use crate::runner::Model;
use crate::support::Place;
use interproc::raw::member::Member;
use interproc::raw::queue::{BroadcastPlace, RawBroadcast, RawPublisher, RawSubscriber, Since, Slow};
use interproc::sys::model::{
    Bounds, Death, Outcome, catch_up, check, for_every_death, settle, until_asleep, until_asleep_or_gone,
};
use interproc::{ErrorKind, Wait};
use std::sync::{Arc, Mutex};

pub const MODELS: &[Model] = &[
    Model {
        name: "broadcast: one that waits gets every message as it was published",
        run: || check(two(), || through(false)),
        catches: &["broadcast-relaxed", "publish-no-wake"],
    },
    Model {
        name: "broadcast: one that waits gets every message of the only publisher",
        run: || check(two(), || through(true)),
        catches: &["publish-no-wake"],
    },
    Model {
        name: "broadcast: one that lags gets no message for another",
        run: || check(two(), lags),
        catches: &["broadcast-unchecked", "broadcast-unclaimed"],
    },
    Model {
        name: "broadcast: one that joins beside a publisher is waited for",
        run: || check(two(), joins),
        catches: &["broadcast-joins-unseen"],
    },
    Model {
        name: "broadcast: one that joins is not overrun by a ring and more",
        run: || check(Bounds { preemptions: 3, ..Bounds::default() }, overruns),
        catches: &["broadcast-joiner-unsettled"],
    },
    Model {
        name: "broadcast: a publisher may die anywhere, a subscriber asleep gets what is there and the next one's message",
        run: || for_every_death(two(), false, |death| publisher_dies(death, false)),
        catches: &["broadcast-desk-kept"],
    },
    Model {
        name: "broadcast: the only publisher may die anywhere, a subscriber asleep or about to gets what is there",
        run: || for_every_death(two(), false, |death| publisher_dies(death, true)),
        catches: &["broadcast-publisher-unwatched"],
    },
    Model {
        name: "broadcast: a subscriber may die anywhere, a publisher that waits for it goes on",
        run: || for_every_death(two(), false, subscriber_dies),
        catches: &["broadcast-subscriber-unwatched"],
    },
    Model {
        name: "broadcast: one that leaves may die anywhere, a publisher that waits for it goes on",
        run: || for_every_death(two(), false, leaver_dies),
        catches: &[],
    },
    Model {
        name: "broadcast: who closes may die anywhere, a subscriber hears of the end",
        run: || for_every_death(two(), false, closer_dies),
        catches: &["close-no-wake"],
    },
];

fn two() -> Bounds {
    Bounds { preemptions: 2, ..Bounds::default() }
}

fn news(capacity: u32) -> RawBroadcast {
    RawBroadcast::new(BroadcastPlace::leak(capacity, 2))
}

#[allow(unsafe_code)]
fn publish(b: &RawBroadcast, me: &Member, value: u64, wait: Wait) -> Result<u64, ErrorKind> {
    // SAFETY: a modelled message is a u64.
    unsafe { b.publish(me, (&raw const value).cast(), 8, wait) }.map_err(|e| e.kind())
}

#[allow(unsafe_code)]
fn publish_alone(p: &mut RawPublisher, me: &Member, value: u64, wait: Wait) -> Result<u64, ErrorKind> {
    if p.next().is_none() {
        p.make_room(me, wait).map_err(|e| e.kind())?;
    }
    let at = p.next().expect("room was made");
    // SAFETY: a modelled message is a u64.
    unsafe { p.broadcast().place().copy_in(at, (&raw const value).cast(), 8) };
    Ok(p.publish(8))
}

#[allow(unsafe_code)]
fn recv(s: &mut RawSubscriber, me: &Member, wait: Wait) -> Result<u64, ErrorKind> {
    let mut value = 0u64;
    let copy = |s: &RawSubscriber, at, _| {
        // SAFETY: a modelled message is a u64.
        unsafe { s.broadcast().place().copy_out(at, (&raw mut value).cast(), 8) };
        Ok(())
    };
    s.next(me, wait, copy).map_err(|e| e.kind())?;
    Ok(value)
}

fn through(alone: bool) {
    let place = Place::new(3);
    let b = news(2);
    let me = place.member();
    let mut mine = b.subscribe(&me, Slow::Waits, Since::Now).expect("a seat");
    let publishes = place.thread(Death::NEVER, move |me| {
        let mut publisher = alone.then(|| RawPublisher::new(b, me, Wait::ForEver).expect("nobody publishes"));
        for value in 10..13 {
            let done = match &mut publisher {
                Some(publisher) => publish_alone(publisher, me, value, Wait::ForEver),
                None => publish(&b, me, value, Wait::ForEver),
            };
            assert_eq!(done, Ok(value - 10));
        }
        publisher.iter_mut().for_each(|publisher| publisher.leave(me));
    });
    for value in 10..13 {
        assert_eq!(recv(&mut mine, &me, Wait::ForEver), Ok(value));
    }
    assert_eq!(publishes.join(), Outcome::Finished(()));
}

/// Each message says its position.
fn lags() {
    let place = Place::new(3);
    let b = news(2);
    let me = place.member();
    let mut lazy = b.subscribe(&me, Slow::Lags, Since::Now).expect("a seat");
    publish(&b, &me, 0, Wait::Never).expect("nobody is waited for");
    let publishes = place.thread(Death::NEVER, move |me| {
        for value in 1..4 {
            assert_eq!(publish(&b, me, value, Wait::Never), Ok(value));
        }
    });
    let mut next = 0;
    for _ in 0..2 {
        if let Ok(value) = recv(&mut lazy, &me, Wait::Never) {
            assert_eq!(value, next + lazy.take_missed(), "a message for another");
            next = value + 1;
        }
    }
    publishes.join();
}

/// The publisher publishes as long as it need not wait.
fn joins() {
    let place = Place::new(3);
    let b = news(2);
    let me = place.member();
    // There is room for one more before the next look at the subscribers.
    (0..3).for_each(|value| _ = publish(&b, &me, value, Wait::Never).expect("nobody is waited for"));
    let publishes = place.thread(Death::NEVER, move |me| {
        for value in 3..6 {
            if publish(&b, me, value, Wait::Never) != Ok(value) {
                return;
            }
        }
    });
    let mut mine = b.subscribe(&me, Slow::Waits, Since::Last(2)).expect("a seat");
    let first = mine.position();
    let mut next = first;
    while let Ok(value) = recv(&mut mine, &me, Wait::Never) {
        assert_eq!(value, next, "it was not waited for");
        next += 1;
    }
    publishes.join();
}

/// The publisher goes round the ring while somebody joins.
fn overruns() {
    let place = Place::new(3);
    let b = news(2);
    let me = place.member();
    let publishes = place.thread(Death::NEVER, move |me| {
        for value in 0..9 {
            if publish(&b, me, value, Wait::Never) != Ok(value) {
                return;
            }
        }
    });
    let mut mine = b.subscribe(&me, Slow::Waits, Since::Now).expect("a seat");
    publishes.join();
    settle();
    let mut next = mine.position();
    while let Ok(value) = recv(&mut mine, &me, Wait::Never) {
        assert_eq!(value, next, "it was overrun");
        next += 1;
    }
}

/// What a subscriber has received, from which position on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(Option<u64>, Vec<u64>)>>);

fn publisher_dies(death: Death, alone: bool) {
    let place = Place::new(4);
    let (b, log) = (news(2), Log::default());
    let theirs = log.clone();
    let listens = place.thread(Death::NEVER, move |me| {
        let mut mine = b.subscribe(me, Slow::Waits, Since::Now).expect("a seat");
        theirs.0.lock().expect("log").0 = Some(mine.position());
        while let Ok(value) = recv(&mut mine, me, Wait::ForEver) {
            theirs.0.lock().expect("log").1.push(value);
        }
    });
    if !alone {
        until_asleep(1);
    }
    let publishes = place.thread(death, move |me| {
        if !alone {
            return publish(&b, me, 1, Wait::Never).map(drop).expect("room");
        }
        let mut publisher = RawPublisher::new(b, me, Wait::ForEver).expect("nobody publishes");
        publish_alone(&mut publisher, me, 1, Wait::Never).expect("room");
        publisher.leave(me);
    });
    let end = publishes.join();
    settle();
    until_asleep_or_gone(2);
    catch_up();
    let published = b.published();
    assert!(published == 1 || end == Outcome::Died);
    let (from, got) = log.0.lock().expect("log").clone();
    let due = if from == Some(0) { published as usize } else { 0 };
    assert_eq!(got.len(), due, "it sleeps beside a message");
    let me = place.member();
    publish(&b, &me, 2, Wait::ForEver).expect("room");
    b.close(&me, Wait::ForEver).expect("a member");
    listens.join();
    let all = log.0.lock().expect("log").1.clone();
    assert_eq!(all, if due == 1 { vec![1, 2] } else { vec![2] });
    assert_eq!(b.published(), published + 1);
}

fn subscriber_dies(death: Death) {
    let place = Place::new(3);
    let b = news(2);
    let reads = place.thread(death, move |me| {
        let mut mine = b.subscribe(me, Slow::Waits, Since::Now).expect("a seat");
        while publish(&b, me, 7, Wait::Never).is_ok() {}
        until_asleep_or_gone(1);
        recv(&mut mine, me, Wait::Never).expect("a message");
    });
    let publishes = place.thread(Death::NEVER, move |me| publish(&b, me, 9, Wait::ForEver).map(drop));
    reads.join();
    settle();
    assert_eq!(publishes.join(), Outcome::Finished(Ok(())));
}

fn leaver_dies(death: Death) {
    let place = Place::new(3);
    let b = news(2);
    let leaves = place.thread(death, move |me| {
        let mut mine = b.subscribe(me, Slow::Waits, Since::Now).expect("a seat");
        while publish(&b, me, 7, Wait::Never).is_ok() {}
        until_asleep_or_gone(1);
        mine.leave();
    });
    let publishes = place.thread(Death::NEVER, move |me| publish(&b, me, 9, Wait::ForEver).map(drop));
    leaves.join();
    settle();
    assert_eq!(publishes.join(), Outcome::Finished(Ok(())));
}

fn closer_dies(death: Death) {
    let place = Place::new(3);
    let b = news(2);
    let listens = place.thread(Death::NEVER, move |me| {
        let mut mine = b.subscribe(me, Slow::Waits, Since::Now).expect("a seat");
        recv(&mut mine, me, Wait::ForEver)
    });
    let closes = place.thread(death, move |me| b.close(me, Wait::ForEver).expect("a member"));
    closes.join();
    settle();
    if !b.is_closed() {
        let me = place.member();
        b.close(&me, Wait::ForEver).expect("a member");
    }
    assert_eq!(listens.join(), Outcome::Finished(Err(ErrorKind::Closed)));
}
