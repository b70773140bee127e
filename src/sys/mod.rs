//! Seam 2: the kernel. Everything above calls the kernel through the functions named here. A model run replaces them by
//! `model`, which keeps the same contract on loom and can kill a thread at any step.
//!
//! | call | contract |
//! |---|---|
//! | [`futex::wait`] | sleeps unless some watched word differs from its expected value when it is queued; returns the index that was woken, or why not; may return spuriously |
//! | [`futex::wake`] | wakes at most `n` sleepers on the word and returns how many; the address may be stale (memory already reused or unmapped) |
//! | [`futex::change_and_wake`] | changes a word and wakes at most `n` sleepers on the same or another word, in one step: a thread that is killed has done both or neither; returns how many it woke; a full fence |
//! | [`futex::count`] | how many threads sleep on the word; wakes none |
//! | [`futex::wake_one_and_move`] | unless the word has changed: wakes one, and moves all others to another word, in order |
//! | [`membarrier`] | after it, every thread of every registered process has passed a full fence; pairs with `light_fence` |
//! | [`robust`] | the thread's kernel robust list: a linked slot word whose thread dies is marked `FUTEX_OWNER_DIED` and one sleeper on it is woken; a pending bell (a word that is 0) has one sleeper woken and is not changed |
//!
//! Edges: the kernel's mark is a full barrier after the dead thread's last instruction, so a thread that reads the mark
//! with Acquire sees everything that the dead thread wrote.

#[cfg(not(interproc_loom))]
mod linux;
#[cfg(not(interproc_loom))]
pub use linux::*;

#[cfg(interproc_loom)]
pub mod model;
#[cfg(interproc_loom)]
pub use model::{futex, membarrier, register_membarrier};

use crate::atomic::{AtomicU32, AtomicU64, Ordering};

/// The bit of a robust word without which the kernel wakes no sleeper on it.
pub const FUTEX_WAITERS: u32 = 0x8000_0000;
/// The bit that the kernel sets in a word whose thread died.
pub const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
/// The bits of a robust word that hold the thread id.
pub const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

/// A 32-bit futex word: a word of its own, or one half of a 64-bit one.
#[derive(Clone, Copy)]
pub enum Word<'a> {
    /// A 32-bit word.
    Whole(&'a AtomicU32),
    /// The less significant half of a 64-bit word.
    Low(&'a AtomicU64),
    /// The more significant half of a 64-bit word.
    High(&'a AtomicU64),
}

impl Word<'_> {
    /// The address of the word, or of the 64-bit word that it is half of.
    #[cfg(not(interproc_loom))]
    pub(crate) fn start(self) -> *const u8 {
        match self {
            Word::Whole(w) => core::ptr::from_ref(w).cast(),
            Word::Low(w) | Word::High(w) => core::ptr::from_ref(w).cast(),
        }
    }

    /// The current value. Relaxed: the kernel's check under its queue lock decides.
    #[inline]
    pub fn load(self) -> u32 {
        match self {
            Word::Whole(w) => w.load(Ordering::Relaxed),
            Word::Low(w) => w.load(Ordering::Relaxed) as u32,
            Word::High(w) => (w.load(Ordering::Relaxed) >> 32) as u32,
        }
    }
}

/// One word to sleep on, and the value it must still have.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// The word.
    pub word: Word<'a>,
    /// Sleep only while it holds this.
    pub expected: u32,
}

/// What [`futex::change_and_wake`] does to a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds this number, at most [`Change::MOST`].
    Add(u32),
    /// Sets the bit with this number.
    Set(u32),
}

impl Change {
    /// The most that can be added in one step: the kernel has 12 bits for it, with a sign.
    pub const MOST: u32 = 2047;
}

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// A wake-up on the watch with this index.
    By(usize),
    /// Some watched word did not hold its expected value.
    Changed,
    /// The deadline passed. No wake-up was consumed.
    TimedOut,
    /// A signal handler ran, or the kernel returned for another reason. The handler may have used libc's pending pointer.
    Interrupted,
}
