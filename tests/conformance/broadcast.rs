//! The specification of the broadcast.

use crate::kit::{self, LONG, NET, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::queue::{Broadcast, BroadcastOptions, Since, Slow, Subscriber};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

fn news(seg: &Segment, capacity: usize) -> Broadcast<u64> {
    seg.broadcast("news", BroadcastOptions::new(capacity)).expect("broadcast")
}

fn new(capacity: usize) -> (Segment, Broadcast<u64>, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let broadcast = news(&seg, capacity);
    (seg, broadcast, board())
}

fn kind<T>(result: interproc::Result<T>) -> Result<T, ErrorKind> {
    result.map_err(|e| e.kind())
}

/// Publishes until it would have to wait.
fn fill(broadcast: &Broadcast<u64>) -> u64 {
    (0..).find(|&n| kind(broadcast.try_publish(n)) == Err(ErrorKind::Full)).expect("an end")
}

pub fn everybody_gets_everything_in_one_order(at: Place) {
    const EACH: u64 = 1_000;
    for capacity in [2, 8, 100] {
        let (seg, _b, words) = new(capacity);
        let reads = |nth: usize| {
            at.start(&seg, move |seg| {
                let mut mine = news(seg, capacity).subscribe(Slow::Waits).expect("a seat");
                words[0].fetch_add(1, SeqCst);
                let (mut next, mut sum) = ([0, 0], 0u64);
                while let Ok(value) = mine.recv() {
                    let (who, n) = ((value >> 32) as usize, value & u64::from(u32::MAX));
                    assert_eq!(n, next[who], "of each publisher in its order");
                    next[who] += 1;
                    sum = sum.wrapping_mul(31).wrapping_add(value);
                }
                assert_eq!((next, mine.missed(), mine.lag()), ([EACH; 2], 0, 0));
                words[1 + nth].store(sum, SeqCst);
            })
        };
        let readers: Vec<_> = (0..3).map(reads).collect();
        await_word(&words[0], 3);
        let writes = |who: u64| {
            at.start(&seg, move |seg| {
                let b = news(seg, capacity);
                (0..EACH).for_each(|n| _ = b.publish(who << 32 | n).expect("open"));
            })
        };
        let writers = [writes(0), writes(1)];
        writers.into_iter().for_each(|w| w.join());
        news(&seg, capacity).close().expect("a member");
        readers.into_iter().for_each(|r| r.join());
        let sums: Vec<u64> = words[1..4].iter().map(|word| word.load(SeqCst)).collect();
        assert!(sums[0] == sums[1] && sums[1] == sums[2], "in one order: {sums:?}");
        words[..4].iter().for_each(|word| word.store(0, SeqCst));
    }
}

pub fn the_only_publisher_reaches_everybody_and_keeps_others_out(at: Place) {
    const COUNT: u64 = 20_000;
    let (seg, b, words) = new(64);
    let reads = || {
        at.start(&seg, move |seg| {
            let b = news(seg, 64);
            let mut mine = b.subscribe(Slow::Waits).expect("a seat");
            raise(&words[0]);
            for n in 0..COUNT {
                assert_eq!(mine.recv(), Ok(n));
            }
            assert_eq!(kind(mine.recv()), Ok(u64::MAX));
        })
    };
    let readers = [reads(), reads()];
    await_word(&words[0], 2);
    let mut publisher = b.publisher(Wait::ForEver).expect("nobody publishes");
    assert_eq!(kind(b.publisher(Wait::Never)).map(drop), Err(ErrorKind::Deadlock));
    assert_eq!(kind(b.try_publish(0)), Err(ErrorKind::Deadlock));
    let other = at.start(&seg, move |seg| {
        let b = news(seg, 64);
        assert_eq!(kind(b.try_publish(0)), Err(ErrorKind::WouldBlock));
        assert_eq!(kind(b.publish_timeout(0, Duration::from_millis(1))), Err(ErrorKind::TimedOut));
        // Who joins needs nobody.
        let late = b.subscribe(Slow::Waits).expect("a seat");
        assert_eq!(b.subscribers(), Ok(3));
        drop(late);
        say_where(&words[1]);
        b.publish(u64::MAX).expect("once it is gone");
    });
    for n in 0..COUNT {
        publisher.publish(n).expect("open");
        if n == COUNT / 2 {
            await_asleep(&words[1]);
        }
    }
    drop(publisher);
    readers.into_iter().for_each(|r| r.join());
    other.join();
}

/// Nothing is torn, and each gap is told.
pub fn who_lags_is_told_how_many_it_missed(at: Place) {
    type Wide = [u64; 9];
    let wide = |seg: &Segment, capacity| {
        seg.broadcast::<Wide>("wide", BroadcastOptions::new(capacity)).expect("broadcast")
    };
    for (capacity, alone) in [(2, false), (16, false), (64, true)] {
        let (seg, words) = (kit::segment(), board());
        let b = wide(&seg, capacity);
        let reads = || {
            at.start(&seg, move |seg| {
                let mut lazy = wide(seg, capacity).subscribe(Slow::Lags).expect("a seat");
                raise(&words[0]);
                let (mut next, mut all) = (0, 0);
                loop {
                    match lazy.recv_news(Wait::ForEver) {
                        Ok(news) => {
                            assert!(news.value.iter().all(|&v| v == news.value[0]), "torn: {news:?}");
                            assert_eq!(news.value[0], next + news.missed, "a gap that is not told");
                            next = news.value[0] + 1;
                            all += 1 + news.missed;
                        }
                        Err(e) => break assert_eq!(e.kind(), ErrorKind::Closed),
                    }
                }
                words[2].fetch_add(lazy.missed(), SeqCst);
                assert!(all <= 50_000 && lazy.lag() == 0, "{all}");
            })
        };
        let readers = [reads(), reads()];
        await_word(&words[0], 2);
        if alone {
            let mut publisher = b.publisher(Wait::ForEver).expect("nobody publishes");
            (0..50_000).for_each(|n| _ = publisher.publish([n; 9]).expect("open"));
            publisher.close().expect("its own");
        } else {
            (0..50_000).for_each(|n| _ = b.publish([n; 9]).expect("open"));
            b.close().expect("a member");
        }
        readers.into_iter().for_each(|r| r.join());
        words[0].store(0, SeqCst);
    }
    // One that sleeps through it all.
    let (_seg, b, _) = new(16);
    let mut lazy = b.subscribe(Slow::Lags).expect("a seat");
    (0..100).for_each(|n| _ = b.publish(n).expect("waits for nobody"));
    let first = lazy.recv_news(Wait::Never).expect("what is kept");
    assert!(first.value == first.missed && first.missed >= 84, "{first:?}");
    let rest: Vec<u64> = std::iter::from_fn(|| lazy.try_recv().ok()).collect();
    assert_eq!(rest, (first.value + 1..100).collect::<Vec<_>>());
    assert_eq!(lazy.missed(), first.missed);
}

pub fn a_dead_subscriber_is_waited_for_no_more(at: Place) {
    for alone in [false, true] {
        let (seg, b, words) = new(2);
        let doomed = at.start(&seg, move |seg| {
            let _mine = news(seg, 2).subscribe(Slow::Waits).expect("a seat");
            raise(&words[0]);
            await_word(&words[1], 1);
            words[3].store(Deadline::now().as_monotonic_ns(), SeqCst);
            at.die();
        });
        await_word(&words[0], 1);
        assert_eq!(fill(&b), 2);
        let publishes = at.start(&seg, move |seg| {
            let b = news(seg, 2);
            let publisher = alone.then(|| b.publisher(Wait::ForEver).expect("nobody publishes"));
            say_where(&words[2]);
            match publisher {
                Some(mut publisher) => publisher.publish(9).map(drop),
                None => b.publish(9).map(drop),
            }
            .expect("room");
            let late = Deadline::now().as_monotonic_ns() - words[3].load(SeqCst);
            assert!(Duration::from_nanos(late) < NET, "{late} ns");
        });
        await_asleep(&words[2]);
        raise(&words[1]);
        doomed.gone();
        publishes.join();
        assert_eq!(b.subscribers(), Ok(0));
        b.publish(10).expect("nobody is waited for");
        words[..4].iter().for_each(|word| word.store(0, SeqCst));
    }
}

pub fn a_dead_publisher_is_followed_by_others(at: Place) {
    let (seg, b, words) = new(4);
    let mut mine = b.subscribe(Slow::Waits).expect("a seat");
    for round in 0..8u64 {
        at.start(&seg, move |seg| {
            let b = news(seg, 4);
            match round % 4 {
                0 => {
                    b.publish(round).expect("room");
                    at.die();
                }
                1 => {
                    let mut publisher = b.publisher(Wait::ForEver).expect("nobody publishes");
                    publisher.publish(round).expect("room");
                    at.die();
                }
                2 => {
                    let mut place = b.reserve_one(Wait::ForEver).expect("room");
                    *place = 77;
                    at.die();
                }
                _ => {
                    let mut publisher = b.publisher(Wait::ForEver).expect("nobody publishes");
                    let mut place = publisher.reserve_one(Wait::ForEver).expect("room");
                    *place = 78;
                    at.die();
                }
            }
        })
        .gone();
        if round % 4 < 2 {
            assert_eq!(mine.try_recv(), Ok(round));
        }
        assert_eq!(kind(mine.try_recv()), Err(ErrorKind::Empty), "what was not published is not there");
        b.publish(100 + round).expect("others go on");
        assert_eq!(mine.try_recv(), Ok(100 + round));
    }
    // One that sleeps is told of a message whose publisher dies at once.
    let doomed = at.start(&seg, move |seg| {
        await_word(&words[1], 1);
        let b = news(seg, 4);
        let mut publisher = b.publisher(Wait::ForEver).expect("nobody publishes");
        publisher.publish(5).expect("room");
        at.die();
    });
    let reads = at.start(&seg, move |seg| {
        let mut mine = news(seg, 4).subscribe(Slow::Waits).expect("a seat");
        say_where(&words[0]);
        assert_eq!(mine.recv_timeout(LONG), Ok(5));
    });
    await_asleep(&words[0]);
    raise(&words[1]);
    doomed.gone();
    reads.join();
}

pub fn who_comes_late_may_have_the_last_ones(_: Place) {
    let (_seg, b, _) = new(16);
    (0..5).for_each(|n| _ = b.publish(n).expect("open"));
    let rest = |mut s: Subscriber<u64>| std::iter::from_fn(|| s.try_recv().ok()).collect::<Vec<u64>>();
    for slow in [Slow::Waits, Slow::Lags] {
        let since = |since| b.subscribe_since(slow, since).expect("a seat");
        assert_eq!(rest(since(Since::Now)), [0u64; 0]);
        assert_eq!(rest(since(Since::Last(2))), [3, 4]);
        assert_eq!(rest(since(Since::Last(100))), [0, 1, 2, 3, 4]);
    }
    (5..100).for_each(|n| _ = b.publish(n).expect("open"));
    let late = b.subscribe_since(Slow::Waits, Since::Last(u64::MAX)).expect("a seat");
    // Those that are claimed are not there any more: here two at most.
    assert!((14..=16).contains(&late.lag()), "{late:?}");
    let first = late.position();
    assert_eq!(kind(b.try_publish(100)).is_ok(), late.lag() < 16 || b.published() == 101);
    let all = rest(late);
    assert_eq!(all, (first..b.published()).collect::<Vec<_>>());
}

/// Others join and leave all the time.
pub fn who_joins_gets_all_that_comes_after(at: Place) {
    let (seg, b, words) = new(16);
    let joins = || {
        at.start(&seg, move |seg| {
            let b = news(seg, 16);
            for round in 0..300u64 {
                let slow = if round % 3 == 0 { Slow::Lags } else { Slow::Waits };
                let since = if round % 2 == 0 { Since::Now } else { Since::Last(round % 9) };
                let mut mine = b.subscribe_since(slow, since).expect("a seat");
                let mut next = mine.position();
                for _ in 0..round % 23 {
                    let news = mine.recv_news(Wait::ForEver).expect("more comes");
                    assert_eq!(news.value, next + news.missed);
                    assert!(slow == Slow::Lags || news.missed == 0);
                    next = news.value + 1;
                }
            }
            raise(&words[0]);
        })
    };
    let joiners: Vec<_> = (0..3).map(|_| joins()).collect();
    let mut publisher = None;
    for n in 0.. {
        if n % 5_000 == 0 {
            publisher = (n % 10_000 == 0).then(|| b.publisher(Wait::ForEver).expect("nobody publishes"));
        }
        match &mut publisher {
            Some(publisher) => publisher.publish(n).expect("open"),
            None => b.publish(n).expect("open"),
        };
        if n % 64 == 0 && words[0].load(SeqCst) == 3 {
            break;
        }
    }
    joiners.into_iter().for_each(|j| j.join());
}

pub fn the_end_comes_after_the_last_message(at: Place) {
    let (seg, b, words) = new(8);
    let mut behind = b.subscribe(Slow::Waits).expect("a seat");
    let waits = at.start(&seg, move |seg| {
        let mut mine = news(seg, 8).subscribe(Slow::Waits).expect("a seat");
        say_where(&words[0]);
        assert_eq!(mine.recv(), Ok(1));
        say_where(&words[0]);
        assert_eq!(kind(mine.recv()), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    b.publish(1).expect("open");
    await_asleep(&words[0]);
    b.close().expect("a member");
    b.close().expect("again");
    waits.join();
    assert!(b.is_closed());
    assert_eq!(kind(b.try_publish(2)), Err(ErrorKind::Closed));
    assert_eq!(behind.recv(), Ok(1));
    assert_eq!(kind(behind.try_recv()), Err(ErrorKind::Closed));
    assert_eq!(kind(behind.recv()), Err(ErrorKind::Closed));
    let mut late = b.subscribe_since(Slow::Lags, Since::Last(9)).expect("a seat");
    assert_eq!((late.recv(), kind(late.recv())), (Ok(1), Err(ErrorKind::Closed)));
}

pub fn a_wait_for_room_ends_with_room_or_the_end(at: Place) {
    let (seg, b, words) = new(2);
    let mut slow = b.subscribe(Slow::Waits).expect("a seat");
    assert_eq!(kind(b.publish(0)), Ok(0));
    assert_eq!(kind(b.publish(1)), Ok(1));
    assert_eq!(kind(b.publish(2)), Err(ErrorKind::Deadlock), "only the caller itself could go on");
    let waits = at.start(&seg, move |seg| {
        let b = news(seg, 2);
        assert_eq!(kind(b.publish_timeout(2, Duration::from_millis(5))), Err(ErrorKind::TimedOut));
        assert_eq!(kind(b.publish_by(2, Wait::Until(Deadline::now()))), Err(ErrorKind::TimedOut));
        say_where(&words[0]);
        b.publish(2).expect("room");
        raise(&words[1]);
        assert_eq!(kind(b.publish(3)), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    assert_eq!(slow.recv(), Ok(0));
    await_word(&words[1], 1);
    await_asleep(&words[0]);
    b.close().expect("a member");
    waits.join();
    assert_eq!(slow.iter().collect::<Vec<_>>(), [1, 2]);
    // Or with its leave.
    let (seg, b, words) = new(2);
    let slow = b.subscribe(Slow::Waits).expect("a seat");
    fill(&b);
    let waits = at.start(&seg, move |seg| {
        say_where(&words[0]);
        news(seg, 2).publish(9).expect("room");
    });
    await_asleep(&words[0]);
    drop(slow);
    waits.join();
}

pub fn a_try_does_what_can_be_done_now(_: Place) {
    let seg = kit::segment();
    let b = seg.broadcast::<u64>("few", BroadcastOptions::new(4).subscribers(2)).expect("broadcast");
    let (mut one, two) =
        (b.subscribe(Slow::Waits).expect("a seat"), b.subscribe(Slow::Lags).expect("a seat"));
    assert_eq!(kind(b.subscribe(Slow::Lags)).map(drop), Err(ErrorKind::WouldBlock));
    drop(two);
    let mut two = b.subscribe(Slow::Lags).expect("its seat is free");
    assert_eq!(kind(one.try_recv()), Err(ErrorKind::Empty));
    assert_eq!(kind(one.recv_by(Wait::Until(Deadline::from_monotonic_ns(0)))), Err(ErrorKind::TimedOut));
    b.publish_by(5, Wait::Until(Deadline::from_monotonic_ns(0))).expect("there is room");
    assert_eq!(one.recv_by(Wait::Until(Deadline::from_monotonic_ns(0))), Ok(5));
    assert_eq!(two.recv_timeout(Duration::ZERO), Ok(5));
    assert_eq!(fill(&b), 4, "all of its room");
    assert_eq!((one.lag(), one.slow(), two.slow()), (4, Slow::Waits, Slow::Lags));
}

pub fn messages_in_place_are_whole(at: Place) {
    let seg = kit::segment();
    let b = seg.byte_broadcast("texts", 100, BroadcastOptions::new(4)).expect("broadcast");
    let mut one = b.subscribe(Slow::Waits).expect("a seat");
    let mut lazy = b.subscribe(Slow::Lags).expect("a seat");
    let mut place = b.reserve(10, Wait::ForEver).expect("room");
    place[..5].copy_from_slice(b"hello");
    assert_eq!(kind(b.try_publish(b"no".as_slice())), Err(ErrorKind::Deadlock));
    assert_eq!(kind(b.close()), Err(ErrorKind::Deadlock));
    assert_eq!(kind(one.try_recv()), Err(ErrorKind::Empty));
    place.commit_len(5).expect("its own");
    b.reserve(10, Wait::Never).expect("room").abort();
    assert_eq!(kind(b.reserve(101, Wait::Never)).map(drop), Err(ErrorKind::TooLarge));
    assert_eq!(kind(b.publish(&[0u8; 101][..])), Err(ErrorKind::TooLarge));
    assert_eq!(kind(lazy.borrow(Wait::Never)).map(drop), Err(ErrorKind::InvalidInput));
    assert_eq!(one.recv_into(&mut [0; 2], Wait::Never).expect_err("too small").needed(), Some(5));
    assert_eq!(lazy.recv_into(&mut [0; 2], Wait::Never).expect_err("too small").needed(), Some(5));
    one.borrow(Wait::Never).expect("a message").put_back().expect("its own");
    let message = one.borrow(Wait::Never).expect("a message");
    assert_eq!(&*message, b"hello");
    drop(message);
    assert_eq!(kind(one.borrow(Wait::Never)).map(drop), Err(ErrorKind::Empty));
    assert_eq!(lazy.recv(), Ok(b"hello".to_vec()));
    // What is borrowed is not overwritten.
    (0..3u8).for_each(|n| _ = b.publish([n; 7].as_slice()).expect("room"));
    let kept = one.borrow(Wait::Never).expect("a message");
    at.start(&seg, |seg| {
        let b = seg.byte_broadcast("texts", 100, BroadcastOptions::new(4)).expect("broadcast");
        while b.try_publish([9; 9].as_slice()).is_ok() {}
    })
    .join();
    assert_eq!(&*kept, [0; 7]);
    drop(kept);
    let mut publisher = b.publisher(Wait::ForEver).expect("nobody publishes");
    let mut place = publisher.reserve(100, Wait::Never).expect("room");
    place.fill(3);
    place.commit().expect("its own");
    drop(publisher.reserve(100, Wait::Never));
    drop(publisher);
    assert_eq!(std::iter::from_fn(|| one.try_recv().ok()).last(), Some(vec![3; 100]));
}

pub fn a_subscriber_is_of_its_thread(at: Place) {
    let (_seg, b, _) = new(2);
    let mut mine = b.subscribe(Slow::Waits).expect("a seat");
    if at == Place::Processes {
        let (copy, kept) = (std::cell::Cell::new(Some(mine)), std::cell::Cell::new(None));
        kit::fork(|| {
            let mut copy = copy.take().expect("a copy");
            assert_eq!(kind(copy.try_recv()), Err(ErrorKind::NotOwner));
            drop(copy);
            b.publish(1).expect("the handle is good in a child");
        })
        .join();
        kept.set(copy.take());
        mine = kept.take().expect("the subscriber");
        assert_eq!((b.subscribers(), mine.recv()), (Ok(1), Ok(1)));
        return;
    }
    // Another thread goes on with it.
    std::thread::scope(|s| {
        s.spawn(|| {
            b.publish(1).expect("room");
            assert_eq!(mine.recv(), Ok(1));
            mine.recv_timeout(Duration::from_millis(1)).expect_err("nothing more");
        });
    });
    // That one has ended: who publishes gives it up, or this one has it again.
    let given_up = (0..3).all(|n| b.try_publish(n).is_ok());
    match kind(mine.try_recv()) {
        Ok(value) => assert!(value == 0 && !given_up),
        other => assert_eq!(other, Err(ErrorKind::Stale)),
    }
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, b, words) = new(2);
    let reads = at.start(&seg, move |seg| {
        let mut mine = news(seg, 2).subscribe(Slow::Waits).expect("a seat");
        under_signals(&words[0], || {
            assert_eq!(mine.recv(), Ok(1));
            assert_eq!(kind(mine.recv_timeout(Duration::from_millis(20))), Err(ErrorKind::TimedOut));
        });
    });
    await_word(&words[0], MANY);
    b.publish(1).expect("room");
    reads.join();
    let mut slow = b.subscribe(Slow::Waits).expect("a seat");
    fill(&b);
    words[0].store(0, SeqCst);
    let publishes = at.start(&seg, move |seg| {
        let b = news(seg, 2);
        under_signals(&words[0], || _ = b.publish(7).expect("room"));
    });
    await_word(&words[0], MANY);
    assert_eq!(slow.recv(), Ok(0));
    publishes.join();
    let begin = Instant::now();
    assert_eq!(slow.iter().take(2).collect::<Vec<_>>(), [1, 7]);
    assert!(begin.elapsed() < LONG);
}

pub fn other_options_and_types_are_refused(_: Place) {
    let (seg, _b, _) = new(4);
    let options = BroadcastOptions::new(4);
    for other in [BroadcastOptions::new(5), options.subscribers(65)] {
        assert_eq!(kind(seg.broadcast::<u64>("news", other)).map(drop), Err(ErrorKind::TypeMismatch));
    }
    assert_eq!(kind(seg.broadcast::<i64>("news", options)).map(drop), Err(ErrorKind::TypeMismatch));
    assert_eq!(kind(seg.byte_broadcast("news", 8, options)).map(drop), Err(ErrorKind::TypeMismatch));
    for impossible in [
        BroadcastOptions::new(1),
        BroadcastOptions::new(1 << 31),
        options.subscribers(0),
        options.subscribers(5000),
    ] {
        assert_eq!(kind(seg.broadcast::<u64>("none", impossible)).map(drop), Err(ErrorKind::InvalidInput));
    }
}
