//! The state of pipes, read from copied bytes (see `crate::decode`).

use super::layout::{CALL_WORDS, Geometry, Head, SLOTS_OFF};
use crate::decode::{ObjectBytes, State};
use crate::member::OwnerId;
use crate::queue::byte_lane::UNIT;
use crate::queue::lane::lane as lane_at;
use core::mem::offset_of;

/// The ends of at most so many pipes are named.
const SHOWN: usize = 8;

/// The pipes of an object.
struct Pipes<'a> {
    object: &'a ObjectBytes<'a>,
    geometry: Geometry,
    stride: u64,
}

fn pipes<'a>(object: &'a ObjectBytes<'a>) -> Option<Pipes<'a>> {
    let word = |at: usize| object.word(at as u64).and_then(|word| usize::try_from(word).ok());
    let geometry = Geometry {
        slots: word(offset_of!(Head, slots))?,
        lanes: word(offset_of!(Head, lanes))?,
        units: word(offset_of!(Head, units))?,
        longest: word(offset_of!(Head, longest))?,
    };
    let need = geometry.size()? as u64;
    let fits = need <= object.size && geometry.params() == object.params;
    fits.then_some(Pipes { object, geometry, stride: geometry.lane_stride()? as u64 })
}

/// One direction: who has its ends, the bytes in it, whether it is closed.
struct Lane {
    ends: [Option<OwnerId>; 2],
    bytes: u64,
    closed: bool,
}

impl Pipes<'_> {
    fn lane(&self, slot: usize, lane: usize) -> Option<Lane> {
        let at = SLOTS_OFF as u64 + (slot * self.geometry.lanes + lane) as u64 * self.stride;
        let seen = lane_at(self.object, at, UNIT as u64, self.geometry.units as u64)?;
        let living = |end: Option<OwnerId>| end.filter(|&id| self.object.lives(id));
        let ends = [seen.producer, seen.consumer].map(living);
        Some(Lane { ends, bytes: seen.depth * UNIT as u64, closed: seen.is_closed })
    }
}

/// The state of a pipe, one way or both.
pub(crate) fn pipe(object: &ObjectBytes<'_>) -> Option<State> {
    let pipes = pipes(object).filter(|pipes| pipes.geometry.slots == 1)?;
    let there = pipes.lane(0, 0)?;
    let back = if pipes.geometry.lanes == 2 { Some(pipes.lane(0, 1)?) } else { None };
    let lanes = || [Some(&there), back.as_ref()].into_iter().flatten();
    let mut ends = lanes().flat_map(|lane| lane.ends);
    let text = match () {
        () if ends.clone().all(|end| end.is_none()) => "free",
        () if lanes().all(|lane| lane.closed) => "closed",
        () if ends.any(|end| end.is_none()) => "one end is gone",
        () => "open",
    };
    let mut state = State::new(text);
    if let Some(back) = &back {
        // An end sends by one lane and receives by the other.
        state = state.with(there.ends[0].or(back.ends[1]), "has the first end");
        state = state.with(back.ends[0].or(there.ends[1]), "has the second end");
        state = state.fact("bytes to the second", there.bytes).fact("bytes to the first", back.bytes);
    } else {
        state = state.with(there.ends[0], "sends").with(there.ends[1], "receives");
        state = state.fact("bytes", there.bytes);
    }
    let capacity = (pipes.geometry.units * UNIT) as u64;
    let waiting = object.waiters(0..object.size);
    Some(
        state
            .fact("capacity in bytes", capacity)
            .fact("longest message", pipes.geometry.longest as u64)
            .fact("waiting", waiting),
    )
}

/// The state of a listener and its pipes.
pub(crate) fn listener(object: &ObjectBytes<'_>) -> Option<State> {
    let pipes = pipes(object).filter(|pipes| pipes.geometry.lanes == 2)?;
    let listener =
        OwnerId::of(object.word(offset_of!(Head, listener) as u64)?).filter(|&id| object.lives(id));
    let mut calls = 0;
    for word in 0..CALL_WORDS {
        calls += u64::from(object.word((offset_of!(Head, calls) + 8 * word) as u64)?.count_ones());
    }
    let (mut in_use, mut depth) = (0u64, 0);
    let mut state =
        State::new(if listener.is_some() { "open" } else { "nobody listens" }).with(listener, "listens");
    for slot in 0..pipes.geometry.slots {
        let (there, back) = (pipes.lane(slot, 0)?, pipes.lane(slot, 1)?);
        let (client, server) = (there.ends[0].or(back.ends[1]), back.ends[0].or(there.ends[1]));
        if client.or(server).is_none() {
            continue;
        }
        in_use += 1;
        depth += there.bytes + back.bytes;
        if in_use as usize <= SHOWN {
            state = state.with(client, "has a client's end").with(server, "has a server's end");
        }
    }
    let waiting = object.waiters(0..object.size);
    let state = state.fact("pipes", pipes.geometry.slots as u64).fact("in use", in_use);
    Some(state.fact("not accepted", calls).fact("bytes in them", depth).fact("waiting", waiting))
}
