//! Starting a child.
#![allow(unsafe_code)]

use super::child::Child;
use super::creator::Creator;
use super::orphans;
use super::status::{Outcome, PANICKED};
use crate::sys::fork::{self, Gate};
use crate::{Error, ErrorKind, Result};
use core::ffi::{CStr, c_int, c_void};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a new child shall be like.
///
/// # Examples
/// ```
/// use interproc::process::Builder;
/// let child = Builder::new().name("counter").fork(|| {
///     let name = std::fs::read_to_string("/proc/self/comm").unwrap();
///     assert_eq!(name.trim(), "counter");
/// })?;
/// assert!(child.join()?.success());
/// # Ok::<(), interproc::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Box<str>>,
}

/// What the kernel keeps of a name, with the NUL.
const NAME_LEN: usize = 16;

impl Builder {
    /// A child like its parent.
    pub fn new() -> Self {
        Builder::default()
    }

    /// The name that ps shows. The kernel keeps 15 bytes; what is longer is cut at a character. A NUL in it makes
    /// the start fail with [`ErrorKind::InvalidInput`].
    pub fn name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Starts a child that runs `f` and ends with its [`Outcome`]. See the [module](super) for what `f` may do.
    ///
    /// `f` need be neither `Send` nor `'static`: the child works on its own copy of the memory and of this thread.
    /// What `f` owns is dropped twice, once in each process.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`]: no process, memory or descriptor left. [`ErrorKind::Unsupported`]: no pidfd (before
    /// Linux 5.4, or a sandbox). [`ErrorKind::NoChild`]: killed and reaped elsewhere before it began. After any
    /// error there is no child, and `f` has not run.
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
        let mut f = Some(f);
        self.start(&mut || f.take().map_or(PANICKED, |f| f().exit_code()))
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
        self.start(&mut || unsafe { entry(arg) }.exit_code())
    }

    fn start(&self, body: &mut dyn FnMut() -> u8) -> Result<Child> {
        orphans::reap();
        let mut buffer = [0; NAME_LEN];
        let name = self.name_in(&mut buffer)?;
        let creator = Creator::current().map_err(Error::from_errno)?;
        let gate = Gate::new().map_err(start_error)?;
        // SAFETY: the child's branch never returns: `run` ends in _exit and lets no panic out. Which locks the
        // body may rely on is the caller's side of the contract, stated in the module.
        match unsafe { fork::fork() }.map_err(start_error)? {
            0 => run(gate, name, body),
            pid => Ok(Child::new(pid as u32, gate.admit(pid).map_err(start_error)?, creator)),
        }
    }

    fn name_in<'a>(&self, buffer: &'a mut [u8; NAME_LEN]) -> Result<Option<&'a CStr>> {
        let Some(name) = &self.name else { return Ok(None) };
        let mut end = name.len().min(NAME_LEN - 1);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        buffer[..end].copy_from_slice(&name.as_bytes()[..end]);
        match CStr::from_bytes_until_nul(buffer) {
            Ok(short) if !name.contains('\0') => Ok(Some(short)),
            _ => Err(Error::from(ErrorKind::InvalidInput).with_detail("a process name must not contain NUL")),
        }
    }
}

/// The child, from its first instruction to its last.
fn run(gate: Gate, name: Option<&CStr>, body: &mut dyn FnMut() -> u8) -> ! {
    if !gate.pass() {
        fork::exit_now(PANICKED);
    }
    if let Some(name) = name {
        fork::set_name(name);
    }
    // Nothing of ours is used after a panic, so there is nothing that it could leave half done.
    let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // The hook has printed it. A payload whose destructor panics must not unwind from here.
        core::mem::forget(payload);
        PANICKED
    });
    fork::exit_now(code)
}

fn start_error(errno: i32) -> Error {
    match errno {
        // EPERM: older seccomp filters answer so for calls that they do not know.
        libc::ENOSYS | libc::EPERM => Error::from(ErrorKind::Unsupported).with_detail("pidfd_open"),
        libc::ECHILD => Error::from(ErrorKind::NoChild)
            .with_detail("killed from outside and reaped elsewhere before its code began"),
        errno => Error::from_errno(errno),
    }
}
