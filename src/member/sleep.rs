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
//! The caller has its pending pointer at the bell ([`Member::pend`]), so that its own death passes the wake-up on.
//!
//! A sleeper leaves a note in its slot's page of what it sleeps on and who is in its way: for people and for the search
//! for deadlocks, never for decisions. Nobody who does not sleep pays for it.

use super::{Life, Member, OwnerId};
use crate::sys::{Watch, Woken, Word, futex};
use crate::time::Deadline;

impl Member {
    /// Sleeps on `watches`, at most three, until a wake-up or the deadline. With `sure` false, or with the second channel
    /// as the only witness, not longer than the net. `TimedOut` is only ever the caller's own deadline, and then no
    /// wake-up was consumed; any other result means: look again.
    pub(crate) fn sleep(
        &self,
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
        let _note = Note::leave(self, list[0].word, obstacle);
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
