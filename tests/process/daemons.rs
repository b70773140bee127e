//! Bound children: gone when their parent is, however it ends.

use super::*;
use crate::support::{children, eventually, open_descriptors, readable_within};
use interproc::process::{Builder, Program};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;

/// Ends of a pipe; the second is passed on to a whole family, and the first tells when all of it is gone.
fn family() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: two descriptors fit; they are ours. Not close-on-exec: programs keep it, too.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        libc::fcntl(ends[0], libc::F_SETFD, libc::FD_CLOEXEC);
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

fn adopt() {
    // SAFETY: takes integers. Who is left comes to us and is seen.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

/// Runs `parent` in a process of its own; whether all of its family is gone soon after its end.
fn leaves_nobody(parent: impl FnOnce()) -> bool {
    adopt();
    let (alive, kept) = family();
    foreign_fork(|| {
        parent();
        0
    });
    drop(kept);
    let gone = readable_within(alive.as_raw_fd(), Duration::from_secs(10));
    children(std::process::id()).into_iter().for_each(|left| send(left, libc::SIGKILL));
    while foreign_wait(-1) != -1 {}
    gone
}

fn deaf() -> ! {
    // SAFETY: a valid set.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
    pause_for_ever()
}

fn sleep_program() -> Program {
    Program::new("sleep").arg("1000")
}

type Start = fn(Builder) -> interproc::Result<Child>;
const STARTS: [Start; 2] = [|b| b.fork(|| deaf()), |b| b.spawn(sleep_program())];

fn die_by_kill() {
    send(std::process::id(), libc::SIGKILL);
}

pub fn a_bound_child_ends_with_its_parent_however_that_ends() {
    let ends: [fn(); 5] = [
        || (),                    // _exit
        || std::process::exit(3), // exit, with its handlers
        die_by_kill,
        || std::process::abort(),
        || {
            let arguments = [c"true".as_ptr(), std::ptr::null()];
            // SAFETY: C strings in a null-terminated array.
            unsafe { libc::execvp(arguments[0], arguments.as_ptr()) };
        },
    ];
    for start in STARTS {
        for end in ends {
            assert!(leaves_nobody(|| {
                let kept = start(Builder::new().dies_with_parent()).expect("start");
                let dropped = start(Builder::new().dies_with_parent()).expect("start");
                drop(dropped);
                end();
                drop(kept);
            }));
        }
    }
}

pub fn a_plain_child_outlives_its_parent() {
    adopt();
    for start in STARTS {
        let middle = process::fork(|| drop(start(Builder::new()).expect("start"))).expect("fork");
        middle.join().expect("join");
        std::thread::sleep(Duration::from_millis(50));
        let left = children(std::process::id());
        assert_eq!(left.len(), 1);
        send(left[0], libc::SIGKILL);
        assert_eq!(foreign_wait(left[0] as i32), libc::SIGKILL);
    }
}

pub fn a_bound_child_outlives_the_thread_that_started_it_and_no_longer_than_the_process() {
    for start in STARTS {
        assert!(leaves_nobody(move || {
            let starter =
                std::thread::spawn(move || start(Builder::new().dies_with_parent()).expect("start"));
            let child = starter.join().expect("the thread");
            let pid = std::process::id();
            // The thread is gone for the kernel, too.
            let tasks = || std::fs::read_dir(format!("/proc/{pid}/task")).expect("tasks").count();
            assert!(eventually(LONG, || tasks() == 1));
            std::thread::sleep(Duration::from_millis(50));
            assert!(child.is_alive(), "it ended with the thread");
            die_by_kill();
        }));
    }
}

pub fn a_parent_whose_main_thread_has_ended_keeps_its_bound_children() {
    adopt();
    let (word, over) = (shared_word(), shared_word());
    let parent = process::fork(|| {
        let child = Builder::new().dies_with_parent().fork(|| deaf()).expect("fork");
        std::thread::spawn(move || {
            let pid = std::process::id();
            assert!(eventually(LONG, || support::state(pid) == Some('Z')));
            std::thread::sleep(Duration::from_millis(50));
            word.store(if child.is_alive() { 1 } else { 2 }, Ordering::Release);
            while over.load(Ordering::Acquire) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            die_by_kill();
        });
        // SAFETY: ends this thread alone; nothing of the test is left on its stack that the other one uses.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    })
    .expect("fork");
    assert!(eventually(LONG, || word.load(Ordering::Acquire) != 0));
    assert_eq!(word.load(Ordering::Acquire), 1, "it ended with the main thread");
    over.store(1, Ordering::Release);
    assert_eq!(parent.join_timeout(LONG).expect("join").signal(), Some(libc::SIGKILL));
    assert!(foreign_wait(-1) == libc::SIGKILL, "the child came to us, and was killed");
}

pub fn grandchildren_end_too_where_it_was_asked() {
    let tree = "sleep 1000 & sh -c 'sleep 1000 & wait' & wait";
    for session in [false, true] {
        assert!(leaves_nobody(|| {
            let builder = Builder::new().group_dies_with_parent();
            let builder = if session { builder.new_session() } else { builder };
            let program = Program::new("sh").args(["-c", tree]);
            let shell = builder.spawn(program).expect("spawn");
            let closure = builder.fork(|| {
                let _ = process::fork(|| deaf());
                deaf()
            });
            let closure = closure.expect("fork");
            assert!(
                eventually(LONG, || children(shell.pid()).len() == 2 && children(closure.pid()).len() == 1)
            );
            die_by_kill();
        }));
    }
    // The rest of a group is ended with the handle of its leader.
    adopt();
    let leader =
        Builder::new().group_dies_with_parent().fork(|| drop(process::fork(|| deaf()))).expect("fork");
    assert_eq!(leader.join_timeout(LONG).expect("join").code(), Some(0));
    assert_eq!(children(std::process::id()).len(), 1);
    drop(leader);
    assert_eq!(foreign_wait(-1), libc::SIGKILL);
}

pub fn a_forked_sibling_does_not_keep_a_bound_child_alive() {
    // The siblings outlive the parent; the daemon child must not, though they were forked while its line was there.
    adopt();
    let daemon = shared_word();
    let middle = process::fork(|| {
        let child = Builder::new().dies_with_parent().fork(|| deaf()).expect("fork");
        daemon.store(child.pid(), Ordering::Release);
        foreign_fork(|| pause_for_ever());
        std::mem::forget(process::fork(|| pause_for_ever()).expect("fork"));
        std::mem::forget(Builder::new().spawn(sleep_program()).expect("spawn"));
        die_by_kill();
    });
    middle.expect("fork").join_timeout(LONG).expect("join");
    let daemon = daemon.load(Ordering::Acquire);
    assert_eq!(foreign_wait(daemon as i32), libc::SIGKILL);
    let left = children(std::process::id());
    assert_eq!(left.len(), 3);
    left.into_iter().for_each(|sibling| send(sibling, libc::SIGKILL));
    while foreign_wait(-1) != -1 {}
}

pub fn a_childs_copy_of_a_daemons_handle_does_no_harm() {
    let before = open_descriptors();
    let daemon = Builder::new().dies_with_parent().fork(|| deaf()).expect("fork");
    let second = process::fork(move || drop(daemon)).expect("fork"); // dropped in both
    assert!(second.join_timeout(LONG).expect("join").success());
    drop(second);
    let left = children(std::process::id());
    assert_eq!(left.len(), 1, "dropping ends nobody");
    send(left[0], libc::SIGKILL);
    assert!(eventually(LONG, || process::reap() == 1));
    assert_eq!(open_descriptors(), before);
}

pub fn a_detached_bound_child_outlives_its_parent() {
    adopt();
    let middle = process::fork(|| Builder::new().dies_with_parent().fork(|| deaf()).expect("fork").detach())
        .expect("fork");
    middle.join().expect("join");
    std::thread::sleep(Duration::from_millis(50));
    let left = children(std::process::id());
    assert_eq!(left.len(), 1);
    send(left[0], libc::SIGKILL);
    assert_eq!(foreign_wait(left[0] as i32), libc::SIGKILL);
}

pub fn the_end_of_a_bound_child_hits_nobody_else() {
    // Lines outlive their children, whose numbers others get: closing the lines must not hit them.
    let ended: Vec<Child> =
        (0..20).map(|_| Builder::new().dies_with_parent().fork(|| ()).expect("fork")).collect();
    process::wait_all_timeout(&ended, LONG).expect("wait_all");
    let last = format!("{}", ended[0].pid() - 1);
    let _ = std::fs::write("/proc/sys/kernel/ns_last_pid", last);
    let others: Vec<Child> = (0..20).map(|_| sleeper()).collect();
    drop(ended);
    assert!(others.iter().all(Child::is_alive));
    others.iter().for_each(|child| child.kill().expect("kill"));
    process::wait_all_timeout(&others, LONG).expect("wait_all");
}

pub fn parents_killed_at_any_time_leave_no_bound_child() {
    adopt();
    for round in 0..60 {
        let (alive, kept) = family();
        let parent = foreign_fork(|| {
            loop {
                let start = STARTS[round % 2];
                let _ = Builder::new().dies_with_parent().fork(|| deaf());
                let _ = start(Builder::new().group_dies_with_parent());
            }
        });
        drop(kept);
        std::thread::sleep(Duration::from_micros(137 * round as u64));
        send(parent as u32, libc::SIGKILL);
        assert!(readable_within(alive.as_raw_fd(), LONG), "round {round}");
        while foreign_wait(-1) != -1 {}
    }
}

pub fn a_bound_child_in_a_namespace_of_its_own_ends_too() {
    // SAFETY: takes an integer; undone by the end of the process.
    let permitted = foreign_fork(|| i32::from(unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0));
    if foreign_wait(permitted) != 0 {
        eprintln!("skipped: no PID namespace is permitted");
        return;
    }
    for start in STARTS {
        for group in [false, true] {
            assert!(leaves_nobody(|| {
                // SAFETY: as above.
                assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
                let builder = || {
                    if group {
                        Builder::new().group_dies_with_parent()
                    } else {
                        Builder::new().dies_with_parent()
                    }
                };
                let first = start(builder()).expect("start"); // has the number 1
                let second = start(builder()).expect("start"); // a common process there
                assert!(first.is_alive() && second.is_alive());
                die_by_kill();
            }));
        }
    }
}

pub fn the_numbers_of_a_line_that_the_program_uses_for_its_own_files_are_left_alone() {
    process::fork(|| {
        let child = Builder::new().dies_with_parent().fork(|| ()).expect("daemon child");
        // SAFETY: the handle finds out. (It ended anyway, or this ends it.)
        unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
        let files: Vec<_> = (0..8).map(|_| std::fs::File::open("/proc/self/stat").expect("a file")).collect();
        // SAFETY: takes integers.
        let set = |fd| unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
        assert!(files.iter().all(|file| set(file.as_raw_fd()) == 0));
        let all_are_open = |files: &[std::fs::File]| {
            // SAFETY: takes integers.
            files
                .iter()
                .all(|file| unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 })
        };
        // The fork handler closes copies of lines, not of these.
        // SAFETY: the child ends in _exit.
        match unsafe { libc::fork() } {
            // SAFETY: ends the process.
            0 => unsafe { libc::_exit(if all_are_open(&files) { 0 } else { 1 }) },
            pid => {
                let mut status = 0;
                // SAFETY: our child.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                assert_eq!(status, 0, "the fork closed files of the program's");
            }
        }
        assert!(child.join().is_ok_and(|status| status.code() == Some(0) || status.signal() == Some(9)));
        child.detach();
        assert!(all_are_open(&files), "the handle touched files of the program's");
    })
    .expect("fork")
    .join()
    .map(|status| assert!(status.success()))
    .expect("join");
}
