//! The specification of Spsc: two seats, messages in order, an end; handles that move; deaths in between operations.
//! (Deaths inside of them are the sweep's.)

use crate::kit::{self, Bare, LONG, NET, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::queue::PushError;
use interproc::queue::spsc::{Consumer, Producer};
use interproc::{Deadline, ErrorKind, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn producer(seg: &Segment, capacity: usize) -> Producer<u64> {
    seg.spsc_producer("spsc", capacity).expect("the producer's seat")
}

fn consumer(seg: &Segment, capacity: usize) -> Consumer<u64> {
    seg.spsc_consumer("spsc", capacity).expect("the consumer's seat")
}

fn kind<T>(answer: interproc::Result<T>) -> Result<T, ErrorKind> {
    answer.map_err(|e| e.kind())
}

/// How a push was answered; on an error the value has come back.
fn pushed(value: u64, answer: Result<(), PushError<u64>>) -> Result<(), ErrorKind> {
    answer.map_err(|e| {
        let kind = e.kind();
        assert_eq!(e.into_value(), value, "another value came back");
        kind
    })
}

pub fn messages_come_in_order_and_each_once(at: Place) {
    for capacity in [1, 2, 3, 7, 64] {
        for every in [1, 3, 1000] {
            const COUNT: u64 = 3_000;
            let seg = kit::segment();
            let sends = at.start(&seg, move |seg| {
                let mut p = producer(seg, capacity);
                p.publish_every(every);
                (0..COUNT).for_each(|i| p.push(i).expect("push"));
                p.close().expect("close");
            });
            let receives = at.start(&seg, move |seg| {
                let mut c = consumer(seg, capacity);
                c.free_every(every).expect("seated");
                assert!(c.iter().eq(0..COUNT), "in order, each once");
                assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
            });
            sends.join();
            receives.join();
        }
    }
}

pub fn batches_and_chunks_keep_the_order_whatever_their_size(at: Place) {
    for capacity in [1, 5, 16] {
        // Two who wait for more than the capacity together would wait for each other.
        let half = (capacity / 2).max(1);
        const COUNT: u64 = 2_000;
        let seg = kit::segment();
        let sends = at.start(&seg, move |seg| {
            let mut p = producer(seg, capacity);
            let mut next = 0;
            while next < COUNT {
                let n = (next % 7 + 1).min(COUNT - next);
                match next % 4 {
                    0 => p.push_batch(&Vec::from_iter(next..next + n)).expect("push"),
                    1 => {
                        let n = p.try_push_batch(&Vec::from_iter(next..next + n)).unwrap_or(0);
                        next += n as u64;
                        continue;
                    }
                    2 => {
                        let n = n.min(half as u64);
                        let chunk = p.reserve_uninit(n as usize).expect("room");
                        assert_eq!(
                            chunk.fill_from_iter(next..next + n).map_err(|e| e.kind()),
                            Ok(n as usize)
                        );
                        next += n;
                        continue;
                    }
                    _ => {
                        let n = n.min(half as u64);
                        let mut chunk = p.reserve(n as usize).expect("room");
                        let (a, b) = chunk.as_mut_slices();
                        a.iter_mut().chain(b).zip(next..).for_each(|(slot, value)| *slot = value);
                        // Only a part of it.
                        let part = (n as usize).div_ceil(2);
                        chunk.commit(part).expect("open");
                        next += part as u64;
                        continue;
                    }
                }
                next += n;
            }
            p.close().expect("close");
        });
        let receives = at.start(&seg, move |seg| {
            let mut c = consumer(seg, capacity);
            let mut next = 0;
            while next < COUNT {
                match next % 3 {
                    0 => {
                        let mut into = [0; 9];
                        let n = c.pop_batch(&mut into).expect("some");
                        assert!(into[..n].iter().copied().eq(next..next + n as u64));
                        next += n as u64;
                    }
                    1 => {
                        let chunk = c.borrow(3.min(half)).expect("some");
                        let got: Vec<u64> = [chunk.as_slices().0, chunk.as_slices().1].concat();
                        assert!(got.iter().copied().eq(next..next + got.len() as u64));
                        let part = got.len().div_ceil(2);
                        chunk.release(part);
                        next += part as u64;
                    }
                    _ => {
                        let mut taken = 0;
                        for value in c.borrow(2.min(half)).expect("some").into_iter().take(1) {
                            assert_eq!(value, next);
                            taken += 1;
                        }
                        next += taken;
                    }
                }
            }
            assert_eq!(kind(c.pop_batch(&mut [0; 3])), Err(ErrorKind::Closed));
        });
        sends.join();
        receives.join();
    }
}

pub fn a_full_queue_refuses_or_waits_and_gives_the_value_back(at: Place) {
    for capacity in [1, 3] {
        let seg = kit::segment();
        let words = board();
        let sends = at.start(&seg, move |seg| {
            let mut p = producer(seg, capacity);
            (0..capacity as u64).for_each(|i| p.try_push(i).expect("room"));
            assert!(p.is_full() && p.len() == capacity);
            assert_eq!(pushed(91, p.try_push(91)), Err(ErrorKind::Full));
            assert_eq!(kind(p.try_push_batch(&[1, 2])), Err(ErrorKind::Full));
            assert_eq!(kind(p.try_reserve(1).map(drop)), Err(ErrorKind::Full));
            assert_eq!(kind(p.try_reserve(capacity + 1).map(drop)), Err(ErrorKind::InvalidInput));
            for timeout in [0, 1, 30].map(Duration::from_millis) {
                let started = Instant::now();
                assert_eq!(pushed(92, p.push_timeout(92, timeout)), Err(ErrorKind::TimedOut));
                assert!(started.elapsed() >= timeout && started.elapsed() < timeout + NET);
            }
            assert_eq!(p.peak(), capacity);
            say_where(&words[0]);
            p.push(93).expect("push");
        });
        await_asleep(&words[0]);
        let mut c = consumer(&seg, capacity);
        let all: Vec<_> = (0..=capacity).map(|_| c.pop_timeout(LONG).expect("pop")).collect();
        let expected: Vec<_> = (0..capacity as u64).chain([93]).collect();
        assert_eq!(all, expected);
        sends.join();
    }
}

pub fn an_empty_queue_refuses_or_waits(at: Place) {
    let seg = kit::segment();
    let words = board();
    let mut p = producer(&seg, 2);
    let receives = at.start(&seg, |seg| {
        let mut c = consumer(seg, 2);
        assert_eq!(kind(c.try_pop()), Err(ErrorKind::Empty));
        assert_eq!(kind(c.peek().map(drop)), Err(ErrorKind::Empty));
        assert_eq!(kind(c.try_pop_batch(&mut [0; 4])), Err(ErrorKind::Empty));
        assert_eq!(kind(c.try_borrow(1).map(drop)), Err(ErrorKind::Empty));
        assert_eq!(c.try_iter().count() + c.drain().count(), 0);
        for timeout in [0, 1, 30].map(Duration::from_millis) {
            let started = Instant::now();
            assert_eq!(kind(c.pop_timeout(timeout)), Err(ErrorKind::TimedOut));
            assert!(started.elapsed() >= timeout && started.elapsed() < timeout + NET);
        }
        say_where(&words[0]);
        assert_eq!(c.pop().expect("pop"), 6);
        raise(&words[1]);
        assert_eq!(c.pop_until(Deadline::from_monotonic_ns(u64::MAX)).expect("pop"), 7);
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    p.push(6).expect("push");
    await_word(&words[1], 1);
    p.push(7).expect("push");
    receives.join();
    assert!(started.elapsed() < NET);
}

pub fn what_is_not_published_is_published_before_it_is_waited_for(at: Place) {
    let seg = kit::segment();
    let words = board();
    let receives = at.start(&seg, |seg| {
        let mut c = consumer(seg, 4);
        c.free_every(4).expect("seated");
        say_where(&words[0]);
        // Each of the two waits for the other one, with something not told.
        for i in 0..20 {
            assert_eq!(c.pop().expect("pop"), i);
        }
        assert_eq!(kind(c.try_pop()), Err(ErrorKind::Empty));
        raise(&words[1]);
        assert_eq!(c.pop().expect("when the handle is dropped"), 20);
    });
    await_asleep(&words[0]);
    let mut p = producer(&seg, 4);
    p.publish_every(1000);
    (0..20).for_each(|i| p.push(i).expect("push"));
    assert_eq!(p.len() + p.unpublished(), 4.min(p.len() + p.unpublished()));
    p.flush().expect("open");
    await_word(&words[1], 1);
    p.push(20).expect("push");
    drop(p);
    receives.join();
    // A try that finds it full publishes, too.
    let mut p = producer(&seg, 4);
    p.publish_every(1000);
    (0..4).for_each(|i| p.try_push(i).expect("room"));
    assert_eq!(p.len(), 0);
    assert_eq!(pushed(4, p.try_push(4)), Err(ErrorKind::Full));
    assert_eq!(p.len(), 4);
}

pub fn closing_by_either_side_wakes_the_other_and_ends_it(at: Place) {
    for by_producer in [true, false] {
        let seg = kit::segment();
        let words = board();
        if by_producer {
            let mut p = producer(&seg, 2);
            let waits = at.start(&seg, |seg| {
                let mut c = consumer(seg, 2);
                say_where(&words[0]);
                assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
                assert_eq!(kind(c.try_pop()), Err(ErrorKind::Closed));
            });
            await_asleep(&words[0]);
            p.close().expect("close");
            p.close().expect("once more");
            assert_eq!(pushed(1, p.push(1)), Err(ErrorKind::Closed));
            waits.join();
        } else {
            let mut c = consumer(&seg, 2);
            let waits = at.start(&seg, |seg| {
                let mut p = producer(seg, 2);
                p.push_batch(&[1, 2]).expect("room");
                say_where(&words[0]);
                assert_eq!(pushed(3, p.push(3)), Err(ErrorKind::Closed));
                assert_eq!(pushed(3, p.try_push(3)), Err(ErrorKind::Closed));
            });
            await_asleep(&words[0]);
            c.close().expect("close");
            waits.join();
            assert_eq!(c.borrow(2).expect("what is there").len(), 2);
            assert_eq!((c.pop().expect("1"), c.pop().expect("2")), (1, 2));
            assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
            drop(c);
            // For good.
            let mut p = producer(&seg, 2);
            assert_eq!(pushed(3, p.push(3)), Err(ErrorKind::Closed));
            p.publish_every(2);
            p.push(4).expect("not published yet");
            assert_eq!(kind(p.flush()), Err(ErrorKind::Closed));
            assert_eq!(kind(consumer(&seg, 2).pop()), Err(ErrorKind::Closed));
        }
    }
}

pub fn a_push_that_races_with_the_close_is_delivered_or_refused(at: Place) {
    for round in 0..60 {
        let seg = kit::segment();
        let words = board();
        let sends = at.start(&seg, move |seg| {
            let mut p = producer(seg, 4);
            p.publish_every(1 + round % 2);
            raise(&words[0]);
            let mut sure = 0;
            loop {
                let before = sure + p.unpublished() as u64;
                match p.push_timeout(before, LONG) {
                    Ok(()) => sure = before + 1 - p.unpublished() as u64,
                    Err(e) => {
                        assert_eq!(e.kind(), ErrorKind::Closed);
                        // What was not published may have got in before the wait that was refused.
                        words[2].store(before, Ordering::SeqCst);
                        break;
                    }
                }
            }
            words[1].store(sure, Ordering::SeqCst);
        });
        await_word(&words[0], 1);
        let mut c = consumer(&seg, 4);
        (0..5).for_each(|i| assert_eq!(c.pop().expect("open"), i));
        c.close().expect("close");
        let rest = c.iter().count() as u64;
        sends.join();
        let [sure, tried] = [1, 2].map(|at: usize| words[at].load(Ordering::SeqCst));
        assert!(
            (sure..=tried).contains(&(5 + rest)),
            "{sure}..={tried} acknowledged, {} delivered",
            5 + rest
        );
        assert!(round % 2 == 1 || sure == tried);
        assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
    }
}

pub fn a_seat_is_one_threads_as_long_as_it_lives(at: Place) {
    let seg = kit::segment();
    let words = board();
    let holds = at.start(&seg, |seg| {
        let p = producer(seg, 4);
        say_where(&words[0]);
        await_word(&words[1], 1);
        drop(p);
    });
    await_word(&words[0], 1);
    let refused = seg.spsc_producer::<u64>("spsc", 4).expect_err("held");
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    let where_it_is = words[0].load(Ordering::SeqCst);
    let text = format!("thread {} of process {}", where_it_is as u32, where_it_is >> 32);
    assert!(refused.to_string().contains(&text), "{refused}");
    let c = consumer(&seg, 4);
    let peer = c.peer().expect("a look").expect("somebody");
    assert_eq!((peer.pid, peer.tid), ((where_it_is >> 32) as u32, where_it_is as u32));
    assert!(peer.alive);
    assert_eq!(kind(seg.spsc_consumer::<u64>("spsc", 4).map(drop)), Err(ErrorKind::WouldBlock), "also by us");
    raise(&words[1]);
    holds.join();
    assert_eq!(c.peer().expect("a look"), None);
    // One that dies leaves it without a word, and what it had published.
    at.start(&seg, move |seg| {
        let mut p = producer(seg, 4);
        p.publish_every(2);
        (1..=3).for_each(|i| p.push(i).expect("room"));
        at.die();
    })
    .gone();
    assert!(c.peer().expect("a look").is_some_and(|who| !who.alive));
    let mut p = producer(&seg, 4);
    p.push(4).expect("room");
    drop(c);
    let mut c = consumer(&seg, 4);
    let got: Vec<_> = c.drain().collect();
    assert_eq!(got, [1, 2, 4], "what it had not published is gone");
}

pub fn what_a_dead_consumer_had_not_freed_comes_again_and_is_flagged(at: Place) {
    let seg = kit::segment();
    let mut p = producer(&seg, 8);
    p.push_batch(&[1, 2, 3, 4, 5]).expect("room");
    at.start(&seg, move |seg| {
        let mut c = consumer(seg, 8);
        c.free_every(4).expect("seated");
        assert_eq!((c.pop().expect("1"), c.pop().expect("2")), (1, 2));
        at.die();
    })
    .gone();
    // The next one reads one of them and dies over a chunk.
    at.start(&seg, move |seg| {
        let mut c = consumer(seg, 8);
        let first = c.pop_delivery().expect("1");
        assert!(first.value == 1 && first.redelivered);
        let chunk = c.borrow(2).expect("two");
        assert_eq!(chunk.redelivered(), 2, "the first one may have read so many");
        at.die();
    })
    .gone();
    // And one that leaves without a look.
    drop(consumer(&seg, 8));
    let mut c = consumer(&seg, 8);
    let got: Vec<_> =
        (0..4).map(|_| c.pop_delivery().expect("a message")).map(|d| (d.value, d.redelivered)).collect();
    assert_eq!(got, [(2, true), (3, true), (4, true), (5, false)]);
    assert_eq!(kind(c.try_pop()), Err(ErrorKind::Empty));
}

pub fn who_waits_for_the_dead_goes_on_with_the_next(at: Place) {
    let seg = kit::segment();
    let words = board();
    let waits = at.start(&seg, |seg| {
        let mut c = consumer(seg, 2);
        say_where(&words[0]);
        (1..=3).for_each(|i| assert_eq!(c.pop().expect("pop"), i));
    });
    await_asleep(&words[0]);
    // Producers that come, push one and die; the consumer sleeps in between.
    for i in 1..=3 {
        at.start(&seg, move |seg| {
            producer(seg, 2).push(i).expect("room");
            at.die();
        })
        .gone();
    }
    waits.join();
}

pub fn a_handle_moves_between_threads(at: Place) {
    let seg = kit::segment();
    at.start(&seg, move |seg| {
        let words = board();
        let (mut p, mut c) = (producer(seg, 4), consumer(seg, 4));
        p.publish_every(3);
        p.push(1).expect("room");
        // There and back, the first thread alive; its unpublished message comes along.
        std::thread::scope(|s| {
            s.spawn(|| {
                p.push(2).expect("moved");
                let here = c.peer().expect("a look").expect("somebody");
                assert_eq!(here.tid, kit::gettid() as u32, "its seat came along");
            });
        });
        p.flush().expect("moved back");
        assert_eq!((c.pop().expect("1"), c.pop().expect("2")), (1, 2));
        // Made in a thread that has ended: the seat was a dead one's, until the first use.
        drop((p, c));
        let (mut p, mut c) = std::thread::scope(|s| s.spawn(|| (producer(seg, 4), consumer(seg, 4))).join())
            .expect("no panic");
        p.push(3).expect("a dead thread's seat");
        assert_eq!(c.pop().expect("a dead thread's seat"), 3);
        // Dropped elsewhere, unused there: the seats are free.
        std::thread::spawn(move || drop((p, c))).join().expect("no panic");
        let (p, c) = std::thread::scope(|s| s.spawn(|| (producer(seg, 4), consumer(seg, 4))).join())
            .expect("no panic");
        // Both threads gone, and others have taken over.
        let (mut other_p, mut other_c) = (producer(seg, 4), consumer(seg, 4));
        let (mut p, mut c) = (p, c);
        assert_eq!(pushed(4, p.push(4)), Err(ErrorKind::Stale));
        assert_eq!(kind(p.flush()), Ok(()), "nothing to flush");
        assert_eq!(kind(p.close()), Err(ErrorKind::Stale));
        assert_eq!(kind(c.pop()), Err(ErrorKind::Stale));
        assert_eq!(kind(c.try_pop_batch(&mut [0; 2])), Err(ErrorKind::Stale));
        drop((p, c));
        other_p.push(5).expect("still seated");
        assert_eq!(other_c.pop().expect("still seated"), 5);
        let _ = words;
    })
    .join();
}

pub fn a_peer_asleep_sees_the_seat_move(at: Place) {
    let seg = kit::segment();
    let words = board();
    let waits = at.start(&seg, |seg| {
        let mut c = consumer(seg, 4);
        say_where(&words[0]);
        assert_eq!(c.pop().expect("pop"), 1);
    });
    await_asleep(&words[0]);
    let mut p = producer(&seg, 4);
    std::thread::scope(|s| {
        s.spawn(move || p.push(1).expect("moved"));
    });
    waits.join();
}

pub fn a_forked_child_has_no_part_in_its_parents_seats(_: Place) {
    for raw in [false, true] {
        let seg = kit::segment();
        let (mut p, mut c) = (producer(&seg, 4), consumer(&seg, 4));
        p.publish_every(2);
        p.push(1).expect("room");
        let parts = std::cell::RefCell::new(Some((p, c)));
        kit::child(raw, || {
            let (mut p, mut c) = parts.take().expect("ours");
            assert_eq!(pushed(2, p.push(2)), Err(ErrorKind::NotOwner));
            assert_eq!(kind(p.flush()), Err(ErrorKind::NotOwner));
            assert_eq!(kind(c.try_pop()), Err(ErrorKind::NotOwner));
            assert_eq!(kind(c.close()), Err(ErrorKind::NotOwner));
            drop((p, c));
            assert_eq!(kind(seg.spsc_producer::<u64>("spsc", 4).map(drop)), Err(ErrorKind::WouldBlock));
        })
        .join();
        (p, c) = parts.take().expect("ours");
        assert_eq!(p.unpublished(), 1);
        p.push(2).expect("still ours");
        assert_eq!((c.pop().expect("1"), c.pop().expect("2")), (1, 2));
        assert!(!p.is_closed());
        // Chunks, too, are the parent's.
        let chunk = std::cell::RefCell::new(Some(p.reserve(2).expect("room")));
        kit::child(raw, || {
            let chunk = chunk.take().expect("ours");
            assert_eq!(kind(chunk.commit_all()), Err(ErrorKind::NotOwner));
        })
        .join();
        chunk.take().expect("ours").fill_from_iter([7, 8]).expect("still ours");
        let chunk = std::cell::RefCell::new(Some(c.borrow(2).expect("two")));
        kit::child(raw, || {
            let values: Vec<u64> = chunk.take().expect("ours").into_iter().collect();
            assert_eq!(values, [7, 8]);
        })
        .join();
        assert_eq!((c.pop().expect("7"), c.pop().expect("8")), (7, 8));
        // Its own are its own.
        drop((p, c));
        kit::child(raw, || {
            let (mut p, mut c) = (producer(&seg, 4), consumer(&seg, 4));
            p.push(3).expect("room");
            assert_eq!(c.pop().expect("3"), 3);
        })
        .join();
    }
}

pub fn scribbled_counts_and_seats_are_errors_never_a_crash(at: Place) {
    let seg = kit::segment();
    drop((producer(&seg, 4), consumer(&seg, 4)));
    let bare = Bare::new(&seg);
    let (start, _) = bare.object("spsc");
    let word = |at: usize| -> &AtomicU64 {
        // SAFETY: inside the object; aligned.
        unsafe { bare.base.add(start + at).cast().as_ref() }
    };
    const WORDS: [usize; 9] = [24, 32, 40, 128, 136, 144, 256, 264, 280];
    const VALUES: [u64; 10] = [0, 1, 3, 4, 5, 1 << 40, u64::MAX, u64::MAX - 3, 1 << 63, (1 << 62) | 4];
    let run = move |seg: &Segment, value: u64| {
        let soon = || Deadline::after(Duration::from_millis(3));
        let before = kit::gettid();
        if let (Ok(mut p), Ok(mut c)) =
            (seg.spsc_producer::<u64>("spsc", 4), seg.spsc_consumer::<u64>("spsc", 4))
        {
            p.publish_every((value % 7) as usize);
            let _ = c.free_every((value % 5) as usize);
            for i in 0..6 {
                let _ = p.push_until(i, soon());
                let _ = p.try_push_batch(&[1, 2, 3, 4, 5]);
                let _ = p.try_reserve(3).map(|chunk| chunk.fill_from_iter(0..));
                let _ = c.pop_until(soon());
                let _ = c.try_pop_batch(&mut [0; 5]);
                let _ = c.try_borrow(3).map(|chunk| chunk.into_iter().count());
                let _ = (p.len(), c.len(), p.peak(), p.is_full(), c.is_empty(), c.try_iter().take(9).count());
            }
        }
        assert_eq!(before, kit::gettid());
    };
    for at_word in WORDS {
        for value in VALUES {
            let old = WORDS.map(|w| word(w).load(Ordering::SeqCst));
            word(at_word).store(value, Ordering::SeqCst);
            at.start(&seg, move |seg| run(seg, value)).join();
            WORDS.iter().zip(old).for_each(|(&w, old)| word(w).store(old, Ordering::SeqCst));
        }
    }
    // And while they are used.
    let words = board();
    let users = at.start(&seg, move |seg| {
        while words[0].load(Ordering::SeqCst) == 0 {
            run(seg, words[1].load(Ordering::SeqCst));
        }
    });
    for round in 0..4000_usize {
        let (w, v) = (WORDS[round % 9], VALUES[round / 9 % 10]);
        words[1].store(v, Ordering::SeqCst);
        word(w).store(v, Ordering::SeqCst);
        std::thread::yield_now();
    }
    // Whoever sleeps is woken by nobody but its deadline; a closed word ends it.
    raise(&words[0]);
    users.join();
}

pub fn a_queue_of_another_shape_is_refused_with_both_sides_named(_: Place) {
    let seg = kit::segment();
    drop(producer(&seg, 4));
    for refused in [
        seg.spsc_consumer::<u64>("spsc", 5).map(drop),
        seg.spsc_consumer::<u32>("spsc", 4).map(drop),
        seg.queue::<u64>("spsc", 4).map(drop),
    ] {
        let e = refused.expect_err("another shape");
        assert_eq!(e.kind(), ErrorKind::TypeMismatch);
        assert!(e.to_string().contains("\"spsc\" is an Spsc of 8-byte elements x 4"), "{e}");
    }
    assert_eq!(kind(seg.spsc_producer::<u64>("none", 0).map(drop)), Err(ErrorKind::InvalidInput));
    // Any size and alignment up to 64.
    #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, PartialEq, Debug)]
    #[repr(C, align(64))]
    struct Wide([u8; 64]);
    let mut p = seg.spsc_producer::<Wide>("wide", 3).expect("a seat");
    let mut c = seg.spsc_consumer::<Wide>("wide", 3).expect("a seat");
    p.push(Wide([7; 64])).expect("room");
    assert_eq!(std::ptr::from_ref(c.peek().expect("one")).addr() % 64, 0);
    assert_eq!(c.pop().expect("one"), Wide([7; 64]));
    let mut p = seg.spsc_producer::<[u8; 3]>("odd", 3).expect("a seat");
    let mut c = seg.spsc_consumer::<[u8; 3]>("odd", 3).expect("a seat");
    for n in 0..9 {
        p.push([n, n + 1, n + 2]).expect("room");
        assert_eq!(c.pop().expect("one"), [n, n + 1, n + 2]);
    }
}

pub fn it_can_be_looked_at(at: Place) {
    let name = format!("/interproc-test-spsc-{}-{at:?}", std::process::id());
    let seg = Segment::options().size(1 << 12).create(&name).expect("segment");
    let words = board();
    let mut p = producer(&seg, 4);
    p.push_batch(&[1, 2, 3]).expect("room");
    let waits = at.start(&seg, |seg| {
        let mut c = consumer(seg, 4);
        (1..=3).for_each(|i| assert_eq!(c.pop().expect("pop"), i));
        say_where(&words[0]);
        assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    let look = Segment::open_read_only(&name).expect("a look");
    Segment::unlink(&name).expect("unlink");
    let view = look.view().expect("readable");
    let object = view.objects.iter().find(|o| o.info.name == "spsc").expect("there");
    assert_eq!((object.type_name, object.state), (Some("Spsc"), Some("empty")));
    let fact = |name: &str| object.facts.iter().find(|f| f.0 == name).map(|f| f.1);
    assert_eq!((fact("depth"), fact("capacity"), fact("element bytes")), (Some(0), Some(4), Some(8)));
    assert_eq!((fact("consumers asleep"), fact("producers asleep")), (Some(1), Some(0)));
    let seats: Vec<_> = object.holders.iter().map(|h| (h.part, h.who.pid, h.who.tid)).collect();
    let consumer_at = words[0].load(Ordering::SeqCst);
    assert_eq!(
        seats,
        [
            ("produces", std::process::id(), kit::gettid() as u32),
            ("consumes", (consumer_at >> 32) as u32, consumer_at as u32)
        ]
    );
    p.close().expect("close");
    waits.join();
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let seg = kit::segment();
    let words = board();
    let sends = at.start(&seg, |seg| {
        let mut p = producer(seg, 1);
        under_signals(&words[0], || {
            for i in 0..40 {
                p.push(i).expect("push");
                if i % 8 == 0 {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        });
        p.close().expect("close");
    });
    let receives = at.start(&seg, |seg| {
        let mut c = consumer(seg, 1);
        under_signals(&words[1], || {
            for i in 0..40 {
                assert_eq!(c.pop().expect("pop"), i);
                if i % 5 == 0 {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            while words[1].load(Ordering::SeqCst) < MANY {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
    });
    sends.join();
    receives.join();
}
