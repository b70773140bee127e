//! Scenarios of the recursive mutex, at depth, and of the once.

use crate::engine::board::CURTAIN;
use crate::engine::{Case, Check, Cut, End, Enter, Part, Scenario, Until};
use crate::ensure;
use interproc::sync::{Condvar, Once, RecursiveLockError, RecursiveMutex};
use interproc::{Object, Segment};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// On the board: 1 while the victim surely holds the lock.
const HELD: usize = 0;
/// Nonzero once a helper was told of a death.
const TOLD: usize = 1;

type Lock = RecursiveMutex<[u64; 2]>;

pub(crate) struct World {
    segment: Segment,
    lock: Object<Lock>,
    changed: Object<Condvar>,
    once: Object<Once>,
    made: Object<[AtomicU64; 2]>,
}

impl World {
    fn fresh() -> World {
        let options = Segment::options().size(4096).max_members(10).max_objects(8);
        let segment = options.anonymous().expect("a segment");
        World {
            lock: segment.object("lock", || RecursiveMutex::new([0; 2])).expect("room"),
            changed: segment.object("changed", Condvar::new).expect("room"),
            once: segment.object("once", Once::new).expect("room"),
            made: segment.object("made", || [const { AtomicU64::new(0) }; 2]).expect("room"),
            segment,
        }
    }

    fn warm_up(&self) {
        let other = self.segment.object("other", || RecursiveMutex::new([0u64; 2])).expect("room");
        let rung = self.segment.object("rung", Condvar::new).expect("room");
        let outer = other.lock().expect("free");
        let inner = other.lock().expect("ours");
        drop(rung.wait_timeout(inner, Duration::ZERO));
        rung.notify_one().expect("a member");
        drop(outer);
    }

    /// Locks, repairs if told, changes at the second level, unlocks. Whether it was told.
    fn survive(&self, part: &Part) -> Result<bool, String> {
        let locked = self.lock.lock();
        part.recovered();
        let (guard, told) = match locked {
            Ok(guard) => (guard, false),
            Err(RecursiveLockError::OwnerDied(died)) => {
                part.told();
                died.set([died.get()[1]; 2]);
                (died.mark_consistent(), true)
            }
            Err(RecursiveLockError::Failed(error)) => return Err(format!("lock: {error:?}")),
        };
        ensure!(self.lock.depth() == Ok(1), "it inherited a depth");
        let inner = self.lock.lock();
        ensure!(inner.is_ok(), "its holder cannot lock it");
        let [a, b] = guard.get();
        ensure!(a == b, "the data are torn and nobody was told");
        guard.set([a + 1, b]);
        guard.set([a + 1, b + 1]);
        Ok(told)
    }

    fn aftermath(&self, part: &Part) -> Check {
        let told = self.survive(part)? || part.fact(TOLD).load(SeqCst) != 0;
        ensure!(
            told || part.fact(HELD).load(SeqCst) == 0,
            "the victim died holding the lock and nobody was told"
        );
        ensure!(!self.survive(part)?, "told of a death again");
        ensure!(self.lock.try_lock().is_ok() && !self.lock.is_locked(), "it is not free");
        Ok(())
    }
}

/// Three levels: locks, locks, changes, unlocks in another order.
fn nest(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    let Ok(first) = w.lock.lock() else { panic!("nobody else dies") };
    cut.part.fact(HELD).store(1, SeqCst);
    let second = w.lock.lock().expect("ours");
    let third = w.lock.try_lock().expect("ours");
    let [a, b] = third.get();
    second.set([a + 1, b]);
    drop(second);
    first.set([a + 1, b + 1]);
    drop(third);
    cut.part.fact(HELD).store(0, SeqCst);
    drop(first);
    cut.end();
}

fn sleeper(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    if w.survive(part)? {
        part.fact(TOLD).store(1, SeqCst);
    }
    Ok(())
}

/// Holds it at depth two until the victim sleeps for it.
fn holder(w: &World, part: &Part) -> Check {
    let guards = (w.lock.lock().expect("free"), w.lock.lock().expect("ours"));
    part.ready();
    part.await_cue(1);
    drop(guards);
    part.await_cue(CURTAIN);
    Ok(())
}

/// Waits at depth two for a change, and makes one of its own.
fn wait_at_depth(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    let Ok(outer) = w.lock.lock() else { panic!("nobody else dies") };
    let mut inner = w.lock.lock().expect("ours");
    while inner.get() == [0; 2] {
        inner = w.changed.wait(inner).expect("nobody else dies");
    }
    assert_eq!(w.lock.depth(), Ok(2));
    cut.part.fact(HELD).store(1, SeqCst);
    let [a, b] = inner.get();
    outer.set([a + 1, b]);
    drop(inner);
    outer.set([a + 1, b + 1]);
    cut.part.fact(HELD).store(0, SeqCst);
    drop(outer);
    cut.end();
}

/// As the victim, and survives: keeps its depth whoever dies.
fn waiter(w: &World, part: &Part) -> Check {
    w.warm_up();
    let outer = w.lock.lock().expect("free");
    let mut inner = w.lock.lock().expect("ours");
    part.ready();
    while inner.get() == [0; 2] {
        inner = match w.changed.wait(inner) {
            Ok(guard) => guard,
            Err(RecursiveLockError::OwnerDied(died)) => {
                part.told();
                part.fact(TOLD).store(1, SeqCst);
                died.set([9; 2]);
                died.mark_consistent()
            }
            Err(RecursiveLockError::Failed(error)) => return Err(format!("wait: {error:?}")),
        };
    }
    part.recovered();
    ensure!(w.lock.depth() == Ok(2), "it lost its depth");
    let [a, b] = inner.get();
    ensure!(a == b, "the data are torn and nobody was told");
    drop(inner);
    drop(outer);
    Ok(())
}

/// Changes on the cue, and says so.
fn changer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(1);
    let guard = w.lock.lock().unwrap_or_else(|died| {
        part.told();
        part.fact(TOLD).store(1, SeqCst);
        died.recover(|_| ()).expect("held")
    });
    guard.set([1; 2]);
    w.changed.notify_one().map_err(|e| format!("{e:?}"))?;
    drop(guard);
    part.await_cue(CURTAIN);
    Ok(())
}

/// Changes at depth two, and says so.
fn change_and_tell(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    let Ok(outer) = w.lock.lock() else { panic!("nobody else dies") };
    let inner = w.lock.lock().expect("ours");
    cut.part.fact(HELD).store(1, SeqCst);
    outer.set([1, 0]);
    inner.set([1, 1]);
    let _ = w.changed.notify_one();
    drop(inner);
    cut.part.fact(HELD).store(0, SeqCst);
    drop(outer);
    cut.end();
}

/// Whoever waits still has something to see, and has seen it.
fn changed(w: &World, part: &Part) -> Check {
    part.recovered();
    if !part.is_over(0) {
        let guard = w.lock.lock().unwrap_or_else(|died| {
            part.told();
            died.recover(|_| ()).expect("held")
        });
        guard.set([5; 2]);
        w.changed.notify_all().map_err(|e| format!("{e:?}"))?;
    }
    Ok(())
}

/// Makes what is made once: two words, the second behind the first.
fn make(w: &World, part_told: impl FnOnce(bool)) -> interproc::Result<()> {
    w.once.call(|state| {
        part_told(state.is_retry());
        let n = w.made[0].load(SeqCst) + 1;
        w.made[0].store(n, SeqCst);
        w.made[1].store(n, SeqCst);
    })
}

fn made(w: &World, part: &Part) -> Check {
    let begun = w.made[0].load(SeqCst) != 0;
    let mut retry = None;
    ensure!(make(w, |told| retry = Some(told)).is_ok(), "call failed");
    part.recovered();
    ensure!(retry.is_none_or(|told| told || !begun), "begun before, and nobody was told");
    ensure!(w.once.is_done(), "not done");
    ensure!(w.made[0].load(SeqCst) == w.made[1].load(SeqCst), "half-made");
    ensure!(w.made[0].load(SeqCst) <= 2, "made once more");
    Ok(())
}

fn initialise(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    make(w, |_| ()).expect("call");
    cut.end();
}

/// Waits for what another one makes, or makes it.
fn comer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    ensure!(make(w, |_| ()).is_ok(), "call failed");
    part.recovered();
    ensure!(w.made[0].load(SeqCst) == w.made[1].load(SeqCst), "half-made");
    Ok(())
}

/// Is at it until the victim sleeps for it.
fn slow(w: &World, part: &Part) -> Check {
    let done = w.once.call(|_| {
        part.ready();
        part.await_cue(1);
        (0..2).for_each(|i| w.made[i].store(1, SeqCst));
    });
    ensure!(done.is_ok(), "call failed");
    part.await_cue(CURTAIN);
    Ok(())
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let recursive = |scenario: &str| {
        Case::new("RecursiveMutex", "three levels", scenario, World::fresh).role("holder at depth n")
    };
    let condvar = |operation, scenario: &str| Case::new("Condvar", operation, scenario, World::fresh);
    let once = |scenario: &str| Case::new("Once", "call", scenario, World::fresh).role("initialiser");
    let mut waits = recursive("stopped, two come");
    let mut comers = once("stopped, two come");
    for _ in 0..2 {
        waits = waits.helper(Enter::AtKill, Until::Asleep, End::Alone, sleeper);
        comers = comers.helper(Enter::AtKill, Until::Asleep, End::Alone, comer);
    }
    vec![
        recursive("nobody waits").victim(nest).verify(World::aftermath),
        waits.victim(nest).verify(World::aftermath),
        recursive("behind a holder at depth two")
            .role("sleeper")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, holder)
            .victim(nest)
            .verify(World::aftermath),
        condvar("wait at depth two", "woken alone")
            .role("waiter")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, changer)
            .victim(wait_at_depth)
            .verify(|w, part| {
                let told = w.survive(part)? || part.fact(TOLD).load(SeqCst) != 0;
                ensure!(told || part.fact(HELD).load(SeqCst) == 0, "nobody was told");
                Ok(())
            }),
        condvar("notify_one+unlock at depth two", "a waiter at depth two asleep")
            .role("notifier")
            .helper(Enter::Before, Until::Asleep, End::AfterVerifier, waiter)
            .victim(change_and_tell)
            .verify(changed),
        once("nobody waits").victim(initialise).verify(made),
        comers.victim(initialise).verify(made),
        once("behind one who is at it")
            .role("waiter")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, slow)
            .victim(initialise)
            .verify(made),
    ]
}
