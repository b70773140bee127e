//! [`View`]: objects with their state, members with what they wait for.

use super::decode::decoder;
use super::members::{MemberInfo, Slot, Waits};
use super::snapshot::{ObjectInfo, Snapshot};
use crate::error::{Error, Result};
use crate::member::{OwnerId, Who};
use crate::view::Look;
use core::cell::Cell;
use std::vec::Vec;

/// All there is to see of a segment at about one time. Each member, and each word of an object, is of one time;
/// two of them need not be of the same.
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
    /// What is wrong with the directory, if anything is.
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
    /// Its type; `None` for a structure of the user's own, and for what a C program made.
    pub type_name: Option<&'static str>,
    /// Its state in a word or two; `None` if the type is not known, or its bytes make no sense.
    pub state: Option<&'static str>,
    /// Who holds it, or stands in the way.
    pub holders: Vec<Holder>,
    /// How many living members sleep on a word of it.
    pub waiters: u32,
    /// What else there is to know of its type, in a fixed order.
    pub facts: Vec<(&'static str, u64)>,
}

/// Somebody who has a part in an object's state.
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
        let (objects, _) = self.directory();
        let slots = self.slots()?;
        Ok(slots.iter().map(|slot| self.member(slot, &slots, &objects)).collect())
    }

    /// Objects and members with their states. Harmless to whoever is at work in the segment, and true at some time
    /// during the call for each of them.
    ///
    /// Bounded in time and memory, whatever the file says: there is a limit to what is looked at in all, far above what
    /// thousands of objects take. Beyond it objects have no state.
    ///
    /// # Errors
    /// Those of reading the file. A damaged directory is none: see [`View::damage`].
    ///
    /// # Examples
    /// See [`View`].
    pub fn view(&self) -> Result<View> {
        let (infos, damage) = self.directory();
        let slots = self.slots()?;
        let crowd = Crowd::of(&slots);
        let objects = infos.iter().map(|info| self.state(info, &slots, &crowd)).collect();
        let members = slots.iter().map(|slot| self.member(slot, &slots, &infos)).collect();
        Ok(View { objects, members, damage })
    }

    /// A member as it is shown.
    pub(super) fn member(&self, slot: &Slot, slots: &[Slot], objects: &[ObjectInfo]) -> MemberInfo {
        let waits = (slot.waits_for != 0).then(|| {
            let at = slot.waits_for;
            // They are in the order of their places.
            let before = objects.partition_point(|o| o.offset <= at);
            let object = objects[..before].last().filter(|o| at - o.offset < o.size);
            Waits {
                object: object.map(|o| o.name.clone()),
                offset: object.map_or(at, |o| at - o.offset),
                on: slot.waits_on.map(|id| who(id, slots)),
            }
        });
        MemberInfo { who: slot.who(), waits }
    }

    fn state(&self, info: &ObjectInfo, slots: &[Slot], crowd: &Crowd) -> ObjectState {
        let end = info.offset.saturating_add(info.size);
        let sleepers: Vec<u64> =
            between(&crowd.sleepers, info.offset, end, |&at| at).iter().map(|at| at - info.offset).collect();
        let holds: Vec<_> = between(&crowd.holds, info.offset, info.offset + 1, |&(at, ..)| at)
            .iter()
            .map(|&(_, id, times)| (id, times))
            .collect();
        let look = Look {
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
        };
        let decoder = decoder(info);
        let state = decoder.and_then(|d| (d.decode)(&look));
        ObjectState {
            info: info.clone(),
            type_name: decoder.map(|d| d.name),
            state: state.as_ref().map(|s| s.text),
            waiters: sleepers.len() as u32,
            holders: state
                .iter()
                .flat_map(|s| &s.holders)
                .take_while(|_| crowd.may_read(1).is_some())
                .map(|&(id, part)| Holder { who: who(id, slots), part })
                .collect(),
            facts: state.map(|s| s.facts).unwrap_or_default(),
        }
    }
}

/// Who sleeps and who reads, in the order of the places, for all objects; and how much may still be looked at.
struct Crowd {
    /// The words that somebody sleeps on, as often as somebody does.
    sleepers: Vec<u64>,
    /// A place, who has a read hold on the lock there, and how many.
    holds: Vec<(u64, OwnerId, u32)>,
    left: Cell<u32>,
}

/// Calls to the kernel for one view, about: a second's worth.
const MOST_READS: u32 = 1 << 21;

impl Crowd {
    fn of(slots: &[Slot]) -> Crowd {
        let mut sleepers: Vec<u64> =
            slots.iter().map(|slot| slot.waits_for).filter(|&place| place != 0).collect();
        sleepers.sort_unstable();
        let mut holds = Vec::new();
        for slot in slots {
            // A reader-writer lock's name there is its place in the file, as in `sync::raw_rwlock`.
            let names = slot.holds.iter().map(|&hold| (hold << 16 >> 16, (hold >> 48 & 0x7fff) as u32));
            holds.extend(names.filter(|&(_, times)| times > 0).map(|(place, times)| (place, slot.id, times)));
        }
        holds.sort_unstable_by_key(|&(place, id, _)| (place, id.bits()));
        holds.dedup_by(|again, first| {
            let same = (again.0, again.1) == (first.0, first.1);
            first.2 += if same { again.2 } else { 0 };
            same
        });
        Crowd { sleepers, holds, left: Cell::new(MOST_READS) }
    }

    /// Takes so much of what may still be looked at.
    fn may_read(&self, cost: u32) -> Option<()> {
        self.left.set(self.left.get().checked_sub(cost)?);
        Some(())
    }
}

/// The elements, sorted by their places, at `from` and up to `to`.
fn between<T>(sorted: &[T], from: u64, to: u64, place: impl Fn(&T) -> u64) -> &[T] {
    let first = sorted.partition_point(|element| place(element) < from);
    let end = sorted.partition_point(|element| place(element) < to);
    &sorted[first..end.max(first)]
}

/// The slot of an owner; they are in their order.
pub(super) fn find(id: OwnerId, slots: &[Slot]) -> Option<&Slot> {
    let at = slots.binary_search_by_key(&id.slot(), |slot| slot.id.slot()).ok()?;
    Some(&slots[at]).filter(|slot| slot.id == id)
}

fn who(id: OwnerId, slots: &[Slot]) -> Who {
    // Not among them: dead, or it came since; a look at the slots is not of one moment.
    find(id, slots).map_or_else(|| Who::new(id, None, false), Slot::who)
}
