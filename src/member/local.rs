//! From an address to the calling thread's member.
//!
//! A process has one [`Domain`] per segment (by device and inode), however often it maps it; each mapping is an
//! attachment of that domain. A thread has one member per domain, made at its first use. The fast path is a
//! thread-local cache of the last mapping looked up, then of a few more, valid while the process's *attach epoch* is unchanged: every
//! attach and detach moves it, and the word that holds it reads 0 in a forked child, so that no cache survives a
//! fork, not even a raw clone.
//!
//! *At the end of a thread* (not of one that a bare system call ends) its slots are left to the kernel, which marks them: its
//! death. But a slot with [guards](Member::guard_begins), which it can only have leaked, is made the process's
//! ([`Domain::keep`]), as references to what it holds may be anywhere in the process. This is done by the destructor of a
//! thread-specific value, in the last round of such destructors, so that guards in thread-locals are dropped before.
//!
//! Nothing is freed that a thread may still reach: attachment nodes are reused, never freed; a domain stays until
//! the last thread that is linked through it is gone (its robust list points into the domain's memory).
#![allow(unsafe_code)]

use super::{Domain, Member, OwnerId, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Fixed;
use crate::heap;
use crate::sys::call::KeepErrno;
use crate::sys::own::{Identity, Own};
use crate::sys::robust::{Pending, RobustList};
use crate::sys::{Word, futex, memory, task};
use core::cell::Cell;
use core::ptr::{NonNull, null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use memmap2::{MmapOptions, MmapRaw};
use std::boxed::Box;
use std::os::fd::{IntoRawFd, OwnedFd};

/// A page of the program's zero-initialised data that a fork wipes: one load away on the fast path, which a page
/// found through a pointer is not.
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(align(4096)))]
#[cfg_attr(not(target_arch = "x86_64"), repr(align(65536)))]
struct Wiped {
    /// The attach epoch; 0 before the first attach and in a child that has not noticed its birth.
    epoch: AtomicU64,
    /// The lock of everything below: 0 free, 1 taken, 2 taken and waited for.
    lock: AtomicU32,
}

static WIPED: Wiped = Wiped { epoch: AtomicU64::new(0), lock: AtomicU32::new(0) };
/// The last epoch given out, in memory that a fork keeps.
static LAST_EPOCH: AtomicU64 = AtomicU64::new(0);
/// Counts forks noticed: a thread's list of members is of one process only.
static FORKS: AtomicU64 = AtomicU64::new(0);
/// The key of the value whose destructor runs when a thread ends, plus one; 0: not made yet. (Not a thread-local destructor: the
/// C library ends the process if it has no memory to note one down, and it would run before those of guards.)
static END_KEY: AtomicU32 = AtomicU32::new(0);
/// Slots of ended threads that are the process's.
static KEPT: AtomicU32 = AtomicU32::new(0);
static ATTACHMENTS: AtomicPtr<Node> = AtomicPtr::new(null_mut());
static DOMAINS: AtomicPtr<Home> = AtomicPtr::new(null_mut());

/// One mapping of a segment. Reused after detach, never freed.
struct Node {
    base: AtomicUsize,
    len: AtomicUsize,
    home: AtomicPtr<Home>,
    next: *mut Node,
}

// SAFETY: `next` is written before the node is published and never again; nodes are never freed; the rest is atomic.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

/// A domain and what it stands on. In the list while `refs` or members are left.
struct Home {
    key: Identity,
    refs: AtomicUsize,
    domain: Domain,
    next: AtomicPtr<Home>,
    _head: MmapRaw,
}

/// What the private page of a member's slot holds behind the list node.
struct Record {
    member: Member,
    home: *const Home,
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

/// How many mappings a thread may use in turns without looking them up anew (which takes a lock and system calls).
const SEEN: usize = 8;

struct Local {
    base: Cell<usize>,
    len: Cell<usize>,
    epoch: Cell<u64>,
    /// The thread's number in the process, 0 until it is asked for.
    thread: Cell<u64>,
    id: Cell<u64>,
    member: Cell<*const Member>,
    /// The last few, the one above among them. Written only while signals are blocked.
    seen: [Seen; SEEN],
    /// Where the next one goes, counted on.
    next_seen: Cell<usize>,
    records: Cell<*const Record>,
    forks: Cell<u64>,
    robust: Cell<Option<RobustList>>,
}

std::thread_local! {
    static LOCAL: Local = const {
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

/// The calling thread ends in good order: see [`Member::end_well`].
pub(crate) fn end_well() {
    let _ = LOCAL.try_with(|local| {
        // In a child that has not noticed its birth the records are wiped.
        if WIPED.epoch.load(Ordering::Relaxed) != 0 && local.forks.get() == FORKS.load(Ordering::Relaxed) {
            let mut record = local.records.get();
            // SAFETY: as in `record_of`.
            while let Some(r) = unsafe { record.as_ref() } {
                r.member.end_well();
                record = r.next;
            }
        }
    });
}

/// The calling thread's member of the segment that `address` lies in, made now if this is its first use.
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

/// As [`current`], with the id beside it: on the way to a lock's compare-and-swap every dependent load counts.
#[inline(always)]
pub(crate) fn current_id<'a>(address: *const u8) -> Result<(OwnerId, &'a Member)> {
    LOCAL.with(|local| {
        // Read before the check: read after it on both ways, the compiler would choose an address first and then load
        // from it, one load behind the other.
        let id = OwnerId::cached(local.id.get());
        if is_cached(local, address) {
            // SAFETY: as in `current`.
            return Ok((id, unsafe { &*local.member.get() }));
        }
        let me = find(local, address)?;
        Ok((me.id(), me))
    })
}

/// As [`current_id`], with the address as a file offset.
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

/// A thread of a process, between two changes of what it has attached: in it, each of the thread's members stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Here {
    thread: u64,
    epoch: u64,
}

impl Here {
    /// Nowhere.
    pub(crate) const NOWHERE: Here = Here { thread: 0, epoch: u64::MAX };

    /// Where the caller is, who has just asked for its [`current`] member.
    pub(crate) fn now() -> Here {
        static THREADS: AtomicU64 = AtomicU64::new(0);
        LOCAL.with(|local| {
            if local.thread.get() == 0 {
                local.thread.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
            }
            Here { thread: local.thread.get(), epoch: WIPED.epoch.load(Ordering::Relaxed) }
        })
    }

    /// Whether the caller is there.
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

/// The member for an address that is not in the mapping looked up last.
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

/// How many pages' nodes are noted.
const NOTED: usize = 64;

/// The node that an address was last found in, by a hash of its page: a process may have thousands of attachments. Only where
/// to look first: what it says is checked.
static NOTES: [AtomicPtr<Node>; NOTED] = [const { AtomicPtr::new(null_mut()) }; NOTED];

/// Whether an address lies in an attached segment: a few loads, no system call, nothing of the thread's, so that a signal
/// handler may ask.
#[inline(always)]
pub(crate) fn is_attached(address: *const u8) -> bool {
    noted(address.addr()).is_some() || walk(address.addr()).is_some()
}

fn node_of(address: usize) -> Option<&'static Node> {
    noted(address).or_else(|| walk(address))
}

/// Pages of one segment lie beside each other, and so do mappings: the upper bits of the product differ for both.
#[inline(always)]
fn note_of(address: usize) -> &'static AtomicPtr<Node> {
    let hash = ((address >> 12) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &NOTES[(hash >> (u64::BITS - NOTED.ilog2())) as usize]
}

#[inline(always)]
fn noted(address: usize) -> Option<&'static Node> {
    // SAFETY: nodes are never freed.
    unsafe { note_of(address).load(Ordering::Acquire).as_ref() }.filter(|node| node.has(address))
}

#[cold]
#[inline(never)]
fn walk(address: usize) -> Option<&'static Node> {
    let mut node = ATTACHMENTS.load(Ordering::Acquire);
    // SAFETY: nodes are never freed.
    while let Some(n) = unsafe { node.as_ref() } {
        if n.has(address) {
            note_of(address).store(node, Ordering::Release);
            return Some(n);
        }
        node = n.next;
    }
    None
}

impl Node {
    #[inline(always)]
    fn has(&self, address: usize) -> bool {
        address.wrapping_sub(self.base.load(Ordering::Acquire)) < self.len.load(Ordering::Acquire)
    }
}

/// Where an address of an attached segment is in its file.
pub(super) fn offset_of(address: *const u8) -> Option<usize> {
    let node = node_of(address.addr())?;
    Some(address.addr().wrapping_sub(node.base.load(Ordering::Relaxed)))
}

/// The address so many bytes behind another one (two's complement), if all eight bytes there lie in the same attached
/// segment.
pub(super) fn beside(from: *const u8, distance: u64) -> Option<*const u8> {
    let node = node_of(from.addr())?;
    let offset = from.addr().wrapping_sub(node.base.load(Ordering::Relaxed)).wrapping_add(distance as usize);
    let inside = offset <= node.len.load(Ordering::Relaxed).checked_sub(8)?;
    inside.then(|| from.wrapping_offset(distance as isize))
}

/// For a look at the segment that `address` lies in, without becoming a member: its domain, and where the address is in
/// its file.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for an address in no attached segment.
pub(super) fn visit<R>(address: *const u8, look: impl FnOnce(&Domain, u64) -> R) -> Result<R> {
    let _errno = KeepErrno::new();
    let (home, offset) = {
        let _quiet = task::SignalsBlocked::new();
        let _lock = Lock::take();
        // The second channel must not ask by a descriptor that the parent has, too.
        notice_fork();
        let node = node_of(address.addr()).ok_or(ErrorKind::InvalidInput)?;
        let offset = address.addr().wrapping_sub(node.base.load(Ordering::Relaxed));
        (node.home.load(Ordering::Acquire), offset as u64)
    };
    // SAFETY: as in `current`: the caller keeps the segment attached while it uses an object in it.
    Ok(look(unsafe { &(*home).domain }, offset))
}

fn record_of(local: &Local, home: *const Home) -> Option<&'static Record> {
    let mut record = local.records.get();
    // SAFETY: records of this thread's members; they live as long as the member.
    while let Some(r) = unsafe { record.as_ref() } {
        if core::ptr::eq(r.home, home) {
            return Some(r);
        }
        record = r.next;
    }
    None
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

/// How often the destructors of thread-specific values are run at the end of a thread, as POSIX has it at least and glibc and
/// musl do it: the last time is after all others.
const LAST_ROUND: usize = 4;

/// Makes the key, once, before the process's lock is taken.
fn make_end_key() -> Result<()> {
    if END_KEY.load(Ordering::Acquire) != 0 {
        return Ok(());
    }
    pin();
    let mut key = 0;
    // SAFETY: `key` is writable, and the destructor stays mapped.
    let errno = unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ends)) };
    if errno != 0 {
        return Err(Error::from_errno(errno));
    }
    if END_KEY.compare_exchange(0, key + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        // SAFETY: made above, and used by nobody.
        unsafe { libc::pthread_key_delete(key) };
        return Ok(());
    }
    extern "C" fn process_ends() {
        end_well();
    }
    // For the thread by whose exit the process ends. Where that fails its end is taken for a death, which wakes some for
    // nothing.
    // SAFETY: the function stays, as the library does, and takes nothing.
    unsafe { libc::atexit(process_ends) };
    Ok(())
}

/// Keeps the library that this code is in mapped: a plugin that is closed must not take the destructor away from threads that
/// run on.
fn pin() {
    use core::ffi::{c_char, c_int, c_void};
    // SAFETY: the function that has this name, with its signature; none if the pointer is NULL. All-zero is a valid `Dl_info`;
    // the name is a C string if the call says so. The handle is not closed.
    unsafe {
        // By name: where all is linked statically there is no such function, and nothing to pin. The linker warns of whoever
        // refers to it there.
        let dlopen = libc::dlsym(libc::RTLD_DEFAULT, c"dlopen".as_ptr());
        let dlopen: Option<unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void> =
            core::mem::transmute(dlopen);
        let Some(dlopen) = dlopen else { return };
        let mut info: libc::Dl_info = core::mem::zeroed();
        if libc::dladdr(thread_ends as *const c_void, &raw mut info) != 0 && !info.dli_fname.is_null() {
            // A program answers with an error: it stays anyway.
            dlopen(info.dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

/// Has [`thread_ends`] called for this thread.
fn look_at_thread_end() -> Result<()> {
    let key = END_KEY.load(Ordering::Acquire).wrapping_sub(1);
    // SAFETY: the key was made by `attach`, which every mapping has come through.
    unsafe {
        if libc::pthread_getspecific(key).is_null() {
            let errno = libc::pthread_setspecific(key, core::ptr::without_provenance(1));
            if errno != 0 {
                return Err(Error::from_errno(errno));
            }
        }
    }
    Ok(())
}

/// At the end of a thread: it ends in good order, and what it has leaked stays held as long as the process lives.
unsafe extern "C" fn thread_ends(round: *mut core::ffi::c_void) {
    if round.addr() < LAST_ROUND {
        let next = core::ptr::without_provenance(round.addr() + 1);
        let key = END_KEY.load(Ordering::Acquire).wrapping_sub(1);
        // SAFETY: the key is there as long as the process.
        if unsafe { libc::pthread_setspecific(key, next) } == 0 {
            return;
        }
    }
    end_well();
    if !LOCAL.try_with(|local| records_with_guards(local).next().is_some()).unwrap_or(false) {
        return;
    }
    let _errno = KeepErrno::new();
    let _quiet = task::SignalsBlocked::new();
    let _lock = Lock::take();
    let _ = LOCAL.try_with(|local| {
        for record in records_with_guards(local) {
            // SAFETY: a home stays until its last member is gone; the member is this thread's, which ends.
            unsafe { (*record.home).domain.keep(&record.member) };
            KEPT.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// The calling thread's records whose member has guards.
fn records_with_guards(local: &Local) -> impl Iterator<Item = &'static Record> {
    // In a forked child the records are the parent's, and wiped.
    let ours = WIPED.epoch.load(Ordering::Relaxed) != 0 && local.forks.get() == FORKS.load(Ordering::Relaxed);
    let mut record = if ours { local.records.get() } else { null() };
    core::iter::from_fn(move || {
        // SAFETY: as in `record_of`.
        let r = unsafe { record.as_ref() }?;
        record = r.next;
        Some(r)
    })
    .filter(|r| r.member.guards.get() != 0)
}

/// Whether the calling thread has guards, or one that has ended had leaked some.
pub(crate) fn has_guards() -> bool {
    KEPT.load(Ordering::Relaxed) != 0
        || LOCAL.try_with(|local| records_with_guards(local).next().is_some()).unwrap_or(false)
}

/// Gives back this thread's slots in segments that the process has detached.
fn leave_empty_homes(local: &Local) {
    let mut kept = null();
    let mut record = local.records.get();
    // SAFETY: as in `record_of`; a record is not used after its member has left.
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

/// In a forked child, at its first call: the seats and slots are the parent's.
fn notice_fork() {
    if WIPED.epoch.load(Ordering::Relaxed) != 0 || LAST_EPOCH.load(Ordering::Relaxed) == 0 {
        return;
    }
    FORKS.fetch_add(1, Ordering::Relaxed);
    KEPT.store(0, Ordering::Relaxed);
    for home in homes() {
        // SAFETY: the child has one thread that is past the fork check, holding the lock. The home's mapping is the
        // domain's.
        unsafe { home.domain.after_fork(home.domain.have_own_file()) };
    }
    move_epoch();
}

fn homes() -> impl Iterator<Item = &'static Home> {
    let mut home: *const Home = DOMAINS.load(Ordering::Acquire);
    core::iter::from_fn(move || {
        // SAFETY: the caller holds the lock, under which homes are unlinked and freed.
        let h = unsafe { home.as_ref() }?;
        home = h.next.load(Ordering::Relaxed);
        Some(h)
    })
}

fn move_epoch() {
    let epoch = LAST_EPOCH.fetch_add(1, Ordering::Relaxed) + 1;
    WIPED.epoch.store(epoch, Ordering::Release);
}

/// A segment attached at one place. Dropping it detaches: the mapping may then be removed.
#[derive(Debug)]
pub struct Attachment {
    node: &'static Node,
}

/// Attaches the process to a segment that it has mapped at `base`.
///
/// `fd` is the segment's file, already validated and locked shared, with an open file description of our own.
///
/// # Errors
/// Those of mapping and of [`Domain::new`].
///
/// # Safety
/// `base` is the start of a mapping of `fixed.total_len` bytes of `fd`, which stays until the attachment is dropped;
/// `fixed` was checked against the file.
pub unsafe fn attach(fd: OwnedFd, base: NonNull<u8>, fixed: &Fixed) -> Result<Attachment> {
    let file = Own::new(fd.into_raw_fd()).map_err(Error::from_errno)?;
    let key = file.identity();
    make_end_key()?;
    let _quiet = task::SignalsBlocked::new();
    let _lock = Lock::take();
    wipe_on_fork()?;
    notice_fork();
    remove_empty_homes();
    let home = match homes().find(|h| h.key == key) {
        Some(home) => {
            home.domain.be_seated()?;
            home
        }
        None => add_home(key, file, fixed)?,
    };
    // Before it counts: an empty home that stays for want of memory is the next attach's to remove.
    let node = free_node()?;
    home.refs.fetch_add(1, Ordering::Relaxed);
    node.home.store(core::ptr::from_ref(home).cast_mut(), Ordering::Relaxed);
    node.base.store(base.addr().get(), Ordering::Relaxed);
    node.len.store(fixed.total_len as usize, Ordering::Release);
    move_epoch();
    Ok(Attachment { node })
}

/// Asks the kernel to wipe [`WIPED`] in forked children; where it cannot, a fork handler does (raw clones are then
/// not noticed).
fn wipe_on_fork() -> Result<()> {
    if LAST_EPOCH.load(Ordering::Relaxed) != 0 {
        return Ok(());
    }
    extern "C" fn wipe() {
        WIPED.epoch.store(0, Ordering::Relaxed);
        WIPED.lock.store(0, Ordering::Relaxed);
    }
    if memory::wipe_on_fork(NonNull::from(&WIPED).cast(), size_of::<Wiped>()).is_err() {
        // SAFETY: the handler touches atomics only.
        let errno = unsafe { libc::pthread_atfork(None, None, Some(wipe)) };
        if errno != 0 {
            return Err(Error::from_errno(errno));
        }
    }
    Ok(())
}

fn add_home(key: Identity, file: Own, fixed: &Fixed) -> Result<&'static Home> {
    let page = fixed.page_size as usize;
    let slots_off = fixed.slots_off as usize;
    let len = slots_off + fixed.max_members as usize * page;
    let head = MmapOptions::new().len(len).map_raw(file.number())?;
    let start = NonNull::new(head.as_mut_ptr()).ok_or(ErrorKind::InvalidInput)?;
    // SAFETY: mapped for `len` bytes as long as the home; `fixed` was checked by the caller.
    let table = unsafe { Table::new(start, slots_off, page, fixed.max_members) };
    // SAFETY: its description is our own by the contract of `attach`, and that of the mapping.
    let domain = unsafe { Domain::with(table, file) }?;
    let home = Box::leak(heap::boxed(Home {
        key,
        refs: AtomicUsize::new(0),
        domain,
        next: AtomicPtr::new(DOMAINS.load(Ordering::Relaxed)),
        _head: head,
    })?);
    DOMAINS.store(home, Ordering::Release);
    Ok(home)
}

fn free_node() -> Result<&'static Node> {
    let first = ATTACHMENTS.load(Ordering::Relaxed);
    let mut node = first;
    // SAFETY: nodes are never freed.
    while let Some(n) = unsafe { node.as_ref() } {
        if n.len.load(Ordering::Relaxed) == 0 {
            return Ok(n);
        }
        node = n.next;
    }
    let node = Box::leak(heap::boxed(Node {
        base: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        home: AtomicPtr::new(null_mut()),
        next: first,
    })?);
    ATTACHMENTS.store(node, Ordering::Release);
    Ok(node)
}

/// Frees the homes that are detached and whose last thread is gone.
fn remove_empty_homes() {
    let mut link = &DOMAINS;
    loop {
        let home = link.load(Ordering::Relaxed);
        // SAFETY: under the lock; a home without attachments and members is reached by nobody.
        let Some(h) = (unsafe { home.as_ref() }) else { return };
        if h.refs.load(Ordering::Relaxed) == 0 {
            KEPT.fetch_sub(h.domain.end_kept(), Ordering::Relaxed);
        }
        if h.refs.load(Ordering::Relaxed) == 0 && !h.domain.has_members() {
            link.store(h.next.load(Ordering::Relaxed), Ordering::Relaxed);
            // SAFETY: made by Box::leak in `add_home`; unlinked above.
            drop(unsafe { Box::from_raw(home) });
        } else {
            link = &h.next;
        }
    }
}

impl Attachment {
    /// The calling thread's member of this segment.
    ///
    /// # Errors
    /// Those of [`Domain::register`].
    #[inline]
    pub fn member(&self) -> Result<&Member> {
        current(core::ptr::without_provenance(self.node.base.load(Ordering::Relaxed)))
    }
}

impl Attachment {
    /// From now on every publisher of the segment uses full fences.
    pub(crate) fn use_strong_fences(&self) {
        // SAFETY: the home stays while the node is attached.
        unsafe { &*self.node.home.load(Ordering::Relaxed) }.domain.table().use_strong_fences();
    }
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}+{:#x}", self.base.load(Ordering::Relaxed), self.len.load(Ordering::Relaxed))
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let _quiet = task::SignalsBlocked::new();
        let _lock = Lock::take();
        notice_fork();
        self.node.len.store(0, Ordering::Relaxed);
        self.node.base.store(0, Ordering::Relaxed);
        // SAFETY: the node was attached until now.
        let home = unsafe { &*self.node.home.load(Ordering::Relaxed) };
        home.refs.fetch_sub(1, Ordering::Relaxed);
        move_epoch();
        // The thread-local is gone when a static is dropped at the end of the thread: then the kernel's mark serves.
        let _ = LOCAL.try_with(|local| {
            if local.forks.get() == FORKS.load(Ordering::Relaxed) {
                leave_empty_homes(local);
            }
        });
        remove_empty_homes();
    }
}

/// The process's own lock for attaching, detaching and registering; free in every forked child.
struct Lock(&'static AtomicU32);

impl Lock {
    fn take() -> Lock {
        let word = &WIPED.lock;
        if word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while word.swap(2, Ordering::Acquire) != 0 {
                futex::wait(&[crate::sys::Watch { word: Word::Whole(word), expected: 2 }], None);
            }
        }
        Lock(word)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.0.swap(0, Ordering::Release) == 2 {
            futex::wake(Word::Whole(self.0), 1);
        }
    }
}
