//! The rows of the kill table that the queue and the byte queue share.

use super::story::{Side, Story};
use super::*;
use crate::engine::board::FIRST;
use crate::engine::{Case, End, Enter, First, Limits, Until};

pub(super) type Rows = Vec<Box<dyn Scenario>>;

pub(super) fn case<L: Line>(
    operation: &'static str,
    scenario: impl Into<String>,
    shift: u64,
    filled: u64,
) -> Case<World<L>> {
    Case::new(L::OBJECT, operation, scenario, move || World::new(shift, filled))
}

pub(super) fn helpers<L: Line>(
    mut case: Case<World<L>>,
    n: usize,
    when: Enter,
    body: fn(&World<L>, &Part) -> Check,
) -> Case<World<L>> {
    for _ in 0..n {
        case = case.helper(when, Until::Asleep, End::AfterVerifier, body);
    }
    case
}

pub(super) fn on_cue<L: Line>(case: Case<World<L>>, body: fn(&World<L>, &Part) -> Check) -> Case<World<L>> {
    case.helper(Enter::Before, Until::Ready, End::Alone, body)
}

/// So many consumers, or producers, that sleep before the victim is born.
pub(super) fn fed<L: Line>(case: Case<World<L>>, n: usize) -> Case<World<L>> {
    helpers(case, n, Enter::Before, consumer)
}

pub(super) fn drained<L: Line>(case: Case<World<L>>, n: usize) -> Case<World<L>> {
    helpers(case, n, Enter::Before, producer)
}

/// The stories of these.
pub(super) fn consumers(n: usize, story: Story) -> Story {
    Story { consumers: n, helpers: n, ..story }
}

pub(super) fn producers(n: usize, story: Story) -> Story {
    Story { producers: n, helpers: n, ..story }
}

pub(super) fn producer_does<L: Line>(case: Case<World<L>>, op: Op<L>) -> Case<World<L>> {
    case.role("producer").victim(on_stage::<L>(op))
}

pub(super) fn consumer_does<L: Line>(case: Case<World<L>>, op: Op<L>) -> Case<World<L>> {
    case.role("consumer").victim(on_stage::<L>(op))
}

/// Those of both.
pub(super) fn all<L: Line>() -> Rows {
    [alone::<L>, others_asleep::<L>, asleep_itself::<L>, closing::<L>, two_deaths::<L>, bystanders::<L>]
        .iter()
        .flat_map(|family| family())
        .collect()
}

fn alone<L: Line>() -> Rows {
    let (pushing, popping) = (Story::pushing(), Story::popping());
    let (last, cell) = (L::CAPACITY - 1, L::CELL);
    let mut all = Rows::new();
    for (operation, name, shift, filled, op) in [
        ("push", "empty".into(), 0, 0, push as Op<L>),
        ("push", "part full".into(), 0, 1, push),
        ("push", format!("one {cell} free"), 1, last, push),
        ("push", format!("last {cell} of the lap"), last, 0, push),
        ("push", format!("one {cell} free, round the end"), last, last, push),
        ("try_push", "room".into(), 0, 1, try_push),
        ("try_push", "full".into(), 0, L::CAPACITY, try_push),
        ("timed push", "room".into(), 0, 1, timed_push),
        ("timed push", "full for longer".into(), 0, L::CAPACITY, timed_push),
    ] {
        all.push(pushing.ends(producer_does(case(operation, name, shift, filled), op)));
    }
    for (operation, name, shift, filled, op) in [
        ("pop", "full".into(), 0, L::CAPACITY, pop as Op<L>),
        ("pop", "part full".into(), 1, 2, pop),
        ("pop", "one message".into(), 0, 1, pop),
        ("pop", format!("last {cell} of the lap"), last, 2, pop),
        ("pop", "one message, last of the lap".into(), last, 1, pop),
        ("try_pop", "a message".into(), 0, 1, try_pop),
        ("try_pop", "empty".into(), 1, 0, try_pop),
        ("timed pop", "a message".into(), 0, 1, timed_pop),
        ("timed pop", "empty for longer".into(), 0, 0, timed_pop),
    ] {
        all.push(popping.ends(consumer_does(case(operation, name, shift, filled), op)));
    }
    // Where it lies.
    let receiving = |story: Story, operation, name: &str, (shift, filled), op: Op<L>| {
        story.ends(case::<L>(operation, name, shift, filled).role("consumer").victim(in_place::<L>(op)))
    };
    all.extend([
        receiving(popping, "borrow+release", "full", (0, L::CAPACITY), borrow),
        receiving(popping, "borrow+release", "part full", (0, 2), borrow),
        receiving(
            popping,
            "borrow+release",
            &format!("one message, last {cell} of the lap"),
            (last, 1),
            borrow,
        ),
        receiving(Story::putting_back(), "borrow+put_back", "part full", (0, 2), put_back),
    ]);
    all
}

fn others_asleep<L: Line>() -> Rows {
    let (pushing, popping) = (Story::pushing(), Story::popping());
    let (full, last) = (L::CAPACITY, L::CAPACITY - 1);
    let push_twice: Op<L> = |w, cut| {
        push(w, cut);
        push(w, cut);
    };
    let commits = |name: &str, shift, n| {
        let case = fed(case::<L>("reserve+commit", name, shift, 0), n).role("producer");
        consumers(n, pushing).ends(case.victim(in_place::<L>(reserve_commit)))
    };
    let releases = |name: &str, shift, n| {
        let case = drained(case::<L>("borrow+release", name, shift, full), n).role("consumer");
        producers(n, popping).ends(case.victim(in_place::<L>(borrow)))
    };
    vec![
        consumers(1, pushing).ends(producer_does(fed(case::<L>("push", "a consumer asleep", 0, 0), 1), push)),
        consumers(2, pushing)
            .ends(producer_does(fed(case::<L>("push", "two consumers asleep", last, 0), 2), push)),
        consumers(2, pushing).ends(producer_does(
            fed(case::<L>("push twice", "two consumers asleep", last, 0), 2),
            push_twice,
        )),
        producers(1, popping)
            .ends(consumer_does(drained(case::<L>("pop", "full, a producer asleep", 0, full), 1), pop)),
        producers(2, popping)
            .ends(consumer_does(drained(case::<L>("pop", "full, two producers asleep", 1, full), 2), pop)),
        commits("a consumer asleep", 0, 1),
        commits("two consumers asleep", 2, 2),
        releases("full, a producer asleep", 1, 1),
        releases("full, two producers asleep", 0, 2),
    ]
}

/// The victim sleeps, is woken on its cue, goes on. Others sleep behind it: the wake-up is its, and must not die with it.
fn asleep_itself<L: Line>() -> Rows {
    let behind = |case: Case<World<L>>, n, body: fn(&World<L>, &Part) -> Check| {
        helpers(case, n, Enter::WhenAsleep, body)
    };
    let popping = |name: &str, n| {
        let case =
            on_cue(behind(case::<L>("pop", name, 0, 0), n, consumer), feeder).role("sleeping consumer");
        Story { helpers: n + 1, consumers: n, ..Story::popping() }.ends(case.victim(on_stage::<L>(pop)))
    };
    let in_place_too =
        behind(case::<L>("borrow+release", "empty, two consumers behind it, then fed", 0, 0), 2, consumer);
    vec![
        popping("empty, then fed", 0),
        popping("empty, another consumer behind it, then fed", 1),
        popping("empty, two consumers behind it, then fed", 2),
        Story { helpers: 1, ..Story::pushing() }.ends(
            on_cue(case::<L>("push", "full, then room", 0, L::CAPACITY), taker)
                .role("sleeping producer")
                .victim(on_stage::<L>(push)),
        ),
        // The message comes back to one who sleeps.
        Story { helpers: 3, consumers: 2, ..Story::popping() }
            .ends(on_cue(in_place_too, feeder).role("sleeping consumer").victim(in_place::<L>(borrow))),
    ]
}

/// As above, of producers; so many messages are taken at once.
pub(super) fn producers_behind<L: Line>(name: &str, n: usize, takers: usize, op: Op<L>) -> Box<dyn Scenario> {
    let mut case = helpers(case::<L>("push", name, 0, L::CAPACITY), n, Enter::WhenAsleep, producer);
    for _ in 0..takers {
        case = on_cue(case, taker);
    }
    Story { helpers: n + takers, producers: n, ..Story::pushing() }
        .ends(case.role("sleeping producer").victim(on_stage::<L>(op)))
}

fn closing<L: Line>() -> Rows {
    let closer = |case: Case<World<L>>| case.role("closer").victim(on_stage::<L>(close));
    let closed = |operation, scenario: &str, filled| {
        Case::new(L::OBJECT, operation, scenario, move || {
            let world = World::<L>::new(0, filled);
            world.queue.close().expect("closed");
            world
        })
    };
    let closes = Story { closes: true, ..Story::default() };
    let popping = Story { closes: true, ..Story::popping() };
    vec![
        closes.ends(closer(case("close", "part full", 0, 2))),
        consumers(2, closes).ends(closer(fed(case::<L>("close", "empty, two consumers asleep", 1, 0), 2))),
        producers(2, closes)
            .ends(closer(drained(case::<L>("close", "full, two producers asleep", 0, L::CAPACITY), 2))),
        closes.ends(producer_does(closed("push", "closed", 1), push)),
        popping.ends(consumer_does(closed("pop", "closed, one message", 1), pop)),
        popping.ends(consumer_does(closed("pop", "closed and empty: the end is sealed", 0), pop)),
    ]
}

/// Two victims, one after the other.
pub(super) fn two<L: Line>(
    operation: &'static str,
    name: &str,
    (shift, filled): (u64, u64),
    first: impl Fn(&World<L>, &Cut) + 'static,
    second: impl Fn(&World<L>, &Cut) + 'static,
) -> Case<World<L>> {
    case(operation, name, shift, filled).limits(|l| l.thin_above = 300).first(first).victim(second)
}

/// The first one stands still in its operation, so that the second one sleeps for it, and then dies.
pub(super) fn stands(limits: &mut Limits) {
    limits.first = First::StandsAndDies;
}

/// Both may take a message along, or leave it to be redelivered.
pub(super) fn both_read() -> Story {
    Story { lost: 2, readers: 2, ..Story::default() }
}

fn two_deaths<L: Line>() -> Rows {
    let full = L::CAPACITY;
    let plain = |operation, name: &str, from, first: Op<L>, second: Op<L>| {
        two::<L>(operation, name, from, on_stage::<L>(first), on_stage::<L>(second))
    };
    let (pushing, popping) = (Story::pushing(), Story::popping());
    vec![
        pushing.ends(
            plain("push", "two deaths: push, then push", (full - 1, 0), try_push, try_push)
                .role("two producers"),
        ),
        popping.ends(
            plain("pop", "two deaths: push, then pop", (0, 1), try_push, try_pop).role("producer, consumer"),
        ),
        Story { helpers: 1, ..popping }.ends(
            plain("pop", "two deaths: push, then pop over what it left", (0, 0), try_push, try_pop)
                .helper(Enter::AtStart, Until::Over, End::Alone, feeds::<L>(&[301]))
                .limits(|l| l.first_deaths = 24)
                .role("producer, consumer"),
        ),
        both_read()
            .ends(plain("pop", "two deaths: pop, then pop", (1, 2), try_pop, try_pop).role("two consumers")),
        popping.ends(
            plain("push", "two deaths: pop, then push", (0, full), try_pop, try_push)
                .role("consumer, producer"),
        ),
        Story { helpers: 1, ..popping }.ends(
            on_cue(plain("pop", "two deaths: behind a stopped push, then fed", (0, 0), push, pop), feeder)
                .limits(stands)
                .role("producer, consumer"),
        ),
        Story { helpers: 1, ..popping }.ends(
            on_cue(
                plain("push", "two deaths: full, behind a stopped pop, then room", (0, full), pop, push),
                taker,
            )
            .limits(stands)
            .role("consumer, producer"),
        ),
    ]
}

/// Somebody stands between its last look and its sleep while the victim changes the queue, or dies in it; then goes
/// on, and must not fall asleep after the news.
pub(super) fn bystander<L: Line>(
    operation: &'static str,
    name: &str,
    (shift, filled): (u64, u64),
    side: Side,
    op: impl Fn(&World<L>, &Cut) + 'static,
) -> Case<World<L>> {
    let first = move |w: &World<L>, cut: &Cut| {
        w.warm_up();
        cut.part.ready();
        cut.start();
        let noted = match side {
            Side::Consumer => note_pop(w, &cut.part),
            Side::Producer => note_push(w, &cut.part, 201 + FIRST as u64),
        };
        noted.expect("served or told");
        cut.end();
    };
    case(operation, name, shift, filled)
        .limits(|l| (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 24, 300))
        .first(first)
        .victim(op)
}

fn bystanders<L: Line>() -> Rows {
    let row = |operation, name: &str, from, side, op: Op<L>| {
        bystander::<L>(operation, name, from, side, on_stage::<L>(op))
    };
    let consumer = Story { bystander: Some(Side::Consumer), ..Story::pushing() };
    let producer = Story { bystander: Some(Side::Producer), ..Story::popping() };
    let closes = |story| Story { closes: true, lost: 0, readers: 0, ..story };
    let (full, last) = (L::CAPACITY, L::CAPACITY - 1);
    let behind = |case: Case<World<L>>| helpers(case, 1, Enter::AtStart, super::consumer);
    vec![
        consumer
            .ends(row("push", "a consumer about to sleep", (last, 0), Side::Consumer, push).role("producer")),
        Story { consumers: 1, helpers: 1, ..consumer }.ends(
            behind(row("push", "a consumer about to sleep, and one asleep", (0, 0), Side::Consumer, push))
                .role("producer"),
        ),
        producer.ends(
            row("pop", "full, a producer about to sleep", (1, full), Side::Producer, pop).role("consumer"),
        ),
        closes(consumer)
            .ends(row("close", "a consumer about to sleep", (0, 0), Side::Consumer, close).role("closer")),
        closes(producer).ends(
            row("close", "full, a producer about to sleep", (0, full), Side::Producer, close).role("closer"),
        ),
    ]
}

/// The victim is stopped at its point, the others come and run into it, and then it dies: whoever is told of the
/// death must tell the others.
pub(super) fn stopped_writer<L: Line>(
    operation: &'static str,
    victim: impl Fn(&World<L>, &Cut) + 'static,
) -> Box<dyn Scenario> {
    let name = "stopped, two consumers and two messages come";
    let case = helpers(case::<L>(operation, name, 2, 0), 2, Enter::AtKill, consumer).role("producer");
    let case = case.victim(victim).helper(Enter::AtKill, Until::Over, End::Alone, feeds::<L>(&[301, 302]));
    Story { consumers: 2, helpers: 3, ..Story::pushing() }.ends(case)
}

pub(super) fn stopped_reader<L: Line>(
    operation: &'static str,
    victim: impl Fn(&World<L>, &Cut) + 'static,
) -> Box<dyn Scenario> {
    let name = "full, stopped, two producers and a consumer come";
    let case =
        helpers(case::<L>(operation, name, 0, L::CAPACITY), 2, Enter::AtKill, producer).role("consumer");
    let case = case.victim(victim).helper(Enter::AtKill, Until::Asleep, End::Alone, consumer);
    Story { producers: 2, helpers: 3, ..Story::popping() }.ends(case)
}
