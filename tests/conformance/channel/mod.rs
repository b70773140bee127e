//! The specification of every channel: a queue, a byte queue, a queue of one producer and one consumer, a byte lane, a
//! pipe. [`shared`] is about those with any number of users, [`seated`] about those with a seat for each side, [`bytes`]
//! about messages of bytes. What only one of them has is in its own file.

pub mod bytes;
pub mod seated;
pub mod shared;

pub use crate::channels::*;

use crate::kit::{self, LONG, NET, await_word, board, raise};
use crate::news::Touches;
use crate::place::{Actor, MANY, Place, await_asleep, forget, say_where, under_signals};
use interproc::pipe::{self, Listener};
use interproc::{Deadline, ErrorKind, Segment};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// A channel between the caller and a user elsewhere.
pub trait Meet: Channel {
    /// The producer is here.
    fn with_consumer(
        at: Place,
        seg: &Segment,
        shape: Shape,
        body: impl FnOnce(Self::Consumer) + Send + 'static,
    ) -> (Self::Producer, Actor);

    /// The consumer is here.
    fn with_producer(
        at: Place,
        seg: &Segment,
        shape: Shape,
        body: impl FnOnce(Self::Producer) + Send + 'static,
    ) -> (Self::Consumer, Actor);
}

macro_rules! meet_by_name {
    ($($channel:ident)*) => {
        $(impl Meet for $channel {
            fn with_consumer(
                at: Place,
                seg: &Segment,
                shape: Shape,
                body: impl FnOnce(Self::Consumer) + Send + 'static,
            ) -> (Self::Producer, Actor) {
                (Self::producer(seg, shape), at.start(seg, move |seg| body(Self::consumer(seg, shape))))
            }

            fn with_producer(
                at: Place,
                seg: &Segment,
                shape: Shape,
                body: impl FnOnce(Self::Producer) + Send + 'static,
            ) -> (Self::Consumer, Actor) {
                (Self::consumer(seg, shape), at.start(seg, move |seg| body(Self::producer(seg, shape))))
            }
        })*
    };
}

meet_by_name!(Queue ByteQueue Spsc ByteLane);

/// One calls, the other one listens.
impl Meet for Pipe {
    fn with_consumer(
        at: Place,
        seg: &Segment,
        shape: Shape,
        body: impl FnOnce(Self::Consumer) + Send + 'static,
    ) -> (Self::Producer, Actor) {
        let mut listener = Listener::bind(seg, "door", 1, shape.capacity, shape.longest).expect("bind");
        let actor = at.start(seg, move |seg| body(pipe::connect(seg, "door").expect("connect").split().1));
        (listener.accept_timeout(LONG).expect("accept").split().0, actor)
    }

    fn with_producer(
        at: Place,
        seg: &Segment,
        shape: Shape,
        body: impl FnOnce(Self::Producer) + Send + 'static,
    ) -> (Self::Consumer, Actor) {
        let mut listener = Listener::bind(seg, "door", 1, shape.capacity, shape.longest).expect("bind");
        let actor = at.start(seg, move |seg| body(pipe::connect(seg, "door").expect("connect").split().0));
        (listener.accept_timeout(LONG).expect("accept").split().1, actor)
    }
}

/// Times that are not over at once, or at once.
const TIMES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(30)];

/// Runs `body`, which lasts this long.
#[track_caller]
pub fn lasts(time: Duration, body: impl FnOnce()) {
    let started = Instant::now();
    body();
    assert!(started.elapsed() >= time && started.elapsed() < time + NET, "{:?}", started.elapsed());
}

/// Where the user is that said so: process and thread.
pub fn ids(word: &AtomicU64) -> (u32, u32) {
    let at = word.load(SeqCst);
    ((at >> 32) as u32, at as u32)
}

/// The nth of some messages of all lengths.
fn nth(n: u64) -> u64 {
    if n.is_multiple_of(3) { n } else { n << 32 | n }
}

pub fn messages_come_whole_in_order_and_each_once<C: Meet>(at: Place) {
    const COUNT: u64 = 2_000;
    for &shape in C::SHAPES {
        let seg = kit::segment();
        let (mut p, receives) = C::with_consumer(at, &seg, shape, |mut c| {
            for n in 0..COUNT {
                assert_eq!(C::pop_by(n as usize % C::POPS, &mut c, Ever), Ok(nth(n)), "message {n}");
            }
            assert_eq!(C::pop(&mut c, Ever), Err(ErrorKind::Closed));
        });
        for n in 0..COUNT {
            C::push_by(n as usize % C::PUSHES, &mut p, Ever, nth(n)).expect("push");
        }
        drop(C::close(p));
        receives.join();
    }
}

pub fn a_full_one_refuses_or_waits<C: Meet>(at: Place) {
    for shape in [C::SHAPES[0], C::SMALL] {
        let seg = kit::segment();
        let words = board();
        let (mut c, sends) = C::with_producer(at, &seg, shape, |mut p| {
            let room = C::fill(&mut p, 0);
            for way in 0..C::PUSHES {
                assert_eq!(C::push_by(way, &mut p, Now, 91), Err(ErrorKind::Full), "way {way}");
                for time in TIMES {
                    let late = Err(ErrorKind::TimedOut);
                    lasts(time, || assert_eq!(C::push_by(way, &mut p, Time(time), 92), late, "way {way}"));
                }
            }
            let seen = C::producer_sees(&p);
            assert!(seen.is_full != Some(false) && !seen.is_empty && seen.peak != Some(0), "{seen:?}");
            words[1].store(room, SeqCst);
            say_where(&words[0]);
            C::push(&mut p, Ever, 93).expect("push");
            C::push(&mut p, Time(LONG), 94).expect("push");
        });
        await_asleep(&words[0]);
        let room = words[1].load(SeqCst);
        assert!(
            room > 0 && C::consumer_sees(&c).len.is_none_or(|len| len as u64 == room),
            "refused, and in it"
        );
        for expected in (0..room).chain([93, 94]) {
            assert_eq!(C::pop(&mut c, Time(LONG)), Ok(expected));
        }
        sends.join();
    }
}

pub fn an_empty_one_refuses_or_waits<C: Meet>(at: Place) {
    let seg = kit::segment();
    let words = board();
    let (mut p, receives) = C::with_consumer(at, &seg, C::SMALL, |mut c| {
        for way in 0..C::POPS {
            assert_eq!(C::pop_by(way, &mut c, Now), Err(ErrorKind::Empty), "way {way}");
            for time in TIMES {
                let late = Err(ErrorKind::TimedOut);
                lasts(time, || assert_eq!(C::pop_by(way, &mut c, Time(time)), late, "way {way}"));
            }
        }
        (0..C::POPS).for_each(|way| {
            say_where(&words[way]);
            assert_eq!(C::pop_by(way, &mut c, Ever), Ok(way as u64));
        });
        raise(&words[C::POPS]);
    });
    (0..C::POPS).for_each(|way| {
        await_asleep(&words[way]);
        let started = Instant::now();
        C::push(&mut p, Ever, way as u64).expect("push");
        await_word(&words[way + 1], 1);
        assert!(started.elapsed() < NET);
    });
    receives.join();
}

pub fn a_deadline_in_the_past_does_what_can_be_done_now<C: Channel>(at: Place) {
    let seg = kit::segment();
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    at.start(&seg, move |seg| {
        let (mut p, mut c) = C::both(seg, C::SMALL);
        let started = Instant::now();
        for within in past.map(Until).into_iter().chain([Time(Duration::ZERO)]) {
            for way in 0..C::POPS {
                assert_eq!(C::pop_by(way, &mut c, within), Err(ErrorKind::TimedOut), "way {way}");
            }
            let mut room = 0;
            // The fourth way may want more room than the message has.
            while C::push_by(room as usize % C::PUSHES.min(3), &mut p, within, room).is_ok() {
                room += 1;
            }
            assert!(room > 1);
            for way in 0..C::PUSHES {
                assert_eq!(C::push_by(way, &mut p, within, 9), Err(ErrorKind::TimedOut), "way {way}");
            }
            for n in 0..room {
                assert_eq!(C::pop_by(n as usize % C::POPS, &mut c, within), Ok(n));
            }
        }
        assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    })
    .join();
}

pub fn the_longest_wait_does_not_end_early<C: Meet>(at: Place) {
    let awhile = || std::thread::sleep(Duration::from_millis(60));
    for longest in [Deadline::after(Duration::MAX), Deadline::from_monotonic_ns(u64::MAX)] {
        let words = board();
        let seg = kit::segment();
        let (mut p, pops) = C::with_consumer(at, &seg, C::SMALL, move |mut c| {
            say_where(&words[0]);
            assert_eq!(C::pop(&mut c, Until(longest)), Ok(1));
        });
        await_asleep(&words[0]);
        awhile();
        C::push(&mut p, Ever, 1).expect("push");
        pops.join();
        let seg = kit::segment();
        let (mut c, pushes) = C::with_producer(at, &seg, C::SMALL, move |mut p| {
            let room = C::fill(&mut p, 0);
            words[2].store(room, SeqCst);
            say_where(&words[1]);
            C::push(&mut p, Until(longest), room).expect("push");
        });
        await_asleep(&words[1]);
        awhile();
        (0..=words[2].load(SeqCst)).for_each(|n| assert_eq!(C::pop(&mut c, Ever), Ok(n)));
        pushes.join();
    }
}

/// However long it may wait, each way is told the end.
fn is_at_its_end<C: Channel>(c: &mut C::Consumer) {
    for within in [Ever, Now, Time(Duration::ZERO), Time(LONG)] {
        for way in 0..C::POPS {
            assert_eq!(C::pop_by(way, c, within), Err(ErrorKind::Closed), "way {way}");
        }
    }
    assert!(C::consumer_sees(c).is_closed && C::consumer_sees(c).is_empty);
}

fn takes_nothing_more<C: Channel>(p: &mut C::Producer) {
    for within in [Ever, Now, Time(LONG)] {
        for way in 0..C::PUSHES {
            assert_eq!(C::push_by(way, p, within, 5), Err(ErrorKind::Closed), "way {way}");
        }
    }
    assert!(C::producer_sees(p).is_closed);
}

pub fn the_producers_close_comes_after_its_messages<C: Meet>(at: Place) {
    let seg = kit::segment();
    let words = board();
    let (p, pops) = C::with_consumer(at, &seg, C::SMALL, |mut c| {
        say_where(&words[0]);
        assert_eq!(C::pop(&mut c, Ever), Err(ErrorKind::Closed));
        is_at_its_end::<C>(&mut c);
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    let p = C::close(p);
    pops.join();
    assert!(started.elapsed() < NET);
    drop(p);
    for left in 0..3 {
        let seg = kit::segment();
        let words = board();
        let (mut p, pops) = C::with_consumer(at, &seg, C::SMALL, move |mut c| {
            // From somewhere in the ring.
            (0..4).for_each(|n| assert_eq!(C::pop(&mut c, Ever), Ok(n)));
            await_word(&words[0], 1);
            (0..left).for_each(|n| assert_eq!(C::pop(&mut c, Ever), Ok(n)));
            is_at_its_end::<C>(&mut c);
        });
        (0..4).chain(0..left).for_each(|n| C::push(&mut p, Ever, n).expect("push"));
        if let Some(mut p) = C::close(p) {
            takes_nothing_more::<C>(&mut p);
            p = C::close(p).expect("once more changes nothing");
            takes_nothing_more::<C>(&mut p);
        }
        raise(&words[0]);
        pops.join();
    }
}

pub fn the_consumers_close_wakes_the_producer_and_what_is_there_is_drained<C: Meet>(at: Place) {
    let seg = kit::segment();
    let words = board();
    let (c, pushes) = C::with_producer(at, &seg, C::SMALL, |mut p| {
        words[1].store(C::fill(&mut p, 0), SeqCst);
        say_where(&words[0]);
        assert_eq!(C::push(&mut p, Ever, 91), Err(ErrorKind::Closed));
        takes_nothing_more::<C>(&mut p);
    });
    await_asleep(&words[0]);
    let started = Instant::now();
    let c = C::close_by_consumer(c);
    pushes.join();
    assert!(started.elapsed() < NET);
    // Where the close leaves the consumer something to take it with.
    if let Some(mut c) = c {
        (0..words[1].load(SeqCst)).for_each(|n| assert_eq!(C::pop(&mut c, Ever), Ok(n)));
        is_at_its_end::<C>(&mut c);
    }
}

pub fn its_numbers_are_known_when_nobody_is_at_work<C: Channel>(at: Place) {
    for &shape in C::SHAPES.iter().filter(|shape| shape.every == 1) {
        let seg = kit::segment();
        at.start(&seg, move |seg| {
            let (mut p, mut c) = C::both(seg, shape);
            let sees = |p: &C::Producer, c: &C::Consumer| {
                let seen = C::producer_sees(p);
                assert_eq!(seen, C::consumer_sees(c), "the two sides disagree");
                assert!(seen.len_bytes.is_none_or(|len| (len == 0) == seen.is_empty && len <= seen.capacity));
                assert!(seen.capacity >= shape.capacity && !seen.is_closed);
                seen
            };
            assert!(sees(&p, &c).peak.is_none_or(|peak| peak == 0));
            for round in 0..5 {
                let mut room = 0;
                loop {
                    let seen = sees(&p, &c);
                    assert!(seen.len.is_none_or(|len| len == room), "{seen:?}, round {round}");
                    assert_eq!(seen.is_empty, room == 0);
                    if C::push(&mut p, Now, room as u64).is_err() {
                        break;
                    }
                    assert!(seen.is_full != Some(true), "{seen:?}, and there was room");
                    room += 1;
                }
                let seen = sees(&p, &c);
                assert!(seen.is_full != Some(false), "{seen:?}");
                assert!(seen.peak.is_none_or(|peak| peak > 0 && peak <= seen.capacity));
                if seen.is_full.is_some() {
                    assert_eq!(seen.peak, Some(seen.capacity));
                }
                for n in 0..room {
                    assert_eq!(C::pop(&mut c, Now), Ok(n as u64));
                    let seen = sees(&p, &c);
                    assert!(seen.len.is_none_or(|len| len == room - n - 1) && seen.is_full != Some(true));
                }
                // The peak is of the past, too.
                if seen.is_full.is_some() {
                    assert_eq!(sees(&p, &c).peak, Some(seen.capacity));
                }
                // The next round begins elsewhere.
                C::push(&mut p, Now, 0).expect("room");
                C::pop(&mut c, Now).expect("a message");
            }
        })
        .join();
    }
}

pub fn signals_neither_end_nor_lose_a_wait<C: Meet>(at: Place) {
    let seg = kit::segment();
    let words = board();
    let timeout = Duration::from_millis(80);
    let (mut p, pops) = C::with_consumer(at, &seg, C::SMALL, move |mut c| {
        assert_eq!(under_signals(&words[0], || C::pop(&mut c, Ever)), Ok(1));
        lasts(timeout, || {
            assert_eq!(under_signals(&words[1], || C::pop(&mut c, Time(timeout))), Err(ErrorKind::TimedOut));
        });
        assert_eq!(under_signals(&words[2], || C::pop(&mut c, Ever)), Err(ErrorKind::Closed));
    });
    await_word(&words[0], MANY);
    C::push(&mut p, Ever, 1).expect("push");
    await_word(&words[2], MANY);
    drop(C::close(p));
    pops.join();
    let seg = kit::segment();
    let (mut c, pushes) = C::with_producer(at, &seg, C::SMALL, move |mut p| {
        let room = C::fill(&mut p, 0);
        lasts(timeout, || {
            let late = under_signals(&words[3], || C::push(&mut p, Time(timeout), 91));
            assert_eq!(late, Err(ErrorKind::TimedOut));
        });
        words[5].store(room, SeqCst);
        under_signals(&words[4], || C::push(&mut p, Ever, room)).expect("push");
    });
    await_word(&words[4], MANY);
    (0..=words[5].load(SeqCst)).for_each(|n| assert_eq!(C::pop(&mut c, Ever), Ok(n)));
    pushes.join();
    assert!(words[1].load(SeqCst) > 0 && words[3].load(SeqCst) > 0, "no signals: the test tests nothing");
}

pub fn what_is_written_in_place_is_read_in_place<C: Channel>(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = C::both(seg, C::SMALL);
        for number in (0..9).map(nth) {
            let mut room = C::reserve(&mut p, Ever).expect("room");
            room.fill(number);
            let written = room.address();
            assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty), "not committed yet");
            room.commit().expect("ours");
            let message = C::borrow(&mut c, Ever).expect("a message");
            let read = (message.address(), message.number(), message.is_redelivered());
            assert_eq!(read, (written, number, false));
            message.release();
            assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty), "it was released");
        }
    })
    .join();
}

pub fn room_given_up_is_room_again_and_no_message<C: Channel>(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = C::both(seg, C::SMALL);
        for number in 0..40 {
            let mut room = C::reserve(&mut p, Ever).expect("room");
            room.fill(99);
            drop(room);
            C::push(&mut p, Ever, number).expect("room");
            // A refusal, where the ring is small, is as good.
            drop(C::reserve(&mut p, Now));
            assert_eq!(C::drain(&mut c), [number]);
        }
        let seen = C::consumer_sees(&c);
        assert!(seen.is_empty && seen.len_bytes.is_none_or(|len| len == 0), "{seen:?}");
    })
    .join();
}

pub fn a_message_put_back_is_the_next_one_again<C: Channel>(at: Place) {
    let seg = kit::segment();
    at.start(&seg, |seg| {
        let (mut p, mut c) = C::both(seg, C::SMALL);
        for way in 0..C::POPS {
            C::push(&mut p, Ever, 1).expect("room");
            C::push(&mut p, Ever, 2).expect("room");
            for n in 0..3 {
                let message = C::borrow(&mut c, Ever).expect("a message");
                let told = C::PUT_BACK_IS_TOLD && n > 0;
                assert_eq!((message.number(), message.is_redelivered()), (1, told));
                message.put_back().expect("ours");
            }
            assert_eq!(C::pop_by(way, &mut c, Ever), Ok(1));
            assert_eq!(C::pop_told(&mut c, Ever), Ok((2, false)), "the flag does not stick");
        }
        C::push(&mut p, Ever, 3).expect("room");
        C::borrow(&mut c, Ever).expect("a message").put_back().expect("ours");
        assert_eq!(C::pop_told(&mut c, Ever), Ok((3, C::PUT_BACK_IS_TOLD)));
    })
    .join();
}

pub fn a_forked_child_does_not_hold_what_its_parent_holds<C: Channel>(at: Place) {
    if at != Place::Processes {
        return;
    }
    for raw in [false, true] {
        let seg = kit::segment();
        let (mut p, mut c) = C::both(&seg, C::SMALL);
        C::push(&mut p, Ever, 1).expect("room");
        let message = C::borrow(&mut c, Ever).expect("a message");
        let mut hands = Some((C::reserve(&mut p, Ever).expect("room"), message));
        // Each child has a copy of these, and the parent keeps its own.
        kit::child(raw, || {
            let (mut room, message) = hands.take().expect("the child's copy");
            room.fill(9);
            assert_eq!(room.commit(), Err(ErrorKind::NotOwner));
            let back = message.put_back();
            assert!(
                back.is_ok_and(|()| !C::PUT_BACK_IS_TOLD) || back == Err(ErrorKind::NotOwner),
                "{back:?}"
            );
        })
        .join();
        kit::child(raw, || drop(hands.take())).join();
        kit::child(raw, || hands.take().expect("the child's copy").1.release()).join();
        let (mut room, message) = hands.take().expect("ours");
        drop(hands);
        assert_eq!(message.number(), 1);
        message.release();
        room.fill(2);
        room.commit().expect("ours");
        assert_eq!(C::pop(&mut c, Ever), Ok(2));
        assert_eq!(C::pop(&mut c, Now), Err(ErrorKind::Empty));
    }
}

pub fn loops_end_where_they_say<C: Named>(at: Place) {
    let seg = kit::segment();
    let shape = Shape { every: 1, ..C::SHAPES[C::SHAPES.len() - 1] };
    let (mut p, mut c) = C::both(&seg, shape);
    (1..=3).for_each(|n| C::push(&mut p, Ever, n).expect("room"));
    assert_eq!(C::try_iter(&mut c).take(2).sum::<u64>(), 3);
    assert_eq!(C::pop(&mut c, Now), Ok(3), "what the loop did not get to is still there");
    C::push(&mut p, Ever, 3).expect("room");
    let mut rounds = 0;
    for number in C::drain_iter(&mut c) {
        C::push(&mut p, Ever, number + 1).expect("room");
        rounds += 1;
    }
    assert_eq!((rounds, C::pop(&mut c, Now)), (1, Ok(4)));
    drop(p);
    let producer = at.start(&seg, move |seg| {
        let mut p = C::producer(seg, shape);
        (0..100).for_each(|n| C::push(&mut p, Ever, n).expect("push"));
        drop(C::close(p));
    });
    assert_eq!(C::iter(&mut c).sum::<u64>(), 4950);
    assert_eq!(C::iter(&mut c).next(), None);
    assert_eq!(C::try_iter(&mut c).next(), None);
    assert_eq!(C::drain_iter(&mut c).next(), None);
    producer.join();
}

/// Takes what there is, `each` having it while it is held.
fn read<C: Channel>(c: &mut C::Consumer, mut each: impl FnMut(u64, bool)) {
    while let Ok(message) = C::borrow(c, Now) {
        each(message.number(), message.is_redelivered());
        message.release();
    }
}

/// With whoever had it; and what a destructor does while somebody panics is done.
pub fn a_message_that_a_panic_drops_comes_again<C: Named>(at: Place) {
    let seg = kit::segment();
    let send = |seg: &Segment| {
        let mut p = C::producer(seg, C::SMALL);
        (1..=2).for_each(|n| C::push(&mut p, Now, n).expect("room"));
    };
    send(&seg);
    at.start(&seg, |seg| {
        let panics = || read::<C>(&mut C::consumer(seg, C::SMALL), |_, _| panic!("over a message"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    })
    .join();
    at.start(&seg, |seg| {
        let mut got = Vec::new();
        read::<C>(&mut C::consumer(seg, C::SMALL), |number, again| got.push((number, again)));
        assert_eq!(got, [(1, true), (2, false)]);
    })
    .join();
    send(&seg);
    at.start(&seg, |seg| {
        let panics = || {
            let _reads = Touches(|| read::<C>(&mut C::consumer(seg, C::SMALL), |_, _| ()));
            panic!("elsewhere");
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    })
    .join();
    assert_eq!(C::pop(&mut C::consumer(&seg, C::SMALL), Now), Err(ErrorKind::Empty));
}
