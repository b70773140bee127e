//! Protocols that pay for their fences on one side only, on processors with store buffers, explored state by state.
//!
//! Here the sleepers' protocol of the ring; in `store_buffer/` those of the mutex' announcement and of the reader-writer
//! lock's bias.
//!
//! A publisher stores its message and then looks at the event count *without a fence*: its store may still be in its
//! buffer when it looks. The sleeper pays: it announces itself, passes a membarrier (which empties everybody's
//! buffer), looks once more and sleeps. loom has no membarrier and single-stepping has no store buffers, so this
//! model is the proof of that half of `src/queue/event_count.rs`; the model's steps are that file's, in order.
//!
//! | thread | steps |
//! |---|---|
//! | publisher | claim its cell (locked) · store FULL (buffered) · load the count; if its bit is set: fence, bump the sequence (locked) · futex wake, one for each message it set free · if fewer slept and the value is still its own, set LONELY or, if that is set, clear all bits (locked) |
//! | sleeper | look · announce: bump and set the bit (locked); if FENCED stands: look; else membarrier · set FENCED if the value is still its own (locked) · look · futex wait on the count, the refusing cell's word and, if that is claimed, its owner's life · again |
//!
//! A run begins with each of the bits that former sleepers and wakers can have left, and with a sleeper that has
//! passed its membarrier and comes late to say so, when a waker has cleared what it wrote.
//!
//! At any moment one thread may be killed: its buffer drains (a processor loses no store) and the bell wakes all who
//! sleep. Property: in no state from which nothing can move does anybody sleep while a message is there to be taken.
//! All interleavings and all drain orders are tried, with at most
//! three announcements of each sleeper. Each mutant must break the property.

#[path = "store_buffer/seal.rs"]
mod seal;

use std::collections::HashSet;

#[path = "store_buffer/bias.rs"]
mod bias;
#[path = "store_buffer/handoff.rs"]
mod handoff;
#[path = "store_buffer/last_read.rs"]
mod last_read;
#[path = "store_buffer/machine.rs"]
mod machine;

const SLEEPERS: u8 = 0x80;
/// A sleeper has passed its membarrier since `SLEEPERS` was set: the next ones need not.
const FENCED: u8 = 0x40;
/// A waker has found nobody, and nobody has announced itself since.
const LONELY: u8 = 0x20;
const SEQUENCE: u8 = LONELY - 1;

/// Where a run begins: the count, and whether the last thread, a sleeper, is about to say that it has passed the fence.
const STARTS: [(u8, bool); 6] = [
    (SLEEPERS, false),
    (SLEEPERS | LONELY, false),
    (SLEEPERS | FENCED, false),
    (0, false),
    (SLEEPERS | FENCED | LONELY, false),
    (0, true),
];

/// Sleepers that announce themselves in turns move the count on for ever: paths on which one does so more often than
/// this are not followed further.
const ROUNDS: u8 = 3;

const EMPTY: u8 = 0;
const CLAIMED: u8 = 1;
const FULL: u8 = 2;
const DONE: u8 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mutant {
    None,
    /// The sleeper's fence does not reach the publishers.
    NoMembarrier,
    /// The sleeper announces itself after its last look.
    AnnouncedTooLate,
    /// The waker clears the bit whatever the value is.
    ClearsAlways,
    /// The waker counts its own message only, not those behind it that it was in the way of.
    WakesOnlyOne,
    /// The publisher does not wake.
    NoWake,
    /// A death does not ring the bell.
    NoBell,
    /// The sleeper does not watch the cell that refused it.
    NoCellWatch,
    /// The sleeper does not watch the owner of that cell.
    NoOwnerWatch,
    /// A sleeper does without the fence as soon as another has announced itself.
    FencedByAnnouncement,
    /// A sleeper says that it has passed the fence before it has.
    FencedTooEarly,
    /// It says so over a value that is not its own, too.
    FencedOverAll,
    /// A waker that clears the bit leaves `FENCED`, and the next sleeper believes it.
    FencedForEver,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Role {
    Publisher { cell: usize },
    Sleeper,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Thread {
    role: Role,
    step: u8,
    /// How often it has announced itself.
    rounds: u8,
    /// The value of the count that it wrote.
    mine: u8,
    /// The cell that refused it, and its word.
    seen: (usize, u8),
    /// How many sleepers its publication is worth.
    free: u8,
    /// Stores that nobody else sees yet.
    buffer: Vec<(usize, u8)>,
    asleep: bool,
    ended: bool,
    killed: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    count: u8,
    cells: Vec<u8>,
    threads: Vec<Thread>,
    kills_left: u8,
}

/// A sleeper's step after its membarrier.
const FENCE_PASSED: u8 = 5;

enum Look {
    Taken,
    Nothing,
    Refused(usize, u8),
}

impl State {
    fn new(publishers: usize, sleepers: usize, kills: u8, (count, late): (u8, bool)) -> State {
        let thread = |role| Thread {
            role,
            step: 0,
            rounds: 0,
            mine: 0,
            seen: (0, 0),
            free: 0,
            buffer: Vec::new(),
            asleep: false,
            ended: false,
            killed: false,
        };
        let roles = (0..publishers).map(|cell| Role::Publisher { cell });
        let roles = roles.chain((0..sleepers).map(|_| Role::Sleeper));
        let mut threads: Vec<Thread> = roles.map(thread).collect();
        if let Some(last) = threads.last_mut().filter(|_| late) {
            // A value that the count no longer has, nor comes to again.
            (last.step, last.mine) = (FENCE_PASSED, SLEEPERS | SEQUENCE);
        }
        State { count, cells: vec![EMPTY; publishers], threads, kills_left: kills }
    }

    fn owner_is_dead(&self, cell: usize) -> bool {
        self.threads.iter().any(|t| t.role == Role::Publisher { cell } && t.killed)
    }

    /// A consumer's scan, in the ring's order.
    fn look(&mut self) -> Look {
        for cell in 0..self.cells.len() {
            match self.cells[cell] {
                FULL => {
                    self.cells[cell] = DONE;
                    return Look::Taken;
                }
                DONE => {}
                CLAIMED if self.owner_is_dead(cell) => self.cells[cell] = DONE,
                word => return Look::Refused(cell, word),
            }
        }
        Look::Nothing
    }

    fn flush(&mut self, thread: usize) {
        for (cell, value) in std::mem::take(&mut self.threads[thread].buffer) {
            self.cells[cell] = value;
        }
    }

    fn wake(&mut self, thread: usize) {
        self.threads[thread].asleep = false;
        self.threads[thread].step = 0;
    }

    /// All states that one step of `i` leads to; locked operations and system calls empty its buffer first.
    fn steps_of(&self, i: usize, mutant: Mutant) -> Vec<State> {
        let me = &self.threads[i];
        if me.ended || me.asleep || me.killed {
            return Vec::new();
        }
        let mut s = self.clone();
        let bumped = |count: u8| (count & !SEQUENCE) | (count.wrapping_add(1) & SEQUENCE);
        let announced = |count: u8| {
            let trusted = count & SLEEPERS != 0 || mutant == Mutant::FencedForEver;
            let fenced = if trusted { count & FENCED } else { 0 };
            (count.wrapping_add(1) & SEQUENCE) | SLEEPERS | fenced
        };
        match (me.role, me.step) {
            (Role::Publisher { cell }, 0) => {
                s.cells[cell] = CLAIMED;
                s.threads[i].step = 1;
            }
            (Role::Publisher { cell }, 1) => {
                s.threads[i].buffer.push((cell, FULL));
                s.threads[i].step = 2;
            }
            (Role::Publisher { .. }, 2) => {
                // The load: memory's value, its own store still buffered or not.
                let sleepers = s.count & SLEEPERS != 0 && mutant != Mutant::NoWake;
                s.threads[i].step = 3;
                s.threads[i].ended = !sleepers;
            }
            (Role::Publisher { cell }, 3) => {
                s.flush(i);
                let behind = s.cells[cell + 1..].iter().take_while(|&&word| word == FULL).count();
                s.threads[i].free = if mutant == Mutant::WakesOnlyOne { 1 } else { 1 + behind as u8 };
                if s.count & SLEEPERS == 0 {
                    s.threads[i].ended = true;
                } else {
                    s.count = bumped(s.count);
                    s.threads[i].mine = s.count;
                    s.threads[i].step = 4;
                }
            }
            (Role::Publisher { .. }, 4) => {
                // The kernel wakes so many of those who sleep, whichever.
                let asleep: Vec<usize> = (0..s.threads.len()).filter(|&t| s.threads[t].asleep).collect();
                let n = usize::from(me.free);
                s.threads[i].step = 5;
                s.threads[i].ended = asleep.len() >= n;
                if asleep.len() <= n {
                    asleep.into_iter().for_each(|t| s.wake(t));
                    return vec![s];
                }
                let choices = asleep.iter().map(|&spared| (spared, s.clone()));
                return choices
                    .map(|(spared, mut s)| {
                        assert_eq!(n + 1, asleep.len(), "the shapes have two sleepers at most");
                        asleep.iter().filter(|&&t| t != spared).for_each(|&t| s.wake(t));
                        s
                    })
                    .collect();
            }
            (Role::Publisher { .. }, _) => {
                if s.count == me.mine || mutant == Mutant::ClearsAlways {
                    if me.mine & LONELY == 0 {
                        s.count |= LONELY;
                    } else if mutant == Mutant::FencedForEver {
                        s.count &= !(SLEEPERS | LONELY);
                    } else {
                        s.count &= !(SLEEPERS | FENCED | LONELY);
                    }
                }
                s.threads[i].ended = true;
            }
            (Role::Sleeper, 0 | 3) => match s.look() {
                Look::Taken | Look::Nothing => s.threads[i].ended = true,
                Look::Refused(cell, word) => {
                    s.threads[i].seen = (cell, word);
                    s.threads[i].step += 1;
                    if mutant == Mutant::AnnouncedTooLate && me.step == 0 {
                        s.threads[i].step = 2; // to the membarrier and the look; then it announces and sleeps
                    }
                }
            },
            (Role::Sleeper, 1) => {
                s.threads[i].rounds += 1;
                if s.threads[i].rounds > ROUNDS {
                    return Vec::new();
                }
                let others = s.count & SLEEPERS != 0 && mutant == Mutant::FencedByAnnouncement;
                s.count = announced(s.count);
                let passed = s.count & FENCED != 0 || others;
                if mutant == Mutant::FencedTooEarly {
                    s.count |= FENCED;
                }
                s.threads[i].mine = s.count;
                s.threads[i].step = if passed { 3 } else { 2 };
            }
            (Role::Sleeper, 2) => {
                if mutant != Mutant::NoMembarrier {
                    (0..s.threads.len()).for_each(|t| s.flush(t));
                }
                s.threads[i].step = if mutant == Mutant::AnnouncedTooLate { 3 } else { FENCE_PASSED };
            }
            (Role::Sleeper, FENCE_PASSED) => {
                if s.count == me.mine {
                    s.count |= FENCED;
                    s.threads[i].mine = s.count;
                } else if mutant == Mutant::FencedOverAll {
                    s.count |= FENCED;
                }
                s.threads[i].step = 3;
            }
            (Role::Sleeper, _) => {
                if mutant == Mutant::AnnouncedTooLate {
                    s.count = announced(s.count);
                    s.threads[i].mine = s.count;
                }
                let (cell, word) = me.seen;
                let cell_changed = s.cells[cell] != word && mutant != Mutant::NoCellWatch;
                let owner_died = word == CLAIMED && s.owner_is_dead(cell) && mutant != Mutant::NoOwnerWatch;
                if s.count == s.threads[i].mine && !cell_changed && !owner_died {
                    s.threads[i].asleep = true;
                } else {
                    s.threads[i].step = if mutant == Mutant::AnnouncedTooLate { 2 } else { 1 };
                }
            }
        }
        vec![s]
    }

    /// Everything that can happen next: a step, a store reaching memory, a death.
    fn next(&self, mutant: Mutant) -> Vec<State> {
        let mut all = Vec::new();
        for i in 0..self.threads.len() {
            // A locked operation waits for the buffer: it is possible only once the buffer is empty.
            let locked = matches!(
                (self.threads[i].role, self.threads[i].step),
                (Role::Publisher { .. }, 0 | 3..) | (Role::Sleeper, _)
            );
            if !locked || self.threads[i].buffer.is_empty() {
                all.extend(self.steps_of(i, mutant));
            }
            if !self.threads[i].buffer.is_empty() {
                let mut s = self.clone();
                let (cell, value) = s.threads[i].buffer.remove(0);
                s.cells[cell] = value;
                all.push(s);
            }
            // Inside an operation its pending pointer is at the bell; asleep it is, too.
            if self.kills_left > 0 && !self.threads[i].ended && !self.threads[i].killed {
                let mut s = self.clone();
                s.kills_left -= 1;
                s.flush(i);
                s.threads[i].killed = true;
                s.threads[i].asleep = false;
                if mutant != Mutant::NoBell {
                    let asleep: Vec<usize> = (0..s.threads.len()).filter(|&t| s.threads[t].asleep).collect();
                    asleep.into_iter().for_each(|t| s.wake(t));
                } else {
                    // The owner's slot is marked all the same: who watches it is woken.
                    for t in 0..s.threads.len() {
                        let watched = s.threads[t].asleep && s.threads[t].seen.1 == CLAIMED;
                        if watched && self.threads[i].role == (Role::Publisher { cell: s.threads[t].seen.0 })
                        {
                            s.wake(t);
                        }
                    }
                }
                all.push(s);
            }
        }
        all
    }

    /// Somebody sleeps though there is a message to take.
    fn is_stuck(&self) -> bool {
        let sleeps = self.threads.iter().any(|t| t.asleep);
        sleeps && matches!(self.clone().look(), Look::Taken)
    }
}

/// Explores everything from all starts; the number of states, or a stuck one.
fn explore(publishers: usize, sleepers: usize, kills: u8, mutant: Mutant) -> Result<usize, Box<State>> {
    let from = |start| explore_from(State::new(publishers, sleepers, kills, start), mutant);
    // The largest shape not from all, for the time's sake.
    let starts = if publishers + sleepers > 3 { &STARTS[3..] } else { &STARTS[..] };
    starts.iter().map(|&start| from(start)).sum()
}

fn explore_from(first: State, mutant: Mutant) -> Result<usize, Box<State>> {
    let mut known = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        let next = state.next(mutant);
        // Only a death may still be possible: nobody is obliged to die.
        let moves = next.iter().any(|s| s.kills_left == state.kills_left)
            || state.threads.iter().any(|t| t.rounds > ROUNDS || (t.step == 1 && t.rounds == ROUNDS));
        if !moves && state.is_stuck() {
            return Err(Box::new(state));
        }
        open.extend(next.into_iter().filter(|s| known.insert(s.clone())));
        assert!(known.len() < 6_000_000, "the model has grown too large");
    }
    Ok(known.len())
}

const SHAPES: [(usize, usize, u8); 6] = [(1, 1, 0), (1, 2, 0), (2, 1, 0), (2, 2, 0), (1, 2, 1), (2, 1, 1)];

#[test]
fn nobody_sleeps_beside_a_message() {
    for (publishers, sleepers, kills) in SHAPES {
        match explore(publishers, sleepers, kills, Mutant::None) {
            Ok(states) => {
                println!("{publishers} publishers, {sleepers} sleepers, {kills} deaths: {states} states")
            }
            Err(state) => panic!("{publishers} publishers, {sleepers} sleepers, {kills} deaths: {state:#?}"),
        }
    }
}

#[test]
fn each_mutant_leaves_somebody_asleep_beside_a_message() {
    use Mutant::*;
    // With the smallest shape that shows it.
    for (mutant, (publishers, sleepers, kills)) in [
        (NoMembarrier, (1, 1, 0)),
        (AnnouncedTooLate, (1, 1, 0)),
        (ClearsAlways, (2, 1, 0)),
        (WakesOnlyOne, (2, 2, 0)),
        (NoWake, (1, 1, 0)),
        (NoBell, (1, 2, 1)),
        (NoCellWatch, (2, 1, 1)),
        (NoOwnerWatch, (2, 1, 1)),
        (FencedByAnnouncement, (2, 2, 0)),
        (FencedTooEarly, (2, 2, 0)),
        (FencedOverAll, (2, 2, 0)),
        (FencedForEver, (2, 1, 0)),
    ] {
        let caught = explore(publishers, sleepers, kills, mutant).is_err();
        println!("{mutant:?}: {publishers} publishers, {sleepers} sleepers, {kills} deaths: caught {caught}");
        assert!(caught, "{mutant:?} is not caught: the model cannot see it");
    }
}
