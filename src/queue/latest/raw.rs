//! [`RawLatest`]: the newest value under [`Latest`](crate::queue::Latest) and the C latest value.
//!
//! **Promise.** A reader gets a value that was set as a whole: the newest one when the read began, or a later one, whatever dies.
//! It takes a bounded number of steps, whatever the writers do, as long as no more readers than there are announcements need one
//! at the same time. Every read that begins after a set has returned sees that set. A writer waits only for another writer. A
//! death costs the value that was being set, and nothing else.
//!
//! There are slots, each with a stamp (the version of the value in it), and one of them is *current*. A writer, alone under a
//! robust lock, fills a slot that is neither current nor announced by a live reader, and makes it current by one store. A reader
//! copies the current slot and checks that its stamp is still the same. The writers return to a slot only after all other free
//! slots, so a reader is overtaken only by that many sets during one copy. After two attempts it announces itself:
//!
//! | announcement | meaning |
//! |---|---|
//! | 0 | free |
//! | `id + WANT` | this member wants a slot that stays as it is |
//! | `id + HAVE + slot` | it reads this slot: writers avoid it as long as the member lives |
//!
//! The reader writes WANT, loads which slot is current, and changes WANT to HAVE with that slot. If a writer has come between, it
//! found WANT before it took a slot and changed it to HAVE with the slot that was current then; the reader reads that one. There
//! are two more slots than announcements: the current one and one to write to.
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | LV1 | store of `current`, Release | a reader's load, Acquire | the value and its stamp |
//! | LV2 | writer: the mark in the stamp, fence Release, the value | reader: the value, fence Acquire, the stamp | that the value may be a newer one: then the stamp differs |
//! | LV3 | writer: `current`, fence, the announcements | reader: WANT, fence, `current` | one of the two sees the other |
//! | LV4 | end of an announcement, Release | the next writer's look, Acquire | the end of the read |
//! | LV5 | a writer's answer, Release | the reader, Acquire | as LV1 |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | LV-a | a writer, while it fills a slot | a dead id in the lock; the old value is current | the next writer, as C1 of `RawMutex` | the value that was being set |
//! | LV-b | a writer, filled, not current | the same | as LV-a | as LV-a |
//! | LV-c | a writer, current, not unlocked or nobody told | the new value; others asleep | the bell; a thread about to sleep watches `current` | nothing |
//! | LV-d | a reader with an announcement | an announcement of a dead member | every writer, and a reader that wants one, by one load | nothing |
//! | LV-s | a sleeper | nothing | no action needed | nothing |
//!
//! A *stopped* writer delays other writers, never readers; a stopped reader keeps its slot and delays nobody.
//!
//! Values are copied word by word, through atomics: a reader may overlap with a writer, and then it discards what it has read.
//!
//! Rejected: a seqlock (a writer that dies leaves the number odd, and all readers spin until somebody repairs it; one that writes
//! all the time starves them); a triple buffer (wait-free, but for one reader and one writer); a lock around one value (readers
//! wait for a stopped writer, and for each other); announcing every read (a read-modify-write each: about 20 ns where two loads
//! do); hazard pointers without WANT (only lock-free: the reader must check again whether what it announced is still current).
//!
//! Two more slots than readers is from Larsson, Gidenstam, Ha, Papatriantafilou and Tsigas, *Multi-word atomic read/write
//! registers on multiprocessor systems*; that writers answer announcements is Herlihy's helping.
#![allow(unsafe_code)]

use super::layout::LatestPlace;
use crate::atomic::{AtomicU64, Ordering, fence, spin_loop};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::queue::wait::{Waiter, Watches, wait};
use crate::sync::Acquired;
use crate::sys::{Watch, Woken, Word};
use crate::time::Deadline;

const SLOT_BITS: u32 = 8;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
/// In a stamp: the value is being written.
const WRITING: u64 = 1 << 63;
/// In an announcement, above the id.
const WANT: u64 = 1 << 63;
const HAVE: u64 = 1 << 62;
const HAVE_SHIFT: u32 = 48;
/// How many bytes a reader copies in vain, while no announcement is free, before it reports that something is wrong: about 2 ms.
/// Then the least and the most number of copies.
const PATIENCE: (usize, u32, u32) = if cfg!(interproc_loom) { (0, 2, 2) } else { (16 << 20, 8, 1 << 18) };
/// How often a writer retries an announcement that changes every time.
const ANSWERS: u32 = 1 << 8;

/// Version and slot of a `current`.
#[inline(always)]
pub(in crate::queue) const fn split(current: u64) -> (u64, u32) {
    (current >> SLOT_BITS, (current & SLOT_MASK) as u32)
}

const fn join(version: u64, slot: u32) -> u64 {
    version << SLOT_BITS | slot as u64
}

const fn have(id: OwnerId, slot: u32) -> u64 {
    id.bits() | HAVE | (slot as u64) << HAVE_SHIFT
}

/// The slot in an announcement, if one is there.
pub(in crate::queue) const fn announced(word: u64) -> Option<u32> {
    if word & HAVE != 0 { Some((word >> HAVE_SHIFT & SLOT_MASK) as u32) } else { None }
}

/// A set of slots.
struct Slots([u64; 4]);

impl Slots {
    fn add(&mut self, slot: u32) {
        self.0[slot as usize >> 6 & 3] |= 1 << (slot & 63);
    }
    fn has(&self, slot: u32) -> bool {
        self.0[slot as usize >> 6 & 3] & 1 << (slot & 63) != 0
    }
}

/// The newest value. Reading it needs no membership of the segment, except in the rare case of an announcement.
///
/// # Examples
/// ```
/// use interproc::raw::member::{Domain, Table};
/// use interproc::raw::queue::{LatestPlace, RawLatest};
/// # use core::ptr::{NonNull, null_mut};
/// # const PAGE: usize = 4096;
/// # let fd = unsafe { libc::memfd_create(c"raw".as_ptr(), libc::MFD_CLOEXEC) };
/// # assert_eq!(unsafe { libc::ftruncate(fd, 8 * PAGE as i64) }, 0);
/// # let access = libc::PROT_READ | libc::PROT_WRITE;
/// # let base = unsafe { libc::mmap(null_mut(), 8 * PAGE, access, libc::MAP_SHARED, fd, 0) };
/// # assert_ne!(base, libc::MAP_FAILED);
/// # let base = NonNull::new(base.cast::<u8>()).expect("mapped");
///
/// // A file of 8 zeroed pages is mapped at `base`: a header, two members, then the value's memory.
/// // SAFETY: the file and its mapping stay to the end, and nobody else has them.
/// let (domain, place) = unsafe {
///     let memory = base.add(3 * PAGE);
///     LatestPlace::make(memory, 5 * PAGE, 8, 4, 7u64.to_ne_bytes().as_ptr())?; // by one process
///     let place = LatestPlace::attach(memory, 5 * PAGE)?; // by all
///     (Domain::new(Table::new(base, PAGE, PAGE, 2), fd)?, place)
/// };
/// // SAFETY: the thread registers once, and gives its membership back before the domain ends.
/// let me = unsafe { domain.register(None) }?;
/// let latest = RawLatest::new(place);
/// let mut value = [0; 8];
/// // SAFETY: all of them have 8 bytes, as the place has.
/// let versions = unsafe {
///     latest.store(&me, 42u64.to_ne_bytes().as_ptr(), 8, None)?;
///     (latest.load(value.as_mut_ptr(), 8, || Ok(&me))?, latest.version())
/// };
/// assert_eq!((u64::from_ne_bytes(value), versions), (42, (1, 1)));
/// // SAFETY: it is not used afterwards.
/// unsafe { domain.unregister(&me) };
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawLatest {
    place: LatestPlace,
}

impl RawLatest {
    /// The value at this place.
    pub fn new(place: LatestPlace) -> Self {
        RawLatest { place }
    }

    /// Its place.
    #[inline]
    pub fn place(&self) -> &LatestPlace {
        &self.place
    }

    /// From now on writers use full fences: for a participant, or a whole segment, without membarrier.
    pub fn use_strong_fences(&self) {
        self.place.header().changed.use_strong_fences();
    }

    /// How often it was set.
    #[inline]
    pub fn version(&self) -> u64 {
        split(self.place.header().current.load(Ordering::Acquire)).0
    }

    /// Copies the newest value to `into` and returns its version. Calls `me` only if the reader was overtaken twice.
    ///
    /// # Errors
    /// `Corrupt` if it was overtaken again and again (8 times, and for 16 MiB of copies) without a free announcement: somebody
    /// scribbles.
    ///
    /// # Safety
    /// `into` is writable for `element` bytes, as many as the place has.
    ///
    /// # Examples
    /// See [`RawLatest`].
    #[inline(always)]
    pub unsafe fn load<'m>(
        &self,
        into: *mut u8,
        element: usize,
        me: impl FnOnce() -> Result<&'m Member>,
    ) -> Result<u64> {
        // SAFETY: by the contract.
        match unsafe { self.glance(into, element) } {
            Some(version) => Ok(version),
            // SAFETY: by the contract.
            None => unsafe { self.load_slow(into, element, me) },
        }
    }

    #[cold]
    unsafe fn load_slow<'m>(
        &self,
        into: *mut u8,
        element: usize,
        me: impl FnOnce() -> Result<&'m Member>,
    ) -> Result<u64> {
        // A second attempt without an announcement; in models one is enough.
        if !cfg!(interproc_loom)
            // SAFETY: by the contract.
            && let Some(version) = unsafe { self.glance(into, element) }
        {
            return Ok(version);
        }
        if self.place.readers() > 0
            && let Ok(me) = me()
            // SAFETY: by the contract.
            && let Some(version) = unsafe { self.load_announced(me, into, element) }
        {
            return Ok(version);
        }
        let (bytes, least, most) = PATIENCE;
        for _ in 0..u32::try_from(bytes / element.max(1)).unwrap_or(most).clamp(least, most) {
            // SAFETY: by the contract.
            if let Some(version) = unsafe { self.glance(into, element) } {
                return Ok(version);
            }
            spin_loop();
        }
        Err(ErrorKind::Corrupt.into())
    }

    /// One attempt: copies the current slot. `None` if a writer has reached it meanwhile.
    ///
    /// # Safety
    /// As [`RawLatest::load`].
    #[inline(always)]
    pub unsafe fn glance(&self, into: *mut u8, element: usize) -> Option<u64> {
        let (version, slot) = split(self.place.header().current.load(Ordering::Acquire)); // LV1
        if slot >= self.place.slots() {
            return None;
        }
        // SAFETY: by the contract.
        unsafe { self.copy_out(slot, into, element) };
        fence(Ordering::Acquire); // LV2
        // Relaxed: the fence orders it.
        (self.place.word(slot, 0).load(Ordering::Relaxed) == version).then_some(version)
    }

    /// The read that no writer can disturb. `None` if no announcement is free.
    ///
    /// # Safety
    /// As [`RawLatest::load`].
    pub unsafe fn load_announced(&self, me: &Member, into: *mut u8, element: usize) -> Option<u64> {
        let want = me.id().bits() | WANT;
        let cell = self.announce(me, want)?;
        crate::crash_window!("LV-d: announced");
        if !crate::mutant!("latest-reader-no-fence") {
            fence(Ordering::SeqCst); // LV3
        }
        let (_, slot) = split(self.place.header().current.load(Ordering::Acquire)); // LV1
        let mine = have(me.id(), slot);
        let slot = match cell.compare_exchange(want, mine, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => slot,
            Err(word) => announced(word)?, // LV5
        };
        if slot >= self.place.slots() {
            cell.store(0, Ordering::Release);
            return None;
        }
        // SAFETY: by the contract.
        unsafe { self.copy_out(slot, into, element) };
        // Relaxed: it stays, as the value does.
        let version = self.place.word(slot, 0).load(Ordering::Relaxed);
        cell.store(0, Ordering::Release); // LV4
        Some(version)
    }

    /// Writes `want` into an announcement that no live member has.
    fn announce(&self, me: &Member, want: u64) -> Option<&AtomicU64> {
        let readers = self.place.readers();
        (0..readers).find_map(|n| {
            let cell = self.place.cell((me.id().slot() % readers + n) % readers);
            // Acquire: as for every id whose life is checked.
            let word = cell.load(Ordering::Acquire);
            let free = self.owner(me, word).is_none();
            (free && cell.compare_exchange(word, want, Ordering::AcqRel, Ordering::Relaxed).is_ok())
                .then_some(cell)
        })
    }

    /// The owner of an announcement, if it lives.
    fn owner(&self, me: &Member, word: u64) -> Option<OwnerId> {
        OwnerId::of(word).filter(|&id| me.lives(id))
    }

    /// # Safety
    /// As [`RawLatest::load`]; the slot is below their number.
    #[inline(always)]
    unsafe fn copy_out(&self, slot: u32, into: *mut u8, element: usize) {
        debug_assert_eq!(element, self.place.element());
        let (words, rest) = (element / 8, element % 8);
        // Relaxed: ordered by LV1 and LV2.
        for at in 0..words {
            let word = self.place.word(slot, 1 + at).load(Ordering::Relaxed);
            // SAFETY: by the contract.
            unsafe { into.cast::<u64>().add(at).write_unaligned(word) };
        }
        if rest > 0 {
            let word = self.place.word(slot, 1 + words).load(Ordering::Relaxed).to_ne_bytes();
            // SAFETY: by the contract.
            unsafe { into.add(8 * words).copy_from_nonoverlapping(word.as_ptr(), rest) };
        }
    }

    /// # Safety
    /// `from` has `element` initialised bytes, as many as the place has; the slot is below their number.
    #[inline(always)]
    unsafe fn copy_in(&self, slot: u32, from: *const u8, element: usize) {
        let (words, rest) = (element / 8, element % 8);
        // Relaxed: ordered by LV1 and LV2.
        for at in 0..words {
            // SAFETY: by the contract.
            let word = unsafe { from.cast::<u64>().add(at).read_unaligned() };
            self.place.word(slot, 1 + at).store(word, Ordering::Relaxed);
        }
        if rest > 0 {
            let mut word = [0; 8];
            // SAFETY: by the contract.
            unsafe { word.as_mut_ptr().copy_from_nonoverlapping(from.add(8 * words), rest) };
            self.place.word(slot, 1 + words).store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    /// Sets the value, waiting for other writers until `deadline` if one is given. Returns its version.
    ///
    /// # Errors
    /// `TimedOut`; `Corrupt` when the announcements make no sense.
    ///
    /// # Safety
    /// `from` has `element` initialised bytes, as many as the place has.
    ///
    /// # Examples
    /// See [`RawLatest`].
    #[inline]
    pub unsafe fn store(
        &self,
        me: &Member,
        from: *const u8,
        element: usize,
        deadline: Option<Deadline>,
    ) -> Result<u64> {
        let pending = me.pend();
        let locked = self.place.header().lock.lock(me, deadline);
        // SAFETY: by the contract.
        let result = locked.and_then(|how| unsafe { self.store_locked(me, how, from, element) });
        me.unpend(pending);
        result
    }

    /// Sets the value if no other writer is at work. Returns its version.
    ///
    /// # Errors
    /// `WouldBlock`; as [`RawLatest::store`].
    ///
    /// # Safety
    /// As [`RawLatest::store`].
    #[inline]
    pub unsafe fn try_store(&self, me: &Member, from: *const u8, element: usize) -> Result<u64> {
        let pending = me.pend();
        let locked = self.place.header().lock.try_lock(me);
        // SAFETY: by the contract.
        let result = locked.and_then(|how| unsafe { self.store_locked(me, how, from, element) });
        me.unpend(pending);
        result
    }

    /// # Safety
    /// As [`RawLatest::store`]; the caller holds the lock.
    #[inline(always)]
    unsafe fn store_locked(
        &self,
        me: &Member,
        how: Acquired,
        from: *const u8,
        element: usize,
    ) -> Result<u64> {
        let header = self.place.header();
        if how == Acquired::OwnerDied {
            // There is nothing to repair: what the dead writer wrote is not current.
            header.lock.mark_consistent(me)?;
        }
        let careful = header.changed.is_careful();
        // SAFETY: by the contract.
        let stored = unsafe { self.write(me, from, element) };
        header.lock.unlock(me)?;
        let version = stored?;
        if !crate::mutant!("latest-no-wake") {
            header.changed.published(careful, me.table(), || u32::MAX);
        }
        Ok(version)
    }

    /// # Safety
    /// As [`RawLatest::store_locked`].
    #[inline(always)]
    unsafe fn write(&self, me: &Member, from: *const u8, element: usize) -> Result<u64> {
        let header = self.place.header();
        // Relaxed: only holders of the lock change it.
        let (version, now) = split(header.current.load(Ordering::Relaxed));
        let slot = self.free_slot(me, now)?;
        let slot = if crate::mutant!("latest-overwrites-current") { now } else { slot };
        let stamp = self.place.word(slot, 0);
        let version = version.wrapping_add(1) & (u64::MAX >> SLOT_BITS);
        if !crate::mutant!("latest-unmarked") {
            stamp.store(version | WRITING, Ordering::Relaxed);
        }
        crate::crash_window!("LV-a: being written");
        fence(Ordering::Release); // LV2
        // SAFETY: by the contract.
        unsafe { self.copy_in(slot, from, element) };
        stamp.store(version, Ordering::Release);
        crate::crash_window!("LV-b: written, not current");
        let release =
            if crate::mutant!("latest-relaxed-publish") { Ordering::Relaxed } else { Ordering::Release };
        header.current.store(join(version, slot), release); // LV1
        crate::crash_window!("LV-c: current, nobody told");
        Ok(version)
    }

    /// A slot that nobody reads: the one that was current longest ago. Answers readers that want a slot with the current one.
    #[inline(always)]
    fn free_slot(&self, me: &Member, now: u32) -> Result<u32> {
        let slots = self.place.slots();
        let mut taken = Slots([0; 4]);
        taken.add(now);
        fence(Ordering::SeqCst); // LV3, with the stores of `current` by the lock's former holders
        for n in 0..self.place.readers() {
            let cell = self.place.cell(n);
            // LV4. Most are free.
            let word = cell.load(Ordering::Acquire);
            if word != 0
                && let Some(slot) = self.answer(me, cell, word, now)?
            {
                taken.add(slot);
            }
        }
        let free = (1..slots).map(|n| (now + n) % slots).find(|&slot| !taken.has(slot));
        free.ok_or_else(|| ErrorKind::Corrupt.into())
    }

    /// The slot that a live member reads, according to this announcement.
    #[cold]
    fn answer(&self, me: &Member, cell: &AtomicU64, mut word: u64, now: u32) -> Result<Option<u32>> {
        for _ in 0..ANSWERS {
            let Some(id) = self.owner(me, word) else { return Ok(None) };
            if let Some(slot) = announced(word) {
                return Ok(Some(slot).filter(|_| !crate::mutant!("latest-announced-ignored")));
            }
            if crate::mutant!("latest-want-ignored") {
                return Ok(None);
            }
            match cell.compare_exchange(word, have(id, now), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(Some(now)), // LV5
                Err(found) => word = found,
            }
        }
        // Nobody asks that often: going on is not safe.
        Err(ErrorKind::Corrupt.into())
    }

    /// Waits until the version is greater than `seen`, until `deadline` if one is given. Returns that version.
    ///
    /// # Errors
    /// `TimedOut`.
    pub fn wait_newer(&self, me: &Member, seen: u64, deadline: Option<Deadline>) -> Result<u64> {
        let header = self.place.header();
        let version = self.version();
        if version > seen {
            return Ok(version);
        }
        let pending = me.pend();
        let mut waiting = Waiting { latest: self, me, than: seen, current: 0 };
        let result = wait(me, deadline, &header.changed, None, &mut waiting);
        me.unpend(pending);
        result
    }

    /// Threads that wait for a newer value.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(crate) fn waiters(&self) -> &crate::queue::event_count::EventCount {
        &self.place.header().changed
    }

    /// The writer at work, dead or alive: a snapshot.
    pub fn writer(&self) -> Option<OwnerId> {
        self.place.header().lock.owner()
    }
}

/// A thread that waits for a newer version.
struct Waiting<'a> {
    latest: &'a RawLatest,
    me: &'a Member,
    than: u64,
    /// What the last look saw.
    current: u64,
}

impl Waiter for Waiting<'_> {
    type Done = u64;

    fn look(&mut self, _: bool) -> Result<Option<u64>> {
        self.current = self.latest.place.header().current.load(Ordering::Acquire);
        Ok(Some(split(self.current).0).filter(|&version| version > self.than))
    }

    fn sleep(&mut self, watches: Watches<'_>, deadline: Option<Deadline>) -> Woken {
        // A writer that dies before it wakes anybody has changed this word.
        let word = Word::Low(&self.latest.place.header().current);
        let current = Watch { word, expected: self.current as u32 };
        let watches = watches.with(Some(current).filter(|_| !crate::mutant!("latest-current-unwatched")));
        crate::crash_window!("LV-s: about to sleep");
        self.me.sleep(watches.as_slice(), None, watches.sure, deadline)
    }
}
