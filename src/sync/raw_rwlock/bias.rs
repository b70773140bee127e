//! The bias of a lock that is read much more often than written.
//!
//! With a cell, reading costs two locked instructions, and readers on different processors write to one cache line.
//! A hold costs two plain stores to the reader's own page. So a lock that is read and not written is biased: at about every 64th
//! read the reader samples the lock, and after 16 samples in a row without a write in between it sets KEPT. The next
//! writer pays for a membarrier and a look at all slots (some µs), and for a hundred times as long the bias stays off, so at
//! most one per cent of the time goes there. A lock that is written as often as once in a thousand reads is never
//! biased, and its writers never pay. After BRAVO (Dice & Kogan 2019), but with a thread's holds in its own slot
//! instead of a table that threads share by hash: no collisions, and a dead thread's holds are void without a search.
//!
//! The gate's second word is the record: the samples since the last write in its lower 16 bits; above them, in microseconds, the
//! time until which no bias is wanted. Updates to it may be lost: nothing depends on it.

use super::RawRwLock;
use crate::atomic::Ordering;
use crate::member::Member;
use crate::sys::{Watch, Word, futex};
use crate::time::Deadline;

/// The number of samples without a write between them before the lock is biased.
const CALM: u64 = 16;
/// The bits of the samples in the gate's second word. Above them: until when no bias is wanted, in microseconds.
const CALM_BITS: u32 = 16;
/// In place of that time: for ever.
const NEVER: u64 = u64::MAX >> CALM_BITS;
/// The bias stays off this many times as long as taking it away took.
const RARELY: u64 = 100;
/// The most that counts as that time, in microseconds: a writer that waited for readers did not pay for the bias.
const DEAREST: u64 = 200;

impl RawRwLock {
    /// Biases it, as if it had been read for a long time.
    #[cfg(interproc_loom)]
    pub fn bias(&self) {
        assert!(self.gate.keep(0));
    }

    /// Records that nobody has written since the last sample; biases the lock if that has been so for long.
    #[cold]
    pub(super) fn sample(&self, me: &Member) {
        let book = self.gate.reserved();
        // Relaxed, and not atomic together: at most a sample is lost.
        let noted = book.load(Ordering::Relaxed);
        let (until, calm) = (noted >> CALM_BITS, noted & ((1 << CALM_BITS) - 1));
        if calm < CALM {
            book.store(noted + 1, Ordering::Relaxed);
        } else if until != NEVER && (until == 0 || until < now_us()) && !me.table().strong_fences() {
            // If a waiting writer has the gate, which may be as we only read, this fails.
            self.gate.keep(0);
        }
    }

    /// Records for the samples that somebody has written.
    #[inline(always)]
    pub(super) fn note_write(&self) {
        let book = self.gate.reserved();
        // Relaxed: as in `sample`.
        let noted = book.load(Ordering::Relaxed);
        if noted as u16 != 0 {
            book.store(noted & !((1 << CALM_BITS) - 1), Ordering::Relaxed);
        }
    }

    /// R3, the writer's side: from here on, every hold is visible that a reader wrote before it could see the gate taken.
    /// Returns when this began, in microseconds.
    pub(super) fn fence_holds(&self, me: &Member) -> u64 {
        let began = now_us();
        let book = self.gate.reserved();
        if !me.table().sleeper_fence() && book.load(Ordering::Relaxed) >> CALM_BITS != NEVER {
            pause_for_stores();
            book.store(NEVER << CALM_BITS, Ordering::Relaxed);
        }
        began
    }

    /// Keeps the bias off for a multiple of the time that taking it away took.
    pub(super) fn note_price(&self, began: u64) {
        let book = self.gate.reserved();
        let took = now_us().saturating_sub(began).clamp(1, DEAREST);
        if book.load(Ordering::Relaxed) >> CALM_BITS != NEVER {
            book.store((began + took * RARELY) << CALM_BITS, Ordering::Relaxed);
        }
    }
}

/// Microseconds on the monotonic clock.
fn now_us() -> u64 {
    Deadline::now().as_monotonic_ns() / 1000
}

/// Where there is no membarrier: waits until what others have written is visible here.
#[cold]
fn pause_for_stores() {
    const LONG: u64 = 10_000_000;
    let nobody = crate::atomic::AtomicU32::new(0);
    let until = Deadline::from_monotonic_ns(Deadline::now().as_monotonic_ns().saturating_add(LONG));
    while !until.has_passed() {
        futex::wait(&[Watch { word: Word::Whole(&nobody), expected: 0 }], Some(until));
    }
}
