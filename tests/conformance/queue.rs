//! The specification of the queue, while nobody dies.

use crate::kit::{self, LONG, NET, Random, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::queue::Queue;
use interproc::{Deadline, ErrorKind, Segment};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn queue(seg: &Segment, capacity: usize) -> Queue<u64> {
    seg.queue("queue", capacity).expect("queue")
}

fn kind<T>(answer: interproc::Result<T>) -> Result<T, ErrorKind> {
    answer.map_err(|e| e.kind())
}

/// How a push was answered; on an error the value has come back.
fn pushed(value: u64, answer: Result<(), interproc::queue::PushError<u64>>) -> Result<(), ErrorKind> {
    answer.map_err(|e| {
        let kind = e.kind();
        assert_eq!(e.into_value(), value, "another value came back");
        kind
    })
}

pub fn messages_of_one_producer_come_in_order_and_each_once(at: Place) {
    for capacity in [1, 2, 3, 7, 64] {
        const EACH: u64 = 1_500;
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        let words = board();
        let producer = |n: u64| {
            at.start(&seg, move |seg| {
                let q = queue(seg, capacity);
                (0..EACH).for_each(|i| q.push(n << 32 | i).expect("push"));
                raise(&words[0]);
            })
        };
        let consumer = |_| {
            at.start(&seg, move |seg| {
                let q = queue(seg, capacity);
                let mut last = [None; 2];
                loop {
                    let value = match kind(q.pop()) {
                        Ok(value) => value,
                        Err(ErrorKind::Closed) => break,
                        Err(other) => panic!("{other:?}"),
                    };
                    let (n, i) = ((value >> 32) as usize, value as u32);
                    assert!(last[n].is_none_or(|before| before < i), "{i} after {:?}", last[n]);
                    last[n] = Some(i);
                    // Each once: counted, and summed up.
                    raise(&words[1]);
                    words[2].fetch_add(value, Ordering::SeqCst);
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
    }
}

pub fn a_full_queue_refuses_or_waits_and_gives_the_value_back(at: Place) {
    for capacity in [1, 3] {
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        let words = board();
        (0..capacity as u64).for_each(|i| q.try_push(i).expect("room"));
        at.start(&seg, move |seg| {
            let q = queue(seg, capacity);
            assert_eq!(pushed(91, q.try_push(91)), Err(ErrorKind::Full));
            for timeout in [0, 1, 30].map(Duration::from_millis) {
                let started = Instant::now();
                assert_eq!(pushed(92, q.push_timeout(92, timeout)), Err(ErrorKind::TimedOut));
                assert!(started.elapsed() >= timeout && started.elapsed() < timeout + NET);
            }
        })
        .join();
        let waiter = at.start(&seg, move |seg| {
            let q = queue(seg, capacity);
            say_where(&words[0]);
            q.push(93).expect("push");
        });
        await_asleep(&words[0]);
        assert_eq!(q.len(), capacity, "refused values are not in it");
        let all: Vec<_> = (0..=capacity).map(|_| q.pop_timeout(LONG).expect("pop")).collect();
        let expected: Vec<_> = (0..capacity as u64).chain([93]).collect();
        assert_eq!(all, expected);
        waiter.join();
    }
}

pub fn an_empty_queue_refuses_or_waits(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 2);
    let words = board();
    at.start(&seg, |seg| {
        let q = queue(seg, 2);
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
        assert_eq!(kind(q.try_pop_batch(&mut [0; 4])), Err(ErrorKind::Empty));
        for timeout in [0, 1, 30].map(Duration::from_millis) {
            let started = Instant::now();
            assert_eq!(kind(q.pop_timeout(timeout)), Err(ErrorKind::TimedOut));
            assert!(started.elapsed() >= timeout && started.elapsed() < timeout + NET);
        }
    })
    .join();
    // Each push wakes one that sleeps, however many there are.
    let waiter = |n: usize| {
        at.start(&seg, move |seg| {
            let q = queue(seg, 2);
            say_where(&words[n]);
            words[8].fetch_add(q.pop().expect("pop"), Ordering::SeqCst);
        })
    };
    let waiters: Vec<_> = (0..3).map(waiter).collect();
    (0..3).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    (1..=3).for_each(|i| q.push(i).expect("push"));
    waiters.into_iter().for_each(|w| w.join());
    assert!(started.elapsed() < NET);
    assert_eq!(words[8].load(Ordering::SeqCst), 6);
}

pub fn a_deadline_in_the_past_does_what_can_be_done_now(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 1);
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    at.start(&seg, move |seg| {
        let q = queue(seg, 1);
        let started = Instant::now();
        for deadline in past {
            assert_eq!(kind(q.pop_until(deadline)), Err(ErrorKind::TimedOut));
            assert_eq!(pushed(1, q.push_until(1, deadline)), Ok(()));
            assert_eq!(pushed(2, q.push_until(2, deadline)), Err(ErrorKind::TimedOut));
            assert_eq!(kind(q.pop_until(deadline)), Ok(1));
        }
        assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
        q.push_timeout(3, Duration::ZERO).expect("room");
    })
    .join();
    assert_eq!(kind(q.pop_timeout(Duration::ZERO)), Ok(3));
}

pub fn the_longest_wait_does_not_end_early(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 1);
    let words = board();
    for (n, longest) in
        [Deadline::after(Duration::MAX), Deadline::from_monotonic_ns(u64::MAX)].into_iter().enumerate()
    {
        let consumer = at.start(&seg, move |seg| {
            say_where(&words[n]);
            assert_eq!(kind(queue(seg, 1).pop_until(longest)), Ok(1));
        });
        await_asleep(&words[n]);
        std::thread::sleep(Duration::from_millis(60));
        q.push(1).expect("push");
        consumer.join();
        q.push(2).expect("push");
        let producer = at.start(&seg, move |seg| {
            say_where(&words[8 + n]);
            queue(seg, 1).push_until(3, longest).expect("push");
        });
        await_asleep(&words[8 + n]);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(kind(q.pop()), Ok(2));
        producer.join();
        assert_eq!(kind(q.pop()), Ok(3));
    }
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
        let mut some = vec![0; capacity + 2];
        assert_eq!(kind(q.pop_batch(&mut some)), Ok(capacity));
        assert_eq!(kind(q.pop_batch(&mut some)), Err(ErrorKind::Closed));
        assert_eq!(kind(q.try_pop_batch(&mut some)), Err(ErrorKind::Closed));
    }
}

pub fn closing_wakes_all_that_wait(at: Place) {
    let seg = kit::segment();
    let full: Queue<u64> = seg.queue("full", 2).expect("queue");
    let empty = queue(&seg, 2);
    full.push_batch(&[1, 2]).expect("push");
    let words = board();
    let waiter = |n: usize| {
        at.start(&seg, move |seg| {
            let (full, empty): (Queue<u64>, _) = (seg.queue("full", 2).expect("queue"), queue(seg, 2));
            say_where(&words[n]);
            match n {
                0 => assert_eq!(kind(empty.pop()), Err(ErrorKind::Closed)),
                1 => assert_eq!(kind(empty.pop_timeout(LONG)), Err(ErrorKind::Closed)),
                2 => assert_eq!(pushed(5, full.push(5)), Err(ErrorKind::Closed)),
                _ => assert_eq!(pushed(6, full.push_timeout(6, LONG)), Err(ErrorKind::Closed)),
            }
        })
    };
    let waiters: Vec<_> = (0..4).map(waiter).collect();
    (0..4).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    at.start(&seg, |seg| {
        let full: Queue<u64> = seg.queue("full", 2).expect("queue");
        full.close().expect("close");
        queue(seg, 2).close().expect("close");
        full.close().expect("once more changes nothing");
    })
    .join();
    waiters.into_iter().for_each(|w| w.join());
    assert!(started.elapsed() < NET);
    assert!(full.is_closed() && empty.is_closed());
    assert_eq!(
        (kind(full.pop()), kind(full.pop()), kind(full.pop())),
        (Ok(1), Ok(2), Err(ErrorKind::Closed))
    );
}

pub fn a_closed_queue_is_drained_and_then_ends_for_all(at: Place) {
    for (capacity, left) in [(1, 1), (2, 1), (3, 3), (4, 0)] {
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        // From somewhere in the ring.
        for i in 0..5 {
            q.push(i).expect("push");
            q.pop().expect("pop");
        }
        (0..left).for_each(|i| q.push(i).expect("push"));
        at.start(&seg, move |seg| queue(seg, capacity).close().expect("close")).join();
        assert_eq!(pushed(9, q.push(9)), Err(ErrorKind::Closed));
        assert_eq!(pushed(9, q.try_push(9)), Err(ErrorKind::Closed));
        assert_eq!(kind(q.try_push_batch(&[9, 9])), Err(ErrorKind::Closed));
        at.start(&seg, move |seg| {
            let q = queue(seg, capacity);
            (0..left).for_each(|i| assert_eq!(kind(q.pop()), Ok(i)));
            for _ in 0..2 {
                assert_eq!(kind(q.pop()), Err(ErrorKind::Closed));
                assert_eq!(kind(q.try_pop()), Err(ErrorKind::Closed));
                assert_eq!(kind(q.pop_timeout(Duration::ZERO)), Err(ErrorKind::Closed));
            }
        })
        .join();
        assert_eq!(kind(q.try_pop()), Err(ErrorKind::Closed));
        assert_eq!(pushed(9, q.push(9)), Err(ErrorKind::Closed));
        assert_eq!((q.len(), q.is_empty()), (0, true));
    }
}

pub fn a_push_that_races_with_the_close_is_delivered_or_refused(at: Place) {
    let mut random = Random(0xc105e);
    for round in 0..60 {
        let capacity = [1, 2, 3, 16][round % 4];
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        let words = board();
        let producer = |n: usize| {
            at.start(&seg, move |seg| {
                let q = queue(seg, capacity);
                raise(&words[0]);
                let mut acknowledged = 0;
                loop {
                    let answer = if n == 0 { q.push(1) } else { q.push_timeout(1, LONG) };
                    match pushed(1, answer) {
                        Ok(()) => acknowledged += 1,
                        Err(ErrorKind::Closed) => break,
                        Err(other) => panic!("{other:?}"),
                    }
                }
                words[1].fetch_add(acknowledged, Ordering::SeqCst);
            })
        };
        let consumer = at.start(&seg, move |seg| {
            let q = queue(seg, capacity);
            loop {
                match kind(q.pop()) {
                    Ok(_) => drop(raise(&words[2])),
                    Err(ErrorKind::Closed) => break,
                    Err(other) => panic!("{other:?}"),
                }
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

pub fn its_length_is_known_when_nobody_is_at_work(at: Place) {
    for capacity in [1, 2, 3, 8] {
        let seg = kit::segment();
        let q = queue(&seg, capacity);
        assert_eq!(q.capacity(), capacity);
        // Several times round the ring.
        for round in 0..5 {
            for i in 0..capacity {
                assert_eq!((q.len(), q.is_empty(), q.is_full()), (i, i == 0, false), "round {round}");
                at.start(&seg, move |seg| queue(seg, capacity).push(0).expect("push")).join();
            }
            for i in 0..capacity {
                assert_eq!((q.len(), q.is_full(), q.is_empty()), (capacity - i, i == 0, false));
                q.pop().expect("pop");
            }
        }
        assert!(q.is_empty() && !q.is_closed());
    }
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 1);
    let words = board();
    let consumer = at.start(&seg, |seg| {
        let q = queue(seg, 1);
        assert_eq!(kind(under_signals(&words[0], || q.pop())), Ok(1));
    });
    await_word(&words[0], MANY);
    q.push(1).expect("push");
    consumer.join();
    let full: Queue<u64> = seg.queue("full", 1).expect("queue");
    full.push(1).expect("push");
    let producer = at.start(&seg, |seg| {
        let full: Queue<u64> = seg.queue("full", 1).expect("queue");
        under_signals(&words[1], || full.push(2)).expect("push");
    });
    await_word(&words[1], MANY);
    assert_eq!(kind(full.pop()), Ok(1));
    producer.join();
    assert_eq!(kind(full.pop()), Ok(2));
    full.push(3).expect("push");
    at.start(&seg, |seg| {
        let (full, empty): (Queue<u64>, _) = (seg.queue("full", 1).expect("queue"), queue(seg, 1));
        let timeout = Duration::from_millis(80);
        let (answers, took) = under_signals(&words[2], || {
            let started = Instant::now();
            let answers = (kind(empty.pop_timeout(timeout)), pushed(4, full.push_timeout(4, timeout)));
            (answers, started.elapsed())
        });
        assert_eq!(answers, (Err(ErrorKind::TimedOut), Err(ErrorKind::TimedOut)));
        assert!(took >= 2 * timeout && took < 2 * timeout + NET, "{took:?}");
    })
    .join();
    assert!(words[2].load(Ordering::SeqCst) > 0, "no signals: the test tests nothing");
}

pub fn a_handle_outlives_the_thread_that_made_it(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg, 8);
    at.start(&seg, |seg| {
        let seg = seg.clone();
        let moved = std::thread::spawn(move || {
            let q = queue(&seg, 8);
            q.push(1).expect("push");
            q
        });
        let moved = moved.join().expect("maker");
        moved.push(2).expect("push");
        let moved = std::thread::spawn(move || {
            moved.push(3).expect("push");
            moved
        });
        moved.join().expect("user").push(4).expect("push");
    })
    .join();
    let mut all = [0; 8];
    assert_eq!(kind(q.pop_batch(&mut all)), Ok(4));
    assert_eq!(all[..4], [1, 2, 3, 4]);
}
