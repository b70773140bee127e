//! [`RawByteQueue`]: the MPMC ring of messages of any length under [`ByteQueue`](crate::queue::ByteQueue) and the C queue.
//!
//! **Promise.** As [`RawQueue`](crate::queue::RawQueue)'s: messages come out in the order of their claims, each producer's in the
//! order of its pushes. A push that returned success is delivered exactly once, unless a consumer dies. A death never blocks
//! others, leaks capacity or loses a wake-up. And a message can be written and read in place, without a copy.
//!
//! # The ring
//!
//! The ring is an array of granules, each with a control word and a length *outside* of the payload, so that no message can be
//! mistaken for one. A **record** is a number of consecutive granules of one lap. Only the control word of its first granule is
//! used; the others keep whatever they said when their granule was last the first of a record. A **boundary** is a position (a
//! granule of a lap) where a record begins or, once everything before it is claimed, where the next one must begin.
//!
//! | word at a boundary of lap L | meaning |
//! |---|---|
//! | idle, an older lap (or zero) | unclaimed: the next record begins here |
//! | idle, L, FULL, n | a message of n granules |
//! | idle, L, FREED, n | n granules that no longer hold anything |
//! | idle, L, SEALED | the end: closed, and nothing comes after |
//! | owned, writer, n | being written; if the owner is dead: a gap, to be freed |
//! | owned, reader, n | being read; if the owner is dead: a message, to be delivered again |
//! | idle, a newer lap | the walk began too far behind |
//!
//! A claim is one compare-and-swap from the exact idle value and includes the length: no claimed record is without one. A claim
//! ends with **one store** of the idle word: commit and release are the same instruction, so nobody can die between them. A dead
//! owner's record is freed or taken over by one compare-and-swap from the dead owner's word. Laps and the ids of the dead never
//! come again, so all of these are free of ABA. The word of a living owner is never replaced by anybody else.
//!
//! *Invariants*
//! 1. A boundary of a lap, once known, stays one: the very first record begins at 0, and a record of n granules at p makes p+n
//!    a boundary. A record does not cross the ring's end: a producer that needs more claims and frees the rest in one
//!    compare-and-swap, and continues at the start of the next lap.
//! 2. The *head* never exceeds the truth: everything before it is FREED. Producers move it by compare-and-swap, forward only,
//!    and claim no granule of the lap before that it has not passed.
//! 3. Hence, while the head is at or before p, no record of the next lap begins at p's granule: a walk from any boundary at or
//!    behind the head stands on boundaries.
//! 4. An owned word has no room for a lap. Its claimer had seen the head beyond the granules' last use (2), and the head passes
//!    only what is freed (3). So a word that is read *between* two looks at the head is of p's lap if the first head was beyond
//!    p - capacity and the second is at or before p. One look, after the word, is not enough: a word of the lap before may be
//!    freed, and the head moved, between the two loads. (It was so once, and two producers beside a full ring could claim the
//!    same granules.)
//!
//! The hints (the tail for producers, the first unread message for consumers) are boundaries that may lag and never exceed the
//! truth.
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | B1 | commit, the store of FULL, Release | a consumer's claim, Acquire | the message |
//! | B2 | the store of FREED, Release | a look, Acquire | the end of the read |
//! | B3 | the head's compare-and-swap, Release, after B2 | the head's load, Acquire, before a claim; by the claim's Release also to whoever reads the owned word | the ends of all reads before the head; the word's lap |
//! | B4 | hint store, Release | hint load, Acquire | the words before the hint |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | BQ-a | a producer, claimed, not committed | a dead writer's record | whoever waits for it, by its slot's mark; in a push, all sleepers by the bell | the unacknowledged message |
//! | BQ-r | a producer that has filled up the lap's rest | freed granules | no action needed | nothing |
//! | BQ-h | a producer that has moved the head | a head nearer to the truth | no action needed | nothing |
//! | BQ-c | a producer, committed, nobody woken | a message, consumers asleep | the bell | nothing |
//! | BQ-x | a producer that aborted, nobody woken | room, everybody asleep | the bell | nothing |
//! | BQ-d | a consumer, claimed, not released | a dead reader's record | as BQ-a; see `wait` for in-place readers | nothing: delivered again, flagged |
//! | BQ-f | a consumer, released, nobody woken | room, producers asleep | the bell | the message that it had taken (pop is at-most-once) |
//! | BQ-b | a consumer that put a message back, nobody woken | a message, consumers asleep | the bell | nothing |
//! | BQ-t | a consumer that borrowed a message, nobody told yet | as BQ-d | the bell | nothing |
//! | BQ-g | a thread that freed a dead writer's record, nobody woken | room, everybody asleep | the bell | nothing |
//! | BQ-n | anybody before a hint store | a hint that lags | no action needed: the next walk steps over it | nothing |
//! | BQ-m | a closer that has marked the counts, not closed | an open queue with slower publishers | no action needed | the close, which never returned |
//! | BQ-e | a closer, closed, nobody woken | a closed queue; others asleep | the bell; a thread about to sleep watches the closed word | nothing |
//! | BQ-s | a sleeper | nothing | no action needed; what woke it wakes another (the bell, see `wait`) | nothing |
//!
//! A death that the kernel does not report (see `member::domain`) rings no bell. Whoever sleeps *on an owner* finds it by the net;
//! idle sleepers in the windows BQ-c to BQ-e are woken by the next operation only.
//!
//! **Close** is a word, so that producers stop at once, and a seal, so that the end is exact: see
//! [`RawQueue`](crate::queue::RawQueue).
//!
//! A *live* thread that is stopped, or that keeps a reservation, blocks the consumers behind it; one that reads in place blocks
//! the producers one lap later ([`RawByteQueue::blocker`] names them). Small messages can keep passing a large one that waits for
//! room.
//!
//! After Vyukov's bounded MPMC queue (words that carry the lap) and Aeron's log buffers (claim by length, padding at the end of a
//! term, unblocking). Rejected: a header in front of each message in the ring (after a death, bytes of an old message can be
//! taken for a header; a claim may die before it has written its length); a second word for the lap or for the commit (the head
//! gives the lap, and one store both commits and releases); freeing in order by the consumers (a live reader would stop them
//! all); fetching control words and payload early (measured: no gain). Between two processors a message of 1 KiB takes 1.1 times
//! its two bare copies, in one thread 1.8 times: two claims, two ends, and the producer's walk behind the readers, one record for each message.

use super::layout::ByteRing;
use super::wait::Side;
use super::word::{FREED, FULL, after, idle, owned};
use crate::atomic::Ordering;
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId};
use crate::queue::head::Head;
use crate::queue::position::{self as pos, Role};
use crate::time::Wait;

/// In a record's length word: the message was put back.
const RETURNED: u64 = 1 << 63;

/// The queue on a ring. All operations take the calling thread's member of the segment that the ring lies in.
///
/// # Examples
/// ```
/// use interproc::raw::member::{Domain, Table};
/// use interproc::Wait;
/// use interproc::raw::queue::{ByteRing, Popped, RawByteQueue};
/// # use core::ptr::{NonNull, null_mut};
/// # const PAGE: usize = 4096;
/// # let fd = unsafe { libc::memfd_create(c"raw".as_ptr(), libc::MFD_CLOEXEC) };
/// # assert_eq!(unsafe { libc::ftruncate(fd, 8 * PAGE as i64) }, 0);
/// # let access = libc::PROT_READ | libc::PROT_WRITE;
/// # let base = unsafe { libc::mmap(null_mut(), 8 * PAGE, access, libc::MAP_SHARED, fd, 0) };
/// # assert_ne!(base, libc::MAP_FAILED);
/// # let base = NonNull::new(base.cast::<u8>()).expect("mapped");
///
/// // A file of 8 zeroed pages is mapped at `base`: a header, two members, then the ring's memory.
/// // SAFETY: the file and its mapping stay to the end, and nobody else has them.
/// let (domain, ring) = unsafe {
///     let memory = base.add(3 * PAGE);
///     ByteRing::make(memory, 5 * PAGE, 1 << 12, 1000)?; // by one process
///     let ring = ByteRing::attach(memory, 5 * PAGE)?; // by all
///     (Domain::new(Table::new(base, PAGE, PAGE, 2), fd)?, ring)
/// };
/// // SAFETY: the thread registers once, and gives its membership back before the domain ends.
/// let me = unsafe { domain.register(None) }?;
/// let queue = RawByteQueue::new(ring);
/// // SAFETY: there is room for the 5 bytes.
/// queue.push_with(&me, 5, Wait::ForEver, |room| unsafe { room.copy_from(b"hello".as_ptr(), 5) })?;
/// let claim = queue.borrow(&me, Wait::Never)?;
/// let (message, len) = queue.message(&claim);
/// // SAFETY: the record is ours until the release.
/// assert_eq!(unsafe { core::slice::from_raw_parts(message, len) }, b"hello");
/// queue.put_back(&me, claim)?;
/// let popped = queue.pop_with(&me, 3, Wait::Never, |_, _| unreachable!("it is too long"))?;
/// assert!(matches!(popped, Popped::TooLong(5)));
/// let claim = queue.borrow(&me, Wait::Never)?;
/// assert!(claim.redelivered());
/// queue.release(&me, claim)?;
///
/// let claim = queue.reserve(&me, 100, Wait::Never)?; // in place
/// let (room, most) = queue.room(&claim);
/// assert!(most >= 100);
/// // SAFETY: the record is ours until the commit, and has 100 bytes.
/// unsafe { room.write_bytes(7, 10) };
/// queue.commit(&me, claim, 10)?;
/// let claim = queue.reserve(&me, 100, Wait::Never)?;
/// queue.abort(&me, claim)?; // there is no message
/// assert_eq!(queue.len(), 1);
/// queue.close(&me);
/// // SAFETY: it is not used afterwards.
/// unsafe { domain.unregister(&me) };
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawByteQueue {
    pub(super) ring: ByteRing,
}

/// A record that the calling thread has claimed. That thread must end the claim, once.
///
/// # Examples
/// See [`RawByteQueue`].
#[derive(Debug)]
#[must_use = "the record stays claimed until it is ended, or its thread dies"]
pub struct Claim {
    /// The address of its ring: a caller of the raw queue may have claims of several.
    ring: usize,
    pub(super) position: u64,
    pub(super) granules: u32,
    pub(super) redelivered: bool,
    /// Where the walk started, if everything from there to the record is done: then the read hint may move.
    pub(super) hint: Option<u64>,
    /// Whether its end has to be careful.
    pub(super) careful: bool,
}

impl Claim {
    /// Whether the message is delivered again: an earlier consumer died with it, or put it back.
    pub fn redelivered(&self) -> bool {
        self.redelivered
    }
}

/// Why an operation cannot be done now.
pub(super) enum Refused {
    /// Full or empty, and the word that says so.
    NotNow(Seen),
    /// The walk gave up: extreme contention or scribbled words. Treated as "not now", under the net.
    Lost,
    /// Closed, and for a consumer drained.
    Closed,
    /// An impossible word.
    Broken,
}

/// A word that refused a walk, and the live owner in the way there, if any.
pub(super) struct Seen {
    pub(super) index: u32,
    pub(super) word: u64,
    pub(super) obstacle: Option<OwnerId>,
}

/// The result of a pop that limits the message's length.
///
/// # Examples
/// See [`RawByteQueue`].
#[derive(Debug)]
pub enum Popped<R> {
    /// It was popped. The flag says that it was delivered again: an earlier consumer died with it, or put it back.
    Taken(R, bool),
    /// It has this many bytes, and is still the first in the queue.
    TooLong(usize),
}

impl RawByteQueue {
    /// The queue on a ring.
    pub fn new(ring: ByteRing) -> Self {
        RawByteQueue { ring }
    }

    /// The ring.
    pub fn ring(&self) -> &ByteRing {
        &self.ring
    }

    /// Reserves room for a message of `len` bytes. Then [commit](Self::commit) or [abort](Self::abort) the claim; until then
    /// the consumers wait behind it.
    ///
    /// # Errors
    /// `TooLarge`; `Full`, `TimedOut`; `Closed`; `Deadlock` when the caller itself holds what is in the way; `Corrupt`.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    pub fn reserve(&self, me: &Member, len: usize, wait: Wait) -> Result<Claim> {
        let pending = me.pend();
        let claim = self.claim_to_write(me, len, wait);
        if let Ok(claim) = &claim {
            // For callers that commit by the address alone: see `by_address`.
            self.set_length_word(claim, len as u64);
        }
        me.unpend(pending);
        claim
    }

    #[inline]
    fn claim_to_write(&self, me: &Member, len: usize, wait: Wait) -> Result<Claim> {
        if len > self.ring.longest() {
            return Err(ErrorKind::TooLarge.into());
        }
        let granules = self.ring.granules_for(len);
        match self.claim_space_at_hint(me, granules) {
            Some(claim) => Ok(claim),
            None => self.claim_to_write_late(me, granules, wait),
        }
    }

    #[cold]
    #[inline(never)]
    fn claim_to_write_late(&self, me: &Member, granules: u32, wait: Wait) -> Result<Claim> {
        match (self.claim_space(me, granules), wait) {
            (Ok(claim), _) => Ok(claim),
            (Err(Refused::Closed), _) => Err(ErrorKind::Closed.into()),
            (Err(Refused::Broken), _) => Err(ErrorKind::Corrupt.into()),
            (Err(_), Wait::Never) => Err(ErrorKind::Full.into()),
            (Err(_), wait) => {
                self.wait(me, wait.deadline(), Side::Producer, |_, _| self.claim_space(me, granules))
            }
        }
    }

    /// Where the message of a claim is, and how many bytes there is room for.
    ///
    /// # Panics
    /// If the claim is another ring's.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    #[inline]
    pub fn room(&self, claim: &Claim) -> (*mut u8, usize) {
        assert!(self.holds(claim), "a claim of another ring");
        self.room_of(claim)
    }

    /// Whether a claim is of this ring, as it was attached.
    fn holds(&self, claim: &Claim) -> bool {
        let granules = self.ring.granules();
        let fits = claim.granules <= granules && pos::index(claim.position) <= granules - claim.granules;
        fits && claim.ring == self.ring.address().addr()
    }

    #[inline(always)]
    pub(super) fn claim(
        &self,
        position: u64,
        granules: u32,
        redelivered: bool,
        hint: Option<u64>,
        careful: bool,
    ) -> Claim {
        Claim { ring: self.ring.address().addr(), position, granules, redelivered, hint, careful }
    }

    #[inline]
    fn room_of(&self, claim: &Claim) -> (*mut u8, usize) {
        let room = claim.granules as usize * self.ring.granule();
        (self.ring.record(pos::index(claim.position), claim.granules), room.min(self.ring.longest()))
    }

    /// The claimed message. Its length is never more than its record can hold, whatever a peer has written there.
    ///
    /// # Panics
    /// If the claim is another ring's.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    #[inline]
    pub fn message(&self, claim: &Claim) -> (*mut u8, usize) {
        assert!(self.holds(claim), "a claim of another ring");
        self.message_of(claim)
    }

    #[inline]
    fn message_of(&self, claim: &Claim) -> (*mut u8, usize) {
        let (message, room) = self.room_of(claim);
        let len = self.length_word(claim) & !RETURNED;
        (message, usize::try_from(len).map_or(room, |len| len.min(room)))
    }

    /// The length and [`RETURNED`]. Relaxed, as the set: the claim and its end order them.
    #[inline]
    pub(super) fn length_word(&self, claim: &Claim) -> u64 {
        self.ring.len(pos::index(claim.position)).load(Ordering::Relaxed)
    }

    #[inline]
    fn set_length_word(&self, claim: &Claim, word: u64) {
        self.ring.len(pos::index(claim.position)).store(word, Ordering::Relaxed);
    }

    /// Checks that the caller still holds a claim that it is about to end: in a forked child, for instance, it does not. The
    /// claim may be old, so whether to be careful is checked anew.
    fn held(&self, me: &Member, claim: Claim, role: Role) -> Result<Claim> {
        if !self.holds(&claim) {
            return Err(ErrorKind::NotOwner.into());
        }
        // Relaxed: our own word.
        let word = self.ring.ctl(pos::index(claim.position)).load(Ordering::Relaxed);
        if word != owned(me.id(), role, claim.granules) {
            return Err(ErrorKind::NotOwner.into());
        }
        let careful = self.ring.header().common.not_empty.is_careful()
            || self.ring.header().common.not_full.is_careful();
        Ok(Claim { careful, ..claim })
    }

    /// Publishes the first `len` bytes of a reservation (fewer, if its record holds fewer). The caller wrote them.
    ///
    /// # Errors
    /// `NotOwner` when the caller does not hold this claim.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    pub fn commit(&self, me: &Member, claim: Claim, len: usize) -> Result<()> {
        let claim = self.held(me, claim, Role::Writer)?;
        let pending = me.pend();
        self.publish(me, claim, len);
        me.unpend(pending);
        Ok(())
    }

    #[inline]
    fn publish(&self, me: &Member, claim: Claim, len: usize) {
        let room = claim.granules as usize * self.ring.granule();
        self.set_length_word(&claim, len.min(room).min(self.ring.longest()) as u64);
        self.end(&claim, FULL);
        crate::crash_window!("BQ-c: committed, nobody woken");
        let next = after(claim.position, claim.granules, self.ring.granules());
        self.ring.header().common.not_empty.published(claim.careful, me.table(), || self.set_free(next, 1));
    }

    /// Ends a claim: the one store that commits and releases.
    #[inline(always)]
    fn end(&self, claim: &Claim, state: u64) {
        let to = idle(claim.position, claim.granules, state);
        let word = self.ring.ctl(pos::index(claim.position));
        if crate::mutant!("byte-relaxed-release") {
            word.store(to, Ordering::Relaxed);
        } else {
            word.store(to, Ordering::Release); // B1, B2
        }
    }

    /// Aborts a reservation: its room is free, and there is no message.
    ///
    /// # Errors
    /// `NotOwner` when the caller does not hold this claim.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    pub fn abort(&self, me: &Member, claim: Claim) -> Result<()> {
        let claim = self.held(me, claim, Role::Writer)?;
        let pending = me.pend();
        self.end(&claim, FREED);
        crate::crash_window!("BQ-x: aborted, nobody woken");
        let header = self.ring.header();
        let next = after(claim.position, claim.granules, self.ring.granules());
        if !crate::mutant!("byte-abort-no-wake") {
            header.common.not_empty.published(claim.careful, me.table(), || self.set_free(next, 0));
        }
        header.common.not_full.published(claim.careful, me.table(), || u32::MAX);
        me.unpend(pending);
        Ok(())
    }

    /// Pushes a message of `len` bytes, which `fill` writes.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve); then `fill` was not called.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    #[inline]
    pub fn push_with(&self, me: &Member, len: usize, wait: Wait, fill: impl FnOnce(*mut u8)) -> Result<()> {
        let pending = me.pend();
        let result = self.claim_to_write(me, len, wait).map(|claim| {
            fill(self.room_of(&claim).0);
            self.publish(me, claim, len);
        });
        me.unpend(pending);
        result
    }

    /// Borrows the first message, to be read in place. Then [release](Self::release) it or [put it back](Self::put_back).
    ///
    /// # Errors
    /// `Closed` when closed and drained; `Empty`, `TimedOut`; `Deadlock` when the caller itself has reserved what is
    /// first; `Corrupt`.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    pub fn borrow(&self, me: &Member, wait: Wait) -> Result<Claim> {
        let pending = me.pend();
        let claim = self.claim_to_read(me, wait);
        if let Ok(claim) = &claim
            && !crate::mutant!("byte-borrow-untold")
        {
            crate::crash_window!("BQ-t: borrowed, nobody told");
            // Somebody must watch us from now on: see `wait`.
            self.ring.header().common.not_empty.published(claim.careful, me.table(), || 1);
        }
        me.unpend(pending);
        claim
    }

    #[inline]
    fn claim_to_read(&self, me: &Member, wait: Wait) -> Result<Claim> {
        let mut claim = match self.claim_message_at_hint(me) {
            Some(claim) => claim,
            None => self.claim_to_read_late(me, wait)?,
        };
        crate::crash_window!("BQ-d: claimed for reading");
        claim.redelivered |= self.length_word(&claim) & RETURNED != 0;
        Ok(claim)
    }

    #[cold]
    #[inline(never)]
    fn claim_to_read_late(&self, me: &Member, wait: Wait) -> Result<Claim> {
        match (self.claim_message(me, 1, None), wait) {
            (Ok(claim), _) => Ok(claim),
            (Err(Refused::Closed), _) => Err(ErrorKind::Closed.into()),
            (Err(Refused::Broken), _) => Err(ErrorKind::Corrupt.into()),
            (Err(_), Wait::Never) => Err(ErrorKind::Empty.into()),
            (Err(_), wait) => self.wait(me, wait.deadline(), Side::Consumer, |times, passed| {
                self.claim_message(me, times, passed)
            }),
        }
    }

    /// Releases a borrowed message: its room is free.
    ///
    /// # Errors
    /// `NotOwner` when the caller does not hold this claim.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    pub fn release(&self, me: &Member, claim: Claim) -> Result<()> {
        let claim = self.held(me, claim, Role::Reader)?;
        let pending = me.pend();
        self.free(me, &claim);
        self.move_over_done(&claim);
        me.unpend(pending);
        Ok(())
    }

    #[inline]
    fn free(&self, me: &Member, claim: &Claim) {
        let header = self.ring.header();
        self.end(claim, FREED);
        crate::crash_window!("BQ-f: released, nobody woken");
        let all = if crate::mutant!("byte-one-producer-woken") { 1 } else { u32::MAX };
        let marked = header.common.not_full.published(claim.careful, me.table(), || all);
        crate::crash_window!("BQ-n: woken, the hint lags");
        self.move_read_hint(claim);
        if marked && !crate::mutant!("end-behind-a-reader-untold") {
            // Others may wait for this read to finish before they can find the end of the queue.
            header.common.not_empty.wake(me.table(), || u32::MAX);
        }
    }

    /// Puts a message back at its place: the next consumer gets it, flagged redelivered.
    ///
    /// # Errors
    /// `NotOwner` when the caller does not hold this claim.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    pub fn put_back(&self, me: &Member, claim: Claim) -> Result<()> {
        let claim = self.held(me, claim, Role::Reader)?;
        let pending = me.pend();
        self.mark_returned(&claim);
        self.unclaim(me, claim);
        me.unpend(pending);
        Ok(())
    }

    /// Flags the message as redelivered for the next consumer.
    fn mark_returned(&self, claim: &Claim) {
        self.set_length_word(claim, self.length_word(claim) | RETURNED);
    }

    fn unclaim(&self, me: &Member, claim: Claim) {
        self.end(&claim, FULL);
        crate::crash_window!("BQ-b: put back, nobody woken");
        if !crate::mutant!("byte-put-back-no-wake") {
            let all = self.is_closed();
            self.ring
                .header()
                .common
                .not_empty
                .published(claim.careful, me.table(), || if all { u32::MAX } else { 1 });
        }
    }

    /// Pops a message of at most `max` bytes through `drain`, which gets its address and length.
    ///
    /// # Errors
    /// As [`borrow`](Self::borrow); then `drain` was not called.
    ///
    /// # Examples
    /// See [`RawByteQueue`].
    #[inline]
    pub fn pop_with<R>(
        &self,
        me: &Member,
        max: usize,
        wait: Wait,
        drain: impl FnOnce(*const u8, usize) -> R,
    ) -> Result<Popped<R>> {
        self.pop_fitting(me, |len| len <= max, wait, drain)
    }

    /// As [`pop_with`](Self::pop_with), but `fits` decides about the length.
    #[inline]
    pub(crate) fn pop_fitting<R>(
        &self,
        me: &Member,
        fits: impl FnOnce(usize) -> bool,
        wait: Wait,
        drain: impl FnOnce(*const u8, usize) -> R,
    ) -> Result<Popped<R>> {
        let pending = me.pend();
        let popped = self.claim_to_read(me, wait).map(|claim| {
            let (message, len) = self.message_of(&claim);
            if !fits(len) {
                // The dead reader's word said so; when we replace it, the length word must.
                if claim.redelivered {
                    self.mark_returned(&claim);
                }
                self.unclaim(me, claim);
                return Popped::TooLong(len);
            }
            let value = drain(message, len);
            self.free(me, &claim);
            Popped::Taken(value, claim.redelivered)
        });
        me.unpend(pending);
        popped
    }

    /// Closes: producers are refused from now on, consumers drain what is there.
    pub fn close(&self, me: &Member) {
        self.ring.header().common.close(
            me,
            || {
                Head::fence_off_readers(me);
                crate::crash_window!("BQ-m: marked, not closed");
            },
            || crate::crash_window!("BQ-e: closed, nobody woken"),
        );
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.ring.header().common.is_closed()
    }

    /// From now on publishers use full fences: for a participant, or a whole segment, without membarrier.
    pub fn use_strong_fences(&self) {
        self.ring.header().common.use_strong_fences();
    }

    /// The size of its granules in bytes.
    pub fn capacity(&self) -> usize {
        self.ring.granules() as usize * self.ring.granule()
    }

    /// How many bytes of the capacity are not free: a snapshot.
    pub fn len_bytes(&self) -> usize {
        self.used().0 as usize * self.ring.granule()
    }

    /// Whether not even a message of one granule has room: a snapshot.
    pub fn is_full(&self) -> bool {
        self.used().0 == self.ring.granules()
    }

    /// The most unread bytes ever seen, sampled by producers that had to look for room.
    pub fn peak(&self) -> usize {
        let (_, tail) = self.used();
        let peak = self.ring.header().peak.get().max(self.unread(tail));
        peak.min(u64::from(self.ring.granules())) as usize * self.ring.granule()
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;
    use crate::queue::byte_ring_size;
    use core::ptr::NonNull;
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    #[allow(unsafe_code)]
    fn a_claim_of_another_ring_is_refused() {
        let size = byte_ring_size(512, 64).expect("possible");
        let layout = Layout::from_size_align(size, ByteRing::ALIGN).expect("small");
        // SAFETY: the memory is zeroed, aligned and large enough, and is used by nobody else until it is freed.
        let (memory, queue) = unsafe {
            let memory = NonNull::new(alloc_zeroed(layout)).expect("memory");
            ByteRing::make(memory, size, 512, 64).expect("makes");
            (memory, RawByteQueue::new(ByteRing::attach(memory, size).expect("attaches")))
        };
        let claim = |index, granules| queue.claim(pos::position(3, index), granules, false, None, false);
        assert!(!queue.holds(&Claim { ring: 64, ..claim(0, 1) }), "an equal place in another ring");
        let all = queue.ring().granules();
        for (index, granules) in [(0, 1), (all - 1, 1), (0, all), (all - 2, 2)] {
            assert!(queue.holds(&claim(index, granules)));
        }
        for (index, granules) in [(all, 1), (all - 1, 2), (1, all), (0, all + 1), (1 << 23, 1), (0, u32::MAX)]
        {
            let claim = claim(index, granules);
            assert!(!queue.holds(&claim));
            assert!(catch_unwind(AssertUnwindSafe(|| queue.room(&claim))).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| queue.message(&claim))).is_err());
        }
        // SAFETY: as it was allocated.
        unsafe { dealloc(memory.as_ptr(), layout) };
    }
}
