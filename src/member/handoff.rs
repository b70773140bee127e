//! How an owner learns that somebody waits for what it holds, without a read-modify-write when nobody does.
//!
//! Each member's slot page has a word that says what of its member's is *wanted*: the lock's file offset and three bits.
//! Before sleeping on a lock, a thread records the lock in the page of the lock's owner, passes the heavy fence, looks
//! again, and sleeps. The owner releases by a plain store, passes the light fence and looks at its own page: a load
//! that nearly always hits its cache, and of memory that outlives the object, which may be gone by then.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | nothing is wanted |
//! | offset + `WANTED` | the lock at this offset is wanted |
//! | any + `MANY` | several are wanted, or one whose offset is not known |
//! | any + `STRONG` | always look closely, after a full fence: some participant cannot use membarrier. Never cleared |
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | X1 | sleeper: word, heavy fence, look at the lock | owner: release, light fence, look at the word | one of the two sees the other (litmus SB; `tests/store_buffer/handoff.rs`) |
//!
//! The owner clears the word, counts its answer, and wakes. A sleeper between its last look and its sleep could fall asleep on a
//! lock that its owner has released and taken again meanwhile. So it watches the count of answers as it was *before* its
//! announcement: if its announcement is cleared, it does not fall asleep. (Watching the word itself would not do: another
//! sleeper may have written the same value again.)
//!
//! | window | who dies | what the others see | who notices |
//! |---|---|---|---|
//! | HO-a | an owner, anywhere between its release and the wake-up | a free lock, somebody asleep | the sleeper: it watches its owner's slot |
//! | HO-b | a sleeper, anywhere after its announcement | the owner looks once for nothing | no action needed |
//!
//! Rejected: a count of sleepers (killed ones would never be subtracted); the bit in the lock's own word (the release would
//! have to be a read-modify-write: 11 ns for lock and unlock, against 5.4 this way); a flag in the object beside its word (it
//! would be read after the release).

use super::{Member, OwnerId, Table, Updated, update};
use crate::atomic::{AtomicU64, Ordering, fence, light_fence};
use crate::sys::{Watch, Word, futex};

const WANTED: u64 = 1;
const MANY: u64 = 2;
pub(super) const STRONG: u64 = 4;
/// The bits of a lock's offset: locks are aligned to 8 bytes.
const OFFSET: u64 = !7;

/// A standing announcement.
pub(crate) struct Announced<'a> {
    word: &'a AtomicU64,
    mark: u64,
    answers: Watch<'a>,
    /// Whether the owner is sure to see it. If not, the net must bound the sleep.
    pub(crate) sure: bool,
}

impl<'a> Announced<'a> {
    /// If it still stands, the word to watch so that the caller does not sleep once it is cleared. To be called before the last
    /// look at the lock.
    pub(crate) fn watch(&self) -> Option<Watch<'a>> {
        let seen = self.word.load(Ordering::Acquire);
        (seen & !STRONG == self.mark || seen & MANY != 0).then_some(self.answers)
    }
}

impl Table {
    /// From now on this member looks closely, after a full fence.
    pub(super) fn warn(&self, index: u32) {
        if let Some(word) = self.wanted(index) {
            word[0].fetch_or(STRONG, Ordering::SeqCst);
        }
    }
}

impl Member {
    /// Tells `owner` that the lock is wanted. The caller must look at the lock again afterwards. `None` if there is no such
    /// member.
    #[cold]
    pub(crate) fn want(&self, owner: OwnerId, lock: &AtomicU64) -> Option<Announced<'_>> {
        let [word, answers] = self.table().wanted(owner.slot())?;
        // Acquire: before the announcement.
        let answers = Watch { word: Word::Low(answers), expected: answers.load(Ordering::Acquire) as u32 };
        let mark = self.mark_of(lock);
        let seen = word.load(Ordering::Relaxed);
        // AcqRel, even if the value stays the same: the announcement comes before the look.
        let announced = update(word, seen, (Ordering::AcqRel, Ordering::Relaxed), |seen| {
            let others = seen & !STRONG;
            Some(if mark != MANY && (others == 0 || others == mark) { seen | mark } else { seen | MANY })
        });
        let Updated::From(seen) = announced else {
            // Perhaps the owner is not told, so the net bounds the sleep, if there is one.
            return Some(Announced { word, mark, answers, sure: false });
        };
        let sure = if seen & STRONG != 0 {
            fence(Ordering::SeqCst);
            true
        } else {
            crate::mutant!("no-want-fence") || self.table().sleeper_fence()
        };
        Some(Announced { word, mark, answers, sure })
    }

    /// For an owner that has just released a lock by a plain store: whether anything that it holds is wanted.
    #[inline(always)]
    pub(crate) fn is_wanted(&self) -> bool {
        light_fence(); // X1
        // Relaxed: the fences order it.
        self.wanted().load(Ordering::Relaxed) != 0
    }

    /// For an owner that has released `lock` and found that something is wanted: clears the word and wakes the waiters. Does not
    /// touch the lock, which may be gone.
    #[cold]
    pub(crate) fn tell(&self, lock: *const AtomicU64) {
        let word = self.wanted();
        if word.load(Ordering::Relaxed) & STRONG != 0 {
            fence(Ordering::SeqCst);
        }
        let seen = word.load(Ordering::Acquire);
        let cleared = update(word, seen, (Ordering::AcqRel, Ordering::Acquire), |seen| {
            (seen & !STRONG != 0).then_some(seen & STRONG)
        });
        let (Updated::From(seen) | Updated::GaveUp(seen)) = cleared else { return };
        // Only this thread writes it. Release: after the word.
        let answers = self.answers();
        answers.store(answers.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        crate::crash_window!("HO-a: released, not woken");
        if crate::mutant!("unlock-no-wake") {
            return;
        }
        let here = self.offset_of(lock.cast());
        let there = seen & OFFSET;
        if seen & MANY == 0 && there == here {
            futex::wake_high(lock, 1);
        } else if seen & MANY == 0
            && let Some(other) = self.beside(lock.cast(), there.wrapping_sub(here))
        {
            // Another lock, which we hold or had released before the announcement came. It is only passed to the kernel, never
            // touched: a scribbled offset wakes nobody, or needlessly somebody in this segment.
            futex::wake_high(other.cast(), u32::MAX);
        } else {
            // We do not know which, or the offset is invalid: all sleepers look again and announce themselves again.
            futex::wake_high(lock, 1);
            self.table().raise_alarm();
        }
    }

    /// What is written for this lock.
    fn mark_of(&self, lock: *const AtomicU64) -> u64 {
        match self.offset_of(lock.cast()) & OFFSET {
            0 => MANY,
            offset => offset | WANTED,
        }
    }
}
