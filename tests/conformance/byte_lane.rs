//! What only the byte lane has: its shape, a model of it, and what somebody may write over it.

use crate::channel::kind;
use crate::kit::{self, Bare, Random};
use crate::place::Place;
use interproc::queue::byte_lane::{ByteConsumer, ByteProducer};
use interproc::{ErrorKind, Segment};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, Ordering};

fn producer(seg: &Segment, capacity: usize, longest: usize) -> ByteProducer {
    seg.byte_producer("lane", capacity, longest).expect("the producer's seat")
}

fn consumer(seg: &Segment, capacity: usize, longest: usize) -> ByteConsumer {
    seg.byte_consumer("lane", capacity, longest).expect("the consumer's seat")
}

/// The message of this number: any length up to `longest`, often a short or a long one.
fn message(number: u64, longest: usize) -> Vec<u8> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (number + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
    let len = match random.below(8) {
        0 => 0,
        1 => longest as u64,
        2 => random.below(9).min(longest as u64),
        _ => random.below(longest as u64 + 1),
    };
    let word = random.next().to_le_bytes();
    (0..len as usize).map(|i| word[i % 8] ^ (i >> 3) as u8).collect()
}

/// Random operations of both sides in one thread, against a list.
pub fn it_does_what_a_list_would_do(at: Place) {
    for seed in 1..=12u64 {
        let seg = kit::segment();
        at.start(&seg, move |seg| model(seg, seed)).join();
    }
}

fn model(seg: &Segment, seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let longest = [0, 1, 7, 8, 24, 25, 100, 1000][random.below(8) as usize];
    let capacity = [0, 64, 333, 4096][random.below(4) as usize];
    let (mut p, mut c) = (producer(seg, capacity, longest), consumer(seg, capacity, longest));
    assert!(p.capacity() >= capacity.max(2 * (8 + longest)) && p.longest() == longest);
    // What was sent and not published, what was published and not received.
    let (mut held, mut there) = (VecDeque::new(), VecDeque::<Vec<u8>>::new());
    let mut holds = false;
    for n in 0..6_000 {
        let bytes = message(seed << 32 | n, longest);
        match random.below(20) {
            0..=6 => {
                let sent = match random.below(4) {
                    0 => p.try_push(&bytes),
                    1 => p.try_push_vectored(&[IoSlice::new(&bytes)]),
                    2 => p.try_reserve(bytes.len()).and_then(|mut place| {
                        place.copy_from_slice(&bytes);
                        place.commit()
                    }),
                    _ => p.try_reserve(longest).and_then(|mut place| {
                        place.fill(0xee);
                        place[..bytes.len()].copy_from_slice(&bytes);
                        place.commit_len(bytes.len())
                    }),
                };
                match kind(sent) {
                    Ok(()) => held.push_back(bytes),
                    Err(ErrorKind::Full) => {
                        there.append(&mut held);
                        if there.is_empty() {
                            c.flush().expect("flush"); // what was read and not freed
                            p.try_push(&bytes).expect("full of nothing");
                            held.push_back(bytes);
                        }
                    }
                    Err(other) => panic!("{other:?}"),
                }
                if !holds {
                    there.append(&mut held);
                }
            }
            // And nothing has happened, but that a refusal publishes.
            7 if p.try_reserve(longest).is_err() => there.append(&mut held),
            8 => match p.try_reserve(longest) {
                Ok(place) => std::mem::forget(place),
                Err(_) => there.append(&mut held),
            },
            9 => assert_eq!(kind(p.try_reserve(longest + 1)).err(), Some(ErrorKind::TooLarge)),
            10 => {
                p.flush().expect("flush");
                there.append(&mut held);
            }
            11 => {
                holds = random.below(2) == 0;
                // Never reached by itself when it holds: what is there is known.
                p.publish_every(if holds { usize::MAX >> 1 } else { 1 }).expect("publish_every");
                there.append(&mut held);
            }
            12 => c.free_every(random.below(2 * capacity as u64 + 2) as usize).expect("free_every"),
            13 => {
                // A vacant seat is taken; what was published stays.
                drop(p);
                there.append(&mut held);
                p = producer(seg, capacity, longest);
                holds = false;
            }
            14 => {
                drop(c);
                c = consumer(seg, capacity, longest);
            }
            15 => {
                if let Ok(came) = c.try_borrow() {
                    assert_eq!(*came, **there.front().expect("one too many"));
                    came.put_back().expect("ours");
                }
            }
            16 if there.front().is_some_and(|m| !m.is_empty()) => {
                let len = there[0].len();
                let mut small = vec![0; len - 1];
                let e = c.try_pop_into(&mut small).expect_err("too small");
                assert_eq!((e.kind(), e.needed()), (ErrorKind::TooLarge, Some(len)));
                assert!(e.to_string().contains(&format!("has {len} bytes")), "{e}");
            }
            17 if random.below(30) == 0 => {
                let all: Vec<_> = c.drain().collect();
                assert_eq!(all, there.drain(..).collect::<Vec<_>>());
            }
            _ => {
                let came = match random.below(3) {
                    0 => kind(c.try_pop()),
                    1 => kind(c.try_borrow()).map(|m| {
                        assert!(!m.is_redelivered());
                        m.to_vec()
                    }),
                    _ => {
                        let mut buffer = vec![0; longest];
                        kind(c.try_pop_into(&mut buffer)).map(|len| buffer[..len].to_vec())
                    }
                };
                assert_eq!(came, there.pop_front().ok_or(ErrorKind::Empty), "step {n} of seed {seed}");
            }
        }
        assert!(c.len_bytes() <= c.capacity() && c.peak() <= c.capacity());
    }
}

pub fn a_lane_of_another_shape_is_refused(at: Place) {
    let seg = kit::segment();
    let (mut p, mut c) = (producer(&seg, 1000, 100), consumer(&seg, 1000, 100));
    at.start(&seg, |seg| {
        assert_eq!(kind(seg.byte_consumer("lane", 1008, 100)).err(), Some(ErrorKind::TypeMismatch));
        assert_eq!(kind(seg.byte_consumer("lane", 1000, 101)).err(), Some(ErrorKind::TypeMismatch));
        assert_eq!(kind(seg.byte_consumer("other", 1, 1 << 32)).err(), Some(ErrorKind::InvalidInput));
        assert_eq!(kind(seg.queue::<u64>("lane", 8)).err(), Some(ErrorKind::TypeMismatch));
    })
    .join();
    for n in 0..100 {
        p.reserve(n).expect("room").abort();
        p.push(&vec![7; n]).expect("room");
        assert_eq!(c.borrow().expect("a message").as_ptr().addr() % 8, 0);
    }
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
