//! Queues, lanes, jobs, news and values.

use super::object::{Async, Readable, Writable, not_now, says_not_now};
use crate::error::Result;
use crate::queue::body::Body;
use crate::queue::byte_lane::{ByteConsumer, ByteProducer};
use crate::queue::spsc::{Consumer, Producer};
use crate::queue::{
    ByteQueue, Delivery, Latest, Lease, PushError, Queue, RecvError, Subscriber, Versioned, WorkQueue,
};
use crate::shared::Plain;
use crate::waitset::Source;
use core::borrow::Borrow;
use core::task::Poll;
use std::vec::Vec;

/// Objects with a source of their own for a side.
macro_rules! sides {
    () => {};
    (read [$($generic:tt)*] $object:ty; $($more:tt)*) => {
        impl<$($generic)*> Readable for $object {
            fn readable_source(&self) -> Result<Source<'static>> {
                Ok(self.when_readable())
            }
        }
        sides! { $($more)* }
    };
    (write [$($generic:tt)*] $object:ty; $($more:tt)*) => {
        impl<$($generic)*> Writable for $object {
            fn writable_source(&self) -> Result<Source<'static>> {
                Ok(self.when_writable())
            }
        }
        sides! { $($more)* }
    };
}
pub(super) use sides;

sides! {
    read [T: Plain] Queue<T>;
    write [T: Plain] Queue<T>;
    read [] ByteQueue;
    read [T: Plain] Consumer<T>;
    write [T: Plain] Producer<T>;
    read [] ByteConsumer;
    write [] ByteProducer;
    read [T: Body + ?Sized] WorkQueue<T>;
    write [T: Body + ?Sized] WorkQueue<T>;
    read [T: Body + ?Sized] Subscriber<T>;
}

/// Room for the longest message. ([`Async::push`](Async<ByteQueue>::push) waits for as much as it needs.)
impl Writable for ByteQueue {
    fn writable_source(&self) -> Result<Source<'static>> {
        Ok(self.when_writable(self.longest()))
    }
}

/// As `not_now`, for errors of their own kind.
pub(super) fn not_now_of<R, E>(
    answer: core::result::Result<R, E>,
    kind: impl Fn(&E) -> crate::ErrorKind,
) -> Poll<core::result::Result<R, E>> {
    match answer {
        Err(error) if says_not_now(kind(&error)) => Poll::Pending,
        answer => Poll::Ready(answer),
    }
}

impl<T: Plain> Async<Queue<T>> {
    /// Takes out the oldest message, waiting for one. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`Queue::pop`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.queue::<u32>("q", 4)?)?;
    /// queue.push(7).await?;
    /// assert_eq!(queue.pop().await?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn pop(&self) -> Result<T> {
        self.reading(|queue| not_now(queue.try_pop()), Err).await
    }

    /// As [`pop`](Self::pop), and tells whether the message was read before by somebody who died. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.queue::<u32>("q", 4)?)?;
    /// queue.push(7).await?;
    /// assert!(!queue.pop_delivery().await?.redelivered);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn pop_delivery(&self) -> Result<Delivery<T>> {
        self.reading(|queue| not_now(queue.try_pop_delivery()), Err).await
    }

    /// Puts in a message, waiting for room. *Cancel-safe*: dropped before it is done, nothing was put in.
    ///
    /// # Errors
    /// As [`Queue::push`]; as [`Reactor::ready`](super::Reactor::ready). They return the value.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.queue::<u32>("q", 1)?)?;
    /// queue.push(7).await?;
    /// let (second, first) = (queue.push(8), queue.pop()); // in any order
    /// assert_eq!(first.await?, 7);
    /// second.await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn push(&self, value: T) -> core::result::Result<(), PushError<T>> {
        let push = |queue: &Queue<T>| not_now_of(queue.try_push(value), PushError::kind);
        self.writing(push, |error| Err(PushError::new(value, error))).await
    }
}

impl Async<ByteQueue> {
    /// Takes out the oldest message, waiting for one. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`ByteQueue::pop`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.byte_queue("q", 1 << 12, 100)?)?;
    /// queue.push(b"hello").await?;
    /// assert_eq!(queue.pop().await?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn pop(&self) -> Result<Vec<u8>> {
        self.reading(|queue| not_now(queue.try_pop()), Err).await
    }

    /// Copies the oldest message out, waiting for one. Its length. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`ByteQueue::pop_into`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.byte_queue("q", 1 << 12, 100)?)?;
    /// queue.push(b"hello").await?;
    /// assert_eq!(queue.pop_into(&mut [0; 100]).await?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn pop_into(&self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
        let pop = |queue: &ByteQueue| not_now_of(queue.try_pop_into(into), RecvError::kind);
        self.reading(pop, |error| Err(error.into())).await
    }

    /// Puts in a message, waiting for room for it. *Cancel-safe*: dropped before it is done, nothing was put in.
    ///
    /// # Errors
    /// As [`ByteQueue::push`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let queue = Async::new(seg.byte_queue("q", 1 << 12, 100)?)?;
    /// queue.push(b"hello").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn push(&self, message: &[u8]) -> Result<()> {
        let push = |queue: &ByteQueue| not_now(queue.try_push(message));
        self.waiting_for(push, |queue| queue.when_writable(message.len()), ByteQueue::when_readable).await
    }
}

impl<T: Plain> Async<Consumer<T>> {
    /// Takes out the oldest message, waiting for one. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`Consumer::pop`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let mut to = Async::new(seg.spsc_producer::<u32>("q", 4)?)?;
    /// let mut from = Async::new(seg.spsc_consumer::<u32>("q", 4)?)?;
    /// to.push(7).await?;
    /// assert_eq!(from.pop().await?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn pop(&mut self) -> Result<T> {
        self.reading_alone(|from| not_now(from.try_pop()), Err).await
    }
}

impl<T: Plain> Async<Producer<T>> {
    /// Puts in a message, waiting for room. *Cancel-safe*: dropped before it is done, nothing was put in. Of messages that are published
    /// in batches ([`publish_every`](Producer::publish_every)) the last ones may wait for others.
    ///
    /// # Errors
    /// As [`Producer::push`]; as [`Reactor::ready`](super::Reactor::ready). They return the value.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let mut to = Async::new(seg.spsc_producer::<u32>("q", 4)?)?;
    /// to.push(7).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn push(&mut self, value: T) -> core::result::Result<(), PushError<T>> {
        let push = |to: &mut Producer<T>| not_now_of(to.try_push(value), PushError::kind);
        self.writing_alone(push, |error| Err(PushError::new(value, error))).await
    }
}

impl Async<ByteConsumer> {
    /// Takes out the oldest message, waiting for one. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`ByteConsumer::pop`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let mut to = Async::new(seg.byte_producer("b", 1 << 12, 100)?)?;
    /// let mut from = Async::new(seg.byte_consumer("b", 1 << 12, 100)?)?;
    /// to.push(b"hello").await?;
    /// assert_eq!(from.pop().await?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn pop(&mut self) -> Result<Vec<u8>> {
        self.reading_alone(|from| not_now(from.try_pop()), Err).await
    }

    /// Copies the oldest message out, waiting for one. Its length. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`ByteConsumer::pop_into`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let mut to = Async::new(seg.byte_producer("b", 1 << 12, 100)?)?;
    /// let mut from = Async::new(seg.byte_consumer("b", 1 << 12, 100)?)?;
    /// to.push(b"hello").await?;
    /// assert_eq!(from.pop_into(&mut [0; 100]).await?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn pop_into(&mut self, into: &mut [u8]) -> core::result::Result<usize, RecvError> {
        let pop = |from: &mut ByteConsumer| not_now_of(from.try_pop_into(into), RecvError::kind);
        self.reading_alone(pop, |error| Err(error.into())).await
    }
}

impl Async<ByteProducer> {
    /// Puts in a message, waiting for room. *Cancel-safe*: dropped before it is done, nothing was put in. It may wait until there is room for
    /// the longest message.
    ///
    /// # Errors
    /// As [`ByteProducer::push`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let mut to = Async::new(seg.byte_producer("b", 1 << 12, 100)?)?;
    /// to.push(b"hello").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn push(&mut self, message: &[u8]) -> Result<()> {
        self.writing_alone(|to| not_now(to.try_push(message)), Err).await
    }
}

impl<T: Body + ?Sized> Async<WorkQueue<T>> {
    /// Takes the next job, waiting for one. *Cancel-safe.* The lease belongs to the thread, and a task that may move cannot hold it over an
    /// await: see [the module](super#threads).
    ///
    /// # Errors
    /// As [`WorkQueue::take`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let options = interproc::queue::WorkOptions::new(4);
    /// let jobs = Async::new(seg.work_queue::<u32>("jobs", options)?)?;
    /// jobs.put(7).await?;
    /// assert_eq!(jobs.take().await?.done()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn take(&self) -> Result<Lease<'_, T>> {
        self.reading(|jobs| not_now(jobs.try_take()), Err).await
    }

    /// Puts a job, waiting for room. Its number. *Cancel-safe*: dropped before it is done, nothing was put.
    ///
    /// # Errors
    /// As [`WorkQueue::put`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let options = interproc::queue::WorkOptions::new(4);
    /// let jobs = Async::new(seg.work_queue::<u32>("jobs", options)?)?;
    /// jobs.put(7).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn put(&self, job: impl Borrow<T>) -> Result<u64> {
        self.writing(|jobs| not_now(jobs.try_put(job.borrow())), Err).await
    }
}

impl<T: Body + ?Sized> Async<Subscriber<T>> {
    /// Receives the next message, waiting for one. *Cancel-safe.*
    ///
    /// # Errors
    /// As [`Subscriber::recv`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// use interproc::queue::{BroadcastOptions, Slow};
    /// let news = seg.broadcast::<u32>("news", BroadcastOptions::new(8))?;
    /// let mut mine = Async::new(news.subscribe(Slow::Waits)?)?;
    /// news.publish(1)?;
    /// assert_eq!(mine.recv().await?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn recv(&mut self) -> Result<T::Owned> {
        self.reading_alone(|mine| not_now(mine.try_recv()), Err).await
    }
}

impl<T: Plain> Async<Latest<T>> {
    /// The newest value, once it is newer than version `seen`. Those in between are skipped. *Cancel-safe*: it takes nothing.
    ///
    /// # Errors
    /// As [`Latest::wait_newer`]; as [`Reactor::ready`](super::Reactor::ready).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, asynchronous::Async};
    /// # let seg = Segment::anonymous(1 << 18)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let limit = Async::new(seg.latest("limit", 100u32)?)?;
    /// limit.get_ref().set(70)?;
    /// let newer = limit.wait_newer(0).await?;
    /// assert_eq!((newer.value, newer.version), (70, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait_newer(&self, seen: u64) -> Result<Versioned<T>> {
        let read = |latest: &Latest<T>| match latest.version() > seen {
            true => Poll::Ready(latest.get_versioned()),
            false => Poll::Pending,
        };
        let newer = |latest: &Latest<T>| latest.when_newer(seen);
        self.waiting_for(read, newer, newer).await
    }
}
