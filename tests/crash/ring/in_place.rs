//! The rows about messages where they lie, and about the push that displaces.

use super::rows::{case, helpers, on_cue};
use super::story::Story;
use super::*;
use crate::engine::{Case, End, Enter, First, Limits, Until};

/// All of them.
pub fn all() -> Vec<Box<dyn Scenario>> {
    [reserving, receiving, forcing, two_deaths].iter().flat_map(|family| family()).collect()
}

fn reserve(w: &World, cut: &Cut) {
    let tag = tag(cut);
    if let Ok(mut place) = w.queue.reserve() {
        *place = [tag; 4];
        if place.commit().is_ok() {
            say(cut, PUSHED, [tag]);
        }
    }
}

fn abort(w: &World, cut: &Cut) {
    if let Ok(mut place) = w.queue.reserve() {
        *place = [tag(cut); 4];
    }
}

fn receive(w: &World, cut: &Cut) {
    if let Ok(message) = w.queue.borrow() {
        let got = (tag_of(*message), message.is_redelivered());
        drop(message);
        say(cut, POPPED, [packed(got)]);
    }
}

fn put_back(w: &World, _: &Cut) {
    if let Ok(message) = w.queue.borrow() {
        let _ = message.put_back();
    }
}

fn force(w: &World, cut: &Cut) {
    let tag = tag(cut);
    if let Ok(displaced) = w.queue.force_push([tag; 4]) {
        say(cut, POPPED, displaced.map(tag_of));
        say(cut, PUSHED, [tag]);
    }
}

/// As for the plain operations. Only who is to die warms up so: a helper's end that rings the bell would let others look.
fn on_stage(op: impl Fn(&World, &Cut)) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up_in_place();
        cut.start();
        op(w, cut);
        cut.end();
    }
}

fn producer_does(case: Case<World>, op: impl Fn(&World, &Cut) + 'static) -> Case<World> {
    case.role("producer").victim(on_stage(op))
}

fn consumer_does(case: Case<World>, op: impl Fn(&World, &Cut) + 'static) -> Case<World> {
    case.role("consumer").victim(on_stage(op))
}

fn reserving() -> Vec<Box<dyn Scenario>> {
    let pushing = Story::pushing();
    let fed = |case, n| helpers(case, n, Enter::Before, consumer);
    let consumers = |n| Story { consumers: n, helpers: n, ..Story::pushing() };
    let mut all = Vec::new();
    for (name, shift, filled) in [("empty", 0, 0), ("one cell free, round the end", 2, 2)] {
        all.push(pushing.ends(producer_does(case("reserve+commit", name, shift, filled), reserve)));
        all.push(pushing.ends(producer_does(case("reserve+abort", name, shift, filled), abort)));
    }
    all.extend([
        consumers(2)
            .ends(producer_does(fed(case("reserve+commit", "two consumers asleep", 2, 0), 2), reserve)),
        // They sleep behind the reservation, beside a message.
        Story { consumers: 2, helpers: 3, ..pushing }.ends(producer_does(
            helpers(
                case("reserve+abort", "two consumers and a message behind it", 0, 0),
                2,
                Enter::AtKill,
                consumer,
            )
            .helper(Enter::AtKill, Until::Over, End::Alone, feeds(&[301])),
            abort,
        )),
        Story { consumers: 2, helpers: 3, ..pushing }.ends(producer_does(
            helpers(
                case("reserve+commit", "two consumers and a message behind it", 1, 0),
                2,
                Enter::AtKill,
                consumer,
            )
            .helper(Enter::AtKill, Until::Over, End::Alone, feeds(&[301])),
            reserve,
        )),
        Story { producers: 1, helpers: 1, ..pushing }.ends(producer_does(
            helpers(
                case("reserve+abort", "one cell free, a producer comes", 0, 2),
                1,
                Enter::AtKill,
                producer,
            ),
            abort,
        )),
        Story { helpers: 1, ..pushing }.ends(
            on_cue(case("reserve+commit", "full, then room", 0, 3), taker(1))
                .role("sleeping producer")
                .victim(on_stage(reserve)),
        ),
    ]);
    all
}

fn receiving() -> Vec<Box<dyn Scenario>> {
    let popping = Story::popping();
    let keeping = Story { readers: 1, ..Story::default() };
    let drained = |case, n| helpers(case, n, Enter::Before, producer);
    vec![
        popping.ends(consumer_does(case("borrow+release", "full", 0, 3), receive)),
        popping
            .ends(consumer_does(case("borrow+release", "one message, last cell of the lap", 2, 1), receive)),
        keeping.ends(consumer_does(case("borrow+put_back", "part full", 0, 2), put_back)),
        Story { producers: 2, helpers: 2, ..popping }.ends(consumer_does(
            drained(case("borrow+release", "full, two producers asleep", 0, 3), 2),
            receive,
        )),
        // The victim and others sleep, the message goes to the victim.
        Story { helpers: 3, consumers: 2, ..popping }.ends(
            on_cue(
                helpers(
                    case("borrow+release", "empty, two consumers behind it, then fed", 0, 0),
                    2,
                    Enter::WhenAsleep,
                    consumer,
                ),
                feeder(1),
            )
            .role("sleeping consumer")
            .victim(on_stage(receive)),
        ),
        Story { helpers: 2, consumers: 1, ..keeping }.ends(
            on_cue(
                helpers(
                    case("borrow+put_back", "empty, another consumer behind it, then fed", 0, 0),
                    1,
                    Enter::WhenAsleep,
                    consumer,
                ),
                feeder(1),
            )
            .role("sleeping consumer")
            .victim(on_stage(put_back)),
        ),
        Story { helpers: 1, consumers: 1, ..keeping }.ends(consumer_does(
            helpers(
                case("borrow+put_back", "one message, a consumer comes", 1, 1),
                1,
                Enter::AtKill,
                consumer,
            ),
            put_back,
        )),
    ]
}

fn forcing() -> Vec<Box<dyn Scenario>> {
    // What makes way is lost with the one who displaced it, or comes again.
    let forcing = Story::popping();
    let mut all = Vec::new();
    for (name, shift, filled) in [("empty", 0, 0), ("one cell free", 1, 2)] {
        all.push(Story::pushing().ends(producer_does(case("force_push", name, shift, filled), force)));
    }
    for (name, shift) in [("full", 0), ("full, round the end", 2)] {
        all.push(forcing.ends(producer_does(case("force_push", name, shift, 3), force)));
    }
    all.extend([
        Story { producers: 1, helpers: 1, ..forcing }.ends(producer_does(
            helpers(case("force_push", "full, a producer asleep", 0, 3), 1, Enter::Before, producer),
            force,
        )),
        Story { producers: 1, helpers: 2, ..forcing }.ends(
            producer_does(
                helpers(
                    case("force_push", "full, stopped, a producer and a consumer come", 1, 3),
                    1,
                    Enter::AtKill,
                    producer,
                ),
                force,
            )
            .helper(Enter::AtKill, Until::Asleep, End::Alone, |w, part| {
                w.warm_up();
                part.ready();
                note_pop(w, part)
            }),
        ),
        Story { consumers: 1, helpers: 1, ..Story::pushing() }.ends(producer_does(
            helpers(case("force_push", "a consumer asleep", 0, 0), 1, Enter::Before, consumer),
            force,
        )),
    ]);
    all
}

fn two_deaths() -> Vec<Box<dyn Scenario>> {
    type Op = fn(&World, &Cut);
    let two = |operation, name: &str, (shift, filled), first: Op, second: Op| -> Case<World> {
        case(operation, name, shift, filled)
            .limits(|l: &mut Limits| (l.thin_above, l.first_deaths) = (300, 12))
            .first(on_stage(first))
            .victim(on_stage(second))
    };
    let both = Story { lost: 2, readers: 2, ..Story::default() };
    vec![
        both.ends(
            two("force_push", "two deaths: force_push, then force_push", (0, 3), force, force)
                .role("two producers"),
        ),
        both.ends(
            two("force_push", "two deaths: borrow, then force_push", (1, 3), receive, force)
                .role("consumer, producer"),
        ),
        Story { lost: 1, readers: 1, ..both }.ends(
            two("borrow+release", "two deaths: reserve, then borrow", (2, 1), reserve, receive)
                .role("producer, consumer"),
        ),
        Story { lost: 1, readers: 1, ..both }.ends(
            two("borrow+release", "two deaths: abort, then borrow", (0, 1), abort, receive)
                .role("producer, consumer"),
        ),
        Story { helpers: 1, ..both }.ends(
            on_cue(
                two(
                    "borrow+release",
                    "two deaths: behind a stopped borrow, then fed",
                    (0, 1),
                    receive,
                    receive,
                ),
                feeder(1),
            )
            .limits(|l| l.first = First::StandsAndDies)
            .role("two consumers"),
        ),
    ]
}
