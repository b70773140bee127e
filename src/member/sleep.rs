//! The one way to sleep: on the object's words, the segment's bell and, where an owner is in the way, that owner's slot.
//!
//! Everything that a death requires of a sleeper is done here, so no object can forget it:
//!
//! - A thread woken by the *bell* raises the *alarm*, which wakes everyone in the segment. The kernel wakes only one sleeper
//!   on the bell. The alarm is a separate word: if sleepers passed the wake-up on through the bell, they would wake each
//!   other for ever.
//! - A thread woken by an owner's *slot* wakes everyone on that slot, because the kernel wakes only one there as well. No
//!   second word is needed: nobody goes back to sleep on a slot whose member is dead.
//! - A sleep on an owner that reaches the end of the *net* asks the second channel whether the owner still lives.
//!
//! | kind of sleep | words in the list, in this order | net |
//! |---|---|---|
//! | [`Member::sleep`] | the object's (at most three), alarm, the owner's slot and its generation if there is one, bell | on an owner, or if not `sure` |
//! | [`Member::sleep_beside`] | the object's (at most two), the peer's slot, and without a net its generation | if the peer is in the way, or if not `sure` |
//! | [`Member::sleep_on_many`] | the object's first, alarm, the object's others, the slots of all owners, bell | if there are owners that are not idle, or more words than fit |
//!
//! The first word is the one to be watched where the kernel can watch only one. The bell comes last. A thread that has been
//! woken stays in the kernel's other queues until it runs, so it can receive a wake-up on several of its words; Linux reports
//! the last of them in the list (`futex_unqueue_multiple`). The bell's wake-up is the only one that may have been meant for
//! somebody else alone, so it has to be the one that is reported. A wake-up on the object that arrives together with it is made
//! good by the alarm, one on a slot is passed on beside it.
//!
//! **Stopped sleepers.** SIGSTOP, a tracer or the freezer takes a sleeper out of all its queues at once (to the kernel it is a
//! signal), and when it continues it compares its words again. So a stopped sleeper withholds no wake-up from others. But a
//! thread that was *woken and then stopped before it ran* keeps its wake-up: a message's, the bell's or a slot's. Where others
//! sleep without a net (idle waits: consumers of an empty queue, semaphores, events, conditions), they sleep until it
//! continues or until the next wake-up; nothing is lost. The window lies between a wake-up and the woken thread's first
//! instruction. Rejected remedies: a net under idle sleeps (needless wake-ups, for ever); waking everyone for each message (a
//! crowd for one message); several bells (the kernel rings one for each death).
//!
//! **Fewer words.** `futex_waitv` takes about 0.3 µs for each word, which is most of what two who sleep in turns on one processor
//! lose against a bare futex (an ordinary sleep watches four words here, a condition's five). Considered, and not built:
//!
//! - *The alarm in the bell*, whose upper two bits the kernel leaves alone (from 6.2 on): who falls asleep between the change of the
//!   bits and the wake-up is woken by it, and cannot tell it from the kernel's ring. Where many come and go it would not end.
//! - *The event count as the bell*: two bits of a count go round while a sleeper is on its way.
//! - *Without the word of what refused the sleeper*: then publishers would have to move the count before they publish as well, 2 ns
//!   for each message.
//! - *Beside one peer, its slot alone*, with a bit of that word as a turn, which the peer flips: whoever waits for a lock of that
//!   peer sleeps on this word, too, and `futex_waitv` matches every wake-up. So each message sent under a lock would wake
//!   all who wait for the lock.
//!
//! The caller's pending pointer is at the bell ([`Member::pend`]), so its own death passes the wake-up on.
//!
//! If a watched word changes before the sleep begins, that is not a wake-up, and the caller looks again. A peer that keeps
//! changing a word cannot hold the caller beyond its deadline: after the deadline such a change counts as a time-out, too.
//!
//! A sleeper leaves a note in its slot's page: which word it sleeps on and who is in its way. The note is diagnostic, for
//! people and for deadlock detection, and never used for decisions. Only sleepers pay for it.

use super::table::is_live;
use super::{Life, Member, NET_NS, OwnerId, Table};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;

impl Member {
    /// Sleeps on `watches`, at most three, until a wake-up or the deadline. If `sure` is false, or if an owner is in the way,
    /// no longer than the net. `TimedOut` always means the caller's own deadline, and then no wake-up was consumed; any
    /// other result means: look again. Never returns `Changed` after the deadline.
    pub(crate) fn sleep(
        &self,
        watches: &[Watch<'_>],
        obstacle: Option<OwnerId>,
        sure: bool,
        deadline: Option<Deadline>,
    ) -> Woken {
        self.sleep_for(watches[0].word, watches, obstacle, sure, deadline)
    }

    /// [`Member::sleep`] for an object whose own word is not among the watches: the note names `word` instead.
    pub(crate) fn sleep_for(
        &self,
        word: Word<'_>,
        watches: &[Watch<'_>],
        obstacle: Option<OwnerId>,
        sure: bool,
        deadline: Option<Deadline>,
    ) -> Woken {
        let owners = obstacle.as_slice();
        let net = obstacle.is_some() || !sure;
        self.sleep_by(
            &Sleep { kind: Kind::Ordinary, watches, owners, net, share: ALL, word, obstacle },
            deadline,
        )
    }

    /// Sleeps on `watches`, at most two, when only `peer` can wake us: then watching the peer's slot suffices, and the bell
    /// and the alarm, which cost a third of a microsecond each, are not needed.
    ///
    /// If the peer is `in_the_way` the sleep is bounded by the net, as every sleep on an owner. Otherwise this is an idle
    /// wait: a death that the kernel does not report goes unnoticed here.
    pub(crate) fn sleep_beside(
        &self,
        watches: &[Watch<'_>],
        peer: OwnerId,
        in_the_way: bool,
        sure: bool,
        deadline: Option<Deadline>,
    ) -> Woken {
        let (word, obstacle) = (watches[0].word, in_the_way.then_some(peer));
        let (owners, net) = (&[peer], in_the_way || !sure);
        self.sleep_by(
            &Sleep { kind: Kind::Beside, watches, owners, net, share: ALL, word, obstacle },
            deadline,
        )
    }

    /// [`Member::sleep`] with any number of owners in the way: wakes when one of `watches` changes or one of the owners dies.
    /// `watches` starts with the object's own word, and the owners were alive when the caller looked. Owners
    /// [beyond](Owners::beyond) the end of the list are not watched; the net bounds the sleep, as every sleep on an owner,
    /// so the caller looks again and watches others next time.
    ///
    /// When the net ends the sleep, the owners are verified. Where many threads sleep on the same owners, each need not ask
    /// about all of them: with a `share` of (which, of how many) it asks about that part of the slots, a different part each
    /// time.
    ///
    /// `obstacle` is only for the note: `None` if the sleeper waits for any one of several.
    pub(crate) fn sleep_on_many(
        &self,
        watches: &[Watch<'_>],
        owners: &Owners,
        obstacle: Option<OwnerId>,
        share: (u32, u32),
        deadline: Option<Deadline>,
    ) -> Woken {
        let (word, in_the_way) = (watches[0].word, !owners.as_slice().is_empty() && !owners.idle);
        let net = in_the_way || owners.beyond();
        let owners = owners.as_slice();
        self.sleep_by(&Sleep { kind: Kind::OnMany, watches, owners, net, share, word, obstacle }, deadline)
    }

    fn sleep_by(&self, sleep: &Sleep<'_>, deadline: Option<Deadline>) -> Woken {
        let mut list = futex::List::new(sleep.watches[0]);
        let woken = match Watched::fill(&mut list, self.table(), sleep) {
            Ok(watched) => self.sleep_on(sleep, &list, &watched, deadline),
            Err(Awake::Died) => Woken::Changed,
            Err(Awake::Ending(owner)) => self.await_end(owner, deadline),
        };
        match woken {
            // The sleep did not begin, as something had changed, and the time is up: nothing was consumed.
            Woken::Changed if deadline.is_some_and(Deadline::has_passed) => Woken::TimedOut,
            woken => woken,
        }
    }

    fn sleep_on(
        &self,
        sleep: &Sleep<'_>,
        list: &futex::List<'_>,
        watched: &Watched,
        deadline: Option<Deadline>,
    ) -> Woken {
        let net = sleep.net || !watched.all;
        let until = if net { Deadline::earlier(deadline, Some(Member::net())) } else { deadline };
        #[cfg(not(interproc_loom))]
        let _note = Note::leave(self, sleep.word, sleep.obstacle);
        let woken = list.wait(until);
        match woken {
            Woken::By(at) if at == watched.bell && !crate::mutant!("bell-not-passed-on") => {
                self.table().raise_alarm();
                if !crate::mutant!("bell-hides-a-slot") {
                    self.pass_deaths_on(sleep, usize::MAX); // who sleeps beside a peer does not watch the alarm
                }
            }
            Woken::By(at) if at >= watched.slots && at != watched.bell => {
                self.pass_deaths_on(sleep, at - watched.slots);
            }
            Woken::Interrupted => self.pend_again(),
            Woken::TimedOut if net && deadline.is_none_or(|d| !d.has_passed()) => {
                self.verify_share(sleep);
                return Woken::Interrupted;
            }
            _ => {}
        }
        woken
    }

    /// Wakes the others who sleep on the slot that woke us. If several owners have died we are told of one or of none, and may have
    /// taken the wake-up of each: also of one whose process may still write.
    fn pass_deaths_on(&self, sleep: &Sleep<'_>, told: usize) {
        let forgotten = match sleep.kind {
            Kind::OnMany => crate::mutant!("many-death-not-passed-on"),
            _ => crate::mutant!("death-not-passed-on"),
        };
        let table = self.table();
        for (index, &owner) in sleep.owners.iter().enumerate().filter(|_| !forgotten) {
            if index == told || !crate::mutant!("many-one-death-passed-on") && !table.is_up(owner) {
                table.wake_watchers(owner);
            }
        }
    }

    /// The net is over: asks the second channel about the caller's share of the owners.
    fn verify_share(&self, sleep: &Sleep<'_>) {
        let (which, of) = sleep.share;
        // By the clock, so that all sleepers move on together.
        let nets = (Deadline::now().as_monotonic_ns() / NET_NS) as u32;
        for &owner in sleep.owners {
            if owner.slot().wrapping_add(which).wrapping_add(nets) % of.max(1) == 0 {
                self.verify(owner);
            }
        }
    }

    /// Sleeps briefly, for an owner that is dead but whose process may still write.
    #[cold]
    #[cfg_attr(interproc_loom, allow(unused_variables))]
    fn await_end(&self, owner: OwnerId, deadline: Option<Deadline>) -> Woken {
        if deadline.is_some_and(Deadline::has_passed) {
            return Woken::TimedOut;
        }
        #[cfg(not(interproc_loom))]
        self.table().await_end(owner, deadline);
        Woken::Changed
    }
}

/// The kinds of sleep: see the module's table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Beside,
    OnMany,
}

/// The share of a sleeper that verifies every owner.
const ALL: (u32, u32) = (0, 1);

/// One sleep.
#[cfg_attr(interproc_loom, allow(dead_code, reason = "models leave no notes"))]
struct Sleep<'a> {
    kind: Kind,
    /// The object's words.
    watches: &'a [Watch<'a>],
    /// Whose death ends it.
    owners: &'a [OwnerId],
    /// Whether the net bounds it in any case.
    net: bool,
    /// Which part of the owners to verify when the net ends it, and how many parts there are.
    share: (u32, u32),
    /// For the note.
    word: Word<'a>,
    /// For the note.
    obstacle: Option<OwnerId>,
}

/// Why a sleep did not begin.
enum Awake {
    /// An owner has died since the caller looked.
    Died,
    /// This owner is dead, but its process may still write.
    Ending(OwnerId),
}

/// Where the slots and the bell are in a watch list.
struct Watched {
    slots: usize,
    bell: usize,
    /// Whether everything is watched that ought to be.
    all: bool,
}

impl Watched {
    /// Completes the watch list of a sleep, which begins with the object's first word.
    fn fill<'a>(list: &mut futex::List<'a>, table: &'a Table, sleep: &Sleep<'a>) -> Result<Watched, Awake> {
        // The bell comes last: its place is kept free.
        let push = |list: &mut futex::List<'a>, watch| list.len() + 1 < futex::MAX_LIST && list.push(watch);
        let by_segment = sleep.kind != Kind::Beside;
        let bell = Watch { word: Word::Whole(table.bell()), expected: 0 };
        // A scribbled bell would end every sleep at once: then it is not watched, and the net bounds the sleep.
        let by_bell = by_segment && bell.word.load() == 0;
        let mut all = by_bell == by_segment;
        // Where the words may be too many, the alarm comes before those that may find no room.
        let others = &sleep.watches[1..];
        let (ahead, behind) = others.split_at(if sleep.kind == Kind::OnMany { 0 } else { others.len() });
        ahead.iter().for_each(|&watch| all &= push(list, watch));
        if by_segment {
            let alarm = Word::Whole(table.alarm());
            all &= push(list, Watch { word: alarm, expected: alarm.load() });
        }
        behind.iter().for_each(|&watch| all &= push(list, watch));
        let mut bell_at = usize::MAX;
        if by_bell && crate::mutant!("bell-not-last") {
            bell_at = list.len();
            list.push(bell);
        }
        let slots = list.len();
        for &owner in sleep.owners {
            let Life::Live(tid_word) = table.life(owner) else { return Err(Awake::Died) };
            if !is_live(tid_word) {
                return Err(Awake::Ending(owner));
            }
            let Some(slot) = table.slot(owner.slot()) else { return Err(Awake::Died) };
            let (unwatched, generation) = match sleep.kind {
                Kind::Ordinary => (crate::mutant!("no-owner-watch"), true),
                // Rare enough to be left to the net where there is one.
                Kind::Beside => (false, !sleep.net),
                Kind::OnMany => (crate::mutant!("many-no-owner-watch"), !sleep.net),
            };
            if unwatched {
                continue;
            }
            all &= push(list, Watch { word: Word::Low(slot), expected: tid_word });
            if generation && !crate::mutant!("generation-not-watched") {
                // Nobody is ever woken by it. It keeps us from falling asleep on a later member that has the same tid.
                all &= push(list, Watch { word: Word::High(slot), expected: owner.generation() });
            }
        }
        if by_bell && bell_at == usize::MAX && list.push(bell) {
            bell_at = list.len() - 1;
        }
        Ok(Watched { slots, bell: bell_at, all })
    }
}

/// Owners in a sleeper's way, each once, at most [`Owners::MOST`].
pub(crate) struct Owners {
    ids: [OwnerId; Owners::MOST],
    len: usize,
    /// Something that ought to be watched is not.
    beyond: bool,
    /// Nobody's death that the kernel does not report is waited for.
    idle: bool,
}

impl Owners {
    /// How many are watched at a time: the kernel's limit less the object's word, the alarm, the bell and a few more.
    pub(crate) const MOST: usize = 120;

    /// Nobody.
    pub(crate) fn new() -> Self {
        Owners { ids: [OwnerId::new(0, 0); Owners::MOST], len: 0, beyond: false, idle: false }
    }

    /// Forgets them.
    pub(crate) fn clear(&mut self) {
        (self.len, self.beyond, self.idle) = (0, false, false);
    }

    /// Adds one. False if there is no room for it.
    pub(crate) fn push(&mut self, id: OwnerId) -> bool {
        if self.as_slice().contains(&id) {
            return true;
        }
        let Some(place) = self.ids.get_mut(self.len) else {
            self.beyond = true;
            return false;
        };
        *place = id;
        self.len += 1;
        true
    }

    /// There is more than can be watched: the net bounds the sleep.
    pub(crate) fn go_beyond(&mut self) {
        self.beyond = true;
    }

    /// They are in nobody's way: the sleep needs no net because of them.
    pub(crate) fn are_idle(&mut self) {
        self.idle = true;
    }

    /// Whether there was more than can be watched.
    pub(crate) fn beyond(&self) -> bool {
        self.beyond
    }

    pub(crate) fn as_slice(&self) -> &[OwnerId] {
        &self.ids[..self.len]
    }

    /// The owner, if there is exactly one.
    pub(crate) fn only(&self) -> Option<OwnerId> {
        if let [one] = *self.as_slice() { Some(one) } else { None }
    }
}

/// What a sleeper says about itself while it sleeps.
#[cfg(not(interproc_loom))]
pub(super) struct Note<'a>(Option<&'a crate::format::SlotPage>);

#[cfg(not(interproc_loom))]
impl<'a> Note<'a> {
    pub(super) fn leave(me: &'a Member, word: Word<'_>, obstacle: Option<OwnerId>) -> Self {
        let page = me.table().description(me.id().slot());
        if let Some(page) = page {
            super::view::write_note(page, me.offset_of(word.start()), obstacle);
        }
        Note(page)
    }
}

#[cfg(not(interproc_loom))]
impl Drop for Note<'_> {
    fn drop(&mut self) {
        if let Some(page) = self.0 {
            super::view::write_note(page, 0, None);
        }
    }
}
