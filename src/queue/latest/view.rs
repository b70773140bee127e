//! The state of a latest value, decoded from copied bytes (see `crate::decode`).

use super::layout::{CELLS_OFF, Header, latest_size, stride_of};
use super::raw::split;
use crate::decode::{ObjectBytes, State};
use crate::member::OwnerId;
use core::mem::offset_of;

/// The state of a latest value.
pub(crate) fn latest(object: &ObjectBytes<'_>) -> Option<State> {
    let [element, readers] = object.params;
    let header = |at: usize| object.word(at as u64);
    let fits = latest_size(usize::try_from(element).ok()?, usize::try_from(readers).ok()?)
        .is_some_and(|need| need as u64 <= object.size);
    if !fits {
        return None;
    }
    let geometry = [
        header(offset_of!(Header, element))?,
        header(offset_of!(Header, readers))?,
        header(offset_of!(Header, stride))?,
    ];
    // Of a possible element: no overflow.
    if geometry != [element, readers, stride_of(element as usize) as u64] {
        return None;
    }
    let (version, slot) = split(header(offset_of!(Header, current))?);
    if u64::from(slot) >= readers + 2 {
        return None;
    }
    let writer = OwnerId::of(header(offset_of!(Header, lock))?);
    let mut announced = 0u64;
    for cell in 0..readers {
        let word = object.word(CELLS_OFF as u64 + 8 * cell)?;
        announced += u64::from(OwnerId::of(word).is_some_and(|id| object.lives(id)));
    }
    let changed = offset_of!(Header, changed) as u64;
    let lock = offset_of!(Header, lock) as u64;
    let text = match writer {
        Some(id) if object.lives(id) => "being set",
        Some(_) => "its writer died",
        None if version == 0 => "never set",
        None => "set",
    };
    let state = State::new(text)
        .with(writer, "sets")
        .fact("version", version)
        .fact("bytes", element)
        .fact("announcements", readers)
        .fact("in use", announced)
        .fact("asleep for a newer one", object.waiters(changed - 8..changed + 4))
        .fact("asleep to set it", object.waiters(lock..lock + 16));
    Some(state)
}
