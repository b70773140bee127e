//! The end of a queue of several consumers: see `src/queue/head.rs`. The model's steps are that file's, in order.
//!
//! | thread | steps |
//! |---|---|
//! | reader, which has claimed the last message before the close | free it (buffered) · look at the producers' count; if it is marked: fence, move the consumers' count, wake (locked) |
//! | closer | mark both counts (locked) · membarrier · close (locked) · move the consumers' count, wake (locked) |
//! | consumer | announce (locked), without a membarrier of its own, as one has been passed · if the count was marked, look at the closed word · look at the message, and if it is free at the closed word: the end · sleep, if count and closed word are as they were |
//!
//! Property: in no state from which nothing can move is the consumer asleep. Where the reader dies, its slot wakes the consumer. All
//! interleavings and all drain orders are tried. Each mutant must break the property.

use crate::machine::{Memory, Protocol, check};

const MESSAGE: usize = 0;
const PRODUCERS_MARK: usize = 1;
const CONSUMERS_MARK: usize = 2;
const CONSUMERS: usize = 3;
const CLOSED: usize = 4;

const READER: usize = 0;
const CLOSER: usize = 1;
const CONSUMER: usize = 2;

/// The consumer announces itself at most so often.
const ROUNDS: u8 = 4;
const OVER: u8 = 10;
const ASLEEP: u8 = 11;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Mutant {
    None,
    /// The closer's fence does not reach the reader.
    NoMembarrier,
    /// It passes the fence before it marks the counts.
    MarkedTooLate,
    /// The reader looks at the closed word instead of the mark.
    LooksAtClosed,
    /// The reader looks at nothing.
    Untold,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct End {
    mutant: Mutant,
    memory: Memory,
    steps: [u8; 3],
    rounds: u8,
    /// What the consumer saw: its announcement, and the closed word if the count was marked.
    announced: u8,
    closed: Option<u8>,
}

impl End {
    fn new(mutant: Mutant) -> End {
        let memory = Memory::new(vec![0; 5], 3);
        End { mutant, memory, steps: [0; 3], rounds: 0, announced: 0, closed: None }
    }

    /// Moves the consumers' count and wakes them, all in one step: what lies between is the sleepers' protocol's.
    fn wake(&mut self, thread: usize) {
        let moved = self.memory.there(CONSUMERS) + 1;
        self.memory.store_locked(thread, CONSUMERS, moved);
        if self.steps[CONSUMER] == ASLEEP {
            self.steps[CONSUMER] = 0;
        }
    }

    fn read(mut self) -> Option<End> {
        let m = &mut self.memory;
        match self.steps[READER] {
            0 => {
                m.store(READER, MESSAGE, 1);
                self.steps[READER] = 1;
            }
            1 => {
                let told = match self.mutant {
                    Mutant::Untold => 0,
                    Mutant::LooksAtClosed => m.load(READER, CLOSED),
                    _ => m.load(READER, PRODUCERS_MARK),
                };
                self.steps[READER] = if told != 0 { 2 } else { OVER };
            }
            2 if m.is_drained(READER) => {
                self.wake(READER);
                self.steps[READER] = OVER;
            }
            _ => return None,
        }
        Some(self)
    }

    fn close(mut self) -> Option<End> {
        let (m, step) = (&mut self.memory, &mut self.steps[CLOSER]);
        let fence = if self.mutant == Mutant::MarkedTooLate { 0 } else { 2 };
        let marks = if fence == 0 { 1 } else { 0 };
        match *step {
            at if at == fence => {
                if self.mutant != Mutant::NoMembarrier {
                    m.membarrier();
                }
            }
            at if at == marks => m.store_locked(CLOSER, CONSUMERS_MARK, 1),
            at if at == marks + 1 => m.store_locked(CLOSER, PRODUCERS_MARK, 1),
            3 => m.store_locked(CLOSER, CLOSED, 1),
            4 => self.wake(CLOSER),
            _ => return None,
        }
        self.steps[CLOSER] += 1;
        Some(self)
    }

    fn consume(mut self) -> Option<End> {
        let m = &mut self.memory;
        let next = match self.steps[CONSUMER] {
            0 if self.rounds < ROUNDS => {
                self.rounds += 1;
                self.announced = m.there(CONSUMERS) + 1;
                m.store_locked(CONSUMER, CONSUMERS, self.announced);
                self.closed = None;
                if m.there(CONSUMERS_MARK) != 0 { 1 } else { 2 }
            }
            1 => {
                self.closed = Some(m.load(CONSUMER, CLOSED));
                2
            }
            2 => {
                if m.load(CONSUMER, MESSAGE) != 0 {
                    3
                } else {
                    4
                }
            }
            3 => {
                if m.load(CONSUMER, CLOSED) != 0 {
                    OVER
                } else {
                    4
                }
            }
            4 => {
                let same = m.there(CONSUMERS) == self.announced
                    && self.closed.is_none_or(|closed| m.there(CLOSED) == closed);
                if same { ASLEEP } else { 0 }
            }
            _ => return None,
        };
        self.steps[CONSUMER] = next;
        Some(self)
    }
}

impl Protocol for End {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn threads(&self) -> usize {
        3
    }

    fn steps(&self, thread: usize) -> Vec<Self> {
        let s = self.clone();
        let next = match thread {
            READER => s.read(),
            CLOSER => s.close(),
            _ => s.consume(),
        };
        next.into_iter().collect()
    }

    fn death(&self, _: usize) -> Option<Self> {
        None
    }

    fn is_wrong(&self) -> bool {
        false
    }

    fn is_stuck(&self) -> bool {
        self.steps[CONSUMER] == ASLEEP
    }
}

#[test]
fn who_waits_for_the_end_behind_a_read_is_told() {
    use Mutant::*;
    check(&[()], None, &[NoMembarrier, MarkedTooLate, LooksAtClosed, Untold], |(), mutant| End::new(mutant));
}
