//! What a [`WaitSet`](super::WaitSet) can wait for: the methods of the objects that make a [`Source`].

use super::set::Source;
use super::source::Wanted;
use crate::counted::Keep;
use crate::pipe::{End, Listener, Receiver, Sender};
use crate::process::{Child, Process};
use crate::queue::body::Body;
use crate::queue::byte_lane::{ByteConsumer, ByteProducer, units_of};
use crate::queue::spsc::{Consumer, Producer};
use crate::queue::{ByteQueue, Lane, Latest, Queue, Subscriber, WorkQueue};
use crate::shared::Plain;
use crate::sync::{BoundedSemaphore, Event, Semaphore};

/// A message in a lane.
pub(crate) fn reading(lane: Lane, keep: impl Into<Option<Keep>>) -> Source<'static> {
    Source::object(Wanted::Read(lane), lane.address(), keep)
}

/// Room for one.
pub(crate) fn writing(lane: Lane, keep: impl Into<Option<Keep>>) -> Source<'static> {
    Source::object(Wanted::Write(lane, 1, false), lane.address(), keep)
}

/// Room for the longest message.
pub(crate) fn writing_bytes(lane: Lane, keep: impl Into<Option<Keep>>) -> Source<'static> {
    let units = units_of(lane.limit() as usize);
    Source::object(Wanted::Write(lane, units, true), lane.address(), keep)
}

impl<T: Plain> Queue<T> {
    /// There is a message, or the queue is closed: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let q = seg.queue::<u32>("q", 4)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(q.when_readable())?;
    /// assert!(set.try_wait()?.is_empty());
    /// q.push(1)?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::Pop(raw), raw.ring().address(), keep)
    }

    /// There is room for a message, or the queue is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let q = seg.queue::<u32>("q", 1)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(q.when_writable())?;
    /// assert_eq!(set.wait()?, [key]);
    /// q.push(1)?;
    /// assert!(set.try_wait()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_writable(&self) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::Push(raw), raw.ring().address(), keep)
    }
}

impl ByteQueue {
    /// There is a message, or the queue is closed: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let q = seg.byte_queue("q", 1 << 12, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(q.when_readable())?;
    /// q.push(b"hello")?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::PopBytes(raw), raw.ring().address(), keep)
    }

    /// There is room for a message of `len` bytes, or the queue is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let q = seg.byte_queue("q", 1 << 12, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(q.when_writable(100))?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_writable(&self, len: usize) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::PushBytes(raw, len), raw.ring().address(), keep)
    }
}

impl<T: Plain> Consumer<T> {
    /// There is a message, or the queue is closed: for a [`WaitSet`](crate::waitset::WaitSet). Messages that were popped and not freed
    /// yet count, until a try has failed: see [`free_every`](Self::free_every).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let mut p = seg.spsc_producer::<u32>("q", 4)?;
    /// let mut c = seg.spsc_consumer::<u32>("q", 4)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(c.when_readable())?;
    /// p.push(1)?;
    /// assert_eq!(set.wait()?, [key]);
    /// assert_eq!(c.pop()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        let (lane, keep) = self.watched();
        reading(lane, keep)
    }
}

impl<T: Plain> Producer<T> {
    /// There is room for a message, or the queue is closed: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let mut p = seg.spsc_producer::<u32>("q", 1)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(p.when_writable())?;
    /// assert_eq!(set.wait()?, [key]);
    /// p.push(1)?;
    /// assert!(set.try_wait()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_writable(&self) -> Source<'static> {
        let (lane, keep) = self.watched();
        writing(lane, keep)
    }
}

impl ByteConsumer {
    /// There is a message, or the lane is closed: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let mut p = seg.byte_producer("b", 4096, 100)?;
    /// let mut c = seg.byte_consumer("b", 4096, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(c.when_readable())?;
    /// p.push(b"hello")?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        let (lane, keep) = self.watched();
        reading(lane, keep)
    }
}

impl ByteProducer {
    /// There is room for the longest message, or the lane is closed: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let p = seg.byte_producer("b", 4096, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(p.when_writable())?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_writable(&self) -> Source<'static> {
        let (lane, keep) = self.watched();
        writing_bytes(lane, keep)
    }
}

impl End {
    /// There is a message, or the other end is closed or dead: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// let (mut a, mut b) = interproc::pipe::pair(1 << 12, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(a.when_readable())?;
    /// b.send(b"hello")?;
    /// assert_eq!(set.wait()?, [key]);
    /// assert_eq!(a.recv()?, b"hello");
    /// b.close()?;
    /// assert_eq!(set.wait()?, [key]); // the end
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        self.both().1.when_readable()
    }

    /// There is room for the longest message, or the other end is closed or dead.
    ///
    /// # Examples
    /// ```
    /// let (a, _b) = interproc::pipe::pair(1 << 12, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(a.when_writable())?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_writable(&self) -> Source<'static> {
        self.both().0.when_writable()
    }
}

impl Receiver {
    /// As [`End::when_readable`].
    ///
    /// # Examples
    /// ```
    /// let (mut to, from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(from.when_readable())?;
    /// to.send(b"hello")?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        let (lane, keep) = self.watched();
        reading(lane, keep)
    }
}

impl Sender {
    /// As [`End::when_writable`].
    ///
    /// # Examples
    /// ```
    /// let (to, _from) = interproc::pipe::one_way(1 << 12, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(to.when_writable())?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_writable(&self) -> Source<'static> {
        let (lane, keep) = self.watched();
        writing_bytes(lane, keep)
    }
}

impl Listener {
    /// A client has connected and can be accepted: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, pipe};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let mut listener = pipe::Listener::bind(&seg, "door", 2, 1 << 10, 100)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(listener.when_readable())?;
    /// let client = pipe::connect(&seg, "door")?;
    /// assert_eq!(set.wait()?, [key]);
    /// let end = listener.try_accept()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::Accept(raw), raw.place().address(), keep)
    }
}

impl<T: Body + ?Sized> WorkQueue<T> {
    /// A job can be taken, or none will come: for a [`WaitSet`](crate::waitset::WaitSet). Delayed jobs whose time comes, and jobs of the
    /// dead, count.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let jobs = seg.work_queue::<u32>("jobs", interproc::queue::WorkOptions::new(8))?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(jobs.when_readable())?;
    /// assert!(set.try_wait()?.is_empty());
    /// jobs.put(1)?;
    /// assert_eq!(set.wait()?, [key]);
    /// jobs.take()?.done()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::Take(raw), raw.place().address(), keep)
    }

    /// There is room for a job, or the queue is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let jobs = seg.work_queue::<u32>("jobs", interproc::queue::WorkOptions::new(8))?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(jobs.when_writable())?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_writable(&self) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::Put(raw), raw.place().address(), keep)
    }
}

impl<T: Body + ?Sized> Subscriber<T> {
    /// There is a message, or the broadcast is closed: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let news = seg.broadcast::<u32>("news", interproc::queue::BroadcastOptions::new(8))?;
    /// let mut mine = news.subscribe(interproc::queue::Slow::Waits)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(mine.when_readable())?;
    /// news.publish(1)?;
    /// assert_eq!(set.wait()?, [key]);
    /// assert_eq!(mine.recv()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_readable(&self) -> Source<'static> {
        let (raw, keep) = self.watched();
        let broadcast = *raw.broadcast();
        Source::object(Wanted::Receive(broadcast, raw.seat()), broadcast.place().address(), keep)
    }
}

impl<T: Plain> Latest<T> {
    /// There is a value newer than `version`: for a [`WaitSet`](crate::waitset::WaitSet). After it was reported, the next report is of a
    /// value that is newer still.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let limit = seg.latest("limit", 100u32)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(limit.when_newer(limit.version()))?;
    /// assert!(set.try_wait()?.is_empty());
    /// limit.set(70)?;
    /// assert_eq!(set.wait()?, [key]);
    /// assert!(set.try_wait()?.is_empty()); // reported once
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_newer(&self, version: u64) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::Newer(raw, version), raw.place().address(), keep)
    }
}

impl Event {
    /// It is set: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # use interproc::sync::Event;
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let stop = seg.object("stop", Event::new)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(stop.when_set())?;
    /// assert!(set.try_wait()?.is_empty());
    /// stop.set();
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_set(&self) -> Source<'_> {
        Source::object(Wanted::Set(self.raw()), core::ptr::from_ref(self).cast(), None)
    }
}

impl Semaphore {
    /// Its value is above 0: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # use interproc::sync::Semaphore;
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let free = seg.object("free", || Semaphore::new(0))?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(free.when_available())?;
    /// assert!(set.try_wait()?.is_empty());
    /// free.post()?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_available(&self) -> Source<'_> {
        Source::object(Wanted::Posted(self.raw()), core::ptr::from_ref(self).cast(), None)
    }
}

impl BoundedSemaphore {
    /// There is a permit to be had, also one of a dead holder: for a [`WaitSet`](crate::waitset::WaitSet).
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 20)?;
    /// let doors = seg.bounded_semaphore("doors", 1)?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(doors.when_available())?;
    /// assert_eq!(set.wait()?, [key]);
    /// let permit = doors.acquire()?;
    /// assert!(set.try_wait()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_available(&self) -> Source<'static> {
        let (raw, keep) = self.watched();
        Source::object(Wanted::Permit(raw), raw.cells().address(), keep)
    }
}

impl Child {
    /// It has ended, and can be joined: for a [`WaitSet`](crate::waitset::WaitSet). Such a set sleeps in epoll.
    ///
    /// # Examples
    /// ```
    /// # use interproc::process::Builder;
    /// let child = Builder::new().fork(|| ())?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(child.when_ended())?;
    /// assert_eq!(set.wait()?, [key]);
    /// drop(set);
    /// assert_eq!(child.join()?.code(), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_ended(&self) -> Source<'_> {
        Source::ended(self.pidfd())
    }
}

impl Process {
    /// It has ended: for a [`WaitSet`](crate::waitset::WaitSet). Such a set sleeps in epoll.
    ///
    /// # Examples
    /// ```
    /// # use interproc::process::{Builder, Process};
    /// let child = Builder::new().fork(|| ())?;
    /// let same = Process::open(child.pid())?;
    /// let mut set = interproc::waitset::WaitSet::new();
    /// let key = set.add(same.when_ended())?;
    /// assert_eq!(set.wait()?, [key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_ended(&self) -> Source<'_> {
        Source::ended(self.pidfd())
    }
}
