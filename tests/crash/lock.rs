//! Scenarios of the mutex.
//!
//! The guarded data are two counters that must be equal whenever the lock is free. What is promised after the
//! death: somebody is told if the dead one held the lock, the data can be repaired, and everybody gets the lock.

use crate::engine::board::{CURTAIN, KILLED};
use crate::engine::{Case, Check, Cut, Death, End, Enter, First, Limits, Part, Scenario, Until, os};
use crate::ensure;
use interproc::sync::{LockError, Mutex, MutexGuard};
use interproc::{ErrorKind, Object, Segment};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// On the board: 1 while the victim surely holds the lock, between the return of `lock` and the call of `unlock`.
const HELD: usize = 0;
/// 1 from the call of an unlock that must ruin the lock, 2 from its return.
const SPOILT: usize = 1;
/// Nonzero once a helper was told of a death.
const TOLD: usize = 2;

type Pair = [u64; 2];
type Guard<'a> = MutexGuard<'a, Pair>;

pub(crate) struct World {
    pub(crate) segment: Segment,
    pub(crate) mutex: Object<Mutex<Pair>>,
    other: Object<Mutex<Pair>>,
}

/// How a lock came.
enum Got<'a> {
    Clean(Guard<'a>),
    Told(Guard<'a>),
}

impl World {
    pub(crate) fn fresh() -> World {
        Self::for_members(10)
    }

    /// A world with this many member slots. The engine's worker leaves its own again.
    pub(crate) fn for_members(members: u32) -> World {
        let options = Segment::options().size(4096).max_members(members).max_objects(8);
        let segment = options.anonymous().expect("a segment");
        let mutex = segment.object("mutex", || Mutex::new([0, 0])).expect("room");
        let other = segment.object("other", || Mutex::new([0, 0])).expect("room");
        World { segment, mutex, other }
    }

    /// A world whose lock was held by a process that is dead, in the middle of a change.
    fn bequeathed() -> World {
        let world = World::fresh();
        let holder = os::fork(|| {
            let mut guard = world.mutex.lock().expect("free");
            black_box(&mut guard)[0] += 1;
            os::die()
        });
        os::reap(holder.pid);
        world
    }

    /// Registers the caller and runs the code of the usual paths once, on another lock.
    pub(crate) fn warm_up(&self) {
        drop(self.other.lock());
        drop(self.other.lock_timeout(Duration::ZERO));
        drop(self.other.try_lock());
    }

    fn got<'a>(result: Result<Guard<'a>, LockError<'a, Pair>>) -> Result<Got<'a>, String> {
        match result {
            Ok(guard) => Ok(Got::Clean(guard)),
            Err(LockError::OwnerDied(mut died)) => {
                *died = [died[1]; 2];
                Ok(Got::Told(died.mark_consistent()))
            }
            Err(LockError::Failed(error)) => Err(format!("lock: {error:?}")),
        }
    }

    /// Locks, looks at the data, repairs them if told to, changes them, unlocks. Gives whether it was told.
    pub(crate) fn survive(&self, part: &Part) -> Result<bool, String> {
        let locked = self.mutex.lock();
        part.recovered();
        let (mut guard, told) = match Self::got(locked)? {
            Got::Clean(guard) => (guard, false),
            Got::Told(guard) => {
                part.told();
                (guard, true)
            }
        };
        ensure!(guard[0] == guard[1], "the data are torn and nobody was told");
        change(&mut guard);
        Ok(told)
    }

    /// What every scenario ends with: somebody was told if the victim held it, and the lock works.
    pub(crate) fn aftermath(&self, part: &Part) -> Check {
        let told = self.survive(part)?;
        let before = part.fact(TOLD).load(SeqCst) != 0;
        let held = part.fact(HELD).load(SeqCst) != 0;
        ensure!(told || before || !held, "the victim died holding the lock and nobody was told");
        ensure!(!self.survive(part)?, "told of a death again");
        ensure!(self.mutex.try_lock().is_ok(), "try_lock finds it taken");
        ensure!(self.mutex.lock_timeout(Duration::ZERO).is_ok(), "unlock did not free it");
        Ok(())
    }
}

fn change(pair: &mut Pair) {
    // Two stores, whatever the optimiser would like.
    *black_box(&mut pair[0]) += 1;
    *black_box(&mut pair[1]) += 1;
}

/// The victim's critical section, from the return of `lock` to the return of `unlock`.
fn inside(mut guard: Guard, cut: &Cut) {
    cut.part.fact(HELD).store(1, SeqCst);
    change(&mut guard);
    cut.part.fact(HELD).store(0, SeqCst);
    drop(guard);
}

/// What the victim makes of a lock: repairs what it inherits, changes the data, unlocks. Gives up if it must.
fn use_it<'a>(locked: Result<Guard<'a>, LockError<'a, Pair>>, cut: &Cut) {
    if !matches!(locked, Err(LockError::Failed(_))) {
        cut.part.fact(HELD).store(1, SeqCst);
    }
    if let Ok(Got::Clean(guard) | Got::Told(guard)) = World::got(locked) {
        inside(guard, cut);
    }
}

fn lock_unlock(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    use_it(w.mutex.lock(), cut);
    cut.end();
}

fn try_lock_unlock(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    use_it(w.mutex.try_lock(), cut);
    cut.end();
}

fn timed(wait: Duration) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        use_it(w.mutex.lock_timeout(wait), cut);
        cut.end();
    }
}

/// Holds the lock already; the operation is half of the change and the unlock.
fn unlock(w: &World, cut: &Cut) {
    w.warm_up();
    let mut guard = w.mutex.lock().expect("free");
    *black_box(&mut guard[0]) += 1;
    cut.start();
    *black_box(&mut guard[1]) += 1;
    drop(guard);
    cut.end();
}

/// A process that wants the lock, gets it, and looks at the data.
fn sleeper(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    if w.survive(part)? {
        part.fact(TOLD).store(1, SeqCst);
    }
    Ok(())
}

/// A process that holds the lock until this cue and lives on until all is over.
fn holder(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        let mut guard = w.mutex.lock().expect("free");
        part.ready();
        part.await_cue(cue);
        change(&mut guard);
        drop(guard);
        // It lives on: its own end would wake those who still watch it.
        part.await_cue(CURTAIN);
        Ok(())
    }
}

/// A process that holds the lock until its cue and dies with it.
fn doomed(w: &World, part: &Part) -> Check {
    let mut guard = w.mutex.lock().expect("free");
    *black_box(&mut guard[0]) += 1;
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

/// `n` processes fall asleep for the lock.
fn sleepers(mut case: Case<World>, n: usize, when: Enter) -> Case<World> {
    for _ in 0..n {
        case = case.helper(when, Until::Asleep, End::Alone, sleeper);
    }
    case
}

/// A stale watch (window MX-f: the owner died holding, while the sleeper watches an earlier one) is found by the net.
fn net(limits: &mut Limits) {
    limits.net_when_told = true;
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let verify = World::aftermath;
    let mut all = vec![
        case("lock", "free")
            .limits(|l| l.lives_at_end = false)
            .victim(|w, cut| {
                w.warm_up();
                cut.start();
                let guard = w.mutex.lock();
                cut.part.fact(HELD).store(1, SeqCst);
                cut.end();
                drop(guard);
            })
            .verify(verify),
        case("unlock", "nobody waits").role("holder").victim(unlock).verify(verify),
        case("lock+unlock", "free").victim(lock_unlock).verify(verify),
        case("try_lock", "free").victim(try_lock_unlock).verify(verify),
        case("try_lock", "held")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, holder(KILLED))
            .victim(try_lock_unlock)
            .verify(verify),
        case("timed lock", "free").victim(timed(Duration::from_secs(60))).verify(verify),
        case("timed lock", "held for longer")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, holder(KILLED))
            .victim(timed(Duration::from_millis(20)))
            .verify(verify),
    ];
    all.extend(several_threads());
    all.extend(unlock_wakes());
    all.extend(asleep_itself());
    all.extend(recovery());
    all.extend(two_deaths());
    all.extend(bystanders());
    all.extend(unreported());
    all
}

fn several_threads() -> Vec<Box<dyn Scenario>> {
    let beside_own_sleeper = |w: &World, cut: &Cut| {
        w.warm_up();
        let guard = w.mutex.lock().expect("free");
        let tid = AtomicU32::new(0);
        std::thread::scope(|s| {
            s.spawn(|| {
                w.warm_up();
                os::futex_set(&tid, os::tid());
                use_it(w.mutex.lock(), cut);
            });
            os::futex_wait(&tid, 0, u64::MAX);
            os::await_sleep(std::process::id() as i32, tid.load(SeqCst) as i32);
            cut.start();
            inside(guard, cut);
            cut.end();
        });
    };
    vec![
        case("lock+unlock", "another thread of the victim holds another lock")
            .limits(|l| l.lives_at_end = false)
            .victim(|w, cut| {
                let guard = w.other.lock();
                std::thread::scope(|s| {
                    s.spawn(|| {
                        drop(w.mutex.lock());
                        cut.start();
                        use_it(w.mutex.lock(), cut);
                        cut.end();
                    });
                });
                drop(guard);
            })
            .verify(|w, part| {
                let told = matches!(w.other.try_lock(), Err(LockError::OwnerDied(_)));
                ensure!(told, "not told of the other thread's lock");
                w.aftermath(part)
            }),
        sleepers(case("unlock", "a sleeper, and another thread of the victim asleep"), 1, Enter::AtStart)
            .role("holder")
            .limits(net)
            .victim(beside_own_sleeper)
            .verify(World::aftermath),
    ]
}

fn unlock_wakes() -> Vec<Box<dyn Scenario>> {
    let stopped = case;
    let case = |name, n| sleepers(case("unlock", name), n, Enter::AtStart).role("holder").victim(unlock);
    vec![
        case("a sleeper", 1).verify(World::aftermath),
        case("two sleepers", 2).verify(World::aftermath),
        case("three sleepers", 3).verify(World::aftermath),
        // They come while the victim stands in the middle of it, and then it dies.
        sleepers(stopped("unlock", "stopped, three come"), 3, Enter::AtKill)
            .role("holder")
            .victim(unlock)
            .verify(World::aftermath),
        sleepers(stopped("lock+unlock", "stopped, two come"), 2, Enter::AtKill)
            .victim(lock_unlock)
            .verify(World::aftermath),
    ]
}

/// The victim sleeps for the lock, is woken on its cue, uses it.
fn asleep_itself() -> Vec<Box<dyn Scenario>> {
    let behind = |name: &str| {
        case("lock+unlock", name)
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, holder(1))
            .role("sleeper")
            .victim(lock_unlock)
    };
    let heir = |name: &str| {
        case("lock+unlock", name)
            .helper(Enter::Before, Until::Ready, End::Dies, doomed)
            .role("sleeping heir")
            .victim(lock_unlock)
    };
    let verify = World::aftermath;
    vec![
        behind("behind a holder").verify(verify),
        sleepers(behind("behind a holder and a sleeper"), 1, Enter::AtStart).limits(net).verify(verify),
        sleepers(behind("behind a holder, before a sleeper"), 1, Enter::WhenAsleep)
            .limits(net)
            .verify(verify),
        sleepers(behind("behind a holder, before two sleepers"), 2, Enter::WhenAsleep)
            .limits(net)
            .verify(verify),
        heir("behind a holder who dies").verify(verify),
        sleepers(heir("behind a holder who dies, and a sleeper"), 1, Enter::AtStart)
            .limits(net)
            .verify(verify),
        sleepers(heir("behind a holder who dies, before a sleeper"), 1, Enter::WhenAsleep)
            .limits(net)
            .verify(verify),
        sleepers(heir("behind a holder who dies, before two sleepers"), 2, Enter::WhenAsleep)
            .limits(net)
            .verify(verify),
        sleepers(case("timed lock", "held, then released, before a sleeper"), 1, Enter::WhenAsleep)
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, holder(1))
            .role("sleeper")
            .limits(net)
            .victim(timed(Duration::from_secs(60)))
            .verify(verify),
    ]
}

fn recovery() -> Vec<Box<dyn Scenario>> {
    fn told(w: &World) -> interproc::sync::OwnerDied<'_, Pair> {
        match w.mutex.lock() {
            Err(LockError::OwnerDied(died)) => died,
            _ => panic!("the lock has a dead owner"),
        }
    }
    let consistent = |w: &World, cut: &Cut| {
        w.warm_up();
        let mut died = told(w);
        cut.start();
        *died = [died[1]; 2];
        drop(died.mark_consistent());
        cut.end();
    };
    let spoil = |w: &World, cut: &Cut| {
        w.warm_up();
        let died = told(w);
        cut.start();
        cut.part.fact(SPOILT).store(1, SeqCst);
        died.mark_not_recoverable();
        cut.part.fact(SPOILT).store(2, SeqCst);
        cut.end();
    };
    let ignore = |w: &World, cut: &Cut| {
        w.warm_up();
        let died = told(w);
        cut.start();
        drop(died);
        cut.end();
    };
    let told_again = |w: &World, part: &Part| {
        w.warm_up();
        part.ready();
        let locked = w.mutex.lock();
        part.recovered();
        ensure!(matches!(locked, Err(LockError::OwnerDied(_))), "the news of a death was lost");
        Ok(())
    };
    let told_of_ruin = |w: &World, part: &Part| {
        w.warm_up();
        part.ready();
        let locked = w.mutex.lock();
        part.recovered();
        let spoilt = part.fact(SPOILT).load(SeqCst);
        match locked {
            Err(LockError::OwnerDied(mut died)) => {
                ensure!(spoilt < 2, "a spoilt lock was given out");
                *died = [died[1]; 2];
                drop(died.mark_consistent());
                Ok(())
            }
            Ok(_) => {
                ensure!(spoilt < 2, "a spoilt lock was given out");
                Ok(())
            }
            Err(LockError::Failed(e)) => {
                ensure!(e.kind() == ErrorKind::NotRecoverable && spoilt > 0, "lock: {e:?}");
                Ok(())
            }
        }
    };
    let verify = World::aftermath;
    vec![
        legacy("lock+consistent+unlock", "the owner is dead").victim(lock_unlock).verify(verify),
        legacy("try_lock+consistent+unlock", "the owner is dead").victim(try_lock_unlock).verify(verify),
        legacy("consistent+unlock", "inherited").victim(consistent).verify(verify),
        sleepers(legacy("consistent+unlock", "inherited, two sleepers"), 2, Enter::AtStart)
            .victim(consistent)
            .verify(verify),
        legacy("unlock", "inherited, handed back").victim(ignore).verify(told_again),
        legacy("unlock", "inherited, handed back, two sleepers")
            .victim(ignore)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, told_again)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, told_again)
            .verify(told_again),
        legacy("unlock", "inherited, given up").victim(spoil).verify(told_of_ruin),
        legacy("unlock", "inherited, given up, two sleepers")
            .victim(spoil)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, told_of_ruin)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, told_of_ruin)
            .verify(told_of_ruin),
    ]
}

fn two_deaths() -> Vec<Box<dyn Scenario>> {
    let thin = |l: &mut Limits| l.thin_above = 300;
    let verify = World::aftermath;
    vec![
        case("lock+consistent+unlock", "two deaths: an owner, then the heir")
            .role("owner, then heir")
            .limits(thin)
            .first(lock_unlock)
            .victim(lock_unlock)
            .verify(verify),
        legacy("lock+consistent+unlock", "three deaths: an owner, then two heirs")
            .role("heir, then heir")
            .limits(thin)
            .first(try_lock_unlock)
            .victim(try_lock_unlock)
            .verify(verify),
        sleepers(
            case("lock+consistent+unlock", "two deaths: behind a stopped owner, before a sleeper"),
            1,
            Enter::WhenAsleep,
        )
        .role("owner, then sleeping heir")
        .limits(thin)
        .limits(|l| (l.first, l.net_when_told) = (First::StandsAndDies, true))
        .first(lock_unlock)
        .victim(lock_unlock)
        .verify(verify),
    ]
}

/// Somebody stands between its last look and its sleep while the victim unlocks, or dies in it; then goes on.
fn bystanders() -> Vec<Box<dyn Scenario>> {
    let wants = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.part.ready();
        cut.start();
        match w.survive(&cut.part) {
            Ok(told) => cut.part.fact(TOLD).store(told.into(), SeqCst),
            Err(text) => panic!("{text}"),
        }
        cut.end();
    };
    let case = |name: &str| {
        case("unlock", name)
            .role("holder")
            .limits(|l| (l.first, l.first_deaths, l.thin_above) = (First::GoesOn(End::Alone), 24, 300))
            .first(wants)
            .victim(unlock)
    };
    vec![
        case("one about to sleep").verify(World::aftermath),
        sleepers(case("one about to sleep, beside a sleeper"), 1, Enter::AtStart).verify(World::aftermath),
    ]
}

/// Other ends than SIGKILL, which the kernel reports or not: then the net of 50 ms finds them.
fn unreported() -> Vec<Box<dyn Scenario>> {
    let second_thread = |w: &World, cut: &Cut| {
        std::thread::scope(|s| {
            s.spawn(|| unlock(w, cut));
        });
    };
    let case = |name: &str, death, late_ns| {
        sleepers(case("unlock", name), 1, Enter::AtStart)
            .role("holder")
            .limits(|l| (l.death, l.late_ns, l.lives_at_end) = (death, late_ns, false))
    };
    const TOLD: u64 = 30_000_000;
    const NET: u64 = 120_000_000;
    vec![
        case("a sleeper; by exec", Death::Exec, TOLD).victim(unlock).verify(World::aftermath),
        case("a sleeper; by exec in a second thread", Death::Exec, NET)
            .victim(second_thread)
            .verify(World::aftermath),
        case("a sleeper; its memory reaped first", Death::Reaped, NET)
            .victim(unlock)
            .verify(World::aftermath),
    ]
}
