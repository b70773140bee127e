//! The specification of the recursive mutex: what it adds to the mutex, and that it keeps what the mutex promises.

use crate::kit::{self, LONG, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, forget, say_where, under_signals};
use interproc::sync::{RecursiveLockError, RecursiveMutex, RecursiveMutexGuard};
use interproc::{Deadline, ErrorKind, Object, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

type Locked<'a> = Result<RecursiveMutexGuard<'a, u64>, RecursiveLockError<'a, u64>>;

fn mutex(seg: &Segment) -> Object<RecursiveMutex<u64>> {
    seg.object("mutex", || RecursiveMutex::new(0)).expect("mutex")
}

fn new() -> (Segment, Object<RecursiveMutex<u64>>, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let m = mutex(&seg);
    (seg, m, board())
}

fn refused(answer: Locked<'_>, with: ErrorKind) {
    match answer {
        Err(RecursiveLockError::Failed(e)) => assert_eq!(e.kind(), with),
        other => panic!("{other:?} instead of {with:?}"),
    }
}

fn told(answer: Locked<'_>) -> RecursiveMutexGuard<'_, u64> {
    match answer {
        Err(RecursiveLockError::OwnerDied(died)) => died.mark_consistent(),
        other => panic!("not told: {other:?}"),
    }
}

pub fn its_holder_may_lock_it_again_and_nobody_else(at: Place) {
    let (seg, m, _) = new();
    let probe = |with: ErrorKind| {
        at.start(&seg, move |seg| {
            let m = mutex(seg);
            refused(m.try_lock(), with);
            refused(m.lock_timeout(Duration::from_millis(5)), ErrorKind::TimedOut);
            refused(m.lock_until(Deadline::from_monotonic_ns(1)), ErrorKind::TimedOut);
            assert_eq!(m.depth().expect("a member"), 0);
        })
        .join();
    };
    let first = m.lock().expect("free");
    let second = m.try_lock().expect("ours");
    let third = m.lock_timeout(LONG).expect("ours");
    let fourth = m.lock_until(Deadline::from_monotonic_ns(1)).expect("ours");
    assert_eq!(m.depth().expect("a member"), 4);
    second.set(5);
    assert_eq!((first.get(), third.get(), fourth.get()), (5, 5, 5));
    probe(ErrorKind::WouldBlock);
    // In any order.
    drop(first);
    probe(ErrorKind::WouldBlock);
    drop((third, second));
    probe(ErrorKind::WouldBlock);
    drop(fourth);
    at.start(&seg, |seg| assert_eq!(mutex(seg).try_lock().expect("free").get(), 5)).join();
    assert!(!m.is_locked());
}

pub fn one_thread_holds_it_at_a_time(at: Place) {
    const ROUNDS: u64 = 3_000;
    let (seg, m, words) = new();
    let user = |n: u64| {
        at.start(&seg, move |seg| {
            let m = mutex(seg);
            for round in 0..ROUNDS {
                let outer = if round % 2 == 0 { m.lock() } else { m.lock_timeout(LONG) }.expect("lock");
                assert_eq!(words[0].swap(n, Ordering::Relaxed), 0, "two hold it");
                let inner = (round % 3 == 0).then(|| m.lock().expect("ours"));
                outer.set(std::hint::black_box(outer.get()) + 1);
                drop(inner);
                assert_eq!(words[0].swap(0, Ordering::Relaxed), n, "two hold it");
            }
        })
    };
    let users: Vec<_> = (1..=4).map(user).collect();
    users.into_iter().for_each(|u| u.join());
    assert_eq!(m.lock().expect("lock").get(), 4 * ROUNDS);
}

pub fn it_is_held_65535_times_and_no_more(at: Place) {
    let (seg, m, _) = new();
    at.start(&seg, |seg| {
        let m = mutex(seg);
        let guards: Vec<_> = (0..RecursiveMutex::<u64>::DEEPEST).map(|_| m.lock().expect("ours")).collect();
        refused(m.lock(), ErrorKind::Overflow);
        refused(m.try_lock(), ErrorKind::Overflow);
        assert_eq!(m.depth().expect("a member"), 65_535);
        drop(guards);
        assert!(!m.is_locked());
    })
    .join();
    assert_eq!(m.lock().expect("free").get(), 0);
}

pub fn the_dead_ones_lock_is_inherited_at_depth_one_with_the_news(at: Place) {
    let (seg, m, words) = new();
    for round in 0..5 {
        let here = 10 * (round + 1);
        let holder = at.start(&seg, move |seg| {
            let m = mutex(seg);
            (0..=round).for_each(|_| forget(m.lock().expect("free or ours")));
            raise(&words[here]);
            await_word(&words[here + 1], 1);
            at.die();
        });
        await_word(&words[here], 1);
        let heir = at.start(&seg, move |seg| {
            let m = mutex(seg);
            say_where(&words[here + 2]);
            let guard = told(m.lock());
            assert_eq!(m.depth().expect("a member"), 1);
            drop(m.lock().expect("ours, and clean"));
            guard.set(guard.get() + 1);
        });
        await_asleep(&words[here + 2]);
        raise(&words[here + 1]);
        holder.gone();
        heir.join();
        assert_eq!(m.try_lock().expect("clean").get(), round as u64 + 1);
    }
}

pub fn if_its_last_guard_goes_unrepaired_the_next_one_is_told(at: Place) {
    let (seg, m, _) = new();
    at.start(&seg, |seg| forget(mutex(seg).lock().expect("free"))).join();
    let died = m.lock().expect_err("its owner died");
    let inner = m.lock().expect("ours: whoever repairs may lock");
    drop(died);
    assert!(m.is_locked());
    drop(inner);
    at.start(&seg, |seg| drop(told(mutex(seg).try_lock()))).join();
    drop(m.lock().expect("repaired"));
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, m, words) = new();
    let guards = (m.lock().expect("free"), m.lock().expect("ours"));
    let patient = at.start(&seg, |seg| {
        let m = mutex(seg);
        drop(under_signals(&words[0], || m.lock()).expect("lock"));
    });
    await_word(&words[0], MANY);
    drop(guards);
    patient.join();
}

pub fn a_child_does_not_own_what_its_parent_holds(at: Place) {
    let (seg, m, _) = new();
    at.start(&seg, |seg| {
        let m = mutex(seg);
        for raw in [false, true] {
            let mut guards = Some((m.lock().expect("free"), m.lock().expect("ours")));
            kit::child(raw, || {
                assert_eq!(m.depth().expect("a member"), 0);
                refused(m.try_lock(), ErrorKind::WouldBlock);
                drop(guards.take());
                refused(m.try_lock(), ErrorKind::WouldBlock);
            })
            .join();
            assert_eq!(m.depth().expect("a member"), 2);
            drop(guards);
            assert!(!m.is_locked());
        }
    })
    .join();
    drop(m.lock().expect("free"));
}
