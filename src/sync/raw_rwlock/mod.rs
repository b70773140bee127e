//! [`RawRwLock`]: many readers or one writer, whoever dies. Most users never need it: use [`RwLock`](crate::sync::RwLock).
//!
//! **Promise.** Readers hold it together, a writer alone. A dead reader's hold is void: nobody is told, nobody waits for it. A
//! dead writer's lock goes to the next locker, reader or writer, which gets the *write* lock with the news and repairs the
//! data. *Writer preference*: once a writer has the gate, no new reader comes in before it has been served. A thread that already
//! reads may read once more at any time, even with a writer waiting.
//!
//! **How.** A [`RawMutex`] is the *gate*; a writer holds it for as long as it writes. A reader takes a *cell* of the
//! lock (0 → its id), then looks at the gate. If the gate is free, it is in; otherwise it gives the cell back and queues at the
//! gate, and takes a cell while it has the gate. A writer takes the gate and then waits until every cell is 0 or its owner
//! dead. A reader that finds no free cell, and every reader while the lock is *biased*, writes its *hold* into its own
//! member slot instead: one of 16 words there that name the lock by its file offset. Holds count only while the
//! gate's word says so (KEPT). A writer that sees KEPT looks at the holds of all members, and clears KEPT when they are
//! gone.
//!
//! | gate word ([`RawMutex`]'s) | meaning here |
//! |---|---|
//! | 0 | no writer; readers have cells |
//! | `KEPT` | no writer; readers have cells or holds |
//! | `id + READING (…)` | a reader is taking its place; other readers may come in beside it |
//! | `id + DRAINING (…)` | a writer waits for the readers that are in |
//! | `id (+ WAITERS, DIRTY)` | written; with KEPT: by an heir that has not drained it yet |
//!
//! | cell | meaning |
//! |---|---|
//! | 0 | free |
//! | `id + n × ONE` | read `n` times by this member; if it is dead: free |
//! | `… + WAITER` | a writer sleeps until it changes |
//!
//! | hold (`format::Holds`) | meaning |
//! |---|---|
//! | 0 | free |
//! | `offset + n × ONE` | the lock at this offset, read `n` times by the slot's member, if that lives |
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | R1 | cell or hold released, Release | the writer's look at it, Acquire | reads come before the writes that follow |
//! | R2 | cell taken, SeqCst; gate read, SeqCst | gate taken, SeqCst (or fence); cells read, SeqCst | one of the two sees the other |
//! | R3 | hold written; light fence; gate read | gate taken; `Table::sleeper_fence`; holds read | one of the two sees the other |
//! | R4 | hold released; light fence; sleepers' word read | sleepers' word written; `Table::sleeper_fence`; hold read | no writer sleeps through it |
//! | M1, M2 | as in [`RawMutex`] | the gate's word changes by read-modify-writes, and a writer's releasing store, only | the guarded data, from the last writer, alive or dead |
//!
//! R2 needs all four to be SeqCst, or a SeqCst fence in place of one side's (C++20 [atomics.order]); on x86-64 that is
//! the locked instruction that is there anyway. R3 and R4 are the asymmetric fence of `tests/store_buffer/bias.rs`.
//!
//! *A writer unlocks like the holder of any [`RawMutex`]*, by a plain store while its word is the bare id, and this loses no
//! KEPT. Others add KEPT only by a compare-and-swap of a word that is open to readers (0, or with READING), so never to a
//! writer's word. KEPT is in a writer's word only if that writer put it there (it becomes a reader and found no cell) or
//! inherited it; then the writer sees it in the word and releases by a read-modify-write. The same holds for READING and
//! DRAINING, which are flags.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | RW-a | a reader with a cell, on its way in, inside or on its way out | a dead id in a cell | a writer asleep on its slot, by the kernel's mark; any other by one load | nothing, nobody is told |
//! | RW-b | a reader with a hold | a hold in a slot that is not live: void | as RW-a | nothing |
//! | RW-c | a reader that left its cell, before it wakes the writer | a free cell, a writer asleep | its pending pointer is at the bell; the writer watches its slot, too | nothing |
//! | RW-d | a reader that left its hold, before it wakes the writers | a free hold, writers asleep | they watch its slot | nothing |
//! | RW-e | a reader that has the gate | a dead id with READING | as MX-a of `RawMutex`; not news | nothing |
//! | RW-f | a writer that waits for readers | a dead id with DRAINING | as MX-a; not news | nothing |
//! | RW-g | a writer between taking a free gate and its look at the cells (a few instructions), or while it writes | a dead id | as MX-a | nothing; the next locker is told |
//! | RW-h | a writer that becomes a reader, with a cell and the gate | both dead | as MX-a and RW-a | nothing; the next locker is told |
//!
//! *A slot is claimed again while a writer looks at its holds*: a hold belongs to whatever generation the slot has. The new
//! member clears the words before its slot becomes live (K2 of `member::claim`). So a writer that reads the slot live and
//! then a hold reads one of that generation or of a later one; if of a later one, its sleep on the slot's word ends at
//! once. A member that came after the writer took the gate sees the gate (R3) and leaves.
//!
//! *Without membarrier* a writer cannot make sure of R3 and R4. It switches the segment to full fences (`use_strong_fences`), and
//! waits once per lock until what others wrote before they could know is visible: 10 ms for what takes
//! microseconds. This is the only assumption about time in this module. The net then covers R4.
//!
//! **Bias.** A lock that is read and not written is *biased*, so that reading costs two plain stores: see `bias.rs`.
//!
//! Rejected: a count of readers in the gate's word (one locked instruction less for the writer, but a dead reader could not
//! be told from a living one); a second cell for a thread's second read (a writer that has passed a free cell would not
//! see the reader move there).

mod bias;
mod readers;
mod writers;

use super::high;
use super::raw_mutex::{DRAINING, KEPT, READING};
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Table};
use crate::sync::{Acquired, RawMutex};
use crate::time::Deadline;
use crate::time::Wait;
use readers::{first_cell, home, leave_hold};

/// In a cell: a writer sleeps on it.
const WAITER: u64 = 1 << 63;
/// In a cell and in a hold: one read.
pub(super) const ONE: u64 = 1 << 48;
/// In a cell and in a hold: how many reads.
pub(super) const COUNT: u64 = WAITER - ONE;
/// In a slot's `Holds::sleepers`.
const SLEEPERS: u64 = 1 << 63;
/// In a slot's `Holds::sleepers`: what counts its changes.
const STEP: u64 = 1 << 32;

/// Readers that need no word in their own slot.
#[cfg(not(interproc_loom))]
pub(super) const CELLS: usize = 6;
#[cfg(interproc_loom)]
const CELLS: usize = 2;

/// Where a reader's place is, so that it can leave without a search: the index of a cell, or `CELLS` + that of a hold.
pub(crate) type Place = u8;

/// How a reader came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It reads.
    At(Place),
    /// It has inherited the write lock from the dead.
    OwnerDied,
}

/// What the first attempt to write has got.
pub(crate) enum Free {
    /// The lock.
    Locked,
    /// The gate, but readers are inside.
    Gate,
    /// Nothing.
    Not,
}

/// Whether a reader may come in.
#[inline(always)]
const fn is_open(gate: u64) -> bool {
    gate & !KEPT == 0 || gate & READING != 0
}

#[inline]
fn would_block<T>() -> Result<T> {
    Err(ErrorKind::WouldBlock.into())
}

/// The robust reader-writer lock. 64 bytes; all-zero is unlocked. It must lie in a segment of which the callers are
/// members. Most users never need it: see [`RwLock`](crate::sync::RwLock).
///
/// # Examples
/// ```
/// use interproc::raw::sync::{Acquired, RawRwLock};
/// assert_eq!(size_of::<RawRwLock>(), 64); // one cache line
/// # let _ = RawRwLock::new();
/// ```
#[repr(C)]
#[derive(Debug)]
pub struct RawRwLock {
    /// Who writes, or is on the way in. Its second word is the bias's record.
    gate: RawMutex,
    /// Who reads. After a death: the dead reader's id, until somebody needs the cell.
    cells: [AtomicU64; CELLS],
}

#[allow(clippy::new_without_default)]
impl RawRwLock {
    /// An unlocked one.
    #[cfg(not(interproc_loom))]
    pub const fn new() -> Self {
        RawRwLock { gate: RawMutex::new(), cells: [const { AtomicU64::new(0) }; CELLS] }
    }

    /// An unlocked one.
    #[cfg(interproc_loom)]
    pub fn new() -> Self {
        RawRwLock { gate: RawMutex::new(), cells: core::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Locks for reading, waiting until `deadline` if one is given. [`Acquired::OwnerDied`] means the *write* lock: the last
    /// writer died. Repair the data, call [`RawRwLock::mark_consistent`], then unlock or [`RawRwLock::downgrade`].
    ///
    /// A thread that already reads it may read once more, without waiting; it must unlock as many times.
    ///
    /// # Errors
    /// `Deadlock` if the caller writes, `NotRecoverable`, `TimedOut`; `TooManyHolds` if there is neither a free cell
    /// (6 readers) nor a free word among the caller's own 16, or after 32,767 reads by one thread.
    pub fn read(&self, me: &Member, deadline: Option<Deadline>) -> Result<Acquired> {
        self.read_as(me.id(), me, self.name(me), Wait::from(deadline)).map(Entered::told)
    }

    /// Locks for reading if nobody alive writes or waits to write.
    ///
    /// # Errors
    /// As [`RawRwLock::read`], and `WouldBlock`.
    pub fn try_read(&self, me: &Member) -> Result<Acquired> {
        self.read_as(me.id(), me, self.name(me), Wait::Never).map(Entered::told)
    }

    /// Locks for writing, waiting until `deadline` if one is given.
    ///
    /// # Errors
    /// `Deadlock` if the caller reads or writes, `NotRecoverable`, `TimedOut`.
    pub fn write(&self, me: &Member, deadline: Option<Deadline>) -> Result<Acquired> {
        self.write_as(me.id(), me, Wait::from(deadline))
    }

    /// Locks for writing if nobody alive reads or writes, or waits to write.
    ///
    /// # Errors
    /// As [`RawRwLock::write`], and `WouldBlock`.
    pub fn try_write(&self, me: &Member) -> Result<Acquired> {
        self.write_as(me.id(), me, Wait::Never)
    }

    /// Unlocks once, however the caller holds it. A write lock that was inherited and not marked consistent
    /// becomes unusable.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    pub fn unlock(&self, me: &Member) -> Result<()> {
        self.unlock_as(me.id(), me, self.name(me))
    }

    /// Gives the write lock back as if the caller, which writes, had died: the next locker, reader or writer, is told.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    #[cold]
    pub fn hand_back(&self, me: &Member) -> Result<()> {
        self.gate.hand_back(me)
    }

    /// [`RawRwLock::unlock`] for a caller that knows the lock's file offset.
    #[inline]
    pub(crate) fn unlock_as(&self, id: OwnerId, me: &Member, name: u64) -> Result<()> {
        if OwnerId::of(self.gate.load(Ordering::Relaxed)) == Some(id) {
            return self.gate.unlock(me);
        }
        if let Some(holds) = me.holds() {
            let at = home(name);
            if holds.words[at].load(Ordering::Relaxed) & !COUNT == name {
                leave_hold(holds, at, me);
                return Ok(());
            }
        }
        if self.leave_cell(first_cell(id), id, me) || self.leave_any(id, me, name) {
            return Ok(());
        }
        Err(ErrorKind::NotOwner.into())
    }

    /// Turns the caller's write lock into a read lock; no writer gets in between. If no place for a reader (a cell or a hold)
    /// becomes free within 20 ms, it stays a write lock, under which the caller may read.
    ///
    /// # Errors
    /// `NotOwner` if the caller does not write, `InvalidInput` if the lock was inherited and not marked consistent.
    pub fn downgrade(&self, me: &Member) -> Result<()> {
        self.downgrade_as(me.id(), me, self.name(me)).map(drop)
    }

    /// Declares the data whole again. For the holder of a write lock acquired as [`Acquired::OwnerDied`].
    ///
    /// # Errors
    /// `NotOwner` if the caller does not write, `InvalidInput` if it is not inconsistent.
    pub fn mark_consistent(&self, me: &Member) -> Result<()> {
        self.gate.mark_consistent(me)
    }

    /// Whether the calling member writes.
    #[inline]
    pub fn is_written_by(&self, me: &Member) -> bool {
        self.gate.is_held_by(me)
    }

    /// Who writes or waits for the readers to leave, dead or alive: a snapshot.
    pub fn writer(&self) -> Option<OwnerId> {
        let word = self.gate.load(Ordering::Relaxed);
        if word & READING != 0 { None } else { OwnerId::of(word) }
    }

    /// Calls `with` for every living reader, with the number of its reads: a snapshot, which may contain a reader on its way
    /// in.
    pub fn for_each_reader(&self, me: &Member, with: impl FnMut(OwnerId, u32)) {
        self.for_each_reader_of(me.table(), self.name(me), |id| me.lives(id), with);
    }

    /// Who writes, dead or alive: a snapshot. Not a writer that still waits for the readers to leave.
    pub fn holding_writer(&self) -> Option<OwnerId> {
        let word = self.gate.load(Ordering::Relaxed);
        if word & (READING | DRAINING) != 0 { None } else { OwnerId::of(word) }
    }

    /// [`RawRwLock::for_each_reader`] for a caller that is not a member but knows the lock's file offset and who lives.
    pub(crate) fn for_each_reader_of(
        &self,
        table: &Table,
        name: u64,
        lives: impl Fn(OwnerId) -> bool,
        mut with: impl FnMut(OwnerId, u32),
    ) {
        let mut tell = |owner: OwnerId, word: u64| {
            if lives(owner) {
                with(owner, ((word & COUNT) / ONE) as u32);
            }
        };
        for cell in &self.cells {
            let word = cell.load(Ordering::Relaxed);
            if let Some(owner) = OwnerId::of(word) {
                tell(owner, word);
            }
        }
        if self.gate.load(Ordering::Relaxed) & KEPT == 0 {
            return;
        }
        for index in 0..table.count() {
            let (Some(slot), Some(holds)) = (table.slot(index), table.holds(index)) else { continue };
            let owner = OwnerId::new(index as u16, high(slot.load(Ordering::Acquire)));
            for hold in &holds.words {
                let word = hold.load(Ordering::Relaxed);
                if word & !COUNT == name {
                    tell(owner, word);
                }
            }
        }
    }

    /// The lock's file offset: its name in a hold.
    fn name(&self, me: &Member) -> u64 {
        me.offset_of(core::ptr::from_ref(self).cast())
    }
}

impl Entered {
    #[inline(always)]
    pub(crate) fn told(self) -> Acquired {
        match self {
            Entered::At(_) => Acquired::Clean,
            Entered::OwnerDied => Acquired::OwnerDied,
        }
    }
}

#[cfg(not(interproc_loom))]
const _: () = assert!(size_of::<RawRwLock>() == 64 && align_of::<RawRwLock>() == 8);
