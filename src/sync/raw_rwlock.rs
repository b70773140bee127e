//! [`RawRwLock`]: many readers or one writer, whoever dies.
//!
//! **Promise.** Readers hold it together, a writer alone. A dead reader is folded: nobody is told, nobody waits for it. A
//! dead writer's lock goes to the next one, reader or writer, who gets the *write* lock with the news and repairs the
//! data. *Writer preference*: once a writer has the gate, no new reader comes in before it has been served. Whoever
//! reads already may read once more at any time, also with a writer waiting.
//!
//! **How.** A [`RawMutex`] is the *gate*; a writer holds it for as long as it writes. A reader takes a *cell* of the
//! lock (0 → its id), then looks at the gate: free, and it is in; else it gives the cell back and queues at the gate,
//! where it takes a cell while it has the gate. A writer takes the gate and then waits until every cell is 0 or its owner
//! dead. A reader that finds no free cell, and every reader while the lock is *biased*, writes its *hold* into its own
//! member slot instead: one of 16 words there that name the lock by its place in the file. Holds count only while the
//! gate's word says so (KEPT); a writer that sees KEPT looks at the holds of all members, and clears it when they are
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
//! | `id + n × ONE` | read `n` times by this member; dead: free |
//! | `… + WAITER` | a writer sleeps until it changes |
//!
//! | hold (`format::Holds`) | meaning |
//! |---|---|
//! | 0 | free |
//! | `offset + n × ONE` | the lock at this offset, read `n` times by the slot's member if that lives |
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | R1 | cell or hold released, Release | the writer's look at it, Acquire | reads come before the writes that follow |
//! | R2 | cell taken, SeqCst; gate read, SeqCst | gate taken, SeqCst (or fence); cells read, SeqCst | one of the two sees the other |
//! | R3 | hold written; light fence; gate read | gate taken; `Table::sleeper_fence`; holds read | one of the two sees the other |
//! | R4 | hold released; light fence; sleepers' word read | sleepers' word written; `Table::sleeper_fence`; hold read | no writer sleeps through it |
//! | M1, M2 | as in [`RawMutex`] | the gate's word changes by read-modify-writes only | the guarded data, from the last writer, alive or dead |
//!
//! R2 needs all four to be SeqCst, or a SeqCst fence in the place of one side's (C++20 [atomics.order]); on x86-64 that is
//! the locked instruction that is there anyway. R3 and R4 are the asymmetric fence of `tests/store_buffer.rs`.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | R1 | a reader with a cell, on its way in, inside or on its way out | a dead id in a cell | a writer asleep on its slot, by the kernel's mark; any other by one load | nothing, nobody is told |
//! | R2 | a reader with a hold | a hold in a slot that is not live: void | as R1 | nothing |
//! | R3 | a reader that left its cell, before it wakes the writer | a free cell, a writer asleep | its pending pointer is at the bell; the writer watches its slot, too | nothing |
//! | R4 | a reader that left its hold, before it wakes the writers | a free hold, writers asleep | they watch its slot | nothing |
//! | R5 | a reader that has the gate | a dead id with READING | as C1 of `RawMutex`; not news | nothing |
//! | W1 | a writer that waits for readers | a dead id with DRAINING | as C1; not news | nothing |
//! | W2 | a writer between taking a free gate and its look at the cells (a few instructions), or while it writes | a dead id | as C1 | nothing; the next one is told |
//! | W3 | a writer that becomes a reader, with a cell and the gate | both dead | as C1 and R1 | nothing; the next one is told |
//!
//! *A hold's slot is claimed anew while a writer looks at it*: a hold is of whatever generation the slot has. The new
//! member clears the words before its slot becomes live (K2 of `member::claim`), so a writer that reads the slot live,
//! then a hold, reads one of that generation or of a later one; and if a later one, its sleep on the slot's word ends at
//! once. A member that came after the writer took the gate sees the gate (R3) and leaves.
//!
//! *Without membarrier* a writer cannot make sure of R3 and R4. It makes full fences the rule (`use_strong_fences`), and
//! waits once for each lock until what others wrote before they could know is visible: 10 ms for what takes
//! microseconds. It is the only assumption about time in this module. R4 is under the net then.
//!
//! **Bias.** With a cell, reading costs two locked instructions, and readers on different processors write to one line.
//! A hold costs two plain stores to the reader's own page. So a lock that is read and not written is biased: by every 64th
//! read or so, the reader samples the lock; after 16 samples in a row without a write in between it sets KEPT. The next
//! writer pays for a membarrier and a look at all slots (some µs), and for a hundred times as long the bias stays off: at
//! most one per cent of the time goes there. A lock that is written as often as once in a thousand reads is never
//! biased, and its writers never pay. After BRAVO (Dice & Kogan 2019), with the holds of a thread in its own slot
//! instead of a table that threads share by hash: no collisions, and a dead thread's holds are void without a search.
//!
//! Rejected: a count of readers in the gate's word (one locked instruction less for the writer, but a dead reader could not
//! be told from a living one); a second cell for a thread's second read (a writer that has passed a free cell would not
//! see the reader move there).

use super::raw_mutex::{DRAINING, KEPT, READING};
use crate::atomic::{AtomicU64, Ordering, fence, light_fence, seq_cst_fence_for_models};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{HOLDS, Holds};
use crate::member::{Life, Member, OwnerId, Table};
use crate::sync::{Acquired, RawMutex, Spin};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;
use core::cell::Cell;

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

/// Samples without a write between them before the lock is biased.
const CALM: u64 = 16;
/// The samples in the gate's second word; above them, until when no bias is wanted, in microseconds.
const CALM_BITS: u32 = 16;
/// In the place of that time: for good.
const NEVER: u64 = u64::MAX >> CALM_BITS;
/// So many times as long as taking the bias away took, it is not given again.
const RARELY: u64 = 100;
/// The most that counts for it, in microseconds: a writer that waited for readers did not pay for the bias.
const DEAREST: u64 = 200;

/// Where a reader's place is, so that it need not search for it when it leaves: a cell, or `CELLS` + a hold.
pub(crate) type Place = u8;

/// How a reader came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It reads.
    At(Place),
    /// It has the write lock, from the dead.
    OwnerDied,
}

/// How long to wait.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// As long as it takes, or until then.
    Until(Option<Deadline>),
}

/// Calls out one read in 64, on the average.
#[derive(Debug)]
pub(crate) struct Sampler(Cell<u32>);

impl Sampler {
    pub(crate) const fn new() -> Self {
        Sampler(Cell::new(1))
    }

    /// A linear congruential generator (Numerical Recipes), so that no pattern of use falls in step with it.
    #[inline(always)]
    fn hit(&self) -> bool {
        let next = self.0.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0.set(next);
        cfg!(not(interproc_loom)) && next >> 26 == 0
    }
}

/// Whether a reader may come in.
#[inline(always)]
const fn is_open(gate: u64) -> bool {
    gate & !KEPT == 0 || gate & READING != 0
}

#[inline]
const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

#[inline]
fn would_block<T>() -> Result<T> {
    Err(ErrorKind::WouldBlock.into())
}

/// The robust reader-writer lock. 64 bytes; all-zero is unlocked. Must lie in a segment of which the callers are
/// members.
///
/// # Examples
/// ```
/// use interproc::sync::{Acquired, RawRwLock};
/// assert_eq!(size_of::<RawRwLock>(), 64); // one cache line
/// # let _ = RawRwLock::new();
/// ```
#[repr(C)]
#[derive(Debug)]
pub struct RawRwLock {
    /// Who writes, or who is on the way. Its second word is the bias' book, see `CALM_BITS`.
    gate: RawMutex,
    /// Who reads. After a death: the dead reader's id, until somebody wants the cell.
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

    /// Biases it, as if it had been read for long.
    #[cfg(interproc_loom)]
    pub fn bias(&self) {
        assert!(self.gate.keep(0));
    }

    /// Locks for reading, waiting until `deadline` if one is given. [`Acquired::OwnerDied`] is the *write* lock: the last
    /// writer died. Repair the data, [`RawRwLock::mark_consistent`], then unlock or [`RawRwLock::downgrade`].
    ///
    /// A thread that reads it already reads once more, without waiting; it unlocks as often.
    ///
    /// # Errors
    /// `Deadlock` if the caller writes, `NotRecoverable`, `TimedOut`; `TooManyHolds` if there is neither a free cell
    /// (6 readers) nor a free word among the caller's own 16, or after 32,767 reads by one thread.
    pub fn read(&self, me: &Member, deadline: Option<Deadline>) -> Result<Acquired> {
        self.read_as(me.id(), me, self.name(me), Patience::Until(deadline)).map(Entered::told)
    }

    /// Locks for reading if nobody alive writes or waits to write.
    ///
    /// # Errors
    /// As [`RawRwLock::read`], and `WouldBlock`.
    pub fn try_read(&self, me: &Member) -> Result<Acquired> {
        self.read_as(me.id(), me, self.name(me), Patience::None).map(Entered::told)
    }

    /// Locks for writing, waiting until `deadline` if one is given.
    ///
    /// # Errors
    /// `Deadlock` if the caller reads or writes, `NotRecoverable`, `TimedOut`.
    pub fn write(&self, me: &Member, deadline: Option<Deadline>) -> Result<Acquired> {
        self.write_as(me.id(), me, Patience::Until(deadline))
    }

    /// Locks for writing if nobody alive reads or writes, or waits to write.
    ///
    /// # Errors
    /// As [`RawRwLock::write`], and `WouldBlock`.
    pub fn try_write(&self, me: &Member) -> Result<Acquired> {
        self.write_as(me.id(), me, Patience::None)
    }

    /// Unlocks, once, whichever way the caller holds it. A write lock that was inherited and not marked consistent
    /// becomes unusable.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    pub fn unlock(&self, me: &Member) -> Result<()> {
        self.unlock_as(me.id(), me, self.name(me))
    }

    /// [`RawRwLock::unlock`] for a caller that knows where the lock is in the file.
    #[inline]
    pub(crate) fn unlock_as(&self, id: OwnerId, me: &Member, name: u64) -> Result<()> {
        if OwnerId::of(self.gate.load(Ordering::Relaxed)) == Some(id) {
            return self.gate.unlock_kept(me);
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

    /// Turns the caller's write lock into a read lock; no writer comes in between.
    ///
    /// # Errors
    /// `NotOwner` when the caller does not write, `InvalidInput` when the lock was inherited and not marked consistent.
    pub fn downgrade(&self, me: &Member) -> Result<()> {
        self.downgrade_as(me.id(), me, self.name(me)).map(drop)
    }

    /// Says that the data is whole again. For the holder of a write lock acquired as [`Acquired::OwnerDied`].
    ///
    /// # Errors
    /// `NotOwner` when the caller does not write, `InvalidInput` when it is not inconsistent.
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

    /// Calls `with` for every living reader and says how often it reads: a snapshot, in which a reader that is on its way
    /// in may be seen.
    pub fn for_each_reader(&self, me: &Member, with: impl FnMut(OwnerId, u32)) {
        self.for_each_reader_of(me.table(), self.name(me), with);
    }

    /// Who writes, and not only waits for the readers to leave, dead or alive: a snapshot.
    pub fn holding_writer(&self) -> Option<OwnerId> {
        let word = self.gate.load(Ordering::Relaxed);
        if word & (READING | DRAINING) != 0 { None } else { OwnerId::of(word) }
    }

    /// [`RawRwLock::for_each_reader`] for whoever is no member, but knows where the lock is in the file.
    pub fn for_each_reader_of(&self, table: &Table, name: u64, mut with: impl FnMut(OwnerId, u32)) {
        let mut tell = |owner: OwnerId, word: u64| {
            if table.life(owner) != Life::Dead {
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

    /// Where the lock is in the file: its name in a hold.
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

/// The cell that a member tries first: so that few readers meet.
#[inline(always)]
const fn first_cell(id: OwnerId) -> usize {
    id.slot() as usize % CELLS
}

/// The hold that a lock's readers try first. Locks are 64 bytes apart, or nearly.
#[inline(always)]
#[cfg_attr(interproc_loom, allow(clippy::modulo_one))]
const fn home(name: u64) -> usize {
    (name as usize >> 6) % HOLDS
}

/// Readers.
impl RawRwLock {
    #[inline(always)]
    pub(crate) fn read_as(&self, id: OwnerId, me: &Member, name: u64, patience: Patience) -> Result<Entered> {
        // Relaxed: a hint, which way to try.
        let gate = self.gate.load(Ordering::Relaxed);
        if gate == 0 {
            let first = first_cell(id);
            // R2
            if self.cells[first]
                .compare_exchange(0, id.bits() | ONE, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
            {
                crate::crash_window!("R1: a cell is taken");
                if !crate::mutant!("reader-no-fence") {
                    seq_cst_fence_for_models();
                }
                if is_open(self.gate.load(Ordering::SeqCst)) {
                    if me.reading().hit() {
                        self.sample(me);
                    }
                    return Ok(Entered::At(first as Place));
                }
                self.turned_away(first, id, me);
            }
        } else if gate == KEPT
            && let Some(holds) = me.holds()
        {
            let at = home(name);
            let hold = &holds.words[at];
            // Relaxed: ours.
            if hold.load(Ordering::Relaxed) == 0 {
                self.write_hold(hold, name, me);
                let gate = self.gate.load(Ordering::Acquire);
                if is_open(gate) && gate & KEPT != 0 {
                    return Ok(Entered::At((CELLS + at) as Place));
                }
                leave_hold(holds, at, me);
            }
        }
        self.read_slow(id, me, name, patience)
    }

    /// R3, the reader's side: to be followed by a look at the gate.
    #[inline(always)]
    fn write_hold(&self, hold: &AtomicU64, name: u64, me: &Member) {
        // Relaxed: the fence orders it.
        hold.store(name | ONE, Ordering::Relaxed);
        if !crate::mutant!("hold-no-fence") {
            publish(me);
        }
        crate::crash_window!("R2: a hold is written");
    }

    #[cold]
    fn turned_away(&self, cell: usize, id: OwnerId, me: &Member) {
        self.leave_cell(cell, id, me);
    }

    #[cold]
    fn read_slow(&self, id: OwnerId, me: &Member, name: u64, patience: Patience) -> Result<Entered> {
        // The writer who would be waited for waits for us.
        if !crate::mutant!("no-second-read")
            && let Some(place) = self.read_again(id, me, name)?
        {
            return Ok(Entered::At(place));
        }
        // From here on our death rings the bell.
        let pending = me.pend();
        let entered = match self.enter(id, me, name) {
            Ok(Some(place)) => Ok(Entered::At(place)),
            Ok(None) => self.pass_the_gate(id, me, name, patience),
            Err(error) => Err(error),
        };
        me.unpend(pending);
        entered
    }

    /// One read more of a lock that the caller reads already.
    fn read_again(&self, id: OwnerId, me: &Member, name: u64) -> Result<Option<Place>> {
        for (at, cell) in self.cells.iter().enumerate() {
            let mut word = cell.load(Ordering::Relaxed);
            while OwnerId::of(word) == Some(id) {
                if word & COUNT == COUNT {
                    return Err(ErrorKind::TooManyHolds.into());
                }
                // Relaxed: it is held already. A writer may set WAITER meanwhile.
                match cell.compare_exchange(word, word + ONE, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return Ok(Some(at as Place)),
                    Err(now) => word = now,
                }
            }
        }
        let Some(holds) = me.holds() else { return Ok(None) };
        for (at, hold) in holds.words.iter().enumerate() {
            let word = hold.load(Ordering::Relaxed);
            if word & !COUNT == name {
                if word & COUNT == COUNT {
                    return Err(ErrorKind::TooManyHolds.into());
                }
                hold.store(word + ONE, Ordering::Relaxed);
                return Ok(Some((CELLS + at) as Place));
            }
        }
        Ok(None)
    }

    /// Comes in if the gate is open.
    fn enter(&self, id: OwnerId, me: &Member, name: u64) -> Result<Option<Place>> {
        loop {
            let gate = self.gate.load(Ordering::Acquire);
            if !is_open(gate) {
                return Ok(None);
            }
            if let Some(cell) = self.take_cell(id, me) {
                if !crate::mutant!("reader-no-fence") {
                    seq_cst_fence_for_models();
                }
                if is_open(self.gate.load(Ordering::SeqCst)) {
                    return Ok(Some(cell as Place));
                }
                self.turned_away(cell, id, me);
                return Ok(None);
            }
            if gate & KEPT == 0 && !self.gate.keep(gate) {
                continue;
            }
            let (holds, at) = self.take_hold(me, name)?;
            let gate = self.gate.load(Ordering::Acquire);
            if is_open(gate) && (gate & KEPT != 0 || crate::mutant!("hold-without-kept")) {
                return Ok(Some((CELLS + at) as Place));
            }
            // A writer is there, or was there and has cleared KEPT.
            leave_hold(holds, at, me);
        }
    }

    /// Queues at the gate, takes a place while it has it, gives it back.
    fn pass_the_gate(&self, id: OwnerId, me: &Member, name: u64, patience: Patience) -> Result<Entered> {
        let acquired = match patience {
            Patience::None => self.gate.try_lock_with(me, READING)?,
            Patience::Until(deadline) => self.gate.lock_with(me, deadline, READING)?,
        };
        if acquired == Acquired::OwnerDied {
            self.serve_heir(id, me, name, patience)?;
            return Ok(Entered::OwnerDied);
        }
        crate::crash_window!("R5: a reader has the gate");
        let place = self.take_place(id, me, name);
        // M1, and whoever locks the gate next sees the place.
        self.gate.unlock_kept(me)?;
        place.map(Entered::At)
    }

    /// A place for a caller that has the gate: no writer is looking.
    fn take_place(&self, id: OwnerId, me: &Member, name: u64) -> Result<Place> {
        if let Some(cell) = self.take_cell(id, me) {
            return Ok(cell as Place);
        }
        let (_, at) = self.take_hold(me, name)?;
        if !crate::mutant!("overflow-not-kept") {
            self.gate.set(KEPT);
        }
        Ok((CELLS + at) as Place)
    }

    /// Takes a free cell, or a dead reader's.
    fn take_cell(&self, id: OwnerId, me: &Member) -> Option<usize> {
        let first = first_cell(id);
        for at in (first..CELLS).chain(0..first) {
            let cell = &self.cells[at];
            let word = cell.load(Ordering::Acquire);
            if OwnerId::of(word).is_none_or(|owner| me.table().life(owner) == Life::Dead) {
                // R2. WAITER: a writer that sleeps for the dead one looks again for its own reasons.
                let mine = id.bits() | ONE | word & WAITER;
                if cell.compare_exchange(word, mine, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Writes a hold into a free word of the caller's slot.
    fn take_hold<'m>(&self, me: &'m Member, name: u64) -> Result<(&'m Holds, usize)> {
        let none = || Error::from(ErrorKind::TooManyHolds);
        let holds = me.holds().ok_or_else(none)?;
        let home = home(name);
        let mut places = (home..HOLDS).chain(0..home);
        let at = places.find(|&at| holds.words[at].load(Ordering::Relaxed) == 0).ok_or_else(none)?;
        self.write_hold(&holds.words[at], name, me);
        Ok((holds, at))
    }

    /// Gives up one read of a caller that surely has one: at this place, or wherever else.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[inline(always)]
    pub(crate) fn leave(&self, place: Place, id: OwnerId, me: &Member, name: u64) {
        let at = place as usize;
        if at < CELLS {
            // R1
            let mine = id.bits() | ONE;
            if self.cells[at].compare_exchange(mine, 0, Ordering::Release, Ordering::Relaxed).is_ok() {
                return;
            }
        } else if let Some(holds) = me.holds() {
            let at = (at - CELLS) % HOLDS;
            if holds.words[at].load(Ordering::Relaxed) == name | ONE {
                leave_hold(holds, at, me);
                return;
            }
        }
        // A thread's reads are worth the same: another one may have ended the one at this place.
        self.leave_any(id, me, name);
    }

    /// Gives up one read, wherever the caller has one. False if it has none.
    #[cold]
    fn leave_any(&self, id: OwnerId, me: &Member, name: u64) -> bool {
        if (0..CELLS).any(|at| self.leave_cell(at, id, me)) {
            return true;
        }
        let Some(holds) = me.holds() else { return false };
        let found = holds.words.iter().position(|h| h.load(Ordering::Relaxed) & !COUNT == name);
        if let Some(at) = found {
            leave_hold(holds, at, me);
        }
        found.is_some()
    }

    /// Gives up one read in this cell. False if the caller has none there.
    fn leave_cell(&self, at: usize, id: OwnerId, me: &Member) -> bool {
        let cell = &self.cells[at];
        let mut word = cell.load(Ordering::Relaxed);
        while OwnerId::of(word) == Some(id) {
            let last = word & COUNT <= ONE;
            // R3: between the release and the wake our death rings the bell.
            let pending = (last && word & WAITER != 0).then(|| me.pend());
            let left = if last { 0 } else { word - ONE };
            // R1
            let result = cell.compare_exchange(word, left, Ordering::Release, Ordering::Relaxed);
            if let Some(pending) = pending {
                if result.is_ok() && !crate::mutant!("cell-no-wake") {
                    crate::crash_window!("R3: a cell is left, the writer is not woken");
                    futex::wake(Word::High(cell), u32::MAX);
                }
                me.unpend(pending);
            }
            match result {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Whether the caller reads it.
    fn is_read_by(&self, id: OwnerId, me: &Member) -> bool {
        let name = self.name(me);
        self.cells.iter().any(|c| OwnerId::of(c.load(Ordering::Relaxed)) == Some(id))
            || me.holds().is_some_and(|h| h.words.iter().any(|h| h.load(Ordering::Relaxed) & !COUNT == name))
    }

    /// Notes that nobody has written since the last sample; biases the lock when that was so for long.
    #[cold]
    fn sample(&self, me: &Member) {
        let book = self.gate.reserved();
        // Relaxed, and not atomic together: what is lost is a note.
        let noted = book.load(Ordering::Relaxed);
        let (until, calm) = (noted >> CALM_BITS, noted & ((1 << CALM_BITS) - 1));
        if calm < CALM {
            book.store(noted + 1, Ordering::Relaxed);
        } else if until != NEVER && (until == 0 || until < now_us()) && !me.table().strong_fences() {
            // We read it: the gate may be a waiting writer's, and then this fails.
            self.gate.keep(0);
        }
    }
}

/// Gives up one read at this hold.
#[inline(always)]
fn leave_hold(holds: &Holds, at: usize, me: &Member) {
    let hold = &holds.words[at];
    // Relaxed: ours.
    let word = hold.load(Ordering::Relaxed);
    if word & COUNT > ONE {
        hold.store(word - ONE, Ordering::Relaxed);
        return;
    }
    // R1
    hold.store(0, Ordering::Release);
    publish(me);
    // R4. Relaxed: the fence orders it.
    if holds.sleepers.load(Ordering::Relaxed) & SLEEPERS != 0 {
        wake_writers(holds);
    }
}

/// Wakes the writers that sleep on a member's holds.
#[cold]
fn wake_writers(holds: &Holds) {
    crate::crash_window!("R4: a hold is left, the writers are not woken");
    let mut word = holds.sleepers.load(Ordering::Relaxed);
    // Release: who announces itself over this value sees the hold.
    while let Err(now) = holds.sleepers.compare_exchange(
        word,
        word.wrapping_add(STEP) & !SLEEPERS,
        Ordering::AcqRel,
        Ordering::Relaxed,
    ) {
        word = now;
    }
    if !crate::mutant!("hold-no-wake") {
        futex::wake(Word::High(&holds.sleepers), u32::MAX);
    }
}

/// The reader's half of the asymmetric fence, after a hold was written.
#[inline(always)]
fn publish(me: &Member) {
    light_fence();
    if me.table().strong_fences() {
        fence(Ordering::SeqCst);
    }
}

/// Writers.
impl RawRwLock {
    #[inline(always)]
    pub(crate) fn write_as(&self, id: OwnerId, me: &Member, patience: Patience) -> Result<Acquired> {
        // R2, M1
        if self.gate.lock_if_plain(id) {
            if !crate::mutant!("writer-no-fence") {
                seq_cst_fence_for_models();
            }
            if self.cells.iter().fold(0, |all, cell| all | cell.load(Ordering::SeqCst)) == 0 {
                crate::crash_window!("W2: it writes");
                self.note_write();
                return Ok(Acquired::Clean);
            }
            return self.write_slow(id, me, patience, true);
        }
        self.write_slow(id, me, patience, false)
    }

    /// For the samples: somebody has written.
    #[inline(always)]
    fn note_write(&self) {
        let book = self.gate.reserved();
        // Relaxed: as in `sample`.
        let noted = book.load(Ordering::Relaxed);
        if noted as u16 != 0 {
            book.store(noted & !((1 << CALM_BITS) - 1), Ordering::Relaxed);
        }
    }

    #[cold]
    fn write_slow(&self, id: OwnerId, me: &Member, patience: Patience, has_gate: bool) -> Result<Acquired> {
        let pending = me.pend();
        let result = self.write_pended(id, me, patience, has_gate);
        me.unpend(pending);
        result
    }

    fn write_pended(&self, id: OwnerId, me: &Member, patience: Patience, has_gate: bool) -> Result<Acquired> {
        let mut acquired = Acquired::Clean;
        if has_gate {
            self.gate.set(DRAINING);
        } else {
            // Before it waits for a writer that would wait for it.
            if self.is_read_by(id, me) {
                return Err(ErrorKind::Deadlock.into());
            }
            acquired = match patience {
                Patience::None => {
                    self.refuse_if_read(me)?;
                    self.gate.try_lock_with(me, DRAINING)?
                }
                Patience::Until(deadline) => self.gate.lock_with(me, deadline, DRAINING)?,
            };
        }
        crate::crash_window!("W1: the gate is taken, the readers are not gone");
        let drained = self.drain(id, me, self.name(me), patience);
        self.settle(me, acquired, drained)?;
        Ok(acquired)
    }

    /// A reader has inherited the write lock.
    fn serve_heir(&self, id: OwnerId, me: &Member, name: u64, patience: Patience) -> Result<()> {
        // Readers are there only if the dead writer had not looked for them yet.
        let drained = self.drain(id, me, name, patience);
        self.settle(me, Acquired::OwnerDied, drained)
    }

    /// The readers are gone, or the caller gives up and gives the gate back as it got it.
    fn settle(&self, me: &Member, acquired: Acquired, drained: Result<()>) -> Result<()> {
        match drained {
            Ok(()) => {
                self.note_write();
                self.gate.clear(DRAINING | KEPT);
            }
            Err(_) if acquired == Acquired::OwnerDied => self.gate.hand_back(me),
            Err(_) => self.gate.unlock_kept(me)?,
        }
        drained
    }

    /// Before a try takes the gate: so that it does not turn readers away for nothing.
    fn refuse_if_read(&self, me: &Member) -> Result<()> {
        for cell in &self.cells {
            let owner = OwnerId::of(cell.load(Ordering::Acquire));
            if owner.is_some_and(|owner| me.table().life(owner) != Life::Dead) {
                return would_block();
            }
        }
        Ok(())
    }

    /// Waits until nobody reads. The caller has the gate, so nobody comes in meanwhile.
    fn drain(&self, id: OwnerId, me: &Member, name: u64, patience: Patience) -> Result<()> {
        // R2: behind the gate's compare-and-swap, which need not be SeqCst.
        if !crate::mutant!("writer-no-fence") {
            fence(Ordering::SeqCst);
        }
        let mut spin = Spin::new(me.spinning());
        for cell in &self.cells {
            drain_cell(cell, id, me, patience, &mut spin)?;
        }
        if self.gate.load(Ordering::Relaxed) & KEPT != 0 {
            self.drain_holds(id, me, name, patience, &mut spin)?;
        }
        spin.done();
        Ok(())
    }

    #[cold]
    fn drain_holds(
        &self,
        id: OwnerId,
        me: &Member,
        name: u64,
        patience: Patience,
        spin: &mut Spin<'_>,
    ) -> Result<()> {
        let began = now_us();
        let book = self.gate.reserved();
        // R3
        if !me.table().sleeper_fence() && book.load(Ordering::Relaxed) >> CALM_BITS != NEVER {
            pause_for_stores();
            book.store(NEVER << CALM_BITS, Ordering::Relaxed);
        }
        for index in 0..me.table().count() {
            drain_slot(&self.gate, index, id, me, name, patience, spin)?;
        }
        let took = now_us().saturating_sub(began).clamp(1, DEAREST);
        if book.load(Ordering::Relaxed) >> CALM_BITS != NEVER {
            book.store((began + took * RARELY) << CALM_BITS, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(crate) fn downgrade_as(&self, id: OwnerId, me: &Member, name: u64) -> Result<Place> {
        if !self.is_written_by(me) {
            return Err(ErrorKind::NotOwner.into());
        }
        if self.gate.is_dirty() {
            return Err(ErrorKind::InvalidInput.into());
        }
        if crate::mutant!("downgrade-lets-go") {
            self.gate.unlock_kept(me)?;
        }
        let place = loop {
            match self.take_place(id, me, name) {
                Ok(place) => break place,
                // Every cell is taken by somebody who will find that we write: wait for one of them.
                Err(_) => {
                    let pending = me.pend();
                    let spin = &mut Spin::new(me.spinning());
                    // Fails for nothing but time.
                    let _ = drain_cell(&self.cells[0], id, me, Patience::Until(None), spin);
                    me.unpend(pending);
                }
            }
        };
        crate::crash_window!("W3: it reads and writes");
        if !crate::mutant!("downgrade-lets-go") {
            self.gate.unlock_kept(me)?;
        }
        Ok(place)
    }

    /// Releases a write lock that the caller surely holds, clean: a guard.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[inline(always)]
    pub(crate) fn unlock_written(&self, me: &Member) {
        // Nobody but its holder sets a mark in a word that is written: a plain store loses none. Cannot fail: we hold it.
        let _ = self.gate.unlock(me);
    }
}

/// Waits until a cell is free. The caller is pending.
fn drain_cell(
    cell: &AtomicU64,
    id: OwnerId,
    me: &Member,
    patience: Patience,
    spin: &mut Spin<'_>,
) -> Result<()> {
    loop {
        // R1, R2
        let word = cell.load(Ordering::SeqCst);
        if word == 0 {
            return Ok(());
        }
        let owner = OwnerId::of(word);
        if owner == Some(id) {
            return Err(ErrorKind::Deadlock.into());
        }
        let alive = owner.filter(|&owner| me.table().life(owner) != Life::Dead);
        let Some(owner) = alive else {
            if crate::mutant!("dead-reader-stays") {
                return would_block();
            }
            // R1: folded. Acquire: after its last read.
            let _ = cell.compare_exchange(word, 0, Ordering::Acquire, Ordering::Relaxed);
            continue;
        };
        let Patience::Until(deadline) = patience else { return would_block() };
        if spin.again() {
            continue;
        }
        let announced = word | WAITER;
        if word != announced
            && cell.compare_exchange(word, announced, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            continue;
        }
        spin.failed();
        let watch = Watch { word: Word::High(cell), expected: high(announced) };
        crate::crash_window!("W1: about to sleep for a reader with a cell");
        if me.sleep(&[watch], Some(owner), true, deadline) == Woken::TimedOut {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

/// Waits until a slot's member holds the lock no more. The caller is pending.
fn drain_slot(
    gate: &RawMutex,
    index: u32,
    id: OwnerId,
    me: &Member,
    name: u64,
    patience: Patience,
    spin: &mut Spin<'_>,
) -> Result<()> {
    let table = me.table();
    let (Some(slot), Some(holds)) = (table.slot(index), table.holds(index)) else { return Ok(()) };
    // R1
    let holds_it = || holds.words.iter().any(|h| h.load(Ordering::Acquire) & !COUNT == name);
    loop {
        // The slot before its holds: these are of that generation or of a later one.
        let owner = OwnerId::new(index as u16, high(slot.load(Ordering::Acquire)));
        if table.life(owner) == Life::Dead || !holds_it() {
            return Ok(());
        }
        if owner == id {
            return Err(ErrorKind::Deadlock.into());
        }
        let Patience::Until(deadline) = patience else { return would_block() };
        if spin.again() {
            continue;
        }
        let mut word = holds.sleepers.load(Ordering::Relaxed);
        let announced = loop {
            let announced = word.wrapping_add(STEP) | SLEEPERS;
            // AcqRel: see `wake_writers`.
            match holds.sleepers.compare_exchange(word, announced, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break announced,
                Err(now) => word = now,
            }
        };
        // R4
        let sure = crate::mutant!("holds-sleep-no-fence") || table.sleeper_fence();
        if !holds_it() {
            continue;
        }
        spin.failed();
        let watch = Watch { word: Word::High(&holds.sleepers), expected: high(announced) };
        crate::crash_window!("W1: about to sleep for a reader with a hold");
        if me.sleep_for(Word::High(gate.word()), &[watch], Some(owner), sure, deadline) == Woken::TimedOut {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

/// Microseconds on the monotonic clock.
fn now_us() -> u64 {
    Deadline::now().as_monotonic_ns() / 1000
}

/// Where there is no membarrier: until what others have written is visible here.
#[cold]
fn pause_for_stores() {
    const LONG: u64 = 10_000_000;
    let nobody = crate::atomic::AtomicU32::new(0);
    let until = Deadline::from_monotonic_ns(Deadline::now().as_monotonic_ns().saturating_add(LONG));
    while !until.has_passed() {
        futex::wait(&[Watch { word: Word::Whole(&nobody), expected: 0 }], Some(until));
    }
}

#[cfg(not(interproc_loom))]
const _: () = assert!(size_of::<RawRwLock>() == 64 && align_of::<RawRwLock>() == 8);
