//! What a decoder of an object gets and returns: [`ObjectBytes`] and [`State`]. With them `interproc inspect` shows the
//! state of an object of which it has only copied bytes.
//!
//! Each type has one decoder, `fn(&ObjectBytes) -> Option<State>`, and one row in the table `inspect::decoders`. A decoder
//! lies beside its type (`sync::view`, `queue::mpmc::view`, `pipe::view`, ...), because it reads the type's private layout
//! by field and by bit: elsewhere that layout would have to be public in the crate. This module is below all of them, the
//! table above.
//!
//! The bytes are untrusted. A decoder reads words through [`ObjectBytes`], which refuses what lies outside of the object;
//! it returns `None` when they make no sense; and it knows in advance how often a loop runs. If a list finds no memory,
//! that is noted and the whole state is thrown away at the end.

use crate::fallible;
use crate::member::OwnerId;
use core::cell::Cell;
use core::ops::Range;
use std::vec::Vec;

/// An object to be decoded.
pub(crate) struct ObjectBytes<'a> {
    /// Its size in bytes.
    pub size: u64,
    /// Its kind's parameters.
    pub params: [u64; 2],
    /// Copies the aligned 64-bit word at an offset in the object.
    pub read: &'a dyn Fn(u64) -> Option<u64>,
    /// Fills the slice with the words from an offset on.
    pub read_many: &'a dyn Fn(u64, &mut [u64]) -> Option<()>,
    /// The offsets of the words that members sleep on: one entry a sleeper.
    pub sleepers: &'a [u64],
    /// The members with a read hold on the object in their own slots, and how many each has.
    pub holds: &'a [(OwnerId, u32)],
    /// Whether an owner is alive.
    pub lives: &'a dyn Fn(OwnerId) -> bool,
    /// A list found no memory.
    pub no_memory: Cell<bool>,
}

impl ObjectBytes<'_> {
    /// A 64-bit word.
    pub fn word(&self, at: u64) -> Option<u64> {
        let fits = at.is_multiple_of(8) && at.checked_add(8).is_some_and(|end| end <= self.size);
        if fits { (self.read)(at) } else { None }
    }

    /// Calls `each` for `count` 64-bit words from an offset on.
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

    /// How many members sleep on a word in these bytes of the object.
    pub fn waiters(&self, bytes: Range<u64>) -> u32 {
        self.sleepers.iter().filter(|at| bytes.contains(at)).count() as u32
    }

    /// Appends to a list.
    pub fn push<T>(&self, list: &mut Vec<T>, element: T) {
        if fallible::push(list, element).is_err() {
            self.no_memory.set(true);
        }
    }

    /// Whether an owner is alive.
    pub fn lives(&self, id: OwnerId) -> bool {
        (self.lives)(id)
    }
}

/// What a decoder says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// In a word or two: `free`, `held`.
    pub text: &'static str,
    /// Who holds it or blocks others, and how: `holds`, `blocks`.
    pub holders: Vec<(OwnerId, &'static str)>,
    /// More, as numbers with names.
    pub facts: Vec<(&'static str, u64)>,
    /// A list found no memory.
    pub no_memory: bool,
}

impl State {
    /// A state in a word or two.
    pub fn new(text: &'static str) -> State {
        State { text, ..State::default() }
    }

    /// Adds those who have this part in it.
    pub fn with(mut self, who: impl IntoIterator<Item = OwnerId>, part: &'static str) -> State {
        for id in who {
            self.no_memory |= fallible::push(&mut self.holders, (id, part)).is_err();
        }
        self
    }

    /// Adds a number.
    pub fn fact(mut self, name: &'static str, value: impl Into<u64>) -> State {
        self.no_memory |= fallible::push(&mut self.facts, (name, value.into())).is_err();
        self
    }
}
