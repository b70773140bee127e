//! Scenarios of membership, segments and their directory.
//!
//! What is promised: a thread that dies while it joins, or leaves, costs no slot; a process that dies while it
//! makes a segment or an object leaves either nothing or the whole of it.

use crate::engine::board::KILLED;
use crate::engine::{Case, Check, Cut, End, Enter, Limits, Part, Scenario, Until, os};
use crate::ensure;
use crate::lock::World;
use interproc::sync::Mutex;
use interproc::{ErrorKind, Segment};
use std::cell::RefCell;
use std::sync::{Barrier, OnceLock};

/// Slots of these worlds: few, so that a lost one shows.
const SLOTS: u32 = 5;
/// The engine's worker, which made the world, lives and keeps its own.
const FREE: usize = SLOTS as usize - 1;

fn world() -> World {
    World::for_members(SLOTS)
}

/// All slots can be had by living threads at the same time, no more, and the lock works.
fn no_slot_is_lost(w: &World, part: &Part) -> Check {
    w.aftermath(part)?;
    let (joined, all) = (Barrier::new(SLOTS as usize), Barrier::new(SLOTS as usize));
    let join = || {
        let joined_here = w.mutex.try_lock().map(drop).map_err(|e| e.error().kind());
        joined.wait();
        let refused = matches!(joined_here, Err(ErrorKind::TooManyMembers));
        all.wait();
        !refused
    };
    // The verifier's main thread is a member already.
    let members = std::thread::scope(|s| {
        let threads: Vec<_> = (1..SLOTS).map(|_| s.spawn(join)).collect();
        join();
        1 + threads.into_iter().filter_map(|t| t.join().ok()).filter(|&joined| joined).count()
    });
    ensure!(members == FREE, "{members} slots can be had instead of {FREE}");
    Ok(())
}

fn stay(w: &World, part: &Part) -> Check {
    w.warm_up();
    part.ready();
    part.await_cue(KILLED);
    Ok(())
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    [members(), objects(), names()].into_iter().flatten().collect()
}

/// These operations are long, mostly formatting and system calls.
fn thin(limits: &mut Limits) {
    limits.thin_above = 1_000;
}

fn members() -> Vec<Box<dyn Scenario>> {
    let register = |w: &World, cut: &Cut| {
        cut.start();
        drop(w.mutex.lock());
        cut.end();
    };
    let second_thread = |w: &World, cut: &Cut| {
        w.warm_up();
        std::thread::scope(|s| {
            s.spawn(|| {
                cut.start();
                drop(w.mutex.lock());
                cut.end();
            });
        });
    };
    let case = |operation, scenario: &str| Case::new("Member", operation, scenario, world);
    vec![
        case("register", "a process's first thread")
            .role("newcomer")
            .limits(thin)
            .limits(|l| l.lives_at_end = false)
            .victim(register)
            .verify(no_slot_is_lost),
        case("register", "a second thread")
            .role("newcomer")
            .limits(thin)
            .limits(|l| l.lives_at_end = false)
            .victim(second_thread)
            .verify(no_slot_is_lost),
        case("register", "beside a member, over a dead one's slot")
            .role("newcomer")
            .limits(thin)
            .limits(|l| l.lives_at_end = false)
            .helper(Enter::Before, Until::Ready, End::Alone, stay)
            .first(register)
            .limits(|l| (l.first_deaths, l.thin_above) = (3, 300))
            .victim(register)
            .verify(no_slot_is_lost),
        Case::new("Member", "detach", "a member among others", || RefCell::new(Some(world())))
            .role("member")
            .limits(thin)
            .victim(|w, cut| {
                let world = w.take().expect("whole");
                world.warm_up();
                cut.start();
                drop(world);
                cut.end();
            })
            .verify(|w, part| no_slot_is_lost(w.borrow().as_ref().expect("whole"), part)),
    ]
}

// ---- objects -------------------------------------------------------------------------------------------------

/// How many objects of this kind fit into a world's segment, which already has `made` of them.
fn room_for_objects(segment: &Segment, made: usize) -> Result<usize, String> {
    for n in made.. {
        match segment.object(&format!("filler {n}"), || Mutex::new([7u64; 32])) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::SegmentFull => return Ok(n),
            Err(e) => return Err(format!("making object {n}: {e:?}")),
        }
    }
    unreachable!("a segment has an end")
}

fn objects() -> Vec<Box<dyn Scenario>> {
    let make = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        drop(w.segment.object("filler 0", || Mutex::new([7u64; 32])));
        cut.end();
    };
    let make_queue = |w: &World, cut: &Cut| {
        w.warm_up();
        cut.start();
        drop(w.segment.queue::<[u64; 4]>("queue", 4));
        cut.end();
    };
    let whole = |w: &World, part: &Part| {
        let object = w.segment.object("filler 0", || Mutex::new([7u64; 32])).map_err(|e| format!("{e:?}"))?;
        part.recovered();
        ensure!(object.lock().is_ok_and(|value| *value == [7; 32]), "half-made");
        let untouched = world();
        let (room, all) = (room_for_objects(&w.segment, 1)?, room_for_objects(&untouched.segment, 0)?);
        ensure!(room == all, "room for {room} objects, of {all}");
        w.aftermath(part)
    };
    let whole_queue = |w: &World, part: &Part| {
        let queue = w.segment.queue::<[u64; 4]>("queue", 4).map_err(|e| format!("{e:?}"))?;
        part.recovered();
        ensure!(queue.capacity() == 4 && queue.is_empty(), "half-made");
        ensure!(queue.push([1; 4]).is_ok() && queue.pop() == Ok([1; 4]), "does not work");
        w.aftermath(part)
    };
    let case =
        |operation, name: &str| Case::new("Segment", operation, name, world).role("maker").limits(thin);
    vec![
        case("object", "a new one").victim(make).verify(whole),
        case("object", "a new one, two deaths")
            .role("maker, then maker")
            .limits(|l| (l.first_deaths, l.thin_above) = (4, 300))
            .first(make)
            .victim(make)
            .verify(whole),
        case("queue", "a new one").victim(make_queue).verify(whole_queue),
    ]
}

// ---- names ---------------------------------------------------------------------------------------------------

/// What the names of this run begin with, so that what a failed run leaves can be found.
static PREFIX: OnceLock<String> = OnceLock::new();

/// Says under which names this run makes segments. To be called before anything is forked.
pub fn name_this_run() {
    let _ = PREFIX.set(format!("interproc-crash-{}-", std::process::id()));
}

/// Removes what a failed run left in /dev/shm.
pub fn clean_up() {
    let prefix = PREFIX.get().expect("named");
    for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A name, removed at last.
struct Named(String);

impl Named {
    fn fresh() -> Named {
        Named(format!("/{}{}-{}", PREFIX.get().expect("named"), std::process::id(), os::now()))
    }

    fn made() -> Named {
        let named = Named::fresh();
        Segment::create(&named.0, 4096).expect("created");
        named
    }

    /// The name leads to a whole segment or to nothing, and can be used again.
    fn is_whole_or_gone(&self, part: &Part) -> Check {
        for _ in 0..2 {
            let segment = match Segment::open(&self.0) {
                Err(e) if e.kind() == ErrorKind::NotFound => Segment::create(&self.0, 4096),
                other => other,
            };
            part.recovered();
            let segment = segment.map_err(|e| format!("{e:?}"))?;
            let object = segment.object("m", || Mutex::new(5u64)).map_err(|e| format!("{e:?}"))?;
            ensure!(object.lock().is_ok_and(|value| *value == 5), "does not work");
            ensure!(Segment::unlink(&self.0).is_ok() && segment.is_retired(), "cannot be unlinked");
        }
        let gone = Segment::open(&self.0).is_err_and(|e| e.kind() == ErrorKind::NotFound);
        ensure!(gone, "unlinked, and still there");
        Ok(())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.0);
    }
}

fn names() -> Vec<Box<dyn Scenario>> {
    let new = |operation| Case::new("Segment", operation, "a new name", Named::fresh);
    let old = |operation| Case::new("Segment", operation, "an existing name", Named::made);
    let rows = [
        new("create").victim(|w, cut| {
            cut.start();
            drop(Segment::create(&w.0, 4096));
            cut.end();
        }),
        old("open").victim(|w, cut| {
            cut.start();
            drop(Segment::open(&w.0));
            cut.end();
        }),
        old("unlink").victim(|w, cut| {
            cut.start();
            let _ = Segment::unlink(&w.0);
            cut.end();
        }),
    ];
    rows.map(|case| case.limits(thin).verify(Named::is_whole_or_gone)).into()
}
