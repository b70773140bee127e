//! From an address to the calling thread's member.
//!
//! A thread has one member per domain, made at its first use. The fast path is a thread-local cache of the last mapping looked
//! up, then of a few more, valid while the process's attach epoch (`attachment`) is unchanged.
#![allow(unsafe_code)]

use super::attachment::{FORKS, Home, Lock, WIPED, node_of, notice_fork};
use super::thread_end::look_at_thread_end;
use super::{Member, OwnerId};
use crate::error::{ErrorKind, Result};
use crate::sys::call::KeepErrno;
use crate::sys::robust::{Pending, RobustList};
use crate::sys::task;
use core::cell::Cell;
use core::ptr::null;
use core::sync::atomic::{AtomicU64, Ordering};

/// What the private page of a member's slot holds after the list node.
pub(super) struct Record {
    pub(super) member: Member,
    pub(super) home: *const Home,
    next: *const Record,
}

/// A mapping and the thread's member of it, as of an epoch.
struct Seen {
    base: Cell<usize>,
    len: Cell<usize>,
    epoch: Cell<u64>,
    member: Cell<*const Member>,
}

impl Seen {
    const fn nothing() -> Seen {
        Seen { base: Cell::new(0), len: Cell::new(0), epoch: Cell::new(u64::MAX), member: Cell::new(null()) }
    }
}

/// How many mappings a thread may use in turns without looking them up again (which takes a lock and system calls).
const SEEN: usize = 8;

pub(super) struct Local {
    base: Cell<usize>,
    len: Cell<usize>,
    epoch: Cell<u64>,
    /// The thread's number in the process, 0 until it is asked for.
    thread: Cell<u64>,
    id: Cell<u64>,
    member: Cell<*const Member>,
    /// The last few, including the one above. Written only while signals are blocked.
    seen: [Seen; SEEN],
    /// Counts the entries; the next one goes to this index modulo the length.
    next_seen: Cell<usize>,
    records: Cell<*const Record>,
    forks: Cell<u64>,
    robust: Cell<Option<RobustList>>,
}

std::thread_local! {
    pub(super) static LOCAL: Local = const {
        Local {
            base: Cell::new(0),
            len: Cell::new(0),
            epoch: Cell::new(u64::MAX),
            thread: Cell::new(0),
            id: Cell::new(0),
            member: Cell::new(null()),
            seen: [const { Seen::nothing() }; SEEN],
            next_seen: Cell::new(0),
            records: Cell::new(null()),
            forks: Cell::new(0),
            robust: Cell::new(None),
        }
    };
}

/// The calling thread's member of the segment that contains `address`, made now if this is the first use.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for an address in no attached segment; those of [`Domain::register`].
#[inline(always)]
pub(crate) fn current<'a>(address: *const u8) -> Result<&'a Member> {
    LOCAL.with(|local| {
        // SAFETY: a cached member is the calling thread's and lives until its domain is detached, which moves the
        // epoch. The reference is used within one operation on an object of that segment.
        if is_cached(local, address) { Ok(unsafe { &*local.member.get() }) } else { find(local, address) }
    })
}

/// [`current`], together with the id: on the way to a lock's compare-and-swap every dependent load counts.
#[inline(always)]
pub(crate) fn current_id<'a>(address: *const u8) -> Result<(OwnerId, &'a Member)> {
    LOCAL.with(|local| {
        // Read before the check. If it were read after it on both paths, the compiler would choose an address first and then
        // load from it: two loads in a row.
        let id = OwnerId::cached(local.id.get());
        if is_cached(local, address) {
            // SAFETY: as in `current`.
            return Ok((id, unsafe { &*local.member.get() }));
        }
        let me = find(local, address)?;
        Ok((me.id(), me))
    })
}

/// [`current_id`], together with the address as a file offset.
#[inline(always)]
pub(crate) fn current_at<'a>(address: *const u8) -> Result<(OwnerId, &'a Member, u64)> {
    LOCAL.with(|local| {
        let id = OwnerId::cached(local.id.get());
        let offset = address.addr().wrapping_sub(local.base.get()) as u64;
        if is_cached(local, address) {
            // SAFETY: as in `current`.
            return Ok((id, unsafe { &*local.member.get() }, offset));
        }
        let me = find(local, address)?;
        Ok((me.id(), me, me.offset_of(address)))
    })
}

#[inline(always)]
fn is_cached(local: &Local, address: *const u8) -> bool {
    address.addr().wrapping_sub(local.base.get()) < local.len.get()
        && local.epoch.get() == WIPED.epoch.load(Ordering::Relaxed)
}

/// A thread of a process between two changes of what the process has attached. As long as it holds, none of the thread's members
/// changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Here {
    thread: u64,
    epoch: u64,
}

impl Here {
    /// Nowhere.
    pub(crate) const NOWHERE: Here = Here { thread: 0, epoch: u64::MAX };

    /// The caller, which has just asked for its [`current`] member.
    pub(crate) fn now() -> Here {
        static THREADS: AtomicU64 = AtomicU64::new(0);
        LOCAL.with(|local| {
            if local.thread.get() == 0 {
                local.thread.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
            }
            Here { thread: local.thread.get(), epoch: WIPED.epoch.load(Ordering::Relaxed) }
        })
    }

    /// Whether this is still the caller.
    #[inline(always)]
    pub(crate) fn is_now(self) -> bool {
        LOCAL.with(|local| local.thread.get() == self.thread)
            && self.epoch == WIPED.epoch.load(Ordering::Relaxed)
    }
}

/// Tells a process from its parent, once the thread has asked for a [`current`] member.
#[inline(always)]
pub(crate) fn forks() -> u64 {
    // Relaxed: moved by the thread itself, or before it was made.
    FORKS.load(Ordering::Relaxed)
}

/// The member for an address that is not in the last mapping looked up.
#[inline(never)]
fn find<'a>(local: &Local, address: *const u8) -> Result<&'a Member> {
    let epoch = WIPED.epoch.load(Ordering::Relaxed);
    let is_in = |s: &&Seen| address.addr().wrapping_sub(s.base.get()) < s.len.get() && s.epoch.get() == epoch;
    match local.seen.iter().find(is_in) {
        // SAFETY: as in `current`: of this epoch.
        Some(seen) => Ok(unsafe { &*seen.member.get() }),
        None => look_up(local, address),
    }
}

#[cold]
fn look_up<'a>(local: &Local, address: *const u8) -> Result<&'a Member> {
    let _errno = KeepErrno::new();
    let _quiet = task::SignalsBlocked::new();
    let _lock = Lock::take();
    notice_fork();
    if local.forks.get() != FORKS.load(Ordering::Relaxed) {
        // The records lay in pages that the fork wiped.
        local.records.set(null());
        if let Some(robust) = local.robust.get() {
            robust.unpend(Pending::NONE); // it may rest at a bell of the parent's
        }
        local.forks.set(FORKS.load(Ordering::Relaxed));
    }
    let node = node_of(address.addr()).ok_or(ErrorKind::InvalidInput)?;
    let home = node.home.load(Ordering::Acquire);
    // SAFETY: an attached node's home is in the list.
    let member = match record_of(local, home) {
        Some(record) => &raw const record.member,
        // SAFETY: an attached node's home is in the list, and stays while it is attached.
        None => register(local, unsafe { &*home })?,
    };
    // Filled while signals are blocked: a handler sees all or nothing.
    local.base.set(node.base.load(Ordering::Relaxed));
    local.len.set(node.len.load(Ordering::Relaxed));
    local.member.set(member);
    // SAFETY: as in `current`.
    local.id.set(unsafe { &*member }.id().bits());
    local.epoch.set(WIPED.epoch.load(Ordering::Relaxed));
    let seen = &local.seen[local.next_seen.get() % SEEN];
    local.next_seen.set(local.next_seen.get().wrapping_add(1));
    seen.base.set(local.base.get());
    seen.len.set(local.len.get());
    seen.member.set(member);
    seen.epoch.set(local.epoch.get());
    // SAFETY: as in `current`.
    Ok(unsafe { &*member })
}

/// The calling thread's records. None in a forked child that has not noticed its birth: there they are the parent's, and wiped.
pub(super) fn records(local: &Local) -> impl Iterator<Item = &'static Record> {
    let ours = WIPED.epoch.load(Ordering::Relaxed) != 0 && local.forks.get() == FORKS.load(Ordering::Relaxed);
    let mut record = if ours { local.records.get() } else { null() };
    core::iter::from_fn(move || {
        // SAFETY: records of this thread's members; they live as long as the member.
        let r = unsafe { record.as_ref() }?;
        record = r.next;
        Some(r)
    })
}

fn record_of(local: &Local, home: *const Home) -> Option<&'static Record> {
    records(local).find(|r| core::ptr::eq(r.home, home))
}

fn register(local: &Local, home: &'static Home) -> Result<*const Member> {
    leave_empty_homes(local);
    look_at_thread_end()?;
    // SAFETY: the home stays until its last member is gone; this thread has no member of it.
    let member = unsafe { home.domain.register(local.robust.get()) }?;
    local.robust.set(Some(member.robust));
    let place = home.domain.private_page(&member).cast::<Record>();
    // SAFETY: the rest of the private page is ours, large and aligned enough, as long as the member lives.
    unsafe {
        place.write(Record { member, home, next: local.records.get() });
        local.records.set(place.as_ptr());
        Ok(&raw const (*place.as_ptr()).member)
    }
}

/// Gives back the calling thread's slots in segments that the process has detached. (The thread-local is gone when a static is
/// dropped at the end of the thread: then the kernel's mark serves.)
pub(super) fn leave_detached() {
    let _ = LOCAL.try_with(|local| {
        if local.forks.get() == FORKS.load(Ordering::Relaxed) {
            leave_empty_homes(local);
        }
    });
}

/// Gives back this thread's slots in segments that the process has detached.
fn leave_empty_homes(local: &Local) {
    let mut kept = null();
    let mut record = local.records.get();
    // SAFETY: as in `records`; a record is not used after its member has left.
    while let Some(r) = unsafe { record.as_ref() } {
        let next = r.next;
        // SAFETY: a home stays until its last member is gone.
        let home = unsafe { &*r.home };
        if home.refs.load(Ordering::Relaxed) == 0 {
            // SAFETY: the calling thread's member; its record leaves the list here.
            unsafe { home.domain.unregister(&r.member) };
        } else {
            // SAFETY: this thread's own record, which nothing else refers to while its `next` is written.
            unsafe { (&raw mut (*record.cast_mut()).next).write(kept) };
            kept = record;
        }
        record = next;
    }
    local.records.set(kept);
}
