//! Scenarios of the reader-writer lock.
//!
//! The guarded data are two counters that must be equal whenever nobody writes. What is promised after the death: of a
//! reader nobody is told, of a writer somebody, if it held the lock; the data can be repaired, and everybody gets in.

use crate::engine::board::{CURTAIN, KILLED};
use crate::engine::{Case, Check, Cut, Death, End, Enter, Part, Scenario, Until, os};
use crate::ensure;
use interproc::sync::{RwLock, RwLockError, RwLockReadGuard, RwLockWriteGuard};
use interproc::{Object, Segment};
use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// On the board: 1 while the victim surely writes, between the return of `write` and the call of the unlock.
const WRITES: usize = 0;
/// 1 when the victim never writes: its death is no news.
const ONLY_READS: usize = 1;
/// Nonzero once a helper was told of a death.
const TOLD: usize = 2;

type Pair = [u64; 2];

struct World {
    _segment: Segment,
    lock: Object<RwLock<Pair>>,
    other: Object<RwLock<Pair>>,
}

impl World {
    fn fresh() -> World {
        let options = Segment::options().size(4096).max_members(20).max_objects(8);
        let segment = options.anonymous().expect("a segment");
        let lock = segment.object("lock", || RwLock::new([0, 0])).expect("room");
        let other = segment.object("other", || RwLock::new([0, 0])).expect("room");
        World { _segment: segment, lock, other }
    }

    /// Its lock was read for long: readers have holds.
    fn biased() -> World {
        let world = World::fresh();
        world.bias();
        world
    }

    fn bias(&self) {
        for _ in 0..5_000 {
            drop(self.lock.read().expect("free"));
        }
    }

    /// Its lock was held by a writer that is dead, in the middle of a change.
    fn bequeathed() -> World {
        let world = World::fresh();
        let writer = os::fork(|| {
            let mut guard = world.lock.write().expect("free");
            black_box(&mut guard)[0] += 1;
            os::die()
        });
        os::reap(writer.pid);
        world
    }

    /// Registers the caller and runs the code of the usual paths once, on another lock.
    fn warm_up(&self) {
        drop(self.other.write());
        drop(self.other.read());
        drop(self.other.write_timeout(Duration::ZERO));
        drop(self.other.try_read());
    }

    fn repaired<'a>(e: RwLockError<'a, Pair>) -> Result<RwLockWriteGuard<'a, Pair>, String> {
        match e {
            RwLockError::OwnerDied(mut died) => {
                *died = [died[1]; 2];
                Ok(died.mark_consistent())
            }
            RwLockError::Failed(error) => Err(format!("lock: {error:?}")),
        }
    }

    /// Writes; whether it was told.
    fn write(&self, part: &Part) -> Result<bool, String> {
        let locked = self.lock.write();
        part.recovered();
        let (mut guard, told) = match locked {
            Ok(guard) => (guard, false),
            Err(e) => (Self::repaired(e)?, true),
        };
        self.heard(part, told)?;
        ensure!(guard[0] == guard[1], "the data are torn and nobody was told");
        change(&mut guard);
        Ok(told)
    }

    /// Reads; whether it was told.
    fn read(&self, part: &Part) -> Result<bool, String> {
        let locked = self.lock.read();
        part.recovered();
        let (guard, told) = match locked {
            Ok(guard) => (guard, false),
            Err(e) => (Self::repaired(e)?.downgrade(), true),
        };
        self.heard(part, told)?;
        ensure!(guard[0] == guard[1], "the data are torn and nobody was told");
        Ok(told)
    }

    fn heard(&self, part: &Part, told: bool) -> Check {
        if told {
            part.told();
            part.fact(TOLD).store(1, SeqCst);
            ensure!(part.fact(ONLY_READS).load(SeqCst) == 0, "told of a reader's death");
        }
        Ok(())
    }

    fn aftermath(&self, part: &Part) -> Check {
        let told = self.write(part)?;
        let before = part.fact(TOLD).load(SeqCst) != 0;
        let wrote = part.fact(WRITES).load(SeqCst) != 0;
        ensure!(told || before || !wrote, "the victim died writing and nobody was told");
        ensure!(!self.read(part)?, "told of a death again");
        ensure!(self.lock.try_read().is_ok(), "try_read finds it written");
        ensure!(self.lock.try_write().is_ok(), "try_write finds it taken");
        ensure!(self.lock.write_timeout(Duration::ZERO).is_ok(), "unlock did not free it");
        ensure!(matches!(self.lock.readers(), Ok(0)), "a reader is left");
        Ok(())
    }
}

fn change(pair: &mut Pair) {
    // Two stores, whatever the optimiser would like.
    *black_box(&mut pair[0]) += 1;
    *black_box(&mut pair[1]) += 1;
}

fn look(guard: RwLockReadGuard<Pair>) {
    assert_eq!(black_box(&guard)[0], black_box(&guard)[1]);
}

fn inside(mut guard: RwLockWriteGuard<Pair>, cut: &Cut) {
    cut.part.fact(WRITES).store(1, SeqCst);
    change(&mut guard);
    cut.part.fact(WRITES).store(0, SeqCst);
    drop(guard);
}

fn read_unlock(w: &World, cut: &Cut) {
    w.warm_up();
    cut.part.fact(ONLY_READS).store(1, SeqCst);
    cut.start();
    look(w.lock.read().expect("no writer dies"));
    cut.end();
}

fn try_read_unlock(w: &World, cut: &Cut) {
    w.warm_up();
    cut.part.fact(ONLY_READS).store(1, SeqCst);
    cut.start();
    if let Ok(guard) = w.lock.try_read() {
        look(guard);
    }
    cut.end();
}

/// Reads already; the operation is the unlock.
fn leave(w: &World, cut: &Cut) {
    w.warm_up();
    cut.part.fact(ONLY_READS).store(1, SeqCst);
    let guard = w.lock.read().expect("free");
    cut.start();
    look(guard);
    cut.end();
}

/// Reads already, and once more with a writer asleep, and leaves in the order it came.
fn read_again(w: &World, cut: &Cut) {
    w.warm_up();
    cut.part.fact(ONLY_READS).store(1, SeqCst);
    let guard = w.lock.read().expect("free");
    cut.start();
    let again = w.lock.read().expect("once more");
    drop(guard);
    look(again);
    cut.end();
}

fn write_unlock(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    match w.lock.write() {
        Ok(guard) => inside(guard, cut),
        Err(e) => {
            cut.part.fact(WRITES).store(1, SeqCst);
            if let Ok(guard) = World::repaired(e) {
                inside(guard, cut);
            }
        }
    }
    cut.end();
}

fn timed_write(wait: Duration) -> impl Fn(&World, &Cut) {
    move |w, cut| {
        w.warm_up();
        cut.start();
        if let Ok(guard) = w.lock.write_timeout(wait) {
            inside(guard, cut);
        }
        cut.end();
    }
}

/// Writes already; the operation is half of the change and the unlock.
fn unlock(w: &World, cut: &Cut) {
    w.warm_up();
    let mut guard = w.lock.write().expect("free");
    *black_box(&mut guard[0]) += 1;
    cut.start();
    *black_box(&mut guard[1]) += 1;
    drop(guard);
    cut.end();
}

fn downgrade_unlock(w: &World, cut: &Cut) {
    w.warm_up();
    let mut guard = w.lock.write().expect("free");
    change(&mut guard);
    cut.start();
    let guard = guard.downgrade();
    look(guard);
    cut.end();
}

fn read_inherited(w: &World, cut: &Cut) {
    w.warm_up();
    cut.start();
    let answer = w.lock.read();
    let told = answer.is_err();
    cut.part.fact(WRITES).store(told.into(), SeqCst);
    if let Err(Ok(guard)) = answer.map_err(World::repaired) {
        cut.part.fact(WRITES).store(0, SeqCst);
        look(guard.downgrade());
    }
    cut.end();
}

fn sleeping_writer(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    w.write(part).map(drop)
}

fn sleeping_reader(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    w.read(part).map(drop)
}

/// Reads until this cue and lives on until all is over.
fn reader(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        let guard = w.lock.read().expect("free");
        part.ready();
        part.await_cue(cue);
        drop(guard);
        part.await_cue(CURTAIN);
        Ok(())
    }
}

/// Writes until this cue and lives on until all is over.
fn writer(cue: u32) -> impl Fn(&World, &Part) -> Check {
    move |w, part| {
        let mut guard = w.lock.write().expect("free");
        part.ready();
        part.await_cue(cue);
        change(&mut guard);
        drop(guard);
        part.await_cue(CURTAIN);
        Ok(())
    }
}

/// Reads until its cue and dies with it.
fn doomed_reader(w: &World, part: &Part) -> Check {
    std::mem::forget(w.lock.read().expect("free"));
    part.ready();
    part.await_cue(1);
    os::die()
}

/// Writes until its cue and dies with it.
fn doomed_writer(w: &World, part: &Part) -> Check {
    let mut guard = w.lock.write().expect("free");
    *black_box(&mut guard[0]) += 1;
    part.ready();
    part.await_cue(1);
    os::die()
}

/// As many readers as there are cells, until the victim is dead.
fn crowd(w: &World, part: &Part) -> Check {
    let came = std::sync::Barrier::new(7);
    std::thread::scope(|s| {
        for _ in 0..6 {
            s.spawn(|| {
                let guard = w.lock.read().expect("free");
                came.wait();
                part.await_cue(KILLED);
                drop(guard);
            });
        }
        came.wait();
        part.ready();
    });
    part.await_cue(CURTAIN);
    Ok(())
}

fn case(operation: &'static str, scenario: &str) -> Case<World> {
    Case::new("RwLock", operation, scenario, World::fresh)
}

fn biased(operation: &'static str, scenario: &str) -> Case<World> {
    Case::new("RwLock", operation, scenario, World::biased)
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let mut all = vec![];
    all.extend(readers());
    all.extend(writers());
    all.extend(heirs());
    all.extend(unreported());
    all
}

fn readers() -> Vec<Box<dyn Scenario>> {
    let verify = World::aftermath;
    let asleep = |case: Case<World>| case.helper(Enter::AtStart, Until::Asleep, End::Alone, sleeping_writer);
    let crowded = |operation, name| {
        case(operation, name).role("reader").helper(Enter::Before, Until::Ready, End::AfterVerifier, crowd)
    };
    let behind = |name| {
        case("read+unlock", name)
            .role("sleeping reader")
            .limits(|l| l.net_when_told = true)
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, writer(1))
            .victim(read_unlock)
    };
    vec![
        case("read+unlock", "free").role("reader").victim(read_unlock).verify(verify),
        biased("read+unlock", "biased").role("reader").victim(read_unlock).verify(verify),
        case("try_read+unlock", "free").role("reader").victim(try_read_unlock).verify(verify),
        case("try_read+unlock", "written")
            .role("reader")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, writer(KILLED))
            .victim(try_read_unlock)
            .verify(verify),
        asleep(case("unlock", "a cell, a writer asleep").role("reader")).victim(leave).verify(verify),
        asleep(biased("unlock", "a hold, a writer asleep").role("reader")).victim(leave).verify(verify),
        asleep(biased("unlock", "a hold, a writer and a reader asleep").role("reader"))
            .helper(Enter::AtStart, Until::Asleep, End::Alone, sleeping_reader)
            .victim(leave)
            .verify(verify),
        asleep(case("read once more", "a cell, a writer asleep").role("reader"))
            .victim(read_again)
            .verify(verify),
        asleep(biased("read once more", "a hold, a writer asleep").role("reader"))
            .victim(read_again)
            .verify(verify),
        case("read+unlock", "stopped, a writer comes")
            .role("reader")
            .helper(Enter::AtKill, Until::Asleep, End::Alone, sleeping_writer)
            .victim(read_unlock)
            .verify(verify),
        biased("read+unlock", "biased, stopped, a writer comes")
            .role("reader")
            .helper(Enter::AtKill, Until::Asleep, End::Alone, sleeping_writer)
            .victim(read_unlock)
            .verify(verify),
        crowded("read+unlock", "no free cell").victim(read_unlock).verify(verify),
        asleep(crowded("unlock", "no free cell, a writer asleep")).victim(leave).verify(verify),
        behind("behind a writer").verify(verify),
        behind("behind a writer, before a reader")
            .helper(Enter::WhenAsleep, Until::Asleep, End::Alone, sleeping_reader)
            .verify(verify),
        behind("behind a writer, before a writer")
            .helper(Enter::WhenAsleep, Until::Asleep, End::Alone, sleeping_writer)
            .verify(verify),
    ]
}

fn writers() -> Vec<Box<dyn Scenario>> {
    let verify = World::aftermath;
    let behind = |operation, name, biased: bool| {
        let make = if biased { World::biased } else { World::fresh };
        Case::new("RwLock", operation, name, make)
            .role("waiting writer")
            .limits(|l| l.net_when_told = true)
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, reader(1))
    };
    let sleepers = |operation, name: &str| {
        case(operation, name)
            .role("writer")
            .helper(Enter::AtStart, Until::Asleep, End::Alone, sleeping_reader)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, sleeping_writer)
            .helper(Enter::AtStart, Until::Asleep, End::Alone, sleeping_reader)
    };
    vec![
        case("write+unlock", "free").role("writer").victim(write_unlock).verify(verify),
        biased("write+unlock", "biased").role("writer").victim(write_unlock).verify(verify),
        case("unlock", "written, nobody waits").role("writer").victim(unlock).verify(verify),
        sleepers("unlock", "written, two readers and a writer asleep").victim(unlock).verify(verify),
        behind("write+unlock", "behind a reader", false).victim(write_unlock).verify(verify),
        behind("write+unlock", "behind a reader with a hold", true).victim(write_unlock).verify(verify),
        behind("write+unlock", "behind a reader, before a reader", false)
            .victim(write_unlock)
            .helper(Enter::WhenAsleep, Until::Asleep, End::Alone, sleeping_reader)
            .verify(verify),
        behind("write+unlock", "behind a reader with a hold, before a writer", true)
            .victim(write_unlock)
            .helper(Enter::WhenAsleep, Until::Asleep, End::Alone, sleeping_writer)
            .verify(verify),
        Case::new("RwLock", "timed write", "read for longer", World::fresh)
            .role("waiting writer")
            .helper(Enter::Before, Until::Ready, End::AfterVerifier, reader(KILLED))
            .victim(timed_write(Duration::from_millis(20)))
            .verify(verify),
        case("write+unlock", "behind a reader who dies")
            .role("waiting writer")
            .helper(Enter::Before, Until::Ready, End::Dies, doomed_reader)
            .victim(write_unlock)
            .verify(verify),
        case("downgrade+unlock", "nobody waits").role("writer").victim(downgrade_unlock).verify(verify),
        sleepers("downgrade+unlock", "two readers and a writer asleep")
            .limits(|l| l.net_when_told = true)
            .victim(downgrade_unlock)
            .verify(verify),
    ]
}

fn heirs() -> Vec<Box<dyn Scenario>> {
    let verify = World::aftermath;
    let legacy = |operation, name| Case::new("RwLock", operation, name, World::bequeathed).role("heir");
    vec![
        legacy("read+consistent+downgrade+unlock", "the writer is dead")
            .victim(read_inherited)
            .verify(verify),
        legacy("write+consistent+unlock", "the writer is dead").victim(write_unlock).verify(verify),
        legacy("read+consistent+downgrade+unlock", "the writer is dead, a reader comes")
            .helper(Enter::AtKill, Until::Asleep, End::Alone, sleeping_reader)
            .victim(read_inherited)
            .verify(verify),
        case("read+consistent+downgrade+unlock", "behind a writer who dies")
            .role("sleeping heir")
            .helper(Enter::Before, Until::Ready, End::Dies, doomed_writer)
            .victim(read_inherited)
            .verify(verify),
    ]
}

/// Other ends than SIGKILL, which the kernel reports or not: then the net of 50 ms finds them.
fn unreported() -> Vec<Box<dyn Scenario>> {
    const NET: u64 = 120_000_000;
    let second_thread = |w: &World, cut: &Cut| {
        std::thread::scope(|s| {
            s.spawn(|| leave(w, cut));
        });
    };
    let case = |name: &str, make: fn() -> World, death| {
        Case::new("RwLock", "unlock", name, make)
            .role("reader")
            .limits(|l| (l.death, l.late_ns, l.lives_at_end) = (death, NET, false))
            .helper(Enter::AtStart, Until::Asleep, End::Alone, sleeping_writer)
    };
    vec![
        case("a cell, a writer asleep; by exec in a second thread", World::fresh, Death::Exec)
            .victim(second_thread)
            .verify(World::aftermath),
        case("a hold, a writer asleep; by exec in a second thread", World::biased, Death::Exec)
            .victim(second_thread)
            .verify(World::aftermath),
        case("a hold, a writer asleep; its memory reaped first", World::biased, Death::Reaped)
            .victim(leave)
            .verify(World::aftermath),
    ]
}
