//! The nodes of the robust list are private: whatever a peer writes into the shared slots, no list breaks. And no address
//! that a peer has written reaches the kernel unchecked.

use super::*;
use crate::kit::{Bare, Random, again, fork, walk_robust_list};
use crate::pthread::Robust;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Writes over the slots until it is killed: noise, and what looks like life and death.
fn scribble(bare: &Bare, seed: u64) -> ! {
    let mut random = Random(seed);
    loop {
        let index = random.below(bare.slots().into()) as u32;
        let slot = bare.slot(index);
        let word = slot.load(Ordering::Relaxed);
        let generation = word & !0xffff_ffff;
        let lie = match random.below(8) {
            0 => random.next(),
            1 => generation,
            2 => generation | 0xc000_0000,
            3 => generation | 0x8000_0000 | random.below(1 << 16),
            4 => generation.wrapping_add(1 << 32) | word & 0xffff_ffff,
            5 => generation | 0xa000_0000 | random.below(64),
            _ => word,
        };
        slot.store(lie, Ordering::Relaxed);
        // SAFETY: inside the slot's page, aligned; the description is read as atomics by everybody.
        let page: &[std::sync::atomic::AtomicU64; 512] = unsafe { bare.slot_page(index).cast().as_ref() };
        page[random.below(510) as usize].store(random.next(), Ordering::Relaxed);
        if random.below(64) == 0 {
            std::thread::yield_now();
        }
    }
}

pub fn scribbled_slots_never_break_a_robust_list() {
    let seg = Segment::options().size(4096).max_members(6).anonymous().expect("segment");
    let m = mutex(&seg);
    let bare = Bare::new(&seg);
    let peer = fork(|| scribble(&bare, 0x5eed));
    for round in 0..150 {
        let locks: Vec<_> = (0..6).map(|_| Robust::new()).collect();
        kit::in_threads(locks.chunks(2).map(|pair| {
            let (m, seg) = (&m, &seg);
            move || {
                // Ours comes to lie between two of the C library's.
                assert_eq!(pair[0].lock(), 0);
                let _ = m.lock_timeout(Duration::from_micros(100)).map(drop);
                walk_robust_list();
                if round % 4 == 0 {
                    let _ = Segment::from_fd(seg.as_fd().try_clone_to_owned().expect("dup")).map(drop);
                    // Another segment, joined and left in between.
                    let own = Segment::options().size(4096).max_members(2).anonymous().expect("segment");
                    drop(mutex(&own).lock().expect("lock"));
                    drop(own);
                }
                assert_eq!(pair[1].lock(), 0);
                let _ = m.try_lock().map(drop);
                walk_robust_list();
            }
        }));
        // The kernel came past ours to both.
        for lock in &locks {
            assert_eq!(lock.verdict(), libc::EOWNERDEAD, "round {round}");
        }
    }
    peer.finish();
}

pub fn a_node_in_use_is_not_reused_because_its_slot_was_scribbled() {
    let seg = Segment::options().size(4096).max_members(4).anonymous().expect("segment");
    let m = mutex(&seg);
    let bare = Bare::new(&seg);
    bare.member();
    // Free, dead, of another generation, claimed by nobody.
    let lies: [fn(u64) -> u64; 4] = [
        |word| word & !0xffff_ffff,
        |word| word & !0xffff_ffff | 0xc000_0000,
        |word| (word & !0xffff_ffff) + (1 << 32),
        |word| word & !0xffff_ffff | 0xa000_0000 | 63,
    ];
    for lie in lies {
        let behind = Robust::new();
        let (joined, scribbled, walked) = (Barrier::new(2), Barrier::new(2), Barrier::new(2));
        std::thread::scope(|s| {
            let victim = s.spawn(|| {
                assert_eq!(behind.lock(), 0);
                let id = bare.member().id();
                let entries = walk_robust_list();
                joined.wait();
                let slot = bare.slot(id.slot());
                slot.store(lie(slot.load(Ordering::SeqCst)), Ordering::SeqCst);
                scribbled.wait();
                walked.wait();
                assert_eq!(walk_robust_list(), entries);
            });
            joined.wait();
            scribbled.wait();
            // As many as there are slots, so that one of them comes to the victim's.
            let others = Barrier::new(4);
            std::thread::scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| {
                        let _ = m.try_lock().map(drop);
                        others.wait();
                        walk_robust_list();
                    });
                }
            });
            walked.wait();
            victim.join().expect("the victim's list");
        });
        assert_eq!(behind.verdict(), libc::EOWNERDEAD);
    }
}

pub fn a_thread_that_is_linked_keeps_its_pages_whatever_its_slot_says() {
    let behind = Robust::new();
    let (joined, detached) = (Barrier::new(2), Barrier::new(2));
    let seg = kit::segment();
    std::thread::scope(|s| {
        let fd = seg.as_fd().try_clone_to_owned().expect("dup");
        let thread = s.spawn(|| {
            assert_eq!(behind.lock(), 0);
            let own = Segment::from_fd(fd).expect("from_fd");
            let bare = Bare::new(&own);
            let id = bare.member().id();
            let slot = bare.slot(id.slot());
            slot.store(slot.load(Ordering::SeqCst) & !0xffff_ffff | 0xc000_0000, Ordering::SeqCst);
            // Dropped by another thread: this one stays linked.
            joined.wait();
            std::thread::scope(|s| s.spawn(|| drop((own, bare))).join().expect("drop"));
            joined.wait();
            detached.wait();
            walk_robust_list();
        });
        joined.wait();
        joined.wait();
        drop(seg);
        // Attaching cleans up what is detached and empty.
        let other = kit::segment();
        drop(again(&other));
        detached.wait();
        thread.join().expect("its list");
    });
    assert_eq!(behind.verdict(), libc::EOWNERDEAD);
}

pub fn no_waiter_is_moved_out_of_the_segment() {
    let (seg, other) = (kit::segment(), kit::segment());
    let m = mutex(&seg);
    let changed = seg.object("changed", Condvar::new).expect("condvar");
    let elsewhere = other.object("elsewhere", || Semaphore::new(0)).expect("semaphore");
    *m.lock().expect("free") = 0;
    std::thread::scope(|s| {
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                s.spawn(|| {
                    let started = Instant::now();
                    let guard = m.lock().expect("nobody dies");
                    let limit = Duration::from_secs(30);
                    drop(changed.wait_while_timeout(guard, limit, |m| *m == 0).expect("nobody dies"));
                    started.elapsed()
                })
            })
            .collect();
        while changed.waiters().expect("in a segment") < 3 {
            std::thread::yield_now();
        }
        // Whose mapping that is the peer has guessed: mappings are neighbours.
        let (from, to) = (std::ptr::from_ref(&*changed).addr(), std::ptr::from_ref(&*elsewhere).addr());
        // SAFETY: the condition variable's second word, which all read as an atomic.
        let distance = unsafe { &*std::ptr::from_ref(&*changed).cast::<AtomicU64>().add(1) };
        distance.store((to - 8).wrapping_sub(from) as u64, Ordering::SeqCst);
        let mut guard = m.lock().expect("nobody dies");
        *guard = 1;
        changed.notify_all().expect("in a segment");
        drop(guard);
        for waiter in waiters {
            let waited = waiter.join().expect("it lives");
            assert!(waited < Duration::from_secs(20), "it was moved: {waited:?}");
        }
    });
}

pub fn a_scribbled_wish_wakes_nobody_outside_the_segment() {
    let seg = kit::segment();
    let m = mutex(&seg);
    let bare = Bare::new(&seg);
    let base = std::ptr::from_ref(kit::raw(&m)).addr() - bare.object("mutex").0;
    let page = kit::board(); // shared memory that is no segment
    let sleeper = AtomicU64::new(0);
    std::thread::scope(|s| {
        let woken = s.spawn(|| {
            sleeper.store(kit::gettid() as u64, Ordering::SeqCst);
            let half_a_second = libc::timespec { tv_sec: 0, tv_nsec: 500_000_000 };
            // SAFETY: a live word, whose upper half is the futex; the time outlives the call.
            let rc = unsafe {
                let word = page.as_ptr().cast::<u32>().add(1);
                libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, 0, &raw const half_a_second)
            };
            rc == 0
        });
        while sleeper.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let stat = format!("/proc/self/task/{}/stat", sleeper.load(Ordering::SeqCst));
        while !std::fs::read_to_string(&stat).expect("a living thread").contains(") S ") {
            std::thread::yield_now();
        }
        let distance = page.as_ptr().addr().wrapping_sub(base) as u64;
        let guard = m.lock().expect("free");
        let wanted = &bare.description(bare.member().id().slot()).wanted;
        wanted.store(distance | 1, Ordering::SeqCst);
        drop(guard);
        assert_eq!(wanted.load(Ordering::SeqCst), 0, "it was heeded");
        assert!(!woken.join().expect("it lives"), "somebody was woken who sleeps elsewhere");
    });
}
