//! Walks over the boundaries of the byte ring: how room and messages are claimed, and how dead owners are passed.
//!
//! The rules are in the head of [`super::raw`]. Every walk starts at a true boundary (a hint or the head) and goes from record to
//! record.

use super::raw::{Claim, RawByteQueue, Refused, Seen};
use super::word::{self, Ctl, EMPTY, FREED, FULL, SEALED, after, ahead, idle, owned};
use crate::atomic::{Ordering, spin_loop};
use crate::member::{Member, OwnerId, Owners};
use crate::queue::position::{self as pos, Role, beyond};
use crate::queue::skips::{Used, Walk};
use crate::queue::steps::Steps;

/// How many freed records a producer moves the head over beyond what it needs.
const MORE: u32 = 16;
/// After this many steps a walk moves the hint to where it is, and its caller tries again. No hint lags that far as long as all
/// keep the rules, and no attempt takes long in a large ring.
const AT_ONCE: u64 = 1 << 18;
/// How far a walk goes that cannot move the hint, as it has passed over a borrowed message: in rings of up to a million granules a
/// lap. See [`Skips`](crate::queue::skips). A call that waits goes twice as far each time.
const MOST_AT_ONCE: u64 = 4 * AT_ONCE;
/// How many records a waker examines to learn how many sleepers to wake.
const COUNTED: u32 = 64;

/// What is at a boundary.
pub(super) enum At {
    /// Nothing yet: the next record begins here.
    Unclaimed,
    /// A record that nobody owns.
    Idle { granules: u32, state: u64 },
    /// A record with an owner, alive or dead.
    Owned { granules: u32, owner: Option<OwnerId>, role: Role },
    /// The record of the lap before, at the head: the ring is full, and this boundary is unclaimed.
    Round { owner: Option<OwnerId> },
    /// The end.
    Sealed,
    /// The head is beyond it: the walk started too far behind.
    Passed,
    /// An impossible word.
    Broken,
}

/// Whether a record's owner lives.
enum Fate {
    Lives(OwnerId),
    Dead,
    /// The word has changed, or was of another lap: look again.
    Changed,
}

/// A pause after a lost claim, twice as long each time.
struct BackOff(u32);

impl BackOff {
    fn lost(&mut self) {
        for _ in 0..self.0 {
            spin_loop();
        }
        self.0 = (self.0 * 2).min(16);
    }
}

impl RawByteQueue {
    /// A lap of records, and some more that changed meanwhile.
    fn a_lap(&self) -> u64 {
        u64::from(self.ring.granules()) + 4096
    }

    /// A hint, turned into a valid position whatever it is.
    #[inline(always)]
    fn sane(&self, hint: u64) -> u64 {
        if pos::index(hint) < self.ring.granules() { hint } else { pos::position(pos::lap(hint), 0) }
    }

    #[inline(always)]
    pub(super) fn head(&self) -> u64 {
        self.sane(self.ring.header().head.load(Ordering::Acquire)) // B3
    }

    pub(super) fn read_hint(&self) -> u64 {
        self.sane(self.ring.header().read.load(Ordering::Acquire)) // B4
    }

    pub(super) fn tail_hint(&self) -> u64 {
        self.sane(self.ring.header().tail.load(Ordering::Acquire)) // B4
    }

    /// Reads what is at a boundary, and the word that says so.
    #[inline]
    pub(super) fn look(&self, position: u64) -> (u64, At) {
        let index = pos::index(position);
        let word = self.ring.ctl(index).load(Ordering::Acquire); // B1, B2
        let at = self.judge(position, word);
        if matches!(at, At::Owned { .. }) && !crate::mutant!("byte-lap-looked-once") {
            return self.look_between_heads(position);
        }
        (word, at)
    }

    /// An owned word carries no lap. It is of this lap if the head had left the lap before when the word was *read* (the word of
    /// that lap was freed by then), and is not beyond this position afterwards (a claimer for the next lap has first seen the
    /// head beyond). The caller has just looked at the head: it had left the lap before.
    #[cold]
    fn look_between_heads(&self, position: u64) -> (u64, At) {
        let word = self.ring.ctl(pos::index(position)).load(Ordering::Acquire); // B1, B2
        (word, self.judge(position, word))
    }

    /// What a word says about a boundary. An owned word is of the lap before if the head, read after it, is a whole lap behind;
    /// and perhaps of a later lap if the head is beyond.
    #[inline]
    fn judge(&self, position: u64, word: u64) -> At {
        let capacity = self.ring.granules();
        let fits = |granules: u32| granules != 0 && granules <= capacity - pos::index(position);
        match Ctl::read(word) {
            Ctl::Idle { lap, granules, state } => match (pos::laps_ahead(lap, pos::lap(position)), state) {
                (_, EMPTY) | (..=-1, _) => At::Unclaimed,
                (0, SEALED) => At::Sealed,
                (0, _) if fits(granules) => At::Idle { granules, state },
                (0, _) => At::Broken,
                _ => At::Passed,
            },
            Ctl::Owned { granules, owner, role } => match ahead(position, self.head(), capacity) {
                ..=-1 if !crate::mutant!("byte-lap-unchecked") => At::Passed,
                d if d >= i64::from(capacity) => At::Round { owner },
                _ if fits(granules) => At::Owned { granules, owner, role },
                _ => At::Broken,
            },
        }
    }

    /// Whether the owner of a word at a boundary lives. A dead owner's word stays until somebody replaces it. So, read again
    /// after the verdict, it is the last that this owner wrote; then the lap is checked again.
    fn fate(&self, me: &Member, position: u64, word: u64, owner: Option<OwnerId>) -> Fate {
        if let Some(owner) = owner.filter(|&owner| me.lives(owner)) {
            return Fate::Lives(owner);
        }
        let (again, at) = self.look(position);
        if again == word && matches!(at, At::Owned { .. }) { Fate::Dead } else { Fate::Changed }
    }

    /// Replaces an idle word, or a dead owner's. Free of ABA: neither laps nor the dead come again. (Never a living owner's: it may
    /// write the same word for the next lap.)
    #[inline(always)]
    fn replace(&self, position: u64, word: u64, with: u64) -> bool {
        // Release: whoever reads an owned word sees the head that its claimer saw (B3). Acquire: B1, B2.
        self.ring
            .ctl(pos::index(position))
            .compare_exchange(word, with, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Frees the record of a writer that died in it, in one step, so nobody can die in the middle. Both sides may have waited
    /// for it: room becomes free, and the messages behind it come into reach.
    #[cold]
    fn pass_gap(&self, me: &Member, position: u64, word: u64, granules: u32) {
        if crate::mutant!("byte-gap-not-passed") {
            return;
        }
        if self.replace(position, word, idle(position, granules, FREED)) {
            crate::crash_window!("BQ-g: gap freed, nobody woken");
            let header = self.ring.header();
            header.common.not_full.wake(me.table(), || u32::MAX);
            header.common.not_empty.wake(me.table(), || u32::MAX);
        }
    }

    fn refused(&self, position: u64, word: u64, obstacle: Option<OwnerId>) -> Refused {
        Refused::NotNow(Seen { index: pos::index(position), word, obstacle })
    }

    /// The first step of [`claim_space`](Self::claim_space), where it has the usual answer: the record begins at the hint, in this
    /// lap, and has room. `None` says nothing.
    #[inline(always)]
    pub(super) fn claim_space_at_hint(&self, me: &Member, granules: u32) -> Option<Claim> {
        let header = self.ring.header();
        let capacity = self.ring.granules();
        let careful = header.common.not_empty.is_careful();
        let hint = header.tail.load(Ordering::Acquire); // B4
        let index = pos::index(hint);
        if careful || index >= capacity || granules > capacity - index {
            return None;
        }
        let word = self.ring.ctl(index).load(Ordering::Acquire); // B2
        if !word::is_unclaimed(word, hint) {
            return None;
        }
        let room = i64::from(capacity) - ahead(hint, self.head(), capacity);
        let has_room = (i64::from(granules)..=i64::from(capacity)).contains(&room);
        let mine = owned(me.id(), Role::Writer, granules);
        (has_room && self.replace(hint, word, mine))
            .then(|| self.claimed_space(hint, hint, granules, careful))
    }

    /// Moves the hint over a record that was just claimed, if it stands before it.
    #[inline(always)]
    fn claimed_space(&self, hint: u64, position: u64, granules: u32, careful: bool) -> Claim {
        crate::crash_window!("BQ-a: claimed for writing");
        let tail = &self.ring.header().tail;
        // Relaxed load: it only keeps a slower producer from moving the hint back.
        if tail.load(Ordering::Relaxed) == hint {
            tail.store(after(position, granules, self.ring.granules()), Ordering::Release); // B4
        }
        self.claim(position, granules, false, None, careful)
    }

    /// Claims room for a record.
    #[inline(never)]
    pub(super) fn claim_space(&self, me: &Member, granules: u32) -> Result<Claim, Refused> {
        let header = self.ring.header();
        let capacity = self.ring.granules();
        // Read before the claim: a load behind a locked operation waits.
        let careful = header.common.not_empty.is_careful();
        if careful && self.is_closed() {
            return Err(Refused::Closed);
        }
        let hint = header.tail.load(Ordering::Acquire); // B4
        let mut position = self.sane(hint);
        let mut back_off = BackOff(1);
        let mut steps = Steps::new(self.a_lap().min(AT_ONCE));
        while steps.next() {
            let (word, at) = self.look(position);
            match at {
                At::Idle { granules, .. } | At::Owned { granules, .. } => {
                    position = after(position, granules, capacity);
                    continue;
                }
                At::Passed => {
                    position = self.head();
                    continue;
                }
                At::Sealed => return Err(Refused::Closed),
                At::Broken => return Err(Refused::Broken),
                At::Unclaimed | At::Round { .. } => {}
            }
            // A record does not cross the end of the ring. The rest of the lap is claimed only if there is room behind it,
            // too: a push that fails leaves nothing.
            let rest = capacity - pos::index(position);
            let need = if granules <= rest { granules } else { rest + granules };
            let head = self.head();
            let used = ahead(position, head, capacity);
            if !(0..=i64::from(capacity)).contains(&used) {
                position = head;
                continue;
            }
            if used + i64::from(need) > i64::from(capacity) {
                self.make_room(me, position, need, &mut steps)?;
                continue;
            }
            if matches!(at, At::Round { .. }) && !crate::mutant!("byte-round-replaced") {
                // The head has moved since. The word was a living reader's, who may hold the very same word again, for this lap.
                continue;
            }
            if granules > rest {
                if self.replace(position, word, idle(position, rest, FREED)) {
                    crate::crash_window!("BQ-r: rest of the ring filled");
                    position = after(position, rest, capacity);
                } else {
                    back_off.lost();
                }
                continue;
            }
            if !self.replace(position, word, owned(me.id(), Role::Writer, granules)) {
                back_off.lost();
                continue;
            }
            return Ok(self.claimed_space(hint, position, granules, careful));
        }
        // B4: everything before it is claimed.
        let _ = header.tail.compare_exchange(hint, position, Ordering::Release, Ordering::Relaxed);
        Err(Refused::Lost)
    }

    /// Advances the head until a claim of `need` granules at `position` has room, and a little further. `Ok` means: look
    /// again.
    #[cold]
    fn make_room(&self, me: &Member, position: u64, need: u32, steps: &mut Steps) -> Result<(), Refused> {
        let capacity = self.ring.granules();
        let found = self.ring.header().head.load(Ordering::Acquire); // B3
        let head = self.sane(found);
        let enough = |at| ahead(position, at, capacity) + i64::from(need) <= i64::from(capacity);
        let mut at = head;
        // How many records since it was enough, that one included.
        let mut more = None;
        let mut refused = None;
        while steps.next() {
            if at == position || more == Some(MORE) {
                break;
            }
            let (word, what) = self.look(at);
            match what {
                At::Idle { granules, state: FREED } => at = after(at, granules, capacity),
                At::Idle { .. } => {
                    refused = Some(self.refused(at, word, None));
                    break;
                }
                At::Owned { granules, owner, role } => match self.fate(me, at, word, owner) {
                    Fate::Changed => continue,
                    Fate::Dead if role == Role::Writer && !crate::mutant!("byte-gap-not-passed") => {
                        self.pass_gap(me, at, word, granules);
                        continue;
                    }
                    // A message that will be delivered again.
                    Fate::Dead => {
                        refused = Some(self.refused(at, word, None));
                        break;
                    }
                    Fate::Lives(owner) => {
                        refused = Some(self.refused(at, word, Some(owner)));
                        break;
                    }
                },
                // Somebody else has moved the head.
                At::Passed | At::Unclaimed | At::Round { .. } => break,
                At::Sealed => return Err(Refused::Closed),
                At::Broken => return Err(Refused::Broken),
            }
            more = more.map(|more| more + 1).or_else(|| enough(at).then_some(1));
        }
        if at != found {
            // If it fails, somebody else has moved it. B3: after the readers of everything before it.
            let _ = self.ring.header().head.compare_exchange(found, at, Ordering::AcqRel, Ordering::Relaxed);
            crate::crash_window!("BQ-h: head moved, nothing claimed");
        }
        self.ring.header().peak.note(self.unread(position));
        match refused {
            Some(refused) if !enough(at) => Err(refused),
            _ => Ok(()),
        }
    }

    /// The granules between the first unread message and `tail`: a statistic.
    pub(super) fn unread(&self, tail: u64) -> u64 {
        let capacity = self.ring.granules();
        let (read, head) = (self.read_hint(), self.head());
        let from = if ahead(read, head, capacity) > 0 { read } else { head };
        ahead(tail, from, capacity).clamp(0, i64::from(capacity)) as u64
    }

    /// The first step of [`claim_message`](Self::claim_message), where it has the usual answer: the message at the hint. `None`
    /// says nothing.
    #[inline(always)]
    pub(super) fn claim_message_at_hint(&self, me: &Member) -> Option<Claim> {
        let header = self.ring.header();
        let careful = header.common.not_full.is_careful();
        let hint = header.read.load(Ordering::Acquire); // B4
        let index = pos::index(hint);
        if careful || index >= self.ring.granules() {
            return None;
        }
        let word = self.ring.ctl(index).load(Ordering::Acquire); // B1
        let granules = word::full_of(word, hint)?;
        let fits = granules <= self.ring.granules() - index;
        let mine = owned(me.id(), Role::Reader, granules);
        (fits && self.replace(hint, word, mine))
            .then(|| self.claim(hint, granules, false, Some(hint), careful))
    }

    /// Claims the first message. Notes the live readers that it passes in `passed`. `times`: how far it may go behind them.
    #[inline(never)]
    pub(super) fn claim_message(
        &self,
        me: &Member,
        times: u32,
        mut passed: Option<&mut Owners>,
    ) -> Result<Claim, Refused> {
        let header = self.ring.header();
        let capacity = self.ring.granules();
        let careful = header.common.not_full.is_careful();
        let first = header.read.load(Ordering::Acquire); // B4
        let mut hint = Some(first);
        let mut position = self.sane(first);
        let mut back_off = BackOff(1);
        let mut steps = Steps::new(self.a_lap().min(MOST_AT_ONCE * u64::from(times)));
        // Behind the reader that was passed over last.
        let mut walk: Option<Walk> = None;
        let skips = &header.skips;
        let mut used = Used::default();
        let end = |walk: &mut Option<Walk>, used: &mut Used, position| {
            if let Some(walk) = walk.take() {
                let distance = |from| ahead(position, from, capacity).clamp(0, i64::from(capacity)) as u32;
                walk.end(skips, used, distance);
            }
        };
        while steps.next() {
            if steps.in_this_walk() > AT_ONCE && hint.is_some() {
                break;
            }
            let (word, at) = self.look(position);
            match at {
                At::Idle { granules, state: FULL } => {
                    if self.replace(position, word, owned(me.id(), Role::Reader, granules)) {
                        end(&mut walk, &mut used, position);
                        return Ok(self.claim(position, granules, false, hint, careful));
                    }
                    back_off.lost();
                }
                At::Idle { granules, .. } => {
                    walk.iter_mut().for_each(Walk::step);
                    // A message that was borrowed until now.
                    position = match position == first {
                        true => self.past_kept(position, granules, &mut used),
                        false => after(position, granules, capacity),
                    };
                }
                At::Owned { granules, owner, role } => match (self.fate(me, position, word, owner), role) {
                    (Fate::Changed, _) => back_off.lost(),
                    // First in, first out: wait for it.
                    (Fate::Lives(owner), Role::Writer) => {
                        end(&mut walk, &mut used, position);
                        return Err(self.refused(position, word, Some(owner)));
                    }
                    (Fate::Lives(owner), Role::Reader) => {
                        // Its message comes back if it dies.
                        hint = None;
                        if let Some(passed) = passed.as_deref_mut().filter(|_| owner != me.id())
                            && !crate::mutant!("byte-passed-reader-forgotten")
                        {
                            if crate::mutant!("byte-last-passed-only") {
                                passed.clear();
                            }
                            passed.push(owner);
                        }
                        // Before `end`, which may put another message's note in its place.
                        let next = self.past_kept(position, granules, &mut used);
                        end(&mut walk, &mut used, position);
                        walk = Some(Walk::behind(position));
                        position = next;
                    }
                    (Fate::Dead, Role::Writer) => {
                        self.pass_gap(me, position, word, granules);
                        if crate::mutant!("byte-gap-not-passed") {
                            return Err(self.refused(position, word, None));
                        }
                    }
                    (Fate::Dead, Role::Reader) => {
                        if self.replace(position, word, owned(me.id(), Role::Reader, granules)) {
                            end(&mut walk, &mut used, position);
                            let redelivered = !crate::mutant!("byte-redelivery-untold");
                            return Ok(self.claim(position, granules, redelivered, hint, careful));
                        }
                        back_off.lost();
                    }
                },
                At::Passed => (position, walk) = (self.head(), None),
                At::Sealed => return Err(Refused::Closed),
                At::Broken => return Err(Refused::Broken),
                // Everything, all round the ring, is being read.
                At::Round { owner } => match owner.filter(|&o| me.lives(o)) {
                    Some(owner) => return Err(self.refused(position, word, Some(owner))),
                    None => (position, hint, walk) = (self.head(), None, None),
                },
                At::Unclaimed if self.is_closed() => {
                    // The seal takes a granule's word as a claim does: never one of the lap before, at or beyond the head.
                    let head = self.head();
                    if ahead(position, head, capacity) >= i64::from(capacity) {
                        self.make_room(me, position, 1, &mut steps)?;
                        continue;
                    }
                    // This makes the end exact: no producer passes a sealed word.
                    if self.replace(position, word, idle(position, 0, SEALED)) {
                        return Err(Refused::Closed);
                    }
                    back_off.lost();
                }
                At::Unclaimed => {
                    end(&mut walk, &mut used, position);
                    return Err(self.refused(position, word, None));
                }
            }
        }
        end(&mut walk, &mut used, position);
        if hint.is_some() {
            // B4: everything before it is done.
            let _ = header.read.compare_exchange(first, position, Ordering::Release, Ordering::Relaxed);
        }
        Err(Refused::Lost)
    }

    /// How many sleeping consumers to wake after a change at the record before `position`: `own`, and one for each message
    /// behind it, also behind unfinished records. Whoever was woken for those may sleep on the record that was in the way, and
    /// others must now watch the next one. All, once the queue is closed, as the end must reach everybody.
    #[cold]
    pub(super) fn set_free(&self, mut position: u64, own: u32) -> u32 {
        if self.is_closed() {
            return u32::MAX;
        }
        let mut messages = own;
        for _ in 0..COUNTED {
            match self.look(position).1 {
                At::Idle { granules, state } => {
                    messages += u32::from(state == FULL);
                    position = after(position, granules, self.ring.granules());
                }
                At::Owned { granules, .. } => position = after(position, granules, self.ring.granules()),
                _ if crate::mutant!("byte-wake-only-one") => return 1,
                At::Unclaimed | At::Sealed | At::Round { .. } => return messages.max(1),
                At::Passed | At::Broken => break,
            }
        }
        u32::MAX
    }

    /// Visits the records from a position on, up to the first unclaimed boundary: a snapshot.
    pub(super) fn survey(&self, from: u64, mut each: impl FnMut(&At) -> bool) -> u64 {
        let mut position = from;
        // At most a lap of records that are gone, and a lap of those that are there.
        for _ in 0..u64::from(self.ring.granules()) * 2 + 2 {
            let (_, at) = self.look(position);
            match at {
                At::Idle { granules, .. } | At::Owned { granules, .. } => {
                    if !each(&at) {
                        break;
                    }
                    position = after(position, granules, self.ring.granules());
                }
                At::Passed => position = self.head(),
                _ => break,
            }
        }
        position
    }

    /// The live owner of a record that stands between the consumers and the next message, or between the producers and room:
    /// a snapshot.
    pub fn blocker(&self, me: &Member) -> Option<OwnerId> {
        let lives = |owner: Option<OwnerId>| owner.filter(|&o| me.lives(o));
        let mut found = None;
        self.survey(self.read_hint(), |at| match *at {
            At::Owned { owner, role: Role::Writer, .. } => {
                found = lives(owner);
                found.is_none()
            }
            // A message: nothing blocks the consumers.
            At::Idle { state, .. } => state != FULL,
            _ => true,
        });
        if found.is_none() {
            self.survey(self.head(), |at| match *at {
                At::Owned { owner, .. } => {
                    found = lives(owner);
                    false
                }
                At::Idle { state, .. } => state == FREED,
                _ => false,
            });
        }
        found
    }

    /// How many messages are in it, including those that are being read: a snapshot.
    pub fn len(&self) -> usize {
        let mut messages = 0;
        self.survey(self.read_hint(), |at| {
            messages += usize::from(matches!(
                at,
                At::Idle { state: FULL, .. } | At::Owned { role: Role::Reader, .. }
            ));
            true
        });
        messages
    }

    /// Whether there is no message in it: a snapshot.
    pub fn is_empty(&self) -> bool {
        let mut none = true;
        self.survey(self.read_hint(), |at| {
            none &= !matches!(at, At::Idle { state: FULL, .. } | At::Owned { role: Role::Reader, .. });
            none
        });
        none
    }

    /// The granules that are not free, and the position behind them: a snapshot.
    pub(super) fn used(&self) -> (u32, u64) {
        let head = self.survey(self.head(), |at| matches!(at, At::Idle { state: FREED, .. }));
        let tail = self.survey(self.tail_hint(), |_| true);
        let capacity = self.ring.granules();
        (ahead(tail, head, capacity).clamp(0, i64::from(capacity)) as u32, tail)
    }

    /// Moves the read hint, which stood before a message that was borrowed until now, over what is done behind it.
    pub(super) fn move_over_done(&self, claim: &Claim) {
        let next = after(claim.position, claim.granules, self.ring.granules());
        let far = self.past_kept(claim.position, claim.granules, &mut Used::default());
        if far != next {
            // B4: whoever wrote the note has seen all of it done.
            let read = &self.ring.header().read;
            let _ = read.compare_exchange(next, far, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// Where to go from a record that is borrowed, or was until now: as far as a note says that everything is done.
    fn past_kept(&self, position: u64, granules: u32, used: &mut Used) -> u64 {
        let capacity = self.ring.granules();
        match self.ring.header().skips.from(position, capacity, used) {
            Some(far) => beyond(position, far.max(granules), capacity),
            None => after(position, granules, capacity),
        }
    }

    /// Moves the read hint over a record that is read, if it stands before it.
    #[inline(always)]
    pub(super) fn move_read_hint(&self, claim: &Claim) {
        let header = self.ring.header();
        // Relaxed load: it only keeps a slower consumer from moving the hint back.
        if Some(header.read.load(Ordering::Relaxed)) == claim.hint {
            let next = word::after(claim.position, claim.granules, self.ring.granules());
            header.read.store(next, Ordering::Release); // B4
        }
    }
}
