//! The state of locks and signals, read from copied bytes (see `crate::decode`).

use super::cells::{CELLS_OFF, cells_size};
use super::raw_mutex::{AWAITED, DIRTY, DRAINING, KEPT, NOT_RECOVERABLE, READING};
use super::raw_once::{BEGUN, DONE};
use super::raw_rwlock::{CELLS, COUNT, ONE};
use super::{RawRwLock, raw_barrier, raw_event, raw_recursive_mutex};
use crate::decode::{ObjectBytes, State};
use crate::error::Result;
use crate::fallible;
use crate::member::{Life, OwnerId, Table};
use std::vec::Vec;

/// The state of a `RawMutex` at the object's start.
pub(crate) fn mutex(object: &ObjectBytes<'_>) -> Option<State> {
    let word = object.word(0)?;
    if word & NOT_RECOVERABLE != 0 {
        return Some(State::new("not recoverable"));
    }
    let Some(owner) = OwnerId::of(word) else {
        let text = if word & DIRTY != 0 { "free, a holder died" } else { "free" };
        return (word & !(KEPT | AWAITED | DIRTY) == 0).then(|| State::new(text));
    };
    let text = match (object.lives(owner), word & DIRTY != 0) {
        (true, false) => "held",
        (true, true) => "held, being repaired",
        (false, _) => "its holder died",
    };
    Some(State::new(text).with([owner], "holds"))
}

/// The state of a `RawRecursiveMutex` at the object's start.
pub(crate) fn recursive_mutex(object: &ObjectBytes<'_>) -> Option<State> {
    let (state, hold) = (mutex(object)?, object.word(16)?);
    let owner = state.holders.first().map(|&(id, _)| id);
    let depth =
        if owner.is_some() && OwnerId::of(hold) == owner { raw_recursive_mutex::depth(hold) } else { 0 };
    Some(state.fact("depth", depth))
}

/// The state of a `RawRwLock` at the object's start.
pub(crate) fn rwlock(object: &ObjectBytes<'_>) -> Option<State> {
    let gate = object.word(0)?;
    let mut readers = Vec::new();
    let mut reads = 0;
    for index in 0..CELLS as u64 {
        let cell = object.word(16 + 8 * index)?;
        if let Some(reader) = OwnerId::of(cell).filter(|&id| object.lives(id)) {
            object.push(&mut readers, reader);
            reads += (cell & COUNT) / ONE;
        }
    }
    if gate & KEPT != 0 {
        for &(reader, times) in object.holds {
            object.push(&mut readers, reader);
            reads += u64::from(times);
        }
    }
    distinct(&mut readers);
    if gate & NOT_RECOVERABLE != 0 {
        return Some(State::new("not recoverable"));
    }
    let read = if readers.is_empty() { "free" } else { "read" };
    let state = |text| State::new(text).with(readers.iter().copied(), "reads").fact("reads", reads);
    let Some(owner) = OwnerId::of(gate) else {
        let text = if gate & DIRTY != 0 { "free, its writer died" } else { read };
        return (gate & !(KEPT | DIRTY) == 0).then(|| state(text));
    };
    let state = match (object.lives(owner), gate & (READING | DRAINING)) {
        // On its way in, or dead on the way: the lock's state is unchanged.
        (_, READING) | (false, DRAINING) => state(read),
        (true, DRAINING) => state("read, a writer waits").with([owner], "is next to write"),
        (true, _) if gate & DIRTY != 0 => state("written, being repaired").with([owner], "writes"),
        (true, _) => state("written").with([owner], "writes"),
        (false, _) => state("its writer died").with([owner], "wrote"),
    };
    Some(state)
}

/// The state of a `RawSemaphore`.
pub(crate) fn semaphore(object: &ObjectBytes<'_>) -> Option<State> {
    let value = object.word(0)? as u32;
    Some(State::new(if value == 0 { "none left" } else { "open" }).fact("value", value))
}

/// The state of a `RawEvent`.
pub(crate) fn event(object: &ObjectBytes<'_>) -> Option<State> {
    Some(State::new(if object.word(0)? & raw_event::SET != 0 { "set" } else { "not set" }))
}

/// The state of a `RawCondvar`.
pub(crate) fn condvar(object: &ObjectBytes<'_>) -> Option<State> {
    object.word(8)?;
    Some(State::new(if object.waiters(0..16) == 0 { "idle" } else { "waited for" }))
}

/// The state of a `RawOnce` at the object's start.
pub(crate) fn once(object: &ObjectBytes<'_>) -> Option<State> {
    let (lock, state) = (object.word(0)?, object.word(16)?);
    let text = match (OwnerId::of(lock), state) {
        // A thread that has the lock now found it done.
        (_, DONE) => return Some(State::new("done")),
        (_, state) if state > DONE => return None,
        (Some(owner), _) => {
            let text = if object.lives(owner) { "being done" } else { "died at it" };
            return Some(State::new(text).with([owner], "is at it"));
        }
        (None, BEGUN) => "given up",
        (None, _) => "not done",
    };
    Some(State::new(text))
}

/// The taken cells of a semaphore or barrier; `None` if it contradicts its parameters.
fn row(object: &ObjectBytes<'_>) -> Option<Vec<(OwnerId, u64)>> {
    let [count, _] = object.params;
    let need = cells_size(usize::try_from(count).ok()?)?;
    if need as u64 > object.size || object.word(0)? != count {
        return None;
    }
    let mut cells = Vec::new();
    object.words(CELLS_OFF as u64, count, |cell| {
        // The highest slot number is nobody's: it means "free, with news".
        let owner = OwnerId::of(cell).filter(|id| id.slot() != u16::MAX.into());
        if let Some(id) = owner {
            object.push(&mut cells, (id, cell));
        }
    })?;
    Some(cells)
}

/// The state of a `RawBoundedSemaphore`.
pub(crate) fn bounded_semaphore(object: &ObjectBytes<'_>) -> Option<State> {
    let cells = row(object)?;
    let permits = object.params[0];
    let held = cells.iter().filter(|(id, _)| object.lives(*id)).count() as u64;
    let mut holders = Vec::new();
    cells.iter().for_each(|&(id, _)| object.push(&mut holders, id));
    distinct(&mut holders);
    let text = match permits - held {
        0 => "none left",
        n if n == permits => "free",
        _ => "open",
    };
    // The turnstile follows the count and the word.
    let front = OwnerId::of(object.word(16)?).filter(|&id| object.lives(id));
    let state = State::new(text).with(holders, "holds").with(front, "is next");
    Some(state.fact("permits", permits).fact("available", permits - held))
}

/// The state of a `RawBarrier`.
pub(crate) fn barrier(object: &ObjectBytes<'_>) -> Option<State> {
    let (cells, word) = (row(object)?, object.word(8)?);
    let round = raw_barrier::arrived_in(raw_barrier::generation(word));
    let here = |cell: u64| raw_barrier::marks(cell) == round;
    let broken = word & raw_barrier::BROKEN != 0 || cells.iter().any(|(id, _)| !object.lives(*id));
    let come = cells.iter().filter(|&&(_, cell)| here(cell)).count() as u64;
    let text = match come {
        _ if broken => "broken",
        0 => "nobody has come",
        _ => "some have come",
    };
    let part =
        |has_come: bool| cells.iter().filter(move |&&(_, cell)| here(cell) == has_come).map(|&(id, _)| id);
    let state = State::new(text).with(part(true), "has come").with(part(false), "has a seat");
    Some(state.fact("parties", object.params[0]).fact("come", come).fact("seated", cells.len() as u64))
}

/// Each of them once.
fn distinct(ids: &mut Vec<OwnerId>) {
    ids.sort_unstable_by_key(|id| id.bits());
    ids.dedup();
}

impl RawRwLock {
    /// The writer, dead or alive, and the living readers: a snapshot. The lock's file offset is its name.
    ///
    /// # Errors
    /// No memory.
    pub(crate) fn holders(&self, table: &Table, name: u64) -> Result<Vec<OwnerId>> {
        let mut holders = fallible::collected(self.holding_writer())?;
        let mut kept = Ok(());
        let lives = |id| table.life(id) != Life::Dead;
        self.for_each_reader_of(table, name, lives, |reader, _| {
            if kept.is_ok() {
                kept = fallible::push(&mut holders, reader);
            }
        });
        kept.map(|()| holders)
    }
}
