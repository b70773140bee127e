//! The specification of the news of a death, for every object that tells of one: it is never lost. Who took over and gives
//! back at once, unrepaired, leaves it to the next; a panic counts as a death; only an explicit call makes a lock unusable.

use crate::kit::{self, LONG};
use crate::place::{Place, forget};
use interproc::sync::{
    BoundedSemaphore, LockError, Mutex, RecursiveLockError, RecursiveMutex, RwLock, RwLockError,
};
use interproc::{Deadline, ErrorKind, Object, Result, Segment};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A lock of one kind, and what is done with it.
trait Robust {
    fn of(seg: &Segment) -> Self;
    /// Locks for writing, and dies or ends with that.
    fn die_holding(&self);
    /// Locks for writing and panics under the guard.
    fn panic_holding(&self);
    /// Every way to lock once and to ignore the news: which one.
    fn ignore(&self, form: usize) -> Option<ErrorKind>;
    /// Every way to lock with a repair: whether that was needed.
    fn repair(&self, form: usize, repair: impl FnOnce()) -> Result<()>;
    fn give_up(&self);
    /// Locks and unlocks while the thread panics.
    fn touch(&self);
}

const FORMS: usize = 4;

fn soon() -> Deadline {
    Deadline::after(LONG)
}

impl Robust for Object<Mutex<u64>> {
    fn of(seg: &Segment) -> Self {
        seg.object("mutex", || Mutex::new(0)).expect("mutex")
    }

    fn die_holding(&self) {
        forget(self.lock().expect("clean"));
    }

    fn panic_holding(&self) {
        let _guard = self.lock().expect("clean");
        panic!("half done");
    }

    fn ignore(&self, form: usize) -> Option<ErrorKind> {
        match form {
            0 => self.lock().map(drop).err().map(|e| e.error().kind()),
            1 => self.try_lock().map(drop).map_err(interproc::Error::from).err().map(|e| e.kind()),
            2 => self.lock_timeout(LONG).is_err().then_some(ErrorKind::OwnerDied),
            _ => match self.lock_until(soon()) {
                Err(LockError::OwnerDied(mut died)) => {
                    *died += 1; // touched, and not said to be whole
                    Some(ErrorKind::OwnerDied)
                }
                other => other.map(drop).err().map(|e| e.error().kind()),
            },
        }
    }

    fn repair(&self, form: usize, repair: impl FnOnce()) -> Result<()> {
        match form {
            0 => self.lock_or_repair(|_| repair()).map(drop),
            1 => self.try_lock_or_repair(|_| repair()).map(drop),
            2 => self.lock_or_repair_timeout(LONG, |_| repair()).map(drop),
            _ => self.lock_or_repair_until(soon(), |_| repair()).map(drop),
        }
    }

    fn give_up(&self) {
        let Err(LockError::OwnerDied(died)) = self.lock() else { panic!("not told") };
        died.mark_not_recoverable();
    }

    fn touch(&self) {
        drop(self.lock().expect("clean"));
    }
}

impl Robust for Object<RecursiveMutex<u64>> {
    fn of(seg: &Segment) -> Self {
        seg.object("recursive", || RecursiveMutex::new(0)).expect("mutex")
    }

    fn die_holding(&self) {
        forget((self.lock().expect("clean"), self.lock().expect("ours")));
    }

    fn panic_holding(&self) {
        let _outer = self.lock().expect("clean");
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _inner = self.lock().expect("ours");
            panic!("half done at depth two");
        }));
    }

    fn ignore(&self, form: usize) -> Option<ErrorKind> {
        match form {
            0 => self.lock().map(drop).err().map(|e| e.error().kind()),
            1 => self.try_lock().map(drop).map_err(interproc::Error::from).err().map(|e| e.kind()),
            2 => self.lock_timeout(LONG).is_err().then_some(ErrorKind::OwnerDied),
            _ => {
                // The one that was told goes first, and the last guard is an ordinary one.
                let told = self.lock_until(soon());
                let inner = self.lock();
                let kind = told.map(drop).err().map(|e| e.error().kind());
                drop(inner);
                kind
            }
        }
    }

    fn repair(&self, form: usize, repair: impl FnOnce()) -> Result<()> {
        match form {
            0 => self.lock_or_repair(|_| repair()).map(drop),
            1 => self.try_lock_or_repair(|_| repair()).map(drop),
            2 => self.lock_or_repair_timeout(LONG, |_| repair()).map(drop),
            _ => self.lock_or_repair_until(soon(), |_| repair()).map(drop),
        }
    }

    fn give_up(&self) {
        let Err(RecursiveLockError::OwnerDied(died)) = self.lock() else { panic!("not told") };
        let inner = self.lock().expect("ours");
        assert_eq!(died.mark_not_recoverable().map_err(|e| e.kind()), Err(ErrorKind::Deadlock));
        drop(inner);
        let Err(RecursiveLockError::OwnerDied(died)) = self.lock() else { panic!("not told again") };
        died.mark_not_recoverable().expect("held once");
    }

    fn touch(&self) {
        drop(self.lock().expect("clean"));
    }
}

impl Robust for Object<RwLock<u64>> {
    fn of(seg: &Segment) -> Self {
        seg.object("rwlock", || RwLock::new(0)).expect("rwlock")
    }

    fn die_holding(&self) {
        forget(self.write().expect("clean"));
    }

    fn panic_holding(&self) {
        let _guard = self.write().expect("clean");
        panic!("half done");
    }

    fn ignore(&self, form: usize) -> Option<ErrorKind> {
        match form {
            0 => self.read().map(drop).err().map(|e| e.error().kind()),
            1 => self.try_write().map(drop).map_err(interproc::Error::from).err().map(|e| e.kind()),
            2 => self.read_timeout(LONG).is_err().then_some(ErrorKind::OwnerDied),
            _ => self.write_until(soon()).map(drop).err().map(|e| e.error().kind()),
        }
    }

    fn repair(&self, form: usize, repair: impl FnOnce()) -> Result<()> {
        match form {
            0 => self.read_or_repair(|_| repair()).map(drop),
            1 => self.try_write_or_repair(|_| repair()).map(drop),
            2 => self.read_or_repair_timeout(LONG, |_| repair()).map(drop),
            _ => self.write_or_repair_until(soon(), |_| repair()).map(drop),
        }
    }

    fn give_up(&self) {
        let Err(RwLockError::OwnerDied(died)) = self.read() else { panic!("not told") };
        died.mark_not_recoverable();
    }

    fn touch(&self) {
        drop(self.write().expect("clean"));
        drop(self.read().expect("clean"));
    }
}

/// Runs the specification for each lock.
fn each(at: Place, spec: fn(Place, Kind)) {
    for kind in [Kind::Mutex, Kind::Recursive, Kind::RwLock] {
        spec(at, kind);
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Mutex,
    Recursive,
    RwLock,
}

/// Calls `$body` with the lock.
macro_rules! with {
    ($kind:expr, $seg:expr, $lock:ident => $body:expr) => {
        match $kind {
            Kind::Mutex => {
                let $lock = <Object<Mutex<u64>>>::of($seg);
                $body
            }
            Kind::Recursive => {
                let $lock = <Object<RecursiveMutex<u64>>>::of($seg);
                $body
            }
            Kind::RwLock => {
                let $lock = <Object<RwLock<u64>>>::of($seg);
                $body
            }
        }
    };
}

fn die(at: Place, seg: &Segment, kind: Kind) {
    at.start(seg, move |seg| {
        with!(kind, seg, lock => lock.die_holding());
        at.die()
    })
    .gone();
}

pub fn whoever_ignores_it_leaves_it_to_the_next(at: Place) {
    each(at, |at, kind| {
        let seg = kit::segment();
        die(at, &seg, kind);
        for form in 0..2 * FORMS {
            let ignored = with!(kind, &seg, lock => lock.ignore(form % FORMS));
            assert_eq!(ignored, Some(ErrorKind::OwnerDied), "{kind:?}, form {form}");
            at.start(&seg, move |seg| {
                let ignored = with!(kind, seg, lock => lock.ignore(form / 2));
                assert_eq!(ignored, Some(ErrorKind::OwnerDied), "{kind:?}, form {form}");
            })
            .join();
        }
    });
}

pub fn a_repair_ends_it_and_is_made_once(at: Place) {
    each(at, |at, kind| {
        let seg = kit::segment();
        for form in 0..FORMS {
            die(at, &seg, kind);
            let mut repairs = 0;
            for _ in 0..2 {
                with!(kind, &seg, lock => lock.repair(form, || repairs += 1)).expect("recovered");
            }
            assert_eq!(repairs, 1, "{kind:?}, form {form}");
            assert_eq!(with!(kind, &seg, lock => lock.ignore(form)), None);
        }
    });
}

pub fn a_repair_that_panics_or_dies_leaves_it_to_the_next(at: Place) {
    each(at, |at, kind| {
        let seg = kit::segment();
        die(at, &seg, kind);
        for form in 0..FORMS {
            let repair = || with!(kind, &seg, lock => lock.repair(form, || panic!("cannot repair this")));
            assert!(catch_unwind(AssertUnwindSafe(repair)).is_err());
            at.start(&seg, move |seg| {
                let died = with!(kind, seg, lock => lock.repair(form, || at.die()));
                unreachable!("{kind:?}, form {form}: {died:?}");
            })
            .gone();
            assert_eq!(with!(kind, &seg, lock => lock.ignore(form)), Some(ErrorKind::OwnerDied));
        }
        with!(kind, &seg, lock => lock.repair(0, || ())).expect("recovered");
        assert_eq!(with!(kind, &seg, lock => lock.ignore(0)), None);
    });
}

pub fn a_panic_under_a_guard_is_a_death(at: Place) {
    each(at, |at, kind| {
        let seg = kit::segment();
        for form in 0..FORMS {
            at.start(&seg, move |seg| {
                let panics = || with!(kind, seg, lock => lock.panic_holding());
                let _ = catch_unwind(AssertUnwindSafe(panics));
            })
            .join();
            assert_eq!(with!(kind, &seg, lock => lock.ignore(form)), Some(ErrorKind::OwnerDied));
            with!(kind, &seg, lock => lock.repair(form, || ())).expect("recovered");
        }
    });
}

/// Does something when it is dropped.
pub struct Touches<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for Touches<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

pub fn a_guard_of_a_destructor_that_a_panic_runs_is_none(at: Place) {
    each(at, |at, kind| {
        let seg = kit::segment();
        at.start(&seg, move |seg| {
            let panics = || {
                let _touches = Touches(|| with!(kind, seg, lock => lock.touch()));
                panic!("elsewhere");
            };
            assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        })
        .join();
        assert_eq!(with!(kind, &seg, lock => lock.ignore(0)), None, "{kind:?}");
    });
}

pub fn only_who_says_so_makes_a_lock_unusable(at: Place) {
    each(at, |at, kind| {
        let seg = kit::segment();
        die(at, &seg, kind);
        with!(kind, &seg, lock => lock.give_up());
        at.start(&seg, move |seg| {
            for form in (0..FORMS).filter(|&form| form != 2) {
                let refused = with!(kind, seg, lock => lock.ignore(form));
                assert_eq!(refused, Some(ErrorKind::NotRecoverable), "{kind:?}, form {form}");
                let refused = with!(kind, seg, lock => lock.repair(form, || unreachable!()));
                assert_eq!(refused.map_err(|e| e.kind()), Err(ErrorKind::NotRecoverable));
            }
        })
        .join();
    });
}

fn permits(seg: &Segment) -> BoundedSemaphore {
    seg.bounded_semaphore("permits", 3).expect("semaphore")
}

pub fn who_cannot_have_all_permits_gives_back_those_of_the_dead_with_it(at: Place) {
    let seg = kit::segment();
    let s = permits(&seg);
    at.start(&seg, move |seg| {
        forget(permits(seg).acquire().expect("free"));
        at.die();
    })
    .gone();
    let one = s.acquire().expect("free");
    assert!(!one.owner_died());
    for round in 0..6 {
        let refused = match round % 3 {
            0 => s.try_acquire_many(3),
            1 => s.acquire_many_timeout(3, Duration::from_millis(5)),
            _ => s.acquire_many_until(3, Deadline::from_monotonic_ns(1)),
        };
        assert!(refused.is_err());
        assert_eq!(s.available().expect("a member"), 2);
    }
    let both = [s.try_acquire().expect("free"), s.acquire().expect("free")];
    assert_eq!(both.iter().filter(|p| p.owner_died()).count(), 1, "one died, and one is told");
    drop((both, one));
    assert!(!s.acquire_many(3).expect("all").owner_died(), "told twice");
}

pub fn a_permit_that_a_panic_drops_is_taken_with_it(at: Place) {
    let seg = kit::segment();
    let s = permits(&seg);
    let panics = || {
        let _permits = s.acquire_many(2).expect("free");
        panic!("with a line in each hand");
    };
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert!(s.holders().expect("a member").is_empty());
    at.start(&seg, |seg| {
        let s = permits(seg);
        let all = [(); 3].map(|()| s.acquire().expect("free"));
        assert_eq!(all.iter().filter(|p| p.owner_died()).count(), 2);
    })
    .join();
    assert!(!s.acquire_many(3).expect("all").owner_died());
}
