//! Daemons of the system, and orphans.

use super::*;
use crate::support::{children, eventually, open_descriptors, state};
use interproc::ErrorKind;
use interproc::process::{Builder, Daemon, Process, adopt_orphans, reap_orphans};
use std::path::PathBuf;

fn pidfile() -> PathBuf {
    std::env::temp_dir().join(format!("interproc-test-{}.pid", std::process::id()))
}

/// Ends a daemon that has come to us, its subreaper.
fn end(pid: u32) {
    assert_eq!(children(std::process::id()), [pid], "it is not ours");
    send(pid, libc::SIGKILL);
    assert_eq!(foreign_wait(pid as i32), libc::SIGKILL);
}

pub fn a_daemon_is_what_the_book_says() {
    adopt_orphans(true).expect("subreaper");
    let before = open_descriptors();
    let path = pidfile();
    // SAFETY: as told.
    let umask = unsafe { libc::umask(0o077) };
    let word = shared_word();
    let pid = Daemon::new()
        .pidfile(&path)
        .umask(0o027)
        .ready_timeout(LONG)
        .start(|ready| {
            let me = Process::current().expect("open").details().expect("details");
            let null =
                |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}")).expect("open").ends_with("null");
            assert!(me.session != std::process::id() && me.group == me.session, "{me:?}");
            assert!((0..3).all(null));
            assert_eq!(std::env::current_dir().expect("cwd"), PathBuf::from("/"));
            // SAFETY: takes an integer.
            assert_eq!(unsafe { libc::umask(0) }, 0o027);
            assert!(std::fs::File::open("/dev/tty").is_err(), "it has a terminal");
            word.store(1, std::sync::atomic::Ordering::Release);
            ready.now();
            pause_for_ever()
        })
        .expect("started");
    assert_eq!(word.load(std::sync::atomic::Ordering::Acquire), 1, "ready before it was");
    // SAFETY: as told.
    unsafe { libc::umask(umask) };
    assert_eq!(std::fs::read_to_string(&path).expect("pidfile"), format!("{pid}\n"));
    assert_eq!(open_descriptors(), before);
    // There is one.
    let error = Daemon::new().pidfile(&path).start(|ready| ready.now()).expect_err("there is one");
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains(path.to_str().expect("text")), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("pidfile"), format!("{pid}\n"), "its number was lost");
    while children(std::process::id()).len() > 1 {
        reap_orphans(&[]).expect("reap"); // the second one
    }
    end(pid);
    // A killed one is no obstacle.
    let next = Daemon::new().pidfile(&path).start(|ready| {
        ready.now();
        pause_for_ever()
    });
    let next = next.expect("started");
    assert_eq!(std::fs::read_to_string(&path).expect("pidfile"), format!("{next}\n"));
    end(next);
    std::fs::remove_file(path).expect("removed");
}

pub fn a_daemon_that_fails_says_why_and_leaves_nobody() {
    adopt_orphans(true).expect("subreaper");
    let before = open_descriptors();
    let told = Daemon::new().start(|ready| {
        ready.failed(libc::EADDRINUSE);
        pause_for_ever()
    });
    assert_eq!(told.expect_err("failed").errno(), libc::EADDRINUSE);
    let silent = Daemon::new().start(|_ready| ());
    assert_eq!(silent.expect_err("silent").kind(), ErrorKind::NoChild);
    let panicked = Daemon::new().start(|_ready| -> () { panic!("unseen") });
    assert_eq!(panicked.expect_err("panicked").kind(), ErrorKind::NoChild);
    let slow = Daemon::new().ready_timeout(Duration::from_millis(30)).start(|_ready| pause_for_ever());
    assert_eq!(slow.expect_err("slow").kind(), ErrorKind::TimedOut);
    let nowhere = Daemon::new().directory("/no/such/directory").start(|ready| ready.now());
    assert_eq!(nowhere.expect_err("nowhere").kind(), ErrorKind::NoFile);
    let nowhere = Daemon::new().pidfile("/no/such/directory/pid").start(|ready| ready.now());
    assert_eq!(nowhere.expect_err("nowhere").kind(), ErrorKind::NoFile);
    assert!(eventually(LONG, || {
        reap_orphans(&[]).expect("reap");
        children(std::process::id()).is_empty()
    }));
    assert_eq!(open_descriptors(), before);
}

pub fn orphans_come_and_nobody_elses_child_is_reaped() {
    adopt_orphans(true).expect("subreaper");
    let ours = process::fork(|| 1).expect("fork"); // ended, and held by a handle
    let mut foreign = std::process::Command::new("true").spawn().expect("spawn"); // ended, and waited for by number
    let by_fd = foreign_fork(|| 3);
    // SAFETY: takes integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, by_fd, 0) } as i32;
    let running = Builder::new().fork(|| pause_for_ever()).expect("fork");
    let middle = process::fork(|| {
        for n in 10..15 {
            std::mem::forget(process::fork(move || n));
        }
        std::mem::forget(process::fork(|| pause_for_ever()));
    });
    let middle = middle.expect("fork");
    middle.join().expect("join");
    for pid in [ours.pid(), foreign.id(), by_fd as u32] {
        assert!(eventually(LONG, || state(pid) == Some('Z')));
    }
    let mut codes = Vec::new();
    assert!(eventually(LONG, || {
        let found = reap_orphans(&[foreign.id()]).expect("reap");
        codes.extend(found.into_iter().map(|(_, status)| status.code().expect("a code")));
        codes.len() == 5
    }));
    codes.sort_unstable();
    assert_eq!(codes, [10, 11, 12, 13, 14]);
    assert!(reap_orphans(&[foreign.id()]).expect("reap").is_empty());
    assert_eq!(ours.join().expect("join").code(), Some(1));
    assert!(foreign.wait().expect("wait").success());
    // SAFETY: ours.
    unsafe { libc::close(fd) };
    let found = reap_orphans(&[]).expect("reap");
    assert_eq!(
        found.into_iter().map(|(pid, _)| pid).collect::<Vec<_>>(),
        [by_fd as u32],
        "now nobody holds it"
    );
    running.kill().expect("kill");
    running.join().expect("join");
    let left = children(std::process::id());
    assert_eq!(left.len(), 1, "the running orphan");
    send(left[0], libc::SIGKILL);
    assert!(eventually(LONG, || reap_orphans(&[]).expect("reap").len() == 1));
    adopt_orphans(false).expect("no subreaper");
}

pub fn a_daemons_starter_may_be_killed_while_it_waits() {
    adopt_orphans(true).expect("subreaper");
    let word = shared_word();
    let starter = process::fork(|| {
        let _ = Daemon::new().start(|ready| {
            word.store(std::process::id(), std::sync::atomic::Ordering::Release);
            while std::os::unix::process::parent_id() == 0
                || word.load(std::sync::atomic::Ordering::Acquire) != 1
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            // The starter is gone: no SIGPIPE, also where it is not ignored.
            // SAFETY: takes integers.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            ready.now();
            word.store(2, std::sync::atomic::Ordering::Release);
            pause_for_ever()
        });
    });
    let starter = starter.expect("fork");
    let load = || word.load(std::sync::atomic::Ordering::Acquire);
    assert!(eventually(LONG, || load() != 0));
    let daemon = load();
    starter.kill().expect("kill");
    starter.join().expect("join");
    assert!(eventually(LONG, || {
        reap_orphans(&[]).expect("reap"); // the middle process
        children(std::process::id()) == [daemon]
    }));
    word.store(1, std::sync::atomic::Ordering::Release);
    assert!(eventually(LONG, || load() == 2));
    end(daemon);
}
