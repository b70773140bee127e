//! The futex of a model.

use super::Kernel;
use super::death::{may_die_asleep, step};
use super::trace::note;
use crate::sys::{Change, Watch, Woken, Word};
use crate::time::Deadline;
use loom::sync::atomic::Ordering;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// As in the product; no model waits for it.
pub const NET_NS: u64 = 50_000_000;

/// As in the product.
pub const MAX_WATCHES: usize = 128;

/// As in the product.
pub const MAX_LIST: usize = 128;

/// As in the product.
pub struct List<'a>(Vec<Watch<'a>>);

impl<'a> List<'a> {
    /// As in the product.
    pub fn new(first: Watch<'a>) -> Self {
        List(vec![first])
    }

    /// As in the product.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// As in the product.
    pub fn push(&mut self, watch: Watch<'a>) -> bool {
        let room = self.0.len() < MAX_LIST;
        if room {
            self.0.push(watch);
        }
        room
    }

    /// As in the product.
    pub fn wait(&self, deadline: Option<Deadline>) -> Woken {
        wait(&self.0, deadline)
    }
}

/// A queued waiter. Woken on one word, it stays queued on the others until it runs, and may swallow a wake-up on each.
pub(super) struct Sleeper {
    thread: loom::thread::Thread,
    /// Zero for each word on which it was woken.
    keys: RefCell<Vec<usize>>,
    /// The last in its list, as in Linux.
    woken: Cell<Option<usize>>,
}

impl Sleeper {
    pub(super) fn is_asleep(&self) -> bool {
        self.woken.get().is_none()
    }

    /// Whether it was queued at `key`; then it is woken.
    fn wake_at(&self, key: usize) -> bool {
        let mut keys = self.keys.borrow_mut();
        let Some(index) = keys.iter().position(|&k| k == key) else { return false };
        keys[index] = 0;
        self.woken.set(self.woken.get().max(Some(index)));
        self.thread.unpark();
        true
    }
}

/// As in the product. Nothing lies there: it only names a queue.
fn address(word: Word<'_>) -> *const u32 {
    match word {
        Word::Whole(w) => core::ptr::from_ref(w).cast(),
        Word::Low(w) => core::ptr::from_ref(w).cast(),
        Word::High(w) => core::ptr::from_ref(w).cast::<u32>().wrapping_add(1),
    }
}

/// The kernel's read. Relaxed: the kernel's lock orders it after every wake-up that did not find the sleeper.
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
    // One critical section: nothing else runs before the thaw.
    kernel.freeze();
    let same = watches.iter().all(|w| read(w.word) == w.expected);
    kernel.thaw();
    note(0, || format!("wait {:x?} sleeps: {same}", watches.iter().map(|w| w.expected).collect::<Vec<_>>()));
    if !same {
        return Woken::Changed;
    }
    let sleeper = Rc::new(Sleeper {
        thread: loom::thread::current(),
        keys: RefCell::new(watches.iter().map(|w| address(w.word).addr()).collect()),
        woken: Cell::new(None),
    });
    kernel.state.borrow_mut().sleepers.push(sleeper.clone());
    // A thread can be killed in its sleep, perhaps after it was woken.
    may_die_asleep(&sleeper);
    if let Some(deadline) = deadline.filter(|_| times_out(&kernel)) {
        kernel.enter();
        if sleeper.is_asleep() {
            kernel.dequeue(&sleeper);
            crate::clock::pass(deadline.as_monotonic_ns());
            return Woken::TimedOut;
        }
    }
    while sleeper.is_asleep() {
        loom::thread::park();
    }
    if sleeper.keys.borrow().len() > 1 {
        // Until here other threads may wake it once more.
        kernel.enter();
    }
    kernel.dequeue(&sleeper);
    Woken::By(sleeper.woken.get().unwrap_or(0))
}

/// Whether a sleep with a deadline times out, if no wake-up comes first.
fn times_out(kernel: &Kernel) -> bool {
    let mut state = kernel.state.borrow_mut();
    if state.timeouts > 0 {
        state.timeouts -= 1;
        return true;
    }
    let net = state.net;
    drop(state);
    if net {
        // Returns when no other thread can run, or sooner: a net may be early as well.
        loom::thread::yield_now();
    }
    net
}

/// As in the product.
pub fn wake(word: Word<'_>, n: u32) -> u32 {
    wake_address(address(word), n)
}

/// As in the product.
pub fn wake_high(word: *const crate::atomic::AtomicU64, n: u32) -> u32 {
    wake_address(word.cast::<u32>().wrapping_add(1), n)
}

pub fn count(word: Word<'_>) -> u32 {
    if !step() {
        return 0;
    }
    let kernel = Kernel::get();
    kernel.enter();
    let key = address(word).addr();
    let n = kernel.state.borrow().sleepers.iter().filter(|s| s.keys.borrow().contains(&key)).count();
    n as u32
}

/// As in the product.
pub fn wake_address(address: *const u32, n: u32) -> u32 {
    if !step() {
        return 0;
    }
    let kernel = Kernel::get();
    kernel.enter();
    kernel.wake_key(address.addr(), n)
}

/// As in the product: one step, before or after which the thread may die.
pub fn change_and_wake(change: Change, word: Word<'_>, woken: Word<'_>, n: u32) -> u32 {
    if !step() {
        return 0;
    }
    let kernel = Kernel::get();
    kernel.enter();
    kernel.freeze();
    let (place, shift) = match word {
        Word::Whole(_) => unreachable!("no object changes a word of its own like this"),
        Word::Low(w) => (&w.0, 0),
        Word::High(w) => (&w.0, 32),
    };
    let old = match change {
        Change::Add(n) => place.fetch_add(u64::from(n) << shift, Ordering::SeqCst),
        Change::Set(bit) => place.fetch_or(1 << (bit + shift), Ordering::SeqCst),
    };
    note(core::ptr::from_ref(place).addr(), || format!("kernel: {change:?} of {old:#x}"));
    let count = kernel.wake_key(address(woken).addr(), n);
    // Everything that enters the kernel later comes after the change.
    kernel.enter();
    kernel.thaw();
    count
}

/// As in the product.
pub fn wake_one_and_move(from: Word<'_>, expected: u32, to: *const u8) -> bool {
    if !step() {
        return false;
    }
    let kernel = Kernel::get();
    kernel.enter();
    kernel.freeze();
    let same = read(from) == expected;
    kernel.thaw();
    if same {
        let from = address(from).addr();
        kernel.wake_key(from, 1);
        let to = to.cast::<u32>().wrapping_add(1).addr();
        for sleeper in &kernel.state.borrow().sleepers {
            sleeper.keys.borrow_mut().iter_mut().filter(|key| **key == from).for_each(|key| *key = to);
        }
    }
    note(0, || format!("move from {expected:#x}: {same}"));
    same
}

impl Kernel {
    /// Inside the kernel: wakes at most `n` sleepers.
    pub(super) fn wake_up(&self, word: Word<'_>, n: u32) -> u32 {
        self.wake_key(address(word).addr(), n)
    }

    fn wake_key(&self, key: usize, n: u32) -> u32 {
        let mut count = 0;
        for sleeper in &self.state.borrow().sleepers {
            if count < n && sleeper.wake_at(key) {
                count += 1;
            }
        }
        note(key & !7, || format!("wake {n}: {count}"));
        count
    }

    /// Inside the kernel: takes a sleeper out of the queue.
    pub(super) fn dequeue(&self, sleeper: &Rc<Sleeper>) {
        self.state.borrow_mut().sleepers.retain(|s| !Rc::ptr_eq(s, sleeper));
    }
}
