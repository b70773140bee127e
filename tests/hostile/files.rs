//! The segment's file: locks that others have on it, sizes that lie, files with holes.

use crate::kit::{Kid, fork};
use crate::meter::processor_time;
use crate::subjects::Named;
use interproc::raw::format::{ENTRY_SIZE, Fixed, Kind, checksum};
use interproc::sync::{Event, Mutex};
use interproc::{ErrorKind, Segment};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Long enough to be no accident, much shorter than for ever.
const SOON: Duration = Duration::from_secs(5);

fn path(name: &str) -> String {
    format!("/dev/shm{name}")
}

/// Locks all bytes of a file, and the whole file, as far as its description allows.
fn lock_all(file: &File) {
    let kind = if file.write_at(&[], 0).is_ok() { libc::F_WRLCK } else { libc::F_RDLCK };
    // SAFETY: all-zero is a valid `struct flock`, which the call reads; takes integers otherwise.
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        // To the end of all files, wherever that is.
        lock.l_type = kind as _;
        libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock);
        // Where others have bytes: the others.
        for byte in 0..64 {
            (lock.l_start, lock.l_len) = (byte, 1);
            libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock);
        }
        libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB);
    }
}

/// A process that has the file open, for reading only or not, and all locks of it that it can get.
fn locker(name: &str, write: bool) -> Kid {
    let file = File::options().read(true).write(write).open(path(name)).expect("readable");
    lock_all(&file);
    let kid = fork(|| {
        // SAFETY: takes integers, or nothing.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::pause();
        }
    });
    drop(file);
    kid
}

pub fn who_may_only_read_keeps_nobody_from_opening_and_attaching() {
    let named = Named::new(1 << 16);
    let name = named.seg.name().expect("a name").to_owned();
    let _reader = locker(&name, false);
    let began = Instant::now();
    let again = Segment::open(&name).expect("nobody may refuse it");
    let event = again.object("e", Event::new).expect("room");
    event.set();
    // Another process, which has no seat yet.
    fork(|| {
        let other = Segment::open(&name).expect("nobody may refuse it");
        assert!(other.find::<Event>("e").expect("there").is_set());
        let lock = other.object("m", || Mutex::new(1u64)).expect("room");
        assert_eq!(*lock.lock().expect("free"), 1);
    })
    .join();
    assert!(Segment::open_read_only(&name).expect("readable").is_in_use().expect("an answer"));
    assert!(!Segment::is_stale(&name).expect("an answer"));
    assert!(!Segment::unlink_if_stale(&name).expect("an answer"));
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
}

pub fn who_may_only_read_does_not_hide_a_death() {
    let named = Named::new(1 << 16);
    let name = named.seg.name().expect("a name").to_owned();
    let lock = named.seg.object("m", || Mutex::new(1u64)).expect("room");
    // A process without a seat, by the reader's doing, dies with the lock; so does one with a seat that is locked as soon
    // as it is free.
    let _reader = locker(&name, false);
    for late in [false, true] {
        let file = File::options().read(true).open(path(&name)).expect("readable");
        fork(|| {
            let other = Segment::open(&name).expect("nobody may refuse it");
            let lock = other.find::<Mutex<u64>>("m").expect("there");
            std::mem::forget(lock.lock().expect("free"));
            // SAFETY: ends the process, nothing else.
            unsafe { libc::_exit(0) };
        })
        .join();
        if late {
            lock_all(&file);
        }
        match lock.lock_timeout(SOON) {
            Err(interproc::sync::LockError::OwnerDied(died)) => drop(died.mark_consistent()),
            Ok(_) => panic!("nobody was told"),
            Err(interproc::sync::LockError::Failed(e)) => panic!("{e}"),
        }
    }
}

pub fn who_may_write_keeps_an_opener_for_a_moment_only() {
    let named = Named::new(1 << 16);
    let copy = format!("{}-b", named.seg.name().expect("a name"));
    std::fs::copy(path(named.seg.name().expect("a name")), path(&copy)).expect("room");
    // Nobody has attached to the copy, so all its locks are to be had.
    let writer = locker(&copy, true);
    let began = Instant::now();
    let refused = Segment::open(&copy);
    let took = began.elapsed();
    drop(writer);
    let opened = Segment::open(&copy);
    std::fs::remove_file(path(&copy)).expect("there");
    assert_eq!(refused.expect_err("it is locked").kind(), ErrorKind::WouldBlock);
    assert!(took < SOON, "it took {took:?}");
    opened.expect("nobody has it locked now");
}

/// A memfd with what the file of a segment holds.
fn memfd_like(seg: &Segment, flags: u32, seals: i32) -> OwnedFd {
    let file = File::from(seg.as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut bytes = vec![0; file.metadata().expect("a length").len() as usize];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    // SAFETY: the name is a C string; the descriptor is new and ours.
    let memfd = unsafe { File::from_raw_fd(libc::memfd_create(c"evil".as_ptr(), libc::MFD_CLOEXEC | flags)) };
    memfd.write_all_at(&bytes, 0).expect("room");
    if seals != 0 {
        // SAFETY: takes integers.
        assert_eq!(unsafe { libc::fcntl(memfd.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
    }
    memfd.into()
}

pub fn a_memfd_whose_size_stays_open_is_refused() {
    let named = Named::new(1 << 16);
    let allow = libc::MFD_ALLOW_SEALING;
    for (flags, seals) in [(allow, libc::F_SEAL_SEAL), (0, 0), (allow, libc::F_SEAL_SEAL | libc::F_SEAL_GROW)]
    {
        let refused = Segment::from_fd(memfd_like(&named.seg, flags, seals));
        assert_eq!(refused.expect_err("it can shrink").kind(), ErrorKind::PermissionDenied);
    }
    // One that is sealed, and one that we seal.
    for seals in [0, libc::F_SEAL_SHRINK, libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL] {
        let memfd = memfd_like(&named.seg, allow, seals);
        let copy = File::from(memfd.try_clone().expect("a descriptor"));
        Segment::from_fd(memfd).expect("its size is sealed");
        assert!(copy.set_len(0).is_err(), "{seals}");
    }
    // A named file, as ever.
    Segment::from_fd(named.seg.as_fd().try_clone_to_owned().expect("a descriptor")).expect("a segment's");
}

/// The most memory that this process had, in KiB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

pub fn a_look_at_a_large_sparse_file_costs_what_the_file_uses() {
    const LARGE: usize = 3 << 30;
    let name = format!("/interproc-hostile-{}", std::process::id());
    let seg = Segment::options().size(LARGE).sparse(true).max_members(2).create(&name).expect("room");
    let queue = seg.queue::<[u8; 1024]>("q", 2 << 20).expect("room");
    queue.push([7; 1024]).expect("room");
    let look = Segment::open_read_only(&name).expect("readable");
    Segment::unlink(&name).expect("there");
    let (before, began) = (most_memory(), processor_time());
    let bytes = look.read("q").expect("there");
    assert!(bytes.len() > 2 << 30 && bytes[..4096].contains(&7));
    let (memory, took) = (most_memory() - before, processor_time() - began);
    assert!(memory < 64 << 10, "{memory} KiB for a file of a few pages");
    assert!(took < Duration::from_secs(1), "it took {took:?}");
}

/// A file of this size, all holes but for a header, a directory and what `fill` writes.
fn forged(
    size: u64,
    objects: u32,
    members: u32,
    entry: impl Fn(u32, &Fixed) -> Option<(Kind, u64, u64, [u64; 2])>,
    fill: impl Fn(&File, &Fixed),
) -> String {
    let name = format!("/interproc-hostile-{}-forged", std::process::id());
    let plain = Segment::options().size(4096).max_members(2).max_objects(4).anonymous().expect("room");
    let source = File::from(plain.as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut bytes = [0; size_of::<Fixed>()];
    source.read_exact_at(&mut bytes, 0).expect("its bytes");
    let mut fixed: Fixed = bytemuck::cast(bytes);
    let page = u64::from(fixed.page_size);
    (fixed.max_members, fixed.max_objects) = (members, objects);
    fixed.slots_off = page;
    fixed.dir_off = page + u64::from(members) * page;
    fixed.payload_off = (fixed.dir_off + u64::from(objects) * ENTRY_SIZE as u64).next_multiple_of(page);
    fixed.payload_len = size - fixed.payload_off;
    fixed.total_len = size;
    fixed.checksum = checksum(&bytemuck::bytes_of(&fixed)[..size_of::<Fixed>() - 8]);
    let file =
        File::options().read(true).write(true).create(true).truncate(true).open(path(&name)).expect("room");
    file.set_len(size).expect("holes");
    file.write_all_at(bytemuck::bytes_of(&fixed), 0).expect("room");
    let mut directory = Vec::new();
    for index in 0..objects {
        let Some((kind, offset, size, params)) = entry(index, &fixed) else { break };
        let mut words = [0u64; ENTRY_SIZE / 8];
        (words[0], words[1], words[2], words[3]) = (kind as u64, offset, size, 64);
        words[4..6].copy_from_slice(&params);
        let digits = format!("o{index}");
        let mut text = [0u8; 48];
        text[..digits.len()].copy_from_slice(digits.as_bytes());
        words[10..16].copy_from_slice(&bytemuck::cast::<_, [u64; 6]>(text));
        directory.extend_from_slice(bytemuck::bytes_of(&words));
    }
    file.write_all_at(&directory, fixed.dir_off).expect("room");
    fill(&file, &fixed);
    name
}

pub fn a_look_at_a_file_full_of_lies_ends_soon() {
    let (mebi, tebi) = (1u64 << 20, 1u64 << 40);
    // A semaphore's size, with a million permits; a queue's of sixteen million bytes.
    let semaphore = 64 + 8 * mebi;
    type Lie = (&'static str, Kind, u64, [u64; 2]);
    let lies: [Lie; 2] = [
        ("semaphores", Kind::BoundedSemaphore, semaphore, [mebi, 0]),
        ("nothing of any kind", Kind::Object, 64, [0, 0]),
    ];
    for (what, kind, size, params) in lies {
        let stride = size.next_multiple_of(64);
        let name = forged(
            tebi,
            65_536,
            16_384,
            |index, fixed| Some((kind, fixed.payload_off + u64::from(index) * stride, size, params)),
            |file, fixed| {
                // Heads that fit, for some: beyond, holes.
                for index in 0..2000u64 {
                    file.write_all_at(&mebi.to_le_bytes(), fixed.payload_off + index * stride).expect("room");
                }
                // Members everywhere, all asleep, all with holds.
                for slot in 0..16_384u64 {
                    let page = fixed.slots_off + slot * 4096;
                    let mut words = [0u64; 32];
                    (words[6], words[7], words[8]) = (1, fixed.payload_off + 64 * slot, slot << 32 | 1);
                    words[13..29].fill(fixed.payload_off | 1 << 48);
                    file.write_all_at(bytemuck::bytes_of(&words), page).expect("room");
                    let alive = 1u64 << 32 | 0x8000_0000 | 12_345;
                    file.write_all_at(&alive.to_le_bytes(), page + 4096 - 16).expect("room");
                }
            },
        );
        let look = Segment::open_read_only(&name);
        std::fs::remove_file(path(&name)).expect("there");
        let look = look.expect("a whole header");
        let before = most_memory();
        for (call, made) in [
            ("view", &(|| drop(look.view())) as &dyn Fn()),
            ("objects", &|| drop(look.objects())),
            ("members", &|| drop(look.members())),
            ("read", &|| drop(look.read("o0"))),
        ] {
            let began = processor_time();
            made();
            let took = processor_time() - began;
            println!("{what}: {call} took {took:?}, {} MiB", (most_memory() - before) >> 10);
            assert!(took < Duration::from_secs(10), "{what}: {call} took {took:?}");
        }
        let memory = (most_memory() - before) >> 10;
        assert!(memory < 2048, "{memory} MiB for {what}");
    }
}
