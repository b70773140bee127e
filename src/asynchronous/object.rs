//! [`Async`]: an object whose operations are futures.

use super::reactor::Reactor;
use super::spot::{Spot, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::waitset::Source;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

/// What can be waited for as readable: there is a message, a job, a client, a permit; or the end.
///
/// All objects that [`Async`] has methods for implement it, and your own types may: a handle to a structure in a segment, with an
/// [`Event`](crate::sync::Event) that says when a `try_` call is worth while.
///
/// # Examples
/// ```
/// use interproc::sync::{Event, Semaphore};
/// use interproc::asynchronous::{Async, Readable};
/// use interproc::{Object, Result, Segment, waitset::Source};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// interproc::shared! {
///     struct Box_ { units: Semaphore, taken: AtomicU32 }
/// }
/// struct Taker(Object<Box_>);
/// impl Readable for Taker {
///     fn readable_source(&self) -> Result<Source<'static>> {
///         self.0.units.when_available().kept()
///     }
/// }
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let taker = Taker(seg.object("box", || Box_ { units: Semaphore::new(1), taken: AtomicU32::new(0) })?);
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// runtime.block_on(async {
///     let taker = Async::new(taker)?;
///     let taken = taker.read_with(|Taker(b)| {
///         b.units.try_acquire()?;
///         Ok(b.taken.fetch_add(1, Ordering::Relaxed))
///     });
///     assert_eq!(taken.await?, 0);
///     Ok::<(), interproc::Error>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Readable {
    /// The source, for as long as the object is there.
    ///
    /// # Errors
    /// It cannot be waited for: see [`Source::kept`].
    fn readable_source(&self) -> Result<Source<'static>>;
}

/// What can be waited for as writable: there is room for a message, or the end. As [`Readable`].
pub trait Writable {
    /// The source, for as long as the object is there.
    ///
    /// # Errors
    /// It cannot be waited for: see [`Source::kept`].
    fn writable_source(&self) -> Result<Source<'static>>;
}

/// A queue, a pipe's end, a listener or the like in a tokio runtime: what waits is a future.
///
/// Each operation tries first. Only if the object says "not now" does its task wait, by the [`Reactor`] of the runtime. The first such
/// wait adds the object to the reactor's set, where it stays as long as the `Async` lives.
///
/// **Cancel-safe**: whatever is taken, or put in, is so inside a poll that returns it. A future that is dropped has taken nothing, and put
/// nothing in.
///
/// **Fair to other tasks**: operations take part in tokio's cooperative budget, so a task that always finds something yields from
/// time to time. One report wakes all tasks that wait for that side of that `Async`; those who get nothing wait again.
///
/// *Threads*: an `Async<T>` is as `Send` and `Sync` as its `T`. What belongs to a thread goes along when its task moves to another
/// worker: see [the module](super#threads). *If a thread or a process dies*: as for the object and as for
/// [`WaitSet`](crate::waitset::WaitSet). *If the runtime of its reactor ends*: who waits gets [`Stale`](ErrorKind::Stale).
/// *Fork*: in a child's copy waiting is refused ([`NotOwner`](ErrorKind::NotOwner)). *Signals*: not to be used in a handler.
///
/// # Examples
/// ```
/// use interproc::{Segment, asynchronous::Async, process::Builder};
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let queue = seg.queue::<u64>("jobs", 4)?;
/// // Another process. (Before the runtime: a process with threads cannot fork safely.)
/// let child = Builder::new().fork(|| (0..100).for_each(|job| queue.push(job).unwrap()))?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// runtime.block_on(async {
///     let jobs = Async::new(queue.clone())?;
///     for job in 0..100 {
///         assert_eq!(jobs.pop().await?, job);
///     }
///     Ok::<(), interproc::Error>(())
/// })?;
/// child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Async<T> {
    /// Before the object, which they are made of.
    readable: Spot,
    writable: Spot,
    reactor: Reactor,
    object: T,
}

impl<T> Async<T> {
    /// With the reactor of the runtime in which it is called.
    ///
    /// # Errors, Panics
    /// As [`Reactor::current`].
    ///
    /// # Examples
    /// See [`Async`].
    pub fn new(object: T) -> Result<Self> {
        Ok(Async::by(&Reactor::current()?, object))
    }

    /// With this reactor: also outside of a runtime.
    ///
    /// # Examples
    /// See [`Reactor::new`].
    pub fn by(reactor: &Reactor, object: T) -> Self {
        let (readable, writable) = (Spot::default(), Spot::default());
        Async { readable, writable, reactor: reactor.clone(), object }
    }

    /// The object, for calls that do not wait.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.queue::<u32>("q", 4)?)?;
    /// queue.get_ref().try_push(1)?;
    /// assert_eq!(queue.get_ref().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_ref(&self) -> &T {
        &self.object
    }

    /// As [`get_ref`](Self::get_ref). Do not put another object in its place: waits go on at the old one.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{asynchronous::Async, pipe};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let (near, _far) = pipe::pair(1 << 12, 100)?;
    /// let mut near = Async::new(near)?;
    /// assert!(near.get_mut().try_recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.object
    }

    /// The object without its reactor.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.queue::<u32>("q", 4)?)?.into_inner();
    /// queue.push(1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(self) -> T {
        self.object
    }

    /// By what it waits.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let one = Async::new(seg.queue::<u32>("one", 4)?)?;
    /// let two = Async::by(one.reactor(), seg.queue::<u32>("two", 4)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reactor(&self) -> &Reactor {
        &self.reactor
    }
}

impl<T: Readable> Async<T> {
    /// Any operation that waits for the readable side: `op` is called until it is not refused with `Empty`, `Full` or `WouldBlock`, each time
    /// after the object was readable. It may borrow from the object.
    ///
    /// Its refusals must be those of the object: one that stays readable while `op` refuses it is tried again and again.
    ///
    /// *Cancel-safe*, if `op` is done when it returns.
    ///
    /// # Errors
    /// Those of `op`; as [`Reactor::ready`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.queue::<[u8; 64]>("q", 4)?)?;
    /// queue.push([7; 64]).await?;
    /// let message = queue.read_with(|queue| queue.try_borrow()).await?; // read in place
    /// assert_eq!(message[0], 7);
    /// # drop(message);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn read_with<'a, R>(&'a self, mut op: impl FnMut(&'a T) -> Result<R>) -> Result<R> {
        self.reading(|object| not_now(op(object)), Err).await
    }

    /// As [`read_with`](Self::read_with), for operations that need the object alone.
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{asynchronous::Async, pipe};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let (mut near, far) = pipe::pair(1 << 12, 100)?;
    /// let mut far = Async::new(far)?;
    /// near.send(b"hello")?;
    /// let mut buffer = [0; 100];
    /// let len = far.read_with_mut(|end| Ok(end.try_recv_into(&mut buffer)?)).await?;
    /// assert_eq!(&buffer[..len], b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn read_with_mut<R>(&mut self, mut op: impl FnMut(&mut T) -> Result<R>) -> Result<R> {
        self.reading_alone(|object| not_now(op(object)), Err).await
    }

    /// As `read_with`. `fail` makes the answer if the wait fails.
    pub(super) fn reading<'a, R>(
        &'a self,
        mut op: impl FnMut(&'a T) -> Poll<R>,
        fail: impl FnMut(Error) -> R,
    ) -> impl Future<Output = R> {
        let Async { readable, reactor, object, .. } = self;
        let op = move |object: &mut &'a T| op(object);
        let source = |object: &&T| object.readable_source();
        Attempt { spot: readable, reactor, object, op, source, fail, wait: Wait::default() }
    }

    pub(super) fn reading_alone<R>(
        &mut self,
        mut op: impl FnMut(&mut T) -> Poll<R>,
        fail: impl FnMut(Error) -> R,
    ) -> impl Future<Output = R> {
        let Async { readable, reactor, object, .. } = self;
        let op = move |object: &mut &mut T| op(object);
        let source = |object: &&mut T| object.readable_source();
        Attempt { spot: readable, reactor, object, op, source, fail, wait: Wait::default() }
    }
}

impl<T> Async<T> {
    /// As `reading`, for a side that is another one for each wait. `stays` is one that keeps the segment in the set meanwhile.
    pub(super) async fn waiting_for<R>(
        &self,
        mut op: impl FnMut(&T) -> Poll<Result<R>>,
        source: impl Fn(&T) -> Source<'static>,
        stays: impl Fn(&T) -> Source<'static>,
    ) -> Result<R> {
        loop {
            let tried = core::future::poll_fn(|cx| {
                let budget = ready!(tokio::task::coop::poll_proceed(cx));
                let answer = op(&self.object);
                if answer.is_ready() {
                    budget.made_progress();
                }
                Poll::Ready(answer)
            });
            if let Poll::Ready(answer) = tried.await {
                return answer;
            }
            self.readable.get(&self.reactor, || Ok(stays(&self.object)))?;
            self.reactor.ready(source(&self.object)).await?;
        }
    }
}

impl<T: Writable> Async<T> {
    /// As [`read_with`](Self::read_with), waiting for the writable side.
    ///
    /// # Errors
    /// Those of `op`; as [`Reactor::ready`].
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.queue::<u32>("q", 4)?)?;
    /// assert_eq!(queue.write_with(|queue| queue.try_push_batch(&[1, 2, 3])).await?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn write_with<'a, R>(&'a self, mut op: impl FnMut(&'a T) -> Result<R>) -> Result<R> {
        self.writing(|object| not_now(op(object)), Err).await
    }

    /// As [`write_with`](Self::write_with), for operations that need the object alone.
    ///
    /// # Errors
    /// As [`write_with`](Self::write_with).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{asynchronous::Async, pipe};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let (near, mut far) = pipe::pair(1 << 12, 100)?;
    /// let mut near = Async::new(near)?;
    /// near.write_with_mut(|end| end.try_send(b"hello")).await?;
    /// assert_eq!(far.recv()?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn write_with_mut<R>(&mut self, mut op: impl FnMut(&mut T) -> Result<R>) -> Result<R> {
        self.writing_alone(|object| not_now(op(object)), Err).await
    }

    /// As `reading`.
    pub(super) fn writing<'a, R>(
        &'a self,
        mut op: impl FnMut(&'a T) -> Poll<R>,
        fail: impl FnMut(Error) -> R,
    ) -> impl Future<Output = R> {
        let Async { writable, reactor, object, .. } = self;
        let op = move |object: &mut &'a T| op(object);
        let source = |object: &&T| object.writable_source();
        Attempt { spot: writable, reactor, object, op, source, fail, wait: Wait::default() }
    }

    pub(super) fn writing_alone<R>(
        &mut self,
        mut op: impl FnMut(&mut T) -> Poll<R>,
        fail: impl FnMut(Error) -> R,
    ) -> impl Future<Output = R> {
        let Async { writable, reactor, object, .. } = self;
        let op = move |object: &mut &mut T| op(object);
        let source = |object: &&mut T| object.writable_source();
        Attempt { spot: writable, reactor, object, op, source, fail, wait: Wait::default() }
    }
}

/// Whether an answer is none yet.
pub(super) fn says_not_now(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Empty | ErrorKind::Full | ErrorKind::WouldBlock)
}

/// An answer, unless it is none yet.
pub(super) fn not_now<R>(answer: Result<R>) -> Poll<Result<R>> {
    match answer {
        Err(error) if says_not_now(error.kind()) => Poll::Pending,
        answer => Poll::Ready(answer),
    }
}

/// An operation: try, wait, try again.
struct Attempt<'a, O, Op, S, F> {
    spot: &'a Spot,
    reactor: &'a Reactor,
    object: O,
    op: Op,
    source: S,
    fail: F,
    wait: Wait<'a>,
}

/// Nothing in it is pinned.
impl<O, Op, S, F> Unpin for Attempt<'_, O, Op, S, F> {}

impl<O, R, Op, S, F> Future for Attempt<'_, O, Op, S, F>
where
    Op: FnMut(&mut O) -> Poll<R>,
    S: Fn(&O) -> Result<Source<'static>>,
    F: FnMut(Error) -> R,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let Attempt { spot, reactor, object, op, source, fail, wait } = &mut *self;
        // A task that always finds something yields from time to time.
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        if let Poll::Ready(answer) = op(object) {
            budget.made_progress();
            return Poll::Ready(answer);
        }
        match spot.wait(wait, reactor, || source(object), cx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(fail(error)),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(&self.object).finish()
    }
}
