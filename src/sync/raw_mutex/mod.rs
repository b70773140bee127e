//! [`RawMutex`]: the robust lock under [`Mutex`](crate::sync::Mutex), the C mutex and the directory. Most users never need it:
//! use [`Mutex`](crate::sync::Mutex).
//!
//! **Promise.** One holder at a time, whatever dies. A dead holder's lock goes to the next locker, who is told. What happens to
//! an inherited lock that is released without being marked consistent depends on the release: [`RawMutex::unlock`] makes it
//! unusable for good (the rule of POSIX, and of the C interface); after [`RawMutex::unlock_keeping_news`] the next locker is
//! told again (the rule of the Rust guards). Uncontended: one compare-and-swap to lock, a plain store and a load to unlock;
//! nothing else.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | `id` | held. Only the holder changes this word: a thread that wants to sleep announces it in the holder's own page (`member::handoff`) |
//! | `id + WAITERS` | held by a thread that has slept for it, or inherited it, and does not know who else sleeps: its unlock wakes |
//! | `id + DIRTY (+ WAITERS)` | held by a thread that inherited it from the dead and has not marked it consistent |
//! | `NOT_RECOVERABLE` | unusable for good, except for a thread that has been waiting for a condition with outer levels of a recursive lock: that one inherits it |
//! | `id + READING` or `+ DRAINING (+ WAITERS)` | held by a thread that has not touched the data yet ([`RawRwLock`](crate::sync::RawRwLock)): nobody is told of its death |
//! | `DIRTY` | free, and the next locker is told of a death: an heir gave it back unrepaired, or a holder in the middle of its work |
//! | any of these but `NOT_RECOVERABLE`, `+ AWAITED` | somebody may wait for a condition under this lock; stays when the lock is released |
//! | any of these but `NOT_RECOVERABLE`, `+ KEPT` | an object built on this lock sends every locker to the slow path; stays when the lock is released |
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | M1 | unlock, Release | lock, CAS Acquire | the guarded data |
//! | M2 | kernel's mark of the owner's slot | `Table::life`, Acquire (T1) | the guarded data as the dead left it |
//! | X1 | a sleeper's announcement | the unlocker's look | see `member::handoff` |
//!
//! While AWAITED is set, lockers take the slow path. The holder writes its name into the second word, `last`, and lets its
//! pending pointer rest at the bell, so that its death wakes those who wait for a condition, to whom it may owe a
//! notification. A thread that inherits the lock raises the alarm. [`RawCondvar`](super::RawCondvar) explains what this is for.
//!
//! | `last` | meaning |
//! |---|---|
//! | 0 in the lower 48 bits | nobody waits for a condition, or the holder is asking the kernel whether anybody does |
//! | `id + turn` (16 bits) | the last member that took the lock while AWAITED was set; it writes this while it holds the lock |
//!
//! A sleeper watches the lock, its announcement, the segment's bell, and its owner's slot. *While anybody sleeps, a
//! waiter is awake, or has announced itself to the holder and watches it, or the holder has WAITERS.* A woken thread
//! keeps that true before it sleeps again or leaves; if it dies, its pending pointer rings the bell.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | MX-a | the holder, anywhere between lock and unlock | a dead id in the word | a sleeper on its slot, by the kernel's mark; the next locker by one load | nothing; the next locker is told |
//! | HO-a | an unlocker after the store, before the wake | a free lock, others asleep | the sleeper that announced itself: it watches the unlocker's slot | nothing |
//! | MX-b | an unlocker with WAITERS after the release, before the wake | as HO-a | all: its pending pointer is at the bell | nothing |
//! | MX-c | a woken sleeper before it runs, or anywhere in the slow path | as HO-a | its pending pointer rings the bell | nothing |
//! | MX-d | a recoverer before `mark_consistent` | a dead id with DIRTY | as MX-a | nothing; the next locker is told again |
//! | MX-e | the releaser of a dirty lock before it wakes all | `NOT_RECOVERABLE`, others asleep | as MX-b | nothing |
//! | MX-f | the holder, while every sleeper watches an earlier holder (*stale watch*: three or more contenders, the middle one got the lock after sleeping and died in its critical section) | a dead id | the net, at most 50 ms | nothing |
//! | MX-g | a holder of an AWAITED lock before its name is in `last` | nothing: it has changed nothing | the next locker inherits and raises the alarm | nothing |
//! | MX-h | a holder that asks whether anybody still waits | AWAITED, `last` without a name | a thread about to wait takes it for a wake-up; the bell | nothing |
//!
//! *How often MX-f happens*: in an experiment with two or seven others contending on two processors, 1 to 60 µs inside and 0 to
//! 60 outside, no heir of 57,000 dead holders had its last sleep ended by the net. There the dead were replaced, and a
//! newcomer finds a dead holder by one load. It was not measured with newcomers held back.
//!
//! After the releasing store in `unlock` the object is neither read nor written: at most a wake-up is sent to its
//! address. So it may be destroyed as soon as another thread has acquired it.
//!
//! Rejected: WAITERS set by the sleeper, so that every unlock is a read-modify-write (11 ns for lock and unlock on the machine
//! where a store takes 5.4, and 1.0 instead of 0.5 of what a lock that is not robust takes); a bell in each object (16 more
//! bytes, and the kernel would touch a destroyed object). A *baton* in place of WAITERS (a thread that got the lock after
//! sleeping at once wakes one more, which announces itself to it, so that MX-f is closed): an empty section of two contenders
//! took 7 % more time (42 and 40 million a second without, 39 and 37 with it), the rest stayed within the noise (100 ns
//! sections of two: 4.1 and 5.2, 5.3 and 5.3; of eight on two processors: 4.3 and 4.6, 4.7 and 4.6), and so did the fairness of
//! eight (that a contender could starve there had another reason: `Spin::at_a_lock`).
//!
//! After Drepper, *Futexes Are Tricky* (mutex 2), with glibc's robust-mutex verdicts.

mod awaited;

use super::high;
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{Error, ErrorKind, Result};
use crate::member::{Member, OwnerId, Retries, Spin, Updated, update};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;

const WAITERS: u64 = 1 << 63;
pub(super) const DIRTY: u64 = 1 << 62;
pub(super) const NOT_RECOVERABLE: u64 = 1 << 61;
/// Survives locking, unlocking and inheriting, whoever does it.
pub(super) const KEPT: u64 = 1 << 60;
/// Somebody may wait for a condition under this lock. Survives as KEPT does; only the holder changes it.
pub(super) const AWAITED: u64 = 1 << 57;
/// What stays when the lock is released.
const STAYS: u64 = KEPT | AWAITED;
/// The holder is a reader on its way in: no writer is.
pub(super) const READING: u64 = 1 << 59;
/// The holder is a writer that waits for readers to leave.
pub(super) const DRAINING: u64 = 1 << 58;
/// The holder has not touched the data.
const UNTOUCHED: u64 = READING | DRAINING;
/// With any of these in the word, its owner unlocks on the slow path.
const FLAGS: u64 = !OwnerId::MASK;

/// How a lock was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Acquired {
    /// From a living owner, or for the first time.
    Clean,
    /// From a dead owner: the data may be half-changed. Repair it, then call [`RawMutex::mark_consistent`].
    OwnerDied,
}

/// The robust lock. 16 bytes; all-zero is unlocked. It must lie in a segment of which the callers are members. Most users never
/// need it: see [`Mutex`](crate::sync::Mutex).
#[repr(C)]
#[derive(Debug)]
pub struct RawMutex {
    /// Owner id and flags. After a death: the dead owner's id, until the next locker replaces it.
    word: AtomicU64,
    /// While AWAITED: who took the lock last, and how often it was taken. Sleepers watch the upper half as a futex; nobody is
    /// ever woken there. A reader-writer lock, under which nobody waits for a condition, uses the word for something else.
    last: AtomicU64,
}

#[allow(clippy::new_without_default)]
impl RawMutex {
    /// An unlocked mutex.
    #[cfg(not(interproc_loom))]
    pub const fn new() -> Self {
        RawMutex { word: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    /// An unlocked mutex.
    #[cfg(interproc_loom)]
    pub fn new() -> Self {
        RawMutex { word: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    /// Locks, waiting until `deadline` if one is given.
    ///
    /// # Errors
    /// `Deadlock` if the caller holds it, `NotRecoverable`, `TimedOut`.
    #[inline]
    pub fn lock(&self, me: &Member, deadline: Option<Deadline>) -> Result<Acquired> {
        if self.lock_free(me.id()) { Ok(Acquired::Clean) } else { self.lock_slow(me, deadline) }
    }

    /// The first attempt to lock: succeeds if the lock is free, without any flag in its word.
    #[inline(always)]
    pub(crate) fn lock_free(&self, id: OwnerId) -> bool {
        // M1: sees the last owner's writes.
        self.word.compare_exchange(0, id.bits(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Locks, and if the lock comes clean, adds `flags` to the id: [`READING`] or [`DRAINING`].
    #[cold]
    pub(super) fn lock_with(&self, me: &Member, deadline: Option<Deadline>, flags: u64) -> Result<Acquired> {
        self.contended(me, deadline, flags)
    }

    /// [`RawMutex::lock_with`] if it is free or its owner is dead.
    #[cold]
    pub(super) fn try_lock_with(&self, me: &Member, flags: u64) -> Result<Acquired> {
        let word = self.word.load(Ordering::Acquire);
        self.try_lock_slow(me, word, flags)
    }

    /// Locks if it is free, without any flag. SeqCst: a later load of another word is ordered after it.
    #[inline(always)]
    pub(super) fn lock_if_plain(&self, id: OwnerId) -> bool {
        self.word.compare_exchange(0, id.bits(), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// The word, for an object that is built on this lock.
    #[inline(always)]
    pub(super) fn load(&self, order: Ordering) -> u64 {
        self.word.load(order)
    }

    /// Sets flags in the word: the caller holds the lock.
    pub(super) fn set(&self, flags: u64) {
        self.word.fetch_or(flags, Ordering::SeqCst);
    }

    /// Clears flags in the word: the caller holds the lock.
    pub(super) fn clear(&self, flags: u64) {
        self.word.fetch_and(!flags, Ordering::SeqCst);
    }

    /// Adds KEPT if this is still the word. The word must not be a bare id: its holder releases that by a plain store.
    pub(super) fn keep(&self, word: u64) -> bool {
        self.word.compare_exchange(word, word | KEPT, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// The second word, for an object that is built on this lock.
    #[inline(always)]
    pub(super) fn reserved(&self) -> &AtomicU64 {
        &self.last
    }

    /// Unlocks as if the caller, which holds the lock, had died: the next locker is told.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    #[cold]
    pub fn hand_back(&self, me: &Member) -> Result<()> {
        let word = self.word.load(Ordering::Relaxed);
        if OwnerId::of(word) != Some(me.id()) {
            return Err(ErrorKind::NotOwner.into());
        }
        let lock = &raw const self.word;
        let pending = me.pend();
        if word & AWAITED != 0 {
            me.gives_awaited();
            self.sign(0); // as in `release`
        }
        // M1. Others may set WAITERS or KEPT meanwhile. From here on `self` may be gone.
        let release = (Ordering::Release, Ordering::Relaxed);
        let word = match update(&self.word, word, release, |word| Some(word & STAYS | DIRTY)) {
            Updated::From(word) => word,
            Updated::Kept(word) | Updated::GaveUp(word) => {
                self.word.store(DIRTY, Ordering::Release);
                word
            }
        };
        crate::crash_window!("MX-b: handed back, not woken");
        if !crate::mutant!("hand-back-no-wake") {
            futex::wake_high(lock, 1);
        }
        if me.is_wanted() {
            me.tell(lock);
        }
        if word & AWAITED != 0 {
            me.table().raise_alarm(); // the caller may owe the waiters a notification
        }
        me.unpend(pending);
        Ok(())
    }

    /// [`RawMutex::unlock`], but a lock that was inherited and not marked consistent is [handed back](RawMutex::hand_back): the
    /// next locker is told.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    #[inline]
    pub fn unlock_keeping_news(&self, me: &Member) -> Result<()> {
        if self.unlock_if_plain(me) {
            return Ok(());
        }
        // Relaxed: while the lock is ours, nobody else changes that flag.
        if self.word.load(Ordering::Relaxed) & DIRTY != 0 { self.hand_back(me) } else { self.unlock_slow(me) }
    }

    /// Marks a lock that the caller holds, and goes on holding, as inherited: it will be handed back.
    pub(crate) fn spoil(&self, me: &Member) {
        if self.is_held_by(me) {
            // Relaxed: the unlock publishes it.
            self.word.fetch_or(DIRTY, Ordering::Relaxed);
        }
    }

    /// Locks if it is free and nobody waits. Otherwise does nothing and returns false.
    #[inline(always)]
    pub(crate) fn lock_if_free(&self, me: &Member) -> bool {
        self.word.compare_exchange(0, me.id().bits(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Locks if it is free or its owner is dead.
    ///
    /// # Errors
    /// `WouldBlock`, `Deadlock`, `NotRecoverable`.
    #[inline]
    pub fn try_lock(&self, me: &Member) -> Result<Acquired> {
        match self.word.compare_exchange(0, me.id().bits(), Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => Ok(Acquired::Clean),
            Err(word) => self.try_lock_slow(me, word, 0),
        }
    }

    /// Unlocks. A lock that was inherited and not marked consistent becomes unusable.
    ///
    /// # Errors
    /// `NotOwner`, and nothing is changed.
    #[inline]
    pub fn unlock(&self, me: &Member) -> Result<()> {
        if self.unlock_if_plain(me) { Ok(()) } else { self.unlock_slow(me) }
    }

    /// Unlocks if the caller holds the lock without any flag in the word. Otherwise does nothing and returns false.
    #[inline(always)]
    pub(crate) fn unlock_if_plain(&self, me: &Member) -> bool {
        // Relaxed: a word that names us is ours, and without a flag nobody else changes it (see `RawRwLock` for KEPT).
        let plain = self.word.load(Ordering::Relaxed) == me.id().bits();
        if plain {
            self.unlock_held(me);
        }
        plain
    }

    /// [`RawMutex::unlock`] for a caller that certainly holds the lock without any flag in the word: a guard.
    #[inline(always)]
    pub(crate) fn unlock_held(&self, me: &Member) {
        let lock = &raw const self.word;
        let release = if crate::mutant!("guard-relaxed") { Ordering::Relaxed } else { Ordering::Release };
        self.word.store(0, release); // M1
        // X1: from here on `self` may be gone.
        if me.is_wanted() {
            me.tell(lock);
        }
    }

    /// Declares the data whole again. For the holder of a lock acquired as [`Acquired::OwnerDied`].
    ///
    /// # Errors
    /// `NotOwner` if the caller does not hold it, `InvalidInput` if it is not inconsistent.
    pub fn mark_consistent(&self, me: &Member) -> Result<()> {
        let word = self.word.load(Ordering::Relaxed);
        if OwnerId::of(word) != Some(me.id()) {
            return Err(ErrorKind::NotOwner.into());
        }
        if word & DIRTY == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        crate::crash_window!("MX-d: before mark_consistent");
        // Relaxed: the unlock publishes the data.
        self.word.fetch_and(!DIRTY, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the calling member holds it.
    #[inline]
    pub fn is_held_by(&self, me: &Member) -> bool {
        OwnerId::of(self.word.load(Ordering::Relaxed)) == Some(me.id())
    }

    /// Whether anybody, dead or alive, holds it: a snapshot.
    pub fn is_locked(&self) -> bool {
        self.word.load(Ordering::Relaxed) & !STAYS != 0
    }

    /// Who holds it, dead or alive: a snapshot.
    pub fn owner(&self) -> Option<OwnerId> {
        OwnerId::of(self.word.load(Ordering::Relaxed))
    }

    /// Takes the lock over from the dead owner in `word`. `None` if somebody else was faster.
    fn inherit(&self, me: &Member, word: u64, flags: u64) -> Option<Acquired> {
        // A holder that had not touched the data leaves no news, unless it had been told itself.
        let news = word & UNTOUCHED == 0 || word & DIRTY != 0 || crate::mutant!("passing-is-news");
        // WAITERS: we do not know who else slept on the dead owner.
        let mine = me.id().bits() | WAITERS | if news { DIRTY } else { flags } | word & STAYS;
        let mine = if crate::mutant!("inherit-not-dirty") { mine & !DIRTY } else { mine };
        // M2: the dead owner's writes were acquired by `life`; Acquire here pairs with those before it.
        self.word.compare_exchange(word, mine, Ordering::Acquire, Ordering::Relaxed).ok()?;
        self.took(me, word);
        if word & AWAITED != 0 && !crate::mutant!("heir-raises-no-alarm") {
            // The dead owner may have owed a notification, and its bell may not have rung.
            me.table().raise_alarm();
        }
        Some(if news { Acquired::OwnerDied } else { Acquired::Clean })
    }

    #[cold]
    fn try_lock_slow(&self, me: &Member, mut word: u64, flags: u64) -> Result<Acquired> {
        let mut retries = Retries::new();
        while retries.again() {
            if word & !STAYS == 0 {
                let mine = me.id().bits() | flags | word;
                match self.word.compare_exchange(word, mine, Ordering::Acquire, Ordering::Acquire) {
                    Ok(_) => {
                        if word & AWAITED != 0 {
                            me.rest();
                        }
                        self.took(me, word);
                        return Ok(Acquired::Clean);
                    }
                    Err(now) => word = now,
                }
            } else if word & NOT_RECOVERABLE != 0 {
                return Err(ErrorKind::NotRecoverable.into());
            } else {
                let owner = OwnerId::of(word);
                if owner == Some(me.id()) {
                    return Err(ErrorKind::Deadlock.into());
                }
                if owner.is_some_and(|o| me.lives(o)) {
                    return Err(ErrorKind::WouldBlock.into());
                }
                if word & AWAITED != 0 {
                    me.rest();
                }
                if let Some(acquired) = self.inherit(me, word, flags) {
                    return Ok(acquired);
                }
                word = self.word.load(Ordering::Acquire);
            }
        }
        // Somebody else was faster every time.
        Err(ErrorKind::WouldBlock.into())
    }

    /// [`RawMutex::lock`] after [`RawMutex::lock_free`] has failed.
    #[cold]
    pub(crate) fn lock_slow(&self, me: &Member, deadline: Option<Deadline>) -> Result<Acquired> {
        self.contended(me, deadline, 0)
    }

    fn contended(&self, me: &Member, deadline: Option<Deadline>, flags: u64) -> Result<Acquired> {
        // MX-c: from here on our death rings the bell.
        let pending = me.pend();
        let result = self.contend(me, me.id().bits(), deadline, flags);
        if result.is_err() || !self.is_awaited() || crate::mutant!("holder-does-not-rest") {
            me.unpend(pending);
        }
        result
    }

    fn contend(&self, me: &Member, mine: u64, deadline: Option<Deadline>, flags: u64) -> Result<Acquired> {
        let mut mine = mine | flags;
        let mut spin = Spin::at_a_lock(me.spinning());
        let mut retries = Retries::new();
        while retries.again_until(deadline) {
            let word = self.word.load(Ordering::Acquire);
            if word & !STAYS == 0 {
                if self.word.compare_exchange(word, mine | word, Ordering::Acquire, Ordering::Relaxed).is_ok()
                {
                    // An awaited lock comes here even if it was free: that says nothing about spinning.
                    if word & STAYS == 0 {
                        spin.done();
                    }
                    self.took(me, word);
                    return Ok(Acquired::Clean);
                }
                continue;
            }
            if word & NOT_RECOVERABLE != 0 {
                return Err(ErrorKind::NotRecoverable.into());
            }
            let owner = OwnerId::of(word);
            if owner == Some(me.id()) {
                return Err(ErrorKind::Deadlock.into());
            }
            let alive = owner.filter(|&o| me.lives(o));
            let Some(owner) = alive else {
                if let Some(acquired) = self.inherit(me, word, flags) {
                    return Ok(acquired);
                }
                continue;
            };
            if spin.again() {
                continue;
            }
            let mut watches = [Watch { word: Word::High(&self.word), expected: high(word | WAITERS) }; 2];
            let mut sure = true;
            let mut n = 1;
            if word & FLAGS == 0 {
                // Only its owner may change this word: we tell the owner in its own page.
                let Some(told) = me.want(owner, &self.word) else { continue };
                let Some(watch) = told.watch() else { continue };
                // X1
                if self.word.load(Ordering::Acquire) != word && !crate::mutant!("want-no-look") {
                    continue;
                }
                watches[0].expected = high(word);
                watches[1] = watch;
                n = if crate::mutant!("want-no-watch") { 1 } else { 2 };
                sure = told.sure;
            } else if word & WAITERS == 0
                && self
                    .word
                    .compare_exchange(word, word | WAITERS, Ordering::Relaxed, Ordering::Relaxed)
                    .is_err()
            {
                continue;
            }
            spin.failed();
            // A thread that has slept does not know who else sleeps.
            if !crate::mutant!("sleeper-forgets-waiters") {
                mine |= WAITERS;
            }
            crate::crash_window!("MX-c: about to sleep");
            if me.sleep(&watches[..n], Some(owner), sure, deadline) == Woken::TimedOut {
                break;
            }
        }
        // No wake-up was consumed. But another sleeper may have relied on our watching this owner.
        futex::wake_high(&raw const self.word, 1);
        Err(ErrorKind::TimedOut.into())
    }

    #[cold]
    fn unlock_slow(&self, me: &Member) -> Result<()> {
        let word = self.word.load(Ordering::Relaxed);
        if OwnerId::of(word) != Some(me.id()) {
            return Err(Error::from(ErrorKind::NotOwner));
        }
        // MX-b, MX-e: if we die between the release and the wake, the bell tells the sleepers.
        let pending = (!crate::mutant!("unlock-no-bell")).then(|| me.pend());
        if word & AWAITED != 0 {
            self.ask_who_waits(me);
        }
        self.release(me, word);
        if let Some(pending) = pending {
            me.unpend(pending);
        }
        Ok(())
    }

    /// Releases the lock and wakes those who must know. `word` says whether it is dirty.
    fn release(&self, me: &Member, word: u64) {
        let lock = &raw const self.word;
        if word & AWAITED != 0 {
            me.gives_awaited();
        }
        // M1. Others may set WAITERS or KEPT meanwhile. From here on `self` may be gone.
        let wake = if word & DIRTY != 0 {
            if word & AWAITED != 0 {
                self.sign(0); // a thread about to wait for a condition is not asleep yet when the alarm comes
            }
            self.word.swap(NOT_RECOVERABLE, Ordering::Release);
            u32::MAX
        } else {
            u32::from(self.word.fetch_and(STAYS, Ordering::Release) & WAITERS != 0)
        };
        crate::crash_window!("MX-b: released, not woken");
        if wake > 0 && !crate::mutant!("unlock-no-wake") {
            futex::wake_high(lock, wake);
        }
        if me.is_wanted() {
            me.tell(lock);
        }
        if word & (DIRTY | AWAITED) == DIRTY | AWAITED {
            me.table().raise_alarm(); // nobody will notify the waiters
        }
    }
}
