//! The tool's looks at live segments: real processes that hold, wait, die and wait for each other.

#[macro_use]
mod support;

use interproc::process::{Builder, Child};
use interproc::raw::format::SlotPage;
use interproc::sync::{Condvar, Event, Mutex, Once, OnceLock, RecursiveMutex, RwLock, Semaphore};
use interproc::{Object, Segment};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::{eventually, open_descriptors, state};

const LONG: Duration = Duration::from_secs(30);

/// What the tool said and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn said(command: &mut Command) -> Said {
    let output = command.stdin(Stdio::null()).output().expect("the tool");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let said = Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert_eq!(output.status.signal(), None, "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    assert!(!(said.out.clone() + &said.err).contains('\u{1b}'), "it steers the terminal");
    said
}

fn tool(args: &[&str]) -> Said {
    said(Command::new(env!("CARGO_BIN_EXE_interproc")).args(args))
}

/// Runs it with `--json`, and reads what it prints.
fn json(args: &[&str], code: i32) -> Value {
    let said = tool(&[args, &["--json"]].concat());
    assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
    serde_json::from_str(&said.out).expect("JSON")
}

/// A name that nobody else has; what it names is removed at the end.
struct Name(String);

impl Name {
    fn new(what: &str) -> Name {
        Name(format!("/interproc-test-tool-{}-{what}", std::process::id()))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/dev/shm").join(&self.0[1..])
    }

    fn file(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.path()).expect("the file")
    }

    /// Its line of `ls --json`.
    fn row(&self) -> Value {
        let listing = json(&["ls"], 0);
        let rows = listing["segments"].as_array().expect("rows");
        rows.iter().find(|row| row["name"] == *self.0).cloned().unwrap_or_default()
    }

    /// What `ls --json` complains of.
    fn problem(&self) -> Option<String> {
        let listing = json(&["ls"], 0);
        let problems = listing["problems"].as_array().expect("problems");
        problems.iter().find(|p| p["name"] == *self.0).map(|p| p["error"].as_str().expect("text").into())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path());
    }
}

/// Children that end with the test.
#[derive(Default)]
struct Crew(Vec<Child>);

impl Crew {
    fn start(&mut self, name: &str, body: impl FnOnce()) -> u32 {
        let child = Builder::new().name(name).fork(body).expect("a child");
        let pid = child.pid();
        self.0.push(child);
        pid
    }

    /// Kills one and waits for its end.
    fn kill(&mut self, pid: u32) {
        let place = self.0.iter().position(|child| child.pid() == pid).expect("a child");
        let child = self.0.remove(place);
        child.kill().expect("alive");
        child.join().expect("its end");
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for child in &self.0 {
            let _ = child.kill();
            let _ = child.join();
        }
    }
}

/// Until somebody kills it.
fn stay() -> ! {
    loop {
        // SAFETY: waits for a signal.
        unsafe { libc::pause() };
    }
}

fn signal(pid: u32, signal: i32, then: char) {
    // SAFETY: takes integers; a child of ours that has not been reaped.
    unsafe { libc::kill(pid as i32, signal) };
    assert!(eventually(LONG, || state(pid) == Some(then)), "{pid} is {:?}", state(pid));
}

type Lock = Object<Mutex<u64>>;

fn lock_of(segment: &Segment, name: &str) -> Lock {
    segment.object(name, || Mutex::new(0)).expect("an object")
}

/// Holds a lock for ever.
fn hold(lock: &Lock, held: &AtomicU32) {
    let _guard = lock.lock().expect("nobody dies");
    held.fetch_add(1, Ordering::Release);
    stay();
}

fn object<'a>(report: &'a Value, name: &str) -> &'a Value {
    let objects = report["objects"].as_array().expect("objects");
    objects.iter().find(|object| object["name"] == name).expect("the object")
}

fn member(report: &Value, pid: u32) -> &Value {
    let members = report["members"].as_array().expect("members");
    members.iter().find(|member| member["pid"] == pid).expect("the member")
}

fn a_held_mutex_shows_its_holder_and_both_that_wait() {
    let name = Name::new("held");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = lock_of(&segment, "lock");
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    assert_eq!(object(&json(&["inspect", &name.0], 0), "lock")["state"], "free");
    let mut crew = Crew::default();
    let holder = crew.start("holder", || hold(&lock, &held));
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 1));
    let waiters = ["waiter 1", "waiter 2"].map(|who| crew.start(who, || drop(lock.lock())));
    assert!(eventually(LONG, || lock.waiters().expect("in a segment") == 2));

    let who = lock.holder().expect("in a segment").expect("somebody");
    assert_eq!((who.pid, who.tid, who.name(), who.alive), (holder, holder, Some("holder"), true));
    assert!(who.to_string().starts_with("\"holder\" (pid "), "{who}");

    let report = json(&["inspect", &name.0[1..]], 0);
    let seen = object(&report, "lock");
    assert_eq!(
        (&seen["type"], &seen["state"], &seen["waiters"]),
        (&"Mutex".into(), &"held".into(), &2.into())
    );
    let by = &seen["holders"][0];
    assert_eq!((&by["pid"], &by["name"], &by["alive"]), (&holder.into(), &"holder".into(), &true.into()));
    assert_eq!(object(&report, "held")["type"], Value::Null);
    for (waiter, name) in waiters.iter().zip(["waiter 1", "waiter 2"]) {
        let member = member(&report, *waiter);
        assert_eq!((&member["name"], &member["state"]), (&name.into(), &"S".into()));
        let wait = &member["waits_for"];
        assert_eq!((&wait["object"], &wait["offset"]), (&"lock".into(), &0.into()));
        assert_eq!(wait["on"]["pid"], holder);
    }
    let row = name.row();
    // The three children, and this process, which made the objects.
    assert_eq!((&row["alive"], &row["dead"], &row["stale"]), (&4.into(), &0.into(), &false.into()));
    assert_eq!((&row["mode"], &row["payload_bytes"]), (&0o600.into(), &65536.into()));

    let text = tool(&["inspect", &name.0]).out;
    assert!(text.contains(&format!("{holder} (holder)")) && text.contains("waiter 2"), "{text}");
    signal(holder, libc::SIGSTOP, 'T');
    assert!(tool(&["inspect", &name.0]).out.contains("T (stopped)"));
    assert!(lock.holder().expect("in a segment").expect("somebody").to_string().contains("stopped"));
    assert!(tool(&["ls"]).out.lines().any(|line| line.starts_with(&name.0) && line.contains("in use")));
}

fn a_dead_owner_is_named_until_somebody_has_inherited() {
    let name = Name::new("dead");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = lock_of(&segment, "lock");
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let dead = crew.start("dying", || hold(&lock, &held));
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 1));
    crew.kill(dead);

    let who = lock.holder().expect("in a segment").expect("somebody");
    assert_eq!((who.pid, who.name(), who.alive, who.state), (dead, None, false, None));
    assert!(who.to_string().contains("dead"), "{who}");
    let report = json(&["inspect", &name.0], 0);
    let seen = object(&report, "lock");
    assert_eq!((&seen["state"], &seen["waiters"]), (&"its holder died".into(), &0.into()));
    assert_eq!((&seen["holders"][0]["pid"], &seen["holders"][0]["alive"]), (&dead.into(), &false.into()));
    assert_eq!(member(&report, dead)["alive"], false);
    let row = name.row();
    assert_eq!((&row["alive"], &row["dead"]), (&1.into(), &1.into()));

    let guard = lock.lock_or_repair(|_| ()).unwrap();
    assert_eq!(object(&json(&["inspect", &name.0], 0), "lock")["state"], "held");
    drop(guard);
    assert_eq!(lock.holder().expect("in a segment"), None);
}

fn word_at(file: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).expect("a word");
    u64::from_le_bytes(word)
}

/// Where the slot word of a thread is.
fn place_of(file: &File, tid: u32) -> Option<u64> {
    let mut places = (1..=64).map(|slot| slot * 4096 + 4080);
    places.find(|&at| word_at(file, at) as u32 & 0x3fff_ffff == tid)
}

/// A death that the kernel has not marked: the process is gone, and its slot says that it lives.
fn a_death_that_was_not_reported_is_seen_by_the_second_channel() {
    let name = Name::new("unreported");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = lock_of(&segment, "lock");
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let dead = crew.start("dying", || hold(&lock, &held));
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 1));
    let file = name.file();
    let at = place_of(&file, dead).expect("its slot");
    let alive = word_at(&file, at);
    crew.kill(dead);
    file.write_all_at(&alive.to_le_bytes(), at).expect("writable");

    assert!(!lock.holder().expect("in a segment").expect("somebody").alive);
    let report = json(&["inspect", &name.0], 0);
    assert_eq!(object(&report, "lock")["state"], "its holder died");
    assert_eq!(member(&report, dead)["alive"], false);
    assert_eq!(word_at(&file, at), alive, "who looks marks nothing");
}

/// Each child takes its lock, waits until all have theirs, and takes the next one's; the last one the first one's if
/// `closed`.
fn chain(crew: &mut Crew, locks: &[Lock], together: &Object<AtomicU32>, closed: bool) -> Vec<u32> {
    let n = locks.len();
    let link = |i: usize| {
        let _mine = locks[i].lock().expect("nobody dies");
        together.fetch_add(1, Ordering::AcqRel);
        while together.load(Ordering::Acquire) < n as u32 {
            std::thread::yield_now();
        }
        if i + 1 < n || closed {
            drop(locks[(i + 1) % n].lock());
        }
        stay();
    };
    (0..n).map(|i| crew.start(&format!("link {i}"), || link(i))).collect()
}

fn three_that_wait_for_each_other_are_found_and_told() {
    let name = Name::new("cycle");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let locks = ["a", "b", "c"].map(|lock| lock_of(&segment, lock));
    let together = segment.object("together", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let none = tool(&["deadlocks", &name.0]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), "no deadlock\n"));
    let links = chain(&mut crew, &locks, &together, true);
    let asleep = || locks.iter().all(|lock| lock.waiters().expect("in a segment") == 1);
    assert!(eventually(LONG, asleep));
    // One more that waits, and is not in the circle.
    let outside = crew.start("outside", || drop(locks[0].lock()));
    assert!(eventually(LONG, || locks[0].waiters().expect("in a segment") == 2));

    let check = || {
        let report = json(&["deadlocks", &name.0], 1);
        let cycles = report["deadlocks"].as_array().expect("cycles");
        assert_eq!((cycles.len(), cycles[0].as_array().map(Vec::len)), (1, Some(3)), "{report}");
        for link in cycles[0].as_array().expect("links") {
            let i = links.iter().position(|pid| link["pid"] == *pid).expect("one of them");
            assert_eq!(link["waits_for"]["object"], ["b", "c", "a"][i]);
            assert_eq!(link["waits_for"]["on"]["pid"], links[(i + 1) % 3]);
            assert_eq!(link["name"], format!("link {i}"));
        }
    };
    check();
    // Stopped ones do not look for themselves: the locks' words say it.
    links.iter().for_each(|&link| signal(link, libc::SIGSTOP, 'T'));
    check();
    links.iter().for_each(|&link| signal(link, libc::SIGCONT, 'S'));
    let told = tool(&["deadlocks", &name.0]);
    assert_eq!(told.code, Some(1));
    let line = format!("  {} (link 0) waits for b, held by {} (link 1)\n", links[0], links[1]);
    assert!(told.out.starts_with("deadlock of 3:\n") && told.out.contains(&line), "{}", told.out);
    assert!(!told.out.contains(&outside.to_string()), "{}", told.out);

    crew.kill(links[1]);
    assert_eq!(tool(&["deadlocks", &name.0]).code, Some(0), "its death has ended it");
}

fn a_chain_is_no_deadlock() {
    let name = Name::new("chain");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let locks = ["a", "b", "c"].map(|lock| lock_of(&segment, lock));
    let together = segment.object("together", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    chain(&mut crew, &locks, &together, false);
    assert!(eventually(LONG, || locks[1..].iter().all(|lock| lock.waiters().expect("in a segment") == 1)));
    for _ in 0..3 {
        assert_eq!(tool(&["deadlocks", &name.0]).code, Some(0));
        assert_eq!(json(&["deadlocks", &name.0], 0)["deadlocks"], Value::Array(vec![]));
    }
}

/// Two locks in the wrong order, but nobody waits for long: circles all the time, and none that stays.
fn circles_that_pass_are_no_deadlock() {
    let name = Name::new("passing");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let locks = ["a", "b"].map(|lock| lock_of(&segment, lock));
    let mut crew = Crew::default();
    for order in [[0, 1], [1, 0]] {
        let [first, second] = order.map(|i| &locks[i]);
        crew.start("impatient", || {
            loop {
                let Ok(_mine) = first.lock_timeout(Duration::from_millis(1)) else { continue };
                let _ = second.lock_timeout(Duration::from_millis(1)).map(drop);
            }
        });
    }
    let look = Segment::open_read_only(&name.0).expect("a segment");
    let is_circle = || {
        let members = look.members().expect("members");
        members.iter().filter(|member| member.waits.as_ref().is_some_and(|waits| waits.on.is_some())).count()
            == 2
    };
    assert!(eventually(LONG, is_circle), "no circle was ever there to be seen");
    for _ in 0..10 {
        assert_eq!(tool(&["deadlocks", &name.0]).code, Some(0));
    }
}

/// A sleeper that is stopped, or dies, between the two words of its note.
fn a_half_written_note_is_not_read() {
    let name = Name::new("half");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = lock_of(&segment, "lock");
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    crew.start("holder", || hold(&lock, &held));
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 1));
    let sleeper = crew.start("sleeper", || drop(lock.lock()));
    assert!(eventually(LONG, || lock.waiters().expect("in a segment") == 1));
    signal(sleeper, libc::SIGSTOP, 'T');
    let (file, page) = (name.file(), place_of(&name.file(), sleeper).expect("its slot") - 4080);
    let changes_at = page + std::mem::offset_of!(SlotPage, waits_changed) as u64;
    let changes = word_at(&file, changes_at);
    let waits = || member(&json(&["inspect", &name.0], 0), sleeper)["waits_for"].clone();
    // It may have been stopped just there.
    file.write_all_at(&(changes | 1).to_le_bytes(), changes_at).expect("writable");
    assert_eq!((waits(), lock.waiters().expect("in a segment")), (Value::Null, 0));
    file.write_all_at(&changes.to_le_bytes(), changes_at).expect("writable");
    signal(sleeper, libc::SIGCONT, 'S');
    assert!(eventually(LONG, || waits()["object"] == "lock" && waits()["on"]["name"] == "holder"));
}

/// A sleeper goes from one lock to the other and back; each lock has its own holder.
fn no_look_joins_one_sleeps_lock_to_the_others_holder() {
    let name = Name::new("torn");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let locks = ["a", "b"].map(|lock| lock_of(&segment, lock));
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let holders = [0, 1].map(|i| crew.start(["holds a", "holds b"][i], || hold(&locks[i], &held)));
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 2));
    for _ in 0..2 {
        crew.start("restless", || {
            loop {
                for lock in &locks {
                    let _ = lock.lock_timeout(Duration::from_micros(20)).map(drop);
                }
            }
        });
    }
    let look = Segment::open_read_only(&name.0).expect("a segment");
    let mut seen = [0; 2];
    for _ in 0..5000 {
        for waits in look.members().expect("members").iter().filter_map(|member| member.waits.as_ref()) {
            let i = usize::from(waits.object.as_deref() == Some("b"));
            assert_eq!(waits.on.map(|on| on.pid), Some(holders[i]), "{waits:?}");
            seen[i] += 1;
        }
    }
    assert!(seen.iter().all(|&n| n > 0), "nothing was seen: {seen:?}");
}

fn looks_disturb_nobody_at_work() {
    const EACH: u64 = 300_000;
    let name = Name::new("busy");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = lock_of(&segment, "total");
    let jobs = segment.queue::<u64>("jobs", 16).expect("a queue");
    let mut crew = Crew::default();
    for _ in 0..2 {
        crew.start("producer", || {
            for i in 0..EACH {
                jobs.push(i).expect("open");
                *lock.lock().expect("nobody dies") += 1;
            }
        });
        crew.start("consumer", || {
            while jobs.pop().is_ok() {
                *lock.lock().expect("nobody dies") += 1;
            }
        });
    }
    let mut looks = 0;
    while crew.0.iter().filter(|child| child.is_alive()).count() > 2 {
        let report = json(&["inspect", &name.0], 0);
        let queue = &object(&report, "jobs")["facts"];
        assert!(queue["depth"].as_u64() <= Some(16) && queue["capacity"] == 16, "{queue}");
        assert!(["free", "held"].iter().any(|s| object(&report, "total")["state"] == **s), "{report}");
        assert_eq!(tool(&["deadlocks", &name.0]).code, Some(0));
        assert_eq!(name.row()["stale"], false);
        looks += 1;
    }
    assert!(looks > 0);
    jobs.close().expect("a member");
    for child in std::mem::take(&mut crew.0) {
        assert!(child.join().expect("its end").success());
    }
    assert_eq!(*lock.lock().expect("free"), 4 * EACH);
    let report = json(&["inspect", &name.0], 0);
    assert_eq!(object(&report, "jobs")["state"], "closed and drained");
    assert_eq!(object(&report, "jobs")["facts"]["closed"], Value::Null);
}

fn a_queue_shows_its_depth_and_who_sleeps_on_which_side() {
    let name = Name::new("queue");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let jobs = segment.queue::<[u8; 24]>("jobs", 3).expect("a queue");
    let mut crew = Crew::default();
    crew.start("consumer", || drop(jobs.pop()));
    assert!(eventually(LONG, || jobs.waiting_consumers().expect("in a segment") == 1));
    assert_eq!(jobs.waiting_producers().expect("in a segment"), 0);
    let report = json(&["inspect", &name.0], 0);
    let seen = object(&report, "jobs");
    assert_eq!(
        (&seen["type"], &seen["state"], &seen["waiters"]),
        (&"Queue".into(), &"empty".into(), &1.into())
    );
    assert_eq!(
        (&seen["facts"]["consumers_asleep"], &seen["facts"]["element_bytes"]),
        (&1.into(), &24.into())
    );
    for _ in 0..4 {
        jobs.push([0; 24]).expect("open");
    }
    crew.start("producer", || drop(jobs.push([0; 24])));
    assert!(eventually(LONG, || jobs.waiting_producers().expect("in a segment") == 1));
    let report = json(&["inspect", &name.0], 0);
    let seen = object(&report, "jobs");
    assert_eq!((&seen["state"], &seen["facts"]["depth"]), (&"full".into(), &3.into()));
    assert_eq!(seen["facts"]["producers_asleep"], 1);
}

/// Reads for ever.
fn read(lock: &RwLock<u64>, held: &AtomicU32) {
    let _guard = lock.read().expect("nobody dies");
    held.fetch_add(1, Ordering::Release);
    stay();
}

/// Who has a part in an object's state, and which.
fn parts(object: &Value) -> Vec<(u64, String)> {
    let holders = object["holders"].as_array().expect("holders");
    let part = |holder: &Value| {
        (holder["pid"].as_u64().expect("a pid"), holder["part"].as_str().expect("a part").to_owned())
    };
    let mut parts: Vec<_> = holders.iter().map(part).collect();
    parts.sort();
    parts
}

fn expected<const N: usize>(parts: [(u32, &str); N]) -> Vec<(u64, String)> {
    let mut parts: Vec<_> = parts.iter().map(|&(pid, part)| (pid.into(), part.to_owned())).collect();
    parts.sort();
    parts
}

fn a_read_lock_shows_its_readers_and_the_writer_that_waits() {
    let name = Name::new("rwlock");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = segment.object("lock", || RwLock::new(0u64)).expect("an object");
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let seen = || object(&json(&["inspect", &name.0], 0), "lock").clone();
    assert_eq!((&seen()["type"], &seen()["state"]), (&"RwLock".into(), &"free".into()));
    let mut crew = Crew::default();
    let readers = ["reader 1", "reader 2"].map(|who| crew.start(who, || read(&lock, &held)));
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 2));
    assert_eq!(parts(&seen()), expected(readers.map(|reader| (reader, "reads"))));
    let writer = crew.start("writer", || drop(lock.write()));
    assert!(eventually(LONG, || lock.waiters().expect("in a segment") == 1));

    let report = json(&["inspect", &name.0], 0);
    let [one, other] = readers;
    let all = expected([(one, "reads"), (other, "reads"), (writer, "is next to write")]);
    assert_eq!((&seen()["state"], &seen()["waiters"]), (&"read, a writer waits".into(), &1.into()));
    assert_eq!((parts(&seen()), &seen()["facts"]["reads"]), (all, &2.into()));
    let wait = &member(&report, writer)["waits_for"];
    assert_eq!(wait["object"], "lock");
    assert!(readers.iter().any(|reader| wait["on"]["pid"] == *reader), "{wait}");
    let mut pids: Vec<_> = lock.holders().expect("in a segment").iter().map(|who| who.pid).collect();
    pids.sort_unstable();
    assert_eq!(
        (pids, lock.writer().expect("in a segment").map(|who| who.pid)),
        (readers.into(), Some(writer))
    );
    assert_eq!(tool(&["deadlocks", &name.0]).code, Some(0));

    readers.iter().for_each(|&reader| crew.kill(reader));
    assert!(eventually(LONG, || lock.holders().expect("in a segment").is_empty()));
    assert_eq!((lock.waiters().expect("in a segment"), seen()["state"].clone()), (0, "free".into()));
}

/// A reader that found no free cell in the lock, and has its hold in its own slot.
fn a_read_hold_in_a_slot_is_shown_and_waited_for() {
    let name = Name::new("holds");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = segment.object("lock", || RwLock::new(0u64)).expect("an object");
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let first: Vec<_> = (0..6).map(|_| crew.start("has a cell", || read(&lock, &held))).collect();
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 6));
    let last = crew.start("has a hold", || {
        let _guard = lock.read().expect("nobody dies");
        held.fetch_add(1, Ordering::Release);
        stay();
    });
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 7));
    first.into_iter().for_each(|reader| crew.kill(reader));
    let writer = crew.start("writer", || drop(lock.write()));
    assert!(eventually(LONG, || lock.waiters().expect("in a segment") == 1));
    let report = json(&["inspect", &name.0], 0);
    let seen = object(&report, "lock");
    assert_eq!(parts(seen), expected([(last, "reads"), (writer, "is next to write")]));
    assert_eq!((&seen["waiters"], &seen["facts"]["reads"]), (&1.into(), &1.into()));
    let wait = &member(&report, writer)["waits_for"];
    assert_eq!((&wait["object"], &wait["on"]["pid"]), (&"lock".into(), &last.into()));
    let pids: Vec<_> = lock.holders().expect("in a segment").iter().map(|who| who.pid).collect();
    assert_eq!(pids, [last]);
}

fn a_circle_through_a_read_lock_and_a_mutex_is_found() {
    let name = Name::new("mixed");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = segment.object("rwlock", || RwLock::new(0u64)).expect("an object");
    let mutex = lock_of(&segment, "mutex");
    let together = segment.object("together", || AtomicU32::new(0)).expect("an object");
    let meet = || {
        together.fetch_add(1, Ordering::AcqRel);
        while together.load(Ordering::Acquire) < 2 {
            std::thread::yield_now();
        }
    };
    let mut crew = Crew::default();
    let reader = crew.start("reader", || {
        let _mine = lock.read().expect("nobody dies");
        meet();
        drop(mutex.lock());
        stay();
    });
    let writer = crew.start("writer", || {
        let _mine = mutex.lock().expect("nobody dies");
        meet();
        drop(lock.write());
        stay();
    });
    let asleep = || [lock.waiters(), mutex.waiters()].iter().all(|n| matches!(n, Ok(1)));
    assert!(eventually(LONG, asleep));
    let report = json(&["deadlocks", &name.0], 1);
    let cycle = report["deadlocks"][0].as_array().expect("a cycle");
    assert_eq!(cycle.len(), 2, "{report}");
    for link in cycle {
        let (waits_for, on) = if link["pid"] == reader { ("mutex", writer) } else { ("rwlock", reader) };
        assert_eq!(
            (&link["waits_for"]["object"], &link["waits_for"]["on"]["pid"]),
            (&waits_for.into(), &on.into())
        );
    }
    crew.kill(reader);
    assert_eq!(tool(&["deadlocks", &name.0]).code, Some(0), "its death has ended it");
}

/// Two parties that have come do not wait for each other, but for the third.
fn parties_and_permits_are_no_circle() {
    let name = Name::new("parties");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let barrier = segment.barrier("barrier", 3).expect("a barrier");
    let permits = segment.bounded_semaphore("permits", 3).expect("permits");
    let together = segment.object("together", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let parties = ["party 1", "party 2"].map(|who| crew.start(who, || drop(barrier.wait())));
    assert!(eventually(LONG, || barrier.waiters().expect("in a segment") == 2));
    // Two each have one, want one more, and the third one's will do.
    let third = crew.start("has one", || {
        let _one = permits.acquire().expect("a permit");
        together.fetch_add(1, Ordering::AcqRel);
        stay();
    });
    assert!(eventually(LONG, || together.load(Ordering::Acquire) == 1));
    let greedy = ["greedy 1", "greedy 2"].map(|who| {
        crew.start(who, || {
            let _one = permits.acquire().expect("a permit");
            together.fetch_add(1, Ordering::AcqRel);
            while together.load(Ordering::Acquire) < 3 {
                std::thread::yield_now();
            }
            drop(permits.acquire());
            stay();
        })
    });
    assert!(eventually(LONG, || permits.waiters().expect("in a segment") == 2));
    for _ in 0..2 {
        assert_eq!(tool(&["deadlocks", &name.0]).out, "no deadlock\n");
    }
    let report = json(&["inspect", &name.0], 0);
    let seen = object(&report, "barrier");
    assert_eq!((&seen["type"], &seen["state"]), (&"Barrier".into(), &"some have come".into()));
    assert_eq!((parts(seen), &seen["waiters"]), (expected(parties.map(|p| (p, "has come"))), &2.into()));
    assert_eq!((&seen["facts"]["parties"], &seen["facts"]["come"]), (&3.into(), &2.into()));
    let seen = object(&report, "permits");
    assert_eq!((&seen["type"], &seen["state"]), (&"BoundedSemaphore".into(), &"none left".into()));
    let front =
        parts(seen).into_iter().find(|(_, part)| part == "is next").expect("one at the front").0 as u32;
    let [one, other] = greedy;
    let all = expected([(one, "holds"), (other, "holds"), (third, "holds"), (front, "is next")]);
    assert_eq!((parts(seen), &seen["facts"]["available"]), (all, &0.into()));
    assert_eq!(permits.holders().expect("in a segment").len(), 3);
    assert_eq!(barrier.seats().expect("in a segment").iter().filter(|(_, come)| *come).count(), 2);
}

fn every_type_shows_its_name_and_state() {
    let name = Name::new("types");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let mutex = lock_of(&segment, "mutex");
    let recursive = segment.object("recursive", || RecursiveMutex::new(0u64)).expect("an object");
    let _semaphore = segment.object("semaphore", || Semaphore::new(7)).expect("an object");
    let event = segment.object("event", Event::new).expect("an object");
    let cond = segment.object("condvar", Condvar::new).expect("an object");
    let once = segment.object("once", Once::new).expect("an object");
    let value = segment.object("value", OnceLock::<u64>::new).expect("an object");
    let _permits = segment.bounded_semaphore("permits", 2).expect("permits");
    let _barrier = segment.barrier("barrier", 2).expect("a barrier");
    let seen = |what: &str| {
        let report = json(&["inspect", &name.0], 0);
        let object = object(&report, what);
        format!("{} {}", object["type"].as_str().unwrap_or("?"), object["state"].as_str().unwrap_or("?"))
    };
    assert_eq!(seen("semaphore"), "Semaphore open");
    assert_eq!([seen("event"), seen("condvar")], ["Event not set", "Condvar idle"]);
    assert_eq!([seen("once"), seen("value")], ["Once not done", "OnceLock not done"]);
    assert_eq!([seen("permits"), seen("barrier")], ["BoundedSemaphore free", "Barrier nobody has come"]);
    assert_eq!(seen("recursive"), "RecursiveMutex free");
    let deep = (recursive.lock().expect("free"), recursive.lock().expect("ours"));
    assert_eq!(seen("recursive"), "RecursiveMutex held");
    assert_eq!(object(&json(&["inspect", &name.0], 0), "recursive")["facts"]["depth"], 2);
    drop(deep);
    let mut crew = Crew::default();
    let at_it = crew.start("at it", || drop(once.call(|_| stay())));
    assert!(eventually(LONG, || seen("once") == "Once being done"));
    assert_eq!(once.holder().expect("in a segment").map(|who| who.pid), Some(at_it));
    crew.start("waits for it", || drop(once.call(|_| ())));
    assert!(eventually(LONG, || once.waiters().expect("in a segment") == 1));
    crew.kill(at_it);
    assert!(eventually(LONG, || seen("once") == "Once done"));
    crew.start("waits for the event", || drop(event.wait()));
    crew.start("waits for the condition", || {
        drop(cond.wait(mutex.lock().expect("nobody dies")));
    });
    assert!(eventually(LONG, || event.waiters().expect("here") == 1 && cond.waiters().expect("here") == 1));
    assert_eq!([seen("condvar"), seen("mutex")], ["Condvar waited for", "Mutex free"]);
    event.set();
    assert!(eventually(LONG, || event.waiters().expect("in a segment") == 0));
    assert_eq!(
        [seen("event"), {
            value.set(1).map(drop).expect("free");
            seen("value")
        }],
        ["Event set", "OnceLock done"]
    );
}

fn a_segment_that_nobody_has_open_is_stale_and_can_be_looked_at() {
    let name = Name::new("stale");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    segment.object("left", || AtomicU32::new(7)).expect("an object");
    assert_eq!(name.row()["stale"], false);
    drop(segment);
    let row = name.row();
    assert_eq!((&row["stale"], &row["alive"], &row["dead"]), (&true.into(), &0.into(), &0.into()));
    assert!(row["age_seconds"].as_u64() < Some(60), "{row}");
    let report = json(&["inspect", &name.0], 0);
    assert_eq!((&report["stale"], &object(&report, "left")["size"]), (&true.into(), &4.into()));
    assert!(
        tool(&["inspect", &name.0]).out.contains("no members\n\nstale"),
        "{}",
        tool(&["inspect", &name.0]).out
    );
    assert_eq!(tool(&["deadlocks", &name.0]).code, Some(0));
    assert!(Segment::is_stale(&name.0).expect("a segment"), "a look leaves nothing behind");
    // Two that look at once do not take each other for users.
    let look = Segment::open_read_only(&name.0).expect("a segment");
    let others: Vec<_> = (0..4)
        .map(|_| {
            Command::new(env!("CARGO_BIN_EXE_interproc"))
                .args(["ls"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the tool")
        })
        .collect();
    for _ in 0..200 {
        assert!(!look.is_in_use().expect("a segment"));
    }
    for mut other in others {
        other.wait().expect("its end");
    }
}

fn what_is_no_whole_segment_gets_a_line_and_the_others_are_listed() {
    let good = Name::new("good");
    let _segment = Segment::create(&good.0, 4096).expect("a segment");
    let bad = Name::new("bad");
    let fresh = || {
        let _ = fs::remove_file(bad.path());
        Segment::create(&bad.0, 4096)
            .expect("a segment")
            .object("x", || AtomicU32::new(0))
            .map(drop)
            .expect("an object");
        bad.file()
    };
    // Its first bytes: it is nobody's.
    fresh().write_all_at(b"else", 0).expect("writable");
    let said = tool(&["ls"]);
    assert!(said.out.contains(&good.0) && !said.out.contains(&bad.0), "{}", said.out);
    assert!(said.err.contains("not of interproc:") && said.err.contains(&bad.0), "{}", said.err);
    assert!(json(&["ls"], 0)["foreign"].as_array().expect("names").contains(&bad.0.clone().into()));
    // Its header.
    fresh().write_all_at(&[0xff; 8], 64).expect("writable");
    assert!(bad.problem().is_some_and(|p| p.contains("checksum")), "{:?}", bad.problem());
    let said = tool(&["ls"]);
    assert!(said.out.contains(&good.0) && said.err.contains(&format!("{}: ", bad.0)), "{}", said.err);
    for command in ["inspect", "ps", "deadlocks"] {
        let said = tool(&[command, &bad.0]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
        assert!(said.err.contains("checksum"), "{}", said.err);
    }
    // Cut short.
    fresh().set_len(5000).expect("writable");
    assert!(bad.problem().is_some_and(|p| p.contains("5000")), "{:?}", bad.problem());
    // Its directory: the members are shown.
    let file = fresh();
    file.write_all_at(&u64::MAX.to_le_bytes(), 65 * 4096 + 8).expect("writable");
    let said = tool(&["inspect", &bad.0]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.out.contains("no objects") && said.err.contains("directory entry 0"),
        "{}{}",
        said.out,
        said.err
    );
    assert!(json(&["inspect", &bad.0], 2)["damage"].is_string());
    assert_ne!(bad.row(), Value::Null, "its header is whole");
    // Nothing there.
    fs::remove_file(bad.path()).expect("removed");
    let said = tool(&["inspect", &bad.0]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("no segment has this name"), "{}", said.err);
    assert_eq!(tool(&["inspect", "/a/b"]).code, Some(2));
    fs::create_dir(bad.path()).expect("a directory");
    assert!(tool(&["ls"]).err.contains(&bad.0));
    fs::remove_dir(bad.path()).expect("removed");
}

fn whatever_the_bytes_are_the_tool_ends_well() {
    let name = Name::new("scribbled");
    let segment = Segment::create(&name.0, 1 << 14).expect("a segment");
    let lock = lock_of(&segment, "lock");
    segment.queue::<u64>("jobs", 4).expect("a queue").push(1).expect("room");
    segment.object("rwlock", || RwLock::new(0u64)).expect("an object");
    segment.bounded_semaphore("permits", 3).expect("permits");
    segment.barrier("barrier", 3).expect("a barrier");
    // An object's name is a peer's, too.
    segment.object("\u{1b}[2J\n", || AtomicU32::new(0)).expect("an object");
    assert!(tool(&["inspect", &name.0]).out.contains("\\u{1b}[2J\\n"));
    drop(lock.lock().expect("free"));
    let whole = fs::read(name.path()).expect("readable");
    drop((lock, segment));
    let file = name.file();
    let mut seed = 0x0dd_ba11_u64;
    let mut random = |n: u64| {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        seed.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    };
    for round in 0..60 {
        file.write_all_at(&whole, 0).expect("writable");
        for _ in 0..1 + random(40) {
            // Slots, directory, payload, or the words that change in the header.
            let place =
                [[4096, 1 << 18], [1 << 18, 3 << 12], [67 << 12, 1 << 12], [256, 64]][random(4) as usize];
            let at = (place[0] + random(place[1])) / 8 * 8;
            let word = [0, u64::MAX, 1 << random(64), random(u64::MAX), random(64) << 32 | random(8)]
                [random(5) as usize];
            file.write_all_at(&word.to_le_bytes(), at.min(whole.len() as u64 - 8)).expect("writable");
        }
        if round % 4 == 0 {
            // A sleeper at each slot, alive by its word, on nonsense: circles of nobody.
            for slot in 1..=64u64 {
                file.write_all_at(&(1 << 32 | 1 << 31 | 1u64).to_le_bytes(), slot * 4096 + 4080)
                    .expect("writable");
                let note = [0xffff, 0, 1 << 32 | 1, 0, 0, 1, 67 << 12, (slot % 64) << 32 | 1, 2u64];
                file.write_all_at(&note.map(u64::to_le_bytes).concat(), slot * 4096 + 8).expect("writable");
            }
        }
        for args in [
            &["ls"][..],
            &["inspect", &name.0],
            &["inspect", &name.0, "--json"],
            &["ps", &name.0],
            &["ps", &name.0, "--json"],
            &["deadlocks", &name.0],
        ] {
            assert!(matches!(tool(args).code, Some(0..=2)));
        }
    }
}

fn without_permission_there_is_a_line_and_no_more() {
    // SAFETY: cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("not tried: only root can be somebody else");
        return;
    }
    let (closed, open) = (Name::new("closed"), Name::new("open"));
    let _segments = [(&closed, 0o600), (&open, 0o644)]
        .map(|(name, mode)| Segment::options().size(4096).mode(mode).create(&name.0).expect("a segment"));
    // A copy that anybody may run.
    let program = std::env::temp_dir().join(format!("interproc-tool-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_interproc"), &program).expect("a copy");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
    let as_nobody =
        |args: &[&str]| said(Command::new(&program).args(args).uid(65534).gid(65534).current_dir("/"));
    let listing = as_nobody(&["ls"]);
    let inspected = as_nobody(&["inspect", &closed.0]);
    fs::remove_file(&program).expect("removed");
    assert_eq!(listing.code, Some(0));
    assert!(listing.out.contains(&open.0) && !listing.out.contains(&closed.0), "{}", listing.out);
    assert!(listing.err.contains(&format!("{}: permission denied", closed.0)), "{}", listing.err);
    assert_eq!(inspected.code, Some(2));
    assert_eq!(inspected.err, format!("interproc: {}: permission denied\n", closed.0));
}

fn who_looks_is_no_member_and_keeps_nothing() {
    let name = Name::new("looker");
    let segment = Segment::options().size(4096).max_members(1).create(&name.0).expect("a segment");
    let lock = lock_of(&segment, "lock");
    let guard = lock.lock().expect("free");
    let files = open_descriptors();
    // The only slot is taken: a second thread can still ask.
    std::thread::scope(|s| {
        s.spawn(|| {
            let who = lock.holder().expect("no member needed").expect("somebody");
            assert_eq!((who.pid, lock.waiters().expect("no member needed")), (std::process::id(), 0));
            assert!(lock.try_lock().is_err());
        });
    });
    let view = Segment::open_read_only(&name.0).expect("a segment").view().expect("readable");
    assert_eq!((view.members.len(), open_descriptors()), (1, files));
    drop(guard);
    // A forked child that has not used the segment sees its parent alive.
    let guard = lock.lock().expect("free");
    let looks = || i32::from(!lock.holder().is_ok_and(|who| who.is_some_and(|who| who.alive)));
    // SAFETY: the only thread, and the child leaves the guard alone.
    let child = unsafe { Builder::new().fork_unchecked(looks) };
    assert!(child.expect("a child").join().expect("its end").success());
    drop(guard);
    let outside = Mutex::new(0u32);
    assert!(outside.holder().is_err() && outside.waiters().is_err());
}

/// The processor time of the calling thread.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is writable.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn held_by(member: &Value) -> Vec<&str> {
    let holds = member["holds"].as_array().expect("holds");
    assert!(holds.iter().all(|held| held["part"] == "holds"), "{member}");
    holds.iter().map(|held| held["object"].as_str().expect("a name")).collect()
}

/// The line of a thread in the table.
fn line(name: &Name, pid: u32, tid: u32) -> String {
    let said = tool(&["ps", &name.0]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let ids = [pid, tid].map(|id| id.to_string());
    let mine = |line: &&str| line.split_whitespace().take(2).eq(ids.iter().map(String::as_str));
    said.out.lines().find(mine).unwrap_or_else(|| panic!("no {pid} {tid} in\n{}", said.out)).into()
}

fn ps_shows_what_members_use_hold_and_wait_for() {
    const BUSY: Duration = Duration::from_millis(400);
    let name = Name::new("ps");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let locks: Vec<Lock> = (0..6).map(|i| lock_of(&segment, &format!("lock {i}"))).collect();
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let busy = crew.start("busy", || {
        // Written to, so that it is there.
        let _memory = std::hint::black_box(vec![1u8; 32 << 20]);
        let _guards: Vec<_> = locks.iter().map(|lock| lock.lock().expect("nobody dies")).collect();
        while cpu_time() < BUSY {
            std::hint::spin_loop();
        }
        std::thread::scope(|s| {
            s.spawn(|| drop(locks[0].lock()));
            held.fetch_add(1, Ordering::Release);
            stay();
        });
    });
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 1));
    let waiter = crew.start("waiter", || drop(locks[5].lock()));
    for lock in [&locks[0], &locks[5]] {
        assert!(eventually(LONG, || lock.waiters().expect("in a segment") == 1));
    }
    assert!(eventually(LONG, || state(busy) == Some('S')));

    let report = json(&["ps", &name.0[1..]], 0);
    assert_eq!(
        (&report["name"], &report["stale"], &report["damage"]),
        (&name.0.clone().into(), &false.into(), &Value::Null)
    );
    let thread = |pid: u32, main: bool| {
        let members = report["members"].as_array().expect("members");
        let found = members.iter().find(|m| m["pid"] == pid && (m["tid"] == pid) == main);
        found.unwrap_or_else(|| panic!("no {pid} in {report}"))
    };
    let number =
        |member: &Value, key: &str| member[key].as_u64().unwrap_or_else(|| panic!("{key} of {member}"));
    let seen = thread(busy, true);
    assert_eq!(
        (&seen["name"], &seen["state"], &seen["elsewhere"]),
        (&"busy".into(), &"S".into(), &false.into())
    );
    // In ticks of a hundredth of a second, two of them rounded down.
    assert!(number(seen, "cpu_ms") + 30 >= BUSY.as_millis() as u64, "{seen}");
    assert!(number(seen, "resident_bytes") > 24 << 20, "{seen}");
    assert!(number(seen, "age_seconds") < 60, "{seen}");
    assert_eq!(number(seen, "threads"), 2);
    assert_eq!(held_by(seen), ["lock 0", "lock 1", "lock 2", "lock 3", "lock 4", "lock 5"]);
    assert_eq!(seen["waits_for"], Value::Null);
    // Its second thread has done nothing yet, and has its memory.
    let second = thread(busy, false);
    assert!(number(second, "cpu_ms") < number(seen, "cpu_ms") / 2, "{second}");
    assert!(number(second, "resident_bytes") > 24 << 20, "{second}");
    assert!(held_by(second).is_empty());
    assert_eq!(
        (&second["waits_for"]["object"], &second["waits_for"]["on"]["tid"]),
        (&"lock 0".into(), &busy.into())
    );
    let third = thread(waiter, true);
    assert_eq!(
        (&third["waits_for"]["object"], &third["waits_for"]["on"]["name"]),
        (&"lock 5".into(), &"busy".into())
    );

    let row = line(&name, busy, busy);
    assert!(row.contains("lock 0, lock 1, lock 2, lock 3, 2 more") && row.contains("MiB"), "{row}");
    let row = line(&name, waiter, waiter);
    assert!(row.ends_with(&format!("lock 5     {busy} (busy)")), "{row}");
    signal(waiter, libc::SIGSTOP, 'T');
    assert!(line(&name, waiter, waiter).contains(" T "), "{}", line(&name, waiter, waiter));
    // It reads only.
    let members =
        || Segment::open_read_only(&name.0).and_then(|look| look.members()).expect("readable").len();
    assert_eq!(members(), 4);
}

fn ps_tells_of_the_dead_that_they_are_and_what_they_held() {
    let name = Name::new("ps-dead");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    assert_eq!(tool(&["ps", &name.0]).out, "no members\n");
    let lock = lock_of(&segment, "lock");
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let dead = crew.start("dying", || hold(&lock, &held));
    assert!(eventually(LONG, || held.load(Ordering::Acquire) == 1));
    crew.kill(dead);
    let report = json(&["ps", &name.0], 0);
    let seen = member(&report, dead);
    assert_eq!((&seen["alive"], &seen["elsewhere"]), (&false.into(), &false.into()));
    for key in ["name", "state", "cpu_ms", "resident_bytes", "age_seconds", "threads", "waits_for"] {
        assert_eq!(seen[key], Value::Null, "{key}");
    }
    assert_eq!(held_by(seen), ["lock"]);
    let row = line(&name, dead, dead);
    assert!(row.contains("dead") && !row.contains("namespace") && row.ends_with("lock"), "{row}");
}

fn ps_tells_of_another_pid_namespace_only_what_is_in_the_segment() {
    let name = Name::new("ps-elsewhere");
    let segment = Segment::create(&name.0, 1 << 16).expect("a segment");
    let lock = lock_of(&segment, "lock");
    let held = segment.object("held", || AtomicU32::new(0)).expect("an object");
    let mut crew = Crew::default();
    let outside = crew.start("outside", || {
        // SAFETY: takes flags.
        if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
            held.store(2, Ordering::Release);
            stay();
        }
        let first = Builder::new().fork(|| {
            // SAFETY: takes integers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            hold(&lock, &held);
        });
        first.expect("a child").join().expect("its end");
    });
    assert!(eventually(LONG, || held.load(Ordering::Acquire) != 0));
    if held.load(Ordering::Acquire) == 2 {
        eprintln!("skipped: namespaces are not permitted");
        return;
    }
    // The number of somebody else here, who has nothing to do with it.
    let look = || json(&["ps", &name.0], 0);
    let report = look();
    let seen = member(&report, 1);
    assert_eq!((&seen["alive"], &seen["elsewhere"]), (&true.into(), &true.into()));
    for key in ["name", "state", "cpu_ms", "resident_bytes", "age_seconds", "threads"] {
        assert_eq!(seen[key], Value::Null, "{key}");
    }
    assert_eq!(held_by(seen), ["lock"]);
    assert!(line(&name, 1, 1).contains("alive, in another PID namespace"), "{}", line(&name, 1, 1));
    crew.kill(outside);
    assert!(eventually(LONG, || member(&look(), 1)["alive"] == false));
    assert!(line(&name, 1, 1).contains("dead, in another PID namespace"), "{}", line(&name, 1, 1));
}

fn main() {
    support::run(tests![
        a_held_mutex_shows_its_holder_and_both_that_wait,
        a_dead_owner_is_named_until_somebody_has_inherited,
        a_death_that_was_not_reported_is_seen_by_the_second_channel,
        three_that_wait_for_each_other_are_found_and_told,
        a_chain_is_no_deadlock,
        circles_that_pass_are_no_deadlock,
        a_half_written_note_is_not_read,
        no_look_joins_one_sleeps_lock_to_the_others_holder,
        looks_disturb_nobody_at_work,
        a_queue_shows_its_depth_and_who_sleeps_on_which_side,
        a_read_lock_shows_its_readers_and_the_writer_that_waits,
        a_read_hold_in_a_slot_is_shown_and_waited_for,
        a_circle_through_a_read_lock_and_a_mutex_is_found,
        parties_and_permits_are_no_circle,
        every_type_shows_its_name_and_state,
        a_segment_that_nobody_has_open_is_stale_and_can_be_looked_at,
        what_is_no_whole_segment_gets_a_line_and_the_others_are_listed,
        whatever_the_bytes_are_the_tool_ends_well,
        without_permission_there_is_a_line_and_no_more,
        who_looks_is_no_member_and_keeps_nothing,
        ps_shows_what_members_use_hold_and_wait_for,
        ps_tells_of_the_dead_that_they_are_and_what_they_held,
        ps_tells_of_another_pid_namespace_only_what_is_in_the_segment,
    ])
}
