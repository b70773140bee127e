//! The one futex wait and the one futex wake.
//!
//! All futexes here are shared (never `FUTEX_PRIVATE_FLAG`): the key is file and offset, so two mappings of one segment
//! meet. Several words are watched with `futex_waitv` (Linux 5.16). Where it is missing, only the first word is watched,
//! and no sleep is longer than [`NET_NS`], so that a change of the other words is found by looking.

use super::call::KeepErrno;
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sys::{Change, Watch, Woken, Word};
use crate::time::Deadline;
use core::mem::MaybeUninit;

/// The net: the longest sleep on an owner before the sleeper checks through a second channel whether the owner lives.
pub const NET_NS: u64 = 50_000_000;

/// The most words that one sleep can watch: three of the object, the alarm, the bell and two of an owner. (The kernel's
/// limit is 128; clearing a list of that length costs a tenth of a microsecond a sleep.)
pub const MAX_WATCHES: usize = 7;

/// The most words that a [`List`] can hold: the kernel's limit.
pub const MAX_LIST: usize = 128;

const SIZE_U32: u32 = 2;

#[repr(C)]
#[derive(Clone, Copy)]
struct WaitV {
    val: u64,
    uaddr: u64,
    flags: u32,
    reserved: u32,
}

/// 0 = not tried yet or present, 1 = missing.
static WAITV_MISSING: AtomicU32 = AtomicU32::new(0);

#[inline]
fn address(word: Word<'_>) -> *const u32 {
    match word {
        Word::Whole(w) => core::ptr::from_ref(w).cast(),
        // Little-endian, asserted in the crate root: the low half comes first.
        Word::Low(w) => core::ptr::from_ref(w).cast(),
        Word::High(w) => core::ptr::from_ref(w).cast::<u32>().wrapping_add(1),
    }
}

fn timespec(d: Deadline) -> libc::timespec {
    let ns = d.as_monotonic_ns();
    libc::timespec { tv_sec: (ns / 1_000_000_000) as _, tv_nsec: (ns % 1_000_000_000) as _ }
}

/// Sleeps while every watched word holds its expected value, until a wake-up, the deadline or a signal.
/// A deadline in the past still checks the words first, as the kernel does.
pub fn wait(watches: &[Watch<'_>], deadline: Option<Deadline>) -> Woken {
    debug_assert!(!watches.is_empty() && watches.len() <= MAX_WATCHES);
    if watches.len() == 1 {
        return wait_one(watches[0], deadline);
    }
    if WAITV_MISSING.load(Ordering::Relaxed) == 0 {
        if let Some(woken) = wait_many(watches, deadline) {
            return woken;
        }
        WAITV_MISSING.store(1, Ordering::Relaxed);
    }
    wait_first(watches[0], deadline)
}

/// Without `futex_waitv` the other words cannot be watched: sleeps on the first one, at most for the net.
fn wait_first(first: Watch<'_>, deadline: Option<Deadline>) -> Woken {
    let net = Deadline::from_monotonic_ns(Deadline::now().as_monotonic_ns() + NET_NS);
    match wait_one(first, Deadline::earlier(deadline, Some(net))) {
        Woken::TimedOut if deadline.is_none_or(|d| d > net) => Woken::Interrupted,
        woken => woken,
    }
}

fn wait_one(watch: Watch<'_>, deadline: Option<Deadline>) -> Woken {
    let ts = deadline.map(timespec);
    let ts_ptr = ts.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    let _keep = KeepErrno::new();
    // SAFETY: the address is that of a live atomic; the time, if any, outlives the call.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_futex,
            address(watch.word),
            libc::FUTEX_WAIT_BITSET,
            watch.expected,
            ts_ptr,
            core::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    if rc == 0 { Woken::By(0) } else { reason(KeepErrno::current()) }
}

/// `None` when the kernel has no `futex_waitv`.
fn wait_many(watches: &[Watch<'_>], deadline: Option<Deadline>) -> Option<Woken> {
    let mut list = [WaitV { val: 0, uaddr: 0, flags: SIZE_U32, reserved: 0 }; MAX_WATCHES];
    for (entry, watch) in list.iter_mut().zip(watches) {
        entry.val = u64::from(watch.expected);
        entry.uaddr = address(watch.word) as u64;
    }
    wait_listed(&list[..watches.len()], deadline)
}

/// `None` when the kernel has no `futex_waitv`.
fn wait_listed(list: &[WaitV], deadline: Option<Deadline>) -> Option<Woken> {
    let ts = deadline.map(timespec);
    let ts_ptr = ts.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    let _keep = KeepErrno::new();
    // SAFETY: the list's addresses are those of live atomics.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            list.as_ptr(),
            list.len() as libc::c_uint,
            0 as libc::c_uint,
            ts_ptr,
            libc::CLOCK_MONOTONIC,
        )
    };
    if rc >= 0 {
        return Some(Woken::By(rc as usize));
    }
    match KeepErrno::current() {
        // EPERM: older seccomp filters return it for calls that they do not know.
        libc::ENOSYS | libc::EPERM => None,
        errno => Some(reason(errno)),
    }
}

/// Many words to sleep on. It is not cleared beforehand, so that a short list costs little.
pub struct List<'a> {
    entries: [MaybeUninit<WaitV>; MAX_LIST],
    len: usize,
    /// The word to watch where only one can be.
    first: Watch<'a>,
}

impl<'a> List<'a> {
    /// A list of one word.
    pub fn new(first: Watch<'a>) -> Self {
        let mut list = List { entries: [const { MaybeUninit::uninit() }; MAX_LIST], len: 0, first };
        list.push(first);
        list
    }

    /// The number of words; at least one.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a word; false if there is no room.
    pub fn push(&mut self, watch: Watch<'a>) -> bool {
        let Some(entry) = self.entries.get_mut(self.len) else { return false };
        let (val, uaddr) = (u64::from(watch.expected), address(watch.word) as u64);
        entry.write(WaitV { val, uaddr, flags: SIZE_U32, reserved: 0 });
        self.len += 1;
        true
    }

    /// As the function [`wait`], on all words of the list.
    pub fn wait(&self, deadline: Option<Deadline>) -> Woken {
        if self.len > 1 && WAITV_MISSING.load(Ordering::Relaxed) == 0 {
            // SAFETY: `push` has initialised the first `len` entries.
            let list = unsafe { core::slice::from_raw_parts(self.entries.as_ptr().cast(), self.len) };
            if let Some(woken) = wait_listed(list, deadline) {
                return woken;
            }
            WAITV_MISSING.store(1, Ordering::Relaxed);
        }
        if self.len == 1 { wait_one(self.first, deadline) } else { wait_first(self.first, deadline) }
    }
}

/// Every errno that the two waits can return.
fn reason(errno: i32) -> Woken {
    match errno {
        libc::EAGAIN => Woken::Changed,
        libc::ETIMEDOUT => Woken::TimedOut,
        // EINTR: a signal. EFAULT, EINVAL: the memory is gone or the time is out of range; the caller's loop checks the
        // object again, and its own validation reports what is wrong.
        _ => Woken::Interrupted,
    }
}

/// Wakes at most `n` sleepers on the word and returns how many. The address may not be ours any more: then the kernel wakes
/// nobody, or spuriously a stranger, which every futex user must allow for.
pub fn wake(word: Word<'_>, n: u32) -> u32 {
    wake_address(address(word), n)
}

/// [`wake`] for the upper half of a word whose object may already be gone.
pub fn wake_high(word: *const AtomicU64, n: u32) -> u32 {
    wake_address(word.cast::<u32>().wrapping_add(1), n)
}

/// How many threads sleep on the word; wakes none.
pub fn count(word: Word<'_>) -> u32 {
    // Moves all of them from the word to itself, which returns how many they are.
    let _keep = KeepErrno::new();
    let at = address(word);
    // SAFETY: FUTEX_REQUEUE reads no user memory; a bad address is an error code.
    let rc = unsafe { libc::syscall(libc::SYS_futex, at, libc::FUTEX_REQUEUE, 0, i32::MAX as usize, at) };
    // If the kernel refuses to say, assume one. (A thread that was woken at another word and has not run yet counts as
    // well.)
    u32::try_from(rc).unwrap_or(1)
}

/// Wakes one sleeper of `from`, and moves all others to the upper half of the 64-bit word at `to` (a sleep on several words
/// keeps its other words). Returns false and does nothing if `from` does not hold `expected` any more, or if the kernel
/// cannot reach `to`, which it only reads.
pub fn wake_one_and_move(from: Word<'_>, expected: u32, to: *const u8) -> bool {
    let _keep = KeepErrno::new();
    // SAFETY: the kernel reads `from`, a live atomic, and takes `to` as a name; a bad address is an error code.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_futex,
            address(from),
            libc::FUTEX_CMP_REQUEUE,
            1,
            i32::MAX as usize,
            to.cast::<u32>().wrapping_add(1),
            expected,
        )
    };
    rc >= 0
}

/// [`wake`] for an address whose object may already be gone.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // the address is the kernel's to look at, never ours
fn wake_address(address: *const u32, n: u32) -> u32 {
    let _keep = KeepErrno::new();
    let n = n.min(i32::MAX as u32);
    // SAFETY: FUTEX_WAKE reads no user memory; a bad address is an error code.
    let rc = unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAKE, n) };
    u32::try_from(rc).unwrap_or(0)
}

/// Changes `word` and wakes at most `n` sleepers on `woken`, in one step that no kill can split; returns how many it woke.
///
/// It is one system call (`FUTEX_WAKE_OP`), which a thread completes before SIGKILL ends it. So there is no moment at which
/// the word has changed and nobody was woken, and nothing needs to be left behind for that case: no bell, no member, no
/// thread-local storage. The kernel changes one half of a 64-bit word by its own 32-bit operation; see
/// [`Table`](crate::member::Table). Where the call is missing (on no Linux that has robust lists), the two steps are made
/// one after the other.
pub fn change_and_wake(change: Change, word: Word<'_>, woken: Word<'_>, n: u32) -> u32 {
    const SHIFT: u32 = libc::FUTEX_OP_OPARG_SHIFT as u32;
    let (operation, argument) = match change {
        Change::Add(n) => (libc::FUTEX_OP_ADD as u32, n),
        Change::Set(bit) => (libc::FUTEX_OP_OR as u32 | SHIFT, bit),
    };
    debug_assert!(argument <= Change::MOST);
    // The second wake-up, on `word`, happens only if it was -1 before. No object needs it, and it harms none.
    const IF_MINUS_ONE: u32 = (libc::FUTEX_OP_CMP_EQ as u32) << 24 | 0xfff;
    let code = operation << 28 | argument << 12 | IF_MINUS_ONE;
    let _keep = KeepErrno::new();
    let most = n.min(i32::MAX as u32);
    // SAFETY: both addresses are those of live atomics; the kernel checks them and its arguments.
    let rc = unsafe {
        libc::syscall(libc::SYS_futex, address(woken), libc::FUTEX_WAKE_OP, most, 0usize, address(word), code)
    };
    u32::try_from(rc).unwrap_or_else(|_| {
        change_alone(change, word);
        wake(woken, n)
    })
}

#[cold]
fn change_alone(change: Change, word: Word<'_>) {
    let (place, shift) = match word {
        Word::Whole(w) => {
            match change {
                Change::Add(n) => w.fetch_add(n, Ordering::SeqCst),
                Change::Set(bit) => w.fetch_or(1 << bit, Ordering::SeqCst),
            };
            return;
        }
        Word::Low(w) => (w, 0),
        Word::High(w) => (w, 32),
    };
    match change {
        Change::Add(n) => place.fetch_add(u64::from(n) << shift, Ordering::SeqCst),
        Change::Set(bit) => place.fetch_or(1 << (bit + shift), Ordering::SeqCst),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn low(word: &AtomicU64) -> Word<'_> {
        Word::Low(word)
    }

    fn high(word: &AtomicU64) -> Word<'_> {
        Word::High(word)
    }

    #[test]
    fn the_kernel_and_the_way_without_it_change_the_same_bits() {
        for change in [Change::Add(1), Change::Add(Change::MOST), Change::Set(31), Change::Set(0)] {
            for start in [0u64, 5 << 32 | 7, 1 << 63, 1 << 31] {
                for half in [low, high] {
                    let (ours, kernels) = (AtomicU64::new(start), AtomicU64::new(start));
                    change_alone(change, half(&ours));
                    assert_eq!(change_and_wake(change, half(&kernels), Word::Low(&kernels), 1), 0);
                    let (ours, kernels) = (ours.into_inner(), kernels.into_inner());
                    assert_eq!(ours, kernels, "{change:?} {start:#x}");
                }
            }
        }
    }
}
