//! The futex of a model.

use super::death::{may_die_asleep, step};
use super::{AtomicU32, AtomicU64, Kernel};
use crate::sys::{Watch, Woken, Word};
use crate::time::Deadline;
use loom::sync::atomic::Ordering;
use std::cell::Cell;
use std::rc::Rc;

/// As in the product; no model waits for it.
pub const NET_NS: u64 = 50_000_000;

/// As in the product.
pub const MAX_WATCHES: usize = 128;

/// A queued waiter.
pub(super) struct Sleeper {
    thread: loom::thread::Thread,
    keys: Vec<usize>,
    woken: Cell<Option<usize>>,
}

fn key(word: Word<'_>) -> usize {
    match word {
        Word::Whole(w) => core::ptr::from_ref::<AtomicU32>(w).addr(),
        Word::Low(w) => core::ptr::from_ref::<AtomicU64>(w).addr(),
        Word::High(w) => core::ptr::from_ref::<AtomicU64>(w).addr() + 4,
    }
}

/// What the kernel reads. Relaxed: the kernel's lock orders it after every wake-up that did not find the sleeper.
fn read(word: Word<'_>) -> u32 {
    match word {
        Word::Whole(w) => w.0.load(Ordering::Relaxed),
        Word::Low(w) => w.0.load(Ordering::Relaxed) as u32,
        Word::High(w) => (w.0.load(Ordering::Relaxed) >> 32) as u32,
    }
}

/// As in the product, but the deadline counts only as the model says: see [`allow_timeouts`](super::allow_timeouts)
/// and [`spread_net`](super::spread_net).
pub fn wait(watches: &[Watch<'_>], deadline: Option<Deadline>) -> Woken {
    assert!(!watches.is_empty() && watches.len() <= MAX_WATCHES);
    if !step() {
        return Woken::Interrupted;
    }
    let kernel = Kernel::get();
    kernel.enter();
    // One critical section: nothing else runs before `explore`.
    loom::stop_exploring();
    let same = watches.iter().all(|w| read(w.word) == w.expected);
    loom::explore();
    if !same {
        return Woken::Changed;
    }
    let sleeper = Rc::new(Sleeper {
        thread: loom::thread::current(),
        keys: watches.iter().map(|w| key(w.word)).collect(),
        woken: Cell::new(None),
    });
    kernel.state.borrow_mut().sleepers.push(sleeper.clone());
    // A thread can be killed in its sleep; its wake-up may have been given to it already.
    may_die_asleep(&sleeper);
    if let Some(deadline) = deadline.filter(|_| times_out(&kernel)) {
        kernel.enter();
        if sleeper.woken.get().is_none() {
            dequeue(&kernel, &sleeper);
            let mut state = kernel.state.borrow_mut();
            state.now = state.now.max(deadline.as_monotonic_ns());
            return Woken::TimedOut;
        }
    }
    loop {
        if let Some(index) = sleeper.woken.get() {
            return Woken::By(index);
        }
        loom::thread::park();
    }
}

/// Whether a sleep with a deadline is to end by it, if no wake-up comes first.
fn times_out(kernel: &Kernel) -> bool {
    let mut state = kernel.state.borrow_mut();
    if state.timeouts > 0 {
        state.timeouts -= 1;
        return true;
    }
    let net = state.net;
    drop(state);
    if net {
        // Comes back when nobody else can run, or sooner: a net, too, may be early.
        loom::thread::yield_now();
    }
    net
}

fn dequeue(kernel: &Kernel, sleeper: &Rc<Sleeper>) {
    kernel.state.borrow_mut().sleepers.retain(|s| !Rc::ptr_eq(s, sleeper));
}

/// The part of an exit that takes a killed sleeper from the queue: a wake-up before it was in vain.
pub(super) fn leave(sleeper: &Rc<Sleeper>) {
    let kernel = Kernel::get();
    kernel.enter();
    dequeue(&kernel, sleeper);
}

/// As in the product.
pub fn wake(word: Word<'_>, n: u32) -> u32 {
    if step() { wake_key(key(word), n) } else { 0 }
}

/// As in the product.
pub fn wake_address(address: *const u32, n: u32) -> u32 {
    if step() { wake_key(address.addr(), n) } else { 0 }
}

/// The kernel's own wake-up at a thread's death.
pub(super) fn wake_by_kernel(word: Word<'_>) {
    wake_key(key(word), 1);
}

fn wake_key(key: usize, n: u32) -> u32 {
    let kernel = Kernel::get();
    kernel.enter();
    let mut count = 0;
    kernel.state.borrow_mut().sleepers.retain(|sleeper| {
        let hit = if count < n { sleeper.keys.iter().position(|&k| k == key) } else { None };
        if hit.is_some() {
            count += 1;
            sleeper.woken.set(hit);
            sleeper.thread.unpark();
        }
        hit.is_none()
    });
    count
}
