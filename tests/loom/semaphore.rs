//! [`RawSemaphore`] under all interleavings, with posters and acquirers killed at every step.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::raw::sync::RawSemaphore;
use interproc::sys::model::{Bounds, Death, Outcome, allow_timeouts, check, for_every_death};
use interproc::{Deadline, ErrorKind};
use std::time::Duration;

pub const MODELS: &[Model] = &[
    Model {
        name: "semaphore: what was done before a post is seen after the acquire",
        run: || check(Bounds::default(), handed_over),
        catches: &["post-no-wake", "post-relaxed"],
    },
    Model {
        name: "semaphore: two posts let two go",
        run: || check(Bounds::default(), two_of_two),
        catches: &["post-no-wake"],
    },
    Model {
        name: "semaphore: who tidies leaves nobody asleep",
        run: || check(Bounds::default(), tidies),
        catches: &["tidy-no-wake", "flags-not-watched"],
    },
    Model {
        name: "semaphore: one post of two lets two go",
        run: || check(Bounds::default(), both_at_once),
        catches: &["post-no-wake"],
    },
    Model {
        name: "semaphore: a poster may die anywhere",
        run: || for_every_death(Bounds::default(), false, poster),
        catches: &["post-in-two-steps"],
    },
    Model {
        name: "semaphore: a poster whose death nobody reports may die anywhere",
        run: || for_every_death(Bounds::default(), true, poster),
        catches: &["post-in-two-steps"],
    },
    Model {
        name: "semaphore: an acquirer may die anywhere",
        run: || for_every_death(Bounds::default(), false, acquirer),
        catches: &["acquire-no-bell"],
    },
    Model {
        name: "semaphore: who gives up takes no wake-up along",
        run: || check(Bounds::default(), gives_up),
        catches: &["post-no-wake"],
    },
];

fn handed_over() {
    let place = Place::new(2);
    let (semaphore, data) = (leak(RawSemaphore::new(0)), leak(Data::new()));
    let poster = place.thread(Death::NEVER, |_| {
        data.set(7);
        semaphore.post(1).expect("far from its limit");
    });
    semaphore.acquire(&place.member(), None).expect("no limit of time");
    assert_eq!(data.get(), 7);
    poster.join();
    assert_eq!(semaphore.value(), 0);
}

fn two_of_two() {
    let place = Place::new(3);
    let semaphore = leak(RawSemaphore::new(0));
    let one = || place.thread(Death::NEVER, |me| semaphore.acquire(me, None).expect("no limit of time"));
    let (first, second) = (one(), one());
    semaphore.post(1).expect("far from its limit");
    semaphore.post(1).expect("far from its limit");
    first.join();
    second.join();
    assert_eq!(semaphore.value(), 0);
}

/// We take what we posted ourselves, perhaps under the flag of one who is about to sleep.
fn tidies() {
    let place = Place::new(2);
    let semaphore = leak(RawSemaphore::new(0));
    let other = place.thread(Death::NEVER, |me| semaphore.acquire(me, None).expect("no limit of time"));
    semaphore.post(1).expect("far from its limit");
    if semaphore.try_acquire().is_ok() {
        semaphore.post(1).expect("far from its limit");
    }
    other.join();
    assert_eq!(semaphore.value(), 0);
}

fn both_at_once() {
    let place = Place::new(3);
    let semaphore = leak(RawSemaphore::new(0));
    let other = place.thread(Death::NEVER, |me| semaphore.acquire(me, None).expect("no limit of time"));
    let poster = place.thread(Death::NEVER, |_| semaphore.post(2).expect("far from its limit"));
    semaphore.acquire(&place.member(), None).expect("no limit of time");
    other.join();
    poster.join();
    assert_eq!(semaphore.value(), 0);
}

/// What the victim has posted must reach the sleeper; what it has not, we post.
fn poster(death: Death) {
    let place = Place::new(2);
    let semaphore = leak(RawSemaphore::new(0));
    let sleeper = place.thread(Death::NEVER, |me| semaphore.acquire(me, None).expect("no limit of time"));
    let victim = place.thread(death, |_| semaphore.post(1).expect("far from its limit"));
    if victim.join() == Outcome::Died && semaphore.value() == 0 {
        semaphore.post(1).expect("far from its limit");
    }
    sleeper.join();
    assert!(semaphore.value() <= 1);
}

/// One permit goes round. What the victim was woken for and has not taken must reach the other.
fn acquirer(death: Death) {
    let place = Place::new(2);
    let semaphore = leak(RawSemaphore::new(0));
    let uses = move |me: &interproc::raw::member::Member| {
        semaphore.acquire(me, None).expect("no limit of time");
        semaphore.post(1).expect("far from its limit");
    };
    let victim = place.thread(death, uses);
    let other = place.thread(Death::NEVER, uses);
    semaphore.post(1).expect("far from its limit");
    // It may have died with the permit in its hands.
    if victim.join() == Outcome::Died && semaphore.value() == 0 {
        semaphore.post(1).expect("far from its limit");
    }
    other.join();
}

/// One permit goes round; one of two may give up waiting for it.
fn gives_up() {
    allow_timeouts(1);
    let place = Place::new(2);
    let semaphore = leak(RawSemaphore::new(0));
    let hasty = place.thread(Death::NEVER, |me| {
        match semaphore.acquire(me, Some(Deadline::after(Duration::from_millis(1)))) {
            Ok(()) => semaphore.post(1).expect("far from its limit"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::TimedOut),
        }
    });
    let patient = place.thread(Death::NEVER, |me| {
        semaphore.acquire(me, None).expect("no limit of time");
        semaphore.post(1).expect("far from its limit");
    });
    semaphore.post(1).expect("far from its limit");
    hasty.join();
    patient.join();
    assert_eq!(semaphore.value(), 1);
}
