//! The other locks and signals: rounds of one object each, worked on by four processes that are killed at random.
//!
//! | round | promise |
//! |---|---|
//! | reader-writer lock | who reads sees nobody write and nothing torn; half-changed data only with the news of a death |
//! | condition | tickets go from hand to hand, each once and in order; nobody sleeps on beside a ticket |
//! | semaphore and event | no post is lost but with one who died with it in hand, none comes from nowhere |
//! | bounded semaphore | never more permits out than there are; in the end all are back |
//! | barrier | nobody passes alone, one leader; a death breaks it, and a reset makes it new |
//! | recursive mutex | one thread inside; the heir of a death is told and begins at depth one |
//!
//! When the killing ends, everybody must still get on: a sleeper that a death has made forgotten is seen then.

use super::{Dice, PATIENCE, Totals, priority, signal, slay};
use interproc::process::{self, Child};
use interproc::sync::{
    Barrier, BoundedSemaphore, Condvar, Event, LockError, Mutex, MutexGuard, RecursiveLockError,
    RecursiveMutex, RwLock, Semaphore,
};
use interproc::{ErrorKind, Object, Segment};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const LANES: usize = 4;
/// Permits for the lanes.
const PERMITS: u32 = 2;

/// The kinds of rounds.
const KINDS: [(&str, Work); 6] = [
    ("reader-writer lock", Stage::read_and_write),
    ("condition", Stage::hand_over),
    ("semaphore and event", Stage::post_and_acquire),
    ("bounded semaphore", Stage::share_permits),
    ("barrier", Stage::meet),
    ("recursive mutex", Stage::nest),
];
const SEMAPHORE: usize = 2;
const BARRIER: usize = 4;

type Work = fn(&Stage, usize, &Books);

/// The books: memory that all processes share, apart from the segment under test. They are zeroed for each round.
pub struct Books {
    stop: AtomicBool,
    wrong: AtomicU32,
    /// By lane: work done.
    done: [AtomicU64; LANES],
    /// By lane: odd when it is about to be killed, or dead and not yet replaced.
    doomed: [AtomicU64; LANES],
    /// The lane (from 1) that writes, holds or leads.
    inside: AtomicU64,
    /// By lane: permits in hand, in the low byte; above it a count of the changes.
    permits: [AtomicU64; LANES],
    /// By lane: how often it came to the barrier.
    came: [AtomicU64; LANES],
    tried: AtomicU64,
    posted: AtomicU64,
    acquired: AtomicU64,
    /// Posts that let the acquirers come to an end.
    ending: AtomicU64,
    /// The last ticket that was taken.
    ticket: AtomicU64,
    told: AtomicU64,
}

/// What can be wrong, and how it is said.
const WRONGS: [&str; 7] = [
    "two where one may be",
    "half-changed data, and nobody was told",
    "a ticket came twice or not at all",
    "more permits out than there are",
    "somebody passed the barrier alone",
    "an operation failed that must not",
    "the heir is not at depth one",
];
const TWO_INSIDE: u32 = 0;
const UNTOLD: u32 = 1;
const TICKET: u32 = 2;
const PERMIT: u32 = 3;
const ALONE: u32 = 4;
const FAILED: u32 = 5;
const DEPTH: u32 = 6;

impl Books {
    /// In zeroed memory that forked children share. There is one per program.
    pub fn open() -> &'static Books {
        // SAFETY: only atomics.
        unsafe { crate::books::shared() }
    }

    /// Clean pages for the next round. Nobody else is there.
    fn wipe(&'static self) {
        self.stop.store(false, SeqCst);
        let (done, permits, came) = (&self.done, &self.permits, &self.came);
        let rest =
            [&self.inside, &self.tried, &self.posted, &self.acquired, &self.ending, &self.ticket, &self.told];
        done.iter().chain(permits).chain(came).chain(rest).for_each(|word| word.store(0, SeqCst));
    }

    fn say(&self, wrong: u32) {
        self.wrong.fetch_or(1 << wrong, SeqCst);
    }

    fn is_over(&self) -> bool {
        self.stop.load(SeqCst)
    }

    fn is_doomed(&self, lane: usize) -> bool {
        self.doomed[lane].load(SeqCst) % 2 == 1
    }

    fn did(&self, lane: usize) {
        self.done[lane].fetch_add(1, SeqCst);
    }

    /// Alone inside, but for one whose death was told.
    fn enter(&self, lane: usize, told: bool) {
        if self.inside.swap(lane as u64 + 1, SeqCst) != 0 && !told {
            self.say(TWO_INSIDE);
        }
    }

    fn leave(&self) {
        self.inside.store(0, SeqCst);
    }

    fn hold_permits(&self, lane: usize, count: u32) {
        let changes = self.permits[lane].load(SeqCst) >> 8;
        self.permits[lane].store((changes + 1) << 8 | u64::from(count), SeqCst);
    }

    /// Permits in hand at one moment, of those that lived all the while: what was read twice without a change.
    fn permits_out(&self) -> Option<u64> {
        let read = |words: &[AtomicU64; LANES]| words.each_ref().map(|word| word.load(SeqCst));
        let before = read(&self.doomed);
        let (first, second) = (read(&self.permits), read(&self.permits));
        let after = read(&self.doomed);
        let lived = |&lane: &usize| before[lane] == after[lane] && before[lane].is_multiple_of(2);
        (first == second).then(|| (0..LANES).filter(lived).map(|lane| first[lane] & 0xff).sum())
    }
}

/// Data that has to be the same all over, changed word by word.
type Data = [u64; 6];

fn is_torn(data: &Data) -> bool {
    *black_box(data) != [data[0]; 6]
}

fn change(data: &mut Data) {
    data.iter_mut().for_each(|value| *black_box(value) += 1);
}

/// Tickets: how many were issued, the last that was taken, the one that lies there (or none: 0), and whether it is over.
type Tickets = [u64; 4];
const ISSUED: usize = 0;
const TAKEN: usize = 1;
const THERE: usize = 2;
const OVER: usize = 3;

/// What the processes of a round work on.
struct Stage {
    rwlock: Object<RwLock<Data>>,
    tickets: Object<Mutex<Tickets>>,
    filled: Object<Condvar>,
    emptied: Object<Condvar>,
    items: Object<Semaphore>,
    room: Object<Semaphore>,
    gate: Object<Event>,
    permits: BoundedSemaphore,
    barrier: Barrier,
    nested: Object<RecursiveMutex<Data>>,
}

impl Stage {
    fn new() -> interproc::Result<Stage> {
        let segment = Segment::options().size(1 << 14).max_members(24).anonymous()?;
        Ok(Stage {
            rwlock: segment.object("rwlock", || RwLock::new([0; 6]))?,
            tickets: segment.object("tickets", || Mutex::new([0; 4]))?,
            filled: segment.object("filled", Condvar::new)?,
            emptied: segment.object("emptied", Condvar::new)?,
            items: segment.object("items", || Semaphore::new(0))?,
            room: segment.object("room", || Semaphore::new(3))?,
            gate: segment.object("gate", Event::new)?,
            permits: segment.bounded_semaphore("permits", PERMITS as usize)?,
            barrier: segment.barrier("barrier", LANES)?,
            nested: segment.object("nested", || RecursiveMutex::new([0; 6]))?,
        })
    }

    fn read_and_write(&self, lane: usize, books: &Books) {
        let mut dice = Dice(0x5eed + u64::from(std::process::id()));
        while !books.is_over() {
            let mut told = false;
            let mut repair = |data: &mut Data| {
                told = true;
                books.told.fetch_add(1, SeqCst);
                *data = [data[0]; 6];
            };
            // The first lane writes more than the others; all do both.
            let writes = dice.roll(8) < if lane == 0 { 6 } else { 1 };
            let answer = if writes { self.rwlock.write().map_err(Some) } else { Err(None) };
            let written = match answer {
                Ok(guard) => Some(guard),
                Err(Some(e)) => Some(e.recover(&mut repair).expect("held")),
                Err(None) => match self.rwlock.read() {
                    // A reader that inherits has the lock for writing.
                    Err(e) => Some(e.recover(&mut repair).expect("held")),
                    Ok(data) => {
                        let again = (dice.roll(4) == 0).then(|| self.rwlock.read());
                        if books.inside.load(SeqCst) != 0 {
                            books.say(TWO_INSIDE);
                        }
                        let before = black_box(*data);
                        if is_torn(&data) || *black_box(&*data) != before {
                            books.say(UNTOLD);
                        }
                        if again.is_some_and(|again| again.is_err()) {
                            books.say(FAILED);
                        }
                        None
                    }
                },
            };
            if let Some(mut data) = written {
                books.enter(lane, told);
                if is_torn(&data) {
                    books.say(UNTOLD);
                }
                change(&mut data);
                let now = data[0];
                books.leave();
                if dice.roll(2) == 0 && *data.downgrade() != [now; 6] {
                    books.say(UNTOLD);
                }
            }
            books.did(lane);
        }
    }

    /// The lock again after a death: the tickets put right, and whoever may have been to be woken woken.
    fn repaired<'a>(&self, error: LockError<'a, Tickets>, books: &Books) -> MutexGuard<'a, Tickets> {
        let recovered = error.recover(|t| {
            if t[THERE] <= t[TAKEN] {
                t[THERE] = 0;
            }
            t[ISSUED] = t[TAKEN] + u64::from(t[THERE] != 0);
            books.ticket.store(t[TAKEN], SeqCst);
            books.told.fetch_add(1, SeqCst);
        });
        let guard = recovered.expect("held");
        self.notify(books);
        guard
    }

    fn notify(&self, books: &Books) {
        if self.filled.notify_all().and(self.emptied.notify_all()).is_err() {
            books.say(FAILED);
        }
    }

    /// Two lanes put tickets down, two take them.
    fn hand_over(&self, lane: usize, books: &Books) {
        let puts = lane.is_multiple_of(2);
        let (mine, theirs) = if puts { (&self.emptied, &self.filled) } else { (&self.filled, &self.emptied) };
        loop {
            let mut t = self.tickets.lock().unwrap_or_else(|e| self.repaired(e, books));
            while t[OVER] == 0 && (t[THERE] != 0) == puts {
                // Without a time limit: who is forgotten sleeps for ever.
                t = mine.wait(t).unwrap_or_else(|e| self.repaired(e, books));
            }
            if t[OVER] != 0 {
                return;
            }
            if puts {
                *black_box(&mut t[ISSUED]) += 1;
                let next = t[ISSUED];
                *black_box(&mut t[THERE]) = next;
            } else {
                let ticket = t[THERE];
                if ticket != t[TAKEN] + 1 || ticket != t[ISSUED] {
                    books.say(TICKET);
                }
                *black_box(&mut t[TAKEN]) = ticket;
                *black_box(&mut t[THERE]) = 0;
                if books.ticket.swap(ticket, SeqCst) + 1 != ticket {
                    books.say(TICKET);
                }
            }
            if theirs.notify_one().is_err() {
                books.say(FAILED);
            }
            drop(t);
            books.did(lane);
        }
    }

    /// The first lane posts, the others acquire; each of them passes the gate, which the first one shuts now and then.
    fn post_and_acquire(&self, lane: usize, books: &Books) {
        let good = |result: interproc::Result<()>| {
            if result.is_err() {
                books.say(FAILED);
            }
        };
        while !books.is_over() {
            if lane == 0 {
                good(self.room.acquire());
                self.gate.clear();
                books.tried.fetch_add(1, SeqCst);
                good(self.items.post());
                books.posted.fetch_add(1, SeqCst);
                self.gate.set();
            } else {
                good(self.items.acquire());
                books.acquired.fetch_add(1, SeqCst);
                good(self.gate.wait());
                good(self.room.post());
            }
            books.did(lane);
        }
    }

    fn share_permits(&self, lane: usize, books: &Books) {
        let mut dice = Dice(0x5eed + u64::from(std::process::id()));
        while !books.is_over() {
            let count = 1 + (dice.roll(6) == 0) as u32;
            let Ok(permit) = self.permits.acquire_many(count) else { return books.say(FAILED) };
            books.told.fetch_add(permit.owner_died().into(), SeqCst);
            books.hold_permits(lane, count);
            for _ in 0..dice.roll(4) {
                if books.permits_out().is_some_and(|out| out > PERMITS.into()) {
                    books.say(PERMIT);
                }
            }
            books.hold_permits(lane, 0);
            if permit.release().is_err() {
                books.say(FAILED);
            }
            books.did(lane);
        }
    }

    fn meet(&self, lane: usize, books: &Books) {
        let look = || books.came.each_ref().map(|word| word.load(SeqCst));
        // What was seen before the last round and before this one, if they passed.
        let mut before: [Option<[u64; LANES]>; 2] = [None; 2];
        while !books.is_over() {
            before = [before[1], Some(look())];
            books.came[lane].fetch_add(1, SeqCst);
            match self.barrier.wait() {
                Ok(round) => {
                    let (now, lanes) = (look(), 0..LANES);
                    if let Some(then) = before[0]
                        && lanes.filter(|&l| !books.is_doomed(l)).any(|l| now[l] <= then[l])
                    {
                        books.say(ALONE);
                    }
                    if round.is_leader() {
                        let last = books.inside.swap(lane as u64 + 1, SeqCst) as usize;
                        if last != 0 && last != lane + 1 && !books.is_doomed(last - 1) {
                            books.say(TWO_INSIDE);
                        }
                        books.leave();
                    }
                    books.did(lane);
                }
                Err(e) if e.kind() == ErrorKind::Broken => {
                    books.told.fetch_add(1, SeqCst);
                    before = [None; 2];
                    // Whoever comes first. One that comes late breaks another round at worst.
                    let reset = match self.barrier.is_broken() {
                        Ok(true) if !books.is_over() => self.barrier.reset(),
                        other => other.map(drop),
                    };
                    if reset.is_err() {
                        books.say(FAILED);
                    }
                }
                Err(_) => return books.say(FAILED),
            }
        }
        if self.barrier.leave().is_err() {
            books.say(FAILED);
        }
    }

    fn nest(&self, lane: usize, books: &Books) {
        let mut dice = Dice(0x5eed + u64::from(std::process::id()));
        while !books.is_over() {
            let mut told = false;
            let first = match self.nested.lock() {
                Ok(guard) => guard,
                Err(RecursiveLockError::OwnerDied(died)) => {
                    told = true;
                    books.told.fetch_add(1, SeqCst);
                    died.set([died.get()[0]; 6]);
                    died.mark_consistent()
                }
                Err(RecursiveLockError::Failed(_)) => return books.say(FAILED),
            };
            if self.nested.depth().ok() != Some(1) {
                books.say(DEPTH);
            }
            books.enter(lane, told);
            let Ok(second) = self.nested.lock() else { return books.say(FAILED) };
            if is_torn(&second.get()) {
                books.say(UNTOLD);
            }
            // Word by word, where it lies.
            for word in (&*first as &Cell<[u64]>).as_slice_of_cells() {
                word.set(black_box(word.get()) + 1);
            }
            books.leave();
            // In either order.
            if dice.roll(2) == 0 {
                drop(first);
                drop(second);
            } else {
                drop(second);
                drop(first);
            }
            books.did(lane);
        }
    }

    /// Lets everybody come to an end, wherever they wait.
    fn let_go(&self, kind: usize, books: &Books) -> interproc::Result<()> {
        match KINDS[kind].0 {
            "condition" => {
                self.tickets.lock().unwrap_or_else(|e| self.repaired(e, books))[OVER] = 1;
                self.notify(books);
                Ok(())
            }
            "semaphore and event" => {
                self.gate.set();
                books.ending.fetch_add(LANES as u64, SeqCst);
                self.room.post().and(self.items.post_many(LANES as u32))
            }
            "barrier" => self.barrier.abort(),
            _ => Ok(()),
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
    let kind = totals.rounds as usize / 2 % KINDS.len();
    let (name, work) = KINDS[kind];
    let result = round_of(kind, work, books, dice, time, totals);
    result.map_err(|text| format!("{name}: {text}"))
}

fn round_of(
    kind: usize,
    work: Work,
    books: &'static Books,
    dice: &mut Dice,
    time: Duration,
    totals: &mut Totals,
) -> Result<(), String> {
    books.wipe();
    let stage = &Stage::new().map_err(|e| format!("{e}"))?;
    let start = |lane: usize| {
        process::fork(|| {
            priority(0);
            work(stage, lane, books);
        })
        .map_err(|e| format!("{e}"))
    };
    let mut lanes: Vec<Child> = (0..LANES).map(start).collect::<Result<_, _>>()?;
    let mut kills = [0u64; LANES];
    let end = Instant::now() + time;
    while Instant::now() < end && books.wrong.load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_micros(dice.roll(600)));
        let lane = dice.roll(LANES as u64) as usize;
        if dice.roll(8) == 0 {
            signal(&lanes[lane], libc::SIGSTOP);
            std::thread::sleep(Duration::from_micros(dice.roll(3_000)));
            totals.stops += 1;
            if dice.roll(2) == 0 {
                signal(&lanes[lane], libc::SIGCONT);
                continue;
            }
        }
        books.doomed[lane].fetch_add(1, SeqCst);
        slay(&lanes[lane])?;
        books.hold_permits(lane, 0);
        if kind == BARRIER {
            let _ = books.inside.compare_exchange(lane as u64 + 1, 0, SeqCst, SeqCst);
        }
        if kind == SEMAPHORE {
            // Whatever it had in hand is gone with it.
            stage.room.post().map_err(|e| format!("{e}"))?;
        }
        kills[lane] += 1;
        books.doomed[lane].fetch_add(1, SeqCst);
        lanes[lane] = start(lane)?;
    }
    totals.kills += kills.iter().sum::<u64>();
    // Nobody dies any more: everybody gets on.
    let marks = books.done.each_ref().map(|word| word.load(SeqCst));
    let calm = Instant::now();
    while let Some(lane) = (0..LANES).find(|&l| books.done[l].load(SeqCst) == marks[l]) {
        if books.wrong.load(SeqCst) != 0 {
            break;
        }
        if calm.elapsed() > PATIENCE {
            return Err(format!("lane {lane} does not move any more"));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    books.stop.store(true, SeqCst);
    for (lane, child) in lanes.iter().enumerate() {
        let late = Instant::now() + PATIENCE;
        loop {
            stage.let_go(kind, books).map_err(|e| format!("{e}"))?;
            match child.join_timeout(Duration::from_millis(5)) {
                Ok(status) if status.success() => break,
                Ok(status) => return Err(format!("lane {lane} failed: {status:?}")),
                Err(e) if Instant::now() > late => {
                    return Err(format!("lane {lane} does not come to its end: {e}"));
                }
                Err(_) => {}
            }
        }
    }
    totals.rounds += 1;
    totals.told += books.told.load(SeqCst);
    totals.family += books.done.iter().map(|word| word.load(SeqCst)).sum::<u64>();
    balance(kind, stage, books, kills)
}

/// What has to be right when everybody is gone.
fn balance(kind: usize, stage: &Stage, books: &Books, kills: [u64; LANES]) -> Result<(), String> {
    let wrong = books.wrong.load(SeqCst);
    let said: Vec<&str> = (0..WRONGS.len()).filter(|w| wrong >> w & 1 == 1).map(|w| WRONGS[w]).collect();
    if !said.is_empty() {
        return Err(said.join("; "));
    }
    let all = stage.permits.acquire_many_timeout(PERMITS, PATIENCE);
    all.map(drop).map_err(|e| format!("a permit is lost: {e}"))?;
    let readers = stage.rwlock.readers().map_err(|e| format!("{e}"))?;
    if readers != 0 || stage.rwlock.is_written() || stage.nested.is_locked() || stage.tickets.is_locked() {
        return Err("a lock is held, and nobody is there".into());
    }
    if kind == SEMAPHORE {
        let posted = [&books.posted, &books.tried].map(|word| word.load(SeqCst));
        let seen = books.acquired.load(SeqCst) + u64::from(stage.items.value());
        let in_hand: u64 = kills[1..].iter().sum();
        // The posts that ended the round come on top.
        if seen + in_hand < posted[0] {
            return Err(format!("{} posts, {seen} seen, {in_hand} in the hands of the dead", posted[0]));
        }
        let most = posted[1] + books.ending.load(SeqCst);
        if seen > most {
            return Err(format!("{seen} seen of {most}"));
        }
    }
    Ok(())
}
