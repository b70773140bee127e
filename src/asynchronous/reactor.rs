//! [`Reactor`]: the sets of a runtime, and who finds them.

use super::ready::Ready;
use super::shard::{Refused, Shard};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::task;
use crate::waitset::{Key, Source};
use core::fmt;
use core::task::Waker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::vec::Vec;
use tokio::runtime::{Handle, Id};

/// What waits for all tasks of a runtime: one [`WaitSet`](crate::waitset::WaitSet) with its descriptor, and a task of the runtime that
/// wakes the others.
///
/// [`Async::new`](super::Async::new) takes that of the runtime it is called in, so most programs need not name it. It lasts as long as
/// a clone of it, or an [`Async`](super::Async). With the last one its task ends, and the library's thread if no other set needs it.
///
/// *Where it works*: in the runtime that it was made in. Tasks of other runtimes and executors may wait by it, as long as that one
/// runs. *If that runtime ends*, those who wait get [`Stale`](ErrorKind::Stale), as does who waits later.
///
/// *Cost*: three descriptors and a task, whatever the number of objects and tasks; the same again for each further 32 segments. *Fork*:
/// a child's copy is refused ([`NotOwner`](ErrorKind::NotOwner)), and dropping it does nothing. *Signals*: not to be used in a handler.
///
/// # Examples
/// ```
/// use interproc::{Segment, asynchronous::Reactor};
/// # let seg = Segment::anonymous(1 << 16)?;
/// let queue = seg.queue::<u32>("q", 4)?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// runtime.block_on(async {
///     let reactor = Reactor::current()?;
///     queue.push(1)?;
///     reactor.ready(queue.when_readable()).await?;
///     assert_eq!(queue.try_pop()?, 1);
///     Ok::<(), interproc::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Reactor(Arc<Core>);

struct Core {
    process: u32,
    runtime: Handle,
    /// At least one.
    shards: Mutex<Vec<Arc<Shard>>>,
}

/// The reactor of each runtime.
static REACTORS: Mutex<Vec<(u32, Id, Weak<Core>)>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reactor {
    /// That of the runtime in which it is called; made if there is none.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) outside of a runtime. The system's, if it has no descriptors or memory.
    ///
    /// # Panics
    /// As tokio's own descriptors: the runtime was built without `enable_io`.
    ///
    /// # Examples
    /// ```
    /// use interproc::asynchronous::Reactor;
    /// assert!(Reactor::current().is_err());
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// runtime.block_on(async {
    ///     let reactor = Reactor::current()?;
    ///     Ok::<(), interproc::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn current() -> Result<Reactor> {
        let runtime =
            Handle::try_current().map_err(|error| Error::from(ErrorKind::InvalidInput).with_detail(error))?;
        let (process, id) = (task::pid(), runtime.id());
        let find = || {
            let reactors = lock(&REACTORS);
            let found = reactors.iter().find(|known| (known.0, known.1) == (process, id));
            found.and_then(|known| known.2.upgrade()).map(Reactor)
        };
        if let Some(known) = find() {
            return Ok(known);
        }
        let made = Reactor::start(runtime)?;
        let mut reactors = lock(&REACTORS);
        // Another thread may have made one meanwhile.
        let known = reactors.iter().find(|known| (known.0, known.1) == (process, id));
        if let Some(known) = known.and_then(|known| known.2.upgrade()).map(Reactor) {
            drop(reactors);
            return Ok(known);
        }
        reactors.retain(|known| known.2.strong_count() > 0);
        reactors.push((process, id, Arc::downgrade(&made.0)));
        Ok(made)
    }

    /// Another one in this runtime, apart from its [usual](Self::current) one: for a part of a program whose waits are to cost others
    /// nothing.
    ///
    /// # Errors, Panics
    /// As [`current`](Self::current).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::{Async, Reactor}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let reactor = Reactor::new()?;
    /// let queue = Async::by(&reactor, seg.queue::<u32>("q", 4)?);
    /// queue.push(1).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Result<Reactor> {
        let runtime =
            Handle::try_current().map_err(|error| Error::from(ErrorKind::InvalidInput).with_detail(error))?;
        Reactor::start(runtime)
    }

    fn start(runtime: Handle) -> Result<Reactor> {
        let shards = Mutex::new(std::vec![Shard::start(&runtime)?]);
        Ok(Reactor(Arc::new(Core { process: task::pid(), runtime, shards })))
    }

    /// Waits until a source is ready: what is made by `when_readable`, `when_writable` and so on. A `try_` call would then not be
    /// refused with "not now", unless somebody else was faster.
    ///
    /// The source is in the set from the first poll until it was ready or the future is dropped. For what is waited for again and again
    /// an [`Async`](super::Async) is cheaper. What borrows its object, as [`Event::when_set`](crate::sync::Event::when_set), gets by
    /// [`Source::kept`].
    ///
    /// *Cancel-safe*: it takes nothing. *Threads*: any may poll it. *If a thread or process dies*: as
    /// [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Errors
    /// As [`WaitSet::add`](crate::waitset::WaitSet::add) and [`wait`](crate::waitset::WaitSet::wait).
    /// [`Stale`](ErrorKind::Stale): the runtime has ended.
    ///
    /// # Examples
    /// See [`Reactor`].
    pub fn ready(&self, source: Source<'static>) -> Ready {
        Ready::new(self, source)
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// Adds a source to the first set that has room: see [`Shard::add`].
    pub(super) fn add(
        &self,
        mut source: Source<'static>,
        task: Option<&Waker>,
    ) -> Result<(Arc<Shard>, Key, Option<u64>)> {
        if self.0.process != task::pid() {
            return Err(ErrorKind::NotOwner.into());
        }
        let mut shards = lock(&self.0.shards);
        for n in 0.. {
            if n == shards.len() {
                shards.push(Shard::start(&self.0.runtime)?);
            }
            match shards[n].add(source, task) {
                Ok((key, number)) => return Ok((shards[n].clone(), key, number)),
                Err(Refused::Full(again)) => source = again,
                Err(Refused::Because(error)) => return Err(error),
            }
        }
        unreachable!()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.process == task::pid() {
            let shards = self.shards.get_mut().unwrap_or_else(PoisonError::into_inner);
            shards.iter().for_each(|shard| shard.end());
        }
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reactor({})", self.0.runtime.id())
    }
}
