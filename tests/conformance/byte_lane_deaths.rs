//! The specification of the byte lane, when somebody dies, and when somebody breaks the protocol.

use crate::byte_lane::{consumer, kind, producer};
use crate::kit::{self, Bare, NET, Random, await_word, board, raise};
use crate::place::{Place, await_asleep, forget, say_where};
use interproc::{ErrorKind, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub fn what_a_dead_producer_had_not_published_is_gone_and_the_rest_is_received(at: Place) {
    for reserves in [false, true] {
        let seg = kit::segment();
        at.start(&seg, move |seg| {
            let mut p = producer(seg, 1000, 100);
            p.push(b"one").expect("room");
            p.publish_every(1000).expect("publish_every");
            p.push(b"two").expect("room");
            if reserves {
                let mut place = p.reserve(100).expect("room");
                place.fill(7);
                forget(place);
            }
            forget(p);
            at.die()
        })
        .gone();
        let mut c = consumer(&seg, 1000, 100);
        assert!(c.peer().is_ok_and(|who| who.is_some_and(|who| !who.alive)));
        let mut p = producer(&seg, 1000, 100);
        p.push(b"three").expect("room");
        assert_eq!(c.drain().collect::<Vec<_>>(), [&b"one"[..], b"three"]);
    }
}

pub fn what_a_dead_consumer_was_reading_is_delivered_again_and_said_so(at: Place) {
    for takes in 0..3u64 {
        let seg = kit::segment();
        let mut p = producer(&seg, 0, 24);
        // From somewhere in the ring, so that the second one needs a pad.
        p.push(b"").expect("room");
        assert_eq!(consumer(&seg, 0, 24).drain().count(), 1);
        p.push(&[1; 16]).expect("room");
        p.push(&[2; 9]).expect("room");
        at.start(&seg, move |seg| {
            let mut c = consumer(seg, 0, 24);
            for _ in 1..takes {
                drop(c.borrow().expect("a message"));
            }
            if takes > 0 {
                forget(c.borrow().expect("a message"));
            }
            forget(c);
            at.die()
        })
        .gone();
        let mut c = consumer(&seg, 0, 24);
        let mut came = Vec::new();
        while let Ok(message) = c.try_borrow() {
            came.push((message[0], message.is_redelivered()));
        }
        // Who took nothing may have been about to.
        let expected = if takes < 2 { vec![(1, true), (2, false)] } else { vec![(2, true)] };
        assert_eq!(came, expected);
        drop(c);
        p.push(&[3; 24]).expect("room");
        assert!(!consumer(&seg, 0, 24).borrow().expect("a message").is_redelivered(), "told again");
    }
}

pub fn what_was_read_and_not_freed_is_delivered_again(at: Place) {
    let seg = kit::segment();
    let mut p = producer(&seg, 1000, 24);
    (0..10).for_each(|n| p.push(&[n; 8]).expect("room"));
    at.start(&seg, move |seg| {
        let mut c = consumer(seg, 1000, 24);
        c.free_every(48).expect("free_every"); // three of them
        (0..5).for_each(|n| assert_eq!(c.borrow().expect("a message")[0], n));
        forget(c);
        at.die()
    })
    .gone();
    let mut c = consumer(&seg, 1000, 24);
    let mut came = Vec::new();
    while let Ok(message) = c.try_borrow() {
        came.push((message[0], message.is_redelivered()));
    }
    assert_eq!(came, (3..10).map(|n| (n, n < 6)).collect::<Vec<_>>());
}

pub fn who_waits_goes_on_with_the_next_peer(at: Place) {
    let seg = kit::segment();
    let words = board();
    // A consumer that sleeps over its producer's death.
    let receiver = at.start(&seg, move |seg| {
        let mut c = consumer(seg, 0, 24);
        say_where(&words[0]);
        assert_eq!(kind(c.pop()), Ok(b"from the second one, all".to_vec()));
    });
    await_asleep(&words[0]);
    at.start(&seg, move |seg| {
        forget(producer(seg, 0, 24).reserve(24));
        at.die()
    })
    .gone();
    let mut p = producer(&seg, 0, 24);
    let started = Instant::now();
    p.push(b"from the second one, all").expect("room");
    receiver.join();
    assert!(started.elapsed() < NET);
    // A producer that sleeps over its consumer's death.
    drop(p);
    let sender = at.start(&seg, move |seg| {
        let mut p = producer(seg, 0, 24);
        (0..2).for_each(|n| p.push(&[n; 24]).expect("room"));
        say_where(&words[1]);
        p.push(&[2; 24]).expect("send");
        raise(&words[2]);
    });
    await_asleep(&words[1]);
    at.start(&seg, move |seg| {
        forget(consumer(seg, 0, 24).borrow());
        at.die()
    })
    .gone();
    let mut c = consumer(&seg, 0, 24);
    for n in 0..3 {
        assert_eq!(*c.borrow().expect("a message"), [n; 24]);
    }
    await_word(&words[2], 1);
    sender.join();
}

/// The lane's words in the segment, the header first.
fn words(bare: &Bare) -> &[AtomicU64] {
    let (at, size) = bare.object("lane");
    // SAFETY: the directory's word for it; aligned; all access is through atomics, or through a handle of this thread.
    unsafe { std::slice::from_raw_parts(bare.base.add(at).cast::<AtomicU64>().as_ptr(), size / 8) }
}

const TAIL: usize = 16;
const HEAD: usize = 32;
const UNITS: usize = 48;

/// Whatever a peer writes, operations end, stay inside the ring, and say `Corrupt` or what the bytes say.
pub fn scribbled_headers_and_counts_are_told_and_touch_nothing_else(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let bare = Bare::new(seg);
        let (mut p, mut c) = (producer(seg, 256, 100), consumer(seg, 256, 100));
        let words = words(&bare);
        // Behind the lane lies another object.
        let guard = seg.object("guard", || AtomicU64::new(0x6a7d)).expect("room");
        let corrupt = |c: &mut interproc::queue::byte_lane::ByteConsumer| {
            assert_eq!(kind(c.try_borrow()).err(), Some(ErrorKind::Corrupt));
            assert_eq!(kind(c.borrow()).err(), Some(ErrorKind::Corrupt));
            assert_eq!(kind(c.pop_into(&mut [0; 256])), Err(ErrorKind::Corrupt));
            assert_eq!(c.iter().count(), 0);
        };
        p.push(&[1; 50]).expect("room");
        let header = &words[UNITS];
        let good = header.load(Ordering::SeqCst);
        let lengths = [51, 57, 100, 101, 1 << 20, u64::from(u32::MAX)].map(|len| len << 32 | 1);
        let bad = lengths.into_iter().filter(|word| word >> 32 > 56);
        for word in bad.chain([0, 2, 3, good | 2, good | 1 << 31, u64::MAX, 100 << 32 | 2]) {
            header.store(word, Ordering::SeqCst);
            corrupt(&mut c);
        }
        // A length that fits what was published is what the bytes say.
        header.store(51 << 32 | 1, Ordering::SeqCst);
        assert_eq!(c.borrow().expect("a message").len(), 51);

        // A pad with nothing behind it, two of them, one at the start.
        p.push(&[2; 100]).expect("room");
        p.push(&[3; 40]).expect("room");
        assert_eq!(c.drain().count(), 2);
        let at = words[TAIL].load(Ordering::SeqCst);
        p.push(&[4; 100]).expect("room, behind a pad");
        let tail = words[TAIL].load(Ordering::SeqCst);
        words[TAIL].store(32, Ordering::SeqCst);
        assert!(at < 32 && tail > 32);
        corrupt(&mut c);
        words[TAIL].store(tail, Ordering::SeqCst);
        words[UNITS].store(2, Ordering::SeqCst);
        corrupt(&mut c);

        // Counts.
        drop((p, c));
        for (head, tail) in [(0, 33), (5, 4), (u64::MAX, 32), (1 << 40, 0)] {
            words[HEAD].store(head, Ordering::SeqCst);
            words[TAIL].store(tail, Ordering::SeqCst);
            assert_eq!(kind(seg.byte_producer("lane", 256, 100)).err(), Some(ErrorKind::Corrupt));
            assert_eq!(kind(seg.byte_consumer("lane", 256, 100)).err(), Some(ErrorKind::Corrupt));
        }
        // The geometry.
        for word in &words[..3] {
            let good = word.load(Ordering::SeqCst);
            for bad in [0, 1, good + 1, u64::MAX] {
                word.store(bad, Ordering::SeqCst);
                assert_eq!(kind(seg.byte_producer("lane", 256, 100)).err(), Some(ErrorKind::Corrupt));
            }
            word.store(good, Ordering::SeqCst);
        }
        assert_eq!(guard.load(Ordering::SeqCst), 0x6a7d);
    })
    .join();
}

/// A word of the lane, or of a message's header, becomes anything, between any two operations.
pub fn no_scribbled_word_makes_an_operation_crash_or_hang(at: Place) {
    for seed in 1..=10 {
        let seg = kit::segment();
        at.start(&seg, move |seg| scribble(seg, seed)).join();
    }
}

fn scribble(seg: &Segment, seed: u64) {
    let mut random = Random(seed * 0x9e37_79b9);
    let bare = Bare::new(seg);
    let (mut p, mut c) = (seg.byte_producer("lane", 256, 100).ok(), seg.byte_consumer("lane", 256, 100).ok());
    let words = words(&bare);
    let guard = seg.object("guard", || AtomicU64::new(0x6a7d)).expect("room");
    let soon = || interproc::Deadline::after(std::time::Duration::from_micros(50));
    for _ in 0..20_000 {
        match random.below(12) {
            0 => {
                // Not the event counts, the closed word and the seats: those are the lane's, and can refuse service.
                let targets = [TAIL, HEAD, TAIL + 2, HEAD + 2, UNITS + random.below(32) as usize];
                let any = [random.next(), random.below(80), random.below(120) << 32 | 1, 2, 0];
                let (target, value) = (targets[random.below(5) as usize], any[random.below(5) as usize]);
                words[target].store(value, Ordering::SeqCst);
            }
            1 => {
                // Mended, so that something happens.
                words[HEAD].store(0, Ordering::SeqCst);
                words[TAIL].store(0, Ordering::SeqCst);
                drop((p.take(), c.take()));
                words[HEAD].store(0, Ordering::SeqCst);
                words[TAIL].store(0, Ordering::SeqCst);
                (p, c) = (seg.byte_producer("lane", 256, 100).ok(), seg.byte_consumer("lane", 256, 100).ok());
            }
            2 => drop(p.as_mut().map(|p| p.publish_every(random.below(300) as usize))),
            3 => drop(c.as_mut().map(|c| c.free_every(random.below(300) as usize))),
            4..=6 => {
                let len = random.below(101) as usize;
                if let Some(mut place) = p.as_mut().and_then(|p| p.reserve_until(len, soon()).ok()) {
                    place.fill(0xff);
                    let _ = place.commit_len(random.below(len as u64 + 1) as usize);
                }
            }
            7 => drop(p.as_mut().map(|p| p.flush())),
            _ => {
                if let Some(message) = c.as_mut().and_then(|c| c.borrow_until(soon()).ok()) {
                    assert!(message.len() <= 100);
                    std::hint::black_box(message.iter().fold(0u8, |sum, &byte| sum ^ byte));
                }
            }
        }
    }
    assert_eq!(guard.load(Ordering::SeqCst), 0x6a7d);
}
