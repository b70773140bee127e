//! The specification of the event.

use crate::kit::{self, LONG, NET, Random, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::sync::Event;
use interproc::{Deadline, ErrorKind, Object, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn event(seg: &Segment) -> Object<Event> {
    seg.object("event", Event::new).expect("event")
}

fn new() -> (Segment, Object<Event>, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let e = event(&seg);
    (seg, e, board())
}

fn refused(answer: interproc::Result<()>) {
    assert_eq!(answer.err().map(|e| e.kind()), Some(ErrorKind::TimedOut));
}

pub fn a_set_is_seen_by_all_until_it_is_cleared(at: Place) {
    let (seg, e, _) = new();
    assert!(!e.is_set());
    e.clear();
    for _ in 0..3 {
        e.set();
        e.set();
        at.start(&seg, |seg| {
            let e = event(seg);
            assert!(e.is_set());
            (0..3).for_each(|_| e.wait().expect("wait"));
            e.wait_timeout(Duration::ZERO).expect("wait");
            e.clear();
        })
        .join();
        assert!(!e.is_set());
        refused(e.wait_timeout(Duration::ZERO));
        e.clear();
        assert!(!e.is_set());
    }
}

pub fn what_was_done_before_a_set_is_seen_after_the_wait(at: Place) {
    const ROUNDS: u64 = 5_000;
    let (seg, there, words) = new();
    let back = seg.object("back", Event::new).expect("event");
    let other = at.start(&seg, |seg| {
        let (there, back) = (event(seg), seg.object("back", Event::new).expect("event"));
        for round in 1..=ROUNDS {
            there.wait().expect("wait");
            there.clear();
            assert_eq!(words[0].load(Ordering::Relaxed), round);
            words[1].store(round, Ordering::Relaxed);
            back.set();
        }
    });
    for round in 1..=ROUNDS {
        words[0].store(round, Ordering::Relaxed);
        there.set();
        back.wait().expect("wait");
        back.clear();
        assert_eq!(words[1].load(Ordering::Relaxed), round);
    }
    other.join();
}

/// Who clears and then sees nothing new to do is woken by the set of whoever has brought something meanwhile.
pub fn no_set_is_lost_on_who_clears_it(at: Place) {
    const EACH: u64 = 20_000;
    let (seg, e, words) = new();
    let setter = |lane: usize| {
        at.start(&seg, move |seg| {
            let e = event(seg);
            for n in 1..=EACH {
                words[lane].store(n, Ordering::Relaxed);
                e.set();
            }
        })
    };
    let setters = [setter(0), setter(1)];
    while (0..2).any(|lane| words[lane].load(Ordering::Relaxed) < EACH) {
        e.wait_timeout(LONG).expect("a set was lost");
        e.clear();
    }
    setters.into_iter().for_each(|s| s.join());
}

pub fn a_set_lets_all_go_even_if_it_is_cleared_at_once(at: Place) {
    const SLEEPERS: usize = 5;
    let (seg, e, words) = new();
    for round in 0..5 {
        let here = 10 * (round + 1);
        let sleeper = |n: usize| {
            at.start(&seg, move |seg| {
                let e = event(seg);
                say_where(&words[here + n]);
                if n.is_multiple_of(2) { e.wait() } else { e.wait_timeout(LONG) }.expect("wait");
                raise(&words[0]);
            })
        };
        let sleepers: Vec<_> = (0..SLEEPERS).map(sleeper).collect();
        (0..SLEEPERS).for_each(|n| await_asleep(&words[here + n]));
        assert_eq!(words[0].load(Ordering::SeqCst), (round * SLEEPERS) as u64, "it did not wait");
        e.set();
        e.clear();
        sleepers.into_iter().for_each(|s| s.join());
        assert!(!e.is_set());
    }
}

pub fn a_wait_lasts_as_long_as_it_was_told(at: Place) {
    let (seg, e, _) = new();
    at.start(&seg, |seg| {
        let e = event(seg);
        for timeout in [1, 20, 120].map(Duration::from_millis) {
            let started = Instant::now();
            refused(e.wait_timeout(timeout));
            let took = started.elapsed();
            assert!(took >= timeout && took < timeout + NET, "{timeout:?}: {took:?}");
        }
    })
    .join();
    assert!(!e.is_set());
}

pub fn a_deadline_in_the_past_gives_up_at_once_but_on_what_is_set(at: Place) {
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    let (seg, e, _) = new();
    at.start(&seg, move |seg| {
        let e = event(seg);
        let started = Instant::now();
        past.into_iter().for_each(|deadline| refused(e.wait_until(deadline)));
        refused(e.wait_timeout(Duration::ZERO));
        assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
        e.set();
        past.into_iter().for_each(|deadline| e.wait_until(deadline).expect("set"));
    })
    .join();
    e.wait_timeout(Duration::ZERO).expect("set");
}

pub fn the_longest_wait_does_not_end_early(at: Place) {
    let (seg, e, words) = new();
    for (n, longest) in
        [Deadline::after(Duration::MAX), Deadline::from_monotonic_ns(u64::MAX)].into_iter().enumerate()
    {
        let waiter = at.start(&seg, move |seg| {
            say_where(&words[n]);
            event(seg).wait_until(longest).expect("wait");
            raise(&words[9]);
        });
        await_asleep(&words[n]);
        std::thread::sleep(Duration::from_millis(110)); // two nets
        assert_eq!(words[9].load(Ordering::SeqCst), n as u64, "it did not wait");
        e.set();
        waiter.join();
        e.clear();
    }
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, e, words) = new();
    let patient = at.start(&seg, |seg| {
        let e = event(seg);
        under_signals(&words[0], || e.wait()).expect("wait");
        raise(&words[2]);
    });
    await_word(&words[0], 1);
    at.start(&seg, |seg| {
        let e = event(seg);
        let timeout = Duration::from_millis(80);
        let (answer, took) = under_signals(&words[1], || {
            let started = Instant::now();
            (e.wait_timeout(timeout), started.elapsed())
        });
        refused(answer);
        assert!(took >= timeout && took < timeout + NET, "{took:?}");
    })
    .join();
    assert!(words[1].load(Ordering::SeqCst) > 0, "no signals: the test tests nothing");
    await_word(&words[0], MANY);
    assert_eq!(words[2].load(Ordering::SeqCst), 0, "it did not wait");
    e.set();
    patient.join();
}

pub fn waiters_and_setters_that_die_harm_nobody(at: Place) {
    let (seg, e, words) = new();
    for round in 0..10 {
        let here = 10 * (round + 1);
        let sleeper = |n: usize| {
            at.start(&seg, move |seg| {
                let e = event(seg);
                say_where(&words[here + n]);
                e.wait().expect("wait");
                if n == 0 {
                    at.die();
                }
            })
        };
        let doomed = sleeper(0);
        await_asleep(&words[here]);
        let others = [sleeper(1), sleeper(2)];
        (1..3).for_each(|n| await_asleep(&words[here + n]));
        if let (crate::place::Actor::Process(kid), true) = (&doomed, round % 2 == 0) {
            kid.kill(); // in its sleep
        }
        at.start(&seg, move |seg| {
            event(seg).set();
            at.die();
        })
        .gone();
        doomed.gone();
        others.into_iter().for_each(|o| o.join());
        e.clear();
    }
}

pub fn who_gives_up_harms_nobody(at: Place) {
    let (seg, e, words) = new();
    let impatient = |seed: u64| {
        at.start(&seg, move |seg| {
            let (e, mut random) = (event(seg), Random(seed));
            while words[0].load(Ordering::SeqCst) == 0 {
                if let Err(error) = e.wait_timeout(Duration::from_micros(random.below(150))) {
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                }
            }
        })
    };
    let patient = at.start(&seg, |seg| {
        let e = event(seg);
        for n in 1..=500 {
            await_word(&words[2], n);
            e.wait_timeout(LONG).expect("a set was lost");
            raise(&words[1]);
        }
    });
    let impatients = [impatient(1), impatient(2)];
    for n in 1..=500 {
        raise(&words[2]);
        e.set();
        await_word(&words[1], n);
        e.clear();
    }
    raise(&words[0]);
    patient.join();
    impatients.into_iter().for_each(|i| i.join());
}

pub fn a_set_makes_nobody_a_member(at: Place) {
    let (seg, e, words) = new();
    let sleeper = at.start(&seg, |seg| {
        say_where(&words[0]);
        event(seg).wait().expect("wait");
        raise(&words[1]);
        await_word(&words[2], 1);
    });
    await_asleep(&words[0]);
    let bare = kit::Bare::new(&seg);
    let members = bare.live();
    kit::in_thread(|| {
        e.set();
        await_word(&words[1], 1);
        e.wait().expect("set");
        e.clear();
        assert!(!e.is_set());
    });
    assert_eq!(bare.live(), members);
    raise(&words[2]);
    sleeper.join();
}

pub fn a_child_sets_it_for_its_parent(at: Place) {
    let (seg, _e, _) = new();
    at.start(&seg, |seg| {
        let e = event(seg);
        for raw in [false, true] {
            let (pid, parent) = (std::process::id() as i32, kit::gettid());
            let child = kit::child(raw, || {
                kit::await_thread_sleep(pid, parent);
                e.set();
                e.wait().expect("set");
            });
            e.wait().expect("wait");
            child.join();
            e.clear();
        }
    })
    .join();
}

pub fn a_handle_outlives_the_thread_that_made_it(at: Place) {
    let (seg, e, _) = new();
    at.start(&seg, |seg| {
        let seg = seg.clone();
        let moved = std::thread::spawn(move || event(&seg)).join().expect("maker");
        std::thread::scope(|scope| {
            scope.spawn(|| moved.wait().expect("wait"));
            scope.spawn(|| moved.set());
        });
    })
    .join();
    assert!(e.is_set());
}

pub fn a_wait_in_slices_sees_a_set_that_was_cleared_at_once(at: Place) {
    const ROUNDS: u64 = 300;
    let (seg, e, words) = new();
    let waiter = at.start(&seg, move |seg| {
        let e = event(seg);
        for round in 1..=ROUNDS {
            let before = e.sets();
            words[0].store(round, Ordering::SeqCst);
            while e.sets() == before && e.wait_timeout(Duration::from_micros(50)).is_err() {}
        }
    });
    let mut random = Random(7);
    for round in 1..=ROUNDS {
        await_word(&words[0], round);
        std::thread::sleep(Duration::from_micros(random.below(150)));
        e.set();
        e.set();
        e.clear();
    }
    waiter.join();
    assert_eq!(u64::from(e.sets()), ROUNDS);
}
