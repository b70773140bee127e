//! The rows of the kill table.

use super::story::{Side, Story};
use super::*;
use crate::engine::board::FIRST;
use crate::engine::{Case, End, Enter, First, Limits, Scenario, Until};

type Op = fn(&World, &Cut);

fn case(operation: &'static str, scenario: &str, shift: u64, filled: u64) -> Case<World> {
    Case::new("ByteQueue", operation, scenario, move || World::new(shift, filled))
}

fn helpers(mut case: Case<World>, n: usize, when: Enter, body: fn(&World, &Part) -> Check) -> Case<World> {
    for _ in 0..n {
        case = case.helper(when, Until::Asleep, End::AfterVerifier, body);
    }
    case
}

fn on_cue(case: Case<World>, body: impl Fn(&World, &Part) -> Check + 'static) -> Case<World> {
    case.helper(Enter::Before, Until::Ready, End::Alone, body)
}

fn producer_does(case: Case<World>, op: Op) -> Case<World> {
    case.role("producer").victim(on_stage(op))
}

fn consumer_does(case: Case<World>, op: Op) -> Case<World> {
    case.role("consumer").victim(on_stage(op))
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let families = [alone, others_asleep, asleep_itself, closing, two_deaths, bystanders, stopped];
    families.iter().flat_map(|family| family()).collect()
}

fn alone() -> Vec<Box<dyn Scenario>> {
    let (pushing, popping) = (Story::pushing(), Story::popping());
    let mut all = Vec::new();
    for (operation, name, shift, filled, op) in [
        ("push", "empty", 0, 0, push as Op),
        ("push", "one granule free", 1, 3, push),
        ("push", "one granule free, round the end", 3, 3, push),
        ("push", "large, over the end: the rest is filled", 3, 0, push_large),
        ("push", "large, two granules free", 0, 2, push_large),
        ("try_push", "room", 0, 1, try_push),
        ("try_push", "full", 0, 4, try_push),
        ("reserve+commit", "empty", 2, 0, reserve_commit),
        ("reserve+abort", "part full", 0, 1, reserve_abort),
    ] {
        all.push(pushing.ends(producer_does(case(operation, name, shift, filled), op)));
    }
    for (operation, name, shift, filled, op) in [
        ("pop", "full", 0, 4, pop as Op),
        ("pop", "one message, last of the lap", 3, 1, pop),
        ("try_pop", "a message", 0, 1, try_pop),
        ("try_pop", "empty", 1, 0, try_pop),
        ("borrow+release", "part full", 0, 2, receive),
    ] {
        all.push(popping.ends(consumer_does(case(operation, name, shift, filled), op)));
    }
    let timed_push: Op = |w, cut| {
        let tag = tag(cut);
        if w.queue.push_timeout(&bytes(tag)[..SMALL * 8], Duration::from_millis(20)).is_ok() {
            say(cut, PUSHED, tag);
        }
    };
    let timed_pop: Op = |w, cut| {
        if let Ok(message) = w.queue.pop_timeout(Duration::from_millis(20)) {
            say(cut, POPPED, tag_of(&message));
        }
    };
    let putting_back = Story::putting_back();
    all.extend([
        putting_back.ends(consumer_does(case("borrow+put_back", "part full", 0, 2), receive_requeue)),
        putting_back.ends(consumer_does(case("pop_into", "too small a buffer", 0, 2), pop_into_too_small)),
        pushing.ends(producer_does(case("timed push", "full for longer", 0, 4), timed_push)),
        popping.ends(consumer_does(case("timed pop", "empty for longer", 0, 0), timed_pop)),
    ]);
    all
}

fn others_asleep() -> Vec<Box<dyn Scenario>> {
    let consumers = |n, story| Story { consumers: n, helpers: n, ..story };
    let producers = |n, story| Story { producers: n, helpers: n, ..story };
    let fed = |case, n| helpers(case, n, Enter::Before, consumer);
    let drained = |case, n| helpers(case, n, Enter::Before, producer);
    let (pushing, popping) = (Story::pushing(), Story::popping());
    // What is behind the victim's reservation reaches the consumers, whatever becomes of the victim.
    let before_a_message: Op = |w, cut| {
        if let Ok(mut room) = w.queue.reserve(SMALL * 8) {
            room.copy_from_slice(&bytes(151)[..SMALL * 8]);
            if try_send(&w.queue, 101, SMALL).is_ok() {
                say(cut, PUSHED, 101);
            }
        }
    };
    let push_then_receive: Op = |w, cut| {
        push(w, cut);
        if let Ok(message) = w.queue.try_borrow() {
            let tag = seen(&message);
            drop(message);
            say(cut, POPPED, packed(tag));
        }
    };
    let push_then_requeue: Op = |w, cut| {
        push(w, cut);
        if let Ok(message) = w.queue.try_borrow() {
            let _ = message.put_back();
        }
    };
    let pop_twice: Op = |w, cut| {
        pop(w, cut);
        pop(w, cut);
    };
    vec![
        consumers(1, pushing).ends(producer_does(fed(case("push", "a consumer asleep", 0, 0), 1), push)),
        consumers(2, pushing).ends(producer_does(fed(case("push", "two consumers asleep", 3, 0), 2), push)),
        consumers(1, pushing).ends(producer_does(
            fed(case("push", "large, over the end, a consumer asleep", 3, 0), 1),
            push_large,
        )),
        consumers(1, pushing)
            .ends(producer_does(fed(case("reserve+commit", "a consumer asleep", 0, 0), 1), reserve_commit)),
        consumers(2, pushing).ends(producer_does(
            fed(case("reserve+push+abort", "two consumers asleep", 0, 0), 2),
            before_a_message,
        )),
        consumers(2, popping).ends(
            fed(case("push+borrow", "two consumers asleep", 0, 0), 2)
                .role("producer, then consumer in place")
                .victim(on_stage(push_then_receive)),
        ),
        consumers(1, Story::putting_back()).ends(
            fed(case("push+borrow+put_back", "a consumer asleep", 0, 0), 1)
                .role("producer, then consumer in place")
                .victim(on_stage(push_then_requeue)),
        ),
        producers(1, popping)
            .ends(consumer_does(drained(case("pop", "full, a producer asleep", 0, 4), 1), pop)),
        producers(2, popping)
            .ends(consumer_does(drained(case("pop", "full, two producers asleep", 1, 4), 2), pop)),
        producers(1, popping).ends(consumer_does(
            drained(case("borrow+release", "full, a producer asleep", 1, 4), 1),
            receive,
        )),
        Story { large: true, lost: 1, ..producers(1, popping) }.ends(consumer_does(
            helpers(
                case("pop twice", "full, a producer of a large one asleep", 0, 4),
                1,
                Enter::Before,
                large_producer,
            ),
            pop_twice,
        )),
    ]
}

/// The victim sleeps, is woken on its cue, goes on.
fn asleep_itself() -> Vec<Box<dyn Scenario>> {
    let pops = |case: Case<World>, op: Op| case.role("sleeping consumer").victim(on_stage(op));
    let pushes = |case: Case<World>, op: Op| case.role("sleeping producer").victim(on_stage(op));
    let (popping, pushing) = (Story::popping(), Story::pushing());
    let before = |case, n, body| helpers(case, n, Enter::WhenAsleep, body);
    let three_takers = |case| on_cue(on_cue(on_cue(case, taker(1)), taker(1)), taker(1));
    vec![
        Story { helpers: 1, ..popping }
            .ends(pops(on_cue(case("pop", "empty, then fed", 0, 0), feeder(1)), pop)),
        Story { helpers: 1, ..pushing }
            .ends(pushes(on_cue(case("push", "full, then room", 0, 4), taker(1)), push)),
        // The others sleep behind the victim: the wake-up is its, and must not die with it.
        Story { helpers: 3, consumers: 2, ..popping }.ends(pops(
            on_cue(
                before(case("pop", "empty, two consumers behind it, then fed", 0, 0), 2, consumer),
                feeder(1),
            ),
            pop,
        )),
        // In place: the message comes back to one who sleeps.
        Story { helpers: 3, consumers: 2, ..popping }.ends(pops(
            on_cue(
                before(case("borrow+release", "empty, two consumers behind it, then fed", 0, 0), 2, consumer),
                feeder(1),
            ),
            receive,
        )),
        // Freed room wakes them all, and who comes first has it: so there is room for all.
        Story { helpers: 5, producers: 2, ..pushing }.ends(pushes(
            three_takers(before(case("push", "full, two producers behind it, then room", 0, 4), 2, producer)),
            push,
        )),
        Story { helpers: 4, producers: 1, ..pushing }.ends(pushes(
            three_takers(before(
                case("push", "full, large, a producer behind it, then room", 0, 4),
                1,
                producer,
            )),
            push_large,
        )),
    ]
}

fn closing() -> Vec<Box<dyn Scenario>> {
    let closer = |case: Case<World>| case.role("closer").victim(on_stage(close));
    let closed = |operation, scenario: &str, filled| {
        Case::new("ByteQueue", operation, scenario, move || {
            let world = World::new(0, filled);
            world.queue.close().expect("closed");
            world
        })
    };
    let closes = Story { closes: true, ..Story::default() };
    let popping = Story { closes: true, ..Story::popping() };
    let consumers = |case| helpers(case, 2, Enter::Before, consumer);
    let producers = |case| helpers(case, 2, Enter::Before, producer);
    vec![
        closes.ends(closer(case("close", "part full", 0, 2))),
        Story { consumers: 2, helpers: 2, ..closes }.ends(closer(consumers(case(
            "close",
            "empty, two consumers asleep",
            1,
            0,
        )))),
        Story { producers: 2, helpers: 2, ..closes }.ends(closer(producers(case(
            "close",
            "full, two producers asleep",
            0,
            4,
        )))),
        closes.ends(producer_does(closed("push", "closed", 1), push)),
        popping.ends(consumer_does(closed("pop", "closed, one message", 1), pop)),
        popping.ends(consumer_does(closed("pop", "closed and empty: the end is sealed", 0), pop)),
    ]
}

fn two_deaths() -> Vec<Box<dyn Scenario>> {
    let thin = |l: &mut Limits| l.thin_above = 300;
    let stands = |l: &mut Limits| l.first = First::StandsAndDies;
    let two = |operation, name: &str, (shift, filled), first: Op, second: Op| {
        case(operation, name, shift, filled).limits(thin).first(on_stage(first)).victim(on_stage(second))
    };
    let (pushing, popping) = (Story::pushing(), Story::popping());
    let both = Story { lost: 2, readers: 2, ..Story::default() };
    vec![
        pushing.ends(
            two("push", "two deaths: push, then push", (3, 0), try_push, try_push).role("two producers"),
        ),
        // The second one needs the first one's room.
        pushing.ends(
            two("push", "two deaths: a large one over the end, then another", (3, 0), push_large, push_large)
                .role("two producers"),
        ),
        popping.ends(
            two("pop", "two deaths: push, then pop", (0, 1), try_push, try_pop).role("producer, consumer"),
        ),
        Story { helpers: 1, ..popping }.ends(
            two("pop", "two deaths: push, then pop over what it left", (0, 0), try_push, try_pop)
                .helper(Enter::AtStart, Until::Over, End::Alone, feeds(&[301]))
                .limits(|l| l.first_deaths = 24)
                .role("producer, consumer"),
        ),
        both.ends(two("pop", "two deaths: pop, then pop", (1, 2), try_pop, try_pop).role("two consumers")),
        both.ends(
            two("borrow", "two deaths: borrow, then put_back", (1, 2), receive, receive_requeue)
                .role("two consumers"),
        ),
        popping.ends(
            two("push", "two deaths: pop, then push", (0, 4), try_pop, try_push).role("consumer, producer"),
        ),
        // The first one stands still in its operation, so that the second one sleeps for it, and then dies.
        Story { helpers: 1, ..popping }.ends(
            on_cue(two("pop", "two deaths: behind a stopped push, then fed", (0, 0), push, pop), feeder(1))
                .limits(stands)
                .role("producer, consumer"),
        ),
        Story { helpers: 1, ..both }.ends(
            on_cue(
                two("borrow", "two deaths: behind a stopped borrow, then fed", (0, 1), receive, receive),
                feeder(1),
            )
            .limits(stands)
            .role("two consumers"),
        ),
        Story { helpers: 1, ..popping }.ends(
            on_cue(
                two("push", "two deaths: full, behind a stopped pop, then room", (0, 4), pop, push),
                taker(1),
            )
            .limits(stands)
            .role("consumer, producer"),
        ),
    ]
}

/// Somebody stands between its last look and its sleep while the victim changes the queue, or dies in it; then goes
/// on, and must not fall asleep after the news.
fn bystanders() -> Vec<Box<dyn Scenario>> {
    let row = |operation, name: &str, (shift, filled), side, op: Op| {
        let first = move |w: &World, cut: &Cut| {
            w.warm_up();
            cut.part.ready();
            cut.start();
            let noted = match side {
                Side::Consumer => note_pop(w, &cut.part),
                Side::Producer => note_push(w, &cut.part, 201 + FIRST as u64, SMALL),
            };
            noted.expect("served or told");
            cut.end();
        };
        case(operation, name, shift, filled)
            .limits(|l| {
                (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 24, 300);
            })
            .first(first)
            .victim(on_stage(op))
    };
    let push_receive: Op = |w, cut| {
        push(w, cut);
        receive(w, cut);
    };
    let consumer = Story { bystander: Some(Side::Consumer), ..Story::pushing() };
    let producer = Story { bystander: Some(Side::Producer), ..Story::popping() };
    let behind = |case| helpers(case, 1, Enter::AtStart, self::consumer);
    vec![
        consumer
            .ends(row("push", "a consumer about to sleep", (3, 0), Side::Consumer, push).role("producer")),
        Story { consumers: 1, helpers: 1, ..consumer }.ends(
            behind(row("push", "a consumer about to sleep, and one asleep", (0, 0), Side::Consumer, push))
                .role("producer"),
        ),
        Story { bystander: Some(Side::Consumer), ..Story::popping() }.ends(
            row("push+borrow", "a consumer about to sleep", (0, 0), Side::Consumer, push_receive)
                .role("producer, then consumer in place"),
        ),
        producer.ends(
            row("pop", "full, a producer about to sleep", (1, 4), Side::Producer, pop).role("consumer"),
        ),
        Story { closes: true, ..consumer }
            .ends(row("close", "a consumer about to sleep", (0, 0), Side::Consumer, close).role("closer")),
    ]
}

/// The victim is stopped at its point, the others come and run into it, and then it dies: whoever is told of the
/// death must tell the others.
fn stopped() -> Vec<Box<dyn Scenario>> {
    let two = |case, body| helpers(case, 2, Enter::AtKill, body);
    let one_taker = |case: Case<World>| {
        case.helper(Enter::AtKill, Until::Asleep, End::Alone, |w, part| {
            w.warm_up();
            part.ready();
            note_pop(w, part)
        })
    };
    vec![
        Story { consumers: 2, helpers: 3, ..Story::pushing() }.ends(
            producer_does(
                two(case("reserve+commit", "stopped, two consumers and two messages come", 2, 0), consumer),
                reserve_commit,
            )
            .helper(Enter::AtKill, Until::Over, End::Alone, feeds(&[301, 302])),
        ),
        Story { producers: 2, helpers: 3, ..Story::popping() }.ends(one_taker(consumer_does(
            two(case("borrow+release", "full, stopped, two producers and a consumer come", 0, 4), producer),
            receive,
        ))),
        Story { consumers: 2, helpers: 2, ..Story::popping() }.ends(consumer_does(
            two(case("borrow+release", "one message, stopped, two consumers come", 0, 1), consumer),
            receive,
        )),
        Story { producers: 2, helpers: 2, ..Story::pushing() }.ends(producer_does(
            two(case("reserve+abort", "one granule free, stopped, two producers come", 0, 3), producer),
            reserve_abort,
        )),
    ]
}
