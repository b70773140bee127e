//! The state of a work queue, decoded from copied bytes (see `crate::decode`).

use super::layout::{Geometry, Header, NODES_OFF, Node};
use super::word::{self, DEAD, DELAYED, FILLING, LEASED, READY};
use crate::decode::{ObjectBytes, State};
use core::mem::offset_of;

/// How many nodes are visited at most; beyond that the numbers are not exact.
const MOST_NODES: u64 = 1 << 16;
/// How many workers are listed.
const MOST_WORKERS: usize = 32;

/// The state of a work queue: from its nodes, which are the truth.
pub(crate) fn work_queue(object: &ObjectBytes<'_>) -> Option<State> {
    let header = |at: usize| object.word(at as u64);
    let at = offset_of!(Header, geometry);
    let geometry = Geometry::of([header(at)?, header(at + 8)?])?;
    let fits = geometry.size().is_some_and(|need| need as u64 <= object.size);
    if !fits || geometry.words() != object.params {
        return None;
    }
    let closed = header(offset_of!(Header, closed))? == 1;
    let (mut ready, mut delayed, mut leased, mut dead, mut writing, mut most) =
        (0u64, 0u64, 0u64, 0u64, 0u64, 0u32);
    let mut workers = std::vec::Vec::new();
    for index in 0..u64::from(geometry.capacity).min(MOST_NODES) {
        let word = object.word(NODES_OFF as u64 + index * size_of::<Node>() as u64)?;
        match word::state(word) {
            READY => ready += 1,
            DELAYED => delayed += 1,
            DEAD => dead += 1,
            LEASED => leased += 1,
            FILLING => writing += 1,
            _ => continue,
        }
        most = most.max(word::back(word));
        if let Some(id) = word::owner(word).filter(|&id| object.lives(id))
            && word::state(word) == LEASED
            && workers.len() < MOST_WORKERS
            && !workers.contains(&id)
        {
            object.push(&mut workers, id);
        }
    }
    let text = match (closed, ready + delayed + leased) {
        (true, 0) => "closed, all done",
        (true, _) => "closed",
        (false, 0) => "all done",
        (false, _) => "open",
    };
    let sleepers = |at: usize| u64::from(object.waiters(at as u64..at as u64 + 16));
    let state = State::new(text)
        .with(workers, "works")
        .fact("ready", ready)
        .fact("delayed", delayed)
        .fact("leased", leased)
        .fact("being written", writing)
        .fact("dead letters", dead)
        .fact("most times given back", most)
        .fact("capacity", geometry.capacity)
        .fact("longest job", geometry.longest)
        .fact("workers waiting", sleepers(offset_of!(Header, ready)))
        .fact("producers waiting", sleepers(offset_of!(Header, room)))
        .fact("waiting for the end", sleepers(offset_of!(Header, over)));
    Some(state)
}
