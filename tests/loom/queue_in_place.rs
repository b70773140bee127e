//! Messages where they lie, and the push that displaces the oldest, under all interleavings, with deaths at every step.

use crate::line::{Fate, Got, Victim, drain, put, results, take, try_take, two_sleepers};
use crate::queue::queue;
use crate::runner::Model;
use crate::support::Place;
use interproc::ErrorKind;
use interproc::raw::member::Member;
use interproc::raw::queue::RawQueue;
use interproc::sys::model::{
    Bounds, Death, Outcome, check, for_every_death, next_step, settle, until_asleep,
};
use std::cell::Cell;
use std::rc::Rc;

pub const MODELS: &[Model] = &[
    Model {
        name: "in place: what is committed reaches one who waits, and room one who waits for that",
        // Three preemptions find no more and take two minutes.
        run: || check(Bounds { preemptions: 2, ..Bounds::default() }, through),
        catches: &["publish-no-wake", "relaxed-release"],
    },
    Model {
        name: "in place: an aborted reservation lets those behind it go on",
        run: || check(Bounds::default(), aborted_in_front),
        catches: &["abort-no-wake"],
    },
    Model {
        name: "in place: an aborted reservation is room for one who waits",
        run: || check(Bounds::default(), aborted_room),
        catches: &["abort-no-wake"],
    },
    Model {
        name: "in place: places given up again and again, laps ahead, hide no message",
        run: || check(Bounds::default(), aborted_laps_ahead),
        catches: &["lap-too-far"],
    },
    Model {
        name: "in place: a commit wakes for the message behind a place that was given up",
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, behind_a_hole),
        catches: &["hole-ends-count"],
    },
    Model {
        name: "in place: room behind which a place was given up wakes two",
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, room_before_a_hole),
        catches: &["wake-only-one"],
    },
    Model {
        name: "in place: a message that is put back goes to one who waits, who is told",
        run: || check(Bounds::default(), put_back),
        catches: &["publish-no-wake", "put-back-untold"],
    },
    Model {
        name: "in place: two that put back in any order wake two",
        run: || check(Bounds::default(), two_put_back),
        catches: &[],
    },
    Model {
        name: "in place: a producer dies anywhere from its reservation to its commit",
        run: || for_every_death(Bounds::default(), false, dying_reservation),
        catches: &[],
    },
    Model {
        name: "in place: whoever dies with a message in its hands, one who slept before is told",
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, dying_receiver),
        catches: &["in-place-no-rest"],
    },
    Model {
        name: "in place: one that aborted is dead, and two meet at what it left",
        // Three preemptions find no more and take a minute.
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, dead_aborter),
        catches: &[],
    },
    Model {
        name: "in place: one that puts back may die anywhere",
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, dying_put_back),
        catches: &[],
    },
    Model {
        name: "forced: one goes for one that comes, beside a consumer",
        run: || check(Bounds::default(), forced_beside_a_pop),
        catches: &[],
    },
    Model {
        name: "forced: two that force displace one each",
        run: || check(Bounds::default(), two_forced),
        catches: &[],
    },
    Model {
        name: "forced: who displaces the oldest tells a producer of the room behind it",
        run: || check(Bounds::default(), forced_before_room),
        catches: &["force-untold"],
    },
    Model {
        name: "forced: who displaces the oldest may die anywhere, with a producer asleep",
        run: || for_every_death(Bounds { preemptions: 2, ..Bounds::default() }, false, dying_forcer),
        catches: &["force-not-consumed"],
    },
];

#[allow(unsafe_code)]
fn commit(q: &RawQueue, me: &Member, index: u32, value: u64) {
    // SAFETY: a modelled cell holds a u64, and it is reserved.
    q.write_in(index, |p| unsafe { p.cast::<u64>().write(value) });
    q.commit(me, index).expect("ours");
}

#[allow(unsafe_code)]
fn read(q: &RawQueue, index: u32) -> u64 {
    // SAFETY: a modelled cell holds a u64, and it is received.
    q.read_in(index, |p| unsafe { p.cast::<u64>().read() })
}

/// Receives, and releases.
fn receive(q: &RawQueue, me: &Member) -> Got {
    let (index, again) = q.borrow(me, None).map_err(|e| e.kind())?;
    let value = read(q, index);
    q.release(me, index).expect("ours");
    Ok((value, again))
}

#[allow(unsafe_code)]
fn force(q: &RawQueue, me: &Member, value: u64) -> Result<Option<u64>, ErrorKind> {
    // SAFETY: a modelled cell holds a u64.
    let drain = |p: *const u8| unsafe { p.cast::<u64>().read() };
    // SAFETY: as above.
    let fill = |p: *mut u8| unsafe { p.cast::<u64>().write(value) };
    q.force_push_with(me, drain, fill).map_err(|e| e.kind())
}

fn through() {
    let place = Place::new(2);
    let q = queue(1);
    let producer = place.thread(Death::NEVER, move |me| {
        for value in [1, 2] {
            let index = q.reserve(me, None).expect("open");
            commit(&q, me, index, value);
        }
    });
    let me = place.member();
    assert_eq!(receive(&q, &me), Ok((1, false)));
    assert_eq!(receive(&q, &me), Ok((2, false)));
    producer.join();
    assert_eq!(q.try_borrow(&me).map_err(|e| e.kind()), Err(ErrorKind::Empty));
}

fn aborted_in_front() {
    let place = Place::new(3);
    let q = queue(2);
    let (slow, fast) = (place.member(), place.member());
    let index = q.reserve(&slow, None).expect("open");
    put(&q, &fast, 2).expect("open");
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    q.abort(&slow, index).expect("ours");
    assert_eq!(consumer.join(), Outcome::Finished(Ok((2, false))));
    assert_eq!(q.abort(&slow, index).map_err(|e| e.kind()), Err(ErrorKind::NotOwner));
    assert!(q.is_empty());
}

fn aborted_room() {
    let place = Place::new(2);
    let q = queue(1);
    let me = place.member();
    let index = q.reserve(&me, None).expect("open");
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 1).expect("open"));
    q.abort(&me, index).expect("ours");
    producer.join();
    assert_eq!(drain(&q, &me), [(1, false)]);
}

/// The head's hint stands before cells that were given up in the wrong order; one of them is given up again while a consumer
/// looks for the message behind them.
fn aborted_laps_ahead() {
    let place = Place::new(2);
    let q = queue(4);
    let me = place.member();
    let reserved = [(); 3].map(|()| q.reserve(&me, None).expect("open"));
    reserved.into_iter().rev().for_each(|index| q.abort(&me, index).expect("ours"));
    put(&q, &me, 1).expect("open");
    let again = q.reserve(&me, None).expect("open");
    q.abort(&me, again).expect("ours");
    let other = place.thread(Death::NEVER, move |me| {
        let index = q.reserve(me, None).expect("open");
        q.abort(me, index).expect("ours");
    });
    assert_eq!(try_take(&q, &me), Ok((1, false)));
    other.join();
    assert!(q.is_empty());
    put(&q, &me, 2).expect("open");
    assert_eq!(drain(&q, &me), [(2, false)]);
}

/// Two wait behind a reservation, behind which one gives a place up, or dies over it.
fn behind_a_hole(death: Death) {
    let place = Place::new(5);
    let q = queue(3);
    let (slow, me) = (place.member(), place.member());
    let first = q.reserve(&slow, None).expect("open");
    let victim = place.thread(death, move |me| {
        let index = q.reserve(me, None).expect("open");
        q.abort(me, index).expect("ours");
    });
    victim.join();
    put(&q, &me, 2).expect("open");
    let takers = two_sleepers(&place, q);
    commit(&q, &slow, first, 1);
    assert_eq!(results(Some(takers)), [Ok((1, false)), Ok((2, false))]);
}

/// Two wait for room behind a message, behind which one gives a place up, or dies over it.
fn room_before_a_hole(death: Death) {
    let place = Place::new(4);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let victim = place.thread(death, move |me| {
        let index = q.reserve(me, None).expect("open");
        q.abort(me, index).expect("ours");
    });
    victim.join();
    // The victim died before it came to that.
    if let Ok(index) = q.try_reserve(&me) {
        q.abort(&me, index).expect("ours");
    }
    let producers = [8, 9].map(|value| place.thread(Death::NEVER, move |me| put(&q, me, value)));
    until_asleep(2);
    let mut got = vec![take(&q, &me)];
    producers.into_iter().for_each(|producer| assert_eq!(producer.join(), Outcome::Finished(Ok(()))));
    got.extend(drain(&q, &me).into_iter().map(Ok));
    got[1..].sort_unstable_by_key(|got| got.ok());
    assert_eq!(got, [Ok((1, false)), Ok((8, false)), Ok((9, false))]);
}

fn put_back() {
    let place = Place::new(2);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let (index, again) = q.borrow(&me, None).expect("open");
    assert_eq!((read(&q, index), again), (1, false));
    let taker = place.thread(Death::NEVER, move |me| take(&q, me));
    q.put_back(&me, index).expect("ours");
    assert_eq!(taker.join(), Outcome::Finished(Ok((1, true))));
    assert_eq!(drain(&q, &me), []);
}

/// The later one is put back first: those whom it woke may have gone back to sleep behind the earlier one.
fn two_put_back() {
    let place = Place::new(4);
    let q = queue(2);
    let (one, two) = (place.member(), place.member());
    put(&q, &one, 1).expect("open");
    put(&q, &one, 2).expect("open");
    let (first, _) = q.borrow(&one, None).expect("open");
    let (second, _) = q.borrow(&two, None).expect("open");
    let takers = two_sleepers(&place, q);
    q.put_back(&two, second).expect("ours");
    q.put_back(&one, first).expect("ours");
    assert_eq!(results(Some(takers)), [Ok((1, true)), Ok((2, true))]);
}

fn dying_reservation(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    let at = Rc::new(Cell::new(None));
    let note = at.clone();
    let thread = place.thread(death, move |me| {
        let index = q.reserve(me, None).expect("open");
        // The commit's first step is pending.
        note.set(Some(next_step() + 1));
        commit(&q, me, index, 1);
    });
    let victim = Victim { thread, death, commit: at };
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    let expected = match victim.join() {
        Fate::Finished | Fate::Committed => 1,
        Fate::Early | Fate::Claimed => {
            settle();
            put(&q, &me, 2).expect("open");
            2
        }
    };
    assert_eq!(consumer.join(), Outcome::Finished(Ok((expected, false))));
    assert_eq!(drain(&q, &me), []);
}

/// Two sleep, the first is woken by the message and dies with it: the second came when nobody was in its way.
fn dying_receiver(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    let at = Rc::new(Cell::new(None));
    let note = at.clone();
    let thread = place.thread(death, move |me| {
        let (index, again) = q.borrow(me, None).expect("open");
        note.set(Some(next_step() + 1));
        assert_eq!((read(&q, index), again), (1, false));
        q.release(me, index).expect("ours");
    });
    let victim = Victim { thread, death, commit: at };
    // Killed before it sleeps, it leaves the message to the other.
    interproc::sys::model::until_asleep_or_gone(1);
    let other = place.thread(Death::NEVER, move |me| take(&q, me));
    interproc::sys::model::until_asleep_or_gone(2);
    put(&q, &me, 1).expect("open");
    let fate = victim.join();
    if matches!(fate, Fate::Finished | Fate::Committed) {
        settle();
        put(&q, &me, 2).expect("open");
        assert_eq!(other.join(), Outcome::Finished(Ok((2, false))));
    } else {
        let Outcome::Finished(Ok((value, again))) = other.join() else { panic!("it lives") };
        assert_eq!(value, 1);
        assert!(again || fate == Fate::Early, "it was in the victim's hands");
    }
}

fn dead_aborter(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    let victim = place.thread(death, move |me| {
        let index = q.reserve(me, None).expect("open");
        q.abort(me, index).expect("ours");
    });
    victim.join();
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    // The room is there, whatever became of it.
    put(&q, &me, 2).expect("open");
    assert_eq!(consumer.join(), Outcome::Finished(Ok((2, false))));
    settle();
    assert_eq!(drain(&q, &me), []);
}

fn dying_put_back(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let victim = place.thread(death, move |me| {
        let (index, _) = q.try_borrow(me).map_err(|e| e.kind())?;
        q.put_back(me, index).map_err(|e| e.kind())
    });
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    let end = victim.join();
    let Outcome::Finished(Ok((value, again))) = consumer.join() else { panic!("it lives") };
    assert_eq!(value, 1);
    match end {
        Outcome::Finished(Ok(())) => assert!(again),
        // The consumer was faster.
        Outcome::Finished(Err(kind)) => assert_eq!((kind, again), (ErrorKind::Empty, false)),
        Outcome::Died => {}
    }
    settle();
    assert_eq!(drain(&q, &me), []);
}

fn forced_beside_a_pop() {
    let place = Place::new(2);
    let q = queue(1);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let consumer = place.thread(Death::NEVER, move |me| take(&q, me));
    let displaced = loop {
        match force(&q, &me, 2) {
            Ok(displaced) => break displaced,
            // It was being popped.
            Err(kind) => assert_eq!(kind, ErrorKind::Full),
        }
        interproc::atomic::spin_loop();
    };
    let got = consumer.join().finished().expect("it lives");
    match displaced {
        Some(1) => assert_eq!((got, drain(&q, &me)), (Ok((2, false)), vec![])),
        None => assert_eq!((got, drain(&q, &me)), (Ok((1, false)), vec![(2, false)])),
        other => panic!("{other:?} was displaced"),
    }
}

fn two_forced() {
    let place = Place::new(2);
    let q = queue(2);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    put(&q, &me, 2).expect("open");
    let other = place.thread(Death::NEVER, move |me| force(&q, me, 3));
    let mine = force(&q, &me, 4);
    let his = other.join().finished().expect("it lives");
    let left: Vec<_> = drain(&q, &me).into_iter().map(|(value, _)| value).collect();
    let mut all: Vec<_> = [mine, his].iter().filter_map(|r| r.ok().flatten()).collect();
    // Who found the other at work with the oldest may have been refused: then its message is nowhere.
    let pushed = [mine, his].iter().filter(|r| r.is_ok()).count();
    assert_eq!(all.len(), pushed, "one for one");
    all.sort_unstable();
    assert_eq!((all, left.len()), ((1..=pushed as u64).collect(), 2));
}

/// A producer sleeps before the oldest message of a full ring. Behind that a reservation is given up, and then the oldest message
/// is displaced.
fn forced_before_room() {
    let place = Place::new(3);
    let me = place.member();
    let q = queue(3);
    put(&q, &me, 1).expect("room");
    let given_up = q.reserve(&me, None).expect("room");
    put(&q, &me, 2).expect("room");
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 4));
    until_asleep(1);
    q.abort(&me, given_up).expect("ours");
    until_asleep(1);
    assert_eq!(force(&q, &me, 3), Ok(Some(1)));
    assert_eq!(producer.join(), Outcome::Finished(Ok(())));
    settle();
    assert_eq!(drain(&q, &me), [(2, false), (3, false), (4, false)]);
}

fn dying_forcer(death: Death) {
    let place = Place::new(3);
    let q = queue(1);
    let me = place.member();
    put(&q, &me, 1).expect("open");
    let producer = place.thread(Death::NEVER, move |me| put(&q, me, 3).expect("open"));
    until_asleep(1);
    let (consumed, published) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
    let notes = (consumed.clone(), published.clone());
    #[allow(unsafe_code)]
    let thread = place.thread(death, move |me| {
        q.force_push_with(
            me,
            |p| {
                notes.0.set(Some(next_step()));
                // SAFETY: a modelled cell holds a u64.
                unsafe { p.cast::<u64>().read() }
            },
            |p| {
                notes.1.set(Some(next_step()));
                // SAFETY: as above.
                unsafe { p.cast::<u64>().write(2) }
            },
        )
        .expect("open")
    });
    let end = thread.join();
    let after = |at: &Cell<Option<usize>>| at.get().is_some_and(|at| death.at.is_some_and(|d| d > at));
    let (consumed, published) = (after(&consumed), after(&published));
    let mut got = Vec::new();
    if end != Outcome::Died || published || !consumed {
        // A message is in the cell, and the producer right to sleep.
        got.push(take(&q, &me).expect("open"));
    }
    producer.join();
    settle();
    got.extend(drain(&q, &me));
    let values: Vec<_> = got.iter().map(|g| g.0).collect();
    match end {
        Outcome::Finished(displaced) => {
            assert_eq!(displaced, Some(1));
            assert_eq!(values, [2, 3]);
        }
        Outcome::Died if published => assert_eq!(got, [(2, false), (3, false)]),
        Outcome::Died if consumed => assert_eq!(got, [(3, false)]),
        Outcome::Died => assert_eq!(values, [1, 3]),
    }
}
