//! Who holds what, and how many wait for it: for people, tools and tests; diagnostic only, never for decisions.
//!
//! A query costs only the caller. Who holds an object is read from the object's own word; who waits, from the
//! notes that sleepers leave in their slots ([`Member::sleep`](super::Member::sleep)). The caller need not be a member.
//!
//! **A new object** needs these lines: its holder is an [`OwnerId`] in its word, its waiters are those whose
//! notes point into its bytes.
//!
//! ```ignore
//! /// Who holds it, dead or alive: a snapshot.
//! pub fn holder(&self) -> Result<Option<Who>> {
//!     view::who(self.address(), self.raw.owner())
//! }
//!
//! /// How many sleep for it: a snapshot.
//! pub fn waiters(&self) -> Result<u32> {
//!     view::waiters(self.address(), size_of::<RawMutex>())
//! }
//! ```
//!
//! For several holders: [`all`]. In C: `ffi::who`. For `interproc inspect`: an entry in the table of `inspect::decoders`.
//!
//! | what is read | how it is kept consistent |
//! |---|---|
//! | a member's description | `described` before and after: [`Table::identity`] |
//! | what it waits for, and on whom | `waits_changed` and `described` before and after: `write_note`, `read_note` |
//! | its name and state, from /proc | only with the start time that the member left, read last |

use super::{Domain, Identity, Life, OwnerId, Table};
use crate::atomic::Ordering;
use crate::format::SlotPage;
use crate::sys::task;
use core::fmt;
use core::sync::atomic::fence;

/// A thread that holds something, is in the way, or waits: a snapshot.
///
/// Displays as `"name" (pid 12, tid 13)`, and says if the thread is dead or stopped, or if its ids are of another PID
/// namespace.
///
/// *Diagnostic, and for decisions among processes that trust each other.* The ids are what that thread, or anyone else who may
/// write to the segment, has written there: they prove nothing (see [`shm`](crate::shm)).
///
/// # Examples
/// ```
/// # use interproc::{Segment, sync::Mutex};
/// # let seg = Segment::anonymous(4096)?;
/// # let lock = seg.object("lock", || Mutex::new(0u64))?;
/// assert_eq!(lock.holder()?, None);
/// let guard = lock.lock()?;
/// let who = lock.holder()?.expect("somebody");
/// assert!(who.alive && who.pid == std::process::id());
/// println!("held by {who}");
/// # drop(guard);
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Who {
    /// Its name in the segment.
    pub id: OwnerId,
    /// Its process id, in its own PID namespace. 0 if it is no longer known: the thread is dead and its slot has gone to
    /// somebody else.
    pub pid: u32,
    /// Its thread id, as above.
    pub tid: u32,
    /// Its PID namespace's inode number, 0 if unknown.
    pub pid_namespace: u64,
    /// Its start time in clock ticks since boot, 0 if unknown: together with the ids it names a thread uniquely.
    pub start_time: u64,
    /// Whether it lives. A stopped thread lives.
    pub alive: bool,
    /// Its state as the letter that ps shows: `S` sleeping, `R` running, `T` stopped, `t` stopped by a debugger, `D` in an
    /// uninterruptible system call. `None` for the dead, and where the caller cannot see it.
    pub state: Option<char>,
    name: [u8; 16],
}

impl Who {
    /// The thread's name, if it lives in the caller's PID namespace and /proc shows it. If the name is not UTF-8, its non-ASCII
    /// bytes are replaced.
    pub fn name(&self) -> Option<&str> {
        let len = self.name.iter().position(|&b| b == 0).unwrap_or(self.name.len());
        core::str::from_utf8(&self.name[..len]).ok().filter(|name| !name.is_empty())
    }

    /// What is known of an owner.
    pub(crate) fn new(id: OwnerId, identity: Option<Identity>, alive: bool) -> Who {
        let nobody =
            Who { id, pid: 0, tid: 0, pid_namespace: 0, start_time: 0, alive, state: None, name: [0; 16] };
        let Some(it) = identity else { return nobody };
        let (pid, tid, pid_namespace, start_time) = (it.pid, it.tid, it.pid_namespace, it.start_time);
        let mut who = Who { pid, tid, pid_namespace, start_time, ..nobody };
        if !alive || !it.is_of_our_namespace() {
            return who;
        }
        let seen = task::look_at(pid, tid).ok().filter(|seen| it.may_have_started_at(seen.start_time));
        if let Some(seen) = seen {
            who.name = seen.name;
            who.state = seen.state.is_ascii_alphabetic().then_some(seen.state.into());
            if core::str::from_utf8(&who.name).is_err() {
                who.name.iter_mut().filter(|b| !b.is_ascii()).for_each(|b| *b = b'?');
            }
        }
        who
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return write!(f, "a thread long dead (slot {:?})", self.id);
        }
        match self.name() {
            // As a literal: a name can contain anything, and may go to a terminal.
            Some(name) => write!(f, "{name:?} (pid {}, tid {}", self.pid, self.tid)?,
            None => write!(f, "(pid {}, tid {}", self.pid, self.tid)?,
        }
        if self.pid_namespace != task::pid_namespace() {
            f.write_str(" of another PID namespace")?;
        }
        if !self.alive {
            f.write_str(", dead")?;
        }
        if matches!(self.state, Some('T' | 't')) {
            f.write_str(", stopped")?;
        }
        f.write_str(")")
    }
}

/// What a living member sleeps on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub id: OwnerId,
    /// The word's file offset.
    pub waits_for: u64,
    /// Who is in its way.
    pub waits_on: Option<OwnerId>,
}

/// How often a note is read again because it changed meanwhile.
const LOOKS: u32 = 64;

/// Notes what the member of a slot sleeps on; 0 for nothing. Only its own thread writes the note. It is a sequence lock, so
/// that no reader combines the object of one sleep with the owner of another.
pub(super) fn write_note(page: &SlotPage, waits_for: u64, waits_on: Option<OwnerId>) {
    // Relaxed: nobody else writes it. It is even, unless a peer scribbled: the note of a member that was killed here is not
    // read, and its successor starts from 0.
    let changes = page.waits_changed.load(Ordering::Relaxed) & !1;
    page.waits_changed.store(changes.wrapping_add(1), Ordering::Relaxed);
    fence(Ordering::Release);
    page.waits_on.store(waits_on.map_or(0, OwnerId::bits), Ordering::Relaxed);
    page.waits_for.store(waits_for, Ordering::Relaxed);
    page.waits_changed.store(changes.wrapping_add(2), Ordering::Release);
}

/// What the member of this generation sleeps on, and on whom; `None` while that changes.
fn read_note(page: &SlotPage, generation: u32) -> Option<(u64, Option<OwnerId>)> {
    let stamp = |order| (page.waits_changed.load(order), page.described.load(order));
    let before = stamp(Ordering::Acquire);
    // Relaxed: between two looks at the stamp.
    let waits_for = page.waits_for.load(Ordering::Relaxed);
    let waits_on = page.waits_on.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    let quiet = before.0.is_multiple_of(2) && stamp(Ordering::Relaxed) == before;
    (quiet && before.1 == u64::from(generation)).then_some((waits_for, OwnerId::of(waits_on)))
}

impl Table {
    /// What the member in a slot sleeps on; `None` if it does not sleep, or if no living member is there.
    pub(crate) fn waiting(&self, index: u32) -> Option<Waiting> {
        let (slot, page) = (self.slot(index)?, self.description(index)?);
        for _ in 0..LOOKS {
            let word = slot.load(Ordering::Acquire);
            if !super::table::is_live(word as u32) {
                return None;
            }
            let id = OwnerId::new(index as u16, (word >> 32) as u32);
            if let Some((waits_for, waits_on)) = read_note(page, id.generation()) {
                return (waits_for != 0).then_some(Waiting { id, waits_for, waits_on });
            }
            core::hint::spin_loop();
        }
        // It keeps changing, so the member is awake.
        None
    }
}

impl Domain {
    /// Who an owner is.
    pub fn who(&self, id: OwnerId) -> Who {
        // A description does not change as long as its member lives.
        let identity = self.table().identity(id);
        let alive = self.table().life(id) != Life::Dead && !self.is_dead(id);
        Who::new(id, identity, alive)
    }

    /// How many living members sleep on a word in these bytes of the file.
    pub fn waiters(&self, offset: u64, len: u64) -> u32 {
        let here = |w: &Waiting| w.waits_for.wrapping_sub(offset) < len && !self.is_dead(w.id);
        (0..self.table().count()).filter_map(|index| self.table().waiting(index)).filter(here).count() as u32
    }
}

#[cfg(feature = "std")]
mod by_address {
    use super::Who;
    use crate::error::Result;
    use crate::fallible;
    use crate::member::{Domain, OwnerId, Table, attachment};
    use std::vec::Vec;

    /// Who an owner of the object at `address` is.
    ///
    /// # Errors
    /// `InvalidInput` for an address in no attached segment.
    pub(crate) fn who(address: *const u8, owner: Option<OwnerId>) -> Result<Option<Who>> {
        attachment::visit(address, |domain, _| owner.map(|id| domain.who(id)))
    }

    /// [`who`], for objects with many holders: each of them once. `owners` gets the object's file offset.
    pub(crate) fn all<I: IntoIterator<Item = OwnerId>>(
        address: *const u8,
        owners: impl FnOnce(&Table, u64) -> Result<I>,
    ) -> Result<Vec<Who>> {
        attachment::visit(address, |domain, offset| {
            let mut ids = fallible::collected(owners(domain.table(), offset)?)?;
            ids.sort_unstable_by_key(|id| id.bits());
            ids.dedup();
            fallible::collected(ids.into_iter().map(|id| domain.who(id)))
        })?
    }

    /// Runs `look` with the domain of the segment around `address`.
    ///
    /// # Errors
    /// `InvalidInput` for an address in no attached segment.
    pub(crate) fn look<R>(address: *const u8, look: impl FnOnce(&Domain) -> R) -> Result<R> {
        attachment::visit(address, |domain, _| look(domain))
    }

    /// How many living members sleep on a word in these `len` bytes.
    ///
    /// # Errors
    /// `InvalidInput` for an address in no attached segment.
    pub(crate) fn waiters(address: *const u8, len: usize) -> Result<u32> {
        attachment::visit(address, |domain, offset| domain.waiters(offset, len as u64))
    }
}

#[cfg(feature = "std")]
#[allow(unused_imports)]
pub(crate) use by_address::{all, look, waiters, who};

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicBool, AtomicU64};

    fn page() -> SlotPage {
        let word = || AtomicU64::new(0);
        SlotPage {
            seat_incarnation: word(),
            member_seat: word(),
            pid_namespace: word(),
            pid_tid: word(),
            start_time: word(),
            time_namespace: word(),
            described: AtomicU64::new(7),
            waits_for: word(),
            waits_on: word(),
            waits_changed: word(),
            wanted: word(),
            answers: word(),
            ended_well: word(),
            holds: crate::format::Holds { sleepers: word(), words: core::array::from_fn(|_| word()) },
            reserved: core::array::from_fn(|_| word()),
        }
    }

    #[test]
    fn a_note_is_of_one_sleep_however_fast_they_follow() {
        let (page, done) = (page(), AtomicBool::new(false));
        let id = |n: u64| OwnerId::new(n as u16, n as u32);
        std::thread::scope(|s| {
            s.spawn(|| {
                for n in (1..=60_000).cycle() {
                    write_note(&page, n, Some(id(n)));
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            let mut seen = 0;
            while seen < 1_000_000 {
                if let Some((waits_for, waits_on)) = read_note(&page, 7) {
                    assert_eq!(waits_on, (waits_for != 0).then(|| id(waits_for)));
                    // Not before the writer has begun.
                    seen += u32::from(waits_for != 0);
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(read_note(&page, 8), None, "of another member");
        page.waits_changed.fetch_or(1, Ordering::Relaxed);
        assert_eq!(read_note(&page, 7), None, "a half-written one");
    }
}
