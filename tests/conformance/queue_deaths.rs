//! The specification of the queue, when its users stop or die in the middle of an operation.

use crate::kit::{self, Bare, LONG, NET, await_word, board, raise};
use crate::place::{Actor, Place, await_asleep, say_where};
use interproc::queue::Queue;
use interproc::{ErrorKind, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CAPACITY: usize = 3;

fn queue(seg: &Segment) -> Queue<u64> {
    seg.queue("queue", CAPACITY).expect("queue")
}

/// Pushes 7, and on the way does `inside` while it owns the cell.
fn push_with(seg: &Segment, inside: impl FnOnce()) {
    let bare = Bare::new(seg);
    let fill = |cell: *mut u8| {
        inside();
        // SAFETY: the cell holds a u64.
        unsafe { cell.cast::<u64>().write_unaligned(7) };
    };
    bare.queue("queue").push_with(bare.member(), None, fill).expect("push");
}

/// Pops, and on the way does `inside` while it owns the cell.
fn pop_with(seg: &Segment, inside: impl FnOnce()) -> (u64, bool) {
    let bare = Bare::new(seg);
    let drain = |cell: *const u8| {
        inside();
        // SAFETY: the cell holds a u64.
        unsafe { cell.cast::<u64>().read_unaligned() }
    };
    bare.queue("queue").pop_with(bare.member(), None, drain).expect("pop")
}

/// The process and thread that said where they are.
fn ids(word: &AtomicU64) -> (u32, u32) {
    let at = word.load(Ordering::SeqCst);
    ((at >> 32) as u32, at as u32)
}

pub fn who_stands_in_the_way_is_named(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let words = board();
    assert_eq!(q.blocker().expect("blocker"), None);
    // A writer at work: those who pop wait for it, those who push do not.
    let writer = at.start(&seg, |seg| {
        push_with(seg, || {
            say_where(&words[0]);
            await_word(&words[1], 1);
        });
    });
    await_word(&words[0], 1);
    let named = q.blocker().expect("blocker").expect("somebody");
    assert_eq!((named.pid, named.tid), ids(&words[0]));
    q.push(8).expect("push");
    assert_eq!(q.try_pop().map_err(|e| e.kind()), Err(ErrorKind::Empty));
    assert_eq!(q.pop_timeout(Duration::from_millis(120)).map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
    raise(&words[1]);
    assert_eq!((q.pop().expect("pop"), q.pop().expect("pop")), (7, 8));
    writer.join();
    assert_eq!(q.blocker().expect("blocker"), None);
    // A reader at work: others pop past it, those who push find room until they come round to its cell.
    q.push_batch(&[1, 2]).expect("push");
    let reader = at.start(&seg, |seg| {
        let got = pop_with(seg, || {
            say_where(&words[2]);
            await_word(&words[3], 1);
        });
        assert_eq!(got, (1, false));
    });
    await_word(&words[2], 1);
    assert_eq!(q.pop().expect("pop"), 2);
    q.push(3).expect("push");
    assert_eq!(q.try_push(4).map_err(|e| e.error().kind()), Err(ErrorKind::Full));
    let named = q.blocker().expect("blocker").expect("somebody");
    assert_eq!((named.pid, named.tid), ids(&words[2]));
    let waiter = at.start(&seg, |seg| {
        say_where(&words[4]);
        queue(seg).push(4).expect("push");
    });
    await_asleep(&words[4]);
    raise(&words[3]);
    waiter.join();
    reader.join();
    assert_eq!((q.pop().expect("pop"), q.pop().expect("pop")), (3, 4));
}

pub fn a_stopped_process_is_named(at: Place) {
    // A thread alone cannot be stopped.
    if at != Place::Processes {
        return;
    }
    let seg = kit::segment();
    let q = queue(&seg);
    let stop = || {
        // SAFETY: stops this process.
        unsafe { libc::raise(libc::SIGSTOP) };
    };
    let Actor::Process(kid) = at.start(&seg, move |seg| push_with(seg, stop)) else { unreachable!() };
    kid.wait_stopped();
    let named = q.blocker().expect("blocker").expect("somebody");
    assert_eq!(named.pid, kid.pid as u32);
    assert_eq!(q.pop_timeout(Duration::from_millis(120)).map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
    assert!(q.blocker().expect("blocker").is_some(), "who is stopped is not dead");
    kid.signal(libc::SIGCONT);
    assert_eq!(q.pop_timeout(LONG).expect("pop"), 7);
    kid.join();
}

pub fn a_message_whose_reader_died_is_delivered_again_and_said_so(at: Place) {
    for deaths in 1..=2 * CAPACITY {
        let seg = kit::segment();
        let q = queue(&seg);
        q.push_batch(&[1, 2, 3]).expect("push");
        for _ in 0..deaths {
            at.start(&seg, move |seg| _ = pop_with(seg, || at.die())).gone();
        }
        assert_eq!(q.blocker().expect("blocker"), None, "the dead are in nobody's way");
        assert_eq!(q.len(), 3);
        // In their order, the one that was being read marked.
        let first = q.pop_delivery().expect("pop");
        assert_eq!((first.value, first.redelivered), (1, true));
        for value in [2, 3] {
            let next = q.try_pop_delivery().expect("pop");
            assert_eq!((next.value, next.redelivered), (value, false));
        }
        q.push_batch(&[4, 5, 6]).expect("no room was lost");
        let next = q.pop_delivery().expect("pop");
        assert_eq!((next.value, next.redelivered), (4, false), "the mark does not stick to the cell");
    }
}

pub fn a_message_whose_writer_died_is_not_delivered_and_its_room_is_not_lost(at: Place) {
    for deaths in 1..=2 * CAPACITY {
        let seg = kit::segment();
        let q = queue(&seg);
        for _ in 0..deaths {
            at.start(&seg, move |seg| push_with(seg, || at.die())).gone();
        }
        assert_eq!(q.try_pop().map_err(|e| e.kind()), Err(ErrorKind::Empty));
        assert_eq!(q.blocker().expect("blocker"), None);
        let all: Vec<_> = (10..10 + CAPACITY as u64).collect();
        let more = q.try_push_batch(&all).expect("room");
        let mut came = [0; CAPACITY];
        let n = q.try_pop_batch(&mut came).expect("pop");
        assert_eq!((n, &came[..n]), (more, &all[..more]));
        assert_eq!(q.try_push_batch(&all).expect("room"), CAPACITY, "room was lost");
        assert_eq!(q.try_pop_batch(&mut came).expect("pop"), CAPACITY);
        // Closed with a gap in front: the end is still found.
        at.start(&seg, move |seg| push_with(seg, || at.die())).gone();
        q.close().expect("close");
        assert_eq!(q.pop().map_err(|e| e.kind()), Err(ErrorKind::Closed));
    }
}

pub fn who_waits_behind_a_death_goes_on_at_once(at: Place) {
    let mut times = Vec::new();
    for round in 0..12 {
        let seg = kit::segment();
        let q = queue(&seg);
        let words = board();
        let inside = move || {
            raise(&words[0]);
            await_word(&words[1], 1);
            words[2].store(interproc::Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            at.die();
        };
        // A writer before a message, with a consumer asleep behind it; or a reader with a producer asleep.
        let (victim, sleeper) = if round % 2 == 0 {
            let victim = at.start(&seg, move |seg| push_with(seg, inside));
            await_word(&words[0], 1);
            q.push(8).expect("push");
            let sleeper = at.start(&seg, |seg| {
                say_where(&words[3]);
                assert_eq!(queue(seg).pop().expect("pop"), 8);
                words[4].store(interproc::Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            });
            (victim, sleeper)
        } else {
            q.push(1).expect("push");
            let victim = at.start(&seg, move |seg| _ = pop_with(seg, inside));
            await_word(&words[0], 1);
            // Nothing else is there: who pops waits for the one message, which comes back.
            let sleeper = at.start(&seg, |seg| {
                say_where(&words[3]);
                let got = queue(seg).pop_delivery().expect("pop");
                assert_eq!((got.value, got.redelivered), (1, true));
                words[4].store(interproc::Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            });
            (victim, sleeper)
        };
        await_asleep(&words[3]);
        let started = Instant::now();
        raise(&words[1]);
        victim.gone();
        sleeper.join();
        assert!(started.elapsed() < NET);
        let (died, went_on) = (words[2].load(Ordering::SeqCst), words[4].load(Ordering::SeqCst));
        times.push(Duration::from_nanos(went_on.saturating_sub(died)));
    }
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_millis(15), "{times:?}");
}
