//! Scenarios of the queue.
//!
//! Every message is a tag, four times over. [`story`] follows each tag from its push to the hands it came into; [`rows`]
//! and [`in_place`] are the scenarios; here is the world that they work on, and what the processes in it do.

mod in_place;
mod rows;
mod story;

use crate::engine::{Check, Cut, Part, Scenario, os};
use crate::ensure;
use interproc::queue::{Delivery, Queue};
use interproc::{Error, ErrorKind, Result as IpcResult, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    rows::all().into_iter().chain(in_place::all()).collect()
}

const CAPACITY: u64 = 3;
type Message = [u64; 4];

// Words of the board. Tags: 1.. prefilled, 101.. the victim's, 201.. and 301.. helpers', 901.. the verifier's.
/// How many pushes the victims have had acknowledged, and their tags from here on.
const PUSHED: usize = 0;
/// How many pops have come back to the victims, and their tags.
const POPPED: usize = 4;
/// The victim's `close` came back.
const CLOSED: usize = 8;
/// By helper: the tag that it popped, with [`FLAGGED`], or [`TOLD_CLOSED`].
const GOT: usize = 9;
/// By helper: when it was served.
const GOT_AT: usize = 17;
/// By helper: the tags that it pushed, at most two, 16 bits each.
const PUT: usize = 25;
const FLAGGED: u64 = 1 << 63;
/// A helper was told that the queue is closed.
const TOLD_CLOSED: u64 = u64::MAX >> 1;

struct World {
    /// Keeps the others mapped while they are dropped.
    _segment: Segment,
    queue: Queue<Message>,
    other: Queue<Message>,
    filled: u64,
}

impl World {
    /// `filled` messages in the ring, the first at cell `shift`.
    fn new(shift: u64, filled: u64) -> World {
        let options = Segment::options().size(4096).max_members(12).max_objects(4);
        let segment = options.anonymous().expect("a segment");
        let queue = segment.queue("queue", CAPACITY as usize).expect("room");
        let other = segment.queue("other", CAPACITY as usize).expect("room");
        let world = World { _segment: segment, queue, other, filled };
        for _ in 0..shift {
            world.queue.push([1; 4]).expect("room");
            world.queue.pop().expect("a message");
        }
        (1..=filled).for_each(|tag| world.queue.push([tag; 4]).expect("room"));
        world
    }

    /// The same for messages in place. From here on the caller's end rings the bell.
    fn warm_up_in_place(&self) {
        self.warm_up();
        for _ in 0..2 {
            let _ = self.other.reserve().and_then(|place| place.commit());
            drop(self.other.try_reserve());
            let _ = self.other.borrow().and_then(|message| message.put_back());
            drop(self.other.try_borrow());
        }
        for _ in 0..=CAPACITY {
            let _ = self.other.force_push([7; 4]);
        }
        self.other.drain().for_each(drop);
    }

    fn try_pop(&self) -> IpcResult<(u64, bool)> {
        self.queue.try_pop_delivery().map(seen)
    }

    /// Registers the caller and runs the code of both paths once, on another ring.
    fn warm_up(&self) {
        for _ in 0..2 {
            let _ = self.other.push([7; 4]);
            let _ = self.other.pop_delivery();
        }
        let _ = self.other.try_push_batch(&[[7; 4]; 2]);
        let _ = self.other.try_pop_batch(&mut [[0; 4]; 2]);
        let _ = self.other.pop_timeout(Duration::ZERO);
    }
}

const TORN: u64 = 0xdead;

/// A message's tag, if it is whole.
fn tag_of(message: Message) -> u64 {
    if message == [message[0]; 4] { message[0] } else { TORN }
}

fn seen(delivery: Delivery<Message>) -> (u64, bool) {
    (tag_of(delivery.value), delivery.redelivered)
}

fn packed((tag, redelivered): (u64, bool)) -> u64 {
    tag | if redelivered { FLAGGED } else { 0 }
}

fn unpacked(word: u64) -> (u64, bool) {
    (word & !FLAGGED, word & FLAGGED != 0)
}

// ---- what the victim does ------------------------------------------------------------------------------------

/// Says on the board that these were acknowledged, or came back.
fn say(cut: &Cut, at: usize, words: impl IntoIterator<Item = u64>) {
    for word in words {
        let n = cut.part.fact(at).load(SeqCst);
        cut.part.fact(at + 1 + n as usize).store(word, SeqCst);
        cut.part.fact(at).store(n + 1, SeqCst);
    }
}

fn said(part: &Part, at: usize) -> Vec<u64> {
    (0..part.fact(at).load(SeqCst) as usize).map(|n| part.fact(at + 1 + n).load(SeqCst)).collect()
}

/// The victim's next tag. Two victims count separately.
fn tag(cut: &Cut) -> u64 {
    let mine = 101 + 10 * u64::from(cut.is_first());
    mine + said(&cut.part, PUSHED).iter().filter(|&&tag| tag / 10 == mine / 10).count() as u64
}

fn push(w: &World, cut: &Cut) {
    let tag = tag(cut);
    if w.queue.push([tag; 4]).is_ok() {
        say(cut, PUSHED, [tag]);
    }
}

fn pop(w: &World, cut: &Cut) {
    if let Ok(delivery) = w.queue.pop_delivery() {
        say(cut, POPPED, [packed(seen(delivery))]);
    }
}

fn try_push(w: &World, cut: &Cut) {
    let tag = tag(cut);
    if w.queue.try_push([tag; 4]).is_ok() {
        say(cut, PUSHED, [tag]);
    }
}

fn try_pop(w: &World, cut: &Cut) {
    if let Ok(delivery) = w.queue.try_pop_delivery() {
        say(cut, POPPED, [packed(seen(delivery))]);
    }
}

fn on_stage(op: impl Fn(&World, &Cut)) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        op(w, cut);
        cut.end();
    }
}

// ---- helpers -------------------------------------------------------------------------------------------------

/// Says what the helper got (`GOT`) or pushed (`PUT`).
fn note(part: &Part, place: usize, result: IpcResult<u64>) -> Check {
    let (place, value) = match result {
        Ok(value) => (place, value),
        Err(e) if e.kind() == ErrorKind::Closed => (GOT, TOLD_CLOSED),
        Err(e) => return Err(format!("{e:?}")),
    };
    part.fact(GOT_AT + part.index).store(os::now(), SeqCst);
    part.fact(place + part.index).store(value, SeqCst);
    Ok(())
}

fn note_pop(w: &World, part: &Part) -> Check {
    note(part, GOT, w.queue.pop_delivery().map(|delivery| packed(seen(delivery))))
}

fn note_push(w: &World, part: &Part, tag: u64) -> Check {
    note(part, PUT, w.queue.push([tag; 4]).map(|()| tag).map_err(Error::from))
}

fn consumer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    note_pop(w, part)
}

fn producer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    note_push(w, part, 201 + part.index as u64)
}

/// Pushes one message at this cue.
fn feeder(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        part.await_cue(cue);
        note_push(w, part, 301 + part.index as u64)
    }
}

/// Pushes these messages at once.
fn feeds(tags: &'static [u64]) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        for &tag in tags {
            ensure!(w.queue.try_push([tag; 4]).is_ok(), "no room");
        }
        note(part, PUT, Ok(tags.iter().fold(0, |word, tag| word << 16 | tag)))
    }
}

/// Takes one message at this cue.
fn taker(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        part.await_cue(cue);
        note_pop(w, part)
    }
}
