//! Mappings: one member for all of a segment's, none for what is gone.

use super::*;
use crate::kit::{Bare, again, board, fork, raise, raw, walk_robust_list};
use crate::pthread::Robust;
use interproc::queue::Queue;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

pub fn two_mappings_of_a_segment_are_one_member() {
    let first = kit::segment();
    let second = again(&first);
    let (m1, m2) = (mutex(&first), mutex(&second));
    assert!(!std::ptr::eq(&*m1, &*m2));
    let bare = Bare::new(&first);
    for _ in 0..3 {
        let guard = m1.lock().expect("lock");
        assert_eq!(raw(&m2).owner(), Some(bare.member().id()));
        assert_eq!(got(m2.try_lock()), Got::Failed(ErrorKind::Deadlock));
        assert_eq!(got(m2.lock()), Got::Failed(ErrorKind::Deadlock));
        drop(guard);
        let guard = m2.lock().expect("lock");
        assert_eq!(got(m1.lock()), Got::Failed(ErrorKind::Deadlock));
        // Locked through the one, unlocked through the other.
        std::mem::forget(guard);
        raw(&m1).unlock(bare.member()).expect("unlock");
        assert!(!m2.is_locked());
    }
    assert_eq!(bare.live(), 1);
}

pub fn two_mappings_share_locks_and_queues() {
    let first = kit::segment();
    let second = again(&first);
    let (m1, m2) = (mutex(&first), mutex(&second));
    let (q1, q2): (Queue<u64>, Queue<u64>) =
        (first.queue("queue", 4).expect("queue"), second.queue("queue", 4).expect("queue"));
    std::thread::scope(|s| {
        for m in [&m1, &m2] {
            s.spawn(move || (0..20_000).for_each(|_| *m.lock().expect("lock") += 1));
        }
        s.spawn(|| (0..5_000).for_each(|n| q1.push(n).expect("push")));
        s.spawn(|| (0..5_000).for_each(|n| assert_eq!(q2.pop().expect("pop"), n)));
    });
    assert_eq!(*m1.lock().expect("lock"), 40_000);
}

pub fn who_stays_attached_is_not_disturbed_by_who_detaches() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let words = board();
    let kid = fork(|| {
        let mut mine = 0;
        while words[0].load(Ordering::SeqCst) == 0 {
            *m.lock().expect("lock") += 1;
            mine += 1;
        }
        words[1].store(mine, Ordering::SeqCst);
    });
    let stop = AtomicBool::new(false);
    let mine = std::thread::scope(|s| {
        let worker = s.spawn(|| {
            let mut mine = 0;
            while !stop.load(Ordering::SeqCst) {
                *m.lock().expect("lock") += 1;
                mine += 1;
            }
            mine
        });
        let mut mine = 0;
        for _ in 0..100 {
            let other = again(&seg);
            *mutex(&other).lock().expect("lock") += 1;
            // One that nobody else has, too: its home goes when it does.
            let own = kit::segment();
            *mutex(&own).lock().expect("lock") += 1;
            mine += 1;
        }
        stop.store(true, Ordering::SeqCst);
        mine + worker.join().expect("worker")
    });
    raise(&words[0]);
    kid.join();
    assert_eq!(*m.lock().expect("lock"), mine + words[1].load(Ordering::SeqCst));
}

pub fn a_segment_detached_while_other_threads_are_linked_is_attached_again() {
    let seg = kit::segment();
    let fd = seg.as_fd().try_clone_to_owned().expect("dup");
    let (step, m) = (Barrier::new(2), mutex(&seg));
    std::thread::scope(|s| {
        let other = s.spawn(|| {
            let id = {
                let _guard = m.lock().expect("lock");
                raw(&m).owner()
            };
            drop(m);
            step.wait(); // detached
            step.wait(); // attached again
            let seg = Segment::from_fd(fd.try_clone().expect("dup")).expect("from_fd");
            let m = mutex(&seg);
            let _guard = m.lock().expect("lock");
            assert_eq!(raw(&m).owner(), id, "a second membership");
            assert!(walk_robust_list() >= 1);
        });
        step.wait();
        drop(seg);
        let seg = Segment::from_fd(fd.try_clone().expect("dup")).expect("from_fd");
        let bare = Bare::new(&seg);
        assert_eq!(bare.live(), 1, "only the other thread is a member yet");
        drop(mutex(&seg).lock().expect("lock"));
        assert_eq!(bare.live(), 2);
        step.wait();
        other.join().expect("thread");
    });
    let seg = Segment::from_fd(fd).expect("from_fd");
    assert_eq!(got(mutex(&seg).lock()), Got::Clean);
}

pub fn threads_linked_to_a_detached_segment_die_in_peace() {
    for round in 0..20 {
        let seg = kit::segment();
        let fd = seg.as_fd().try_clone_to_owned().expect("dup");
        let (m, step, behind) = (mutex(&seg), Barrier::new(2), Robust::new());
        std::thread::scope(|s| {
            let thread = s.spawn(|| {
                assert_eq!(behind.lock(), 0);
                drop(m.lock().expect("lock"));
                drop(m);
                step.wait();
                step.wait();
                walk_robust_list();
            });
            step.wait();
            drop(seg);
            if round % 2 == 0 {
                drop(kit::segment()); // cleans up what it may
            }
            step.wait();
            thread.join().expect("thread");
        });
        assert_eq!(behind.verdict(), libc::EOWNERDEAD);
        let seg = Segment::from_fd(fd).expect("from_fd");
        let bare = Bare::new(&seg);
        assert_eq!(bare.live(), 0);
        assert_eq!(got(mutex(&seg).lock()), Got::Clean);
    }
}

pub fn a_cache_does_not_outlive_its_mapping() {
    let mut same = 0;
    for _ in 0..60 {
        let old = kit::segment();
        let fd = old.as_fd().try_clone_to_owned().expect("dup");
        let m = mutex(&old);
        let place = std::ptr::from_ref(&*m).addr();
        let (step, mine) = (Barrier::new(2), Barrier::new(2));
        let handed = std::sync::Mutex::new(Some(m));
        std::thread::scope(|s| {
            let other = s.spawn(|| {
                let m = handed.lock().expect("handed").take().expect("the old one");
                drop(m.lock().expect("lock"));
                drop(m);
                step.wait();
                step.wait();
                let m = handed.lock().expect("handed").take().expect("the new one");
                is_registered_anew(&m);
                mine.wait();
            });
            step.wait();
            drop(old);
            let new = kit::segment();
            // So that ids of the old table and the new one are never equal by chance.
            Bare::new(&new).changing().rotation.store(31, Ordering::SeqCst);
            let m = mutex(&new);
            same += usize::from(std::ptr::from_ref(&*m).addr() == place);
            is_registered_anew(&m);
            *handed.lock().expect("handed") = Some(m);
            step.wait();
            mine.wait();
            other.join().expect("thread");
        });
        let old = Segment::from_fd(fd).expect("from_fd");
        assert_eq!(Bare::new(&old).live(), 0, "somebody used the old membership");
    }
    println!("mapped at the same address {same} times of 60");
    assert!(same > 0, "never at the same address: the test tests nothing");
}

pub fn an_address_of_a_detached_segment_is_invalid_whatever_is_mapped_there() {
    let seg = kit::segment();
    let m = mutex(&seg);
    drop(m.lock().expect("lock"));
    let place = std::ptr::from_ref(&*m);
    let (first, last) = (place.addr() & !4095, place.wrapping_add(1).addr());
    let step = Barrier::new(2);
    std::thread::scope(|s| {
        let other = s.spawn({
            let m = m.clone();
            let (step, place) = (&step, place.addr());
            move || {
                drop(m.lock().expect("lock"));
                drop(m);
                step.wait();
                step.wait();
                // SAFETY: something is mapped there that is a free lock by its bytes.
                let m = unsafe { &*std::ptr::with_exposed_provenance::<Mutex<u64>>(place) };
                assert_eq!(got(m.lock()), Got::Failed(ErrorKind::InvalidInput));
            }
        });
        step.wait();
        drop((m, seg));
        // SAFETY: the place was unmapped just now; refused if it is in use again.
        unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            let len = (last - first).next_multiple_of(4096);
            let there = std::ptr::with_exposed_provenance_mut(first);
            assert_eq!(libc::mmap(there, len, access, flags, -1, 0), there);
            assert_eq!(got((*place).lock()), Got::Failed(ErrorKind::InvalidInput));
            assert_eq!(got((*place).try_lock()), Got::Failed(ErrorKind::InvalidInput));
        }
        step.wait();
        other.join().expect("thread");
    });
}

/// Locks as a member of this segment, not of one that was mapped here before.
#[track_caller]
fn is_registered_anew(m: &Object<Mutex<u64>>) {
    let _guard = m.lock().expect("lock");
    let bare = Bare::new(m.segment());
    let owner = raw(m).owner().expect("held");
    assert!(bare.lives(owner), "{owner:?} is no member here");
    assert_eq!(owner, bare.member().id());
}

pub fn detached_segments_leave_nothing_behind() {
    let count = || (support::open_descriptors(), std::fs::read_to_string("/proc/self/maps").expect("maps"));
    let use_some = || {
        for _ in 0..20 {
            let seg = kit::segment();
            let m = mutex(&seg);
            kit::in_threads((0..2).map(|_| || *m.lock().expect("lock") += 1));
            assert_eq!(*again(&seg).find::<Mutex<u64>>("mutex").expect("mutex").lock().expect("lock"), 2);
        }
    };
    use_some();
    let (descriptors, maps) = count();
    use_some();
    let (descriptors_now, maps_now) = count();
    assert!(descriptors_now <= descriptors, "{descriptors_now} descriptors, {descriptors} before");
    let segments = |maps: &str| maps.lines().filter(|l| l.contains("memfd") || l.contains("shm")).count();
    assert!(segments(&maps_now) <= segments(&maps), "{maps_now}");
    // Stacks of ended threads are kept and reused by the C library: a few lines more or less.
    assert!(maps_now.lines().count() <= maps.lines().count() + 8, "{maps}\n\n{maps_now}");
    assert_eq!(walk_robust_list(), 0);
}
