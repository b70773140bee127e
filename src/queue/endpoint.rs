//! [`Endpoint`]: a process's hold on a seat: one side of a lane, or the place of a pipe's listener.
//!
//! **A seat belongs to a thread**, because the kernel reports the deaths of threads. A handle may move to another thread of
//! its process: its first operation there moves the seat, by one compare-and-swap. If the former thread has ended meanwhile
//! *and* somebody else has taken over, that operation fails with `Stale`.
//!
//! **Fork.** In a forked child the parent's handle is refused with `NotOwner`, and dropping it does nothing. A pipe's end can
//! be handed over: the child [adopts](Endpoint::adopt) the seat, the parent [waits for that](Endpoint::await_adoption).
//!
//! Each operation makes sure that it runs in the right thread and process, in one of two ways. [`Endpoint::me`] looks up the
//! calling thread's member, which notices a fork, and compares its id with the seat's. [`Endpoint::is_here`] needs no member:
//! it compares where the seat was used last, by three loads of the thread's own and one of a word that a fork wipes.

use crate::atomic::{AtomicU64, Ordering};
use crate::error::{Error, ErrorKind, Result, format};
use crate::member::{self, Here, Member, OwnerId};
use crate::queue::lane::{Lane, RawConsumer, RawProducer};
use crate::sys::{Watch, Word, futex, pidfd};
use crate::time::Deadline;
use core::ffi::c_int;
use core::mem::replace;
use core::time::Duration;
use std::os::fd::{AsFd, OwnedFd};

/// How long a parent sleeps before it looks again whether its child lives.
const PARENT_NAP: Duration = Duration::from_millis(10);

/// What an endpoint holds: a seat, and what its holder remembers.
pub(crate) trait Holder {
    /// Where the object lies.
    fn address(&self) -> *const u8;
    /// The word in shared memory that names the seat's holder.
    fn word(&self) -> &AtomicU64;
    /// Who holds the seat by this handle.
    fn holder(&self) -> OwnerId;
    /// Moves the seat to the calling thread, which is of the same process or adopts it.
    ///
    /// # Errors
    /// `Stale` if the seat is lost.
    fn move_to(&mut self, me: &Member) -> Result<()>;
    /// Tells the other side what it does not know yet, and leaves the seat.
    fn leave(&mut self, me: &Member);
}

/// One side of a lane.
pub(crate) trait Side: Holder {
    fn lane(&self) -> &Lane;
    /// Who holds the other seat, dead or alive.
    fn peer(&self) -> Option<OwnerId>;
    /// Nothing more will go through the lane.
    ///
    /// # Errors
    /// `Closed` if the other side closed it before what was not published yet.
    fn close(&mut self, me: &Member) -> Result<()>;
}

impl Holder for RawProducer {
    #[inline(always)]
    fn address(&self) -> *const u8 {
        RawProducer::lane(self).address()
    }
    fn word(&self) -> &AtomicU64 {
        RawProducer::lane(self).seats()[0]
    }
    #[inline(always)]
    fn holder(&self) -> OwnerId {
        RawProducer::holder(self)
    }
    fn move_to(&mut self, me: &Member) -> Result<()> {
        RawProducer::move_to(self, me)
    }
    fn leave(&mut self, _: &Member) {
        RawProducer::leave(self);
    }
}

impl Side for RawProducer {
    #[inline(always)]
    fn lane(&self) -> &Lane {
        RawProducer::lane(self)
    }
    #[inline(always)]
    fn peer(&self) -> Option<OwnerId> {
        RawProducer::lane(self).consumer()
    }
    fn close(&mut self, me: &Member) -> Result<()> {
        RawProducer::close(self, me)
    }
}

impl Holder for RawConsumer {
    #[inline(always)]
    fn address(&self) -> *const u8 {
        RawConsumer::lane(self).address()
    }
    fn word(&self) -> &AtomicU64 {
        RawConsumer::lane(self).seats()[1]
    }
    #[inline(always)]
    fn holder(&self) -> OwnerId {
        RawConsumer::holder(self)
    }
    fn move_to(&mut self, me: &Member) -> Result<()> {
        RawConsumer::move_to(self, me)
    }
    fn leave(&mut self, _: &Member) {
        RawConsumer::leave(self);
    }
}

impl Side for RawConsumer {
    #[inline(always)]
    fn lane(&self) -> &Lane {
        RawConsumer::lane(self)
    }
    #[inline(always)]
    fn peer(&self) -> Option<OwnerId> {
        RawConsumer::lane(self).producer()
    }
    fn close(&mut self, me: &Member) -> Result<()> {
        RawConsumer::close(self, me);
        Ok(())
    }
}

/// A seat, and the process and thread that have it. Dropped, it leaves the seat.
#[derive(Debug)]
pub(crate) struct Endpoint<S: Holder> {
    pub(crate) raw: S,
    /// Where the seat was used last.
    here: Here,
    /// How many forks there had been in the process that has it.
    forks: u64,
    /// It was left, or is somebody else's now: dropping it does nothing.
    given: bool,
}

impl<S: Holder> Endpoint<S> {
    /// The calling thread has just taken the seat.
    pub(crate) fn new(raw: S) -> Self {
        if let Ok(me) = member::current(raw.address()) {
            Member::is_seated(me);
        }
        Endpoint { raw, here: Here::now(), forks: member::forks(), given: false }
    }

    /// The calling thread's member. It has the seat: if need be it takes it from another thread of the process.
    ///
    /// # Errors
    /// `NotOwner` in a forked child; `Stale` if the thread that had the seat died and somebody has taken over;
    /// `TooManyMembers`.
    #[inline(always)]
    pub(crate) fn me<'a>(&mut self) -> Result<&'a Member> {
        let me: &Member = member::current(self.raw.address())?;
        if me.id() != self.raw.holder() {
            self.come(me)?;
        }
        Ok(me)
    }

    #[cold]
    fn come(&mut self, me: &Member) -> Result<()> {
        if self.forks != member::forks() {
            return Err(ErrorKind::NotOwner.into());
        }
        // Only `seated` notes where it is used.
        self.here = Here::NOWHERE;
        self.raw.move_to(me)?;
        me.is_seated();
        Ok(())
    }

    /// Whether the calling thread is known to have the seat.
    #[inline(always)]
    pub(crate) fn is_here(&self) -> bool {
        self.here.is_now()
    }

    /// As [`Endpoint::me`], without a look at the member where the thread is known to have the seat.
    ///
    /// # Errors
    /// As [`Endpoint::me`].
    #[inline(always)]
    pub(crate) fn here(&mut self) -> Result<()> {
        if self.is_here() { Ok(()) } else { self.seated().map(drop) }
    }

    /// As [`Endpoint::me`], and notes that the calling thread has the seat.
    ///
    /// # Errors
    /// As [`Endpoint::me`].
    #[cold]
    pub(crate) fn seated<'a>(&mut self) -> Result<&'a Member> {
        self.here = Here::NOWHERE;
        let me = self.me()?;
        self.here = Here::now();
        Ok(me)
    }

    /// Whether it is of the calling process.
    ///
    /// # Errors
    /// `NotOwner` in a forked child; those of looking up the calling thread's member, which notices a fork.
    pub(crate) fn is_of_this_process(&self) -> Result<()> {
        member::current(self.raw.address())?;
        if self.forks == member::forks() { Ok(()) } else { Err(ErrorKind::NotOwner.into()) }
    }

    /// Whether the seat is held by this handle: not if a child has adopted it.
    pub(crate) fn holds_seat(&self) -> bool {
        OwnerId::of(self.raw.word().load(Ordering::Acquire)) == Some(self.raw.holder())
    }

    /// Tells the other side what it does not know yet, and leaves the seat.
    pub(crate) fn leave(&mut self) {
        // If this fails the seat is not ours any more.
        if !self.give()
            && let Ok(me) = self.me()
        {
            self.raw.leave(me);
        }
    }

    /// From now on dropping it does nothing. Says whether that was so before.
    pub(crate) fn give(&mut self) -> bool {
        replace(&mut self.given, true)
    }

    /// In a forked child: takes the seat for the calling thread.
    ///
    /// # Errors
    /// `Stale`, `TooManyMembers`.
    pub(crate) fn adopt(&mut self) -> Result<()> {
        let me: &Member = member::current(self.raw.address())?;
        if me.id() != self.raw.holder() {
            crate::crash_window!("P-a: forked, the seat still the parent's");
            self.raw.move_to(me)?;
            me.is_seated();
            crate::crash_window!("P-b: the seat is the child's, the parent not told");
            futex::wake(Word::Low(self.raw.word()), u32::MAX);
        }
        (self.forks, self.here) = (member::forks(), Here::now());
        Ok(())
    }

    /// In the parent: waits until the child has adopted the seat. From then on, and if the child is dead, the handle is void
    /// here.
    ///
    /// # Errors
    /// `NoChild` if the child ended without, or is no child of ours: the wait would never end. `NotOwner` in a forked child
    /// itself.
    pub(crate) fn await_adoption(&mut self, child: c_int) -> Result<()> {
        self.await_adoption_until(child, None)
    }

    /// As [`await_adoption`](Self::await_adoption), not longer than that.
    ///
    /// # Errors
    /// As [`await_adoption`](Self::await_adoption), and `TimedOut`.
    pub(crate) fn await_adoption_until(&mut self, child: c_int, deadline: Option<Deadline>) -> Result<()> {
        self.is_of_this_process()?;
        let fd = pidfd::open(child);
        let is_strange = |fd: &OwnedFd| pidfd::is_our_child(fd.as_fd()) == Err(libc::ECHILD);
        if fd.as_ref().is_ok_and(is_strange) && self.holds_seat() {
            return Err(Error::from(ErrorKind::NoChild).with_detail(format!(
                "process {child} is no child of this process, or was waited for elsewhere"
            )));
        }
        while self.holds_seat() {
            let gone = match &fd {
                Ok(fd) => {
                    pidfd::wait_ended(fd.as_fd(), Some(Deadline::from_monotonic_ns(0))).unwrap_or(false)
                }
                Err(libc::ESRCH) => true,
                Err(errno) => return Err(Error::from_errno(*errno)),
            };
            // Once more: it may have adopted the seat just before it ended.
            if !self.holds_seat() {
                break;
            }
            if gone {
                return Err(Error::from(ErrorKind::NoChild)
                    .with_detail(format!("process {child} took no end of the pipe")));
            }
            if deadline.is_some_and(Deadline::has_passed) {
                return Err(ErrorKind::TimedOut.into());
            }
            let expected = self.raw.holder().bits() as u32;
            let watch = Watch { word: Word::Low(self.raw.word()), expected };
            futex::wait(&[watch], Deadline::earlier(deadline, Some(Deadline::after(PARENT_NAP))));
        }
        self.given = true;
        Ok(())
    }
}

impl<S: Side> Endpoint<S> {
    #[inline(always)]
    pub(crate) fn lane(&self) -> &Lane {
        self.raw.lane()
    }

    /// Who holds the other seat, dead or alive.
    #[inline(always)]
    pub(crate) fn peer(&self) -> Option<OwnerId> {
        self.raw.peer()
    }

    /// Closes the lane.
    ///
    /// # Errors
    /// Those of [`Endpoint::me`] and of [`Side::close`].
    pub(crate) fn close(&mut self) -> Result<()> {
        let me = self.me()?;
        self.raw.close(me)
    }
}

impl<S: Holder> Drop for Endpoint<S> {
    fn drop(&mut self) {
        self.leave();
    }
}
