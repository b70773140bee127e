//! [`Books`]: what the holder of a work queue's lock keeps: which nodes are free, ready, delayed or owned, and in what order.
//!
//! All of it follows from the nodes' words. So after the death of a holder the next one makes it anew ([`Books::make`]), and a step
//! need not be whole; only the store of a node's word must be.
//!
//! Every number that is read here is checked, as a peer can write over it. What does not fit is [`Broken`], and then, too, the books
//! are made anew, once.

use super::heap::Heap;
use super::layout::{NIL, Node, WATCHED, WorkOrder, WorkPlace};
use super::word::{self, DEAD, DELAYED, FILLING, FREE, LEASED, READY};
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::member::{Member, OwnerId, Owners};

/// The books contradict themselves.
#[derive(Debug)]
pub(super) struct Broken;

/// The numbers in the header. Relaxed throughout: the lock orders them.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Ledger {
    /// The first free node.
    free: AtomicU32,
    /// The first node with an owner.
    owned: AtomicU32,
    /// The one of them to be looked after next.
    next_look: AtomicU32,
    /// Where the order of the ready ones begins, unless it is a heap.
    from: AtomicU32,
    /// How many are ready: in a heap, or in a ring, the oldest first.
    ready: AtomicU32,
    /// How many more are ready, which were not put just now: they came back, or were delayed. A heap by their numbers.
    again: AtomicU32,
    /// How many are delayed.
    late: AtomicU32,
    /// How many are leased.
    leased: AtomicU32,
    /// How many are dead letters.
    dead: AtomicU32,
    /// The next job's number.
    next_id: AtomicU64,
    /// The sleeper that watches the owners; 0: nobody sleeps.
    watcher: AtomicU64,
}

impl Ledger {
    #[cfg(interproc_loom)]
    pub(super) fn new() -> Self {
        let [free, owned, next_look, from, ready, again, late, leased, dead] =
            [(); 9].map(|()| AtomicU32::new(0));
        let [next_id, watcher] = [(); 2].map(|()| AtomicU64::new(0));
        Ledger { free, owned, next_look, from, ready, again, late, leased, dead, next_id, watcher }
    }

    /// No node has an owner, and the first one is the first free one.
    pub(super) fn begin(&self) {
        self.owned.store(NIL, Ordering::Relaxed);
        self.next_look.store(NIL, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn has_free(&self) -> bool {
        get(&self.free) != NIL
    }

    /// Jobs that are ready, delayed, leased, and dead letters: a snapshot.
    #[inline(always)]
    pub(super) fn counts(&self) -> [u32; 4] {
        let [ready, again, late, leased, dead] =
            [&self.ready, &self.again, &self.late, &self.leased, &self.dead].map(get);
        [ready.saturating_add(again), late, leased, dead]
    }
}

#[inline(always)]
fn get(word: &AtomicU32) -> u32 {
    word.load(Ordering::Relaxed)
}

#[inline(always)]
fn set(word: &AtomicU32, to: u32) {
    word.store(to, Ordering::Relaxed);
}

/// What a look after the owners has changed.
#[derive(Clone, Copy, Default)]
pub(super) struct Changed {
    /// So many jobs are ready again.
    pub(super) ready: u32,
    /// So many nodes are free.
    pub(super) room: u32,
    /// A job is finished: it is a dead letter.
    pub(super) finished: bool,
}

/// The books, for the holder of the lock.
#[derive(Clone, Copy)]
pub(super) struct Books<'a> {
    pub(super) place: &'a WorkPlace,
    pub(super) me: &'a Member,
}

impl<'a> Books<'a> {
    #[inline(always)]
    fn ledger(&self) -> &'a Ledger {
        &self.place.header().ledger
    }

    #[inline(always)]
    pub(super) fn node(&self, index: u32) -> Result<&'a Node, Broken> {
        self.place.node(index).ok_or(Broken)
    }

    #[inline(always)]
    fn state(&self, index: u32) -> Result<u64, Broken> {
        Ok(word::state(self.node(index)?.word.load(Ordering::Relaxed)))
    }

    #[inline(always)]
    fn capacity(&self) -> u32 {
        self.place.geometry().capacity
    }

    /// Jobs that somebody put and nobody has done.
    #[inline(always)]
    pub(super) fn unfinished(&self) -> u64 {
        let [ready, late, leased, _] = self.ledger().counts();
        u64::from(ready) + u64::from(late) + u64::from(leased)
    }

    #[inline(always)]
    pub(super) fn has_ready(&self) -> bool {
        self.ledger().counts()[0] != 0
    }

    pub(super) fn has_free(&self) -> bool {
        self.ledger().has_free()
    }

    /// A free node, which stays free until it gets another word.
    #[inline(always)]
    pub(super) fn first_free(&self) -> Result<Option<u32>, Broken> {
        match get(&self.ledger().free) {
            NIL => Ok(None),
            index if word::state(self.node(index)?.word.load(Ordering::Relaxed)) == FREE => Ok(Some(index)),
            _ => Err(Broken),
        }
    }

    #[inline(always)]
    fn take_free(&self, index: u32) -> Result<&'a Node, Broken> {
        let node = self.node(index)?;
        set(&self.ledger().free, get(&node.next));
        Ok(node)
    }

    #[inline(always)]
    fn put_free(&self, index: u32) -> Result<(), Broken> {
        let node = self.node(index)?;
        // Release: after its last use.
        node.word.store(word::idle(FREE, 0), Ordering::Release);
        set(&node.next, get(&self.ledger().free));
        set(&self.ledger().free, index);
        Ok(())
    }

    #[inline(always)]
    fn link_owned(&self, index: u32) -> Result<(), Broken> {
        let (node, first) = (self.node(index)?, get(&self.ledger().owned));
        if first != NIL {
            set(&self.node(first)?.prev, index);
        }
        set(&node.prev, NIL);
        set(&node.next, first);
        set(&self.ledger().owned, index);
        Ok(())
    }

    #[inline(always)]
    fn unlink_owned(&self, index: u32) -> Result<(), Broken> {
        let node = self.node(index)?;
        let (before, behind) = (get(&node.prev), get(&node.next));
        match before {
            NIL if get(&self.ledger().owned) == index => set(&self.ledger().owned, behind),
            NIL => return Err(Broken),
            before => set(&self.node(before)?.next, behind),
        }
        if behind != NIL {
            set(&self.node(behind)?.prev, before);
        }
        if get(&self.ledger().next_look) == index {
            set(&self.ledger().next_look, behind);
        }
        Ok(())
    }

    /// The caller writes a job into this free node, without the lock.
    pub(super) fn fill(&self, index: u32) -> Result<(), Broken> {
        let node = self.take_free(index)?;
        self.link_owned(index)?;
        // Release: whoever takes the node over from a dead owner comes after its last use.
        node.word.store(word::owned(FILLING, self.me.id(), 0), Ordering::Release);
        Ok(())
    }

    /// The next job's number, which never comes again.
    #[inline(always)]
    pub(super) fn new_id(&self) -> u64 {
        let id = self.ledger().next_id.load(Ordering::Relaxed);
        self.ledger().next_id.store(id.wrapping_add(1), Ordering::Relaxed);
        id
    }

    /// The caller's node is the job `id`: ready, or `due` at that time.
    #[inline(always)]
    pub(super) fn publish(&self, index: u32, id: u64, priority: i64, due: u64) -> Result<(), Broken> {
        let node = self.node(index)?;
        match word::state(node.word.load(Ordering::Relaxed)) {
            FREE => drop(self.take_free(index)?),
            FILLING => self.unlink_owned(index)?,
            // A first try was broken off behind the word: it is in the new books.
            _ if node.id.load(Ordering::Relaxed) == id => return Ok(()),
            _ => return Err(Broken),
        }
        node.id.store(id, Ordering::Relaxed);
        node.priority.store(priority as u64, Ordering::Relaxed);
        node.due.store(due, Ordering::Relaxed);
        set(&node.reason_len, 0);
        crate::crash_window!("WK-a: written, no job yet");
        let state = if due == 0 { READY } else { DELAYED };
        // Release: with the job.
        node.word.store(word::idle(state, 0), Ordering::Release);
        crate::crash_window!("WK-b: a job, not in the books");
        if due == 0 { self.push(index) } else { self.delay(index) }
    }

    /// The caller's reservation is free again.
    pub(super) fn abort(&self, index: u32) -> Result<(), Broken> {
        if self.state(index)? != FILLING {
            return Ok(()); // as in `finish`
        }
        self.unlink_owned(index)?;
        self.put_free(index)
    }

    #[inline(always)]
    fn priorities(&self) -> Heap<'a, impl Fn(u32) -> Result<(i64, u64), Broken> + 'a> {
        let books = *self;
        Heap {
            slots: self.place.orders()[0],
            len: get(&self.ledger().ready),
            key: move |index| {
                let node = books.node(index)?;
                Ok((node.priority.load(Ordering::Relaxed) as i64, node.id.load(Ordering::Relaxed)))
            },
        }
    }

    #[inline(always)]
    fn delays(&self) -> Heap<'a, impl Fn(u32) -> Result<(u64, u64), Broken> + 'a> {
        let books = *self;
        Heap {
            slots: self.place.orders()[2],
            len: get(&self.ledger().late),
            key: move |index| {
                let node = books.node(index)?;
                Ok((node.due.load(Ordering::Relaxed), node.id.load(Ordering::Relaxed)))
            },
        }
    }

    /// The slot of the ready ones that is `nth` from the first.
    #[inline(always)]
    fn slot(&self, nth: u32) -> Result<&'a AtomicU32, Broken> {
        let at = u64::from(get(&self.ledger().from)) + u64::from(nth);
        let capacity = u64::from(self.capacity());
        self.place.orders()[0].get((if at < capacity { at } else { at - capacity }) as usize).ok_or(Broken)
    }

    /// One more is ready: behind the others.
    #[inline(always)]
    fn push(&self, index: u32) -> Result<(), Broken> {
        let ready = get(&self.ledger().ready);
        if ready >= self.capacity() {
            return Err(Broken);
        }
        match self.place.geometry().order {
            WorkOrder::Priority => self.priorities().push(index)?,
            WorkOrder::Fifo | WorkOrder::Lifo => set(self.slot(ready)?, index),
        }
        set(&self.ledger().ready, ready + 1);
        Ok(())
    }

    /// One is ready that was not put just now: it comes by its number among the others.
    fn push_again(&self, index: u32) -> Result<(), Broken> {
        if self.place.geometry().order == WorkOrder::Priority {
            return self.push(index);
        }
        self.returned().push(index)?;
        let again = &self.ledger().again;
        set(again, get(again).wrapping_add(1));
        Ok(())
    }

    /// Those that came back, the next one first.
    #[inline(always)]
    fn returned(&self) -> Heap<'a, impl Fn(u32) -> Result<u64, Broken> + 'a> {
        let books = *self;
        let youngest = self.place.geometry().order == WorkOrder::Lifo;
        Heap {
            slots: self.place.orders()[1],
            len: get(&self.ledger().again),
            key: move |index| {
                let id = books.node(index)?.id.load(Ordering::Relaxed);
                Ok(if youngest { !id } else { id })
            },
        }
    }

    /// Takes the next ready one out of the order.
    #[inline(always)]
    fn pop(&self) -> Result<Option<u32>, Broken> {
        let ledger = self.ledger();
        let (order, ready) = (self.place.geometry().order, get(&ledger.ready));
        let last = || Ok(if ready == 0 { None } else { Some(get(self.slot(ready - 1)?)) });
        let first = || Ok(if ready == 0 { None } else { Some(get(self.slot(0)?)) });
        let next: Option<u32> = match order {
            WorkOrder::Priority => {
                let Some(index) = self.priorities().pop()? else { return Ok(None) };
                set(&ledger.ready, ready.checked_sub(1).ok_or(Broken)?);
                return Ok(Some(index));
            }
            WorkOrder::Lifo => last()?,
            WorkOrder::Fifo => first()?,
        };
        let returned = self.returned();
        if let Some(index) = returned.first()? {
            let is_first = match next {
                None => true,
                Some(other) => (returned.key)(index)? < (returned.key)(other)?,
            };
            if is_first {
                returned.pop()?;
                set(&ledger.again, get(&ledger.again).checked_sub(1).ok_or(Broken)?);
                return Ok(Some(index));
            }
        }
        if next.is_some() {
            if order == WorkOrder::Fifo {
                let from = get(&ledger.from).wrapping_add(1);
                set(&ledger.from, if from < self.capacity() { from } else { 0 });
            }
            set(&ledger.ready, ready - 1);
        }
        Ok(next)
    }

    fn delay(&self, index: u32) -> Result<(), Broken> {
        self.delays().push(index)?;
        let late = &self.ledger().late;
        set(late, get(late).wrapping_add(1));
        Ok(())
    }

    /// Whether this one's time comes before that of all other delayed ones.
    pub(super) fn is_first_delayed(&self, index: u32) -> Result<bool, Broken> {
        Ok(self.delays().first()? == Some(index))
    }

    /// Makes those ready whose time has come. Returns how many, and when the next one's time comes.
    #[inline(always)]
    pub(super) fn promote(&self, now: impl FnOnce() -> u64) -> Result<(u32, Option<u64>), Broken> {
        if get(&self.ledger().late) == 0 { Ok((0, None)) } else { self.promote_some(now) }
    }

    #[inline(never)]
    fn promote_some(&self, now: impl FnOnce() -> u64) -> Result<(u32, Option<u64>), Broken> {
        let Some(first) = self.delays().first()? else { return Ok((0, None)) };
        let (now, mut count, mut first) = (now(), 0, Some(first));
        while let Some(index) = first {
            if count == self.capacity() {
                return Err(Broken);
            }
            let node = self.node(index)?;
            let due = node.due.load(Ordering::Relaxed);
            if due > now {
                return Ok((count, Some(due)));
            }
            self.delays().pop()?;
            let late = &self.ledger().late;
            set(late, get(late).saturating_sub(1));
            let back = word::back(node.word.load(Ordering::Relaxed));
            node.word.store(word::idle(READY, back), Ordering::Release);
            self.push_again(index)?;
            count += 1;
            first = self.delays().first()?;
        }
        Ok((count, None))
    }

    /// Takes the next ready one for the caller. `until`: when the lease ends.
    #[inline(always)]
    pub(super) fn lease(&self, until: u64) -> Result<Option<u32>, Broken> {
        let ledger = self.ledger();
        let Some(index) = self.pop()? else { return Ok(None) };
        let node = self.node(index)?;
        let word = node.word.load(Ordering::Acquire); // with the job
        if word::state(word) != READY {
            return Err(Broken);
        }
        node.due.store(until, Ordering::Relaxed);
        self.link_owned(index)?;
        set(&ledger.leased, get(&ledger.leased).wrapping_add(1));
        crate::crash_window!("WK-c: in hand in the books, not in its word");
        node.word.store(word::owned(LEASED, self.me.id(), word::back(word)), Ordering::Release);
        crate::crash_window!("WK-d: leased");
        Ok(Some(index))
    }

    #[inline(always)]
    fn end_lease(&self, index: u32) -> Result<(), Broken> {
        self.unlink_owned(index)?;
        let leased = &self.ledger().leased;
        set(leased, get(leased).checked_sub(1).ok_or(Broken)?);
        Ok(())
    }

    /// A leased job is done: its node is free.
    #[inline(always)]
    pub(super) fn finish(&self, index: u32) -> Result<(), Broken> {
        if self.state(index)? != LEASED {
            return Ok(()); // a first try was broken off behind the word
        }
        self.end_lease(index)?;
        crate::crash_window!("WK-e: done, its word says leased");
        self.put_free(index)
    }

    /// A leased job comes back, or is a dead letter.
    pub(super) fn give_back(&self, index: u32, changed: &mut Changed) -> Result<(), Broken> {
        let node = self.node(index)?;
        if self.state(index)? != LEASED {
            return Ok(()); // as in `finish`
        }
        let most = u32::from(self.place.geometry().max_deliveries);
        let back = (word::back(node.word.load(Ordering::Relaxed)) + 1).min(word::MOST_BACK);
        self.end_lease(index)?;
        if most != 0 && back >= most {
            node.word.store(word::idle(DEAD, back), Ordering::Release);
            let dead = &self.ledger().dead;
            set(dead, get(dead).wrapping_add(1));
            changed.finished = true;
        } else {
            node.word.store(word::idle(READY, back), Ordering::Release);
            crate::crash_window!("WK-f: given back, not in the books");
            self.push_again(index)?;
            changed.ready += 1;
        }
        Ok(())
    }

    /// A dead letter is a job again, or its node is free.
    pub(super) fn end_dead(&self, index: u32, again: bool) -> Result<(), Broken> {
        let node = self.node(index)?;
        if self.state(index)? != DEAD {
            return Ok(()); // as in `finish`
        }
        let dead = &self.ledger().dead;
        set(dead, get(dead).checked_sub(1).ok_or(Broken)?);
        if again {
            node.word.store(word::idle(READY, 0), Ordering::Release);
            self.push_again(index)
        } else {
            self.put_free(index)
        }
    }

    /// Whether any node has an owner.
    #[inline(always)]
    pub(super) fn has_owners(&self) -> bool {
        get(&self.ledger().owned) != NIL
    }

    /// Takes back what the dead hold, and leases that are over: of one node, or `all`.
    pub(super) fn look_after(&self, all: bool, now: impl FnOnce() -> u64) -> Result<Changed, Broken> {
        let ledger = self.ledger();
        let mut changed = Changed::default();
        let expires = self.place.geometry().lease_ms != 0;
        let (mut index, mut left) = match get(&ledger.next_look) {
            NIL => (get(&ledger.owned), 1),
            next => (next, 1),
        };
        if all {
            (index, left) = (get(&ledger.owned), self.capacity());
        }
        if index == NIL {
            return Ok(changed);
        }
        let now = if expires { now() } else { 0 };
        while index != NIL && left > 0 {
            let node = self.node(index)?;
            let next = get(&node.next);
            let word = node.word.load(Ordering::Relaxed);
            let gone = !word::owner(word).is_some_and(|id| id == self.me.id() || self.me.lives(id));
            let late = || expires && node.due.load(Ordering::Relaxed) <= now;
            match word::state(word) {
                LEASED if gone || late() => self.give_back(index, &mut changed)?,
                FILLING if gone => {
                    self.abort(index)?;
                    changed.room += 1;
                }
                LEASED | FILLING => {}
                _ => return Err(Broken),
            }
            (index, left) = (next, left - 1);
        }
        set(&ledger.next_look, index);
        Ok(changed)
    }

    /// Where a member is noted if it is watched.
    fn watch_of(&self, id: OwnerId) -> &'a AtomicU64 {
        &self.place.header().watched[id.slot() as usize % WATCHED]
    }

    fn is_watched(&self, id: OwnerId) -> bool {
        self.watch_of(id).load(Ordering::Relaxed) == id.bits()
    }

    /// Whether the caller, which has become an owner, is watched by somebody alive, or nobody sleeps. If not, a sleeper must be told.
    #[inline]
    pub(super) fn is_seen(&self) -> bool {
        match OwnerId::of(self.ledger().watcher.load(Ordering::Relaxed)) {
            None => true,
            Some(watcher) => self.is_watched(self.me.id()) && self.me.lives(watcher),
        }
    }

    /// Whether somebody watches, dead or alive.
    pub(super) fn has_watcher(&self) -> bool {
        self.ledger().watcher.load(Ordering::Relaxed) != 0
    }

    /// Whether the caller watches.
    #[inline(always)]
    pub(super) fn is_watcher(&self) -> bool {
        self.ledger().watcher.load(Ordering::Relaxed) == self.me.id().bits()
    }

    /// The caller, which watched, is awake and goes.
    pub(super) fn leave_watch(&self) {
        self.ledger().watcher.store(0, Ordering::Relaxed);
    }

    /// The caller is about to sleep. One sleeper watches the owners. That is the caller if there is no other one alive, or if an
    /// owner came since the other one looked: then these are the owners to be watched. They include those that were watched and
    /// live: they may have the next job. Also says when the first lease is over.
    pub(super) fn watch(&self, owners: &mut Owners) -> Result<Option<u64>, Broken> {
        let ledger = self.ledger();
        let watcher = OwnerId::of(ledger.watcher.load(Ordering::Relaxed));
        let mut mine = !watcher.is_some_and(|id| id != self.me.id() && self.me.lives(id));
        let soonest = self.soonest_end(|id| {
            mine |= !self.is_watched(id);
            owners.push(id);
        })?;
        if !mine {
            // Its death leaves nobody to watch. The kernel tells of it, or the next one that becomes an owner sees it.
            owners.clear();
            watcher.map(|id| owners.push(id));
            owners.are_idle();
            return Ok(soonest);
        }
        for place in &self.place.header().watched {
            let id = OwnerId::of(place.load(Ordering::Relaxed)).filter(|&id| id != self.me.id());
            if let Some(id) = id.filter(|&id| self.me.lives(id)) {
                owners.push(id);
            }
            place.store(0, Ordering::Relaxed);
        }
        for id in owners.as_slice() {
            self.watch_of(*id).store(id.bits(), Ordering::Relaxed);
        }
        // Two at one place: the net is under the sleep for the one that is not noted, and it would be told at each job.
        ledger.watcher.store(self.me.id().bits(), Ordering::Relaxed);
        Ok(soonest)
    }

    /// When the first lease ends, if leases end. Calls `each` with the owners of nodes, but not with the caller.
    pub(super) fn soonest_end(&self, mut each: impl FnMut(OwnerId)) -> Result<Option<u64>, Broken> {
        let expires = self.place.geometry().lease_ms != 0;
        let (mut index, mut left) = (get(&self.ledger().owned), self.capacity());
        let mut soonest: Option<u64> = None;
        while index != NIL && left > 0 {
            let node = self.node(index)?;
            let word = node.word.load(Ordering::Relaxed);
            word::owner(word).filter(|&id| id != self.me.id()).into_iter().for_each(&mut each);
            if expires && word::state(word) == LEASED {
                let due = node.due.load(Ordering::Relaxed);
                soonest = Some(soonest.map_or(due, |soonest| soonest.min(due)));
            }
            (index, left) = (get(&node.next), left - 1);
        }
        Ok(soonest)
    }

    /// The nodes in this state, each once.
    pub(super) fn in_state(&self, state: u64) -> impl Iterator<Item = (u32, &'a Node)> + 'a {
        let place = self.place;
        (0..self.capacity()).filter_map(move |index| {
            let node = place.node(index)?;
            (word::state(node.word.load(Ordering::Acquire)) == state).then_some((index, node))
        })
    }

    /// Makes the books anew from the nodes' words: O(capacity), and for the order times its logarithm.
    #[cold]
    pub(super) fn make(&self) -> Result<(), Broken> {
        let ledger = self.ledger();
        for word in [&ledger.free, &ledger.owned, &ledger.next_look] {
            set(word, NIL);
        }
        for word in [&ledger.from, &ledger.ready, &ledger.again, &ledger.late, &ledger.leased, &ledger.dead] {
            set(word, 0);
        }
        // All sleepers are woken.
        ledger.watcher.store(0, Ordering::Relaxed);
        let mut next_id = ledger.next_id.load(Ordering::Relaxed);
        let [ready, _, late] = self.place.orders();
        // From the last to the first: then the free ones are taken from the first to the last.
        for index in (0..self.capacity()).rev() {
            let node = self.node(index)?;
            let word = node.word.load(Ordering::Acquire);
            let place = |list: &'a [AtomicU32], count: &AtomicU32| {
                let at = get(count);
                set(count, at.wrapping_add(1));
                list.get(at as usize).map(|slot| set(slot, index)).ok_or(Broken)
            };
            match word::state(word) {
                READY => place(ready, &ledger.ready)?,
                DELAYED => place(late, &ledger.late)?,
                DEAD => set(&ledger.dead, get(&ledger.dead).wrapping_add(1)),
                LEASED => {
                    self.link_owned(index)?;
                    set(&ledger.leased, get(&ledger.leased).wrapping_add(1));
                }
                FILLING => self.link_owned(index)?,
                // Also what nobody can have written who keeps the rules.
                _ => {
                    self.put_free(index)?;
                    continue;
                }
            }
            if word::state(word) != FILLING {
                next_id = next_id.max(node.id.load(Ordering::Relaxed).wrapping_add(1));
            }
        }
        ledger.next_id.store(next_id, Ordering::Relaxed);
        self.delays().build()?;
        match self.place.geometry().order {
            WorkOrder::Priority => self.priorities().build(),
            WorkOrder::Fifo | WorkOrder::Lifo => {
                let books = *self;
                // The largest first, so: the oldest last, by the number upside down.
                let key = move |index| Ok(core::cmp::Reverse(books.node(index)?.id.load(Ordering::Relaxed)));
                Heap { slots: ready, len: get(&ledger.ready), key }.sort()
            }
        }
    }
}
