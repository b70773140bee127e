//! The queue, and the rows that only it has: batches, reservations of one cell, pushes that displace.

use super::rows::{
    Rows, both_read, consumer_does, consumers, drained, fed, helpers, on_cue, producer_does, producers,
    producers_behind, stands, stopped_reader, stopped_writer, two,
};
use super::story::Story;
use super::*;
use crate::engine::{Case, End, Enter, Until};
use interproc::queue::{Delivery, Queue};
use std::sync::atomic::AtomicU32;

type Message = [u64; 4];
type Own = Queue<Message>;
type World = super::World<Own>;

fn case(operation: &'static str, scenario: &str, shift: u64, filled: u64) -> Case<World> {
    super::rows::case(operation, scenario, shift, filled)
}

/// A message's tag, if it is whole.
fn tag_of(message: Message) -> u64 {
    if message == [message[0]; 4] { message[0] } else { TORN }
}

fn seen(delivery: Delivery<Message>) -> Seen {
    (tag_of(delivery.value), delivery.redelivered)
}

impl Line for Queue<Message> {
    const OBJECT: &'static str = "Queue";
    const CELL: &'static str = "cell";
    const CAPACITY: u64 = 3;
    const READING: &'static [&'static str] = &["Q-d", "R-d", "F-a"];

    fn make(segment: &Segment, name: &str) -> Self {
        segment.queue(name, Self::CAPACITY as usize).expect("room")
    }

    fn push(&self, tag: u64) -> IpcResult<()> {
        Ok(self.push([tag; 4])?)
    }

    fn try_push(&self, tag: u64) -> IpcResult<()> {
        Ok(self.try_push([tag; 4])?)
    }

    fn push_timeout(&self, tag: u64, timeout: Duration) -> IpcResult<()> {
        Ok(self.push_timeout([tag; 4], timeout)?)
    }

    fn pop(&self) -> IpcResult<Seen> {
        self.pop_delivery().map(seen)
    }

    fn try_pop(&self) -> IpcResult<Seen> {
        self.try_pop_delivery().map(seen)
    }

    fn pop_timeout(&self, timeout: Duration) -> IpcResult<u64> {
        self.pop_timeout(timeout).map(tag_of)
    }

    fn reserve(&self, tag: u64, commit: bool) -> IpcResult<()> {
        let mut place = self.reserve()?;
        *place = [tag; 4];
        if commit { place.commit() } else { Ok(()) }
    }

    fn borrow(&self) -> IpcResult<Seen> {
        self.borrow().map(|message| (tag_of(*message), message.is_redelivered()))
    }

    fn put_back(&self) -> IpcResult<()> {
        self.borrow()?.put_back()
    }

    fn close(&self) -> IpcResult<()> {
        self.close()
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn is_full(&self) -> bool {
        self.is_full()
    }

    fn warm_up(&self) {
        for _ in 0..2 {
            let _ = self.push([7; 4]);
            let _ = self.pop_delivery();
        }
        let _ = self.try_push_batch(&[[7; 4]; 2]);
        let _ = self.try_pop_batch(&mut [[0; 4]; 2]);
        let _ = self.pop_timeout(Duration::ZERO);
    }

    fn warm_up_in_place(&self) {
        Line::warm_up(self);
        for _ in 0..2 {
            let _ = self.reserve().and_then(|place| place.commit());
            drop(self.try_reserve());
            let _ = self.borrow().and_then(|message| message.put_back());
            drop(self.try_borrow());
        }
        for _ in 0..=Self::CAPACITY {
            let _ = self.force_push([7; 4]);
        }
        self.drain().for_each(drop);
    }

    /// `len` does not count the cell of a producer that died in mid-push.
    fn looks_free(&self, _: &Part, _: bool) -> bool {
        (self.len() as u64) < Self::CAPACITY
    }

    fn takes(&self, tag: u64, _: bool) -> bool {
        self.try_push([tag; 4]).is_ok()
    }

    fn is_whole(&self) -> Check {
        ensure!(self.is_empty(), "empty, but its length is {}", self.len());
        Ok(())
    }
}

/// All of the queue's.
pub fn all() -> Rows {
    let own = [batches, others_asleep, stopped, reserving, receiving, forcing, two_deaths];
    super::rows::all::<Own>().into_iter().chain(own.iter().flat_map(|family| family())).collect()
}

/// The death of a batch's caller costs at most the rest of the batch; of a popped batch all may be gone with it.
fn batches() -> Rows {
    fn tags<const N: usize>() -> ([u64; N], [Message; N]) {
        let tags = std::array::from_fn(|i| 101 + i as u64);
        (tags, tags.map(|tag| [tag; 4]))
    }
    fn push_batch(w: &World, cut: &Cut) {
        let (tags, messages) = tags::<3>();
        if w.queue.push_batch(&messages).is_ok() {
            say(cut, PUSHED, tags);
        }
    }
    fn try_push_batch(w: &World, cut: &Cut) {
        let (tags, messages) = tags::<3>();
        let n = w.queue.try_push_batch(&messages).unwrap_or(0);
        say(cut, PUSHED, tags[..n].iter().copied());
    }
    fn popped(cut: &Cut, result: IpcResult<usize>, into: &[Message]) {
        say(cut, POPPED, into[..result.unwrap_or(0)].iter().map(|&m| tag_of(m)));
    }
    fn pop_batch(w: &World, cut: &Cut) {
        let mut into = [[0; 4]; 3];
        popped(cut, w.queue.pop_batch(&mut into), &into);
    }
    fn try_pop_batch(w: &World, cut: &Cut) {
        let mut into = [[0; 4]; 2];
        popped(cut, w.queue.try_pop_batch(&mut into), &into);
    }
    let pushing = Story::pushing();
    let popping = |lost| Story { lost, ..Story::popping() };
    vec![
        pushing.ends(producer_does(case("push_batch", "three, empty", 1, 0), push_batch)),
        Story { helpers: 1, ..pushing }.ends(
            on_cue(case("push_batch", "three, room for two, then more", 1, 1), taker)
                .role("sleeping producer")
                .victim(on_stage::<Own>(push_batch)),
        ),
        consumers(2, pushing)
            .ends(producer_does(fed(case("push_batch", "three, two consumers asleep", 0, 0), 2), push_batch)),
        pushing.ends(producer_does(case("try_push_batch", "three, room for two", 2, 1), try_push_batch)),
        popping(3).ends(consumer_does(case("pop_batch", "three of three", 2, 3), pop_batch)),
        Story { helpers: 1, ..popping(3) }.ends(
            on_cue(case("pop_batch", "empty, then fed", 0, 0), feeder)
                .role("sleeping consumer")
                .victim(on_stage::<Own>(pop_batch)),
        ),
        producers(2, popping(3)).ends(consumer_does(
            drained(case("pop_batch", "full, two producers asleep", 0, 3), 2),
            pop_batch,
        )),
        popping(2).ends(consumer_does(case("try_pop_batch", "two of three", 0, 3), try_pop_batch)),
    ]
}

fn others_asleep() -> Rows {
    fn beside_own_sleeper(w: &World, cut: &Cut) {
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
    }
    vec![
        Story { lost: 1, readers: 1, ..consumers(1, Story::pushing()) }.ends(
            fed(case("push", "a consumer asleep, and another thread of the victim", 0, 0), 1)
                .role("producer")
                .limits(|l| l.lives_at_end = false)
                .victim(beside_own_sleeper),
        ),
        producers_behind::<Own>("full, another producer behind it, then room", 1, 1, push),
        producers_behind::<Own>("full, two producers behind it, then room", 2, 1, push),
        Story { helpers: 1, ..both_read() }.ends(
            on_cue(
                two::<Own>(
                    "pop",
                    "two deaths: behind a stopped pop, then fed",
                    (0, 1),
                    on_stage::<Own>(pop),
                    on_stage::<Own>(pop),
                ),
                feeder,
            )
            .limits(stands)
            .role("two consumers"),
        ),
    ]
}

fn stopped() -> Rows {
    vec![
        stopped_writer::<Own>("push", on_stage::<Own>(push)),
        stopped_reader::<Own>("pop", on_stage::<Own>(pop)),
        Story { closes: true, ..consumers(2, Story::default()) }.ends(
            helpers(case("close", "stopped, two consumers come", 0, 0), 2, Enter::AtKill, consumer)
                .role("closer")
                .victim(on_stage::<Own>(close)),
        ),
    ]
}

fn writes(case: Case<World>, op: Op<Own>) -> Case<World> {
    case.role("producer").victim(in_place::<Own>(op))
}

fn reads(case: Case<World>, op: Op<Own>) -> Case<World> {
    case.role("consumer").victim(in_place::<Own>(op))
}

fn reserving() -> Rows {
    let pushing = Story::pushing();
    let mut all = Vec::new();
    for (name, shift, filled) in [("empty", 0, 0), ("one cell free, round the end", 2, 2)] {
        all.push(pushing.ends(writes(case("reserve+commit", name, shift, filled), reserve_commit)));
        all.push(pushing.ends(writes(case("reserve+abort", name, shift, filled), reserve_abort)));
    }
    // They sleep behind the reservation, beside a message.
    let behind = |operation, shift, op| {
        let case = case(operation, "two consumers and a message behind it", shift, 0);
        let case = writes(helpers(case, 2, Enter::AtKill, consumer), op);
        Story { consumers: 2, helpers: 3, ..pushing }.ends(case.helper(
            Enter::AtKill,
            Until::Over,
            End::Alone,
            feeds::<Own>(&[301]),
        ))
    };
    all.extend([
        behind("reserve+abort", 0, reserve_abort),
        behind("reserve+commit", 1, reserve_commit),
        producers(1, pushing).ends(writes(
            helpers(
                case("reserve+abort", "one cell free, a producer comes", 0, 2),
                1,
                Enter::AtKill,
                producer,
            ),
            reserve_abort,
        )),
        Story { helpers: 1, ..pushing }.ends(
            on_cue(case("reserve+commit", "full, then room", 0, 3), taker)
                .role("sleeping producer")
                .victim(in_place::<Own>(reserve_commit)),
        ),
    ]);
    all
}

fn receiving() -> Rows {
    let keeping = Story::putting_back();
    vec![
        Story { helpers: 2, consumers: 1, ..keeping }.ends(
            on_cue(
                helpers(
                    case("borrow+put_back", "empty, another consumer behind it, then fed", 0, 0),
                    1,
                    Enter::WhenAsleep,
                    consumer,
                ),
                feeder,
            )
            .role("sleeping consumer")
            .victim(in_place::<Own>(put_back)),
        ),
        consumers(1, keeping).ends(reads(
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

fn force(w: &World, cut: &Cut) {
    let tag = tag(cut);
    if let Ok(displaced) = w.queue.force_push([tag; 4]) {
        say(cut, POPPED, displaced.map(tag_of));
        say(cut, PUSHED, [tag]);
    }
}

fn forcing() -> Rows {
    // What makes way is lost with the one who displaced it, or comes again.
    let forcing = Story::popping();
    let mut all = Vec::new();
    for (name, shift, filled) in [("empty", 0, 0), ("one cell free", 1, 2)] {
        all.push(Story::pushing().ends(writes(case("force_push", name, shift, filled), force)));
    }
    for (name, shift) in [("full", 0), ("full, round the end", 2)] {
        all.push(forcing.ends(writes(case("force_push", name, shift, 3), force)));
    }
    all.extend([
        producers(1, forcing)
            .ends(writes(drained(case("force_push", "full, a producer asleep", 0, 3), 1), force)),
        Story { producers: 1, helpers: 2, ..forcing }.ends(
            writes(
                helpers(
                    case("force_push", "full, stopped, a producer and a consumer come", 1, 3),
                    1,
                    Enter::AtKill,
                    producer,
                ),
                force,
            )
            .helper(Enter::AtKill, Until::Asleep, End::Alone, consumer),
        ),
        consumers(1, Story::pushing())
            .ends(writes(fed(case("force_push", "a consumer asleep", 0, 0), 1), force)),
    ]);
    all
}

fn two_deaths() -> Rows {
    let two = |operation, name: &str, from, first: Op<Own>, second: Op<Own>| {
        super::rows::two::<Own>(operation, name, from, in_place::<Own>(first), in_place::<Own>(second))
    };
    let one = Story { lost: 1, readers: 1, ..Story::default() };
    vec![
        both_read().ends(
            two("force_push", "two deaths: force_push, then force_push", (0, 3), force, force)
                .role("two producers"),
        ),
        both_read().ends(
            two("force_push", "two deaths: receive, then force_push", (1, 3), borrow, force)
                .role("consumer, producer"),
        ),
        one.ends(
            two("borrow+release", "two deaths: reserve, then receive", (2, 1), reserve_commit, borrow)
                .role("producer, consumer"),
        ),
        one.ends(
            two("borrow+release", "two deaths: abort, then receive", (0, 1), reserve_abort, borrow)
                .role("producer, consumer"),
        ),
        Story { helpers: 1, ..both_read() }.ends(
            on_cue(
                two(
                    "borrow+release",
                    "two deaths: behind a stopped receive, then fed",
                    (0, 1),
                    borrow,
                    borrow,
                ),
                feeder,
            )
            .limits(stands)
            .role("two consumers"),
        ),
    ]
}
