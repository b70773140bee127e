//! Forking: what the child is, and what happens when it cannot be had.

use super::*;
use crate::support::{children, eventually, open_descriptors, readable_within};
use interproc::ErrorKind;
use interproc::process::Builder;
use std::ffi::{c_int, c_void};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, Ordering};

pub fn a_child_ends_with_the_code_that_its_closure_gives() {
    let code = |child: interproc::Result<Child>| child.expect("fork").join().expect("join").code();
    assert_eq!(code(process::fork(|| ())), Some(0));
    for n in [0, 1, 7, 255] {
        assert_eq!(code(process::fork(|| n)), Some(n));
        assert_eq!(code(process::fork(|| n as u8)), Some(n));
    }
    assert_eq!(code(process::fork(|| -1)), Some(255));
    assert_eq!(code(process::fork(|| 256)), Some(255), "a failure must not look like success");
    assert_eq!(code(process::fork(|| Ok::<_, String>(9))), Some(9));
    assert_eq!(code(process::fork(|| Err::<(), _>("expected: this stands on stderr"))), Some(1));
    assert_eq!(code(process::fork(|| -> () { std::process::exit(5) })), Some(5));
}

pub fn a_c_function_is_forked_with_its_argument() {
    unsafe extern "C-unwind" fn add_one(arg: *mut c_void) -> c_int {
        // SAFETY: the caller passes an int.
        unsafe { *arg.cast::<c_int>() += 1 };
        // SAFETY: as above.
        unsafe { *arg.cast::<c_int>() }
    }
    let mut n = 41;
    // SAFETY: the child has its own copy of `n`.
    let child = unsafe { Builder::new().fork_fn(add_one, (&raw mut n).cast()) }.expect("fork");
    assert_eq!(child.join().expect("join").code(), Some(42));
    assert_eq!(n, 41);
}

pub fn a_child_bears_the_name_it_was_given() {
    let names = [("buyer", "buyer"), ("", ""), ("fifteen-letters", "fifteen-letters")];
    let cut = [("sixteen-letters!", "sixteen-letters"), ("fourteen-lett\u{e9}\u{e9}", "fourteen-lett\u{e9}")];
    for (given, shown) in names.into_iter().chain(cut) {
        let child = Builder::new()
            .name(given)
            .fork(|| { std::fs::read_to_string("/proc/self/comm").expect("comm").trim_end() == shown } as u8);
        assert_eq!(child.expect("fork").join().expect("join").code(), Some(1), "{given}");
    }
}

pub fn a_name_with_a_nul_is_refused_and_nothing_is_started() {
    for name in ["\0", "a\0b", "far behind the cut \0"] {
        let error = Builder::new().name(name).fork(|| ()).expect_err("a NUL");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(children(std::process::id()).is_empty());
}

pub fn the_closure_may_borrow_from_the_parent_and_the_parent_keeps_its_own_copy() {
    let mut numbers = vec![1, 2, 3];
    let child = process::fork(|| {
        numbers.push(4);
        numbers.iter().sum::<i32>()
    });
    assert_eq!(child.expect("fork").join().expect("join").code(), Some(10));
    assert_eq!(numbers, [1, 2, 3]);
}

pub fn the_child_has_no_descriptor_more_than_the_parent_had() {
    let before = open_descriptors();
    let child = process::fork(|| open_descriptors() as u8).expect("fork");
    assert_eq!(child.join().expect("join").code(), Some(before as i32));
    assert_eq!(open_descriptors(), before + 1, "the parent holds the pidfd");
    drop(child);
    assert_eq!(open_descriptors(), before);
}

pub fn limit(resource: libc::__rlimit_resource_t, soft: u64) {
    // SAFETY: reads and writes one rlimit.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(resource, &raw mut limit), 0);
        limit.rlim_cur = soft.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(resource, &raw const limit), 0);
    }
}

pub fn without_descriptors_nothing_is_started_and_nothing_is_left() {
    let ran = shared_word();
    limit(libc::RLIMIT_NOFILE, 64);
    let (mut failures, mut successes) = (0, 0);
    // With room for 0, 1, 2 … more descriptors: each step of the start fails once, then it works.
    for room in 0..=5 {
        let mut filling = Vec::new();
        while let Ok(file) = std::io::stderr().as_fd().try_clone_to_owned() {
            filling.push(file);
        }
        filling.truncate(filling.len() - room);
        match process::fork(|| ran.fetch_add(1, Ordering::Relaxed) as u8) {
            Ok(child) => {
                successes += 1;
                assert_eq!(child.join().expect("join").code(), Some(successes - 1));
            }
            Err(error) => {
                assert_eq!((error.kind(), error.errno()), (ErrorKind::Resource, libc::EMFILE));
                failures += 1;
            }
        }
        let mut free = Vec::new();
        while let Ok(file) = std::io::stderr().as_fd().try_clone_to_owned() {
            free.push(file);
        }
        assert_eq!(free.len(), room, "a descriptor is left open");
        drop((free, filling));
        assert!(children(std::process::id()).is_empty(), "a child is left");
        assert_eq!(ran.load(Ordering::Relaxed), successes as u32, "it ran after all");
    }
    assert_eq!((failures, successes), (1, 5));
}

pub fn without_processes_the_error_is_a_clean_one() {
    let before = open_descriptors();
    // Root is never limited, so become nobody.
    // SAFETY: takes integers; the only thread.
    unsafe {
        libc::setresgid(65534, 65534, 65534);
        libc::setresuid(65534, 65534, 65534);
    }
    limit(libc::RLIMIT_NPROC, 0);
    let error = process::fork(|| ()).expect_err("no process is left");
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Resource, libc::EAGAIN));
    assert_eq!(open_descriptors(), before);
}

pub fn without_pidfds_nothing_is_started_and_the_error_says_so() {
    let load = |k| libc::sock_filter { code: 0x20, jt: 0, jf: 0, k };
    let unless_equal_skip = |k, jf| libc::sock_filter { code: 0x15, jt: 0, jf, k };
    let answer = |k| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let mut filter = [
        load(0), // the call's number
        unless_equal_skip(libc::SYS_pidfd_open as u32, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program outlives the calls.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
    let ran = shared_word();
    let error = process::fork(|| ran.fetch_add(1, Ordering::Relaxed) as u8).expect_err("no pidfd");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(children(std::process::id()).is_empty());
    assert_eq!(ran.load(Ordering::Relaxed), 0);
}

pub fn fork_works_from_a_parent_with_many_threads() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // One thread keeps malloc's locks busy.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                std::hint::black_box(vec![0u8; 100_000]);
            }
        });
        let forkers: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn(move || {
                    for n in 0..40 {
                        let body = || {
                            let text = format!("{}", std::hint::black_box(vec![thread; 1000]).len());
                            text.len() as i32 + n + thread
                        };
                        // SAFETY: the child takes malloc's locks only, which the C library repairs.
                        let child = unsafe { process::fork_unchecked(body) };
                        let status = child.expect("fork").join_timeout(LONG).expect("join");
                        assert_eq!(status.code(), Some(4 + n + thread));
                    }
                })
            })
            .collect();
        forkers.into_iter().for_each(|forker| forker.join().expect("a forker"));
        stop.store(true, Ordering::Relaxed);
    });
}

unsafe extern "C" {
    fn pthread_atfork(
        before: Option<extern "C" fn()>,
        parent: extern "C" fn(),
        child: Option<extern "C" fn()>,
    ) -> c_int;
}

/// Runs `handler` in the parent right after each fork, before the pidfd is opened: in the middle of the start.
fn in_the_middle_of_the_start(handler: extern "C" fn()) {
    // SAFETY: registers a function.
    assert_eq!(unsafe { pthread_atfork(None, handler, None) }, 0);
}

/// The end of a pipe that is closed when everybody who has a copy of it is gone.
static ALL_GONE: AtomicI32 = AtomicI32::new(-1);

/// Forks a process whose start of a child, prepared by `starter`, never succeeds. True when both have ended in
/// time and no body ran.
fn all_is_gone_after(starter: impl FnOnce()) -> bool {
    let ran = shared_word();
    // SAFETY: takes integers.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    let mut pipe = [0; 2];
    // SAFETY: two descriptors fit.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    ALL_GONE.store(pipe[1], Ordering::Relaxed);
    foreign_fork(|| {
        starter();
        let _ = process::fork(|| ran.fetch_add(1, Ordering::Relaxed) as u8);
        99
    });
    // SAFETY: ours. Now the end of the pipe tells that all of them are gone.
    unsafe { libc::close(pipe[1]) };
    let gone = readable_within(pipe[0], Duration::from_secs(5));
    for left in children(std::process::id()) {
        send(left, libc::SIGKILL);
    }
    while foreign_wait(-1) != -1 {}
    gone && ran.load(Ordering::Relaxed) == 0
}

pub fn a_parent_killed_in_the_middle_of_the_start_leaves_nothing_running() {
    extern "C" fn die() {
        send(std::process::id(), libc::SIGKILL);
    }
    assert!(all_is_gone_after(|| in_the_middle_of_the_start(die)));
}

pub fn a_sibling_with_a_copy_of_the_gate_does_not_hide_the_death_of_the_parent() {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn fork_a_sibling_and_die() {
        if STARTS.fetch_add(1, Ordering::Relaxed) == 0 {
            // As another thread of the parent could at this moment. It has nothing to do with the test's pipe.
            foreign_fork(|| {
                // SAFETY: the sibling's copy.
                unsafe { libc::close(ALL_GONE.load(Ordering::Relaxed)) };
                pause_for_ever()
            });
            send(std::process::id(), libc::SIGKILL);
        }
    }
    assert!(all_is_gone_after(|| in_the_middle_of_the_start(fork_a_sibling_and_die)));
}

pub fn a_parent_that_calls_exec_in_the_middle_of_the_start_leaves_nothing_running() {
    extern "C" fn become_another_program() {
        let arguments = [c"true".as_ptr(), std::ptr::null()];
        // SAFETY: C strings in a null-terminated array. /proc/self/exe would run the tests again, so `true`.
        unsafe { libc::execvp(arguments[0], arguments.as_ptr()) };
    }
    assert!(all_is_gone_after(|| in_the_middle_of_the_start(become_another_program)));
}

pub fn a_child_killed_and_reaped_in_the_middle_of_the_start_is_an_error() {
    extern "C" fn kill_it() {
        for child in children(std::process::id()) {
            send(child, libc::SIGKILL);
            assert_eq!(foreign_wait(child as i32), libc::SIGKILL);
        }
    }
    let before = open_descriptors();
    in_the_middle_of_the_start(kill_it);
    let ran = shared_word();
    let error = process::fork(|| ran.fetch_add(1, Ordering::Relaxed) as u8).expect_err("it is dead");
    assert_eq!(error.kind(), ErrorKind::NoChild);
    assert!(eventually(LONG, || open_descriptors() == before));
    assert_eq!(ran.load(Ordering::Relaxed), 0);
}

/// The stranger of the test below.
static STRANGER: AtomicI32 = AtomicI32::new(0);

pub fn a_stranger_with_the_number_of_a_child_that_was_reaped_is_not_taken_for_it() {
    /// Kills and reaps the new child, and lets a process that is not ours have its number.
    extern "C" fn replace_it() {
        // The forks in here come here too.
        if STRANGER.swap(i32::MIN, Ordering::Relaxed) != 0 {
            return;
        }
        let child = children(std::process::id())[0];
        send(child, libc::SIGKILL);
        foreign_wait(child as i32);
        let word = shared_word();
        foreign_fork(|| {
            let _ = std::fs::write("/proc/sys/kernel/ns_last_pid", (child - 1).to_string());
            word.store(foreign_fork(|| pause_for_ever()) as u32, Ordering::Release);
            pause_for_ever()
        });
        assert!(eventually(LONG, || word.load(Ordering::Acquire) != 0));
        let stranger = word.load(Ordering::Acquire) as i32;
        STRANGER.store(if stranger == child as i32 { stranger } else { -stranger }, Ordering::Relaxed);
    }
    in_the_middle_of_the_start(replace_it);
    let error = process::fork(|| ()).expect_err("it is dead");
    assert_eq!(error.kind(), ErrorKind::NoChild);
    let stranger = STRANGER.load(Ordering::Relaxed);
    if stranger < 0 {
        eprintln!("skipped: the number could not be given to another process");
    }
    let between = children(std::process::id())[0];
    assert_eq!(children(between), [stranger.unsigned_abs()], "the stranger was hit");
    for pid in [stranger.abs(), between as i32] {
        // SAFETY: takes integers; both were started here.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    assert_eq!(foreign_wait(between as i32), libc::SIGKILL);
}
