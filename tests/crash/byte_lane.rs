//! Scenarios of the byte lane.
//!
//! Messages are tags of 24 bytes, so each takes four units of the ring's sixteen. One that begins at unit 13 needs a pad.
//! What the victim was acknowledged, and what it had done with, is on the board; the verifier takes the seats over,
//! receives the rest and compares.

use crate::engine::{Case, Check, Cut, End, Enter, Part, Scenario, Until, os};
use crate::ensure;
use interproc::queue::byte_lane::{ByteConsumer, ByteProducer};
use interproc::{ErrorKind, Segment};
use std::io::IoSlice;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const CAPACITY: usize = 128;
const LONGEST: usize = 24;

// Words of the board. Tags: 1.. prefilled, 60 a helper's, 101.. the victim's, 250 the verifier's.
/// How many messages of the victim's are surely sent.
const SENT: usize = 0;
/// How many messages the victims have surely done with.
const DONE_WITH: usize = 1;
/// How many tags helpers received, and the tags from there on.
const GOT: usize = 2;
/// A helper's message is sent.
const PUT: usize = 20;
/// A consumer died that freed in batches: this many messages each.
const BATCH: usize = 21;
/// How many of the helpers' messages the victim has surely done with.
const FED: usize = 22;
const LAST: u8 = 250;

struct World {
    segment: Segment,
    filled: u64,
}

impl World {
    /// `filled` messages in the ring, the first at this unit.
    fn new(unit: usize, filled: u64) -> World {
        let segment = Segment::options().size(1 << 14).max_members(16).anonymous().expect("a segment");
        let world = World { segment, filled };
        let (mut p, mut c) = (world.producer(), world.consumer());
        for _ in 0..unit {
            p.push(&[]).expect("room");
            drop(c.borrow().expect("a message"));
        }
        (1..=filled as u8).for_each(|tag| p.try_push(&[tag; LONGEST]).expect("room"));
        drop((p, c));
        world
    }

    fn producer(&self) -> ByteProducer {
        self.segment.byte_producer("lane", CAPACITY, LONGEST).expect("the producer's seat")
    }

    fn consumer(&self) -> ByteConsumer {
        self.segment.byte_consumer("lane", CAPACITY, LONGEST).expect("the consumer's seat")
    }

    /// Registers the caller and runs the code of the usual paths once, on another lane.
    fn warm_up(&self) {
        let other = "other";
        for _ in 0..2 {
            let mut p = self.segment.byte_producer(other, CAPACITY, LONGEST).expect("a seat");
            let mut c = self.segment.byte_consumer(other, CAPACITY, LONGEST).expect("a seat");
            p.publish_every(64).expect("publish_every");
            c.free_every(64).expect("free_every");
            for _ in 0..5 {
                p.push(&[7; LONGEST]).expect("room");
                p.flush().expect("flush");
                drop(c.borrow());
            }
            let _ = (c.borrow_timeout(Duration::ZERO).map(drop), c.try_pop_into(&mut []));
        }
    }

    /// Another's seat, when it has left it.
    fn seats(&self, part: &Part, helpers: usize) -> Result<(ByteProducer, ByteConsumer), String> {
        let deadline = os::now() + 1_500_000_000;
        let taken = |e: interproc::Error| if e.kind() == ErrorKind::WouldBlock { None } else { Some(e) };
        let (mut p, mut c) = (None, None);
        loop {
            if p.is_none() {
                p = match self.segment.byte_producer("lane", CAPACITY, LONGEST) {
                    Ok(mut p) => {
                        // Whoever waits for a message gets this one.
                        let sent =
                            p.push_timeout(&[LAST; LONGEST], Duration::from_millis(0)).map_err(|e| e.kind());
                        let fine = [Ok(()), Err(ErrorKind::Closed), Err(ErrorKind::TimedOut)];
                        ensure!(fine.contains(&sent), "push: {sent:?}");
                        Some(p)
                    }
                    Err(e) => taken(e).map_or(Ok(None), |e| Err(format!("the producer's seat: {e:?}")))?,
                };
            }
            if c.is_none() {
                c = match self.segment.byte_consumer("lane", CAPACITY, LONGEST) {
                    Ok(c) => Some(c),
                    Err(e) => taken(e).map_or(Ok(None), |e| Err(format!("the consumer's seat: {e:?}")))?,
                };
            }
            if let Some(c) = &mut c {
                self.drain(part, c)?;
            }
            if p.is_some() && c.is_some() && (0..helpers).all(|i| part.is_over(i)) {
                break;
            }
            ensure!(os::now() < deadline, "a seat stays taken, or somebody sleeps on");
            // The others may need this processor.
            std::thread::sleep(Duration::from_micros(50));
        }
        part.recovered();
        let (p, mut c) = (p.ok_or("no producer")?, c.ok_or("no consumer")?);
        self.drain(part, &mut c)?;
        Ok((p, c))
    }

    /// Receives what is there; each message is whole.
    fn drain(&self, part: &Part, c: &mut ByteConsumer) -> Check {
        loop {
            match c.try_borrow() {
                Ok(message) => note(part, &message, message.is_redelivered())?,
                Err(e) if [ErrorKind::Empty, ErrorKind::Closed].contains(&e.kind()) => return Ok(()),
                Err(e) => return Err(format!("borrow: {e:?}")),
            }
        }
    }

    fn verify(&self, part: &Part, story: Story) -> Check {
        let (mut p, mut c) = self.seats(part, story.helpers)?;
        let n = part.fact(GOT).load(SeqCst) as usize;
        let got: Vec<(u8, bool)> = (1..=n).map(|i| part.fact(GOT + i).load(SeqCst)).map(unpacked).collect();
        let tags = |from: u8, to: u8| -> Vec<u8> {
            got.iter().map(|g| g.0).filter(|tag| (from..=to).contains(tag)).collect()
        };
        // What was there at first: all of it but what the victims have done with; what was being read, or could not
        // be said any more, may be gone, too.
        let (done, batch) =
            (part.fact(DONE_WITH).load(SeqCst) as u8, part.fact(BATCH).load(SeqCst).max(1) as u8);
        let old = tags(1, 59);
        let first = old.first().copied().unwrap_or(self.filled as u8 + 1);
        let exact: Vec<u8> = (first..=self.filled as u8).collect();
        ensure!(old == exact, "not in order, or not each once: {got:?}");
        let unread = if story.consumers == 0 { 1 } else { done + 1 };
        ensure!(first <= unread + story.consumers, "message {unread} is lost: {got:?}");
        ensure!(first + batch > done, "message {first} comes again: {got:?}");
        let again = |tag: u8| got.contains(&(tag, true));
        ensure!((first..unread).all(again), "{done} were read, and that is not told: {got:?}");
        if part.killed_in("BL-c") && story.consumers > 0 {
            // The first of two may have done with one and not have said so.
            let unread = match story.consumers {
                _ if story.fed => 60,
                1 => unread,
                _ => first,
            };
            ensure!(
                got.iter().any(|g| g.0 == unread),
                "message {unread} was being read, and is gone: {got:?}"
            );
            ensure!(again(unread), "message {unread} was being read, and that is not told: {got:?}");
        }
        let told = got.iter().filter(|g| g.1).count();
        ensure!(
            told <= usize::from(batch) && (told == 0 || story.consumers > 0),
            "told of no death: {got:?}"
        );
        // The victim's own.
        let sent = part.fact(SENT).load(SeqCst) as usize;
        let new = tags(101, 120);
        ensure!(new == (101..101 + new.len() as u8).collect::<Vec<_>>(), "not in order: {got:?}");
        ensure!(new.len() >= sent, "{sent} were sent: {got:?}");
        ensure!(new.len() <= story.tries, "sent by nobody: {got:?}");
        let (put, fed) = (part.fact(PUT).load(SeqCst), part.fact(FED).load(SeqCst));
        let came = fed + tags(60, 60).len() as u64;
        ensure!(came == put || story.fed && came + 1 == put, "the helper's message: {got:?}");
        part.count_redelivered(told as u32);
        self.still_works(&mut p, &mut c)
    }

    /// It takes what fits, and gives it back.
    fn still_works(&self, p: &mut ByteProducer, c: &mut ByteConsumer) -> Check {
        if p.is_closed() {
            let refused = p.try_push(&[1]).map_err(|e| e.kind());
            ensure!(refused == Err(ErrorKind::Closed), "closed, and takes a message: {refused:?}");
            return Ok(());
        }
        let mut n = 0;
        while p.try_push(&[200 + n; LONGEST]).is_ok() {
            n += 1;
        }
        ensure!((3..=4).contains(&n), "takes {n} messages");
        for tag in 200..200 + n {
            let came = c.try_pop();
            ensure!(came.as_deref() == Ok(&[tag; LONGEST]), "{came:?} instead of {tag}");
        }
        ensure!(c.try_pop().is_err_and(|e| e.kind() == ErrorKind::Empty), "a message too many");
        ensure!(p.len_bytes() == 0, "empty, but {} bytes are in use", p.len_bytes());
        Ok(())
    }
}

fn unpacked(word: u64) -> (u8, bool) {
    (word as u8, word >> 8 != 0)
}

fn note(part: &Part, message: &[u8], redelivered: bool) -> Check {
    let tag = message.first().copied().unwrap_or(0);
    ensure!(message == [tag; LONGEST], "a torn message came out: {message:?}");
    let n = part.fact(GOT).load(SeqCst) as usize;
    ensure!(n < PUT - GOT - 2, "too many messages");
    part.fact(GOT + 1 + n).store(u64::from(tag) | u64::from(redelivered) << 8, SeqCst);
    part.fact(GOT).store(n as u64 + 1, SeqCst);
    Ok(())
}

/// What can have happened.
#[derive(Clone, Copy, Default)]
struct Story {
    /// How many messages the victim tries to send.
    tries: usize,
    /// How many consumers die.
    consumers: u8,
    helpers: usize,
    /// The victim receives a helper's message: it may have done with it and not have said so.
    fed: bool,
}

impl Story {
    fn ends(self, case: Case<World>) -> Box<dyn Scenario> {
        case.limits(|l| l.lives_at_end = false).verify(move |w, part| w.verify(part, self))
    }
}

fn producing(op: impl Fn(&World, &mut ByteProducer, &Cut) + 'static) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        let mut p = w.producer();
        cut.start();
        op(w, &mut p, cut);
        cut.end();
    }
}

fn consuming(batch: usize, op: impl Fn(&World, &mut ByteConsumer, &Cut) + 'static) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        let mut c = w.consumer();
        if batch > 1 {
            cut.part.fact(BATCH).store(batch as u64, SeqCst);
            c.free_every(batch * 32).expect("free_every");
        }
        cut.start();
        op(w, &mut c, cut);
        cut.end();
    }
}

/// The victim's next message.
fn next(cut: &Cut) -> [u8; LONGEST] {
    [101 + cut.part.fact(SENT).load(SeqCst) as u8; LONGEST]
}

fn sent(cut: &Cut, n: u64) {
    cut.part.fact(SENT).fetch_add(n, SeqCst);
}

fn send(_: &World, p: &mut ByteProducer, cut: &Cut) {
    if p.push(&next(cut)).is_ok() {
        sent(cut, 1);
    }
}

fn receive(_: &World, c: &mut ByteConsumer, cut: &Cut) {
    if let Ok(message) = c.borrow() {
        let old = message[0] < 60;
        drop(message);
        cut.part.fact(DONE_WITH).fetch_add(u64::from(old), SeqCst);
        cut.part.fact(FED).fetch_add(u64::from(!old), SeqCst);
    }
}

/// A consumer that sleeps for a message and receives until the verifier's.
fn sleeping_consumer(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut c = w.consumer();
    part.ready();
    loop {
        let last = match c.borrow() {
            Ok(message) => {
                note(part, &message, message.is_redelivered())?;
                message[0] == LAST
            }
            Err(e) if e.kind() == ErrorKind::Closed => true,
            Err(e) => return Err(format!("{e:?}")),
        };
        part.recovered();
        if last {
            return Ok(());
        }
    }
}

/// A producer that sleeps for room.
fn sleeping_producer(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut p = w.producer();
    part.ready();
    match p.push(&[60; LONGEST]) {
        Ok(()) => part.fact(PUT).store(1, SeqCst),
        Err(e) if e.kind() == ErrorKind::Closed => {}
        Err(e) => return Err(format!("{e:?}")),
    }
    part.recovered();
    Ok(())
}

/// Receives one message at the first cue.
fn taker(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut c = w.consumer();
    part.ready();
    part.await_cue(1);
    let message = c.borrow().map_err(|e| format!("{e:?}"))?;
    note(part, &message, message.is_redelivered())
}

/// Sends one message at the first cue.
fn feeder(w: &World, part: &Part) -> Check {
    w.warm_up();
    let mut p = w.producer();
    part.ready();
    part.await_cue(1);
    p.push(&[60; LONGEST]).map_err(|e| format!("{e:?}"))?;
    part.fact(PUT).store(1, SeqCst);
    Ok(())
}

fn case(operation: &'static str, scenario: &str, unit: usize, filled: u64) -> Case<World> {
    Case::new("ByteLane", operation, scenario, move || World::new(unit, filled))
}

fn fed(case: Case<World>) -> Case<World> {
    case.helper(Enter::Before, Until::Asleep, End::AfterVerifier, sleeping_consumer)
}

fn drained(case: Case<World>) -> Case<World> {
    case.helper(Enter::Before, Until::Asleep, End::AfterVerifier, sleeping_producer)
}

fn on_cue(case: Case<World>, body: fn(&World, &Part) -> Check) -> Case<World> {
    case.helper(Enter::Before, Until::Ready, End::AfterVerifier, body)
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    [producers(), consumers(), two_deaths()].into_iter().flatten().collect()
}

fn producers() -> Vec<Box<dyn Scenario>> {
    let story = |tries, helpers| Story { tries, helpers, ..Story::default() };
    let reserve = |_: &World, p: &mut ByteProducer, cut: &Cut| {
        let Ok(mut place) = p.reserve(LONGEST) else { return };
        place.copy_from_slice(&next(cut));
        if place.commit_len(LONGEST).is_ok() {
            sent(cut, 1);
        }
    };
    let thinks_better = move |w: &World, p: &mut ByteProducer, cut: &Cut| {
        if let Ok(mut place) = p.reserve(LONGEST) {
            place.fill(9);
        }
        send(w, p, cut);
    };
    let three = |_: &World, p: &mut ByteProducer, cut: &Cut| {
        let _ = p.publish_every(1 << 20);
        for tag in [101, 102, 103u8] {
            let half = [tag; LONGEST / 2];
            let _ = p.push_vectored(&[IoSlice::new(&half), IoSlice::new(&half)]);
        }
        if p.flush().is_ok() {
            sent(cut, 3);
        }
    };
    let twice = |w: &World, p: &mut ByteProducer, cut: &Cut| {
        send(w, p, cut);
        send(w, p, cut);
    };
    let close = |w: &World, p: &mut ByteProducer, cut: &Cut| {
        send(w, p, cut);
        let _ = p.close();
    };
    let timed = |_: &World, p: &mut ByteProducer, cut: &Cut| {
        if p.push_timeout(&next(cut), Duration::from_millis(20)).is_ok() {
            sent(cut, 1);
        }
    };
    let leaves = |w: &World, cut: &Cut| {
        w.warm_up();
        let mut p = w.producer();
        let _ = p.publish_every(1 << 20);
        let _ = p.push(&next(cut));
        cut.start();
        drop(p);
        sent(cut, 1);
        cut.end();
    };
    let comes = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        let mut p = w.producer();
        send(w, &mut p, cut);
        cut.end();
    };
    let case = |operation, scenario, unit, filled| case(operation, scenario, unit, filled).role("producer");
    vec![
        story(1, 0).ends(case("push", "empty", 0, 0).victim(producing(send))),
        story(1, 0).ends(case("push", "part full, with a pad", 9, 1).victim(producing(send))),
        story(1, 0).ends(case("reserve, commit", "with a pad", 13, 0).victim(producing(reserve))),
        story(1, 0).ends(case("reserve, drop, push", "with a pad", 13, 0).victim(producing(thinks_better))),
        story(3, 0).ends(case("three sends, flush", "empty, with a pad", 9, 0).victim(producing(three))),
        story(1, 1).ends(fed(case("push", "a consumer asleep", 0, 0)).victim(producing(send))),
        story(2, 1)
            .ends(fed(case("push twice", "with a pad, a consumer asleep", 13, 0)).victim(producing(twice))),
        story(1, 1).ends(fed(case("push, close", "a consumer asleep", 0, 0)).victim(producing(close))),
        story(1, 1).ends(fed(case("drop", "not flushed, a consumer asleep", 0, 0)).victim(leaves)),
        story(1, 1).ends(fed(case("byte_producer, push", "a consumer asleep", 0, 0)).victim(comes)),
        story(1, 0).ends(case("timed push", "full for longer", 0, 4).victim(producing(timed))),
        story(1, 1).ends(
            on_cue(case("push", "full, then room", 0, 4), taker)
                .role("sleeping producer")
                .victim(producing(send)),
        ),
    ]
}

fn consumers() -> Vec<Box<dyn Scenario>> {
    let story = |helpers| Story { helpers, consumers: 1, ..Story::default() };
    let receives = |n| {
        move |w: &World, c: &mut ByteConsumer, cut: &Cut| {
            (0..n).for_each(|_| receive(w, c, cut));
        }
    };
    let into = |_: &World, c: &mut ByteConsumer, cut: &Cut| {
        let mut buffer = [0; LONGEST];
        let _ = c.pop_into(&mut buffer[..1]);
        if c.pop_into(&mut buffer).is_ok() {
            cut.part.fact(DONE_WITH).fetch_add(1, SeqCst);
        }
    };
    let close = |w: &World, c: &mut ByteConsumer, cut: &Cut| {
        receive(w, c, cut);
        let _ = c.close();
    };
    let leaves = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.part.fact(BATCH).store(4, SeqCst);
        let mut c = w.consumer();
        let _ = c.free_every(4 * 32);
        receive(w, &mut c, cut);
        cut.start();
        drop(c);
        cut.end();
    };
    let comes = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        let mut c = w.consumer();
        receive(w, &mut c, cut);
        cut.end();
    };
    let timed = |_: &World, c: &mut ByteConsumer, _: &Cut| drop(c.borrow_timeout(Duration::from_millis(20)));
    let case = |operation, scenario, unit, filled| case(operation, scenario, unit, filled).role("consumer");
    vec![
        story(0).ends(case("borrow", "one message", 0, 1).victim(consuming(1, receives(1)))),
        story(0).ends(case("borrow twice", "two, with a pad", 9, 2).victim(consuming(1, receives(2)))),
        story(0).ends(case("pop_into", "too small, then not", 13, 2).victim(consuming(1, into))),
        story(0).ends(
            case("borrow three times", "freed together, with a pad", 5, 3).victim(consuming(3, receives(3))),
        ),
        story(1)
            .ends(drained(case("borrow", "full, a producer asleep", 0, 4)).victim(consuming(1, receives(1)))),
        story(1).ends(
            drained(case("borrow three times", "full, freed by twos, a producer asleep", 0, 4))
                .victim(consuming(2, receives(3))),
        ),
        story(1).ends(
            drained(case("borrow, close", "full, a producer asleep", 0, 4)).victim(consuming(1, close)),
        ),
        story(1).ends(drained(case("drop", "not flushed, a producer asleep", 0, 4)).victim(leaves)),
        story(1).ends(drained(case("byte_consumer, borrow", "full, a producer asleep", 0, 4)).victim(comes)),
        story(0).ends(case("timed borrow", "empty for longer", 0, 0).victim(consuming(1, timed))),
        Story { fed: true, ..story(1) }.ends(
            on_cue(case("borrow", "empty, then fed", 0, 0), feeder)
                .role("sleeping consumer")
                .victim(consuming(1, receive)),
        ),
    ]
}

fn two_deaths() -> Vec<Box<dyn Scenario>> {
    let thin = |l: &mut crate::engine::Limits| l.thin_above = 300;
    let story = Story { consumers: 2, ..Story::default() };
    vec![
        story.ends(
            case("borrow", "two deaths: a consumer, then the next", 9, 3)
                .role("consumer, then consumer")
                .limits(thin)
                .first(consuming(1, receive))
                .victim(consuming(1, receive)),
        ),
        Story { tries: 1, ..Story::default() }.ends(
            case("push", "two deaths: a producer, then the next", 13, 0)
                .role("producer, then producer")
                .limits(thin)
                .first(producing(|_, p, _| drop(p.reserve(LONGEST).map(|mut place| place.fill(9)))))
                .victim(producing(send)),
        ),
    ]
}
