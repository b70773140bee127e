//! [`View`]: objects with their state, members with what they wait for.

use super::decode::decoder;
use super::members::{MemberInfo, Slot, Waits};
use super::snapshot::{ObjectInfo, Snapshot};
use crate::error::{Error, Result};
use crate::member::{OwnerId, Who};
use crate::view::Look;
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
    /// # Errors
    /// Those of reading the file. A damaged directory is none: see [`View::damage`].
    ///
    /// # Examples
    /// See [`View`].
    pub fn view(&self) -> Result<View> {
        let (infos, damage) = self.directory();
        let slots = self.slots()?;
        let objects = infos.iter().map(|info| self.state(info, &slots)).collect();
        let members = slots.iter().map(|slot| self.member(slot, &slots, &infos)).collect();
        Ok(View { objects, members, damage })
    }

    /// A member as it is shown.
    pub(super) fn member(&self, slot: &Slot, slots: &[Slot], objects: &[ObjectInfo]) -> MemberInfo {
        let waits = (slot.waits_for != 0).then(|| {
            let at = slot.waits_for;
            let object = objects.iter().find(|o| at.wrapping_sub(o.offset) < o.size);
            Waits {
                object: object.map(|o| o.name.clone()),
                offset: object.map_or(at, |o| at - o.offset),
                on: slot.waits_on.map(|id| who(id, slots)),
            }
        });
        MemberInfo { who: slot.who(), waits }
    }

    fn state(&self, info: &ObjectInfo, slots: &[Slot]) -> ObjectState {
        let place = |slot: &Slot| slot.waits_for.wrapping_sub(info.offset);
        let sleepers: Vec<u64> =
            slots.iter().filter(|slot| slot.waits_for != 0).map(place).filter(|&at| at < info.size).collect();
        // A reader-writer lock's name there is its place in the file, as in `sync::raw_rwlock`.
        let of_this = |slot: &Slot| {
            let here = slot.holds.iter().filter(|&&hold| hold << 16 >> 16 == info.offset && hold != 0);
            let times = here.map(|&hold| (hold >> 48 & 0x7fff) as u32).sum::<u32>();
            (times > 0).then_some((slot.id, times))
        };
        let holds: Vec<_> = slots.iter().filter_map(of_this).collect();
        let look = Look {
            size: info.size,
            params: info.params,
            read: &|at| self.word(info.offset.checked_add(at)?).ok(),
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
                .map(|&(id, part)| Holder { who: who(id, slots), part })
                .collect(),
            facts: state.map(|s| s.facts).unwrap_or_default(),
        }
    }
}

/// The slot of an owner; they are in their order.
fn find(id: OwnerId, slots: &[Slot]) -> Option<&Slot> {
    let at = slots.binary_search_by_key(&id.slot(), |slot| slot.id.slot()).ok()?;
    Some(&slots[at]).filter(|slot| slot.id == id)
}

fn who(id: OwnerId, slots: &[Slot]) -> Who {
    // Not among them: dead, or it came since; a look at the slots is not of one moment.
    find(id, slots).map_or_else(|| Who::new(id, None, false), Slot::who)
}
