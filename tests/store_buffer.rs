//! The sleepers' protocol of the ring on processors with store buffers, explored state by state.
//!
//! A publisher stores its message and then looks at the event count *without a fence*: its store may still be in its
//! buffer when it looks. The sleeper pays: it announces itself, passes a membarrier (which empties everybody's
//! buffer), looks once more and sleeps. loom has no membarrier and single-stepping has no store buffers, so this
//! model is the proof of that half of `src/queue/event_count.rs`; the model's steps are that file's, in order.
//!
//! | thread | steps |
//! |---|---|
//! | publisher | claim its cell (locked) · store FULL (buffered) · load the count; if its bit is set: fence, bump the sequence (locked) · futex wake, one for each message it set free · if fewer slept, clear the bit if the value is still its own (locked) |
//! | sleeper | look · announce: bump and set the bit (locked) · membarrier · look · futex wait on the count, the refusing cell's word and, if that is claimed, its owner's life · again |
//!
//! At any moment one thread may be killed: its buffer drains (a processor loses no store) and the bell wakes all who
//! sleep. Property: in no state from which nothing can move does anybody sleep while a message is there to be taken.
//! All interleavings and all drain orders are tried, with at most
//! three announcements of each sleeper. Each mutant must break the property.

use std::collections::HashSet;

const SLEEPERS: u8 = 0x80;

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

enum Look {
    Taken,
    Nothing,
    Refused(usize, u8),
}

impl State {
    fn new(publishers: usize, sleepers: usize, kills: u8) -> State {
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
        State {
            count: 0,
            cells: vec![EMPTY; publishers],
            threads: roles.map(thread).collect(),
            kills_left: kills,
        }
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
        let bumped = |count: u8| (count & SLEEPERS) | ((count + 1) & !SLEEPERS);
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
                    s.count &= !SLEEPERS;
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
                s.count = bumped(s.count) | SLEEPERS;
                s.threads[i].mine = s.count;
                s.threads[i].step = 2;
            }
            (Role::Sleeper, 2) => {
                if mutant != Mutant::NoMembarrier {
                    (0..s.threads.len()).for_each(|t| s.flush(t));
                }
                s.threads[i].step = 3;
            }
            (Role::Sleeper, _) => {
                if mutant == Mutant::AnnouncedTooLate {
                    s.count = bumped(s.count) | SLEEPERS;
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

/// Explores everything; the number of states, or a stuck one.
fn explore(publishers: usize, sleepers: usize, kills: u8, mutant: Mutant) -> Result<usize, Box<State>> {
    let first = State::new(publishers, sleepers, kills);
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
    for mutant in [
        NoMembarrier,
        AnnouncedTooLate,
        ClearsAlways,
        WakesOnlyOne,
        NoWake,
        NoBell,
        NoCellWatch,
        NoOwnerWatch,
    ] {
        let caught = SHAPES.iter().find(|&&(p, s, k)| explore(p, s, k, mutant).is_err());
        println!("{mutant:?}: caught by {caught:?}");
        assert!(caught.is_some(), "{mutant:?} is not caught: the model cannot see it");
    }
}
