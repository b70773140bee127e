//! What a decoder of an object gets and gives: how `interproc inspect` comes to show the state of an object that it has
//! only copied bytes of.
//!
//! Each object has one function `fn(&Look) -> Option<State>` (`sync::view`, `queue::view`) and one row in the table of
//! `shm::decode`. The bytes are untrusted: a decoder reads words through [`Look`], which refuses what lies outside
//! of the object, says `None` when they make no sense, and never goes round a loop more often than it knows beforehand. Where
//! a list finds no memory that is noted, and the whole thrown away at the end.

use crate::heap;
use crate::member::OwnerId;
use core::cell::Cell;
use core::ops::Range;
use std::vec::Vec;

/// An object to be decoded.
pub(crate) struct Look<'a> {
    /// Its bytes.
    pub size: u64,
    /// Its kind's parameters.
    pub params: [u64; 2],
    /// Copies the aligned 64-bit word at a place in the object.
    pub read: &'a dyn Fn(u64) -> Option<u64>,
    /// Copies as many words from a place on.
    pub read_many: &'a dyn Fn(u64, &mut [u64]) -> Option<()>,
    /// The words in the object that somebody sleeps on, as often as somebody does.
    pub sleepers: &'a [u64],
    /// Who has a read hold on the object in its own slot, and how many.
    pub holds: &'a [(OwnerId, u32)],
    /// Whether an owner lives.
    pub lives: &'a dyn Fn(OwnerId) -> bool,
    /// Some list found no memory.
    pub no_memory: Cell<bool>,
}

impl Look<'_> {
    /// A 64-bit word.
    pub fn word(&self, at: u64) -> Option<u64> {
        let fits = at.is_multiple_of(8) && at.checked_add(8).is_some_and(|end| end <= self.size);
        if fits { (self.read)(at) } else { None }
    }

    /// Goes over `count` 64-bit words from a place on.
    pub fn words(&self, at: u64, count: u64, mut each: impl FnMut(u64)) -> Option<()> {
        const AT_ONCE: u64 = 512;
        let len = count.checked_mul(8)?;
        if !at.is_multiple_of(8) || at.checked_add(len).is_none_or(|end| end > self.size) {
            return None;
        }
        let mut buffer = [0; AT_ONCE as usize];
        for from in (0..count).step_by(AT_ONCE as usize) {
            let some = &mut buffer[..(count - from).min(AT_ONCE) as usize];
            (self.read_many)(at + 8 * from, some)?;
            some.iter().for_each(|&word| each(word));
        }
        Some(())
    }

    /// How many sleep on a word in these bytes of the object.
    pub fn waiters(&self, bytes: Range<u64>) -> u32 {
        self.sleepers.iter().filter(|at| bytes.contains(at)).count() as u32
    }

    /// Lengthens a list.
    pub fn push<T>(&self, list: &mut Vec<T>, element: T) {
        if heap::push(list, element).is_err() {
            self.no_memory.set(true);
        }
    }

    /// Whether an owner lives.
    pub fn lives(&self, id: OwnerId) -> bool {
        (self.lives)(id)
    }
}

/// What a decoder says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// In a word or two: `free`, `held`.
    pub text: &'static str,
    /// Who holds it or stands in the way, and what they do: `holds`, `blocks`.
    pub holders: Vec<(OwnerId, &'static str)>,
    /// What else there is to know.
    pub facts: Vec<(&'static str, u64)>,
    /// One of them found no memory.
    pub no_memory: bool,
}

impl State {
    /// A state in a word or two.
    pub fn new(text: &'static str) -> State {
        State { text, ..State::default() }
    }

    /// With somebody who has a part in it.
    pub fn with(mut self, who: impl IntoIterator<Item = OwnerId>, part: &'static str) -> State {
        for id in who {
            self.no_memory |= heap::push(&mut self.holders, (id, part)).is_err();
        }
        self
    }

    /// With a number.
    pub fn fact(mut self, name: &'static str, value: impl Into<u64>) -> State {
        self.no_memory |= heap::push(&mut self.facts, (name, value.into())).is_err();
        self
    }
}
