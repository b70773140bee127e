//! The broadcast: two publishers, one of them the only one from time to time, and three subscribers are killed at random.
//!
//! A subscriber that is waited for gets consecutive messages, of each publisher in their order; one that lags is told of each gap; nothing
//! is torn. Publishers and subscribers go on whoever dies, and in the end all hear of it.

use super::books::{Wrong, shared, torment};
use super::{Dice, PATIENCE, Totals, priority};
use interproc::process::{self, Child};
use interproc::queue::{Broadcast, BroadcastOptions, Slow};
use interproc::{ErrorKind, Segment, Wait};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

const PUBLISHERS: usize = 2;
const LANES: usize = 5;

type News = Broadcast<[u64; 5]>;

pub struct Books {
    stop: AtomicBool,
    wrong: AtomicU32,
    moves: AtomicU64,
    /// By publisher: the last number that it has tried.
    tried: [AtomicU64; PUBLISHERS],
}

pub fn open() -> &'static Books {
    // SAFETY: only atomics.
    unsafe { shared() }
}

impl Books {
    fn say(&self, wrong: Wrong) {
        self.wrong.fetch_or(1 << wrong as u32, SeqCst);
    }
}

fn work(news: &News, lane: usize, books: &Books) {
    priority(0);
    if lane < PUBLISHERS { publish(news, lane, books) } else { receive(news, lane - PUBLISHERS, books) }
}

fn publish(news: &News, lane: usize, books: &Books) {
    let message = || {
        let n = books.tried[lane].fetch_add(1, SeqCst) + 1;
        [lane as u64, n, lane as u64 ^ n, !n, n]
    };
    for round in 0u64.. {
        if books.stop.load(SeqCst) {
            return;
        }
        let done = match round % 64 {
            // The first one is the only one for a while.
            63 if lane == 0 => news
                .publisher(Wait::ForEver)
                .and_then(|mut publisher| (0..16).try_for_each(|_| publisher.publish(message()).map(drop))),
            40 => news.reserve_one(Wait::ForEver).and_then(|mut place| {
                *place = message();
                place.commit()
            }),
            _ => news.publish(message()).map(drop),
        };
        if done.is_err() {
            return books.say(Wrong::Failed);
        }
    }
}

fn receive(news: &News, nth: usize, books: &Books) {
    let slow = if nth == 2 { Slow::Lags } else { Slow::Waits };
    let Ok(mut mine) = news.subscribe(slow) else { return books.say(Wrong::Failed) };
    let (mut last, mut next) = ([0; PUBLISHERS], mine.position());
    loop {
        let told = match mine.recv_news(Wait::ForEver) {
            Ok(told) => told,
            Err(e) if e.kind() == ErrorKind::Closed => return,
            Err(_) => return books.say(Wrong::Failed),
        };
        let [lane, n, sum, not_n, again] = told.value;
        if sum != lane ^ n || not_n != !n || again != n || lane as usize >= PUBLISHERS {
            return books.say(Wrong::Torn);
        }
        next += 1 + told.missed;
        let is_next = mine.position() == next && (told.missed == 0 || slow == Slow::Lags);
        if !is_next || n <= last[lane as usize] {
            return books.say(Wrong::Disorder);
        }
        last[lane as usize] = n;
        books.moves.fetch_add(1, SeqCst);
    }
}

/// One round; what was wrong, in words.
pub fn round(
    books: &'static Books,
    dice: &mut Dice,
    time: Duration,
    totals: &mut Totals,
) -> Result<(), String> {
    books.stop.store(false, SeqCst);
    books.tried.iter().for_each(|n| n.store(0, SeqCst));
    let segment = Segment::options().size(1 << 14).max_members(24).anonymous().map_err(|e| format!("{e}"))?;
    let options = BroadcastOptions::new(24).subscribers(8);
    let news: &News = &segment.broadcast("news", options).map_err(|e| format!("{e}"))?;
    let start = |lane: usize| process::fork(|| work(news, lane, books)).map_err(|e| format!("{e}"));
    let mut lanes: Vec<Child> = (0..LANES).map(start).collect::<Result<_, _>>()?;
    let moves = || (books.wrong.load(SeqCst) == 0).then(|| books.moves.load(SeqCst));
    torment(&mut lanes, dice, time, totals, start, |_| {}, moves).map_err(|e| format!("{e}: {news:?}"))?;
    books.stop.store(true, SeqCst);
    for lane in &lanes[..PUBLISHERS] {
        lane.join_timeout(PATIENCE)
            .map_err(|e| format!("a publisher does not come to its end: {e:?}; {news:?}"))?;
    }
    news.close().map_err(|e| format!("{e}"))?;
    for lane in &lanes[PUBLISHERS..] {
        lane.join_timeout(PATIENCE)
            .map_err(|e| format!("a subscriber does not come to its end: {e:?}; {news:?}"))?;
    }
    totals.rounds += 1;
    totals.messages += books.moves.swap(0, SeqCst);
    match books.wrong.load(SeqCst) {
        0 => Ok(()),
        wrong => Err(format!("broadcast: wrong {wrong:#b} (see `Wrong`); {news:?}")),
    }
}
