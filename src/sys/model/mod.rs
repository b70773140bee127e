//! The kernel of a model run: the contract of [`crate::sys`] on loom, and threads that can be killed.
//!
//! | file | idea |
//! |---|---|
//! | `atomic` | loom's atomics; every operation that other threads can see is a step at which the thread may die |
//! | `futex` | sleeping and waking |
//! | `death` | threads, their robust lists, and what the kernel does when one dies |
//! | `run` | all interleavings of a model, with a death at every step |
//! | `trace` | the operations of an execution that failed |
//!
//! **The futex.** A wait and a wake must be ordered as by the kernel's lock, and loom must *know* that they are, or it
//! prunes orders that differ only in the sleepers' queue. So each is one visible operation (an AcqRel read-modify-write of
//! one modelled kernel lock) and then works on a plain list. Tried and measured against the toys of `tests/loom/toys.rs`:
//!
//! | construction | verdict |
//! |---|---|
//! | loom's Mutex and Condvar with notify_all | misses "woke one where all must wake" |
//! | a bare load, or a read-modify-write as the compare | false deadlocks |
//! | enqueue, SeqCst fence, load, park; fence, pop, unpark: a list that loom does not see | catches the mutants whose word changes before the wake; **misses a bell that rings before its sleeper has queued** (toy "a late sleeper …"), because nothing makes loom try that order |
//! | this one | passes the right toys, catches every mutant |
//!
//! Between the lock and the end of the comparison nothing else runs (`stop_exploring`): the kernel also compares and queues
//! in one critical section.
//!
//! **What a model cannot see.** A light fence is a full fence here; `tests/store_buffer.rs` checks the asymmetric protocol.
//! loom's SeqCst fences order more than the language promises, so a publisher that has once passed a fence hides some
//! missing edges; the models have paths without fences for those. Nothing times out unless the model says so
//! ([`allow_timeouts`]): a lost wake-up that the net would repair is a deadlock here. loom remembers only the last access
//! to an atomic: if one thread loads it and another one then loads and changes it, loom does not see that the two race and
//! may not try the other order. It does see a change followed by a load, so a model starts the thread that changes first
//! (the heir of "a dead one's lock is inherited though its slot lives again", started first, was run in one order only).

mod atomic;
mod death;
pub mod futex;
mod run;
mod trace;

pub use atomic::{AtomicU32, AtomicU64, fence, light_fence, seq_cst_fence_for_models, spin_loop};
pub use death::{
    BellNode, Death, Outcome, Pending, RobustList, Thread, member, next_step, pause, process, seat_is_taken,
    thread, try_seat,
};
pub use run::{Bounds, Report, check, for_every_death};

use loom::sync::atomic::Ordering;
use std::cell::RefCell;
use std::rc::Rc;

/// One execution's kernel.
struct Kernel {
    lock: loom::sync::atomic::AtomicU32,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    sleepers: Vec<Rc<futex::Sleeper>>,
    gone: Vec<u32>,
    /// The locked bytes, and who holds each: a task, or 0 for the model's main thread.
    seats: Vec<(u16, usize)>,
    processes: usize,
    timeouts: u32,
    net: bool,
    frozen: u32,
}

std::thread_local! {
    // loom's threads are coroutines of one thread: this is global to an execution.
    static KERNEL: RefCell<Option<Rc<Kernel>>> = const { RefCell::new(None) };
}

impl Kernel {
    /// Starts an execution.
    fn boot() {
        trace::restart();
        crate::clock::start();
        let kernel = Kernel { lock: loom::sync::atomic::AtomicU32::new(0), state: RefCell::default() };
        KERNEL.set(Some(Rc::new(kernel)));
    }

    fn get() -> Rc<Kernel> {
        KERNEL.with_borrow(|k| k.clone()).expect("inside model::check")
    }

    /// Makes a kernel operation visible and totally ordered: loom tries every order of two of them.
    fn enter(&self) {
        self.lock.fetch_add(1, Ordering::AcqRel);
    }

    fn new_process(&self) -> usize {
        let mut state = self.state.borrow_mut();
        state.processes += 1;
        state.processes
    }

    /// Until [`Kernel::thaw`] loom tries one order only. Nests.
    fn freeze(&self) {
        let mut state = self.state.borrow_mut();
        state.frozen += 1;
        if state.frozen == 1 {
            loom::stop_exploring();
        }
    }

    fn thaw(&self) {
        let mut state = self.state.borrow_mut();
        state.frozen -= 1;
        if state.frozen == 0 {
            loom::explore();
        }
    }
}

/// Lets the other threads run, in one order only, until `n` of them sleep. A model begins there.
pub fn until_asleep(n: usize) {
    let kernel = Kernel::get();
    kernel.freeze();
    while kernel.state.borrow().sleepers.iter().filter(|s| s.is_asleep()).count() < n {
        loom::thread::yield_now();
    }
    kernel.thaw();
}

/// As [`until_asleep`], where some of the `n` may end or be killed before they sleep.
pub fn until_asleep_or_gone(n: usize) {
    let kernel = Kernel::get();
    kernel.freeze();
    let settled = |state: &State| state.sleepers.iter().filter(|s| s.is_asleep()).count() + state.gone.len();
    while settled(&kernel.state.borrow()) < n {
        loom::thread::yield_now();
    }
    kernel.thaw();
}

/// The caller sees all that the others stored before they last fell asleep or ended: for a look from outside.
pub fn catch_up() {
    Kernel::get().enter();
}

/// The label of a crash window, and what is to happen there.
type InWindow = (&'static str, Box<dyn FnOnce()>);

std::thread_local! {
    static IN_WINDOW: RefCell<Option<InWindow>> = const { RefCell::new(None) };
}

/// Lets `f` run, once, where the crash window of this label begins next: for orders of steps that the search comes to too late.
pub fn in_window(label: &'static str, f: impl FnOnce() + 'static) {
    IN_WINDOW.set(Some((label, Box::new(f))));
}

pub(crate) fn window_begins(name: &str) {
    let is_it = |(label, _): &mut InWindow| name.split_once(':').is_some_and(|(begins, _)| begins == *label);
    let there = IN_WINDOW.with(|there| there.borrow_mut().take_if(is_it));
    if let Some((_, happens)) = there {
        happens();
    }
}

/// From here to the end of the execution loom tries one order only, because the rest only cleans up or checks.
pub fn settle() {
    Kernel::get().freeze();
}

/// Lets the first `n` sleeps with a deadline in this execution time out, in every order against wake-ups. Without this they
/// last until another thread wakes them.
pub fn allow_timeouts(n: u32) {
    Kernel::get().state.borrow_mut().timeouts = n;
}

/// Lets every sleep with a deadline in this execution time out once no other thread can run. A wake-up that is lost for
/// good then shows as a loop that exceeds the bound on branches, if it does not break an assertion.
pub fn spread_net() {
    Kernel::get().state.borrow_mut().net = true;
}

/// The second channel of death reports, in a model that [spreads the net](spread_net): whether the thread with this id has
/// ended, reported or not.
pub fn is_gone(tid: u32) -> bool {
    let kernel = Kernel::get();
    kernel.enter();
    kernel.state.borrow().gone.contains(&tid)
}

/// The sleeper's half of the asymmetric fence; the publisher's is [`light_fence`].
pub fn membarrier() -> bool {
    fence(Ordering::SeqCst);
    true
}

/// Nothing to do in a model.
pub fn register_membarrier() -> bool {
    true
}
