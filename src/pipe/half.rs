//! What both halves of an end have in common: whose they are, and how they end.

use super::meeting::RawMeeting;
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use crate::member::{self, Life, Member, OwnerId};
use crate::queue::byte_lane::{self, RawByteConsumer, RawByteProducer, Seated};
use crate::shm::Segment;
use crate::sys::pidfd;
use crate::sys::{Watch, Word, futex};
use crate::time::Deadline;
use core::ffi::c_int;
use core::time::Duration;
use std::os::fd::{AsFd, OwnedFd};

/// A side of a lane, as a half of a pipe.
pub(super) trait Side: byte_lane::Side {
    /// Nothing more will go through the lane.
    fn close(&mut self, me: &Member) -> Result<()>;
    /// Which of the lane's seats is its own.
    const SEAT: usize;
}

impl Side for RawByteProducer {
    fn close(&mut self, me: &Member) -> Result<()> {
        self.seat().close(me)
    }
    const SEAT: usize = 0;
}

impl Side for RawByteConsumer {
    fn close(&mut self, me: &Member) -> Result<()> {
        self.seat().close(me);
        Ok(())
    }
    const SEAT: usize = 1;
}

/// A side in the hands of a process.
#[derive(Debug)]
pub(super) struct Half<S: Side> {
    pub(super) seated: Seated<S>,
    /// It is somebody else's now, or closed: dropping it does nothing.
    given: bool,
    /// Told when the half has left, if others wait for the slot.
    meeting: RawMeeting,
    /// Keeps the mapping.
    _segment: Segment,
}

impl<S: Side> Half<S> {
    /// The calling thread has just sat down.
    pub(super) fn new(raw: S, meeting: RawMeeting, segment: Segment) -> Self {
        Half { seated: Seated::new(raw), given: false, meeting, _segment: segment }
    }

    /// The calling thread, in the seat: it takes it along from another thread of the process.
    #[inline(always)]
    pub(super) fn me<'a>(&mut self) -> Result<&'a Member> {
        self.seated.me()
    }

    /// As [`Half::me`], if the peer lives; two loads more of words that nobody writes. Who it is is not remembered: it
    /// may be a child by now, or another thread, and the one before may live on.
    ///
    /// # Errors
    /// `Closed` otherwise, and the lane is.
    #[inline(always)]
    pub(super) fn me_and_peer<'a>(
        &mut self,
        closed: impl Fn(&mut S, &Member) -> Result<()>,
    ) -> Result<&'a Member> {
        let me = self.me()?;
        let dead = self.seated.peer().is_some_and(|id| me.table().life(id) == Life::Dead);
        if dead && !crate::mutant!("pipe-dead-peer") {
            closed(self.seated.raw(), me)?;
        }
        Ok(me)
    }

    /// Whether the seat is the handle's; not if it was given to a child.
    fn is_seated(&self) -> bool {
        let holder = self.seated.holder();
        let word = self.seated.lane().seats()[S::SEAT];
        OwnerId::of(word.load(core::sync::atomic::Ordering::Acquire)) == Some(holder)
    }

    /// In a forked child: the seat is the calling thread's from now on.
    pub(super) fn adopt(&mut self) -> Result<()> {
        let me = member::current(self.seated.lane().address())?;
        if me.id() != self.seated.holder() {
            crate::crash_window!("P-a: forked, the seat still the parent's");
            self.seated.raw().move_to(me)?;
            crate::crash_window!("P-b: the seat is the child's, the parent not told");
            futex::wake(Word::Low(self.seated.lane().seats()[S::SEAT]), u32::MAX);
        }
        self.seated.adopt();
        Ok(())
    }

    /// In the parent: waits until the child has adopted it. Then, and if the child is dead, the half is void here.
    ///
    /// # Errors
    /// `NoChild` when it ended without, or is no child of ours: nothing would ever come of the wait. `NotOwner` in a
    /// forked child itself.
    pub(super) fn await_adoption(&mut self, child: c_int) -> Result<()> {
        self.seated.is_this_process()?;
        let fd = pidfd::open(child);
        let is_strange = |fd: &OwnedFd| pidfd::is_our_child(fd.as_fd()) == Err(libc::ECHILD);
        if fd.as_ref().is_ok_and(is_strange) && self.is_seated() {
            return Err(Error::from(ErrorKind::NoChild).with_detail(format!(
                "process {child} is no child of this process, or was waited for elsewhere"
            )));
        }
        while self.is_seated() {
            let gone = match &fd {
                Ok(fd) => {
                    pidfd::wait_ended(fd.as_fd(), Some(Deadline::from_monotonic_ns(0))).unwrap_or(false)
                }
                Err(libc::ESRCH) => true,
                Err(errno) => return Err(Error::from_errno(*errno)),
            };
            // Once more: what it did last.
            if !self.is_seated() {
                break;
            }
            if gone {
                return Err(Error::from(ErrorKind::NoChild)
                    .with_detail(format!("process {child} took no end of the pipe")));
            }
            let expected = self.seated.holder().bits() as u32;
            let watch = Watch { word: Word::Low(self.seated.lane().seats()[S::SEAT]), expected };
            futex::wait(&[watch], Some(Deadline::after(LOOK)));
        }
        self.given = true;
        Ok(())
    }

    /// It is the child's.
    pub(super) fn give(&mut self) {
        self.given = true;
    }

    /// Closes the lane and leaves the seat.
    pub(super) fn close(&mut self) -> Result<()> {
        if core::mem::replace(&mut self.given, true) {
            return Ok(());
        }
        let me = match self.me() {
            // The thread that had it ended: the other end has seen the end, or will.
            Err(error) if error.kind() == ErrorKind::Stale => return Ok(()),
            me => me?,
        };
        if !self.is_seated() {
            return Ok(());
        }
        let flushed = self.seated.raw().close(me);
        crate::crash_window!("P-c: closed, still seated");
        let pending = me.pend();
        self.seated.raw().leave();
        self.meeting.make_room();
        me.unpend(pending);
        flushed
    }
}

/// How long a parent sleeps before it looks whether its child still lives.
const LOOK: Duration = Duration::from_millis(10);

impl<S: Side> Drop for Half<S> {
    fn drop(&mut self) {
        // What fails is not ours any more, or a forked child's copy.
        let _ = self.close();
    }
}
