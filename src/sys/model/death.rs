//! Threads that die at a chosen step, and what the kernel does then.
//!
//! A death is an unwind to the thread's top (`resume_unwind`, so no panic hook runs). Meanwhile the operations of this
//! module's siblings do nothing, because drop code runs, which a killed process does not run. Then the kernel acts in the
//! order of Linux's exit: the robust list, then the pending word.

use super::futex::Sleeper;
use super::trace::note;
use super::{AtomicU32, AtomicU64, Kernel};
use crate::sys::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, Word};
use loom::sync::atomic::{Ordering, fence};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering as Std};

/// When a thread dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Death {
    /// Before the step with this number, counted from 0; `None`: it lives until its function returns.
    pub at: Option<usize>,
    /// The kernel reports nothing (exec from a second thread, `process_mrelease`): no mark, no wake-up, no bell.
    pub unreported: bool,
    /// Whether a run over all steps counts this one: see [`super::for_every_death`].
    pub(super) counted: bool,
}

impl Death {
    /// It lives until its function returns.
    pub const NEVER: Death = Death { at: None, unreported: false, counted: false };
    /// It dies before its first step, and the kernel reports it.
    pub const AT_ONCE: Death = Death { at: Some(0), ..Death::NEVER };
}

/// How a thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It returned this.
    Finished(T),
    /// It was killed.
    Died,
}

impl<T> Outcome<T> {
    /// What it returned.
    pub fn finished(self) -> Option<T> {
        match self {
            Outcome::Finished(value) => Some(value),
            Outcome::Died => None,
        }
    }
}

/// What the kernel knows of a thread.
struct Task {
    tid: u32,
    /// Its process; not 0.
    process: usize,
    death: Death,
    steps: Cell<usize>,
    spins: Cell<usize>,
    linked: RefCell<Vec<&'static AtomicU64>>,
    pending: Cell<Option<&'static AtomicU32>>,
    asleep: RefCell<Option<Rc<Sleeper>>>,
    /// It lives on after its function has returned.
    stays: Cell<bool>,
}

loom::thread_local! {
    static TASK: RefCell<Option<Rc<Task>>> = RefCell::new(None);
}

/// Whether some execution since [`forget_steps`] reached the death that is counted.
static KILLED: AtomicBool = AtomicBool::new(false);
/// Resets [`killed`].
pub(super) fn forget_steps() {
    KILLED.store(false, Std::Relaxed);
}

/// Whether the counted death was reached in any execution.
pub(super) fn killed() -> bool {
    KILLED.load(Std::Relaxed)
}

struct Crashed;

fn task() -> Option<Rc<Task>> {
    TASK.with(|t| t.borrow().clone())
}

/// A step of the calling thread, which may die here. False when it is already dead (or the model has failed and is being
/// torn down): then the operation must do nothing.
pub(super) fn step() -> bool {
    if std::thread::panicking() {
        return false;
    }
    may_die();
    true
}

/// A step that is not an operation.
pub(super) fn may_die() {
    let Some(task) = task() else { return };
    let step = task.steps.get();
    task.steps.set(step + 1);
    if task.death.at == Some(step) {
        KILLED.fetch_or(task.death.counted, Std::Relaxed);
        note(0, || format!("DIES at step {step}"));
        resume_unwind(Box::new(Crashed));
    }
}

/// Whether the calling thread has spun long enough.
pub(super) fn patience_is_over() -> bool {
    let Some(task) = task() else { return true };
    task.spins.set(task.spins.get() + 1);
    task.spins.get() % 64 == 0
}

/// A step in the kernel: the thread may be killed while it is queued.
pub(super) fn may_die_asleep(sleeper: &Rc<Sleeper>) {
    let Some(task) = task() else { return };
    *task.asleep.borrow_mut() = Some(sleeper.clone());
    may_die();
    *task.asleep.borrow_mut() = None;
}

/// A modelled thread.
pub struct Thread<T>(loom::thread::JoinHandle<Outcome<T>>);

impl<T> Thread<T> {
    /// Waits for its end, as a parent does. The algorithm under test must not learn of deaths this way.
    pub fn join(self) -> Outcome<T> {
        self.0.join().expect("loom passes panics on")
    }
}

/// Starts a thread that the kernel knows as `tid`. Two threads with the same `tid` live in two PID namespaces.
pub fn thread<T: 'static>(tid: u32, death: Death, f: impl FnOnce() -> T + 'static) -> Thread<T> {
    start(tid, Vec::new(), death, f)
}

/// Starts a thread that has `slot` linked from its start to its death. When `f` returns, the thread stays alive and idle.
pub fn member<T: 'static>(
    slot: &'static AtomicU64,
    tid: u32,
    death: Death,
    f: impl FnOnce() -> T + 'static,
) -> Thread<T> {
    start(tid, vec![slot], death, move || {
        let value = f();
        may_die();
        if let Some(task) = task() {
            task.linked.borrow_mut().clear();
            task.pending.set(None);
        }
        value
    })
}

/// Starts the only thread of a process, with nothing linked. When `f` returns, the thread stays alive and idle, with its
/// seat.
pub fn process<T: 'static>(tid: u32, death: Death, f: impl FnOnce() -> T + 'static) -> Thread<T> {
    start(tid, Vec::new(), death, move || {
        let value = f();
        may_die();
        if let Some(task) = task() {
            task.stays.set(true);
        }
        value
    })
}

/// Locks the byte of a process seat for the calling process, until its end, if nobody holds it.
pub fn try_seat(seat: u16) -> bool {
    if !step() {
        return false;
    }
    let kernel = Kernel::get();
    kernel.enter();
    let mut state = kernel.state.borrow_mut();
    let free = state.seats.iter().all(|&(taken, _)| taken != seat);
    if free {
        state.seats.push((seat, holder()));
    }
    free
}

/// Whether some process holds the byte of a seat.
pub fn seat_is_taken(seat: u16) -> bool {
    let kernel = Kernel::get();
    kernel.enter();
    kernel.state.borrow().seats.iter().any(|&(taken, _)| taken == seat)
}

/// The calling process, as the holder of a seat.
fn holder() -> usize {
    task().map_or(0, |task| task.process)
}

fn start<T: 'static>(
    tid: u32,
    linked: Vec<&'static AtomicU64>,
    death: Death,
    f: impl FnOnce() -> T + 'static,
) -> Thread<T> {
    assert!(tid != 0 && tid & !FUTEX_TID_MASK == 0);
    Thread(loom::thread::spawn(move || {
        let task = Rc::new(Task {
            tid,
            process: Kernel::get().new_process(),
            death,
            steps: Cell::new(0),
            spins: Cell::new(0),
            linked: RefCell::new(linked),
            pending: Cell::new(None),
            asleep: RefCell::default(),
            stays: Cell::new(false),
        });
        TASK.with(|t| *t.borrow_mut() = Some(task.clone()));
        let end = catch_unwind(AssertUnwindSafe(|| {
            let value = f();
            may_die();
            value
        }));
        TASK.with(|t| *t.borrow_mut() = None);
        match end {
            Ok(value) => {
                if !task.stays.get() {
                    exit(&task, true);
                }
                Outcome::Finished(value)
            }
            Err(payload) => {
                only_crashed(payload);
                exit(&task, !task.death.unreported);
                Outcome::Died
            }
        }
    }))
}

/// Passes on a panic that is not a modelled death: a failed assertion, or loom's own tear-down.
fn only_crashed(payload: Box<dyn Any + Send>) {
    if !payload.is::<Crashed>() {
        resume_unwind(payload);
    }
}

/// The kernel's work at a thread's end, by death or not. It is one action, because a thread that came between its parts
/// would only see the same state and be woken once more.
fn exit(task: &Task, reported: bool) {
    let kernel = Kernel::get();
    let ours = |&(_, holder): &(u16, usize)| holder == task.process;
    let sits = kernel.state.borrow().seats.iter().any(ours);
    let close = || kernel.state.borrow_mut().seats.retain(|seat| !ours(seat));
    if sits && crate::mutant!("kernel-closes-first") {
        kernel.enter();
        close();
    }
    kernel.enter();
    kernel.freeze();
    if let Some(sleeper) = task.asleep.borrow_mut().take() {
        // An earlier wake-up of it was in vain.
        kernel.dequeue(&sleeper);
    }
    fence(Ordering::SeqCst);
    if reported {
        walk(&kernel, task);
    }
    kernel.state.borrow_mut().gone.push(task.tid);
    // The mark also comes before everything that enters the kernel later.
    kernel.enter();
    kernel.thaw();
    if sits {
        // Files are closed later.
        kernel.enter();
        close();
    }
}

/// `exit_robust_list`.
fn walk(kernel: &Kernel, task: &Task) {
    for slot in task.linked.borrow_mut().drain(..).rev() {
        mark(kernel, slot, task.tid);
    }
    if let Some(bell) = task.pending.take() {
        // HANDLE_DEATH_PENDING: a pending word without an owner has one sleeper woken and is not changed.
        if bell.0.load(Ordering::Relaxed) & FUTEX_TID_MASK == 0 {
            kernel.wake_up(Word::Whole(bell), 1);
        }
    }
}

/// `handle_futex_death` for a linked word: a 32-bit compare-exchange there, the low half here.
fn mark(kernel: &Kernel, slot: &'static AtomicU64, tid: u32) {
    let mut word = slot.0.load(Ordering::Relaxed);
    loop {
        let mut low = word as u32;
        if low & FUTEX_TID_MASK != tid {
            // The load may be of an older value; this is the latest.
            word = slot.0.fetch_or(0, Ordering::Relaxed);
            low = word as u32;
            if low & FUTEX_TID_MASK != tid {
                return;
            }
        }
        note(core::ptr::from_ref(slot).addr(), || format!("kernel marks {word:#x}"));
        let marked = word & !u64::from(u32::MAX) | u64::from(low & FUTEX_WAITERS | FUTEX_OWNER_DIED);
        match slot.0.compare_exchange(word, marked, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) if low & FUTEX_WAITERS != 0 => {
                kernel.wake_up(Word::Low(slot), 1);
                return;
            }
            Ok(_) => return,
            Err(now) => word = now,
        }
    }
}

/// The calling thread's robust list. In a thread that is not modelled (loom's main one) it does nothing.
#[derive(Clone, Copy, Debug)]
pub struct RobustList(());

/// A bell, as `pending` names it.
#[derive(Clone, Copy, Debug)]
pub struct BellNode(&'static AtomicU32);

/// The pending pointer as it was found.
#[derive(Debug)]
#[must_use]
pub struct Pending(Option<&'static AtomicU32>);

impl RobustList {
    /// The calling thread's list.
    pub fn current() -> RobustList {
        RobustList(())
    }

    /// Links a slot word.
    pub fn link(self, slot: &'static AtomicU64) {
        if let (true, Some(task)) = (step(), task()) {
            task.linked.borrow_mut().push(slot);
        }
    }

    /// Unlinks a slot word.
    pub fn unlink(self, slot: &'static AtomicU64) {
        if let (true, Some(task)) = (step(), task()) {
            task.linked.borrow_mut().retain(|s| !core::ptr::eq(*s, slot));
        }
    }

    /// As in the product.
    pub fn node_of(self, bell: &'static AtomicU32) -> BellNode {
        BellNode(bell)
    }

    /// As in the product.
    pub fn pend(self, bell: BellNode) -> Pending {
        self.set_pending(Some(bell.0))
    }

    /// As in the product.
    pub fn unpend(self, old: Pending) {
        let _ = self.set_pending(old.0);
    }

    /// As in the product.
    pub fn forget(self, bell: BellNode) {
        let ours = |task: Rc<Task>| task.pending.get().is_some_and(|p| core::ptr::eq(p, bell.0));
        if task().is_some_and(ours) {
            self.unpend(Pending(None));
        }
    }

    fn set_pending(self, to: Option<&'static AtomicU32>) -> Pending {
        match (step(), task()) {
            (true, Some(task)) => Pending(task.pending.replace(to)),
            _ => Pending(None),
        }
    }
}

/// A step of the calling thread between its operations.
pub fn pause() {
    step();
}

/// The number of the calling thread's next step: a death at a greater one comes after it.
pub fn next_step() -> usize {
    task().map_or(0, |task| task.steps.get())
}
