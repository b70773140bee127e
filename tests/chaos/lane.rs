//! Rounds of one lane (Spsc): a producer and a consumer, killed, stopped and started again, take over each other's seats.
//!
//! What was acknowledged is delivered, but for one message of each consumer that died while it popped; a consumer that reads in
//! place and releases afterwards loses none. What comes twice is called redelivered. Everything in order.

use super::{Dice, PATIENCE, Totals, priority, signal, slay};
use interproc::process::{self, Child};
use interproc::queue::spsc::{Consumer, Producer};
use interproc::{ErrorKind, Segment};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const CAPACITY: usize = 8;
/// Messages of one round, at most.
const MOST: usize = 1 << 20;

type Message = [u64; 4];

/// Memory that all processes share, apart from the segment under test.
pub struct Books {
    stop: AtomicBool,
    wrong: AtomicU32,
    /// The last number that a producer has tried, and the last one that a consumer has seen.
    tried: AtomicU64,
    seen: AtomicU64,
    redelivered: AtomicU64,
    /// The consumer that lives now takes a message before it has looked at it.
    takes_first: AtomicBool,
    acknowledged: [AtomicU8; MOST],
    delivered: [AtomicU8; MOST],
}

const WRONGS: [&str; 4] =
    ["a message was torn", "out of order", "twice, and not said so", "an operation failed that must not"];
const TORN: u32 = 0;
const DISORDER: u32 = 1;
const TWICE: u32 = 2;
const FAILED: u32 = 3;

impl Books {
    pub fn open() -> &'static Books {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of the right size, never unmapped; zero bytes are valid atomics.
        unsafe {
            let p = libc::mmap(std::ptr::null_mut(), size_of::<Books>(), access, flags, -1, 0);
            assert_ne!(p, libc::MAP_FAILED, "room for the books");
            &*p.cast::<Books>()
        }
    }

    fn wipe(&self) {
        self.stop.store(false, SeqCst);
        self.seen.store(0, SeqCst);
        for n in 0..=self.tried.swap(0, SeqCst) as usize {
            self.acknowledged[n].store(0, SeqCst);
            self.delivered[n].store(0, SeqCst);
        }
    }

    fn say(&self, wrong: u32) {
        self.wrong.fetch_or(1 << wrong, SeqCst);
    }

    fn enter(&self, [n, not_n, twice, last]: Message, redelivered: bool) {
        if n == 0 || n as usize >= MOST || not_n != !n || twice != 2 * n || last != n {
            return self.say(TORN);
        }
        let before = self.delivered[n as usize].fetch_add(1, SeqCst);
        if redelivered {
            self.redelivered.fetch_add(1, SeqCst);
        } else if before > 0 {
            self.say(TWICE);
        }
        if self.seen.swap(n, SeqCst) >= n && !redelivered {
            self.say(DISORDER);
        }
    }
}

fn message(n: u64) -> Message {
    [n, !n, 2 * n, n]
}

/// Sits down in the seat of the one before, who is dead.
fn sit<T>(books: &Books, take: impl Fn() -> interproc::Result<T>) -> Option<T> {
    take().map_err(|_| books.say(FAILED)).ok()
}

fn produce(segment: &Segment, books: &Books, life: u64) {
    priority(0);
    let seat = sit(books, || segment.spsc_producer::<Message>("lane", CAPACITY));
    let Some(mut p): Option<Producer<Message>> = seat else { return };
    while !books.stop.load(SeqCst) {
        let first = books.tried.load(SeqCst) + 1;
        let count = if life.is_multiple_of(3) { 1 } else { 1 + first % 5 };
        if (first + count) as usize >= MOST {
            return;
        }
        books.tried.store(first + count - 1, SeqCst);
        let numbers = first..first + count;
        let result = match life % 3 {
            0 => p.push(message(first)).map_err(interproc::Error::from),
            1 => p.push_batch(&Vec::from_iter(numbers.clone().map(message))).map_err(|e| e.error),
            _ => {
                p.publish_every(3);
                let pushed = numbers.clone().try_for_each(|n| p.push(message(n)));
                pushed.map_err(interproc::Error::from).and_then(|()| p.flush())
            }
        };
        match result {
            Ok(()) => numbers.for_each(|n| books.acknowledged[n as usize].store(1, SeqCst)),
            Err(_) => return books.say(FAILED),
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
    let segment = &Segment::options().size(1 << 12).max_members(8).anonymous().map_err(|e| format!("{e}"))?;
    let mut lives = [0, 1];
    let mut start = |side: usize| {
        lives[side] += 1;
        let life = lives[side];
        let work =
            move || if side == 0 { produce(segment, books, life) } else { consume(segment, books, life) };
        process::fork(work).map_err(|e| format!("{e}"))
    };
    let mut sides: Vec<Child> = vec![start(0)?, start(1)?];
    let (mut in_hands, end) = (0, Instant::now() + time);
    let mut mark = (Instant::now(), 0);
    while Instant::now() < end && books.wrong.load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_micros(dice.roll(900)));
        let side = dice.roll(2) as usize;
        if dice.roll(6) == 0 {
            signal(&sides[side], libc::SIGSTOP);
            std::thread::sleep(Duration::from_micros(dice.roll(2_000)));
            totals.stops += 1;
            if dice.roll(2) == 0 {
                signal(&sides[side], libc::SIGCONT);
                continue;
            }
        }
        slay(&sides[side])?;
        totals.kills += 1;
        in_hands += u64::from(side == 1 && books.takes_first.load(SeqCst));
        sides[side] = start(side)?;
        let seen = books.seen.load(SeqCst);
        if seen != mark.1 {
            mark = (Instant::now(), seen);
        } else if mark.0.elapsed() > PATIENCE {
            return Err("nobody moves any more".into());
        }
    }
    books.stop.store(true, SeqCst);
    let late = |what: &str| {
        format!("the {what} does not come to its end after {} messages", books.seen.load(SeqCst))
    };
    sides[0].join_timeout(PATIENCE).map_err(|_| late("producer"))?;
    let mut closer =
        segment.spsc_producer::<Message>("lane", CAPACITY).map_err(|e| format!("to close: {e}"))?;
    closer.close().map_err(|e| format!("close: {e}"))?;
    // Once more, now while it drains.
    slay(&sides[1])?;
    in_hands += u64::from(books.takes_first.load(SeqCst));
    sides[1] = start(1)?;
    sides[1].join_timeout(PATIENCE).map_err(|_| late("consumer"))?;
    totals.rounds += 1;
    balance(books, in_hands, totals)
}

fn balance(books: &Books, in_hands: u64, totals: &mut Totals) -> Result<(), String> {
    let wrong = books.wrong.load(SeqCst);
    let said: Vec<&str> = (0..WRONGS.len()).filter(|w| wrong >> w & 1 == 1).map(|w| WRONGS[w]).collect();
    if !said.is_empty() {
        return Err(said.join("; "));
    }
    let mut missing = 0;
    for n in 1..=books.tried.load(SeqCst) as usize {
        let delivered = books.delivered[n].load(SeqCst);
        missing += u64::from(delivered == 0 && books.acknowledged[n].load(SeqCst) == 1);
        totals.messages += u64::from(delivered > 0);
    }
    totals.taken_along += missing;
    if missing > in_hands {
        return Err(format!(
            "{missing} acknowledged messages are gone; {in_hands} consumers died while they popped"
        ));
    }
    Ok(())
}
