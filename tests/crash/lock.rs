//! Scenarios of the mutex.
//!
//! The guarded data are two counters that must be equal whenever the lock is free. What is promised after the
//! death: somebody is told if the dead one held the lock, the data can be repaired, and everybody gets the lock.

use crate::arena::Arena;
use crate::engine::{Case, Check, Cut, End, Enter, Part, Scenario, Until, os};
use crate::ensure;
use interproc::sync::{Acquired, RawMutex};
use interproc::{Deadline, Error, ErrorKind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// 1 while the victim surely holds the lock: between the return of `lock` and the call of `unlock`.
const HELD: usize = 0;
/// 1 once the victim surely gave up to repair: between the return of `lock` and the call of `unlock`, unrepaired.
const SPOILT: usize = 1;

struct World {
    arena: Arena,
}

impl World {
    fn fresh() -> World {
        World { arena: Arena::new(8) }
    }

    /// A world whose lock was held by a process that is dead, in the middle of a change.
    fn bequeathed() -> World {
        let world = World::fresh();
        let holder = os::fork(|| {
            let _ = world.lock(None);
            world.data()[0].fetch_add(1, SeqCst);
            os::die()
        });
        os::reap(holder.pid);
        world
    }

    fn mutex(&self) -> &RawMutex {
        self.arena.object(0)
    }

    fn data(&self) -> &[AtomicU64; 2] {
        self.arena.object(128)
    }

    /// Registers the caller and runs the code of both paths once, on another lock.
    fn warm_up(&self) {
        let (me, other) = (self.arena.me(), self.arena.object::<RawMutex>(256));
        let _ = other.lock(me, None);
        let _ = other.unlock(me);
        let _ = other.lock(me, Some(Deadline::now()));
        let _ = other.try_lock(me);
        let _ = other.unlock(me);
    }

    fn lock(&self, deadline: Option<Deadline>) -> Result<Acquired, Error> {
        self.mutex().lock(self.arena.me(), deadline)
    }

    fn unlock(&self) {
        self.mutex().unlock(self.arena.me()).expect("the caller holds it");
    }

    fn change(&self) {
        self.data()[0].fetch_add(1, SeqCst);
        self.data()[1].fetch_add(1, SeqCst);
    }

    fn repair(&self) {
        self.data()[0].store(self.data()[1].load(SeqCst), SeqCst);
        self.mutex().mark_consistent(self.arena.me()).expect("inherited");
    }

    /// Locks, looks at the data, repairs them if told to, changes them, unlocks. Gives whether it was told.
    fn survive(&self, part: &Part) -> Result<bool, String> {
        let acquired = self.lock(None);
        part.recovered();
        let told = match acquired {
            Ok(Acquired::Clean) => false,
            Ok(Acquired::OwnerDied) => {
                self.repair();
                true
            }
            Err(error) => return Err(format!("lock: {error:?}")),
        };
        let [a, b] = self.data();
        ensure!(a.load(SeqCst) == b.load(SeqCst), "the data are torn and nobody was told");
        self.change();
        ensure!(self.mutex().unlock(self.arena.me()).is_ok(), "unlock failed");
        Ok(told)
    }

    /// What every scenario ends with: somebody was told if the victim held it, and the lock works.
    fn aftermath(&self, part: &Part) -> Check {
        let told = self.survive(part)?;
        let before = part.fact(TOLD).load(SeqCst) != 0;
        let held = part.fact(HELD).load(SeqCst) != 0;
        ensure!(told || before || !held, "the victim died holding the lock and nobody was told");
        ensure!(!self.survive(part)?, "told of a death again");
        ensure!(self.mutex().try_lock(self.arena.me()).is_ok(), "try_lock finds it taken");
        ensure!(self.mutex().unlock(self.arena.me()).is_ok(), "unlock failed");
        Ok(())
    }
}

/// Nonzero once a helper was told of a death.
const TOLD: usize = 2;

/// The victim's critical section, from the return of `lock` to the return of `unlock`.
fn inside(world: &World, cut: &Cut) {
    cut.part.fact(HELD).store(1, SeqCst);
    world.change();
    cut.part.fact(HELD).store(0, SeqCst);
    world.unlock();
}

/// The victim's lock, whatever it inherits.
fn take(world: &World, cut: &Cut) {
    let acquired = world.lock(None).expect("a lock or a legacy");
    cut.part.fact(HELD).store(1, SeqCst);
    if acquired == Acquired::OwnerDied {
        world.repair();
    }
}

fn lock_unlock(world: &World, cut: &Cut) {
    world.warm_up();
    cut.start();
    take(world, cut);
    inside(world, cut);
    cut.end();
}

/// A process that wants the lock, gets it, and looks at the data.
fn sleeper(world: &World, part: &Part) -> Check {
    world.warm_up();
    part.ready();
    if world.survive(part)? {
        part.fact(TOLD).store(1, SeqCst);
    }
    Ok(())
}

/// A process that holds the lock until its cue and lives on until all is over.
fn holder(world: &World, part: &Part) -> Check {
    let _ = world.lock(None);
    part.ready();
    part.await_cue(1);
    world.change();
    world.unlock();
    part.await_cue(u32::MAX / 2);
    Ok(())
}

/// A process that holds the lock until its cue and dies with it.
fn doomed(world: &World, part: &Part) -> Check {
    let _ = world.lock(None);
    world.data()[0].fetch_add(1, SeqCst);
    part.ready();
    part.await_cue(1);
    os::die()
}

fn case(operation: &'static str, scenario: &str) -> Case<World> {
    Case::new("Mutex", operation, scenario, World::fresh)
}

fn legacy(operation: &'static str, scenario: &str) -> Case<World> {
    Case::new("Mutex", operation, scenario, World::bequeathed).role("recoverer")
}

fn sleeps(case: Case<World>) -> Case<World> {
    case.helper(Enter::AtStart, Until::Asleep, End::Alone, sleeper)
}

/// A stale watch (window C6) is found by the net of 50 ms only.
fn with_net(case: Case<World>) -> Case<World> {
    case.limits(|l| l.late_ns = 120_000_000)
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let held = |world: &World, cut: &Cut| {
        world.warm_up();
        let _ = world.lock(None);
        world.data()[0].fetch_add(1, SeqCst);
        cut.start();
        world.data()[1].fetch_add(1, SeqCst);
        world.unlock();
        cut.end();
    };
    let mut all = vec![
        case("lock", "free")
            .victim(|w, cut| {
                w.warm_up();
                cut.start();
                take(w, cut);
                cut.end();
            })
            .verify(World::aftermath),
        case("unlock", "nobody waits").role("holder").victim(held).verify(World::aftermath),
        case("lock+unlock", "free").victim(lock_unlock).verify(World::aftermath),
        case("lock+unlock", "another thread of the victim holds another lock")
            .victim(|w, cut| {
                let other: &RawMutex = w.arena.object(512);
                let _ = other.lock(w.arena.me(), None);
                std::thread::scope(|s| {
                    s.spawn(|| lock_unlock(w, cut));
                });
            })
            .verify(|w, part| {
                let told = w.arena.object::<RawMutex>(512).lock(w.arena.me(), None);
                ensure!(told == Ok(Acquired::OwnerDied), "the other thread's lock: {told:?}");
                w.aftermath(part)
            }),
        case("lock+unlock", "another thread of the victim sleeps for it")
            .role("holder")
            .victim(|w, cut| {
                w.warm_up();
                let _ = w.lock(None);
                let tid = AtomicU32::new(0);
                std::thread::scope(|s| {
                    s.spawn(|| {
                        w.warm_up();
                        os::futex_set(&tid, os::tid());
                        take(w, cut);
                        inside(w, cut);
                    });
                    os::futex_wait(&tid, 0, u64::MAX);
                    os::await_sleep(std::process::id() as i32, tid.load(SeqCst) as i32);
                    cut.start();
                    inside(w, cut);
                    cut.end();
                });
            })
            .helper(Enter::AtStart, Until::Asleep, End::Alone, sleeper)
            .limits(|l| l.late_ns = 120_000_000)
            .verify(World::aftermath),
    ];
    all.extend(tries());
    all.extend(contended(held));
    all.extend(recovery());
    all
}

fn tries() -> Vec<Box<dyn Scenario>> {
    let attempt = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        if w.mutex().try_lock(w.arena.me()).is_ok() {
            inside(w, cut);
        }
        cut.end();
    };
    let timed = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        if w.lock(Some(Deadline::after(Duration::from_millis(5)))).is_ok() {
            inside(w, cut);
        }
        cut.end();
    };
    let patient = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        if w.lock(Some(Deadline::after(Duration::from_secs(60)))).is_ok() {
            inside(w, cut);
        }
        cut.end();
    };
    let stays = |w: &World, part: &Part| {
        let _ = w.lock(None);
        part.ready();
        part.await_cue(u32::MAX / 2);
        w.change();
        w.unlock();
        Ok(())
    };
    vec![
        case("try_lock", "free").victim(attempt).verify(World::aftermath),
        case("try_lock", "held")
            .helper(Enter::Before, Until::Ready, End::Alone, stays)
            .victim(attempt)
            .verify(World::aftermath),
        case("timed lock", "held for longer")
            .helper(Enter::Before, Until::Ready, End::Alone, stays)
            .victim(timed)
            .verify(World::aftermath),
        with_net(case("timed lock", "held, then released, before a sleeper"))
            .helper(Enter::Before, Until::Ready, End::Alone, holder)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, sleeper)
            .victim(patient)
            .verify(World::aftermath),
    ]
}

fn contended(held: fn(&World, &Cut)) -> Vec<Box<dyn Scenario>> {
    vec![
        sleeps(case("unlock", "a sleeper")).role("holder").victim(held).verify(World::aftermath),
        // The second sleeper may watch the first one's predecessor when the first one has it: never in death.
        sleeps(sleeps(case("unlock", "two sleepers"))).role("holder").victim(held).verify(World::aftermath),
        sleeps(sleeps(sleeps(case("unlock", "three sleepers"))))
            .role("holder")
            .victim(held)
            .verify(World::aftermath),
        case("lock+unlock", "behind a holder")
            .helper(Enter::Before, Until::Ready, End::Alone, holder)
            .role("sleeper")
            .victim(lock_unlock)
            .verify(World::aftermath),
        with_net(sleeps(case("lock+unlock", "behind a holder, beside a sleeper")))
            .helper(Enter::Before, Until::Ready, End::Alone, holder)
            .role("sleeper")
            .victim(lock_unlock)
            .verify(World::aftermath),
        with_net(case("lock+unlock", "behind a holder and a sleeper"))
            .helper(Enter::Before, Until::Ready, End::Alone, holder)
            .helper(Enter::Before, Until::Asleep, End::Alone, sleeper)
            .role("sleeper")
            .victim(lock_unlock)
            .verify(World::aftermath),
        case("lock+unlock", "behind a holder who dies")
            .helper(Enter::Before, Until::Ready, End::Dies, doomed)
            .role("sleeping heir")
            .victim(lock_unlock)
            .verify(World::aftermath),
        with_net(sleeps(case("lock+unlock", "behind a holder who dies, beside a sleeper")))
            .helper(Enter::Before, Until::Ready, End::Dies, doomed)
            .role("sleeping heir")
            .victim(lock_unlock)
            .verify(World::aftermath),
    ]
}

fn recovery() -> Vec<Box<dyn Scenario>> {
    let inherit = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        take(w, cut);
        inside(w, cut);
        cut.end();
    };
    let consistent = |w: &World, cut: &Cut| {
        w.warm_up();
        assert_eq!(w.lock(None), Ok(Acquired::OwnerDied));
        cut.start();
        w.repair();
        cut.end();
    };
    let spoil = |w: &World, cut: &Cut| {
        w.warm_up();
        assert_eq!(w.lock(None), Ok(Acquired::OwnerDied));
        cut.start();
        cut.part.fact(SPOILT).store(1, SeqCst);
        w.unlock();
        cut.part.fact(SPOILT).store(2, SeqCst);
        cut.end();
    };
    let told_of_ruin = |w: &World, part: &Part| {
        w.warm_up();
        part.ready();
        let acquired = w.lock(None);
        part.recovered();
        match acquired {
            Ok(Acquired::OwnerDied) => {
                ensure!(part.fact(SPOILT).load(SeqCst) < 2, "a spoilt lock was given out");
                w.repair();
                w.unlock();
                Ok(())
            }
            Ok(Acquired::Clean) => Ok(()).map(|()| w.unlock()),
            Err(e) if e.kind() == ErrorKind::NotRecoverable && part.fact(SPOILT).load(SeqCst) > 0 => Ok(()),
            Err(e) => Err(format!("lock: {e:?}")),
        }
    };
    vec![
        legacy("lock+consistent+unlock", "the owner is dead").victim(inherit).verify(World::aftermath),
        legacy("try_lock+consistent+unlock", "the owner is dead")
            .victim(|w, cut| {
                w.warm_up();
                cut.start();
                assert_eq!(w.mutex().try_lock(w.arena.me()), Ok(Acquired::OwnerDied));
                w.repair();
                inside(w, cut);
                cut.end();
            })
            .verify(World::aftermath),
        legacy("consistent", "inherited").victim(consistent).verify(World::aftermath),
        sleeps(legacy("consistent", "inherited, a sleeper")).victim(consistent).verify(World::aftermath),
        legacy("unlock", "inherited, not marked consistent").victim(spoil).verify(told_of_ruin),
        legacy("unlock", "inherited, not marked consistent, two sleepers")
            .victim(spoil)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, told_of_ruin)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, told_of_ruin)
            .verify(told_of_ruin),
        case("lock+consistent+unlock", "two deaths: an owner, then the recoverer")
            .role("owner, then recoverer")
            .first(lock_unlock)
            .victim(inherit)
            .verify(World::aftermath),
        legacy("lock+consistent+unlock", "three deaths: two recoverers")
            .role("recoverer, then recoverer")
            .first(inherit)
            .victim(inherit)
            .verify(World::aftermath),
    ]
}
