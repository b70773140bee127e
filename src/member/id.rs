//! [`OwnerId`]: who owns something, as 48 bits that fit into any object's word.

use core::fmt;

/// A member's identity in one segment: its slot and that slot's generation. Never reused.
///
/// Bits 0..32 hold the generation (1 or more), bits 32..48 the slot; the upper 16 bits of a word that holds an id
/// belong to the object, so that the upper half (slot and flags) can serve as a futex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnerId(u64);

impl OwnerId {
    /// The bits of a word that hold the id.
    pub const MASK: u64 = (1 << 48) - 1;

    /// The id of a slot's generation.
    #[inline]
    pub const fn new(slot: u16, generation: u32) -> Self {
        OwnerId((slot as u64) << 32 | generation as u64)
    }

    /// The id in a word, whatever its upper 16 bits say. `None` when it names nobody.
    #[inline]
    pub const fn of(word: u64) -> Option<Self> {
        if word as u32 == 0 { None } else { Some(OwnerId(word & Self::MASK)) }
    }

    /// An id that was stored as bits.
    #[inline(always)]
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) const fn cached(bits: u64) -> Self {
        OwnerId(bits)
    }

    /// The id with a flag: it equals no member's id.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[inline(always)]
    pub(crate) const fn flagged(self) -> Self {
        OwnerId(self.0 | 1 << 63)
    }

    /// The id; if the thread is panicking, [flagged](Self::flagged) and with a second flag. A lock taken then is taken by a
    /// destructor, not by code that the panic interrupts, so its end is an orderly one.
    ///
    /// A word in, a word out: a guard that is built on two paths, or passed by reference, goes through memory, and copying what
    /// was just written in pieces costs more than the lock.
    #[inline(always)]
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn unless_panicking(self) -> Self {
        OwnerId(self.0 | if std::thread::panicking() { 1 << 63 | 1 << 62 } else { 0 })
    }

    /// For the id that [`unless_panicking`](Self::unless_panicking) gave to a guard that is being dropped now: whether a panic
    /// drops it.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[inline(always)]
    pub(crate) fn is_dropped_by_a_panic(self) -> bool {
        self.0 & 1 << 62 == 0 && std::thread::panicking()
    }

    /// The id without the flags.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    #[inline(always)]
    pub(crate) const fn plain(self) -> Self {
        OwnerId(self.0 & Self::MASK)
    }

    /// The id as bits of a word.
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The slot's index. If read from shared memory it may be beyond the table; the table checks.
    #[inline]
    pub const fn slot(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The slot's generation.
    #[inline]
    pub const fn generation(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot(), self.generation())
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_flags_around_it() {
        let id = OwnerId::new(0xabcd, 0xffff_ffff);
        assert_eq!(OwnerId::of(id.bits() | 0xffff << 48), Some(id));
        assert_eq!((id.slot(), id.generation()), (0xabcd, u32::MAX));
    }

    #[test]
    fn generation_zero_names_nobody() {
        assert_eq!(OwnerId::of(0), None);
        assert_eq!(OwnerId::of(7 << 32), None);
    }
}
