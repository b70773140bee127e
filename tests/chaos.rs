//! Chaos: producers, consumers and lock users in processes of their own are killed (or stopped for a while) at
//! random and started again. Every message and every critical section is checked.
//!
//! ```text
//! cargo test --release --test chaos                     8 seconds
//! cargo test --release --test chaos -- --seconds 600    as long as you like
//! ```
//!
//! It runs in rounds of about a second, each on a new segment. A round ends like a program does: the producers
//! stop, the queue is closed, the consumers drain it, and then the books must balance:
//!
//! - an acknowledged message was delivered once; at most as many are missing as consumers died with messages in
//!   their hands; nothing was delivered twice; what was not acknowledged was delivered at most once;
//! - each consumer saw each producer's messages in order (but for those called redelivered);
//! - in the critical section nobody met anybody, and half-changed data only with the news of a death.
//!
//! Every other round is one of the other locks and signals, in turn: see `family`; the rounds between them are the
//! queue's, the byte queue's (`bytes`), the lane's (`lane`) and the pipes' (`pipe`), in turn. With `--only NAME` all rounds
//! are that one's.

#[path = "chaos/bytes.rs"]
mod bytes;
#[path = "chaos/family.rs"]
mod family;
#[path = "chaos/lane.rs"]
mod lane;
#[path = "chaos/pipe.rs"]
mod pipe;

use interproc::process::{self, Child};
use interproc::queue::Queue;
use interproc::sync::Mutex;
use interproc::{ErrorKind, Object, Segment};
use lexopt::prelude::*;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 2;
const LOCKERS: usize = 2;
const LANES: usize = PRODUCERS + CONSUMERS + LOCKERS;
/// Messages of a producer in one round, at most.
const MOST: usize = 1 << 20;
/// Nobody may need longer for anything.
const PATIENCE: Duration = Duration::from_secs(10);

type Message = [u64; 4];

/// The books: memory that all processes share, apart from the segment under test.
struct Books {
    stop: AtomicBool,
    /// What a process found wrong.
    wrong: AtomicU32,
    /// By producer: the last number that it has tried.
    tried: [AtomicU64; PRODUCERS],
    acknowledged: [[AtomicU8; MOST]; PRODUCERS],
    delivered: [[AtomicU8; MOST]; PRODUCERS],
    redelivered: AtomicU64,
    /// By consumer and producer: the last number seen that was not redelivered.
    seen: [[AtomicU64; PRODUCERS]; CONSUMERS],
    /// Who is in the critical section.
    inside: AtomicU64,
    sections: AtomicU64,
    inherited: AtomicU64,
}

/// What can be wrong, and how it is said.
const WRONGS: [&str; 6] = [
    "a message was torn",
    "a message was out of order",
    "two in the critical section",
    "half-changed data, and nobody was told",
    "an operation failed that must not",
    "a message was delivered twice",
];
const TORN: u32 = 0;
const DISORDER: u32 = 1;
const TWO_INSIDE: u32 = 2;
const UNTOLD: u32 = 3;
const FAILED: u32 = 4;
const TWICE: u32 = 5;

impl Books {
    /// The books, in zeroed memory that forked children share. There is one per program.
    fn open() -> &'static Books {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of the right size, never unmapped; zero bytes are valid atomics.
        unsafe {
            let p = libc::mmap(std::ptr::null_mut(), size_of::<Books>(), access, flags, -1, 0);
            assert_ne!(p, libc::MAP_FAILED, "room for the books");
            &*p.cast::<Books>()
        }
    }

    fn say(&self, wrong: u32) {
        self.wrong.fetch_or(1 << wrong, SeqCst);
    }

    /// Clean pages for the next round.
    fn wipe(&self) {
        self.stop.store(false, SeqCst);
        for lane in 0..PRODUCERS {
            let used = self.tried[lane].swap(0, SeqCst) as usize;
            for n in 0..=used.min(MOST - 1) {
                self.acknowledged[lane][n].store(0, SeqCst);
                self.delivered[lane][n].store(0, SeqCst);
            }
        }
        self.seen.iter().flatten().for_each(|seen| seen.store(0, SeqCst));
        self.inside.store(0, SeqCst);
    }

    /// A consumer has this message in its hands.
    fn enter(&self, consumer: usize, message: Message, redelivered: Option<bool>) {
        let [lane, n, sum, _] = message;
        if lane as usize >= PRODUCERS || n as usize >= MOST || sum != lane ^ n || message[3] != !n {
            return self.say(TORN);
        }
        let (lane, n) = (lane as usize, n as usize);
        if self.delivered[lane][n].fetch_add(1, SeqCst) > 0 {
            self.say(TWICE);
        }
        match redelivered {
            Some(false) if self.seen[consumer][lane].swap(n as u64, SeqCst) >= n as u64 => self.say(DISORDER),
            Some(true) => {
                self.redelivered.fetch_add(1, SeqCst);
            }
            _ => {}
        }
    }
}

/// What the processes of a round work on.
struct Round {
    queue: Queue<Message>,
    data: Object<Mutex<[u64; 6]>>,
}

impl Round {
    fn new() -> interproc::Result<Round> {
        // Slots of the dead are found again at once, so a few more than there are threads suffice.
        let segment = Segment::options().size(1 << 14).max_members(24).anonymous()?;
        Ok(Round { queue: segment.queue("queue", 8)?, data: segment.object("data", || Mutex::new([0; 6]))? })
    }

    /// What the process in this lane does, from wherever the last one was killed.
    fn work(&self, lane: usize, books: &'static Books) {
        priority(0);
        if lane < PRODUCERS {
            self.produce(lane, books);
        } else if lane < PRODUCERS + CONSUMERS {
            self.consume(lane - PRODUCERS, books);
        } else {
            std::thread::scope(|s| {
                s.spawn(|| self.lock(books));
                self.lock(books);
            });
        }
    }

    /// The first lane pushes one by one, the second in batches, the third with a time limit.
    fn produce(&self, lane: usize, books: &Books) {
        let message = |n: u64| [lane as u64, n, lane as u64 ^ n, !n];
        while !books.stop.load(SeqCst) {
            let first = books.tried[lane].load(SeqCst) + 1;
            let count = if lane == 1 { 1 + first % 4 } else { 1 };
            if (first + count) as usize >= MOST {
                return;
            }
            books.tried[lane].store(first + count - 1, SeqCst);
            let numbers = first..first + count;
            let result = match lane {
                0 => self.queue.push(message(first)).map_err(interproc::Error::from),
                1 => {
                    let batch: Vec<Message> = numbers.clone().map(message).collect();
                    self.queue.push_batch(&batch).map_err(|e| e.error)
                }
                _ => self.queue.push_timeout(message(first), Duration::from_millis(3)).map_err(Into::into),
            };
            match result {
                Ok(()) => numbers.for_each(|n| books.acknowledged[lane][n as usize].store(1, SeqCst)),
                Err(e) if e.kind() == ErrorKind::TimedOut => {}
                Err(_) => books.say(FAILED),
            }
        }
    }

    /// The first lane pops one by one, the second in batches.
    fn consume(&self, consumer: usize, books: &Books) {
        loop {
            let mut batch = [[0; 4]; BATCH];
            let result = if consumer == 0 {
                self.queue.pop_delivery().map(|d| books.enter(consumer, d.value, Some(d.redelivered)))
            } else {
                self.queue.pop_batch(&mut batch).map(|n| {
                    batch[..n].iter().for_each(|&message| books.enter(consumer, message, None));
                })
            };
            match result {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::Closed => return,
                Err(_) => return books.say(FAILED),
            }
        }
    }

    fn lock(&self, books: &Books) {
        let me = std::process::id();
        while !books.stop.load(SeqCst) {
            let mut told = false;
            let data = self.data.lock_or_repair(|data| {
                told = true;
                *data = [data[0]; 6];
            });
            let mut data = data.expect("held");
            if books.inside.swap(me.into(), SeqCst) != 0 && !told {
                books.say(TWO_INSIDE);
            }
            if *data != [data[0]; 6] {
                books.say(UNTOLD);
            }
            for value in data.iter_mut() {
                *std::hint::black_box(value) += 1;
            }
            books.sections.fetch_add(1, SeqCst);
            books.inherited.fetch_add(told.into(), SeqCst);
            books.inside.store(0, SeqCst);
            drop(data);
        }
    }
}

/// The messages that a batching consumer takes at once.
const BATCH: usize = 4;

/// Random enough, and the same for the same seed. After Marsaglia (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }
}

#[derive(Default)]
struct Totals {
    rounds: u64,
    kills: u64,
    stops: u64,
    messages: u64,
    taken_along: u64,
    /// What was done in the rounds of the family, and how often somebody was told of a death there.
    family: u64,
    told: u64,
}

/// One round; what was wrong, in words.
fn round(books: &'static Books, dice: &mut Dice, time: Duration, totals: &mut Totals) -> Result<(), String> {
    books.wipe();
    let round = &Round::new().map_err(|e| format!("{e}"))?;
    let start = |lane: usize| process::fork(|| round.work(lane, books)).map_err(|e| format!("{e}"));
    let mut lanes: Vec<Child> = (0..LANES).map(start).collect::<Result<_, _>>()?;
    let mut in_hands = 0; // messages that dead consumers may have taken along
    let end = Instant::now() + time;
    let mut mark = (Instant::now(), 0);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_micros(dice.roll(600)));
        let lane = dice.roll(LANES as u64) as usize;
        if dice.roll(8) == 0 {
            // Stopped: it may delay the others, and then goes on, or dies.
            signal(&lanes[lane], libc::SIGSTOP);
            std::thread::sleep(Duration::from_micros(dice.roll(3_000)));
            totals.stops += 1;
            if dice.roll(2) == 0 {
                signal(&lanes[lane], libc::SIGCONT);
                continue;
            }
        }
        slay(&lanes[lane])?;
        totals.kills += 1;
        in_hands += hands(lane);
        lanes[lane] = start(lane)?;
        if books.wrong.load(SeqCst) != 0 {
            break;
        }
        let done = delivered(books) + books.sections.load(SeqCst);
        if done != mark.1 {
            mark = (Instant::now(), done);
        } else if mark.0.elapsed() > PATIENCE {
            return Err("nobody moves any more".into());
        }
    }
    books.stop.store(true, SeqCst);
    for lane in (0..PRODUCERS).chain(PRODUCERS + CONSUMERS..LANES) {
        let status = lanes[lane].join_timeout(PATIENCE);
        status.map_err(|e| format!("lane {lane} does not come to its end: {e:?}; {}", describe(round)))?;
    }
    round.queue.close().map_err(|e| format!("{e}"))?;
    let consumers = PRODUCERS..PRODUCERS + CONSUMERS;
    for (lane, child) in lanes.iter_mut().enumerate().filter(|(lane, _)| consumers.contains(lane)) {
        // Once more, now while they drain.
        slay(child)?;
        in_hands += hands(lane);
        *child = start(lane)?;
    }
    for (lane, child) in lanes.iter().enumerate().filter(|(lane, _)| consumers.contains(lane)) {
        let status = child.join_timeout(PATIENCE);
        status.map_err(|e| format!("lane {lane} does not drain: {e:?}; {}", describe(round)))?;
    }
    totals.rounds += 1;
    balance(books, in_hands, totals)
}

fn describe(round: &Round) -> String {
    format!("{:?}, {:?}, blocker {:?}", round.queue, *round.data, round.queue.blocker())
}

/// How many messages a killed process may have in its hands.
fn hands(lane: usize) -> u64 {
    match lane {
        PRODUCERS => 1,
        lane if lane > PRODUCERS && lane < PRODUCERS + CONSUMERS => BATCH as u64,
        _ => 0,
    }
}

fn slay(child: &Child) -> Result<(), String> {
    child.kill().and_then(|()| child.join_timeout(PATIENCE)).map(drop).map_err(|e| format!("killing: {e}"))
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: plain system call on a child that is not reaped.
    unsafe { libc::kill(child.pid() as i32, signal) };
}

/// The killer goes before its victims, if it may: else it would have to wait for them.
fn priority(nice: i32) {
    // SAFETY: plain system call; a refusal does no harm.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}

fn delivered(books: &Books) -> u64 {
    books.tried.iter().map(|tried| tried.load(SeqCst)).sum()
}

/// Compares what was pushed with what came out.
fn balance(books: &Books, in_hands: u64, totals: &mut Totals) -> Result<(), String> {
    let wrong = books.wrong.load(SeqCst);
    let said: Vec<&str> = (0..WRONGS.len()).filter(|w| wrong >> w & 1 == 1).map(|w| WRONGS[w]).collect();
    if !said.is_empty() {
        return Err(said.join("; "));
    }
    let mut missing = 0;
    for lane in 0..PRODUCERS {
        for n in 1..=books.tried[lane].load(SeqCst) as usize {
            let acknowledged = books.acknowledged[lane][n].load(SeqCst) == 1;
            let delivered = books.delivered[lane][n].load(SeqCst);
            missing += u64::from(acknowledged && delivered == 0);
            totals.messages += u64::from(delivered);
        }
    }
    totals.taken_along += missing;
    if missing > in_hands {
        return Err(format!(
            "{missing} acknowledged messages are gone; dead consumers held at most {in_hands}"
        ));
    }
    Ok(())
}

/// Which round comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Queue,
    Bytes,
    Lane,
    Pairs,
    Meetings,
    Family,
}

/// The names for the command line.
const TURNS: [(&str, Turn); 6] = [
    ("queue", Turn::Queue),
    ("bytes", Turn::Bytes),
    ("lane", Turn::Lane),
    ("pairs", Turn::Pairs),
    ("meetings", Turn::Meetings),
    ("family", Turn::Family),
];

impl Turn {
    /// Every other round is the family's.
    fn of(round: u64) -> Turn {
        use Turn::{Bytes, Lane, Meetings, Pairs, Queue};
        let others = [Queue, Bytes, Pairs, Queue, Lane, Meetings];
        if round % 2 == 1 { Turn::Family } else { others[round as usize / 2 % others.len()] }
    }
}

/// What the command line asks for.
struct Wanted {
    time: Duration,
    seed: u64,
    only: Option<Turn>,
}

fn arguments() -> Result<Wanted, lexopt::Error> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let (mut seconds, mut seed) = (8.0, clock.map_or(1, |d| d.as_nanos() as u64));
    let mut only = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => seconds = parser.value()?.parse()?,
            Long("seed") => seed = parser.value()?.parse()?,
            Long("only") => {
                let name = parser.value()?.string()?;
                let turn = TURNS.iter().find(|turn| turn.0 == name);
                only = Some(turn.ok_or(format!("no such round: {name}"))?.1);
            }
            // What cargo or its users pass to every test program.
            Long("nocapture" | "quiet") | Short('q') => {}
            Long("test-threads" | "skip") => drop(parser.value()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Wanted { time: Duration::from_secs_f64(seconds), seed: seed.max(1), only })
}

fn main() -> ExitCode {
    let Wanted { time, seed, only } = match arguments() {
        Ok(arguments) => arguments,
        Err(e) => {
            eprintln!("{e}\nusage: chaos [--seconds N] [--seed N] [--only ROUND]");
            return ExitCode::from(2);
        }
    };
    println!("chaos for {:.1} s, seed {seed}", time.as_secs_f64());
    priority(-15);
    let (books, mut dice, mut totals) = (Books::open(), Dice(seed), Totals::default());
    let (family, bytes, lanes) = (family::Books::open(), bytes::Books::open(), lane::Books::open());
    let pipes = pipe::Books::open();
    let end = Instant::now() + time;
    let mut told = Instant::now();
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now()).min(Duration::from_millis(600));
        let (dice, sums) = (&mut dice, &mut totals);
        let result = match only.unwrap_or(Turn::of(sums.rounds)) {
            Turn::Queue => round(books, dice, left, sums),
            Turn::Bytes => bytes::round(bytes, dice, left, sums),
            Turn::Lane => lane::round(lanes, dice, left, sums),
            Turn::Pairs => pipe::pairs::round(pipes, dice, left, sums),
            Turn::Meetings => pipe::meetings::round(pipes, dice, left, sums),
            // The others' are longer, for what is at work there is more.
            Turn::Family => family::round(family, dice, left.min(Duration::from_millis(400)), sums),
        };
        if let Err(text) = result {
            println!("FAILED in round {}: {text}", totals.rounds);
            return ExitCode::FAILURE;
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            println!(
                "{:.0} s left, {} kills so far",
                end.saturating_duration_since(told).as_secs_f64(),
                totals.kills
            );
        }
    }
    println!(
        "{} rounds, {} kills, {} stops; {} messages, {} redelivered, {} taken along by the dead; \
         {} critical sections, {} inherited; {} steps of the family, {} told ... ok",
        totals.rounds,
        totals.kills,
        totals.stops,
        totals.messages,
        books.redelivered.load(SeqCst),
        totals.taken_along,
        books.sections.load(SeqCst),
        books.inherited.load(SeqCst),
        totals.family,
        totals.told
    );
    ExitCode::SUCCESS
}
