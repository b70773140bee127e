//! [`Spot`]: where an object waits in its reactor, and [`Wait`]: one wait there.

use super::reactor::Reactor;
use super::shard::Shard;
use crate::error::Result;
use crate::waitset::{Key, Source};
use core::task::{Context, Waker};
use std::sync::{Arc, OnceLock};

/// A source in its set.
pub(super) struct Registered {
    shard: Arc<Shard>,
    key: Key,
}

impl Registered {
    /// Of the usual kind; or, with a task, for one wait of this number.
    pub(super) fn new(
        reactor: &Reactor,
        source: Source<'static>,
        task: Option<&Waker>,
    ) -> Result<(Self, Option<u64>)> {
        let (shard, key, number) = reactor.add(source, task)?;
        Ok((Registered { shard, key }, number))
    }

    /// Whether it was ready since the first call.
    pub(super) fn poll(&self, number: &mut Option<u64>, cx: &Context<'_>) -> Result<bool> {
        self.shard.wait(self.key, number, true, cx)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shard.remove(self.key);
    }
}

/// One side of an object, from its first wait to its end. What finds something at once needs none.
#[derive(Default)]
pub(super) struct Spot(OnceLock<Registered>);

impl Spot {
    pub(super) fn get(
        &self,
        reactor: &Reactor,
        source: impl FnOnce() -> Result<Source<'static>>,
    ) -> Result<&Registered> {
        if let Some(known) = self.0.get() {
            return Ok(known);
        }
        // Of two threads one does so in vain.
        let (made, _) = Registered::new(reactor, source()?, None)?;
        Ok(self.0.get_or_init(|| made))
    }

    /// See [`Wait::poll`]. The source is made if it is the first wait.
    pub(super) fn wait<'a>(
        &'a self,
        wait: &mut Wait<'a>,
        reactor: &Reactor,
        source: impl FnOnce() -> Result<Source<'static>>,
        cx: &Context<'_>,
    ) -> Result<()> {
        let at = self.get(reactor, source)?;
        at.shard.wait(at.key, &mut wait.number, false, cx)?;
        wait.at = Some(at);
        Ok(())
    }
}

/// A wait of a task. Dropped, it is given up.
#[derive(Default)]
pub(super) struct Wait<'a> {
    at: Option<&'a Registered>,
    number: Option<u64>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let (Some(at), Some(number)) = (self.at, self.number) {
            at.shard.forget(at.key, number);
        }
    }
}
