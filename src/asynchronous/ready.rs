//! [`Ready`]: the wait for a source of any kind.

use super::reactor::Reactor;
use super::spot::Registered;
use crate::error::Result;
use crate::waitset::Source;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

/// The future of [`Reactor::ready`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Ready {
    reactor: Reactor,
    stage: Stage,
}

enum Stage {
    /// Not polled yet.
    New(Source<'static>),
    /// In the set, with the number of the wait.
    Waits(Registered, Option<u64>),
    Over,
}

impl Ready {
    pub(super) fn new(reactor: &Reactor, source: Source<'static>) -> Self {
        Ready { reactor: reactor.clone(), stage: Stage::New(source) }
    }
}

impl Future for Ready {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Stage::New(_) = self.stage
            && let Stage::New(source) = core::mem::replace(&mut self.stage, Stage::Over)
        {
            let (at, number) = Registered::new(&self.reactor, source, Some(cx.waker()))?;
            self.stage = Stage::Waits(at, number);
        }
        let Stage::Waits(at, number) = &mut self.stage else { panic!("polled after it was ready") };
        let ready = match at.poll(number, cx) {
            Ok(false) => return Poll::Pending,
            ready => ready.map(drop),
        };
        self.stage = Stage::Over;
        Poll::Ready(ready)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.stage {
            Stage::New(_) => "Ready(not polled)",
            Stage::Waits(..) => "Ready(waits)",
            Stage::Over => "Ready(over)",
        })
    }
}
