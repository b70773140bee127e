//! One file, one process (or a few): what is created, what is refused, and in which words.

use crate::support::{Name, child, fails, path_of, plays, until};
use interproc::{ErrorKind, Segment, raw::format};
use std::fs::{self, File, OpenOptions, Permissions};
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[test]
fn bad_names_are_refused_by_every_call_that_takes_one() {
    let long = format!("/{}", "x".repeat(250));
    for bad in ["", "x", "/", "/.", "/..", "//", "/a/b", "/a/", "/a\0b", "/../etc/x", &long] {
        fails(Segment::create(bad, 4096), ErrorKind::BadName, &[]);
        fails(Segment::open(bad), ErrorKind::BadName, &[]);
        fails(Segment::options().size(4096).open_or_create(bad), ErrorKind::BadName, &[]);
        fails(Segment::open_read_only(bad), ErrorKind::BadName, &[]);
        fails(Segment::unlink(bad), ErrorKind::BadName, &[]);
        fails(Segment::is_stale(bad), ErrorKind::BadName, &[]);
    }
}

#[test]
fn a_name_of_250_bytes_is_good() {
    let name = Name::longest();
    let seg = Segment::create(&name, 4096).unwrap();
    assert_eq!((seg.name(), name.len()), (Some(&*name), 250));
}

#[test]
fn a_name_is_created_once_opened_often_and_gone_after_unlink() {
    let name = Name::new("once");
    fails(Segment::open(&name), ErrorKind::NotFound, &[&name]);
    let seg = Segment::create(&name, 4096).unwrap();
    fails(Segment::create(&name, 4096), ErrorKind::Exists, &[&name]);
    let again = Segment::open(&name).unwrap();
    seg.object("n", || AtomicU32::new(7)).unwrap();
    assert_eq!(again.find::<AtomicU32>("n").unwrap().load(Relaxed), 7);
    Segment::unlink(&name).unwrap();
    fails(Segment::open(&name), ErrorKind::NotFound, &[&name]);
    fails(Segment::unlink(&name), ErrorKind::NotFound, &[&name]);
    assert!(seg.is_retired() && again.is_retired());
    // Those attached go on.
    seg.object("later", || AtomicU32::new(8)).unwrap();
    assert_eq!(again.find::<AtomicU32>("later").unwrap().load(Relaxed), 8);
}

#[test]
fn closing_never_unlinks_and_the_objects_wait() {
    let name = Name::new("close");
    let seg = Segment::create(&name, 4096).unwrap();
    seg.object("n", || AtomicU32::new(5)).unwrap();
    drop(seg);
    let seg = Segment::open(&name).unwrap();
    assert_eq!(seg.find::<AtomicU32>("n").unwrap().load(Relaxed), 5);
}

#[test]
fn the_mode_is_0600_or_as_asked_whatever_the_umask() {
    for (umask, mode) in [("077", "666"), ("000", "600"), ("777", "640")] {
        let name = Name::new("mode");
        assert!(plays("create-with-mode", &format!("{} {umask} {mode}", &*name)));
        let got = fs::metadata(name.path()).unwrap().mode() & 0o7777;
        assert_eq!(format!("{got:o}"), mode, "under umask {umask}");
    }
    let name = Name::new("mode");
    let _seg = Segment::create(&name, 4096).unwrap();
    assert_eq!(fs::metadata(name.path()).unwrap().mode() & 0o7777, 0o600);
    fails(Segment::options().size(4096).mode(0o4600).create("/x"), ErrorKind::InvalidInput, &["mode"]);
}

pub fn child_create_with_mode(arg: &str) {
    let [name, umask, mode] = arg.split(' ').collect::<Vec<_>>()[..] else { panic!("{arg}") };
    let octal = |s| u32::from_str_radix(s, 8).unwrap();
    // SAFETY: umask only changes the process's mask.
    unsafe { libc::umask(octal(umask)) };
    Segment::options().size(4096).mode(octal(mode)).create(name).unwrap();
}

#[test]
fn sizes_and_limits_out_of_range_are_refused_with_their_range() {
    let o = Segment::options();
    fails(o.anonymous(), ErrorKind::InvalidInput, &["the size is 0"]);
    fails(o.size(usize::MAX).anonymous(), ErrorKind::InvalidInput, &["the size"]);
    fails(o.size(1).max_members(0).anonymous(), ErrorKind::InvalidInput, &["max_members is 0", "16384"]);
    fails(o.size(1).max_members(16_385).anonymous(), ErrorKind::InvalidInput, &["16385"]);
    fails(o.size(1).max_objects(0).anonymous(), ErrorKind::InvalidInput, &["max_objects"]);
    fails(o.size(1).max_objects(65_537).anonymous(), ErrorKind::InvalidInput, &["65537"]);
    // Also by open_or_create when there is something to open.
    let name = Name::new("limits");
    let _seg = Segment::create(&name, 1).unwrap();
    fails(o.open_or_create(&name), ErrorKind::InvalidInput, &["the size is 0"]);
}

#[test]
fn an_existing_segment_that_is_too_small_is_refused_with_both_sizes() {
    let name = Name::new("small");
    let _seg = Segment::create(&name, 4096).unwrap();
    let larger = Segment::options().size(8193);
    fails(larger.open(&name), ErrorKind::TypeMismatch, &["4096", "8193"]);
    fails(larger.open_or_create(&name), ErrorKind::TypeMismatch, &["4096", "8193"]);
    assert_eq!(Segment::options().size(100).open(&name).unwrap().len(), 4096);
}

#[test]
fn links_fifos_directories_and_sockets_are_refused_and_not_followed() {
    let target = Name::new("target");
    let _seg = Segment::create(&target, 4096).unwrap();
    let refused = |name: &Name, word: &str| {
        fails(Segment::open(name), ErrorKind::NotRegular, &[word]);
        fails(Segment::options().size(1).open_or_create(name), ErrorKind::NotRegular, &[word]);
        fails(Segment::open_read_only(name), ErrorKind::NotRegular, &[word]);
        fails(Segment::is_stale(name), ErrorKind::NotRegular, &[word]);
        fails(Segment::create(name, 1), ErrorKind::Exists, &[name]);
    };
    let link = Name::new("link");
    std::os::unix::fs::symlink(target.path(), link.path()).unwrap();
    refused(&link, "symbolic link");
    let dangling = Name::new("dangling");
    std::os::unix::fs::symlink("/dev/shm/interproc-test-nothing", dangling.path()).unwrap();
    refused(&dangling, "symbolic link");
    let fifo = Name::new("fifo");
    let path = std::ffi::CString::new(fifo.path().as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a C string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    refused(&fifo, "not a regular file");
    let directory = Name::new("directory");
    fs::create_dir(directory.path()).unwrap();
    fails(Segment::open(&directory), ErrorKind::NotRegular, &["a directory"]);
    fails(Segment::open_read_only(&directory), ErrorKind::NotRegular, &[]);
    fails(Segment::unlink(&directory), ErrorKind::NotRegular, &["a directory"]);
    let socket = Name::new("socket");
    let _listener = std::os::unix::net::UnixListener::bind(socket.path()).unwrap();
    refused(&socket, "socket");
    // Unlinking a link removes the link, not the segment behind it.
    Segment::unlink(&link).unwrap();
    Segment::open(&target).unwrap();
}

#[test]
fn a_file_of_another_program_is_foreign_and_is_left_alone() {
    for content in [&b""[..], b"short", b"a database, say, of some other program", &[0; 8192]] {
        let name = Name::new("foreign");
        fs::write(name.path(), content).unwrap();
        let size = format!("{} bytes", content.len());
        fails(Segment::open(&name), ErrorKind::Foreign, &[&name, &size]);
        fails(Segment::options().size(1).open_or_create(&name), ErrorKind::Foreign, &[&size]);
        fails(Segment::open_read_only(&name), ErrorKind::Foreign, &[&size]);
        assert_eq!(fs::read(name.path()).unwrap(), content);
    }
}

#[test]
fn a_truncated_file_is_refused_with_both_sizes() {
    let name = Name::new("truncated");
    drop(Segment::create(&name, 100_000).unwrap());
    let file = OpenOptions::new().write(true).open(name.path()).unwrap();
    let full = file.metadata().unwrap().size();
    for len in [full - 1, full - 4096, 5000, 256] {
        file.set_len(len).unwrap();
        fails(Segment::open(&name), ErrorKind::Truncated, &[&len.to_string(), &full.to_string()]);
        fails(Segment::open_read_only(&name), ErrorKind::Truncated, &[&len.to_string()]);
    }
    for len in [255, 8] {
        file.set_len(len).unwrap();
        fails(Segment::open(&name), ErrorKind::Truncated, &[&len.to_string(), "256"]);
    }
    file.set_len(7).unwrap();
    fails(Segment::open(&name), ErrorKind::Foreign, &[]);
    // The advice of the message works.
    Segment::unlink(&name).unwrap();
    Segment::create(&name, 4096).unwrap();
}

#[test]
fn a_snapshot_of_a_file_that_is_truncated_later_gets_an_error_not_a_signal() {
    let name = Name::new("snapshot");
    let seg = Segment::create(&name, 4096).unwrap();
    seg.object("n", || AtomicU32::new(1)).unwrap();
    let look = Segment::open_read_only(&name).unwrap();
    drop(seg);
    OpenOptions::new().write(true).open(name.path()).unwrap().set_len(300).unwrap();
    fails(look.objects(), ErrorKind::Truncated, &["300"]);
    fails(look.read("n"), ErrorKind::Truncated, &["300"]);
}

#[test]
fn another_version_is_refused_naming_both() {
    let name = Name::new("version");
    drop(Segment::create(&name, 4096).unwrap());
    let file = OpenOptions::new().write(true).open(name.path()).unwrap();
    let version = format::VERSION + 41;
    file.write_all_at(&version.to_le_bytes(), offset_of!(format::Fixed, version) as u64).unwrap();
    let both = [version.to_string(), format::VERSION.to_string()];
    fails(Segment::open(&name), ErrorKind::VersionMismatch, &[&both[0], &both[1]]);
    fails(Segment::open_read_only(&name), ErrorKind::VersionMismatch, &[&both[0]]);
}

#[test]
fn an_anonymous_segment_is_sealed_against_every_change_of_size() {
    let seg = Segment::anonymous(4096).unwrap();
    // SAFETY: fcntl without an argument touches no memory.
    let seals = unsafe { libc::fcntl(seg.as_fd().as_raw_fd(), libc::F_GET_SEALS) };
    let expected = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    assert_eq!(seals & expected, expected);
    let file = File::from(seg.as_fd().try_clone_to_owned().unwrap());
    for len in [0, 4096, 1 << 30] {
        assert_eq!(file.set_len(len).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}

#[test]
fn a_descriptor_gives_the_same_segment_under_its_own_description() {
    let seg = Segment::anonymous(4096).unwrap();
    let n = seg.object("n", || AtomicU32::new(1)).unwrap();
    let received = Segment::from_fd(seg.as_fd().try_clone_to_owned().unwrap()).unwrap();
    received.find::<AtomicU32>("n").unwrap().store(9, Relaxed);
    assert_eq!(n.load(Relaxed), 9);
    drop((seg, n));
    assert_eq!(received.find::<AtomicU32>("n").unwrap().load(Relaxed), 9);
}

#[test]
fn descriptors_that_are_no_segment_or_not_writable_are_refused() {
    let name = Name::new("fd");
    let _seg = Segment::create(&name, 4096).unwrap();
    let read_only = File::open(name.path()).unwrap();
    fails(Segment::from_fd(read_only.into()), ErrorKind::ReadOnly, &["reading and writing"]);
    let path_only = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(name.path()).unwrap();
    fails(Segment::from_fd(path_only.into()), ErrorKind::ReadOnly, &[]);
    let (_a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    fails(Segment::from_fd(b.into()), ErrorKind::NotRegular, &[]);
    fails(Segment::from_fd(memfd(4096).into()), ErrorKind::Foreign, &[]);
    fails(Segment::options().size(8192).from_fd(open_fd(&name)), ErrorKind::TypeMismatch, &["4096", "8192"]);
    Segment::from_fd(open_fd(&name)).unwrap();
}

fn open_fd(name: &str) -> OwnedFd {
    OpenOptions::new().read(true).write(true).open(path_of(name)).unwrap().into()
}

fn memfd(len: u64) -> File {
    // SAFETY: the name is a C string; the descriptor is new.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"test".as_ptr(), libc::MFD_ALLOW_SEALING)) };
    let file = File::from(fd);
    file.set_len(len).unwrap();
    file
}

#[test]
fn a_received_memfd_whose_size_is_open_is_sealed_before_it_is_used() {
    let name = Name::new("copy");
    drop(Segment::create(&name, 4096).unwrap());
    let bytes = fs::read(name.path()).unwrap();
    let theirs = memfd(bytes.len() as u64);
    theirs.write_all_at(&bytes, 0).unwrap();
    let _seg = Segment::from_fd(theirs.try_clone().unwrap().into()).unwrap();
    // Larger first: without seals, shrinking would kill this test by a signal instead of failing it.
    for len in [1 << 30, 0] {
        assert_eq!(theirs.set_len(len).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}

#[test]
fn a_segment_is_stale_exactly_while_no_process_has_it() {
    let name = Name::new("stale");
    fails(Segment::is_stale(&name), ErrorKind::NotFound, &[]);
    let seg = Segment::create(&name, 4096).unwrap();
    let object = seg.object("n", || AtomicU32::new(0)).unwrap();
    drop(seg);
    assert!(!Segment::is_stale(&name).unwrap(), "an object handle keeps the segment");
    drop(object);
    assert!(Segment::is_stale(&name).unwrap());
    assert!(Segment::is_stale(&name).unwrap(), "asking changes nothing");
    // A child has it, and is killed.
    let holder = child("hold", &name);
    let there = Segment::open(&name).unwrap();
    let held = there.object("held", || AtomicU32::new(0)).unwrap();
    until(|| held.load(Relaxed) != 0);
    drop((there, held));
    assert!(!Segment::is_stale(&name).unwrap());
    assert!(!Segment::unlink_if_stale(&name).unwrap());
    let look = Segment::open_read_only(&name).unwrap();
    assert!(look.is_in_use().unwrap());
    holder.kill();
    assert!(!look.is_in_use().unwrap(), "a snapshot is no user");
    assert!(Segment::is_stale(&name).unwrap());
    assert!(Segment::unlink_if_stale(&name).unwrap());
    assert!(look.is_retired().unwrap());
    fails(Segment::unlink_if_stale(&name), ErrorKind::NotFound, &[]);
}

pub fn child_hold(name: &str) {
    let seg = Segment::open(name).unwrap();
    seg.object("held", || AtomicU32::new(0)).unwrap().store(1, Relaxed);
    loop {
        std::thread::park();
    }
}

#[test]
fn a_retired_flag_keeps_a_second_link_from_being_opened() {
    let (name, second) = (Name::new("retired"), Name::new("second"));
    let seg = Segment::create(&name, 4096).unwrap();
    fs::hard_link(name.path(), second.path()).unwrap();
    // One link less: the segment lives on under the other, and is not retired.
    Segment::unlink(&name).unwrap();
    assert!(!seg.is_retired());
    Segment::open(&second).unwrap();
    // Retired by whatever else: not opened, and no endless loop.
    let file = OpenOptions::new().write(true).open(second.path()).unwrap();
    let at = offset_of!(format::Header, changing) + offset_of!(format::Changing, retired);
    file.write_all_at(&1u32.to_le_bytes(), at as u64).unwrap();
    fails(Segment::open(&second), ErrorKind::WouldBlock, &[&second]);
    fails(Segment::options().size(1).open_or_create(&second), ErrorKind::WouldBlock, &[]);
}

#[test]
fn pages_are_reserved_at_creation_unless_sparse() {
    let blocks = |seg: &Segment| {
        File::from(seg.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap().blocks() * 512
    };
    let size = 4 << 20;
    let full = Segment::options().size(size).anonymous().unwrap();
    assert!(blocks(&full) >= size as u64);
    let sparse = Segment::options().size(size).sparse(true).anonymous().unwrap();
    assert!(blocks(&sparse) < size as u64);
    let name = Name::new("sparse");
    let _named = Segment::options().size(size).sparse(true).create(&name).unwrap();
    let look = Segment::open_read_only(&name).unwrap();
    assert_eq!(look.header().features_compat & format::COMPAT_SPARSE, format::COMPAT_SPARSE);
}

#[test]
fn a_segment_that_only_may_be_read_can_only_be_looked_at() {
    let name = Name::new("read-only");
    let seg = Segment::create(&name, 4096).unwrap();
    seg.object("n", || AtomicU32::new(0x0403_0201)).unwrap();
    fs::set_permissions(name.path(), Permissions::from_mode(0o444)).unwrap();
    let look = Segment::open_read_only(&name).unwrap();
    assert_eq!(look.read("n").unwrap(), [1, 2, 3, 4]);
    fails(look.read("m"), ErrorKind::NoObject, &["\"m\"", &name]);
    assert_eq!((look.header().creator_pid, look.len()), (std::process::id(), 4096));
}

#[test]
fn strong_fences_are_recorded_by_creation_and_by_opening_and_stay() {
    let name = Name::new("fences");
    let at = (offset_of!(format::Header, changing) + offset_of!(format::Changing, strong_fences)) as u64;
    let flag = |name: &Name| {
        let mut word = [0; 4];
        File::open(name.path()).unwrap().read_exact_at(&mut word, at).unwrap();
        u32::from_le_bytes(word)
    };
    let _seg = Segment::options().size(1).strong_fences(true).create(&name).unwrap();
    assert_eq!(flag(&name), 1);
    Segment::open(&name).unwrap();
    assert_eq!(flag(&name), 1);
    let other = Name::new("fences");
    drop(Segment::create(&other, 1).unwrap());
    Segment::options().strong_fences(true).open(&other).unwrap();
    assert_eq!(flag(&other), 1);
}
