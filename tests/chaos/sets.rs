//! Wait sets: producers to a queue, to a work queue and to a lane in another segment, and those who wait in sets for what they bring, are
//! killed at random. One set is of all sources, one sleeps in epoll, one is of a single source; beside them one sleeps in the queue
//! itself. Every other round has a crowd, so that the sets cannot watch everybody.
//!
//! The promises are those of the objects, and that nobody sleeps through news: when all producers are killed, and all who wait in sets but
//! one, that one drains what is left, also what the dead had in their hands. Nobody else tells it then.

use super::books::{self, Wrong, shared, torment};
use super::{Dice, PATIENCE, Totals, priority, slay};
use interproc::process::{self, Child};
use interproc::queue::spsc::Consumer;
use interproc::queue::{Queue, WorkOptions, WorkQueue};
use interproc::sync::Event;
use interproc::waitset::WaitSet;
use interproc::{ErrorKind, Object, Segment};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// The producers' lanes, by what they bring to.
const TO_QUEUE: usize = 0;
const TO_JOBS: usize = 1;
const TO_LANE: usize = 2;
const PRODUCERS: usize = 3;
/// Those who wait: for everything, in epoll, for the queue alone, and in the queue itself.
const FOR_ALL: usize = PRODUCERS;
const BY_EPOLL: usize = PRODUCERS + 1;
const FOR_ONE: usize = PRODUCERS + 2;
const IN_QUEUE: usize = PRODUCERS + 3;
const CONSUMERS: usize = 4;
const LANES: usize = PRODUCERS + CONSUMERS;
/// A process of so many threads that do nothing.
const CROWD: usize = 10;
const CAPACITY: usize = 8;

type Message = [u64; 4];
pub type Books = books::Books<PRODUCERS, CONSUMERS, { 1 << 18 }>;

pub fn open() -> &'static Books {
    // SAFETY: only atomics.
    unsafe { shared() }
}

fn message(producer: usize, n: u64) -> Message {
    [producer as u64, n, producer as u64 ^ n, !n]
}

/// What the processes of a round work on.
struct Round {
    queue: Queue<Message>,
    jobs: WorkQueue<Message>,
    over: Object<Event>,
    other: Segment,
}

impl Round {
    fn new() -> interproc::Result<Round> {
        let segment = Segment::options().size(1 << 14).max_members(40).anonymous()?;
        Ok(Round {
            queue: segment.queue("queue", CAPACITY)?,
            jobs: segment.work_queue("jobs", WorkOptions::new(CAPACITY))?,
            over: segment.object("over", Event::new)?,
            other: Segment::options().size(1 << 12).max_members(8).anonymous()?,
        })
    }

    fn consumer(&self) -> interproc::Result<Consumer<Message>> {
        self.other.spsc_consumer("lane", CAPACITY)
    }

    /// What the process in this lane does, from wherever the last one was killed.
    fn work(&self, lane: usize, books: &Books) {
        priority(0);
        let done = match lane {
            TO_QUEUE | TO_JOBS | TO_LANE => self.produce(lane, books),
            IN_QUEUE => loop {
                match self.queue.pop_delivery() {
                    Ok(d) => enter(books, lane, d.value, d.redelivered),
                    Err(e) => break Err(e),
                }
            },
            _ => self.wait(lane, books),
        };
        if done.is_err_and(|e| e.kind() != ErrorKind::Closed) {
            books.say(Wrong::Failed);
        }
    }

    fn produce(&self, lane: usize, books: &Books) -> interproc::Result<()> {
        let mut dice = Dice(0x5eed + u64::from(std::process::id()));
        let mut seat = (lane == TO_LANE).then(|| self.other.spsc_producer("lane", CAPACITY)).transpose()?;
        while let Some(numbers) = books.next(lane, |_| 1) {
            let message = message(lane, numbers.start);
            match (lane, &mut seat) {
                (_, Some(producer)) => producer.push(message).map_err(interproc::Error::from)?,
                (TO_QUEUE, None) => self.queue.push(message).map_err(interproc::Error::from)?,
                _ => _ = self.jobs.put(message)?,
            }
            books.acknowledged(lane, numbers);
            if dice.roll(4) == 0 {
                // So that the others fall asleep.
                std::thread::sleep(Duration::from_micros(dice.roll(300)));
            }
        }
        Ok(())
    }

    /// Waits in a set, without a time limit: who sleeps through news sleeps for ever.
    fn wait(&self, lane: usize, books: &Books) -> interproc::Result<()> {
        let mut lanes = (lane == FOR_ALL).then(|| self.consumer()).transpose()?;
        let mut set = WaitSet::new();
        if lane == BY_EPOLL {
            set.descriptor()?;
        }
        set.add(self.queue.when_readable())?;
        let mut end = None;
        if lane != FOR_ONE {
            set.add(self.jobs.when_readable())?;
            end = Some(set.add(self.over.when_set())?);
        }
        if let Some(consumer) = &lanes {
            set.add(consumer.when_readable())?;
        }
        loop {
            let ready = set.wait()?;
            if end.is_some_and(|end| ready.contains(&end)) {
                return Ok(());
            }
            // It may have been another one's by now.
            match self.queue.try_pop_delivery() {
                Ok(d) => enter(books, lane, d.value, d.redelivered),
                Err(e) if e.kind() != ErrorKind::Empty => return Err(e),
                Err(_) => {}
            }
            if let Some(consumer) = &mut lanes
                && let Ok(chunk) = consumer.try_borrow(1)
            {
                // In place: whoever dies over it loses none.
                let (again, (first, _)) = (chunk.redelivered() > 0, chunk.as_slices());
                first.iter().for_each(|&value| enter(books, lane, value, again));
                chunk.release_all();
            }
            if lane != FOR_ONE
                && let Ok(job) = self.jobs.try_take()
            {
                let (value, again) = (*job, job.deliveries() > 1);
                let which = sees(books, lane, value, again);
                std::thread::yield_now(); // in hand for a while
                job.done()?;
                if let Some(which) = which {
                    books.delivers(which, false);
                }
            }
        }
    }
}

fn sees(books: &Books, lane: usize, [by, n, sum, not_n]: Message, again: bool) -> Option<(usize, usize)> {
    if sum != by ^ n || not_n != !n {
        books.say(Wrong::Torn);
        return None;
    }
    books.sees(lane - PRODUCERS, by, n, Some(again))
}

/// Somebody has this message.
fn enter(books: &Books, lane: usize, value: Message, again: bool) {
    if let Some(which) = sees(books, lane, value, again) {
        books.delivers(which, again);
    }
}

/// What a killed process may have had in its hands, and nobody gets: one message, and a job that it had said "done" of.
fn hands(lane: usize) -> u64 {
    match lane {
        FOR_ALL | BY_EPOLL => 2,
        FOR_ONE | IN_QUEUE => 1,
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
    round_of(books, dice, time, totals).map_err(|text| format!("wait sets: {text}"))
}

fn round_of(
    books: &'static Books,
    dice: &mut Dice,
    time: Duration,
    totals: &mut Totals,
) -> Result<(), String> {
    books.wipe();
    let round = &Round::new().map_err(|e| format!("{e}"))?;
    let text = |e: interproc::Error| format!("{e}");
    let start = |lane: usize| process::fork(|| round.work(lane, books)).map_err(text);
    let crowded = dice.roll(2) == 0;
    let crowd = || {
        std::thread::scope(|s| {
            (0..CROWD).for_each(|_| drop(s.spawn(|| round.over.wait())));
        });
    };
    let crowd = crowded.then(|| process::fork(crowd)).transpose().map_err(text)?;
    let mut lanes: Vec<Child> = (0..LANES).map(start).collect::<Result<_, _>>()?;
    let mut in_hands = 0;
    let moves = || (!books.is_wrong()).then(|| books.moves());
    let describe = || format!("{:?}, {:?}", round.queue, round.jobs);
    torment(&mut lanes, dice, time, totals, start, |lane| in_hands += hands(lane), moves)
        .map_err(|e| format!("{e}: {}", describe()))?;
    if books.is_wrong() {
        return books.balance(0, 0, totals);
    }
    // All who bring are killed, and all who could be told by another one but one.
    let survivor = [FOR_ALL, BY_EPOLL][dice.roll(2) as usize];
    let mut order: Vec<usize> = (0..LANES).filter(|&lane| lane != survivor).collect();
    for n in (1..order.len()).rev() {
        order.swap(n, dice.roll(n as u64 + 1) as usize);
    }
    for lane in order {
        slay(&lanes[lane])?;
        in_hands += hands(lane);
        totals.kills += 1;
    }
    let end = Instant::now() + PATIENCE;
    let is_drained = || survivor != FOR_ALL || books.has_last(TO_LANE);
    while !round.queue.is_empty() || round.jobs.unfinished() > 0 || !is_drained() {
        if Instant::now() > end || books.is_wrong() {
            return Err(format!("lane {survivor} sleeps through news, crowd: {crowded}; {}", describe()));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    round.over.set();
    let ends = |child: &Child| {
        let end = child.join_timeout(PATIENCE);
        end.map(drop).map_err(|e| format!("sleeps though it is over: {e}; {}", describe()))
    };
    ends(&lanes[survivor])?;
    crowd.iter().try_for_each(ends)?;
    // What is left in the lane, where nobody was left to drain it.
    let mut rest = round.consumer().map_err(text)?;
    while let Ok(d) = rest.try_pop_delivery() {
        enter(books, FOR_ALL, d.value, d.redelivered);
    }
    books.stop.store(true, SeqCst);
    books.balance(in_hands, 0, totals)
}
