//! [`Domain`]: one process in one segment. It takes a process seat, registers threads as members, and is the second channel that
//! finds deaths which the kernel did not report. Most users never need it: [`Segment`](crate::Segment) has one. It is
//! public for programs without `std` that map a segment themselves.
//!
//! A **process seat** is a byte of the segment's file, locked by an open file description of the process's own. The
//! kernel frees it when the process is gone for any reason, also for a zombie and at exec, and it is visible across PID
//! namespaces. So "is this member's process gone" has an exact answer everywhere. Whether one *thread* of a
//! living process is gone is found by its id, in the same PID namespace only; whether a later thread has got that
//! id, by the start time in /proc, if that is of the same namespaces. No answer means alive: taking a living
//! owner for dead would let two threads into one lock.
//!
//! What the kernel does not report by itself, and what finds it:
//!
//! | death | found by |
//! |---|---|
//! | exec from a thread that is not the main one | the byte lock (close-on-exec) |
//! | the end of a process that keeps the slot of an ended thread ([`Domain::keep`]: it had leaked a guard) | the byte lock |
//! | `process_mrelease`, the OOM reaper before the victim runs | the byte lock |
//! | a robust list with more than 2,048 entries, or a broken one, of a thread whose process lives | the thread's id, in the same PID namespace; across namespaces not before the process ends |
//!
//! **The program may close the descriptor.** That does not lose the seat: the table is mapped from the description
//! that holds it, and a mapping keeps its description as well as a descriptor does. Slots are mapped as copies of the
//! table's mapping, without a descriptor. Only asking about other seats needs one. It is checked before each use and opened
//! again if it was closed and the file has a name. Where that fails the question has no answer, and the owner counts as alive.
//!
//! *A process that may only read the segment's file* can lock bytes of it for reading, and so keep free seats occupied. A
//! process that finds no seat goes without one; then the first two rows of the table are found in the same PID namespace only, by
//! the thread's id.
//!
//! Limits: a child that inherits the descriptor by a raw `clone` or `fork` and never uses the library keeps its
//! parent's byte locked as long as it lives. It hides only those of the parent's deaths that the kernel did
//! not report and that a look at the thread's id cannot tell.
#![allow(unsafe_code)]

use super::claim::{Joiner, NO_SEAT};
use super::table::Table;
use super::{Identity, Member, OwnerId};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::own::{self, Own};
use crate::sys::robust::RobustList;
use crate::sys::{self, file, memory, task};
use core::ffi::c_int;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A slot pair of this process: where a slot is mapped together with its node, and which generation holds it.
///
/// Whether the holding thread lives is not read from the shared slot: a peer could write there that it is dead while its node is
/// linked, and another thread would link the same node into a second list. Instead the pair's private page has a *life word*,
/// linked into the thread's robust list like the slot's word, so that the kernel marks both.
#[repr(C)]
#[derive(Debug)]
struct Pair {
    base: AtomicPtr<u8>,
    /// 0: free for any thread of the process. [`BUSY`]: a thread is registering. Otherwise the generation in use.
    held: AtomicU32,
    /// The generation, and when this process last asked whether that member lives: see `liveness`.
    asked: AtomicU64,
}

const BUSY: u32 = u32::MAX;

/// The life word starts this many bytes before the end of the private page, followed by its node.
const LIFE_BACK: usize = 128;

/// In a life word: the thread has ended, and its slot belongs to the process. It reads as live.
#[cfg(feature = "std")]
const KEPT: u32 = sys::FUTEX_WAITERS | 1;

/// No seat: a forked child that has not taken one yet.
const UNSEATED: u16 = u16::MAX - 1;

/// One process in one segment.
#[derive(Debug)]
pub struct Domain {
    table: Table,
    file: Own,
    /// Low half: the seat's index; high half: the low half of its incarnation.
    seat: AtomicU64,
    /// A seat whose byte we cannot query: that of a parent whose open file description we still share.
    shared_seat: AtomicU16,
    pairs: NonNull<Pair>,
}

// SAFETY: the pairs are atomics in a mapping that lives as long as the domain; the rest is immutable or atomic.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

impl Domain {
    /// Enters a segment.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyMembers`] if the segment already has as many processes as slots.
    ///
    /// # Safety
    /// `fd` is the segment's file, open for reading and writing, with an open file description that no other
    /// process uses, and stays open as long as the domain; the table is that of the same file, mapped shared.
    pub unsafe fn new(table: Table, fd: c_int) -> Result<Self> {
        // SAFETY: by the contract.
        unsafe { Self::with(table, Own::borrowed(fd).map_err(Error::from_errno)?) }
    }

    /// As [`Domain::new`], with a descriptor of its own.
    ///
    /// # Safety
    /// As [`Domain::new`], but that the program may close the descriptor.
    pub(super) unsafe fn with(table: Table, file: Own) -> Result<Self> {
        let len = table.count() as usize * size_of::<Pair>();
        let pairs =
            memory::wiped_on_fork(len.next_multiple_of(memory::page_size())).map_err(Error::from_errno)?;
        let (seat, shared_seat) = (AtomicU64::new(NO_SEAT.into()), AtomicU16::new(NO_SEAT));
        let domain = Domain { table, file, seat, shared_seat, pairs: pairs.cast() };
        domain.take_seat()?;
        super::spin::measure_pause();
        if !sys::register_membarrier() {
            table.use_strong_fences();
        }
        Ok(domain)
    }

    /// The segment's table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    fn seat_index(&self) -> u16 {
        self.seat.load(Ordering::Relaxed) as u16
    }

    fn pair(&self, index: u32) -> &Pair {
        debug_assert!(index < self.table.count());
        // SAFETY: the array has `count` entries.
        unsafe { self.pairs.add(index as usize).as_ref() }
    }

    /// In a forked child, takes the seat that it does not have yet. The caller keeps other threads from doing the same.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyMembers`], as for [`Domain::new`].
    pub(crate) fn be_seated(&self) -> Result<()> {
        if self.seat_index() == UNSEATED { self.take_seat() } else { Ok(()) }
    }

    fn take_seat(&self) -> Result<()> {
        let count = self.table.count();
        let start = task::pid() % count;
        let mut barred = false;
        for index in (0..count).map(|i| (start + i) % count) {
            // Not by a descriptor that is opened again: the table's mapping would not keep that one's description.
            let locked =
                self.file.get().ok_or(libc::EBADF).and_then(|fd| file::try_lock_byte(fd, index.into()));
            match locked {
                Ok(true) => {
                    self.sit_down(index as u16);
                    return Ok(());
                }
                // Nobody sits there, and yet it is refused: a process that may only read the file has locked it.
                Ok(false) => {
                    barred |=
                        self.file.get().is_some_and(|fd| file::byte_is_locked(fd, index.into()) == Ok(false));
                }
                // No such locks here, or no descriptor: do without the second channel across namespaces.
                Err(_) => {
                    self.seat.store(NO_SEAT.into(), Ordering::Relaxed);
                    return Ok(());
                }
            }
        }
        if barred {
            self.seat.store(NO_SEAT.into(), Ordering::Relaxed);
            return Ok(());
        }
        Err(ErrorKind::TooManyMembers.into())
    }

    /// The seat is ours: its former process is gone, so what it left in the slots is dead.
    fn sit_down(&self, seat: u16) {
        let Some(ours) = self.table.sit_down(seat) else { return };
        self.seat.store(ours, Ordering::Release);
        self.table.bury_former(ours);
    }

    /// In a forked child: replaces the inherited open file description by one of our own, and maps the table from it, so that
    /// the mapping alone keeps it. False if that is not possible: no /proc; no descriptor left, or for a file without a name all
    /// closed by the program; privileges dropped since the segment was opened; a lease on the file. Never waits: the file
    /// is no FIFO, leases are not waited for, and the lock is a shared one that the inherited description holds, too.
    ///
    /// # Safety
    /// As [`Domain::after_fork`], and the table's mapping is the domain's.
    #[cfg(feature = "std")]
    pub(super) unsafe fn have_own_file(&self) -> bool {
        let (start, end) = self.mapped();
        let fresh = match self.file.get() {
            Some(fd) => own::open_again(fd),
            None => own::open_mapped(start, end),
        };
        let Ok(fresh) = fresh else { return false };
        // SAFETY: the range is the domain's own mapping of the same file; a concurrent reader finds the same words.
        let mapped = self.file.identity().is_at(fresh)
            && file::try_use(fresh) == Ok(true)
            && unsafe { memory::map_file_over(start, end - start, fresh) }.is_ok();
        if mapped {
            self.file.replace(fresh)
        } else {
            own::close(fresh)
        }
        mapped
    }

    /// The start and the end of the table's mapping.
    fn mapped(&self) -> (usize, usize) {
        let start = self.table.address().addr();
        (start, start + self.table.slot_file_offset(self.table.count()) as usize)
    }

    /// To be called in a forked child before anything else uses the domain there: the parent's seat and slots are not ours.
    /// The first thread that registers takes a seat, if the child has a description of its own (`own`). If it has none,
    /// the child goes without a seat: on the parent's open file description the parent's byte counts as its own, so it
    /// would take the parent's seat and bury the parent's members, and it cannot see that the byte is locked.
    ///
    /// # Safety
    /// The caller is the only thread that uses the domain.
    pub unsafe fn after_fork(&self, own: bool) {
        sys::dying::forget_namespace();
        // The array of pairs was wiped; what the parent had mapped stays mapped and unused until the child ends.
        if own {
            self.shared_seat.store(NO_SEAT, Ordering::Relaxed);
            self.seat.store(UNSEATED.into(), Ordering::Relaxed);
        } else {
            if self.seat_index() != NO_SEAT {
                self.shared_seat.store(self.seat_index(), Ordering::Relaxed);
            }
            self.seat.store(NO_SEAT.into(), Ordering::Relaxed);
        }
    }

    /// Makes the calling thread a member. `remembered` is its robust list before a raw clone.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyMembers`], or [`ErrorKind::Unsupported`] where there is no robust list.
    ///
    /// # Safety
    /// One thread registers at a time. The domain outlives the thread, or the member is given back first with
    /// [`Domain::unregister`]. The thread is not yet a member of this domain.
    pub unsafe fn register(&self, remembered: Option<RobustList>) -> Result<Member> {
        let _quiet = task::SignalsBlocked::new();
        let robust = RobustList::current(remembered).ok_or(ErrorKind::Unsupported)?;
        let distance = robust.node_distance();
        if !(24..=64).contains(&distance) {
            return Err(Error::from(ErrorKind::Unsupported));
        }
        self.be_seated()?;
        let count = self.table.count();
        let start = self.table.rotation().fetch_add(1, Ordering::Relaxed) % count;
        for round in 0..2 {
            for index in (0..count).map(|i| (start + i) % count) {
                if let Some(member) = self.try_slot(index, robust)? {
                    return Ok(member);
                }
            }
            if round == 0 && !crate::mutant!("refused-unasked") {
                self.mark_unreported();
            }
        }
        Err(ErrorKind::TooManyMembers.into())
    }

    /// Before a newcomer is refused: asks the second channel about every slot. A member that died while leaving (SL-c), or whose
    /// death the kernel did not report, may own nothing that anybody waits for, and then nobody else asks.
    #[cold]
    fn mark_unreported(&self) {
        for index in 0..self.table.count() {
            let word = self.table.slot(index).map_or(0, |slot| slot.load(Ordering::Acquire));
            let id = OwnerId::new(index as u16, (word >> 32) as u32);
            if super::table::is_live(word as u32) && self.is_dead(id) {
                self.table.mark_dead(id);
            }
            if let super::Life::Live(low) = self.table.life(id)
                && !super::table::is_live(low)
            {
                self.table.await_end(id, None);
            }
        }
    }

    fn try_slot(&self, index: u32, robust: RobustList) -> Result<Option<Member>> {
        let pair = self.pair(index);
        let held = pair.held.load(Ordering::Acquire);
        if self.in_use(pair, held)
            || pair.held.compare_exchange(held, BUSY, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return Ok(None);
        }
        let member = self.take_slot(index, pair, robust);
        let held = member.as_ref().ok().and_then(Option::as_ref).map_or(0, |m| m.id.generation());
        pair.held.store(held, Ordering::Release);
        member
    }

    fn take_slot(&self, index: u32, pair: &Pair, robust: RobustList) -> Result<Option<Member>> {
        let Some(wanted) = self.table.wanted(index) else { return Ok(None) };
        if task::tid() as i32 <= 0 {
            // A sandbox. Two members without a number would be taken for each other.
            return Err(ErrorKind::Unsupported.into());
        }
        let wanted = wanted.map(core::ptr::from_ref);
        let joining = Joining { domain: self, index, pair, robust };
        let Some(generation) = self.table.join(index, self.seat_index(), task::tid(), &joining)? else {
            return Ok(None);
        };
        Ok(Some(Member {
            id: OwnerId::new(index as u16, generation),
            table: self.table,
            robust,
            bell: robust.node_of(core::ptr::from_ref(self.table.bell()).cast()),
            spinning: super::spin::Habit::new(),
            uses: core::cell::Cell::new(0),
            awaited: core::cell::Cell::new(0),
            seated: core::cell::Cell::new(false),
            guards: core::cell::Cell::new(0),
            wanted,
            reading: super::sampler::Sampler::new(),
            glance: super::liveness::Glance::new(),
            domain: self,
        }))
    }

    /// Gives the calling thread's slot back.
    ///
    /// # Safety
    /// `member` is the calling thread's, from this domain, and is not used afterwards.
    pub unsafe fn unregister(&self, member: &Member) {
        let _quiet = task::SignalsBlocked::new();
        let index = member.id.slot();
        let pair = self.pair(index);
        let leaving = Joining { domain: self, index, pair, robust: member.robust };
        self.table.part(index, member.id.generation(), task::tid(), &leaving);
        member.robust.forget(member.bell);
        pair.held.store(0, Ordering::Release);
    }

    /// Makes the calling thread's slot the process's: the end of the thread is then no death for what it holds. The kernel no
    /// longer marks the slot; the second channel finds the end of the process by its seat.
    ///
    /// In here the thread can die only with its process. Before the slot is unlinked the kernel marks it; after that it is
    /// described as the process's.
    ///
    /// # Safety
    /// `member` is the calling thread's, from this domain; the thread is about to end.
    #[cfg(feature = "std")]
    pub(crate) unsafe fn keep(&self, member: &Member) {
        let (index, pid) = (member.id.slot(), task::pid());
        let start_time = task::start_time(pid, pid).unwrap_or(0);
        self.table.describe_process(index, member.id.generation(), pid, start_time);
        let base = self.pair(index).base.load(Ordering::Acquire);
        // SAFETY: linked by this thread, by the contract; signals are blocked.
        unsafe {
            member.robust.unlink(self.slot_word(base));
            let life = self.life_word(base);
            member.robust.unlink(life.as_ptr().cast());
            life.store(KEPT, Ordering::Release);
        }
        member.robust.forget(member.bell);
    }

    /// The process no longer maps the segment, so nothing refers to what its ended threads have kept: they are marked dead.
    /// Returns how many there were.
    #[cfg(feature = "std")]
    pub(crate) fn end_kept(&self) -> u32 {
        let mut ended = 0;
        for index in 0..self.table.count() {
            let pair = self.pair(index);
            let held = pair.held.load(Ordering::Acquire);
            if held == 0 || held == BUSY {
                continue;
            }
            // SAFETY: a pair that was held is mapped.
            let life = unsafe { self.life_word(pair.base.load(Ordering::Acquire)) };
            if life.load(Ordering::Acquire) == KEPT {
                self.table.mark_dead(OwnerId::new(index as u16, held));
                life.store(0, Ordering::Release);
                pair.held.store(0, Ordering::Release);
                ended += 1;
            }
        }
        ended
    }

    /// Whether any thread of this process is still a member.
    pub fn has_members(&self) -> bool {
        (0..self.table.count()).any(|index| {
            let pair = self.pair(index);
            self.in_use(pair, pair.held.load(Ordering::Acquire))
        })
    }

    /// Whether a living thread of this process holds the pair, or is about to.
    fn in_use(&self, pair: &Pair, held: u32) -> bool {
        if held == 0 || held == BUSY {
            return held == BUSY;
        }
        // SAFETY: a pair that was held is mapped.
        let life = unsafe { self.life_word(pair.base.load(Ordering::Acquire)) };
        // Acquire pairs with the kernel's mark; after it the kernel does not look at the nodes again.
        super::table::is_live(life.load(Ordering::Acquire))
    }

    /// # Safety
    /// `base` is a mapped pair.
    unsafe fn slot_word(&self, base: *mut u8) -> *mut u8 {
        // SAFETY: inside the pair's first page.
        unsafe { base.add(self.table.page() - crate::format::SLOT_WORD_BACK) }
    }

    /// # Safety
    /// `base` is a mapped pair.
    unsafe fn life_word(&self, base: *mut u8) -> &AtomicU32 {
        // SAFETY: inside the pair's second page, which is private and used there as nothing else; aligned.
        unsafe { &*base.add(2 * self.table.page() - LIFE_BACK).cast() }
    }

    /// Takes the nodes of both words out of the calling thread's list.
    ///
    /// # Safety
    /// They were linked there by this thread; signals are blocked.
    unsafe fn unlink(&self, base: *mut u8, robust: RobustList) {
        // SAFETY: by the contract.
        unsafe {
            robust.unlink(self.slot_word(base));
            let life = self.life_word(base);
            robust.unlink(life.as_ptr().cast());
            life.store(0, Ordering::Release);
        }
    }

    /// The private memory beside a member's slot that the library may use: it is wiped on fork and lives as long as the member.
    /// One page less the nodes and the life word.
    #[cfg(feature = "std")]
    pub(crate) fn private_page(&self, member: &Member) -> NonNull<u8> {
        const NODE_ROOM: usize = 64;
        let base = self.pair(member.id.slot()).base.load(Ordering::Acquire);
        // SAFETY: the pair is two pages; the member's slot is mapped.
        unsafe { NonNull::new_unchecked(base.add(self.table.page() + NODE_ROOM)) }
    }

    /// Whether a claim by `seat` was left by a process that is gone.
    fn abandoned(&self, seat: u16) -> bool {
        seat != self.seat_index() && seat != NO_SEAT && self.nobody_sits_at(seat)
    }

    /// Whether another process's seat is known to be free. False if we cannot ask.
    fn nobody_sits_at(&self, seat: u16) -> bool {
        let ask = |fd| file::byte_is_locked(fd, seat.into());
        seat != self.shared_seat.load(Ordering::Relaxed) && self.file().and_then(ask) == Ok(false)
    }

    /// A descriptor of the segment's file, for questions about seats.
    fn file(&self) -> core::result::Result<c_int, i32> {
        let (start, end) = self.mapped();
        self.file.get_or(|| own::open_mapped(start, end))
    }

    /// The second channel: whether `id`, which looks alive, is known to be dead.
    pub(crate) fn is_dead(&self, id: OwnerId) -> bool {
        // It is changing right now: look again next time.
        let Some(who) = self.table.identity(id) else { return false };
        // If its process lives or cannot be queried, the thread's id decides.
        self.process_is_gone(who.seat) || who.thread_is_gone()
    }

    /// Whether another process, named by its seat, is known to be gone.
    fn process_is_gone(&self, sat: u64) -> bool {
        let asked = sat as u16 != NO_SEAT && sat != self.seat.load(Ordering::Relaxed);
        asked && self.table.has_lost_its_seat(sat, |seat| self.nobody_sits_at(seat))
    }

    /// Asks about `id` and marks it if it is dead. If its process is gone, marks all members of that process.
    #[cold]
    pub(crate) fn mark_if_dead(&self, id: OwnerId) {
        let Some(who) = self.table.identity(id) else { return };
        if !self.process_is_gone(who.seat) {
            if who.thread_is_gone() {
                self.table.mark_dead(id);
            }
            return;
        }
        self.table.mark_dead(id);
        for index in 0..self.table.count() {
            let word = self.table.slot(index).map_or(0, |slot| slot.load(Ordering::Acquire));
            let other = OwnerId::new(index as u16, (word >> 32) as u32);
            let dead = super::table::is_live(word as u32)
                && self.table.identity(other).is_some_and(|of| of.seat == who.seat);
            if dead {
                self.table.mark_dead(other);
            }
        }
    }

    /// When this process last asked about a member: see `liveness`.
    #[inline]
    pub(super) fn note(&self, id: OwnerId) -> &AtomicU64 {
        &self.pair(id.slot()).asked
    }
}

/// A thread of the domain's process at one slot, joining or leaving, with signals blocked.
struct Joining<'d> {
    domain: &'d Domain,
    index: u32,
    pair: &'d Pair,
    robust: RobustList,
}

impl Joiner for Joining<'_> {
    fn abandoned(&self, seat: u16) -> bool {
        self.domain.abandoned(seat)
    }

    fn map(&self) -> Result<()> {
        if self.pair.base.load(Ordering::Acquire).is_null() {
            let table = &self.domain.table;
            let slot = table.address().wrapping_add(table.slot_file_offset(self.index) as usize);
            // SAFETY: inside the table's mapping.
            let mapped = unsafe { memory::map_slot_pair(slot, table.page()) };
            self.pair.base.store(mapped.map_err(Error::from_errno)?.as_ptr(), Ordering::Release);
        }
        Ok(())
    }

    /// For the second channel, and for people.
    fn describe(&self, generation: u32) {
        // Looked up now, as an heir will be in a hurry.
        sys::dying::shown_namespace();
        let who = Identity {
            pid: task::pid(),
            tid: task::tid(),
            pid_namespace: task::pid_namespace(),
            start_time: task::own_start_time().unwrap_or(0),
            time_namespace: task::time_namespace(),
            seat: self.domain.seat.load(Ordering::Relaxed),
        };
        self.domain.table.describe(self.index, generation, &who);
    }

    fn link(&self) {
        let base = self.pair.base.load(Ordering::Acquire);
        // SAFETY: `map` came before; the words lie at the end of the pair's shared page and of its private one, their
        // nodes in the private one (the distance was checked). The nodes are not linked: `held` and the life word
        // kept every other thread of this process away, and a former thread's list is gone with it. Signals are
        // blocked. The life word first, so that a node in use is never without it.
        unsafe {
            let life = self.domain.life_word(base);
            life.store(task::tid(), Ordering::Relaxed);
            self.robust.link(life.as_ptr().cast());
            self.robust.link(self.domain.slot_word(base));
        }
    }

    fn unlink(&self) {
        // SAFETY: linked by this thread; signals are blocked.
        unsafe { self.domain.unlink(self.pair.base.load(Ordering::Acquire), self.robust) };
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        let page = self.table.page();
        for index in 0..self.table.count() {
            if let Some(base) = NonNull::new(self.pair(index).base.load(Ordering::Acquire)) {
                // SAFETY: mapped by `take_slot`; by the contract of `register` no member is left.
                unsafe { memory::unmap(base, 2 * page) };
            }
        }
        let len = self.table.count() as usize * size_of::<Pair>();
        // SAFETY: mapped by `new`.
        unsafe { memory::unmap(self.pairs.cast(), len.next_multiple_of(memory::page_size())) };
    }
}

impl Member {
    /// What others want from this member.
    #[inline(always)]
    pub(crate) fn wanted(&self) -> &crate::atomic::AtomicU64 {
        // SAFETY: in the member's slot page, which is mapped as long as the domain.
        unsafe { &*self.wanted[0] }
    }

    /// How often it has answered.
    pub(crate) fn answers(&self) -> &crate::atomic::AtomicU64 {
        // SAFETY: as above.
        unsafe { &*self.wanted[1] }
    }

    #[inline]
    pub(crate) fn domain(&self) -> &Domain {
        // SAFETY: by the contract of `Domain::register` the domain outlives the member.
        unsafe { &*self.domain }
    }
}
