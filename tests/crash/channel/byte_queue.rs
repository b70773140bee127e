//! The byte queue, and the rows that only it has: large messages, and what a victim does between a push and a look.
//!
//! A message is its tag four times over, which takes one granule; a large one fourteen times, which takes two. A reservation
//! that becomes a message is of two granules, and needs one.

use super::rows::{
    Rows, bystander, consumer_does, consumers, fed, helpers, on_cue, producer_does, producers,
    producers_behind, stands, stopped_reader, stopped_writer,
};
use super::story::{Side, Story};
use super::*;
use crate::engine::{Case, Enter};
use interproc::queue::{ByteMessage, ByteQueue};

const GRANULE: usize = 64;
/// Words of a message that takes one granule, and of one that takes two.
const SMALL: usize = 4;
const LARGE: usize = 14;

type Own = ByteQueue;
type World = super::World<Own>;

fn case(operation: &'static str, scenario: &str, shift: u64, filled: u64) -> Case<World> {
    super::rows::case(operation, scenario, shift, filled)
}

/// The bytes of a message, large or, its beginning, small. On the stack: the victim is stepped.
fn bytes(tag: u64) -> [u8; LARGE * 8] {
    bytemuck::cast([tag; LARGE])
}

/// A message's tag, if it is whole.
fn tag_of(message: &[u8]) -> u64 {
    if ![SMALL * 8, LARGE * 8].contains(&message.len()) {
        return TORN;
    }
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight"));
    let first = word(&message[..8]);
    if message.chunks(8).all(|chunk| word(chunk) == first) { first } else { TORN }
}

fn seen(message: &ByteMessage<'_>) -> Seen {
    (tag_of(message), message.is_redelivered())
}

impl Line for ByteQueue {
    const OBJECT: &'static str = "ByteQueue";
    const CELL: &'static str = "granule";
    const CAPACITY: u64 = 4;
    const READING: &'static [&'static str] = &["BQ-d", "BQ-t"];

    fn make(segment: &Segment, name: &str) -> Self {
        let capacity = Self::CAPACITY as usize * GRANULE;
        let queue = segment.byte_queue(name, capacity, 2 * GRANULE - 8).expect("room");
        assert_eq!(queue.capacity(), capacity);
        queue
    }

    fn push(&self, tag: u64) -> IpcResult<()> {
        self.push(&bytes(tag)[..SMALL * 8])
    }

    fn try_push(&self, tag: u64) -> IpcResult<()> {
        self.try_push(&bytes(tag)[..SMALL * 8])
    }

    fn push_timeout(&self, tag: u64, timeout: Duration) -> IpcResult<()> {
        self.push_timeout(&bytes(tag)[..SMALL * 8], timeout)
    }

    fn pop(&self) -> IpcResult<Seen> {
        self.pop_delivery().map(|delivery| (tag_of(&delivery.value), delivery.redelivered))
    }

    fn try_pop(&self) -> IpcResult<Seen> {
        self.try_pop_delivery().map(|delivery| (tag_of(&delivery.value), delivery.redelivered))
    }

    fn pop_timeout(&self, timeout: Duration) -> IpcResult<u64> {
        self.pop_timeout(timeout).map(|message| tag_of(&message))
    }

    fn reserve(&self, tag: u64, commit: bool) -> IpcResult<()> {
        let mut room = self.reserve(if commit { LARGE } else { SMALL } * 8)?;
        room[..SMALL * 8].copy_from_slice(&bytes(tag)[..SMALL * 8]);
        if commit { room.commit_len(SMALL * 8) } else { Ok(()) }
    }

    fn borrow(&self) -> IpcResult<Seen> {
        self.borrow().map(|message| seen(&message))
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

    /// Round its end.
    fn warm_up(&self) {
        for _ in 0..5 {
            let _ = Line::push(self, 7);
            let _ = self.pop_delivery();
        }
        let _ = self.push(&bytes(7));
        if let Ok(message) = self.borrow() {
            let _ = message.put_back();
        }
        let _ = self.borrow();
        let _ = Line::reserve(self, 7, false);
        let _ = self.pop_timeout(Duration::ZERO);
    }

    fn warm_up_in_place(&self) {
        Line::warm_up(self);
    }

    /// After a death in mid-push it is not known without asking.
    fn looks_free(&self, part: &Part, large: bool) -> bool {
        let room = Self::CAPACITY as usize * GRANULE - if large { GRANULE } else { 0 };
        part.perhaps_killed_in("BQ-a") || self.len_bytes() < room
    }

    fn takes(&self, tag: u64, large: bool) -> bool {
        self.try_push(&bytes(tag)[..if large { LARGE } else { SMALL } * 8]).is_ok()
    }

    /// It takes a large message, too, wherever the ring stands.
    fn is_whole(&self) -> Check {
        ensure!(self.is_empty(), "empty, but its length is {}", self.len());
        ensure!(self.len_bytes() == 0, "empty, but {} bytes are used", self.len_bytes());
        ensure!(self.try_push(&bytes(450)).is_ok(), "no room for a large one");
        let popped = Line::try_pop(self);
        ensure!(popped == Ok((450, false)), "{popped:?} instead of the large one");
        Ok(())
    }
}

fn push_large(w: &World, cut: &Cut) {
    pushes(w, cut, |queue, tag| queue.push(&bytes(tag)));
}

fn large_producer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    let tag = 201 + part.index as u64;
    note(part, PUT, w.queue.push(&bytes(tag)).map(|()| tag))
}

fn push_then_borrow(w: &World, cut: &Cut) {
    push(w, cut);
    pops(w, cut, |queue| queue.try_borrow().map(|message| seen(&message)));
}

/// All of the byte queue's.
pub fn all() -> Rows {
    let own = [alone, others_asleep, asleep_itself, two_deaths, bystanders, stopped];
    super::rows::all::<Own>().into_iter().chain(own.iter().flat_map(|family| family())).collect()
}

fn alone() -> Rows {
    fn pop_into_too_small(w: &World, _: &Cut) {
        let _ = w.queue.pop_into(&mut [0; 8]);
    }
    let mut all = vec![
        Story::putting_back()
            .ends(consumer_does(case("pop_into", "too small a buffer", 0, 2), pop_into_too_small)),
    ];
    for (operation, name, shift, filled, op) in [
        ("push", "large, over the end: the rest is filled", 3, 0, push_large as Op<Own>),
        ("push", "large, two granules free", 0, 2, push_large),
        ("reserve+commit", "empty", 2, 0, reserve_commit),
        ("reserve+commit", "part full", 0, 1, reserve_commit),
        ("reserve+abort", "empty", 2, 0, reserve_abort),
        ("reserve+abort", "part full", 0, 1, reserve_abort),
    ] {
        all.push(Story::pushing().ends(producer_does(case(operation, name, shift, filled), op)));
    }
    all
}

fn others_asleep() -> Rows {
    // What is behind the victim's reservation reaches the consumers, whatever becomes of the victim.
    fn before_a_message(w: &World, cut: &Cut) {
        if let Ok(mut room) = w.queue.reserve(SMALL * 8) {
            room.copy_from_slice(&bytes(151)[..SMALL * 8]);
            try_push(w, cut);
        }
    }
    fn push_then_put_back(w: &World, cut: &Cut) {
        push(w, cut);
        if let Ok(message) = w.queue.try_borrow() {
            let _ = message.put_back();
        }
    }
    fn pop_twice(w: &World, cut: &Cut) {
        pop(w, cut);
        pop(w, cut);
    }
    let (pushing, popping) = (Story::pushing(), Story::popping());
    let then_consumer = "producer, then consumer in place";
    vec![
        consumers(1, pushing).ends(producer_does(
            fed(case("push", "large, over the end, a consumer asleep", 3, 0), 1),
            push_large,
        )),
        consumers(2, pushing).ends(producer_does(
            fed(case("reserve+push+abort", "two consumers asleep", 0, 0), 2),
            before_a_message,
        )),
        consumers(2, popping).ends(
            fed(case("push+receive", "two consumers asleep", 0, 0), 2)
                .role(then_consumer)
                .victim(on_stage::<Own>(push_then_borrow)),
        ),
        consumers(1, Story::putting_back()).ends(
            fed(case("push+borrow+put_back", "a consumer asleep", 0, 0), 1)
                .role(then_consumer)
                .victim(on_stage::<Own>(push_then_put_back)),
        ),
        Story { large: true, ..producers(1, popping) }.ends(consumer_does(
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

/// Freed room wakes them all, and who comes first has it: so there is room for all.
fn asleep_itself() -> Rows {
    vec![
        producers_behind::<Own>("full, two producers behind it, then room", 2, 3, push),
        producers_behind::<Own>("full, large, a producer behind it, then room", 1, 3, push_large),
    ]
}

fn two_deaths() -> Rows {
    let two = |operation, name: &str, from, first: Op<Own>, second: Op<Own>| {
        super::rows::two::<Own>(operation, name, from, on_stage::<Own>(first), on_stage::<Own>(second))
            .role("two consumers")
    };
    let both = super::rows::both_read();
    vec![
        // The second one needs the first one's room.
        Story::pushing().ends(
            two("push", "two deaths: a large one over the end, then another", (3, 0), push_large, push_large)
                .role("two producers"),
        ),
        both.ends(two("borrow", "two deaths: receive, then put_back", (1, 2), borrow, put_back)),
        Story { helpers: 1, ..both }.ends(
            on_cue(
                two("borrow", "two deaths: behind a stopped receive, then fed", (0, 1), borrow, borrow),
                feeder,
            )
            .limits(stands),
        ),
    ]
}

fn bystanders() -> Rows {
    fn push_borrow(w: &World, cut: &Cut) {
        push(w, cut);
        borrow(w, cut);
    }
    let story = Story { bystander: Some(Side::Consumer), ..Story::popping() };
    vec![
        story.ends(
            bystander::<Own>(
                "push+receive",
                "a consumer about to sleep",
                (0, 0),
                Side::Consumer,
                on_stage::<Own>(push_borrow),
            )
            .role("producer, then consumer in place"),
        ),
    ]
}

fn stopped() -> Rows {
    let two_come =
        |case: Case<World>, body: fn(&World, &Part) -> Check| helpers(case, 2, Enter::AtKill, body);
    vec![
        stopped_writer::<Own>("reserve+commit", on_stage::<Own>(reserve_commit)),
        stopped_reader::<Own>("borrow+release", on_stage::<Own>(borrow)),
        consumers(2, Story::popping()).ends(consumer_does(
            two_come(case("borrow+release", "one message, stopped, two consumers come", 0, 1), consumer),
            borrow,
        )),
        producers(2, Story::pushing()).ends(producer_does(
            two_come(case("reserve+abort", "one granule free, stopped, two producers come", 0, 3), producer),
            reserve_abort,
        )),
    ]
}
