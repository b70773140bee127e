//! Tests that fork, kill and wait: each body runs in a process of its own.
//!
//! The threaded test harness must not fork. So the test binary is its own runner (`harness = false`): it lists and
//! filters like the usual one, and for each test starts *itself* again with the test's name in [`ROLE`]. There the
//! body runs on the only thread, in a process group of its own.
//!
//! A test fails when its body panics, takes longer than its time (then its whole group is killed), leaves a zombie
//! child, or leaves a process running.
//!
//! ```ignore
//! #[macro_use]
//! mod support;
//! fn two_and_two_is_four() { assert_eq!(2 + 2, 4) }
//! fn main() { support::run(tests![two_and_two_is_four]) }
//! ```
#![allow(dead_code)] // Each test binary uses its own part.

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, exit};
use std::time::{Duration, Instant};

/// The environment variable that tells a test process which body to run.
pub const ROLE: &str = "INTERPROC_TEST_ROLE";

/// How long a test may take, unless [`run_within`] says otherwise.
pub const TIME: Duration = Duration::from_secs(60);

/// How long processes that a test has left behind may need to end.
const GRACE: Duration = Duration::from_secs(2);

/// A list of tests, by the paths of their functions.
macro_rules! tests {
    ($($name:path),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
}

/// Runs the tests, or the one body that this process was started for; never returns.
pub fn run(tests: &'static [(&'static str, fn())]) -> ! {
    run_within(TIME, tests)
}

/// As [`run`], with `time` for each test.
pub fn run_within(time: Duration, tests: &'static [(&'static str, fn())]) -> ! {
    if let Some(role) = std::env::var_os(ROLE) {
        let Some((_, body)) = tests.iter().find(|(name, _)| role == *name) else {
            eprintln!("no test is named {role:?}");
            exit(2);
        };
        // What the body starts are no tests.
        // SAFETY: the only thread.
        unsafe { std::env::remove_var(ROLE) };
        body();
        assert!(!has_zombie(), "the test left a zombie");
        exit(0);
    }
    conclude(time, tests).exit()
}

fn conclude(time: Duration, tests: &'static [(&'static str, fn())]) -> Conclusion {
    let mut arguments = Arguments::from_args();
    // One at a time: the tests measure time and count processes.
    arguments.test_threads = Some(1);
    // Whatever a test leaves behind comes to us, not to init.
    // SAFETY: takes integers.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    let capture = !arguments.nocapture;
    let trial = |&(name, _): &(&'static str, fn())| Trial::test(name, move || one(name, time, capture));
    libtest_mimic::run(&arguments, tests.iter().map(trial).collect())
}

/// Runs one test in its own process.
fn one(name: &str, time: Duration, capture: bool) -> Result<(), Failed> {
    let started = Instant::now();
    let mut output = memory_file();
    let mut command = Command::new(std::env::current_exe()?);
    command.env(ROLE, name).process_group(0);
    if capture {
        command.stdout(output.try_clone()?).stderr(output.try_clone()?);
    }
    let mut process = command.spawn()?;
    let group = process.id() as i32;
    let mut problem = None;
    if !ends_within(&process, time) {
        problem = Some(format!("took longer than {time:?}; killed"));
        kill_group(group);
    }
    let status = process.wait()?;
    if problem.is_none() && !status.success() {
        problem = Some(match status.signal() {
            Some(signal) => format!("killed by signal {signal}"),
            None => format!("exit code {}", status.code().unwrap_or(-1)),
        });
    }
    if !group_is_gone(group, GRACE) {
        kill_group(group);
        group_is_gone(group, GRACE);
        problem.get_or_insert_with(|| "left processes running; killed".into());
    }
    let Some(problem) = problem else { return Ok(()) };
    let mut text = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    Err(format!("{problem} after {:?}\n{text}", started.elapsed()).into())
}

fn memory_file() -> File {
    // SAFETY: the descriptor is new and ours.
    unsafe {
        let fd = libc::memfd_create(c"test output".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create");
        File::from_raw_fd(fd)
    }
}

fn ends_within(process: &Child, time: Duration) -> bool {
    // SAFETY: takes integers; the child is not reaped yet, so the number is its own. The descriptor is ours.
    let fd = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, process.id(), 0) as i32;
        assert!(fd >= 0, "pidfd_open");
        OwnedFd::from_raw_fd(fd)
    };
    readable_within(fd.as_raw_fd(), time)
}

/// Whether a descriptor becomes readable in time.
pub fn readable_within(fd: i32, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        let ready = unsafe { libc::poll(&raw mut poll, 1, left.as_millis() as i32) };
        if ready == 1 || left.is_zero() {
            return ready == 1;
        }
    }
}

fn kill_group(group: i32) {
    // SAFETY: takes integers. The group is that of a test we started.
    unsafe { libc::kill(-group, libc::SIGKILL) };
}

/// Whether no process of the group is left within `time`; reaps those that came to us.
fn group_is_gone(group: i32, time: Duration) -> bool {
    eventually(time, || {
        // SAFETY: takes integers and a null status.
        unsafe {
            while libc::waitpid(-group, std::ptr::null_mut(), libc::WNOHANG) > 0 {}
            libc::kill(-group, 0) == -1
        }
    })
}

/// Whether a condition comes true in time. For tests only, to look at what gives no notice.
pub fn eventually(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + time;
    while !condition() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Whether the calling process has a child that has ended and was not reaped.
pub fn has_zombie() -> bool {
    // SAFETY: all-zero is a valid siginfo; WNOWAIT leaves the child as it is.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_ALL, 0, &raw mut info, options) == 0 && info.si_pid() != 0
    }
}

/// The state letter of a process as ps shows it, or `None` when there is no such process.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The direct children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let parent = pid.to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&parent))
    })
    .collect()
}

/// How many descriptors the calling process has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count() - 1
}
