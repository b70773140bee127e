//! [`WorkQueue`], the handle of a work queue in a segment, and [`Lease`], a job in a worker's hands.
#![allow(unsafe_code)]

use super::raw::{DeadLetter, Job, Leased, RawWorkQueue};
use crate::counted::Keep;
use crate::error::{Error, ErrorKind, Result};
use crate::member::{self, Member};
use crate::queue::body::Body;
use crate::time::{Deadline, Wait};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::time::Duration;
use std::string::String;
use std::vec::Vec;

/// Jobs that are delivered at least once, between any processes: a worker *takes* a job, and the queue keeps it until the worker
/// says that it is [done](Lease::done). A worker that dies, or drops its job, gives it back at once, counted.
///
/// Created or found by [`Segment::work_queue`](crate::Segment::work_queue). The handle is cheap to clone. Any thread may use it, and a
/// forked child may go on using it; a [`Lease`] stays with the thread that took it.
///
/// *Delivery*: at least once. A worker may die between its work and its `done`, so the same job may be worked on twice: name the
/// effect by the job's [id](Lease::id), which never comes again, and a second time does nothing. A job that was delivered
/// [so often](super::WorkOptions::max_deliveries) and not done is a [dead letter](WorkQueue::dead_letters).
///
/// *Order*: the oldest first, the youngest first, or by priority ([`WorkOrder`](super::WorkOrder)). A job that comes back keeps its age. A slow job holds up nobody: room is counted in jobs.
///
/// *If a thread dies* in any call, the queue is whole for the others; see [`RawWorkQueue`] for each window.
///
/// *Cost*: each call takes the queue's lock once. No allocation, and no system call unless it waits or somebody sleeps.
/// *Signals*: not to be used in a handler.
///
/// # Examples
/// ```
/// use interproc::Segment;
/// use interproc::queue::WorkOptions;
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let jobs = seg.work_queue::<u64>("jobs", WorkOptions::new(100).max_deliveries(3))?;
/// jobs.put(7)?;
/// let job = jobs.take()?;
/// assert_eq!((*job, job.deliveries()), (7, 1));
/// drop(job); // not done: it comes back
/// let job = jobs.take()?;
/// assert_eq!((*job, job.deliveries()), (7, 2));
/// job.done()?;
/// jobs.join()?; // everything is done
/// # Ok::<(), interproc::Error>(())
/// ```
pub struct WorkQueue<T: ?Sized> {
    raw: RawWorkQueue,
    /// Keeps the segment mapped.
    segment: Keep,
    _jobs: PhantomData<fn(&T)>,
}

impl<T: ?Sized> Clone for WorkQueue<T> {
    fn clone(&self) -> Self {
        WorkQueue { raw: self.raw, segment: self.segment.clone(), _jobs: PhantomData }
    }
}

impl<T: Body + ?Sized> WorkQueue<T> {
    /// For those who wait for it beside others.
    pub(crate) fn watched(&self) -> (RawWorkQueue, Keep) {
        (self.raw, self.segment.clone())
    }

    pub(crate) fn from_raw(raw: RawWorkQueue, segment: Keep) -> Self {
        WorkQueue { raw, segment, _jobs: PhantomData }
    }

    #[inline(always)]
    fn me(&self) -> Result<&Member> {
        member::current(self.raw.place().address())
    }

    fn put_by(&self, body: &T, job: Job, wait: Wait) -> Result<u64> {
        let (bytes, len) = body.bytes();
        // SAFETY: the payload has room for the job, whose node is ours.
        self.raw.put_with(self.me()?, len, job, wait, |to| unsafe { to.copy_from_nonoverlapping(bytes, len) })
    }

    /// Puts a job, waiting for room as long as it takes. Returns its number.
    ///
    /// # Errors
    /// `Closed`; `TooLarge`; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let jobs = seg.byte_work_queue("jobs", 100, WorkOptions::new(4))?;
    /// jobs.put(b"resize cat.png".as_slice())?;
    /// assert_eq!(*jobs.take()?, b"resize cat.png");
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn put(&self, job: impl core::borrow::Borrow<T>) -> Result<u64> {
        self.put_by(job.borrow(), Job::default(), Wait::ForEver)
    }

    /// Puts a job with a priority, or one that is to be delivered later.
    ///
    /// # Errors
    /// As [`put`](Self::put); `Full` and `TimedOut` as `wait` says.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::{Job, WorkOptions, WorkOrder}};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// let jobs = seg.work_queue::<u8>("jobs", WorkOptions::new(4).order(WorkOrder::Priority))?;
    /// jobs.put_with(b'b', Job { priority: 5, ..Job::default() }, Wait::Never)?;
    /// jobs.put_with(b'a', Job { priority: -5, ..Job::default() }, Wait::Never)?;
    /// assert_eq!(*jobs.take()?, b'a');
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn put_with(&self, body: impl core::borrow::Borrow<T>, job: Job, wait: Wait) -> Result<u64> {
        self.put_by(body.borrow(), job, wait)
    }

    /// Puts a job that is not delivered before so much time has passed.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::WorkOptions};
    /// # use std::time::Duration;
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put_after(Duration::from_millis(5), 7u64)?;
    /// assert_eq!(jobs.try_take().unwrap_err().kind(), ErrorKind::Empty);
    /// assert_eq!(jobs.take()?.done()?, 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn put_after(&self, delay: Duration, job: impl core::borrow::Borrow<T>) -> Result<u64> {
        let job_at = Job { not_before: Some(Deadline::after(delay)), ..Job::default() };
        self.put_by(job.borrow(), job_at, Wait::ForEver)
    }

    /// Puts a job if there is room now.
    ///
    /// # Errors
    /// As [`put`](Self::put), and `Full`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(1))?;
    /// jobs.try_put(1u64)?;
    /// assert_eq!(jobs.try_put(2u64).unwrap_err().kind(), ErrorKind::Full);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_put(&self, job: impl core::borrow::Borrow<T>) -> Result<u64> {
        self.put_by(job.borrow(), Job::default(), Wait::Never)
    }

    /// Puts a job, waiting for room at most `timeout`.
    ///
    /// # Errors
    /// As [`put`](Self::put), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::WorkOptions};
    /// # use std::time::Duration;
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(1))?;
    /// jobs.put_timeout(1u64, Duration::from_millis(1))?;
    /// assert_eq!(jobs.put_timeout(2u64, Duration::from_millis(1)).unwrap_err().kind(), ErrorKind::TimedOut);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn put_timeout(&self, job: impl core::borrow::Borrow<T>, timeout: Duration) -> Result<u64> {
        self.put_until(job, Deadline::after(timeout))
    }

    /// Puts a job, waiting for room until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`put_timeout`](Self::put_timeout).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(1))?;
    /// jobs.put_until(1u64, Deadline::now())?; // there is room
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn put_until(&self, job: impl core::borrow::Borrow<T>, deadline: Deadline) -> Result<u64> {
        self.put_by(job.borrow(), Job::default(), Wait::Until(deadline))
    }

    /// Takes the next job, waiting for one as `wait` says.
    ///
    /// # Errors
    /// As [`take`](Self::take), and `Empty` or `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, Wait, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(7)?;
    /// assert_eq!(jobs.take_by(Wait::Never)?.done()?, 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn take_by(&self, wait: Wait) -> Result<Lease<'_, T>> {
        let me = self.me()?;
        loop {
            let leased = self.raw.take(me, wait)?;
            let value = self.raw.read(&leased, |bytes: *const u8, len| {
                // SAFETY: so many bytes of the segment, and as many in the copy. If the lease runs out meanwhile others may write there:
                // then what was read is thrown away.
                T::read(len, |to, len| unsafe { to.copy_from_nonoverlapping(bytes, len) })
            });
            if !self.raw.holds(me, &leased) {
                // The lease was over before the job was read.
                match wait {
                    Wait::Never => return Err(ErrorKind::Empty.into()),
                    Wait::Until(deadline) if deadline.has_passed() => return Err(ErrorKind::TimedOut.into()),
                    _ => continue,
                }
            }
            let hold = Hold { queue: &self.raw, leased, _thread: PhantomData };
            return match value {
                Some(value) => Ok(Lease { hold: ManuallyDrop::new(hold), value: ManuallyDrop::new(value) }),
                None => {
                    let _ = hold.give_back("");
                    Err(Error::no_memory())
                }
            };
        }
    }

    /// Takes the next job, waiting for one as long as it takes.
    ///
    /// # Errors
    /// `Closed` when closed and nothing is unfinished; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(7u64)?;
    /// let job = jobs.take()?;
    /// assert_eq!(*job, 7);
    /// job.done()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn take(&self) -> Result<Lease<'_, T>> {
        self.take_by(Wait::ForEver)
    }

    /// Takes the next job if there is one now.
    ///
    /// # Errors
    /// As [`take`](Self::take), and `Empty`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// assert_eq!(jobs.try_take().unwrap_err().kind(), ErrorKind::Empty);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn try_take(&self) -> Result<Lease<'_, T>> {
        self.take_by(Wait::Never)
    }

    /// Takes the next job, waiting for one at most `timeout`.
    ///
    /// # Errors
    /// As [`take`](Self::take), and `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// assert!(jobs.take_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn take_timeout(&self, timeout: Duration) -> Result<Lease<'_, T>> {
        self.take_until(Deadline::after(timeout))
    }

    /// Takes the next job, waiting for one until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`take_timeout`](Self::take_timeout).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// assert!(jobs.take_until(Deadline::now()).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn take_until(&self, deadline: Deadline) -> Result<Lease<'_, T>> {
        self.take_by(Wait::Until(deadline))
    }

    /// Waits until all jobs are done or dead letters.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, process, queue::WorkOptions};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let jobs = seg.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// let worker = process::fork(|| {
    ///     while let Ok(job) = jobs.take() {
    ///         job.done().unwrap();
    ///     }
    /// })?;
    /// (0..10).try_for_each(|n| jobs.put(n).map(drop))?;
    /// jobs.join()?; // all ten are done
    /// jobs.close()?;
    /// # drop(worker.join()?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn join(&self) -> Result<()> {
        self.raw.join(self.me()?, Wait::ForEver)
    }

    /// As [`join`](Self::join), at most for `timeout`.
    ///
    /// # Errors
    /// `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(1u64)?;
    /// assert!(jobs.join_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<()> {
        self.join_until(Deadline::after(timeout))
    }

    /// As [`join`](Self::join), until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Deadline, Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.join_until(Deadline::now())?; // nothing was put
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn join_until(&self, deadline: Deadline) -> Result<()> {
        self.raw.join(self.me()?, Wait::Until(deadline))
    }

    /// Closes it: no more jobs are put. What is there can be taken, also what comes back; then takes fail with `Closed`.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{ErrorKind, Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(1u64)?;
    /// jobs.close()?;
    /// assert!(jobs.is_closed());
    /// assert_eq!(jobs.take()?.done()?, 1);
    /// assert_eq!(jobs.take().unwrap_err().kind(), ErrorKind::Closed);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.raw.close(self.me()?)
    }

    /// Whether it was closed.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// assert!(!jobs.is_closed());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Jobs that wait to be taken, without those whose time has not come: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(1u64)?;
    /// assert_eq!(jobs.len(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.raw.counts()[0]
    }

    /// Whether no job waits to be taken: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// assert!(jobs.is_empty());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Jobs that are not done: waiting, delayed, or in a worker's hands. A snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(1u64)?;
    /// let _job = jobs.take()?;
    /// assert_eq!((jobs.len(), jobs.leased(), jobs.unfinished()), (0, 1, 1));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn unfinished(&self) -> usize {
        self.raw.counts()[..3].iter().sum()
    }

    /// Jobs in workers' hands: a snapshot.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// assert_eq!(jobs.leased(), 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn leased(&self) -> usize {
        self.raw.counts()[2]
    }

    /// From the nodes themselves, in O(capacity): jobs that are ready, delayed, leased, dead letters, and being written. Where a
    /// process has just died, [`len`](Self::len) and the others count what it had not entered in the books yet only after the next
    /// call.
    #[doc(hidden)]
    pub fn survey(&self) -> [usize; 5] {
        self.raw.survey()
    }

    /// Jobs that it has room for, whatever becomes of them: dead letters take room, too.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// assert_eq!(jobs.capacity(), 4);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.raw.place().geometry().capacity as usize
    }

    /// The dead letters, the oldest first. They stay until they are [retried](Self::retry) or [discarded](Self::discard).
    ///
    /// # Errors
    /// `Resource` without memory for them; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// let seg = Segment::anonymous(1 << 16)?;
    /// let jobs = seg.work_queue::<u64>("jobs", WorkOptions::new(4).max_deliveries(1))?;
    /// jobs.put(7u64)?;
    /// jobs.take()?.fail("it would not open")?;
    /// let letters = jobs.dead_letters()?;
    /// assert_eq!((letters[0].body, &*letters[0].reason), (7, "it would not open"));
    /// assert!(jobs.retry(&letters[0])?);
    /// assert_eq!(jobs.take()?.done()?, 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn dead_letters(&self) -> Result<Vec<Letter<T>>> {
        let (mut letters, mut no_memory) = (Vec::new(), false);
        self.raw.dead_letters(self.me()?, |letter, bytes, reason| {
            // SAFETY: so many bytes of the segment; the lock keeps others from them.
            let body = T::read(letter.len, |to, len| unsafe { to.copy_from_nonoverlapping(bytes, len) });
            let mut text = String::new();
            let room = letters.try_reserve(1).and_then(|()| text.try_reserve_exact(reason.len()));
            match (body, room) {
                (Some(body), Ok(())) => {
                    text.push_str(reason);
                    letters.push(Letter { body, reason: text, letter });
                }
                _ => no_memory = true,
            }
        })?;
        letters.sort_unstable_by_key(|letter: &Letter<T>| letter.letter.id);
        if no_memory { Err(Error::no_memory()) } else { Ok(letters) }
    }

    /// Makes a dead letter a job again, as if it had never been delivered. False: it is none any more.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let jobs = seg.work_queue::<u64>("jobs", WorkOptions::new(4).max_deliveries(1))?;
    /// jobs.put(7u64)?;
    /// drop(jobs.take()?);
    /// let letter = &jobs.dead_letters()?[0];
    /// assert!(jobs.retry(letter)? && jobs.len() == 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn retry(&self, letter: &Letter<T>) -> Result<bool> {
        self.raw.end_dead_letter(self.me()?, &letter.letter, true)
    }

    /// Drops a dead letter: its room is free. False: it is none any more.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let jobs = seg.work_queue::<u64>("jobs", WorkOptions::new(4).max_deliveries(1))?;
    /// jobs.put(7u64)?;
    /// drop(jobs.take()?);
    /// let letter = &jobs.dead_letters()?[0];
    /// assert!(jobs.discard(letter)? && !jobs.discard(letter)?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn discard(&self, letter: &Letter<T>) -> Result<bool> {
        self.raw.end_dead_letter(self.me()?, &letter.letter, false)
    }
}

/// A dead letter: a job that was delivered as often as its queue allows, and never done.
pub struct Letter<T: Body + ?Sized> {
    /// The job.
    pub body: T::Owned,
    /// Why it failed last, as far as that was told.
    pub reason: String,
    letter: DeadLetter,
}

impl<T: Body + ?Sized> Letter<T> {
    /// The job's number.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let jobs = seg.work_queue::<u64>("jobs", WorkOptions::new(4).max_deliveries(1))?;
    /// jobs.put(7u64)?;
    /// drop(jobs.take()?);
    /// let letter = &jobs.dead_letters()?[0];
    /// assert_eq!(letter.id(), 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn id(&self) -> u64 {
        self.letter.id
    }

    /// How often it was delivered.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let seg = Segment::anonymous(1 << 16)?;
    /// # let jobs = seg.work_queue::<u64>("jobs", WorkOptions::new(4).max_deliveries(1))?;
    /// jobs.put(7u64)?;
    /// drop(jobs.take()?);
    /// let letter = &jobs.dead_letters()?[0];
    /// assert_eq!(letter.deliveries(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn deliveries(&self) -> u32 {
        self.letter.deliveries
    }
}

/// What the calling thread holds.
struct Hold<'q> {
    queue: &'q RawWorkQueue,
    leased: Leased,
    /// Not `Send`.
    _thread: PhantomData<*const ()>,
}

impl Hold<'_> {
    #[inline]
    fn done(self) -> Result<()> {
        self.queue.done(self.current()?, self.leased)
    }

    fn give_back(self, reason: &str) -> Result<()> {
        self.queue.give_back(self.current()?, self.leased, reason)
    }

    /// The calling thread's member: in a forked child another one.
    #[inline(always)]
    fn current(&self) -> Result<&'static Member> {
        member::current(self.queue.place().address())
    }
}

/// A job in a worker's hands, read through `Deref`. [`done`](Self::done) ends it. Dropped without that, also by a panic, the job goes
/// back to the queue, and counts as delivered.
///
/// It belongs to the thread that took it and is not `Send`. If that thread dies, the job goes back at once. In a queue with a
/// [time limit](super::WorkOptions::lease) it goes back when the time is over, and `done` is `Stale` then.
#[must_use = "a job that is dropped is given back"]
pub struct Lease<'q, T: Body + ?Sized> {
    hold: ManuallyDrop<Hold<'q>>,
    value: ManuallyDrop<T::Owned>,
}

impl<'q, T: Body + ?Sized> Lease<'q, T> {
    /// The job's number: it is the same at each delivery, and no other job ever has it.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(7u64)?;
    /// let job = jobs.take()?;
    /// assert_eq!(job.id(), 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn id(&self) -> u64 {
        self.hold.leased.id()
    }

    /// How often it was delivered, this time included. More than 4096 times are not counted.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(7u64)?;
    /// let job = jobs.take()?;
    /// assert_eq!(job.deliveries(), 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn deliveries(&self) -> u32 {
        self.hold.leased.deliveries()
    }

    /// The job is done. Returns what it was.
    ///
    /// # Errors
    /// `Stale`: the lease has run out, and the job was given to others or waits for them. `NotOwner` in a forked child.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(7u64)?;
    /// let job = jobs.take()?;
    /// assert_eq!(job.done()?, 7);
    /// jobs.join()?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn done(self) -> Result<T::Owned> {
        let (hold, value) = self.parts();
        hold.done().map(|()| value)
    }

    /// It could not be done: it goes back, and counts as delivered. `reason` is kept for the dead letter that it may become; the first
    /// 64 bytes of it.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    ///
    /// # Examples
    /// ```
    /// # use interproc::{Segment, queue::WorkOptions};
    /// # let jobs = Segment::anonymous(1 << 16)?.work_queue::<u64>("jobs", WorkOptions::new(4))?;
    /// jobs.put(7u64)?;
    /// let job = jobs.take()?;
    /// job.fail("not now")?;
    /// assert_eq!(jobs.take()?.deliveries(), 2);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn fail(self, reason: &str) -> Result<()> {
        self.parts().0.give_back(reason)
    }

    fn parts(self) -> (Hold<'q>, T::Owned) {
        let mut ended = ManuallyDrop::new(self);
        // SAFETY: once, as the guard is not dropped.
        unsafe { (ManuallyDrop::take(&mut ended.hold), ManuallyDrop::take(&mut ended.value)) }
    }
}

impl<T: Body + ?Sized> Deref for Lease<'_, T> {
    type Target = T::Owned;

    fn deref(&self) -> &T::Owned {
        &self.value
    }
}

impl<T: Body + ?Sized> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        // SAFETY: once, as this is the drop.
        let hold = unsafe {
            ManuallyDrop::drop(&mut self.value);
            ManuallyDrop::take(&mut self.hold)
        };
        let _ = hold.give_back("");
    }
}

impl<T: Body + ?Sized> fmt::Debug for Lease<'_, T>
where
    T::Owned: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({}, {:?})", self.id(), *self.value)
    }
}

impl<T: Body + ?Sized> fmt::Debug for WorkQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ready, delayed, leased, dead] = self.raw.counts();
        write!(f, "WorkQueue({ready} ready, {delayed} delayed, {leased} leased, {dead} dead)")
    }
}

impl<T: Body + ?Sized> fmt::Debug for Letter<T>
where
    T::Owned: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({}, {:?}, {:?})", self.id(), self.body, self.reason)
    }
}
