//! Scans: what a producer or consumer finds at a position, and what it does about it.
//!
//! A scan goes from a hint from cell to cell until it has an answer. It reads each cell once and decides by the control word
//! and, where that is owned, by the sequence word and the owner's life: see the tables of [`RawQueue`](super::RawQueue). All
//! repairs after deaths are here.

use super::RawQueue;
use crate::atomic::{AtomicU64, Ordering, spin_loop};
use crate::member::{Member, OwnerId};
use crate::queue::position::{self as pos, AGAIN, Ctl, EMPTY, FULL, LAP, Role, SEALED, SKIP, idle, owned};
use crate::queue::skips::{Used, Walk};
use crate::queue::steps::Steps;

/// A refused scan that has come this far moves the hint.
const FAR: u64 = 64;
/// How many times further a scan goes that cannot move the hint, because it has passed over a borrowed message. In rings of up to
/// three quarters of a million cells that is a lap (8 ms, where a look takes 10 ns). In larger ones a message may lie further
/// behind borrowed ones than a try can see: see [`Skips`](crate::queue::skips). A call that waits goes twice as far each time, up to
/// two laps.
const MOST_AT_ONCE: u64 = 3;

/// Why an operation cannot be done now.
pub(super) enum Refused {
    /// Full or empty, and the cell that says so.
    NotNow(Seen),
    /// The scan gave up: extreme contention or scribbled hints. Treated as "not now", under the net.
    Lost,
    /// Closed, and for a consumer drained.
    Closed,
}

/// A cell that refused a scan, and the live owner in the way there, if any.
pub(super) struct Seen {
    pub(super) index: u32,
    pub(super) word: u64,
    pub(super) obstacle: Option<OwnerId>,
}

impl Seen {
    /// Whether this member owns the cell itself, not one that was passed over.
    pub(super) fn is_owned_by(&self, id: OwnerId) -> bool {
        matches!(Ctl::read(self.word), Ctl::Owned { owner, .. } if owner == Some(id))
    }
}

/// What a scan found at a position.
pub(super) enum Found {
    /// The cell is ours, claimed for this position. In a forced push, `again` says that the oldest message is still in it.
    Mine { again: bool },
    /// Go on at this position; `passed` is the live reader whose cell was passed over.
    GoTo { position: u64, passed: Option<OwnerId> },
    /// The cell changed under us: look again.
    Again,
    /// Not now, or closed.
    Refused(Refused),
}

/// Who owns a cell.
pub(super) enum Hands {
    Nobody,
    Live(Role),
    Dead(Role),
}

/// What the cell behind one that was just published means for sleepers.
pub(super) enum Behind {
    /// One of them can have it.
    Ready,
    /// It is not for them and blocks nobody.
    Past,
    /// It blocks everybody for now.
    InTheWay,
}

/// A claimed cell.
pub(super) struct Claim {
    pub(super) position: u64,
    /// In a pop: the message is delivered again. In a forced push: see [`Found::Mine`].
    pub(super) again: bool,
    /// Where the scan started, if everything from there to the position is done: then the hint may move.
    pub(super) hint: Option<u64>,
    /// Whether its publication has to be careful.
    pub(super) careful: bool,
}

/// An owned cell, read consistently.
pub(super) struct OwnedCell {
    pub(super) role: Role,
    pub(super) dead: bool,
    pub(super) owner: Option<OwnerId>,
    pub(super) sequence: u64,
}

impl RawQueue {
    /// After this many steps a scan moves the hint to where it is, and its caller tries again. No hint lags that far as long
    /// as all keep the rules, and no attempt takes long in a large ring. (64 MiB of cells, or 16,384.)
    fn at_once(&self) -> u64 {
        (1 << 26) / (self.ring.element() as u64).clamp(1 << 8, 1 << 12)
    }

    /// What one operation may take.
    pub(crate) fn steps(&self) -> Steps {
        self.steps_times(1)
    }

    /// So many times as much, if the ring is so large.
    pub(super) fn steps_times(&self, times: u32) -> Steps {
        let most = MOST_AT_ONCE * self.at_once() * u64::from(times);
        Steps::new((u64::from(self.ring.capacity()) * 2 + 4096).min(most))
    }

    /// Runs one scan from a hint until `look` has an answer. It is bounded: a scribbled hint or cell cannot keep it busy for
    /// ever; then the answer is "not now". A scan that passes over a live reader cannot move the hint: it may go further, and
    /// notes how far it has come ([`Skips`](crate::queue::skips)).
    pub(super) fn scan(
        &self,
        word: &AtomicU64,
        careful: bool,
        steps: &mut Steps,
        mut look: impl FnMut(u64) -> Found,
    ) -> core::result::Result<Claim, Refused> {
        let capacity = self.ring.capacity();
        let hint = word.load(Ordering::Acquire); // Q3
        let skips = &self.ring.header().skips;
        let at_once = self.at_once();
        let mut position = if pos::index(hint) < capacity { hint } else { pos::position(pos::lap(hint), 0) };
        let mut from = Some(hint);
        let mut over = None;
        // Behind the reader that was passed over last.
        let mut walk: Option<Walk> = None;
        let mut used = Used::default();
        let end = |walk: &mut Option<Walk>, used: &mut Used, position| {
            if let Some(walk) = walk.take() {
                walk.end(skips, used, |from| pos::distance(from, position, capacity));
            }
        };
        let mut backoff = 1;
        steps.begin();
        while steps.next() {
            let step = steps.in_this_walk();
            if step > at_once && from.is_some() {
                break;
            }
            match look(position) {
                Found::Mine { again } => {
                    end(&mut walk, &mut used, position);
                    return Ok(Claim { position, again, hint: from, careful });
                }
                Found::GoTo { position: to, passed } => {
                    let is_next = to == pos::next(position, capacity);
                    let mut to = to;
                    // A message that is borrowed, or was until now.
                    if is_next
                        && (passed.is_some() || step == 1 && core::ptr::eq(word, &self.ring.header().head))
                        && let Some(cells) = skips.from(position, capacity, &mut used)
                    {
                        to = pos::beyond(position, cells.max(1), capacity);
                    }
                    if passed.is_some() {
                        from = None;
                        over = passed;
                        end(&mut walk, &mut used, position);
                        walk = Some(Walk::behind(position));
                    } else if !is_next {
                        walk = None;
                    } else if let Some(walk) = walk.as_mut() {
                        walk.step();
                    }
                    position = to;
                }
                Found::Again => {
                    // Back off after every lost claim, the first included: that leaves the line with the winner.
                    for _ in 0..backoff {
                        spin_loop();
                    }
                    backoff = (backoff * 2).min(16);
                }
                Found::Refused(Refused::NotNow(seen)) => {
                    end(&mut walk, &mut used, position);
                    if from.is_some() && step > FAR {
                        // Q3: everything before it is done. The next scan need not walk there again.
                        let _ = word.compare_exchange(hint, position, Ordering::Release, Ordering::Relaxed);
                    }
                    // A reader that was passed over is in the way, too: its message comes back if it dies.
                    let over = over.filter(|_| !crate::mutant!("passed-reader-forgotten"));
                    return Err(Refused::NotNow(Seen { obstacle: seen.obstacle.or(over), ..seen }));
                }
                Found::Refused(refused) => return Err(refused),
            }
        }
        end(&mut walk, &mut used, position);
        if from.is_some() {
            // Q3: everything before it is done.
            let _ = word.compare_exchange(hint, position, Ordering::Release, Ordering::Relaxed);
        }
        Err(Refused::Lost)
    }

    /// Reads an owned cell: control, sequence, control again. The sequence only grows. So if the control word names the same
    /// owner before and after, that owner holds the cell at this sequence or a later one.
    pub(super) fn read_owned(&self, me: &Member, index: u32, word: u64) -> Option<OwnedCell> {
        let Ctl::Owned { owner, role } = Ctl::read(word) else { return None };
        let dead = owner.is_none_or(|o| !me.lives(o));
        let sequence = self.ring.seq(index).load(Ordering::Acquire); // Q4
        let again = self.ring.ctl(index).load(Ordering::Acquire);
        (again == word).then_some(OwnedCell { role, dead, owner, sequence })
    }

    /// Replaces a dead owner's word. Free of ABA: a dead id never comes back.
    pub(super) fn replace(&self, index: u32, word: u64, with: u64) -> bool {
        self.ring.ctl(index).compare_exchange(word, with, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    #[inline]
    pub(super) fn claim_push(&self, me: &Member) -> core::result::Result<Claim, Refused> {
        self.claim_push_within(me, &mut self.steps())
    }

    #[inline]
    pub(super) fn claim_push_within(
        &self,
        me: &Member,
        steps: &mut Steps,
    ) -> core::result::Result<Claim, Refused> {
        let header = self.ring.header();
        let careful = header.common.not_empty.is_careful();
        // A push that races with the close may still get in; the seal makes the end exact.
        if careful && self.is_closed() {
            return Err(Refused::Closed);
        }
        self.scan(&header.tail, careful, steps, |position| self.look_to_push(me, position))
    }

    #[inline]
    pub(super) fn claim_pop(&self, me: &Member) -> core::result::Result<Claim, Refused> {
        self.claim_pop_within(me, &mut self.steps())
    }

    #[inline]
    pub(super) fn claim_pop_within(
        &self,
        me: &Member,
        steps: &mut Steps,
    ) -> core::result::Result<Claim, Refused> {
        let header = self.ring.header();
        let careful = header.common.not_full.is_careful();
        self.scan(&header.head, careful, steps, |position| self.look_to_pop(me, position))
    }

    /// A producer looks at the cell of a position.
    #[cold]
    pub(super) fn look_to_push(&self, me: &Member, position: u64) -> Found {
        let capacity = self.ring.capacity();
        let (lap, index) = (pos::lap(position), pos::index(position));
        let word = self.ring.ctl(index).load(Ordering::Acquire);
        let go_to = |position| Found::GoTo { position, passed: None };
        let refused = |obstacle| Found::Refused(Refused::NotNow(Seen { index, word, obstacle }));
        let next_of = |lap| go_to(pos::next(pos::position(lap, index), capacity));
        let mine = owned(me.id(), Role::Writer);
        match Ctl::read(word) {
            Ctl::Idle { lap: at, state } => match (pos::laps_ahead(at, lap), state) {
                (0, EMPTY) => {
                    if self.replace(index, word, mine) {
                        Found::Mine { again: false }
                    } else {
                        Found::Again
                    }
                }
                (_, SEALED) => Found::Refused(Refused::Closed),
                (-1, FULL) => refused(None),
                (-1, SKIP) => self.write_over(me, index, word, mine, position),
                // A lap behind the truth, or scribbled: start where the cell is.
                (..=-1, _) => go_to(pos::position(at, index)),
                // Taken at this lap, or the hint lags by laps.
                (_, EMPTY) => next_of(at.wrapping_sub(1)),
                _ => next_of(at),
            },
            Ctl::Owned { .. } => {
                let Some(cell) = self.read_owned(me, index, word) else { return Found::Again };
                let (at, state) = pos::split(cell.sequence);
                match (pos::laps_ahead(at, lap), cell.role, state, cell.dead) {
                    // Taken at this lap: by a writer, at work or dead (a gap that the consumers pass), or read already.
                    (0, Role::Writer, ..) | (0, Role::Reader, FULL | SKIP, _) => next_of(at),
                    // Freed by a reader that is about to release it, or died before that.
                    (0, Role::Reader, _, true) => self.write_over(me, index, word, mine, position),
                    (0, Role::Reader, _, false) => refused(cell.owner),
                    // A dead writer's cell of the last lap: nothing was published, so it is free.
                    (-1, Role::Writer, EMPTY, true) | (-1, _, SKIP, true) => {
                        self.write_over(me, index, word, mine, position)
                    }
                    // A message of the last lap: unread, being read, or to be delivered again.
                    (-1, _, _, true) => refused(None),
                    (-1, _, _, false) => refused(cell.owner),
                    (..=-1, ..) => go_to(pos::position(at, index)),
                    (_, Role::Reader, EMPTY, _) => next_of(at.wrapping_sub(1)),
                    _ => next_of(at),
                }
            }
        }
    }

    /// Lap and state of a cell, whoever owns it, and who that is.
    pub(super) fn read_cell(&self, me: &Member, index: u32) -> Option<(u64, u64, Hands)> {
        let word = self.ring.ctl(index).load(Ordering::Acquire);
        match Ctl::read(word) {
            Ctl::Idle { lap, state } => Some((lap, state, Hands::Nobody)),
            Ctl::Owned { .. } => {
                let cell = self.read_owned(me, index, word)?;
                let (lap, state) = pos::split(cell.sequence);
                Some((lap, state, if cell.dead { Hands::Dead(cell.role) } else { Hands::Live(cell.role) }))
            }
        }
    }

    /// What the cell at a position means to consumers that have passed everything before it.
    pub(super) fn seen_by_consumers(&self, me: &Member, position: u64) -> Behind {
        // A cell that changes has an owner that does its own counting.
        let Some((at, state, hands)) = self.read_cell(me, pos::index(position)) else {
            return Behind::InTheWay;
        };
        match (pos::laps_ahead(at, pos::lap(position)), state, hands) {
            (0, FULL, Hands::Nobody | Hands::Dead(_)) => Behind::Ready,
            // Done, or being read, or a gap that a dead writer left.
            (1.., ..) | (0, FULL, Hands::Live(Role::Reader)) | (0, EMPTY | SKIP, Hands::Dead(_)) => {
                Behind::Past
            }
            _ => Behind::InTheWay,
        }
    }

    /// What it means to producers.
    pub(super) fn seen_by_producers(&self, me: &Member, position: u64) -> Behind {
        let Some((at, state, hands)) = self.read_cell(me, pos::index(position)) else {
            return Behind::InTheWay;
        };
        match (pos::laps_ahead(at, pos::lap(position)), state, hands) {
            // Of the dead: a reader that had consumed the message; a writer that had published nothing.
            (0, EMPTY, Hands::Nobody | Hands::Dead(_)) | (-1, EMPTY | SKIP, Hands::Dead(_)) => Behind::Ready,
            // Claimed by a thread that did not sleep, perhaps done by now.
            (1.., ..) | (0, EMPTY, Hands::Live(Role::Writer)) | (0, FULL | SKIP, _) => Behind::Past,
            _ => Behind::InTheWay,
        }
    }

    /// Takes a cell that is free but does not say so, as the writer of this position. A death right after the exchange leaves
    /// a dead writer at the old sequence, so the cell is still free.
    fn write_over(&self, me: &Member, index: u32, word: u64, mine: u64, position: u64) -> Found {
        if !self.replace(index, word, mine) {
            return Found::Again;
        }
        crate::crash_window!("Q-w: a gap of the last lap is ours, and still looks like one");
        self.ring.seq(index).store(idle(position, EMPTY), Ordering::Release);
        // Whoever came meanwhile may have taken us for a writer of the last lap: a consumer, though that lap's messages lie behind
        // it, and a producer, though there may be room behind it.
        let header = self.ring.header();
        if !crate::mutant!("write-over-untold") {
            header.common.not_empty.wake(me.table(), || u32::MAX);
        }
        if !crate::mutant!("write-over-producers-untold") {
            header.common.not_full.wake(me.table(), || u32::MAX);
        }
        Found::Mine { again: false }
    }

    /// A consumer looks at the cell of a position.
    #[inline]
    fn look_to_pop(&self, me: &Member, position: u64) -> Found {
        let capacity = self.ring.capacity();
        let (lap, index) = (pos::lap(position), pos::index(position));
        let word = self.ring.ctl(index).load(Ordering::Acquire);
        let go_to = |position| Found::GoTo { position, passed: None };
        let refused = |obstacle| Found::Refused(Refused::NotNow(Seen { index, word, obstacle }));
        // Read already, or aborted, perhaps laps ago. No lap is skipped that this cell knows nothing about.
        let go_past = |at| {
            let past = pos::past_done(position, at, capacity);
            go_to(past.unwrap_or_else(|| pos::next(position, capacity)))
        };
        let mine = owned(me.id(), Role::Reader);
        match Ctl::read(word) {
            Ctl::Idle { lap: at, state } => match (pos::laps_ahead(at, lap), state) {
                (0, FULL) => {
                    if self.replace(index, word, mine) {
                        Found::Mine { again: word & AGAIN != 0 && !crate::mutant!("put-back-untold") }
                    } else {
                        Found::Again
                    }
                }
                (0, SKIP) => self.free(me, index, word, position),
                (0, EMPTY) if self.is_closed() => {
                    // The end becomes exact: no producer passes a sealed cell.
                    if self.replace(index, word, idle(position, SEALED)) {
                        Found::Refused(Refused::Closed)
                    } else {
                        Found::Again
                    }
                }
                (0, EMPTY) => refused(None),
                (0, _) => Found::Refused(Refused::Closed),
                // Beyond the truth (scribbled): start where the cell is.
                (..=-1, _) => go_to(pos::position(at, index)),
                _ => go_past((at, state)),
            },
            Ctl::Owned { .. } => {
                let Some(cell) = self.read_owned(me, index, word) else { return Found::Again };
                let (at, state) = pos::split(cell.sequence);
                match (pos::laps_ahead(at, lap), cell.role, state, cell.dead) {
                    (0, Role::Writer, EMPTY, true) => self.pass_gap(me, index, word, position),
                    (0, _, SKIP, true) => self.free(me, index, word, position),
                    // Committed by a writer that died, or borrowed by a reader that died.
                    (0, role, FULL, true) => {
                        if self.replace(index, word, mine) {
                            Found::Mine {
                                again: role == Role::Reader && !crate::mutant!("redelivery-untold"),
                            }
                        } else {
                            Found::Again
                        }
                    }
                    // Somebody is reading it: go on to the next one.
                    (0, Role::Reader, FULL | SKIP, false) => {
                        Found::GoTo { position: pos::next(position, capacity), passed: cell.owner }
                    }
                    // Being written: nothing to read yet.
                    (0, Role::Writer, _, false) => refused(cell.owner),
                    // Freed for this lap by a reader that is about to release it, or died: nothing to read yet.
                    (0, Role::Reader, _, true) => {
                        self.replace(index, word, cell.sequence);
                        Found::Again
                    }
                    (0, Role::Reader, _, false) => refused(cell.owner),
                    // All round the ring: everything left is being read.
                    (-1, Role::Reader, FULL | SKIP, false) => refused(cell.owner),
                    (..=-1, ..) => go_to(pos::position(at, index)),
                    _ => go_past((at, state)),
                }
            }
        }
    }

    /// Frees a skipped cell.
    fn free(&self, me: &Member, index: u32, word: u64, position: u64) -> Found {
        if !self.replace(index, word, owned(me.id(), Role::Reader)) {
            return Found::Again;
        }
        self.make_room(me, index, position)
    }

    /// Moves the cell of a writer that died before its commit to the next lap. First as its writer, which commits that it is
    /// skipped: a death before that leaves a dead writer again. Then as the reader of the skipped cell: a death leaves a cell
    /// to be freed, or a freed one. (A dead writer at the *next* lap would be a gap there, and its room would be lost until the
    /// consumers come round.)
    fn pass_gap(&self, me: &Member, index: u32, word: u64, position: u64) -> Found {
        if crate::mutant!("gap-not-passed") {
            return Found::Refused(Refused::NotNow(Seen { index, word, obstacle: None }));
        }
        if !self.replace(index, word, owned(me.id(), Role::Writer)) {
            return Found::Again;
        }
        if !crate::mutant!("gap-left-behind") {
            self.ring.seq(index).store(idle(position, SKIP), Ordering::Release); // Q4
            self.ring.ctl(index).store(owned(me.id(), Role::Reader), Ordering::Release);
        }
        self.make_room(me, index, position)
    }

    /// Frees an owned cell without a message for the next lap's producers, one of which may sleep for it. Consumers that slept
    /// because of it may find any number of messages behind it, so all are woken.
    pub(super) fn make_room(&self, me: &Member, index: u32, position: u64) -> Found {
        let header = self.ring.header();
        let to = idle(position.wrapping_add(LAP), EMPTY);
        self.finish(me, index, to, &header.common.not_full, header.common.not_full.is_careful());
        // Relaxed load: as in `publish`. Nobody consumes at this position, so nobody else moves the hint.
        if header.head.load(Ordering::Relaxed) == position {
            header.head.store(pos::next(position, self.ring.capacity()), Ordering::Release); // Q3
        }
        header.common.not_empty.wake(me.table(), || u32::MAX);
        Found::GoTo { position: pos::next(position, self.ring.capacity()), passed: None }
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;
    use crate::queue::mpmc::Ring;
    use crate::queue::mpmc::ring_size;
    use crate::queue::steps::NEAR;
    use core::ptr::NonNull;
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    /// Runs a scan that finds no end, `walks` times as one operation, over `capacity` cells of `element` bytes. Returns its looks.
    #[allow(unsafe_code)]
    fn looks(element: usize, capacity: usize, walks: usize, passed: Option<OwnerId>) -> u64 {
        let size = ring_size(element, capacity).expect("possible");
        let layout = Layout::from_size_align(size, Ring::ALIGN).expect("small");
        // SAFETY: the memory is zeroed, aligned and large enough, and is used by nobody else until it is freed.
        let (memory, queue) = unsafe {
            let memory = NonNull::new(alloc_zeroed(layout)).expect("memory");
            Ring::make(memory, size, element, capacity).expect("makes");
            (memory, RawQueue::new(Ring::attach(memory, size).expect("attaches")))
        };
        let (mut looks, mut steps) = (0, queue.steps());
        for _ in 0..walks {
            let found = queue.scan(&queue.ring.header().head, false, &mut steps, |position| {
                looks += 1;
                Found::GoTo { position: pos::next(position, capacity as u32), passed }
            });
            assert!(matches!(found, Err(Refused::Lost)));
        }
        // SAFETY: as it was allocated.
        unsafe { dealloc(memory.as_ptr(), layout) };
        looks
    }

    #[test]
    fn a_ring_without_an_end_costs_a_bounded_number_of_looks() {
        let reader = Some(OwnerId::new(1, 1));
        // The hint moves: each walk may go on where the last one ended.
        assert_eq!(looks(8, 16, 1, None), 2 * 16 + 4096);
        assert_eq!(looks(8, 1 << 20, 1, None), 1 << 18);
        assert_eq!(looks(4096, 1 << 16, 1, None), 1 << 14);
        // Behind a message in somebody's hands it does not.
        assert_eq!(looks(8, 1 << 20, 1, reader), 3 << 18);
        assert_eq!(looks(4096, 1 << 16, 1, reader), 3 << 14);
    }

    #[test]
    fn a_batch_takes_no_more_than_one_and_a_little_for_each_message() {
        let reader = Some(OwnerId::new(1, 1));
        for walks in [2, 4, 100] {
            for passed in [None, reader] {
                let looks = looks(8, 1 << 20, walks, passed);
                assert!(looks <= (3 << 18) + walks as u64 * NEAR, "{looks} in {walks} walks");
            }
        }
    }
}
