//! What only the queue has: batches, large messages, places with holes, the push that displaces, the peak.

use crate::channel::kind;
use crate::kit::{self, LONG, board, raise};
use crate::place::{Place, await_asleep, say_where};
use interproc::queue::{PushError, Queue};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use std::sync::atomic::{AtomicU64, Ordering};

fn queue(seg: &Segment, capacity: usize) -> Queue<u64> {
    seg.queue("queue", capacity).expect("queue")
}

fn forced(answer: Result<Option<u64>, PushError<u64>>) -> Result<Option<u64>, ErrorKind> {
    kind(answer)
}

pub fn a_batch_waits_as_it_is_told_and_says_what_comes_again(at: Place) {
    let (seg, words) = (kit::segment(), board());
    let q = queue(&seg, 4);
    let past = Wait::Until(Deadline::now());
    let pop = |into: &mut [u64], wait| {
        kind(q.pop_batch_delivery(into, wait)).map(|got| (got.count, got.redelivered))
    };
    assert_eq!(pop(&mut [], Wait::ForEver), Ok((0, 0)));
    assert_eq!(pop(&mut [], past), Ok((0, 0)));
    assert_eq!(pop(&mut [0; 2], Wait::Never), Err(ErrorKind::Empty));
    assert_eq!(pop(&mut [0; 2], past), Err(ErrorKind::TimedOut));
    q.push_batch(&[1, 2, 3]).expect("room");
    q.borrow().expect("1").put_back().expect("ours");
    let mut into = [0; 8];
    assert_eq!(pop(&mut into[..2], past), Ok((2, 1)));
    assert_eq!(pop(&mut into[2..], Wait::ForEver), Ok((1, 0)));
    assert_eq!(into[..3], [1, 2, 3]);
    let waits = at.start(&seg, move |seg| {
        say_where(&words[0]);
        let got = queue(seg, 4).pop_batch_delivery(&mut [0; 8], Wait::ForEver).expect("open");
        assert_eq!((got.count, got.redelivered), (1, 0));
    });
    await_asleep(&words[0]);
    q.push(4).expect("room");
    waits.join();
    q.close().expect("open");
    assert_eq!(pop(&mut into, Wait::ForEver), Err(ErrorKind::Closed));
}

pub fn batches_keep_their_order_and_may_exceed_the_capacity(at: Place) {
    for capacity in [1, 2, 5, 16] {
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        let all: Vec<u64> = (0..203).collect();
        let producer = at.start(&seg, move |seg| {
            let q = queue(seg, capacity);
            let all: Vec<u64> = (0..203).collect();
            q.push_batch(&all[..100]).expect("push");
            q.push_batch(&[]).expect("nothing");
            q.push_batch(&all[100..]).expect("push");
        });
        let mut came = Vec::new();
        while came.len() < all.len() {
            let mut some = [0; 7];
            let n = q.pop_batch(&mut some).expect("pop");
            assert!((1..=7).contains(&n));
            came.extend_from_slice(&some[..n]);
        }
        assert_eq!(came, all);
        producer.join();
        // What fits now, and no more.
        assert_eq!(kind(q.try_push_batch(&all[..capacity + 2])), Ok(capacity));
        assert_eq!(kind(q.try_push_batch(&all)), Err(ErrorKind::Full));
        let mut some = vec![0; capacity + 2];
        assert_eq!(kind(q.try_pop_batch(&mut some)), Ok(capacity));
        assert_eq!(kind(q.try_pop_batch(&mut [0; 4])), Err(ErrorKind::Empty));
        assert_eq!(some[..capacity], all[..capacity]);
        assert_eq!(kind(q.pop_batch(&mut [])), Ok(0));
        // A close in the middle of a batch says how much went in.
        let words = board();
        let blocked = at.start(&seg, move |seg| {
            say_where(&words[0]);
            let e = queue(seg, capacity).push_batch(&vec![7; capacity + 3]).expect_err("closed");
            assert_eq!((e.pushed, e.error.kind()), (capacity, ErrorKind::Closed));
        });
        await_asleep(&words[0]);
        q.close().expect("close");
        blocked.join();
        assert_eq!(kind(q.try_push_batch(&[9, 9])), Err(ErrorKind::Closed));
        let mut some = vec![0; capacity + 2];
        assert_eq!(kind(q.pop_batch(&mut some)), Ok(capacity));
        assert_eq!(kind(q.pop_batch(&mut some)), Err(ErrorKind::Closed));
        assert_eq!(kind(q.try_pop_batch(&mut some)), Err(ErrorKind::Closed));
    }
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
        q.close().expect("close");
        assert_eq!(forced(q.force_push(91)), Err(ErrorKind::Closed));
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
