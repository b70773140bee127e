//! The byte queue: two producers and two consumers of messages of all lengths are killed at random. One producer copies, the
//! other one reserves, and gives some up; one consumer copies, the other one reads in place, and puts some back.
//!
//! The promises are those of the queue's rounds; and when all is over, no room is lost.

use super::books::{self, Wrong, shared, torment};
use super::{Dice, PATIENCE, Totals, priority, slay};
use interproc::process::{self, Child};
use interproc::queue::ByteQueue;
use interproc::{ErrorKind, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const PRODUCERS: usize = 2;
const LANES: usize = 4;
const CAPACITY: usize = 2048;
const LONGEST: usize = 500;

pub type Books = books::Books<PRODUCERS, { LANES - PRODUCERS }, { 1 << 18 }>;

pub fn open() -> &'static Books {
    // SAFETY: only atomics.
    unsafe { shared() }
}

/// In the number of a message that is not to be delivered.
const NEVER: u64 = 1 << 40;

impl Books {
    /// Whose message this is and which, if it is whole.
    fn check(&self, consumer: usize, message: &[u8], redelivered: bool) -> Option<(usize, usize)> {
        let word = message.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let (lane, n) = (word >> 48, word << 16 >> 16);
        if n & NEVER != 0 {
            self.say(Wrong::GivenUp);
            return None;
        }
        if message != &Message::new(lane as usize, n)[..] {
            self.say(Wrong::Torn);
            return None;
        }
        self.sees(consumer, lane, n, Some(redelivered))
    }

    /// It was delivered.
    fn enter(&self, which: Option<(usize, usize)>) {
        which.into_iter().for_each(|which| self.delivers(which, false));
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
    while let Some(numbers) = books.next(lane, |_| 1) {
        let n = numbers.start;
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
            Ok(()) => books.acknowledged(lane, numbers),
            Err(_) => books.say(Wrong::Failed),
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
            Err(_) => return books.say(Wrong::Failed),
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
    let moves = || (!books.is_wrong()).then(|| books.moves());
    let dies = |lane: usize| in_hands += u64::from(lane >= PRODUCERS);
    torment(&mut lanes, dice, time, totals, start, dies, moves)
        .map_err(|e| format!("{e}: {queue:?}, blocker {:?}", queue.blocker()))?;
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
    // What a reader in place died with after the end was told may still be there.
    let left = queue.try_iter().count() as u64;
    books.balance(in_hands, left, totals).map_err(|e| format!("byte queue: {e}"))?;
    if queue.len_bytes() != 0 {
        return Err(format!("byte queue: room is lost: {queue:?}"));
    }
    Ok(())
}
