//! Loops over the messages that come out of a queue or lane, each by value.

use crate::error::Result;
use core::iter::FusedIterator;

/// Something that messages are popped from: a reference to a queue, or the one consumer of a lane.
pub trait Popping {
    /// A message.
    type Item;
    /// Waits for the next message.
    ///
    /// # Errors
    /// Those of a pop: they end the loop.
    fn pop_next(&mut self) -> Result<Self::Item>;
    /// The next message, if there is one now.
    ///
    /// # Errors
    /// Those of a pop that does not wait.
    fn try_pop_next(&mut self) -> Result<Self::Item>;
    /// What [`Drain`] has to go through: how many messages, or up to where.
    fn there(&self) -> u64;
    /// Whether a message is left of that, and counts it.
    fn is_left(&mut self, left: &mut u64) -> bool {
        let some = *left > 0;
        *left -= u64::from(some);
        some
    }
    /// How many messages are left at most, if that is known.
    fn most_left(left: u64) -> Option<usize> {
        Some(left as usize)
    }
}

/// Messages as they come, until the queue is closed and drained (or a pop fails).
#[derive(Debug)]
pub struct Iter<C>(pub(super) C);

impl<C: Popping> Iterator for Iter<C> {
    type Item = C::Item;
    #[inline]
    fn next(&mut self) -> Option<C::Item> {
        self.0.pop_next().ok()
    }
}

/// Messages as long as there are any.
#[derive(Debug)]
pub struct TryIter<C>(pub(super) C);

impl<C: Popping> Iterator for TryIter<C> {
    type Item = C::Item;
    #[inline]
    fn next(&mut self) -> Option<C::Item> {
        self.0.try_pop_next().ok()
    }
}

/// The messages that were there when it was made, and none that came later.
#[derive(Debug)]
pub struct Drain<C> {
    channel: C,
    left: u64,
    done: bool,
}

impl<C: Popping> Drain<C> {
    pub(super) fn new(channel: C) -> Self {
        let left = channel.there();
        Drain { channel, left, done: false }
    }
}

impl<C: Popping> Iterator for Drain<C> {
    type Item = C::Item;
    #[inline]
    fn next(&mut self) -> Option<C::Item> {
        if self.done || !self.channel.is_left(&mut self.left) {
            return None;
        }
        // Others may have taken what was counted.
        self.channel.try_pop_next().inspect_err(|_| self.done = true).ok()
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, if self.done { Some(0) } else { C::most_left(self.left) })
    }
}

impl<C: Popping> FusedIterator for Drain<C> {}
