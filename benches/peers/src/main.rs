//! Publish-subscribe of others beside ours, in one run: `benches/peers/run` builds and runs it.
//!
//! In each round every one of a row has its turn; the ratios to ours are taken in each round, and the middle one is shown with the
//! least and the most. One publisher and one subscriber, in processes on processors 0 and 1, that do nothing else. Every message is
//! looked at: it must be whole, come once, and in order. Nothing is lost, by anybody: publishers wait.
//!
//! | file | idea |
//! |---|---|
//! | `way` | a publisher and a subscriber, whosever they are, and how they are timed |
//! | `ours`, `iox2`, `aeron` | whose they are |
//! | `bare` | what the machine allows |
//! | `table` | what is asked for, and what came out |
//!
//! Options: `--rounds N`, `--ms N` (the length of a round), a part of a row's name. A row during which others used more than 5 % of a
//! processor is repeated, twice at most; `--now` neither waits for a quiet machine nor repeats.

#[cfg(feature = "aeron")]
mod aeron;
mod bare;
mod iox2;
mod ours;
mod table;
mod way;

// The house's own.
#[allow(dead_code)]
#[path = "../../support/machine.rs"]
mod machine;
#[allow(dead_code)]
#[path = "../../support/sides.rs"]
mod sides;

use machine::{Alone, Meter, wait_for_quiet};
use std::time::Duration;
use table::{Asked, Row};
use way::{Way, ping_pong, stream};

/// So many operations: nanoseconds for each.
type Measurement = Box<dyn FnMut(u64) -> f64>;

fn rows() -> Vec<Row> {
    /// The row of a kind and a length, and whose figures only it has.
    macro_rules! row {
        ($kind:ident, $words:literal, $name:expr, $asked:expr, $($more:expr),*) => {{
            fn of<P: Way<$words>>() -> Measurement {
                $kind::<$words, P>()
            }
            let sides = vec![
                ("`Broadcast`", of::<ours::News<$words, false>>()),
                ("iceoryx2", of::<iox2::Iceoryx>()),
                #[cfg(feature = "aeron")]
                ("Aeron IPC", of::<aeron::Ipc>()),
                ("`spsc`", of::<ours::Spsc>()),
                $($more),*
            ];
            Row { name: $name, asked: $asked, sides }
        }};
    }
    fn polled<const W: usize>() -> (&'static str, Measurement)
    where
        [u64; W]: interproc::Plain,
    {
        ("`Broadcast`, polled by `lag`", ping_pong::<W, ours::News<W, true>>())
    }
    let (rate, time) = (Asked::Rate(3.0), Asked::Time(0.5));
    let line = ("a bare cache line", ping_pong::<1, bare::Bare>());
    vec![
        row!(stream, 1, "stream, 8 B", rate,),
        row!(stream, 8, "stream, 64 B", rate,),
        row!(stream, 128, "stream, 1 KiB", rate,),
        row!(ping_pong, 1, "one way, 8 B", time, polled::<1>(), line),
        row!(ping_pong, 8, "one way, 64 B", time, polled::<8>()),
        row!(ping_pong, 128, "one way, 1 KiB", time, polled::<128>()),
    ]
}

struct Settings {
    rounds: usize,
    round: Duration,
    now: bool,
    pattern: String,
}

fn settings() -> Settings {
    let mut settings =
        Settings { rounds: 11, round: Duration::from_millis(100), now: false, pattern: String::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok()).expect("a number");
        match argument.as_str() {
            "--rounds" => settings.rounds = number() as usize,
            "--ms" => settings.round = Duration::from_millis(number()),
            "--now" => settings.now = true,
            pattern => settings.pattern = pattern.into(),
        }
    }
    settings
}

/// Percent of a processor that others may use during a row, before it is measured once more.
const NOISE: f64 = 5.0;

fn main() {
    let settings = settings();
    table::head(settings.rounds);
    for mut row in rows().into_iter().filter(|row| row.name.contains(&settings.pattern)) {
        for last in [false, false, true] {
            let _alone = Alone::take();
            if !settings.now {
                wait_for_quiet(Duration::from_secs(5));
            }
            let meter = Meter::start();
            let rounds = row.measure(settings.rounds, settings.round);
            let others = meter.others();
            if last || settings.now || others <= NOISE {
                row.print(&rounds, others);
                break;
            }
        }
    }
}
