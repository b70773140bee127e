//! [`Gate`]: a forked child waits at it until the parent holds the child's pidfd.
//!
//! Why libc's `fork` followed by `pidfd_open`, and not `clone3(CLONE_PIDFD)`: only libc's fork runs the atfork handlers,
//! frees the locks of malloc and stdio, renews the cached thread id and registers the child's robust list. After a raw
//! clone, libc in the child believes that it is still the parent.
//!
//! Between the two calls the number could name another process only if the child had died *and* been reaped by other code
//! (a `waitpid(-1)`, an ignored SIGCHLD). The child cannot end by itself there, because it waits at the gate. If something
//! kills it, `admit` sees that the descriptor names no child of ours and refuses.
//!
//! | what happens | what the child does |
//! |---|---|
//! | the parent holds the pidfd and moves the child's word | it passes; usually the word has moved before the child first runs, and nobody sleeps or wakes |
//! | the child came first and set its mark in the word | it sleeps on the word; the parent finds the mark and wakes it |
//! | the parent fails (no descriptor left) | it is killed and reaped; its code never ran |
//! | the parent dies | it checks the parent's pidfd every [`CHECK`], finds it readable and exits; its code never runs |
//! | another thread of the parent calls exec | it sees that the parent's stack lies elsewhere and exits; its code never runs (without address randomisation: when the new program ends) |
//!
//! **The word** is one of 64 in a page that a process shares with its children. Each start claims a word, so no other start
//! of the process moves it. A forked child shares another page with *its* children: the fork wipes the place that names
//! ours. (The page itself stays mapped there: 4 KiB a generation.) When all words are claimed, a pipe takes their place.
//!
//! The first process of a PID namespace cannot name its parent. If it comes to the gate first, it waits for up to 10 s.
//!
//! Rejected: a pipe for every start (6 % of a fork, measured as processor time).
//!
//! Edges: G1 | the parent's swap, Release | the child's load, Acquire | nothing but the order of the gate itself.

use super::call::{checked, retried};
use super::own::copy_above;
use super::pidfd::{self, owned, poll, readable};
use super::{futex, memory, task};
use crate::sys::{Watch, Woken, Word};
use crate::time::Deadline;
use core::ffi::c_int;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The word's low bit: the child sleeps. The other bits count the starts that used the word.
const SLEEPS: u32 = 1;
const STEP: u32 = 2;

/// A cache line of the shared page.
#[repr(C, align(64))]
struct Line(AtomicU32);

/// Private to the process and wiped in its children.
struct Home {
    /// A bit for each word that a start has claimed.
    claimed: AtomicU64,
    /// The page of 64 words; null before the first start.
    lines: AtomicPtr<[Line; 64]>,
}

static HOME: AtomicPtr<Home> = AtomicPtr::new(null_mut());

/// Publishes a page made by `make`, or takes the page that another thread has published meanwhile.
pub(super) fn page_of<T>(
    place: &AtomicPtr<T>,
    make: fn(usize) -> Result<core::ptr::NonNull<u8>, i32>,
) -> Option<&T> {
    const { assert!(size_of::<T>() <= 4096) };
    let mut at = place.load(Ordering::Acquire);
    if at.is_null() {
        let len = memory::page_size();
        let new = make(len).ok()?;
        at = new.as_ptr().cast();
        if let Err(winner) = place.compare_exchange(null_mut(), at, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: our page was never published.
            unsafe { memory::unmap(new, len) };
            at = winner;
        }
    }
    // SAFETY: a published page stays mapped for good and is zero-filled, which is valid; only atomics lie there.
    Some(unsafe { &*at })
}

/// A word that one start has claimed.
struct Claim {
    home: &'static Home,
    index: u32,
    word: &'static AtomicU32,
    /// What the word was before.
    before: u32,
}

impl Claim {
    fn new() -> Option<Claim> {
        let home = page_of(&HOME, memory::wiped_on_fork)?;
        let lines = page_of(&home.lines, memory::shared_page)?;
        let mut claimed = home.claimed.load(Ordering::Relaxed);
        loop {
            let index = claimed.trailing_ones();
            if index == 64 {
                return None;
            }
            // Acquire: sees what the last start left in this word.
            match home.claimed.compare_exchange_weak(
                claimed,
                claimed | 1 << index,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    let word = &lines[index as usize].0;
                    let before = word.load(Ordering::Relaxed) & !SLEEPS;
                    word.store(before, Ordering::Relaxed);
                    return Some(Claim { home, index, word, before });
                }
                Err(now) => claimed = now,
            }
        }
    }

    /// The child's side: whether the parent has moved the word. If not, the child's mark is in it now.
    fn has_moved(&self) -> bool {
        // First without writing: the page is not in the child's tables yet, and a read fault is cheaper.
        self.word.load(Ordering::Acquire) != self.before // G1
            || self
            .word // G1
            .compare_exchange(self.before, self.before | SLEEPS, Ordering::Acquire, Ordering::Acquire)
            .is_err()
    }

    /// The parent's side: moves the word.
    fn open(&self) {
        // G1
        if self.word.swap(self.before.wrapping_add(STEP), Ordering::Release) & SLEEPS != 0 {
            futex::wake(Word::Whole(self.word), 1);
        }
    }
}

/// How long a child at the gate sleeps before it checks whether its parent still lives.
pub const CHECK: Duration = Duration::from_millis(10);
/// How long a child waits that cannot check.
const BLIND: Duration = Duration::from_secs(10);

/// What the parent opens.
enum Bar {
    Word(Claim),
    /// The read end, the write end.
    Pipe(OwnedFd, OwnedFd),
}

/// Made before the fork; each side consumes its copy.
pub struct Gate {
    bar: Bar,
    parent: c_int,
    /// The parent, once the child has looked it up.
    above: Option<OwnedFd>,
}

impl Gate {
    /// A closed gate for a child of the calling process.
    pub fn new() -> Result<Self, i32> {
        let bar = match Claim::new() {
            Some(claim) => Bar::Word(claim),
            None => {
                let (read, write) = pipe()?;
                Bar::Pipe(read, write)
            }
        };
        // SAFETY: getpid cannot fail.
        Ok(Gate { bar, parent: unsafe { libc::getpid() }, above: None })
    }

    /// The child's side: looks up the parent. To be called before the child changes anything that could keep it from that.
    pub fn look_up(&mut self) -> Result<(), i32> {
        self.above = parent_by_fd(self.parent)?;
        Ok(())
    }

    /// The child's side: waits for the parent. False when the parent gave up, died or called exec. Makes only system calls,
    /// and leaves no descriptor of the gate open.
    pub fn pass(mut self) -> bool {
        match &self.bar {
            Bar::Word(claim) => {
                let moved = claim.has_moved() || self.await_word();
                core::mem::forget(self.bar); // the claim is the parent's; the fork wiped our note of it
                moved
            }
            Bar::Pipe(..) => self.await_byte(),
        }
    }

    #[cold]
    fn await_word(&mut self) -> bool {
        if self.above.is_none() && self.look_up().is_err() {
            return false;
        }
        let Bar::Word(claim) = &self.bar else { return false };
        let blind_until = Deadline::after(BLIND);
        let asleep = claim.before | SLEEPS;
        loop {
            let watch = Watch { word: Word::Whole(claim.word), expected: asleep };
            let woken = futex::wait(&[watch], Some(Deadline::after(CHECK)));
            if claim.word.load(Ordering::Acquire) != asleep {
                return true; // G1
            }
            if woken != Woken::TimedOut {
                continue;
            }
            let gone = match &self.above {
                Some(parent) => {
                    let now = Deadline::from_monotonic_ns(0);
                    pidfd::wait_ended(parent.as_fd(), Some(now)).unwrap_or(false)
                        || !task::has_our_stack(self.parent as u32)
                }
                None => blind_until.has_passed(),
            };
            // Its last act may have been to open the gate; then nobody misses us if we do not pass.
            if gone {
                return false;
            }
        }
    }

    #[cold]
    fn await_byte(mut self) -> bool {
        if self.above.is_none() && self.look_up().is_err() {
            return false;
        }
        let Bar::Pipe(read, write) = self.bar else { return false };
        drop(write);
        // A sibling that another thread forked at the same time keeps a copy of `write` open, so the end of the pipe alone
        // would not show the parent's death.
        let above = self.above.as_ref().map_or(nothing(), |fd| readable(fd.as_fd()));
        let mut fds = [readable(read.as_fd()), above];
        // Only a byte makes the pipe readable; its end is POLLHUP alone.
        poll(&mut fds, None).is_ok() && fds[0].revents & libc::POLLIN != 0
    }

    /// The parent's side: takes the child's pidfd, calls `prepare` before the child runs, and opens the gate. After an
    /// error there is no child, and it is reaped, unless other code did that (`ECHILD`).
    pub fn admit(
        self,
        child: c_int,
        prepare: impl FnOnce(&OwnedFd) -> Result<(), i32>,
    ) -> Result<OwnedFd, i32> {
        let opened = pidfd::open(child).and_then(|fd| match pidfd::is_our_child(fd.as_fd()) {
            Ok(()) => Ok(fd),
            Err(libc::ECHILD) => Err(libc::ESRCH),
            Err(errno) => Err(errno),
        });
        match opened {
            Ok(fd) => {
                if let Err(errno) = prepare(&fd) {
                    let _ = pidfd::send(fd.as_fd(), libc::SIGKILL);
                    let _ = pidfd::wait_ended(fd.as_fd(), None);
                    let _ = pidfd::collect(fd.as_fd());
                    return Err(errno);
                }
                match &self.bar {
                    Bar::Word(claim) => claim.open(),
                    Bar::Pipe(_, write) => {
                        let write = write.as_raw_fd();
                        // SAFETY: one readable byte. No SIGPIPE: our own copy of the reading end is still open.
                        retried(|| unsafe { libc::syscall(libc::SYS_write, write, c"g".as_ptr(), 1) })?;
                    }
                }
                Ok(fd)
            }
            // Killed from outside while it waited, and reaped by other code: the number is not ours any more.
            Err(libc::ESRCH) => Err(libc::ECHILD),
            Err(errno) => {
                // SAFETY: the child waits at the gate, unreaped, so the number still names it.
                let _ = checked(|| unsafe { libc::kill(child, libc::SIGKILL) });
                // SAFETY: a null status is allowed.
                let _ = retried(|| unsafe { libc::waitpid(child, null_mut(), 0) });
                Err(errno)
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Release: the next start sees the word as it stands.
        self.home.claimed.fetch_and(!(1 << self.index), Ordering::Release);
    }
}

/// A close-on-exec pipe: the read end and the write end. Neither has the number of a standard stream, which a child might
/// replace.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), i32> {
    let mut ends = [0; 2];
    // SAFETY: two descriptors fit.
    checked(|| unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok((above_stdio(owned(ends[0]))?, above_stdio(owned(ends[1]))?))
}

fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, i32> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { copy_above(fd.as_raw_fd(), 3).map(owned) }
}

/// The parent's pidfd, for the child; `ESRCH` when the parent is already dead. `None` in the first process of a PID
/// namespace, which cannot name its parent.
fn parent_by_fd(parent: c_int) -> Result<Option<OwnedFd>, i32> {
    // SAFETY: getppid cannot fail.
    let ppid = || unsafe { libc::getppid() };
    match ppid() {
        0 => Ok(None),
        now if now != parent => Err(libc::ESRCH),
        _ => {
            let fd = pidfd::open(parent)?;
            // It is still our parent, so the number named it all the time.
            if ppid() == parent { Ok(Some(fd)) } else { Err(libc::ESRCH) }
        }
    }
}

/// An entry that poll ignores.
fn nothing() -> libc::pollfd {
    libc::pollfd { fd: -1, events: 0, revents: 0 }
}
