//! The state of locks, read from copied bytes (see `crate::view`).

use super::raw_mutex::{DIRTY, KEPT, NOT_RECOVERABLE};
use crate::member::OwnerId;
use crate::view::{Look, State};

/// The state of a `RawMutex` at the object's start.
pub(crate) fn mutex(look: &Look<'_>) -> Option<State> {
    let word = look.word(0)?;
    if word & NOT_RECOVERABLE != 0 {
        return Some(State::new("not recoverable"));
    }
    let Some(owner) = OwnerId::of(word) else {
        return (word & !KEPT == 0).then(|| State::new("free"));
    };
    let text = match (look.lives(owner), word & DIRTY != 0) {
        (true, false) => "held",
        (true, true) => "held, being repaired",
        (false, _) => "its holder died",
    };
    Some(State::new(text).with([owner], "holds"))
}
