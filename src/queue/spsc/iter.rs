//! One message after the other.

use super::Consumer;
use crate::shared::Plain;

/// Messages as they come, until the queue is closed and drained: see [`Consumer::iter`].
#[derive(Debug)]
pub struct Iter<'a, T>(pub(super) &'a mut Consumer<T>);

/// Messages as long as there are any: see [`Consumer::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T>(pub(super) &'a mut Consumer<T>);

/// The messages that were there: see [`Consumer::drain`].
#[derive(Debug)]
pub struct Drain<'a, T> {
    pub(super) consumer: &'a mut Consumer<T>,
    pub(super) left: usize,
}

impl<T: Plain> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.0.pop().ok()
    }
}

impl<T: Plain> Iterator for TryIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.0.try_pop().ok()
    }
}

impl<T: Plain> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        self.consumer.try_pop().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl<'a, T: Plain> IntoIterator for &'a mut Consumer<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
