//! A processor with store buffers (x86-64's: each thread's stores reach memory in order, and later than its loads), and the
//! search through everything that threads can do on it.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// Memory, and the stores that nobody but their thread sees yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Memory {
    words: Vec<u8>,
    buffers: Vec<Vec<(usize, u8)>>,
}

impl Memory {
    pub fn new(words: Vec<u8>, threads: usize) -> Self {
        Memory { words, buffers: vec![Vec::new(); threads] }
    }

    /// What the thread sees: its own latest store, or memory.
    pub fn load(&self, thread: usize, word: usize) -> u8 {
        let own = self.buffers[thread].iter().rev().find(|&&(at, _)| at == word);
        own.map_or(self.words[word], |&(_, value)| value)
    }

    /// A plain store.
    pub fn store(&mut self, thread: usize, word: usize, value: u8) {
        self.buffers[thread].push((word, value));
    }

    /// What everybody sees who has no store of its own in the way.
    pub fn there(&self, word: usize) -> u8 {
        self.words[word]
    }

    /// A store by a locked operation: the thread's buffer is empty.
    pub fn store_locked(&mut self, thread: usize, word: usize, value: u8) {
        assert!(self.is_drained(thread), "a locked operation waits for the buffer");
        self.words[word] = value;
    }

    /// Whether a locked operation, a full fence or a system call of the thread can happen now.
    pub fn is_drained(&self, thread: usize) -> bool {
        self.buffers[thread].is_empty()
    }

    /// A thread's oldest store reaches memory. False if it has none.
    pub fn drain_one(&mut self, thread: usize) -> bool {
        if self.buffers[thread].is_empty() {
            return false;
        }
        let (word, value) = self.buffers[thread].remove(0);
        self.words[word] = value;
        true
    }

    /// All of a thread's stores reach memory: a death loses none.
    pub fn drain(&mut self, thread: usize) {
        while self.drain_one(thread) {}
    }

    /// Everybody's buffer is emptied.
    pub fn membarrier(&mut self) {
        (0..self.buffers.len()).for_each(|thread| self.drain(thread));
    }
}

/// What is explored: the whole state of memory and threads.
pub trait Protocol: Clone + Eq + Hash + Debug {
    fn memory(&mut self) -> &mut Memory;
    fn threads(&self) -> usize;
    /// All states that the thread's next step leads to; none if it cannot go on now.
    fn steps(&self, thread: usize) -> Vec<Self>;
    /// The thread is killed now, if that may happen. Nobody is obliged to die.
    fn death(&self, thread: usize) -> Option<Self>;
    /// Must be false in every state.
    fn is_wrong(&self) -> bool;
    /// Must be false in every state from which nothing moves.
    fn is_stuck(&self) -> bool;
}

/// Tries all interleavings, drain orders and deaths. The number of states, or a bad one.
pub fn explore<P: Protocol>(first: P) -> Result<usize, Box<P>> {
    let mut known = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        if state.is_wrong() {
            return Err(Box::new(state));
        }
        let mut next = Vec::new();
        for thread in 0..state.threads() {
            next.extend(state.steps(thread));
            let mut drained = state.clone();
            if drained.memory().drain_one(thread) {
                next.push(drained);
            }
        }
        if next.is_empty() && state.is_stuck() {
            return Err(Box::new(state));
        }
        next.extend((0..state.threads()).filter_map(|thread| state.death(thread)));
        open.extend(next.into_iter().filter(|s| known.insert(s.clone())));
        assert!(known.len() < 6_000_000, "the model has grown too large");
    }
    Ok(known.len())
}

/// Runs a protocol in all its shapes; then each of its mutants, which must each fail in one of the shapes.
pub fn check<P: Protocol, M: Copy + Debug, S: Copy + Debug>(
    shapes: &[S],
    none: M,
    mutants: &[M],
    start: impl Fn(S, M) -> P,
) {
    for &shape in shapes {
        match explore(start(shape, none)) {
            Ok(states) => println!("{shape:?}: {states} states"),
            Err(state) => panic!("{shape:?}: {state:#?}"),
        }
    }
    for &mutant in mutants {
        let caught = shapes.iter().find(|&&shape| explore(start(shape, mutant)).is_err());
        println!("{mutant:?}: caught by {caught:?}");
        assert!(caught.is_some(), "{mutant:?} is not caught: the model cannot see it");
    }
}
