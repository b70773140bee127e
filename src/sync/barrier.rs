//! [`Barrier`]: the handle of a barrier in a segment.

use super::{BarrierTurn, RawBarrier};
use crate::counted::Keep;
use crate::error::Result;
use crate::fallible;
use crate::member::{self, Member, Who, view};
use crate::time::Deadline;
use core::fmt;
use core::time::Duration;
use std::vec::Vec;

/// Lets a number of threads of any processes wait for each other, round after round. Nobody waits for the dead.
///
/// Made or found by [`Segment::barrier`](crate::Segment::barrier), which sets the number of parties. The handle is cheap
/// to clone and may be used by any thread; a forked child may go on using it. The barrier has 64 bytes, and 8 for each
/// party.
///
/// A thread takes a seat when it first waits, and keeps it. *When a party dies* (a thread or its process, for any reason, while
/// it waits, or computes between two rounds), the barrier is **broken** at once: all that wait, and all that come, get
/// `Broken`, until somebody [resets](Barrier::reset) it. It is also broken when a party times out or
/// [aborts](Barrier::abort). A round passes for all or is broken for all. If the leader dies after the round
/// has passed, the others pass; the next round is broken.
///
/// The end of a thread is a death, so **a thread must [leave](Barrier::leave) before it ends**. Leaving frees its seat and
/// breaks nothing. The others still wait for as many parties as before: another thread must come in its place. If none will,
/// [abort](Barrier::abort). If more threads than parties come, each takes a seat that is idle in this round, or waits for the
/// next.
///
/// A party that looks late, because its process was stopped or its thread got no processor, is told how its own round ended,
/// however many rounds later. (Only after more than four resets this can be unknown: then it gets `Broken`.)
///
/// Up to 120 parties are watched without any polling; with more, a death is found within 50 ms.
///
/// *Ordering*: what any party did before its wait happens before what any of them does after it. *Signals*: do not use it
/// in a handler; signals do not end a wait. *Cost*: a compare-and-swap to come, one for the leader; a round in which
/// nobody had to sleep makes no system call.
///
/// Algorithm: see [`RawBarrier`].
///
/// # Examples
/// ```
/// use interproc::{Segment, process};
///
/// let seg = Segment::anonymous(1 << 16)?;
/// let steps = seg.barrier("steps", 2)?;
/// let child = process::fork(|| {
///     for _ in 0..3 {
///         steps.wait().unwrap();
///     }
///     steps.leave().unwrap(); // a good end is no death
/// })?;
/// let mut led = 0;
/// for _ in 0..3 {
///     // … a step of the computation …
///     if steps.wait()?.is_leader() {
///         led += 1; // one of the two, each time
///     }
/// }
/// assert!(led <= 3);
/// assert!(child.join()?.success());
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone)]
pub struct Barrier {
    raw: RawBarrier,
    /// Keeps the segment mapped.
    _segment: Keep,
}

/// A round that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether the calling thread is the one leader of the round.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert!(seg.barrier("alone", 1)?.wait()?.is_leader());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_leader(self) -> bool {
        self.0
    }
}

impl Barrier {
    /// A handle on cells in a segment that `segment` keeps mapped.
    pub(crate) fn from_raw(raw: RawBarrier, segment: Keep) -> Self {
        Barrier { raw, _segment: segment }
    }

    #[inline(always)]
    fn me(&self) -> Result<&Member> {
        member::current(self.raw.cells().address())
    }

    /// Waits until all parties have come.
    ///
    /// # Errors
    /// `Broken`; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let barrier = seg.barrier("barrier", 3)?;
    /// let leaders: usize = std::thread::scope(|s| {
    ///     let wait = || usize::from(barrier.wait().unwrap().is_leader());
    ///     let all: Vec<_> = (0..3).map(|_| s.spawn(wait)).collect();
    ///     all.into_iter().map(|thread| thread.join().unwrap()).sum()
    /// });
    /// assert_eq!(leaders, 1);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait(&self) -> Result<BarrierWaitResult> {
        self.raw.wait(self.me()?, None).map(BarrierWaitResult)
    }

    /// Waits until all parties have come, at most `timeout`. A time-out breaks the barrier for all.
    ///
    /// # Errors
    /// `TimedOut`: this caller timed out. `Broken`; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # use interproc::ErrorKind;
    /// # use std::time::Duration;
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let barrier = seg.barrier("barrier", 2)?;
    /// let late = barrier.wait_timeout(Duration::from_millis(5)).unwrap_err();
    /// assert_eq!(late.kind(), ErrorKind::TimedOut);
    /// assert_eq!(barrier.wait().unwrap_err().kind(), ErrorKind::Broken);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult> {
        self.wait_until(Deadline::after(timeout))
    }

    /// Waits until all parties have come, until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`Barrier::wait_timeout`].
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let alone = seg.barrier("alone", 1)?;
    /// alone.wait_until(interproc::Deadline::now())?; // all are there: a deadline in the past does not matter
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_until(&self, deadline: Deadline) -> Result<BarrierWaitResult> {
        self.raw.wait(self.me()?, Some(deadline)).map(BarrierWaitResult)
    }

    /// [`Barrier::wait_until`] in slices, for callers that must look at something else from time to time, as a language binding
    /// looks at its signals: when `deadline` passes, *nothing is broken*. The caller still counts as having come, and goes on
    /// with another call with the same `turn`, which starts as [`BarrierTurn::new`]. Any result but `TimedOut` ends the turn,
    /// which can then be used for the next round. A caller that does not go on must [abort](Barrier::abort): its party has
    /// come, and the others count on it.
    ///
    /// # Errors
    /// `TimedOut`: not all have come yet: call it again. `Broken`; `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// use interproc::{Deadline, ErrorKind, sync::BarrierTurn};
    /// use std::time::Duration;
    ///
    /// let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let barrier = seg.barrier("barrier", 2)?;
    /// let interrupted = || false; // has somebody pressed ^C?
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         std::thread::sleep(Duration::from_millis(30));
    ///         barrier.wait().unwrap();
    ///     });
    ///     let mut turn = BarrierTurn::new();
    ///     loop {
    ///         match barrier.wait_slice(&mut turn, Deadline::after(Duration::from_millis(10))) {
    ///             Err(e) if e.kind() == ErrorKind::TimedOut && !interrupted() => {}
    ///             Err(e) if e.kind() == ErrorKind::TimedOut => break barrier.abort(),
    ///             other => break other.map(drop),
    ///         }
    ///     }
    /// })?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn wait_slice(&self, turn: &mut BarrierTurn, deadline: Deadline) -> Result<BarrierWaitResult> {
        self.raw.wait_slice(self.me()?, turn, deadline).map(BarrierWaitResult)
    }

    /// Breaks the barrier: all that wait, and all that come, get `Broken` until a reset.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let barrier = seg.barrier("barrier", 2)?;
    /// barrier.abort()?;
    /// assert!(barrier.is_broken()? && barrier.wait().is_err());
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn abort(&self) -> Result<()> {
        self.raw.abort(self.me()?);
        Ok(())
    }

    /// Opens a new round, whatever was before: waiting threads get `Broken`, and the seats of the dead become free. Living
    /// parties keep theirs. Releasing the waiting threads and opening the new round is one step: a thread that gets `Broken`
    /// because of the reset may come again at once. (After an abort, a time-out or a death before the reset, it must wait for
    /// the reset.)
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let barrier = seg.barrier("barrier", 2)?;
    /// barrier.abort()?;
    /// barrier.reset()?;
    /// assert!(!barrier.is_broken()?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn reset(&self) -> Result<()> {
        self.raw.reset(self.me()?);
        Ok(())
    }

    /// Gives up the calling thread's seat, if it has one: its end then breaks nothing, and another thread may come
    /// instead.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let barrier = seg.barrier("barrier", 1)?;
    /// let visit = |well: bool| {
    ///     std::thread::scope(|s| {
    ///         let visitor = s.spawn(|| {
    ///             barrier.wait().unwrap();
    ///             if well {
    ///                 barrier.leave().unwrap();
    ///             }
    ///         });
    ///         visitor.join().unwrap();
    ///     });
    ///     // Give the kernel time to see the thread off.
    ///     std::thread::sleep(std::time::Duration::from_millis(50));
    /// };
    /// visit(true);
    /// assert!(!barrier.is_broken()?);
    /// visit(false);
    /// assert!(barrier.is_broken()?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn leave(&self) -> Result<()> {
        self.raw.leave(self.me()?);
        Ok(())
    }

    /// How many must come.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.barrier("barrier", 7)?.parties(), 7);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn parties(&self) -> u32 {
        self.raw.parties()
    }

    /// How many have come and wait; 0 while it is broken: a snapshot.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert_eq!(seg.barrier("barrier", 7)?.n_waiting()?, 0);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn n_waiting(&self) -> Result<u32> {
        Ok(self.raw.n_waiting(self.me()?))
    }

    /// Whether the next thread to come would get `Broken`: a snapshot.
    ///
    /// # Errors
    /// `TooManyMembers`.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// assert!(!seg.barrier("barrier", 7)?.is_broken()?);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn is_broken(&self) -> Result<bool> {
        Ok(self.raw.is_broken(self.me()?))
    }

    /// The parties that have a seat, dead or alive, and whether each has come to this round: a snapshot. The caller need
    /// not be a member of the segment.
    ///
    /// # Errors
    /// `InvalidInput` if the segment is closed.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// let barrier = seg.barrier("alone", 1)?;
    /// barrier.wait()?;
    /// let (who, has_come) = barrier.seats()?[0];
    /// assert_eq!((who.pid, has_come), (std::process::id(), false)); // the round is over
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn seats(&self) -> Result<Vec<(Who, bool)>> {
        view::look(self.raw.cells().address(), |domain| {
            let seats = (0..self.parties()).filter_map(|index| self.raw.seat(index));
            fallible::collected(seats.map(|(id, has_come)| (domain.who(id), has_come)))
        })?
    }

    /// How many living threads are asleep for it: a snapshot. Spinning threads are not counted. For all
    /// that have come, asleep or not, see [`Barrier::n_waiting`].
    ///
    /// # Errors
    /// `InvalidInput` outside a segment.
    ///
    /// # Examples
    /// ```
    /// # let seg = interproc::Segment::anonymous(1 << 16)?;
    /// # let barrier = seg.barrier("barrier", 2)?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| barrier.wait().map(drop).expect("nobody dies"));
    ///     while barrier.waiters().expect("in a segment") == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     assert_eq!(barrier.n_waiting().expect("in a segment"), 1);
    ///     barrier.wait().expect("nobody dies");
    /// });
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn waiters(&self) -> Result<u32> {
        view::waiters(self.raw.cells().address(), self.raw.cells().size())
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("parties", &self.parties()).finish_non_exhaustive()
    }
}
