//! Names that clean up after themselves, and children in roles.

use interproc::{Error, ErrorKind};
use std::fmt::Debug;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const ROLE: &str = "INTERPROC_TEST_ROLE";
pub const ARGUMENT: &str = "INTERPROC_TEST_ARGUMENT";
/// How a child says that its role went well.
pub const DONE: i32 = 77;
/// How a child says that the system does not let it play its role.
pub const NOT_PERMITTED: i32 = 78;

/// A segment's name that nobody else has; what it names is removed at the end.
pub struct Name(String);

impl Name {
    pub fn new(what: &str) -> Name {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        Name(format!("/interproc-test-{}-{n}-{what}", std::process::id()))
    }

    /// Made as long as it may be.
    pub fn longest() -> Name {
        let mut name = Name::new("long");
        name.0.extend(std::iter::repeat_n('x', 250 - name.0.len()));
        name
    }

    pub fn path(&self) -> PathBuf {
        path_of(&self.0)
    }
}

pub fn path_of(name: &str) -> PathBuf {
    PathBuf::from("/dev/shm").join(&name[1..])
}

impl std::ops::Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    /// Removes what it names, and the names that children derived from it.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(self.path());
        for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&self.0[1..]) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// A child in a role; killed if it is still there at the end of the test.
pub struct Role {
    child: Child,
    role: String,
}

pub fn child(role: &str, argument: &str) -> Role {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_role", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(ARGUMENT, argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Role { child, role: role.into() }
}

impl Role {
    /// Waits for its end; false if the system does not permit the role.
    pub fn ends(mut self) -> bool {
        let status = self.child.wait().unwrap();
        self.judge(status)
    }

    /// Whether it has played to its end.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some_and(|status| self.judge(status))
    }

    /// SIGKILL, and the reaping.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn judge(&self, status: ExitStatus) -> bool {
        match status.code() {
            Some(DONE) => true,
            Some(NOT_PERMITTED) => {
                eprintln!("skipped: the system does not permit the role {}", self.role);
                false
            }
            _ => panic!("the child in role {} failed: {status}", self.role),
        }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for another process, but not for ever.
#[track_caller]
pub fn until(mut come: impl FnMut() -> bool) {
    let start = Instant::now();
    while !come() {
        assert!(start.elapsed() < Duration::from_secs(30), "what was waited for did not come");
        std::thread::yield_now();
    }
}

/// Runs a role to its end; false if the system does not permit it.
pub fn plays(role: &str, argument: &str) -> bool {
    child(role, argument).ends()
}

/// The error of `result`, which must be of this kind and mention all of `words`.
#[track_caller]
pub fn fails<T: Debug>(result: interproc::Result<T>, kind: ErrorKind, words: &[&str]) -> Error {
    let e = result.unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "{e} does not say {word}");
    }
    e
}

/// A small generator (xorshift64*), so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
