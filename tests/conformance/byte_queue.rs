//! What only the byte queue has: granules, and what somebody may write over it.

use crate::channel::{self, kind};
use crate::kit::{self, NET, Random, board};
use crate::place::{Place, await_asleep, say_where};
use interproc::queue::ByteQueue;
use interproc::{ErrorKind, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A ring of eight granules, for messages of up to two.
const CAPACITY: usize = 512;
const LONGEST: usize = 120;

fn queue(seg: &Segment) -> ByteQueue {
    seg.byte_queue("queue", CAPACITY, LONGEST).expect("queue")
}

pub fn a_large_message_that_waits_holds_up_no_small_one(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let words = board();
    (0..8u8).for_each(|i| q.try_push(&[i]).expect("room"));
    let large = at.start(&seg, |seg| {
        say_where(&words[0]);
        queue(seg).push(&[93; LONGEST]).expect("push");
    });
    await_asleep(&words[0]);
    let small = at.start(&seg, |seg| {
        say_where(&words[1]);
        queue(seg).push(&[94]).expect("push");
    });
    await_asleep(&words[1]);
    let started = Instant::now();
    assert_eq!(q.pop().expect("pop"), [0]);
    small.join();
    assert!(started.elapsed() < NET);
    (1..8u8).for_each(|i| assert_eq!(q.pop().expect("pop"), [i]));
    large.join();
    assert_eq!((q.pop().expect("pop"), q.pop().expect("pop")), (vec![94], vec![93; LONGEST]));
    assert!(!q.is_full() && q.len_bytes() == 0);
}

pub fn a_message_takes_whole_granules(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    assert_eq!((q.capacity(), q.longest(), q.peak()), (CAPACITY, LONGEST, 0));
    for round in 0..5 {
        for i in 0..8 {
            assert_eq!((q.len(), q.len_bytes()), (i, 64 * i), "round {round}");
            at.start(&seg, |seg| queue(seg).push(b"1").expect("push")).join();
        }
        assert_eq!((q.is_full(), q.peak()), (true, CAPACITY));
        assert_eq!(q.drain().count(), 8);
        // Begin the next round at another granule.
        q.push(b"1").expect("push");
        assert_eq!(q.try_iter().count(), 1);
    }
    // What was reserved is taken, needed or not, until the message is done or given up.
    let mut room = q.reserve(100).expect("room");
    assert!(room.len() == 100 && room.as_ptr().addr().is_multiple_of(64));
    assert_eq!((q.len(), q.len_bytes()), (0, 128));
    room.fill(0xa5);
    room.commit_len(40).expect("ours");
    assert_eq!((q.len(), q.len_bytes(), q.pop()), (1, 128, Ok(vec![0xa5; 40])));
    assert_eq!((q.len(), q.len_bytes()), (0, 0));
    q.reserve(100).expect("room").abort();
    assert_eq!((q.len(), q.len_bytes()), (0, 0));
}

pub fn it_can_be_looked_at_from_outside(at: Place) {
    let name = format!("/interproc-test-{}-bytes-{at:?}", std::process::id());
    let seg = Segment::create(&name, 1 << 16).expect("segment");
    let outside = Segment::open_read_only(&name).expect("open");
    Segment::unlink(&name).expect("unlink");
    let q = queue(&seg);
    let words = board();
    let look = || outside.view().expect("view").objects.remove(0);
    let fact = |name: &str| look().facts.iter().find(|f| f.0 == name).expect("a fact").1;
    assert_eq!((look().type_name, look().state), (Some("ByteQueue"), Some("empty")));
    assert_eq!((fact("capacity in bytes"), fact("longest message")), (CAPACITY as u64, LONGEST as u64));
    let consumer = at.start(&seg, |seg| {
        say_where(&words[0]);
        assert_eq!(queue(seg).pop().expect("pop"), b"1");
    });
    await_asleep(&words[0]);
    assert_eq!((fact("consumers asleep"), look().waiters), (1, 1));
    let room = q.reserve(LONGEST).expect("room");
    assert_eq!((look().holders[0].who.pid, look().holders[0].part), (std::process::id(), "blocks"));
    assert_eq!((fact("depth"), fact("depth in bytes")), (0, 128));
    drop(room);
    q.push(b"1").expect("push");
    consumer.join();
    (0..8u8).for_each(|i| q.push(&[i]).expect("push"));
    assert_eq!(look().state, Some("full"));
    assert_eq!((fact("depth"), fact("depth in bytes"), fact("peak in bytes")), (8, 512, 512));
    let first = q.borrow().expect("message");
    assert_eq!((fact("depth"), look().holders[0].part), (8, "blocks"));
    drop(first);
    assert_eq!((fact("depth"), fact("depth in bytes"), look().state), (7, 448, Some("open")));
    q.close().expect("close");
    assert_eq!(look().state, Some("closed"));
    assert_eq!(q.iter().count(), 7);
    assert_eq!(look().state, Some("closed and drained"));
}

pub fn a_buffer_that_is_too_small_does_not_forget_who_had_the_message(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    q.push(&[1; 40]).expect("push");
    at.start(&seg, move |seg| {
        let q = queue(seg);
        let _message = q.borrow().expect("message");
        at.die();
    })
    .gone();
    assert_eq!(q.try_pop_into(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TooLarge);
    let message = q.try_borrow().expect("message");
    assert!(message.is_redelivered() && *message == [1; 40]);
}

pub fn a_scribbled_queue_ends_every_operation_and_harms_nobody(at: Place) {
    let mut random = Random(0x5c21bb1e);
    for round in 0..120 {
        let seg = kit::segment();
        let q = queue(&seg);
        (0..random.below(6) as u8).for_each(|i| q.push(&[i; 40]).expect("push"));
        let (bare, _) = channel::ByteQueue::bare(&seg);
        let (start, size) = bare.object("queue");
        // SAFETY: words of the object, in the mapping.
        let word = |at: usize| unsafe { bare.base.add(start + at).cast::<AtomicU64>().as_ref() };
        let like_words = [
            0,
            u64::MAX,
            1 << 15,
            1 << 24 | 4 | 1,
            1 << 24 | 0x7ffc | 1,
            1 << 15 | 0x3fff,
            1 << 16 | 1 << 15,
        ];
        for _ in 0..1 + random.below(5) {
            // Hints, head and control words, or lengths; the geometry is copied when it is opened.
            let at = match round % 3 {
                0 => [128, 256, 384, 32, 40][random.below(5) as usize],
                1 => 512 + 16 * random.below(8) as usize,
                _ => (512 + 8 + 16 * random.below(8) as usize).min(size - 8),
            };
            let value = match random.below(3) {
                0 => random.next(),
                1 => like_words[random.below(like_words.len() as u64) as usize],
                _ => random.below(8) << 24 | random.below(64) << 2 | random.below(4),
            };
            word(at).store(value, Ordering::SeqCst);
        }
        let soon = Duration::from_millis(3);
        at.start(&seg, move |seg| {
            let q = queue(seg);
            let me = std::process::id();
            for i in 0..20u8 {
                let _ = q.push_timeout(&[i; LONGEST], soon);
                let _ = q.try_pop().map(|message| assert!(message.len() <= LONGEST));
                if let Ok(mut room) = q.try_reserve(LONGEST) {
                    room.fill(1);
                }
                let _ = q.try_borrow().map(|message| assert!(message.len() <= LONGEST));
                let _ = q.borrow_timeout(soon).map(|message| message.put_back());
                let _ = (q.len(), q.len_bytes(), q.peak(), q.is_empty(), q.is_full());
                let _ = q.blocker().map(|who| who.is_some_and(|who| who.pid == me));
            }
            let _ = q.close();
            let _ = q.pop_timeout(soon);
        })
        .join();
    }
}

pub fn a_queue_whose_geometry_was_written_over_is_refused(at: Place) {
    let seg = kit::segment();
    drop(queue(&seg));
    let (bare, _) = channel::ByteQueue::bare(&seg);
    let (start, _) = bare.object("queue");
    for at_byte in [0, 8, 16, 24] {
        // SAFETY: a word of the object, in the mapping.
        let word = unsafe { bare.base.add(start + at_byte).cast::<AtomicU64>().as_ref() };
        let old = word.load(Ordering::SeqCst);
        for value in [0, old + 1, old * 2, old << 40, u64::MAX] {
            word.store(value, Ordering::SeqCst);
            at.start(&seg, |seg| {
                let refused = seg.byte_queue("queue", CAPACITY, LONGEST).map(drop);
                assert_eq!(kind(refused), Err(ErrorKind::Corrupt));
            })
            .join();
        }
        word.store(old, Ordering::SeqCst);
    }
    queue(&seg).push(&[1]).expect("whole again");
}
