//! Wait sets: producers to a queue, to a work queue and to a lane in another segment, and those who wait in sets for what they bring, are
//! killed at random. One set is of all sources, one sleeps in epoll, one is of a single source; beside them one sleeps in the queue
//! itself. Every other round has a crowd, so that the sets cannot watch everybody.
//!
//! The promises are those of the objects, and that nobody sleeps through news. Deaths and newcomers make everybody look; so in the end
//! there are none for a while, and of those who take only one that waits in a set is left: it must get on. Then all others come again and
//! are killed, and it drains what is left, also what the dead had in their hands.

use super::books::{self, Lanes, Wrong, shared, torment};
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
/// So many messages come only if it is told again and again.
const ENOUGH: u64 = 40 * CAPACITY as u64;

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
                if value[1].is_multiple_of(4) {
                    std::thread::sleep(Duration::from_micros(50)); // in hand for a while
                }
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
    let crowd = Lanes(crowded.then(|| process::fork(crowd)).transpose().map_err(text)?.into_iter().collect());
    let mut cast = Lanes((0..LANES).map(start).collect::<Result<_, _>>()?);
    let lanes = &mut cast.0;
    let mut in_hands = 0;
    let moves = || (!books.is_wrong()).then(|| books.moves());
    let describe = || format!("{:?}, {:?}", round.queue, round.jobs);
    torment(lanes, dice, time, totals, start, |lane| in_hands += hands(lane), moves)
        .map_err(|e| format!("{e}: {}", describe()))?;
    if books.is_wrong() {
        return books.balance(0, 0, totals);
    }
    let survivor = [FOR_ALL, BY_EPOLL, FOR_ONE][dice.roll(3) as usize];
    let sources = match survivor {
        FOR_ALL => &[TO_QUEUE, TO_JOBS, TO_LANE][..],
        BY_EPOLL => &[TO_QUEUE, TO_JOBS],
        _ => &[TO_QUEUE],
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            if Instant::now() > end || books.is_wrong() {
                return Err(format!("lane {survivor} does not {what}, crowd: {crowded}; {}", describe()));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    };
    let others: Vec<usize> = (PRODUCERS..LANES).filter(|&lane| lane != survivor).collect();
    let mut kill = |lane: usize, child: &Child| {
        in_hands += hands(lane);
        totals.kills += 1;
        slay(child)
    };
    others.iter().try_for_each(|&lane| kill(lane, &lanes[lane]))?;
    // Nobody dies and nobody comes.
    let seen = |source| books.seen(survivor - PRODUCERS, source);
    let marks: Vec<_> = sources.iter().map(|&source| (source, seen(source) + ENOUGH)).collect();
    until("get on", &|| marks.iter().all(|&(source, mark)| seen(source) >= mark))?;
    for &lane in &others {
        lanes[lane] = start(lane)?;
    }
    std::thread::sleep(Duration::from_micros(dice.roll(5_000)));
    // Those who bring are killed first, mostly: then nobody tells of anything any more.
    let (mut order, first) = ((0..PRODUCERS).chain(others).collect::<Vec<_>>(), dice.roll(3) as usize);
    order.rotate_left(if first == 0 { PRODUCERS } else { 0 });
    order.iter().try_for_each(|&lane| kill(lane, &lanes[lane]))?;
    until("drain what is left", &|| {
        sources.iter().all(|&source| match source {
            TO_QUEUE => round.queue.is_empty(),
            TO_JOBS => round.jobs.unfinished() == 0,
            _ => books.has_last(TO_LANE),
        })
    })?;
    round.over.set();
    round.queue.close().map_err(text)?;
    let ends = |child: &Child| {
        let end = child.join_timeout(PATIENCE);
        end.map(drop).map_err(|e| format!("sleeps though it is over: {e}; {}", describe()))
    };
    ends(&lanes[survivor])?;
    crowd.0.iter().try_for_each(ends)?;
    // What is left where nobody was left to take it.
    while let Ok(job) = round.jobs.try_take() {
        let which = sees(books, FOR_ALL, *job, true);
        job.done().map_err(text)?;
        which.into_iter().for_each(|which| books.delivers(which, false));
    }
    let mut rest = round.consumer().map_err(text)?;
    while let Ok(d) = rest.try_pop_delivery() {
        enter(books, FOR_ALL, d.value, d.redelivered);
    }
    books.stop.store(true, SeqCst);
    books.balance(in_hands, 0, totals)
}
