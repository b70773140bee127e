//! The byte queue: two producers and two consumers of messages of all lengths are killed at random. One producer copies, the
//! other one reserves, and gives some up; one consumer copies, the other one reads in place, and puts some back.
//!
//! The promises are those of the queue's rounds; and when all is over, no room is lost.

use super::{Dice, PATIENCE, Totals, priority, signal, slay};
use interproc::process::{self, Child};
use interproc::queue::ByteQueue;
use interproc::{ErrorKind, Segment};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const PRODUCERS: usize = 2;
const LANES: usize = 4;
/// Messages of a producer in one round, at most.
const MOST: usize = 1 << 18;
const CAPACITY: usize = 2048;
const LONGEST: usize = 500;

/// The books: memory that all processes share, apart from the segment under test.
pub struct Books {
    stop: AtomicBool,
    wrong: AtomicU32,
    tried: [AtomicU64; PRODUCERS],
    acknowledged: [[AtomicU8; MOST]; PRODUCERS],
    delivered: [[AtomicU8; MOST]; PRODUCERS],
    /// By consumer and producer: the last number seen that was not redelivered.
    seen: [[AtomicU64; PRODUCERS]; LANES - PRODUCERS],
    moves: AtomicU64,
    redelivered: AtomicU64,
}

/// What can be wrong, and how it is said.
const WRONGS: [&str; 5] = [
    "a message was torn",
    "a message was out of order",
    "a message that was given up came out",
    "an operation failed that must not",
    "a message was delivered twice",
];
const TORN: u32 = 0;
const DISORDER: u32 = 1;
const GIVEN_UP: u32 = 2;
const FAILED: u32 = 3;
const TWICE: u32 = 4;
/// In the number of a message that is not to be delivered.
const NEVER: u64 = 1 << 40;

impl Books {
    /// In zeroed memory that forked children share. There is one per program.
    pub fn open() -> &'static Books {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of the right size, never unmapped; zero bytes are valid atomics.
        unsafe {
            let p = libc::mmap(std::ptr::null_mut(), size_of::<Books>(), access, flags, -1, 0);
            assert_ne!(p, libc::MAP_FAILED, "room for the books");
            &*p.cast::<Books>()
        }
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
        self.seen.iter().flatten().chain([&self.moves, &self.redelivered]).for_each(|n| n.store(0, SeqCst));
    }

    fn say(&self, wrong: u32) {
        self.wrong.fetch_or(1 << wrong, SeqCst);
    }

    /// Whose message this is and which, if it is whole and in order.
    fn check(&self, consumer: usize, message: &[u8], redelivered: bool) -> Option<(usize, usize)> {
        let Some(word) = message.first_chunk().map(|word| u64::from_le_bytes(*word)) else {
            self.say(TORN);
            return None;
        };
        let (lane, n) = ((word >> 48) as usize, word << 16 >> 16);
        if n & NEVER != 0 {
            self.say(GIVEN_UP);
            return None;
        }
        if lane >= PRODUCERS || n as usize >= MOST || message != &Message::new(lane, n)[..] {
            self.say(TORN);
            return None;
        }
        if redelivered {
            self.redelivered.fetch_add(1, SeqCst);
        } else if self.seen[consumer][lane].swap(n, SeqCst) >= n {
            self.say(DISORDER);
        }
        Some((lane, n as usize))
    }

    /// It was delivered.
    fn enter(&self, which: Option<(usize, usize)>) {
        let Some((lane, n)) = which else { return };
        self.moves.fetch_add(1, SeqCst);
        if self.delivered[lane][n].fetch_add(1, SeqCst) > 0 {
            self.say(TWICE);
        }
    }
}

/// Message `n` of a lane: of a length of its own, every byte known.
struct Message {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Message {
    fn new(lane: usize, n: u64) -> Message {
        let mut bytes = [(n as u8).wrapping_mul(31) ^ lane as u8; LONGEST];
        bytes[..8].copy_from_slice(&(n | (lane as u64) << 48).to_le_bytes());
        Message { bytes, len: 8 + (n * 37) as usize % (LONGEST - 7) }
    }
}

impl std::ops::Deref for Message {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What the process in this lane does, from wherever the last one was killed.
fn work(queue: &ByteQueue, lane: usize, books: &Books) {
    priority(0);
    if lane < PRODUCERS { produce(queue, lane, books) } else { consume(queue, lane - PRODUCERS, books) }
}

fn produce(queue: &ByteQueue, lane: usize, books: &Books) {
    while !books.stop.load(SeqCst) {
        let n = books.tried[lane].load(SeqCst) + 1;
        if n as usize >= MOST {
            return;
        }
        books.tried[lane].store(n, SeqCst);
        let message = Message::new(lane, n);
        let result = if lane == 0 {
            queue.push(&message)
        } else {
            queue.reserve(LONGEST).and_then(|mut room| {
                if n.is_multiple_of(4) {
                    room[..8].copy_from_slice(&NEVER.to_le_bytes());
                    drop(room);
                    return queue.push_timeout(&message, PATIENCE);
                }
                room[..message.len].copy_from_slice(&message);
                room.commit_len(message.len)
            })
        };
        match result {
            Ok(()) => books.acknowledged[lane][n as usize].store(1, SeqCst),
            Err(_) => books.say(FAILED),
        }
    }
}

fn consume(queue: &ByteQueue, consumer: usize, books: &Books) {
    for round in 0u64.. {
        let result = if consumer == 0 {
            queue.pop_delivery().map(|d| books.enter(books.check(consumer, &d.value, d.redelivered)))
        } else {
            queue.borrow().and_then(|message| {
                let which = books.check(consumer, &message, message.is_redelivered());
                if round.is_multiple_of(8) {
                    return message.put_back();
                }
                drop(message);
                books.enter(which);
                Ok(())
            })
        };
        match result {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Closed => return,
            Err(_) => return books.say(FAILED),
        }
    }
}

/// One round; what was wrong, in words.
pub fn round(
    books: &'static Books,
    dice: &mut Dice,
    time: Duration,
    totals: &mut Totals,
) -> Result<(), String> {
    books.wipe();
    let segment = Segment::options().size(1 << 14).max_members(24).anonymous().map_err(|e| format!("{e}"))?;
    let queue = &segment.byte_queue("queue", CAPACITY, LONGEST).map_err(|e| format!("{e}"))?;
    let start = |lane: usize| process::fork(|| work(queue, lane, books)).map_err(|e| format!("{e}"));
    let mut lanes: Vec<Child> = (0..LANES).map(start).collect::<Result<_, _>>()?;
    let mut in_hands = 0; // messages that dead consumers may have taken along
    let end = Instant::now() + time;
    let mut mark = (Instant::now(), 0);
    while Instant::now() < end && books.wrong.load(SeqCst) == 0 {
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
        in_hands += u64::from(lane >= PRODUCERS);
        lanes[lane] = start(lane)?;
        let moves = books.moves.load(SeqCst);
        if moves != mark.1 {
            mark = (Instant::now(), moves);
        } else if mark.0.elapsed() > PATIENCE {
            return Err(format!("nobody moves any more: {queue:?}, blocker {:?}", queue.blocker()));
        }
    }
    books.stop.store(true, SeqCst);
    let ends = |lane: &Child, what: &str| {
        let status = lane.join_timeout(PATIENCE);
        status.map_err(|e| format!("a {what} does not come to its end: {e:?}; {queue:?}"))
    };
    for lane in &lanes[..PRODUCERS] {
        ends(lane, "producer")?;
    }
    queue.close().map_err(|e| format!("{e}"))?;
    for (lane, child) in lanes.iter_mut().enumerate().skip(PRODUCERS) {
        // Once more, now while they drain.
        slay(child)?;
        in_hands += 1;
        *child = start(lane)?;
    }
    for lane in &lanes[PRODUCERS..] {
        ends(lane, "consumer")?;
    }
    totals.rounds += 1;
    balance(books, queue, in_hands, totals)
}

/// Compares what was pushed with what came out.
fn balance(books: &Books, queue: &ByteQueue, in_hands: u64, totals: &mut Totals) -> Result<(), String> {
    let wrong = books.wrong.load(SeqCst);
    let said: Vec<&str> = (0..WRONGS.len()).filter(|w| wrong >> w & 1 == 1).map(|w| WRONGS[w]).collect();
    if !said.is_empty() {
        return Err(format!("byte queue: {}", said.join("; ")));
    }
    // What a reader in place died with after the end was told may still be there.
    let left = queue.try_iter().count() as u64;
    let mut missing = 0;
    for lane in 0..PRODUCERS {
        for n in 1..=books.tried[lane].load(SeqCst) as usize {
            let acknowledged = books.acknowledged[lane][n].load(SeqCst) == 1;
            let delivered = books.delivered[lane][n].load(SeqCst);
            missing += u64::from(acknowledged && delivered == 0);
            totals.messages += u64::from(delivered);
        }
    }
    let missing = missing.saturating_sub(left);
    totals.taken_along += missing;
    totals.told += books.redelivered.load(SeqCst);
    if missing > in_hands {
        return Err(format!(
            "byte queue: {missing} messages are gone; dead consumers held at most {in_hands}"
        ));
    }
    if queue.len_bytes() != 0 {
        return Err(format!("byte queue: room is lost: {queue:?}"));
    }
    Ok(())
}
