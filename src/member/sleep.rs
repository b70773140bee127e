//! The one way to sleep: on the object, the segment's bell and, where an owner stands in the way, its slot.
//!
//! Everything that a death asks of a sleeper is here, so that no object can forget it: whoever is woken by the bell
//! raises the *alarm*, which wakes all; whoever is woken by an owner's slot wakes all on that slot (the kernel wakes
//! one of each); and a sleep on an owner that ends in the net asks the second channel. The alarm is a word of its
//! own: if those who are woken by the bell woke the others by the bell, they would wake each other for ever. (A slot
//! that has died is slept on by nobody any more, so there one word is enough.)
//!
//! A sleeper that was woken stays in the kernel's other queues until it runs, so several of its words can have a wake-up
//! each, and it is told of one: in Linux of the last in the list (`futex_unqueue_multiple`). The bell is that last one,
//! as it is the only wake-up that may have been meant for somebody else alone; one by the slot or by the object that
//! comes with it is made good by the alarm, too.
//!
//! **Stopped sleepers.** A SIGSTOP, a tracer or the freezer takes a sleeper out of all its queues at once (it is a signal to the
//! kernel), and when it goes on it compares its words anew: so a stopped one keeps no wake-up from the others. But one
//! that was *woken, and is stopped before it has run*, keeps it: that of a message, of the bell, of a slot. Where
//! no net is under the others (idle waits: consumers of an empty queue, semaphores, events, conditions) they sleep until it
//! goes on, or until the next wake-up; nothing is lost. The time for it is that between a wake-up and the woken thread's
//! first instruction. Rejected against it: a net under idle sleeps (wake-ups for nothing, for ever); waking all at each
//! message (a crowd for one message); several bells (the kernel rings one for each death).
//!
//! The caller has its pending pointer at the bell ([`Member::pend`]), so that its own death passes the wake-up on.
//!
//! A watched word that changes before the sleep is no wake-up, so a caller looks again. A peer that changes one all the time
//! keeps nobody beyond its deadline by that: then such a change is a time-out, too.
//!
//! A sleeper leaves a note in its slot's page of what it sleeps on and who is in its way: for people and for the search
//! for deadlocks, never for decisions. Nobody who does not sleep pays for it.

use super::table::is_live;
use super::{Life, Member, NET_NS, OwnerId};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;

impl Member {
    /// Sleeps on `watches`, at most three, until a wake-up or the deadline. With `sure` false, or with the second channel
    /// as the only witness, not longer than the net. `TimedOut` is only ever the caller's own deadline, and then no
    /// wake-up was consumed; any other result means: look again. Never `Changed` after the deadline.
    pub(crate) fn sleep(
        &self,
        watches: &[Watch<'_>],
        obstacle: Option<OwnerId>,
        sure: bool,
        deadline: Option<Deadline>,
    ) -> Woken {
        self.sleep_for(watches[0].word, watches, obstacle, sure, deadline)
    }

    /// [`Member::sleep`] for an object whose word is not among the watches: the note names that word.
    pub(crate) fn sleep_for(
        &self,
        word: Word<'_>,
        watches: &[Watch<'_>],
        obstacle: Option<OwnerId>,
        sure: bool,
        deadline: Option<Deadline>,
    ) -> Woken {
        in_time(deadline, self.sleep_for_one(word, watches, obstacle, sure, deadline))
    }

    #[cfg_attr(interproc_loom, allow(unused_variables))]
    fn sleep_for_one(
        &self,
        word: Word<'_>,
        watches: &[Watch<'_>],
        obstacle: Option<OwnerId>,
        sure: bool,
        deadline: Option<Deadline>,
    ) -> Woken {
        let table = self.table();
        let bell = Watch { word: Word::Whole(table.bell()), expected: 0 };
        // A scribbled bell would end every sleep at once: then do without it, under the net.
        let bell_is_sound = bell.word.load() == 0;
        let alarm = Word::Whole(table.alarm());
        // The object's own word comes first: where only one can be watched, it is that.
        let mut list = [Watch { word: alarm, expected: alarm.load() }; futex::MAX_WATCHES];
        list[..watches.len()].copy_from_slice(watches);
        let mut n = watches.len() + 1;
        let mut bell_at = usize::MAX;
        let mut slot_at = usize::MAX;
        if let Some(owner) = obstacle {
            let Life::Live(tid_word) = table.life(owner) else { return Woken::Changed };
            if !is_live(tid_word) {
                return self.await_end(owner, deadline);
            }
            let Some(slot) = table.slot(owner.slot()) else { return Woken::Changed };
            if !crate::mutant!("no-owner-watch") {
                slot_at = n;
                list[n] = Watch { word: Word::Low(slot), expected: tid_word };
                n += 1;
                if !crate::mutant!("generation-not-watched") {
                    // Nobody is woken by it: it only keeps us from falling asleep on a later member with an equal tid.
                    list[n] = Watch { word: Word::High(slot), expected: owner.generation() };
                    n += 1;
                }
            }
        }
        if bell_is_sound {
            // Last: see above.
            bell_at = n;
            list[n] = bell;
            n += 1;
        }
        if crate::mutant!("bell-not-last") && bell_at < n && slot_at < n {
            list.swap(bell_at, slot_at);
            (bell_at, slot_at) = (slot_at, bell_at);
        }
        let net = obstacle.is_some() || !bell_is_sound || !sure;
        let until = if net { Deadline::earlier(deadline, Some(Member::net())) } else { deadline };
        #[cfg(not(interproc_loom))]
        let _note = Note::leave(self, word, obstacle);
        let woken = futex::wait(&list[..n], until);
        match woken {
            Woken::By(at) if at == bell_at && !crate::mutant!("bell-not-passed-on") => table.raise_alarm(),
            Woken::By(at) if at == slot_at && !crate::mutant!("death-not-passed-on") => {
                if let Some(owner) = obstacle {
                    table.wake_watchers(owner);
                }
            }
            Woken::Interrupted => self.pend_again(),
            Woken::TimedOut if net && deadline.is_none_or(|d| !d.has_passed()) => {
                if let Some(owner) = obstacle {
                    self.verify(owner);
                }
                return Woken::Interrupted;
            }
            _ => {}
        }
        woken
    }

    /// Sleeps beside a `partner`, who alone has anything to tell: so its death is all the news that there can be, and of
    /// bell and alarm, which each cost a third of a microsecond, there is no need. At most two `watches`.
    ///
    /// If it is `in_the_way` the net is under this sleep, as under every sleep on an owner. Otherwise this is an idle wait: a
    /// death that the kernel does not report is not noticed here.
    pub(crate) fn sleep_beside(
        &self,
        watches: &[Watch<'_>],
        partner: OwnerId,
        in_the_way: bool,
        sure: bool,
        deadline: Option<Deadline>,
    ) -> Woken {
        in_time(deadline, self.sleep_beside_one(watches, partner, in_the_way, sure, deadline))
    }

    fn sleep_beside_one(
        &self,
        watches: &[Watch<'_>],
        partner: OwnerId,
        in_the_way: bool,
        sure: bool,
        deadline: Option<Deadline>,
    ) -> Woken {
        let table = self.table();
        let Life::Live(tid_word) = table.life(partner) else { return Woken::Changed };
        if !is_live(tid_word) {
            return self.await_end(partner, deadline);
        }
        let Some(slot) = table.slot(partner.slot()) else { return Woken::Changed };
        let mut list = [Watch { word: Word::Low(slot), expected: tid_word }; 4];
        list[..watches.len()].copy_from_slice(watches);
        let slot_at = watches.len();
        let mut n = slot_at + 1;
        let net = in_the_way || !sure;
        if !net && !crate::mutant!("generation-not-watched") {
            // As below, against a later member with an equal tid: so rare a thing can be left to the net where there is one.
            list[n] = Watch { word: Word::High(slot), expected: partner.generation() };
            n += 1;
        }
        let until = if net { Deadline::earlier(deadline, Some(Member::net())) } else { deadline };
        #[cfg(not(interproc_loom))]
        let _note = Note::leave(self, watches[0].word, in_the_way.then_some(partner));
        let woken = futex::wait(&list[..n], until);
        match woken {
            Woken::By(at) if at == slot_at && !crate::mutant!("death-not-passed-on") => {
                table.wake_watchers(partner);
            }
            Woken::Interrupted => self.pend_again(),
            Woken::TimedOut if net && deadline.is_none_or(|d| !d.has_passed()) => {
                self.verify(partner);
                return Woken::Interrupted;
            }
            _ => {}
        }
        woken
    }

    /// As [`Member::sleep`], with any number of owners in the way: wakes when one of `watches` changes or one of the
    /// owners dies. `watches` begin with the object's own word, and the owners were alive when the caller looked. Whoever
    /// is [beyond](Owners::beyond) the list's end is not watched, and the sleep is bounded by the net as every sleep
    /// on an owner: so the caller looks again, and watches others the next time.
    ///
    /// When the net ends it the owners are verified. Where many sleep on the same ones, each need not ask about all:
    /// with a `share` of (which, of how many) it asks about that part of the slots, another one each time.
    ///
    /// `obstacle` is for the note alone: nobody, if the sleeper waits for any of several.
    pub(crate) fn sleep_on_many(
        &self,
        watches: &[Watch<'_>],
        owners: &Owners,
        obstacle: Option<OwnerId>,
        share: (u32, u32),
        deadline: Option<Deadline>,
    ) -> Woken {
        in_time(deadline, self.sleep_on_all(watches, owners, obstacle, share, deadline))
    }

    #[cfg_attr(interproc_loom, allow(unused_variables))]
    fn sleep_on_all(
        &self,
        watches: &[Watch<'_>],
        owners: &Owners,
        obstacle: Option<OwnerId>,
        share: (u32, u32),
        deadline: Option<Deadline>,
    ) -> Woken {
        let table = self.table();
        let bell = Watch { word: Word::Whole(table.bell()), expected: 0 };
        let bell_is_sound = bell.word.load() == 0;
        let alarm = Word::Whole(table.alarm());
        let mut list = futex::List::new(watches[0]);
        list.push(Watch { word: alarm, expected: alarm.load() });
        // The bell comes last (see above): its place is kept free.
        let mut all = true;
        for &watch in &watches[1..] {
            all &= list.len() + 1 < futex::MAX_LIST && list.push(watch);
        }
        let slots_at = list.len();
        for &owner in owners.as_slice() {
            // One that has died since the look: the news is there.
            let Life::Live(tid_word) = table.life(owner) else { return Woken::Changed };
            if !is_live(tid_word) {
                return self.await_end(owner, deadline);
            }
            let Some(slot) = table.slot(owner.slot()) else { return Woken::Changed };
            let watched = crate::mutant!("many-no-owner-watch")
                || list.len() + 1 < futex::MAX_LIST
                    && list.push(Watch { word: Word::Low(slot), expected: tid_word });
            all &= watched;
        }
        let bell_at = if bell_is_sound && list.push(bell) { list.len() - 1 } else { usize::MAX };
        let net = !owners.as_slice().is_empty() || !bell_is_sound || !all || owners.beyond();
        let until = if net { Deadline::earlier(deadline, Some(Member::net())) } else { deadline };
        #[cfg(not(interproc_loom))]
        let _note = Note::leave(self, watches[0].word, obstacle);
        let woken = list.wait(until);
        match woken {
            Woken::By(at) if at == bell_at => table.raise_alarm(),
            // Of several that have died we are told of one, and may have had the wake-up of each.
            Woken::By(at) if at >= slots_at && !crate::mutant!("many-death-not-passed-on") => {
                let told = owners.as_slice().get(at - slots_at);
                let dead = |owner: &&OwnerId| table.life(**owner) == Life::Dead;
                let one = crate::mutant!("many-one-death-passed-on");
                for &owner in owners.as_slice().iter().filter(dead).filter(|&o| !one || Some(o) == told) {
                    table.wake_watchers(owner);
                }
            }
            Woken::Interrupted => self.pend_again(),
            Woken::TimedOut if net && deadline.is_none_or(|d| !d.has_passed()) => {
                // By the clock, so that all sleepers move on together.
                let nets = (Deadline::now().as_monotonic_ns() / NET_NS) as u32;
                for &owner in owners.as_slice() {
                    if owner.slot().wrapping_add(share.0).wrapping_add(nets) % share.1.max(1) == 0 {
                        self.verify(owner);
                    }
                }
                return Woken::Interrupted;
            }
            _ => {}
        }
        woken
    }
}

impl Member {
    /// Sleeps, not for long, for an owner that is dead and whose process may still write.
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

/// A sleep that did not begin, as something had changed, and whose time is over, has run out of time: nothing was consumed.
fn in_time(deadline: Option<Deadline>, woken: Woken) -> Woken {
    match woken {
        Woken::Changed if deadline.is_some_and(Deadline::has_passed) => Woken::TimedOut,
        woken => woken,
    }
}

/// Owners in a sleeper's way, each once, at most [`Owners::MOST`].
pub(crate) struct Owners {
    ids: [OwnerId; Owners::MOST],
    len: usize,
    /// Something is not watched that ought to be.
    beyond: bool,
}

impl Owners {
    /// How many are watched at a time: the kernel's list less the object's word, the alarm, the bell and a few more.
    pub(crate) const MOST: usize = 120;

    /// Nobody.
    pub(crate) fn new() -> Self {
        Owners { ids: [OwnerId::new(0, 0); Owners::MOST], len: 0, beyond: false }
    }

    /// Forgets them.
    pub(crate) fn clear(&mut self) {
        (self.len, self.beyond) = (0, false);
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

    /// There is more than can be watched: the sleep is bounded by the net.
    pub(crate) fn go_beyond(&mut self) {
        self.beyond = true;
    }

    /// Whether there was more than can be watched.
    pub(crate) fn beyond(&self) -> bool {
        self.beyond
    }

    pub(crate) fn as_slice(&self) -> &[OwnerId] {
        &self.ids[..self.len]
    }

    /// The owner, if there is but one.
    pub(crate) fn only(&self) -> Option<OwnerId> {
        if let [one] = *self.as_slice() { Some(one) } else { None }
    }
}

/// What a sleeper says of itself while it sleeps.
#[cfg(not(interproc_loom))]
struct Note<'a>(Option<&'a crate::format::SlotPage>);

#[cfg(not(interproc_loom))]
impl<'a> Note<'a> {
    fn leave(me: &'a Member, word: Word<'_>, obstacle: Option<OwnerId>) -> Self {
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

impl Member {
    /// The word so many bytes behind another one (two's complement), if it lies in the same mapping: for a distance that a
    /// peer may have written. Where only a domain of its own knows the segment, its end is not known, and nothing is.
    #[cfg_attr(not(feature = "std"), allow(unused_variables))]
    pub(crate) fn beside(&self, from: *const u8, distance: u64) -> Option<*const u8> {
        #[cfg(interproc_loom)]
        return Some(from.wrapping_offset(distance as isize));
        #[cfg(all(feature = "std", not(interproc_loom)))]
        return super::local::beside(from, distance);
        #[cfg(not(any(feature = "std", interproc_loom)))]
        None
    }

    /// Where an address of the segment is in its file; 0 if that is not known.
    #[cfg(interproc_loom)]
    pub(crate) fn offset_of(&self, address: *const u8) -> u64 {
        address.addr() as u64
    }

    /// Where an address of the segment is in its file; 0 if that is not known.
    #[cfg(not(interproc_loom))]
    pub(crate) fn offset_of(&self, address: *const u8) -> u64 {
        #[cfg(feature = "std")]
        if let Some(offset) = super::local::offset_of(address) {
            return offset as u64;
        }
        // A domain of its own maps its segment in one piece.
        address.addr().saturating_sub(self.table().address().addr()) as u64
    }
}
