//! What the process has attached: its mappings of segments, and its one [`Domain`] for each segment.
//!
//! A process has one domain per segment (by device and inode), however often it maps it; each mapping is an attachment of
//! that domain. Every attach and detach moves the *attach epoch*, which validates the caches of `local`. The word that holds it
//! reads 0 in a forked child, so no cache survives a fork, not even a raw clone.
//!
//! Nothing is freed that a thread may still reach: attachment nodes are reused, never freed; a domain stays until the last
//! thread that is linked through it is gone (its robust list points into the domain's memory).
#![allow(unsafe_code)]

use super::local::{current, leave_detached};
use super::thread_end::{KEPT, make_end_key};
use super::{Domain, Member, Table};
use crate::counted::Keep;
use crate::error::{Error, ErrorKind, Result};
use crate::fallible;
use crate::format::Fixed;
use crate::sys::call::KeepErrno;
use crate::sys::own::{Identity, Own};
use crate::sys::{Word, futex, memory, task};
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use memmap2::{MmapOptions, MmapRaw};
use std::boxed::Box;
use std::os::fd::{IntoRawFd, OwnedFd};

/// A page of the program's zero-initialised data that a fork wipes. On the fast path it is one load away; a page behind a pointer
/// would be two.
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(align(4096)))]
#[cfg_attr(not(target_arch = "x86_64"), repr(align(65536)))]
pub(super) struct Wiped {
    /// The attach epoch; 0 before the first attach and in a child that has not noticed its birth.
    pub(super) epoch: AtomicU64,
    /// The lock of everything below: 0 free, 1 taken, 2 taken with waiters.
    lock: AtomicU32,
}

pub(super) static WIPED: Wiped = Wiped { epoch: AtomicU64::new(0), lock: AtomicU32::new(0) };
/// The last epoch given out, in memory that a fork keeps.
static LAST_EPOCH: AtomicU64 = AtomicU64::new(0);
/// Counts the forks noticed: a thread's list of members is valid in one process only.
pub(super) static FORKS: AtomicU64 = AtomicU64::new(0);
static ATTACHMENTS: AtomicPtr<Node> = AtomicPtr::new(null_mut());
static DOMAINS: AtomicPtr<Home> = AtomicPtr::new(null_mut());

/// One mapping of a segment. Reused after detach, never freed.
pub(super) struct Node {
    pub(super) base: AtomicUsize,
    pub(super) len: AtomicUsize,
    pub(super) home: AtomicPtr<Home>,
    /// What keeps it mapped, if that is known.
    keep: AtomicPtr<c_void>,
    next: *mut Node,
}

// SAFETY: `next` is written before the node is published and never again; nodes are never freed; the rest is atomic.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

/// A domain and what it stands on. In the list while `refs` or members are left.
pub(super) struct Home {
    key: Identity,
    pub(super) refs: AtomicUsize,
    pub(super) domain: Domain,
    next: AtomicPtr<Home>,
    _head: MmapRaw,
}

/// For how many pages the node is noted.
const NOTED: usize = 64;

/// The node in which an address was last found, by a hash of its page: a process may have thousands of attachments. A hint only;
/// it is checked.
static NOTES: [AtomicPtr<Node>; NOTED] = [const { AtomicPtr::new(null_mut()) }; NOTED];

/// Whether an address lies in an attached segment: a few loads, no system call, no thread-local data, so that a signal handler
/// may ask.
#[inline(always)]
pub(crate) fn is_attached(address: *const u8) -> bool {
    noted(address.addr()).is_some() || walk(address.addr()).is_some()
}

pub(super) fn node_of(address: usize) -> Option<&'static Node> {
    noted(address).or_else(|| walk(address))
}

/// The pages of one segment are adjacent, and so are mappings: the upper bits of the product differ for both.
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

/// The file offset of an address in an attached segment.
pub(super) fn offset_of(address: *const u8) -> Option<usize> {
    let node = node_of(address.addr())?;
    Some(address.addr().wrapping_sub(node.base.load(Ordering::Relaxed)))
}

/// The address `distance` bytes (two's complement) behind `from`, if all eight bytes there lie in the same attached segment.
pub(super) fn beside(from: *const u8, distance: u64) -> Option<*const u8> {
    let node = node_of(from.addr())?;
    let offset = from.addr().wrapping_sub(node.base.load(Ordering::Relaxed)).wrapping_add(distance as usize);
    let inside = offset <= node.len.load(Ordering::Relaxed).checked_sub(8)?;
    inside.then(|| from.wrapping_offset(distance as isize))
}

/// Runs `look` with the domain of the segment that contains `address`, and the address's file offset, without making the caller a
/// member.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for an address in no attached segment.
pub(super) fn visit<R>(address: *const u8, look: impl FnOnce(&Domain, u64) -> R) -> Result<R> {
    let _errno = KeepErrno::new();
    let (home, offset) = {
        let _quiet = task::SignalsBlocked::new();
        let _lock = Lock::take();
        // The second channel must not use a descriptor that it shares with the parent.
        notice_fork();
        let node = node_of(address.addr()).ok_or(ErrorKind::InvalidInput)?;
        let offset = address.addr().wrapping_sub(node.base.load(Ordering::Relaxed));
        (node.home.load(Ordering::Acquire), offset as u64)
    };
    // SAFETY: as in `current`: the caller keeps the segment attached while it uses an object in it.
    Ok(look(unsafe { &(*home).domain }, offset))
}

/// In a forked child, at its first call: gives up the seats and slots, which are the parent's.
pub(super) fn notice_fork() {
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
    // Before the home counts: if memory runs out here, the next attach removes the empty home.
    let node = free_node()?;
    home.refs.fetch_add(1, Ordering::Relaxed);
    node.home.store(core::ptr::from_ref(home).cast_mut(), Ordering::Relaxed);
    node.base.store(base.addr().get(), Ordering::Relaxed);
    node.len.store(fixed.total_len as usize, Ordering::Release);
    move_epoch();
    Ok(Attachment { node })
}

/// Asks the kernel to wipe [`WIPED`] in forked children. Where it cannot, a fork handler does (raw clones then go unnoticed).
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
    let home = Box::leak(fallible::boxed(Home {
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
    let node = Box::leak(fallible::boxed(Node {
        base: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        home: AtomicPtr::new(null_mut()),
        keep: AtomicPtr::new(null_mut()),
        next: first,
    })?);
    ATTACHMENTS.store(node, Ordering::Release);
    Ok(node)
}

/// Frees the homes that are detached and have no member left.
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
    /// `keep` keeps it mapped: see [`keep_of`].
    pub(crate) fn is_kept_by(&self, keep: &Keep) {
        let _quiet = task::SignalsBlocked::new();
        let _lock = Lock::take();
        self.node.keep.store(keep.as_ptr(), Ordering::Relaxed);
    }
}

/// What keeps the segment mapped that this address lies in, if that is known: for those who use it beyond the lifetime of a borrow.
pub(crate) fn keep_of(address: *const u8) -> Option<Keep> {
    let _quiet = task::SignalsBlocked::new();
    let _lock = Lock::take();
    let keep = node_of(address.addr())?.keep.load(Ordering::Relaxed);
    // SAFETY: it was stored while it lived, and is forgotten, under this lock, before it is freed.
    unsafe { Keep::again(keep) }
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
        self.node.keep.store(null_mut(), Ordering::Relaxed);
        self.node.len.store(0, Ordering::Relaxed);
        self.node.base.store(0, Ordering::Relaxed);
        // SAFETY: the node was attached until now.
        let home = unsafe { &*self.node.home.load(Ordering::Relaxed) };
        home.refs.fetch_sub(1, Ordering::Relaxed);
        move_epoch();
        leave_detached();
        remove_empty_homes();
    }
}

/// The process's own lock for attaching, detaching and registering; free in every forked child.
pub(super) struct Lock(&'static AtomicU32);

impl Lock {
    pub(super) fn take() -> Lock {
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
