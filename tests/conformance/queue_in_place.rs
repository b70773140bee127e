//! The specification of the queue's messages where they lie, of the push that displaces, of loops and of the peak.

use crate::kit::{self, LONG, NET, await_word, board, raise};
use crate::place::{Place, await_asleep, say_where};
use interproc::queue::{PushError, Queue};
use interproc::{Deadline, ErrorKind, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn queue(seg: &Segment, capacity: usize) -> Queue<u64> {
    seg.queue("queue", capacity).expect("queue")
}

fn kind<T>(answer: interproc::Result<T>) -> Result<T, ErrorKind> {
    answer.map_err(|e| e.kind())
}

fn forced(answer: Result<Option<u64>, PushError<u64>>) -> Result<Option<u64>, ErrorKind> {
    answer.map_err(|e| e.kind())
}

const LARGE: usize = 1 << 20;

pub fn a_large_message_is_written_and_read_in_one_place(at: Place) {
    let seg = Segment::options().size(4 << 20).max_members(16).anonymous().expect("segment");
    let words = board();
    // Where something lies in the segment, whatever the mapping.
    fn offset<T>(seg: &Segment, of: &T) -> u64 {
        let mark = seg.object("mark", || AtomicU64::new(0)).expect("object");
        (std::ptr::from_ref(of).addr() as u64)
            .wrapping_sub(std::ptr::from_ref::<AtomicU64>(&mark).addr() as u64)
    }
    let frames: Queue<[u8; LARGE]> = seg.queue("frames", 2).expect("queue");
    let producer = at.start(&seg, |seg| {
        let frames: Queue<[u8; LARGE]> = seg.queue("frames", 2).expect("queue");
        for round in 0..5u8 {
            let mut frame = frames.reserve().expect("room");
            assert!(!frame.iter().any(|&b| b == round + 1), "an earlier message, or zeros");
            frame.fill(round + 1);
            words[round as usize].store(offset(seg, &*frame), Ordering::SeqCst);
            frame.commit().expect("ours");
        }
    });
    for round in 0..5u8 {
        let frame = frames.borrow_timeout(LONG).expect("a message");
        assert!(frame.iter().all(|&b| b == round + 1));
        assert_eq!(offset(&seg, &*frame), words[round as usize].load(Ordering::SeqCst), "it was copied");
        assert!(!frame.is_redelivered());
    }
    producer.join();
    assert!(frames.is_empty());
}

pub fn a_reservation_keeps_its_turn_and_those_behind_it_wait(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 4);
    let words = board();
    let mut place = q.reserve().expect("room");
    at.start(&seg, |seg| queue(seg, 4).push_batch(&[2, 3]).expect("room")).join();
    assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
    let named = q.blocker().expect("blocker").expect("somebody");
    assert_eq!((named.pid, named.tid), (std::process::id(), kit::gettid() as u32));
    let consumers = [0, 1, 2].map(|n| {
        at.start(&seg, move |seg| {
            say_where(&words[n]);
            words[8].fetch_add(queue(seg, 4).pop().expect("pop"), Ordering::SeqCst);
        })
    });
    (0..3).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    *place = 1;
    place.commit().expect("ours");
    consumers.into_iter().for_each(|c| c.join());
    assert!(started.elapsed() < NET);
    assert_eq!(words[8].load(Ordering::SeqCst), 6);
    // Dropped without a commit: room again, and nobody waits for it.
    for _ in 0..9 {
        let place = q.reserve().expect("room");
        at.start(&seg, |seg| queue(seg, 4).push_batch(&[5, 6, 7]).expect("room")).join();
        assert_eq!(kind(q.try_reserve().map(drop)), Err(ErrorKind::Full));
        drop(place);
        assert_eq!(q.drain().collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!((q.len(), q.blocker().expect("blocker")), (0, None));
    }
}

pub fn places_given_up_again_and_again_hide_no_message(at: Place) {
    for capacity in 1..9 {
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        // What is given up is room again when all before it is done: a plain row of places, with holes.
        let (mut next, mut expected) = (0, 0);
        for round in 0..6 * capacity as u64 {
            // Several at a time, let go in an order that changes.
            let mut places: Vec<_> =
                std::iter::from_fn(|| q.try_reserve().ok()).take(1 + round as usize % 3).collect();
            while !places.is_empty() {
                drop(places.remove(round as usize % places.len()));
            }
            if q.try_push(next).is_ok() {
                next += 1;
            }
            drop(q.try_reserve());
            drop(q.try_reserve());
            if round % 2 == 1 || q.is_full() {
                at.start(&seg, move |seg| {
                    assert_eq!(
                        kind(queue(seg, capacity).try_pop()),
                        Ok(expected),
                        "of {capacity}, round {round}"
                    );
                })
                .join();
                expected += 1;
            }
        }
        assert_eq!(q.drain().collect::<Vec<_>>(), (expected..next).collect::<Vec<_>>());
        assert_eq!((q.len(), q.is_empty()), (0, true));
    }
}

pub fn a_message_put_back_is_next_whatever_was_read_behind_it(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 4);
    q.push_batch(&[0, 1, 2]).expect("room");
    // Done in the wrong order, so that the hint for consumers lags.
    let mut read: Vec<_> = (0..3).map(|_| q.borrow().expect("a message")).collect();
    while let Some(message) = read.pop() {
        drop(message);
    }
    q.push_batch(&[3, 4, 5]).expect("room");
    let kept = q.borrow().expect("a message");
    assert_eq!((kind(q.try_pop()), kind(q.try_pop())), (Ok(4), Ok(5)));
    kept.put_back().expect("ours");
    at.start(&seg, |seg| {
        let q = queue(seg, 4);
        let again = q.try_borrow().expect("it is there");
        assert_eq!((*again, again.is_redelivered()), (3, true));
    })
    .join();
    assert!(q.is_empty());
}

pub fn a_commit_wakes_for_the_message_behind_a_place_given_up(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 4);
    let words = board();
    let mut first = q.reserve().expect("room");
    let second = q.reserve().expect("room");
    at.start(&seg, |seg| queue(seg, 4).push(2).expect("room")).join();
    drop(second);
    let consumers = [0, 1].map(|n| {
        at.start(&seg, move |seg| {
            say_where(&words[n]);
            words[8].fetch_add(queue(seg, 4).pop().expect("pop"), Ordering::SeqCst);
        })
    });
    (0..2).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    *first = 1;
    first.commit().expect("ours");
    consumers.into_iter().for_each(|c| c.join());
    assert!(started.elapsed() < NET);
    assert_eq!(words[8].load(Ordering::SeqCst), 3);
}

pub fn room_that_was_reserved_in_vain_goes_to_one_who_waits(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 1);
    let words = board();
    let place = q.reserve().expect("room");
    let producer = at.start(&seg, |seg| {
        say_where(&words[0]);
        queue(seg, 1).push(7).expect("push");
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    drop(place);
    producer.join();
    assert!(started.elapsed() < NET);
    assert_eq!(kind(q.try_pop()), Ok(7));
}

pub fn a_message_in_hand_is_passed_by_and_comes_back_if_its_holder_dies(at: Place) {
    for deaths in 1..=4 {
        let seg = kit::segment();
        let q = queue(&seg, 3);
        q.push_batch(&[1, 2, 3]).expect("room");
        for _ in 0..deaths {
            at.start(&seg, move |seg| {
                let q = queue(seg, 3);
                let message = q.borrow().expect("a message");
                assert_eq!(*message, 1);
                at.die()
            })
            .gone();
        }
        let first = q.borrow().expect("a message");
        assert_eq!((*first, first.is_redelivered()), (1, true));
        // The others are passed on, the room is not.
        assert_eq!((q.try_pop().expect("pop"), q.len()), (2, 3));
        assert_eq!(kind(q.try_reserve().map(drop)), Err(ErrorKind::Full));
        drop(first);
        assert_eq!((kind(q.try_pop()), q.len()), (Ok(3), 0));
        q.push_batch(&[4, 5, 6]).expect("no room was lost");
        let next = q.borrow().expect("a message");
        assert_eq!((*next, next.is_redelivered()), (4, false));
    }
}

pub fn behind_messages_in_hand_the_others_come_in_order_however_many(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 200);
    for round in 0..3u64 {
        q.push_batch(&(0..200).map(|n| 1000 * round + n).collect::<Vec<_>>()).expect("room");
        // One by us, one by somebody who dies, just where the way from the first to it is noted.
        let first = q.borrow().expect("a message");
        at.start(&seg, move |seg| {
            let q = queue(seg, 200);
            for n in 1..=16 {
                assert_eq!(q.pop().expect("a message"), 1000 * round + n);
            }
            let second = q.borrow().expect("a message");
            assert_eq!(*second, 1000 * round + 17);
            for n in 18..=170 {
                assert_eq!(q.pop().expect("a message"), 1000 * round + n);
            }
            at.die()
        })
        .gone();
        let again = q.borrow().expect("a message");
        assert_eq!((*again, again.is_redelivered()), (1000 * round + 17, true));
        for n in 171..200 {
            assert_eq!(q.pop().expect("a message"), 1000 * round + n);
        }
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        assert_eq!(q.try_push(1).map_err(|e| e.kind()), Err(ErrorKind::Full), "all room is behind the first");
        drop(first);
        q.push_batch(&(500..517).map(|n| 1000 * round + n).collect::<Vec<_>>()).expect("room");
        drop(again);
        q.push_batch(&(517..590).map(|n| 1000 * round + n).collect::<Vec<_>>()).expect("room");
        for n in 500..590 {
            assert_eq!(q.pop().expect("a message"), 1000 * round + n);
        }
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
    }
}

pub fn who_slept_before_a_message_was_taken_gets_it_from_the_dead_at_once(at: Place) {
    let mut times = Vec::new();
    for _ in 0..8 {
        let seg = kit::segment();
        let q = queue(&seg, 2);
        let words = board();
        // Both sleep, the message goes to the first: the second watches nobody.
        let victim = at.start(&seg, move |seg| {
            say_where(&words[0]);
            let q = queue(seg, 2);
            let message = q.borrow().expect("a message");
            raise(&words[1]);
            await_word(&words[2], 1);
            assert_eq!(*message, 1);
            words[3].store(Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            at.die()
        });
        await_asleep(&words[0]);
        let other = at.start(&seg, |seg| {
            say_where(&words[4]);
            let q = queue(seg, 2);
            let message = q.borrow().expect("a message");
            words[5].store(Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            assert_eq!((*message, message.is_redelivered()), (1, true));
        });
        await_asleep(&words[4]);
        q.push(1).expect("room");
        await_word(&words[1], 1);
        raise(&words[2]);
        victim.gone();
        other.join();
        let (died, went_on) = (words[3].load(Ordering::SeqCst), words[5].load(Ordering::SeqCst));
        times.push(Duration::from_nanos(went_on.saturating_sub(died)));
    }
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_millis(15), "{times:?}");
}

pub fn a_reservation_of_the_dead_is_room_and_holds_up_nobody(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 3);
    let words = board();
    for round in 0..7 {
        let victim = at.start(&seg, move |seg| {
            let q = queue(seg, 3);
            let mut place = q.reserve().expect("room");
            *place = 99;
            raise(&words[0]);
            await_word(&words[1], round + 1);
            at.die()
        });
        await_word(&words[0], round + 1);
        q.push(7).expect("room");
        let consumer = at.start(&seg, |seg| {
            say_where(&words[2]);
            assert_eq!(queue(seg, 3).pop().expect("pop"), 7);
        });
        await_asleep(&words[2]);
        let started = Instant::now();
        raise(&words[1]);
        victim.gone();
        consumer.join();
        assert!(started.elapsed() < NET);
        words[2].store(0, Ordering::SeqCst);
        assert_eq!((q.len(), q.try_push_batch(&[1, 2, 3, 4]).expect("room")), (0, 3));
        assert_eq!(q.drain().count(), 3);
    }
}

pub fn what_is_put_back_comes_next_and_is_told(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 3);
    let words = board();
    q.push_batch(&[1, 2, 3]).expect("room");
    for _ in 0..3 {
        at.start(&seg, |seg| queue(seg, 3).borrow().expect("a message").put_back().expect("ours")).join();
    }
    let again = q.pop_delivery().expect("pop");
    assert_eq!((again.value, again.redelivered), (1, true));
    let (two, three) = (q.borrow().expect("a message"), q.borrow().expect("a message"));
    assert_eq!((*two, *three, two.is_redelivered()), (2, 3, false));
    // Out of order, and nothing else is there: one who waits gets what is put back first.
    three.put_back().expect("ours");
    assert_eq!(q.pop_delivery().map(|d| (d.value, d.redelivered)).expect("pop"), (3, true));
    let waiter = at.start(&seg, |seg| {
        say_where(&words[0]);
        let message = queue(seg, 3).pop_delivery().expect("pop");
        assert_eq!((message.value, message.redelivered), (2, true));
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    two.put_back().expect("ours");
    waiter.join();
    assert!(started.elapsed() < NET);
    q.push_batch(&[4, 5, 6]).expect("room");
    assert!(!q.pop_delivery().expect("pop").redelivered, "the mark does not stick to the cell");
    // Closed, the end told, and the last message comes back.
    assert_eq!(q.drain().collect::<Vec<_>>(), [5, 6]);
    q.push(7).expect("room");
    let message = q.borrow().expect("a message");
    q.close().expect("close");
    assert_eq!(kind(q.pop()), Err(ErrorKind::Closed), "nothing is left to be handed out");
    message.put_back().expect("ours");
    assert_eq!((kind(q.pop()), kind(q.pop())), (Ok(7), Err(ErrorKind::Closed)));
}

pub fn the_end_is_told_beside_messages_in_hand_unless_every_place_is(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 2);
    q.push_batch(&[1, 2]).expect("room");
    let (one, two) = (q.borrow().expect("a message"), q.borrow().expect("a message"));
    q.close().expect("close");
    // Every place is in our hands: nothing says that it is the end.
    assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
    assert_eq!(kind(q.try_borrow().map(drop)), Err(ErrorKind::Empty));
    assert_eq!(kind(q.pop()), Err(ErrorKind::Deadlock));
    assert_eq!(kind(q.borrow().map(drop)), Err(ErrorKind::Deadlock));
    let words = board();
    let waiter = at.start(&seg, |seg| {
        let q = queue(seg, 2);
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        say_where(&words[0]);
        assert_eq!(kind(q.pop_timeout(LONG)), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    drop(one);
    waiter.join();
    // The other one does not hold up the end, and comes even so.
    assert_eq!((kind(q.try_pop()), kind(q.pop())), (Err(ErrorKind::Closed), Err(ErrorKind::Closed)));
    two.put_back().expect("ours");
    assert_eq!((kind(q.pop()), kind(q.pop())), (Ok(2), Err(ErrorKind::Closed)));
}

pub fn a_closed_queue_takes_what_was_reserved_before_and_nothing_else(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 2);
    let words = board();
    let mut place = q.reserve().expect("room");
    at.start(&seg, |seg| queue(seg, 2).close().expect("close")).join();
    assert_eq!(kind(q.reserve().map(drop)), Err(ErrorKind::Closed));
    assert_eq!(kind(q.try_reserve().map(drop)), Err(ErrorKind::Closed));
    assert_eq!(forced(q.force_push(1)), Err(ErrorKind::Closed));
    let consumers = [0, 1].map(|n| {
        at.start(&seg, move |seg| {
            say_where(&words[n]);
            match kind(queue(seg, 2).borrow().map(|m| *m)) {
                Ok(7) => drop(raise(&words[2])),
                Err(ErrorKind::Closed) => drop(raise(&words[3])),
                other => panic!("{other:?}"),
            }
        })
    });
    (0..2).for_each(|n| await_asleep(&words[n]));
    *place = 7;
    place.commit().expect("ours");
    consumers.into_iter().for_each(|c| c.join());
    assert_eq!((words[2].load(Ordering::SeqCst), words[3].load(Ordering::SeqCst)), (1, 1));
    assert_eq!(kind(q.try_borrow().map(drop)), Err(ErrorKind::Closed));
}

pub fn in_place_too_a_past_deadline_does_what_can_be_done_now(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let q = queue(seg, 1);
        let past = Deadline::from_monotonic_ns(1);
        assert_eq!(kind(q.borrow_until(past).map(drop)), Err(ErrorKind::TimedOut));
        let mut place = q.reserve_until(past).expect("room");
        *place = 5;
        place.commit().expect("ours");
        assert_eq!(kind(q.reserve_until(past).map(drop)), Err(ErrorKind::TimedOut));
        let started = Instant::now();
        let long = Duration::from_millis(30);
        assert_eq!(kind(q.reserve_timeout(long).map(drop)), Err(ErrorKind::TimedOut));
        assert!(started.elapsed() >= long && started.elapsed() < long + NET);
        assert_eq!(kind(q.borrow_until(past).map(|m| m.take())), Ok(5));
        assert!(q.is_empty());
    })
    .join();
}

pub fn who_waits_for_itself_is_told(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let q = queue(seg, 2);
        // Its own reservation is the next message.
        let place = q.reserve().expect("room");
        assert_eq!(kind(q.pop()), Err(ErrorKind::Deadlock));
        assert_eq!(kind(q.pop_timeout(LONG)), Err(ErrorKind::Deadlock));
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        drop(place);
        // The message in its hands has the place of the next one.
        q.push_batch(&[1, 2]).expect("room");
        let message = q.borrow().expect("a message");
        let e = q.push(3).expect_err("its own hands");
        assert_eq!((e.kind(), e.into_value()), (ErrorKind::Deadlock, 3));
        assert_eq!(kind(q.reserve().map(drop)), Err(ErrorKind::Deadlock));
        assert_eq!(forced(q.force_push(3)), Err(ErrorKind::Full));
        assert_eq!(kind(q.pop()), Ok(2), "the next one is there");
        drop(message);
        q.push(3).expect("room");
    })
    .join();
}

pub fn in_a_forked_child_a_parents_cells_are_not_the_childs(at: Place) {
    if at != Place::Processes {
        return;
    }
    let seg = kit::segment();
    let q = queue(&seg, 3);
    q.push(1).expect("room");
    let message = q.borrow().expect("a message");
    let (dropped, committed) = (q.reserve().expect("room"), q.reserve().expect("room"));
    // Borrowed by the child's body: the parent keeps its own until the child has looked.
    let mut hands = Some((message, dropped, committed));
    kit::fork(|| {
        let (message, dropped, committed) = hands.take().expect("the child's copies");
        drop((message, dropped));
        assert_eq!(kind(committed.commit()), Err(ErrorKind::NotOwner));
        let q = queue(&seg, 3);
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        assert_eq!(kind(q.try_reserve().map(drop)), Err(ErrorKind::Full));
        // SAFETY: ends the process, whose other copies need no drop.
        unsafe { libc::_exit(0) };
    })
    .join();
    drop(hands);
    assert_eq!((q.len(), q.try_push_batch(&[1, 2, 3, 4]).expect("room")), (0, 3));
}

pub fn the_oldest_makes_way_and_no_other(at: Place) {
    for capacity in [1, 2, 3, 8] {
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        let n = capacity as u64;
        at.start(&seg, move |seg| {
            let q = queue(seg, capacity);
            for i in 0..5 * n {
                let expected = i.checked_sub(n);
                assert_eq!(forced(q.force_push(i)), Ok(expected));
            }
        })
        .join();
        assert_eq!((q.len(), q.peak()), (capacity, capacity));
        assert_eq!(q.drain().collect::<Vec<_>>(), (4 * n..5 * n).collect::<Vec<_>>());
        // Room is used before anything is displaced.
        assert_eq!(forced(q.force_push(1)), Ok(None));
        // What somebody has in its hands, or has reserved, stays, and nothing is displaced instead.
        let message = q.borrow().expect("a message");
        (1..n).for_each(|i| q.push(i).expect("room"));
        let e = q.force_push(77).expect_err("it is being read");
        assert_eq!((e.kind(), e.into_value(), q.len()), (ErrorKind::Full, 77, capacity));
        drop(message);
        assert_eq!(forced(q.force_push(78)), Ok(None));
        q.drain().for_each(drop);
        let place = q.reserve().expect("room");
        (1..n).for_each(|i| q.push(i).expect("room"));
        assert_eq!(forced(q.force_push(79)), Err(ErrorKind::Full));
        drop(place);
        assert_eq!(forced(q.force_push(80)), Ok(None));
        // A message that a dead reader left is the oldest.
        q.drain().for_each(drop);
        (0..n).for_each(|i| q.push(i).expect("room"));
        at.start(&seg, move |seg| {
            let q = queue(seg, capacity);
            let _message = q.borrow().expect("a message");
            at.die()
        })
        .gone();
        assert_eq!(forced(q.force_push(90)), Ok(Some(0)));
        assert_eq!(q.drain().count(), capacity);
    }
}

pub fn what_was_forced_in_comes_out_once_and_in_order_or_is_displaced(at: Place) {
    const EACH: u64 = 4_000;
    for capacity in [1, 2, 7] {
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        let words = board();
        let producer = |n: u64| {
            at.start(&seg, move |seg| {
                let q = queue(seg, capacity);
                for i in 1..=EACH {
                    loop {
                        match forced(q.force_push(n << 32 | i)) {
                            Ok(displaced) => {
                                if let Some(value) = displaced {
                                    words[2].fetch_add(value, Ordering::SeqCst);
                                    raise(&words[3]);
                                }
                                break;
                            }
                            Err(kind) => assert_eq!(kind, ErrorKind::Full),
                        }
                        std::thread::yield_now();
                    }
                }
            })
        };
        let consumer = at.start(&seg, move |seg| {
            let mut last = [0; 2];
            for value in &queue(seg, capacity) {
                let (n, i) = ((value >> 32) as usize, value as u32);
                assert!(last[n] < i, "{i} after {}", last[n]);
                last[n] = i;
                words[2].fetch_add(value, Ordering::SeqCst);
                raise(&words[3]);
            }
        });
        [producer(0), producer(1)].into_iter().for_each(|p| p.join());
        q.close().expect("close");
        consumer.join();
        assert_eq!(words[3].load(Ordering::SeqCst), 2 * EACH, "lost or doubled");
        assert_eq!(words[2].load(Ordering::SeqCst), EACH * (EACH + 1) + (EACH << 32));
    }
}

pub fn loops_end_where_they_say(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 4);
    q.push_batch(&[1, 2, 3]).expect("room");
    assert_eq!(q.try_iter().take(2).sum::<u64>(), 3);
    assert_eq!(q.len(), 1, "what the loop did not get to is still there");
    let mut rounds = 0;
    for value in q.drain() {
        q.push(value + 1).expect("room");
        rounds += 1;
    }
    assert_eq!((rounds, q.try_pop().expect("pop")), (1, 4));
    let producer = at.start(&seg, |seg| {
        let q = queue(seg, 4);
        (0..100).for_each(|i| q.push(i).expect("push"));
        q.close().expect("close");
    });
    assert_eq!(q.iter().sum::<u64>(), 4950);
    assert_eq!((q.iter().next(), q.try_iter().next(), q.drain().next()), (None, None, None));
    producer.join();
}

pub fn the_peak_is_what_was_seen(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 600);
    assert_eq!(q.peak(), 0);
    // Seen by those who ask, and by those who find it full.
    q.push_batch(&[0; 300]).expect("room");
    assert_eq!(q.peak(), 300);
    assert_eq!(q.drain().count(), 300);
    assert!(q.peak() <= 300);
    at.start(&seg, |seg| assert_eq!(queue(seg, 600).try_push_batch(&[0; 700]).expect("room"), 600)).join();
    assert_eq!(q.drain().count(), 600);
    assert_eq!((q.peak(), q.len()), (600, 0));
}
