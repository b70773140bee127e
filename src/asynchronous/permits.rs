//! Events and permits.

use super::object::{Async, Readable, not_now};
use crate::error::Result;
use crate::shm::Object;
use crate::sync::{BoundedSemaphore, Event, Permit, Semaphore};
use crate::waitset::Source;
use core::task::Poll;

impl Readable for Object<Event> {
    fn readable_source(&self) -> Result<Source<'static>> {
        self.when_set().kept()
    }
}

impl Readable for Object<Semaphore> {
    fn readable_source(&self) -> Result<Source<'static>> {
        self.when_available().kept()
    }
}

impl Readable for BoundedSemaphore {
    fn readable_source(&self) -> Result<Source<'static>> {
        Ok(self.when_available())
    }
}

impl Async<Object<Event>> {
    /// Waits until it is set. One that is set and cleared again at once may be missed. *Cancel-safe*: it takes nothing.
    ///
    /// For an event inside of a structure: [`Reactor::ready`](super::Reactor::ready) with [`Source::kept`].
    ///
    /// # Errors
    /// As [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// use interproc::sync::Event;
    /// let stop = Async::new(seg.object("stop", Event::new)?)?;
    /// stop.get_ref().set();
    /// stop.wait().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait(&self) -> Result<()> {
        let is_set = |event: &Object<Event>| if event.is_set() { Poll::Ready(Ok(())) } else { Poll::Pending };
        self.reading(is_set, Err).await
    }
}

impl Async<Object<Semaphore>> {
    /// Takes a unit, waiting for one. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// use interproc::sync::Semaphore;
    /// let free = Async::new(seg.object("free", || Semaphore::new(1))?)?;
    /// free.acquire().await?;
    /// assert_eq!(free.get_ref().value(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn acquire(&self) -> Result<()> {
        self.reading(|semaphore| not_now(semaphore.try_acquire()), Err).await
    }
}

impl Async<BoundedSemaphore> {
    /// Acquires a permit, waiting for one. *Cancel-safe.* The permit belongs to the thread: see [the module](super#threads). Who waits
    /// here stands in no line with those who sleep in the semaphore itself: they go first.
    ///
    /// # Errors
    /// As [`BoundedSemaphore::acquire`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let doors = Async::new(seg.bounded_semaphore("doors", 1)?)?;
    /// let permit = doors.acquire().await?;
    /// drop(permit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn acquire(&self) -> Result<Permit<'_>> {
        self.reading(|semaphore| not_now(semaphore.try_acquire()), Err).await
    }
}
