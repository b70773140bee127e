//! [`HandOver`]: what a parent can hand over to the child that it forks.

use crate::Result;
use std::vec::Vec;

/// What a parent can hand over to a child by [`Builder::fork_giving`](super::Builder::fork_giving): something that belongs to
/// the thread that holds it, so a child does not get it by inheriting a copy of the memory. The ends of pipes, and tuples,
/// vectors and options of them.
///
/// The child takes it over before its own code runs, and the parent holds it until then, so it always has an owner.
pub trait HandOver {
    /// In the child: from now on it belongs to the calling thread.
    ///
    /// # Errors
    /// After any, there is no child.
    #[doc(hidden)]
    fn claim(&mut self) -> Result<()>;
    /// In the parent: it belongs to the child now. (If there is no child, it is dropped instead.)
    #[doc(hidden)]
    fn given(self);
}

impl<A: HandOver, B: HandOver> HandOver for (A, B) {
    fn claim(&mut self) -> Result<()> {
        self.0.claim()?;
        self.1.claim()
    }
    fn given(self) {
        self.0.given();
        self.1.given();
    }
}

impl<T: HandOver> HandOver for Vec<T> {
    fn claim(&mut self) -> Result<()> {
        self.iter_mut().try_for_each(HandOver::claim)
    }
    fn given(self) {
        self.into_iter().for_each(HandOver::given);
    }
}

impl<T: HandOver> HandOver for Option<T> {
    fn claim(&mut self) -> Result<()> {
        self.iter_mut().try_for_each(HandOver::claim)
    }
    fn given(self) {
        self.into_iter().for_each(HandOver::given);
    }
}
