//! The specification of every channel with any number of users: what they do to each other, and what becomes of a message,
//! or room for one, that somebody has in hand who stops, or dies.

use super::*;
use crate::kit::Random;

/// Every producer has the number of its own in the upper half.
fn of(producer: u64, n: u64) -> u64 {
    (producer + 1) << 32 | n
}

/// Who is in the way of others: process and thread.
fn blocker<C: Shared>(p: &C::Producer) -> Option<(u32, u32)> {
    C::blocker(p).map(|who| (who.pid, who.tid))
}

/// Pushes the numbers from `first` on that have room.
fn refill<C: Shared>(p: &mut C::Producer, first: u64) {
    assert_eq!(C::fill(p, first), C::ROOM, "room was lost");
}

pub fn each_producers_messages_come_in_order_and_each_once<C: Shared>(at: Place) {
    const EACH: u64 = 1_500;
    for &shape in C::SHAPES {
        let seg = kit::segment();
        let words = board();
        let producer = |producer: u64| {
            at.start(&seg, move |seg| {
                let mut p = C::producer(seg, shape);
                for n in 0..EACH {
                    C::push_by(n as usize % C::PUSHES, &mut p, Ever, of(producer, n)).expect("push");
                }
            })
        };
        let consumer = |way: usize| {
            at.start(&seg, move |seg| {
                let mut c = C::consumer(seg, shape);
                let mut last = [None; 3];
                for round in 0.. {
                    let number = match C::pop_by((way + round) % C::POPS, &mut c, Ever) {
                        Ok(number) => number,
                        Err(ErrorKind::Closed) => break,
                        Err(other) => panic!("{other:?}"),
                    };
                    let (producer, n) = ((number >> 32) as usize, number as u32);
                    assert!(last[producer].is_none_or(|before| before < n), "{n} after {last:?}");
                    last[producer] = Some(n);
                    // Each once: counted, and summed up.
                    raise(&words[1]);
                    words[2].fetch_add(number, SeqCst);
                }
            })
        };
        let consumers: Vec<_> = (0..2).map(consumer).collect();
        let producers: Vec<_> = (0..2).map(producer).collect();
        producers.into_iter().for_each(|p| p.join());
        let p = C::close(C::producer(&seg, shape)).expect("a handle");
        consumers.into_iter().for_each(|c| c.join());
        assert_eq!(words[1].load(SeqCst), 2 * EACH);
        assert_eq!(words[2].load(SeqCst), EACH * (EACH - 1) + ((3 * EACH) << 32));
        assert!(C::producer_sees(&p).is_empty);
    }
}

pub fn each_push_wakes_one_that_sleeps<C: Shared>(at: Place) {
    let seg = kit::segment();
    let mut p = C::producer(&seg, C::SMALL);
    let words = board();
    let waiter = |n: usize| {
        at.start(&seg, move |seg| {
            let mut c = C::consumer(seg, C::SMALL);
            say_where(&words[n]);
            words[8].fetch_add(C::pop_by(n % C::POPS, &mut c, Ever).expect("pop"), SeqCst);
        })
    };
    let waiters: Vec<_> = (0..4).map(waiter).collect();
    (0..4).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    (1..=4).for_each(|n| C::push(&mut p, Ever, n).expect("push"));
    waiters.into_iter().for_each(|w| w.join());
    assert!(started.elapsed() < NET);
    assert_eq!(words[8].load(SeqCst), 10);
}

pub fn closing_wakes_all_that_wait<C: Shared>(at: Place) {
    let words = board();
    let (full, empty) = (kit::segment(), kit::segment());
    let mut p = C::producer(&full, C::SMALL);
    refill::<C>(&mut p, 0);
    let producer = |n: usize| {
        at.start(&full, move |seg| {
            let mut p = C::producer(seg, C::SMALL);
            say_where(&words[n]);
            let within = [Ever, Time(LONG)][n % 2];
            assert_eq!(C::push_by(n % C::PUSHES, &mut p, within, 5), Err(ErrorKind::Closed));
        })
    };
    let consumer = |n: usize| {
        at.start(&empty, move |seg| {
            let mut c = C::consumer(seg, C::SMALL);
            say_where(&words[8 + n]);
            let within = [Ever, Time(LONG)][n % 2];
            assert_eq!(C::pop_by(n % C::POPS, &mut c, within), Err(ErrorKind::Closed));
        })
    };
    let waiters: Vec<_> = (0..3).map(producer).chain((0..3).map(consumer)).collect();
    (0..3).for_each(|n| await_asleep(&words[n]));
    (8..11).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    for seg in [&full, &empty] {
        let close = |seg: &Segment| drop(C::close(C::producer(seg, C::SMALL)).and_then(C::close));
        at.start(seg, close).join();
    }
    waiters.into_iter().for_each(|w| w.join());
    assert!(started.elapsed() < NET);
    // What is there comes before the end, which takes no message's place.
    let mut c = C::consumer(&full, C::SMALL);
    assert_eq!(C::drain(&mut c), (0..C::ROOM).collect::<Vec<_>>());
    is_at_its_end::<C>(&mut c);
    takes_nothing_more::<C>(&mut p);
}

pub fn a_closed_one_is_drained_and_then_ends_for_all<C: Shared>(at: Place) {
    for left in 0..=C::ROOM {
        let seg = kit::segment();
        let (mut p, mut c) = C::both(&seg, C::SMALL);
        // From somewhere in the ring.
        for n in 0..5 {
            C::push(&mut p, Ever, n).expect("push");
            C::pop(&mut c, Ever).expect("pop");
        }
        (0..left).for_each(|n| C::push(&mut p, Ever, n).expect("push"));
        at.start(&seg, move |seg| drop(C::close(C::producer(seg, C::SMALL)))).join();
        takes_nothing_more::<C>(&mut p);
        at.start(&seg, move |seg| {
            let mut c = C::consumer(seg, C::SMALL);
            (0..left).for_each(|n| assert_eq!(C::pop(&mut c, Ever), Ok(n)));
            is_at_its_end::<C>(&mut c);
        })
        .join();
        is_at_its_end::<C>(&mut c);
        takes_nothing_more::<C>(&mut p);
    }
}

pub fn a_push_that_races_with_the_close_is_delivered_or_refused<C: Shared>(at: Place) {
    let mut random = Random(0xc105e);
    for round in 0..60 {
        let shape = C::SHAPES[round % C::SHAPES.len()];
        let seg = kit::segment();
        let words = board();
        let producer = |producer: u64| {
            at.start(&seg, move |seg| {
                let mut p = C::producer(seg, shape);
                raise(&words[0]);
                let mut acknowledged = 0;
                let within = if producer == 0 { Ever } else { Time(LONG) };
                loop {
                    let way = (round + acknowledged as usize) % C::PUSHES;
                    match C::push_by(way, &mut p, within, of(producer, acknowledged)) {
                        Ok(()) => acknowledged += 1,
                        Err(ErrorKind::Closed) => break,
                        Err(other) => panic!("{other:?}"),
                    }
                }
                words[1].fetch_add(acknowledged, SeqCst);
            })
        };
        let consumer = at.start(&seg, move |seg| {
            for _ in C::iter(&mut C::consumer(seg, shape)) {
                raise(&words[2]);
            }
        });
        let producers = [producer(0), producer(1)];
        await_word(&words[0], 2);
        for _ in 0..random.below(30_000) {
            std::hint::spin_loop();
        }
        let mut c = C::close_by_consumer(C::consumer(&seg, shape)).expect("a handle");
        producers.into_iter().for_each(|p| p.join());
        consumer.join();
        assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Closed), "something came after the end");
        let [acknowledged, delivered] = [1, 2].map(|n: usize| words[n].load(SeqCst));
        assert_eq!(delivered, acknowledged, "round {round}");
    }
}

pub fn a_handle_outlives_the_thread_that_made_it<C: Shared>(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let seg = seg.clone();
        let shape = C::SHAPES[C::SHAPES.len() - 1];
        let push = |p: &mut C::Producer, n| C::push(p, Ever, n).expect("push");
        let made = std::thread::spawn({
            let seg = seg.clone();
            move || {
                let mut p = C::producer(&seg, shape);
                push(&mut p, 1);
                p
            }
        });
        let mut p = made.join().expect("maker");
        push(&mut p, 2);
        let used = std::thread::spawn(move || {
            push(&mut p, 3);
            p
        });
        push(&mut used.join().expect("user"), 4);
        assert_eq!(C::drain(&mut C::consumer(&seg, shape)), [1, 2, 3, 4]);
    })
    .join();
}

// ---- in hand ---------------------------------------------------------------------------------------------------

pub fn a_reservation_keeps_its_turn_and_those_behind_it_wait<C: Shared>(at: Place) {
    let seg = kit::segment();
    let (mut p, mut c) = C::both(&seg, C::SMALL);
    let behind = |seg: &Segment| C::push(&mut C::producer(seg, C::SMALL), Now, 2).expect("room");
    for commits in [false, true] {
        let words = board();
        let mut other = C::clone_producer(&p);
        let mut room = C::reserve(&mut other, Ever).expect("room");
        room.fill(1);
        at.start(&seg, behind).join();
        assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty));
        assert_eq!(blocker::<C>(&p), Some((std::process::id(), kit::gettid() as u32)));
        let waits = |n: usize| {
            at.start(&seg, move |seg| {
                let mut c = C::consumer(seg, C::SMALL);
                say_where(&words[n]);
                words[8].fetch_add(C::pop_by(n, &mut c, Ever).expect("pop"), SeqCst);
            })
        };
        let consumers: Vec<_> = (0..1 + usize::from(commits)).map(waits).collect();
        (0..consumers.len()).for_each(|n| await_asleep(&words[n]));
        let started = Instant::now();
        if commits {
            room.commit().expect("ours");
        } else {
            drop(room);
        }
        consumers.into_iter().for_each(|c| c.join());
        assert!(started.elapsed() < NET);
        assert_eq!(words[8].load(SeqCst), 2 + u64::from(commits));
        assert_eq!(blocker::<C>(&p), None);
    }
    // Dropped without a commit: room again, and nobody waits for it.
    for _ in 0..9 {
        let mut other = C::clone_producer(&p);
        let room = C::reserve(&mut other, Ever).expect("room");
        let pushed = C::fill(&mut p, 0);
        assert!(pushed < C::ROOM);
        drop(room);
        assert_eq!(C::drain(&mut c), (0..pushed).collect::<Vec<_>>());
        refill::<C>(&mut p, 0);
        C::drain(&mut c);
    }
}

pub fn a_commit_wakes_for_the_message_behind_room_given_up<C: Shared>(at: Place) {
    let seg = kit::segment();
    let mut handles = [C::producer(&seg, C::SMALL), C::producer(&seg, C::SMALL)];
    let words = board();
    let [first, second] = &mut handles;
    let mut first = C::reserve(first, Ever).expect("room");
    let second = C::reserve(second, Ever).expect("room");
    at.start(&seg, |seg| C::push(&mut C::producer(seg, C::SMALL), Now, 2).expect("room")).join();
    drop(second);
    let consumers = [0, 1].map(|n| {
        at.start(&seg, move |seg| {
            say_where(&words[n]);
            words[8].fetch_add(C::pop(&mut C::consumer(seg, C::SMALL), Ever).expect("pop"), SeqCst);
        })
    });
    (0..2).for_each(|n| await_asleep(&words[n]));
    let started = Instant::now();
    first.fill(1);
    first.commit().expect("ours");
    consumers.into_iter().for_each(|c| c.join());
    assert!(started.elapsed() < NET);
    assert_eq!(words[8].load(SeqCst), 3);
}

pub fn room_that_was_reserved_in_vain_goes_to_one_who_waits<C: Shared>(at: Place) {
    let seg = kit::segment();
    let (mut p, mut c) = C::both(&seg, C::SMALL);
    let words = board();
    let mut other = C::clone_producer(&p);
    let room = C::reserve(&mut other, Ever).expect("room");
    let pushed = C::fill(&mut p, 0);
    let producer = at.start(&seg, |seg| {
        say_where(&words[0]);
        C::push(&mut C::producer(seg, C::SMALL), Ever, 7).expect("push");
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    drop(room);
    // Room that is not the oldest is room when those before it are gone: there are none.
    producer.join();
    assert!(started.elapsed() < NET);
    assert_eq!(C::drain(&mut c), (0..pushed).chain([7]).collect::<Vec<_>>());
}

pub fn what_is_put_back_comes_next_and_is_told<C: Shared>(at: Place) {
    let seg = kit::segment();
    let (mut p, mut c) = C::both(&seg, C::SMALL);
    let words = board();
    (1..=3).for_each(|n| C::push(&mut p, Ever, n).expect("room"));
    let put_back = |seg: &Segment| {
        let mut c = C::consumer(seg, C::SMALL);
        C::borrow(&mut c, Ever).expect("a message").put_back().expect("ours");
    };
    for _ in 0..3 {
        at.start(&seg, put_back).join();
    }
    assert_eq!(C::pop_told(&mut c, Ever), Ok((1, true)));
    let mut hands = [C::consumer(&seg, C::SMALL), C::consumer(&seg, C::SMALL)];
    let [two, three] = &mut hands;
    let (two, three) = (C::borrow(two, Ever).expect("a message"), C::borrow(three, Ever).expect("a message"));
    assert_eq!((two.number(), three.number(), two.is_redelivered()), (2, 3, false));
    // Out of order, and nothing else is there: one who waits gets what is put back first.
    three.put_back().expect("ours");
    assert_eq!(C::pop_told(&mut c, Ever), Ok((3, true)));
    let waiter = at.start(&seg, |seg| {
        say_where(&words[0]);
        assert_eq!(C::pop_told(&mut C::consumer(seg, C::SMALL), Ever), Ok((2, true)));
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    two.put_back().expect("ours");
    waiter.join();
    assert!(started.elapsed() < NET);
    (4..=6).for_each(|n| C::push(&mut p, Ever, n).expect("room"));
    assert_eq!(C::pop_told(&mut c, Ever), Ok((4, false)), "the mark does not stick to the place");
    // Closed, the end told, and the last message comes back.
    assert_eq!(C::drain(&mut c), [5, 6]);
    C::push(&mut p, Ever, 7).expect("room");
    let mut hand = C::consumer(&seg, C::SMALL);
    let message = C::borrow(&mut hand, Ever).expect("a message");
    drop(C::close(p));
    assert_eq!(C::pop(&mut c, Ever), Err(ErrorKind::Closed), "nothing is left to be handed out");
    message.put_back().expect("ours");
    assert_eq!(C::pop_told(&mut c, Ever), Ok((7, true)));
    assert_eq!(C::pop(&mut c, Ever), Err(ErrorKind::Closed));
}

pub fn a_message_put_back_is_next_whatever_was_read_behind_it<C: Shared>(at: Place) {
    let seg = kit::segment();
    let (mut p, mut c) = C::both(&seg, C::SMALL);
    (0..3).for_each(|n| C::push(&mut p, Ever, n).expect("room"));
    // Done in the wrong order, so that the hint for consumers lags.
    let mut hands: Vec<_> = (0..3).map(|_| C::consumer(&seg, C::SMALL)).collect();
    let mut read: Vec<_> = hands.iter_mut().map(|c| C::borrow(c, Ever).expect("a message")).collect();
    while let Some(message) = read.pop() {
        message.release();
    }
    drop(read);
    (3..6).for_each(|n| C::push(&mut p, Ever, n).expect("room"));
    let kept = C::borrow(&mut hands[0], Ever).expect("a message");
    assert_eq!((C::pop(&mut c, Now), C::pop(&mut c, Now)), (Ok(4), Ok(5)));
    kept.put_back().expect("ours");
    at.start(&seg, |seg| {
        assert_eq!(C::pop_told(&mut C::consumer(seg, C::SMALL), Now), Ok((3, true)));
    })
    .join();
    assert!(C::consumer_sees(&c).is_empty);
}

pub fn waiting_for_oneself_is_an_error<C: Shared>(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = C::both(seg, C::SMALL);
        // Its own reservation is the next message.
        let mut other = C::clone_producer(&p);
        let mut room = C::reserve(&mut other, Ever).expect("room");
        for way in 0..C::POPS {
            assert_eq!(C::pop_by(way, &mut c, Now), Err(ErrorKind::Empty));
            assert_eq!(C::pop_by(way, &mut c, Ever), Err(ErrorKind::Deadlock));
            assert_eq!(C::pop_by(way, &mut c, Time(LONG)), Err(ErrorKind::Deadlock));
        }
        room.fill(0);
        room.commit().expect("ours");
        // The message in its hands has the place of the next one.
        let pushed = C::fill(&mut p, 1);
        let mut hand = C::consumer(seg, C::SMALL);
        let message = C::borrow(&mut hand, Ever).expect("a message");
        for way in 0..C::PUSHES {
            assert_eq!(C::push_by(way, &mut p, Now, 3), Err(ErrorKind::Full));
            assert_eq!(C::push_by(way, &mut p, Ever, 3), Err(ErrorKind::Deadlock));
            assert_eq!(C::push_by(way, &mut p, Time(LONG), 3), Err(ErrorKind::Deadlock));
        }
        assert_eq!(C::pop(&mut c, Ever), Ok(1), "the next one is there");
        message.release();
        C::push(&mut p, Ever, pushed + 1).expect("room");
        assert_eq!(C::drain(&mut c), (2..pushed + 2).collect::<Vec<_>>());
    })
    .join();
}

pub fn a_closed_one_takes_what_was_reserved_before_and_nothing_else<C: Shared>(at: Place) {
    let seg = kit::segment();
    let (mut p, mut c) = C::both(&seg, C::SMALL);
    let words = board();
    let mut other = C::clone_producer(&p);
    let mut room = C::reserve(&mut other, Ever).expect("room");
    at.start(&seg, |seg| drop(C::close(C::producer(seg, C::SMALL)))).join();
    takes_nothing_more::<C>(&mut p);
    let consumers = [0, 1].map(|n| {
        at.start(&seg, move |seg| {
            let mut c = C::consumer(seg, C::SMALL);
            say_where(&words[n]);
            match C::pop_by(n, &mut c, Ever) {
                Ok(7) => drop(raise(&words[2])),
                Err(ErrorKind::Closed) => drop(raise(&words[3])),
                other => panic!("{other:?}"),
            }
        })
    });
    (0..2).for_each(|n| await_asleep(&words[n]));
    room.fill(7);
    room.commit().expect("ours");
    consumers.into_iter().for_each(|c| c.join());
    assert_eq!((words[2].load(SeqCst), words[3].load(SeqCst)), (1, 1));
    is_at_its_end::<C>(&mut c);
    takes_nothing_more::<C>(&mut p);
}

pub fn the_end_is_told_beside_messages_in_hand_unless_all_room_is<C: Shared>(at: Place) {
    let seg = kit::segment();
    let (mut p, mut c) = C::both(&seg, C::SMALL);
    refill::<C>(&mut p, 0);
    let mut hands: Vec<_> = (0..C::ROOM).map(|_| C::consumer(&seg, C::SMALL)).collect();
    let mut messages: Vec<_> = hands.iter_mut().map(|c| C::borrow(c, Now).expect("a message")).collect();
    drop(C::close(p));
    // All room is in our hands: nothing says that it is the end.
    for way in 0..C::POPS {
        assert_eq!(C::pop_by(way, &mut c, Now), Err(ErrorKind::Empty));
        assert_eq!(C::pop_by(way, &mut c, Ever), Err(ErrorKind::Deadlock));
    }
    let words = board();
    let waiter = at.start(&seg, |seg| {
        let mut c = C::consumer(seg, C::SMALL);
        assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty));
        say_where(&words[0]);
        assert_eq!(C::pop(&mut c, Time(LONG)), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    messages.remove(0).release();
    waiter.join();
    // The others do not hold up the end, and come even so.
    assert_eq!((C::pop(&mut c, Now), C::pop(&mut c, Ever)), (Err(ErrorKind::Closed), Err(ErrorKind::Closed)));
    messages.remove(0).put_back().expect("ours");
    assert_eq!(C::pop_told(&mut c, Ever), Ok((1, true)));
    assert_eq!(C::pop(&mut c, Ever), Err(ErrorKind::Closed));
}

pub fn what_a_parent_has_in_hand_is_anothers_to_its_child<C: Shared>(at: Place) {
    if at != Place::Processes {
        return;
    }
    let seg = kit::segment();
    let (mut p, mut c) = C::both(&seg, C::SMALL);
    C::push(&mut p, Ever, 1).expect("room");
    let mut other = C::clone_producer(&p);
    let (message, room) =
        (C::borrow(&mut c, Ever).expect("a message"), C::reserve(&mut other, Ever).expect("room"));
    kit::fork(|| {
        let (mut p, mut c) = C::both(&seg, C::SMALL);
        let pushed = C::fill(&mut p, 5);
        assert!(pushed < C::ROOM);
        assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty));
        assert_eq!(C::pop(&mut c, Time(Duration::from_millis(5))), Err(ErrorKind::TimedOut), "not its own");
    })
    .join();
    drop(room);
    message.release();
    C::drain(&mut C::consumer(&seg, C::SMALL));
    refill::<C>(&mut p, 0);
}

// ---- those who stop, or die ------------------------------------------------------------------------------------

/// Reserves room, fills it, and does `inside` before the commit.
fn reserve_with<C: Shared>(seg: &Segment, number: u64, inside: impl FnOnce()) {
    let mut p = C::producer(seg, C::SMALL);
    let mut room = C::reserve(&mut p, Ever).expect("room");
    room.fill(number);
    inside();
    room.commit().expect("ours");
}

/// Takes the next message and does `inside` before it is released; which one it was.
fn borrow_with<C: Shared>(seg: &Segment, inside: impl FnOnce()) -> u64 {
    let mut c = C::consumer(seg, C::SMALL);
    let message = C::borrow(&mut c, Ever).expect("a message");
    inside();
    let number = message.number();
    message.release();
    number
}

/// Pushes in the midst of a copy, or in place.
fn write_with<C: Shared>(in_place: bool, seg: &Segment, number: u64, inside: impl FnOnce()) {
    if in_place { reserve_with::<C>(seg, number, inside) } else { C::push_with(seg, number, inside) }
}

fn read_with<C: Shared>(in_place: bool, seg: &Segment, inside: impl FnOnce()) {
    if in_place { _ = borrow_with::<C>(seg, inside) } else { C::pop_with(seg, inside) }
}

pub fn who_stands_in_the_way_is_named<C: Shared>(at: Place) {
    for in_place in [false, true] {
        let seg = kit::segment();
        let (mut p, mut c) = C::both(&seg, C::SMALL);
        let words = board();
        assert_eq!(blocker::<C>(&p), None);
        // A writer at work: those who pop wait for it, those who push do not.
        let writer = at.start(&seg, move |seg| {
            write_with::<C>(in_place, seg, 7, || {
                say_where(&words[0]);
                await_word(&words[1], 1);
            });
        });
        await_word(&words[0], 1);
        assert_eq!(blocker::<C>(&p), Some(ids(&words[0])));
        C::push(&mut p, Now, 8).expect("push");
        assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty));
        assert_eq!(C::pop(&mut c, Time(Duration::from_millis(120))), Err(ErrorKind::TimedOut));
        raise(&words[1]);
        assert_eq!((C::pop(&mut c, Ever), C::pop(&mut c, Ever)), (Ok(7), Ok(8)));
        writer.join();
        assert_eq!(blocker::<C>(&p), None);
        // A reader at work: others pop past it, those who push find room until they come round to its place.
        C::push(&mut p, Now, 1).expect("push");
        let reader = at.start(&seg, move |seg| {
            read_with::<C>(in_place, seg, || {
                say_where(&words[2]);
                await_word(&words[3], 1);
            });
        });
        await_word(&words[2], 1);
        C::push(&mut p, Now, 2).expect("push");
        assert_eq!(C::pop(&mut c, Ever), Ok(2));
        let pushed = C::fill(&mut p, 3);
        assert_eq!(blocker::<C>(&p), Some(ids(&words[2])));
        let waiter = at.start(&seg, |seg| {
            say_where(&words[4]);
            C::push(&mut C::producer(seg, C::SMALL), Ever, 90).expect("push");
        });
        await_asleep(&words[4]);
        raise(&words[3]);
        waiter.join();
        reader.join();
        assert_eq!(C::drain(&mut c), (3..3 + pushed).chain([90]).collect::<Vec<_>>());
    }
}

pub fn a_stopped_process_is_named<C: Shared>(at: Place) {
    // A thread alone cannot be stopped.
    if at != Place::Processes {
        return;
    }
    for in_place in [false, true] {
        let seg = kit::segment();
        let (p, mut c) = C::both(&seg, C::SMALL);
        let stop = || {
            // SAFETY: stops this process.
            unsafe { libc::raise(libc::SIGSTOP) };
        };
        let Actor::Process(kid) = at.start(&seg, move |seg| write_with::<C>(in_place, seg, 7, stop)) else {
            unreachable!()
        };
        kid.wait_stopped();
        assert_eq!(blocker::<C>(&p).map(|ids| ids.0), Some(kid.pid as u32));
        assert_eq!(C::pop(&mut c, Time(Duration::from_millis(120))), Err(ErrorKind::TimedOut));
        assert!(blocker::<C>(&p).is_some(), "who is stopped is not dead");
        kid.signal(libc::SIGCONT);
        assert_eq!(C::pop(&mut c, Time(LONG)), Ok(7));
        kid.join();
    }
}

pub fn a_message_whose_reader_died_is_delivered_again_and_said_so<C: Shared>(at: Place) {
    for (in_place, told_in_place) in [(false, false), (true, false), (false, true), (true, true)] {
        for deaths in [1, 2, C::ROOM, 2 * C::ROOM] {
            let seg = kit::segment();
            let (mut p, mut c) = C::both(&seg, C::SMALL);
            (1..=3).for_each(|n| C::push(&mut p, Now, n).expect("push"));
            for _ in 0..deaths {
                at.start(&seg, move |seg| read_with::<C>(in_place, seg, || at.die())).gone();
            }
            assert_eq!(blocker::<C>(&p), None, "the dead are in nobody's way");
            assert!(C::consumer_sees(&c).len.is_none_or(|len| len == 3));
            // In their order, the one that was being read marked.
            if told_in_place {
                let mut hand = C::consumer(&seg, C::SMALL);
                let first = C::borrow(&mut hand, Ever).expect("a message");
                assert_eq!((first.number(), first.is_redelivered()), (1, true));
                // The others are passed on, the room is not.
                assert_eq!(C::pop_told(&mut c, Now), Ok((2, false)));
                let pushed = C::fill(&mut p, 50);
                assert_eq!(pushed, C::ROOM - 3);
                first.release();
                assert_eq!(C::drain(&mut c), [3].into_iter().chain(50..50 + pushed).collect::<Vec<_>>());
            } else {
                for n in 1..=3 {
                    assert_eq!(C::pop_told(&mut c, Now), Ok((n, n == 1)));
                }
            }
            refill::<C>(&mut p, 4);
            assert_eq!(C::pop_told(&mut c, Ever), Ok((4, false)), "the mark does not stick to the place");
        }
    }
}

pub fn a_message_whose_writer_died_is_not_delivered_and_its_room_is_not_lost<C: Shared>(at: Place) {
    for deaths in [1, 2, C::ROOM, 2 * C::ROOM] {
        for looks_first in [false, true] {
            let seg = kit::segment();
            let (mut p, mut c) = C::both(&seg, C::SMALL);
            let dies = |n: u64| {
                at.start(&seg, move |seg| write_with::<C>(n.is_multiple_of(2), seg, 99, || at.die())).gone();
                assert_eq!(blocker::<C>(&C::producer(&seg, C::SMALL)), None);
            };
            (0..deaths).for_each(dies);
            let all = |from: u64| (from..from + C::ROOM).collect::<Vec<_>>();
            if looks_first {
                assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty));
            }
            let pushed = C::fill(&mut p, 10);
            assert!(pushed == C::ROOM || !C::GAPS_ARE_ROOM, "room was lost");
            assert_eq!(C::drain(&mut c), all(10)[..pushed as usize]);
            refill::<C>(&mut p, 20);
            assert_eq!(C::drain(&mut c), all(20));
            assert!(C::consumer_sees(&c).is_empty);
            // Closed with a gap in front: the end is still found.
            dies(deaths);
            drop(C::close(p));
            is_at_its_end::<C>(&mut c);
        }
    }
}

/// Half of these are shorter.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

pub fn who_waits_behind_a_death_goes_on_at_once<C: Shared>(at: Place) {
    let mut times = Vec::new();
    for round in 0..20 {
        let seg = kit::segment();
        let (mut p, _c) = C::both(&seg, C::SMALL);
        let words = board();
        let in_place = round / 4 % 2 == 0;
        if round % 4 == 3 && !C::GAPS_ARE_ROOM {
            continue;
        }
        let inside = move || {
            raise(&words[0]);
            await_word(&words[1], 1);
            words[2].store(Deadline::now().as_monotonic_ns(), SeqCst);
            at.die();
        };
        let goes_on = move || words[4].store(Deadline::now().as_monotonic_ns(), SeqCst);
        let consumer = |expected: (u64, bool)| {
            at.start(&seg, move |seg| {
                say_where(&words[3]);
                let got = C::pop_told(&mut C::consumer(seg, C::SMALL), Ever);
                goes_on();
                assert_eq!(got, Ok(expected));
            })
        };
        let (victim, sleeper) = match round % 4 {
            // A message that is written before another one.
            0 => {
                let victim = at.start(&seg, move |seg| write_with::<C>(in_place, seg, 7, inside));
                await_word(&words[0], 1);
                C::push(&mut p, Now, 8).expect("push");
                (victim, consumer((8, false)))
            }
            // A message that is being read, and nothing else.
            1 => {
                C::push(&mut p, Now, 1).expect("push");
                let victim = at.start(&seg, move |seg| read_with::<C>(in_place, seg, inside));
                await_word(&words[0], 1);
                (victim, consumer((1, true)))
            }
            // As above; the sleeper was there before, and watches nobody. Who wakes first dies.
            2 => {
                let taker = |n: usize| {
                    at.start(&seg, move |seg| {
                        let mut c = C::consumer(seg, C::SMALL);
                        say_where(&words[5 + n]);
                        let message = C::borrow(&mut c, Ever).expect("a message");
                        if words[8].fetch_add(1, SeqCst) == 0 {
                            inside();
                        }
                        assert_eq!((message.number(), message.is_redelivered()), (1, true));
                        goes_on();
                    })
                };
                let takers = [taker(0), taker(1)];
                await_asleep(&words[5]);
                await_asleep(&words[6]);
                C::push(&mut p, Now, 1).expect("push");
                await_word(&words[0], 1);
                let started = Instant::now();
                raise(&words[1]);
                takers.into_iter().for_each(Actor::ended);
                assert!(started.elapsed() < NET);
                let (died, went_on) = (words[2].load(SeqCst), words[4].load(SeqCst));
                assert!(went_on != 0, "the other one did not get it");
                times.push(Duration::from_nanos(went_on.saturating_sub(died)));
                continue;
            }
            // Room that a producer waits for.
            _ => {
                let victim = at.start(&seg, move |seg| reserve_with::<C>(seg, 7, inside));
                await_word(&words[0], 1);
                C::fill(&mut p, 10);
                let producer = at.start(&seg, move |seg| {
                    say_where(&words[3]);
                    C::push(&mut C::producer(seg, C::SMALL), Ever, 9).expect("push");
                    goes_on();
                });
                (victim, producer)
            }
        };
        await_asleep(&words[3]);
        let started = Instant::now();
        raise(&words[1]);
        victim.gone();
        sleeper.join();
        assert!(started.elapsed() < NET);
        let (died, went_on) = (words[2].load(SeqCst), words[4].load(SeqCst));
        times.push(Duration::from_nanos(went_on.saturating_sub(died)));
    }
    assert!(median(times.clone()) < Duration::from_millis(15), "{times:?}");
}
