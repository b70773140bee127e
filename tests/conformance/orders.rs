//! What every lock promises about the order of unlocking, and about a thread that ends with locks in its hands.

use crate::kit::{self, Random, board, walk_robust_list};
use crate::place::{Place, forget};
use interproc::sync::{
    LockError, Mutex, RecursiveLockError, RecursiveMutex, RwLock, RwLockError, RwLockWriteGuard,
};
use interproc::{Deadline, ErrorKind, Object, Segment};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Of each kind.
const EACH: usize = 5;

struct Locks {
    plain: Object<[Mutex<u64>; EACH]>,
    recursive: Object<[RecursiveMutex<u64>; EACH]>,
    rwlocks: Object<[RwLock<u64>; EACH]>,
}

impl Locks {
    fn of(seg: &Segment) -> Locks {
        Locks {
            plain: seg.object("plain", || [const { Mutex::new(0) }; EACH]).expect("locks"),
            recursive: seg.object("recursive", || [const { RecursiveMutex::new(0) }; EACH]).expect("locks"),
            rwlocks: seg.object("rwlocks", || [const { RwLock::new(0) }; EACH]).expect("locks"),
        }
    }

    /// Asks each for its lock; a bit for each whose holder died, and one for each that is held. The dead are forgotten.
    fn ask(&self) -> (u64, u64) {
        let (mut died, mut held) = (0, 0);
        let mut note = |n: usize, answer: Result<bool, ErrorKind>| match answer {
            Ok(told) => died |= u64::from(told) << n,
            Err(kind) => {
                assert_eq!(kind, ErrorKind::WouldBlock, "lock {n}");
                held |= 1 << n;
            }
        };
        for n in 0..EACH {
            note(
                n,
                match self.plain[n].try_lock() {
                    Ok(_) => Ok(false),
                    Err(LockError::OwnerDied(died)) => {
                        drop(died.mark_consistent());
                        Ok(true)
                    }
                    Err(LockError::Failed(e)) => Err(e.kind()),
                },
            );
            note(
                EACH + n,
                match self.recursive[n].try_lock() {
                    Ok(_) => Ok(false),
                    Err(RecursiveLockError::OwnerDied(died)) => {
                        drop(died.mark_consistent());
                        Ok(true)
                    }
                    Err(RecursiveLockError::Failed(e)) => Err(e.kind()),
                },
            );
            note(
                2 * EACH + n,
                match self.rwlocks[n].try_write() {
                    Ok(_) => Ok(false),
                    Err(RwLockError::OwnerDied(died)) => {
                        drop(died.mark_consistent());
                        Ok(true)
                    }
                    Err(RwLockError::Failed(e)) => Err(e.kind()),
                },
            );
        }
        (died, held)
    }
}

/// All are taken, some given back, in an order that has nothing to do with that; then the thread dies with the rest.
/// With a process, or while its process lives; by a bare end, or a good one.
pub fn unlocked_in_any_order_only_what_is_still_held_dies_with_its_thread(at: Place) {
    let seg = kit::segment();
    let (locks, words) = (Locks::of(&seg), board());
    for round in 0..40u64 {
        let user = at.start(&seg, move |seg| {
            let (locks, mut random) = (Locks::of(seg), Random(round * 7_777_777 + 1));
            let mut holds: Vec<(usize, Box<dyn std::any::Any>)> = Vec::new();
            // As long as the guards, which end in this thread or never.
            let locks: &'static Locks = Box::leak(Box::new(locks));
            for n in 0..EACH {
                holds.push((n, Box::new(locks.plain[n].lock().expect("free"))));
                for _ in 0..=random.below(3) {
                    holds.push((EACH + n, Box::new(locks.recursive[n].lock().expect("free or ours"))));
                }
                let written: RwLockWriteGuard<'static, u64> = locks.rwlocks[n].write().expect("free");
                if random.below(2) == 0 {
                    holds.push((2 * EACH + n, Box::new(written)));
                } else {
                    // Reading is no news; twice, as the same thread may.
                    holds.push((3 * EACH + n, Box::new(written.downgrade())));
                    holds.push((3 * EACH + n, Box::new(locks.rwlocks[n].read().expect("once more"))));
                }
            }
            let keep = random.below(holds.len() as u64) as usize;
            while holds.len() > keep {
                drop(holds.swap_remove(random.below(holds.len() as u64) as usize).1);
                walk_robust_list();
            }
            let held = holds.iter().fold(0, |held, (n, _)| held | 1u64 << n);
            words[0].store(held & ((1 << (3 * EACH)) - 1), Ordering::SeqCst);
            // Others see just these held.
            let again = kit::fork(|| {
                let reads = held >> (3 * EACH) << (2 * EACH);
                let expected = held & ((1 << (3 * EACH)) - 1) | reads;
                assert_eq!(Locks::ask(locks), (0, expected), "round {round}");
            });
            again.join();
            forget(holds);
            if round % 2 == 0 {
                at.die();
            }
        });
        if round % 2 == 0 {
            user.gone()
        } else {
            user.join()
        }
        assert_eq!(locks.ask(), (words[0].load(Ordering::SeqCst), 0), "round {round}");
        assert_eq!(locks.ask(), (0, 0), "round {round}");
    }
}

/// A recursive mutex; the others have theirs in their own specifications.
pub fn a_past_deadline_gets_a_free_recursive_mutex_and_gives_up_on_a_held_one(at: Place) {
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    let seg = kit::segment();
    let locks = Locks::of(&seg);
    let m = &locks.recursive[0];
    for deadline in past {
        let guard = m.lock_until(deadline).expect("free");
        let again = m.lock_until(deadline).expect("ours");
        at.start(&seg, move |seg| {
            let (locks, started) = (Locks::of(seg), Instant::now());
            let kind = locks.recursive[0].lock_until(deadline).map(drop).map_err(|e| e.error().kind());
            assert_eq!(kind, Err(ErrorKind::TimedOut));
            assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
        })
        .join();
        drop(guard);
        drop(again);
    }
    // The dead do not hold it.
    at.start(&seg, |seg| forget(Locks::of(seg).recursive[0].lock().expect("free"))).join();
    let told = m.lock_until(past[0]);
    assert!(matches!(told, Err(RecursiveLockError::OwnerDied(_))), "{told:?}");
}
