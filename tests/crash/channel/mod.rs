//! Scenarios of the queue and of the byte queue.
//!
//! Every message is a tag, several times over. [`story`] follows each tag from its push to the hands it came into; [`rows`]
//! are the scenarios of both, [`queue`] and [`byte_queue`] those that only one has; here is the world that they work on, and
//! what the processes in it do.

mod byte_queue;
mod queue;
mod rows;
mod story;

use crate::engine::{Check, Cut, Part, Scenario, os};
use crate::ensure;
use interproc::{ErrorKind, Result as IpcResult, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    queue::all().into_iter().chain(byte_queue::all()).collect()
}

/// A tag, and whether its message comes again.
type Seen = (u64, bool);

/// A handle of a channel that any number of processes use. A message is its tag.
trait Line: Sized + 'static {
    const OBJECT: &'static str;
    /// What a message takes, and how many there are.
    const CELL: &'static str;
    const CAPACITY: u64;
    /// Who dies in these windows may have read the message.
    const READING: &'static [&'static str];

    fn make(segment: &Segment, name: &str) -> Self;
    fn push(&self, tag: u64) -> IpcResult<()>;
    fn try_push(&self, tag: u64) -> IpcResult<()>;
    fn push_timeout(&self, tag: u64, timeout: Duration) -> IpcResult<()>;
    fn pop(&self) -> IpcResult<Seen>;
    fn try_pop(&self) -> IpcResult<Seen>;
    fn pop_timeout(&self, timeout: Duration) -> IpcResult<u64>;
    /// Reserves, writes, and commits or gives up.
    fn reserve(&self, tag: u64, commit: bool) -> IpcResult<()>;
    /// Reads where it lies, and releases.
    fn borrow(&self) -> IpcResult<Seen>;
    fn put_back(&self) -> IpcResult<()>;
    fn close(&self) -> IpcResult<()>;
    fn is_closed(&self) -> bool;
    fn is_empty(&self) -> bool;
    fn is_full(&self) -> bool;

    /// Runs the code of the plain paths once.
    fn warm_up(&self);
    /// And of those in place. From here on the caller's end rings the bell.
    fn warm_up_in_place(&self);
    /// Whether it looks as if a push had room; for a large message, if there are such.
    fn looks_free(&self, part: &Part, large: bool) -> bool;
    /// What a push finds then.
    fn takes(&self, tag: u64, large: bool) -> bool;
    /// It is empty, and nothing of its room is lost.
    fn is_whole(&self) -> Check;
}

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

struct World<L> {
    /// Keeps the others mapped while they are dropped.
    _segment: Segment,
    queue: L,
    other: L,
    filled: u64,
}

impl<L: Line> World<L> {
    /// `filled` messages in the ring, the first at cell `shift`.
    fn new(shift: u64, filled: u64) -> World<L> {
        let options = Segment::options().size(1 << 14).max_members(12).max_objects(4);
        let segment = options.anonymous().expect("a segment");
        let (queue, other) = (L::make(&segment, "queue"), L::make(&segment, "other"));
        let world = World { _segment: segment, queue, other, filled };
        for _ in 0..shift {
            world.queue.push(1).expect("room");
            world.queue.pop().expect("a message");
        }
        (1..=filled).for_each(|tag| world.queue.push(tag).expect("room"));
        world
    }

    /// Registers the caller and runs the code of both paths, on another ring.
    fn warm_up(&self) {
        self.other.warm_up();
    }
}

const TORN: u64 = 0xdead;

fn packed((tag, redelivered): Seen) -> u64 {
    tag | if redelivered { FLAGGED } else { 0 }
}

fn unpacked(word: u64) -> Seen {
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

type Op<L> = fn(&World<L>, &Cut);

/// Pushes the next tag, in this way.
fn pushes<L>(w: &World<L>, cut: &Cut, push: impl FnOnce(&L, u64) -> IpcResult<()>) {
    let tag = tag(cut);
    if push(&w.queue, tag).is_ok() {
        say(cut, PUSHED, [tag]);
    }
}

fn pops<L>(w: &World<L>, cut: &Cut, pop: impl FnOnce(&L) -> IpcResult<Seen>) {
    if let Ok(seen) = pop(&w.queue) {
        say(cut, POPPED, [packed(seen)]);
    }
}

fn push<L: Line>(w: &World<L>, cut: &Cut) {
    pushes(w, cut, L::push);
}

fn try_push<L: Line>(w: &World<L>, cut: &Cut) {
    pushes(w, cut, L::try_push);
}

fn timed_push<L: Line>(w: &World<L>, cut: &Cut) {
    pushes(w, cut, |queue, tag| queue.push_timeout(tag, Duration::from_millis(20)));
}

fn reserve_commit<L: Line>(w: &World<L>, cut: &Cut) {
    pushes(w, cut, |queue, tag| queue.reserve(tag, true));
}

fn reserve_abort<L: Line>(w: &World<L>, _: &Cut) {
    let _ = w.queue.reserve(151, false);
}

fn pop<L: Line>(w: &World<L>, cut: &Cut) {
    pops(w, cut, L::pop);
}

fn try_pop<L: Line>(w: &World<L>, cut: &Cut) {
    pops(w, cut, L::try_pop);
}

fn timed_pop<L: Line>(w: &World<L>, cut: &Cut) {
    pops(w, cut, |queue| queue.pop_timeout(Duration::from_millis(20)).map(|tag| (tag, false)));
}

fn borrow<L: Line>(w: &World<L>, cut: &Cut) {
    pops(w, cut, L::borrow);
}

fn put_back<L: Line>(w: &World<L>, _: &Cut) {
    let _ = w.queue.put_back();
}

fn close<L: Line>(w: &World<L>, cut: &Cut) {
    if w.queue.close().is_ok() {
        cut.part.fact(CLOSED).store(1, SeqCst);
    }
}

fn on_stage<L: Line>(op: impl Fn(&World<L>, &Cut)) -> impl Fn(&World<L>, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        op(w, cut);
        cut.end();
    }
}

/// As above. Only who is to die warms up so: a helper's end that rings the bell would let others look.
fn in_place<L: Line>(op: impl Fn(&World<L>, &Cut)) -> impl Fn(&World<L>, &Cut) {
    move |w, cut| {
        w.other.warm_up_in_place();
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

fn note_pop<L: Line>(w: &World<L>, part: &Part) -> Check {
    note(part, GOT, w.queue.pop().map(packed))
}

fn note_push<L: Line>(w: &World<L>, part: &Part, tag: u64) -> Check {
    note(part, PUT, w.queue.push(tag).map(|()| tag))
}

fn consumer<L: Line>(w: &World<L>, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    note_pop(w, part)
}

fn producer<L: Line>(w: &World<L>, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    note_push(w, part, 201 + part.index as u64)
}

/// Pushes one message when the victim sleeps.
fn feeder<L: Line>(w: &World<L>, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(1);
    note_push(w, part, 301 + part.index as u64)
}

/// Pushes these messages at once.
fn feeds<L: Line>(tags: &'static [u64]) -> impl Fn(&World<L>, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        for &tag in tags {
            ensure!(w.queue.try_push(tag).is_ok(), "no room");
        }
        note(part, PUT, Ok(tags.iter().fold(0, |word, tag| word << 16 | tag)))
    }
}

/// Takes one message when the victim sleeps.
fn taker<L: Line>(w: &World<L>, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(1);
    note_pop(w, part)
}
