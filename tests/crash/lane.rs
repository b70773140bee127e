//! Scenarios of the lane, by way of Spsc.
//!
//! Every message is a tag, four times over. What was acknowledged comes out once (one that a consumer had freed and not
//! returned may be gone with it; what it had read and not freed comes again, and is flagged), what was not acknowledged at
//! most once, in order, never torn. A dead holder's seat can be taken at once; nobody sleeps beside what it waits for.

use crate::engine::board::FIRST;
use crate::engine::{Case, Check, Cut, End, Enter, First, Limits, Part, Scenario, Until, os};
use crate::ensure;
use interproc::queue::Delivery;
use interproc::queue::spsc::{Consumer, Producer};
use interproc::{Error, ErrorKind, Result as IpcResult, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const CAPACITY: u64 = 3;
type Message = [u64; 4];

// Words of the board. Tags: 1.. prefilled, 101.. the victims', 201.. helpers', 901.. the verifier's.
/// How many pushes the victims have had acknowledged, and their tags.
const PUSHED: usize = 0;
/// How many pops have come back to the victims, and their tags.
const POPPED: usize = 5;
/// A close came back.
const CLOSED: usize = 10;
/// By helper: the tag that it popped, with [`FLAGGED`], or [`TOLD_CLOSED`].
const GOT: usize = 11;
/// By helper: the tag that it pushed.
const PUT: usize = 19;
const FLAGGED: u64 = 1 << 63;
const TOLD_CLOSED: u64 = u64::MAX >> 1;
const TORN: u64 = 0xdead;

struct World {
    segment: Segment,
    filled: u64,
}

impl World {
    /// `filled` messages in the lane, the first in slot `shift`.
    fn new(shift: u64, filled: u64) -> World {
        let options = Segment::options().size(4096).max_members(16).max_objects(4);
        let world = World { segment: options.anonymous().expect("a segment"), filled };
        let (mut p, mut c) = (world.producer().expect("vacant"), world.consumer().expect("vacant"));
        for _ in 0..shift {
            p.push([1; 4]).expect("room");
            c.pop().expect("a message");
        }
        (1..=filled).for_each(|tag| p.push([tag; 4]).expect("room"));
        drop((p, c));
        world
    }

    fn producer(&self) -> IpcResult<Producer<Message>> {
        self.segment.spsc_producer("lane", CAPACITY as usize)
    }

    fn consumer(&self) -> IpcResult<Consumer<Message>> {
        self.segment.spsc_consumer("lane", CAPACITY as usize)
    }

    /// Registers the caller and runs the code of both paths once, on another lane that is the caller's own.
    fn warm_up(&self) {
        let other = Segment::options().size(4096).max_members(4).anonymous().expect("a segment");
        let mut p = other.spsc_producer::<Message>("other", 2).expect("vacant");
        let mut c = other.spsc_consumer::<Message>("other", 2).expect("vacant");
        for _ in 0..2 {
            let _ = p.push([7; 4]);
            let _ = c.pop_delivery();
        }
        let _ = p.push_batch(&[[7; 4]; 2]);
        let _ = c.pop_batch(&mut [[0; 4]; 2]);
        let _ = c.pop_timeout(Duration::ZERO);
        drop((p, c));
        // The seat that the caller does not want is asked for, in vain or not: then its member is there.
        let _ = self.segment.queue::<u64>("none", 1).map(|q| q.try_pop());
    }
}

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

// ---- what the victims do -------------------------------------------------------------------------------------

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

/// The victim's tag number `n`. Two victims count separately.
fn tag(cut: &Cut, n: u64) -> u64 {
    101 + 10 * u64::from(cut.is_first()) + n
}

fn push(p: &mut Producer<Message>, cut: &Cut) {
    let tag = tag(cut, 0);
    if p.push([tag; 4]).is_ok() {
        say(cut, PUSHED, [tag]);
    }
}

fn pop(c: &mut Consumer<Message>, cut: &Cut) {
    if let Ok(delivery) = c.pop_delivery() {
        say(cut, POPPED, [packed(seen(delivery))]);
    }
}

fn did_close(closed: IpcResult<()>, cut: &Cut) {
    if closed.is_ok() {
        cut.part.fact(CLOSED).store(1, SeqCst);
    }
}

/// A producer that sits, and does this.
fn producing(op: impl Fn(&mut Producer<Message>, &Cut)) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        let mut p = w.producer().expect("a seat");
        cut.start();
        op(&mut p, cut);
        cut.end();
    }
}

fn consuming(op: impl Fn(&mut Consumer<Message>, &Cut)) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        let mut c = w.consumer().expect("a seat");
        cut.start();
        op(&mut c, cut);
        cut.end();
    }
}

/// Whoever sits down as part of it.
fn whole(op: impl Fn(&World, &Cut)) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        op(w, cut);
        cut.end();
    }
}

fn take_and_push(w: &World, cut: &Cut) {
    let mut p = w.producer().expect("a seat");
    push(&mut p, cut);
}

fn take_and_pop(w: &World, cut: &Cut) {
    let mut c = w.consumer().expect("a seat");
    pop(&mut c, cut);
}

/// Reads two and frees neither: `free_every` 3. Seated before, and to the end: where it dies is where it reads, not where it
/// sits down or gets up, which is ten times as long.
fn pop_two_slowly(c: &mut Consumer<Message>, cut: &Cut) {
    c.free_every(3).expect("seated");
    pop(c, cut);
    pop(c, cut);
}

// ---- helpers -------------------------------------------------------------------------------------------------

fn note(part: &Part, place: usize, result: IpcResult<u64>) -> Check {
    let (place, value) = match result {
        Ok(value) => (place, value),
        Err(e) if e.kind() == ErrorKind::Closed => (GOT, TOLD_CLOSED),
        Err(e) => return Err(format!("{e:?}")),
    };
    part.fact(place + part.index).store(value, SeqCst);
    Ok(())
}

fn note_pop(c: &mut Consumer<Message>, part: &Part) -> Check {
    note(part, GOT, c.pop_delivery().map(|delivery| packed(seen(delivery))))
}

fn note_push(p: &mut Producer<Message>, part: &Part) -> Check {
    let tag = 201 + part.index as u64;
    note(part, PUT, p.push([tag; 4]).map(|()| tag).map_err(Error::from))
}

fn seated<T>(seat: IpcResult<T>) -> Result<T, String> {
    seat.map_err(|e| format!("{e:?}"))
}

fn consumer(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut c = seated(w.consumer())?;
    part.ready();
    note_pop(&mut c, part)
}

fn producer(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut p = seated(w.producer())?;
    part.ready();
    note_push(&mut p, part)
}

/// Pushes one when the victim sleeps.
fn feeder(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut p = seated(w.producer())?;
    part.ready();
    part.await_cue(1);
    note_push(&mut p, part)
}

/// Takes one when the victim sleeps.
fn taker(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut c = seated(w.consumer())?;
    part.ready();
    part.await_cue(1);
    note_pop(&mut c, part)
}

// ---- what must have become of every message ------------------------------------------------------------------

/// What can have happened, apart from what the board says.
#[derive(Clone, Copy, Default)]
struct Story {
    /// Messages that the dead may have taken along, at most.
    lost: u32,
    /// Messages that the dead may have read and not freed, at most.
    read: usize,
    /// Helper (or bystander) that sleeps for a message.
    consumer: Option<usize>,
    /// Helper (or bystander) that sleeps for room.
    producer: Option<usize>,
    helpers: usize,
}

impl Story {
    fn pushing() -> Story {
        Story::default()
    }

    fn popping() -> Story {
        Story { lost: 1, read: 1, ..Story::default() }
    }

    fn ends(self, case: Case<World>) -> Box<dyn Scenario> {
        // Who lives keeps the seat: that is another story.
        case.limits(|l| l.lives_at_end = false).verify(move |w, part| self.verify(w, part))
    }

    fn everybody(self) -> impl Iterator<Item = usize> {
        let first = [self.consumer, self.producer].into_iter().flatten().filter(|&i| i == FIRST);
        (0..self.helpers).chain(first)
    }

    fn verify(self, w: &World, part: &Part) -> Check {
        let (mut out, mut sure) = (Vec::new(), Vec::new());
        // A helper that is not asleep by plan comes to its end by itself.
        let others = |i: &usize| Some(*i) != self.consumer && Some(*i) != self.producer;
        for i in (0..self.helpers).filter(others) {
            over(part, i, "a helper does not come to its end")?;
        }
        part.ready(); // the clock of the recovery starts here
        let mut p = self.producer.is_none().then(|| sit(|| w.producer())).transpose()?;
        let mut c = self.consumer.is_none().then(|| sit(|| w.consumer())).transpose()?;
        part.recovered();
        if let (Some(i), Some(p)) = (self.consumer, p.as_mut()) {
            if p.is_empty() && !p.is_closed() && !part.is_over(i) {
                let pushed = p.push_timeout([901; 4], Duration::from_millis(1500));
                ensure!(pushed.is_ok() || p.is_closed(), "the verifier's push timed out");
                sure.extend(pushed.is_ok().then_some(901));
            }
            over(part, i, "asleep beside a message")?;
        }
        if let (Some(i), Some(c)) = (self.producer, c.as_mut()) {
            if c.is_full() && !c.is_closed() && !part.is_over(i) {
                let popped = c.pop_delivery().map_err(|e| format!("full, but {e:?}"))?;
                out.push(seen(popped));
            }
            over(part, i, "asleep beside free room")?;
        }
        let mut p = p.map_or_else(|| sit(|| w.producer()), Ok)?;
        let mut c = c.map_or_else(|| sit(|| w.consumer()), Ok)?;
        let closed = c.is_closed();
        ensure!(closed || part.fact(CLOSED).load(SeqCst) == 0, "a close that came back is not there");
        if !closed {
            while let Ok(delivery) = c.try_pop_delivery() {
                out.push(seen(delivery));
            }
            takes_exactly_its_capacity(&mut p, &mut c)?;
            takes_exactly_its_capacity(&mut p, &mut c)?;
            ensure!(p.close().is_ok(), "close failed");
        }
        loop {
            match c.pop_delivery_until(interproc::Deadline::after(Duration::from_millis(1500))) {
                Ok(delivery) => out.push(seen(delivery)),
                Err(e) => {
                    ensure!(e.kind() == ErrorKind::Closed, "no end: {e:?}");
                    break;
                }
            }
        }
        ensure!(p.push([999; 4]).is_err_and(|e| e.kind() == ErrorKind::Closed), "pushed behind the end");
        ensure!(c.try_pop().is_err_and(|e| e.kind() == ErrorKind::Closed), "the end was none");
        ensure!(c.is_empty() && p.is_empty(), "drained, but its length is {}", c.len());
        self.balance(w, part, out, sure)
    }

    fn balance(self, w: &World, part: &Part, drained: Vec<(u64, bool)>, mut sure: Vec<u64>) -> Check {
        sure.extend(1..=w.filled);
        sure.extend(said(part, PUSHED));
        let returned: Vec<(u64, bool)> = said(part, POPPED).into_iter().map(unpacked).collect();
        let mut out: Vec<(u64, bool)> = drained.iter().copied().chain(returned.iter().copied()).collect();
        for i in self.everybody() {
            let (got, put) = (part.fact(GOT + i).load(SeqCst), part.fact(PUT + i).load(SeqCst));
            out.extend((got != 0 && got != TOLD_CLOSED).then(|| unpacked(got)));
            sure.extend((put != 0).then_some(put));
        }
        let count = |tag: u64| out.iter().filter(|o| o.0 == tag).count();
        let lost = sure.iter().filter(|&&tag| count(tag) == 0).count() as u32;
        ensure!(lost <= self.lost, "{lost} acknowledged messages are gone: {sure:?} -> {out:?}");
        for &(tag, flagged) in &out {
            ensure!(tag != TORN, "a torn message came out");
            // Once, or again for who did not free it.
            let firsts = out.iter().filter(|o| o.0 == tag && !o.1).count();
            ensure!(firsts <= 1, "message {tag} came out {firsts} times: {out:?}");
            let tried = (101..=119).contains(&tag);
            ensure!(tried || sure.contains(&tag), "message {tag} came from nowhere");
            ensure!(!flagged || self.read > 0, "message {tag} is called redelivered, but no reader died");
        }
        let mut flagged: Vec<u64> = out.iter().filter(|o| o.1).map(|o| o.0).collect();
        flagged.sort_unstable();
        flagged.dedup();
        ensure!(flagged.len() <= self.read, "{flagged:?} redelivered, {} read by the dead", self.read);
        let read_by_the_dead = self.read > 0 && (part.killed_in("L-c") || part.killed_in("L-j"));
        let left = drained.iter().any(|d| d.0 < 400);
        ensure!(!read_by_the_dead || !left || !flagged.is_empty(), "read by the dead, and not told: {out:?}");
        // What one producer has pushed comes in order.
        for from in [0, 100, 110, 900] {
            let tags = drained.iter().map(|d| d.0).filter(|t| (from..from + 10).contains(t));
            ensure!(tags.is_sorted(), "out of order: {drained:?}");
        }
        part.count_lost(lost);
        part.count_redelivered(flagged.len() as u32);
        Ok(())
    }
}

/// Sits down: at once, beside the dead.
fn sit<T>(mut take: impl FnMut() -> IpcResult<T>) -> Result<T, String> {
    let deadline = os::now() + 1_500_000_000;
    loop {
        match take() {
            Ok(seat) => return Ok(seat),
            // A helper that has said that it is over may not be out of its seat yet.
            Err(e) if e.kind() == ErrorKind::WouldBlock && os::now() < deadline => os::yield_now(),
            Err(e) => return Err(format!("the seat cannot be had: {e:?}")),
        }
    }
}

fn over(part: &Part, i: usize, what: &str) -> Check {
    let deadline = os::now() + 1_500_000_000;
    while !part.is_over(i) {
        ensure!(os::now() < deadline, "{what}");
        os::yield_now();
    }
    Ok(())
}

fn takes_exactly_its_capacity(p: &mut Producer<Message>, c: &mut Consumer<Message>) -> Check {
    ensure!(p.is_empty(), "empty, but its length is {}", p.len());
    for tag in 401..=400 + CAPACITY {
        ensure!(p.try_push([tag; 4]).is_ok(), "room for {} of {CAPACITY} only", tag - 401);
    }
    let refused = p.try_push([499; 4]).map_err(|e| e.kind());
    ensure!(refused == Err(ErrorKind::Full) && p.is_full(), "one more than its capacity: {refused:?}");
    for tag in 401..=400 + CAPACITY {
        let popped = c.try_pop_delivery().map(seen);
        ensure!(popped == Ok((tag, false)), "{popped:?} instead of {tag}");
    }
    ensure!(c.try_pop().is_err_and(|e| e.kind() == ErrorKind::Empty), "a message too many");
    Ok(())
}

// ---- the rows ------------------------------------------------------------------------------------------------

fn case(operation: &'static str, scenario: &str, shift: u64, filled: u64) -> Case<World> {
    Case::new("Spsc", operation, scenario, move || World::new(shift, filled))
}

fn asleep(case: Case<World>, body: fn(&World, &Part) -> Check) -> Case<World> {
    case.helper(Enter::Before, Until::Asleep, End::AfterVerifier, body)
}

fn on_cue(case: Case<World>, body: fn(&World, &Part) -> Check) -> Case<World> {
    case.helper(Enter::Before, Until::Ready, End::Alone, body)
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    [alone, others_asleep, asleep_itself, seats, ends, two_deaths, bystanders]
        .iter()
        .flat_map(|f| f())
        .collect()
}

fn alone() -> Vec<Box<dyn Scenario>> {
    let (pushing, popping) = (Story::pushing(), Story::popping());
    let by =
        |case: Case<World>, op: fn(&mut Producer<Message>, &Cut)| case.role("producer").victim(producing(op));
    let of =
        |case: Case<World>, op: fn(&mut Consumer<Message>, &Cut)| case.role("consumer").victim(consuming(op));
    let batch = |p: &mut Producer<Message>, cut: &Cut| {
        let tags = [0, 1, 2].map(|n| tag(cut, n));
        if p.push_batch(&tags.map(|tag| [tag; 4])).is_ok() {
            say(cut, PUSHED, tags);
        }
    };
    let seldom = |p: &mut Producer<Message>, cut: &Cut| {
        p.publish_every(3);
        let tags = [0, 1].map(|n| tag(cut, n));
        let pushed = tags.iter().all(|&tag| p.push([tag; 4]).is_ok());
        if pushed && p.flush().is_ok() {
            say(cut, PUSHED, tags);
        }
    };
    let in_place = |p: &mut Producer<Message>, cut: &Cut| {
        let tags = [0, 1].map(|n| tag(cut, n));
        let chunk = p.reserve(2).expect("room");
        if chunk.fill_from_iter(tags.map(|tag| [tag; 4])).is_ok() {
            say(cut, PUSHED, tags);
        }
    };
    let try_push = |p: &mut Producer<Message>, cut: &Cut| {
        let tag = tag(cut, 0);
        if p.try_push([tag; 4]).is_ok() {
            say(cut, PUSHED, [tag]);
        }
    };
    let late_push = |p: &mut Producer<Message>, cut: &Cut| {
        let tag = tag(cut, 0);
        if p.push_timeout([tag; 4], Duration::from_millis(20)).is_ok() {
            say(cut, PUSHED, [tag]);
        }
    };
    let pop_batch = |c: &mut Consumer<Message>, cut: &Cut| {
        let mut into = [[0; 4]; 3];
        let n = c.pop_batch(&mut into).unwrap_or(0);
        say(cut, POPPED, into[..n].iter().map(|&m| tag_of(m)));
    };
    let slowly = |c: &mut Consumer<Message>, cut: &Cut| {
        c.free_every(2).expect("seated");
        pop(c, cut);
        pop(c, cut);
    };
    let read_in_place = |c: &mut Consumer<Message>, cut: &Cut| {
        let chunk = c.borrow(2).expect("two");
        let tags: Vec<u64> =
            [chunk.as_slices().0, chunk.as_slices().1].concat().into_iter().map(tag_of).collect();
        chunk.release_all();
        say(cut, POPPED, tags);
    };
    let late_pop = |c: &mut Consumer<Message>, cut: &Cut| {
        if let Ok(message) = c.pop_timeout(Duration::from_millis(20)) {
            say(cut, POPPED, [tag_of(message)]);
        }
    };
    let some = |n: u32| Story { lost: n, read: n as usize, ..popping };
    vec![
        pushing.ends(by(case("push", "empty", 0, 0), push)),
        pushing.ends(by(case("push", "one slot free, round the end", 2, 2), push)),
        pushing.ends(by(case("try_push", "full", 0, 3), try_push)),
        pushing.ends(by(case("timed push", "full for longer", 0, 3), late_push)),
        pushing.ends(by(case("push_batch", "three, round the end", 1, 0), batch)),
        pushing.ends(by(case("push, flush", "two, published as one", 1, 0), seldom)),
        pushing.ends(by(case("reserve", "two, round the end", 2, 1), in_place)),
        popping.ends(of(case("pop", "full", 0, 3), pop)),
        popping.ends(of(case("pop", "one message, the last slot", 2, 1), pop)),
        popping.ends(of(case("timed pop", "empty for longer", 0, 0), late_pop)),
        some(3).ends(of(case("pop_batch", "three of three", 2, 3), pop_batch)),
        some(2).ends(of(case("pop twice", "freed as one", 0, 3), slowly)),
        some(2).ends(of(case("borrow", "two of three", 2, 3), read_in_place)),
    ]
}

fn others_asleep() -> Vec<Box<dyn Scenario>> {
    let hungry = Story { consumer: Some(0), helpers: 1, ..Story::pushing() };
    let stuck = Story { producer: Some(0), helpers: 1, ..Story::popping() };
    vec![
        hungry.ends(
            asleep(case("push", "the consumer asleep", 0, 0), consumer)
                .role("producer")
                .victim(producing(push)),
        ),
        stuck.ends(
            asleep(case("pop", "full, the producer asleep", 1, 3), producer)
                .role("consumer")
                .victim(consuming(pop)),
        ),
    ]
}

/// The victim sleeps, is woken on its cue, goes on.
fn asleep_itself() -> Vec<Box<dyn Scenario>> {
    vec![
        Story { helpers: 1, ..Story::popping() }.ends(
            on_cue(case("pop", "empty, then fed", 0, 0), feeder)
                .role("sleeping consumer")
                .victim(consuming(pop)),
        ),
        Story { helpers: 1, ..Story::pushing() }.ends(
            on_cue(case("push", "full, then room", 0, 3), taker)
                .role("sleeping producer")
                .victim(producing(push)),
        ),
    ]
}

/// Sitting down, moving to another thread, leaving.
fn seats() -> Vec<Box<dyn Scenario>> {
    let hungry = Story { consumer: Some(0), helpers: 1, ..Story::pushing() };
    let stuck = Story { producer: Some(0), helpers: 1, ..Story::popping() };
    let moved = |w: &World, cut: &Cut| {
        w.warm_up();
        let (sits, sat) = std::sync::mpsc::channel();
        std::thread::scope(|s| {
            let first = s.spawn(|| {
                let p = w.producer().expect("a seat");
                sits.send(p).expect("the stage");
                std::thread::park();
            });
            let mut p = sat.recv().expect("a producer");
            cut.start();
            push(&mut p, cut);
            cut.end();
            first.thread().unpark();
        });
    };
    let moved_consumer = |w: &World, cut: &Cut| {
        w.warm_up();
        let taken = std::thread::scope(|s| s.spawn(|| w.consumer()).join());
        // Its first thread has ended.
        let mut c = taken.expect("no panic").expect("a seat");
        cut.start();
        pop(&mut c, cut);
        cut.end();
    };
    let push_and_leave = |w: &World, cut: &Cut| {
        w.warm_up();
        let mut p = w.producer().expect("a seat");
        p.publish_every(3);
        let tag = tag(cut, 0);
        p.push([tag; 4]).expect("room");
        cut.start();
        if p.leave().is_ok() {
            say(cut, PUSHED, [tag]);
        }
        cut.end();
    };
    let pop_and_leave = |w: &World, cut: &Cut| {
        w.warm_up();
        let mut c = w.consumer().expect("a seat");
        c.free_every(3).expect("seated");
        pop(&mut c, cut);
        cut.start();
        let _ = c.leave();
        cut.end();
    };
    vec![
        hungry.ends(
            asleep(case("take+push", "vacant, the consumer asleep", 0, 0), consumer)
                .role("producer")
                .victim(whole(take_and_push)),
        ),
        stuck.ends(
            asleep(case("take+pop", "vacant, full, the producer asleep", 1, 3), producer)
                .role("consumer")
                .victim(whole(take_and_pop)),
        ),
        hungry.ends(
            asleep(case("push", "in another thread, the consumer asleep", 0, 0), consumer)
                .role("producer")
                .victim(moved),
        ),
        stuck.ends(
            asleep(case("pop", "its first thread ended, the producer asleep", 1, 3), producer)
                .role("consumer")
                .victim(moved_consumer),
        ),
        hungry.ends(
            asleep(case("leave", "something to publish, the consumer asleep", 0, 0), consumer)
                .role("producer")
                .victim(push_and_leave),
        ),
        Story { read: 3, ..stuck }.ends(
            asleep(case("leave", "something to free, the producer asleep", 1, 3), producer)
                .role("consumer")
                .victim(pop_and_leave),
        ),
    ]
}

fn ends() -> Vec<Box<dyn Scenario>> {
    let closes = Story::default();
    let to_the_end = |c: &mut Consumer<Message>, cut: &Cut| {
        did_close(c.close(), cut);
        while let Ok(delivery) = c.pop_delivery() {
            say(cut, POPPED, [packed(seen(delivery))]);
        }
    };
    let closed = |operation, scenario: &str, filled| {
        Case::new("Spsc", operation, scenario, move || {
            let world = World::new(0, filled);
            world.consumer().and_then(|mut c| c.close()).expect("closed");
            world
        })
    };
    vec![
        Story { consumer: Some(0), helpers: 1, ..closes }.ends(
            asleep(case("close", "empty, the consumer asleep", 0, 0), consumer)
                .role("producer")
                .victim(producing(|p, cut| did_close(p.close(), cut))),
        ),
        Story { producer: Some(0), helpers: 1, read: 1, ..closes }.ends(
            asleep(case("close", "full, the producer asleep", 0, 3), producer)
                .role("consumer")
                .victim(consuming(|c, cut| did_close(c.close(), cut))),
        ),
        Story::popping().ends(
            case("close+pop", "one message, then the end", 1, 1)
                .role("consumer")
                .victim(consuming(to_the_end)),
        ),
        closes.ends(closed("push", "closed", 1).role("producer").victim(producing(push))),
    ]
}

fn two_deaths() -> Vec<Box<dyn Scenario>> {
    let thin = |l: &mut Limits| l.thin_above = 300;
    // The first one says that it may read three before it frees them.
    let both = Story { lost: 2, read: 3, ..Story::default() };
    vec![
        Story::pushing().ends(
            case("take+push", "two deaths: push, then in its seat", 2, 0)
                .limits(thin)
                .role("two producers")
                .first(whole(take_and_push))
                .victim(whole(take_and_push)),
        ),
        both.ends(
            case("take+pop", "two deaths: two popped and not freed, then in its seat", 1, 3)
                .limits(thin)
                .role("two consumers")
                .first(consuming(pop_two_slowly))
                .victim(whole(take_and_pop)),
        ),
        Story { lost: 1, read: 1, ..Story::default() }.ends(
            case("pop", "two deaths: push, then pop", 0, 1)
                .limits(thin)
                .role("producer, consumer")
                .first(producing(push))
                .victim(consuming(pop)),
        ),
    ]
}

/// Somebody stands between its last look and its sleep while the victim changes the lane, or dies in it; then goes on, and
/// must not fall asleep after the news.
fn bystanders() -> Vec<Box<dyn Scenario>> {
    let row = |case: Case<World>| {
        case.limits(|l| {
            (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 24, 300);
        })
    };
    let popper = |w: &World, cut: &Cut| {
        w.warm_up();
        let mut c = w.consumer().expect("a seat");
        cut.part.ready();
        cut.start();
        note_pop(&mut c, &cut.part).expect("served or told");
        cut.end();
    };
    let pusher = |w: &World, cut: &Cut| {
        w.warm_up();
        let mut p = w.producer().expect("a seat");
        cut.part.ready();
        cut.start();
        note_push(&mut p, &cut.part).expect("served or told");
        cut.end();
    };
    let consumer = Story { consumer: Some(FIRST), ..Story::pushing() };
    let producer = Story { producer: Some(FIRST), ..Story::popping() };
    vec![
        consumer.ends(
            row(case("take+push", "the consumer about to sleep", 2, 0))
                .role("producer")
                .first(popper)
                .victim(whole(take_and_push)),
        ),
        producer.ends(
            row(case("take+pop", "full, the producer about to sleep", 1, 3))
                .role("consumer")
                .first(pusher)
                .victim(whole(take_and_pop)),
        ),
        consumer.ends(
            row(case("close", "the consumer about to sleep", 0, 0))
                .role("producer")
                .first(popper)
                .victim(producing(|p, cut| did_close(p.close(), cut))),
        ),
    ]
}
