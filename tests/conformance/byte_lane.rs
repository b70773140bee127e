//! The specification of the byte lane, while nobody dies.

use crate::kit::{self, LONG, NET, Random, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::queue::byte_lane::{ByteConsumer, ByteProducer};
use interproc::{Deadline, Error, ErrorKind, Segment};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub fn producer(seg: &Segment, capacity: usize, longest: usize) -> ByteProducer {
    seg.byte_producer("lane", capacity, longest).expect("the producer's seat")
}

pub fn consumer(seg: &Segment, capacity: usize, longest: usize) -> ByteConsumer {
    seg.byte_consumer("lane", capacity, longest).expect("the consumer's seat")
}

pub fn kind<T, E: Into<Error>>(answer: Result<T, E>) -> Result<T, ErrorKind> {
    answer.map_err(|e| e.into().kind())
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

pub fn messages_of_any_length_come_whole_in_order_and_each_once(at: Place) {
    for (capacity, longest, each, every) in [
        (0, 0, 300, 1),
        (64, 24, 3_000, 1),
        (64, 24, 3_000, 48),
        (2000, 1000, 3_000, 1),
        (4096, 100, 3_000, 900),
    ] {
        let seg = kit::segment();
        let sender = at.start(&seg, move |seg| {
            let mut p = producer(seg, capacity, longest);
            p.publish_every(every).expect("publish_every");
            for n in 0..each {
                let bytes = message(n, longest);
                match n % 3 {
                    0 => p.push(&bytes).expect("push"),
                    1 => {
                        let mut place = p.reserve(longest).expect("reserve");
                        place[..bytes.len()].copy_from_slice(&bytes);
                        place.commit_len(bytes.len()).expect("commit");
                    }
                    _ => {
                        let (a, b) = bytes.split_at(bytes.len() / 3);
                        let parts = [IoSlice::new(a), IoSlice::new(&[]), IoSlice::new(b)];
                        p.push_vectored(&parts).expect("push");
                    }
                }
            }
            p.close().expect("close");
        });
        let mut c = consumer(&seg, capacity, longest);
        c.free_every(every).expect("free_every");
        let mut buffer = vec![0; longest];
        for n in 0..each {
            let expected = message(n, longest);
            match n % 4 {
                0 => assert_eq!(c.pop().expect("pop"), expected, "{n}"),
                1 => {
                    let len = c.pop_into(&mut buffer).expect("pop_into");
                    assert_eq!(buffer[..len], expected, "{n}");
                }
                _ => {
                    let came = c.borrow().expect("borrow");
                    assert_eq!(*came, *expected, "{n}");
                    assert!(!came.is_redelivered());
                    assert_eq!(came.as_ptr().addr() % 8, 0);
                }
            }
        }
        assert_eq!(kind(c.borrow()).err(), Some(ErrorKind::Closed));
        sender.join();
    }
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

pub fn a_full_one_refuses_or_waits(at: Place) {
    let seg = kit::segment();
    let words = board();
    let mut c = consumer(&seg, 0, 24); // room for two
    let sender = at.start(&seg, move |seg| {
        let mut p = producer(seg, 0, 24);
        p.push(&[1; 24]).expect("room");
        p.push(&[2; 17]).expect("room");
        assert_eq!(kind(p.try_push(b"")), Err(ErrorKind::Full));
        assert_eq!(kind(p.try_reserve(0)).err(), Some(ErrorKind::Full));
        for timeout in [0, 1, 30].map(Duration::from_millis) {
            let started = Instant::now();
            assert_eq!(kind(p.push_timeout(b"", timeout)), Err(ErrorKind::TimedOut));
            assert_eq!(kind(p.reserve_timeout(3, timeout)).err(), Some(ErrorKind::TimedOut));
            assert!(started.elapsed() >= 2 * timeout && started.elapsed() < 2 * timeout + NET);
        }
        say_where(&words[0]);
        p.push(&[3; 20]).expect("push");
    });
    await_asleep(&words[0]);
    assert_eq!((c.len_bytes(), c.peak()), (64, 64));
    let started = Instant::now();
    for expected in [&[1; 24][..], &[2; 17], &[3; 20]] {
        assert_eq!(*c.borrow_timeout(LONG).expect("a message"), *expected);
    }
    sender.join();
    assert!(started.elapsed() < NET);
}

pub fn an_empty_one_refuses_or_waits(at: Place) {
    let seg = kit::segment();
    let words = board();
    let mut p = producer(&seg, 1000, 100);
    let receiver = at.start(&seg, move |seg| {
        let mut c = consumer(seg, 1000, 100);
        assert_eq!(kind(c.try_borrow()).err(), Some(ErrorKind::Empty));
        assert_eq!(c.try_iter().count(), 0);
        for timeout in [0, 1, 30].map(Duration::from_millis) {
            let started = Instant::now();
            assert_eq!(kind(c.borrow_timeout(timeout)).err(), Some(ErrorKind::TimedOut));
            assert_eq!(kind(c.pop_into_timeout(&mut [], timeout)), Err(ErrorKind::TimedOut));
            assert!(started.elapsed() >= 2 * timeout && started.elapsed() < 2 * timeout + NET);
        }
        say_where(&words[0]);
        assert_eq!(kind(c.pop()), Ok(b"woken".to_vec()));
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    p.push(b"woken").expect("push");
    receiver.join();
    assert!(started.elapsed() < NET);
}

pub fn a_deadline_in_the_past_does_what_can_be_done_now(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = (producer(seg, 0, 24), consumer(seg, 0, 24));
        for past in [Deadline::from_monotonic_ns(0), Deadline::now()] {
            assert_eq!(kind(c.borrow_until(past)).err(), Some(ErrorKind::TimedOut));
            assert_eq!(kind(p.push_until(&[1; 24], past)), Ok(()));
            assert_eq!(kind(p.push_vectored_until(&[IoSlice::new(&[2; 24])], past)), Ok(()));
            assert_eq!(kind(p.push_until(&[1; 24], past)), Err(ErrorKind::TimedOut));
            assert_eq!(kind(c.pop_until(past)), Ok(vec![1; 24]));
            assert_eq!(kind(c.pop_until(past)), Ok(vec![2; 24]));
        }
    })
    .join();
}

pub fn closing_wakes_the_other_side_and_what_is_there_is_drained(at: Place) {
    let seg = kit::segment();
    let words = board();
    let receiver = at.start(&seg, move |seg| {
        let mut c = consumer(seg, 1000, 100);
        say_where(&words[0]);
        assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
        assert!(c.is_closed());
    });
    await_asleep(&words[0]);
    producer(&seg, 1000, 100).close().expect("close");
    receiver.join();

    let full = kit::segment();
    let sender = at.start(&full, move |seg| {
        let mut p = producer(seg, 0, 24);
        p.push(&[1; 24]).expect("room");
        p.push(&[2; 24]).expect("room");
        say_where(&words[1]);
        assert_eq!(kind(p.push(&[3; 24])), Err(ErrorKind::Closed));
        assert_eq!(kind(p.try_push(&[3; 24])), Err(ErrorKind::Closed));
    });
    await_asleep(&words[1]);
    let mut c = consumer(&full, 0, 24);
    c.close().expect("close");
    sender.join();
    assert_eq!(c.iter().collect::<Vec<_>>(), [[1; 24], [2; 24]]);
    assert_eq!(kind(c.try_borrow()).err(), Some(ErrorKind::Closed));
    // For a newcomer, too.
    drop(c);
    assert_eq!(kind(consumer(&full, 0, 24).borrow()).err(), Some(ErrorKind::Closed));
    assert_eq!(kind(producer(&full, 0, 24).push(b"")), Err(ErrorKind::Closed));
}

pub fn what_is_sent_while_the_consumer_closes_is_received_or_refused(at: Place) {
    let mut random = Random(0xc105e);
    for round in 0..40 {
        let seg = kit::segment();
        let words = board();
        let longest = [0, 24, 100][round % 3];
        let sender = at.start(&seg, move |seg| {
            let mut p = producer(seg, 0, longest);
            raise(&words[0]);
            let mut acknowledged = 0;
            while p.push(&message(acknowledged, longest)).is_ok() {
                acknowledged += 1;
            }
            words[1].store(acknowledged, Ordering::SeqCst);
        });
        let mut c = consumer(&seg, 0, longest);
        await_word(&words[0], 1);
        let mut received = 0;
        for _ in 0..random.below(300) {
            received += c.try_iter().count() as u64;
        }
        c.close().expect("close");
        received += c.iter().count() as u64;
        sender.join();
        assert_eq!(kind(c.try_borrow()).err(), Some(ErrorKind::Closed), "something came after the end");
        assert_eq!(received, words[1].load(Ordering::SeqCst), "round {round}");
    }
}

pub fn what_is_not_published_is_refused_by_a_closed_one_and_told(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = (producer(seg, 1000, 100), consumer(seg, 1000, 100));
        p.publish_every(500).expect("publish_every");
        p.push(b"one").expect("room");
        c.close().expect("close");
        assert_eq!(kind(p.flush()), Err(ErrorKind::Closed));
        assert_eq!(kind(p.flush()), Ok(()), "there is nothing left");
        assert_eq!(kind(c.try_borrow()).err(), Some(ErrorKind::Closed));
        assert_eq!(p.len_bytes(), 0);
    })
    .join();
}

pub fn a_seat_is_one_holders_until_it_is_left(at: Place) {
    let seg = kit::segment();
    let (p, c) = (producer(&seg, 1000, 100), consumer(&seg, 1000, 100));
    at.start(&seg, |seg| {
        assert_eq!(kind(seg.byte_producer("lane", 1000, 100)).err(), Some(ErrorKind::WouldBlock));
        assert_eq!(kind(seg.byte_consumer("lane", 1000, 100)).err(), Some(ErrorKind::WouldBlock));
        assert_eq!(kind(seg.byte_consumer("lane", 1008, 100)).err(), Some(ErrorKind::TypeMismatch));
        assert_eq!(kind(seg.byte_consumer("lane", 1000, 101)).err(), Some(ErrorKind::TypeMismatch));
        assert_eq!(kind(seg.byte_consumer("other", 1, 1 << 32)).err(), Some(ErrorKind::InvalidInput));
        assert_eq!(kind(seg.queue::<u64>("lane", 8)).err(), Some(ErrorKind::TypeMismatch));
    })
    .join();
    assert_eq!(p.peer().expect("a look").map(|who| who.pid), Some(std::process::id()));
    drop((p, c));
    at.start(&seg, |seg| {
        let (p, c) = (producer(seg, 1000, 100), consumer(seg, 1000, 100));
        assert!(p.peer().is_ok_and(|who| who.is_some_and(|who| who.alive)));
        drop(p);
        assert_eq!(c.peer(), Ok(None));
    })
    .join();
}

pub fn a_handle_goes_from_thread_to_thread(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = (producer(seg, 1000, 100), consumer(seg, 1000, 100));
        p.publish_every(1000).expect("publish_every");
        p.push(b"one").expect("room");
        std::thread::scope(|s| {
            s.spawn(|| {
                p.push(b"two").expect("room");
                p.flush().expect("flush");
                assert_eq!(kind(c.pop()), Ok(b"one".to_vec()));
                assert_eq!(seg.byte_producer("lane", 1000, 100).unwrap_err().kind(), ErrorKind::WouldBlock);
            });
        });
        // That thread is gone, and left the seats behind: to who comes first.
        let taken = || kind(seg.byte_producer("lane", 1000, 100).map(drop)).is_ok();
        assert!(crate::support::eventually(kit::LONG, taken), "a dead thread's seat");
        assert_eq!(kind(p.push(b"three")), Err(ErrorKind::Stale));
        assert_eq!(kind(p.flush()), Err(ErrorKind::Stale));
        assert_eq!(kind(c.pop()), Ok(b"two".to_vec()), "nobody else has taken this one");
        drop(p);
        let moved = std::thread::spawn(move || kind(c.try_borrow()).err());
        assert_eq!(moved.join().expect("no panic"), Some(ErrorKind::Empty));
        let _again = consumer(seg, 1000, 100);
    })
    .join();
}

pub fn a_child_is_refused_its_parents_seats(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        for raw in [false, true] {
            let (mut p, mut c) = (producer(seg, 1000, 100), consumer(seg, 1000, 100));
            p.publish_every(1000).expect("publish_every");
            c.free_every(1000).expect("free_every");
            p.push(b"one").expect("room");
            p.flush().expect("flush");
            p.push(b"two").expect("room");
            drop(c.borrow().expect("a message"));
            let before = c.len_bytes();
            kit::child(raw, || {
                assert_eq!(kind(p.push(b"three")), Err(ErrorKind::NotOwner));
                assert_eq!(kind(p.reserve(3)).err(), Some(ErrorKind::NotOwner));
                assert_eq!(kind(p.flush()), Err(ErrorKind::NotOwner));
                assert_eq!(kind(p.close()), Err(ErrorKind::NotOwner));
                assert_eq!(kind(c.borrow()).err(), Some(ErrorKind::NotOwner));
                assert_eq!(kind(c.flush()), Err(ErrorKind::NotOwner));
                assert_eq!(kind(c.close()), Err(ErrorKind::NotOwner));
                assert_eq!(c.iter().count(), 0);
                // SAFETY: this process's copies, which nobody else drops.
                drop(unsafe { (std::ptr::read(&raw const p), std::ptr::read(&raw const c)) });
                assert_eq!(kind(seg.byte_producer("lane", 1000, 100)).err(), Some(ErrorKind::WouldBlock));
            })
            .join();
            assert_eq!(c.len_bytes(), before, "the child has freed or published something");
            let place = p.reserve(5).expect("room");
            kit::child(raw, || assert_eq!(kind(place.commit()), Err(ErrorKind::NotOwner))).join();
            p.flush().expect("flush");
            assert_eq!(c.drain().collect::<Vec<_>>(), [b"two"]);
            p.push(b"left").expect("room");
            p.flush().expect("flush");
            let message = c.borrow().expect("a message");
            kit::child(raw, || drop(message)).join();
            drop((p, c));
            consumer(seg, 1000, 100).drain().for_each(drop);
        }
    })
    .join();
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let seg = kit::segment();
    let words = board();
    let receiver = at.start(&seg, |seg| {
        let mut c = consumer(seg, 0, 24);
        assert_eq!(under_signals(&words[0], || kind(c.pop())), Ok(vec![7; 24]));
        raise(&words[1]);
        await_word(&words[2], MANY);
        assert_eq!(c.iter().count(), 3);
    });
    await_word(&words[0], MANY);
    let mut p = producer(&seg, 0, 24);
    p.push(&[7; 24]).expect("push");
    await_word(&words[1], 1);
    p.push(&[8; 24]).expect("room");
    p.push(&[8; 24]).expect("room");
    under_signals(&words[2], || p.push(&[9; 24])).expect("push");
    p.close().expect("close");
    receiver.join();
}
