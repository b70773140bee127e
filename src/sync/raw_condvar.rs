//! [`RawCondvar`]: waiting for a condition that others make true under a [`RawMutex`]. Most users never need it: use
//! [`Condvar`](crate::sync::Condvar).
//!
//! **Promise.** A waiter gives the lock back and falls asleep in one step: it misses no notification that is sent under the lock
//! after that. A death takes nothing along: a killed waiter, woken or not, leaves at most a spare wake-up to
//! the others, and a killed notifier, which may have changed the condition without saying so, wakes all. A wait may
//! end without a notification (a *spurious* wake-up: a signal, a death, a race), so callers look at their condition again.
//! If nobody waits, a notification is one load.
//!
//! | `word` | meaning |
//! |---|---|
//! | bit 63, SLEEPERS | somebody may sleep: set by waiters under the lock, cleared by a notification that finds nobody |
//! | bits 32..63 | notifications, counted; with SLEEPERS the waiters' futex |
//! | bits 16..32 | notifications to all, counted: a waiter that sees another number than when it came may have been moved |
//! | bits 0..16 | waiters, counted, so that a notifier that found nobody cannot clear SLEEPERS of one that came meanwhile |
//!
//! | `lock` | meaning |
//! |---|---|
//! | 0 | nobody has waited |
//! | n | the mutex lies n bytes behind this object (two's complement), the same in every mapping of the segment |
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | M1 | unlock | lock | the condition, and SLEEPERS: a notifier that locked after the waiter's unlock sees it |
//! | D1 | `last` signed, Release | waiter's look, Acquire | that the holder's slot is the one to watch |
//!
//! **Waiting.** Under the lock: announce, note the counts, mark the lock AWAITED. Unlock. Sleep on three words: the count of
//! notifications; the mutex's `last`, which says who took the lock last; and that member's slot. Only the first is ever woken.
//! The others are *values that must not have changed* between the look and the sleep: only threads that are already asleep hear
//! the bell of a death, so a holder that comes or dies in between must show in a word. Once the waiter is asleep, the bell
//! tells it of every later holder's death, as each holder's pending pointer rests there (see AWAITED in [`RawMutex`]). Then it
//! locks again and reports how. `last` changes with each locker. A waiter that fails to fall asleep because of that, four
//! times, sleeps once under the net of 50 ms.
//!
//! **An orderly end** is no death: a thread that ends well, without a lock of its own under which others wait, says so in
//! its slot's page and takes its pending pointer off the bell ([`Member::end_well`]). A waiter that watches its slot, because it
//! took the lock last, sees that it owes nothing and sleeps on.
//!
//! **Slices.** A wait that ran out of time counts a notification that was sent before it had the lock again; and a wait that
//! starts again while the lock is held misses none that is sent under the lock. A notification without the lock between two
//! slices shows in [`RawCondvar::notifications`].
//!
//! **Notifying all** wakes one waiter and moves the others to the mutex's word (`FUTEX_CMP_REQUEUE`), where each unlock
//! wakes the next. They keep their other watches, so deaths reach them there too. A waiter that may have
//! been moved sets WAITERS when it locks again, as it cannot know whether it was the last.
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | CV-a | a waiter after its announcement, lock held | a dead owner | the next locker, told | nothing; SLEEPERS and AWAITED are cleared later |
//! | CV-b | a waiter after its unlock, asleep, or woken and not yet locked | a notification that nobody acts on | all waiters: its pending pointer rings the bell | nothing |
//! | CV-c | a woken waiter with the lock, before it unlocks | a dead owner; others asleep for the lock or the condition | all: its pending pointer rests at the bell; one of them is told by the lock | nothing |
//! | CV-d | a notifier with the lock, between its change and the notification | as CV-c | as CV-c | nothing |
//! | CV-e | a notifier between the count and the wake | waiters asleep on an old count | all: its pending pointer is at the bell | nothing |
//! | CV-f | a notifier to all after it woke one and moved the rest | nothing: the woken one goes on | | nothing |
//! | CV-g | a notifier between its *unlock* and the notification | waiters asleep, the condition true | all that are asleep or about to: its pending pointer still rests at the bell, and the lock has its name | nothing, if nobody locked between it and a waiter that was about to sleep; for a guarantee, notify under the lock |
//! | CV-h | a thread that has said that it ends well, before its end | a dead member that owes nothing | no action needed: it took that back if it took an awaited lock | nothing, except the help of CV-g in a destructor that runs later |
//!
//! **Where the bell is not enough.** A thread has one pending pointer for all segments, and the C library's own robust
//! mutexes set it to NULL. If a thread uses one of those, or an awaited lock in another segment, in its critical section
//! and is killed before it unlocks, the next locker finds it and raises the alarm, which wakes the waiters. So it is with a death
//! that the kernel does not report (exec in a second thread, memory that is reaped first).
//!
//! **Stopped processes** delay others: a waiter that was woken by a notification to all and is stopped before it locks delays
//! those behind it until the lock is next contended, or until it continues.
//!
//! **Recursive locks** ([`RawCondvar::wait_recursive`]): the wait saves the depth, releases the lock completely, and restores
//! the waiter's own depth afterwards, also when the lock comes from the dead: the dead owner's depth is void, and the waiter's
//! outer levels still rely on their own. For the same reason a waiter with outer levels is never refused the lock: if nobody
//! repaired it, the waiter takes it over once more, with the news. (If refused, it would go on, in those levels, beside others
//! in the same situation.)
//!
//! **What a sleep costs.** Five words are watched: the count, `last`, its slot, the alarm and the bell. `futex_waitv` takes
//! 0.33 µs for each (1.70 µs for five, 0.34 µs for a wait on one, both refused by the last word). This is the whole difference to
//! pthread in a hand-over on one processor, 4.6 against 3.2 µs. On two, where waiters spin, it is 0.23 µs against 15.
//!
//! Rejected: waking all on each notification to all (each then sleeps a second time for the lock); the mutex's futex word among
//! the watches (the waiter would take the lockers' wake-ups); the owner's generation in place of `last` (two members
//! may have the same one); a count of waiters in the mutex (the dead do not count themselves out).
//!
//! Rejected: *moving the one waiter to the mutex* when the notifier holds that, as a notification to all does with the rest
//! (`FUTEX_CMP_REQUEUE` of one, and a wake-up by the unlock). Notified under the lock, a hand-over took, moved and not, 5.4 and
//! 7.4 to 8.6 µs on one processor where a woken thread may preempt its waker; 5.7 and 4.6 µs where it may not, as there it
//! costs a needless system call; 1.2 and 0.57 µs on two. Notified after the unlock there is no difference. And it was wrong: a
//! notifier that dies between its unlock and the wake-up without a report by the kernel (exec in a second thread) left the
//! moved waiter asleep without a net, out of every later notification's reach. The model of such deaths found it.
//!
//! After glibc's condition variable before 2.25 (sequence and requeue) and Brinch Hansen's signalling convention
//! as in Mesa: a notified waiter locks again like any other thread.

use super::high;
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Life, Member, OwnerId, Owners, Retries, Spin, Updated, is_live, update};
use crate::sync::{Acquired, RawMutex, RawRecursiveMutex};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;

const SLEEPERS: u64 = 1 << 63;
/// One notification.
const NOTIFIED: u64 = 1 << 32;
const ALL: u64 = 1 << 16;
/// The notifications to all.
const ALL_MASK: u64 = 0xffff << 16;
/// The waiters.
const WAITERS_MASK: u64 = 0xffff;
/// How many times lockers may keep a waiter from falling asleep before it sleeps under the net.
const TRIES: u32 = 4;

/// Whether the counts of notifications are equal, whatever SLEEPERS says.
#[inline]
const fn same_count(a: u64, b: u64) -> bool {
    ((a ^ b) & !SLEEPERS) >> 32 == 0
}

/// One more notification.
#[inline]
const fn notified(word: u64) -> u64 {
    // The carry out of the count must not reach SLEEPERS.
    word & SLEEPERS | (word & !SLEEPERS).wrapping_add(NOTIFIED) & !SLEEPERS
}

/// How a wait ended; the lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Waited {
    /// How the lock was acquired again.
    pub how: Acquired,
    /// Whether the deadline passed without a notification.
    pub timed_out: bool,
}

/// The condition variable. 16 bytes; all-zero is idle. It must lie in the same segment as the mutex. Most users never need it:
/// see [`Condvar`](crate::sync::Condvar).
#[repr(C)]
#[derive(Debug)]
pub struct RawCondvar {
    /// Counts and flag. A death leaves at most a needless SLEEPERS.
    word: AtomicU64,
    /// Where the mutex is.
    lock: AtomicU64,
}

#[allow(clippy::new_without_default)]
impl RawCondvar {
    /// One that nobody waits for.
    #[cfg(not(interproc_loom))]
    pub const fn new() -> Self {
        RawCondvar { word: AtomicU64::new(0), lock: AtomicU64::new(0) }
    }

    /// One that nobody waits for.
    #[cfg(interproc_loom)]
    pub fn new() -> Self {
        RawCondvar { word: AtomicU64::new(0), lock: AtomicU64::new(0) }
    }

    /// Whether somebody may sleep, so that a notification must do something. One load.
    #[inline]
    pub fn may_have_waiters(&self) -> bool {
        // Relaxed: the flag was set under the lock (M1), which the caller has locked since then, or will lock before it
        // changes the condition.
        self.word.load(Ordering::Relaxed) & SLEEPERS != 0
    }

    /// How many notifications were sent while somebody waited, modulo 2³¹. Read with the lock held before and after a wait,
    /// the difference tells whether there was one.
    pub fn notifications(&self) -> u32 {
        // Relaxed: M1.
        high(self.word.load(Ordering::Relaxed) & !SLEEPERS)
    }

    /// How many sleep here now, without those that a notification to all has moved to the mutex: a snapshot, by asking the
    /// kernel.
    #[cfg(not(interproc_loom))]
    pub fn sleepers(&self) -> u32 {
        futex::count(Word::High(&self.word))
    }

    /// Gives `lock` back, waits for a notification, until `deadline` if one is given, and takes the lock again however long
    /// that takes. May end without a notification. A lock that was inherited and not marked consistent is not given
    /// back: the result is `OwnerDied` at once.
    ///
    /// # Errors
    /// With nothing done: `NotOwner` if the caller does not hold the lock; `InvalidInput` if somebody waits here with another
    /// mutex (the lock is still held). With the lock not held: `NotRecoverable`.
    pub fn wait(&self, me: &Member, lock: &RawMutex, deadline: Option<Deadline>) -> Result<Waited> {
        self.wait_for(me, lock, None, deadline, Some(Spin::new(me.spinning())))
    }

    /// As [`RawCondvar::wait`], for a caller whose condition also comes true when one of these members dies, and that has spun already.
    ///
    /// # Errors
    /// As [`RawCondvar::wait`].
    pub(crate) fn wait_beside(
        &self,
        me: &Member,
        lock: &RawMutex,
        owners: Option<&Owners>,
        deadline: Option<Deadline>,
    ) -> Result<Waited> {
        self.wait_for(me, lock, owners, deadline, None)
    }

    fn wait_for(
        &self,
        me: &Member,
        lock: &RawMutex,
        owners: Option<&Owners>,
        deadline: Option<Deadline>,
        spin: Option<Spin<'_>>,
    ) -> Result<Waited> {
        if !lock.is_held_by(me) {
            return Err(ErrorKind::NotOwner.into());
        }
        if lock.is_dirty() {
            return Ok(Waited { how: Acquired::OwnerDied, timed_out: false });
        }
        // CV-b: from here on our death rings the bell.
        let mut pending = Some(me.pend());
        if crate::mutant!("waiter-no-bell") {
            pending.take().into_iter().for_each(|pending| me.unpend(pending));
        }
        let result = self.name_lock(me, lock).and_then(|()| {
            lock.set_awaited(me);
            let seen = self.announce();
            crate::crash_window!("CV-a: announced, the lock held");
            lock.unlock_to_wait(me);
            let timed_out = self.sleep(me, lock, seen, owners, deadline, spin);
            crate::crash_window!("CV-b: awake, not locked");
            // Relaxed: the news of a move comes through the kernel.
            let now = self.word.load(Ordering::Relaxed);
            let moved = (now ^ seen) & ALL_MASK != 0 && !crate::mutant!("moved-forgets-waiters");
            let how = lock.lock_again(me, moved)?;
            // Relaxed: M1. Read with the lock held: a waiter whose time had run out, and which may wait on in another slice, does
            // not miss what was sent under the lock up to now.
            let word =
                if crate::mutant!("timed-out-looks-early") { now } else { self.word.load(Ordering::Relaxed) };
            Ok(Waited { how, timed_out: timed_out && same_count(word, seen) })
        });
        crate::crash_window!("CV-c: woken, with the lock");
        if let Some(pending) = pending
            && (!lock.is_held_by(me) || !lock.is_awaited())
        {
            me.unpend(pending);
        }
        result
    }

    /// [`RawCondvar::wait`] with a recursive lock: gives all levels back, and takes as many again.
    ///
    /// # Errors
    /// As [`RawCondvar::wait`]. Never `NotRecoverable` for a caller that holds the lock twice or more: that one gets `OwnerDied`
    /// and the lock once more.
    pub fn wait_recursive(
        &self,
        me: &Member,
        lock: &RawRecursiveMutex,
        deadline: Option<Deadline>,
    ) -> Result<Waited> {
        let (depth, below) = (lock.depth(me), lock.lock_below());
        // While the lock is still held: after that only the next holder may write it.
        if depth != 0 {
            lock.set_depth(me, 0);
        }
        let mut waited = self.wait(me, below, deadline);
        if depth > 1 && waited.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotRecoverable) {
            waited = below.lock_even_unrecoverable(me).map(|how| Waited { how, timed_out: false });
        }
        if depth != 0 && below.is_held_by(me) {
            crate::crash_window!("RM-a: locked again, no hold yet");
            lock.set_depth(me, if crate::mutant!("wait-forgets-depth") { 1 } else { depth });
        }
        waited
    }

    /// Wakes one waiter, if there is any.
    #[inline]
    pub fn notify_one(&self, me: &Member) {
        let word = self.word.load(Ordering::Relaxed);
        if word & SLEEPERS != 0 {
            self.notify_one_of(me, word);
        }
    }

    fn notify_one_of(&self, me: &Member, mut word: u64) {
        let pending = me.pend();
        let mut retries = Retries::new();
        while word & SLEEPERS != 0 {
            // Relaxed: the lock orders what the waiter sees.
            if let Err(now) =
                self.word.compare_exchange(word, notified(word), Ordering::Relaxed, Ordering::Relaxed)
            {
                word = now;
                if !retries.again() {
                    self.wake_uncounted();
                    break;
                }
                continue;
            }
            crate::crash_window!("CV-e: counted, not woken");
            let word = notified(word);
            if !crate::mutant!("notify-no-wake") && futex::wake(Word::High(&self.word), 1) == 0 {
                // Nobody sleeps; a waiter that has announced itself since has changed the word.
                let _ =
                    self.word.compare_exchange(word, word & !SLEEPERS, Ordering::Relaxed, Ordering::Relaxed);
            }
            break;
        }
        me.unpend(pending);
    }

    /// Wakes all waiters: one now, and the others one by one as they get the lock.
    #[inline]
    pub fn notify_all(&self, me: &Member) {
        let word = self.word.load(Ordering::Relaxed);
        if word & SLEEPERS != 0 {
            self.notify_all_of(me, word);
        }
    }

    fn notify_all_of(&self, me: &Member, mut word: u64) {
        let pending = me.pend();
        let mut retries = Retries::new();
        while word & SLEEPERS != 0 {
            // All are told: a waiter that comes now sets the flag again.
            let all = (word & ALL_MASK).wrapping_add(ALL) & ALL_MASK;
            let next = notified(word) & !(SLEEPERS | ALL_MASK) | all;
            if let Err(now) = self.word.compare_exchange(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                word = now;
                if !retries.again() {
                    self.wake_uncounted();
                    break;
                }
                continue;
            }
            crate::crash_window!("CV-e: all counted, none woken");
            // Written before SLEEPERS was first set.
            let lock = self.lock.load(Ordering::Relaxed);
            // A peer may have written it: nobody is moved out of the segment.
            let mutex = me.beside(core::ptr::from_ref(&self.word).cast(), lock);
            let moved = mutex
                .is_some_and(|mutex| futex::wake_one_and_move(Word::High(&self.word), high(next), mutex));
            crate::crash_window!("CV-f: moved");
            if !moved {
                // A waiter has come meanwhile, which must not be moved as it does not know about it; or nobody can be moved.
                futex::wake(Word::High(&self.word), u32::MAX);
            }
            break;
        }
        me.unpend(pending);
    }

    /// For a word that a peer keeps writing: it changes, so threads about to sleep look again; those asleep are woken.
    #[cold]
    fn wake_uncounted(&self) {
        futex::wake(Word::High(&self.word), u32::MAX);
    }

    /// Records where the mutex is; all concurrent waiters must name the same one.
    fn name_lock(&self, me: &Member, lock: &RawMutex) -> Result<()> {
        let distance = distance(me, &self.word, lock.word());
        let named = self.lock.load(Ordering::Relaxed);
        if named == distance {
            return Ok(());
        }
        // Judged by the flag alone, the dead would wait for ever.
        let in_use = named != 0 && self.may_have_waiters() && futex::count(Word::High(&self.word)) != 0;
        let taken = || self.lock.compare_exchange(named, distance, Ordering::Relaxed, Ordering::Relaxed);
        if in_use || taken().is_err_and(|now| now != distance) {
            return Err(ErrorKind::InvalidInput.into());
        }
        Ok(())
    }

    /// Announces a sleeper. Returns the word as of then.
    fn announce(&self) -> u64 {
        let next = |word: u64| {
            let waiters = (word & WAITERS_MASK).wrapping_add(1) & WAITERS_MASK;
            let waiters = if crate::mutant!("waiter-uncounted") { word & WAITERS_MASK } else { waiters };
            word & !WAITERS_MASK | waiters | SLEEPERS
        };
        let word = self.word.load(Ordering::Relaxed);
        // Relaxed: the unlock publishes it.
        match update(&self.word, word, (Ordering::Relaxed, Ordering::Relaxed), |word| Some(next(word))) {
            Updated::From(word) => next(word),
            // It moves without us.
            _ => self.word.fetch_or(SLEEPERS, Ordering::Relaxed) | SLEEPERS,
        }
    }

    /// Sleeps until a notification, or until the caller should look again. Returns whether the deadline passed.
    fn sleep(
        &self,
        me: &Member,
        lock: &RawMutex,
        seen: u64,
        owners: Option<&Owners>,
        deadline: Option<Deadline>,
        spin: Option<Spin<'_>>,
    ) -> bool {
        if let Some(mut spin) = spin {
            while spin.again() {
                if !same_count(self.word.load(Ordering::Relaxed), seen) {
                    spin.done();
                    return false;
                }
            }
            spin.failed();
        }
        let count = Watch { word: Word::High(&self.word), expected: high(seen | SLEEPERS) };
        let mut tries = 0;
        loop {
            // D1. No name: nobody is sure to tell us of deaths. A dead member: it may have owed a notification.
            let last = lock.last().load(Ordering::Acquire);
            let Some(owner) = OwnerId::of(last) else { return false };
            let Some(slot) = me.table().slot(owner.slot()) else { return false };
            let mut watches = [count, Watch { word: Word::High(lock.last()), expected: high(last) }, count];
            let mut n = 2;
            match me.table().life(owner) {
                Life::Live(tid_word) if is_live(tid_word) => {
                    watches[n] = Watch { word: Word::Low(slot), expected: tid_word };
                    n += 1;
                }
                // The bell tells of the next holder.
                _ if owes_nothing(me, owner) => {}
                _ => return false,
            }
            if crate::mutant!("last-unwatched") {
                watches[1] = count;
            }
            if crate::mutant!("holder-unwatched") {
                watches[2] = count;
            }
            let sure = tries < TRIES;
            if let Some(owners) = owners.filter(|_| sure) {
                let woken = me.sleep_on_many(&watches[..n], owners, None, (0, 1), deadline);
                let dead = |&id: &OwnerId| !matches!(me.table().life(id), Life::Live(word) if is_live(word));
                if matches!(woken, Woken::By(_)) && dead(&owner) {
                    me.table().wake_watchers(owner); // the kernel wakes one there, and another wake-up hides it
                }
                // Those beyond the list are the caller's to look after when the net ends the sleep.
                let looks = owners.beyond() && woken == Woken::Interrupted;
                let moved = !same_count(self.word.load(Ordering::Relaxed), seen);
                let news = looks || moved || owners.as_slice().iter().any(dead);
                match woken {
                    Woken::TimedOut => return true,
                    Woken::Changed if !news => tries += 1,
                    Woken::Interrupted if !news => {}
                    _ => return false,
                }
                continue;
            }
            let woken = me.sleep(if sure { &watches[..n] } else { &watches[..1] }, None, sure, deadline);
            match woken {
                Woken::By(2) if sure && n == 3 => {
                    me.table().wake_watchers(owner);
                    if owes_nothing(me, owner) && same_count(self.word.load(Ordering::Relaxed), seen) {
                        continue;
                    }
                }
                Woken::TimedOut => return true,
                Woken::Changed if high(self.word.load(Ordering::Relaxed)) == count.expected => {
                    // `last`, the slot, or the alarm has changed.
                    tries += 1;
                    continue;
                }
                Woken::Interrupted if !sure => {
                    tries = 0; // the net, or a signal
                    continue;
                }
                _ => {}
            }
            return false;
        }
    }
}

/// Whether a former holder that no longer lives owes no notification.
fn owes_nothing(me: &Member, owner: OwnerId) -> bool {
    me.table().has_ended_well(owner) && !crate::mutant!("every-end-is-a-death")
}

/// How far the mutex lies behind the condition variable, wherever they are mapped.
fn distance(me: &Member, from: &AtomicU64, to: &AtomicU64) -> u64 {
    let (from, to) = (core::ptr::from_ref(from).cast::<u8>(), core::ptr::from_ref(to).cast::<u8>());
    #[cfg(not(interproc_loom))]
    return me.offset_of(to).wrapping_sub(me.offset_of(from));
    #[cfg(interproc_loom)]
    {
        let _ = me;
        (to.addr() as u64).wrapping_sub(from.addr() as u64)
    }
}
