//! Files and directories that somebody wrote over: never a crash, never a hang, always an error that says so.

use crate::support::{Name, Random, fails};
use interproc::{Error, ErrorKind, Segment, raw::format};
use std::fs::{File, OpenOptions};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

const FIXED: usize = size_of::<format::Fixed>();

fn file_of(name: &Name) -> File {
    OpenOptions::new().read(true).write(true).open(name.path()).unwrap()
}

fn fixed_of(file: &File) -> format::Fixed {
    let mut bytes = [0; FIXED];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytemuck::cast(bytes)
}

#[test]
fn every_byte_of_the_fixed_header_is_guarded() {
    let name = Name::new("flip");
    drop(Segment::create(&name, 4096).unwrap());
    let file = file_of(&name);
    let good: [u8; FIXED] = bytemuck::cast(fixed_of(&file));
    for at in 0..FIXED {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good;
            bad[at] ^= flip;
            file.write_all_at(&bad, 0).unwrap();
            let kind = match at {
                0..8 => ErrorKind::Foreign,
                8..12 => ErrorKind::VersionMismatch,
                _ => ErrorKind::Corrupt,
            };
            fails(Segment::open(&name), kind, &[&name]);
            fails(Segment::open_read_only(&name), kind, &[&name]);
            fails(Segment::options().size(1).open_or_create(&name), kind, &[&name]);
        }
    }
    file.write_all_at(&good, 0).unwrap();
    Segment::open(&name).unwrap();
}

#[test]
fn random_geometry_under_a_right_checksum_is_refused_or_safe_to_use() {
    let name = Name::new("geometry");
    drop(Segment::options().size(8192).max_members(4).max_objects(40).create(&name).unwrap());
    let file = file_of(&name);
    let good = fixed_of(&file);
    let mut random = Random(0x5eed_0003);
    let mut accepted = 0;
    for _ in 0..1500 {
        let mut words: [u64; FIXED / 8] = bytemuck::cast(good);
        // Any word but magic and version, small steps or wild values.
        for _ in 0..1 + random.below(2) {
            let at = 2 + random.below(9) as usize;
            words[at] = match random.below(5) {
                0 => random.next(),
                1 => u64::MAX - random.below(8192),
                2 => words[at].wrapping_add(4096),
                3 => words[at].wrapping_sub(4096),
                _ => words[at] ^ 1 << random.below(64),
            };
        }
        let mut bad: format::Fixed = bytemuck::cast(words);
        bad.checksum = format::checksum(&bytemuck::bytes_of(&bad)[..FIXED - 8]);
        file.write_all_at(bytemuck::bytes_of(&bad), 0).unwrap();
        match Segment::open(&name) {
            Ok(seg) => {
                accepted += 1;
                let _ = seg.object("n", || AtomicU32::new(1)).map(|n| n.fetch_add(1, Relaxed));
                let _ = Segment::open_read_only(&name).unwrap().objects();
            }
            Err(e) => assert_refusal(&e),
        }
    }
    assert!(accepted < 1500, "nothing was refused");
}

fn assert_refusal(e: &Error) {
    use ErrorKind::*;
    let fair = [Corrupt, VersionMismatch, Truncated, TooManyMembers, WouldBlock];
    assert!(fair.contains(&e.kind()), "{e:?}");
}

/// What a scribbled directory may be answered with.
fn assert_answer<T>(result: Result<T, Error>) {
    use ErrorKind::*;
    if let Err(e) = result {
        assert!([Corrupt, TypeMismatch, NoObject, SegmentFull].contains(&e.kind()), "{e:?}");
    }
}

fn use_directory(seg: &Segment, random: &mut Random) {
    for i in 0..6 {
        let name = std::format!("o{i}");
        assert_answer(seg.find::<AtomicU64>(&name).map(|o| o.store(random.next(), Relaxed)));
        assert_answer(seg.find::<[AtomicU64; 40]>(&name).map(|o| o[39].store(random.next(), Relaxed)));
    }
    assert_answer(seg.object(&std::format!("x{}", random.below(1000)), || AtomicU64::new(1)));
}

#[test]
fn a_scribbled_directory_gives_errors_never_a_crash() {
    let name = Name::new("scribble");
    let seg = Segment::options().size(8192).max_objects(32).create(&name).unwrap();
    for i in 0..3 {
        seg.object(&std::format!("o{}", 2 * i), || AtomicU64::new(0)).unwrap();
        seg.object(&std::format!("o{}", 2 * i + 1), || [const { AtomicU64::new(0) }; 40]).unwrap();
    }
    let file = file_of(&name);
    let at = fixed_of(&file).dir_off;
    let mut good = vec![0; 32 * format::ENTRY_SIZE];
    file.read_exact_at(&mut good, at).unwrap();
    let touched = (offset_of!(format::Header, changing) + offset_of!(format::Changing, touched_end)) as u64;
    let mut random = Random(0x5eed_0004);
    for _ in 0..3000 {
        let mut bad = good.clone();
        for _ in 0..1 + random.below(6) {
            // Mostly the entries in use; single bytes and whole words.
            let word = 8 * random.below(7 * format::ENTRY_SIZE as u64 / 8) as usize;
            match random.below(4) {
                0 => bad[word..word + 8].copy_from_slice(&random.next().to_le_bytes()),
                1 => bad[word..word + 8].fill(0xff),
                2 => bad[word..word + 8].fill(0),
                _ => bad[word + random.below(8) as usize] ^= 1 << random.below(8),
            }
        }
        file.write_all_at(&bad, at).unwrap();
        file.write_all_at(&random.next().to_le_bytes(), touched).unwrap();
        use_directory(&seg, &mut random);
        assert_answer(Segment::open_read_only(&name).unwrap().objects());
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_directory_that_is_scribbled_during_use_gives_errors_never_a_crash() {
    let name = Name::new("live");
    let seg = Segment::options().size(8192).max_objects(32).create(&name).unwrap();
    let file = file_of(&name);
    let at = fixed_of(&file).dir_off;
    let stop = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            let mut random = Random(0x5eed_0005);
            while !stop.load(Relaxed) {
                // Plausible values make it past more checks than noise does.
                let word = at + 8 * random.below(8 * 16);
                let value = [random.next(), 0, 1, 64, 4096, 0x11000, 0x306f][random.below(7) as usize];
                file.write_all_at(&value.to_le_bytes(), word).unwrap();
            }
        });
        // Also when an assertion fails: the scope waits for the scribbler.
        let _stop = StopAtEnd(&stop);
        let mut random = Random(0x5eed_0006);
        for _ in 0..3000 {
            use_directory(&seg, &mut random);
        }
    });
}

#[test]
fn an_unknown_kind_of_object_is_a_mismatch_and_hides_nothing() {
    let name = Name::new("kind");
    let seg = Segment::create(&name, 4096).unwrap();
    seg.object("new kind", || AtomicU32::new(0)).unwrap();
    seg.object("n", || AtomicU32::new(6)).unwrap();
    let file = file_of(&name);
    file.write_all_at(&99u32.to_le_bytes(), fixed_of(&file).dir_off).unwrap();
    fails(seg.find::<AtomicU32>("new kind"), ErrorKind::TypeMismatch, &["unknown kind 99"]);
    assert_eq!(seg.find::<AtomicU32>("n").unwrap().load(Relaxed), 6);
    let objects = Segment::open_read_only(&name).unwrap().objects().unwrap();
    assert_eq!((objects.len(), objects[0].kind), (2, 99));
}
