//! Scenarios of the byte queue.
//!
//! Every message is a tag, four times over (one granule), or fourteen times (two granules). [`story`] follows each tag
//! from its push to the hands it came into; [`rows`] are the scenarios; here is the world that they work on, and what
//! the processes in it do.

mod rows;
mod story;

pub use rows::all;

use crate::engine::{Check, Cut, Part, os};
use interproc::queue::{ByteMessage, ByteQueue};
use interproc::{ErrorKind, Result as IpcResult, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Granules of the ring.
const CAPACITY: u64 = 4;
const GRANULE: usize = 64;
/// Words of a message that takes one granule, and of one that takes two.
const SMALL: usize = 4;
const LARGE: usize = 14;

// Words of the board. Tags: 1.. prefilled, 101.. the victim's, 151.. given up, 201.. and 301.. helpers', 901.. the
// verifier's.
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
    queue: ByteQueue,
    other: ByteQueue,
    filled: u64,
}

impl World {
    /// `filled` small messages in the ring, the first at granule `shift`.
    fn new(shift: u64, filled: u64) -> World {
        let options = Segment::options().size(1 << 14).max_members(12).max_objects(4);
        let segment = options.anonymous().expect("a segment");
        let make = |name| {
            let queue = segment.byte_queue(name, CAPACITY as usize * GRANULE, 2 * GRANULE - 8).expect("room");
            assert_eq!(queue.capacity(), CAPACITY as usize * GRANULE);
            queue
        };
        let (queue, other) = (make("queue"), make("other"));
        let world = World { _segment: segment, queue, other, filled };
        for _ in 0..shift {
            send(&world.queue, 1, SMALL).expect("room");
            world.queue.pop().expect("a message");
        }
        (1..=filled).for_each(|tag| send(&world.queue, tag, SMALL).expect("room"));
        world
    }

    fn try_pop(&self) -> IpcResult<(u64, bool)> {
        self.queue.try_borrow().map(|message| seen(&message))
    }

    /// Registers the caller and runs the code of both paths, on another ring, round its end.
    fn warm_up(&self) {
        for _ in 0..5 {
            let _ = send(&self.other, 7, SMALL);
            let _ = self.other.pop_delivery();
        }
        let _ = send(&self.other, 7, LARGE);
        if let Ok(message) = self.other.borrow() {
            let _ = message.put_back();
        }
        let _ = self.other.borrow();
        if let Ok(mut room) = self.other.reserve(SMALL * 8) {
            room.copy_from_slice(&bytes(7)[..SMALL * 8]);
        }
        let _ = self.other.pop_timeout(Duration::ZERO);
    }
}

const TORN: u64 = 0xdead;

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

fn seen(message: &ByteMessage<'_>) -> (u64, bool) {
    (tag_of(message), message.is_redelivered())
}

fn packed((tag, redelivered): (u64, bool)) -> u64 {
    tag | if redelivered { FLAGGED } else { 0 }
}

fn unpacked(word: u64) -> (u64, bool) {
    (word & !FLAGGED, word & FLAGGED != 0)
}

fn send(queue: &ByteQueue, tag: u64, words: usize) -> IpcResult<()> {
    queue.push(&bytes(tag)[..words * 8])
}

fn try_send(queue: &ByteQueue, tag: u64, words: usize) -> IpcResult<()> {
    queue.try_push(&bytes(tag)[..words * 8])
}

// ---- what the victim does ------------------------------------------------------------------------------------

/// Says on the board that these were acknowledged, or came back.
fn say(cut: &Cut, at: usize, word: u64) {
    let n = cut.part.fact(at).load(SeqCst);
    cut.part.fact(at + 1 + n as usize).store(word, SeqCst);
    cut.part.fact(at).store(n + 1, SeqCst);
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
    if send(&w.queue, tag, SMALL).is_ok() {
        say(cut, PUSHED, tag);
    }
}

fn push_large(w: &World, cut: &Cut) {
    let tag = tag(cut);
    if send(&w.queue, tag, LARGE).is_ok() {
        say(cut, PUSHED, tag);
    }
}

fn try_push(w: &World, cut: &Cut) {
    let tag = tag(cut);
    if try_send(&w.queue, tag, SMALL).is_ok() {
        say(cut, PUSHED, tag);
    }
}

fn reserve_commit(w: &World, cut: &Cut) {
    let tag = tag(cut);
    if let Ok(mut room) = w.queue.reserve(LARGE * 8) {
        room.copy_from_slice(&bytes(tag));
        if room.commit_len(SMALL * 8).is_ok() {
            say(cut, PUSHED, tag);
        }
    }
}

fn reserve_abort(w: &World, _cut: &Cut) {
    if let Ok(mut room) = w.queue.reserve(SMALL * 8) {
        room.copy_from_slice(&bytes(151)[..SMALL * 8]);
    }
}

fn pop(w: &World, cut: &Cut) {
    if let Ok(delivery) = w.queue.pop_delivery() {
        say(cut, POPPED, packed((tag_of(&delivery.value), delivery.redelivered)));
    }
}

fn try_pop(w: &World, cut: &Cut) {
    if let Ok(delivery) = w.queue.try_pop_delivery() {
        say(cut, POPPED, packed((tag_of(&delivery.value), delivery.redelivered)));
    }
}

/// Reads in place.
fn receive(w: &World, cut: &Cut) {
    if let Ok(message) = w.queue.borrow() {
        let tag = seen(&message);
        drop(message);
        say(cut, POPPED, packed(tag));
    }
}

fn receive_requeue(w: &World, _cut: &Cut) {
    if let Ok(message) = w.queue.borrow() {
        let _ = message.put_back();
    }
}

fn pop_into_too_small(w: &World, _cut: &Cut) {
    let _ = w.queue.pop_into(&mut [0; 8]);
}

fn close(w: &World, cut: &Cut) {
    if w.queue.close().is_ok() {
        cut.part.fact(CLOSED).store(1, SeqCst);
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
    let popped = w.queue.pop_delivery();
    note(part, GOT, popped.map(|delivery| packed((tag_of(&delivery.value), delivery.redelivered))))
}

fn note_push(w: &World, part: &Part, tag: u64, words: usize) -> Check {
    note(part, PUT, send(&w.queue, tag, words).map(|()| tag))
}

fn consumer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    note_pop(w, part)
}

fn producer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    note_push(w, part, 201 + part.index as u64, SMALL)
}

fn large_producer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    note_push(w, part, 201 + part.index as u64, LARGE)
}

/// Pushes one message at this cue.
fn feeder(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        part.await_cue(cue);
        note_push(w, part, 301 + part.index as u64, SMALL)
    }
}

/// Pushes these messages at once.
fn feeds(tags: &'static [u64]) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        for &tag in tags {
            crate::ensure!(try_send(&w.queue, tag, SMALL).is_ok(), "no room");
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
