//! The specification of the counting semaphore.

use crate::kit::{self, LONG, NET, Random, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, say_where, under_signals};
use interproc::sync::Semaphore;
use interproc::{Deadline, ErrorKind, Object, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn semaphore(seg: &Segment) -> Object<Semaphore> {
    seg.object("semaphore", || Semaphore::new(0)).expect("semaphore")
}

fn new() -> (Segment, Object<Semaphore>, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let s = semaphore(&seg);
    (seg, s, board())
}

fn kind(answer: interproc::Result<()>) -> Option<ErrorKind> {
    answer.err().map(|e| e.kind())
}

/// What an empty one says.
fn refused(answer: interproc::Result<()>, with: ErrorKind) {
    assert_eq!(kind(answer), Some(with));
}

pub fn no_more_are_inside_than_it_counts(at: Place) {
    const ROUNDS: u64 = 3_000;
    const ROOM: u64 = 2;
    let (seg, s, words) = new();
    s.post_many(ROOM as u32).expect("post");
    let user = || {
        at.start(&seg, move |seg| {
            let s = semaphore(seg);
            for round in 0..ROUNDS {
                match round % 3 {
                    0 => s.acquire().expect("acquire"),
                    1 => s.acquire_timeout(LONG).expect("acquire"),
                    _ => {
                        while let Err(e) = s.try_acquire() {
                            assert_eq!(e.kind(), ErrorKind::WouldBlock);
                            std::thread::yield_now();
                        }
                    }
                }
                assert!(words[0].fetch_add(1, Ordering::SeqCst) < ROOM, "too many inside");
                words[0].fetch_sub(1, Ordering::SeqCst);
                s.post().expect("post");
            }
        })
    };
    let users: Vec<_> = (0..4).map(|_| user()).collect();
    users.into_iter().for_each(|u| u.join());
    assert_eq!(s.value(), ROOM as u32);
}

pub fn what_was_done_before_a_post_is_seen_after_the_acquire(at: Place) {
    const ROUNDS: u64 = 5_000;
    let (seg, there, words) = new();
    let back = seg.object("back", || Semaphore::new(0)).expect("semaphore");
    let other = at.start(&seg, |seg| {
        let (there, back) = (semaphore(seg), seg.object("back", || Semaphore::new(0)).expect("semaphore"));
        for round in 1..=ROUNDS {
            there.acquire().expect("acquire");
            assert_eq!(words[0].load(Ordering::Relaxed), round);
            words[1].store(round, Ordering::Relaxed);
            back.post().expect("post");
        }
    });
    for round in 1..=ROUNDS {
        words[0].store(round, Ordering::Relaxed);
        there.post().expect("post");
        back.acquire().expect("acquire");
        assert_eq!(words[1].load(Ordering::Relaxed), round);
    }
    other.join();
}

pub fn an_empty_one_refuses_or_waits_as_long_as_it_was_told(at: Place) {
    let (seg, s, _) = new();
    at.start(&seg, |seg| {
        let s = semaphore(seg);
        let started = Instant::now();
        (0..100).for_each(|_| refused(s.try_acquire(), ErrorKind::WouldBlock));
        assert!(started.elapsed() < NET);
        for timeout in [1, 20, 120].map(Duration::from_millis) {
            let started = Instant::now();
            refused(s.acquire_timeout(timeout), ErrorKind::TimedOut);
            let took = started.elapsed();
            assert!(took >= timeout && took < timeout + NET, "{timeout:?}: {took:?}");
        }
    })
    .join();
    assert_eq!(s.value(), 0);
}

pub fn a_deadline_in_the_past_takes_what_is_there_and_gives_up_at_once(at: Place) {
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    let (seg, s, _) = new();
    s.post_many(past.len() as u32 + 1).expect("post");
    at.start(&seg, move |seg| {
        let s = semaphore(seg);
        past.into_iter().for_each(|deadline| s.acquire_until(deadline).expect("there is one"));
        s.acquire_timeout(Duration::ZERO).expect("there is one");
        let started = Instant::now();
        past.into_iter().for_each(|deadline| refused(s.acquire_until(deadline), ErrorKind::TimedOut));
        refused(s.acquire_timeout(Duration::ZERO), ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    })
    .join();
    assert_eq!(s.value(), 0);
}

pub fn the_longest_wait_does_not_end_early(at: Place) {
    let (seg, s, words) = new();
    for (n, longest) in
        [Deadline::after(Duration::MAX), Deadline::from_monotonic_ns(u64::MAX)].into_iter().enumerate()
    {
        let waiter = at.start(&seg, move |seg| {
            say_where(&words[n]);
            semaphore(seg).acquire_until(longest).expect("acquire");
            raise(&words[9]);
        });
        await_asleep(&words[n]);
        std::thread::sleep(Duration::from_millis(110)); // two nets
        assert_eq!(words[9].load(Ordering::SeqCst), n as u64, "it did not wait");
        s.post().expect("post");
        waiter.join();
    }
}

pub fn as_many_sleepers_go_as_were_posted(at: Place) {
    const SLEEPERS: usize = 6;
    let (seg, s, words) = new();
    let sleeper = |n: usize| {
        at.start(&seg, move |seg| {
            let s = semaphore(seg);
            say_where(&words[n]);
            if n % 2 == 0 { s.acquire() } else { s.acquire_timeout(LONG) }.expect("acquire");
            raise(&words[20]);
        })
    };
    let sleepers: Vec<_> = (0..SLEEPERS).map(sleeper).collect();
    (0..SLEEPERS).for_each(|n| await_asleep(&words[n]));
    let mut posted = 0;
    for n in [1, 2, 3] {
        s.post_many(n).expect("post");
        posted += u64::from(n);
        await_word(&words[20], posted);
        // Nobody else goes.
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((words[20].load(Ordering::SeqCst), s.value()), (posted, 0));
    }
    sleepers.into_iter().for_each(|s| s.join());
    // More than there are sleepers: the rest stays.
    let sleeper = sleeper(40);
    await_asleep(&words[40]);
    s.post_many(5_000).expect("post");
    sleeper.join();
    assert_eq!(s.value(), 4_999);
}

pub fn a_post_beyond_the_limit_is_refused_and_changes_nothing(at: Place) {
    let (seg, s, words) = new();
    s.post_many(0).expect("nothing");
    refused(s.post_many(u32::MAX), ErrorKind::Overflow);
    assert_eq!(s.value(), 0);
    let sleeper = at.start(&seg, |seg| {
        say_where(&words[0]);
        semaphore(seg).acquire().expect("acquire");
    });
    await_asleep(&words[0]);
    refused(s.post_many(Semaphore::MAX + 1), ErrorKind::Overflow);
    assert_eq!(s.value(), 0);
    s.post_many(Semaphore::MAX).expect("the limit");
    sleeper.join();
    assert_eq!(s.value(), Semaphore::MAX - 1);
    s.post().expect("the limit");
    refused(s.post(), ErrorKind::Overflow);
    refused(s.post_many(Semaphore::MAX), ErrorKind::Overflow);
    assert_eq!(s.value(), Semaphore::MAX);
    s.acquire().expect("acquire");
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, s, words) = new();
    let patient = at.start(&seg, |seg| {
        let s = semaphore(seg);
        under_signals(&words[0], || s.acquire()).expect("acquire");
        raise(&words[2]);
    });
    await_word(&words[0], 1);
    at.start(&seg, |seg| {
        let s = semaphore(seg);
        let timeout = Duration::from_millis(80);
        let (answer, took) = under_signals(&words[1], || {
            let started = Instant::now();
            (s.acquire_timeout(timeout), started.elapsed())
        });
        refused(answer, ErrorKind::TimedOut);
        assert!(took >= timeout && took < timeout + NET, "{took:?}");
    })
    .join();
    assert!(words[1].load(Ordering::SeqCst) > 0, "no signals: the test tests nothing");
    await_word(&words[0], MANY);
    assert_eq!(words[2].load(Ordering::SeqCst), 0, "it did not wait");
    s.post().expect("post");
    patient.join();
}

pub fn who_gives_up_takes_no_wake_up_along(at: Place) {
    const POSTS: u64 = 2_000;
    let (seg, s, words) = new();
    let impatient = |seed: u64| {
        at.start(&seg, move |seg| {
            let (s, mut random) = (semaphore(seg), Random(seed));
            while words[0].load(Ordering::SeqCst) < POSTS {
                match kind(s.acquire_timeout(Duration::from_micros(random.below(150)))) {
                    None => drop(raise(&words[0])),
                    Some(kind) => assert_eq!(kind, ErrorKind::TimedOut),
                }
            }
        })
    };
    let users: Vec<_> = (1..=3).map(impatient).collect();
    for n in 1..=POSTS {
        s.post().expect("post");
        // Each in its turn: a wake-up that is lost is seen at once.
        await_word(&words[0], n);
    }
    users.into_iter().for_each(|u| u.join());
    assert_eq!(s.value(), 0);
}

pub fn a_sleeper_that_is_killed_leaves_the_post_to_the_others(at: Place) {
    let (seg, s, words) = new();
    for round in 0..20 {
        let here = 10 * (round + 1);
        let sleeper = |n: usize| {
            at.start(&seg, move |seg| {
                let s = semaphore(seg);
                say_where(&words[here + n]);
                s.acquire().expect("acquire");
                raise(&words[0]);
                if n == 0 {
                    at.die(); // with what it has: that is gone
                }
            })
        };
        let doomed = sleeper(0);
        await_asleep(&words[here]);
        let others = [sleeper(1), sleeper(2)];
        (1..3).for_each(|n| await_asleep(&words[here + n]));
        if let (crate::place::Actor::Process(kid), true) = (&doomed, round % 2 == 0) {
            kid.kill(); // in its sleep
            doomed.gone();
            s.post_many(2).expect("post");
        } else {
            s.post_many(3).expect("post");
            doomed.gone();
        }
        others.into_iter().for_each(|o| o.join());
        assert_eq!(s.value(), 0);
    }
    // The flags of the dead do not stay for ever: posts become cheap again. See `uncontended`.
}

/// A thread that is no member posts, and is no member afterwards.
pub fn a_post_makes_nobody_a_member(at: Place) {
    let (seg, s, words) = new();
    let sleeper = at.start(&seg, |seg| {
        say_where(&words[0]);
        semaphore(seg).acquire().expect("acquire");
        raise(&words[1]);
        await_word(&words[2], 1);
    });
    await_asleep(&words[0]);
    let bare = kit::Bare::new(&seg);
    let members = bare.live();
    kit::in_thread(|| s.post().expect("post"));
    await_word(&words[1], 1);
    kit::in_thread(|| {
        s.post().expect("post");
        s.try_acquire().expect("acquire");
        s.post().expect("post");
        s.acquire().expect("acquire");
    });
    assert_eq!(bare.live(), members);
    raise(&words[2]);
    sleeper.join();
}

/// Children of all makes wake their parent, who sleeps.
pub fn a_child_posts_for_its_parent(at: Place) {
    let (seg, s, _) = new();
    at.start(&seg, |seg| {
        let (s, back) = (semaphore(seg), seg.object("back", || Semaphore::new(0)).expect("semaphore"));
        for raw in [false, true] {
            let parent = kit::gettid();
            let pid = std::process::id() as i32;
            let child = kit::child(raw, || {
                kit::await_thread_sleep(pid, parent);
                s.post().expect("post");
                // And waits itself: what the parent is, is not its.
                back.acquire().expect("acquire");
            });
            s.acquire().expect("acquire");
            back.post().expect("post");
            child.join();
        }
    })
    .join();
    assert_eq!(s.value(), 0);
}

pub fn it_may_be_destroyed_as_soon_as_it_was_acquired(at: Place) {
    const ROUNDS: u64 = 3_000;
    const OTHER_USE: u64 = 0xdead_beef_0bad_cafe;
    let (seg, _s, words) = new();
    let poster = at.start(&seg, |seg| {
        let s = semaphore(seg);
        for round in 1..=ROUNDS {
            await_word(&words[0], round);
            // Sometimes the other sleeps by now, sometimes it spins, sometimes it is not there yet.
            (0..(round % 7) * 300).for_each(|_| std::hint::spin_loop());
            s.post().expect("post");
            await_word(&words[1], round);
        }
    });
    let user = at.start(&seg, |seg| {
        let s = semaphore(seg);
        // SAFETY: two words, aligned, seen as atomics while nobody uses the semaphore.
        let memory: &[AtomicU64; 2] = unsafe { &*std::ptr::from_ref(&*s).cast() };
        for round in 1..=ROUNDS {
            words[0].store(round, Ordering::SeqCst);
            s.acquire().expect("acquire");
            memory.iter().for_each(|w| w.store(OTHER_USE, Ordering::SeqCst));
            for _ in 0..40 {
                let untouched = memory.iter().all(|w| w.load(Ordering::SeqCst) == OTHER_USE);
                assert!(untouched, "written to in round {round}");
            }
            // Zero bytes are a semaphore again.
            memory.iter().for_each(|w| w.store(0, Ordering::SeqCst));
            words[1].store(round, Ordering::SeqCst);
        }
    });
    poster.join();
    user.join();
}

pub fn a_handle_outlives_the_thread_that_made_it(at: Place) {
    let (seg, s, _) = new();
    at.start(&seg, |seg| {
        let seg = seg.clone();
        let moved = std::thread::spawn(move || {
            let s = semaphore(&seg);
            s.post().expect("post");
            s.acquire().expect("acquire");
            s
        });
        let moved = moved.join().expect("maker");
        // Anybody posts, anybody acquires.
        std::thread::scope(|scope| {
            scope.spawn(|| moved.acquire().expect("acquire"));
            scope.spawn(|| moved.post().expect("post"));
        });
        let user = std::thread::spawn(move || moved.post().expect("post"));
        user.join().expect("user");
    })
    .join();
    assert_eq!(s.value(), 1);
}
