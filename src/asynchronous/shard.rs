//! [`Shard`]: a set, the tasks that wait for what is in it, and the task that looks after it.
//!
//! The set reports each source once; it rests until somebody waits for it anew. So a look costs as much as there is news, however many
//! sources rest. All use of the set is under one lock, which is never held while a waker is called or dropped: that runs code of others.
#![allow(unsafe_code)]

use crate::counted::Counted;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::own::Own;
use crate::sys::task;
use crate::waitset::{Key, Source, WaitSet};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::HashMap;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

/// A set of a reactor: it has one for each 32 segments.
pub(super) struct Shard {
    process: u32,
    state: Mutex<State>,
}

struct State {
    /// `None`: the reactor or its runtime has ended.
    set: Option<WaitSet<'static>>,
    sources: HashMap<Key, Waiting>,
    /// Numbers the waits, so that those of one source are in order.
    next: u64,
    /// The driver sleeps. `None`: it is about to look, and need not be told.
    driver: Option<Waker>,
    /// Why the last look failed, if it did.
    fault: Option<Error>,
}

/// Who waits for a source.
#[derive(Default)]
struct Waiting {
    /// In the order of their numbers.
    tasks: Vec<(u64, Waker)>,
    /// It leaves the set once it was reported.
    once: bool,
}

/// That the runtime is gone.
fn over() -> Error {
    Error::from(ErrorKind::Stale).with_detail("the runtime of its reactor has ended")
}

impl Shard {
    /// With its driver, in a runtime.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Panics
    /// The runtime has no `enable_io`.
    pub(super) fn start(runtime: &Handle) -> Result<Arc<Shard>> {
        let _inside = runtime.enter();
        let mut set = WaitSet::new();
        set.report_once();
        let epoll = set.epoll()?;
        // SAFETY: it stays open as long as the driver has it, unless the program closes what is not its own; the number does not
        // change.
        let fd = unsafe { AsyncFd::register_with_interest(Descriptor(epoll), Interest::READABLE) };
        let fd = fd.map_err(|error| Error::from(std::io::Error::from(error)))?;
        let state = State { set: Some(set), sources: HashMap::new(), next: 0, driver: None, fault: None };
        let shard = Arc::new(Shard { process: task::pid(), state: Mutex::new(state) });
        runtime.spawn(Driver { fd, shard: shard.clone(), tasks: Vec::new() });
        Ok(shard)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In a forked child the lock may be held by nobody who is there.
    fn is_of_this_process(&self) -> bool {
        self.process == task::pid()
    }

    /// Adds a source. With a task it is waited for at once, in a wait of this number, and leaves the set when it was reported.
    ///
    /// # Errors
    /// As [`WaitSet::add`]; `Stale`.
    pub(super) fn add(
        &self,
        source: Source<'static>,
        task: Option<&Waker>,
    ) -> core::result::Result<(Key, Option<u64>), Refused> {
        if !self.is_of_this_process() {
            return Err(ErrorKind::NotOwner.into());
        }
        let task = task.cloned();
        let mut state = self.lock();
        let State { set: Some(set), sources, next, .. } = &mut *state else { return Err(over().into()) };
        if !set.has_room_for(&source)? {
            return Err(Refused::Full(source));
        }
        let key = set.add(source)?; // and the driver is told
        let (once, number) = (task.is_some(), task.is_some().then_some(*next));
        *next += 1;
        let tasks = number.into_iter().zip(task).collect();
        sources.insert(key, Waiting { tasks, once });
        Ok((key, number))
    }

    /// Takes it out.
    pub(super) fn remove(&self, key: Key) {
        if !self.is_of_this_process() {
            return;
        }
        let mut state = self.lock();
        let waiting = state.sources.remove(&key);
        if let Some(set) = &mut state.set {
            set.remove(key);
        }
        drop(state);
        drop(waiting);
    }

    /// The task of `cx` is woken when the source is ready. `number` is that of the wait: it has one once it is registered. Whether it
    /// was woken meanwhile, and not registered anew: only with `until_woken`.
    ///
    /// # Errors
    /// Why the last look failed, if that has ended the wait; `Stale`; `NotOwner`.
    pub(super) fn wait(
        &self,
        key: Key,
        number: &mut Option<u64>,
        until_woken: bool,
        cx: &Context<'_>,
    ) -> Result<bool> {
        if !self.is_of_this_process() {
            return Err(ErrorKind::NotOwner.into());
        }
        let mut waker = cx.waker().clone();
        let mut state = self.lock();
        let State { set: Some(set), sources, next, driver, fault } = &mut *state else { return Err(over()) };
        let Some(waiting) = sources.get_mut(&key) else { return Err(over()) };
        if let Some(known) = number.and_then(|number| waiting.find(number)) {
            core::mem::swap(&mut known.1, &mut waker);
            drop(state);
            drop(waker); // the one that was there
            return Ok(false);
        }
        if number.take().is_some() {
            if let Some(fault) = fault {
                return Err(fault.clone());
            }
            if until_woken {
                return Ok(true);
            }
        }
        waiting.tasks.push((*next, waker));
        *number = Some(*next);
        *next += 1;
        set.again(key);
        let driver = driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(false)
    }

    /// The wait with this number is given up.
    pub(super) fn forget(&self, key: Key, number: u64) {
        if !self.is_of_this_process() {
            return;
        }
        let mut state = self.lock();
        let waiting = state.sources.get_mut(&key);
        let task = waiting.and_then(|waiting| {
            let index = waiting.tasks.binary_search_by_key(&number, |task| task.0).ok()?;
            Some(waiting.tasks.remove(index))
        });
        drop(state);
        drop(task);
    }

    /// Nobody is served from now on. When this returns the library's thread has ended, if this was the last set that needed it.
    pub(super) fn end(&self) {
        if !self.is_of_this_process() {
            return;
        }
        let mut state = self.lock();
        let (set, driver) = (state.set.take(), state.driver.take());
        let mut tasks = Vec::new();
        state.sources.values_mut().for_each(|waiting| tasks.append(&mut waiting.tasks));
        drop(state);
        drop(set);
        tasks.into_iter().map(|task| task.1).chain(driver).for_each(Waker::wake);
    }

    /// Finds those for whom there is news. `false`: it has ended.
    fn look(&self, driver: &Waker, tasks: &mut Vec<(u64, Waker)>) -> bool {
        let driver = driver.clone();
        let mut state = self.lock();
        let State { set: Some(set), sources, fault, .. } = &mut *state else { return false };
        *fault = loop {
            let mut leave = Vec::new();
            match set.try_wait() {
                Ok([]) => break None,
                Ok(keys) => {
                    for key in keys {
                        let Some(waiting) = sources.get_mut(key) else { continue };
                        tasks.append(&mut waiting.tasks);
                        leave.extend(waiting.once.then_some(*key));
                    }
                }
                Err(error) => {
                    // All of them are told, and may try again: it may be that this thread alone cannot look.
                    sources.values_mut().for_each(|waiting| tasks.append(&mut waiting.tasks));
                    break Some(error);
                }
            }
            leave.iter().for_each(|key| _ = set.remove(*key));
        };
        state.driver = Some(driver);
        true
    }
}

/// Why a source was not added.
pub(super) enum Refused {
    /// The set has as many segments as it can.
    Full(Source<'static>),
    Because(Error),
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Refused::Because(error.into())
    }
}

impl Waiting {
    fn find(&mut self, number: u64) -> Option<&mut (u64, Waker)> {
        let index = self.tasks.binary_search_by_key(&number, |task| task.0).ok()?;
        self.tasks.get_mut(index)
    }
}

/// The descriptor of a set, which may end before it.
struct Descriptor(Counted<Own>);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.number()
    }
}

/// The task that looks whenever the set's descriptor, or somebody who has begun to wait, says so.
struct Driver {
    fd: AsyncFd<Descriptor>,
    shard: Arc<Shard>,
    /// Those to be woken.
    tasks: Vec<(u64, Waker)>,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Driver { fd, shard, tasks } = &mut *self;
        loop {
            // Before the look: what comes after this is not cleared below.
            let readable = match fd.poll_read_ready(cx) {
                Poll::Ready(Ok(guard)) => Some(guard),
                Poll::Ready(Err(_)) => return Poll::Ready(()), // the runtime ends
                Poll::Pending => None,
            };
            if !shard.look(cx.waker(), tasks) {
                return Poll::Ready(());
            }
            tasks.drain(..).for_each(|task| task.1.wake());
            let Some(mut guard) = readable else { return Poll::Pending };
            guard.clear_ready();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shard.end();
    }
}
