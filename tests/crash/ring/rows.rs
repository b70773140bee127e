//! The rows of the kill table.

use super::story::{Side, Story};
use super::*;
use crate::engine::board::FIRST;
use crate::engine::{Case, End, Enter, First, Limits, Scenario, Until};
use std::sync::atomic::AtomicU32;

pub(super) fn case(operation: &'static str, scenario: &str, shift: u64, filled: u64) -> Case<World> {
    Case::new("Queue", operation, scenario, move || World::new(shift, filled))
}

pub(super) fn helpers(
    mut case: Case<World>,
    n: usize,
    when: Enter,
    body: fn(&World, &Part) -> Check,
) -> Case<World> {
    for _ in 0..n {
        case = case.helper(when, Until::Asleep, End::AfterVerifier, body);
    }
    case
}

pub(super) fn on_cue(case: Case<World>, body: impl Fn(&World, &Part) -> Check + 'static) -> Case<World> {
    case.helper(Enter::Before, Until::Ready, End::Alone, body)
}

fn producer_does(case: Case<World>, op: impl Fn(&World, &Cut) + 'static) -> Case<World> {
    case.role("producer").victim(on_stage(op))
}

fn consumer_does(case: Case<World>, op: impl Fn(&World, &Cut) + 'static) -> Case<World> {
    case.role("consumer").victim(on_stage(op))
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let families = [alone, batches, others_asleep, asleep_itself, closing, two_deaths, bystanders, stopped];
    families.iter().flat_map(|family| family()).collect()
}

fn alone() -> Vec<Box<dyn Scenario>> {
    let (pushing, popping) = (Story::pushing(), Story::popping());
    let mut all = Vec::new();
    for (name, shift, filled) in [
        ("empty", 0, 0),
        ("part full", 0, 1),
        ("one cell free", 1, 2),
        ("last cell of the lap", 2, 0),
        ("one cell free, round the end", 2, 2),
    ] {
        all.push(pushing.ends(producer_does(case("push", name, shift, filled), push)));
    }
    for (name, shift, filled) in
        [("full", 0, 3), ("part full", 1, 2), ("one message", 0, 1), ("last cell of the lap", 2, 2)]
    {
        all.push(popping.ends(consumer_does(case("pop", name, shift, filled), pop)));
    }
    let timed_push = |w: &World, cut: &Cut| {
        let tag = tag(cut);
        if w.queue.push_timeout([tag; 4], Duration::from_millis(20)).is_ok() {
            say(cut, PUSHED, [tag]);
        }
    };
    let timed_pop = |w: &World, cut: &Cut| {
        if let Ok(message) = w.queue.pop_timeout(Duration::from_millis(20)) {
            say(cut, POPPED, [tag_of(message)]);
        }
    };
    all.extend([
        pushing.ends(producer_does(case("try_push", "room", 0, 1), try_push)),
        popping.ends(consumer_does(case("try_pop", "a message", 0, 1), try_pop)),
        pushing.ends(producer_does(case("try_push", "full", 0, 3), try_push)),
        popping.ends(consumer_does(case("try_pop", "empty", 1, 0), try_pop)),
        pushing.ends(producer_does(case("timed push", "room", 0, 1), timed_push)),
        popping.ends(consumer_does(case("timed pop", "a message", 0, 1), timed_pop)),
        pushing.ends(producer_does(case("timed push", "full for longer", 0, 3), timed_push)),
        popping.ends(consumer_does(case("timed pop", "empty for longer", 0, 0), timed_pop)),
    ]);
    all
}

/// The death of a batch's caller costs at most the rest of the batch; of a popped batch all may be gone with it.
fn batches() -> Vec<Box<dyn Scenario>> {
    fn tags<const N: usize>() -> ([u64; N], [Message; N]) {
        let tags = std::array::from_fn(|i| 101 + i as u64);
        (tags, tags.map(|tag| [tag; 4]))
    }
    let push_batch = |w: &World, cut: &Cut| {
        let (tags, messages) = tags::<3>();
        if w.queue.push_batch(&messages).is_ok() {
            say(cut, PUSHED, tags);
        }
    };
    let try_push_batch = |w: &World, cut: &Cut| {
        let (tags, messages) = tags::<3>();
        let n = w.queue.try_push_batch(&messages).unwrap_or(0);
        say(cut, PUSHED, tags[..n].iter().copied());
    };
    fn popped(cut: &Cut, result: IpcResult<usize>, into: &[Message]) {
        say(cut, POPPED, into[..result.unwrap_or(0)].iter().map(|&m| tag_of(m)));
    }
    let pop_batch = |w: &World, cut: &Cut| {
        let mut into = [[0; 4]; 3];
        popped(cut, w.queue.pop_batch(&mut into), &into);
    };
    let try_pop_batch = |w: &World, cut: &Cut| {
        let mut into = [[0; 4]; 2];
        popped(cut, w.queue.try_pop_batch(&mut into), &into);
    };
    let pushing = Story::pushing();
    let popping = |lost| Story { lost, ..Story::popping() };
    vec![
        pushing.ends(producer_does(case("push_batch", "three, empty", 1, 0), push_batch)),
        Story { helpers: 1, ..pushing }.ends(
            on_cue(case("push_batch", "three, room for two, then more", 1, 1), taker(1))
                .role("sleeping producer")
                .victim(on_stage(push_batch)),
        ),
        Story { helpers: 2, consumers: 2, ..pushing }.ends(producer_does(
            helpers(case("push_batch", "three, two consumers asleep", 0, 0), 2, Enter::Before, consumer),
            push_batch,
        )),
        pushing.ends(producer_does(case("try_push_batch", "three, room for two", 2, 1), try_push_batch)),
        popping(3).ends(consumer_does(case("pop_batch", "three of three", 2, 3), pop_batch)),
        Story { helpers: 1, ..popping(3) }.ends(
            on_cue(case("pop_batch", "empty, then fed", 0, 0), feeder(1))
                .role("sleeping consumer")
                .victim(on_stage(pop_batch)),
        ),
        Story { helpers: 2, producers: 2, ..popping(3) }.ends(consumer_does(
            helpers(case("pop_batch", "full, two producers asleep", 0, 3), 2, Enter::Before, producer),
            pop_batch,
        )),
        popping(2).ends(consumer_does(case("try_pop_batch", "two of three", 0, 3), try_pop_batch)),
    ]
}

fn others_asleep() -> Vec<Box<dyn Scenario>> {
    let beside_own_sleeper = |w: &World, cut: &Cut| {
        w.warm_up();
        let tid = AtomicU32::new(0);
        std::thread::scope(|s| {
            s.spawn(|| {
                w.warm_up();
                os::futex_set(&tid, os::tid());
                // It may take a message along when both die.
                let _ = w.queue.pop();
                std::thread::park();
            });
            os::futex_wait(&tid, 0, u64::MAX);
            os::await_sleep(std::process::id() as i32, tid.load(SeqCst) as i32);
            cut.start();
            push(w, cut);
            cut.end();
        });
    };
    let consumers = |n| Story { consumers: n, helpers: n, ..Story::pushing() };
    let producers = |n| Story { producers: n, helpers: n, ..Story::popping() };
    let fed = |case, n| helpers(case, n, Enter::Before, consumer);
    let drained = |case, n| helpers(case, n, Enter::Before, producer);
    vec![
        consumers(1).ends(producer_does(fed(case("push", "a consumer asleep", 0, 0), 1), push)),
        consumers(2).ends(producer_does(fed(case("push", "two consumers asleep", 2, 0), 2), push)),
        consumers(2).ends(producer_does(
            fed(case("push twice", "two consumers asleep", 2, 0), 2),
            |w, cut| {
                push(w, cut);
                push(w, cut);
            },
        )),
        Story { lost: 1, readers: 1, ..consumers(1) }.ends(
            fed(case("push", "a consumer asleep, and another thread of the victim", 0, 0), 1)
                .role("producer")
                .limits(|l| l.lives_at_end = false)
                .victim(beside_own_sleeper),
        ),
        producers(1).ends(consumer_does(drained(case("pop", "full, a producer asleep", 0, 3), 1), pop)),
        producers(2).ends(consumer_does(drained(case("pop", "full, two producers asleep", 1, 3), 2), pop)),
    ]
}

/// The victim sleeps, is woken on its cue, goes on.
fn asleep_itself() -> Vec<Box<dyn Scenario>> {
    let pops = |case: Case<World>| case.role("sleeping consumer").victim(on_stage(pop));
    let pushes = |case: Case<World>| case.role("sleeping producer").victim(on_stage(push));
    let (popping, pushing) = (Story::popping(), Story::pushing());
    let before = |case, n, body| helpers(case, n, Enter::WhenAsleep, body);
    vec![
        Story { helpers: 1, ..popping }.ends(pops(on_cue(case("pop", "empty, then fed", 0, 0), feeder(1)))),
        Story { helpers: 1, ..pushing }.ends(pushes(on_cue(case("push", "full, then room", 0, 3), taker(1)))),
        // The others sleep behind the victim: the wake-up is its, and must not die with it.
        Story { helpers: 2, consumers: 1, ..popping }.ends(pops(on_cue(
            before(case("pop", "empty, another consumer behind it, then fed", 0, 0), 1, consumer),
            feeder(1),
        ))),
        Story { helpers: 3, consumers: 2, ..popping }.ends(pops(on_cue(
            before(case("pop", "empty, two consumers behind it, then fed", 0, 0), 2, consumer),
            feeder(1),
        ))),
        Story { helpers: 2, producers: 1, ..pushing }.ends(pushes(on_cue(
            before(case("push", "full, another producer behind it, then room", 0, 3), 1, producer),
            taker(1),
        ))),
        Story { helpers: 3, producers: 2, ..pushing }.ends(pushes(on_cue(
            before(case("push", "full, two producers behind it, then room", 0, 3), 2, producer),
            taker(1),
        ))),
    ]
}

fn closing() -> Vec<Box<dyn Scenario>> {
    let close = |w: &World, cut: &Cut| {
        if w.queue.close().is_ok() {
            cut.part.fact(CLOSED).store(1, SeqCst);
        }
    };
    let closer = |case: Case<World>| case.role("closer").victim(on_stage(close));
    let closed = |operation, scenario: &str, filled| {
        Case::new("Queue", operation, scenario, move || {
            let world = World::new(0, filled);
            world.queue.close().expect("closed");
            world
        })
    };
    let closes = Story { closes: true, ..Story::default() };
    let popping = Story { closes: true, ..Story::popping() };
    vec![
        closes.ends(closer(case("close", "part full", 0, 2))),
        Story { consumers: 2, helpers: 2, ..closes }.ends(closer(helpers(
            case("close", "empty, two consumers asleep", 1, 0),
            2,
            Enter::Before,
            consumer,
        ))),
        Story { producers: 2, helpers: 2, ..closes }.ends(closer(helpers(
            case("close", "full, two producers asleep", 0, 3),
            2,
            Enter::Before,
            producer,
        ))),
        closes.ends(producer_does(closed("push", "closed", 1), push)),
        popping.ends(consumer_does(closed("pop", "closed, one message", 1), pop)),
        popping.ends(consumer_does(closed("pop", "closed and empty: the end is sealed", 0), pop)),
    ]
}

fn two_deaths() -> Vec<Box<dyn Scenario>> {
    type Op = fn(&World, &Cut);
    let thin = |l: &mut Limits| l.thin_above = 300;
    let stands = |l: &mut Limits| l.first = First::StandsAndDies;
    let two = |operation, name: &str, (shift, filled), first: Op, second: Op| {
        case(operation, name, shift, filled).limits(thin).first(on_stage(first)).victim(on_stage(second))
    };
    let (pushing, popping) = (Story::pushing(), Story::popping());
    let both = Story { lost: 2, readers: 2, ..Story::default() };
    vec![
        pushing.ends(
            two("push", "two deaths: push, then push", (2, 0), try_push, try_push).role("two producers"),
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
        popping.ends(
            two("push", "two deaths: pop, then push", (0, 3), try_pop, try_push).role("consumer, producer"),
        ),
        // The first one stands still in its operation, so that the second one sleeps for it, and then dies.
        Story { helpers: 1, ..popping }.ends(
            on_cue(two("pop", "two deaths: behind a stopped push, then fed", (0, 0), push, pop), feeder(1))
                .limits(stands)
                .role("producer, consumer"),
        ),
        Story { helpers: 1, ..both }.ends(
            on_cue(two("pop", "two deaths: behind a stopped pop, then fed", (0, 1), pop, pop), feeder(1))
                .limits(stands)
                .role("two consumers"),
        ),
        Story { helpers: 1, ..popping }.ends(
            on_cue(
                two("push", "two deaths: full, behind a stopped pop, then room", (0, 3), pop, push),
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
    type Op = fn(&World, &Cut);
    let row = |operation, name: &str, (shift, filled), side, op: Op| {
        let first = move |w: &World, cut: &Cut| {
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
            .limits(|l| {
                (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 24, 300);
            })
            .first(first)
            .victim(on_stage(op))
    };
    let close = |w: &World, cut: &Cut| {
        if w.queue.close().is_ok() {
            cut.part.fact(CLOSED).store(1, SeqCst);
        }
    };
    let consumer = Story { bystander: Some(Side::Consumer), ..Story::pushing() };
    let producer = Story { bystander: Some(Side::Producer), ..Story::popping() };
    let behind = |case| helpers(case, 1, Enter::AtStart, self::consumer);
    vec![
        consumer
            .ends(row("push", "a consumer about to sleep", (2, 0), Side::Consumer, push).role("producer")),
        Story { consumers: 1, helpers: 1, ..consumer }.ends(
            behind(row("push", "a consumer about to sleep, and one asleep", (0, 0), Side::Consumer, push))
                .role("producer"),
        ),
        producer.ends(
            row("pop", "full, a producer about to sleep", (1, 3), Side::Producer, pop).role("consumer"),
        ),
        Story { closes: true, ..consumer }
            .ends(row("close", "a consumer about to sleep", (0, 0), Side::Consumer, close).role("closer")),
        Story { closes: true, lost: 0, readers: 0, ..producer }.ends(
            row("close", "full, a producer about to sleep", (0, 3), Side::Producer, close).role("closer"),
        ),
    ]
}

/// The victim is stopped at its point, the others come and run into it, and then it dies: whoever is told of the
/// death must tell the others.
fn stopped() -> Vec<Box<dyn Scenario>> {
    let two = |case, body| helpers(case, 2, Enter::AtKill, body);
    let close = |w: &World, cut: &Cut| {
        if w.queue.close().is_ok() {
            cut.part.fact(CLOSED).store(1, SeqCst);
        }
    };
    vec![
        Story { consumers: 2, helpers: 3, ..Story::pushing() }.ends(
            producer_does(
                two(case("push", "stopped, two consumers and two messages come", 2, 0), consumer),
                push,
            )
            .helper(Enter::AtKill, Until::Over, End::Alone, feeds(&[301, 302])),
        ),
        Story { producers: 2, helpers: 3, ..Story::popping() }.ends(
            consumer_does(
                two(case("pop", "full, stopped, two producers and a consumer come", 0, 3), producer),
                pop,
            )
            .helper(Enter::AtKill, Until::Asleep, End::Alone, |w, part| {
                w.warm_up();
                part.ready();
                note_pop(w, part)
            }),
        ),
        Story { consumers: 2, helpers: 2, closes: true, ..Story::default() }.ends(
            two(case("close", "stopped, two consumers come", 0, 0), consumer)
                .role("closer")
                .victim(on_stage(close)),
        ),
    ]
}
