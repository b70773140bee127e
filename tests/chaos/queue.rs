//! The queue, and a lock: three producers and two consumers, and two processes of two threads each that change data under a
//! mutex, are killed at random.

use super::books::{Wrong, shared, torment};
use super::{Dice, PATIENCE, Totals, books, priority, slay};
use interproc::process::{self, Child};
use interproc::queue::Queue;
use interproc::sync::Mutex;
use interproc::{ErrorKind, Object, Segment};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 2;
const LOCKERS: usize = 2;
const LANES: usize = PRODUCERS + CONSUMERS + LOCKERS;
/// The messages that a batching consumer takes at once.
const BATCH: usize = 4;

type Message = [u64; 4];

pub struct Books {
    messages: books::Books<PRODUCERS, CONSUMERS, { 1 << 20 }>,
    /// Who is in the critical section.
    inside: AtomicU64,
    sections: AtomicU64,
    inherited: AtomicU64,
}

impl Books {
    pub fn open() -> &'static Books {
        // SAFETY: only atomics.
        unsafe { shared() }
    }

    /// For people.
    pub fn sums(&self) -> String {
        let [sections, inherited] = [&self.sections, &self.inherited].map(|n| n.load(SeqCst));
        format!("{sections} critical sections, {inherited} inherited")
    }

    /// A consumer has this message.
    fn enter(&self, consumer: usize, [lane, n, sum, not_n]: Message, again: Option<bool>) {
        if sum != lane ^ n || not_n != !n {
            return self.messages.say(Wrong::Torn);
        }
        if let Some(which) = self.messages.sees(consumer, lane, n, again) {
            self.messages.delivers(which, false);
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
        let count = |first| if lane == 1 { 1 + first % 4 } else { 1 };
        while let Some(numbers) = books.messages.next(lane, count) {
            let first = numbers.start;
            let result = match lane {
                0 => self.queue.push(message(first)).map_err(interproc::Error::from),
                1 => {
                    let batch: Vec<Message> = numbers.clone().map(message).collect();
                    self.queue.push_batch(&batch).map_err(|e| e.error)
                }
                _ => self.queue.push_timeout(message(first), Duration::from_millis(3)).map_err(Into::into),
            };
            match result {
                Ok(()) => books.messages.acknowledged(lane, numbers),
                Err(e) if e.kind() == ErrorKind::TimedOut => {}
                Err(_) => books.messages.say(Wrong::Failed),
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
                Err(_) => return books.messages.say(Wrong::Failed),
            }
        }
    }

    fn lock(&self, books: &Books) {
        let me = std::process::id();
        while !books.messages.stop.load(SeqCst) {
            let mut told = false;
            let data = self.data.lock_or_repair(|data| {
                told = true;
                *data = [data[0]; 6];
            });
            let mut data = data.expect("held");
            if books.inside.swap(me.into(), SeqCst) != 0 && !told {
                books.messages.say(Wrong::TwoInside);
            }
            if *data != [data[0]; 6] {
                books.messages.say(Wrong::Untold);
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

/// How many messages a killed process may have in its hands.
fn hands(lane: usize) -> u64 {
    match lane {
        PRODUCERS => 1,
        lane if lane > PRODUCERS && lane < PRODUCERS + CONSUMERS => BATCH as u64,
        _ => 0,
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
    books.inside.store(0, SeqCst);
    let round = &Round::new().map_err(|e| format!("{e}"))?;
    let describe = || format!("{:?}, {:?}, blocker {:?}", round.queue, *round.data, round.queue.blocker());
    let start = |lane: usize| process::fork(|| round.work(lane, books)).map_err(|e| format!("{e}"));
    let mut lanes: Vec<Child> = (0..LANES).map(start).collect::<Result<_, _>>()?;
    let mut in_hands = 0; // messages that dead consumers may have taken along
    let moves = || (!books.messages.is_wrong()).then(|| books.messages.moves() + books.sections.load(SeqCst));
    torment(&mut lanes, dice, time, totals, start, |lane| in_hands += hands(lane), moves)?;
    books.messages.stop.store(true, SeqCst);
    let ends = |child: &Child| {
        let status = child.join_timeout(PATIENCE);
        status.map(drop).map_err(|e| format!("one does not come to its end: {e:?}; {}", describe()))
    };
    lanes[..PRODUCERS].iter().chain(&lanes[PRODUCERS + CONSUMERS..]).try_for_each(ends)?;
    round.queue.close().map_err(|e| format!("{e}"))?;
    for (lane, child) in lanes.iter_mut().enumerate().skip(PRODUCERS).take(CONSUMERS) {
        // Once more, now while they drain.
        slay(child)?;
        in_hands += hands(lane);
        *child = start(lane)?;
    }
    lanes[PRODUCERS..][..CONSUMERS].iter().try_for_each(ends)?;
    books.messages.balance(in_hands, 0, totals)
}
