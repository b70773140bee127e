//! Scenarios of the queue.
//!
//! Every message is a tag, four times over. A ledger follows each tag from its push to the hands it came into:
//! what was acknowledged comes out exactly once (a message that the victim had taken and not returned may be gone
//! with it, one a death), what was not acknowledged at most once, in order, never torn, and marked when a reader
//! died over it. Afterwards the ring takes exactly its capacity again.

use crate::arena::Arena;
use crate::engine::{Case, Check, Cut, End, Enter, Part, Scenario, Until, os};
use crate::ensure;
use interproc::queue::{RawQueue, Ring};
use interproc::{Deadline, ErrorKind, Result as IpcResult};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

const CAPACITY: u64 = 3;
type Message = [u64; 4];

// Words of the board. Tags: 1.. prefilled, 101.. the victim's, 201.. and 301.. helpers', 901.. the verifier's.
/// How many pushes the victim has had acknowledged.
const PUSHED: usize = 0;
/// How many pops have come back to the victim, and their tags from here on.
const POPPED: usize = 1;
const POPPED_TAGS: usize = 2;
/// The tag that the victim has begun to read.
const SEEN: usize = 6;
/// The victim's `close` came back.
const CLOSED: usize = 7;
/// By helper: the tag that it popped or pushed, with [`FLAGGED`]; and when.
const GOT: usize = 8;
const GOT_AT: usize = 14;
const FLAGGED: u64 = 1 << 63;
/// A helper was told that the queue is closed.
const TOLD_CLOSED: u64 = u64::MAX >> 1;

struct World {
    arena: Arena,
    queue: RawQueue,
    other: RawQueue,
    filled: u64,
}

impl World {
    /// `filled` messages in the ring, the first at cell `shift`.
    fn new(shift: u64, filled: u64) -> World {
        let arena = Arena::new(10);
        let ring = |offset: usize| {
            let (memory, len) = (arena.at(offset), arena.room(offset).min(2048));
            // SAFETY: aligned, zeroed, in bounds and new; mapped as long as the world.
            unsafe {
                Ring::make(memory, len, size_of::<Message>(), CAPACITY as usize).expect("a shape");
                RawQueue::new(Ring::attach(memory, len).expect("just made"))
            }
        };
        let (queue, other) = (ring(0), ring(4096));
        let world = World { arena, queue, other, filled };
        // By a process of its own, so that the engine's worker is no member.
        let filler = os::fork(|| {
            for _ in 0..shift {
                world.push(1, None).expect("room");
                world.pop(None, |_| {}).expect("a message");
            }
            (1..=filled).for_each(|tag| world.push(tag, None).expect("room"));
            0
        });
        assert_eq!(os::reap(filler.pid), 0, "filling the ring");
        world
    }

    fn push(&self, tag: u64, deadline: Option<Deadline>) -> IpcResult<()> {
        self.queue.push_with(self.arena.me(), deadline, |p| write(p, tag))
    }

    fn try_push(&self, tag: u64) -> IpcResult<()> {
        self.queue.try_push_with(self.arena.me(), |p| write(p, tag))
    }

    fn pop(&self, deadline: Option<Deadline>, seen: impl Fn(u64)) -> IpcResult<(u64, bool)> {
        self.queue.pop_with(self.arena.me(), deadline, |p| read(p, seen))
    }

    fn try_pop(&self) -> IpcResult<(u64, bool)> {
        self.queue.try_pop_with(self.arena.me(), |p| read(p, |_| {}))
    }

    /// Registers the caller and runs the code of both paths once, on another ring.
    fn warm_up(&self) {
        let (me, past) = (self.arena.me(), Some(Deadline::now()));
        for _ in 0..2 {
            let _ = self.other.push_with(me, past, |p| write(p, 7));
            let _ = self.other.pop_with(me, past, |p| read(p, |_| {}));
        }
        let _ = self.other.pop_with(me, past, |p| read(p, |_| {}));
    }
}

fn write(p: *mut u8, tag: u64) {
    // SAFETY: the cell holds a message and is aligned to 16.
    unsafe { p.cast::<Message>().write_volatile([tag; 4]) };
}

fn read(p: *const u8, seen: impl Fn(u64)) -> u64 {
    // SAFETY: as above; any bits are valid.
    let message = unsafe { p.cast::<Message>().read_volatile() };
    seen(message[0]);
    if message == [message[0]; 4] { message[0] } else { TORN }
}

const TORN: u64 = 0xdead;

// ---- what the victim does ------------------------------------------------------------------------------------

/// One push; then says that it was acknowledged.
fn pushes(w: &World, cut: &Cut, deadline: Option<Deadline>) {
    let n = cut.part.fact(PUSHED).load(SeqCst);
    if w.push(101 + n, deadline).is_ok() {
        cut.part.fact(PUSHED).store(n + 1, SeqCst);
    }
}

/// One pop; then says what came back.
fn pops(w: &World, cut: &Cut, deadline: Option<Deadline>) {
    let popped = w.pop(deadline, |tag| cut.part.fact(SEEN).store(tag, SeqCst));
    if let Ok((tag, flagged)) = popped {
        let n = cut.part.fact(POPPED).load(SeqCst);
        cut.part.fact(POPPED_TAGS + n as usize).store(tag | if flagged { FLAGGED } else { 0 }, SeqCst);
        cut.part.fact(POPPED).store(n + 1, SeqCst);
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

fn push_one(w: &World, cut: &Cut) {
    pushes(w, cut, None);
}

fn pop_one(w: &World, cut: &Cut) {
    pops(w, cut, None);
}

fn soon() -> Option<Deadline> {
    Some(Deadline::after(Duration::from_millis(20)))
}

// ---- helpers -------------------------------------------------------------------------------------------------

fn note(part: &Part, result: IpcResult<u64>) -> Check {
    let value = match result {
        Ok(tag) => tag,
        Err(e) if e.kind() == ErrorKind::Closed => TOLD_CLOSED,
        Err(e) => return Err(format!("{e:?}")),
    };
    part.fact(GOT_AT + part.index).store(os::now(), SeqCst);
    part.fact(GOT + part.index).store(value, SeqCst);
    Ok(())
}

fn consumer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    note(part, w.pop(None, |_| {}).map(|(tag, flagged)| tag | if flagged { FLAGGED } else { 0 }))
}

fn producer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    let tag = 201 + part.index as u64;
    note(part, w.push(tag, None).map(|()| tag))
}

/// Pushes one message at this cue.
fn feeder(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        part.await_cue(cue);
        let tag = 301 + part.index as u64;
        note(part, w.push(tag, None).map(|()| tag))
    }
}

/// Takes one message at this cue.
fn taker(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        part.await_cue(cue);
        note(part, w.pop(None, |_| {}).map(|(tag, flagged)| tag | if flagged { FLAGGED } else { 0 }))
    }
}

/// Begins a push and dies in it at the first cue.
fn doomed_writer(w: &World, part: &Part) -> Check {
    w.warm_up();
    let _ = w.queue.push_with(w.arena.me(), None, |_| {
        part.ready();
        part.await_cue(1);
        os::die()
    });
    Ok(())
}

/// Begins a pop and dies in it at the first cue.
fn doomed_reader(w: &World, part: &Part) -> Check {
    w.warm_up();
    let _ = w.queue.pop_with(w.arena.me(), None, |_| {
        part.ready();
        part.await_cue(1);
        os::die()
    });
    Ok(())
}

// ---- the verifier --------------------------------------------------------------------------------------------

/// What can have happened, apart from what the board says.
#[derive(Clone, Copy, Default)]
struct Story {
    /// The victims' pushes.
    pushes: u64,
    /// Deaths that can have happened in a pop: each may take a message along, or have it redelivered.
    dead_readers: u32,
    /// Helpers `0..consumers` sleep in a pop.
    consumers: usize,
    /// Helpers `0..producers` sleep in a push.
    producers: usize,
    /// Further helpers, `at..at+n`, that pop or push on a cue.
    others: (usize, usize),
    /// The victim closes.
    closes: bool,
}

impl Story {
    fn verify(self, w: &World, part: &Part) -> Check {
        let closed = w.queue.is_closed();
        ensure!(closed || part.fact(CLOSED).load(SeqCst) == 0, "a close that came back is not there");
        let room = |w: &World| u64::from(w.queue.len()) < CAPACITY;
        self.settle(part, self.consumers, "asleep beside a message", || closed || !w.queue.is_empty())?;
        self.settle(part, self.producers, "asleep beside free room", || closed || room(w))?;
        let mut ledger = Ledger::default();
        if closed || self.closes {
            w.queue.close(w.arena.me());
        } else {
            self.feed(w, part, &mut ledger)?;
        }
        self.drain(w, part, &mut ledger, closed || self.closes)?;
        self.balance(w, part, &ledger)?;
        if !w.queue.is_closed() {
            for _ in 0..2 {
                takes_exactly_its_capacity(w)?;
            }
        }
        Ok(())
    }

    /// Sleepers `0..n` for whom there is something must come by themselves.
    fn settle(self, part: &Part, n: usize, what: &str, due: impl Fn() -> bool) -> Check {
        let deadline = os::now() + 1_500_000_000;
        while (0..n).any(|i| !part.is_over(i)) && due() {
            ensure!(os::now() < deadline, "{what}");
            os::yield_now();
        }
        for i in (0..n).filter(|&i| part.is_over(i)) {
            part.served(i, part.fact(GOT_AT + i).load(SeqCst));
        }
        Ok(())
    }

    /// Gives consumers that rightly sleep something to eat.
    fn feed(self, w: &World, part: &Part, ledger: &mut Ledger) -> Check {
        for i in 0..self.consumers {
            if part.is_over(i) {
                continue;
            }
            let tag = 901 + i as u64;
            ensure!(w.push(tag, soon_enough()).is_ok(), "the verifier's push timed out");
            ledger.sure.push(tag);
            self.settle(part, self.consumers, "asleep beside the verifier's message", || !w.queue.is_empty())?;
        }
        Ok(())
    }

    fn drain(self, w: &World, part: &Part, ledger: &mut Ledger, closing: bool) -> Check {
        let deadline = os::now() + 1_500_000_000;
        loop {
            let sleepers = self.consumers.max(self.producers);
            let all_over = (0..sleepers).all(|i| part.is_over(i));
            match w.try_pop() {
                Ok(popped) => ledger.drained.push(popped),
                Err(e) if e.kind() == ErrorKind::Closed => ensure!(closing, "closed for no reason"),
                Err(e) => ensure!(e.kind() == ErrorKind::Empty, "try_pop: {e:?}"),
            }
            part.recovered();
            let empty = w.queue.is_empty() && matches!(w.try_pop(), Err(_));
            if empty && all_over {
                return Ok(());
            }
            ensure!(os::now() < deadline, "cannot be emptied, or somebody sleeps on");
        }
    }

    fn balance(self, w: &World, part: &Part, ledger: &Ledger) -> Check {
        let fact = |i: usize| part.fact(i).load(SeqCst);
        let mut out: Vec<(u64, bool)> = ledger.drained.clone();
        let mut sure: Vec<u64> = (1..=w.filled).chain(ledger.sure.iter().copied()).collect();
        sure.extend((0..fact(PUSHED)).map(|n| 101 + n));
        let unsure: Vec<u64> = (fact(PUSHED)..self.pushes).map(|n| 101 + n).collect();
        let split = |word: u64| (word & !FLAGGED, word & FLAGGED != 0);
        let returned: Vec<(u64, bool)> = (0..fact(POPPED)).map(|n| split(fact(POPPED_TAGS + n as usize))).collect();
        out.extend(&returned);
        let helpers = (0..self.consumers.max(self.producers)).chain(self.others.0..self.others.0 + self.others.1);
        for got in helpers.map(|i| fact(GOT + i)).filter(|&g| g != 0 && g != TOLD_CLOSED) {
            match split(got) {
                // Its own push, acknowledged.
                (tag @ 201..900, false) => sure.push(tag),
                popped => out.push(popped),
            }
        }
        // A helper that pops may have got a helper's push: told apart by who says so twice.
        let mut lost = 0;
        for &tag in &sure {
            match out.iter().filter(|o| o.0 == tag).count() {
                1 => {}
                0 => lost += 1,
                n => return Err(format!("message {tag} came out {n} times")),
            }
        }
        ensure!(lost <= self.dead_readers, "{lost} acknowledged messages are gone: {sure:?} -> {out:?}");
        for &(tag, flagged) in &out {
            ensure!(tag != TORN, "a torn message came out");
            ensure!(sure.contains(&tag) || unsure.contains(&tag), "message {tag} came from nowhere");
            ensure!(out.iter().filter(|o| o.0 == tag).count() == 1, "message {tag} came out twice");
            ensure!(!flagged || self.dead_readers > 0, "message {tag} is called redelivered, but no reader died");
            let mine = returned.iter().any(|r| r.0 == tag);
            let told = flagged || mine || fact(SEEN) != tag;
            ensure!(told, "message {tag} was read by the dead and delivered again, unsaid");
        }
        let tags = |from: u64| ledger.drained.iter().map(|d| d.0).filter(move |t| (from..from + 100).contains(t));
        ensure!(tags(0).is_sorted() && tags(100).is_sorted(), "out of order: {:?}", ledger.drained);
        part.count_lost(lost);
        part.count_redelivered(out.iter().filter(|o| o.1).count() as u32);
        Ok(())
    }
}

#[derive(Default)]
struct Ledger {
    drained: Vec<(u64, bool)>,
    sure: Vec<u64>,
}

fn soon_enough() -> Option<Deadline> {
    Some(Deadline::after(Duration::from_millis(1500)))
}

fn takes_exactly_its_capacity(w: &World) -> Check {
    ensure!(w.queue.is_empty(), "empty, but its length is {}", w.queue.len());
    for tag in 401..=400 + CAPACITY {
        ensure!(w.try_push(tag).is_ok(), "room for {} of {CAPACITY} only", tag - 401);
    }
    let refused = w.try_push(499).map_err(|e| e.kind());
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

impl Story {
    fn pushing(n: u64) -> Story {
        Story { pushes: n, ..Story::default() }
    }
    fn popping() -> Story {
        Story { dead_readers: 1, ..Story::default() }
    }
    fn ends(self, case: Case<World>) -> Box<dyn Scenario> {
        case.verify(move |w, part| self.verify(w, part))
    }
}

fn asleep(mut case: Case<World>, n: usize, body: fn(&World, &Part) -> Check) -> Case<World> {
    for _ in 0..n {
        case = case.helper(Enter::Before, Until::Asleep, End::AfterVerifier, body);
    }
    case
}

fn on_cue(case: Case<World>, body: impl Fn(&World, &Part) -> Check + 'static) -> Case<World> {
    case.helper(Enter::Before, Until::Ready, End::Alone, body)
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let mut all = alone();
    all.extend(others_asleep());
    all.extend(asleep_itself());
    all.extend(closing());
    all.extend(two_deaths());
    all
}

fn alone() -> Vec<Box<dyn Scenario>> {
    let (push, pop) = (Story::pushing(1), Story::popping());
    let mut all = Vec::new();
    for (name, shift, filled) in [
        ("empty", 0, 0),
        ("part full", 0, 1),
        ("one cell free", 1, 2),
        ("last cell of the lap", 2, 0),
        ("one cell free, round the end", 2, 2),
    ] {
        all.push(push.ends(case("push", name, shift, filled).role("producer").victim(on_stage(push_one))));
    }
    for (name, shift, filled) in
        [("full", 0, 3), ("part full", 1, 2), ("one message", 0, 1), ("last cell of the lap", 2, 2)]
    {
        all.push(pop.ends(case("pop", name, shift, filled).role("consumer").victim(on_stage(pop_one))));
    }
    let try_push = on_stage(|w, cut| {
        if w.try_push(101).is_ok() {
            cut.part.fact(PUSHED).store(1, SeqCst);
        }
    });
    let try_pop = on_stage(|w, cut| {
        if let Ok((tag, _)) = w.try_pop() {
            cut.part.fact(POPPED_TAGS).store(tag, SeqCst);
            cut.part.fact(POPPED).store(1, SeqCst);
        }
    });
    all.push(push.ends(case("try_push", "room", 0, 1).role("producer").victim(try_push)));
    all.push(pop.ends(case("try_pop", "a message", 0, 1).role("consumer").victim(try_pop)));
    let refused_push = on_stage(|w, _| drop(w.try_push(101)));
    let refused_pop = on_stage(|w, _| drop(w.try_pop()));
    all.push(push.ends(case("try_push", "full", 0, 3).role("producer").victim(refused_push)));
    all.push(pop.ends(case("try_pop", "empty", 1, 0).role("consumer").victim(refused_pop)));
    let timed_push = on_stage(|w, cut| pushes(w, cut, soon()));
    let timed_pop = on_stage(|w, cut| pops(w, cut, soon()));
    all.push(push.ends(case("timed push", "full for longer", 0, 3).role("producer").victim(timed_push)));
    all.push(pop.ends(case("timed pop", "empty for longer", 0, 0).role("consumer").victim(timed_pop)));
    all
}

fn others_asleep() -> Vec<Box<dyn Scenario>> {
    let two_pushes = on_stage(|w, cut| {
        push_one(w, cut);
        push_one(w, cut);
    });
    let beside_own_sleeper = |w: &World, cut: &Cut| {
        w.warm_up();
        let tid = AtomicU32::new(0);
        std::thread::scope(|s| {
            s.spawn(|| {
                w.warm_up();
                os::futex_set(&tid, os::tid());
                // It may take the message along when both die.
                let _ = w.pop(None, |_| {});
                std::thread::park();
            });
            os::futex_wait(&tid, 0, u64::MAX);
            os::await_sleep(std::process::id() as i32, tid.load(SeqCst) as i32);
            cut.start();
            push_one(w, cut);
            cut.end();
        });
    };
    let one_consumer = Story { consumers: 1, ..Story::pushing(1) };
    let two_consumers = Story { consumers: 2, ..Story::pushing(1) };
    let each_fed = Story { consumers: 2, ..Story::pushing(2) };
    let thread = Story { dead_readers: 1, ..one_consumer };
    let one_producer = Story { producers: 1, ..Story::popping() };
    let two_producers = Story { producers: 2, ..Story::popping() };
    vec![
        one_consumer.ends(
            asleep(case("push", "a consumer asleep", 0, 0), 1, consumer)
                .role("producer")
                .victim(on_stage(push_one)),
        ),
        two_consumers.ends(
            asleep(case("push", "two consumers asleep", 2, 0), 2, consumer)
                .role("producer")
                .victim(on_stage(push_one)),
        ),
        each_fed.ends(
            asleep(case("push twice", "two consumers asleep", 2, 0), 2, consumer)
                .role("producer")
                .victim(two_pushes),
        ),
        thread.ends(
            asleep(case("push", "a consumer asleep, and a thread of the victim too", 0, 0), 1, consumer)
                .role("producer")
                .victim(beside_own_sleeper),
        ),
        one_producer.ends(
            asleep(case("pop", "full, a producer asleep", 0, 3), 1, producer)
                .role("consumer")
                .victim(on_stage(pop_one)),
        ),
        two_producers.ends(
            asleep(case("pop", "full, two producers asleep", 1, 3), 2, producer)
                .role("consumer")
                .victim(on_stage(pop_one)),
        ),
    ]
}

fn asleep_itself() -> Vec<Box<dyn Scenario>> {
    let pop = Story { others: (0, 1), ..Story::popping() };
    let push = Story { others: (0, 1), ..Story::pushing(1) };
    let (push_on_stage, pop_on_stage) = (|| on_stage(push_one), || on_stage(pop_one));
    let beside = |n| Story { others: (n, 1), ..Story::default() };
    vec![
        pop.ends(
            on_cue(case("pop", "empty, then fed", 0, 0), feeder(1)).role("sleeping consumer").victim(pop_on_stage()),
        ),
        push.ends(
            on_cue(case("push", "full, then room", 0, 3), taker(1)).role("sleeping producer").victim(push_on_stage()),
        ),
        Story { consumers: 1, dead_readers: 1, ..beside(1) }.ends(
            on_cue(asleep(case("pop", "empty, another consumer asleep, then fed", 0, 0), 1, consumer), feeder(1))
                .role("sleeping consumer")
                .victim(pop_on_stage()),
        ),
        Story { producers: 1, pushes: 1, ..beside(1) }.ends(
            on_cue(asleep(case("push", "full, another producer asleep, then room", 0, 3), 1, producer), taker(1))
                .role("sleeping producer")
                .victim(push_on_stage()),
        ),
        // Behind a writer who dies in its push; then somebody pushes.
        Story { others: (1, 1), ..Story::popping() }.ends(
            on_cue(
                case("pop", "behind a writer who dies, then fed", 0, 0)
                    .helper(Enter::Before, Until::Ready, End::Dies, doomed_writer),
                feeder(2),
            )
            .role("sleeping consumer")
            .victim(pop_on_stage()),
        ),
        // Over a message whose reader dies.
        Story { dead_readers: 2, ..Story::default() }.ends(
            case("pop", "one message, its reader dies", 0, 1)
                .helper(Enter::Before, Until::Ready, End::Dies, doomed_reader)
                .role("sleeping consumer")
                .victim(pop_on_stage()),
        ),
        Story { others: (1, 1), dead_readers: 1, ..Story::pushing(1) }.ends(
            on_cue(
                case("push", "full, a reader dies, then room", 0, 3)
                    .helper(Enter::Before, Until::Ready, End::Dies, doomed_reader),
                taker(2),
            )
            .role("sleeping producer")
            .victim(push_on_stage()),
        ),
    ]
}

fn closing() -> Vec<Box<dyn Scenario>> {
    let closes = || {
        on_stage(|w, cut| {
            w.queue.close(w.arena.me());
            cut.part.fact(CLOSED).store(1, SeqCst);
        })
    };
    let close = Story { closes: true, ..Story::default() };
    let refused = on_stage(|w, _| {
        let _ = w.push(101, None);
    });
    let sealing = on_stage(|w, cut| pops(w, cut, None));
    let closed = |operation, scenario: &str, filled| {
        Case::new("Queue", operation, scenario, move || {
            let world = World::new(0, filled);
            let closer = os::fork(|| {
                world.queue.close(world.arena.me());
                0
            });
            os::reap(closer.pid);
            world
        })
    };
    vec![
        close.ends(case("close", "part full", 0, 2).role("closer").victim(closes())),
        Story { consumers: 2, ..close }.ends(
            asleep(case("close", "empty, two consumers asleep", 1, 0), 2, consumer).role("closer").victim(closes()),
        ),
        Story { producers: 2, ..close }.ends(
            asleep(case("close", "full, two producers asleep", 0, 3), 2, producer).role("closer").victim(closes()),
        ),
        close.ends(closed("push", "closed", 1).role("producer").victim(refused)),
        Story { closes: true, ..Story::popping() }
            .ends(closed("pop", "closed, one message", 1).role("consumer").victim(on_stage(pop_one))),
        Story { closes: true, ..Story::popping() }
            .ends(closed("pop", "closed and empty: seals the end", 0).role("consumer").victim(sealing)),
    ]
}

fn two_deaths() -> Vec<Box<dyn Scenario>> {
    let thin = |case: Case<World>| case.limits(|l| l.thin_above = 300);
    let two = |name: &str, shift, filled, operation, first: fn(&World, &Cut), second: fn(&World, &Cut)| {
        thin(case(operation, name, shift, filled)).first(on_stage(first)).victim(on_stage(second))
    };
    let (push, pop): (fn(&World, &Cut), fn(&World, &Cut)) = (push_one, pop_one);
    vec![
        Story::pushing(2).ends(two("two deaths: push, then push", 2, 0, "push", push, push).role("two producers")),
        Story { dead_readers: 1, ..Story::pushing(1) }
            .ends(two("two deaths: push, then pop", 0, 1, "pop", push, try_pop_one).role("producer, consumer")),
        Story { dead_readers: 2, ..Story::default() }
            .ends(two("two deaths: pop, then pop", 1, 2, "pop", pop, try_pop_one).role("two consumers")),
        Story { dead_readers: 1, ..Story::pushing(1) }
            .ends(two("two deaths: pop, then push", 0, 3, "push", pop, try_push_one).role("consumer, producer")),
    ]
}

fn try_pop_one(w: &World, cut: &Cut) {
    pops(w, cut, Some(Deadline::from_monotonic_ns(0)));
}

fn try_push_one(w: &World, cut: &Cut) {
    pushes(w, cut, Some(Deadline::from_monotonic_ns(0)));
}
