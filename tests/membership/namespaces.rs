//! Two PID namespaces on one segment, with equal thread ids in both.

use super::*;
use crate::kit::{
    Bare, Kid, LONG, NET, Random, await_word, board, fork, fork_in_new_pid_namespace, gettid, pause_for_ever,
    raise, raw,
};
use std::mem::forget;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub fn threads_with_equal_ids_exclude_each_other() {
    const ROUNDS: u64 = 20_000;
    let seg = kit::segment();
    let (m, words) = (mutex(&seg), board());
    let here = |n: usize| {
        let (m, words) = (&m, &words);
        fork_in_new_pid_namespace(0, move || {
            assert_eq!(gettid(), 1);
            let guard = m.lock().expect("lock");
            // Each has held it while the other, of the same id, was asked to wait.
            raise(&words[n]);
            drop(guard);
            await_word(&words[0], 1);
            await_word(&words[1], 1);
            if n == 0 {
                let guard = m.lock().expect("lock");
                raise(&words[2]);
                await_word(&words[3], 1);
                drop(guard);
            } else {
                await_word(&words[2], 1);
                assert_eq!(got(m.try_lock()), Got::Failed(ErrorKind::WouldBlock));
                let answer = m.lock_timeout(Duration::from_millis(120));
                assert_eq!(got(answer), Got::Failed(ErrorKind::TimedOut));
                raise(&words[3]);
            }
            for _ in 0..ROUNDS {
                let mut value = m.lock().expect("lock");
                let before = std::hint::black_box(*value);
                *value = std::hint::black_box(before + 1);
            }
        })
    };
    let both = [here(0), here(1)];
    both.into_iter().for_each(Kid::join);
    assert_eq!(*m.lock().expect("lock"), 2 * ROUNDS);
}

pub fn a_death_in_either_namespace_is_told_in_the_other() {
    let seg = kit::segment();
    let m = mutex(&seg);
    for round in 0..6 {
        let words = board();
        let owner = || {
            let owner = fork(|| {
                assert_eq!(gettid(), 2);
                forget(m.lock().expect("lock"));
                raise(&words[0]);
                pause_for_ever();
            });
            await_word(&words[1], 1);
            std::thread::sleep(Duration::from_millis(5)); // the other one shall sleep on it
            owner.finish();
            raise(&words[2]);
        };
        let waiter = || {
            fork(|| {
                assert_eq!(gettid(), 2);
                await_word(&words[0], 1);
                raise(&words[1]);
                let started = Instant::now();
                assert_eq!(got(m.lock_timeout(LONG)), Got::OwnerDied);
                assert!(started.elapsed() < NET);
            })
            .join();
        };
        // Which of the two registers first, and from where, is not the same each time.
        let kids = if round % 2 == 0 {
            [fork_in_new_pid_namespace(0, owner), fork_in_new_pid_namespace(0, waiter)]
        } else {
            [fork_in_new_pid_namespace(0, waiter), fork_in_new_pid_namespace(0, owner)]
        };
        kids.into_iter().for_each(Kid::join);
    }
}

pub fn permits_and_a_barrier_keep_equal_ids_apart() {
    const ROUNDS: u64 = 2_000;
    let seg = kit::segment();
    let (permit, barrier) = (seg.bounded_semaphore("one", 1), seg.barrier("two", 2));
    let (permit, barrier, words) = (permit.expect("semaphore"), barrier.expect("barrier"), board());
    let here = |dies: bool| {
        let (permit, barrier, words) = (&permit, &barrier, &words);
        fork_in_new_pid_namespace(0, move || {
            let party = fork(|| {
                assert_eq!(gettid(), 2);
                for round in 1..=ROUNDS {
                    let one = permit.acquire().expect("acquire");
                    assert_eq!(raise(&words[0]), 1, "two have the one permit");
                    words[0].store(0, Ordering::SeqCst);
                    drop(one);
                    if barrier.wait().expect("nobody dies").is_leader() {
                        assert_eq!(raise(&words[1]), round);
                    }
                    barrier.wait().expect("nobody dies");
                }
                if dies {
                    forget(permit.acquire().expect("acquire"));
                    raise(&words[2]);
                    pause_for_ever();
                }
                await_word(&words[2], 1);
                raise(&words[3]);
                let started = Instant::now();
                assert!(permit.acquire().expect("acquire").owner_died());
                assert_eq!(barrier.wait().map(|_| ()).map_err(|e| e.kind()), Err(ErrorKind::Broken));
                assert!(started.elapsed() < LONG);
            });
            if dies {
                await_word(&words[3], 1);
                party.finish();
            } else {
                party.join();
            }
        })
    };
    let both = [here(false), here(true)];
    both.into_iter().for_each(Kid::join);
}

/// Words of the board that say how far a death has come.
const HOLDS: usize = 500;
const ASKS: usize = 501;

/// Two processes of one id, each in a PID namespace of its own.
fn in_two_namespaces(body: impl Fn(usize)) {
    let here = |n: usize| {
        let body = &body;
        fork_in_new_pid_namespace(0, move || {
            fork(|| {
                assert_eq!(gettid(), 2);
                body(n);
            })
            .join();
        })
    };
    let both = [here(0), here(1)];
    both.into_iter().for_each(Kid::join);
}

/// As [`in_two_namespaces`]: one is killed where `dies` ends, once the other has said that it asks.
fn one_of_two_dies(words: &[AtomicU64; 512], dies: impl Fn(), lives: impl Fn()) {
    words[HOLDS].store(0, Ordering::SeqCst);
    words[ASKS].store(0, Ordering::SeqCst);
    let victim = fork_in_new_pid_namespace(0, || {
        let victim = fork(|| {
            assert_eq!(gettid(), 2);
            dies();
            raise(&words[HOLDS]);
            pause_for_ever();
        });
        await_word(&words[HOLDS], 1);
        await_word(&words[ASKS], 1);
        std::thread::sleep(Duration::from_millis(5)); // the other one shall sleep on it
        victim.finish();
    });
    let heir = fork_in_new_pid_namespace(0, || {
        fork(|| {
            assert_eq!(gettid(), 2);
            lives();
        })
        .join();
    });
    heir.join();
    victim.join();
}

/// What the other one does once its equal holds what it will die with: at once, not by a time-out.
fn at_once<R>(words: &[AtomicU64; 512], body: impl FnOnce() -> R) -> R {
    await_word(&words[HOLDS], 1);
    raise(&words[ASKS]);
    let started = Instant::now();
    let result = body();
    assert!(started.elapsed() < NET, "{:?}", started.elapsed());
    result
}

pub fn levels_of_a_recursive_mutex_belong_to_one_of_two_equal_ids() {
    const ROUNDS: u64 = 3_000;
    let seg = kit::segment();
    let (m, words) = (seg.object("recursive", || RecursiveMutex::new(0u64)).expect("mutex"), board());
    in_two_namespaces(|n| {
        if n == 0 {
            let guards = (m.lock().expect("free"), m.lock().expect("ours"));
            raise(&words[0]);
            await_word(&words[1], 1);
            drop(guards);
        } else {
            await_word(&words[0], 1);
            assert_eq!(m.depth().expect("a member"), 0);
            assert_eq!(m.try_lock().map(drop).map_err(|e| e.error().kind()), Err(ErrorKind::WouldBlock));
            raise(&words[1]);
        }
        for _ in 0..ROUNDS {
            let outer = m.lock().expect("nobody dies");
            assert_eq!(words[2].swap(1, Ordering::SeqCst), 0, "both hold it");
            let inner = m.lock().expect("ours");
            outer.set(std::hint::black_box(inner.get()) + 1);
            assert_eq!(words[2].swap(0, Ordering::SeqCst), 1);
        }
    });
    assert_eq!(m.lock().expect("free").get(), 2 * ROUNDS);
    for depth in 1..=3 {
        let dies = || (0..depth).for_each(|_| forget(m.lock().expect("free or ours")));
        one_of_two_dies(words, dies, || {
            let Err(RecursiveLockError::OwnerDied(died)) = at_once(words, || m.lock()) else {
                panic!("not told")
            };
            assert_eq!(m.depth().expect("a member"), 1);
            drop(died.mark_consistent());
            assert!(!m.is_locked());
        });
    }
}

pub fn readers_and_writers_with_equal_ids_are_two() {
    const ROUNDS: u64 = 3_000;
    let seg = kit::segment();
    let (lock, words) = (seg.object("rwlock", || RwLock::new([0u64; 2])).expect("rwlock"), board());
    let kind = |e: RwLockError<'_, [u64; 2]>| e.error().kind();
    in_two_namespaces(|n| {
        if n == 0 {
            let guard = lock.read().expect("read");
            raise(&words[0]);
            await_word(&words[1], 1);
            drop(guard);
            let guard = lock.write().expect("write");
            raise(&words[2]);
            await_word(&words[3], 1);
            drop(guard);
        } else {
            await_word(&words[0], 1);
            // Were they one, it would be a dead-lock with itself.
            assert_eq!(lock.try_write().map(drop).map_err(kind), Err(ErrorKind::WouldBlock));
            let second = lock.read().expect("read");
            assert_eq!(lock.readers().expect("a member"), 2);
            drop(second);
            assert_eq!(lock.readers().expect("a member"), 1);
            raise(&words[1]);
            await_word(&words[2], 1);
            assert_eq!(lock.try_read().map(drop).map_err(kind), Err(ErrorKind::WouldBlock));
            assert_eq!(lock.try_write().map(drop).map_err(kind), Err(ErrorKind::WouldBlock));
            raise(&words[3]);
        }
        for round in 0..ROUNDS {
            if round % 3 == 0 {
                let mut pair = lock.write().expect("nobody dies");
                pair[0] = std::hint::black_box(pair[0]) + 1;
                pair[1] = std::hint::black_box(pair[1]) + 1;
            } else {
                let pair = lock.read().expect("nobody dies");
                let (one, two) = (std::hint::black_box(pair[0]), std::hint::black_box(pair[1]));
                assert_eq!(one, two, "read while somebody wrote");
            }
        }
    });
    assert_eq!(*lock.read().expect("free"), [2 * ROUNDS / 3; 2]);
    let reads = || {
        forget(lock.read().expect("read"));
        forget(lock.read().expect("once more"));
    };
    one_of_two_dies(words, reads, || {
        drop(at_once(words, || lock.write_timeout(LONG)).expect("a dead reader is no news"));
        assert_eq!(lock.readers().expect("a member"), 0);
    });
    for reader in [false, true] {
        let writes = || forget(lock.write().expect("write"));
        one_of_two_dies(words, writes, || {
            let answer =
                at_once(words, || if reader { lock.read().map(drop) } else { lock.write().map(drop) });
            let Err(RwLockError::OwnerDied(died)) = answer else { panic!("not told") };
            drop(died.mark_consistent());
            drop(lock.read().expect("clean"));
        });
    }
}

pub fn a_semaphore_and_an_event_go_between_equal_ids() {
    const ROUNDS: u64 = 2_000;
    let seg = kit::segment();
    let turn = |name| seg.object(name, || Semaphore::new(0)).expect("semaphore");
    let (turns, words) = ([turn("one"), turn("other")], board());
    let event = seg.object("event", Event::new).expect("event");
    in_two_namespaces(|n| {
        for round in 0..ROUNDS {
            if n == 1 {
                turns[0].acquire().expect("acquire");
            }
            // Two steps of each round: first the one, then the other.
            assert_eq!(words[0].fetch_add(1, Ordering::SeqCst), 2 * round + n as u64, "not its turn");
            turns[n].post().expect("post");
            if n == 0 {
                turns[1].acquire().expect("acquire");
            }
        }
        if n == 0 {
            words[1].store(7, Ordering::SeqCst);
            event.set();
        }
        event.wait().expect("wait");
        assert_eq!(words[1].load(Ordering::SeqCst), 7);
    });
    assert_eq!((turns[0].value(), turns[1].value()), (0, 0));
    event.clear();
    // Sleepers that are killed take nothing along. Each is asleep, or will be, when its equal looks.
    one_of_two_dies(
        words,
        || {
            std::thread::scope(|s| {
                s.spawn(|| turns[0].acquire());
                s.spawn(|| event.wait());
                raise(&words[HOLDS]);
            });
        },
        || {
            at_once(words, || {
                assert_eq!(
                    turns[0].acquire_timeout(Duration::from_millis(20)).map_err(|e| e.kind()),
                    Err(ErrorKind::TimedOut)
                );
                assert_eq!(
                    event.wait_timeout(Duration::from_millis(20)).map_err(|e| e.kind()),
                    Err(ErrorKind::TimedOut)
                );
            });
            raise(&words[2]);
        },
    );
    await_word(&words[2], 1);
    turns[0].post().expect("post");
    event.set();
    turns[0].acquire_timeout(LONG).expect("the post is there");
    event.wait_timeout(LONG).expect("set");
}

pub fn a_condition_wakes_equal_ids_and_a_killed_holder_is_told_through_the_wait() {
    const ROUNDS: u64 = 2_000;
    let seg = kit::segment();
    let (m, words) = (mutex(&seg), board());
    let changed = seg.object("changed", Condvar::new).expect("condvar");
    in_two_namespaces(|n| {
        for round in 0..ROUNDS {
            let mut turn = m.lock().expect("nobody dies");
            while *turn % 2 != n as u64 {
                turn = changed.wait(turn).expect("nobody dies");
            }
            assert_eq!(*turn, 2 * round + n as u64);
            *turn += 1;
            if round % 2 == 0 { changed.notify_one() } else { changed.notify_all() }.expect("notify");
        }
    });
    assert_eq!(*m.lock().expect("free"), 2 * ROUNDS);
    for round in 0..4 {
        words[0].store(0, Ordering::SeqCst);
        *m.lock().expect("free") = 0;
        let holds = || {
            await_word(&words[0], 1);
            let mut guard = m.lock().expect("lock");
            *guard = 77; // half of something
            if round % 2 == 0 { changed.notify_one() } else { changed.notify_all() }.expect("notify");
            forget(guard);
        };
        one_of_two_dies(words, holds, || {
            let guard = m.lock().expect("lock");
            // The other one gets no further than to the lock before this one waits.
            raise(&words[0]);
            raise(&words[ASKS]);
            let Err(LockError::OwnerDied(mut died)) = changed.wait(guard) else { panic!("not told") };
            assert_eq!(*died, 77);
            *died = 0;
            drop(died.mark_consistent());
        });
    }
}

pub fn one_of_two_equal_ids_does_the_job_once() {
    let seg = kit::segment();
    let words = board();
    for round in 0..20 {
        let once = seg.object(&format!("once {round}"), Once::new).expect("once");
        in_two_namespaces(|n| {
            raise(&words[2 * round]);
            await_word(&words[2 * round], 2);
            let job = |state: OnceState| {
                assert!(!state.is_retry());
                assert_eq!(raise(&words[2 * round + 1]), 1, "done twice, at last by {n}");
            };
            once.call(job).expect("not from inside the job");
            assert_eq!(words[2 * round + 1].load(Ordering::SeqCst), 1, "not done");
        });
    }
    for round in 0..3 {
        let once = seg.object(&format!("dies {round}"), Once::new).expect("once");
        let dies = || {
            let _ = once.call(|_| {
                raise(&words[HOLDS]);
                pause_for_ever();
            });
        };
        one_of_two_dies(words, dies, || {
            let mut told = None;
            at_once(words, || once.call_timeout(LONG, |state| told = Some(state.is_retry()))).expect("done");
            assert_eq!(told, Some(true));
            assert!(once.is_done());
        });
    }
}

pub fn an_unreported_death_is_found_across_namespaces() {
    let seg = kit::segment();
    let (m, words) = (mutex(&seg), board());
    let owner = fork_in_new_pid_namespace(0, || {
        let owner = fork(|| {
            let second = || {
                forget(m.lock().expect("lock"));
                raise(&words[0]);
                await_word(&words[1], 1);
                // SAFETY: C strings; does not return.
                unsafe {
                    libc::execl(
                        c"/bin/sleep".as_ptr(),
                        c"sleep".as_ptr(),
                        c"60".as_ptr(),
                        std::ptr::null::<u8>(),
                    )
                };
                panic!("no /bin/sleep");
            };
            let _ = std::thread::scope(|s| s.spawn(second).join());
        });
        await_word(&words[2], 1);
        owner.finish();
    });
    let waiter = fork_in_new_pid_namespace(0, || {
        await_word(&words[0], 1);
        raise(&words[1]);
        let started = Instant::now();
        assert_eq!(got(m.lock_timeout(LONG)), Got::OwnerDied);
        assert!(started.elapsed() < NET);
        raise(&words[2]);
    });
    waiter.join();
    owner.join();
}

/// One process that joins, looks whether it is alive all the time, and leaves, if it is not killed.
fn short_life(m: &Mutex<u64>, bare: &Bare, random: &mut Random) {
    for _ in 0..=random.below(3) {
        // The raw lock: an owner's death needs no repair here, but it must be a real one.
        let guard = m.lock_or_repair(|_| ()).unwrap();
        let mine = raw(m).owner().expect("held");
        for _ in 0..random.below(200) {
            assert!(bare.lives(mine), "{mine:?} is alive and was marked dead");
            assert_eq!(raw(m).owner(), Some(mine), "somebody took a living owner's lock");
        }
        drop(guard);
        assert!(bare.lives(mine));
    }
}

pub fn in_the_race_to_register_with_equal_ids_nobody_alive_is_marked_dead() {
    const ROUNDS: u64 = 250;
    // Three slots beside ours: the two race for the same ones, and for those of the killed.
    let seg = Segment::options().size(4096).max_members(4).anonymous().expect("segment");
    let (m, words) = (mutex(&seg), board());
    let bare = Bare::new(&seg);
    let side = |n: u64| {
        let (m, bare) = (&m, &bare);
        let meet = |round: u64| {
            raise(&words[n as usize]);
            await_word(&words[1 - n as usize], round);
        };
        fork_in_new_pid_namespace(0, move || {
            let mut random = Random(0x9e37_79b9 + n);
            for round in 0..ROUNDS {
                let seed = random.next();
                let go = &words[8 + round as usize];
                let mut kid = fork(|| {
                    assert_eq!(gettid() as u64, 2 + round);
                    let mut random = Random(seed | 1);
                    raise(go);
                    spin_until(go, 2);
                    short_life(m, bare, &mut random);
                });
                if random.below(2) == 0 {
                    spin_until(go, 2);
                    let until = Instant::now() + Duration::from_micros(random.below(400));
                    while Instant::now() < until {}
                    kid.kill();
                    let status = kid.end();
                    assert!(
                        status == 0 || status == libc::SIGKILL,
                        "wait status {status:#x} in round {round}"
                    );
                } else {
                    kid.join();
                }
                meet(round + 1);
            }
        })
    };
    let both = [side(0), side(1)];
    both.into_iter().for_each(Kid::join);
    assert!(bare.lives(bare.member().id()));
}

fn spin_until(word: &AtomicU64, value: u64) {
    let until = Instant::now() + LONG;
    while word.load(Ordering::SeqCst) < value && Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// How far a process comes on its way into the segment: so many stops at the begin or end of a system call, then so
/// many instructions.
#[derive(Clone, Copy, Debug)]
struct Point {
    stops: u64,
    steps: u64,
}

/// Forks a process that joins the segment, and lets it come to this point, where it stays. Also the stops that it
/// made, which are fewer if it ended before.
fn join_until(m: &Mutex<u64>, other: &Mutex<u64>, point: Point) -> (Kid, u64) {
    let kid = fork(|| {
        // What every first use does anyway is done with another segment.
        drop(other.lock().expect("lock"));
        // SAFETY: asks to be traced, and stops.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
        }
        let _ = m.lock().map(forget);
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) };
    });
    kid.wait_stopped();
    let go = |request| {
        let mut status = 0;
        // SAFETY: our traced child; the status is writable.
        unsafe {
            libc::ptrace(request, kid.pid, 0, 0);
            libc::waitpid(kid.pid, &raw mut status, libc::__WALL);
        }
        !libc::WIFEXITED(status)
    };
    for stop in 0..point.stops {
        if !go(libc::PTRACE_SYSCALL) {
            return (kid.ended(), stop);
        }
    }
    if (0..point.steps).all(|_| go(libc::PTRACE_SINGLESTEP)) {
        (kid, point.stops)
    } else {
        (kid.ended(), point.stops)
    }
}

pub fn a_death_at_any_point_of_joining_marks_nobody_alive() {
    let seg = Segment::options().size(4096).max_members(4).anonymous().expect("segment");
    let other = kit::segment();
    let (m, elsewhere, words) = (mutex(&seg), mutex(&other), board());
    let bare = Bare::new(&seg);
    // One slot is left: whoever joins while the other is on the way comes to the same one. (But not one seat.)
    let (parked, done) = (Barrier::new(3), Barrier::new(3));
    let park = || {
        drop(m.lock().expect("lock"));
        parked.wait();
        done.wait();
    };
    std::thread::scope(|s| {
        s.spawn(park);
        s.spawn(park);
        parked.wait();
        die_at_each_point(&m, &elsewhere, &bare, words);
        done.wait();
    });
}

fn die_at_each_point(m: &Mutex<u64>, elsewhere: &Mutex<u64>, bare: &Bare, words: &[AtomicU64; 512]) {
    let (_, all) = join_until(m, elsewhere, Point { stops: u64::MAX, steps: 0 });
    // Every stop; and after the last ones, between which are the links and the confirmation, the instructions too.
    let mut points: Vec<_> = (0..all).map(|stops| Point { stops, steps: 0 }).collect();
    for stops in all.saturating_sub(10)..all {
        points.extend((1..16).map(|i| Point { stops, steps: 11 * i }));
    }
    let points = &points;
    let (joins, watches) = (&words[0], &words[1]);
    let dies = fork_in_new_pid_namespace(0, || {
        for (round, &point) in points.iter().enumerate() {
            let round = round as u64 + 1;
            let (kid, _) = join_until(m, elsewhere, point);
            joins.store(2 * round - 1, Ordering::SeqCst);
            await_word(watches, 2 * round - 1);
            kid.finish();
            joins.store(2 * round, Ordering::SeqCst);
            await_word(watches, 2 * round);
        }
    });
    let lives = fork_in_new_pid_namespace(0, || {
        for (round, &point) in points.iter().enumerate() {
            let round = round as u64 + 1;
            await_word(joins, 2 * round - 1);
            fork(|| {
                assert_eq!(gettid() as u64, 1 + round, "not the id of the one that dies");
                let member = match got(m.try_lock()) {
                    // From one that had come as far as to lock it.
                    Got::Clean | Got::OwnerDied => Some(bare.member().id()),
                    Got::Failed(ErrorKind::TooManyMembers) => None,
                    other => panic!("{other:?} at {point:?}"),
                };
                watches.store(2 * round - 1, Ordering::SeqCst);
                await_word(joins, 2 * round);
                if let Some(id) = member {
                    assert!(bare.lives(id), "marked dead by a death at {point:?} of {all}");
                }
                // Its leavings are in nobody's way.
                let now = got(m.try_lock());
                assert!(matches!(now, Got::Clean | Got::OwnerDied), "{now:?} at {point:?} of {all}");
            })
            .join();
            watches.store(2 * round, Ordering::SeqCst);
        }
    });
    lives.join();
    dies.join();
}
