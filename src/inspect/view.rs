//! [`View`]: objects with their states, members with what they wait for.

use super::decoders::decoder;
use super::members::{MemberInfo, Slot, Waits};
use crate::decode::ObjectBytes;
use crate::error::{Error, Result};
use crate::fallible;
use crate::member::{OwnerId, Who};
use crate::shm::{ObjectInfo, Snapshot};
use core::cell::Cell;
use std::string::String;
use std::vec::Vec;

/// Everything that can be seen of a segment. Each member, and each word of an object, is read at one moment; two of them
/// need not be of the same moment.
///
/// # Examples
/// ```
/// # use interproc::{Segment, sync::Mutex};
/// let name = format!("/interproc-doc-view-{}", std::process::id());
/// let seg = Segment::create(&name, 4096)?;
/// let lock = seg.object("lock", || Mutex::new(0u64))?;
/// let guard = lock.lock()?;
///
/// let view = Segment::open_read_only(&name)?.view()?;
/// let object = &view.objects[0];
/// assert_eq!((object.type_name, object.state), (Some("Mutex"), Some("held")));
/// assert_eq!(object.holders[0].who.pid, std::process::id());
/// assert_eq!((object.waiters, view.members.len()), (0, 1));
/// # drop(guard);
/// # Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct View {
    /// The objects, up to the first entry of the directory that fails its checks.
    pub objects: Vec<ObjectState>,
    /// The members, dead and alive, in the order of their slots.
    pub members: Vec<MemberInfo>,
    /// What is wrong with the directory, if anything.
    pub damage: Option<Error>,
}

/// An object and its state.
///
/// # Examples
/// ```
/// # use interproc::Segment;
/// let name = format!("/interproc-doc-ostate-{}", std::process::id());
/// let seg = Segment::create(&name, 1 << 16)?;
/// let jobs = seg.queue::<u64>("jobs", 8)?;
/// jobs.push(1)?;
/// let view = Segment::open_read_only(&name)?.view()?;
/// let object = &view.objects[0];
/// assert_eq!((object.type_name, object.state), (Some("Queue"), Some("open")));
/// assert!(object.facts.contains(&("depth", 1)) && object.facts.contains(&("capacity", 8)));
/// # Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectState {
    /// Its entry in the directory.
    pub info: ObjectInfo,
    /// Its type; `None` for a structure of the user's own, and for an object that a C program made.
    pub type_name: Option<&'static str>,
    /// Its state in a word or two; `None` if the type is unknown or the bytes make no sense.
    pub state: Option<&'static str>,
    /// Who holds it, or blocks others.
    pub holders: Vec<Holder>,
    /// How many living members sleep on one of its words.
    pub waiters: u32,
    /// Numbers that its type reports, in a fixed order.
    pub facts: Vec<(&'static str, u64)>,
}

/// A thread that has a part in an object's state.
///
/// # Examples
/// ```
/// # use interproc::{Segment, sync::Mutex};
/// let name = format!("/interproc-doc-holder-{}", std::process::id());
/// let seg = Segment::create(&name, 4096)?;
/// let lock = seg.object("lock", || Mutex::new(0u64))?;
/// let guard = lock.lock()?;
/// let view = Segment::open_read_only(&name)?.view()?;
/// assert_eq!(view.objects[0].holders[0].part, "holds");
/// # drop(guard);
/// # Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Who it is.
    pub who: Who,
    /// What it does: `holds`, `blocks`.
    pub part: &'static str,
}

impl Snapshot {
    /// The members, dead and alive, in the order of their slots.
    ///
    /// # Errors
    /// Those of reading the file.
    ///
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-members-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// let look = Segment::open_read_only(&name)?;
    /// assert!(look.members()?.is_empty()); // attached, but no object was used yet
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn members(&self) -> Result<Vec<MemberInfo>> {
        let (objects, _) = self.directory()?;
        let slots = self.slots()?;
        fallible::all(slots.iter().map(|slot| self.member(slot, &slots, &objects)))
    }

    /// The objects and members with their states, each as it was at some moment during the call. Threads that use the
    /// segment are not disturbed.
    ///
    /// The call is bounded in time and memory, whatever the file says: there is a limit to what it reads in all, far above
    /// what thousands of objects take. Objects beyond the limit have no state.
    ///
    /// # Errors
    /// Those of reading the file. A damaged directory is not an error: see [`View::damage`].
    ///
    /// # Examples
    /// See [`View`].
    pub fn view(&self) -> Result<View> {
        let (infos, damage) = self.directory()?;
        let slots = self.slots()?;
        let crowd = Crowd::of(&slots)?;
        let members = fallible::all(slots.iter().map(|slot| self.member(slot, &slots, &infos)))?;
        let objects = fallible::all(infos.into_iter().map(|info| self.state(info, &slots, &crowd)))?;
        Ok(View { objects, members, damage })
    }

    /// A member, as it is shown.
    pub(super) fn member(&self, slot: &Slot, slots: &[Slot], objects: &[ObjectInfo]) -> Result<MemberInfo> {
        let at = slot.waits_for;
        if at == 0 {
            return Ok(MemberInfo { who: slot.who(), waits: None });
        }
        // Objects are sorted by offset.
        let before = objects.partition_point(|o| o.offset <= at);
        let object = objects[..before].last().filter(|o| at - o.offset < o.size);
        let waits = Waits {
            object: object.map(|o| fallible::text(&o.name)).transpose()?.map(String::from),
            offset: object.map_or(at, |o| at - o.offset),
            on: slot.waits_on.map(|id| who(id, slots)),
        };
        Ok(MemberInfo { who: slot.who(), waits: Some(waits) })
    }

    fn state(&self, info: ObjectInfo, slots: &[Slot], crowd: &Crowd) -> Result<ObjectState> {
        let end = info.offset.saturating_add(info.size);
        let sleepers = between(&crowd.sleepers, info.offset, end, |&at| at).iter();
        let sleepers = fallible::collected(sleepers.map(|at| at - info.offset))?;
        let holds = between(&crowd.holds, info.offset, info.offset + 1, |&(at, ..)| at).iter();
        let holds = fallible::collected(holds.map(|&(_, id, times)| (id, times)))?;
        let bytes = ObjectBytes {
            size: info.size,
            params: info.params,
            read: &|at| {
                crowd.may_read(1)?;
                self.word(info.offset.checked_add(at)?).ok()
            },
            read_many: &|at, into| {
                crowd.may_read(8)?;
                self.read_at(bytemuck::cast_slice_mut(into), info.offset.checked_add(at)?).ok()
            },
            sleepers: &sleepers,
            holds: &holds,
            lives: &|id| find(id, slots).is_some_and(|slot| slot.alive),
            no_memory: Cell::new(false),
        };
        let decoder = decoder(&info);
        let state = decoder.and_then(|d| (d.decode)(&bytes));
        if bytes.no_memory.get() || state.as_ref().is_some_and(|s| s.no_memory) {
            return Err(Error::no_memory());
        }
        let holders = state.iter().flat_map(|s| &s.holders).take_while(|_| crowd.may_read(1).is_some());
        Ok(ObjectState {
            type_name: decoder.map(|d| d.name),
            state: state.as_ref().map(|s| s.text),
            waiters: sleepers.len() as u32,
            holders: fallible::collected(holders.map(|&(id, part)| Holder { who: who(id, slots), part }))?,
            facts: state.map(|s| s.facts).unwrap_or_default(),
            info,
        })
    }
}

/// Who sleeps and who reads, sorted by offset, for all objects; and how much may still be read.
struct Crowd {
    /// The offsets of the words that members sleep on: one entry a sleeper.
    sleepers: Vec<u64>,
    /// A lock's offset, who has read holds on it, and how many.
    holds: Vec<(u64, OwnerId, u32)>,
    left: Cell<u32>,
}

/// How many system calls one view may take, about: a second's worth.
const MOST_READS: u32 = 1 << 21;

impl Crowd {
    fn of(slots: &[Slot]) -> Result<Crowd> {
        let places = slots.iter().map(|slot| slot.waits_for);
        let mut sleepers = fallible::collected(places.filter(|&place| place != 0))?;
        sleepers.sort_unstable();
        // There a reader-writer lock is named by its offset in the file: see `sync::raw_rwlock`.
        let name = |hold: u64, id| (hold << 16 >> 16, id, (hold >> 48 & 0x7fff) as u32);
        let holds = slots.iter().flat_map(|slot| slot.holds.iter().map(move |&hold| name(hold, slot.id)));
        let mut holds = fallible::collected(holds.filter(|&(.., times)| times > 0))?;
        holds.sort_unstable_by_key(|&(place, id, _)| (place, id.bits()));
        holds.dedup_by(|again, first| {
            let same = (again.0, again.1) == (first.0, first.1);
            first.2 += if same { again.2 } else { 0 };
            same
        });
        Ok(Crowd { sleepers, holds, left: Cell::new(MOST_READS) })
    }

    /// Takes `cost` from what may still be read.
    fn may_read(&self, cost: u32) -> Option<()> {
        self.left.set(self.left.get().checked_sub(cost)?);
        Some(())
    }
}

/// Of elements sorted by offset, those from `from` up to `to`.
fn between<T>(sorted: &[T], from: u64, to: u64, place: impl Fn(&T) -> u64) -> &[T] {
    let first = sorted.partition_point(|element| place(element) < from);
    let end = sorted.partition_point(|element| place(element) < to);
    &sorted[first..end.max(first)]
}

/// The slot of an owner; slots are sorted by index.
pub(super) fn find(id: OwnerId, slots: &[Slot]) -> Option<&Slot> {
    index_of(id, slots).map(|at| &slots[at])
}

/// Which slot is an owner's.
pub(super) fn index_of(id: OwnerId, slots: &[Slot]) -> Option<usize> {
    let at = slots.binary_search_by_key(&id.slot(), |slot| slot.id.slot()).ok()?;
    (slots[at].id == id).then_some(at)
}

fn who(id: OwnerId, slots: &[Slot]) -> Who {
    // Not among them: it is dead, or it came since. The slots are not read at one moment.
    find(id, slots).map_or_else(|| Who::new(id, None, false), Slot::who)
}
