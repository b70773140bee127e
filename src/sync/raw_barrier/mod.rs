//! [`RawBarrier`]: the robust barrier, under [`Barrier`](crate::sync::Barrier) and the C one. Most users never need it: use
//! [`Barrier`](crate::sync::Barrier).
//!
//! **Promise.** A round passes when all parties have come, with exactly one leader; or it is broken, for all alike. It breaks
//! at once when a party dies (on its way, waiting, or computing between two rounds), times out, or aborts,
//! and stays broken until a reset.
//!
//! | word | meaning |
//! |---|---|
//! | bits 32..62 | the generation: the number of the round |
//! | `SLEEPERS`, bit 62 | somebody may sleep |
//! | `BROKEN`, bit 63 | this round is broken, and so is every one until a reset |
//! | bits 0..32 | resets, counted |
//!
//! | seat | meaning |
//! |---|---|
//! | 0 | free: its party never came, or has left |
//! | `id` (+ `ARRIVED` + tag of another round) | belongs to a party that has not come yet: *idle* |
//! | `id + ARRIVED` + this round's tag | its party has come |
//! | any of them, `id` dead | the barrier must be broken |
//!
//! | ends, four words | meaning |
//! |---|---|
//! | bits 0..30 | the round that a reset ended |
//! | bits 32..64 | the number of that reset; the word's index is that number modulo 4 |
//!
//! A thread takes a seat when it first waits, and keeps it until it leaves, so the others know whose death concerns them
//! while it computes. A thread that finds all seats taken takes over an idle one (whose owner, if it comes back, does the
//! same); if all have come, it waits for the next round. A seat is first taken as an idle one, and only then, with the
//! word read again, does its party come: while it has a seat and has not come, the round cannot pass without it. So it
//! never comes to a round that is over. For the same reason, whether a seat is idle or its party has come is judged by a
//! word that is read *after* the seat.
//!
//! **One word decides.** A round ends by one compare-and-swap of the word, from this generation: it passes (by the thread that
//! sees all seats arrived, which is the leader), breaks, or is reset. **A party that looks late** remembers its round and the
//! number of resets. If there was no reset since, its round has passed, however long ago. Otherwise count the rounds since then
//! that passed and were not ended by a reset. If there is none, its own has not passed. If there is one and the party still has
//! its seat, that was its own, as no later one could pass without it. If another thread has its seat, then the *first* reset
//! after it came ended either its round, which then is broken, or a later one. The ends of the last four resets are kept. Only
//! a party whose seat was taken over, and that slept through more resets than that and through a round that passed, is told
//! that its round is broken although it cannot know.
//!
//! **Reset** releases the waiting parties and opens the next round in one exchange, so they may come again at once. Only if a
//! party is dead there are two: its death breaks the round, its seat is freed, the next round is opened. (A thread that would
//! learn of a death from a seat must learn it from the word before the seat is free.)
//!
//! | edge | from | to | what it carries |
//! |---|---|---|---|
//! | B1 | arrival, CAS SeqCst, then all seats, SeqCst | the same of another party | at least one of the last two sees all (Dekker) |
//! | B2 | arrival, CAS Release | the leader's look, Acquire | what the party did before |
//! | B3 | the flip, CAS Release | a party's look at the word, Acquire | what all did before, through B2 |
//! | B4 | `SLEEPERS`, CAS SeqCst, then the seats, SeqCst | a new seat, CAS SeqCst, then the word, SeqCst | the sleeper sees the seat, or the newcomer the sleeper |
//!
//! | window | who dies | what the others see | who notices, how soon | lost |
//! |---|---|---|---|---|
//! | BA-a | a party that computes, or comes | a dead id in a seat | waiting parties on its slot, by the kernel's mark; coming ones by one load | the round: broken |
//! | BA-b | a newcomer, seated after the others' look | as BA-a | asleep: the bell; about to sleep: the seat's word has changed | as BA-a |
//! | BA-c | the last to arrive, before the flip | as BA-a | as BA-a, and the bell | as BA-a |
//! | BA-d | the leader, flipped, not woken | the next round; others asleep | the bell; about to sleep: the word has changed | nothing: the round has passed, its leader is dead |
//! | BA-e | a thread that broke or reset it, not woken | a broken or new round | as BA-d | nothing |
//! | BA-f | a resetter, the end noted, before the new round | what was before; a dead party's seat may be free, the round is broken then | no action needed | the reset, which never returned |
//! | BA-h | a resetter, before it has tidied the seats | marks of a round that is over: idle | no action needed; the next reset does it | nothing |
//! | BA-g | a thread that took over an idle seat | as BA-a | asleep: the bell; about to sleep: the net, at most 50 ms | as BA-a |
//!
//! A death that the kernel does not report is found by the net, within 50 ms, by a thread that sleeps on the dead party's seat:
//! by all that looked after it took its seat, and by one that it wakes for this purpose when it comes for the first time. With
//! more than 120 parties each sleeper watches 120 at a time in turn, and the net finds the rest.
//!
//! A party that has spun in vain yields once (`sched_yield`) before it sleeps: parties that share a processor then pass most
//! rounds without a sleep and a wake-up (3.6 µs a round instead of 9.3; a bare futex needs 3.9).
//!
//! **In slices** ([`RawBarrier::wait_slice`]): a party whose slice runs out has come, and is neither spinning nor asleep: BA-a.
//!
//! Rejected: one bit for how each of the last 32 rounds ended (a party that looked later was told that a round that had passed
//! was broken); a count of arrivals (a death between counting and acting leaves it wrong for ever); one seat for each member of
//! the segment (the number of parties could not be chosen, and nobody would know whose death concerns whom).

mod round;

pub(super) use round::{BROKEN, arrived_in, generation, marks};

use super::cells::{Cells, fence_behind_rmw};
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{ErrorKind, Result};
use crate::member::{Member, OwnerId, Owners, Retries, Spin, Updated, update};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;
use round::{GENERATION, SLEEPERS, end, is_older, passed, passes, reopened, resets};

/// One party's round, as it remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Came {
    round: u64,
    resets: u32,
}

/// One thread's wait in slices, between two slices: see [`Barrier::wait_slice`](crate::sync::Barrier::wait_slice). All-zero: it
/// has not come yet. It belongs to that thread and lies in its private memory.
///
/// # Examples
/// ```
/// let turn = interproc::sync::BarrierTurn::new();
/// assert!(!turn.has_come());
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BarrierTurn {
    /// The round to which it has come, and `HAS_COME`.
    round: u64,
    /// The number of resets before that.
    resets: u64,
}

impl BarrierTurn {
    const HAS_COME: u64 = 1 << 63;

    /// It has not come yet.
    pub const fn new() -> Self {
        BarrierTurn { round: 0, resets: 0 }
    }

    /// Whether it has come to a round and waits for its end.
    pub const fn has_come(&self) -> bool {
        self.round & Self::HAS_COME != 0
    }
}

/// The barrier. All operations take the calling thread's member of the segment in which the cells lie. Most users never need
/// it: see [`Barrier`](crate::sync::Barrier).
#[derive(Clone, Copy)]
#[cfg_attr(not(interproc_loom), derive(Debug))]
pub struct RawBarrier {
    cells: Cells,
}

/// Who sleeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A party that has come.
    Party,
    /// A thread that found no seat.
    OneTooMany,
}

/// What a look at the seats found.
enum Seats {
    /// All have come.
    Complete,
    /// A party is dead.
    Dead,
    /// Some are missing.
    Missing,
}

impl RawBarrier {
    /// The barrier on these cells: one party for each.
    pub fn new(cells: Cells) -> Self {
        RawBarrier { cells }
    }

    /// Its cells.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// How many must come.
    pub fn parties(&self) -> u32 {
        self.cells.count()
    }

    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        &self.cells.head().word
    }

    /// Waits until all parties have come, or until `deadline` if one is given. Returns whether the caller is the round's leader.
    ///
    /// # Errors
    /// `Broken`; `TimedOut`, which breaks the barrier for the others.
    pub fn wait(&self, me: &Member, deadline: Option<Deadline>) -> Result<bool> {
        // From here on our death rings the bell.
        let pending = me.pend();
        let result = self.come(me, deadline).and_then(|came| match came {
            Some(came) => self.stay(me, came, true, deadline),
            None => Ok(true),
        });
        me.unpend(pending);
        result
    }

    /// [`RawBarrier::wait`] in slices: when `deadline` passes nothing is broken. The caller still counts as having come, and
    /// goes on with the same `turn`. Any other result ends the turn.
    ///
    /// # Errors
    /// `Broken`; `TimedOut`: call it again. A caller that will not go on must abort or leave.
    pub fn wait_slice(&self, me: &Member, turn: &mut BarrierTurn, deadline: Deadline) -> Result<bool> {
        let pending = me.pend();
        let came = if turn.has_come() {
            Ok(Some(Came { round: turn.round & !BarrierTurn::HAS_COME, resets: turn.resets as u32 }))
        } else {
            self.come(me, Some(deadline))
        };
        let result = came.and_then(|came| match came {
            Some(came) => {
                *turn = BarrierTurn { round: came.round | BarrierTurn::HAS_COME, resets: came.resets.into() };
                self.stay(me, came, false, Some(deadline))
            }
            None => Ok(true),
        });
        me.unpend(pending);
        if result.as_ref().is_err_and(|e| e.kind() == ErrorKind::TimedOut) {
            return result;
        }
        *turn = BarrierTurn::new();
        result
    }

    /// Comes to a round. `None`: all have come, and the caller is the leader.
    fn come(&self, me: &Member, deadline: Option<Deadline>) -> Result<Option<Came>> {
        let mut retries = Retries::new();
        let came = loop {
            if !retries.again_until(deadline) {
                return Err(ErrorKind::TimedOut.into());
            }
            let seat = self.seat_of(me);
            // Read after the seat: see above.
            let word = self.word().load(Ordering::Acquire);
            if word & BROKEN != 0 {
                return Err(ErrorKind::Broken.into());
            }
            if let Some((seat, old)) = seat {
                let mine = me.id().bits() | arrived_in(generation(word));
                // B1, B2. Fails only if another thread takes the seat over.
                if seat.compare_exchange(old, mine, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                    break Came { round: generation(word), resets: resets(word) };
                }
                continue;
            }
            let free = |old| OwnerId::of(old).is_none();
            let mut seated = self.be_seated(me, free);
            if !seated {
                // Nobody may take a dead party's seat until a reset.
                if self.some_party_is_dead(me) {
                    self.break_round(generation(word));
                    continue;
                }
                let now = || self.word().load(Ordering::Acquire);
                let idle = |old| !self.is_dead(me, old) && marks(old) != arrived_in(generation(now()));
                seated = self.be_seated(me, idle);
            }
            if seated {
                if crate::mutant!("comes-with-its-seat")
                    && let Some((seat, old)) = self.seat_of(me)
                {
                    let mine = me.id().bits() | arrived_in(generation(word));
                    if seat.compare_exchange(old, mine, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                        break Came { round: generation(word), resets: resets(word) };
                    }
                }
                continue;
            }
            // All have come, and we are one too many: wait for the next round. If that takes too long, nothing is broken.
            if self.sleep(me, word, Role::OneTooMany, &mut Owners::new(), 0, deadline) == Woken::TimedOut {
                return Err(ErrorKind::TimedOut.into());
            }
        };
        crate::crash_window!("BA-c: arrived, not looked");
        if let Seats::Complete = self.look(me, came.round, 0, None)
            && self.flip(came.round)
        {
            return Ok(None);
        }
        Ok(Some(came))
    }

    /// Waits for the end of the round to which the caller has come. `breaks`: whether a time-out breaks the round.
    fn stay(&self, me: &Member, came: Came, breaks: bool, deadline: Option<Deadline>) -> Result<bool> {
        let mut spin = Spin::new(me.spinning());
        let mut retries = Retries::new();
        let mut owners = Owners::new();
        let mut from = 0;
        #[cfg(not(interproc_loom))]
        let mut gave_way = false;
        loop {
            if !retries.again_until(deadline) && (!breaks || self.break_round(came.round)) {
                return Err(ErrorKind::TimedOut.into());
            }
            // B3
            let word = self.word().load(Ordering::Acquire);
            if generation(word) != came.round {
                spin.done();
                return if self.has_passed(me, word, came) {
                    Ok(false)
                } else {
                    Err(ErrorKind::Broken.into())
                };
            }
            if word & BROKEN != 0 {
                return Err(ErrorKind::Broken.into());
            }
            if spin.again() {
                continue;
            }
            spin.failed();
            #[cfg(not(interproc_loom))]
            if !core::mem::replace(&mut gave_way, true) {
                // A party that shares our processor can come now, without a sleep and a wake-up, which takes half the time.
                crate::sys::task::give_way();
                continue;
            }
            match self.sleep(me, word, Role::Party, &mut owners, from, deadline) {
                Woken::TimedOut if !breaks || self.break_round(came.round) => {
                    return Err(ErrorKind::TimedOut.into());
                }
                _ if owners.beyond() => from = (from + Owners::MOST as u32) % self.parties(),
                _ => {}
            }
        }
    }

    /// Whether the caller's round, which is no longer this word's, passed.
    fn has_passed(&self, me: &Member, word: u64, came: Came) -> bool {
        if crate::mutant!("barrier-short-memory") && generation(word) != came.round + 1 {
            return false;
        }
        if resets(word) == came.resets {
            return true;
        }
        if passes(generation(word), resets(word)) == passes(came.round, came.resets) {
            return false;
        }
        // Its seat is still its own after the look at the word, so it was at that time.
        if self.seat_of(me).is_some() && !crate::mutant!("barrier-trusts-notes-alone") {
            return true;
        }
        // Acquire: noted before the reset of which the word tells.
        let ended = self.ends(came.resets).load(Ordering::Acquire);
        (ended >> 32) as u32 == came.resets && ended & GENERATION >> 32 != came.round
    }

    /// The word for the end that the reset with this number made.
    fn ends(&self, resets: u32) -> &AtomicU64 {
        let ends = &self.cells.head().more;
        &ends[resets as usize % ends.len()]
    }

    /// The caller's seat, if it has one, with its value.
    fn seat_of(&self, me: &Member) -> Option<(&AtomicU64, u64)> {
        let mut seats = self.cells.from(self.cells.start(me.id().slot()));
        seats.find_map(|(_, seat)| {
            let old = seat.load(Ordering::Relaxed);
            (OwnerId::of(old) == Some(me.id())).then_some((seat, old))
        })
    }

    /// Takes a seat for which `may` answers true, for a caller that has not come yet. False if there is none.
    fn be_seated(&self, me: &Member, may: impl Fn(u64) -> bool) -> bool {
        let seated = self.cells.from(self.cells.start(me.id().slot())).any(|(_, seat)| {
            // Acquire: `may` does not read the word as of before this.
            let old = seat.load(Ordering::Acquire);
            // B4
            may(old)
                && seat.compare_exchange(old, me.id().bits(), Ordering::SeqCst, Ordering::Relaxed).is_ok()
        });
        if !seated {
            return false;
        }
        crate::crash_window!("BA-b: newly seated");
        // B4: a sleeper must look again, to watch us.
        fence_behind_rmw();
        if self.word().load(Ordering::SeqCst) & SLEEPERS != 0 {
            futex::wake(Word::High(self.word()), 1);
        }
        true
    }

    fn is_dead(&self, me: &Member, seat: u64) -> bool {
        OwnerId::of(seat).is_some_and(|id| !me.lives(id))
    }

    fn some_party_is_dead(&self, me: &Member) -> bool {
        self.cells.from(0).any(|(_, seat)| self.is_dead(me, seat.load(Ordering::Acquire)))
    }

    /// Looks at all seats, after an arrival or an announcement. For a sleeper, notes whom and what to watch.
    fn look<'a>(
        &'a self,
        me: &Member,
        round: u64,
        from: u32,
        mut watch: Option<(&mut Owners, &mut FreeSeats<'a>)>,
    ) -> Seats {
        // B1, B4: after the caller's read-modify-write.
        fence_behind_rmw();
        let mut complete = true;
        for (_, seat) in self.cells.from(from) {
            // B2
            let word = seat.load(Ordering::SeqCst);
            let arrived = marks(word) == arrived_in(round);
            complete &= arrived;
            if let Some((_, free)) = &mut watch {
                free.arrived += u32::from(arrived);
                free.before_us +=
                    u32::from(arrived && OwnerId::of(word).is_some_and(|id| id.bits() < me.id().bits()));
            }
            match OwnerId::of(word) {
                Some(id) if !me.lives(id) => {
                    if !crate::mutant!("barrier-dead-unseen") {
                        return Seats::Dead;
                    }
                }
                // Our own death wakes nobody here.
                Some(id) if id == me.id() => {}
                Some(id) => {
                    if let Some((owners, _)) = &mut watch {
                        owners.push(id);
                    }
                }
                None => {
                    complete = false;
                    if let Some((_, free)) = &mut watch {
                        free.push(seat);
                    }
                }
            }
            if watch.is_none() && !complete {
                // The caller only asked for completeness; a death shows before a sleep.
                return Seats::Missing;
            }
        }
        if complete { Seats::Complete } else { Seats::Missing }
    }

    /// Sleeps until this round ends or a party dies, which breaks it. `word` is that of an unbroken round.
    fn sleep(
        &self,
        me: &Member,
        word: u64,
        role: Role,
        owners: &mut Owners,
        from: u32,
        deadline: Option<Deadline>,
    ) -> Woken {
        let round = generation(word);
        let announced = word | SLEEPERS;
        // B4: a read-modify-write even if the flag is set, as the fence before the look.
        if self.word().compare_exchange(word, announced, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return Woken::Changed;
        }
        owners.clear();
        let mut free =
            FreeSeats::new(Watch { word: Word::High(self.word()), expected: (announced >> 32) as u32 });
        match self.look(me, round, from, Some((owners, &mut free))) {
            Seats::Dead => {
                self.break_round(round);
                return Woken::Changed;
            }
            // There is a seat for the caller after all.
            Seats::Missing if role == Role::OneTooMany => return Woken::Changed,
            // Complete: the last to come flips, or if it died, its slot tells.
            Seats::Complete | Seats::Missing => {}
        }
        if free.too_many {
            owners.go_beyond();
        }
        crate::crash_window!("BA-a: about to sleep");
        // Each waiting party verifies a share of all, and two verify each share.
        // Nobody in particular is in the way: of two that have come, neither waits for the other, and another thread may come in
        // place of one that has not.
        me.sleep_on_many(free.as_slice(), owners, None, (free.before_us, free.arrived / 2), deadline)
    }

    /// Lets the round pass. True if it was us: there is one leader.
    fn flip(&self, round: u64) -> bool {
        self.turn(round, |word| (word & BROKEN == 0).then(|| passed(word)))
    }

    /// Breaks the round, if it is still current and not broken. True if it was us.
    fn break_round(&self, round: u64) -> bool {
        self.turn(round, |word| if word & BROKEN != 0 { None } else { Some(word & !SLEEPERS | BROKEN) })
    }

    /// Changes the word of a round, and wakes all sleepers. False if the round is over, or if `to` answers `None`. The caller's
    /// pending pointer is at the bell.
    fn turn(&self, round: u64, to: impl Fn(u64) -> Option<u64>) -> bool {
        let word = self.word().load(Ordering::Acquire);
        let to = |word| if generation(word) == round { to(word) } else { None };
        // B3
        let Updated::From(word) = update(self.word(), word, (Ordering::AcqRel, Ordering::Acquire), to) else {
            return false;
        };
        crate::crash_window!("BA-d, BA-e: the round is over, nobody woken");
        if word & SLEEPERS != 0 && !crate::mutant!("barrier-no-wake") {
            let n = if crate::mutant!("barrier-wakes-one") { 1 } else { u32::MAX };
            futex::wake(Word::High(self.word()), n);
        }
        true
    }

    /// Breaks the barrier: all waiting parties, and all that come until a reset, get `Broken`.
    pub fn abort(&self, me: &Member) {
        let pending = me.pend();
        self.abort_now();
        me.unpend(pending);
    }

    fn abort_now(&self) {
        let mut retries = Retries::new();
        while retries.again() {
            let word = self.word().load(Ordering::Acquire);
            if word & BROKEN != 0 || self.break_round(generation(word)) {
                return;
            }
        }
        // A peer keeps overwriting it: in any case nobody is kept waiting.
        self.word().fetch_or(BROKEN, Ordering::AcqRel);
        futex::wake(Word::High(self.word()), u32::MAX);
    }

    /// Opens a new round, whatever was before: all waiting parties get `Broken`, and the seats of the dead become free.
    pub fn reset(&self, me: &Member) {
        let pending = me.pend();
        let before = resets(self.word().load(Ordering::Acquire));
        let mut retries = Retries::new();
        while retries.again() {
            let word = self.word().load(Ordering::Acquire);
            let some_dead = self.some_party_is_dead(me);
            if resets(word) != before && !some_dead {
                break; // another reset came in between, which is enough
            }
            if word & BROKEN == 0 && (some_dead || crate::mutant!("reset-breaks-first")) {
                self.break_round(generation(word));
                continue;
            }
            if some_dead {
                self.clear_seats(|old| if self.is_dead(me, old) { 0 } else { old });
            }
            self.note_end(end(resets(word), generation(word)));
            crate::crash_window!("BA-f: the end noted, the round not open");
            let same = |now: u64| resets(now) == resets(word) && (now ^ word) & BROKEN == 0;
            if self.turn(generation(word), |now| same(now).then(|| reopened(now))) {
                crate::crash_window!("BA-h: open, the seats not tidied");
                // A mark that is never removed would become valid again, as there are only 32,768.
                self.clear_seats(|old| {
                    let come = marks(old) == arrived_in(generation(self.word().load(Ordering::Acquire)));
                    if come { old } else { old & !marks(old) }
                });
                break;
            }
        }
        me.unpend(pending);
    }

    /// Notes which round a reset ends, unless a later note is there.
    fn note_end(&self, new: u64) {
        let ends = self.ends((new >> 32) as u32);
        let old = ends.load(Ordering::Relaxed);
        // Release: what the word will tell of.
        let _ = update(ends, old, (Ordering::Release, Ordering::Relaxed), |old| {
            (is_older(old, new) && !crate::mutant!("reset-unnoted")).then_some(new)
        });
    }

    /// Changes the values of idle seats and of those of the dead.
    fn clear_seats(&self, to: impl Fn(u64) -> u64) {
        for (_, seat) in self.cells.from(0) {
            // Acquire: `to` does not read the word as of before this.
            let old = seat.load(Ordering::Acquire);
            let new = to(old);
            if new != old {
                // Fails only if its party has come or left.
                let _ = seat.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Gives up the caller's seat, if it has one: its end no longer concerns the others, and another thread may come instead.
    pub fn leave(&self, me: &Member) {
        for (_, seat) in self.cells.from(self.cells.start(me.id().slot())) {
            let old = seat.load(Ordering::Relaxed);
            if OwnerId::of(old) == Some(me.id()) {
                // Fails only if another thread takes it over.
                let _ = seat.compare_exchange(old, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Whether it is broken, as the next thread to come would find: by a snapshot of the word and of the seats.
    pub fn is_broken(&self, me: &Member) -> bool {
        // Acquire: a thread that sees it broken sees what came before.
        self.word().load(Ordering::Acquire) & BROKEN != 0 || self.some_party_is_dead(me)
    }

    /// How many have come to the current round and wait; 0 while it is broken: a snapshot.
    pub fn n_waiting(&self, me: &Member) -> u32 {
        let word = self.word().load(Ordering::Acquire);
        if word & BROKEN != 0 {
            return 0;
        }
        let waits = |seat: u64| {
            marks(seat) == arrived_in(generation(word)) && OwnerId::of(seat).is_some_and(|id| me.lives(id))
        };
        self.cells.from(0).filter(|(_, seat)| waits(seat.load(Ordering::Acquire))).count() as u32
    }

    /// Whose seat this is, dead or alive, and whether it has come to the current round: a snapshot.
    pub fn seat(&self, index: u32) -> Option<(OwnerId, bool)> {
        let word = self.word().load(Ordering::Acquire);
        let seat = self.cells.cell(index)?.load(Ordering::Acquire);
        Some((OwnerId::of(seat)?, marks(seat) == arrived_in(generation(word))))
    }
}

/// A sleeper's watches: the word, and the free seats. If a sleeper did not notice that a seat is taken, it would not watch the
/// thread that took it.
struct FreeSeats<'a> {
    watches: [Watch<'a>; 1 + Owners::MOST],
    len: usize,
    too_many: bool,
    /// How many have come, and how many of them have smaller ids than the caller.
    arrived: u32,
    before_us: u32,
}

impl<'a> FreeSeats<'a> {
    fn new(word: Watch<'a>) -> Self {
        FreeSeats { watches: [word; 1 + Owners::MOST], len: 1, too_many: false, arrived: 0, before_us: 0 }
    }

    fn push(&mut self, seat: &'a AtomicU64) {
        if crate::mutant!("barrier-no-seat-watch") {
            return;
        }
        let Some(place) = self.watches.get_mut(self.len) else {
            self.too_many = true;
            return;
        };
        // This half is the generation of an owner, which is never 0.
        *place = Watch { word: Word::Low(seat), expected: 0 };
        self.len += 1;
    }

    fn as_slice(&self) -> &[Watch<'a>] {
        &self.watches[..self.len]
    }
}
