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
//! queue's (`queue`), the byte queue's (`bytes`), the work queue's (`work`), the broadcast's (`news`), the lane's (`lane`), the pipes'
//! (`pipe`) and the wait sets' (`sets`), in turn. With `--only NAME` all rounds are that one's.

#[path = "chaos/books.rs"]
mod books;
#[path = "chaos/broadcast.rs"]
mod broadcast;
#[path = "chaos/bytes.rs"]
mod bytes;
#[path = "chaos/family.rs"]
mod family;
#[path = "chaos/lane.rs"]
mod lane;
#[path = "chaos/pipe.rs"]
mod pipe;
#[path = "chaos/queue.rs"]
mod queue;
#[path = "chaos/sets.rs"]
mod sets;
#[path = "chaos/work.rs"]
mod work;

use interproc::process::Child;
use lexopt::prelude::*;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Nobody may need longer for anything.
const PATIENCE: Duration = Duration::from_secs(10);

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
    /// What was done in the rounds of the family.
    family: u64,
    /// How often somebody was told of a death, or that a message comes again.
    told: u64,
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

/// Which round comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Queue,
    Bytes,
    Work,
    News,
    Lane,
    Pairs,
    Meetings,
    Sets,
    Family,
}

/// The names for the command line.
const TURNS: [(&str, Turn); 9] = [
    ("queue", Turn::Queue),
    ("bytes", Turn::Bytes),
    ("work", Turn::Work),
    ("news", Turn::News),
    ("lane", Turn::Lane),
    ("pairs", Turn::Pairs),
    ("meetings", Turn::Meetings),
    ("sets", Turn::Sets),
    ("family", Turn::Family),
];

impl Turn {
    /// Every other round is the family's.
    fn of(round: u64) -> Turn {
        use Turn::{Bytes, Lane, Meetings, News, Pairs, Queue, Sets, Work};
        let others = [Queue, Bytes, Pairs, Work, News, Sets, Lane, Meetings];
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
    let (queues, mut dice, mut totals) = (queue::Books::open(), Dice(seed), Totals::default());
    let (family, bytes, lanes) = (family::Books::open(), bytes::open(), lane::Books::open());
    let (pipes, works, news, sets) = (pipe::Books::open(), work::open(), broadcast::open(), sets::open());
    let end = Instant::now() + time;
    let mut told = Instant::now();
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now()).min(Duration::from_millis(600));
        let (dice, sums) = (&mut dice, &mut totals);
        let result = match only.unwrap_or(Turn::of(sums.rounds)) {
            Turn::Queue => queue::round(queues, dice, left, sums),
            Turn::Bytes => bytes::round(bytes, dice, left, sums),
            Turn::Work => work::round(works, dice, left, sums),
            Turn::News => broadcast::round(news, dice, left, sums),
            Turn::Lane => lane::round(lanes, dice, left, sums),
            Turn::Pairs => pipe::pairs::round(pipes, dice, left, sums),
            Turn::Meetings => pipe::meetings::round(pipes, dice, left, sums),
            Turn::Sets => sets::round(sets, dice, left, sums),
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
        "{} rounds, {} kills, {} stops; {} messages, {} taken along by the dead; {}; \
         {} steps of the family; {} told ... ok",
        totals.rounds,
        totals.kills,
        totals.stops,
        totals.messages,
        totals.taken_along,
        queues.sums(),
        totals.family,
        totals.told
    );
    ExitCode::SUCCESS
}
