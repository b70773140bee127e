//! Pipes: two ends in two processes, either of which is killed, stopped or asked to close at any time; and clients and a
//! server that meet by name, killed as well.
//!
//! What is promised, and checked of each direction of each pipe:
//!
//! - messages come whole and in order, from the first one on, none twice and none left out;
//! - whoever lives gets all that the other end's sends have acknowledged, and at most the one more that was under way when
//!   its sender died, and then the end. (What the pipe still holds when its *receiver* dies or closes is gone with it.)
//! - the end comes only when the other one is dead or has closed, not when it is stopped; and then at once, wherever the
//!   survivor is: asleep for a message, for room, or at work. A send after it is refused;
//! - when both ends are gone the pipe is free again at once, for the next two; when a listener is, its name.
//!
//! At once: the kernel tells of a death, and who closes wakes. One late report may be the machine's, but if every other one
//! came later than [`LATE`], it was the net that found the ends.

#[path = "meetings.rs"]
pub mod meetings;
#[path = "pairs.rs"]
pub mod pairs;

use crate::books::Lanes;
use crate::{Totals, slay};
use interproc::pipe::{End, Receiver};
use interproc::process::Child;
use interproc::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

const CAPACITY: usize = 512;
const LONGEST: usize = 120;
const CLIENTS: usize = 3;
/// The lane of the server, behind those of its clients.
const SERVER: usize = CLIENTS;
const LANES: usize = CLIENTS + 1;
/// Talks of one round, at most.
const MOST: usize = 1 << 16;
const LATE: u64 = 30_000_000;

/// What is said through one pipe. Of each pair of words the first is that of the end that began it.
struct Talk {
    lanes: [AtomicU64; 2],
    /// How often the two lanes were doomed when it began.
    lives: [AtomicU64; 2],
    /// When this end has closed its sending half, or was about to; 0 if it has not.
    ended: [AtomicU64; 2],
    /// How many messages this end has tried to send, and how many were acknowledged.
    tried: [AtomicU64; 2],
    sent: [AtomicU64; 2],
}

/// The books: memory that all processes share, apart from the segment under test.
pub struct Books {
    stop: AtomicBool,
    wrong: AtomicU32,
    /// By lane: odd when it is about to be killed, or dead and not yet replaced; and when that was.
    doomed: [AtomicU64; LANES],
    killed: [AtomicU64; LANES],
    /// This end of the pair shall close.
    close: [AtomicBool; 2],
    moves: AtomicU64,
    /// How often the other one's end was told in this round.
    told: AtomicU64,
    /// Over all rounds: of the ends by a death, and of those by a close.
    news: [News; 2],
    /// How many talks have begun.
    begun: AtomicU64,
    talks: [Talk; MOST],
}

/// How often an end was told, how often late, and the worst time.
struct News {
    told: AtomicU64,
    late: AtomicU64,
    worst: AtomicU64,
}

/// What can be wrong, and how it is said.
const WRONGS: [&str; 6] = [
    "a message was torn",
    "a message was out of order, came twice or was left out",
    "an end came before all that was sent",
    "more came than was sent",
    "an end came while the other one lives",
    "an operation failed that must not",
];
const TORN: u32 = 0;
const DISORDER: u32 = 1;
const LOST: u32 = 2;
const NOWHERE: u32 = 3;
const UNTIMELY: u32 = 4;
const FAILED: u32 = 5;

fn now() -> u64 {
    interproc::Deadline::now().as_monotonic_ns()
}

impl Books {
    /// In zeroed memory that forked children share. There is one per program.
    pub fn open() -> &'static Books {
        // SAFETY: only atomics.
        unsafe { crate::books::shared() }
    }

    /// Clean pages for the next round.
    fn wipe(&self) {
        self.stop.store(false, SeqCst);
        let words = [&self.moves, &self.told, &self.begun];
        words.into_iter().chain(&self.doomed).chain(&self.killed).for_each(|word| word.store(0, SeqCst));
    }

    fn say(&self, wrong: u32) {
        self.wrong.fetch_or(1 << wrong, SeqCst);
    }

    /// An operation came back with this.
    fn fails(&self, what: &str, result: &dyn std::fmt::Debug) {
        eprintln!("{what}: {result:?}");
        self.say(FAILED);
    }

    /// A new talk between two lanes, and its number.
    fn talk(&self, lanes: [usize; 2], lives: [u64; 2]) -> Option<u64> {
        let number = self.begun.fetch_add(1, SeqCst);
        let talk = self.talks.get(number as usize)?;
        for side in 0..2 {
            talk.lanes[side].store(lanes[side] as u64, SeqCst);
            talk.lives[side].store(lives[side], SeqCst);
            talk.ended[side].store(0, SeqCst);
            talk.tried[side].store(0, SeqCst);
            talk.sent[side].store(0, SeqCst);
        }
        Some(number)
    }

    fn lives(&self, lane: usize) -> u64 {
        self.doomed[lane].load(SeqCst)
    }

    /// Kills a lane, in a way that the others can tell from anything else.
    fn kill(&self, lane: usize, child: &Child) -> Result<(), String> {
        self.killed[lane].store(now(), SeqCst);
        self.doomed[lane].fetch_add(1, SeqCst);
        slay(child)
    }

    /// Whether the news came in time, and nothing was wrong.
    fn verdict(&self, what: &str) -> Result<(), String> {
        let wrong = self.wrong.load(SeqCst);
        let said: Vec<&str> = (0..WRONGS.len()).filter(|w| wrong >> w & 1 == 1).map(|w| WRONGS[w]).collect();
        if !said.is_empty() {
            return Err(format!("{what}: {}", said.join("; ")));
        }
        for (news, by) in self.news.iter().zip(["deaths", "closes"]) {
            let [told, late, worst] = [&news.told, &news.late, &news.worst].map(|word| word.load(SeqCst));
            if told >= 12 && late * 2 > told {
                return Err(format!("{what}: of {told} {by} {late} were told late, one after {worst} ns"));
            }
        }
        Ok(())
    }
}

/// Message `n` of a side of a talk: of a length of its own, every byte known.
struct Message {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Message {
    fn new(talk: u64, side: usize, n: u64) -> Message {
        let mut bytes = [(n as u8).wrapping_mul(31) ^ talk as u8 ^ side as u8; LONGEST];
        bytes[..8].copy_from_slice(&talk.to_le_bytes());
        bytes[8..16].copy_from_slice(&n.to_le_bytes());
        Message { bytes, len: 16 + (n * 37).wrapping_add(talk) as usize % (LONGEST - 15) }
    }

    /// The talk and the number that a message says.
    fn head(bytes: &[u8]) -> Option<(u64, u64)> {
        let word = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        Some((word(0)?, word(8)?))
    }
}

impl std::ops::Deref for Message {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One side of a talk. Whoever sends by it and whoever receives may be two threads.
#[derive(Clone, Copy)]
struct Side {
    books: &'static Books,
    talk: &'static Talk,
    number: u64,
    /// 0 began.
    side: usize,
}

impl Side {
    fn new(books: &'static Books, number: u64, side: usize) -> Side {
        Side { books, talk: &books.talks[number as usize], number, side }
    }

    /// Sends the next message by `send`. False: the end.
    fn says(&self, send: impl FnOnce(&[u8]) -> interproc::Result<()>) -> bool {
        let n = self.talk.sent[self.side].load(SeqCst) + 1;
        self.talk.tried[self.side].store(n, SeqCst);
        match send(&Message::new(self.number, self.side, n)) {
            Ok(()) => {
                self.talk.sent[self.side].store(n, SeqCst);
                true
            }
            Err(e) => self.ends(e),
        }
    }

    /// The next message, the `came`-th, which is counted. False: the end, and what has come is checked.
    fn hears(&self, came: &mut u64, message: interproc::Result<&[u8]>) -> bool {
        let message = match message {
            Ok(message) => message,
            Err(e) => {
                let other = 1 - self.side;
                if *came < self.talk.sent[other].load(SeqCst) {
                    self.books.say(LOST);
                }
                if *came > self.talk.tried[other].load(SeqCst) {
                    self.books.say(NOWHERE);
                }
                return self.ends(e);
            }
        };
        *came += 1;
        self.books.moves.fetch_add(1, SeqCst);
        let head = Message::head(message);
        let n = head.map_or(0, |(_, n)| n);
        if head.is_none_or(|(talk, _)| talk != self.number)
            || message != &Message::new(self.number, 1 - self.side, n)[..]
        {
            self.books.say(TORN);
        } else if n != *came {
            self.books.say(DISORDER);
        }
        true
    }

    fn receives(&self, came: &mut u64, from: &mut Receiver) -> bool {
        let message = from.recv();
        self.hears(came, message.as_deref().map_err(|e| Error::from(e.kind())))
    }

    /// An operation has failed: with the end, which must have a reason.
    fn ends(&self, error: Error) -> bool {
        if error.kind() != ErrorKind::Closed {
            self.books.fails("in a talk", &error);
            return false;
        }
        let other = 1 - self.side;
        let lane = self.talk.lanes[other].load(SeqCst) as usize;
        let lives = self.books.lives(lane);
        let [ours, closed] = [self.side, other].map(|side| self.talk.ended[side].load(SeqCst));
        if ours != 0 {
            return false;
        }
        if closed == 0 && lives.is_multiple_of(2) && lives == self.talk.lives[other].load(SeqCst) {
            self.books.say(UNTIMELY);
        }
        let then = if closed != 0 { closed } else { self.books.killed[lane].load(SeqCst) };
        let (news, since) = (&self.books.news[usize::from(closed != 0)], now().saturating_sub(then));
        self.books.told.fetch_add(1, SeqCst);
        news.told.fetch_add(1, SeqCst);
        news.late.fetch_add(u64::from(since > LATE), SeqCst);
        news.worst.fetch_max(since, SeqCst);
        false
    }

    /// Nothing more will be sent.
    fn closes(&self) {
        self.talk.ended[self.side].store(now(), SeqCst);
    }

    /// Whether it shall close now. The other one has had the time to fall asleep.
    fn shall_close(&self) -> bool {
        let close = self.books.close[self.side].load(SeqCst);
        if close {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        close
    }

    /// Whoever has seen the end cannot send, either.
    fn is_refused(&self, mut end: End) {
        let refused = end.send(b"?").map_err(|e| e.kind());
        if refused != Err(ErrorKind::Closed) {
            self.books.fails("a send after the end", &refused);
        }
    }
}

fn conclude(books: &Books, what: &str, totals: &mut Totals) -> Result<(), String> {
    totals.rounds += 1;
    totals.messages += books.moves.load(SeqCst);
    totals.told += books.told.load(SeqCst);
    books.verdict(what)
}
