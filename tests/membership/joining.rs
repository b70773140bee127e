//! Becoming a member, and what happens when there is no room.

use super::*;
use crate::kit::{Bare, again, await_word, board, fork, pause_for_ever, raise, raw};
use interproc::queue::Queue;
use interproc::raw::member::OwnerId;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Barrier, mpsc};

pub fn a_thread_becomes_a_member_at_its_first_use_and_only_once() {
    let seg = kit::segment();
    let (m, q): (_, Queue<u64>) = (mutex(&seg), seg.queue("queue", 4).expect("queue"));
    let bare = Bare::new(&seg);
    let mine = bare.member().id();
    let before = bare.live();
    kit::in_thread(|| {
        assert_eq!(bare.live(), before, "registered before its first use");
        drop(m.lock().expect("lock"));
        assert_eq!(bare.live(), before + 1);
        q.push(1).expect("push");
        q.pop().expect("pop");
        assert_eq!(bare.live(), before + 1, "registered twice");
        assert_ne!(bare.member().id(), mine);
    });
    assert_eq!(bare.live(), before, "the ended thread is still a member");
    let (tx, rx) = mpsc::channel();
    // Each way to begin is a first use.
    let (m, q) = (m.clone(), q.clone());
    std::thread::spawn(move || tx.send((m.try_lock().is_ok(), q.try_pop().is_err())).expect("send"));
    assert_eq!(rx.recv().expect("answer"), (true, true));
}

pub fn an_address_in_no_attached_segment_is_invalid() {
    let seg = kit::segment();
    drop(mutex(&seg).lock().expect("lock"));
    let on_the_heap = Box::new(Mutex::new(0u64));
    assert_eq!(got(on_the_heap.lock()), Got::Failed(ErrorKind::InvalidInput));
    assert_eq!(got(on_the_heap.try_lock()), Got::Failed(ErrorKind::InvalidInput));
    assert!(!on_the_heap.is_locked());
    // One byte behind the segment is outside, too.
    let bare = Bare::new(&seg);
    // SAFETY: the address is only compared; a lock at it is refused before it is touched.
    let behind =
        unsafe { &*bare.base.as_ptr().wrapping_add(bare.fixed.total_len as usize).cast::<Mutex<u64>>() };
    assert_eq!(got(behind.try_lock()), Got::Failed(ErrorKind::InvalidInput));
}

pub fn more_threads_than_slots_are_refused_and_the_slots_of_the_ended_serve_again() {
    let seg = Segment::options().size(4096).max_members(4).anonymous().expect("segment");
    let m = mutex(&seg);
    for _ in 0..20 {
        let (all_in, all_out) = (Barrier::new(4), Barrier::new(4));
        std::thread::scope(|s| {
            let three: Vec<_> = (0..3)
                .map(|_| {
                    s.spawn(|| {
                        assert_eq!(got(m.lock()), Got::Clean);
                        all_in.wait();
                        all_out.wait();
                    })
                })
                .collect();
            all_in.wait();
            kit::in_thread(|| {
                assert_eq!(got(m.lock()), Got::Failed(ErrorKind::TooManyMembers));
                assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::TooManyMembers));
            });
            assert_eq!(got(m.lock()), Got::Clean, "who is a member stays one");
            all_out.wait();
            three.into_iter().for_each(|thread| thread.join().expect("thread"));
        });
    }
}

pub fn more_processes_than_seats_are_refused_and_the_seats_of_the_ended_serve_again() {
    let seg = Segment::options().size(4096).max_members(2).anonymous().expect("segment");
    let m = mutex(&seg);
    for _ in 0..5 {
        let words = board();
        let second = fork(|| {
            drop(m.lock().expect("lock"));
            raise(&words[0]);
            pause_for_ever();
        });
        await_word(&words[0], 1);
        let fd = seg.as_fd();
        exec_free_open_fails(fd);
        second.finish();
        // Its seat is free at once.
        fork(|| assert_eq!(got(m.lock()), Got::Clean)).join();
    }
}

/// Attaches in a child that has nothing attached yet, as a program that was given the descriptor would.
fn exec_free_open_fails(fd: std::os::fd::BorrowedFd<'_>) {
    let fd = fd.try_clone_to_owned().expect("dup");
    fork(|| assert_eq!(Segment::from_fd(fd).expect_err("no seat").kind(), ErrorKind::TooManyMembers)).join();
}

pub fn a_forked_child_that_finds_no_seat_is_refused_until_one_is_free() {
    let seg = Segment::options().size(4096).max_members(2).anonymous().expect("segment");
    let other = kit::segment();
    let (m, elsewhere) = (mutex(&seg), mutex(&other));
    let words = board();
    let second = fork(|| {
        drop(m.lock().expect("lock"));
        raise(&words[0]);
        pause_for_ever();
    });
    await_word(&words[0], 1);
    let third = fork(|| {
        for _ in 0..3 {
            assert_eq!(got(m.lock()), Got::Failed(ErrorKind::TooManyMembers));
        }
        assert_eq!(got(elsewhere.lock()), Got::Clean, "one full segment shuts out of another");
        raise(&words[1]);
        await_word(&words[2], 1);
        assert_eq!(got(m.lock()), Got::Clean);
    });
    await_word(&words[1], 1);
    second.finish();
    raise(&words[2]);
    third.join();
}

pub fn a_slot_whose_generations_are_used_up_is_retired() {
    let seg = Segment::options().size(4096).max_members(4).anonymous().expect("segment");
    let m = mutex(&seg);
    let bare = Bare::new(&seg);
    let mine = bare.member().id().slot();
    for index in (0..4).filter(|&i| i != mine) {
        bare.slot(index).store(u64::from(u32::MAX - 3) << 32, Ordering::SeqCst);
    }
    // What is left of the generations serves, and no id comes twice.
    let mut seen = HashSet::new();
    let mut answers = Vec::new();
    for _ in 0..24 {
        let joined = || match m.lock() {
            Ok(_guard) => Ok(bare.member().id()),
            Err(e) => Err(e.error().kind()),
        };
        let answer = std::thread::scope(|s| s.spawn(joined).join().expect("thread"));
        if let Ok(id) = answer {
            assert!(seen.insert(id), "{id:?} was given twice");
            assert!(id.slot() != mine && id.generation() > u32::MAX - 3);
        }
        answers.push(answer);
    }
    assert_eq!(seen.len(), 6, "generations served");
    assert!(answers[seen.len()..].iter().all(|a| *a == Err(ErrorKind::TooManyMembers)), "{answers:?}");
    assert_eq!(got(m.lock()), Got::Clean, "who is a member stays one");
    // The table goes when its last member has: nobody is thought to be left in a retired slot.
    assert_eq!(bare.live(), 1);
}

pub fn a_slot_is_never_given_twice_with_one_generation() {
    let seg = Segment::options().size(4096).max_members(3).anonymous().expect("segment");
    let m = mutex(&seg);
    let mut seen = HashSet::new();
    for round in 0..200 {
        let m = m.clone();
        let id: OwnerId = if round % 4 == 0 {
            let words = board();
            let kid = fork(|| {
                let _guard = m.lock().expect("lock");
                words[0].store(raw(&m).owner().expect("held").bits(), Ordering::SeqCst);
            });
            kid.join();
            OwnerId::of(words[0].load(Ordering::SeqCst)).expect("an id")
        } else {
            let locked = move || {
                let _guard = m.lock().expect("lock");
                raw(&m).owner().expect("held")
            };
            std::thread::spawn(locked).join().expect("thread")
        };
        assert!(seen.insert(id), "{id:?} was given twice");
    }
    let twice = again(&seg);
    assert_eq!(got(mutex(&twice).lock()), Got::Clean);
}
