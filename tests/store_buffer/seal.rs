//! The end of a lane that its consumer closes: see `src/queue/lane/mod.rs`. The model's steps are that file's, in order.
//!
//! | thread | steps |
//! |---|---|
//! | producer, for each of two messages | look at the mark; if it stands: look at the closed word, refused if it is closed · store the tail (buffered) · look at the mark; if it stands: fence, look at the seal: final here: take the tail back, refused; a proposal: withdraw it (locked) |
//! | consumer | mark (locked) · close (locked) · look at the tail, take what is there · propose the end (locked) · membarrier · look at the tail; if it moved: withdraw, look again · make it final (locked); if it was withdrawn: look again |
//!
//! The producer may be killed between any two steps: its buffer drains. Property: what was acknowledged was taken before the end,
//! what was refused was not taken. All interleavings and all drain orders are tried. Each mutant must break the property.

use std::collections::HashSet;

const MESSAGES: u8 = 2;
const NONE: u8 = 0xff;
const FINAL: u8 = 0x80;
const PROPOSED: u8 = 0x40;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mutant {
    None,
    /// The consumer's fence does not reach the producer.
    NoMembarrier,
    /// It makes the end final without another look.
    NoLook,
    /// It proposes the end before it has marked the lane.
    MarkedTooLate,
    /// The producer leaves a proposal as it is.
    NotWithdrawn,
    /// The producer does not look at the seal.
    Untold,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    mark: bool,
    closed: bool,
    tail: u8,
    seal: u8,
    /// The producer's store that nobody else sees yet.
    buffer: Option<u8>,
    /// The producer: its step, what it has published, what was acknowledged, whether it ended refused, or dead.
    step: u8,
    published: u8,
    acknowledged: u8,
    refused: bool,
    dead: bool,
    /// The consumer: its step, and what it has taken.
    look: u8,
    head: u8,
}

const OVER: u8 = 9;

impl State {
    fn new(mutant: Mutant) -> State {
        State {
            mark: false,
            closed: false,
            tail: 0,
            seal: NONE,
            buffer: None,
            step: 0,
            published: 0,
            acknowledged: 0,
            refused: false,
            dead: false,
            look: if mutant == Mutant::MarkedTooLate { 1 } else { 0 },
            head: 0,
        }
    }

    fn drain(&mut self) {
        if let Some(tail) = self.buffer.take() {
            self.tail = tail;
        }
    }

    fn produce(&self, mutant: Mutant) -> Option<State> {
        let mut s = self.clone();
        match self.step {
            0 => {
                if s.acknowledged == MESSAGES {
                    s.step = OVER;
                } else {
                    s.step = if s.mark { 1 } else { 2 };
                }
            }
            1 => {
                s.refused = s.closed;
                s.step = if s.closed { OVER } else { 2 };
            }
            2 => {
                // One store at a time in the buffer: the step before waits, which a processor need not; but the message
                // before was acknowledged behind a look of its own, which is what counts.
                if s.buffer.is_some() {
                    return None;
                }
                s.buffer = Some(s.published + 1);
                s.step = 3;
            }
            3 => {
                // The load: its own store may still be in the buffer.
                if s.mark && mutant != Mutant::Untold {
                    s.step = 4;
                } else {
                    s.published += 1;
                    s.acknowledged += 1;
                    s.step = 0;
                }
            }
            4 => {
                s.drain();
                s.step = 5;
            }
            5 => {
                if s.seal == FINAL | s.published {
                    s.tail = s.published;
                    s.refused = true;
                    s.step = OVER;
                } else {
                    // One locked operation, from exactly what was read.
                    if s.seal != NONE && s.seal & PROPOSED != 0 && mutant != Mutant::NotWithdrawn {
                        s.seal = NONE;
                    }
                    s.published += 1;
                    s.acknowledged += 1;
                    s.step = 0;
                }
            }
            _ => return None,
        }
        Some(s)
    }

    fn consume(&self, mutant: Mutant) -> Option<State> {
        let mut s = self.clone();
        match self.look {
            0 => {
                s.mark = true;
                s.look = if mutant == Mutant::MarkedTooLate { OVER } else { 1 };
            }
            1 => {
                s.closed = true;
                s.look = 2;
            }
            2 => {
                if s.tail != s.head {
                    s.head += 1;
                } else {
                    s.look = 3;
                }
            }
            3 => {
                s.seal = PROPOSED | s.head;
                s.look = 4;
            }
            4 => {
                if mutant != Mutant::NoMembarrier {
                    s.drain();
                }
                s.look = 5;
            }
            5 => {
                if s.tail != s.head && mutant != Mutant::NoLook {
                    s.seal = NONE;
                    s.look = 2;
                } else {
                    s.look = 6;
                }
            }
            6 => {
                if s.seal == PROPOSED | s.head {
                    s.seal = FINAL | s.head;
                    s.look = if mutant == Mutant::MarkedTooLate { 0 } else { OVER };
                } else {
                    s.look = 2;
                }
            }
            _ => return None,
        }
        Some(s)
    }

    fn next(&self, mutant: Mutant) -> Vec<State> {
        let mut all: Vec<State> = self.consume(mutant).into_iter().collect();
        if !self.dead {
            all.extend(self.produce(mutant));
            if self.step != OVER {
                let mut s = self.clone();
                s.drain();
                s.dead = true;
                all.push(s);
            }
        }
        if self.buffer.is_some() {
            let mut s = self.clone();
            s.drain();
            all.push(s);
        }
        all
    }

    fn is_wrong(&self) -> bool {
        let (consumed, produced) = (self.look == OVER, self.step == OVER || self.dead);
        // The end is reached, and nobody changes anything any more.
        let over = consumed && produced && self.buffer.is_none();
        over && (self.head < self.acknowledged || (self.refused && self.head > self.acknowledged))
    }
}

fn explore(mutant: Mutant) -> Result<usize, Box<State>> {
    let first = State::new(mutant);
    let mut known = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        if state.is_wrong() {
            return Err(Box::new(state));
        }
        open.extend(state.next(mutant).into_iter().filter(|s| known.insert(s.clone())));
    }
    Ok(known.len())
}

#[test]
fn what_is_acknowledged_comes_before_the_end_and_what_is_refused_does_not() {
    match explore(Mutant::None) {
        Ok(states) => println!("{states} states"),
        Err(state) => panic!("{state:#?}"),
    }
}

#[test]
fn each_mutant_loses_a_message_behind_the_end() {
    use Mutant::*;
    for mutant in [NoMembarrier, NoLook, MarkedTooLate, NotWithdrawn, Untold] {
        assert!(explore(mutant).is_err(), "{mutant:?} is not caught: the model cannot see it");
    }
}
