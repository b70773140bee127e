//! Scenarios of the queue.
//!
//! Every message is a tag, four times over. A ledger follows each tag from its push to the hands it came into:
//! what was acknowledged comes out exactly once (a message that the victim had taken and not returned may be gone
//! with it, one a death), what was not acknowledged at most once, in order, never torn, and marked when a reader
//! died over it. Afterwards the ring takes exactly its capacity again.

use crate::engine::board::FIRST;
use crate::engine::{Case, Check, Cut, End, Enter, First, Limits, Part, Scenario, Until, os};
use crate::ensure;
use interproc::queue::{Delivery, Queue};
use interproc::{Error, ErrorKind, Result as IpcResult, Segment};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

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

// ---- the verifier --------------------------------------------------------------------------------------------

/// What can have happened, apart from what the board says.
#[derive(Clone, Copy, Default)]
struct Story {
    /// Messages that the dead may have taken along, at most.
    lost: u32,
    /// Readers that may have died over a message.
    readers: usize,
    /// Helpers `0..consumers` sleep in a pop.
    consumers: usize,
    /// Helpers `0..producers` sleep in a push.
    producers: usize,
    /// All helpers.
    helpers: usize,
    /// The first victim is no victim but a bystander: it pops, or pushes.
    bystander: Option<Side>,
    /// The queue is closed, or about to be.
    closes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Consumer,
    Producer,
}

impl Story {
    /// The sleepers of one side.
    fn sleepers(self, side: Side) -> impl Iterator<Item = usize> {
        let n = if side == Side::Consumer { self.consumers } else { self.producers };
        (0..n).chain((self.bystander == Some(side)).then_some(FIRST))
    }

    /// How many of them have not come to their end.
    fn asleep(self, part: &Part, side: Side) -> usize {
        self.sleepers(side).filter(|&i| !part.is_over(i)).count()
    }

    fn verify(self, w: &World, part: &Part) -> Check {
        let mut ledger = Ledger::default();
        let closed = w.queue.is_closed();
        ensure!(closed || part.fact(CLOSED).load(SeqCst) == 0, "a close that came back is not there");
        self.settle(part, 0, "asleep beside a message", || closed || !w.queue.is_empty())?;
        self.check_room(w, part)?;
        part.ready(); // the clock of the recovery starts here
        for i in self.sleepers(Side::Consumer).chain(self.sleepers(Side::Producer)) {
            if part.fact(GOT_AT + i).load(SeqCst) != 0 {
                part.served(i, part.fact(GOT_AT + i).load(SeqCst));
            }
        }
        if closed || self.closes {
            ensure!(w.queue.close().is_ok(), "close failed");
        } else {
            self.feed(w, part, &mut ledger)?;
        }
        self.drain(w, part, &mut ledger)?;
        self.balance(w, part, &ledger)?;
        if !w.queue.is_closed() {
            takes_exactly_its_capacity(w)?;
            takes_exactly_its_capacity(w)?;
        }
        Ok(())
    }

    /// Producers must not sleep while there is room. The cell of a producer that died in mid-push is room only once
    /// the consumers have passed it, though `len` does not count it: so room is what a push finds.
    fn check_room(self, w: &World, part: &Part) -> Check {
        let closed = w.queue.is_closed();
        let looks_free = || closed || (w.queue.len() as u64) < CAPACITY;
        let soon = os::now() + if closed { 1_500_000_000 } else { 150_000_000 };
        while self.asleep(part, Side::Producer) > 0 && looks_free() {
            if os::now() > soon {
                let room = closed || w.queue.try_push([950; 4]).is_ok();
                ensure!(!room, "asleep beside free room");
                break;
            }
            os::yield_now();
        }
        Ok(())
    }

    /// While there is something for them, the sleeping consumers must come, until `left` of them are left.
    fn settle(self, part: &Part, left: usize, what: &str, due: impl Fn() -> bool) -> Check {
        let deadline = os::now() + 1_500_000_000;
        while self.asleep(part, Side::Consumer) > left && due() {
            ensure!(os::now() < deadline, "{what}");
            os::yield_now();
        }
        Ok(())
    }

    /// Gives consumers that rightly sleep something to eat, one after the other.
    fn feed(self, w: &World, part: &Part, ledger: &mut Ledger) -> Check {
        for tag in 901.. {
            let hungry = self.asleep(part, Side::Consumer);
            if hungry == 0 {
                break;
            }
            let pushed = w.queue.push_timeout([tag; 4], Duration::from_millis(1500));
            ensure!(pushed.is_ok(), "the verifier's push timed out");
            ledger.sure.push(tag);
            self.settle(part, hungry - 1, "asleep beside the verifier's message", || true)?;
        }
        Ok(())
    }

    /// Pops until nothing is left and all sleepers are over.
    fn drain(self, w: &World, part: &Part, ledger: &mut Ledger) -> Check {
        let deadline = os::now() + 1_500_000_000;
        loop {
            let everybody = (0..self.helpers).chain(self.bystander.map(|_| FIRST));
            let all_over = everybody.into_iter().all(|i| part.is_over(i));
            let popped = w.try_pop();
            part.recovered();
            match popped {
                Ok(popped) => ledger.drained.push(popped),
                Err(e) if e.kind() == ErrorKind::Closed => {
                    ensure!(w.queue.is_closed(), "called closed for no reason");
                    if all_over {
                        return Ok(());
                    }
                }
                Err(e) => {
                    ensure!(e.kind() == ErrorKind::Empty, "try_pop: {e:?}");
                    if all_over {
                        return Ok(());
                    }
                }
            }
            ensure!(os::now() < deadline, "cannot be emptied, or somebody sleeps on");
        }
    }

    fn balance(self, w: &World, part: &Part, ledger: &Ledger) -> Check {
        let mut out = ledger.drained.clone();
        let mut sure: Vec<u64> = (1..=w.filled).chain(ledger.sure.iter().copied()).collect();
        sure.extend(said(part, PUSHED));
        let returned: Vec<(u64, bool)> = said(part, POPPED).into_iter().map(unpacked).collect();
        out.extend(&returned);
        for i in (0..self.helpers).chain(self.bystander.map(|_| FIRST)) {
            let (got, put) = (part.fact(GOT + i).load(SeqCst), part.fact(PUT + i).load(SeqCst));
            out.extend((got != 0 && got != TOLD_CLOSED).then(|| unpacked(got)));
            sure.extend([put & 0xffff, put >> 16].iter().filter(|&&tag| tag != 0));
        }
        let count = |tag: u64| out.iter().filter(|o| o.0 == tag).count();
        let lost = sure.iter().filter(|&&tag| count(tag) == 0).count() as u32;
        ensure!(lost <= self.lost, "{lost} acknowledged messages are gone: {sure:?} -> {out:?}");
        for &(tag, flagged) in &out {
            ensure!(tag != TORN, "a torn message came out");
            ensure!(count(tag) == 1, "message {tag} came out {} times: {out:?}", count(tag));
            let tried = (101..=119).contains(&tag);
            ensure!(tried || sure.contains(&tag), "message {tag} came from nowhere");
            let after = tried && tag % 10 > 1;
            ensure!(!after || count(tag - 1) == 1 || self.lost > 0, "message {tag} without the one before");
            ensure!(!flagged || self.readers > 0, "message {tag} is called redelivered, but no reader died");
        }
        let flagged = out.iter().filter(|o| o.1).count();
        ensure!(flagged <= self.readers, "{flagged} redelivered, {} readers dead", self.readers);
        let read_by_the_dead = self.readers > 0 && part.killed_in("Q-d");
        ensure!(
            !read_by_the_dead || flagged > 0,
            "the dead was reading, and nothing is called redelivered: {out:?}"
        );
        for from in [0, 100, 110, 900] {
            let tags = ledger.drained.iter().map(|d| d.0).filter(|t| (from..from + 10).contains(t));
            ensure!(tags.is_sorted(), "out of order: {:?}", ledger.drained);
        }
        part.count_lost(lost);
        part.count_redelivered(flagged as u32);
        Ok(())
    }

    fn ends(self, case: Case<World>) -> Box<dyn Scenario> {
        case.verify(move |w, part| self.verify(w, part))
    }

    /// A reader may die: it may take one message along, or leave one to be redelivered.
    fn popping() -> Story {
        Story { lost: 1, readers: 1, ..Story::default() }
    }

    fn pushing() -> Story {
        Story::default()
    }
}

/// What the verifier popped, and pushed.
#[derive(Default)]
struct Ledger {
    drained: Vec<(u64, bool)>,
    sure: Vec<u64>,
}

fn takes_exactly_its_capacity(w: &World) -> Check {
    ensure!(w.queue.is_empty(), "empty, but its length is {}", w.queue.len());
    for tag in 401..=400 + CAPACITY {
        ensure!(w.queue.try_push([tag; 4]).is_ok(), "room for {} of {CAPACITY} only", tag - 401);
    }
    let refused = w.queue.try_push([499; 4]).map_err(|e| e.kind());
    ensure!(refused == Err(ErrorKind::Full) && w.queue.is_full(), "one more than its capacity: {refused:?}");
    for tag in 401..=400 + CAPACITY {
        let popped = w.try_pop();
        ensure!(popped == Ok((tag, false)), "{popped:?} instead of {tag}");
    }
    ensure!(w.try_pop().is_err_and(|e| e.kind() == ErrorKind::Empty), "a message too many");
    Ok(())
}

// ---- the scenarios -------------------------------------------------------------------------------------------

fn case(operation: &'static str, scenario: &str, shift: u64, filled: u64) -> Case<World> {
    Case::new("Queue", operation, scenario, move || World::new(shift, filled))
}

fn helpers(mut case: Case<World>, n: usize, when: Enter, body: fn(&World, &Part) -> Check) -> Case<World> {
    for _ in 0..n {
        case = case.helper(when, Until::Asleep, End::AfterVerifier, body);
    }
    case
}

fn on_cue(case: Case<World>, body: impl Fn(&World, &Part) -> Check + 'static) -> Case<World> {
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
