//! Scenarios of the condition variable.
//!
//! A shop with tickets, counted twice under a lock; buyers wait until there are some. What is promised after the death:
//! once tickets were added, nobody sleeps who could have one, whether the notification was sent or not; who dies
//! holding the lock is told of; who dies between takes no notification along.

use crate::engine::board::{CURTAIN, FIRST};
use crate::engine::{Case, Check, Cut, End, Enter, First, Part, Scenario, Until, os};
use crate::ensure;
use interproc::sync::{Condvar, LockError, Mutex, MutexGuard};
use interproc::{Object, Segment};
use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// On the board: 1 once the tickets are added, both counts.
const ADDED: usize = 0;
/// Tickets surely taken by the victim.
const TAKEN: usize = 1;

type Tickets = [u64; 2];
type Guard<'a> = MutexGuard<'a, Tickets>;

struct World {
    _segment: Segment,
    tickets: Object<Mutex<Tickets>>,
    arrived: Object<Condvar>,
    other: Object<Mutex<Tickets>>,
    rung: Object<Condvar>,
}

impl World {
    fn fresh() -> World {
        let options = Segment::options().size(4096).max_members(10).max_objects(8);
        let segment = options.anonymous().expect("a segment");
        let lock = |name: &str| segment.object(name, || Mutex::new([0, 0])).expect("room");
        let condvar = |name: &str| segment.object(name, Condvar::new).expect("room");
        let (tickets, other) = (lock("tickets"), lock("other"));
        let (arrived, rung) = (condvar("arrived"), condvar("rung"));
        World { _segment: segment, tickets, arrived, other, rung }
    }

    /// Registers the caller and runs the code of the usual paths once, on other objects.
    fn warm_up(&self) {
        let guard = self.other.lock().expect("free");
        let waited = self.rung.wait_timeout(guard, Duration::ZERO).expect("nobody dies");
        drop(waited);
        self.rung.notify_one().expect("a member");
        self.rung.notify_all().expect("a member");
    }

    fn lock<'a>(&'a self, part: &Part) -> Result<Guard<'a>, String> {
        self.locked(part, self.tickets.lock()).map(|(guard, _)| guard)
    }

    /// The lock, repaired if it has to be: then there are tickets for everybody. Whether it was.
    fn locked<'a>(
        &'a self,
        part: &Part,
        locked: Result<Guard<'a>, LockError<'a, Tickets>>,
    ) -> Result<(Guard<'a>, bool), String> {
        let (guard, told) = match locked {
            Ok(guard) => (guard, false),
            Err(LockError::OwnerDied(mut died)) => {
                part.told();
                *died = [9, 9];
                (died.mark_consistent(), true)
            }
            Err(LockError::Failed(error)) => return Err(format!("{error:?}")),
        };
        ensure!(guard[0] == guard[1], "the data are torn and nobody was told");
        Ok((guard, told))
    }

    /// Waits for a ticket and takes it.
    fn buy(&self, part: &Part) -> Check {
        let mut guard = self.lock(part)?;
        while guard[0] == 0 {
            (guard, _) = self.locked(part, self.arrived.wait(guard))?;
        }
        part.recovered();
        change(&mut guard, 1_u64.wrapping_neg());
        Ok(())
    }

    fn add(&self, part: &Part, n: u64) -> Check {
        let mut guard = self.lock(part)?;
        change(&mut guard, n);
        Ok(())
    }

    /// What every scenario ends with: both objects work.
    fn aftermath(&self, part: &Part) -> Check {
        part.recovered();
        let mut guard = self.lock(part)?;
        *guard = [0, 0];
        let (guard, result) =
            self.arrived.wait_timeout(guard, Duration::from_millis(1)).map_err(|e| format!("{e:?}"))?;
        ensure!(guard[0] == 0 || !result.timed_out(), "a ticket from nowhere");
        drop(guard);
        self.arrived.notify_all().map_err(|e| format!("{e:?}"))?;
        ensure!(self.tickets.try_lock().is_ok(), "unlock did not free it");
        Ok(())
    }
}

fn change(tickets: &mut Tickets, by: u64) {
    // Two stores, whatever the optimiser would like.
    let first = black_box(&mut tickets[0]);
    *first = first.wrapping_add(by);
    let second = black_box(&mut tickets[1]);
    *second = second.wrapping_add(by);
}

fn buyer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    w.buy(part)
}

/// Adds tickets and tells of them on this cue, and lives on.
fn seller(cue: u32, n: u64, tell: fn(&Condvar) -> interproc::Result<()>) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        w.warm_up();
        part.ready();
        part.await_cue(cue);
        let mut guard = w.lock(part)?;
        change(&mut guard, n);
        tell(&w.arrived).map_err(|e| format!("{e:?}"))?;
        drop(guard);
        part.await_cue(CURTAIN);
        Ok(())
    }
}

fn case(operation: &'static str, scenario: &str) -> Case<World> {
    Case::new("Condvar", operation, scenario, World::fresh)
}

fn buyers(mut case: Case<World>, n: usize, when: Enter, end: End) -> Case<World> {
    for _ in 0..n {
        case = case.helper(when, Until::Asleep, end, buyer);
    }
    case
}

/// Holds the lock, adds tickets, tells, unlocks.
fn tell_and_unlock(n: u64, tell: fn(&Condvar) -> interproc::Result<()>) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        let mut guard = w.tickets.lock().expect("free");
        cut.start();
        change(&mut guard, n);
        cut.part.fact(ADDED).store(1, SeqCst);
        let _ = tell(&w.arrived);
        drop(guard);
        cut.end();
    }
}

/// Waits for a ticket, takes it.
fn wait_and_take(w: &World, cut: &Cut) {
    w.warm_up();
    let mut guard = w.tickets.lock().expect("free");
    cut.start();
    while guard[0] == 0 {
        guard = match w.locked(&cut.part, w.arrived.wait(guard)) {
            Ok((guard, _)) => guard,
            Err(text) => panic!("{text}"),
        };
    }
    change(&mut guard, 1_u64.wrapping_neg());
    cut.part.fact(TAKEN).store(1, SeqCst);
    drop(guard);
    cut.end();
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let verify = World::aftermath;
    let mut all = vec![
        case("notify_one", "nobody waits")
            .role("notifier")
            .victim(tell_and_unlock(1, Condvar::notify_one))
            .verify(verify),
        case("timed wait", "nobody notifies")
            .role("waiter")
            .victim(|w, cut| {
                w.warm_up();
                let guard = w.tickets.lock().expect("free");
                cut.start();
                drop(w.arrived.wait_timeout(guard, Duration::from_millis(5)));
                cut.end();
            })
            .verify(verify),
    ];
    all.extend(notifiers());
    all.extend(waiters());
    all.extend(bystanders());
    all
}

fn notifiers() -> Vec<Box<dyn Scenario>> {
    let one = |name: &str, n: usize| {
        buyers(case("notify_one+unlock", name), n, Enter::AtStart, End::Alone)
            .role("notifier")
            .victim(tell_and_unlock(1, Condvar::notify_one))
    };
    let all = |name: &str, n: usize| {
        buyers(case("notify_all+unlock", name), n, Enter::AtStart, End::Alone)
            .role("notifier")
            .victim(tell_and_unlock(n as u64, Condvar::notify_all))
    };
    let after_unlock = |w: &World, cut: &Cut| {
        w.warm_up();
        let mut guard = w.tickets.lock().expect("free");
        change(&mut guard, 1);
        cut.part.fact(ADDED).store(1, SeqCst);
        cut.start();
        drop(guard);
        let _ = w.arrived.notify_one();
        cut.end();
    };
    // Another process has added the ticket and says nothing: the victim does.
    let only_notifies = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        let _ = w.arrived.notify_one();
        cut.end();
    };
    let silent = |w: &World, part: &Part| {
        w.warm_up();
        w.add(part, 1)?;
        part.ready();
        part.await_cue(CURTAIN);
        Ok(())
    };
    let verify = World::aftermath;
    // The waiters sleep before the victim locks, so it finds the lock awaited.
    let before = |operation, name: &str, n| {
        buyers(case(operation, name), n, Enter::Before, End::Alone).role("notifier")
    };
    vec![
        before("notify_one+unlock", "a waiter asleep", 1)
            .victim(tell_and_unlock(1, Condvar::notify_one))
            .verify(verify),
        before("notify_all+unlock", "two waiters asleep", 2)
            .victim(tell_and_unlock(2, Condvar::notify_all))
            .verify(verify),
        before("notify_all+unlock", "three waiters asleep", 3)
            .victim(tell_and_unlock(3, Condvar::notify_all))
            .verify(verify),
        // The waiter has signed the lock once; with the 32nd name its holder asks who waits.
        before("notify_one+unlock", "a waiter asleep, the unlock asks for it", 1)
            .victim(|w, cut| {
                (0..30).for_each(|_| drop(w.tickets.lock()));
                tell_and_unlock(1, Condvar::notify_one)(w, cut);
            })
            .verify(verify),
        before("unlock+notify_one", "a waiter asleep", 1).victim(after_unlock).verify(verify),
        one("a locker asleep", 1).verify(verify),
        all("two lockers asleep", 2).verify(verify),
        case("notify_one", "a waiter asleep, without the lock")
            .role("notifier")
            .helper(Enter::Before, Until::Asleep, End::AfterVerifier, buyer)
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, silent)
            .victim(only_notifies)
            .verify(|w, part| {
                if part.killed_in("CV-e") {
                    // It has begun: nobody may have to help.
                    let until = os::now() + 1_000_000_000;
                    while !part.is_over(0) && os::now() < until {
                        os::yield_now();
                    }
                    ensure!(part.is_over(0), "the waiter sleeps on");
                }
                w.arrived.notify_one().map_err(|e| format!("{e:?}"))?;
                part.recovered();
                Ok(())
            }),
    ]
}

fn waiters() -> Vec<Box<dyn Scenario>> {
    let woken = |name: &str| {
        case("wait", name)
            .role("waiter")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, seller(1, 1, Condvar::notify_one))
            .victim(wait_and_take)
    };
    let moved = |name: &str, n: usize| {
        buyers(case("wait", name), n, Enter::WhenAsleep, End::Alone)
            .role("waiter")
            .helper(
                Enter::Before,
                Until::Ready,
                End::AfterVerifier,
                seller(1, 1 + n as u64, Condvar::notify_all),
            )
            .victim(wait_and_take)
    };
    // The notification is for one; if the dead one had nothing of it, the other has it.
    let passed_on = |n: usize| {
        move |w: &World, part: &Part| {
            if part.fact(TAKEN).load(SeqCst) == 0 {
                let any = || (1..=n).any(|index| part.is_over(index));
                let until = os::now() + 1_000_000_000;
                while !any() && os::now() < until {
                    os::yield_now();
                }
                ensure!(any(), "the notification is lost");
            }
            // And one for each of the others.
            w.add(part, 2)?;
            w.arrived.notify_all().map_err(|e| format!("{e:?}"))?;
            part.recovered();
            Ok(())
        }
    };
    let verify = World::aftermath;
    vec![
        woken("woken alone").verify(verify),
        buyers(woken("woken for the one ticket, before a waiter"), 1, Enter::WhenAsleep, End::AfterVerifier)
            .verify(passed_on(1)),
        buyers(
            woken("woken for the one ticket, before two waiters"),
            2,
            Enter::WhenAsleep,
            End::AfterVerifier,
        )
        .verify(passed_on(2)),
        moved("woken with all, before a waiter", 1).verify(verify),
        moved("woken with all, before two waiters", 2).verify(verify),
        moved("woken with all, before three waiters", 3).verify(verify),
        // Not the first: it is among those who are moved.
        buyers(case("wait", "moved, behind a waiter"), 1, Enter::AtStart, End::Alone)
            .role("waiter")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, seller(1, 2, Condvar::notify_all))
            .victim(|w, cut| {
                w.warm_up();
                cut.start();
                if let Ok(mut guard) = w.lock(&cut.part) {
                    while guard[0] == 0 {
                        match w.locked(&cut.part, w.arrived.wait(guard)) {
                            Ok((again, _)) => guard = again,
                            Err(text) => panic!("{text}"),
                        }
                    }
                    change(&mut guard, 1_u64.wrapping_neg());
                    cut.part.fact(TAKEN).store(1, SeqCst);
                    drop(guard);
                }
                cut.end();
            })
            .verify(verify),
    ]
}

/// A waiter stands between its last look and its sleep while the notifier comes, or dies in it; then goes on.
fn bystanders() -> Vec<Box<dyn Scenario>> {
    let waits = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.part.ready();
        cut.start();
        if let Err(text) = w.buy(&cut.part) {
            panic!("{text}");
        }
        cut.end();
    };
    let verify = |w: &World, part: &Part| {
        if part.fact(ADDED).load(SeqCst) == 1 {
            let until = os::now() + 1_000_000_000;
            while !part.is_over(FIRST) && os::now() < until {
                os::yield_now();
            }
            ensure!(part.is_over(FIRST), "the waiter sleeps on");
        } else {
            w.add(part, 1)?;
            w.arrived.notify_one().map_err(|e| format!("{e:?}"))?;
        }
        part.recovered();
        Ok(())
    };
    let sells = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        if let Ok(mut guard) = w.lock(&cut.part) {
            change(&mut guard, 1);
            cut.part.fact(ADDED).store(1, SeqCst);
            let _ = w.arrived.notify_one();
            drop(guard);
        }
        cut.end();
    };
    vec![
        case("lock+notify_one+unlock", "a waiter about to sleep")
            .role("notifier")
            .limits(|l| {
                (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::AfterVerifier), 16, 300)
            })
            .first(waits)
            .victim(sells)
            .verify(verify),
    ]
}
