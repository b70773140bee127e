//! The member slots of a segment, read from its file without being a member.
//!
//! What [`Table`](crate::member::Table) does on mapped memory is done here by `pread`: the same sequence locks, over
//! untrusted bytes. The second channel of death reports is asked as well, but nothing is ever marked.

use crate::error::Result;
use crate::fallible;
use crate::format::{HOLDS, Holds, SLOT_CLAIMED, SLOT_WORD_BACK, SlotPage};
use crate::member::{Identity, NO_SEAT, OwnerId, Who, is_live};
use crate::shm::Snapshot;
use crate::sys::file;
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};
use std::os::fd::AsRawFd;
use std::string::String;
use std::vec::Vec;

/// A thread that uses the segment, or one that has ended, from whatever cause, and whose slot nobody has taken since.
/// Displayed as a sentence.
///
/// # Examples
/// ```
/// # use interproc::{Segment, sync::Mutex};
/// let name = format!("/interproc-doc-minfo-{}", std::process::id());
/// let seg = Segment::create(&name, 4096)?;
/// let lock = seg.object("lock", || Mutex::new(0u64))?; // makes us a member
/// let members = Segment::open_read_only(&name)?.members()?;
/// assert_eq!((members.len(), members[0].who.pid, &members[0].waits), (1, std::process::id(), &None));
/// # Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Who it is.
    pub who: Who,
    /// What it sleeps on, if it does.
    pub waits: Option<Waits>,
}

/// What a member sleeps on. Displayed as a sentence.
///
/// # Examples
/// ```
/// # use interproc::{Segment, sync::Mutex};
/// let name = format!("/interproc-doc-waits-{}", std::process::id());
/// let seg = Segment::create(&name, 4096)?;
/// let lock = seg.object("lock", || Mutex::new(0u64))?;
/// let guard = lock.lock()?;
/// std::thread::scope(|s| {
///     s.spawn(|| lock.lock().map(drop).expect("nobody dies"));
///     while lock.waiters().expect("in a segment") == 0 {
///         std::thread::yield_now();
///     }
///     let members = Segment::open_read_only(&name).and_then(|look| look.members()).expect("readable");
///     let waits = members.iter().find_map(|member| member.waits.as_ref()).expect("a sleeper");
///     assert_eq!(waits.object.as_deref(), Some("lock"));
///     assert_eq!(waits.on.expect("the holder").pid, std::process::id());
///     drop(guard);
/// });
/// # Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waits {
    /// The object's name; `None` if the word lies in no object, or the directory cannot be read.
    pub object: Option<String>,
    /// Where the word lies: bytes from the start of the object or, without an object, of the file.
    pub offset: u64,
    /// Who blocks it, if that is one thread in particular.
    pub on: Option<Who>,
}

impl fmt::Display for MemberInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.waits {
            None => write!(f, "{}", self.who),
            Some(waits) => write!(f, "{} {waits}", self.who),
        }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "waits for {object:?}+{}", self.offset)?,
            None => write!(f, "waits at byte {} of the segment", self.offset)?,
        }
        match &self.on {
            Some(on) => write!(f, ", held up by {on}"),
            None => Ok(()),
        }
    }
}

/// A slot, read whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub id: OwnerId,
    pub identity: Option<Identity>,
    pub alive: bool,
    /// 0 of the dead.
    pub waits_for: u64,
    pub waits_on: Option<OwnerId>,
    /// Changes with each sleep.
    pub waits_changed: u64,
    /// Its read holds (`format::Holds`); 0 of the dead.
    pub holds: [u64; HOLDS],
}

impl Slot {
    pub fn who(&self) -> Who {
        Who::new(self.id, self.identity, self.alive)
    }
}

/// The words at the start of a slot page that describe its member.
const WORDS: usize = offset_of!(SlotPage, reserved) / 8;

/// How often a slot is read again because it changes meanwhile.
const LOOKS: u32 = 16;

impl Snapshot {
    /// All slots with a member, dead or alive.
    pub(super) fn slots(&self) -> Result<Vec<Slot>> {
        let mut slots = Vec::new();
        for index in 0..self.fixed.max_members {
            if let Some(slot) = self.slot(index)? {
                fallible::push(&mut slots, slot)?;
            }
        }
        Ok(slots)
    }

    fn page_offset(&self, index: u32) -> u64 {
        self.fixed.slots_off + u64::from(index) * u64::from(self.fixed.page_size)
    }

    fn slot(&self, index: u32) -> Result<Option<Slot>> {
        let page = self.page_offset(index);
        let word_at = page + u64::from(self.fixed.page_size) - SLOT_WORD_BACK as u64;
        let mut found = None;
        for _ in 0..LOOKS {
            let word = self.word(word_at)?;
            let (generation, low) = ((word >> 32) as u32, word as u32);
            if generation == 0 || low == 0 || low & SLOT_CLAIMED != 0 {
                return Ok(None);
            }
            let before = self.described(page)?;
            // System calls are not fences by themselves.
            fence(Ordering::SeqCst);
            let after = self.described(page)?;
            fence(Ordering::SeqCst);
            let still = self.word(word_at)? == word;
            let at = |field: usize| before[field / 8];
            let describes = at(offset_of!(SlotPage, described)) == u64::from(generation);
            let mut slot = Slot {
                id: OwnerId::new(index as u16, generation),
                identity: describes.then(|| identity(&before)),
                alive: is_live(low),
                waits_for: 0,
                waits_on: None,
                waits_changed: at(offset_of!(SlotPage, waits_changed)),
                holds: [0; HOLDS],
            };
            if describes && slot.alive {
                // Each is read at its own moment, as the words of an object are.
                let first = (offset_of!(SlotPage, holds) + offset_of!(Holds, words)) / 8;
                slot.holds.copy_from_slice(&before[first..first + HOLDS]);
            }
            // The counters among the words only grow, so words that are the same twice did not change in between.
            let quiet = before == after && still;
            if quiet && describes && slot.alive && slot.waits_changed.is_multiple_of(2) {
                slot.waits_for = at(offset_of!(SlotPage, waits_for));
                slot.waits_on = OwnerId::of(at(offset_of!(SlotPage, waits_on)));
            }
            found = Some(slot);
            if quiet && (describes || !slot.alive) {
                break;
            }
        }
        let Some(mut slot) = found else { return Ok(None) };
        if slot.alive && slot.identity.is_some_and(|who| self.is_gone(&who)) {
            (slot.alive, slot.waits_for, slot.waits_on, slot.holds) = (false, 0, None, [0; HOLDS]);
        }
        Ok(Some(slot))
    }

    fn described(&self, page: u64) -> Result<[u64; WORDS]> {
        let mut words = [0u64; WORDS];
        self.read_at(bytemuck::bytes_of_mut(&mut words), page)?;
        Ok(words)
    }

    /// The second channel of death reports, as `Domain::is_dead` asks it.
    fn is_gone(&self, who: &Identity) -> bool {
        let seat = who.seat as u16;
        if seat != NO_SEAT && u32::from(seat) < self.fixed.max_members {
            let taken =
                self.word(self.page_offset(seat.into()) + offset_of!(SlotPage, seat_incarnation) as u64);
            // If we cannot ask, we do not know.
            let free =
                self.file().is_ok_and(|f| file::byte_is_locked(f.as_raw_fd(), seat.into()) == Ok(false));
            if free || taken.is_ok_and(|taken| taken as u32 != (who.seat >> 32) as u32) {
                return true;
            }
        }
        who.thread_is_gone()
    }
}

fn identity(words: &[u64; WORDS]) -> Identity {
    let at = |field: usize| words[field / 8];
    let pid_tid = at(offset_of!(SlotPage, pid_tid));
    Identity {
        pid: (pid_tid >> 32) as u32,
        tid: pid_tid as u32,
        pid_namespace: at(offset_of!(SlotPage, pid_namespace)),
        start_time: at(offset_of!(SlotPage, start_time)),
        time_namespace: at(offset_of!(SlotPage, time_namespace)),
        seat: at(offset_of!(SlotPage, member_seat)),
    }
}
