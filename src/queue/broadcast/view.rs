//! The state of a broadcast, decoded from copied bytes (see `crate::decode`).

use super::layout::{BroadcastGeometry, Header, Place, SEATS_OFF};
use crate::decode::{ObjectBytes, State};
use crate::member::OwnerId;
use core::mem::offset_of;

/// How many subscribers are listed.
const MOST: usize = 32;

/// The state of a broadcast.
pub(crate) fn broadcast(object: &ObjectBytes<'_>) -> Option<State> {
    let word = |at: usize| object.word(at as u64);
    let at = offset_of!(Header, geometry);
    let geometry = BroadcastGeometry::of([word(at)?, word(at + 8)?])?;
    let fits = geometry.size().is_some_and(|need| need as u64 <= object.size);
    if !fits || geometry.words() != object.params {
        return None;
    }
    let common = offset_of!(Header, common);
    let closed = word(common)? != 0;
    let published = word(offset_of!(Header, tail))?;
    let (mut wait, mut lag, mut slowest, mut missed) = (0u32, 0u32, 0u64, 0u64);
    let mut subscribers = std::vec::Vec::new();
    for index in 0..geometry.subscribers {
        let seat = SEATS_OFF + index as usize * size_of::<Place>();
        let Some(id) = OwnerId::of(word(seat)?).filter(|&id| object.lives(id)) else { continue };
        *(if word(seat + offset_of!(Place, waits))? == 1 { &mut wait } else { &mut lag }) += 1;
        let behind = published.saturating_sub(word(seat + offset_of!(Place, cursor))?);
        slowest = slowest.max(behind);
        missed = missed.saturating_add(word(seat + offset_of!(Place, missed))?);
        if subscribers.len() < MOST && !subscribers.contains(&id) {
            object.push(&mut subscribers, id);
        }
    }
    let text = match (closed, wait + lag) {
        (true, _) => "closed",
        (false, 0) => "nobody subscribes",
        (false, _) => "open",
    };
    let sleepers = |at: usize| u64::from(object.waiters(at as u64..at as u64 + 4));
    let state = State::new(text)
        .with(subscribers, "subscribes")
        .fact("published", published)
        .fact("subscribers waited for", wait)
        .fact("subscribers that lag", lag)
        .fact("the slowest is behind by", slowest)
        .fact("missed by those who lag", missed)
        .fact("capacity", geometry.capacity)
        .fact("longest message", geometry.longest)
        .fact("subscribers asleep", sleepers(common + 8))
        .fact("publishers asleep", sleepers(common + 12));
    Some(state)
}
