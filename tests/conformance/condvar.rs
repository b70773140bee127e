//! The specification of the condition variable.

use crate::kit::{self, LONG, NET, Random, await_word, board, raise};
use crate::place::{MANY, Place, await_asleep, forget, say_where, under_signals};
use interproc::sync::{Condvar, LockError, Mutex, MutexGuard, RecursiveLockError, RecursiveMutex};
use interproc::{Deadline, ErrorKind, Object, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A count of tickets, and a condition variable for "there are some".
struct Shop {
    tickets: Object<Mutex<u64>>,
    arrived: Object<Condvar>,
}

impl Shop {
    fn of(seg: &Segment) -> Shop {
        let tickets = seg.object("tickets", || Mutex::new(0)).expect("mutex");
        Shop { tickets, arrived: seg.object("arrived", Condvar::new).expect("condvar") }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.tickets.lock().expect("lock")
    }

    fn buy(&self) {
        let mut tickets = self.arrived.wait_while(self.lock(), |tickets| *tickets == 0).expect("wait");
        *tickets -= 1;
    }

    fn add(&self, n: u64) {
        let mut tickets = self.lock();
        *tickets += n;
        if n == 1 { self.arrived.notify_one() } else { self.arrived.notify_all() }.expect("notify");
    }
}

fn new() -> (Segment, Shop, &'static [AtomicU64; 512]) {
    let seg = kit::segment();
    let shop = Shop::of(&seg);
    (seg, shop, board())
}

pub fn every_ticket_is_sold_once_and_nobody_sleeps_on(at: Place) {
    const EACH: u64 = 1_500;
    let (seg, shop, words) = new();
    let buyer = || {
        at.start(&seg, |seg| {
            let shop = Shop::of(seg);
            for _ in 0..EACH {
                shop.buy();
                raise(&words[0]);
            }
        })
    };
    let seller = |seed: u64| {
        at.start(&seg, move |seg| {
            let (shop, mut random, mut left) = (Shop::of(seg), Random(seed), EACH * 3 / 2);
            while left > 0 {
                let n = (1 + random.below(3)).min(left);
                left -= n;
                if random.below(2) == 0 {
                    shop.add(n);
                } else {
                    // The notification after the unlock.
                    *shop.lock() += n;
                    shop.arrived.notify_all().expect("notify");
                }
            }
        })
    };
    let users = [buyer(), buyer(), buyer(), seller(1), seller(2)];
    users.into_iter().for_each(|u| u.join());
    assert_eq!(words[0].load(Ordering::SeqCst), 3 * EACH);
    assert_eq!(*shop.lock(), 0);
}

/// Starts `n` who buy one ticket each, and waits until they are asleep.
fn asleep(at: Place, seg: &Segment, words: &'static [AtomicU64; 512], n: usize) -> Vec<crate::place::Actor> {
    let start = |i: usize| {
        at.start(seg, move |seg| {
            let shop = Shop::of(seg);
            say_where(&words[16 + i]);
            shop.buy();
            raise(&words[0]);
        })
    };
    let buyers: Vec<_> = (0..n).map(start).collect();
    (0..n).for_each(|i| await_asleep(&words[16 + i]));
    buyers
}

pub fn one_notification_wakes_one_and_all_wake_all(at: Place) {
    let (seg, shop, words) = new();
    let buyers = asleep(at, &seg, words, 5);
    for sold in 1..=2 {
        shop.add(1);
        await_word(&words[0], sold);
    }
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(words[0].load(Ordering::SeqCst), 2, "more were woken than there are tickets");
    shop.add(3);
    buyers.into_iter().for_each(|b| b.join());
    // Nobody is left: a notification does not stay.
    shop.arrived.notify_one().expect("notify");
    shop.arrived.notify_all().expect("notify");
    let (guard, result) = shop.arrived.wait_timeout(shop.lock(), Duration::from_millis(5)).expect("wait");
    assert!(result.timed_out() && *guard == 0);
}

pub fn all_are_woken_at_once(at: Place) {
    let mut times = Vec::new();
    for _ in 0..7 {
        let (seg, shop, words) = new();
        let buyers = asleep(at, &seg, words, 6);
        let started = Instant::now();
        shop.add(6);
        await_word(&words[0], 6);
        times.push(started.elapsed());
        buyers.into_iter().for_each(|b| b.join());
    }
    times.sort();
    // One who is forgotten waits for ever.
    assert!(times[3] < NET, "{times:?}");
}

pub fn a_timed_wait_waits_as_long_as_it_was_told(at: Place) {
    let (seg, _shop, _) = new();
    at.start(&seg, |seg| {
        let shop = Shop::of(seg);
        for timeout in [1, 20, 120].map(Duration::from_millis) {
            let started = Instant::now();
            let (guard, result) =
                shop.arrived.wait_while_timeout(shop.lock(), timeout, |tickets| *tickets == 0).expect("wait");
            let took = started.elapsed();
            assert!(result.timed_out() && took >= timeout && took < timeout + NET, "{timeout:?}: {took:?}");
            drop(guard);
        }
    })
    .join();
}

pub fn a_deadline_in_the_past_gives_the_lock_back_for_a_moment(at: Place) {
    let (seg, _shop, _) = new();
    at.start(&seg, |seg| {
        let shop = Shop::of(seg);
        for past in [Deadline::from_monotonic_ns(0), Deadline::from_monotonic_ns(1), Deadline::now()] {
            let (guard, result) = shop.arrived.wait_until(shop.lock(), past).expect("wait");
            assert!(result.timed_out());
            drop(guard);
            let (guard, result) =
                shop.arrived.wait_while_until(shop.lock(), past, |tickets| *tickets == 0).expect("wait");
            assert!(result.timed_out());
            drop(guard);
            let (guard, result) =
                shop.arrived.wait_while_until(shop.lock(), past, |_| false).expect("no wait");
            assert!(!result.timed_out());
            drop(guard);
        }
    })
    .join();
}

pub fn the_longest_wait_does_not_end_early(at: Place) {
    let (seg, shop, words) = new();
    for (n, longest) in
        [Deadline::after(Duration::MAX), Deadline::from_monotonic_ns(u64::MAX)].into_iter().enumerate()
    {
        let waiter = at.start(&seg, move |seg| {
            let shop = Shop::of(seg);
            say_where(&words[n]);
            let (mut tickets, result) =
                shop.arrived.wait_while_until(shop.lock(), longest, |t| *t == 0).expect("wait");
            assert!(!result.timed_out());
            *tickets -= 1;
        });
        await_asleep(&words[n]);
        std::thread::sleep(Duration::from_millis(110)); // two nets
        shop.add(1);
        waiter.join();
    }
}

pub fn signals_neither_end_nor_lose_a_wait(at: Place) {
    let (seg, shop, words) = new();
    let patient = at.start(&seg, |seg| {
        let shop = Shop::of(seg);
        under_signals(&words[0], || shop.buy());
    });
    let timed = at.start(&seg, |seg| {
        let shop = Shop::of(seg);
        let timeout = Duration::from_millis(80);
        let (timed_out, took) = under_signals(&words[1], || {
            let started = Instant::now();
            let (_guard, result) =
                shop.arrived.wait_while_timeout(shop.lock(), timeout, |_| true).expect("wait");
            (result.timed_out(), started.elapsed())
        });
        assert!(timed_out && took >= timeout && took < timeout + NET, "{took:?}");
    });
    timed.join();
    await_word(&words[0], MANY);
    shop.add(1);
    patient.join();
}

pub fn who_waits_is_told_of_a_dead_owner(at: Place) {
    let (seg, shop, words) = new();
    for _ in 0..3 {
        let waiter = at.start(&seg, |seg| {
            let shop = Shop::of(seg);
            say_where(&words[0]);
            let mut guard = shop.lock();
            loop {
                guard = match shop.arrived.wait_while(guard, |tickets| *tickets < 100) {
                    Ok(guard) => break drop(guard),
                    Err(LockError::OwnerDied(mut died)) => {
                        raise(&words[1]);
                        *died = 0;
                        died.mark_consistent()
                    }
                    Err(LockError::Failed(e)) => panic!("{e:?}"),
                }
            }
        });
        await_asleep(&words[0]);
        let before = words[1].load(Ordering::SeqCst);
        let started = Instant::now();
        // Changes, and dies before it says so.
        at.start(&seg, move |seg| {
            let shop = Shop::of(seg);
            let mut guard = shop.lock();
            *guard = 50;
            forget(guard);
            at.die();
        })
        .gone();
        await_word(&words[1], before + 1);
        assert!(started.elapsed() < Duration::from_secs(5), "nobody told the waiter");
        *shop.lock() = 100;
        shop.arrived.notify_all().expect("notify");
        waiter.join();
        *shop.lock() = 0;
        words[0].store(0, Ordering::SeqCst);
    }
}

pub fn who_dies_after_its_unlock_has_woken_those_asleep(at: Place) {
    let (seg, _shop, words) = new();
    for round in 1..=3 {
        words[16].store(0, Ordering::SeqCst);
        let buyers = asleep(at, &seg, words, 1);
        at.start(&seg, move |seg| {
            *Shop::of(seg).lock() += 1;
            at.die(); // the notification never comes
        })
        .gone();
        await_word(&words[0], round);
        buyers.into_iter().for_each(|b| b.join());
    }
}

pub fn killed_waiters_leave_nothing(at: Place) {
    let (seg, shop, words) = new();
    for round in 1..=3 {
        words[16].store(0, Ordering::SeqCst);
        let victim = at.start(&seg, move |seg| {
            let shop = Shop::of(seg);
            let deadline = Deadline::after(Duration::from_millis(5));
            let _ = shop.arrived.wait_while_until(shop.lock(), deadline, |_| true).map(forget);
            at.die(); // holding, after a wait
        });
        victim.gone();
        let mut guard = match shop.tickets.lock() {
            Err(LockError::OwnerDied(died)) => died.mark_consistent(),
            other => panic!("not told: {:?}", other.map(|_| ())),
        };
        *guard = 0;
        drop(guard);
        let buyers = asleep(at, &seg, words, 2);
        shop.add(1);
        await_word(&words[0], 2 * round - 1);
        shop.add(1);
        await_word(&words[0], 2 * round);
        buyers.into_iter().for_each(|b| b.join());
        words[17].store(0, Ordering::SeqCst);
    }
}

pub fn the_lock_is_an_ordinary_one_again_when_nobody_waits(at: Place) {
    let (seg, shop, words) = new();
    let buyers = asleep(at, &seg, words, 2);
    shop.add(2);
    buyers.into_iter().for_each(|b| b.join());
    for _ in 0..200 {
        drop(shop.lock());
    }
    // SAFETY: the first two words of a mutex, seen as atomics.
    let word: &AtomicU64 = unsafe { &*std::ptr::from_ref(&*shop.tickets).cast() };
    assert_eq!(word.load(Ordering::SeqCst), 0, "lockers are still on the slow way");
}

pub fn a_wait_with_another_mutex_is_refused(at: Place) {
    let (seg, shop, words) = new();
    let buyers = asleep(at, &seg, words, 1);
    let other = seg.object("other", || Mutex::new(0u64)).expect("mutex");
    let refused = |answer: Result<MutexGuard<'_, u64>, LockError<'_, u64>>| match answer {
        Err(LockError::Failed(e)) => e.kind(),
        _ => panic!("not refused"),
    };
    assert_eq!(refused(shop.arrived.wait(other.lock().expect("lock"))), ErrorKind::InvalidInput);
    assert!(other.try_lock().is_ok(), "the lock was kept");
    let elsewhere = kit::segment().object("m", || Mutex::new(0u64)).expect("mutex");
    assert_eq!(refused(shop.arrived.wait(elsewhere.lock().expect("lock"))), ErrorKind::InvalidInput);
    let here = Condvar::new();
    assert_eq!(refused(here.wait(other.lock().expect("lock"))), ErrorKind::InvalidInput);
    assert_eq!(here.notify_one().map_err(|e| e.kind()), Ok(()), "nobody waits");
    shop.add(1);
    buyers.into_iter().for_each(|b| b.join());
    // Nobody waits: the other one may be used now.
    let (_guard, result) =
        shop.arrived.wait_timeout(other.lock().expect("lock"), Duration::from_millis(1)).expect("wait");
    assert!(result.timed_out());
}

pub fn a_lock_given_up_is_refused_to_those_who_wait(at: Place) {
    let (seg, shop, words) = new();
    let waiter = at.start(&seg, |seg| {
        let shop = Shop::of(seg);
        say_where(&words[0]);
        let mut guard = shop.lock();
        loop {
            match shop.arrived.wait_while_timeout(guard, LONG, |_| true) {
                Err(LockError::Failed(e)) => break assert_eq!(e.kind(), ErrorKind::NotRecoverable),
                Err(LockError::OwnerDied(died)) => {
                    died.mark_not_recoverable(); // as the other one would
                    break;
                }
                Ok((again, result)) => {
                    assert!(!result.timed_out());
                    guard = again;
                }
            }
        }
    });
    await_asleep(&words[0]);
    at.start(&seg, |seg| forget(Shop::of(seg).lock())).join();
    if let Err(LockError::OwnerDied(died)) = shop.tickets.lock() {
        died.mark_not_recoverable();
    }
    waiter.join();
    assert!(shop.tickets.lock().is_err_and(|e| e.error().kind() == ErrorKind::NotRecoverable));
}

/// A count under a recursive lock.
struct Nest {
    count: Object<RecursiveMutex<u64>>,
    changed: Object<Condvar>,
}

impl Nest {
    fn of(seg: &Segment) -> Nest {
        let count = seg.object("count", || RecursiveMutex::new(0)).expect("mutex");
        Nest { count, changed: seg.object("changed", Condvar::new).expect("condvar") }
    }

    fn set(&self, to: u64) {
        self.count.lock().expect("lock").set(to);
        self.changed.notify_all().expect("notify");
    }

    fn depth(&self) -> u32 {
        self.count.depth().expect("a member")
    }
}

pub fn a_wait_gives_back_all_levels_and_takes_as_many_again(at: Place) {
    let (seg, words) = (kit::segment(), board());
    let nest = Nest::of(&seg);
    for depth in 1..=4 {
        let here = 16 * depth as usize;
        let waiter = at.start(&seg, move |seg| {
            let nest = Nest::of(seg);
            say_where(&words[here]);
            let outer: Vec<_> = (1..depth).map(|_| nest.count.lock().expect("lock")).collect();
            let guard = nest.count.lock().expect("lock");
            let past = Deadline::from_monotonic_ns(1);
            let (guard, result) = nest.changed.wait_until(guard, past).expect("wait");
            assert!(result.timed_out() && nest.depth() == depth);
            let guard = nest.changed.wait_while(guard, |count| count.get() == 0).expect("wait");
            assert_eq!(nest.depth(), depth);
            assert!(outer.iter().all(|outer| outer.get() == 1));
            drop(outer);
            assert_eq!(nest.depth(), 1);
            guard.set(0);
        });
        await_asleep(&words[here]);
        nest.set(1); // which nobody could, were one level held
        waiter.join();
        assert!(!nest.count.is_locked());
        assert_eq!(nest.count.lock().expect("lock").get(), 0);
    }
    // Refused: one level less, as if the guard had been dropped.
    let elsewhere = kit::segment().object("m", || RecursiveMutex::new(0u64)).expect("mutex");
    let outer = elsewhere.lock().expect("free");
    match nest.changed.wait(elsewhere.lock().expect("ours")) {
        Err(RecursiveLockError::Failed(e)) => assert_eq!(e.kind(), ErrorKind::InvalidInput),
        other => panic!("{other:?}"),
    }
    assert_eq!(elsewhere.depth(), Ok(1));
    drop(outer);
}

pub fn a_dead_owners_depth_is_void_and_the_waiters_its_own(at: Place) {
    let (seg, words) = (kit::segment(), board());
    let nest = Nest::of(&seg);
    let waiter = at.start(&seg, |seg| {
        let nest = Nest::of(seg);
        say_where(&words[0]);
        let outer = nest.count.lock().expect("free");
        let mut guard = nest.count.lock().expect("ours");
        let guard = loop {
            guard = match nest.changed.wait(guard) {
                Ok(guard) if guard.get() == 100 => break guard,
                Ok(guard) => guard,
                Err(RecursiveLockError::OwnerDied(died)) => {
                    assert_eq!((nest.depth(), outer.get()), (2, 50));
                    let guard = died.mark_consistent();
                    raise(&words[1]);
                    guard
                }
                Err(RecursiveLockError::Failed(e)) => panic!("{e:?}"),
            }
        };
        assert_eq!((nest.depth(), guard.get()), (2, 100));
        drop(outer);
        assert_eq!(nest.depth(), 1);
    });
    await_asleep(&words[0]);
    at.start(&seg, move |seg| {
        let nest = Nest::of(seg);
        for _ in 0..5 {
            let guard = nest.count.lock().expect("free or ours");
            guard.set(50);
            forget(guard);
        }
        at.die();
    })
    .gone();
    await_word(&words[1], 1);
    nest.set(100);
    waiter.join();
    assert!(!nest.count.is_locked());
}

pub fn who_has_outer_levels_is_never_refused_the_lock(at: Place) {
    let (seg, words) = (kit::segment(), board());
    let nest = Nest::of(&seg);
    let waiter = |n: usize| {
        at.start(&seg, move |seg| {
            let nest = Nest::of(seg);
            say_where(&words[n]);
            let outer = nest.count.lock().expect("free");
            let mut guard = nest.count.lock().expect("ours");
            while outer.get() < 2 {
                guard = match nest.changed.wait(guard) {
                    Ok(guard) => guard,
                    Err(error) => error
                        .recover(|count| {
                            raise(&words[32]);
                            // Nobody else is in.
                            assert_eq!(words[33].swap(1, Ordering::SeqCst), 0);
                            assert_eq!(nest.depth(), 2);
                            count.set(1);
                            words[33].store(0, Ordering::SeqCst);
                        })
                        .expect("held"),
                };
            }
            assert_eq!(nest.depth(), 2);
        })
    };
    let waiters = [waiter(0), waiter(1)];
    (0..2).for_each(|n| await_asleep(&words[n]));
    // The first to come gives it up, unrepaired, unless a waiter came first: that one repairs it.
    at.start(&seg, |seg| forget(Nest::of(seg).count.lock())).join();
    drop(nest.count.lock());
    await_word(&words[32], 1);
    nest.set(2);
    waiters.into_iter().for_each(|w| w.join());
}

pub fn an_orderly_end_wakes_nobody_and_a_notification_is_told_apart(at: Place) {
    let (seg, shop, words) = new();
    let waiters: Vec<_> = (0..3)
        .map(|n| {
            at.start(&seg, move |seg| {
                let shop = Shop::of(seg);
                let guard = shop.lock();
                let before = shop.arrived.notifications();
                say_where(&words[8 + n]);
                let guard = shop.arrived.wait(guard).expect("nobody dies");
                raise(&words[0]);
                assert_ne!(shop.arrived.notifications(), before, "it was woken for nothing");
                drop(guard);
            })
        })
        .collect();
    (0..3).for_each(|n| await_asleep(&words[8 + n]));
    for timed in [false, true] {
        at.start(&seg, move |seg| {
            // In a thread, which ends as threads do.
            let seg = seg.clone();
            let passes = move || {
                let shop = Shop::of(&seg);
                let guard = shop.lock();
                if timed {
                    let wait = shop.arrived.wait_timeout(guard, Duration::from_millis(2));
                    drop(wait.expect("nobody dies"));
                }
            };
            std::thread::spawn(passes).join().expect("it ends well");
        })
        .join();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(words[0].load(Ordering::SeqCst), 0, "somebody woke");
    }
    let guard = shop.lock();
    shop.arrived.notify_all().expect("notify");
    drop(guard);
    waiters.into_iter().for_each(|w| w.join());
}

pub fn nothing_is_lost_between_the_slices_of_a_wait(at: Place) {
    const ROUNDS: u64 = 300;
    let (seg, shop, words) = new();
    // It looks at nothing but the notifications, of which there is one for each of its steps.
    let waiter = at.start(&seg, move |seg| {
        let shop = Shop::of(seg);
        for round in 1..=ROUNDS {
            let mut guard = shop.lock();
            let before = shop.arrived.notifications();
            words[0].store(round, Ordering::SeqCst);
            while shop.arrived.notifications() == before {
                guard = shop.arrived.wait_timeout(guard, Duration::from_micros(50)).expect("nobody dies").0;
            }
        }
    });
    let mut random = Random(5);
    for round in 1..=ROUNDS {
        await_word(&words[0], round);
        std::thread::sleep(Duration::from_micros(random.below(150)));
        let guard = shop.lock();
        shop.arrived.notify_one().expect("notify");
        drop(guard);
    }
    waiter.join();
}
