//! The specification of the byte queue, while nobody dies.

use crate::kit::{self, LONG, NET, Random, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::queue::ByteQueue;
use interproc::{Deadline, ErrorKind, Segment};
use std::io::IoSlice;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A ring of eight granules, for messages of up to two.
const CAPACITY: usize = 512;
const LONGEST: usize = 120;

fn queue(seg: &Segment) -> ByteQueue {
    seg.byte_queue("queue", CAPACITY, LONGEST).expect("queue")
}

fn kind<T, E: Into<interproc::Error>>(answer: Result<T, E>) -> Result<T, ErrorKind> {
    answer.map_err(|e| e.into().kind())
}

/// Message `i` of producer `n`: of a length of its own, every byte of it known.
fn message(n: u64, i: u64) -> Vec<u8> {
    let mut bytes = (n << 32 | i).to_le_bytes().to_vec();
    let len = 8 + (i * 37 + n * 11) as usize % (LONGEST - 7);
    bytes.resize_with(len, || (i as u8).wrapping_mul(31) ^ n as u8);
    bytes
}

/// Which message it is; panics if a byte of it is wrong.
fn read(bytes: &[u8]) -> (u64, u64) {
    let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    let (n, i) = (number >> 32, number & 0xffff_ffff);
    assert_eq!(bytes, message(n, i), "message {i} of {n}");
    (n, i)
}

pub fn messages_of_any_length_come_in_order_whole_and_each_once(at: Place) {
    const EACH: u64 = 1_500;
    let seg = kit::segment();
    let q = queue(&seg);
    let words = board();
    let producer = |n: u64| {
        at.start(&seg, move |seg| {
            let q = queue(seg);
            for i in 0..EACH {
                let bytes = message(n, i);
                match i % 3 {
                    0 => q.push(&bytes).expect("push"),
                    1 => q
                        .push_vectored(&[
                            IoSlice::new(&bytes[..5]),
                            IoSlice::new(&[]),
                            IoSlice::new(&bytes[5..]),
                        ])
                        .expect("push"),
                    _ => {
                        let mut room = q.reserve(LONGEST).expect("room");
                        room[..bytes.len()].copy_from_slice(&bytes);
                        room.commit_len(bytes.len()).expect("ours");
                    }
                }
            }
        })
    };
    let consumer = |c: u64| {
        at.start(&seg, move |seg| {
            let q = queue(seg);
            let mut last = [None; 2];
            let mut buffer = [0; LONGEST];
            loop {
                let got = match c {
                    0 => q.pop_into(&mut buffer).map(|len| read(&buffer[..len])).map_err(|e| e.kind()),
                    _ => kind(q.borrow()).map(|message| read(&message)),
                };
                let (n, i) = match got {
                    Ok(got) => got,
                    Err(ErrorKind::Closed) => break,
                    Err(other) => panic!("{other:?}"),
                };
                assert!(last[n as usize].is_none_or(|before| before < i), "{i} after {last:?}");
                last[n as usize] = Some(i);
                raise(&words[1]);
                words[2].fetch_add(n << 32 | i, Ordering::SeqCst);
            }
        })
    };
    let consumers: Vec<_> = (0..2).map(consumer).collect();
    let producers: Vec<_> = (0..2).map(producer).collect();
    producers.into_iter().for_each(|p| p.join());
    q.close().expect("close");
    consumers.into_iter().for_each(|c| c.join());
    assert_eq!(words[1].load(Ordering::SeqCst), 2 * EACH);
    assert_eq!(words[2].load(Ordering::SeqCst), EACH * (EACH - 1) + (EACH << 32));
    assert_eq!((q.len(), q.len_bytes()), (0, 0));
}

pub fn every_length_goes_through_at_every_place_of_the_ring(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let echo: ByteQueue = seg.byte_queue("echo", CAPACITY, LONGEST).expect("queue");
    let peer = at.start(&seg, |seg| {
        let (q, echo) = (queue(seg), seg.byte_queue("echo", CAPACITY, LONGEST).expect("queue"));
        q.iter().for_each(|message| echo.push(&message).expect("push"));
        echo.close().expect("close");
    });
    for round in 0..9 {
        for len in 0..=LONGEST {
            let bytes: Vec<u8> = (0..len).map(|i| (i + round) as u8).collect();
            q.push(&bytes).expect("push");
            assert_eq!(echo.pop().expect("pop"), bytes);
        }
        // Another granule to begin at.
        q.push(&[]).expect("push");
        assert_eq!(echo.pop().expect("pop"), []);
    }
    q.close().expect("close");
    peer.join();
    assert_eq!(kind(echo.pop()), Err(ErrorKind::Closed));
}

pub fn a_message_that_is_too_long_for_queue_or_buffer_is_refused_and_nothing_is_lost(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    at.start(&seg, |seg| {
        let q = queue(seg);
        for len in [LONGEST + 1, CAPACITY, CAPACITY * 2] {
            assert_eq!(kind(q.push(&vec![0; len])), Err(ErrorKind::TooLarge));
            assert_eq!(kind(q.try_reserve(len)).map(drop), Err(ErrorKind::TooLarge));
            let part = vec![0; len / 2 + 1];
            assert_eq!(
                kind(q.push_vectored(&[IoSlice::new(&part), IoSlice::new(&part)])),
                Err(ErrorKind::TooLarge)
            );
        }
        let room = q.reserve(10).expect("room");
        assert_eq!(kind(room.commit_len(11)), Err(ErrorKind::TooLarge));
        assert_eq!((q.len(), q.len_bytes()), (0, 0));
        q.push(b"first").expect("push");
        q.push(b"second").expect("push");
    })
    .join();
    let mut small = [7; 4];
    for _ in 0..3 {
        let e = q.pop_into(&mut small).expect_err("too small");
        assert_eq!((e.kind(), e.needed()), (ErrorKind::TooLarge, Some(5)));
    }
    assert_eq!(small, [7; 4], "nothing was written");
    let first = q.pop_delivery().expect("still first");
    assert!(first.value == b"first" && !first.redelivered);
    let mut fits = [0; 6];
    assert_eq!(q.pop_into(&mut fits).expect("it fits"), 6);
    let e = q.try_pop_into(&mut fits).expect_err("empty");
    assert_eq!((e.kind(), e.needed()), (ErrorKind::Empty, None));
}

pub fn a_full_queue_refuses_or_waits(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let words = board();
    (0..8u8).for_each(|i| q.try_push(&[i]).expect("room"));
    assert!(q.is_full());
    at.start(&seg, |seg| {
        let q = queue(seg);
        assert_eq!(kind(q.try_push(&[91])), Err(ErrorKind::Full));
        assert_eq!(kind(q.try_reserve(1)).map(drop), Err(ErrorKind::Full));
        for timeout in [0, 1, 30].map(Duration::from_millis) {
            let started = Instant::now();
            assert_eq!(kind(q.push_timeout(&[92], timeout)), Err(ErrorKind::TimedOut));
            assert_eq!(kind(q.reserve_timeout(1, timeout)).map(drop), Err(ErrorKind::TimedOut));
            assert!(started.elapsed() >= 2 * timeout && started.elapsed() < 2 * timeout + NET);
        }
    })
    .join();
    // One that needs two granules does not hold up one that needs one.
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
    (1..8u8).for_each(|i| assert_eq!(q.pop_timeout(LONG).expect("pop"), [i]));
    large.join();
    assert_eq!((q.pop().expect("pop"), q.pop().expect("pop")), (vec![94], vec![93; LONGEST]));
    assert!(!q.is_full() && q.len_bytes() == 0);
}

pub fn an_empty_queue_refuses_or_waits(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let words = board();
    at.start(&seg, |seg| {
        let q = queue(seg);
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        assert_eq!(kind(q.try_borrow()).map(drop), Err(ErrorKind::Empty));
        for timeout in [0, 1, 30].map(Duration::from_millis) {
            let started = Instant::now();
            assert_eq!(kind(q.pop_timeout(timeout)), Err(ErrorKind::TimedOut));
            assert_eq!(kind(q.borrow_timeout(timeout)).map(drop), Err(ErrorKind::TimedOut));
            assert!(started.elapsed() >= 2 * timeout && started.elapsed() < 2 * timeout + NET);
        }
    })
    .join();
    // Each push wakes one that sleeps, however many there are.
    let waiter = |n: usize| {
        at.start(&seg, move |seg| {
            let q = queue(seg);
            say_where(&words[n]);
            let value = if n == 0 { q.borrow().expect("borrow")[0] } else { q.pop().expect("pop")[0] };
            words[8].fetch_add(value.into(), Ordering::SeqCst);
        })
    };
    let waiters: Vec<_> = (0..3).map(waiter).collect();
    (0..3).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    (1..=3u8).for_each(|i| q.push(&[i]).expect("push"));
    waiters.into_iter().for_each(|w| w.join());
    assert!(started.elapsed() < NET);
    assert_eq!(words[8].load(Ordering::SeqCst), 6);
}

pub fn a_deadline_in_the_past_does_what_can_be_done_now(at: Place) {
    let seg = kit::segment();
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    at.start(&seg, move |seg| {
        let q = queue(seg);
        let started = Instant::now();
        for deadline in past {
            assert_eq!(kind(q.pop_until(deadline)), Err(ErrorKind::TimedOut));
            (0..4u8).for_each(|i| q.push_until(&[i; LONGEST], deadline).expect("room"));
            assert_eq!(kind(q.push_until(&[9], deadline)), Err(ErrorKind::TimedOut));
            assert_eq!(kind(q.reserve_until(1, deadline)).map(drop), Err(ErrorKind::TimedOut));
            (0..4u8).for_each(|i| assert_eq!(q.borrow_until(deadline).expect("message")[0], i));
        }
        assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    })
    .join();
}

pub fn what_is_written_in_place_is_read_in_place(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let mut room = q.reserve(64).expect("room");
    let written = room.as_ptr().addr();
    assert!(room.len() == 64 && written.is_multiple_of(64));
    room.fill(0xa5);
    // Behind a reservation others push, and nobody pops.
    at.start(&seg, |seg| {
        let q = queue(seg);
        q.push(b"later").expect("push");
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        assert_eq!(q.len(), 1);
    })
    .join();
    room.commit_len(40).expect("ours");
    let message = q.borrow().expect("message");
    assert_eq!((message.as_ptr().addr(), &*message), (written, &[0xa5; 40][..]));
    // Behind a message that is being read others pop.
    at.start(&seg, |seg| assert_eq!(queue(seg).try_pop().expect("pop"), b"later")).join();
    assert_eq!(q.len(), 1);
    message.put_back().expect("ours");
    at.start(&seg, |seg| {
        let q = queue(seg);
        let again = q.borrow().expect("again");
        assert!(again.is_redelivered() && *again == [0xa5; 40]);
        again.put_back().expect("ours");
    })
    .join();
    assert!(q.pop_delivery().expect("pop").redelivered);
    // Given up: nothing came of it, and no room is lost.
    for i in 0..40u8 {
        q.reserve(100).expect("room").fill(1);
        q.push(&[i]).expect("push");
        q.reserve(1).expect("room").abort();
        assert_eq!(q.pop().expect("pop"), [i]);
    }
    assert_eq!((q.len(), q.len_bytes(), q.is_empty()), (0, 0, true));
}

pub fn waiting_for_oneself_is_an_error(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let q = queue(seg);
        let room = q.reserve(1).expect("room");
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        assert_eq!(kind(q.pop()), Err(ErrorKind::Deadlock));
        assert_eq!(kind(q.borrow_timeout(LONG)).map(drop), Err(ErrorKind::Deadlock));
        room.commit().expect("ours");
        let message = q.borrow().expect("message");
        (0..7u8).for_each(|i| q.push(&[i]).expect("room"));
        assert_eq!(kind(q.try_push(&[])), Err(ErrorKind::Full));
        assert_eq!(kind(q.push(&[])), Err(ErrorKind::Deadlock));
        drop(message);
        q.push(&[]).expect("room");
    })
    .join();
}

pub fn a_forked_child_does_not_hold_what_its_parent_holds(at: Place) {
    if at != Place::Processes {
        return;
    }
    let seg = kit::segment();
    let q = queue(&seg);
    q.push(b"message").expect("push");
    let (room, message) = (q.reserve(8).expect("room"), q.borrow().expect("message"));
    let mut guards = Some((room, message));
    kit::fork(|| {
        let (room, message) = guards.take().expect("the child's copy");
        assert_eq!(kind(room.commit()), Err(ErrorKind::NotOwner));
        assert_eq!(kind(message.put_back()), Err(ErrorKind::NotOwner));
    })
    .join();
    kit::fork(|| drop(guards.take())).join();
    let (mut room, message) = guards.take().expect("ours");
    assert_eq!(&*message, b"message");
    drop(message);
    room.copy_from_slice(b"reserved");
    room.commit().expect("ours");
    assert_eq!(q.pop().expect("pop"), b"reserved");
}

pub fn closing_wakes_all_that_wait(at: Place) {
    let seg = kit::segment();
    let empty = queue(&seg);
    let full = |seg: &Segment| seg.byte_queue("full", CAPACITY, LONGEST).expect("queue");
    (0..8u8).for_each(|i| full(&seg).push(&[i]).expect("push"));
    let words = board();
    let waiter = |n: usize| {
        at.start(&seg, move |seg| {
            let (full, empty) = (full(seg), queue(seg));
            say_where(&words[n]);
            match n {
                0 => assert_eq!(kind(empty.pop()), Err(ErrorKind::Closed)),
                1 => assert_eq!(kind(empty.borrow_timeout(LONG)).map(drop), Err(ErrorKind::Closed)),
                2 => assert_eq!(kind(full.push(&[5])), Err(ErrorKind::Closed)),
                _ => assert_eq!(kind(full.reserve_timeout(6, LONG)).map(drop), Err(ErrorKind::Closed)),
            }
        })
    };
    let waiters: Vec<_> = (0..4).map(waiter).collect();
    (0..4).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    at.start(&seg, move |seg| {
        full(seg).close().expect("close");
        queue(seg).close().expect("close");
        full(seg).close().expect("once more changes nothing");
    })
    .join();
    waiters.into_iter().for_each(|w| w.join());
    assert!(started.elapsed() < NET);
    assert!(full(&seg).is_closed() && empty.is_closed());
    assert_eq!(full(&seg).iter().collect::<Vec<_>>(), (0..8u8).map(|i| vec![i]).collect::<Vec<_>>());
    assert_eq!(kind(full(&seg).try_pop()), Err(ErrorKind::Closed));
    // The end stands where the ring began, which was all in use: it takes no message's place.
    for _ in 0..2 {
        assert_eq!(kind(full(&seg).pop_timeout(LONG)), Err(ErrorKind::Closed));
        assert_eq!((full(&seg).len(), full(&seg).len_bytes()), (0, 0));
    }
}

pub fn what_is_reserved_before_the_close_comes_before_the_end(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let words = board();
    let mut room = q.reserve(4).expect("room");
    q.close().expect("close");
    let consumer = at.start(&seg, |seg| {
        let q = queue(seg);
        say_where(&words[0]);
        assert_eq!(q.pop().expect("the last one"), b"last");
        assert_eq!(kind(q.pop()), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    room.copy_from_slice(b"last");
    room.commit().expect("ours");
    consumer.join();
    assert_eq!(kind(q.push(b"more")), Err(ErrorKind::Closed));
    assert_eq!(kind(q.reserve(1)).map(drop), Err(ErrorKind::Closed));
}

pub fn the_end_is_told_beside_messages_in_hand_unless_all_room_is(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    while q.try_push(&[7; LONGEST]).is_ok() {}
    let mut messages = Vec::new();
    while let Ok(message) = q.try_borrow() {
        messages.push(message);
    }
    assert!(messages.len() > 1);
    q.close().expect("close");
    // All room is in our hands: nothing says that it is the end.
    assert_eq!((kind(q.try_pop()), kind(q.pop())), (Err(ErrorKind::Empty), Err(ErrorKind::Deadlock)));
    assert_eq!(kind(q.borrow()).map(drop), Err(ErrorKind::Deadlock));
    let words = board();
    let waiter = at.start(&seg, |seg| {
        let q = queue(seg);
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        say_where(&words[0]);
        assert_eq!(kind(q.pop_timeout(LONG)), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    drop(messages.remove(0));
    waiter.join();
    // The others do not hold up the end, and come even so.
    assert_eq!((kind(q.try_pop()), kind(q.pop())), (Err(ErrorKind::Closed), Err(ErrorKind::Closed)));
    messages.remove(0).put_back().expect("ours");
    assert_eq!(kind(q.pop()), Ok(vec![7; LONGEST]));
    assert_eq!(kind(q.pop()), Err(ErrorKind::Closed));
}

pub fn a_push_that_races_with_the_close_is_delivered_or_refused(at: Place) {
    let mut random = Random(0xc105e);
    for round in 0..40 {
        let seg = kit::segment();
        let q = queue(&seg);
        let words = board();
        let producer = |n: usize| {
            at.start(&seg, move |seg| {
                let q = queue(seg);
                raise(&words[0]);
                let mut acknowledged = 0;
                loop {
                    let bytes = message(n as u64, acknowledged);
                    let answer = if n == 0 { q.push(&bytes) } else { q.push_timeout(&bytes, LONG) };
                    match kind(answer) {
                        Ok(()) => acknowledged += 1,
                        Err(ErrorKind::Closed) => break,
                        Err(other) => panic!("{other:?}"),
                    }
                }
                words[1].fetch_add(acknowledged, Ordering::SeqCst);
            })
        };
        let consumer = at.start(&seg, move |seg| {
            for message in queue(seg).iter() {
                read(&message);
                raise(&words[2]);
            }
        });
        let producers = [producer(0), producer(1)];
        await_word(&words[0], 2);
        for _ in 0..random.below(30_000) {
            std::hint::spin_loop();
        }
        q.close().expect("close");
        producers.into_iter().for_each(|p| p.join());
        consumer.join();
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Closed), "something came after the end");
        let (acknowledged, delivered) = (words[1].load(Ordering::SeqCst), words[2].load(Ordering::SeqCst));
        assert_eq!(delivered, acknowledged, "round {round}");
    }
}

pub fn its_numbers_are_known_when_nobody_is_at_work(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    assert_eq!((q.capacity(), q.longest(), q.peak()), (CAPACITY, LONGEST, 0));
    for round in 0..5 {
        for i in 0..8 {
            assert_eq!((q.len(), q.len_bytes(), q.is_empty()), (i, 64 * i, i == 0), "round {round}");
            at.start(&seg, |seg| queue(seg).push(b"1").expect("push")).join();
        }
        assert_eq!((q.is_full(), q.peak()), (true, CAPACITY));
        assert_eq!(kind(q.try_push(b"1")), Err(ErrorKind::Full));
        assert_eq!(q.drain().count(), 8);
        // Begin the next round at another granule.
        q.push(b"1").expect("push");
        assert_eq!(q.try_iter().count(), 1);
    }
    assert_eq!(q.peak(), CAPACITY);
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let words = board();
    let consumer = at.start(&seg, |seg| {
        let q = queue(seg);
        assert_eq!(under_signals(&words[0], || q.pop()).expect("pop"), b"1");
    });
    await_word(&words[0], MANY);
    q.push(b"1").expect("push");
    consumer.join();
    (0..8u8).for_each(|i| q.push(&[i]).expect("push"));
    let producer = at.start(&seg, |seg| {
        let q = queue(seg);
        under_signals(&words[1], || q.push(&[8])).expect("push");
    });
    await_word(&words[1], MANY);
    assert_eq!(q.pop().expect("pop"), [0]);
    producer.join();
    assert_eq!(q.drain().count(), 8);
    at.start(&seg, |seg| {
        let q = queue(seg);
        let timeout = Duration::from_millis(80);
        let (answer, took) = under_signals(&words[2], || {
            let started = Instant::now();
            (kind(q.pop_timeout(timeout)), started.elapsed())
        });
        assert_eq!(answer, Err(ErrorKind::TimedOut));
        assert!(took >= timeout && took < timeout + NET, "{took:?}");
    })
    .join();
    assert!(words[2].load(Ordering::SeqCst) > 0, "no signals: the test tests nothing");
}

pub fn a_handle_outlives_the_thread_that_made_it(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    at.start(&seg, |seg| {
        let seg = seg.clone();
        let moved = std::thread::spawn(move || {
            let q = queue(&seg);
            q.push(b"1").expect("push");
            q
        });
        let moved = moved.join().expect("maker");
        moved.push(b"2").expect("push");
        let moved = std::thread::spawn(move || {
            moved.push(b"3").expect("push");
            moved
        });
        moved.join().expect("user").push(b"4").expect("push");
    })
    .join();
    assert_eq!(q.try_iter().collect::<Vec<_>>(), [b"1", b"2", b"3", b"4"]);
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
