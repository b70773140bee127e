//! Children: of fork, of a threaded parent, of a raw clone.

use super::*;
use crate::kit::{
    Bare, LONG, NET, await_word, board, die, fork, pause_for_ever, raise, raw, raw_clone, walk_robust_list,
};
use interproc::queue::Queue;
use std::fs::File;
use std::mem::{ManuallyDrop, forget};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a waiter sleeps before it asks after an owner that the kernel has not reported.
const ASKS_AFTER: Duration = Duration::from_millis(50);

pub fn a_guard_of_the_parent_does_nothing_in_the_child() {
    let seg = kit::segment();
    let m = mutex(&seg);
    for raw_made in [false, true] {
        let guard = ManuallyDrop::new(m.lock().expect("lock"));
        kit::child(raw_made, || {
            drop(ManuallyDrop::into_inner(guard_copy(&guard)));
            assert!(m.is_locked(), "the child unlocked what the parent holds");
            assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::WouldBlock));
            // Once the child is a member, too.
            drop(ManuallyDrop::into_inner(guard_copy(&guard)));
            assert!(m.is_locked());
        })
        .join();
        assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::Deadlock), "the parent still holds it");
        drop(ManuallyDrop::into_inner(guard));
        assert!(!m.is_locked());
    }
    // A guard from the dead, dropped in the child, does not make the lock unusable either.
    fork(|| forget(m.lock().expect("lock"))).join();
    let Err(LockError::OwnerDied(died)) = m.lock() else { panic!("the owner died") };
    let died = ManuallyDrop::new(died);
    fork(|| {
        // SAFETY: the child has its own copy, dropped once.
        drop(unsafe { std::ptr::read(&*died) });
        // SAFETY: as above.
        let marked = unsafe { std::ptr::read(&*died) }.mark_consistent();
        drop(marked);
        assert!(m.is_locked());
    })
    .join();
    drop(ManuallyDrop::into_inner(died).mark_consistent());
    assert_eq!(got(m.lock()), Got::Clean);
}

/// The child's copy of a guard.
fn guard_copy<'a>(guard: &MutexGuard<'a, u64>) -> ManuallyDrop<MutexGuard<'a, u64>> {
    // SAFETY: each copy is dropped once, in a process that does not own the lock.
    unsafe { std::ptr::read(std::ptr::from_ref(guard).cast()) }
}

pub fn a_child_becomes_a_member_of_its_own() {
    let seg = kit::segment();
    let (m, q): (_, Queue<u64>) = (mutex(&seg), seg.queue("queue", 4).expect("queue"));
    let bare = Bare::new(&seg);
    let mine = bare.member().id();
    for raw_made in [false, true] {
        let before = bare.live();
        kit::child(raw_made, || {
            forget(m.lock().expect("lock"));
            let id = raw(&m).owner().expect("held");
            assert_ne!(id, mine);
            assert!(bare.lives(id) && bare.lives(mine));
            assert_eq!(bare.live(), before + 1);
            q.push(1).expect("push");
            assert_eq!(q.pop().expect("pop"), 1);
            assert!(walk_robust_list() >= 1);
            std::thread::scope(|s| {
                s.spawn(|| q.push(2).expect("push"));
            });
            assert_eq!(q.pop().expect("pop"), 2);
        })
        .join();
        assert_eq!(bare.live(), before);
        assert_eq!(got(m.lock()), Got::OwnerDied, "the child ended with the lock held");
        assert_eq!(bare.member().id(), mine);
    }
}

pub fn a_child_of_a_threaded_parent_may_lock_at_once() {
    let seg = Segment::options().size(1 << 16).max_members(256).anonymous().expect("segment");
    let m = mutex(&seg);
    let stop = AtomicBool::new(false);
    std::thread::scope(|s| {
        // One that locks, one that registers threads, one that attaches: each holds what a child must not miss.
        s.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                drop(m.lock_or_repair(|_| ()).unwrap());
            }
        });
        s.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let m = m.clone();
                std::thread::spawn(move || drop(m.lock_or_repair(|_| ()).unwrap())).join().expect("join");
            }
        });
        s.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                drop(kit::again(&seg));
            }
        });
        for round in 0..60 {
            let body = || {
                let mut value = m.lock_or_repair(|_| ()).unwrap();
                *value += 1;
            };
            if round % 3 == 2 { raw_clone(body).join() } else { fork(body).join() }
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(*m.lock().expect("lock"), 60);
}

pub fn a_raw_clone_registers_its_robust_list() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let mut times = Vec::new();
    for _ in 0..9 {
        let words = board();
        let owner = raw_clone(|| {
            forget(m.lock().expect("lock"));
            assert!(walk_robust_list() >= 1);
            raise(&words[0]);
            pause_for_ever();
        });
        await_word(&words[0], 1);
        std::thread::scope(|s| {
            let waiter = s.spawn(|| {
                assert_eq!(got(m.lock_timeout(LONG)), Got::OwnerDied);
                Instant::now()
            });
            std::thread::sleep(std::time::Duration::from_millis(2));
            let killed_at = Instant::now();
            owner.finish();
            times.push(waiter.join().expect("waiter").saturating_duration_since(killed_at));
        });
    }
    times.sort();
    // By the net it would be 25 ms on the median.
    assert!(times[4].as_millis() < 15, "{times:?}");
}

pub fn a_grandchild_becomes_a_member_of_its_own() {
    let seg = kit::segment();
    let (m, words) = (mutex(&seg), board());
    fork(|| {
        *m.lock().expect("lock") += 1;
        fork(|| {
            // Its parent has reopened the segment for itself; this one does so again.
            *m.lock().expect("lock") += 1;
            let dying = fork(|| {
                *m.lock().expect("lock") += 1;
                forget(m.lock().expect("lock"));
                raise(&words[0]);
                die();
            });
            await_word(&words[0], 1);
            let started = Instant::now();
            assert_eq!(got(m.lock_timeout(LONG)), Got::OwnerDied);
            assert!(started.elapsed() < NET);
            dying.finish();
        })
        .join();
        *m.lock().expect("lock") += 1;
    })
    .join();
    assert_eq!(*m.lock().expect("lock"), 4);
}

pub fn a_childs_death_leaves_the_parents_locks_alone() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let bare = Bare::new(&seg);
    let guard = m.lock().expect("lock");
    for raw_made in [false, true] {
        // It dies with what it has inherited, and never used the library.
        kit::child(raw_made, || die()).finish();
        kit::child(raw_made, || ()).join();
        assert!(bare.lives(bare.member().id()));
    }
    fork(|| assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::WouldBlock))).join();
    drop(guard);
    assert!(!m.is_locked());
}

/// Closes all that a daemon closes, and opens other files, which get the numbers.
fn close_all_and_open_others() -> Vec<File> {
    // SAFETY: the handles find out.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    let open = |_| File::options().append(true).read(true).open("/proc/self/comm").expect("a file");
    (0..16).map(open).collect()
}

pub fn a_child_that_closes_its_descriptors_keeps_what_it_holds() {
    let seg = kit::segment();
    let m = mutex(&seg);
    for raw_made in [false, true] {
        let words = board();
        let kid = kit::child(raw_made, || {
            let guard = m.lock().expect("lock");
            let _others = close_all_and_open_others();
            raise(&words[0]);
            await_word(&words[1], 1);
            drop(guard);
        });
        await_word(&words[0], 1);
        // Longer than a waiter sleeps before it asks whether the owner's process is there.
        assert_eq!(got(m.lock_timeout(4 * ASKS_AFTER)), Got::Failed(ErrorKind::TimedOut), "it lives");
        raise(&words[1]);
        kid.join();
        assert_eq!(got(m.lock()), Got::Clean);
    }
}

pub fn a_child_without_descriptors_locks_and_its_death_is_told() {
    let seg = kit::segment();
    let m = mutex(&seg);
    drop(m.lock().expect("lock"));
    for raw_made in [false, true] {
        let words = board();
        let kid = kit::child(raw_made, || {
            let others = close_all_and_open_others();
            let numbers: Vec<_> =
                others.iter().map(|file| Some(file.metadata().expect("stat").ino())).collect();
            let guard = m.lock().expect("no descriptor is needed for this");
            assert!(others.iter().zip(numbers).all(|(f, inode)| f.metadata().ok().map(|m| m.ino()) == inode));
            raise(&words[0]);
            forget(guard);
            pause_for_ever()
        });
        await_word(&words[0], 1);
        assert_eq!(got(m.lock_timeout(4 * ASKS_AFTER)), Got::Failed(ErrorKind::TimedOut), "it lives");
        kid.finish();
        let Err(LockError::OwnerDied(died)) = m.lock() else { panic!("the owner died") };
        drop(died.mark_consistent());
    }
}
