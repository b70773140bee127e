//! Several copies of the library in one process: this program's own, and two loaded ones that know nothing of it or of
//! each other. Each makes the thread a member of its own; all their nodes are in one list.
//!
//! So a lock that a thread holds through one copy is another member's for the others: it waits there, and is not told
//! of a deadlock.

use super::*;
use crate::kit::{Bare, LONG, NET, Random, await_word, board, fork, raise, raw, walk_robust_list};
use crate::pthread::Robust;
use interproc::TypeId;
use interproc::raw::sync::Acquired;
use std::ffi::{CStr, CString, c_char};
use std::mem::transmute_copy;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A loaded copy, by the functions of its C interface.
struct Copy {
    attach: unsafe extern "C" fn(*mut [u64; 2], i32) -> i32,
    find: unsafe extern "C" fn(*const [u64; 2], *const c_char, u64, usize, usize, *mut *mut u8) -> i32,
    lock: unsafe extern "C" fn(*mut u8) -> i32,
    trylock: unsafe extern "C" fn(*mut u8) -> i32,
    unlock: unsafe extern "C" fn(*mut u8) -> i32,
    consistent: unsafe extern "C" fn(*mut u8) -> i32,
    close: unsafe extern "C" fn(*mut [u64; 2]) -> i32,
}

impl Copy {
    /// Loads the shared library under a name of its own: the loader takes equal files for one.
    fn load(n: usize) -> Copy {
        let copy =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("copy-{}-{n}.so", std::process::id()));
        std::fs::copy(shared_library(), &copy).expect("copy");
        let path = CString::new(copy.to_str().expect("UTF-8")).expect("a path");
        // SAFETY: the signatures are those of include/interproc.h; a function pointer is as large as an object's.
        unsafe {
            let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
            std::fs::remove_file(&copy).expect("remove");
            assert!(!library.is_null(), "dlopen");
            let find = |name: &CStr| {
                let found = libc::dlsym(library, name.as_ptr());
                assert!(!found.is_null(), "{name:?}");
                found
            };
            Copy {
                attach: transmute_copy(&find(c"interproc_segment_attach_fd")),
                find: transmute_copy(&find(c"interproc_segment_find_as")),
                lock: transmute_copy(&find(c"interproc_mutex_lock")),
                trylock: transmute_copy(&find(c"interproc_mutex_trylock")),
                unlock: transmute_copy(&find(c"interproc_mutex_unlock")),
                consistent: transmute_copy(&find(c"interproc_mutex_consistent")),
                close: transmute_copy(&find(c"interproc_segment_close")),
            }
        }
    }
}

/// The shared library, as it is installed from these sources.
fn shared_library() -> PathBuf {
    let prefix = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("membership");
    let profile = if cfg!(debug_assertions) { "dev" } else { "dist" };
    let mut install = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/include/install.sh"));
    let install = install.args(["--profile", profile, "--prefix"]).arg(&prefix).env("CARGO", env!("CARGO"));
    let done = install.output().expect("install.sh");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    prefix.join("lib/libinterproc.so")
}

/// A segment as a loaded copy sees it: three locks.
struct Side {
    copy: Copy,
    handle: [u64; 2],
    locks: [*mut u8; 3],
}

// SAFETY: what the pointers lead to is shared memory that stays attached; the functions are made for any thread.
unsafe impl Send for Side {}
// SAFETY: as above.
unsafe impl Sync for Side {}

impl Side {
    fn new(n: usize, seg: &Segment) -> Side {
        let mut side = Side { copy: Copy::load(n), handle: [0; 2], locks: [std::ptr::null_mut(); 3] };
        // SAFETY: as the header says.
        unsafe {
            assert_eq!((side.copy.attach)(&raw mut side.handle, seg.as_fd().as_raw_fd()), 0);
            for (n, lock) in side.locks.iter_mut().enumerate() {
                let name = CString::new(name(n)).expect("name");
                let id = TypeId::of::<Mutex<u64>>().bits();
                assert_eq!((side.copy.find)(&raw const side.handle, name.as_ptr(), id, 24, 8, lock), 0);
            }
        }
        side
    }

    fn lock(&self, n: usize) -> i32 {
        // SAFETY: a lock of an attached segment.
        unsafe { (self.copy.lock)(self.locks[n]) }
    }

    fn try_lock(&self, n: usize) -> i32 {
        // SAFETY: as above.
        unsafe { (self.copy.trylock)(self.locks[n]) }
    }

    fn unlock(&self, n: usize) -> i32 {
        // SAFETY: as above.
        unsafe { (self.copy.unlock)(self.locks[n]) }
    }

    /// Inherits a lock from the dead and releases it clean.
    fn inherits(&self, n: usize) {
        assert_eq!(self.lock(n), libc::EOWNERDEAD);
        // SAFETY: as above; it is held.
        assert_eq!(unsafe { (self.copy.consistent)(self.locks[n]) }, 0);
        assert_eq!(self.unlock(n), 0);
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // SAFETY: no lock is used afterwards.
        unsafe { (self.copy.close)(&raw mut self.handle) };
    }
}

fn name(n: usize) -> String {
    format!("lock {n}")
}

type Ours = Vec<Object<Mutex<u64>>>;

fn three() -> (Segment, Ours, [Side; 2]) {
    let seg = kit::segment();
    let ours = (0..3).map(|n| seg.object(&name(n), || Mutex::new(0u64)).expect("mutex")).collect();
    let sides = [0, 1].map(|n| Side::new(n, &seg));
    (seg, ours, sides)
}

pub fn copies_of_the_library_exclude_each_other() {
    let (seg, ours, [a, b]) = three();
    let bare = Bare::new(&seg);
    let before = bare.live();
    kit::in_thread(|| {
        assert_eq!((a.try_lock(0), b.try_lock(1)), (0, 0));
        let guard = ours[2].lock().expect("lock");
        assert_eq!(bare.live(), before + 3, "a member of each copy");
        assert_eq!((a.try_lock(1), a.try_lock(2)), (libc::EBUSY, libc::EBUSY));
        assert_eq!((b.try_lock(0), b.try_lock(2)), (libc::EBUSY, libc::EBUSY));
        assert_eq!(got(ours[0].try_lock()), Got::Failed(ErrorKind::WouldBlock));
        assert_eq!((a.try_lock(0), a.unlock(1), b.unlock(0)), (libc::EDEADLK, libc::EPERM, libc::EPERM));
        drop(guard);
        assert_eq!((a.unlock(0), b.unlock(1)), (0, 0));
        walk_robust_list();
    });
    assert_eq!(bare.live(), before);
    // Under contention, from threads of each.
    let mut count = 0u64;
    let place = std::ptr::from_mut(&mut count).expose_provenance();
    // SAFETY: under the lock, which is what is tested.
    let add = move || unsafe { *std::ptr::with_exposed_provenance_mut::<u64>(place) += 1 };
    let bodies: [Box<dyn FnOnce() + Send + '_>; 3] = [
        Box::new(|| {
            (0..5_000).for_each(|_| {
                let _guard = ours[0].lock().expect("lock");
                add()
            })
        }),
        Box::new(|| {
            (0..5_000).for_each(|_| {
                assert_eq!(a.lock(0), 0);
                add();
                a.unlock(0);
            })
        }),
        Box::new(|| {
            (0..5_000).for_each(|_| {
                assert_eq!(b.lock(0), 0);
                add();
                b.unlock(0);
            })
        }),
    ];
    kit::in_threads(bodies);
    assert_eq!(count, 15_000);
}

pub fn a_death_is_told_by_and_to_every_copy() {
    let (seg, ours, [a, b]) = three();
    let bare = Bare::new(&seg);
    let mut random = Random(0xc0b1e5);
    for round in 0..40 {
        // Who locks which, and in what order: theirs lie between.
        let turn = random.below(3) as usize;
        let (mine, is_a, is_b) = (turn, (turn + 1) % 3, (turn + 2) % 3);
        let between = [Robust::new(), Robust::new()];
        let dies = || {
            let mut steps = [0, 1, 2, 3, 4];
            (0..4).for_each(|i| steps.swap(i, i + random.below(5 - i as u64) as usize));
            for step in steps {
                match step {
                    // By hand: a guard would outlive its thread.
                    0 => {
                        assert_eq!(raw(&ours[mine]).lock(bare.member(), None).expect("lock"), Acquired::Clean)
                    }
                    1 => assert_eq!(a.lock(is_a), 0),
                    2 => assert_eq!(b.lock(is_b), 0),
                    n => assert_eq!(between[n - 3].lock(), 0),
                }
                walk_robust_list();
            }
        };
        if round % 2 == 0 {
            kit::in_thread(dies);
            assert!(between.iter().all(|lock| lock.verdict() == libc::EOWNERDEAD));
        } else {
            fork(dies).join();
        }
        // Told to another copy than the one it was locked by.
        let started = Instant::now();
        a.inherits(mine);
        b.inherits(is_a);
        assert_eq!(got(ours[is_b].lock()), Got::OwnerDied);
        assert!(started.elapsed() < NET);
    }
}

pub fn each_copy_notices_a_fork() {
    let (seg, ours, [a, b]) = three();
    let bare = Bare::new(&seg);
    let words = board();
    assert_eq!((a.lock(0), b.lock(1)), (0, 0));
    let before = bare.live();
    let child = fork(|| {
        assert_eq!((a.unlock(0), b.unlock(1)), (libc::EPERM, libc::EPERM), "the parent's");
        assert_eq!((a.try_lock(0), b.try_lock(1)), (libc::EBUSY, libc::EBUSY));
        assert_eq!((a.try_lock(2), b.try_lock(2)), (0, libc::EBUSY));
        assert!(matches!(got(ours[2].try_lock()), Got::Failed(ErrorKind::WouldBlock)));
        assert_eq!(bare.live(), before + 3);
        raise(&words[0]);
        kit::pause_for_ever();
    });
    await_word(&words[0], 1);
    child.kill();
    assert_eq!(got(ours[2].lock_timeout(LONG)), Got::OwnerDied);
    child.finish();
    assert_eq!((a.unlock(0), b.unlock(1)), (0, 0));
    assert_eq!(words[0].load(Ordering::SeqCst), 1);
}
