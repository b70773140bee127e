//! How a writer comes in, waits until nobody reads, and leaves.

use super::{COUNT, Free, Place, RawRwLock, SLEEPERS, STEP, WAITER, would_block};
use crate::atomic::{AtomicU64, Ordering, fence, seq_cst_fence_for_models};
use crate::error::{ErrorKind, Result};
use crate::member::{Life, Member, OwnerId, Retries, Spin};
use crate::sync::high;
use crate::sync::raw_mutex::{DRAINING, KEPT};
use crate::sync::{Acquired, RawMutex};
use crate::sys::{Watch, Woken, Word};
use crate::time::Deadline;
use crate::time::Wait;
use core::time::Duration;

impl RawRwLock {
    #[inline(always)]
    pub(crate) fn write_as(&self, id: OwnerId, me: &Member, wait: Wait) -> Result<Acquired> {
        match self.write_free(id) {
            Free::Locked => Ok(Acquired::Clean),
            Free::Gate => self.write_slow(id, me, wait, true),
            Free::Not => self.write_slow(id, me, wait, false),
        }
    }

    /// The first attempt: succeeds if nobody is there.
    #[inline(always)]
    pub(crate) fn write_free(&self, id: OwnerId) -> Free {
        // R2, M1
        if !self.gate.lock_if_plain(id) {
            return Free::Not;
        }
        if !crate::mutant!("writer-no-fence") {
            seq_cst_fence_for_models();
        }
        if self.cells.iter().fold(0, |all, cell| all | cell.load(Ordering::SeqCst)) != 0 {
            return Free::Gate;
        }
        crate::crash_window!("RW-g: it writes");
        self.note_write();
        Free::Locked
    }

    /// After [`RawRwLock::write_free`] has failed; `has_gate` says whether that got the gate.
    #[cold]
    pub(crate) fn write_slow(
        &self,
        id: OwnerId,
        me: &Member,
        wait: Wait,
        has_gate: bool,
    ) -> Result<Acquired> {
        let pending = me.pend();
        let result = self.write_pended(id, me, wait, has_gate);
        me.unpend(pending);
        result
    }

    fn write_pended(&self, id: OwnerId, me: &Member, wait: Wait, has_gate: bool) -> Result<Acquired> {
        let mut acquired = Acquired::Clean;
        if has_gate {
            self.gate.set(DRAINING);
        } else {
            // Checked before it waits for a writer that would wait for it.
            if self.is_read_by(id, me) {
                return Err(ErrorKind::Deadlock.into());
            }
            acquired = match wait {
                Wait::Never => {
                    self.refuse_if_read(me)?;
                    self.gate.try_lock_with(me, DRAINING)?
                }
                _ => self.gate.lock_with(me, wait.deadline(), DRAINING)?,
            };
        }
        crate::crash_window!("RW-f: the gate is taken, the readers are not gone");
        // Checked before it waits for another reader that may wait for it. Without the gate that was checked above.
        let drained = if has_gate && self.is_read_by(id, me) {
            Err(ErrorKind::Deadlock.into())
        } else {
            self.drain(id, me, self.name(me), wait)
        };
        self.settle(me, acquired, drained)?;
        Ok(acquired)
    }

    /// A reader has inherited the write lock.
    pub(super) fn serve_heir(&self, id: OwnerId, me: &Member, name: u64, wait: Wait) -> Result<()> {
        // There are readers only if the dead writer had not looked for them yet.
        let drained = self.drain(id, me, name, wait);
        self.settle(me, Acquired::OwnerDied, drained)
    }

    /// Either the readers are gone, or the caller gives up and returns the gate as it got it.
    fn settle(&self, me: &Member, acquired: Acquired, drained: Result<()>) -> Result<()> {
        match drained {
            Ok(()) => {
                self.note_write();
                self.gate.clear(DRAINING | KEPT);
            }
            Err(_) if acquired == Acquired::OwnerDied => self.gate.hand_back(me)?,
            Err(_) => self.gate.unlock(me)?,
        }
        drained
    }

    /// Checked before a try takes the gate, so that it does not turn readers away needlessly.
    fn refuse_if_read(&self, me: &Member) -> Result<()> {
        for cell in &self.cells {
            let owner = OwnerId::of(cell.load(Ordering::Acquire));
            if owner.is_some_and(|owner| me.lives(owner)) {
                return would_block();
            }
        }
        Ok(())
    }

    /// Waits until nobody reads. The caller has the gate, so nobody enters meanwhile.
    fn drain(&self, id: OwnerId, me: &Member, name: u64, wait: Wait) -> Result<()> {
        // R2: after the gate's compare-and-swap, which need not be SeqCst.
        if !crate::mutant!("writer-no-fence") {
            fence(Ordering::SeqCst);
        }
        let mut spin = Spin::at_a_lock(me.spinning());
        for cell in &self.cells {
            drain_cell(cell, id, me, wait, &mut spin)?;
        }
        if self.gate.load(Ordering::Relaxed) & KEPT != 0 {
            self.drain_holds(id, me, name, wait, &mut spin)?;
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
        wait: Wait,
        spin: &mut Spin<'_>,
    ) -> Result<()> {
        let began = self.fence_holds(me);
        for index in 0..me.table().count() {
            drain_slot(&self.gate, index, id, me, name, wait, spin)?;
        }
        self.note_price(began);
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
            self.gate.unlock(me)?;
        }
        let place = match self.take_place(id, me, name) {
            Ok(place) => Some(place),
            Err(_) => self.wait_for_place(id, me, name),
        };
        // No place: the caller goes on as a writer that only reads, and `leave` gives the write lock up.
        let Some(place) = place else { return Ok(0) };
        crate::crash_window!("RW-h: it reads and writes");
        if !crate::mutant!("downgrade-lets-go") {
            self.gate.unlock(me)?;
        }
        Ok(place)
    }

    /// Waits until a writer that becomes a reader finds a place. Every cell is taken by a thread that will find that we write and
    /// leave at once. If none does for long, these threads are stopped, or a peer overwrites the cells.
    #[cold]
    fn wait_for_place(&self, id: OwnerId, me: &Member, name: u64) -> Option<Place> {
        let until = (!cfg!(interproc_loom)).then(|| Deadline::after(PLACE_WITHIN));
        let pending = me.pend();
        let mut retries = Retries::new();
        let mut place = None;
        while place.is_none() && retries.again_until(until) {
            let spin = &mut Spin::at_a_lock(me.spinning());
            match drain_cell(&self.cells[0], id, me, Wait::from(until), spin) {
                // It was not us who put our name there.
                Err(e) if e.kind() == ErrorKind::Deadlock => self.cells[0].store(0, Ordering::Release),
                Err(e) if e.kind() == ErrorKind::TimedOut => break,
                _ => {}
            }
            place = self.take_place(id, me, name).ok();
        }
        me.unpend(pending);
        place
    }

    /// Releases a write lock that the caller certainly holds, clean: a guard.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[inline(always)]
    pub(crate) fn unlock_written(&self, me: &Member) {
        if !self.gate.unlock_if_plain(me) {
            self.unlock_marked(me);
        }
    }

    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[cold]
    fn unlock_marked(&self, me: &Member) {
        // Cannot fail: the caller holds it.
        let _ = self.gate.unlock(me);
    }
}

/// How long a writer that becomes a reader waits for a place.
const PLACE_WITHIN: Duration = Duration::from_millis(20);

/// Waits until a cell is free. The caller's pending pointer is at the bell.
fn drain_cell(cell: &AtomicU64, id: OwnerId, me: &Member, wait: Wait, spin: &mut Spin<'_>) -> Result<()> {
    let mut retries = Retries::new();
    while retries.again_until(wait.deadline()) {
        if matches!(wait, Wait::Never) && !retries.again() {
            return would_block();
        }
        // R1, R2
        let word = cell.load(Ordering::SeqCst);
        if word == 0 {
            return Ok(());
        }
        let owner = OwnerId::of(word);
        if owner == Some(id) {
            return Err(ErrorKind::Deadlock.into());
        }
        let alive = owner.filter(|&owner| me.lives(owner));
        let Some(owner) = alive else {
            if crate::mutant!("dead-reader-stays") {
                return would_block();
            }
            // R1: the dead reader's cell is freed. Acquire: after its last read.
            let _ = cell.compare_exchange(word, 0, Ordering::Acquire, Ordering::Relaxed);
            continue;
        };
        if matches!(wait, Wait::Never) {
            return would_block();
        }
        let deadline = wait.deadline();
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
        crate::crash_window!("RW-f: about to sleep for a reader with a cell");
        if me.sleep(&[watch], Some(owner), true, deadline) == Woken::TimedOut {
            break;
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// Waits until a slot's member no longer holds the lock. The caller's pending pointer is at the bell.
fn drain_slot(
    gate: &RawMutex,
    index: u32,
    id: OwnerId,
    me: &Member,
    name: u64,
    wait: Wait,
    spin: &mut Spin<'_>,
) -> Result<()> {
    let table = me.table();
    let (Some(slot), Some(holds)) = (table.slot(index), table.holds(index)) else { return Ok(()) };
    // R1
    let holds_it = || holds.words.iter().any(|h| h.load(Ordering::Acquire) & !COUNT == name);
    let mut retries = Retries::new();
    // A try goes round only once.
    while retries.again_until(wait.deadline()) {
        // The slot is read before its holds: these belong to that generation or to a later one.
        let owner = OwnerId::new(index as u16, high(slot.load(Ordering::Acquire)));
        if table.life(owner) == Life::Dead || !holds_it() || !me.lives(owner) {
            return Ok(());
        }
        if owner == id {
            return Err(ErrorKind::Deadlock.into());
        }
        if matches!(wait, Wait::Never) {
            return would_block();
        }
        let deadline = wait.deadline();
        if spin.again() {
            continue;
        }
        let word = holds.sleepers.load(Ordering::Relaxed);
        let announced = word.wrapping_add(STEP) | SLEEPERS;
        // AcqRel: see `wake_writers`.
        if holds.sleepers.compare_exchange(word, announced, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            continue;
        }
        // R4
        let sure = crate::mutant!("holds-sleep-no-fence") || table.sleeper_fence();
        if !holds_it() {
            continue;
        }
        spin.failed();
        let watch = Watch { word: Word::High(&holds.sleepers), expected: high(announced) };
        crate::crash_window!("RW-f: about to sleep for a reader with a hold");
        if me.sleep_for(Word::High(gate.word()), &[watch], Some(owner), sure, deadline) == Woken::TimedOut {
            break;
        }
    }
    Err(ErrorKind::TimedOut.into())
}
