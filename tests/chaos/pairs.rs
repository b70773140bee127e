//! Rounds of pairs: two children have the ends of a pipe, until one of them or both are killed, or one closes; the next two
//! take the pipe over.

use super::{Books, CAPACITY, LONGEST, Lanes, Side, conclude};
use crate::{Dice, PATIENCE, Totals, priority, signal};
use interproc::pipe::{End, Receiver, Sender};
use interproc::process::Builder;
use interproc::{Error, Segment};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Question and answer.
fn ask_and_answer(side: Side, mut end: End) {
    let mut came = 0;
    loop {
        if side.side == 1 && !side.receives(&mut came, end.halves().1) {
            return side.is_refused(end);
        }
        if side.shall_close() {
            return side.closes();
        }
        if !side.says(|message| end.send(message)) {
            return;
        }
        if side.side == 0 && !side.receives(&mut came, end.halves().1) {
            return side.is_refused(end);
        }
    }
}

/// Both send as fast as they can, each half in a thread of its own.
fn talk_at_once(side: Side, end: End) {
    let over = &AtomicBool::new(false);
    let (mut to, mut from): (Sender, Receiver) = end.split();
    std::thread::scope(|s| {
        s.spawn(move || {
            while !side.shall_close() && !over.load(SeqCst) {
                if !side.says(|message| to.send(message)) {
                    return;
                }
            }
            side.closes();
            drop(to);
        });
        let mut came = 0;
        while side.receives(&mut came, &mut from) {}
        over.store(true, SeqCst);
    });
}

/// One sends in place and mostly waits for room, the other one reads in place and is slow.
fn pour(side: Side, mut end: End) {
    let mut came = 0;
    while !side.shall_close() {
        let goes_on = if side.side == 0 {
            side.says(|message| {
                let mut room = end.reserve(LONGEST)?;
                room[..message.len()].copy_from_slice(message);
                room.commit_len(message.len())
            })
        } else {
            if came % 7 == 0 {
                std::thread::yield_now();
            }
            match end.borrow() {
                Ok(message) => side.hears(&mut came, Ok(&message)),
                Err(e) => side.hears(&mut came, Err(e)),
            }
        };
        if !goes_on {
            return side.is_refused(end);
        }
    }
    side.closes();
}

const WAYS: [fn(Side, End); 3] = [ask_and_answer, talk_at_once, pour];

/// A round of pairs: two children have the ends, until one of them or both are killed; the next two take the pipe over.
pub fn round(
    books: &'static Books,
    dice: &mut Dice,
    time: Duration,
    totals: &mut Totals,
) -> Result<(), String> {
    books.wipe();
    let text = |e: Error| format!("pairs: {e}");
    let segment = &Segment::options().size(1 << 14).max_members(16).anonymous().map_err(text)?;
    let end = Instant::now() + time;
    while Instant::now() < end && books.wrong.load(SeqCst) == 0 {
        books.close.iter().for_each(|close| close.store(false, SeqCst));
        let lives = [books.lives(0), books.lives(1)];
        let Some(number) = books.talk([0, 1], lives) else { break };
        let (a, b) = segment
            .pipe_pair("pair", CAPACITY, LONGEST)
            .map_err(|e| format!("pairs: the pipe is not free when both ends are gone: {e}"))?;
        let way = WAYS[dice.roll(WAYS.len() as u64) as usize];
        let give = |side: usize, end: End| {
            let child = Builder::new().fork_giving(end, |end| {
                priority(0);
                way(Side::new(books, number, side), end);
                // One that has closed lives on: its death shall not tell what its close must.
                while books.close[side].load(SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            child.map_err(text)
        };
        let mut cast = Lanes(vec![give(0, a)?]);
        // The first end may be gone before the second one is given away.
        let early = dice.roll(16) == 0;
        let mut dies = [early, false];
        if early {
            books.kill(0, &cast.0[0])?;
        }
        cast.0.push(give(1, b)?);
        let sides = &cast.0;
        std::thread::sleep(Duration::from_micros(dice.roll(2_500)));
        let side = if early { 0 } else { dice.roll(2) as usize };
        if !early {
            if dice.roll(6) == 0 {
                signal(&sides[side], libc::SIGSTOP);
                std::thread::sleep(Duration::from_micros(dice.roll(3_000)));
                signal(&sides[side], libc::SIGCONT);
                totals.stops += 1;
            }
            match dice.roll(8) {
                0 | 1 => books.close[side].store(true, SeqCst),
                2 => dies = [true; 2],
                _ => dies[side] = true,
            }
            for lane in (0..2).filter(|&lane| dies[lane]) {
                books.kill(lane, &sides[lane])?;
            }
        }
        // Told by the end of the pipe, the others come to theirs.
        for lane in [1 - side, side].into_iter().filter(|&lane| !dies[lane]) {
            books.close[lane].store(false, SeqCst);
            let status = sides[lane].join_timeout(PATIENCE);
            let status = status.map_err(|e| format!("pairs: end {lane} was not told of its end: {e}"))?;
            if !status.success() {
                return Err(format!("pairs: end {lane} failed: {status:?}"));
            }
        }
        for lane in (0..2).filter(|&lane| dies[lane]) {
            totals.kills += 1;
            books.doomed[lane].fetch_add(1, SeqCst);
        }
    }
    conclude(books, "pairs", totals)
}
