//! Several processes at one name, and processes killed on the way.

use crate::support::{Name, Random, child, fails, until};
use interproc::{ErrorKind, Object, Segment};
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

fn counter(seg: &Segment, name: &str) -> Object<AtomicU32> {
    seg.object(name, || AtomicU32::new(0)).unwrap()
}

/// Waits, with the other racers, until `n` have come.
fn meet(gate: &AtomicU32, n: u32) {
    gate.fetch_add(1, Ordering::SeqCst);
    until(|| gate.load(Ordering::SeqCst) >= n);
}

const RACES: u32 = 200;

#[test]
fn two_processes_that_race_to_create_end_up_in_one_segment() {
    let control = Name::new("control");
    let _seg = Segment::create(&control, 4096).unwrap();
    let racers = [(); 2].map(|()| child("race-open-or-create", &control));
    for racer in racers {
        racer.ends();
    }
    for i in 0..RACES {
        let name = format!("{}-{i}", &*control);
        let seg = Segment::open(&name).unwrap();
        Segment::unlink(&name).unwrap();
        assert_eq!(counter(&seg, "racers").load(Ordering::SeqCst), 2, "race {i}");
    }
}

pub fn child_open_or_create(control: &str) {
    let gate = counter(&Segment::open(control).unwrap(), "gate");
    for i in 0..RACES {
        meet(&gate, 2 * (i + 1));
        let seg =
            Segment::options().size(64).max_members(4).open_or_create(&format!("{control}-{i}")).unwrap();
        counter(&seg, "racers").fetch_add(1, Ordering::SeqCst);
    }
}

/// More than a killed creator of segments can make before it is killed.
const CREATED: u32 = 400;

#[test]
fn a_killed_creator_never_leaves_a_half_made_segment() {
    let control = Name::new("killed");
    let seg = Segment::create(&control, 4096).unwrap();
    let mut random = Random(0x5eed_0001);
    let mut whole = 0;
    for round in 0..30 {
        let started = counter(&seg, &format!("started {round}"));
        let creator = child("create-many", &format!("{} {round}", &*control));
        until(|| started.load(Ordering::SeqCst) != 0);
        std::thread::sleep(Duration::from_micros(random.below(8000)));
        creator.kill();
        // The names that are there are the first ones, and each is whole.
        let mut last = false;
        for i in 0..CREATED {
            let name = format!("{}-{round}-{i}", &*control);
            match Segment::open(&name) {
                Ok(seg) => {
                    whole += 1;
                    assert!(!last && seg.len() == 1 << 16, "{name}");
                    counter(&seg, "usable");
                    Segment::unlink(&name).unwrap();
                }
                Err(e) => {
                    last = true;
                    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
                }
            }
        }
    }
    eprintln!("30 killed creators left {whole} segments, each whole");
    let prefix = format!("{}-", &control[1..]);
    let left = std::fs::read_dir("/dev/shm").unwrap().map(|e| e.unwrap().file_name());
    assert!(
        left.into_iter().all(|name| !name.to_string_lossy().starts_with(&prefix)),
        "something else was left"
    );
}

pub fn child_create_many(arg: &str) {
    let (control, round) = arg.split_once(' ').unwrap();
    counter(&Segment::open(control).unwrap(), &format!("started {round}")).store(1, Ordering::SeqCst);
    for i in 0..CREATED {
        Segment::options().size(1 << 16).max_members(2).create(&format!("{control}-{round}-{i}")).unwrap();
    }
}

const REMAKES: u32 = 400;

#[test]
fn opening_while_the_name_is_unlinked_and_remade_finds_a_whole_segment_or_none() {
    let name = Name::new("remade");
    let mut remaker = child("remake", &name);
    let (mut opened, mut missed, mut last) = (0, 0, 0);
    while !remaker.has_ended() {
        match Segment::open(&name) {
            Ok(seg) => {
                opened += 1;
                // Made before it is found by name or not at all; later segments have higher numbers.
                if let Ok(number) = seg.find::<AtomicU32>("number") {
                    let number = number.load(Ordering::SeqCst);
                    assert!(number >= last, "{number} after {last}");
                    last = number;
                }
            }
            Err(e) => {
                missed += 1;
                assert!(matches!(e.kind(), ErrorKind::NotFound | ErrorKind::WouldBlock), "{e}");
            }
        }
        // Also as a second maker.
        match Segment::options().size(64).max_members(4).open_or_create(&name) {
            Ok(_) => {}
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock, "{e}"),
        }
    }
    eprintln!("{opened} opened, {missed} missed");
}

pub fn child_remake(name: &str) {
    for i in 1..=REMAKES {
        match Segment::unlink(name) {
            Ok(()) => {}
            Err(e) => assert_eq!(e.kind(), ErrorKind::NotFound, "{e}"),
        }
        if let Ok(seg) = Segment::options().size(64).max_members(4).create(name) {
            seg.object("number", || AtomicU32::new(i)).unwrap();
        }
    }
}

#[test]
fn an_open_that_waited_behind_a_cleaner_looks_the_name_up_again() {
    let name = Name::new("cleaner");
    let old = Segment::create(&name, 4096).unwrap();
    counter(&old, "old");
    drop(old);
    // A cleaner as `unlink_if_stale`, but slow.
    let cleaner = OpenOptions::new().read(true).write(true).open(name.path()).unwrap();
    // SAFETY: all-zero is a valid `struct flock`, which the call reads.
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        (lock.l_type, lock.l_start, lock.l_len) = (libc::F_WRLCK as _, 1 << 60, 1);
        assert_eq!(libc::fcntl(cleaner.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock), 0);
    }
    std::thread::scope(|s| {
        let opener = s.spawn(|| Segment::open(&name).unwrap());
        // Time for it to find the file, and the lock.
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!opener.is_finished(), "it did not wait");
        // As by a cleaner that is killed before it sets the retired flag.
        std::fs::remove_file(name.path()).unwrap();
        counter(&Segment::create(&name, 4096).unwrap(), "new");
        drop(cleaner);
        let seg = opener.join().unwrap();
        assert!(!seg.is_retired());
        seg.find::<AtomicU32>("new").unwrap();
        fails(seg.find::<AtomicU32>("old"), ErrorKind::NoObject, &[]);
    });
}

const OBJECTS: u32 = 60;

#[test]
fn two_processes_that_make_the_same_objects_get_the_same_objects() {
    let name = Name::new("objects");
    let seg = Segment::create(&name, 1 << 16).unwrap();
    let makers = [(); 2].map(|()| child("make-objects", &name));
    for maker in makers {
        maker.ends();
    }
    for i in 0..OBJECTS {
        assert_eq!(counter(&seg, &format!("o{i}")).load(Ordering::SeqCst), 2);
    }
    let objects = Segment::open_read_only(&name).unwrap().objects().unwrap();
    assert_eq!(objects.len() as u32, OBJECTS + 1);
    assert!(objects.is_sorted_by(|a, b| a.offset + a.size <= b.offset));
}

pub fn child_make_objects(name: &str) {
    let seg = Segment::open(name).unwrap();
    let gate = counter(&seg, "gate");
    for i in 0..OBJECTS {
        meet(&gate, 2 * (i + 1));
        counter(&seg, &format!("o{i}")).fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_killed_maker_leaves_whole_objects_only_and_the_next_one_goes_on() {
    let mut random = Random(0x5eed_0002);
    for _ in 0..20 {
        let name = Name::new("maker");
        let options = Segment::options().size(4 << 20).max_objects(60_000);
        let seg = options.create(&name).unwrap();
        let started = counter(&seg, "started");
        let maker = child("make-objects-for-ever", &name);
        until(|| started.load(Ordering::SeqCst) != 0);
        std::thread::sleep(Duration::from_micros(random.below(2000)));
        maker.kill();
        let look = Segment::open_read_only(&name).unwrap();
        let objects = look.objects().unwrap();
        for (i, info) in objects.iter().skip(1).enumerate() {
            assert_eq!(info.name, format!("m{i}"));
        }
        for info in objects.iter().skip(1).rev().take(5) {
            let words = seg.find::<[AtomicU64; 40]>(&info.name).unwrap();
            assert!(words.iter().all(|w| w.load(Ordering::SeqCst) == u64::MAX), "{info}");
        }
        if objects.len() < 10_000 {
            counter(&seg, "next");
        }
    }
}

pub fn child_make_objects_for_ever(name: &str) {
    let seg = Segment::open(name).unwrap();
    counter(&seg, "started").store(1, Ordering::SeqCst);
    for i in 0.. {
        match seg.object(&format!("m{i}"), || [const { AtomicU64::new(u64::MAX) }; 40]) {
            Ok(_) => {}
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::SegmentFull, "{e}");
                break;
            }
        }
    }
    loop {
        std::thread::park();
    }
}
