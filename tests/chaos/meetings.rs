//! Rounds of a server and its clients, who find it by name and are more than there are pipes.

use super::{Books, CAPACITY, CLIENTS, LANES, LONGEST, Lanes, MOST, Message, SERVER, Side, TORN, conclude};
use crate::{Dice, PATIENCE, Totals, priority, signal};
use interproc::pipe::{self, End, Listener};
use interproc::process;
use interproc::{Error, ErrorKind, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Pipes of the listener: fewer than clients.
const PIPES: usize = 2;
/// The talk that ends the server.
const BYE: u64 = u64::MAX;

/// How a talk goes and how long it is, known to both by its number.
fn plan(number: u64) -> (u64, u64) {
    (number % 3, 1 + number * 7 % 40)
}

/// The server: the thread that listens hears the first message, another one goes on.
fn serve(segment: &Segment, books: &'static Books) {
    priority(0);
    let mut listener = match Listener::bind(segment, "door", PIPES, CAPACITY, LONGEST) {
        Ok(listener) => listener,
        Err(e) => return books.fails("bind", &e),
    };
    std::thread::scope(|s| {
        loop {
            let mut end = match listener.accept() {
                Ok(end) => end,
                Err(e) => return books.fails("accept", &e),
            };
            let first = match end.recv() {
                Ok(first) => first,
                // Nobody knows of whom this is the end.
                Err(e) if e.kind() == ErrorKind::Closed => continue,
                Err(e) => return books.fails("the first recv", &e),
            };
            match Message::head(&first) {
                Some((BYE, _)) => return,
                Some((number, _)) if (number as usize) < MOST => {
                    s.spawn(move || answer(Side::new(books, number, 1), &first, end));
                }
                _ => return books.say(TORN),
            }
        }
    });
}

fn answer(side: Side, first: &[u8], mut end: End) {
    let mut came = 0;
    side.hears(&mut came, Ok(first));
    let (way, count) = plan(side.number);
    let mut goes_on = true;
    for _ in 0..if way == 2 { count } else { 0 } {
        goes_on = goes_on && side.says(|message| end.send(message));
    }
    if way == 2 {
        return side.closes();
    }
    while goes_on {
        goes_on =
            (way == 1 || side.says(|message| end.send(message))) && side.receives(&mut came, end.halves().1);
    }
}

/// A client: one talk after the other, as long as the round lasts.
fn call(segment: &Segment, lane: usize, books: &'static Books) {
    priority(0);
    while !books.stop.load(SeqCst) {
        let lives = [books.lives(lane), books.lives(SERVER)];
        let mut end = match pipe::connect(segment, "door") {
            Ok(end) => end,
            Err(e) if e.kind() == ErrorKind::Refused => {
                std::thread::yield_now();
                continue;
            }
            Err(e) => return books.fails("connect", &e),
        };
        let Some(number) = books.talk([lane, SERVER], lives) else { return };
        let (side, mut came) = (Side::new(books, number, 0), 0);
        let (way, count) = plan(number);
        let mut goes_on = side.says(|message| end.send(message));
        match way {
            // Question and answer.
            0 => {
                for _ in 1..count {
                    goes_on = goes_on
                        && side.receives(&mut came, end.halves().1)
                        && side.says(|message| end.send(message));
                }
            }
            // All that was sent is read after the close.
            1 => {
                for _ in 1..count {
                    goes_on = goes_on && side.says(|message| end.send(message));
                }
            }
            // A long answer, and every other time no patience to hear it all.
            _ => {
                let most = if number % 2 == 0 { count / 2 } else { u64::MAX };
                while goes_on && came < most {
                    goes_on = side.receives(&mut came, end.halves().1);
                }
            }
        }
        side.closes();
    }
}

/// A round of a server and its clients.
pub fn round(
    books: &'static Books,
    dice: &mut Dice,
    time: Duration,
    totals: &mut Totals,
) -> Result<(), String> {
    books.wipe();
    let text = |e: Error| format!("meetings: {e}");
    let segment = &Segment::options().size(1 << 14).max_members(32).anonymous().map_err(text)?;
    let start = |lane: usize| {
        let work = || if lane == SERVER { serve(segment, books) } else { call(segment, lane, books) };
        process::fork(work).map_err(text)
    };
    let mut cast = Lanes((0..LANES).map(start).collect::<Result<_, _>>()?);
    let lanes = &mut cast.0;
    let (end, mut mark) = (Instant::now() + time, (Instant::now(), 0));
    while Instant::now() < end && books.wrong.load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_micros(dice.roll(1_500)));
        let lane = dice.roll(LANES as u64) as usize;
        if dice.roll(8) == 0 {
            signal(&lanes[lane], libc::SIGSTOP);
            std::thread::sleep(Duration::from_micros(dice.roll(3_000)));
            totals.stops += 1;
            if dice.roll(2) == 0 {
                signal(&lanes[lane], libc::SIGCONT);
                continue;
            }
        }
        books.kill(lane, &lanes[lane])?;
        totals.kills += 1;
        books.doomed[lane].fetch_add(1, SeqCst);
        lanes[lane] = start(lane)?;
        let moves = books.moves.load(SeqCst);
        if moves != mark.1 {
            mark = (Instant::now(), moves);
        } else if mark.0.elapsed() > PATIENCE {
            return Err(format!("meetings: nobody moves any more: {:?}", pipe::listener(segment, "door")));
        }
    }
    books.stop.store(true, SeqCst);
    let ends = |lane: usize| {
        let status = lanes[lane].join_timeout(PATIENCE);
        status.map_err(|e| format!("meetings: lane {lane} does not come to its end: {e}"))
    };
    for client in 0..CLIENTS {
        ends(client)?;
    }
    let mut bye = connected(segment)?;
    bye.send(&Message::new(BYE, 0, 1)).map_err(text)?;
    ends(SERVER)?;
    drop(bye);
    // The name is free, and no pipe was lost.
    let mut listener = Listener::bind(segment, "door", PIPES, CAPACITY, LONGEST).map_err(text)?;
    let mut all = Vec::new();
    for n in 0..PIPES {
        let client = pipe::try_connect(segment, "door").map_err(|e| format!("meetings: pipe {n}: {e}"))?;
        all.push((client, listener.try_accept().map_err(text)?));
    }
    conclude(books, "meetings", totals)
}

/// Connects to the server, which may have just been started.
fn connected(segment: &Segment) -> Result<End, String> {
    let late = Instant::now() + PATIENCE;
    loop {
        match pipe::connect_timeout(segment, "door", PATIENCE) {
            Ok(end) => return Ok(end),
            Err(e) if e.kind() == ErrorKind::Refused && Instant::now() < late => std::thread::yield_now(),
            Err(e) => return Err(format!("meetings: nobody answers: {e}")),
        }
    }
}
