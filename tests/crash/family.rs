//! Scenarios of bound children.
//!
//! What is promised: whenever their parent dies, and be it in the middle of starting them, they end. The parent's death
//! is the victim's; its children come to the verifier's process or to whoever adopts them, and are known by the end
//! of a pipe that each of them has.

use crate::engine::board::Part;
use crate::engine::{Case, Check, Cut, Limits, Scenario};
use crate::ensure;
use interproc::process::{Builder, Program};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The reading end of a pipe. Its writing end is opened by the victim, and only it and its children have it.
struct Family(OwnedFd);

impl Family {
    fn new() -> Family {
        let mut ends = [0; 2];
        // SAFETY: two descriptors fit; they are ours.
        unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            libc::close(ends[1]);
            Family(OwnedFd::from_raw_fd(ends[0]))
        }
    }

    /// The victim's own writing end, which its children inherit, also over exec.
    fn begins(&self) {
        let path = std::ffi::CString::new(format!("/proc/self/fd/{}", self.0.as_raw_fd())).expect("no NUL");
        // SAFETY: a C string. Left open until the victim dies.
        assert!(unsafe { libc::open(path.as_ptr(), libc::O_WRONLY) } > 2);
    }

    /// Nobody has the writing end any more.
    fn is_gone(&self, part: &Part) -> Check {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 1_500) };
        part.recovered();
        ensure!(ready == 1, "a bound child outlives its parent");
        Ok(())
    }
}

/// A child that hears nothing but an alarm: where a fault in the library lets it live on, it ends by that.
fn deaf() -> ! {
    // SAFETY: a valid set.
    unsafe {
        libc::alarm(5);
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigdelset(&raw mut all, libc::SIGALRM);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
    loop {
        std::thread::park();
    }
}

/// These operations are long, mostly formatting and system calls.
fn thin(limits: &mut Limits) {
    limits.thin_above = 300;
    limits.lives_at_end = false;
}

/// All scenarios.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let case = |operation, scenario| {
        Case::new("Builder", operation, scenario, Family::new).role("parent").limits(thin)
    };
    let fork = |builder: fn() -> Builder| {
        move |family: &Family, cut: &Cut| {
            family.begins();
            drop(Builder::new().dies_with_parent().fork(|| ()).map(|child| child.join())); // libc's first time
            cut.start();
            let child = builder().fork(|| deaf());
            cut.end();
            std::mem::forget(child);
        }
    };
    let spawn = |builder: fn() -> Builder| {
        move |family: &Family, cut: &Cut| {
            family.begins();
            let program = Program::new("/bin/sleep").arg("5").env_clear();
            drop(
                Builder::new()
                    .dies_with_parent()
                    .spawn(&program)
                    .map(|child| child.kill().and_then(|()| child.join())),
            );
            cut.start();
            let child = builder().spawn(&program);
            cut.end();
            std::mem::forget(child);
        }
    };
    vec![
        case("fork", "a bound child")
            .victim(fork(|| Builder::new().dies_with_parent()))
            .verify(Family::is_gone),
        case("fork", "a bound group in its session")
            .victim(fork(|| Builder::new().group_dies_with_parent().new_session()))
            .verify(Family::is_gone),
        case("spawn", "a bound child")
            .victim(spawn(|| Builder::new().dies_with_parent()))
            .verify(Family::is_gone),
        case("spawn", "a bound group in its session")
            .victim(spawn(|| Builder::new().group_dies_with_parent().new_session()))
            .verify(Family::is_gone),
    ]
}
