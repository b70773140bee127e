//! [`RawWorkQueue`]: the work queue under [`WorkQueue`](crate::queue::WorkQueue) and the C one.
//!
//! **Promise.** A job that was put is delivered at least once, and again after each worker that died with it, dropped it or let its
//! lease run out, until one says that it is done, or it was delivered so often as the queue allows: then it is a dead letter. A death
//! never blocks others, leaks room or loses a wake-up. A slow job holds up nothing but its own node.
//!
//! # The nodes are the truth
//!
//! Each job lies in a *node*, whose word says what it is: free, being written by an owner, ready, delayed, leased by an owner, dead.
//! One lock is over all words and over the [books](super::books): which nodes are free, and in what order the ready ones come. The
//! books follow from the words. So a holder may die anywhere in a step: the next one, which the lock tells of the death, makes the
//! books anew (O(capacity)), and the step was done if the store of the word was. Between two stores of words nothing is promised: no
//! step has two.
//!
//! Owners are not in the lock's way: whoever takes a job looks after one of the others' nodes, and whoever finds nothing looks after
//! all of them.
//!
//! # Who notices a death
//!
//! While anybody sleeps here, one sleeper is the *watcher*: it sleeps on the slots of all owners, too, so that the kernel's mark wakes
//! it, and gives back what the dead had. Whoever becomes an owner and is not among the watched tells one sleeper, which becomes the
//! watcher then. The list keeps those that were watched before: a worker that takes job after job is told of once. A watcher that goes
//! tells another one. If it dies instead, its pending pointer rings the bell, and all look.
//!
//! Rejected: the bell alone (an owner that works on its job for long may wait in another segment meanwhile, where its one pending
//! pointer is needed); every sleeper watches all owners (a list of words to each sleep, and all to be woken for each new owner).
//!
//! **Times.** A sleeper sleeps until the first time at which something comes back that it knew of when it fell asleep: a delayed job, or
//! a lease. Whoever puts a delayed job before all other such times tells all. A lease that begins later ends later, so where leases
//! end nobody sleeps longer than one lasts.
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | W1 | unlock, Release | lock, Acquire | words, books and jobs |
//! | W2 | a node's word, Release | a look at it without the lock, Acquire | the job |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | WK-a | a producer with the lock, before the word | a dead holder; the node is free | the next locker; sleepers by the bell (see [`RawCondvar`]) | the job, whose put has not returned |
//! | WK-b | a producer with the lock, behind the word | a dead holder; a job that is not in the books | as WK-a | nothing |
//! | WK-c | a worker with the lock, before the word | a dead holder; a job that is ready | as WK-a | nothing |
//! | WK-d | a worker with a lease | a dead owner | sleepers by its slot's mark; the next take | nothing: delivered again, counted |
//! | WK-e | a worker with the lock that says "done", before the word | a dead holder, and a dead owner | as WK-a, WK-d | nothing: delivered again although it was done, as the call has not returned |
//! | WK-f | whoever gives a job back, behind the word | a dead holder; a job that is not in the books | as WK-a | nothing |
//! | WK-g | a producer that writes without the lock | a dead owner | sleepers by its slot's mark; the next look after all | the job, whose commit has not returned |
//!
//! *Exactly once is impossible*: a worker may die between its work and its "done". Make the effect idempotent: name it by the job's
//! number, which never comes again.
//!
//! **Stopped processes.** A process that is stopped while it has the lock stops all others, as with any lock: they wait, a try for at
//! most 50 ms. One that is stopped with a lease holds up its own job, for as long as the lease lasts. While the watcher is stopped
//! a death is heard by the bell alone, or by the next call.
//!
//! **The net.** A death that the kernel does not report is found by the watcher, which looks every 50 ms while anybody whom it watches
//! lives: one sleeper of all.
//!
//! Rejected: a lock-free ring of node numbers (the order after a death would have to be found beside others that work; a priority
//! order has no lock-free form that survives a death at each step); the count of deliveries beside the word (two stores).
//!
//! After Beanstalkd's and SQS's leases and dead letters, and Mesa's monitors.

use super::books::{Books, Broken, Changed};
use super::layout::{Node, REASON, WorkPlace};
use super::word::{self, DEAD, DELAYED, FILLING, LEASED, READY};
use crate::atomic::{AtomicU64, Ordering, fence};
use crate::error::{Error, ErrorKind, Result};
use crate::member::{Member, OwnerId, Owners, Spin};
use crate::queue::locking::lock_patiently;
use crate::sync::Acquired;
use crate::sync::raw_condvar::RawCondvar;
use crate::time::{Deadline, Wait};
use core::cell::Cell;

/// The longest job that is written and read with the lock held.
const SHORT: usize = 1024;
const CLOSED: u64 = 1;

/// The queue in a place. All operations take the calling thread's member of the segment that the place lies in.
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawWorkQueue {
    place: WorkPlace,
}

/// A job that the calling thread works on.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the job stays leased until it is done or given back, or its thread dies"]
pub struct Leased {
    owner: OwnerId,
    index: u32,
    id: u64,
    back: u32,
    len: u32,
}

impl Leased {
    /// The node, and who took it: for C.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn parts(&self) -> (u32, u64) {
        (self.index, self.owner.bits())
    }

    /// From what C had in between. Nothing is believed before it is compared with the node.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn of(id: u64, len: usize, deliveries: u32, index: u32, owner: u64) -> Self {
        let owner = OwnerId::of(owner).unwrap_or(OwnerId::new(0, 0));
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        Leased { owner, index, id, back: deliveries.wrapping_sub(1).min(word::MOST_BACK), len }
    }

    /// The job's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How often it was delivered, this time included.
    pub fn deliveries(&self) -> u32 {
        self.back + 1
    }

    /// Its bytes.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The place of a job to come.
#[derive(Debug)]
#[must_use = "the node stays reserved until the reservation is ended, or its thread dies"]
pub struct Reserved {
    index: u32,
}

/// How a job is to be queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// The lowest comes first, in a queue by priority.
    pub priority: i64,
    /// It is not delivered before this time.
    pub not_before: Option<Deadline>,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The job's number.
    pub id: u64,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Its bytes.
    pub len: usize,
    index: u32,
}

impl DeadLetter {
    /// The node: for C.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// From what C had in between.
    #[cfg(all(feature = "std", not(interproc_loom)))]
    pub(crate) fn of(id: u64, deliveries: u32, len: usize, index: u32) -> Self {
        DeadLetter { id, deliveries, len, index }
    }
}

/// The lock, held.
pub(super) struct Locked<'a> {
    queue: &'a RawWorkQueue,
    books: Books<'a>,
    /// Whether the call has waited for a condition.
    slept: Cell<bool>,
    /// Whether it was woken after its deadline: it has looked once more.
    late: Cell<bool>,
}

pub(super) fn now_ns() -> u64 {
    Deadline::now().as_monotonic_ns()
}

impl Drop for Locked<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let watches = self.slept.get() || self.books.is_watcher();
        if watches || !self.queue.place.header().lock.unlock_if_plain(self.books.me) {
            self.unlock_slow();
        }
    }
}

impl RawWorkQueue {
    /// The queue in this place.
    pub fn new(place: WorkPlace) -> Self {
        RawWorkQueue { place }
    }

    /// Where it lies.
    #[inline(always)]
    pub fn place(&self) -> &WorkPlace {
        &self.place
    }

    #[inline(always)]
    pub(super) fn lock<'a>(&'a self, me: &'a Member, wait: Wait) -> Result<Locked<'a>> {
        let books = Books { place: &self.place, me };
        let locked = |()| Locked { queue: self, books, slept: Cell::new(false), late: Cell::new(false) };
        match self.place.header().lock.lock_if_free(me) {
            true => Ok(locked(())),
            false => self.lock_slow(me, wait).map(locked),
        }
    }

    /// Takes the lock when it is not simply free, and makes the books anew if its holder died.
    #[cold]
    fn lock_slow(&self, me: &Member, wait: Wait) -> Result<()> {
        if lock_patiently(&self.place.header().lock, me, wait)? == Acquired::OwnerDied {
            let books = Books { place: &self.place, me };
            let locked = Locked { queue: self, books, slept: Cell::new(false), late: Cell::new(false) };
            let mended = locked.mend();
            if mended.is_ok() {
                core::mem::forget(locked);
            }
            return mended;
        }
        Ok(())
    }

    /// Puts a job of `len` bytes, which `fill` writes. Returns its number.
    ///
    /// # Errors
    /// `TooLarge`; `Closed`; `Full`, `TimedOut`. Then `fill` was not called.
    #[inline]
    pub fn put_with(
        &self,
        me: &Member,
        len: usize,
        job: Job,
        wait: Wait,
        fill: impl FnOnce(*mut u8),
    ) -> Result<u64> {
        if len > SHORT {
            let reserved = self.reserve(me, len, wait)?;
            self.place.fill(reserved.index, fill);
            return self.commit(me, reserved, len, job);
        }
        let (locked, index) = self.free_node(me, len, wait)?;
        self.place.fill(index, fill);
        locked.publish(index, len, job)
    }

    /// Reserves the place of a job of at most `len` bytes.
    ///
    /// # Errors
    /// As [`put_with`](Self::put_with).
    pub fn reserve(&self, me: &Member, len: usize, wait: Wait) -> Result<Reserved> {
        let (locked, index) = self.free_node(me, len, wait)?;
        locked.books.fill(index).map_err(|broken| locked.broken(broken))?;
        locked.owns();
        crate::crash_window!("WK-g: reserved");
        Ok(Reserved { index })
    }

    /// Writes a reservation's job: `f` gets room for the longest.
    pub fn write(&self, reserved: &Reserved, f: impl FnOnce(*mut u8)) {
        self.place.fill(reserved.index, f);
    }

    /// Makes the first `len` bytes of a reservation a job.
    ///
    /// # Errors
    /// `NotOwner` when the caller does not hold the reservation; `TooLarge`, `Closed`: it is aborted.
    pub fn commit(&self, me: &Member, reserved: Reserved, len: usize, job: Job) -> Result<u64> {
        let locked = self.lock(me, Wait::ForEver)?;
        locked.is_filling(reserved.index)?;
        let refused = match len > self.place.geometry().longest as usize {
            true => Some(ErrorKind::TooLarge),
            // Workers may have been told that nothing comes any more.
            false => self.is_closed().then_some(ErrorKind::Closed),
        };
        if let Some(kind) = refused {
            locked.free(reserved.index)?;
            return Err(kind.into());
        }
        locked.publish(reserved.index, len, job)
    }

    /// Gives a reservation back.
    ///
    /// # Errors
    /// `NotOwner` when the caller does not hold it.
    pub fn abort(&self, me: &Member, reserved: Reserved) -> Result<()> {
        let locked = self.lock(me, Wait::ForEver)?;
        locked.is_filling(reserved.index)?;
        locked.free(reserved.index)
    }

    /// Gives the lock up and looks from outside for a while: who is met so needs no system call. Returns with the lock.
    #[inline(never)]
    fn spin<'a>(
        &'a self,
        locked: Locked<'a>,
        spin: &mut Spin<'_>,
        wait: Wait,
        has_come: impl Fn(&Books<'_>) -> bool,
    ) -> Result<Locked<'a>> {
        let books = locked.books;
        // After a sleep it would owe the watch to somebody: then nobody spins.
        debug_assert!(!locked.slept.get());
        drop(locked);
        while !has_come(&books) && spin.again() {}
        self.lock(books.me, wait)
    }

    /// The lock, and a free node.
    #[inline(always)]
    fn free_node<'a>(&'a self, me: &'a Member, len: usize, wait: Wait) -> Result<(Locked<'a>, u32)> {
        if len > self.place.geometry().longest as usize {
            return Err(ErrorKind::TooLarge.into());
        }
        let mut locked = self.lock(me, wait)?;
        let mut spin: Option<Spin<'_>> = None;
        // Looked after the owners since the last sleep: once, whatever a peer writes there.
        let mut looked = false;
        loop {
            if self.is_closed() {
                return Err(ErrorKind::Closed.into());
            }
            if let Some(index) = locked.sound(|books| books.first_free())? {
                if let Some(spin) = spin {
                    spin.done();
                }
                return Ok((locked, index));
            }
            // Room comes back from dead producers.
            if !looked && locked.look_after(true, false)?.room > 0 {
                looked = true;
                continue;
            }
            if wait == Wait::Never {
                return Err(ErrorKind::Full.into());
            }
            looked = false;
            let spin = spin.get_or_insert_with(|| Spin::new(me.spinning()));
            if spin.again() {
                locked = self.spin(locked, spin, wait, |books| books.has_free() || self.is_closed())?;
                continue;
            }
            locked.wait(&self.place.header().room, wait.deadline(), None, spin)?;
        }
    }

    /// Takes the next job, in place: its bytes stay until it is done or given back.
    ///
    /// # Errors
    /// `Closed` when closed and nothing is unfinished; `Empty`, `TimedOut`.
    #[inline]
    pub fn take(&self, me: &Member, wait: Wait) -> Result<Leased> {
        let mut locked = self.lock(me, wait)?;
        let mut spin: Option<Spin<'_>> = None;
        loop {
            // Of several that become ready now the caller takes one, unless it takes one that was ready before: for that somebody
            // was told, perhaps the caller.
            let idle = !locked.books.has_ready();
            let (promoted, next_due) = locked.sound(|books| books.promote(now_ns))?;
            locked.tell_ready(promoted.saturating_sub(idle.into()));
            let idle = !locked.books.has_ready();
            locked.look_after(idle, idle)?;
            let until = locked.lease_ns().map_or(0, |ns| now_ns().saturating_add(ns));
            if let Some(index) = locked.sound(|books| books.lease(until))? {
                if let Some(spin) = spin {
                    spin.done();
                }
                locked.owns();
                return locked.leased(index);
            }
            if self.is_closed() && locked.books.unfinished() == 0 {
                return Err(ErrorKind::Closed.into());
            }
            if wait == Wait::Never {
                return Err(ErrorKind::Empty.into());
            }
            let spin = spin.get_or_insert_with(|| Spin::new(me.spinning()));
            if spin.again() {
                locked = self.spin(locked, spin, wait, |books| books.has_ready() || self.is_closed())?;
                continue;
            }
            locked.wait(&self.place.header().ready, wait.deadline(), next_due, spin)?;
        }
    }

    /// Reads a leased job: `f` gets its bytes.
    #[inline]
    pub fn read<R>(&self, leased: &Leased, f: impl FnOnce(*const u8, usize) -> R) -> R {
        self.place.drain(leased.index, |bytes| f(bytes, leased.len as usize))
    }

    /// Whether the caller still holds this lease: then what it has read since the take is the job.
    #[inline]
    pub fn holds(&self, me: &Member, leased: &Leased) -> bool {
        fence(Ordering::Acquire);
        self.place.node(leased.index).is_some_and(|node| {
            node.word.load(Ordering::Acquire) == word::owned(LEASED, me.id(), leased.back)
                && node.id.load(Ordering::Relaxed) == leased.id
        })
    }

    /// The job is done.
    ///
    /// # Errors
    /// `Stale`: the lease has run out, and the job was given to others or waits for them. `NotOwner` in a forked child.
    #[inline]
    pub fn done(&self, me: &Member, leased: Leased) -> Result<()> {
        let locked = self.lock(me, Wait::ForEver)?;
        locked.is_leased(&leased)?;
        locked.sound(|books| books.finish(leased.index))?;
        locked.tell_finished();
        Ok(())
    }

    /// The job goes back, and counts as delivered. `reason` is kept, as far as there is room for it.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub fn give_back(&self, me: &Member, leased: Leased, reason: &str) -> Result<()> {
        let locked = self.lock(me, Wait::ForEver)?;
        locked.is_leased(&leased)?;
        locked.set_reason(leased.index, reason)?;
        let mut changed = Changed::default();
        locked.sound(|books| books.give_back(leased.index, &mut changed))?;
        locked.tell(changed);
        Ok(())
    }

    /// Waits until nothing is unfinished: all jobs are done, or dead letters.
    ///
    /// # Errors
    /// `WouldBlock`, `TimedOut`.
    pub fn join(&self, me: &Member, wait: Wait) -> Result<()> {
        let mut locked = self.lock(me, wait)?;
        let mut spin = Spin::new(me.spinning());
        while locked.books.unfinished() != 0 {
            if wait == Wait::Never {
                return Err(ErrorKind::WouldBlock.into());
            }
            locked.look_after(true, false)?;
            if locked.books.unfinished() == 0 {
                break;
            }
            if spin.again() {
                locked = self.spin(locked, &mut spin, wait, |books| books.unfinished() == 0)?;
            } else {
                locked.wait(&self.place.header().over, wait.deadline(), None, &mut spin)?;
            }
        }
        spin.done();
        Ok(())
    }

    /// Closes: no more jobs are put. What is there can be taken, also what comes back.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn close(&self, me: &Member) -> Result<()> {
        let locked = self.lock(me, Wait::ForEver)?;
        self.place.header().closed.store(CLOSED, Ordering::Release);
        locked.tell_all();
        Ok(())
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.place.header().closed.load(Ordering::Acquire) == CLOSED
    }

    /// Whether a node is free: a snapshot.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn has_free(&self) -> bool {
        self.place.header().ledger.has_free()
    }

    /// Jobs that wait, that are delayed, that are leased, and dead letters: a snapshot.
    pub fn counts(&self) -> [usize; 4] {
        self.place.header().ledger.counts().map(|n| n.min(self.place.geometry().capacity) as usize)
    }

    /// The same and, last, nodes that are being written, from the nodes themselves: O(capacity).
    #[doc(hidden)]
    pub fn survey(&self) -> [usize; 5] {
        let mut counts = [0; 5];
        for node in (0..self.place.geometry().capacity).filter_map(|index| self.place.node(index)) {
            let at = match word::state(node.word.load(Ordering::Acquire)) {
                READY => 0,
                DELAYED => 1,
                LEASED => 2,
                DEAD => 3,
                FILLING => 4,
                _ => continue,
            };
            counts[at] += 1;
        }
        counts
    }

    /// Calls `f`, with the lock held, with each dead letter in no certain order, its bytes and its reason.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn dead_letters(&self, me: &Member, mut f: impl FnMut(DeadLetter, *const u8, &str)) -> Result<()> {
        let locked = self.lock(me, Wait::ForEver)?;
        for (index, node) in locked.books.in_state(DEAD) {
            let id = node.id.load(Ordering::Relaxed);
            let len = (node.len.load(Ordering::Relaxed) as usize).min(self.place.geometry().longest as usize);
            let deliveries = word::back(node.word.load(Ordering::Relaxed));
            let (bytes, reason_len) = (reason_of(&node.reason), node.reason_len.load(Ordering::Relaxed));
            let bytes = &bytes[..(reason_len as usize).min(REASON)];
            let text = match core::str::from_utf8(bytes) {
                Ok(text) => text,
                Err(wrong) => core::str::from_utf8(&bytes[..wrong.valid_up_to()]).unwrap_or_default(),
            };
            let letter = DeadLetter { id, deliveries, len, index };
            self.place.drain(index, |bytes| f(letter, bytes, text));
        }
        Ok(())
    }

    /// Calls `f` with a dead letter's bytes. `None`: there is no such dead letter any more.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn read_dead_letter<R>(
        &self,
        me: &Member,
        letter: &DeadLetter,
        f: impl FnOnce(*const u8, usize) -> R,
    ) -> Result<Option<R>> {
        let locked = self.lock(me, Wait::ForEver)?;
        let Some(node) = locked.dead(letter) else { return Ok(None) };
        let len = node.len.load(Ordering::Relaxed).min(self.place.geometry().longest);
        Ok(Some(self.place.drain(letter.index, |bytes| f(bytes, len as usize))))
    }

    /// A dead letter is a job again, as if it had never been delivered; or it is dropped, and its room is free. False: there is no
    /// such dead letter any more.
    ///
    /// # Errors
    /// Those of the lock.
    pub fn end_dead_letter(&self, me: &Member, letter: &DeadLetter, again: bool) -> Result<bool> {
        let locked = self.lock(me, Wait::ForEver)?;
        let is_it = locked.dead(letter).is_some();
        if is_it {
            locked.sound(|books| books.end_dead(letter.index, again))?;
            if again { locked.tell_ready(1) } else { locked.tell_room(1) }
        }
        Ok(is_it)
    }
}

fn reason_of(words: &[AtomicU64; REASON / 8]) -> [u8; REASON] {
    let mut bytes = [0; REASON];
    for (piece, word) in bytes.chunks_exact_mut(8).zip(words) {
        piece.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    bytes
}

impl<'a> Locked<'a> {
    #[inline(always)]
    fn node(&self, index: u32) -> Result<&'a Node> {
        self.books.node(index).map_err(|Broken| ErrorKind::Corrupt.into())
    }

    /// The node of a dead letter, if it is one still.
    fn dead(&self, letter: &DeadLetter) -> Option<&'a Node> {
        let node = self.books.node(letter.index).ok()?;
        let is_it = word::state(node.word.load(Ordering::Relaxed)) == DEAD
            && node.id.load(Ordering::Relaxed) == letter.id;
        is_it.then_some(node)
    }

    #[cold]
    fn unlock_slow(&self) {
        let lock = &self.queue.place.header().lock;
        // Whoever slept may have been woken to be the watcher.
        let leaves = self.books.is_watcher() || self.slept.get() && !self.books.has_watcher();
        if leaves && lock.is_held_by(self.books.me) && !crate::mutant!("work-watch-dropped") {
            self.books.leave_watch();
            self.tell_a_sleeper();
        }
        // If the books could not be made, the next one tries.
        let _ = lock.unlock_keeping_news(self.books.me);
    }

    /// Makes the books anew and wakes all: whoever died may have owed it to any of them.
    #[cold]
    fn mend(&self) -> Result<()> {
        // If this fails, or is not ended, the next one begins anew.
        self.queue.place.header().lock.spoil(self.books.me);
        if !crate::mutant!("work-books-kept") {
            self.books.make().map_err(|Broken| Error::from(ErrorKind::Corrupt))?;
        }
        let _ = self.queue.place.header().lock.mark_consistent(self.books.me);
        self.tell_all();
        Ok(())
    }

    /// A step in the books. If they contradict themselves it is tried once more with new ones.
    #[inline(always)]
    fn sound<R>(&self, mut step: impl FnMut(&Books<'_>) -> core::result::Result<R, Broken>) -> Result<R> {
        let mut again = false;
        loop {
            match step(&self.books) {
                Ok(value) => return Ok(value),
                Err(Broken) if again => return Err(ErrorKind::Corrupt.into()),
                Err(Broken) => self.mend()?,
            }
            again = true;
        }
    }

    fn broken(&self, Broken: Broken) -> Error {
        let _ = self.mend();
        ErrorKind::Corrupt.into()
    }

    #[inline(always)]
    fn publish(&self, index: u32, len: usize, job: Job) -> Result<u64> {
        let node = self.node(index)?;
        node.len.store(len as u32, Ordering::Relaxed);
        let due = job.not_before.map_or(0, |time| time.as_monotonic_ns().max(1));
        let id = self.books.new_id();
        self.sound(|books| books.publish(index, id, job.priority, due))?;
        if due == 0 {
            self.tell_ready(1);
        } else if self.sound(|books| books.is_first_delayed(index))? {
            // Whoever sleeps knows of a later time, or of none.
            self.queue.place.header().ready.notify_all(self.books.me);
            self.queue.place.header().takers.ring(self.books.me.table());
        }
        Ok(id)
    }

    /// A node of the caller's is free.
    fn free(&self, index: u32) -> Result<()> {
        self.sound(|books| books.abort(index))?;
        self.tell_room(1);
        Ok(())
    }

    #[inline(always)]
    fn leased(&self, index: u32) -> Result<Leased> {
        let node = self.node(index)?;
        let longest = self.queue.place.geometry().longest;
        Ok(Leased {
            owner: self.books.me.id(),
            index,
            id: node.id.load(Ordering::Relaxed),
            back: word::back(node.word.load(Ordering::Relaxed)),
            len: node.len.load(Ordering::Relaxed).min(longest),
        })
    }

    #[inline(always)]
    fn is_leased(&self, leased: &Leased) -> Result<()> {
        if self.books.me.id() != leased.owner {
            return Err(ErrorKind::NotOwner.into());
        }
        let node = self.books.node(leased.index).map_err(|Broken| Error::from(ErrorKind::Stale))?;
        let word = node.word.load(Ordering::Relaxed);
        let same = word == word::owned(LEASED, self.books.me.id(), leased.back)
            && node.id.load(Ordering::Relaxed) == leased.id;
        if same { Ok(()) } else { Err(ErrorKind::Stale.into()) }
    }

    fn is_filling(&self, index: u32) -> Result<()> {
        let word = self.node(index)?.word.load(Ordering::Relaxed);
        if word == word::owned(FILLING, self.books.me.id(), 0) {
            Ok(())
        } else {
            Err(ErrorKind::NotOwner.into())
        }
    }

    fn set_reason(&self, index: u32, reason: &str) -> Result<()> {
        let node = self.node(index)?;
        let mut end = reason.len().min(REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = [0; REASON];
        bytes[..end].copy_from_slice(&reason.as_bytes()[..end]);
        for (piece, word) in bytes.chunks_exact(8).zip(&node.reason) {
            let mut eight = [0; 8];
            eight.copy_from_slice(piece);
            word.store(u64::from_le_bytes(eight), Ordering::Relaxed);
        }
        node.reason_len.store(end as u32, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a job is ready, or none will come; else when to look again. Others are told of what has come back.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn next_ready(&self) -> Result<core::result::Result<(), Option<u64>>> {
        let (promoted, next_due) = self.sound(|books| books.promote(now_ns))?;
        self.tell_ready(promoted);
        self.look_after(true, false)?;
        if self.books.has_ready() || self.queue.is_closed() && self.books.unfinished() == 0 {
            return Ok(Ok(()));
        }
        let expiry = self.sound(|books| books.soonest_end(drop))?;
        let later = self.lease_ns().map(|ns| now_ns().saturating_add(ns));
        Ok(Err([next_due, expiry, later].into_iter().flatten().min()))
    }

    /// Whether a node is free, or it is closed.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn has_room(&self) -> bool {
        // What cannot be said is told by a put.
        self.look_after(true, false).is_err() || self.books.has_free() || self.queue.is_closed()
    }

    /// Whether somebody has a job or a place for one in hand.
    #[cfg(any(feature = "std", interproc_loom))]
    pub(super) fn has_owners(&self) -> bool {
        self.books.has_owners()
    }

    /// Gives back what the dead had, and leases that are over. A caller that `takes` gets one of them itself.
    #[inline(always)]
    fn look_after(&self, all: bool, takes: bool) -> Result<Changed> {
        if self.books.has_owners() { self.look_after_owners(all, takes) } else { Ok(Changed::default()) }
    }

    #[inline(never)]
    fn look_after_owners(&self, all: bool, takes: bool) -> Result<Changed> {
        let changed = self.sound(|books| books.look_after(all, now_ns))?;
        self.tell(Changed { ready: changed.ready.saturating_sub(takes.into()), ..changed });
        Ok(changed)
    }

    /// How long a lease lasts, if it ends.
    #[inline(always)]
    fn lease_ns(&self) -> Option<u64> {
        let ms = self.queue.place.geometry().lease_ms;
        (ms != 0).then(|| u64::from(ms) * 1_000_000)
    }

    /// The caller has become an owner: somebody must watch it, if anybody sleeps.
    #[inline(always)]
    fn owns(&self) {
        if !self.books.is_seen() && !self.books.is_watcher() && !crate::mutant!("work-owner-unwatched") {
            self.tell_a_sleeper();
        }
    }

    /// One sleeper at least, whatever it sleeps for, looks who is to be watched.
    #[cold]
    fn tell_a_sleeper(&self) {
        let header = self.queue.place.header();
        for condition in [&header.ready, &header.over, &header.room] {
            condition.notify_one(self.books.me);
        }
    }

    fn tell(&self, changed: Changed) {
        self.tell_ready(changed.ready);
        self.tell_room(changed.room);
        if changed.finished {
            self.tell_over();
        }
    }

    #[inline(always)]
    fn tell_ready(&self, jobs: u32) {
        let header = self.queue.place.header();
        match jobs {
            0 => return,
            1 => header.ready.notify_one(self.books.me),
            _ => header.ready.notify_all(self.books.me),
        }
        if !crate::mutant!("work-sets-untold") {
            header.takers.ring(self.books.me.table());
        }
    }

    #[inline(always)]
    fn tell_room(&self, nodes: u32) {
        let header = self.queue.place.header();
        match nodes {
            0 => return,
            1 => header.room.notify_one(self.books.me),
            _ => header.room.notify_all(self.books.me),
        }
        header.putters.ring(self.books.me.table());
    }

    /// A job is done: its node is free, and it may have been the last one.
    #[inline(always)]
    fn tell_finished(&self) {
        self.tell_room(1);
        self.tell_over();
    }

    #[inline(always)]
    fn tell_over(&self) {
        if self.books.unfinished() == 0 {
            let header = self.queue.place.header();
            header.over.notify_all(self.books.me);
            if self.queue.is_closed() {
                header.ready.notify_all(self.books.me);
                header.takers.ring(self.books.me.table());
            }
        }
    }

    fn tell_all(&self) {
        let header = self.queue.place.header();
        for condition in [&header.ready, &header.room, &header.over] {
            condition.notify_all(self.books.me);
        }
        [&header.takers, &header.putters].into_iter().for_each(|set| set.ring(self.books.me.table()));
    }

    /// Waits for a condition, for the death of an owner, or until `next`, when there is something to do.
    fn wait(
        &self,
        condition: &RawCondvar,
        deadline: Option<Deadline>,
        next: Option<u64>,
        spin: &mut Spin<'_>,
    ) -> Result<()> {
        spin.failed();
        let me = self.books.me;
        let mut owners = Owners::new();
        let expiry = self.sound(|books| {
            owners.clear();
            books.watch(&mut owners)
        })?;
        let later = self.lease_ns().map(|ns| now_ns().saturating_add(ns));
        let soonest = [next, expiry, later].into_iter().flatten().min().map(Deadline::from_monotonic_ns);
        let watched = !owners.as_slice().is_empty() || owners.beyond();
        let until = Deadline::earlier(deadline, soonest);
        // What is due before the caller's time is over is looked at once more.
        let last = deadline.is_some() && until == deadline;
        let lock = &self.queue.place.header().lock;
        self.slept.set(true);
        let waited = condition.wait_beside(me, lock, watched.then_some(&owners), until)?;
        if waited.how == Acquired::OwnerDied {
            self.mend()?;
        }
        if deadline.is_some_and(Deadline::has_passed) && (waited.timed_out && last || self.late.replace(true))
        {
            if !waited.timed_out {
                condition.notify_one(me); // it was for somebody who looks
            }
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}
