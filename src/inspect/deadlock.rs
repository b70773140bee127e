//! Cycles of waiting, found from outside.
//!
//! Each sleeper's note names at most one owner that blocks it, so the notes form a graph in which each member has at most
//! one edge; a member that waits for *any* of several owners names none. A cycle of notes is a deadlock unless it dissolves
//! by itself. So it counts only if three looks in a row find it, and if in between
//!
//! - each edge was *proven*: its sleeper went to sleep again (it looked, and found the same owner), or the word that it sleeps
//!   on names that owner. Otherwise the note may be out of date: the owner has released what the member still sleeps for. Such
//!   a member is woken, and if the wake-up is late it looks for itself within the net (50 ms);
//! - nobody slept more often than the net makes them: threads that soon give up and try again are not deadlocked.

use super::members::{MemberInfo, Slot};
use super::view::{find, index_of};
use crate::error::Result;
use crate::fallible;
use crate::member::{NET_NS, OwnerId};
use crate::shm::Snapshot;
use core::fmt;
use core::iter::repeat_n;
use core::time::Duration;
use std::time::Instant;
use std::vec::Vec;

/// The pause between two looks; longer than the net.
const BETWEEN: Duration = Duration::from_millis(60);
/// How many looks after the first must find a cycle.
const LEAST: u32 = 2;
/// After so many looks a cycle that is not proven is dropped.
const MOST: u32 = 10;
/// What one sleep adds to `waits_changed`.
const CHANGES: u64 = 4;

/// Members that wait for each other in a cycle: each one's [`waits`](MemberInfo::waits) names the next, and the last one's
/// the first. Displayed as a sentence a member.
///
/// # Examples
/// ```
/// # use interproc::Segment;
/// let name = format!("/interproc-doc-cycle-{}", std::process::id());
/// let seg = Segment::create(&name, 4096)?;
/// for cycle in Segment::open_read_only(&name)?.deadlocks()? {
///     println!("{} wait for each other:\n{cycle}", cycle.members.len());
/// }
/// # Segment::unlink(&name)?;
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlock {
    /// Who takes part.
    pub members: Vec<MemberInfo>,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, member) in self.members.iter().enumerate() {
            write!(f, "{}{member}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// An edge of a cycle.
struct Edge {
    /// The slot when the edge was found, or when its count of sleeps began.
    slot: Slot,
    proven: bool,
}

/// A cycle of notes.
struct Suspect {
    edges: Vec<Edge>,
    /// How many looks have found it.
    stood: u32,
}

impl Suspect {
    fn is_proven(&self) -> bool {
        self.stood >= LEAST && self.edges.iter().all(|edge| edge.proven)
    }
}

impl Snapshot {
    /// Finds members that wait for each other in a cycle. It returns at once if no notes form one; otherwise it looks again
    /// for up to a second, because a cycle that dissolves is not a deadlock. A wait with a time limit counts as long as it
    /// lasts. Cycles across several segments are not found.
    ///
    /// # Errors
    /// Those of reading the file.
    ///
    /// # Examples
    /// ```
    /// # use interproc::Segment;
    /// let name = format!("/interproc-doc-deadlocks-{}", std::process::id());
    /// let seg = Segment::create(&name, 4096)?;
    /// assert!(Segment::open_read_only(&name)?.deadlocks()?.is_empty());
    /// # Segment::unlink(&name)?;
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn deadlocks(&self) -> Result<Vec<Deadlock>> {
        let mut slots = self.slots()?;
        let mut suspects = cycles(&slots)?;
        for _ in 0..MOST {
            if suspects.iter().all(Suspect::is_proven) {
                break;
            }
            let paused = Instant::now();
            std::thread::sleep(BETWEEN);
            slots = self.slots()?;
            // One by the net, one that began before the pause, and one that something else ended.
            let sleeps = 3 + paused.elapsed().as_nanos() as u64 / NET_NS;
            suspects.retain_mut(|suspect| self.stands(suspect, &slots, sleeps * CHANGES));
        }
        suspects.retain(Suspect::is_proven);
        let (objects, _) = self.directory()?;
        let member = |edge: &Edge| self.member(&edge.slot, &slots, &objects);
        let members = |suspect: &Suspect| fallible::all(suspect.edges.iter().map(member));
        fallible::all(suspects.iter().map(|suspect| Ok(Deadlock { members: members(suspect)? })))
    }

    /// Whether the cycle is still there.
    fn stands(&self, suspect: &mut Suspect, slots: &[Slot], changes: u64) -> bool {
        suspect.stood += 1;
        for edge in &mut suspect.edges {
            let now = find(edge.slot.id, slots);
            let same =
                |now: &&Slot| (now.waits_for, now.waits_on) == (edge.slot.waits_for, edge.slot.waits_on);
            let Some(now) = now.filter(same) else { return false };
            let changed = now.waits_changed.wrapping_sub(edge.slot.waits_changed);
            edge.slot = *now;
            edge.proven |= changed != 0 || self.names(now.waits_for, now.waits_on);
            if changed > changes {
                suspect.stood = 0;
            }
        }
        true
    }

    /// Whether the word at this offset in the file names this owner.
    fn names(&self, offset: u64, owner: Option<OwnerId>) -> bool {
        self.word(offset & !7).is_ok_and(|word| owner.is_some() && OwnerId::of(word) == owner)
    }
}

/// The cycles of the graph in which each member points to the one it waits for. Each member is visited once.
fn cycles(slots: &[Slot]) -> Result<Vec<Suspect>> {
    let next = |i: usize| {
        let slot = &slots[i];
        let on = slot.waits_on.filter(|_| slot.alive && slot.waits_for != 0)?;
        index_of(on, slots).filter(|&on| slots[on].alive)
    };
    // Which walk came by first; a walk that meets its own steps has found a cycle.
    let mut walked = fallible::collected(repeat_n(usize::MAX, slots.len()))?;
    let mut found = Vec::new();
    for start in 0..slots.len() {
        let mut at = Some(start);
        while let Some(i) = at.filter(|&i| walked[i] == usize::MAX) {
            walked[i] = start;
            at = next(i);
        }
        let Some(first) = at.filter(|&i| walked[i] == start) else { continue };
        let edge = |i: usize| Edge { slot: slots[i], proven: false };
        let mut edges = fallible::collected([edge(first)])?;
        let mut at = next(first);
        while let Some(i) = at.filter(|&i| i != first) {
            fallible::push(&mut edges, edge(i))?;
            at = next(i);
        }
        fallible::push(&mut found, Suspect { edges, stood: 0 })?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members by number; each waits on the one named, 0 for nobody.
    fn graph(edges: &[u32]) -> Vec<Slot> {
        let id = |n: u32| OwnerId::new(n as u16, 1);
        let slot = |(i, &on): (usize, &u32)| Slot {
            id: id(i as u32 + 1),
            identity: None,
            alive: true,
            waits_for: if on == 0 { 0 } else { 4096 },
            waits_on: (on != 0).then(|| id(on)),
            holds: [0; crate::format::HOLDS],
            waits_changed: 0,
        };
        edges.iter().enumerate().map(slot).collect()
    }

    fn found(slots: &[Slot]) -> Vec<Vec<u32>> {
        let found = cycles(slots).expect("memory");
        found.iter().map(|s| s.edges.iter().map(|edge| edge.slot.id.slot()).collect()).collect()
    }

    #[test]
    fn cycles_are_found_once_each_and_tails_are_none() {
        assert_eq!(found(&graph(&[])), [[0; 0]; 0]);
        assert_eq!(found(&graph(&[2, 3, 0])), [[0; 0]; 0], "a chain");
        assert_eq!(found(&graph(&[2, 1])), [[1, 2]]);
        assert_eq!(found(&graph(&[2, 3, 1, 1, 4])), [[1, 2, 3]], "with two that wait for one of it");
        assert_eq!(found(&graph(&[2, 3, 4, 3])), [[3, 4]], "met from its tail");
        assert_eq!(found(&graph(&[2, 1, 4, 3])), [[1, 2], [3, 4]]);
        assert_eq!(found(&graph(&[1])), [[1]], "a scribbled note");
        assert_eq!(found(&graph(&[9, 1])), [[0; 0]; 0], "nobody of that name");
    }

    #[test]
    fn the_dead_wait_for_nobody() {
        let mut slots = graph(&[2, 3, 1]);
        slots[1].alive = false;
        assert!(found(&slots).is_empty());
    }
}
