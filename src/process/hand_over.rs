//! [`HandOver`]: what a parent gives to the child that it forks.

use crate::Result;
use std::vec::Vec;

/// What a parent can give to a child by [`Builder::fork_with`](super::Builder::fork_with): something that belongs to the
/// thread that has it, and not to a child that inherits a copy of the memory. The ends of pipes, and several of them as
/// tuples, vectors and options.
///
/// The child takes it before its own code runs, and the parent holds it until then; so at no moment it is nobody's.
pub trait HandOver {
    /// In the child: it belongs to the calling thread from now on.
    ///
    /// # Errors
    /// There will be no child.
    #[doc(hidden)]
    fn claim(&mut self) -> Result<()>;
    /// In the parent: it is the child's. (If there is no child, it is dropped instead.)
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
