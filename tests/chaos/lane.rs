//! Rounds of one lane (Spsc): a producer and a consumer, killed, stopped and started again, take over each other's seats.
//!
//! What was acknowledged is delivered, but for one message of each consumer that died while it popped; a consumer that reads in
//! place and releases afterwards loses none. What comes twice is called redelivered. Everything in order.

use super::books::{self, Wrong, shared, torment};
use super::{Dice, PATIENCE, Totals, priority, slay};
use interproc::process::{self, Child};
use interproc::queue::spsc::{Consumer, Producer};
use interproc::{ErrorKind, Segment};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

const CAPACITY: usize = 8;
type Message = [u64; 4];

pub struct Books {
    messages: books::Books<1, 1, { 1 << 20 }>,
    /// The consumer that lives now takes a message before it has looked at it.
    takes_first: AtomicBool,
}

impl Books {
    pub fn open() -> &'static Books {
        // SAFETY: only atomics.
        unsafe { shared() }
    }

    /// A message comes again, and says so, where a consumer has died over it.
    fn enter(&self, [n, not_n, twice, last]: Message, again: bool) {
        if not_n != !n || twice != 2 * n || last != n {
            return self.messages.say(Wrong::Torn);
        }
        if let Some(which) = self.messages.sees(0, 0, n, Some(again)) {
            self.messages.delivers(which, again);
        }
    }
}

fn message(n: u64) -> Message {
    [n, !n, 2 * n, n]
}

/// Sits down in the seat of the one before, who is dead.
fn sit<T>(books: &Books, take: impl Fn() -> interproc::Result<T>) -> Option<T> {
    take().map_err(|_| books.messages.say(Wrong::Failed)).ok()
}

fn produce(segment: &Segment, books: &Books, life: u64) {
    priority(0);
    let seat = sit(books, || segment.spsc_producer::<Message>("lane", CAPACITY));
    let Some(mut p): Option<Producer<Message>> = seat else { return };
    let count = |first| if life.is_multiple_of(3) { 1 } else { 1 + first % 5 };
    while let Some(numbers) = books.messages.next(0, count) {
        let result = match life % 3 {
            0 => p.push(message(numbers.start)).map_err(interproc::Error::from),
            1 => p.push_batch(&Vec::from_iter(numbers.clone().map(message))).map_err(|e| e.error),
            _ => {
                p.publish_every(3);
                let pushed = numbers.clone().try_for_each(|n| p.push(message(n)));
                pushed.map_err(interproc::Error::from).and_then(|()| p.flush())
            }
        };
        match result {
            Ok(()) => books.messages.acknowledged(0, numbers),
            Err(_) => return books.messages.say(Wrong::Failed),
        }
    }
}

fn consume(segment: &Segment, books: &Books, life: u64) {
    priority(0);
    let seat = sit(books, || segment.spsc_consumer::<Message>("lane", CAPACITY));
    let Some(mut c): Option<Consumer<Message>> = seat else { return };
    let takes_first = life.is_multiple_of(2);
    books.takes_first.store(takes_first, SeqCst);
    loop {
        let result = if takes_first {
            c.pop_delivery().map(|d| books.enter(d.value, d.redelivered))
        } else {
            let most = 1 + (life / 2) as usize % 3;
            c.borrow(most).map(|chunk| {
                let suspect = chunk.redelivered();
                let (a, b) = chunk.as_slices();
                a.iter().chain(b).enumerate().for_each(|(i, &m)| books.enter(m, i < suspect));
                chunk.release_all();
            })
        };
        match result {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Closed => return,
            Err(_) => return books.messages.say(Wrong::Failed),
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
    books.messages.wipe();
    let segment = &Segment::options().size(1 << 12).max_members(8).anonymous().map_err(|e| format!("{e}"))?;
    let mut lives = [0, 1];
    let mut start = |side: usize| {
        lives[side] += 1;
        let life = lives[side];
        let work =
            move || if side == 0 { produce(segment, books, life) } else { consume(segment, books, life) };
        process::fork(work).map_err(|e| format!("{e}"))
    };
    let mut sides: [Child; 2] = [start(0)?, start(1)?];
    let mut in_hands = 0;
    let dies = |side| in_hands += u64::from(side == 1 && books.takes_first.load(SeqCst));
    let moves = || (!books.messages.is_wrong()).then(|| books.messages.moves());
    torment(&mut sides, dice, time, totals, &mut start, dies, moves)?;
    books.messages.stop.store(true, SeqCst);
    let late =
        |what: &str| format!("the {what} does not come to its end after {} messages", books.messages.moves());
    sides[0].join_timeout(PATIENCE).map_err(|_| late("producer"))?;
    let mut closer =
        segment.spsc_producer::<Message>("lane", CAPACITY).map_err(|e| format!("to close: {e}"))?;
    closer.close().map_err(|e| format!("close: {e}"))?;
    // Once more, now while it drains.
    slay(&sides[1])?;
    in_hands += u64::from(books.takes_first.load(SeqCst));
    sides[1] = start(1)?;
    sides[1].join_timeout(PATIENCE).map_err(|_| late("consumer"))?;
    books.messages.balance(in_hands, 0, totals).map_err(|e| format!("lane: {e}"))
}
