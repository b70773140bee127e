//! Scenarios of pipes and of the place where their ends meet.
//!
//! What is promised: whoever has the other end of a pipe gets what was sent and then the end, at once, whoever of the two
//! is killed where; a slot is free again when both are gone; a listener that dies leaves its name to the next one; a child
//! that dies before or while it gets an end is the end.

use crate::engine::board::{CURTAIN, KILLED};
use crate::engine::{Case, Check, Cut, Death, End as Over, Enter, Limits, Part, Scenario, Until, os};
use crate::ensure;
use interproc::pipe::{self, End, Listener};
use interproc::process::Builder;
use interproc::{ErrorKind, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// On the board: how many messages the victim's sends have acknowledged.
const SENT: usize = 0;
/// How many the victim has received.
const RECEIVED: usize = 1;
/// The victim's operation on the meeting came back.
const DONE: usize = 2;
/// How many messages in pieces the victim has begun to send.
const BEGUN: usize = 3;
/// By helper: what it has come to.
const CAME: usize = 8;
/// By helper: when.
const AT: usize = 16;

const LONGEST: usize = 24;
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Longer than the pipe's messages, and than its ring: it comes in several pieces.
fn long_message(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat(9)
}

/// A number, three times over.
fn message(n: u64) -> [u8; LONGEST] {
    let mut message = [0; LONGEST];
    message.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&n.to_le_bytes()));
    message
}

fn number(message: &[u8]) -> Result<u64, String> {
    let numbers: Vec<_> = message.chunks(8).map(|c| c.try_into().map(u64::from_le_bytes)).collect();
    match numbers[..] {
        [Ok(a), Ok(b), Ok(c)] if a == b && b == c => Ok(a),
        _ => Err(format!("torn: {message:?}")),
    }
}

/// The helper `n` is served with `what`.
fn note(part: &Part, what: u64) {
    part.fact(AT + part.index).store(os::now(), SeqCst);
    part.fact(CAME + part.index).store(what, SeqCst);
}

/// Two slots: one for the pipe under test, one for what comes after.
struct World {
    segment: Segment,
}

const PIPES: usize = 2;

impl World {
    fn fresh() -> World {
        let segment =
            Segment::options().size(1 << 15).max_members(24).max_objects(8).anonymous().expect("segment");
        World { segment }
    }

    fn listen(&self) -> interproc::Result<Listener> {
        Listener::bind(&self.segment, "door", PIPES, 0, LONGEST)
    }

    fn connect(&self) -> End {
        pipe::connect_timeout(&self.segment, "door", PATIENCE).expect("connect")
    }

    /// Registers the caller and runs the code of the usual paths once, at another place.
    fn warm_up(&self) {
        let (mut a, mut b) = loop {
            // Several come at once.
            match self.segment.pipe_pair(&format!("other {}", std::process::id() % 3), 0, LONGEST) {
                Ok(pair) => break pair,
                Err(_) => os::yield_now(),
            }
        };
        for _ in 0..2 {
            a.send(&message(7)).expect("room");
            b.recv().expect("a message");
        }
        let _ = b.recv_timeout(Duration::ZERO);
    }

    /// Once the victim is dead, all slots can be had.
    fn no_slot_was_lost(&self, part: &Part, listener: &mut Listener) -> Check {
        part.await_cue(KILLED);
        self.no_slot_is_lost(listener)
    }

    /// All slots can be had, by whoever listens now.
    fn no_slot_is_lost(&self, listener: &mut Listener) -> Check {
        let mut ends = Vec::new();
        for n in 0..PIPES {
            let mut client =
                pipe::try_connect(&self.segment, "door").map_err(|e| format!("slot {n}: {e:?}"))?;
            client.send(&message(50)).map_err(|e| format!("slot {n}: send: {e:?}"))?;
            let mut server = listener.try_accept().map_err(|e| format!("slot {n}: accept: {e:?}"))?;
            ensure!(number(&server.try_recv().map_err(|e| format!("{e:?}"))?)? == 50, "another message");
            ends.push((client, server));
        }
        let full = pipe::try_connect(&self.segment, "door").map(drop).map_err(|e| e.kind());
        ensure!(full == Err(ErrorKind::Full), "more slots than there are: {full:?}");
        Ok(())
    }
}

/// Meets the victim: listens and takes its end.
fn meets(world: &World, part: &Part) -> Result<(Listener, End), String> {
    let mut listener = world.listen().map_err(|e| format!("bind: {e:?}"))?;
    world.warm_up();
    part.ready();
    let end = listener.accept_timeout(PATIENCE).map_err(|e| format!("accept: {e:?}"))?;
    Ok((listener, end))
}

/// Receives until the end; what came must be 1, 2, 3 and so on. How many.
fn drain(end: &mut End, part: &Part) -> Result<u64, String> {
    let mut count = 0;
    loop {
        match end.recv() {
            Ok(message) => count += 1 + 1000 * u64::from(number(&message)? != count + 1),
            Err(e) if e.kind() == ErrorKind::Closed => {
                note(part, 1);
                break;
            }
            Err(e) => return Err(format!("recv: {e:?}")),
        }
    }
    ensure!(count < 1000, "out of order or lost");
    let refused = end.send(&message(9)).map_err(|e| e.kind());
    ensure!(refused == Err(ErrorKind::Closed), "a send to the dead: {refused:?}");
    Ok(count)
}

/// The other end of the victim's: gets what was sent, and then the end; the slot comes back.
fn receiver(world: &World, part: &Part) -> Check {
    let (mut listener, mut end) = meets(world, part)?;
    let count = drain(&mut end, part)?;
    let sent = part.fact(SENT).load(SeqCst);
    ensure!(count == sent || count == sent + 1, "{count} came, {sent} were acknowledged");
    drop(end);
    world.no_slot_was_lost(part, &mut listener)
}

/// As above, of messages in pieces: each comes whole, or it is told that one was cut short.
fn receiver_of_pieces(world: &World, part: &Part) -> Check {
    let (mut listener, mut end) = meets(world, part)?;
    let mut count = 0;
    let over = loop {
        match end.recv() {
            Ok(message) => {
                count += 1;
                ensure!(message == long_message(count), "torn: {message:?}");
            }
            Err(e) => break e.kind(),
        }
    };
    note(part, 1);
    let sent = part.fact(SENT).load(SeqCst);
    let again = end.recv().map(drop).map_err(|e| e.kind());
    ensure!(again == Err(ErrorKind::Closed), "no end: {again:?}");
    match over {
        ErrorKind::Closed => ensure!(count == sent || count == sent + 1, "{count} came, {sent} acknowledged"),
        ErrorKind::CutShort => ensure!(count == sent, "{count} came and a part, {sent} acknowledged"),
        other => return Err(format!("recv: {other:?}")),
    }
    let in_the_middle = part.killed_in("P-e") && part.fact(BEGUN).load(SeqCst) > sent;
    ensure!(!in_the_middle || over == ErrorKind::CutShort || count == sent + 1, "not told: {over:?}");
    drop(end);
    world.no_slot_was_lost(part, &mut listener)
}

/// Sends a message in pieces to the victim: it is told of its death, at once.
fn sender_of_pieces(world: &World, part: &Part) -> Check {
    let (mut listener, mut end) = meets(world, part)?;
    let mut n = 0;
    let over = loop {
        n += 1;
        if let Err(e) = end.send(&long_message(n)) {
            break e.kind();
        }
    };
    note(part, 1);
    ensure!(over == ErrorKind::Closed, "send: {over:?}");
    drop(end);
    world.no_slot_was_lost(part, &mut listener)
}

/// As above, one that sends until it is told.
fn filler(world: &World, part: &Part) -> Check {
    let (mut listener, mut end) = meets(world, part)?;
    let mut n = 1;
    loop {
        match end.send(&message(n)) {
            Ok(()) => n += 1,
            Err(e) if e.kind() == ErrorKind::Closed => break,
            Err(e) => return Err(format!("send: {e:?}")),
        }
    }
    note(part, 1);
    while let Ok(message) = end.recv() {
        number(&message)?;
    }
    let over = end.recv().map(drop).map_err(|e| e.kind());
    ensure!(over == Err(ErrorKind::Closed), "no end: {over:?}");
    let received = part.fact(RECEIVED).load(SeqCst);
    ensure!(received < n, "{received} received, {n} sent");
    drop(end);
    world.no_slot_was_lost(part, &mut listener)
}

/// Sends what the victim waits for, when it sleeps; then waits for its end.
fn feeder(world: &World, part: &Part) -> Check {
    let (mut listener, mut end) = meets(world, part)?;
    part.await_cue(1);
    let _ = end.send(&message(1));
    drain(&mut end, part)?;
    drop(end);
    world.no_slot_was_lost(part, &mut listener)
}

/// Every helper was told in time.
fn told(helpers: usize) -> impl Fn(&World, &Part) -> Check {
    move |world, part| {
        world.warm_up();
        part.ready();
        let until = os::now() + 1_500_000_000;
        let all =
            |part: &Part| (0..helpers).all(|n| part.is_over(n) || part.fact(CAME + n).load(SeqCst) != 0);
        while !all(part) {
            ensure!(os::now() < until, "the other end was not told");
            os::yield_now();
        }
        let last = (0..helpers).map(|n| part.fact(AT + n).load(SeqCst)).max().unwrap_or(0);
        if last != 0 {
            (0..helpers).for_each(|n| part.served(n, part.fact(AT + n).load(SeqCst)));
        }
        part.recovered();
        Ok(())
    }
}

fn with_end(op: impl Fn(&mut End, &Cut)) -> impl Fn(&World, &Cut) {
    move |world, cut| {
        world.warm_up();
        let mut end = world.connect();
        cut.start();
        op(&mut end, cut);
        cut.end();
    }
}

fn say(cut: &Cut, place: usize) {
    let n = cut.part.fact(place).load(SeqCst);
    cut.part.fact(place).store(n + 1, SeqCst);
}

/// The other end waits for the victim's: one that lives would keep it waiting.
fn dies(limits: &mut Limits) {
    limits.lives_at_end = false;
}

fn long(limits: &mut Limits) {
    limits.thin_above = 600;
    limits.lives_at_end = false;
}

fn pipes() -> Vec<Box<dyn Scenario>> {
    let case = |operation, scenario: &str| Case::new("Pipe", operation, scenario, World::fresh).limits(dies);
    let beside = |case: Case<World>, helper: fn(&World, &Part) -> Check| {
        case.helper(Enter::Before, Until::Ready, Over::Alone, helper)
    };
    let send = |end: &mut End, cut: &Cut| {
        if end.send(&message(1)).is_ok() {
            say(cut, SENT);
        }
    };
    let place = |end: &mut End, cut: &Cut| {
        let Ok(mut room) = end.reserve(LONGEST) else { return };
        room.copy_from_slice(&message(1));
        if room.commit().is_ok() {
            say(cut, SENT);
        }
    };
    // Two fit: the third waits until the other end has taken one.
    let fill = |end: &mut End, cut: &Cut| {
        for n in 1..=4 {
            if end.send(&message(n)).is_ok() {
                say(cut, SENT);
            }
        }
    };
    let recv = |end: &mut End, cut: &Cut| {
        if end.recv_into(&mut [0; LONGEST]).is_ok() {
            say(cut, RECEIVED);
        }
    };
    let timed = |end: &mut End, _: &Cut| drop(end.recv_timeout(Duration::from_millis(5)));
    let send_pieces = |end: &mut End, cut: &Cut| {
        for n in 1..=2 {
            say(cut, BEGUN);
            if end.send(&long_message(n)).is_ok() {
                say(cut, SENT);
            }
        }
    };
    let recv_pieces = |end: &mut End, _: &Cut| {
        assert!(end.recv().is_ok_and(|message| message == long_message(1)));
    };
    let close = |world: &World, cut: &Cut| {
        world.warm_up();
        let mut end = world.connect();
        let _ = end.send(&message(1));
        say(cut, SENT);
        cut.start();
        drop(end);
        cut.end();
    };
    vec![
        beside(case("send", "the other end waits").role("sender"), receiver)
            .victim(with_end(send))
            .verify(told(1)),
        beside(case("reserve+commit", "the other end waits").role("sender"), receiver)
            .victim(with_end(place))
            .verify(told(1)),
        beside(case("send", "four into room for two").role("sender").limits(long), receiver)
            .victim(with_end(fill))
            .verify(told(1)),
        beside(
            case("send", "the other end waits, reaped by the out-of-memory killer").role("sender"),
            receiver,
        )
        .limits(|l| (l.death, l.net_when_told, l.late_ns) = (Death::Reaped, true, 200_000_000))
        .victim(with_end(send))
        .verify(told(1)),
        beside(case("recv", "asleep, then a message").role("receiver"), feeder)
            .victim(with_end(recv))
            .verify(told(1)),
        beside(case("recv", "the other end waits for room").role("receiver"), filler)
            .victim(with_end(recv))
            .verify(told(1)),
        beside(
            case("send", "in pieces, the other end waits").role("sender").limits(long),
            receiver_of_pieces,
        )
        .victim(with_end(send_pieces))
        .verify(told(1)),
        beside(
            case("recv", "in pieces, the other end waits for room").role("receiver").limits(long),
            sender_of_pieces,
        )
        .victim(with_end(recv_pieces))
        .verify(told(1)),
        beside(case("timed recv", "nothing comes").role("receiver"), receiver)
            .victim(with_end(timed))
            .verify(told(1)),
        beside(case("close", "the other end waits").role("closer").limits(long), receiver)
            .victim(close)
            .verify(told(1)),
        beside(case("close", "the other end waits for room").role("closer").limits(long), filler)
            .victim(close)
            .verify(told(1)),
    ]
}

// ---- meeting -------------------------------------------------------------------------------------------------

/// A listener that goes on, and answers whoever comes; at last no slot is lost.
fn server(world: &World, part: &Part) -> Check {
    let mut listener = world.listen().map_err(|e| format!("bind: {e:?}"))?;
    world.warm_up();
    part.ready();
    part.await_cue(KILLED);
    // What the victim may have left: a call, which ends at once.
    while let Ok(mut end) = listener.try_accept() {
        let over = end.recv_timeout(PATIENCE).map(drop).map_err(|e| e.kind());
        ensure!(over == Err(ErrorKind::Closed), "a dead caller's pipe: {over:?}");
    }
    note(part, 1);
    world.no_slot_is_lost(&mut listener)
}

/// A listener asleep in accept, which nobody wakes but the victim's call or its death; the last to call is the verifier.
fn waiting_server(world: &World, part: &Part) -> Check {
    let mut listener = world.listen().map_err(|e| format!("bind: {e:?}"))?;
    world.warm_up();
    part.ready();
    loop {
        let mut end = listener.accept().map_err(|e| format!("accept: {e:?}"))?;
        match end.recv_timeout(PATIENCE).map_err(|e| e.kind()) {
            Ok(message) => {
                ensure!(number(&message)? == 60, "another message");
                break;
            }
            over => ensure!(over == Err(ErrorKind::Closed), "a dead caller's pipe: {over:?}"),
        }
        note(part, 1);
    }
    // The verifier has ended, and its end with it.
    part.await_cue(CURTAIN);
    world.no_slot_is_lost(&mut listener)
}

/// Who sleeps in accept has heard the call that came back, and that of one who died after it had called; then one more.
fn called(world: &World, part: &Part) -> Check {
    if part.fact(DONE).load(SeqCst) != 0 || part.killed_in("M-c") {
        told(1)(world, part)?;
    } else {
        world.warm_up();
    }
    part.recovered();
    world.connect().send(&message(60)).map_err(|e| format!("send: {e:?}"))
}

/// A client that the victim, who listens, may or may not answer.
fn client(world: &World, part: &Part) -> Check {
    world.warm_up();
    part.ready();
    match pipe::connect(&world.segment, "door") {
        Ok(mut end) => {
            let over = end.recv().map(drop).map_err(|e| e.kind());
            ensure!(over == Err(ErrorKind::Closed), "no end: {over:?}");
        }
        Err(e) if e.kind() == ErrorKind::Refused => {}
        Err(e) => return Err(format!("connect: {e:?}")),
    }
    note(part, 1);
    Ok(())
}

/// A client asleep for a slot, which the victim has: both the others are its own.
fn queued(world: &World, part: &Part) -> Check {
    world.warm_up();
    part.ready();
    let end = pipe::connect(&world.segment, "door").map_err(|e| format!("connect: {e:?}"))?;
    note(part, 1);
    drop(end);
    Ok(())
}

/// The next listener: the name is free, and so are the slots.
fn next_listener(helpers: usize) -> impl Fn(&World, &Part) -> Check {
    move |world, part| {
        told(helpers)(world, part)?;
        let mut listener = world.listen().map_err(|e| format!("bind: {e:?}"))?;
        world.no_slot_is_lost(&mut listener)
    }
}

fn meetings() -> Vec<Box<dyn Scenario>> {
    let case =
        |operation, scenario: &str| Case::new("Listener", operation, scenario, World::fresh).limits(long);
    let connect = |world: &World, cut: &Cut| {
        world.warm_up();
        cut.start();
        let end = pipe::connect(&world.segment, "door");
        cut.part.fact(DONE).store(u64::from(end.is_ok()), SeqCst);
        cut.end();
        std::mem::forget(end);
    };
    let accept = |world: &World, cut: &Cut| {
        let mut listener = world.listen().expect("bind");
        world.warm_up();
        cut.start();
        let end = listener.accept_timeout(PATIENCE);
        cut.end();
        std::mem::forget((end, listener));
    };
    // Those who call come when it is stopped, so nobody wakes it before its time is over.
    let accept_alone = |world: &World, cut: &Cut| {
        let mut listener = world.listen().expect("bind");
        world.warm_up();
        cut.start();
        let end = listener.accept_timeout(Duration::from_millis(100));
        cut.end();
        std::mem::forget((end, listener));
    };
    let close = |world: &World, cut: &Cut| {
        let listener = world.listen().expect("bind");
        world.warm_up();
        // One that nobody answers.
        let end = world.connect();
        cut.start();
        drop(listener);
        cut.end();
        std::mem::forget(end);
    };
    // Made by another thread of the process, which lives on.
    let moved = |world: &World, cut: &Cut| {
        world.warm_up();
        let (give, take) = std::sync::mpsc::channel();
        let segment = world.segment.clone();
        std::thread::spawn(move || {
            let listener = Listener::bind(&segment, "door", PIPES, 0, LONGEST).expect("bind");
            let _ = give.send(listener);
            loop {
                std::thread::park();
            }
        });
        let mut listener = take.recv().expect("listener");
        let end = world.connect();
        cut.start();
        let accepted = listener.try_accept();
        cut.end();
        std::mem::forget((end, accepted, listener));
    };
    let bind = |world: &World, cut: &Cut| {
        world.warm_up();
        cut.start();
        let listener = world.listen();
        cut.end();
        std::mem::forget(listener);
    };
    // The victim has all slots, with both ends of each.
    let leave = |world: &World, cut: &Cut| {
        let mut listener = world.listen().expect("bind");
        world.warm_up();
        let mut pairs: Vec<_> =
            (0..PIPES).map(|_| (world.connect(), listener.accept().expect("accept"))).collect();
        std::mem::forget(listener);
        cut.start();
        let (client, server) = pairs.pop().expect("two");
        drop(client);
        drop(server);
        cut.end();
        std::mem::forget(pairs);
    };
    vec![
        case("connect", "a listener at work")
            .role("client")
            .helper(Enter::Before, Until::Ready, Over::Alone, server)
            .victim(connect)
            .verify(told(1)),
        case("connect", "a listener asleep")
            .role("client")
            .helper(Enter::Before, Until::Asleep, Over::AfterVerifier, waiting_server)
            .victim(connect)
            .verify(called),
        case("connect", "two deaths: a client, then a client")
            .role("client, then client")
            .helper(Enter::Before, Until::Ready, Over::Alone, server)
            .limits(|l| (l.first_deaths, l.thin_above) = (8, 200))
            .first(connect)
            .victim(connect)
            .verify(told(1)),
        case("accept", "asleep, then a call")
            .role("listener")
            .helper(Enter::WhenAsleep, Until::Ready, Over::Alone, client)
            .victim(accept)
            .verify(next_listener(1)),
        case("accept", "stopped, two call")
            .role("listener")
            .helper(Enter::AtKill, Until::Asleep, Over::Alone, client)
            .helper(Enter::AtKill, Until::Asleep, Over::Alone, client)
            .victim(accept_alone)
            .verify(next_listener(2)),
        case("accept", "in another thread than before, a call")
            .role("listener")
            .victim(moved)
            .verify(next_listener(0)),
        case("bind", "a new one").role("listener").victim(bind).verify(next_listener(0)),
        case("close", "a call that is not answered").role("listener").victim(close).verify(next_listener(0)),
        case("leave", "a client waits for a pipe")
            .role("both ends")
            .helper(Enter::AtStart, Until::Asleep, Over::Alone, queued_or_refused)
            .victim(leave)
            .verify(told(1)),
        case("leave", "stopped, a client comes")
            .role("both ends")
            .helper(Enter::AtKill, Until::Asleep, Over::Alone, queued_or_refused)
            .victim(leave)
            .verify(told(1)),
    ]
}

/// As [`queued`], where the listener dies with the slots: then it is refused.
fn queued_or_refused(world: &World, part: &Part) -> Check {
    match queued(world, part) {
        Err(text) if text.contains("Refused") => {
            note(part, 1);
            Ok(())
        }
        other => other,
    }
}

// ---- children ------------------------------------------------------------------------------------------------

/// On the board: the child's own code has begun, and how its end of the pipe came.
const BEGAN: usize = 3;
const OVER: usize = 4;

/// An end reaches its end when, and not before, the child that has the other one is killed. What it sent has come before.
fn hears_of_the_child(end: &mut End, part: &Part) -> Check {
    let count = drain(end, part)?;
    ensure!(part.board.killed.load(SeqCst) != 0, "the end came while the child lived");
    let sent = part.fact(SENT).load(SeqCst);
    ensure!(count == sent || count == sent + 1, "{count} came, {sent} were acknowledged");
    Ok(())
}

/// Who meets the parent of the victim, and hears nothing of that the end is given on.
fn peer(world: &World, part: &Part) -> Check {
    let (listener, mut end) = meets(world, part)?;
    hears_of_the_child(&mut end, part)?;
    drop(listener);
    Ok(())
}

/// The pipe's both ends are free.
fn free(world: &World, part: &Part) -> Check {
    part.ready();
    let until = os::now() + 1_500_000_000;
    loop {
        match world.segment.pipe_pair("pair", 0, LONGEST) {
            Ok((mut a, mut b)) => {
                part.recovered();
                ensure!(a.send(&message(3)).is_ok(), "it is not open");
                return number(&b.recv().map_err(|e| format!("{e:?}"))?).map(drop);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock && os::now() < until => os::yield_now(),
            Err(e) => return Err(format!("the pipe is not free: {e:?}")),
        }
    }
}

fn children() -> Vec<Box<dyn Scenario>> {
    let case = |operation, scenario: &str| {
        Case::new("Pipe", operation, scenario, World::fresh).limits(|l| {
            l.thin_above = 300;
            // A child at the gate and a parent that hands over are told by a look, every 10 ms.
            l.late_ns = 100_000_000;
            l.lives_at_end = false;
        })
    };
    let pair = |world: &World| {
        drop(Builder::new().dies_with_parent().fork(|| ()).map(|child| child.join())); // libc's first time
        world.segment.pipe_pair("pair", 0, LONGEST).expect("pair")
    };
    // The parent dies anywhere in giving an end away; its child is a daemon, so it dies, too.
    let give = move |world: &World, cut: &Cut| {
        let (ours, theirs) = pair(world);
        cut.start();
        let child = Builder::new().dies_with_parent().fork_giving(theirs, |mut end| {
            let _ = end.recv();
        });
        cut.end();
        std::mem::forget((ours, child));
    };
    // As above; its child lives on, and if its code began, the end comes there.
    let give_for_good = move |world: &World, cut: &Cut| {
        let (ours, theirs) = pair(world);
        cut.start();
        let child = Builder::new().fork_giving(theirs, |mut end| {
            cut.part.fact(BEGAN).store(1, SeqCst);
            let over = end.recv_timeout(PATIENCE).map_err(|e| e.kind());
            let told = over == Err(ErrorKind::Closed) && cut.part.board.killed.load(SeqCst) != 0;
            cut.part.fact(OVER).store(u64::from(told), SeqCst);
        });
        cut.end();
        std::mem::forget((ours, child));
    };
    let free_and_told = |world: &World, part: &Part| {
        free(world, part)?;
        let [began, over] = [BEGAN, OVER].map(|at| part.fact(at).load(SeqCst));
        ensure!(began == over, "the child was not told of its parent's death");
        Ok(())
    };
    // From here on the child is stepped, from its birth on, and the parent goes on.
    let follow = |limits: &mut Limits| limits.follows = true;
    let follow_all = |limits: &mut Limits| (limits.follows, limits.thin_above) = (true, 8_000);
    let answers = |mut end: End, cut: &Cut| {
        if end.send(&message(1)).is_ok() {
            say(cut, SENT);
        }
        cut.end();
    };
    let given = move |world: &World, cut: &Cut| {
        let (mut ours, theirs) = pair(world);
        // Who has the other end now lives on: it is the child's death that must be noticed.
        ours.send(&message(5)).expect("room");
        cut.part.ready();
        cut.start();
        let child = Builder::new().fork_giving(theirs, |end| answers(end, cut));
        hears_of_the_child(&mut ours, &cut.part).expect("the end");
        cut.part.recovered();
        drop(child);
    };
    let given_on = move |world: &World, cut: &Cut| {
        drop(pair(world));
        world.warm_up();
        let end = world.connect();
        cut.part.ready();
        cut.start();
        drop(Builder::new().fork_giving(end, |end| answers(end, cut)));
        cut.part.recovered();
    };
    let adopted = move |world: &World, cut: &Cut| {
        let (mut ours, mut theirs) = pair(world);
        cut.part.ready();
        cut.start();
        // SAFETY: the child is killed at its end mark at the latest.
        match unsafe { libc::fork() } {
            0 => {
                let adopted = theirs.adopt();
                if adopted.is_ok() {
                    answers(theirs, cut);
                }
                os::die();
            }
            child => {
                let given = theirs.hand_over(child).map_err(|e| e.kind());
                // It has acknowledged a message, so it had taken the end.
                let sent = cut.part.fact(SENT).load(SeqCst);
                assert!(
                    given == Ok(()) || (given, sent) == (Err(ErrorKind::NoChild), 0),
                    "{given:?}, {sent}"
                );
            }
        }
        hears_of_the_child(&mut ours, &cut.part).expect("the end");
        cut.part.recovered();
    };
    // Whatever message came, its descriptor came with it.
    let sends_descriptors = move |world: &World, cut: &Cut| {
        drop(pair(world));
        let (mut ours, theirs) = pipe::pair_with_descriptors(0, LONGEST + 8).expect("pair");
        cut.part.ready();
        cut.start();
        let child = Builder::new().fork_giving(theirs, |mut end| {
            for n in 1..=2 {
                if end.send_with_descriptor(&message(n), &std::io::stderr()).is_ok() {
                    say(cut, SENT);
                }
            }
            cut.end();
        });
        let mut count = 0;
        let over = loop {
            match ours.recv_with_descriptor() {
                Ok((message, fd)) => {
                    assert_eq!(number(&message), Ok(count + 1));
                    assert!(fd.is_some_and(|fd| std::fs::File::from(fd).metadata().is_ok()), "no descriptor");
                    count += 1;
                }
                Err(e) => break e.kind(),
            }
        };
        assert_eq!(over, ErrorKind::Closed);
        let sent = cut.part.fact(SENT).load(SeqCst);
        assert!(count == sent || count == sent + 1, "{count} came, {sent} were acknowledged");
        cut.part.recovered();
        drop(child);
    };
    let receives_descriptors = move |world: &World, cut: &Cut| {
        drop(pair(world));
        let (mut ours, theirs) = pipe::pair_with_descriptors(0, LONGEST + 8).expect("pair");
        cut.part.ready();
        cut.start();
        let child = Builder::new().fork_giving(theirs, |mut end| {
            let got = end.recv_with_descriptor();
            assert!(got.is_ok_and(|(message, fd)| number(&message) == Ok(1) && fd.is_some()));
            cut.end();
        });
        let over = loop {
            match ours.send_with_descriptor(&message(1), &std::io::stderr()) {
                Ok(()) => {}
                Err(e) => break e.kind(),
            }
        };
        assert_eq!(over, ErrorKind::Closed);
        cut.part.recovered();
        drop(child);
    };
    vec![
        case("send", "with a descriptor, its parent has the other end")
            .role("sender")
            .limits(follow_all)
            .victim(sends_descriptors)
            .verify(free),
        case("recv", "with a descriptor, its parent has the other end")
            .role("receiver")
            .limits(follow_all)
            .victim(receives_descriptors)
            .verify(free),
        case("fork_giving", "to a bound child").role("parent").victim(give).verify(free),
        case("fork_giving", "to a child that lives on")
            .role("parent")
            .victim(give_for_good)
            .verify(free_and_told),
        case("fork_giving", "its parent has the other end")
            .role("child")
            .limits(follow)
            .victim(given)
            .verify(free),
        case("fork_giving", "the other end waits")
            .role("child")
            .limits(follow)
            .helper(Enter::Before, Until::Ready, Over::Alone, peer)
            .victim(given_on)
            .verify(next_listener(1)),
        case("adopt", "a bare fork's child").role("child").limits(follow).victim(adopted).verify(free),
    ]
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    [pipes(), meetings(), children()].into_iter().flatten().collect()
}
