//! What a child is told to be: closures and programs alike.

use super::*;
use crate::support::{children, eventually, open_descriptors};
use interproc::ErrorKind;
use interproc::process::{Builder, Limit, Program, Stdio};
use std::fs::File;
use std::io::{Read, Write};

/// What a program says, and how it ends.
fn said(builder: Builder, program: Program) -> (String, Option<i32>) {
    let (mut read, write) = std::io::pipe().expect("pipe");
    let child = builder.stdout(write).spawn(program).expect("spawn");
    let mut text = String::new();
    read.read_to_string(&mut text).expect("read");
    (text, child.join_timeout(LONG).expect("join").code())
}

fn shell(script: &str) -> Program {
    Program::new("sh").args(["-c", script])
}

fn sh(builder: Builder, script: &str) -> String {
    said(builder, shell(script)).0.trim().to_owned()
}

pub fn every_setting_holds_in_a_closure_and_in_a_program() {
    let stat = |n: usize| {
        let text = std::fs::read_to_string("/proc/self/stat").expect("stat");
        text.rsplit_once(") ").expect("stat").1.split(' ').nth(n - 3).expect("a field").to_owned()
    };
    let all = Builder::new()
        .nice(7)
        .directory("/usr")
        .umask(0o137)
        .limit(Limit::OpenFiles, 33, 44)
        .limit(Limit::Core, 0, 0)
        .process_group(0);
    let child = all.fork(move || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writable.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        assert_eq!((limit.rlim_cur, limit.rlim_max), (33, 44));
        assert_eq!(std::env::current_dir().expect("cwd").to_str(), Some("/usr"));
        // SAFETY: takes an integer.
        assert_eq!(unsafe { libc::umask(0) }, 0o137);
        assert_eq!(stat(19), "7");
        assert_eq!(stat(5), std::process::id().to_string());
    });
    assert_eq!(child.expect("fork").join_timeout(LONG).expect("join").code(), Some(0));
    let text = sh(
        all,
        "pwd; umask; ulimit -n; cut -d' ' -f19 /proc/self/stat; test $(cut -d' ' -f5 /proc/self/stat) = $$ && echo leader",
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["/usr", "0137", "33", "7", "leader"]);
    let text = sh(Builder::new().new_session(), "cut -d' ' -f6 /proc/$$/stat; echo $$");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], lines[1], "it leads its session");
    let child =
        Builder::new().processors([0]).spawn(shell("grep -q 'Cpus_allowed_list:.0$' /proc/self/status"));
    assert_eq!(child.expect("spawn").join_timeout(LONG).expect("join").code(), Some(0));
}

pub fn a_setting_that_cannot_be_is_an_error_and_nothing_is_started() {
    let before = open_descriptors();
    let ran = shared_word();
    let limit = Builder::new().limit(Limit::OpenFiles, 10, 5);
    let wrong = [
        (Builder::new().directory("/no/such/directory"), ErrorKind::NoFile, "working directory"),
        (Builder::new().processors([4095]), ErrorKind::InvalidInput, "processors"),
        (limit, ErrorKind::InvalidInput, "resource limit"),
        (Builder::new().process_group(1), ErrorKind::NotPermitted, "process group"),
    ];
    for (builder, kind, word) in wrong {
        let body = || ran.fetch_add(1, std::sync::atomic::Ordering::Relaxed) as u8;
        for error in [builder.fork(body).expect_err(word), builder.spawn(shell("true")).expect_err(word)] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    assert_eq!(ran.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert!(children(std::process::id()).is_empty());
    assert_eq!(open_descriptors(), before);
}

pub fn a_program_gets_its_arguments_and_its_environment_and_no_others() {
    let (text, code) = said(
        Builder::new().name("self"),
        Program::new("sh").args(["-c", "echo $0 $1 $2; exit 9", "zero", "a b", ""]),
    );
    assert_eq!((text.as_str(), code), ("zero a b\n", Some(9)));
    let program = Program::new("env").env("B", "2").env("GONE", "x").env_remove("GONE");
    assert_eq!(said(Builder::new(), program.env_clear()).0, "B=2\n");
    // SAFETY: the only thread.
    unsafe { std::env::set_var("INHERITED", "yes") };
    let program = shell("echo $INHERITED $MORE").env("MORE", "and more");
    assert_eq!(said(Builder::new(), program).0, "yes and more\n");
    for wrong in [Program::new("env").env("A=B", "x"), Program::new("env").env("", "x"), Program::new("e\0v")]
    {
        assert_eq!(Builder::new().spawn(wrong).expect_err("no name").kind(), ErrorKind::InvalidInput);
    }
    // With a name of its own as its first argument.
    let (text, _) =
        said(Builder::new().name("a name of its own"), Program::new("cat").arg("/proc/self/cmdline"));
    assert_eq!(text, "a name of its own\0/proc/self/cmdline\0");
}

pub fn a_program_that_cannot_be_executed_is_an_error_and_leaves_nothing() {
    let before = open_descriptors();
    let path = std::env::temp_dir().join(format!("interproc-test-{}", std::process::id()));
    std::fs::write(&path, "no program").expect("a file");
    for (program, kind, errno) in [
        (Program::new("/no/such/program"), ErrorKind::NoFile, libc::ENOENT),
        (Program::new("no-such-program"), ErrorKind::NoFile, libc::ENOENT),
        (Program::new(""), ErrorKind::NoFile, libc::ENOENT),
        (Program::new(&path), ErrorKind::PermissionDenied, libc::EACCES),
        (Program::new("/etc"), ErrorKind::PermissionDenied, libc::EACCES),
    ] {
        let error = Builder::new().dies_with_parent().spawn(&program).expect_err("no program");
        assert_eq!((error.kind(), error.errno()), (kind, errno), "{error}");
        assert!(error.to_string().contains(&program.to_string()), "{error}");
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a mode");
    let error = Builder::new().spawn(Program::new(&path)).expect_err("no program");
    assert_eq!((error.kind(), error.errno()), (ErrorKind::System, libc::ENOEXEC));
    std::fs::remove_file(&path).expect("removed");
    let long = Program::new("true").arg("x".repeat(8 << 20));
    let error = Builder::new().spawn(long).expect_err("too long");
    assert_eq!(error.errno(), libc::E2BIG);
    assert!(children(std::process::id()).is_empty());
    assert_eq!(open_descriptors(), before);
}

pub fn descriptors_go_where_they_are_told_and_the_others_stay_here() {
    let file = |text: &str| {
        let (read, mut write) = std::io::pipe().expect("pipe");
        write.write_all(text.as_bytes()).expect("room");
        read
    };
    // Crosswise: each has the number that another one goes to.
    let (a, b) = (file("a"), file("b"));
    let numbers = [&a, &b].map(std::os::fd::AsRawFd::as_raw_fd);
    let program = shell(&format!("cat <&{} ; cat <&{}", numbers[1], numbers[0]))
        .descriptor(numbers[1], a)
        .descriptor(numbers[0], b);
    assert_eq!(said(Builder::new(), program).0, "ab");
    // An end that is not close-on-exec is inherited, unless that is forbidden.
    let leak = file("leak");
    let number = 50; // the shell itself uses the low ones
    // SAFETY: takes integers; closed with the process.
    assert_eq!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&leak), number) }, number);
    let list = "for n in /proc/$$/fd/*; do echo ${n##*/}; done";
    let has = |program: Program, number: i32| {
        said(Builder::new(), program).0.lines().any(|line| line == number.to_string())
    };
    assert!(has(shell(list), number));
    assert!(!has(shell(list).close_others(), number));
    assert!(has(shell(list).close_others().descriptor(40, file("")), 40));
    let error = Builder::new().spawn(shell("true").descriptor(-1, file(""))).expect_err("negative");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // Standard streams of a closure, also with none of its own left.
    let (mut read, write) = std::io::pipe().expect("pipe");
    let child = Builder::new().stdin(Stdio::null()).stderr(Stdio::null()).stdout(write).fork(|| {
        assert_eq!(std::io::read_to_string(std::io::stdin()).expect("empty"), "");
        println!("said");
    });
    assert_eq!(child.expect("fork").join().expect("join").code(), Some(0));
    let mut text = String::new();
    read.read_to_string(&mut text).expect("read");
    assert_eq!(text, "said\n");
}

pub fn a_process_without_standard_streams_starts_children_with_them() {
    let outer = process::fork(|| {
        for fd in 0..3 {
            // SAFETY: this process's own.
            unsafe { libc::close(fd) };
        }
        let null = || File::options().read(true).write(true).open("/dev/null").expect("open");
        let child =
            Builder::new().stdin(null()).stdout(Stdio::null()).stderr(null()).dies_with_parent().fork(|| {
                (0..3).all(|fd| {
                    std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|p| p.ends_with("null"))
                }) as u8
            });
        let closure = child.map(|c| c.join_timeout(LONG).map(|s| s.code() == Some(1)));
        let program = Builder::new().stdin(Stdio::null()).stdout(null()).spawn(shell("test -r /dev/stdin"));
        let program = program.map(|c| c.join_timeout(LONG).map(|s| s.success()));
        (matches!(closure, Ok(Ok(true))) as u8) * 2 + matches!(program, Ok(Ok(true))) as u8
    });
    assert_eq!(outer.expect("fork").join_timeout(LONG).expect("join").code(), Some(3));
}

pub fn a_program_opens_the_segment_that_it_was_given() {
    // The program is this one, in another role.
    if let Ok(segment) = process::inherited_segment("shop") {
        let left = segment.find::<std::sync::atomic::AtomicU32>("left").expect("found");
        left.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        return;
    }
    let segment = interproc::Segment::anonymous(1 << 16).expect("segment");
    let left = segment.object("left", || AtomicU32::new(41)).expect("object");
    let itself = Program::new(std::env::current_exe().expect("itself"))
        .env(support::ROLE, "setting::a_program_opens_the_segment_that_it_was_given");
    let child = Builder::new().spawn(itself.segment("shop", &segment).expect("its file").close_others());
    assert_eq!(child.expect("spawn").join_timeout(LONG).expect("join").code(), Some(0));
    assert_eq!(left.load(std::sync::atomic::Ordering::Relaxed), 42);
    assert_eq!(process::inherited_segment("shop").expect_err("none").kind(), ErrorKind::NotFound);
}

pub fn signals_are_as_usual_in_a_program() {
    extern "C" fn handler(_: i32) {}
    // SAFETY: takes integers and a function.
    unsafe {
        libc::signal(libc::SIGUSR1, handler as *const () as usize);
        libc::signal(libc::SIGUSR2, libc::SIG_IGN);
    }
    let masks = "grep -E 'SigBlk|SigIgn|SigCgt' /proc/self/status | cut -f2";
    let text =
        said(Builder::new(), Program::new("sh").args(["-c", &format!("exec {}", "sh -c \"$0\""), masks]));
    let masks: Vec<u64> = text.0.lines().map(|l| u64::from_str_radix(l, 16).expect("hex")).collect();
    let bit = |signal: i32| 1u64 << (signal - 1);
    assert_eq!(masks[0], 0, "blocked");
    assert_eq!(masks[1] & (bit(libc::SIGUSR2) | bit(libc::SIGPIPE)), bit(libc::SIGUSR2), "ignored");
    // SAFETY: as above.
    let now = unsafe { libc::signal(libc::SIGUSR1, libc::SIG_DFL) };
    assert_eq!(now, handler as *const () as usize, "the parent's own handler is untouched");
}

pub fn children_start_while_handlers_run_and_threads_allocate() {
    static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    waiting::storm(300);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !STOP.load(std::sync::atomic::Ordering::Relaxed) {
                std::hint::black_box(vec![0u8; 100_000]);
            }
        });
        let starters: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for n in 0..30 {
                        let child =
                            Builder::new().dies_with_parent().nice(n % 5).spawn(shell(&format!("exit {n}")));
                        let status = child.expect("spawn").join_timeout(LONG).expect("join");
                        assert_eq!(status.code(), Some(n));
                        // SAFETY: the child does nothing.
                        let child =
                            unsafe { Builder::new().dies_with_parent().umask(0).fork_unchecked(move || n) };
                        let child = child.expect("fork");
                        assert_eq!(child.join_timeout(LONG).expect("join").code(), Some(n));
                    }
                })
            })
            .collect();
        starters.into_iter().for_each(|s| s.join().expect("a starter"));
        STOP.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    waiting::storm(0);
}

pub fn without_memory_or_processes_a_program_is_not_started_and_the_error_is_clean() {
    let before = open_descriptors();
    starting::limit(libc::RLIMIT_AS, 0);
    let error = Builder::new().spawn(Program::new("true")).expect_err("no memory for its stack");
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Resource, libc::ENOMEM));
    starting::limit(libc::RLIMIT_AS, u64::MAX);
    // SAFETY: takes integers; root is never limited.
    unsafe {
        libc::setresgid(65534, 65534, 65534);
        libc::setresuid(65534, 65534, 65534);
    }
    starting::limit(libc::RLIMIT_NPROC, 0);
    let error =
        Builder::new().dies_with_parent().spawn(Program::new("true")).expect_err("no process is left");
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Resource, libc::EAGAIN));
    assert_eq!(open_descriptors(), before);
}

pub fn without_descriptors_no_program_is_started() {
    starting::limit(libc::RLIMIT_NOFILE, 64);
    let mut successes = 0;
    for room in 0..=4 {
        let mut filling = Vec::new();
        while let Ok(file) = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned() {
            filling.push(file);
        }
        filling.truncate(filling.len() - room);
        match Builder::new().dies_with_parent().spawn(Program::new("true")) {
            Ok(child) => {
                successes += 1;
                assert_eq!(child.join_timeout(LONG).expect("join").code(), Some(0));
            }
            Err(error) => assert_eq!((error.kind(), error.errno()), (ErrorKind::Resource, libc::EMFILE)),
        }
        drop(filling);
        assert!(children(std::process::id()).is_empty());
    }
    assert_eq!(successes, 2, "with room for the line's two and the pidfd");
}

pub fn a_program_killed_before_it_is_one_is_a_child_that_was_killed() {
    // Whenever the kill comes: a clean end.
    for _ in 0..30 {
        let child = Builder::new().spawn(Program::new("sleep").arg("100")).expect("spawn");
        child.kill().expect("kill");
        assert_eq!(child.join_timeout(LONG).expect("join").signal(), Some(libc::SIGKILL));
    }
    assert!(eventually(LONG, || children(std::process::id()).is_empty()));
}
