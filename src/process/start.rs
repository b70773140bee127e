//! Starting a child: the parent's part, and the child's part up to its own code.
#![allow(unsafe_code)]

use super::builder::{Bond, Builder};
use super::child::Child;
use super::creator::Creator;
use super::dropped;
use super::hand_over::HandOver;
use super::own_pidfd::OwnPidfd;
use super::program::Program;
use super::setup::{Failure, Setup, Step};
use super::status::{Outcome, PANICKED};
use crate::counted::Counted;
use crate::error::format;
use crate::fallible;
use crate::member;
use crate::sys::fork_gate::{self, Gate};
use crate::sys::own::Identity;
use crate::sys::parent_death::ParentDeath;
use crate::sys::{dying, fork, pidfd, task, vfork};
use crate::{Error, ErrorKind, Result};
use core::cell::RefCell;
use core::ffi::{c_int, c_void};
use core::iter::repeat_n;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Builder {
    /// Starts a child that runs `f` and ends with its [`Outcome`]. The [module](super) says what `f` may do.
    ///
    /// `f` need be neither `Send` nor `'static`: the child works on its own copy of the memory and of this thread. Whatever
    /// `f` owns is dropped twice, once in each process.
    ///
    /// # Errors
    /// [`ErrorKind::NotAlone`]: this process has other threads, or the calling thread has a guard of a lock or of a message
    /// in place; the [module](super) says why. [`ErrorKind::Resource`]: no process, memory or descriptor left.
    /// [`ErrorKind::Unsupported`]: no pidfds (before Linux 5.4, or a sandbox), or no way to count threads (no /proc, and a
    /// sandbox). [`ErrorKind::NoChild`]: the child was killed and reaped by other code before it began. Those of the
    /// settings: [`ErrorKind::InvalidInput`], [`ErrorKind::PermissionDenied`], [`ErrorKind::NotPermitted`],
    /// [`ErrorKind::NoFile`]. After any error there is no child, and `f` has not run.
    ///
    /// # Examples
    /// ```
    /// let numbers = vec![1, 2, 3]; // the child has its own copy
    /// let child = interproc::process::Builder::new().fork(|| numbers.iter().sum::<i32>())?;
    /// assert_eq!(child.join()?.code(), Some(6));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn fork<F, R>(&self, f: F) -> Result<Child>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        be_alone()?;
        // SAFETY: there is no other thread, and no guard.
        unsafe { self.fork_unchecked(f) }
    }

    /// As [`fork`](Self::fork), beside other threads and under guards.
    ///
    /// # Errors
    /// As [`fork`](Self::fork), but never `NotAlone`.
    ///
    /// # Safety
    /// The child reaches nothing on the stacks of this process's other threads, and takes no lock that one of them may hold
    /// now. It does not use a guard of this process; it may drop one.
    pub unsafe fn fork_unchecked<F, R>(&self, f: F) -> Result<Child>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        let mut f = Some(f);
        self.start(None, &mut || f.take().map_or(PANICKED, |f| f().exit_code()))
    }

    /// As [`fork`](Self::fork), and hands something of the parent's over to the child: the end of a pipe.
    ///
    /// The child takes it over before `f` runs, and until then the parent holds it: this call returns when the child has it
    /// or is dead. So the holder of the pipe's other end learns of the child's death, at whatever instruction, and never
    /// sees an end before that.
    ///
    /// # Errors
    /// As [`fork`](Self::fork). [`ErrorKind::NoChild`] also when the child was killed before it took the gift over; then
    /// there is no child, and the gift is dropped: a pipe's end is closed. [`ErrorKind::TooManyMembers`]: the child found
    /// no member slot.
    ///
    /// # Examples
    /// ```
    /// use interproc::{pipe, process::Builder};
    /// let (mut to, from) = pipe::one_way(1 << 12, 100)?;
    /// let child = Builder::new().fork_giving(from, |mut from| from.recv().unwrap().len() as i32)?;
    /// to.send(b"four")?;
    /// assert_eq!(child.join()?.code(), Some(4));
    /// assert_eq!(to.send(b"?").unwrap_err().kind(), interproc::ErrorKind::Closed);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn fork_giving<H, F, R>(&self, gift: H, f: F) -> Result<Child>
    where
        H: HandOver,
        F: FnOnce(H) -> R,
        R: Outcome,
    {
        be_alone()?;
        // SAFETY: there is no other thread, and no guard.
        unsafe { self.fork_giving_unchecked(gift, f) }
    }

    /// As [`fork_giving`](Self::fork_giving), beside other threads and under guards.
    ///
    /// # Errors
    /// As [`fork_giving`](Self::fork_giving), but never `NotAlone`.
    ///
    /// # Safety
    /// That of [`fork_unchecked`](Self::fork_unchecked).
    pub unsafe fn fork_giving_unchecked<H, F, R>(&self, gift: H, f: F) -> Result<Child>
    where
        H: HandOver,
        F: FnOnce(H) -> R,
        R: Outcome,
    {
        let (gift, mut f) = (RefCell::new(Some(gift)), Some(f));
        let started =
            self.start(Some(&mut || gift.borrow_mut().claim()), &mut || match (f.take(), gift.take()) {
                (Some(f), Some(gift)) => f(gift).exit_code(),
                _ => PANICKED,
            });
        match started {
            Ok(child) => {
                gift.into_inner().given();
                Ok(child)
            }
            Err(error) => Err(error),
        }
    }

    /// As [`fork`](Self::fork), for a C function and its argument. The exit code follows the same rule as `i32`.
    ///
    /// # Safety
    /// Calling `entry(arg)` must be sound in the child: `arg` points into memory that the child has a copy of or
    /// shares. An exception of another language that leaves `entry` ends the child by an abort.
    ///
    /// # Examples
    /// ```
    /// use core::ffi::{c_int, c_void};
    /// extern "C-unwind" fn twice(arg: *mut c_void) -> c_int {
    ///     2 * unsafe { *arg.cast::<c_int>() }
    /// }
    /// let mut n = 21;
    /// // SAFETY: the child has its own copy of `n`.
    /// let child = unsafe { interproc::process::Builder::new().fork_fn(twice, (&raw mut n).cast()) }?;
    /// assert_eq!(child.join()?.code(), Some(42));
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub unsafe fn fork_fn(
        &self,
        entry: unsafe extern "C-unwind" fn(*mut c_void) -> c_int,
        arg: *mut c_void,
    ) -> Result<Child> {
        // SAFETY: by the contract.
        self.start(None, &mut || unsafe { entry(arg) }.exit_code())
    }

    fn start(&self, claim: Option<Claim<'_>>, body: &mut dyn FnMut() -> u8) -> Result<Child> {
        dropped::reap();
        let (mut setup, _open) = self.prepare()?;
        let name = self.name.clone();
        let creator = Creator::current().map_err(Error::from_errno)?;
        let tie = self.tie()?;
        let gate = Gate::new().map_err(start_error)?;
        // A child that the tie's signal does not reach must not pass before it is bound by other means.
        let ask = setup.can_fail() || claim.is_some() || setup.is_bound && task::children_may_be_first();
        let report = match ask {
            true => Some(fork_gate::pipe().map_err(start_error)?),
            false => None,
        };
        // SAFETY: the child's branch never returns: `run` ends in _exit and lets no panic out. Which locks the
        // body may rely on is the caller's side of the contract, stated in the module.
        let pid = match unsafe { fork::fork() }.map_err(start_error)? {
            0 => run(gate, report.map(|(_, write)| write), &mut setup, claim, body),
            pid => pid,
        };
        let report = report.map(|(read, _)| read);
        let (mut failure, mut identity) = (None, None);
        let admitted = gate.admit(pid, |fd| {
            // Before the child runs: after an error there is no child.
            identity = Some(Identity::of(fd.as_raw_fd())?);
            if let Some(report) = report {
                failure = read_report(report, fd)?;
                if failure.is_some() {
                    return Err(libc::ECANCELED);
                }
            }
            let Some(tie) = &tie else { return Ok(()) };
            if crate::mutant!("line-after-start") {
                return Ok(());
            }
            tie.bind(setup.bound(pid))?;
            // Still ours, so the number named it when the kernel looked.
            pidfd::is_our_child(fd.as_fd())
        });
        if let (true, Some(tie)) = (crate::mutant!("line-after-start"), &tie) {
            let _ = tie.bind(setup.bound(pid));
        }
        match (admitted, failure) {
            (Ok(fd), _) => {
                let held = OwnPidfd::known(pid as u32, fd, identity.ok_or(ErrorKind::NoChild)?);
                Ok(Child::new(pid as u32, held, creator, tie, name))
            }
            (Err(_), Some(failure)) => Err(failure.error("")),
            (Err(errno), None) => Err(start_error(errno)),
        }
    }

    /// Starts a child that runs a program. See [`Program`] for its arguments, environment and descriptors.
    ///
    /// The child shares this process's memory until it becomes the program, so a large process starts it as fast as a small
    /// one. The calling thread sleeps meanwhile, for a fraction of a millisecond. Other threads may run on: the child takes
    /// no lock.
    ///
    /// The program gets the signal mask of the calling thread. Handled signals get their default action, and ignored ones
    /// stay ignored, except SIGPIPE, which gets its default action, because Rust's runtime ignores it unasked.
    ///
    /// # Errors
    /// [`ErrorKind::NoFile`]: no such program, interpreter or directory. [`ErrorKind::PermissionDenied`]: it may not be
    /// executed. [`ErrorKind::Resource`]: no process, memory or descriptor left. [`ErrorKind::InvalidInput`]: a NUL in
    /// an argument. [`ErrorKind::System`]: another error of exec, such as `ENOEXEC`. After any error there is no child.
    ///
    /// # Examples
    /// ```
    /// use interproc::process::{Builder, Program};
    /// let child = Builder::new().spawn(Program::new("sh").args(["-c", "exit 7"]))?;
    /// assert_eq!(child.join()?.code(), Some(7));
    ///
    /// let error = Builder::new().spawn(&Program::new("/no/such/program")).unwrap_err();
    /// assert_eq!(error.kind(), interproc::ErrorKind::NoFile);
    /// # Ok::<(), interproc::Error>(())
    /// ```
    pub fn spawn(&self, program: impl AsRef<Program>) -> Result<Child> {
        dropped::reap();
        let program = program.as_ref();
        let (mut setup, _open) = self.prepare()?;
        setup.name = None;
        let image = program.prepare(self.name_given(), &mut setup)?;
        setup.copies = fallible::collected(repeat_n(-1, setup.descriptors.len()))?;
        let creator = Creator::current().map_err(Error::from_errno)?;
        let tie = self.tie()?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => Counted::new(program.name()?)?,
        };
        let mut failure = Failure::default();
        // SAFETY: `apply` and `become_it` make system calls only, on what was prepared here.
        let started = unsafe {
            vfork::vfork(&mut || {
                failure = match setup.apply(tie.as_ref()) {
                    Ok(()) => image.become_it(),
                    Err(failed) => failed,
                };
            })
        };
        let (pid, fd) = started.map_err(start_error)?;
        // The child wrote it while this thread slept.
        let failure = Failure::from_bytes(core::hint::black_box(failure).to_bytes());
        if let Some(failure) = failure {
            let _ = pidfd::wait_ended(fd.as_fd(), None);
            let _ = pidfd::collect(fd.as_fd());
            return Err(failure.error(&format!(" {program}")));
        }
        match Identity::of(fd.as_raw_fd()) {
            Ok(identity) => Ok(Child::new(
                pid as u32,
                OwnPidfd::known(pid as u32, fd, identity),
                creator,
                tie,
                Some(name),
            )),
            Err(errno) => {
                let _ = pidfd::send(fd.as_fd(), libc::SIGKILL);
                let _ = pidfd::wait_ended(fd.as_fd(), None);
                let _ = pidfd::collect(fd.as_fd());
                Err(start_error(errno))
            }
        }
    }

    fn tie(&self) -> Result<Option<ParentDeath>> {
        match self.bond {
            Bond::Free => Ok(None),
            _ => ParentDeath::new().map(Some).map_err(start_error),
        }
    }
}

/// Checks that the calling thread is the only one and has no guard.
///
/// # Errors
/// `NotAlone`; `Unsupported` where threads cannot be counted.
pub(super) fn be_alone() -> Result<()> {
    if member::has_guards() {
        return Err(Error::from(ErrorKind::NotAlone)
            .with_detail("the thread holds a guard, or has leaked one: drop it first"));
    }
    match dying::runs_alone() {
        Some(true) => Ok(()),
        Some(false) => Err(Error::from(ErrorKind::NotAlone)
            .with_detail("this process has other threads: fork before starting them")),
        None => Err(Error::from(ErrorKind::Unsupported).with_detail("there is no /proc to count threads in")),
    }
}

/// The child's report on its set-up; `Err(ECHILD)` when it was killed before it reported.
fn read_report(report: OwnedFd, child: &OwnedFd) -> core::result::Result<Option<Failure>, i32> {
    let mut fds = [pidfd::readable(report.as_fd()), pidfd::readable(child.as_fd())];
    pidfd::poll(&mut fds, None)?;
    let mut bytes = [0; 8];
    if fds[0].revents & libc::POLLIN == 0 || File::from(report).read_exact(&mut bytes).is_err() {
        return Err(libc::ECHILD);
    }
    Ok(Failure::from_bytes(bytes))
}

/// In the child: takes over what its parent gives it.
type Claim<'a> = &'a mut dyn FnMut() -> Result<()>;

/// The child, from its first instruction to its last.
fn run(
    mut gate: Gate,
    report: Option<OwnedFd>,
    setup: &mut Setup,
    claim: Option<Claim<'_>>,
    body: &mut dyn FnMut() -> u8,
) -> ! {
    if report.is_some() && gate.look_up().is_err() {
        fork::exit_now(PANICKED);
    }
    let mut applied = if setup.is_nothing() { Ok(()) } else { setup.apply(None) };
    if let (Ok(()), Some(claim)) = (applied, claim) {
        applied = claim().map_err(|error| Failure::new(Step::Claim, error.errno()));
    }
    if let Some(report) = report {
        let bytes = applied.err().unwrap_or_default().to_bytes();
        // If nobody reads the report, the parent is gone, and the gate says so.
        let _ = File::from(report).write_all(&bytes);
    }
    if applied.is_err() || !gate.pass() {
        fork::exit_now(PANICKED);
    }
    // Nothing of ours is used after a panic, so it can leave nothing of ours half done.
    let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // The panic hook has printed it. A payload whose destructor panics must not unwind from here.
        core::mem::forget(payload);
        PANICKED
    });
    if code != PANICKED {
        crate::member::end_well();
    }
    fork::exit_now(code)
}

pub(super) fn start_error(errno: i32) -> Error {
    match errno {
        // EPERM: older seccomp filters return it for calls that they do not know.
        libc::ENOSYS | libc::EPERM => Error::from(ErrorKind::Unsupported).with_detail("pidfd_open"),
        libc::ECHILD => Error::from(ErrorKind::NoChild).with_detail(
            "the child was killed from outside, and other code reaped it, before its code began",
        ),
        errno => Error::from_errno(errno),
    }
}
