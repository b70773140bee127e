//! The specification of every channel with a seat for one producer and one for one consumer: whose they are, what becomes of
//! them and of what is in the channel when somebody dies, moves or forks; what is published late and freed late.

use super::*;

/// A shape with room for many messages, none of which is held back.
fn roomy<C: Seated>() -> Shape {
    Shape { every: 1, ..C::SHAPES[C::SHAPES.len() - 1] }
}

/// So seldom that it does not happen by itself.
fn seldom<C: Seated>() -> usize {
    1000 * C::EACH
}

pub fn a_seat_is_one_holders_until_it_is_left<C: Seated>(at: Place) {
    let seg = kit::segment();
    let words = board();
    let holds = at.start(&seg, |seg| {
        let p = C::producer(seg, C::SMALL);
        say_where(&words[0]);
        await_word(&words[1], 1);
        drop(p);
        raise(&words[2]);
        await_word(&words[1], 2);
    });
    await_word(&words[0], 1);
    assert_eq!(C::open_producer(&seg, C::SMALL).err(), Some(ErrorKind::WouldBlock));
    let c = C::consumer(&seg, C::SMALL);
    let named = C::producer_of(&c).expect("somebody");
    assert_eq!(((named.pid, named.tid), named.alive), (ids(&words[0]), true));
    assert_eq!(C::open_consumer(&seg, C::SMALL).err(), Some(ErrorKind::WouldBlock), "also by us");
    raise(&words[1]);
    await_word(&words[2], 1);
    assert!(C::producer_of(&c).is_none());
    let p = C::producer(&seg, C::SMALL);
    let named = C::consumer_of(&p).expect("we");
    assert_eq!((named.pid, named.tid, named.alive), (std::process::id(), kit::gettid() as u32, true));
    raise(&words[1]);
    holds.join();
    at.start(&seg, |seg| {
        assert_eq!(C::open_producer(seg, C::SMALL).err(), Some(ErrorKind::WouldBlock));
        assert_eq!(C::open_consumer(seg, C::SMALL).err(), Some(ErrorKind::WouldBlock));
        assert_eq!(C::open_consumer(seg, roomy::<C>()).err(), Some(ErrorKind::TypeMismatch));
    })
    .join();
    drop((p, c));
    at.start(&seg, |seg| {
        let (p, c) = C::both(seg, C::SMALL);
        assert!(C::consumer_of(&p).is_some_and(|who| who.alive));
        drop(p);
        assert!(C::producer_of(&c).is_none());
    })
    .join();
}

pub fn a_closed_one_is_closed_for_newcomers_too<C: Seated>(at: Place) {
    for by_producer in [true, false] {
        let seg = kit::segment();
        let (mut p, c) = C::both(&seg, C::SMALL);
        C::push(&mut p, Ever, 1).expect("room");
        if by_producer {
            drop((C::close(p), c));
        } else {
            drop((C::close_by_consumer(c), p));
        }
        at.start(&seg, |seg| {
            takes_nothing_more::<C>(&mut C::producer(seg, C::SMALL));
            let mut c = C::consumer(seg, C::SMALL);
            assert_eq!(C::pop(&mut c, Ever), Ok(1));
            is_at_its_end::<C>(&mut c);
        })
        .join();
    }
}

pub fn a_push_that_races_with_the_close_is_delivered_or_refused<C: Seated>(at: Place) {
    let mut random = kit::Random(0xc105e);
    for round in 0..60 {
        let seg = kit::segment();
        let words = board();
        let shape = Shape { every: 1, ..C::SHAPES[round % C::SHAPES.len()] };
        let sends = at.start(&seg, move |seg| {
            let mut p = C::producer(seg, shape);
            raise(&words[0]);
            let mut acknowledged = 0;
            loop {
                let way = (round + acknowledged as usize) % C::PUSHES;
                match C::push_by(way, &mut p, if round % 2 == 0 { Ever } else { Time(LONG) }, acknowledged) {
                    Ok(()) => acknowledged += 1,
                    Err(ErrorKind::Closed) => break,
                    Err(other) => panic!("{other:?}"),
                }
            }
            words[1].store(acknowledged, SeqCst);
        });
        let mut c = C::consumer(&seg, shape);
        await_word(&words[0], 1);
        let mut received = 0;
        for _ in 0..random.below(300) {
            received += C::try_iter(&mut c).count() as u64;
        }
        let mut c = C::close_by_consumer(c).expect("the handle");
        received += C::iter(&mut c).count() as u64;
        sends.join();
        assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Closed), "something came after the end");
        assert_eq!(received, words[1].load(SeqCst), "round {round}");
    }
}

// ---- late ------------------------------------------------------------------------------------------------------

pub fn what_is_not_published_is_published_before_it_is_waited_for<C: Seated>(at: Place) {
    let seg = kit::segment();
    let words = board();
    let late = Shape { every: seldom::<C>(), ..C::SMALL };
    let receives = at.start(&seg, move |seg| {
        let mut c = C::consumer(seg, late);
        say_where(&words[0]);
        // Each of the two waits for the other one, with something not told.
        for n in 0..20 {
            assert_eq!(C::pop(&mut c, Ever), Ok(n));
        }
        assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty));
        raise(&words[1]);
        assert_eq!(C::pop(&mut c, Ever), Ok(20), "when the handle is dropped");
    });
    await_asleep(&words[0]);
    let mut p = C::producer(&seg, late);
    (0..20).for_each(|n| C::push(&mut p, Ever, n).expect("push"));
    C::flush(&mut p).expect("open");
    await_word(&words[1], 1);
    C::push(&mut p, Ever, 20).expect("push");
    drop(p);
    receives.join();
    // A try that finds it full publishes, too.
    let (mut p, mut c) = C::both(&seg, late);
    C::push(&mut p, Now, 0).expect("room");
    assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty), "not published yet");
    let room = C::fill(&mut p, 1) + 1;
    assert_eq!(C::drain(&mut c), (0..room).collect::<Vec<_>>());
}

pub fn what_is_not_published_is_refused_by_a_closed_one_and_told<C: Seated>(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = C::both(seg, roomy::<C>());
        C::publish_every(&mut p, seldom::<C>());
        C::push(&mut p, Now, 1).expect("room");
        C::try_close_consumer(&mut c).expect("close");
        assert_eq!(C::flush(&mut p), Err(ErrorKind::Closed));
        assert_eq!(C::flush(&mut p), Ok(()), "there is nothing left");
        is_at_its_end::<C>(&mut c);
        assert!(C::producer_sees(&p).is_empty);
    })
    .join();
}

// ---- those who move, or fork -----------------------------------------------------------------------------------

pub fn a_handle_goes_from_thread_to_thread<C: Seated>(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = C::both(seg, roomy::<C>());
        C::publish_every(&mut p, seldom::<C>());
        C::push(&mut p, Ever, 1).expect("room");
        // There and back, the first thread alive; its unpublished message comes along.
        std::thread::scope(|s| {
            let (p, c) = (&mut p, &mut c);
            let there = s.spawn(move || {
                C::push(p, Ever, 2).expect("moved");
                let here = C::producer_of(c).expect("somebody");
                assert_eq!(here.tid, kit::gettid() as u32, "its seat came along");
            });
            there.join().expect("no panic");
        });
        C::flush(&mut p).expect("moved back");
        assert_eq!((C::pop(&mut c, Ever), C::pop(&mut c, Ever)), (Ok(1), Ok(2)));
        drop((p, c));
        // Made in a thread that has ended: the seat was a dead one's, until the first use.
        let made =
            || std::thread::scope(|s| s.spawn(|| C::both(seg, roomy::<C>())).join()).expect("no panic");
        let (mut p, mut c) = made();
        C::push(&mut p, Ever, 3).expect("a dead thread's seat");
        assert_eq!(C::pop(&mut c, Ever), Ok(3), "a dead thread's seat");
        // Dropped elsewhere, unused there: the seats are free.
        std::thread::spawn(move || drop((p, c))).join().expect("no panic");
        // The thread is gone, and others have taken over.
        let (mut p, mut c) = made();
        let (mut other_p, mut other_c) = C::both(seg, roomy::<C>());
        for way in 0..C::PUSHES {
            assert_eq!(C::push_by(way, &mut p, Ever, 4), Err(ErrorKind::Stale));
        }
        for way in 0..C::POPS {
            assert_eq!(C::pop_by(way, &mut c, Ever), Err(ErrorKind::Stale));
        }
        assert_eq!(C::try_close(&mut p), Err(ErrorKind::Stale));
        assert_eq!(C::try_close_consumer(&mut c), Err(ErrorKind::Stale));
        drop((p, c));
        C::push(&mut other_p, Ever, 5).expect("still seated");
        assert_eq!(C::pop(&mut other_c, Ever), Ok(5), "still seated");
        // One alone is taken over.
        let ends = std::thread::scope(|s| {
            let other_p = &mut other_p;
            s.spawn(move || C::push(other_p, Ever, 6)).join()
        });
        assert_eq!(ends.expect("no panic"), Ok(()));
        let mut p = C::producer(seg, roomy::<C>());
        assert_eq!(C::push(&mut other_p, Ever, 7), Err(ErrorKind::Stale));
        C::push(&mut p, Ever, 8).expect("seated");
        assert_eq!((C::pop(&mut other_c, Ever), C::pop(&mut other_c, Ever)), (Ok(6), Ok(8)));
        drop(other_p);
        let moved = std::thread::spawn(move || C::pop(&mut other_c, Now));
        assert_eq!(moved.join().expect("no panic"), Err(ErrorKind::Empty));
        drop(C::consumer(seg, roomy::<C>()));
    })
    .join();
}

pub fn a_sleeper_sees_the_other_seat_move<C: Seated>(at: Place) {
    let seg = kit::segment();
    let words = board();
    let waits = at.start(&seg, |seg| {
        let mut c = C::consumer(seg, C::SMALL);
        say_where(&words[0]);
        assert_eq!(C::pop(&mut c, Ever), Ok(1));
    });
    await_asleep(&words[0]);
    let mut p = C::producer(&seg, C::SMALL);
    std::thread::scope(|s| {
        s.spawn(move || C::push(&mut p, Ever, 1).expect("moved"));
    });
    waits.join();
}

pub fn a_forked_child_has_no_part_in_its_parents_seats<C: Seated>(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        for raw in [false, true] {
            let (mut p, mut c) = C::both(seg, roomy::<C>());
            C::publish_every(&mut p, seldom::<C>());
            C::free_every(&mut c, seldom::<C>());
            C::push(&mut p, Ever, 1).expect("room");
            C::flush(&mut p).expect("open");
            C::push(&mut p, Ever, 2).expect("room");
            // Read, and not freed.
            C::borrow(&mut c, Ever).expect("a message").release();
            let before = C::consumer_sees(&c);
            let mut hands = Some((p, c));
            kit::child(raw, || {
                let (mut p, mut c) = hands.take().expect("the child's copy");
                for way in 0..C::PUSHES {
                    assert_eq!(C::push_by(way, &mut p, Ever, 3), Err(ErrorKind::NotOwner));
                }
                for way in 0..C::POPS {
                    assert_eq!(C::pop_by(way, &mut c, Ever), Err(ErrorKind::NotOwner));
                }
                assert_eq!(C::flush(&mut p), Err(ErrorKind::NotOwner));
                assert_eq!(C::try_close(&mut p), Err(ErrorKind::NotOwner));
                assert_eq!(C::flush_consumer(&mut c), Err(ErrorKind::NotOwner));
                assert_eq!(C::try_close_consumer(&mut c), Err(ErrorKind::NotOwner));
                assert_eq!(C::iter(&mut c).count(), 0);
                drop((p, c));
                assert_eq!(C::open_producer(seg, roomy::<C>()).err(), Some(ErrorKind::WouldBlock));
                assert_eq!(C::open_consumer(seg, roomy::<C>()).err(), Some(ErrorKind::WouldBlock));
            })
            .join();
            let Some((mut p, mut c)) = hands else { unreachable!() };
            assert_eq!(C::consumer_sees(&c), before, "the child has freed or published something");
            C::flush(&mut p).expect("open");
            assert_eq!(C::drain(&mut c), [2]);
            // Its own are its own.
            drop((p, c));
            kit::child(raw, || {
                let (mut p, mut c) = C::both(seg, roomy::<C>());
                C::push(&mut p, Ever, 3).expect("room");
                assert_eq!(C::pop(&mut c, Ever), Ok(3));
            })
            .join();
        }
    })
    .join();
}

// ---- those who die ---------------------------------------------------------------------------------------------

pub fn what_a_dead_producer_had_not_published_is_gone_and_the_rest_comes<C: Seated>(at: Place) {
    for reserves in [false, true] {
        let seg = kit::segment();
        at.start(&seg, move |seg| {
            let mut p = C::producer(seg, roomy::<C>());
            C::push(&mut p, Now, 1).expect("room");
            C::publish_every(&mut p, seldom::<C>());
            C::push(&mut p, Now, 2).expect("room");
            if reserves {
                let mut room = C::reserve(&mut p, Now).expect("room");
                room.fill(99);
                forget(room);
            }
            forget(p);
            at.die()
        })
        .gone();
        let mut c = C::consumer(&seg, roomy::<C>());
        assert!(C::producer_of(&c).is_some_and(|who| !who.alive));
        let mut p = C::producer(&seg, roomy::<C>());
        C::push(&mut p, Now, 3).expect("room");
        assert_eq!(C::drain(&mut c), [1, 3]);
    }
}

/// What the next consumer takes, and what is told of it.
fn told<C: Seated>(c: &mut C::Consumer) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| C::pop_told(c, Now).ok()).collect()
}

pub fn what_a_dead_consumer_was_reading_is_delivered_again_and_said_so<C: Seated>(at: Place) {
    for taken in 0..3 {
        let seg = kit::segment();
        // From somewhere in the ring: a byte lane's second one needs a pad.
        let (mut p, mut c) = C::both(&seg, C::SMALL);
        C::push(&mut p, Now, 0).expect("room");
        C::pop(&mut c, Now).expect("a message");
        drop(c);
        (1..=2).for_each(|n| C::push(&mut p, Now, n).expect("room"));
        at.start(&seg, move |seg| {
            let mut c = C::consumer(seg, C::SMALL);
            (1..taken).for_each(|_| C::borrow(&mut c, Now).expect("a message").release());
            if taken > 0 {
                forget(C::borrow(&mut c, Now).expect("a message"));
            }
            forget(c);
            at.die()
        })
        .gone();
        let mut c = C::consumer(&seg, C::SMALL);
        // Who took nothing may have been about to.
        let expected = if taken < 2 { vec![(1, true), (2, false)] } else { vec![(2, true)] };
        assert_eq!(told::<C>(&mut c), expected);
        drop(c);
        C::push(&mut p, Now, 3).expect("room");
        assert_eq!(C::pop_told(&mut C::consumer(&seg, C::SMALL), Now), Ok((3, false)), "told again");
    }
}

pub fn what_a_dead_consumer_had_not_freed_is_delivered_again_and_said_so<C: Seated>(at: Place) {
    let seg = kit::segment();
    let mut p = C::producer(&seg, roomy::<C>());
    (0..10).for_each(|n| C::push(&mut p, Now, n).expect("room"));
    at.start(&seg, move |seg| {
        let mut c = C::consumer(seg, roomy::<C>());
        C::free_every(&mut c, 3 * C::EACH);
        (0..5).for_each(|n| assert_eq!(C::pop(&mut c, Now), Ok(n)));
        forget(c);
        at.die()
    })
    .gone();
    // The next one takes one of them and dies over the second; one leaves without a look.
    at.start(&seg, move |seg| {
        let mut c = C::consumer(seg, roomy::<C>());
        assert_eq!(C::pop_told(&mut c, Now), Ok((3, true)));
        forget(C::borrow(&mut c, Now).expect("a message"));
        forget(c);
        at.die()
    })
    .gone();
    drop(C::consumer(&seg, roomy::<C>()));
    let mut c = C::consumer(&seg, roomy::<C>());
    assert_eq!(told::<C>(&mut c), (4..10).map(|n| (n, n < 6)).collect::<Vec<_>>());
}

pub fn who_waits_goes_on_with_the_next_one<C: Seated>(at: Place) {
    let seg = kit::segment();
    let words = board();
    let receives = at.start(&seg, |seg| {
        let mut c = C::consumer(seg, roomy::<C>());
        say_where(&words[0]);
        (1..=3).for_each(|n| assert_eq!(C::pop(&mut c, Ever), Ok(n)));
    });
    await_asleep(&words[0]);
    // Producers that come, push one, begin another one and die; the consumer sleeps in between.
    for n in 1..=3 {
        at.start(&seg, move |seg| {
            let mut p = C::producer(seg, roomy::<C>());
            C::push(&mut p, Now, n).expect("room");
            forget(C::reserve(&mut p, Now).expect("room"));
            forget(p);
            at.die()
        })
        .gone();
    }
    let started = Instant::now();
    receives.join();
    assert!(started.elapsed() < NET);
    // A producer that sleeps over its consumer's death.
    let seg = kit::segment();
    let sends = at.start(&seg, |seg| {
        let mut p = C::producer(seg, C::SMALL);
        let room = C::fill(&mut p, 0);
        words[2].store(room, SeqCst);
        say_where(&words[1]);
        C::push(&mut p, Ever, room).expect("push");
    });
    await_asleep(&words[1]);
    at.start(&seg, move |seg| {
        let mut c = C::consumer(seg, C::SMALL);
        forget(C::borrow(&mut c, Now).expect("a message"));
        forget(c);
        at.die()
    })
    .gone();
    let mut c = C::consumer(&seg, C::SMALL);
    for n in 0..=words[2].load(SeqCst) {
        assert_eq!(C::pop_told(&mut c, Ever), Ok((n, n == 0)));
    }
    sends.join();
}
