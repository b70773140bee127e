//! [`RawEvent`] under all interleavings, with setters and waiters killed at every step.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::atomic::{AtomicU64, Ordering};
use interproc::raw::sync::RawEvent;
use interproc::sys::model::{Bounds, Death, Outcome, allow_timeouts, check, for_every_death};
use interproc::{Deadline, ErrorKind};
use std::time::Duration;

pub const MODELS: &[Model] = &[
    Model {
        name: "event: what was done before a set is seen after the wait",
        run: || check(Bounds::default(), handed_over),
        catches: &["set-no-wake", "set-relaxed"],
    },
    Model {
        name: "event: a set lets all go who wait, even if it is cleared at once",
        run: || check(Bounds::default(), pulse),
        catches: &["set-no-wake", "set-wakes-one"],
    },
    Model {
        name: "event: a set of what is set is not lost on who clears it",
        run: || check(Bounds::default(), set_again),
        catches: &["set-again-only-looks"],
    },
    Model {
        name: "event: a setter may die anywhere",
        run: || for_every_death(Bounds::default(), false, setter),
        catches: &["set-in-two-steps"],
    },
    Model {
        name: "event: a waiter may die anywhere",
        run: || for_every_death(Bounds::default(), false, waiter),
        catches: &["set-no-wake"],
    },
    Model {
        name: "event: who gives up does no harm",
        run: || check(Bounds::default(), gives_up),
        catches: &["set-no-wake"],
    },
];

fn handed_over() {
    let place = Place::new(2);
    let (event, data) = (leak(RawEvent::new()), leak(Data::new()));
    let setter = place.thread(Death::NEVER, |_| {
        data.set(7);
        event.set();
    });
    event.wait(&place.member(), None).expect("no limit of time");
    assert_eq!(data.get(), 7);
    setter.join();
}

/// Both wait before the set: one surely, as it says so behind its first look.
fn pulse() {
    let place = Place::new(3);
    let event = leak(RawEvent::new());
    let one = || place.thread(Death::NEVER, |me| event.wait(me, None).expect("no limit of time"));
    let (first, second) = (one(), one());
    interproc::sys::model::until_asleep(1);
    event.set();
    event.clear();
    // Who came after the clear waits for this one.
    event.set();
    first.join();
    second.join();
}

/// Litmus SB: the setter says something and sets; who clears, and then does not see it, will find the event set.
fn set_again() {
    let place = Place::new(2);
    let (event, said) = (leak(RawEvent::new()), leak(AtomicU64::new(0)));
    event.set();
    let setter = place.thread(Death::NEVER, |_| {
        said.store(1, Ordering::Relaxed);
        event.set();
    });
    event.clear();
    if said.load(Ordering::Relaxed) == 0 {
        event.wait(&place.member(), None).expect("no limit of time");
    }
    setter.join();
}

/// What the victim has set must reach the sleeper; else we set it.
fn setter(death: Death) {
    let place = Place::new(2);
    let event = leak(RawEvent::new());
    let sleeper = place.thread(Death::NEVER, |me| event.wait(me, None).expect("no limit of time"));
    let victim = place.thread(death, |_| event.set());
    if victim.join() == Outcome::Died && !event.is_set() {
        event.set();
    }
    sleeper.join();
    assert!(event.is_set());
}

fn waiter(death: Death) {
    let place = Place::new(2);
    let event = leak(RawEvent::new());
    let victim = place.thread(death, |me| event.wait(me, None).expect("no limit of time"));
    let other = place.thread(Death::NEVER, |me| event.wait(me, None).expect("no limit of time"));
    event.set();
    victim.join();
    other.join();
}

fn gives_up() {
    allow_timeouts(1);
    let place = Place::new(2);
    let event = leak(RawEvent::new());
    let hasty = place.thread(Death::NEVER, |me| {
        let got = event.wait(me, Some(Deadline::after(Duration::from_millis(1))));
        got.map_err(|e| assert_eq!(e.kind(), ErrorKind::TimedOut)).is_ok()
    });
    let patient = place.thread(Death::NEVER, |me| event.wait(me, None).expect("no limit of time"));
    event.set();
    hasty.join();
    patient.join();
}
