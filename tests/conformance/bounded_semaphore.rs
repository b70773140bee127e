//! The specification of the semaphore with robust permits.

use crate::kit::{self, LONG, NET, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, forget, say_where, under_signals};
use interproc::sync::{BoundedSemaphore, Permit};
use interproc::{Deadline, ErrorKind, Segment};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PERMITS: usize = 3;

fn semaphore(seg: &Segment) -> BoundedSemaphore {
    seg.bounded_semaphore("permits", PERMITS).expect("semaphore")
}

fn new() -> (Segment, BoundedSemaphore, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let s = semaphore(&seg);
    (seg, s, board())
}

fn kind(result: Result<Permit<'_>, interproc::Error>) -> Result<bool, ErrorKind> {
    result.map(|p| p.owner_died()).map_err(|e| e.kind())
}

fn all_are_there(s: &BoundedSemaphore) {
    assert_eq!(s.available().expect("available"), s.permits());
    let all = s.try_acquire_many(s.permits()).expect("all");
    assert_eq!(kind(s.try_acquire()), Err(ErrorKind::WouldBlock));
    all.release().expect("release");
}

pub fn never_more_permits_are_out_than_there_are(at: Place) {
    const ROUNDS: u64 = 2_000;
    let (seg, s, words) = new();
    let user = |n: u64| {
        at.start(&seg, move |seg| {
            let s = semaphore(seg);
            for round in 0..ROUNDS {
                let many = 1 + (round + n) % PERMITS as u64;
                let permit = match (round + n) % 4 {
                    0 => s.acquire().expect("acquire"),
                    1 => s.acquire_timeout(LONG).expect("acquire"),
                    2 => s.acquire_many(many as u32).expect("acquire"),
                    _ => loop {
                        match s.try_acquire_many(many as u32) {
                            Ok(permit) => break permit,
                            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
                        }
                        std::thread::yield_now();
                    },
                };
                let count = u64::from(permit.count());
                let out = words[0].fetch_add(count, Ordering::SeqCst) + count;
                assert!(out <= PERMITS as u64, "{out} are out");
                std::hint::spin_loop();
                words[0].fetch_sub(count, Ordering::SeqCst);
                permit.release().expect("release");
            }
        })
    };
    let users: Vec<_> = (0..5).map(user).collect();
    users.into_iter().for_each(|u| u.join());
    all_are_there(&s);
}

pub fn a_try_and_a_past_deadline_take_what_is_there_and_no_more(at: Place) {
    let (seg, s, words) = new();
    let past = [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()];
    let holder = at.start(&seg, |seg| {
        let s = semaphore(seg);
        let two = s.try_acquire_many(2).expect("two");
        raise(&words[0]);
        await_word(&words[1], 1);
        two.release().expect("release");
    });
    await_word(&words[0], 1);
    let started = Instant::now();
    for deadline in past {
        let one = s.acquire_until(deadline).expect("one is free");
        assert_eq!(kind(s.acquire_until(deadline)), Err(ErrorKind::TimedOut));
        assert_eq!(kind(s.try_acquire()), Err(ErrorKind::WouldBlock));
        one.release().expect("release");
        assert_eq!(kind(s.acquire_many_until(2, deadline)), Err(ErrorKind::TimedOut));
        assert_eq!(kind(s.try_acquire_many(2)), Err(ErrorKind::WouldBlock));
        assert_eq!(s.available().expect("available"), 1, "what it had got was not given back");
    }
    assert_eq!(kind(s.acquire_many_timeout(2, Duration::ZERO)), Err(ErrorKind::TimedOut));
    assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
    let more = PERMITS as u32 + 1;
    assert_eq!(kind(s.acquire_many(0)), Err(ErrorKind::InvalidInput));
    assert_eq!(kind(s.acquire_many(more)), Err(ErrorKind::InvalidInput));
    assert_eq!(kind(s.try_acquire_many(more)), Err(ErrorKind::InvalidInput));
    raise(&words[1]);
    holder.join();
    all_are_there(&s);
}

pub fn a_timed_acquire_waits_as_long_as_it_was_told(at: Place) {
    let (seg, s, words) = new();
    let holder = at.start(&seg, |seg| {
        let s = semaphore(seg);
        let _all = s.acquire_many(PERMITS as u32).expect("all");
        raise(&words[0]);
        await_word(&words[1], 1);
    });
    await_word(&words[0], 1);
    for timeout in [1, 20, 120].map(Duration::from_millis) {
        let started = Instant::now();
        assert_eq!(kind(s.acquire_timeout(timeout)), Err(ErrorKind::TimedOut));
        let took = started.elapsed();
        assert!(took >= timeout && took < timeout + NET, "{timeout:?}: {took:?}");
    }
    raise(&words[1]);
    holder.join();
    all_are_there(&s);
}

pub fn a_release_wakes_those_who_wait_one_after_the_other(at: Place) {
    let (seg, s, words) = new();
    let all = s.acquire_many(PERMITS as u32).expect("all");
    let waiter = |n: usize| {
        at.start(&seg, move |seg| {
            let s = semaphore(seg);
            say_where(&words[8 + n]);
            let permit = s.acquire().expect("acquire");
            assert!(!permit.owner_died());
            raise(&words[0]);
            await_word(&words[1], 1);
        })
    };
    let waiters: Vec<_> = (0..PERMITS).map(waiter).collect();
    (0..PERMITS).for_each(|n| await_asleep(&words[8 + n]));
    assert_eq!(words[0].load(Ordering::SeqCst), 0);
    drop(all);
    await_word(&words[0], PERMITS as u64);
    raise(&words[1]);
    waiters.into_iter().for_each(|w| w.join());
    all_are_there(&s);
}

pub fn a_dead_holders_permit_goes_to_a_waiter_who_is_told_once(at: Place) {
    let (seg, s, words) = new();
    let mut times = Vec::new();
    for round in 0..9 {
        let rest = s.acquire_many(PERMITS as u32 - 1).expect("the rest");
        let holder = at.start(&seg, move |seg| {
            forget(semaphore(seg).acquire().expect("the last"));
            raise(&words[0]);
            await_word(&words[1], round + 1);
            words[2].store(Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            at.die();
        });
        await_word(&words[0], round + 1);
        let waiter = |n: usize| {
            let mine = 16 + 2 * round as usize + n;
            at.start(&seg, move |seg| {
                let s = semaphore(seg);
                say_where(&words[mine]);
                let permit = s.acquire().expect("sooner or later");
                if permit.owner_died() {
                    words[3].store(Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
                    raise(&words[4]);
                }
                // The other one gets it next, and is told nothing.
            })
        };
        let waiters = [waiter(0), waiter(1)];
        (0..2).for_each(|n| await_asleep(&words[16 + 2 * round as usize + n]));
        raise(&words[1]);
        holder.gone();
        waiters.into_iter().for_each(|w| w.join());
        assert_eq!(words[4].load(Ordering::SeqCst), round + 1, "one is told");
        times.push(words[3].load(Ordering::SeqCst) - words[2].load(Ordering::SeqCst));
        drop(rest);
        assert_eq!(kind(s.acquire()), Ok(false), "told again");
        all_are_there(&s);
    }
    times.sort_unstable();
    // Not by the net.
    assert!(times[4] < 25_000_000, "{times:?}");
}

pub fn who_takes_a_dead_holders_permit_without_waiting_is_told(at: Place) {
    let (seg, s, _) = new();
    at.start(&seg, move |seg| {
        forget(semaphore(seg).acquire_many(2).expect("two"));
        at.die();
    })
    .gone();
    assert_eq!(s.available().expect("available"), PERMITS as u32);
    // What is free goes first.
    let free = s.try_acquire().expect("free");
    assert!(!free.owner_died());
    let second = s.try_acquire().expect("the dead one's");
    let third = s.try_acquire().expect("the dead one's");
    assert!(second.owner_died() && third.owner_died());
    drop((free, second, third));
    all_are_there(&s);
}

pub fn a_dead_waiter_hinders_nobody(at: Place) {
    let (seg, s, words) = new();
    let all = s.acquire_many(PERMITS as u32).expect("all");
    let waiter = |n: usize, count: u32| {
        at.start(&seg, move |seg| {
            let s = semaphore(seg);
            say_where(&words[8 + n]);
            drop(s.acquire_many(count).expect("sooner or later"));
        })
    };
    // The front wants all and gets some; two stand behind it.
    let front = waiter(0, PERMITS as u32);
    await_asleep(&words[8]);
    let behind = [waiter(1, 1), waiter(2, 2)];
    (1..3).for_each(|n| await_asleep(&words[8 + n]));
    match front {
        crate::place::Actor::Process(mut kid) => {
            kid.kill();
            kid.end();
            drop(all);
        }
        // A thread cannot be killed alone.
        thread => {
            drop(all);
            thread.join();
        }
    }
    behind.into_iter().for_each(|b| b.join());
    all_are_there(&s);
}

pub fn a_permit_is_given_back_once(at: Place) {
    let (seg, s, words) = new();
    at.start(&seg, move |seg| {
        let s = semaphore(seg);
        let bare = kit::Bare::new(seg);
        let raw = bare.bounded_semaphore("permits");
        for count in 1..=2 {
            let note = raw.acquire_many(bare.member(), count, None).expect("acquire");
            raw.release(bare.member(), &note).expect("release");
            let again = raw.release(bare.member(), &note);
            assert_eq!(again.map_err(|e| e.kind()), Err(ErrorKind::NotOwner));
            // Also when the same thread has got the same permit anew.
            let new = raw.acquire_many(bare.member(), count, None).expect("acquire");
            let again = raw.release(bare.member(), &note);
            assert_eq!(again.map_err(|e| e.kind()), Err(ErrorKind::NotOwner));
            assert_eq!(s.available().expect("available"), PERMITS as u32 - count);
            raw.release(bare.member(), &new).expect("release");
        }
        raise(&words[0]);
    })
    .join();
    all_are_there(&s);
}

pub fn a_permit_moves_between_threads_as_long_as_its_owner_lives(at: Place) {
    let (seg, s, _) = new();
    at.start(&seg, |seg| {
        let s = semaphore(seg);
        // Given back by another thread.
        let permit = s.acquire().expect("acquire");
        kit::in_thread(|| permit.release().expect("the owner lives"));
        // Adopted: the adopter's life counts.
        let permit = s.acquire_many(2).expect("acquire");
        kit::in_thread(|| forget(permit.adopt().expect("the owner lives")));
        let all = s.try_acquire_many(PERMITS as u32).expect("the adopter is dead");
        assert!(all.owner_died());
        drop(all);
        // Its owner is dead: it is somebody else's.
        let (give, take) = std::sync::mpsc::channel();
        kit::in_thread(|| give.send(s.acquire().expect("acquire")).expect("send"));
        let permit = take.recv().expect("recv");
        assert_eq!(permit.release().map_err(|e| e.kind()), Err(ErrorKind::Stale));
        kit::in_thread(|| give.send(s.acquire().expect("acquire")).expect("send"));
        let adopted = take.recv().expect("recv").adopt();
        assert_eq!(adopted.map(|_| ()).map_err(|e| e.kind()), Err(ErrorKind::Stale));
    })
    .join();
    let all = s.try_acquire_many(PERMITS as u32).expect("all");
    assert!(all.owner_died());
    drop(all);
    all_are_there(&s);
}

pub fn a_forked_child_does_not_own_what_its_parent_holds(at: Place) {
    let (seg, s, _) = new();
    at.start(&seg, |seg| {
        let s = semaphore(seg);
        // Borrowed by the child's body, so that the parent keeps them.
        let one = Cell::new(Some(s.acquire().expect("acquire")));
        let two = Cell::new(Some(s.acquire_many(2).expect("acquire")));
        kit::fork(|| {
            let one = one.take().expect("its copy");
            assert_eq!(one.release().map_err(|e| e.kind()), Err(ErrorKind::NotOwner));
            drop(two.take());
            assert_eq!(s.available().expect("available"), 0);
        })
        .join();
        assert_eq!(s.available().expect("available"), 0);
    })
    .join();
    drop(s.acquire_many(PERMITS as u32).expect("all"));
    all_are_there(&s);
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, s, words) = new();
    let all = s.acquire_many(PERMITS as u32).expect("all");
    let patient = |n: usize| {
        at.start(&seg, move |seg| {
            let s = semaphore(seg);
            let got = under_signals(&words[n], || kind(s.acquire()));
            assert_eq!(got, Ok(false));
            raise(&words[2]);
        })
    };
    // One at the front, one behind.
    let patients = [patient(0), patient(1)];
    (0..2).for_each(|n| await_word(&words[n], MANY));
    assert_eq!(words[2].load(Ordering::SeqCst), 0, "it did not wait");
    let timeout = Duration::from_millis(80);
    at.start(&seg, move |seg| {
        let s = semaphore(seg);
        let started = Instant::now();
        let got = under_signals(&words[3], || kind(s.acquire_timeout(timeout)));
        assert_eq!(got, Err(ErrorKind::TimedOut));
        assert!(started.elapsed() >= timeout);
    })
    .join();
    drop(all);
    patients.into_iter().for_each(|p| p.join());
    all_are_there(&s);
}

/// A hundred and twenty holders, each a thread; the last of them dies while somebody waits, and nobody polls.
pub fn a_hundred_and_twenty_holders_are_watched(at: Place) {
    const MANY_HOLDERS: usize = 120;
    if at == Place::Mappings {
        return; // as with threads
    }
    let seg = Segment::options().size(1 << 16).max_members(160).anonymous().expect("segment");
    let words = board();
    let of = |seg: &Segment| seg.bounded_semaphore("permits", MANY_HOLDERS).expect("semaphore");
    let holder = |n: usize| {
        at.start(&seg, move |seg| {
            forget(of(seg).acquire().expect("acquire"));
            raise(&words[0]);
            await_word(&words[1 + n % 2], 1);
            at.die();
        })
    };
    let holders: Vec<_> = (0..MANY_HOLDERS).map(holder).collect();
    await_word(&words[0], MANY_HOLDERS as u64);
    let waiter = at.start(&seg, move |seg| {
        let s = of(seg);
        say_where(&words[8]);
        let permit = s.acquire().expect("sooner or later");
        assert!(permit.owner_died());
    });
    await_asleep(&words[8]);
    raise(&words[2]); // every second one dies
    waiter.join();
    raise(&words[1]);
    holders.into_iter().for_each(|h| h.gone());
    let s = of(&seg);
    let all = s.try_acquire_many(MANY_HOLDERS as u32).expect("all are dead");
    assert!(all.owner_died());
}
