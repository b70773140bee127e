//! What only root can set up: other users, and a /dev/shm of one's own. Skipped, with a note, by others.

use crate::support::{NOT_PERMITTED, Name, fails, plays};
use interproc::{ErrorKind, Segment};
use std::ffi::CString;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// No account of ours, on any system.
const SOMEBODY: u32 = 1_234_567;
const NOBODY: u32 = 65_534;

fn am_root() -> bool {
    // SAFETY: geteuid touches no memory.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

fn give_to(name: &Name, uid: u32) {
    std::os::unix::fs::chown(name.path(), Some(uid), Some(uid)).unwrap();
}

#[test]
fn another_users_segment_is_refused_by_name_of_the_user_unless_trusted() {
    if !am_root() {
        return;
    }
    let name = Name::new("owner");
    drop(Segment::create(&name, 4096).unwrap());
    give_to(&name, SOMEBODY);
    let uids = [&*SOMEBODY.to_string(), "user 0"];
    fails(Segment::open(&name), ErrorKind::UntrustedOwner, &uids);
    fails(Segment::open_read_only(&name), ErrorKind::UntrustedOwner, &uids);
    fails(Segment::options().size(1).open_or_create(&name), ErrorKind::UntrustedOwner, &uids);
    fails(Segment::options().trust_owner(SOMEBODY + 1).open(&name), ErrorKind::UntrustedOwner, &uids);
    Segment::options().trust_owner(SOMEBODY).open(&name).unwrap();
}

#[test]
fn without_permission_a_segment_is_refused_and_roots_are_trusted() {
    if !am_root() {
        return;
    }
    let (shut, open, read) = (Name::new("shut"), Name::new("open"), Name::new("read"));
    let _shut = Segment::create(&shut, 4096).unwrap();
    let seg = Segment::options().size(4096).mode(0o666).create(&open).unwrap();
    let _read = Segment::options().size(4096).mode(0o644).create(&read).unwrap();
    if plays("as-nobody", &format!("{} {} {}", &*shut, &*open, &*read)) {
        assert_eq!(seg.find::<AtomicU32>("by nobody").unwrap().load(Relaxed), 1);
    }
}

pub fn child_as_nobody(arg: &str) {
    let [shut, open, read] = arg.split(' ').collect::<Vec<_>>()[..] else { panic!("{arg}") };
    // SAFETY: changes this process's ids only.
    if unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) != 0 || libc::setresuid(NOBODY, NOBODY, NOBODY) != 0 }
    {
        std::process::exit(NOT_PERMITTED);
    }
    fails(Segment::open(shut), ErrorKind::PermissionDenied, &[shut]);
    fails(Segment::open_read_only(shut), ErrorKind::PermissionDenied, &[shut]);
    fails(Segment::options().size(1).open_or_create(shut), ErrorKind::PermissionDenied, &[shut]);
    fails(Segment::unlink(shut), ErrorKind::PermissionDenied, &[shut]);
    fails(Segment::create(shut, 1), ErrorKind::Exists, &[shut]);
    fails(Segment::open(read), ErrorKind::PermissionDenied, &[read]);
    assert!(Segment::open_read_only(read).unwrap().objects().unwrap().is_empty());
    // The directory is sticky: who may write to the file may not remove its name.
    fails(Segment::unlink(open), ErrorKind::PermissionDenied, &[open, "owner"]);
    assert_eq!(Segment::unlink(open).unwrap_err().errno(), libc::EACCES);
    let seg = Segment::options().size(4096).open_or_create(open).unwrap();
    seg.object("by nobody", || AtomicU32::new(1)).unwrap();
}

#[test]
fn a_full_a_missing_or_an_unfit_dev_shm_is_reported_as_such() {
    if am_root() {
        for case in ["full", "missing", "unfit"] {
            plays("own-mounts", case);
        }
    }
}

fn mount(kind: &str, at: &str, options: &str) {
    let c = |s: &str| CString::new(s).unwrap();
    let (kind, at, options) = (c(kind), c(at), c(options));
    // SAFETY: all arguments are C strings.
    let done =
        unsafe { libc::mount(c"none".as_ptr(), at.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
    if done != 0 {
        std::process::exit(NOT_PERMITTED);
    }
}

pub fn child_own_mounts(case: &str) {
    // SAFETY: a mount namespace of this thread's own, cut off from the system's.
    unsafe {
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        let null = std::ptr::null();
        if libc::unshare(libc::CLONE_NEWNS) != 0
            || libc::mount(c"none".as_ptr(), c"/".as_ptr(), null, flags, std::ptr::null()) != 0
        {
            std::process::exit(NOT_PERMITTED);
        }
    }
    let name = "/interproc-test-own-mounts";
    match case {
        "full" => {
            mount("tmpfs", "/dev/shm", "size=1m");
            let all = ["4194304", "1048576", "64 MiB", "--shm-size"];
            fails(Segment::create(name, 4 << 20), ErrorKind::NoSpace, &all);
            fails(Segment::open(name), ErrorKind::NotFound, &[]);
            // One fits, a second does not, and the failure takes nothing away.
            let seg = Segment::create(name, 512 << 10).unwrap();
            fails(Segment::create("/interproc-test-second", 512 << 10), ErrorKind::NoSpace, &["64 MiB"]);
            // Sparse ones need room for their tables only.
            let sparse = Segment::options().size(1 << 30).max_members(4).sparse(true);
            sparse.create("/interproc-test-sparse").unwrap();
            seg.object("n", || AtomicU32::new(0)).unwrap();
        }
        "missing" => {
            mount("tmpfs", "/dev", "size=1m");
            fails(Segment::create(name, 1), ErrorKind::Unsupported, &["there is no /dev/shm"]);
            fails(Segment::options().size(1).open_or_create(name), ErrorKind::Unsupported, &["/dev/shm"]);
            fails(Segment::open(name), ErrorKind::NotFound, &[]);
        }
        _ => {
            mount("proc", "/dev/shm", "");
            fails(Segment::create(name, 1), ErrorKind::Unsupported, &["O_TMPFILE"]);
        }
    }
}
