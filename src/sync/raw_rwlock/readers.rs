//! How readers come in and leave.

use super::{CELLS, COUNT, Entered, ONE, Place, RawRwLock, SLEEPERS, STEP, WAITER, is_open};
use crate::atomic::{AtomicU64, Ordering, fence, light_fence, seq_cst_fence_for_models};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{HOLDS, Holds};
use crate::member::{Member, OwnerId, Retries, update};
use crate::sync::Acquired;
use crate::sync::raw_mutex::{KEPT, READING};
use crate::sys::{Word, futex};
use crate::time::Wait;

impl RawRwLock {
    #[inline(always)]
    pub(crate) fn read_as(&self, id: OwnerId, me: &Member, name: u64, wait: Wait) -> Result<Entered> {
        // Relaxed: a hint which path to try.
        let gate = self.gate.load(Ordering::Relaxed);
        if gate == 0 {
            let first = first_cell(id);
            // R2
            if self.cells[first]
                .compare_exchange(0, id.bits() | ONE, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
            {
                crate::crash_window!("RW-a: a cell is taken");
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
        self.read_slow(id, me, name, wait)
    }

    /// R3, the reader's side: a look at the gate must follow.
    #[inline(always)]
    fn write_hold(&self, hold: &AtomicU64, name: u64, me: &Member) {
        // Relaxed: the fence orders it.
        hold.store(name | ONE, Ordering::Relaxed);
        if !crate::mutant!("hold-no-fence") {
            publish(me);
        }
        crate::crash_window!("RW-b: a hold is written");
    }

    #[cold]
    fn turned_away(&self, cell: usize, id: OwnerId, me: &Member) {
        self.leave_cell(cell, id, me);
    }

    #[cold]
    fn read_slow(&self, id: OwnerId, me: &Member, name: u64, wait: Wait) -> Result<Entered> {
        // Otherwise we would wait for a writer that waits for us.
        if !crate::mutant!("no-second-read")
            && let Some(place) = self.read_again(id, me, name)?
        {
            return Ok(Entered::At(place));
        }
        // From here on our death rings the bell.
        let pending = me.pend();
        let entered = match self.enter(id, me, name) {
            Ok(Some(place)) => Ok(Entered::At(place)),
            Ok(None) => self.pass_the_gate(id, me, name, wait),
            Err(error) => Err(error),
        };
        me.unpend(pending);
        entered
    }

    /// Reads once more a lock that the caller already reads.
    fn read_again(&self, id: OwnerId, me: &Member, name: u64) -> Result<Option<Place>> {
        for (at, cell) in self.cells.iter().enumerate() {
            let mut word = cell.load(Ordering::Relaxed);
            let mut retries = Retries::new();
            while OwnerId::of(word) == Some(id) && retries.again() {
                if word & COUNT == COUNT {
                    return Err(ErrorKind::TooManyHolds.into());
                }
                // Relaxed: we hold it already. A writer may set WAITER meanwhile.
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

    /// Enters if the gate is open.
    fn enter(&self, id: OwnerId, me: &Member, name: u64) -> Result<Option<Place>> {
        let mut retries = Retries::new();
        while retries.again() {
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
            // A writer has come, or has come and gone and cleared KEPT.
            leave_hold(holds, at, me);
        }
        // It keeps opening and shutting: queue at the gate instead.
        Ok(None)
    }

    /// Queues at the gate, takes a place while it has the gate, and gives the gate back.
    fn pass_the_gate(&self, id: OwnerId, me: &Member, name: u64, wait: Wait) -> Result<Entered> {
        let acquired = match wait {
            Wait::Never => self.gate.try_lock_with(me, READING)?,
            _ => self.gate.lock_with(me, wait.deadline(), READING)?,
        };
        if acquired == Acquired::OwnerDied {
            self.serve_heir(id, me, name, wait)?;
            return Ok(Entered::OwnerDied);
        }
        crate::crash_window!("RW-e: a reader has the gate");
        let place = self.take_place(id, me, name);
        // M1: the next thread to lock the gate sees the place.
        self.gate.unlock(me)?;
        place.map(Entered::At)
    }

    /// Takes a place for a caller that has the gate: no writer is looking.
    pub(super) fn take_place(&self, id: OwnerId, me: &Member, name: u64) -> Result<Place> {
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
            if OwnerId::of(word).is_none_or(|owner| !me.lives(owner)) {
                // R2. WAITER stays: a writer that sleeps for the dead reader looks again for its own reasons.
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

    /// Gives up one read of a caller that certainly has one: at this place, or wherever else it is.
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
        // A thread's reads are interchangeable: another guard may have ended the one at this place. If it has none at all, it is
        // a writer that became a reader and found no place.
        if !self.leave_any(id, me, name) {
            let _ = self.gate.unlock(me);
        }
    }

    /// Gives up one read, wherever the caller has one. False if it has none.
    #[cold]
    pub(super) fn leave_any(&self, id: OwnerId, me: &Member, name: u64) -> bool {
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
    pub(super) fn leave_cell(&self, at: usize, id: OwnerId, me: &Member) -> bool {
        let cell = &self.cells[at];
        let mut word = cell.load(Ordering::Relaxed);
        let mut retries = Retries::new();
        while OwnerId::of(word) == Some(id) && retries.again() {
            let last = word & COUNT <= ONE;
            // RW-c: between the release and the wake-up our death rings the bell.
            let pending = (last && word & WAITER != 0).then(|| me.pend());
            let left = if last { 0 } else { word - ONE };
            // R1
            let result = cell.compare_exchange(word, left, Ordering::Release, Ordering::Relaxed);
            if let Some(pending) = pending {
                if result.is_ok() && !crate::mutant!("cell-no-wake") {
                    crate::crash_window!("RW-c: a cell is left, the writer is not woken");
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
    pub(super) fn is_read_by(&self, id: OwnerId, me: &Member) -> bool {
        let name = self.name(me);
        self.cells.iter().any(|c| OwnerId::of(c.load(Ordering::Relaxed)) == Some(id))
            || me.holds().is_some_and(|h| h.words.iter().any(|h| h.load(Ordering::Relaxed) & !COUNT == name))
    }
}

/// Gives up one read at this hold.
#[inline(always)]
pub(super) fn leave_hold(holds: &Holds, at: usize, me: &Member) {
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
    crate::crash_window!("RW-d: a hold is left, the writers are not woken");
    let word = holds.sleepers.load(Ordering::Relaxed);
    // Release: a writer that announces itself over this value sees the hold. If we give up, the word moves without us.
    let _ = update(&holds.sleepers, word, (Ordering::AcqRel, Ordering::Relaxed), |word| {
        Some(word.wrapping_add(STEP) & !SLEEPERS)
    });
    if !crate::mutant!("hold-no-wake") {
        futex::wake(Word::High(&holds.sleepers), u32::MAX);
    }
}

/// The reader's half of the asymmetric fence, after a hold was written or cleared.
#[inline(always)]
fn publish(me: &Member) {
    light_fence();
    if me.table().strong_fences() {
        fence(Ordering::SeqCst);
    }
}

/// The cell that a member tries first, chosen so that few readers collide.
#[inline(always)]
pub(super) const fn first_cell(id: OwnerId) -> usize {
    id.slot() as usize % CELLS
}

/// The hold that a lock's readers try first. Locks are at least about 64 bytes apart.
#[inline(always)]
#[cfg_attr(interproc_loom, allow(clippy::modulo_one))]
pub(super) const fn home(name: u64) -> usize {
    (name as usize >> 6) % HOLDS
}
