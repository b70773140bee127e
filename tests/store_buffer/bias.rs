//! The bias of the reader-writer lock (`src/sync/raw_rwlock/`, edges R3 and R4): a reader writes its hold and looks at the
//! gate, and later clears its hold and looks for sleepers, *both times without a fence*. The writer pays.
//!
//! | thread | steps |
//! |---|---|
//! | reader | load the gate: KEPT · hold := 1 (buffered) · load the gate: still KEPT and no writer · inside · hold := 0 (buffered) · load its sleepers' word; if somebody sleeps: clear and count (locked) · futex wake |
//! | writer | take the gate (locked); without KEPT: inside · else membarrier · look at each hold; one stands: announce (locked) · membarrier · look again · futex wait on the sleepers' word and the reader's life · none stands: clear KEPT (locked) · inside · gate := 0 (buffered) |
//!
//! Where there is no membarrier each reader has a full fence between its store and its load instead.
//!
//! Property: a writer is never inside beside a reader or another writer, and where nothing moves no writer sleeps for a
//! hold that is gone or a reader that is dead.

use crate::machine::{Memory, Protocol, check};

const KEPT: u8 = 1;
const WRITER: u8 = 2;
const SLEEPERS: u8 = 0x80;

const GATE: usize = 0;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Mutant {
    None,
    /// R3: the writer's fence before it looks at the holds does not reach the readers.
    NoFenceBeforeTheHolds,
    /// R3: the compiler moves the reader's look at the gate before its hold.
    GateBeforeHold,
    /// R3: where fences are full, the reader has none there.
    NoFullFenceIn,
    /// R4: the writer's fence between its announcement and its look does not reach the readers.
    NoFenceBeforeTheSleep,
    /// R4: the compiler moves the reader's look for sleepers before the end of its hold.
    SleepersBeforeHold,
    /// R4: where fences are full, the reader has none there.
    NoFullFenceOut,
    /// The reader does not look whether its hold counts.
    WithoutKept,
    /// The writer does not look again once it has announced itself.
    NoLook,
    /// The reader that leaves does not wake.
    NoWake,
    /// The writer does not watch the reader's life.
    NoOwnerWatch,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    // Reader:
    Come,
    /// What the compiler has moved before the hold, or before its end.
    EarlyGate,
    Hold,
    FullFenceIn,
    LookAtGate,
    Reading,
    EarlySleepers,
    Leave,
    FullFenceOut,
    LookForSleepers,
    Count,
    Wake,
    // Writer:
    Take,
    Fence,
    LookAtHold,
    Announce,
    FenceAgain,
    LookAgain,
    Sleep,
    Drained,
    Writing,
    Ended,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Thread {
    at: At,
    turns: u8,
    /// A writer's: which hold it looks at. A reader's: what a look moved by the compiler saw.
    seen: u8,
    /// What a writer made of the sleepers' word.
    mine: u8,
    asleep: bool,
    killed: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    memory: Memory,
    threads: Vec<Thread>,
    readers: usize,
    kills: u8,
    full_fences: bool,
    mutant: Mutant,
}

/// Readers, writers, how often each comes, deaths among the readers; whether fences are full.
type Shape = (usize, usize, u8, u8, bool);

impl State {
    fn new((readers, writers, turns, kills, full_fences): Shape, mutant: Mutant) -> State {
        let thread = |n: usize| Thread {
            at: if n < readers { At::Come } else { At::Take },
            turns,
            seen: 0,
            mine: 0,
            asleep: false,
            killed: false,
        };
        State {
            memory: Memory::new([vec![KEPT], vec![0; 2 * readers]].concat(), readers + writers),
            threads: (0..readers + writers).map(thread).collect(),
            readers,
            kills,
            full_fences,
            mutant,
        }
    }

    fn hold(&self, reader: usize) -> usize {
        1 + reader
    }

    fn sleepers(&self, reader: usize) -> usize {
        1 + self.readers + reader
    }

    fn go(mut self, thread: usize, at: At) -> Vec<State> {
        self.threads[thread].at = at;
        vec![self]
    }

    /// Whether a hold stands in a writer's way.
    fn stands(&self, writer: usize, reader: usize) -> bool {
        !self.threads[reader].killed && self.memory.load(writer, self.hold(reader)) != 0
    }

    fn wake_writers(&mut self, reader: usize) {
        let readers = self.readers;
        for writer in &mut self.threads[readers..] {
            if writer.asleep && usize::from(writer.seen) == reader {
                (writer.asleep, writer.at) = (false, At::LookAtHold);
            }
        }
    }

    fn reader(&self, i: usize) -> Vec<State> {
        let me = &self.threads[i];
        let mut s = self.clone();
        match me.at {
            // The other ways in are by read-modify-writes.
            At::Come if self.memory.load(i, GATE) != KEPT => s.go(i, At::Ended),
            At::Come if self.mutant == Mutant::GateBeforeHold => s.go(i, At::EarlyGate),
            At::Come => s.go(i, At::Hold),
            At::EarlyGate => {
                s.threads[i].seen = self.memory.load(i, GATE);
                s.go(i, At::Hold)
            }
            At::Hold => {
                s.memory.store(i, self.hold(i), 1);
                s.go(i, if self.full_fences { At::FullFenceIn } else { At::LookAtGate })
            }
            At::FullFenceIn => s.go(i, At::LookAtGate),
            At::LookAtGate => {
                let early = self.mutant == Mutant::GateBeforeHold;
                let gate = if early { me.seen } else { self.memory.load(i, GATE) };
                if gate == KEPT || gate == 0 && self.mutant == Mutant::WithoutKept {
                    return s.go(i, At::Reading);
                }
                s.go(i, At::Leave)
            }
            At::Reading if self.mutant == Mutant::SleepersBeforeHold => s.go(i, At::EarlySleepers),
            At::Reading => s.go(i, At::Leave),
            At::EarlySleepers => {
                s.threads[i].seen = self.memory.load(i, self.sleepers(i));
                s.go(i, At::Leave)
            }
            At::Leave => {
                s.memory.store(i, self.hold(i), 0);
                s.go(i, if self.full_fences { At::FullFenceOut } else { At::LookForSleepers })
            }
            At::FullFenceOut => s.go(i, At::LookForSleepers),
            At::LookForSleepers => {
                let early = self.mutant == Mutant::SleepersBeforeHold;
                let word = if early { me.seen } else { self.memory.load(i, self.sleepers(i)) };
                s.go(i, if word & SLEEPERS != 0 { At::Count } else { At::Ended })
            }
            At::Count => {
                let word = s.memory.there(self.sleepers(i));
                s.memory.store_locked(i, self.sleepers(i), word.wrapping_add(1) & !SLEEPERS);
                s.go(i, if self.mutant == Mutant::NoWake { At::Ended } else { At::Wake })
            }
            At::Wake => {
                s.wake_writers(i);
                s.go(i, At::Ended)
            }
            _ => Vec::new(),
        }
    }

    fn writer(&self, i: usize) -> Vec<State> {
        let me = &self.threads[i];
        let reader = usize::from(me.seen);
        let mut s = self.clone();
        match me.at {
            At::Take => {
                let gate = s.memory.there(GATE);
                if gate & WRITER != 0 {
                    return Vec::new(); // its turn comes
                }
                s.memory.store_locked(i, GATE, gate | WRITER);
                s.threads[i].seen = 0;
                s.go(i, if gate & KEPT != 0 { At::Fence } else { At::Writing })
            }
            At::Fence => {
                if !self.full_fences && self.mutant != Mutant::NoFenceBeforeTheHolds {
                    s.memory.membarrier();
                }
                s.go(i, At::LookAtHold)
            }
            At::LookAtHold if reader == self.readers => s.go(i, At::Drained),
            At::LookAtHold => {
                if self.stands(i, reader) {
                    return s.go(i, At::Announce);
                }
                s.threads[i].seen += 1;
                vec![s]
            }
            At::Announce => {
                let word = s.memory.there(self.sleepers(reader)).wrapping_add(1) | SLEEPERS;
                s.memory.store_locked(i, self.sleepers(reader), word);
                s.threads[i].mine = word;
                s.go(i, At::FenceAgain)
            }
            At::FenceAgain => {
                if !self.full_fences && self.mutant != Mutant::NoFenceBeforeTheSleep {
                    s.memory.membarrier();
                }
                s.go(i, if self.mutant == Mutant::NoLook { At::Sleep } else { At::LookAgain })
            }
            At::LookAgain => {
                let stands = self.memory.load(i, self.hold(reader)) != 0;
                s.go(i, if stands { At::Sleep } else { At::LookAtHold })
            }
            At::Sleep => {
                let died = self.threads[reader].killed && self.mutant != Mutant::NoOwnerWatch;
                if s.memory.there(self.sleepers(reader)) != me.mine || died {
                    return s.go(i, At::LookAtHold);
                }
                s.threads[i].asleep = true;
                vec![s]
            }
            At::Drained => {
                s.memory.store_locked(i, GATE, WRITER);
                s.go(i, At::Writing)
            }
            At::Writing => {
                s.memory.store(i, GATE, 0);
                s.go(i, At::Ended)
            }
            _ => Vec::new(),
        }
    }
}

impl Protocol for State {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn threads(&self) -> usize {
        self.threads.len()
    }

    fn steps(&self, i: usize) -> Vec<State> {
        use At::*;
        let me = &self.threads[i];
        if me.killed || me.asleep {
            return Vec::new();
        }
        let waits = match me.at {
            FullFenceIn => self.mutant != Mutant::NoFullFenceIn,
            FullFenceOut => self.mutant != Mutant::NoFullFenceOut,
            Count | Wake | Take | Announce | FenceAgain | Sleep | Fence | Drained => true,
            _ => false,
        };
        if waits && !self.memory.is_drained(i) {
            return Vec::new();
        }
        let mut next = if i < self.readers { self.reader(i) } else { self.writer(i) };
        for s in &mut next {
            if s.threads[i].at == Ended && s.threads[i].turns > 1 {
                s.threads[i].turns -= 1;
                s.threads[i].at = if i < self.readers { Come } else { Take };
            }
        }
        next
    }

    fn death(&self, i: usize) -> Option<State> {
        if self.kills == 0 || i >= self.readers || self.threads[i].killed || self.threads[i].at == At::Ended {
            return None;
        }
        let mut s = self.clone();
        s.kills -= 1;
        s.memory.drain(i);
        s.threads[i].killed = true;
        if self.mutant != Mutant::NoOwnerWatch {
            s.wake_writers(i);
        }
        Some(s)
    }

    fn is_wrong(&self) -> bool {
        let count =
            |places: &[At]| self.threads.iter().filter(|t| places.contains(&t.at) && !t.killed).count();
        let (reading, writing) = (count(&[At::Reading, At::EarlySleepers]), count(&[At::Writing]));
        writing > 1 || writing == 1 && reading > 0
    }

    fn is_stuck(&self) -> bool {
        self.threads[self.readers..].iter().any(|t| {
            let reader = usize::from(t.seen);
            t.asleep && (self.memory.there(self.hold(reader)) == 0 || self.threads[reader].killed)
        })
    }
}

#[test]
fn a_hold_is_seen_by_its_writer_and_its_end_by_the_sleeper() {
    use Mutant::*;
    let mut shapes: Vec<Shape> = Vec::new();
    for full_fences in [false, true] {
        shapes.extend(
            [(1, 1, 1, 0), (1, 1, 2, 0), (1, 2, 1, 0), (2, 1, 1, 0), (1, 2, 1, 1), (2, 1, 2, 1)]
                .map(|(readers, writers, turns, kills)| (readers, writers, turns, kills, full_fences)),
        );
    }
    let mutants = [
        NoFenceBeforeTheHolds,
        GateBeforeHold,
        NoFullFenceIn,
        NoFenceBeforeTheSleep,
        SleepersBeforeHold,
        NoFullFenceOut,
        WithoutKept,
        NoLook,
        NoWake,
        NoOwnerWatch,
    ];
    check(&shapes, None, &mutants, State::new);
}
