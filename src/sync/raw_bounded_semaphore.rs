//! [`RawBoundedSemaphore`]: robust permits, under [`BoundedSemaphore`](crate::sync::BoundedSemaphore) and the C one. Most users
//! never need it: use [`BoundedSemaphore`](crate::sync::BoundedSemaphore).
//!
//! **Promise.** Never more permits are out than there are, and none is lost: a dead holder's permit goes at once to the next
//! acquirer, who is told. A permit is given back once. Uncontended: one compare-and-swap each way.
//!
//! | cell | meaning |
//! |---|---|
//! | 0 | free |
//! | `id + use << 48` | held by `id`; the number of the use tells two permits of one thread apart |
//! | the same, `id` dead | free, with news: the thread that takes it over is told |
//! | `NEWS`, nobody's id | the same: a thread that had taken it over gave it back unused, or a panic ended its use |
//!
//! | word, high half | meaning |
//! |---|---|
//! | `WAITING`, bit 31 | the waiter at the front sleeps, or is about to; cleared by the thread that wakes it |
//! | the rest | a sequence, advanced by the thread that wakes |
//!
//! A thread that finds no permit queues at the *turnstile*, a [`RawMutex`](super::RawMutex). The thread that holds the
//! turnstile is at the front, and sleeps on the word and on the slots of all holders (at most 120 of them, see below). It takes
//! what it came for, wakes the next through the turnstile's unlock, and so on: one wake-up per hand-over. A thread that wants
//! several permits keeps, at the front, what it has until it has all; there is only one front, so two cannot wait for each
//! other's halves. A newcomer that finds a free permit takes it, even if others wait: as with all locks here, no order is
//! promised.
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | P1 | release, CAS | acquire, CAS Acquire | what the holder did while it had the permit |
//! | P2 | release, CAS SeqCst, then the word, SeqCst | announce, RMW SeqCst, then the cells, SeqCst | one of the two sees the other (Dekker): the releaser the announcement, or the waiter the free cell |
//! | P3 | kernel's mark of a holder's slot | `Table::life`, Acquire | what the dead did while it had the permit |
//! | P4 | joining the segment, before the acquire's CAS (`Table::confirm`) | load of the cell, Acquire, before `Table::life` | that the holder lives |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | BS-a | a holder | a dead id in its cell | the front waiter on its slot, by the kernel's mark; the next acquirer | nothing: the next holder is told |
//! | BS-b | a releaser, given back, not woken | a free cell, the front asleep | if the front is asleep: the bell; if about to sleep: the releaser's slot | nothing |
//! | BS-c | a releaser of another thread's permit, as BS-b | as BS-b | asleep: the bell; about to sleep: the net, at most 50 ms | nothing |
//! | BS-d | the front waiter | a turnstile with a dead owner, dead ids in the cells that it had taken | those behind: the bell, its slot | nothing |
//! | BS-e | a waiter behind the front | nothing | no action needed; a wake-up that it took along: the bell | nothing |
//! | BS-f | a thread that tried for several, between taking and giving back | dead ids | as BS-a | nothing |
//! | BS-g | a waker that has cleared `WAITING`, not woken | a changed word | asleep: the bell; about to sleep: the word has changed | nothing |
//!
//! **More than 120 holders** (not permits: one thread may hold many) cannot all be watched at a time. The front then wakes at
//! the end of each net, at most 50 ms, looks at all cells, and watches the next 120 in turn. A death that the kernel
//! reports is then found within 50 ms instead of at once, one that it does not report within 50 ms per 120 holders.
//! Releases are always told at once.
//!
//! A *stopped* process at the front delays those behind it, even if permits are free; newcomers are not delayed.
//!
//! Rejected: a counter beside the cells (two words that a death can leave in disagreement); all waiters watching all
//! holders (each release and each death would wake everybody); cells that keep a use count while they are free (the
//! acquirer would have to read the cell first: 4 ns, see `RawMutex::unlock`).

use super::RawMutex;
use super::cells::{Cells, fence_behind_rmw};
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Owners, Spin, Updated, update};
use crate::sync::Acquired;
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;

/// The front waiter sleeps, or is about to.
const WAITING: u64 = 1 << 63;
/// One step of the sequence, in the high half.
const STEP: u64 = 1 << 32;

/// The semaphore. All operations take the calling thread's member of the segment in which the cells lie. Most users never need
/// it: see [`BoundedSemaphore`](crate::sync::BoundedSemaphore).
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawBoundedSemaphore {
    cells: Cells,
}

/// One permit, or several that were acquired together: what to give back. A note, not a guard. Giving it back twice is
/// detected and an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a permit that is forgotten is given back by its thread's death only"]
pub struct RawPermit {
    /// The value in its cells.
    pub(crate) value: u64,
    /// The index of the first of them.
    pub(crate) first: u32,
    /// How many.
    pub(crate) count: u32,
    /// The last holder of one of them died.
    pub(crate) owner_died: bool,
}

impl RawPermit {
    /// Who acquired it.
    #[inline]
    pub fn owner(&self) -> Option<OwnerId> {
        OwnerId::of(self.value)
    }

    /// How many permits it stands for.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether the last holder of one of them died holding it.
    pub fn owner_died(&self) -> bool {
        self.owner_died
    }
}

/// In a cell: free, and its last holder did not end its use properly. The id of a slot that no segment has.
const NEWS: u64 = OwnerId::new(u16::MAX, 1).bits();
#[cfg(not(interproc_loom))]
const _: () = assert!(crate::format::MAX_MEMBERS <= u16::MAX as u32);

impl RawBoundedSemaphore {
    /// The semaphore on these cells: one permit for each.
    pub fn new(cells: Cells) -> Self {
        RawBoundedSemaphore { cells }
    }

    /// Its cells.
    #[inline]
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// How many permits there are.
    pub fn permits(&self) -> u32 {
        self.cells.count()
    }

    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        &self.cells.head().word
    }

    #[inline(always)]
    fn turnstile(&self) -> &RawMutex {
        &self.cells.head().lock
    }

    /// Acquires one permit, waiting until `deadline` if one is given.
    ///
    /// # Errors
    /// `TimedOut`.
    #[inline]
    pub fn acquire(&self, me: &Member, deadline: Option<Deadline>) -> Result<RawPermit> {
        match self.take_own(me) {
            Ok(permit) => Ok(permit),
            Err(value) => self.acquire_slow(me, value, 1, deadline),
        }
    }

    /// Acquires one permit if one is free or its holder is dead.
    ///
    /// # Errors
    /// `WouldBlock`.
    #[inline]
    pub fn try_acquire(&self, me: &Member) -> Result<RawPermit> {
        match self.take_own(me) {
            Ok(permit) => Ok(permit),
            Err(value) => self.try_acquire_slow(me, value, 1),
        }
    }

    /// Acquires `count` permits, waiting until `deadline` if one is given. Keeps those that it has while it waits for the
    /// rest. At a time-out it gives all back as it got them: the news of a death goes to the next holder.
    ///
    /// # Errors
    /// `TimedOut`; `InvalidInput` for none or more than there are.
    pub fn acquire_many(&self, me: &Member, count: u32, deadline: Option<Deadline>) -> Result<RawPermit> {
        self.check(count)?;
        self.acquire_slow(me, me.new_use(), count, deadline)
    }

    /// Acquires `count` permits if that many are free: all or nothing. Two threads that try at the same moment may both fail.
    ///
    /// # Errors
    /// `WouldBlock`; `InvalidInput` for none or more than there are.
    pub fn try_acquire_many(&self, me: &Member, count: u32) -> Result<RawPermit> {
        self.check(count)?;
        self.try_acquire_slow(me, me.new_use(), count)
    }

    fn check(&self, count: u32) -> Result<()> {
        if (1..=self.permits()).contains(&count) { Ok(()) } else { Err(ErrorKind::InvalidInput.into()) }
    }

    /// The fast path: the member's own cell. If it is not free, returns the name of this use.
    #[inline(always)]
    fn take_own(&self, me: &Member) -> core::result::Result<RawPermit, u64> {
        let value = me.new_use();
        let first = self.cells.start(me.id().slot());
        let Some(cell) = self.cells.cell(first) else { return Err(value) };
        // P1: sees what the last holder did.
        match cell.compare_exchange(0, value, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(RawPermit { value, first, count: 1, owner_died: false }),
            Err(_) => Err(value),
        }
    }

    /// Gives a permit back. Another thread than the one that acquired it may do so, as long as that one lives.
    ///
    /// # Errors
    /// `NotOwner`: it was already given back, or never acquired here; `Stale`: the thread that acquired it is dead, and the
    /// permit belongs to the thread that takes it over. Nothing is changed then.
    #[inline]
    pub fn release(&self, me: &Member, permit: &RawPermit) -> Result<()> {
        let own = permit.owner() == Some(me.id()) && permit.count == 1;
        match self.cells.cell(permit.first) {
            Some(cell) if own => {
                // BS-b: our death rings the bell from before the release.
                let pending = me.pend();
                // P1, P2.
                let done = cell.compare_exchange(permit.value, 0, Ordering::SeqCst, Ordering::Relaxed);
                if done.is_ok() {
                    crate::crash_window!("BS-b: given back, not woken");
                    self.released();
                }
                me.unpend(pending);
                if done.is_ok() { Ok(()) } else { Err(ErrorKind::NotOwner.into()) }
            }
            _ => self.release_slow(me, permit),
        }
    }

    /// [`RawBoundedSemaphore::release`] as if the holder had died: the next holder is told.
    ///
    /// # Errors
    /// As [`RawBoundedSemaphore::release`].
    #[cold]
    pub fn hand_back(&self, me: &Member, permit: &RawPermit) -> Result<()> {
        self.release_with(me, permit, permit.count)
    }

    #[cold]
    fn release_slow(&self, me: &Member, permit: &RawPermit) -> Result<()> {
        self.release_with(me, permit, 0)
    }

    fn release_with(&self, me: &Member, permit: &RawPermit, news: u32) -> Result<()> {
        let Some(owner) = permit.owner() else { return Err(ErrorKind::NotOwner.into()) };
        if owner != me.id() && !me.lives(owner) {
            return Err(ErrorKind::Stale.into());
        }
        let pending = me.pend();
        let given = self.give_back(permit, news);
        if given > 0 {
            crate::crash_window!("BS-c: several given back or for another thread, not woken");
            self.released();
        }
        me.unpend(pending);
        if given == permit.count { Ok(()) } else { Err(ErrorKind::NotOwner.into()) }
    }

    /// Takes a permit over from the living thread that acquired it: from now on it is the caller's, and the caller's death
    /// gives it back.
    ///
    /// # Errors
    /// As [`RawBoundedSemaphore::release`].
    pub fn adopt(&self, me: &Member, permit: &RawPermit) -> Result<RawPermit> {
        let Some(owner) = permit.owner() else { return Err(ErrorKind::NotOwner.into()) };
        if owner == me.id() {
            return Ok(*permit);
        }
        if !me.lives(owner) {
            return Err(ErrorKind::Stale.into());
        }
        let (value, mut count) = (me.new_use(), 0);
        let pending = me.pend();
        for (_, cell) in self.cells.from(permit.first) {
            if count == permit.count {
                break;
            }
            let adopted = cell.compare_exchange(permit.value, value, Ordering::SeqCst, Ordering::Relaxed);
            count += u32::from(adopted.is_ok());
        }
        // The front watches the former holder: make it look again.
        self.released();
        me.unpend(pending);
        if count < permit.count {
            // Parts were missing. What we have was of the same permit: nobody else gives it back.
            let part = RawPermit { value, count, ..*permit };
            if count > 0 {
                self.release(me, &part)?;
            }
            return Err(ErrorKind::NotOwner.into());
        }
        Ok(RawPermit { value, ..*permit })
    }

    /// How many permits are free, including those of dead holders: a snapshot.
    pub fn available(&self, me: &Member) -> u32 {
        let free = |cell: &AtomicU64| {
            // Acquire: as in `take`.
            OwnerId::of(cell.load(Ordering::Acquire)).is_none_or(|id| !me.lives(id))
        };
        self.cells.from(0).filter(|(_, cell)| free(cell)).count() as u32
    }

    /// Who holds the permit with this index, dead or alive: a snapshot.
    pub fn holder(&self, index: u32) -> Option<OwnerId> {
        // Acquire: as in `take`.
        OwnerId::of(self.cells.cell(index)?.load(Ordering::Acquire)).filter(|id| id.bits() != NEWS)
    }

    /// Who holds permits, dead or alive, once for each permit: a snapshot.
    pub fn holders(&self) -> impl Iterator<Item = OwnerId> + '_ {
        (0..self.permits()).filter_map(|index| self.holder(index))
    }

    /// Whether somebody waits at the front: a snapshot.
    pub fn is_waited_for(&self) -> bool {
        self.turnstile().is_locked()
    }

    /// Frees the permit's cells, the first `news` of them with news. Returns how many it freed.
    fn give_back(&self, permit: &RawPermit, news: u32) -> u32 {
        let mut given = 0;
        for (_, cell) in self.cells.from(permit.first) {
            if given == permit.count {
                break;
            }
            // Relaxed: the compare-and-swap decides.
            if cell.load(Ordering::Relaxed) == permit.value {
                let left = if given < news { NEWS } else { 0 };
                // P1, P2.
                let freed = cell.compare_exchange(permit.value, left, Ordering::SeqCst, Ordering::Relaxed);
                given += u32::from(freed.is_ok());
            }
        }
        given
    }

    /// For a wait set: announces a sleeper, which then asks whether it [can acquire](Self::can_acquire), and else sleeps on the high half
    /// of the word while it is this.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn announce(&self) -> u32 {
        // P2: first the announcement, then the look.
        let announced = self.word().fetch_or(WAITING, Ordering::SeqCst) | WAITING;
        fence_behind_rmw();
        (announced >> 32) as u32
    }

    /// As that says.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn watch(&self, expected: u32) -> Watch<'_> {
        Watch { word: Word::High(self.word()), expected }
    }

    /// Whether there is a permit to be had: if not, somebody alive has each. Changes nothing.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn can_acquire(&self, me: &Member) -> bool {
        self.cells.from(0).any(|(_, cell)| {
            let held = cell.load(Ordering::SeqCst); // P2
            !OwnerId::of(held).is_some_and(|holder| me.lives(holder))
        })
    }

    /// After a release: wakes the front if it sleeps.
    #[inline(always)]
    fn released(&self) {
        // P2: after the read-modify-write of the release.
        fence_behind_rmw();
        if self.word().load(Ordering::SeqCst) & WAITING != 0 && !crate::mutant!("permit-no-wake") {
            self.wake_front();
        }
    }

    #[cold]
    fn wake_front(&self) {
        let seen = self.word().load(Ordering::Relaxed);
        let moved = update(self.word(), seen, (Ordering::SeqCst, Ordering::Relaxed), |seen| {
            (seen & WAITING != 0).then_some((seen & !WAITING).wrapping_add(STEP) & !WAITING)
        });
        if let Updated::From(_) = moved {
            crate::crash_window!("BS-g: flag cleared, not woken");
            // One is at the front. Wait sets may be beside it.
            futex::wake(Word::High(self.word()), u32::MAX);
        }
    }

    #[cold]
    fn try_acquire_slow(&self, me: &Member, value: u64, count: u32) -> Result<RawPermit> {
        let (mut permit, mut news) = (RawPermit { value, first: 0, count: 0, owner_died: false }, 0);
        self.take(me, count, &mut permit, &mut news);
        if permit.count == count {
            return Ok(permit);
        }
        if permit.count > 0 {
            crate::crash_window!("BS-f: some taken, not enough");
            self.release_with(me, &permit, news)?;
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Takes free permits until it has `count`, and if they do not suffice, those of the dead.
    fn take(&self, me: &Member, count: u32, permit: &mut RawPermit, news: &mut u32) {
        for of_the_dead in [false, true] {
            for (index, cell) in self.cells.from(self.cells.start(me.id().slot())) {
                if permit.count == count {
                    return;
                }
                // Acquire: the holder named here had joined before, which `life` must see.
                let held = cell.load(Ordering::Acquire);
                let holder = OwnerId::of(held);
                if holder.is_none() || of_the_dead && holder.is_some_and(|h| !me.lives(h)) {
                    self.take_cell(index, cell, held, permit, news);
                }
            }
        }
    }

    /// Takes a cell that was seen free, or with a dead holder, which counts as news. False if somebody was faster.
    fn take_cell(
        &self,
        index: u32,
        cell: &AtomicU64,
        held: u64,
        permit: &mut RawPermit,
        news: &mut u32,
    ) -> bool {
        // P1; P3: `life` acquired the dead holder's writes, and this acquires those before.
        if cell.compare_exchange(held, permit.value, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        if permit.count == 0 {
            permit.first = index;
        }
        permit.count += 1;
        // A nonzero word that names nobody was scribbled.
        *news += u32::from(OwnerId::of(held).is_some());
        permit.owner_died = *news > 0 && !crate::mutant!("permit-untold");
        true
    }

    #[cold]
    fn acquire_slow(
        &self,
        me: &Member,
        value: u64,
        count: u32,
        deadline: Option<Deadline>,
    ) -> Result<RawPermit> {
        let (mut permit, mut news) = (RawPermit { value, first: 0, count: 0, owner_died: false }, 0);
        if count == 1 {
            self.take(me, 1, &mut permit, &mut news);
            if permit.count == 1 {
                return Ok(permit);
            }
        }
        // BS-d, BS-e: from here on our death rings the bell.
        let pending = me.pend();
        let result = self.turnstile().lock(me, deadline).and_then(|how| {
            if how == Acquired::OwnerDied {
                // Nothing to repair: what the dead waiter had taken are cells with its id.
                self.turnstile().mark_consistent(me)?;
            }
            crate::crash_window!("BS-d: at the front");
            let waited = self.wait_at_front(me, count, &mut permit, &mut news, deadline);
            if waited.is_err() && permit.count > 0 {
                // Nobody needs a wake-up: the next thread at the front looks first.
                self.give_back(&permit, news);
            }
            self.turnstile().unlock(me)?;
            waited
        });
        me.unpend(pending);
        result.map(|()| permit)
    }

    fn wait_at_front(
        &self,
        me: &Member,
        count: u32,
        permit: &mut RawPermit,
        news: &mut u32,
        deadline: Option<Deadline>,
    ) -> Result<()> {
        let mut spin = Spin::new(me.spinning());
        let mut owners = Owners::new();
        let mut from = 0;
        loop {
            self.take(me, count, permit, news);
            if permit.count == count {
                spin.done();
                return Ok(());
            }
            if spin.again() {
                continue;
            }
            spin.failed();
            // P2: first the announcement, then the look.
            let announced = self.word().fetch_or(WAITING, Ordering::SeqCst) | WAITING;
            fence_behind_rmw();
            owners.clear();
            if !self.look(me, count, permit, news, from, &mut owners) {
                // Something changed, or we have all: try again. A scribbling peer cannot keep us beyond our deadline.
                if permit.count < count && deadline.is_some_and(Deadline::has_passed) {
                    return Err(ErrorKind::TimedOut.into());
                }
                continue;
            }
            let watch = Watch { word: Word::High(self.word()), expected: (announced >> 32) as u32 };
            crate::crash_window!("BS-d: about to sleep");
            // Several owners: any of them will do. A single one is in the way, as with a lock.
            if me.sleep_on_many(&[watch], &owners, owners.only(), (0, 1), deadline) == Woken::TimedOut {
                return Err(ErrorKind::TimedOut.into());
            }
            if owners.beyond() {
                from = (from + Owners::MOST as u32) % self.permits();
            }
        }
    }

    /// The look after an announcement: takes what is free, and notes who has the rest. False if the caller must start again
    /// instead of sleeping.
    fn look(
        &self,
        me: &Member,
        count: u32,
        permit: &mut RawPermit,
        news: &mut u32,
        from: u32,
        owners: &mut Owners,
    ) -> bool {
        let mut settled = true;
        for (index, cell) in self.cells.from(from) {
            if permit.count == count {
                return false;
            }
            // P2
            let held = cell.load(Ordering::SeqCst);
            match OwnerId::of(held).filter(|&holder| me.lives(holder)) {
                // Our own death wakes nobody here.
                Some(holder) if holder == me.id() => {}
                Some(holder) => _ = owners.push(holder),
                None => settled &= self.take_cell(index, cell, held, permit, news),
            }
        }
        settled && permit.count < count
    }
}
