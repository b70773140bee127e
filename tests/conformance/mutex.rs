//! The specification of the mutex.

use crate::kit::{self, LONG, NET, Random, await_word, board, raise, raw};
use crate::place::{MANY, Place, await_asleep, forget, say_where, under_signals};
use interproc::sync::{LockError, Mutex, MutexGuard};
use interproc::{Deadline, ErrorKind, Object, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug, PartialEq, Eq)]
enum Got {
    Clean,
    OwnerDied,
    Failed(ErrorKind),
}

fn got(answer: Result<MutexGuard<'_, u64>, LockError<'_, u64>>) -> Got {
    match answer {
        Ok(_) => Got::Clean,
        Err(LockError::OwnerDied(died)) => {
            drop(died.mark_consistent());
            Got::OwnerDied
        }
        Err(LockError::Failed(error)) => Got::Failed(error.kind()),
    }
}

fn mutex(seg: &Segment) -> Object<Mutex<u64>> {
    seg.object("mutex", || Mutex::new(0)).expect("mutex")
}

fn new() -> (Segment, Object<Mutex<u64>>, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let m = mutex(&seg);
    (seg, m, board())
}

pub fn one_holds_it_at_a_time(at: Place) {
    const ROUNDS: u64 = 4_000;
    let (seg, m, words) = new();
    let user = |n: u64| {
        at.start(&seg, move |seg| {
            let m = mutex(seg);
            for round in 0..ROUNDS {
                let mut value = match round % 3 {
                    0 => m.lock().expect("lock"),
                    1 => m.lock_timeout(LONG).expect("lock"),
                    _ => loop {
                        match m.try_lock() {
                            Ok(guard) => break guard,
                            Err(e) => assert_eq!(e.error().kind(), ErrorKind::WouldBlock),
                        }
                        std::thread::yield_now();
                    },
                };
                assert_eq!(words[0].swap(n, Ordering::Relaxed), 0, "two hold it");
                let before = std::hint::black_box(*value);
                *value = std::hint::black_box(before + 1);
                assert_eq!(words[0].swap(0, Ordering::Relaxed), n, "two hold it");
            }
        })
    };
    let users: Vec<_> = (1..=4).map(user).collect();
    users.into_iter().for_each(|u| u.join());
    assert_eq!(*m.lock().expect("lock"), 4 * ROUNDS);
}

/// Runs `body` here while another user holds the lock.
fn while_held(at: Place, body: impl FnOnce(&Mutex<u64>)) {
    let (seg, m, words) = new();
    let holder = at.start(&seg, |seg| {
        let m = mutex(seg);
        let _guard = m.lock().expect("lock");
        raise(&words[0]);
        await_word(&words[1], 1);
    });
    await_word(&words[0], 1);
    body(&m);
    raise(&words[1]);
    holder.join();
    assert_eq!(got(m.try_lock()), Got::Clean);
}

pub fn a_try_on_a_held_lock_says_so_at_once(at: Place) {
    while_held(at, |m| {
        let started = Instant::now();
        for _ in 0..100 {
            assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::WouldBlock));
        }
        assert!(started.elapsed() < NET);
        assert!(m.is_locked());
    });
}

pub fn a_timed_lock_waits_as_long_as_it_was_told(at: Place) {
    while_held(at, |m| {
        for timeout in [1, 20, 120].map(Duration::from_millis) {
            let started = Instant::now();
            assert_eq!(got(m.lock_timeout(timeout)), Got::Failed(ErrorKind::TimedOut));
            let took = started.elapsed();
            assert!(took >= timeout && took < timeout + NET, "{timeout:?}: {took:?}");
        }
    });
}

pub fn a_deadline_in_the_past_gets_a_free_lock_and_gives_up_on_a_held_one(at: Place) {
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    while_held(at, |m| {
        let started = Instant::now();
        for deadline in past {
            assert_eq!(got(m.lock_until(deadline)), Got::Failed(ErrorKind::TimedOut));
        }
        assert_eq!(got(m.lock_timeout(Duration::ZERO)), Got::Failed(ErrorKind::TimedOut));
        assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    });
    let (seg, _m, _) = new();
    at.start(&seg, move |seg| {
        let m = mutex(seg);
        for deadline in past {
            assert_eq!(got(m.lock_until(deadline)), Got::Clean);
        }
        assert_eq!(got(m.lock_timeout(Duration::ZERO)), Got::Clean);
        // The dead do not hold it.
        forget(m.lock().expect("lock"));
    })
    .join();
    assert_eq!(got(mutex(&seg).lock_until(past[0])), Got::OwnerDied);
}

pub fn the_longest_wait_does_not_end_early(at: Place) {
    let (seg, m, words) = new();
    for (n, longest) in
        [Deadline::after(Duration::MAX), Deadline::from_monotonic_ns(u64::MAX)].into_iter().enumerate()
    {
        let guard = m.lock().expect("lock");
        let waiter = at.start(&seg, move |seg| {
            say_where(&words[n]);
            assert_eq!(got(mutex(seg).lock_until(longest)), Got::Clean);
        });
        await_asleep(&words[n]);
        std::thread::sleep(Duration::from_millis(110)); // two nets
        drop(guard);
        waiter.join();
    }
}

pub fn the_dead_ones_lock_is_inherited_with_the_news_and_then_clean(at: Place) {
    let (seg, m, _) = new();
    for _ in 0..5 {
        at.start(&seg, move |seg| {
            let m = mutex(seg);
            *m.lock().expect("lock") = 1;
            let mut guard = m.lock().expect("lock");
            *guard = 77; // half of something
            forget(guard);
            at.die();
        })
        .gone();
        at.start(&seg, |seg| {
            let m = mutex(seg);
            let Err(LockError::OwnerDied(mut died)) = m.lock() else { panic!("not told") };
            assert_eq!(*died, 77);
            *died = 2;
            let mut guard = died.mark_consistent();
            *guard += 1;
        })
        .join();
        assert_eq!(*m.lock().expect("clean"), 3);
        at.start(&seg, |seg| assert_eq!(*mutex(seg).lock().expect("clean"), 3)).join();
    }
}

pub fn a_lock_given_up_is_refused_to_all_and_to_those_asleep(at: Place) {
    let (seg, m, words) = new();
    at.start(&seg, |seg| forget(mutex(seg).lock().expect("lock"))).join();
    let Err(LockError::OwnerDied(died)) = m.lock() else { panic!("not told") };
    let asleep = |n: usize| {
        at.start(&seg, move |seg| {
            let m = mutex(seg);
            say_where(&words[n]);
            let answer = if n == 0 { got(m.lock()) } else { got(m.lock_timeout(LONG)) };
            assert_eq!(answer, Got::Failed(ErrorKind::NotRecoverable));
        })
    };
    let sleepers: Vec<_> = (0..3).map(asleep).collect();
    (0..3).for_each(|n| await_asleep(&words[n]));
    died.mark_not_recoverable();
    sleepers.into_iter().for_each(|s| s.join());
    for _ in 0..2 {
        assert_eq!(got(m.lock()), Got::Failed(ErrorKind::NotRecoverable));
        assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::NotRecoverable));
        assert_eq!(got(m.lock_timeout(Duration::ZERO)), Got::Failed(ErrorKind::NotRecoverable));
    }
    at.start(&seg, |seg| assert_eq!(got(mutex(seg).lock()), Got::Failed(ErrorKind::NotRecoverable))).join();
}

pub fn a_recoverer_that_dies_hands_on_the_news(at: Place) {
    let (seg, m, _) = new();
    at.start(&seg, |seg| forget(mutex(seg).lock().expect("lock"))).join();
    for _ in 0..3 {
        at.start(&seg, move |seg| {
            let m = mutex(seg);
            let Err(LockError::OwnerDied(died)) = m.lock() else { panic!("not told") };
            forget(died);
            at.die();
        })
        .gone();
    }
    // Marked consistent, then dead: the news is told again.
    at.start(&seg, move |seg| {
        let m = mutex(seg);
        let Err(LockError::OwnerDied(died)) = m.lock() else { panic!("not told") };
        forget(died.mark_consistent());
        at.die();
    })
    .gone();
    assert_eq!(got(m.lock()), Got::OwnerDied);
    assert_eq!(got(m.lock()), Got::Clean);
}

pub fn locking_twice_is_an_error_and_changes_nothing(at: Place) {
    let (seg, m, words) = new();
    at.start(&seg, |seg| {
        let m = mutex(seg);
        let mut guard = m.lock().expect("lock");
        assert_eq!(got(m.lock()), Got::Failed(ErrorKind::Deadlock));
        assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::Deadlock));
        assert_eq!(got(m.lock_timeout(LONG)), Got::Failed(ErrorKind::Deadlock));
        *guard = 1;
        drop(guard);
        assert_eq!(got(m.lock()), Got::Clean);
    })
    .join();
    // Also with somebody asleep behind it, and with a lock that was inherited.
    at.start(&seg, |seg| forget(mutex(seg).lock().expect("lock"))).join();
    let Err(LockError::OwnerDied(died)) = m.lock() else { panic!("not told") };
    assert_eq!(got(m.lock()), Got::Failed(ErrorKind::Deadlock));
    let sleeper = at.start(&seg, |seg| {
        say_where(&words[0]);
        assert_eq!(got(mutex(seg).lock()), Got::Clean);
    });
    await_asleep(&words[0]);
    assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::Deadlock));
    drop(died.mark_consistent());
    sleeper.join();
}

pub fn only_the_owner_unlocks_and_marks_consistent(at: Place) {
    let (seg, m, words) = new();
    let intruder = |seg: &Segment| {
        at.start(seg, |seg| {
            let (m, bare) = (mutex(seg), kit::Bare::new(seg));
            let owner = raw(&m).owner();
            assert_eq!(raw(&m).unlock(bare.member()).map_err(|e| e.kind()), Err(ErrorKind::NotOwner));
            let marked = raw(&m).mark_consistent(bare.member());
            assert_eq!(marked.map_err(|e| e.kind()), Err(ErrorKind::NotOwner));
            assert_eq!(raw(&m).owner(), owner, "something was changed");
        })
        .join();
    };
    intruder(&seg); // free
    let guard = m.lock().expect("lock");
    intruder(&seg);
    let bare = kit::Bare::new(&seg);
    let marked = raw(&m).mark_consistent(bare.member());
    assert_eq!(marked.map_err(|e| e.kind()), Err(ErrorKind::InvalidInput), "there is nothing to mark");
    let sleeper = at.start(&seg, |seg| {
        say_where(&words[0]);
        assert_eq!(got(mutex(seg).lock()), Got::Clean);
    });
    await_asleep(&words[0]);
    intruder(&seg);
    drop(guard);
    sleeper.join();
    at.start(&seg, |seg| forget(mutex(seg).lock().expect("lock"))).join();
    intruder(&seg); // the dead one's
    assert_eq!(got(m.lock()), Got::OwnerDied);
    intruder(&seg);
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, m, words) = new();
    let guard = m.lock().expect("lock");
    let patient = at.start(&seg, |seg| {
        let m = mutex(seg);
        assert_eq!(under_signals(&words[0], || got(m.lock())), Got::Clean);
        raise(&words[2]);
    });
    await_word(&words[0], 1);
    let timed = at.start(&seg, |seg| {
        let m = mutex(seg);
        let timeout = Duration::from_millis(80);
        let (answer, took) = under_signals(&words[1], || {
            let started = Instant::now();
            (got(m.lock_timeout(timeout)), started.elapsed())
        });
        assert_eq!(answer, Got::Failed(ErrorKind::TimedOut));
        assert!(took >= timeout && took < timeout + NET, "{took:?}");
    });
    timed.join();
    assert!(words[1].load(Ordering::SeqCst) > 0, "no signals: the test tests nothing");
    await_word(&words[0], MANY);
    assert_eq!(words[2].load(Ordering::SeqCst), 0, "it did not wait");
    drop(guard);
    patient.join();
}

pub fn a_death_is_told_to_a_waiter_under_signals(at: Place) {
    let (seg, _m, words) = new();
    let holder = at.start(&seg, move |seg| {
        forget(mutex(seg).lock().expect("lock"));
        raise(&words[0]);
        await_word(&words[1], MANY);
        at.die();
    });
    await_word(&words[0], 1);
    let waiter = at.start(&seg, |seg| {
        let m = mutex(seg);
        assert_eq!(under_signals(&words[1], || got(m.lock_timeout(LONG))), Got::OwnerDied);
    });
    holder.gone();
    waiter.join();
}

pub fn it_may_be_destroyed_as_soon_as_it_was_acquired(at: Place) {
    const ROUNDS: u64 = 3_000;
    const OTHER_USE: u64 = 0xdead_beef_0bad_cafe;
    let (seg, m, words) = new();
    // Locks, hands over, returns; the other one locks it and makes something else of its memory at once.
    let first = at.start(&seg, |seg| {
        let m = mutex(seg);
        for round in 1..=ROUNDS {
            let guard = m.lock().expect("a new lock");
            words[0].store(round, Ordering::SeqCst);
            // Sometimes the other sleeps by now, sometimes it spins, sometimes it is not there yet.
            for _ in 0..(round % 7) * 300 {
                std::hint::spin_loop();
            }
            drop(guard);
            await_word(&words[1], round);
        }
    });
    let second = at.start(&seg, |seg| {
        let m = mutex(seg);
        // SAFETY: two words of lock and one of value, aligned, seen as atomics while nobody uses the lock.
        let memory: &[AtomicU64; 3] = unsafe { &*std::ptr::from_ref(&*m).cast() };
        for round in 1..=ROUNDS {
            await_word(&words[0], round);
            forget(m.lock().expect("lock"));
            memory.iter().for_each(|w| w.store(OTHER_USE, Ordering::SeqCst));
            for _ in 0..40 {
                assert!(
                    memory.iter().all(|w| w.load(Ordering::SeqCst) == OTHER_USE),
                    "written to in round {round}"
                );
            }
            // Zero bytes are a lock again.
            memory.iter().for_each(|w| w.store(0, Ordering::SeqCst));
            words[1].store(round, Ordering::SeqCst);
        }
    });
    first.join();
    second.join();
    assert!(!m.is_locked());
}

pub fn who_gives_up_takes_no_wake_up_along(at: Place) {
    let (seg, m, words) = new();
    let impatient = |seed: u64| {
        at.start(&seg, move |seg| {
            let (m, mut random) = (mutex(seg), Random(seed));
            while words[0].load(Ordering::SeqCst) < 2 {
                match got(m.lock_timeout(Duration::from_micros(random.below(150)))) {
                    Got::Clean | Got::Failed(ErrorKind::TimedOut) => {}
                    other => panic!("{other:?}"),
                }
            }
        })
    };
    let patient = || {
        at.start(&seg, move |seg| {
            let m = mutex(seg);
            let mut slow = 0;
            for _ in 0..300 {
                let started = Instant::now();
                let mut guard = m.lock().expect("lock");
                slow += u32::from(started.elapsed() > Duration::from_millis(40));
                *guard += 1;
                for _ in 0..2_000 {
                    std::hint::spin_loop();
                }
            }
            raise(&words[0]);
            // A lost wake-up costs a whole net each time.
            assert!(slow < 20, "{slow} of 300 waits needed the net");
        })
    };
    let users = [impatient(1), impatient(2), patient(), patient()];
    users.into_iter().for_each(|u| u.join());
    assert_eq!(*m.lock().expect("lock"), 600);
}

pub fn an_unlock_wakes_those_asleep_at_once(at: Place) {
    wakes_those_asleep_at_once(at, &kit::segment());
}

pub fn with_full_fences_from_some_time_on_an_unlock_wakes_at_once(at: Place) {
    let seg = kit::segment();
    drop(mutex(&seg).lock().expect("a member that does not know of full fences"));
    let fd = seg.as_fd().try_clone_to_owned().expect("dup");
    let _strong = Segment::options().strong_fences(true).from_fd(fd).expect("from_fd");
    wakes_those_asleep_at_once(at, &seg);
}

fn wakes_those_asleep_at_once(at: Place, seg: &Segment) {
    let (m, words) = (mutex(seg), board());
    let mut times = Vec::new();
    for round in 1..=9 {
        let guard = m.lock().expect("lock");
        let sleeper = |n: usize| {
            at.start(seg, move |seg| {
                let m = mutex(seg);
                say_where(&words[8 * round + n]);
                drop(m.lock().expect("lock"));
                raise(&words[0]);
            })
        };
        let sleepers: Vec<_> = (0..3).map(sleeper).collect();
        (0..3).for_each(|n| await_asleep(&words[8 * round + n]));
        let started = Instant::now();
        drop(guard);
        await_word(&words[0], 3 * round as u64);
        times.push(started.elapsed());
        sleepers.into_iter().for_each(|s| s.join());
    }
    times.sort();
    // A lost wake-up waits for the net.
    assert!(times[4] < Duration::from_millis(15), "{times:?}");
}

pub fn a_handle_outlives_the_thread_that_made_it(at: Place) {
    let (seg, _m, _) = new();
    at.start(&seg, |seg| {
        let seg = seg.clone();
        let make = move || {
            let m = mutex(&seg);
            *m.lock().expect("lock") = 5;
            m
        };
        let moved = std::thread::spawn(make).join().expect("maker");
        assert_eq!(*moved.lock().expect("lock"), 5);
        let moved = std::thread::spawn(move || {
            *moved.lock().expect("lock") = 6;
            moved
        });
        assert_eq!(*moved.join().expect("user").lock().expect("lock"), 6);
    })
    .join();
    assert_eq!(*mutex(&seg).lock().expect("lock"), 6);
    // A guard stays where it is: the thread that locks unlocks.
    trait MayMove<Marker> {
        fn may_move() {}
    }
    impl<T: ?Sized> MayMove<()> for T {}
    struct Moves;
    impl<T: ?Sized + Send> MayMove<Moves> for T {}
    // Ambiguous, hence an error, if guards were Send.
    <MutexGuard<'_, u64> as MayMove<_>>::may_move();
}
