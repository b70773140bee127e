//! [`Table`]: the member slots of a segment, and the one question that everything asks: does this owner live?
//!
//! A slot word is `generation:32 | futex word:32`. We read and change it only as one 64-bit atomic.
//!
//! | low half | meaning | changed by |
//! |---|---|---|
//! | 0 | free | the member itself, when it leaves |
//! | `WAITERS + CLAIMED + seat` | claimed by a process, not confirmed; owns nothing | the claimant |
//! | `WAITERS + tid` | a live member, or a dead one whose death nobody reported | the claimant, when it confirms |
//! | `WAITERS + OWNER_DIED` | dead; other threads of its process may still be writing | the kernel, or a thread that verified the death |
//! | the same `+ 1` | dead, and its process writes no more: what it held may be taken over, and the slot reclaimed | whoever asked ([`sys::dying`]) |
//!
//! The kernel changes the low half with a 32-bit compare-exchange of its own. That mixed-size access is outside
//! Rust's memory model. On x86-64 and aarch64, aligned accesses of different sizes to one word are coherent, and
//! a locked (or exclusive) operation of either size is atomic against the other (Intel SDM 3A §8.2.3.1 and §8.1;
//! Arm ARM B2.2.1). No 64-bit operation of ours depends on more: each compare-and-swap names the exact old
//! value of both halves.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::format::SLOT_CLAIMED;
use crate::member::OwnerId;
use crate::sys::{self, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, Word, futex};

/// The low half of a slot whose member is dead.
pub(crate) const DEAD: u32 = FUTEX_WAITERS | FUTEX_OWNER_DIED;

/// [`DEAD`], and no thread of its process can still write.
#[cfg(not(interproc_loom))]
const SETTLED: u32 = DEAD | 1;

/// Whether an owner lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It lives. Carries the futex half of its slot word, to sleep on. Or it is dead but its process may still write: then that
    /// half is not [live](is_live) and wakes nobody, which [`Member::sleep`](super::Member::sleep) knows.
    Live(u32),
    /// It is dead, or never existed (a scribbled word). What it held may be taken over.
    Dead,
}

/// Whether the low half of a slot word is that of a live member.
#[inline]
pub(crate) fn is_live(low: u32) -> bool {
    low & (FUTEX_OWNER_DIED | SLOT_CLAIMED) == 0 && low & FUTEX_TID_MASK != 0
}

#[inline]
pub(crate) const fn slot_value(generation: u32, low: u32) -> u64 {
    (generation as u64) << 32 | low as u64
}

#[cfg(not(interproc_loom))]
mod place {
    use super::*;
    use crate::format::{Changing, Header, Holds, SLOT_WORD_BACK, SlotPage};
    use core::ptr::NonNull;

    /// Where a segment's header and slots are mapped. The creator of a table keeps the mapping alive.
    #[derive(Clone, Copy, Debug)]
    pub struct Table {
        header: NonNull<u8>,
        slots: NonNull<u8>,
        page: usize,
        count: u32,
        slots_off: usize,
    }

    // SAFETY: it names mapped memory that any thread may use.
    #[allow(unsafe_code)]
    unsafe impl Send for Table {}
    // SAFETY: as above; what can be written there is atomic.
    #[allow(unsafe_code)]
    unsafe impl Sync for Table {}

    #[allow(unsafe_code)]
    impl Table {
        /// How many doors there are.
        pub(crate) const DOORS: u32 = crate::format::DOORS as u32;

        /// The table of a mapped segment.
        ///
        /// # Safety
        /// `header` is page-aligned and `slots_off + count * page` bytes behind it stay mapped, readable and
        /// writable as long as the table or a copy is used; `slots_off` is a multiple of `page`, itself a multiple
        /// of 4096.
        pub unsafe fn new(header: NonNull<u8>, slots_off: usize, page: usize, count: u32) -> Self {
            // SAFETY: in bounds by the contract.
            Table { header, slots: unsafe { header.add(slots_off) }, page, count, slots_off }
        }

        /// Where the segment's header is mapped.
        #[inline]
        pub(crate) fn address(&self) -> *const u8 {
            self.header.as_ptr()
        }

        /// The number of slots.
        #[inline]
        pub fn count(&self) -> u32 {
            self.count
        }

        /// The bytes of one slot page.
        #[inline]
        pub(crate) fn page(&self) -> usize {
            self.page
        }

        /// Where a slot's page is in the file.
        pub(crate) fn slot_file_offset(&self, index: u32) -> u64 {
            (self.slots_off + index as usize * self.page) as u64
        }

        #[inline]
        pub(crate) fn changing(&self) -> &Changing {
            // SAFETY: the header is mapped and aligned by the contract of `new`; `Changing` holds only atomics.
            unsafe { &(*self.header.as_ptr().cast::<Header>()).changing }
        }

        #[inline]
        pub(crate) fn slot(&self, index: u32) -> Option<&AtomicU64> {
            if index >= self.count {
                return None;
            }
            let at = index as usize * self.page + self.page - SLOT_WORD_BACK;
            // SAFETY: inside the slots by the check; 16 bytes before a page's end is 8-aligned.
            Some(unsafe { self.slots.add(at).cast::<AtomicU64>().as_ref() })
        }

        /// The description in a slot's page.
        #[inline]
        pub(crate) fn description(&self, index: u32) -> Option<&SlotPage> {
            if index >= self.count {
                return None;
            }
            // SAFETY: inside the slots by the check; page-aligned; `SlotPage` holds only atomics.
            Some(unsafe { self.slots.add(index as usize * self.page).cast::<SlotPage>().as_ref() })
        }

        /// What others want from a slot's member, and how often it has answered.
        #[inline]
        pub(crate) fn wanted(&self, index: u32) -> Option<[&AtomicU64; 2]> {
            self.description(index).map(|page| [&page.wanted, &page.answers])
        }

        /// The last generation of a slot that ended in good order.
        pub(super) fn ended(&self, index: u32) -> Option<&AtomicU64> {
            self.description(index).map(|page| &page.ended_well)
        }

        /// The read holds of a slot's member.
        #[inline(always)]
        pub(crate) fn holds(&self, index: u32) -> Option<&Holds> {
            self.description(index).map(|page| &page.holds)
        }

        #[inline]
        pub(crate) fn bell(&self) -> &AtomicU32 {
            &self.changing().bell
        }

        #[inline]
        pub(crate) fn alarm(&self) -> &AtomicU32 {
            &self.changing().alarm
        }

        /// A door of wait sets; there are [`DOORS`](crate::format::DOORS).
        #[inline]
        pub(crate) fn door(&self, index: u32) -> Option<&AtomicU32> {
            self.changing().doors.get(index as usize)
        }

        #[inline]
        pub(super) fn strong_flag(&self) -> &AtomicU32 {
            &self.changing().strong_fences
        }

        #[inline]
        pub(crate) fn rotation(&self) -> &AtomicU32 {
            &self.changing().rotation
        }
    }
}

#[cfg(interproc_loom)]
mod place {
    use super::*;

    /// The part of [`SlotPage`](crate::format::SlotPage) that is modelled.
    #[derive(Debug)]
    #[allow(missing_docs)]
    pub struct SlotPage {
        pub seat_incarnation: AtomicU64,
        pub member_seat: AtomicU64,
        pub pid_namespace: AtomicU64,
        pub pid_tid: AtomicU64,
        pub start_time: AtomicU64,
        pub time_namespace: AtomicU64,
        pub described: AtomicU64,
    }

    impl SlotPage {
        fn new() -> Self {
            let word = || AtomicU64::new(0);
            SlotPage {
                seat_incarnation: word(),
                member_seat: word(),
                pid_namespace: word(),
                pid_tid: word(),
                start_time: word(),
                time_namespace: word(),
                described: word(),
            }
        }
    }

    use crate::format::Holds;

    /// Few.
    const DOORS: usize = 2;

    fn no_holds() -> Holds {
        Holds { sleepers: AtomicU64::new(0), words: core::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// A modelled table: leaked for the length of one model execution.
    #[derive(Clone, Copy, Debug)]
    pub struct Table {
        slots: &'static [AtomicU64],
        pages: &'static [SlotPage],
        wanted: &'static [[AtomicU64; 2]],
        ended: &'static [AtomicU64],
        holds: &'static [Holds],
        bell: &'static AtomicU32,
        alarm: &'static AtomicU32,
        strong: &'static AtomicU32,
        doors: &'static [AtomicU32],
    }

    impl Table {
        /// How many doors there are.
        pub(crate) const DOORS: u32 = DOORS as u32;

        /// A table of free slots. `described` of them have a description.
        pub fn leak(count: usize, described: usize) -> Self {
            let word = || &*Box::leak(Box::new(AtomicU32::new(0)));
            Table {
                slots: Box::leak((0..count).map(|_| AtomicU64::new(0)).collect()),
                pages: Box::leak((0..described).map(|_| SlotPage::new()).collect()),
                wanted: Box::leak((0..count).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect()),
                ended: Box::leak((0..count).map(|_| AtomicU64::new(0)).collect()),
                holds: Box::leak((0..count).map(|_| no_holds()).collect()),
                bell: word(),
                alarm: word(),
                strong: word(),
                doors: Box::leak((0..DOORS).map(|_| AtomicU32::new(0)).collect()),
            }
        }

        /// The number of slots.
        pub fn count(&self) -> u32 {
            self.slots.len() as u32
        }

        /// A slot's word.
        pub fn slot(&self, index: u32) -> Option<&'static AtomicU64> {
            self.slots.get(index as usize)
        }

        /// What a slot says of its member.
        pub fn description(&self, index: u32) -> Option<&'static SlotPage> {
            self.pages.get(index as usize)
        }

        /// Whether `id` lives.
        pub fn lives(&self, id: OwnerId) -> bool {
            self.life(id) != Life::Dead
        }

        /// A second channel has found `id` dead.
        pub fn found_dead(&self, id: OwnerId) {
            self.mark_dead(id);
        }

        /// What others want from a slot's member, and how often it has answered.
        pub fn wanted(&self, index: u32) -> Option<[&'static AtomicU64; 2]> {
            self.wanted.get(index as usize).map(|[wanted, answers]| [wanted, answers])
        }

        /// The last generation of a slot that ended in good order.
        pub(super) fn ended(&self, index: u32) -> Option<&'static AtomicU64> {
            self.ended.get(index as usize)
        }

        /// The read holds of a slot's member.
        pub(crate) fn holds(&self, index: u32) -> Option<&'static Holds> {
            self.holds.get(index as usize)
        }

        /// What a newcomer does before its slot becomes live.
        pub fn clear_holds(&self, index: u32) {
            if crate::mutant!("holds-not-cleared") {
                return;
            }
            let words = self.holds.get(index as usize).map(|h| &h.words);
            words.into_iter().flatten().for_each(|word| word.store(0, Ordering::Relaxed));
        }

        /// The segment's alarm.
        pub fn alarm(&self) -> &'static AtomicU32 {
            self.alarm
        }

        /// The segment's bell.
        pub fn bell(&self) -> &'static AtomicU32 {
            self.bell
        }

        /// A door of wait sets.
        pub(crate) fn door(&self, index: u32) -> Option<&'static AtomicU32> {
            self.doors.get(index as usize)
        }

        pub(super) fn strong_flag(&self) -> &AtomicU32 {
            self.strong
        }
    }
}

pub use place::Table;

impl Table {
    /// Whether `id` lives: one load.
    #[inline]
    pub(crate) fn life(&self, id: OwnerId) -> Life {
        let Some(slot) = self.slot(id.slot()) else { return Life::Dead };
        // T1: Acquire pairs with the kernel's mark: what the dead wrote is seen by whoever takes over.
        let word = slot.load(Ordering::Acquire);
        let same = (word >> 32) as u32 == id.generation() || crate::mutant!("life-no-generation");
        if same && is_live(word as u32) {
            return Life::Live(word as u32);
        }
        #[cfg(not(interproc_loom))]
        if same && word as u32 == DEAD {
            return self.settle(id, slot, word);
        }
        Life::Dead
    }

    /// Whether `id` lives, and is not marked dead while its process may still write.
    pub(super) fn is_up(&self, id: OwnerId) -> bool {
        matches!(self.life(id), Life::Live(low) if is_live(low))
    }

    /// A death that nobody has asked about yet: checks whether the rest of the process has stopped writing, too. One check per
    /// death, unless it comes too early.
    #[cfg(not(interproc_loom))]
    #[cold]
    fn settle(&self, id: OwnerId, slot: &AtomicU64, word: u64) -> Life {
        let dying = |who: super::Identity| {
            sys::dying::can_still_write(who.pid, who.tid, who.pid_namespace) && !crate::mutant!("heir-early")
        };
        if self.identity(id).is_some_and(dying) {
            return Life::Live(word as u32);
        }
        // Fails only if somebody else said the same, or claimed the slot.
        let settled = slot_value(id.generation(), SETTLED);
        let _ = slot.compare_exchange(word, settled, Ordering::AcqRel, Ordering::Relaxed);
        Life::Dead
    }

    /// Sleeps briefly, until the rest of a dead member's process is gone.
    #[cfg(not(interproc_loom))]
    #[cold]
    pub(crate) fn await_end(&self, id: OwnerId, deadline: Option<crate::time::Deadline>) {
        if let Some(who) = self.identity(id) {
            sys::dying::await_end(who.pid, deadline);
        }
    }

    /// Records that a member ends in good order, before its slot ends.
    pub(super) fn end_well(&self, id: OwnerId) {
        if let Some(ended) = self.ended(id.slot()) {
            // T2, Release: publishes all that it did before.
            ended.store(id.generation().into(), Ordering::Release);
        }
    }

    /// Takes that back: the member goes on after all.
    pub(super) fn go_on(&self, id: OwnerId) {
        if let Some(ended) = self.ended(id.slot())
            && ended.load(Ordering::Relaxed) == id.generation().into()
        {
            ended.store(0, Ordering::Release);
        }
    }

    /// Whether a member that no longer lives ended in good order. (Unknown once a later member of its slot has, too.)
    pub(crate) fn has_ended_well(&self, id: OwnerId) -> bool {
        // T2, Acquire
        self.ended(id.slot()).is_some_and(|ended| ended.load(Ordering::Acquire) == id.generation().into())
    }

    /// Marks a member dead in place of the kernel, only after the second channel has verified its death.
    #[cold]
    pub(crate) fn mark_dead(&self, id: OwnerId) {
        let Some(slot) = self.slot(id.slot()) else { return };
        let word = slot.load(Ordering::Acquire);
        let same = (word >> 32) as u32 == id.generation() || crate::mutant!("mark-dead-no-generation");
        if same && is_live(word as u32) {
            // Fails only if the kernel or another verifier marked it: the result is the same.
            let dead = slot_value((word >> 32) as u32, DEAD);
            let _ = slot.compare_exchange(word, dead, Ordering::AcqRel, Ordering::Relaxed);
        }
        if !crate::mutant!("mark-dead-no-wake") {
            self.wake_watchers(id);
        }
    }

    /// Wakes everyone who sleeps on a slot. The kernel wakes one; whoever notices a death wakes the rest.
    #[cold]
    pub(crate) fn wake_watchers(&self, id: OwnerId) {
        if let Some(slot) = self.slot(id.slot()) {
            futex::wake(Word::Low(slot), u32::MAX);
        }
    }

    /// Makes everyone who sleeps in the segment, or is about to, look again. A thread woken by the bell must call this.
    #[cold]
    pub(crate) fn raise_alarm(&self) {
        self.alarm().fetch_add(1, Ordering::AcqRel);
        futex::wake(Word::Whole(self.alarm()), u32::MAX);
    }

    /// The fence between a sleeper's flag and its last look at the object. Returns whether every publisher is sure to see the
    /// flag. If not, publishers are told to use full fences from now on, and the net must bound the sleep.
    #[inline]
    pub(crate) fn sleeper_fence(&self) -> bool {
        let reached = !self.strong_fences() && sys::membarrier();
        if !reached {
            self.use_strong_fences();
        }
        reached
    }

    /// Whether publishers must use full fences in this segment.
    #[inline]
    pub(crate) fn strong_fences(&self) -> bool {
        // Relaxed: sticky.
        self.strong_flag().load(Ordering::Relaxed) != 0
    }

    /// From now on publishers use full fences.
    #[cold]
    pub(crate) fn use_strong_fences(&self) {
        self.strong_flag().store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        // Members that join from now on see the flag (`Table::describe`).
        (0..self.count()).for_each(|index| self.warn(index));
    }
}
