//! The specification of the reader-writer lock.

use crate::kit::{self, LONG, NET, Random, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, forget, say_where, under_signals};
use interproc::sync::{RwLock, RwLockError, RwLockReadGuard, RwLockWriteGuard};
use interproc::{Deadline, ErrorKind, Object, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug, PartialEq, Eq)]
enum Got {
    Clean,
    OwnerDied,
    Failed(ErrorKind),
}

fn error(error: RwLockError<'_, u64>) -> Got {
    match error {
        RwLockError::OwnerDied(died) => {
            drop(died.mark_consistent());
            Got::OwnerDied
        }
        RwLockError::Failed(error) => Got::Failed(error.kind()),
    }
}

fn read(answer: Result<RwLockReadGuard<'_, u64>, RwLockError<'_, u64>>) -> Got {
    answer.map_or_else(error, |_| Got::Clean)
}

fn written(answer: Result<RwLockWriteGuard<'_, u64>, RwLockError<'_, u64>>) -> Got {
    answer.map_or_else(error, |_| Got::Clean)
}

fn rwlock(seg: &Segment) -> Object<RwLock<u64>> {
    seg.object("rwlock", || RwLock::new(0)).expect("rwlock")
}

fn new() -> (Segment, Object<RwLock<u64>>, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let lock = rwlock(&seg);
    (seg, lock, board())
}

/// Reads it until it is biased.
fn bias(lock: &RwLock<u64>) {
    for _ in 0..5_000 {
        drop(lock.read().expect("read"));
    }
}

/// How the readers of a test have come in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Cells,
    Biased,
}

const BOTH: [How; 2] = [How::Cells, How::Biased];

fn new_as(how: How) -> (Segment, Object<RwLock<u64>>, &'static [AtomicU64; 512]) {
    let made = new();
    if how == How::Biased {
        bias(&made.1);
    }
    made
}

pub fn one_writes_or_many_read(at: Place) {
    const ROUNDS: u64 = 3_000;
    let (seg, lock, words) = new();
    let user = |seed: u64| {
        at.start(&seg, move |seg| {
            let (lock, mut random) = (rwlock(seg), Random(seed * 77_777));
            for _ in 0..ROUNDS {
                if random.below(4) == 0 {
                    let mut value = match random.below(3) {
                        0 => lock.write().expect("write"),
                        1 => lock.write_timeout(LONG).expect("write"),
                        _ => loop {
                            match lock.try_write() {
                                Ok(guard) => break guard,
                                Err(e) => assert_eq!(e.error().kind(), ErrorKind::WouldBlock),
                            }
                            std::thread::yield_now();
                        },
                    };
                    assert_eq!(words[0].swap(seed, Ordering::SeqCst), 0, "two write");
                    assert_eq!(words[1].load(Ordering::SeqCst), 0, "somebody reads");
                    *value = std::hint::black_box(*value) + 1;
                    assert_eq!(words[0].swap(0, Ordering::SeqCst), seed, "two write");
                    words[2].fetch_add(1, Ordering::SeqCst);
                } else {
                    let value = match random.below(3) {
                        0 => lock.read().expect("read"),
                        1 => lock.read_timeout(LONG).expect("read"),
                        _ => loop {
                            match lock.try_read() {
                                Ok(guard) => break guard,
                                Err(e) => assert_eq!(e.error().kind(), ErrorKind::WouldBlock),
                            }
                            std::thread::yield_now();
                        },
                    };
                    words[1].fetch_add(1, Ordering::SeqCst);
                    let again = (random.below(3) == 0).then(|| lock.read().expect("once more"));
                    assert_eq!(words[0].load(Ordering::SeqCst), 0, "somebody writes");
                    std::hint::black_box(*value);
                    words[1].fetch_sub(1, Ordering::SeqCst);
                    drop((value, again));
                }
            }
        })
    };
    // More than there are cells.
    let users: Vec<_> = (1..=8).map(user).collect();
    users.into_iter().for_each(|u| u.join());
    assert_eq!(*lock.read().expect("read"), words[2].load(Ordering::SeqCst));
    assert_eq!(lock.readers().expect("a member"), 0);
}

/// A lock that changes between biased and not all the time.
pub fn a_writer_now_and_then_meets_no_reader(at: Place) {
    let (seg, lock, words) = new();
    let reader = |_| {
        at.start(&seg, move |seg| {
            let lock = rwlock(seg);
            while words[3].load(Ordering::SeqCst) == 0 {
                for _ in 0..500 {
                    let guard = lock.read().expect("read");
                    assert_eq!(words[0].load(Ordering::Relaxed), 0, "somebody writes");
                    drop(guard);
                }
                words[4].fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let readers: Vec<_> = (0..3).map(reader).collect();
    for round in 1..=60 {
        await_word(&words[4], 12 * round);
        let mut value = lock.write().expect("write");
        words[0].store(1, Ordering::SeqCst);
        for _ in 0..300 {
            std::hint::spin_loop();
        }
        *value += 1;
        words[0].store(0, Ordering::SeqCst);
    }
    raise(&words[3]);
    readers.into_iter().for_each(|r| r.join());
    assert_eq!(*lock.read().expect("read"), 60);
}

/// Runs `body` here while others hold the lock: `readers`, or a writer if there are none.
fn while_held(at: Place, how: How, readers: usize, body: impl FnOnce(&RwLock<u64>)) {
    let (seg, lock, words) = new_as(how);
    let holder = |_| {
        at.start(&seg, move |seg| {
            let lock = rwlock(seg);
            let guards = if readers > 0 {
                (Some(lock.read().expect("read")), None)
            } else {
                (None, Some(lock.write().expect("write")))
            };
            words[0].fetch_add(1, Ordering::SeqCst);
            await_word(&words[1], 1);
            drop(guards);
        })
    };
    let holders: Vec<_> = (0..readers.max(1)).map(holder).collect();
    await_word(&words[0], readers.max(1) as u64);
    body(&lock);
    raise(&words[1]);
    holders.into_iter().for_each(|h| h.join());
    assert_eq!(written(lock.try_write()), Got::Clean);
    assert_eq!(lock.readers().expect("a member"), 0);
}

pub fn readers_read_together_and_a_writer_is_alone(at: Place) {
    for how in BOTH {
        // Nine: more than there are cells.
        for readers in [1, 9] {
            while_held(at, how, readers, |lock| {
                assert_eq!(lock.readers().expect("a member"), readers);
                assert!(!lock.is_written());
                assert_eq!(read(lock.read()), Got::Clean);
                assert_eq!(read(lock.try_read()), Got::Clean);
                assert_eq!(read(lock.read_timeout(Duration::ZERO)), Got::Clean);
                for _ in 0..100 {
                    assert_eq!(written(lock.try_write()), Got::Failed(ErrorKind::WouldBlock));
                }
            });
        }
        while_held(at, how, 0, |lock| {
            assert!(lock.is_written());
            assert_eq!(lock.readers().expect("a member"), 0);
            for _ in 0..100 {
                assert_eq!(written(lock.try_write()), Got::Failed(ErrorKind::WouldBlock));
                assert_eq!(read(lock.try_read()), Got::Failed(ErrorKind::WouldBlock));
            }
        });
    }
}

pub fn a_timed_lock_waits_as_long_as_it_was_told(at: Place) {
    for how in BOTH {
        for readers in [0, 1, 9] {
            while_held(at, how, readers, |lock| {
                for timeout in [1, 20, 120].map(Duration::from_millis) {
                    let started = Instant::now();
                    assert_eq!(written(lock.write_timeout(timeout)), Got::Failed(ErrorKind::TimedOut));
                    let took = started.elapsed();
                    assert!(took >= timeout && took < timeout + NET, "{timeout:?}: {took:?}");
                    if readers == 0 {
                        let started = Instant::now();
                        assert_eq!(read(lock.read_timeout(timeout)), Got::Failed(ErrorKind::TimedOut));
                        let took = started.elapsed();
                        assert!(took >= timeout && took < timeout + NET, "{timeout:?}: {took:?}");
                    }
                }
                // Who has given up is in nobody's way.
                if readers > 0 {
                    assert_eq!(read(lock.try_read()), Got::Clean);
                }
            });
        }
    }
}

pub fn a_deadline_in_the_past_gets_a_free_lock_and_gives_up_on_a_held_one(at: Place) {
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    for how in BOTH {
        for readers in [0, 1, 9] {
            while_held(at, how, readers, |lock| {
                let started = Instant::now();
                for deadline in past {
                    assert_eq!(written(lock.write_until(deadline)), Got::Failed(ErrorKind::TimedOut));
                    let expected = if readers == 0 { Got::Failed(ErrorKind::TimedOut) } else { Got::Clean };
                    assert_eq!(read(lock.read_until(deadline)), expected);
                }
                assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
            });
        }
        let (_seg, lock, _) = new_as(how);
        for deadline in past {
            assert_eq!(written(lock.write_until(deadline)), Got::Clean);
            assert_eq!(read(lock.read_until(deadline)), Got::Clean);
        }
    }
}

pub fn a_writer_that_waits_comes_before_new_readers(at: Place) {
    for how in BOTH {
        let (seg, lock, words) = new_as(how);
        let first = lock.read().expect("read");
        let writer = at.start(&seg, |seg| {
            say_where(&words[0]);
            *rwlock(seg).write().expect("write") = 1;
        });
        await_asleep(&words[0]);
        let reader = at.start(&seg, |seg| {
            let lock = rwlock(seg);
            assert_eq!(read(lock.try_read()), Got::Failed(ErrorKind::WouldBlock));
            say_where(&words[1]);
            assert_eq!(*lock.read().expect("read"), 1, "before the writer");
        });
        await_asleep(&words[1]);
        // Who reads already may read once more, and leave in any order.
        let second = lock.read().expect("once more");
        let third = lock.try_read().expect("once more");
        drop(first);
        assert_eq!(*second, 0);
        drop(third);
        assert_eq!(lock.readers().expect("a member"), 1);
        drop(second);
        writer.join();
        reader.join();
    }
}

pub fn a_dead_reader_is_forgotten(at: Place) {
    for how in BOTH {
        let (seg, lock, words) = new_as(how);
        for _ in 0..3 {
            // As many as fill the cells, and one more.
            let dies = |_| {
                at.start(&seg, move |seg| {
                    let lock = rwlock(seg);
                    forget(lock.read().expect("read"));
                    forget(lock.read().expect("read"));
                    at.die();
                })
            };
            let dead: Vec<_> = (0..7).map(dies).collect();
            dead.into_iter().for_each(|d| d.gone());
            assert_eq!(lock.readers().expect("a member"), 0);
            assert_eq!(read(lock.try_read()), Got::Clean);
            assert_eq!(written(lock.try_write()), Got::Clean);
            assert_eq!(written(lock.write()), Got::Clean);
            if how == How::Biased {
                bias(&lock);
            }
        }
        // With a writer asleep behind it.
        let reader = at.start(&seg, move |seg| {
            forget(rwlock(seg).read().expect("read"));
            raise(&words[0]);
            await_word(&words[1], 1);
            at.die();
        });
        await_word(&words[0], 1);
        let writer = at.start(&seg, |seg| {
            say_where(&words[2]);
            assert_eq!(written(rwlock(seg).write()), Got::Clean);
        });
        await_asleep(&words[2]);
        raise(&words[1]);
        reader.gone();
        writer.join();
    }
}

pub fn a_dead_writers_lock_goes_to_the_next_with_the_news_and_is_then_clean(at: Place) {
    let (seg, lock, _) = new();
    for round in 0..6 {
        at.start(&seg, move |seg| {
            let lock = rwlock(seg);
            let mut guard = lock.write().expect("write");
            *guard = 77; // half of something
            forget(guard);
            at.die();
        })
        .gone();
        at.start(&seg, move |seg| {
            let lock = rwlock(seg);
            let answer = match round % 3 {
                0 => lock.write().map(drop),
                1 => lock.read().map(drop),
                _ => lock.try_read().map(drop),
            };
            let Err(RwLockError::OwnerDied(mut died)) = answer else { panic!("not told") };
            assert_eq!(*died, 77);
            *died = 2;
            let mut guard = died.mark_consistent();
            *guard += 1;
            assert_eq!(*guard.downgrade(), 3);
        })
        .join();
        assert_eq!(*lock.read().expect("clean"), 3);
        at.start(&seg, |seg| assert_eq!(*rwlock(seg).write().expect("clean"), 3)).join();
    }
    // An heir that dies hands on the news.
    at.start(&seg, |seg| forget(rwlock(seg).write().expect("write"))).join();
    for _ in 0..3 {
        at.start(&seg, move |seg| {
            let lock = rwlock(seg);
            let Err(RwLockError::OwnerDied(died)) = lock.read() else { panic!("not told") };
            forget(died);
            at.die();
        })
        .gone();
    }
    assert_eq!(read(lock.read()), Got::OwnerDied);
    assert_eq!(read(lock.read()), Got::Clean);
}

pub fn a_lock_given_up_is_refused_to_all_and_to_those_asleep(at: Place) {
    let (seg, lock, words) = new();
    at.start(&seg, |seg| forget(rwlock(seg).write().expect("write"))).join();
    let Err(RwLockError::OwnerDied(died)) = lock.read() else { panic!("not told") };
    let asleep = |n: usize| {
        at.start(&seg, move |seg| {
            let lock = rwlock(seg);
            say_where(&words[n]);
            let answer = if n == 0 { written(lock.write()) } else { read(lock.read_timeout(LONG)) };
            assert_eq!(answer, Got::Failed(ErrorKind::NotRecoverable));
        })
    };
    let sleepers: Vec<_> = (0..3).map(asleep).collect();
    (0..3).for_each(|n| await_asleep(&words[n]));
    died.mark_not_recoverable();
    sleepers.into_iter().for_each(|s| s.join());
    for _ in 0..2 {
        assert_eq!(read(lock.read()), Got::Failed(ErrorKind::NotRecoverable));
        assert_eq!(read(lock.try_read()), Got::Failed(ErrorKind::NotRecoverable));
        assert_eq!(written(lock.write()), Got::Failed(ErrorKind::NotRecoverable));
        assert_eq!(written(lock.try_write()), Got::Failed(ErrorKind::NotRecoverable));
    }
}

pub fn a_writer_that_dies_waiting_is_no_news(at: Place) {
    for how in BOTH {
        let (seg, lock, words) = new_as(how);
        let guard = lock.read().expect("read");
        let writer = at.start(&seg, move |seg| {
            // A signal handler that ends it in its sleep would be another test: it gives up, and its thread dies
            // holding nothing; then one that is killed asleep.
            assert_eq!(
                written(rwlock(seg).write_timeout(Duration::from_millis(5))),
                Got::Failed(ErrorKind::TimedOut)
            );
            at.die();
        });
        writer.gone();
        assert_eq!(read(lock.try_read()), Got::Clean);
        if at == Place::Processes {
            let asleep = kit::fork(|| {
                say_where(&words[0]);
                drop(lock.write());
            });
            await_asleep(&words[0]);
            let reader = at.start(&seg, |seg| {
                say_where(&words[1]);
                assert_eq!(read(rwlock(seg).read()), Got::Clean);
            });
            await_asleep(&words[1]);
            asleep.kill();
            reader.join();
        }
        drop(guard);
        assert_eq!(written(lock.write()), Got::Clean);
    }
}

pub fn locking_twice_is_an_error_unless_both_times_for_reading(at: Place) {
    for how in BOTH {
        let (seg, _lock, _) = new_as(how);
        at.start(&seg, |seg| {
            let lock = rwlock(seg);
            let reading = lock.read().expect("read");
            for _ in 0..2 {
                assert_eq!(written(lock.write()), Got::Failed(ErrorKind::Deadlock));
                assert_eq!(written(lock.write_timeout(LONG)), Got::Failed(ErrorKind::Deadlock));
                assert_eq!(written(lock.try_write()), Got::Failed(ErrorKind::Deadlock));
            }
            assert_eq!(read(lock.read()), Got::Clean);
            drop(reading);
            let mut writing = lock.write().expect("write");
            for _ in 0..2 {
                assert_eq!(written(lock.write()), Got::Failed(ErrorKind::Deadlock));
                assert_eq!(written(lock.try_write()), Got::Failed(ErrorKind::Deadlock));
                assert_eq!(read(lock.read()), Got::Failed(ErrorKind::Deadlock));
                assert_eq!(read(lock.try_read()), Got::Failed(ErrorKind::Deadlock));
                assert_eq!(read(lock.read_timeout(LONG)), Got::Failed(ErrorKind::Deadlock));
            }
            *writing = 1;
            drop(writing);
            assert_eq!(written(lock.write()), Got::Clean);
        })
        .join();
    }
}

pub fn a_writer_becomes_a_reader_and_no_writer_comes_between(at: Place) {
    let (seg, lock, words) = new();
    let mut guard = lock.write().expect("write");
    let writer = at.start(&seg, |seg| {
        say_where(&words[0]);
        *rwlock(seg).write().expect("write") = 2;
    });
    let reader = at.start(&seg, |seg| {
        say_where(&words[1]);
        assert!(*rwlock(seg).read().expect("read") > 0);
    });
    (0..2).for_each(|n| await_asleep(&words[n]));
    *guard = 1;
    let guard = guard.downgrade();
    for _ in 0..20_000 {
        assert_eq!(std::hint::black_box(*guard), 1);
    }
    drop(guard);
    writer.join();
    reader.join();
    assert_eq!(*lock.read().expect("read"), 2);
}

/// Six cells by six others, 16 holds by one thread; the next one is refused, and all is given back.
pub fn more_holds_than_there_is_room_for_are_refused(at: Place) {
    const LOCKS: usize = 17;
    let seg = kit::segment();
    let words = board();
    let locks =
        |seg: &Segment| seg.object("locks", || [const { RwLock::<u64>::new(0) }; LOCKS]).expect("locks");
    let all = locks(&seg);
    let filler = |_| {
        at.start(&seg, move |seg| {
            let all = locks(seg);
            let guards: Vec<_> = all.iter().map(|lock| lock.read().expect("read")).collect();
            words[0].fetch_add(1, Ordering::SeqCst);
            await_word(&words[1], 1);
            drop(guards);
        })
    };
    let fillers: Vec<_> = (0..6).map(filler).collect();
    await_word(&words[0], 6);
    let mut mine: Vec<_> = all[..LOCKS - 1].iter().map(|lock| lock.read().expect("room")).collect();
    let last = &all[LOCKS - 1];
    assert_eq!(read(last.read()), Got::Failed(ErrorKind::TooManyHolds));
    assert_eq!(read(last.try_read()), Got::Failed(ErrorKind::TooManyHolds));
    assert_eq!(read(all[3].read()), Got::Clean, "once more needs no room");
    // In another order than they came.
    drop(mine.remove(5));
    drop(last.read().expect("room"));
    while mine.len() > 1 {
        drop(mine.swap_remove(mine.len() / 2));
    }
    assert_eq!(all.iter().map(|lock| lock.readers().expect("a member")).sum::<usize>(), 6 * LOCKS + 1);
    drop(mine);
    raise(&words[1]);
    fillers.into_iter().for_each(|f| f.join());
    all.iter().for_each(|lock| assert_eq!(written(lock.try_write()), Got::Clean));
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    for readers in [false, true] {
        let (seg, lock, words) = new();
        let guards = if readers {
            (None, Some(lock.read().expect("read")))
        } else {
            (Some(lock.write().expect("write")), None)
        };
        let patient = at.start(&seg, move |seg| {
            let lock = rwlock(seg);
            assert_eq!(under_signals(&words[0], || written(lock.write())), Got::Clean);
            raise(&words[2]);
        });
        await_word(&words[0], 1);
        let timed = at.start(&seg, move |seg| {
            let lock = rwlock(seg);
            let timeout = Duration::from_millis(80);
            let (answer, took) = under_signals(&words[1], || {
                let started = Instant::now();
                (read(lock.read_timeout(timeout)), started.elapsed())
            });
            // Behind a writer, which holds it or waits.
            assert_eq!(answer, Got::Failed(ErrorKind::TimedOut));
            assert!(took >= timeout && took < timeout + NET, "{took:?}");
        });
        timed.join();
        assert!(words[1].load(Ordering::SeqCst) > 0, "no signals: the test tests nothing");
        await_word(&words[0], MANY);
        assert_eq!(words[2].load(Ordering::SeqCst), 0, "it did not wait");
        drop(guards);
        patient.join();
    }
}

pub fn it_may_be_destroyed_as_soon_as_it_was_acquired(at: Place) {
    const ROUNDS: u64 = 2_000;
    const OTHER_USE: u64 = 0xdead_beef_0bad_cafe;
    let (seg, lock, words) = new();
    let first = at.start(&seg, |seg| {
        let lock = rwlock(seg);
        for round in 1..=ROUNDS {
            let guards = if round % 3 == 0 {
                (Some(lock.write().expect("a new lock")), None)
            } else {
                (None, Some(lock.read().expect("a new lock")))
            };
            words[0].store(round, Ordering::SeqCst);
            for _ in 0..(round % 7) * 300 {
                std::hint::spin_loop();
            }
            drop(guards);
            await_word(&words[1], round);
        }
    });
    let second = at.start(&seg, |seg| {
        let lock = rwlock(seg);
        // SAFETY: eight words of lock and one of value, aligned, seen as atomics while nobody uses the lock.
        let memory: &[AtomicU64; 9] = unsafe { &*std::ptr::from_ref(&*lock).cast() };
        for round in 1..=ROUNDS {
            await_word(&words[0], round);
            forget(lock.write().expect("write"));
            memory.iter().for_each(|w| w.store(OTHER_USE, Ordering::SeqCst));
            for _ in 0..40 {
                assert!(
                    memory.iter().all(|w| w.load(Ordering::SeqCst) == OTHER_USE),
                    "written to in round {round}"
                );
            }
            // Zero bytes are a lock again; every other time one that readers hold by their slots.
            memory.iter().for_each(|w| w.store(0, Ordering::SeqCst));
            if round % 2 == 0 {
                memory[0].store(1 << 60, Ordering::SeqCst);
            }
            words[1].store(round, Ordering::SeqCst);
        }
    });
    first.join();
    second.join();
    assert!(!lock.is_written());
}

pub fn an_unlock_wakes_those_asleep_at_once(at: Place) {
    for how in BOTH {
        let (seg, lock, words) = new_as(how);
        let mut times = Vec::new();
        for round in 1..=9 {
            let reads = round % 2 == 0;
            let guards = if reads {
                (None, Some(lock.read().expect("read")))
            } else {
                (Some(lock.write().expect("write")), None)
            };
            let sleeper = |n: usize| {
                at.start(&seg, move |seg| {
                    let lock = rwlock(seg);
                    say_where(&words[8 * round + n]);
                    if n == 0 || reads {
                        drop(lock.write().expect("write"));
                    } else {
                        drop(lock.read().expect("read"));
                    }
                    raise(&words[0]);
                })
            };
            let sleepers: Vec<_> = (0..3).map(sleeper).collect();
            (0..3).for_each(|n| await_asleep(&words[8 * round + n]));
            let started = Instant::now();
            drop(guards);
            await_word(&words[0], 3 * round as u64);
            times.push(started.elapsed());
            sleepers.into_iter().for_each(|s| s.join());
        }
        times.sort();
        // A lost wake-up waits for the net.
        assert!(times[4] < Duration::from_millis(15), "{times:?}");
    }
}

pub fn a_forked_child_does_not_hold_what_its_parent_holds(at: Place) {
    if at != Place::Processes {
        return;
    }
    for how in BOTH {
        let (_seg, lock, _) = new_as(how);
        let reading = lock.read().expect("read");
        kit::fork(|| {
            drop(lock.read().expect("read"));
            assert_eq!(written(lock.try_write()), Got::Failed(ErrorKind::WouldBlock));
        })
        .join();
        let mut reading = Some(reading);
        kit::fork(|| drop(reading.take())).join();
        kit::fork(|| assert_eq!(written(lock.try_write()), Got::Failed(ErrorKind::WouldBlock))).join();
        drop(reading);
        let mut writing = Some(lock.write().expect("write"));
        kit::fork(|| drop(writing.take())).join();
        kit::fork(|| drop(writing.take().expect("a guard").downgrade())).join();
        kit::fork(|| assert_eq!(read(lock.try_read()), Got::Failed(ErrorKind::WouldBlock))).join();
        drop(writing);
        assert_eq!(written(lock.try_write()), Got::Clean);
    }
}
